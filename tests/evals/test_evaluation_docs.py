"""docs/evaluation.md: its commands, its examples, and that no key is left out."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.audit.findings import audit
from abstain.evals.audit.sources import own_probe
from abstain.evals.meta_evaluation import read_benchmarks, render_benchmarks
from abstain.evals.metrics.measuring import measure
from abstain.evals.records import Record
from abstain.evals.rescore.rescoring import rescore
from abstain.rewards.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))


def commands(program: str) -> list[list[str]]:
    text = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S)).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith(f"{program} ")]


def keys_of(value: Any) -> set[str]:
    """Every key in nested objects and lists."""
    if isinstance(value, dict):
        return {str(key) for key in value} | {key for one in value.values() for key in keys_of(one)}
    return {key for one in value for key in keys_of(one)} if isinstance(value, list) else set()


def records() -> list[Record]:
    def row(id: int, target: float, verdict: Verdict) -> Record:
        text = f"Who? {id} t = {target}"
        return Record(str(id), "toy", "Who?", ("Bo",), target, text, "Bo", "Bo", verdict, (id + 1) / 6)

    verdicts = {0.0: "CORRECT", 0.5: "CORRECT", 0.9: "ABSTAINED"}
    return [row(id, t, Verdict(one if id > 2 else "INCORRECT")) for t, one in verdicts.items() for id in range(5)]


@pytest.mark.parametrize("name", ["eval", "rescore"])
def test_commands_exist_with_their_options(name: str) -> None:
    asked = [words for words in commands("abstain") if words[1] == name]
    shown = subprocess.run(
        [sys.executable, "-m", "abstain.recipes.cli", name, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert asked and all(word in shown for words in asked for word in words if word.startswith("--"))


def test_every_key_of_metrics_is_explained() -> None:
    found = measure(records(), model="m", task="t")
    missing = keys_of(found) - CODE - {"level", "resamples", "seed"}
    assert not missing


def test_every_key_of_a_re_scored_log_is_explained(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("id,grade,confidence\na,1,0.9\nb,0,0.2\nc,1,0.7\n")
    rescored = rescore([log])
    rescored.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert not keys_of(saved) - CODE - {"level", "resamples", "seed"} and saved["level"] == 2


def test_every_key_of_an_audit_is_explained() -> None:
    rows = records()
    guesses = [row for row in rows if row.target == 0]
    found = audit(measure(rows, model="m", task="t"), rows, own_probe("m", guesses), resamples=20)
    known = CODE | {"level", "resamples", "seed", "p", "attempted"}
    ends = ("_ci", "_bracket")
    missing = {key for key in keys_of(found) - known if not (key.endswith(ends) and key.rsplit("_", 1)[0] in known)}
    assert not missing - {"steps", "overall"}


def test_the_example_of_the_paper_is_what_comes_out(tmp_path: Path) -> None:
    table = re.search(r"<<'END'\n(.*?)END", PAGE, re.S)
    shown = re.search(r"```text\n(.*?)\n```", PAGE, re.S)
    assert table and shown
    log = tmp_path / "simpleqa.csv"
    log.write_text(table[1])
    assert shown[1] in rescore([log], [0, 0.5, 0.75]).render("text", width=100)


def test_the_table_of_benchmarks_is_what_comes_out() -> None:
    assert render_benchmarks(read_benchmarks(), "markdown") in PAGE


def test_links_lead_somewhere() -> None:
    lines = [line.lower() for line in re.findall(r"^#+ (.*)", PAGE, re.M)]
    headings = {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in lines}
    for link in re.findall(r"\]\((?!http)([^)]+)\)", PAGE):
        path, _, heading = link.partition("#")
        assert (not path or (ROOT / "docs" / path).exists()) and (not heading or heading in headings), link


def test_the_tasks_it_names_are_there() -> None:
    tasks = {path.stem for path in (ROOT / "evals" / "harnesses" / "lm_eval").glob("abstain_*.yaml")}
    assert tasks == {name for name in CODE if re.fullmatch(r"abstain_\w+", name)}
