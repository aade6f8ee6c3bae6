"""Whether an answer is the same thing as a gold: golden cases of each kind, and laws that hold for any names."""

import itertools
import json
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.rewards.graders.aliases import aliases, text_tokens
from abstain.rewards.graders.elsewhere import are_elsewhere
from abstain.rewards.graders.lists import is_list, items, same_list
from abstain.rewards.graders.names import same, words
from abstain.rewards.graders.parts import acronyms, find_full_names, find_spelt_out
from abstain.rewards.graders.people import MIDDLE
from abstain.rewards.graders.spans import find
from abstain.rewards.graders.text import tidy, without_articles

CASES = json.loads((Path(__file__).resolve().parents[1] / "golden" / "names.json").read_text(encoding="utf-8"))
PEOPLE = [
    "Ada Lovelace", "Mary Shelley", "John F. Kennedy", "Barack Obama", "Michelle Obama", "J. R. R. Tolkien",
    "Queen Elizabeth II", "Elizabeth I", "Ludwig van Beethoven", "Martin Luther King Jr.", "George W. Bush",
    "George H. W. Bush", "Michael Jordan", "Grace Hopper",
]  # fmt: skip
TOWNS = ["Lisbon", "Portland, Oregon", "Portland, Maine", "Vienna", "New York", "Ottawa, Ontario, Canada", "São Paulo"]
COUNTRIES = ["France", "South Africa", "United States", "Georgia", "Peru", "North Korea", "South Korea", "日本"]
THINGS = ["rock music", "jazz", "igneous rock", "World War II", "World War I", "1984", "1,985", "19th century"]
LISTS = [
    "red, green and blue",
    "red and green",
    "Trinidad and Tobago",
    "東京と大阪",
    "京都と大阪",
    "Anne and Emily Brontë",
]
KINDS = [PEOPLE, TOWNS, COUNTRIES, THINGS, LISTS]
PAIRS = [pair for kind in KINDS for pair in itertools.combinations(kind, 2)]
JOINTS = [
    " ", ", ", " and ", " & ", " or ", "/", " / ", "\n", "; ", " - ", "-", " (", " | ", " maybe ", " in ", " of ",
    ": ", " aka ", " not ", "・", "、", "と", "和", " vs ", " plus ", ". ", "? ", " x ", " = ", "\\", " → ",
    " the ", " Sir ",
]  # fmt: skip
NAMES = ["Ada", "Berta", "Clara", "Dora", "Edith", "Frieda", "Gerda", "Hanna"]


@pytest.mark.parametrize("row", CASES, ids=lambda row: f"{row['gold']}-{row['answer'][:40]!r}")
def test_golden_case(row: dict) -> None:
    gold = (row["gold"],) if isinstance(row["gold"], str) else tuple(row["gold"])
    assert same(row["answer"], gold) is row["same"], row["why"]


def test_a_gold_need_not_be_given_with_the_last_words_of_the_question() -> None:
    assert same("orographic", ("orographic lift",), "which kind of lift makes clouds over hills")
    assert same("orographic lift", ("orographic",), "which kind of lift makes clouds over hills")
    assert not same("orographic", ("orographic lift",))
    assert not same("lift", ("orographic lift",), "which kind of lift makes clouds over hills")
    assert not same("Barack", ("Barack Obama",), "who is Mr Obama, the president")


@pytest.mark.parametrize("gold", [gold for kind in KINDS for gold in kind])
@pytest.mark.parametrize("dress", ["{}", " {} ", "{}.", '"{}"', "{}!", "{}\n", "The {}"])
def test_a_gold_is_the_same_as_itself(gold: str, dress: str) -> None:
    assert same(dress.format(gold), (gold,))


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(
    st.sampled_from(PAIRS),
    st.booleans(),
    st.sampled_from(JOINTS) | st.text(max_size=4) | st.text(string.ascii_letters + " ", min_size=1, max_size=8),
    st.sampled_from(["", ".", ")", "?"]),
)
def test_two_things_are_never_both_the_same_as_one_text(
    pair: tuple[str, str], turned: bool, joint: str, end: str
) -> None:
    first, second = pair[::-1] if turned else pair
    text = f"{first}{joint}{second}{end}"
    assert sum(same(text, (gold,)) for gold in pair) < 2, text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
def test_two_things_of_a_kind_are_not_the_same(kind: list[str]) -> None:
    assert [(a, b) for a, b in itertools.permutations(kind, 2) if same(a, (b,))] == []


@given(st.permutations(NAMES), st.integers(0, 4))
def test_two_names_at_most_stand_between_given_and_family_name(names: list[str], between: int) -> None:
    text = " ".join([names[0], *names[2 : 2 + between], names[1]])
    gold = f"{names[0]} {names[1]}"
    assert same(text, (gold,)) is (between <= MIDDLE)
    assert bool(find(text_tokens(f"It was {text}."), aliases((gold,)))) is (between <= MIDDLE)
    assert not same(f"{text} {names[7]}", (gold,))


