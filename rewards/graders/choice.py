"""The `choice` grader: the letter of a multiple-choice answer.

The gold is the letter, with or without the text of the option: ["B"], ["B", "Paris"] or ["B) Paris"]; the number
("2)") or the Roman numeral ("iv.") of options that are counted so; or several that belong together ("A and C").

The letter is found without a look at the gold, so that no answer can be right for two golds: all letters that are set
off ("B", "(b)", "B) Paris", "option B", "the answer is B", 答案是B, 選択肢B) are gathered, the article in "A dog" and
the pronoun "I" being none; those that are denied, conceded ("although C seems right") or described ("C is London") are
passed over; and what is left must be one. Where letter and text disagree the letter counts; without a letter the text
of the option must be given.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from abstain.rewards.graders.match import grade_match
from abstain.rewards.graders.overlap import normalised
from abstain.rewards.graders.statement import last_choice
from abstain.rewards.graders.text import UNSPACED, tidy
from abstain.rewards.graders.words import ASIDES, FUNCTION, HEDGES, JOINERS, NEGATIONS
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


LONGEST = 4_000  # characters; of a longer answer the beginning is read
MANY = 40  # letters; a text that names more has chosen none

_MARK = rf"[^\W{UNSPACED}]"  # what a letter must not touch; 答案是B is no word
_EDGES = (
    rf"(?<!{_MARK})(?<!{_MARK}['’-])(?<!\w\.)%s(?!{_MARK})(?!['’-]{_MARK})(?!\.[A-Za-z0-9](?![A-Za-z0-9]))(?!#|\+\+)"
)
_LABEL = {
    "letter": re.compile(_EDGES % "([A-Za-z])"),
    "number": re.compile(_EDGES % r"(\d{1,2})" + r"(?![.,]\d)"),
    "roman": re.compile(_EDGES % "(x{0,2}(?:ix|iv|v?i{1,3}|v)|x)", re.IGNORECASE),
}
_NAMED = r"(?:option|choice|answer|letter|statement|alternative|item|选项|選択肢|答案)"
_GOLD = {
    "letter": re.compile(r"[(\[]?([A-Za-z])(?:[)\].:]+|\s{0,20}$)\s*(.*)", re.DOTALL),
    "roman": re.compile(
        r"[(\[]?((?=..)x{0,2}(?:ix|iv|v?i{0,3}))(?:[)\].:]+|\s{0,20}$)\s*(.*)", re.DOTALL | re.IGNORECASE
    ),
    "number": re.compile(r"[(\[]?(\d{1,2})(?:[)\].:]+(?!\d)|\s{0,20}$)\s*(.*)", re.DOTALL),
}
_GOLD_WORDED = re.compile(rf"{_NAMED}\s*[(\[]?(?:([A-Za-z])|([ivx]{{2,5}})|(\d{{1,2}}))[)\]]?\s*$", re.IGNORECASE)
_GOLD_SET = re.compile(r"[A-H](?:\s*(?:(?:,|;|&|、|\band\b|和|と)\s*)?[A-H])+")

_QUICK = re.compile(
    r"[\s\"'*(\[]*(?:(?i:(?:the )?(?:(?:correct|final|best|right) )?(?:answer|option|choice|letter)(?: is:?|:)? )"
    r"[\"'*(\[]*)?([A-Z]|[a-z](?=[\s\"'*)\].]*$))(?:[\s\"'*)\].]*|[*)\].:]+ ([A-Za-z][A-Za-z' ]{1,60})[.*]*)"
)
_TURNS = re.compile(
    r"\b(?:or|and|nor|maybe|perhaps|possibly|not|but|no|answer|option|choice|wait|actually|sorry|rather|i|go|pick|wrong"
    r"|false"
    r"|incorrect)\b|n't|[^\x00-\x7f]|[\\$]",
    re.IGNORECASE,
)
_LATEX = re.compile(
    r"\\(?:text(?:bf|rm|it|sf)?|math(?:rm|bf|sf|it)|boxed|fbox|mbox|operatorname)\s?|\\[\s,;!:()\[\]]|[{}$\\`~]"
)
_SPACES = re.compile(r"[ \t*_]+")

# What tells a letter from a word.
_CUE = re.compile(
    rf"(?:\b{_NAMED}s?|\banswer(?:s)? (?:is|was|must be|would be|seems to be|should be)"
    r"|\b(?:pick|choose|select|chose|picked|guess)"
    r"|\b(?:go|going) (?:with|for)|\bit(?:'s| is)|\bor|\band|\bnor|\bnot|\beither|\bboth|\bneither|\bmaybe|\bperhaps)"
    r"[\s:\"'(\[=-]*$",
    re.IGNORECASE,
)
_NO_LABEL = re.compile(r"\b(?:vitamins?|hepatitis|plan|influenza|appendix|blood type)\s$", re.IGNORECASE)
_AS_LETTER = re.compile(
    r"[\"'\])}*]*\s*(?:$|[.,;:!?/|)\]=+&、。，；：！？\n—–-]|[^\x00-\x7f]|\d|[A-Z]"
    r"|(?i:is|are|was|were|isn't|seems?|looks?|must|would|could|might|may|can|because|since|or|and|nor|but|not|instead"
    r"|rather|maybe|perhaps|possibly|probably|with|then|too|also|sounds|appears|remains|it|makes|be|should)\b"
    r"|[A-Za-z]+\s+[(\[]?[A-Za-z](?![\w']))"
)

# Who is denied, conceded or described, and so not chosen.
_WRONG = (
    r"(?:wrong|false|incorrect|untrue|mistaken|ruled out|eliminated|excluded|discarded|rejected|invalid|impossible"
    r"|unlikely"
    r"|out\b|(?:an? )?(?:\w+ )?(?:distractors?|traps?|mistakes?|misconceptions?|decoys?))"
)
_IS = r"(?:'s|is|are|was|were|would be|can be|could be|must be|may be|has been|have been|seems?|looks?|sounds?)"
_SURELY = r"(?:(?:all|both|clearly|obviously|definitely|also|simply|just|very) )*"
_DENIED_AFTER = re.compile(
    rf"[\"'\])]*,? ?(?:(?:which|that|who) )?(?:{_IS} )?{_SURELY}{_WRONG}"
    rf"|[\"'\])]*,? ?(?:(?:which|that|who) )?{_IS} {_SURELY}not\b(?! only| just)"
    rf"|[\"'\])]* (?:isn't|aren't|wasn't|weren't|can't|cannot|won't|wouldn't|couldn't|doesn't|don't)\b"
    rf"|[\"'\])]* not (?:correct|right|true|the answer|an? |possible)"
    rf"|[\"'\])]*(?:,? but|[,;]) (?:that|this|it)(?:'s| is) (?:\w+ )?(?:{_WRONG}|not\b)"
    r"|[\"'\])]*[?!]+ ?(?:no|nope|wrong)\b"
    r"|[\"'\])」』]* ?(?:选项|選項|项|項)?[都均全也皆]?是?"
    r"(?:不对|不對|错|錯|不正确|不正確|不是|不选|不選|不成立|不符|不可能|排除)"
    r"|[\"'\])」』]* ?(?:は|が|も|って)?(?:間違|まちが|誤|違|不正解|不適|では(?:な|あ)|じゃ(?:な|あ)|でな|以外|を除)",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bcannot|\bneither|\bnor|\bnever|\brather than|\binstead of|\bunlike|\bexcept(?: for)?|\bother than"
    r"|\bopposed to|\bopposite of|\bexcluding|\b(?:eliminat|exclud|discard|reject|dismiss)(?:e|es|ed|ing|s)?"
    r"|\brul(?:e|es|ed|ing) out"
    r"|\b(?:any|every)(?:thing|one) but|\ball but|\bno way|\bdoubt|\bfalse that|\bwrong to|\bunlikely|\bimpossible)"
    r"(?: (?:be|been|option|options|choice|choices|answer|answers|letter|the|either|both|it's|it|is|was|that|think"
    r"|believe|say"
    r"|pick|choose|go|with|for|could|can|to))*[\s:(\"'\[]*$"
    r"|(?:不是|并非|並非|而非|不选|不選|排除|除了|不应选|不能选|绝非|除去)(?:选项|選項)?[\s(（]*$",
    re.IGNORECASE,
)
_MAY_DENY = re.compile(
    r"not\b|n't|wrong|false|incorrect|untrue|neither|nor\b|never|rather|instead|unlike|except|other than|oppos"
    r"|exclud|eliminat|discard|reject|dismiss|rul(?:e|es|ed|ing) out|ruled|anything|everything|everyone|all but|no way"
    r"|doubt|distract|trap|mistak|misconcep|decoy|invalid|impossible|\bout\b|[?!] ?no|cannot"
    r"|[不非除错錯間誤違なじ外ま]",
    re.IGNORECASE,
)
_CONCEDED = re.compile(
    r"\b(?:although|though|even though|while|whilst|even if|whereas|despite|虽然|尽管)\b[^,;.，。\n]{0,200}[,，]",
    re.IGNORECASE,
)
_TEMPTING = re.compile(
    r"\b(?:seems?|looks?|sounds?|appears?|might|may|tempt\w+|plausible|close|almost|thought|considered|wanted)\b"
    r"[^.\n]{0,60}?(?:,|;)? ?\bbut\b",
    re.IGNORECASE,
)
# Labels that are only what is chosen from, or the premises of a choice: "Of A, B and C, ...", "A and B hold, so ...".
_ROW = r"[(\[]?[A-J][)\]]?(?:(?:,? (?:and|or) |, ?)[(\[]?[A-J][)\]]?){1,9}"
_HOLD = r"(?: (?:are|both|all|each)){0,3} (?:true|holds?|correct|right|valid|appl(?:y|ies))\b"
_GROUNDS = (
    re.compile(rf"\b(?:[Oo]f|[Aa]mong|[Bb]etween|[Oo]ut of)(?: the)?(?: options| choices)? {_ROW},? (?![a-z])"),
    re.compile(rf"\b{_ROW}{_HOLD}[;,.]?\s?(?:[Ss]o|[Hh]ence|[Tt]hus|[Tt]herefore|which makes)\b"),
)
_REASON = re.compile(rf"\b(?:because|since|as|given that|for) {_ROW}{_HOLD}")
_DESCRIBED = re.compile(
    r"[\"'\])]* (?:is|was|are|were|has|had|refers to|describes|means|names|says|stands for|would mean"
    r"|represents)\b([^.,;\n)]*)"
    r"|(?:は|が|是|指)([^。，、；\n]*)",
    re.IGNORECASE,
)
_APPROVED = re.compile(
    r"\b(?:correct|right|true|best|answer|possible|plausible|likely|it|good|fine|too|also|acceptable|valid|alternative|option"
    r"|choice|one|another|well|better|second|close|probable|accurate|contender|candidate|rival|runner-up|favou?rite|possibility)\b|正|答|可能|对|對|合|好|^\s*$",
    re.IGNORECASE,
)
_STOP = re.compile(r"(?:(?<=[^\s.][^\s.][.!?])|(?<= [A-Z][.!?]))\s+|[。！？\n]+")
_TEXT_FORM = re.compile(r"(?:[\"'\])]*(?:[).:\]]| ?[-–—:=]+ )|の(?=\")|(?=「))[ \"'(]*([^\n]*)")
_JOINED = re.compile(
    r"[\s\"')\]]*(?:,|/|&|\band/or\b|\band\b|\bor\b|\bnor\b|、|和|与|與|及|或|と|や|か|または)"
    r"[\s\"'(\[]*(?:(?:and|or|nor) )?",
    re.IGNORECASE,
)
_FRAME = (
    (FUNCTION | ASIDES | HEDGES | JOINERS)
    - NEGATIONS
    - _set("or nor either neither both but and maybe perhaps possibly than no also even alternatively plus")
) | _set(
    """answer option choice letter correct right best final true most pick choose select go going with statement
    alternative item good guess safe sure options considering comparing after chosen selected confident certain
    definitely clearly believe would my conclusion"""
)
_UNSPACED_FRAME = re.compile(
    r"正确|正確|正しい|对|對|最终|最終|最后|答案|答え|解答|回答|正解|选项|選項|選択肢|选择|選択|应该|應該|应|應|故选|故"
    r"|因此|所以|我|认为|覺得|觉得|选|選|为|為|是|项|項|该|的|了|です|でしょう|だと|思います|思う|だ|である|になります|となります|は|が|の|を|選びます|びます|で|す|よって|したがって"
)
_UNSPACED_DENYING = re.compile("不正确|不对|错误|错|都|不是|而是|而非|排除|ではなく|ではない|間違い|誤り")
_DENYING = _set(
    """not wrong incorrect false and or neither nor rather than instead isnt arent cannot no both all eliminated
    excluded eliminate exclude rule leaving leaves ruled out but"""
)
_OR = re.compile(
    r"(?:\b(?:or|and|maybe|perhaps|possibly)\b|[/|]|或|または)\W{0,3}(?:(?:the|it's|it is) )?", re.IGNORECASE
)
_OFFERS = re.compile(r"\b(?:or|maybe|perhaps|possibly|alternatively|not|but)\b|n't\b", re.IGNORECASE)
_WORD = re.compile(rf"[^\W_{UNSPACED}]+(?:'[^\W_{UNSPACED}]+)*|[{UNSPACED}]+")


class _Gold(NamedTuple):
    """What counts as right: labels of one kind, each a set for options that belong together, and texts."""

    kind: str
    labels: frozenset[frozenset[str]]
    texts: tuple[str, ...]


class _Mention(NamedTuple):
    """A label in a text."""

    label: str
    start: int
    end: int


@lru_cache(maxsize=20_000)
def _read_gold(gold: tuple[str, ...]) -> _Gold | None:
    tidied = [tidy(text).strip() for text in gold if text.strip()]
    for kind, pattern in _GOLD.items():
        labels: set[frozenset[str]] = set()
        texts = []
        for text in tidied:
            several = _GOLD_SET.fullmatch(text) if kind == "letter" and not labels else None
            worded = _GOLD_WORDED.match(text)
            found = pattern.match(text)
            if several and len(set(re.findall("[A-H]", text))) > 1:
                labels.add(frozenset(re.findall("[A-H]", text)))
            elif worded and worded[{"letter": 1, "roman": 2, "number": 3}[kind]]:
                labels.add(frozenset([worded[worded.lastindex or 1].upper()]))
            elif found and not (kind == "letter" and found[1].islower() and not text[1:2].strip(" ") and found[2]):
                labels.add(frozenset([found[1].upper()]))
                texts.append(found[2])
            else:
                texts.append(text)
        if labels:
            return _Gold(kind, frozenset(labels), tuple(text for text in texts if text.strip()))
    return None


@lru_cache(maxsize=5_000)
def _options(question: str) -> dict[str, str]:
    """The options that a question lists, text by label."""
    found = re.findall(
        r"(?:^|(?<=\s))[(\[]?([A-Za-z]|\d{1,2}|[ivx]{1,5})[).:\]]\s+(\S[^\n]*?)\s*(?=\n|$|\s[(\[]?[A-J][).:]\s)",
        tidy(question),
    )
    options = {label.upper(): text for label, text in found}
    return options if len(options) > 1 else {}


def _plain(text: str) -> str:
    text = tidy(text[:LONGEST])
    if any(c in text for c in "\\$`{"):
        text = _LATEX.sub(" ", text)
    return _SPACES.sub(" ", text.replace("<br>", "\n")).strip()


def _is_label(text: str, hit: re.Match[str], kind: str) -> bool:
    """Whether a lone letter is a label and not an article, a pronoun or a variable."""
    label, start, end = hit[1], hit.start(), hit.end()
    before, after = text[max(0, start - 40) : start], text[end : end + 40]
    if before[-1:] in ("(", "[") and after[:1] in (")", "]"):
        return True
    if kind == "number":
        return not re.match(r" [a-z]{3,}(?! \d)", after) or bool(
            re.match(r" (?:is|and|maybe|perhaps|because|or|but|not)\b", after)
        )
    if kind == "letter" and _NO_LABEL.search(before):
        return False
    if label == "A":
        if _CUE.search(before) and not re.match(r" [a-z]+ (?!correct|right|best)", after):
            return True
        opens = not before.strip(" \"'(") or before.rstrip(" \"'(")[-1:] in ".!?\n"
        return bool(_AS_LETTER.match(after)) or not (opens or re.match(r" [a-z]", after))
    if label == "I":
        return bool(_CUE.search(before) and not re.match(r" [a-z]", after)) or bool(
            re.match(r"[\"')\]]*\s*(?:$|[).:,/!?])", after)
        )
    if label.isupper() or len(label) > 1:
        return True
    if not before.strip(" \"'("):
        return bool(re.match(r"[).:\]]|\s*$", after)) or (label not in "ai" and bool(_AS_LETTER.match(after)))
    if after[:1] == ")":
        return True
    if label in "ai":
        return bool(_CUE.search(before)) and not re.match(r" [a-z]", after)
    return (label in "bcdefgh" and after[:1] != ".") or bool(_CUE.search(before))


def _mentions(text: str, kind: str) -> Iterator[_Mention]:
    for hit in _LABEL[kind].finditer(text):
        if hit[1] and _is_label(text, hit, kind):
            yield _Mention(hit[1].upper(), hit.start(), hit.end())


def _without_denied(text: str, mentions: list[_Mention]) -> list[_Mention]:
    """The mentions that are not denied. What is said of a row ("A, B and C are wrong") is said of each in it."""
    if not _MAY_DENY.search(text):
        return mentions
    kept: list[_Mention] = []
    row: list[_Mention] = []
    for i, mention in enumerate(mentions):
        row.append(mention)
        following = mentions[i + 1] if i + 1 < len(mentions) else None
        if following and _JOINED.fullmatch(text, mention.end, following.start):
            continue
        first, last = row[0].start, row[-1].end
        before = text[max(0, first - 60) : first]
        before = re.split(r"[.;,!?]\s|[。，；]|(?<!thing )(?<!one )(?<!all )\bbut\b(?! not)", before)[-1]
        if not (_DENIED_AFTER.match(text, last) or _DENIED_BEFORE.search(before)):
            kept += row
        row = []
    return kept


def _chosen(text: str, kind: str, known: dict[str, str]) -> tuple[set[str], list[_Mention]]:
    """The labels that a reply settles on, and all of its labels; several labels are no choice."""
    mentions = list(_mentions(text, kind))
    if len({m.label for m in mentions}) < 2 and not _MAY_DENY.search(text):
        return {m.label for m in mentions}, mentions
    if len(mentions) > MANY:
        return {"", *(m.label for m in mentions)}, mentions
    mentions = _outside_option_text(text, mentions, known)
    left = _without_denied(text, mentions)
    for hit in _REASON.finditer(text):
        if any(m.end <= hit.start() for m in left):
            left = [m for m in left if not hit.start() <= m.start < hit.end()]
    for aside in (_CONCEDED, _TEMPTING, *_GROUNDS):
        for hit in aside.finditer(text):
            start = max(text.rfind(mark, 0, hit.start()) for mark in ".\n;") + 1 if aside is _TEMPTING else hit.start()
            if any(m.start >= hit.end() for m in left):
                left = [m for m in left if not start <= m.start < hit.end()]
    stated = [m for m in left if not _described(text, m)] or left
    return {m.label for m in stated}, mentions


def _outside_option_text(text: str, mentions: list[_Mention], known: dict[str, str]) -> list[_Mention]:
    """The mentions but for those inside an option's own text ("D. A and C")."""
    if not mentions:
        return mentions
    option = known.get(mentions[0].label, "")
    form = _TEXT_FORM.match(text, mentions[0].end) if option else None
    if form and form[1].lower().startswith(option.lower()) and not form[1][len(option) : len(option) + 1].isalnum():
        inside = range(form.start(1), form.start(1) + len(option))
        return [m for m in mentions if m.start not in inside]
    return mentions


