"""What a recipe may say about its two training stages, checked before anything is loaded."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from abstain.rewards.prompts import check_target

Target = Annotated[float, AfterValidator(check_target)]


class RewardConfig(BaseModel):
    """A reward class of `abstain.rewards` by name, and the arguments of its constructor."""

    model_config = ConfigDict(extra="forbid")

    name: str = "ConfidenceTarget"
    args: dict[str, Any] = Field(default_factory=dict)


class SftStage(BaseModel):
    """Supervised warm-up: the answer format, and enough "I don't know" that RL can find it."""

    model_config = ConfigDict(extra="forbid")

    limit: int | None = None
    """Use this many training questions (all by default)."""
    idk_share: float = Field(0.15, ge=0, lt=1)
    """Share of the examples at t > 0 whose answer is "I don't know"."""
    targets: list[Target] = [0.0, 0.5, 0.75, 0.9]
    args: dict[str, Any] = Field(default_factory=dict)
    """Any field of `trl.SFTConfig`."""


class RlStage(BaseModel):
    """Reinforcement learning on TRL."""

    model_config = ConfigDict(extra="forbid")

    algorithm: Literal["grpo", "rloo", "ppo"] = "grpo"
    limit: int | None = None
    targets: list[Target] = [0.0, 0.5, 0.75, 0.9]
    """Confidence targets, one drawn per prompt."""
    rewards: list[RewardConfig] = Field(default_factory=lambda: [RewardConfig()])
    allow_threshold_drift: bool = False
    """Let a threshold reward meet a reward scaling that moves its threshold (for ablations)."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Any field of `trl.GRPOConfig` (`trl.RLOOConfig` for rloo)."""
