"""Whether two names are one person's: titles, middle names, initials and "Junior" come and go; all else must agree.

A second family name is never taken for a middle name where the given and the family name do not both stand: "Obama
McCain" is not Obama, and between the two stand two names at most.
"""

from collections.abc import Sequence

from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.text import Token
from abstain.rewards.graders.words import FUNCTION, PARTICLES


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MIDDLE = 2  # names that may stand between the given and the family name
_LOOSE_TITLES = _set(
    """president king queen emperor empress pope prince princess tsar czar kaiser sultan senator chancellor governor
    cardinal archbishop mr mrs ms miss professor prof"""
)
_TITLES = _LOOSE_TITLES | _set(
    """sir dame doctor dr saint general gen colonel captain major lieutenant sergeant admiral lord lady duke duchess
    count countess baron earl reverend rev bishop judge justice secretary mayor maharaja shah coach father sister"""
)
_LONG_TITLES = frozenset([("prime", "minister"), ("vice", "president"), ("grand", "duke"), ("chief", "justice")])
# A name with one of these is no person's, and its middle word is not left off: "Ohio State University".
_THINGS = _set(
    """university college school academy institute station street avenue road lane square bridge tower park garden
    gardens hall house palace castle church cathedral abbey temple river lake sea ocean bay gulf strait island islands
    mountain mountains mount hill hills valley desert canyon falls city town village county state states province
    country republic kingdom empire union federation commonwealth district territory world war battle treaty act
    revolution league cup trophy award prize medal games championship series season bowl club united football baseball
    basketball hockey team party movement army navy force guard council court parliament senate congress committee
    commission office department ministry agency bureau bank company corporation group holdings records studios
    pictures entertainment media news times post journal magazine press radio television network channel hotel hospital
    museum gallery library theater center stadium arena airport port harbor railway railroad line highway airlines
    airways motors electric foods brothers sons band orchestra symphony quartet show film movie north south east west
    northern southern eastern western central new great big old little san santa los las el la virus disease syndrome
    law theorem theory effect constant system language people dynasty era age period day night red blue green black
    white golden silver dead first second third last final national international american british english french
    german chinese japanese indian royal imperial"""
)
_NO_NAMES = FUNCTION | _THINGS
# What ends titles, teams, towns and things more often than it is a family name, or begins them: "Star Wars".
_COMMON = _set(
    """star stars wars game games thrones ring rings king kings queen queens prince princess knight knights man men
    woman women boy boys girl girls child children friend friends family home earth sun moon sky space time life
    death love heart hearts soul mind body hand head eye eyes face blood bone fire water ice snow rain wind storm stone
    stones rock rocks iron steel glass wood tree trees leaf flower rose roses forest field way path journey trip story
    stories tale tales book books song songs dance music play plays player power energy matter mass light lights dark
    darkness shadow dream dreams nights days year years summer winter spring autumn fall morning evening dawn midnight
    dog dogs cat cats horse wolf bear bears lion lions tiger tigers eagle eagles hawk falcon fox bird birds fish bull
    bulls giants jets rangers pirates bean beans cake bread cheese wine beer coffee cola juice sauce soup salad
    rice acid cell cells gene protein oxide dioxide chloride carbonate car cars train ship boat plane engine machine
    computer phone door window wheel ball bowl hole belt code word words number name names picture pictures paper
    letter letters market trade money business work works school class course rule rules right rights wrong truth hope
    faith grace peace freedom liberty justice honor glory victory fear anger joy pride purple pink orange yellow brown
    grey gray bright hot cold deep long short high low fast slow wild sweet lost hidden secret broken flying running
    walking living holy sacred ancient modern happy sad pop jazz hip hop heavy metal hard soft open free super mini
    mega ultra solar lunar quantum homo natural social science physics point points force forces beauty
    beast magic monster alien robot detective murder crime january february march april may june july august september
    october november december monday tuesday wednesday thursday friday saturday sunday hundred thousand million
    mona lisa notre dame moby dick taj mahal machu picchu"""
)
_TOWNS = _set(
    """buenos rio belo porto monte kuala addis tel phnom sao santo cape fort port hong abu sri salt baton cedar corpus
    nuevo ciudad villa saint st mount ulan hagia burj costa puerto mexico guatemala panama"""
)
_ABSTRACT = ("tion", "ness", "ism", "ology", "ics", "ity", "phobia", "itis", "land", "ville", "town", "shire")
# The same given name, in the short and in the long.
_NICKNAMES = """david dave;william bill will billy;robert bob bobby rob;michael mike;james jim jimmy;thomas tom;
    joseph joe;daniel dan danny;benjamin ben;samuel sam;christopher chris;matthew matt;nicholas nick;anthony tony;
    stephen steven steve;edward ed eddie;richard rick dick;charles charlie;andrew andy;gregory greg;jeffrey jeff;
    timothy tim;kenneth ken kenny;ronald ron;donald don;douglas doug;lawrence larry;frederick fred;walter walt;
    jonathan jon;elizabeth liz beth;katherine catherine kate cathy;jennifer jen jenny;susan sue;deborah debbie;
    patricia pat"""
