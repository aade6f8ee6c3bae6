"""The one expression that a reply of the `math` grader states, found without a look at the gold."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from abstain.rewards.graders.arithmetic import number
from abstain.rewards.graders.expressions import clean, key, known_unit, measured
from abstain.rewards.graders.statement import alternatives, denied, last_choice
from abstain.rewards.graders.words import ASIDES, FUNCTION, HEDGES, NEGATIONS, NUMBER_WORDS

LONGEST = 2_000  # characters; of a longer answer the end is read, where conclusions stand

_FUNCTION_NAME = r"a?(?:sin|cos|tan|sec|csc|cot)h?|arc(?:sin|cos|tan)|log|ln|exp|sqrt|mod|min|max|gcd|lcm|lim|pi|det"
PROSE = re.compile(rf"(?<![A-Za-z\\])(?!(?:{_FUNCTION_NAME})(?![A-Za-z]))[A-Za-z]{{3,}}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s?\{[a-z]+\}")
DELIMITERS = re.compile(r"\$\$|(?<!\\)\$|\\[()\[\]]")
_CURRENCY = re.compile(r"(?<!\\)\$(?=\d[\d,.]*(?:[.,;!?]?\s+[A-Za-z]{2}|[.,;!?]?$))")
_HASHES = re.compile(r"(?:\A|\n)[ \t]*####(?!.*####)", re.DOTALL)
_SMALL_WORD = re.compile(
    r"(?<![A-Za-z\\])(?:is|so|no|to|of|it|by|we|he|at|as|be|if|my|do|go|us|up|on|an|am|me|vs|oh|ok)(?![A-Za-z])",
    re.IGNORECASE,
)
_MANY = 5  # boxes that are never closed; a text with more is no answer
_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
TEXT_WORD = re.compile(r"\\(?:text|textbf|mathrm|mbox)\s?\{\s*(or|and|OR|AND)\s*\}")
_TEXT_PROSE = re.compile(r"\\text\s?\{(\s*[A-Za-z]+ [A-Za-z]+[^{}]*)\}")
_BOLD = re.compile(r"(?<![\w)*])\*\*(?=\S)|(?<=[^\s*])\*\*(?![\w(*])|__|`")
_WORD = (
    rf"[a-z]\.[a-z]\.|(?!(?:{_FUNCTION_NAME})(?![A-Za-z]))[^\W\d_]{{2,}}(?:'[a-z]+)?"
    r"|[^\W\d_A-Za-z]|[Ii](?= )|[A-Za-z]'[a-z]+"
    r"|(?<![\w\\])[aA](?= [A-Za-z]{2,})"
)
_TOKEN = re.compile(
    r"(?P<sign>[∅½⅓⅔¼¾⁰¹²³⁴⁵⁶⁷⁸⁹⁻])|(?P<math>[A-Za-z]*\\[A-Za-z]+(?:\s?\{[^{}]*\})?|\\.|\\)"
    rf"|(?P<function>(?:{_FUNCTION_NAME})(?![A-Za-z]))|(?P<glued>(?<=\d)[A-Za-z]+)|(?P<word>{_WORD})"
    r"|(?P<part>[A-Za-z\d.,:%°$€£¥+\-*/^_=<>!(){}\[\]|'&−–×·÷π√∞≤≥≠∈∪±≈；，、;])|(?P<space>[ \t]+)|(?P<other>.)",
    re.DOTALL,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|[。！？\n]+")
_CONCLUDES = re.compile(
    r"\W{0,4}\b(?:therefore|thus|hence|so|in conclusion|finally|consequently|it follows)\b"
    r"|\W{0,4}(?:∴|因此|所以|故|よって|したがって|ゆえに)",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"[, ]\s{0,9}(?:\b(?:because|since|as|where|given that|which is|that is)\b|因为|なぜなら)", re.IGNORECASE
)
_COMPARED = re.compile(
    r"(?:\b(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger|other) than(?: or equal to)?"
    r"|\bat (?:least|most)|\bover"
    r"|\bunder|\babove|\bbelow|\bup to|\bbetween|\bfrom|\bbeyond|\bexcept|\banything but"
    r"|\bhalf(?: of)?|\btwice|\bdouble|\btriple|\b(?:third|quarter|percent|%) of|\btimes"
    r"|超过|少于|不到|大于|小于|至少|最多)\s*$",
    re.IGNORECASE,
)
_COMPARED_AFTER = re.compile(
    r"\s*(?:(?:or|and) (?:more|less|fewer|greater|larger|smaller|higher|lower|above|below|over|under)\b"
    r"|以上|以下|未満|以内|以外"
    r"|を超え|より[大小多少]|余)",
    re.IGNORECASE,
)
_MAY_DENY = re.compile(
    r"n[o'](?:t\b|r\b|\b|ne\b)|t\b|never|wrong|false|incorrect|mistak|rather|instead|except|other|oppos|unlike|confus"
    r"|doubt|without|exclud|impossib|ruled|myth|kein|nicht|[不非没ない違誤错錯]",
    re.IGNORECASE,
)
_JOINS = re.compile(
    r"\s*(?:[,;、，]\s*)?(?:(?:or|and|or else|または|或者|或|と|和|及び|以及|、|,|;)\s*)?", re.IGNORECASE
)
_MORE_FRAME = frozenset(
    [
        *(
            "answer",
            "final",
            "result",
            "value",
            "equals",
            "equal",
            "solution",
            "total",
            "sum",
            "gives",
            "get",
            "obtain",
        ),
        *("obtained", "have", "find", "found", "number", "correct", "approximately", "about", "roughly", "exactly"),
        *("simply", "therefore", "thus", "hence", "so", "conclusion", "hope", "is"),
    ]
)
_FRAME = (FUNCTION | ASIDES | HEDGES | _MORE_FRAME) - NEGATIONS - frozenset(["or", "nor", "and", "but", *NUMBER_WORDS])
_UNSPACED_FRAME = re.compile(
    r"答案|答え|解答|回答|正解|结果|結果|因此|所以|故|应该|應該|大约|大約|约|約|等于|等於|最终"
    r"|最終|我|认为|是|为|為|的|です|でしょう|だと|思います|である|だ"
    r"|になります|となります"
    r"|よって|したがって|は|が|の|个|個|人|元|円|块|本|冊|枚|匹|歳|岁|年|只|名|つ|km|に|な|り|ま|す"
)


class _Run(NamedTuple):
    """A piece of mathematics in a sentence."""

    text: str
    start: int
    end: int


def _runs(sentence: str) -> tuple[list[_Run], list[tuple[str, int]]]:
    """The mathematics of a sentence, and its words with their offsets."""
    runs: list[_Run] = []
    words: list[tuple[str, int]] = []
    start = -1
    end = 0

    def close() -> None:
        nonlocal start
        if start >= 0:
            text = sentence[start:end]
            bare = text.strip(" .,;:!?'、，；" if words or runs else " .,;:'、，；").lstrip("=) ").rstrip("( ")
            if (
                any(c.isdigit() for c in bare)
                or "\\" in bare
                or "=" in bare
                or re.fullmatch("[A-Za-z]|[π∞∅½⅓⅔¼¾]", bare)
            ):
                runs.append(_Run(bare, start, end))
        start = -1

    for token in _TOKEN.finditer(sentence):
        kind = token.lastgroup
        if kind == "space":
            continue
        if kind in ("word", "other"):
            close()
            words.append((token[0], token.start()))
            continue
        if start < 0:
            start = token.start()
        end = token.end()
    if start >= 0 and not words and not runs:
        text = sentence[start:end].strip(" ,;")
        return ([_Run(text, start, end)] if any(c.isalnum() or c == "∅" for c in text) else []), words
    close()
    return runs, words


def boxes_of(text: str) -> tuple[list[str], str]:
    """What stands in boxes, and the text without them. A box in a box is one."""
    found, rest, at = [], [], 0
    unclosed = 0
    for box in _BOX.finditer(text):
        if box.start() < at or unclosed > _MANY:
            continue
        depth = 1
        for brace in _BRACE.finditer(text, box.end()):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)
            if not depth:
                found.append(_BOX.sub("{", text[box.end() : brace.start()]))
                rest.append(text[at : box.start()])
                at = brace.end()
                break
        unclosed += depth > 0
    return [content for content in found if content.strip("{} ")], "".join([*rest, text[at:]])


def _numbers_of(question: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", question))


def _candidates(sentence: str, question: str) -> list[_Run]:
    """The mathematics that a sentence offers: not what it denies, gives as a reason, or takes from the question."""
    runs, words = _runs(sentence)
    if not words:
        return runs
    reason = next(
        (hit.start() for hit in _REASON.finditer(sentence) if any(r.end <= hit.start() + 1 for r in runs)), None
    )
    runs = [r for r in runs if reason is None or r.start < reason]
    if _MAY_DENY.search(sentence):
        runs = [r for r in runs if not denied(sentence, r.start, r.end)]
    if any(len(r.text) > 1 or r.text.isdigit() for r in runs):
        runs = [r for r in runs if len(r.text) > 1 or not r.text.isalpha()]
    if question and len({key(clean(r.text)) for r in runs}) > 1:
        asked = _numbers_of(question)
        runs = [r for r in runs if clean(r.text) not in asked] or runs
    return runs


def _one(sentence: str, runs: Sequence[_Run]) -> str | None:
    """The one expression that a sentence's runs are: the same again, or a list joined by "or", "and" or commas."""
    if any(
        _COMPARED.search(sentence[max(0, r.start - 30) : r.start]) or _COMPARED_AFTER.match(sentence, r.end)
        for r in runs
    ):
        return None
    texts = [_with_unit(sentence, r) for r in runs]
    distinct = {identity(text): text for text in reversed(texts)}
    if len(distinct) == 1:
        return texts[0]
    gaps = [sentence[a.end : b.start] for a, b in pairwise(runs)]
    return ", ".join(r.text for r in runs) if all(_JOINS.fullmatch(gap) for gap in gaps) else None


