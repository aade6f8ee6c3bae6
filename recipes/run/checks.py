"""Checks a recipe needs beyond its shape: names that other packages know, arguments that their constructors take, and
prompts that ask for what the rewards pay for.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from transformers import PreTrainedTokenizerBase

from abstain.evals.detectors.fitted import named_detector, read_detectors
from abstain.evals.knowledge.labels import read_labels
from abstain.evals.knowledge.protocol import PRESETS
from abstain.evals.tasks.catalogue import NamedTask, find_task
from abstain.recipes.run.code import admit, missing_code
from abstain.recipes.run.recipe import (
    FACTWORLD,
    FORMAT,
    Origin,
    Recipe,
    TaskConfig,
    taught_format,
    training_format,
)
from abstain.recipes.run.yaml_lines import KeyPath
from abstain.rewards import ClaimTarget, ConfidenceTarget, JudgedReward, ProperScore, build_reward
from abstain.rewards.errors import nearest
from abstain.rewards.grading import find_grader
from abstain.rewards.named import short
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, asked_format, with_confidence
from abstain.rewards.response import AnswerFormat
from abstain.trainers.offline import CONFIGS as OFFLINE_CONFIGS
from abstain.trainers.rl import CONFIGS, DEFAULTS, build_rewards, check_answer_formats
from abstain.trainers.stages import OfflineStage, RlStage, SftStage, needs_labels, tells_unknown
from abstain.trainers.trl_args import check_threshold_drift, check_trl_args, config_class

WORDS = "confidence_words"
Problems = Iterator[tuple[KeyPath, str]]
"""What is wrong, and under which key."""


def check_recipe(recipe: Recipe, origin: Origin) -> None:
    """Refuse what would only fail once the model is loaded. Imports the code that the recipe names, and says so.

    Raises:
        ValueError: one line per mistake, each with file and line; or code of a stranger's, see
            `abstain.recipes.run.code`.
    """
    found = list(missing_code(recipe, origin))
    if not found:
        admit(recipe, origin)
        found = list(_problems(recipe)) or list(instruct_problems(recipe))  # which builds the rewards
    mistakes = [f"{origin.of(at)}: {problem}" for at, problem in found]
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _problems(recipe: Recipe) -> Problems:
    yield from _task_problems(("task",), recipe.task)
    yield from _label_problems(recipe)
    if recipe.eval.task:
        yield from _task_problems(("eval", "task"), recipe.eval.task)
    for name, stage in recipe.stages.items():
        if isinstance(stage, SftStage):
            yield from _trl_problems(name, "SFTConfig", stage.args)
            yield from _detector_problems(recipe, name, stage)
        elif isinstance(stage, OfflineStage):
            yield from _trl_problems(name, OFFLINE_CONFIGS[stage.algorithm], stage.args)
            yield from _offline_format_problems(recipe)
        else:
            yield from _rl_problems(recipe, stage)


def _label_problems(recipe: Recipe) -> Problems:
    """Where stages need labels that there are none of."""
    for name, stage in recipe.stages.items():
        if (key := needs_labels(stage)) and recipe.labels is None:
            yield (
                (name, key),
                f"{name}.{key} needs to know what the starting model knows: add the line `labels: {{}}` to the "
                "recipe, or labels={} to the command",
            )
    if recipe.labels is None:
        return
    sampled = PRESETS[recipe.labels.preset].samples
    if (path := recipe.labels.path) is not None:
        try:
            if not Path(path).exists():
                raise FileNotFoundError(f"{path} is not there; labels.path=null has labels made by the run")
            sampled = read_labels(path).about.protocol.get("samples", 1)
        except (OSError, ValueError) as error:
            yield ("labels", "path"), str(error)
    for name, stage in recipe.stages.items():
        if not sampled and (key := tells_unknown(stage)):
            yield (
                (name, *key.split(".")),
                f"{name}.{key} needs Unknown questions told from WeaklyKnown ones, which takes samples: set "
                "labels.preset=categories" + (" and labels.path=null" if path else ""),
            )


def _detector_problems(recipe: Recipe, name: str, stage: SftStage) -> Problems:
    """A file of detectors that is not there, or that can be of no model that is trained."""
    if stage.detector is None:
        return
    path, one = named_detector(stage.detector)
    try:
        found = read_detectors(path)
        found.one(one)
        found.check_own_scores(path)
    except (OSError, ValueError) as error:
        yield (name, "detector"), str(error)
    if recipe.model.lora is not None:
        yield (
            (name, "detector"),
            "a detector knows its model by all of its weights, and LoRA wraps them: set idk=probe, or model.lora=null",
        )


def _rl_problems(recipe: Recipe, stage: RlStage) -> Problems:
    found = list(_trl_problems("rl", CONFIGS[stage.algorithm], stage.args))
    for index, reward in enumerate(stage.rewards):
        found += _attempt(("rl", "rewards", index), build_reward, reward.name, reward.args)
    if found:
        yield from found
        return
    yield from _format_problems(recipe, stage)
    rewards = build_rewards(stage)
    settings = _settings(stage)
    if not stage.allow_threshold_drift:
        for at, problem in _attempt(("rl", "args"), check_threshold_drift, rewards, stage.algorithm, settings):
            setting = problem.partition("=")[0]  # with which it begins
            yield (*at, setting), problem.replace("Set ", "Set rl.args.", 1)
    if stage.guards is not None:
        from abstain.trainers.guards.callback import check_guards  # takes seconds to import

        yield from _attempt(("rl", "guards"), check_guards, stage.guards, settings)


def _format_problems(recipe: Recipe, stage: RlStage) -> Problems:
    """A reward pays for the format that the policy was taught, and for no other."""

    def check() -> None:
        check_answer_formats(build_rewards(stage, answer_format=training_format(recipe)), _wanted_format(recipe))

    own = [index for index, reward in enumerate(stage.rewards) if "answer_format" in reward.args]
    yield from _attempt(("rl", "rewards", own[0]) if own else ("task", "answer_format"), check)


def _offline_format_problems(recipe: Recipe) -> Problems:
    """Nor does a comparison read any other."""
    read = [ConfidenceTarget(answer_format=training_format(recipe))]
    yield from _attempt(("task", "answer_format"), check_answer_formats, read, _wanted_format(recipe))


def _wanted_format(recipe: Recipe) -> AnswerFormat | None:
    """What prompts ask for, else what was taught."""
    return asked_format(str(recipe.task.options.get("template") or "")) or taught_format(recipe)


def _settings(stage: RlStage) -> SimpleNamespace:
    """TRL's configuration as far as checks read it; the real one wants the machine that will train."""
    theirs = {field.name: field.default for field in fields(config_class(CONFIGS[stage.algorithm]))}
    return SimpleNamespace(**(theirs | DEFAULTS[stage.algorithm] | stage.args))


