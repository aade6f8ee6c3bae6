"""Inspect: `.eval` archives and `.json` logs, as `inspect eval` writes them.

    {"id": "q1", "epoch": 1, "input": "What is ...?", "target": "Lima", "output": {"choices": [{"message": ...}]},
     "scores": {"match": {"value": "C", "answer": "Lima"}}}

A score's value is C, I, P or N, a number (NaN where it could not be scored), a truth value, or an object such as
{"correct": 0, "incorrect": 0, "not_attempted": 1}. Samples that ended in an error have no score: they are UNGRADED.

N is "no answer or refusal to answer" (`inspect_ai.scorer.NOANSWER`), and only one of the two is an abstention. A
judge, or a scorer that kept what it read as the score's `answer`, means that none was given. A scorer that found
nothing in the form it looks for cannot know: there the reply itself decides. So it does where a scorer has seen no
answer in the whole log: `choice` sees only choices that the solver marked.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.evals.files import parse_json
from abstain.evals.logs.archive import Member, members, unpack
from abstain.evals.logs.batch import (
    TARGET_KEYS,
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    as_list,
    batches,
    last_text,
    printable,
    stated_target,
    text_of,
)
from abstain.evals.logs.choices import gold_of, shown_order
from abstain.evals.logs.grades import (
    ABSTAINED,
    CORRECT,
    INCORRECT,
    LETTERS,
    NONE,
    PARTIAL,
    UNGRADED,
    ZERO,
    read_grade,
)
from abstain.evals.tasks.question import with_choices
from abstain.rewards.errors import nearest
from abstain.rewards.parsing.completion import read_response

NAME = "Inspect log"
_LETTERS = {LETTERS["C"]: CORRECT, LETTERS["I"]: ZERO, LETTERS["P"]: PARTIAL, LETTERS["N"]: ABSTAINED}
_OUTCOMES = (
    (("not_attempted", "abstained", "abstain", "idk"), ABSTAINED),
    (("correct", "is_correct", "right"), CORRECT),
    (("incorrect", "is_incorrect", "wrong"), INCORRECT),
)
_NO_FORM = ("invalid_response_format", "no_response")
_NO_MATCH = "Scoring pattern not matched"  # how `pattern` and `answer` explain it
_JUDGE = re.compile(r"grade|judge|model|simpleqa|verdict", re.IGNORECASE)
_JUDGED = {"grading", "grader_response", "confidence_target"}
_ENDS = {"error": "ended in an error", "cancelled": "was cancelled", "started": "had not ended"}


def is_document(value: Any) -> bool:
    """Whether a JSON document is of this format."""
    return isinstance(value, dict) and isinstance(value.get("eval"), dict) and "status" in value


def read_archive(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The samples of a `.eval` file.

    Raises:
        ValueError: it is a zip archive of something else, or holds no sample.
    """
    found, whole = members(path)
    names = {member.name: member for member in found}
    others = ("header.json", "summaries.json", "reductions.json", "_journal/")
    inside = [
        member
        for member in names.values()
        if member.name.startswith("samples/") or (member.lost and not member.name.startswith(others))
    ]
    if not inside and not any(name in names for name in ("header.json", "_journal/start.json")):
        raise ValueError(f"{path}: a zip archive, but no Inspect log: it has no header.json and no samples/")
    if not whole:
        last = found[-1].name if found else "nothing"
        problems.add(path, "cut off", f"{path}: the archive breaks off after {last}; the samples before it are kept")
    if twice := len(found) - len(names):
        problems.add(path, "twice", f"{path}: a member stands there twice; the last counts", lost=False, count=twice)
    heads = (
        _unpacked(path, names[name], problems) for name in ("header.json", "_journal/start.json") if name in names
    )
    header: dict[str, Any] = next((head for head in heads if isinstance(head, dict)), {})
    header.setdefault("status", "started" if whole and "header.json" not in names else "")  # it is written at the end
    if not inside:
        raise ValueError(f"{path}: an Inspect log without samples{_end(header)}")
    read = (_unpacked(path, member, problems) for member in inside)
    samples = (sample for sample in read if sample is not None)
    summaries = [
        summary
        for name in names
        if name == "summaries.json" or (name.startswith("_journal/summaries/") and "summaries.json" not in names)
        for summary in as_list(_unpacked(path, names[name], problems))
    ]
    scorer = _scorer(path, summaries, options, problems)
    return batches(
        path, "sample", _Log(path, header, scorer, options, problems).entries(samples), repeated=_repeated(header)
    )


