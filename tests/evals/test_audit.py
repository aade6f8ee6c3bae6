"""An audit of policies whose behaviour is known: it must say of each what it does, and not more than it can know."""

import csv
import io
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from abstain.evals.audit.asking import NO_INSTRUCTION, WORDINGS
from abstain.evals.audit.findings import Audit, audit, audit_model, read_audit
from abstain.evals.audit.plots import audit_plot
from abstain.evals.audit.sources import known_source, own_source, read_start, start_source
from abstain.evals.audit.tables import render_audit
from abstain.evals.evaluation import Evaluation, evaluate
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import penalty

TARGETS = (0.0, 0.5, 0.75, 0.9)
GUESS = "Make your best guess"
SAYS = {  # what each wording of a target above 0 can be told by
    "stated": r"Answer only if you are > ([\d.]+) confident",
    "percent": r"more than ([\d.]+)% sure",
    "chance": r"is right is ([\d.]+) or less",
    "points": r"a right answer, -([\d.]+) points",
}
Decide = Callable[[float, float | None, str, random.Random], bool]


def wording_and_target(prompt: str) -> tuple[str, float | None]:
    if GUESS in prompt:
        return "stated", 0.0
    for name, pattern in SAYS.items():
        if found := re.search(pattern, prompt):
            value = float(found[1])
            return name, {"percent": value / 100, "points": value / (1 + value)}.get(name, value)
    return NO_INSTRUCTION, None


class Policy:
    """Knows P(correct) of each question, and decides by `decide(p, target, wording, rng)` whether to answer."""

    name = "policy"
    tokenizer: Any = SimpleNamespace(unk_token_id=None)

    def __init__(self, task: Task, decide: Decide, confidence: Callable[[float], float] = lambda p: p) -> None:
        self.known = {q.question: (q.metadata["p"], q.metadata["guess"], q.gold[0]) for q in task.held_out}
        self.decide = decide
        self.confidence = confidence

    def sample(self, prompts: Sequence[str], *, n: int = 1, **_: Any) -> list[list[Completion]]:
        return [[self.say(prompt, draw if n > 1 else None) for draw in range(n)] for prompt in prompts]

    def say(self, prompt: str, draw: int | None) -> Completion:
        question = prompt.splitlines()[0]
        p, guess, _ = self.known[question]
        rng = random.Random(f"{prompt} {draw}")
        wording, target = wording_and_target(prompt)
        if not self.decide(p, target, wording, rng):
            return Completion("I don't know", math.log(0.9), 4, False)
        text = guess if draw is None or rng.random() < p else f"Elsewhere{rng.randrange(9)}"
        return Completion(text, math.log(max(1e-9, self.confidence(p))), 2, False)


def world(n: int, seed: int = 0, spread: float = 1.0, **metadata: bool) -> Task:
    """n questions with P(correct) uniform on [0, 1]; the best guess is right with just that probability."""
    rng = random.Random(seed)
    held_out = []
    for i in range(n):
        p = rng.random() ** spread
        guess = "Lima" if rng.random() < p else "Oslo"
        known = {"true_p": p} if metadata.get("known") else {}
        about = {"p": p, "guess": guess, **known}
        held_out.append(Question(str(i), f"Where was N{i} born?", ("Lima",), metadata=about))
    return Task("toy", (), tuple(held_out))


def perfect(p: float, target: float | None, wording: str, rng: random.Random) -> bool:
    return p > (target or 0)


def audit_of(
    decide: Decide, task: Task, targets: Sequence[float] = TARGETS, *confidence: Any, **options: Any
) -> Audit:
    model = Policy(task, decide, *confidence)
    return audit_model(model, task, evaluate(model, task, targets), **options)


def rows(found: dict) -> dict[float, dict]:
    return {row["target"]: row for row in found["by_target"]}


@pytest.fixture(scope="module")
def task() -> Task:
    return world(600)


@pytest.fixture(scope="module")
def exact(task: Task) -> Audit:
    return audit_of(perfect, task)


def test_a_perfect_policy_is_found_to_be_one(exact: Audit) -> None:
    by_target = rows(exact.found)
    for t in (0.5, 0.75, 0.9):
        row = by_target[t]
        low, high = row["effective_threshold_ci"]
        assert low <= t <= high and high - low < 0.2
        assert row["effective_threshold"] == pytest.approx(t, abs=0.06)
        assert row["selectivity"] == pytest.approx(1, abs=0.1)
        assert row["decided_rightly"] > 0.93
        assert row["accuracy_attempted_ci"][1] > t and row["abstained_would_be_right_ci"][1] < t
        assert row["abstained"] == pytest.approx(row["called_for"], abs=0.06)
        assert row["near_threshold"]["n"] > 50
        assert "asked" in row["verdict"] and "bolder" not in row["verdict"] and "cautious" not in row["verdict"]
    assert by_target[0.5]["verdict"].endswith("sure: close to what was asked.")
    assert "gives its best guess as asked" in by_target[0.0]["verdict"]


