"""What may surround a number or a date in the strict reading: known words, its noun, its unit, and nothing else."""

import re
from collections.abc import Sequence

from abstain.rewards.graders.frame import is_frame
from abstain.rewards.graders.limits import LIMITS, may_deny
from abstain.rewards.graders.mentions import Stated
from abstain.rewards.graders.numerals import KANJI, word_set
from abstain.rewards.graders.pieces import GOLD
from abstain.rewards.graders.words import ASIDES, FUNCTION, HEDGES, NEGATIONS

RIVAL_WORDS = word_set(
    """or also another alternatively other others some say says said claim claims argue sources source suggest
    suggests give gives instead actually correct answer answers guess option candidate second third otherwise
    plausible possible perhaps maybe might may could would should if either choice alternative believe believed
    think thought reported considered listed cited likely probably possibly potentially presumably both else
    even most more not"""
)
RIVAL_KANJI = re.compile(r"或|也|可能|または|もしくは|また|かも|あるいは|说|説|还|還|又|か[。？、]?$")
KANJI_WORD = re.compile(r"[\u3040-\u9fff]")
WORD = re.compile(r"[^\W\d_]+")
_PLAIN = re.compile(
    r"答案[是为為:：]?|答え[はが:：]?|正解[はが:：]?|回答[はが:：]?|です|でした|である|だった|だと思います|と思います|ます"
    r"|约|約|大约|大約|およそ|左右|ほど|くらい|ぐらい|西暦|公元|西元|一共|总共|合計|计|共|有|是|在|于|於|为|年|月|日|に|は|が|の|で|を"
    r"|[人個个名つ回次本枚台頭头匹歳岁円元件所]"
)
_KNOWN = (
    (FUNCTION | HEDGES | ASIDES)
    - NEGATIONS
    - word_set(
        "or nor and but yet than no nope alas without unlike like against despite instead rather neither either"
    )
) | word_set(
    """born aged total exact exactly approximately circa ca roughly nearly almost estimated value number result
    count sum answer correct final year date day early late mid monday tuesday wednesday thursday friday
    saturday sunday score profit price cost height length population x y n b e ad ce ie only single one tall
    high long wide deep old away times won built made took take takes place happened happens occurs occurred
    plus minus equals makes gives since contain contains appear appears letter letters there"""
)
_PHRASES = re.compile(rf"\bor so\b|\bno\. ?(?={GOLD})", re.IGNORECASE)
_ODD_SIGN = re.compile(rf"[^\w\s{GOLD}.,:;!?()\[\]\"'*~=≈#$%°€£¥+^-]")
_NO_NOUN = RIVAL_WORDS | FUNCTION | NEGATIONS | {"wrong", "false", "incorrect"}
_NOUN_AFTER = re.compile(rf"{GOLD}(?P<noun>[ -][^\W\d_]{{2,30}})(?! ?[\d{GOLD}])(?=[\s.,!?;:)]|$)")


_ANY_DIGIT = re.compile(rf"[\d{''.join(KANJI)}]")
_GLUED = re.compile(rf"[^\W\d_\u2e80-\uffff]{GOLD}|{GOLD}[^\W\d_\u2e80-\uffff]")
_CLOCK = re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]\.?m\b\.?)?", re.IGNORECASE)
LONGEST = 400  # characters of a reply that is one answer and nothing else
_NO = "\ue001"  # stands where a number or date was found that the reply denies
_NOT_THAT = re.compile(
    rf"[,;(]{{0,5}}\s{{0,5}}\b(?:and |but )?not (?:in |on |the )?{_NO}\)?(?:,? but\b)?"
    rf"|{_NO}[年月日]?(?:ではなくて?、?)|不是{_NO}[年月日个個]?[,，]?而?是"
)


def is_framed(text: str, found: Sequence[Stated], question: str, no: frozenset[int] = frozenset()) -> bool:
    """Whether a reply is one number or date in a frame, and nothing else: the strict reading.

    Args:
        text: the reply.
        found: its numbers and dates, which are the same, or known not to be the answer.
        question: the question, whose words a frame may repeat.
        no: where those start that the reply denies.

    Example:
        >>> from abstain.rewards.graders.mentions import find_stated
        >>> [is_framed(text, find_stated(text), "") for text in ("It is about 324 m tall.", "324 but in truth less")]
        [True, False]
    """
    pieces, last = [], 0
    for s in found:
        pieces += [text[last : s.start], _NO if s.start in no else GOLD]
        last = s.end
    masked = "".join([*pieces, text[last:]])
    if no:
        masked = _NOT_THAT.sub(" ", masked)
        if _NO in masked:
            return False
    if found[0].date:
        masked = _CLOCK.sub(" ", masked)
    if any(s.bound for s in found):
        masked = LIMITS.sub(" ", masked)
    hit = _NOUN_AFTER.search(masked)
    if hit and hit["noun"][1:].lower() not in _NO_NOUN:
        masked = masked[: hit.start("noun")] + " " + masked[hit.end("noun") :]
    if KANJI_WORD.search(masked):
        masked = _PLAIN.sub(" ", masked)
    if _ANY_DIGIT.search(masked) or _GLUED.search(masked):  # "also41", "41orFortytwo"
        return False
    masked = WORD.sub(_unless_known, _PHRASES.sub(" ", masked))
    if scripts := KANJI_WORD.findall(masked):
        return len(scripts) <= 12 and not RIVAL_KANJI.search(masked) and not may_deny(masked)
    if not (WORD.search(masked) or _ODD_SIGN.search(masked)):
        return True
    return is_frame(masked, question, "number")


def _unless_known(word: re.Match[str]) -> str:
    low = word[0].lower()
    return " " if low in _KNOWN or (len(low) > 4 and low.endswith("ed")) else word[0]
