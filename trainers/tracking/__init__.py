"""Dashboards: wandb, trackio and TensorBoard get readable groups, tables and results."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dashboards": ["add_dashboards", "publish_results"],
    },
)
