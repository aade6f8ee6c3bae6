"""What is asked: questions with gold answers, made here, from a file or from the hub."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"catalogue": ["TASKS", "describe", "load_task"], "question": ["Question", "Task"]}
)
