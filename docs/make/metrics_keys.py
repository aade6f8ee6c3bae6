"""Writes the two tables of docs/metrics.md anew, from the schema: python docs/make/metrics_keys.py"""

import re
from pathlib import Path

from abstain.evals.metrics.schema import key_tables

PAGE = Path(__file__).resolve().parents[1] / "metrics.md"


def with_keys(page: str) -> str:
    """The page with fresh tables between its markers, in the order of `key_tables`."""
    tables = key_tables()
    return re.sub(
        r"(<!-- keys: .*? -->\n).*?(?=<!-- end -->)", lambda mark: f"{mark[1]}{next(tables)}\n", page, flags=re.S
    )


if __name__ == "__main__":
    PAGE.write_text(with_keys(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
