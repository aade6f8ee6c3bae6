"""What counts as "I don't know": golden phrasings that must and must not abstain, and what holds of any text."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.rewards.parsing import abstention
from abstain.rewards.parsing.abstention import is_abstention, load_phrases, read
from abstain.rewards.parsing.phrasebook import SECTIONS, Phrasebook

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES = {name: json.loads((GOLDEN / f"abstentions_{name}.json").read_text("utf-8")) for name in ("en", "ja", "zh")}
ABSTAIN = [
    (language, text)
    for language, groups in CASES.items()
    for group, texts in groups.items()
    if group.startswith("abstain")
    for text in texts
]
ATTEMPT = [(language, text) for language, groups in CASES.items() for text in groups["attempt"]]
OFFERS = {
    "en": [", but perhaps Paris", ". I'd say Paris.", ", maybe Paris?", ". Paris.", " However, it might be Paris."],
    "ja": ["。でも、たぶんパリです。", "。パリだと思います。", "。パリです。", "。パリかもしれません。"],
    "zh": ["，但可能是巴黎。", "，也许是巴黎吧", "。巴黎。", "。我猜是巴黎。"],
}
# quoted, or labelled as an option: what is put after those isn't put after "I don't know"
_WRAPPED = ('"', "「", "“", "\\text", "E)", "答え", "答案", "我的", "IDK（", "¯")
OPEN = [(language, text) for language, text in ABSTAIN if not text.startswith(_WRAPPED)]


def bare(text: str) -> str:
    return text.rstrip(" .。!！🤷😅😢")


@pytest.fixture
def own_phrases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Phrasebook]:
    book = Phrasebook()
    monkeypatch.setattr(abstention, "known_phrases", lambda: book)
    abstention._kind.cache_clear()
    yield book
    abstention._kind.cache_clear()


def test_the_golden_sets_are_large_and_distinct() -> None:
    for groups in CASES.values():
        for texts in groups.values():
            assert len(set(texts)) == len(texts) >= 60
        assert not set(groups["attempt"]) & {text for name in groups if name != "attempt" for text in groups[name]}


@pytest.mark.parametrize(("language", "text"), ABSTAIN)
def test_says_only_that_it_does_not_know(language: str, text: str) -> None:
    reading = read(text)
    assert reading.abstained and not reading.hedged and reading.answer == ""


@pytest.mark.parametrize(("language", "text"), ATTEMPT)
def test_offers_an_answer(language: str, text: str) -> None:
    reading = read(text)
    assert not reading.abstained and reading.answer


@pytest.mark.parametrize(("language", "text"), OPEN)
def test_an_offer_after_any_abstention_is_an_attempt(language: str, text: str) -> None:
    for offer in OFFERS[language]:
        reading = read(bare(text) + offer)
        assert not reading.abstained and reading.hedged, offer
        assert ("Paris" in reading.answer) or ("パリ" in reading.answer) or ("巴黎" in reading.answer)


@pytest.mark.parametrize(("language", "text"), OPEN)
def test_an_offer_before_any_abstention_is_an_attempt(language: str, text: str) -> None:
    before = {"en": "It might be Paris. ", "ja": "たぶんパリです。", "zh": "可能是巴黎。"}[language]
    assert not is_abstention(before + text)


@pytest.mark.parametrize(("language", "text"), OPEN)
def test_space_case_width_and_marks_do_not_matter(language: str, text: str) -> None:
    assert is_abstention(f"\n  {text}\t ")
    assert is_abstention(text.upper()) and is_abstention(text.replace("'", "’"))
    assert is_abstention("".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text))
    if text[-1].isalnum():
        assert is_abstention(text + "!") and is_abstention(f"**{text}**") and is_abstention(text + " 🙏")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("I don't know. You might try Paris.", "You might try Paris"),
        ("I don't know the answer (Paris).", "Paris"),
        ("I don't know. Isn't it Paris?", "Paris"),
        ("I have no idea. Records point to Paris.", "Records point to Paris"),
        ("I don't know, so Paris.", "Paris"),
        ("I don't know [Paris]", "Paris"),
        ("I don't know -> Paris", "Paris"),
        ("idk paris?", "paris"),
        ("Unknown (Paris)", "Paris"),
        ("I can't say it's Paris", "Paris"),
        ("I don't know\nParis", "Paris"),
        ("わかりません　パリ", "パリ"),
        ("わかりません（パリ）", "パリ"),
        ("我不知道 巴黎", "巴黎"),
        ("不知道：巴黎", "巴黎"),
    ],
)
def test_answers_cannot_be_slipped_in(text: str, answer: str) -> None:
    reading = read(text)
    assert not reading.abstained and reading.hedged and reading.answer == answer


PIECES = st.sampled_from([*"。、，？「」《》'\"().:- \n", "I don't know", "maybe", "わかりません", "不知道", "Paris"])


@settings(max_examples=200)
@given(st.text(max_size=300) | st.lists(PIECES).map("".join))
def test_any_text_can_be_read(text: str) -> None:
    reading = read(text)
    assert not (reading.abstained and reading.answer)
    assert read(f"  {text}\n") == reading


def test_a_long_text_is_no_abstention() -> None:
    assert not is_abstention("I don't know. " * 1000)


def test_phrases_of_ones_own(own_phrases: Phrasebook, tmp_path: Path) -> None:
    file = tmp_path / "fi.txt"
    file.write_text("# Finnish\n@en = (en|emme)\n@en tiedä ...\n[contrast]\nmutta\n[excuse]\nanteeksi\n", "utf-8")
    assert own_phrases.add(file.read_text("utf-8"), str(file)) == 3
    assert is_abstention("En tiedä sitä, anteeksi.")
    assert read("Emme tiedä, mutta Pariisi").answer == "Pariisi"
    assert not is_abstention("I don't know")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[idk]\nok\n[gues]\nmaybe\n", r"own\.txt:3: no section \[gues\]\. Did you mean 'guess'\?"),
        ("(a|b\n", r"own\.txt:1: unbalanced parentheses in '\(a\|b'"),
        ("(" * 99 + "a" + ")" * 99, r"own\.txt:1: more than 20 nested parentheses"),
        ("fine\n\n@nope ...\n", r"own\.txt:3: @nope is not defined above this line"),
        ("... (a|)\n", r"own\.txt:1: '\.\.\. \(a\|\)' would match anything"),
        ("...\n", r"own\.txt:1: '\.\.\.' would match anything"),
        ("a ... b ... c ... d ... e\n", r"own\.txt:1: at most 3 slots"),
        ("[fold]\nabc\n", r"own\.txt:2: \[fold\] takes pairs of two characters, not 'abc'"),
        ("[contrast]\n((a|b)|c)/d\n", r"own\.txt:2: before '/' stands a list of words"),
        ("@a = xxxxxxxxxx\n" + "".join(f"@{c} = {f'@{p}' * 4}\n" for p, c in pairwise("abcdefgh")), "longer than"),
    ],
)
def test_errors_name_file_and_line(own_phrases: Phrasebook, tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "own.txt"
    file.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message):
        load_phrases(file)


def test_a_bad_file_adds_nothing(own_phrases: Phrasebook) -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        own_phrases.add("zzz\n(oops\n")
    assert own_phrases.phrases == {name: [] for name in SECTIONS}


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.txt does not exist"):
        load_phrases(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"wei\xdf nicht\n")
    with pytest.raises(ValueError, match="UTF-8"):
        load_phrases(tmp_path / "latin.txt")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "repeated",
    [*'("「', "I don't know ", "i do not ", "わかりません", "なあ", "不知道，", "it is ", "not ", "maybe ", "so "],
)
def test_hostile_repeats_are_read_in_time(repeated: str) -> None:
    for size in (400, 9_999, 1_000_000):
        read((repeated * size)[:size] + "x")
