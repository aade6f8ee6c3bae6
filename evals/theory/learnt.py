"""A classifier of Is-It-Valid that is learnt from a model's probabilities, beside the one that only cuts them.

The smaller err_iiv can be made, the less theorem 1 says; how small it can be made with all that the probabilities tell
is measured here: a logistic regression on the probability of a response, its rank, its lead over the others, and how
unsure the model is of the prompt, judged on prompts that it was not fitted on.
"""

from collections.abc import Hashable, Sequence

import numpy as np

FOLDS = 5
ERRORS = 16
"""Wrong responses of a prompt that it is shown at most."""


def learnt_error(
    prompts: Sequence[Hashable], logprobs: Sequence[np.ndarray], is_valid: Sequence[np.ndarray], seed: int = 0
) -> float | None:
    """err_iiv of the learnt classifier, on prompts that it has not seen; `None` of fewer than ten prompts.

    Args:
        prompts: what each is; one that was drawn several times is never both fitted on and judged.
        logprobs: of each prompt, the natural log of each response's probability.
        is_valid: of each prompt, which of them are valid.
        seed: draws the wrong responses.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> sure = [np.log([0.9, 0.05, 0.05]) for _ in range(40)]
        >>> learnt_error(range(40), sure, [np.array([True, False, False])] * 40)
        0.0
    """
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    if len(places) < 2 * FOLDS:
        return None
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(seed)
    features, labels, weights, groups = [], [], [], []
    for prompt, logs, valid in zip(prompts, logprobs, is_valid, strict=True):
        told = _features(logs)
        right, wrong = np.flatnonzero(valid), np.flatnonzero(~valid)
        if len(wrong) > ERRORS:
            wrong = rng.choice(wrong, ERRORS, replace=False)
        chosen = np.concatenate([right, wrong])
        features.append(told[chosen])
        labels.append(valid[chosen].astype(int))
        weights.append(np.where(valid[chosen], 0.5 / len(right), 0.5 / len(wrong)))
        groups.append(np.full(len(chosen), places[prompt]))
    x, y, weight, group = (np.concatenate(parts) for parts in (features, labels, weights, groups))
    missed = 0.0
    for train, test in GroupKFold(FOLDS).split(x, y, group):
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(x[train], y[train], logisticregression__sample_weight=weight[train])
        missed += float(weight[test] @ (model.predict(x[test]) != y[test]))
    return missed / len(logprobs)


def _features(logs: np.ndarray) -> np.ndarray:
    """Of each response: log-probability given the list, rank, lead over the best other, and the prompt's entropy."""
    given = np.maximum(logs - np.logaddexp.reduce(logs), -50.0)
    order = np.argsort(np.argsort(-given, kind="stable"), kind="stable")
    best, second = np.sort(given)[::-1][[0, min(1, len(given) - 1)]]
    lead = np.where(order == 0, given - second, given - best)
    entropy = float(-(np.exp(given) * given).sum())
    columns = [given, np.log1p(order), lead, np.full(len(given), entropy), given * entropy]
    return np.stack(columns, axis=1)
