"""Counting letters: "How many Ds are in DEEPSEEK?", the question with which Kalai et al. 2025 open section 1.

A model sees tokens, not letters, so it rarely knows and often could have known that it doesn't. Words are common
English ones and pronounceable ones made up on the spot (Latin, kana, Chinese characters), asked about in English,
Japanese and Chinese. Difficulty is the word's length (`metadata["length"]`). Nothing is fetched.
"""

import random
import unicodedata
from collections.abc import Callable, Sequence

import regex

from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import sample, split_by_subject
from abstain.rewards.errors import nearest

ASK = {
    "en": "How many times does “{letter}” appear in “{word}”? Answer with a number.",
    "ja": "「{word}」の中に「{letter}」は何回出てきますか。数字で答えてください。",
    "zh": "“{word}”里有几个“{letter}”？请用数字回答。",
}
COMMON = """
    able about across address almost animal answer apple autumn balloon banana basket beautiful because bicycle
    blossom book bottle breakfast bridge bubble butter calendar candle careful carriage ceiling cheese cherry
    chocolate city coffee committee common community country cucumber curriculum daughter deer dessert
    difference dinner discuss door drizzle eagle effective eleven embarrass engineer evening excellent feeling
    fellow finger flower football forest freedom friend garden giraffe giggle goose grammar grass green guitar
    hammer happiness harbour hidden history holiday honey hundred illness immediate impossible independent
    innocent island jacket jelly journey jungle kangaroo kettle kitchen kitten knowledge ladder language lemon
    lesson letter library lion little llama lullaby machine marmalade meadow medicine middle million minimum
    mirror mississippi moon mountain mushroom mystery necessary needle noodle ocean october onion opposite
    orange papaya parallel parliament pebble pencil pepper piano pillow pineapple pizza planet poem possess
    potato pumpkin puppet puzzle queen rabbit raccoon raspberry referee remember repeat ribbon river rooster
    sandwich scissors season sentence settle seventeen sheep silver sister sleep spaghetti spoon squirrel
    station strawberry success summer sunflower surrender sweet syllable teacher tennessee terrific thirteen
    tomato tomorrow tree turtle umbrella unnecessary useful vacuum valley village violin volcano wallet water
    weather wheel whistle willow window winter wood yellow zebra zigzag zucchini
"""
_ONSETS = "b bl br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl st t th tr v w z"
_VOWELS = "a e i o u ai ea ee oo ou"
_CODAS = ["", "", "", "l", "m", "n", "nn", "ss", "r", "t", "ll"]
_KANA = "かきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもらりるれろ"
_HANZI = "人山水火木日月天大小上下中花雨风田石心手"


def latin_word(length: int, rng: random.Random) -> str:
    """A pronounceable word of about `length` letters that (most likely) no language has."""
    onsets, vowels, word = _ONSETS.split(), _VOWELS.split(), ""
    while len(word) < length:
        word += rng.choice(onsets) + rng.choice(vowels) + rng.choice(_CODAS)
    return word[:length]


