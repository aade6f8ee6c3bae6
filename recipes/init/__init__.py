"""From a file of questions and a model to a commented recipe that runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"draft": ["Draft", "make_draft"]})
