"""Writes tests/golden/metrics_reference.json: what other libraries say of the same answers.

pip install torchmetrics==1.9.0 'torch-uncertainty[cpu]==0.13.0' relplot==1.0.3
python tests/evals/metrics_reference.py

None of them is needed by abstain or by its tests. Libraries disagree where confidence is 1 or tied (see the tests of
`abstain.evals.metrics.confidence`), so what is compared here is neither where it matters.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics_reference.json"
LIBRARIES = ("torchmetrics", "torch-uncertainty", "relplot")
N = 240


def cases() -> list[dict]:
    """Answers whose confidence is about right, too high, and stated in tenths."""
    rng = np.random.default_rng(0)
    found = []
    for name, p, power in (("calibrated", rng.random(N), 1), ("overconfident", rng.random(N), 3)):
        q = np.round(0.5 + 0.4999 * p, 4)  # above one half, where two classes have no other reading
        found.append((name, np.unique(q), power))
    found.append(("tenths", rng.integers(0, 10, N) / 10 + 0.02, 1))
    return [
        {"name": name, "confidence": q.tolist(), "correct": (rng.random(len(q)) < q**power).astype(int).tolist()}
        for name, q, power in found
    ]


def judge(case: dict) -> dict[str, float]:
    """What the libraries make of them."""
    import relplot
    import torch
    from torch_uncertainty.metrics.classification import AUGRC, AURC, AdaptiveCalibrationError
    from torchmetrics.functional.classification import binary_calibration_error

    relplot.config.smECE_mesh_pts = 2000
    q, c = np.array(case["confidence"]), np.array(case["correct"])
    found = {
        "torchmetrics.binary_calibration_error": float(
            binary_calibration_error(torch.tensor(q), torch.tensor(c), n_bins=15)
        ),
        "relplot.smECE": float(relplot.smECE(q, c)),
    }
    if len(np.unique(q)) == len(q):
        probabilities = torch.stack([1 - torch.tensor(q), torch.tensor(q)], dim=-1)
        for metric in (AURC(), AUGRC(), AdaptiveCalibrationError(task="multiclass", num_classes=2, num_bins=15)):
            metric.update(probabilities, torch.tensor(c))
            found[f"torch_uncertainty.{type(metric).__name__}"] = float(metric.compute())
    return found


if __name__ == "__main__":
    made = [{**case, "values": judge(case)} for case in cases()]
    text = {"made_with": {name: version(name) for name in LIBRARIES}, "made_by": Path(__file__).name, "cases": made}
    GOLDEN.write_text(json.dumps(text) + "\n", encoding="utf-8")
