"""Checks a recipe needs beyond its shape: names that other packages know, arguments that their constructors take."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from types import SimpleNamespace

from abstain.evals.tasks import TASKS
from abstain.recipes.instruct_checks import instruct_problems
from abstain.recipes.recipe import Origin, Recipe, TaskConfig
from abstain.recipes.yaml_lines import KeyPath
from abstain.rewards import build_reward
from abstain.rewards.errors import nearest
from abstain.trainers.drift import check_threshold_drift
from abstain.trainers.rl import CONFIGS, DEFAULTS
from abstain.trainers.stages import RlStage
from abstain.trainers.trl_args import check_trl_args, config_class


def check_recipe(recipe: Recipe, origin: Origin) -> None:
    """Refuse what would only fail once the model is loaded.

    Raises:
        ValueError: one line per mistake, each with file and line.
    """
    found = list(_problems(recipe)) or list(instruct_problems(recipe))  # which builds the rewards
    mistakes = [f"{origin.of(at)}: {problem}" for at, problem in found]
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _problems(recipe: Recipe) -> Iterator[tuple[KeyPath, str]]:
    yield from _task_problems(("task",), recipe.task)
    if recipe.eval.task:
        yield from _task_problems(("eval", "task"), recipe.eval.task)
    for name, stage in recipe.stages.items():
        yield from _rl_problems(stage) if isinstance(stage, RlStage) else _trl_problems(name, "SFTConfig", stage.args)


def _rl_problems(stage: RlStage) -> Iterator[tuple[KeyPath, str]]:
    found = list(_trl_problems("rl", CONFIGS[stage.algorithm], stage.args))
    for index, reward in enumerate(stage.rewards):
        found += _attempt(("rl", "rewards", index), build_reward, reward.name, reward.args)
    if found:
        yield from found
        return
    rewards = [build_reward(reward.name, reward.args) for reward in stage.rewards]
    settings = _settings(stage)
    if not stage.allow_threshold_drift:
        yield from _attempt(("rl", "args"), check_threshold_drift, rewards, stage.algorithm, settings)
    if stage.guards is not None:
        from abstain.trainers.guards import check_guards  # takes seconds to import

        yield from _attempt(("rl", "guards"), check_guards, stage.guards, rewards, settings)


def _settings(stage: RlStage) -> SimpleNamespace:
    """TRL's configuration as far as checks read it; the real one wants the machine that will train."""
    theirs = {field.name: field.default for field in fields(config_class(CONFIGS[stage.algorithm]))}
    return SimpleNamespace(**(theirs | DEFAULTS[stage.algorithm] | stage.args))


def _task_problems(at: KeyPath, task: TaskConfig) -> Iterator[tuple[KeyPath, str]]:
    if task.name not in TASKS:
        yield (*at, "name"), f"unknown task '{task.name}'. {nearest(task.name, TASKS)}"
        return
    allowed = TASKS[task.name].options()
    for option in task.options:
        if option not in allowed:
            yield (*at, option), f"task {task.name} has no option '{option}'. {nearest(option, allowed)}"


def _trl_problems(stage: str, config: str, args: dict[str, object]) -> Iterator[tuple[KeyPath, str]]:
    for name, value in args.items():
        yield from _attempt((stage, "args", name), check_trl_args, config, {name: value})
    if trackers := args.get("report_to"):
        from abstain.trainers.dashboards import check_trackers  # takes seconds to import

        yield from _attempt((stage, "args", "report_to"), check_trackers, trackers)


def _attempt(at: KeyPath, check: Callable[..., object], *args: object) -> Iterator[tuple[KeyPath, str]]:
    try:
        check(*args)
    except (ValueError, TypeError) as error:
        yield at, str(error)
