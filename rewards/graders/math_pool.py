"""Processes that do algebra for the `math` grader, as many as there are CPUs, each started when all others are busy.

Symbolic algebra on a stranger's text may never end ("9**9**9**9"). So a process stops itself after `limit` seconds of
CPU time, first by an exception and, inside long integer arithmetic where Python raises none, by dying; and it is
killed if it says nothing for much longer. Only its own question is lost with it. A forked child has no processes and
starts its own; all end with the process that started them.
"""

import atexit
import json
import os
import queue
import subprocess
import sys
import threading

START_LIMIT = 120.0  # seconds for a process to import its libraries
PATIENCE = 10.0  # seconds of waiting for a second of CPU time: the machine may be busy


def cpus() -> int:
    """How many processes may run at the same time."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


class _Worker:
    """A process that answers one JSON line with one word."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "abstain.rewards.graders.math_worker"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.owner = os.getpid()
        atexit.register(self.stop)
        self.replies: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.ready = bool(self.replies.get(timeout=START_LIMIT))
        except queue.Empty:
            self.ready = False

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in iter(self.process.stdout.readline, b""):
            self.replies.put(line)
        self.replies.put(b"")

    def ask(self, question: dict[str, object], patience: float) -> str:
        """The reply, or "" if the process died or was silent for `patience` seconds; it is unusable then."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
            return self.replies.get(timeout=patience).decode().strip()
        except (queue.Empty, OSError):
            return ""

    def stop(self) -> None:
        if self.owner == os.getpid():
            atexit.unregister(self.stop)
            self.process.kill()
            self.process.wait()


class _Pool:
    def __init__(self) -> None:
        self.free = threading.BoundedSemaphore(cpus())
        self.idle: queue.LifoQueue[_Worker] = queue.LifoQueue()

    def ask(self, question: dict[str, object], limit: float) -> str:
        with self.free:
            try:
                worker = self.idle.get_nowait()
            except queue.Empty:
                worker = _Worker()
            reply = worker.ask(question | {"limit": limit}, limit * PATIENCE) if worker.ready else ""
            if reply:
                self.idle.put(worker)
            else:
                worker.stop()
            return reply


_pool = _Pool()


def _forget() -> None:
    """A forked child starts with its own pool: the parent's processes and locks are not its own."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def ask(gold: str, stated: str, limit: float) -> str:
    """What a process says of a stated expression, in any thread: "equal", "different", "unreadable" (the gold is),
    "failed" on what SymPy cannot handle, "slow" if it ran out of time or memory, and "" if it died.

    Args:
        gold: an expression.
        stated: another; "" asks only whether the gold can be read.
        limit: seconds of CPU time.
    """
    return _pool.ask({"gold": gold, "stated": stated}, limit)
