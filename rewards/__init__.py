"""From a completion to a verdict to a reward; loads in a blink, without torch, transformers or TRL.

Ready-made rewards run under stock TRL: `trl grpo --reward_funcs abstain.rewards.confidence_target ...`.
"""

from abstain.rewards.catalogue import (
    READY_MADE,
    REWARDS,
    JudgedReward,
    brier,
    build_reward,
    claim_target,
    confidence_target,
    confidence_target_original,
    describe_rewards,
    knowrl,
    log_score,
    nemo_abstention,
    rlcr,
    spherical,
    truthrl,
)
from abstain.rewards.claim_reward import ClaimTarget
from abstain.rewards.grading import UNANSWERABLE, grade
from abstain.rewards.prompts import instruction, with_targets
from abstain.rewards.proper import ProperScore
from abstain.rewards.scoring import ConfidenceTarget, TernaryCredit
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import VerdictReward

__all__ = [
    "READY_MADE",
    "REWARDS",
    "UNANSWERABLE",
    "ClaimTarget",
    "ConfidenceTarget",
    "JudgedReward",
    "ProperScore",
    "TernaryCredit",
    "Verdict",
    "VerdictReward",
    "brier",
    "build_reward",
    "claim_target",
    "confidence_target",
    "confidence_target_original",
    "describe_rewards",
    "grade",
    "instruction",
    "knowrl",
    "log_score",
    "nemo_abstention",
    "rlcr",
    "spherical",
    "truthrl",
    "with_targets",
]
