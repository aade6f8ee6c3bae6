"""An endpoint that misbehaves in every way a local stub server can: replies come, or failures with their kind."""

import asyncio
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from abstain.rewards.endpoint.client import Endpoint, Request
from abstain.rewards.endpoint.failures import Failure, pause, retry_after
from abstain.rewards.endpoint.reading import read_body
from abstain.rewards.endpoint.usage import GIVEN_UP, Reply

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


def ask_with(backend: Endpoint, settings: dict[str, Any], chat: bool = True) -> list[Reply]:
    replies: list[Reply] = []
    asyncio.run(backend.send([Request("p", settings, chat)], lambda _, reply: replies.append(reply)))
    return replies


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


def test_silence_and_half_a_sentence_are_replies(stub: Any) -> None:
    stub.script = [say(None), say("  \n"), say("GRADE: CORR", "length"), say(None, "length")]
    replies = ask(endpoint(stub, concurrency=1), *"abcd")
    assert [(reply.text, reply.truncated, reply.failure) for reply in replies] == [
        ("", False, ""),
        ("  \n", False, ""),
        ("GRADE: CORR", True, ""),
        ("", True, ""),
    ]


class Picky:
    """Refuses some fields of a request, one at a time, as OpenAI's reasoning models do."""

    def __init__(self, *refused: str, naming: str = "Unsupported parameter: '{}' is not supported.") -> None:
        self.refused = refused
        self.naming = naming

    def __call__(self, request: Any) -> None:
        body = request.server.requests[-1][0]
        for name in self.refused:
            if name in body:
                request.send(400, {"error": {"message": self.naming.format(name), "code": "unsupported_parameter"}})
                return
        request.chat("Lima")


def bodies(stub: Any, *names: str) -> list[dict[str, Any]]:
    return [{name: body[name] for name in names if name in body} for body, _ in stub.requests]


def test_a_field_that_is_refused_is_left_out_from_then_on(stub: Any) -> None:
    stub.script = [Picky("temperature", "logprobs")]
    backend = endpoint(stub, concurrency=1, request={"temperature": 0, "logprobs": True})
    first, second = ask(backend, "a", "b")
    assert first == Reply("Lima", "", "", 100, 5, 2, left_out=("logprobs", "temperature"))
    assert second == Reply("Lima", "", "", 100, 5, 0, left_out=("logprobs", "temperature"))
    sent = bodies(stub, "temperature", "logprobs")
    assert sent == [{"temperature": 0, "logprobs": True}, {"logprobs": True}, {}, {}]
    assert ask(backend, "c")[0].retries == 0
    assert ask(endpoint(stub, request={"temperature": 0}), "d")[0].retries == 1


def test_room_for_an_answer_has_another_name_at_reasoning_models(stub: Any) -> None:
    naming = "Unsupported parameter: '{}'. Use 'max_completion_tokens' instead."
    stub.script = [Picky("max_tokens", naming=naming)]
    [reply] = ask_with(endpoint(stub, request={}), {"max_tokens": 32})
    assert (reply.text, reply.retries, reply.left_out) == ("Lima", 1, ())
    assert bodies(stub, "max_tokens", "max_completion_tokens") == [{"max_tokens": 32}, {"max_completion_tokens": 32}]


def test_somebodys_own_room_comes_first(stub: Any) -> None:
    ask_with(endpoint(stub, request={"max_completion_tokens": 4000}), {"max_tokens": 32})
    assert bodies(stub, "max_tokens", "max_completion_tokens") == [{"max_completion_tokens": 4000}]


def test_what_is_refused_for_another_reason_is_not_left_out(stub: Any) -> None:
    backend = endpoint(stub, concurrency=1)
    stub.script = [send(400, {"error": {"message": "bad prompt: at which temperature"}})] * 2 + [GOOD]
    first, second = ask(backend, "a", "b")
    assert (first.failure, second.text, second.left_out) == ("bad request", "GRADE: CORRECT", ())
    assert bodies(stub, "temperature") == [{"temperature": 0}, {}, {"temperature": 0}]


def test_a_plain_prompt_is_continued(stub: Any) -> None:
    told = {"token_logprobs": [-0.5, -0.25], "tokens": [" Li", "ma"]}
    stub.script = [send(200, {"choices": [{"text": " Lima", "finish_reason": "length", "logprobs": told}]})]
    [reply] = ask_with(endpoint(stub, request={}), {"logprobs": 1}, chat=False)
    assert reply == Reply(" Lima", truncated=True, logprob=-0.75)
    body, headers = stub.requests[0]
    assert body == {"model": "judge", "prompt": "p", "logprobs": 1}
    assert headers["path"] == "/v1/completions"


