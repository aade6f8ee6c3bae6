"""GRPO and RLOO whose rollouts share prefixes: every distinct token path is sampled and trained once."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import GenerationConfig
from transformers.generation.logits_process import LogitsProcessorList, TemperatureLogitsWarper
from trl import GRPOTrainer, RLOOTrainer
from trl.models import unwrap_model_for_generation

from abstain.evals.sampler import left_pad
from abstain.trainers.run_trainer import AnyTrainer, Batch, inner_model
from abstain.trainers.trie import checks
from abstain.trainers.trie.head import add_trie_head
from abstain.trainers.trie.sampling import SampledScores, Samples, SamplingRule, sample
from abstain.trainers.trie.scoring import plan_scoring, score

Result = TypeVar("Result")
logger = logging.getLogger(__name__)
TOLERANCE = {True: 1e-3, False: 0.2}  # of a log-probability in fp32, and in half precision, where stock is off as much


class TrieRollouts(AnyTrainer):
    """Mixin for TRL's `GRPOTrainer` and `RLOOTrainer`: the same results, with every distinct token path computed once.

    The G completions of a prompt are G independent samples as before; log-probabilities, entropies and gradients are
    those of the stock trainer. Where that cannot be, the stock path runs and a warning says why, once. A short trial
    on the first prompts makes sure of it.

    Attributes:
        skip_zero_advantages: prompts all of whose completions have advantage 0 go without a backward pass, if the loss
            has no KL or entropy term. A subclass whose loss has further terms turns this off.
        state_values: (B, T) of the completions scored last, if the model has a value head.
    """

    skip_zero_advantages = True
    state_values: Tensor | None = None
    _buffered_inputs: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._said: set[str] = set()
        self._exact: bool | None = None
        self._needs_gradient: Tensor | None = None
        self._sampled: SampledScores | None = None
        self._config = self.model.config.get_text_config()
        self._model_refuses = checks.why_not_model(self.model, self._config)
        for model in (self.model, self.ref_model):
            if model is not None:
                add_trie_head(inner_model(self.accelerator, model), self.temperature)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], Any, dict[str, Any]]:
        if getattr(self, "environment_factories", None) is not None:  # which go with the prompts, one to one
            return super()._tokenize_prompts(prompts)
        distinct = {repr(prompt): prompt for prompt in prompts}
        prompt_ids, images, fields = super()._tokenize_prompts(list(distinct.values()))
        if images is not None or fields:
            return super()._tokenize_prompts(prompts)
        ids_of = dict(zip(distinct, prompt_ids, strict=True))
        return [list(ids_of[repr(prompt)]) for prompt in prompts], None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        longest = max(map(len, prompt_ids)) + self.max_completion_length
        reason = self._why_not_sample(images, multimodal_fields) or self._why_not_score(longest)
        samples = None if self._refuses(reason) else self._sample(prompt_ids)
        if samples is None:
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, *args, **kwargs)
        self._sampled = SampledScores(prompt_ids, samples, self.state.global_step)
        return (samples.tokens, None) if isinstance(self, GRPOTrainer) else samples.tokens

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        size = window(self.args.steps_per_generation, self.args.gradient_accumulation_steps)
        if self._buffered_inputs is before or size == 1 or not self._exact or not order_is_free(self, inputs):
            return inputs
        self._buffered_inputs = regrouped(self._buffered_inputs, size)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        self._needs_gradient = self._rows_needing_gradient(inputs)
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._needs_gradient = None

    def _get_per_token_logps_and_entropies(
        self,
        model: nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **multimodal: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        batch = input_ids, attention_mask, logits_to_keep
        special = "a load-balancing loss, which counts tokens, or images"
        images = any(value is not None for value in multimodal.values())
        if not self._refuses(special if compute_aux_loss or images else None):
            scored = self._score(model, *batch, batch_size)
            if scored is not None:
                self.state_values = scored[2] if len(scored) > 2 else None
                return scored[0], scored[1] if compute_entropy else None, None
        return super()._get_per_token_logps_and_entropies(
            model, *batch, batch_size, compute_entropy, compute_aux_loss, **multimodal
        )

    def _sample(self, prompt_ids: list[list[int]]) -> Samples | None:
        _, processors = self._generation()
        others = LogitsProcessorList(p for p in processors if not isinstance(p, TemperatureLogitsWarper))
        warp = (lambda logits: others(None, logits)) if others else None
        rule = SamplingRule(self.eos_token_ids, self.max_completion_length, self.temperature, warp)
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                generation_kwargs=self.generation_kwargs,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model,
            self.accelerator.autocast(),  # around all steps, so that weights are cast once and not at each of them
        ):
            if self._exact is None:
                self._try_sampling(model, checks.trial_prompts(prompt_ids))
            return sample(model, prompt_ids, rule, self._config) if self._exact else None

    def _generation(self) -> tuple[GenerationConfig, LogitsProcessorList]:
        """The generation configuration in full, and what transformers puts between logits and drawing for it."""
        device = self.accelerator.device
        config, _ = self.model._prepare_generation_config(self.generation_config)
        self.model._prepare_special_tokens(config, device=device)
        return config, self.model._get_logits_processor(config, input_ids_seq_length=1, device=device, model_kwargs={})

    def _rows_needing_gradient(self, inputs: dict[str, Any]) -> Tensor | None:
        """(B,) rows whose prompt has a completion with an advantage, at least one; None if all may have a gradient."""
        other_terms = self.beta != 0.0 or getattr(self, "_entropy_bonus_enabled", False)
        if other_terms or not self.skip_zero_advantages or not torch.is_grad_enabled():
            return None
        moved = inputs["advantages"].reshape(len(inputs["prompt_ids"]), -1).ne(0).any(dim=1)
        prompt = torch.unique(inputs["prompt_ids"], dim=0, return_inverse=True)[1]
        moved[0] |= ~moved.any()  # a backward pass there must be, if only of zeros
        needs = torch.isin(prompt, prompt[moved])
        return None if needs.all() else needs

    def _score(
        self, model: nn.Module, input_ids: Tensor, attention_mask: Tensor, keep: int, batch_size: int | None
    ) -> tuple[Tensor, ...] | None:
        """Log-probabilities and entropies (B, keep); None where the stock path has to do it."""
        if self._refuses(self._why_not_score(input_ids.shape[1])):
            return None
        if self._exact is None:
            self._try_scoring(input_ids[:8], attention_mask[:8], keep)
        if not self._exact:
            return None
        needs = self._needs_gradient
        if needs is None:
            return self._score_rows(model, input_ids, attention_mask, keep, batch_size)
        moving = self._score_rows(model, input_ids[needs], attention_mask[needs], keep, None)
        still = self._score_still(input_ids[~needs], attention_mask[~needs], keep)
        if moving is None or still is None:
            return self._score_rows(model, input_ids, attention_mask, keep, None)
        place = torch.cat([needs.nonzero(), (~needs).nonzero()])[:, 0].argsort()
        return torch.cat([moving[0], still[0]])[place], torch.cat([moving[1], still[1]])[place]

    def _score_still(self, input_ids: Tensor, attention_mask: Tensor, keep: int) -> tuple[Tensor, ...] | None:
        """Rows without gradient, whose log-probabilities and entropies only the logs show."""
        if self._sampled is not None and self._sampled.step == self.state.global_step:
            known = self._sampled.look_up(input_ids, attention_mask, keep)
            if known is not None:
                return known
        with torch.no_grad():  # self.model is the bare model: DDP counts forward passes
            return self._score_rows(self.model, input_ids, attention_mask, keep, None)

    def _score_rows(
        self, model: nn.Module, input_ids: Tensor, attention_mask: Tensor, keep: int, batch_size: int | None
    ) -> tuple[Tensor, ...] | None:
        plan = plan_scoring(input_ids.cpu().numpy(), attention_mask.cpu().numpy(), keep, self._config.hidden_size)
        if plan is None:
            return None
        with self.accelerator.autocast():
            return score(model, plan, self._config, keep, batch_size and batch_size * input_ids.shape[1])

    def _refuses(self, reason: str | None) -> bool:
        if reason is not None and reason not in self._said:
            self._said.add(reason)
            logger.warning("Rollouts are not shared as a trie; the stock path runs instead: %s.", reason)
        return reason is not None

    def _why_not_score(self, longest: int) -> str | None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            return "sharded parameters (FSDP, DeepSpeed) need the same number of passes in every process"
        if getattr(self.args, "cast_lm_head_to_fp32", False):
            return "cast_lm_head_to_fp32"
        if self.args.torch_compile:
            return "torch_compile, as every batch has a shape of its own"
        return self._model_refuses or checks.why_not_length(self._config, longest)

    def _why_not_sample(self, images: Any, multimodal_fields: dict[str, Any]) -> str | None:
        if self.use_vllm or self.use_transformers_continuous_batching:
            return "vLLM and continuous batching sample by themselves (training still shares)"
        if images is not None or multimodal_fields:
            return "prompts with images"
        return checks.why_not_generation(*self._generation(), self)

    def _try_sampling(self, model: nn.Module, prompts: list[list[int]]) -> None:
        """Compares sampling and scoring on the trie with the stock path."""
        with torch.random.fork_rng():
            samples = self._attempt(sample, model, prompts, SamplingRule((), 2, self.temperature), self._config)
        if samples is not None:
            whole = [prompt + completion for prompt, completion in zip(prompts, samples.tokens, strict=True)]
            batch = left_pad(whole, 0, self.accelerator.device)
            self._try_scoring(*batch, 2, SampledScores(prompts, samples, 0).look_up(*batch, 2))

    @torch.no_grad()
    def _try_scoring(self, input_ids: Tensor, attention_mask: Tensor, keep: int, sampled: Any = None) -> None:
        """Compares scoring on the trie, and what sampling found, with the stock path."""
        batch = input_ids, attention_mask, keep
        stock = super()._get_per_token_logps_and_entropies(self.model, *batch, compute_entropy=True)
        found = self._attempt(self._score_rows, self.model, *batch, None)
        torch.clear_autocast_cache()  # weights cast without gradients must not serve the training pass
        if found is None:
            return
        single = next(self.model.parameters()).dtype == torch.float32 and self.accelerator.mixed_precision == "no"
        off = checks.difference(stock, [found, sampled], rounded=not single)
        wrong = f"on the first prompts its log-probabilities are {off:.2g} off"
        self._exact = not self._refuses(None if off < TOLERANCE[single] else wrong)  # NaN is wrong

    def _attempt(self, work: Callable[..., Result], *args: Any) -> Result | None:
        try:
            return work(*args)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            self._exact = not self._refuses(f"the model does not take a tree attention mask ({error})")
            return None


class TrieGRPOTrainer(TrieRollouts, GRPOTrainer):
    """TRL's GRPO with rollouts shared as a trie."""