def test_a_perfect_policy_rises_and_does_not_care_for_words(exact: Audit) -> None:
    rise, words = exact.found["rise"], exact.found["wordings"]
    assert rise["overall"]["difference"] == pytest.approx(0.4, abs=0.05) == rise["overall"]["called_for"]
    assert rise["verdict"].startswith("Abstention rises from t = 0.5 to 0.9")
    assert all(step["reversed"] == 0 for step in rise["steps"])
    for step in rise["steps"]:  # what is given up between two targets has a P(correct) between them
        low, high = step["given_up_would_be_right_ci"]
        assert low < step["to"] and high > step["from"]
    assert words["changed"] == 0 and "the wording hardly matters" in words["verdict"]
    assert "With no instruction at all it abstains on 0.0%" in words["verdict"]
    assert {row["wording"] for row in words["rows"]} == {*WORDINGS, NO_INSTRUCTION}
    for row in words["rows"]:
        if row["target"] is not None:
            assert row["effective_threshold"] == rows(exact.found)[row["target"]]["effective_threshold"]


@pytest.mark.parametrize(("shift", "word"), [(-0.3, "bolder"), (0.2, "cautious")])
def test_a_threshold_elsewhere_is_found_there(task: Task, shift: float, word: str) -> None:
    found = audit_of(lambda p, t, *_: not t or p > t + shift, task, [0, 0.5, 0.7]).found
    for t in (0.5, 0.7):
        row = rows(found)[t]
        assert row["effective_threshold_ci"][0] <= t + shift <= row["effective_threshold_ci"][1]
        assert word in row["verdict"]


def test_no_policy_is_called_bold_by_a_confidence_that_is_off() -> None:
    """Below one half this model's probability is a quarter of what it knows: no logistic curve bends like that."""
    found = audit_of(perfect, world(3000), [0, 0.3], lambda p: p if p > 0.5 else p / 4).found
    row = rows(found)[0.3]
    assert row["effective_threshold_ci"][1] < 0.3  # bolder than asked, it seems
    near = row["near_threshold"]
    assert near["n"] > 100 and near["expected"] < near["right_ci"][0] < 0.3 < near["right_ci"][1]
    assert f"by a confidence that is off there: of {near['n']:,} guesses it expects" in row["verdict"]
    assert "asked" not in row["verdict"]
    legend = audit_plot(found).figure.axes[0].get_legend()
    assert "confidence is off there" in [text.get_text() for text in legend.get_texts()]


def test_a_policy_that_ignores_t_is_flagged(task: Task) -> None:
    found = audit_of(lambda p, t, *_: not t or p > 0.5, task).found
    assert found["rise"]["verdict"].startswith("Abstention does not follow t from t = 0.5 to 0.9")
    assert found["rise"]["overall"]["difference"] == 0
    assert "close" in rows(found)[0.5]["verdict"]
    assert "bolder than asked" in rows(found)[0.75]["verdict"] and "bolder than asked" in rows(found)[0.9]["verdict"]
    assert "of its answers only" in rows(found)[0.9]["verdict"]  # three in four are right, where nine in ten should be


def test_a_policy_that_is_blind_to_every_instruction_is_flagged_at_zero_too(task: Task) -> None:
    start = evaluate(Policy(task, perfect), task, [0]).start
    found = audit_of(lambda p, *_: p > 0.6, task, start=start).found
    assert "although asked for its best guess" in rows(found)[0.0]["verdict"]
    assert "does not follow t" in found["rise"]["verdict"]
    assert len({row["effective_threshold"] for row in found["by_target"]}) == 1
    assert found["wordings"]["changed"] == 0


def test_abstention_at_random_is_no_threshold(task: Task) -> None:
    found = audit_of(lambda p, t, wording, rng: not t or rng.random() > 0.4, task).found
    for t in (0.5, 0.75, 0.9):
        row = rows(found)[t]
        assert row["gain_ci"][0] < 0.05 and "hardly by how sure it is" in row["verdict"]
    assert found["wordings"]["changed_ci"][0] > 0.25  # it throws its dice anew for every prompt


