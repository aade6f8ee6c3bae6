"""What a stub of an endpoint replies, and the model that asks it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from abstain.evals.endpoint import EndpointSampler, load_endpoint
from abstain.evals.tasks.question import Question, Task

NAMES = ("Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo")


def ask_about(name: str) -> Question:
    return Question(name.lower(), f"Where was {name} born?", ("Lima",), subject=name)


TASK = Task("toy", tuple(map(ask_about, NAMES[8:])), tuple(map(ask_about, NAMES[:8])), max_new_tokens=16)


def completion(text: str | None, finish: str = "stop", logprobs: list[float] | None = None, **message: Any) -> Any:
    told = None if logprobs is None else {"content": [{"token": "x", "logprob": value} for value in logprobs]}
    choice = {"message": {"content": text, **message}, "finish_reason": finish, "logprobs": told}
    return {"choices": [choice], "usage": {"prompt_tokens": 50, "completion_tokens": 4}}


def say(text: str | None, finish: str = "stop", logprobs: list[float] | None = None, **message: Any) -> Callable:
    return lambda request: request.send(200, completion(text, finish, logprobs, **message))


def fail(status: int, message: str = "boom", **headers: str) -> Callable:
    return lambda request: request.send(status, {"error": {"message": message}}, **headers)


def name_in(request: Any) -> str:
    return request.prompt.split()[2]


def knows_some(request: Any) -> None:
    """Knows where the first four were born, guesses for the others, and says so where a target is stated."""
    sure = NAMES.index(name_in(request)) < 4
    text = "Lima" if sure else "Oslo" if "best guess" in request.prompt else "I don't know"
    request.send(200, completion(text, logprobs=[-0.1 if sure else -1.0, -0.1]))


def sampler(stub: Any, cache: Path | bool = False, **options: Any) -> EndpointSampler:
    return load_endpoint("openai:stub", stub.url, cache=cache, **{"first_pause": 0.01, "attempts": 3, **options})


def bodies(stub: Any) -> list[dict[str, Any]]:
    return [body for body, _ in stub.requests]


def picky(request: Any) -> None:
    """Refuses what OpenAI's reasoning models refuse."""
    body = request.server.requests[-1][0]
    for name, instead in (
        ("logprobs", ""),
        ("temperature", ""),
        ("max_tokens", " Use 'max_completion_tokens' instead."),
    ):
        if name in body:
            request.send(400, {"error": {"message": f"Unsupported parameter: '{name}'.{instead}", "param": name}})
            return
    knows_some(request)
