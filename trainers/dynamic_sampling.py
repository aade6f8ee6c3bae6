"""Dynamic sampling: where a group agrees, another prompt is drawn in its place.

A group whose G completions earned the same reward has advantages of 0, and teaches nothing. Yu et al., DAPO: An
Open-Source LLM Reinforcement Learning System at Scale, arXiv 2503.14476, section 3.2, leave such groups out and sample
until a batch is full of others. Here each of the batch's K places is drawn again, with a prompt of its own, until its
group disagrees or `max_rounds` is reached.

What that does to the gradient, where only advantages make it (no KL term, no scaling of rewards by their spread): with
g(x) the gradient of a group of prompt x, which is 0 if it agrees, and a the share of groups that agree,

    E[one place] = E[g(x)] · (1 + a + … + a^max_rounds)

since a place is drawn again exactly when its gradient was 0, and from the same distribution of prompts. All prompts
and targets keep their weight: the step is as long as that of a batch so much larger, and points where it did. With
`same_target` a place keeps the target t of its first prompt, so the factor is that of the a_t of its target: targets
whose groups mostly agree weigh more than they would.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from abstain.rewards.verdict_reward import target_label

AnyTrainer: Any = object
"""For a type checker the trainer that the mixin is mixed into, whatever that has. (No torch here: recipes are checked
without it.)"""
Inputs = list[dict[str, Any]]
"""Rows of the data set, as TRL's data loader gives them: every prompt as often as it is sampled."""
PREFIX = "dynamic_sampling"
_ROUNDING = 1e-6  # of a sum of rewards in single precision, relative


class DynamicSamplingOptions(BaseModel, extra="forbid"):
    """Draw another prompt where all completions of one earned the same, and would teach nothing."""

    max_rounds: int = Field(3, ge=1)
    """So many further draws at most, for one batch. What still agrees stays in the batch, which keeps its size."""
    same_target: bool = False
    """Draw a prompt of the same target. The targets keep their shares of the batch, and those that mostly agree, as a
    high one does once everybody abstains, weigh more in the gradient than the data give them."""


def agrees(rewards: NDArray[Any], weights: Sequence[float], clip: Sequence[float] | None = None) -> bool:
    """Whether the completions of a group earned the same, so that none has an advantage.

    Args:
        rewards: (G, reward functions); NaN where a function had none. A completion without any is left out.
        weights: of the functions, in the sum.
        clip: bounds of the sum, as RLOO's `reward_clip_range`.

    Example:
        >>> agrees(np.array([[0.25, 0], [0.25, 1]]), weights=[1, 0])  # the second function is only logged
        True
        >>> agrees(np.array([[0.25, 0], [0.25, 1]]), weights=[1, 1])
        False
    """
    graded = ~np.isnan(rewards).all(axis=1)
    totals = np.nansum(rewards[graded] * np.asarray(weights, dtype=float), axis=1)
    totals = totals if clip is None else totals.clip(*clip)
    return len(totals) < 2 or bool(np.ptp(totals) <= _ROUNDING * np.abs(totals).max())


@dataclass(frozen=True)
class _Row:
    """A completion: its row of the data set, its share of what `_generate` returns, and of what rewards logged."""

    input: dict[str, Any]
    generated: list[Any]
    extra: dict[str, Any]


@dataclass(frozen=True)
class _Group:
    """The completions of one prompt, with their rewards (G, reward functions)."""

    rows: list[_Row]
    rewards: NDArray[Any]
    agrees: bool

    @property
    def target(self) -> float | None:
        return self.rows[0].input.get("target")


@dataclass(frozen=True)
class _Draw:
    """Groups of all processes, and in what form TRL wants them.

    Args:
        groups: in the order of their prompts.
        generated: what `_generate` returned in this process; of its parts, lists with an entry for each row are dealt
            out with the rows.
        rewards: (all rows, reward functions), the tensor.
    """

    groups: list[_Group]
    generated: tuple[Any, ...]
    rewards: Any


@dataclass(frozen=True)
class _Batch:
    """What TRL is given in the place of a generation: for this process, and the rewards of all."""

    inputs: Inputs
    generated: tuple[Any, ...]
    rewards: Any


