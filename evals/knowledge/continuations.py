"""Few-shot prompts continued: a greedy answer to each, and samples.

A model that runs here computes the beginning that many prompts share once, each question once for all its answers, and
answers that begin alike as far as they do (`abstain.evals.trie`).
"""

import hashlib
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from abstain.evals.knowledge.answers import Answers
from abstain.evals.knowledge.prefixes import KeptPrefixes, shared_length
from abstain.evals.models import takes_bfloat16
from abstain.evals.sampling import Completion

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from abstain.evals.trie.cache import Prefix
    from abstain.evals.trie.continuing import Continuations, Continuing

logger = logging.getLogger(__name__)

ANSWERS = 32
"""Tokens of all different answers to a prompt, for which batches have room; most have fewer."""
OFF, HALF_OFF = 1e-3, 0.1
"""What an answer's log-probability may be off by rounding: in fp32, and for each token in half precision."""


@dataclass(frozen=True)
class FewShot:
    """A prompt as the model reads it, in its chat template where it has one.

    Args:
        shared: text that many questions' prompts begin with: exemplars and instruction; "" if none.
        rest: the question, and what opens the answer.
    """

    shared: str
    rest: str


@dataclass(frozen=True)
class Continued:
    """What the model wrote after a prompt.

    Texts end before the first `stop`; log-probabilities are those of the tokens up to and with the one that ends it.

    Args:
        greedy: of the likeliest token at each step, if it was asked for.
        samples: as many as were asked for.
    """

    greedy: Completion | None
    samples: tuple[Completion, ...]


@dataclass(frozen=True)
class Wanted:
    """What is asked of each prompt.

    Args:
        greedy: whether to take the likeliest token at each step, once.
        samples: how many to draw besides.
        temperature: above 0, that they are drawn at.
        top_k: tokens that each one chooses from; 0 for all.
        max_new_tokens: room for an answer.
        stop: text that ends an answer and is no part of it; "" for none.
        seed: of what is drawn.
    """

    greedy: bool
    samples: int
    temperature: float
    top_k: int
    max_new_tokens: int
    stop: str
    seed: int


class Continue(Protocol):
    """Prompts in, continuations out: `LocalContinuer`, or `abstain.evals.knowledge.endpoint.EndpointContinuer`."""

    def __call__(self, prompts: Sequence[FewShot], wanted: Wanted) -> list[Continued]:
        """Continues each prompt, in the order of `prompts`.

        Args:
            prompts: rendered.
            wanted: of each of them.
        """


