"""A model behind an endpoint that a stub stands for: what is asked, what is made of replies, what is kept."""

import asyncio
import os
import signal
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.endpoint import EndpointSampler, load_endpoint
from abstain.evals.evaluation import Evaluation, evaluate
from abstain.evals.metrics.schema import read_metrics
from abstain.evals.records import read_records
from abstain.evals.sampling import Completion
from abstain.evals.tables.table import render
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.judge.grader import JudgeGrader

from .endpoint_stub import NAMES, TASK, bodies, fail, knows_some, name_in, picky, sampler, say

pytest.importorskip("openai")


@pytest.fixture
def stub(chat_server: Any) -> Any:
    chat_server.script = [say("Lima", logprobs=[-0.5, -0.25])]
    return chat_server


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "usual"))


# What is asked


def test_a_greedy_request(stub: Any) -> None:
    assert sampler(stub).sample(["Who?"], max_new_tokens=9) == [[Completion("Lima", -0.75, 4, False)]]
    assert bodies(stub) == [
        {
            "model": "stub",
            "messages": [{"role": "user", "content": "Who?"}],
            "temperature": 0.0,
            "max_tokens": 9,
            "logprobs": True,
            "repetition_penalty": 1,
        }
    ]


def test_a_plain_prompt_is_continued(stub: Any) -> None:
    told = {"token_logprobs": [-0.5, -0.25]}
    stub.script = [
        lambda request: request.send(
            200, {"choices": [{"text": " Lima", "finish_reason": "length", "logprobs": told}]}
        )
    ]
    found = sampler(stub, prompt_format="plain").sample(["Q: Who? A:"], max_new_tokens=9)
    assert found == [[Completion(" Lima", -0.75, 0, True)]]
    [(body, headers)] = stub.requests
    assert headers["path"] == "/v1/completions"
    assert (body["prompt"], body["logprobs"], "messages" in body) == ("Q: Who? A:", 1, False)


def test_samples_have_a_seed_each(stub: Any) -> None:
    stub.script = [lambda request: request.chat(str(request.server.requests[-1][0]["seed"]))]
    found = sampler(stub, concurrency=1).sample(["Who?", "Where?"], n=3, temperature=0.7, seed=5)
    texts = [one.text for row in found for one in row]
    assert len(set(texts)) == 6
    settings = {name: bodies(stub)[0][name] for name in ("temperature", "top_p", "top_k", "min_p")}
    assert settings == {"temperature": 0.7, "top_p": 1, "top_k": 0, "min_p": 0}
    again = sampler(stub, concurrency=4).sample(["Where?", "Who?"], n=3, temperature=0.7, seed=5)
    assert again == found[::-1]
    assert sampler(stub).sample(["Who?"], n=3, temperature=0.7, seed=6)[0] != found[0]


def test_greedy_copies_and_equal_prompts_are_asked_once(stub: Any) -> None:
    advanced: list[int] = []
    model = sampler(stub)
    found = model.sample(["Who?", "Where?", "Who?"], n=2, progress=advanced.append)
    assert [len(row) for row in found] == [2, 2, 2]
    assert len(stub.requests) == 2 and sum(advanced) == 3
    assert (model.usage.asked, model.usage.reused) == (2, 1)
    model.sample(["Who?"], n=3, temperature=1.0, progress=advanced.append)
    assert len(stub.requests) == 5 and sum(advanced) == 4


def test_openai_is_sent_only_what_it_knows(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = load_endpoint("openai:gpt-4.1-mini", cache=False)._request("Who?", 1.0, 9).settings
    assert set(own) == {"temperature", "max_tokens", "logprobs", "seed", "top_p"}
    assert "top_k" in sampler(stub)._request("Who?", 1.0, 9).settings


def test_few_are_under_way_at_once(stub: Any) -> None:
    stub.script = [lambda request: request.chat(request.prompt)]
    prompts = [f"{number}?" for number in range(40)]
    found = sampler(stub, concurrency=3).sample(prompts)
    assert [row[0].text for row in found] == prompts and 1 <= stub.most <= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature -1.0 is negative"),
        ({"prompt_format": "chatt"}, "Did you mean 'chat'"),
        ({"concurency": 3}, "Did you mean 'concurrency'"),
        ({"prices": [1]}, "prices are"),
        ({"request": {"n": 4}}, "'n' is set by abstain"),
        ({"cache": "/dev/null/x"}, "cannot use /dev/null/x as a cache of replies"),
    ],
)
def test_what_cannot_be_asked_is_refused(stub: Any, options: dict[str, Any], message: str) -> None:
    temperature = options.pop("temperature", 0.0)
    with pytest.raises(ValueError, match=message):
        sampler(stub, **options).sample(["Who?"], temperature=temperature)


