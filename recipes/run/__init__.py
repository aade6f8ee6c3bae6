"""A recipe's stages, in order, in one run directory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checks": ["check_recipe"],
        "directory": ["RunDir"],
        "recipe": ["Recipe", "load_recipe"],
        "steps": ["Run"],
    },
)