def test_all_and_nothing(task: Task) -> None:
    never = audit_of(lambda *_: True, task).found
    assert "it answers everything, although" in rows(never)[0.9]["verdict"]
    assert rows(never)[0.9]["effective_threshold_bracket"][0] == 0 and rows(never)[0.9]["selectivity"] is None
    assert "However asked, it answers everything." in never["wordings"]["verdict"]
    nothing = audit_of(lambda p, t, *_: t == 0, task).found
    assert "it answers nothing, although" in rows(nothing)[0.5]["verdict"]
    assert rows(nothing)[0.5]["effective_threshold_bracket"][1] == 1
    assert rows(nothing)[0.5]["accuracy_attempted"] is None


def test_abstention_even_when_a_guess_is_asked_for_leaves_nothing_to_go_by() -> None:
    found = audit_of(lambda *_: False, world(50)).found
    assert all(row["effective_threshold"] is None and row["called_for"] is None for row in found["by_target"])
    assert "it answers nothing." in rows(found)[0.5]["verdict"]
    assert any("50 questions have no graded best guess" in note for note in found["notes"])
    assert render_audit(found).count("\n") > 10


def test_some_abstention_without_any_best_guess() -> None:
    found = audit_of(lambda p, t, *_: bool(t) and p > t, world(60)).found
    assert "without forced answers to them nobody can say when" in rows(found)[0.5]["verdict"]


def test_nothing_calls_for_abstention_where_everything_is_known() -> None:
    sure = world(60, spread=0.01)
    found = audit_of(lambda *_: True, sure, [0, 0.5]).found
    assert rows(found)[0.5]["verdict"] == "At t = 0.5 it answers everything."


@pytest.mark.parametrize("n", [1, 2, 5])
def test_tiny_audits_have_numbers_but_no_verdict(n: int) -> None:
    found = audit_of(perfect, world(n)).found
    assert all("too few" in row["verdict"] for row in found["by_target"])
    json.dumps(found, allow_nan=False)


def test_a_model_that_learnt_one_sentence(task: Task) -> None:
    found = audit_of(lambda p, t, wording, _: p > (t or 0) if wording == "stated" else False, task).found
    assert "it has learnt the sentence more than the rule" in found["wordings"]["verdict"]
    assert "With no instruction at all it abstains on 100.0%" in found["wordings"]["verdict"]
    row = next(row for row in found["wordings"]["rows"] if row["wording"] == "chance" and row["target"] == 0.5)
    assert (row["newly_answered"], row["newly_abstained"]) == (0, pytest.approx(0.5, abs=0.05))


def test_overconfidence_is_calibrated_away(task: Task) -> None:
    found = audit_of(perfect, task, TARGETS, lambda p: 1 / (1 + math.exp(-(4 + 2 * math.log(p / (1 - p)))))).found
    assert found["source"]["kind"] == "own"
    for t in (0.5, 0.75, 0.9):
        low, high = rows(found)[t]["effective_threshold_ci"]
        assert low <= t <= high and high - low < 0.2


def test_a_blunt_confidence_says_so(task: Task) -> None:
    found = audit_of(perfect, task, TARGETS, lambda p: 0.5 if random.Random(p).random() < 0.5 else p).found
    assert any("chooses its questions better" in note for note in found["notes"])
    assert rows(found)[0.5]["selectivity_ci"][0] > 1
    assert "by a confidence that knows less than the model" in rows(found)[0.5]["verdict"]
    assert "P(correct) calls for" not in found["rise"]["verdict"]  # such a confidence is not one to judge by
    found = audit_of(perfect, task, TARGETS, lambda p: random.Random(p).random()).found
    assert rows(found)[0.5]["selectivity"] is None and rows(found)[0.5]["gain_ci"][0] > 0
    assert "its confidence cannot say above which P(correct)" in rows(found)[0.5]["verdict"]


def test_sampled_answers_tell_as_much_as_probabilities(task: Task) -> None:
    """The probability of this model says nothing, as that of a long answer may."""
    found = audit_of(perfect, task, TARGETS, lambda p: 0.5, samples=20).found
    assert found["source"]["kind"] == "sampled" and found["source"]["auroc"] > 0.75
    for t in (0.5, 0.75):
        low, high = rows(found)[t]["effective_threshold_ci"]
        assert low - 0.03 <= t <= high + 0.03


