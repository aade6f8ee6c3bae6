"""SelfCheckGPT (Manakul, Liusie, Gales 2023, arXiv 2303.08896): what a model knows, it says again.

A response is held against N samples of the same model, sentence by sentence, in three of the paper's ways: by n-grams
(no model), by an NLI model, and by asking a language model. Each score is the mean over the sentences.

Texts are read without spaCy: tokens are words and single signs, lower-cased; sentences are those of our graders. For
the example of the package's README that gives the README's numbers. N-grams want a script with spaces between words.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol

import numpy as np

from abstain.evals.detectors.asked import Asked, Replies, ask_all, average, notes_of, why_not
from abstain.evals.detectors.nli import CONTRADICTION, ENTAILMENT, Entailment
from abstain.evals.detectors.pair import Pair
from abstain.evals.progress import Advance
from abstain.evals.sampling import AnySampler
from abstain.rewards.graders.statement import sentences

_TOKEN = re.compile(r"\w+|[^\w\s]")
_ROOM = 5
_WORD = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
PROMPT = "Context: {context}\nSentence: {sentence}\nIs the sentence supported by the context above?\nAnswer Yes or No:"
"""The paper's."""


# --- n-grams


@dataclass(frozen=True)
class NgramScores:
    """How surprising n-grams are, in nats.

    Args:
        sentence_mean: of each sentence, the mean of −ln p over its tokens.
        sentence_max: of each sentence, the greatest.
        mean: the mean over all tokens.
        mean_max: the mean of `sentence_max`.
    """

    sentence_mean: tuple[float, ...]
    sentence_max: tuple[float, ...]
    mean: float
    mean_max: float


def ngram_scores(judged: Sequence[str], texts: Sequence[str], n: int = 1) -> NgramScores:
    """−ln p of the n-grams of some sentences, where p(g) = count(g) / Σ count, counted in some texts.

    An n-gram ends at each token; before a sentence's first one stand n − 1 signs of the beginning. As in the package,
    p is the share of all n-grams, not conditional on the first n − 1 tokens. One that is in no text has p = 0.

    Args:
        judged: the sentences, each with a token or more.
        texts: SelfCheckGPT's are the response itself and the samples.
        n: 1 or more.

    Raises:
        ValueError: n below 1, no sentences, or one without tokens.

    Example:
        >>> scores = ngram_scores(["a b"], ["a b", "a c"])
        >>> [round(float(np.exp(-value)), 3) for value in (scores.mean, scores.mean_max)]
        [0.354, 0.25]
    """
    if n < 1:
        raise ValueError(f"n-grams of {n} tokens; n must be 1 or more")
    grams = [_ngrams(sentence, n) for sentence in judged]
    if not all(grams) or not grams:
        raise ValueError("there is no token to judge in one of the sentences")
    counts = Counter(chain.from_iterable(_ngrams(sentence, n) for text in texts for sentence in sentences(text)))
    total = counts.total()
    with np.errstate(divide="ignore"):
        surprise = [-np.log(np.array([counts[gram] for gram in row]) / max(1, total)) for row in grams]
    greatest = [float(row.max()) for row in surprise]
    means = [float(row.mean()) for row in surprise]
    everything = float(np.concatenate(surprise).mean())
    return NgramScores(tuple(means), tuple(greatest), everything, float(np.mean(greatest)))


def _ngrams(sentence: str, n: int) -> list[tuple[str, ...]]:
    found = [""] * (n - 1) + _TOKEN.findall(sentence.lower())
    return [tuple(found[place : place + n]) for place in range(len(found) - n + 1)]


def selfcheck_ngram(pairs: Sequence[Pair], *, n: int = 1, reading: Literal["mean", "max"] = "mean") -> Asked:
    """SelfCheckGPT with n-grams, counted in the samples and in the response itself. No model is asked.

    Args:
        pairs: with samples.
        n: of the n-grams; the paper's best is 1.
        reading: "mean" of −ln p over all tokens of the response, or the mean over sentences of the "max".

    Example:
        >>> same, other = Pair("Who?", "Bo.", samples=("Bo.",)), Pair("Who?", "Bo.", samples=("Al.",))
        >>> selfcheck_ngram([same, other, Pair("Who?", "Bo.")]).values.round(3)
        array([0.693, 1.04 ,   nan])
    """
    values, reasons = np.full(len(pairs), np.nan), []
    for place, pair in enumerate(pairs):
        judged = sentences(pair.response)
        reasons.append(why_not(pair) or ("" if judged else "no words in the response"))
        if not reasons[-1]:
            scores = ngram_scores(judged, [pair.response, *pair.samples], n)
            values[place] = scores.mean if reading == "mean" else scores.mean_max
    return Asked(values, 0, notes_of("selfcheck_ngram", reasons))


