"""The trainers by TRL's names: TRL's steps, the refusals of recipes, and what a message says to write works."""

import re
from functools import partial

import pytest
import torch
import trl
from datasets import Dataset, IterableDataset
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, RLOOConfig

import abstain
from abstain.rewards import ConfidenceTarget, JudgedReward, ProperScore, TernaryCredit, with_targets
from abstain.rewards.prompts import prompt_text
from abstain.trainers import GRPOTrainer, PPOConfig, PPOTrainer, RLOOTrainer, ThresholdDriftError, TriePPOTrainer
from abstain.trainers.public import check_dataset

from ..conftest import PEOPLE

ROWS = [{"question": f"Where was {name} born?", "answers": ["Lima"]} for name in PEOPLE]
STATED = with_targets(ROWS, [0, 0.5])
UNSTATED = with_targets(ROWS, [0, 0.5], instruct="nothing")
EXACT = {"scale_rewards": "none"}
KINDS = [
    (GRPOTrainer, GRPOConfig, EXACT),
    (RLOOTrainer, RLOOConfig, {}),
    (PPOTrainer, PPOConfig, {"num_generations": 1}),
]


def as_chat(row, *before):
    return {**row, "prompt": [*before, {"role": "user", "content": row["prompt"]}]}


def without(rows, *names):
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def weights(trainer):
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


def by_length(completions, **columns):
    """A reward that differs within a group, which the tiny model's verdicts do not."""
    return [float(len(text) % 3) for text in completions]


# --- they train


@pytest.mark.parametrize(("cls", "config", "options"), KINDS)
def test_two_steps_with_shared_prefixes(cls, config, options, build_trainer):
    reward = ConfidenceTarget()
    trainer = build_trainer(cls, config, STATED, [reward, by_length], **options)
    before = weights(trainer)
    trainer.train()
    logged = [log for log in trainer.state.log_history if "reward" in log]
    assert len(logged) == 2 and all("abstention/t=0.5" in log for log in logged)
    assert trainer._exact
    assert any((before[name] != value).any() for name, value in weights(trainer).items())
    assert trainer.reward_funcs[0].eos_token_ids == [0, 1]  # pad and end: a completion without is truncated
    assert reward.eos_token_ids is None  # the user's own, which may serve another model


@pytest.mark.parametrize(("cls", "config", "options"), KINDS[:2])
def test_without_sharing_the_steps_are_trls(cls, config, options, build_trainer):
    def trained(kind):
        torch.manual_seed(0)
        rewards = [ConfidenceTarget(eos_token_ids=[0, 1]), by_length]
        trainer = build_trainer(kind, config, STATED, rewards, **options)
        trainer.train()
        return weights(trainer)

    found, expected = trained(partial(cls, share_prefixes=False)), trained(getattr(trl, cls.__name__))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_model_that_is_given_is_the_reference_of_the_kl_term(build_trainer, tiny_model_dir):
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    with torch.no_grad():
        model.model.norm.weight.mul_(2)  # as after a supervised stage in the same script
    trainer = build_trainer(RLOOTrainer, RLOOConfig, STATED, ConfidenceTarget(), model=model, beta=0.05)
    assert torch.equal(trainer.ref_model.model.norm.weight, trainer.model.model.norm.weight)


