"""Which language questions are in, by their script and their commonest words.

    language_of(["Wie heißt die Hauptstadt von Peru?", "Wer schrieb Emma?"])      German

It is for a note and for the labels of a prompt, not for linguistics: of short English texts a few say nothing, so many
are looked at together.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """A language, and what a prompt in it calls a question and an answer."""

    name: str
    question: str = "Question"
    answer: str = "Answer"


LANGUAGES = {
    "en": Language("English"),
    "de": Language("German", "Frage", "Antwort"),
    "fr": Language("French", "Question", "Réponse"),
    "es": Language("Spanish", "Pregunta", "Respuesta"),
    "it": Language("Italian", "Domanda", "Risposta"),
    "pt": Language("Portuguese", "Pergunta", "Resposta"),
    "nl": Language("Dutch", "Vraag", "Antwoord"),
    "sv": Language("Swedish", "Fråga", "Svar"),
    "pl": Language("Polish", "Pytanie", "Odpowiedź"),
    "tr": Language("Turkish", "Soru", "Cevap"),
    "id": Language("Indonesian", "Pertanyaan", "Jawaban"),
    "ru": Language("Russian", "Вопрос", "Ответ"),
    "uk": Language("Ukrainian", "Питання", "Відповідь"),
    "el": Language("Greek", "Ερώτηση", "Απάντηση"),
    "he": Language("Hebrew", "שאלה", "תשובה"),
    "ar": Language("Arabic", "سؤال", "جواب"),
    "ur": Language("Urdu", "سوال", "جواب"),
    "hi": Language("Hindi", "प्रश्न", "उत्तर"),
    "bn": Language("Bengali", "প্রশ্ন", "উত্তর"),
    "th": Language("Thai", "คำถาม", "คำตอบ"),
    "ja": Language("Japanese", "質問", "答え"),
    "zh": Language("Chinese", "问题", "答案"),
    "ko": Language("Korean", "질문", "답"),
}
"""By ISO 639-1 code."""
_SCRIPTS = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "HEBREW": "he",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "THAI": "th",
}
_TELLING = {"uk": "іїєґ", "ur": "ٹڈڑںہےگپچ"}
"""Letters that tell a language from the other one in its script."""
_COMMON = {
    "en": "the of is in what who which was how when where did does are and for to by from that whose why has on",
    "de": "der die das ist wer wie was wo wann welche welcher welches und von in den dem ein eine heißt wurde hat",
    "fr": "le la les de du des est qui que quel quelle quand où comment dans et un une combien a été pourquoi en",
    "es": "el la los las de del es quién qué cuál cuándo dónde cómo en y un una cuántos fue por con cuánto",
    "it": "il lo la gli di del della è chi che quale quando dove come in e un una quanti fu perché nel quanto",
    "pt": "o a os as de do da é quem que qual quando onde como em e um uma quantos foi por no na quanto",
    "nl": "de het een is wie wat welke waar wanneer hoe van in en op was werd voor welk hoeveel heeft door",
    "sv": "den det är vem vad vilken vilket var när hur av i och på en ett som heter många har för",
    "pl": "kto co jaki jaka jakie gdzie kiedy jak jest w z na i do ile był była który która nazywa się",
    "tr": "kim ne nedir hangi nerede kaç nasıl ve bir bu için mi hangisi kimdir ile en zaman olan",
    "id": "siapa apa yang di mana kapan berapa bagaimana adalah dari dan untuk pada dengan ini itu nama",
}
_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}
_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH = 400
"""Texts that are looked at."""


def language_of(texts: Iterable[str]) -> str:
    """The code of the language most texts are in, a key of `LANGUAGES`; "" if nothing tells.

    Example:
        >>> language_of(["Wie heißt die Hauptstadt von Peru?", "Wer schrieb Emma?"]), language_of(["ペルーの首都は？"])
        ('de', 'ja')
        >>> language_of(["12 + 30"]), language_of([])
        ('', '')
    """
    found: Counter[str] = Counter()
    for text, _ in zip(texts, range(_ENOUGH), strict=False):
        if code := _language_of_one(text[:500]):
            found[code] += 1
    if found["ja"] and found["zh"]:  # a Japanese text without kana
        found["ja"] += found.pop("zh")
    return max(found, key=lambda code: found[code]) if found else ""


def _language_of_one(text: str) -> str:
    scripts: Counter[str] = Counter()
    for letter in filter(str.isalpha, text):
        scripts[unicodedata.name(letter, "").split(" ")[0].split("-")[0]] += 1
    if not scripts:
        return ""
    known = {_SCRIPTS[script]: count for script, count in scripts.items() if script in _SCRIPTS}
    if sum(known.values()) > scripts["LATIN"]:
        code = "ja" if known.keys() & {"ja"} else max(known, key=lambda name: known[name])
        other = {"ru": "uk", "ar": "ur"}.get(code, "")
        return other if other and set(_TELLING[other]) & set(text.lower()) else code
    words = set(_WORD.findall(text.lower()))
    score = {code: len(words & common) for code, common in _WORDS.items()}
    best = max(score, key=lambda code: score[code])
    return best if score[best] else ""
