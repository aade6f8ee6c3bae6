"""One model, many ways to abstain: all policies on the same held-out questions, scored at every target.

    evaluation = evaluate(sampler, task, [0, 0.5, 0.75, 0.9])
    compare_policies(sampler, task, evaluation).save("results")     # policies.json, policies.md

Asked anew are only the questions without any instruction (closed rubric), and the samples; everything else comes from
the evaluation. The guesses that thresholds go by are those of the evaluation's starting model.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.evaluation import ABSTENTION, Evaluation, evaluate
from abstain.evals.metrics.intervals import KIND, LEVEL
from abstain.evals.metrics.oracle import BaseGuesses, best_threshold
from abstain.evals.policies.agreement import SAMPLES, TEMPERATURE, Agreed, as_forced, ask_samples, check_samples
from abstain.evals.policies.conformal import DELTA
from abstain.evals.policies.rows import Policy, policy_rows
from abstain.evals.policies.sentences import findings
from abstain.evals.policies.tables import render_policies
from abstain.evals.policies.thresholds import Verdicts, guess_policies
from abstain.evals.records import read_json, write_text
from abstain.evals.sampling import AnySampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.grading import settle
from abstain.rewards.judge.grader import JudgeGrader
from abstain.rewards.prompts import Instruct
from abstain.rewards.verdict import Verdict


@dataclass(frozen=True)
class Comparison:
    """What a comparison of policies found.

    Args:
        found: as in `policies.json`; see `compare_policies`.
    """

    found: dict[str, Any]

    def save(self, folder: str | Path) -> None:
        """Write `policies.json` and `policies.md`, each all or nothing."""
        write_text(Path(folder) / "policies.json", json.dumps(self.found, indent=2) + "\n")
        write_text(Path(folder) / "policies.md", render_policies(self.found, "markdown"))


def read_policies(path: str | Path) -> dict[str, Any]:
    """The contents of a `policies.json`.

    Args:
        path: of the file, or of the directory that holds it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is something else.
    """
    file = Path(path) / "policies.json" if Path(path).is_dir() else Path(path)
    found = read_json(file)
    if not isinstance(found, dict) or not {"rows", "overall", "findings"} <= found.keys():
        raise ValueError(f"{file} is not the policies.json of `abstain eval --baselines`")
    return found


def compare_policies(
    sampler: AnySampler,
    task: Task,
    evaluation: Evaluation,
    *,
    own_start: bool = True,
    samples: int = SAMPLES,
    temperature: float = TEMPERATURE,
    delta: float = DELTA,
    judge: JudgeGrader | None = None,
    seed: int = 0,
    progress: bool = False,
    before_asking: Callable[[Sequence[str]], object] | None = None,
) -> Comparison:
    """Score every policy at the targets of an evaluation.

    Args:
        sampler: the model that was evaluated.
        task: whose questions it was asked.
        evaluation: of this model. Where its prompts did not state the target, they are asked again, stating it.
        own_start: whether the evaluation's best guesses are this model's own, and not those of one it began as.
        samples: k, how many sampled answers have to agree; with more than 2 also a share of them that is chosen on
            training questions, which are sampled too.
        temperature: of the samples.
        delta: how often the guarantee for the share of wrong answers may fail.
        judge: the one that graded the evaluation.
        seed: of samples, and of halves where there are no training questions.
        progress: show how far it is, on stderr.
        before_asking: called with all prompts before the first of them is asked, each as often as it will be.

    Returns:
        `found` has `rows` and `overall` (`abstain.evals.policies.rows.policy_rows`), `findings` in sentences, and what
        was asked: `model`, `start`, `task`, `n`, `n_train`, `samples`, `temperature`, `delta`, `interval`; and the
        `confidence` that thresholds go by: "probability", "share of samples" where no probabilities are known, or
        `None`, and there are no thresholds.

    Raises:
        ValueError: the evaluation is of other questions than the task's; fewer than 2 samples; no temperature; a delta
            outside (0, 1).
    """
    check_samples(samples, temperature)
    targets = sorted({record.target for record in evaluation.records})
    task = _asked_again(task, evaluation)
    held_out, train = task.held_out, task.train if samples > 2 else ()
    missing: list[Instruct] = [one for one in ("target", "nothing") if evaluation.metrics["instruct"] != one]
    if before_asking:
        before_asking(_prompts(task, targets, missing, (*held_out, *train), samples))
    asking: dict[str, Any] = {"judge": judge, "reading": evaluation.metrics["reading"], "progress": progress}
    again = {
        one: evaluate(sampler, task, targets, start=evaluation.start, seed=seed, instruct=one, **asking)
        for one in missing
    }
    agreed, agreed_train = (
        ask_samples(sampler, task, asked, samples=samples, temperature=temperature, seed=seed, **asking)
        for asked in (held_out, train)
    )
    shares = BaseGuesses(sampler.name, as_forced(train, agreed_train, samples), as_forced(held_out, agreed, samples))
    of_samples = sample_verdicts(agreed, _withheld(held_out))
    start, of_guesses = _guesses(evaluation, held_out, own_start)
    confidence: str | None = "probability"
    if np.isnan(start.held_out.confidence).all():
        confidence = "share of samples" if samples > 2 else None
        start, of_guesses = (shares, of_samples) if confidence else (start, of_guesses)
    guesses = guess_policies(start, targets, verdicts=of_guesses, delta=delta, seed=seed)
    stated = _rubric("open rubric", sampler.name, held_out, again.get("target", evaluation))
    plain = _rubric("closed rubric", sampler.name, held_out, again.get("nothing", evaluation))
    agreeing = agreement_policies(shares, targets, of_samples, {"samples": samples, "temperature": temperature})
    policies = [stated, plain, *agreeing, *(guesses if confidence else guesses[:1])]
    rows, overall = policy_rows(policies, stated)
    found = {
        "model": sampler.name,
        "start": start.model,
        "task": task.name,
        "n": len(held_out),
        "n_train": len(start.train.ids),
        "samples": samples,
        "temperature": temperature,
        "delta": delta,
        "confidence": confidence,
        "rows": rows,
        "overall": overall,
        "interval": {"level": LEVEL, "kind": KIND, "seed": seed},
    }
    return Comparison(found | {"findings": findings(found)})


def _asked_again(task: Task, evaluation: Evaluation) -> Task:
    """The task with the questions that the evaluation asked, read as it read them."""
    ids, trained = {record.id for record in evaluation.records}, set(evaluation.start.train.ids)
    asked = task.with_held_out(ids)
    if lost := len(ids) - len(asked.held_out):
        raise ValueError(f"{lost} questions of the evaluation are not in task {task.name}: was it another task?")
    train = tuple(question for question in task.train if question.id in trained)
    return replace(asked, train=train, answer_format=evaluation.metrics["answer_format"])


def _prompts(
    task: Task, targets: Sequence[float], missing: Sequence[Instruct], to_sample: Sequence[Question], samples: int
) -> list[str]:
    """Everything that will be asked, as often as it will be."""
    stated = sorted({0.0, *targets}) if "target" in missing else []
    prompts = [one.prompt(t, task.template) for t in stated for one in task.held_out]
    plain = [*task.held_out] * ("nothing" in missing) + [*to_sample] * samples
    return prompts + [one.prompt(None, task.template) for one in plain]


def _rubric(name: str, model: str, questions: Sequence[Question], evaluation: Evaluation) -> Policy:
    given = {(record.id, record.target): record.verdict for record in evaluation.records}
    targets = {record.target for record in evaluation.records}
    return Policy(name, model, {t: [given[question.id, t] for question in questions] for t in targets})


def agreement_policies(
    shares: BaseGuesses, targets: Sequence[float], verdicts: Verdicts, settings: Mapping[str, Any]
) -> list[Policy]:
    """Answered iff all samples agree; and, where training questions were sampled, iff as many do as is best on them.

    Args:
        shares: what most samples say, and the share of the samples that say it as the confidence.
        targets: confidence targets t in [0, 1).
        verdicts: on the held-out ones of them.
        settings: `samples` and `temperature`.
    """
    share = shares.held_out.confidence
    every = verdicts.where(share == 1)
    policies = [Policy("samples agree", shares.model, dict.fromkeys(targets, every), dict.fromkeys(targets, settings))]
    if not len(shares.train.ids):
        return policies
    fitted = {t: best_threshold(shares.train, t) for t in targets}
    given = {t: verdicts.where(share > fitted[t]) for t in targets}
    chosen = {t: {**settings, "threshold": fitted[t]} for t in targets}
    return [*policies, Policy("fitted share", shares.model, given, chosen)]


def sample_verdicts(agreed: Sequence[Agreed], withheld: Sequence[Verdict]) -> Verdicts:
    """Where a sample is missing nobody knows whether they agree: UNGRADED, answered or not."""
    kept = [Verdict.UNGRADED if one.count is None else verdict for one, verdict in zip(agreed, withheld, strict=True)]
    return Verdicts([one.verdict for one in agreed], kept)


def _withheld(questions: Sequence[Question]) -> list[Verdict]:
    """The verdict on saying nothing: UNGRADED without a gold answer, else ABSTAINED."""
    return [settle(ABSTENTION, question.gold) or Verdict.ABSTAINED for question in questions]


def _guesses(evaluation: Evaluation, questions: Sequence[Question], own_start: bool) -> tuple[BaseGuesses, Verdicts]:
    """Best guesses, and what the records at t = 0 know of those without a grade: no answer was offered, or no reply.

    Records know that where t = 0 asked this model for its best guess.
    """
    held_out = evaluation.start.held_out.pick([question.id for question in questions])
    there = own_start and evaluation.metrics["instruct"] != "confidence"
    guesses = {record.id: record for record in evaluation.records if record.target == 0 and there}
    given, withheld = list(Verdicts.of(held_out).given), _withheld(questions)
    for place, question in enumerate(questions):
        guess = guesses.get(question.id)
        if guess and given[place] is Verdict.UNGRADED:
            given[place] = guess.verdict
            if guess.verdict is Verdict.UNGRADED and not guess.completion:
                withheld[place] = Verdict.UNGRADED
    return replace(evaluation.start, held_out=held_out), Verdicts(given, withheld)
