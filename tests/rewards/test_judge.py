"""`JudgeGrader` and its cache: what is asked at all, what is kept, and what a failure becomes."""

import asyncio
import json
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.rewards import graders
from abstain.rewards.endpoint.cache import OpenCache, ReplyCache, default_cache, reply_key
from abstain.rewards.endpoint.client import Endpoint
from abstain.rewards.endpoint.usage import GIVEN_UP, Reply
from abstain.rewards.grading import UNANSWERABLE, grade_response, settle
from abstain.rewards.judge.grader import UNREADABLE, Case, JudgeGrader, agreement, agreement_with, describe_agreement
from abstain.rewards.judge.prompts import JudgePrompt
from abstain.rewards.parsing.completion import parse
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

SHORT = JudgePrompt("{question}|{gold}|{answer}|CORRECT, INCORRECT or NOT_ATTEMPTED?")


@dataclass
class Scripted:
    """A backend that says what its script holds for an answer, or GRADE: CORRECT."""

    script: dict[str, str | Reply] = field(default_factory=dict)
    model: str = "scripted"
    asked: list[str] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, Any]:
        return {"model": self.model}

    async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
        for index in reversed(range(len(prompts))):  # replies come in any order
            self.asked.append(prompts[index])
            said = self.script.get(prompts[index].split("|")[2], "GRADE: CORRECT")
            await asyncio.sleep(0)
            done(index, said if isinstance(said, Reply) else Reply(said, prompt_tokens=10, completion_tokens=2))


def cases(*completions: str, gold: Sequence[str] = ("Lima",)) -> list[Case]:
    return [Case("Capital of Peru?", gold, parse(completion)) for completion in completions]


def test_verdicts_come_in_order() -> None:
    backend = Scripted({"Quito": "GRADE: INCORRECT", "No idea, sorry, really": "NOT_ATTEMPTED"})
    judge = JudgeGrader(backend, SHORT)
    responses = [Response("Lima"), Response("Quito"), Response("No idea, sorry, really"), Response("Lima city")]
    verdicts = judge.grade([Case("Q", ["Lima"], response) for response in responses])
    assert verdicts == ["CORRECT", "INCORRECT", "ABSTAINED", "CORRECT"]
    assert judge.usage.asked == len(backend.asked) == 4


def test_what_the_parser_settles_is_never_asked() -> None:
    backend = Scripted()
    judge = JudgeGrader(backend, SHORT)
    settled = cases("I don't know.", "", "<think>Lima") + cases("Lima", gold=[]) + cases("Lima", gold=[UNANSWERABLE])
    assert judge.grade(settled) == ["ABSTAINED", "INCORRECT", "INCORRECT", "UNGRADED", "INCORRECT"]
    assert judge.usage.as_dict()["settled"] == 5
    assert backend.asked == []


RESPONSES = st.builds(
    Response,
    st.sampled_from(["", " ", "Lima", "I don't know"]),
    abstained=st.booleans(),
    truncated=st.booleans(),
    malformed=st.sampled_from(["", "empty"]),
)


@given(RESPONSES, st.sampled_from([[], ["Lima"], [UNANSWERABLE], ["", None], "Lima", None]))
def test_a_judge_is_asked_exactly_where_a_string_grader_would_look(response: Response, gold: Any) -> None:
    """`settle` and `grade_response` are one door: this fails when only one of them changes."""
    looked: list[str] = []
    with mock.patch.dict(graders.GRADERS, exact=lambda answer, golds, *_: looked.append(answer) or Verdict.CORRECT):
        verdict = grade_response(response, gold, "exact")
    assert settle(response, gold) == (None if looked else verdict)


def test_a_reply_that_was_cut_off_has_not_abstained() -> None:
    judge = JudgeGrader(Scripted({"I do not": "NOT_ATTEMPTED"}), SHORT)
    assert judge.grade([Case("Q", ["Lima"], Response("I do not", truncated=True))]) == ["INCORRECT"]


FAILED = Reply(failure="timeout", detail="no whole reply within 60 seconds", retries=4)


def test_a_failure_is_ungraded_and_counted() -> None:
    judge = JudgeGrader(Scripted({"Quito": FAILED, "Cusco": "It is not CORRECT"}), SHORT)
    assert judge.grade(cases("Lima", "Quito", "Cusco")) == ["CORRECT", "UNGRADED", "UNGRADED"]
    assert judge.usage.failures == {"timeout": 1, UNREADABLE: 1}
    assert judge.report() == {
        "model": "scripted",
        "settled": 0,
        "asked": 3,
        "reused": 0,
        "retries": 4,
        "prompt_tokens": 20,
        "completion_tokens": 4,
        "failures": {"timeout": 1, UNREADABLE: 1},
        "cost": None,
    }
    assert "2 failed (1 unreadable reply, 1 timeout)" in str(judge.usage)
    assert "Cusco" not in json.dumps(judge.report())


