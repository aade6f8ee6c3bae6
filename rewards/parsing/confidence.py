"""Confidence that a reply states: "Confidence: 85%", <confidence>0.85</confidence>, "I'm 80% sure", 確信度, 置信度.

A number means a fraction where it can: 0 to 1 as it stands (so a bare 1 is certainty), with % or above 10 out of 100;
"4/5", "nine out of ten" and 9割 are out of what they say, a bound ("over 80%") is its number. Between 1 and 10 nobody
can say whether 8 is 8 % or 8 of 10: it is read only under an explicit scale. Whatever can't be read (150 %, NaN,
"high", 80-90 %, a name) is `None`, and is taken out of the answer all the same, with the line that it stands on: what
follows "Confidence:" is never an answer. "Probability:" is a confidence only below an answer, for alone it may be one.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_NUMBER = r"[-−+]?(?:\d++(?:[.,．]\d++)?|\.\d++)"
_OF = r"\s{0,2}(?:/\s?|out of (?:a )?|in )(?:\d{1,4}\b|five\b|ten\b|(?:one |a )?hundred\b)"
_UNIT = rf"{_OF}|\s{{0,2}}(?:[%％]|\\%|percent\b|per cent\b|pct\b|パーセント|割(?:\d分)?|成)"
_RANGE = rf"\s{{0,2}}(?:-|–|~|〜|～|to|から|到|至)\s{{0,2}}{_NUMBER}(?:{_UNIT})?"
_ONES = {
    **{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    **{"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16},
    **{"seventeen": 17, "eighteen": 18, "nineteen": 19},
}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_WORDS = (
    rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:one |a )hundred"
    rf"|{'|'.join(sorted(_ONES, key=len, reverse=True))}|zero point [a-z]{{3,5}}(?: [a-z]{{3,5}})?|hundred)"
)
_KANJI = r"[〇一二三四五六七八九十百两兩]{1,5}"
_VALUE = (
    r"(?:(?:about|around|roughly|approximately|approx\.?|nearly|almost|over|at least|only|like|maybe"
    r"|(?:well )?below|under|less than|above|more than|at most"
    r"|大约|大約|大概|约|約|およそ|だいたい)\s?)?[~≈〜～≥≤><]?\s?"
    rf"(?:(?<![\d.,])(?P<number>{_NUMBER})(?!e[-+]?\d)(?P<unit>{_UNIT})?(?P<range>{_RANGE})?"
    rf"|(?P<words>{_WORDS})(?P<word_unit>{_UNIT})"
    rf"|(?P<kanji>{_KANJI})(?P<kanji_unit>割(?:[一二三四五六七八九]分)?|成|パーセント|[%％])"
    rf"|百分之(?P<hundredths>\d{{1,3}}|{_KANJI}))"
)
_AT = re.compile(
    rf"[\s*_`$(（\[「\"'{{]{{0,5}}(?:\\(?:boxed|text|textbf|mathbf)\{{)?{_VALUE}[*_`$)）\]」\"'}}]{{0,4}}",
    re.IGNORECASE,
)
_VALUE_BEFORE = re.compile(
    r"(?:\b(?:i am|i['’]m|im|i feel|i have|with(?: an?)?|at|a|an|there is an?|there['’]s an?) |我有|有)?"
    rf"(?<![A-Za-z0-9_]){_VALUE}[ \t]?(?:chance of |level of |の|的|ほど|くらい|ぐらい|左右)?(?:の)?\Z",
    re.IGNORECASE,
)
_VALUE_ENDS = re.compile(  # whatever `_VALUE_BEFORE` finds ends so
    r"(?:[\d%％割成分トの的どい右〇一二三四五六七八九十百两兩]|(?i:five|ten|hundred|cent|pct|of ))[ \t]?\Z"
)
_VAGUE = re.compile(
    r"[\s*_`(（\[\"']{0,4}(?:(?:(?:very |quite |fairly |moderately |extremely )?"
    r"(?:high|low|medium|moderate|strong|weak)"
    r"|nan|none|null|unknown|certain|uncertain|n/?a|inf\w{0,5})\b|非?常?[高低中强強]い?)",
    re.IGNORECASE,
)
_LABELS = (
    r"how (?:confident|sure|certain)|(?:confidence|certainty|sureness|credence|conf)(?![a-z])"
    r"|確信度|信頼度|自信度|自信|確度|信頼性|确信度|置信度|置信水平|信心程度"
    r"|信心指数|信心指數|信心度|信心|把握程度|把握度|把握|可信度|确定度|確定度|信賴度|信赖度|确信程度|確信"
)
_WEAK = r"p\((?:true|correct)\)|probability|likelihood|chance|prob(?![a-z])|確率|概率|機率|几率|可能性"
_SURE = r"sure|certain|confident|positive|confidence|certainty"
_ANCHOR = re.compile(rf"(?P<label>{_LABELS})|(?P<weak>{_WEAK})|(?P<sure>(?:{_SURE})(?![a-z]))|确信|确定|確定|肯定")
_SIMPLE = re.compile(
    r"(?:\n\**(?:confidence|certainty)(?: level| score)?\**: ?\**|<confidence>\s?)"
    r"(\d{1,3}(?:\.\d{1,6})?) ?(%?)(?:\s?</confidence>|\**\.?)\Z"
)
_HINT = re.compile(r"p\(|sure|certain|conf|positive|credence|prob|likelihood|chance|确|確|信|把|自|肯|概|機|几|可")
_BEFORE_HINT = ("how ", "置", "")  # what an anchor may begin with before its hint
_TAIL = re.compile(
    r"(?: (?:level|score|rating|estimate|value|probability|percentage|index|in (?:this|my|the|that)(?: answer)?))?"
    r"(?: (?:of |that )?(?:being |it is |this |the |my |answer |is ){0,4}(?:correct(?:ness)?|right|true))?"
    r"(?:\s?[(（][^()（）\n]{0,30}[)）])?[*_`\"']{0,4}[ \t]{0,4}"
    r"(?:(?P<colon>[:：=]|->|→|[-–—](?=[ \t]{1,3}[~\d.]))|(?P<verb>は|为|為|是|\bis\b|\bof\b)|(?P<end>(?:\n|\Z)))?"
    r"[*_ \t}]{0,6}",
    re.IGNORECASE,
)
_OWNER = re.compile(
    r"(?:\b(?:my|your|the|our|overall|stated|answer|final"
    r"|self-?(?:reported)?|estimated|model)[ _-]|私の|我的|正确的|正確的|正解の|回答の"
    r"|[\"'“]|\\text(?:bf)?\{){0,30}\Z",
    re.IGNORECASE,
)
_OF_WHAT = re.compile(
    r"(?:が(?:あります|ある)|で、?|を持って|是)"
    r"|(?: (?:that|in (?:this|my|that|the)(?: answer)?|of (?:this|that|it)|about (?:this|that|it)))?"
    r"(?: (?:it['’]s|it is|it was)\b)?",
    re.IGNORECASE,
)
_NO_STATEMENT = re.compile(r" (?:interval|limit|band|region|bound)s?\b")
_TAG = re.compile(
    r"<(?P<name>confidence(?:_score|_level)?|certainty|probability|conf|prob)>(?P<inner>[^<]{0,60})(?:</(?P=name)>|\Z|(?=<))",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot|dont|isnt|wasnt|cant|arent|aint)\b|\w{1,7}n['’]t\b|不|没有|沒有)"
    r"[ \t]*(?:\w{1,20} ){0,2}\Z",
    re.IGNORECASE,
)
_DANGLING = re.compile(r"(?:\s|[,，、;；|]|\b(?:and|with|but)\b|\*\*|[-–—](?=\s|\Z)){1,48}[.。]?\Z")
_EMPTY_BRACKETS = re.compile(r"[(（\[{][\s*_]{0,3}[)）\]}]|\\text\{\s{0,3}\}")
_ANSWER_CUE = re.compile(r"<answer|\\boxed|\\fbox|\b(?:final |my |the )?answer\b|\bguess\b|答", re.IGNORECASE)
_LINE_START = re.compile(r"(?:\A|\n)[^\w\n]{0,30}\Z")
_BOUNDARY = re.compile(r"(?:[.,;:!?|(\[{（【。，、；！？\-–—/][\s*_\"']*|\A[\s*_#]*|\n[^\w\n]*)\Z")
_BEFORE = 48  # characters in which a value or a "not" may stand before what it belongs to
_LINE = 240  # characters of a line that are looked at
_GAP = 30
_LINE_END = re.compile(r"[^\w\n]{0,5}(?:\n|\Z)")
_SPACE = re.compile(r"\s{0,20}")
_HEADING = re.compile(r"[ \t#*>_-]{0,30}\Z")
_SAID = re.compile(r"[\s*_#>|-]*+[^\s*_#>|-]")
_NEAR = re.compile(r"\d|[割成%％]|(?i:percent|hundred|per cent|out of)|百分之")
_DIGITS = re.compile(r"\d+")
_OPENERS = ("(", "（", "[", "【", "{")
_CLOSERS = (")", "）", "]", "】", "}")
_STOP = re.compile(r"[.!](?:\s|\Z)|[。！]|[,;，；]")
_JUDGED = re.compile(
    r"too|not|n['’]t|insufficient|enough|very|quite|low|high|zero|不|低|高|ない|ません", re.IGNORECASE
)
_CLOSING = re.compile(r"[)）\]】]|<")
_POINT = re.compile(r"[01]?[.,．]\d")
_WITH = re.compile(r"with\b", re.IGNORECASE)
_CHANCE_THAT = re.compile(r" (?:that |of it being )?(?:it['’]?s|it is|the answer is|this is|it was)\b", re.IGNORECASE)


class _Statement(NamedTuple):
    start: int
    end: int
    value: float | None


def read_confidence(text: str, scale: float | None = None) -> tuple[str, float | None]:
    """The text without its stated confidence, and that confidence in [0, 1]; the last statement counts.

    Args:
        scale: what full confidence is called (1, 10 or 100) where the prompt asked for such numbers; % is of 100.

    Raises `ValueError` if `scale` is not a positive number.

    Example:
        >>> read_confidence("Paris (confidence: 85%)")
        ('Paris', 0.85)
        >>> read_confidence("I'm 80% sure it's Paris"), read_confidence("パリ 確信度：８５％")
        (('Paris', 0.8), ('パリ', 0.85))
        >>> [read_confidence(f"Confidence: {c}")[1] for c in ("0.85", "85", "8/10", "8", "150%", "NaN")]
        [0.85, 0.85, 0.8, None, None, None]
        >>> read_confidence("Paris. Confidence: 8", scale=10)
        ('Paris.', 0.8)
        >>> read_confidence("1985\\nConfidence: ninety percent"), read_confidence("巴黎\\n把握：九成")
        (('1985', 0.9), ('巴黎', 0.9))
    """
    if scale is not None and not 0 < scale < math.inf:
        raise ValueError(f"confidence_scale {scale!r} is not a positive number; it is usually 1, 10 or 100")
    lowered = text.lower()
    lowered = lowered if len(lowered) == len(text) else text.replace("İ", "I").lower()
    if len(lowered) != len(text) or not _HINT.search(lowered):  # most replies state none, and this is quickly seen
        return text, None
    simple = _SIMPLE.search(lowered, max(0, len(text) - _BEFORE))
    if simple and not _HINT.search(lowered, 0, simple.start()):  # as most prompts ask for it
        number, full = float(simple[1]), _full(simple[2], float(simple[1]), scale)
        return text[: simple.start()].strip().rstrip(",;|"), number / full if full and number <= full else None
    found: list[_Statement] = []
    if "<" in text:
        found = [_Statement(tag.start(), tag.end(), number_stated(tag["inner"], scale)) for tag in _TAG.finditer(text)]
    tags = iter(found[:])
    tag = next(tags, None)
    done = 0
    for anchor in _anchors(lowered):
        at = anchor.start()
        while tag and tag.end <= at:
            tag = next(tags, None)
        if at < done or (tag and tag.start <= at):
            continue
        if anchor[0][0].isascii() and lowered[at - 1 : at].isalnum():
            continue  # overconfidence, insure, uncertain
        statement = _labelled(text, anchor, scale) or _preceded(text, anchor, scale)
        if statement:
            found.append(_with_brackets(text, statement))
            done = statement.end
    if not found:
        return text, None
    last = max(found, key=lambda one: one.end)
    return _without(text, found), last.value


def _with_brackets(text: str, one: _Statement) -> _Statement:
    """The statement with the brackets that hold it alone."""
    if text[max(0, one.start - 1) : one.start] not in _OPENERS:
        return one
    closes = text[one.end : one.end + 1] in _CLOSERS
    if closes or text[one.end - 1] in _CLOSERS:
        return _Statement(one.start - 1, one.end + closes, one.value)
    return one


def number_stated(text: str, scale: float | None = None) -> float | None:
    """The confidence that a text is, and nothing else.

    Example:
        >>> [number_stated(text) for text in ("0.9", "~90 %", "ninety-five percent", "九割", "4/5", "9", "Oslo")]
        [0.9, 0.9, 0.95, 0.9, 0.8, None, None]
    """
    value = _AT.match(text)
    return _value(value, scale) if value and not text[value.end() :].strip(" .*\n。") else None


def _anchors(lowered: str) -> Iterator[re.Match[str]]:
    """What `_ANCHOR` finds, all of which holds a hint at its beginning or right behind it; hints are found faster."""
    done = 0
    while hint := _HINT.search(lowered, done):
        for lead in _BEFORE_HINT:
            at = hint.start() - len(lead)
            if at >= done and lowered.startswith(lead, at) and (anchor := _ANCHOR.match(lowered, at)):
                yield anchor
                done = anchor.end()
                break
        else:
            done = hint.start() + 1


def _labelled(text: str, anchor: re.Match[str], scale: float | None) -> _Statement | None:
    """ "Confidence: 85%" and its like."""
    if not (anchor["label"] or anchor["weak"]):
        return None
    tail = _TAIL.match(text, anchor.end())
    assert tail is not None  # all of it is optional
    value = _AT.match(text, tail.end())
    if not (value or tail["colon"] or tail["verb"] or tail["end"] is not None):
        return None
    owner = _OWNER.search(text, max(0, anchor.start() - _GAP), anchor.start())
    start = owner.start() if owner else anchor.start()
    heads = _LINE_START.search(text, max(0, start - _GAP), start) is not None
    if heads:
        start = _HEADING.search(text, max(0, start - _GAP), start).start()  # type: ignore[union-attr]
    if anchor["weak"] and (not heads or not _says(text, start)):
        return None
    line_end = text.find("\n", tail.end(), tail.end() + _LINE)
    line_end = min(len(text), tail.end() + _LINE) if line_end < 0 else line_end
    if tail["end"] is not None or (tail["colon"] and not text[tail.end() : line_end].strip(" \t*_")):
        return _under_heading(text, start, tail, heads, scale)
    if tail["colon"]:
        return _after_colon(text, anchor, (start, tail.end(), line_end), heads, scale)
    if tail["verb"]:
        return None if _denied(text, start) else _after_verb(text, anchor, (start, tail.end(), line_end), heads, scale)
    bracketed = text[start - 1 : start] in ("(", "（", "[", "【")
    if value and (heads or bracketed) and not text[value.end() : line_end].strip(" .)）]】*") and _is_share(value):
        return _Statement(start, _end(value), _value(value, scale))
    return None


def _after_verb(
    text: str, anchor: re.Match[str], places: tuple[int, int, int], heads: bool, scale: float | None
) -> _Statement | None:
    """ "My confidence is 85%", "is high", or, of one's own, whatever it is said to be."""
    start, at, line_end = places
    if (value := _AT.match(text, at, line_end)) and not anchor["weak"]:
        return _Statement(start, _end(value), _value(value, scale))
    if vague := _VAGUE.match(text, at, line_end):
        return _Statement(start, vague.end(), None)
    own = text[start : anchor.start()].strip(" \t#*>_-").lower() in ("my", "我的", "私の")
    stop = _STOP.search(text, at, line_end)
    end = stop.end() if stop else line_end
    named = own and heads and not _JUDGED.search(text, at, end)  # "is too low to answer" says that it is not known
    return _Statement(start, end, None) if named else None


