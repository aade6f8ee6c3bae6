"""`compute_metrics` for GRPO and RLOO: numbers of a whole evaluation set, in TRL's own evaluation loop.

TRL's evaluations log rewards and nothing else (trl issues 2959 and 3729): `prediction_step` returns no predictions, so
transformers has nothing to hand to a `compute_metrics`. Here it is called as a reward is, with the columns of the data
set, so that the references are there:

    def compute_metrics(completions, answers, **columns):
        return {"exact": fmean(text.strip() in golds for text, golds in zip(completions, answers))}

    GRPOTrainer(..., eval_dataset=held_out, compute_metrics=compute_metrics)     # logs eval_exact

`metric_for_best_model="exact"`, `load_best_model_at_end` and `EarlyStoppingCallback` go by it.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from accelerate.utils import broadcast_object_list, gather_object

from abstain.trainers.run_trainer import AnyTrainer

ComputeMetrics = Callable[..., Mapping[str, float | None]]
"""Takes by keyword `prompts`, `completions`, `completion_ids` and every column, each a list with an entry for each
completion; returns numbers by name."""
_NOT_COLUMNS = ("prompt", "completion", "completion_ids")  # as TRL has it for rewards


class EvaluationMetrics(AnyTrainer):
    """Mixin for TRL's `GRPOTrainer` and `RLOOTrainer`, and what is made of them.

    Args:
        compute_metrics: called once for each evaluation set, by the main process, with the completions of all. Its
            numbers are logged as `eval_<name>`, those of one of several sets as `eval_<set>_<name>`. One that is
            `None`, infinite or no number is left out.

    Raises:
        ValueError: it does not take `completions`; on an evaluation, it returns what are no numbers by name.
    """

    def __init__(self, *args: Any, compute_metrics: ComputeMetrics | None = None, **kwargs: Any) -> None:
        if compute_metrics is not None:
            _check_signature(compute_metrics)
        super().__init__(*args, **kwargs)
        self._measure = compute_metrics
        self._asked: list[dict[str, Any]] | None = None  # rows of the evaluation that is going on

    def _calculate_rewards(self, inputs: list[dict[str, Any]], prompts: Any, completions: Any, ids: Any) -> Any:
        rewards = super()._calculate_rewards(inputs, prompts, completions, ids)
        if self._asked is not None:
            own = [
                {name: value for name, value in row.items() if name not in _NOT_COLUMNS}
                | {"prompts": prompt, "completions": completion, "completion_ids": list(tokens)}
                for row, prompt, completion, tokens in zip(inputs, prompts, completions, ids, strict=True)
            ]
            self._asked += gather_object(own)
        return rewards

    def evaluation_loop(self, dataloader: Any, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        """transformers' loop, and our numbers among its metrics."""
        if self._measure is None:
            return super().evaluation_loop(dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs)
        self._asked = []
        try:
            output = super().evaluation_loop(dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs)
            rows = self._asked
        finally:
            self._asked = None
        if hasattr(dataloader.dataset, "__len__"):  # the last batches were filled up so that all processes have one
            rows = rows[: len(dataloader.dataset) * self.num_generations_eval]
        output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in self._found(rows).items()})
        return output

    def _found(self, rows: list[dict[str, Any]]) -> dict[str, float]:
        """The same in all processes, which decide together when to stop: a judge might not say the same twice."""
        found: list[dict[str, float] | str] = [""]
        try:
            if self.accelerator.is_main_process and self._measure is not None:
                columns = {name: [row.get(name) for row in rows] for name in (rows[0] if rows else {})}
                found = [_numbers(self._measure(**columns))]
        except Exception as error:
            found = [f"compute_metrics failed in the main process: {error}"]  # the others would wait forever
            raise
        finally:
            broadcast_object_list(found)
        if isinstance(found[0], str):
            raise ValueError(found[0])
        return found[0]


def _check_signature(compute_metrics: ComputeMetrics) -> None:
    try:
        inspect.signature(compute_metrics).bind_partial(completions=[], prompts=[], completion_ids=[])
    except TypeError:
        raise ValueError(
            "compute_metrics is called as a reward is, by keyword, with completions and the columns of the data set; "
            "write it as: def compute_metrics(completions, answers, **columns), and return a dictionary of numbers"
        ) from None


def _numbers(found: Any) -> dict[str, float]:
    """Without those that cannot be had.

    Example:
        >>> _numbers({"exact": 1, "regret": None, "loss": float("nan")})
        {'exact': 1.0}
    """
    if not isinstance(found, Mapping) or not all(isinstance(one, Real) for one in found.values() if one is not None):
        raise ValueError(f"compute_metrics returned {found!r}; it must return a dictionary of numbers by name")
    return {str(name): float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
