"""What a model is, what there is to train it on, and how it answers when it is asked as it stands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from abstain.evals.models import LoadedModel, fast_bfloat16, load_model
from abstain.evals.prompt_card import read_card
from abstain.evals.sampler import Sampler, as_prompt
from abstain.evals.tasks.languages import LANGUAGES
from abstain.evals.tasks.question import Question
from abstain.recipes.run.console import quiet_libraries
from abstain.rewards.grading import grade_response
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import DEFAULT_TEMPLATE, IDK
from abstain.rewards.verdict import Verdict

TRIED = 32
"""Questions that are asked to see how it answers."""
SHORTEST_ROOM = 8
LONGEST_ROOM = 128


@dataclass(frozen=True)
class Machine:
    """What there is to train on.

    Args:
        device: "cuda" or "cpu".
        free: bytes of memory that nobody uses now, of the GPU or of the machine.
        bf16: it computes in bfloat16 at speed.
    """

    device: str
    free: int
    bf16: bool


@dataclass(frozen=True)
class Model:
    """A model's sizes.

    Args:
        name: as it was given.
        parameters: how many.
        layers, hidden, vocabulary: of the transformer; 0 where its configuration does not say.
        chat: its tokenizer has a chat template.
        card: how it was trained to be asked, if it says so: `template`, `prompt_format`, `answer_format`.
    """

    name: str
    parameters: int
    layers: int
    hidden: int
    vocabulary: int
    chat: bool
    card: dict[str, Any] | None


@dataclass(frozen=True)
class Trial:
    """How it answered, asked in one way.

    Args:
        prompt_format, template: the way.
        asked: questions.
        short: share of the completions that ended in time and are read as a plain, short answer.
        right: share that is right.
        example: a question and what it said.
    """

    prompt_format: Literal["plain", "chat"]
    template: str
    asked: int
    short: float
    right: float
    example: tuple[str, str]


def look_at_machine() -> Machine:
    """The GPU if there is one, else the machine."""
    import psutil  # type: ignore[import-untyped]
    import torch

    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return Machine("cuda", free, fast_bfloat16("cuda"))
    return Machine("cpu", psutil.virtual_memory().available, fast_bfloat16("cpu"))


def look_at_model(name: str) -> tuple[LoadedModel, Model]:
    """Load a model and see what it is.

    Raises:
        FileNotFoundError, ValueError: as `abstain.evals.models.load_model`.
    """
    quiet_libraries()
    loaded = load_model(name)
    config = loaded.model.config.get_text_config()
    card = read_card(loaded.source)
    said = card.model_dump(include={"template", "prompt_format", "answer_format"}) if card else None
    return loaded, Model(
        name,
        loaded.model.num_parameters(),
        getattr(config, "num_hidden_layers", 0) or 0,
        getattr(config, "hidden_size", 0) or 0,
        getattr(config, "vocab_size", 0) or 0,
        bool(loaded.tokenizer.chat_template),
        said,
    )


def room_for(golds: Sequence[str], tokenizer: Any) -> int:
    """Tokens that an answer needs: what all but one in fifty golds have, "I don't know" too, and two more to end with.

    Args:
        golds: one for each question.
        tokenizer: the model's.

    Example:
        >>> words = lambda texts, **_: {"input_ids": [text.split() for text in texts]}
        >>> room_for(["Lima", "La Paz"] * 50, words), room_for(["a b c d e f g h i j"] * 50, words)
        (8, 12)
    """
    texts = [f" {gold}" for gold in golds[:5_000]]
    lengths = sorted(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"]))
    (idk,) = tokenizer([f" {IDK}"], add_special_tokens=False)["input_ids"]
    most = lengths[min(len(lengths) - 1, math.ceil(0.98 * len(lengths)) - 1)]
    return max(SHORTEST_ROOM, min(LONGEST_ROOM, max(most, len(idk)) + 2))


def templates_for(model: Model, language: str) -> list[tuple[Literal["plain", "chat"], str]]:
    """The ways to ask: as it was trained to be asked; else in its chat template, if it has one, and as plain text."""
    if model.card:
        return [(model.card["prompt_format"], model.card["template"])]
    words = LANGUAGES.get(language, LANGUAGES["en"])
    plain = f"{words.question}: {{question}}\n{{instruction}}\n{words.answer}:"
    return [*([("chat", DEFAULT_TEMPLATE)] if model.chat else []), ("plain", plain)]  # type: ignore[list-item]


def prompt_tokens(loaded: LoadedModel, trial: Trial, questions: Sequence[Question]) -> int:
    """Tokens of a prompt that states a target: those of all but one in twenty questions."""
    texts = [question.prompt(0.75, trial.template) for question in questions[:1_000]]
    asked = [as_prompt(text, loaded.tokenizer, trial.prompt_format) for text in texts]
    lengths = sorted(map(len, loaded.tokenizer(asked)["input_ids"]))
    return lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))]


def try_prompts(
    loaded: LoadedModel,
    ways: Sequence[tuple[Literal["plain", "chat"], str]],
    questions: Sequence[Question],
    room: int,
    grader: str,
    *,
    autocast: bool = False,
) -> list[Trial]:
    """Ask the same questions in each way, the best way first.

    Args:
        loaded: the model.
        ways: prompt formats and templates; where two do equally well, the first is taken.
        questions: some to train on; held-out ones are for the result.
        room: new tokens of an answer.
        grader: of the task.
        autocast: compute in bfloat16.
    """
    trials = []
    for prompt_format, template in ways:
        sampler = Sampler(loaded.model, loaded.tokenizer, prompt_format=prompt_format, autocast=autocast)
        prompts = [question.prompt(0.0, template) for question in questions]
        completions = [one for (one,) in sampler.sample(prompts, max_new_tokens=room)]
        read = [read_response(one.text, one.truncated, "plain") for one in completions]
        graded = [
            grade_response(response, question.gold, grader, question.question)
            for question, response in zip(questions, read, strict=True)
        ]
        short = [not one.truncated and bool(response.answer) for one, response in zip(completions, read, strict=True)]
        right = [ok and verdict is Verdict.CORRECT for ok, verdict in zip(short, graded, strict=True)]
        example = (questions[0].question, completions[0].text.strip())
        share = len(questions)
        trials.append(Trial(prompt_format, template, share, sum(short) / share, sum(right) / share, example))
    return sorted(trials, key=lambda trial: (-trial.short, -trial.right))
