"""Other ways to abstain: each by hand, guarantees by many draws, and all of them on one scripted model."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from abstain.evals.evaluation import evaluate, grade_by
from abstain.evals.metrics.intervals import paired_difference
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, baselines
from abstain.evals.policies.agreement import Agreed, as_forced, ask_samples, settle_samples
from abstain.evals.policies.comparison import Comparison, compare_policies, read_policies
from abstain.evals.policies.rows import Policy, policy_rows
from abstain.evals.policies.tables import render_policies
from abstain.evals.policies.thresholds import OF_ALL, OF_ANSWERS, Verdicts, guess_policies
from abstain.evals.sampling import Completion
from abstain.evals.tables.grid import MISSING
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.judge.grader import Case
from abstain.rewards.prompts import prompt_text
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

RIGHT, WRONG, SILENT, UNGRADED = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.UNGRADED
TARGETS = (0.0, 0.5, 0.75, 0.9)


def answers(correct: Sequence[float], confidence: Sequence[float], prefix: str = "q") -> ForcedAnswers:
    ids = tuple(f"{prefix}{i}" for i in range(len(correct)))
    return ForcedAnswers(ids, np.asarray(correct, dtype=float), np.asarray(confidence, dtype=float))


# --- best guesses, given or withheld


def guesses(n: int, seed: int, prefix: str) -> ForcedAnswers:
    rng = np.random.default_rng(seed)
    q = rng.random(n).round(2)
    correct = np.where(rng.random(n) < 0.1, np.nan, rng.random(n) < q)
    return answers(correct, np.where(rng.random(n) < 0.05, np.nan, q), prefix)


@pytest.mark.parametrize("n_train", [0, 80])
def test_they_score_what_the_main_table_says_of_them(n_train: int) -> None:
    start = BaseGuesses("toy", guesses(n_train, 1, "t"), guesses(61, 2, "h"))
    found = {policy.name: policy for policy in guess_policies(start, TARGETS, seed=3)}
    table = baselines(start, TARGETS, seed=3)
    names = {
        "always answer": "always_answer_score",
        "threshold t": "fixed_threshold_score",
        "fitted threshold": "oracle_score",
        "isotonic": "isotonic_score",
        "temperature": "temperature_score",
    }
    rows, _ = policy_rows(list(found.values()), found["always answer"])
    for row in rows:
        if row["policy"] in names:
            assert row["score"] == pytest.approx(getattr(table[row["target"]], names[row["policy"]])), row["policy"]
    if n_train:
        fitted = found["fitted threshold"].settings
        assert {t: fitted[t]["threshold"] for t in TARGETS} == {t: table[t].oracle_threshold for t in TARGETS}


def test_conformal_policies_say_what_they_promise_and_what_they_cannot() -> None:
    train = answers([1] * 60 + [0] * 40, np.linspace(1, 0.01, 100))
    start = BaseGuesses("toy", train, answers([1, 1, 0], [0.9, 0.5, 0.2]))
    found = {policy.name: policy for policy in guess_policies(start, [0.0, 0.9, 0.999], delta=0.1)}
    of_answers, of_all = found[OF_ANSWERS], found[OF_ALL]
    assert of_answers.verdicts[0.9] == [RIGHT, RIGHT, SILENT]
    settings = of_answers.settings[0.9]
    assert settings["level"] == 0.1 and settings["delta"] == 0.1 and settings["certified"] is True
    assert settings["risk"] == "wrong among answers" and of_all.settings[0.9]["risk"] == "wrong among all"
    assert of_all.settings[0.9]["delta"] is None
    nothing = of_answers.settings[0.999]
    assert of_answers.verdicts[0.999] == [SILENT] * 3 and nothing["threshold"] is None
    assert nothing["note"].startswith("nothing can be certified on 100 calibration questions: it takes 2,302 right")
    assert "nothing to certify" in of_answers.settings[0.0]["note"] and RIGHT in of_answers.verdicts[0.0]
    wrong = BaseGuesses("toy", answers([0] * 100, train.confidence), start.held_out)
    hopeless = next(policy for policy in guess_policies(wrong, [0.9]) if policy.name == OF_ANSWERS)
    assert hopeless.settings[0.9]["note"].endswith("fewer wrong among the surest")


def test_halves_have_a_threshold_each() -> None:
    start = BaseGuesses("toy", answers([], []), answers([1] * 100, np.linspace(1, 0.01, 100)))
    found = {policy.name: policy for policy in guess_policies(start, [0.9])}
    settings = found[OF_ANSWERS].settings[0.9]
    assert settings["certified"] and settings["note"].startswith("one half: of 50 calibration questions")
    assert found[OF_ANSWERS].verdicts[0.9] == [RIGHT] * 100
    assert found["threshold t"].settings[0.9]["threshold"] == 0.9
    few = BaseGuesses("toy", answers([], []), answers([1] * 20, np.linspace(1, 0.05, 20)))
    silent = next(policy for policy in guess_policies(few, [0.9]) if policy.name == OF_ANSWERS)
    assert silent.settings[0.9]["certified"] is False and silent.verdicts[0.9] == [SILENT] * 20


def test_an_ungraded_guess_is_ungraded_where_it_is_given_only() -> None:
    held_out = answers([1, float("nan"), float("nan")], [0.9, 0.9, 0.1])
    start = BaseGuesses("toy", answers([1, 0], [0.8, 0.3]), held_out)
    found = {policy.name: policy for policy in guess_policies(start, [0.5])}
    assert found["always answer"].verdicts[0.5] == [RIGHT, UNGRADED, UNGRADED]
    assert found["threshold t"].verdicts[0.5] == [RIGHT, UNGRADED, SILENT]
    told = Verdicts([RIGHT, SILENT, UNGRADED], [SILENT, SILENT, UNGRADED])
    again = {policy.name: policy for policy in guess_policies(start, [0.5], verdicts=told)}
    assert again["threshold t"].verdicts[0.5] == [RIGHT, SILENT, UNGRADED]


# --- rows


def test_rows_by_hand() -> None:
    stated = Policy("open rubric", "toy", {0.5: [RIGHT, SILENT, WRONG, RIGHT], 0.75: [RIGHT, SILENT, SILENT, RIGHT]})
    other = Policy("closed rubric", "toy", dict.fromkeys((0.5, 0.75), (RIGHT, WRONG, WRONG, UNGRADED)))
    rows, overall = policy_rows([stated, other], stated)
    assert [(row["target"], row["policy"]) for row in rows] == [
        (0.5, "open rubric"), (0.5, "closed rubric"), (0.75, "open rubric"), (0.75, "closed rubric"),
    ]  # fmt: skip
    assert [row["score"] for row in rows] == [1 / 4, -1 / 4, 2 / 4, (1 - 6) / 4]
    assert [row["difference"] for row in rows] == [None, -1 / 3, None, -2]  # the fourth question has no pair
    assert rows[1]["ungraded"] == 0.25 and rows[1]["coverage"] == 0.75 and rows[1]["n"] == 4
    assert rows[1]["difference_ci"][0] < -1 / 3 < rows[1]["difference_ci"][1]
    assert overall[1]["mean_score"] == pytest.approx((-1 / 4 - 5 / 4) / 2)
    assert overall[1]["mean_difference"] == pytest.approx(-7 / 6) and overall[0]["mean_difference"] is None


# --- samples that agree


def say(*texts: str) -> list[Response]:
    return [Response("", abstained=True) if text == "?" else Response(text) for text in texts]


ADA = Question("ada", "Where was Ada born?", ("Lima",))
AGREE = grade_by(Task("toy", (), (ADA,)))


@pytest.mark.parametrize(
    ("texts", "verdict", "count"),
    [
        (("Lima", "Lima"), RIGHT, 2),
        (("Lima", "lima"), RIGHT, 2),
        (("Oslo", "Oslo"), WRONG, 2),
        (("Lima", "Oslo"), RIGHT, 1),  # the first, but nobody agrees with it
        (("Lima", "?"), RIGHT, 1),
        (("?", "Lima"), RIGHT, 1),
        (("?", "?"), SILENT, 0),  # "I don't know" agrees with nothing, not even with itself
        (("Oslo", "Lima", "Lima"), RIGHT, 2),
        (("Oslo", "?", "Lima", "Oslo", "Lima", "Lima"), RIGHT, 3),
        (("Oslo", "Lima", "Lima", "Oslo"), WRONG, 2),  # as many: the first that was said
    ],
)
def test_what_most_samples_say(texts: tuple[str, ...], verdict: Verdict, count: int) -> None:
    assert settle_samples([ADA], [say(*texts)], AGREE) == [Agreed(verdict, count)]


def test_answers_agree_in_other_words_but_only_both_ways() -> None:
    def one_way(questions: Sequence, golds: Sequence[Sequence[str]], responses: Sequence[Response]) -> list[Verdict]:
        return [
            RIGHT if gold[0] in response.answer else WRONG for gold, response in zip(golds, responses, strict=True)
        ]

    assert settle_samples([ADA], [say("in Lima", "Lima")], one_way) == [Agreed(RIGHT, 1)]
    assert settle_samples([ADA], [say("It is Lima.", "Lima")], AGREE) == [Agreed(RIGHT, 2)]
    malformed = [Response("", malformed="empty"), Response("", malformed="empty")]
    assert settle_samples([ADA], [malformed], AGREE) == [Agreed(WRONG, 0)]


def test_a_judge_says_what_agrees_and_what_is_right() -> None:
    class Judge:
        def grade(self, cases: Sequence[Case]) -> list[Verdict]:
            same = {"City of Kings", "Lima"}
            return [RIGHT if {case.response.answer, case.gold[0]} <= same else WRONG for case in cases]

    said = [say("City of Kings", "Lima"), say("Oslo", "Lima")]
    grade = grade_by(Task("toy", (), (ADA,)), Judge())  # type: ignore[arg-type]
    assert settle_samples([ADA, ADA], said, grade) == [Agreed(RIGHT, 2), Agreed(WRONG, 1)]
    assert settle_samples([ADA], said[:1], AGREE) == [Agreed(WRONG, 1)]  # no string says so


def test_shares_are_a_confidence() -> None:
    found = as_forced([ADA] * 4, [Agreed(RIGHT, 3), Agreed(WRONG, 1), Agreed(SILENT, 0), Agreed(UNGRADED, None)], 4)
    assert found.confidence[:3].tolist() == [0.75, 0.25, 0.0] and np.isnan(found.confidence[3])
    assert found.correct[:2].tolist() == [1, 0] and np.isnan(found.correct[2:]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "1 samples cannot agree"),
        ({"temperature": 0}, "samples at temperature 0"),
        ({"temperature": math.inf}, "samples at temperature inf"),
    ],
)
def test_samples_that_cannot_agree_or_differ(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask_samples(None, Task("toy", (), (ADA,)), [ADA], **options)  # type: ignore[arg-type]


# --- all of them, on one model


class Scripted:
    """Per person: what it says at t = 0 and how sure it is, at t > 0, without instruction, and if it is sampled."""

    name = "scripted"

    def __init__(self, script: dict[str, tuple[str, float | None, str, str, tuple[str, ...]]]) -> None:
        self.script = script
        self.asked: list[str] = []

    def sample(
        self, prompts: Sequence[str], *, n: int = 1, temperature: float = 0.0, seed: int = 0, **_: object
    ) -> list[list[Completion]]:
        self.asked += [prompt for prompt in prompts for _ in range(n)]
        return [[self.answer(prompt, place, temperature) for place in range(n)] for prompt in prompts]

    def answer(self, prompt: str, place: int, temperature: float) -> Completion:
        guess, probability, stated, plain, sampled = self.script[prompt.split()[2]]
        text = guess if "best guess" in prompt else stated if "points" in prompt else plain
        text = sampled[place % len(sampled)] if temperature else text
        logprob = None if probability is None else math.log(probability)
        failure = "timeout" if text == "!" else ""
        return Completion("" if failure else text, logprob, 2, truncated=False, failure=failure)


IDK = "I don't know"
SCRIPT = {
    "Ada": ("Lima", 0.9, "Lima", "Lima", ("Lima", "It is Lima.", "Lima")),
    "Bo": ("Rome", 0.4, IDK, "Rome", ("Rome", "Oslo", "Rome")),
    "Cy": ("Rome", 0.65, "Rome", "Rome", ("Rome", "Rome", "Oslo")),
    "Di": (IDK, 0.8, IDK, IDK, ("Lima", IDK, IDK)),
    "Ed": ("Lima", 0.7, "Lima", "Lima", ("Lima", "Lima", "Lima")),
    "Flo": ("Lima", 0.3, "Lima", "Lima", ("Rome", "Lima", "Oslo")),
}


def about(name: str, *gold: str) -> Question:
    return Question(name.lower(), f"Where was {name} born?", gold, subject=name)


HELD_OUT = (about("Ada", "Lima"), about("Bo", "Oslo"), about("Cy", "Oslo"), about("Di", "Lima"))
TASK = Task("toy", (about("Ed", "Lima"), about("Flo", "Oslo")), HELD_OUT)


def compared(task: Task = TASK, script: dict | None = None, **options: object) -> tuple[dict, Scripted]:
    model = Scripted(SCRIPT if script is None else script)
    evaluation = evaluate(model, task, [0, 0.75])
    model.asked.clear()
    return compare_policies(model, task, evaluation, **options).found, model  # type: ignore[arg-type]


def numbers(found: dict, target: float) -> dict[str, tuple[float, ...]]:
    """Right, wrong, silent and ungraded, in questions, by policy."""
    kinds = ("correct", "incorrect", "abstained", "ungraded")
    return {
        row["policy"]: tuple(round(row[kind] * row["n"], 9) for kind in kinds)
        for row in found["rows"]
        if row["target"] == target
    }


def test_every_policy_by_hand() -> None:
    planned: list[str] = []
    found, model = compared(before_asking=planned.extend)
    assert sorted(planned) == sorted(model.asked) and len(model.asked) == 4 + 2 * 4  # closed rubric, and two samples
    assert all(prompt == prompt_text(f"Where was {prompt.split()[2]} born?", None) for prompt in model.asked)
    assert numbers(found, 0.75) == {
        "open rubric": (1, 1, 2, 0),
        "closed rubric": (1, 2, 1, 0),
        "samples agree": (1, 1, 2, 0),  # Ada in other words, and Cy; Bo says two things, Di one and not knowing
        "always answer": (1, 2, 1, 0),
        "threshold t": (1, 0, 3, 0),
        "fitted threshold": (1, 1, 2, 0),  # .5 on Ed, right at .7, and Flo, wrong at .3
        "isotonic": (1, 1, 2, 0),  # between them: the line from .3 to .7 is at .875 for Cy's .65
        "temperature": (1, 1, 2, 0),  # no mistake seen: all above one half is certain
        OF_ANSWERS: (0, 0, 4, 0),  # two training questions certify nothing
        OF_ALL: (0, 0, 4, 0),
    }
    assert numbers(found, 0)[OF_ANSWERS] == (1, 2, 1, 0)
    rows = {(row["policy"], row["target"]): row for row in found["rows"]}
    closed = rows["closed rubric", 0.75]
    assert closed["score"] == pytest.approx((1 - 6) / 4) and closed["difference"] == pytest.approx(-3 / 4)
    assert rows["samples agree", 0.75]["samples"] == 2 and rows["samples agree", 0.75]["temperature"] == 1
    assert (found["confidence"], found["n"], found["n_train"]) == ("probability", 4, 2)


def test_the_difference_of_rubrics_is_that_of_two_evaluations() -> None:
    model = Scripted(SCRIPT)
    stated = evaluate(model, TASK, [0, 0.75])
    plain = evaluate(model, TASK, [0, 0.75], instruct="nothing")
    found = compare_policies(model, TASK, stated).found
    pair = paired_difference(stated.records, plain.records)
    closed = [row for row in found["rows"] if row["policy"] == "closed rubric"]
    assert [row["difference"] for row in closed] == [row["score"] for row in pair["by_target"]]
    assert [row["difference_ci"] for row in closed] == [row["score_ci"] for row in pair["by_target"]]
    from_plain = compare_policies(model, TASK, plain).found  # then the target is stated anew
    assert numbers(from_plain, 0.75)["open rubric"] == (1, 1, 2, 0)
    assert [row["difference"] for row in from_plain["rows"] if row["policy"] == "closed rubric"] == [
        row["difference"] for row in closed
    ]


def test_of_more_samples_a_share_is_chosen_on_training_questions() -> None:
    found, model = compared(samples=3)
    assert len(model.asked) == 4 + 3 * 6
    # all of three agree on Ada alone; of two thirds Bo and Cy are wrong. In training Ed agrees and is right, Flo not
    by_hand = numbers(found, 0.75)
    assert by_hand["samples agree"] == (1, 0, 3, 0)
    assert by_hand["fitted share"] == (1, 0, 3, 0)
    assert numbers(found, 0)["fitted share"] == (2, 2, 0, 0)  # t = 0: everything that is said counts, Di's Lima too
    row = next(row for row in found["rows"] if row["policy"] == "fitted share" and row["target"] == 0.75)
    assert row["threshold"] == 0.75


def test_without_probabilities_there_are_no_thresholds_unless_samples_give_them() -> None:
    unsure = {name: (guess, None, *rest) for name, (guess, _, *rest) in SCRIPT.items()}
    two, _ = compared(script=unsure)
    assert two["confidence"] is None
    assert list(numbers(two, 0)) == ["open rubric", "closed rubric", "samples agree", "always answer"]
    assert "With --draws 8" in " ".join(two["findings"])
    three, _ = compared(script=unsure, samples=3)
    assert three["confidence"] == "share of samples"
    assert numbers(three, 0.75)["threshold t"] == (1, 0, 3, 0)  # of three thirds, only Ada's exceed .75
    assert "given where their share of samples exceeds t" in render_policies(three, "markdown")


def test_without_a_reply_nobody_knows_what_it_would_have_done() -> None:
    lost = SCRIPT | {"Cy": ("!", None, "!", "!", ("Rome", "!", "Rome"))}
    found, _ = compared(script=lost)
    by_hand = numbers(found, 0.75)
    assert by_hand["open rubric"] == (1, 0, 2, 1) and by_hand["closed rubric"] == (1, 1, 1, 1)
    assert by_hand["samples agree"] == (1, 0, 2, 1)
    assert by_hand["threshold t"] == (1, 0, 2, 1) and by_hand["always answer"] == (1, 1, 1, 1)


def test_a_question_without_gold_is_ungraded_whatever_is_done() -> None:
    task = Task("toy", TASK.train, (*HELD_OUT[:3], about("Di")))
    found, _ = compared(task)
    assert all(row["ungraded"] == 0.25 for row in found["rows"])


def test_thresholds_go_by_the_starting_model_where_there_is_one() -> None:
    model = Scripted(SCRIPT)
    ids = [question.id for question in HELD_OUT]
    start = BaseGuesses(
        "before",
        answers([1] * 40, [0.9] * 40),
        ForcedAnswers.of(ids, [RIGHT, RIGHT, WRONG, SILENT], [0.9, 0.8, 0.1, 0.9]),
    )
    evaluation = evaluate(model, TASK, [0, 0.75], start=start)
    found = compare_policies(model, TASK, evaluation, own_start=False).found
    by_hand = numbers(found, 0.75)
    assert by_hand["always answer"] == (2, 1, 0, 1)  # nobody knows here that "before" did not answer Di's
    assert by_hand["threshold t"] == (2, 0, 1, 1) and found["start"] == "before"
    assert by_hand[OF_ANSWERS] == (2, 1, 0, 1)  # all of forty calibration answers are right: it answers all
    names = {row["policy"]: row["model"] for row in found["rows"]}
    assert names["samples agree"] == "scripted" and names[OF_ANSWERS] == "before"


def test_another_task_is_refused() -> None:
    model = Scripted(SCRIPT)
    evaluation = evaluate(model, TASK, [0, 0.75])
    with pytest.raises(ValueError, match="1 questions of the evaluation are not in task toy"):
        compare_policies(model, Task("toy", (), HELD_OUT[:3]), evaluation)


# --- for people


@pytest.mark.parametrize("samples", [2, 3])
def test_the_table_fits_and_has_every_format(samples: int) -> None:
    found, _ = compared(samples=samples)
    text = render_policies(found, width=100)
    assert max(map(len, text.splitlines())) <= 100
    assert f"{samples} of {samples}" in text and "ungraded" not in text  # a column that only noughts would fill
    assert "Ways to abstain: scripted on 4 questions of toy" in text
    markdown = render_policies(found, "markdown")
    assert markdown.startswith("# Ways to abstain") and "| closed rubric" in markdown
    assert "\\begin{tabular}" in render_policies(found, "latex")
    rows = list(csv.DictReader(io.StringIO(render_policies(found, "csv"))))
    assert len(rows) == len(found["rows"]) and {"score_low", "difference_high", "certified", "note"} <= rows[0].keys()
    assert json.loads(render_policies(found, "json")) == json.loads(json.dumps(found))


def test_what_was_chosen_in_a_cell() -> None:
    task = Task("toy", (), tuple(Question(f"{i}", f"Where was Ada born? {i}", ("Lima",)) for i in range(60)))
    found, _ = compared(task)  # nothing to train on: a certificate for each half
    row = next(row for row in found["rows"] if row["policy"] == OF_ANSWERS and row["target"] == 0.75)

    def cell(**changes: object) -> str:
        rows = [one | changes if one is row else one for one in found["rows"]]
        said = [line for line in render_policies(found | {"rows": rows}).splitlines() if OF_ANSWERS in line]
        return said[1].split()[2]

    assert cell() == "0.000" and cell(threshold=None) == "halves"
    assert cell(threshold=None, certified=False, coverage=0.0) == "none"


def test_findings_say_no_more_than_their_intervals() -> None:
    found, _ = compared()
    rubric, agreement, *conformal = found["findings"]
    assert rubric.startswith(
        "Stating t in the prompt makes no measurable difference: 0.375 ["
    )  # 0 at t = 0, .75 at .75
    assert agreement.startswith("On 50.0% of the questions both of 2 samples agree; 50.0% of these answers are right.")
    assert conformal == [
        "Conformal at t = 0.75: nothing can be certified on 2 calibration questions: it takes 9 right and none wrong."
    ]
    many = tuple(Question(f"{i}", f"Where was Ada born? {i}", ("Lima",)) for i in range(80))
    sure, _ = compared(Task("toy", many[:40], many[40:]))
    assert sure["findings"][1].endswith("Than never answering that is better at t = 0, 0.75.")
    assert sure["findings"][2] == (
        "Conformal at t = 0.75: at most 25% of its answers are wrong, 90% sure (of 40 calibration questions it "
        "answers 40, 0 of them wrong). Here it answers 100.0%, 0.0% of them wrong."
    )
    liar = {"Ada": ("Rome", 0.9, IDK, "Rome", ("Rome",))}
    helped, _ = compared(Task("toy", many[:40], many[40:]), liar)
    assert helped["findings"][0].startswith("Stating t in the prompt brings 1.500 [")
    assert helped["findings"][1].endswith("Than never answering that is worse at t = 0.75.")
    hurt, _ = compared(Task("toy", many[:40], many[40:]), {"Ada": ("Rome", 0.9, "Rome", IDK, ("Rome", "Oslo"))})
    assert hurt["findings"][0].startswith("Stating t in the prompt costs: -1.500 [")
    assert hurt["findings"][1] == "On no question do both of 2 samples agree."


def test_a_comparison_is_written_and_read(tmp_path: Path) -> None:
    found, _ = compared()
    Comparison(found).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policies.json", "policies.md"]
    assert read_policies(tmp_path) == read_policies(tmp_path / "policies.json") == json.loads(json.dumps(found))
    (tmp_path / "policies.json").write_text("[]")
    with pytest.raises(ValueError, match=r"is not the policies\.json of"):
        read_policies(tmp_path)
    assert MISSING in (tmp_path / "policies.md").read_text()


def test_every_key_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    found, _ = compared(samples=3)
    keys = {*found, *(key for part in ("rows", "overall") for row in found[part] for key in row)}
    assert not [key for key in keys if f"`{key}`" not in page]
    assert not [row["policy"] for row in found["rows"] if f"`{row['policy']}`" not in page]
