"""Tables: one grid, in five formats."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "grid": ["Column", "Grid"],
        "table": ["Format", "render"],
    },
)