def _under_heading(text: str, start: int, tail: re.Match[str], heads: bool, scale: float | None) -> _Statement | None:
    """A label with nothing behind it ("### Confidence", "Confidence:"): its value may be the next line."""
    value = _AT.match(text, _SPACE.match(text, tail.end()).end()) if heads else None  # type: ignore[union-attr]
    if value and _LINE_END.match(text, value.end()):
        return _Statement(start, _end(value), _value(value, scale))
    line = text[text.rfind("\n", 0, start) + 1 : tail.end()].strip()
    if tail["colon"] or (heads and line.startswith(("#", "**", "__"))):
        return _Statement(start, tail.end(), None)
    return None


def _after_colon(
    text: str, anchor: re.Match[str], places: tuple[int, int, int], heads: bool, scale: float | None
) -> _Statement | None:
    """ "Confidence: 85%", "Confidence: high", or "Confidence: Oslo", which is neither a confidence nor an answer."""
    start, at, line_end = places
    value = _AT.match(text, at, line_end)
    cue = _ANSWER_CUE.search(text, value.end() if value else at, line_end)
    limit = cue.start() if cue else line_end
    said = _says(text, start)
    if value:
        # "Confidence: 85% because …" below an answer: the whole line is about the confidence
        end = limit if said and heads and not cue and "</" not in text[value.end() : limit] else _end(value)
        return _Statement(start, end, _value(value, scale))
    if anchor["weak"]:
        return None
    vague = _VAGUE.match(text, at)
    values = list(_AT.finditer(text, at, limit))
    stated = _value(values[0], scale) if len(values) == 1 and _is_share(values[0]) else None
    if vague:
        return _Statement(start, limit if (said and heads) or values else vague.end(), stated)
    if not _BOUNDARY.search(text, max(0, start - _GAP), start):
        return None
    closing = _CLOSING.search(text, at, limit)
    return _Statement(start, closing.start() if closing else limit, stated)


