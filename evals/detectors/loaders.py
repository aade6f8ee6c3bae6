"""Labelled responses of known benchmarks, from their own files: HaluEval, FActScore, TruthfulQA, RAGTruth, RefChecker.

load_pairs("HaluEval/data/qa_data.json")            each question twice: with its right and its hallucinated answer
load_pairs("factscore/labeled/ChatGPT.jsonl")       a biography each; with unit="claim" an atomic fact each
load_pairs("TruthfulQA.csv")                        each question with each of its correct and incorrect answers
load_pairs("RAGTruth/dataset")                      response.jsonl, with source_info.jsonl beside it
load_pairs("RefChecker/benchmark/human_annotations_v1/zero_context")
load_pairs("mine.jsonl")                            {"prompt": …, "response": …, "error": true}: any field of `Pair`

Which it is, the columns say. No data comes with abstain.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from abstain.evals.detectors.pair import DISTORTED, UNSUPPORTED, Pair
from abstain.evals.tasks.columns import answers_of, parse_literal, plain_name
from abstain.evals.tasks.rows import SourceRow, Table, read_file, read_folder
from abstain.rewards.errors import nearest

Unit = Literal["response", "claim"]
"""What is judged: a whole response, or each of the claims in it that people labelled."""
_SOURCES = "source_info.jsonl"
_PASSAGE = re.compile(r"(?:\A|\n)\s*passage \d+:", re.IGNORECASE)


@dataclass(frozen=True)
class Format:
    """How the files of a benchmark are known and read.

    Args:
        columns: that tell it, in words that `plain_name` gives; in words for people where a name only begins so.
        known: whether a table with such columns is one.
        read: its pairs.
        units: what may be judged.
    """

    columns: str
    known: Callable[[frozenset[str]], bool]
    read: Callable[[Table, Unit], Iterator[Pair]]
    units: tuple[Unit, ...] = ("response",)


def load_pairs(path: str | Path, *, file_format: str = "auto", unit: Unit = "response") -> list[Pair]:
    """The labelled responses of a benchmark's file, or of all such files of a folder.

    `Pair.error` is what the benchmark's people said: of HaluEval's pairs of answers the hallucinated one; any fact
    "NS" (not supported) in FActScore, whose irrelevant facts ("IR") do not count; any span in RAGTruth; any claim that
    is not "Entailment" in RefChecker (its strict aggregation). It is `None` where they said nothing, as of FActScore's
    abstentions, and in RAGTruth where the response's quality is not "good", as its authors leave those out.

    `Pair.kinds` are known of wrong responses in RAGTruth, whose spans are "baseless info" (`UNSUPPORTED`) or
    "conflict" (`DISTORTED`), evident or subtle, and in RefChecker: "Neutral" and "Contradiction". Both may be there.

    Pairs of one question, source, dialogue or topic share their `id`. TruthfulQA's "I have no comment" is no answer,
    and is left out, as is what a question lists as correct and incorrect. RefChecker's questions and references are
    not in its files of annotations; they are found in `data/SETTING/SET.json`, where its own script puts them, and
    else the prompt is "".

    Args:
        path: file or folder.
        file_format: a key of `FORMATS`; by default the columns tell.
        unit: "claim" makes a pair of each labelled claim, in FActScore and RefChecker.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no known format, or a row that is not as it should be, with its file and line.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> row = {"knowledge": "Lima is in Peru.", "question": "Where is Lima?", "right_answer": "Peru"}
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "qa_data.jsonl")
        ...     _ = file.write_text(json.dumps(row | {"hallucinated_answer": "Chile"}))
        ...     [(pair.response, pair.error, pair.documents) for pair in load_pairs(file)]
        [('Peru', False, ('Lima is in Peru.',)), ('Chile', True, ('Lima is in Peru.',))]
    """
    if file_format != "auto" and file_format not in FORMATS:
        raise ValueError(f"unknown format {file_format!r}. {nearest(file_format, ['auto', *FORMATS])}")
    if unit not in get_args(Unit):
        raise ValueError(f"unknown unit {unit!r}. {nearest(unit, get_args(Unit))}")
    found: list[Pair] = []
    for table in _tables(Path(path).expanduser()):
        one = FORMATS[find_format(table) if file_format == "auto" else file_format]
        if unit not in one.units:
            raise ValueError(f"{table.rows[0].where}: no claims are labelled in such files; leave out unit={unit!r}")
        found += one.read(table, unit)
    return found


def find_format(table: Table) -> str:
    """The key in `FORMATS` of the format that a table's columns are of.

    Raises:
        ValueError: of none; with the columns of each.
    """
    columns = frozenset(map(plain_name, table.columns()))
    name = next((name for name, one in FORMATS.items() if one.known(columns)), "")
    if not name:
        allowed = "; ".join(f"{name}: {one.columns}" for name, one in FORMATS.items())
        raise ValueError(
            f"{table.rows[0].where}: columns {', '.join(table.columns())} are of no known format. {allowed}"
        )
    return name


def _tables(path: Path) -> list[Table]:
    """The tables of responses; RAGTruth's sources are read with them."""
    if path.is_dir():
        tables = [table for table in read_folder(path) if not _is_source(table)]
        if not tables:
            raise ValueError(f"{path}: no responses in this folder, only sources; expected response.jsonl beside them")
        return tables
    if not path.is_file():
        raise FileNotFoundError(f"no file or folder {str(path)!r}")
    tables = read_file(path)
    if any(map(_is_source, tables)):
        raise ValueError(f"{path}: RAGTruth's sources, not its responses: give response.jsonl, or the folder of both")
    return tables


