"""Guards against collapse: signals every few steps, warnings when one begins, remedies that a recipe switches on.

    guards = Guards(GuardOptions(seed_idk={}), start=start.train)
    trainer = GRPOTrainer(reward_funcs=guards.wrap(rewards), ...)
    guards.attach(trainer)

Everything goes through TRL's reward functions and transformers' callbacks; no trainer is subclassed. `guards.jsonl`
in the output directory tells what was seen and done.
"""

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.evals.records import write_text
from abstain.evals.tasks.question import Question
from abstain.rewards.verdict_reward import VerdictReward
from abstain.trainers.guards.alarms import Watch
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.guards.remedies import (
    NamedRemedy,
    Remedy,
    SeedIdkRemedy,
    StopRemedy,
    check_remedy,
    check_unsharded,
)
from abstain.trainers.guards.rewards import GuardedReward, guard_reward
from abstain.trainers.guards.rollouts import Group, Rollouts, Sample, Window
from abstain.trainers.guards.signals import Evidence, measure_window, start_probabilities
from abstain.trainers.run_trainer import log_series

RECENT = 10
"""Checks whose completions the effective thresholds are estimated from."""
EVENTS = "guards.jsonl"
logger = logging.getLogger(__name__)


class Guards(TrainerCallback):
    """The guards of one training run.

    Args:
        options: how often to look, and which remedies to apply.
        start: the starting model's graded guesses on training questions: what it knew. Without them there is no
            over-refusal to see, and P(correct) is estimated from the completions.
        questions: training questions; where they carry a true P(correct), it is used.
    """

    def __init__(
        self, options: GuardOptions, *, start: ForcedAnswers | None = None, questions: Iterable[Question] = ()
    ) -> None:
        self.options = options
        self.rollouts = Rollouts()
        self.watch = Watch()
        self.remedies: list[Remedy] = []
        self.events: list[dict[str, Any]] = []
        nothing = ForcedAnswers.of([], [], [])
        guesses = nothing if start is None else start
        self.known = frozenset(id for id, right in zip(guesses.ids, guesses.correct, strict=True) if right == 1)
        self._p_correct = start_probabilities(guesses, questions)
        self._evidence: Evidence | None = None
        self._recent: deque[list[Group]] = deque(maxlen=RECENT)
        self._trainer: Any = None

    @property
    def samples(self) -> Sequence[Sample]:
        """Some completions of the last batch."""
        return self.rollouts.samples

    def wrap(self, rewards: Sequence[Callable[..., Any]], grading: VerdictReward | None = None) -> list[GuardedReward]:
        """The rewards to give to TRL. The first one that grades is listened to.

        Args:
            rewards: any reward functions.
            grading: grades for the guards where none of the rewards does. It pays nothing.

        Raises:
            ValueError: nothing grades.
        """
        listened = next((place for place, one in enumerate(rewards) if isinstance(one, VerdictReward)), None)
        if listened is not None:
            return [guard_reward(one, self.rollouts if i == listened else None) for i, one in enumerate(rewards)]
        if grading is None:
            raise ValueError(
                "guards listen to how completions are graded, and none of these rewards grades: write "
                "guards.wrap(rewards, Grading(grader=...)), from abstain.trainers.guards.rewards"
            )
        first, *others = rewards
        return [guard_reward(first, self.rollouts, grading), *map(guard_reward, others)]

    def attach(self, trainer: Any) -> None:
        """Begin to guard this trainer, whose rewards `wrap` returned.

        Raises:
            ValueError: a remedy cannot work with it.
        """
        self._trainer = trainer
        dataset, options = trainer.train_dataset, self.options
        asked = dataset.with_format(None)["question_id"] if "question_id" in dataset.column_names else []
        if self._p_correct.keys().isdisjoint(asked):
            self._evidence = Evidence()
        if options.seed_idk:
            self.remedies.append(SeedIdkRemedy(options.seed_idk, trainer, self.rollouts))
        if options.stop:
            self.remedies.append(StopRemedy(options.stop))
        self.remedies += [NamedRemedy(one, trainer, self.rollouts) for one in options.remedies]
        trainer.add_callback(self)

    def carried(self) -> dict[str, Any]:
        """What a checkpoint has to hold, see `abstain.trainers.resuming`."""
        return {
            "watch": asdict(self.watch),
            "lasted": {remedy.title: remedy.lasted for remedy in self.remedies},
            "events": self.events,
            "recent": [[astuple(group) for group in groups] for groups in self._recent],
            "evidence": self._evidence.counts if self._evidence else {},
            "rollouts": self.rollouts.carried(),
        }

    def carry_on(self, found: dict[str, Any]) -> None:
        """A resumed run goes on with the alarms, remedies and completions that its checkpoint had."""
        self.watch, self.events = Watch(**found["watch"]), found["events"]
        for remedy in self.remedies:
            remedy.lasted = found["lasted"].get(remedy.title, 0)
        self._recent.extend([Group(*row) for row in groups] for groups in found["recent"])
        if self._evidence:
            self._evidence.counts = found["evidence"]
        self.rollouts.carry_on(found["rollouts"])

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        """What is sampled from here on belongs to training."""
        self.rollouts.open = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look, every few steps."""
        self.rollouts.open = False
        if state.global_step % self.options.every == 0:
            self._check(Window.joined(gather_object([self.rollouts.take()])), state, control)

    def _check(self, window: Window, state: TrainerState, control: TrainerControl) -> None:
        if not window.groups:
            return
        self._recent.append(window.groups)
        recent = [group for groups in self._recent for group in groups]
        signals = measure_window(window, self.known, self._probabilities(window), recent)
        for alarm in self.watch.update(signals, state.global_step):
            self._tell(state, alarm.message, alarm=alarm.kind, over=alarm.ended, seen=alarm.seen)
        for remedy in self.remedies:
            self._treat(remedy, state, control)
        log_series(self._trainer, signals.logs() | {"guards/alarms": float(len(self.watch.active))})

    def _probabilities(self, window: Window) -> dict[str, float]:
        if self._evidence is None:
            return self._p_correct
        self._evidence.add(window.groups)
        return self._evidence.probabilities()

    def _treat(self, remedy: Remedy, state: TrainerState, control: TrainerControl) -> None:
        called = not self.watch.active.keys().isdisjoint(remedy.kinds)
        remedy.lasted = remedy.lasted + 1 if called else 0
        if called and (done := remedy.apply(state.global_step, control)):
            name = remedy.title
            self._tell(state, f"Step {state.global_step}: {name}: {done}.", remedy=name, done=done)

    def _tell(self, state: TrainerState, message: str, **event: Any) -> None:
        self.events.append({"step": state.global_step, **event})
        if state.is_world_process_zero:
            logger.warning("%s", message)
            lines = "".join(json.dumps(entry) + "\n" for entry in self.events)
            write_text(Path(self._trainer.args.output_dir) / EVENTS, lines)


def check_guards(options: GuardOptions, config: Any) -> None:
    """Refuse, before anything is loaded, what could not work.

    Args:
        options: of the recipe.
        config: TRL's configuration, or whatever has its fields `fsdp` and `deepspeed`.

    Raises:
        ValueError: a remedy cannot work with this configuration, or what is named as one is none.

    Example:
        >>> from types import SimpleNamespace
        >>> config = SimpleNamespace(fsdp=None, deepspeed="zero3.json")
        >>> check_guards(GuardOptions(seed_idk={}), config)
        Traceback (most recent call last):
        ...
        ValueError: guards.seed_idk cannot train weights that FSDP or DeepSpeed have sharded; seed by sft
    """
    if options.seed_idk:
        check_unsharded(bool(config.fsdp or config.deepspeed))
    for one in options.remedies:
        check_remedy(one)
