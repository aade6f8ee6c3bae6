"""From a completion to a `Response`: the stated answer, or that none is offered, and the stated confidence."""

from abstain.rewards.parsing.abstention import is_abstention, load_phrases
from abstain.rewards.parsing.completion import parse
from abstain.rewards.parsing.confidence import read_confidence

__all__ = ["is_abstention", "load_phrases", "parse", "read_confidence"]
