"""The `abstain` command: what its arguments mean, and nothing else."""

from abstain.recipes.cli.command import app, main

__all__ = ["app", "main"]