def _says(text: str, end: int) -> bool:
    """Whether something is said before `end`."""
    return _SAID.match(text, 0, end) is not None


def _preceded(text: str, anchor: re.Match[str], scale: float | None) -> _Statement | None:
    """ "I'm 80% sure that it's", 八割の確信, 90%的把握."""
    at = anchor.start()
    if not (_VALUE_ENDS.search(text, max(0, at - 10), at) and _NEAR.search(text, max(0, at - 20), at)):
        return None
    if _NO_STATEMENT.match(text, anchor.end()):
        return None
    english = anchor[0].isascii()
    window = text[max(0, at - _BEFORE) : at].rpartition("\n")[2]
    value = _VALUE_BEFORE.search(window) if window else None
    if value is None:
        return None
    introduced = value.start() < value.start("number") if value["number"] else True
    if not (_is_share(value) or (english and introduced and value["number"])):
        return None
    that = _CHANCE_THAT.match(text, anchor.end()) if anchor["weak"] and english else None
    if anchor["weak"] and english and not that and not _WITH.match(value[0]):
        return None
    start = at - len(window) + value.start()
    if _denied(text, start):
        return None
    what = that or _OF_WHAT.match(text, anchor.end())
    return _Statement(start, what.end() if what else anchor.end(), _value(value, scale))


