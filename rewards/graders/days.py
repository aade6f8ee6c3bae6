"""Days, months, years and what is coarser, and where a text mentions one."""

from dataclasses import dataclass
from datetime import date as calendar_date


@dataclass(frozen=True, slots=True)
class Day:
    """A day, a month, a year, or a day without a year: what is not stated is `None`. Years BC are negative.

    Args:
        year: the year, or the first one of a century (1801) or decade (1990).
        month: the month.
        day: the day of the month.
        part: "century", "decade", a season or a quarter, else "".
    """

    year: int | None = None
    month: int | None = None
    day: int | None = None
    part: str = ""

    @property
    def exists(self) -> bool:
        """Whether the calendar has it; a day without a year may be 29 February."""
        year = self.year if self.year and self.year > 0 else 2000
        try:
            calendar_date(min(year, 9999), self.month or 1, self.day or 1)
        except ValueError:
            return False
        return True

    def meets(self, gold: "Day") -> bool:
        """Whether every field of `gold` is stated here, and equal; a year meets its decade and its century.

        Example:
            >>> Day(1994, 5).meets(Day(1994)), Day(1994).meets(Day(1994, 5)), Day(1994).meets(Day(1990, part="decade"))
            (True, False, True)
        """
        if gold.part in ("century", "decade"):
            if self.part == gold.part or self.year is None or gold.year is None:
                return self == gold
            size = 100 if gold.part == "century" else 10
            first = gold.year - size + 1 if gold.year < 0 and size == 100 else gold.year
            last = first + size - 1
            if size == 100:  # nobody means the 18th century by 1800, nor by the 1800s
                last -= 9 if self.part == "decade" else self.month is None
            return first <= self.year <= last and self.part != "century"
        if self.part in ("century", "decade") or gold.part not in ("", self.part):
            return False
        return (
            (gold.year is None or gold.year == self.year)
            and (gold.month is None or gold.month == self.month)
            and (gold.day is None or gold.day == self.day)
        )


@dataclass(slots=True)
class Mention:
    """A date in a text: where it stands, and the days it may mean (two for "02/01/2020").

    Args:
        start: offset in the text.
        end: offset behind it.
        readings: the days; none for what is written like a date and is none.
        bare: a year and nothing else, which may as well be a number.
    """

    start: int
    end: int
    readings: frozenset[Day]
    bare: bool = False
