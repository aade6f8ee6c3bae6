"""Whether a reply to a question of yes or no says yes or no, found without looking at the gold.

A later "no" gainsays an opening "yes" only where it answers too: not in "no secret", nor in "although many say no",
nor in "no is a misconception". What is denied ("not a yes", "yes is wrong") answers nothing.
"""

import re
from functools import lru_cache

from abstain.rewards.graders.pieces import pieces
from abstain.rewards.graders.statement import last_choice
from abstain.rewards.graders.text import fold
from abstain.rewards.graders.words import FUNCTION, POLAR

_LONGEST = 400  # characters of a reply in which yes or no is looked for
_SCRIPT_GOLDS = frozenset(
    ["はい", "いいえ", "いえ", "是", "否", "不是", "是的", "对", "不对", "對", "不對", "ええ", "違う"]
)
_SCRIPT_WORD = re.compile(
    "(?P<no>不是|不对|不對|否|いいえ|いえ|違い|ではな|じゃな|错|錯)|(?P<yes>是|对|對|はい|ええ|そうで)"
)
_FOREIGN = {
    word: polarity
    for polarity, words in (
        ("yes", "oui si sí ja sim да так evet iya ya हाँ نعم 네 예 ναι כן ano tak"),
        ("no", "non nein nej nee não nao нет ні nie hayır tidak नहीं لا 아니요 아니오 όχι לא"),
    )
    for word in words.split()
}
_SAYS = POLAR | _FOREIGN
_WORD = re.compile(
    r"(?:(?P<not>\bnot|n't) )?(?<![\w'-])(?P<word>" + "|".join(_SAYS) + r")(?![\w'-])(?= (?P<next>[^\W\d_]+))?",
    re.IGNORECASE,
)
_DOUBT = re.compile(r"\b(?:maybe|perhaps|possibly)\b", re.IGNORECASE)
_SAID = r"(?:yes|no)(?![\w'-])"
_DENIED = re.compile(
    rf"\b(?:not|n't|never|rather than|instead of) (?:an? )?['\"]?{_SAID}"
    r"|\b(?:wrong|incorrect|false|mistake|mistaken|misleading|cannot|can't|couldn't|wouldn't|won't|refuse)"
    rf" (?:\w+ ){{0,3}}['\"]?{_SAID}"
    rf"|\b{_SAID}['\"]? (?:is|was|would be|isn't|wasn't|cannot be|can't be) (?:[a-z]+ ){{0,3}}"
    r"(?:wrong|incorrect|false|untrue|not|misconception|myth|mistake|error|misleading|right|correct|true)\b",
    re.IGNORECASE,
)
_SAID_RIGHT = re.compile(r"(?<!not) (?:is|was) (?:the )?(?:right|correct|true)$", re.IGNORECASE)
_OTHERS_SAY = re.compile(
    r"\b(?:although|though|while|whereas|even if) (?!i )(?:[\w']+ ){1,4}?"
    rf"(?:says?|said|claims?|claimed|thinks?|thought|believes?|believed|answers?|answered|argues?) ['\"]?{_SAID}",
    re.IGNORECASE,
)
_LEAD = re.compile(r"[ihackd.,:!nvpw-]{0,8}$")
_NO_NOUN = (FUNCTION - {"one"}) | {"actually", "sorry", "wait", "way", "sir", "really", "definitely"}
_SURE = r"(?:absolutely|definitely|certainly|of course|surely|obviously|clearly|decidedly)"
_IT = r"(?:it|they|he|she|that|this|there|you|we|i|one)"
_AUX = r"(?:is|does|was|were|are|did|do|has|have|had|can|could|will|would|should|must|may)"
_BARE = re.compile(
    rf"(?P<no>{_SURE} not|not (?:at all|really|exactly|in the least)|negative|by no means|no way|incorrect|wrong"
    r"|i (?:don't|do not) (?:think|believe) so|i think not"
    r"|that(?:'s| is) (?:wrong|(?:in|not )(?:correct|right|accurate))"
    rf"|{_IT} {_AUX}(?:n't| ?not)|{_IT} (?:can't|won't))"
    rf"|(?P<yes>affirmative|sure(?: thing| does| is)?|indeed|correct|right|exactly|{_SURE}"
    r"|i (?:think|believe) so|(?:that|this|it)(?:'s| is) (?:right|correct|so|the case)"
    rf"|{_IT} (?:sure |really |indeed )?{_AUX})",
    re.IGNORECASE,
)
_BARE_ENDS = re.compile(rf"[.!]*$|[.!,;]+ (?:indeed|{_IT} {_AUX}(?:n't| not)?)[.!]*$", re.IGNORECASE)
_OTHER = {"yes": "no", "no": "yes"}


@lru_cache(maxsize=4096)
def polar_golds(gold: tuple[str, ...]) -> frozenset[str]:
    """Which of "yes" and "no" the golds say; "" stands for one that says neither.

    Example:
        >>> sorted(polar_golds(("Yes", "はい"))), polar_golds(("Paris",))
        (['yes'], frozenset({''}))
    """
    return frozenset(map(_polar_gold, gold))


def _polar_gold(gold: str) -> str:
    script = _SCRIPT_WORD.match(gold) if gold in _SCRIPT_GOLDS else None
    return str(script.lastgroup) if script else POLAR.get(fold(gold.strip(" .!")), "")


def polarity(text: str) -> str:
    """What a reply says first, "yes" or "no", if it does not say the other too; else "".

    Example:
        >>> [polarity(text) for text in ("Yes, it's no secret.", "Of course not.", "Yes and no.", "yes is wrong")]
        ['yes', 'no', '', '']
    """
    text = text[:_LONGEST].strip()
    if scripted := {str(hit.lastgroup) for hit in _SCRIPT_WORD.finditer(text)}:
        return scripted.pop() if len(scripted) == 1 else ""
    text = last_choice(text, bool)
    if _DOUBT.search(text):
        return ""
    text = _OTHERS_SAY.sub(" ", _DENIED.sub(_unless_right, text))
    said = [(hit, _said(hit)) for hit in _WORD.finditer(text)]
    said = [(hit, polarity) for hit, polarity in said if polarity]
    if not said:
        bare = _BARE.match(text)
        return str(bare.lastgroup) if bare and _BARE_ENDS.match(text, bare.end()) else ""
    first = said[0][0]
    led = "".join(p.part for p in pieces(text[: first.start()]))
    if not _LEAD.match(led) and not _BARE.fullmatch(text[: first.start()].rstrip(" ,.!")):
        return ""
    if first["word"].lower() in _FOREIGN and led:
        return ""
    return said[0][1] if len({polarity for _, polarity in said}) == 1 else ""


def _unless_right(hit: re.Match[str]) -> str:
    """What a denial leaves: nothing, but "yes is correct" says yes."""
    return hit[0] if _SAID_RIGHT.search(hit[0]) else " "


def _said(hit: re.Match[str]) -> str:
    """What a word says; "" where it belongs to a noun: "no evidence", "true story"."""
    word = hit["word"].lower()
    following = fold(hit["next"]) if hit["next"] else ""
    if following and word in ("no", "true", "false") and following not in _NO_NOUN and following not in _SAYS:
        return ""
    said = _SAYS[word]
    return _OTHER[said] if hit["not"] else said
