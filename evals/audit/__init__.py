"""Does a model answer exactly when it is more than t sure, at every t that it is told?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "findings": ["Audit", "audit", "audit_model", "read_audit"],
        "plots": ["audit_plot", "threshold_plot"],
        "tables": ["render_audit"],
    },
)
