"""An endpoint that misbehaves in every way a local stub server can: replies come, or failures with their kind."""

import asyncio
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from abstain.rewards.judge.endpoint import Endpoint, Failure, pause, read_body, retry_after
from abstain.rewards.judge.usage import GIVEN_UP, Reply

pytest.importorskip("openai")

Answer = Callable[[Any], None]


def chat(text: str | None, **extra: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 5}
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": usage, **extra}


def send(status: int, body: str | dict[str, Any], **headers: str) -> Answer:
    return lambda request: request.send(status, body, **headers)


def say(text: str | None, finish: str = "stop") -> Answer:
    return lambda request: request.chat(text, finish)


def drip(request: Any) -> None:
    """A byte at a time, for ever: no read takes long, but the whole never ends."""
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    while not request.server.closing:
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.02)


def hang(request: Any) -> None:
    while not request.server.closing:
        time.sleep(0.02)


def hang_up(request: Any) -> None:
    request.connection.close()


GOOD = say("GRADE: CORRECT")


@pytest.fixture
def stub(chat_server: Any) -> Any:
    chat_server.script = [GOOD]
    return chat_server


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)


def endpoint(stub: Any, **options: Any) -> Endpoint:
    return Endpoint("judge", stub.url, **{"first_pause": 0.01, "attempts": 3, "timeout": 20.0, **options})


def ask(backend: Endpoint, *prompts: str) -> list[Reply]:
    replies: dict[int, Reply] = {}
    asyncio.run(backend.ask(prompts, lambda index, reply: replies.__setitem__(index, reply)))
    return [replies[index] for index in range(len(prompts))]


def test_what_is_sent_and_what_comes_back(stub: Any) -> None:
    backend = endpoint(stub, request={"temperature": 0, "chat_template_kwargs": {"enable_thinking": False}})
    assert ask(backend, "Grade this.") == [Reply("GRADE: CORRECT", "", "", 100, 5, 0)]
    body, headers = stub.requests[0]
    assert body == {
        "model": "judge",
        "messages": [{"role": "user", "content": "Grade this."}],
        "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert headers["authorization"] == "Bearer none"


OVERLOADED = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}


@pytest.mark.parametrize(
    "trouble",
    [
        send(429, OVERLOADED),
        send(500, "boom"),
        send(503, "<html>busy</html>"),
        send(408, {}),
        send(409, {}),
        send(200, "<html>Please log in</html>"),
        send(200, '{"choices": []}'),
        send(200, "[" * 100_000),
        send(200, "null"),
        send(200, {"choices": [{"message": None}]}),
        hang_up,
    ],
    ids=["429", "500", "503", "408", "409", "html", "choices", "nested", "null", "message", "hang_up"],
)
def test_passing_trouble_is_tried_again(stub: Any, trouble: Answer) -> None:
    stub.script = [trouble, trouble, GOOD]
    assert ask(endpoint(stub), "p") == [Reply("GRADE: CORRECT", "", "", 100, 5, 2)]


@pytest.mark.parametrize(
    ("trouble", "kind", "requests"),
    [
        (send(429, OVERLOADED), "rate limit", 3),
        (send(429, {"error": {"code": "insufficient_quota"}}), "no money", 1),
        (send(429, OVERLOADED, Retry_After="3600"), "rate limit", 1),
        (send(500, "boom"), "server error", 3),
        (send(400, {"error": {"message": "temperature is not supported"}}), "bad request", 1),
        (send(401, {"error": {"message": "no such key"}}), "unauthorized", 1),
        (send(404, {"error": {"message": "no such model"}}), "not found", 1),
        (send(200, "not JSON"), "garbage", 3),
        (say(None), "empty", 1),
        (say("  \n"), "empty", 1),
        (say("GRADE: CORR", "length"), "cut off", 1),
        (hang_up, "connection", 3),
    ],
)
def test_trouble_that_stays_is_a_failure_of_its_kind(stub: Any, trouble: Answer, kind: str, requests: int) -> None:
    stub.script = [trouble]
    [reply] = ask(endpoint(stub), "p")
    assert (reply.failure, reply.text, reply.retries) == (kind, "", requests - 1)
    assert reply.detail
    assert len(stub.requests) == requests


@pytest.mark.parametrize("trouble", [hang, drip])
def test_a_reply_that_never_ends_times_out(stub: Any, trouble: Answer) -> None:
    stub.script = [trouble]
    [reply] = ask(endpoint(stub, timeout=0.3, attempts=2), "p")
    assert (reply.failure, reply.retries) == ("timeout", 1)
    assert reply.detail == "no whole reply within 0.3 seconds"


def test_nobody_listens() -> None:
    [reply] = ask(Endpoint("judge", "http://127.0.0.1:9/v1", attempts=2, first_pause=0.01), "p")
    assert (reply.failure, reply.retries) == ("connection", 1)


@pytest.mark.parametrize("headers", [{"Retry_After": "0.4"}, {"retry_after_ms": "400"}])
def test_the_server_says_how_long_to_wait(stub: Any, headers: dict[str, str]) -> None:
    stub.script = [send(429, OVERLOADED, **headers), GOOD]
    start = time.monotonic()
    assert ask(endpoint(stub), "p")[0].text == "GRADE: CORRECT"
    assert time.monotonic() - start >= 0.4


