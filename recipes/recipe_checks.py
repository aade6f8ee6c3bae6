"""Checks a recipe needs beyond its shape: names that other packages know, arguments that their constructors take."""

from collections.abc import Callable, Iterator

from abstain.recipes.recipe import Origin, Recipe
from abstain.recipes.yaml_lines import KeyPath
from abstain.rewards import build_reward
from abstain.trainers.trl_args import check_trl_args

CONFIGS = {"grpo": "GRPOConfig", "rloo": "RLOOConfig", "ppo": "PPOConfig"}


def check_recipe(recipe: Recipe, origin: Origin) -> None:
    """Refuse what would only fail once the model is loaded.

    Raises:
        ValueError: one line per mistake, each with file and line.
    """
    mistakes = [f"{origin.of(at)}: {problem}" for at, problem in _problems(recipe)]
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _problems(recipe: Recipe) -> Iterator[tuple[KeyPath, str]]:
    if recipe.sft:
        yield from _trl_problems("sft", "SFTConfig", recipe.sft.args)
    if recipe.rl:
        yield from _trl_problems("rl", CONFIGS[recipe.rl.algorithm], recipe.rl.args)
        for index, reward in enumerate(recipe.rl.rewards):
            yield from _attempt(("rl", "rewards", index), build_reward, reward.name, reward.args)


def _trl_problems(stage: str, config: str, args: dict[str, object]) -> Iterator[tuple[KeyPath, str]]:
    for name, value in args.items():
        yield from _attempt((stage, "args", name), check_trl_args, config, {name: value})


def _attempt(at: KeyPath, check: Callable[..., object], *args: object) -> Iterator[tuple[KeyPath, str]]:
    try:
        check(*args)
    except (ValueError, TypeError) as error:
        yield at, str(error)
