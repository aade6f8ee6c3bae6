"""Every reward by name, and the one that wraps another: `JudgedReward` pays what it pays, for the verdicts of a judge.

Anybody's own are named by their file or module: `my_rewards.py:brevity`. In a recipe:

    {"name": "JudgedReward", "args": {"judge": {"model": "qwen3-32b", "url": "http://localhost:8000/v1"}}}
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any

from abstain.rewards.claim_reward import ClaimTarget
from abstain.rewards.errors import nearest
from abstain.rewards.function_reward import FunctionReward, named_reward
from abstain.rewards.grading import grade_responses, settle
from abstain.rewards.judge.grader import Case, JudgeGrader
from abstain.rewards.judge.prompts import JUDGE_PROMPT
from abstain.rewards.named import find, hint, is_named, parameters_of, short
from abstain.rewards.proper import ProperScore
from abstain.rewards.response import Reading, Response
from abstain.rewards.scoring import ConfidenceTarget, TernaryCredit
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import VerdictReward, read_answers, read_questions


@dataclass(eq=False, repr=False)
class JudgedReward(VerdictReward):
    """Pays what another reward pays, for the verdicts of a judge. Asynchronous: a batch is judged concurrently.

    Abstentions are read by the parser and cost no request. A completion that the judge fails on gets `None`. Besides
    the other reward's metrics, `judge/agreement` is logged: the share of judged completions on which the string grader
    `grader` agrees, in its lenient `reading` by default, as evaluation has it.

    The judge sees the question: the column `question` if the data set has one, else the prompt (of a conversation, the
    user's last turn) without the instruction that states its target.

    Args:
        judge: whom to ask, or what `JudgeGrader.at` takes: {"model": ..., "url": ...}.
        scoring: the reward that prices the verdicts, as an object, or the name of a class or a ready-made reward.
        scoring_args: its arguments, if it is given by name.
        grader, reading: the string grader to compare with, and how it reads.
        answer_format: see `VerdictReward`; by default that of `scoring`.
        eos_token_ids: see `VerdictReward`.

    Raises:
        ValueError: no judge, an unknown reward, arguments that it refuses; on a call, a column that is missing.

    Example:
        >>> JudgedReward(judge={"model": "qwen3", "url": "http://localhost:8000/v1", "cache": False}).__name__
        'confidence_target_judged_by_qwen3'
    """

    judge: JudgeGrader | Mapping[str, Any] | None = None
    scoring: VerdictReward | str = "ConfidenceTarget"
    _: KW_ONLY
    scoring_args: Mapping[str, Any] = field(default_factory=dict)
    reading: Reading = "lenient"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.scoring, str):
            self.scoring = _prices(self.scoring, self.scoring_args)
        elif self.scoring_args:
            raise ValueError("scoring_args belong to a reward that is given by name; this one has its arguments")
        if isinstance(self.scoring, JudgedReward):
            raise ValueError("scoring must price verdicts, not ask a judge itself")
        if isinstance(self.scoring, ClaimTarget):
            raise ValueError("scoring must price verdicts, and ClaimTarget prices claims: use ConfidenceTarget")
        self.judge = _judge(self.judge)
        if self.answer_format == "auto":
            self.answer_format = self._pricing.answer_format

    @property
    def threshold_dependent(self) -> bool:
        """Whether the reward that prices the verdicts is."""
        return self._pricing.threshold_dependent

    async def __call__(  # type: ignore[override]  # TRL awaits what is a coroutine
        self,
        *,
        completions: Sequence[Any],
        prompts: Sequence[Any] | None = None,
        question: Any = None,
        answers: Any = None,
        target: Any = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One score per completion, `None` where there is no grade.

        Args:
            completions, answers, target, completion_ids, log_extra, log_metric, columns: see `VerdictReward`.
            prompts: what TRL asked, read where there is no `question`.
            question: per completion, the question alone.
        """
        size = len(completions)
        golds = read_answers(answers, size, columns)
        targets = self._targets(target, size, columns)
        responses = self._read(completions, self._truncated(completion_ids, size))
        questions = read_questions(question, prompts, size)
        if questions is None:
            raise ValueError("a judge needs the question: neither a column 'question' nor prompts were passed on")
        verdicts = await self._verdicts(
            [Case(q, gold, r) for q, gold, r in zip(questions, golds, responses, strict=True)], log_metric
        )
        return self._pay(verdicts, responses, targets, log_extra, log_metric)

    def __repr__(self) -> str:
        extra = "".join(f", {name}={value!r}" for name, value in self._chosen().items())
        return f"JudgedReward({self.scoring!r}, judge={self._asked.model!r}{extra})"

    @property
    def _asked(self) -> JudgeGrader:
        assert isinstance(self.judge, JudgeGrader), "__post_init__ makes it one"
        return self.judge

    @property
    def _pricing(self) -> VerdictReward:
        assert isinstance(self.scoring, VerdictReward), "__post_init__ makes it one"
        return self.scoring

    def _name_parts(self) -> list[str]:
        judge = self._asked
        slug = re.sub(r"[^a-z0-9]+", "_", judge.model.lower()).strip("_") or "a_model"
        settings = {**judge.backend.identity, "model": "", "url": "", "prompt": judge.prompt.text}
        usual = settings.get("request") in ({"temperature": 0}, None) and judge.prompt.text == JUDGE_PROMPT
        own = [] if usual else [sha256(repr(sorted(settings.items())).encode()).hexdigest()[:6]]
        return [*self._pricing._name_parts(), "judged_by", slug, *own]

    def _targets(self, column: Any, size: int, columns: dict[str, Any]) -> list[float | None]:
        return self._pricing._targets(column, size, columns)

    def _confidence_scale(self) -> float | None:
        return self._pricing._confidence_scale()

    def _score(self, verdict: Verdict, response: Response, target: float | None) -> float | None:
        return self._pricing._score(verdict, response, target)

    def _metrics(
        self, verdicts: list[Verdict], responses: list[Response], targets: list[float | None]
    ) -> dict[str, float]:
        return self._pricing._metrics(verdicts, responses, targets)

    async def _verdicts(self, cases: Sequence[Case], log_metric: Callable[[str, float], None] | None) -> list[Verdict]:
        verdicts = await self._asked.grade_async(cases)
        judged = [
            (verdict, case)
            for verdict, case in zip(verdicts, cases, strict=True)
            if verdict is not Verdict.UNGRADED and settle(case.response, case.gold) is None
        ]
        if judged and log_metric is not None:
            alone = [case for _, case in judged]
            strings = grade_responses(
                [case.response for case in alone],
                [case.gold for case in alone],
                self.grader,
                [case.question for case in alone],
                self.reading,
            )
            same = [verdict is other for (verdict, _), other in zip(judged, strings, strict=True)]
            log_metric("judge/agreement", sum(same) / len(same))
        return verdicts


def _prices(name: str, args: Mapping[str, Any]) -> VerdictReward:
    reward = build_reward(name, args)
    if not isinstance(reward, VerdictReward):
        raise ValueError(f"scoring is {short(name)}, which prices no verdicts: use a reward of abstain.rewards")
    return reward


def _judge(judge: JudgeGrader | Mapping[str, Any] | None) -> JudgeGrader:
    if isinstance(judge, JudgeGrader):
        return judge
    if not isinstance(judge, Mapping) or "model" not in judge:
        raise ValueError(f'judge is {judge!r}; it must name a model, such as {{"model": "gpt-4.1-mini"}}')
    return JudgeGrader.at(**judge)


confidence_target = ConfidenceTarget()
confidence_target_original = ConfidenceTarget(form="original")
claim_target = ClaimTarget()
truthrl = TernaryCredit.preset("truthrl")
knowrl = TernaryCredit.preset("knowrl")
nemo_abstention = TernaryCredit.preset("nemo")
rlcr = ProperScore("rlcr")
brier = ProperScore("brier")
log_score = ProperScore("log")
spherical = ProperScore("spherical")

REWARDS: dict[str, type[VerdictReward]] = {
    "ConfidenceTarget": ConfidenceTarget,
    "ClaimTarget": ClaimTarget,
    "TernaryCredit": TernaryCredit,
    "ProperScore": ProperScore,
    "JudgedReward": JudgedReward,
}

READY_MADE: dict[str, VerdictReward] = {
    "confidence_target": confidence_target,
    "confidence_target_original": confidence_target_original,
    "claim_target": claim_target,
    "truthrl": truthrl,
    "knowrl": knowrl,
    "nemo_abstention": nemo_abstention,
    "rlcr": rlcr,
    "brier": brier,
    "log_score": log_score,
    "spherical": spherical,
}


def build_reward(
    name: str, args: Mapping[str, Any] | None = None, of_task: Mapping[str, Any] | None = None
) -> VerdictReward | FunctionReward:
    """A new reward from its class or its ready-made name, and the arguments that a recipe gives.

    Args:
        name: of `REWARDS` or `READY_MADE`; or `file.py:Thing` or `package.module:Thing`, a class (constructed with
            `args`), an instance, or a reward function as TRL takes it: see `FunctionReward`.
        args: by name.
        of_task: arguments that the task gives where `args` do not, to rewards that grade: `grader`, `answer_format`.

    Raises:
        ValueError: unknown name, unknown argument, or a value that the reward refuses.

    Example:
        >>> build_reward("TernaryCredit", {"abstain": 0.5}).implied_target
        0.75
        >>> build_reward("knowrl", {"grader": "exact"})
        TernaryCredit(correct=2, abstain=1, wrong=-1, grader='exact', implied_target=0.667)
        >>> build_reward("ConfidenceTarget", {"targt": 0.5})
        Traceback (most recent call last):
        ...
        ValueError: ConfidenceTarget has no argument 'targt'. Did you mean 'target'? Allowed: answer_format,
        eos_token_ids, form, grader, reading, target.
        >>> build_reward("abstain.rewards:truthrl", {"grader": "exact"}, {"answer_format": "plain"})
        TernaryCredit(correct=1, abstain=0, wrong=-1, grader='exact', answer_format='plain', implied_target=0.5)
    """
    given, known = dict(args or {}), {**REWARDS, **READY_MADE}
    if name not in known and not is_named(name):
        raise ValueError(f"unknown reward {name!r}.{hint(str(name)) or f' {nearest(str(name), known)}'}")
    thing: Any = known[name] if name in known else find(name)
    if isinstance(thing, VerdictReward):
        kind: type = type(thing)
        make: Callable[..., Any] = partial(replace, thing)
    elif isinstance(thing, type) and issubclass(thing, VerdictReward):
        kind = make = thing
    else:
        return named_reward(name, given)
    allowed = parameters_of(name, kind)
    for key in given:
        if key not in allowed:
            raise ValueError(f"{short(name)} has no argument {key!r}. {nearest(str(key), allowed)}")
    usual = {key: value for key, value in (of_task or {}).items() if key in allowed}
    try:
        return make(**(usual | given))
    except (ValueError, TypeError) as error:
        raise ValueError(f"reward {short(name)}: {error}") from None


def describe_rewards() -> dict[str, str]:
    """Every reward in one line: a class by the first line of its docstring, a ready-made one by its parameters.

    Example:
        >>> describe_rewards()["truthrl"]
        'TernaryCredit(correct=1, abstain=0, wrong=-1, implied_target=0.5)'
    """
    classes = {name: (kind.__doc__ or "").splitlines()[0] for name, kind in REWARDS.items()}
    return classes | {name: repr(reward) for name, reward in READY_MADE.items()}
