"""What a recipe may say about guards: how often to look, and which remedies to apply by themselves."""

from typing import Literal

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


class AnnealAbstention(BaseModel, extra="forbid"):
    """What "I don't know" earns falls linearly to 0."""

    credit: float | None = None
    """What it earns at the beginning; by default what the reward pays, which then has to be more than 0."""
    steps: int = Field(100, ge=1)
    """Steps until it earns 0."""
    begin: Literal["alarm", "start"] = "alarm"
    """Begin when an alarm says so, or with training."""


class RaiseKl(BaseModel, extra="forbid"):
    """A stronger pull to the model that RL started from, while the alarm lasts. `rl.args.beta` must be above 0, or
    there is none."""

    factor: float = Field(3.0, gt=1)
    """What beta is multiplied with at each check, and divided by once the alarm is over."""
    most: float = Field(1.0, gt=0)
    """The largest beta."""


class ReplayKnown(BaseModel, extra="forbid"):
    """Questions that the starting model guessed right take the place of others until they are answered again."""

    share: float = Field(0.5, gt=0, lt=1)
    """Share of the prompts that are replaced."""


class Stop(BaseModel, extra="forbid"):
    """An end, when nothing else has helped. The best checkpoint is the result where `eval.keep_best` is on."""

    patience: int = Field(10, ge=1)
    """Checks that an alarm has to last."""


class GuardOptions(BaseModel, extra="forbid"):
    """Signals and warnings are always on; a remedy is switched on by its key, `seed_idk: {}` for its defaults."""

    every: int = Field(10, ge=1)
    """Steps between two checks."""
    seed_idk: SeedIdk | None = None
    anneal_abstention: AnnealAbstention | None = None
    raise_kl: RaiseKl | None = None
    replay_known: ReplayKnown | None = None
    stop: Stop | None = None
