"""What a model states when it is told to state everything, and how probable each claim is by its own account.

"Born in Ralvik. Works as Kotamist."    P(Ralvik | …Born in) = .8,  P(Kotamist | …Works as) = .31

The probability of a claim is that of the tokens of its object, given all that stands before it: one forward pass for
each answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from abstain.evals.progress import Advance
from abstain.evals.sampling import AnySampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.claims.claim import Claim, Support
from abstain.rewards.claims.gold import CheckedAnswer, check_answer
from abstain.rewards.parsing.completion import read_response

Span = tuple[int, int]


@dataclass(frozen=True)
class OwnClaim:
    """A claim that a model makes when it states everything.

    Args:
        claim: what it says.
        sentence: the words that say it.
        probability: of its object, in [0, 1]; `None` where nobody tells.
        support: whether it is true.
    """

    claim: Claim
    sentence: str
    probability: float | None
    support: Support


def own_claims(
    sampler: AnySampler, task: Task, questions: Sequence[Question], progress: str | Advance | None = None
) -> list[list[OwnClaim]]:
    """Each question's claims at t = 0, each once, in the order in which they are made.

    Args:
        sampler: the model.
        task: gives template, room for an answer and answer format.
        questions: with claims as gold answers.
        progress: as of `Sampler.sample`.
    """
    prompts = [question.prompt(0.0, task.template, "claims") for question in questions]
    sampled = sampler.sample(prompts, max_new_tokens=task.max_new_tokens, progress=progress)
    texts = [completion.text for (completion,) in sampled]
    answers = [read_response(one.text, one.truncated, task.answer_format).answer for (one,) in sampled]
    read = [check_answer(answer, question.gold) for answer, question in zip(answers, questions, strict=True)]
    return claims_in(sampler, prompts, texts, answers, read)


def claims_in(
    sampler: AnySampler,
    prompts: Sequence[str],
    texts: Sequence[str],
    answers: Sequence[str],
    checked: Sequence[CheckedAnswer | None],
) -> list[list[OwnClaim]]:
    """The claims of completions that are there already, with their probabilities.

    Args:
        sampler: whose completions they are.
        prompts, texts: what was asked, and all that was written.
        answers: the part of each text that was checked.
        checked: what was found in it.
    """
    first = [[] if one is None else _first_said(one) for one in checked]
    starts = [max(0, text.find(answer)) for text, answer in zip(texts, answers, strict=True)]
    spans = [
        [(start + said.start, start + said.end) for said, _ in row] for start, row in zip(starts, first, strict=True)
    ]
    found = object_probabilities(sampler, prompts, texts, spans)
    return [
        [OwnClaim(said.claim, said.sentence, p, label) for (said, label), p in zip(row, odds, strict=True)]
        for row, odds in zip(first, found, strict=True)
    ]


def _first_said(checked: CheckedAnswer) -> list[Any]:
    """Where each distinct claim is made first, with its label."""
    labels = {claim.key: label for claim, label in zip(checked.claims, checked.labels, strict=True)}
    first = {said.claim.key: said for said in reversed(checked.extraction.said)}
    return [(first[key], labels[key]) for key in reversed(first)]


def object_probabilities(
    sampler: AnySampler, prompts: Sequence[str], texts: Sequence[str], spans: Sequence[Sequence[Span]]
) -> list[list[float | None]]:
    """P(tokens of each span | all before them), under a model that runs here; `None` for one behind an endpoint.

    Args:
        sampler: the model.
        prompts, texts: what was asked, and what was written.
        spans: of each text the stretches to score, in characters.
    """
    from abstain.evals.sampler import Sampler  # imports torch

    if not isinstance(sampler, Sampler):
        return [[None] * len(row) for row in spans]
    return _scored(sampler, prompts, texts, spans)


def confidence_in(sampler: AnySampler, answers: Sequence[tuple[str, Sequence[Claim]]]) -> list[list[float | None]]:
    """How sure a model is of claims that somebody else made: exp of the mean log-probability of the object's tokens.

    Given are the question and the claim's subject and relation; of a claim that is one sentence, all of it counts. The
    mean, and not the product, since objects of others are of any length.

    Args:
        sampler: a model that runs here.
        answers: questions, and the claims of an answer to each.

    Raises:
        ValueError: it stands behind an endpoint.
    """
    from abstain.evals.sampler import Sampler  # imports torch

    if not isinstance(sampler, Sampler):
        raise ValueError(f"{sampler.name} stands behind an endpoint, which tells no probability of a given claim")
    prompts = [question for question, claims in answers for _ in claims]
    made = [claim for _, claims in answers for claim in claims]
    texts = [f" {claim.sentence}" for claim in made]
    spans = [[(len(text) - len(claim.object), len(text))] for text, claim in zip(texts, made, strict=True)]
    found = iter(_scored(sampler, prompts, texts, spans, mean=True))
    return [[next(found)[0] for _ in claims] for _, claims in answers]


def _scored(
    sampler: Any, prompts: Sequence[str], texts: Sequence[str], spans: Sequence[Sequence[Span]], mean: bool = False
) -> list[list[float | None]]:
    import torch

    from abstain.evals.sampler import as_prompt, batches

    tokenizer, model = sampler.tokenizer, sampler.model
    before = [as_prompt(prompt, tokenizer, sampler.prompt_format) for prompt in prompts]
    whole = [prompt + text for prompt, text in zip(before, texts, strict=True)]
    if not whole:
        return []
    encoded = tokenizer(whole, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    tokens = [
        [_tokens_of(offsets[row], len(before[row]) + start, len(before[row]) + end) for start, end in spans[row]]
        for row in range(len(whole))
    ]
    found: list[list[float | None]] = [[None] * len(row) for row in spans]
    asked = [row for row, own in enumerate(tokens) if any(own)]
    training = model.training
    model.eval()
    for batch in batches([len(ids[row]) for row in asked], 1, 0, sampler.batch_tokens):
        rows = [asked[place] for place in batch]
        wanted = sorted({token - 1 for row in rows for own in tokens[row] for token in own})
        width = max(len(ids[row]) for row in rows)
        padded = torch.tensor([ids[row] + [tokenizer.pad_token_id] * (width - len(ids[row])) for row in rows])
        mask = torch.tensor([[1] * len(ids[row]) + [0] * (width - len(ids[row])) for row in rows])
        keep = torch.tensor(wanted, device=model.device)
        with torch.no_grad():  # padding stands behind all that it could disturb
            padded = padded.to(model.device)
            logits = model(padded, attention_mask=mask.to(model.device), logits_to_keep=keep).logits
        logprobs = torch.log_softmax(logits.float(), -1).gather(2, padded[:, keep + 1, None])[..., 0].cpu()
        place_of = {position: place for place, position in enumerate(wanted)}
        for place, row in enumerate(rows):
            for which, own in enumerate(tokens[row]):
                if own:
                    total = sum(float(logprobs[place, place_of[token - 1]]) for token in own)
                    found[row][which] = min(1.0, math.exp(total / len(own) if mean else total))
    model.train(training)
    return found


def _tokens_of(offsets: Sequence[Span], start: int, end: int) -> list[int]:
    """The tokens that hold a stretch of text; never the first of all, which nothing predicts."""
    return [
        place for place, (first, last) in enumerate(offsets) if place and first < end and last > start and last > first
    ]
