"""Logs of other harnesses, scored at every target."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"ranking": ["PenaltyCurve", "crossing", "penalty_curve"], "rescoring": ["Rescored", "rescore"]},
)
