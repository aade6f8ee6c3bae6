"""Verdicts from a language model, where strings cannot tell (`JudgeGrader`), and how far two graders agree.

judge = JudgeGrader(Endpoint("qwen3-32b", "http://localhost:8000/v1"), cache=ReplyCache(default_cache()))
judge.check()                      # is it there, and does it reply as told?
judge.grade([Case("Capital of Peru?", ("Lima",), parse("It's Lima, the City of Kings."))])
print(judge.usage)

The parser comes first, as everywhere: what abstains, is empty or has no gold is settled without asking anybody, by the
same rules as under the string graders. What the judge calls NOT_ATTEMPTED has abstained too, in words that the parser
did not know. A judge that fails, or whose reply is no grade, leaves UNGRADED.
"""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from abstain.rewards.endpoint.cache import OpenCache, ReplyCache, default_cache, reply_key
from abstain.rewards.endpoint.client import PREFIX, Endpoint, run
from abstain.rewards.endpoint.usage import GIVEN_UP, Reply, Usage, check_prices
from abstain.rewards.errors import nearest
from abstain.rewards.grading import gold_answers, grade_response, settle
from abstain.rewards.judge.prompts import JudgePrompt, read_grade
from abstain.rewards.response import Reading, Response
from abstain.rewards.verdict import Verdict

UNREADABLE, CUT_OFF, EMPTY = "unreadable reply", "cut off", "empty"
"""Replies that are no grade, as kinds to count."""


