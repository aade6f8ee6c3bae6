"""Signals and alarms: hand-computed numbers, and collapses that are and are not seen."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.evals.tasks.question import Question
from abstain.rewards.verdict import Verdict
from abstain.trainers.guards.alarms import KINDS, Watch
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.guards.rollouts import Group, Rollouts, Window
from abstain.trainers.guards.signals import (
    Evidence,
    effective_threshold,
    fitted_probabilities,
    group_threshold,
    measure_window,
    start_probabilities,
)


def group(target, correct=0, incorrect=0, abstained=0, ungraded=0, question="q", distinct=1):
    return Group(question, target, correct, incorrect, abstained, ungraded, distinct)


# Effective thresholds


def test_the_threshold_is_that_of_the_policy_that_attempts_as_many():
    p = np.repeat([0.1, 0.4, 0.6, 0.95], 25)
    assert effective_threshold(p, (p > 0.5).astype(float)) == pytest.approx(0.5)
    assert effective_threshold(p, np.full(100, 0.5)) == pytest.approx(0.5)  # whichever questions they are
    assert effective_threshold(p, np.where(p == 0.6, 0.5, p > 0.6)) == pytest.approx(0.6)  # half of those at .6


@pytest.mark.parametrize("share", [0.0, 0.01, 0.99, 1.0])
def test_no_threshold_where_all_or_nothing_is_attempted(share):
    assert effective_threshold(np.linspace(0, 1, 200), np.full(200, share)) is None


def test_no_threshold_from_too_few_groups_or_unknown_ones():
    assert effective_threshold(np.linspace(0, 1, 29), np.full(29, 0.5)) is None
    assert effective_threshold(np.full(100, np.nan), np.full(100, 0.5)) is None
    assert group_threshold([group(0.5, 1)], {}) is None
    assert group_threshold([group(0.5, ungraded=4)], {"q": 0.5}) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=30, max_size=60))
def test_the_threshold_lies_among_the_probabilities_and_falls_as_more_is_attempted(rows):
    p, shares = np.array(rows).T
    found, bolder = effective_threshold(p, shares), effective_threshold(p, np.sqrt(shares))
    if found is not None:
        assert p.min() <= found <= p.max()
        assert bolder is None or bolder <= found + 1e-12


def test_a_confident_model_that_is_often_wrong_is_recalibrated():
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, 4000)
    overconfident = 1 / (1 + np.exp(-2 * np.log(p / (1 - p))))  # twice the log-odds
    answers = ForcedAnswers(tuple(map(str, range(4000))), (rng.random(4000) < p).astype(float), overconfident)
    fitted = fitted_probabilities(answers, answers)
    assert np.abs(fitted - p).max() < 0.05
    found = effective_threshold(fitted, (p > 0.75).astype(float))
    assert found == pytest.approx(0.75, abs=0.03)


def test_a_guess_without_a_probability_spoils_no_fit():
    correct, confidence = np.array([1.0, 0.0, 1.0, 0.0, 1.0]), np.array([0.9, 0.2, 0.7, 0.4, np.nan])
    ids = tuple("abcde")
    fitted = fitted_probabilities(*[ForcedAnswers(ids, correct, confidence)] * 2)
    without = fitted_probabilities(*[ForcedAnswers(ids[:4], correct[:4], confidence[:4])] * 2)
    assert np.isnan(fitted[4]) and fitted[:4] == pytest.approx(without)


def test_the_true_probability_is_taken_where_it_is_known():
    nothing = ForcedAnswers.of([], [], [])
    assert start_probabilities(nothing) == {}
    known = Question("a", "Who?", ("Bo",), metadata={"true_p": 0.25})
    assert start_probabilities(nothing, [known]) == {"a": 0.25}
    ungraded = ForcedAnswers.of(["a"], [Verdict.UNGRADED], [0.5])
    assert start_probabilities(ungraded) == {}


def test_evidence_needs_four_attempts_and_pools_targets():
    evidence = Evidence()
    evidence.add([group(0.0, correct=1, incorrect=1), group(0.9, correct=1, abstained=3)])
    assert evidence.probabilities() == {}
    evidence.add([group(0.5, incorrect=1)])
    assert evidence.probabilities() == {"q": 2.5 / 5}


# Counting


class State:
    global_step = 7


def columns(targets, completions, golds=("Lima",), **more):
    size = len(completions)
    return {
        "prompts": [f"Where was {i // 2} born?" for i in range(size)],
        "completions": completions,
        "target": targets,
        "question_id": [f"q{i // 2}" for i in range(size)],
        "answers": [list(golds)] * size,
        "trainer_state": State(),
        **more,
    }


def test_completions_are_counted_by_prompt_only_while_training():
    rollouts = Rollouts()
    batch = columns([0.5] * 4, ["Lima", "Lima", "Oslo", "I don't know"])
    verdicts = ["CORRECT", "CORRECT", "INCORRECT", "ABSTAINED"]
    rollouts.add(batch, verdicts, [0.5, 0.5, -0.5, 0.0])
    assert rollouts.take().groups == []
    rollouts.open = True
    rollouts.add(batch, verdicts, [0.5, 0.5, -0.5, 0.0])
    window = rollouts.take()
    assert window.groups == [
        Group("q0", 0.5, correct=2, incorrect=0, abstained=0, ungraded=0, distinct=1),
        Group("q1", 0.5, correct=0, incorrect=1, abstained=1, ungraded=0, distinct=2),
    ]
    assert +window.answers == {"Lima": 2, "Oslo": 1}
    assert +window.golds == {"Lima": 4}
    assert rollouts.take().groups == []
    first = rollouts.samples[0]
    assert (first.step, first.question, first.completion, first.reward) == (7, "Where was 0 born?", "Lima", 0.5)


def test_the_sample_shows_questions_without_their_instruction_and_conversations():
    from abstain.rewards.prompts import prompt_text

    rollouts = Rollouts()
    rollouts.open = True
    prompts = [[{"role": "user", "content": prompt_text("Who?", 0.75)}]]
    rollouts.add(
        {"prompts": prompts, "completions": [[{"role": "assistant", "content": "Bo"}]], "target": [0.75]},
        ["CORRECT"],
        [0.25],
    )
    sample = rollouts.samples[0]
    assert (sample.question, sample.completion, sample.target) == ("Who?", "Bo", 0.75)
    assert rollouts.take().groups[0].question == prompt_text("Who?", 0.75)  # no id: the prompt tells questions apart


def test_windows_of_processes_are_joined_and_rare_answers_pooled():
    one, other = Rollouts(), Rollouts()
    for rollouts in (one, other):
        rollouts.open = True
        texts = [f"answer {i}" for i in range(200)] + ["Lima"] * 200
        rollouts.add(columns([0.5] * 400, texts), ["INCORRECT"] * 400, [0.0] * 400)
    window = Window.joined([one.take(), other.take()])
    assert window.answers.total() == 800 and len(window.answers) <= 2 * 51
    assert window.answers["Lima"] == 400
    assert measure_window(window).top_answer_share == 0.5


# Signals


def test_signals_by_hand():
    window = Window(
        [
            group(0.0, correct=2, incorrect=2, question="known", distinct=2),
            group(0.9, correct=1, abstained=3, question="known", distinct=1),
            group(0.9, abstained=2, ungraded=2, question="unknown", distinct=4),
        ]
    )
    signals = measure_window(window, known={"known"})
    assert signals.all.abstention == pytest.approx(5 / 10)
    assert signals.all.correct == pytest.approx(3 / 10)
    assert signals.by_target["t=0"].accuracy_attempted == 0.5
    assert signals.by_target["t=0.9"].abstention == pytest.approx(5 / 6)
    assert signals.over_refusal == {"t=0": 0.0, "t=0.9": 0.75, "all": 3 / 8}
    assert signals.unique_completions == pytest.approx((2 / 4 + 1 / 4 + 4 / 4) / 3)
    assert signals.ungraded == pytest.approx(2 / 12)
    assert "guards/effective_threshold/t=0.9" not in signals.logs()
    json.dumps(signals.logs(), allow_nan=False)


def test_nothing_at_all_has_no_signals_but_no_errors():
    signals = measure_window(Window([group(None, ungraded=3)]))
    assert signals.logs() == {"guards/unique_completions": 1 / 3}
    assert measure_window(Window()).logs() == {}


# Alarms


def window(low, high, n=100, answers=None, golds=None):
    """A window with (correct, incorrect, abstained) shares at t = 0 and at t = .9."""
    groups = []
    for target, shares in ((0.0, low), (0.9, high)):
        counts = [round(share * n) for share in shares]
        groups += [group(target, *counts, question="known")]
    found = Window(groups)
    found.answers.update(answers or {f"city {i}": 1 for i in range(100)})
    found.golds.update(golds or {f"city {i}": 1 for i in range(100)})
    return found


HEALTHY = window((0.5, 0.5, 0), (0.45, 0.02, 0.53))
COLLAPSES = {
    "all_idk": window((0.02, 0.02, 0.96), (0.01, 0.01, 0.98)),
    "all_guess": window((0.5, 0.5, 0), (0.5, 0.5, 0)),
    "one_answer": window((0.05, 0.95, 0), (0.05, 0.15, 0.8), answers={"Lima": 60, "Oslo": 40}),
    "targets_ignored": window((0.4, 0.1, 0.5), (0.4, 0.1, 0.5)),
}


def onset(watch, found, checks=6):
    signals = measure_window(found, known={"known"})
    return [alarm for step in range(checks) for alarm in watch.update(signals, step)]


def test_a_healthy_policy_raises_no_alarm():
    assert onset(Watch(), HEALTHY) == []


@pytest.mark.parametrize("kind", COLLAPSES)
def test_each_collapse_is_seen_once_with_a_remedy_and_ends(kind):
    watch = Watch()
    onset(watch, HEALTHY)
    alarms = onset(watch, COLLAPSES[kind])
    assert [alarm.kind for alarm in alarms] == [kind]
    assert alarms[0].step == KINDS[kind].patience - 1
    assert f"{kind}: " in alarms[0].message and "\nTry " in alarms[0].message
    ends = onset(watch, HEALTHY)
    assert [(alarm.kind, alarm.ended) for alarm in ends] == [(kind, True)] and "is over" in ends[0].message


def test_advice_names_remedies_that_exist():
    fields = set(GuardOptions.model_fields)
    named = {word.strip(",.") for kind in KINDS.values() for word in kind.advice.split() if word.startswith("guards.")}
    assert named and {name.removeprefix("guards.") for name in named} <= fields


def test_one_dip_is_no_alarm():
    watch = Watch()
    for found in (HEALTHY, COLLAPSES["all_idk"], HEALTHY, COLLAPSES["all_idk"], HEALTHY):
        assert onset(watch, found, checks=1) == []


def test_right_abstention_is_no_collapse():
    """A model that knows next to nothing should abstain, and one that is right should answer."""
    humble = window((0.02, 0.02, 0.96), (0.0, 0.0, 1.0))
    signals = measure_window(humble, known={"another"})  # what it knew was not asked
    assert not signals.over_refusal
    fine = measure_window(Window([*humble.groups, group(0.9, correct=80, abstained=20, question="k")] * 2), {"k"})
    assert KINDS["all_idk"].check(fine, Watch(best_correct=0.1)) is None
    sure = measure_window(window((0.99, 0.01, 0), (0.99, 0.01, 0)))
    assert all(kind.check(sure, Watch(best_correct=0.99)) is None for kind in KINDS.values())


def test_answers_that_are_alike_by_nature_are_no_collapse():
    yes = window((0.6, 0.4, 0), (0.5, 0.02, 0.48), answers={"yes": 70, "no": 30}, golds={"yes": 60, "no": 40})
    assert onset(Watch(), yes) == []


def test_ungraded_completions_raise_an_alarm_and_are_not_mistaken_for_abstention():
    down = Window([group(0.5, ungraded=150), group(0.9, abstained=20)])
    assert [alarm.kind for alarm in onset(Watch(), down)] == ["ungraded"]


def test_too_few_completions_say_nothing():
    assert onset(Watch(), window((0, 0, 1), (0, 0, 1), n=10)) == []


def gap_alarms(shares, n=400, watch=None):
    """Alarms of a run in which these shares of completions are right leniently only, check after check."""
    watch = watch or Watch()
    found = []
    for step, share in enumerate(shares):
        seen = window((0.5, 0.5, 0), (0.45, 0.02, 0.53))
        seen.compared = n
        seen.apart = Counter(["Lima maybe Rome"] * round(share * n))
        found += watch.update(measure_window(seen, {"known"}), step)
    return found


def test_a_growing_gap_between_the_readings_raises_an_alarm_that_shows_it():
    alarms = gap_alarms([0.01, 0.0, 0.02, 0.05, 0.09, 0.15, 0.3, 0.6])
    assert [(alarm.kind, alarm.step) for alarm in alarms] == [("reading_gap", 5)]
    message = alarms[0].message
    assert (
        "15.0% of the completions are right leniently and not strictly, 0.0% once were: 'Lima maybe Rome'" in message
    )
    assert "farmed" in message and "grammar is too narrow" in message and "guards.stop" in message


@pytest.mark.parametrize(
    "shares",
    [
        [0.0] * 8,
        [0.3, 0.31, 0.29, 0.3, 0.33, 0.3],  # it has always written in sentences
        [0.4, 0.3, 0.2, 0.1, 0.05, 0.02],  # and learns not to
        [0.0, 0.04, 0.03, 0.04, 0.04],
        [0.0, 0.2, 0.0, 0.2, 0.0],  # no two checks in a row
    ],
)
def test_a_gap_that_does_not_grow_raises_none(shares):
    assert gap_alarms(shares) == []


def test_few_completions_and_one_reading_raise_none():
    assert gap_alarms([0.0] + [0.1] * 5, n=70) == []  # three standard errors are 11 %
    assert gap_alarms([0.0] + [0.9] * 5, n=20) == []
    assert measure_window(window((0.5, 0.5, 0), (0.5, 0.5, 0))).reading_gap is None


def test_the_gap_ends_and_is_remembered_by_a_resumed_run():
    watch = Watch()
    gap_alarms([0.0], watch=watch)
    again = Watch(**json.loads(json.dumps(asdict(watch))))
    assert [(a.kind, a.ended) for a in gap_alarms([0.2, 0.2, 0.01], watch=again)] == [
        ("reading_gap", False),
        ("reading_gap", True),
    ]
    old = {"best_correct": 0.5, "seen": {}, "active": {}}  # of a checkpoint that knew no gap
    assert gap_alarms([0.2, 0.2], watch=Watch(**old)) == []


def test_both_readings_are_overheard_and_counted():
    rollouts = Rollouts()
    rollouts.open = True
    texts = ["Lima", "Lima maybe Rome", "Lima maybe Rome", "Rome"]
    verdicts, others = ["CORRECT", *["INCORRECT"] * 3], [*["CORRECT"] * 3, "INCORRECT"]
    rollouts.add(columns([0.5] * 4, texts), verdicts, [0.0] * 4, others)
    rollouts.add(columns([0.5] * 4, texts), verdicts, [0.0] * 4)  # of a judge, which reads one way
    found = rollouts.take()
    assert found.compared == 4 and +found.apart == {"Lima maybe Rome": 2}
    signals = measure_window(Window.joined([found, found]))
    assert (signals.compared, signals.reading_gap, signals.apart) == (8, 0.5, "Lima maybe Rome")


def test_a_watch_goes_on_from_its_state():
    watch = Watch()
    onset(watch, HEALTHY)
    onset(watch, COLLAPSES["all_idk"], checks=2)
    again = Watch(**json.loads(json.dumps(asdict(watch))))
    assert [alarm.kind for alarm in onset(again, COLLAPSES["all_idk"], checks=1)] == ["all_idk"]


# Collapses on purpose


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "collapses").glob("*.yaml")), ids=lambda p: p.stem
)
def test_recipes_that_collapse_are_recipes(path):
    from abstain.recipes.run.checks import check_recipe
    from abstain.recipes.run.recipe import load_recipe

    recipe, origin = load_recipe(str(path))
    check_recipe(recipe, origin)
    assert recipe.name == path.stem