def _is_source(table: Table) -> bool:
    columns = set(table.columns())
    return {"source_info", "task_type"} <= columns and "response" not in columns


# --- cells


def _file_of(row: SourceRow) -> Path:
    """Of `file.json: row 3`, or `file.jsonl:3`."""
    return Path(re.sub(r"(\[[^\]]*\])?: row \d+\Z|:\d+\Z", "", row.where))


def _text(row: SourceRow, column: str, *, empty: bool = False) -> str:
    """The text in a column, which may be blank only if that is said.

    Raises:
        ValueError: there is none; with file and line.
    """
    if column not in row.fields:
        raise ValueError(f"{row.where}: no column {column!r}. {nearest(column, row.fields)}")
    value = row.fields[column]
    if not isinstance(value, str) or not (empty or value.strip()):
        text = "a text" if empty else "a text with something in it"
        raise ValueError(f"{row.where}: column {column!r} must be {text}, not {str(value)[:60]!r}")
    return value


def _one_of(where: str, what: str, value: Any, meanings: Mapping[str, Any]) -> Any:
    """What a label means.

    Raises:
        ValueError: it is none of them; with file, line and what is allowed.
    """
    key = next((key for key in meanings if key.lower() == str(value).strip().lower()), None)
    if key is None:
        raise ValueError(f"{where}: {what} is {str(value)[:60]!r}. {nearest(str(value), meanings)}")
    return meanings[key]


