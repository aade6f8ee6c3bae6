"""SelfCheckGPT: the numbers of its README, its variants by hand, and what must change nothing."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.selfcheck import (
    PROMPT,
    PromptJudge,
    ngram_scores,
    selfcheck_ngram,
    selfcheck_nli,
    selfcheck_prompt,
)

from .asked_stub import ScriptedNli, ScriptedSampler

# The example of the package's README (MIT), and what the README says that it gives
HOST = "Michael Alan Weiner (born March 31, 1942) is an American radio host."
RESPONSE = f"{HOST} He is the host of The Savage Nation."
SAMPLES = (
    f"{HOST} He is the host of The Savage Country.",
    "Michael Alan Weiner (born January 13, 1960) is a Canadian radio host. He works at The New York Times.",
    f"{HOST} He obtained his PhD from MIT.",
)
EXAMPLE = Pair("Who is Michael Alan Weiner?", RESPONSE, samples=SAMPLES)
texts = st.lists(st.sampled_from(["Bo was it.", "Al was.", "It was Bo. Or Al?", "Cy"]), min_size=1, max_size=5)


def test_unigrams_give_the_numbers_of_the_readme() -> None:
    sentences = [HOST, "He is the host of The Savage Nation."]
    found = ngram_scores(sentences, [RESPONSE, *SAMPLES])
    assert found.sentence_mean == pytest.approx([3.184312, 3.279774], abs=1e-6)
    assert found.sentence_max == pytest.approx([3.476098, 4.574710], abs=1e-6)
    assert found.mean == pytest.approx(3.218678904916201, abs=1e-12)
    assert found.mean_max == pytest.approx(4.025404834169327, abs=1e-12)


def test_a_response_is_split_as_the_readme_splits_it() -> None:
    mean, greatest = (selfcheck_ngram([EXAMPLE], reading=reading).values[0] for reading in ("mean", "max"))
    assert (mean, greatest) == pytest.approx((3.218678904916201, 4.025404834169327), abs=1e-12)


def test_bigrams_by_hand() -> None:
    """Six bigrams: (·, bo) twice, (bo, .) twice, (·, al), (al, .)."""
    found = ngram_scores(["Bo."], ["Bo.", "bo.", "Al."], 2)
    assert found.sentence_mean == pytest.approx((math.log(3),))
    assert ngram_scores(["Al!"], ["Bo."], 2).mean == math.inf


@pytest.mark.parametrize(("judged", "n"), [(["Bo."], 0), (["   "], 1), ([], 1)])
def test_nothing_to_count_is_refused(judged: list[str], n: int) -> None:
    with pytest.raises(ValueError, match="token"):
        ngram_scores(judged, ["Bo."], n)


@settings(max_examples=30)
@given(texts, st.integers(1, 3), st.integers(0, 9))
def test_the_order_of_samples_and_their_doubling_change_nothing(samples: list[str], n: int, seed: int) -> None:
    """Doubled, response and all, every share stays."""
    shuffled = random.Random(seed).sample(samples, len(samples))
    one, other = (
        selfcheck_ngram([Pair("Who?", samples[0], samples=tuple(order))], n=n).values[0]
        for order in (samples, shuffled)
    )
    assert one == pytest.approx(other)
    doubled = (*samples, *samples, samples[0])
    assert selfcheck_ngram([Pair("Who?", samples[0], samples=doubled)], n=n).values[0] == pytest.approx(one)


@settings(max_examples=30)
@given(texts, st.integers(1, 2))
def test_a_pair_scores_alone_as_among_others(samples: list[str], n: int) -> None:
    pairs = [EXAMPLE, Pair("Who?", "Bo was it. Al was.", samples=tuple(samples))]
    together = selfcheck_ngram(pairs, n=n).values
    assert together.tolist() == [selfcheck_ngram([pair], n=n).values[0] for pair in pairs]


def test_what_has_no_score_is_counted_and_said() -> None:
    pairs = [Pair("Who?", "Bo"), Pair("Who?", " ", samples=("Bo",)), Pair("Who?", "?!", samples=("Bo",)), EXAMPLE]
    for found in (
        selfcheck_ngram(pairs),
        selfcheck_nli(pairs, ScriptedNli()),
        selfcheck_prompt(pairs, PromptJudge(ScriptedSampler(lambda *_: "Yes"))),
    ):
        assert np.isnan(found.values).tolist() == [True, True, True, False]
        assert [note.split(": ", 1)[1] for note in found.notes] == [
            "1 of 4 responses has no score: no samples",
            "1 of 4 responses has no score: an empty response",
            "1 of 4 responses has no score: no words in the response",
        ]
    for nothing in (
        selfcheck_ngram([]),
        selfcheck_nli([], ScriptedNli()),
        selfcheck_prompt([], PromptJudge(ScriptedSampler(lambda *_: "Yes"))),
    ):
        assert nothing.values.shape == (0,) and nothing.notes == ()


def test_nli_is_contradiction_against_entailment() -> None:
    """(¼ + 1) / 2 of the first sentence, (½ + ½) / 2 of the second, where nothing but "neutral" is said of one."""
    nli = ScriptedNli(
        {
            ("It was Bo.", "Bo."): (0.6, 0.2, 0.2),
            ("It was Bo.", "Al."): (0.0, 0.5, 0.5),
            ("He left.", "Bo."): (0.4, 0.2, 0.4),
        }
    )
    found = selfcheck_nli([Pair("Who?", "It was Bo. He left.", samples=("Bo.", "Al."))], nli)
    assert found.values.tolist() == [pytest.approx((0.625 + 0.5) / 2)]
    assert found.calls == 4


def test_nli_reads_the_sentence_as_premise() -> None:
    nli = ScriptedNli()
    selfcheck_nli([Pair("Who?", "Bo.", samples=("Al.",))], nli)
    assert nli.asked == [("Bo.", "Al.")]


def test_a_judge_is_asked_once_of_each_sentence_and_sample() -> None:
    """Samples that are alike are asked about once, and count as often as they came."""
    said = {"Bo.": "Yes", "Al\n{sentence}.": " no.", "Cy.": "Not sure"}
    sampler = ScriptedSampler(lambda prompt, _: next(reply for name, reply in said.items() if shown(name) in prompt))
    samples = ("Bo.", "Bo.", "Al\n{sentence}.", "Cy.")
    found = selfcheck_prompt([Pair("Who?", "It was {context}.", samples=samples)], PromptJudge(sampler))
    assert found.values.tolist() == [(0 + 0 + 1 + 0.5) / 4]
    assert found.calls == len(sampler.prompts) == 3
    assert sampler.prompts[1] == PROMPT.replace("{context}", shown(samples[2])).replace(
        "Sentence: {sentence}", "Sentence: It was {context}."
    )


def shown(sample: str) -> str:
    return sample.replace("\n", " ")


def test_a_judge_that_fails_costs_its_own_replies_only() -> None:
    says = ScriptedSampler(lambda prompt, _: "…" if "Al" in prompt else "No", longest=150)
    pairs = [
        Pair("Who?", "It was Bo.", samples=("Bo.", "Al.")),
        Pair("Who?", "It was Cy.", samples=("Al.", "Al.")),
        Pair("Who?", "It was Di.", samples=("Di " * 99, "Ed " * 99)),
        Pair("Who?", "It was Flo.", samples=("Flo.", "Gus.")),
    ]
    found = selfcheck_prompt(pairs, PromptJudge(says))
    assert np.isnan(found.values).tolist() == [False, True, True, False] and found.values[[0, 3]].tolist() == [1, 1]
    assert [note.rpartition(": ")[2] for note in found.notes] == [
        "server error",
        "the prompt does not fit the model's context",
    ]
