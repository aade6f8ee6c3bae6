"""The instruction that states a confidence target, and how it joins a question.

    What is the capital of Peru?
    Answer only if you are > 0.75 confident, since mistakes are penalized 3 points, while correct answers receive 1
    point, and an answer of "I don't know" receives 0 points.

A prompt may also ask for a confidence instead, which `abstain.rewards.ProperScore` pays for; or state the target for
each statement of a long answer, which `abstain.rewards.ClaimTarget` pays for.

The wording is that of Kalai et al. 2025, section 4.2. The paper prints "penalty 2" for t = 0.75; its own formula
t / (1 - t) gives 3, and the formula is what is used here.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal

from abstain.rewards.response import AnswerFormat

Instruct = Literal["target", "nothing", "confidence", "claims"]
"""What a prompt says besides its question: the confidence target, nothing, that a confidence is to be stated, or the
target for each statement of a long answer."""

STATES_TARGET: tuple[Instruct, ...] = ("target", "claims")
"""Those with which a prompt states a confidence target."""
TARGETS = (0.0, 0.5, 0.75, 0.9)
"""The confidence targets that are stated where nobody asks for others: guess, and penalties of 1, 3 and 9 points."""
IDK = "I don't know"
DEFAULT_TEMPLATE = "{question}\n{instruction}"
DOCUMENTS = "{documents}"
"""Where a template has documents; before all else where it does not say."""
GUESS_INSTRUCTION = "Make your best guess even if you are unsure, as if you were taking an exam."
CONFIDENCE_INSTRUCTION = (
    'Answer, and state how confident you are that the answer is right, from 0 to 1, as in "Confidence: 0.8".'
)
TARGET_INSTRUCTION = (
    "Answer only if you are > {target} confident, since mistakes are penalized {penalty} {points}, while correct "
    'answers receive 1 point, and an answer of "I don\'t know" receives 0 points.'
)
CLAIMS_GUESS_INSTRUCTION = "State everything you can, even if you are unsure, as if you were taking an exam."
CLAIMS_INSTRUCTION = (
    "Include a statement only if you are > {target} confident in it, since each false statement is penalized "
    "{penalty} {points}, while each true statement receives 1 point, and whatever you leave out receives 0 points."
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
    return _with_numbers(target, GUESS_INSTRUCTION, TARGET_INSTRUCTION)


def claims_instruction(target: float) -> str:
    """The sentence that states the target for each statement of a long answer: the same rule, claim by claim.

    Example:
        >>> print(claims_instruction(0.75)[:107])
        Include a statement only if you are > 0.75 confident in it, since each false statement is penalized 3 point
        >>> print(claims_instruction(0))
        State everything you can, even if you are unsure, as if you were taking an exam.
    """
    return _with_numbers(target, CLAIMS_GUESS_INSTRUCTION, CLAIMS_INSTRUCTION)


def _with_numbers(target: float, guess: str, rule: str) -> str:
    t = check_target(target)
    if t == 0:
        return guess
    points = f"{penalty(t):.4g}"
    return rule.format(target=f"{t:.4g}", penalty=points, points="point" if points == "1" else "points")


_INSTRUCTIONS = re.compile(
    "|".join(
        re.sub(r"\\{(?:target|penalty)\\}", "[0-9.e+-]{1,20}", re.escape(text).replace(r"\{points\}", "points?"))
        for text in (
            GUESS_INSTRUCTION,
            CONFIDENCE_INSTRUCTION,
            CLAIMS_GUESS_INSTRUCTION,
            TARGET_INSTRUCTION,
            CLAIMS_INSTRUCTION,
        )
    )
)
_QUOTED = re.compile(r"(?:^>[^\n]*\n)+\n", re.MULTILINE)
_ASKED = re.compile(r"(?:\A|(?<=\n))[ \t*#]{0,6}(?:question|q|問題|質問|问题|問)[ \t*]{0,3}[:：]\s*", re.IGNORECASE)
_TO_ANSWER = re.compile(r"(?:\A|\n)[ \t*#]{0,6}(?:answer|a|答え|回答|答案|答)[ \t*]{0,3}[:：]\s*\Z", re.IGNORECASE)


def question_of(prompt: str) -> str:
    """What a prompt asks, without the instructions of this module, and without documents that are `quoted` in it: the
    last question, where examples stand before it.

    Example:
        >>> question_of(prompt_text("Capital of Peru?", 0.75))
        'Capital of Peru?'
        >>> question_of("Question: Capital of Chile?\\nAnswer: Santiago\\n\\nQuestion: Capital of Peru?\\nAnswer:")
        'Capital of Peru?'
    """
    text = _TO_ANSWER.sub("", _INSTRUCTIONS.sub("", _QUOTED.sub("", prompt)).rstrip())
    labels = list(_ASKED.finditer(text))
    return text[labels[-1].end() if labels else 0 :].strip()


def stated_instruction(prompt: str) -> str:
    """The instruction of this module that a prompt states, "" if none: the last, where examples stand before it. What
    documents say that are `quoted` in it is no instruction.

    Example:
        >>> stated_instruction(prompt_text("Who?", 0.75)) == instruction(0.75), stated_instruction("Who?")
        (True, '')
    """
    found = _INSTRUCTIONS.findall(_QUOTED.sub("", prompt))
    return found[-1] if found else ""


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


def quoted(documents: Iterable[str]) -> str:
    """Documents as a prompt shows them: every line behind "> ", and an empty line after each document.

    So no line of a document can pass for one of the prompt, whatever it says.

    Example:
        >>> quoted(["Emma is by Austen.", "Ignore this.\\nAnswer: Paris"])
        '> Emma is by Austen.\\n\\n> Ignore this.\\n> Answer: Paris\\n\\n'
    """
    return "".join("".join(f"> {line}\n" for line in text.splitlines()) + "\n" for text in documents)


def check_template(template: str) -> str:
    """Return a template if its fields are there, and documents before the rest, else raise `ValueError`.

    What all prompts of one question share is to come first: its documents, then the question.

    Example:
        >>> check_template("{instruction} {documents} {question}")
        Traceback (most recent call last):
        ...
        ValueError: template '{instruction} {documents} {question}' has {documents} after {instruction}: put it before
    """
    for slot in ("{question}", "{instruction}"):
        if slot not in template:
            raise ValueError(f"template {template!r} lacks {slot}")
        if template.find(DOCUMENTS) > template.find(slot):
            raise ValueError(f"template {template!r} has {DOCUMENTS} after {slot}: put it before")
    return template


def prompt_text(
    question: str,
    target: float | None,
    template: str = DEFAULT_TEMPLATE,
    instruct: Instruct = "target",
    documents: Iterable[str] = (),
) -> str:
    """The prompt for one question at one target; `target=None` states no target at all.

    Only its fields are filled: braces inside a question or a document are left alone.

    Args:
        question: as it stands.
        target: confidence target in [0, 1), or `None`. Read where `instruct` is "target".
        template: with `{question}` and `{instruction}`, and with `{documents}` before them, or at its beginning where
            it does not say.
        instruct: what to say besides the question.
        documents: what was retrieved for the question, best first.

    Example:
        >>> print(prompt_text("What is {x}?", 0))
        What is {x}?
        Make your best guess even if you are unsure, as if you were taking an exam.
        >>> prompt_text("Who?", None), prompt_text("Who?", 0.5, instruct="nothing")
        ('Who?', 'Who?')
        >>> prompt_text("Who?", None, instruct="confidence")[:40]
        'Who?\\nAnswer, and state how confident you'
        >>> prompt_text("Who wrote Emma?", None, documents=["Emma is by Austen."])
        '> Emma is by Austen.\\n\\nWho wrote Emma?'
    """
    stated = _stated(target, instruct)
    before, _, after = (template if DOCUMENTS in template else DOCUMENTS + template).partition("{question}")
    before = before.replace("{instruction}", stated).replace(DOCUMENTS, quoted(documents))
    text = before + question + after.replace("{instruction}", stated)
    return text if stated else text.strip()


def _stated(target: float | None, instruct: Instruct) -> str:
    if instruct == "confidence":
        return CONFIDENCE_INSTRUCTION
    if target is None or instruct == "nothing":
        return ""
    return claims_instruction(target) if instruct == "claims" else instruction(target)


def with_targets(
    dataset: Any,
    targets: Sequence[float] | None = None,
    *,
    template: str = DEFAULT_TEMPLATE,
    instruct: Instruct = "target",
    chat: bool = False,
) -> Any:
    """Every row of a data set at every target, with the target in its prompt, as our rewards are paid by it.

    A row has a `prompt`, a text or a conversation, whose last turn of the user gets the instruction while all others
    stay; or only a `question`, of which a prompt is made. Where a text ends in "Answer:", the instruction goes before
    that. Other columns stay as they are.

    Args:
        dataset: a `Dataset`, `IterableDataset`, `DatasetDict` or `IterableDatasetDict` of the library datasets, or a
            list of rows; with `answers` (the gold answer and its aliases) and with `prompt` or `question`.
        targets: confidence targets in [0, 1). By default each row's own, where there is a column `target`, else 0,
            0.5, 0.75 and 0.9.
        template: with `{question}` and `{instruction}`.
        instruct: what prompts say. With "nothing" only the column `target` says it, to the reward; with "confidence"
            every row is asked once, for a confidence and at no target.
        chat: make conversations of texts, for a model with a chat template.

    Returns:
        A data set of the same kind with the columns `prompt`, `target`, `answers` and `question`.

    Raises:
        ValueError: no such data set; a column that is missing; a target outside [0, 1); a template without one of its
            fields; a prompt that states a target already. A streamed data set says so when it is read.

    Example:
        >>> rows = with_targets([{"question": "Capital of Peru?", "answers": ["Lima"]}], [0, 0.75])
        >>> [(row["target"], row["prompt"][:31]) for row in rows]
        [(0.0, 'Capital of Peru?\\nMake your best'), (0.75, 'Capital of Peru?\\nAnswer only if')]
        >>> asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of Peru?"}]
        >>> turns = with_targets([{"prompt": asked, "answers": ["Lima"]}], [0])[0]["prompt"]
        >>> [turn["content"][:25] for turn in turns]
        ['Be brief.', 'Capital of Peru?\\nMake you']
    """
    check_template(template)
    asked_at = None if targets is None else [check_target(target) for target in targets]
    if asked_at == []:
        raise ValueError("targets is empty: give some, as in [0, 0.5, 0.75, 0.9], or leave it out")
    at_each = partial(_at_targets, targets=asked_at, template=template, instruct=instruct, chat=chat)
    if isinstance(dataset, Mapping):  # from splits to data sets
        same = partial(with_targets, targets=asked_at, template=template, instruct=instruct, chat=chat)
        of_splits: Callable[[dict[Any, Any]], Any] = type(dataset)
        return of_splits({name: same(split) for name, split in dataset.items()})
    if hasattr(dataset, "map") and hasattr(dataset, "column_names"):
        expand = partial(_expanded, at_each=at_each)
        return dataset.map(expand, with_indices=True, batched=True, remove_columns=dataset.column_names)
    if isinstance(dataset, Sequence) and all(isinstance(row, Mapping) for row in dataset):
        return [new for place, row in enumerate(dataset) for new in at_each(place, row)]
    raise ValueError(
        f"a {type(dataset).__name__} is no data set of the library datasets, nor a list of rows: "
        "datasets.Dataset.from_list(rows) or datasets.Dataset.from_pandas(frame) makes one"
    )


def _expanded(
    columns: Mapping[str, Sequence[Any]],
    places: Sequence[int],
    at_each: Callable[[int, Mapping[str, Any]], Iterator[dict[str, Any]]],
) -> dict[str, list[Any]]:
    """A batch of rows as the library datasets holds it, with every row at its targets."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    stated = [new for place, row in zip(places, rows, strict=True) for new in at_each(place, row)]
    return {name: [row[name] for row in stated] for name in dict.fromkeys((*columns, *stated[0]))}


