"""Checks that the prompts of a recipe ask for what its rewards pay for, and its evaluation measures."""

from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedTokenizerBase

from abstain.recipes.recipe import FACTWORLD, FORMAT, Recipe
from abstain.recipes.yaml_lines import KeyPath
from abstain.rewards import ConfidenceTarget, ProperScore, build_reward
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, with_confidence
from abstain.trainers.stages import RlStage

WORDS = "confidence_words"
Problems = Iterator[tuple[KeyPath, str]]


def instruct_problems(recipe: Recipe) -> Problems:
    """What does not go together, and where it was written. Rewards are known to be buildable.

    Example:
        >>> recipe = Recipe(name="r", task={"name": "geo"}, model={"path": "m"}, rl={"instruct": "nothing"})
        >>> [at for at, problem in instruct_problems(recipe)]
        [('eval', 'instruct')]
    """
    yield from _different(recipe)
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
            yield (name, "instruct"), f"{name} trains with instruct: {instruct}, {last} with {stages[last]}; use one"
    if recipe.eval.instruct != stages[last]:
        yield (
            ("eval", "instruct"),
            f"{last} trains with instruct: {stages[last]}, and eval measures with {recipe.eval.instruct}: prompts "
            f"that were never trained on. Set eval.instruct: {stages[last]}",
        )


def _reward_problems(stage: RlStage, own_template: bool) -> Problems:
    for index, config in enumerate(stage.rewards):
        reward: Any = build_reward(config.name, config.args)
        reward = getattr(reward, "_pricing", reward)
        at: KeyPath = ("rl", "rewards", index)
        if stage.instruct == "confidence" and isinstance(reward, ConfidenceTarget):
            yield at, "ConfidenceTarget reads a target, and with instruct: confidence there is none; use ProperScore"
        if stage.instruct != "confidence" and isinstance(reward, ProperScore) and not own_template:
            yield (
                at,
                "ProperScore pays for a stated confidence, and no prompt asks for one: every answer would earn the "
                "minimum. Set sft.instruct, rl.instruct and eval.instruct: confidence",
            )
