"""Numbers from records: scores at every target, oracles to compare with, calibration, intervals."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attribution": ["split_by_documents"],
        "by_category": ["split_by_category"],
        "confidence": ["augrc", "aurc", "brier_score", "expected_calibration_error", "smooth_calibration_error"],
        "intervals": ["mean_interval", "paired_difference", "points_interval"],
        "measuring": ["measure", "target_row"],
        "schema": ["read_metrics"],
        "oracle": ["Baseline", "ForcedAnswers", "BaseGuesses", "baselines"],
    },
)
