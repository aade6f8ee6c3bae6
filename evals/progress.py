"""How far something is: a bar with count and time left at a terminal, a line now and then in a log, always on stderr.

In a log the second is for each tenth or each minute, whichever comes first:

factworld: 1,200 to do
factworld: 120 of 1,200 (10%), about 4 minutes left
factworld: 1,200 in 4 minutes
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

STEP, LONGEST, SHORTEST = 0.1, 60.0, 2.0  # a line for each tenth or each minute, but no two within two seconds
Advance = Callable[[int], Any]
"""Called with how many more are done."""


class Progress:
    """Shows how far something is, from `with` to its end. Calling it says how many more are done.

    Args:
        label: what it is.
        total: how many there are.
        console: stderr by default. At a terminal there is a bar, which goes away; else there are lines.
        clock: seconds, for tests.
    """

    def __init__(
        self, label: str, total: int, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        self._began = self._last_time = self._clock()
        self._last_done = 0
        if self._console.is_terminal:
            name, time_left = TextColumn("{task.description}", markup=False), TimeRemainingColumn()
            columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), time_left)
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=self.total)
        elif self.total:
            self._line(f"{self.total:,} to do")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        elif self.total:
            after = f"in {describe_seconds(self._clock() - self._began)}"
            self._line(f"{self.done:,} {after}" if kind is None else f"stopped after {self.done:,} of {self.total:,}")

    def __call__(self, more: int) -> None:
        """So many more are done."""
        self.done += more
        if self._bar is not None:
            self._bar.advance(self._task, more)
            return
        now = self._clock()
        since, new = now - self._last_time, self.done - self._last_done
        if self.done < self.total and since >= SHORTEST and (new >= STEP * self.total or since >= LONGEST):
            left = describe_seconds((self.total - self.done) * since / new)  # at the pace since the last line
            self._line(f"{self.done:,} of {self.total:,} ({self.done / self.total:.0%}), about {left} left")
            self._last_time, self._last_done = now, self.done

    def _line(self, text: str) -> None:
        self._console.print(f"{self.label}: {text}", markup=False, soft_wrap=True)


def describe_seconds(seconds: float) -> str:
    """A duration for people.

    Example:
        >>> [describe_seconds(value) for value in (0.4, 75, 5000)]
        ['1 second', '75 seconds', '83 minutes']
    """
    for unit, size, most in (("second", 1, 120), ("minute", 60, 7200), ("hour", 3600, float("inf"))):
        if seconds < most:
            count = max(1, round(seconds / size))
            return f"{count:,} {unit}{'s' * (count > 1)}"
    raise ValueError(f"{seconds} is no duration")


@contextmanager
def followed(progress: str | Advance | None, total: int) -> Iterator[Advance]:
    """Whom to tell how many more are done: who asked to be told, a `Progress` of this label, or nobody.

    Example:
        >>> with followed(print, 2) as advance:
        ...     advance(2)
        2
    """
    if isinstance(progress, str):
        with Progress(progress, total) as shown:
            yield shown
    else:
        yield progress or (lambda more: None)