class Backend(Protocol):
    """What can be asked: `abstain.rewards.endpoint.Endpoint` or `abstain.evals.local_judge.LocalModel`."""

    @property
    def model(self) -> str:
        """A name for tables."""

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides a reply, besides the prompt."""

    async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
        """Ask all prompts, and call `done(index, reply)` for each as its reply comes."""


@dataclass(frozen=True)
class Case:
    """An answer to grade.

    Args:
        question: the question alone, without any instruction.
        gold: the right answers; nothing if there are none; `(UNANSWERABLE,)` if no answer is right.
        response: what `abstain.rewards.parsing.completion.parse` made of the completion.
    """

    question: str
    gold: Sequence[str]
    response: Response


@dataclass
class JudgeGrader:
    """Grades answers by asking a language model. Picklable as long as its backend is.

    Args:
        backend: whom to ask.
        prompt: what to ask.
        cache: where replies are kept; `None` keeps none. Only replies that are grades are kept, so that a failure is
            tried again the next time.
        usage: counts, added to by every call.
    """

    backend: Backend
    prompt: JudgePrompt = field(default_factory=JudgePrompt)
    cache: ReplyCache | None = None
    usage: Usage = field(default_factory=Usage)

    @classmethod
    def at(
        cls,
        model: str,
        url: str | None = None,
        *,
        prompt: str | Path | None = None,
        cache: str | Path | bool = True,
        prices: Sequence[float] | None = None,
        **options: Any,
    ) -> "JudgeGrader":
        """A judge behind an endpoint, from plain values such as a recipe's.

        Args:
            model, url: see `Endpoint`, which also takes the `options`. `openai:NAME` is the same as `NAME`.
            prompt: a file with a `JudgePrompt`; abstain's own by default.
            cache: a file for replies, `True` for the usual one, `False` for none.
            prices: dollars per million prompt tokens, and per million completion tokens.

        Raises:
            OSError, ValueError: the prompt, the cache, a price or an option is not usable.

        Example:
            >>> JudgeGrader.at("qwen", "http://localhost:8000/v1", cache=False).backend.model
            'qwen'
        """
        allowed = Endpoint.options()
        if unknown := [name for name in options if name not in allowed]:
            raise ValueError(
                f"a judge has no option {unknown[0]!r}. "
                f"{nearest(unknown[0], [*allowed, 'url', 'prompt', 'cache', 'prices'])}"
            )
        usage = Usage(prices=None if prices is None else check_prices(prices))
        backend = Endpoint(model.removeprefix(PREFIX), url, **options)
        return cls.of(backend, prompt=prompt, cache=cache, usage=usage)

    @classmethod
    def of(
        cls,
        backend: Backend,
        *,
        prompt: str | Path | None = None,
        cache: str | Path | bool = True,
        usage: Usage | None = None,
    ) -> "JudgeGrader":
        """A judge from its backend; `prompt` and `cache` as in `at`."""
        text = JudgePrompt() if prompt is None else JudgePrompt.read(prompt)
        place = default_cache() if cache is True else Path(cache).expanduser() if cache else None
        return cls(backend, text, ReplyCache(place) if place else None, usage or Usage())

    @property
    def model(self) -> str:
        """The judge's name."""
        return self.backend.model

    def grade(self, cases: Sequence[Case]) -> list[Verdict]:
        """`grade_async` for code that is not asynchronous, inside a running event loop too."""
        return run(self.grade_async(cases))

    async def grade_async(self, cases: Sequence[Case]) -> list[Verdict]:
        """One verdict per case. Equal cases, and those in the cache, are not asked again.

        Raises:
            ImportError, ValueError: the backend cannot be used at all (no package, no key); whatever happens while
                asking is UNGRADED instead, and counted in `usage`.
        """
        verdicts = [settle(case.response, case.gold) for case in cases]
        self.usage.settled += sum(verdict is not None for verdict in verdicts)
        prompts = [None if v is not None else self._render(case) for v, case in zip(verdicts, cases, strict=True)]
        wanted = list(dict.fromkeys(prompt for prompt in prompts if prompt is not None))
        judged = await self._judge(wanted)
        self.usage.reused += sum(prompt is not None for prompt in prompts) - len(wanted)
        rows = zip(verdicts, prompts, cases, strict=True)
        return [
            settled or _final(judged.get(prompt or "", Verdict.UNGRADED), case.response)
            for settled, prompt, case in rows
        ]

    def check(self) -> None:
        """Ask the judge one easy question, past the cache, before anything depends on it.

        Raises:
            ConnectionError: it cannot be asked; the message says why.
            ValueError: it replies, but not with a grade.
        """
        replies: list[Reply] = []
        prompt = self.prompt.render("What is the capital of France?", ["Paris"], "Paris")
        run(self.backend.ask([prompt], lambda _, reply: replies.append(reply)))
        reply = _usable(replies[0])
        self.usage.add(reply)
        if reply.failure:
            raise ConnectionError(f"the judge {self.model} cannot be asked: {reply.failure}: {reply.detail}")
        if self._read(reply.text) is Verdict.UNGRADED:
            raise ValueError(f"the judge {self.model} does not reply with a grade, but with {reply.text[:200]!r}")

    def report(self) -> dict[str, Any]:
        """For `metrics.json`: who judged, and what it took. Holds no key and no address."""
        return {"model": self.model, **self.usage.as_dict()}

    def _render(self, case: Case) -> str:
        return self.prompt.render(case.question, gold_answers(case.gold), case.response.answer)

    def _read(self, reply: str) -> Verdict:
        return read_grade(reply, self.prompt.letters)

    async def _judge(self, prompts: Sequence[str]) -> dict[str, Verdict]:
        """A verdict for each distinct prompt: from the cache, or else from the judge."""
        identity = self.backend.identity
        keys = {prompt: reply_key(identity, prompt) for prompt in prompts}
        with self.cache.open() if self.cache else nullcontext(OpenCache(None)) as shelf:
            kept = shelf.get(list(keys.values()))
            known = {prompt: self._read(kept[key]) for prompt, key in keys.items() if key in kept}
            asked = [prompt for prompt in prompts if known.get(prompt, Verdict.UNGRADED) is Verdict.UNGRADED]
            self.usage.reused += len(prompts) - len(asked)

            def note(index: int, reply: Reply) -> None:
                verdict = self._note(reply)
                known[asked[index]] = verdict
                if verdict is not Verdict.UNGRADED:
                    shelf.put(keys[asked[index]], self.model, reply.text)

            if asked:
                await self.backend.ask(asked, note)
        return known

    def _note(self, reply: Reply) -> Verdict:
        reply = _usable(reply)
        self.usage.add(reply)
        if reply.failure == GIVEN_UP:
            warnings.warn(f"the judge {self.model} is given up for this batch: {reply.detail}", stacklevel=2)
        verdict = self._read(reply.text)
        if verdict is Verdict.UNGRADED and not reply.failure:
            self.usage.fail(UNREADABLE, repr(reply.text[:200]))
        return verdict


