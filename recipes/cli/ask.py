"""`abstain ask`: tries a model on one question."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.recipes.cli.detect import confider_from
from abstain.recipes.cli.endpoint import load, sampler_of
from abstain.recipes.cli.options import (
    DETECTOR,
    GRADER,
    Card,
    DType,
    EndpointOptions,
    Instructed,
    Model,
    PromptFormat,
    Revision,
    TrustRemoteCode,
    Url,
    asked_as_trained,
    card_of,
    option,
    parse_target,
    worded,
)
from abstain.rewards.grading import find_grader, grade_response
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import DEFAULT_TEMPLATE, Instruct, penalty, prompt_text

if TYPE_CHECKING:
    from abstain.evals.evaluation import Confide
    from abstain.evals.sampling import AnySampler
    from abstain.evals.tasks.question import Task


QUESTION = typer.Argument(metavar="QUESTION", help="In quotes.")
TARGET = option("--target", "T", "Confidence target that the prompt states: 0.75, or what it was trained on.")
GOLD = option("--gold", "ANSWER", "A right answer. May be given again, for aliases.")
TEMPLATE = option("--template", "TEXT", "The prompt, with {question} and {instruction}.")
DETECT = worded(DETECTOR, "A detector of `abstain detect --out` says how sure to be, and when to answer.")
ROOM = option("--max-new-tokens", "N", "Room for the answer: 64, or as it was trained.", min=1)


def ask(
    model: Model,
    question: Annotated[str, QUESTION],
    target: Annotated[str | None, TARGET] = None,
    gold: Annotated[list[str] | None, GOLD] = None,
    grader: Annotated[str, worded(GRADER, "Compare with it by match, exact, numeric, date …")] = "match",
    template: Annotated[str | None, TEMPLATE] = None,
    max_new_tokens: Annotated[int | None, ROOM] = None,
    detector: Annotated[str | None, DETECT] = None,
    prompt_format: PromptFormat = "auto",
    instruct: Instructed = None,
    card: Card = None,
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    url: Url = None,
    endpoint_option: EndpointOptions = None,
) -> None:
    """Ask a model one question, and see how sure it is.

    A model that abstain trained is asked as it was trained to be, by the abstain.json in its directory.

    [bold]Examples[/bold]
    \b
      abstain ask runs/quickstart-0/model "Where was Na Topuse born?"
      abstain ask Qwen/Qwen3-0.6B "What is Peru's capital?" --gold Lima
      abstain ask Qwen/Qwen3-0.6B "What is Peru's capital?" --detector results/detect --target 0.9
      abstain ask openai:gpt-4.1-mini "What is Peru's capital?"
    """
    t = None if target is None else parse_target(target)
    find_grader(grader)
    from abstain.evals.tasks.question import Task

    loaded = load(model, url, endpoint_option, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code)
    known = card_of(card, loaded, revision)
    if t is None:
        t = usual_target(known.targets if known else ())
    given = {"template": template, "max_new_tokens": max_new_tokens}
    task = Task("ask", (), (), grader, template or DEFAULT_TEMPLATE, max_new_tokens or 64)
    how = asked_as_trained(
        known,
        task,
        {name for name, value in given.items() if value is not None},
        name=loaded.name,
        prompt_format=prompt_format,
        instruct=instruct,
        targets=[t],
    )
    grid = Table.grid(padding=(0, 2, 0, 0))
    sampler = sampler_of(loaded, how.prompt_format)
    confide = confider_from(detector, loaded, sampler, how.task, how.prompt_format) if detector else None
    for term, meaning in reply_lines(sampler, question, t, gold or [], how.task, how.instruct, confide):
        grid.add_row(Text(term, "dim"), Text(meaning))
    Console(highlight=False).print(grid)


def usual_target(trained: Sequence[float]) -> float:
    """The target that is stated where nobody says one: 0.75, or the nearest to it that the model was trained on.

    Example:
        >>> usual_target([0, 0.5, 0.9]), usual_target([])
        (0.9, 0.75)
    """
    return min(trained, key=lambda target: abs(target - 0.75), default=0.75)


def reply_lines(
    sampler: "AnySampler",
    question: str,
    target: float,
    gold: list[str],
    task: "Task",
    instruct: Instruct = "target",
    confide: "Confide | None" = None,
) -> Iterator[tuple[str, str]]:
    """What there is to say about one question, as terms and meanings.

    Args:
        sampler: the model.
        question: the question alone.
        target: confidence target t in [0, 1) that the prompt states.
        gold: right answers; empty if none is known. The answer is read leniently, as in evaluation.
        task: its grader, template, answer format and room for an answer are used.
        instruct: what the prompt says besides the question.
        confide: a detector, which says whether the best guess is given.
    """
    guessing: Instruct = "nothing" if instruct == "nothing" else "target"
    prompts = [
        prompt_text(question, target, task.template, instruct),
        prompt_text(question, 0, task.template, guessing),
    ]
    (said,), (guessed,) = sampler.sample(prompts, max_new_tokens=task.max_new_tokens)
    reply, guess = (read_response(one.text, one.truncated, task.answer_format) for one in (said, guessed))
    if instruct == "target":
        cost = " (best guess)" if target == 0 else f" (a mistake costs {penalty(target):.4g})"
        yield "target", f"{target:g}{cost}"
    yield "answer", said.text.strip() or "(nothing)"
    if gold:
        yield "verdict", grade_response(reply, gold, task.grader, question).value
    if prompts[0] != prompts[1]:
        yield "best guess", guess.answer or guessed.text.strip() or "(nothing)"
    if (p := guessed.probability) is None:
        yield "probability", "not known: nobody tells its log-probabilities"
    else:
        yield "probability", f"{p:.2f} by the model's own reckoning that its best guess is right"
    if confide is not None:
        yield "detector", by_detector(float(confide(prompts[1:], [guessed])[0]), target)
    if reply.confidence is not None:
        yield "it says", f"{reply.confidence:.2f} sure of its answer"
    if said.failure or guessed.failure:
        yield "note", f"not every prompt brought a reply: {said.failure or guessed.failure}"
    if refused := getattr(sampler, "refused", ()):
        yield "note", f"it refuses {' and '.join(refused)}, and was asked without"
    if said.truncated:
        yield "note", "the answer was cut off: raise --max-new-tokens"


def by_detector(p: float, target: float) -> str:
    """What a detector says of a best guess, and what follows from it.

    Example:
        >>> by_detector(0.8, 0.75)
        '0.80 sure that the best guess is right: it is given'
        >>> by_detector(0.8, 0.9)
        '0.80 sure that the best guess is right: “I don’t know”'
        >>> by_detector(float("nan"), 0.5)
        'it says nothing of this guess: “I don’t know”'
    """
    given = not target or p > target
    then = "it is given" if given else "“I don’t know”"
    return f"it says nothing of this guess: {then}" if p != p else f"{p:.2f} sure that the best guess is right: {then}"
