"""What a recipe may say about its training stages, checked before anything is loaded."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from abstain.evals.knowledge.labels import Category
from abstain.rewards.prompts import TARGETS, Instruct, check_target
from abstain.trainers.dynamic_sampling import DynamicSamplingOptions
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.mix import RlMix, SupervisedMix

Target = Annotated[float, AfterValidator(check_target)]
TrainEmbeddings = Literal["all", "answers"]


def check_rows_held(which: TrainEmbeddings, weight_decay: float) -> None:
    """Raises `ValueError` where rows of the embedding are to be held, and weight decay would shrink them."""
    if which == "answers" and weight_decay:
        raise ValueError(
            f"train_embeddings: answers cannot hold rows that weight_decay={weight_decay} shrinks; set weight_decay "
            "to 0, or train_embeddings to all"
        )


def _rows_held(stage: Any) -> Any:
    check_rows_held(stage.train_embeddings, stage.args.get("weight_decay", 0))
    return stage


class RewardConfig(BaseModel, extra="forbid"):
    """A reward of `abstain rewards` by name, and its arguments."""

    name: str = "ConfidenceTarget"
    """One of `abstain rewards`, or your own: `file.py:Thing` beside the recipe, or `package.module:Thing`."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of its constructor."""
    weight: float = 1.0
    """Weight in the sum of rewards; 0 only logs it."""


class LookOptions(BaseModel, extra="forbid"):
    """Looks at what the model says while it is taught, kept in `looks.jsonl`; see `abstain.trainers.looks`."""

    epochs: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 2, 3, 5, 10, 20, 50], min_length=1)
    """After these, and also before training and at its end."""
    train: int = Field(default=1000, ge=1)
    """Ask so many of the questions that are trained, drawn with the seed."""
    held_out: int = Field(default=2000, ge=1)
    """And so many held-out ones. A fifth of them, by their ids, says where to stop early."""
    keep_best: bool = False
    """End with the epoch that did best on that fifth, not with the last one. The run's tables ask that fifth, too, as
    they ask all held-out questions: leave it out where an epoch's luck may matter."""


class SftStage(BaseModel, extra="forbid"):
    """Supervised warm-up: the answer format, and enough "I don't know" or stated confidence that RL can find it."""

    limit: int | None = Field(None, ge=1)
    """Use this many training questions, drawn with the seed (all by default)."""
    answers: Literal["own", "known", "gold"] = "own"
    """What is taught to answer: the model's own best guess, only those of its guesses that are right, or the gold
    answer. New facts taught here raise hallucination later (Gekhman et al. 2024); `own` and `known` teach none."""
    idk: Literal["random", "unsure", "probe", "detector", "labels", "unknown"] = "random"
    """Which examples at t > 0 answer "I don't know": a random share; those whose best guess has a probability below t
    by the model's own account (`unsure`), by a probe of its hidden states that is fitted on the other questions of
    these (`probe`), by a fitted detector (`detector`), or by labels, whose P(correct) knows the gold (`labels`); or as
    large a share of Unknown questions, then of the least known, if there are too few (`unknown`). `labels` and
    `unknown` need a section `labels`."""
    detector: str | None = None
    """For `idk: detector`: what `abstain detect --out DIR` fitted on the model that this stage starts from; or
    `DIR/detector.json:NAME` for another than its best."""
    idk_share: float = Field(0.15, ge=0, lt=1)
    """That share. Used by `random` and `unknown`. 0 by default where a confidence is stated instead, or `mix.idk`
    is given."""
    mix: SupervisedMix | None = None
    """Choose questions by what the starting model knows of them."""
    targets: list[Target] = Field(list(TARGETS), min_length=1)
    """Drawn from, one for each question. Not used where prompts ask for a confidence."""
    instruct: Instruct = "target"
    """What prompts say: the `target`, `nothing`, that a `confidence` is to be stated, or the target for each statement
    of a long answer (`claims`): then `answers` and `idk` are about statements, and what is left out is not said."""
    confidence: Literal["own", "random"] = "own"
    """Which confidence is taught where prompts ask for one: the model's own probability of its guess, or any, to seed
    exploration only."""
    train_embeddings: TrainEmbeddings = "all"
    """Rows of the embedding to train: `all`, or those of tokens in `answers` and instructions, so that what is learned
    is when to answer, not whom the questions are about. Nothing is held where embeddings are not trained, as with
    LoRA."""
    looks: LookOptions | None = None
    """Ask trained and held-out questions after some epochs (never by default); `{}` for its defaults."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Any field of `trl.SFTConfig`."""

    @model_validator(mode="after")
    def _by_claim(self) -> Self:
        if self.instruct != "claims":
            return self
        if self.idk not in ("random", "unsure") or self.mix is not None or self.looks is not None:
            key = "mix" if self.mix is not None else "looks" if self.looks is not None else f"idk: {self.idk}"
            raise ValueError(f"{key} is about whole answers, and instruct: claims teaches statements: leave it out")
        return self

    @model_validator(mode="after")
    def _stated_confidence(self) -> Self:
        if self.instruct != "confidence":
            if "confidence" in self.model_fields_set and self.confidence != "own":
                raise ValueError("confidence is taught only where prompts ask for one: set instruct: confidence")
            return self
        if self.idk in ("unsure", "probe", "detector", "labels"):
            raise ValueError(
                f"idk: {self.idk} compares with a target, which instruct: confidence lacks; set idk: random"
            )
        if self.answers == "gold" and self.confidence == "own":
            raise ValueError("confidence: own is the probability of the model's own guess, not of answers: gold")
        if "idk_share" not in self.model_fields_set:
            self.idk_share = 0.0
        return self

    @model_validator(mode="after")
    def _which_detector(self) -> Self:
        if (self.idk == "detector") != (self.detector is not None):
            raise ValueError(
                "idk: detector and detector: DIR go together: DIR is what `abstain detect --out DIR` wrote"
            )
        return self

    @model_validator(mode="after")
    def _order_and_answers_of_a_mix(self) -> Self:
        if self.mix is None:
            return self
        if self.mix.idk and "idk_share" not in self.model_fields_set:
            self.idk_share = 0.0
        if self.mix.order is not None:
            reorder = {"packing": False, "shuffle_dataset": False, "train_sampling_strategy": "sequential"}
            for name, wanted in reorder.items():
                if self.args.get(name, wanted) != wanted:
                    raise ValueError(f"mix.order: {self.mix.order} is an order: leave args.{name} out, or mix.order")
        return self

    _rows = model_validator(mode="after")(_rows_held)


