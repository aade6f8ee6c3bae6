r"""Control tokens that a chat template leaves in the text, and the turns that they part.

A control token is told by its shape (`<|…|>`, `<｜…｜>`, `[|…|]`, `<…_of_…>`) or stands in a short list (`</s>`,
`[INST]`, `<pad>`); whoever has the tokenizer can hand its own. Its name says what it does: it opens a turn, ends one,
or fills. The reply is the first turn of the assistant that says something; what the model then writes as the user, or
after the end of its turn, is no part of it.
"""

import re
from collections.abc import Callable, Collection
from functools import lru_cache

_ANGLE = (
    r"s|pad|bos|eos|unk|mask|sep|cls|eot|eod|eom|eoh|eoa|eop|sop|sot|gmask|eot_id|eom_id|endoftext|end_?of_?[a-z]{1,20}"
    r"|start_?of_?[a-z]{1,20}|begin_?of_?[a-z]{1,20}|extra_id_\d{1,4}|reserved_\d{1,4}|unused\d{1,4}|special_\d{1,4}"
    r"|seed:[a-z_]{2,12}|_(?:user|bot|assistant|system|end)_?|0x[0-9a-f]{2}|(?:eos|bos|pad|unk|mask|sep|cls|eot)_token"
    r"|end|stop|inst|sys|im_end|im_start|im_sep|ctrl\d{1,4}|tokens_unused_\d{1,4}|image|audio|video|im_patch|file_sep"
    r"|repo_name|fake_token_around_image|row_\d{1,2}_col_\d{1,2}|empty_output"
)
_SQUARE = (
    r"INST|SYS|EOS|BOS|PAD|UNK|SEP|CLS|MASK|gMASK|EOT|END|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|STOP"
    r"|eos|bos|pad|unk|control_\d{1,4}|unused\d{1,4}|UNUSED_TOKEN_\d{1,4}|PAD\d{1,7}"
)
_SHAPES = (
    r"<\|[^\s<>|](?:[^<>|\n]{0,40}[^\s<>|])?\|?>"  # <|eot_id|>, <|turn>
    r"|<\w{1,20}\|>"  # <turn|>
    r"|<[｜|][^<>｜|\n‹›]{1,40}[｜|][>›]|‹[｜|][^<>｜|\n‹›]{1,40}[｜|][>›]"  # <｜end▁of▁sentence｜>
    r"|\[\|[^|\]\[\n]{1,30}\|\]"  # [|endofturn|]
    r"|<\[[^\[\]<>\n]{1,40}\]>"  # <[end▁of▁sentence]>
    rf"|<(?i:/?(?:{_ANGLE})/?)>|<<(?:/)?SYS>>"
    rf"|\[/?(?:{_SQUARE})\]"
    r"|\][~!][a-z!]{1,2}\[(?:ai|user|system|tool)?|\[e~\[|\]~b\](?:ai|user|system|tool)?"
)
_TOKEN = re.compile(_SHAPES)
_HINT = re.compile(r"<|‹|\[[|/A-Zgebpuc]|\][~!]")
_THOUGHT = re.compile(r"thought|think|reason|inner_|channel|message|unused9[45]")
_MARKUP = re.compile(r"/?(?:final_)?(?:answer|confidence)|/?(?:b|i|br|p)")  # special tokens of some tokenizers
_ANSWER = re.compile(r"(begin|start|end)_(?:of_)?(?:box|answer)\Z")
_OTHERS = r"user|human|prompter|system|developer|tool|tools|function|ipython|observation|environment|context|documents"
_ASSISTANT = r"assistant|model|ai|bot|chatbot|gpt|response"
_OPENS_OTHER = re.compile(
    rf"(?:start_?of_?|begin_?of_?|im_)?(?:{_OTHERS})(?:_(?:token|start|begin|query|prompt|response|result|results|input))?"
    r"|inst|sys|system_prompt|available_tools|tool_results|_user_?|_system_?|reserved_106"
)
_OPENS_OWN = re.compile(
    rf"(?:start_?of_?|begin_?of_?|im_)?(?:{_ASSISTANT})(?:_(?:token|start|begin))?|/inst|/sys|_bot_?|_assistant_?|reserved_107"
)
_NAMED = re.compile(  # the role is the word behind it
    r"im_start|start_header_id|header_start|start_?of_?turn(?:_token)?|start_?of_?role|role_start|turn|start|extra_id_1"
)
_HEADER = re.compile(
    rf"\s{{0,3}}(?:(?P<other>{_OTHERS})|(?P<own>{_ASSISTANT}))\b(?:[ \t]{{0,3}}(?:\n|\Z)|(?=<\|)|(?=[ \t]{{1,3}}\S))",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"/s|/?eos|eot|eod|eom|eoh|eoa|eop|eot_id|eom_id|im_end|end|endoftext|end_?of_?(?:text|turn|turn_token|sentence|message"
    r"|utterance|response|assistant|sequence|document|generation|speech|dialogue|conversation|file|stream|hypothesis)"
    r"|endofturn|return|call|finish|finished|stop|done|turn_end|/turn|assistant_end|separator|seed:eos|hy_eo[ts]|_end_?|e~"
)
_BARE_ROLE = re.compile(r"\n[ \t]{0,3}(?P<role>user|human|system|assistant|model)[ \t]{0,3}(?=\n)")
_LEADING_ROLE = re.compile(r"\A\s{0,9}(?:assistant|model)[ \t]{0,3}\n(?=\s{0,9}\S)")
# Ġ and Ċ are the space and line end of byte-level tokenizers, and a Maltese letter: Ġgantija
_PIECE_END = "ĠĊ▁\ufffd\u200b\u200d\ufeff\x00 \t\r\n"
_PIECE_START = re.compile(r"[Ċ▁\ufffd\u200b\u200d\ufeff\x00\s]*(?:Ġ(?=[A-Z]))?")
_HAS_PIECES = re.compile(r"[ĠĊ▁\ufffd\u200b\u200d\ufeff\x00]")
_CUT = re.compile(  # a tag or token that the end of the text cuts off
    r"(?:</[a-z_]{0,20}|<[|｜][^<>|｜\n]{0,40}[|｜]?|<(?:end|start|begin)_of\w{0,20})\Z", re.IGNORECASE
)


