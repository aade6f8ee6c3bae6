"""What the body of a completion says, whoever wrote it."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from abstain.rewards.endpoint.failures import Failure
from abstain.rewards.endpoint.texts import clean, well_formed, without_key
from abstain.rewards.endpoint.usage import Reply

_CUT_OFF = ("length", "max_tokens")


def read_body(body: str, key: str = "") -> Reply | Failure:
    """The first choice of a chat completion, or of a completion of a plain prompt.

    A refusal is what the model said. What a content filter kept back is a `Reply` that failed: another request would
    bring no other. A reply without text is a reply: a reasoning model that ran out of tokens has said nothing.

    Args:
        body: of the response.
        key: the API key, which goes into no text.

    Example:
        >>> read_body('{"choices": [{"message": {"content": "GRADE: CORRECT"}}]}').text
        'GRADE: CORRECT'
        >>> found = read_body('{"choices": [{"text": " Lima", "finish_reason": "stop", '
        ...                   '"logprobs": {"token_logprobs": [-0.5, -0.25]}}]}')
        >>> found.text, found.logprob
        (' Lima', -0.75)
        >>> read_body("<html>Please log in</html>").kind
        'garbage'
    """
    try:
        data = json.loads(body)
        choice = data["choices"][0]
        text, finish = _text(choice), choice.get("finish_reason")
        usage = data.get("usage") or {}
        prompt_tokens, completion_tokens = (_count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion"))
        logprobs = choice.get("logprobs")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return Failure("garbage", f"not a completion: {clean(body, key)}")
    if finish == "content_filter" and not text:
        detail = "the provider's content filter kept the reply back"
        return Reply("", "content filter", detail, prompt_tokens, completion_tokens)
    return Reply(
        well_formed(without_key(text, key)),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        truncated=finish in _CUT_OFF,
        logprob=sum_logprobs(logprobs),
    )


def _text(choice: Mapping[str, Any]) -> str:
    if "text" in choice:
        content = choice["text"]
    else:
        message = choice["message"]
        content = message.get("content") or message.get("refusal")
    if isinstance(content, list):  # parts, of which some are no text
        content = "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    if content is not None and not isinstance(content, str):
        raise TypeError(f"a completion is text, not {type(content).__name__}")
    return content or ""


def sum_logprobs(told: Any) -> float | None:
    """The log-probability of a completion: the sum over its tokens, those of its end included where they are told.

    Args:
        told: `logprobs` of a choice: `content` with a `logprob` for each token, or a list `token_logprobs`.

    Returns:
        `None` unless there is a number for each token. Of what is no log-probability nothing is made.

    Example:
        >>> sum_logprobs({"content": [{"token": "Li", "logprob": -0.5}, {"token": "ma", "logprob": -0.25}]})
        -0.75
        >>> sum_logprobs({"content": []}), sum_logprobs({"token_logprobs": [None, -1.0]}), sum_logprobs(None)
        (None, None, None)
    """
    if not isinstance(told, Mapping):
        return None
    values = told.get("token_logprobs")
    if values is None:
        content = told.get("content")
        values = [token.get("logprob") for token in content if isinstance(token, Mapping)] if content else None
    if not isinstance(values, list) or not values:
        return None
    if not all(isinstance(value, int | float) and isfinite(value) and value <= 1e-3 for value in values):
        return None
    return min(0.0, float(sum(values)))


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