def _task_problems(at: KeyPath, task: TaskConfig) -> Problems:
    try:
        spec = find_task(task.name)
        allowed = spec.options()
    except ValueError as error:
        yield (*at, "name"), str(error)
        return
    takes_any = isinstance(spec, NamedTask) and spec.takes_any
    unknown = [option for option in task.options if option not in allowed and not takes_any]
    for option in unknown:
        yield (*at, option), f"task {short(task.name)} has no option '{option}'. {nearest(option, allowed)}"
    if not unknown:
        yield from _attempt(at, spec.check, task.name, task.options)
    if isinstance(grader := task.options.get("grader"), str) and grader and not isinstance(spec, NamedTask):
        yield from _attempt((*at, "grader"), find_grader, grader)


def _trl_problems(stage: str, config: str, args: dict[str, object]) -> Problems:
    for name, value in args.items():
        yield from _attempt((stage, "args", name), check_trl_args, config, {name: value})
    if trackers := args.get("report_to"):
        from abstain.trainers.tracking.dashboards import check_trackers  # takes seconds to import

        yield from _attempt((stage, "args", "report_to"), check_trackers, trackers)


def _attempt(at: KeyPath, check: Callable[..., object], *args: object) -> Problems:
    try:
        check(*args)
    except (ValueError, TypeError) as error:
        yield at, str(error)