def _repeating(characters: str) -> Callable[[int, random.Random], str]:
    """Words from a few characters each, so that there is something to count."""

    def word(length: int, rng: random.Random) -> str:
        few = rng.sample(characters, max(2, length // 2))
        return "".join(rng.choice(few) for _ in range(length))

    return word


WORDS: dict[str, Callable[[int, random.Random], str]] = {
    "en": latin_word,
    "ja": _repeating(_KANA),
    "zh": _repeating(_HANZI),
}


def letters_of(word: str) -> list[str]:
    """The letters as a reader sees them: Unicode's extended grapheme clusters, composed (UAX 29, NFC).

    Example:
        >>> letters_of("cafe\\u0301"), len(letters_of("न\\u093fम")), len(letters_of("👩‍👧👍🏽"))
        (['c', 'a', 'f', 'é'], 2, 2)
    """
    return regex.findall(r"\X", unicodedata.normalize("NFC", word))


def count(letter: str, word: str) -> int:
    """How many times a letter stands in a word. Upper and lower case are one letter, "e" and "é" are two.

    Raises:
        ValueError: `letter` is not exactly one letter.

    Example:
        >>> count("d", "DEEPSEEK"), count("E", "deepseek"), count("é", "cafe\\u0301"), count("人", "人人为我")
        (1, 4, 1, 2)
    """
    if len(letters_of(letter)) != 1:
        raise ValueError(f"{letter!r} is not one letter")
    wanted = letters_of(letter)[0].casefold()
    return sum(letter.casefold() == wanted for letter in letters_of(word))


def load_letters(
    n: int = 4000,
    languages: Sequence[str] | str = ("en",),
    words: Sequence[str] | None = None,
    min_length: int = 3,
    max_length: int = 16,
    held_out: float = 0.25,
    limit: int | None = None,
    seed: int = 0,
) -> Task:
    """The task: one question about each of `n` words; no word is asked about on both sides.

    Args:
        n: how many words to make up or choose.
        languages: of questions and made-up words: "en", "ja", "zh".
        words: your own words, in any script, instead of ours; each is asked about once in every language.
        min_length: letters of the shortest made-up word.
        max_length: letters of the longest.
        held_out: share of the words to hold out.
        limit: at most this many questions on each side.
        seed: another seed, other words.

    Raises:
        ValueError: an unknown language, lengths that allow no word, or fewer than 1 word.

    Example:
        >>> task = load_letters(words=["DEEPSEEK"], held_out=1.0)
        >>> task.held_out[0].question, task.held_out[0].gold
        ('How many times does “E” appear in “DEEPSEEK”? Answer with a number.', ('4',))
    """
    asked = languages.split(",") if isinstance(languages, str) else list(languages)
    for language in asked:
        if language not in ASK:
            raise ValueError(f"unknown language {language!r}. {nearest(language, ASK)}")
    if not 2 <= min_length <= max_length <= 1000 or n < 1 or not asked:
        raise ValueError(
            f"n={n}, min_length={min_length}, max_length={max_length}: need n >= 1, 2 <= min <= max <= 1000"
        )
    rng = random.Random(seed)
    chosen = _made_words(n, asked, (min_length, max_length), rng) if words is None else _own_words(words, asked)
    questions = [_question(language, word, rng) for language, word in chosen]
    train, test = split_by_subject(questions, held_out, seed)
    return Task("letters", sample(train, limit, seed), sample(test, limit, seed), grader="numeric", max_new_tokens=16)


def _made_words(n: int, languages: list[str], lengths: tuple[int, int], rng: random.Random) -> list[tuple[str, str]]:
    """Pairs of language and word, all different; in English about one in ten is a common word."""
    words: dict[tuple[str, str], None] = {}
    common = [word for word in COMMON.split() if lengths[0] <= len(word) <= lengths[1]]
    for attempt in range(20 * n):
        if len(words) == n:
            break
        language = languages[attempt % len(languages)]
        known = language == "en" and common and rng.random() < 0.1
        words[language, rng.choice(common) if known else WORDS[language](rng.randint(*lengths), rng)] = None
    if len(words) < n:
        raise ValueError(f"n={n}: only {len(words)} words of {lengths[0]} to {lengths[1]} letters were found")
    return list(words)


def _own_words(words: Sequence[str], languages: list[str]) -> list[tuple[str, str]]:
    clean = dict.fromkeys(unicodedata.normalize("NFC", word.strip()) for word in words)
    if not any(clean):
        raise ValueError("words holds no word")
    return [(language, word) for word in clean if word for language in languages]


def _question(language: str, word: str, rng: random.Random) -> Question:
    """A question about a letter of the word; one in eight asks about a letter that may not be in it."""
    letters = letters_of(word)
    letter = rng.choice(letters)
    if letter.isascii() and letter.isalpha() and rng.random() < 0.125:
        letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    times = count(letter, word)
    return Question(
        id=f"{language}-{word}",
        question=ASK[language].format(letter=letter, word=word),
        gold=(str(times),),
        subject=word,
        metadata={"language": language, "length": len(letters), "count": times},
    )
