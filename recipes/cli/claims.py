"""What `abstain eval --claims` and `abstain rescore` do with long answers whose claims are labelled."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from abstain.evals.tables.document import Format
from abstain.recipes.run.console import say

if TYPE_CHECKING:
    from abstain.evals.claims.files import Labelled
    from abstain.evals.claims.labelled import MeasuredClaims
    from abstain.evals.sampling import AnySampler
    from abstain.rewards.judge.grader import JudgeGrader

RESULTS = ("claims.jsonl", "claims.json", "claims.md")


def claim_files(logs: Sequence[Path]) -> list[Path]:
    """The files with claims, if that is what the logs are; none if they are others.

    Raises:
        ValueError: some are, and some are not.
    """
    from abstain.evals.claims.files import looks_labelled

    files = [file for log in logs for file in (sorted(log.rglob("*.json*")) if log.is_dir() else [log])]
    there = [file for file in files if looks_labelled(file)]
    if there and len(there) < len(files):
        other = next(file for file in files if file not in there)
        raise ValueError(f"{there[0]} holds claims, and {other} none: score them apart")
    return there


def rescore_claims(
    files: Sequence[Path],
    targets: Sequence[float],
    *,
    names: Sequence[str] = (),
    judge: "JudgeGrader | None" = None,
    nli: str | None = None,
    out: Path | None = None,
    format: Format = "text",
) -> None:
    """Print the tables of files of claims.

    Args:
        files: see `abstain.evals.claims.files`.
        targets: confidence targets in [0, 1).
        names: of the files' models, in order.
        judge: takes answers apart, and checks claims without a label against their references.
        nli: a model of inference that checks instead.
        out: where results are written.
        format: of the tables.

    Raises:
        ValueError, OSError: a file holds no claims, or more names than files.
    """
    from abstain.evals.claims.files import read_labelled
    from abstain.evals.claims.labelled import checked_by

    if names and len(names) != len(files):
        raise ValueError(f"{len(names)} names for {len(files)} files: give --name once for each, or not at all")
    called: Sequence[str | None] = names or [None] * len(files)
    read = [read_labelled(file, name) for file, name in zip(files, called, strict=True)]
    if nli:
        from abstain.evals.claims.nli import NliChecker

        checker = NliChecker.load(nli)
        read = [checked_by(one, checker) for one in read]
    elif judge:
        from abstain.rewards.judge.claims import JudgeChecker, ModelExtractor

        read = [checked_by(one, JudgeChecker(judge), ModelExtractor(judge.backend)) for one in read]
        say(f"judge {judge.model}: {judge.usage}")
    _show(read, targets, out, format)


def eval_claims(
    sampler: "AnySampler", file: Path, targets: Sequence[float], out: Path | None = None, format: Format = "text"
) -> None:
    """Print the tables of a file of claims, ranked by how sure a model is of each.

    Args:
        sampler: the model: the geometric mean of its probabilities of the tokens of a claim's object counts.
        file: see `abstain.evals.claims.files`.
        targets, out, format: as of `rescore_claims`.

    Raises:
        ValueError: the model stands behind an endpoint, which tells no probability of given texts.
    """
    from abstain.evals.claims.files import read_labelled
    from abstain.evals.claims.labelled import with_confidence_of
    from abstain.evals.claims.own import confidence_in

    labelled = read_labelled(file)
    answers = [(one.question, [claim.claim for claim in one.claims]) for one in labelled.answers if one.claims]
    told = confidence_in(sampler, answers)
    read = with_confidence_of(labelled, told)
    read.name = f"{sampler.name} on {labelled.name}"
    _show([read], targets, out, format)


def _show(read: "Sequence[Labelled]", targets: Sequence[float], out: Path | None, format: Format) -> None:
    from abstain.evals.claims.labelled import MeasuredClaims, measure_labelled
    from abstain.evals.claims.tables import render_labelled

    measured = [MeasuredClaims(one, measure_labelled(one, targets)) for one in read]
    found = [one.found for one in measured]
    if out:
        _save(measured, out)
    console = Console()
    typer.echo(render_labelled(found, format, width=console.width, color=console.is_terminal), nl=False)


def _save(measured: "Sequence[MeasuredClaims]", out: Path) -> None:
    """Claims and numbers of each file, in a folder of its own if there are several, the tables, and the pictures."""
    from abstain.evals.claims.plot import length_plot
    from abstain.evals.claims.tables import render_labelled
    from abstain.evals.plots.confidence import risk_coverage_plot
    from abstain.evals.records import write_text

    places = [out / str(place) for place in range(len(measured))] if len(measured) > 1 else [out]
    for one, place in zip(measured, places, strict=True):
        one.save(place, render_labelled([one.found], "markdown"))
    if len(measured) > 1:
        write_text(out / "claims.md", render_labelled([one.found for one in measured], "markdown"))
    sure = {one.labelled.name: one.guesses for one in measured if one.guesses.ids}
    for plot in (length_plot([one.found for one in measured]), risk_coverage_plot(sure) if sure else None):
        if plot is not None:
            plot.save(out / "plots")
