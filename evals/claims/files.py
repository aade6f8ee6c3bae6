"""Long answers that others have taken apart and labelled: FActScore, RefChecker, and plain rows of claims.

FActScore (Min et al. 2023), a line each; labels S (supported), NS (not), IR (irrelevant, left out)::

    {"topic": "…", "output": "…", "annotations": [{"text": "…", "human-atomic-facts": [{"text": "…", "label": "S"}]}]}

its predictions::

    {"topic": "…", "output": "…", "facts": ["…"], "LLAMA+NP_Labels": ["S"]}

RefChecker (`benchmark/human_annotations_v1`), a list of::

    {"id": "…", "response": "…", "claude2_response_kg": [{"triplet": ["…", "…", "…"], "human_label": "Neutral"}]}

Plain rows; `confidence` and `references` may be missing, and so may labels where somebody checks::

    {"id": "…", "question": "…", "response": "…", "claims": [{"claim": "…", "label": "Entailment", "confidence": 0.8}]}

A stranger's file is read as far as it goes: what is wrong is counted, and the rest is measured.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from abstain.evals.files import json_lines, read_document
from abstain.rewards.claims.claim import Claim, Support
from abstain.rewards.parsing.completion import parse

SNIFFED = 64 * 1024
_LOOKS = re.compile(rb'"human-atomic-facts"|_response_kg"\s*:|_Labels"\s*:\s*[\[n]|"claims"\s*:\s*\[\s*[\[{"]')
_ENTAILED = ("entailment", "entailed", "supported", "support", "supports", "s", "true", "correct", "yes", "1")
_NEUTRAL = ("neutral", "ns", "not supported", "not-supported", "unsupported", "unverifiable", "not enough info", "nei")
_CONTRADICTED = ("contradiction", "contradicted", "contradicts", "refuted", "refutes", "false", "incorrect", "no", "0")
LABELS: dict[str, Support] = {
    **dict.fromkeys(_ENTAILED, Support.ENTAILMENT),
    **dict.fromkeys(_NEUTRAL, Support.NEUTRAL),
    **dict.fromkeys(_CONTRADICTED, Support.CONTRADICTION),
}
"""Labels as files spell them, in lower case. "Not supported" says that nothing supports a claim, and not that
something contradicts it."""
IRRELEVANT = frozenset({"ir", "irrelevant"})
_TEXTS, _CONFIDENCES = ("claim", "text", "atom", "fact", "sentence"), ("confidence", "probability", "p")
_ANSWERS, _QUESTIONS = ("response", "output", "answer", "completion"), ("question", "input", "prompt", "topic")


@dataclass(frozen=True)
class LabelledClaim:
    """One claim of an answer.

    Args:
        claim: what is said.
        support: its label; UNCHECKED if it has none, or one that nobody can read.
        confidence: in [0, 1], `None` if nobody says.
    """

    claim: Claim
    support: Support
    confidence: float | None = None


@dataclass(frozen=True)
class LabelledAnswer:
    """One long answer.

    Args:
        id: of its row, or its place in the file.
        question, answer: as far as the file has them.
        claims: each distinct claim once; none is silence; `None` if the answer says something that nobody took apart.
        references: texts that claims can be held against.
    """

    id: str
    question: str
    answer: str
    claims: tuple[LabelledClaim, ...] | None
    references: tuple[str, ...] = ()


@dataclass
class Labelled:
    """A file.

    Args:
        name: the model's, for tables.
        answers: in order.
        repeated, irrelevant: claims that were left out, for they stood there before, or are labelled so.
        problems: kinds of what was wrong, with counts.
    """

    name: str
    answers: list[LabelledAnswer] = field(default_factory=list)
    repeated: int = 0
    irrelevant: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def looks_labelled(path: Path) -> bool:
    """Whether a file seems to hold claims, by its first kilobytes."""
    if path.suffix.lower() not in (".json", ".jsonl"):
        return False
    try:
        with path.open("rb") as file:
            return bool(_LOOKS.search(file.read(SNIFFED)))
    except OSError:
        return False


def read_labelled(path: str | Path, name: str | None = None) -> Labelled:
    """Read a file of long answers.

    Args:
        path: JSON lines, or JSON with a list of rows.
        name: the model's; the file's by default.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no row of it is a long answer.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of labelled claims")
    found = Labelled(name or path.stem)

    def report(_: Path, kind: str, message: str) -> None:
        found.problems[kind] += 1

    for place, row in enumerate(_rows(path, report), 1):
        if not isinstance(row, Mapping):
            found.problems["row that is no object"] += 1
            continue
        given = _claims_in(row)
        if given is _UNKNOWN:
            found.problems["row without claims or an answer"] += 1
            continue
        found.answers.append(_answer(str(row.get("id", row.get("topic", place))), row, given, found))
    if not found.answers:
        wrong = ", ".join(f"{count:,} × {kind}" for kind, count in found.problems.items()) or "it is empty"
        raise ValueError(
            f"{path}: no long answers ({wrong}). Expected FActScore's lines with `annotations`, RefChecker's rows "
            "with `…_response_kg`, or rows with `claims`: [{claim, label}]"
        )
    return found


