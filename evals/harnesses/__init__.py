"""Plug-ins that bring abstain's prompts, verdicts and tasks to Inspect and lm-evaluation-harness."""

__all__: list[str] = []
