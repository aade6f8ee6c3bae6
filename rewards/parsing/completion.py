"""Completion -> `Response`. Reads any string in linear time and never raises on one.

Reasoning is not the reply. What is stated where prompts ask for it stands for the whole: the last `<answer>`, in it
the last `\boxed{}`, or else what follows the last "Answer:", 答え： or 答案：; whatever comes before is reasoning. In
what is left, the rule of `abstain.rewards.parsing.abstention` tells an offered answer from "I don't know".
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from abstain.rewards.parsing.abstention import read, unwrap_quotes, without_stop
from abstain.rewards.parsing.confidence import read_confidence
from abstain.rewards.response import AnswerFormat, Response, check_answer_format

_THINK = re.compile(r"<(/?)(?:think|thinking|thought|reasoning|analysis)\s*>", re.IGNORECASE)
_ANSWER = re.compile(r"<(/?)(?:answer|final_answer)\s*>", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s{0,3}\{")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|operatorname)\s{0,3}\{")
_LABEL = re.compile(
    r"(?:\A|(?<=\n))[ \t>*_#-]{0,12}"
    r"(?:(?:(?:so|thus|therefore|hence),? )?(?:(?:the|my) )?(?:(?:final|correct|short|best) )?(?:answer|ans)(?: is)?"
    r"|(?:私の|最終的な|最终|最終|正确|正確|我的)?(?:答え|回答|解答|答案|正解|答)(?:は|是|为|為)?)"
    r"[ \t*_]{0,6}[:：]",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?:\A|(?<=[.!?。！？\n]) {0,2})(?:(?:so|thus|therefore|hence),? )?"
    r"(?:the|my) (?:final |correct )?answer (?:is|would be):? "
    r"|(?<=[.!?] )(?:final )?answer: "
    r"|\A(?:私の|正しい)?(?:答え|回答|解答|正解)は、?|\A(?:我的|正确|正確)?(?:答案|回答)(?:是|为|為)",
    re.IGNORECASE,
)
_SHORT_LABEL = re.compile(r"\A[ \t*]{0,4}A[*]{0,2}[:：]")
_REMARK = re.compile(
    r"\n[ \t*_#]{0,6}(?:explanation|reasoning|justification|rationale|解説|理由|説明|解释|解釋|说明|說明)[*_ ]{0,4}"
    r"[:：]",
    re.IGNORECASE,
)
_COPULA = re.compile(r"(?<=.)(?:です|でございます|になります|となります)(?:ね|よ)?[。.!！]*\Z")


def parse(
    completion: str | Sequence[Any],
    *,
    confidence_scale: float | None = None,
    truncated: bool = False,
    answer_format: AnswerFormat = "auto",
) -> Response:
    """Read what a completion says: its answer, whether it abstains, its stated confidence.

    Args:
        completion: text, or chat messages, of which the last assistant turn counts.
        confidence_scale: what full confidence is called where that is not plain from the number: 1, 10 or 100.
        truncated: the sampler cut the completion off. An unclosed tag or `\\boxed{` says so by itself.

    Raises `ValueError` if `confidence_scale` is not a positive number; never because of the completion.

    Example:
        >>> parse("<think>Peru ... Lima</think><answer>Lima</answer> Confidence: 85%")
        Response(answer='Lima', abstained=False, confidence=0.85, truncated=False, hedged=False, malformed='')
        >>> parse(r"So the answer is \\boxed{\\text{IDK}}.").abstained
        True
        >>> parse("I don't know, but perhaps Paris").answer
        'Paris'
        >>> parse("<think>Hmm").malformed
        'unclosed <think>'
    """
    check_answer_format(answer_format)
    text, open_think = _without_reasoning(turn_text(completion, "assistant"))
    text, confidence = read_confidence(text, confidence_scale)
    if open_think:
        return Response("", truncated=True, malformed="unclosed <think>")
    answer, cut = _stated(text)
    truncated = truncated or cut
    if not answer:
        return Response("", confidence=confidence, truncated=truncated, malformed="empty")
    reading = read(answer)
    return Response(
        answer if truncated and reading.abstained else reading.answer,
        abstained=reading.abstained and not truncated,
        confidence=confidence,
        truncated=truncated,
        hedged=reading.hedged,
    )


def turn_text(messages: str | Sequence[Any], role: str) -> str:
    """The text of a conversation's last turn in this role, of whatever shape; a plain text is itself.

    Example:
        >>> turn_text([{"role": "user", "content": [{"type": "image", "text": None}, "Who?"]}], "user")
        'Who?'
    """
    if isinstance(messages, str):
        return messages
    turns = [m for m in messages if isinstance(m, Mapping)] if isinstance(messages, Sequence) else []
    replies = [m for m in turns if m.get("role") == role]
    content = replies[-1].get("content") if replies else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else []
    return "".join(_part(part) for part in parts)


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else part
    return text if isinstance(text, str) else ""


def _without_reasoning(text: str) -> tuple[str, bool]:
    """The text outside <think>…</think>, and whether the last one is left open.

    A closing tag without an opening one ends reasoning that the prompt template began.
    """
    kept: list[str] = []
    done, inside = 0, False
    for tag in _THINK.finditer(text):
        if tag[1]:
            kept = kept if inside else []
            inside, done = False, tag.end()
        elif not inside:
            kept.append(text[done : tag.start()])
            inside = True
    return "".join([*kept, "" if inside else text[done:]]), inside


def _stated(text: str) -> tuple[str, bool]:
    """The stated answer, and whether it was cut off."""
    text, cut = _tagged(text)
    boxes = list(_BOXED.finditer(text))
    if boxes:
        inner, closed = _braced(text, boxes[-1].end())
        return _tidy(inner), cut or not closed
    return _tidy(_labelled(text.strip())), cut


def _tagged(text: str) -> tuple[str, bool]:
    tags = list(_ANSWER.finditer(text))
    opened = [i for i, tag in enumerate(tags) if not tag[1]]
    if opened:
        i = opened[-1]
        closed = i + 1 < len(tags)
        return text[tags[i].end() : tags[i + 1].start() if closed else None], not closed
    return (text[: tags[0].start()] if tags else text), False


def _braced(text: str, at: int) -> tuple[str, bool]:
    """The text from `at` to the brace that closes it, and whether there is one."""
    depth = 1
    for brace in re.finditer(r"\\.|[{}]", text[at:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth:
            return text[at : at + brace.start()], True
    return text[at:], False


def _labelled(text: str) -> str:
    """What follows the last label or, without one, the last "The answer is"; without its explanation."""
    end = len(text.rstrip(" \t\n.*_"))
    if _LABEL.fullmatch(text[:end]):
        return ""
    for pattern in (_LABEL, _SENTENCE, _SHORT_LABEL):
        places = [m.end() for m in pattern.finditer(text) if m.end() < end]
        if places:
            text = text[places[-1] :].strip()
            break
    head = _REMARK.split(text, maxsplit=1)[0]
    return head if head.strip() and read(head).answer else text


def _tidy(text: str) -> str:
    """The answer without markup around it, or a full stop at its end."""
    for _ in range(4):
        before = text
        text = text.strip().strip("*").strip()
        wrapper = _WRAPPER.match(text)
        if wrapper and text.endswith("}") and _braced(text, wrapper.end())[0] == text[wrapper.end() : -1]:
            text = text[wrapper.end() : -1]
        if len(text) > 2 and text[0] == text[-1] and text[0] in "$`_" and text[0] not in text[1:-1]:
            text = text[1:-1]
        text = unwrap_quotes(text)
        if text == before:
            break
    return without_stop(_COPULA.sub("", text))


# Completions read once: models say the same short things again and again, and a Response cannot change.


_SHORT = 2_000  # characters; longer ones are seldom the same, and would fill the memory


def read_response(text: str, truncated: bool = False, answer_format: AnswerFormat = "auto") -> Response:
    """`abstain.rewards.parsing.completion.parse`, which remembers short texts.

    Example:
        >>> read_response("Lima.") is read_response("Lima."), read_response("I don't know").abstained
        (True, True)
    """
    if len(text) > _SHORT:
        return parse(text, truncated=truncated, answer_format=answer_format)
    return _remembered(text, truncated, answer_format)


@lru_cache(maxsize=100_000)
def _remembered(text: str, truncated: bool, answer_format: AnswerFormat) -> Response:
    return parse(text, truncated=truncated, answer_format=answer_format)
