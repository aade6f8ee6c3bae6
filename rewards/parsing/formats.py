"""Where an answer stands: in a tag, a box, JSON, on the last line. Each reader looks for its own format only."""

import json
import re
from dataclasses import dataclass
from itertools import pairwise

from abstain.rewards.parsing.abstention import read
from abstain.rewards.parsing.markup import braced, same, tidy

_TAG = re.compile(r"<(/?)(?i:final[_ ]?answer|answer|ans|final|a[nsw]{2,5}er)(?:\s[^<>\n]{0,60})?\s{0,9}>")
_OTHER_TAG = re.compile(r"<(/?)(?i:solution|response|result|output)\s{0,9}>")
_BOXED = re.compile(r"\\(?:boxed|fbox)(?:\s{0,3}\{|\s{1,3}(?P<bare>[^\s{}$\\]{1,40}))")
_KEY = re.compile(
    r"[\"'](?i:(?:final|my|short|correct)?[_ -]?answer|response|答え|回答|答案|最終回答|最终答案)[\"']\s{0,9}:\s{0,9}"
)
_CONFIDENCE_KEYS = {
    *("confidence", "certainty", "probability", "confidence_score", "confidence_level", "likelihood"),
    *("確信度", "信頼度", "自信度", "置信度", "信心", "把握", "概率", "確率"),
}
_STRING = re.compile(r"\"((?:[^\"\\]|\\.)*+)(\"?)|'((?:[^'\\]|\\.)*+)('?)|([^\s,{}\[\]]{1,100})", re.DOTALL)
_PAIR = re.compile(r"[\"'](?P<key>[^\"'\n]{1,30})[\"']\s{0,9}:\s{0,9}[\"']?(?P<value>[^\"',{}\n]{1,40})")
_NOT_KNOWN = "I don't know"  # what JSON calls null
_MOST_OBJECTS = 8  # a reply has one; who writes thousands of braces is not waited for
_NOTHING_SAID = re.compile(
    r"[\W_]{0,20}(?:(?:and|or|and/or|or (?:maybe|perhaps|also|else)|and (?:also|maybe|perhaps)|also|maybe|perhaps|plus"
    r"|y|o|et|ou|und|oder|と|か|または|あるいは|和|或|或者|还是|以及)[\W_]{0,20})?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Stated:
    """An answer in its format.

    Args:
        text: the answer as it stands there.
        cut: the reply was cut off within it.
        rest: the reply without it, where another format may say another thing.
        confidence: what JSON states beside the answer, as text.
        rivals: what the same format holds right before it, with nothing said between them.
    """

    text: str
    cut: bool = False
    rest: str = ""
    confidence: str | None = None
    rivals: tuple[str, ...] = ()


def tagged(text: str) -> Stated | None:
    """What the last `<answer>` holds.

    Example:
        >>> tagged("It is <answer>Oslo</answer>."), tagged("<answer>Os").cut, tagged("Oslo")
        (Stated(text='Oslo', cut=False, rest='It is  .', confidence=None, rivals=()), True, None)
    """
    if "<" not in text:
        return None
    tags = list(_TAG.finditer(text)) or list(_OTHER_TAG.finditer(text))
    opened = [i for i, tag in enumerate(tags) if not tag[1]]
    if not opened:
        return Stated(text[: tags[0].start()], rest="") if tags else None
    i = opened[-1]
    closed = i + 1 < len(tags)
    end = tags[i + 1] if closed else None
    rest = text[: tags[opened[0]].start()] + " " + (text[end.end() :] if end else "")
    pairs = [(tags[j], tags[j + 1]) for j in opened[-_MOST_OBJECTS:] if j + 1 < len(tags) and tags[j + 1][1]]
    spans = [(one.start(), other.end(), text[one.end() : other.start()]) for one, other in pairs]
    rivals = _beside(text, spans) if closed and len(spans) > 1 else ()
    return Stated(text[tags[i].end() : end.start() if end else None], not closed, rest, rivals=rivals)


def boxed(text: str) -> Stated | None:
    r"""What the last `\boxed{}` holds.

    Example:
        >>> boxed(r"So $\\boxed{\\frac{1}{2}}$.").text, boxed(r"\\boxed{x^{2").cut, boxed("42")
        ('\\\\frac{1}{2}', True, None)
    """
    boxes = list(_BOXED.finditer(text)) if "\\" in text else []
    if not boxes:
        return None
    last = boxes[-1]
    if last["bare"]:
        return Stated(last["bare"], rest=text[: last.start()] + " " + text[last.end() :])
    inner, closed = braced(text, last.end())
    if not closed and "\\}" in inner and "\\{" not in inner:  # a slip for }
        inner, closed = inner[: inner.index("\\}")], True
    spans = []
    for box in boxes[-_MOST_OBJECTS:] if closed and len(boxes) > 1 else []:
        held = box["bare"] or braced(text, box.end())[0]
        spans.append((box.start(), box.end() + (0 if box["bare"] else len(held) + 1), held))
    rest = text[: last.start()] + " " + text[last.end() + len(inner) + 1 :]
    return Stated(inner, not closed, rest, rivals=_beside(text, spans) if len(spans) > 1 else ())


def _beside(text: str, spans: list[tuple[int, int, str]]) -> tuple[str, ...]:
    """What stands before the last of these (start, end, content), each with nothing said between it and the next."""
    found = []
    for (_, end, held), (start, _, _) in reversed([*pairwise(spans)]):
        if start < end or not _NOTHING_SAID.fullmatch(text, end, min(start, end + 60)) or start > end + 60:
            break
        found += [held] if held.strip() else []
    return tuple(found)


def in_json(text: str) -> Stated | None:
    """The "answer" of a JSON object, alone, among words or in a code fence. `null` says that there is none.

    Example:
        >>> in_json('{"answer": "Oslo", "confidence": 0.9}')
        Stated(text='Oslo', cut=False, rest=' ', confidence='0.9', rivals=())
        >>> in_json('```json\\n{"answer": 42}\\n```').text, in_json('{"answer": "Os').cut, in_json("Oslo")
        ('42', True, None)
    """
    keys = list(_KEY.finditer(text)) if "{" in text else []
    if not keys:
        return None
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, strict=False)
    starts = [at.start() for at in re.finditer(r"\{\s{0,9}\"", text)][-_MOST_OBJECTS:]
    for start in reversed(starts):
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        for key, value in found.items():
            if _KEY.match(f'"{key}":'):
                confidence = next((v for k, v in found.items() if str(k).casefold() in _CONFIDENCE_KEYS), None)
                stated = None if confidence is None else str(confidence)
                return Stated(_spelt(value), rest=text[:start] + " " + text[end:], confidence=stated)
    return _from_pairs(text, keys[-1])


def _spelt(value: object) -> str:
    if value is None:
        return _NOT_KNOWN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(_spelt(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _from_pairs(text: str, key: re.Match[str]) -> Stated | None:
    """JSON that was cut off, or a Python dictionary."""
    value = _STRING.match(text, key.end())
    if value is None:
        return None
    double, closed, single, single_closed, bare = value.groups()
    said = next((part for part in (double, single, bare) if part is not None), "")
    pairs = {pair["key"].casefold(): pair["value"].strip() for pair in _PAIR.finditer(text)}
    confidence = next((pairs[name] for name in _CONFIDENCE_KEYS if name in pairs), None)
    cut = not (closed or single_closed or bare)
    return Stated(_NOT_KNOWN if said in ("null", "None") and bare else said, cut, " ", confidence)


def last_line(text: str) -> str:
    """The last line that says something.

    Example:
        >>> last_line("Let me see.\\nOslo\\n\\n")
        'Oslo'
    """
    return text.rstrip().rpartition("\n")[2]


def disagree(one: Stated, other: Stated) -> bool:
    """Whether two formats say two things. Two that both say "I don't know" say one."""
    if same(one.text, other.text):
        return False
    return not (read(tidy(one.text)).abstained and read(tidy(other.text)).abstained)
