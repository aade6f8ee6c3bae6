"""A language model as the grader, with its replies kept, counted and priced."""

from abstain.rewards.judge.grader import Case, JudgeGrader

__all__ = ["Case", "JudgeGrader"]