@given(
    st.lists(st.sampled_from([*NAMES, "São Paulo", "New York"]), min_size=2, max_size=6, unique=True),
    st.randoms(use_true_random=False),
    st.sampled_from([", ", "; ", " and ", "\n", "\n- ", " / ", ", and ", " & "]),
)
def test_a_list_is_met_in_any_order_by_all_of_it_and_no_more(things: list[str], random: object, joint: str) -> None:
    gold = ", ".join(things[:-1]) + " and " + things[-1]
    shuffled = list(things)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert is_list(gold)
    assert items(joint.join(shuffled)) == shuffled
    assert same_list(joint.join(shuffled), gold)
    assert same(joint.join(shuffled), (gold,))
    assert not same(joint.join(shuffled[1:]), (gold,))
    assert not same(joint.join([*shuffled, "Ingrid"]), (gold,))
    assert not same(" or ".join(shuffled), (gold,))


@given(st.text(string.ascii_letters + "'" + " ", max_size=40) | st.text("aAnthe'I vx", max_size=12))
def test_the_quick_way_to_words_is_no_other_way(text: str) -> None:
    assert words(text) == tuple(t.norm for t in without_articles(text_tokens(tidy(text))))


TEXTS = st.text(max_size=60) | st.text("Aa .,0I-\u0640(and)/と\n", max_size=20)


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_any_text_has_an_answer(text: str, golds: list[str]) -> None:
    assert same(text, tuple(golds)) in (True, False)
    assert isinstance(is_list(text), bool)
    for alias in aliases((text,)):
        assert all(alias.words)


@pytest.mark.parametrize(
    ("text", "gold", "found"),
    [
        ("It was George H. W. Bush.", "George W. Bush", False),
        ("It was George Walker Bush.", "George W. Bush", True),
        ("Lyndon Johnson signed it.", "Lyndon Baines Johnson", True),
        ("It ended World War Two.", "World War II", True),
        ("It ended World War I.", "World War II", False),
        ("Elizabeth I reigned then.", "Elizabeth", False),
        ("It began in the nineteenth century.", "19th century", True),
        ("Vienna I think", "Vienna", True),
        ("It stands in Halifax.", "Halifax, Nova Scotia, Canada", True),
        ("Marie Curie Einstein", "Marie Curie", False),
        ("J. F. Rowbotham wrote it.", "John Frederick Rowbotham", True),
        ("J. G. Rowbotham wrote it.", "John Frederick Rowbotham", False),
        ("Java coffee", "Java", False),
        ("the Java language", "Java", True),
        ("Java obviously", "Java", True),
        ("Java " + "city " * 3000, "Java", True),
        ("the old Theatre Royal", "Theater Royal", True),
        ("President Xi Jinping spoke.", "Xi Jinping", True),
        ("它在廣州。", "广州", True),
        ("Apollo ended in 1972.", "the Apollo project", True),
    ],
)
def test_golds_in_sentences(text: str, gold: str, found: bool) -> None:
    assert bool(find(text_tokens(tidy(text)), aliases((gold,)))) is found


@pytest.mark.parametrize(
    "piece", ["a", "a ", ", ", "(", "and ", " - ", "A. ", "twenty ", "\n1. ", "と", "Ab, ", "1,", "X "]
)
def test_long_texts_cost_no_more_than_their_length(piece: str) -> None:
    """Bounded work: what is looked at more than once is cut to a length first."""
    text = piece * (20_000 // len(piece))
    assert not same(text, ("Ada Lovelace", "red, green and blue", "Nairobi, Kenya"))
    assert not same_list(text, "red, green and blue")
    assert not same("Ada", (text,))


def test_nothing_is_found_where_no_word_of_the_golds_is() -> None:
    """`are_elsewhere` only saves time: what it rules out, no rule for names finds."""
    golds = [*PEOPLE, *TOWNS, *COUNTRIES, "Federal Bureau of Lakes", "Will Sandoval", "The Hague", "Czech Republic"]
    names = sorted({name for case in CASES for name in (case["answer"], *case["gold"])} | set(golds))
    ruled_out = 0
    for gold in golds:
        for name in names:
            text = f"It is {name}."
            if are_elsewhere(text, (gold,)):
                ruled_out += 1
                tokens = text_tokens(tidy(text))
                assert not find(tokens, aliases((gold,))) and not find_spelt_out(
                    tokens, acronyms((gold,)), frozenset()
                )
                assert not same(name, (gold,)) and not find_full_names(tokens, (gold,))
    assert ruled_out > 1_000
