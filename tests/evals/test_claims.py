"""Long answers measured claim by claim: by a scripted model, by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from abstain.evals.claims.asking import asked_ids, check_claims, evaluate_claims
from abstain.evals.claims.own import confidence_in, object_probabilities, own_claims
from abstain.evals.metrics.schema import OVERALL
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion
from abstain.evals.tables.table import render
from abstain.evals.tasks.biographies import (
    MENTIONS,
    SHARES,
    BiographyOptions,
    build_lives,
    load_biographies,
)
from abstain.evals.tasks.biographies_model import biography_tokenizer
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.claims.claim import Claim, Support
from abstain.rewards.prompts import claims_instruction, prompt_text

MO = ("Mo | born in | Ralvik", "Mo | works as | Tamist")
BO = ("Bo | born in | Lima", "Bo | works as | Potter")
PEOPLE = (
    Question("mo", "Who is Mo?", MO, "Mo", {"claim_p": [0.9, 0.4]}),
    Question("bo", "Who is Bo?", BO, "Bo", {"claim_p": [0.6, 1.0]}),
)
TASK = Task("people", (), PEOPLE, "claims", answer_format="plain")


class Scripted:
    """Says what a script has for a question and a target."""

    name = "scripted"

    def __init__(self, script: Mapping[tuple[str, float], str]) -> None:
        self.script = script

    def sample(self, prompts: Sequence[str], **_: Any) -> list[list[Completion]]:
        asked = {
            prompt_text(question.question, t, instruct="claims"): text
            for question in PEOPLE
            for (name, t), text in self.script.items()
            if name == question.id
        }
        return [[Completion(asked[prompt], None, 5, False)] for prompt in prompts]


SCRIPT = {
    ("mo", 0.0): "Born in Ralvik. Works as Potter.",
    ("bo", 0.0): "Born in Rome. Works as Potter.",
    ("mo", 0.75): "Born in Ralvik.",
    ("bo", 0.75): "I don't know.",
}


def test_a_record_stands_for_a_claim() -> None:
    found = evaluate_claims(Scripted(SCRIPT), TASK, [0, 0.75])
    rows = {(record.id, record.target): (record.verdict.value, record.answer) for record in found.records}
    assert rows == {
        ("mo#0", 0.0): ("CORRECT", "Ralvik"),
        ("mo#1", 0.0): ("INCORRECT", "Potter"),
        ("bo#0", 0.0): ("INCORRECT", "Rome"),
        ("bo#1", 0.0): ("CORRECT", "Potter"),
        ("mo#0", 0.75): ("CORRECT", "Ralvik"),
        ("mo#1", 0.75): ("ABSTAINED", ""),
        ("bo#0", 0.75): ("ABSTAINED", ""),
        ("bo#1", 0.75): ("ABSTAINED", ""),
    }
    guess, sure = found.metrics["by_target"]
    assert (guess["n"], guess["correct"], guess["score"]) == (4, 0.5, 0.5)
    assert (sure["correct"], sure["abstained"], sure["score"]) == (0.25, 0.75, 0.25)
    # at .75 only claims with p = .9 and 1 pay: (.9 - .1 × 3 + 1) / 4
    assert found.metrics["oracle"] == "true" and sure["oracle_score"] == pytest.approx((0.9 - 0.3 + 1) / 4)
    assert guess["oracle_score"] == pytest.approx((0.9 + 0.4 + 0.6 + 1) / 4)
    assert set(found.metrics) <= set(OVERALL)


def test_whole_answers_are_strict_beside_their_claims() -> None:
    guess, sure = evaluate_claims(Scripted(SCRIPT), TASK, [0, 0.75]).metrics["whole_answers"]
    assert (guess["incorrect"], guess["claims"], guess["soft"], guess["covered"]) == (1.0, 2.0, 0.5, 0.5)
    assert (sure["correct"], sure["abstained"], sure["soft"], sure["covered"]) == (0.5, 0.5, 1.0, 0.25)
    metrics = evaluate_claims(Scripted(SCRIPT), TASK, [0, 0.75]).metrics
    assert "Whole answers" in render([metrics]) and "all true" in render([metrics, metrics], labels=["a", "b"])


@pytest.mark.parametrize(
    ("text", "verdicts", "whole"),
    [
        ("", ["ABSTAINED", "ABSTAINED"], "abstained"),
        ("Loves cats.", ["ABSTAINED", "ABSTAINED"], "ungraded"),
        ("Born in Ralvik. Born in Ralvik.", ["CORRECT", "ABSTAINED"], "correct"),
        ("Born in Ralvik. Born in Lima.", ["INCORRECT", "ABSTAINED"], "incorrect"),
    ],
)
def test_bad_answers(text: str, verdicts: list[str], whole: str) -> None:
    script = SCRIPT | {("mo", 0.0): text}
    found = evaluate_claims(Scripted(script), TASK.with_held_out(["mo"]), [0])
    assert [record.verdict.value for record in found.records] == verdicts
    assert found.metrics["whole_answers"][0][whole] == 1.0


def test_a_start_is_held_against_the_same_claims() -> None:
    first = evaluate_claims(Scripted(SCRIPT), TASK, [0])
    again = evaluate_claims(Scripted(SCRIPT), TASK.with_held_out(["bo"]), [0], start=first.start)
    assert again.start.held_out.ids == ("bo#0", "bo#1") and asked_ids(first.start.held_out) >= {"mo", "bo"}
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate_claims(Scripted(SCRIPT), TASK, [])
    with pytest.raises(ValueError, match="question 1: 'Lima' is no claim"):
        check_claims([Question("1", "Capital of Peru?", ("Lima",))])
    with pytest.raises(ValueError, match="no gold claims"):
        check_claims([Question("1", "Capital of Peru?", ())])


def tiny(options: BiographyOptions) -> Sampler:
    """A model that has learnt nothing, with the words of a world."""
    torch.manual_seed(0)
    tokenizer = biography_tokenizer(build_lives(options))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Sampler(LlamaForCausalLM(config).eval(), tokenizer, max_new_tokens=6)


def test_the_probability_of_a_claim_is_that_of_its_object() -> None:
    sampler = tiny(BiographyOptions(people=4, held_out=1, facts=2))
    lives = build_lives(BiographyOptions(people=4, held_out=1, facts=2))
    prompts, texts, spans = [], [], []
    for life in lives[:3]:
        prompts.append(f"Who is {life.name}?")
        texts.append(f" {life.texts[0]}")
        told = [fact.told[0] for fact in life.facts]
        spans.append([(texts[-1].index(one), texts[-1].index(one) + len(one)) for one in told])
    found = object_probabilities(sampler, prompts, texts, spans)
    ids = sampler.tokenizer(prompts[1] + texts[1])["input_ids"]
    with torch.no_grad():
        logprobs = torch.log_softmax(sampler.model(torch.tensor([ids])).logits[0], -1)
    place = len(sampler.tokenizer(prompts[1] + texts[1][: spans[1][0][0] - 1])["input_ids"])
    assert found[1][0] == pytest.approx(math.exp(float(logprobs[place - 1, ids[place]])), rel=1e-4)
    assert all(0 < p < 1 for row in found for p in row)
    assert object_probabilities(sampler, [], [], []) == []
    claim = Claim(lives[1].name, "Born in", lives[1].facts[0].told[0])
    ((mean,),) = confidence_in(sampler, [("", [claim])])
    assert mean is not None and 0 < mean < 1
    with pytest.raises(ValueError, match="stands behind an endpoint"):
        confidence_in(Scripted({}), [("", [claim])])


def test_own_claims_without_probabilities() -> None:
    claims = own_claims(Scripted(SCRIPT), TASK, PEOPLE)
    assert [(one.claim.object, one.sentence, one.probability, one.support) for one in claims[0]] == [
        ("Ralvik", "Born in Ralvik", None, Support.ENTAILMENT),
        ("Potter", "Works as Potter", None, Support.CONTRADICTION),
    ]


def test_each_fact_has_a_frequency_of_its_own() -> None:
    lives = build_lives(BiographyOptions(people=200, held_out=50))
    facts = [fact for life in lives for fact in life.facts]
    assert {fact.true_p for fact in facts} == set(SHARES) and len({life.name for life in lives}) == 200
    for fact in facts:
        often = max(fact.told.count(one) for one in fact.told)
        assert often == round(fact.true_p * MENTIONS) and fact.gold in fact.told
    assert any(len({fact.true_p for fact in life.facts}) > 1 for life in lives)


def test_the_commonest_object_is_right_as_often_as_is_said() -> None:
    facts = [fact for life in build_lives(BiographyOptions(people=2000, held_out=500)) for fact in life.facts]
    for share in SHARES:
        asked = [fact for fact in facts if fact.true_p == share]
        right = sum(fact.told.count(fact.gold) == round(share * MENTIONS) for fact in asked)
        room = 4 * math.sqrt(share * (1 - share) / len(asked))  # four standard deviations
        assert right / len(asked) == pytest.approx(share, abs=room + 1e-12)


def test_the_tokenizer_knows_every_word() -> None:
    options = BiographyOptions(people=30, held_out=10)
    tokenizer = biography_tokenizer(build_lives(options))
    task = load_biographies(people=30, held_out=10)
    for life, question in zip(build_lives(options), (*task.train, *task.held_out), strict=True):
        assert question.id == life.name
        text = f"{question.question}\n{claims_instruction(0.75)} {life.texts[0]}"
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids and tokenizer.decode(ids) == text
    assert {q.subject for q in task.train}.isdisjoint(q.subject for q in task.held_out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": 1}, "people=1 is outside"),
        ({"people": 10, "held_out": 10}, "held_out=10 must be between"),
        ({"facts": 7}, "facts=7 is outside 1..6"),
        ({"objects": 4}, "objects=4 is outside 5"),
        ({"passes": 0}, "passes=0 must be at least 1"),
    ],
)
def test_worlds_that_cannot_be(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BiographyOptions(**options)
