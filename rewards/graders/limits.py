"""What makes a number or date no value: "less than 5", "after 1985", "not 5", 以外."""

import re

from abstain.rewards.graders.mentions import Stated
from abstain.rewards.graders.numerals import word_set
from abstain.rewards.graders.statement import denied

_LESS = word_set("before under below < ≤ fewer beneath")
_MORE = word_set("after over above > ≥ exceeding exceeds exceed beyond surpassing surpasses post past")
_TWO = {
    "less than": "<", "fewer than": "<", "lower than": "<", "smaller than": "<", "at most": "<", "up to": "<",
    "no more": "<", "prior to": "<", "earlier than": "<", "no later": "<", "many as": "<", "much as": "<",
    "or equal": "<", "maximum of": "<",
    "more than": ">", "greater than": ">", "higher than": ">", "larger than": ">", "at least": ">", "later than": ">",
    "no less": ">", "not less": ">", "minimum of": ">", "upwards of": ">", "north of": ">", "in excess": ">",
    "excess of": ">", "just under": "<", "just over": ">", "well over": ">", "shy of": "<", "short of": "<",
    "not until": ">", "subsequent to": ">", "bigger than": ">", "longer than": ">", "older than": ">",
    "younger than": "<", "shorter than": "<", "taller than": ">", "heavier than": ">", "sooner than": "<",
}  # fmt: skip
LIMITS = re.compile(
    "|".join(rf"\b{words}\b" for words in sorted([*_TWO, *_LESS, *_MORE], key=len, reverse=True)), re.IGNORECASE
)
_DATES_ONLY = frozenset(["before", "after", "post", "past"])
_SKIP = frozenset(
    ["the", "year", "about", "around", "a", "an", "approximately", "roughly", "ad", "than", "of", "some"]
)
_BEFORE_KANJI = {
    "超过": ">", "超過": ">", "多于": ">", "多於": ">", "大于": ">", "大於": ">", "高于": ">", "至少": ">",
    "最少": ">", "不少于": ">", "晚于": ">", "逾": ">", "少なくとも": ">", "不到": "<", "少于": "<",
    "少於": "<", "小于": "<",
    "低于": "<", "至多": "<", "最多": "<", "不超过": "<", "早于": "<", "不足": "<", "最大": "<",
}  # fmt: skip
_MORE_BEHIND = (
    r"以上|以降|以後|以后|之后|之後|より後|よりも後|より多|を超え|を上回|の後|后|後|余|よりあと|多|\+(?!\s?\d)"
    r"|or (?:more|later|over|above|greater|higher|older|longer)\b|and (?:above|over|up|later|onwards?)\b"
    r"|onwards?\b|plus\b|at least\b|at the earliest\b|の翌年|の次の年|的后一年|的次年|的第二年"
    r"|[-~] ?(?:present|today|now)\b|(?:to|until) (?:the )?(?:present|today|now)\b"
)
_LESS_BEHIND = (
    r"以下|以内|未満|未满|以前|之前|より前|よりも前|より少|を下回|足らず|弱|の前|前"
    r"|or (?:less|fewer|earlier|under|below|before|younger|lower|smaller)\b"
    r"|and (?:below|under|earlier|younger)\b|at most\b|at the latest\b|の前年|的前一年|max(?:imum)?\b|tops\b"
)
_COUNTERS = "[人個个名年円元日月歳岁つ回次本枚台頭头匹]"
_AFTER_BOUND = re.compile(rf"{_COUNTERS}?\s*(?:(?P<more>{_MORE_BEHIND})|(?P<less>{_LESS_BEHIND}))", re.IGNORECASE)
_LAST_WORDS = re.compile(r"[\w']+|[<>≤≥]")


def limit_of(text: str, found: Stated) -> str:
    """Whether "less than", "before", 以上 or the like makes a limit of a number or date."""
    before = text[max(0, found.start - 32) : found.start].lower()
    if before and before.strip():
        words = _LAST_WORDS.findall(before)
        while words and words[-1] in _SKIP and len(words) > 1:
            if f"{words[-2]} {words[-1]}" in _TWO:
                return _TWO[f"{words[-2]} {words[-1]}"]
            words.pop()
        last = words[-1] if words else ""
        if words[-3:] == ["or", "equal", "to"]:
            return "<"
        if last in ("<", ">", "≤", "≥") or (
            (last in _LESS or last in _MORE) and (found.date or last not in _DATES_ONLY)
        ):
            return "<" if last in _LESS else ">"
        if len(words) > 1 and f"{words[-2]} {last}" in _TWO and not (words[-2] == "more" and last == "or"):
            return _TWO[f"{words[-2]} {last}"]
        if not before.isascii():
            tail = before.rstrip()
            for size in (3, 2, 1, 5):
                if tail[-size:] in _BEFORE_KANJI:
                    return _BEFORE_KANJI[tail[-size:]]
    after = text[found.end : found.end + 24]
    if after and (hit := _AFTER_BOUND.match(after)):
        sure = hit["more"] or hit["less"]
        if sure in ("前", "の前", "後", "后", "の後") and not found.date:
            return ""
        return ">" if hit["more"] else "<"
    return ""


_DENYING = word_set(
    """no not nor never neither without wrong false untrue incorrect rather instead except excluding excluded
    excludes unlike other opposed doubt doubtful cannot cant isnt nicht kein keine mistake mistaken impossible
    improbable unlikely ruled question myth misconception lie confused but besides"""
)
_DENYING_KANJI = re.compile(r"[不非没無无违違錯错誤]|な[いくか]|じゃ|ありませ|間違|除|外")


