"""An evaluation asks what it should, grades by the one door, and compares with the right model."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from abstain.evals.evaluation import evaluate
from abstain.evals.models import load_model
from abstain.evals.records import read_records
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.verdict import Verdict

GUESS, STATED = "Make your best guess", "> 0.75 confident"


class Scripted:
    """Answers from a list: per person, what it says at t = 0, how probable that is, and what it says at t > 0."""

    name = "scripted"

    def __init__(self, script: dict[str, tuple[str, float, str]]) -> None:
        self.script = script
        self.asked: list[str] = []

    def sample(self, prompts: Sequence[str], *, max_new_tokens: int, progress: str | None) -> list[list[Completion]]:
        self.asked += prompts
        return [[self.answer(prompt)] for prompt in prompts]

    def answer(self, prompt: str) -> Completion:
        guess, probability, otherwise = self.script[prompt.split()[2]]
        text = guess if GUESS in prompt else otherwise
        return Completion(text, math.log(probability), 2, truncated=text.endswith("…"))


SCRIPT = {
    "Ada": ("Lima", 0.8, "Lima"),
    "Bo": ("Rome", 0.4, "I don't know"),
    "Cy": ("Rome", 0.6, "Rome"),
    "Di": ("Oslo", 0.9, "Oslo"),
    "Ed": ("Lima", 0.7, "I don't know"),
    "Flo": ("Lima", 0.3, "I don't know"),
}


def ask_about(name: str, *gold: str, **metadata: float) -> Question:
    return Question(name.lower(), f"Where was {name} born?", gold, subject=name, metadata=metadata)


HELD_OUT = (ask_about("Ada", "Lima"), ask_about("Bo", "Oslo"), ask_about("Cy", "Oslo"), ask_about("Di"))
TRAIN = (ask_about("Ed", "Lima"), ask_about("Flo", "Oslo"))
TASK = Task("toy", TRAIN, HELD_OUT)


def test_everything_by_hand() -> None:
    model = Scripted(SCRIPT)
    found = evaluate(model, TASK, targets=[0.75, 0])
    assert [(record.target, record.id) for record in found.records] == [
        (t, id) for t in (0, 0.75) for id in ("ada", "bo", "cy", "di")
    ]
    verdicts = [record.verdict.value for record in found.records]  # Di has no gold answer
    assert verdicts[:4] == ["CORRECT", "INCORRECT", "INCORRECT", "UNGRADED"]
    assert verdicts[4:] == ["CORRECT", "ABSTAINED", "INCORRECT", "UNGRADED"]
    guess, stated = found.metrics["by_target"]
    assert guess["score"] == guess["always_answer_score"] == guess["oracle_score"] == 0.25
    assert stated["score"] == pytest.approx((1 - 3) / 4)
    assert stated["always_answer_score"] == pytest.approx((1 - 3 - 3) / 4)
    # trained on Ed (right, .7) and Flo (wrong, .3), a threshold of one half is best; it lets Ada and Cy through
    assert stated["oracle_threshold"] == pytest.approx(0.5)
    assert stated["oracle_score"] == pytest.approx((1 - 3) / 4)
    assert stated["fixed_threshold_score"] == pytest.approx(1 / 4)
    assert stated["regret"] == pytest.approx(0)
    assert found.metrics["mean_regret"] == pytest.approx(0)
    assert found.metrics["auroc"] == 1.0
    assert found.metrics["model"] == found.metrics["start"] == "scripted" and found.metrics["oracle"] == "post-hoc"
    assert len(model.asked) == 2 * 4 + 2


def test_without_a_stated_target_one_answer_is_scored_at_every_target() -> None:
    model = Scripted(SCRIPT)
    found = evaluate(model, TASK, targets=[0, 0.5, 0.75], instruct="nothing")
    assert len(model.asked) == 6 and not any("points" in prompt or GUESS in prompt for prompt in model.asked)
    answers = {(record.id, record.target): record.completion for record in found.records}
    assert {answers["bo", t] for t in (0, 0.5, 0.75)} == {"I don't know"}
    scores = [row["score"] for row in found.metrics["by_target"]]
    assert scores == [0.25, 0, -0.5]  # Ada is right, Bo silent, Cy wrong, Di cannot be graded


CONFIDENT = {  # what they say under any other instruction than t = 0's; Ed and Flo are only asked at t = 0
    "Ada": ("Lima", 0.8, "Lima. Confidence: 0.8"),
    "Bo": ("Rome", 0.4, "Rome. Confidence: 0.5"),
    "Cy": ("Rome", 0.6, "Rome"),
    "Di": ("Oslo", 0.9, "Oslo. Confidence: 0.1"),
    "Ed": ("Lima", 0.7, "unasked"),
    "Flo": ("Lima", 0.3, "unasked"),
}


def test_a_stated_confidence_decides_at_every_target() -> None:
    model = Scripted(CONFIDENT)
    found = evaluate(model, TASK, targets=[0, 0.4, 0.5, 0.75, 0.9], instruct="confidence")
    verdicts = {(record.target, record.id): record.verdict.value for record in found.records}
    assert [verdicts[t, "ada"] for t in (0, 0.4, 0.5, 0.75, 0.9)] == ["CORRECT"] * 4 + ["ABSTAINED"]
    assert [verdicts[t, "bo"] for t in (0, 0.4, 0.5, 0.75)] == ["INCORRECT"] * 2 + ["ABSTAINED"] * 2  # .5 is not > .5
    assert {verdicts[t, "cy"] for t in (0, 0.4, 0.5, 0.75, 0.9)} == {"INCORRECT"}  # states none: answers everywhere
    assert {verdicts[t, "di"] for t in (0, 0.4, 0.5, 0.75, 0.9)} == {"UNGRADED"}  # without gold, silent or not
    scores = [row["score"] for row in found.metrics["by_target"]]
    assert scores == pytest.approx([1 / 4, (1 - 4 / 3) / 4, 0, (1 - 3) / 4, -9 / 4])
    assert found.metrics["confidence_missing"] == 0.25
    assert len(model.asked) == 4 + 4 + 2  # once each, and the best guesses that the oracle is made of
    assert sum("how confident" in prompt for prompt in model.asked) == 4
    assert found.start.held_out.confidence == pytest.approx([0.8, 0.4, 0.6, 0.9])
    again = Scripted(CONFIDENT)
    assert evaluate(again, TASK, instruct="confidence", start=found.start).start.model == "scripted"
    assert len(again.asked) == 4


def test_an_answer_that_is_kept_back_stays_in_the_completion() -> None:
    found = evaluate(Scripted(CONFIDENT), TASK, targets=[0.9], instruct="confidence")
    ada, _, cy, _ = found.records
    assert (ada.completion, ada.answer, ada.confidence) == ("Lima. Confidence: 0.8", "", 0.8)
    assert (cy.completion, cy.answer) == ("Rome", "Rome") and cy.confidence == pytest.approx(0.6)  # its probability
    assert ada.prompt.endswith('as in "Confidence: 0.8".')


def test_neither_silence_nor_nonsense_becomes_another_verdict_by_its_confidence() -> None:
    script = CONFIDENT | {
        "Ada": ("", 1.0, "I don't know. Confidence: 0.9"),
        "Bo": ("", 1.0, ". Confidence: 0.1"),
        "Cy": ("", 1.0, "Oslo. Confidence: high"),
    }
    found = evaluate(Scripted(script), TASK, targets=[0, 0.5], instruct="confidence")
    verdicts = [record.verdict.value for record in found.records]
    assert verdicts == ["ABSTAINED", "INCORRECT", "CORRECT", "UNGRADED"] * 2
    assert found.metrics["confidence_missing"] == pytest.approx(1 / 3)


def test_other_instructions_say_nothing_of_missing_confidence() -> None:
    found = evaluate(Scripted(SCRIPT), TASK).metrics
    assert found["instruct"] == "target" and "confidence_missing" not in found


def test_records_carry_what_was_asked_and_said() -> None:
    record = evaluate(Scripted(SCRIPT), TASK, targets=[0.75]).records[1]
    assert record.prompt.startswith("Where was Bo born?\n") and STATED in record.prompt
    assert (record.completion, record.answer, record.verdict) == ("I don't know", "", Verdict.ABSTAINED)
    assert record.confidence == pytest.approx(0.4)  # of the best guess, which it kept to itself
    assert (record.task, record.gold, record.question) == ("toy", ("Oslo",), "Where was Bo born?")


def test_stated_confidence_comes_first() -> None:
    script = SCRIPT | {"Ada": ("Lima\nConfidence: 0.35", 0.8, "Lima\nConfidence: 0.95")}
    found = evaluate(Scripted(script), TASK, targets=[0.75])
    assert [record.confidence for record in found.records] == pytest.approx([0.95, 0.4, 0.6, 0.9])
    assert found.records[0].answer == "Lima"
    # the stated 0.35, below both wrong answers, is what is judged; the oracle goes by probability
    assert found.metrics["auroc"] == 0.0
    assert found.start.held_out.confidence[0] == pytest.approx(0.8)


def test_best_guesses_are_judged_even_if_zero_is_not_among_the_targets() -> None:
    found = evaluate(Scripted(SCRIPT), TASK, targets=[0.9])
    assert {record.target for record in found.records} == {0.9}
    assert (found.metrics["confidence_target"], found.metrics["confidence_n"]) == (0, 3)


def test_a_trained_model_is_compared_with_the_one_it_started_from() -> None:
    before = evaluate(Scripted(SCRIPT), TASK, targets=[0.75])
    better = Scripted(dict.fromkeys(SCRIPT, ("I don't know", 0.5, "I don't know")) | {"Ada": ("Lima", 0.9, "Lima")})
    better.name = "better"
    after = evaluate(better, TASK, targets=[0.75], start=before.start)
    (row,), (old,) = after.metrics["by_target"], before.metrics["by_target"]
    assert (after.metrics["model"], after.metrics["start"]) == ("better", "scripted")
    for key in ("oracle_score", "always_answer_score", "fixed_threshold_score"):
        assert row[key] == old[key]
    assert row["score"] == pytest.approx(0.25)
    assert row["regret"] == pytest.approx(-0.5 - 0.25)
    assert not any("Ed" in prompt for prompt in better.asked)


def test_a_start_that_was_asked_something_else_is_refused() -> None:
    start = evaluate(Scripted(SCRIPT), TASK, limit=2).start
    with pytest.raises(ValueError, match="no forced answer to 2 questions"):
        evaluate(Scripted(SCRIPT), TASK, start=start)


def test_known_probabilities_make_the_oracle_true() -> None:
    held_out = tuple(ask_about(q.subject, *q.gold, true_p=p) for q, p in zip(HELD_OUT, [1, 0.9, 0.5, 0], strict=True))
    found = evaluate(Scripted(SCRIPT), Task("toy", TRAIN, held_out), targets=[0.75])
    assert found.metrics["oracle"] == "true"
    assert found.metrics["by_target"][0]["oracle_score"] == pytest.approx((1 + 0.6) / 4)
    some = Task("toy", TRAIN, (*held_out[:3], HELD_OUT[3]))
    assert evaluate(Scripted(SCRIPT), some, targets=[0.75]).metrics["oracle"] == "post-hoc"


def test_a_task_without_training_questions_is_cross_fitted() -> None:
    found = evaluate(Scripted(SCRIPT), Task("toy", (), HELD_OUT), targets=[0.5])
    assert found.metrics["oracle"] == "cross-fitted"
    assert found.metrics["by_target"][0]["regret"] is not None


def test_limits_draw_at_random_and_keep_the_order() -> None:
    many = tuple(ask_about("Ada", "Lima") for _ in range(50))
    many = tuple(Question(f"{i:02}", q.question, q.gold) for i, q in enumerate(many))
    task = Task("toy", many, many)
    ids = [[r.id for r in evaluate(Scripted(SCRIPT), task, [0], limit=9, seed=seed).records] for seed in (0, 0, 1)]
    assert ids[0] == ids[1] == sorted(ids[0]) != ids[2]
    assert len(ids[0]) == 9 and ids[0][-1] > "09"
    model = Scripted(SCRIPT)
    evaluate(model, task, [0], limit=9, train_limit=4)
    assert len(model.asked) == 9 + 4


def test_truncated_answers_are_counted_and_are_no_abstentions() -> None:
    script = SCRIPT | {"Bo": ("Rome", 0.4, "I don't know but…")}
    found = evaluate(Scripted(script), TASK, targets=[0.75])
    assert found.metrics["truncated"] == 0.25
    assert found.records[1].verdict == Verdict.INCORRECT


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (TASK, {"targets": []}, "nothing to evaluate: 0 targets"),
        (Task("toy", TRAIN, ()), {}, "4 targets, 0 held-out questions"),
        (TASK, {"limit": 0}, "0 held-out questions"),
        (TASK, {"targets": [75]}, r"confidence target 75 is outside \[0, 1\); did you mean 0.75\?"),
    ],
)
def test_nothing_to_evaluate(task: Task, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(Scripted(SCRIPT), task, **options)


def test_what_is_saved(tmp_path: Path) -> None:
    found = evaluate(Scripted(SCRIPT), TASK)
    found.save(tmp_path / "run")
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == ["metrics.json", "records.jsonl", "table.md"]
    assert read_records(tmp_path / "run" / "records.jsonl") == found.records
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == found.metrics
    assert (tmp_path / "run" / "table.md").read_text().startswith("|    t | abstained |")


def test_a_real_model_end_to_end(tiny_model_dir: Path) -> None:
    loaded = load_model(tiny_model_dir, device="cpu")
    sampler = Sampler(loaded.model, loaded.tokenizer, name="tiny")
    people = [ask_about(name, "Lima") for name in ("Ada", "Bo", "Cy", "Di", "Ed", "Flo")]
    task = Task("toy", tuple(people[:3]), tuple(people[3:]), max_new_tokens=3)
    found = evaluate(sampler, task, [0.0, 0.9])
    assert len(found.records) == 6
    again = evaluate(sampler, task, [0.0, 0.9])
    assert again.records == found.records and again.metrics == found.metrics
    assert all(0 <= record.confidence <= 1 for record in found.records)
    guess = sampler.sample([found.records[0].prompt], max_new_tokens=3)[0][0]
    assert found.records[0].completion == guess.text
    assert found.records[0].confidence == pytest.approx(math.exp(guess.logprob), rel=1e-3)