@pytest.mark.parametrize(
    ("trouble", "kind", "requests"),
    [
        (send(429, OVERLOADED), "rate limit", 3),
        (send(429, {"error": {"code": "insufficient_quota"}}), "no money", 1),
        (send(429, OVERLOADED, Retry_After="3600"), "rate limit", 1),
        (send(500, "boom"), "server error", 3),
        (send(400, {"error": {"message": "the prompt is too long"}}), "bad request", 1),
        (send(400, {"error": {"message": "filtered", "code": "content_filter"}}), "content filter", 1),
        (send(401, {"error": {"message": "no such key"}}), "unauthorized", 1),
        (send(404, {"error": {"message": "no such model"}}), "not found", 1),
        (send(200, "not JSON"), "garbage", 3),
        (send(200, {"choices": [{"message": {"content": 7}}]}), "garbage", 3),
        (say(None, "content_filter"), "content filter", 1),
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


def test_a_judge_that_fails_at_nearly_all_is_given_up(stub: Any) -> None:
    """One reply in twelve keeps the failures from being in a row."""
    stub.script = [GOOD if index % 12 == 11 else send(500, "boom") for index in range(100)]
    replies = ask(endpoint(stub, attempts=1, concurrency=1, patience=12), *map(str, range(100)))
    kinds = [reply.failure for reply in replies]
    assert kinds.count(GIVEN_UP) == 74 and kinds[:26].count("") == 2


def test_a_single_prompt_that_is_forbidden_does_not_end_the_batch(stub: Any) -> None:
    stub.script = [GOOD, send(403, {"error": {"message": "flagged by moderation"}}), GOOD]
    replies = ask(endpoint(stub, concurrency=1), *"abc")
    assert [reply.failure for reply in replies] == ["", "unauthorized", ""]


def test_money_that_runs_out_ends_it(stub: Any) -> None:
    stub.script = [GOOD, send(429, {"error": {"code": "insufficient_quota"}})]
    replies = ask(endpoint(stub, concurrency=1), *"abc")
    assert [reply.failure for reply in replies] == ["", "no money", GIVEN_UP]


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


def test_a_key_that_a_server_sends_back_is_in_no_reply(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-1234")
    stub.script = [say("My key is sk-secret-1234."), send(200, "<html>Bearer sk-secret-1234</html>")]
    replies = ask(endpoint(stub, key_env="MY_KEY", concurrency=1, attempts=1), "p", "q")
    assert replies[0].text == "My key is ***."
    assert replies[1].failure == "garbage" and "secret" not in repr(replies)


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
        ({"request": [1]}, "its fields are named"),
        ({"concurrency": True}, "concurrency is True"),
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


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None, "refusal": "I can't help with that."}, "I can't help with that."),
        ({"content": [{"type": "text", "text": "Li"}, {"type": "image"}, {"type": "text", "text": "ma"}]}, "Lima"),
        ({"content": None, "tool_calls": [{}]}, ""),
        ({"content": "Lima", "reasoning_content": "Peru ..."}, "Lima"),
    ],
)
def test_what_the_model_said(message: dict[str, Any], text: str) -> None:
    found = read_body(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}))
    assert isinstance(found, Reply) and (found.text, found.failure) == (text, "")


@pytest.mark.parametrize(
    ("told", "logprob"),
    [
        ({"content": [{"logprob": -0.5}, {"logprob": -1}]}, -1.5),
        ({"content": [{"logprob": 0.0}]}, 0.0),
        ({"content": [{"logprob": -9999.0}]}, -9999.0),
        ({"content": None, "refusal": [{"logprob": -0.5}]}, None),
        ({"content": [{"logprob": None}]}, None),
        ({"content": [{"logprob": float("-inf")}]}, None),
        ({"content": [{"logprob": 0.5}]}, None),
        ({"content": [{}]}, None),
        ({"content": "no list"}, None),
        ({"token_logprobs": [-0.5, None]}, None),
        ({"token_logprobs": {"a": 1}}, None),
        ({}, None),
        (None, None),
        ([-0.5], None),
    ],
)
def test_log_probabilities_are_summed_or_not_known(told: Any, logprob: float | None) -> None:
    body = json.dumps(chat("Lima"))
    choice = json.loads(body)["choices"][0] | {"logprobs": told}
    found = read_body(json.dumps({"choices": [choice]}))
    assert isinstance(found, Reply) and found.text == "Lima" and found.logprob == logprob
