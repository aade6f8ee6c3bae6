"""Inspect: `.eval` archives and `.json` logs, as `inspect eval` writes them.

    {"id": "q1", "epoch": 1, "input": "What is ...?", "target": "Lima", "output": {"choices": [{"message": ...}]},
     "scores": {"match": {"value": "C", "answer": "Lima"}}}

A score's value is C, I, P or N, a number (NaN where it could not be scored), a truth value, or an object such as
{"correct": 0, "incorrect": 0, "not_attempted": 1}. Samples that ended in an error have no score: they are UNGRADED.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from abstain.evals.files import parse_json
from abstain.evals.logs.batch import (
    TARGET_KEYS,
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    batches,
    last_text,
    stated_target,
    text_of,
)
from abstain.evals.logs.grades import ABSTAINED, CORRECT, INCORRECT, LETTERS, NONE, PARTIAL, UNGRADED, ZERO, read_grade
from abstain.evals.tasks.question import with_choices
from abstain.rewards.errors import nearest

NAME = "Inspect log"
MEMBER_LIMIT = 256 << 20
RATIO_LIMIT = 400
RATIO_FREE = 16 << 20
_LETTERS = {LETTERS["C"]: CORRECT, LETTERS["I"]: ZERO, LETTERS["P"]: PARTIAL, LETTERS["N"]: ABSTAINED}
_OUTCOMES = (
    (("not_attempted", "abstained", "abstain", "idk"), ABSTAINED),
    (("correct", "is_correct", "right"), CORRECT),
    (("incorrect", "is_incorrect", "wrong"), INCORRECT),
)
_LOCAL = struct.Struct("<4s5H3I2H")
_DEFLATE, _ZSTD, _STORED = 8, 93, 0
_STREAMED, _ENCRYPTED = 0x08, 0x01
_CHUNK = 1 << 20
_UNKNOWN = 1 << 62  # only unpacking would tell


def is_document(value: Any) -> bool:
    """Whether a JSON document is of this format."""
    return isinstance(value, dict) and isinstance(value.get("eval"), dict) and "status" in value


def read_archive(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The samples of a `.eval` file.

    Raises:
        ValueError: it is a zip archive of something else.
    """
    found, whole = members(path)
    names = {member.name: member for member in found}
    if not any(name.startswith("samples/") or name in ("header.json", "_journal/start.json") for name in names):
        raise ValueError(f"{path}: a zip archive, but no Inspect log: it has no header.json and no samples/")
    if not whole:
        last = found[-1].name if found else "nothing"
        problems.add(path, "cut off", f"{path}: the archive breaks off after {last}; the samples before it are kept")
    header: dict[str, Any] = {}
    for name in ("header.json", "_journal/start.json"):
        if name in names and not header:
            header = as_dict(_unpacked(path, names[name], problems))
    samples = (
        sample
        for member in found
        if member.name.startswith("samples/") and (sample := _unpacked(path, member, problems)) is not None
    )
    summaries = _unpacked(path, names["summaries.json"], problems) if "summaries.json" in names else []
    scorer = _scorer(path, summaries if isinstance(summaries, list) else [], options, problems)
    entries = _entries(path, header, samples, scorer, options, problems)
    return batches(path, "sample", entries, repeated=_repeated(header))


def _unpacked(path: Path, member: "Member", problems: Problems) -> Any:
    try:
        data = unpack(path, member)
    except ValueError as error:
        problems.add(path, "bad member", f"{path}: {member.name}: {error}")
        return None
    value, why = parse_json(data)
    if why:
        problems.add(path, "bad member", f"{path}: {member.name}: {why}")
    return value


def read(path: Path, document: dict[str, Any], options: Options, problems: Problems) -> Iterator[Batch]:
    """The samples of a `.json` log.

    Raises:
        ValueError: it holds no samples.
    """
    samples = document.get("samples")
    if not isinstance(samples, list) or not samples:
        raise ValueError(f"{path}: an Inspect log without samples; run `inspect eval` with --log-samples")
    scorer = _scorer(path, samples, options, problems)
    entries = _entries(path, document, iter(samples), scorer, options, problems)
    return batches(path, "sample", entries, repeated=_repeated(document))


def _repeated(header: dict[str, Any]) -> bool:
    epochs = as_dict(as_dict(header.get("eval")).get("config")).get("epochs")
    return isinstance(epochs, int) and epochs > 1


