"""Which questions a mix gives, how often, in which order and with which answers."""

import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from abstain.evals.knowledge.labels import Category
from abstain.evals.records import read_rows
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import IDK
from abstain.trainers.dataset import choose, rl_dataset
from abstain.trainers.mix import Mix, RlMix, SupervisedMix, apportion, by_knowledge, counted, mixed, near_targets
from abstain.trainers.rl import build_rl_config, run_rl
from abstain.trainers.sft import examples, run_sft
from abstain.trainers.stages import RlStage, SftStage

from ..labelled import label_of
from .conftest import QUESTIONS, TASK

HK, MK, WK, U = map(str, Category)
WORLD = {"capital": {HK: 4, MK: 2, WK: 2, U: 8}, "born": {HK: 1, MK: 3, WK: 1, U: 3}}
PLAIN = SimpleNamespace(chat_template=None)


def world(groups=WORLD):
    """Questions, and what is known of them."""
    questions, known = [], {}
    for relation, counts in groups.items():
        for category, count in counts.items():
            for number in range(count):
                name = f"{relation} {category} {number}"
                questions.append(Question(name, f"{name}?", ("Lima",), name, {"relation": relation}))
                known[name] = label_of(questions[-1], category)
    return questions, known


def counts(questions, known):
    """(relation, category) → how many."""
    return Counter((known[one.id].relation, str(known[one.id].category)) for one in questions)


def ids(questions):
    return [one.id for one in questions]


def of(mix, groups=WORLD, seed=0):
    questions, known = world(groups)
    return counts(mixed(questions, known, Mix.model_validate(mix), seed), known)


# Which, and how many, worked out by hand


def test_categories_alone():
    assert of({"categories": [MK, U]}) == {("capital", MK): 2, ("capital", U): 8, ("born", MK): 3, ("born", U): 3}


def test_the_size_of_a_single_category_is_that_of_the_smallest_of_each_relation():
    """min(4, 2, 2, 8) = 2 and min(1, 3, 1, 3) = 1."""
    assert of({"categories": [MK]}) == {("capital", MK): 2, ("born", MK): 1}
    assert of({"categories": [HK]}) == {("capital", HK): 2, ("born", HK): 1}
    assert of({"categories": [HK], "size": "all"}) == {("capital", HK): 4, ("born", HK): 1}


def test_a_share_at_the_papers_size():
    """|D| = 2 + 1; half of it are 2 Unknown, one of each relation. The one Known of `capital` is HighlyKnown."""
    assert of({"unknown": 0.5}) == {("capital", U): 1, ("born", U): 1, ("capital", HK): 1}
    assert of({"unknown": 1}) == {("capital", U): 2, ("born", U): 1}
    assert sum(of({"unknown": 0}).values()) == 3 and not any(category == U for _, category in of({"unknown": 0}))


def test_a_share_at_a_size_that_is_given():
    """12 of 24 are 8 of 16 and 4 of 8, half of them Unknown; 4 of 4 + 2 + 2 Known are 2 + 1 + 1."""
    found = of({"unknown": 0.5, "size": 12})
    assert found == {("capital", U): 4, ("capital", HK): 2, ("capital", MK): 1, ("capital", WK): 1} | {
        ("born", U): 2,
        ("born", HK): 1,
        ("born", MK): 1,
    }


def test_natural_proportions():
    """Half of everything: of 16 and of 8."""
    found = of({"size": 12})
    assert {key: found[key] for key in found if key[0] == "capital"} == {
        ("capital", category): count // 2 for category, count in WORLD["capital"].items()
    }
    assert sum(count for (relation, _), count in found.items() if relation == "born") == 4
    assert sum(of({"size": "smallest"}).values()) == 3


def test_weights():
    """Twice 4 + 1; all of 2 + 3; 1.5 times 2 + 1 are 4.5, rounded up; every second one of 8 + 3, rounded up."""
    found = Counter()
    for (_, category), count in of({"weights": {HK: 2, WK: 1.5, U: 0.5}}).items():
        found[category] += count
    assert found == {HK: 10, MK: 5, WK: 5, U: 6}
    questions, known = world()
    twice = mixed(questions, known, Mix(weights={HK: 2, MK: 0, WK: 0, U: 0}), 0)
    assert Counter(one.id for one in twice) == dict.fromkeys(Counter(one.id for one in twice), 2)
    assert [one.id for one in twice] == [one.id for one in questions if HK in one.id for _ in range(2)]


