"""Which responses are wrong? Hallucination detectors: scores, fitted on other data, and the policies they make."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["DETECTORS", "Detector"],
        "pair": ["Pair"],
    },
)