def _scorer(path: Path, samples: list[Any], options: Options, problems: Problems) -> str:
    """The score to take for the grade: the user's choice, or one that knows abstentions, or the first one.

    Raises:
        ValueError: no sample has the score that the user chose.
    """
    kinds: dict[str, bool] = {}
    for sample in samples:
        for name, score in as_dict(as_dict(sample).get("scores")).items():
            kinds[name] = kinds.get(name, False) or _knows_abstention(as_dict(score).get("value"))
    wanted = (options.metric or "").partition(".")[0]
    if wanted and kinds and wanted not in kinds:
        raise ValueError(f"{path}: no scorer is called {wanted!r}. {nearest(wanted, kinds)}")
    chosen = wanted or next((name for name, knows in kinds.items() if knows), next(iter(kinds), ""))
    if len(kinds) > 1:
        problems.note(path, f"graded by {chosen} of {', '.join(kinds)}")
    return chosen


def _knows_abstention(value: Any) -> bool:
    return value == "N" or (isinstance(value, dict) and bool(set(value) & set(_OUTCOMES[0][0])))


def _entries(
    path: Path, header: dict[str, Any], samples: Iterator[Any], scorer: str, options: Options, problems: Problems
) -> Iterator[Entry]:
    about = as_dict(header.get("eval"))
    model, task = str(about.get("model") or ""), str(about.get("task") or "").rpartition("/")[2]
    for place, sample in enumerate(samples, 1):
        if not isinstance(sample, dict) or "id" not in sample:
            problems.add(path, "not a sample", f"{path}: sample {place}: not an Inspect sample: no id")
            continue
        entry = Entry(place, str(sample["id"]), model, task, _grade(path, place, sample, scorer, options, problems))
        _fill(entry, sample, scorer)
        yield entry


def _fill(entry: Entry, sample: dict[str, Any], scorer: str) -> None:
    about, scores = as_dict(sample.get("metadata")), as_dict(sample.get("scores"))
    attached = as_dict(sample.get("attachments"))
    epoch = sample.get("epoch")
    entry.repeat = epoch - 1 if isinstance(epoch, int) and 0 < epoch < 30_000 else 0
    entry.prompt = _resolved(last_text(sample.get("messages"), "user"), attached)
    asked = sample.get("input")
    entry.question = _resolved(asked if isinstance(asked, str) else last_text(asked, "user"), attached)
    entry.target = next((about[key] for key in TARGET_KEYS if key in about), None)
    if entry.target is None:
        entry.target = stated_target(entry.prompt) if entry.prompt else stated_target(entry.question)
    if entry.target is not None and isinstance(about.get("question_id"), str | int):
        entry.id = str(about["question_id"])  # one question asked at several targets
    entry.confidence = about.get("confidence")
    if entry.confidence is None:
        entry.confidence = as_dict(as_dict(scores.get(scorer)).get("metadata")).get("confidence")
    entry.gold = _gold(sample)
    if entry.question and isinstance(choices := sample.get("choices"), list):
        entry.question = with_choices(entry.question, [str(choice) for choice in choices])  # as they were asked
    entry.completion, entry.truncated = _completion(sample, attached)


def _resolved(text: str | None, attached: dict[str, Any]) -> str | None:
    """The text, which long ones keep in an attachment."""
    if text and text.startswith("attachment://"):
        kept = attached.get(text.removeprefix("attachment://"))
        return kept if isinstance(kept, str) else None
    return text


def _gold(sample: dict[str, Any]) -> list[str] | None:
    target, choices = sample.get("target"), sample.get("choices")
    golds = [str(text).strip() for text in (target if isinstance(target, list) else [target]) if text is not None]
    if isinstance(choices, list):  # a letter, or the choice it stands for
        letters = dict(zip(ascii_uppercase, map(str, choices), strict=False))
        golds += [letters[gold] for gold in golds if gold in letters]
    return golds or None


def _completion(sample: dict[str, Any], attached: dict[str, Any]) -> tuple[str | None, bool]:
    output = as_dict(sample.get("output"))
    choices = output.get("choices")
    first = as_dict(choices[0]) if isinstance(choices, list) and choices else {}
    text = text_of(as_dict(first.get("message")).get("content"))
    if text is None:
        text = output.get("completion") if isinstance(output.get("completion"), str) else None
    return _resolved(text, attached), first.get("stop_reason") in ("max_tokens", "model_length")


