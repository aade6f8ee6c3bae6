"""What can be done about a collapse while training goes on. Each remedy answers to some kinds of alarm.

`Guards` calls `apply` at every check at which one of them is active, and `relax` once none is. All processes do the
same at the same step. `state` goes into checkpoints as JSON; a remedy that is resumed gets it back by `load`.
"""

from abc import ABC, abstractmethod
from typing import Any

from transformers import TrainerControl

from abstain.trainers.guard_options import AnnealAbstention, RaiseKl, Stop
from abstain.trainers.guard_reward import AbstentionCredit


class Remedy(ABC):
    """Something that a guard does about a collapse.

    Attributes:
        kinds: the alarms that it answers to.
    """

    kinds: tuple[str, ...]

    @abstractmethod
    def apply(self, step: int, control: TrainerControl) -> str | None:
        """Do it; say what was done, `None` if nothing."""

    def relax(self, step: int) -> str | None:
        """The alarm is over; say what was undone."""
        return None

    def logs(self, step: int) -> dict[str, float]:
        """Series that show the remedy at work."""
        return {}

    def state(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        assert not state, f"{type(self).__name__} has nothing to remember"


class AnnealAbstentionRemedy(Remedy):
    """Lets the credit for abstaining fade; see `AbstentionCredit`.

    Args:
        options: how fast, and from when on.
        own_credit: what the reward pays for abstaining.

    Raises:
        ValueError: there is no credit to begin with.
    """

    def __init__(self, options: AnnealAbstention, own_credit: float) -> None:
        amount = own_credit if options.credit is None else options.credit
        if amount == 0 or (options.credit is None and amount < 0):
            raise ValueError(
                f"guards.anneal_abstention: the reward pays {own_credit:g} for abstaining, so there is nothing to "
                "anneal; give guards.anneal_abstention.credit, or switch it off"
            )
        self.credit = AbstentionCredit(amount, options.steps, 0 if options.begin == "start" else None)
        # Where abstaining is paid too well it fades; where it is not paid, a passing bonus makes it worth trying
        self.kinds = ("all_idk", "targets_ignored") if own_credit > 0 else ("all_guess",)

    def apply(self, step: int, control: TrainerControl) -> str | None:
        if self.credit.begin is not None:
            return None
        self.credit.begin = step
        return f"what abstaining earns falls from {self.credit.credit:g} to 0 in {self.credit.steps} steps"

    def logs(self, step: int) -> dict[str, float]:
        now = self.credit.at(step)
        return {} if now is None else {"guards/abstention_credit": now}

    def state(self) -> dict[str, Any]:
        return {"begin": self.credit.begin}

    def load(self, state: dict[str, Any]) -> None:
        self.credit.begin = state["begin"]


class RaiseKlRemedy(Remedy):
    """Multiplies the trainer's KL coefficient, and divides it again, down to what it was, once the alarm is over.

    Args:
        options: by how much, and up to where.
        trainer: TRL's; without a coefficient above 0 from the start it has no reference to be pulled to.

    Raises:
        ValueError: the coefficient is 0.
    """

    kinds = ("all_idk", "one_answer")

    def __init__(self, options: RaiseKl, trainer: Any) -> None:
        check_kl(trainer.args)
        self.options = options
        self.trainer = trainer
        self.least = trainer.args.beta
        start_as_reference(trainer)

    def apply(self, step: int, control: TrainerControl) -> str | None:
        before = self.trainer.beta
        self.trainer.beta = min(before * self.options.factor, max(before, self.options.most))
        return f"beta is now {self.trainer.beta:g}" if self.trainer.beta > before else None

    def relax(self, step: int) -> str | None:
        """Else the policy would stay where it was pulled to, and learn no more."""
        before = self.trainer.beta
        self.trainer.beta = max(before / self.options.factor, self.least)
        return f"beta is now {self.trainer.beta:g}" if self.trainer.beta < before else None

    def logs(self, step: int) -> dict[str, float]:
        return {"guards/beta": float(self.trainer.beta)}

    def state(self) -> dict[str, Any]:
        return {"beta": self.trainer.beta}

    def load(self, state: dict[str, Any]) -> None:
        self.trainer.beta = state["beta"]


def check_kl(config: Any) -> None:
    """Raise `ValueError` if TRL, so configured, keeps no reference model to be pulled to."""
    if not config.beta > 0:
        raise ValueError(
            "guards.raise_kl: rl.args.beta is 0, and then TRL keeps no reference model; set a small rl.args.beta "
            "such as 1e-3"
        )


class StopRemedy(Remedy):
    """Ends training when an alarm has lasted too long.

    Args:
        options: how long is too long.
    """

    kinds = ("all_idk", "all_guess", "one_answer", "targets_ignored", "ungraded")

    def __init__(self, options: Stop) -> None:
        self.options = options
        self.lasted = 0

    def apply(self, step: int, control: TrainerControl) -> str | None:
        self.lasted += 1
        if self.lasted < self.options.patience:
            return None
        control.should_training_stop = True
        return "training stops"

    def relax(self, step: int) -> str | None:
        self.lasted = 0
        return None

    def state(self) -> dict[str, Any]:
        return {"lasted": self.lasted}

    def load(self, state: dict[str, Any]) -> None:
        self.lasted = state["lasted"]


def start_as_reference(trainer: Any) -> None:
    """Make the model that RL starts from the reference of the KL term.

    TRL loads the reference from wherever the policy was loaded from: that is the model before its warm-up, which has
    never said "I don't know". Call it before training, also before a training that is resumed.

    Args:
        trainer: of TRL. Nothing happens without a reference model, as with LoRA or a KL coefficient of 0, or where
            weights are sharded.
    """
    if trainer.ref_model is None or trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return
    policy, reference = map(trainer.accelerator.unwrap_model, (trainer.model, trainer.ref_model))
    weights = policy.state_dict()  # a policy with a value head has more than the reference
    reference.load_state_dict({name: weights[name] for name in reference.state_dict()})
