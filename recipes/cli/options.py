"""Every argument that more than one command takes, each spelled once, and what its text stands for.

A type such as `Seed` is an option with its text. An option such as `OUT` means the same in each command, but does
something else there: `worded` gives it that command's text.
"""

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from abstain.evals.tables.document import Format
from abstain.recipes.run.console import say
from abstain.recipes.run.recipe import parse_override, parse_overrides
from abstain.rewards.prompts import check_target

if TYPE_CHECKING:
    from abstain.evals.prompt_card import Asking, PromptCard
    from abstain.evals.tasks.question import Task as Questions
    from abstain.rewards.judge.grader import JudgeGrader


def option(name: str, metavar: str | None, help: str, panel: str | None = None, **more: Any) -> Any:
    """`typer.Option`, on one line."""
    return typer.Option(name, metavar=metavar, help=help, rich_help_panel=panel, **more)


OVERRIDES = typer.Argument(metavar="KEY=VALUE")
RESUME = typer.Option("--resume")
TARGETS = typer.Option("--targets", metavar="LIST")
OUT = typer.Option("--out", metavar="DIR")
GRADER = typer.Option("--grader", metavar="NAME")
SEED = typer.Option("--seed", metavar="N", min=0)


AllowCode = Annotated[
    bool, option("--allow-code", None, "Run the code that a recipe of the hub, or of a run directory, names.")
]


def worded(option: Any, help: str, panel: str | None = None) -> Any:
    """An option of several commands in the words of one of them."""
    option = copy(option)
    option.help, option.rich_help_panel = help, panel
    return option


TableFormat = Annotated[Format, option("--format", "NAME", "Print as text, markdown, latex, csv or json.")]
Task = Annotated[str | None, option("--task", "NAME", "What to ask, as listed by `abstain tasks`.")]
Data = Annotated[str | None, option("--data", "FILE", "Where the questions are: file, folder or hub data set.")]
TaskOptions = Annotated[
    list[str] | None, option("--option", "KEY=VALUE", "An option of the task. May be given again.")
]

MEASURING = "The measurement"
Limit = Annotated[int | None, option("--limit", "N", "Ask N of the held-out questions.", MEASURING, min=1)]
BatchTokens = Annotated[
    int | None, option("--batch-tokens", "N", "Batch size; halve it when memory runs out.", MEASURING, min=1)
]

OTHERWISE = "Other ways to abstain"
Baselines = Annotated[
    bool,
    option("--baselines", None, "Beside it: closed rubric, samples that agree, conformal.", OTHERWISE),
]
Draws = Annotated[
    int | None, option("--draws", "N", "How many samples of a question have to agree (2).", OTHERWISE, min=2)
]
Temperature = Annotated[
    float | None, option("--temperature", "X", "Temperature that they are sampled at (1).", OTHERWISE)
]
Delta = Annotated[float | None, option("--delta", "X", "How often the conformal guarantee may fail (0.1).", OTHERWISE)]

STRICTNESS = typer.Option("--reading", metavar="NAME")
ANSWER_FORMAT = typer.Option("--answer-format", metavar="NAME")

MODEL = "The model"
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Hub id, directory, GGUF file, python:PACKAGE holding one, or openai:NAME at an endpoint.",
    ),
]
PromptFormat = Annotated[
    Literal["auto", "plain", "chat"],
    option("--prompt-format", "NAME", "plain, chat (template), or auto: chat if there is one.", MODEL),
]
DType = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    option("--dtype", "NAME", "auto, float32, bfloat16 or float16.", MODEL),
]
Instructed = Annotated[
    Literal["target", "nothing", "confidence"] | None,
    option("--instruct", "NAME", "What prompts say: target, nothing, confidence; else as it was trained.", MODEL),
]
Card = Annotated[
    Path | None, option("--card", "DIR", "How to ask: the model directory whose abstain.json says it.", MODEL)
]
Revision = Annotated[str | None, option("--revision", "NAME", "Branch, tag or commit of a hub model.", MODEL)]
TrustRemoteCode = Annotated[
    bool, option("--trust-remote-code", None, "Run Python code that the model's repository carries.", MODEL)
]

DETECTOR = typer.Option("--detector", metavar="FILE[:NAME]")

