"""GRPO and RLOO whose rollouts share prefixes: every distinct token path is sampled and trained once."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import is_peft_model
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.generation import logits_process
from trl import GRPOTrainer, RLOOTrainer
from trl.models import unwrap_model_for_generation

from abstain.trainers.trie_head import add_trie_head
from abstain.trainers.trie_sampling import SamplingRule, sample
from abstain.trainers.trie_scoring import plan_scoring, score

logger = logging.getLogger(__name__)

# Processors that look at the scores alone; any other depends on what was generated before
PREFIX_FREE = (
    logits_process.TemperatureLogitsWarper,
    logits_process.TopKLogitsWarper,
    logits_process.TopPLogitsWarper,
    logits_process.MinPLogitsWarper,
    logits_process.TypicalLogitsWarper,
    logits_process.EpsilonLogitsWarper,
    logits_process.EtaLogitsWarper,
    logits_process.SuppressTokensLogitsProcessor,
    logits_process.LogitNormalization,
)
LONGEST_COMPLETION = 256  # the rows of a packed batch grow with every distinct prefix; long completions share little


class TrieRollouts:
    """Mixin for TRL's `GRPOTrainer` and `RLOOTrainer`: same results, every distinct token path computed once.

    The G completions of a prompt are G independent samples as before, and log-probabilities, entropies and gradients
    are those of the stock trainer. Where that cannot be, the stock path runs and a warning says why, once.
    """

    skip_zero_advantages = True  # a subclass whose loss has other terms must turn this off

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trie_said: set[str] = set()
        self._trie_needs_gradient: Tensor | None = None
        self._trie_verified: bool | None = None
        for model in (self.model, self.ref_model):
            if model is not None:
                inner = self.accelerator.unwrap_model(model)
                add_trie_head(inner.get_base_model() if is_peft_model(inner) else inner, self.temperature)

    # Generation

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if self._refuses(self._why_not_sample(images, multimodal_fields)) or not self._verify_on(prompt_ids):
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, *args, **kwargs)
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                generation_kwargs=self.generation_kwargs,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model,
            self.accelerator.autocast(),  # around all the steps, so that weights are cast once and not at each step
        ):
            completions = sample(model, prompt_ids, self._sampling_rule(model), self._text_config())
        return (completions, None) if isinstance(self, GRPOTrainer) else completions

    def _sampling_rule(self, model: nn.Module) -> SamplingRule:
        processors = self._processors(model)
        return SamplingRule(lambda logits: processors(None, logits), self.eos_token_ids, self.max_completion_length)

    def _processors(self, model: nn.Module) -> logits_process.LogitsProcessorList:
        config, _ = model._prepare_generation_config(self.generation_config)
        model._prepare_special_tokens(config, device=self.accelerator.device)
        return model._get_logits_processor(
            config, input_ids_seq_length=0, device=self.accelerator.device, model_kwargs={}
        )

    def _why_not_sample(self, images: Any, multimodal_fields: Any) -> str | None:
        if self.use_vllm or self.args.use_transformers_continuous_batching:
            return "the generation half is left to vLLM or continuous batching, which cache prefixes themselves"
        if images is not None or multimodal_fields:
            return "prompts with images"
        if self.max_completion_length > LONGEST_COMPLETION:
            return f"max_completion_length above {LONGEST_COMPLETION}"
        if self.generation_config.cache_implementation is not None:
            return f"cache_implementation={self.generation_config.cache_implementation!r}"
        processors = self._processors(self.accelerator.unwrap_model(self.model))
        other = sorted({type(p).__name__ for p in processors if not isinstance(p, PREFIX_FREE)})
        if other:
            return f"generation uses {', '.join(other)}, which depends on the whole prefix"
        return self._why_not_score()

    # Scoring

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        self._trie_needs_gradient = self._rows_needing_gradient(inputs)
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._trie_needs_gradient = None

    def _rows_needing_gradient(self, inputs: dict[str, Any]) -> Tensor | None:
        """(B,) rows whose prompt has a row with an advantage; None if all may have a gradient."""
        other_terms = self.beta != 0.0 or getattr(self, "_entropy_bonus_enabled", False)
        if other_terms or not self.skip_zero_advantages or not torch.is_grad_enabled():
            return None
        moved = inputs["advantages"].reshape(len(inputs["prompt_ids"]), -1).ne(0).any(dim=1)
        _, prompt = torch.unique(inputs["prompt_ids"], dim=0, return_inverse=True)
        return torch.zeros(len(prompt), dtype=torch.bool, device=moved.device).index_put_(
            (prompt[moved],), moved[moved]
        )[prompt]

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
        special = compute_aux_loss or any(value is not None for value in multimodal.values())
        if not special and not self._refuses(self._why_not_score()):
            if self._trie_verified is None:
                self._verify(model, input_ids[:8], attention_mask[:8], logits_to_keep)
            scored = (
                self._score(model, input_ids, attention_mask, logits_to_keep, batch_size)
                if self._trie_verified
                else None
            )
            if scored is not None:
                return scored[0], scored[1] if compute_entropy else None, None
        return super()._get_per_token_logps_and_entropies(
            model,
            input_ids,
            attention_mask,
            logits_to_keep,
            batch_size,
            compute_entropy,
            compute_aux_loss,
            **multimodal,
        )

    def _score(
        self, model: nn.Module, input_ids: Tensor, attention_mask: Tensor, keep: int, batch_size: int | None
    ) -> tuple[Tensor, Tensor] | None:
        needs = self._trie_needs_gradient
        if needs is None or needs.all() or not needs.any():
            return self._score_rows(model, input_ids, attention_mask, keep, batch_size)
        moving = self._score_rows(model, input_ids[needs], attention_mask[needs], keep, None)
        with torch.no_grad():  # not through DDP, which counts forward passes
            still = self._score_rows(
                self.accelerator.unwrap_model(model), input_ids[~needs], attention_mask[~needs], keep, None
            )
        if moving is None or still is None:
            return self._score_rows(model, input_ids, attention_mask, keep, batch_size)
        place = torch.cat([needs.nonzero(), (~needs).nonzero()]).squeeze(1).argsort()
        return torch.cat([moving[0], still[0]])[place], torch.cat([moving[1], still[1]])[place]

    def _score_rows(
        self, model: nn.Module, input_ids: Tensor, attention_mask: Tensor, keep: int, batch_size: int | None
    ) -> tuple[Tensor, Tensor] | None:
        config = self._text_config()
        plan = plan_scoring(input_ids.cpu().numpy(), attention_mask.cpu().numpy(), keep, config.hidden_size)
        if plan is None:
            return None
        with self.accelerator.autocast():
            return score(model, plan, config, keep, batch_size and batch_size * input_ids.shape[1])

    def _text_config(self) -> PretrainedConfig:
        return self.accelerator.unwrap_model(self.model).config.get_text_config()

    # Exactness

    def _refuses(self, reason: str | None) -> bool:
        if reason is not None and reason not in self._trie_said:
            self._trie_said.add(reason)
            logger.warning("Rollouts are not shared as a trie; the stock path runs instead: %s.", reason)
        return reason is not None

    def _why_not_score(self) -> str | None:
        config = self._text_config()
        if config._attn_implementation not in ("sdpa", "eager"):
            return f"attention {config._attn_implementation!r} takes no mask of its own (sdpa and eager do)"
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            return "sharded parameters (FSDP, DeepSpeed) need the same number of passes in every process"
        if self.args.cast_lm_head_to_fp32:
            return "cast_lm_head_to_fp32"
        model = self.accelerator.unwrap_model(self.model)
        if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()) or getattr(
            config, "attention_dropout", 0.0
        ):
            return "dropout draws a mask for each row (disable_dropout=True turns it off)"
        return None

    def _verify_on(self, prompt_ids: Sequence[Sequence[int]]) -> bool:
        """Checks the trie against the stock path once, on two of the prompts with their own tokens as completions."""
        if self._trie_verified is None:
            first = list(prompt_ids[0])
            other = next((list(p) for p in prompt_ids if list(p) != first), first)
            rows = [[*first, first[0], first[-1]], [*first, first[0], other[-1]], [*other, first[-1], other[-1]]]
            longest = max(map(len, rows))
            device = self.accelerator.device
            ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=device)
            mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
            self._verify(self.model, ids, mask, 2)
        return bool(self._trie_verified)

    @torch.no_grad()
    def _verify(self, model: nn.Module, input_ids: Tensor, attention_mask: Tensor, keep: int) -> None:
        model = self.accelerator.unwrap_model(model)
        stock = super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, keep, compute_entropy=True
        )
        trie = self._score_rows(model, input_ids, attention_mask, keep, None)
        if trie is None:
            return
        exact = next(model.parameters()).dtype == torch.float32 and self.args.bf16 is False and self.args.fp16 is False
        tolerance = 1e-3 if exact else 0.15
        difference = max(float((a - b).abs().max()) for a, b in zip(stock[:2], trie, strict=True))
        self._trie_verified = difference < tolerance
        if not self._trie_verified:
            self._refuses(f"on a first batch its log-probabilities differ from the stock ones by {difference:.2g}")


class TrieGRPOTrainer(TrieRollouts, GRPOTrainer):
    """TRL's GRPO with rollouts shared as a trie."""


class TrieRLOOTrainer(TrieRollouts, RLOOTrainer):
    """TRL's RLOO with rollouts shared as a trie."""
