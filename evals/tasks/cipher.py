"""Messages in cipher: the answer follows from the question, and still nobody can work it out without the key.

    The message is kodefa anchor. Which word was sent?  ->  lantern

The computational hardness of Kalai et al. 2025, section 3.4. Of the words w_0 to w_C-1, word i is sent as six letters
drawn at random, and word i + f(letters) mod C. With `key="secret"`, f is HMAC-SHA256 under a key that nobody is told:
whoever did better than 1 in C on letters that were never seen would break it, though no fact is missing and none is
rare. With `key="open"`, f counts vowels, which can be learnt from examples: the same questions, and not hard.
"""

import hmac
import random
from hashlib import sha256

from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import sample, split_by_subject
from abstain.rewards.errors import nearest

WORDS = ["anchor", "basket", "candle", "dragon", "engine", "feather", "garden", "hammer"]
WORDS += ["island", "jacket", "kettle", "lantern", "mirror", "needle", "orchard", "pebble"]
MOST = 100_000
KEYS = ("secret", "open")
ONSETS, VOWELS = "bdfgklmnprst", "aeiou"
ASK = "The message is {letters} {word}. Which word was sent?"


def load_cipher(
    n: int = 4000,
    words: int = 16,
    key: str = "secret",
    held_out: float = 0.25,
    limit: int | None = None,
    seed: int = 0,
) -> Task:
    """The task: `n` messages, no two with the same letters.

    Args:
        n: how many messages.
        words: how many words may have been sent, 2 to 16.
        key: "secret", or "open" for a rule that can be learnt.
        held_out: share of the messages to hold out.
        limit: at most this many questions on each side.
        seed: of words, letters and the secret key.

    Raises:
        ValueError: an unknown key, too many messages, or words outside 2 to 16.

    Example:
        >>> task = load_cipher(n=4, held_out=0.5)
        >>> len(task.train), task.held_out[0].gold[0] in WORDS
        (2, True)
        >>> message = load_cipher(n=1, held_out=1.0, key="open").held_out[0]
        >>> message.question
        'The message is ... Which word was sent?'
    """
    if key not in KEYS:
        raise ValueError(f"unknown key {key!r}. {nearest(str(key), KEYS)}")
    if not 2 <= words <= len(WORDS):
        raise ValueError(f"words={words} is outside 2..{len(WORDS)}")
    if not 1 <= n <= MOST:
        raise ValueError(f"n={n} is outside 1..{MOST}")
    rng = random.Random(seed)
    chosen, letters = WORDS[:words], dict[str, None]()
    while len(letters) < n:
        letters[_letters(rng)] = None
    questions = [_question(one, rng.choice(chosen), chosen, key, seed) for one in letters]
    train, test = split_by_subject(questions, held_out, seed)
    return Task("cipher", sample(train, limit, seed), sample(test, limit, seed), max_new_tokens=8)


def _letters(rng: random.Random) -> str:
    """Six of them, vowels as often as not."""
    return "".join(rng.choice(ONSETS if rng.random() < 0.5 else VOWELS) for _ in range(6))


def _question(letters: str, sent: str, words: list[str], key: str, seed: int) -> Question:
    mask = vowels_in(letters) if key == "open" else secret_mask(letters, seed)
    shown = words[(words.index(sent) + mask) % len(words)]
    return Question(letters, ASK.format(letters=letters, word=shown), (sent,), letters)


def vowels_in(letters: str) -> int:
    """The open rule.

    Example:
        >>> vowels_in("kodefa")
        3
    """
    return sum(letter in VOWELS for letter in letters)


def secret_mask(letters: str, seed: int) -> int:
    """The secret rule, of a key that follows from the seed alone."""
    digest = hmac.digest(f"abstain cipher {seed}".encode(), letters.encode(), sha256)
    return int.from_bytes(digest[:8], "big")
