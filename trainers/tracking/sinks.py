"""The three trackers that abstain knows well: what each needs to take series, tables and files.

transformers opens the run and describes it, by the callback that `report_to` stands for; what is logged goes past that
callback, which would put all of it into one group called "train".
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from abstain.evals.tables.grid import Column, Grid, markdown_lines

Rows = Sequence[Mapping[str, Any]]
"""Of a table: all have the same columns."""
STEP = "train/global_step"
PICTURES = (".png",)
FINISH_SECONDS = 120


class Sink(ABC):
    """Where a run is shown.

    Args:
        inner: transformers' callback for the tracker; not needed to `reopen` a run.
    """

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner

    @abstractmethod
    def open(self, args: Any, known: Mapping[str, Any]) -> None:
        """What has to be done before transformers opens the run; `known` if this one continues an earlier one."""

    @abstractmethod
    def run(self, args: Any) -> dict[str, Any]:
        """What the run has to be found by again, as JSON."""

    @abstractmethod
    def describe(self, content: Mapping[str, Any]) -> None:
        """Take the configuration of the run: recipe, versions, commit."""

    @abstractmethod
    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Take numbers of a training step; without one, results of the whole run."""

    @abstractmethod
    def table(self, name: str, rows: Rows, step: int | None = None) -> None:
        """Take a table; without a step, as a result of the whole run."""

    @abstractmethod
    def reopen(self, known: Mapping[str, Any]) -> None:
        """Open the run again, after training."""

    @abstractmethod
    def files(self, name: str, paths: Sequence[Path]) -> None:
        """Take files, as one artifact."""

    @abstractmethod
    def close(self) -> None:
        """Close what `open` or `reopen` opened; what transformers opened it has closed."""

    def pause(self) -> None:
        """Training is over, and results may follow."""
        self.close()


class _LibrarySink(Sink):
    """A library with `log`, `Table`, `Image` and `Artifact`: wandb, or Trackio, which was made in its likeness."""

    library: Any
    ours = False  # whether we have opened the run

    def _log(self, content: dict[str, Any], step: int | None) -> None:
        self.library.log(content, step=step)

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        self._log(dict(values), step)

    def table(self, name: str, rows: Rows, step: int | None = None) -> None:
        columns = list(rows[0])
        data = [[row[column] for column in columns] for row in rows]
        self._log({name: self.library.Table(columns=columns, data=data)}, step)

    def _files(self, artifact: Any, name: str, paths: Sequence[Path]) -> None:
        for path in paths:
            artifact.add_file(str(path))
        self.library.log_artifact(artifact)
        if pictures := [path for path in paths if path.suffix in PICTURES]:
            self._log({f"{name}/{path.stem}": self.library.Image(str(path)) for path in pictures}, None)


class WandbSink(_LibrarySink):
    """Weights & Biases, online or (`WANDB_MODE=offline`) not.

    What it writes lies in the output directory of training, unless `WANDB_DIR` says otherwise. Offline, a run stays
    open after training for its results: one that is opened again gets a second folder, whose upload would overwrite
    the first. It ends with the process, or where another begins.
    """

    waiting: ClassVar[str | None] = None
    """The id of a run that waits for its results."""

    def __init__(self, inner: Any = None) -> None:
        super().__init__(inner)
        # Else finish() waits for a server that is gone: wandb tries for seven days. What it has is on disk by then
        if os.environ.get("WANDB_LOG_MODEL", "false").lower() == "false":  # a model may take longer to upload
            os.environ.setdefault("WANDB_FINISH_TIMEOUT", str(FINISH_SECONDS))
        import wandb

        self.library = wandb

    def open(self, args: Any, known: Mapping[str, Any]) -> None:
        if self._waits():
            self.library.finish()
        if self.library.run is None:
            self.ours = True
            project = os.environ.get("WANDB_PROJECT") or known.get("project") or args.project
            self._init({"project": project, "name": args.run_name, "id": known.get("id"), "folder": args.output_dir})

    def _init(self, known: Mapping[str, Any]) -> None:
        which = {key: known[key] for key in ("project", "name", "id")}
        folder = None if "WANDB_DIR" in os.environ else known.get("folder")
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)  # wandb would choose a temporary one
        settings = self.library.Settings(quiet=True)  # no summary of all numbers at the end: they are in our table
        self.library.init(**which, resume="allow", dir=folder, settings=settings)

    def _waits(self) -> bool:
        run = self.library.run
        return run is not None and run.id == WandbSink.waiting

    def run(self, args: Any) -> dict[str, Any]:
        run = self.library.run
        return {"project": run.project, "name": run.name, "id": run.id, "folder": str(args.output_dir)}

    def describe(self, content: Mapping[str, Any]) -> None:
        self.library.config.update({"abstain": dict(content)}, allow_val_change=True)

    def _log(self, content: dict[str, Any], step: int | None) -> None:
        self.library.log(content if step is None else {**content, STEP: step})

    def reopen(self, known: Mapping[str, Any]) -> None:
        self.ours = True
        if not (self._waits() and self.library.run.id == known["id"]):
            self._init(known)

    def files(self, name: str, paths: Sequence[Path]) -> None:
        self._files(self.library.Artifact(f"{name}-{self.library.run.id}", type=name), name, paths)

    def close(self) -> None:
        if self.ours and self.library.run is not None:  # else the next stage would draw its curves into this one's
            self.library.finish()
            WandbSink.waiting = None

    def pause(self) -> None:
        if self.ours and self.library.run is not None and self.library.run.offline:
            WandbSink.waiting = self.library.run.id
        else:
            self.close()


