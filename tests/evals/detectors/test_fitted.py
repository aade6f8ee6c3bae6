"""Signs, layers, calibration and probes that are fitted on other responses, and the file that holds them."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from abstain.evals.detectors.comparison import TRAINED, compare_detectors, trained_policy
from abstain.evals.detectors.fitted import (
    FILE,
    PROBABILITY,
    Calibrator,
    Detectors,
    FittedCascade,
    FittedCombination,
    FittedRetrieval,
    FittedScore,
    named_detector,
    read_detectors,
)
from abstain.evals.detectors.fitting import SIMILARITY, FittedOn, calibrate, cross_fitted_p, fit_detectors, fit_score
from abstain.evals.detectors.pair import DISTORTED, UNSUPPORTED, Pair
from abstain.evals.detectors.probes import Affine, Network, cross_fit, fit_linear, fit_mlp, folds_of, rank_of
from abstain.evals.detectors.scored import Scored, joined
from abstain.evals.detectors.tables import render_detectors
from abstain.evals.metrics.intervals import KIND
from abstain.evals.policies.rows import Policy
from abstain.rewards.verdict import Verdict

N = 300
WHO = {"model": "m", "fingerprint": "f", "task": "toy"}


def toy(n: int = N, seed: int = 0, responses: int = 1) -> Scored:
    """Wrong responses have more of `msp`, less of `attention` in its second layer, and another state."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < 0.5
    pairs = tuple(Pair(f"{seed}-{i // responses}?", "Bo", error=bool(w)) for i, w in enumerate(wrong))
    attention = rng.normal(size=(n, 3)) - wrong[:, None] * np.array([0.0, 1.5, 0.2])
    values = {
        PROBABILITY: 1 / (1 + np.exp(1 - rng.normal(size=n) - 2 * wrong)),
        "length": rng.normal(size=n),
        "msp": rng.normal(size=n) + wrong,
        "attention": attention,
        SIMILARITY: rng.normal(size=n) - wrong,
    }
    return Scored(pairs, values, {"attention": (3, 5, 7)}, rng.normal(size=(n, 8)) + wrong[:, None] * 0.8)


@cache
def fitted() -> FittedOn:
    """Fitted once: nobody changes it."""
    return fit_detectors(toy(), **WHO)


def test_sign_and_layer_are_fitted() -> None:
    fit = fitted()
    one = fit.detectors.detectors["attention"]
    assert isinstance(one, FittedScore) and (one.sign, one.column, one.layer) == (-1, 1, 5)
    assert fit.detectors.detectors["msp"].sign == 1  # type: ignore[union-attr]
    test = toy(seed=1)
    for name in fit.detectors.detectors:
        found = rank_of(-fit.detectors.risk(name, test), test.correct)
        assert found is not None and found > (0.4 if name == "length" else 0.65), name
        assert rank_of(fit.detectors.p_correct(name, test), test.correct) is not None


def test_nothing_that_is_fitted_sees_what_it_judges() -> None:
    """With no signal at all, a fit looks good on its own responses, and not through `own`."""
    rng = np.random.default_rng(0)
    pairs = tuple(Pair(str(i), "Bo", error=bool(i % 2)) for i in range(200))
    noise = Scored(
        pairs, {"hidden": rng.normal(size=(200, 40))}, {"hidden": tuple(range(40))}, rng.normal(size=(200, 60))
    )
    fit = fit_detectors(noise, **WHO)
    for name in ("hidden", "probe_mlp"):
        assert rank_of(-fit.detectors.risk(name, noise), noise.correct) > 0.6, name  # type: ignore[operator]
    for name, own in fit.own.items():
        assert rank_of(own, noise.correct) < 0.6, name  # type: ignore[operator]


