"""A `compute_metrics` that grades: what TRL samples in its evaluations, scored at each target as `abstain eval` would.

    trainer = TrieGRPOTrainer(
        ..., args=GRPOConfig(eval_strategy="steps", num_generations_eval=1, metric_for_best_model="score", ...),
        eval_dataset=rows_with_answers_and_targets, compute_metrics=VerdictMetrics(grader="match"),
    )

logs `eval_score`, `eval_score/t=0.9`, `eval_abstained/t=0.9` and so on. Recipes get it by `rl.args.eval_strategy`.

TRL samples at the training temperature, so these are numbers of the policy that is trained. `eval.every` in a recipe
(`abstain.trainers.heldout`) asks greedily, as the model will be asked, has the model's confidence, and so AURC and
effective thresholds; take that unless something has to go by TRL's evaluations.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import BaseGuesses, Baseline, baseline
from abstain.evals.records import Record
from abstain.rewards.parsing.completion import turn_text
from abstain.rewards.response import AnswerFormat, Reading
from abstain.rewards.scoring import ConfidenceTarget
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import missing_column
from abstain.trainers.heldout import CURVES_BY_TARGET, series_of

BY_TARGET = (*CURVES_BY_TARGET, "accuracy_attempted")


@dataclass(frozen=True)
class VerdictMetrics:
    """Scores, abstention and accuracy at each target of an evaluation set; regret where the start is known.

    Args:
        grader, answer_format, eos_token_ids: as for rewards, see `abstain.rewards.verdict_reward`.
        reading: "lenient", as evaluation reads, by default; "strict" reads as training does.
        start: best guesses of the starting model on these questions, by the column `question_id`; without them there
            is no regret.
        seed: of a cross-fitted oracle's halves.

    Raises:
        ValueError: on a call, a missing, malformed or wrongly long column; a `start` that was not asked a question.

    Example:
        >>> found = VerdictMetrics()(
        ...     completions=["Lima", "Oslo", "I don't know"], answers=[["Lima"]] * 3, target=[0.75] * 3
        ... )
        >>> {name: round(value, 3) for name, value in found.items() if name.startswith(("score", "abstained"))}
        {'score': -0.667, 'score/t=0.75': -0.667, 'abstained/t=0.75': 0.333}
    """

    grader: str = "match"
    reading: Reading = "lenient"
    answer_format: AnswerFormat = "auto"
    start: BaseGuesses | None = None
    eos_token_ids: Collection[int] | None = None
    seed: int = 0

    def __call__(
        self,
        *,
        completions: Sequence[Any],
        target: Sequence[float] | None = None,
        question_id: Sequence[str] | None = None,
        **columns: Any,
    ) -> dict[str, float]:
        """Numbers by the names of `metrics.json`; one that cannot be had has no key."""
        if target is None:
            raise missing_column("target", columns)
        verdicts = self._verdicts(completions, target, columns)
        ids = [str(id) for id in (question_id or range(len(completions)))]
        records = [
            Record(id, "", "", (), at, "", turn_text(completion, "assistant"), "", verdict, None)
            for id, at, completion, verdict in zip(ids, target, completions, verdicts, strict=True)
        ]
        asked: dict[float, set[str]] = {}
        for record in records if self.start is not None else ():
            asked.setdefault(record.target, set()).add(record.id)
        found = {at: self._baseline(at, questions) for at, questions in asked.items()}
        return series_of(measure(records, model="", task="", baselines=found, seed=self.seed), BY_TARGET)

    def _baseline(self, target: float, questions: Collection[str]) -> Baseline:
        assert self.start is not None
        asked = replace(self.start, held_out=self.start.held_out.pick(sorted(questions)))
        return baseline(asked, target, seed=self.seed)

    def _verdicts(self, completions: Sequence[Any], target: Sequence[float], columns: dict[str, Any]) -> list[Verdict]:
        """As a reward grades: it tells the verdicts to whoever listens."""
        reward = ConfidenceTarget(
            grader=self.grader,
            reading=self.reading,
            answer_format=self.answer_format,
            eos_token_ids=self.eos_token_ids,
        )
        told: dict[str, list[str]] = {}
        reward(completions=completions, target=target, log_extra=told.__setitem__, **columns)
        return [Verdict(verdict) for verdict in told[f"{reward.__name__}/verdict"]]
