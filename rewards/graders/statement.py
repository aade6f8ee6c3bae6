"""Which part of a reply is its answer, and whether that part denies what it names.

A reply is read as a person would: the last choice counts ("London. No wait, Paris."), then the first sentence that
says anything. What comes in later sentences is explanation: a reply that names everything does not win by coverage.
"""

import re
from collections.abc import Callable, Sequence

from abstain.rewards.graders.text import fold, is_unspaced
from abstain.rewards.graders.words import (
    ASIDES,
    FUNCTION,
    HEDGES,
    NEGATIONS,
    NO_DENIAL,
    NO_STOP,
    OPENERS,
    OR_WORDS,
    PARTICLES,
    PREAMBLE_ENDS,
)

_GOES_ON = FUNCTION - frozenset(["in", "the", "a", "an", "not", "it", "its", "that", "either"])
LONGEST_SENTENCE = 2_000  # characters in which a sentence must have given its answer
GOLD = "\ue000"  # stands where a gold answer was found

_CORRECTION = (
    r"\b(?:no,? wait|wait,? no|wait(?=[,.!…-])|hold on|scratch that|strike that|correction|i mean(?:t)?"
    r"|on second thoughts?|no,? i (?:must|have to|should) correct (?:that|myself)"
    r"|make that|my mistake|or rather|let me correct (?:that|myself)|sorry"
    r"|actually,? no|no,? actually"
    r"|(?<=[\w,.!?] )no(?=,))\b"
    r"|(?<=[.!?] )actually(?=,)|(?<=[\w.!?] )actually,? (?:it'?s|it is|it was|the answer is)\b"
    r"|いや、|ではなくて?、?|訂正[:：、]?|不对，|不對，|更正[:：]?"
)
_CHOICE = (
    r"\b(?:(?:the |my |final |best |correct |right |short ){0,3}answer (?:is|was|would be|must be|should be)\b[:\s]*"
    r"|\b(?:final |my |correct )?answer ?:"
    r"|(?:i'?d|i would|i will|i'll|i'?m going to|let me|i) (?:go with|choose|pick|settle on|bet on|guess|answer|say)\b"
    r"|i'?m going with\b|my (?:best |final |educated )?(?:guess|choice|pick|bet)(?: is| would be|:))"
    r"|(?:答え|正解|回答|解答)(?:は|:|：)|(?:答案|正确答案)(?:是|为|為|:|：)"
)
_MARKER = re.compile(f"(?:{_CORRECTION}|{_CHOICE})", re.IGNORECASE)
_NEXT_QUESTION = re.compile(r"\n[ \t]*(?:question|q|user|human)\s*\d*\s*[:.]", re.IGNORECASE)
_STOP = re.compile(
    r"(?<![.!?])[.!?]+[\"')\]*_]*(?=\s|$)(?!(?<=[!?]) [a-z])|[。！？]+|\n\s*|(?<=[\w\ue000])[?!]+(?=[\w\ue000])"
)
_WORD = re.compile(r"[^\W_](?:[\w']*\w)?|" + GOLD)
_CLAUSE_START = re.compile(r"[,;:()\n—、，；：。]|[.!?](?=\s)|\bbut\b|\byet\b", re.IGNORECASE)
_DENIED_BEFORE = re.compile(
    r"(?<!none )(?<!no one )(?<!nothing )"
    r"(?:rather than|\brul\w+ out|\bexclud(?:e|es|ed|ing)|\breject(?:s|ed)?|\bdismiss(?:es|ed)?|\bnothing to do with"
    r"|\bunrelated to|\bfar from|\bfalse (?:that )?(?:it (?:is|was) )?|instead of|other than|opposed to|except"
    r"|except for|confused with|unlike"
    r"|\bno (?:way|chance)\b[\w' ]{0,30}|(?<!no )(?<!a )\bdoubt(?: that)? it(?:'?s| is| was))"
    r"(?: an?| the| in| at| it'?s| it is)* *[\"'*_]*$"
    r"|(?:不是|并非|並非|不在|不叫|绝非|不可能是|不会是|没有)(?:在)?[\"]*$",
    re.IGNORECASE,
)
# What stands before a name that it denies, whatever else stands between.
_DENYING = re.compile(
    r"\b(?:untrue|false|disprov\w+|refuted|debunked|a (?:myth|mistake|lie|misconception|error)|wrong|mistaken"
    r"|incorrect|unlikely)"
    r"(?: that| to (?:say|think|claim|assume|be|believe|call)| to)?(?: that)?(?: it| this| he| she| they)?(?:'s| is"
    r"| was| be| are)?"
    r"(?: the| an?)? ?[\"'*_]*$|\b(?:wrongly|falsely|mistakenly|erroneously|incorrectly|often|commonly|popularly"
    r"|sometimes)"
    r" (?:attributed|credited|ascribed) to[\"'*_ ]*$|\bif you (?:thought|said|guessed) (?:it was |of )?[\"'*_]*$"
    r"|\bwould(?: not|n't) (?:say|choose|pick)[\"'*_ ]*$",
    re.IGNORECASE,
)
_ALL_BUT = re.compile(
    r"\b(?:(?:any|every)(?:one|body|thing|where)|all) (?:but|except)(?: the| in| at)? *[\"'*_]*$", re.IGNORECASE
)
_BE = r"(?:is|was|are|were|would be|must be|seems|sounds|looks)"
_DENIED_AFTER = re.compile(
    rf"[\"'*_)]*\s{{0,9}}(?:,\s{{0,9}})?"
    rf"(?:(?:{_BE} (?:\w+ly )?(?:not|never)|isn'?t|wasn'?t|aren'?t|weren'?t|wouldn'?t be)"
    r"(?: (?:\w+ly )?(?:the|it|correct|right|true|an?|my|what|one|where|who)\b|\s*(?:[.!?,;]|$))"
    rf"|{_BE} (?:\w+ly )?(?:the )?(?:wrong|incorrect|false|untrue|mistaken|unlikely|impossible|ruled out|excluded|"
    r"out of the question|(?:just |only |merely )?(?:an? |the )?(?:\w+ (?:but |and )?){0,2}(?:myth|misconception"
    r"|mistake|rumou?r"
    r"|legend|wrong (?:answer|guess)|distractor|decoy))\b"
    r"|(?: has| have| was| were| is| must| can| should| could| had)?(?: been| be)? (?:eliminated|rejected|ruled out"
    r"|disproved"
    r"|disproven|debunked|refuted|excluded|discarded|dismissed)\b"
    r"| (?:did|does|do|has|had|could|would|can)(?: not\b|n['’]?t\b)| has nothing to do with| had nothing to do with"
    r"|,? (?:which|but (?:that|this|it)) (?:is|was) (?:false|wrong|incorrect|untrue|a (?:myth|mistake|lie))"
    r"|[;,.] (?:they|he|she|that|this|it|you)(?:'s| (?:are|is|was|were)) (?:mistaken|wrong|incorrect|false|untrue)"
    r"|, said nobody"
    r"|[\s,:;?!(-]{0,60}(?:wrong|incorrect|false|no|nope|not)\s*[.!?)]*\s*$)"
    r"|[\"]?(?:\s*(?:では|じゃ|で)(?:は)?(?:ない|なく|なかった|ありません)|は?(?:間違い|誤り|違い|違う|不正解|誤答)"
    r"|(?:は|が|のはず)[^。、]{0,6}(?:ではない|じゃない|ではありません)|(?:是)?(?:不对|不對|错|錯|不正确|不正確)|不是(?:答案|正确|首都))",
    re.IGNORECASE,
)

