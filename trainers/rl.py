"""Reinforcement learning on TRL: confidence targets in the prompts, rewards that price mistakes accordingly.

Or prompts that ask for a confidence, and rewards that pay for an honest one.

TRL does the training; here are the defaults that keep a target exact, and the checks that TRL lacks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.question import Task
from abstain.rewards import build_reward
from abstain.rewards.function_reward import FunctionReward
from abstain.rewards.prompts import TARGETS, asked_format
from abstain.rewards.response import AnswerFormat
from abstain.rewards.verdict_reward import VerdictReward
from abstain.trainers.dataset import rl_dataset
from abstain.trainers.embedding_rows import answers, instructions, only_rows_of
from abstain.trainers.mix import Known, warn_of_the_rest
from abstain.trainers.run_trainer import start_as_reference, train
from abstain.trainers.stages import RlStage
from abstain.trainers.trl_args import SHARED_DEFAULTS, build_config, check_threshold_drift

_SHARED = SHARED_DEFAULTS | {
    "num_generations": 8,
    "num_generations_eval": 1,
    "remove_unused_columns": False,
    "temperature": 1.0,
    "beta": 0.0,
}
DEFAULTS: dict[str, dict[str, Any]] = {
    # A group's standard deviation would move the target, and "grpo" would weigh a short "I don't know" more per token
    "grpo": _SHARED | {"scale_rewards": "none", "loss_type": "dr_grpo"},
    "rloo": _SHARED | {"normalize_advantages": False},
    "ppo": _SHARED | {"loss_type": "dr_grpo", "num_generations": 1},
}
CONFIGS = {"grpo": "GRPOConfig", "rloo": "RLOOConfig", "ppo": "PPOConfig"}


def build_rl_config(task: Task, stage: RlStage, output_dir: Path, seed: int) -> Any:
    """TRL's configuration for a stage.

    Args:
        task: gives the room for a completion.
        stage: its `args` win over our defaults, which win over TRL's.
        output_dir, seed: of the run.

    Raises:
        ValueError: as `build_config`; a seed for each completion.
    """
    given = {
        "output_dir": str(output_dir),
        "seed": seed,
        "max_completion_length": task.max_new_tokens,
        "reward_weights": [reward.weight for reward in stage.rewards],
    }
    if "per_device_train_batch_size" in stage.args:
        given["per_device_eval_batch_size"] = stage.args["per_device_train_batch_size"]
    if stage.mix is not None and stage.mix.order is not None:
        given["shuffle_dataset"] = False
    config = build_config(CONFIGS[stage.algorithm], stage.args, DEFAULTS[stage.algorithm] | given)
    if config.use_vllm and config.vllm_mode == "colocate" and "seed" in (config.generation_kwargs or {}):
        raise ValueError(
            f"generation_kwargs: seed={config.generation_kwargs['seed']} would draw every completion of a group alike "
            "where vLLM shares the process, and nothing would be learned; leave it out: the run's seed is enough"
        )
    return config


def build_rewards(
    stage: RlStage, grader: str = "match", answer_format: AnswerFormat = "auto"
) -> list[VerdictReward | FunctionReward]:
    """The rewards of a stage, each with a name of its own.

    Args:
        stage: names them, with arguments.
        grader, answer_format: the task's, where a reward that grades has no own.

    Raises:
        ValueError: as `abstain.rewards.build_reward`.

    Example:
        >>> build_rewards(RlStage(rewards=[{"name": "truthrl"}]), answer_format="plain")[0].__name__
        'ternary_credit_truthrl_plain'
    """
    of_task = {"grader": grader, "answer_format": answer_format}
    rewards = [build_reward(reward.name, reward.args, of_task) for reward in stage.rewards]
    names = [reward.__name__ for reward in rewards]
    for place, reward in enumerate(rewards):
        if isinstance(reward, FunctionReward) and names.count(reward.__name__) > 1:  # of two files
            reward.__name__ += f"_{place}"
    return rewards


def check_answer_formats(rewards: Sequence[Any], taught: AnswerFormat | None) -> None:
    """Refuse a reward that pays for any format, where the policy was taught one: the others would be ways to hedge.

    Args:
        rewards: of a stage; those that do not grade are nobody's business here.
        taught: by a stage before it, or asked for in its prompts; `None` if none was.

    Raises:
        ValueError: with the format to set.

    Example:
        >>> from abstain.rewards import ConfidenceTarget
        >>> check_answer_formats([ConfidenceTarget()], "boxed")
        Traceback (most recent call last):
        ...
        ValueError: the policy was taught to answer in the format 'boxed', and the reward confidence_target pays for
        any: two answers in two formats would be two chances. Set answer_format: boxed, or the one that is meant
    """
    for reward in rewards:
        if taught and isinstance(reward, VerdictReward) and reward.answer_format == "auto":
            raise ValueError(
                f"the policy was taught to answer in the format {taught!r}, and the reward {reward.__name__} pays for "
                f"any: two answers in two formats would be two chances. Set answer_format: {taught}, or the one that "
                "is meant"
            )


def run_rl(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    stage: RlStage,
    *,
    output_dir: Path,
    seed: int,
    prompt_format: PromptFormat = "auto",
    resume: bool = False,
    start: BaseGuesses | None = None,
    held_out: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    known: Known | None = None,
) -> Any:
    """Train `model` in place.

    Args:
        model, tokenizer: the policy to start from.
        task: its training questions are asked, each at every target of the stage. Rewards read its `answer_format`.
        stage: algorithm, rewards, targets and TRL's fields.
        output_dir: for checkpoints and `trainer_state.json`.
        seed, prompt_format, resume, about, known: as for `abstain.trainers.sft.run_sft`.
        start: best guesses of the model that the recipe started from: to guards, what it knew.
        held_out: arguments of `abstain.trainers.heldout.HeldOut`, for held-out curves; none by default. Where the
            stage has an `eval_strategy`, its one set is TRL's evaluation set, and it needs no `every`.

    Returns:
        TRL's trainer, which knows how the weights are spread over processes.

    Raises:
        ThresholdDriftError: the reward scaling would move a reward's threshold.
        ValueError: a reward that pays for any format where prompts ask for one; no training questions, or fewer than
            one batch of them; an `eval_strategy` and nothing held out; no such tracker; out of memory.
    """
    # These take seconds to import, and a recipe is checked without them
    from abstain.trainers.guards.callback import Guards
    from abstain.trainers.guards.rewards import Grading, explained
    from abstain.trainers.heldout import HeldOut
    from abstain.trainers.tracking.dashboards import add_dashboards, usable_trackers

    config = build_rl_config(task, stage, output_dir, seed)
    rewards = build_rewards(stage, task.grader, task.answer_format)
    check_answer_formats(rewards, asked_format(task.template))
    if not stage.allow_threshold_drift:
        check_threshold_drift(rewards, stage.algorithm, config)
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id, *_list(model.generation_config.eos_token_id)} - {None}
    grading = Grading(grader=task.grader, answer_format=task.answer_format)
    for reward in (*rewards, grading):
        if isinstance(reward, VerdictReward):
            reward.eos_token_ids = sorted(ends)
    dataset = rl_dataset(
        task,
        stage.targets,
        tokenizer,
        prompt_format=prompt_format,
        instruct=stage.instruct,
        limit=stage.limit,
        mix=stage.mix,
        known=known,
        seed=seed,
    )
    _check_enough(len(dataset), config)
    config.report_to = usable_trackers(config.report_to)
    options: dict[str, Any] = {"dynamic_sampling": stage.dynamic_sampling} if stage.dynamic_sampling else {}
    if config.eval_strategy != "no":
        options |= _evaluation(tokenizer, prompt_format, held_out, sorted(ends))
    guards = None
    if stage.guards is not None:
        guards = Guards(stage.guards, start=start.train if start else None, questions=task.train)
    trainer = _trainer_class(stage)(
        model=model,
        args=config,
        reward_funcs=guards.wrap(rewards, grading) if guards else [explained(reward) for reward in rewards],
        train_dataset=dataset,
        processing_class=tokenizer,
        **options,
    )
    warn_of_the_rest(trainer, stage.mix)
    start_as_reference(trainer)
    add_dashboards(trainer, about=about or {}, samples=(lambda: guards.samples) if guards else tuple)
    if guards:
        guards.attach(trainer)
    if held_out and held_out.get("every"):
        HeldOut(trainer, **held_out)
    seen = [*answers(task.train), *instructions(stage.targets, stage.instruct)]
    with only_rows_of(seen, trainer, tokenizer, stage.train_embeddings):
        train(trainer, resume)
    return trainer


def _list(ids: int | list[int] | None) -> list[int]:
    return ids if isinstance(ids, list) else [] if ids is None else [ids]


def _check_enough(rows: int, config: Any) -> None:
    """TRL drops the tail of the data: with less than one batch it would train on nothing, silently."""
    needed = config.generation_batch_size // config.num_generations
    if rows < needed:
        raise ValueError(
            f"{rows} training prompts (questions times targets) are fewer than the {needed} of one batch: take more "
            f"questions, or lower rl.args.per_device_train_batch_size (now {config.per_device_train_batch_size}) or "
            f"gradient_accumulation_steps (now {config.gradient_accumulation_steps})"
        )


def _evaluation(
    tokenizer: PreTrainedTokenizerBase,
    prompt_format: PromptFormat,
    held_out: Mapping[str, Any] | None,
    ends: list[int],
) -> dict[str, Any]:
    """Arguments of the trainer, for TRL's evaluations: the questions that `HeldOut` would ask, and their metrics."""
    from abstain.trainers.verdict_metrics import VerdictMetrics

    if not held_out or len(held_out["sets"]) != 1:
        raise ValueError("eval_strategy needs one set of held-out questions: give held_out, or set eval_strategy: no")
    ((_, asked),) = held_out["sets"].items()
    seed, instruct = held_out.get("seed", 0), held_out.get("instruct", "target")
    rows = rl_dataset(
        replace(asked.task, train=asked.task.held_out),
        held_out.get("targets", TARGETS),
        tokenizer,
        prompt_format=prompt_format,
        instruct=instruct,
        limit=held_out.get("limit", 500),
        seed=seed,
    )
    if instruct == "confidence":  # there are no targets to score at, and rewards are measured anyway
        return {"eval_dataset": rows}
    metrics = VerdictMetrics(
        grader=asked.task.grader,
        answer_format=asked.task.answer_format,
        start=asked.start,
        eos_token_ids=ends,
        seed=seed,
    )
    return {"eval_dataset": rows, "compute_metrics": metrics}


def _trainer_class(stage: RlStage) -> type:
    """The trainer; importing TRL takes seconds."""
    if stage.algorithm == "ppo":
        from abstain.trainers.ppo import PPOTrainer, TriePPOTrainer

        return TriePPOTrainer if stage.share_prefixes else PPOTrainer
    from abstain.trainers.trie.trainer import StockGRPOTrainer, StockRLOOTrainer, TrieGRPOTrainer, TrieRLOOTrainer

    if stage.share_prefixes:
        return {"grpo": TrieGRPOTrainer, "rloo": TrieRLOOTrainer}[stage.algorithm]
    return {"grpo": StockGRPOTrainer, "rloo": StockRLOOTrainer}[stage.algorithm]