class OfflineStage(BaseModel, extra="forbid"):
    """Preferences instead of RL: the model is sampled once, at the start, and its samples are compared.

    Which completion is preferred at which target, and how often, is told in `abstain.trainers.preferences`."""

    algorithm: Literal["dpo", "kto"] = "dpo"
    """`dpo` compares pairs of samples, `kto` labels each as good or bad."""
    limit: int | None = Field(None, ge=1)
    """Use this many training questions, drawn with the seed (all by default)."""
    targets: list[Target] = Field(list(TARGETS), min_length=1)
    """Confidence targets. Every question is taught at each of them, and twice at one that stands here twice."""
    sample_at: list[Target] | None = Field(None, min_length=1)
    """Targets at which samples are drawn (all of `targets` by default). What is known does not depend on the target,
    so `[0]`, where a model answers most, saves time."""
    instruct: Literal["target", "nothing"] = "target"
    """What prompts say. A stated confidence is no verdict to compare by: that needs `rl`."""
    samples: int = Field(8, ge=1)
    """Completions for each question and target that is sampled."""
    temperature: float = Field(1.0, gt=0)
    """They are drawn with it."""
    pairs_per_prompt: int = Field(1, ge=1)
    """At most so many pairs of each question and target, and twice as many labels for KTO."""
    train_embeddings: TrainEmbeddings = "all"
    """As in `sft`."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Any field of `trl.DPOConfig` (`trl.KTOConfig` for kto)."""

    @model_validator(mode="after")
    def _kto_batches(self) -> Self:
        """TRL says so too, after everything has been sampled."""
        if self.algorithm == "kto" and self.args.get("loss_type", "kto") == "kto":
            if self.args.get("per_device_train_batch_size") == 1:
                raise ValueError(
                    "kto estimates a KL term from the other prompts of a batch: set "
                    "args.per_device_train_batch_size to 2 or more"
                )
            if self.args.get("train_sampling_strategy", "sequential") != "sequential":
                raise ValueError(
                    "kto pairs prompts with their neighbours: leave args.train_sampling_strategy at "
                    "sequential; examples are shuffled before"
                )
        return self

    _rows = model_validator(mode="after")(_rows_held)


