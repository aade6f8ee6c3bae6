"""TRL's trainers by TRL's names, for a script of your own: rollouts as a trie, and refused is what recipes refuse.

trainer = GRPOTrainer(
    model="HuggingFaceTB/SmolLM2-135M",
    reward_funcs=ConfidenceTarget(),
    args=GRPOConfig("runs/mine", scale_rewards="none"),
    train_dataset=with_targets(dataset, [0, 0.5, 0.75, 0.9]),
)
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from abstain.rewards.parsing.completion import turn_text
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, asked_format, instruction, stated_instruction
from abstain.rewards.proper import ProperScore
from abstain.rewards.response import AnswerFormat
from abstain.rewards.scoring import ConfidenceTarget
from abstain.rewards.verdict_reward import VerdictReward, missing_column, read_answers, read_targets
from abstain.trainers.ppo import TriePPOTrainer
from abstain.trainers.rl import CONFIGS, DEFAULTS, check_answer_formats
from abstain.trainers.run_trainer import AnyTrainer, start_as_reference
from abstain.trainers.trie.trainer import TrieGRPOTrainer, TrieRLOOTrainer
from abstain.trainers.trl_args import (
    CHOICES,
    ThresholdDriftError,
    build_config,
    check_threshold_drift,
    check_trl_args,
    config_class,
)

ROWS, STREAMED_ROWS = 10_000, 1_000
"""So many rows of a data set are looked at, the first ones."""
READ = ("prompt", "answers", "target")


class _Checked(AnyTrainer):
    """Mixin that checks rewards, configuration and data against each other before a model is loaded."""

    algorithm: ClassVar[str]

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        *,
        share_prefixes: bool = True,
        allow_threshold_drift: bool = False,
        allow_unstated_targets: bool = False,
        **others: Any,
    ) -> None:
        args = _config(self.algorithm, args, model)
        given = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs]
        # Copies, since a reward is told which tokens end a completion of this model
        rewards = [copy.copy(reward) if isinstance(reward, VerdictReward) else reward for reward in given]
        ours = [reward for reward in rewards if isinstance(reward, VerdictReward)]
        check_config(rewards, self.algorithm, args, allow_threshold_drift)
        for name, dataset in _named(train_dataset, eval_dataset):
            check_dataset(dataset, ours, name, allow_unstated_targets)
        _check_enough(train_dataset, args)
        self.share_prefixes = share_prefixes
        super().__init__(
            model=model,
            reward_funcs=reward_funcs if reward_funcs is None else rewards,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            **others,
        )
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id} - {None}
        for reward in ours:
            if reward.eos_token_ids is None:
                reward.eos_token_ids = sorted(ends)
        start_as_reference(self)


class GRPOTrainer(_Checked, TrieGRPOTrainer):
    """`trl.GRPOTrainer` with rollouts shared as a trie, which refuses what would train another target than it says.

    The same arguments, results and logs as TRL's. Where sharing prefixes would not be exact, TRL's own path runs, and
    a warning says why. The model that training starts from is the reference of the KL term, also where it is not what
    lies at the path it was loaded from.

    Args:
        model, reward_funcs, train_dataset, eval_dataset: as for TRL; all other arguments too, by name.
        args: `trl.GRPOConfig`. Without any, our defaults: unscaled advantages and `loss_type="dr_grpo"`.
        share_prefixes: sample and train every distinct token path once, where that is exact.
        allow_threshold_drift: let a reward with a threshold meet a scaling of advantages that moves it.
        allow_unstated_targets: let rewards pay by a target, or for a confidence, that prompts do not ask for in the
            words of `abstain.rewards.instruction`: words of your own, or a model for one target.
        dynamic_sampling: draw another prompt where a group agrees, by options such as `{"max_rounds": 3}`; see
            `abstain.trainers.dynamic_sampling`.
        compute_metrics: a function of the completions and columns of a whole evaluation set, to a dictionary of
            numbers that are logged as `eval_…`; see `abstain.trainers.evaluation_metrics`.

    Raises:
        ThresholdDriftError: advantages that are divided by their standard deviation, as TRL's default does.
        ValueError: prompts that do not state what they are paid by; a column that is missing or malformed; a reward
            that pays for any format where prompts ask for one; less than one batch of prompts; a configuration of
            another trainer, or values that TRL would only trip over while it trains.

    Example:
        >>> from abstain.rewards import ConfidenceTarget
        >>> from trl import GRPOConfig
        >>> GRPOTrainer("any/model", ConfidenceTarget(), GRPOConfig("out", use_cpu=True, bf16=False))
        Traceback (most recent call last):
        ...
        abstain.trainers.trl_args.ThresholdDriftError: scale_rewards='group' divides advantages by their standard
        deviation, ... Write args=GRPOConfig(..., scale_rewards="none"), or allow_threshold_drift=True to see it happen
    """

    algorithm = "grpo"


class RLOOTrainer(_Checked, TrieRLOOTrainer):
    """`trl.RLOOTrainer` with rollouts shared as a trie, and the arguments and refusals of `GRPOTrainer`.

    Args:
        args: `trl.RLOOConfig`, whose default leaves advantages as they are.

    Raises:
        ThresholdDriftError: `normalize_advantages=True` beside a reward with a threshold.
        ValueError: as `GRPOTrainer`.
    """

    algorithm = "rloo"


class PPOTrainer(_Checked, TriePPOTrainer):
    """PPO, which TRL has no longer, with rollouts shared as a trie, and the arguments and refusals of `GRPOTrainer`.

    What it adds to TRL's GRPO is told in `abstain.trainers.ppo`.

    Args:
        args: `abstain.trainers.PPOConfig`.

    Raises:
        ValueError: as `GRPOTrainer`. No scaling drifts here: a batch never scales its own advantages.
    """

    algorithm = "ppo"


def _config(algorithm: str, args: Any, model: Any) -> Any:
    """The user's configuration, or our defaults where there is none."""
    kind = config_class(CONFIGS[algorithm])
    if args is None:
        path = model if isinstance(model, str) else getattr(model.config, "_name_or_path", "") or "model"
        name = f"{path.rstrip('/').rpartition('/')[2]}-{algorithm.upper()}"
        return build_config(CONFIGS[algorithm], {}, DEFAULTS[algorithm] | {"output_dir": name})
    if not isinstance(args, kind):
        package = "abstain.trainers" if algorithm == "ppo" else "trl"
        raise ValueError(f"args is a {type(args).__name__}, and must be a {package}.{kind.__name__}")
    return args


