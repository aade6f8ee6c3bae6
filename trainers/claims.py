"""Supervised examples for long answers: which of its own claims a model is taught to keep at each target.

"Born in Ralvik. Works as Kotamist."    the model's own biography, P = .8 and .31
"Born in Ralvik."                       what `idk: unsure` teaches at t = .5
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from abstain.evals.claims.own import OwnClaim, own_claims
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.claims.claim import Claim, Support
from abstain.rewards.prompts import IDK
from abstain.trainers.stages import SftStage


def claim_examples(
    sampler: Sampler, task: Task, questions: Sequence[Question], stage: SftStage, seed: int
) -> Iterator[dict[str, Any]]:
    """One example per question, at a target drawn for it, with the claims that are worth stating there.

    Args:
        sampler: the model, which is asked what it would state.
        task: gives template and room.
        questions: with claims as gold answers.
        stage: its `answers` says whose claims are taught: the model's `own`, those of them that are right (`known`),
            or `gold` ones; its `idk` which are left out at t > 0: a `random` share of them, or those that the model
            finds less likely than t (`unsure`). Where nothing is left, "I don't know" is.
        seed: of the draws.

    Yields:
        Rows with `question_id`, `target`, `prompt` and `completion`.
    """
    own = own_claims(sampler, task, questions, progress="what it would state")
    yield from examples_of(task, questions, own, stage, seed)


def examples_of(
    task: Task, questions: Sequence[Question], own: Sequence[Sequence[OwnClaim]], stage: SftStage, seed: int
) -> Iterator[dict[str, Any]]:
    """`claim_examples`, once it is known what the model would state.

    Example:
        >>> task = Task("t", (Question("1", "Who is Mo?", ("Mo | born in | Ralvik",)),), ())
        >>> sure = OwnClaim(Claim("Mo", "born in", "Lima"), "Born in Lima", 0.6, Support.CONTRADICTION)
        >>> stages = [SftStage(instruct="claims", idk="unsure", targets=[target]) for target in (0, 0.5, 0.75)]
        >>> [next(examples_of(task, task.train, [[sure]], stage, 0))["completion"] for stage in stages]
        ['Born in Lima.', 'Born in Lima.', "I don't know"]
    """
    rng = random.Random(seed)
    for question, claims in zip(questions, own, strict=True):
        target = rng.choice(stage.targets)
        kept = [
            text for text, known in _offered(question, claims, stage) if not _is_left_out(known, target, stage, rng)
        ]
        if claims or stage.answers == "gold":  # else nobody knows what it would state
            prompt = question.prompt(target, task.template, stage.instruct)
            completion = " ".join(kept) or IDK
            yield {"question_id": question.id, "target": target, "prompt": prompt, "completion": completion}


def _offered(question: Question, own: Sequence[OwnClaim], stage: SftStage) -> Iterator[tuple[str, OwnClaim | None]]:
    """The statements that may be taught, and what the model thinks of each."""
    if stage.answers != "gold":
        for claim in own:
            if stage.answers == "own" or claim.support is Support.ENTAILMENT:
                yield f"{claim.sentence.rstrip('.')}.", claim
        return
    said = {claim.claim.key: claim for claim in own}
    for text in question.gold:
        gold = Claim.read(text)
        yield f"{gold.relation[:1].upper()}{gold.relation[1:]} {gold.object}.", said.get(gold.key)


def _is_left_out(claim: OwnClaim | None, target: float, stage: SftStage, rng: random.Random) -> bool:
    if target == 0:
        return False
    if stage.idk == "random":
        return rng.random() < stage.idk_share
    return claim is None or claim.probability is None or claim.probability <= target