_LONG_NAME = {short: names.split()[0] for names in _NICKNAMES.split(";") for short in names.split()}
_JUNIOR = "junior"
_SUFFIXES = frozenset([_JUNIOR, "jr", "senior", "sr", "2", "3", "4"])


def without_title(tokens: list[Token]) -> list[Token]:
    """The tokens of a name without what stands in front of it: "Sir", "Prime Minister", "Queen".

    One word is left only by titles that are said with one: "President Nixon", but "Captain America".

    Example:
        >>> from abstain.rewards.graders.text import tokenise
        >>> [[t.norm for t in without_title(tokenise(n))] for n in ("Prime Minister John Major", "Captain America")]
        [['john', 'major'], ['captain', 'america']]
    """
    for _ in range(2):
        if len(tokens) > 2 and tokens[1].gap == " " and (tokens[0].norm, tokens[1].norm) in _LONG_TITLES:
            tokens = tokens[2:]
        elif len(tokens) > 1 and tokens[0].norm in _TITLES and tokens[1].gap.strip(".") == " ":
            if len(tokens) == 2 and (tokens[0].norm not in _LOOSE_TITLES or kind_of_place(tokens[1].norm)):
                break
            tokens = tokens[1:]
    return tokens


def _is_name(token: Token) -> bool:
    known = token.norm not in _NO_NAMES or token.raw == "Will"
    return token.raw[0].isalpha() and known and not token.unspaced


def is_middle(token: Token) -> bool:
    """Whether a word of a text may be a middle name: a name in capitals, joined on by nothing but a space.

    Example:
        >>> from abstain.rewards.graders.text import tokenise
        >>> [is_middle(t) for t in tokenise("Ada King, Lovelace or Byron")]
        [False, True, False, False, True]
    """
    return token.capital and token.gap.strip(".") in (" ", "-") and _is_name(token)


def family_names(tokens: Sequence[Token]) -> frozenset[tuple[str, ...]]:
    """What someone of this name may be called for short, by its form: the last name, with its particles, and the last
    two of three; nothing for what may be no person.

    Example:
        >>> from abstain.rewards.graders.text import tokenise
        >>> sorted(family_names(tokenise("Rogier van der Weyden")))
        [('van', 'der', 'weyden'), ('weyden',)]
        >>> family_names(tokenise("Star Wars")), family_names(tokenise("The Kinks"))
        (frozenset(), frozenset())
    """
    name, _ = _suffix(without_title(list(tokens)))
    inner = [t for t in name if t.capital or t.norm not in PARTICLES]
    if not 2 <= len(inner) <= MIDDLE + 2 or len(name) > len(inner) + MIDDLE or not name[-1].capital:
        return frozenset()
    if any(t.gap.strip(".") not in (" ", "-") for t in name[1:]) or not all(
        t.capital and (_is_name(t) or t.norm in PARTICLES) and t.norm.isalpha() for t in inner
    ):
        return frozenset()
    first, last = inner[0].norm, inner[-1].norm
    if len(last) < 4 or last.endswith(_ABSTRACT) or not _COMMON.isdisjoint([first, last]) or first in _TOWNS:
        return frozenset()
    if kind_of_place(last) or kind_of_place(" ".join(t.norm for t in name)) or first in PARTICLES:
        return frozenset()
    start = _family([t.norm for t in name])
    found = {(last,), tuple(t.norm for t in name[start:])}
    if len(inner) > 2 and len(inner[-2].norm) > 3 and name[-2] is inner[-2]:
        found.add((inner[-2].norm, last))
    return frozenset(found)


def is_person(tokens: Sequence[Token]) -> bool:
    """Whether the words could be a person's given, middle and family names, by their form.

    Example:
        >>> from abstain.rewards.graders.text import tokenise
        >>> [is_person(tokenise(n)) for n in ("Ada King Lovelace", "Ohio State University", "rock music")]
        [True, False, False]
    """
    if not 2 <= len(tokens) <= MIDDLE + 2 or not all(t.capital and _is_name(t) for t in tokens):
        return False
    return all(map(is_middle, tokens[1:]))


