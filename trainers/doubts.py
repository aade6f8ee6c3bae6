"""How sure a model may be of its own guesses, by what looks inside it: a cross-fitted probe, or a fitted detector.

The probe is fitted on the very questions whose examples it decides about. So each guess is judged by a fit that has
not seen its question: a probe would remember the others, and teach the model to be sure of what it has merely met.
"""

import math
from collections.abc import Sequence

import numpy as np

from abstain.evals.detectors.fitted import named_detector, read_detectors
from abstain.evals.detectors.fitting import cross_fitted_p
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.scoring import Confider, Means, Scoring, score_pairs
from abstain.evals.knowledge.fingerprint import fingerprint
from abstain.evals.models import LoadedModel
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Task

BY_GUESS = ("probe", "detector")
"""Values of `idk` that go by P(correct) of the model's own guess."""


def p_correct(
    sampler: Sampler,
    task: Task,
    guesses: Sequence[Pair],
    probabilities: Sequence[float],
    detector: str | None,
    seed: int,
) -> list[float | None]:
    """P(correct) of each guess, `None` where it cannot be told.

    Args:
        sampler: the model whose guesses they are.
        task: how answers are compared.
        guesses: to judge, with their verdicts.
        probabilities: the model's own, of exactly these responses.
        detector: a file of detectors, as `--detector` takes it; a cross-fitted probe without one.
        seed: of the probe's folds.

    Raises:
        FileNotFoundError, ValueError: the detector is not there, or was fitted on another model; or there are too few
            guesses, right ones and wrong ones, for a probe.
    """
    loaded = LoadedModel(sampler.model, sampler.tokenizer, sampler.name)
    means = Means(loaded, sampler, task, None, sampler.prompt_format, sampler.batch_tokens, sampler.autocast)
    if detector is not None:
        path, name = named_detector(detector)
        found = read_detectors(path)
        found.check_model(fingerprint(sampler.model), sampler.name, path)
        found.check_own_scores(path)
        rows = zip(guesses, probabilities, strict=True)
        said = [Completion(one.response, math.log(max(p, 1e-300)), 0, False) for one, p in rows]
        sure = Confider(found, found.one(name), means)([one.prompt for one in guesses], said)
    else:
        scored = score_pairs(guesses, means, Scoring(scores=("length",)), progress="hidden states")
        assert scored.features is not None, "a probe asks for them"
        sure = cross_fitted_p(scored.features, scored.correct, scored.questions, seed=seed)
    return [None if np.isnan(p) else float(p) for p in sure]