def _named(train_dataset: Any, eval_dataset: Any) -> Iterable[tuple[str, Any]]:
    """Every data set, by the name that the user's script would have for it."""
    if train_dataset is not None:
        yield "train_dataset", train_dataset
    if isinstance(eval_dataset, Mapping):
        yield from ((f"eval_dataset[{name!r}]", split) for name, split in eval_dataset.items())
    elif eval_dataset is not None:
        yield "eval_dataset", eval_dataset


def check_config(rewards: Sequence[Any], algorithm: str, args: Any, allow_threshold_drift: bool) -> None:
    """Refuse what would move a threshold, and values that TRL would only trip over while it trains.

    Args:
        rewards: as for TRL; ours say whether they have a threshold.
        algorithm: "grpo", "rloo" or "ppo".
        args: TRL's configuration.
        allow_threshold_drift: as for `GRPOTrainer`.

    Raises:
        ThresholdDriftError: with what to write instead.
        ValueError: a choice that there is not; columns that TRL is to drop, which rewards read; a seed for every
            completion of vLLM's.
    """
    check_trl_args(CONFIGS[algorithm], {name: getattr(args, name) for name in CHOICES if hasattr(args, name)})
    if args.remove_unused_columns and any(isinstance(reward, VerdictReward) for reward in rewards):
        raise ValueError("rewards read the columns answers and target: leave remove_unused_columns at False")
    if args.use_vllm and args.vllm_mode == "colocate" and "seed" in (args.generation_kwargs or {}):
        raise ValueError(
            f"generation_kwargs: seed={args.generation_kwargs['seed']} would draw every completion of a group alike "
            "where vLLM shares the process, and nothing would be learned; leave it out"
        )
    if allow_threshold_drift:
        return
    try:
        check_threshold_drift(rewards, algorithm, args)
    except ThresholdDriftError as error:  # which says what to set in a recipe
        reason = str(error).partition(" Set ")[0]
        set_to = 'scale_rewards="none"' if "scale_rewards" in reason else "normalize_advantages=False"
        if "normalize_then_sum" in reason:
            set_to = 'multi_objective_aggregation="sum_then_normalize"'
        raise ThresholdDriftError(
            f"{reason} Write args={type(args).__name__}(..., {set_to}), or allow_threshold_drift=True to see it happen"
        ) from None


