"""Edges that the other tests of these modules pass by: certainty, everything held out, a count nobody knows."""

import json
import math
from pathlib import Path

import pytest

from abstain.evals.metrics.intervals import student_interval
from abstain.evals.metrics.oracle import ForcedAnswers, threshold_score
from abstain.evals.rescore.rescoring import rescore
from abstain.evals.tables.grid import Column, Grid, latex_lines, text_lines
from abstain.evals.tasks.question import Question
from abstain.evals.tasks.splits import rank, split_by_subject
from abstain.rewards.verdict import Verdict


def test_a_model_may_be_certain_either_way() -> None:
    """After reinforcement learning it often is: q = 1 in its answer, or 0 to all the digits that floats have."""
    said = [0.0, 1.0, 0.5, -1e-9, 1 + 1e-9, 2.0, math.nan, math.inf, None]
    answers = ForcedAnswers.of([str(i) for i in range(len(said))], [Verdict.CORRECT] * len(said), said)
    assert answers.confidence[:3].tolist() == [0.0, 1.0, 0.5]
    assert all(math.isnan(q) for q in answers.confidence[3:])
    assert answers.known.tolist() == [True] * 3 + [False] * 6
    assert threshold_score(answers, 0.9, 0.9) == pytest.approx(1 / len(said))  # the certain one is given


@pytest.mark.parametrize("known", ["mini", "o4", "both", "neither"])
def test_a_crossing_has_an_interval_where_both_counts_are_known(known: str, tmp_path: Path) -> None:
    counts = {model: "4326" if known in (model, "both") else "" for model in ("mini", "o4")}
    rows = [f"mini,52,22,26,{counts['mini']}", f"o4,1,24,75,{counts['o4']}"]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["model,abstained,correct,incorrect,n", *rows]) + "\n")
    (crossing,) = rescore([path]).rankings[0].crossings
    assert crossing.target == pytest.approx(2 / 51) and not crossing.paired
    assert (crossing.interval is not None) == (known == "both")


def test_a_crossing_may_be_wherever_the_lead_may_be_nothing(tmp_path: Path) -> None:
    """Just inside its interval the difference of the two scores may be 0, just outside it may not."""
    names = {"C": "CORRECT", "I": "INCORRECT", "A": "ABSTAINED"}
    said = {"bold": "CIICCC" * 40, "shy": "CAAACA" * 40}
    rows = [{"model": model, "id": i, "grade": names[c]} for model, line in said.items() for i, c in enumerate(line)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    (crossing,) = rescore([path]).rankings[0].crossings
    low, high = crossing.interval or (0, 1)
    assert crossing.target == pytest.approx(0.5) and 0.4 < low < 0.5 < high < 0.6 and crossing.paired
    places = [low - 0.002, low + 0.002, high - 0.002, high + 0.002]
    ends = [lead.interval or (0, 0) for lead in rescore([path], places).rankings[0].leads]
    assert [below <= 0 <= above for below, above in ends] == [False, True, True, False]


def test_the_interval_of_unequal_repeats_is_about_the_score(tmp_path: Path) -> None:
    """Four questions answered once and wrong, one answered nine times and right: nine of thirteen."""
    rows = [{"id": i, "grade": "INCORRECT"} for i in range(4)]
    rows += [{"id": 4, "epoch": epoch, "grade": "CORRECT"} for epoch in range(1, 10)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    (row,) = rescore([path], [0.5]).metrics[0]["by_target"]
    low, high = row["score_ci"]
    assert row["score"] == pytest.approx(5 / 13) and -1 <= low < 0 < 5 / 13 < high <= 1


def questions(*subjects: str) -> list[Question]:
    return [Question(str(i), f"Question {i}?", ("x",), subject) for i, subject in enumerate(subjects)]


@pytest.mark.parametrize(
    ("subjects", "share", "sizes"),
    [
        ("ab", 1, (0, 2)),  # all means all
        ("abc", 1.0, (0, 3)),
        ("ab", 0.999, (1, 1)),  # below that, something is left to train on
        ("abc", 0.999, (1, 2)),
        ("a", 0.3, (0, 1)),  # but one subject is not divided, and the share is met from above
        ("aa", 0.3, (0, 2)),
        ("a", 1, (0, 1)),
        ("a", 0, (1, 0)),
        ("ab", 0, (2, 0)),
        ("", 0.5, (0, 0)),
    ],
)
def test_how_many_are_held_out_at_the_ends(subjects: str, share: float, sizes: tuple[int, int]) -> None:
    train, held_out = split_by_subject(questions(*subjects), share)
    assert (len(train), len(held_out)) == sizes


def test_who_ranks_first_is_held_out_first() -> None:
    asked = questions(*"abcdefghij")
    first = min("abcdefghij", key=lambda subject: rank(subject, 0))
    assert [question.subject for question in split_by_subject(asked, 0.1)[1]] == [first]


@pytest.mark.parametrize(
    ("means", "half"),
    [
        ([0.0, 1.0], 12.7062 / 2),  # t(.975; 1), and a standard error of 1/2
        ([0.0, 0.25, 0.5], 4.30265 * 0.25 / math.sqrt(3)),  # t(.975; 2)
        ([1.0, 0.0, 1.0, 0.0], 3.18245 * math.sqrt(1 / 3) / 2),  # t(.975; 3)
    ],
)
def test_students_interval_is_that_of_the_tables(means: list[float], half: float) -> None:
    middle = sum(means) / len(means)
    assert student_interval(means) == pytest.approx((middle - half, middle + half), rel=1e-5)


def number(group: str = "", heading: str = "x") -> Column:
    return Column(heading, heading, str, group=group)


def of_ones(*columns: Column) -> Grid:
    return Grid.of(columns, ["1"], keys=1, grouped=False, dim=[False])


def test_a_long_title_has_just_the_room_that_it_needs() -> None:
    """Eleven characters over three columns of one: the last column grows until a space stands on either side."""
    grid = of_ones(number(), *[number("eleven char")] * 3, number())
    narrow = [line.plain for line in text_lines(grid, width=18)]
    assert narrow[:3] == ["    eleven char", " x x x         x x", " " + "─" * 17]
    wide = [line.plain for line in text_lines(grid, width=60)]
    assert wide[0] == "     " + "── eleven char ──"
    assert wide[1] == " x   x   x           x   x"


def test_a_short_title_takes_no_room() -> None:
    fitting = [line.plain for line in text_lines(of_ones(number(), *[number("one")] * 3), width=8)]
    assert fitting[:3] == ["    one", " x x x x", " " + "─" * 7]
    short = [line.plain for line in text_lines(of_ones(number(), *[number("one")] * 4), width=10)]
    assert short[:3] == ["   ─ one ─", " x x x x x", " " + "─" * 9]


def test_titles_of_latex_span_their_columns_and_no_others() -> None:
    grid = of_ones(number(), number(), number("50% off"), number("50% off"), number(), number("solo"))
    assert latex_lines(grid)[2:4] == [
        r" &  & \multicolumn{2}{c}{50\% off} &  & \multicolumn{1}{c}{solo} \\",
        r"\cmidrule(lr){3-4}\cmidrule(lr){6-6}",
    ]
    assert latex_lines(of_ones(number(), number()))[2] == r"x & x \\"