class TrackioSink(_LibrarySink):
    """Trackio: a local database, no account."""

    def __init__(self, inner: Any = None) -> None:
        super().__init__(inner)
        import trackio

        self.library = trackio

    def open(self, args: Any, known: Mapping[str, Any]) -> None:
        """transformers goes on with a run of this name if there is one."""

    def run(self, args: Any) -> dict[str, Any]:
        config = {key: value for key, value in self.library.config.items() if not key.startswith("_")}
        return {"project": args.project, "name": args.run_name, "space_id": args.trackio_space_id, "config": config}

    def describe(self, content: Mapping[str, Any]) -> None:
        self.library.config.update({"abstain": dict(content)})

    def reopen(self, known: Mapping[str, Any]) -> None:
        self.ours = True
        places = {"name": known["name"], "space_id": known["space_id"], "resume": "allow"}
        self.library.init(known["project"], config=known["config"], **places)  # without it the old one is lost

    def files(self, name: str, paths: Sequence[Path]) -> None:
        self._files(self.library.Artifact(name, type=name), name, paths)

    def close(self) -> None:
        if self.ours:
            self.library.finish()


class TensorBoardSink(Sink):
    """TensorBoard, which has no tables: they become Markdown."""

    def __init__(self, inner: Any = None) -> None:
        super().__init__(inner)
        self._own: Any = None

    @property
    def _writer(self) -> Any:
        return self._own or self.inner.tb_writer

    def open(self, args: Any, known: Mapping[str, Any]) -> None:
        """Each event file stands for itself."""

    def run(self, args: Any) -> dict[str, Any]:
        return {"folder": str(self._writer.log_dir)}

    def describe(self, content: Mapping[str, Any]) -> None:
        self._writer.add_text("abstain", f"```json\n{json.dumps(content, indent=2, default=str)}\n```")

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def table(self, name: str, rows: Rows, step: int | None = None) -> None:
        self._writer.add_text(name, markdown_table(rows), step)

    def reopen(self, known: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._own = SummaryWriter(log_dir=known["folder"])

    def files(self, name: str, paths: Sequence[Path]) -> None:
        from matplotlib.image import imread

        for path in paths:
            if path.suffix in PICTURES:
                self._writer.add_image(f"{name}/{path.stem}", imread(path)[..., :3], dataformats="HWC")
            elif path.suffix == ".md":
                self._writer.add_text(f"{name}/{path.stem}", path.read_text(encoding="utf-8"))

    def close(self) -> None:
        if self._own is not None:
            self._own.close()


SINKS: dict[str, type[Sink]] = {"wandb": WandbSink, "trackio": TrackioSink, "tensorboard": TensorBoardSink}
"""By the names that `report_to` takes."""


def markdown_table(rows: Rows) -> str:
    """Rows as a Markdown table, whatever their cells hold.

    Example:
        >>> print(markdown_table([{"question": "a|b", "target": 0.5}]))
        | question | target |
        |---|---|
        | a\\|b | 0.5 |
    """
    return "\n".join(markdown_lines(Grid.of(list(map(_text_column, rows[0])), rows)))


def _text_column(name: str) -> Column:
    return Column(name, name, lambda row: str(row[name]).replace("\n", " "), is_label=True, folds=True)
