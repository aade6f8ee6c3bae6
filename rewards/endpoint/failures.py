"""Why a request brought no reply, and how long to wait before the next."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from abstain.rewards.endpoint.texts import clean

FATAL = ("unauthorized", "not found", "no money")  # would be the same for every prompt
_KINDS = {
    401: "unauthorized",
    403: "unauthorized",
    404: "not found",
    408: "timeout",
    409: "conflict",
    429: "rate limit",
}
_PASSING = ("connection", "timeout", "rate limit", "conflict", "server error", "garbage")
_LONGEST = 10_000  # characters of a message that are looked at


@dataclass(frozen=True)
class Failure:
    """A request that brought no reply.

    Args:
        kind: to count: "connection", "timeout", "rate limit", "server error", "garbage", "unauthorized", "not found",
            "bad request", "content filter" or "no money".
        detail: in words, without the API key.
        wait: seconds that the server asks to wait.
        names: what of the request it may be about: all that the server said, in lower case.
    """

    kind: str
    detail: str
    wait: float | None = None
    names: str = ""


def status_failure(error: Any, key: str) -> Failure:
    """What an `openai.APIStatusError` means.

    Args:
        error: with the status, the server's code and message, and the headers.
        key: the API key, which goes into no message.
    """
    status, code = error.status_code, str(error.code or "")
    detail = clean(error.message, key)
    if status == 429 and code == "insufficient_quota":
        return Failure("no money", detail)
    if code == "content_filter":
        return Failure("content filter", detail)
    wait = retry_after(error.response.headers)
    if status >= 500:
        return Failure("server error", detail, wait)
    said = f"{error.param or ''} {error.message}"[:_LONGEST].lower()
    return Failure(_KINDS.get(status, "bad request"), detail, wait, said)


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
