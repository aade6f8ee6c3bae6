"""Confidence that a reply states: "Confidence: 85%", <confidence>0.85</confidence>, "I'm 80% sure", 確信度, 置信度.

A number means a fraction where it can: 0 to 1 as it stands (so a bare 1 is certainty), with % or above 10 out of 100.
Between 1 and 10 nobody can say whether 8 is 8 % or 8 of 10: it is read only under an explicit scale, and so is "8/10".
Whatever can't be read (150 %, NaN, "high", 80-90 %) is `None`, and is taken out of the answer all the same.
"""

import math
import re

_NUMBER = r"[-−+]?(?:\d++(?:[.,．]\d++)?|\.\d++)"
_UNIT = r"\s{0,2}(?:[%％]|percent\b|per cent\b|パーセント|/\s?100?\b|out of 100?\b)"
_RANGE = rf"\s{{0,2}}(?:-|–|~|〜|～|to|から|到|至)\s{{0,2}}{_NUMBER}(?:{_UNIT})?"
_VALUE = rf"(?<![\d.,])(?P<number>{_NUMBER})(?P<unit>{_UNIT})?(?P<range>{_RANGE})?"
_WORD = (
    r"(?:very |quite |fairly )?(?:high|low|medium|moderate|nan|none|null|unknown|certain|uncertain|n/a|inf\w{0,5})\b"
    r"|非?常?[高低中]い?"
)
_ENGLISH = (
    r"(?:my |your |overall |stated |answer )?(?:confidence|certainty)"
    r"(?: (?:level|score|rating|estimate|value|probability|in (?:this|my|the) answer))?"
)
_CJK = (
    r"(?:私の|我的)?(?:確信度|信頼度|自信度|自信|確度|信頼性|确信度|置信度|置信水平|信心程度|信心指数|信心指數|信心度|信心"
    r"|把握程度|把握度|把握|可信度|确定度|確定度|信賴度)"
)
_COLON = r"\*{0,3}\s{0,4}(?:[:：=]|は|为|為|是|\bis\b|\bof\b)\s{0,4}\*{0,3}\s{0,4}(?:about |around |约|約)?"
_I_AM = (
    r"(?:\b(?:i am|i['’]m|im|i feel|with(?: a)?|at) )?"
    r"(?:\b(?:about|around|roughly|only|at least|approximately|like|maybe) )?"
)
_SURE = r"(?:sure|certain|confident|positive|certainty|confidence(?! (?:interval|level|band|limit)))\b"
_OF_WHAT = (
    r"(?: (?:that|in (?:this|my|that|the)(?: answer)?|of (?:this|that|it)|about (?:this|that|it)))?"
    r"(?: (?:it['’]s|it is|it was)\b)?"
)
_FORMS = (
    rf"<confidence>\s{{0,9}}(?:{_VALUE})?(?P<other>[^<]{{0,40}})(?:</confidence>|\Z)",
    rf"(?<![^\W_])(?:{_ENGLISH}|{_CJK})(?:\s?\([^()]{{0,30}}\))?{_COLON}(?:{_VALUE}|{_WORD})",
    rf"{_I_AM}(?<!\w){_VALUE}\s{{0,2}}{_SURE}{_OF_WHAT}",
    rf"(?:我有|有|约|約|大约|大約|だいたい|約)?{_VALUE}(?:の|的|ほど|くらい|ぐらい|左右)?(?:の)?"
    r"(?:確信|確率|自信|把握|信心|可能性|确信|置信度|确定|確定|肯定)(?:が(?:あります|ある)|で、?|を持って|是)?",
)
_STATED = [re.compile(form, re.IGNORECASE) for form in _FORMS]
_HINT = re.compile(r"sure|certain|confiden|positive|[确確信把自肯]|可能", re.IGNORECASE)
_DENIED = re.compile(r"(?:\bnot|n['’]?t|\bnever|\bcannot|不|没有|沒有)\s*(?:\w+ ){0,2}$", re.IGNORECASE)
_DANGLING = re.compile(r"(?:\s|[,，、;；]|\b(?:and|with|but)\b|\*\*)+[.。]?\Z")
_BEFORE = 40  # characters in which a "not" denies what follows


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
    """
    if scale is not None and not 0 < scale < math.inf:
        raise ValueError(f"confidence_scale {scale!r} is not a positive number; it is usually 1, 10 or 100")
    hinted = _HINT.search(text) is not None  # most replies state none, and this is quickly seen
    found = [m for form in _STATED for m in form.finditer(text) if not _denied(m, text)] if hinted else []
    if not found:
        return text, None
    last = max(found, key=lambda m: m.end())
    return _without(text, found), _value(last, scale)


def _denied(match: re.Match[str], text: str) -> bool:
    """ "not 100% sure" states nothing."""
    return bool(_DENIED.search(text[max(0, match.start() - _BEFORE) : match.start()]))


def _value(match: re.Match[str], scale: float | None) -> float | None:
    number = match["number"]
    if number is None or match["range"] or (match.groupdict().get("other") or "").strip(" .*\n"):
        return None
    value = float(number.replace(",", ".").replace("．", ".").replace("−", "-"))
    unit = (match["unit"] or "").strip().casefold()
    full = _full(unit, value, scale)
    return value / full if full and 0 <= value <= full else None


def _full(unit: str, value: float, scale: float | None) -> float | None:
    """What full confidence is on the scale in which `value` is stated; `None` if that can't be known."""
    if unit.startswith(("/", "out of")):
        return 100.0 if unit.endswith("100") else 10.0
    if unit:
        return 100.0
    if scale is not None:
        return scale
    return 1.0 if value <= 1 else 100.0 if value > 10 else None


def _without(text: str, found: list[re.Match[str]]) -> str:
    """The text without the statements, and without the brackets, commas and labels that they leave behind."""
    kept, done = [], 0
    for match in sorted(found, key=lambda m: m.start()):
        kept.append(text[done : max(done, match.start())])
        done = max(done, match.end())
    kept.append(text[done:])
    rest = re.sub(r"[(（\[]\s{0,3}[)）\]]", "", " ".join(part.strip(" \t") for part in kept)).strip()
    tail = _DANGLING.sub("", rest[-_BEFORE:])
    return (rest[:-_BEFORE] + tail).lstrip(" ,，、;；:.。)*").rstrip()
