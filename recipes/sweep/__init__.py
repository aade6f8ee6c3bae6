"""Sweeps: many recipes that differ along axes, what they share computed once."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "ablation": ["Ablation"],
        "config": ["Sweep", "load_sweep"],
        "directory": ["SweepDir"],
    },
)
