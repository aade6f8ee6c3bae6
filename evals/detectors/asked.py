"""What asking models of responses brings: a score of each, how often a model was asked, and why some have none."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from abstain.evals.detectors.pair import Pair
from abstain.evals.progress import Advance, followed
from abstain.evals.sampling import AnySampler, Completion

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Asked:
    """A score of some responses.

    Args:
        values: (n,), higher is more likely hallucinated; NaN where it cannot be computed.
        calls: how often a model was asked for it: texts that it read, each once. Samples are not counted.
        notes: how many have no score, and why.
    """

    values: np.ndarray
    calls: int = 0
    notes: tuple[str, ...] = ()


def notes_of(name: str, reasons: Sequence[str]) -> tuple[str, ...]:
    """What there is to say of responses without a score, said once for each reason.

    Args:
        name: the score's.
        reasons: one of each response; "" where there is a score.

    Example:
        >>> notes_of("selfcheck_ngram", ["", "no samples", "no samples"])
        ('selfcheck_ngram: 2 of 3 responses have no score: no samples',)
    """
    counted = Counter(filter(None, reasons))
    return tuple(
        f"{name}: {count:,} of {len(reasons):,} responses {'has' if count == 1 else 'have'} no score: {reason}"
        for reason, count in counted.items()
    )


def why_not(pair: Pair) -> str:
    """Why a response cannot be held against its samples; "" if it can.

    Example:
        >>> [why_not(Pair("Who?", *said)) for said in (("Bo",), (" ", (), ("Al",)), ("Bo", (), ("Al",)))]
        ['no samples', 'an empty response', '']
    """
    if not pair.samples:
        return "no samples"
    return "" if pair.response.strip() else "an empty response"


@dataclass(frozen=True)
class Replies:
    """What a model said to some prompts.

    Args:
        rows: the completions of each prompt, without those that failed; empty where there is none.
        reasons: why there is none; "" where there is one.
        calls: distinct prompts, which is how many were asked.
    """

    rows: list[list[Completion]]
    reasons: list[str]
    calls: int


def ask_all(
    sampler: AnySampler,
    prompts: Sequence[str],
    *,
    n: int = 1,
    temperature: float = 0.0,
    max_new_tokens: int | None = None,
    seed: int = 0,
    progress: str | Advance | None = None,
) -> Replies:
    """Ask a model each distinct prompt once. One that does not fit its context fails alone.

    Args:
        sampler: the model.
        prompts: before any chat template.
        n, temperature, max_new_tokens, seed: see `abstain.evals.sampling.AnySampler`.
        progress: what to say of how far it is, or whom to tell.
    """
    distinct = list(dict.fromkeys(prompts))
    found: dict[str, tuple[list[Completion], str]] = {}
    sample = partial(sampler.sample, n=n, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
    with followed(progress, len(distinct)) as advance:
        todo = [distinct] if distinct else []
        while todo:
            some = todo.pop()
            try:
                rows = sample(some, progress=advance)
            except ValueError as error:  # one of them is too long, which the sampler sees before it begins
                if len(some) > 1:
                    todo += [some[len(some) // 2 :], some[: len(some) // 2]]
                else:
                    found[some[0]] = ([], _plain(str(error)))
                    advance(1)
                continue
            for prompt, row in zip(some, rows, strict=True):
                there = [one for one in row if not one.failure]
                found[prompt] = (there, "" if there else f"no reply: {row[0].failure}")
    return Replies([found[one][0] for one in prompts], [found[one][1] for one in prompts], len(distinct))


def _plain(message: str) -> str:
    """A sampler's error without the number of the prompt, so that those of one kind are counted together."""
    return "the prompt does not fit the model's context" if "does not fit" in message else message[:100]


@contextmanager
def reading_only(model: "PreTrainedModel", autocast: bool = False) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards the model is as it was.

    Args:
        model: any.
        autocast: compute in bfloat16, where the device does at speed.
    """
    import torch

    from abstain.evals.models import takes_bfloat16

    autocast = takes_bfloat16(model.device.type, autocast)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16) if autocast else nullcontext():
            yield
    finally:
        for module in training:
            module.training = True


def average(rows: Sequence[Sequence[float]]) -> float:
    """The mean over rows of the mean of each, without what is NaN; NaN if nothing is left.

    Example:
        >>> average([[1.0, 0.0], [float("nan"), 1.0], [float("nan")]]), average([])
        (0.75, nan)
    """
    means = [float(np.mean(kept)) for row in rows if (kept := [value for value in row if not np.isnan(value)])]
    return float(np.mean(means)) if means else float("nan")
