"""What benchmarks pay for "I don't know", in the manner of table 2 of Kalai et al. 2025, from a declarative file.

    python -m abstain.evals.meta_evaluation                        # the table of meta_evaluation.yaml
    python -m abstain.evals.meta_evaluation mine.yaml --format latex
    python -m abstain.evals.meta_evaluation --judged RUN           # is the judge of that run fair?

If a right answer earns r, a wrong one w and "I don't know" a, answering with probability p of being right pays iff
p > t = (a - w) / (r - w): the confidence target that a benchmark implies. At t = 0 there is no reason ever to abstain.

A benchmark that a language model grades pays for what its judge likes. `--judged` tells whether that depends on how
long an answer is, or on where the right option stands.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import yaml

from abstain.evals.metrics.schema import read_metrics
from abstain.evals.records import read_records
from abstain.evals.tables.agreement import LEGEND, agreement_blocks
from abstain.evals.tables.document import Block, Format, Heading, Notes, render_tables
from abstain.evals.tables.grid import Column, Grid
from abstain.rewards.errors import nearest
from abstain.rewards.graders import GRADERS
from abstain.rewards.judge.grader import Case, agreement_with, describe_agreement
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.response import AnswerFormat, Reading

FILE = Path(__file__).with_name("meta_evaluation.yaml")
Groups = Mapping[str, Sequence["Benchmark"]]
_NEEDED = ("name", "scoring", "binary", "idk_credit")
_TEXTS = ("name", "scoring", "idk_credit", "implied_target")


@dataclass(frozen=True)
class Benchmark:
    """How a benchmark scores.

    Args:
        name: of the benchmark.
        scoring: in a few words.
        binary: every answer is right or wrong.
        idk_credit: what "I don't know" gets: "none", "partial", or a few words.
        credits: what right, "I don't know" and wrong earn.
        implied_target: the target in words, where it is no constant.

    Raises:
        ValueError: neither or both of the last two, or credits that make no threshold or contradict `idk_credit`.
    """

    name: str
    scoring: str
    binary: bool
    idk_credit: str
    credits: tuple[float, float, float] | None = None
    implied_target: str = ""

    def __post_init__(self) -> None:
        if (self.credits is None) == (not self.implied_target):
            raise ValueError("give either credits: [right, idk, wrong], or implied_target in words")
        if self.credits is None:
            return
        right, idk, wrong = self.credits
        if not (all(map(math.isfinite, self.credits)) and wrong < right > idk):
            raise ValueError(f"credits {list(self.credits)}: a right answer must earn more than the others")
        if self.idk_credit == "none" and idk > wrong:
            raise ValueError(f"idk_credit is none, but credits {list(self.credits)} pay it more than a mistake")

    @property
    def target(self) -> float | None:
        """t = (a - w) / (r - w); below 0 if a mistake earns more than "I don't know", `None` if it is no constant.

        Example:
            >>> Benchmark("AMC", "6, 1.5 or 0", False, "partial", (6, 1.5, 0)).target
            0.25
        """
        if self.credits is None:
            return None
        right, idk, wrong = self.credits
        return (idk - wrong) / (right - wrong)

    @property
    def shown_target(self) -> str:
        """The target for a table.

        Example:
            >>> Benchmark("WildBench", "1 to 10", False, "partial", (10, 3.5, 5.5)).shown_target
            'below 0'
        """
        if self.target is None:
            return self.implied_target
        return "below 0" if self.target < 0 else f"{self.target:.3g}"


def read_benchmarks(path: str | Path = FILE) -> dict[str, list[Benchmark]]:
    """Groups of benchmarks, by their headings.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not YAML, or an entry that is no benchmark; the message names it.

    Example:
        >>> [len(group) for group in read_benchmarks().values()]
        [10, 5, 3]
    """
    path = Path(path)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(group, list) and group for group in found.values()):
        raise ValueError(f"{path}: expected headings, and under each a list of benchmarks")
    return {str(heading): [_benchmark(path, entry) for entry in group] for heading, group in found.items()}


def _benchmark(path: Path, entry: Any) -> Benchmark:
    known = [field.name for field in fields(Benchmark)]
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: {str(entry)[:60]!r} is no benchmark; it needs {', '.join(_NEEDED)}")
    where = f"{path}: {entry.get('name', 'a benchmark without a name')}"
    for field in entry:
        if field not in known:
            raise ValueError(f"{where}: unknown field {str(field)!r}. {nearest(str(field), known)}")
    if missing := [field for field in _NEEDED if field not in entry]:
        raise ValueError(f"{where}: lacks {', '.join(missing)}")
    if not isinstance(entry["binary"], bool):
        raise ValueError(f"{where}: binary is {entry['binary']!r}; it must be true or false")
    try:
        texts = {field: str(entry[field]) for field in _TEXTS if field in entry}
        return Benchmark(binary=entry["binary"], credits=_credits(entry.get("credits")), **texts)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _credits(value: Any) -> tuple[float, float, float] | None:
    if value is None:
        return None
    numbers = [one for one in value if isinstance(one, int | float)] if isinstance(value, list) else []
    if len(numbers) != 3 or len(value) != 3:
        raise ValueError(f"credits {value!r}: three numbers are needed, for right, idk and wrong")
    return numbers[0], numbers[1], numbers[2]


_COLUMNS = (
    Column("benchmark", "benchmark", lambda row: row.name, is_label=True),
    Column("scoring", "scoring", lambda row: row.scoring, is_label=True),
    Column("binary", "binary", lambda row: "yes" if row.binary else "no"),
    Column("IDK credit", "IDK\ncredit", lambda row: row.idk_credit),
    Column("answering pays iff P(right) exceeds", "answering pays\niff P(right) >", lambda row: row.shown_target),
)


def render_benchmarks(groups: Groups, format: Format = "text", *, width: int = 100) -> str:
    """The table, ending in a newline.

    Args:
        groups: from `read_benchmarks`.
        format: "text", "markdown", "latex" (booktabs), or "csv" and "json" with every number in full.
        width: of the text, in characters.

    Raises:
        ValueError: an unknown format.
    """
    blocks: list[Block] = []
    for heading, group in groups.items():
        blocks += [Heading(heading), Grid.of(_COLUMNS, group)]
    data = [{"group": name, **asdict(one), "target": one.target} for name, group in groups.items() for one in group]
    return render_tables(blocks, format, rows=[_flat(row) for row in data], data=data, width=width)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what right, "I don't know" and wrong earn in columns of their own, for CSV."""
    earned = dict(zip(("right", "idk", "wrong"), row["credits"] or (None,) * 3, strict=True))
    return {key: value for key, value in row.items() if key != "credits"} | earned


