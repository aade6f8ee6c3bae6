"""Scores of verdicts: the paper's numbers, the thresholds they imply, and TRL's calling convention."""

import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import factorial, prod, sqrt
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import abstain.rewards
from abstain.rewards import READY_MADE, REWARDS, ConfidenceTarget, ProperScore, TernaryCredit, Verdict, build_reward
from abstain.rewards.graders import GRADERS
from abstain.rewards.prompts import prompt_text
from abstain.rewards.response import AnswerFormat, Response
from abstain.rewards.scoring import Form, confidence_score
from abstain.rewards.verdict_reward import VerdictReward, read_questions, verdict_rates

TARGETS = st.floats(0, 0.99)
CHANCES = st.floats(0, 1)
LIMA = {"completions": ["Lima", "Quito", "I don't know"], "answers": [["Lima"]] * 3}


def score(verdict: Verdict, target: float, form: Form = "bounded") -> float:
    value = confidence_score(verdict, target, form)
    assert value is not None
    return value


def answering(p: float, target: float, form: Form) -> float:
    return p * score(Verdict.CORRECT, target, form) + (1 - p) * score(Verdict.INCORRECT, target, form)


# Kalai et al. 2025, section 4.2: no penalty at t = 0, 1 point at 0.5, 3 at 0.75, 9 at 0.9.
@pytest.mark.parametrize(("target", "points"), [(0, 0), (0.5, 1), (0.75, 3), (0.9, 9)])
def test_original_form_is_the_papers(target: float, points: float) -> None:
    assert score(Verdict.CORRECT, target, "original") == 1
    assert score(Verdict.ABSTAINED, target, "original") == 0
    assert score(Verdict.INCORRECT, target, "original") == pytest.approx(-points)
    assert confidence_score(Verdict.UNGRADED, target) is confidence_score(Verdict.UNGRADED, target, "original") is None


@given(TARGETS, st.sampled_from([Verdict.CORRECT, Verdict.ABSTAINED, Verdict.INCORRECT]))
def test_bounded_is_one_minus_t_times_original(target: float, verdict: Verdict) -> None:
    assert score(verdict, target) == pytest.approx((1 - target) * score(verdict, target, "original"))
    assert -1 <= score(verdict, target) <= 1


@given(CHANCES, TARGETS, st.sampled_from(["bounded", "original"]))
def test_abstaining_is_best_iff_p_is_below_t(p: float, target: float, form: Form) -> None:
    if p > target + 1e-9:
        assert answering(p, target, form) > 0
    if p < target - 1e-9:
        assert answering(p, target, form) < 0


@given(st.floats(-5, 5), st.floats(0.01, 5), st.floats(0, 0.99), CHANCES)
def test_ternary_credit_is_worth_answering_above_its_implied_target(
    wrong: float, width: float, place: float, p: float
) -> None:
    reward = TernaryCredit(wrong + width, wrong + place * width, wrong)
    assert reward.implied_target == pytest.approx(place, abs=1e-6)
    gain = p * reward.correct + (1 - p) * reward.wrong - reward.abstain
    if abs(p - place) > 1e-6:
        assert (gain > 0) == (p > place)


@pytest.mark.parametrize(("preset", "target"), [("truthrl", 0.5), ("knowrl", 2 / 3), ("nemo", 0.5)])
def test_presets_imply(preset: str, target: float) -> None:
    reward, logged = TernaryCredit.preset(preset), {}
    assert reward.implied_target == pytest.approx(target) and f"implied_target={target:.3g}" in repr(reward)
    reward(**LIMA, log_metric=logged.__setitem__)
    assert logged[f"implied_target/{reward.__name__}"] == pytest.approx(target)
    with pytest.raises(ValueError, match=rf"unknown preset 'x{preset}'\. Did you mean '{preset}'"):
        TernaryCredit.preset(f"x{preset}")