def _end(value: re.Match[str]) -> int:
    """Where a value ends: brackets behind it belong to it only if it opens them."""
    lead = value[0][: (value.start("number") if value["number"] else value.start() + 6) - value.start()]
    opens = any(char in "([（「{" for char in lead)
    return value.end() if opens else value.start() + len(value[0].rstrip(")）]」}*_`$\"'"))


def _is_share(value: re.Match[str]) -> bool:
    """Whether a value can only be a share: with a unit, or a fraction below one."""
    return not value["number"] or bool(value["unit"]) or bool(_POINT.match(value["number"]))


def _denied(text: str, start: int) -> bool:
    """ "not 100% sure" states nothing."""
    return bool(_DENIED.search(text[max(0, start - _BEFORE) : start].rpartition("\n")[2]))


def _value(match: re.Match[str], scale: float | None) -> float | None:
    """What a value says, in [0, 1]."""
    if match["range"]:
        return None
    if match["number"]:
        value = float(match["number"].replace(",", ".").replace("．", ".").replace("−", "-"))
        unit = match["unit"] or ""
    elif match["words"]:
        value, unit = _spelt(match["words"].lower()), match["word_unit"]
    else:
        value = _spelt_in_kanji(match["kanji"] or match["hundredths"])
        unit = match["kanji_unit"] or "%"
    full = _full(unit.strip().casefold(), value, scale)
    if unit.startswith("割") and len(unit) == 3:  # 9割5分
        value += _spelt_in_kanji(unit[1]) / 10
    return value / full if full and 0 <= value <= full else None