def test_responses_to_a_question_stay_together() -> None:
    names = [str(i // 4) for i in range(200)]
    folds = folds_of(names, seed=3)
    assert all(len(set(folds[i : i + 4])) == 1 for i in range(0, 200, 4)) and len(set(folds)) == 5


def test_a_probe_that_has_seen_a_question_would_know_it_again() -> None:
    rng = np.random.default_rng(0)
    face = rng.normal(size=(60, 30)).repeat(4, axis=0)  # of a question: all that there is to see
    correct = rng.integers(0, 2, 60).repeat(4).astype(float)
    names = [str(i // 4) for i in range(240)]
    assert rank_of(cross_fit(fit_linear, face, correct, names), correct) < 0.65  # type: ignore[operator]
    parted = cross_fit(fit_linear, face, correct, [str(i) for i in range(240)])
    assert rank_of(parted, correct) > 0.9  # type: ignore[operator]


@pytest.mark.parametrize("fit", [fit_linear, fit_mlp])
def test_a_network_is_what_scikit_learn_fitted(fit) -> None:  # type: ignore[no-untyped-def]
    scored = toy(400)
    assert scored.features is not None
    network = fit(scored.features[:300], scored.correct[:300], scored.questions[:300])
    stored = Network.model_validate_json(network.model_dump_json())
    logits = stored.log_odds(scored.features[300:])
    assert logits.shape == (100,) and rank_of(logits, scored.correct[300:]) > 0.8  # type: ignore[operator]
    assert len(network.maps) == (1 if fit is fit_linear else 2)


def test_relu_and_standardisation_by_hand() -> None:
    maps = [Affine(weights=[[1.0, -1.0]], bias=[0.0, 0.0]), Affine(weights=[[2.0], [5.0]], bias=[0.5])]
    network = Network(mean=[1.0], scale=[2.0], maps=maps)
    np.testing.assert_allclose(network.log_odds(np.array([[5.0], [-1.0]])), [2 * 2 + 0.5, 5 * 1 + 0.5])
    with pytest.raises(ValueError, match="2 features, and the probe was fitted on 1"):
        network.log_odds(np.zeros((1, 2)))


def test_calibrations() -> None:
    risk, correct = np.array([0.0, 0, 1, 1, 2, 2, np.nan]), np.array([1.0, 1, 1, 0, 0, 0, 1])
    steps = calibrate(risk, correct, "isotonic")
    np.testing.assert_allclose(steps(np.array([-9.0, 1, 9])), [1, 0.5, 1e-6])
    assert np.isnan(steps(np.array([np.nan]))).all()
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    right = (rng.random(20_000) < 1 / (1 + np.exp(2 * x - 1))).astype(float)
    found = calibrate(x, right, "platt")
    assert found.slope == pytest.approx(-2, abs=0.1) and found.intercept == pytest.approx(1, abs=0.1)
    assert found(np.array([0.0]))[0] == pytest.approx(1 / (1 + np.exp(-1)), abs=0.02)


def test_a_score_that_nobody_has_or_that_says_nothing() -> None:
    assert fit_score(np.full(4, np.nan), np.array([1.0, 0, 1, 0]), "isotonic") is None
    flat = fit_score(np.zeros(4), np.array([1.0, 0, 1, 0]), "isotonic")
    assert flat is not None and flat.auroc == 0.5 and flat.calibrator(np.zeros(1)).tolist() == [0.5]


def test_retrieval_combination_and_cascade_as_equations() -> None:
    fit = fitted()
    found, test = fit.detectors, toy(seed=2)
    near = found.detectors["retrieval"]
    assert isinstance(near, FittedRetrieval) and near.weight > 0
    standard = (found.risk(near.score, test) - near.centre) / near.spread
    np.testing.assert_allclose(found.risk("retrieval", test), standard - near.weight * test.values[SIMILARITY])
    mixed = found.detectors["combined"]
    assert isinstance(mixed, FittedCombination) and mixed.scores == ["length", "msp", "attention"]
    lacking = test.with_values(msp=np.full(N, np.nan))
    assert np.isfinite(found.risk("combined", lacking)).all()
    steps = found.detectors["cascade"]
    assert isinstance(steps, FittedCascade) and (steps.first, steps.then) == (PROBABILITY, "probe")
    first, then = found.p_correct(PROBABILITY, test), found.p_correct("probe", test)
    clear = (first < steps.low) | (first > steps.high)
    np.testing.assert_array_equal(found.p_correct("cascade", test), np.where(clear, first, then))
    own = fit.own[PROBABILITY]
    assert steps.share == pytest.approx(1 - ((own < steps.low) | (own > steps.high)).mean())


def test_valid_and_error_responses_teach_a_classifier_of_their_own() -> None:
    scored, labelled = toy(), toy(seed=0)
    fit = fit_detectors(scored, labelled=labelled, **WHO)
    assert rank_of(fit.own["is_it_valid"], scored.correct) > 0.7  # type: ignore[operator]


def test_the_file_is_plain_numbers_and_of_one_model(tmp_path: Path) -> None:
    fit = fitted()
    fit.detectors.save(tmp_path / FILE)
    again, test = read_detectors(tmp_path), toy(seed=1)
    assert again.best == fit.detectors.best and again.one("msp") == "msp" and again.one() == again.best
    for name in again.detectors:
        np.testing.assert_allclose(again.p_correct(name, test), fit.detectors.p_correct(name, test))
    again.check_model("f", "m")
    with pytest.raises(ValueError, match=r"fitted on responses of m \(fingerprint f\), and other is another model"):
        again.check_model("g", "other")
    with pytest.raises(ValueError, match=r"no detector 'mps' was fitted\. Did you mean 'msp'"):
        again.one("mps")
    with pytest.raises(FileNotFoundError, match="abstain detect MODEL --task NAME --out DIR"):
        read_detectors(tmp_path / "no")
    assert named_detector(str(tmp_path)) == (tmp_path, None)
    assert named_detector(f"{tmp_path}:msp") == (tmp_path, "msp")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"best": "nobody"}, "best is 'nobody', which is not there"),
        ({"version": 2}, "version"),
        ({"detectors": {}}, "detectors"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_file_of_detectors_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    fitted().detectors.save(tmp_path / FILE)
    stored = json.loads((tmp_path / FILE).read_text()) | change
    (tmp_path / FILE).write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=said):
        read_detectors(tmp_path)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="a map of 2 inputs does not follow on 1 outputs"):
        Network(mean=[0.0], scale=[1.0], maps=[Affine(weights=[[1.0], [1.0]], bias=[0.0])])
    with pytest.raises(ValueError, match="the risks do not rise"):
        Calibrator(kind="isotonic", x=[1.0, 0.0], y=[0.5, 0.5])
    one = FittedScore(sign=1, calibrator=Calibrator(kind="platt"), auroc=None)
    with pytest.raises(ValueError, match="goes by 'probe', which is not there"):
        cascade = FittedCascade(first="msp", then="probe", low=0, high=1, share=0, auroc=None)
        Detectors(n=1, best="msp", detectors={"msp": one, "cascade": cascade}, **WHO)


def test_too_little_to_fit_on() -> None:
    with pytest.raises(ValueError, match=r"20 responses of known verdict or more, .* here are 12"):
        fit_detectors(toy(12), **WHO)
    with pytest.raises(ValueError, match="a probe is fitted on 20 responses"):
        cross_fitted_p(np.zeros((30, 2)), np.ones(30), [str(i) for i in range(30)])


def test_lots_are_put_together() -> None:
    both = joined([toy(10), toy(5, seed=1)])
    assert len(both.pairs) == 15 and both.values["attention"].shape == (15, 3) and both.features is not None
    assert both.pick(np.arange(15) >= 10).values["msp"].tolist() == toy(5, seed=1).values["msp"].tolist()


def test_policies_answer_where_p_exceeds_t() -> None:
    train, test = toy(), toy(seed=1)
    fit = fitted()
    right = np.where(test.correct == 1, "CORRECT", "INCORRECT")
    mute = Policy(
        TRAINED, "run", {t: [Verdict.ABSTAINED] * 200 + [Verdict(one) for one in right[200:]] for t in (0.5, 0.9)}
    )
    found = compare_detectors(fit, test, [0.5, 0.9], train=train, others=[mute], oracle={0.5: 0.4, 0.9: 0.2}, draws=50)
    rows = {(row["policy"], row["target"]): row for row in found.found["rows"]}
    p = fit.detectors.p_correct("probe", test)
    earned = np.where(p > 0.9, np.where(test.correct == 1, 1.0, -9.0), 0.0)
    assert rows["probe", 0.9]["score"] == pytest.approx(earned.mean())
    assert rows["probe", 0.9]["regret"] == pytest.approx(0.2 - earned.mean())
    base = fit.detectors.p_correct(PROBABILITY, test)
    less = earned - np.where(base > 0.9, np.where(test.correct == 1, 1.0, -9.0), 0.0)
    assert rows["probe", 0.9]["difference"] == pytest.approx(less.mean())
    assert found.found["reference"] == PROBABILITY and rows[PROBABILITY, 0.9]["difference"] is None
    equal = {(row["policy"], row["target"]): row for row in found.found["equal_coverage"]}
    assert {round(row["coverage"], 6) for row in equal.values()} == {round(100 / N, 6)}
    surest = np.argsort(-p, kind="stable")[:100]
    assert equal["msp", 0.5]["n"] == N and equal["probe", 0.5]["correct"] == pytest.approx(
        test.correct[surest].sum() / N
    )
    for format in ("text", "markdown", "latex", "csv", "json"):
        assert "probe" in render_detectors(found.found, format)  # type: ignore[arg-type]


def test_kinds_of_error_have_a_table_where_people_told_them_apart() -> None:
    test, rng = toy(seed=1), np.random.default_rng(0)
    options = ((UNSUPPORTED,), (DISTORTED,), (DISTORTED, UNSUPPORTED))
    pairs = tuple(replace(one, kinds=options[rng.integers(3)] if one.error else ()) for one in test.pairs)
    plain = compare_detectors(fitted(), test, [0.5], train=toy(), draws=20).found
    told = compare_detectors(fitted(), replace(test, pairs=pairs), [0.5], train=toy(), draws=20).found
    assert plain["kinds"] == [] and {**told, "kinds": []} == plain
    assert {(row["detector"], row["kind"]) for row in told["kinds"]} == {
        (row["detector"], kind) for row in told["detectors"] for kind in (DISTORTED, UNSUPPORTED)
    }
    count = sum(UNSUPPORTED in one.kinds for one in pairs)
    assert f"unsupported ({count})" in render_detectors(told, "markdown")
    assert "unsupported" not in render_detectors(plain, "markdown")


def test_results_are_saved(tmp_path: Path) -> None:
    train, test = toy(), toy(seed=1, responses=2)
    found = compare_detectors(fitted(), test, [0, 0.5], train=train, draws=50)
    found.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"detect.json", "detect.md", "detect.png", "detect.svg"}
    stored = json.loads((tmp_path / "detect.json").read_text())
    assert stored["n_graded"] == N and stored["equal_coverage"] == []
    assert "## " in (tmp_path / "detect.md").read_text() or "Detectors: m" in (tmp_path / "detect.md").read_text()