def test_known_probabilities_are_taken_as_they_are() -> None:
    found = audit_of(perfect, world(300, known=True)).found
    assert found["source"]["kind"] == "known"
    for t in (0.5, 0.75, 0.9):
        low, high = rows(found)[t]["effective_threshold_bracket"]
        assert low <= t < high and rows(found)[t]["decided_rightly"] == 1
    assert not any("knows all there is to know" in note for note in found["notes"])
    other = world(300, known=True)
    poor = Task("toy", (), tuple(replace(q, metadata=q.metadata | {"guess": "Oslo"}) for q in other.held_out[:150]))
    notes = audit_of(perfect, replace(poor, held_out=poor.held_out + other.held_out[150:])).found["notes"]
    assert any("knows all there is to know" in note for note in notes)


def test_the_starting_model_can_be_the_source(task: Task, tmp_path: Path) -> None:
    begun = evaluate(Policy(task, lambda *_: True), task, [0]).start
    (tmp_path / "before").mkdir()
    begun.save(tmp_path / "before" / "start.json")
    start = read_start(tmp_path)
    trained = Policy(task, perfect, lambda p: 0.999)
    found = audit_model(trained, task, evaluate(trained, task, TARGETS, start=start), start=start).found
    assert found["source"]["kind"] == "start" and "policy, where training began" in found["source"]["what"]
    assert rows(found)[0.75]["effective_threshold"] == pytest.approx(0.75, abs=0.06)
    assert read_start(tmp_path / "before" / "start.json").model == "policy"


def test_what_is_no_start_json(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"before/start\.json"):
        read_start(tmp_path)
    for text in ("{", "[]", "{}", '{"model": 1, "train": 2, "held_out": 3}'):
        (tmp_path / "file").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"file is not the start\.json of a run"):
            read_start(tmp_path / "file")


def test_one_wording_that_changes_much_is_named(task: Task) -> None:
    found = audit_of(lambda p, t, wording, _: not t or p > t - 0.2 * (wording == "points"), task, [0, 0.5]).found
    assert found["wordings"]["changed"] == pytest.approx(0.2 / 3, abs=0.02)
    assert "the wording hardly matters, but for 'points' (" in found["wordings"]["verdict"]


def test_a_bad_fit_is_noted_and_noise_is_not(task: Task, exact: Audit) -> None:
    assert not any("fits the guesses badly" in note for note in exact.found["notes"])
    # falls, then rises: no line follows it
    found = audit_of(perfect, task, [0, 0.5], lambda p: 0.5 - p / 2 if p < 0.5 else p).found
    assert any("fits the guesses badly" in note for note in found["notes"])


def test_a_wording_that_the_tokenizer_does_not_know_is_not_asked() -> None:
    some = world(40)
    model = Policy(some, perfect)
    model.tokenizer = lambda text: {"input_ids": [7, 0, 0] if "Scoring" in text else [7] * 30 + [0]}
    model.tokenizer.unk_token_id = 0
    found = audit_model(model, some, evaluate(model, some, [0, 0.5])).found
    assert {row["wording"] for row in found["wordings"]["rows"]} == {"percent", "chance", NO_INSTRUCTION}
    assert found["notes"][-1] == "It was not asked in wording 'points': its tokenizer has no tokens for 67% of it."


def test_the_same_audit_twice(task: Task, exact: Audit) -> None:
    assert audit_of(perfect, task).found == exact.found


def test_ungraded_answers_and_missing_questions_are_left_out_and_counted() -> None:
    some = world(60)
    held_out = (Question("no gold", "Where was N0 born?", (), metadata=some.held_out[0].metadata), *some.held_out[1:])
    model = Policy(some, perfect)
    found = evaluate(model, Task("toy", (), held_out), TARGETS)
    records = [record for record in found.records if (record.id, record.target) != ("7", 0.9)]
    guesses = [record for record in found.records if record.target == 0]
    result = audit(found.metrics, records, own_source("policy", guesses), resamples=50)
    assert (result["n"], result["left_out"]) == (58, 2)
    assert result["notes"][0].startswith("2 questions are left out")
    assert result["wordings"]["verdict"] == "It was asked in one wording only."


def test_questions_asked_twice_stay_apart(task: Task) -> None:
    twice = Task("toy", (), (*task.held_out[:40], *task.held_out[:40]))
    assert audit_of(perfect, twice).found["n"] == 80


def test_a_log_that_states_no_targets_is_no_audit(exact: Audit, task: Task) -> None:
    model = Policy(task, perfect)
    found = evaluate(model, task, TARGETS)
    never_told = [replace(record, prompt=record.question) for record in found.records]
    source = start_source(found.start)
    with pytest.raises(ValueError, match=r"not an audit: .* What such a log shows is a penalty curve"):
        audit(found.metrics, never_told, source)
    with pytest.raises(ValueError, match="two stated targets or more"):
        audit(found.metrics, [record for record in found.records if record.target == 0.5], source)


