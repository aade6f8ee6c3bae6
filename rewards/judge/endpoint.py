"""A judge behind an OpenAI-compatible endpoint: OpenAI itself, vLLM, llama.cpp's server, and many others.

The `openai` client speaks the protocol. Retries are made here rather than by it, because it neither bounds the time
of a reply that trickles in byte by byte, nor asks again after a page of HTML with status 200.
"""

import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from abstain.rewards.judge.prompts import well_formed
from abstain.rewards.judge.usage import GIVEN_UP, Reply

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
RESERVED = ("model", "messages", "stream", "n")
FATAL = ("unauthorized", "not found")  # would be the same for every prompt
_KINDS = {401: "unauthorized", 403: "unauthorized", 404: "not found", 408: "timeout", 429: "rate limit"}
_PASSING = ("connection", "timeout", "rate limit", "conflict", "server error", "garbage")
_DETAIL = 200  # characters


@dataclass(frozen=True)
class Failure:
    """A request that brought no reply.

    Args:
        kind: to count: "connection", "timeout", "rate limit", "server error", "garbage", "unauthorized", "not found",
            "bad request", "no money", "cut off" or "empty".
        detail: in words, without the API key.
        wait: seconds that the server asks to wait.
    """

    kind: str
    detail: str
    wait: float | None = None


def pause(failure: Failure, retries: int, first: float, longest: float) -> float | None:
    """Seconds to wait before the next request, or `None` if there should be none.

    first * 2^retries, at most `longest`, times a random factor in [1/2, 1]; where the server says how long, that and
    up to a tenth more, so that those who wait for the same moment do not all come at once.

    Example:
        >>> 1 <= pause(Failure("timeout", ""), retries=2, first=0.5, longest=60) <= 2
        True
        >>> 3 <= pause(Failure("rate limit", "", wait=3), retries=0, first=0.5, longest=60) <= 3.3
        True
        >>> pause(Failure("bad request", ""), retries=0, first=0.5, longest=60) is None
        True
    """
    if failure.kind not in _PASSING or (failure.wait is not None and failure.wait > longest):
        return None
    if failure.wait is not None:
        return failure.wait * random.uniform(1, 1.1)
    return min(longest, first * 2.0 ** min(retries, 30)) * random.uniform(0.5, 1)


async def attempt(client: Any, model: str, prompt: str, request: Mapping[str, Any], timeout: float) -> Reply | Failure:
    """Send one request; whatever goes wrong is a `Failure`.

    Args:
        client: an `openai.AsyncOpenAI` that does not retry.
        model, prompt, request: what to send; `request` holds further fields.
        timeout: seconds until the last byte must be there.
    """
    import asyncio

    import openai

    messages = [{"role": "user", "content": prompt}]
    send = client.chat.completions.with_raw_response.create
    try:
        async with asyncio.timeout(timeout):
            raw = await send(model=model, messages=messages, extra_body=dict(request))
            return read_body(raw.http_response.text)
    except (TimeoutError, openai.APITimeoutError):
        return Failure("timeout", f"no whole reply within {timeout:g} seconds")
    except openai.APIStatusError as error:
        return _status_failure(error, client.api_key)
    except openai.APIConnectionError as error:
        return Failure("connection", _clean(repr(error.__cause__ or error), client.api_key))
    except (openai.OpenAIError, ValueError, RuntimeError, OSError) as error:
        return Failure("garbage", _clean(repr(error), client.api_key))


def read_body(body: str) -> Reply | Failure:
    """What a chat completion says.

    Example:
        >>> read_body('{"choices": [{"message": {"content": "GRADE: CORRECT"}}]}').text
        'GRADE: CORRECT'
        >>> read_body("<html>Please log in</html>").kind
        'garbage'
    """
    try:
        data = json.loads(body)
        choice = data["choices"][0]
        content, finish = choice["message"].get("content"), choice.get("finish_reason")
        usage = data.get("usage") or {}
        tokens = [_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return Failure("garbage", f"not a chat completion: {_clean(body, '')}")
    if finish == "length":
        return Reply("", "cut off", "the judge ran out of tokens before its grade; raise max_tokens", *tokens)
    if not isinstance(content, str) or not content.strip():
        return Reply("", "empty", f"the judge said nothing (finish_reason {finish!r})", *tokens)
    return Reply(well_formed(content), "", "", *tokens)


def _status_failure(error: Any, key: str) -> Failure:
    status, detail = error.status_code, _clean(error.message, key)
    if status == 429 and error.code == "insufficient_quota":
        return Failure("no money", detail)
    if status >= 500:
        return Failure("server error", detail, retry_after(error.response.headers))
    kind = "conflict" if status == 409 else _KINDS.get(status, "bad request")
    return Failure(kind, detail, retry_after(error.response.headers))


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that the server asks to wait: `Retry-After` as seconds or as a date, or `retry-after-ms`.

    Example:
        >>> retry_after({"retry-after": "2"}), retry_after({"retry-after-ms": "1500"}), retry_after({})
        (2.0, 1.5, None)
        >>> retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now=50.0)
        10.0
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None or (seconds := _seconds(text)) is not None:
        return seconds if text is not None else None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if isfinite(value) and value >= 0 else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _clean(text: str, key: str) -> str:
    """One short line, without the key, should a server have echoed it."""
    text = text.replace(key, "***") if len(key) > 4 else text
    line = " ".join(well_formed(text[:10_000]).split())
    return line if len(line) <= _DETAIL else f"{line[:_DETAIL]} ..."


