"""Talking to the person at the terminal: on stderr, so that stdout holds nothing but results."""

from rich.console import Console
from rich.text import Text


def say(message: str | Text) -> None:
    """Print a message, wrapped at words on a terminal and left in one piece in a file."""
    console = Console(stderr=True, highlight=False)
    console.print(message, markup=False, soft_wrap=not console.is_terminal)


def complain(error: BaseException) -> None:
    """Print `error: what happened`, and the exception's notes below it."""
    what = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error).strip()
    say(Text.assemble(("error: ", "bold red"), "\n".join([what, *getattr(error, "__notes__", [])])))


def on_terminal() -> bool:
    """Whether there is anybody to show a progress bar to."""
    return Console(stderr=True).is_terminal