ENDPOINT = "A model behind an endpoint (openai:NAME)"
Url = Annotated[
    str | None, option("--url", "URL", "OpenAI-compatible endpoint; else OpenAI, by OPENAI_API_KEY.", ENDPOINT)
]
ENDPOINT_OPTION = "key_env, concurrency, timeout, cache, prices, request.FIELD … May be given again."
EndpointOptions = Annotated[list[str] | None, option("--endpoint-option", "KEY=VALUE", ENDPOINT_OPTION, ENDPOINT)]
Yes = Annotated[bool, option("--yes", None, "Do not ask before it costs more than $1.", ENDPOINT)]

JUDGE = "The judge"
Judge = Annotated[
    str | None,
    option("--judge", "NAME", "Let this model grade: its name at an endpoint, or local:MODEL.", JUDGE),
]
JudgeUrl = Annotated[
    str | None, option("--judge-url", "URL", "OpenAI-compatible endpoint; else OpenAI, by OPENAI_API_KEY.", JUDGE)
]
JudgePromptFile = Annotated[
    Path | None,
    option("--judge-prompt", "FILE", "Text with {question}, {gold} and {answer}, instead of our own.", JUDGE),
]
JUDGE_OPTION = "key_env, concurrency, timeout, cache, prices, request.FIELD ... May be given again."
JudgeOptions = Annotated[list[str] | None, option("--judge-option", "KEY=VALUE", JUDGE_OPTION, JUDGE)]


def parse_target(text: str) -> float:
    """A confidence target from the command line.

    Raises:
        ValueError: not a number in [0, 1).

    Example:
        >>> parse_target(" 0.75")
        0.75
    """
    return check_target(text.strip())  # type: ignore[arg-type]


def parse_targets(text: str) -> list[float]:
    """Confidence targets from the command line, separated by commas.

    Raises:
        ValueError: one is not a number in [0, 1).

    Example:
        >>> parse_targets("0, 0.75")
        [0.0, 0.75]
    """
    return [parse_target(part) for part in text.split(",")]


def task_named(task: str | None, data: str | None, settings: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    """The task that a command line names, and its options; a file alone is the task `qa` of that file.

    Raises:
        ValueError: it names none, or a setting is no `key=value`.

    Example:
        >>> task_named(None, "my.csv", ["held_out=0.2"])
        ('qa', {'held_out': 0.2, 'data': 'my.csv'})
    """
    options = parse_overrides(settings or []) | ({"data": data} if data is not None else {})
    name = task or ("qa" if data else "")
    if not name:
        raise ValueError("nothing to ask: give --task NAME (`abstain tasks` lists them) or --data FILE")
    return name, options


def card_of(given: Path | None, loaded: Any, revision: str | None = None) -> "PromptCard | None":
    """How a model was trained to be asked: by the directory that somebody names, or by its own.

    Raises:
        FileNotFoundError: the directory that is named says nothing about it.
    """
    from abstain.evals.prompt_card import FILE, read_card

    if given is None:
        return read_card(loaded.source, revision) if loaded.source else None
    card = read_card(given.parent if given.name == FILE else given)
    if card is None:
        raise FileNotFoundError(
            f"--card {given}: no {FILE} there that can be read. Give the directory of a trained model"
        )
    return card


def asked_as_trained(card: "PromptCard | None", task: "Questions", given: set[str], **how: Any) -> "Asking":
    """`abstain.evals.prompt_card.as_trained`, whose notes are said."""
    from abstain.evals.prompt_card import as_trained

    asking = as_trained(card, task, given, **how)
    for note in asking.notes:
        say(note)
    return asking


def judge_from(name: str | None, url: str | None, prompt: Path | None, settings: list[str]) -> "JudgeGrader | None":
    """The judge that the options describe, asked once to see that it is there; `None` if they name none.

    Raises:
        ConnectionError, ImportError, OSError, ValueError: it cannot be asked, or the options make no sense.
    """
    if name is None:
        if url or prompt or settings:
            raise ValueError("--judge-url, --judge-prompt and --judge-option need --judge NAME")
        return None
    from abstain.evals.local_judge import load_judge

    judge = load_judge(name, url, prompt=prompt, **judge_options(settings))
    judge.check()
    return judge


def judge_options(settings: list[str]) -> dict[str, Any]:
    """Options of a judge from `key=value`; `request.key=value` adds a field to every request.

    Example:
        >>> judge_options(["concurrency=4", "request.max_tokens=512", "request.temperature=0"])
        {'concurrency': 4, 'request': {'max_tokens': 512, 'temperature': 0}}
    """
    options: dict[str, Any] = {}
    for keys, value in map(parse_override, settings):
        if len(keys) == 2 and keys[0] == "request":
            options.setdefault("request", {})[str(keys[1])] = value
        else:
            options[".".join(map(str, keys))] = value
    return options