@lru_cache(maxsize=4096)
def _job(token: str) -> str:
    """What a control token does: other, own, named (the role follows), end, answer, /answer, or fill.

    "thought" are those that `reasoning` and `formats` read.
    """
    name = re.sub(r"[▁\s-]+", "_", token.strip("<>‹›[]|｜~!").lower()).strip("|｜")
    if _THOUGHT.search(name) or _MARKUP.fullmatch(name):
        return "thought"
    if found := _ANSWER.fullmatch(name):
        return "/answer" if found[1] == "end" else "answer"
    if token.endswith("|>") and not token.startswith("<|"):  # <turn|>
        return "end"
    if name.startswith("b]"):
        return "own" if name.endswith("ai") else "other"
    for job, pattern in (("other", _OPENS_OTHER), ("own", _OPENS_OWN), ("named", _NAMED), ("end", _ENDS)):
        if pattern.fullmatch(name):
            return job
    return "fill"


@lru_cache(maxsize=64)
def _with_own(tokens: frozenset[str]) -> re.Pattern[str]:
    own = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))
    return re.compile(f"{own}|{_SHAPES}")


def without_controls(text: str, tokens: Collection[str], says_something: Callable[[str], bool]) -> str:
    """The reply: the assistant's first turn that says something, without control tokens.

    Args:
        tokens: the tokenizer's own special tokens; those that are known by their shape need not be among them.
        says_something: whether a turn does; one that only thinks does not.

    Example:
        >>> def any_text(turn: str) -> bool: return bool(turn.strip())
        >>> without_controls("<s>Oslo.<|eot_id|><|start_header_id|>user<|end_header_id|>And Peru?", (), any_text)
        ' Oslo.'
        >>> without_controls("user: Oslo<EOX>", ["<EOX>"], any_text)
        'user: Oslo '
    """
    if tokens or (any(mark in text for mark in "<[]‹") and _HINT.search(text)):
        pattern = _with_own(frozenset(t for t in tokens if t.strip())) if tokens else _TOKEN
        turns = _turns(text, pattern)
        said = (turn for turn in turns if says_something(turn)) if len(turns) > 1 else iter(turns)
        text = next(said, None) or pattern.sub(lambda token: token[0] if _job(token[0]) == "thought" else " ", text)
        text = _CUT.sub("", text)
    if (not text.isascii() or "\x00" in text) and _HAS_PIECES.search(text):
        text = _PIECE_START.sub("", text, count=1).rstrip(_PIECE_END).replace("▁", " ")
    return _without_bare_roles(text)


def _turns(text: str, pattern: re.Pattern[str]) -> list[str]:
    """The assistant's turns, in which thoughts keep their tokens."""
    turns: list[list[str]] = [[]]
    own, done = True, 0
    for token in pattern.finditer(text):
        if token.start() < done:
            continue
        job = _job(token[0])
        if job == "thought":
            continue
        if own:
            turns[-1].append(text[done : token.start()])
        done = token.end()
        if job in ("named", "fill") and (role := _HEADER.match(text, done)) and job == "named":
            job, done = "own" if role["own"] else "other", role.end()
        if job in ("answer", "/answer") and own:
            turns[-1].append(f"<{job}>")
        elif job in ("own", "other", "end"):
            own = job == "own" or (job == "end" and own)
            turns.append([])
        elif own:
            turns[-1].append(" ")
    if own:
        turns[-1].append(text[done:])
    return ["".join(turn) for turn in turns if turn] or [""]


def _without_bare_roles(text: str) -> str:
    """Templates whose tokens the decoder left out still leave "assistant" or "user" on a line of its own."""
    if "\n" not in text:
        return text
    if found := _LEADING_ROLE.match(text):
        text = text[found.end() :]
    for role in _BARE_ROLE.finditer(text):
        if text[: role.start()].strip() and text[role.end() :].strip():
            return text[: role.start()]
    return text
