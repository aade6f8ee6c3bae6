"""Pictures of metrics, for reports and for the README of a run."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "confidence": ["reliability_plot", "risk_coverage_plot"],
        "knowledge": ["knowledge_plot"],
        "outcomes": ["outcomes_plot", "score_plot"],
        "style": ["Plot"],
        "sweep": ["response_plot"],
        "training": ["training_plots"],
    },
)
