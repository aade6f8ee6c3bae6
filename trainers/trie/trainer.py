"""GRPO and RLOO whose rollouts share prefixes: every distinct token path is sampled and trained once."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import GenerationConfig
from transformers.generation.logits_process import LogitsProcessorList, TemperatureLogitsWarper
from trl import GRPOTrainer, RLOOTrainer
from trl.models import unwrap_model_for_generation

from abstain.evals.trie.checks import limit, why_not_length, why_not_model
from abstain.evals.trie.head import add_trie_head
from abstain.evals.trie.sampling import Samples, SamplingRule, sample
from abstain.evals.trie.scoring import Plan, Scores, plan_scoring, score
from abstain.trainers.dynamic_sampling import DynamicSampling
from abstain.trainers.evaluation_metrics import EvaluationMetrics
from abstain.trainers.run_trainer import AnyTrainer, Batch, inner_model, release
from abstain.trainers.trie import checks
from abstain.trainers.trie.cost import Sizes, Work, gain
from abstain.trainers.trie.sampled import SampledScores
from abstain.trainers.trie.trial import KEEP, Trial, why_off

logger = logging.getLogger(__name__)


class TrieRollouts(AnyTrainer):
    """Mixin for TRL's `GRPOTrainer` and `RLOOTrainer`: the same results, with every distinct token path computed once.

    The G completions of a prompt are G independent samples as before; log-probabilities, entropies and gradients are
    those of the stock trainer. Where that cannot be, the stock path runs and a warning says why, once. A trial before
    the first batch makes sure of it, for all processes together.

    Attributes:
        share_prefixes: whether to do so at all.
        skip_zero_advantages: prompts all of whose completions have advantage 0 go without a backward pass, if the loss
            has no KL or entropy term. A subclass whose loss has further terms turns this off.
    """

    share_prefixes = True
    skip_zero_advantages = True
    _buffered_inputs: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        release(args[0] if args else kwargs.get("model"))
        super().__init__(*args, **kwargs)
        checks.check_head(self.model)
        self._said: set[str] = set()
        self._exact: bool | None = None if self.share_prefixes else False
        self._needs_gradient: Tensor | None = None
        self._sampled: SampledScores | None = None
        self._told = False
        self._is_half = self.accelerator.mixed_precision != "no" or self.model.dtype != torch.float32
        self._config = self.model.config.get_text_config()
        for model in (self.model, self.ref_model):
            if model is not None and self.share_prefixes:
                add_trie_head(inner_model(self.accelerator, model), self.temperature)

    @cached_property
    def _sizes(self) -> Sizes:
        return Sizes.of(inner_model(self.accelerator, self.model))

    # What TRL calls, in the order of a step

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
        shares = self._is_exact(lambda: [token for prompt in prompt_ids for token in prompt], longest)
        why_not = self._why_not_sample(images, multimodal_fields) or why_not_length(self._config, longest)
        if not shares or self._refuses(why_not):
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, *args, **kwargs)
        samples = self._sample(prompt_ids)
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
        shares = self._is_exact(lambda: input_ids[attention_mask.bool()].tolist(), input_ids.shape[1])
        why_not = why_not_length(self._config, input_ids.shape[1])
        if any(value is not None for value in multimodal.values()):
            why_not = "a batch has images"
        elif compute_aux_loss:
            why_not = "router_aux_loss_coef counts how often each expert is asked, and shared tokens are asked once"
        if shares and not self._refuses(why_not):
            scores = self._score(model, *batch, batch_size)
            if scores is not None:
                return scores.logps, scores.entropies if compute_entropy else None, None
        return super()._get_per_token_logps_and_entropies(
            model, *batch, batch_size, compute_entropy, compute_aux_loss, **multimodal
        )

    # Sampling

    def _sample(self, prompt_ids: list[list[int]], rule: SamplingRule | None = None) -> Samples:
        _, processors = self._generation()
        others = LogitsProcessorList(p for p in processors if not isinstance(p, TemperatureLogitsWarper))
        warp = (lambda logits: others(None, logits)) if others else None
        rule = rule or SamplingRule(self.eos_token_ids, self.max_completion_length, self.temperature, warp)
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                generation_kwargs=self.generation_kwargs,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model,
            self.accelerator.autocast(),  # around all steps, so that weights are cast once and not at each of them
        ):
            return sample(model, prompt_ids, rule, self._config)

    def _generation(self) -> tuple[GenerationConfig, LogitsProcessorList]:
        """The generation configuration in full, and what transformers puts between logits and drawing for it."""
        device = self.accelerator.device
        config, _ = self.model._prepare_generation_config(self.generation_config)
        self.model._prepare_special_tokens(config, device=device)
        return config, self.model._get_logits_processor(config, input_ids_seq_length=1, device=device, model_kwargs={})

    # Scoring

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
    ) -> Scores | None:
        """What there is to know of completions (B, keep); None where the stock path has to find out."""
        rows, length = input_ids.shape
        needs = self._needs_gradient
        still = None if needs is None else self._score_still(input_ids[~needs], attention_mask[~needs], keep)
        moving = slice(None) if needs is None or still is None else needs
        plan = self._plan(input_ids[moving], attention_mask[moving], keep)
        if plan is None or not self._pays(plan, rows, length, keep):
            return None
        scores = self._score_plan(model, plan, keep, batch_size and batch_size * length)
        if needs is None or still is None:
            return scores
        place = torch.cat([needs.nonzero(), (~needs).nonzero()])[:, 0].argsort()
        both = zip(scores[:2], still[:2], strict=True)
        return Scores(*(torch.cat([moved, stayed])[place] for moved, stayed in both))

    def _score_still(self, input_ids: Tensor, attention_mask: Tensor, keep: int) -> Scores | None:
        """Rows without gradient, whose log-probabilities and entropies only the logs show."""
        if self._sampled is not None and self._sampled.step == self.state.global_step:
            known = self._sampled.look_up(input_ids, attention_mask, keep)
            if known is not None:
                return known
        plan = self._plan(input_ids, attention_mask, keep)
        if plan is None:
            return None
        with torch.no_grad():  # self.model is the bare model: DDP counts forward passes
            return self._score_plan(self.model, plan, keep, None)

    def _plan(self, input_ids: Tensor, attention_mask: Tensor, keep: int) -> Plan | None:
        return plan_scoring(input_ids.cpu().numpy(), attention_mask.cpu().numpy(), keep, self._config.hidden_size)

    def _score_plan(self, model: nn.Module, plan: Plan, keep: int, max_tokens: int | None) -> Scores:
        with self.accelerator.autocast():
            return score(model, plan, self._config, keep, max_tokens)

    def _pays(self, plan: Plan, rows: int, length: int, keep: int) -> bool:
        """Whether a plan is expected to be faster than stock TRL on so many rows of that length."""
        stock, shared = Work.of_stock(rows, length, keep, self.accelerator.device.type), Work.of_plan(plan)
        times = gain(self._sizes, stock, shared, self.accelerator.device, self._is_half)
        pays = times is None or times > 1
        self._metrics["train" if self.model.training else "eval"]["rollouts/shared"].append(float(pays))
        if not self._told and self.accelerator.is_main_process and not self.args.disable_tqdm:
            self._told = True
            how_much = "" if times is None else f"{times:.2g}" if times < 10 else f"{times:,.0f}"
            expected = f"expected {how_much} times as fast" if how_much else "never measured on such a device"
            tqdm.write(
                f"training on {'shared prefixes' if pays else 'whole completions'}: "
                f"{stock.slots:,} tokens in whole completions, {shared.slots:,} as a trie, {expected}",
                file=sys.stderr,
            )
        return pays

    # Whether all this may be done

    def _is_exact(self, seen: Callable[[], list[int]], longest: int) -> bool:
        """Whether the trie does what stock TRL does. Found out once, by all processes together.

        Args:
            seen: tokens of the first prompts, of which the trial is made.
            longest: tokens of the longest prompt and completion, as far as is known.
        """
        if self._exact is None:
            reason = (
                checks.why_not_training(self)
                or why_not_model(self.model, self._config)
                or checks.why_not_dropout(self.model, self._config)
            )
            if reason is None:
                longest = min(longest, limit(self._config) or longest)
                special = {*getattr(self._tokenizer, "all_special_ids", ()), *self.eos_token_ids}
                reason = self._try(Trial.of(seen(), longest, self._config.vocab_size, special))
            reasons = [why for why in gather_object([reason]) if why is not None]
            self._exact = not reasons
            self._refuses(next(iter(reasons), None))
        return self._exact

    @torch.no_grad()
    def _try(self, trial: Trial) -> str | None:
        """Why scoring on the trie, or sampling on it, is not what stock TRL finds."""
        scores = super()._get_per_token_logps_and_entropies
        device = self.accelerator.device

        def stock(*batch: Any) -> tuple[Tensor, Tensor]:
            return scores(self.model, *batch, compute_entropy=True)[:2]

        def branching(logits: Tensor) -> Tensor:  # whatever the policy thinks of it, completions part at each token
            allowed = torch.full_like(logits, float("-inf"))
            allowed[:, list(trial.branches)] = 0.0
            return allowed

        def shared() -> list[tuple[Any, Scores | None]]:
            plan = self._plan(*trial.batch(trial.completions, device))
            assert plan is not None
            found: list[tuple[Any, Scores | None]] = [
                (trial.completions, self._score_plan(self.model, plan, KEEP, None))
            ]
            if self._why_not_sample(None, {}) is None:
                with torch.random.fork_rng():
                    torch.manual_seed(0)
                    samples = self._sample(trial.prompts, SamplingRule((), KEEP, self.temperature, branching))
                known = SampledScores(trial.prompts, samples, 0).look_up(*trial.batch(samples.tokens, device))
                found.append((samples.tokens, known))
            return found

        try:
            if self.accelerator.native_amp:
                shared()  # as training will, which must not fail
            with full_precision(self.accelerator, self.model):
                for tokens, found in shared():
                    batch, misled = trial.batch(tokens, device), trial.batch(tokens, device, misled=True)
                    exact = self.model.dtype == torch.float32
                    reason = (
                        "sampling did not keep what it found"
                        if found is None
                        else why_off(found[:2], stock, batch, misled, exact)
                    )
                    if reason is not None:
                        return reason
        except torch.OutOfMemoryError as error:
            return f"there is no memory for its trial ({str(error).splitlines()[0]})"
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            return f"the model does not take a tree attention mask ({error})"
        finally:
            torch.clear_autocast_cache()  # weights cast without gradients must not serve the training pass
        return None

    def _refuses(self, reason: str | None) -> bool:
        if reason is not None and reason not in self._said:
            self._said.add(reason)
            if self.accelerator.is_main_process:
                logger.warning("Rollouts are not shared as a trie; the stock path runs instead: %s.", reason)
        return reason is not None

    def _why_not_sample(self, images: Any, multimodal_fields: dict[str, Any]) -> str | None:
        if self.use_vllm or self.use_transformers_continuous_batching:
            return "vLLM and continuous batching sample by themselves (training still shares)"
        if images is not None or multimodal_fields:
            return "prompts with images"
        return checks.why_not_generation(*self._generation(), self)


@contextmanager
def full_precision(accelerator: Any, model: nn.Module) -> Iterator[None]:
    """Within it, a model that accelerate has prepared computes in the precision of its weights."""
    amp, forward = accelerator.native_amp, model.forward
    accelerator.native_amp = False
    model.forward = getattr(model, "_original_forward", forward)
    try:
        with torch.autocast(accelerator.device.type, enabled=False):
            yield
    finally:
        accelerator.native_amp, model.forward = amp, forward


# With whatever else they may be asked for: `dynamic_sampling` and `compute_metrics`, as arguments


class TrieGRPOTrainer(DynamicSampling, EvaluationMetrics, TrieRollouts, GRPOTrainer):
    """TRL's GRPO with rollouts shared as a trie."""


class TrieRLOOTrainer(DynamicSampling, EvaluationMetrics, TrieRollouts, RLOOTrainer):
    """TRL's RLOO with rollouts shared as a trie."""


class StockGRPOTrainer(DynamicSampling, EvaluationMetrics, GRPOTrainer):
    """TRL's GRPO, with its own rollouts."""


class StockRLOOTrainer(DynamicSampling, EvaluationMetrics, RLOOTrainer):
    """TRL's RLOO, with its own rollouts."""


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
