"""Texts that come from elsewhere: made fit for JSON and databases, short enough for a message, without the API key."""

_DETAIL = 200  # characters
_LONGEST = 10_000  # characters of a message that are looked at


def well_formed(text: str) -> str:
    """The text without lone surrogates, which neither JSON over HTTP nor a database takes.

    Example:
        >>> well_formed("a\\ud800b")
        'a?b'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def without_key(text: str, key: str) -> str:
    """The text without the key, should a server have echoed it.

    Example:
        >>> without_key("your key sk-12345 is bad", "sk-12345")
        'your key *** is bad'
    """
    return text.replace(key, "***") if len(key) > 4 else text


def clean(text: str, key: str) -> str:
    """One short line of what a server said, without the key."""
    line = " ".join(well_formed(without_key(text[:_LONGEST], key)).split())
    return line if len(line) <= _DETAIL else f"{line[:_DETAIL]} ..."
