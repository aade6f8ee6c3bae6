"""The answers of a run as data for the page: what it was asked, what it said before and after training.

Models write anything. Texts are shortened, characters that cannot be seen are made visible, and the JSON holds no
character with which markup could begin; the page's script shows it as text and nothing else.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from abstain.evals.metrics.by_category import REFERENCE
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

VERDICTS = tuple(Verdict)
LONGEST = {"question": 400, "answer": 200, "completion": 600}
BUDGET = 2_500_000
"""Bytes of JSON in a page. Of more questions than that allows, some are left out, evenly."""
Key = tuple[str, float]
_MARKUP = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_DIRECTIONS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
_VISIBLE |= {0x7F: "␡"} | {code: f"‹U+{code:04X}›" for code in (*range(0x80, 0xA0), *_DIRECTIONS)}
_VISIBLE |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # half a character, which no file can hold


def examples(records: Mapping[str, Sequence[Record]], budget: int = BUDGET) -> dict[str, Any]:
    """The payload: columns of whole numbers that point into one list of distinct strings.

    Args:
        records: by "before" and "after"; either may be missing.
        budget: bytes it may take in the page.

    Returns:
        `strings`; `questions`, rows of [question, gold]; `rows` with `question`, `target` and, for each side,
        `verdict`, `said`, `completion` (-1 if that is all of it) and `confidence` in percent (-1 if none); `targets`,
        `sides`, `verdicts`; `start`, the place of the target to show first; `asked`, how many questions there are if
        not all are shown.
    """
    sides = {label: {(record.id, record.target): record for record in found} for label, found in records.items()}
    keys = list(dict.fromkeys(key for label in reversed(sides) for key in sides[label]))
    ids = list(dict.fromkeys(id for id, _ in keys))
    keep = len(ids)
    while True:
        chosen = {ids[place * len(ids) // keep] for place in range(keep)} if keep else set()
        found = _payload(sides, [key for key in keys if key[0] in chosen], len(ids))
        size = len(as_json(found).encode())
        if size <= budget or keep <= 1:
            return found
        keep = max(1, min(int(keep * 0.95 * budget / size), keep - 1))


def as_json(data: Any) -> str:
    """JSON that can stand in a `<script>` element: nothing in it can end that, or begin another.

    Example:
        >>> print(as_json({"said": "</script><!--"}))
        {"said":"\\u003c/script\\u003e\\u003c!--"}
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_MARKUP)


def shown(text: object, longest: int = LONGEST["completion"]) -> str:
    """A text of reasonable length in which control characters and changes of direction can be seen.

    Example:
        >>> shown("a\\x00b\\u202ec"), shown("x" * 5000, 10)
        ('a␀b‹U+202E›c', 'xxxxxxxxxx… (5,000 characters)')
    """
    whole = text if isinstance(text, str) else str(text)
    cut = whole[:longest].translate(_VISIBLE)
    return cut if len(whole) <= longest else f"{cut}… ({len(whole):,} characters)"


def _payload(sides: Mapping[str, Mapping[Key, Record]], keys: Sequence[Key], asked: int) -> dict[str, Any]:
    strings: dict[str, int] = {}
    questions: dict[str, tuple[int, list[int]]] = {}
    targets = sorted({target for _, target in keys})
    rows: dict[str, Any] = {"question": [], "target": [targets.index(target) for _, target in keys]}
    for id, target in keys:
        record = next(side[id, target] for side in sides.values() if (id, target) in side)
        if id not in questions:
            text, gold = shown(record.question, LONGEST["question"]), shown_gold(record.gold)
            questions[id] = (len(questions), [_index(strings, text), _index(strings, gold)])
        rows["question"].append(questions[id][0])
    rows |= {label: _side([side.get(key) for key in keys], strings) for label, side in sides.items()}
    return {
        "targets": targets,
        "sides": list(sides),
        "verdicts": list(VERDICTS),
        "asked": asked if len(questions) < asked else 0,
        "start": min(range(len(targets)), key=lambda place: _unlike(targets[place]), default=""),
        "questions": [row for _, row in questions.values()],
        "rows": rows,
        "strings": list(strings),
    }


def _unlike(target: float) -> tuple[bool, float]:
    """How unlike a target is to the one that the headline speaks of."""
    return target == 0, abs(target - REFERENCE)


def shown_gold(gold: Iterable[object]) -> str:
    """The gold answer and its aliases in one line."""
    return shown(" · ".join(shown(one, LONGEST["answer"]) for one in list(gold)[:8]), LONGEST["question"])


def _side(records: Sequence[Record | None], strings: dict[str, int]) -> dict[str, list[int]]:
    columns: dict[str, list[int]] = {"verdict": [], "said": [], "completion": [], "confidence": []}
    for record in records:
        if record is None:
            said, completion, verdict, confidence = "", "", -1, None
        else:
            completion = shown(record.completion).strip()
            said = shown(record.answer, LONGEST["answer"]).strip() or completion[: LONGEST["answer"]]
            verdict, confidence = VERDICTS.index(record.verdict), record.confidence
        columns["verdict"].append(verdict)
        columns["said"].append(_index(strings, said))
        columns["completion"].append(-1 if completion == said else _index(strings, completion))
        columns["confidence"].append(-1 if confidence is None else round(100 * confidence))
    return columns


def _index(strings: dict[str, int], text: str) -> int:
    return strings.setdefault(text, len(strings))
