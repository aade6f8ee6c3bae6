"""Documents that a model's context has no room for are cut, and it is said which.

The last documents go first, for a retriever brings the best ones first: words from the end of the last one, then all
of it, then words of the one before it. Question and instruction are never cut.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from abstain.evals.sampler import as_prompt
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import Instruct

LONGEST_TARGET = 0.9375
"""Stated with its penalty it takes as many digits as any."""
SHOWN = 3


def fit_documents(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
    prompt_format: PromptFormat = "auto",
    instruct: Instruct = "target",
) -> tuple[Task, str]:
    """The task with documents that fit, and a sentence about those that did not; "" if all did.

    Args:
        task: whose questions may have documents; `max_new_tokens` of it is room for an answer.
        tokenizer: of the model.
        config: of the model; without `max_position_embeddings` everything fits.
        prompt_format, instruct: how questions are asked.

    Returns:
        The task. A question that lost any of its documents has `metadata["documents_cut"]`: how many are whole.
    """
    context = getattr(config, "max_position_embeddings", None)
    if context is None:
        return task, ""
    room = context - task.max_new_tokens

    def fits(questions: Sequence[Question]) -> list[bool]:
        prompts = [one.prompt(LONGEST_TARGET, task.template, instruct) for one in questions]
        texts = [as_prompt(text, tokenizer, prompt_format) for text in prompts]
        return [len(ids) <= room for ids in tokenizer(texts, return_attention_mask=False)["input_ids"]]

    found, told = [], list[str]()
    for side in (task.train, task.held_out):
        kept = list(side)
        shown = [place for place, question in enumerate(side) if question.documents]
        whole = fits([side[place] for place in shown]) if shown else []
        for place in (place for place, there in zip(shown, whole, strict=True) if not there):
            kept[place] = cut = _cut(side[place], lambda one: fits([one])[0])
            left, before = len(cut.documents), len(side[place].documents)
            shorter = ", the last of them cut" if left > cut.metadata["documents_cut"] else ""
            told.append(f"{cut.id} keeps {left} of {before}{shorter}")
        found.append(tuple(kept))
    if not told:
        return task, ""
    named = "; ".join(told[:SHOWN]) + (f"; and {len(told) - SHOWN:,} more" if len(told) > SHOWN else "")
    said = (
        f"the documents of {len(told):,} question{'s' * (len(told) > 1)} do not fit into {context:,} tokens: {named}"
    )
    return replace(task, train=found[0], held_out=found[1]), said


def _cut(question: Question, fits: Callable[[Question], bool]) -> Question:
    """The question with as much of its documents as fits."""
    documents = list(question.documents)
    while documents:
        *before, last = documents
        words = last.split(" ")
        low, high = 0, len(words)  # so many words of the last one fit, if any do, and so many do not
        while high - low > 1:
            middle = (low + high) // 2
            shorter = replace(question, documents=(*before, " ".join(words[:middle])))
            low, high = (middle, high) if fits(shorter) else (low, middle)
        if low:
            return _kept(question, (*before, " ".join(words[:low])), len(before))
        documents = before
        if fits(replace(question, documents=tuple(before))):
            break
    return _kept(question, tuple(documents), len(documents))


def _kept(question: Question, documents: tuple[str, ...], whole: int) -> Question:
    return replace(question, documents=documents, metadata={**question.metadata, "documents_cut": whole})
