"""Logs that other harnesses wrote, read as batches of rows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"batch": ["Batch", "Options", "Problems"], "detect": ["find_logs", "open_log"]}
)