class DynamicSampling(AnyTrainer):
    """Mixin for TRL's `GRPOTrainer` and `RLOOTrainer`, and what is made of them.

    Prompts are drawn and graded until the batch is chosen; then TRL makes advantages, log-probabilities and logs of
    the chosen batch as of any other. Every process finds the same places to draw again, by the rewards of all. Draws
    depend on the seed and the step alone, so a resumed run makes the same ones.

    Logged for each generation, under `dynamic_sampling/`:

        agreed              share of the groups that agreed at first, which taught nothing without this; agreed/t=0.9
                            of one target. What is left of them in the batch is TRL's `frac_reward_zero_std`
        rounds              further draws
        extra_completions   completions that they took
        reward              mean of the first draw: what TRL's `reward`, which is that of the chosen batch, is without
        taught/t=0.9        share of a target among the groups of the batch that disagree

    What rewards tell by `log_metric` is of the first draw, too.

    Args:
        dynamic_sampling: options, or a dictionary of them; `None` for none of this.

    Raises:
        ValueError: options that do not fit the trainer or its data.
    """

    has_groups = True
    """Whether advantages compare the completions of a prompt with each other."""

    def __init__(
        self,
        *args: Any,
        dynamic_sampling: DynamicSamplingOptions | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._chosen: _Batch | None = None
        self.dynamic_sampling: DynamicSamplingOptions | None = None
        if dynamic_sampling is not None:
            self.dynamic_sampling = DynamicSamplingOptions.model_validate(dynamic_sampling)
            _check(self, self.dynamic_sampling)

    # What TRL calls

    def _generate_and_score_completions(self, inputs: Inputs) -> Any:
        if self.dynamic_sampling is None or not self.model.training:
            return super()._generate_and_score_completions(inputs)
        self._chosen = self._choose(inputs, self.dynamic_sampling.max_rounds)
        try:
            return super()._generate_and_score_completions(self._chosen.inputs)
        finally:
            self._chosen = None

    def _generate(self, prompts: list[Any]) -> Any:
        return super()._generate(prompts) if self._chosen is None else self._chosen.generated

    def _calculate_rewards(self, *batch: Any) -> Any:
        return super()._calculate_rewards(*batch) if self._chosen is None else self._chosen.rewards

    # Drawing

    def _choose(self, inputs: Inputs, max_rounds: int) -> _Batch:
        if "image" in inputs[0] or "images" in inputs[0]:
            raise ValueError("dynamic_sampling cannot draw prompts with images; leave it out")
        first = self._draw(inputs)
        told = {name: list(values) for name, values in self._pending_metrics.items()}
        groups, counts = list(first.groups), list[int]()
        while len(counts) < max_rounds and (places := [place for place, one in enumerate(groups) if one.agrees]):
            asked = self._for_all_processes(places)
            prompts = self._other_prompts([groups[place].target for place in asked], list(inputs[0]), len(counts))
            drawn = self._draw(self._own_part([row for row in prompts for _ in range(self.num_generations)]))
            for place, group in zip(places, drawn.groups, strict=False):  # those too many are dropped
                groups[place] = group
            counts.append(len(drawn.rewards))
        self._pending_metrics.clear()
        self._pending_metrics.update(told)
        self._log_draws(first.groups, groups, counts)
        rows = self._own_part([row for group in groups for row in group.rows])
        for column in {column for row in rows for column in row.extra}:
            self._pending_extra_logs[column] = [row.extra.get(column) for row in rows]
        parts = zip(first.generated, zip(*(row.generated for row in rows), strict=True), strict=True)
        return _Batch(
            inputs=[row.input for row in rows],
            generated=tuple(list(of_rows) if _is_of_rows(part, inputs) else part for part, of_rows in parts),
            rewards=first.rewards.new_tensor(np.concatenate([group.rewards for group in groups])),
        )

    def _draw(self, inputs: Inputs) -> _Draw:
        from accelerate.utils import gather_object  # takes seconds to import

        prompts = [row["prompt"] for row in inputs]
        generated = super()._generate(prompts)
        ids, completions = generated[1], generated[3 if len(generated) > 3 else 2]  # GRPO has a tool mask between them
        rewards = super()._calculate_rewards(inputs, prompts, completions, ids)
        extra = {name: values for name, values in self._pending_extra_logs.items() if len(values) == len(inputs)}
        self._pending_extra_logs.clear()
        own = [
            _Row(
                row,
                [part[place] if _is_of_rows(part, inputs) else None for part in generated],
                {name: values[place] for name, values in extra.items()},
            )
            for place, row in enumerate(inputs)
        ]
        rows, found = gather_object(own), rewards.cpu().numpy()
        weights, clip = self.reward_weights.tolist(), getattr(self, "reward_clip_range", None)
        parts = [slice(start, start + self.num_generations) for start in range(0, len(rows), self.num_generations)]
        groups = [_Group(rows[part], found[part], agrees(found[part], weights, clip)) for part in parts]
        return _Draw(groups, generated, rewards)

    def _for_all_processes(self, places: list[int]) -> list[int]:
        """The places, and some again, until their completions can be dealt out to the processes evenly."""
        processes = self.accelerator.num_processes
        unit = processes // gcd(self.num_generations, processes)
        return list(islice(cycle(places), -(-len(places) // unit) * unit))

    def _own_part(self, rows: list[Any]) -> list[Any]:
        each = len(rows) // self.accelerator.num_processes
        return rows[self.accelerator.process_index * each :][:each]

    def _other_prompts(self, targets: Sequence[float | None], columns: Sequence[str], round_: int) -> Inputs:
        """A prompt for each place; the same ones in all processes."""
        draws = random.Random(f"{self.args.seed} {self._step} {round_}")  # _step is another for each generation
        if self.dynamic_sampling is not None and self.dynamic_sampling.same_target:
            numbers = [draws.choice(self._rows_by_target[target]) for target in targets]
        else:
            numbers = [draws.randrange(len(self.train_dataset)) for _ in targets]
        rows = [self.train_dataset[number] for number in numbers]
        return [{name: row[name] for name in columns} for row in rows]  # those that the data loader leaves

    @cached_property
    def _rows_by_target(self) -> dict[float | None, list[int]]:
        found = defaultdict(list)
        for number, target in enumerate(self.train_dataset["target"]):
            found[target].append(number)
        return dict(found)

    def _log_draws(self, first: Sequence[_Group], chosen: Sequence[_Group], counts: Sequence[int]) -> None:
        totals = np.concatenate([group.rewards for group in first])
        graded = ~np.isnan(totals).all(axis=1)
        reward = np.nansum(totals[graded] * self.reward_weights.tolist(), axis=1)
        logged = {
            "agreed": np.mean([group.agrees for group in first]),
            "rounds": len(counts),
            "extra_completions": sum(counts),
            "reward": reward.mean() if len(reward) else np.nan,
        }
        by_target: dict[Any, list[bool]] = defaultdict(list)
        for group in first:
            by_target[group.target].append(group.agrees)
        taught = Counter(group.target for group in chosen if not group.agrees)
        for target in sorted({*by_target, *taught} - {None}):
            if target in by_target:
                logged[f"agreed/{target_label(target)}"] = np.mean(by_target[target])
            if taught:
                logged[f"taught/{target_label(target)}"] = taught[target] / taught.total()
        for name, value in logged.items():
            self._metrics["train"][f"{PREFIX}/{name}"].append(float(value))


def _is_of_rows(part: Any, rows: Inputs) -> bool:
    """Whether a part of what `_generate` returns has an entry for each row; others are empty, or `None`."""
    return isinstance(part, list) and len(part) == len(rows)


def _check(trainer: Any, options: DynamicSamplingOptions) -> None:
    """Raise `ValueError` where nothing can be drawn again, or agreeing groups would teach something."""
    dataset = trainer.train_dataset
    refused = {
        "compares completions with a value head, not with each other, so none agree for it; use GRPO or RLOO": (
            not trainer.has_groups
        ),
        "needs a data set that can be indexed, not a stream; load it without streaming": (
            not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__")
        ),
        "cannot draw for tools, environments or a rollout_func, which keep a state for each row": any(
            getattr(trainer, name, None) for name in ("tools", "environment_factories", "rollout_func")
        ),
        "leaves out groups that multi_objective_aggregation='normalize_then_sum' gives advantages; set "
        "sum_then_normalize": getattr(trainer, "multi_objective_aggregation", "") == "normalize_then_sum",
    }
    for reason, holds in refused.items():
        if holds:
            raise ValueError(f"dynamic_sampling: {type(trainer).__name__} {reason}")
    if options.same_target and "target" not in (getattr(dataset, "column_names", None) or []):
        raise ValueError(
            "dynamic_sampling: same_target needs a column 'target' in the data set; leave same_target out"
        )
