"""PPO on TRL's GRPO trainer: a value head instead of a group is the baseline, so one completion per prompt will do.

Schulman et al., Proximal Policy Optimization Algorithms, arXiv 1707.06347. Rewards, data sets, generation, vLLM,
PEFT, logging and the clipped policy loss are TRL's; `num_iterations` are the epochs, `steps_per_generation` the
minibatches, `epsilon` the clip range. Added are the advantages of every token, and to the policy loss of each token

    c_v · ½ max((V - R)², (V_old + clip(V - V_old, ±ε_v) - R)²)

before the tokens are put together as `loss_type` says: one unit for both.
"""

import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import is_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from trl import GRPOConfig
from trl.trainer.utils import FusedCausalLMOutput, create_model_from_path

from abstain.evals.trie.scoring import Scores
from abstain.trainers.run_trainer import Batch, inner_model
from abstain.trainers.trie.trainer import TrieGRPOTrainer

NAME = "value_head"
FILE = "value_head.safetensors"
"""Lies beside the model that it was trained with, which stays a plain causal language model to everybody else."""


@dataclass
class PPOConfig(GRPOConfig):
    """TRL's `GRPOConfig`, and what a critic needs.

    Args:
        num_generations: completions per prompt; one will do.
        value_coefficient: c_v, weight of the value loss, whose gradient reaches the whole model.
        value_clip: ε_v, how far a value may move from where it was when sampled; `None` for no limit.
        value_learning_rate: of the value head alone, which starts from nothing.
        gamma: discount per token.
        gae_lambda: λ of `advantages_and_returns`. 1 keeps a reward's threshold exact however wrong the values are.
        whiten_advantages: divide by the root mean square of the advantages of *earlier* batches. It does not depend on
            the batch that it scales, so it moves no threshold, as the batch's own standard deviation would.

    Raises:
        ValueError: as `GRPOConfig`; λ or γ outside [0, 1].

    Example:
        >>> PPOConfig(output_dir="out", bf16=False, use_cpu=True).num_generations
        1
    """

    num_generations: int = field(default=1, metadata={"help": "Completions per prompt."})
    value_coefficient: float = field(default=0.5, metadata={"help": "Weight of the value loss."})
    value_clip: float | None = field(default=0.2, metadata={"help": "Clip range of values; none for no clipping."})
    value_learning_rate: float = field(default=1e-3, metadata={"help": "Learning rate of the value head."})
    gamma: float = field(default=1.0, metadata={"help": "Discount per token."})
    gae_lambda: float = field(default=1.0, metadata={"help": "Lambda of generalised advantage estimation."})
    whiten_advantages: bool = field(default=False, metadata={"help": "Scale advantages by those of earlier batches."})

    def __post_init__(self) -> None:
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1]")
        if self.num_generations == 1:
            self.num_generations = _One(1)
            self.num_generations_eval = getattr(self, "num_generations_eval", None) or 1
        super().__post_init__()
        self.num_generations = int(self.num_generations)


class _One(int):
    """A group of one, which GRPO's configuration refuses because GRPO has no other baseline than the group."""

    def __lt__(self, other: int) -> bool:
        return other > 2


def advantages_and_returns(
    rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float = 1.0, lam: float = 1.0
) -> tuple[Tensor, Tensor]:
    """A_t = Σ_l (γλ)^l δ_(t+l) with δ_t = r_t + γ V(s_(t+1)) - V(s_t), and the returns A_t + V(s_t).

    The reward of a completion is paid on its last token, after which there is no value: whatever ended it, the text
    was judged as it stands. Tokens that the policy did not choose (padding, what a tool answered) are no steps.
    Schulman et al., High-Dimensional Continuous Control Using Generalized Advantage Estimation, arXiv 1506.02438,
    equation 16.

    With λ = 1 the advantage is reward minus value, whatever the values are an unbiased estimate of what an action is
    worth. With λ < 1 it leans on the values: where they are wrong, the point where answering pays moves.

    Args:
        rewards: (B,) one per completion.
        values: (B, T) of the state before each token.
        mask: (B, T) 1 where the policy chose the token.
        gamma: discount per token.
        lam: λ, in [0, 1].

    Returns:
        Advantages and returns, both (B, T) and 0 where the mask is.

    Example:
        >>> one = torch.ones(1, 2)
        >>> values = torch.tensor([[0.5, 0.25]])
        >>> advantages_and_returns(torch.tensor([1.0]), values, one, lam=0.5)  # δ = (-.25, .75)
        (tensor([[0.1250, 0.7500]]), tensor([[0.6250, 1.0000]]))
    """
    ahead = torch.zeros_like(rewards)  # advantage of the step after this one
    value_ahead = torch.zeros_like(rewards)
    pay = rewards.clone()  # still to be paid: nothing once the last step has been met, coming from the end
    columns = []
    for t in range(values.shape[1] - 1, -1, -1):
        chosen = mask[:, t].bool()
        step = pay + gamma * value_ahead - values[:, t] + gamma * lam * ahead
        ahead, value_ahead, pay = (
            torch.where(chosen, new, old)
            for new, old in ((step, ahead), (values[:, t], value_ahead), (torch.zeros_like(pay), pay))
        )
        columns.append(torch.where(chosen, step, torch.zeros_like(step)))
    found = torch.stack(columns[::-1], dim=1)
    return found, (found + values) * mask.bool()