def may_deny(text: str) -> bool:
    """Whether any word of denial stands in a text: the cheap scan."""
    low = text.lower()
    return (
        "n't" in low
        or not _DENYING.isdisjoint(_LETTERS.findall(low))
        or not (low.isascii() or _DENYING_KANJI.search(low) is None)
    )


_LETTERS = re.compile(r"[a-z]+")
_SMALL = r"(?: (?:in|on|the|at|a|it|is|was|be|been|actually|really|that|year|until|only|just))"
_RULED_OUT_BEFORE = re.compile(
    rf"(?:(?<!if )\bnot|n't|\bneither|\bnever|\brather than|\binstead of|\bother than|\bexcept(?: for)?"
    rf"|\bopposed to|(?:^|[,;.(:] ?)unlike){_SMALL}{{0,3}}\s*$"
    r"|\b(?:false|untrue|wrong|incorrect|impossible|unlikely|doubtful|mistaken|myth|misconception)"
    r"(?: (?:that|to|say|think|it|is|was|in|on|the|answer|claim|idea)){1,7}\s*$"
    r"|\b(?:any(?:thing|one|body|where)?|every(?:thing|one)?|all|nothing)(?: \w{1,12}){0,2}"
    r" (?:but|except|besides|other than)(?: for)?(?: the| in)?(?: year)?\s*$"
    r"|(?:除了|除|并非|绝非|不是|不在|不为|不等于)\s*$",
    re.IGNORECASE,
)
_RULED_OUT_AFTER = re.compile(
    r"[年月日人個个円元]?\s*(?:以外|之外|除外|を除|(?:では|じゃ|でも)(?:ない|なく|なかった|ありません|あるまい)"
    r"|は?(?:誤り|間違い|違い|違う|不正解)|(?:是)?(?:错|錯|不对|不對|不正确|不正確))"
    r"| (?:(?:is|was|would be) (?:not|wrong|false|incorrect|untrue|impossible|mistaken|the wrong)|(?:isn|wasn)'t)\b",
    re.IGNORECASE,
)
_NOT_IN_BRACKETS = re.compile(r"\(not (?:the|to|a|an|his|her) ", re.IGNORECASE)
_BOTH = re.compile(r"\b(?:neither|not)\b.{1,60}\bnor(?: in| on| the)?\s*$", re.IGNORECASE | re.DOTALL)


def is_ruled_out(text: str, found: Stated) -> bool:
    """Whether a reply says plainly that a number or date is not the answer, so that it is no rival of another.

    Example:
        >>> from abstain.rewards.graders.mentions import find_stated
        >>> [[is_ruled_out(t, s) for s in find_stated(t)] for t in ("17, not 18", "17 if not 18", "除了17")]
        [[False, True], [False, False], [True]]
    """
    before = text[max(0, found.start - 80) : found.start]
    opened = before.rfind("(")
    if opened >= 0 and _NOT_IN_BRACKETS.match(before, opened) and ")" not in before[opened:]:
        return True  # "Ann Lee (not the singer, who was born in 1930)"
    return bool(
        _RULED_OUT_BEFORE.search(before)
        or _RULED_OUT_AFTER.match(text[found.end : found.end + 24])
        or _BOTH.search(before)
    )


_LOWER_BOUND = re.compile(
    r"\b(?:at least|as many as|as much as|no fewer than|no less than)(?: (?:about|around|some|the|a total of))?\s*$",
    re.IGNORECASE,
)


def is_least(text: str, found: Stated) -> bool:
    """Whether a count is told carefully ("at least 27 people were killed"), which people take for the count.

    Example:
        >>> from abstain.rewards.graders.mentions import find_stated
        >>> [is_least(t, find_stated(t)[0]) for t in ("At least 27 people", "More than 27 people")]
        [True, False]
    """
    return bool(_LOWER_BOUND.search(text[max(0, found.start - 40) : found.start]))


_DENIED_BEFORE = re.compile(
    r"\b(?:false|untrue|wrong|incorrect|impossible|unlikely|doubtful|improbable|mistaken|myth|misconception|lie)\b"
    r"[^.;,:!?\n]{0,40}$",
    re.IGNORECASE,
)


_TITLE = re.compile(r"\"[^\"\n]{1,80}\"|“[^”\n]{1,80}”")

# "The only year in which it did not take part was 1998"
_ONLY_ONE_NOT = re.compile(
    r"\b(?:year|edition|time|season|one|day|month|number|only)\b[^.;:?!]{0,20}\b(?:which|that|when|where|it|he|she|they)\b"
    r"[^.;:?!]{0,30}(?:\bnot|\bnever|n't)\b[^.;:?!]{0,40}\b(?:was|is|were)(?: in)? ?$",
    re.IGNORECASE,
)


def is_denied(text: str, found: Stated) -> bool:
    """Whether anything around a number or date may deny it, so that it is not paid."""
    before = text[max(0, found.start - 100) : found.start]
    if _ONLY_ONE_NOT.search(before):
        return False
    before = before[-60:]
    text = text.replace("not out", "batting") if "not out" in text else text
    text = _TITLE.sub(lambda title: "x" * len(title[0]), text) if '"' in text or "“" in text else text
    return bool(_DENIED_BEFORE.search(before) or denied(text, found.start, found.end))
