"""Semantic entropy: clusters, transitive and not, three forms by hand, and who says what is the same."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.detectors.nli import LABELS
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.samples import agreements, dissents
from abstain.evals.detectors.semantic_entropy import (
    FORMS,
    GraderEquivalence,
    NliEquivalence,
    cluster_samples,
    entropy_of_clusters,
    semantic_entropies,
)
from abstain.evals.policies.agreement import settle_samples
from abstain.evals.tasks.question import Task
from abstain.rewards.judge.grader import Case
from abstain.rewards.verdict import Verdict

from .asked_stub import SameBy, ScriptedNli

INITIAL = SameBy(lambda one, other: one[0] == other[0])
NEAR = SameBy(lambda one, other: abs(int(one) - int(other)) <= 1)
TASK = Task("toy", (), ())
words = st.lists(st.sampled_from(["Al", "Ann", "Bo", "Bob", "Cy"]), min_size=2, max_size=7)
log_likelihoods = st.lists(st.floats(-6, 0), min_size=7, max_size=7)


def of(*samples: str) -> Pair:
    return Pair("Who?", samples[0], samples=samples)


def test_clusters_of_the_official_example() -> None:
    """[0, 1, 2, 1] is entropy of (¼, ½, ¼)."""
    [ids] = cluster_samples([of("Al", "Bo", "Cy", "Bob")], INITIAL)
    assert ids.tolist() == [0, 1, 2, 1]
    assert entropy_of_clusters(ids, None, "discrete") == pytest.approx(-(0.5 * np.log(0.25) + 0.5 * np.log(0.5)))


@pytest.mark.parametrize(("convention", "ids"), [("paper", [0, 0, 1]), ("official", [0, 0, 1])])
def test_only_the_first_member_of_a_cluster_counts(convention: str, ids: list[int]) -> None:
    """1 is near 0 and 2 is near 1, but 2 is not near the first member, 0."""
    [found] = cluster_samples([of("0", "1", "2")], NEAR, convention=convention)  # type: ignore[arg-type]
    assert found.tolist() == ids


def test_a_sample_between_two_clusters_is_where_the_convention_says() -> None:
    """0 and 2 are apart, and 1 is near both: the paper's algorithm keeps it with 0, the code moves it to 2."""
    pair = [of("0", "2", "1")]
    assert cluster_samples(pair, NEAR, convention="paper")[0].tolist() == [0, 1, 0]
    assert cluster_samples(pair, NEAR, convention="official")[0].tolist() == [0, 1, 1]


def test_pairs_are_clustered_together_as_alone() -> None:
    pairs = [of("0", "1"), of("5", "0", "6", "1", "9"), of("3"), of("0", "2", "1")]
    for convention in ("paper", "official"):
        together = cluster_samples(pairs, NEAR, convention=convention)  # type: ignore[arg-type]
        alone = [cluster_samples([pair], NEAR, convention=convention)[0] for pair in pairs]  # type: ignore[arg-type]
        assert [ids.tolist() for ids in together] == [ids.tolist() for ids in alone]


def test_likelihood_form_by_hand() -> None:
    """Masses .2 and .1 + .3 of .6: p = ⅓, ⅔."""
    logs = np.log([0.2, 0.1, 0.3])
    assert entropy_of_clusters([0, 1, 1], logs, "likelihood") == pytest.approx(np.log(3) - 2 / 3 * np.log(2))
    assert entropy_of_clusters([0, 1, 1], logs, "kuhn") == pytest.approx(-(np.log(0.2) + np.log(0.4)) / 2)
    assert entropy_of_clusters([0, 0, 0], logs + 1, "likelihood") == 0
    assert entropy_of_clusters([0, 0, 0], logs + 1, "kuhn") == pytest.approx(-np.log(0.6) - 1)


@settings(max_examples=30)
@given(words, log_likelihoods, st.integers(0, 9))
def test_the_order_of_samples_changes_nothing(samples: list[str], logs: list[float], seed: int) -> None:
    order = random.Random(seed).sample(range(len(samples)), len(samples))
    for form in FORMS:
        one, other = (
            semantic_entropies(
                [of(*(samples[i] for i in places))], INITIAL, form=form, log_likelihoods=[[logs[i] for i in places]]
            ).values[0]  # type: ignore[arg-type]
            for places in (range(len(samples)), order)
        )
        assert one == pytest.approx(other)


@settings(max_examples=30)
@given(words, log_likelihoods)
def test_doubled_samples_and_bounds(samples: list[str], logs: list[float]) -> None:
    """Doubled, the normalised forms stay; they lie between 0 and the log of the number of clusters."""
    most = np.log(len({sample[0] for sample in samples}))
    logs = logs[: len(samples)]
    for form in ("discrete", "likelihood"):
        one, two = (
            semantic_entropies([of(*samples * k)], INITIAL, form=form, log_likelihoods=[logs * k]).values[0]  # type: ignore[arg-type]
            for k in (1, 2)
        )
        assert one == pytest.approx(two) and -1e-12 <= one <= most + 1e-9


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_equal_likelihoods_are_counts(ids: list[int]) -> None:
    equal = entropy_of_clusters(ids, [-2.0] * len(ids), "likelihood")
    assert equal == pytest.approx(entropy_of_clusters(ids, None, "discrete"))


