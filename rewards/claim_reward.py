"""The reward of long answers: each claim is paid for itself, and what is left out costs nothing.

A dataset row: {"prompt": "Who is Mo Kutika?\\nInclude a statement only if ...", "target": 0.75,
                "answers": ["Mo Kutika | born in | Ralvik", "Mo Kutika | works as | Tamist"]}
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from abstain.rewards.claims.aggregation import VERDICTS
from abstain.rewards.claims.claim import Support
from abstain.rewards.claims.gold import CheckedAnswer, check_answer
from abstain.rewards.parsing.completion import turn_text
from abstain.rewards.response import Response
from abstain.rewards.scoring import ConfidenceTarget, Form, confidence_score
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import read_answers, target_label


def claims_score(labels: Sequence[Support], target: float, form: Form = "bounded") -> float | None:
    """The sum over distinct claims of what each earns at confidence target t.

        original: supported 1, unsupported -t/(1 - t), left out 0; bounded: the same times 1 - t

    So a claim pays exactly if its probability of being true exceeds t, whatever else is said. That is the rule of
    Kalai et al. 2025 (section 4.2) for each claim in place of each question. A claim that nobody could check earns
    nothing; `None` if that is so of all of them.

    Example:
        >>> true, false = Support.ENTAILMENT, Support.CONTRADICTION
        >>> [claims_score(labels, 0.75, "original") for labels in ([true, true], [true, false], [])]
        [2.0, -2.0, 0.0]
    """
    scores = [confidence_score(VERDICTS[label], target, form) for label in labels]
    checked = [score for score in scores if score is not None]
    return None if scores and not checked else float(sum(checked))


@dataclass(eq=False, repr=False)
class ClaimTarget(ConfidenceTarget):
    """Pays a long answer claim by claim, true 1-t, false -t (or +1, -t/(1-t)), and 0 for what is left out.

    Gold answers are claims, and claims are read from the answer by rules (`abstain.rewards.claims.gold.check_answer`):
    the same claim counts once, several objects where there is one are all false, and read strictly a sentence that is
    no claim is a false one. An answer without any claim earns 0, and so does an empty one; words that cannot be read
    at all, such as open tags, are a false claim: garbage is no silence. The verdict is as the grader `claims` says.
    Besides the strict rates, `claims/said`, `claims/true` and `claims/covered` are logged: claims per answer, the
    share of them that is supported, and the share of gold claims that is made.

    Args:
        target, form: as for `ConfidenceTarget`.

    Example:
        >>> reward, gold = ClaimTarget(), ["Mo | born in | Ralvik", "Mo | works as | Tamist"]
        >>> texts = ["Born in Ralvik. Works as Tamist.", "Born in Ralvik. Works as Potter.", "Born in Ralvik."]
        >>> reward(completions=[*texts, "I don't know."], answers=[gold] * 4, target=[0.75] * 4)
        [0.5, -0.5, 0.25, 0.0]
    """

    grader: str = field(default="claims", init=False)

    def _name_parts(self) -> list[str]:
        return ["claim_target", *super()._name_parts()[1:]]

    def __call__(
        self,
        *,
        completions: Sequence[Any],
        answers: Any = None,
        target: Any = None,
        prompts: Sequence[Any] | None = None,
        question: Any = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One score per completion, `None` where the gold is no list of claims. Arguments as of `VerdictReward`."""
        size = len(completions)
        golds = read_answers(answers, size, columns)
        targets = self._targets(target, size, columns)
        responses = self._read(completions, self._truncated(completion_ids, size))
        rows = [(response.answer, tuple(gold)) for response, gold in zip(responses, golds, strict=True)]
        read = {row: check_answer(*row, self.reading) for row in dict.fromkeys(rows)}  # alike within a group
        checked = [read[row] for row in rows]
        verdicts = [_verdict(one, response) for one, response in zip(checked, responses, strict=True)]
        if log_extra is not None or log_metric is not None:
            others = self._read_otherwise(verdicts, responses, golds, None)
            self._log_both(verdicts, others, log_extra, log_metric)
        self._pay(verdicts, responses, targets, log_extra, log_metric)  # for what it logs
        if log_metric is not None:
            for name, value in claim_rates(checked, targets).items():
                log_metric(name, value)
        garbage = [_is_garbage(*pair) for pair in zip(completions, responses, strict=True)]
        labels = [
            None if one is None else (Support.NEUTRAL,) if bad else one.labels
            for one, bad in zip(checked, garbage, strict=True)
        ]
        return [None if own is None else self._sum(own, t) for own, t in zip(labels, targets, strict=True)]

    def _sum(self, labels: Sequence[Support], target: float | None) -> float | None:
        t = target if self.target is None else self.target
        assert t is not None, "_targets refuses a row without a target"
        return claims_score(labels, t, self.form)


def _is_garbage(completion: Any, response: Response) -> bool:
    """Words of which no answer can be read, such as open tags: not nothing, and no silence."""
    if response.answer.strip() or (response.abstained and not response.malformed):
        return False
    return any(char.isalnum() for char in turn_text(completion, "assistant"))


def _verdict(checked: CheckedAnswer | None, response: Response) -> Verdict:
    if checked is None:
        return Verdict.UNGRADED
    if response.abstained and not response.truncated and not response.malformed:
        return Verdict.ABSTAINED
    return checked.verdict if response.answer.strip() else Verdict.INCORRECT  # as `grade_response` has it


def claim_rates(checked: Sequence[CheckedAnswer | None], targets: Sequence[float | None]) -> dict[str, float]:
    """Of a batch, all together and per target: claims per answer, the share that is true, and gold claims made.

    Example:
        >>> gold = ["Mo | born in | Ralvik", "Mo | works as | Tamist"]
        >>> claim_rates([check_answer("Born in Ralvik.", gold)], [0.5])["claims/covered/t=0.5"]
        0.5
    """
    groups: dict[str, list[CheckedAnswer]] = {}
    for one, target in zip(checked, targets, strict=True):
        for name in ("all", *([] if target is None else [target_label(target)])):
            groups.setdefault(name, []).extend([] if one is None else [one])
    rates: dict[str, float] = {}
    for name, answers in groups.items():
        said, true = sum(len(one.labels) for one in answers), sum(one.covered for one in answers)
        if answers:
            rates[f"claims/said/{name}"] = said / len(answers)
            rates[f"claims/covered/{name}"] = true / sum(len(one.gold) for one in answers)
        if said:
            rates[f"claims/true/{name}"] = true / said
    return rates
