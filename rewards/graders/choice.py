"""The `choice` grader: the letter of a multiple-choice answer.

The gold is the letter, with or without the text of the option: ["B"], ["B", "Paris"] or ["B) Paris"]. A letter is read
where it is set off ("B", "(b)", "B.", "B) Paris", "option B", "the answer is B", "B is correct"); the article in "A
dog" and the pronoun "I" are no letters. Two different letters are INCORRECT. Where letter and text disagree the letter
counts; without a letter the text of the option must be given.
"""

import re
from collections.abc import Sequence

from abstain.rewards.graders.match import grade_match, plain
from abstain.rewards.graders.statement import denied, last_choice
from abstain.rewards.graders.text import tidy
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_GOLD = re.compile(r"\s*[(\[]?([A-Z])(?:[)\].:]|\s*$)[)\].:]*\s*(.*)", re.DOTALL)
_GOLD_WORDED = re.compile(r"\s*(?:option|choice|answer)\s+\(?([A-Z])\)?\s*$", re.IGNORECASE)
_ALONE = re.compile(r"[\s\"'(\[]*([A-Za-z])[\s\"')\].:,!]*$")
_STATED = re.compile(
    r"[(\[](?P<bracket>[A-Za-z])[)\]]"
    r"|^(?P<start>[A-Za-z])(?:[).:]|\.? -)(?=\s|$)"
    r"|(?<!\w)(?P<open>[A-Z])\)"
    r"|\b(?:option|choice|letter|answer)s? (?:is |would be |must be )?:? ?\"?(?P<named>[A-Za-z])\b(?![\w'])"
    r"(?! [a-z]+ (?!correct|right|best|because|since|as|or|and|i))"
    r"|(?<![\w'])(?P<plain>[B-HJ-Z])(?![\w'.-]\w|[\w'])"
    r"|(?<![\w'.])(?P<judged>[A-Z])(?= (?:is|seems|looks|must be|would be) (?:the |most |probably )?"
    r"(?:correct|right|true|best|answer)|[.,;!]? *$)"
    r"|(?<![\w'.])(?P<listed>[A-Z])(?=(?:,| ?/|,? (?:or|and)) ?[(\[]?[A-Z](?!\w))"
    r"|(?<=[A-Z] or )(?P<second>[A-Z])(?!\w)|(?<=[A-Z] and )(?P<third>[A-Z])(?!\w)"
)


def _letters(text: str) -> set[str]:
    """The option letters that a tidied text states and does not deny, in capitals."""
    alone = _ALONE.match(text)
    if alone:
        return {alone[1].upper()}
    found = set()
    for hit in _STATED.finditer(text[:20_000]):
        if not denied(text, hit.start(), hit.end()):
            found.add(next(g for g in hit.groups() if g).upper())
    return found


def _read_gold(gold: Sequence[str]) -> tuple[set[str], list[str]]:
    letters, texts = set(), []
    for text in map(tidy, gold):
        found = _GOLD.match(text) or _GOLD_WORDED.match(text)
        if found:
            letters.add(found[1].upper())
            text = found[2] if found.re is _GOLD else ""
        if text.strip():
            texts.append(text)
    return letters, texts


def grade_choice(
    answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
) -> Verdict:
    """Grade a multiple-choice answer. A gold without a letter is UNGRADED.

    Example:
        >>> [grade_choice(a, ["B", "Paris"]).value for a in ("(b)", "The answer is B.", "Paris", "A dog", "B or C")]
        ['CORRECT', 'CORRECT', 'CORRECT', 'INCORRECT', 'INCORRECT']
    """
    letters, texts = _read_gold(gold)
    if not letters:
        return Verdict.UNGRADED
    text = plain(answer)
    said = _letters(last_choice(text, lambda rest: bool(_letters(rest[:200])))) or _letters(text)
    if said:
        return Verdict.CORRECT if len(said) == 1 and said <= letters else Verdict.INCORRECT
    return grade_match(answer, texts, question, reading) if texts else Verdict.INCORRECT
