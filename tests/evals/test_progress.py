"""How far something is: lines by a clock that the test turns, and nothing else in a log."""

import io

import pytest
from rich.console import Console

from abstain.evals.progress import Progress


class Told:
    """What a log has at the end, and a clock."""

    def __init__(self, terminal: bool = False) -> None:
        self.file = io.StringIO()
        self.now = 0.0
        self.console = Console(file=self.file, force_terminal=terminal, width=100, highlight=False)

    def progress(self, total: int) -> Progress:
        return Progress("asking", total, self.console, lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


def test_a_line_for_each_tenth() -> None:
    told = Told()
    with told.progress(1000) as progress:
        for _ in range(20):
            told.now += 5
            progress(50)
    assert told.lines[0] == "asking: 1,000 to do"
    assert told.lines[1] == "asking: 100 of 1,000 (10%), about 90 seconds left"
    assert told.lines[9] == "asking: 900 of 1,000 (90%), about 10 seconds left"
    assert told.lines[10:] == ["asking: 1,000 in 100 seconds"]


def test_a_line_for_each_minute_where_a_tenth_takes_longer() -> None:
    told = Told()
    with told.progress(10_000) as progress:
        for _ in range(26):
            told.now += 10
            progress(1)
    assert told.lines[1:-1] == [f"asking: {done} of 10,000 (0%), about 28 hours left" for done in (6, 12, 18, 24)]


def test_what_is_quick_says_little() -> None:
    told = Told()
    with told.progress(50) as progress:
        for _ in range(50):
            told.now += 0.01
            progress(1)
    assert told.lines == ["asking: 50 to do", "asking: 50 in 1 second"]


def test_the_time_left_goes_by_the_pace_of_late() -> None:
    """Half of it was in a cache."""
    told = Told()
    with told.progress(100) as progress:
        progress(50)
        told.now = 10
        progress(10)
        told.now = 20
        progress(10)
    assert told.lines[1:3] == [
        "asking: 60 of 100 (60%), about 7 seconds left",
        "asking: 70 of 100 (70%), about 30 seconds left",
    ]


def test_what_was_interrupted_says_where() -> None:
    told = Told()
    with pytest.raises(KeyboardInterrupt), told.progress(10) as progress:
        progress(3)
        raise KeyboardInterrupt
    assert told.lines[-1] == "asking: stopped after 3 of 10"


def test_nothing_to_do_says_nothing() -> None:
    told = Told()
    with told.progress(0):
        pass
    assert told.lines == []


def test_a_bar_counts_at_a_terminal() -> None:
    told = Told(terminal=True)
    with told.progress(8) as progress:
        progress(5)
    text = told.file.getvalue()
    assert "asking" in text and "5/8" in text and "to do" not in text