SECOND_OPINION = re.compile(
    r"\b(?:some (?:sources?|people|say|give)|many (?:sources?|say)|others? (?:say|sources?|think|give|prefer)"
    r"|second (?:guess|choice)"
    r"|another (?:possibility|option|candidate|guess|answer)|(?:also|equally|just as) (?:be|possible|plausible"
    r"|conceivable|likely|say)"
    r"|(?:possible|plausible) too|(?:is|are|being|be) (?:a |an |another )?(?:possib|plausib|conceivab|candidate"
    r"|option)"
    r"|(?:could|might|may) also be|close second|runner-up|not rule out|(?:my |the |an )?alternative|other (?:option"
    r"|contender|candidate)"
    r"|if that(?: is|'s) wrong|according to (?:some|others)|with a chance of|failing that|or is it|(?:it|this"
    r"|that) (?:may|might|could) be"
    r"|first, [^.;]{1,40} second|comes second)\b|[(\[](?:see|alt|or|perhaps|maybe)\b|\beither\b[^.]{1,80}\bor\b",
    re.IGNORECASE,
)
_OR_LINE = re.compile(r" ?\n\s{0,4}(or|and|oder|ou|maybe|perhaps)[,:]? ?\n\s{0,4}", re.IGNORECASE)
_TOGETHER = re.compile(r",? (?:as well as|together with|along with) ", re.IGNORECASE)