def check_dataset(
    dataset: Any, rewards: Sequence[VerdictReward], name: str = "dataset", allow_unstated_targets: bool = False
) -> None:
    """Refuse a data set that our rewards cannot be paid by, or whose prompts do not say what they are paid by.

    Args:
        dataset: a `Dataset` or `IterableDataset` of the library datasets: of the first its first 10,000 rows are
            looked at, of a stream the first 1,000.
        rewards: those of ours.
        name: of the data set, for messages.
        allow_unstated_targets: as for `GRPOTrainer`.

    Raises:
        ValueError: with the row, and what to write instead.

    Example:
        >>> from datasets import Dataset
        >>> from abstain.rewards import with_targets
        >>> rows = [{"question": "Capital of Peru?", "answers": ["Lima"]}]
        >>> check_dataset(Dataset.from_list(with_targets(rows)), [ConfidenceTarget()])
        >>> told_nothing = Dataset.from_list(with_targets(rows, [0.75], instruct="nothing"))
        >>> check_dataset(told_nothing, [ConfidenceTarget()])
        Traceback (most recent call last):
        ...
        ValueError: dataset, row 0: confidence_target pays by t = 0.75, and the prompt does not state it: 'Capital of
        Peru?'. Write dataset = abstain.rewards.with_targets(dataset), or allow_unstated_targets=True
    """
    if not rewards:
        return
    columns, size = _first_rows(dataset)
    if not size:
        raise ValueError(f"{name} has no rows")
    if "prompt" not in columns:
        makes = f"; write {name} = abstain.rewards.with_targets({name})" if "question" in columns else ""
        raise ValueError(f"{name} has no column 'prompt', only {', '.join(columns)}{makes}")
    said = [_said(prompt) for prompt in columns["prompt"]]
    for reward in rewards:
        try:
            read_answers(columns.get("answers"), size, columns)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        priced = getattr(reward, "_pricing", reward)  # what a judge's verdicts are priced by
        if isinstance(priced, ConfidenceTarget):
            _check_targets(name, columns, said, priced, allow_unstated_targets)
        elif isinstance(priced, ProperScore) and not allow_unstated_targets:
            _check_confidence(name, columns, said)
    _check_formats(rewards, said)


def _first_rows(dataset: Any) -> tuple[dict[str, list[Any]], int]:
    """Columns of the first rows, and how many rows these are. What no reward reads is left empty: it may be images."""
    if hasattr(dataset, "__len__"):
        transformed = dataset.format["type"] == "custom"
        read = dataset if transformed else dataset.select_columns([name for name in READ if name in dataset.features])
        columns = {name: list(column) for name, column in read[:ROWS].items()}
        return {name: [] for name in dataset.features} | columns, min(len(dataset), ROWS)
    rows = list(islice(dataset, STREAMED_ROWS))
    return {key: [row.get(key) for row in rows] for key in rows[0]} if rows else {}, len(rows)


def _said(prompt: Any) -> str:
    """What a prompt says: a text, or of a conversation the last turns of the system and of the user."""
    return prompt if isinstance(prompt, str) else f"{turn_text(prompt, 'system')}\n{turn_text(prompt, 'user')}".strip()