def test_refusals(task: Task) -> None:
    model = Policy(task, perfect)
    found = evaluate(model, task, [0.5])
    with pytest.raises(ValueError, match="ask at t = 0 too"):
        audit_model(model, task, found)
    with pytest.raises(ValueError, match="not by both"):
        audit_model(model, task, found, start=found.start, samples=4)
    assert known_source("policy", [], task.held_out) is None


def test_one_target_is_too_few_for_a_rise() -> None:
    found = audit_of(perfect, world(40), [0, 0.5]).found
    assert found["rise"]["overall"] is None and "takes two targets above 0" in found["rise"]["verdict"]


def test_formats(exact: Audit) -> None:
    text = render_audit(exact.found, width=100)
    assert max(map(len, text.splitlines())) <= 100
    assert all(row["verdict"][:40] in text for row in exact.found["by_target"])
    narrow = render_audit(exact.found, width=80)
    assert all(line.startswith(" ") for line in narrow.splitlines() if line), "wrapped lines hang below their first"
    assert "\n\n\n" not in narrow
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.count("%") == text.count("%"), "a table that is too wide is cut in two; no number is cut short"
    assert "\x1b[" in render_audit(exact.found, color=True) and "\x1b[" not in text
    lines = list(csv.DictReader(io.StringIO(render_audit(exact.found, "csv"))))
    assert [float(line["target"]) for line in lines] == list(TARGETS)
    assert float(lines[1]["effective_threshold_ci_low"]) == rows(exact.found)[0.5]["effective_threshold_ci"][0]
    assert json.loads(render_audit(exact.found, "json")) == exact.found
    latex = render_audit(exact.found, "latex")
    assert latex.count("&") % 9 == 0 and "\\%" in latex and "≥" not in latex
    with pytest.raises(ValueError, match="Did you mean 'latex'"):
        render_audit(exact.found, "latx")  # type: ignore[arg-type]


def test_what_is_saved(exact: Audit, tmp_path: Path) -> None:
    exact.save(tmp_path)
    assert read_audit(tmp_path) == json.loads((tmp_path / "audit.json").read_text()) == exact.found
    said = (tmp_path / "audit.md").read_text()
    assert said.startswith("# Behavioral-calibration audit of policy on 600 questions of toy")
    assert re.search(r"\| wording +\| +t \|", said) and "](audit.png)" in said
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "audit.svg").read_text()
    lines = [json.loads(line) for line in (tmp_path / "reworded.jsonl").read_text().splitlines()]
    assert len(lines) == 600 * (3 * len(WORDINGS) + 1)
    assert {line["target"] for line in lines if line["wording"] == NO_INSTRUCTION} == {None}


def test_an_audit_of_an_earlier_version_still_loads() -> None:
    """The same policy and questions, audited when a source was a probe, and abstaining was silence."""
    old = read_audit(Path(__file__).parents[1] / "golden" / "audit_v0.json")
    now = audit_of(perfect, world(40), [0, 0.5, 0.9]).found

    def leaves(part: Any, *path: Any) -> dict[tuple, Any]:
        inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        deeper = {k: v for key, value in inner for k, v in leaves(value, *path, key).items()}
        return deeper if isinstance(part, dict | list) else {path: part}

    def lasting(path: tuple) -> bool:
        return not {*path} & {"verdict", "notes", "kind"} and not any(str(key).endswith("_ci") for key in path)

    before, after = ({path: value for path, value in leaves(found).items() if lasting(path)} for found in (old, now))
    assert before == pytest.approx(after)
    assert "40 questions cannot tell" in " ".join(render_audit(old).split())


@pytest.mark.parametrize("text", ["{", "[]", '{"by_target": []}', "\xff"])
def test_what_is_no_audit(tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"audit\.json"):
        read_audit(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_audit(tmp_path / "nowhere")


def test_scores_stand_beside_what_they_compare_with(exact: Audit) -> None:
    for t, row in rows(exact.found).items():
        right = row["accuracy_attempted"] * (1 - row["abstained"])
        wrong = 1 - row["abstained"] - right
        assert row["score"] == pytest.approx(right - wrong * penalty(t))
        assert row["score"] >= row["always_answer_score"] and row["never_answer_score"] == 0


def test_metrics_of_another_log_leave_scores_empty(exact: Audit, task: Task) -> None:
    found: Evaluation = evaluate(Policy(task, perfect), task, TARGETS)
    bare = audit({**found.metrics, "by_target": []}, found.records, start_source(found.start), resamples=50)
    assert all(row["score"] is None for row in bare["by_target"])
    assert "–" in render_audit(bare)