def _grade(path: Path, place: int, sample: dict[str, Any], scorer: str, options: Options, problems: Problems) -> int:
    if sample.get("error"):
        problems.add(path, "error", f"{path}: sample {place}: ended in an error; counted as ungraded", lost=False)
        return UNGRADED
    scores = as_dict(sample.get("scores")) or ({"score": sample["score"]} if sample.get("score") else {})
    name = scorer if scorer in scores or not scores else next(iter(scores))
    key = (options.metric or "").partition(".")[2]
    return _value(as_dict(scores[name]).get("value"), key, options) if name in scores else NONE


def _value(value: Any, key: str, options: Options) -> int:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        if key:
            return _value(value.get(key), "", options)
        for names, outcome in _OUTCOMES:
            if any(value.get(name) in (1, True, "C") for name in names):
                return outcome
        return ZERO if set(value) & set(_OUTCOMES[1][0]) else UNGRADED
    grade = read_grade(value, options.pass_mark)
    return _LETTERS.get(grade, grade)


# Members of a zip file that somebody else made, one at a time, never more of one than fits.
#
# `.eval` files are packed with deflate or (since 0.3.206) Zstandard, which Python's `zipfile` reads from 3.14 on only.
# What a member claims about its size is not believed: unpacking stops at a limit. An archive that was cut off has lost
# its directory, which stands at its end; its members are then found one after another.


@dataclass(frozen=True)
class Member:
    """A packed file: its name, where its data begin, how long they are, and how they are packed."""

    name: str
    offset: int
    size: int
    method: int


def members(path: Path) -> tuple[list[Member], bool]:
    """All members of an archive, and whether the archive is whole.

    Raises:
        ValueError: not a zip archive.
    """
    with path.open("rb") as file:
        try:
            with ZipFile(file) as archive:
                found = [(info, _header(file, info.header_offset)) for info in archive.infolist()]
            return [replace(head, name=info.filename, size=info.compress_size) for info, head in found if head], True
        except BadZipFile:
            return list(_walk(file)), False


def _header(file: BinaryIO, offset: int) -> Member | None:
    """The member whose local header stands here."""
    file.seek(offset)
    raw = file.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or raw[:4] != b"PK\x03\x04":
        return None
    _, _, flags, method, _, _, _, size, _, name_size, extra = _LOCAL.unpack(raw)
    name = file.read(name_size).decode("utf-8", "replace")
    known = _UNKNOWN if flags & _STREAMED or size == 0xFFFFFFFF else size
    return Member(name, offset + _LOCAL.size + name_size + extra, known, -1 if flags & _ENCRYPTED else method)


def _walk(file: BinaryIO) -> Iterator[Member]:
    offset = 0
    end = file.seek(0, 2)
    while (member := _header(file, offset)) and member.offset + member.size <= end:
        yield member
        offset = member.offset + member.size


def unpack(path: Path, member: Member, limit: int = MEMBER_LIMIT) -> bytes:
    """The contents of a member.

    Raises:
        ValueError: it is packed in an unknown way or damaged, or it unpacks to more than `limit` bytes, or to more
            than `RATIO_LIMIT` times its size: a bomb.
    """
    with path.open("rb") as file:
        file.seek(member.offset)
        packed = file.read(member.size)
    if member.method == _STORED:
        return packed
    allowed = min(limit, max(RATIO_FREE, RATIO_LIMIT * len(packed)))
    if member.method == _DEFLATE:
        data = _inflate(packed, allowed)
    elif member.method == _ZSTD:
        data = _unpack_zstd(packed, allowed)
    else:
        raise ValueError("encrypted" if member.method < 0 else f"packed with unknown method {member.method}")
    if len(data) > allowed:
        raise ValueError(f"unpacks to more than {allowed >> 20} MiB from {len(packed):,} bytes; not read")
    return data


def _inflate(packed: bytes, allowed: int) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return unpacker.decompress(packed, allowed + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from None


def _unpack_zstd(packed: bytes, allowed: int) -> bytes:
    import pyarrow as pa  # type: ignore[import-untyped]

    parts, total = [], 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            while total <= allowed and (part := stream.read(_CHUNK)):
                parts.append(part)
                total += len(part)
    except OSError as error:
        raise ValueError(f"damaged: {str(error)[:80]}") from None
    return b"".join(parts)
