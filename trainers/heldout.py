"""Held-out questions asked while a model trains: a curve for each target, and the best checkpoint kept.

TRL samples its evaluations at the training temperature, and logs rewards of every evaluation set under the same keys;
`abstain.trainers.verdict_metrics` measures what it samples. Here `abstain.evals.evaluation` asks a fixed draw of
questions greedily:

    heldout/factworld/score            mean over targets of S_t, points per question
    heldout/factworld/score/t=0.5      and regret, correct, incorrect, abstained, effective_threshold, by target
    heldout/factworld/mean_regret, heldout/factworld/aurc
    heldout/factworld/reading_gap      share that is right leniently, as evaluation reads, and not strictly
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from abstain.evals.claims.asking import evaluate_claims
from abstain.evals.evaluation import Evaluation, evaluate
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.metrics.schema import Metrics
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import TARGETS, Instruct
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import target_label
from abstain.trainers.guards.signals import effective_threshold, fitted_probabilities
from abstain.trainers.run_trainer import log_series

CURVES = ("mean_regret", "aurc", "reading_gap")
"""Keys of `metrics.json` that are logged, besides the mean of `score` over the targets …"""
CURVES_BY_TARGET = ("score", "regret", "correct", "incorrect", "abstained")
"""… and of its `by_target`."""
SMALL_IS_BETTER = frozenset({"mean_regret", "aurc", "reading_gap", "regret", "incorrect"})


class SharedSampler(Sampler):
    """`Sampler` on the model of a trainer: each process asks its share of the prompts, and all get all completions.

    All processes have to call `sample` with the same prompts.

    Args:
        trainer: TRL's.
        options: as for `Sampler`.
    """

    def __init__(self, trainer: Any, **options: Any) -> None:
        super().__init__(trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class, **options)
        self._trainer = trainer

    def sample(self, prompts: Sequence[str], **options: Any) -> list[list[Completion]]:
        """As `Sampler.sample`."""
        from trl.models import unwrap_model_for_generation  # TRL takes seconds to import

        accelerator = self._trainer.accelerator
        rank, processes = accelerator.process_index, accelerator.num_processes
        kwargs = self._trainer.args.gradient_checkpointing_kwargs
        with unwrap_model_for_generation(
            self._trainer.model_wrapped, accelerator, gradient_checkpointing_kwargs=kwargs
        ):  # no checkpointing meanwhile, and ZeRO's sharded weights in one piece
            own = super().sample(prompts[rank::processes], **options)
        if processes == 1:
            return own
        gathered = gather_object([(rank + processes * index, row) for index, row in enumerate(own)])
        return [row for _, row in sorted(gathered, key=lambda pair: pair[0])]


@dataclass(frozen=True)
class HeldOutSet:
    """A data set to ask about.

    Args:
        task: its held-out questions are asked.
        start: best guesses of the starting model, for the oracle that regret is measured to; by default those of the
            model as it is when training begins.
    """

    task: Task
    start: BaseGuesses | None = None


class HeldOut(TrainerCallback):
    """Asks held-out questions every few steps, and marks the best checkpoint.

    With `every`, it keeps its own schedule and needs no evaluation set of TRL; `keep_best` then saves a checkpoint
    whenever the score is the best so far, and training ends with that one loaded, as with `load_best_model_at_end`.
    Without, it joins the trainer's own evaluations (`eval_strategy`), and its keys work as `metric_for_best_model`.

    Args:
        trainer: TRL's; the callback adds itself.
        sets: data sets by the name that their keys begin with, after `heldout/`.
        every: steps between two evaluations; `None` to follow the trainer's.
        targets: confidence targets in [0, 1).
        limit: questions of each set, drawn with `seed`.
        seed: of the draw.
        keep_best: as above.
        patience: evaluations without a better score before training stops; `None` for never.
        metric: key that decides; by default the score of the first set, over all targets. Regret, AURC and error are
            better when small, the others when large.
        instruct: what prompts say, see `abstain.evals.evaluation`.
        sampler_options: of `abstain.evals.sampler.Sampler`: prompt_format, batch_tokens, autocast.

    Raises:
        ValueError: no sets, `keep_best` where no checkpoints are saved or without `every`, weights sharded by FSDP; on
            an evaluation, a `metric` that there is not.
    """

    def __init__(
        self,
        trainer: Any,
        sets: Mapping[str, HeldOutSet],
        *,
        every: int | None = None,
        targets: Sequence[float] = TARGETS,
        limit: int | None = 500,
        seed: int = 0,
        keep_best: bool = False,
        patience: int | None = None,
        metric: str | None = None,
        instruct: Instruct = "target",
        sampler_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not sets:
            raise ValueError("held-out evaluation needs a data set")
        if trainer.is_fsdp_enabled:
            raise ValueError("held-out evaluation cannot ask a model whose weights FSDP has sharded; use DDP or ZeRO")
        self._trainer = trainer
        self._sets = dict(sets)
        self._starts = {name: held_out.start for name, held_out in sets.items()}
        self.every, self.targets, self.limit, self.seed = every, targets, limit, seed
        self.keep_best, self.patience = keep_best, patience
        self.metric = metric or f"heldout/{next(iter(sets))}/score"
        self._instruct = instruct
        self._sampler_options = dict(sampler_options or {})
        self._last: tuple[int, dict[str, float]] | None = None
        if keep_best:
            self._keep_best()
        trainer.add_callback(self)

    def evaluate(self) -> dict[str, float]:
        """Ask all sets now, log what was found, and return it."""
        began = time.perf_counter()
        series: dict[str, float] = {}
        for name, held_out in self._sets.items():
            numbers = held_out_series(self._ask(name, held_out.task), held_out.task.held_out)
            series |= {f"heldout/{name}/{key}": value for key, value in numbers.items()}
        series["heldout/seconds"] = time.perf_counter() - began
        log_series(self._trainer, series)
        return series

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Where the curves start, and what the starting model knows if nobody has said so."""
        unknown = not self.every and None in self._starts.values()
        if unknown or (self.every and state.global_step == 0):
            self.evaluate()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluate every few steps, and at the last one."""
        if not self.every or (state.global_step % self.every and state.global_step < state.max_steps):
            return
        score = self._decisive(self.evaluate())
        if score is not None and self._is_better(score, state.best_metric):
            state.best_metric, state.best_global_step = score, state.global_step
            control.should_save = control.should_save or self.keep_best
        elif self.patience and self._evaluations_since(state) >= self.patience:
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Put our numbers among the trainer's, which looks there for `metric_for_best_model`."""
        if metrics is None or self.every:
            return
        if self._last is None or self._last[0] != state.global_step:  # TRL comes here once for each of its own sets
            self._last = state.global_step, self.evaluate()
        metrics |= {f"eval_{key}": value for key, value in self._last[1].items()}

    def _keep_best(self) -> None:
        args = self._trainer.args
        if not self.every or args.metric_for_best_model:
            raise ValueError(
                "keep_best goes with a schedule of its own (`every`) and `metric`; with the trainer's evaluations set "
                "load_best_model_at_end and metric_for_best_model"
            )
        if args.save_strategy == "no":
            raise ValueError("the best checkpoint cannot be kept with save_strategy='no'; set it to 'steps'")
        args.load_best_model_at_end = True  # which transformers refuses to take before, without evaluations of its own

    def _ask(self, name: str, task: Task) -> Evaluation:
        file = Path(self._trainer.args.output_dir) / f"heldout-{name}-start.json"
        start = self._starts[name]
        if start is None and self._trainer.state.global_step and file.exists():
            start = BaseGuesses.load(file)  # of a run that is resumed
        sampler = SharedSampler(self._trainer, **self._sampler_options)
        if self._instruct == "claims":
            evaluation = evaluate_claims(sampler, task, self.targets, start=start, limit=self.limit, seed=self.seed)
        else:
            evaluation = evaluate(
                sampler,
                task,
                self.targets,
                start=start,
                limit=self.limit,
                seed=self.seed,
                instruct=self._instruct,
            )
        if self._starts[name] is None:
            self._starts[name] = evaluation.start
            if start is None and self._trainer.accelerator.is_main_process:
                evaluation.start.save(file)
        return evaluation

    def _decisive(self, found: dict[str, float]) -> float | None:
        if self.metric in found:
            return found[self.metric]
        overall = {f"heldout/{name}/{key}" for name in self._sets for key in ("score", *CURVES)}
        if self.metric in overall:
            return None  # nothing was graded
        raise ValueError(f"held-out evaluation has no '{self.metric}'; there are: {', '.join(sorted(found))}")

    def _is_better(self, score: float, best: float | None) -> bool:
        large_is_better = SMALL_IS_BETTER.isdisjoint(self.metric.split("/"))
        return best is None or (score > best if large_is_better else score < best)

    def _evaluations_since(self, state: TrainerState) -> int:
        """Since the best one, this one included; counted in the log, which a resumed run has too."""
        best = state.best_global_step or 0
        return len({entry["step"] for entry in state.log_history if self.metric in entry and entry["step"] > best})