def test_a_category_that_nobody_found_makes_nothing_small():
    """With greedy answers only nothing is WeaklyKnown."""
    groups = {"capital": {HK: 4, MK: 2, U: 8}}
    assert of({"unknown": 0.5}, groups) == {("capital", U): 1, ("capital", HK): 1}


def test_questions_without_a_label_are_left_out_and_the_limit_comes_first():
    questions, known = world()
    stranger = Question("stranger", "Who?", ("Bo",))
    assert stranger not in choose([*questions, stranger], None, Mix(order="known_first"), known, 0)
    few = choose([*questions, stranger], 10, Mix(categories=[U, MK]), known, 0)
    assert 0 < len(few) < 10 and set(ids(few)) <= set(ids(choose(questions, 10, Mix(), known, 0)))
    assert choose([*questions, stranger], None, None, known, 0) == [*questions, stranger]
    assert choose([*questions, stranger], None, None, known, 0, labelled_only=True) == questions
    with pytest.raises(ValueError, match="none of the 1 training questions has a label"):
        choose([stranger], None, Mix(), known, 0)
    with pytest.raises(ValueError, match=r"sft\.mix chooses by what the starting model knows: give labels"):
        choose(questions, None, Mix(), None, 0, "sft.mix")


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        (
            {"unknown": 0.5, "size": 24},
            r"4 Unknown questions of born are wanted, and 3 are there: set sft.mix.size=\d+",
        ),
        ({"unknown": 0, "size": 20}, r"\d+ Known questions of \w+ are wanted, and \d are there: set sft.mix.size=\d+"),
        ({"size": 25}, "size: 25 is more than the 24 questions there are: set sft.mix.size=24"),
        ({"weights": {HK: 0, MK: 0, WK: 0, U: 0}}, "nothing is left of 5 HighlyKnown"),
    ],
)
def test_what_cannot_be_had_is_said_with_numbers_and_what_to_type(mix, message):
    questions, known = world()
    with pytest.raises(ValueError, match=f"^sft.mix: .*{message}") as error:
        mixed(questions, known, Mix.model_validate(mix), 0, "sft.mix")
    if "size=" in str(error.value):
        size = int(str(error.value).split("size=")[1].split(",")[0])
        assert len(mixed(questions, known, Mix.model_validate(mix | {"size": size}), 0)) == size


def test_no_question_of_the_categories_or_an_empty_smallest_one():
    groups = {"capital": {HK: 4, MK: 0, U: 8}, "born": {HK: 0, MK: 3, U: 2}}
    with pytest.raises(ValueError, match="no question is WeaklyKnown, there are 4 HighlyKnown"):
        of({"categories": [WK]}, groups)
    with pytest.raises(
        ValueError, match=r"there is no MaybeKnown question of capital\): set a number, as in mix.size"
    ):
        of({"unknown": 0.5}, groups)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"categories": [HK], "unknown": 0.5}, "categories has none: add Unknown"),
        ({"categories": [U], "unknown": 0.5}, "categories has Unknown only: add some"),
        ({"unknown": 0.5, "size": "all"}, "a share at a fixed size"),
        ({"weights": {HK: 2}, "size": 9}, "leave weights out, or set size: all"),
        ({"weights": {HK: 2}, "unknown": 0.1}, "leave weights out"),
        ({"weights": {HK: -1}}, "greater than or equal to 0"),
        ({"size": 0}, "must be a whole number of at least 1, `smallest` or `all`, not 0"),
        ({"size": "most"}, "must be a whole number"),
        ({"categories": ["Known"]}, "'HighlyKnown', 'MaybeKnown', 'WeaklyKnown' or 'Unknown'"),
        ({"near_targets": 0.2}, "Extra inputs"),
    ],
)
def test_mixes_that_make_no_sense(mix, message):
    with pytest.raises(ValidationError, match=message):
        SupervisedMix.model_validate(mix)


GROUPS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.fixed_dictionaries({one: st.integers(1, 9) for one in (HK, MK, WK, U)}),
    min_size=1,
)


