"""Re-scoring: logs that other harnesses wrote, under the rule that pays for saying "I don't know".

    logs -> runs (`collect`) -> numbers (`metrics`) -> ranks (`ranking`) -> `table`, `plot`, files

What a log permits depends on what is in it. Grades alone give a penalty curve; grades and confidence also what the
model could score by heeding its confidence; only prompts that state their targets show whether it does so.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from abstain.evals.logs.batch import WHOLE_FILE, Problem, printable
from abstain.evals.logs.detect import RECORDS, find_logs
from abstain.evals.logs.grades import UNGRADED
from abstain.evals.records import write_text
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.metrics import measure_run
from abstain.evals.rescore.ranking import Ranking, rank
from abstain.evals.rescore.runs import Run, pool_runs, write_run
from abstain.evals.rescore.table import render_rescored
from abstain.evals.tables.document import Format
from abstain.rewards.prompts import TARGETS, check_target

NameBy = Literal["auto", "model", "file", "folder"]
_MOST_STATED = 12


@dataclass
class Rescored:
    """What was found in some logs.

    Args:
        runs: one for each model and task in each log.
        metrics: of each run.
        rankings: of each task with several runs.
        remarks: what was done to the logs.
        problems: what was wrong with them.
    """

    runs: list[Run]
    metrics: list[dict[str, Any]]
    rankings: list[Ranking]
    remarks: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def render(self, format: Format = "text", *, width: int = 100, color: bool = False) -> str:
        """The table; see `abstain.evals.rescore.table.render_rescored`."""
        return render_rescored(self.metrics, self.rankings, self.remarks, format, width=width, color=color)

    def save(self, folder: Path) -> None:
        """Write `table.md`, `rankings.json`, `plots/`, and each run's `records.jsonl` and `metrics.json`.

        A single run's files stand in the folder itself, several runs' in folders of their own.
        """
        from abstain.evals.rescore.plot import penalty_plot

        taken: set[str] = set()
        for run, metrics in zip(self.runs, self.metrics, strict=True):
            own = folder if len(self.runs) == 1 else folder / _folder_name(run, taken)
            about = {
                "remarks": self.remarks,
                "skipped": [problem.__dict__ for problem in self.problems if problem.lost],
            }
            write_text(own / "metrics.json", json.dumps(metrics | about, indent=2, ensure_ascii=False) + "\n")
            if run.spool or run.parts:
                write_run(own / "records.jsonl", run)
        rankings = [ranking.as_dict() for ranking in self.rankings]
        write_text(folder / "rankings.json", json.dumps(rankings, indent=2, ensure_ascii=False) + "\n")
        write_text(folder / "table.md", self.render("markdown"))
        by_task = {ranking.task: ranking for ranking in self.rankings}
        tasks = list(dict.fromkeys(run.task for run in self.runs))
        for task in tasks:
            name = "score" if len(tasks) == 1 else f"score-{_safe(task)}"
            penalty_plot(name, [run for run in self.runs if run.task == task], by_task.get(task)).save(
                folder / "plots"
            )


def rescore(
    paths: Sequence[str | Path],
    targets: Sequence[float] | None = None,
    *,
    collector: Collector | None = None,
    names: Sequence[str] = (),
    name_by: NameBy = "auto",
    pool: bool = False,
) -> Rescored:
    """Read logs and score them.

    Args:
        paths: files, or folders of them.
        targets: confidence targets; by default 0, .5, .75 and .9, or those that the prompts state.
        collector: how to read and grade.
        names: what to call the models, one for each path.
        name_by: what else to call them after: the model, the log's file or its folder; "auto" is the model where that
            tells them apart.
        pool: take all tasks of a model as one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: none of the files is a log that can be read, no answer in them is graded, or a target is outside
            [0, 1).

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     table = Path(folder, "simpleqa.csv")
        ...     _ = table.write_text("model,abstained,correct,wrong\\ngpt-5-thinking-mini,52,22,26\\no4-mini,1,24,75")
        ...     found = rescore([table], [0, 0.5])
        >>> found.rankings[0].orders
        {0.0: ['o4-mini', 'gpt-5-thinking-mini'], 0.5: ['gpt-5-thinking-mini', 'o4-mini']}
        >>> round(found.rankings[0].crossings[0].target, 4)
        0.0392
    """
    chosen = sorted({check_target(t) for t in (TARGETS if targets is None else targets)})
    collector = collector or Collector()
    if names and len(names) != len(paths):
        raise ValueError(f"{len(names)} names for {len(paths)} logs: give one --name for each LOG, in their order")
    runs = _graded(_read_all(paths, names, collector), collector)
    if pool:
        runs = pool_runs(runs)
    _label(runs, "file" if name_by == "auto" and names else name_by, bool(names))
    metrics = [measure_run(run, _stated(run) if targets is None and run.level == 3 else chosen) for run in runs]
    rankings = []
    for task in dict.fromkeys(run.task for run in runs):
        rivals = [pair for pair in zip(runs, metrics, strict=True) if pair[0].task == task]
        if len(rivals) > 1:
            rankings.append(rank(task, [run for run, _ in rivals], [measured for _, measured in rivals]))
    problems = collector.problems
    sources = {printable(run.source.name, 48) for run in runs}
    remarks = [note.removeprefix(f"{next(iter(sources))}: ") if len(sources) == 1 else note for note in problems.notes]
    return Rescored(runs, metrics, rankings, remarks, list(problems.found.values()))


def _stated(run: Run) -> list[float]:
    """The targets a run states; of very many, some that lie evenly among them."""
    stated = run.targets
    step = (len(stated) - 1) / (_MOST_STATED - 1)
    return stated if len(stated) <= _MOST_STATED else [stated[round(step * index)] for index in range(_MOST_STATED)]


def _read_all(paths: Sequence[str | Path], names: Sequence[str], collector: Collector) -> list[Run]:
    """The runs of all logs; those that cannot be read are told about, unless there is no other."""
    runs: list[Run] = []
    failures: list[ValueError] = []
    known: set[Path] = set()
    for index, given in enumerate(paths):
        for path in find_logs([given], collector.problems, known):
            try:
                found = collector.read(path)
            except ValueError as error:
                failures.append(error)
                collector.problems.add(path, WHOLE_FILE, str(error))
                continue
            for run in found:
                run.label = printable(names[index]) if names else ""
            runs += found
    if not runs:
        raise failures[0] if failures else ValueError("no logs")
    return runs


def _graded(runs: list[Run], collector: Collector) -> list[Run]:
    """The runs in which anything is graded; of the others it is said that there is nothing to score.

    Raises:
        ValueError: there are only others.
    """
    problems, judging = collector.problems, collector.judging
    if judging and not judging.asked:
        not_asked = f"the judge {judging.judge.model} was not asked: no answer has gold but no grade"
        problems.notes.append(not_asked + ("" if collector.grading.regrade else "; --regrade has it grade all"))
    others = [str(problem) for problem in problems.found.values()]
    found, why = [], ""
    for run in runs:
        if run.summary or run.counts()[:UNGRADED].any():
            found.append(run)
            continue
        answers = f"{len(run.verdict):,} answers" + (f" of {run.model}" if run.model else "")
        why = f"{run.source}: not one of the {answers} is graded: there is nothing to score"
        problems.add(run.source, f"nothing graded, {run.model}, {run.task}", why, lost=False)
    if not found:
        how = "Name the column with the grades (--column grade=NAME), or have the answers graded (--regrade, --judge)"
        error = ValueError(f"{why}. {how}")
        for other in others[:3]:
            error.add_note(other)
        raise error
    return found


def _label(runs: list[Run], name_by: NameBy, named: bool) -> None:
    """Give every run of a task a name of its own."""
    for run in runs:
        if not named:
            folder = run.source.resolve().parent.name
            stem = folder if run.source.name == RECORDS else run.source.stem  # our own are all called so
            run.label = printable({"file": stem, "folder": folder}.get(name_by, run.model or stem), 60)
    if name_by == "auto":
        seen = Counter((run.task, run.label) for run in runs)
        for run in runs:
            if seen[run.task, run.label] > 1:
                run.label = f"{run.label}, {printable(run.source.stem, 40)}"
    seen = Counter()
    for run in runs:
        seen[run.task, run.label] += 1
        if seen[run.task, run.label] > 1:
            run.label += f" #{seen[run.task, run.label]}"


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "run"


def _folder_name(run: Run, taken: set[str]) -> str:
    name = _safe(f"{run.label}--{run.task}" if run.task else run.label)
    while name in taken:
        name += "+"
    taken.add(name)
    return name
