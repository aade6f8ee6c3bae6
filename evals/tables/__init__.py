"""Tables: one grid, in five formats."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "document": ["Bullets", "Format", "Heading", "Notes", "render_tables"],
        "grid": ["Column", "Grid"],
        "table": ["render"],
    },
)
