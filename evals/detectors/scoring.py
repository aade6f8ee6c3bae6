"""All scores of responses by one call, whatever has to be asked for them; and a detector from a file, put to work.

scored = score_pairs([Pair("Where is Lima?", "In Peru.")], load_model("my-model"))
scored.values["attention"]              # (1, layers)
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from abstain.evals.detectors.asked import Asked
from abstain.evals.detectors.catalogue import DETECTORS, OF_SAMPLES, ONE_PASS, Convention, check_names
from abstain.evals.detectors.fitted import PROBABILITY, Detectors
from abstain.evals.detectors.fitting import SIMILARITY
from abstain.evals.detectors.keeping import Kept
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.retrieval import document_similarity
from abstain.evals.detectors.scored import Scored, joined
from abstain.evals.progress import Advance, followed
from abstain.evals.sampling import AnySampler, Completion, PromptFormat
from abstain.evals.tasks.question import Task

if TYPE_CHECKING:
    from abstain.evals.detectors.nli import Entailment
    from abstain.evals.models import LoadedModel

CHUNK = 128
"""Responses that are scored together, and kept together where somebody may interrupt."""
LAYERS = 5
"""As many layers a probe sees, evenly spaced up to the last one."""
SAMPLES = 10
OWN_TURN = ("p_true", "verbalised")


@dataclass(frozen=True)
class Scoring:
    """Which scores, and how they are computed.

    Args:
        scores: names of the catalogue that are no fitted ones.
        probes: give hidden states at the end of prompt and response, for what is fitted on them.
        convention: `paper` or `official`, where LLM-Check's two differ.
        span: whether the rows of the `response` or of the `whole` text count.
        samples: of each prompt, where a score needs them and a response has none.
        temperature: that these are drawn at.
        seed: of the samples.

    Raises:
        ValueError: an unknown score, or one that is fitted.
    """

    scores: tuple[str, ...] = ONE_PASS
    probes: bool = True
    convention: Convention = "paper"
    span: Literal["response", "whole"] = "response"
    samples: int = SAMPLES
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        names = check_names(self.scores)
        for name in names:
            if DETECTORS[name].fitted:
                raise ValueError(f"{name} is fitted, not computed: it is there where the scores that it sees are")
        object.__setattr__(self, "scores", names)

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "scores": list(self.scores)}


@dataclass(frozen=True)
class Means:
    """Whom to ask.

    Args:
        loaded: the model whose passes give scores: the one that is judged, or another that reads its text. `None`
            where only texts and given log-probabilities are judged.
        sampler: the model that is judged, for samples and for scores that ask it again.
        task: says how answers are compared; by default its grader is `match`.
        nli: for scores that need an NLI model.
        prompt_format: see `abstain.evals.sampler.as_prompt`.
        batch_tokens, autocast: of passes, as for `abstain.evals.sampler.Sampler`.
    """

    loaded: "LoadedModel | None" = None
    sampler: AnySampler | None = None
    task: Task = field(default_factory=lambda: Task("pairs", (), ()))
    nli: "Entailment | None" = None
    prompt_format: PromptFormat = "auto"
    batch_tokens: int | None = None
    autocast: bool = False

    @property
    def passing(self) -> dict[str, Any]:
        """Arguments of what makes forward passes."""
        return {"prompt_format": self.prompt_format, "batch_tokens": self.batch_tokens, "autocast": self.autocast}


def score_pairs(
    pairs: Sequence[Pair],
    means: "Means | LoadedModel",
    how: Scoring | None = None,
    *,
    kept: Kept | None = None,
    progress: str | Advance | None = None,
) -> Scored:
    """Every score that is asked for, of each response.

    Without a model there are the scores that texts and given log-probabilities allow. What cannot be computed for want
    of something is left out, and `notes` say so.

    Args:
        pairs: responses.
        means: whom to ask; a loaded model alone is both judged and judging.
        how: which scores; by default all of one pass, and what probes need.
        kept: where scores are kept as they are made, and found again.
        progress: what to say of how far it is, or whom to tell how many more are done.

    Example:
        >>> found = score_pairs([Pair("Who?", "Bo", logprobs=(-0.5,))], Means())
        >>> {name: values.tolist() for name, values in found.values.items()}
        {'length': [1.0], 'perplexity': [1.6487212707001282], 'msp': [0.5]}
    """
    how, kept = how or Scoring(), kept or Kept()
    if not isinstance(means, Means):
        means = Means(means, _sampler_of(means))
    parts = []
    with followed(progress, len(pairs)) as advance:
        for start in range(0, max(1, len(pairs)), CHUNK):
            chunk = list(pairs[start : start + CHUNK])
            parts.append(kept.scores(chunk, how.as_dict(), partial(_score, chunk, means, how)))
            advance(len(chunk))
    return joined(parts)


def _sampler_of(loaded: "LoadedModel") -> AnySampler:
    from abstain.evals.sampler import Sampler

    return Sampler(loaded.model, loaded.tokenizer, name=loaded.name)


def _score(pairs: list[Pair], means: Means, how: Scoring) -> Scored:
    notes: list[str] = []
    if means.loaded is None:
        from abstain.evals.detectors.probabilities import score_logprobs

        values = score_logprobs(pairs)
        words = np.array([float(len(pair.response.split())) for pair in pairs])
        values["length"] = np.where(np.isnan(values["length"]), words, values["length"])
        given = {name: values[name] for name in how.scores if name in values}
        if left := [name for name in how.scores if name in ONE_PASS and name not in given]:
            notes.append(f"{', '.join(left)}: no model to pass the text through; give --scorer MODEL")
        found = Scored(tuple(pairs), given, notes=tuple(notes))
    else:
        found = _passed(pairs, means, how)
    more, notes = _asked(pairs, means, how)
    if any(pair.documents for pair in pairs):
        more[SIMILARITY] = document_similarity(pairs)
    values = {**found.values, **{name: one.values for name, one in more.items()}}
    told = [*found.notes, *notes, *(note for one in more.values() for note in one.notes)]
    return replace(found, values=values, notes=tuple(dict.fromkeys(told)))


def _passed(pairs: list[Pair], means: Means, how: Scoring) -> Scored:
    """What one forward pass gives."""
    from abstain.evals.detectors.one_pass import one_pass

    assert means.loaded is not None
    names = [name for name in how.scores if name in ONE_PASS]
    found = one_pass(
        means.loaded.model,
        means.loaded.tokenizer,
        pairs,
        scores=names,
        convention=how.convention,
        span=how.span,
        places=probe_places(means.loaded.model) if how.probes else (),
        **means.passing,
    )
    features = None
    if found.features is not None and found.logit_features is not None:
        features = np.concatenate([found.features.reshape(len(pairs), -1), found.logit_features], axis=1)
        features = np.where(np.isfinite(features), features, np.nan).astype(np.float32)
    return Scored(tuple(pairs), found.values, found.layers, features, found.notes)


def probe_places(model: Any) -> list[tuple[int, Literal["prompt", "response"]]]:
    """The layers and tokens whose hidden states probes see: five layers, at the end of prompt and response.

    Example:
        >>> from types import SimpleNamespace
        >>> config = SimpleNamespace(num_hidden_layers=30)
        >>> config.get_text_config = lambda: config
        >>> probe_places(SimpleNamespace(config=config))[::2]
        [(6, 'prompt'), (12, 'prompt'), (18, 'prompt'), (24, 'prompt'), (30, 'prompt')]
    """
    layers = model.config.get_text_config().num_hidden_layers
    chosen = sorted({max(1, round(layers * (place + 1) / LAYERS)) for place in range(LAYERS)})
    both: tuple[Literal["prompt", "response"], ...] = ("prompt", "response")
    return [(layer, text) for layer in chosen for text in both]


def _asked(pairs: list[Pair], means: Means, how: Scoring) -> tuple[dict[str, Asked], list[str]]:
    """What takes samples, or a turn of its own."""
    wanted = [name for name in how.scores if name in (*OF_SAMPLES, *OWN_TURN)]
    found: dict[str, Asked] = {}
    notes: list[str] = []
    for name in wanted:
        if lack := _lacks(name, pairs, means):
            notes.append(f"{name}: not computed for want of {lack}")
    wanted = [name for name in wanted if not _lacks(name, pairs, means)]
    if any(name in OF_SAMPLES for name in wanted) and not all(pair.samples for pair in pairs):
        from abstain.evals.detectors.samples import draw_samples

        assert means.sampler is not None
        drawn = draw_samples(
            means.sampler,
            [pair for pair in pairs if not pair.samples],
            samples=how.samples,
            temperature=how.temperature,
            max_new_tokens=means.task.max_new_tokens,
            seed=how.seed,
        )
        drawn_for = iter(drawn.pairs)
        pairs = [pair if pair.samples else next(drawn_for) for pair in pairs]
        notes += drawn.notes
    for name in wanted:
        try:
            found[name] = _ask(name, pairs, means, how)
        except ValueError as error:  # a tokenizer, say, that cannot tell what it is asked: the other scores stand
            notes.append(f"{name}: {error}")
    return found, notes


def _lacks(name: str, pairs: Sequence[Pair], means: Means) -> str:
    """What there is not and a score takes."""
    if name in OF_SAMPLES and means.sampler is None and not all(pair.samples for pair in pairs):
        return "samples, and of a model to draw them from"
    if name == "selfcheck_nli" and means.nli is None:
        return "an NLI model: give --nli MODEL"
    if name in ("verbalised", "selfcheck_prompt") and means.sampler is None:
        return "a model that can be asked"
    if name in ("p_true", "eigenscore") and means.loaded is None:
        return "a model to pass the text through"
    return ""


def _ask(name: str, pairs: list[Pair], means: Means, how: Scoring) -> Asked:
    from abstain.evals.detectors import eigenscore, p_true, samples, selfcheck, semantic_entropy, verbalised

    match name:
        case "p_true":
            assert means.loaded is not None
            return p_true.p_false(means.loaded.model, means.loaded.tokenizer, pairs, **means.passing)
        case "verbalised":
            assert means.sampler is not None
            return verbalised.ask_confidence(means.sampler, pairs)
        case "selfcheck_ngram":
            return selfcheck.selfcheck_ngram(pairs)
        case "selfcheck_nli":
            assert means.nli is not None
            return selfcheck.selfcheck_nli(pairs, means.nli)
        case "selfcheck_prompt":
            assert means.sampler is not None
            return selfcheck.selfcheck_prompt(pairs, selfcheck.PromptJudge(means.sampler))
        case "eigenscore":
            assert means.loaded is not None
            model, tokenizer = means.loaded.model, means.loaded.tokenizer
            return eigenscore.eigenscores(model, tokenizer, pairs, convention=how.convention, **means.passing)
        case "agreement":
            return samples.agreements(pairs, means.task)
    same: semantic_entropy.Equivalence = (
        semantic_entropy.NliEquivalence(means.nli) if means.nli else semantic_entropy.GraderEquivalence(means.task)
    )
    return samples.dissents(pairs, same) if name == "dissent" else semantic_entropy.semantic_entropies(pairs, same)


@dataclass(frozen=True)
class Confider:
    """P(correct) of what a model has said, by a detector of a file: a post-hoc `confidence`.

    Args:
        detectors: what was fitted, on responses of this model.
        name: of the detector among them.
        means: whom to ask.
    """

    detectors: Detectors
    name: str
    means: Means

    def __call__(self, prompts: Sequence[str], completions: Sequence[Completion]) -> np.ndarray:
        """P(correct) of each completion, NaN where the detector says nothing of it.

        Args:
            prompts: before any chat template.
            completions: one for each.
        """
        pairs = [Pair(prompt, said.text) for prompt, said in zip(prompts, completions, strict=True)]
        how = scoring_of(self.detectors, self.name)
        scored = score_pairs(pairs, self.means, how) if how.scores or how.probes else Scored(tuple(pairs), {})
        scored = scored.with_values(**{PROBABILITY: own_doubt(completions)})
        return self.detectors.p_correct(self.name, scored)


def own_doubt(completions: Sequence[Completion]) -> np.ndarray:
    """1 - the model's own probability of its completion, end token included; NaN where nobody tells."""
    known = [one.probability for one in completions]
    return np.array([np.nan if p is None else 1 - p for p in known])


