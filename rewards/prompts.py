"""The instruction that states a confidence target, and how it joins a question.

    What is the capital of Peru?
    Answer only if you are > 0.75 confident, since mistakes are penalized 3 points, while correct answers receive 1
    point, and an answer of "I don't know" receives 0 points.

A prompt may also ask for a confidence instead, which `abstain.rewards.ProperScore` pays for.

The wording is that of Kalai et al. 2025, section 4.2. The paper prints "penalty 2" for t = 0.75; its own formula
t / (1 - t) gives 3, and the formula is what is used here.
"""

import json
import re
from typing import Literal

from abstain.rewards.response import AnswerFormat

Instruct = Literal["target", "nothing", "confidence"]
"""What a prompt says besides its question: the confidence target, nothing, or that a confidence is to be stated."""

TARGETS = (0.0, 0.5, 0.75, 0.9)
"""The confidence targets that are stated where nobody asks for others: guess, and penalties of 1, 3 and 9 points."""
IDK = "I don't know"
DEFAULT_TEMPLATE = "{question}\n{instruction}"
GUESS_INSTRUCTION = "Make your best guess even if you are unsure, as if you were taking an exam."
CONFIDENCE_INSTRUCTION = (
    'Answer, and state how confident you are that the answer is right, from 0 to 1, as in "Confidence: 0.8".'
)
_TARGET_INSTRUCTION = (
    "Answer only if you are > {target} confident, since mistakes are penalized {penalty} {points}, while correct "
    'answers receive 1 point, and an answer of "I don\'t know" receives 0 points.'
)


def check_target(target: float) -> float:
    """Return `target` as a float if 0 <= target < 1, else raise `ValueError`.

    Example:
        >>> check_target(0.75)
        0.75
        >>> check_target(75)
        Traceback (most recent call last):
        ...
        ValueError: confidence target 75 is outside [0, 1); did you mean 0.75?
    """
    try:
        value = float(target)
    except (TypeError, ValueError):
        raise ValueError(f"confidence target {target!r} is not a number; it must be in [0, 1)") from None
    if 0 <= value < 1:
        return value
    hint = f"; did you mean {value / 100:g}?" if 1 < value < 100 else ""
    raise ValueError(f"confidence target {target} is outside [0, 1){hint}")


def penalty(target: float) -> float:
    """Points lost for a mistake at confidence target t: t / (1 - t) (Kalai et al. 2025, section 4.2).

    Example:
        >>> [round(penalty(t), 6) for t in (0, 0.5, 0.75, 0.9)]
        [0.0, 1.0, 3.0, 9.0]
    """
    t = check_target(target)
    return t / (1 - t)


def instruction(target: float) -> str:
    """The sentence that states the target: the paper's, with numbers filled in.

    Example:
        >>> print(instruction(0.5)[:96])
        Answer only if you are > 0.5 confident, since mistakes are penalized 1 point, while correct answ
        >>> print(instruction(0))
        Make your best guess even if you are unsure, as if you were taking an exam.
    """
    t = check_target(target)
    if t == 0:
        return GUESS_INSTRUCTION
    points = f"{penalty(t):.4g}"
    return _TARGET_INSTRUCTION.format(target=f"{t:.4g}", penalty=points, points="point" if points == "1" else "points")


_STATED = re.escape(_TARGET_INSTRUCTION).replace(r"\{points\}", "points?")
_INSTRUCTIONS = re.compile(
    f"{re.escape(GUESS_INSTRUCTION)}|{re.escape(CONFIDENCE_INSTRUCTION)}|"
    + re.sub(r"\\{(?:target|penalty)\\}", "[0-9.e+-]{1,20}", _STATED)
)
_ASKED = re.compile(r"(?:\A|(?<=\n))[ \t*#]{0,6}(?:question|q|問題|質問|问题|問)[ \t*]{0,3}[:：]\s*", re.IGNORECASE)
_TO_ANSWER = re.compile(r"(?:\A|\n)[ \t*#]{0,6}(?:answer|a|答え|回答|答案|答)[ \t*]{0,3}[:：]\s*\Z", re.IGNORECASE)


