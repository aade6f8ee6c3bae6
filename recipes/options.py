"""Command-line arguments that several commands share."""

from typing import Annotated, Literal

import typer

from abstain.evals.table import Format
from abstain.rewards.prompts import check_target

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
