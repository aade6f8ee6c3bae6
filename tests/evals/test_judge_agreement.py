"""Whether a judge is fair: its agreement with the string grader by the answers' length and by the order of options."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from abstain.evals.evaluation import evaluate
from abstain.evals.meta_evaluation import main, read_judged, render_judged
from abstain.evals.metrics.schema import read_metrics
from abstain.evals.sampling import Completion
from abstain.evals.tables.agreement import agreement_blocks
from abstain.evals.tables.table import render
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.graders import GRADERS
from abstain.rewards.judge.grader import Case, agreement_with, count_words, gold_letter
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

C, I, U = Verdict.CORRECT, Verdict.INCORRECT, Verdict.UNGRADED  # noqa: E741


@pytest.fixture(autouse=True)
def first_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grader that reads no further than the first word."""

    def grade(answer: str, gold: Sequence[str], question: str = "", reading: str = "lenient") -> Verdict:
        return C if answer.split()[0] == gold[0] else I

    monkeypatch.setitem(GRADERS, "first", grade)
    monkeypatch.setitem(GRADERS, "choice", grade)


def case(words: int, gold: str = "Oslo", first: str = "Oslo") -> Case:
    return Case("Where?", [gold], Response(" ".join([first, *["word"] * (words - 1)])))


@pytest.mark.parametrize(
    ("words", "group"),
    [(1, "≤ 5"), (5, "≤ 5"), (6, "6–12"), (12, "6–12"), (13, "13–40"), (40, "13–40"), (41, "> 40"), (900, "> 40")],
)
def test_the_edges_of_the_lengths(words: int, group: str) -> None:
    found = agreement_with("first", [case(words)], [C])
    assert [(row["words"], row["n"]) for row in found["by_length"]] == [(group, 1)]


def test_words_of_scripts_without_spaces() -> None:
    assert count_words("") == 0 and count_words("Lima, Peru") == 2
    assert count_words("リマ") == 1 and count_words("それはペルーの首都のリマです。") == 7
    assert count_words("Lima（利马）") == 2


def test_a_judge_that_passes_all_that_is_long_is_seen_by_length() -> None:
    cases = [case(words, first=first) for words in (2, 20, 60) for first in ("Oslo", "Rome")]
    verdicts = [C if count_words(one.response.answer) > 40 or one.response.answer[0] == "O" else I for one in cases]
    found = agreement_with("first", cases, verdicts)
    agreed = {row["words"]: row["agreed"] for row in found["by_length"]}
    assert agreed == {"≤ 5": 1, "13–40": 1, "> 40": 0.5} and found["agreed"] == pytest.approx(5 / 6)
    assert sum(row["n"] for row in found["by_length"]) == found["n"]
    assert found["by_letter"] == []


def test_a_judge_that_likes_the_first_option_is_seen_by_letter() -> None:
    cases = [case(2, gold, said) for gold in "ABCD" for said in "ABCD"]
    verdicts = [C if one.response.answer[0] == "A" or one.response.answer[0] == one.gold[0] else I for one in cases]
    found = agreement_with("choice", cases, verdicts)
    assert {row["letter"]: row["agreed"] for row in found["by_letter"]} == {"A": 1, "B": 0.75, "C": 0.75, "D": 0.75}


def test_groups_leave_out_what_nobody_judged_and_what_the_parser_settled() -> None:
    cases = [case(2), case(2), case(50), Case("?", ["Oslo"], Response("")), Case("?", [], Response("Oslo"))]
    found = agreement_with("first", cases, [C, U, U, I, U])
    assert [(row["words"], row["n"], row["left_out"]) for row in found["by_length"]] == [("≤ 5", 1, 1), ("> 40", 0, 1)]
    assert found["by_length"][1]["agreed"] is None


@pytest.mark.parametrize(
    ("gold", "letter"),
    [
        (["B"], "B"),
        (["(B)"], "B"),
        (["B", "Bern"], "B"),
        (["C) Oslo"], "C"),
        (["A dog"], ""),
        (["A", "B"], ""),
        ([], ""),
    ],
)
def test_the_letter_of_the_right_option(gold: list[str], letter: str) -> None:
    assert gold_letter(gold) == letter


