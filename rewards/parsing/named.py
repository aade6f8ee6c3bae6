"""Doubt that names something: "not sure whether Oslo or Bergen" offers two, "I would not say Oslo" denies one."""

import re

from abstain.rewards.parsing.sentences import Clause

# "I have no doubt it is Oslo" doubts nothing
CERTAIN = re.compile(
    r"(?:(?:i|we) )?(?:(?:i've|we've|there is|there's|there can be|with|have|had|having|beyond|without) )?"
    r"(?:(?:absolutely|really|got|very) )?(?:a|any|no|little|the least|the slightest|zero) "
    r"(?:(?:real|serious|shadow of a|reasonable) )?doubts?\b(?: (?:about it|about that|at all|in my mind|whatsoever))?"
    r"(?: that)?(?: (?:it's|it is|it was|it must be|this is|that is))?"
)
# two candidates are offered, however unsure one is of them: "not sure whether Oslo or Bergen", オスロかベルゲンか
_TORN = re.compile(
    r"(?: (?:whether|if)(?: it's| it is| it was|) (?P<which>[^.,:?]{1,80}? or [^.,:?]{1,80})"
    r"|(?:torn|undecided|hesitating|wavering|choosing|sure|certain) between "
    r"(?P<between>[^.,:?]{1,80}? (?:and|or) [^.,:?]{1,80}))\Z"
)
_TORN_CJK = re.compile(
    r"(?P<ja>[ァ-ヶー・一-龯A-Za-z0-9]{1,15}か(?:、|それとも)?[ァ-ヶー・一-龯A-Za-z0-9]{1,15})か"
    r"(?:どちらか|どっちか|は|、)?[^か]{1,12}\Z"
    r"|(?:不|没)[^是，。]{1,6}是(?P<zh>[^是的谁誰什哪几幾何有没不，。]{1,12}(?:还是|還是|或者?)[^的谁誰什哪几幾何有没不，。]{1,12})\Z"
)
# and whoever denies one thing has said something about it, which is no "I don't know"
_DENIED = re.compile(
    r"(?:(?:i|we) )?(?:would not|wouldn't|won't|will not|should not|shouldn't) (?:(?:really|exactly|just|ever) )?"
    r"(?:say|call it|pick|choose|bet on|go with|answer) (?:that )?(?P<sure>it's |it is |it was |this is |that is )?"
    r"(?P<what>[^ ]+)(?P<more> .*)?"
)
_NOTHING_NAMED = frozenset(
    {
        *(
            "it",
            "this",
            "that",
            "so",
            "more",
            "anything",
            "anyone",
            "any",
            "much",
            "either",
            "neither",
            "which",
            "who",
        ),
        *("what", "when", "where", "how", "why", "without", "for", "with", "if", "unless", "until", "to", "on", "in"),
        *("at", "as", "because", "since", "based", "or", "and", "but", "yet", "the", "a", "an", "my", "your", "such"),
        *("no", "one", "these", "those", "i", "we"),
    }
)
_DENIED_CJK = re.compile(
    r"[ァ-ヶー・一-龯A-Za-z0-9]{2,15}(?<![何確絶断概誰])(?:だ|である)?とは(?:言え|いえ|言い切れ|思え|言わ)"
    r"(?:ません|ませんでした|ない|なかった|ないです|ないと思います|ず)"
    r"|我?不(?:会|會)(?:说|說|选|選)(?:是|它是)?[^什甚谁誰哪何怎清明准出得话話谎謊]{2,12}"
)
_NO_THING = re.compile("何|確|絶対|断定|一概|誰|正確|明言|無責任")
_WORD = re.compile(r"[\w'’.-]+")
_SMALL = frozenset({"or", "and", "the", "of", "a", "an", "it", "was", "is"})


def two_named(part: Clause, text: str) -> int | None:
    """Where the two candidates of a doubting clause begin: names or single words; a question would have a verb.

    Example:
        >>> from abstain.rewards.parsing import parse
        >>> parse("Not sure whether Turku or Vaasa").answer, parse("Not sure whether Ann or Bo won").abstained
        ('Turku or Vaasa', True)
    """
    if found := _TORN.search(part.text):
        left = found.start(str(found.lastgroup))
        words = _WORD.findall(text[part.start_of(left) : part.end])
        names = [word for word in words if word.lower() not in _SMALL]
        return left if all(not word[0].islower() for word in names) or len(words) == 3 else None
    if part.text.isascii():
        return None
    found = _TORN_CJK.search(text[part.start : part.end].strip(" \n。.!！"))
    return 0 if found and not _NO_THING.search(found[0]) else None


def denies_one(part: Clause, text: str) -> bool:
    """Whether a clause denies one thing that it names: an attempt, of which the grader has to see the denial.

    Example:
        >>> from abstain.rewards.parsing import parse
        >>> parse("I would not say Turku").answer, parse("I would not say").abstained
        ('I would not say Turku', True)
    """
    if found := _DENIED.fullmatch(part.text):
        what = found["what"]
        named = not text[part.start_of(found.start("what"))].islower() or (
            not found["more"] and not what.endswith("ly")
        )
        return what not in _NOTHING_NAMED and (found["sure"] is not None or named)
    if part.text.isascii():
        return False
    said = text[part.start : part.end].strip(" \n。.!！")
    return _DENIED_CJK.fullmatch(said) is not None and not _NO_THING.search(said)
