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
from abstain.rewards.graders.rivals import Gold, has_rival
from abstain.rewards.graders.segments import Kind, restated, segments
from abstain.rewards.graders.spans import Found, find
from abstain.rewards.graders.statement import (
    GOLD,
    alternatives,
    denied,
    is_bare,
    is_preamble,
    last_choice,
    leaning,
    sentences,
    without_bullets,
    words,
)
from abstain.rewards.graders.text import fold, is_unspaced, tidy, without_articles
from abstain.rewards.graders.words import FUNCTION, NEGATIONS, POLAR
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

LONGEST = 60  # words of a sentence that still answers; a longer one is an essay
_POLAR_GOLDS = frozenset((word,) for word in POLAR)
_GOES_ON = FUNCTION - frozenset(["in", "the", "a", "an", "not", "it", "its", "that", "either"])
_CONTRAST = frozenset(["while", "whereas", "although", "though", "unlike", "despite"])


def plain(answer: str) -> str:
    """The answer as tidied text, without bullets, emphasis and line-break tags.

    Example:
        >>> plain("- **Paris**<br>")
        'Paris'
    """
    text = re.sub(r"<br ?/?>", "\n", without_bullets(tidy(answer)))
    return re.sub(r"[ *_`]+", " ", text).strip()


_SIGNS = re.compile(rf"(?<=[\w{GOLD}])[^\w{GOLD}]+(?=[\w{GOLD}])")
_USUAL_SIGNS = re.compile(
    r"""[-'./,:|+=~<>、。，！？；：・]|["')\]]*[,;:.!?]{0,3}["')\]]*[ ]["'(\[]*|[ ]?(?:[-—/|+=~:;,<>]|->|=>)[ ]?"""
    r"""|["')\].,!?;:、。，]*\n+[ ]*[-"'(\[]*"""
)


def _mask(text: str, found: Sequence[Found]) -> str:
    """The text with `GOLD` for each gold answer in it, and a comma for every row of signs that is no punctuation."""
    pieces, end = [], 0
    for hit in found:
        pieces += [text[end : hit.start], GOLD]
        end = hit.end
    masked = "".join([*pieces, text[end:]])
    return _SIGNS.sub(lambda run: run[0] if _USUAL_SIGNS.fullmatch(run[0]) else ", ", masked)


def _described(text: str, hit: Found) -> Gold:
    """The gold as it stands in the reply: a number, a name, or a common noun."""
    raw, alias = text[hit.start : hit.end], hit.alias
    cased = any(c.isupper() for c in raw) or is_unspaced(raw[0])
    kind: Kind = "name" if cased else "common"
    if alias.words[0].isdigit() or raw[0].isdigit() or raw[-1].isdigit():
        kind = "number"
    return Gold(kind, " ".join(alias.words), alias.place, raw)


def _offers(rest: str) -> bool:
    """Whether what follows a marker goes on with an answer, and not with "is the capital" or "because ..."."""
    found = words(rest[:200])
    return bool(found) and fold(found[0]) not in _GOES_ON


def _asserted(sentence: str) -> bool:
    """Whether a gold answer stands in the sentence that is not denied, compared with, or part of the question."""
    free = [m for m in re.finditer(GOLD, sentence) if not denied(sentence, m.start(), m.end())]
    compared = [s for s in segments(sentence)[1:] if s.words and fold(s.words[0]) in _CONTRAST]
    return len(free) > sum(s.words.count(GOLD) for s in compared) + restated(sentence)


def _says_nothing(sentence: str, following: Sequence[str]) -> bool:
    """Whether the answer is still to come: a preamble, a denial, or a question that is answered next."""
    if is_preamble(sentence):
        return True
    denial = not _asserted(sentence) and any(fold(w) in NEGATIONS for w in words(sentence))
    return bool(following) and (denial or sentence.endswith(("?", "？")))


def _statement(masked: str) -> str:
    """The sentence that answers, with the bare alternatives after it; "" if it does not name the gold."""
    found = sentences(last_choice(masked, _offers))
    start = next((i for i, s in enumerate(found) if not _says_nothing(s, found[i + 1 :])), len(found))
    if start < len(found) and GOLD in found[start]:
        return "\n".join([found[start], *alternatives(found[start + 1 :])])
    concluded = len(found) > start + 1 and words(found[-1]) == [GOLD] and not any(is_bare(s) for s in found[:-1])
    return found[-1] if concluded else ""


def _answers(masked: str, gold: Gold) -> bool:
    """Whether a reply with the gold answers masked gives the gold answer, and no other."""
    statement = _statement(masked)
    for sentence in (statement, leaning(statement) or ""):
        if GOLD in sentence and len(words(sentence)) <= LONGEST and _asserted(sentence):
            if not has_rival(sentence, gold):
                return True
        elif sentence is statement:
            return False
    return False


_POLAR_WORD = re.compile(
    r"(?:(?P<not>\bnot |n't )?(?P<word>\b(?:yes|no|yeah|yep|nope)"
    r"|(?:(?<=is )|(?<=not )|(?<=n't )|(?<='s ))(?:true|false))\b"
    r"(?=[\"')*]*(?:[.,;:!—]|$))|^[\"'*(]*(?P<first>yes|no|true|false)\b)",
    re.IGNORECASE,
)


def _polar(text: str, wanted: Sequence[Alias]) -> bool:
    """Whether the gold is yes or no, and the reply says it, and not the other too."""
    golds = {POLAR[a.words[0]] for a in wanted if a.words in _POLAR_GOLDS}
    said = set()
    for hit in _POLAR_WORD.finditer(last_choice(text, bool)[:200]) if golds else ():
        word = POLAR[(hit["word"] or hit["first"]).lower()]
        said.add({"yes": "no", "no": "yes"}[word] if hit["not"] else word)
    return len(said) == 1 and said <= golds and not re.match(r"\W*(?:yes|no) or (?:yes|no)\b", text, re.IGNORECASE)


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
    right = bool(found) and _answers(_mask(text, found), _described(text, found[0]))
    return Verdict.CORRECT if right or _polar(text, wanted) else Verdict.INCORRECT
