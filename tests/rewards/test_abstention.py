"""What counts as "I don't know": golden phrasings that must and must not abstain, and what holds of any text."""

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.rewards.parsing import abstention, clauses, cues
from abstain.rewards.parsing.abstention import Offer, is_abstention, known_phrases, load_phrases, read
from abstain.rewards.parsing.phrasebook import SECTIONS, Phrasebook
from abstain.rewards.parsing.sentences import Folder, quotations, sentences

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES: dict[str, dict[str, list[str]]] = {
    path.stem.removeprefix("abstentions_"): json.loads(path.read_text("utf-8"))
    for path in sorted(GOLDEN.glob("abstentions_*.json"))
}
OFFERS = {
    "en": [", but perhaps Paris", ". I'd say Paris.", ", maybe Paris?", ". Paris.", " However, it might be Paris."],
    "ja": ["。でも、たぶんパリです。", "。パリだと思います。", "。パリです。", "。パリかもしれません。"],
    "zh": ["，但可能是巴黎。", "，也许是巴黎吧", "。巴黎。", "。我猜是巴黎。"],
}
BEFORE = {"en": "It might be Paris. ", "ja": "たぶんパリです。", "zh": "可能是巴黎。"}
# quoted, or labelled as an option: what is put after those isn't put after "I don't know"
_WRAPPED = ('"', "「", "“", "\\text", "E)", "答え", "答案", "我的", "IDK（", "¯")


def bare(text: str) -> str:
    return text.rstrip(" .。!！🤷😅😢")


def abstentions(language: str) -> list[str]:
    return [text for group, texts in CASES[language].items() if group.startswith("abstain") for text in texts]


def open_ended(language: str) -> list[str]:
    return [text for text in abstentions(language) if not text.startswith(_WRAPPED)]


def missed_and_false(language: str) -> tuple[list[str], list[str]]:
    """The abstentions that are read as something else, and the answers that are read as abstentions."""
    missed = [text for text in abstentions(language) if read(text) != Offer("", abstained=True)]
    return missed, [text for text in CASES[language]["attempt"] if is_abstention(text)]


@pytest.fixture
def own_phrases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Phrasebook]:
    book = Phrasebook()
    monkeypatch.setattr(abstention, "known_phrases", lambda: book)
    abstention._forget()
    yield book
    abstention._forget()


@pytest.mark.parametrize("language", CASES)
def test_the_golden_sets_are_large_and_distinct(language: str) -> None:
    attempts = CASES[language]["attempt"]
    assert all(len(set(texts)) == len(texts) for texts in CASES[language].values())
    assert min(len({*abstentions(language)}), len(attempts)) >= (100 if language in OFFERS else 40)
    assert not {*attempts} & {*abstentions(language)}


@pytest.mark.parametrize("language", CASES)
def test_abstentions_are_told_from_answers(language: str) -> None:
    missed, false = missed_and_false(language)
    recall = 1 - len(missed) / len(abstentions(language))
    alarms = len(false) / len(CASES[language]["attempt"])
    print(report := f"{language}: recall {recall:.1%}, missed {missed}; false alarms {alarms:.1%} {false}")
    assert (recall, alarms) == (1, 0) if language in OFFERS else recall >= 0.95 and alarms <= 0.05, report
    assert all(read(text).answer for text in CASES[language]["attempt"])


@pytest.mark.parametrize("language", OFFERS)
def test_an_offer_after_any_abstention_is_an_attempt(language: str) -> None:
    for text in open_ended(language):
        for offer in OFFERS[language]:
            reading = read(bare(text) + offer)
            assert not reading.abstained and reading.hedged, text + offer
            assert any(city in reading.answer for city in ("Paris", "パリ", "巴黎")), text + offer


@pytest.mark.parametrize("language", OFFERS)
def test_an_offer_before_any_abstention_is_an_attempt(language: str) -> None:
    assert [text for text in open_ended(language) if is_abstention(BEFORE[language] + text)] == []


@pytest.mark.parametrize("language", OFFERS)
def test_space_case_width_and_marks_do_not_matter(language: str) -> None:
    for text in open_ended(language):
        wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
        same = [f"\n  {text}\t ", text.upper(), text.replace("'", "’"), wide]
        if text[-1].isalnum():
            same += [text + "!", f"**{text}**", text + " 🙏"]
        assert [variant for variant in same if not is_abstention(variant)] == []


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


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Anything but Oslo", "Anything but Oslo"),
        ("It's false that it is Oslo", "It's false that it is Oslo"),
        ("Other than Oslo", "Other than Oslo"),
        ("除了奥斯陆", "除了奥斯陆"),
        ("オスロを除いて", "オスロを除いて"),
        ("True? Possibly. False? Possibly.", "True? Possibly. False? Possibly."),
    ],
)
def test_what_an_answer_denies_is_not_cut_out_of_it(text: str, answer: str) -> None:
    assert read(text).answer == answer and not is_abstention(text)


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


# What is tried of the phrases depends on the words of a text (`cues`), and must not change what is read.


