"""Command-line arguments that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from abstain.evals.tables.table import Format
from abstain.recipes.run.recipe import parse_override
from abstain.rewards.prompts import check_target

if TYPE_CHECKING:
    from abstain.rewards.judge.grader import JudgeGrader


MODEL_PANEL = "The model"
Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Hub id, directory, GGUF file, or python:PACKAGE holding one."),
]
TableFormat = Annotated[
    Format, typer.Option("--format", metavar="NAME", help="Print as text, markdown, latex, csv or json.")
]
PromptFormat = Annotated[
    Literal["auto", "plain", "chat"],
    typer.Option(
        "--prompt-format",
        metavar="NAME",
        help="plain, chat (template), or auto: chat if there is one.",
        rich_help_panel=MODEL_PANEL,
    ),
]
DType = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option("--dtype", metavar="NAME", help="auto, float32, bfloat16 or float16.", rich_help_panel=MODEL_PANEL),
]
Revision = Annotated[
    str | None,
    typer.Option(
        "--revision",
        metavar="NAME",
        help="Branch, tag or commit of a hub model.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run Python code that the model's repository carries.",
        rich_help_panel=MODEL_PANEL,
    ),
]


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


# Command-line options that put a language model in the place of a string grader.


PANEL = "The judge"
JUDGE = typer.Option(
    "--judge",
    metavar="NAME",
    help="Let this model grade: its name at an endpoint, or local:MODEL.",
    show_default=False,
    rich_help_panel=PANEL,
)
JUDGE_URL = typer.Option(
    "--judge-url",
    metavar="URL",
    help="OpenAI-compatible endpoint; else OpenAI, by OPENAI_API_KEY.",
    show_default=False,
    rich_help_panel=PANEL,
)
JUDGE_PROMPT = typer.Option(
    "--judge-prompt",
    metavar="FILE",
    help="Text with {question}, {gold} and {answer}, instead of our own.",
    show_default=False,
    rich_help_panel=PANEL,
)
JUDGE_OPTION = typer.Option(
    "--judge-option",
    metavar="KEY=VALUE",
    help="key_env, concurrency, timeout, cache, prices, request.FIELD ... May be given again.",
    rich_help_panel=PANEL,
)


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
