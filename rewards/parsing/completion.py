r"""Completion -> `Response`. Reads any string in linear time and never raises on one.

The reply is what the assistant says in its first turn, without control tokens (`controls`), reasoning (`reasoning`), a
next question that the model wrote itself (`labels`) and its stated confidence (`confidence`). Where in it the answer
stands is the `answer_format`:

- plain: all of the reply is the answer, apart from a lead-in ("The answer is") and remarks after it ("Source: …");
- tag: the last `<answer>`; boxed: the last `\boxed{}`; last_line: the last line; json: "answer" of an object; harmony:
  the `final` channel. A policy that was taught one of them is read by it and nothing else: an answer elsewhere is
  malformed. "I don't know" needs no format: a reply that says only that is an abstention in all of them.
- auto: whatever the reply uses. A tag stands before a box in it, a later label ("Answer: C") before an earlier box. A
  tag, a box beside it and a JSON "answer" that name two things are malformed, and so INCORRECT: one text, one answer.

In what is stated, the rule of `abstain.rewards.parsing.abstention` tells an offered answer from "I don't know".
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from abstain.rewards.parsing.abstention import read
from abstain.rewards.parsing.confidence import number_stated, read_confidence
from abstain.rewards.parsing.controls import without_controls
from abstain.rewards.parsing.formats import Stated, boxed, disagree, in_json, last_line, tagged
from abstain.rewards.parsing.labels import first_reply, labelled, two_labelled, without_frame, without_remarks
from abstain.rewards.parsing.markup import tidy, unwrap_quotes, without_stop
from abstain.rewards.parsing.reasoning import final_channel, without_notes, without_reasoning
from abstain.rewards.response import AnswerFormat, Response, check_answer_format

_MISSING = {
    "tag": "no <answer>",
    "boxed": "no \\boxed{}",
    "json": 'no JSON with an "answer"',
    "harmony": "no final channel",
}
# One scan tells that a short text has nothing to be taken off; most replies of a trained policy are such.
_MARKED = re.compile(
    r"[\n\r\t<>\[\]{}\\*_`~$#|:：=→⇒➜➤▶►∴•‣◦✅✔☑👉◁‹%％\"“”「‘答解确確信把自率概肯割成申歉ĠĊ▁\ufffd\u200b\u200d\ufeff\x00\u263a\u2728\u2764\u2b50\U0001f1e6-\U0001faff]|\A\W|'\Z"
)
_CUES = frozenset(
    (
        *(
            "answer",
            "ans",
            "confidence",
            "confident",
            "certain",
            "certainty",
            "sure",
            "positive",
            "probability",
            "conf",
        ),
        *(
            "likelihood",
            "chance",
            "prob",
            "credence",
            "sureness",
            "hope",
            "apologies",
            "apologize",
            "apologise",
            "sorry",
        ),
        *("know", "feel", "final", "source", "note", "reason"),
    )
)
_GLUED = re.compile(r"analysis|commentary|assistantfinal|final[A-Z0-9]")
_WORD = re.compile(r"[a-z]+")
_PLAIN = 200  # characters
_COPULA_END = ("す", "ね", "よ", "!", "！")
_APOLOGY = re.compile(
    r"\A(?:(?:i(?: sincerely| deeply)? apologi[sz]e|(?:my )?apologies|(?:i['’]?m |i am )?(?:so |very )?sorry)"
    r"(?: again)? for (?:the|my|any|that|this)[^.!\n]{0,60}[.!]"
    r"|(?:申し訳|すみません|失礼)[^。！\n]{0,20}(?:ました|ません)[。！]"
    r"|(?:抱歉|对不起|對不起)[，,]?[^。！，\n]{0,15}[了误錯错誤][。！])"
    r"\s{0,5}(?=\S)",
    re.IGNORECASE,
)

_WHISPER = re.compile(
    r"\b(?:guess|probably|perhaps|maybe|might|may|could be|likely|answer|possibly|think|believe)\b"
    r"|たぶん|多分|恐らく|おそらく|かもしれ|だろう|答|可能|也许|也許|大概|猜|或许|或許",
    re.IGNORECASE,
)


def parse(
    completion: str | Sequence[Any],
    *,
    confidence_scale: float | None = None,
    truncated: bool = False,
    answer_format: AnswerFormat = "auto",
    control_tokens: Collection[str] = (),
) -> Response:
    """Read what a completion says: its answer, whether it abstains, its stated confidence.

    Args:
        completion: text, or chat messages, of which the last assistant turn counts.
        confidence_scale: what full confidence is called where that is not plain from the number: 1, 10 or 100.
        truncated: the sampler cut the completion off. An unclosed tag or `\\boxed{` says so by itself.
        answer_format: where the answer stands: what the policy was taught, or "auto" for whatever it uses.
        control_tokens: the tokenizer's special tokens, where it has some that don't look like any other's.

    Raises `ValueError` if `confidence_scale` is not a positive number or no answer format has this name; never because
    of the completion.

    Example:
        >>> parse("<think>Peru ... Lima</think><answer>Lima</answer> Confidence: 85%")
        Response(answer='Lima', abstained=False, confidence=0.85, truncated=False, hedged=False, malformed='')
        >>> parse(r"So the answer is \\boxed{\\text{IDK}}.").abstained
        True
        >>> parse("I don't know, but perhaps Paris").answer
        'Paris'
        >>> parse("<think>Hmm").malformed, parse(r"<answer>41</answer> or \\boxed{42}").malformed
        ('unclosed <think>', "two answers: '41' and '42'")
        >>> parse("Lima", answer_format="boxed").malformed, parse("I don't know", answer_format="boxed").abstained
        ('no \\\\boxed{}', True)
    """
    if answer_format != "auto":
        check_answer_format(answer_format)
    text = turn_text(completion, "assistant")
    if answer_format in ("auto", "plain", "last_line") and not control_tokens and _has_no_markup(text):
        read_confidence("", confidence_scale)
        return _read(_undressed(text), None, truncated)
    text, channel = _reply(text, control_tokens)
    text, open_think = without_reasoning(text)
    if open_think:
        read_confidence("", confidence_scale)
        return Response("", truncated=True, malformed="unclosed <think>")
    text = first_reply((without_notes(text) if "</" in text else text).strip())
    if answer_format in ("auto", "json") and (found := in_json(text)):
        rest, confidence = read_confidence(found.rest, confidence_scale)
        if found.confidence is not None:
            confidence = number_stated(found.confidence, confidence_scale)
        stated: Stated | str = found
        if answer_format == "auto" and (other := tagged(rest) or boxed(rest)) and other.text.strip():
            stated = _two(found, other) if disagree(found, other) else found
    else:
        text, confidence = read_confidence(text, confidence_scale)
        stated = _stated(text, answer_format, channel)
    if isinstance(stated, str):
        if stated in _MISSING.values() and not truncated and read(tidy(_spoken(text))).abstained:
            return Response("", abstained=True, confidence=confidence)
        cut = truncated or (stated == _MISSING["harmony"] and channel == "")
        return Response("", confidence=confidence, truncated=cut, malformed=stated)
    return _read(tidy(stated.text), confidence, truncated or stated.cut)


def _reply(text: str, control_tokens: Collection[str]) -> tuple[str, str | None]:
    """The assistant's first turn that says something, and its `final` channel if it uses channels."""
    channel = final_channel(text)
    reply = without_controls(text if channel is None else channel, control_tokens, _says_something)
    return reply, channel