def _unpacked(path: Path, member: Member, problems: Problems) -> Any:
    """The JSON of a member; `None`, and a problem, where it cannot be read."""
    try:
        value, why = parse_json(unpack(path, member))
    except ValueError as error:
        value, why = None, str(error)
    if why:
        lost = member.name.startswith("samples/") or member.lost
        kind = "bad member" if lost else f"bad {member.name}"
        problems.add(path, kind, f"{path}: {member.name}: {why}", lost=lost)
    return value


def read(path: Path, document: dict[str, Any], options: Options, problems: Problems) -> Iterator[Batch]:
    """The samples of a `.json` log.

    Raises:
        ValueError: it holds no samples.
    """
    samples = document.get("samples")
    if not isinstance(samples, list) or not samples:
        why = _end(document) or "; run `inspect eval` with --log-samples"
        raise ValueError(f"{path}: an Inspect log without samples{why}")
    scorer = _scorer(path, samples, options, problems)
    entries = _Log(path, document, scorer, options, problems).entries(samples)
    return batches(path, "sample", entries, repeated=_repeated(document))


def _repeated(header: dict[str, Any]) -> bool:
    return _epochs(header) > 1


def _epochs(header: dict[str, Any]) -> int:
    epochs = as_dict(as_dict(header.get("eval")).get("config")).get("epochs")
    return epochs if isinstance(epochs, int) else 1


def _end(header: dict[str, Any]) -> str:
    """How an evaluation ended that did not end well."""
    ended = _ENDS.get(str(header.get("status")))
    why = as_dict(header.get("error")).get("message")
    return f": the evaluation {ended}{f' ({why[:120]})' if isinstance(why, str) and why else ''}" if ended else ""


@dataclass(frozen=True)
class _Scorer:
    """The score that is taken for the grade, and whether it ever saw an answer."""

    name: str
    sees: bool = True


def _scorer(path: Path, samples: Iterable[Any], options: Options, problems: Problems) -> _Scorer:
    """The score to take for the grade: the user's choice, or one that knows abstentions, or the first one.

    Raises:
        ValueError: no sample has the score that the user chose.
    """
    knows: dict[str, bool] = {}
    sees: dict[str, bool] = {}
    for sample in samples:
        for name, score in as_dict(as_dict(sample).get("scores")).items():
            knows[name] = knows.get(name, False) or _knows_abstention(name, as_dict(score))
            sees[name] = sees.get(name, False) or _sees(as_dict(score))
    wanted = (options.metric or "").partition(".")[0]
    if wanted and knows and wanted not in knows:
        raise ValueError(f"{path}: no scorer is called {wanted!r}. {nearest(wanted, knows)}")
    chosen = wanted or next((name for name, does in knows.items() if does), next(iter(knows), ""))
    if len(knows) > 1:
        problems.note(path, f"graded by {chosen} of {', '.join(knows)}")
    return _Scorer(chosen, sees.get(chosen, False))


def _knows_abstention(name: str, score: dict[str, Any]) -> bool:
    value = score.get("value")
    if isinstance(value, dict):
        return bool(set(value) & set(_OUTCOMES[0][0]))
    return value == "N" and _means_abstention(name, score)


def _means_abstention(name: str, score: dict[str, Any]) -> bool:
    """Whether a score of N is a scorer's word for "I don't know", and not for a form that it did not find."""
    if score.get("reason") == "refusal":
        return True
    if score.get("reason") in _NO_FORM or _explains_no_match(score):
        return False
    judged = bool(_JUDGE.search(name)) or bool(_JUDGED & set(as_dict(score.get("metadata"))))
    return judged or bool(_answer(score))


def _sees(score: dict[str, Any]) -> bool:
    return bool(_answer(score)) or score.get("value") in ("C", "P", True, 1)


def _answer(score: dict[str, Any]) -> str:
    """What a scorer says that it read."""
    answer = score.get("answer")
    return answer.strip() if isinstance(answer, str) else ""


