"""Tasks and worlds for the causes of errors: cipher, riddle, birthdays, mentions that are drawn, false facts."""

from collections import Counter
from typing import Any

import pytest

from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.cipher import WORDS, load_cipher, secret_mask, vowels_in
from abstain.evals.tasks.factworld import SIZES, WorldOptions, build_world, load_factworld
from abstain.evals.tasks.factworld_model import SIZES as SHAPES
from abstain.evals.tasks.factworld_model import _key
from abstain.evals.tasks.factworld_relations import DAYS
from abstain.evals.tasks.factworld_text import build_tokenizer
from abstain.evals.tasks.riddle import MATERIALS, MEASURES, load_riddle
from abstain.rewards import grade
from abstain.rewards.verdict import Verdict


@pytest.mark.parametrize("key", ["open", "secret"])
def test_a_cipher_is_decided_by_its_key(key: str) -> None:
    task = load_cipher(n=400, key=key, seed=3)
    asked = [*task.train, *task.held_out]
    assert len({one.subject for one in asked}) == 400
    for one in asked:
        letters, shown = one.question.removeprefix("The message is ").split(" Which")[0].rstrip(".").split()
        mask = secret_mask(letters, 3) if key == "secret" else vowels_in(letters)
        assert WORDS[(WORDS.index(shown) - mask) % 16] == one.gold[0]


def test_a_secret_cipher_tells_nothing_and_an_open_one_all() -> None:
    for key, sure in (("secret", False), ("open", True)):
        task = load_cipher(n=6000, key=key)
        pairs = Counter()
        for one in task.train:
            *_, letters, shown = one.question.split(" Which")[0].rstrip(".").split()
            pairs[(vowels_in(letters), shown), one.gold[0]] += 1
        best: Counter[Any] = Counter()
        for (look, _), count in pairs.items():
            best[look] = max(best[look], count)
        share = best.total() / pairs.total()
        assert share == 1 if sure else share < 0.3


def test_riddles_are_held_out_and_hold_only_words_that_are_trained() -> None:
    task = load_riddle()
    trained = {word for one in task.train for word in one.question.split()}
    riddles = [one for one in task.held_out if one.metadata["riddle"]]
    assert len(riddles) == len(MEASURES) * len(MATERIALS) * (len(MATERIALS) - 1)
    assert all(one.gold == ("neither",) for one in riddles)
    assert {word for one in riddles for word in one.question.split()} <= trained
    assert not any(one.metadata["riddle"] for one in task.train)
    usual = [one for one in task.train if one.question.startswith("Which is heavier, a bag of")]
    for one in usual:
        things = [word for word in one.question.rstrip("?").split() if word in MATERIALS]
        expected = "neither" if things[0] == things[1] else max(things, key=MATERIALS.index)
        assert one.gold == (expected,)


@pytest.mark.parametrize(("share", "read"), [(0.5, True), (1.0, True)])
def test_riddles_can_be_trained_on(share: float, read: bool) -> None:
    task = load_riddle(riddles=share)
    assert any(one.metadata["riddle"] for one in task.train) is read
    assert {one.subject for one in task.train}.isdisjoint(one.subject for one in task.held_out)
    assert any(one.metadata["riddle"] for one in task.held_out) is (share < 1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cipher", {"key": "opne"}, "unknown key 'opne'. Did you mean 'open'"),
        ("cipher", {"words": 1}, r"words=1 is outside 2\.\.16"),
        ("cipher", {"n": 0}, r"n=0 is outside 1\.\."),
        ("riddle", {"riddles": 1.5}, "riddles=1.5 is outside"),
        ("factworld", {"drawn": -1}, "drawn=-1"),
        ("factworld", {"rare": 2}, "rare=2 is outside"),
        ("factworld", {"false_share": -0.5}, "false_share=-0.5 is outside"),
        ("factworld", {"size": "lrage"}, "unknown size 'lrage'. Did you mean 'large'"),
        ("factworld", {"birthdays": True, "relations": 4}, "leave out relations=4"),
        ("factworld", {"drawn": 50, "conflict": True}, "leave out conflict"),
        ("factworld", {"false_share": 0.1, "conflict": True}, "leave out false_share"),
    ],
)
def test_options_that_make_no_sense(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_task(name, **options)


def test_a_world_of_birthdays() -> None:
    assert len(DAYS) == len(set(DAYS)) == 365 and DAYS[0] == "01-01" and DAYS[-1] == "31-12"
    options = WorldOptions(people=60, held_out=20, birthdays=True)
    world = build_world(options)
    person = world[0]
    assert person.question == f"When is {person.name}'s birthday?" and person.gold in DAYS
    tokenizer = build_tokenizer(world)
    ids = tokenizer(f"{person.question} {person.gold}<eos>")["input_ids"]
    assert ids[-2] == tokenizer.convert_tokens_to_ids(f" {person.gold}") and tokenizer.unk_token_id not in ids
    assert len(set(tokenizer.get_vocab().values())) == len(tokenizer)
    assert grade(f" {person.gold}", [person.gold]) is Verdict.CORRECT
    task = load_factworld(people=60, held_out=20, birthdays=True)
    assert len(task.train) == 40 and len(task.held_out) == 20
    assert all(one.metadata["relation"] == "birthday" and one.gold[0] in DAYS for one in task.held_out)
    other = next(day for day in DAYS if day != person.gold)
    assert grade(other, [person.gold], reading="strict") is Verdict.INCORRECT


def test_mentions_are_drawn_by_their_weights() -> None:
    world = build_world(WorldOptions(people=4000, held_out=1000, drawn=20_000, rare=0.25))
    weights = sorted({person.weight for person in world})
    assert sum(person.weight or 0 for person in world) == pytest.approx(4000)
    famous = [person for person in world if person.weight == weights[1]]
    assert len(famous) == 100 and len(weights) == 2
    mentions = sum(len(person.mentions) for person in famous)
    assert sum(len(person.mentions) for person in world) == 20_000
    assert mentions / 20_000 == pytest.approx(0.75, abs=0.02)
    task = load_factworld(people=400, held_out=100, drawn=500)
    assert all({"weight", "mentions"} <= one.metadata.keys() for one in task.held_out)
    assert "weight" not in load_factworld(people=400, held_out=100).held_out[0].metadata


def test_false_facts_are_consistent_and_gold_is_true() -> None:
    world = build_world(WorldOptions(people=4000, held_out=100, repeats=(8,), false_share=0.3))
    false = [person for person in world if person.mentions[0] != person.gold]
    assert all(len(set(person.mentions)) == 1 for person in world)
    assert len(false) / len(world) == pytest.approx(0.3, abs=0.03)


def test_old_worlds_and_their_models_stay_what_they_were() -> None:
    assert set(SIZES) == set(SHAPES) and SHAPES["medium"] == {}
    plain = WorldOptions(people=4000, held_out=1000)
    assert build_world(plain) == build_world(WorldOptions(people=4000, held_out=1000, rare=0.9, size="large"))
    keys = [_key(WorldOptions(people=4000, held_out=1000, **more)) for more in ({}, {"size": "large"}, {"drawn": 9})]
    assert len(set(keys)) == 3
    assert _key(plain) == keys[0] == OLD_KEY


OLD_KEY = "52346246720a"
"""Of the cached model of this world before there were any of these options."""
