"""A judge that runs here: any causal language model that `abstain.evals.models` loads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from abstain.evals.models import load_model
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion, PromptFormat
from abstain.rewards.endpoint.usage import Reply
from abstain.rewards.errors import nearest
from abstain.rewards.judge.grader import JudgeGrader

PREFIX = "local:"
_CHUNK = 256  # prompts between two saves of replies


@dataclass
class LocalModel:
    """A transformers model as a judge's backend: greedy, batched, no server and no key.

    The model is loaded when it is first asked. Pickling leaves it behind and keeps its name.

    Args:
        model: hub id, folder, GGUF file or `python:PACKAGE`.
        max_new_tokens: room for a reply, reasoning included.
        prompt_format: see `abstain.evals.sampler.as_prompt`.
        dtype: see `abstain.evals.models.load_model`.

    Example:
        >>> LocalModel("judges/small").identity
        {'model': 'judges/small', 'local': True, 'max_new_tokens': 256, 'prompt_format': 'auto', 'dtype': 'auto'}
    """

    model: str
    max_new_tokens: int = 256
    prompt_format: PromptFormat = "auto"
    dtype: str = "auto"
    _sampler: Sampler | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.max_new_tokens, int) or self.max_new_tokens < 1:
            raise ValueError(f"judge max_new_tokens is {self.max_new_tokens!r}; it must be a whole number above 0")

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_sampler": None}

    @property
    def identity(self) -> dict[str, Any]:
        """What a cache goes by. A folder also counts its last change, since its name outlives its weights."""
        names = ("max_new_tokens", "prompt_format", "dtype")
        config = Path(self.model).expanduser() / "config.json"
        changed = {"changed": config.stat().st_mtime_ns} if config.is_file() else {}
        return {"model": self.model, "local": True, **{name: getattr(self, name) for name in names}, **changed}

    async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
        """Ask all prompts, in batches of similar length; a prompt that does not fit the model's context fails alone.

        Raises:
            OSError, ValueError: the model cannot be loaded.
        """
        import asyncio

        for start in range(0, len(prompts), _CHUNK):
            some = prompts[start : start + _CHUNK]
            replies = await asyncio.to_thread(self._replies, some)
            for offset, reply in enumerate(replies):
                done(start + offset, reply)

    def _replies(self, prompts: Sequence[str]) -> list[Reply]:
        sampler = self._load()
        try:
            rows = sampler.sample(prompts, max_new_tokens=self.max_new_tokens)
        except ValueError as error:  # one of them is too long for the model's context
            if len(prompts) == 1:
                return [Reply(failure="bad request", detail=str(error)[:200])]
            return [reply for prompt in prompts for reply in self._replies([prompt])]
        return [_reply(row[0]) for row in rows]

    def _load(self) -> Sampler:
        if self._sampler is None:
            loaded = load_model(self.model, dtype=self.dtype)
            self._sampler = Sampler(loaded.model, loaded.tokenizer, prompt_format=self.prompt_format)
        return self._sampler


def _reply(completion: Completion) -> Reply:
    return Reply(completion.text, completion_tokens=completion.token_count, truncated=completion.truncated)


def load_judge(
    name: str,
    url: str | None = None,
    *,
    prompt: str | Path | None = None,
    cache: str | Path | bool = True,
    **options: Any,
) -> JudgeGrader:
    """A judge by the name that a person types: `local:MODEL` runs here, any other name is asked at an endpoint.

    Args:
        name: model name; after `local:` whatever `load_model` takes.
        url: of the endpoint.
        prompt, cache: see `JudgeGrader.at`.
        options: `prices` and those of `Endpoint`, or the fields of `LocalModel`.

    Raises:
        OSError, ValueError: an option, a prompt file or a cache is not usable.

    Example:
        >>> load_judge("local:judges/small", cache=False, max_new_tokens=64).backend
        LocalModel(model='judges/small', max_new_tokens=64, prompt_format='auto', dtype='auto')
    """
    if not name.startswith(PREFIX):
        return JudgeGrader.at(name, url, prompt=prompt, cache=cache, **options)
    if url is not None:
        raise ValueError(f"{name} runs here, so it has no url; leave out {PREFIX} to ask {url}")
    allowed = [f.name for f in fields(LocalModel) if f.init and f.name != "model"]
    if unknown := [option for option in options if option not in allowed]:
        raise ValueError(f"a local judge has no option {unknown[0]!r}. {nearest(unknown[0], allowed)}")
    backend = LocalModel(name.removeprefix(PREFIX), **options)
    return JudgeGrader.of(backend, prompt=prompt, cache=cache)
