"""What can be done about a collapse while training goes on. Each remedy answers to some kinds of alarm.

`Guards` calls `apply` at every check at which one of them is active. All processes do the same at the same step.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerControl

from abstain.evals.sampler import left_pad
from abstain.rewards.errors import nearest
from abstain.rewards.named import check_options, find, parameters_of, place_of, said, short
from abstain.rewards.prompts import IDK
from abstain.trainers.guards.alarms import KINDS
from abstain.trainers.guards.options import OwnRemedy, SeedIdk, Stop
from abstain.trainers.guards.rollouts import Rollouts, Written

Pair = tuple[list[int], list[int]]
"""Token ids of a prompt and of its completion, the end token included."""
FILLED = ("trainer", "rollouts")
"""What the constructor of a remedy gets besides its own arguments, where it takes them."""


class Remedy(ABC):
    """Something that a guard does about a collapse.

    One of your own is a class of this kind that a recipe names under `rl.guards.remedies`. It is constructed with
    `args`, and with the keywords `trainer` (TRL's) and `rollouts` (`Rollouts`) where its constructor has them.

    Attributes:
        kinds: the alarms that it answers to, of `abstain.trainers.guards.alarms.KINDS`.
        lasted: checks in a row that found one of them active, this one included. `Guards` counts, also over a resume.
    """

    kinds: tuple[str, ...]
    lasted = 0

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return type(self).__name__.removesuffix("Remedy")

    @abstractmethod
    def apply(self, step: int, control: TrainerControl) -> str | None:
        """Do it; say what was done, `None` if nothing."""


class StopRemedy(Remedy):
    """Ends training when an alarm has lasted too long.

    Args:
        options: how long is too long.
    """

    kinds = ("all_idk", "all_guess", "one_answer", "targets_ignored", "ungraded", "reading_gap")

    def __init__(self, options: Stop) -> None:
        self.options = options

    def apply(self, step: int, control: TrainerControl) -> str | None:
        if self.lasted < self.options.patience:
            return None
        control.should_training_stop = True
        return "training stops"


class SeedIdkRemedy(Remedy):
    """Takes supervised steps in which some prompts are answered "I don't know", so that it is sampled at all.

        minimise -log P(y | x)     over the last prompts x, with y = "I don't know" for a share of those at t > 0, and
                                   y = what the policy itself wrote for the others

    What is never sampled is never reinforced. The others keep the policy where it is: raising "I don't know" alone
    unlearned the rest (tried on the fact world: accuracy .45 -> .00; so did few prompts, learned by heart; as it is
    now, .45 -> .42). The reward then decides where to say it. An optimizer of its own takes the steps: RL's second
    moments are those of far smaller gradients, and would blow these up.

    Args:
        options: how many, and with what.
        trainer: TRL's.
        rollouts: what the policy wrote last.

    Raises:
        ValueError: the training set has no prompt with t > 0, or the weights are sharded.
    """

    kinds = ("all_guess",)

    def __init__(self, options: SeedIdk, trainer: Any, rollouts: Rollouts) -> None:
        if not any(trainer.train_dataset.with_format(None)["target"]):  # 0, or none at all
            raise ValueError("guards.seed_idk: no prompt of the training set has a target above 0")
        check_unsharded(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)
        self.options = options
        self.trainer = trainer
        self.rollouts = rollouts

    def apply(self, step: int, control: TrainerControl) -> str | None:
        process = self.trainer.accelerator.process_index
        rng = random.Random(f"{self.trainer.args.seed} {step} {process}")
        rate = self.options.learning_rate or self.trainer.args.learning_rate
        weights = [weight for weight in self.trainer.model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
        written = list(self.rollouts.written)
        for done in range(self.options.steps + 1):
            rows = rng.choices(written, k=self.options.batch)
            probability = self._probability(rows)
            if probability >= self.options.share / 2 or done == self.options.steps:
                break
            (-self._logprobs(self.trainer.model_wrapped, [self._example(row, rng) for row in rows]).mean()).backward()
            torch.nn.utils.clip_grad_norm_(weights, self.trainer.args.max_grad_norm or 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return f"{done} supervised steps: P({IDK!r}) is {probability:.1%}" if done else None

    def _example(self, row: Written, rng: random.Random) -> Pair:
        seeded = bool(row.target) and rng.random() < self.options.share
        return self._prompt_ids(row.prompt), self._idk_ids(row.prompt) if seeded else list(row.completion_ids)

    def _probability(self, rows: Sequence[Written]) -> float:
        """Mean probability of "I don't know" where t > 0, over all processes."""
        pairs = [(self._prompt_ids(row.prompt), self._idk_ids(row.prompt)) for row in rows if row.target]
        accelerator = self.trainer.accelerator
        total = torch.zeros(2, device=accelerator.device)
        if pairs:
            with torch.no_grad():
                likely = self._logprobs(accelerator.unwrap_model(self.trainer.model), pairs).exp()
            total = torch.stack([likely.sum(), likely.new_tensor(len(pairs))])
        total = accelerator.reduce(total, reduction="sum")
        return float(total[0] / total[1].clamp(min=1))

    def _logprobs(self, model: Any, pairs: Sequence[Pair]) -> Tensor:
        with self.trainer.accelerator.autocast():
            return completion_logprobs(model, pairs, self.trainer.processing_class.pad_token_id)

    def _prompt_ids(self, prompt: str | list[dict[str, str]]) -> list[int]:
        tokenizer = self.trainer.processing_class
        if isinstance(prompt, str):
            return tokenizer(prompt)["input_ids"]
        return tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]

    def _idk_ids(self, prompt: str | list[dict[str, str]]) -> list[int]:
        """The completion as it would be sampled: after a plain prompt it begins with a space."""
        tokenizer = self.trainer.processing_class
        text = f" {IDK}" if isinstance(prompt, str) else IDK
        return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


class NamedRemedy(Remedy):
    """A remedy that a recipe names; what it raises is told with its name and place.

    Args:
        options: the name, and arguments.
        trainer, rollouts: for a remedy that takes them.

    Raises:
        ValueError: nothing has this name, or what has it is no remedy; on a call, the remedy raised.
    """

    def __init__(self, options: OwnRemedy, trainer: Any, rollouts: Rollouts) -> None:
        make = find(options.name)
        takes = check_remedy(options)
        given = {key: value for key, value in (("trainer", trainer), ("rollouts", rollouts)) if key in takes}
        try:
            self.remedy = make(**options.args, **given)
        except Exception as error:
            raise ValueError(
                f"remedy {short(options.name)} raised {said(error)}{place_of(error, __file__)}"
            ) from error
        self.name, self.kinds = options.name, _kinds(options.name, self.remedy)

    @property
    def title(self) -> str:
        return short(self.name)

    def apply(self, step: int, control: TrainerControl) -> str | None:
        self.remedy.lasted = self.lasted
        try:
            done = self.remedy.apply(step, control)
        except Exception as error:
            raise ValueError(f"remedy {self.title} raised {said(error)}{place_of(error, __file__)}") from error
        return None if done is None else str(done)


def check_remedy(options: OwnRemedy) -> Collection[str]:
    """The keywords that its constructor takes; it is not called.

    Raises:
        ValueError: nothing has this name, or no remedy; or it takes other arguments.

    Example:
        >>> check_remedy(OwnRemedy(name="abstain.trainers.guards.remedies:StopRemedy"))
        Traceback (most recent call last):
        ...
        ValueError: abstain.trainers.guards.remedies:StopRemedy lacks the argument 'options', which has no default;
        what is filled in is trainer, rollouts
    """
    make = find(options.name)
    takes = parameters_of(options.name, make)
    check_options(options.name, takes, options.args, FILLED)
    if isinstance(make, type):
        if not callable(getattr(make, "apply", None)):
            raise ValueError(f"{short(options.name)} is no remedy: it has no method apply(step, control)")
        if hasattr(make, "kinds"):  # else its constructor sets them
            _kinds(options.name, make)
    return takes


def _kinds(name: str, remedy: Any) -> tuple[str, ...]:
    """The alarms that a remedy answers to."""
    kinds = getattr(remedy, "kinds", None)
    if not kinds or isinstance(kinds, str) or not callable(getattr(remedy, "apply", None)):
        raise ValueError(
            f"{short(name)} is no remedy: it needs `kinds`, the alarms that it answers to, as in "
            "kinds = ('all_idk',), and a method apply(step, control)"
        )
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"{short(name)}: there is no alarm {kind!r}. {nearest(str(kind), KINDS)}")
    return tuple(kinds)


def check_unsharded(sharded: bool) -> None:
    """Raise `ValueError` if each process has only a part of the weights, which the supervised steps would miss."""
    if sharded:
        raise ValueError("guards.seed_idk cannot train weights that FSDP or DeepSpeed have sharded; seed by sft")


def completion_logprobs(model: Any, pairs: Sequence[Pair], pad: int) -> Tensor:
    """log P(completion | prompt) for each pair, (pairs,), at the temperature of the model's head.

    The head scores a tile of positions and vocabulary at a time, as in training: never all logits at once, which for
    64 completions of 256 tokens and 152,000 words are 10 GB, and as much again for each step of a softmax over them.

    Args:
        model: a causal language model with the head that TRL's trainers give it, `add_fused_lm_head`.
        pairs: prompts and completions.
        pad: id of the pad token; rows are padded on the left.
    """
    device = next(model.parameters()).device
    ids, mask = left_pad([[*prompt, *completion] for prompt, completion in pairs], pad, device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    lengths = torch.tensor([len(completion) for _, completion in pairs], device=device)
    scored = torch.arange(ids.shape[1], 0, -1, device=device) <= lengths[:, None]
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        labels=ids.masked_fill(~scored, -100),
        fused_lm_head=True,
    )
    return output.log_probs.sum(1)