@dataclass(frozen=True)
class Endpoint:
    """Asks a model behind a URL, many prompts at a time.

    A request that fails for a passing reason is repeated after an exponentially growing, jittered pause, or after what
    the server says in `Retry-After`. A prompt that fails for good never raises: its `Reply` says why. Once `patience`
    prompts in a row have failed, or the first has for a reason that concerns all, the rest of the batch is given up.

    Args:
        model: its name at the endpoint.
        url: the endpoint, such as `http://localhost:8000/v1`; OpenAI's (or `$OPENAI_BASE_URL`) by default.
        key_env: the environment variable that holds the API key. By default `OPENAI_API_KEY` without a `url`, and no
            key at all with one, so that a key goes nowhere by accident. It is read when it is used, and never kept.
        request: further fields of the request, as the endpoint knows them. Reasoning models refuse `temperature`, and
            may want `{"max_completion_tokens": 4000}` instead.
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
        ValueError: judge url 'localhost:8000' does not start with http:// or https://; did you mean
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

    def __post_init__(self) -> None:
        if not self.model or not isinstance(self.model, str):
            raise ValueError(f"judge model {self.model!r} is not a name")
        if self.model.startswith("local:"):
            raise ValueError(f"{self.model} has no endpoint; load it with abstain.evals.local_judge.load_judge")
        _check_url(self.address)
        if fixed := [name for name in RESERVED if name in self.request]:
            raise ValueError(f"judge request field '{fixed[0]}' is set by abstain; leave it out")
        for name in ("concurrency", "attempts", "patience"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise ValueError(f"judge {name} is {value!r}; it must be a whole number above 0")
        for name in ("timeout", "first_pause", "longest_pause"):
            if not isinstance(value := getattr(self, name), int | float) or not (isfinite(value) and value > 0):
                raise ValueError(f"judge {name} is {value!r}; it must be a number of seconds above 0")

    @property
    def address(self) -> str:
        """The URL that is asked."""
        return self.url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    @property
    def identity(self) -> dict[str, Any]:
        """All of this that decides a reply; what a cache goes by."""
        return {"model": self.model, "url": self.address.rstrip("/"), "request": dict(self.request)}

    async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
        """Ask all prompts; `done(index, reply)` is called for each as soon as there is something to say.

        Raises:
            ImportError: the `openai` package is not installed.
            ValueError: the API key is not set.
        """
        import asyncio

        line = _Line(list(enumerate(prompts))[::-1], self.patience)
        async with self._client() as client, asyncio.TaskGroup() as workers:
            for _ in range(min(self.concurrency, len(prompts))):
                workers.create_task(self._work(client, line, done))

    async def _work(self, client: Any, line: "_Line", done: Callable[[int, Reply], None]) -> None:
        while line.waiting:
            index, prompt = line.waiting.pop()
            reply = line.refusal() or await self._reply(client, prompt)
            line.note(reply)
            done(index, reply)

    async def _reply(self, client: Any, prompt: str) -> Reply:
        import asyncio

        for retries in range(self.attempts):
            outcome = await attempt(client, self.model, prompt, self.request, self.timeout)
            if isinstance(outcome, Reply):
                return replace(outcome, retries=retries)
            failed = Reply(failure=outcome.kind, detail=outcome.detail, retries=retries)
            wait = pause(outcome, retries, self.first_pause, self.longest_pause)
            if wait is None or retries + 1 == self.attempts:
                break
            await asyncio.sleep(wait)
        return failed

    def _client(self) -> Any:
        try:
            from openai import AsyncOpenAI
        except ImportError:
            raise ImportError("a judge behind a URL needs the openai package: pip install 'abstain[judge]'") from None
        return AsyncOpenAI(api_key=self._key(), base_url=self.address, max_retries=0, timeout=self.timeout)

    def _key(self) -> str:
        name = self.key_env or (None if self.url else OPENAI_KEY)
        if name is None:
            return "none"  # the client insists on one; servers that want none ignore it
        if not (key := os.environ.get(name, "").strip()):
            raise ValueError(f"the judge's API key is not set: export {name}=..., or name a url that needs none")
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"the judge's API key in {name} has characters that no key has; was it pasted whole?")
        return key


@dataclass
class _Line:
    """Prompts that wait, and whether the judge is still worth asking."""

    waiting: list[tuple[int, str]]
    patience: int
    in_a_row: int = 0
    last: Reply | None = None

    def note(self, reply: Reply) -> None:
        if reply.failure == GIVEN_UP:
            return
        self.last = reply if reply.failure else None
        self.in_a_row = self.in_a_row + 1 if reply.failure else 0
        if reply.failure in FATAL:
            self.in_a_row = self.patience

    def refusal(self) -> Reply | None:
        if self.last is None or self.in_a_row < self.patience:
            return None
        return Reply(failure=GIVEN_UP, detail=f"not asked after {self.last.failure}: {self.last.detail}")


def _check_url(url: str) -> None:
    if "@" in url or "?" in url:
        raise ValueError("the judge's url carries a user name, a password or a query; put its key into `key_env`")
    if not url.startswith(("http://", "https://")):
        host = url.rstrip("/")
        hint = f"http://{host}" + ("" if "/" in host else "/v1")
        raise ValueError(f"judge url {url!r} does not start with http:// or https://; did you mean {hint!r}?")
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"judge url {url!r}: {error}") from None
    if not known:
        raise ValueError(f"judge url {url!r} names no host")
