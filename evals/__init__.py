"""What a model is asked, what its answers are worth, and the tables that say so."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "endpoint": ["load_endpoint"],
        "evaluation": ["Evaluation", "evaluate"],
        "metrics": ["measure", "read_metrics"],
        "models": ["LoadedModel", "load_model"],
        "policies": ["compare_policies"],
        "prompt_card": ["PromptCard", "read_card"],
        "records": ["Record", "read_records", "write_records"],
        "sampler": ["Sampler"],
        "sampling": ["AnySampler", "Completion"],
        "tables": ["render"],
        "tasks": ["TASKS", "Question", "Task", "load_task"],
    },
)