class ValueHead(nn.Module):
    """V(s_t), the reward still to come, from the state h before token t: V = v · gelu(W h) / √d, in fp32.

    v = 0 at the start: a value of 0 everywhere.

    Args:
        hidden_size: d of the model it reads.

    Example:
        >>> ValueHead(4)(torch.ones(2, 3, 4)).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(hidden_size, hidden_size)
        self.outer = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Values (...) of hidden states (..., d)."""
        with torch.autocast(hidden.device.type, enabled=False):  # and whatever the model's weights are cast to
            inner = nn.functional.linear(hidden.float(), self.inner.weight.float(), self.inner.bias.float())
            features = nn.functional.gelu(inner) / hidden.shape[-1] ** 0.5
            return nn.functional.linear(features, self.outer.weight.float(), self.outer.bias.float())[..., 0]


def add_value_head(model: PreTrainedModel) -> None:
    """Give `model` a `value_head`: the one saved beside it, else a new one.

    Call it before PEFT gets the model, and list "value_head" in PEFT's `modules_to_save`.
    """
    if hasattr(model, NAME):
        return
    head = ValueHead(model.config.get_text_config().hidden_size)
    saved = Path(model.config._name_or_path, FILE)
    if saved.is_file():
        head.load_state_dict(load_file(saved))
    model.value_head = head.to(model.device)


@dataclass
class ValuedOutput(FusedCausalLMOutput):
    """What TRL's fused head finds, and the values (B, T - 1), where DDP looks for what needs a gradient."""

    state_values: Tensor | None = None


def give_state_values(model: PreTrainedModel, take: Callable[[Tensor], None]) -> None:
    """Let `model(..., fused_lm_head=True)` hand the values (B, T - 1) of its states to `take`.

    Call it after TRL has added that keyword.
    """
    scoring = model.forward

    def forward(self: PreTrainedModel, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return scoring(*args, **kwargs)
        states: list[Tensor] = []
        hook = self.base_model.register_forward_hook(lambda _, __, out: states.append(out.last_hidden_state))
        try:
            output = scoring(*args, fused_lm_head=True, **kwargs)
        finally:
            hook.remove()
        values = self.value_head(states[-1][:, :-1])
        take(values)
        return ValuedOutput(**output, state_values=values)

    model.forward = types.MethodType(forward, model)


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Save a model; its value head, if it has one, into a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith(f"{NAME}.")}
    model.save_pretrained(folder, state_dict=weights)
    if (head := getattr(model, NAME, None)) is not None:
        save_file({name: value.detach().cpu() for name, value in head.state_dict().items()}, folder / FILE)


