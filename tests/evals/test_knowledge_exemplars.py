"""Which questions few-shot prompts show, and how prompts are written for plain and for chat models."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from abstain.evals.knowledge.exemplars import Exemplars, Renderer, draw_exemplars, relation_of
from abstain.evals.models import load_model
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import subject_key
from abstain.rewards.grading import UNANSWERABLE

from .knowledge_stub import EXAMPLES, ask, facts, toy

DRAW = {"prompts": 10, "shots": 4}


def ids(drawn: Exemplars, relation: str = "born") -> list[list[str]]:
    return [[question.id for question in prompt] for prompt in drawn.prompts[relation]]


def test_the_same_seed_draws_the_same_whatever_is_labelled() -> None:
    two = replace(toy(), examples=(*EXAMPLES, *facts(20, "buried", "F")))
    first = draw_exemplars(toy(), ["born"], **DRAW)
    assert ids(first) == ids(draw_exemplars(two, ["buried", "born"], **DRAW))
    assert ids(first) == ids(draw_exemplars(toy(train=1, held_out=3), ["born"], **DRAW))
    assert ids(first) != ids(draw_exemplars(toy(), ["born"], **DRAW, seed=1))
    assert len(ids(first)) == 10 and all(len(set(prompt)) == 4 for prompt in ids(first))
    assert len({tuple(prompt) for prompt in ids(first)}) == 10


def test_prompts_differ_where_few_are_shown() -> None:
    """Of four examples there are 24 prompts, and ten of them are all different; of one, all are the same."""
    drawn = draw_exemplars(toy(examples=EXAMPLES[:4]), ["born"], **DRAW)
    assert len({tuple(prompt) for prompt in ids(drawn)}) == 10
    assert len({*map(tuple, ids(draw_exemplars(toy(examples=EXAMPLES[:1]), ["born"], prompts=3, shots=1)))}) == 1


@settings(max_examples=30)
@given(st.sets(st.integers(0, 29), max_size=26))
def test_an_example_less_changes_only_the_prompts_that_showed_it(gone: set[int]) -> None:
    kept = tuple(one for number, one in enumerate(EXAMPLES) if number not in gone)
    before, after = (ids(draw_exemplars(toy(examples=some), ["born"], **DRAW)) for some in (EXAMPLES, kept))
    names = {EXAMPLES[number].id for number in gone}
    assert all(old == new for old, new in zip(before, after, strict=True) if not names & {*old})
    assert not names & {name for prompt in after for name in prompt}


def test_examples_are_of_the_same_relation() -> None:
    task = replace(toy(), examples=(*EXAMPLES, *facts(20, "buried", "F")))
    drawn = draw_exemplars(task, ["born", "buried"], **DRAW)
    for relation, prompts in drawn.prompts.items():
        assert {relation_of(question) for prompt in prompts for question in prompt} == {relation}
    assert not drawn.set_apart and not drawn.notes


def test_a_subject_that_is_asked_about_is_never_shown() -> None:
    shared = tuple(replace(one, id=f"E-{one.id}", subject=one.subject.lower()) for one in facts(6))  # n0 to n5
    drawn = draw_exemplars(toy(examples=(*EXAMPLES[:5], *shared)), ["born"], **DRAW)
    assert {name for prompt in ids(drawn) for name in prompt} <= {one.id for one in EXAMPLES[:5]}
    assert ids(drawn) == ids(draw_exemplars(toy(examples=EXAMPLES[:5]), ["born"], **DRAW))


def test_prompts_of_ones_own_that_show_what_is_asked_are_refused() -> None:
    own = Exemplars({"born": ((EXAMPLES[0], ask("N3", "buried")),)})
    with pytest.raises(
        ValueError, match=r"'Where was N3 born\?' \(N3-born\) is about the same as .* \(N3-buried\), wh"
    ):
        own.check(facts(6))
    own.check(facts(3))
    with pytest.raises(ValueError, match="no few-shot prompts for the relation 'buried' of N0-buried"):
        own.check(facts(1, "buried"))


def test_without_examples_some_training_questions_are_shown_and_set_apart() -> None:
    buried = facts(100, "buried", "N")  # the same people as those born: who is shown is not asked about at all
    task = replace(toy(train=30, examples=()), train=(*facts(30), *buried), held_out=facts(10, start="H"))
    drawn = draw_exemplars(task, ["born"], **DRAW)
    shown = {question.id for prompt in drawn.prompts["born"] for question in prompt}
    assert len(shown) == 8  # two prompts' worth: more than a fifth of 30
    subjects = {name.split("-")[0] for name in shown}
    assert drawn.set_apart == {f"{subject}-{relation}" for subject in subjects for relation in ("born", "buried")}
    both = draw_exemplars(task, ["born", "buried"], **DRAW)
    assert ids(both) == ids(drawn) and len({name for prompt in ids(both, "buried") for name in prompt}) <= 20
    assert both.notes == (
        "there are no examples besides the questions: of the training ones, 8 of born and 20 of buried are shown in "
        "prompts, and not labelled",
    )


def test_held_out_questions_are_shown_where_there_is_nothing_else() -> None:
    task = Task("t", (), tuple(Question(str(n), f"What is thing {n}?", ("x",), f"thing {n}") for n in range(300)))
    drawn = draw_exemplars(task, [""], **DRAW)
    assert len(drawn.set_apart) == 40 and "of the held-out ones, 40 are shown" in drawn.notes[0]


@pytest.mark.parametrize(
    ("task", "relation", "message"),
    [
        (toy(examples=EXAMPLES[:3]), "born", r"relation 'born' has only 3 questions .* of 4: give --shots 3$"),
        (
            replace(toy(), examples=(*EXAMPLES, *facts(1, "buried", "F"))),
            "buried",
            r"relation 'buried' has only 1 .* give --shots 1, or leave that relation out with --relations born$",
        ),
        (toy(examples=facts(6)), "born", r"relation 'born' has no question to show .*: give a task with more qu"),
        (Task("t", (), (ask("A", gold=(UNANSWERABLE,)),)), "", "there is no question to show in prompts of 4"),
    ],
)
def test_too_few_to_show(task: Task, relation: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_exemplars(task, [relation], **DRAW)


def test_cities_are_shown_for_their_kind_only() -> None:
    task = load_task("geo", min_population=1_000_000, kinds=["country", "continent"])
    drawn = draw_exemplars(task, sorted({relation_of(question) for question in task.train}), **DRAW)
    assert set(drawn.prompts) == {"country", "continent"}
    shown = [question for prompts in drawn.prompts.values() for prompt in prompts for question in prompt]
    subjects = {subject_key(question) for question in shown}
    left = [question for question in (*task.train, *task.held_out) if question.id not in drawn.set_apart]
    assert left and not subjects & {subject_key(question) for question in left}


# Prompts as they are read

SHOTS = EXAMPLES[:2]
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}<assistant>"
ON_TOP = "{{ messages[-1].content | length }}!" + CHAT


@pytest.fixture
def tokenizer(tiny_model_dir: Any) -> PreTrainedTokenizerBase:
    return load_model(tiny_model_dir).tokenizer


def turns(shots: Sequence[Question], question: str) -> str:
    shown = "".join(f"<user>{one.question}</user><assistant>{one.gold[0]}</assistant>" for one in shots)
    return f"{shown}<user>{question}</user><assistant>"


def test_chat_models_read_turns(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = CHAT
    render = Renderer(tokenizer)
    prompts = [render(SHOTS, question) for question in ("Where was A born?", "Where was B born?")]
    assert [one.shared + one.rest for one in prompts] == [turns(SHOTS, f"Where was {name} born?") for name in "AB"]
    assert prompts[0].shared == prompts[1].shared == turns(SHOTS, "").removesuffix("</user><assistant>")
    assert render.prompt_format == "chat"
    other = render(EXAMPLES[2:4], "Where was A born?")
    assert other.shared + other.rest == turns(EXAMPLES[2:4], "Where was A born?")


def test_a_template_whose_beginning_depends_on_the_end(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = ON_TOP
    for question in ("Why?", "Where was A born?"):
        prompt = Renderer(tokenizer)(SHOTS, question)
        assert prompt.shared + prompt.rest == f"{len(question)}!{turns(SHOTS, question)}"


def test_the_begin_token_is_not_there_twice(tokenizer: PreTrainedTokenizerBase) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.chat_template, tokenizer.bos_token = "{{ bos_token }}" + CHAT, "<unk>"
    assert Renderer(tokenizer)(SHOTS, "Why?").shared.startswith("<unk><user>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<unk> $A", special_tokens=[("<unk>", 2)])
    assert Renderer(tokenizer)(SHOTS, "Why?").shared.startswith("<user>")


def test_a_model_without_a_chat_template_reads_text(tokenizer: PreTrainedTokenizerBase) -> None:
    assert Renderer(tokenizer).prompt_format == Renderer().prompt_format == "plain"
    with pytest.raises(ValueError, match="needs a tokenizer with a chat template; this one has none: use 'plain'"):
        Renderer(tokenizer, "chat")
    tokenizer.chat_template = CHAT
    plain = Renderer(tokenizer, "plain")(SHOTS, "Why {x}?")
    assert plain.shared == "Q: Where was E0 born?\nA: Lima\n\nQ: Where was E1 born?\nA: Lima\n\n"
    assert plain.rest == "Q: Why {x}?\nA:"
