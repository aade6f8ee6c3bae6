"""What a model knows of each fact, by asking it often (SliCK, Gekhman et al. 2024)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "continuations": ["Continue", "Continued", "FewShot", "LocalContinuer"],
        "exemplars": ["Exemplars", "draw_exemplars", "relation_of"],
        "labelling": ["cached_labels", "label_model", "label_questions"],
        "labels": ["Category", "Label", "Labels", "read_labels"],
        "protocol": ["PRESETS", "Protocol", "find_protocol"],
    },
)