def _described(text: str, mention: _Mention) -> bool:
    """Whether a sentence says what an option is ("C is London"), and does not approve of it."""
    said = _DESCRIBED.match(text, mention.end)
    if said is None:
        return False
    of = (said[1] or said[2] or "").strip()
    return len(of) > 1 and not _APPROVED.search(of) and not re.match(r"\W*(?:\w+\W+)?[A-Z](?!\w)", of)


def _framed(text: str, label: str, kind: str, known: dict[str, str], texts: Sequence[str], question: str) -> bool:
    """Whether a reply is this one label in a frame, others at most being denied: the strict reading."""
    mentions = _outside_option_text(text, list(_mentions(text, kind)), known)
    others = [m for m in mentions if m.label != label]
    if others and any(m.label != label for m in _without_denied(text, mentions)):
        return False
    rest: list[str] = []
    end = 0
    for mention in mentions:
        if mention.start < end:
            continue
        rest.append(text[end : mention.start])
        end = mention.end
        form = _TEXT_FORM.match(text, end) if mention.label == label and len(rest) == 1 else None
        own = known.get(label, "")
        if form and own and form[1].lower().startswith(own.lower()):
            end = form.start(1) + len(own)
        elif form and len(form[1].split()) <= 15 and not _LABEL[kind].search(form[1]) and not _OFFERS.search(form[1]):
            end = form.end()
    left = "".join([*rest, text[end:]])
    for own in texts:
        left = left.replace(own, " ")
    allowed = _FRAME | _DENYING if others else _FRAME
    asked = {w.lower() for w in _WORD.findall(tidy(question))} if question else set()
    for word in _WORD.findall(left):
        folded = word.lower().replace("'", "")
        if word == "A" and label != "A":  # an article in a frame, or another letter
            return False
        if folded in allowed or (folded in asked and len(folded) > 2):
            continue
        if folded.isascii() or _UNSPACED_FRAME.sub("", _UNSPACED_DENYING.sub("", folded) if others else folded):
            return False
    return True


