"""The `math` grader: equivalence of expressions, by math-verify.

Symbolic algebra on a stranger's text may never end ("9**9**9**9"), and math-verify's own timeouts use signals, which
work in the main thread only and not inside long integer arithmetic. So the algebra runs in a worker process
(`math_worker`) that is started once, is asked line by line, and is killed when an answer takes longer than
`TIME_LIMIT`; obvious towers of powers are not even asked about.
"""

import atexit
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Sequence

from abstain.rewards.graders.statement import denied, last_choice
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

TIME_LIMIT = 5.0  # seconds for one answer
START_LIMIT = 120.0  # seconds for the worker to import its libraries
LONGEST = 2_000  # characters; of a longer answer the end is read, where conclusions stand
_TOO_BIG = re.compile(
    r"\d{400}|(?:[({\[]\s?){12}|(?:\^|\*\*)\s*[({]*\s*-?\d{5}|(?:\^|\*\*)[\s({]*-?\w{1,20}[\s)}]*(?:\^|\*\*)|\d{5}[\s)}]*!|!\s*[)}]*\s*!"
)
_EITHER = re.compile(r"\bor\b|または|或", re.IGNORECASE)
_LIST = re.compile(r"\bor\b|\band\b|,|;|\\pm|\\\{|\{|\[|または|或", re.IGNORECASE)


class _Worker:
    """A process that answers one JSON line with one word. Not shared across a fork."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "abstain.rewards.graders.math_worker"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.owner = os.getpid()
        atexit.register(self.stop)
        self.replies: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.replies.get(timeout=START_LIMIT)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in iter(self.process.stdout.readline, b""):
            self.replies.put(line)
        self.replies.put(b"")

    def ask(self, question: dict[str, object], limit: float) -> str:
        """The worker's reply, or "" if it died or was silent for `limit` seconds; it is unusable then."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
            return self.replies.get(timeout=limit).decode().strip()
        except (queue.Empty, OSError):
            return ""

    def stop(self) -> None:
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


_lock = threading.Lock()
_worker: _Worker | None = None


def _forget() -> None:
    """A forked child starts with its own lock: another thread of the parent may have held this one."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _ask(answer: str, gold: Sequence[str], limit: float) -> Verdict:
    """The worker's verdict; UNGRADED if it ran out of time or died, as any grader's failure is."""
    global _worker
    with _lock:
        if _worker is None or _worker.owner != os.getpid() or _worker.process.poll() is not None:
            _worker = _Worker()
        reply = _worker.ask({"answer": answer, "gold": list(gold)}, limit)
        if not reply:
            _worker.stop()
            _worker = None
    return Verdict(reply) if reply else Verdict.UNGRADED


def _denies(text: str) -> bool:
    """Whether a sentence ends in something it denies: "x is not 3"."""
    text = text.rstrip(" .!")
    return denied(text, text.rfind(" ") + 1, len(text))


def grade_math(
    answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
) -> Verdict:
    """Grade a mathematical expression in LaTeX or plain text. A gold that cannot be read as mathematics is UNGRADED.

    Several expressions joined by "or" are INCORRECT unless the gold is a list itself.

    Example:
        >>> [grade_math(a, [r"\\\\frac{1}{2}"]).value for a in ("0.5", "The answer is $1/2$", "1/3", "9**9**9**9")]
        ['CORRECT', 'CORRECT', 'INCORRECT', 'INCORRECT']
    """
    golds = [g for g in gold if g.strip() and not _TOO_BIG.search(g[:LONGEST])]
    if not golds:
        return Verdict.UNGRADED
    stated = last_choice(answer[-LONGEST:], lambda rest: any(c.isalnum() for c in rest)).strip()
    undecided = _EITHER.search(stated) and not any(map(_LIST.search, golds))
    if not stated or undecided or _denies(stated) or _TOO_BIG.search(stated):
        return _ask("", golds, TIME_LIMIT)
    return _ask(stated, golds, TIME_LIMIT)
