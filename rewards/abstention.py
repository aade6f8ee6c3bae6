"""Does a reply offer an answer, or does it only say that it has none? In English, Japanese and Chinese.

The rule, for training and evaluation alike, so that hedging can't be farmed: **whoever offers an answer, however
hedged, has attempted**. A reply is an abstention iff a clause says "I don't know" and no clause offers anything.

A reply is cut into clauses at punctuation and at *contrast* and *guess* words ("but", "maybe", たぶん, 可能是; *keep*
lists exceptions), *fillers* and closing *particles* are set aside, and each clause is one of these (in *italics* the
sections of `phrases/*.txt`, where the words are):

- *idk*, "I don't know the capital of Peru", or *doubt*, "not sure", or *broad*, a denial of knowing or answering. What
  it is that is not known restates the question, so names in it are no offer, and neither are those after a further
  comma ("in Lima, Peru"), unless it is only "the answer" (*object*). Exceptions: a number ("I don't know the year,
  1998"), "if it's Paris", "idk Paris?", titles in title case.
- *excuse*: apologies, reasons, advice, and remarks about the question, records or oneself; *meta* is the same unless
  it says a name or a number; a *question* back; a *topic* before "I don't know"; a *negation* ("The census never
  recorded it"), unless it is about him, her or them.
- an offer: what follows a guess word or an introduction (*start* "I'd say", *lead* "it is", 答案是), and **any other
  clause**, after "but" or standing alone ("I don't know. Paris."). Words that no section knows count as an offer.
  From an offer a closing です or 吧 (*tail*) is taken off.

Quoted words and titles are never read as saying anything, but the quotation "I don't know" itself may be the answer.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from abstain.rewards.clause_kinds import Kind, extend, kinds_of, known_phrases, title_case
from abstain.rewards.clauses import Clause

MAX_TEXT = 10_000  # characters; who writes more than that has not just said "I don't know"
_CHOICE = re.compile(r"\(?[A-Ha-h][).:]\s+(?P<rest>.*)", re.DOTALL)
_PERSONAL = re.compile(r"\W*(?:i|we|idk|dunno)\b", re.IGNORECASE)
_NO_ABBREVIATION = re.compile(r"(?:[A-Za-z]{3}|[0-9)\]%\"]|[^\x00-\x7f])\Z")
_WRAPS = {'"': '"', "“": "”", "「": "」", "'": "'", "‘": "’"}


@dataclass(frozen=True)
class Reading:
    """What a reply offers: the offered text ("" if none), whether it abstains, and whether it voices doubt."""

    answer: str
    abstained: bool = False
    hedged: bool = False


def is_abstention(text: str) -> bool:
    """Whether a reply offers no answer and says so.

    Example:
        >>> [is_abstention(t) for t in ("I don’t know who won in 1998.", "わかりません。", "無法確定", "[IDK]")]
        [True, True, True, True]
        >>> [is_abstention(t) for t in ("I don't know, but perhaps Paris", "Unknown Pleasures", "《不知道》", "")]
        [False, False, False, False]
    """
    return read(text).abstained


def load_phrases(path: str | Path) -> int:
    """Add the phrases of a file to those known in this process; return how many. The syntax: `rewards/phrasebook.py`.

    Raises `FileNotFoundError`, or `ValueError` naming file:line.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp(), "de.txt")
        >>> _ = file.write_text("[idk]\\n(ich |)(weiß|weiss) (es|das) (leider |)nicht\\n")
        >>> load_phrases(file), is_abstention("Ich weiß es leider nicht.")
        (1, True)
    """
    return extend(path)


def read(text: str) -> Reading:
    """What a reply offers, by the rule above. Pure and total: any string will do.

    Example:
        >>> read("I'm not sure, maybe Paris?")
        Reading(answer='Paris', abstained=False, hedged=True)
        >>> read("わかりませんが、たぶんパリです")
        Reading(answer='パリ', abstained=False, hedged=True)
        >>> read("Paris")
        Reading(answer='Paris', abstained=False, hedged=False)
    """
    text = unwrap_quotes(text.strip())
    if len(text) > MAX_TEXT:
        return Reading(text)
    if choice := _CHOICE.fullmatch(text):  # "C. Cannot be determined" is an answer, "E. I don't know" isn't
        return read(choice["rest"]) if _PERSONAL.match(choice["rest"]) else Reading(text)
    parts, kinds = kinds_of(text)
    offers = [i for i, kind in enumerate(kinds) if kind.name == "offer"]
    doubted = any(kind.name in ("idk", "doubt") or (kind.name == "offer" and kind.about) for kind in kinds)
    if doubted:
        return Reading(_joined(offers, parts, kinds, text), abstained=not offers, hedged=bool(offers))
    hedged = any(kind.guess or "guess" in (part.before, part.after) for part, kind in zip(parts, kinds, strict=True))
    plain = not hedged or len(offers) < len(parts) or title_case(text, 1)  # "Maybe Tomorrow" may be a song
    return Reading(text if plain else _joined(offers, parts, kinds, text), hedged=hedged)


def unwrap_quotes(text: str) -> str:
    """The text without quotation marks around all of it; titles keep theirs.

    Example:
        >>> unwrap_quotes('"Paris"'), unwrap_quotes("「パリ」"), unwrap_quotes('"A" and "B"')
        ('Paris', 'パリ', '"A" and "B"')
    """
    body = text.rstrip(".。")
    close = _WRAPS.get(body[:1])
    inner = body[1:-1]
    wrapped = len(body) > 2 and body[-1] == close and close not in inner and body[0] not in inner
    return inner.strip() if wrapped else text


def _joined(offers: list[int], parts: list[Clause], kinds: list[Kind], text: str) -> str:
    """The offered stretches of the original text; neighbours stay together."""
    stretches: list[tuple[int, int]] = []
    for i in offers:
        left = parts[i].spans[kinds[i].left - 1][1] if kinds[i].left else parts[i].start
        if stretches and kinds[i - 1].name == "offer":
            stretches[-1] = (stretches[-1][0], parts[i].end)
        else:
            stretches.append((left, parts[i].end))
    return ", ".join(_trimmed(text[left:right]) for left, right in stretches)


def _trimmed(answer: str) -> str:
    """An offered stretch without punctuation around it and without a closing です, 吧 …"""
    answer = without_stop(answer.strip(" \t\n\r,;:!?、，；：！？…—–*"))
    if answer and not answer.isascii():
        answer = answer[: len(answer) - len(_tail(answer))]
    return unwrap_quotes(answer.strip())


def without_stop(text: str) -> str:
    """The text without its closing full stop, which an abbreviation keeps.

    Example:
        >>> [without_stop(t) for t in ("Paris.", "パリ。", "Washington, D.C.", "42.")]
        ['Paris', 'パリ', 'Washington, D.C.', '42']
    """
    body = text.rstrip(".。")
    return body if _NO_ABBREVIATION.search(body[-3:]) else text


def _tail(answer: str) -> str:
    found = known_phrases().at_end["tail"].search(answer)
    return found[0] if found and found.start() > 0 else ""
