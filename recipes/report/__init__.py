"""Reports of runs and sweeps: one HTML file each, and the pictures in it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "page": ["write_report"],
    },
)