def _explains_no_match(score: dict[str, Any]) -> bool:
    return str(score.get("explanation") or "").startswith(_NO_MATCH)


@dataclass
class _Log:
    """The samples of one log as entries."""

    path: Path
    header: dict[str, Any]
    scorer: _Scorer
    options: Options
    problems: Problems
    unseen: int = 0
    taken: int = 0

    def entries(self, samples: Iterable[Any]) -> Iterator[Entry]:
        """All that can be read, and at last what is to be said of them together."""
        about = as_dict(self.header.get("eval"))
        model, task = str(about.get("model") or ""), str(about.get("task") or "").rpartition("/")[2]
        count = 0
        for place, sample in enumerate(samples, 1):
            if not isinstance(sample, dict) or not {"id", "input", "output", "scores"} & set(sample):
                self._tell(place, "not a sample", "not an Inspect sample: no id, input, output or scores", lost=True)
                continue
            entry = Entry(place, self._id(place, sample), model, task, NONE)
            self._fill(entry, sample)
            entry.grade = self._grade(place, sample, entry)
            count += 1
            yield entry
        self._conclude(count)

    def _tell(self, place: int, kind: str, message: str, lost: bool = False) -> None:
        self.problems.add(self.path, kind, f"{self.path}: sample {place}: {message}", lost=lost)

    def _id(self, place: int, sample: dict[str, Any]) -> str:
        """The sample's id; where it has none, its question is one, for the epochs of a question share that."""
        if (known := sample.get("id")) is not None and known != "":
            return str(known)
        self._tell(place, "no id", "no id; told from others by its input")
        asked = sample.get("input")
        asked = asked if isinstance(asked, str) else last_text(asked, "user")
        return f"no id: {asked or place}"

    def _fill(self, entry: Entry, sample: dict[str, Any]) -> None:
        about, scores = as_dict(sample.get("metadata")), as_dict(sample.get("scores"))
        attached = as_dict(sample.get("attachments"))
        entry.repeat = self._repeat(entry.place, sample.get("epoch"))
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
            entry.confidence = as_dict(as_dict(scores.get(self.scorer.name)).get("metadata")).get("confidence")
        choices = [str(choice) for choice in as_list(sample.get("choices"))]
        order = shown_order(_all_asked(sample, attached), choices) or list(range(len(choices)))
        target = sample.get("target")
        golds = [str(text).strip() for text in (target if isinstance(target, list) else [target]) if text is not None]
        named = gold_of(golds, choices, order)
        entry.gold, entry.grader = named or golds or None, "choice" if named else None
        if entry.question and choices:
            entry.question = with_choices(entry.question, [choices[place] for place in order])  # as they were asked
        entry.completion, entry.truncated = _completion(sample, attached)
        if sample.get("invalidation"):
            self._tell(entry.place, "invalidated", "was invalidated in Inspect; it is counted here")

    def _repeat(self, place: int, epoch: Any) -> int:
        if isinstance(epoch, str | float) and str(epoch).removesuffix(".0").isdecimal():
            epoch = int(float(epoch))
        if isinstance(epoch, int) and not isinstance(epoch, bool) and 0 < epoch < 30_000:
            return epoch - 1
        if epoch is not None:
            self._tell(place, "epoch", f"{str(epoch)[:40]!r} is no epoch; taken for the first")
        return 0

    def _grade(self, place: int, sample: dict[str, Any], entry: Entry) -> int:
        if sample.get("error"):
            self._tell(place, "error", "ended in an error; counted as ungraded")
            return UNGRADED
        scores = as_dict(sample.get("scores")) or ({"score": sample["score"]} if sample.get("score") else {})
        name = self.scorer.name if self.scorer.name in scores or not scores else next(iter(scores))
        score = as_dict(scores.get(name))
        key = (self.options.metric or "").partition(".")[2]
        grade = _value(score.get("value"), key, self.options) if name in scores else NONE
        if grade > PARTIAL:
            said = printable(str(score.get("value")), 40)
            self._tell(place, "unreadable grade", f"`{name}` says {said!r}, which is no grade; counted as ungraded")
            return UNGRADED
        choices = bool(as_list(sample.get("choices")))
        if grade == ABSTAINED and score.get("value") == "N" and not _means_abstention(name, score):
            if entry.completion is None:
                self.taken += 1
                return ABSTAINED
            return self._read(entry, f"`{name}` says N, having found no answer in the form it looks for")
        if grade == UNGRADED and isinstance(score.get("value"), dict):
            keys = [str(one)[:40] for one in score["value"]][:4]
            which = f", as in --metric {name}.{keys[0]}" if keys else ""
            self._tell(place, "object", f"`{name}` says {', '.join(keys)}, none of which is known: choose one{which}")
        formless = score.get("reason") in _NO_FORM or _explains_no_match(score)
        formless = formless or (choices and ("choice" in name or not self.scorer.sees))
        if grade in (ZERO, INCORRECT) and formless and not _answer(score) and entry.completion is not None:
            if not self.scorer.sees or _our_targets(self.header) is not None:
                why = "which the prompt did not ask for" if self.scorer.sees else "here or in any other reply"
                return self._read(entry, f"`{name}` found no answer in the form it looks for, {why}")
            self.unseen += bool(read_response(entry.completion, entry.truncated).answer)
        return grade

    def _read(self, entry: Entry, why: str) -> int:
        """What a reply says where its score cannot tell: abstained, or an answer, to be graded here."""
        response = read_response(entry.completion or "", entry.truncated)
        if response.abstained and not response.truncated:
            return ABSTAINED
        if not entry.gold:
            self._tell(entry.place, "unseen, no gold", f"{why}, and there is no gold to grade by: UNGRADED")
            return UNGRADED
        self._tell(entry.place, "unseen", f"{why}; graded here")
        return NONE

    def _conclude(self, count: int) -> None:
        name = self.scorer.name
        if self.unseen:
            what = f"answers in which `{name}` found no form that it knows, left wrong as it says"
            self.problems.note(self.path, f"{what} (grading again would read them): {self.unseen:,}")
        if self.taken:
            self.problems.note(
                self.path, f"answers without a text that `{name}` calls N, so abstained: {self.taken:,}"
            )
        if ended := _end(self.header):
            ids = as_list(as_dict(as_dict(self.header.get("eval")).get("dataset")).get("sample_ids"))
            of = f" of {len(ids) * _epochs(self.header):,}" if ids else ""
            message = f"{self.path}{ended}; {count:,}{of} samples are here"
            self.problems.add(self.path, "status", message, lost=False)
        if unasked := (_our_targets(self.header) or [])[_epochs(self.header) :]:
            why = (
                f"epoch k states the k-th target, and {_epochs(self.header)} of them never stated {', '.join(unasked)}"
            )
            self.problems.add(self.path, "targets", f"{self.path}: {why}", lost=False)