_NEXT_WORD = re.compile(r"\s?([A-Za-z]{1,12}|[元円百千万亿億])")
_MAGNITUDES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_MAGNITUDES |= {"百": 100, "千": 10**3, "万": 10**4, "亿": 10**8, "億": 10**8}


def _with_unit(sentence: str, run: _Run) -> str:
    """A run with the unit that is the next word."""
    following = _NEXT_WORD.match(sentence, run.end) if run.text[-1:].isdigit() else None
    if following and following[1].lower() in _MAGNITUDES:
        return rf"{run.text} \times {_MAGNITUDES[following[1].lower()]}"
    return f"{run.text} {following[1]}" if following and known_unit(following[1]) else run.text


def identity(text: str) -> object:
    """What two runs share if they are the same: 0.25 and 25%."""
    bare, unit = measured(clean(text))
    value = number(bare)
    return key(clean(text)) if value is None else value / 100 if unit == "%" else value


def is_framed(text: str, stated: str, question: str) -> bool:
    """Whether a reply is one expression in a frame, others at most being denied: the strict reading."""
    asked = {w.lower() for w in re.findall(r"[^\W\d_]{2,}", question)}
    same = {key(clean(stated)), identity(stated)}
    for line in _SENTENCE.split(text):
        runs, words = _runs(line)
        kept = [r for r in runs if not denied(line, r.start, r.end)] if _MAY_DENY.search(line) else runs
        joined = _one(line, kept) if len(kept) > 1 else None
        if not all(
            {key(clean(said)), identity(said)} & same for said in ([joined] if joined else [r.text for r in kept])
        ):
            return False
        frame = _FRAME | _DENYING if len(kept) < len(runs) else _FRAME
        last = max((r.end for r in kept), default=-1)
        unit = [word for word, at in words if 0 <= last <= at and word.islower() and word.isascii()][:2]
        for word, _ in words:
            folded = word.lower().replace("'", "")
            if folded in frame or folded in asked or (joined and folded in ("or", "and")):
                continue
            if not folded.isascii() and not _UNSPACED_FRAME.sub("", folded):
                continue
            if word not in unit or folded in NUMBER_WORDS or folded in NEGATIONS or folded in _OFFERS:
                return False
    return True


