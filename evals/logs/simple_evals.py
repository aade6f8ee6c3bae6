"""openai/simple-evals: `EVAL_MODEL_DATE_allresults.json` = score, metrics, htmls, convos, metadata.

Earlier versions, and NVIDIA's package of it, keep samples only in the page beside it, `EVAL_MODEL.html`: the `htmls`,
one after another. What was asked and answered is then read from there.

The log keeps right or not right for each sample, and only as HTML ("<p>Score: True</p>"), beside the gold answer. The
judge's third grade, NOT_ATTEMPTED, survives in the means alone. So whether a wrong answer was one is read from the
answer itself, and the share found is compared with the log's own.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

from abstain.evals.files import parse_json, read_whole
from abstain.evals.logs.batch import (
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    batches,
    grade_of,
    last_text,
    stated_target,
)
from abstain.evals.logs.grades import NONE
from abstain.rewards.prompts import question_of

NAME = "simple-evals results"
_FILE = re.compile(r"(?P<task>[A-Za-z0-9-]+)_(?P<model>.+?)(?:_\d{8}_\d{6})?(?:_DEBUG)?(?:_allresults)?")
_MEANS_LIMIT = 1 << 20
_SAMPLE = b"<h3>Prompt conversation</h3>"
_MESSAGE = re.compile(r'<div class="message (\w+)">.*?<pre>(.*?)</pre>', re.DOTALL)
_MEAN = re.compile(rb"<td>is_not_attempted</td>\s*<td>([01](?:\.\d+)?)</td>")
_GOLD = re.compile(r"<p>Correct Answer: (.*?)</p>", re.DOTALL)
_SCORED = re.compile(rb"<p>Score: [^<]*</p>")
_SCORE = re.compile(r"<p>Score: (.*?)</p>", re.DOTALL)


def is_document(value: Any) -> bool:
    """Whether a JSON document is of this format."""
    return isinstance(value, dict) and {"htmls", "convos"} <= set(value)


def is_page(head: bytes) -> bool:
    """Whether a page, of which this is the beginning, shows samples as simple-evals does."""
    return _SAMPLE in head


def read_page(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The samples of an `EVAL_MODEL.html`."""
    whole = read_whole(path, "page")
    top, *samples = whole.split(_SAMPLE)
    if not whole.rstrip().endswith(b"</html>"):
        half = bool(samples) and not _SCORED.search(samples[-1])
        samples = samples[:-1] if half else samples
        where = f" in the middle of sample {len(samples)}" if half else ""
        count = "1 sample before that is" if len(samples) == 1 else f"{len(samples):,} samples before that are"
        problems.add(path, "cut off", f"{path}: the page breaks off{where}; the {count} read", lost=half)
    pages = [sample.decode("utf-8", "replace") for sample in samples]
    convos = [[{"role": role, "content": unescape(text)} for role, text in _MESSAGE.findall(page)] for page in pages]
    share = _MEAN.search(top)
    metrics = {"is_not_attempted": float(share[1])} if share else {}
    return read(path, {"htmls": pages, "convos": convos, "metrics": metrics}, options, problems)


def read(path: Path, document: dict[str, Any], options: Options, problems: Problems) -> Iterator[Batch]:
    """The samples of an `_allresults.json`."""
    share = as_dict(document.get("metrics")).get("is_not_attempted")
    if isinstance(share, int | float):
        told = f"its judge called {share:.1%} NOT_ATTEMPTED, but the log does not say which"
        problems.note(path, f"{told}; here they are found by reading the answers")
    return batches(path, "sample", _entries(path, document, options, problems))


def _entries(path: Path, document: dict[str, Any], options: Options, problems: Problems) -> Iterator[Entry]:
    model, task = _names(path)
    htmls, convos = document["htmls"], document["convos"]
    convos = convos if isinstance(convos, list) else []
    extra = as_dict(document.get("metadata")).get("example_level_metadata")
    ids = _ids([last_text(convo, "user") for convo in convos])
    for place, convo in enumerate(convos):
        html = htmls[place] if isinstance(htmls, list) and place < len(htmls) else None
        more = as_dict(extra[place]) if isinstance(extra, list) and place < len(extra) else {}
        completion = last_text(convo, "assistant")
        if completion is None:
            problems.add(path, "no answer", f"{path}: sample {place}: no answer of the assistant in its conversation")
            continue
        score = _score(html, more, options)
        entry = Entry(place, ids[place], model, task, NONE)
        if score is not None:
            entry.grade = grade_of(score, path, f"{path}: sample {place}", options, problems)
        entry.gold = more.get("correct_answer") or _found(_GOLD, html)
        entry.prompt = last_text(convo, "user")
        asked = more.get("problem")
        entry.question = asked if isinstance(asked, str) else entry.prompt
        entry.target, entry.completion = stated_target(entry.prompt), completion
        yield entry


def _names(path: Path) -> tuple[str, str]:
    """The model's name, "" if the file has none, and the task's."""
    beside = path.with_suffix(".json")
    if beside != path and beside.is_file() and beside.stat().st_size < _MEANS_LIMIT:
        means = as_dict(parse_json(beside.read_bytes())[0])
        if "task_name" in means:  # NVIDIA's package, which names files after the task alone
            return "", path.stem.removesuffix("_DEBUG")
    named = _FILE.fullmatch(path.stem)
    return (named["model"], named["task"]) if named else ("", path.stem.removesuffix("_allresults"))


def _ids(prompts: list[str | None]) -> list[str]:
    """An id for each sample from what it asks, since the order of samples is that in which they were answered.

    A question that stands there more often than others is several questions; if all stand there equally often, each
    was asked so often.
    """
    asked = [question_of(prompt) or prompt if prompt else "" for prompt in prompts]
    pairs = [(question, stated_target(prompt)) for question, prompt in zip(asked, prompts, strict=True)]
    often = Counter(pairs)
    repeated = len(often) > 1 and len(set(often.values())) == 1
    seen: Counter[Any] = Counter()
    ids = []
    for place, (question, pair) in enumerate(zip(asked, pairs, strict=True)):
        seen[pair] += 1
        name = hashlib.blake2s(question.encode("utf-8", "replace"), digest_size=8).hexdigest() if question else place
        ids.append(f"{name}" if repeated or seen[pair] == 1 else f"{name}-{seen[pair]}")
    return ids


def _score(html: Any, more: dict[str, Any], options: Options) -> Any:
    if options.metric and options.metric in more:
        return more[options.metric]
    return more["score"] if "score" in more else _found(_SCORE, html)


def _found(pattern: re.Pattern[str], html: Any) -> str | None:
    found = pattern.findall(html) if isinstance(html, str) else []
    return unescape(found[-1]) if found else None