def held_out_series(evaluation: Evaluation, questions: Sequence[Question] = ()) -> dict[str, float]:
    """What is logged of an evaluation; a number that cannot be had has no key.

    Args:
        evaluation: of `abstain.evals.evaluation`.
        questions: held-out ones; where they carry a true P(correct), the effective thresholds are in terms of it.
    """
    series = series_of(evaluation.metrics)
    thresholds = {label: tau for label, tau in _thresholds(evaluation, questions).items() if tau is not None}
    return series | {f"effective_threshold/{label}": float(tau) for label, tau in thresholds.items()}


def series_of(metrics: Metrics, by_target: Sequence[str] = CURVES_BY_TARGET) -> dict[str, float]:
    """Of a `metrics.json`: `score`, its mean over the targets, the other `CURVES`, and `score/t=0.5` and the like.

    Args:
        metrics: as `abstain.evals.metrics.measuring.measure` returns them.
        by_target: keys of its `by_target`.
    """
    rows = {target_label(row["target"]): row for row in metrics["by_target"]}
    scores = [row["score"] for row in rows.values()]
    series = {key: metrics.get(key) for key in CURVES}
    series["score"] = float(np.mean(scores)) if None not in scores else None
    series |= {f"{key}/{label}": row[key] for label, row in rows.items() for key in by_target}
    return {key: float(value) for key, value in series.items() if value is not None}


def _thresholds(evaluation: Evaluation, questions: Sequence[Question]) -> dict[str, float | None]:
    """By the starting model's probabilities, fitted to its being right on training questions, or on these."""
    start = evaluation.start
    fit_on = start.train if len(start.train.ids) else start.held_out
    p_correct = dict(zip(start.held_out.ids, fitted_probabilities(fit_on, start.held_out), strict=False))
    p_correct |= {question.id: question.metadata["true_p"] for question in questions if "true_p" in question.metadata}
    answered: dict[str, list[tuple[float, bool]]] = {}
    for record in evaluation.records:
        if record.id in p_correct and record.verdict is not Verdict.UNGRADED:
            pairs = answered.setdefault(target_label(record.target), [])
            pairs.append((p_correct[record.id], record.verdict is not Verdict.ABSTAINED))
    return {
        label: effective_threshold(
            np.array([p for p, _ in pairs]), np.array([tried for _, tried in pairs], dtype=float)
        )
        for label, pairs in answered.items()
    }