def test_the_legend_says_how_sure_a_guarantee_is_and_intervals_of_what_they_are() -> None:
    once = compare_detectors(fitted(), toy(seed=1), [0.5], train=toy(), draws=20, delta=0.25).found
    often = compare_detectors(fitted(), toy(seed=1, responses=2), [0.5], train=toy(), draws=20).found
    assert "with probability 0.75 over" in render_detectors(once, "markdown")
    assert "with probability 0.9 over" in render_detectors(often, "markdown")
    assert once["interval"]["kind"] == KIND and often["interval"]["kind"] == often["interval"]["ranking"]


def test_every_network_judges_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says what it says alone, whoever goes by it."""
    found, test = fitted().detectors, toy(seed=1)
    apart = {name: (found.risk(name, test), found.p_correct(name, test)) for name in found.detectors}
    asked: list[Network] = []
    log_odds = Network.log_odds
    monkeypatch.setattr(Network, "log_odds", lambda self, x: asked.append(self) or log_odds(self, x))  # type: ignore[func-returns-value]
    judged = found.judge(test)
    assert list(judged) == list(found.detectors)
    assert len(asked) == len({id(one) for one in asked}) == 3  # probe, probe_mlp, combined; the cascade goes by one
    for name, (risk, p) in apart.items():
        np.testing.assert_array_equal(judged[name].risk, risk)
        np.testing.assert_array_equal(judged[name].p_correct, p)


def test_states_and_documents_of_nobody_whose_verdict_is_known() -> None:
    """Detectors that need them are left out or say nothing, and the rest is fitted."""
    scored = toy()
    assert scored.features is not None
    pairs = tuple(replace(one, error=None) if i % 2 else one for i, one in enumerate(scored.pairs))
    known = np.array([pair.error is not None for pair in pairs])
    features = np.where(known[:, None], np.nan, scored.features)
    near = np.where(known, np.nan, scored.values[SIMILARITY])
    fit = fit_detectors(replace(scored, pairs=pairs, features=features).with_values(**{SIMILARITY: near}), **WHO)
    assert {"msp", "combined"} <= set(fit.detectors.detectors)
    assert not {"probe", "probe_mlp", "retrieval", "is_it_valid"} & set(fit.detectors.detectors)
    folds = folds_of(scored.questions)
    only = np.where(folds == 0, scored.values[SIMILARITY], np.nan)  # so that the fit for this fold knows none
    fit = fit_detectors(scored.with_values(**{SIMILARITY: only}), **WHO)
    assert "retrieval" in fit.detectors.detectors and np.isnan(fit.own["retrieval"][folds == 0]).all()


def test_nothing_is_fitted_and_measured_on_the_same_question() -> None:
    train = toy()
    with pytest.raises(ValueError, match="300 questions are fitted on and measured"):
        compare_detectors(fitted(), train, [0.5], train=train)


def test_a_trained_policy_that_was_asked_something_else() -> None:
    with pytest.raises(ValueError, match="run was asked 1 of these 2 questions, and at no target all of them"):
        trained_policy({("a", 0.5): Verdict.CORRECT}, ["a", "b"], "run")