def test_half_a_reply_and_none_are_no_grades() -> None:
    script = {"Quito": Reply("GRADE: CORRECT", truncated=True), "Cusco": Reply(" \n")}
    judge = JudgeGrader(Scripted(script), SHORT)
    assert judge.grade(cases("Quito", "Cusco")) == ["UNGRADED", "UNGRADED"]
    assert judge.usage.failures == {"cut off": 1, "empty": 1}


def test_a_judge_that_is_given_up_is_warned_of() -> None:
    given_up = Reply(failure=GIVEN_UP, detail="not asked after connection: refused")
    judge = JudgeGrader(Scripted({"Lima": given_up}), SHORT)
    with pytest.warns(UserWarning, match="given up for this batch: not asked after connection"):
        assert judge.grade(cases("Lima")) == ["UNGRADED"]
    assert judge.usage.asked == 0


def test_the_same_answer_is_asked_once() -> None:
    backend = Scripted()
    judge = JudgeGrader(backend, SHORT)
    assert judge.grade(cases("Lima", "Lima", "I don't know", "Lima")) == ["CORRECT", "CORRECT", "ABSTAINED", "CORRECT"]
    assert (len(backend.asked), judge.usage.reused) == (1, 2)


def test_replies_are_kept_but_failures_are_asked_again(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "deep" / "judge.sqlite3")
    backend = Scripted({"Quito": "GRADE: INCORRECT", "Cusco": "hm", "Ica": FAILED})
    first = JudgeGrader(backend, SHORT, cache).grade(cases("Lima", "Quito", "Cusco", "Ica"))
    assert first == ["CORRECT", "INCORRECT", "UNGRADED", "UNGRADED"]
    again = Scripted({"Cusco": "GRADE: INCORRECT", "Ica": "GRADE: INCORRECT"})
    judge = JudgeGrader(again, SHORT, cache)
    assert judge.grade(cases("Lima", "Quito", "Cusco", "Ica")) == ["CORRECT", "INCORRECT", "INCORRECT", "INCORRECT"]
    assert sorted(prompt.split("|")[2] for prompt in again.asked) == ["Cusco", "Ica"]
    assert (judge.usage.asked, judge.usage.reused) == (2, 2)


def test_another_model_prompt_or_setting_is_another_reply(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "judge.sqlite3")
    other = JudgePrompt(SHORT.text + " Think.")
    for backend, prompt in ((Scripted(), SHORT), (Scripted(model="other"), SHORT), (Scripted(), other)):
        JudgeGrader(backend, prompt, cache).grade(cases("Lima"))
        assert len(backend.asked) == 1
    a = "http://a/v1"
    at = [Endpoint("m", a), Endpoint("m", "http://b/v1"), Endpoint("m", a, request={"seed": 1})]
    assert len({reply_key(backend.identity, "p") for backend in at}) == 3
    assert at[0].identity == Endpoint("m", "http://a/v1/", concurrency=1, timeout=5, attempts=1).identity


def test_an_interrupted_batch_keeps_what_came(tmp_path: Path) -> None:
    class Dying(Scripted):
        async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
            done(0, Reply("GRADE: CORRECT"))
            raise KeyboardInterrupt

    cache = ReplyCache(tmp_path / "judge.sqlite3")
    with pytest.raises(KeyboardInterrupt):
        JudgeGrader(Dying(), SHORT, cache).grade(cases("Lima", "Quito"))
    backend = Scripted()
    JudgeGrader(backend, SHORT, cache).grade(cases("Lima", "Quito"))
    assert [prompt.split("|")[2] for prompt in backend.asked] == ["Quito"]


OPENERS = """
import multiprocessing, sys, time
from pathlib import Path
from abstain.rewards.endpoint.cache import ReplyCache

def make(file, at):
    while time.time() < at:
        pass
    ReplyCache(file)
    return file

with multiprocessing.get_context("fork").Pool(4) as pool:
    made = []
    for round in range(50):  # without waiting, one in twenty met a locked file
        file = Path(sys.argv[1]) / str(round) / "judge.sqlite3"
        made += pool.starmap(make, [(file, time.time() + 0.003)] * 4, chunksize=1)
print("opened", len(made))
"""

WRITER = """
import sys
from pathlib import Path
from abstain.rewards.endpoint.cache import ReplyCache
cache = ReplyCache(Path(sys.argv[1]))
for round in range(20):
    with cache.open() as replies:
        for i in range(10):
            replies.put(f"{sys.argv[2]}-{round}-{i}", "m", "GRADE: CORRECT")
            replies.put(f"shared-{round}-{i}", "m", f"by {sys.argv[2]}")
"""


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    file = tmp_path / "judge.sqlite3"
    writers = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, str(file), name], stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 2
    with ReplyCache(file).open() as replies:
        keys = [f"{name}-{round}-{i}" for name in ("one", "two", "shared") for round in range(20) for i in range(10)]
        found = replies.get(keys)
    assert len(found) == 600
    assert {found[key] for key in keys[400:]} <= {"by one", "by two"}