@pytest.fixture
def all_phrases_tried(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    def forget_cues() -> None:
        monkeypatch.setattr(cues, "needs", lambda phrase: ())
        abstention._forget()

    yield forget_cues
    monkeypatch.undo()
    abstention._forget()


def test_a_text_is_read_as_if_every_phrase_were_tried(all_phrases_tried: Callable[[], None]) -> None:
    draw = random.Random(16)
    golden = [text for groups in CASES.values() for texts in groups.values() for text in texts]
    words = sorted({word for text in golden for word in text.split()} | {*abstention._reader().phrases.by_cue})
    texts = draw.sample(golden, 120)
    for joint in (" ", "", ", ", ". "):
        texts += [joint.join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(20)]
    quick = [read(text) for text in texts]
    all_phrases_tried()
    assert [(text, read(text)) for text in texts] == list(zip(texts, quick, strict=True))


@pytest.mark.parametrize("section", [name for name in SECTIONS if name != "fold"])
def test_what_matches_a_phrase_has_a_cue_of_each_of_its_sets(section: str) -> None:
    draw = random.Random(7)
    for phrase in draw.sample(known_phrases().phrases[section], min(40, len(known_phrases().phrases[section]))):
        source = phrase.rstrip().translate(str.maketrans(known_phrases().pairs))
        for _ in range(5):
            said = spoken(source.partition("/")[2] or source, draw)
            assert all(need & cues.cues_of(said) for need in cues.needs(source)), (source, said)


def spoken(phrase: str, draw: random.Random) -> str:
    """One of the texts that a phrase stands for."""
    phrase = phrase.replace("<idk>", "\ue000").replace("$", "")
    while "(" in phrase:
        phrase = re.sub(r"\(([^()]*)\)", lambda group: draw.choice(group[1].split("|")), phrase)
    phrase = draw.choice(phrase.split("|"))
    return " ".join(phrase.replace("...", draw.choice(["", "oslo", "of it"])).split())


def test_no_phrase_has_to_be_tried_on_every_text() -> None:
    assert [phrase.source for phrase in cues.PhraseIndex(known_phrases()).always] == []


TEXTS = st.text(max_size=80) | st.lists(PIECES | st.sampled_from(["ｶﾞ", "é", "½", "か\u3099", "3.5", "…", "St. "])).map(
    "".join
)


@given(TEXTS)
def test_words_are_folded_at_once_as_they_are_letter_by_letter(text: str) -> None:
    book = known_phrases()
    slow = clauses.fold(text, book, lambda quote: False)
    quick = Folder(book, lambda quote: False).fold(text, 0, len(text), quotations(text))
    assert quick.text == slow.text and list(zip(quick.starts, quick.ends, strict=True)) == slow.spans


SENTENCES = st.sampled_from(
    [
        *(
            "Oslo lies far north. It snows",
            'He said "stop. Now" twice',
            "《A. B》",
            "Mr. Osk, approx. 5 km off",
            "J. K. Osk",
        ),
        *(
            "v. 3.5",
            "\n- a list\n- of two",
            "わかりません。たぶん",
            "“The end.\nReally” ",
            "wait!",
            "is it? Yes",
            "é. ça",
        ),
    ]
)


@given(st.lists(SENTENCES, max_size=20).map(". ".join))
def test_sentences_are_cut_only_where_clauses_end(text: str) -> None:
    spans = sentences(text, quotations(text))
    assert [start for start, _ in spans[1:]] == [end for _, end in spans[:-1]] and spans[-1][1] == len(text)
    folder = Folder(known_phrases(), lambda quote: False)
    opaque = quotations(text)
    apart = [folder.fold(text, *span, [m for m in opaque if span[0] <= m.start() < span[1]]).text for span in spans]
    whole = folder.fold(text, 0, len(text), opaque).text
    assert [c for c in "".join(apart) if c != " "] == [c for c in whole if c != " "]


HOSTILE = [
    *'("「《',
    *("“a” ", ", ", "。", "! ", "a, ", "J. ", "\\x", "I don't know ", "I don't know. ", "i do not ", "idk paris "),
    *("わかりません", "わかりません。", "なあ", "もう少し", "かもしれません", "情報が", "不知道，", "没有", "的"),
    *("it is ", "not ", "maybe ", "maybe, ", "so ", "is it ", "which do you mean ", "the policy does not "),
    *("a is guess is ", "below the threshold ", "(1850–1910) ", "ﾞ", "не знаю ", "모르"),
]


@pytest.mark.parametrize("repeated", HOSTILE)
def test_time_grows_with_the_text_and_no_faster(repeated: str) -> None:
    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(3):
            abstention._found.cache_clear()
            abstention._kind.cache_clear()
            begin = time.process_time()
            for _ in range(3):
                read((repeated * size)[:size] + "x")
            best = min(best, time.process_time() - begin)
        return best

    read((repeated * 9_900)[:9_900])  # compiles what is needed
    assert any(seconds(9_900) < 3.5 * seconds(4_950) for _ in range(4))
    read((repeated * 1_000_000)[:1_000_000])