def _objects(where: str, what: str, value: Any) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        ValueError: it is something else.
    """
    value = parse_literal(value) if isinstance(value, str) else value  # in a CSV cell
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{where}: {what} must be a list of objects, not {str(value)[:60]!r}")
    return value


_YES = {"yes": True, "no": False}


# --- HaluEval (Li et al. 2023, arXiv 2305.11747)

_HALUEVAL = {
    "qa": ("question", "knowledge", "answer"),
    "dialogue": ("dialogue_history", "knowledge", "response"),
    "summarization": ("document", "document", "summary"),
}
_SUMMARIZE = "{}\nSummarize the text above."


def _halueval(table: Table, unit: Unit) -> Iterator[Pair]:
    """Both responses to each prompt; or one and its label, in the files that the hub calls `*_samples`."""
    columns = set(table.columns())
    kind = next(kind for kind, (asked, _, _) in _HALUEVAL.items() if asked in columns)
    asked, known, said = _HALUEVAL[kind]
    for number, row in enumerate(table.rows, 1):
        prompt = _text(row, asked)
        knowledge = _text(row, known, empty=True)
        if f"right_{said}" in columns:
            labelled = [(_text(row, f"right_{said}"), False), (_text(row, f"hallucinated_{said}"), True)]
        else:
            label = _one_of(row.where, "hallucination", row.fields.get("hallucination"), _YES)
            labelled = [(_text(row, said), label)]
        prompt = _SUMMARIZE.format(prompt) if kind == "summarization" else prompt
        for response, error in labelled:
            documents = (knowledge,) if knowledge.strip() else ()
            yield Pair(prompt, response, documents, error=error, id=f"{table.name}-{number}", split=kind)


def _halueval_columns(columns: frozenset[str]) -> bool:
    return any(
        asked in columns
        and ({f"right_{said}", f"hallucinated_{said}"} <= columns or {said, "hallucination"} <= columns)
        for asked, _, said in _HALUEVAL.values()
    )


def _general(table: Table, unit: Unit) -> Iterator[Pair]:
    """User queries with ChatGPT's response, labelled by people."""
    label = next(name for name in ("hallucination_label", "hallucination") if name in table.columns())
    for number, row in enumerate(table.rows, 1):
        error = _one_of(row.where, label, row.fields.get(label), _YES)
        name = str(row.fields.get("ID") or f"{table.name}-{number}")
        response = _text(row, "chatgpt_response", empty=True)
        yield Pair(_text(row, "user_query"), response, error=error, id=name, split="general")


# --- FActScore (Min et al. 2023, arXiv 2305.14251)

_SUPPORT = {"S": False, "NS": True, "IR": None}


def _factscore(table: Table, unit: Unit) -> Iterator[Pair]:
    """Biographies in atomic facts, each supported by Wikipedia, not supported, or irrelevant."""
    for row in table.rows:
        topic = _text(row, "topic")
        prompt = _text(row, "input") if "input" in row.fields else f"Question: Tell me a bio of {topic}."
        response = _text(row, "output", empty=True)
        labelled = [(text, error) for text, error in _facts(row) if error is not None]
        if unit == "claim":
            for text, error in labelled:
                yield Pair(prompt, text, error=error, id=topic)
        else:
            yield Pair(prompt, response, error=any(e for _, e in labelled) if labelled else None, id=topic)


def _facts(row: SourceRow) -> Iterator[tuple[str, bool | None]]:
    """The facts of all sentences; there are none of an abstention, nor of a sentence that is beside the point."""
    sentences = row.fields.get("annotations")
    for sentence in [] if sentences is None else _objects(row.where, "annotations", sentences):
        facts = sentence.get("human-atomic-facts")
        for fact in [] if facts is None else _objects(row.where, "human-atomic-facts", facts):
            text = fact.get("text")
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"{row.where}: an atomic fact has no text but {str(text)[:60]!r}")
            yield text, _one_of(row.where, f"the label of {text[:40]!r}", fact.get("label"), _SUPPORT)


# --- TruthfulQA (Lin et al. 2022, arXiv 2109.07958)

_NO_COMMENT = "i have no comment"


def _truthfulqa(table: Table, unit: Unit) -> Iterator[Pair]:
    """A pair for each answer that somebody listed, the best one first."""
    columns = {plain_name(name): name for name in reversed(table.columns())}
    for number, row in enumerate(table.rows, 1):
        question = _text(row, columns["question"]).strip()
        best = answers_of(row.fields.get(columns.get("best_answer", "")))
        right = [*best, *_answers(row.fields.get(columns["correct_answers"]))]
        wrong = _answers(row.fields.get(columns["incorrect_answers"]))
        if not right or not wrong:
            which = "correct" if not right else "incorrect"
            raise ValueError(f"{row.where}: no {which} answer; expected a list, or answers that semicolons separate")
        category = str(row.fields.get(columns.get("category", "")) or "")
        for response in dict.fromkeys((*right, *wrong)):
            both = response in right and response in wrong  # "Unknown", of two questions
            if not both and " ".join(response.split()).lower().rstrip(".") != _NO_COMMENT:
                error = response in wrong
                yield Pair(question, response, error=error, id=f"{table.name}-{number}", split=category)


def _answers(value: Any) -> tuple[str, ...]:
    """A list, as the hub has it, or what semicolons separate."""
    is_list = not isinstance(value, str) or not isinstance(parse_literal(value), str)
    return answers_of(value) if is_list else answers_of(value, ";")


