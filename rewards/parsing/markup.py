r"""Markup around an answer, taken off: bold, code fences, list markers, `\text{…}`, HTML, withdrawn words."""

import re
import unicodedata

_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|operatorname|emph)\s{0,3}\{")
_BOX = re.compile(r"\$?\\(?:boxed|fbox)\s{0,3}\{")
_FENCE = re.compile(
    r"\A(?:```|~~~)[^\S\n]{0,9}[\w+-]{0,20}[^\S\n]{0,9}\n?(?P<body>.*?)\n?[^\S\n]{0,9}(?:```|~~~)\s*\Z", re.DOTALL
)
_OPEN_FENCE = re.compile(r"\A(?:```|~~~)[^\S\n]{0,9}[\w+-]{0,20}[^\S\n]{0,9}\n|\n[^\S\n]{0,9}(?:```|~~~)\s*\Z")
_MARKER = re.compile(
    r"\A(?:>(?=\s{0,3}[^\s\d])|[•‣◦→➜➤▶►∴⇒✅✔☑👉]|[-*+–—](?=\s{1,3}[^\s\d])|#{1,6}(?=\s))️?\s{0,9}(?=\S)"
)
_QUOTED_LINE = re.compile(r"\n[^\S\n]{0,3}>[^\S\n]?")
_STRUCK = re.compile(r"~~(?!~)[^~\n]{1,300}~~|<(?P<tag>s|del|strike)>[^<\n]{1,300}</(?P=tag)>", re.IGNORECASE)
_HTML = re.compile(
    r"</?(?:b|i|u|em|strong|span|p|div|mark|code|font|center|big|small|sub|sup|h[1-6])(?:\s[^<>\n]{0,99})?/?>",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(?<=\S)\s{0,3}<ref(?:\s[^<>\n]{0,99})?(?:/>|>[^<\n]{0,300}</ref>)", re.IGNORECASE)
_BREAK = re.compile(r"<br\s{0,3}/?>", re.IGNORECASE)
# 😀, flags, ✅: not ♯ or ♀, which mean something
_PICTURES = "".join(
    map(chr, (*range(0x1F1E6, 0x1FB00), 0x2705, 0x2714, 0x2728, 0x263A, 0x2764, 0x2B50, 0xFE0F, 0x200D))
)
_RULE = re.compile(r"(?:\n[-*_=]{3,}|\s#{2,6}|#{3,6})\Z")
_RULED = ("-", "*", "_", "=", "#")
_DISPLAYED = re.compile(r"(?:\$\$|\\\[|\\\()(?P<body>[^$]{1,2000}?)(?:\$\$|\\\]|\\\))")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_NUMBERS = re.compile(r"\d[\d.,]*")
_CHOICE = re.compile(r"\b(?:or|not|no|and|about|than)\b|[-−]")
_COPULA = re.compile(r"(?<=.)(?:です|でございます|になります|となります)(?:ね|よ)?[。.!！]*\Z")
_TEX_SPACE = re.compile(r"\\[,;:! ]|\\(?:left|right|displaystyle)\b|~")
_FRACTION = re.compile(r"\\[dt]?frac\s?\{([^{}]{1,40})\}\s?\{([^{}]{1,40})\}")
_COMMANDS = re.compile(r"\\[A-Za-z]{1,20}")
_ENDS = re.compile(r"(?:す|す[。.!！ねよ]+)\Z")
_NO_ABBREVIATION = re.compile(r"(?:[A-Za-z]{3}|[0-9)\]%\"]|[^\x00-\x7f])\Z")
_WRAPS = {'"': '"', "“": "”", "「": "」", "'": "'", "‘": "’"}


def unwrap_quotes(text: str) -> str:
    """The text without quotation marks around all of it; titles keep theirs.

    Example:
        >>> unwrap_quotes('"Paris"'), unwrap_quotes("「パリ」"), unwrap_quotes('"A" and "B"')
        ('Paris', 'パリ', '"A" and "B"')
    """
    body = text.rstrip(".。")
    close = _WRAPS.get(body[:1])
    inner = body[1:-1]
    wrapped = len(body) > 2 and body[-1] == close and close not in inner and body[0] not in inner
    return inner.strip() if wrapped else text


def without_stop(text: str) -> str:
    """The text without its closing full stop, which an abbreviation keeps.

    Example:
        >>> [without_stop(t) for t in ("Paris.", "パリ。", "Washington, D.C.", "42.")]
        ['Paris', 'パリ', 'Washington, D.C.', '42']
    """
    body = text.rstrip(".。")
    return body if _NO_ABBREVIATION.search(body[-3:]) else text


def tidy(text: str) -> str:
    """The answer without markup around it, or a full stop at its end.

    Example:
        >>> tidy("**Oslo**."), tidy("```text\\nOslo\\n```"), tidy("- ~~Bergen~~ Oslo"), tidy("オスロです。")
        ('Oslo', 'Oslo', 'Oslo', 'オスロ')
    """
    if "<" in text:
        text = _REFERENCE.sub("", text) if "<ref" in text else text
        text = _HTML.sub("", _BREAK.sub("\n", _STRUCK.sub("", text)))
    if "~~" in text:
        text = _OPEN_FENCE.sub("", text) if text.lstrip().startswith("~~~") else _STRUCK.sub("", text)
    for _ in range(4):
        before = text
        text = text.strip()
        bare = text.rstrip(".。") if text.startswith("*") else ""
        inner = (bare if bare.endswith("*") else text).strip("*")
        if "*" not in inner or not text.startswith("*"):  # **Oslo** is in Norway, **Oslo** or **Bergen**
            text = inner.strip()
        if text[:3] in ("```", "~~~"):
            fence = _FENCE.match(text)
            text = fence["body"] if fence else _OPEN_FENCE.sub("", text)
        text = _MARKER.sub("", _QUOTED_LINE.sub("\n", text) if text.startswith(">") else text)
        text = _unwrapped(text)
        if found := _DISPLAYED.fullmatch(text):
            text = found["body"]
        if len(text) > 2 and text[0] == text[-1] and text[0] in "$`_" and text[0] not in text[1:-1]:
            text = text[1:-1]
        text = unwrap_quotes(text)
        if not text[-1:].isalnum():
            text = text.rstrip(_PICTURES) or text
            text = _RULE.sub("", text) if text[-1:] in _RULED else text
        if text == before:
            break
    return without_stop(_COPULA.sub("", text) if _ENDS.search(text[-6:]) else text)


def _unwrapped(text: str) -> str:
    r"""What \text{…} or \boxed{…} holds, where it holds all of the text."""
    bare = text.rstrip(".$ ") if text.startswith(("$\\", "\\")) else text
    if not bare.endswith("}"):
        return text
    if bare[0] == "{" and not _BRACES.search(bare[1:-1]) and "," not in bare and ":" not in bare:
        return bare[1:-1]
    wrapper = _WRAPPER.match(bare) or _BOX.match(bare)
    whole = wrapper and braced(bare, wrapper.end())[0] == bare[wrapper.end() : -1]
    return bare[wrapper.end() : -1] if wrapper and whole else text


def braced(text: str, at: int) -> tuple[str, bool]:
    """The text from `at` to the brace that closes it, and whether there is one.

    Example:
        >>> braced("{a{b}c} d", 1), braced("{a", 1)
        (('a{b}c', True), ('a', False))
    """
    depth = 1
    for brace in _BRACES.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth:
            return text[at : brace.start()], True
    return text[at:], False


def same(one: str, other: str) -> bool:
    """Whether two stated answers are one, up to case, markup and, beside one number, its unit.

    Example:
        >>> same("**Oslo**", "oslo."), same(r"\\frac{1}{2}", "1/2"), same("42", r"42\\text{ km}"), same("41", "42")
        (True, True, True, False)
    """
    folded, unfolded = _folded(one), _folded(other)
    if folded == unfolded:
        return True
    numbers = _NUMBERS.findall(folded)
    return (
        len(numbers) == 1
        and numbers == _NUMBERS.findall(unfolded)
        and not (_CHOICE.search(folded) or _CHOICE.search(unfolded))
        and (folded.isdecimal() or unfolded.isdecimal())
    )


def _folded(text: str) -> str:
    text = _FRACTION.sub(r"\1/\2", _TEX_SPACE.sub("", text)) if "\\" in text else text
    text = unicodedata.normalize("NFKC", tidy(_COMMANDS.sub("", text))).casefold()
    return re.sub(r"\s+", " ", re.sub(r"[{}$*_`]", "", text)).strip(" .。!！")
