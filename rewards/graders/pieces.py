"""A reply as pieces, each with the part that it can play: the alphabet of the two readings (`frame`, `roles`).

Every word that no list knows is a candidate, so that a reading errs towards seeing two answers rather than one.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from abstain.rewards.graders.places import STATE_CODES, kind_of_place
from abstain.rewards.graders.text import UNSPACED, fold
from abstain.rewards.graders.words import ASIDES, NEGATIONS, NUMBER_WORDS, ORDINAL_WORDS, PREPOSITIONS, TITLES

GOLD = "\ue000"  # stands where a gold answer was found

# The parts. A piece that is none of these is a sign ("x").
ANSWER, NAME, WORD, NUMBER, SCRIPT, ASKED = "GNw9Uq"
BE, VERB, PRONOUN, DETERMINER, PREPOSITION, HEDGE, ASIDE, OR, AND, NOT, WHO, PLACE, MORE, GENERIC, BUT, TITLE = (
    "cvidphaoe!rPmgbt"
)
SAID = "k"
COMMA, STOP, COLON, OPEN, CLOSE, DASH, LINE, SIGN = ",.:()-nx"
_CURRENCY = frozenset("$€£¥₹%")


def _words(text: str, part: str) -> dict[str, str]:
    return dict.fromkeys(text.split(), part)


_RANKS = frozenset(
    "president king queen emperor empress prince princess duke duchess earl count baron lord lady sir saint pope bishop"
    " archbishop chancellor governor senator mayor general colonel captain minister prime professor doctor".split()
)
_KNOWN = (
    _words("is was are were be been being am become becomes became remain remains remained equals es est ist era ser"
           " sind è é son", BE)
    | _words("it he she they we you i im ive id ill that this these those there here who's one's", PRONOUN)
    | _words("a an the his her its their my our your some el la le les der die das il lo los las un une ein eine um uma"
             " o os", DETERMINER)
    | dict.fromkeys(PREPOSITIONS - {"per", "like", "unlike", "via", "despite", "due", "according", "near", "versus"},
                    PREPOSITION)
    | _words("en dans à au aux em na no del du von im am bei zu por para", PREPOSITION)
    | _words("maybe perhaps possibly probably likely surely certainly definitely undoubtedly obviously clearly indeed"
             " actually simply just exactly really apparently presumably supposedly believe think guess say suppose"
             " suspect assume recall remember sure certain confident must might may could should would will can"
             " other others another earlier later several many notable previous next often usually always typically frequently normally sometimes mostly mainly primarily traditionally approximately roughly about around almost nearly only commonly usually generally widely currently now"
             " today officially originally formally best final correct right true answer response result guess"
             " circa ca approx very quite most more fairly pretty highly also known so thus hence therefore then still do does did going go sounds seems seem looks appears lies", HEDGE)
    | dict.fromkeys(ASIDES - {"formerly", "originally", "officially", "currently", "now", "no", "today"}, ASIDE)
    | _words("ah aha hey uh um er hmm right alright great good question let see me conclusion conclude well", ASIDE)
    | _words("failing or nor and/or xor oder ou vel vs versus either else otherwise alternatively または または もしくは", OR)
    | _words("and und et y e och en plus", AND)
    | dict.fromkeys(NEGATIONS | {"no", "nothing", "nobody", "none", "false", "wrong", "incorrect", "except", "anyone", "anything", "everyone", "excluded",
                                 "rejected", "unlikely", "impossible", "doubtful", "refuted", "debunked", "disproved"}, NOT)
    | _words("who which whom whose where when what why how because since while whereas although though if", WHO)
    | _words("but however yet", BUT)
    | _words("than followed succeeded preceded unlike near outside beyond excluding formerly previously against besides opposed", MORE)
    | dict.fromkeys(TITLES | _RANKS, TITLE)
    | _words("greater metropolitan", HEDGE)
    | _words("city town village state province county republic kingdom island islands commonwealth district region"
             " municipality territory borough department country river lake sea mountain band group", GENERIC)
    | _words("located situated found born called named titled known based set held written directed produced composed"
             " painted created invented discovered founded established built made released published won played sung"
             " performed recorded signed led ruled raised died buried filmed shot wrote did came went lives lived works"
             " worked chose wrote sang made took gave won beat met left kept held found sold bought brought caught taught drew flew grew knew"
             " threw wore broke spoke stole froze rose drove rode began sank swam ran hit cut put set fought sought thought built"
             " sent spent lost paid told felt kept slept slew has had have became received named occurs happens takes contains includes involves consists refers ends began begin plays stands stood lies lay means meant refers comes states", VERB)
)  # fmt: skip
_KNOWN |= {"about": HEDGE, "around": HEDGE, "that": PRONOUN, "as": PREPOSITION}
MONTHS = frozenset(
    "january february april june july august september october november december jan feb apr jun jul aug sep sept oct nov"
    " dec".split()
)
_NUMBERS = (
    frozenset(NUMBER_WORDS) - {"one"}
    | frozenset(ORDINAL_WORDS) - {"first", "second", "third"}
    | frozenset(
        "thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen".split()
    )
)

_ELIDED = re.compile("['-][A-Z]")  # d'Orsay, al-Jazira
_TOPIC = re.compile("^[가-힣]+(?:은|는|이|가|의|에서|에)$")
_CONTRACTED = frozenset("its thats hes shes theyre heres theres whats".split())  # with an apostrophe: it is, that is

_PIECE = re.compile(
    rf"(?P<gold>{GOLD}+)"
    r"|(?P<initial>(?:[A-Z]\.\s?)+(?=[A-Z\ue000]))"
    rf"|(?P<number>[-+]?\.?\d[\d.,:/]*(?<![.,:/])(?:st|nd|rd|th|s|'s)?(?!\w))"
    rf"|(?P<word>[^\W_{UNSPACED}](?:[^\W_{UNSPACED}{GOLD}]|[-'/.&](?=[^\W_{UNSPACED}{GOLD}]))*)"
    rf"|(?P<script>[{UNSPACED}]+)"
    r"|(?P<line>\s*\n\s*)|(?P<quote>[\"'*_`#]+)|(?P<comma>[,;，；、])|(?P<stop>\.{2,}|…|[.!?。！？]+)|(?P<colon>[:：=])"
    r"|(?P<open>[(\[])|(?P<close>[)\]])|(?P<dash>-+>?|—)|(?P<sign>\S)"
)
_SIGNS = {"comma": COMMA, "stop": STOP, "colon": COLON, "open": OPEN, "close": CLOSE, "dash": DASH, "line": LINE,
          "sign": SIGN}  # fmt: skip


@dataclass(slots=True)  # not frozen: that costs a microsecond each
class Piece:
    """A word, number, sign or found answer.

    Args:
        part: what it can be, one of the letters above.
        raw: as written.
        norm: folded.
        start: its offset.
        end: the offset behind it.
    """

    part: str
    raw: str
    norm: str
    start: int
    end: int


def pieces(masked: str, asked: frozenset[str] = frozenset()) -> list[Piece]:
    """The pieces of a reply in which `GOLD` stands for each found answer; `asked` are the question's folded words.

    Example:
        >>> "".join(p.part for p in pieces(f"The capital of Peru is {GOLD}, I think."))
        'dwpPcG,ih.'
    """
    found = []
    for hit in _PIECE.finditer(masked):
        group, raw = str(hit.lastgroup), hit[0]
        if group == "word":
            norm = fold(raw)
            part = _part(raw, norm, asked)
        elif group == "quote":
            continue
        else:
            norm = raw
            part = (HEDGE if raw in _CURRENCY else _SIGNS.get(group)) or {
                "gold": ANSWER,
                "initial": NAME,
                "number": ASKED if raw in asked else NUMBER,
            }.get(group, SCRIPT)
        found.append(Piece(part, raw, norm, hit.start(), hit.end()))
    return _with_places(found)


def _with_places(found: list[Piece]) -> list[Piece]:
    """The same pieces, names of countries and states marked as such ("New Zealand"), and "May" beside a number."""
    i = 0
    while i < len(found):
        if found[i].norm in ("may", "march") and any(
            p.part == NUMBER for p in (*found[max(0, i - 1) : i], *found[i + 1 : i + 2])
        ):
            found[i] = replace(found[i], part=NUMBER)
        code = (
            STATE_CODES.get(found[i].norm)
            if found[i].raw.isupper() and i and found[i - 1].part in COMMA + OPEN
            else ""
        )
        if code and found[i].part in NAME + OR + PREPOSITION + PRONOUN:
            found[i] = replace(found[i], part=PLACE, norm=code)
        if found[i].part == GENERIC and found[i].raw[0].isupper() and i and found[i - 1].part == NAME:
            found[i] = replace(found[i], part=NAME)  # "Cape Town"
        if found[i].part == NAME:
            for size in (3, 2, 1):
                if kind_of_place(" ".join(p.norm.replace(".", "") for p in found[i : i + size])):
                    found[i : i + size] = [replace(p, part=PLACE) for p in found[i : i + size]]
                    i += size - 1
                    break
        i += 1
    return found


def _part(raw: str, norm: str, asked: frozenset[str]) -> str:
    known = _KNOWN.get(norm)
    if norm in _CONTRACTED and "'" in raw:
        return SAID
    if known and not (raw[0].isupper() and len(raw) > 1 and raw.isupper() and len(norm) < 3):
        return known
    if len(norm) > 4 and norm.endswith("ed") and raw.islower():
        return VERB
    if norm in asked or (norm[-1] == "s" and norm[:-1] in asked and "'" in raw):
        return ASKED
    if _TOPIC.search(raw):
        return SAID
    if norm in _NUMBERS or (norm in MONTHS and raw[0].isupper()):
        return NUMBER
    if "-" in raw and raw.rpartition("-")[2].islower() and raw[0].isupper() and len(raw.rpartition("-")[2]) > 3:
        return WORD  # "Prize-winning"
    if raw[0].isupper() or not raw.isascii() and raw[0].lower() == raw[0].upper():
        return NAME
    return NAME if _ELIDED.search(raw) else WORD


@lru_cache(maxsize=4096)
def asked_words(question: str) -> frozenset[str]:
    """The folded words and numbers of a question.

    Example:
        >>> sorted(asked_words("Who was born in Ulm in 1879?"))
        ['1879', 'born', 'in', 'ulm', 'was', 'who']
    """
    return frozenset(p.norm for p in pieces(question) if p.raw[0].isalnum())