# --- RAGTruth (Niu et al. 2024, arXiv 2401.00396)

_SPANS = {
    f"{strength} {what}": kind
    for what, kind in (("Baseless Info", UNSUPPORTED), ("Conflict", DISTORTED))
    for strength in ("Evident", "Subtle")
}


def _ragtruth(table: Table, unit: Unit) -> Iterator[Pair]:
    """Responses of six models to each source, with the spans that people found unsupported or contradicted."""
    folder = _file_of(table.rows[0]).parent
    beside = folder / _SOURCES
    if not beside.is_file():
        raise ValueError(f"{table.rows[0].where}: RAGTruth's responses need its {_SOURCES} beside them, in {folder}")
    sources = {str(row.fields.get("source_id")): row for one in read_file(beside) for row in one.rows}
    for row in table.rows:
        source_id = str(row.fields.get("source_id"))
        source = sources.get(source_id)
        if source is None:
            raise ValueError(f"{row.where}: source_id {source_id!r} is not in {beside}")
        labels = _objects(row.where, "labels", row.fields.get("labels"))
        good = str(row.fields.get("quality", "good")).strip().lower() == "good"
        kinds = [_one_of(row.where, "label_type", one["label_type"], _SPANS) for one in labels if "label_type" in one]
        yield Pair(
            _text(source, "prompt"),
            _text(row, "response", empty=True),
            _sources(source),
            error=bool(labels) if good else None,
            id=source_id,
            split="/".join(filter(None, (_text(source, "task_type"), str(row.fields.get("split") or "")))),
            kinds=_distinct(kinds) if good else (),
        )


def _distinct(kinds: Iterable[str]) -> tuple[str, ...]:
    """Kinds of error, each once; "" is none."""
    return tuple(sorted(set(kinds) - {""}))


def _sources(row: SourceRow) -> tuple[str, ...]:
    """The passages of a question, the text to be summarised, or the data to be put into words as JSON."""
    value = row.fields.get("source_info")
    if isinstance(value, dict) and isinstance(value.get("passages"), str):
        passages = [part.strip() for part in _PASSAGE.split(value["passages"])]
        return tuple(part for part in passages if part)
    if isinstance(value, str) and value.strip():
        return (value.strip(),)
    if isinstance(value, dict) and value:
        return (json.dumps(value, ensure_ascii=False),)
    raise ValueError(f"{row.where}: column 'source_info' must be a text or an object, not {str(value)[:60]!r}")


# --- RefChecker (Hu et al. 2024, arXiv 2405.14486)

_CHECKED = {"Entailment": "", "Neutral": UNSUPPORTED, "Contradiction": DISTORTED}
_CLAIMS = "_response_kg"


def _refchecker(table: Table, unit: Unit) -> Iterator[Pair]:
    """Responses in triplets, each entailed by its reference, contradicted, or neither."""
    asked = _questions(_file_of(table.rows[0]))
    for row in table.rows:
        name = str(row.fields.get("id"))
        prompt, documents = asked.get(name, ("", ()))
        labelled = list(_claims(row))
        if unit == "claim":
            for text, kind in labelled:
                yield Pair(prompt, text, documents, error=bool(kind), id=name, kinds=_distinct([kind]))
        else:
            kinds = _distinct(kind for _, kind in labelled)
            wrong = bool(kinds) if labelled else None
            yield Pair(prompt, _text(row, "response", empty=True), documents, error=wrong, id=name, kinds=kinds)


def _claims(row: SourceRow) -> Iterator[tuple[str, str]]:
    """Each claim that somebody checked, and what is wrong with it, or ""."""
    for column in row.fields:
        if column.endswith(_CLAIMS):
            for claim in _objects(row.where, column, row.fields[column]):
                if "human_label" not in claim:
                    continue  # of another extractor, and checked by no one
                triplet = claim.get("triplet")
                if not isinstance(triplet, list) or len(triplet) != 3:
                    raise ValueError(
                        f"{row.where}: a triplet must be a list of three texts, not {str(triplet)[:60]!r}"
                    )
                text = " ".join(str(part).strip() for part in triplet)
                yield text, _one_of(row.where, f"the label of {text[:40]!r}", claim["human_label"], _CHECKED)