def joined(text: str) -> str:
    """The text with "and" for whatever else joins two things as equals.

    Example:
        >>> joined("Oslo as well as Bergen")
        'Oslo and Bergen'
    """
    if "\n" in text:
        text = _OR_LINE.sub(r" \1 ", text)
    return _TOGETHER.sub(" and ", text) if " wi" in text or " well" in text else text


# "No city but X", "none other than X": X it is.
ONLY = re.compile(r"\b(?:no|none|nobody|nothing)(?: \w+)?,? (?:but|other than|except)(?: for)?\b", re.IGNORECASE)

_LINK = r"(?:is|was|are|were)\b"
_TURN = re.compile(
    r"(?:[,;.—-]\s*|\s)(?:but|however|yet|actually|instead|though)\b,?\s*(?:(?:in fact|actually|now|really),?\s*)*"
    rf"(?=(?:it|he|she|that|this|they)(?:'s| {_LINK})|(?:the|its|his|her|their) [\w ]{{1,40}}\b{_LINK}"
    r"(?! (?:also|possib|plausib|another)))"
    r"|\A(?:among|out of|between|considering|of|first)\b[^.;]{1,200},\s*(?:but )?(?=(?:it|i|that)\b)"
    r"|,? or rather ",
    re.IGNORECASE,
)


_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+", re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t]*\d{1,2}[.)][ \t]+(?=\S)", re.MULTILINE)


