"""`abstain ask`: tries a model on one question."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.recipes.cli.options import (
    GRADER,
    DType,
    Model,
    PromptFormat,
    Revision,
    TrustRemoteCode,
    option,
    parse_target,
    worded,
)
from abstain.rewards.errors import nearest
from abstain.rewards.graders import GRADERS
from abstain.rewards.grading import grade_response
from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import DEFAULT_TEMPLATE, penalty, prompt_text

if TYPE_CHECKING:
    from abstain.evals.sampler import Sampler


QUESTION = typer.Argument(metavar="QUESTION", help="In quotes.")
TARGET = option("--target", "T", "Confidence target that the prompt states, in [0, 1).")
GOLD = option("--gold", "ANSWER", "A right answer. May be given again, for aliases.")
TEMPLATE = option("--template", "TEXT", "The prompt, with {question} and {instruction}.")
ROOM = option("--max-new-tokens", "N", "Room for the answer.", min=1)


def ask(
    model: Model,
    question: Annotated[str, QUESTION],
    target: Annotated[str, TARGET] = "0.75",
    gold: Annotated[list[str] | None, GOLD] = None,
    grader: Annotated[str, worded(GRADER, "Compare with it by match, exact, numeric, date …")] = "match",
    template: Annotated[str, TEMPLATE] = DEFAULT_TEMPLATE,
    max_new_tokens: Annotated[int, ROOM] = 64,
    prompt_format: PromptFormat = "auto",
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Ask a model one question, and see how sure it is.

    [bold]Examples[/bold]
    \b
      abstain ask runs/quickstart-0/model "Where was Na Topuse born?"
      abstain ask Qwen/Qwen3-0.6B "What is Peru's capital?" --gold Lima
    """
    t = parse_target(target)
    if grader not in GRADERS:
        raise ValueError(f"unknown grader '{grader}'. {nearest(grader, GRADERS)}")
    from abstain.evals.sampler import Sampler
    from abstain.recipes.run.training import load_start

    loaded = load_start(model, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code)
    sampler = Sampler(loaded.model, loaded.tokenizer, prompt_format=prompt_format, max_new_tokens=max_new_tokens)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for term, meaning in reply_lines(sampler, question, t, gold or [], grader, template):
        grid.add_row(Text(term, "dim"), Text(meaning))
    Console(highlight=False).print(grid)


def reply_lines(
    sampler: "Sampler", question: str, target: float, gold: list[str], grader: str, template: str = DEFAULT_TEMPLATE
) -> Iterator[tuple[str, str]]:
    """What there is to say about one question, as terms and meanings.

    Args:
        sampler: the model.
        question: the question alone.
        target: confidence target t in [0, 1) that the prompt states.
        gold: right answers; empty if none is known. The answer is read leniently, as in evaluation.
        grader: a key of `abstain.rewards.graders.GRADERS`.
        template: what the prompt looks like.
    """
    prompts = [prompt_text(question, t, template) for t in (target, 0)]
    (said,), (guessed,) = sampler.sample(prompts)
    reply, guess = (parse(completion.text, truncated=completion.truncated) for completion in (said, guessed))
    yield "target", f"{target:g}" + (" (best guess)" if target == 0 else f" (a mistake costs {penalty(target):.4g})")
    yield "answer", said.text.strip() or "(nothing)"
    if gold:
        yield "verdict", grade_response(reply, gold, grader, question).value
    if target > 0:
        yield "best guess", guess.answer or guessed.text.strip() or "(nothing)"
    yield "probability", f"{math.exp(guessed.logprob):.2f} by the model's own reckoning that its best guess is right"
    if reply.confidence is not None:
        yield "it says", f"{reply.confidence:.2f} sure of its answer"
    if said.truncated:
        yield "note", "the answer was cut off: raise --max-new-tokens"
