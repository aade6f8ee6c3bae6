"""A cost model fitted to what was measured: what a half of a step takes, by what it has to compute.

The model is that of `abstain.trainers.trie.cost`, which chooses by it; in sampling `fixed` and `per_weight` are those
of each pass of one token. No constant is negative, no price of operations below that of a large matrix product; errors
are relative, so a small cell counts as a large one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import nnls

from abstain.trainers.trie.cost import Price, Sizes, Work, quantities

TERMS = Price._fields
"""Seconds; seconds for 1e9 weights; and three of seconds for 1e12 operations."""


def features(row: dict[str, Any], path: str, half: str) -> list[float]:
    """What the terms of the model are multiplied with, for a path ("stock", "shared") of a measured cell.

    Args:
        row: of `measure`.
        path: whose work.
        half: "training" or "sampling".
    """
    shape, counted, answer = row["cell"]["shape"], dict(row["work"][path]), row["cell"]["answer"]
    rows, hidden = counted.pop("rows"), shape["hidden"]
    sizes = Sizes(row["cell"]["linear_weights"], shape["vocabulary"] * hidden, shape["layers"] * hidden)
    work = Work(**counted)
    if half == "training":
        return list(quantities(sizes, work))
    # Drawing needs the logits of the last token only, of each row or of each prefix
    scored = work.scored if path == "shared" else rows * answer
    fixed, per_weight, *operations = quantities(sizes, replace(work, scored=scored))
    linear, attention, head = (forwards / 3 for forwards in operations)
    return [answer * fixed, answer * per_weight, linear, attention / 2, head]  # a cache is attended to as it grows


def predict(constants: dict[str, float], found: Sequence[float]) -> float:
    """Seconds.

    >>> predict({"fixed": 0.5, "per_weight": 0.0, "linear": 2.0, "attention": 0.0, "head": 1.0}, [1, 0.1, 0.25, 3, 2])
    3.0
    """
    return sum(constants[term] * value for term, value in zip(TERMS, found, strict=True))


def fit(cases: Sequence[tuple[Sequence[float], float]], peak: float = np.inf) -> dict[str, float]:
    """The constants with the least squared relative error.

    Args:
        cases: features and seconds, at least one.
        peak: operations, in 1e12 a second, above which no product can be.
    """
    wanted = np.array([seconds for _, seconds in cases])
    matrix = np.array([found for found, _ in cases]) / wanted[:, None]
    least = np.array([0, 0, 1, 1, 1]) / peak
    size = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)  # so that columns of 1e-6 are not taken for nothing
    above, _ = nnls(matrix / size, 1 - matrix @ least)
    return dict(zip(TERMS, (least + above / size).tolist(), strict=True))


def fit_all(rows: Sequence[dict[str, Any]], paths: Sequence[str] = ("stock", "shared")) -> list[dict[str, Any]]:
    """Constants for each device, precision, path and half, and how well they predict.

    `error` is the median relative error on the cells fitted to, `error_left_out` that of each cell by the others.
    """
    kinds = sorted({(row["device"], row["cell"]["precision"]) for row in rows})
    found = []
    for device, precision in kinds:
        peak = max(
            row["matmul_tflops"] for row in rows if (row["device"], row["cell"]["precision"]) == (device, precision)
        )
        for path in paths:
            for half in ("training", "sampling"):
                cases = [
                    (features(row, path, half), row["runs"][path]["seconds"][half])
                    for row in rows
                    if (row["device"], row["cell"]["precision"]) == (device, precision)
                    and half in row["runs"].get(path, {}).get("seconds", {})
                ]
                if len(cases) < 2:
                    continue
                constants = fit(cases, peak)
                left_out = [fit([*cases[:which], *cases[which + 1 :]], peak) for which in range(len(cases))]
                found.append(
                    {
                        "device": device,
                        "precision": precision,
                        "path": path,
                        "half": half,
                        "cells": len(cases),
                        "constants": constants,
                        "error": _median_error(cases, [constants] * len(cases)),
                        "error_left_out": _median_error(cases, left_out),
                    }
                )
    return found


def choices(rows: Sequence[dict[str, Any]], fitted: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often the fitted constants choose the path that was faster, and what their choices cost beside the best.

    For each half: cells, cells where stock was faster, right choices, and the seconds chosen over those of the best.
    """
    by_key = {(f["device"], f["precision"], f["path"], f["half"]): f["constants"] for f in fitted}
    found = {}
    for half in ("training", "sampling"):
        cells = stock_faster = right = 0
        chosen_seconds = best_seconds = 0.0
        for row in rows:
            keys = [(row["device"], row["cell"]["precision"], path, half) for path in ("stock", "shared")]
            seconds = [row["runs"].get(key[2], {}).get("seconds", {}).get(half) for key in keys]
            if None in seconds or not all(key in by_key for key in keys):
                continue
            predicted = [predict(by_key[key], features(row, key[2], half)) for key in keys]
            choice = int(predicted[1] < predicted[0])
            cells += 1
            stock_faster += seconds[0] < seconds[1]
            right += seconds[choice] == min(seconds)
            chosen_seconds += seconds[choice]
            best_seconds += min(seconds)
        if cells:
            found[half] = {
                "cells": cells,
                "stock faster": stock_faster,
                "right": right,
                "seconds over best": chosen_seconds / best_seconds,
            }
    return found


def _median_error(cases: Sequence[tuple[Sequence[float], float]], constants: Sequence[dict[str, float]]) -> float:
    off = [abs(predict(used, found) / seconds - 1) for (found, seconds), used in zip(cases, constants, strict=True)]
    return float(np.median(off))
