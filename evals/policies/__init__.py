"""Other ways to abstain than learning it, each scored at every target: rubric, agreement, thresholds, conformal."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "agreement": ["Agreed", "ask_samples"],
        "comparison": ["Comparison", "compare_policies", "read_policies"],
        "conformal": ["Certificate", "certify_answered", "control_all"],
        "rows": ["Policy", "policy_rows"],
        "tables": ["render_policies"],
        "thresholds": ["guess_policies"],
    },
)
