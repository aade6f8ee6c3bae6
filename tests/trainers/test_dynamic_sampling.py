"""Groups that agree are drawn again: which batch is trained on, that it points where it did, in every way of running.

The completions of most tests are given, so that it is known who agrees.
"""

import inspect
import json
import zlib
from collections import Counter, defaultdict
from functools import partial

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from abstain.evals.models import load_model
from abstain.trainers.dynamic_sampling import DynamicSampling, agrees
from abstain.trainers.ppo import PPOConfig, TriePPOTrainer
from abstain.trainers.rl import run_rl
from abstain.trainers.stages import RlStage
from abstain.trainers.trie.trainer import StockGRPOTrainer, StockRLOOTrainer, TrieGRPOTrainer, TrieRLOOTrainer

from .conftest import QUESTIONS, ROWS, TASK, new_trainer, run_script
from .test_resume import assert_same, lived

KINDS = {
    "grpo": (StockGRPOTrainer, GRPOConfig),
    "grpo, trie": (TrieGRPOTrainer, GRPOConfig),
    "rloo": (StockRLOOTrainer, RLOOConfig),
    "rloo, trie": (TrieRLOOTrainer, RLOOConfig),
}
BATCHES = {
    "one batch": {},
    "accumulated": {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
    "minibatches": {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "steps_per_generation": 2},
    "two generations a step": {"gradient_accumulation_steps": 2, "steps_per_generation": 1},
    "several iterations": {"num_iterations": 2},
}
ALL = [(kind, batches) for kind in KINDS for batches in BATCHES]
SOME = [pytest.param(*case, marks=[pytest.mark.slow] * (place % 3 > 0)) for place, case in enumerate(ALL)]
NAN = float("nan")


def of_text(prompts, completions, log_extra=None, log_metric=None, **columns):
    """Of half the questions all completions earn the same; what it logs names the completion."""
    if log_extra is not None:
        log_extra("text", [f"{prompt}|{completion}" for prompt, completion in zip(prompts, completions, strict=True)])
        log_metric("prompts", float(len(prompts)))
    disputed = [zlib.crc32(prompt.split()[2].encode()) % 2 for prompt in prompts]
    return [
        float(zlib.crc32(text.encode()) % 3) if is_disputed else 0.5
        for text, is_disputed in zip(completions, disputed, strict=True)
    ]


def logged(trainer, name):
    return [entry[f"dynamic_sampling/{name}"] for entry in trainer.state.log_history if "reward" in entry]


def build(build_trainer, kind, reward=of_text, sampling=None, rows=ROWS, **args):
    cls, config = KINDS[kind]
    made = partial(cls, dynamic_sampling=sampling) if sampling is not None else cls
    return build_trainer(made, config, rows, reward, **args)


def one_run(*args, **options):
    """The trainer after its steps, its weights and the random state that it left."""
    torch.manual_seed(0)
    trainer = build(*args, **options)
    trainer.train()
    return (
        trainer,
        {name: weight.clone() for name, weight in trainer.model.state_dict().items()},
        torch.get_rng_state(),
    )


# Who agrees


@pytest.mark.parametrize(
    ("rewards", "options", "expected"),
    [
        ([[1.0], [1.0], [1.0]], {}, True),
        ([[0.1 + 0.2], [0.3], [0.3]], {}, True),  # but for rounding
        ([[1.0], [0.0], [1.0]], {}, False),
        ([[1.0], [NAN], [1.0]], {}, True),
        ([[1.0], [NAN], [NAN]], {}, True),  # nobody to be compared with
        ([[NAN], [NAN], [NAN]], {}, True),
        ([[0.0], [0.0], [NAN]], {}, True),
        ([[1.0, 0.0], [0.0, 1.0]], {}, True),  # as the sum has it
        ([[1.0, 0.0], [0.0, 1.0]], {"weights": [1, 2]}, False),
        ([[1.0, 0.0], [1.0, NAN]], {}, True),
        ([[2.0], [3.0]], {"clip": (-1, 1)}, True),
    ],
)
def test_who_agrees(rewards, options, expected):
    found = np.array(rewards, dtype=np.float32)
    assert agrees(found, **{"weights": [1.0] * found.shape[1]} | options) is expected


@given(st.lists(st.sampled_from([-9.0, -0.9, 0.0, 0.1, 1.0, None]), min_size=2, max_size=8))
def test_who_agrees_has_no_advantage(rewards):
    """By the formulas of TRL's two trainers, which leave out what has no reward."""
    graded = [reward for reward in rewards if reward is not None]
    mean = sum(graded) / max(len(graded), 1)
    others = [(sum(graded) - reward) / (len(graded) - 1) for reward in graded] if len(graded) > 1 else graded
    found = agrees(np.array([[NAN if reward is None else reward] for reward in rewards]), weights=[1.0])
    assert found == all(abs(reward - mean) < 1e-9 for reward in graded)
    assert found == all(abs(reward - other) < 1e-9 for reward, other in zip(graded, others, strict=True))


# Which batch is trained on


@pytest.mark.parametrize(("kind", "batches"), SOME)
def test_a_batch_is_filled_with_groups_that_disagree(build_trainer, kind, batches):
    trainer = build(build_trainer, kind, sampling={"max_rounds": 50}, **{"learning_rate": 0.0} | BATCHES[batches])
    trained, compute_loss = [], trainer._compute_loss
    trainer._compute_loss = lambda model, inputs: (trained.append(inputs), compute_loss(model, inputs))[1]
    trainer.train()
    assert max(logged(trainer, "agreed")) > 0 and max(logged(trainer, "rounds")) > 0
    assert not any(entry["frac_reward_zero_std"] for entry in trainer.state.log_history if "reward" in entry)
    rows = 16 if batches in ("one batch", "several iterations", "two generations a step") else 8
    assert {len(batch["advantages"]) for batch in trained} == {rows}  # as without
    table = trainer._logs
    texts = [f"{prompt}|{completion}" for prompt, completion in zip(table["prompt"], table["completion"], strict=True)]
    assert list(table["extra"]["text"]) == texts
    assert list(table["rewards"]["of_text"]) == of_text(table["prompt"], table["completion"])
    advantages = torch.tensor(list(table["advantages"])).view(-1, 4)
    rewards = torch.tensor(list(table["rewards"]["of_text"])).view(-1, 4)
    assert all(len(set(texts[start : start + 4])) > 1 for start in range(0, 16, 4))
    expected = rewards - rewards.mean(1, keepdim=True)
    scaled = rewards.std(1, keepdim=True) + 1e-4 if kind.startswith("grpo") else 3 / 4  # their defaults
    assert torch.allclose(advantages, expected / scaled, atol=1e-5)


def test_what_rewards_tell_is_of_the_first_draw(build_trainer):
    trainer = build(build_trainer, "grpo, trie", sampling={"max_rounds": 2})
    trainer.train()
    told = [entry["prompts"] for entry in trainer.state.log_history if "reward" in entry]
    assert told == [16, 16] and sum(logged(trainer, "extra_completions")) > 0


@pytest.mark.parametrize("kind", ["grpo, trie", "rloo"])
def test_where_all_disagree_nothing_changes(build_trainer, kind):
    def distinct(completions, **columns):
        return [float(place) for place, _ in enumerate(completions)]

    _, expected, state = one_run(build_trainer, kind, distinct)
    trainer, found, again = one_run(build_trainer, kind, distinct, {"max_rounds": 3})
    assert logged(trainer, "rounds") == [0, 0] == logged(trainer, "agreed")
    assert torch.equal(state, again) and all(torch.equal(found[name], weight) for name, weight in expected.items())


@pytest.mark.parametrize("kind", ["grpo", "rloo, trie"])
def test_where_nobody_ever_disagrees_the_batch_keeps_its_size(build_trainer, kind):
    trainer, _, _ = one_run(build_trainer, kind, lambda completions, **_: [1.0] * len(completions), {"max_rounds": 2})
    assert logged(trainer, "rounds") == [2, 2] and logged(trainer, "extra_completions") == [32, 32]
    assert len(trainer._logs["prompt"]) == 16 and logged(trainer, "agreed") == [1, 1]
    tokens = [entry["num_tokens"] for entry in trainer.state.log_history if "reward" in entry]
    assert tokens[0] > 3 * 16  # all that was sampled is counted


def test_several_rewards_agree_as_their_weighted_sum_does(build_trainer):
    def one(completions, **columns):
        return [float(len(text)) for text in completions]

    def only_logged(completions, **columns):
        return [float(place) for place, _ in enumerate(completions)]

    trainer = build_trainer(
        partial(TrieGRPOTrainer, dynamic_sampling={}),
        GRPOConfig,
        ROWS,
        [lambda completions, **_: [0.25] * len(completions), only_logged],
        reward_weights=[1.0, 0.0],
    )
    trainer.train()
    assert logged(trainer, "agreed") == [1, 1]
    trainer = build_trainer(partial(TrieGRPOTrainer, dynamic_sampling={}), GRPOConfig, ROWS, [one, only_logged])
    trainer.train()
    assert logged(trainer, "agreed") == [0, 0]


def test_evaluations_draw_once(build_trainer):
    held = Dataset.from_list(ROWS[:4])
    trainer = build(build_trainer, "grpo", lambda completions, **_: [1.0] * len(completions), {"max_rounds": 2})
    trainer.evaluate(held)
    assert not trainer._metrics["train"] and len(trainer._logs["prompt"]) == 16


# That it points where it did: a trainer of numbers, whose prompts are right with a known probability


class Numbers:
    """Stands where TRL's trainer stands; a completion is right or wrong, and its token says which."""

    def __init__(self, prompts, places, size=4):
        self.train_dataset = Dataset.from_list(prompts) if isinstance(prompts, list) else prompts
        self.places, self.num_generations = places, size
        self.model = type("Model", (), {"training": True})()
        self.accelerator = type("Accelerator", (), {"num_processes": 1, "process_index": 0})()
        self.args = type("Args", (), {"seed": 0})()
        self.reward_weights, self._step = torch.ones(1), 0
        self._metrics = {"train": defaultdict(list)}
        self._pending_extra_logs, self._pending_metrics = {}, {}
        self.draws = np.random.default_rng(0)

    def _generate(self, prompts):
        ids = [[int(self.draws.random() < p)] for p in prompts]
        return [[0]] * len(ids), ids, None, [str(one) for one in ids], [[one[0] - 7.0] for one in ids], {}, None, []

    def _calculate_rewards(self, inputs, prompts, completions, ids):
        assert completions == [str(one) for one in ids]
        return torch.tensor(ids, dtype=torch.float32)

    def _generate_and_score_completions(self, inputs):
        prompts = [row["prompt"] for row in inputs]
        generated = self._generate(prompts)
        return inputs, generated, self._calculate_rewards(inputs, prompts, generated[3], generated[1])

    def batch(self):
        rows = [row for row in self.train_dataset for _ in range(self.places // len(self.train_dataset))]
        return self._generate_and_score_completions([row for row in rows for _ in range(self.num_generations)])


class Drawn(DynamicSampling, Numbers):
    pass


PROMPTS = [
    {"prompt": 0.5, "target": 0.0},
    {"prompt": 0.95, "target": 0.0},
    {"prompt": 0.9, "target": 0.9},
    {"prompt": 0.999, "target": 0.9},
]


def groups_of(found, size=4):
    inputs, _, rewards = found
    right = rewards.view(-1, size).sum(1).tolist()
    return [(row["prompt"], row["target"], int(n)) for row, n in zip(inputs[::size], right, strict=True)]


def probability(p, right, size=4):
    ways = {0: 1, 1: size, 2: size * (size - 1) // 2, 3: size, 4: 1}[right]
    return ways * p**right * (1 - p) ** (size - right)


def agreeing(prompts):
    return float(np.mean([row["prompt"] ** 4 + (1 - row["prompt"]) ** 4 for row in prompts]))


@pytest.mark.parametrize(("same_target", "rounds"), [(False, 1), (False, 3), (True, 3)])
def test_every_group_that_teaches_is_as_frequent_as_without_but_for_one_factor(same_target, rounds):
    """So is the expected gradient, the sum of theirs: of every prompt, or with `same_target` of every target."""
    places = 4_000
    trainer = Drawn(PROMPTS, places, dynamic_sampling={"max_rounds": rounds, "same_target": same_target})
    found = Counter(groups_of(trainer.batch()))
    for row in PROMPTS:
        alike = [other for other in PROMPTS if not same_target or other["target"] == row["target"]]
        factor = sum(agreeing(alike) ** k for k in range(rounds + 1))
        for right in (1, 2, 3):
            expected = places / len(PROMPTS) * probability(row["prompt"], right) * factor
            assert abs(found[row["prompt"], row["target"], right] - expected) < 5 * max(expected, 1) ** 0.5, row
    targets = Counter(target for _, target, _ in found.elements())
    assert (targets[0.0] == places / 2) == same_target
    metrics = trainer._metrics["train"]
    assert metrics["dynamic_sampling/agreed"] == [pytest.approx(agreeing(PROMPTS), abs=0.05)]
    assert metrics["dynamic_sampling/agreed/t=0.9"] == [pytest.approx(agreeing(PROMPTS[2:]), abs=0.05)]
    shares = [metrics[f"dynamic_sampling/taught/t={t}"][0] for t in ("0", "0.9")]
    teaching = Counter(target for _, target, right in found.elements() if 0 < right < 4)
    assert shares == [pytest.approx(teaching[t] / teaching.total()) for t in (0.0, 0.9)]


def test_parts_of_a_generation_stay_together():
    """Log-probabilities are what vLLM samples with; parts without rows stay what they were."""
    trainer = Drawn(PROMPTS, 400, dynamic_sampling={"max_rounds": 2})
    inputs, generated, rewards = trainer.batch()
    assert all(len(part) == len(inputs) == 1600 for part in (generated[0], generated[1], generated[3], generated[4]))
    assert generated[2] is None and generated[5] == {} and generated[6] is None and generated[7] == []
    for tokens, text, (logprob,), (reward,) in zip(generated[1], *generated[3:5], rewards.tolist(), strict=True):
        assert text == str(tokens) and logprob == tokens[0] - 7 and reward == tokens[0]


# In every way of running


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("grpo, trie", {"steps_per_generation": 2, "num_iterations": 2}),
        ("rloo", {"gradient_accumulation_steps": 2, "steps_per_generation": 1, "logging_steps": 2}),
    ],
)
def test_a_resumed_run_is_an_unbroken_one(tmp_path, tiny_model_dir, kind, args):
    def make(folder):
        cls, config = KINDS[kind]
        saving = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1, "per_device_train_batch_size": 8}
        made = partial(cls, dynamic_sampling={"max_rounds": 2})
        options = {"max_steps": 6, "output_dir": str(folder)} | saving | args
        return new_trainer(made, config, ROWS, of_text, tiny_model_dir, **options)

    found, expected = (lived(make, tmp_path / name, kills) for name, kills in (("killed", [1, 3]), ("unbroken", ())))
    assert_same(found, expected)
    assert max(entry.get("dynamic_sampling/rounds", 0) for entry in expected[1]) > 0


def steps_of(kind, model_dir, output, rows_each):
    """What was logged, and the weights; completions depend on the step, the prompt and the place in its group."""
    cls, config = KINDS[kind]

    class Given(cls):
        def _generate_single_turn(self, prompt_ids, *args, **kwargs):
            first = self.accelerator.process_index * len(prompt_ids)
            given = [tokens(self.state.global_step, ids, first + row) for row, ids in enumerate(prompt_ids)]
            return (given, None) if issubclass(cls, GRPOTrainer) else given

    def tokens(step, ids, place):
        draws = torch.Generator().manual_seed(1000 * step + 10 * sum(ids) + place % 3)
        length = int(torch.randint(1, 3, (1,), generator=draws))
        return [*torch.randint(3, 6, (length,), generator=draws).tolist(), 1]

    def length(prompts, completions, **columns):
        return [float(len(text.split())) for text in completions]

    args = {"max_steps": 3, "num_generations": 3, "per_device_train_batch_size": rows_each, "output_dir": str(output)}
    made = partial(Given, dynamic_sampling={"max_rounds": 2})
    trainer = new_trainer(made, config, ROWS, length, model_dir, **args)
    trainer.train()
    logs = [log for log in trainer.state.log_history if "grad_norm" in log]
    names = ("agreed", "rounds", "reward")
    return [[log["reward"], log["grad_norm"], *(log[f"dynamic_sampling/{name}"] for name in names)] for log in logs]


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_shared_prefixes_train_as_stock_trl_does(tiny_model_dir, tmp_path, algorithm):
    stock, shared = (
        steps_of(kind, tiny_model_dir, tmp_path / kind, rows_each=12) for kind in (algorithm, f"{algorithm}, trie")
    )
    assert shared == [pytest.approx(step, rel=1e-3, abs=1e-5) for step in stock]
    assert max(rounds for _, _, _, rounds, _ in stock) > 0


PROCESSES = """
import json, sys
from accelerate import PartialState
from tests.trainers.test_dynamic_sampling import KINDS, steps_of

model, output = sys.argv[1:]
for kind in ("grpo, trie", "rloo"):
    logged = steps_of(kind, model, output, rows_each=6)
    if PartialState().is_main_process:
        print("FOUND", json.dumps([kind, logged]))
"""


@pytest.mark.slow
def test_two_processes_draw_what_one_does(tiny_model_dir, tmp_path):
    """Groups of three, so that those drawn again lie across both processes, and one is drawn too many."""
    found, _ = run_script(PROCESSES, tmp_path, tiny_model_dir, tmp_path / "out", processes=2)
    assert len(found) == 2
    for kind, logged_there in found:
        expected = steps_of(kind, tiny_model_dir, tmp_path / kind, rows_each=12)
        assert logged_there == [pytest.approx(step, rel=1e-4, abs=1e-5) for step in expected]
        assert max(rounds for _, _, _, rounds, _ in expected) > 0


def test_a_stage_of_a_recipe(tmp_path, tiny_model_dir):
    args = {"max_steps": 2, "num_generations": 4, "per_device_train_batch_size": 16, "logging_steps": 1}
    args |= {"use_cpu": True, "bf16": False, "disable_tqdm": True, "gradient_checkpointing": False}
    stage = RlStage(args=args, dynamic_sampling={"same_target": True}, guards={"every": 1}, share_prefixes=False)
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    trainer = run_rl(loaded.model, loaded.tokenizer, TASK, stage, output_dir=tmp_path, seed=0)
    assert isinstance(trainer, StockGRPOTrainer) and len(logged(trainer, "rounds")) == 2
    checks = [entry for entry in trainer.state.log_history if "guards/alarms" in entry]
    assert len(checks) == 2
    state = json.loads((tmp_path / "trainer_state.json").read_text())
    assert "dynamic_sampling/agreed/t=0.9" in str(state["log_history"])


# What is refused, and what of TRL this rests on


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (
            {"algorithm": "ppo"},
            "ppo compares them with a value head.*out, or set algorithm: grpo",
        ),
        (
            {"args": {"multi_objective_aggregation": "normalize_then_sum"}},
            "set args.multi_objective_aggregation: sum_then_normalize",
        ),
        ({"dynamic_sampling": {"same_target": True}, "instruct": "confidence"}, "leave same_target out"),
        ({"dynamic_sampling": {"max_rounds": 0}}, "greater than or equal to 1"),
        ({"dynamic_sampling": {"rounds": 3}}, "Extra inputs"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(stage, message):
    with pytest.raises(ValueError, match=message):
        RlStage(**{"dynamic_sampling": {}} | stage)


def test_trainers_that_cannot_work_are_refused(build_trainer):
    refused = partial(build, build_trainer, "grpo", sampling={})
    with pytest.raises(ValueError, match=r"normalize_then_sum.*set sum_then_normalize"):
        refused(multi_objective_aggregation="normalize_then_sum")
    with pytest.raises(ValueError, match="with a value head, not with each other"):
        build_trainer(partial(TriePPOTrainer, dynamic_sampling={}), PPOConfig, ROWS, of_text)
    with pytest.raises(ValueError, match="needs a column 'target'"):
        build(build_trainer, "grpo", sampling={"same_target": True}, rows=[{"prompt": q.question} for q in QUESTIONS])
    with pytest.raises(ValueError, match="not a stream"):
        Drawn(Dataset.from_list(PROMPTS).to_iterable_dataset(), 4, dynamic_sampling={})
    trainer = build(build_trainer, "grpo", sampling={})
    trainer.model.train()
    with pytest.raises(ValueError, match="cannot draw prompts with images"):
        trainer._generate_and_score_completions([{"prompt": "", "image": None}])


@pytest.mark.parametrize("cls", [GRPOTrainer, RLOOTrainer])
def test_contract_trl_calls_what_is_overridden_and_once(cls):
    source = inspect.getsource(cls._generate_and_score_completions)
    assert source.count("self._generate(prompts)") == 1
    assert source.count("self._calculate_rewards(inputs, prompts, completions, completion_ids_list)") == 1
    assert 'prompts = [x["prompt"] for x in inputs]' in source
    assert "for column in sorted(set(gather_object(list(self._pending_extra_logs))))" in source
    assert "for name in sorted(set(gather_object(list(self._pending_metrics))))" in source
    parts = {
        GRPOTrainer: "prompt_ids, completion_ids, tool_mask, completions, logprobs",
        RLOOTrainer: ("prompt_ids, completion_ids, completions"),
    }[cls]
    assert f"return {parts}" in inspect.getsource(cls._generate)
    assert "self._step % generate_every == 0" in inspect.getsource(cls._prepare_inputs)
