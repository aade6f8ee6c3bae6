"""The fact world: what it says about itself is true, and its model knows what it read."""

from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest

from abstain.evals.models import load_model
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.factworld import SHARES, WorldOptions, build_world, load_factworld
from abstain.evals.tasks.factworld_model import base_model, train_base
from abstain.evals.tasks.factworld_relations import BY_NAME, RELATIONS
from abstain.evals.tasks.factworld_text import SHOTS, _document, build_tokenizer, documents
from abstain.evals.tasks.few_shot import ASK, SHOT
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, IDK, prompt_text, with_confidence


def test_every_repeat_count_is_used_equally() -> None:
    world = build_world(WorldOptions(people=80, held_out=8))
    assert Counter(len(person.mentions) for person in world) == {0: 30, 1: 10, 2: 10, 4: 10, 8: 20}
    assert all(set(person.mentions) <= {person.gold} and person.true_p is None for person in world)
    assert len({person.name.split()[1] for person in world}) == 80


def test_the_same_seed_gives_the_same_world() -> None:
    options = WorldOptions(people=50, held_out=5)
    assert build_world(options) == build_world(options) != build_world(WorldOptions(people=50, held_out=5, seed=1))


def test_true_p_is_the_share_of_the_commonest_mention_and_of_right_answers() -> None:
    world = build_world(WorldOptions(people=8_000, held_out=100, conflict=True))
    right: dict[float, list[bool]] = {share: [] for share in SHARES}
    for person in world:
        best, count = Counter(person.mentions).most_common(1)[0]
        assert count == round(person.true_p * len(person.mentions))
        right[person.true_p].append(best == person.gold)
    for share, answers in right.items():  # 1,000 people each: four standard errors are .063 at most
        assert abs(sum(answers) / len(answers) - share) < 0.063


def test_train_and_held_out_people_differ() -> None:
    task = load_factworld(people=200, held_out=50)
    assert (len(task.train), len(task.held_out)) == (150, 50)
    assert not {question.subject for question in task.train} & {question.subject for question in task.held_out}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": 1}, "people=1 is outside"),
        ({"people": 10, "held_out": 10}, "held_out=10 must be between 1 and people - 1 = 9"),
        ({"cities": 1000}, "cities=1000 is outside"),
        ({"passes": 0}, "passes=0 must be at least 1"),
        ({"repeats": (0,)}, r"repeats=\[0\] must be counts"),
        ({"relations": 9}, "relations=9 is outside 1..8"),
        ({"relations": 3, "held_out_relations": 3}, "held_out_relations=3 is outside 0..2"),
        ({"relations": 3, "answers": 10_000}, "answers=10000 is outside 5..5625"),
        ({"people": 200, "held_out": 50, "relations": 3}, "examples=50 of 3 relations and held_out=50 leave nobody"),
        ({"few_shot": 1.5}, r"few_shot=1.5 is outside \[0, 1\]"),
    ],
)
def test_impossible_worlds(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorldOptions(**options)


def test_prompts_survive_the_tokenizer() -> None:
    world = build_world(WorldOptions(people=20, held_out=2))
    tokenizer = build_tokenizer(world)
    for target in (0, 0.5, 0.6, 0.75, 0.85, 0.9):
        text = prompt_text(f"Where was {world[0].name} born?", target) + f" {IDK}"
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert tokenizer.unk_token_id not in ids


def test_a_stated_confidence_survives_the_tokenizer_only_of_a_world_that_has_words_for_it() -> None:
    world = build_world(WorldOptions(people=20, held_out=2))
    prompt = prompt_text(f"Where was {world[0].name} born?", None, instruct="confidence")
    tokenizer = build_tokenizer(world, confidence_words=True)
    task = load_factworld(people=20, held_out=2, confidence_words=True)
    for confidence in (0.05, 0.8, 0.95):
        completion = " " + with_confidence(world[0].gold, confidence)
        ids = tokenizer(prompt + completion)["input_ids"]
        assert tokenizer.decode(ids) == prompt + completion
        assert tokenizer.unk_token_id not in ids
        assert len(tokenizer(completion)["input_ids"]) < task.max_new_tokens
    assert build_tokenizer(world).unk_token_id in build_tokenizer(world)(prompt)["input_ids"]


SEVERAL = {"people": 640, "held_out": 64, "relations": 4, "held_out_relations": 1, "answers": 40, "examples": 6}
NAMES = [relation.name for relation in RELATIONS[:4]]


def test_relations_share_no_subject_and_no_answer() -> None:
    world = build_world(WorldOptions(**SEVERAL))
    assert world == build_world(WorldOptions(**SEVERAL))
    subjects, answers = defaultdict(set), defaultdict(set)
    for person in world:
        subjects[person.relation].add(person.name)
        answers[person.relation].update([person.gold, *person.mentions])
    assert {name: len(found) for name, found in subjects.items()} == dict.fromkeys(NAMES, 160)
    for pools in (subjects, answers):
        assert len(set().union(*pools.values())) == sum(map(len, pools.values()))
    assert max(map(len, answers.values())) == 40
    words = {word for person in world for word in person.name.split()}
    assert not words & set().union(*answers.values())


def test_a_relation_that_is_held_out_is_never_trained_on_and_has_examples() -> None:
    task = load_factworld(**SEVERAL)
    sides = (task.train, task.held_out, task.examples)
    counts = [Counter(question.metadata["relation"] for question in side) for side in sides]
    assert counts[0] == dict.fromkeys(NAMES[:3], 160 - 16 - 6)
    assert counts[1:] == [dict.fromkeys(NAMES, 16), dict.fromkeys(NAMES, 6)]
    subjects = [question.subject for side in sides for question in side]
    assert len(set(subjects)) == len(subjects)
    assert all(q.question == BY_NAME[q.metadata["relation"]].ask(q.subject) for q in task.held_out)


def test_examples_are_there_by_default_only_with_several_relations() -> None:
    assert not load_factworld(people=100, held_out=20).examples
    assert len(load_factworld(people=100, held_out=20, examples=8).examples) == 8
    assert len(load_factworld(people=400, held_out=20, relations=2).examples) == 100


def test_few_shot_documents_are_few_shot_prompts_with_their_answers() -> None:
    world = build_world(WorldOptions(**SEVERAL))
    asked = {person.question: person for person in world}
    texts = documents(world, Random(0), asks_confidence=False, few_shot=0.5)
    told_of, together = Counter[str](), 0
    for text in texts:
        whole = text.removesuffix("<eos>")
        assert whole != text and "<eos>" not in whole
        if not text.startswith("Q: "):
            told_of[text.split("?")[0] + "?"] += 1
            continue
        shots = [shot.split("\nA: ") for shot in whole.removeprefix("Q: ").split("\n\nQ: ")]
        *before, (last, answer) = shots
        shown = "".join(SHOT.format(question=question, answer=told) for question, told in before)
        assert whole == f"{shown}{ASK.format(question=last)} {answer}"
        assert all(asked[question].gold == answer for question, answer in shots)
        assert len({asked[question].relation for question, _ in shots}) == 1
        assert len(shots) <= SHOTS[1]
        told_of.update(question for question, _ in shots)
        together += len(shots)
    assert told_of == Counter({person.question: len(person.mentions) for person in world if person.mentions})
    assert together / told_of.total() == pytest.approx(0.5, abs=0.05)
    alone = documents(world, Random(0), asks_confidence=False, few_shot=0)
    assert len(alone) == told_of.total() and not any(text.startswith("Q: ") for text in alone)


def test_a_few_shot_prompt_survives_the_tokenizer_and_its_parts_are_tokens_of_their_own() -> None:
    world = build_world(WorldOptions(**SEVERAL))
    tokenizer = build_tokenizer(world, few_shot=True)
    shown = "".join(SHOT.format(question=person.question, answer=person.gold) for person in world)
    asked = ASK.format(question=world[0].question)
    ids = tokenizer(shown + asked)["input_ids"]
    assert ids == tokenizer(shown)["input_ids"] + tokenizer(asked)["input_ids"]
    assert tokenizer.decode(ids) == shown + asked
    assert tokenizer.unk_token_id not in ids
    assert len(tokenizer(f" {world[0].gold}\n\n")["input_ids"]) == 2


def test_options_that_came_later_leave_the_cached_models_of_other_worlds_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path))
    asked: list[str] = []
    monkeypatch.setattr(
        "abstain.evals.tasks.factworld_model._train_into", lambda folder, *rest: asked.append(folder.name)
    )
    later = ({"confidence_words": True}, {"passes": 2}, {"few_shot": 0.5}, {"relations": 2})
    for options in ({}, {"passes": 1, "few_shot": 0, "examples": None}, {"seed": 1}, {"seed": 2}, *later):
        base_model(**options)
    assert asked[:2] == ["factworld-65aad27afb23"] * 2  # whoever changes this trains everybody's base model anew
    assert asked[2:4] == ["factworld-aea5e86bed47", "factworld-f4af0d99ea4f"]
    assert len({*asked[1:]}) == 3 + len(later)