class PPOTrainer(TrieGRPOTrainer):
    """PPO with TRL's reward functions, data sets, logging, PEFT and vLLM. See `PPOConfig` for what it adds.

    A step, in order: TRL samples completions and calls `_calculate_rewards`; `_generate_and_score_completions` keeps
    the rewards of this process with the batch; `_compute_loss` lets TRL score the completions, and as soon as their
    values are known the batch gets its advantages; TRL makes the policy loss of them, and the value loss is added.

    Where old log-probabilities are wanted (several iterations or minibatches of one generation, vLLM), TRL scores the
    completions right after sampling, and advantages are made then.
    """

    share_prefixes = False
    skip_zero_advantages = False  # every token has a value to learn
    has_groups = False  # to compare completions in, and draw again where they agree

    def __init__(self, model: Any, *args: Any, peft_config: Any = None, **kwargs: Any) -> None:
        config = kwargs.get("args") or next((arg for arg in args if isinstance(arg, GRPOConfig)), None)
        if isinstance(model, str):
            model = create_model_from_path(model, **(getattr(config, "model_init_kwargs", None) or {}))
        if is_peft_model(model):
            _check_trained(model)
        else:
            with torch.random.fork_rng():  # the trainer's seed is set only later
                torch.manual_seed(config.seed if config else PPOConfig.seed)
                add_value_head(model)
        if peft_config is not None:
            peft_config.modules_to_save = sorted({*(peft_config.modules_to_save or []), NAME})
        super().__init__(model, *args, peft_config=peft_config, **kwargs)
        self._stock_values: list[Tensor] | None = None  # of stock's forward passes, while TRL scores completions
        give_state_values(inner_model(self.accelerator, self.model), self._take)
        self._values: Any = None  # of the completions scored last, None of a model without value head
        self._first_values: Any = None  # of those scored first since sampling: by the policy
        self._waiting: Batch | None = None  # a batch whose advantages wait for values
        self._scale = AdvantageScale()
        self._tally = torch.zeros(7, dtype=torch.float64, device=self.accelerator.device)  # for the logs

    def carried(self) -> dict[str, Any]:
        """What a checkpoint has to hold besides weights; see `abstain.trainers.resuming`."""
        return vars(self._scale) | {"tally": self._tally}

    def carry_on(self, found: dict[str, Any]) -> None:
        """Go on from what a checkpoint held."""
        self._tally = found.pop("tally")
        vars(self._scale).update(found)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's optimizer, with a learning rate of its own for the value head."""
        optimizer = super().create_optimizer(*args, **kwargs)
        named = self.model.named_parameters()
        head = [parameter for name, parameter in named if f"{NAME}." in name and parameter.requires_grad]
        ours = {id(parameter) for parameter in head}
        for group in getattr(optimizer, "param_groups", []):
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in ours]
        if hasattr(optimizer, "add_param_group"):
            optimizer.add_param_group({"params": head, "lr": self.args.value_learning_rate, "weight_decay": 0.0})
        return optimizer

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
        """(all processes' completions, reward functions), kept for the advantages."""
        self._per_function: Tensor = super()._calculate_rewards(*args, **kwargs)
        return self._per_function

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        self._first_values = None
        self._scale.next_generation(self.accelerator)
        batch: Batch = super()._generate_and_score_completions(inputs)
        batch["rewards"] = self._local_rewards(len(inputs))
        if "old_per_token_logps" in batch and self._first_values is not None:
            self._add_advantages(batch, self._first_values)
        return batch

    def _local_rewards(self, size: int) -> Tensor:
        """(B,) weighted sums of this process's completions; NaN where no function had a reward."""
        weights = self.reward_weights.to(self._per_function.device)
        total = (self._per_function * weights).nansum(dim=1)
        total[self._per_function.isnan().all(dim=1)] = torch.nan
        start = self.accelerator.process_index * size
        return total[start : start + size]

    def _compute_loss(self, model: nn.Module, inputs: Batch) -> Tensor:
        # As with old log-probabilities: on the first pass over a batch the old values are today's, found on the way
        self._waiting = None if "returns" in inputs else inputs
        try:
            loss = super()._compute_loss(model, inputs)
        finally:
            self._waiting = None
        return loss + self.args.value_coefficient * self._value_loss(self._values, inputs)

    def _get_per_token_logps_and_entropies(
        self,
        model: nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        self._values, self._stock_values = None, []
        found = super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
        )
        if self._stock_values:  # nothing was shared
            self._values = torch.cat(self._stock_values)[:, -logits_to_keep:]
        self._stock_values = None
        if self._first_values is None:  # the reference model is asked later
            self._first_values = self._values
        if self._waiting is not None:
            self._add_advantages(self._waiting, self._values.detach())
        return found

    def _score(self, *args: Any) -> Scores | None:
        scores = super()._score(*args)
        self._values = None if scores is None else scores.values
        return scores

    def _try(self, *args: Any) -> str | None:
        reason = super()._try(*args)
        if self._stock_values:  # of the trial, which may come in the middle of a step
            self._stock_values.clear()
        return reason

    def _take(self, values: Tensor) -> None:
        if self._stock_values is not None:
            self._stock_values.append(values)

    def _add_advantages(self, batch: Batch, values: Tensor) -> None:
        mask = _chosen(batch)
        graded = ~batch["rewards"].isnan()
        advantages, returns = advantages_and_returns(
            batch["rewards"].nan_to_num().to(values.dtype),
            values,
            mask,
            gamma=self.args.gamma,
            lam=self.args.gae_lambda,
        )
        advantages = advantages * graded[:, None]
        if self.args.whiten_advantages:
            advantages = self._scale(advantages, mask * graded[:, None])
        batch["advantages"], batch["returns"], batch["old_values"] = advantages, returns, values

    def _value_loss(self, values: Tensor, batch: Batch) -> Tensor:
        mask = _chosen(batch) * ~batch["rewards"].isnan()[:, None]
        returns, old, clip = batch["returns"], batch["old_values"], self.args.value_clip
        error = (values - returns).square()
        moved = error if clip is None else (old + (values - old).clamp(-clip, clip) - returns).square()
        per_token = 0.5 * torch.maximum(error, moved)
        self._log_values(per_token.detach(), values.detach(), batch, mask, (moved > error).float())
        return self._as_policy_loss(per_token * mask, _chosen(batch), batch)

    def _as_policy_loss(self, per_token: Tensor, mask: Tensor, batch: Batch) -> Tensor:
        """One number for a micro-batch of (B, T), put together as TRL puts together the policy loss.

        So the balance of both does not depend on how long completions are, or may be.
        """
        total = (per_token * mask).sum(-1)
        training = self.model.training
        accumulated = self.current_gradient_accumulation_steps if training else 1.0
        if self.loss_type in ("cispo", "dapo", "vespo"):
            tokens = batch["num_items_in_batch"].clamp(min=1.0) / self.accelerator.num_processes
            return total.sum() / (tokens * accumulated / self.args.steps_per_generation if training else tokens)
        if self.loss_type in ("grpo", "sapo"):
            loss = (total / mask.sum(-1).clamp(min=1.0)).mean()
        elif self.loss_type == "bnpo":
            loss = total.sum() / mask.sum().clamp(min=1.0)
        else:
            loss = total.mean() / (self.max_completion_length if self.loss_type == "dr_grpo" else 1.0)  # luspo: sums
        return loss / accumulated

    def _log_values(self, per_token: Tensor, values: Tensor, batch: Batch, mask: Tensor, clipped: Tensor) -> None:
        """Means over the tokens of a whole optimizer step."""
        kept = mask.bool()
        returns = batch["returns"][kept].double()
        off = returns - values[kept]
        columns = [torch.ones_like(off), returns, returns**2, off, off**2, clipped[kept], per_token[kept]]
        self._tally = self._tally + torch.stack([column.double().sum() for column in columns])
        if self.model.training and not self.accelerator.sync_gradients:
            return
        n, *sums = self.accelerator.reduce(self._tally, reduction="sum").tolist()
        self._tally = torch.zeros_like(self._tally)
        back, back_square, miss, miss_square, clip_rate, loss = (total / max(n, 1) for total in sums)
        spread = back_square - back**2
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["value/loss"].append(loss)
        metrics["value/mean"].append(back - miss)
        metrics["value/clip_ratio"].append(clip_rate)
        # NaN, which TRL leaves out, where all returns are alike
        explained = 1 - (miss_square - miss**2) / spread if spread > 1e-12 else float("nan")
        metrics["value/explained_variance"].append(explained)