def test_retry_after_as_a_date() -> None:
    assert retry_after({"retry-after": formatdate(1_000_010, usegmt=True)}, now=1_000_000) == 10
    assert retry_after({"retry-after": formatdate(999_000, usegmt=True)}, now=1_000_000) == 0
    for nonsense in ("", "-5", "nan", "inf", "next week", "Mon, 99 Jan 2026 00:00:00 GMT"):
        assert retry_after({"retry-after": nonsense}) is None


def test_pauses_grow_and_are_jittered() -> None:
    waits = [[pause(Failure("timeout", ""), n, 0.5, 8) or 0 for _ in range(200)] for n in range(7)]
    for n, row in enumerate(waits):
        whole = min(8, 0.5 * 2**n)
        assert whole / 2 <= min(row) < max(row) <= whole
        assert max(row) - min(row) > whole / 4


def test_every_prompt_gets_its_own_reply_and_few_are_under_way_at_once(stub: Any) -> None:
    def echo(request: Any) -> None:
        time.sleep(0.01)
        request.chat(request.prompt)

    stub.script = [echo]
    prompts = [f"prompt {i}" for i in range(40)]
    assert [reply.text for reply in ask(endpoint(stub, concurrency=4), *prompts)] == prompts
    assert 1 < stub.most <= 4


def test_a_judge_that_is_down_is_given_up(stub: Any) -> None:
    stub.script = [send(500, "boom")]
    kinds = [reply.failure for reply in ask(endpoint(stub, attempts=1, concurrency=1, patience=3), *"abcdefgh")]
    assert kinds == ["server error"] * 3 + [GIVEN_UP] * 5
    assert len(stub.requests) == 3
    stub.script = [GOOD]
    assert ask(endpoint(stub), "the next batch")[0].text == "GRADE: CORRECT"


def test_a_key_that_is_refused_is_refused_once(stub: Any) -> None:
    stub.script = [send(401, {})]
    replies = ask(endpoint(stub, concurrency=1), *"abc")
    assert [reply.failure for reply in replies] == ["unauthorized", GIVEN_UP, GIVEN_UP]
    assert "unauthorized" in replies[1].detail


def test_one_bad_prompt_does_not_end_the_batch(stub: Any) -> None:
    stub.script = [GOOD, send(400, {}), GOOD, send(500, ""), GOOD]
    replies = ask(endpoint(stub, attempts=1, concurrency=1, patience=2), *"abcde")
    assert [reply.failure for reply in replies] == ["", "bad request", "", "server error", ""]


def test_the_key_goes_only_where_it_was_named_for(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "MY_KEY"):
        monkeypatch.setenv(name, f"sk-secret-{name}")
    ask(endpoint(stub), "p")
    ask(endpoint(stub, key_env="MY_KEY"), "p")
    monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
    ask(Endpoint("judge"), "p")
    sent = [headers["authorization"] for _, headers in stub.requests]
    assert sent == ["Bearer none", "Bearer sk-secret-MY_KEY", "Bearer sk-secret-OPENAI_API_KEY"]
    assert not any("ADMIN" in value for _, headers in stub.requests for value in headers.values())


def test_the_key_is_in_no_object_and_no_message(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-1234")
    stub.script = [send(401, {"error": {"message": "sk-secret-1234 is not a key"}})]
    backend = endpoint(stub, key_env="MY_KEY")
    [reply] = ask(backend, "p")
    assert "*** is not a key" in reply.detail
    assert "secret" not in repr((backend, backend.identity, vars(backend)))


def test_a_key_that_is_missing_is_an_error_not_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="export OPENAI_API_KEY"):
        ask(Endpoint("gpt"), "p")
    with pytest.raises(ValueError, match="export MY_KEY"):
        ask(Endpoint("gpt", "http://127.0.0.1:9/v1", key_env="MY_KEY"), "p")
    monkeypatch.setenv("MY_KEY", "sk-“quoted”")
    with pytest.raises(ValueError, match="MY_KEY has characters that no key has") as caught:
        ask(Endpoint("gpt", key_env="MY_KEY"), "p")
    assert "quoted" not in str(caught.value)


def test_without_the_package_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(ImportError, match=r"pip install 'abstain\[judge\]'"):
        ask(Endpoint("m", "http://127.0.0.1:9/v1"), "p")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "localhost:8000"}, "did you mean 'http://localhost:8000/v1'"),
        ({"url": "http://"}, "names no host"),
        ({"url": "http://host:port/v1"}, "port"),
        ({"url": "http://me:secret@host/v1"}, "key_env"),
        ({"url": "me:secret@host/v1"}, "key_env"),
        ({"request": {"messages": []}}, "'messages' is set by abstain"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"attempts": 2.5}, "attempts is 2.5"),
        ({"timeout": float("inf")}, "timeout is inf"),
        ({"timeout": "60"}, "timeout is '60'"),
        ({"model": ""}, "not a name"),
        ({"model": "local:m"}, "load_judge"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Endpoint(**{"model": "m", "url": "http://localhost/v1", **options})
    assert "secret" not in str(caught.value)


def test_a_body_is_read_or_is_garbage() -> None:
    assert read_body(json.dumps(chat("a\ud800"))).text == "a?"  # type: ignore[union-attr]
    assert read_body(json.dumps(chat("a", usage=None))) == Reply("a")
    odd = read_body(json.dumps(chat("a", usage={"prompt_tokens": "many", "completion_tokens": -1})))
    assert odd == Reply("a")
    assert isinstance(read_body(json.dumps(chat("a", usage=[1]))), Failure)