def _says_something(turn: str) -> bool:
    text, open_think = without_reasoning(turn)
    return open_think or bool(text.strip())


def _stated(text: str, answer_format: AnswerFormat, channel: str | None) -> Stated | str:
    """The answer in its format, or why there is none."""
    if answer_format == "harmony" or (answer_format == "auto" and channel is not None):
        if not (channel or "").strip():
            return _MISSING["harmony"]
        return _auto(text)
    if answer_format == "auto":
        return _auto(text)
    if answer_format == "plain":
        return _labelled_twice(text) or Stated(_spoken(text))
    if answer_format == "last_line":
        return Stated(_spoken(last_line(text)))
    found = {"tag": tagged, "boxed": boxed, "json": in_json}[answer_format](text)
    return _MISSING[answer_format] if found is None else _rivalled(found) or found


def _auto(text: str) -> Stated | str:
    tag = tagged(text)
    if tag:
        if two := _rivalled(tag):
            return two
        beside = boxed(tag.rest)
        inner = boxed(tag.text) or Stated(_spoken(tag.text))
        stated = Stated(inner.text, tag.cut or inner.cut)
        return _two(stated, beside) if beside and beside.text.strip() and disagree(stated, beside) else stated
    box = boxed(text)
    if box is None:
        return _labelled_twice(text) or Stated(_spoken(text))
    after = text[text.rindex("box{") if "box{" in text else 0 :]
    label = labelled(after.partition("\n")[2]) if "\n" in after else None
    return Stated(label) if label is not None and label.strip() else _rivalled(box) or box


def _rivalled(stated: Stated) -> str:
    """Why an answer right beside another one in the same format is none."""
    others = (Stated(other) for other in stated.rivals)
    return next((_two(other, stated) for other in others if disagree(other, stated)), "")


def _labelled_twice(text: str) -> str:
    two = two_labelled(text)
    return _two(Stated(two[0]), Stated(two[1])) if two and disagree(Stated(two[0]), Stated(two[1])) else ""


def _two(one: Stated, other: Stated) -> str:
    return f"two answers: {tidy(one.text)[:40]!r} and {tidy(other.text)[:40]!r}"


def _spoken(text: str) -> str:
    """What is said in words: behind a label, before remarks."""
    text = text.strip()
    text = _APOLOGY.sub("", text)
    said = labelled(text)
    text = (text if said is None else said).strip()
    head = without_remarks(text)
    cut = len(head) < len(text)
    if not head.strip(" \t\n*_#>") or (cut and read(tidy(head)).abstained and _WHISPER.search(text, len(head))):
        return text  # "I don't know.\nNote: it may be Oslo" offers something
    return without_frame(head.strip())


def _has_no_markup(text: str) -> bool:
    """Whether a text is short, and plainly has neither markup nor a cue of confidence, labels or remarks."""
    if len(text) > _PLAIN or _MARKED.search(text):
        return False
    return _CUES.isdisjoint(_WORD.findall(text.lower())) and not _GLUED.match(text)


def _undressed(text: str) -> str:
    text = without_frame(text.strip())
    if text.endswith(_COPULA_END) or text.endswith("。"):
        return tidy(text)
    return without_stop(text) if text.endswith(".") else unwrap_quotes(text) if text.startswith("'") else text


def _read(answer: str, confidence: float | None, truncated: bool) -> Response:
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
