"""Every detector by name: what it says, whose it is, what it must be let see, and what it costs.

A score is a number for each response, higher where its source says that the response is more likely hallucinated.
Whether that holds for a model and its questions is fitted on other data (`abstain.evals.detectors.fitted`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from abstain.rewards.errors import nearest

Access = Literal["text", "logprobs", "states", "attention"]
"""What has to be seen of the model: what it writes, its tokens' log-probabilities, hidden states, attention."""

Convention = Literal["paper", "official"]
"""Where a paper and its code differ: what the one says, or what the other computes."""


@dataclass(frozen=True)
class Detector:
    """What there is to say about a detector.

    Args:
        name: its key.
        title: in words.
        equation: of the score, in plain text; m tokens, log-probabilities l_i, L layers, h heads.
        source: the paper, or whose it is.
        convention: what is meant where sources differ.
        access: what has to be seen of the model that is judged, or of a second model that reads its text.
        passes: what it costs for one response, in forward passes over prompt and response, or in samples.
        extra: another model that it needs; "" for none.
        layered: whether there is a score for each layer, of which one is chosen on other data.
        fitted: whether it is learned from labelled responses.
    """

    name: str
    title: str
    equation: str
    source: str
    convention: str
    access: Access
    passes: str
    extra: str = ""
    layered: bool = False
    fitted: bool = False


_LLM_CHECK = "LLM-Check (Sriramanan et al. 2024, NeurIPS)"
_SELFCHECK = "SelfCheckGPT (Manakul et al. 2023, arXiv 2303.08896)"
_OURS = "ours"