def instruct_problems(recipe: Recipe) -> Problems:
    """Where prompts do not ask for what rewards pay for, or eval measures. Rewards are known to be buildable.

    Example:
        >>> recipe = Recipe(name="r", task={"name": "geo"}, model={"path": "m"}, rl={"instruct": "nothing"})
        >>> [at for at, problem in instruct_problems(recipe)]
        [('eval', 'instruct')]
    """
    yield from _different(recipe)
    if recipe.labels and "claims" in {one.instruct for one in [*recipe.stages.values(), recipe.eval]}:
        yield (
            ("labels",),
            "labels say what is known of whole answers, and instruct: claims asks for statements: leave out",
        )
    if recipe.rl:
        yield from _reward_problems(recipe.rl, own_template="template" in recipe.task.options)
    if not asks_confidence(recipe):
        return
    guards = recipe.rl.guards if recipe.rl else None
    if guards and guards.seed_idk:
        yield ("rl", "guards", "seed_idk"), "it seeds where a target is above 0, and instruct: confidence states none"
    if recipe.model.path == FACTWORLD and not (recipe.task.name == FACTWORLD and recipe.task.options.get(WORDS)):
        yield ("task",), f"the fact world's model has no words for a confidence: set task.{WORDS}: true"


def asks_confidence(recipe: Recipe) -> bool:
    """Whether any prompt asks for a confidence."""
    return "confidence" in {one.instruct for one in [*recipe.stages.values(), recipe.eval]}


def check_words(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that cannot write a stated confidence, or read that one is asked for.

    Raises:
        ValueError: part of the text would be unknown to it.
    """
    if tokenizer.unk_token_id is None:
        return
    for text in (CONFIDENCE_INSTRUCTION, with_confidence("", 0.8)):
        if tokenizer.unk_token_id in tokenizer(text, add_special_tokens=False)["input_ids"]:
            raise ValueError(f"instruct: confidence cannot be used: the tokenizer has no words for {text!r}")


def _different(recipe: Recipe) -> Problems:
    """A model is measured by prompts that it was trained on. Only the format may be taught by others."""
    stages = {name: one.instruct for name, one in recipe.stages.items() if name != FORMAT}
    if not stages:
        return
    last = list(stages)[-1]
    for name, instruct in stages.items():
        if instruct != stages[last]:
            said = f"{name} trains with instruct: {instruct}, {last} with {stages[last]}"
            yield (name, "instruct"), f"{said}. Set {name}.instruct: {stages[last]}"
    if recipe.eval.instruct != stages[last]:
        yield (
            ("eval", "instruct"),
            f"{last} trains with instruct: {stages[last]}, and eval measures with {recipe.eval.instruct}: prompts "
            f"that were never trained on. Set eval.instruct: {stages[last]}",
        )


def _reward_problems(stage: RlStage, own_template: bool) -> Problems:
    for index, config in enumerate(stage.rewards):
        reward: Any = build_reward(config.name, config.args)
        reward = reward._pricing if isinstance(reward, JudgedReward) else reward
        at: KeyPath = ("rl", "rewards", index)
        if stage.instruct == "confidence" and isinstance(reward, ConfidenceTarget):
            yield at, "ConfidenceTarget reads a target, and with instruct: confidence there is none; use ProperScore"
        if stage.instruct != "claims" and isinstance(reward, ClaimTarget) and not own_template:
            yield (
                at,
                "ClaimTarget pays for each statement, and no prompt says so. Set sft.instruct, rl.instruct and "
                "eval.instruct: claims",
            )
        if stage.instruct != "confidence" and isinstance(reward, ProperScore) and not own_template:
            yield (
                at,
                "ProperScore pays for a stated confidence, and no prompt asks for one: every answer would earn the "
                "minimum. Set sft.instruct, rl.instruct and eval.instruct: confidence",
            )
