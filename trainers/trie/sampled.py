"""Scores of completions that sampling has found out already."""

from collections.abc import Sequence
from itertools import compress

from torch import Tensor
from torch.nn.functional import pad

from abstain.evals.trie.sampling import Samples
from abstain.evals.trie.scoring import Scores


class SampledScores:
    """What sampling found out about its completions, to be looked up until the next optimizer step."""

    def __init__(self, prompts: Sequence[Sequence[int]], samples: Samples, step: int) -> None:
        self.step = step
        self._samples = samples
        pairs = zip(prompts, samples.tokens, strict=True)
        self._index = {(len(prompt), *prompt, *completion): index for index, (prompt, completion) in enumerate(pairs)}

    def look_up(self, input_ids: Tensor, attention_mask: Tensor, keep: int) -> Scores | None:
        """What is known of these rows (B, keep); None if one of them was not sampled, or not in one turn."""
        rows = zip(input_ids.tolist(), attention_mask.tolist(), strict=True)
        index = [self._index.get((sum(mask[:-keep]), *compress(ids, mask)), -1) for ids, mask in rows]
        if -1 in index:
            return None
        found = (scores[index, :keep] for scores in (self._samples.logps, self._samples.entropies))
        return Scores(*(pad(scores, (0, keep - scores.shape[1])) for scores in found))
