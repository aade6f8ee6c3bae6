"""Which column of a stranger's file is which, and what separates several answers in a cell, by what stands in them.

    Nr;Frage;Antworten;Land
    1;Wie heißt die Hauptstadt von Bolivien?;Sucre; La Paz ...    question, answers, subject: it stands in the question

Names are looked at first (`abstain.evals.tasks.columns`); this is for files whose names say nothing to us.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

QUESTION_WORDS = (
    *("question", "problem", "query", "prompt", "frage", "pregunta", "domanda", "pergunta", "vraag", "fråga"),
    *("spørsmål", "kysymys", "pytanie", "otázka", "kérdés", "întrebare", "soru", "pertanyaan", "вопрос", "питання"),
    *("ερώτηση", "שאלה", "سؤال", "سوال", "प्रश्न", "প্রশ্ন", "คำถาม", "質問", "問題", "问题", "질문"),
)
"""How the name of a question's column begins, or a word in it."""
ANSWER_WORDS = (
    *("answer", "gold", "label", "target", "solution", "expected", "reference", "ideal", "antwort", "lösung"),
    *("respuesta", "solución", "réponse", "reponse", "risposta", "resposta", "antwoord", "svar", "vastaus"),
    *("odpowiedź", "odpověď", "válasz", "răspuns", "cevap", "yanıt", "jawaban", "ответ", "відповідь", "απάντηση"),
    *("תשובה", "جواب", "إجابة", "उत्तर", "উত্তর", "คำตอบ", "答え", "答案", "回答", "解答", "正解", "정답", "답"),
)
SAMPLE = 300
"""Rows that are looked at."""
_OF_SOMETHING_ELSE = frozenset(
    (
        *("id", "ids", "nr", "no", "num", "number", "type", "kind", "lang", "language", "source", "url", "link"),
        *("index", "category", "topic", "count", "length", "date", "model"),
    )
)
"""A name that ends so is not of the thing itself: question_id."""
_ASKS = re.compile(r"[?？؟\u037e]\W*\Z")
_URL = re.compile(r"\A(?:https?://|www\.)\S+\Z")
_ENTITY = re.compile(r"&#?\w{1,10};")


@dataclass(frozen=True)
class Look:
    """What stands in a column, by its sampled cells.

    Args:
        name: the column's.
        cells: its filled cells as texts, in order.
        filled: share of the cells with something in them.
        distinct: share of the filled cells that are different.
        length: mean characters.
        asks: share that ends in a question mark, of any script.
        numbers: share that is a number, a truth value or a link.
    """

    name: str
    cells: tuple[str, ...]
    filled: float
    distinct: float
    length: float
    asks: float
    numbers: float


def look_at(name: str, values: Sequence[Any]) -> Look:
    """What a column looks like.

    Example:
        >>> look = look_at("q", ["Who?", "Where?", None, ""])
        >>> look.filled, look.distinct, look.length, look.asks
        (0.5, 1.0, 5.0, 1.0)
    """
    cells = tuple(text for value in values if value is not None and (text := str(value).strip()))
    if not cells:
        return Look(name, (), 0.0, 0.0, 0.0, 0.0, 0.0)
    return Look(
        name,
        cells,
        len(cells) / len(values),
        len(set(cells)) / len(cells),
        fmean(map(len, cells)),
        fmean(is_question(cell) for cell in cells),
        fmean(_is_number(cell) for cell in cells),
    )


def _is_number(cell: str) -> bool:
    if cell.lower() in ("true", "false", "yes", "no") or _URL.match(cell[:2000]):
        return True
    try:
        float(cell[:40])
    except ValueError:
        return False
    return True


def named_like(name: str, words: Sequence[str]) -> bool:
    """Whether a word of a column's name begins so, and the last one does not say that it is something else.

    Example:
        >>> named_like("prompt_text", QUESTION_WORDS), named_like("Antworten", ANSWER_WORDS)
        (True, True)
        >>> named_like("question id", QUESTION_WORDS)
        False
    """
    parts = re.sub(r"([a-z])([A-Z])", r"\1 \2", name.strip()).lower()
    parts_found = [part for part in re.split(r"[\W_\d]+", parts) if part]
    if not parts_found or parts_found[-1] in _OF_SOMETHING_ELSE:
        return False
    return any(part.startswith(word) for part in parts_found for word in words)


def is_question(text: str) -> bool:
    """Whether a text ends in a question mark of any script.

    Example:
        >>> is_question("Who was it?"), is_question("誰？ "), is_question("question")
        (True, True, False)
    """
    return bool(_ASKS.search(text[-20:]))


def guess_question(looks: Sequence[Look], taken: frozenset[str] = frozenset()) -> str | None:
    """The column whose cells are questions: their name says so, or they end in question marks; `None` if none is.

    Example:
        >>> guess_question([look_at("Nr", ["1", "2"]), look_at("Satz", ["Wer war das?", "Wo liegt Rom?"])])
        'Satz'
    """
    texts = [one for one in looks if one.name not in taken and one.filled >= 0.5 and one.numbers < 0.5]
    asking = [one for one in texts if one.asks >= 0.5 and one.length >= 5]
    named = [one for one in texts if named_like(one.name, QUESTION_WORDS)]
    both = [one for one in named if one in asking]
    for found in (both, named, asking):
        if found:
            return max(found, key=lambda one: (one.distinct >= 0.5, one.length)).name
    longest = sorted(texts, key=lambda one: -one.length)  # of two columns of texts, one far longer and never the same
    if len(texts) == 2 and longest[0].distinct > 0.9 and longest[0].length > 2 * longest[1].length:
        return longest[0].name
    return None


