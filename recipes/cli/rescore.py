"""`abstain rescore`: logs of other harnesses, scored under a rule that pays for saying "I don't know"."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from abstain.recipes.cli.claims import RESULTS as CLAIM_RESULTS
from abstain.recipes.cli.claims import claim_files, rescore_claims
from abstain.recipes.cli.options import (
    ANSWER_FORMAT,
    GRADER,
    OUT,
    STRICTNESS,
    TARGETS,
    Judge,
    JudgeOptions,
    JudgePromptFile,
    JudgeUrl,
    TableFormat,
    judge_from,
    option,
    parse_targets,
    worded,
)
from abstain.recipes.run.console import say
from abstain.recipes.run.directory import claimed_results
from abstain.rewards.prompts import TARGETS as TARGETS_STATED
from abstain.rewards.response import AnswerFormat, Reading

if TYPE_CHECKING:
    from abstain.evals.logs.batch import Problem


RESULTS = ("records.jsonl", "metrics.json", "table.md", "rankings.json")
READING, GRADING = "Reading the logs", "Grades and names"
SHOWN_PROBLEMS = 12
LOGS = typer.Argument(metavar="LOG", help="Files, or folders of them; the format is told from their content.")
METRIC = option("--metric", "NAME", "Which of a log's scores is the grade: metric, scorer or column.", READING)
PASS_MARK = option("--pass-mark", "X", "A score of X or more is right; if none is given, 1.", READING)
COLUMN = option(
    "--column",
    "ROLE=NAME",
    "A plain file's column: grade, confidence, target, completion, gold, id ... May be given again.",
    READING,
)
GRADED_BY = "Grades what has gold but no grade: match, or choice where there are choices, if none is given."
REGRADE = option("--regrade", None, "Grade all answers that have gold, whatever the log says.", GRADING)
READ = worded(STRICTNESS, "The grader reads lenient, or strict: nothing may stand beside an answer.", GRADING)
FORMAT = worded(ANSWER_FORMAT, "Where answers stand: auto, plain, tag, boxed, last_line, json or harmony.", GRADING)
NAME = option("--name", "NAME", "What to call a log's model; once for each LOG.", GRADING)
NAME_BY = option("--name-by", "WHAT", "Name models after: auto, model, file or folder.", GRADING)
CLAIMS = option(
    "--claims", None, "Take files as long answers, whose claims have labels or are to be checked.", READING
)
NLI = option("--nli", "MODEL", "Checks claims that have references and no label.", GRADING)
POOL = option("--pool", None, "Take all tasks of a model as one.", GRADING)


def rescore(
    logs: Annotated[list[Path], LOGS],
    targets: Annotated[
        str | None,
        worded(TARGETS, "Confidence targets; if none are given 0,0.5,0.75,0.9, or those that the prompts state."),
    ] = None,
    format: TableFormat = "text",
    out: Annotated[
        Path | None, worded(OUT, "Write records, metrics.json, table.md, rankings and plots there.")
    ] = None,
    metric: Annotated[str | None, METRIC] = None,
    pass_mark: Annotated[float | None, PASS_MARK] = None,
    column: Annotated[list[str] | None, COLUMN] = None,
    grader: Annotated[str | None, worded(GRADER, GRADED_BY, GRADING)] = None,
    regrade: Annotated[bool, REGRADE] = False,
    reading: Annotated[Reading, READ] = "lenient",
    answer_format: Annotated[AnswerFormat, FORMAT] = "auto",
    name: Annotated[list[str] | None, NAME] = None,
    name_by: Annotated[Literal["auto", "model", "file", "folder"], NAME_BY] = "auto",
    pool: Annotated[bool, POOL] = False,
    claims: Annotated[bool, CLAIMS] = False,
    nli: Annotated[str | None, NLI] = None,
    judge: Judge = None,
    judge_url: JudgeUrl = None,
    judge_prompt: JudgePromptFile = None,
    judge_option: JudgeOptions = None,
) -> None:
    """Score logs that other harnesses wrote at confidence targets, rank the models, and say where the ranking flips.

    Reads lm-evaluation-harness (samples_*.jsonl), Inspect (.eval, .json), simple-evals
    (*_allresults.json), lighteval (details_*.parquet), Every Eval Ever (.jsonl), HELM
    (per_instance_stats.json), and JSONL, JSON, CSV, TSV or Parquet with a row for each answer, or
    a row of counts for each model. Files of FActScore and RefChecker, and rows with `claims`, are
    long answers: they are scored claim by claim.

    [bold]Examples[/bold]
    \b
      abstain rescore logs/2026-11-22_simpleqa.eval
      abstain rescore results/org__model-a results/org__model-b --targets 0,0.5,0.9 --pool
      abstain rescore answers.csv --column grade=judged --column confidence=p --out rescored
      abstain rescore answers.jsonl --judge qwen3-32b --judge-url http://localhost:8000/v1
      abstain rescore factscore/labeled/ChatGPT.jsonl --out claims
    """
    chosen = None if targets is None else parse_targets(targets)
    if long_answers := list(logs) if claims else claim_files(logs):
        if judge_prompt:
            raise ValueError("--judge-prompt is about whole answers; claims are checked with a prompt of their own")
        with claimed_results(out, CLAIM_RESULTS):
            asked = judge_from(judge, judge_url, judge_prompt, judge_option or [])
            how: dict[str, Any] = {"judge": asked, "nli": nli, "names": name or [], "out": out, "format": format}
            rescore_claims(long_answers, chosen or TARGETS_STATED, **how)
        return
    if nli:
        raise ValueError("--nli checks claims, and these logs hold none: add --claims if they are long answers")
    columns = parse_columns(column or [])
    from abstain.evals.logs.batch import Options
    from abstain.evals.rescore.collect import Collector
    from abstain.evals.rescore.grading import Grading
    from abstain.evals.rescore.judging import Judging
    from abstain.evals.rescore.rescoring import rescore as score
    from abstain.rewards.grading import find_grader

    if grader:
        find_grader(grader)
    with claimed_results(out, RESULTS):
        asked = judge_from(judge, judge_url, judge_prompt, judge_option or [])
        with Console(stderr=True).status("reading") as status:  # which shows nothing but on a terminal

            def show(path: Path, rows: int) -> None:
                status.update(Text(f"reading {path.name}: {rows:,} rows"))

            def show_judged(done: int, of: int) -> None:
                status.update(Text(f"judging: {done:,} of {of:,} answers"))

            collector = Collector(
                Options(metric, pass_mark, columns, progress=show),
                Grading(grader, regrade, reading, answer_format),
                out is not None,
                Judging(asked, show_judged) if asked else None,
            )
            rescored = score(logs, chosen, collector=collector, names=name or [], name_by=name_by, pool=pool)
        if asked:
            say(f"judge {asked.model}: {asked.usage}")
        if out:
            rescored.save(out)
    report_problems(rescored.problems)
    console = Console()
    text = rescored.render(format, width=console.width, color=console.is_terminal)
    typer.echo(text, nl=False)


def parse_columns(settings: Sequence[str]) -> dict[str, str]:
    """Roles and names of columns from `--column role=name`.

    Example:
        >>> parse_columns(["grade=is right"])
        {'grade': 'is right'}
        >>> parse_columns(["grade"])
        Traceback (most recent call last):
        ...
        ValueError: --column grade: write ROLE=NAME, such as grade=is_correct
    """
    for setting in settings:
        if "=" not in setting:
            raise ValueError(f"--column {setting}: write ROLE=NAME, such as grade=is_correct")
    return dict(setting.split("=", 1) for setting in settings)


def report_problems(problems: Sequence["Problem"]) -> None:
    """Say what was wrong with the logs, and how many files and rows were lost."""
    from abstain.evals.logs.batch import WHOLE_FILE

    for problem in problems[:SHOWN_PROBLEMS]:
        say(Text.assemble(("skipped: " if problem.lost else "warning: ", "yellow"), str(problem)))
    if len(problems) > SHOWN_PROBLEMS:
        say(f"and {len(problems) - SHOWN_PROBLEMS:,} more kinds of problems in other files")
    lost = [problem for problem in problems if problem.lost]
    rows = sum(problem.count for problem in lost if problem.kind != WHOLE_FILE)
    files = sum(problem.kind == WHOLE_FILE for problem in lost)
    counts = [f"{n:,} {what}{'s' * (n > 1)}" for n, what in ((files, "file"), (rows, "row")) if n]
    if lost:
        say(f"{' and '.join(counts)} {'was' if rows + files == 1 else 'were'} skipped in all; the rest is scored")
