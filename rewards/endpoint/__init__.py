"""A model behind an OpenAI-compatible endpoint, for whoever asks one: requests, retries, replies that are kept."""

from abstain.rewards.endpoint.client import Endpoint, Request
from abstain.rewards.endpoint.usage import Reply, Usage

__all__ = ["Endpoint", "Reply", "Request", "Usage"]
