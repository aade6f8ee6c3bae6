"""Batched generation: many prompts in, completions with their log-probabilities out.

transformers generates; what is added is the chat template, batching by length, one prefill for the n completions of a
prompt, and the log-probability of what was chosen, kept in memory that does not grow with the number of new tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import get_args

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache, GenerationConfig, LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.models import end_tokens, takes_bfloat16
from abstain.evals.progress import Advance, followed
from abstain.evals.sampling import Completion, PromptFormat
from abstain.rewards.errors import nearest


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
    return render_turns(tokenizer, [("user", text)]) if uses_chat(tokenizer, prompt_format) else text


def render_turns(tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str]], **options: bool) -> str:
    """A conversation in the tokenizer's chat template, up to where the assistant speaks next.

    Args:
        tokenizer: has a chat template.
        turns: who speaks ("user", "assistant"), and what.
        options: of the template, such as `enable_thinking`.
    """
    said = [{"role": role, "content": text} for role, text in turns]
    rendered = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True, **options)
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


def batches(lengths: list[int], n: int, room: int, batch_tokens: int) -> Iterator[list[int]]:
    """Indices of prompts of similar length, the longest first, so that memory runs out at once or not at all.

    Args:
        lengths: tokens of each prompt.
        n: completions of each prompt.
        room: new tokens of each completion.
        batch_tokens: what `n` times the longest prompt and its new tokens may add up to; one prompt always fits.

    Example:
        >>> list(batches([3, 9, 3, 3], n=1, room=1, batch_tokens=12))
        [[1], [0, 2, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // (n * (lengths[order[start]] + room)))
        yield order[start : start + size]
        start += size


def room_of(batch_tokens: int | None, device: torch.device) -> int:
    """Tokens of a batch, padding included: by default 4,096 on a CPU, where more is slower, and 16,384 elsewhere.

    Example:
        >>> room_of(None, torch.device("cpu")), room_of(512, torch.device("cpu"))
        (4096, 512)
    """
    return batch_tokens or (4_096 if device.type == "cpu" else 16_384)


def left_pad(rows: list[list[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, padded on the left, so that every row is continued at its last column.

    Example:
        >>> ids, mask = left_pad([[5, 6], [7]], pad=0, device=torch.device("cpu"))
        >>> ids.tolist(), mask.tolist()
        ([[5, 6], [0, 7]], [[1, 1], [0, 1]])
    """

    def padded(rows: list[list[int]], value: int) -> torch.Tensor:
        tensors = [torch.tensor(row) for row in rows]
        return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side="left").to(device)

    return padded(rows, pad), padded([[1] * len(row) for row in rows], 0)


class Sampler:
    """Generates completions with a model, whose mode, generation settings and random state it leaves as they were.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer, with a pad token (see `abstain.evals.models.prepare_tokenizer`).
        name: for records and tables; the model's own name by default.
        prompt_format: "auto", "plain" or "chat"; see `abstain.evals.sampler.as_prompt`.
        batch_tokens: prompt and new tokens, padding included, that one batch may hold; 4,096 on a CPU (more is slower
            there) and 16,384 on a GPU by default. Halve it when memory runs out.
        max_new_tokens: room for an answer where `sample` is not told otherwise.
        autocast: compute in bfloat16 whatever the weights are stored in (faster on recent CPUs and all GPUs;
            older CPUs stay with float32).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str | None = None,
        prompt_format: PromptFormat = "auto",
        batch_tokens: int | None = None,
        max_new_tokens: int = 32,
        autocast: bool = False,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.name = name or model.config.name_or_path or type(model).__name__
        self.prompt_format = prompt_format
        self.batch_tokens = room_of(batch_tokens, model.device)
        self.max_new_tokens = max_new_tokens
        self.autocast = takes_bfloat16(model.device.type, autocast)

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        max_new_tokens: int | None = None,
        seed: int = 0,
        progress: str | Advance | None = None,
    ) -> list[list[Completion]]:
        """`n` completions for each prompt, in the order of `prompts`.

        Args:
            prompts: prompt texts; the chat template is applied here.
            n: completions per prompt. Greedy ones are all alike.
            temperature: 0 is greedy.
            top_k, top_p: 0 and 1 mean the whole vocabulary. The model's own generation defaults are never used.
            max_new_tokens: room for an answer.
            seed: same prompts, settings and seed, same completions.
            progress: what to say of how far it is (see `abstain.evals.progress`), or whom to tell how many more
                prompts are done.

        Raises:
            ValueError: a prompt has no tokens, or does not fit the model's context.
        """
        room = max_new_tokens or self.max_new_tokens
        ids = self._encode(prompts, room)
        settings = self._settings(temperature, top_k, top_p, room)
        results: list[list[Completion]] = [[] for _ in prompts]
        with self._generating(seed), followed(progress, len(ids)) as advance:
            for batch in batches([len(row) for row in ids], n, room, self.batch_tokens):
                tokens, logprobs = self._generate([ids[i] for i in batch], n, settings)
                completions = self._completions(tokens, logprobs, settings.eos_token_id)
                for place, index in enumerate(batch):
                    results[index] = completions[place * n : (place + 1) * n]
                advance(len(batch))
        return results

    def _encode(self, prompts: Sequence[str], room: int) -> list[list[int]]:
        if not prompts:
            return []
        texts = [as_prompt(prompt, self.tokenizer, self.prompt_format) for prompt in prompts]
        ids = self.tokenizer(texts, return_attention_mask=False)["input_ids"]
        context = getattr(self.model.config, "max_position_embeddings", None) or float("inf")
        for index, row in enumerate(ids):
            if not row:
                raise ValueError(f"prompt {index} has no tokens: {prompts[index]!r}")
            if len(row) + room > context:
                size = f"{len(row)} tokens and {room} new ones"
                raise ValueError(f"prompt {index} does not fit: {size} exceed the model's context of {context}")
        return ids

    def _settings(self, temperature: float, top_k: int, top_p: float, room: int) -> GenerationConfig:
        if temperature < 0:
            raise ValueError(f"temperature {temperature} is negative; 0 is greedy")
        sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p} if temperature > 0 else {}
        return GenerationConfig(
            do_sample=temperature > 0,
            max_new_tokens=room,
            eos_token_id=end_tokens(self.model, self.tokenizer) or None,
            pad_token_id=self.tokenizer.pad_token_id,
            use_cache=True,
            **sampling,
        )

    @contextmanager
    def _generating(self, seed: int) -> Iterator[None]:
        """Evaluation mode, a random state of our own, and nothing for `generate` to fill gaps in our settings with."""
        training = [module for module in self.model.modules() if module.training]
        owners = [module for module in self.model.modules() if "generation_config" in vars(module)]  # PEFT wraps it
        kept = {module: vars(module)["generation_config"] for module in owners}
        device = self.model.device
        autocast = torch.autocast(device.type, torch.bfloat16) if self.autocast else nullcontext()
        self.model.eval()
        for module in kept:
            module.generation_config = GenerationConfig()
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad(), autocast:
                torch.manual_seed(seed)
                yield
        finally:
            for module, config in kept.items():
                module.generation_config = config
            for module in training:
                module.training = True

    def _generate(
        self, rows: list[list[int]], n: int, settings: GenerationConfig
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """New tokens and their log-probabilities, both (rows * n, new tokens)."""
        ids, mask = left_pad(rows, self.tokenizer.pad_token_id, self.model.device)
        recorder = _ChosenLogprobs()
        shared = {}
        if n > 1:
            shared = {"past_key_values": self._shared_prefill(ids, mask, n)}
            ids, mask = ids.repeat_interleave(n, dim=0), mask.repeat_interleave(n, dim=0)
        sequences = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=settings,
            logits_processor=[recorder],
            tokenizer=self.tokenizer,  # for texts to stop at, where a subclass has any
            **shared,
        )
        return sequences[:, ids.shape[1] :], recorder.finish(sequences, ids.shape[1])

    def _shared_prefill(self, ids: torch.Tensor, mask: torch.Tensor, n: int) -> Cache | None:
        """The cache of all prompt tokens but the last, computed once per prompt and repeated n times."""
        if ids.shape[1] == 1:
            return None
        ids, mask = ids[:, :-1], mask[:, :-1]
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        output = self.model(ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        cache.batch_repeat_interleave(n)
        return cache

    def _completions(self, tokens: torch.Tensor, logprobs: torch.Tensor, ends: list[int] | None) -> list[Completion]:
        is_end = torch.isin(tokens, torch.tensor(ends or [], device=tokens.device, dtype=tokens.dtype))
        before = is_end.cumsum(1) - is_end.long() == 0  # everything up to and including the first end token
        totals = (logprobs * before).sum(1).tolist()
        counts = before.sum(1).tolist()
        ended = is_end.any(1).tolist()
        rows = [tuple(row[:count]) for row, count in zip(tokens.tolist(), counts, strict=True)]
        distinct = list(dict.fromkeys(rows))
        texts = dict(zip(distinct, self.tokenizer.batch_decode(distinct, skip_special_tokens=True), strict=True))
        return [
            Completion(texts[row], total, count, not end)
            for row, total, count, end in zip(rows, totals, counts, ended, strict=True)
        ]


class _ChosenLogprobs(LogitsProcessor):
    """Notes the log-probability of each chosen token: which one was chosen shows one step after its logits."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []
        self.pending: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._settle(input_ids[:, -1:])
        self.pending = torch.log_softmax(scores, dim=-1)
        return scores

    def _settle(self, chosen: torch.Tensor) -> None:
        if self.pending is not None:
            self.steps.append(self.pending.gather(1, chosen))

    def finish(self, sequences: torch.Tensor, prompt_length: int) -> torch.Tensor:
        if len(self.steps) < sequences.shape[1] - prompt_length:
            self._settle(sequences[:, -1:])
        return torch.cat(self.steps, dim=1)[:, : sequences.shape[1] - prompt_length]
