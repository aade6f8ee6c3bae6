"""TRL's configuration: our defaults, fields checked by name and type before a model is loaded, and no drift.

Drift is what a reward scaling does to a confidence target. Dividing the advantages of a group by their standard
deviation multiplies the gain of a right answer and the loss of a wrong one by factors that depend on the group. In a
group with only two outcomes the penalty cancels altogether. With G = 8 and half the samples answering, a target of 0.9
acts like 0.71 within one question, and 0.50 across questions that the policy cannot tell apart. Only unscaled
advantages are exact.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, get_type_hints

from pydantic import TypeAdapter, ValidationError

from abstain.rewards.errors import nearest

SHARED_DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-5,
    "logging_steps": 10,
    "report_to": "none",
    "project": "abstain",
    "save_steps": 0.1,
    "save_total_limit": 1,
}
"""Of all stages. A checkpoint at each tenth of a stage, of which the last is kept: Ctrl-C loses no more; see
`abstain.trainers.run_trainer.Sparing` for models that take long to save."""
# TRL takes any string for these and fails, or silently does something else, once training has begun
CHOICES: dict[str, Any] = {
    "scale_rewards": bool | Literal["group", "batch", "none"],
    "multi_objective_aggregation": Literal["sum_then_normalize", "normalize_then_sum"],
    "importance_sampling_level": Literal["token", "sequence"],
    "vllm_mode": Literal["server", "colocate"],
}
OWN = {
    "output_dir": "the run directory holds all stages: set output_dir at the top of the recipe",
    "seed": "one seed serves the whole run: set seed at the top of the recipe",
    "reward_weights": "give each reward its own weight: rl.rewards.0.weight",
    "remove_unused_columns": "rewards read the columns answers and target, so they are always kept",
    "model_init_kwargs": "the model is loaded by the recipe's model section",
}


def config_class(name: str) -> type:
    """The configuration class of TRL with this name, or our own for PPO, which TRL has no longer."""
    if name == "PPOConfig":
        from abstain.trainers.ppo import PPOConfig

        return PPOConfig
    import trl

    return getattr(trl, name)


def check_trl_args(config: str, args: dict[str, Any]) -> dict[str, Any]:
    """Return `args` with values as their fields' types, or say what is wrong.

    Args:
        config: "SFTConfig", "GRPOConfig", "RLOOConfig", "PPOConfig", "DPOConfig" or "KTOConfig".
        args: fields of that class.

    Raises:
        ValueError: unknown field (with the nearest), value of another type, or a field that the recipe sets elsewhere.

    Example:
        >>> check_trl_args("GRPOConfig", {"learning_rate": "1e-5"})
        {'learning_rate': 1e-05}
        >>> check_trl_args("GRPOConfig", {"scale_rewards": "grup"})
        Traceback (most recent call last):
        ...
        ValueError: scale_rewards='grup': must be true, false, 'group', 'batch' or 'none'
    """
    known = config_class(config)
    names = {field.name for field in dataclasses.fields(known) if field.init}
    hints = get_type_hints(known)
    return {name: _check(config, names, hints, name, value) for name, value in args.items()}


def _check(config: str, names: set[str], hints: dict[str, Any], name: str, value: Any) -> Any:
    if name not in names:
        near, _, _ = nearest(name, names).partition("Allowed:")  # without the list of 200 others
        hint = near.strip() or "See TRL's documentation for its fields."
        raise ValueError(f"{config} has no field '{name}'. {hint}")
    if name in OWN:
        raise ValueError(f"{name} is not set here: {OWN[name]}")
    if name in CHOICES:
        return _validated(name, value, CHOICES[name])
    try:
        adapter = TypeAdapter(hints[name])
    except Exception:  # a type that pydantic cannot build a schema for: TRL checks it
        return value
    return _validated(name, value, adapter)


def _validated(name: str, value: Any, kind: Any) -> Any:
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        choices = [part["ctx"]["expected"] for part in error.errors() if part["type"] == "literal_error"]
        also = "true, false, " if any(part["type"].startswith("bool") for part in error.errors()) else ""
        expected = f"must be {also}{choices[0]}" if choices else error.errors()[0]["msg"]
        raise ValueError(f"{name}={value!r}: {expected}") from None


def build_config(config: str, args: dict[str, Any], defaults: dict[str, Any]) -> Any:
    """An instance of TRL's configuration: `args` over `defaults`, those over what this machine needs."""
    import torch

    if "eval_strategy" in args:  # transformers may want multiples of eval_steps, and cannot tell those of a ratio
        defaults = {name: value for name, value in defaults.items() if name != "save_steps"}
    given = defaults | check_trl_args(config, args)
    return config_class(config)(**(given if torch.accelerator.is_available() else _for_cpu(given)))


def _for_cpu(given: dict[str, Any]) -> dict[str, Any]:
    """TRL takes a GPU with bfloat16 for granted and fails without one."""
    from abstain.evals.models import takes_bfloat16

    half = takes_bfloat16("cpu", given.get("bf16", False))
    return {"use_cpu": True, "dataloader_pin_memory": False} | given | {"bf16": half}


class ThresholdDriftError(ValueError):
    """A threshold reward meets a reward scaling that moves its threshold."""


def check_threshold_drift(rewards: Iterable[Any], algorithm: str, config: Any) -> None:
    """Raise `ThresholdDriftError` if `config` scales the advantages of a reward that has a threshold.

    Args:
        rewards: reward functions; those of `abstain.rewards` say by `threshold_dependent` whether they have one.
        algorithm: "grpo", "rloo", or "ppo", whose advantages are never scaled by their own batch.
        config: TRL's configuration.

    Example:
        >>> from types import SimpleNamespace as Config
        >>> from abstain.rewards import ConfidenceTarget
        >>> check_threshold_drift([ConfidenceTarget()], "rloo", Config(normalize_advantages=False))
        >>> check_threshold_drift([ConfidenceTarget()], "rloo", Config(normalize_advantages=True))
        Traceback (most recent call last):
        ...
        abstain.trainers.trl_args.ThresholdDriftError: normalize_advantages=True ...
    """
    names = [reward.__name__ for reward in rewards if getattr(reward, "threshold_dependent", False)]
    found = _drifting(algorithm, config)
    if names and found:
        setting, remedy = found
        raise ThresholdDriftError(
            f"{setting} divides advantages by their standard deviation, which moves the threshold of "
            f"{', '.join(names)}: with 8 completions per prompt a target of 0.9 acts like 0.71 to 0.50. "
            f"Set {remedy}, or rl.allow_threshold_drift: true to see it happen."
        )


def _drifting(algorithm: str, config: Any) -> tuple[str, str] | None:
    """The setting that scales, and what to set instead."""
    if algorithm == "ppo":
        return None
    if algorithm == "rloo":
        return ("normalize_advantages=True", "normalize_advantages: false") if config.normalize_advantages else None
    if config.multi_objective_aggregation == "normalize_then_sum":
        return "multi_objective_aggregation='normalize_then_sum'", "multi_objective_aggregation: sum_then_normalize"
    if config.scale_rewards not in (False, "none"):
        return f"scale_rewards={config.scale_rewards!r}", "scale_rewards: none"
    return None
