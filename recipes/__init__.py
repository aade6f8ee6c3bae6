"""The `abstain` command, and the recipes it runs: the YAML files in this folder."""

__all__: list[str] = []
