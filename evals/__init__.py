"""What a model is asked, what its answers are worth, and the tables that say so."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "evaluation": ["Evaluation", "evaluate"],
        "models": ["LoadedModel", "load_model"],
        "records": ["Record", "read_records", "write_records"],
        "sampler": ["Completion", "Sampler"],
    },
)
