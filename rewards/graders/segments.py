"""A sentence in pieces: which of them name an answer, and which only say the question again."""

import re
from dataclasses import dataclass
from typing import Literal

from abstain.rewards.graders.statement import GOLD, words
from abstain.rewards.graders.text import UNSPACED, fold, is_unspaced
from abstain.rewards.graders.words import (
    ASIDES,
    CONNECTIVES,
    DETERMINERS,
    FUNCTION,
    HEADS,
    HEDGES,
    JOINERS,
    LINKS,
    NEGATIONS,
    NUMBER_WORDS,
    OPENERS,
    OR_EXEMPT,
    PARTICLES,
    PREPOSITIONS,
    PRONOUNS,
    ROLES,
    SUFFIXES,
    VERBS,
)

Kind = Literal["name", "common", "number"]
_SEPARATOR = re.compile(
    r"(?P<aka>[,;(]? ?\b(?:aka|a\.k\.a\.|alias"
    r"|(?:also|better|formerly|otherwise|sometimes|professionally) (?:known as|called)"
    r"|xor|otherwise|unless|also|either|then|sometimes|in other words|if not|failing that|i\.?e\.?)(?= |,|$)"
    r"|(?<=\S) ?[^\w\s\ue000'.,:;!?()\[\]/|+=$%#@—\-、。，；：！？・]+ ?| [.$%#@]+ "
    r"|(?<=\ue000)(?!'s\b) ?[.'$%#@]+ ?(?=\w)|(?<=\w) ?[.'$%#@]+ ?(?=\ue000))"
    r"|(?P<or>[,;]? (?:and/or|or/and|or else|or|oder|ou|vs\.?|versus)(?=[ ,])"
    r"|、?(?:または|もしくは|あるいは|それとも|或者|或是|还是|還是|或))"
    r"|(?P<and>[,;]? (?:and|und|et|y|plus|as well as|but also)(?=[ ,]))"
    r"|(?P<open> ?[(\[])|(?P<close>[)\]] ?)|(?P<comma> ?(?:[,;、，；]|\.{2,}) ?)|(?P<slash> ?[/|+] ?)"
    r"|(?P<dash> -+>? ?|-+>? | ?—|-+>)|(?P<colon> ?(?::|=>?|：))"
    r"|(?P<stop>[.!?。！？]{0,5}\n|[.!?。！？]{1,5}$|[!?]+(?= ))",
    re.IGNORECASE,
)
_AND = "かとや和与與跟及"
_JOINED = re.compile(
    rf"{GOLD} ?[{_AND}] ?(?=\w)|(?<=\w) ?[{_AND}] ?{GOLD}|{GOLD} (?=[{UNSPACED}])|(?<=[{UNSPACED}]) {GOLD}"
)
_UNSPACED_LEAD = re.compile(r"^(?:.*[は是]|多分|たぶん|おそらく|恐らく|可能|也许|大概|应该)+")
_UNSPACED_END = re.compile(
    r"(?:だと思います|と思います|かもしれません|かもしれない|でしょう|だろう|である|でした|です|だ|かな|吧|呢|か|、)+$"
)
_UNSPACED_DENIAL = re.compile("不是|并非|並非|不在|ではな|ではあり|じゃな")
_NOT_A_NAME = re.compile(r"[ぁ-ゟ的不在有了也]")


@dataclass(frozen=True)
class Segment:
    """A piece of a sentence.

    Args:
        joint: what joins it to the piece before: "or", "and", "comma", "aka", "open", ...; "" for the first.
        words: its words as written, a found gold being one of them.
        text: the piece itself.
    """

    joint: str
    words: list[str]
    text: str

    @property
    def denies(self) -> bool:
        return bool(NEGATIONS & {fold(w) for w in self.words} or _UNSPACED_DENIAL.search(self.text))

    @property
    def is_clause(self) -> bool:
        """Whether it has a verb and says more than "I think" or "perhaps"."""
        folded = {fold(w) for w in self.words}
        return bool(folded & VERBS) and not folded <= HEDGES | ASIDES


def segments(sentence: str) -> list[Segment]:
    """A sentence cut at commas, brackets, "or" and "and".

    Example:
        >>> [(s.joint, s.text.strip()) for s in segments("Paris, France or (maybe) Rome")]
        [('', 'Paris'), ('comma', 'France'), ('or', ''), ('open', 'maybe'), ('close', 'Rome')]
    """
    sentence = _JOINED.sub(lambda m: f"{GOLD} or " if m[0][0] == GOLD else f" or {GOLD}", sentence)
    cut, joint, out = 0, "", []
    for found in _SEPARATOR.finditer(sentence):
        out.append((joint, sentence[cut : found.start()]))
        cut, joint = found.end(), found.lastgroup or ""
    return [Segment(j, words(t), t) for j, t in [*out, (joint, sentence[cut:])]]


