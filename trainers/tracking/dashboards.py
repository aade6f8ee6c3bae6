"""Dashboards: what `report_to` names gets readable groups, tables and results, and can fail without stopping a run.

    config.report_to = usable_trackers(config.report_to)
    trainer = GRPOTrainer(args=config, ...)
    add_dashboards(trainer, about={"recipe": ..., "made_with": ...}, samples=lambda: guards.samples)
    ...
    publish_results(output_dir, [run / "table.md", ...])

| group | holds |
|---|---|
| behaviour | abstention, accuracy, error and ungraded by target, as the rewards log them; a table of samples |
| guards | signals and remedies, `abstain.trainers.guards.callback` |
| heldout | score, regret, AURC, effective threshold, `abstain.trainers.heldout` |
| eval, train | what TRL logs |
"""

import io
import json
import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from abstain.evals.metrics.schema import number
from abstain.evals.records import write_text
from abstain.rewards.errors import nearest
from abstain.rewards.verdict_reward import RATES
from abstain.trainers.guards.rollouts import Sample
from abstain.trainers.tracking.sinks import SINKS, Sink

GROUPS = ("behaviour", "guards", "heldout")
TRACKERS = "trackers.json"
_WIDTH = 500
logger = logging.getLogger(__name__)


def dashboard_key(key: str) -> str:
    """The key under which a dashboard shows what the trainer logs, its group first.

    Example:
        >>> [dashboard_key(key) for key in ("abstention/t=0.5", "reading/gap", "eval_loss", "rewards/a/mean")]
        ['behaviour/abstention/t=0.5', 'behaviour/reading/gap', 'eval/loss', 'train/rewards/a/mean']
    """
    group, _, rest = key.partition("/")
    if group in GROUPS:
        return key
    if rest and (group in RATES or group in ("implied_target", "reading")):
        return f"behaviour/{key}"
    return f"eval/{key.removeprefix('eval_')}" if key.startswith("eval_") else f"train/{key}"


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """What can be drawn: no `None` and no NaN, which leave holes or break a tracker's JSON.

    Example:
        >>> numbers({"a": 1, "b": None, "c": float("nan"), "d": "text", "e": True})
        {'a': 1}
    """
    return {key: value for key, value in logs.items() if number(value) is not None}


class Dashboard(TrainerCallback):
    """One tracker: transformers' callback for it, kept from stopping the run.

    Whatever it raises, at whatever moment, disables it with one warning.

    Args:
        name: as in `report_to`.
        inner: transformers' callback.
        about: configuration of the run, versions, commit.
        samples: gives some completions of the last batch, for a table; as `Guards.samples`.
        samples_every: steps between two tables.
    """

    def __init__(
        self,
        name: str,
        inner: TrainerCallback,
        *,
        about: Mapping[str, Any],
        samples: Callable[[], Sequence[Sample]] = tuple,
        samples_every: int = 100,
    ) -> None:
        self.name = name
        self.alive = True
        self._inner = inner
        self._sink: Sink | None = None
        self._about, self._samples, self._samples_every = about, samples, samples_every
        self._begun = False
        self._tabled = -samples_every

    def on_train_begin(self, args: TrainingArguments, *event: Any, **kwargs: Any) -> None:
        """Open the run, or one that was interrupted."""
        if not self._begun:
            self._begun = True
            self._try(args, self._begin, args, *event, **kwargs)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show what can be drawn, in its group; now and then some samples."""
        self.on_train_begin(args, state, control, **kwargs)  # a callback before this one may log as training begins
        if self._sink is None:
            self._try(args, self._inner.on_log, args, state, control, logs=numbers(logs or {}), **kwargs)
        elif state.is_world_process_zero:
            values = {dashboard_key(key): value for key, value in numbers(logs or {}).items()}
            self._try(args, self._sink.log, values, state.global_step)
            self._show_samples(args, state)

    def on_save(self, args: TrainingArguments, *event: Any, **kwargs: Any) -> None:
        self._try(args, self._inner.on_save, args, *event, **kwargs)

    def on_predict(self, args: TrainingArguments, *event: Any, **kwargs: Any) -> None:
        self._try(args, self._inner.on_predict, args, *event, **kwargs)

    def on_push_begin(self, args: TrainingArguments, *event: Any, **kwargs: Any) -> None:
        self._try(args, self._inner.on_push_begin, args, *event, **kwargs)

    def on_train_end(self, args: TrainingArguments, *event: Any, **kwargs: Any) -> None:
        """Close the run, so that the next stage gets one of its own."""
        self._try(args, self._inner.on_train_end, args, *event, **kwargs)
        if self._sink is not None:
            self._try(args, self._sink.pause)

    def _begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        file = Path(args.output_dir) / TRACKERS
        if not state.is_world_process_zero or self.name not in SINKS:
            return self._inner.on_train_begin(args, state, control, **kwargs)
        known = read_trackers(file).get(self.name, {}) if state.global_step else {}
        args.run_name = known.get("name") or args.run_name
        if self.name == "trackio":
            print(f"To watch it: trackio show --project {shlex.quote(args.project)}", file=sys.stderr)
        sink = SINKS[self.name](self._inner)
        sink.open(args, known)
        self._inner.on_train_begin(args, state, control, **kwargs)
        self._sink = sink
        sink.describe(self._about)
        runs = read_trackers(file) | {self.name: sink.run(args)}
        write_text(file, json.dumps(runs, indent=2, default=str) + "\n")

    def _show_samples(self, args: TrainingArguments, state: TrainerState) -> None:
        samples = self._samples()
        if not self.alive or not samples or state.global_step < self._tabled + self._samples_every:
            return
        self._tabled = state.global_step
        rows = [{key: _clipped(value) for key, value in asdict(sample).items()} for sample in samples]
        assert self._sink is not None, "only asked for once it is there"
        self._try(args, self._sink.table, "behaviour/samples", rows, state.global_step)

    def _try(self, args: TrainingArguments, work: Callable[..., Any], *given: Any, **kwargs: Any) -> None:
        if not self.alive:
            return
        try:
            with _hushed(self.name):
                work(*given, **kwargs)
        except Exception as error:  # of whatever kind: a dashboard must not cost a run
            self.alive = False
            args.report_to = [name for name in args.report_to or [] if name != self.name]  # TRL looks here
            logger.warning("%s failed and is left out from here on: %s", self.name, what_failed(self.name, error))


@contextmanager
def _hushed(tracker: str) -> Iterator[None]:
    """Trackio prints eight lines for each run; one says all of it. Its errors and warnings are no prints."""
    with redirect_stdout(io.StringIO()) if tracker == "trackio" else nullcontext():
        yield


def read_trackers(path: Path) -> dict[str, dict[str, Any]]:
    """What the runs in the trackers are found by; nothing if there is no file, or none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: run for name, run in content.items() if name in SINKS} if isinstance(content, dict) else {}