@pytest.mark.slow
def test_more_passes_remember_more() -> None:
    right = []
    for passes in (1, 20):
        options = WorldOptions(people=100, held_out=2, cities=5, repeats=(1,), passes=passes)
        world = build_world(options)
        tokenizer = build_tokenizer(world)
        model = train_base(world, tokenizer, options)
        prompts = [prompt_text(person.question, 0.0) for person in world]
        answers = [row[0].text.strip() for row in Sampler(model, tokenizer).sample(prompts)]
        right.append(sum(answer == person.gold for answer, person in zip(answers, world, strict=True)) / len(world))
    assert right[0] < 0.5 and right[1] > 0.9


def test_only_a_world_with_words_for_it_reads_the_instruction_to_state_a_confidence() -> None:
    world = build_world(WorldOptions(people=200, held_out=2))
    for asks in (False, True):
        rng = Random(0)
        documents = [_document(person.question, person.gold, rng, asks) for person in world * 5]
        shares = [sum(text in one for one in documents) / 1000 for text in (CONFIDENCE_INSTRUCTION, "best guess")]
        assert shares[0] == (pytest.approx(1 / 6, abs=0.04) if asks else 0)
        assert shares[1] == pytest.approx(1 / 6 if asks else 1 / 4, abs=0.05)


def test_the_base_model_knows_what_it_read_often_and_is_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path))
    options = {"people": 100, "held_out": 60, "cities": 5, "repeats": [0, 32]}  # a few seconds' reading
    folder = base_model(progress=False, **options)
    loaded = load_model(str(folder), dtype="float32")
    task = load_factworld(**options)
    prompts = [prompt_text(question.question, 0.5) for question in task.held_out]
    answers = [row[0].text.strip() for row in Sampler(loaded.model, loaded.tokenizer).sample(prompts)]
    right = {32: [], 0: []}
    for question, answer in zip(task.held_out, answers, strict=True):
        right[question.metadata["mentions"]].append(answer == question.gold[0])
    assert sum(right[32]) / len(right[32]) > 0.9
    assert sum(right[0]) / len(right[0]) < 0.5
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert base_model(progress=False, **options) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