def _usable(reply: Reply) -> Reply:
    """The reply, or a failure where no grade can be in it, so that it is not looked for in half a sentence."""
    if reply.truncated:
        detail = "the judge ran out of tokens before its grade; raise request.max_tokens (max_new_tokens)"
        return replace(reply, text="", failure=CUT_OFF, detail=detail)
    if not reply.failure and not reply.text.strip():
        return replace(reply, failure=EMPTY, detail="the judge said nothing")
    return reply


def _final(verdict: Verdict, response: Response) -> Verdict:
    """A reply that was cut off has not abstained, whoever says so."""
    return Verdict.INCORRECT if verdict is Verdict.ABSTAINED and response.truncated else verdict


def agreement(ours: Sequence[Verdict], theirs: Sequence[Verdict]) -> dict[str, Any]:
    """Counts of what two graders made of the same answers, and their agreement beyond chance.

    Cohen's kappa is (p - e) / (1 - e), where p is the share on which they agree and e the share on which they would if
    each drew its own grades at random (Cohen 1960); scikit-learn computes it.

    Args:
        ours, theirs: one verdict per answer from each grader. Pairs where one of them is UNGRADED are left out and
            counted in `left_out`.

    Returns:
        `n` pairs, `agreed` (a share of n), `kappa`, `left_out`, and `pairs`: how often "OURS/THEIRS" occurred.
        `agreed` is `None` without pairs, and `kappa` where both graders only ever gave one and the same grade.

    Raises:
        ValueError: not as many verdicts from one as from the other.

    Example:
        >>> yes, no, idk = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED
        >>> found = agreement([yes, yes, no, idk, Verdict.UNGRADED], [yes, no, no, idk, yes])
        >>> found["n"], found["agreed"], round(found["kappa"], 3), found["left_out"]
        (4, 0.75, 0.636, 1)
        >>> found["pairs"]
        {'ABSTAINED/ABSTAINED': 1, 'CORRECT/CORRECT': 1, 'CORRECT/INCORRECT': 1, 'INCORRECT/INCORRECT': 1}
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} verdicts of one grader and {len(theirs)} of the other: not the same answers")
    pairs = [(a.value, b.value) for a, b in zip(ours, theirs, strict=True) if Verdict.UNGRADED not in (a, b)]
    return {
        "n": len(pairs),
        "agreed": sum(a == b for a, b in pairs) / len(pairs) if pairs else None,
        "kappa": _kappa(pairs),
        "left_out": len(ours) - len(pairs),
        "pairs": {f"{a}/{b}": count for (a, b), count in sorted(Counter(pairs).items())},
    }


LENGTHS = ((5, "≤ 5"), (12, "6–12"), (40, "13–40"), (10**9, "> 40"))
"""The most words of an answer in each group of `by_length`, and what the group is called."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_LETTER = re.compile(r"\s*[(\[]?([A-Z])(?:[)\].:]|\s*\Z)")


def judge_report(
    judge: JudgeGrader, grader: str, cases: Sequence[Case], verdicts: Sequence[Verdict], reading: Reading = "lenient"
) -> dict[str, Any]:
    """`JudgeGrader.report`, with how many answers are `unjudged`, and how far the string `grader` agrees.

    Args:
        judge: who judged.
        grader, cases, verdicts, reading: as for `agreement_with`.
    """
    unjudged = sum(verdict is Verdict.UNGRADED for verdict in verdicts)
    agreed = agreement_with(grader, cases, verdicts, reading)
    return judge.report() | {"unjudged": unjudged, "grader": grader, "agreement": agreed}


