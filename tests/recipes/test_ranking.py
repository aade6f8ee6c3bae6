"""Nobody is called the best who may be so by chance, or who collapsed."""

from pathlib import Path

import pytest

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import Baseline
from abstain.evals.records import Record, write_records
from abstain.recipes.sweep.ranking import PointData, in_sentences, ranked, verdict
from abstain.rewards.verdict import Verdict

N = 200
ORACLE = Baseline("post-hoc", 0.9, 0.5, 0.8, 0.5)
LETTERS = {"C": Verdict.CORRECT, "I": Verdict.INCORRECT, "A": Verdict.ABSTAINED}


@pytest.fixture
def point(tmp_path):
    """`point(value, seed, letters)`: a run whose first question got the first letter, at t = 0.5."""

    def _point(value: str, seed: int, letters: str, kind: str = "better") -> PointData:
        path = tmp_path / f"{value}-{seed}"
        rows = [
            Record(f"q{i}", "toy", "?", (), 0.5, "", "", "", LETTERS[letter], 0.5) for i, letter in enumerate(letters)
        ]
        write_records(path / "records.jsonl", rows)
        metrics = measure(rows, model="m", task="toy", baselines={0.5: ORACLE})
        judged = {"conclusion": {"kind": kind, "words": "…", "further": []}}
        return PointData(path.name, Path(path), {"form": value}, seed, "complete", "", metrics | judged)

    return _point


def right(count: int) -> str:
    return "C" * count + "A" * (N - count)


def test_the_best_is_better_than_each_other(point):
    found = ranked([point("b", 0, right(100)), point("a", 0, right(150)), point("c", 0, right(60))])
    assert [group.settings["form"] for group in found.groups] == ["a", "b", "c"] and found.best is found.groups[0]
    assert in_sentences(found, {}) == ["Of 3 settings, the best is form=a: its mean regret is 0.150."]


def test_no_best_among_ties(point):
    """Two answers of two hundred are nothing to tell anybody by; fifty are."""
    found = ranked([point("a", 0, right(150)), point("b", 0, right(148)), point("c", 0, right(100))])
    assert found.best is None and [group.settings["form"] for group in found.tied] == ["a", "b"]
    assert in_sentences(found, {}) == [
        "No best setting: 2 of 3 cannot be told apart.",
        "They are form=a: mean regret 0.150; form=b: mean regret 0.160.",
    ]


def test_answers_that_cannot_be_paired_are_a_tie(point):
    found = ranked([point("a", 0, right(150)), point("b", 1, right(50))])
    assert found.best is None and len(found.tied) == 2, "another seed, other questions"


def test_seeds_decide_where_there_are_three(point):
    """Each seed of a beats the same seed of b by far, but by how much differs."""
    gains = {0: 20, 1: 60, 2: 40}
    points = [point("b", seed, right(100)) for seed in gains]
    found = ranked([*points, *(point("a", seed, right(100 + gain)) for seed, gain in gains.items())])
    # differences -.1, -.3 and -.2: mean -.2, sd .1, and Student's t of two degrees of freedom is 4.303
    assert found.compared[0].interval == pytest.approx((-0.2 - 0.2484, -0.2 + 0.2484), abs=1e-3)
    assert found.best is None
    (said, _) = in_sentences(found, {})
    assert said.startswith("No best setting: 2 of 2")


@pytest.mark.parametrize("kind", ["collapsed", "worse than silence", "never learned"])
def test_who_failed_is_not_the_best_whatever_the_regret(point, kind):
    found = ranked([point("a", 0, right(150), kind), point("a", 1, right(150)), point("b", 0, right(50))])
    assert [group.settings["form"] for group in found.groups] == ["b", "a"]
    assert found.best is found.groups[0]
    assert in_sentences(found, {})[0].startswith(
        "Of 2 settings, the best is form=b (1 of the others collapsed or learned nothing): its mean regret is 0.650."
    )


def test_if_all_failed_there_is_no_best(point):
    found = ranked([point("a", 0, right(9), "collapsed"), point("b", 0, right(9), "never learned")])
    assert found.tied == [] and found.best is None
    assert in_sentences(found, {}) == [
        "No best setting: each has a run that came to nothing (of 2 in all: 1 collapsed, 1 never learned)."
    ]


def test_one_setting_has_nothing_to_be_better_than(point):
    found = ranked([point("a", seed, right(100 + seed)) for seed in (0, 2)])
    assert in_sentences(found, {}) == ["One setting, with nothing to compare it with: mean regret 0.395 ± 0.007."]


def test_a_collapse_is_seen_in_the_numbers_of_an_earlier_version(point):
    silent = point("a", 0, "A" * N)
    metrics = {key: value for key, value in silent.metrics.items() if key != "conclusion"}
    assert verdict(metrics) == "collapsed" and verdict(silent.metrics) == "better" and verdict(None) == ""
    assert verdict({**metrics, "conclusion": {"kind": 3}}) == "collapsed"