# --- models


def selfcheck_nli(pairs: Sequence[Pair], nli: Entailment, *, progress: str | Advance | None = None) -> Asked:
    """SelfCheckGPT with an NLI model: the mean over samples of P(contradiction) / (P(entailment) + P(contradiction)).

    The sentence is the premise and the sample the hypothesis, as in the package. Costs a pass of the NLI model for
    each sentence and sample.

    Args:
        pairs: with samples.
        nli: see `abstain.evals.detectors.nli.NliModel`.
        progress: what to say of how far it is, or whom to tell.
    """
    before = nli.calls
    cases = _cases(pairs)
    chances = nli([(sentence, sample) for _, sentence, sample in cases], progress=progress)
    either = chances[:, ENTAILMENT] + chances[:, CONTRADICTION]
    against = np.divide(chances[:, CONTRADICTION], either, out=np.full(len(cases), 0.5), where=either > 0)
    return _over_sentences("selfcheck_nli", pairs, cases, against, [""] * len(cases), nli.calls - before)


class Judge(Protocol):
    """Says whether a sentence is supported by a context: 0 if it is, 1 if not, ½ if nobody can tell."""

    def __call__(
        self, texts: Sequence[tuple[str, str]], *, progress: str | Advance | None = None
    ) -> tuple[np.ndarray, Replies]:
        """A score for each (context, sentence), NaN where there is no reply; and the replies."""


class PromptJudge:
    """A language model as a `Judge`, asked with the paper's prompt; greedy.

    A reply that begins with the word yes is 0, with no 1, any other ½. (The package takes "not sure" and "none" for
    no, since it looks at letters.) Line breaks of the context become spaces, as in the package.

    Args:
        sampler: a model here (`abstain.evals.sampler.Sampler`), which may be the one that is judged, or one behind an
            endpoint.

    Example:
        >>> [read_verdict(reply) for reply in ("Yes.", " no, it is not", "Not sure", "")]
        [0.0, 1.0, 0.5, 0.5]
    """

    def __init__(self, sampler: AnySampler) -> None:
        self.sampler = sampler

    def __call__(
        self, texts: Sequence[tuple[str, str]], *, progress: str | Advance | None = None
    ) -> tuple[np.ndarray, Replies]:
        """See `Judge`."""
        prompts = [PROMPT.format(context=context.replace("\n", " "), sentence=sentence) for context, sentence in texts]
        replies = ask_all(self.sampler, prompts, max_new_tokens=_ROOM, progress=progress)
        return np.array([read_verdict(row[0].text) if row else np.nan for row in replies.rows]), replies


def read_verdict(reply: str) -> float:
    """0 for yes, 1 for no, ½ for anything else."""
    word = _WORD.match(reply)
    return 0.5 if word is None else float(word[1].lower() == "no")


def selfcheck_prompt(pairs: Sequence[Pair], judge: Judge, *, progress: str | Advance | None = None) -> Asked:
    """SelfCheckGPT with a language model that is asked whether each sample supports each sentence.

    Costs an answer of the judge for each sentence and sample.

    Args:
        pairs: with samples.
        judge: see `PromptJudge`.
        progress: what to say of how far it is, or whom to tell.
    """
    cases = _cases(pairs)
    scores, replies = judge([(sample, sentence) for _, sentence, sample in cases], progress=progress)
    return _over_sentences("selfcheck_prompt", pairs, cases, scores, replies.reasons, replies.calls)


def _cases(pairs: Sequence[Pair]) -> list[tuple[int, str, str]]:
    """The place of each pair with each of its sentences and samples."""
    return [
        (place, sentence, sample)
        for place, pair in enumerate(pairs)
        if not why_not(pair)
        for sentence in sentences(pair.response)
        for sample in pair.samples
    ]


def _over_sentences(
    name: str,
    pairs: Sequence[Pair],
    cases: Sequence[tuple[int, str, str]],
    scores: np.ndarray,
    failed: Sequence[str],
    calls: int,
) -> Asked:
    """The mean over samples, then over sentences."""
    found: list[list[float]] = [[] for _ in pairs]
    why = [""] * len(pairs)
    for (place, _, _), score, reason in zip(cases, scores, failed, strict=True):
        found[place].append(float(score))
        why[place] = why[place] or reason
    values, reasons = np.full(len(pairs), np.nan), []
    for place, pair in enumerate(pairs):
        k = len(pair.samples)
        rows = [found[place][start : start + k] for start in range(0, len(found[place]), max(1, k))]
        values[place] = average(rows)
        nothing = why_not(pair) or ("" if rows else "no words in the response") or why[place]
        reasons.append(nothing if np.isnan(values[place]) else "")
    return Asked(values, calls, notes_of(name, reasons))
