"""Numbers as text, by what the schema says they are, and columns of tables made of the schema's keys.

What is not known is a dash. In tables a minus is a hyphen, as programs write and read it; `prose_decimal` and
`prose_percent` write numbers as one does in a sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from abstain.evals.metrics.schema import BY_TARGET, About, Kind
from abstain.evals.tables.grid import MISSING, Column


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent.

    Example:
        >>> percent(0.5), percent(None)
        ('50.0%', '–')
    """
    return MISSING if share is None else f"{share:z.{digits}%}"


def decimal(value: float | None, digits: int = 3) -> str:
    """A number that is no share, such as a score; never -0.

    Example:
        >>> decimal(-0.0001), decimal(None)
        ('0.000', '–')
    """
    return MISSING if value is None else f"{value:z.{digits}f}"


def interval(ends: Sequence[float] | None, digits: int = 2) -> str:
    """Both ends of an interval.

    Example:
        >>> interval([-0.001, 0.25]), interval(None)
        ('[0.00, 0.25]', '–')
    """
    return MISSING if ends is None else f"[{', '.join(decimal(end, digits) for end in ends)}]"


def with_interval(value: float | None, ends: Sequence[float] | None, digits: int = 2) -> str:
    """A number and its interval, or a dash unless both are known.

    Example:
        >>> with_interval(0.5, [0.4, 0.6]), with_interval(0.5, None)
        ('0.50 [0.40, 0.60]', '–')
    """
    return MISSING if value is None or ends is None else f"{decimal(value, digits)} {interval(ends, digits)}"


def percent_with_interval(share: float | None, ends: Sequence[float] | None, digits: int = 1) -> str:
    """A share and its interval, in percent; a dash unless both are known.

    Example:
        >>> percent_with_interval(0.5, [0.4, 0.6]), percent_with_interval(0.5, [0.4, 0.6], 0)
        ('50.0% [40.0, 60.0]', '50% [40, 60]')
    """
    if share is None or ends is None:
        return MISSING
    return f"{percent(share, digits)} {interval([100 * end for end in ends], digits)}"


def prose_percent(share: float | None, digits: int = 0) -> str:
    """A share in percent, as one writes it.

    Example:
        >>> prose_percent(0.0279, 1), prose_percent(None)
        ('2.8\\xa0%', '–')
    """
    return percent(share, digits).replace("%", "\u00a0%").replace("-", "−")


def prose_decimal(value: float | None, digits: int = 3) -> str:
    """A number with a minus that is no hyphen.

    Example:
        >>> prose_decimal(-3.9231), prose_decimal(None)
        ('−3.923', '–')
    """
    return decimal(value, digits).replace("-", "−")


_BY_KIND: Mapping[Kind, Callable[[Any], str]] = {
    "rate": percent,
    "share": percent,
    "points": decimal,
    "probability": decimal,
    "number": decimal,
    "interval": interval,
}


def schema_column(key: str, known: Mapping[str, About] = BY_TARGET, *, group: str = "") -> Column:
    """The column of a key of `metrics.json`, which may be missing from a row.

    Args:
        key: its name.
        known: `BY_TARGET`, or `OVERALL` of `abstain.evals.metrics.schema`.
        group: as of `Column`.

    Example:
        >>> column = schema_column("accuracy_attempted")
        >>> column.heading, column.broken, column.cell({"accuracy_attempted": 0.5}), column.cell({})
        ('accuracy when attempted', 'accuracy,\\nattempted', '50.0%', '–')
    """
    about, show = known[key], _BY_KIND[known[key].kind]
    return Column(about.label, about.short, lambda row: show(row.get(key)), group=group)