def test_many_open_a_new_cache_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", OPENERS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("opened 200\n", "", 0)


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("These are my notes. " * 100, encoding="utf-8")
    with pytest.raises(ValueError, match=r"cannot use .*notes\.txt as a cache of replies"):
        ReplyCache(text)
    assert text.read_text(encoding="utf-8").startswith("These are my notes.")
    with pytest.raises(ValueError, match="as a cache of replies"):
        ReplyCache(tmp_path)
    with sqlite3.connect(tmp_path / "other.sqlite3") as other:
        other.execute("CREATE TABLE replies (name TEXT)")
    with pytest.raises(ValueError, match="no such column"):
        ReplyCache(tmp_path / "other.sqlite3")


def test_a_cache_that_breaks_costs_no_verdict(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "judge.sqlite3")
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    (tmp_path / "judge.sqlite3").write_bytes(b"broken" * 1000)
    with pytest.warns(UserWarning, match="cache of replies fails, going on without it"):
        assert JudgeGrader(Scripted(), SHORT, cache).grade(cases("Lima")) == ["CORRECT"]
    replies = OpenCache(sqlite3.connect(tmp_path / "lost.sqlite3"))
    with pytest.warns(UserWarning, match="no such table"):
        replies.put("k", "m", "r")
    assert replies.get(["k"]) == {}


def test_a_notebook_can_grade(tmp_path: Path) -> None:
    async def cell() -> list[Verdict]:
        return JudgeGrader(Scripted(), SHORT, ReplyCache(tmp_path / "c")).grade(cases("Lima"))

    assert asyncio.run(cell()) == ["CORRECT"]


def test_check_says_what_is_wrong_before_anything_depends_on_it() -> None:
    JudgeGrader(Scripted(), SHORT).check()
    down = Scripted({"Paris": Reply(failure="connection", detail="refused")})
    with pytest.raises(ConnectionError, match="judge scripted cannot be asked: connection: refused"):
        JudgeGrader(down, SHORT).check()
    with pytest.raises(ValueError, match="does not reply with a grade, but with 'Sure! I can help'"):
        JudgeGrader(Scripted({"Paris": "Sure! I can help"}), SHORT).check()


def test_plain_values_make_a_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    judge = JudgeGrader.at("m", "http://localhost/v1", prices=[0.4, 1.6], concurrency=3)
    assert judge.cache == ReplyCache(tmp_path / "abstain" / "judge.sqlite3") == ReplyCache(default_cache())
    assert (judge.usage.prices, judge.usage.cost) == ((0.4, 1.6), 0.0)
    assert pickle.loads(pickle.dumps(judge)) == judge
    assert JudgeGrader.at("openai:m", "http://localhost/v1", cache=False).model == "m"
    with pytest.raises(ValueError, match="no option 'refused'"):
        JudgeGrader.at("m", refused=["temperature"])
    with pytest.raises(ValueError, match=r"no option 'concurency'\. Did you mean 'concurrency'"):
        JudgeGrader.at("m", concurency=3)
    for prices in ([1], [1, -1], [1, float("nan")], ["1", "2"], 3, "12"):
        with pytest.raises(ValueError, match="prices are"):
            JudgeGrader.at("m", cache=False, prices=prices)  # type: ignore[arg-type]


C, W, A, U = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.UNGRADED


def test_agreement_by_hand() -> None:
    """Ours 2 2 1, theirs 3 1 1: p = 2/5, e = (6 + 2 + 1)/25, kappa = (10 - 9)/(25 - 9)."""
    found = agreement([C, C, W, W, A, U, C], [C, W, C, C, A, C, U])
    assert (found["n"], found["agreed"], found["left_out"]) == (5, pytest.approx(2 / 5), 2)
    assert found["kappa"] == pytest.approx(1 / 16)
    assert found["pairs"] == {
        "ABSTAINED/ABSTAINED": 1,
        "CORRECT/CORRECT": 1,
        "CORRECT/INCORRECT": 1,
        "INCORRECT/CORRECT": 2,
    }


def test_agreement_where_kappa_is_not_defined() -> None:
    assert agreement([C, C], [C, C])["kappa"] is None
    assert "kappa not defined" in describe_agreement(agreement([C, C], [C, C]), "j", "match")
    nothing = agreement([U], [C])
    assert (nothing["n"], nothing["agreed"], nothing["kappa"], nothing["left_out"]) == (0, None, None, 1)
    assert describe_agreement(nothing, "j", "match") == "j and match graded no answer in common"
    assert agreement([C, W], [W, C])["kappa"] == pytest.approx(-1)
    with pytest.raises(ValueError, match="2 verdicts of one grader and 1 of the other"):
        agreement([C, W], [C])


def test_agreement_with_strings_leaves_out_what_the_parser_settled() -> None:
    """Abstentions, on which both must agree, would make any judge look good."""
    seen = cases("Lima", "Quito", "I don't know", "", "The City of Kings")
    found = agreement_with("match", seen, [C, W, A, W, C])
    assert (found["n"], found["agreed"], found["left_out"]) == (3, pytest.approx(2 / 3), 0)
    assert found["pairs"] == {"CORRECT/CORRECT": 1, "CORRECT/INCORRECT": 1, "INCORRECT/INCORRECT": 1}