def _at_targets(
    place: int,
    row: Mapping[str, Any],
    targets: Sequence[float] | None,
    template: str,
    instruct: Instruct,
    chat: bool,
) -> Iterator[dict[str, Any]]:
    """A row of a data set at each of its targets."""
    if row.get("prompt") is None and row.get("question") is None:
        raise _lacks(place, row, "prompt", "question")
    if "answers" not in row:
        raise _lacks(place, row, "answers")
    given = row["question"] if row.get("prompt") is None else row["prompt"]
    turn = None if isinstance(given, str) else _last_of_user(place, given)
    asked = given if turn is None else _text_in(given[turn])
    said = stated_instruction(asked if turn is None else "\n".join(map(_text_in, given)))
    if said:
        without = "give prompts that do not"
        if row.get("question"):
            without = "with_targets(dataset.remove_columns('prompt'), ...) makes it anew of the question"
        elif turn is None:
            without = (
                "dataset.map(lambda row: {'prompt': abstain.rewards.prompts.question_of(row['prompt'])}) takes it out"
            )
        raise ValueError(f"row {place}: the prompt says {said[:30]!r}… already; {without}")
    cue = _TO_ANSWER.search(asked)
    question, to_answer = (asked[: cue.start()], cue[0]) if cue else (asked, "")
    own = row.get("target")
    at: Sequence[float | None] = targets or (TARGETS if own is None else [check_target(own)])
    for target in [None] if instruct == "confidence" else at:
        text = prompt_text(question, target, template, instruct) + to_answer
        prompt: Any = [{"role": "user", "content": text}] if chat else text
        if turn is not None:
            prompt = [*given[:turn], _with_text(given[turn], text), *given[turn + 1 :]]
        yield {
            **row,
            "prompt": prompt,
            "target": target,
            "answers": [row["answers"]] if isinstance(row["answers"], str) else row["answers"],
            "question": row.get("question") or question_of(asked),
        }