# What is made of replies


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (say("Lima"), Completion("Lima", None, 4, False)),
        (say("Lim", "length"), Completion("Lim", None, 4, True)),
        (say(None, "length"), Completion("", None, 4, True)),  # it reasoned until there was no room
        (say(None, refusal="I cannot say."), Completion("I cannot say.", None, 4, False)),
        (say(""), Completion("", None, 4, False)),
        (say(None, tool_calls=[]), Completion("", None, 4, False)),
    ],
)
def test_replies(stub: Any, answer: Callable, expected: Completion) -> None:
    stub.script = [answer]
    assert sampler(stub).sample(["Who?"]) == [[expected]]


HTML = "<html>" + "x" * 1_000_000


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (fail(500), "server error"),
        (fail(429, "slow down"), "rate limit"),
        (fail(400, "the prompt is too long"), "bad request"),
        (lambda request: request.send(200, HTML), "garbage"),
        (lambda request: request.send(502, HTML), "server error"),
        (lambda request: request.send(200, '{"choices": [{"message": '), "garbage"),
        (say(None, "content_filter"), "content filter"),
    ],
    ids=["500", "429", "400", "html", "html502", "json", "filter"],
)
def test_a_prompt_without_a_reply_is_ungraded_and_counted(stub: Any, trouble: Callable, kind: str) -> None:
    """Cy's request fails whenever it is sent; it has never "abstained", and nobody is judged wrong for it."""

    def answer(request: Any) -> None:
        (trouble if name_in(request) == "Cy" else knows_some)(request)

    stub.script = [answer]
    model = sampler(stub)
    found = evaluate(model, TASK, [0, 0.75])
    verdicts = {(record.id, record.target): record.verdict.value for record in found.records}
    assert [verdicts["cy", t] for t in (0, 0.75)] == ["UNGRADED"] * 2
    assert [verdicts["ada", t] for t in (0, 0.75)] == ["CORRECT"] * 2
    assert found.metrics["by_target"][1]["abstained"] == 4 / 8
    assert found.metrics["by_target"][1]["ungraded"] == 1 / 8
    assert found.metrics["endpoint"]["unanswered"] == {kind: 2}
    assert {record.confidence for record in found.records if record.id == "cy"} == {None}
    assert f"2 prompts of the table brought no reply (2 {kind}) and are" in " ".join(render([found.metrics]).split())
    assert len(str(model.usage.example)) < 300


def test_nearly_nothing_comes_back(stub: Any, tmp_path: Path) -> None:
    stub.script = [say("Lima")] * 2 + [fail(500)]
    model = sampler(stub, tmp_path / "c", concurrency=1, attempts=1, patience=5)
    with pytest.raises(
        ConnectionError, match=r"stub at http.* cannot be asked: 5 of 7 requests failed: server error"
    ) as e:
        model.sample([f"{number}?" for number in range(50)])
    assert len(stub.requests) == 7
    [note] = e.value.__notes__
    assert note == f"2 replies are kept in {tmp_path / 'c'}: the same command goes on from there."


@pytest.mark.parametrize(
    ("trouble", "options", "hint"),
    [
        (fail(401, "no key"), {}, "--endpoint-option key_env=NAME"),
        (fail(400, "default chat template is no longer allowed"), {}, "--prompt-format plain"),
        (fail(404, "not here"), {"prompt_format": "plain"}, "leave out --prompt-format plain"),
    ],
)
def test_what_helps_is_said(stub: Any, trouble: Callable, options: dict[str, Any], hint: str) -> None:
    stub.script = [trouble]
    with pytest.raises(ConnectionError, match=hint):
        sampler(stub, **options).sample(["Who?", "Where?"])


def test_half_of_the_requests_fail(stub: Any) -> None:
    """Every second one, so that each prompt has its reply in the end."""

    def answer(request: Any) -> None:
        (fail(429, "slow down", Retry_After="0.01") if len(request.server.requests) % 2 else knows_some)(request)

    stub.script = [answer]
    model = sampler(stub, concurrency=1)
    found = evaluate(model, TASK, [0, 0.75])
    assert found.metrics["endpoint"]["unanswered"] == {} and model.usage.retries == model.usage.asked == 8 + 8 + 2


