"""A file and a model, looked at, and the recipe that comes of it.

draft = make_draft(Typed("my.csv", "my-model"), Path("my.yaml"), {})
draft.text                                       the recipe, commented
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.evals.tasks.languages import LANGUAGES
from abstain.evals.tasks.splits import sample
from abstain.recipes.init.choices import choose, grader_for, percent, size_of
from abstain.recipes.init.data import Ask, Data, Typed, look_at_data, width
from abstain.recipes.init.model import (
    TRIED,
    Machine,
    Model,
    Trial,
    look_at_machine,
    look_at_model,
    prompt_tokens,
    room_for,
    templates_for,
    try_prompts,
)
from abstain.recipes.init.writing import name_for, place_beside, place_of_model, plain, recipe_text
from abstain.rewards.prompts import IDK

FEW_HELD_OUT = 200


@dataclass(frozen=True)
class Draft:
    """A recipe that is not written yet, and what it came of.

    Args:
        text: the recipe.
        command: what to type to run it.
        data, model, machine: what was found.
        trials: how the model answered in each way of asking, the best first.
        values: of the recipe, without comments.
    """

    text: str
    command: str
    data: Data
    model: Model
    machine: Machine
    trials: Sequence[Trial]
    values: Mapping[str, Any]

    def findings(self) -> Iterator[tuple[str, str]]:
        """What was found, as terms and meanings."""
        data, task, columns = self.data, self.data.task, self.data.found
        by = dict.fromkeys(columns.guessed, ", by what stands in it")
        first, best, held_out = task.held_out[0], self.trials[0], len(task.held_out)
        several = f"{data.separated:,} cells, separated by {data.separator!r}" if data.separator else "none by a sign"
        yield "file", data.format
        yield "question column", repr(columns.question) + by.get("question", "")
        yield "answers column", repr(columns.answers) + by.get("answers", "")
        yield "several answers", several
        yield "subject", data.subject
        yield "near-duplicates", f"{data.similar} groups, each on one side" if data.similar else "none"
        yield "language", LANGUAGES[data.language].name if data.language else "not recognised"
        yield "questions", f"{len(task.train):,} to train on, {held_out:,} held out (±{width(held_out):.0f} points)"
        yield "example", f"{first.question} → {' / '.join(first.gold[:3])}"
        yield (
            "model",
            f"{size_of(self.model)}, {'a' if self.model.chat else 'no'} chat template",
        )
        half = "with" if self.machine.bf16 else "no"
        yield "machine", f"{self.machine.device}, {self.machine.free / 1e9:.1f} GB free, {half} fast bfloat16"
        for trial in self.trials:
            yield (
                f"asked as {trial.prompt_format}",
                f"{percent(trial.short)} short answers, {percent(trial.right)} right",
            )
        yield "it said", f"{best.example[0]} → {best.example[1] or '(nothing)'}"
        yield "stages", ", ".join(name for name in ("format", "sft", "rl") if name in self.values)
        yield "trains", "adapters (LoRA)" if self.values["model"]["lora"] else "all weights"


def make_draft(
    typed: Typed,
    out: Path,
    given: Mapping[str, Any],
    *,
    ask: Ask | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Draft:
    """Look at the file and the model, ask the model some of the questions, and choose.

    Args:
        typed: what was typed.
        out: where the recipe is to lie; nothing is written there.
        given: options of the task that are known already.
        ask: as for `look_at_data`.
        say: told what is going on.

    Raises:
        FileNotFoundError, ValueError: the file or the model cannot be used; in a sentence, with what to type instead.
    """
    data = look_at_data(typed, given, ask)
    say(f"{data.questions:,} questions in {data.path.name}; loading {typed.model}")
    loaded, model = look_at_model(typed.model)
    machine = look_at_machine()
    questions = [*data.task.train, *data.task.held_out]
    room = room_for([question.gold[0] for question in questions], loaded.tokenizer)
    tried = sample(data.task.train, TRIED)
    say(f"asking it {len(tried)} of them")
    ways, grader = templates_for(model, data.language), grader_for(data).value
    trials = try_prompts(loaded, ways, tried, room, grader, autocast=machine.bf16)
    recipe = choose(
        name_for(out),
        data,
        model,
        machine,
        trials[0],
        room=room,
        prompt=prompt_tokens(loaded, trials[0], questions),
        where={"data": place_beside(data.path, out), "model": place_of_model(typed.model, out)},
    )
    command = shlex.join(["abstain", "train", str(out)])
    text = recipe_text(recipe, [command, "", f"Written by: {typed.again()}", *_notes(data)])
    return Draft(text, command, data, model, machine, trials, plain(recipe))


def _notes(data: Data) -> list[str]:
    """For the top of the recipe."""
    notes = []
    if data.language not in ("", "en"):
        language = LANGUAGES[data.language].name
        notes += [
            f"The questions are in {language}. The instruction that states t is English, and so is the answer that is",
            f"taught, {IDK!r}; where the model abstains in {language}, that is understood too.",
        ]
    if (count := len(data.task.held_out)) < FEW_HELD_OUT:
        notes.append(f"With {count} held-out questions, small differences cannot be told from luck.")
    return [*([""] if notes else []), *notes]
