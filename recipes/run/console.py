"""Talking to the person at the terminal: on stderr, so that stdout holds nothing but results."""

import errno
import logging
from functools import partial

from rich.console import Console
from rich.text import Text


def say(message: str | Text, *, whole: bool = False) -> None:
    """Print a message, wrapped at words on a terminal and in one piece to a file.

    Args:
        message: what to say.
        whole: in one piece on a terminal too, because it is there to be copied.
    """
    console = Console(stderr=True, highlight=False)
    console.print(message, markup=False, soft_wrap=whole or not console.is_terminal)


def complain(error: BaseException) -> None:
    """Print `error: what happened`, and the exception's notes below it."""
    what = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error).strip()
    say(Text.assemble(("error: ", "bold red"), what))
    for note in getattr(error, "__notes__", []):
        say(note, whole=True)


SAYS_NOTHING = (
    "mtime may not be reliable on this filesystem",
    "missing keys in the checkpoint model loaded: ['lm_head.weight']",  # which is tied to the embeddings
    "arguments do not match the ones in the `trainer_state.json`",  # a share of the steps there, their number here
)
"""Warnings of libraries about what is as it should be."""


def quiet_libraries() -> None:
    """Keep from the terminal what libraries say that nobody needs to know: progress bars of what takes a moment, and
    `SAYS_NOTHING`. Other warnings stay, and errors."""
    from datasets import disable_progress_bars  # these take seconds to import
    from tqdm.auto import tqdm
    from transformers import modeling_gguf_pytorch_utils as reading_gguf
    from transformers.utils.logging import disable_progress_bar

    reading_gguf.tqdm = partial(tqdm, disable=None)  # which takes seconds: a bar at a terminal, nothing in a log
    disable_progress_bar()  # "Loading weights" and "Writing model shards"
    disable_progress_bars()  # "Adding EOS to train dataset", "Tokenizing train dataset" …
    for handler in logging.getLogger("transformers").handlers:
        if _says_something not in handler.filters:
            handler.addFilter(_says_something)


def _says_something(record: logging.LogRecord) -> bool:
    """Example:
    >>> _says_something(logging.makeLogRecord({"msg": "the weights are on fire"}))
    True
    """
    return not any(words in record.getMessage() for words in SAYS_NOTHING)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""The numbers of an error for want of room on a disk."""


def going_on_helps(error: BaseException) -> bool:
    """Whether the same command with --resume can get further after this error.

    Not after a refusal, which would come again: a wrong value, a file that is missing or may not be read. But after
    Ctrl-C, a full disk, a lost connection, want of memory, and a crash. An exception that knows has the attribute
    `repeats`.

    Example:
        >>> going_on_helps(KeyboardInterrupt()), going_on_helps(ValueError("no such task"))
        (True, False)
        >>> going_on_helps(OSError(errno.ENOSPC, "No space left on device")), going_on_helps(FileNotFoundError())
        (True, False)
    """
    repeats: bool | None = getattr(error, "repeats", None)
    if repeats is not None:
        return not repeats
    if isinstance(error, OSError):
        return error.errno in (*NO_ROOM, errno.EIO) or isinstance(error, ConnectionError | TimeoutError)
    return not isinstance(error, ValueError | ImportError)


def on_terminal() -> bool:
    """Whether there is anybody to show a progress bar to."""
    return Console(stderr=True).is_terminal