def agreement_with(
    grader: str, cases: Sequence[Case], verdicts: Sequence[Verdict], reading: Reading = "lenient"
) -> dict[str, Any]:
    """How far the string grader `grader` agrees with a judge's verdicts; see `agreement`, whose "ours" is the judge.

    Only cases that a judge had to look at are compared: on what the parser settles both agree by construction.

    Judges have faults of their own: they pass long wrong answers, and prefer an option for its place. So the same is
    told apart by how many words the answer has (`by_length`), and for multiple choice by the letter of the gold
    (`by_letter`), where a judge that does not care about the order of options agrees equally often at each.

    Args:
        grader: a key of `abstain.rewards.graders.GRADERS`.
        cases: what was judged.
        verdicts: the judge's.
        reading: how the string grader reads.

    Returns:
        What `agreement` does, and `by_length` and `by_letter`: the same for each group that has answers, with its
        `words` or `letter`. The second is empty unless the grader is `choice`.

    Example:
        >>> from abstain.rewards.response import Response
        >>> cases = [Case("Capital of Peru?", ["Lima"], Response(answer)) for answer in ("Lima", "City of Kings", "")]
        >>> found = agreement_with("match", cases, [Verdict.CORRECT, Verdict.CORRECT, Verdict.INCORRECT])
        >>> found["n"], found["agreed"], found["pairs"]
        (2, 0.5, {'CORRECT/CORRECT': 1, 'CORRECT/INCORRECT': 1})
        >>> [(group["words"], group["n"], group["agreed"]) for group in found["by_length"]]
        [('≤ 5', 2, 0.5)]
    """
    judged = [(v, c) for v, c in zip(verdicts, cases, strict=True) if settle(c.response, c.gold) is None]
    ours = [verdict for verdict, _ in judged]
    theirs = [grade_response(case.response, case.gold, grader, case.question, reading) for _, case in judged]
    lengths = [next(name for most, name in LENGTHS if count_words(c.response.answer) <= most) for _, c in judged]
    letters = [gold_letter(case.gold) if grader == "choice" else "" for _, case in judged]

    def groups(of: str, names: Sequence[str], order: Sequence[str]) -> list[dict[str, Any]]:
        """Agreement for each of the names."""
        rows = {name: [row for row, own in enumerate(names) if own == name] for name in order}
        return [
            {of: name, **agreement([ours[row] for row in own], [theirs[row] for row in own])}
            for name, own in rows.items()
            if own
        ]

    by_length = groups("words", lengths, [name for _, name in LENGTHS])
    return agreement(ours, theirs) | {
        "by_length": by_length,
        "by_letter": groups("letter", letters, sorted(set(letters) - {""})),
    }


def count_words(text: str) -> int:
    """How many words a text has. Where a script has no spaces, two characters are about one word.

    Example:
        >>> count_words("It is Lima, of course."), count_words("首都是利马。")
        (5, 2)
    """
    unspaced = len(_UNSPACED.findall(text))
    return len(re.findall(r"\w+", _UNSPACED.sub(" ", text))) + unspaced // 2 if unspaced else len(text.split())


def gold_letter(gold: Sequence[str]) -> str:
    """The letter of the right option, "" if no gold has one or several have different ones.

    Example:
        >>> gold_letter(["B", "Quito"]), gold_letter(["(C) Lima"]), gold_letter(["Lima"])
        ('B', 'C', '')
    """
    letters = {found[1] for text in gold_answers(gold) if (found := _LETTER.match(text))}
    return letters.pop() if len(letters) == 1 else ""


def describe_agreement(found: dict[str, Any], ours: str, theirs: str) -> str:
    """One line for people.

    Example:
        >>> both = [Verdict.CORRECT, Verdict.INCORRECT]
        >>> print(describe_agreement(agreement(both, both), "the judge", "match"))
        the judge agrees with match on 100.0% of 2 answers (kappa 1.00)
    """
    if not found["n"]:
        return f"{ours} and {theirs} graded no answer in common"
    kappa = "not defined: one grade only" if found["kappa"] is None else f"{found['kappa']:.2f}"
    return f"{ours} agrees with {theirs} on {found['agreed']:.1%} of {found['n']:,} answers (kappa {kappa})"


def _kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    if len({grade for pair in pairs for grade in pair}) < 2:  # 0 / 0
        return None
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    return float(cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs]))