def test_an_option_without_a_letter_has_no_group() -> None:
    assert agreement_with("choice", [case(2), case(2, "B", "B")], [C, C])["by_letter"][0]["letter"] == "B"


def judged(grader: str = "first", says: Callable[[str], Verdict] = lambda text: C) -> Any:
    """An evaluation by a judge of ten questions, every second one answered at length."""
    letters = "ABCDE" * 2
    questions = tuple(Question(str(n), f"{n} where?", (letters[n],)) for n in range(10))

    def sample(prompts: Sequence[str], **_: Any) -> Any:
        texts = [
            f"{letters[n]} {'so it goes ' * 15 * (n % 2)}" for n in (int(prompt.split()[0]) for prompt in prompts)
        ]
        return [[Completion(text, -0.5, 2, False)] for text in texts]

    judge = SimpleNamespace(
        model="the-judge",
        grade=lambda cases: [says(one.response.answer) for one in cases],
        report=lambda: {"model": "the-judge", "failures": {}},
    )
    sampler = SimpleNamespace(name="m", sample=sample)
    task = Task("toy", (), questions, grader)
    return evaluate(sampler, task, [0], judge=judge)  # type: ignore[arg-type]


def strict_with_long(text: str) -> Verdict:
    return I if len(text) > 40 else C


def test_the_table_of_an_evaluation_has_both() -> None:
    found = judged("choice", strict_with_long).metrics
    assert found["reading_gap"] is found["long_answers"] is None  # a judge graded, and no rule of ours
    groups = found["judge"]["agreement"]
    assert [(row["words"], row["n"], row["agreed"]) for row in groups["by_length"]] == [("≤ 5", 5, 1), ("> 40", 5, 0)]
    assert [row["letter"] for row in groups["by_letter"]] == list("ABCDE")
    text = render([found], width=100)
    assert "by the answer's length" in text and "by the letter of the right option" in text
    (long,) = [line for line in text.splitlines() if "> 40" in line]
    assert long.split()[2:] == ["5", "0.0%", "[0.0,", "41.6]", "0.00", "0.0%", "100.0%", "0"]
    assert max(map(len, text.splitlines())) <= 100
    for format in ("markdown", "latex", "csv", "json"):
        assert render([found], format)
    both = render([found, found], labels=["before", "after"])
    assert "before: Judge and string grader" in both and "after: Judge and string grader" in both


def test_metrics_of_earlier_versions_have_no_such_groups() -> None:
    assert agreement_blocks({"n": 3, "agreed": 1.0, "kappa": None, "left_out": 0, "pairs": {}}) == []
    found = judged().metrics
    old = {key: value for key, value in found["judge"]["agreement"].items() if not key.startswith("by_")}
    assert "by the answer's length" not in render([found | {"judge": found["judge"] | {"agreement": old}}])


def test_the_judge_of_a_run_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judged("first", strict_with_long).save(tmp_path)
    main(["--judged", str(tmp_path)])
    said = capsys.readouterr().out
    assert "the-judge agrees with first on 50.0% of 10 answers" in said and "by the answer's length" in said
    found = read_judged(tmp_path)
    stored = read_metrics(tmp_path / "metrics.json")["judge"]["agreement"]
    assert {name: found[name] for name in stored} == stored
    assert json.loads(render_judged(found, "json"))["by_length"] == found["by_length"]
    rows = list(csv.DictReader(io.StringIO(render_judged(found, "csv"))))
    assert [(row["words"], row["CORRECT/CORRECT"]) for row in rows] == [("≤ 5", "5"), ("> 40", "")]


def test_a_run_without_a_judge_is_refused(
    save_evaluation: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_evaluation(tmp_path)
    with pytest.raises(SystemExit):
        main(["--judged", str(tmp_path)])
    assert "no judge graded these answers" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--judged", str(tmp_path / "nowhere")])
