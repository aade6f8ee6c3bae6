"""EigenScore: how far apart a model's samples lie inside it (INSIDE, Chen et al. 2024, arXiv 2402.03744)."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.detectors.asked import Asked, notes_of, reading_only
from abstain.evals.detectors.catalogue import Convention
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.spans import encode_pairs
from abstain.evals.progress import Advance, followed
from abstain.evals.sampler import batches, room_of
from abstain.evals.sampling import PromptFormat
from abstain.rewards.errors import nearest

_ALPHA = 1e-3


def log_determinant(states: np.ndarray, convention: Convention = "paper") -> float:
    """(1/K) log det(Z J Zᵀ + α I) of the states of K samples, α = .001.

    J = I − 11ᵀ/d takes from each state its own mean over the d features, so that it is the covariance of samples, and
    not of features. "paper": as written, with the natural logarithm. "official": the authors' code, where the
    covariance is divided by d − 1 and the logarithm is to base 10.

    Args:
        states: Z, (K, d).
        convention: one of the two.

    Raises:
        ValueError: no such convention, or fewer than two samples or features.

    Example:
        >>> round(log_determinant(np.ones((4, 8))), 4), round(log_determinant(np.ones((4, 8)), "official"), 4)
        (-6.9078, -3.0)
    """
    if convention not in (allowed := get_args(Convention)):
        raise ValueError(f"unknown convention {convention!r}. {nearest(convention, allowed)}")
    if states.ndim != 2 or min(states.shape) < 2:
        raise ValueError(f"states of shape {states.shape}; there must be two samples and two features at least")
    centred = states.astype(np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    covariance = centred @ centred.T
    if convention == "official":
        covariance /= states.shape[1] - 1
    logs = np.linalg.slogdet(covariance + _ALPHA * np.eye(len(states)))[1] / len(states)
    return float(logs / np.log(10) if convention == "official" else logs)


def eigenscores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    *,
    convention: Convention = "paper",
    prompt_format: PromptFormat = "auto",
    batch_tokens: int | None = None,
    autocast: bool = False,
    progress: str | Advance | None = None,
) -> Asked:
    """EigenScore of each prompt, from the states of its samples in the middle layer, (L + 1) // 2 of 0 to L.

    A sample's state is that of its last token, as in the paper ("paper"), or of the last but one, which is what the
    authors' code reads ("official"); of a sample of one token, the prompt's last token. The samples are read again,
    a forward pass each (each distinct one once), since their texts are all that is given. As with all scores of
    samples, it is the same for every response to a prompt.

    Args:
        model: that the samples are of, or another one.
        tokenizer: its tokenizer.
        pairs: with samples, two or more.
        convention: also of `log_determinant`.
        prompt_format: see `abstain.evals.sampler.as_prompt`.
        batch_tokens: tokens of a batch, padding included; as for `abstain.evals.sampler.Sampler`.
        autocast: compute in bfloat16, where the device does at speed.
        progress: what to say of how far it is, or whom to tell.
    """
    rows = ((pair.prompt, sample) for pair in pairs if len(pair.samples) > 1 for sample in pair.samples)
    texts = [Pair(*row) for row in dict.fromkeys(rows)]
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    spans, cut = encode_pairs(texts, tokenizer, context=context, prompt_format=prompt_format)
    there = [place for place, span in enumerate(spans) if span.length]
    back = 1 if convention == "paper" else 2
    found = _states(model, [spans[place].ids for place in there], back, batch_tokens, autocast, progress)
    states = {(texts[i].prompt, texts[i].response): state for i, state in zip(there, found, strict=True)}
    values, reasons = np.full(len(pairs), np.nan), []
    for place, pair in enumerate(pairs):
        of_pair = [states.get((pair.prompt, sample)) for sample in pair.samples]
        kept = [state for state in of_pair if state is not None and np.isfinite(state).all()]
        if len(pair.samples) < 2:
            reasons.append("fewer than 2 samples")
        elif len(kept) < len(of_pair):
            reasons.append("a sample is empty, or its state is no number")
        else:
            reasons.append("")
            values[place] = log_determinant(np.stack(kept), convention)
    return Asked(values, len(there), (*cut, *notes_of("eigenscore", reasons)))


def _states(
    model: PreTrainedModel,
    rows: Sequence[list[int]],
    back: int,
    batch_tokens: int | None,
    autocast: bool,
    progress: str | Advance | None,
) -> np.ndarray:
    """States in the middle layer `back` tokens from the end, (rows, d)."""
    device = model.device
    room = room_of(batch_tokens, device)
    ids = [torch.tensor(row) for row in rows]
    found: list[np.ndarray] = [np.zeros(0)] * len(rows)
    with followed(progress, len(rows)) as advance, reading_only(model, autocast):
        for batch in batches([len(row) for row in ids], 1, 0, room):
            padded = pad_sequence([ids[place] for place in batch], batch_first=True).to(device)
            mask = pad_sequence([torch.ones_like(ids[place]) for place in batch], batch_first=True).to(device)
            inputs = {"input_ids": padded, "attention_mask": mask, "use_cache": False}
            layers = model.base_model(**inputs, output_hidden_states=True).hidden_states
            ends = torch.tensor([max(0, len(ids[place]) - back) for place in batch], device=device)
            states = layers[len(layers) // 2][torch.arange(len(batch), device=device), ends]
            for place, state in zip(batch, states.float().cpu().numpy(), strict=True):
                found[place] = state
            advance(len(batch))
    return np.stack(found) if found else np.zeros((0, 0))
