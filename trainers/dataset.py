"""Questions as the rows that TRL trains on.

{"prompt": "Capital of Peru?\\nAnswer only if ...", "answers": ["Lima"], "target": 0.75, "question_id": "P36-17",
 "question": "Capital of Peru?"}
"""

import random
from collections.abc import Sequence

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from abstain.evals.sampler import uses_chat
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import Instruct
from abstain.trainers.mix import Known, Mix, RlMix, Row, by_knowledge, mixed, near_targets

Prompt = str | list[dict[str, str]]


def draw(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """At most `limit` of the questions, drawn with `seed`: the first ones of a file are often all of a kind."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return random.Random(seed).sample(questions, limit)


def choose(
    questions: Sequence[Question],
    limit: int | None,
    mix: Mix | None,
    known: Known | None,
    seed: int,
    where: str = "mix",
    labelled_only: bool = False,
) -> list[Question]:
    """The questions that a stage trains on: at most `limit` of them, of which its mix takes what it wants.

    With a mix only questions with a label are drawn from.

    Args:
        questions: the training questions of its task.
        limit, mix: the stage's.
        known: labels of the starting model, if there are any.
        seed: of the draws.
        where: the mix's key in the recipe, for messages.
        labelled_only: draw from questions with a label without a mix, too.

    Raises:
        ValueError: a mix and no labels; none of the questions has one; or as `abstain.trainers.mix.mixed`.
    """
    if mix is None and (known is None or not labelled_only):
        return draw(questions, limit, seed)
    if known is None:
        raise ValueError(f"{where} chooses by what the starting model knows: give labels, or leave it out")
    labelled = [question for question in questions if question.id in known]
    if questions and not labelled:
        raise ValueError(f"{where}: none of the {len(questions):,} training questions has a label")
    drawn = draw(labelled, limit, seed)
    return drawn if mix is None else mixed(drawn, known, mix, seed, where)


def as_trl_prompt(text: str, tokenizer: PreTrainedTokenizerBase, prompt_format: PromptFormat) -> Prompt:
    """A prompt as TRL takes it: a conversation where the tokenizer's chat template is used, else plain text."""
    return [{"role": "user", "content": text}] if uses_chat(tokenizer, prompt_format) else text


def rl_dataset(
    task: Task,
    targets: Sequence[float],
    tokenizer: PreTrainedTokenizerBase,
    *,
    prompt_format: PromptFormat = "auto",
    instruct: Instruct = "target",
    limit: int | None = None,
    mix: RlMix | None = None,
    known: Known | None = None,
    seed: int = 0,
) -> Dataset:
    """Every training question at every target, or once if it asks for a confidence; TRL shuffles.

    A mix may draw the targets of each question, and give the rows an order for TRL to keep.

    Args:
        task: its training questions are used.
        targets: confidence targets in [0, 1).
        tokenizer: decides with `prompt_format` whether prompts are conversations.
        instruct: what prompts say. Rewards read the target from the column `target` even where prompts say nothing; it
            is `None` where they ask for a confidence.
        limit: use this many questions, drawn with `seed`.
        mix, known: as for `choose`, which takes of those what the mix wants.

    Raises:
        ValueError: the task has no training questions, or as `choose`.
    """
    questions = choose(task.train, limit, mix, known, seed)
    if not questions:
        raise ValueError(f"task {task.name} has no training questions, only held-out ones")
    asked_at = [None] if instruct == "confidence" else [float(target) for target in targets]
    asked: list[Row] = [(question, target) for question in questions for target in asked_at]
    if mix is not None and known is not None:
        asked = _as_mixed(asked, questions, targets, mix, known, seed)
    rows = [
        {
            "prompt": as_trl_prompt(
                question.prompt(target, task.template, instruct),
                tokenizer,
                prompt_format,
            ),
            "answers": list(question.gold),
            "target": target,
            "question_id": question.id,
            "question": question.question,
        }
        for question, target in asked
    ]
    return Dataset.from_list(rows)


def _as_mixed(
    asked: list[Row],
    questions: Sequence[Question],
    targets: Sequence[float],
    mix: RlMix,
    known: Known,
    seed: int,
) -> list[Row]:
    """The rows that a mix asks at other targets, or in its order: every row takes its place by itself."""
    if mix.near_targets is not None:
        asked = near_targets(questions, targets, known, mix.near_targets, seed)
    return asked if mix.order is None else by_knowledge(asked, known, mix.order, seed)
