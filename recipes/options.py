"""Command-line arguments that several commands share."""

from typing import Annotated, Literal

import typer

from abstain.evals.table import Format
from abstain.rewards.prompts import check_target

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Hub id, directory, GGUF file, or python:PACKAGE that holds one."),
]
TableFormat = Annotated[Format, typer.Option("--format", help="How to print the table.")]
PromptFormat = Annotated[
    Literal["auto", "plain", "chat"],
    typer.Option("--prompt-format", help="Whether to use the model's chat template; auto: if it has one."),
]
DType = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"], typer.Option("--dtype", help="Load the weights as this.")
]
Revision = Annotated[
    str | None, typer.Option("--revision", help="Branch, tag or commit of a hub model.", show_default=False)
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that the model's repository carries.")
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
