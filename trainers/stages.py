"""What a recipe may say about its two training stages, checked before anything is loaded."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from abstain.rewards.prompts import check_target
from abstain.trainers.guard_options import GuardOptions

Target = Annotated[float, AfterValidator(check_target)]
TARGETS = [0.0, 0.5, 0.75, 0.9]


class RewardConfig(BaseModel):
    """A reward class of `abstain.rewards` by name, and the arguments of its constructor."""

    model_config = ConfigDict(extra="forbid")

    name: str = "ConfidenceTarget"
    args: dict[str, Any] = Field(default_factory=dict)
    weight: float = 1.0
    """Weight in the sum of rewards; 0 only logs it."""


class SftStage(BaseModel):
    """Supervised warm-up: the answer format, and enough "I don't know" that RL can find it."""

    model_config = ConfigDict(extra="forbid")

    limit: int | None = Field(None, ge=1)
    """Use this many training questions, drawn with the seed (all by default)."""
    answers: Literal["own", "known", "gold"] = "own"
    """What is taught to answer: the model's own best guess, only those of its guesses that are right, or the gold
    answer. New facts taught here raise hallucination later (Gekhman et al. 2024); `own` and `known` teach none."""
    idk: Literal["random", "unsure"] = "random"
    """Which examples at t > 0 answer "I don't know": a random share, or those whose best guess has a probability below
    t by the model's own account."""
    idk_share: float = Field(0.15, ge=0, lt=1)
    """The random share. Not used by `unsure`."""
    targets: list[Target] = Field(TARGETS, min_length=1)
    state_target: bool = True
    """Write the target into the prompt."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Any field of `trl.SFTConfig`."""


class RlStage(BaseModel):
    """Reinforcement learning on TRL."""

    model_config = ConfigDict(extra="forbid")

    algorithm: Literal["grpo", "rloo", "ppo"] = "grpo"
    limit: int | None = Field(None, ge=1)
    """Use this many training questions, drawn with the seed (all by default)."""
    targets: list[Target] = Field(TARGETS, min_length=1)
    """Confidence targets. Every question is asked at each of them, in random order."""
    state_target: bool = True
    """Write the target into the prompt. Without it a reward still sees it: a model for one target, or an ablation."""
    rewards: list[RewardConfig] = Field(default_factory=lambda: [RewardConfig()], min_length=1)
    share_prefixes: bool = True
    """Sample and train every distinct token path once, where that is exact."""
    allow_threshold_drift: bool = False
    """Let a threshold reward meet a reward scaling that moves its threshold (for ablations)."""
    guards: GuardOptions | None = None
    """Watch for collapses; `{}` logs and warns, and each remedy is switched on by its key, as in `seed_idk: {}`."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Any field of `trl.GRPOConfig` (`trl.RLOOConfig` for rloo, `abstain.trainers.ppo.PPOConfig` for ppo)."""