class AdvantageScale:
    """Divides advantages by the root mean square of those of earlier generations, an average that forgets slowly.

    The first generation has none before it, and is not scaled: its own would move the threshold.

    Attributes:
        mean_square: of earlier generations; `None` before there are any.
        sums: of squares and of tokens in this generation.
    """

    def __init__(self) -> None:
        self.mean_square: Tensor | None = None
        self.sums: Tensor | None = None

    def next_generation(self, accelerator: Any) -> None:
        """What has been scaled since the last call belongs to the past now."""
        if self.sums is None:
            return
        sums, self.sums = accelerator.reduce(self.sums, reduction="sum"), None
        now = sums[0] / sums[1].clamp(min=1)
        self.mean_square = now if self.mean_square is None else 0.95 * self.mean_square + 0.05 * now

    def __call__(self, advantages: Tensor, mask: Tensor) -> Tensor:
        """The advantages (B, T), scaled; tokens outside of the mask do not count."""
        sums = torch.stack([(advantages.square() * mask).sum(), mask.sum().float()])
        self.sums = sums if self.sums is None else self.sums + sums
        return advantages if self.mean_square is None else advantages / (self.mean_square.sqrt() + 1e-8)


def _check_trained(model: Any) -> None:
    head = [parameter for name, parameter in model.named_parameters() if f"{NAME}." in name]
    if not any(parameter.requires_grad for parameter in head):
        raise ValueError(
            "this PEFT model has no value head that is trained: call abstain.trainers.ppo.add_value_head on "
            f'the base model and list "{NAME}" in modules_to_save, or hand over the base model with peft_config=…'
        )


def _chosen(batch: Batch) -> Tensor:
    """(B, T) 1 where the policy chose the token, and training may look at it."""
    mask: Tensor = batch["completion_mask"]
    return mask if "tool_mask" not in batch else mask * batch["tool_mask"]


class TriePPOTrainer(PPOTrainer):
    """`PPOTrainer` with rollouts shared as a trie."""

    share_prefixes = True