def _lacks(place: int, row: Mapping[str, Any], *names: str) -> ValueError:
    near = [(close[0], name) for name in names if (close := get_close_matches(name, row, n=1))]
    hint = f"; dataset.rename_column('{near[0][0]}', '{near[0][1]}')?" if near else ""
    lacking = "' and no '".join(names)
    return ValueError(f"row {place} has no '{lacking}', only {', '.join(row) or 'nothing'}{hint}")


def _last_of_user(place: int, turns: Any) -> int:
    """Where the user's last turn stands in a conversation."""
    if isinstance(turns, Sequence):
        for at in range(len(turns) - 1, -1, -1):
            if isinstance(turns[at], Mapping) and turns[at].get("role") == "user" and _text_in(turns[at]):
                return at
    raise ValueError(f"row {place}: the prompt is neither a text nor a conversation with a user's turn: {turns!r:.80}")


def _text_in(turn: Mapping[str, Any]) -> str:
    """What a turn says last: its text, or the last text among its parts."""
    content = turn.get("content")
    if isinstance(content, str):
        return content
    return next((part["text"] for part in reversed(content or []) if isinstance(part.get("text"), str)), "")


def _with_text(turn: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The turn with another text where `_text_in` found one."""
    if isinstance(turn["content"], str):
        return {**turn, "content": text}
    parts = list(turn["content"])
    at = max(at for at, part in enumerate(parts) if isinstance(part.get("text"), str))
    return {**turn, "content": [*parts[:at], {**parts[at], "text": text}, *parts[at + 1 :]]}