def _check_targets(
    name: str, columns: Mapping[str, list[Any]], said: Sequence[str], reward: ConfidenceTarget, may_be_unstated: bool
) -> None:
    """Every prompt states the target that its answer is paid by; the same target for all may go without saying."""
    fixed = reward.target
    if fixed is None and "target" not in columns:
        remedy = f"{name} = abstain.rewards.with_targets({name}, [0, 0.5, 0.75, 0.9])"
        if stated_instruction(said[0]):
            remedy = _anew(name, columns, "[0, 0.5, 0.75, 0.9]")
        raise ValueError(f"{name}: {missing_column('target', columns)}. To state it in prompts too, write {remedy}")
    try:
        targets: list[float | None] = [fixed] * len(said)
        if fixed is None:
            targets = read_targets(columns["target"], len(said))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if None in targets:
        raise ValueError(
            f"{name}, row {targets.index(None)}: target is None, and {reward.__name__} pays by it; fill it in, or fix "
            "one with ConfidenceTarget(target=0.75)"
        )
    wordings = {target: instruction(target) for target in set(targets) if target is not None}
    for row, (target, text) in enumerate(zip(targets, said, strict=True)):
        assert target is not None
        stated = stated_instruction(text)
        if may_be_unstated or stated == wordings[target] or (fixed is not None and not stated):
            continue
        wrong = f"the prompt says {stated[:40]!r}…" if stated else f"the prompt does not state it: {_short(text)!r}"
        if fixed is not None and "target" in columns:
            remedy = "reward_funcs=ConfidenceTarget(), which pays by the column target"
        elif fixed is not None:
            remedy = _anew(name, columns, f"[{fixed:g}]")
        elif not stated:
            remedy = f"{name} = abstain.rewards.with_targets({name})"
        else:
            remedy = _anew(name, columns, "")
        raise ValueError(
            f"{name}, row {row}: {reward.__name__} pays by t = {target:g}, and {wrong}. Write {remedy}, or "
            "allow_unstated_targets=True"
        )


def _check_confidence(name: str, columns: Mapping[str, list[Any]], said: Sequence[str]) -> None:
    for row, text in enumerate(said):
        stated = stated_instruction(text)
        if stated == CONFIDENCE_INSTRUCTION:
            continue
        anew = _anew(name, columns, "instruct='confidence'") if stated else ""
        remedy = anew or f"{name} = abstain.rewards.with_targets({name}, instruct='confidence')"
        raise ValueError(
            f"{name}, row {row}: ProperScore pays for a stated confidence, and the prompt does not ask for one: every "
            f"answer would earn the minimum. Write {remedy}, or allow_unstated_targets=True if it asks in other words"
        )


def _anew(name: str, columns: Mapping[str, list[Any]], option: str) -> str:
    """How to make prompts that state another thing."""
    chat = not isinstance(columns["prompt"][0], str)
    if chat and "question" not in columns:
        return f"{name} = abstain.rewards.with_targets(...) of conversations that state nothing"
    asked = f"{name}.remove_columns('prompt')"
    if "question" not in columns:
        asked = f"{name}.map(lambda row: {{'prompt': abstain.rewards.prompts.question_of(row['prompt'])}})"
    options = [asked, *([option] if option else []), *(["chat=True"] if chat else [])]
    return f"{name} = abstain.rewards.with_targets({', '.join(options)})"


def _check_formats(rewards: Sequence[VerdictReward], said: Sequence[str]) -> None:
    """A format counts as asked for where every prompt asks for it; one alone may be about JSON."""
    asked: set[AnswerFormat | None] = {asked_format(text) for text in dict.fromkeys(said)}
    taught = asked.pop() if len(asked) == 1 else None
    for reward in rewards:
        try:
            check_answer_formats([reward], taught)
        except ValueError as error:  # which says what to set in a recipe
            own = copy.copy(reward)
            own.answer_format = taught or "auto"
            reason = str(error).partition(" Set ")[0].replace("policy was taught to answer in", "prompts ask for", 1)
            raise ValueError(f"{reason} Write reward_funcs={VerdictReward.__repr__(own)}") from None


def _check_enough(dataset: Any, args: Any) -> None:
    """TRL drops the tail of the data: with less than one batch it would train on nothing, silently."""
    needed = args.generation_batch_size // args.num_generations
    if hasattr(dataset, "__len__") and 0 < len(dataset) < needed:
        raise ValueError(
            f"train_dataset has {len(dataset)} prompts, fewer than the {needed} of one batch, and TRL would train on "
            f"none: take more, or lower per_device_train_batch_size (now {args.per_device_train_batch_size}) or "
            f"gradient_accumulation_steps (now {args.gradient_accumulation_steps})"
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