DETECTORS: dict[str, Detector] = {
    one.name: one
    for one in (
        Detector(
            "length",
            "length alone",
            "m, the tokens of the response",
            "what every other score is to be held against",
            "",
            "text",
            "0",
        ),
        Detector(
            "perplexity",
            "perplexity",
            "exp(−(1/m) Σ l_i)",
            _LLM_CHECK,
            "the end token is not counted",
            "logprobs",
            "1",
        ),
        Detector(
            "msp",
            "probability of the response",
            "−Σ l_i",
            "maximum sequence probability, as lm-polygraph names it",
            "the end token is not counted",
            "logprobs",
            "1",
        ),
        Detector(
            "window_entropy",
            "greatest entropy of a window",
            "max over windows of the mean entropy of the next token in it",
            _LLM_CHECK,
            "paper: windows overlap; official: they do not, and the entropy is divided by the vocabulary's size",
            "logprobs",
            "1",
        ),
        Detector(
            "logit_entropy",
            "entropy of the top-k logits",
            "(1/m) Σ_i Σ_{v in top k} −p_iv ln p_iv",
            _LLM_CHECK,
            "k = 50; official: p normalised over the k, divided by k, one token later",
            "logprobs",
            "1",
        ),
        Detector(
            "self_certainty",
            "self-certainty, negated",
            "(1/(m V)) Σ_i Σ_v ln(V p_iv)",
            "Kang et al. 2025, arXiv 2502.18581",
            "higher is less certain here",
            "logprobs",
            "1",
        ),
        Detector(
            "hidden",
            "Hidden score",
            "(1/m) ln det(H J Hᵀ + α I)",
            _LLM_CHECK,
            "paper: no centring (J = I), no α; official: J = I − 11ᵀ/d, α = .001",
            "states",
            "1",
            layered=True,
        ),
        Detector(
            "attention",
            "Attention score",
            "Σ_h (1/m) Σ_j ln A_h,jj",
            _LLM_CHECK,
            "paper: mean over heads; official: sum over heads, the first layer skipped",
            "attention",
            "1",
            layered=True,
        ),
        Detector(
            "attention_entropy",
            "entropy of attention",
            "(1/(h m)) Σ_h Σ_j −Σ_k A_h,jk ln A_h,jk",
            "a common reading of LLM-Check, which has no such score",
            "over the response's rows",
            "attention",
            "1",
            layered=True,
        ),
        Detector(
            "rauq",
            "RAUQ",
            "max over layers of −(1/m) Σ_i ln c_i, c_i = α p_i + (1 − α) a_i c_{i−1}",
            "Vazhentsev et al. 2025, arXiv 2505.20045",
            "a_i: attention to the token before, in the head where it is greatest; α = .2, the middle third of layers",
            "attention",
            "1",
        ),
        Detector(
            "p_true",
            "p(True), negated",
            "1 − P(True) / (P(True) + P(False)) after the response is shown again",
            "Kadavath et al. 2022, arXiv 2207.05221",
            "",
            "logprobs",
            "1 of its own",
        ),
        Detector(
            "verbalised",
            "stated confidence, negated",
            "1 − q, where q is what the model says when asked how sure it is",
            "Tian et al. 2023, arXiv 2305.14975",
            "",
            "text",
            "1 answer of its own",
        ),
        Detector(
            "selfcheck_ngram",
            "SelfCheckGPT n-gram",
            "mean or max of −ln p_unigram over the tokens",
            _SELFCHECK,
            "unigrams counted on the samples and on the response itself",
            "text",
            "N samples",
        ),
        Detector(
            "selfcheck_nli",
            "SelfCheckGPT NLI",
            "mean over samples of P(contradiction) / (P(entailment) + P(contradiction))",
            _SELFCHECK,
            "",
            "text",
            "N samples, N passes of the NLI model for each sentence",
            "an NLI model",
        ),
        Detector(
            "selfcheck_prompt",
            "SelfCheckGPT prompt",
            "mean over samples of 0 for yes, 1 for no, ½ for anything else",
            _SELFCHECK,
            "",
            "text",
            "N samples, N answers of the judge for each sentence",
            "a judge, or the model itself",
        ),
        Detector(
            "semantic_entropy",
            "semantic entropy",
            "−Σ_c p(c) ln p(c) over clusters of samples that mean the same",
            "Farquhar et al. 2024, Nature; Kuhn et al. 2023, arXiv 2302.09664",
            "clusters by their first member; p(c) is a cluster's share of the samples",
            "text",
            "N samples",
            "a grader, or an NLI model",
        ),
        Detector(
            "eigenscore",
            "EigenScore",
            "(1/N) ln det(Σ + α I) of the samples' states in the middle layer",
            "INSIDE (Chen et al. 2024, arXiv 2402.03744)",
            "base 10 and a covariance over features as in its code, or natural and over samples as in the paper",
            "states",
            "N samples",
        ),
        Detector(
            "agreement",
            "self-consistency, negated",
            "1 − the largest share of N samples that say the same",
            "Wang et al. 2022, arXiv 2203.11171",
            "the grader says what agrees, both ways",
            "text",
            "N samples",
        ),
        Detector(
            "dissent",
            "samples that say something else",
            "1 − the share of N samples that mean the same as the response",
            f"{_OURS}, after SelfCheckGPT",
            "the grader or an NLI model says what means the same",
            "text",
            "N samples",
            "a grader, or an NLI model",
        ),
        Detector(
            "retrieval",
            "a score less λ times the similarity to documents",
            "s − λ cos(response, documents)",
            f"{_OURS}; a common summary of LLM-Check adds it, which fits a confidence",
            "cosine of TF-IDF words; s and λ are fitted",
            "logprobs",
            "1",
            fitted=True,
        ),
        Detector(
            "probe",
            "linear probe",
            "σ(w·x + b), x hidden states at the end of prompt and response, and features of the logits",
            "Azaria and Mitchell 2023, arXiv 2304.13734; Kadavath et al. 2022",
            "1 − P(correct); five layers; cross-fitted on the questions it was fitted on",
            "states",
            "1",
            fitted=True,
        ),
        Detector(
            "probe_mlp",
            "small MLP on the same",
            "σ(w₂·relu(W₁ x + b₁) + b₂)",
            "Azaria and Mitchell 2023, arXiv 2304.13734",
            "as the linear probe, 32 hidden units",
            "states",
            "1",
            fitted=True,
        ),
        Detector(
            "is_it_valid",
            "Is-It-Valid classifier",
            "σ(w·x + b), fitted on valid responses and on as many errors",
            "Kalai et al. 2025, arXiv 2509.04664, section 3",
            "valid: the gold answer; error: another question's gold answer",
            "states",
            "1",
            fitted=True,
        ),
        Detector(
            "combined",
            "logistic regression of all scores",
            "σ(Σ w_s z_s + b), z_s the standardised scores, layered ones at the layer that was chosen",
            f"{_OURS}; a common summary of LLM-Check has one of which nothing is told",
            "what is fitted itself is not among them",
            "attention",
            "1",
            fitted=True,
        ),
        Detector(
            "cascade",
            "probability first, internal states for the rest",
            "the probability's P(correct) where it is below a or above b, else the probe's",
            f"{_OURS}, after a common summary of LLM-Check",
            "a and b are fitted; the share of each is told",
            "states",
            "1",
            fitted=True,
        ),
    )
}
"""Every detector by name."""

ONE_PASS = tuple(name for name, one in DETECTORS.items() if one.passes in ("0", "1") and not one.fitted)
"""Those that one forward pass gives, together."""
OF_SAMPLES = tuple(name for name, one in DETECTORS.items() if one.passes.startswith("N samples"))
"""Those that need samples."""


def check_names(names: Collection[str]) -> tuple[str, ...]:
    """These names, in the order of the catalogue.

    Raises:
        ValueError: one of them is no detector's; with the nearest.

    Example:
        >>> check_names(["perplexity", "length"])
        ('length', 'perplexity')
        >>> check_names(["perplexiti"])
        Traceback (most recent call last):
        ...
        ValueError: unknown detector 'perplexiti'. Did you mean 'perplexity'? Allowed: ...
    """
    for name in names:
        if name not in DETECTORS:
            raise ValueError(f"unknown detector {name!r}. {nearest(name, DETECTORS)}")
    return tuple(name for name in DETECTORS if name in names)
