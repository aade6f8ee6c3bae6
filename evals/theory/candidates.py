r"""How likely each of a list of answers is: their log-probabilities under a model, the end of the answer included.

    ln phat(r | c) = sum_i ln phat(r_i | c, r_<i) + ln sum_e phat(e | c, r)

over the tokens of r, and the tokens e that end an answer. With its end an answer is another event than one that it
begins: "York" and "York Minster" exclude each other, and the probabilities of all answers sum to at most 1.
"""

import copy
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.detectors.asked import reading_only
from abstain.evals.models import end_tokens
from abstain.evals.progress import Advance, followed

TOKENS = 1024
"""Tokens of candidates that are computed at once: each has a row of logits as long as the vocabulary."""


def candidate_logprobs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    candidates: Sequence[Sequence[str]],
    *,
    lead: str = " ",
    ends: Sequence[int] | None = None,
    progress: str | Advance | None = None,
) -> list[np.ndarray]:
    """Natural log of the probability of each candidate, as the whole answer to its prompt.

    Args:
        model, tokenizer: a causal language model that keeps a cache.
        prompts: as the model reads them, a chat template applied.
        candidates: for each prompt, the answers to look at.
        lead: what stands between a prompt and an answer: a space, or nothing after a chat template.
        ends: tokens that end an answer; those of model and tokenizer by default.
        progress: what to say of how far it is, or whom to tell.

    Returns:
        For each prompt an array, one entry for each candidate.

    Raises:
        ValueError: no candidates, one that has no tokens, two of the same tokens; no token ends an answer and one
            candidate begins another; a prompt without tokens, or too long.
    """
    finish = list(end_tokens(model, tokenizer) if ends is None else ends)
    known: dict[tuple[str, ...], list[list[int]]] = {}
    found = []
    with reading_only(model), followed(progress, len(prompts)) as advance:
        for prompt, some in zip(prompts, candidates, strict=True):
            ids = tokenizer(prompt)["input_ids"]
            if (key := tuple(some)) not in known:
                known[key] = _tokens(tokenizer, prompt, ids, key, lead)
                _check_apart(key, known[key], finish)
            _check_fits(model, prompt, ids, known[key])
            found.append(_logprobs(model, ids, known[key], finish))
            advance(1)
    return found


def _tokens(
    tokenizer: PreTrainedTokenizerBase, prompt: str, ids: list[int], candidates: Sequence[str], lead: str
) -> list[list[int]]:
    """The tokens that each candidate adds to a prompt: as they stand in its text, unless they change the prompt's."""
    if not candidates:
        raise ValueError(f"no candidates to answer {prompt!r} with")
    alone = tokenizer([lead + one for one in candidates], add_special_tokens=False)["input_ids"]
    joint = tokenizer([prompt + lead + one for one in candidates])["input_ids"]
    rows = [both[len(ids) :] if both[: len(ids)] == ids else own for both, own in zip(joint, alone, strict=True)]
    for text, row in zip(candidates, rows, strict=True):
        if not text.strip() or not row:
            raise ValueError(f"the candidate {text!r} has no tokens: it cannot be an answer. Leave it out")
    return rows


def _check_apart(candidates: Sequence[str], rows: Sequence[Sequence[int]], ends: Sequence[int]) -> None:
    seen: dict[tuple[int, ...], str] = {}
    for text, row in zip(candidates, rows, strict=True):
        if (same := seen.get(tuple(row))) is not None:
            raise ValueError(f"the candidates {same!r} and {text!r} are the same tokens: name each answer once")
        seen[tuple(row)] = text
    if ends:
        return
    for text, row in zip(candidates, rows, strict=True):
        for length in range(1, len(row)):
            if (begins := seen.get(tuple(row[:length]))) is not None:
                raise ValueError(
                    f"{begins!r} begins {text!r}, and no token ends an answer of this model: their probabilities "
                    "overlap. Give the tokens that end one"
                )


def _check_fits(model: PreTrainedModel, prompt: str, ids: Sequence[int], rows: Sequence[Sequence[int]]) -> None:
    if not ids:
        raise ValueError(f"the prompt {prompt!r} has no tokens")
    context = getattr(model.config, "max_position_embeddings", None) or float("inf")
    if (size := len(ids) + max(map(len, rows))) > context:
        raise ValueError(f"a prompt and its longest candidate are {size} tokens, more than the model's {context}")


def _logprobs(
    model: PreTrainedModel, ids: Sequence[int], rows: Sequence[Sequence[int]], ends: Sequence[int]
) -> np.ndarray:
    """Of one prompt: it is computed once, then the candidates after it, those of one length together."""
    device = model.device
    read = model(torch.tensor([ids], device=device), use_cache=True)
    first = torch.log_softmax(read.logits[0, -1].float(), dim=-1)
    found = np.empty(len(rows))
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_length[len(row)].append(place)
    for length, places in by_length.items():
        step = max(1, TOKENS // length)
        for start in range(0, len(places), step):
            some = places[start : start + step]
            tokens = torch.tensor([rows[place] for place in some], device=device)
            total = first[tokens[:, 0]].double()
            if ends or length > 1:
                cache = copy.deepcopy(read.past_key_values)
                cache.batch_repeat_interleave(len(some))
                logits = model(tokens, past_key_values=cache, use_cache=True).logits.float()
                logs = torch.log_softmax(logits, dim=-1)
                total += logs[:, :-1].gather(2, tokens[:, 1:, None])[:, :, 0].double().sum(1)
                if ends:
                    total += torch.logsumexp(logs[:, -1, torch.tensor(ends, device=device)], dim=-1).double()
            found[some] = total.cpu().numpy()
    return found