def stripped(found: list[str], drop: frozenset[str]) -> list[str]:
    """The words without those of `drop` at the front, and without words of doubt at the end.

    Example:
        >>> stripped(["maybe", "London", "perhaps"], HEDGES)
        ['London']
    """
    start = next((i for i, w in enumerate(found) if fold(w) not in drop), len(found))
    end = next((i for i in range(len(found), start, -1) if fold(found[i - 1]) not in HEDGES), start)
    return found[start:end]


def after_link(found: list[str]) -> list[str]:
    """What a clause names: the words after its last verb.

    Example:
        >>> after_link(["The", "capital", "is", "probably", "London"])
        ['London']
    """
    links = [i for i, w in enumerate(found) if fold(w) in LINKS]
    return stripped(found[links[-1] + 1 :] if links else found, HEDGES | CONNECTIVES)


def _unspaced_name(word: str) -> bool:
    name = _UNSPACED_END.sub("", _UNSPACED_LEAD.sub("", word)) if len(word) < 60 else ""
    return 0 < len(name) <= 10 and not _NOT_A_NAME.search(name)


def _looks_like(kind: Kind, core: list[str]) -> bool:
    """Whether the words could be an answer of the same kind as the gold one."""
    if kind == "number":
        return any(c.isdigit() for w in core for c in w) or any(fold(w) in NUMBER_WORDS for w in core)
    if is_unspaced(core[0][0]):
        return len(core) == 1 and _unspaced_name(core[0])
    if kind == "common":
        return len(core) <= 3 and not fold(core[0]).endswith("ly")
    if core[-1].endswith("'s"):
        return False
    return core[0][0].isupper() and all(w[0].isupper() or w[0].isdigit() or fold(w) in PARTICLES for w in core)


def names_answer(core: list[str], joint: str, kind: Kind) -> bool:
    """Whether the words after a joint name an answer instead of describing one.

    Example:
        >>> names_answer(["London"], "comma", "name"), names_answer(["the", "capital"], "comma", "name")
        (True, False)
    """
    if joint == "or":
        core = stripped(core, DETERMINERS | PREPOSITIONS)
        stop = next((i for i, w in enumerate(core) if fold(w) in FUNCTION and fold(w) not in PARTICLES), len(core))
        core = core[:stop]
        return bool(core) and fold(core[0]) not in OR_EXEMPT and _looks_like(kind, core[:6])
    core = core[1:] if core[:1] == ["The"] and core[1:] and core[1][0].isupper() else core
    if not core or len(core) > 6 or any(fold(w) in VERBS | PRONOUNS | NEGATIONS for w in core):
        return False
    first = fold(core[0])
    if first in (FUNCTION - {"the"} if joint == "stop" else FUNCTION) | ASIDES | OPENERS | SUFFIXES or first.endswith(
        "ly"
    ):
        return False
    return not (kind == "name" and first in ROLES) and _looks_like(kind, core)


_BE = frozenset({"is", "was", "are", "were", "becomes", "became", "remains", "lies"})
_WHEREVER = frozenset({"of", "for"})  # other prepositions only restate when "is" follows at once
_HEADS = HEADS - {"capital"}
_UNSPACED_TOPIC = re.compile(
    rf"{GOLD}[都道府県市区町村省国州郡]?(?:の[{UNSPACED}]{{1,20}}(?:は|が)|的[{UNSPACED}]{{1,12}}是)(?=.)"
)


def _hangs(before: list[str], after: list[str]) -> bool:
    """Whether a gold between these words hangs on another noun that is then said to be something."""
    places = [i for i, w in enumerate(before) if w in PREPOSITIONS and i]
    verb = next((i for i, w in enumerate(after) if w in _BE), None)
    if not places or verb is None or any(w in VERBS for w in before):
        return False
    if any(w in PRONOUNS | JOINERS for w in after[:verb]) or verb + 1 == len(after):
        return False
    last = places[-1]
    if before[last] == "of" and before[last - 1] in _HEADS and last - 1 <= 1:
        return False
    return any(before[i] in _WHEREVER for i in places) or verb <= 1


def restated(sentence: str) -> int:
    """How many of the golds in a masked sentence stand in the question said again, and are no answer.

    The question is not at hand, so the form decides: a name that hangs on "of" or the like in the subject of "is" is
    not what the sentence answers.

    Example:
        >>> restated(f"The capital of {GOLD} District is Roma"), restated(f"The city of {GOLD} is the capital")
        (1, 0)
    """
    count = len(_UNSPACED_TOPIC.findall(sentence))
    for part in segments(sentence):
        folded = [w if w == GOLD else fold(w) for w in part.words]
        if GOLD in folded:
            i = folded.index(GOLD)
            count += _hangs(folded[:i], folded[i + 1 :])
    return count
