"""Dashboards: what `report_to` names gets readable groups, tables and results, and can fail without stopping a run.

    config.report_to = usable_trackers(config.report_to)
    trainer = GRPOTrainer(args=config, ...)
    add_dashboards(trainer, about={"recipe": ..., "made_with": ...}, samples=lambda: guards.samples)
    ...
    publish_results(output_dir, [run / "table.md", ...])

| group | holds |
|---|---|
| behaviour | abstention, accuracy, error and ungraded by target, as the rewards log them; a table of samples |
| guards | signals and remedies, `abstain.trainers.guards` |
| heldout | score, regret, AURC, effective threshold, `abstain.trainers.heldout` |
| eval, train | what TRL logs |
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from abstain.rewards.errors import nearest
from abstain.trainers.dashboard_callback import TRACKERS, Dashboard, numbers, read_trackers, what_failed
from abstain.trainers.dashboard_sinks import SINKS
from abstain.trainers.guard_rollouts import Sample

logger = logging.getLogger(__name__)


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
        about: configuration of the run, versions, commit.
        samples: gives some completions of the last batch, as `Guards.samples`.
        samples_every: steps between two tables of samples.
    """
    args = trainer.args
    place = "-".join(Path(args.output_dir).absolute().parts[-2:])  # as in runs/quickstart-0/rl
    named = args.run_name if args.run_name not in (None, args.output_dir) else place
    args.run_name = f"{named}-{time.strftime('%m%d-%H%M%S')}"
    found = []
    for name in args.report_to:
        inner = trainer.pop_callback(INTEGRATION_TO_CALLBACK[name])
        if inner is not None:
            kind = type(f"{type(inner).__name__}Dashboard", (Dashboard,), {})  # transformers tells callbacks by class
            found.append(kind(name, inner, about=about, samples=samples, samples_every=samples_every))
            trainer.add_callback(found[-1])
    return found


def publish_results(
    output_dir: Path,
    files: Sequence[Path],
    table: Sequence[Mapping[str, Any]] = (),
    name: str = "results",
    overall: Mapping[str, Any] | None = None,
) -> None:
    """Add the results to the runs that training left in its trackers. What fails is said, and left out.

    Args:
        output_dir: of the training stage.
        files: the table, plots, metrics; those that there are.
        table: rows to show as a table, such as `by_target` of `metrics.json`.
        name: of the artifact.
        overall: numbers of the whole run, such as `mean_regret`; what is none is left out.
    """
    present = [path for path in files if path.exists()]
    for tracker, known in read_trackers(output_dir / TRACKERS).items():
        try:
            sink = SINKS[tracker]()
            sink.reopen(known)
            sink.files(name, present)
            if found := numbers({f"{name}/{key}": value for key, value in (overall or {}).items()}):
                sink.log(found)
            if table:
                rows = [{key: _plain(value) for key, value in row.items()} for row in table]
                sink.table(f"{name}/by_target", rows)
            sink.close()
        except Exception as error:  # as above
            logger.warning("%s did not take the results: %s", tracker, what_failed(tracker, error))


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else "" if value is None else str(value)