@lru_cache(maxsize=5_000)
def _labels_of_texts(question: str) -> dict[tuple[str, ...], str]:
    """The labels of a question's options by their words, where these differ."""
    words = {label: tuple(normalised(text)) for label, text in _options(question).items()}
    return {said: label for label, said in words.items() if list(words.values()).count(said) == 1}


def grade_choice(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade a multiple-choice answer. A gold without a letter or number is UNGRADED.

    Args:
        question: the options that it lists are known by their texts.
        reading: strictly, one letter, its text and a frame ("The answer is …") are all that may be said; leniently,
            sentences may give reasons and say what is wrong with other options.

    Example:
        >>> [grade_choice(a, ["B", "Paris"]).value for a in ("(b)", "The answer is B.", "Paris", "A dog", "B or C")]
        ['CORRECT', 'CORRECT', 'CORRECT', 'INCORRECT', 'INCORRECT']
        >>> [grade_choice("B) Paris, not C", ["B"], reading=r).value for r in ("lenient", "strict")]
        ['CORRECT', 'INCORRECT']
    """
    wanted = _read_gold(tuple(gold))
    if wanted is None:
        return Verdict.UNGRADED
    quick = _QUICK.fullmatch(answer) if len(answer) < 80 and wanted.kind == "letter" else None
    if quick and quick[2] and (_LABEL["letter"].search(quick[2]) or _TURNS.search(quick[2])):
        quick = None
    if quick:
        return Verdict.CORRECT if frozenset([quick[1].upper()]) in wanted.labels else Verdict.INCORRECT
    known = dict(_options(question)) if question else {}
    if len(wanted.labels) == 1 and wanted.texts:
        known |= {label: wanted.texts[0] for labels in wanted.labels for label in labels if len(labels) == 1}
    text = _plain(answer)
    if question and (label := _labels_of_texts(question).get(tuple(normalised(text)))):
        return Verdict.CORRECT if frozenset([label]) in wanted.labels else Verdict.INCORRECT
    stated = last_choice(text, lambda rest: any(True for _ in _mentions(rest[:200], wanted.kind)))
    said, _ = _chosen(_first(stated, wanted.kind), wanted.kind, known)
    if said:
        right = frozenset(said) in wanted.labels
        if right and len(said) == 1:
            (label,) = said
            own = [*wanted.texts, *([known[label]] if label in known else [])]
            framed = reading == "lenient" or _framed(text, label, wanted.kind, known, own, question)
            right = framed and not _offers_text(text, label, known)
        return Verdict.CORRECT if right else Verdict.INCORRECT
    if not wanted.texts or any(True for _ in _mentions(text, wanted.kind)):
        return Verdict.INCORRECT
    return grade_match(answer[:LONGEST], wanted.texts, "", reading)


def _offers_text(text: str, label: str, known: dict[str, str]) -> bool:
    """Whether another option is offered by its text: "C or Bergen", "Bergen or C"."""
    others = tuple(other.lower() for name, other in known.items() if name != label and len(other) > 1)
    for hit in list(_OR.finditer(text))[:MANY] if others else ():
        if text[: hit.start()].rstrip().lower().endswith(others):
            return True
        rest = text[hit.end() :].lower()
        if any(rest.startswith(other) and not rest[len(other) : len(other) + 1].isalnum() for other in others):
            return True
    return False


def _first(text: str, kind: str) -> str:
    """The sentences from the first that states a label, without later ones that only explain."""
    sentences = [s for s in _STOP.split(text) if s]
    kept: list[str] = []
    for sentence in sentences:
        mentions = list(_mentions(sentence, kind))
        if not mentions:
            if kept and _LABEL[kind].search(sentence) is None:
                continue
        elif kept and all(_described(sentence, m) for m in _without_denied(sentence, mentions)):
            continue
        kept.append(sentence)
    return "\n".join(kept)
