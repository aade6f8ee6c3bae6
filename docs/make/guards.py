"""What each remedy of the guards buys, on three starts that collapse: the table in docs/log/rewards.md.

    OMP_NUM_THREADS=1 python docs/make/guards.py runs/guards --out build/guards.md

Trains what the folder does not hold yet: five seeds of each start, each with a world and a base model of its own,
without a remedy and with each of them. A run is written when it is done, so a killed script goes on where it was.
Remedies that went because of this table are trained where they still are: with the package of commit 70e6187.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from datasets import disable_progress_bars
from transformers.utils.logging import disable_progress_bar

from abstain.evals.evaluation import evaluate
from abstain.evals.metrics.intervals import paired_difference, student_interval
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.records import Record, read_json, read_records, write_text
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.factworld import load_factworld
from abstain.evals.tasks.factworld_model import base_model
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.rl import run_rl
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import RlStage, SftStage

SEEDS = range(5)
TARGETS = [0, 0.5, 0.75, 0.9]
STEPS, WARMUP, BATCH = 50, 5, 256
HELD_OUT, TRAIN = 150, 400
"""Questions asked of those held out, and of those trained on: what the starting model knew."""
EVERY = 2
"""Steps between two checks: 10 of 300 in the runs of tests/collapses, so fewer here."""
QUIET = {
    "report_to": "none",
    "disable_tqdm": True,
    "save_strategy": "no",
    "gradient_checkpointing": False,
    "logging_steps": 1_000,
}
BOUNDED = {"name": "ConfidenceTarget"}
ORIGINAL = {"name": "ConfidenceTarget", "args": {"form": "original"}}
PAID = {"name": "TernaryCredit", "args": {"correct": 1, "abstain": 0.95, "wrong": -1}}


@dataclass(frozen=True)
class Start:
    """A world and a warm-up after which RL collapses.

    Args:
        world: options of the fact world.
        sft: of the warm-up, and `args` of its trainer.
        reward: of RL, where an arm has no other.
        rate: learning rate of RL.
    """

    world: dict[str, Any]
    sft: dict[str, Any]
    reward: dict[str, Any]
    rate: float = 7e-4


@dataclass(frozen=True)
class Arm:
    """One way to train from a start.

    Args:
        control: the arm that differs in nothing but the remedy; "" for a control.
        guards: the remedy.
        reward: in place of the start's.
        beta: KL coefficient.
        kinds: alarms that call the remedy; none if it works from the start.
    """

    control: str = ""
    guards: dict[str, Any] = field(default_factory=dict)
    reward: dict[str, Any] | None = None
    beta: float = 0.0
    kinds: tuple[str, ...] = ()


LARGE = {"people": 1_000, "held_out": 300, "passes": 3}
SMALL = {"people": 400, "held_out": 200, "passes": 6, "repeats": (0, 0, 0, 0, 1, 1, 2, 4)}
STARTS = {
    "small world": Start(SMALL, {"idk_share": 0.15, "args": {"num_train_epochs": 6}}, ORIGINAL, rate=2e-3),
    "never abstains": Start(LARGE, {"idk_share": 0}, BOUNDED),
    "always abstains": Start(
        LARGE,
        {"idk_share": 0.85, "targets": TARGETS[1:], "args": {"num_train_epochs": 3, "learning_rate": 2e-3}},
        BOUNDED,
    ),
}
GIVES_AWAY = ("all_idk", "targets_ignored")
ARMS = {
    "none": Arm(),
    "seed_idk": Arm("none", {"seed_idk": {}}, kinds=("all_guess",)),
    "replay_known": Arm("none", {"replay_known": {}}, kinds=GIVES_AWAY),
    "none, beta .01": Arm(beta=0.01),
    "raise_kl": Arm("none, beta .01", {"raise_kl": {}}, beta=0.01, kinds=("all_idk", "one_answer")),
    "none, paid .95": Arm(reward=PAID),
    "anneal_abstention": Arm("none, paid .95", {"anneal_abstention": {"steps": 10}}, reward=PAID, kinds=GIVES_AWAY),
    "anneal_abstention, a bonus of .5": Arm(
        "none", {"anneal_abstention": {"steps": 10, "credit": 0.5}}, kinds=("all_guess",)
    ),
}
PAYING = ("none, paid .95", "anneal_abstention")


def arms_of(start: str) -> dict[str, Arm]:
    """Where nothing is ever abstained on, a credit for it is not what went wrong; a bonus may be what is missing."""
    left_out = PAYING if start == "never abstains" else ("anneal_abstention, a bonus of .5",)
    return {name: arm for name, arm in ARMS.items() if name not in left_out}


def base(start: Start, seed: int) -> tuple[LoadedModel, Any]:
    """The model before its warm-up, and what it is asked."""
    options = start.world | {"seed": seed}
    return load_model(base_model(progress=False, **options), dtype="float32"), load_factworld(**options)


def warmed(folder: Path, start: Start, seed: int) -> tuple[LoadedModel, BaseGuesses]:
    """The model that RL starts from, and what it knew before; made now if it is not there."""
    if not (folder / "start.json").exists():
        loaded, task = base(start, seed)
        before = evaluate(Sampler(loaded.model, loaded.tokenizer), task, TARGETS, limit=HELD_OUT, train_limit=TRAIN)
        args = QUIET | {"learning_rate": 5e-3, "per_device_train_batch_size": 64} | start.sft.get("args", {})
        stage = SftStage(**start.sft | {"args": args})
        with TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
            run_sft(loaded.model, loaded.tokenizer, task, stage, output_dir=Path(scratch), seed=seed)
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        after = evaluate(Sampler(loaded.model, loaded.tokenizer), task, TARGETS, start=before.start, limit=HELD_OUT)
        after.save(folder / "warmed")
        before.start.save(folder / "start.json")
    return load_model(folder, dtype="float32"), BaseGuesses.load(folder / "start.json")


def train(folder: Path, start: Start, arm: Arm, warm: Path, seed: int) -> None:
    """One run: trains, measures on held-out questions, and leaves records, metrics and, last, what the guards did."""
    began = time.process_time()
    loaded, guesses = warmed(warm, start, seed)
    task = load_factworld(**start.world | {"seed": seed})
    args = QUIET | {
        "learning_rate": start.rate,
        "adam_beta2": 0.99,
        "warmup_steps": WARMUP,
        "lr_scheduler_type": "constant_with_warmup",  # a remedy has as much to train with as the collapse had
        "max_steps": STEPS,
        "num_generations": 16,
        "per_device_train_batch_size": BATCH,
        "beta": arm.beta,
    }
    guards = {"every": EVERY, **arm.guards}
    stage = RlStage(targets=TARGETS, rewards=[arm.reward or start.reward], guards=guards, args=args)
    with TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        run_rl(loaded.model, loaded.tokenizer, task, stage, output_dir=Path(scratch), seed=seed, start=guesses)
        log = Path(scratch) / "guards.jsonl"
        events = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    evaluate(Sampler(loaded.model, loaded.tokenizer), task, TARGETS, start=guesses, limit=HELD_OUT).save(folder)
    write_text(folder / "run.json", json.dumps({"events": events, "seconds": time.process_time() - began}))


def played(folder: Path, starts: Sequence[str], arms: Sequence[str], seeds: Sequence[int]) -> Iterator[str]:
    """Train what is missing, seed by seed; yields a line for each run."""
    for seed in seeds:
        for name in starts:
            start = STARTS[name]
            for title, arm in arms_of(name).items():
                run = place(folder, name, title, seed)
                gone = not arm.guards.keys() <= GuardOptions.model_fields.keys()
                if title not in arms or gone or (run / "run.json").exists():
                    continue
                if arm.control and not called(place(folder, name, arm.control, seed), arm):
                    continue
                train(run, start, arm, place(folder, name, "warm", seed), seed)
                found = read_json(run / "run.json")
                yield f"{run.name}: {found['seconds']:.0f} s, regret {measured(run)['mean_regret']:.3f}"


def place(folder: Path, start: str, arm: str, seed: int) -> Path:
    """Where a run lies."""
    return folder / f"{start}, {arm}, {seed}".replace(", ", "-").replace(" ", "_")


def called(control: Path, arm: Arm) -> bool:
    """Whether an alarm that the remedy answers to was raised without it. If not, the same seed is the same run."""
    return not arm.kinds or any(event.get("alarm") in arm.kinds for event in read_json(control / "run.json")["events"])


def measured(run: Path) -> dict[str, Any]:
    return read_json(run / "metrics.json")


def records(run: Path, seed: int) -> list[Record]:
    """Of one run, with the seed in the ids: worlds may share a name."""
    return [replace(record, id=f"{seed} {record.id}") for record in read_records(run / "records.jsonl")]


@dataclass(frozen=True)
class Compared:
    """A remedy beside its control.

    Args:
        start, arm: which.
        seeds: that are done.
        acted: how many runs it did something in, and how often in all.
        regrets: mean regret without and with it.
        by_seed: improvement of the mean score over targets, paired by question, of each seed.
        questions: interval of the improvement over the questions of all seeds.
    """

    start: str
    arm: str
    seeds: int
    acted: tuple[int, int]
    regrets: tuple[float, float]
    by_seed: list[float]
    questions: tuple[float, float]

    @property
    def seeds_interval(self) -> tuple[float, float]:
        return student_interval(self.by_seed)

    @property
    def benefit(self) -> bool:
        """Both kinds of chance are excluded: other questions, and other worlds and random states."""
        return self.seeds_interval[0] > 0 and self.questions[0] > 0


def compare(folder: Path, start: str, title: str, seeds: Sequence[int]) -> Compared | None:
    """`None` before two seeds of both are done."""
    arm = arms_of(start)[title]
    done: list[tuple[Path, Path, int]] = []
    for seed in seeds:
        control, run = place(folder, start, arm.control, seed), place(folder, start, title, seed)
        if not (control / "run.json").exists():
            continue
        if (run / "run.json").exists():
            done.append((control, run, seed))
        elif not called(control, arm):
            done.append((control, control, seed))
    if len(done) < 2:
        return None
    first, second, by_seed, acts = [], [], [], []
    for control, run, seed in done:
        without, treated = records(control, seed), records(run, seed)
        by_seed.append(paired_difference(without, treated)["mean_score"])
        acts.append(sum("remedy" in event for event in read_json(run / "run.json")["events"]) if arm.kinds else 1)
        first += without
        second += treated
    return Compared(
        start=start,
        arm=title,
        seeds=len(done),
        acted=(sum(count > 0 for count in acts), sum(acts)),
        regrets=(
            fmean(measured(control)["mean_regret"] for control, _, _ in done),
            fmean(measured(run)["mean_regret"] for _, run, _ in done),
        ),
        by_seed=by_seed,
        questions=tuple(paired_difference(first, second)["mean_score_ci"]),
    )


def number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−").replace("0.", ".", 1)


def ends(interval: tuple[float, float]) -> str:
    return f"[{number(interval[0])}, {number(interval[1])}]"


def table(found: Sequence[Compared]) -> Iterator[str]:
    """A row for each remedy and start."""
    yield "| start | remedy | acted in | times | regret without | with | improvement | over seeds | over questions | |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in found:
        acted = f"{one.acted[0]} of {one.seeds} | {one.acted[1]}"
        regrets = " | ".join(map(number, one.regrets))
        intervals = f"{ends(one.seeds_interval)} | {ends(one.questions)}" if one.acted[0] else " | "
        verdict = "benefit" if one.benefit else "harm" if one.seeds_interval[1] < 0 > one.questions[1] else ""
        cells = [one.start, one.arm, acted, regrets, number(fmean(one.by_seed)), intervals, verdict]
        yield f"| {' | '.join(cells)} |"


def controls(folder: Path, seeds: Sequence[int]) -> Iterator[str]:
    """What becomes of each start without a remedy."""
    yield "| start | run | regret | abstains at t = 0 / .5 / .75 / .9 | right | alarms in how many seeds |"
    yield "|---|---|---|---|---|---|"
    for name in STARTS:
        arms = ["warm", *(title for title, arm in arms_of(name).items() if not arm.control)]
        for title in arms:
            runs = [place(folder, name, title, seed) for seed in seeds]
            done = [run for run in runs if (run / ("start.json" if title == "warm" else "run.json")).exists()]
            if not done:
                continue
            found = [measured(run / "warmed" if title == "warm" else run) for run in done]
            shares = " | ".join(
                " / ".join(f"{fmean(one['by_target'][row][what] for one in found):.0%}" for row in range(len(TARGETS)))
                for what in ("abstained", "correct")
            )
            regret = number(fmean(one["mean_regret"] for one in found))
            raised = "" if title == "warm" else alarms(done)
            yield f"| {name} | {'warm-up' if title == 'warm' else title} | {regret} | {shares} | {raised} |"


def alarms(runs: Sequence[Path]) -> str:
    """The kinds raised, each with how many runs raised it."""
    kinds = [
        kind
        for run in runs
        for kind in {event["alarm"] for event in read_json(run / "run.json")["events"] if "alarm" in event}
    ]
    return ", ".join(f"{kind} {kinds.count(kind)}" for kind in sorted(set(kinds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file for the tables")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=list(STARTS), help="to train from")
    parser.add_argument(
        "--arms", nargs="*", default=list(ARMS), help=f"to train, none for the tables alone: {list(ARMS)}"
    )
    given = parser.parse_args()
    disable_progress_bar()
    disable_progress_bars()
    for line in played(given.folder, given.starts, given.arms, given.seeds):
        print(line, flush=True)
    compared = [
        one
        for start in STARTS
        for title, arm in arms_of(start).items()
        if arm.control and (one := compare(given.folder, start, title, given.seeds))
    ]
    text = "\n".join([*controls(given.folder, given.seeds), "", *table(compared)])
    write_text(given.out, text + "\n")
    print(text)


if __name__ == "__main__":
    main()