def _questions(file: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Question and references by id, from where RefChecker's own script puts them; empty if they are not there."""
    name = file.name.split("_")[0]
    beside = file.parents[2] / "data" / file.parent.name / f"{name}.json" if len(file.parents) > 2 else file
    if beside == file or not beside.is_file():
        return {}
    rows = [row for table in read_file(beside) for row in table.rows]
    return {str(row.fields.get("id")): (_text(row, "question"), _texts(row, "context")) for row in rows}


# --- anybody's own


def _plain(table: Table, unit: Unit) -> Iterator[Pair]:
    """The fields of `Pair`, by name."""
    for number, row in enumerate(table.rows, 1):
        label = row.fields.get("error")
        error = None if label in (None, "") else _one_of(row.where, "error", label, _ERROR)
        kinds = _distinct(_one_of(row.where, "a kind of error", one, _KINDS) for one in _texts(row, "kinds"))
        if kinds and not error:
            raise ValueError(
                f"{row.where}: kinds of error, {', '.join(kinds)}, of a response whose error is {label!r}"
            )
        yield Pair(
            _text(row, "prompt", empty=True),
            _text(row, "response", empty=True),
            _texts(row, "documents"),
            _texts(row, "samples"),
            _numbers(row, "logprobs"),
            error,
            str(row.fields.get("id") or f"{table.name}-{number}"),
            str(row.fields.get("split") or ""),
            kinds,
        )


_KINDS = {kind: kind for kind in (DISTORTED, UNSUPPORTED)}
_ERROR = {"true": True, "false": False, "1": True, "0": False, **_YES}


def _texts(row: SourceRow, column: str) -> tuple[str, ...]:
    """A list of texts, or one text, or none."""
    value = row.fields.get(column)
    value = parse_literal(value) if isinstance(value, str) else value
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if value is not None and (not isinstance(value, list) or not all(isinstance(item, str) for item in value)):
        raise ValueError(f"{row.where}: column {column!r} must be a list of texts, not {str(value)[:60]!r}")
    return tuple(value or ())


def _numbers(row: SourceRow, column: str) -> tuple[float, ...] | None:
    """Log-probabilities, of which none is above 0.

    Raises:
        ValueError: something else.
    """
    value = row.fields.get(column)
    value = parse_literal(value) if isinstance(value, str) else value
    if value in (None, "", []):
        return None
    if not isinstance(value, list) or not all(type(item) in (int, float) and item <= 0 for item in value):
        logs = "a list of natural logarithms, none above 0"
        raise ValueError(f"{row.where}: column {column!r} must be {logs}, not {str(value)[:60]!r}")
    return tuple(map(float, value))


def _has(*names: str) -> Callable[[frozenset[str]], bool]:
    return lambda columns: set(names) <= columns


FORMATS: dict[str, Format] = {
    "halueval": Format(
        "question, dialogue_history or document, with right_… and hallucinated_…, or a response and hallucination",
        _halueval_columns,
        _halueval,
    ),
    "halueval_general": Format(
        "user_query, chatgpt_response, hallucination_label",
        lambda columns: (
            {"user_query", "chatgpt_response"} <= columns and bool({"hallucination", "hallucination_label"} & columns)
        ),
        _general,
    ),
    "truthfulqa": Format(
        "Question, Correct Answers, Incorrect Answers",
        _has("question", "correct_answers", "incorrect_answers"),
        _truthfulqa,
    ),
    "ragtruth": Format("source_id, labels, response", _has("source_id", "labels", "response"), _ragtruth),
    "refchecker": Format(
        f"response, …{_CLAIMS}",
        lambda columns: "response" in columns and any(name.endswith(_CLAIMS) for name in columns),
        _refchecker,
        get_args(Unit),
    ),
    "factscore": Format("topic, output, annotations", _has("topic", "output"), _factscore, get_args(Unit)),
    "pairs": Format("prompt, response", _has("prompt", "response"), _plain),
}
"""Every format by name, looked for in this order."""