class LocalContinuer:
    """Continues prompts with a model that runs here, whose mode, forward and random state it leaves as they were.

    The tokens of a prompt are those of its whole text; what prompts with the same `shared` text have in common is
    computed once, and kept for later calls while there is room (`abstain.evals.knowledge.prefixes.KEPT` bytes).
    Samples depend on the seed and their own prompt, and not on what else is asked. Where a model cannot share prefixes
    exactly, every prompt is continued by itself by transformers' `generate`, and a warning says why, once.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer, with a pad token.
        batch_tokens: of questions and answers that a batch may hold, about; 4,096 on a CPU and 32,768 elsewhere by
            default. Halve it when memory runs out.
        autocast: compute in bfloat16 whatever the weights are stored in.

    Attributes:
        computed: tokens that the model has computed by sharing, padding included.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        batch_tokens: int | None = None,
        autocast: bool = False,
    ) -> None:
        self.model: Any = model.get_base_model() if hasattr(model, "peft_config") else model
        self.tokenizer = tokenizer
        self.autocast = takes_bfloat16(model.device.type, autocast)
        self.computed = 0
        self._asked_batch = batch_tokens
        self._batch_tokens = batch_tokens or (4_096 if model.device.type == "cpu" else 32_768)
        self._config = model.config.get_text_config()
        self._kept: KeptPrefixes | None = None
        self._weights: tuple[int, ...] = ()
        self._exact: bool | None = None
        self._said: set[str] = set()

    def __call__(self, prompts: Sequence[FewShot], wanted: Wanted) -> list[Continued]:
        """See `Continue`.

        Raises:
            ValueError: a prompt has no tokens or does not fit the model's context, or the temperature is not above 0.
            FloatingPointError: the model's probabilities are not finite.
        """
        from abstain.evals.models import end_tokens

        if wanted.samples and not wanted.temperature > 0:
            raise ValueError(f"temperature {wanted.temperature} is not above 0: ask for the greedy answer instead")
        if not prompts or not (wanted.greedy or wanted.samples):
            return [Continued(None, ())] * len(prompts)
        asked = _Asked(wanted, Answers(self.tokenizer, end_tokens(self.model, self.tokenizer), wanted.stop))
        encoded = self._encode(prompts, wanted.max_new_tokens)
        found = self._share(self._sharing(encoded, wanted.max_new_tokens), asked)
        found |= self._generate([each for each in encoded if each.index not in found], asked)
        return [found[index] for index in range(len(prompts))]

    def _encode(self, prompts: Sequence[FewShot], room: int) -> list["_Encoded"]:
        texts = [prompt.shared + prompt.rest for prompt in prompts]
        rows = self.tokenizer(texts, return_attention_mask=False)["input_ids"]
        context = getattr(self._config, "max_position_embeddings", None) or float("inf")
        times: Counter[tuple[int, ...]] = Counter()
        encoded = []
        for index, row in enumerate(map(tuple, rows)):
            if not row:
                raise ValueError(f"prompt {index} has no tokens: {texts[index]!r}")
            if len(row) + room > context:
                size = f"{len(row)} tokens and {room} new ones"
                raise ValueError(f"prompt {index} does not fit: {size} exceed the model's context of {context}")
            encoded.append(_Encoded(index, prompts[index].shared, texts[index], row, times[row]))
            times[row] += 1
        return encoded

    # Whether prefixes may be shared

    def _sharing(self, encoded: Sequence["_Encoded"], room: int) -> list["_Encoded"]:
        """The prompts that may share prefixes."""
        from abstain.evals.trie.checks import why_not_length, why_not_model

        if self._exact is False or self._refuses(why_not_model(self.model, self._config)):
            return []
        reasons = [why_not_length(self._config, len(each.tokens) + room) for each in encoded]
        self._refuses(next((reason for reason in reasons if reason), None))
        return [each for each, reason in zip(encoded, reasons, strict=True) if reason is None]

    def _refuses(self, reason: str | None) -> bool:
        kind = re.sub(r"\d", "", reason or "")
        if reason is not None and kind not in self._said:
            self._said.add(kind)
            logger.warning("Prompts share no prefixes, each is continued by itself, which is slower: %s.", reason)
        return reason is not None

    def _why_off(self, batch: Sequence["_Encoded"], done: "Continuations", per_prompt: int) -> str | None:
        """Whether the plain forward pass finds what sharing has found for the longest answers to two prompts."""
        import torch

        half = self.autocast or self.model.dtype != torch.float32
        for place in {0, len(batch) - 1}:
            mine = range(place * per_prompt, (place + 1) * per_prompt)
            index = max(mine, key=lambda one: len(done.tokens[one]))
            prompt, answer = batch[place].tokens, done.tokens[index]
            ids = torch.tensor([[*prompt, *answer]], device=self.model.device)
            logits = self.model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
            expected = logits.log_softmax(-1)[range(len(answer)), list(answer)].sum().item()
            off = abs(expected - done.logprobs[index])
            if not off <= (HALF_OFF * len(answer) if half else OFF):
                return f"an answer's log-probability is {off:.2g} off that of the plain forward pass"
        return None

    # Continuing in one trie

    def _share(self, encoded: Sequence["_Encoded"], asked: "_Asked") -> dict[int, Continued]:
        found: dict[int, Continued] = {}
        if not encoded:
            return found
        with self._ready() as kept:
            for batch in self._batches(encoded, asked):
                each = [one for one, _ in batch]
                done = self._complete(batch, asked, kept)
                if self._exact is None:
                    reason = self._why_off(each, done, asked.per_prompt)
                    self._exact = not self._refuses(reason)
                    if not self._exact:
                        return {}
                self.computed += done.computed
                found |= zip((one.index for one in each), asked.read(done), strict=True)
        return found

    @contextmanager
    def _ready(self) -> Iterator[KeptPrefixes]:
        """Evaluation mode, and a forward that takes tries; what was kept is forgotten where weights have changed."""
        import torch

        from abstain.evals.trie.head import trie_head

        weights = tuple(weight._version for weight in self.model.parameters())
        if self._kept is None or weights != self._weights:
            self._kept, self._weights = KeptPrefixes(self._prefixes, self._batch_tokens), weights
        training = [module for module in self.model.modules() if module.training]
        kind = self.model.device.type
        autocast = torch.autocast(kind, torch.bfloat16) if self.autocast else nullcontext()
        self.model.eval()
        try:
            with torch.no_grad(), autocast, trie_head(self.model):
                yield self._kept
        finally:
            for module in training:
                module.training = True

    def _prefixes(self, rows: Sequence[tuple[int, ...]]) -> "list[Prefix]":
        from abstain.evals.trie.continuing import compute_prefixes

        self.computed += len(rows) * max(map(len, rows))
        return compute_prefixes(self.model, self._config, rows)

    def _batches(self, encoded: Sequence["_Encoded"], asked: "_Asked") -> Iterator[list[tuple["_Encoded", int]]]:
        """Prompts that are continued together, and how many tokens of each are shared."""
        by_shared: dict[str, list[_Encoded]] = defaultdict(list)
        for each in encoded:
            by_shared[each.shared].append(each)
        common = {}
        for shared, group in by_shared.items():
            rows = [each.tokens for each in group]
            common[shared] = min(shared_length(rows), min(map(len, rows)) - 1)
        batch: list[tuple[_Encoded, int]] = []
        size = 0
        for shared in sorted(by_shared, key=lambda name: (common[name], name)):
            known = common[shared]
            for each in sorted(by_shared[shared], key=lambda one: -len(one.tokens)):
                more = len(each.tokens) - known + min(asked.per_prompt * asked.wanted.max_new_tokens, ANSWERS)
                if batch and (size + more > self._batch_tokens or (batch[-1][1] > 0) != (known > 0)):
                    yield batch
                    batch, size = [], 0
                batch.append((each, known))
                size += more
        yield batch

    def _complete(
        self, batch: Sequence[tuple["_Encoded", int]], asked: "_Asked", kept: KeptPrefixes
    ) -> "Continuations":
        from abstain.evals.trie.continuing import complete

        known = kept.get({each.shared: each.tokens[:length] for each, length in batch if length})
        prefixes, number = list(known.values()), {name: place for place, name in enumerate(known)}
        own = [each.tokens[len(known[each.shared].tokens) if length else 0 :] for each, length in batch]
        which = np.array([number[each.shared] for each, _ in batch]) if known else None
        points = np.stack([asked.points(each) for each, _ in batch])
        return complete(self.model, self._config, own, points, asked.rule, prefixes, which)

    # Continuing each by itself

    def _generate(self, encoded: Sequence["_Encoded"], asked: "_Asked") -> dict[int, Continued]:
        if not encoded:
            return {}
        from abstain.evals.knowledge.generating import StoppingSampler

        sampler = StoppingSampler(
            self.model,
            self.tokenizer,
            asked.answers,
            asked.wanted.stop,
            batch_tokens=self._asked_batch,
            autocast=self.autocast,
        )
        found = sampler.continued([each.text for each in encoded], asked.wanted)
        return {each.index: one for each, one in zip(encoded, found, strict=True)}


@dataclass(frozen=True)
class _Encoded:
    """A prompt of a call: its place there, and how often it came before."""

    index: int
    shared: str
    text: str
    tokens: tuple[int, ...]
    times: int


@dataclass(frozen=True)
class _Asked:
    """What a call asks for, and where answers end."""

    wanted: Wanted
    answers: Answers

    @property
    def per_prompt(self) -> int:
        return self.wanted.greedy + self.wanted.samples

    @property
    def rule(self) -> "Continuing":
        from abstain.evals.trie.continuing import Continuing

        one = self.wanted
        return Continuing(one.greedy, one.temperature, one.top_k, one.max_new_tokens, self.answers.ended)

    def points(self, prompt: _Encoded) -> NDArray[np.float64]:
        """(continuations, steps) where in the distribution each token is drawn, decided by seed and prompt alone."""
        key = np.array([self.wanted.seed, prompt.times, *prompt.tokens], dtype=np.int64).tobytes()
        rng = np.random.default_rng(int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "little"))
        points = rng.random((self.wanted.samples, self.wanted.max_new_tokens))
        return np.concatenate([np.zeros((int(self.wanted.greedy), self.wanted.max_new_tokens)), points])

    def read(self, done: "Continuations") -> Iterator[Continued]:
        """The continuations of each prompt."""
        all_ = [
            Completion(self.answers.text(tokens), logprob, len(tokens), not ended)
            for tokens, logprob, ended in zip(done.tokens, done.logprobs, done.ended, strict=True)
        ]
        for start in range(0, len(all_), self.per_prompt):
            mine = all_[start : start + self.per_prompt]
            greedy = self.wanted.greedy
            yield Continued(mine[0] if greedy else None, tuple(mine[int(greedy) :]))
