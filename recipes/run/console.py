"""Talking to the person at the terminal: on stderr, so that stdout holds nothing but results."""

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


def on_terminal() -> bool:
    """Whether there is anybody to show a progress bar to."""
    return Console(stderr=True).is_terminal