@pytest.mark.parametrize(
    ("credits", "why"),
    [
        ((0, 0, 0), "less than a correct one"),
        ((-1, 0, 1), "less than a correct one"),
        ((1, 1, -1), "nobody would ever answer"),
        ((1, -2, -1), "nobody would ever abstain"),
        ((float("inf"), 0, -1), "credit 'correct' is inf"),
        ((1, "none", -1), "credit 'abstain' is 'none'"),
    ],
)
def test_senseless_credits_are_refused(credits: tuple[Any, Any, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TernaryCredit(*credits)


# --- group std normalisation: exact enumeration of a group of 8, every member of which answers half of the time


def answering_gains(p: float, credits: tuple[float, float, float], size: int = 8) -> float:
    """Expected advantage of answering minus that of abstaining when advantages are divided by the group's std."""
    chances = (p / 2, 0.5, (1 - p) / 2)
    expected = [0.0, 0.0, 0.0]
    for right in range(size):
        for idle in range(size - right):
            others = (right, idle, size - 1 - right - idle)
            ways = factorial(size - 1) / prod(map(factorial, others))
            weight = ways * prod(c**k for c, k in zip(chances, others, strict=True))
            for own in range(3):
                group = [credits[i] for i in range(3) for _ in range(others[i] + (i == own))]
                mean = sum(group) / size
                std = sqrt(sum((r - mean) ** 2 for r in group) / (size - 1))
                expected[own] += weight * (credits[own] - mean) / (std + 1e-4)
    return p * expected[0] + (1 - p) * expected[2] - expected[1]


def effective_target(credits: tuple[float, float, float]) -> float:
    low, high = 1e-4, 1 - 1e-4
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if answering_gains(middle, credits) > 0 else (middle, high)
    return high


@pytest.mark.parametrize(
    ("target", "effective"), [(0.0, 0.0), (0.25, 0.36), (0.5, 0.5), (2 / 3, 0.6), (0.75, 0.64), (0.9, 0.71)]
)
def test_threshold_dependent_says_where_std_normalisation_drifts(target: float, effective: float) -> None:
    assert effective_target((1 - target, 0, -target)) == pytest.approx(effective, abs=0.006)
    drifts = abs(effective - target) > 0.01
    assert ConfidenceTarget(target).threshold_dependent == drifts
    assert TernaryCredit(1 - target, 0, -target).threshold_dependent == drifts


def test_threshold_dependence_of_the_ready_made() -> None:
    immune = {name for name, reward in READY_MADE.items() if not reward.threshold_dependent}
    assert immune == {"truthrl", "nemo_abstention"}


# --- the callables


def test_target_comes_from_the_column_or_is_fixed() -> None:
    targets = [0.75, 0.5, 0.9]
    assert ConfidenceTarget()(**LIMA, target=targets) == [0.25, -0.5, 0.0]
    assert ConfidenceTarget(form="original")(**LIMA, target=targets) == [1, -1, 0]
    assert ConfidenceTarget(0.9)(**LIMA) == pytest.approx([0.1, -0.9, 0])
    assert ConfidenceTarget(0.9)(**LIMA, target=targets) == pytest.approx([0.1, -0.9, 0])


def test_conversations_are_read() -> None:
    said = [[{"role": "assistant", "content": text}] for text in LIMA["completions"]]
    assert TernaryCredit()(completions=said, answers=LIMA["answers"]) == [1, -1, 0]


@pytest.mark.parametrize("reward", READY_MADE.values(), ids=READY_MADE)
def test_ungraded_is_none_and_counted(reward: VerdictReward) -> None:
    logged: dict[str, Any] = {}
    log = {"log_extra": logged.__setitem__, "log_metric": logged.__setitem__}
    assert reward(completions=["Lima"] * 2, answers=[[], None], target=[0.5] * 2, **log) == [None, None]
    assert logged[f"{reward.__name__}/verdict"] == ["UNGRADED", "UNGRADED"]
    assert logged["ungraded/all"] == logged["ungraded/t=0.5"] == 1


def test_a_cut_off_completion_has_not_abstained() -> None:
    row: dict[str, Any] = {"completions": ["I don't know", "I don't know"], "answers": [["Lima"]] * 2}
    ids = [[5, 6, 2], [5, 6, 7]]
    assert TernaryCredit()(**row, completion_ids=ids) == [0, 0]
    assert TernaryCredit(eos_token_ids={2})(**row, completion_ids=ids) == [0, -1]
    with pytest.raises(ValueError, match="column 'completion_ids' has 1 entries for 2 completions"):
        TernaryCredit(eos_token_ids={2})(**row, completion_ids=ids[:1])


def test_rates_by_target() -> None:
    c, i, a, u = Verdict
    rates = verdict_rates([c, i, a, u, c], [0.5, 0.5, 0.9, 0.9, None])
    expected = {"accuracy/all": 0.4, "error/all": 0.2, "abstention/all": 0.2, "ungraded/all": 0.2}
    expected |= {"accuracy/t=0.5": 0.5, "error/t=0.5": 0.5, "abstention/t=0.5": 0, "ungraded/t=0.5": 0}
    expected |= {"accuracy/t=0.9": 0, "error/t=0.9": 0, "abstention/t=0.9": 0.5, "ungraded/t=0.9": 0.5}
    assert rates == expected
    assert verdict_rates([], []) == {}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"answer": [["Lima"]]}, r"no column 'answers'.*rename_column\('answer', 'answers'\).*remove_unused_columns"),
        ({"answers": [["Lima"]]}, r"no column 'target'.*add 'target'"),
        ({"answers": [["Lima"]] * 2, "target": [0.5]}, "column 'answers' has 2 entries for 1 completions"),
        ({"answers": [["Lima"]], "target": [0.5] * 2}, "column 'target' has 2 entries for 1 completions"),
        ({"answers": ["Lima"], "target": [0.5]}, r"column 'answers', row 0: 'Lima' is a str"),
        ({"answers": "Lima", "target": [0.5]}, "column 'answers' is a str"),
        ({"answers": [["Lima"]], "target": 0.5}, "column 'target' is a float"),
        ({"answers": [["Lima"]], "target": [75]}, r"column 'target', row 0: .*75 is outside \[0, 1\).*mean 0.75"),
        ({"answers": [["Lima"]], "target": [1.0]}, r"column 'target', row 0: .*outside \[0, 1\)"),
        ({"answers": [["Lima"]], "target": [None]}, r"column 'target', row 0: None, but this reward takes"),
    ],
)
def test_wrong_columns_are_named(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConfidenceTarget()(completions=["Lima"], **columns)


# --- golds that are missing, and golds of every make


MISSING = [None, [], [None], "", [""], [" "], float("nan"), [float("nan")], "nan", ["nan"], "[]", "[null]"]


def data_frame_cells() -> list[Any]:
    """What a data frame says where there is nothing, and how arrays hold what there is."""
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    return [pandas.NA, [pandas.NA], pandas.NaT, numpy.nan, numpy.array([]), numpy.array([None]), numpy.float64("nan")]


@pytest.mark.parametrize("reward", [ConfidenceTarget(), TernaryCredit(), ProperScore()], ids=lambda r: r.__name__)
def test_a_missing_gold_is_ungraded_however_it_is_spelt(reward: VerdictReward) -> None:
    """Never a mistake, and never a gold that is called "nan"."""
    golds = [*MISSING, *data_frame_cells()]
    for said in ("nan", "None", "Lima", "I don't know", ""):
        scores = reward(completions=[said] * len(golds), answers=golds, target=[0.5] * len(golds))
        assert scores == [None] * len(golds), said


def test_golds_are_read_from_lists_in_texts_and_from_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    golds = [
        '["Lima", "City of Kings"]',
        "['City of Kings', 'Lima']",
        numpy.array(["Lima", "Ciudad de los Reyes"]),
        (None, numpy.str_("Lima")),
        ["Lima", float("nan")],
    ]
    assert TernaryCredit()(completions=["Lima"] * len(golds), answers=golds) == [1] * len(golds)
    numbers = [[numpy.int64(1975)], [1975.0], numpy.array([1975]), [numpy.float64(1975)]]
    assert TernaryCredit()(completions=["1975"] * 4, answers=numbers) == [1] * 4
    interval = [["[0, 1)"], ["[1, 2]"]]  # mathematics, no lists of answers
    assert TernaryCredit(grader="exact")(completions=["[0, 1)", "1"], answers=interval) == [1, -1]


@pytest.mark.parametrize("gold", [{"text": "Lima"}, [{"text": "Lima"}], [b"Lima"], [object()]])
def test_what_is_no_gold_is_refused_by_row(gold: Any) -> None:
    with pytest.raises(ValueError, match=r"column 'answers', row 1: .* no gold answer; give text, a number or a list"):
        TernaryCredit()(completions=["Lima"] * 2, answers=[["Lima"], gold])


# --- the two readings, and the question


@dataclass
class Toy:
    """A grader that looks for the gold: strictly it is the whole answer, leniently it stands anywhere."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, answer: str, gold: Sequence[str], question: str = "", reading: str = "lenient") -> Verdict:
        self.asked.append((answer, question, reading))
        right = answer in gold if reading == "strict" else any(one in answer for one in gold)
        return Verdict.CORRECT if right else Verdict.INCORRECT


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    grader = Toy()
    monkeypatch.setitem(GRADERS, "match", grader)
    return grader


SAID = ["Lima", "Lima maybe Rome", "Rome", "I don't know", "", "Lima maybe Rome"]


def test_training_reads_strictly_and_says_what_it_would_pay_leniently(toy: Toy) -> None:
    logged: dict[str, Any] = {}
    log = {"log_extra": logged.__setitem__, "log_metric": logged.__setitem__}
    assert TernaryCredit()(completions=SAID, answers=[["Lima"]] * 6, **log) == [1, -1, -1, 0, -1, -1]
    assert logged["reading/gap"] == pytest.approx(2 / 6)
    assert [v[0] for v in logged["ternary_credit_truthrl/verdict"]] == list("CIIAII")
    assert [v[0] for v in logged["ternary_credit_truthrl/lenient"]] == list("CCIAIC")
    # each answer once strictly, and only what is wrong once more; an empty one never
    assert [said for said, _, reading in toy.asked if reading == "strict"] == ["Lima", "Lima maybe Rome", "Rome"]
    assert [said for said, _, reading in toy.asked if reading == "lenient"] == ["Lima maybe Rome", "Rome"]


def test_a_lenient_reward_says_what_it_would_not_pay_strictly(toy: Toy) -> None:
    logged: dict[str, Any] = {}
    log = {"log_extra": logged.__setitem__, "log_metric": logged.__setitem__}
    reward = TernaryCredit(reading="lenient")
    assert reward(completions=SAID, answers=[["Lima"]] * 6, **log) == [1, 1, -1, 0, -1, 1]
    assert logged["reading/gap"] == pytest.approx(2 / 6)
    assert [v[0] for v in logged["ternary_credit_truthrl_lenient/strict"]] == list("CIIAII")


def test_nothing_is_graded_twice_where_nobody_listens(toy: Toy) -> None:
    TernaryCredit()(completions=SAID, answers=[["Lima"]] * 6)
    assert len(toy.asked) == 3


def test_the_grader_is_told_the_question(toy: Toy) -> None:
    asked = prompt_text("Capital of Peru?", 0.75)
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": asked}]
    shots = f"Question: Capital of Chile?\nAnswer: Santiago\n\nQuestion: {asked}\nAnswer:"
    completions, answers = ["Lima"] * 3, [["Lima"]] * 3
    TernaryCredit()(completions=completions, answers=answers, prompts=[asked, chat, shots])
    TernaryCredit()(completions=completions, answers=answers, prompts=["Who?"] * 3, question=["Capital of Peru?"] * 3)
    TernaryCredit()(completions=completions, answers=answers, prompts=[asked] * 3, question=[None, float("nan"), ""])
    assert toy.asked == [("Lima", "Capital of Peru?", "strict")] * 3
    TernaryCredit()(completions=completions, answers=answers)
    assert toy.asked[-1] == ("Lima", "", "strict")
    with pytest.raises(ValueError, match="column 'question' has 2 entries for 3 completions"):
        TernaryCredit()(completions=completions, answers=answers, question=["Who?"] * 2)


def test_the_same_answer_to_another_question_is_graded_again(toy: Toy) -> None:
    rows = {"completions": ["Lima"] * 4, "answers": [["Lima"]] * 3 + [["Rome"]], "prompts": ["a", "a", "b", "b"]}
    assert TernaryCredit()(**rows) == [1, 1, 1, -1]
    assert [question for _, question, _ in toy.asked] == ["a", "b", "b"]


def test_questions_from_every_shape() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "Who?"}]}]
    assert read_questions(None, ["Who?", parts, []], 3) == ["Who?", "Who?", ""]
    assert read_questions(["Who?"], ["no"], 1) == ["Who?"]
    pictured = [{"role": "user", "content": [{"type": "image", "text": None}, "Who?"]}]
    assert read_questions(None, [pictured], 1) == ["Who?"]
    assert read_questions(None, None, 1) is None
    stated = [prompt_text("Who?", t) for t in (0, 0.05, 0.5, 0.75, 1e-5)]
    stated.append(prompt_text("Who?", None, instruct="confidence"))
    assert read_questions(None, stated, 6) == ["Who?"] * 6
    with pytest.raises(ValueError, match="'question' has 1 entries for 2 completions"):
        read_questions(["Who?"], None, 2)


def test_a_format_that_was_taught_is_handed_to_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def parse(text: str, **options: Any) -> Response:
        seen.append((text, options["answer_format"]))
        return Response(text)

    monkeypatch.setattr("abstain.rewards.verdict_reward.parse", parse)
    TernaryCredit(answer_format="tag")(completions=["Lima", "Lima"], answers=[["Lima"]] * 2)
    ProperScore(answer_format="json")(completions=["Lima"], answers=[["Lima"]])
    assert seen == [("Lima", "tag"), ("Lima", "json")]


VARIANTS = [
    *READY_MADE.values(),
    *(ConfidenceTarget(t, form) for t in (0, 0.05, 0.5, 0.55, 1e-5) for form in ("bounded", "original")),
    *(TernaryCredit(*credits) for credits in [(1, 0, -2), (1, 0, -0.2), (1.5, 0, -2), (1, 0.5, -2), (2, 0, -1)]),
    *(ProperScore("beta", a=a, b=b) for a, b in [(1, 1), (1, 11), (11, 1), (1.1, 1)]),
    ProperScore("log", eps=0.05),
    ProperScore(confidence_scale=10),
    ConfidenceTarget(reading="lenient"),
    TernaryCredit(reading="lenient", answer_format="boxed"),
    *(ConfidenceTarget(answer_format=name) for name in get_args(AnswerFormat) if name != "auto"),
    ProperScore(grader="exact", reading="lenient", answer_format="json"),
    ConfidenceTarget(grader="exact"),
    TernaryCredit(grader="exact"),
    ProperScore(grader="exact"),
]


def test_names_differ_and_suit_every_dashboard() -> None:
    names = [reward.__name__ for reward in VARIANTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in names)


@pytest.mark.parametrize("reward", VARIANTS, ids=lambda reward: reward.__name__)
def test_pickles(reward: VerdictReward) -> None:
    copy = pickle.loads(pickle.dumps(reward))
    assert copy.__name__ == reward.__name__
    assert repr(copy) == repr(reward)
    row: dict[str, Any] = LIMA | {"target": [0.5, 0.75, 0.9]}
    assert copy(**row) == reward(**row)


# --- by name


def test_ready_made_are_module_attributes() -> None:
    assert all(getattr(abstain.rewards, name) is reward for name, reward in READY_MADE.items())


def test_options_of_grading_are_chosen_by_name_and_shown() -> None:
    built = build_reward("truthrl", {"reading": "lenient", "answer_format": "boxed"})
    assert (built.reading, built.answer_format) == ("lenient", "boxed")
    assert "reading='lenient', answer_format='boxed'" in repr(built)
    assert built.__name__ == "ternary_credit_truthrl_lenient_boxed"
    assert {(reward.reading, reward.answer_format) for reward in READY_MADE.values()} == {("strict", "auto")}
    assert repr(ConfidenceTarget(reading="lenient")) == "ConfidenceTarget(reading='lenient')"


def test_build_reward_gives_a_fresh_one() -> None:
    built = build_reward("truthrl", {"grader": "exact"})
    assert (built.grader, READY_MADE["truthrl"].grader) == ("exact", "match")
    assert build_reward("truthrl") is not READY_MADE["truthrl"]
    needs = {"JudgedReward": {"judge": {"model": "m", "url": "http://localhost/v1", "cache": False}}}
    assert all(type(build_reward(name, needs.get(name))) is kind for name, kind in REWARDS.items())


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("ConfidenceTargt", {}, "unknown reward 'ConfidenceTargt'. Did you mean 'ConfidenceTarget'"),
        ("TernaryCredit", {"corect": 1}, "TernaryCredit has no argument 'corect'. Did you mean 'correct'"),
        (
            "ConfidenceTarget",
            {"form": "bound"},
            "reward ConfidenceTarget: unknown form 'bound'. Did you mean 'bounded'",
        ),
        ("ConfidenceTarget", {"target": 1}, r"reward ConfidenceTarget: confidence target 1 is outside \[0, 1\)"),
        ("ConfidenceTarget", {"grader": "exakt"}, "no grader is called 'exakt'. Did you mean 'exact'"),
        ("ConfidenceTarget", {"reading": "strickt"}, "no reading is called 'strickt'. Did you mean 'strict'"),
        ("ProperScore", {"answer_format": "box"}, "no answer format is called 'box'. Did you mean 'boxed'"),
        ("ConfidenceTarget", {"eos_token_ids": 2}, r"eos_token_ids is 2; .* such as \[2\]"),
        ("knowrl", {"wrong": 3}, "reward knowrl: a wrong answer"),
        ("ProperScore", {"rule": "bier"}, "unknown rule 'bier'. Did you mean 'brier'"),
    ],
)
def test_build_reward_explains(name: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_reward(name, args)
