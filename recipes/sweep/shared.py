"""What points have in common is computed once: the fact world's base model, labels, measurements, supervised stages.

    before            before-3f29c1a08d4e/       of the 12 points that start from one model and seed
      sft             sft-91b07e55aa10/          of the 4 among them that also share the warm-up
        rl            points/...                 hard links to what was shared, then their own stage

Steps are the same where everything that goes into them is: the recipe's sections up to that step.
"""

import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from abstain.recipes.run.directory import RunDir, comparable, write_directory
from abstain.recipes.run.recipe import (
    LABELS,
    OWN_MODELS,
    Recipe,
    load_recipe,
    measured_stage,
    measures,
    world_options,
)

SHARED_NAME = "shared"


@dataclass(frozen=True)
class Prefix:
    """The steps of a recipe up to one that is not its last stage.

    Args:
        steps: their names, in order.
        key: a hash of all that goes into them.
    """

    steps: tuple[str, ...]
    key: str

    @property
    def name(self) -> str:
        """What its directory is called."""
        return f"{self.steps[-1]}-{self.key}"


def prefixes(recipe: Recipe) -> list[Prefix]:
    """Every prefix of a recipe, the shortest first.

    Example:
        >>> recipe = Recipe(name="r", task={"name": "geo"}, model={"path": "m"}, sft={}, rl={})
        >>> [prefix.steps for prefix in prefixes(recipe)]
        [('before',), ('before', 'sft'), ('before', 'sft', 'after-sft')]
    """
    steps = recipe.steps[: recipe.steps.index(list(recipe.stages)[-1])]  # without the last stage and what follows
    return [Prefix(tuple(steps[:end]), _key(recipe, steps[:end])) for end in range(1, len(steps) + 1)]


def _key(recipe: Recipe, steps: Sequence[str]) -> str:
    data = comparable(recipe)
    if recipe.labels is not None:  # which questions they are of is all that they have of later stages
        data["labels"] = data["labels"] | {"limit": recipe.to_label}
    if not any(map(measures, steps)):
        data["eval"] = {key: data["eval"][key] for key in _eval_of(recipe)}
    left_out = {"name", *recipe.stages} - set(steps)
    used = {key: value for key, value in data.items() if key not in left_out and value is not None}
    if measured_stage(steps[-1]):  # nothing new goes into it, and yet it is a further step
        used["step"] = steps[-1]
    return hashlib.sha256(json.dumps(used, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _eval_of(recipe: Recipe) -> set[str]:
    """What matters of the evaluation to steps that do not measure: whose questions training leaves out, and labels."""
    if recipe.labels is None:
        return {"task"}
    return {"task", "autocast", "batch_tokens"} | ({"limit"} if recipe.labels.held_out else set())


def shared_overrides(recipe: Recipe, prefix: Prefix) -> list[str]:
    """What makes a point's recipe the one of a prefix: the same for whichever point it is taken from."""
    later = [f"{name}=null" for name in recipe.stages if name not in prefix.steps]
    if LABELS in prefix.steps and recipe.to_label is not None:  # which later stages said
        later.append(f"labels.limit={recipe.to_label}")
    if not any(map(measures, prefix.steps)):
        later.append("eval=" + json.dumps(recipe.eval.model_dump(mode="json", include=_eval_of(recipe))))
    return [*later, "rl={}", f"name={SHARED_NAME}"]  # there must be a last stage, though it is not run


def count_prefixes(recipes: Iterable[Recipe]) -> Counter[str]:
    """How many recipes each prefix is part of."""
    return Counter(prefix.key for recipe in recipes for prefix in prefixes(recipe))


def constant_prefixes(recipes: Sequence[Recipe]) -> Counter[str]:
    """The same for a search, whose points are not known yet: what no searched value changes is shared by all.

    Args:
        recipes: among them, with one and the same seed, one with each value that may be searched.
    """
    if not recipes:
        return Counter()
    seed = recipes[0].seed
    chains = [[prefix.key for prefix in prefixes(recipe)] for recipe in recipes if recipe.seed == seed]
    constant = len(list(takewhile(lambda keys: len(set(keys)) == 1, zip(*chains, strict=False))))
    return Counter({one.key: 2 for recipe in recipes for one in prefixes(recipe)[:constant]})  # 2: several


def shared_prefixes(recipe: Recipe, count: Mapping[str, int]) -> list[Prefix]:
    """The prefixes that are worth computing apart from this point, each going on where the one before it ends.

    A prefix that is shared by just as many points as the next longer one is a part of that.
    """
    chain = prefixes(recipe)
    shares = [count.get(prefix.key, 0) for prefix in chain] + [0]
    return [prefix for prefix, here, longer in zip(chain, shares, shares[1:], strict=False) if here > max(longer, 1)]


def prepare_bases(recipes: Iterable[Recipe]) -> None:
    """Train the base models of made-up worlds that the recipes start from, unless they are cached.

    Before any worker starts, because several at once would each train the same one.
    """
    wanted: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for recipe in recipes:
        if (path := recipe.model.path) in OWN_MODELS:
            options = world_options(recipe.task.name, recipe.task.options)
            key = json.dumps([path, options], sort_keys=True, default=str)
            wanted[key] = path, recipe.task.name, options
    for path, task, options in wanted.values():
        from abstain.recipes.run.threads import settle_threads
        from abstain.recipes.run.training import own_model

        settle_threads()
        own_model(path, task, options)


def take_over(source: Path, directory: RunDir, recipe: Recipe, steps: Sequence[str]) -> None:
    """Give a run the steps that another one completed, by hard links where the file system has them.

    Each step is there whole and then called complete, as if the run had done it: a kill in between loses nothing.

    Args:
        source: a run directory in which `steps` are complete.
        directory: opened for `recipe`.
        recipe: of the run that takes them over.
        steps: their names, in order.
    """
    if not directory.started:
        directory.start(recipe)
    for step in steps:
        if step in directory.complete:
            continue
        if stage := measured_stage(step):
            _link_missing(source / stage, directory.path / stage)
        else:
            write_directory(directory.path / step, partial(_link_tree, source / step))
        directory.mark_complete(step)


def _link_missing(source: Path, target: Path) -> None:
    """What a measurement left in the directory of a stage that was taken over before."""
    for file in source.iterdir():
        if file.is_file() and not (target / file.name).exists():
            _link(str(file), str(target / file.name))


def _link_tree(source: Path, target: Path) -> None:
    ignore = shutil.ignore_patterns("checkpoint-*")  # of a stage that is complete
    shutil.copytree(source, target, copy_function=_link, ignore=ignore, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def run_shared(base: str, until: str, overrides: Sequence[str]) -> None:
    """Run a recipe up to a step, resuming what is there."""
    from abstain.recipes.run.console import on_terminal, say
    from abstain.recipes.run.steps import Run  # imports torch

    recipe, _ = load_recipe(base, overrides)
    directory = RunDir(recipe.run_path)
    directory.open(recipe, resume=True)
    Run(recipe, directory, say=say, progress=on_terminal()).run(until)


def main(arguments: Sequence[str]) -> int:
    """`python -m abstain.recipes.sweep.shared BASE UNTIL KEY=VALUE ...`, started by a sweep."""
    from abstain.recipes.run.console import complain

    try:
        run_shared(arguments[0], arguments[1], arguments[2:])
    except KeyboardInterrupt as error:
        complain(error)
        return 130
    except (ValueError, OSError, ImportError) as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