def without_bullets(text: str) -> str:
    """A list without its bullets or numbers. A lone "5. " may be the answer and stays.

    Example:
        >>> without_bullets("1. Paris\\n2. Rome"), without_bullets("5. Because"), without_bullets("- Paris")
        ('Paris\\nRome', '5. Because', 'Paris')
    """
    text = _BULLET.sub("", text)
    return _NUMBERED.sub("", text) if len(_NUMBERED.findall(text)) > 1 else text


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text; "St. Louis" and "J. Smith" are not cut.

    Example:
        >>> sentences("He died in St. Louis. Or not?\\nParis")
        ['He died in St. Louis.', 'Or not?', 'Paris']
    """
    cuts, start = [], 0
    for stop in _STOP.finditer(text):
        before = text[max(start, stop.start() - 12) : stop.start()].split()
        word = fold(before[-1]).strip('("*') if before else ""
        letter = len(word) == 1 and word.isalpha() and not is_unspaced(word)
        numbered = word == "no" and text[stop.end() :].lstrip()[:1].isdigit()  # "No. 5"
        abbreviated = stop[0].startswith(".") and (letter or numbered or word in NO_STOP or "." in word)
        if stop.end() < len(text) and abbreviated and "\n" not in stop[0]:
            continue
        cuts.append(text[start : stop.end()].strip())
        start = stop.end()
    return [s for s in [*cuts, text[start:].strip()] if _WORD.search(s)]


def words(text: str) -> list[str]:
    """The words of a sentence as written, a found gold being one of them.

    Example:
        >>> words("It's (probably) Paris.")
        ["It's", 'probably', 'Paris']
    """
    return _WORD.findall(text)


def last_choice(text: str, offers: Callable[[str], bool]) -> str:
    """What follows the last correction or choice ("no wait", "I'd go with", "the answer is"), if it offers anything.

    A new "Question:" on a later line begins something else and is dropped with all that follows.

    Example:
        >>> last_choice("London. No wait, Paris.", bool), last_choice("Paris, I'd say", bool)
        ('Paris.', "Paris, I'd say")
    """
    for cut in _NEXT_QUESTION.finditer(text):
        if _WORD.search(text[: cut.start()]):
            text = text[: cut.start()]
            break
    ends = [hit.end() for hit in _MARKER.finditer(text)]
    for end in reversed(ends[-20:]):
        rest = text[end:].lstrip(" ,.:;!-—…*_\n、，")
        if offers(rest):
            return rest
    return text


def after_turn(sentence: str) -> str:
    """What a sentence says in the end, where it first says something else: "X was the old capital, but now it is Y".

    Example:
        >>> after_turn("It was Turku once, but now it is Oslo."), after_turn("Oslo, but Turku is possible")
        ('it is Oslo.', 'Oslo, but Turku is possible')
    """
    turns = list(_TURN.finditer(sentence))
    return sentence[turns[-1].end() :] if turns else sentence


def offers(rest: str) -> bool:
    """Whether what follows a marker goes on with an answer, and not with "is the capital" or "because ..."."""
    found = words(rest[:200])
    return bool(found) and fold(found[0]) not in _GOES_ON


def is_preamble(sentence: str) -> bool:
    """Whether a sentence says nothing yet: "Great question!", "I am not sure.", "Let me think."

    Example:
        >>> is_preamble("I am not sure."), is_preamble("It is London."), is_preamble("I think it is blue.")
        (True, False, False)
    """
    found = words(sentence)
    if GOLD in found or any(w[0].isdigit() for w in found):
        return False
    folded = [fold(w) for w in found]
    if any(w[0].isupper() and f not in FUNCTION | OPENERS for w, f in zip(found[1:], folded[1:], strict=True)):
        return False
    if len(folded) < 3 and (folded[0] in ASIDES or folded[0].endswith("ly")):
        return True
    return folded[0] in OPENERS and (folded[-1] in PREAMBLE_ENDS or set(folded) <= OPENERS | ASIDES)


def denied(text: str, start: int, end: int) -> bool:
    """Whether the clause around text[start:end] denies it: "not Paris", "Paris is wrong", パリではない, 不是巴黎.

    Example:
        >>> denied("It isn't Paris.", 9, 14), denied("I'm not sure it is Paris.", 19, 24)
        (True, False)
    """
    left = text[max(0, start - 60) : start]
    if _ALL_BUT.search(left) or _DENYING.search(left):
        return True
    before = _CLAUSE_START.split(text[max(0, start - 100) : start])[-1]
    if _DENIED_AFTER.match(text[end : end + 60]) or _DENIED_BEFORE.search(before):
        return True
    near = [fold(w) for w in words(before)][-6:]
    cues = [i for i, w in enumerate(near) if w in NEGATIONS]
    return bool(cues) and not NO_DENIAL.intersection(near[cues[-1] + 1 : cues[-1] + 3])


ALTERNATIVE = re.compile(
    r"(?:or|maybe|perhaps|possibly|alternatively|also|(?:or )?(?:it |this )?(?:could|might|may)(?: also)? be|another"
    r"|otherwise|if not|failing that|then|または|もしくは|或者|或)\b",
    re.IGNORECASE,
)


def alternatives(following: Sequence[str]) -> list[str]:
    """The sentences directly after an answer that offer another: "Or Rome.", "Maybe Rome.", and bare "Rome."

    Example:
        >>> alternatives(["Or Rome.", "Berlin.", "It is big.", "Oslo."])
        ['Or Rome.', 'Berlin.']
    """
    taken: list[str] = []
    for sentence in following:
        if not is_bare(sentence) and not ALTERNATIVE.match(sentence):
            break
        taken.append(sentence)
    return taken


def is_bare(sentence: str) -> bool:
    """Whether a sentence is no more than a name or two.

    Example:
        >>> is_bare("University of Oxford perhaps."), is_bare("It is big.")
        (True, False)
    """
    folded = [w for w in map(fold, words(sentence)) if w not in HEDGES - {"it", "is", "was"}]
    return len(folded) <= 4 and not any(w in (FUNCTION | OPENERS) - PARTICLES - OR_WORDS - {"and"} for w in folded)
