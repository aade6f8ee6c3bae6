"""The instruction that states a confidence target, and how it joins a question.

    What is the capital of Peru?
    Answer only if you are > 0.75 confident, since mistakes are penalized 3 points, while correct answers receive 1
    point, and an answer of "I don't know" receives 0 points.

The wording is that of Kalai et al. 2025, section 4.2. The paper prints "penalty 2" for t = 0.75; its own formula
t / (1 - t) gives 3, and the formula is what is used here.
"""

IDK = "I don't know"
DEFAULT_TEMPLATE = "{question}\n{instruction}"
GUESS_INSTRUCTION = "Make your best guess even if you are unsure, as if you were taking an exam."
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


def prompt_text(question: str, target: float | None, template: str = DEFAULT_TEMPLATE) -> str:
    """The prompt for one question at one target; `target=None` states no target at all.

    Only the two fields are filled: braces inside a question are left alone.

    Example:
        >>> print(prompt_text("What is {x}?", 0))
        What is {x}?
        Make your best guess even if you are unsure, as if you were taking an exam.
        >>> prompt_text("Who?", None)
        'Who?'
    """
    stated = "" if target is None else instruction(target)
    before, _, after = template.partition("{question}")
    text = before.replace("{instruction}", stated) + question + after.replace("{instruction}", stated)
    return text.strip() if target is None else text
