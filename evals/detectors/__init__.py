"""Which responses are wrong? Hallucination detectors: scores, fitted on other data, and the policies they make."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["DETECTORS", "Detector"],
        "comparison": ["DetectorComparison", "compare_detectors"],
        "detecting": ["detect_in_pairs", "detect_on_task"],
        "fitted": ["Detectors", "read_detectors"],
        "fitting": ["FittedOn", "cross_fitted_p", "fit_detectors"],
        "loaders": ["load_pairs"],
        "pair": ["Pair"],
        "scored": ["Scored"],
        "scoring": ["Confider", "Means", "Scoring", "score_pairs"],
        "streaming": ["stream_scores"],
        "tables": ["render_detectors"],
    },
)