class TrieRLOOTrainer(TrieRollouts, RLOOTrainer):
    """TRL's RLOO with rollouts shared as a trie."""


# Which rows of a generation go into which micro-batch: those that share a prefix together, if the loss allows it


def window(steps_per_generation: int, accumulation: int) -> int:
    """How many consecutive micro-batches of one generation go into one optimizer step.

    >>> window(8, 8), window(8, 2), window(2, 8), window(4, 3)
    (8, 2, 2, 1)
    """
    if steps_per_generation % accumulation == 0:
        return accumulation
    return steps_per_generation if accumulation % steps_per_generation == 0 else 1


def order_is_free(trainer: Any, inputs: Batch) -> bool:
    """Whether the gradient is a sum over rows, whichever micro-batches of an optimizer step they are in.

    It is not where a loss divides by the tokens of a micro-batch, or looks at its entropies as a whole.
    """
    if getattr(trainer, "loss_type", None) == "bnpo" or getattr(trainer, "_entropy_bonus_enabled", False):
        return False
    whole = getattr(trainer, "top_entropy_quantile", 1.0) < 1.0
    return not whole and all(isinstance(value, torch.Tensor) for value in inputs.values())


def regrouped(batches: list[Batch], size: int) -> list[Batch]:
    """Sorts the rows of each `size` consecutive micro-batches by their tokens, over those micro-batches.

    TRL shuffles a generation over its micro-batches, so that each holds a few completions of every prompt. The sum of
    their gradients is the same in any order; sorted, most prompts are computed in one micro-batch only.

    Args:
        batches: of equally many rows, with the values that TRL buffers: tensors with a row for each completion, or
            without dimension.
        size: number of micro-batches of an optimizer step.
    """
    return [batch for start in range(0, len(batches), size) for batch in _sorted(batches[start : start + size])]


def _sorted(batches: list[Batch]) -> list[Batch]:
    rows = len(batches[0]["prompt_ids"])
    tokens = torch.cat([torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1) for batch in batches])
    order = torch.unique(tokens, dim=0, return_inverse=True)[1].argsort(stable=True)
    merged = {key: _merged([batch[key] for batch in batches], order) for key in batches[0]}
    return [{key: _rows(value, start, rows) for key, value in merged.items()} for start in range(0, len(order), rows)]


def _merged(values: list[torch.Tensor], order: torch.Tensor) -> torch.Tensor:
    return torch.cat(values)[order] if values[0].ndim else values[0]


def _rows(value: torch.Tensor, start: int, rows: int) -> torch.Tensor:
    return value[start : start + rows] if value.ndim else value