def _spelt(words: str) -> float:
    if "hundred" in words:
        return 100
    if words.startswith("zero point "):
        digits = [str(_ONES.get(word, "")) for word in words.split()[2:]]
        return float("0." + "".join(digits)) if all(digits) else math.nan
    return sum(_TENS.get(word, _ONES.get(word, 0)) for word in re.split(r"[- ]", words))


def _spelt_in_kanji(text: str) -> float:
    if text.isdecimal():
        return float(text)
    digits = {char: i for i, char in enumerate("〇一二三四五六七八九")} | {"两": 2, "兩": 2}
    if text.startswith(("百", "一百")):
        return 100
    tens, ten, ones = text.partition("十")
    if not ten:
        return float("".join(str(digits.get(char, 0)) for char in text))
    return 10.0 * (digits.get(tens, 1) if tens else 1) + (digits.get(ones, 0) if ones else 0)


def _full(unit: str, value: float, scale: float | None) -> float | None:
    """What full confidence is on the scale in which `value` is stated; `None` if that can't be known."""
    if unit.startswith(("/", "out of", "in ")):
        digits = _DIGITS.search(unit)
        named = 5.0 if unit.endswith("five") else 10.0 if unit.endswith("ten") else 100.0
        return (float(digits[0]) or None) if digits else named
    if unit.startswith(("割", "成")):
        return 10.0
    if unit:
        return 100.0
    if scale is not None:
        return scale
    return 1.0 if value <= 1 else 100.0 if value > 10 else None


def _without(text: str, found: list[_Statement]) -> str:
    """The text without the statements, and without the brackets, commas and labels that they leave behind."""
    kept, done = [], 0
    for one in sorted(found):
        kept.append(text[done : max(done, one.start)].strip(" \t"))
        done = max(done, one.end)
    kept.append(text[done:].strip(" \t"))
    rest = _EMPTY_BRACKETS.sub("", " ".join(kept)).strip()
    tail = _DANGLING.sub("", rest[-_BEFORE:])
    return (rest[:-_BEFORE] + tail).lstrip(" ,，、;；:.。)*|").rstrip()
