"""The `abstain` command. Each command has a file of its own; torch is imported only when one runs."""

import io
import os
import warnings
from contextlib import redirect_stdout
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from abstain.recipes.cli.ablate import ablate
from abstain.recipes.cli.ask import ask
from abstain.recipes.cli.detect import detect
from abstain.recipes.cli.eval import evaluate
from abstain.recipes.cli.init import init
from abstain.recipes.cli.label import label
from abstain.recipes.cli.list import detectors, graders, rewards, tasks
from abstain.recipes.cli.mistakes import mended
from abstain.recipes.cli.report import report
from abstain.recipes.cli.rescore import rescore
from abstain.recipes.cli.theory import theory
from abstain.recipes.cli.train import train
from abstain.recipes.run.console import complain

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
HELP = {"-h", "--help"}
USAGE: Any = typer.BadParameter.__mro__[1]
"""What typer raises of a command line that it does not understand, which it does not export."""


class PoliteGroup(TyperGroup):
    """Commands whose errors are a paragraph on stderr. Exit code 2: bad input; 1: something is missing; 130: Ctrl-C.

    Only the exceptions that carry a message for people are caught. Anything else is a bug, and shows its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        typed = [*ctx._protected_args, *ctx.args]
        if os.environ.get("WANDB_MODE") == "offline" and not HELP & {*typed}:
            with redirect_stdout(io.StringIO()):  # transformers prints so as it is imported, among our results
                import transformers.integrations.integration_utils  # noqa: F401
        try:
            return super().invoke(ctx)
        except USAGE as error:
            mended(error, typed)
            raise
        except KeyboardInterrupt as error:
            complain(error)
            raise typer.Exit(INTERRUPTED) from None
        except (ValueError, OSError, ImportError) as error:
            if ctx.params["debug"]:
                raise
            complain(error)
            raise typer.Exit(FAILED if isinstance(error, ImportError) else BAD_INPUT) from None


app = typer.Typer(
    name="abstain",
    cls=PoliteGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train)
app.command("init")(init)
app.command("ablate")(ablate)
app.command("report")(report)
app.command("eval")(evaluate)
app.command("label")(label)
app.command("detect")(detect)
app.command("theory")(theory)
app.command("rescore")(rescore)
app.command("ask")(ask)
app.command("tasks")(tasks)
app.command("rewards")(rewards)
app.command("graders")(graders)
app.command("detectors")(detectors)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"abstain {version('abstain')}")
        raise typer.Exit


@app.callback()
def abstain(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")] = False,
) -> None:
    """Train language models to say "I don't know" exactly when they should, and measure whether they do.

    [bold]Examples[/bold]
    \b
      abstain train quickstart
      abstain eval runs/quickstart-0/model --task factworld
      abstain ask runs/quickstart-0/model "Where was Na Topuse born?"
    """


def main() -> None:
    """Entry point of the console script."""
    warnings.simplefilter("ignore", FutureWarning)  # what libraries tell each other about their next version
    warnings.filterwarnings("ignore", message=".*pin_memory.*")  # on a CPU
    app(prog_name="abstain")
