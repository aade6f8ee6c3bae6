"""Runs one of TRL's trainers, from the start or from its last checkpoint."""

from typing import Any

from transformers.trainer_utils import get_last_checkpoint


def train(trainer: Any, resume: bool) -> None:
    """Train, resuming from the last complete checkpoint if asked to, and leave `trainer_state.json`.

    Args:
        trainer: a trainer of TRL.
        resume: go on from the last checkpoint in its output directory; from the start if there is none.
    """
    last = get_last_checkpoint(trainer.args.output_dir) if resume else None
    trainer.train(resume_from_checkpoint=last)
    trainer.save_state()