_DENYING = frozenset(["not", "wrong", "incorrect", "false", "rather", "than", "instead", "isnt", "but"])
_OFFERS = frozenset(
    ["or", "nor", "and", "but", "maybe", "perhaps", "possibly", "either", "versus", "vs", "alternatively"]
)


def statement(answer: str, question: str) -> tuple[str, str]:
    """The one expression that a reply states, "" if there is none or several; and the text that it was found in."""
    text = answer[-LONGEST:].strip()
    boxes, outside = boxes_of(text)
    if boxes:
        distinct = {key(clean(content)): content for content in boxes}
        return ", ".join(distinct.values()), outside
    hashes = _HASHES.search(text)
    if hashes:
        text = text[hashes.end() :].strip()
    text = _CURRENCY.sub(r"\\$", TEXT_WORD.sub(r" \1 ", _TEXT_PROSE.sub(r" \1 ", _BOLD.sub(" ", text))))
    text = DELIMITERS.sub(" ", text).strip()
    bare = _ENVIRONMENT.sub(" ", clean(text)) if text.isascii() else ""
    if bare and not PROSE.search(bare) and not _SMALL_WORD.search(bare):
        return re.sub(r"\s*\n\s*", " , ", text), ""
    rest = last_choice(text, lambda tail: bool(_runs(tail[:200])[0])).rstrip("! \n")  # no factorial in a sentence
    sentences = [s.strip() for s in _SENTENCE.split(rest) if s and s.strip()]
    found = [(i, runs) for i, s in enumerate(sentences) if (runs := _candidates(s, question))]
    if not found:
        return "", text
    conclusion = next((f for f in reversed(found) if _CONCLUDES.match(sentences[f[0]])), None)
    at, runs = conclusion or found[0]
    stated = _one(sentences[at], runs)
    if stated is None:
        return "", text
    same = identity(stated)
    offered = set(alternatives(sentences[at + 1 :]))
    for i, later in found:
        short = len(_runs(sentences[i])[1]) <= 3
        if i > at and (short or sentences[i] in offered) and any(identity(r.text) != same for r in later):
            return "", text
    return stated, text
