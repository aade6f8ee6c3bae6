"""Long answers, measured claim by claim: of a model that is asked here, and of files that others have labelled."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "asking": ["evaluate_claims"],
        "files": ["LabelledAnswer", "LabelledClaim", "read_labelled"],
        "labelled": ["measure_labelled"],
        "nli": ["NliChecker"],
        "own": ["OwnClaim", "own_claims"],
    },
)
