"""How a model was taught to be asked, in a file that travels with its weights.

    runs/quickstart-0/model/abstain.json
    {"version": 1, "template": "{question}\\n{instruction}", "prompt_format": "plain", "targets": [0.0, 0.5], ...}

A model that learnt "I don't know" in one prompt may babble in another. So whoever asks it reads this file first, and
is told where an option or a target says otherwise. It lies in the model's directory, so it is uploaded with the model.
"""

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError, field_validator
from transformers import PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from abstain.evals.records import write_text
from abstain.evals.sampler import uses_chat
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.question import Task
from abstain.rewards.named import short
from abstain.rewards.prompts import (
    CLAIMS_INSTRUCTION,
    CONFIDENCE_INSTRUCTION,
    GUESS_INSTRUCTION,
    STATES_TARGET,
    TARGET_INSTRUCTION,
    Instruct,
    check_target,
    prompt_text,
)
from abstain.rewards.response import AnswerFormat, check_answer_format

FILE = "abstain.json"
MAX_BYTES = 64 * 1024
WORDINGS = {
    "guess": GUESS_INSTRUCTION,
    "target": TARGET_INSTRUCTION,
    "confidence": CONFIDENCE_INSTRUCTION,
    "claims": CLAIMS_INSTRUCTION,
}
"""The sentences that prompts are made of today."""
logger = logging.getLogger(__name__)


