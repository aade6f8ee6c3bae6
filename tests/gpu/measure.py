"""One cell: stock TRL and shared prefixes train on the same completions, in one process."""

import functools
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from abstain.evals.sampler import left_pad
from abstain.evals.trie.head import add_trie_head
from abstain.evals.trie.sampling import SamplingRule, sample
from abstain.evals.trie.scoring import plan_scoring
from abstain.trainers.rl import DEFAULTS
from abstain.trainers.trie.cost import Work
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from .cells import Cell
from .models import END, build_model, build_tokenizer, prompts_of, scale_logits, sharpen

STOCK, SHARED, FLASH, EXACT = "stock", "shared", "flash", "fp32"
TOKENS_AT_ONCE = {"cuda": 16_384, "cpu": 2**62}
"""Stock takes a batch in micro-batches of so many tokens, as one has to: its activations are of every completion."""
STEPS = 3
"""The first warms up."""
LONG = 100
"""Tokens from which on an answer is sampled once, and not to warm up: most of a cell's time would go there."""

DRAWS = 3
"""Of answers, for the sharpness that gives the wanted share of distinct ones; random tokens are a first guess only."""

Gradients = dict[str, torch.Tensor]
clock = time.perf_counter
"""What times are read from. On a CPU of others' too, `time.process_time` counts what one thread works, not waits."""


@dataclass(frozen=True)
class Drawn:
    """What all trainers are given.

    Args:
        answers: the completions of each prompt.
        sharpness: what logits are multiplied with.
        distinct: share of a group's completions that are distinct, the mean over groups.
    """

    answers: dict[tuple[int, ...], list[list[int]]]
    sharpness: float
    distinct: float


