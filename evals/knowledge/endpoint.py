"""Few-shot prompts continued by a model behind an endpoint.

What an endpoint cannot do: share what prompts begin with (the server may), draw from the 40 likeliest tokens where the
server takes no `top_k` (OpenAI's does not; at temperature 0.5 that hardly matters), and show its weights: labels carry
its name instead of a fingerprint, and nobody notices if the model behind the name is another one tomorrow.
"""

from collections.abc import Sequence
from dataclasses import replace

from abstain.evals.endpoint import EndpointSampler
from abstain.evals.knowledge.continuations import Continued, FewShot, Wanted
from abstain.evals.sampling import Completion
from abstain.evals.tasks.few_shot import ASK
from abstain.rewards.endpoint.client import OPENAI_URL

OPENING = ASK.rpartition("\n")[2]


class EndpointContinuer:
    """Asks an `EndpointSampler`, whose replies are kept on disk: what was asked before costs nothing.

    The text of a prompt is one turn of a user, or is continued as it is where the sampler's prompts are plain.

    Args:
        sampler: whom to ask. Its `Endpoint.request` gets a `top_k` unless the server is OpenAI's.
        top_k: of the protocol.
    """

    def __init__(self, sampler: EndpointSampler, top_k: int = 0) -> None:
        self.sampler = sampler
        endpoint = sampler.endpoint
        if top_k and endpoint.address.rstrip("/") != OPENAI_URL and "top_k" not in endpoint.request:
            sampler.endpoint = replace(endpoint, request={**endpoint.request, "top_k": top_k})

    def __call__(self, prompts: Sequence[FewShot], wanted: Wanted) -> list[Continued]:
        """As `abstain.evals.knowledge.continuations.Continue` says; `top_k` is set when this is made.

        Raises:
            ConnectionError: nearly nothing was replied to.
        """
        texts = [prompt.shared + prompt.rest for prompt in prompts]
        best: Sequence[Completion | None] = [None] * len(texts)
        drawn: Sequence[Sequence[Completion]] = [()] * len(texts)
        room, stop = wanted.max_new_tokens, wanted.stop
        if wanted.greedy:
            best = [_cut(row[0], stop) for row in self.sampler.sample(texts, max_new_tokens=room)]
        if wanted.samples:
            rows = self.sampler.sample(
                texts, n=wanted.samples, temperature=wanted.temperature, max_new_tokens=room, seed=wanted.seed
            )
            drawn = [[_cut(one, stop) for one in row] for row in rows]
        return [Continued(one, tuple(several)) for one, several in zip(best, drawn, strict=True)]


def _cut(said: Completion, stop: str) -> Completion:
    """The answer alone: chat models may repeat what opens it, and go on with questions of their own.

    Example:
        >>> _cut(Completion("A: Lima\\n\\nQ: Where", None, 6, True), "\\n").text
        'Lima'
    """
    text = said.text.strip().removeprefix(OPENING).strip()
    before, found, _ = text.partition(stop)
    return replace(said, text=before, truncated=said.truncated and not found)
