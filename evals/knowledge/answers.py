"""Where an answer ends: at an end token, or where its text has the stop text."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Answers:
    """Reads tokens as answers, each of which is decoded once.

    Args:
        tokenizer: the model's.
        end: end tokens.
        stop: text that ends an answer and is no part of it; "" for none. Whichever tokens it is made of, and whatever
            else they hold, it is found in the text.

    Example:
        >>> from types import SimpleNamespace
        >>> words = ["", " Li", "ma", ".\\n", "\\nQ"]
        >>> decode = lambda rows, skip_special_tokens: ["".join(words[token] for token in row) for row in rows]
        >>> answers = Answers(SimpleNamespace(batch_decode=decode), end=[0], stop="\\n")
        >>> answers.ended([(1, 2), (1, 2, 0), (1, 2, 3), (4,)]), answers.text((1, 2, 3)), answers.text((4,))
        ([False, True, True, True], ' Lima.', '')
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", end: Collection[int], stop: str) -> None:
        self._tokenizer = tokenizer
        self._end = frozenset(end)
        self._stop = stop
        self._texts: dict[tuple[int, ...], str] = {}

    def ended(self, paths: Sequence[tuple[int, ...]]) -> list[bool]:
        """For each of some answers of at least a token, whether it ends with its last token, if not before."""
        if not self._stop:
            return [path[-1] in self._end for path in paths]
        self._read(paths)
        return [path[-1] in self._end or self._stop in self._texts[path] for path in paths]

    def text(self, path: tuple[int, ...]) -> str:
        """The text up to the stop text."""
        self._read([path])
        return self._texts[path].split(self._stop, 1)[0] if self._stop else self._texts[path]

    def cut(self, path: tuple[int, ...]) -> tuple[int, bool]:
        """How many tokens belong to an answer, of which there may be too many, and whether it ended."""
        for length in range(1, len(path) + 1):
            if self.ended([path[:length]])[0]:
                return length, True
        return len(path), False

    def _read(self, paths: Sequence[tuple[int, ...]]) -> None:
        unread = [path for path in dict.fromkeys(paths) if path not in self._texts]
        if unread:
            texts = self._tokenizer.batch_decode(unread, skip_special_tokens=True)
            self._texts |= zip(unread, texts, strict=True)