def measure(cell: Cell, device: str, folder: Path, *, flash: bool = False, exact: bool = True) -> dict[str, Any]:
    """All that is known of a cell, as JSON takes it.

    Args:
        cell: sizes.
        device: "cuda" or "cpu".
        folder: for what trainers write.
        flash: measure stock with FlashAttention too.
        exact: let stock compute the gradient in fp32 too, to compare with.
    """
    ids = prompts_of(cell)
    given = draw(cell, ids, device)
    row: dict[str, Any] = {"cell": cell.as_dict(), "device": device} | _counts(cell, ids, given, device)
    runs: dict[str, dict[str, Any]] = {}
    gradients: dict[str, list[Gradients]] = {}
    wanted = [STOCK, *([FLASH] if flash and cell.precision == "bf16" else []), SHARED]
    for name in [*wanted, *([EXACT] if exact and cell.precision == "bf16" else [])]:
        try:
            runs[name], gradients[name] = _train(name, cell, ids, given, device, folder)
        except Exception as error:  # of the one; what the others take is worth knowing
            runs[name] = {"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
        free(device)
    row["runs"] = runs
    row["gradients"] = _compared(gradients)
    row["matmul_tflops"] = matmul_peak(device, cell.precision)
    return row


def matmul_peak(device: str, precision: str) -> float:
    """TFLOP/s of large matrix products, here and now."""
    size = 8192 if device == "cuda" else 1024
    a, b = torch.randn(2, size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    times = []
    for _ in range(8):
        with timed(device, times.append):
            a @ b
    return 2 * size**3 / min(times) / 1e12


@contextmanager
def timed(device: str, note: Callable[[float], None]) -> Iterator[None]:
    """Notes the seconds of what is done within it, the device waited for before and after."""
    _wait(device)
    start = clock()
    yield
    _wait(device)
    note(clock() - start)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def free(device: str) -> None:
    """Gives back what nobody holds any more."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def draw(cell: Cell, ids: list[list[int]], device: str) -> Drawn:
    """The completions that all trainers are given, drawn from the model itself."""
    model = build_model(cell.shape, device)
    add_trie_head(model, 1.0)
    rule = SamplingRule((), cell.answer, warp=_never_ends)
    asked = [prompt for prompt in ids for _ in range(cell.generations)]
    shortest = min(map(len, ids))
    generator = torch.Generator().manual_seed(0)
    contexts = torch.randint(2, cell.shape.vocabulary, (8, shortest + cell.answer), generator=generator)
    sharpness = 1.0
    for _ in range(DRAWS):
        sharpness *= sharpen(model, cell, contexts.to(device))
        with torch.autocast(device, torch.bfloat16, enabled=cell.precision == "bf16"):
            drawn = sample(model, asked, rule, model.config).tokens
        groups = [drawn[start : start + cell.generations] for start in range(0, len(drawn), cell.generations)]
        distinct = np.mean([len(set(map(tuple, group))) / len(group) for group in groups])
        if abs(distinct - cell.distinct) < 0.2 * cell.distinct and (cell.distinct < 1 or distinct > 0.95):
            break
        some = np.random.default_rng(0).permutation(len(drawn))[:8]
        contexts = torch.tensor([asked[which][-shortest:] + drawn[which] for which in some])
    del model
    free(device)
    return Drawn({tuple(prompt): group for prompt, group in zip(ids, groups, strict=True)}, sharpness, float(distinct))


def _never_ends(logits: torch.Tensor) -> torch.Tensor:
    return logits.index_fill(-1, torch.tensor([END], device=logits.device), -torch.inf)


def _counts(cell: Cell, ids: list[list[int]], given: Drawn, device: str) -> Any:
    """What there is to compute: slots are tokens with their padding, pairs are what attention scores."""
    rows = [[*prompt, *answer] for prompt in ids for answer in given.answers[tuple(prompt)]]
    tokens, mask = (tensor.numpy() for tensor in left_pad(rows, 0, torch.device("cpu")))
    plan = plan_scoring(tokens, mask, cell.answer, cell.shape.hidden)
    assert plan is not None
    forest, width = plan.forest, tokens.shape[1]
    tokens_of = np.empty(len(forest.row), dtype=np.int64)
    tokens_of[forest.sequence] = mask.sum(axis=1) - 1
    used = np.zeros(len(forest.tokens), dtype=np.int64)
    np.maximum.at(used, forest.row, forest.column[np.arange(len(tokens_of)), tokens_of - 1] + 1)
    nodes = int(used.sum())
    stock, shared = Work.of_stock(cell.rows, width, cell.answer, device), Work.of_plan(plan)
    return {
        "distinct": given.distinct,
        "sharpness": given.sharpness,
        "nodes": nodes,
        "bound": {
            "sampling": cell.rows * (width - 1) / nodes,
            "training": cell.rows * width / nodes,
        },
        "work": {
            STOCK: asdict(stock) | {"rows": cell.rows},
            SHARED: asdict(shared) | {"rows": len(forest.tokens)},
        },
    }


def _train(
    name: str, cell: Cell, ids: list[list[int]], given: Drawn, device: str, to: Path
) -> tuple[dict[str, Any], list[Gradients]]:
    """Steps that leave the weights as they are (the learning rate is 0), so that each can be compared with each."""
    attention = "flash_attention_2" if name == FLASH else "sdpa"
    longest = max(map(len, ids)) + cell.answer
    micro = cell.rows if name == SHARED else _micro_batch(cell, TOKENS_AT_ONCE[device] // longest)
    args = {
        "output_dir": str(to / "trainer"),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": cell.rows // micro,
        "num_generations": cell.generations,
        "max_completion_length": cell.answer,
        "generation_kwargs": {"suppress_tokens": [END]},
        "max_steps": 1 if name == EXACT else STEPS,
        "learning_rate": 0.0,
        "max_grad_norm": 0.0,
        "logging_steps": 1,
        "save_strategy": "no",
        "bf16": cell.precision == "bf16" and name != EXACT,
        "use_cpu": device == "cpu",
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }
    watch = Watch(cell, given, device)
    model = build_model(cell.shape, device, attention=attention)
    scale_logits(model, given.sharpness)
    trainer = _watched(TrieGRPOTrainer if name == SHARED else GRPOTrainer, watch)(
        model=model,
        reward_funcs=_reward(cell),
        args=GRPOConfig(**DEFAULTS["grpo"] | args),
        train_dataset=Dataset.from_list(
            [{"prompt": " ".join(f"w{token}" for token in prompt), "index": index} for index, prompt in enumerate(ids)]
        ),
        processing_class=build_tokenizer(cell.shape.vocabulary),
    )
    trainer.add_callback(watch)
    watch.count_passes(trainer.model)
    watch.sampled_at = {EXACT: set()}.get(name, {1} if cell.answer >= LONG else {0, 1, 2})
    trainer.train()
    return watch.found(micro), watch.gradients


def _micro_batch(cell: Cell, most: int) -> int:
    """The most rows, not above `most`, that the batch is a multiple of."""
    return next(rows for rows in range(cell.rows, 0, -1) if cell.rows % rows == 0 and (rows <= most or rows == 1))


def _reward(cell: Cell) -> Callable[..., list[float]]:
    """A reward for each completion by its place in its group, never the same for a whole group."""
    table = np.random.default_rng(0).normal(size=(cell.prompts, cell.generations))

    def reward(completions: list[Any], index: list[int], **_: Any) -> list[float]:
        place: Counter[int] = Counter()
        rewards = []
        for prompt in index:
            rewards.append(float(table[prompt, place[prompt]]))
            place[prompt] += 1
        return rewards

    return reward


class Watch(TrainerCallback):
    """Times the halves of a step, and keeps its gradients.

    Args:
        cell, given, device: as measured.

    Attributes:
        trained_by: passes of the last loss, on tries and through TRL's head.
        passed_trial, would_choose: what shared prefixes would have done by themselves.
        sampled_at: steps at which the trainer samples for its time; it is given the same completions at each.
    """

    def __init__(self, cell: Cell, given: Drawn, device: str) -> None:
        self.cell, self.given, self.device = cell, given, device
        self.sampled_at: set[int] = set()
        self.seconds: dict[str, list[float]] = {"sampling": [], "training": [], "other": []}
        self.passes: Counter[str] = Counter()
        self.trained_by: Counter[str] = Counter()
        self.passed_trial: bool | None = None
        self.would_choose: str | None = None
        self.gradients: list[Gradients] = []
        self.peak_mb = 0.0

    def count_passes(self, model: Any) -> None:
        """Counts the passes on tries and those of TRL's head: which path ran is seen, not believed."""
        forward = model.forward

        @functools.wraps(forward)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.passes[SHARED] += kwargs.get("trie") is not None
            self.passes[STOCK] += bool(kwargs.get("fused_lm_head"))
            return forward(*args, **kwargs)

        model.forward = counted

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        reset_peak(self.device)
        self.training = self.sampling = 0.0
        self.start = clock()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step == 1 or args.max_steps == 1:
            self.peak_mb = peak_mb(self.device)
        if state.global_step >= 1 or args.max_steps == 1:
            started = clock()
            named = model.named_parameters()
            self.gradients.append({name: p.grad.detach().float().cpu() for name, p in named if p.grad is not None})
            self.start += clock() - started

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        _wait(self.device)
        self.seconds["training"].append(self.training)
        self.seconds["other"].append(clock() - self.start - self.training - self.sampling)
        if self.sampling:
            self.seconds["sampling"].append(self.sampling)

    def found(self, micro: int) -> dict[str, Any]:
        """The fastest of the timed steps: what disturbs only ever adds."""
        best = {name: min(times[1:] or times) for name, times in self.seconds.items() if times}
        return {
            "seconds": best | {"step": sum(best.values())},
            "all_seconds": self.seconds,
            "peak_mb": self.peak_mb,
            "micro_batch": micro,
            "passes": dict(self.trained_by),
            "passed_trial": self.passed_trial,
            "would_choose": self.would_choose,
        }


def _watched(trainer_class: Any, watch: Watch) -> Any:
    class Watched(trainer_class):
        def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
            if self.state.global_step in watch.sampled_at:
                with timed(watch.device, lambda seconds: setattr(watch, "sampling", seconds)):
                    super()._generate_single_turn(prompt_ids, *args, **kwargs)
            place: Counter[tuple[int, ...]] = Counter()
            completions = []
            for prompt in map(tuple, prompt_ids):
                completions.append(list(watch.given.answers[prompt][place[prompt]]))
                place[prompt] += 1
            return completions, None

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            # Advantages of a group add up to 0, and where all its answers are one, rounding would be all there is
            inputs = inputs | {"advantages": inputs["advantages"] + 1}
            _wait(watch.device)
            self.began, before = clock(), watch.passes.copy()
            loss = super()._compute_loss(model, inputs)
            watch.trained_by = watch.passes - before
            return loss

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            _wait(watch.device)
            watch.training += clock() - self.began
            return loss

        def _is_exact(self, *args: Any) -> bool:
            """Only asked by shared prefixes, whose trial is noted, not obeyed: both paths are to be measured."""
            if watch.passed_trial is None:
                watch.passed_trial = super()._is_exact(*args)
                self._exact = True
            return True

        def _pays(self, plan: Any, *args: Any) -> bool:
            watch.would_choose = SHARED if super()._pays(plan, *args) else STOCK
            return plan is not None

    return Watched


def _compared(gradients: dict[str, list[Gradients]]) -> dict[str, float]:
    """Relative distances, ‖a - b‖ / ‖b‖ over all weights; TRL shuffles rows, so stock's two steps differ by that."""
    found = {}
    if STOCK in gradients:
        stock, again = gradients[STOCK][:2]
        found["stock in another order"] = distance(again, stock)
    if {STOCK, SHARED} <= gradients.keys():
        found["shared against stock"] = distance(gradients[SHARED][0], gradients[STOCK][0])
    for name in (STOCK, SHARED, FLASH):
        if {name, EXACT} <= gradients.keys():
            found[f"{name} against fp32"] = distance(gradients[name][0], gradients[EXACT][0])
    return found


def distance(found: Gradients, expected: Gradients) -> float:
    """‖found - expected‖ / ‖expected‖ over all weights."""
    apart = sum((found[name] - expected[name]).square().sum(dtype=torch.float64).item() for name in expected)
    return (apart / sum(value.square().sum(dtype=torch.float64).item() for value in expected.values())) ** 0.5


def reset_peak(device: str) -> None:
    """From here on `peak_mb` counts, where it can be reset."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif (reset := Path("/proc/self/clear_refs")).exists():
        reset.write_text("5", encoding="ascii")


def peak_mb(device: str) -> float:
    """On the GPU what tensors took at most; on the CPU what the process did, since the last reset where Linux can."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