def test_without_a_configuration_ours_holds(tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = GRPOTrainer(str(tiny_model_dir), ConfidenceTarget(), train_dataset=Dataset.from_list(STATED))
    assert (trainer.args.scale_rewards, trainer.args.loss_type) == ("none", "dr_grpo")
    assert trainer.args.output_dir == f"{tiny_model_dir.name}-GRPO"


def test_promised_names_are_there():
    import abstain.trainers.ppo as ppo

    assert issubclass(PPOTrainer, ppo.TriePPOTrainer) and TriePPOTrainer is ppo.TriePPOTrainer
    assert issubclass(GRPOTrainer, trl.GRPOTrainer) and issubclass(RLOOTrainer, trl.RLOOTrainer)


def test_rewards_of_other_kinds_are_left_to_trl(build_trainer):
    rows = [{"prompt": row["question"]} for row in ROWS] * 2
    assert build_trainer(GRPOTrainer, GRPOConfig, rows, by_length).args.scale_rewards == "group"
    assert build_trainer(GRPOTrainer, GRPOConfig, STATED, [by_length, TernaryCredit()]).reward_funcs[0] is by_length


# --- they refuse, and say what to write

COLOCATED = {"use_vllm": True, "vllm_mode": "colocate"}
DRIFTS = [
    (GRPOTrainer, GRPOConfig, {}, "scale_rewards='group'"),
    (GRPOTrainer, GRPOConfig, {"scale_rewards": "batch"}, "scale_rewards='batch'"),
    (GRPOTrainer, GRPOConfig, {"multi_objective_aggregation": "normalize_then_sum"}, "normalize_then_sum"),
    (RLOOTrainer, RLOOConfig, {"normalize_advantages": True}, "normalize_advantages=True"),
]


@pytest.mark.parametrize(("cls", "config", "options", "said"), DRIFTS)
def test_scalings_that_move_a_threshold(cls, config, options, said, build_trainer):
    exact = EXACT if "multi" in str(options) else {}
    with pytest.raises(ThresholdDriftError, match=f"{re.escape(said)}.*moves the threshold of confidence_target") as e:
        build_trainer(cls, config, STATED, ConfidenceTarget(), **options, **exact)
    name, value = re.search(r"\.\.\., (\w+)=([^)]+)\)", str(e.value)).groups()
    build_trainer(cls, config, STATED, ConfidenceTarget(), **options | exact | {name: eval(value)})

    build_trainer(partial(cls, allow_threshold_drift=True), config, STATED, ConfidenceTarget(), **options, **exact)
    build_trainer(cls, config, UNSTATED, ConfidenceTarget(target=0.5), **options, **exact)  # which no scaling moves


WRONG = [{**row, "target": 0.9} for row in STATED]
SYSTEM = {"role": "system", "content": "Be brief."}
CONFIDENCE = with_targets(ROWS, instruct="confidence")
REFUSED = {
    "no prompt": (ROWS, ConfidenceTarget(), "no column 'prompt'"),
    "no target": (without(UNSTATED, "target"), ConfidenceTarget(), "no column 'target'"),
    "no target, but stated": (without(STATED, "target"), ConfidenceTarget(), "no column 'target'"),
    "fixed at another": (without(STATED, "target"), ConfidenceTarget(0.75), "pays by t = 0.75, and the prompt says"),
    "unstated": (
        UNSTATED,
        ConfidenceTarget(),
        "row 0: confidence_target pays by t = 0, and the prompt does not",
    ),
    "unstated, in a chat": ([as_chat(row, SYSTEM) for row in UNSTATED], ConfidenceTarget(), "does not state it"),
    "another one": (WRONG, ConfidenceTarget(), r"row 0: .* t = 0.9, and the prompt says 'Make your best guess"),
    "another one, no question": (without(WRONG, "question"), ConfidenceTarget(), "t = 0.9, and the prompt says"),
    "another one, in a chat": ([as_chat(row) for row in WRONG], ConfidenceTarget(), "t = 0.9, and the prompt says"),
    "asked for a confidence": (
        [{**row, "target": 0.5} for row in CONFIDENCE],
        ConfidenceTarget(),
        "the prompt says 'Answer, and state",
    ),
    "no confidence": (
        UNSTATED,
        ProperScore(),
        "pays for a stated confidence, and the prompt does not ask",
    ),
    "a target, no confidence": (STATED, ProperScore("brier"), "every answer would earn the minimum"),
}


@pytest.mark.parametrize(("rows", "reward", "said"), REFUSED.values(), ids=REFUSED)
def test_data_that_does_not_say_what_is_paid(rows, reward, said):
    dataset = Dataset.from_list(rows)
    with pytest.raises(ValueError, match=said) as refused:
        check_dataset(dataset, [reward])
    write = re.search(r"[wW]rite (dataset = .*?\))(?:, or |$)", str(refused.value))
    found = {"abstain": abstain, "dataset": dataset}
    exec(write[1], found)
    check_dataset(found["dataset"], [reward])


def test_what_stands_in_a_chat_counts():
    told = [as_chat({**row, "prompt": row["question"]}, {"role": "system", "content": prompt_text("", row["target"])})
            for row in STATED]  # fmt: skip
    for rows in ([as_chat(row, SYSTEM) for row in STATED], told):
        check_dataset(Dataset.from_list(rows), [ConfidenceTarget()])


def test_one_target_for_all_may_go_without_saying_but_not_against_it():
    check_dataset(Dataset.from_list(UNSTATED), [ConfidenceTarget(target=0.75), TernaryCredit()])
    check_dataset(Dataset.from_list(with_targets(ROWS, [0.75])), [ConfidenceTarget(target=0.75)])
    with pytest.raises(
        ValueError, match=r"row 0: confidence_target_t0p75 pays by t = 0.75, and the prompt says 'Make"
    ):
        check_dataset(Dataset.from_list(STATED), [ConfidenceTarget(target=0.75)])


def test_a_judge_s_verdicts_are_paid_by_a_target_too():
    judged = JudgedReward(judge={"model": "m", "url": "http://localhost:1/v1", "cache": False})
    check_dataset(Dataset.from_list(STATED), [judged])
    with pytest.raises(ValueError, match="does not state it"):
        check_dataset(Dataset.from_list(UNSTATED), [judged])


def test_streams_and_every_evaluation_set_are_looked_at(build_trainer):
    stream = IterableDataset.from_generator(lambda: iter(UNSTATED))
    with pytest.raises(ValueError, match="dataset, row 0"):
        check_dataset(stream, [ConfidenceTarget()])
    evaluated = {"seen": Dataset.from_list(STATED), "new": Dataset.from_list(UNSTATED)}
    with pytest.raises(ValueError, match=r"eval_dataset\['new'\], row 0"):
        build_trainer(GRPOTrainer, GRPOConfig, STATED, ConfidenceTarget(), eval_dataset=evaluated, **EXACT)


def test_unstated_targets_can_be_allowed(build_trainer):
    allowed = partial(GRPOTrainer, allow_unstated_targets=True)
    build_trainer(allowed, GRPOConfig, UNSTATED, ConfidenceTarget(), **EXACT)
    for reward in (ConfidenceTarget(), ProperScore()):
        check_dataset(Dataset.from_list(WRONG), [reward], allow_unstated_targets=True)


MALFORMED = {
    "no answers": (without(STATED, "answers"), "no column 'answers'"),
    "misnamed": ([{**row, "answer": ["Lima"]} for row in without(STATED, "answers")], r"rename_column\('answer', 'an"),
    "no lists": ([{**row, "answers": "Lima"} for row in STATED], r"row 0: 'Lima' is a str.*such as \['Lima'\]"),
    "percent": ([{**row, "target": 75} for row in STATED], "target 75.* is outside .* did you mean 0.75"),
    "no target": ([*STATED, {**STATED[0], "target": None}], "row 16: target is None"),
    "no rows": ([], "dataset has no rows"),
}


@pytest.mark.parametrize(("rows", "said"), MALFORMED.values(), ids=MALFORMED)
def test_columns_that_rewards_could_not_read(rows, said):
    with pytest.raises(ValueError, match=said):
        check_dataset(Dataset.from_list(rows), [ConfidenceTarget()])


@pytest.mark.parametrize(
    "reward", [ConfidenceTarget(), TernaryCredit(2, 1, -1, grader="exact"), ConfidenceTarget(0.5)]
)
def test_a_reward_pays_for_the_format_that_prompts_ask_for(reward):
    fixed = with_targets(ROWS, [0.5]) if reward.__name__.endswith("t0p5") else STATED
    dataset = Dataset.from_list([{**row, "prompt": row["prompt"] + " Put it in \\boxed{}."} for row in fixed])
    with pytest.raises(
        ValueError, match=r"prompts ask for the format 'boxed'.* two chances. Write reward_funcs="
    ) as e:
        check_dataset(dataset, [reward])
    named = eval(str(e.value).partition("reward_funcs=")[2])
    assert type(named) is type(reward) and named.__name__ == f"{reward.__name__}_boxed"
    check_dataset(dataset, [named])
    about_json = [{**STATED[0], "prompt": "What does JSON stand for?\n" + prompt_text("", 0)}, *STATED[1:]]
    check_dataset(Dataset.from_list(about_json), [ConfidenceTarget()])  # one question's word, not the template's


@pytest.mark.parametrize(
    ("cls", "config", "options", "said"),
    [
        (GRPOTrainer, GRPOConfig, {"scale_rewards": "grup"}, "scale_rewards='grup': must be true, false, 'group'"),
        (GRPOTrainer, GRPOConfig, EXACT | {"remove_unused_columns": True}, "leave remove_unused_columns at False"),
        (GRPOTrainer, GRPOConfig, EXACT | COLOCATED | {"generation_kwargs": {"seed": 3}}, "seed=3 would draw every"),
        (GRPOTrainer, RLOOConfig, {}, r"args is a RLOOConfig, and must be a trl.GRPOConfig"),
        (PPOTrainer, GRPOConfig, EXACT, r"args is a GRPOConfig, and must be a abstain.trainers.PPOConfig"),
        (
            GRPOTrainer,
            GRPOConfig,
            EXACT | {"per_device_train_batch_size": 128},
            "16 prompts, fewer than the 32 of",
        ),
    ],
)
def test_configurations_that_fail_later_or_silently(cls, config, options, said, build_trainer):
    with pytest.raises(ValueError, match=said):
        build_trainer(cls, config, STATED, ConfidenceTarget(), **options)
