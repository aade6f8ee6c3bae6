"""Asks a model behind an OpenAI-compatible endpoint: OpenAI itself, vLLM, llama.cpp's server, and many others.

The `openai` client speaks the protocol. Retries are made here rather than by it, because it neither bounds the time
of a reply that trickles in byte by byte, nor asks again after a page of HTML with status 200.
"""

import os
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, TypeVar
from urllib.parse import urlsplit

from abstain.rewards.endpoint.failures import FATAL, Failure, pause, status_failure
from abstain.rewards.endpoint.reading import read_body
from abstain.rewards.endpoint.texts import clean
from abstain.rewards.endpoint.usage import GIVEN_UP, Reply

PREFIX = "openai:"
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
RESERVED = ("model", "messages", "prompt", "stream", "n")
DISPENSABLE = ("logprobs", "temperature", "seed", "top_p", "top_k", "min_p", "repetition_penalty")
"""Fields of a request without which a server that refuses one is asked again."""
ROOM, ROOM_OF_REASONING = "max_tokens", "max_completion_tokens"
MOSTLY = 0.9
"""Share of failed prompts above which a batch is given up."""
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One prompt, and how it is asked.

    Args:
        prompt: the text.
        settings: fields of the request, such as `temperature`; those of the `Endpoint` come before them.
        chat: as a user's turn; otherwise as a text that the model continues.
    """

    prompt: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    chat: bool = True


@dataclass(frozen=True)
class Endpoint:
    """Asks a model behind a URL, many prompts at a time.

    A request that fails for a passing reason is repeated after an exponentially growing, jittered pause, or after what
    the server says in `Retry-After`. A prompt that fails for good never raises: its `Reply` says why. Once `patience`
    prompts in a row have failed, nearly all have, or the first has for a reason that concerns all, the rest of the
    batch is given up.

    A server that refuses a field of `DISPENSABLE` is asked again without it, and from then on; the `Reply` says so.

    Args:
        model: its name at the endpoint.
        url: the endpoint, such as `http://localhost:8000/v1`; OpenAI's (or `$OPENAI_BASE_URL`) by default.
        key_env: the environment variable that holds the API key. By default `OPENAI_API_KEY` without a `url`, and no
            key at all with one, so that a key goes nowhere by accident. It is read when it is used, and never kept.
        request: further fields of each request, as the endpoint knows them. Reasoning models want
            `{"max_completion_tokens": 4000}`: they reason first.
        concurrency: requests under way at once.
        timeout: seconds for one request, from the first byte sent to the last received.
        attempts: requests per prompt at most.
        first_pause: seconds before the second request; doubled before each further one.
        longest_pause: seconds; a server that asks for a longer one is not asked again.
        patience: failed prompts in a row after which a batch is given up.

    Raises:
        ValueError: a URL that is none or carries a password, a reserved request field, a number out of range.

    Example:
        >>> Endpoint("qwen", "http://localhost:8000/v1").identity["url"]
        'http://localhost:8000/v1'
        >>> Endpoint("qwen", "localhost:8000")
        Traceback (most recent call last):
        ...
        ValueError: url 'localhost:8000' does not start with http:// or https://; did you mean
        'http://localhost:8000/v1'?
    """

    model: str
    url: str | None = None
    key_env: str | None = None
    request: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0})
    concurrency: int = 16
    timeout: float = 60.0
    attempts: int = 5
    first_pause: float = 0.5
    longest_pause: float = 60.0
    patience: int = 20
    refused: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.model or not isinstance(self.model, str):
            raise ValueError(f"model {self.model!r} is not a name, such as gpt-4.1-mini")
        if self.model.startswith("local:"):
            raise ValueError(f"{self.model} has no endpoint; load it with abstain.evals.local_judge.load_judge")
        _check_url(self.address)
        if not isinstance(self.request, Mapping):
            raise ValueError(f"request is {self.request!r}; its fields are named, such as request.temperature=0")
        if fixed := [name for name in RESERVED if name in self.request]:
            raise ValueError(f"request field '{fixed[0]}' is set by abstain; leave it out")
        for name in ("concurrency", "attempts", "patience"):
            if not isinstance(value := getattr(self, name), int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number above 0")
        for name in ("timeout", "first_pause", "longest_pause"):
            if not isinstance(value := getattr(self, name), int | float) or not (isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value!r}; it must be a number of seconds above 0")

    @classmethod
    def options(cls) -> list[str]:
        """What can be set besides the model and its url."""
        fields = cls.__dataclass_fields__.values()
        return [one.name for one in fields if one.init and one.name not in ("model", "url")]

    @property
    def address(self) -> str:
        """The URL that is asked."""
        return self.url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    @property
    def paid(self) -> bool:
        """Whether requests carry a key: somebody may be sent a bill."""
        return self._key_name is not None

    @property
    def identity(self) -> dict[str, Any]:
        """All of this that decides a reply; what a cache goes by."""
        return {"model": self.model, "url": self.address.rstrip("/"), "request": dict(self.request)}

    async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
        """`send`, for prompts that are a user's turns and need no settings of their own."""
        await self.send([Request(prompt) for prompt in prompts], done)

    async def send(self, requests: Sequence[Request], done: Callable[[int, Reply], None]) -> None:
        """Ask all prompts; `done(index, reply)` is called for each as soon as there is something to say.

        Raises:
            ImportError: the `openai` package is not installed.
            ValueError: the API key is not set.
        """
        import asyncio

        line = _Line(list(enumerate(requests))[::-1], self.patience)
        async with self._client() as client, asyncio.TaskGroup() as workers:
            for _ in range(min(self.concurrency, len(requests))):
                workers.create_task(self._work(client, line, done))

    async def _work(self, client: Any, line: "_Line", done: Callable[[int, Reply], None]) -> None:
        while line.waiting:
            index, request = line.waiting.pop()
            reply = line.refusal() or await self._reply(client, request)
            line.note(reply)
            done(index, reply)

    async def _reply(self, client: Any, request: Request) -> Reply:
        import asyncio

        left_out, retries, tried = set(self.refused), 0, 1
        while True:
            fields = self._fields(request, left_out)
            outcome = await attempt(client, self.model, request, fields, self.timeout)
            if isinstance(outcome, Reply):
                self.refused.update(left_out)
                told = tuple(name for name in DISPENSABLE if name in left_out)
                return replace(outcome, retries=retries, left_out=told)
            if unwanted := _refused_fields(outcome, fields):
                left_out |= unwanted
            else:
                failed = Reply(failure=outcome.kind, detail=outcome.detail, retries=retries)
                wait = pause(outcome, tried - 1, self.first_pause, self.longest_pause)
                if wait is None or tried == self.attempts:
                    return failed
                tried += 1
                await asyncio.sleep(wait)
            retries += 1

    def _fields(self, request: Request, left_out: set[str]) -> dict[str, Any]:
        own = dict(request.settings)
        if ROOM in self.request or ROOM_OF_REASONING in self.request:
            own.pop(ROOM, None)
        fields = own | dict(self.request)
        if ROOM in left_out and ROOM in fields:
            fields[ROOM_OF_REASONING] = fields.pop(ROOM)
        return {name: value for name, value in fields.items() if name not in left_out}

    def _client(self) -> Any:
        try:
            from openai import AsyncOpenAI
        except ImportError:
            raise ImportError("a model behind a URL needs the openai package: pip install 'abstain[judge]'") from None
        return AsyncOpenAI(api_key=self._key(), base_url=self.address, max_retries=0, timeout=self.timeout)

    @property
    def _key_name(self) -> str | None:
        return self.key_env or (None if self.url else OPENAI_KEY)

    def _key(self) -> str:
        name = self._key_name
        if name is None:
            return "none"  # the client insists on one; servers that want none ignore it
        if not (key := os.environ.get(name, "").strip()):
            told = f"export {name}=..., or name a url that needs none"
            raise ValueError(f"the API key of {self.model} is not set: {told}")
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"the API key in {name} has characters that no key has; was it pasted whole?")
        return key