def _rows(path: Path, report: Any) -> Iterator[Any]:
    if path.suffix.lower() == ".jsonl":
        for _, rows in json_lines(path, report):
            yield from rows
        return
    document = read_document(path, report)
    if isinstance(document, Mapping):
        document = next((value for value in document.values() if isinstance(value, list)), [document])
    yield from document if isinstance(document, list) else [document]


_UNKNOWN = object()


def _claims_in(row: Mapping[str, Any]) -> Any:
    """A list of claims as the file has them, `None` if it says that there are none, `_UNKNOWN` if it says nothing."""
    if "annotations" in row:  # FActScore; a sentence that is irrelevant has no facts
        sentences = row["annotations"]
        if not isinstance(sentences, list):
            return None
        return [
            fact
            for sentence in sentences
            if isinstance(sentence, Mapping)
            for fact in sentence.get("human-atomic-facts") or ()
        ]
    if isinstance(row.get("facts"), list):
        columns = [value for key, value in row.items() if key.endswith("_Labels") and isinstance(value, list)]
        labels = next((one for one in columns if len(one) == len(row["facts"])), [None] * len(row["facts"]))
        return [{"text": fact, "label": label} for fact, label in zip(row["facts"], labels, strict=True)]
    graphs = [value for key, value in row.items() if key.endswith("_response_kg")]
    if graphs:
        return next((one for one in graphs if isinstance(one, list) and any(map(_has_label, one))), graphs[0])
    if "claims" in row:
        return row["claims"]
    return None if any(isinstance(row.get(key), str) for key in _ANSWERS) else _UNKNOWN


def _has_label(claim: Any) -> bool:
    return isinstance(claim, Mapping) and any(key == "label" or key.endswith("_label") for key in claim)


def _answer(name: str, row: Mapping[str, Any], given: Any, found: Labelled) -> LabelledAnswer:
    question, answer = _first(row, _QUESTIONS), _first(row, _ANSWERS)
    reference = row.get("references", row.get("reference", ()))
    texts = (reference,) if isinstance(reference, str) else reference if isinstance(reference, list) else ()
    references = tuple(text for text in texts if isinstance(text, str) and text.strip())
    if not isinstance(given, list):
        silent = not answer.strip() or parse(answer).abstained
        return LabelledAnswer(name, question, answer, () if silent else None, references)
    claims: dict[tuple[str, str, str], LabelledClaim] = {}
    for one in given:
        claim = _claim(one, found)
        if claim is None:
            continue
        before = claims.get(claim.claim.key)
        found.repeated += before is not None
        if before is None or _BADNESS[claim.support] > _BADNESS[before.support]:
            claims[claim.claim.key] = claim
    return LabelledAnswer(name, question, answer, tuple(claims.values()), references)


_BADNESS = {Support.UNCHECKED: 0, Support.ENTAILMENT: 1, Support.NEUTRAL: 2, Support.CONTRADICTION: 3}
"""Which label of two stays, where a claim stands there twice."""


def _claim(given: Any, found: Labelled) -> LabelledClaim | None:
    """One claim; `None`, and counted, if it is none or irrelevant."""
    row: Mapping[str, Any] = {"triplet": given} if isinstance(given, list) else {"claim": given}
    if isinstance(given, Mapping):
        row = given
    triplet = row.get("triplet")
    if isinstance(triplet, Sequence) and not isinstance(triplet, str) and len(triplet) == 3:
        claim = Claim(*(str(part).strip() for part in triplet))
    else:
        claim = Claim("", "", _first(row, _TEXTS).strip())
    if not claim.key[2] and not claim.key[1]:
        found.problems["claim without words"] += 1
        return None
    label = next((value for key, value in row.items() if key == "label" or key.endswith("_label")), None)
    spelled = str(label).strip().lower() if isinstance(label, str | bool | int) else ""
    if spelled in IRRELEVANT:
        found.irrelevant += 1
        return None
    if spelled and spelled not in LABELS:
        found.problems[f"unknown label {str(label)[:40]!r}"] += 1
    q = next((row[key] for key in _CONFIDENCES if isinstance(row.get(key), int | float)), None)
    sure = float(q) if q is not None and 0 <= q <= 1 else None
    if q is not None and sure is None:
        found.problems["confidence outside [0, 1]"] += 1
    return LabelledClaim(claim, LABELS.get(spelled, Support.UNCHECKED), sure)


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((row[name] for name in names if isinstance(row.get(name), str)), "")
