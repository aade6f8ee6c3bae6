"""Collapses, seen while a model trains, and mended."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "callback": ["Guards"],
        "options": ["GuardOptions"],
    },
)