class PromptCard(BaseModel, frozen=True):
    """What a model's prompts looked like while it was trained."""

    version: Literal[1] = 1
    template: str
    """With `{question}` and `{instruction}`."""
    prompt_format: Literal["plain", "chat"]
    """`chat`: the prompt is a user's turn in the tokenizer's chat template."""
    instruct: Instruct = "target"
    """What stands for `{instruction}`."""
    wordings: dict[str, str] = WORDINGS
    """The sentences themselves: what it was told at t = 0, above, where a confidence is asked for, and of claims."""
    answer_format: AnswerFormat = "auto"
    """Where the answer stands in what it writes."""
    max_new_tokens: int = Field(ge=1)
    """Room for an answer."""
    stop: list[str] = []
    """Tokens at which an answer ends."""
    targets: list[float] = []
    """Confidence targets that it was trained on; none if its prompts state none."""
    task: str = ""
    """What it was trained on."""

    @field_validator("template")
    @classmethod
    def _has_slots(cls, template: str) -> str:
        if missing := [slot for slot in ("{question}", "{instruction}") if slot not in template]:
            raise ValueError(f"it lacks {missing[0]}")
        return template

    @field_validator("answer_format")
    @classmethod
    def _is_format(cls, name: AnswerFormat) -> AnswerFormat:
        check_answer_format(name)
        return name

    @field_validator("targets")
    @classmethod
    def _are_targets(cls, targets: list[float]) -> list[float]:
        return sorted({check_target(target) for target in targets})

    @classmethod
    def of(
        cls,
        task: Task,
        tokenizer: PreTrainedTokenizerBase,
        *,
        prompt_format: PromptFormat = "auto",
        instruct: Instruct = "target",
        targets: Collection[float] = (),
        stop: Collection[int] = (),
    ) -> "PromptCard":
        """The card of a model that is trained on a task.

        Args:
            task: gives the template, the answer format and the room for an answer.
            tokenizer: decides what "auto" means, and how the ids in `stop` are written.
            prompt_format, instruct: of training.
            targets: that are stated in training.
            stop: ids of the tokens that end an answer.
        """
        return cls(
            template=task.template,
            prompt_format="chat" if uses_chat(tokenizer, prompt_format) else "plain",
            instruct=instruct,
            answer_format=task.answer_format,
            max_new_tokens=task.max_new_tokens,
            stop=[tokenizer.convert_ids_to_tokens(token) for token in sorted(stop)],
            targets=list(targets) if instruct in STATES_TARGET else [],
            task=short(task.name),
        )

    def save(self, folder: str | Path) -> None:
        """Write `abstain.json` there."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_text(Path(folder) / FILE, self.model_dump_json(indent=2) + "\n")

    def prompt(self, question: str, target: float) -> str:
        """The prompt of one question, without the chat template.

        Example:
            >>> PromptCard(template="Q: {question} {instruction}", prompt_format="plain", max_new_tokens=8).prompt(
            ...     "Who?", 0)
            'Q: Who? Make your best guess even if you are unsure, as if you were taking an exam.'
        """
        return prompt_text(question, target, self.template, self.instruct)

    def __str__(self) -> str:
        told = {"target": self._stated(), "nothing": "no instruction", "confidence": "a confidence asked for"}
        told["claims"] = f"{self._stated()} for each statement"
        return (
            f"{self.prompt_format} prompts like {json.dumps(self.template, ensure_ascii=False)}, "
            f"{told[self.instruct]}, answers of at most {self.max_new_tokens} tokens read as {self.answer_format}"
        )

    def _stated(self) -> str:
        return f"t = {', '.join(f'{target:g}' for target in self.targets)}" if self.targets else "a target stated"


def read_card(source: str | Path, revision: str | None = None) -> PromptCard | None:
    """The card of a model, or `None` if it has none; one that cannot be read is logged, and as good as none.

    Args:
        source: the model's folder, a checkpoint of a run (whose card lies beside the checkpoints), or a hub id.
        revision: of a hub model.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> read_card(folder) is None
        True
        >>> PromptCard(template="{question} {instruction}", prompt_format="plain", max_new_tokens=8).save(folder)
        >>> read_card(folder).max_new_tokens
        8
    """
    path = _find(source, revision)
    if path is None:
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES // 1024} KiB")
        return PromptCard.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    except (OSError, ValueError) as error:
        reason = str(error)
    logger.warning("%s cannot be read (%s): the model is asked as one that has none", path, reason)
    return None


def _find(source: str | Path, revision: str | None) -> Path | None:
    folder = Path(source).expanduser()
    if folder.is_dir():
        places = [folder, folder.parent] if folder.name.startswith("checkpoint-") else [folder]
        return next((place / FILE for place in places if (place / FILE).is_file()), None)
    try:
        found = cached_file(
            str(source),
            FILE,
            revision=revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):  # no such model, or none that one may read: loading it says so better
        return None
    return Path(found) if found else None


@dataclass(frozen=True)
class Asking:
    """How a model is going to be asked, and what there is to say about it.

    Args:
        task: with the template, the room and the answer format to use.
        prompt_format: "auto" only for a model without a card.
        instruct: what prompts say.
        notes: sentences for people: whose prompt it is, and what differs from training.
    """

    task: Task
    prompt_format: PromptFormat
    instruct: Instruct
    notes: tuple[str, ...]


def as_trained(
    card: PromptCard | None,
    task: Task,
    said: Collection[str] = (),
    *,
    name: str = "this model",
    prompt_format: PromptFormat = "auto",
    instruct: Instruct | None = None,
    targets: Sequence[float] = (),
) -> Asking:
    """Ask a model as it was trained to be asked, unless somebody says otherwise, who is then told.

    Args:
        card: the model's, if it has one.
        task: what is asked.
        said: those of the task's "template", "max_new_tokens" and "answer_format" that somebody chose.
        name: the model's, for notes.
        prompt_format: "auto" leaves it to the card, and else to the tokenizer.
        instruct: `None` leaves it to the card, and else states targets.
        targets: that are going to be stated.

    Example:
        >>> card = PromptCard(
        ...     template="{question} {instruction}", prompt_format="plain", max_new_tokens=8, targets=[0])
        >>> asking = as_trained(card, Task("t", (), ()), targets=[0, 0.5])
        >>> asking.task.template, asking.notes[1]
        ('{question} {instruction}', 'warning: t = 0.5 is none of the targets that it was trained on (0)')
    """
    if card is None:
        shown = json.dumps(task.template, ensure_ascii=False)
        note = f"warning: {name} has no {FILE} that says how to ask it. Prompts look like {shown}"
        return Asking(task, prompt_format, instruct or "target", (note,))
    fields = {"template": card.template, "max_new_tokens": card.max_new_tokens, "answer_format": card.answer_format}
    asked = replace(task, **{key: value for key, value in fields.items() if key not in said})  # type: ignore[arg-type]
    how = Asking(
        asked,
        card.prompt_format if prompt_format == "auto" else prompt_format,
        instruct or card.instruct,
        (),
    )
    warnings = [f"warning: {departure}" for departure in _departures(card, how, targets)]
    return replace(how, notes=(f"how it was trained to be asked: {card}", *warnings))


def _departures(card: PromptCard, how: Asking, targets: Sequence[float]) -> Iterator[str]:
    """Where it is asked otherwise than it was trained to be."""
    if how.task.template != card.template:
        yield f"it was trained on the template {card.template!r}, and is asked with {how.task.template!r}"
    if how.prompt_format != card.prompt_format:
        yield f"it was trained on {card.prompt_format} prompts, and is asked with {how.prompt_format} ones"
    if how.instruct != card.instruct:
        yield f"it was trained with instruct: {card.instruct}, and is asked with instruct: {how.instruct}"
    if how.task.max_new_tokens < card.max_new_tokens:
        yield f"it was trained to answer in {card.max_new_tokens} tokens, and has {how.task.max_new_tokens}"
    if how.instruct == card.instruct and any(card.wordings.get(key, text) != text for key, text in WORDINGS.items()):
        yield "it was trained with instructions in other words than those of this version of abstain"
    new = [t for t in targets if t not in card.targets]
    if how.instruct in STATES_TARGET and new and card.targets:
        known = ", ".join(f"{target:g}" for target in card.targets)
        are = f"t = {new[0]:g} is" if len(new) == 1 else f"t = {', '.join(f'{t:g}' for t in new)} are"
        yield f"{are} none of the targets that it was trained on ({known})"