async def attempt(
    client: Any, model: str, request: Request, fields: Mapping[str, Any], timeout: float
) -> Reply | Failure:
    """Send one request; whatever goes wrong is a `Failure`.

    Args:
        client: an `openai.AsyncOpenAI` that does not retry.
        model, request, fields: what to send; `fields` are those besides model and prompt.
        timeout: seconds until the last byte must be there.
    """
    import asyncio

    import openai

    key = client.api_key
    api = client.chat.completions if request.chat else client.completions
    prompt: dict[str, Any] = (
        {"messages": [{"role": "user", "content": request.prompt}]} if request.chat else {"prompt": request.prompt}
    )
    try:
        async with asyncio.timeout(timeout):
            raw = await api.with_raw_response.create(model=model, **prompt, extra_body=dict(fields))
            return read_body(raw.http_response.text, key)
    except (TimeoutError, openai.APITimeoutError):
        return Failure("timeout", f"no whole reply within {timeout:g} seconds")
    except openai.APIStatusError as error:
        return status_failure(error, key)
    except openai.APIConnectionError as error:
        return Failure("connection", clean(repr(error.__cause__ or error), key))
    except (openai.OpenAIError, ValueError, RuntimeError, OSError) as error:
        return Failure("garbage", clean(repr(error), key))


