"""What a sweep shows while it runs: a live table on a terminal, a line per point elsewhere."""

import re
import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from abstain.evals.metrics.schema import read_metrics
from abstain.recipes.run.console import say
from abstain.recipes.run.recipe import measures
from abstain.recipes.sweep.ablation import Ablation
from abstain.recipes.sweep.directory import PointState, complete_steps
from abstain.recipes.sweep.job import Job, tail

MARKS = {"pending": "", "running": "[cyan]running[/]", "complete": "[green]complete[/]", "failed": "[red]failed[/]"}
_STEP = re.compile(r"(\d+)/(\d+) \[")


class Lines:
    """A line for each event, for logs."""

    def event(self, text: str) -> None:
        say(Text(text))

    def update(self, ablation: Ablation) -> None:
        """Nothing: a log is no place for progress bars."""

    def close(self) -> None:
        """Nothing to take away."""


class LiveTable:
    """A table that is drawn again and again: what is running and how far it is, what is finished, what failed."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self.console, transient=True, auto_refresh=False)
        self._started = time.monotonic()
        self._drawn = 0.0
        self._found: dict[str, str] = {}

    def event(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def update(self, ablation: Ablation) -> None:
        """Draw the table, once a second."""
        if not self._live.is_started:
            self._live.start()
        if time.monotonic() - self._drawn > 1:
            self._drawn = time.monotonic()
            self._live.update(self.render(ablation), refresh=True)

    def close(self) -> None:
        """Take the table away: the final one follows."""
        self._live.stop()

    def render(self, ablation: Ablation) -> Group:
        """The table now."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("point", "", "step", "mean regret"):
            table.add_column(heading, overflow="ellipsis", no_wrap=True)
        jobs = {name: task.job for name, task in ablation.running.items()}
        for name in [name for name, task in ablation.running.items() if task.state is None]:
            table.add_row(Text(f"(shared) {name}"), MARKS["running"], doing(jobs[name]), "")
        for state in self._chosen(ablation.states, self.console.height - 6 - len(jobs)):
            job = jobs.get(state.point.name)
            step = doing(job) if job else (state.error or "").partition("\n")[0]
            table.add_row(Text(state.point.name), MARKS[state.status], Text(step), self._regret(ablation, state))
        return Group(table, Text(self._headline(ablation.states, len(jobs)), "bold"))

    def _chosen(self, states: Sequence[PointState], room: int) -> list[PointState]:
        """As many as there is room for: those that are running or failed before those that just stand there."""
        order = {"running": 0, "failed": 1, "complete": 2, "pending": 3}
        first = sorted(states, key=lambda state: order[state.status])[: max(3, room)]
        return [state for state in states if any(state is one for one in first)]

    def _regret(self, ablation: Ablation, state: PointState) -> str:
        name = state.point.name
        if state.status == "complete" and name not in self._found:
            value = read_metrics(ablation.directory.point(name) / "metrics.json")["mean_regret"]
            self._found[name] = "" if value is None else f"{value:z.3f}"
        return self._found.get(name, "")

    def _headline(self, states: Sequence[PointState], running: int) -> str:
        count = {status: sum(state.status == status for state in states) for status in MARKS}
        passed = time.monotonic() - self._started
        parts = [f"{count['complete']} of {len(states)} complete", f"{running} running", f"{count['pending']} to go"]
        if count["failed"]:
            parts.append(f"{count['failed']} failed")
        return f"\n{', '.join(parts)}; {passed // 60:.0f} min {passed % 60:02.0f} s. Ctrl-C stops; --resume goes on."


def doing(job: Job) -> str:
    """The step that a job is at, and how far it has come with it.

    The run directory knows the step, the progress bar in the log the rest.
    """
    try:
        done = complete_steps(job.directory)
    except ValueError:
        return ""
    step = next((one for one in job.steps if one not in done), "")
    bars = _STEP.findall(tail(job.log).rpartition(f"training: {step}")[2])
    return step + (f" {bars[-1][0]}/{bars[-1][1]}" if bars and not measures(step) else "")


def watcher(terminal: bool) -> "Lines | LiveTable":
    """What suits the place where stderr goes."""
    return LiveTable() if terminal else Lines()