def middle_names(tokens: Sequence[Token]) -> tuple[str, ...]:
    """The folded names, each initial of "H.W." for itself."""
    return tuple(part for t in tokens for part in (t.norm if _initials(t) else (t.norm,)))


def _initials(token: Token) -> bool:
    return len(token.raw) == 1 or ("." in token.raw and token.raw.replace(".", "").isupper())


def _one_name(first: str, second: str) -> bool:
    if first == second:
        return True
    return 1 in (len(first), len(second)) and first[:1] == second[:1]


def same_middle(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether middle names agree: left off, or as many, and the same but for initials.

    Example:
        >>> same_middle(["f"], ["fitzgerald"]), same_middle([], ["f"]), same_middle(["h", "w"], ["w"])
        (True, True, False)
    """
    if not first or not second:
        return len(first) <= MIDDLE and len(second) <= MIDDLE
    return len(first) == len(second) and all(map(_one_name, first, second))


def _title(tokens: list[Token]) -> list[str]:
    return [t.norm for t in tokens[: len(tokens) - len(without_title(tokens))]]


def _suffix(tokens: Sequence[Token]) -> tuple[Sequence[Token], str]:
    if len(tokens) > 2 and tokens[-1].norm in _SUFFIXES:
        return tokens[:-1], {"jr": _JUNIOR, "sr": "senior"}.get(tokens[-1].norm, tokens[-1].norm)
    return tokens, ""


def same_person(first: list[Token], second: list[Token]) -> bool:
    """Whether two names, as tokens, are one person's by their form.

    Example:
        >>> from abstain.rewards.graders.text import tokenise
        >>> def same(first, second):
        ...     return same_person(tokenise(first), tokenise(second))
        >>> same("John F. Kennedy", "John Fitzgerald Kennedy"), same("George H. W. Bush", "George W. Bush")
        (True, False)
    """
    if not first or not second:
        return False
    if first[-1].norm.isdigit() and _title(first) and _title(second) and _title(first) != _title(second):
        return False  # Emperor Henry IV and King Henry IV
    (one, suffix), (other, other_suffix) = _suffix(without_title(first)), _suffix(without_title(second))
    longest = max(len(one), len(other))
    if suffix != other_suffix and not (
        {suffix, other_suffix} == {"", _JUNIOR} or ("" in (suffix, other_suffix) and longest > MIDDLE)
    ):
        return False  # John Paul II is not John Paul, but John Davison Rockefeller III is John Rockefeller
    if not one or not other or one[-1].norm != other[-1].norm or longest > MIDDLE + 3:
        return False
    if any(t.gap.strip(".") not in (" ", "-") for t in (*one[1:], *other[1:])):
        return False
    inner = [t for name in (one, other) for k, t in enumerate(name) if k == len(name) - 1 or not _is_initial(t)]
    if not all(map(_is_name, inner)) or not (_is_cased(one) or _is_cased(other)):
        return False
    names, others = middle_names(one), middle_names(other)
    family, other_family = _family(names), _family(others)
    if names[family:] != others[other_family:] or not (family and other_family):
        return names == others
    middle, other_middle = names[1:family], others[1:other_family]
    if not (same_middle(middle, other_middle) or _double(middle, other_middle)) or {names[0], names[-1]} & {
        *middle,
        *other_middle,
    }:
        return False
    if _given(names[0]) == _given(others[0]):
        return True
    particled = family < len(names) - 1 and not (middle or other_middle)  # "L. van Beethoven"
    return (particled or bool(middle and other_middle)) and _one_name(names[0], others[0])


def _is_initial(token: Token) -> bool:
    """Whether a middle name is an initial, "A" too, which else is an article."""
    return len(token.raw) == 1 and token.raw.isupper()


def _double(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether all but the first of some middle names are the others, as in "Gabriel José García Márquez"."""
    short, long = sorted((list(one), list(other)), key=len)
    return 0 < len(short) < len(long) <= MIDDLE and long[-len(short) :] == short and all(len(n) > 2 for n in long)


def _family(names: Sequence[str]) -> int:
    """Where the family name begins: "van Beethoven", "Le Guin"."""
    start = len(names) - 1
    while start > 1 and names[start - 1] in PARTICLES:
        start -= 1
    return start


def _given(name: str) -> str:
    """One form for a given name in the short and in the long, and for "Yelena" and "Elena"."""
    return _LONG_NAME.get(name) or (name[1:] if name.startswith("ye") else name)


def _is_cased(tokens: Sequence[Token]) -> bool:
    return all(t.capital or t.norm in PARTICLES for t in tokens)
