"""One process of a stage that accelerate launched: `python -m abstain.recipes.launched STAGE RECIPE [KEY=VALUE ...]`.

On further machines, start it by hand with `accelerate launch --machine_rank N`, on a shared run directory.
"""

import os
import sys

from abstain.recipes.console import complain
from abstain.recipes.recipe import load_recipe
from abstain.recipes.rundir import RunDir
from abstain.recipes.training import Training


def main(stage: str, name: str, *overrides: str) -> int:
    """Train; 0 if it went well."""
    first = int(os.environ.get("RANK", "0")) == 0
    try:
        recipe, _ = load_recipe(name, overrides)
        directory = RunDir(recipe.run_path)
        directory.open(recipe, resume=True)
        Training(recipe, directory).train_launched(stage)
    except (ValueError, OSError, ImportError) as error:  # what carries a message for people
        if first:
            complain(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