def guess_answers(looks: Sequence[Look], question: str, taken: frozenset[str] = frozenset()) -> list[str]:
    """Columns that may hold the golds, the likeliest first; several if nothing decides between the first ones.

    Example:
        >>> columns = {"Land": ["Peru", "Mali"], "Satz": ["Wo liegt Peru?", "Wo liegt Mali?"], "Lsg": ["dort", "da"]}
        >>> guess_answers([look_at(name, cells) for name, cells in columns.items()], "Satz")
        ['Lsg']
    """
    asked = next((one for one in looks if one.name == question), None)
    others = [one for one in looks if one.name not in {question, *taken} and one.filled >= 0.5]
    named = [one for one in others if named_like(one.name, ANSWER_WORDS)]
    if named:
        return [max(named, key=lambda one: (one.filled > 0.9, -one.length)).name]
    about = {one.name for one in others if asked and _stands_in(one, asked) > 0.5}
    likely = [
        one for one in others
        if one.name not in about and not one.asks > 0.5 and not _counts_rows(one) and not _links(one)
        and one.name.strip().lower() not in _OF_SOMETHING_ELSE
    ]  # fmt: skip
    if asked and len(likely) > 1:
        shorter = [one for one in likely if one.length < asked.length and one.distinct > 0.05]
        likely = shorter or likely
    return [one.name for one in likely]


def guess_subject(looks: Sequence[Look], question: str, taken: frozenset[str] = frozenset()) -> str | None:
    """The column whose cells stand in the questions themselves, and are not the same all the time.

    Example:
        >>> rows = [(f"Where is {name}?", name) for name in ("Peru", "Mali", "Oman", "Togo", "Fiji")]
        >>> guess_subject([look_at("q", [q for q, _ in rows]), look_at("about", [name for _, name in rows])], "q")
        'about'
    """
    asked = next((one for one in looks if one.name == question), None)
    if asked is None:
        return None
    close = [
        one for one in looks
        if one.name not in {question, *taken} and one.filled > 0.9 and one.distinct >= 0.1 and len(set(one.cells)) > 4
        and _stands_in(one, asked) >= 0.8
    ]  # fmt: skip
    return max(close, key=lambda one: one.length).name if close else None


def _stands_in(one: Look, asked: Look) -> float:
    """Share of the cells that stand in the question beside them, where both columns are filled."""
    if len(one.cells) != len(asked.cells):
        return 0.0
    pairs = zip(one.cells, asked.cells, strict=True)
    return fmean(_is_part(cell.casefold(), question.casefold()) for cell, question in pairs)


def _is_part(part: str, whole: str) -> bool:
    """Whether a text of two characters or more stands in another, not inside a word or number of Latin script."""
    start = whole.find(part) if len(part) > 1 else -1
    if start < 0:
        return False
    around = whole[max(0, start - 1) : start] + whole[start + len(part) : start + len(part) + 1]
    return not any(letter.isascii() and letter.isalnum() for letter in around)


def _counts_rows(one: Look) -> bool:
    """1, 2, 3 ...: a number of the row."""
    if not all(cell.isdecimal() and len(cell) < 12 for cell in one.cells):
        return False
    numbers = [int(cell) for cell in one.cells]
    return len(numbers) > 2 and numbers == sorted(set(numbers))


def _links(one: Look) -> bool:
    return fmean(bool(_URL.match(cell[:2000])) for cell in one.cells) > 0.5


def find_separator(cells: Sequence[Any]) -> tuple[str, int]:
    """What separates several golds in one cell, and in how many cells it stands; ("", 0) if nothing does.

    A sign counts if several cells have it, with something on both of its sides. One "Steins;Gate" among three hundred
    answers divides nothing, nor does the comma of "Washington, D.C.", for which no evidence would do.

    Args:
        cells: the golds' cells; those that hold lists are passed over.

    Example:
        >>> find_separator(["Aluminium; Aluminum", "Lead", "Sulphur; Sulfur", "Steins;Gate", "Iron; Ferrum"])
        ('; ', 3)
        >>> find_separator(["Washington, D.C.", "Lima", "AC/DC", "Steins;Gate", "Oslo"])
        ('', 0)
    """
    texts = [cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()[:1] not in ("[", "{")]
    if not texts:
        return "", 0
    plain = [_ENTITY.sub("", text[:10_000]) for text in texts]
    counted = {sign: sum(_divides(text, sign) for text in plain) for sign in (";", "|", " / ")}
    sign = max(counted, key=lambda one: counted[one])
    count, prose = counted[sign], fmean(map(len, plain)) > 100
    if count < (2 if len(texts) < 50 else 3) or count < (0.3 if prose else 0.01) * len(texts):
        return "", 0
    followed = sum(text.count(f"{sign} ") for text in plain)
    if sign == ";" and followed and followed >= 0.7 * sum(text.count(sign) for text in plain):
        with_space = sum(_divides(text, "; ") for text in plain)
        return ("; ", with_space) if with_space >= 2 else (sign, count)
    return sign, count


def _divides(text: str, sign: str) -> bool:
    parts = text.split(sign)
    return len(parts) > 1 and sum(bool(part.strip()) for part in parts) > 1 and max(map(len, parts)) <= 200


def sampled(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[Look]:
    """A look at every column, by `SAMPLE` rows spread over the table.

    Example:
        >>> [look.name for look in sampled([{"a": 1, "b": None}, {"a": 2}], ["a", "b"])]
        ['a', 'b']
    """
    step = max(1, len(rows) // SAMPLE)
    some = rows[::step][:SAMPLE]
    return [look_at(name, [row.get(name) for row in some]) for name in columns]
