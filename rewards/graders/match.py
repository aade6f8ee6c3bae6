"""The `match` grader: the gold or an alias is the one thing that the stated answer says, and is not denied.

It reads a reply as a fair but unindulgent person does; the package's docstring says who speaks in which order. Known
limits: an answer given only after a sentence about something else is missed in a short reply; a partner left out of
the gold ("Larry Page and Sergey Brin", gold Larry Page) is a rival; "Paris hosted London" pays for one, not for the
other; a gold made of words that carry any answer ("Then", "nobody", "It rained") must stand in a frame.
"""

import html
import re
from collections.abc import Sequence
from functools import lru_cache, partial

from abstain.rewards.graders.aliases import aliases, place_name, text_tokens
from abstain.rewards.graders.alignment import asked_for, in_bold, in_italics, is_long
from abstain.rewards.graders.calendars import MONTHS as MONTH_NAMES
from abstain.rewards.graders.candidates import NOUNS
from abstain.rewards.graders.counts import grade_counted
from abstain.rewards.graders.elsewhere import are_elsewhere
from abstain.rewards.graders.frame import Kind, is_frame
from abstain.rewards.graders.marks import marked_otherwise
from abstain.rewards.graders.names import same
from abstain.rewards.graders.parts import acronyms, find_full_names, find_lists, find_parts, find_spelt_out, same_score
from abstain.rewards.graders.pieces import GOLD, is_code, pieces
from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.polar import polar_golds, polarity
from abstain.rewards.graders.prose import answers_at_length
from abstain.rewards.graders.roles import answers
from abstain.rewards.graders.spans import Found, find, may_stand
from abstain.rewards.graders.statement import denied, last_choice, offers, without_bullets, words
from abstain.rewards.graders.text import LONGEST, Token, both_ends, fold, tidy
from abstain.rewards.graders.unspaced import is_scripted
from abstain.rewards.graders.vocabulary import BE, MONTHS, NAME, NUMBER, PLACE, PRONOUN, SCRIPT, SIGN, VERB, WORD
from abstain.rewards.graders.words import FUNCTION
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_WITHIN = re.compile(r"^\s*(?:in|at|on|from) (?=[A-Z])", re.IGNORECASE)
_INSIDE = re.compile(r"(?:the )?[A-Z][^,;]{2,60} in ([A-Z][\w'. -]+(?:, [A-Z][\w'. -]+)*)")  # "Kew Gardens in London"
_BY = re.compile(r"(?<=\d) ?× ?(?=\d)")
_EDGES = " .*\"'\n"
_LINK = re.compile(r"\[([^\[\]\n]{1,200})\]\(https?://[^\s()]{1,500}\)|\[\d{1,3}\]|[-–:(]? ?https?://\S{1,500}")
_MARKER = re.compile(
    r"\A(?:[-*•] ?)?(?:\[[ xX]\] |\((?:\d{1,2}|[a-h])\) (?=[^\W\d])|[a-h]\) |[①-⑳] ?"
    r"|No\. ?\d{1,2}: |[>#→∴👉✅✔]{1,6} ?)"
)
_MARKUP = re.compile(r"[*_`<\n•]|\A\s*-")  # of tidied text
_BREAK, _EMPHASIS = re.compile(r"<br ?/?>"), re.compile(r"[ *_`]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_NO_DEEDS = NOUNS | {"according", "being", "concerning", "during", "following", "having", "including", "regarding"}
_DEED = re.compile(r"\b(?:[a-z]{2,}ing|to [a-z]{2,})\b")  # "swimming", "to swim"
_DATED = re.compile(
    rf"(?:\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?)?{GOLD}(?: \d{{1,2}}(?:st|nd|rd|th)?\b)?(?:,? \d{{4}}\b)?"
)
_IN_SCRIPT = re.compile(" ?[(（][\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff・、 ]{1,30}[)）]")  # a name in its own script
_LETTERED = re.compile(r"[A-Z]-[a-z]{3,}")  # "U-boat"
_BY_SOMEONE = re.compile(rf"{GOLD} by [A-Z][\w.]*(?: [A-Z][\w.]*){{0,3}}")  # "I Don't Know by Ada Finch"
_MONTH = re.compile("|".join(month.title() for month in MONTH_NAMES))
_MAY = re.compile(r"\b(?:May|March)\b")
_MARKED = re.compile(r"[\[(①-⑳:)#>→∴👉✅✔&]")


def plain(answer: str) -> str:
    """The answer as tidied text, without bullets, links, emphasis, entities and line-break tags.

    Example:
        >>> plain("- **Paris**<br>"), plain("a) Paris [1]"), plain("[Paris](https://example.org)")
        ('Paris', 'Paris', 'Paris')
    """
    if _MARKED.search(answer):
        answer = html.unescape(answer) if "&" in answer else answer
        answer = _MARKER.sub("", _LINK.sub(r"\1", answer).lstrip(), count=1)
    text = tidy(answer)
    if not _MARKUP.search(text):
        return text.strip()
    return _EMPHASIS.sub(" ", _BREAK.sub("\n", without_bullets(text))).strip()


def _mask(text: str, found: Sequence[Found]) -> str:
    """The text with `GOLD` for each gold answer in it."""
    kept, end = [], 0
    for hit in found:
        kept += [text[end : hit.start], GOLD]
        end = hit.end
    return "".join([*kept, text[end:]])


def _plain(marks: Sequence[str]) -> list[str]:
    return [plain(mark) for mark in marks]


@lru_cache(maxsize=4096)
def _said_by(question: str) -> frozenset[str]:
    """The words that a question says itself, but for those that carry any sentence."""
    return frozenset(_question_words(question)) - FUNCTION


def _has_loose_end(golds: tuple[str, ...]) -> bool:
    """Whether any of the golds begins or ends with a word that may be left off; none of most names can."""
    ends = [(words[0], words[-1]) for gold in golds if len(words := gold.split()) > 1]
    return any(last.islower() or first.islower() or fold(first) in FUNCTION for first, last in ends)


@lru_cache(maxsize=4096)
def _without_asked(golds: tuple[str, ...], asked: frozenset[str]) -> tuple[str, ...]:
    """The golds without lower-case words at an end that the question says: "the angel Uriel", asked for an angel."""
    out = []
    for gold in golds:
        left = gold.split()
        while len(left) > 1 and (fold(left[0]) in FUNCTION or (left[0].islower() and fold(left[0]) in asked)):
            left = left[1:]
        while len(left) > 1 and left[-1].islower() and fold(left[-1].strip(".")) in asked:
            left = left[:-1]
        if len(left) < len(gold.split()) and fold(left[-1]) not in FUNCTION:
            out.append(" ".join(left))
    return tuple(out)


def _elsewhere(text: str, hit: Found) -> bool:
    """Whether another country or state follows than the one left off the gold: "Portland, Maine"."""
    if not hit.alias.place:
        return False
    said = re.match(r"[, (]{1,3}([A-Z][\w.]*(?: [A-Z]\w*){0,2})", text[hit.end : hit.end + 60])
    place = place_name(said[1]) if said else ""
    return bool(place) and place != hit.alias.place and kind_of_place(place) == kind_of_place(hit.alias.place)


_DENIAL = re.compile(
    r"\bno|n't|not|never|but|exclu|reject|dismiss|rul|false|wrong|untrue|doubt|far from|unrelated|misconcep|rumou?r"
    r"|myth|mistak|disprov|debunk|refut|elimin|legend"
    r"|unlikely|which|thought|nobody|attributed|credited|\blie\b|error|incorrect",
    re.I,
)


def _denied(masked: str) -> bool:
    """Whether every gold in a masked reply is denied."""
    if not _DENIAL.search(masked):
        return False
    return all(denied(masked, m.start(), m.end()) for m in re.finditer(GOLD, masked))


def _in_brackets(masked: str, gold: str) -> bool:
    """Whether the gold in brackets is another form of the name before them: initials, or the same family name."""
    said = re.search(rf"(?:^|[:,.] |(?:is|was) )([^():,.]{{2,60}}?) ?\({GOLD}\)\W*$", masked)
    if not said:
        return False
    before, inside = said[1].split(), gold.split()
    short, long = sorted((before, inside), key=len)
    initials = "".join(word[0] for word in long if word[0].isupper())
    same = {fold(w) for w in before[1:]} & {fold(w) for w in inside[1:]}
    return (len(short) == 1 and len(initials) > 1 and short[0].replace(".", "") == initials) or bool(same)


def _kind(gold: str, counted: bool = False) -> Kind:
    """What a gold is: a number, a name ("NL-05", "Apollo 11" and "Seven Samurai" are names), or a common noun.

    Args:
        gold: the gold as it stands in the reply, or where it does not, as it is.
        counted: its first word is a number, in words perhaps.
    """
    code = any(map(is_code, gold.split()))
    if not code and (counted or gold[0].isdigit() or gold[-1].isdigit()):
        found = _LETTERS.findall(gold)[int(counted) :]
        named = any(word.lower() != word and fold(word) not in MONTHS for word in found)
        return "name" if named else "number"
    if _LETTERED.fullmatch(gold):
        return "common"
    return "name" if gold.lower() != gold or gold.lower() == gold.upper() else "common"


def _another_deed(masked: str, question: str) -> bool:
    """Whether a reply names another thing to do than the gold: "swimming, running"."""
    return any(hit not in question and hit not in _NO_DEEDS for hit in _DEED.findall(masked))


def _can_be_seen(stood: str, golds: Sequence[str]) -> bool:
    """Whether a gold beside another one would be seen to be a second answer.

    "Then", "nobody", "It rained" and "(3, 4)" are made of words and signs that carry other answers: what is like them
    is no candidate for any reading, so that they must stand in a frame.
    """
    found = pieces(stood)
    sentence = len(found) > 3 and any(p.part in BE + VERB for p in found) and stood[0].isupper()
    if not found or found[0].part == PRONOUN or sentence or any(gold[:1] in ("(", "[") for gold in golds):
        return False
    return any(p.part in NAME + PLACE + WORD + NUMBER + SCRIPT for p in found)


@lru_cache(maxsize=4096)
def _question_words(question: str) -> tuple[str, ...]:
    return tuple(t.norm for t in text_tokens(plain(question)))


def _holds(row: Sequence[str], part: Sequence[str]) -> bool:
    """Whether `part` stands in `row` without a gap."""
    return any(tuple(row[i : i + len(part)]) == tuple(part) for i in range(len(row) - len(part) + 1))


def _beside_question(tokens: list[Token], found: list[Found], question: str) -> tuple[list[Found], str, bool]:
    """The golds found that are no echo of the question, its words that are no candidates, and whether it names golds.

    A gold that stands in the question is one of the things that are asked about: what it names is a candidate then,
    and a mention with the question's own next word beside it only says the question again.
    """
    asked = _question_words(question)
    known = set(asked)
    if not any(hit.alias.words[0] in known and _holds(asked, hit.alias.words) for hit in found):
        return found, question, False
    kept = []
    for hit in found:
        i = next(k for k, t in enumerate(tokens) if t.start >= hit.start)
        j = next((k for k, t in enumerate(tokens) if t.start >= hit.end), len(tokens))
        around = [tuple(t.norm for t in tokens[max(0, i - 1) : j]), tuple(t.norm for t in tokens[i : j + 1])]
        if not any(len(row) > j - i and _holds(asked, row) for row in around):
            kept.append(hit)
    named = {w for hit in found for w in hit.alias.words}
    free = " ".join(word for word in words(question) if word[0].islower() and fold(word) not in named)
    return kept, free, True


def grade_match(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade a short answer in free text.

    Args:
        answer: the stated answer, a word or a few sentences.
        gold: the right answer and its aliases; any of them will do.

    Example:
        >>> [grade_match(a, ["Paris"]).value for a in ("It's Paris.", "Paris or London", "London. No wait, Paris.")]
        ['CORRECT', 'INCORRECT', 'CORRECT']
    """
    if not any(g.strip() for g in gold):
        return Verdict.UNGRADED
    bare = answer.strip(_EDGES).casefold()
    if any(bare == g.strip(_EDGES).casefold() and (bare or answer.strip() == g.strip()) for g in gold):
        return Verdict.CORRECT
    golds = tuple(_WITHIN.sub("", g) for g in gold if not marked_otherwise(answer, g))
    if not golds:
        return Verdict.INCORRECT
    if "×" in answer or any("×" in g for g in golds):
        answer, golds = _BY.sub(" x ", answer), tuple(_BY.sub(" x ", g) for g in golds)
    verdict = grade_counted(answer, golds, question, reading)
    if verdict is not Verdict.UNGRADED:  # no gold of numbers, or one as "1.4.4" may be a version
        return verdict
    if reading == "lenient" and any(" in " in g for g in golds) and asked_for(question).sort == "where":
        golds += tuple(place[1] for g in golds if (place := _INSIDE.fullmatch(g)))
    if len(answer) > LONGEST:
        if reading == "strict":
            return Verdict.INCORRECT
        answer = both_ends(answer)
    text = plain(answer)
    if question and reading == "lenient" and not text.isascii() and "".join(golds).isascii() and is_long(text):
        text = _IN_SCRIPT.sub("", text)
    if same(text, golds, question):
        return Verdict.CORRECT
    polar = polar_golds(golds) - {""}
    if not polar and are_elsewhere(text, golds):  # most wrong answers, and quickly
        return Verdict.INCORRECT
    wanted = aliases(golds)
    tokens = text_tokens(text)
    if polar:
        if polarity(text) in polar:
            return Verdict.CORRECT
        wanted = aliases(tuple(g for g in golds if polar_golds((g,)) == {""}))
    asked: frozenset[str] = frozenset()  # a question is read only where that may matter
    if question and _has_loose_end(golds):
        asked = _said_by(question)
        if shorter := _without_asked(golds, asked):
            wanted += aliases(shorter)
    elif question and may_stand(tokens, wanted):
        asked = _said_by(question)
    long = bool(question) and is_long(text)
    at_length = long and reading == "lenient" and not is_scripted(text, "name")
    found = find(tokens, wanted, asked) or find_lists(text, tokens, golds, long)
    if not found and (short := acronyms(golds)):
        found = find_spelt_out(tokens, short, _said_by(question))
    named = find_full_names(tokens, golds) if question and reading == "lenient" and not at_length else []
    if named and asked_for(question).sort == "who":
        rest = [hit for hit in found if not any(name.start <= hit.start < name.end for name in named)]
        found = sorted(named + rest, key=lambda hit: hit.start)
    if found and question and any(hit.alias.initials for hit in found):
        found = [hit for hit in found if not (hit.alias.initials and hit.alias.words[0] in _question_words(question))]
    if at_length and same_score(text, golds, question):
        return Verdict.CORRECT
    if at_length and not found:
        found = find_parts(text, tokens, golds, _said_by(question))
    among, stands = False, bool(found)
    if found and question:
        found, question, among = _beside_question(tokens, found, question)
    read_at_length = partial(
        answers_at_length,
        question=question,
        golds=golds,
        marked=_plain(in_bold(answer)) if at_length else (),
        leaning=_plain(in_italics(answer)) if at_length else (),
    )
    if not found:
        likely = reading == "lenient" and not stands  # what stood there only said the question again
        kind = _kind(golds[0].strip() or " ")
        right = likely and at_length and read_at_length(text, kind, placed=True, single=False, found=())
        return Verdict.CORRECT if right else Verdict.INCORRECT
    stood = text[found[0].start : found[0].end]
    masked, sort = _mask(text, found), _kind(stood, found[0].alias.words[0][0].isdigit())
    if any(_elsewhere(text, hit) for hit in found):
        return Verdict.INCORRECT
    placed = not kind_of_place(" ".join(found[0].alias.words))
    single = len(found[0].alias.words) == 1 and not among
    if not any(map(str.isalnum, stood)):  # an emoji: beside another one it is no answer
        return Verdict.INCORRECT if any(p.part == SIGN for p in pieces(masked)) else Verdict.CORRECT
    if not at_length and stood.islower() and _DEED.match(stood) and _another_deed(masked, question):
        return Verdict.INCORRECT
    if stood.casefold() in MONTHS:
        if reading == "strict" and any(month not in question for month in _MONTH.findall(masked)):
            return Verdict.INCORRECT  # "AugustJune" too
        masked, sort = _DATED.sub(GOLD, _MAY.sub("June", masked)), "number"  # "May" and "March" are verbs elsewhere
    right = is_frame(masked, question, sort, placed) and not _denied(masked)
    if not right and reading == "lenient":
        if not (at_length or _can_be_seen(stood, golds)):
            right = is_frame(_BY_SOMEONE.sub(GOLD, masked), question, sort, placed) and not _denied(masked)
            return Verdict.CORRECT if right else Verdict.INCORRECT
        chosen = last_choice(masked, offers)
        if at_length and is_long(chosen):
            there = [text[hit.start : hit.end] for hit in found][masked.count(GOLD) - chosen.count(GOLD) :]
            right = read_at_length(chosen, sort, placed=placed, single=single, found=there)
        else:
            right = answers(chosen, sort, question, placed, single)
        right = right or _in_brackets(masked, stood)
    return Verdict.CORRECT if right else Verdict.INCORRECT


def gold_stands(answer: str, gold: Sequence[str]) -> bool:
    """Whether a gold answer stands in a text at all, whatever its role there: what a verdict on long answers rests on.

    Example:
        >>> [gold_stands(a, ["Paris"]) for a in ("London rather than Paris", "Parisian")]
        [True, False]
    """
    return bool(find(text_tokens(plain(answer)), aliases(tuple(gold))))