@given(GROUPS, st.integers(0, 3))
def test_shares_differ_in_nothing_but_the_share(groups, seed):
    questions, known = world(groups)
    size = sum(min(found.values()) for found in groups.values())
    smaller = None
    for share in (0, 0.1, 0.35, 0.5, 0.8, 1):
        mix = ids(mixed(questions, known, Mix(unknown=share), seed))
        assert mix == ids(mixed(questions, known, Mix(unknown=share), seed)) and len(set(mix)) == len(mix) == size
        assert [one for one in ids(questions) if one in mix] == mix
        unknown = {one for one in mix if known[one].category == U}
        assert len(unknown) == math.floor(share * size + 0.5)
        by_relation = Counter(known[one].relation for one in mix)
        assert by_relation == {relation: min(found.values()) for relation, found in groups.items()}
        if smaller is not None:
            assert unknown >= smaller[0] and set(mix) - unknown <= smaller[1]
        smaller = unknown, set(mix) - unknown


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.data())
def test_apportion(sizes, data):
    total = data.draw(st.integers(0, sum(sizes)))
    found = list(apportion(total, dict(enumerate(sizes))).values())
    assert sum(found) == total and all(one <= size for one, size in zip(found, sizes, strict=True))
    more = list(apportion(min(total + 1, sum(sizes)), dict(enumerate(sizes))).values())
    assert all(one <= other for one, other in zip(found, more, strict=True))
    for one, size in zip(found, sizes, strict=True):
        assert abs(one - total * size / max(sum(sizes), 1)) < len(sizes)


# Order and targets


def test_order_is_that_of_p_correct_and_ties_are_mixed():
    questions, known = world()
    for order, sign in (("known_first", -1), ("unknown_first", 1)):
        found = mixed(questions, known, Mix(order=order), 0)
        ps = [sign * known[one.id].p_correct for one in found]
        assert ps == sorted(ps) and sorted(one.id for one in found) == sorted(one.id for one in questions)
    unknown = [one.id for one in by_knowledge(questions, known, "unknown_first", 0)[:11]]
    assert unknown != [one.id for one in questions if U in one.id]
    assert unknown != [one.id for one in by_knowledge(questions, known, "unknown_first", 1)[:11]]


def test_near_targets_by_hand():
    """At t = 0 with width 0.5: weights 1, exp(-1/2), exp(-2), of which n = 3 rows are 3 · (.574, .348, .078)."""
    questions = [Question(name, name, ("Bo",)) for name in "abc"]
    known = {one.id: label_of(one, MK, p) for one, p in zip(questions, (0, 0.5, 1), strict=True)}
    weights = [1, math.exp(-0.5), math.exp(-2)]
    expected = [3 * weight / sum(weights) for weight in weights]
    assert [round(one, 2) for one in expected] == [1.72, 1.04, 0.23]
    total = Counter()
    for seed in range(400):
        found = Counter(one.id for one, _ in near_targets(questions, [0], known, 0.5, seed))
        assert found.total() == 3
        for name, wanted in zip("abc", expected, strict=True):
            assert found[name] in (math.floor(wanted), math.ceil(wanted))
        total += found
    for name, wanted in zip("abc", expected, strict=True):
        assert abs(total[name] / 400 - wanted) < 0.1


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.lists(st.sampled_from([0, 0.5, 0.75, 0.9]), min_size=1, max_size=4),
    st.floats(0.01, 10),
    st.integers(0, 5),
)
def test_every_target_keeps_its_rows(ps, targets, width, seed):
    questions = [Question(str(place), "Who?", ("Bo",)) for place in range(len(ps))]
    known = {one.id: label_of(one, MK, p) for one, p in zip(questions, ps, strict=True)}
    found = near_targets(questions, targets, known, width, seed)
    assert Counter(target for _, target in found) == {
        float(target): targets.count(target) * len(ps) for target in targets
    }
    if width == 10:  # so wide that all are near
        assert len({one.id for one, _ in found}) > 0.9 * len(ps)


def test_rows_of_rl_stand_in_order_each_by_itself():
    known = {one.id: label_of(one, MK, place / 10) for place, one in enumerate(QUESTIONS)}
    mix = RlMix(order="unknown_first", near_targets=0.2)
    rows = rl_dataset(TASK, [0, 0.75], PLAIN, mix=mix, known=known)
    ps = [known[one].p_correct for one in rows["question_id"]]
    assert ps == sorted(ps) and Counter(rows["target"]) == {0: len(QUESTIONS), 0.75: len(QUESTIONS)}
    means = [[p for p, t in zip(ps, rows["target"], strict=True) if t == target] for target in (0, 0.75)]
    assert sum(means[0]) < sum(means[1])
    plain = rl_dataset(TASK, [0, 0.75], PLAIN, mix=RlMix(weights={MK: 2}), known=known)
    assert Counter(plain["question_id"]) == {one.id: 4 for one in QUESTIONS}


# "I don't know"

ASKED = QUESTIONS * 25
KNOWN = {one.id: label_of(one, U if place < 2 else MK if place < 4 else HK) for place, one in enumerate(QUESTIONS)}


