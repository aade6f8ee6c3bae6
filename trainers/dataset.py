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
from abstain.rewards.prompts import Instruct, prompt_text

Prompt = str | list[dict[str, str]]


def draw(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """At most `limit` of the questions, drawn with `seed`: the first ones of a file are often all of a kind."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return random.Random(seed).sample(questions, limit)


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
    seed: int = 0,
) -> Dataset:
    """Every training question at every target, or once if it asks for a confidence; TRL shuffles.

    Args:
        task: its training questions are used.
        targets: confidence targets in [0, 1).
        tokenizer: decides with `prompt_format` whether prompts are conversations.
        instruct: what prompts say. Rewards read the target from the column `target` even where prompts say nothing; it
            is `None` where they ask for a confidence.
        limit: use this many questions, drawn with `seed`.

    Raises:
        ValueError: the task has no training questions.
    """
    questions = draw(task.train, limit, seed)
    if not questions:
        raise ValueError(f"task {task.name} has no training questions, only held-out ones")
    asked_at = [None] if instruct == "confidence" else [float(target) for target in targets]
    rows = [
        {
            "prompt": as_trl_prompt(
                prompt_text(question.question, target, task.template, instruct),
                tokenizer,
                prompt_format,
            ),
            "answers": list(question.gold),
            "target": target,
            "question_id": question.id,
            "question": question.question,
        }
        for question in questions
        for target in asked_at
    ]
    return Dataset.from_list(rows)