def question_of(prompt: str) -> str:
    """What a prompt asks, without the instructions of this module: the last question, where examples stand before it.

    Example:
        >>> question_of(prompt_text("Capital of Peru?", 0.75))
        'Capital of Peru?'
        >>> question_of("Question: Capital of Chile?\\nAnswer: Santiago\\n\\nQuestion: Capital of Peru?\\nAnswer:")
        'Capital of Peru?'
    """
    text = _TO_ANSWER.sub("", _INSTRUCTIONS.sub("", prompt).rstrip())
    labels = list(_ASKED.finditer(text))
    return text[labels[-1].end() if labels else 0 :].strip()


_ASKS_FOR: dict[AnswerFormat, re.Pattern[str]] = {
    "tag": re.compile(r"</?answer\s?>", re.IGNORECASE),
    "boxed": re.compile(r"\\boxed\b|\bboxed\s?\{"),
    "json": re.compile(r"\bjson\b|[\"']answer[\"']\s?:", re.IGNORECASE),
    "harmony": re.compile(r"<\|channel\|>"),
    "last_line": re.compile(r"\b(?:last|final|own) line\b|最後の行|最終行|最后一行|最後一行", re.IGNORECASE),
}


def asked_format(prompt: str) -> AnswerFormat | None:
    """The answer format that a prompt's wording asks for, `None` if it asks for none.

    Example:
        >>> asked_format("{question} Put your final answer in <answer></answer>."), asked_format("{question}")
        ('tag', None)
    """
    return next((name for name, wording in _ASKS_FOR.items() if wording.search(prompt)), None)


def in_format(answer: str, answer_format: AnswerFormat, confidence: float | None = None) -> str:
    """An answer as a model is to write it, with the confidence that it states, if any.

    In Harmony the chat template writes what stands around an answer.

    Example:
        >>> in_format("Lima", "boxed"), in_format("Lima", "plain", 0.8)
        ('\\\\boxed{Lima}', 'Lima. Confidence: 0.8')
        >>> in_format("Lima", "json", 0.8)
        '{"answer": "Lima", "confidence": 0.8}'
    """
    if answer_format == "json":
        stated = {} if confidence is None else {"confidence": confidence}
        return json.dumps({"answer": answer} | stated, ensure_ascii=False)
    written = {"tag": f"<answer>{answer}</answer>", "boxed": f"\\boxed{{{answer}}}"}.get(answer_format, answer)
    if confidence is None:
        return written
    return with_confidence(answer, confidence) if written == answer else f"{written} Confidence: {confidence:g}"


def with_confidence(answer: str, confidence: float) -> str:
    """An answer with a stated confidence, in the form that the instruction gives.

    Example:
        >>> with_confidence("Lima", 0.8)
        'Lima. Confidence: 0.8'
    """
    return f"{answer}. Confidence: {confidence:g}"


def prompt_text(
    question: str, target: float | None, template: str = DEFAULT_TEMPLATE, instruct: Instruct = "target"
) -> str:
    """The prompt for one question at one target; `target=None` states no target at all.

    Only the two fields are filled: braces inside a question are left alone.

    Args:
        question: as it stands.
        target: confidence target in [0, 1), or `None`. Read where `instruct` is "target".
        template: with `{question}` and `{instruction}`.
        instruct: what to say besides the question.

    Example:
        >>> print(prompt_text("What is {x}?", 0))
        What is {x}?
        Make your best guess even if you are unsure, as if you were taking an exam.
        >>> prompt_text("Who?", None), prompt_text("Who?", 0.5, instruct="nothing")
        ('Who?', 'Who?')
        >>> prompt_text("Who?", None, instruct="confidence")[:40]
        'Who?\\nAnswer, and state how confident you'
    """
    stated = _stated(target, instruct)
    before, _, after = template.partition("{question}")
    text = before.replace("{instruction}", stated) + question + after.replace("{instruction}", stated)
    return text if stated else text.strip()


def _stated(target: float | None, instruct: Instruct) -> str:
    if instruct == "confidence":
        return CONFIDENCE_INSTRUCTION
    return "" if target is None or instruct == "nothing" else instruction(target)