def test_a_judge_is_not_asked_about_what_nobody_said(stub: Any) -> None:
    stub.script = [lambda request: fail(400)(request) if name_in(request) == "Cy" else knows_some(request)]
    judged: list[str] = []

    class Judge:
        model, identity = "judge", {"model": "judge"}

        async def ask(self, prompts: Any, done: Any) -> None:
            from abstain.rewards.endpoint.usage import Reply

            judged.extend(prompts)
            for index in range(len(prompts)):
                done(index, Reply("GRADE: CORRECT"))

    found = evaluate(sampler(stub), TASK, [0], judge=JudgeGrader(Judge()))
    assert not any("Cy" in prompt for prompt in judged) and any("Ada" in prompt for prompt in judged)
    assert found.metrics["judge"]["unjudged"] == 0
    assert [record.verdict.value for record in found.records].count("UNGRADED") == 1


# Confidence that nobody knows


def without_logprobs(stub: Any) -> Evaluation:
    def answer(request: Any) -> None:
        text = "Lima" if NAMES.index(name_in(request)) < 4 else "Oslo"
        request.chat(text if "best guess" in request.prompt or text == "Lima" else "I don't know")

    stub.script = [answer]
    return evaluate(sampler(stub), TASK, [0, 0.75])


def test_without_log_probabilities_there_is_no_confidence(stub: Any) -> None:
    found = without_logprobs(stub)
    assert {record.confidence for record in found.records} == {None}
    for row in found.metrics["by_target"]:
        unknown = ("oracle_score", "oracle_threshold", "fixed_threshold_score", "isotonic_score", "temperature_score")
        assert {row[name] for name in unknown} == {None}
        assert {row[name] for name in row if name.startswith("regret")} == {None}
    guess, stated = found.metrics["by_target"]
    assert (guess["score"], stated["score"]) == (0.5, 0.5)
    assert (guess["always_answer_score"], stated["always_answer_score"]) == (0.5, (4 - 3 * 4) / 8)
    for name in ("mean_regret", "oracle", "auroc", "aurc", "ece", "brier", "smooth_ece", "average_precision"):
        assert found.metrics[name] is None, name
    assert (found.metrics["confidence_n"], found.metrics["confidence_left_out"]) == (0, 8)


def test_the_table_says_once_that_no_confidence_is_known(stub: Any, tmp_path: Path) -> None:
    found = without_logprobs(stub)
    text = " ".join(render([found.metrics]).split())
    assert text.count("log-probabilities") == 1
    assert "regret not known: nobody says how probable stub's best guesses are" in text
    found.save(tmp_path)
    assert read_metrics(tmp_path / "metrics.json")["endpoint"]["asked"] == 18
    assert {record.confidence for record in read_records(tmp_path / "records.jsonl")} == {None}


def test_known_probabilities_are_an_oracle_without_the_models(stub: Any) -> None:
    known = tuple(Question(q.id, q.question, q.gold, q.subject, metadata={"true_p": 0.5}) for q in TASK.held_out)
    stub.script = [say("Lima")]
    row = evaluate(sampler(stub), Task("toy", TASK.train, known), [0]).metrics["by_target"][0]
    assert (row["oracle_score"], row["fixed_threshold_score"]) == (0.5, None)


def test_a_model_that_refuses_what_is_asked(stub: Any, tmp_path: Path) -> None:
    stub.script = [picky]
    for _ in range(2):  # the second time from the cache, which says so too
        model = sampler(stub, tmp_path / "c", concurrency=1)
        found = evaluate(model, TASK, [0])
        assert found.metrics["endpoint"]["left_out"] == ["temperature", "logprobs"]
        assert "it refuses temperature and logprobs" in " ".join(render([found.metrics]).split())
    assert len(stub.requests) == 10 + 3
    assert "max_completion_tokens" in bodies(stub)[-1] and model.usage.asked == 0


# The cache, and going on


def test_nothing_is_paid_for_twice(stub: Any, tmp_path: Path) -> None:
    stub.script = [knows_some]
    first = evaluate(sampler(stub, tmp_path / "c"), TASK, [0, 0.75])
    model = sampler(stub, tmp_path / "c")
    again = evaluate(model, TASK, [0, 0.75])
    assert again.records == first.records and len(stub.requests) == 18
    assert (model.usage.asked, model.usage.reused) == (0, 18)
    more = evaluate(model, TASK, [0, 0.75, 0.9])
    assert len(stub.requests) == 18 + 8 and more.metrics["endpoint"]["asked"] == 8