def _our_targets(header: dict[str, Any]) -> list[str] | None:
    """The targets that our solver was to state, each in an epoch; `None` if another solver asked."""
    for step in as_list(as_dict(header.get("plan")).get("steps")):
        if str(as_dict(step).get("solver")).rpartition("/")[2] in ("confidence_target", "state_target"):
            targets = as_dict(as_dict(step).get("params")).get("targets")
            given = targets.split(",") if isinstance(targets, str) else as_list(targets)
            return [str(target).strip()[:20] for target in given]
    return None


def _all_asked(sample: dict[str, Any], attached: dict[str, Any]) -> str:
    turns = [as_dict(turn) for turn in as_list(sample.get("messages"))]
    asked = (_resolved(text_of(turn.get("content")), attached) for turn in turns if turn.get("role") == "user")
    return "\n".join(text for text in asked if text)


def _resolved(text: str | None, attached: dict[str, Any]) -> str | None:
    """The text, which long ones keep in an attachment."""
    if text and text.startswith("attachment://"):
        kept = attached.get(text.removeprefix("attachment://"))
        return kept if isinstance(kept, str) else None
    return text


def _completion(sample: dict[str, Any], attached: dict[str, Any]) -> tuple[str | None, bool]:
    output = as_dict(sample.get("output"))
    choices = output.get("choices")
    first = as_dict(choices[0]) if isinstance(choices, list) and choices else {}
    text = text_of(as_dict(first.get("message")).get("content"))
    if text is None:
        text = output.get("completion") if isinstance(output.get("completion"), str) else None
    return _resolved(text, attached), first.get("stop_reason") in ("max_tokens", "model_length")


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