def test_what_cannot_be_computed_is_nan_and_said() -> None:
    pairs = [of("Al", "Bo"), of("Al"), Pair("Who?", "Al")]
    found = semantic_entropies(pairs, INITIAL)
    assert found.values[0] == pytest.approx(np.log(2)) and np.isnan(found.values[1:]).all()
    assert found.notes == ("semantic_entropy: 2 of 3 responses have no score: fewer than 2 samples",)
    unknown = semantic_entropies(pairs[:1], INITIAL, form="likelihood", log_likelihoods=[[-1.0, float("nan")]])
    assert np.isnan(unknown.values).all() and "likelihood is not known" in unknown.notes[0]
    with pytest.raises(ValueError, match="needs the samples' log-likelihoods"):
        semantic_entropies(pairs, INITIAL, form="kuhn")
    with pytest.raises(ValueError, match="Did you mean 'discrete'"):
        entropy_of_clusters([0], None, "discreet")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Did you mean 'official'"):
        cluster_samples(pairs, INITIAL, convention="oficial")  # type: ignore[arg-type]


def test_responses_to_one_prompt_share_their_comparisons() -> None:
    same = SameBy(lambda one, other: one[0] == other[0])
    pairs = [Pair("Who?", said, samples=("Al", "Bo", "Ann")) for said in ("Al", "Bo", "Cy")]
    found = semantic_entropies(pairs, same)
    assert len(set(found.values)) == 1 and found.calls == same.calls == 3  # Al-Bo, Al-Ann, Bo-Ann


# --- who says what is the same

ENTAILS, NEUTRAL, AGAINST = np.eye(3).tolist()


@pytest.mark.parametrize(
    ("there", "back", "loose", "strict"),
    [
        (ENTAILS, ENTAILS, True, True),
        (ENTAILS, NEUTRAL, True, False),
        (NEUTRAL, ENTAILS, True, False),
        (NEUTRAL, NEUTRAL, False, False),
        (ENTAILS, AGAINST, False, False),
        (AGAINST, NEUTRAL, False, False),
        (AGAINST, AGAINST, False, False),
    ],
)
def test_nli_says_both_ways_what_is_the_same(there: list[float], back: list[float], loose: bool, strict: bool) -> None:
    nli = ScriptedNli({("Who? Al", "Who? Bo"): tuple(there), ("Who? Bo", "Who? Al"): tuple(back)})  # type: ignore[dict-item]
    case = (of("Al", "Bo"), "Al", "Bo")
    assert NliEquivalence(nli)([case]) == [loose]
    assert NliEquivalence(nli, strict=True)([case]) == [strict]
    assert NliEquivalence(nli, with_question=False)([case]) == [False] and nli.asked[-1] == ("Bo", "Al")
    assert LABELS == ("entailment", "neutral", "contradiction")


def test_the_grader_says_both_ways_what_is_the_same() -> None:
    same = GraderEquivalence(TASK)
    pair = of("Lima", "Oslo")
    asked = [
        ("Lima", "lima."),
        ("Lima", "It is Lima"),
        ("Lima", "Oslo"),
        ("I don't know", ""),
        ("Oslo", "I don't know"),
    ]
    assert same([(pair, *texts) for texts in asked]) == [True, True, False, True, False]
    assert same.calls == 0


def test_the_grader_gets_the_question() -> None:
    seen: list[Case] = []

    class Judge:
        def grade(self, cases: list[Case]) -> list[Verdict]:
            seen.extend(cases)
            return [Verdict.CORRECT, Verdict.CORRECT, Verdict.CORRECT, Verdict.INCORRECT]

    judge = Judge()
    same = GraderEquivalence(TASK, judge)  # type: ignore[arg-type]
    pair = Pair("Question: Where?\nAnswer:", "Lima")
    assert same([(pair, "Lima", "in Lima"), (pair, "Peru", "in Lima")]) == [True, False] and same.calls == 4
    assert [(case.question, case.gold) for case in seen[:2]] == [("Where?", ["in Lima"]), ("Where?", ["Lima"])]


# --- self-consistency


def test_agreement_is_the_policys_own() -> None:
    pairs = [of("Lima", "lima", "Oslo", "Lima"), of("I don't know", "I don't know"), of("Lima"), of("Lima", "Oslo")]
    found = agreements(pairs, TASK)
    assert found.values[[0, 1, 3]].tolist() == [0.25, 1, 0.5] and np.isnan(found.values[2])
    assert settle_samples([], [], lambda *_: []) == []  # what it is made of takes nothing, too
    assert agreements([], TASK).values.shape == (0,)


def test_dissent_is_about_the_response() -> None:
    pairs = [Pair("Who?", "Al", samples=("Ann", "Bo", "Cy")), Pair("Who?", "Bo", samples=("Bo",)), Pair("Who?", "Bo")]
    found = dissents(pairs, INITIAL)
    assert found.values[:2].tolist() == pytest.approx([2 / 3, 0]) and np.isnan(found.values[2])
    assert found.notes == ("dissent: 1 of 3 responses has no score: no samples",)


@settings(max_examples=30)
@given(words)
def test_more_agreement_is_a_lower_score(samples: list[str]) -> None:
    """Each step replaces a sample by the first one."""
    steps = [tuple([samples[0]] * k + samples[k:]) for k in range(1, len(samples) + 1)]
    scores = dissents([Pair("Who?", samples[0], samples=step) for step in steps], INITIAL).values
    assert all(one >= other for one, other in pairwise(scores)) and scores[-1] == 0
