"""`abstain report`: a run or a sweep as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from abstain.recipes.cli.options import OUT, worded
from abstain.recipes.run.console import complain

DIRECTORIES = typer.Argument(metavar="RUN_OR_SWEEP_DIR", help="Run directories, sweep directories, eval results.")


def report(
    directories: Annotated[list[Path], DIRECTORIES],
    out: Annotated[
        Path | None, worded(OUT, "Write report.html and plots/ there instead (one directory only).")
    ] = None,
) -> None:
    """Write report.html and plots/ into each directory, and print where the report is.

    The report is one file that needs no network: what was reached in a sentence, the table, plots,
    curves, and all answers, to be searched. Of an unfinished run it shows what is there.

    [bold]Examples[/bold]
    \b
      abstain report runs/quickstart-0
      abstain report runs/quickstart-*
      abstain report runs/thresholds --out results/thresholds
    """
    if out is not None and len(directories) > 1:
        raise ValueError(
            f"--out takes one report, not {len(directories)}: leave it out, and each goes to its own place"
        )
    from abstain.recipes.report.page import write_report

    failed = 0
    for directory in directories:
        try:
            typer.echo(write_report(directory, out))
        except (ValueError, OSError) as error:
            if len(directories) == 1:
                raise
            complain(error)  # and go on: the other reports are wanted all the same
            failed += 1
    if failed:
        raise typer.Exit(2)