def scoring_of(detectors: Detectors, name: str) -> Scoring:
    """How the scores are computed that a detector was fitted on, and none of those that it does not need."""
    needed, sees = detectors.needs(name)
    kept = {key: value for key, value in detectors.settings.items() if key in Scoring.__dataclass_fields__}
    kept |= {"scores": tuple(one for one in needed if one in DETECTORS), "probes": sees}
    try:
        return Scoring(**kept)
    except TypeError as error:
        raise ValueError(f"the settings of the detectors cannot be read: {error}") from None


def wanted_scores(text: str | None) -> tuple[tuple[str, ...], bool]:
    """The scores that somebody names, separated by commas, and whether probes are among what they are for.

    A fitted detector stands for what it sees; "one-pass" for all of one pass, "samples" for all that need samples, and
    "all" for everything.

    Raises:
        ValueError: no such score.

    Example:
        >>> wanted_scores("msp,probe"), wanted_scores(None) == (ONE_PASS, True)
        ((('length', 'msp'), True), True)
    """
    if text is None:
        return ONE_PASS, True
    groups: dict[str, Collection[str]] = {"one-pass": ONE_PASS, "samples": OF_SAMPLES, "all": DETECTORS}
    names: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        names += groups.get(part, [part])
    chosen = check_names(names)
    probes = any(DETECTORS[name].fitted for name in chosen)
    plain = {name for name in chosen if not DETECTORS[name].fitted}
    if {"combined", "retrieval"} & set(chosen):
        plain |= set(ONE_PASS)
    if "cascade" in chosen:
        plain.add("msp")
    return check_names(["length", *plain]), probes