def taught(**stage):
    rows = examples(TASK, ASKED, [None] * len(ASKED), SftStage(answers="gold", **stage), 0, KNOWN)
    return [(row["category"], row["target"], row["completion"] == IDK) for row in rows]


def test_relabelled_questions_say_idk_but_where_the_prompt_states_zero():
    said = taught(targets=[0, 0.5], mix={"idk": [U]})
    assert {(category, target): idk for category, target, idk in said} == {
        (category, target): category == U and target > 0 for category in (U, MK, HK) for target in (0, 0.5)
    }
    assert len(set(said)) == 6, "no random ones besides, unless a share is set"
    assert any(idk and category == HK for category, _, idk in taught(targets=[0.5], idk_share=0.3, mix={"idk": [U]}))
    assert {(category, idk) for category, _, idk in taught(instruct="nothing", targets=[0], mix={"idk": [U]})} == {
        (U, True),
        (MK, False),
        (HK, False),
    }
    confident = taught(instruct="confidence", confidence="random", mix={"idk": [U]})
    assert all(idk == (category == U) for category, _, idk in confident)


def test_the_share_that_says_idk_is_drawn_from_unknown_questions():
    """A quarter is Unknown: a fifth says it, all Unknown; and of a third, all Unknown and then MaybeKnown ones."""
    said = taught(targets=[0, 0.5], idk="unknown", idk_share=0.2)
    above = [(category, idk) for category, target, idk in said if target]
    assert {category for category, _, idk in said if idk} == {U} and not any(idk for _, t, idk in said if t == 0)
    assert sum(idk for _, idk in above) == round(0.2 * len(above))
    more = Counter(category for category, _, idk in taught(targets=[0.5], idk="unknown", idk_share=0.4) if idk)
    assert more == {U: 50, MK: 30}
    with pytest.raises(ValueError, match="idk: unknown needs to know what is known"):
        list(examples(TASK, ASKED, [None] * len(ASKED), SftStage(answers="gold", idk="unknown"), 0))


def test_labels_say_at_which_targets_a_question_is_answered():
    """P(correct) runs from 0 to .875 in eighths: at t = .5 it is answered from .625 on, and at t = 0 always."""
    known = {one.id: label_of(one, MK, place / 8) for place, one in enumerate(QUESTIONS)}
    del known[QUESTIONS[7].id]
    stage = SftStage(answers="gold", targets=[0, 0.5, 0.7], idk="labels")
    said = {}
    for row in examples(TASK, ASKED, [None] * len(ASKED), stage, 0, known):
        answered = said.setdefault(row["target"], {True: set(), False: set()})
        answered[row["completion"] != IDK].add(known[row["question_id"]].p_correct * 8)
    assert said == {
        0: {True: {0, 1, 2, 3, 4, 5, 6}, False: set()},
        0.5: {True: {5, 6}, False: {0, 1, 2, 3, 4}},
        0.7: {True: {6}, False: {0, 1, 2, 3, 4, 5}},
    }
    with pytest.raises(ValueError, match="idk: labels needs to know what is known: give labels, or set idk: random"):
        list(examples(TASK, ASKED, [None] * len(ASKED), stage, 0))
    with pytest.raises(ValueError, match="idk: labels compares with a target"):
        SftStage(instruct="confidence", confidence="random", idk="labels")


def test_a_question_without_a_label_says_idk_last():
    known = {name: label for name, label in KNOWN.items() if label.category == HK}
    stage = SftStage(answers="gold", targets=[0.5], idk="unknown", idk_share=0.4)
    rows = list(examples(TASK, ASKED, [None] * len(ASKED), stage, 0, known))
    assert {row.get("category") for row in rows if row["completion"] == IDK} == {HK}
    assert {row.get("category") for row in rows} == {HK, None}


def test_in_words():
    questions, known = world()
    assert counted(questions, known) == (
        "5 HighlyKnown (21 %), 5 MaybeKnown (21 %), 3 WeaklyKnown (12 %), 11 Unknown (46 %)"
    )


# Training in that order

TINY = {"use_cpu": True, "per_device_train_batch_size": 2, "report_to": "none", "save_strategy": "no"}
LADDER = {one.id: label_of(one, MK, (place * 3 % 8) / 10) for place, one in enumerate(QUESTIONS)}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (SftStage, {"mix": {"order": "known_first"}, "args": {"train_sampling_strategy": "group_by_length"}}),
        (SftStage, {"mix": {"order": "known_first"}, "args": {"packing": True}}),
        (RlStage, {"mix": {"order": "known_first"}, "args": {"shuffle_dataset": True}}),
        (RlStage, {"mix": {"order": "known_first"}, "dynamic_sampling": {}}),
        (RlStage, {"mix": {"near_targets": 0.1}, "instruct": "confidence"}),
    ],
)
def test_what_an_order_or_targets_exclude(stage, message):
    with pytest.raises(ValidationError, match=r"leave (args\.\w+|out)|needs targets"):
        stage.model_validate(message)


