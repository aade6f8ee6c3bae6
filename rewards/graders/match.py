"""The `match` grader: the gold or an alias stands in the stated answer, is not denied, and no other answer is offered.

It reads a reply as a fair but unindulgent person without the question at hand: see `spans` for what stands as whole
words, `statement` for which sentence answers, `subjects` for the question said again, and `rivals` for a second
answer. Known limits: an answer given only after a sentence about something else is missed; "Paris, Texas" is Paris;
a partner left out of the gold ("Larry Page and Sergey Brin", gold Larry Page) is a rival; "Paris hosted London" pays
for both; traditional and simplified characters differ.
"""

import re
from collections.abc import Sequence

from abstain.rewards.graders.aliases import Alias, aliases, text_tokens
from abstain.rewards.graders.frame import Kind, is_frame
from abstain.rewards.graders.pieces import pieces
from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.roles import answers
from abstain.rewards.graders.spans import Found, find
from abstain.rewards.graders.statement import GOLD, last_choice, without_bullets, words
from abstain.rewards.graders.text import fold, is_unspaced, tidy, without_articles
from abstain.rewards.graders.words import FUNCTION, POLAR
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_POLAR_GOLDS = frozenset((word,) for word in POLAR)
_GOES_ON = FUNCTION - frozenset(["in", "the", "a", "an", "not", "it", "its", "that", "either"])


def plain(answer: str) -> str:
    """The answer as tidied text, without bullets, emphasis and line-break tags.

    Example:
        >>> plain("- **Paris**<br>")
        'Paris'
    """
    text = re.sub(r"<br ?/?>", "\n", without_bullets(tidy(answer)))
    return re.sub(r"[ *_`]+", " ", text).strip()


def _mask(text: str, found: Sequence[Found]) -> str:
    """The text with `GOLD` for each gold answer in it."""
    kept, end = [], 0
    for hit in found:
        kept += [text[end : hit.start], GOLD]
        end = hit.end
    return "".join([*kept, text[end:]])


def _kind(text: str, hit: Found) -> Kind:
    """What the gold is as it stands in the reply: a number, a name, or a common noun."""
    raw = text[hit.start : hit.end]
    if hit.alias.words[0].isdigit() or raw[0].isdigit() or raw[-1].isdigit():
        return "number"
    return "name" if raw.lower() != raw or raw.lower() == raw.upper() else "common"


def _offers(rest: str) -> bool:
    """Whether what follows a marker goes on with an answer, and not with "is the capital" or "because ..."."""
    found = words(rest[:200])
    return bool(found) and fold(found[0]) not in _GOES_ON


_POLAR_WORD = re.compile(r"(?<![\w'-])(?P<not>not |n't )?(?P<word>yes|no|yeah|yep|nope|true|false)(?![\w'-])", re.IGNORECASE)
_OTHER_POLAR = re.compile(
    r"(?<![\w'-])(?:oui|non|si|sí|ja|nein|nej|nee|sim|não|nao|да|нет|так|ні|tak|nie|evet|hayır|iya|ya|tidak|हाँ|नहीं|نعم|لا"
    r"|네|아니요|maybe|perhaps|possibly)(?![\w'-])",
    re.IGNORECASE,
)
_POLAR_IDIOM = re.compile(r"\bno (?:doubt|question|problem|wonder|need|matter|idea|one|such|longer|way)\b", re.IGNORECASE)
_POLAR_LEAD = re.compile(r"[ihackd.,:!nvpw-]{0,8}$")


def _polar(text: str, wanted: Sequence[Alias]) -> bool:
    """Whether the gold is yes or no, and the reply says it first, and not the other too, in whatever language."""
    golds = {POLAR[a.words[0]] for a in wanted if a.words in _POLAR_GOLDS}
    if not golds:
        return False
    text = _POLAR_IDIOM.sub(lambda m: "no" if m[0].lower() == "no way" else " ", last_choice(text, bool)[:400])
    hits = list(_POLAR_WORD.finditer(text))
    if not hits or _OTHER_POLAR.search(text):
        return False
    led = "".join(p.part for p in pieces(text[: hits[0].start()]))
    said = {{"yes": "no", "no": "yes"}[POLAR[h["word"].lower()]] if h["not"] else POLAR[h["word"].lower()] for h in hits}
    noun = re.match(r" (?:[a-z]+)", text[hits[0].end() :]) and hits[0]["word"].lower() in ("no", "true", "false")
    return len(said) == 1 and said <= golds and bool(_POLAR_LEAD.match(led)) and not noun


def _symbol(answer: str, gold: Sequence[str]) -> bool:
    """Whether the answer is a gold without a word in it ("∞", "*"); such a gold is not looked for inside a text."""
    wordless = {g.strip() for g in gold if g.strip() and not words(g)}
    return answer.strip() in wordless or answer.strip(" .*\"'\n") in wordless


def grade_match(
    answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
) -> Verdict:
    """Grade a short answer in free text.

    Args:
        answer: the stated answer, a word or a few sentences.
        gold: the right answer and its aliases; any of them will do.

    Example:
        >>> [grade_match(a, ["Paris"]).value for a in ("It's Paris.", "Paris or London", "London. No wait, Paris.")]
        ['CORRECT', 'INCORRECT', 'CORRECT']
    """
    wanted = aliases(tuple(gold))
    if not any(g.strip() for g in gold):
        return Verdict.UNGRADED
    text = plain(answer)
    tokens = text_tokens(text)
    given = tuple(t.norm for t in without_articles(tokens)) if tokens else ()
    if _symbol(answer, gold) or any(given == a.words and not a.place for a in wanted):
        return Verdict.CORRECT
    found = find(tokens, tuple(a for a in wanted if a.words not in _POLAR_GOLDS))
    if not found:
        return Verdict.CORRECT if _polar(text, wanted) else Verdict.INCORRECT
    masked, kind = _mask(text, found), _kind(text, found[0])
    placed = not kind_of_place(" ".join(found[0].alias.words))
    right = is_frame(masked, question, kind, placed)
    if not right and reading == "lenient":
        right = answers(last_choice(masked, _offers), kind, question, placed, len(found[0].alias.words) == 1)
    return Verdict.CORRECT if right or _polar(text, wanted) else Verdict.INCORRECT
