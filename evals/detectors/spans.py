"""The tokens of a prompt and of the response to it, and what of them does not fit the model.

Prompt and response are tokenized apart, as the model itself would have gone on: no token is part of both. The prompt
is rendered in the chat template as when it is sampled from (`abstain.evals.sampler.as_prompt`); no end token is added.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from abstain.evals.detectors.pair import Pair
from abstain.evals.sampler import as_prompt
from abstain.evals.sampling import PromptFormat


class Span(NamedTuple):
    """Token ids of a prompt and the response to it.

    Args:
        ids: of both; there is at least one of the prompt, unless `ids` is empty.
        start: where the response starts.
    """

    ids: list[int]
    start: int

    @property
    def length(self) -> int:
        """m, the tokens of the response."""
        return len(self.ids) - self.start


def encode_pairs(
    pairs: Sequence[Pair],
    tokenizer: PreTrainedTokenizerBase,
    *,
    context: int | None = None,
    prompt_format: PromptFormat = "auto",
) -> tuple[list[Span], list[str]]:
    """Token ids of each pair, and a sentence for each thing that had to be left out.

    What exceeds the context is cut where it hurts least: the beginning of the prompt (but for a begin-of-text token),
    and only of a response that is too long by itself the end.

    Args:
        pairs: prompts and responses.
        tokenizer: the model's that reads them.
        context: the most tokens that the model takes; `None` for any number.
        prompt_format: "auto", "plain" or "chat".

    Example:
        >>> from types import SimpleNamespace
        >>> class Letters(SimpleNamespace):
        ...     def __call__(self, texts, **_):
        ...         return {"input_ids": [[ord(letter) for letter in text] for text in texts]}
        >>> letters = Letters(chat_template=None, bos_token_id=None, eos_token_id=0)
        >>> spans, notes = encode_pairs([Pair("Where?", "Oz"), Pair("", "Oz")], letters, context=6)
        >>> [(span.start, span.length) for span in spans]
        [(4, 2), (1, 2)]
        >>> for note in notes:
        ...     print(note)
        1 of 2 prompts and responses exceed the model's context of 6 tokens: prompts lose their first tokens, at most 2
        1 of 2 prompts are empty: their responses follow the token 0
    """
    if not pairs:
        return [], []
    prompts = tokenizer([as_prompt(pair.prompt, tokenizer, prompt_format) for pair in pairs])["input_ids"]
    responses = tokenizer([pair.response for pair in pairs], add_special_tokens=False)["input_ids"]
    bos = tokenizer.bos_token_id
    first = tokenizer.eos_token_id if bos is None else bos
    spans, lost, ends, empty = [], [], [], 0
    for prompt, response in zip(prompts, responses, strict=True):
        if not prompt:
            empty += 1
            if first is None:
                spans.append(Span([], 0))
                continue
            prompt = [first]
        if context is not None and len(prompt) + len(response) > context:
            kept, room = response[: context - 1], max(1, context - len(response))
            cut = prompt[-room:] if room == 1 or prompt[0] != bos else [bos, *prompt[1 - room :]]
            lost.append(len(prompt) - len(cut))
            ends += [len(response) - len(kept)] if len(kept) < len(response) else []
            prompt, response = cut, kept
        spans.append(Span([*prompt, *response], len(prompt)))
    notes = []
    if lost:
        notes.append(
            f"{len(lost):,} of {len(pairs):,} prompts and responses exceed the model's context of {context:,} tokens: "
            f"prompts lose their first tokens, at most {max(lost):,}"
        )
    if ends:
        notes.append(f"{len(ends):,} responses exceed it alone, and lose their last tokens, at most {max(ends):,}")
    if empty:
        then = "the tokenizer has no token to begin with, so no scores"
        then = then if first is None else f"their responses follow the token {first}"
        notes.append(f"{empty:,} of {len(pairs):,} prompts are empty: {then}")
    return spans, notes