def test_sft_sees_its_examples_in_order_in_every_epoch(tmp_path: Path, tiny_model_dir: Path, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr("abstain.trainers.sft.train", lambda trainer, resume: seen.extend(order_of(trainer)))
    model, tokenizer = (kind.from_pretrained(tiny_model_dir) for kind in (AutoModelForCausalLM, AutoTokenizer))
    stage = SftStage(answers="gold", mix={"order": "known_first"}, args=TINY | {"num_train_epochs": 2})
    run_sft(model, tokenizer, TASK, stage, output_dir=tmp_path, seed=0, known=LADDER)
    rows = read_rows(tmp_path / "examples.jsonl")
    ps = [LADDER[row["question_id"]].p_correct for row in rows]
    assert ps == sorted(ps, reverse=True) and {row["category"] for row in rows} == {MK}
    assert seen == [0, 1, 2, 3, 4, 5, 6, 7] * 2


def test_an_order_that_is_never_finished_is_said(tmp_path: Path, tiny_model_dir: Path, monkeypatch, caplog) -> None:
    """Eight examples, two at a time, are four steps of an epoch."""
    monkeypatch.setattr("abstain.trainers.sft.train", lambda trainer, resume: None)
    model, tokenizer = (kind.from_pretrained(tiny_model_dir) for kind in (AutoModelForCausalLM, AutoTokenizer))
    for steps in (3, 4):
        caplog.clear()
        stage = SftStage(answers="gold", mix={"order": "known_first"}, args=TINY | {"max_steps": steps})
        run_sft(model, tokenizer, TASK, stage, output_dir=tmp_path / str(steps), seed=0, known=LADDER)
        assert ("3 steps are 75% of an epoch, so what is least known is never" in caplog.text) == (steps == 3)


def order_of(trainer):
    """The rows that two epochs train on."""
    sampler = trainer._get_train_sampler()
    return [*sampler, *sampler]


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "ppo"])
def test_rl_asks_in_order(tmp_path: Path, tiny_model_dir: Path, monkeypatch, algorithm: str, share: bool) -> None:
    seen = []
    monkeypatch.setattr("abstain.trainers.rl.train", lambda trainer, resume: seen.append(asked_by(trainer)))
    model, tokenizer = (kind.from_pretrained(tiny_model_dir) for kind in (AutoModelForCausalLM, AutoTokenizer))
    args = TINY | {"num_generations": 2, "per_device_train_batch_size": 4, "max_completion_length": 3}
    mix = {"order": "unknown_first"}
    stage = RlStage(algorithm=algorithm, targets=[0, 0.5], mix=mix, share_prefixes=share, args=args)
    run_rl(model, tokenizer, TASK, stage, output_dir=tmp_path, seed=0, known=LADDER)
    ps = [LADDER[name].p_correct for name in seen[0]]
    assert len(ps) >= 16 and ps == sorted(ps)
    assert not build_rl_config(TASK, stage, tmp_path, 0).shuffle_dataset
    assert build_rl_config(TASK, RlStage(args=args), tmp_path, 0).shuffle_dataset


def asked_by(trainer):
    """The questions of one epoch, as the data loader gives them."""
    return [row["question_id"] for batch in trainer.get_train_dataloader() for row in batch]


def test_a_mix_takes_part_in_training(tmp_path: Path, tiny_model_dir: Path) -> None:
    """Two steps on what is Unknown alone."""
    model, tokenizer = (kind.from_pretrained(tiny_model_dir) for kind in (AutoModelForCausalLM, AutoTokenizer))
    stage = SftStage(answers="gold", mix={"categories": [U], "size": "all", "idk": [U]}, args=TINY | {"max_steps": 2})
    task = Task("people", QUESTIONS, (), max_new_tokens=3)
    run_sft(model, tokenizer, task, stage, output_dir=tmp_path, seed=0, known=KNOWN)
    rows = read_rows(tmp_path / "examples.jsonl")
    assert sorted(row["question_id"] for row in rows) == sorted(one.id for one in QUESTIONS[:2])
    assert {row["category"] for row in rows} == {U}