class RlStage(BaseModel, extra="forbid"):
    """Reinforcement learning on TRL."""

    algorithm: Literal["grpo", "rloo", "ppo"] = "grpo"
    """`grpo` and `rloo` are TRL's, `ppo` is TRL's GRPO trainer with a value head."""
    limit: int | None = Field(None, ge=1)
    """Use this many training questions, drawn with the seed (all by default)."""
    targets: list[Target] = Field(list(TARGETS), min_length=1)
    """Confidence targets. Every question is asked at each of them, in random order."""
    instruct: Instruct = "target"
    """What prompts say: the `target`; `nothing`, while rewards still see the target (a model for one target, or an
    ablation); that a `confidence` is to be stated: then nobody sees a target, and `targets` is not used; or the target
    for each statement of a long answer (`claims`), which `ClaimTarget` pays for."""
    mix: RlMix | None = None
    """Choose questions by what the starting model knows of them."""
    rewards: list[RewardConfig] = Field(default_factory=lambda: [RewardConfig()], min_length=1)
    """What is paid, by `abstain rewards`; the weighted sum, where there are several. One `ConfidenceTarget` by
    default."""
    train_embeddings: TrainEmbeddings = "all"
    """As in `sft`."""
    share_prefixes: bool = True
    """Sample and train every distinct token path once, where that is exact."""
    allow_threshold_drift: bool = False
    """Let a threshold reward meet a reward scaling that moves its threshold (for ablations)."""
    guards: GuardOptions | None = None
    """Watch for collapses; `{}` logs and warns, and each remedy is switched on by its key, as in `seed_idk: {}`."""
    dynamic_sampling: DynamicSamplingOptions | None = None
    """Draw another prompt where all completions of one earned the same (never by default; grpo and rloo); `{}` for its
    defaults."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Any field of `trl.GRPOConfig` (`trl.RLOOConfig` for rloo, `abstain.trainers.ppo.PPOConfig` for ppo). With
    `eval_strategy` the held-out questions are TRL's evaluation set, see `abstain.trainers.verdict_metrics`."""

    @model_validator(mode="after")
    def _groups_to_draw_again(self) -> Self:
        if self.dynamic_sampling is None:
            return self
        if self.algorithm == "ppo":
            raise ValueError(
                "dynamic_sampling draws again where the completions of a prompt agree, and ppo compares them with a "
                "value head instead: leave dynamic_sampling out, or set algorithm: grpo"
            )
        if self.args.get("multi_objective_aggregation") == "normalize_then_sum":
            raise ValueError(
                "dynamic_sampling leaves out groups that normalize_then_sum gives advantages: set "
                "args.multi_objective_aggregation: sum_then_normalize"
            )
        if self.dynamic_sampling.same_target and self.instruct == "confidence":
            raise ValueError(
                "same_target needs targets, and prompts that ask for a confidence have none: leave same_target out"
            )
        return self

    @model_validator(mode="after")
    def _order_and_targets_of_a_mix(self) -> Self:
        if self.mix is None:
            return self
        if self.mix.near_targets is not None and self.instruct == "confidence":
            raise ValueError("mix.near_targets needs targets, and prompts that ask for a confidence have none")
        if self.mix.order is not None and self.args.get("shuffle_dataset"):
            raise ValueError(f"mix.order: {self.mix.order} is an order: leave args.shuffle_dataset out, or mix.order")
        if self.mix.order is not None and self.dynamic_sampling is not None:
            raise ValueError(
                f"dynamic_sampling draws further prompts from all of them, and mix.order: {self.mix.order} is an "
                "order: leave out one of the two"
            )
        return self

    _rows = model_validator(mode="after")(_rows_held)


def needs_labels(stage: SftStage | OfflineStage | RlStage) -> str | None:
    """The key of a stage that cannot do without labels of what the starting model knows.

    Example:
        >>> needs_labels(SftStage(idk="unknown")), needs_labels(RlStage(mix={"size": 8})), needs_labels(RlStage())
        ('idk', 'mix', None)
    """
    if getattr(stage, "mix", None) is not None:
        return "mix"
    return "idk" if getattr(stage, "idk", None) in ("unknown", "labels") else None


def tells_unknown(stage: SftStage | OfflineStage | RlStage) -> str | None:
    """The key of a stage that treats Unknown questions otherwise than WeaklyKnown ones.

    Example:
        >>> tells_unknown(SftStage(mix={"idk": ["Unknown", "WeaklyKnown"]})), tells_unknown(SftStage(idk="unknown"))
        (None, 'idk')
        >>> tells_unknown(RlStage(mix={"weights": {"Unknown": 2}}))
        'mix.weights'
    """
    if (mix := getattr(stage, "mix", None)) is not None:
        weakly, unknown = Category.WEAKLY_KNOWN, Category.UNKNOWN
        if mix.unknown is not None:
            return "mix.unknown"
        if mix.weights.get(weakly, 1) != mix.weights.get(unknown, 1):
            return "mix.weights"
        for key in ("categories", "idk"):
            chosen = getattr(mix, key, None) or ()
            if (weakly in chosen) != (unknown in chosen):
                return f"mix.{key}"
    return "idk" if getattr(stage, "idk", None) == "unknown" else None
