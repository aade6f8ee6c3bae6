"""From prompt text to what a model reads: as it is, or as a user's turn in the model's chat template."""

from typing import Literal, get_args

from transformers import PreTrainedTokenizerBase

from abstain.rewards.errors import nearest

PromptFormat = Literal["auto", "plain", "chat"]


def as_prompt(text: str, tokenizer: PreTrainedTokenizerBase, prompt_format: PromptFormat = "auto") -> str:
    """The text to tokenize (with special tokens, as any text is) and to let the model continue.

    A chat template often writes the begin-of-text token that the tokenizer will add once more; that one is taken off.

    Args:
        text: a prompt from `abstain.rewards.prompts.prompt_text`.
        tokenizer: the model's.
        prompt_format: "plain" leaves `text` alone, "chat" makes it a user's turn and opens the assistant's, "auto" is
            "chat" for a tokenizer with a chat template and "plain" for any other.

    Raises:
        ValueError: an unknown format, or "chat" for a tokenizer without a chat template.

    Example:
        >>> from types import SimpleNamespace
        >>> as_prompt("Who?", SimpleNamespace(chat_template=None))
        'Who?'
    """
    if not uses_chat(tokenizer, prompt_format):
        return text
    turns = [{"role": "user", "content": text}]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    bos = tokenizer.bos_token
    adds_bos = bos is not None and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
    return rendered.removeprefix(bos) if adds_bos else rendered


def uses_chat(tokenizer: PreTrainedTokenizerBase, prompt_format: PromptFormat) -> bool:
    """Whether `prompt_format` means the chat template for this tokenizer; see `as_prompt`."""
    if prompt_format not in (allowed := get_args(PromptFormat)):
        raise ValueError(f"unknown prompt format {prompt_format!r}. {nearest(prompt_format, allowed)}")
    if prompt_format == "chat" and not tokenizer.chat_template:
        raise ValueError("prompt format 'chat' needs a tokenizer with a chat template; this one has none: use 'plain'")
    return prompt_format != "plain" and bool(tokenizer.chat_template)
