"""p(True): does the model itself, shown its answer, take it for true? (Kadavath et al. 2022, arXiv 2207.05221)

    Question: Where was Ada Lovelace born?
    Proposed Answer: London
    Is the proposed answer:
     (A) True
     (B) False
    The proposed answer is:

The probability of (A) against that of (B) is read where the two first differ: one forward pass for each response.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.detectors.asked import Asked, notes_of, reading_only
from abstain.evals.detectors.pair import Pair
from abstain.evals.progress import Advance, followed
from abstain.evals.sampler import as_prompt, batches, left_pad, room_of, uses_chat
from abstain.evals.sampling import PromptFormat
from abstain.rewards.prompts import question_of

_ASKED = "Question: {}\n{}Proposed Answer: {}\nIs the proposed answer:\n (A) True\n (B) False\nThe proposed answer is:"
_IDEAS = "Here are some brainstormed ideas: {}\n"


def p_true_prompt(pair: Pair, *, with_samples: bool = False) -> str:
    """What the model is asked about a response.

    Args:
        pair: the response.
        with_samples: show its samples first, as "brainstormed ideas", which helped the paper's models.

    Example:
        >>> print(p_true_prompt(Pair("Who?", "Bo", samples=("Al", "Bo")), with_samples=True))
        Question: Who?
        Here are some brainstormed ideas: Al
        Bo
        Proposed Answer: Bo
        Is the proposed answer:
         (A) True
         (B) False
        The proposed answer is:
    """
    ideas = "\n".join(sample.strip() for sample in pair.samples) if with_samples else ""
    return _ASKED.format(question_of(pair.prompt), ideas and _IDEAS.format(ideas), pair.response.strip())


def p_false(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    *,
    with_samples: bool = False,
    prompt_format: PromptFormat = "auto",
    batch_tokens: int | None = None,
    autocast: bool = False,
    progress: str | Advance | None = None,
) -> Asked:
    """P(B) / (P(A) + P(B)), (A) being that the response is true and (B) that it is false; a pass for each response.

    Args:
        model: that is judged, or another one.
        tokenizer: its tokenizer, with a pad token.
        pairs: responses; `samples` are read with `with_samples` only.
        with_samples: see `p_true_prompt`.
        prompt_format: see `abstain.evals.sampler.as_prompt`.
        batch_tokens: tokens of a batch, padding included.
        autocast: compute in bfloat16, where the device does at speed.
        progress: what to say of how far it is, or whom to tell.

    Raises:
        ValueError: the tokenizer has the same tokens for (A) and (B).
    """
    rows, choices = _encode(
        tokenizer, [p_true_prompt(pair, with_samples=with_samples) for pair in pairs], prompt_format
    )
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or float("inf")
    empty = ["" if pair.response.strip() else "an empty response" for pair in pairs]
    long = ["" if len(row) <= context else "it does not fit the model's context" for row in rows]
    reasons = [one or other for one, other in zip(empty, long, strict=True)]
    there = [place for place, reason in enumerate(reasons) if not reason]
    values = np.full(len(pairs), np.nan)
    device = model.device
    room = room_of(batch_tokens, device)
    with followed(progress, len(there)) as advance, reading_only(model, autocast):
        for batch in batches([len(rows[place]) for place in there], 1, 0, room):
            places = [there[one] for one in batch]
            ids, mask = left_pad([rows[place] for place in places], tokenizer.pad_token_id or 0, device)
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            out = model(ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1)
            both = torch.tensor([choices[place] for place in places], device=device)
            logits = out.logits[:, -1].float().gather(1, both)
            values[places] = torch.softmax(logits, -1)[:, 1].cpu().numpy()
            advance(len(places))
    return Asked(values, len(there), notes_of("p_true", reasons))


def _encode(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], prompt_format: PromptFormat
) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Token ids up to where (A) and (B) part, and the two tokens there."""
    if not prompts:
        return [], []
    space = "" if uses_chat(tokenizer, prompt_format) else " "
    texts = [as_prompt(prompt, tokenizer, prompt_format) + space for prompt in prompts]
    true, false = (tokenizer([f"{text}{choice}" for text in texts])["input_ids"] for choice in ("(A)", "(B)"))
    rows, choices = [], []
    for one, other in zip(true, false, strict=True):
        place = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
        if not place:
            raise ValueError("the tokenizer cannot tell (A) from (B), so that p(True) has nothing to compare")
        rows.append(one[:place])
        choices.append((one[place], other[place]))
    return rows, choices