def test_all_that_decides_a_reply_is_in_its_key(stub: Any, tmp_path: Path) -> None:
    file = tmp_path / "c"
    stub.script = [say("Lima")]
    ways: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {}),
        ({}, {"max_new_tokens": 9}),
        ({}, {"temperature": 1.0}),
        ({}, {"temperature": 1.0, "seed": 1}),
        ({}, {"temperature": 0.5}),
        ({"request": {"reasoning_effort": "low"}}, {}),
        ({"prompt_format": "plain"}, {}),
    ]
    for options, settings in ways:
        for _ in range(2):
            if options.get("prompt_format"):
                stub.script = [lambda request: request.send(200, {"choices": [{"text": "Lima"}]})]
            sampler(stub, file, **options).sample(["Who?"], **settings)
    load_endpoint("openai:other", stub.url, cache=file, prompt_format="plain").sample(["Who?"])
    assert len(stub.requests) == len(ways) + 1
    sampler(stub, file, prompt_format="plain", concurrency=1, timeout=9, attempts=1).sample(["Who?"])
    assert len(stub.requests) == len(ways) + 1


def test_failures_are_asked_again_but_a_filter_is_not(stub: Any, tmp_path: Path) -> None:
    stub.script = [say("Lima"), say(None, "content_filter"), fail(400), say("Oslo")]
    prompts = ["Who?", "Filtered?", "Refused?"]
    model = sampler(stub, tmp_path / "c", concurrency=1)
    assert [row[0].failure for row in model.sample(prompts)] == ["", "content filter", "bad request"]
    found = sampler(stub, tmp_path / "c").sample(prompts)
    assert [(row[0].text, row[0].failure) for row in found] == [("Lima", ""), ("", "content filter"), ("Oslo", "")]
    assert len(stub.requests) == 4


def test_a_broken_row_of_the_cache_is_asked_again(stub: Any, tmp_path: Path) -> None:
    model = sampler(stub, tmp_path / "c")
    model.sample(["Who?"])
    for broken in ("no JSON", "{}", "[]", '{"text": 7}', "null"):
        with sqlite3.connect(tmp_path / "c") as database:
            database.execute("UPDATE replies SET reply = ?", (broken,))
        assert model.sample(["Who?"])[0][0].text == "Lima"
        with sqlite3.connect(tmp_path / "c") as database:
            database.execute("DELETE FROM replies")
        model.sample(["Who?"])


def test_a_notebook_can_ask(stub: Any, tmp_path: Path) -> None:
    """Where an event loop is running, replies come in another thread; they are kept all the same."""

    async def cell(model: EndpointSampler) -> str:
        return model.sample(["Who?"])[0][0].text

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert asyncio.run(cell(sampler(stub, tmp_path / "c"))) == "Lima"
    assert len(stub.requests) == 1


def test_ctrl_c_loses_only_what_was_under_way(stub: Any, tmp_path: Path) -> None:
    def answer(request: Any) -> None:
        if len(request.server.requests) == 12:
            os.kill(os.getpid(), signal.SIGINT)
        request.chat(request.prompt)

    stub.script = [answer]
    prompts = [f"{number}?" for number in range(30)]
    with pytest.raises(KeyboardInterrupt) as caught:
        sampler(stub, tmp_path / "c", concurrency=2).sample(prompts)
    assert "the same command goes on from there" in caught.value.__notes__[0]
    model = sampler(stub, tmp_path / "c", concurrency=2)
    estimate = model.estimate(prompts)
    assert (estimate.cached + estimate.requests, estimate.cached >= 9) == (30, True)
    assert [row[0].text for row in model.sample(prompts)] == prompts
    assert len(stub.requests) <= 30 + 2


def test_what_it_will_take(stub: Any, tmp_path: Path) -> None:
    model = sampler(stub, tmp_path / "c", prices=[1000, 2000])
    model.sample(["Who?"], max_new_tokens=10)
    estimate = model.estimate(["Who?", "Where was it?"], max_new_tokens=10)
    # thirteen characters are four tokens, and eight stand around them
    assert (estimate.requests, estimate.cached, estimate.prompt_tokens, estimate.completion_tokens) == (1, 1, 12, 10)
    assert estimate.cost == pytest.approx((12 * 1000 + 10 * 2000) / 1e6)
    again = model.estimate(["Who?", "Where was it?"] + ["Who?"] * 3, max_new_tokens=10)
    assert (again.requests, again.cached) == (1 + 3, 1)  # the three are samples
    reasoning = sampler(stub, request={"max_completion_tokens": 4000})
    assert reasoning.estimate(["Who?"]).completion_tokens == 4000