def read_judged(folder: str | Path) -> dict[str, Any]:
    """How far a run's judge agrees with the string grader, as it grades today.

    Args:
        folder: with the `records.jsonl` and `metrics.json` of an evaluation whose answers a judge graded.

    Returns:
        What `abstain.rewards.judge.grader.agreement_with` does, with the names of both as `judge` and `grader`.

    Raises:
        FileNotFoundError: one of the files is not there.
        ValueError: one of them is something else, or no judge graded.
    """
    folder = Path(folder)
    metrics = read_metrics(folder / "metrics.json")
    judge = metrics["judge"]
    if not judge:
        raise ValueError(f"{folder}: no judge graded these answers; `abstain eval … --judge NAME --out DIR` asks one")
    if judge["grader"] not in GRADERS:  # a file does not decide which code runs here
        raise ValueError(
            f"{folder}: {judge['grader']!r} is no grader of `abstain graders`: a file names no code to run"
        )
    records = read_records(folder / "records.jsonl")
    answer_format: AnswerFormat = metrics["answer_format"] or "auto"
    reading: Reading = metrics["reading"] or "lenient"
    cases = [
        Case(one.question, one.gold, read_response(one.completion, answer_format=answer_format)) for one in records
    ]
    found = agreement_with(judge["grader"], cases, [one.verdict for one in records], reading)
    return {"judge": judge["model"], "grader": judge["grader"], **found}


def render_judged(found: Mapping[str, Any], format: Format = "text", *, width: int = 100) -> str:
    """The tables of `read_judged`, ending in a newline; "csv" has a row for each group of answers.

    Raises:
        ValueError: an unknown format.
    """
    said = describe_agreement(dict(found), found["judge"], found["grader"])
    rows = [{**row, **row["pairs"]} for row in (*found["by_length"], *found["by_letter"])]
    flat = [{key: value for key, value in row.items() if key != "pairs"} for row in rows]
    return render_tables([said, *agreement_blocks(found), Notes(LEGEND)], format, rows=flat, data=found, width=width)


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m abstain.evals.meta_evaluation`."""
    parser = argparse.ArgumentParser(description="What benchmarks pay for “I don't know”.")
    parser.add_argument("file", nargs="?", default=FILE, help="a YAML file like abstain's own meta_evaluation.yaml")
    parser.add_argument("--format", choices=get_args(Format), default="text")
    parser.add_argument("--judged", metavar="RUN", help="a directory that `abstain eval … --judge … --out` wrote")
    asked = parser.parse_args(arguments)
    try:
        if asked.judged:
            print(render_judged(read_judged(asked.judged), asked.format), end="")
        else:
            print(render_benchmarks(read_benchmarks(asked.file), asked.format), end="")
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
