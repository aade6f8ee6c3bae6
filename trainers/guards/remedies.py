"""What can be done about a collapse while training goes on. Each remedy answers to some kinds of alarm.

`Guards` calls `apply` at every check at which one of them is active, and `relax` once none is. All processes do the
same at the same step. `state` goes into checkpoints as JSON; a remedy that is resumed gets it back by `load`.
"""

import random
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerControl

from abstain.evals.sampler import left_pad
from abstain.rewards.prompts import IDK
from abstain.trainers.guards.options import AnnealAbstention, RaiseKl, ReplayKnown, SeedIdk, Stop
from abstain.trainers.guards.rewards import AbstentionCredit
from abstain.trainers.guards.rollouts import Rollouts, Written

Pair = tuple[list[int], list[int]]
"""Token ids of a prompt and of its completion, the end token included."""


class Remedy(ABC):
    """Something that a guard does about a collapse.

    Attributes:
        kinds: the alarms that it answers to.
        memory: what a resumed run has to know, if anything: an object and the name of its attribute.
    """

    kinds: tuple[str, ...]
    memory: tuple[Any, str] | None = None

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
        """The memory, as JSON."""
        return {self.memory[1]: getattr(*self.memory)} if self.memory else {}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        if self.memory:
            setattr(*self.memory, state[self.memory[1]])


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
        self.memory = (self.credit, "begin")
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
        self.memory = (trainer, "beta")
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


def check_kl(config: Any) -> None:
    """Raise `ValueError` if TRL, so configured, keeps no reference model to be pulled to."""
    if not config.beta > 0:
        raise ValueError(
            "guards.raise_kl: rl.args.beta is 0, and then TRL keeps no reference model; set a small rl.args.beta "
            "such as 1e-3"
        )


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


class StopRemedy(Remedy):
    """Ends training when an alarm has lasted too long.

    Args:
        options: how long is too long.
    """

    kinds = ("all_idk", "all_guess", "one_answer", "targets_ignored", "ungraded", "reading_gap")

    def __init__(self, options: Stop) -> None:
        self.options = options
        self.lasted = 0
        self.memory = (self, "lasted")

    def apply(self, step: int, control: TrainerControl) -> str | None:
        self.lasted += 1
        if self.lasted < self.options.patience:
            return None
        control.should_training_stop = True
        return "training stops"

    def relax(self, step: int) -> str | None:
        self.lasted = 0
        return None


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
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise ValueError("guards.seed_idk cannot train weights that FSDP or DeepSpeed have sharded; seed by sft")
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


def completion_logprobs(model: Any, pairs: Sequence[Pair], pad: int) -> Tensor:
    """log P(completion | prompt) for each pair, (pairs,).

    Args:
        model: a causal language model.
        pairs: prompts and completions.
        pad: id of the pad token; rows are padded on the left.
    """
    device = next(model.parameters()).device
    ids, mask = left_pad([[*prompt, *completion] for prompt, completion in pairs], pad, device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    longest = max(len(completion) for _, completion in pairs)
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=longest + 1
    )
    logprobs = torch.log_softmax(output.logits[:, -longest - 1 : -1].float(), dim=-1)
    chosen = logprobs.gather(2, ids[:, -longest:, None])[..., 0]
    lengths = torch.tensor([len(completion) for _, completion in pairs], device=device)
    inside = torch.arange(longest, 0, -1, device=device) <= lengths[:, None]
    return (chosen * inside).sum(1)


class ReplayKnownRemedy(Remedy):
    """Asks a policy that abstains too much more often what it knew.

    Known questions are swapped in, row by row as the data loader fetches them; which ones depends on the row alone.

    Args:
        options: the share of rows to swap.
        trainer: TRL's, whose training set is a `datasets.Dataset` with the columns question_id and target.
        known: ids of the known questions.

    Raises:
        ValueError: none of them is in the training set, or the data loader has processes of its own.
    """

    kinds = ("all_idk", "targets_ignored")

    def __init__(self, options: ReplayKnown, trainer: Any, known: Collection[str]) -> None:
        dataset = trainer.train_dataset
        check_loader(trainer.args)
        self.options = options
        self.replay = _Replay(dataset, known)
        self.memory = (self.replay, "share")
        dataset.set_transform(self.replay)

    def apply(self, step: int, control: TrainerControl) -> str | None:
        return self._set(self.options.share)

    def relax(self, step: int) -> str | None:
        return self._set(0.0)

    def logs(self, step: int) -> dict[str, float]:
        return {"guards/replay_share": self.replay.share}

    def _set(self, share: float) -> str | None:
        before, self.replay.share = self.replay.share, share
        return f"{share:.0%} of the prompts are known questions" if share != before else None


def check_loader(config: Any) -> None:
    """Raise `ValueError` if rows are fetched by other processes, which would not hear that they should swap them."""
    if config.dataloader_num_workers:
        raise ValueError("guards.replay_known needs rl.args.dataloader_num_workers: 0, to be heard by the loader")


class _Replay:
    """A transform of a `datasets.Dataset`: rows in, rows out, some of them others at the same target."""

    def __init__(self, dataset: Any, known: Collection[str]) -> None:
        self.share = 0.0
        columns = dataset.select_columns(["question_id", "target"])[:]
        self._rows: dict[float, list[int]] = {}
        for row, (question, target) in enumerate(zip(columns["question_id"], columns["target"], strict=True)):
            if question in known:
                self._rows.setdefault(target, []).append(row)
        if not self._rows:
            raise ValueError(
                f"guards.replay_known: none of the {len(known)} known questions is in the training set; it needs the "
                "starting model's guesses on some of them"
            )
        self._dataset = dataset.with_format(None)  # this one without the transform

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if not self.share or "question_id" not in batch:
            return batch
        swaps = [self._swap(q, t) for q, t in zip(batch["question_id"], batch["target"], strict=True)]
        others = {row: self._dataset[row] for row in set(swaps) if row is not None}
        return {
            name: [value if row is None else others[row][name] for value, row in zip(values, swaps, strict=True)]
            for name, values in batch.items()
        }

    def _swap(self, question: str, target: float) -> int | None:
        """The same for all completions of a prompt, in every process."""
        draw = zlib.crc32(f"{question} {target}".encode())
        known: Sequence[int] = self._rows.get(target, ())
        return known[draw // 1000 % len(known)] if known and draw % 1000 < self.share * 1000 else None
