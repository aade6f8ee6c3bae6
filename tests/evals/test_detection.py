"""Columns, separators and languages of files whose names say nothing to us."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.tasks.columns import Columns, NoColumn, find_columns
from abstain.evals.tasks.detection import find_separator, guess_question, look_at, sampled
from abstain.evals.tasks.languages import LANGUAGES, language_of
from abstain.evals.tasks.rows import SourceRow, Table

PLACES = ("Peru", "Mali", "Oman", "Togo", "Fiji", "Chad")


def table(**columns: list[Any]) -> Table:
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return Table("t", "", tuple(SourceRow(f"t.csv:{i}", row) for i, row in enumerate(rows, 2)))


ASKED = [f"Wo liegt {place}?" for place in PLACES]
NUMBERS = list(range(1, 7))
LINKS = [f"https://x.org/{place}" for place in PLACES]


@pytest.mark.parametrize(
    ("columns", "question", "answers", "subject"),
    [
        ({"Nr": NUMBERS, "Frage": ASKED, "Antworten": list("abcdef"), "Quelle": LINKS}, "Frage", "Antworten", None),
        ({"Satz": ASKED, "Loesung": list("abcdef")}, "Satz", "Loesung", None),
        ({"Land": list(PLACES), "Satz": ASKED, "dort": list("abcdef")}, "Satz", "dort", "Land"),
        ({"prompt_text": ASKED, "gold": list("abcdef"), "area": ["geo"] * 6}, "prompt_text", "gold", None),
        ({"question_id": NUMBERS, "q": ASKED, "expected_output": list("abcdef")}, "q", "expected_output", None),
        ({"質問": ["首都はどこ？"] * 6, "答え": list("abcdef")}, "質問", "答え", None),
        ({"prompts": ASKED, "trainer_state": ["x"] * 6, "answers": list("abcdef")}, "prompts", "answers", None),
        (
            {"Aufgabe": [f"Nenne den Hauptort von {p} bitte" for p in PLACES], "O": list("abcdef")},
            "Aufgabe",
            "O",
            None,
        ),
    ],
)
def test_columns_are_found_by_what_stands_in_them(
    columns: dict[str, list[Any]], question: str, answers: str, subject: str | None
) -> None:
    found = find_columns(table(**columns), Columns())
    assert (found.question, found.answers, found.subject) == (question, answers, subject)
    assert set(found.guessed) <= {"question", "answers", "subject"} and "question" in found.guessed


def test_names_are_asked_first_and_nothing_is_guessed_then() -> None:
    found = find_columns(table(question=ASKED, answers=list("abcdef"), Frage=list("uvwxyz")), Columns())
    assert (found.question, found.answers, found.guessed) == ("question", "answers", {})


@pytest.mark.parametrize(
    ("columns", "what", "likely"),
    [
        ({"Satz": ASKED, "links": list("abcdef"), "rechts": list("uvwxyz")}, "answers", ("links", "rechts")),
        ({"links": list("abcdef"), "rechts": list("uvwxyz")}, "question", ("links", "rechts")),
        ({"Satz": ASKED, "Nr": NUMBERS}, "answers", ("Nr",)),
    ],
)
def test_what_nothing_decides_is_refused_with_what_it_may_be(
    columns: dict[str, list[Any]], what: str, likely: tuple[str, ...]
) -> None:
    with pytest.raises(NoColumn, match=f"Name it with {what}_column=NAME") as refused:
        find_columns(table(**columns), Columns())
    assert (refused.value.what, refused.value.likely) == (what, likely)


def test_a_file_without_a_header_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"begins with a question, 'Wo liegt Rom\?': put a line such as"):
        find_columns(table(**{"Wo liegt Rom?": ASKED, "Italien": list("abcdef")}), Columns())


def test_named_columns_are_never_guessed_instead() -> None:
    with pytest.raises(ValueError, match="no question column 'problem'"):
        find_columns(table(Frage=ASKED, answer=list("abcdef")), Columns(question=("problem",)))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Aluminium; Aluminum", "Sulphur; Sulfur", "Lead"], ("; ", 2)),
        (["a;b", "c;d", "e"], (";", 2)),
        (["a|b|c", "d|e", "f"], ("|", 2)),
        (["Rome / Roma", "Lima", "Köln / Cologne"], (" / ", 2)),
        (["AC/DC", "and/or", "9/11"], ("", 0)),
        (["Washington, D.C.", "Paris, Texas", "Lima, Peru"], ("", 0)),
        (["Steins;Gate", *["Lima"] * 300], ("", 0)),
        (["a; b", "c; d", "Steins;Gate", "e; f"], ("; ", 3)),
        (["AT&amp;T", "R&amp;B", "B&amp;O"], ("", 0)),
        (
            [
                "He came; he saw; " + "he conquered and went home again, as they say. " * 3,
                *["a long answer " * 12] * 60,
            ],
            ("", 0),
        ),
        (['["a; b", "c"]', '["d; e"]'], ("", 0)),
        (["a;", "b;", ";c"], ("", 0)),
        ([["a", "b"], None, 3], ("", 0)),
        ([], ("", 0)),
    ],
)
def test_separators_are_found_by_evidence(cells: list[Any], expected: tuple[str, int]) -> None:
    assert find_separator(cells) == expected


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("en", ["Who wrote Emma?", "What is the capital of Peru?"]),
        ("de", ["Wer schrieb Faust?", "In welcher Stadt ist das?"]),
        ("fr", ["Qui a écrit ce livre ?", "Quelle est la capitale du Pérou ?"]),
        ("es", ["¿Quién escribió este libro?", "¿Cuál es la capital de Perú?"]),
        ("pt", ["Quem escreveu este livro?", "Qual é a capital do Peru?"]),
        ("it", ["Chi ha scritto questo libro?", "Qual è la capitale del Perù?"]),
        ("tr", ["Peru'nun başkenti neresidir?", "Bu kitabı kim yazdı ve ne zaman?"]),
        ("ru", ["Кто написал эту книгу?"]),
        ("uk", ["Хто написав цю книгу і коли її видали?"]),
        ("ja", ["誰が書いたか", "日本の首都"]),
        ("zh", ["谁写了这本书？"]),
        ("ko", ["페루의 수도는 어디입니까?"]),
        ("ar", ["ما هي عاصمة بيرو؟"]),
        ("hi", ["पेरू की राजधानी क्या है?"]),
        ("el", ["Ποια είναι η πρωτεύουσα του Περού;"]),
        ("", ["12 + 30", "=", "???"]),
    ],
)
def test_languages(code: str, texts: list[str]) -> None:
    assert language_of(texts) == code and (not code or code in LANGUAGES)


@given(st.lists(st.one_of(st.none(), st.text(max_size=30), st.integers(), st.lists(st.text(max_size=3))), max_size=20))
def test_no_cells_can_hurt(cells: list[Any]) -> None:
    look = look_at("x", cells)
    assert 0 <= look.filled <= 1 and guess_question([look]) in (None, "x")
    assert find_separator(cells)[1] >= 0 and language_of(str(cell) for cell in cells) in {"", *LANGUAGES}
    assert sampled([{"a": cell} for cell in cells], ["a"])[0].cells == look.cells
