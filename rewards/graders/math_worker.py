"""The process behind the `math` grader: reads {"answer", "gold"} lines, writes a verdict line each.

It ends when its input ends, that is when the process that started it does.
"""

import json
import logging
import re
import sys
from collections.abc import Sequence
from typing import Any

from abstain.rewards.verdict import Verdict

MEMORY = 4 * 2**30  # bytes; 9**9**9 alone asks for more
_PROSE = re.compile(r"[A-Za-z]{3,}")
_COMMANDS = re.compile(
    r"\\(?:text|mathrm|mbox|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+|\b(?:a?(?:sin|cos|tan|sec|csc|cot)h?|log|ln|exp|sqrt|inf|mod|min|max|pi)\b"
)


def _is_prose(text: str) -> bool:
    return bool(_PROSE.search(_COMMANDS.sub(" ", text)))


def _parse(text: str) -> list[Any]:
    """The SymPy expressions in a text: as LaTeX if it is nothing else, as a sentence with mathematics in it
    otherwise."""
    from math_verify import parse

    marked = any(mark in text for mark in ("$", r"\boxed", r"\(", r"\["))
    tries = [text] if marked or _is_prose(text) else [f"${text}$", text]
    for attempt in tries:
        found = [e for e in parse(attempt, parsing_timeout=None) if not isinstance(e, str)]
        if found:
            return found
    return []


def judge(answer: str, gold: Sequence[str]) -> Verdict:
    """Whether the answer equals any gold that can be read.

    Example:
        >>> judge("x = 5", ["5"]).value, judge("2(x+1)", ["2x+2"]).value, judge("5", ["Paris"]).value
        ('CORRECT', 'CORRECT', 'UNGRADED')
    """
    from math_verify import verify

    golds = [expressions for text in gold if (expressions := _parse(text))]
    if not golds:
        return Verdict.UNGRADED
    stated = _parse(answer) if answer else []
    right = bool(stated) and any(verify(g, stated, timeout_seconds=None) for g in golds)
    return Verdict.CORRECT if right else Verdict.INCORRECT


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # not on this system, or already lower
        pass


def main() -> None:
    """Says "ready", then answers until its input ends."""
    logging.disable(logging.CRITICAL)
    _limit_memory()
    judge("1", ["1"])
    print("ready", flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            verdict = judge(question["answer"], question["gold"])
        except Exception:  # SymPy raises all kinds on malformed input; the answer is not known to be wrong
            verdict = Verdict.UNGRADED
        print(verdict, flush=True)


if __name__ == "__main__":
    main()