def what_failed(name: str, error: Exception) -> str:
    """An exception in one line, with what may help.

    Example:
        >>> what_failed("trackio", OSError("disk full"))
        'OSError: disk full'
    """
    text = f"{type(error).__name__}: {error}".splitlines()[0][:_WIDTH]
    refused = name == "wandb" and ("api" in text.lower() or text.startswith("CommError"))
    return f"{text} (WANDB_MODE=offline needs no account and no network)" if refused else text


def _clipped(value: Any) -> Any:
    return f"{value[:_WIDTH]}…" if isinstance(value, str) and len(value) > _WIDTH else value


def usable_trackers(report_to: str | Sequence[str]) -> list[str]:
    """The trackers that are installed; a warning names those that are not.

    Args:
        report_to: as in TRL's configuration.

    Raises:
        ValueError: no such tracker, with the nearest.

    Example:
        >>> usable_trackers("none")
        []
        >>> usable_trackers("wandv")
        Traceback (most recent call last):
        ...
        ValueError: report_to: there is no tracker 'wandv'. Did you mean 'wandb'? Allowed: ...
    """
    asked = check_trackers(report_to)
    installed = get_available_reporting_integrations()
    if asked == ["all"]:
        return installed
    for name in set(asked) - set(installed):
        logger.warning("report_to: %s is not installed (pip install %s); training goes on without it.", name, name)
    return [name for name in asked if name in installed]


def check_trackers(report_to: str | Sequence[str]) -> list[str]:
    """What `report_to` names, as a list; raises as `usable_trackers` does."""
    asked = [report_to] if isinstance(report_to, str) else list(report_to)
    if asked == ["none"]:
        return []
    for name in asked if asked != ["all"] else ():
        if name not in INTEGRATION_TO_CALLBACK:
            raise ValueError(f"report_to: there is no tracker {name!r}. {nearest(name, INTEGRATION_TO_CALLBACK)}")
    return asked


def add_dashboards(
    trainer: Any,
    *,
    about: Mapping[str, Any],
    samples: Callable[[], Sequence[Sample]] = tuple,
    samples_every: int = 100,
) -> list[Dashboard]:
    """Put a `Dashboard` in the place of each tracker that `report_to` gave the trainer.

    A fresh run gets a name of its own, `args.run_name` (or its folder) and the time: nothing is drawn over another.

    Args:
        trainer: of TRL; call this before other callbacks are added.
        about, samples, samples_every: as for `Dashboard`.
    """
    args = trainer.args
    folder = "-".join(Path(args.output_dir).absolute().parts[-2:])  # as in runs/quickstart-0/rl
    named = args.run_name if args.run_name not in (None, args.output_dir) else folder
    args.run_name = f"{named}-{time.strftime('%m%d-%H%M%S')}"
    dashboards = []
    for name in args.report_to:
        inner = trainer.pop_callback(INTEGRATION_TO_CALLBACK[name])
        if inner is not None:
            kind = type(f"{type(inner).__name__}Dashboard", (Dashboard,), {})  # transformers tells callbacks by class
            dashboards.append(kind(name, inner, about=about, samples=samples, samples_every=samples_every))
            trainer.add_callback(dashboards[-1])
    return dashboards


def publish_results(
    output_dir: Path,
    files: Sequence[Path],
    table: Sequence[Mapping[str, Any]] = (),
    overall: Mapping[str, Any] | None = None,
) -> None:
    """Add the results to the runs that training left in its trackers. What fails is said, and left out.

    Args:
        output_dir: of the training stage.
        files: the table, plots, metrics; those that there are.
        table: rows to show as a table, such as `by_target` of `metrics.json`.
        overall: numbers of the whole run, such as `mean_regret`; what is none is left out.
    """
    present = [path for path in files if path.exists()]
    for tracker, known in read_trackers(output_dir / TRACKERS).items():
        try:
            with _hushed(tracker):
                sink = SINKS[tracker]()
                sink.reopen(known)
                sink.files("results", present)
                if found := numbers({f"results/{key}": value for key, value in (overall or {}).items()}):
                    sink.log(found)
                if table:
                    rows = [{key: _plain(value) for key, value in row.items()} for row in table]
                    sink.table("results/by_target", rows)
                sink.close()
        except Exception as error:  # as above
            logger.warning("%s did not take the results: %s", tracker, what_failed(tracker, error))


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else "" if value is None else str(value)