def _refused_fields(failure: Failure, sent: Mapping[str, Any]) -> set[str]:
    """What a server complains of that it can be asked without, or by another name.

    Example:
        >>> sent = {"max_tokens": 32, "temperature": 0, "seed": 1}
        >>> sorted(_refused_fields(Failure("bad request", "", names="'temperature' does not support 0"), sent))
        ['temperature']
        >>> sorted(_refused_fields(Failure("bad request", "", names="use 'max_completion_tokens' instead"), sent))
        ['max_tokens']
    """
    if failure.kind != "bad request":
        return set()
    found = set(re.findall(r"[a-z_]+", failure.names.replace("top_logprobs", "logprobs")))
    refused = {name for name in DISPENSABLE if name in found and name in sent}
    return refused | ({ROOM} if ROOM_OF_REASONING in found and ROOM in sent else set())


@dataclass
class _Line:
    """Prompts that wait, and whether the model is still worth asking."""

    waiting: list[tuple[int, Request]]
    patience: int
    replied: int = 0
    failed: int = 0
    in_a_row: int = 0
    hopeless: bool = False
    last: Reply | None = None

    def note(self, reply: Reply) -> None:
        if reply.failure == GIVEN_UP:
            return
        if not reply.failure:
            self.replied, self.in_a_row = self.replied + 1, 0
            return
        self.last, self.failed, self.in_a_row = reply, self.failed + 1, self.in_a_row + 1
        mostly = self.failed > MOSTLY * (self.replied + self.failed) and self.failed >= 2 * self.patience
        for_all = reply.failure == "no money" or (reply.failure in FATAL and not self.replied)
        self.hopeless = self.hopeless or for_all or mostly or self.in_a_row >= self.patience

    def refusal(self) -> Reply | None:
        if self.last is None or not self.hopeless:
            return None
        return Reply(failure=GIVEN_UP, detail=f"not asked after {self.last.failure}: {self.last.detail}")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of asynchronous work, for code that is not asynchronous, inside a running event loop too."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor  # a notebook's loop is running here, so another thread has to

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _check_url(url: str) -> None:
    if "@" in url or "?" in url:
        raise ValueError("the url carries a user name, a password or a query; put its key into `key_env`")
    if not url.startswith(("http://", "https://")):
        host = url.rstrip("/")
        hint = f"http://{host}" + ("" if "/" in host else "/v1")
        raise ValueError(f"url {url!r} does not start with http:// or https://; did you mean {hint!r}?")
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"url {url!r}: {error}") from None
    if not known:
        raise ValueError(f"url {url!r} names no host")
