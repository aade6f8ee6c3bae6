"""TRL's trainers, with rollouts that share prefixes, guards against collapse, and dashboards."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "offline": ["run_offline"],
        "ppo": ["PPOConfig", "TriePPOTrainer"],
        "public": ["GRPOTrainer", "PPOTrainer", "RLOOTrainer"],
        "rl": ["run_rl"],
        "sft": ["run_sft"],
        "stages": ["OfflineStage", "RlStage", "SftStage"],
        "trl_args": ["ThresholdDriftError"],
    },
)
