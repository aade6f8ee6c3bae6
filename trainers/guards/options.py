"""What a recipe may say about guards: how often to look, and which remedies to apply by themselves."""

from typing import Any

from pydantic import BaseModel, Field


class SeedIdk(BaseModel, extra="forbid"):
    """A few supervised steps on "I don't know", when it is hardly ever sampled.

    The examples are the policy's own last completions, so that nothing else changes, but a share of those at t > 0
    says "I don't know": enough to be sampled and judged by the reward, too little to be a habit.
    """

    share: float = Field(0.15, gt=0, lt=0.5)
    """Share of the examples at t > 0 that say it; done once it is half as probable."""
    steps: int = Field(100, ge=1)
    """Supervised steps at most, each time."""
    batch: int = Field(64, ge=2)
    """Examples in one step (per process)."""
    learning_rate: float | None = Field(None, gt=0)
    """Of these steps; by default that of training before any decay."""


class Stop(BaseModel, extra="forbid"):
    """An end, when nothing else has helped. The best checkpoint is the result where `eval.keep_best` is on."""

    patience: int = Field(10, ge=1)
    """Checks that an alarm has to last."""


class OwnRemedy(BaseModel, extra="forbid"):
    """A remedy of your own, see `abstain.trainers.guards.remedies.Remedy`."""

    name: str
    """`file.py:Thing`, beside the recipe, or `package.module:Thing`."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of its constructor."""


class GuardOptions(BaseModel, extra="forbid"):
    """Signals and warnings are always on; a remedy is switched on by its key, `seed_idk: {}` for its defaults."""

    every: int = Field(10, ge=1)
    """Steps between two checks."""
    seed_idk: SeedIdk | None = None
    """Teach "I don't know" where it is hardly ever sampled."""
    stop: Stop | None = None
    """End the run where an alarm lasts."""
    remedies: list[OwnRemedy] = Field(default_factory=list)
    """Remedies of your own, after these two."""
