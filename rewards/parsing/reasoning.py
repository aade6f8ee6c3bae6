"""Reasoning is not the reply: tags of every name, channels, and what is left of channels without their tokens."""

import re

_WORD = (
    r"think(?:ing)?|thoughts?|thought_process|reason(?:s|ing)?|analysis|reflect(?:ion)?|scratch_?pad|(?:inner|internal)_\w{1,20}"
    r"|monologue|cot|chain_of_thought|deliberat(?:e|ion)|brainstorm(?:ing)?|rationale|working|explanation|justification|思考|推理|推論|思路|考察|反思|分析"
)
_NAME = rf"(?:[a-z0-9.]{{1,12}}[:_-])?(?:{_WORD})(?:_(?:process|step|steps|block|trace|content))?"
_TAG = re.compile(
    rf"<(?P<a>/?)(?i:{_NAME})(?:\s[^<>\n]{{0,60}})?\s{{0,9}}>"
    rf"|\[(?P<b>/?)(?:THINK(?:ING)?|THOUGHTS?|REASONING|REFLECTION|SCRATCHPAD|think|thinking|reasoning)\]"
    r"|◁(?P<c>/?)think(?:ing)?▷"
    r"|<[|｜](?i:(?P<d>/|end[_▁](?:of[_▁])?)?(?:begin[_▁](?:of[_▁])?|start[_▁](?:of[_▁])?)?"
    r"(?:think(?:ing)?|thoughts?|reasoning|inner)(?P<e>[_▁]end|[_▁]suffix)?(?:[_▁](?:prefix|begin|start))?)[|｜]>"
    r"|<\|channel>\s{0,3}(?:thought|analysis)|<(?P<f>channel\|>)|<unused94>(?:thought)?|<(?P<g>unused95>)"
)
_NOTES = re.compile(
    r"<(?P<name>plan|planning|work|notes?|steps?|scratch|scratchwork|draft|outline|calc|calculations?|computations?|ideas?"
    r"|memo|research|evaluat(?:e|ion)|hypothes[ei]s|critique|review|verif(?:y|ication)|check|observations?"
    r"|considerations?|understanding|interpretation|intermediate|self_?check)\s{0,3}>"
)
_CHANNEL = re.compile(r"<\|channel\|>\s{0,3}(?P<name>[A-Za-z]{1,20})")
_BODY = re.compile(r"<\|message\|>")
_BODY_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_STRIPPED = re.compile(r"\A\W{0,9}(?:assistant\s{0,2})?(?:analysis|commentary)(?=[^\Wa-z_]|[\"'*`]|\s{0,2}\n)")
_STRIPPED_FINAL = re.compile(r"assistant\s{0,2}final")
_GLUED_FINAL = re.compile(r"assistantfinal(?=[^a-z]|\Z)")
_ONLY_FINAL = re.compile(r"\A\s{0,9}final(?=[A-Z0-9*\"'\u3040-\u9fff])")
_OPENING = re.compile(r"<(?i:final_answer|answer)")
_TAGGED_REPLY = re.compile(
    r"(?P<own>\n[ \t]{0,9}\n\s{0,9})?<(?P<tag>answer|final_answer)\s*>[^<]{1,9000}</(?P=tag)\s*>\s{0,9}"
    r"(?P<confidence><confidence>[^<]{0,60}</confidence>\s{0,9})?\Z",
    re.IGNORECASE,
)


def without_reasoning(text: str) -> tuple[str, bool]:
    """The text outside reasoning, and whether the last reasoning is left open.

    A closing tag without an opening one ends reasoning that the prompt template began. Where the closing tag was
    forgotten, an `<answer>` that ends the text is the reply if it has a paragraph of its own or a confidence behind
    it; an `<answer>` in the middle of a thought is a thought.

    Example:
        >>> without_reasoning("<seed:think>Is it Oslo?</seed:think>Oslo"), without_reasoning("[THINK]Oslo")
        (('Oslo', False), ('', True))
        >>> without_reasoning("<think>121 + 909 = 1030.\\n\\n<answer>1030</answer>")
        ('<answer>1030</answer>', False)
    """
    if not ("<" in text or "[" in text or "◁" in text):
        return text, False
    kept: list[str] = []
    done, inside = 0, False
    for tag in _TAG.finditer(text):
        if any(tag.group("a", "b", "c", "d", "e", "f", "g")):
            kept = kept if inside else []
            inside, done = False, tag.end()
        elif not inside:
            kept.append(text[done : tag.start()])
            inside, done = True, tag.end()
    if not inside:
        return "".join([*kept, text[done:]]), False
    last = max((m.start() for m in _OPENING.finditer(text, done)), default=None)
    reply = None if last is None else _TAGGED_REPLY.search(text, len(text[:last].rstrip()))
    if reply and (reply["own"] or reply["confidence"]):
        return "".join([*kept, reply[0].strip()]), False
    return "".join(kept), True


def without_notes(text: str) -> str:
    """The text outside `<plan>`, `<work>`, `<draft>` and the like, where something is said outside; else all of it.

    Example:
        >>> without_notes("<plan>Turku, perhaps?</plan>Vaasa"), without_notes("<step>Turku</step>")
        ('Vaasa', '<step>Turku</step>')
    """
    kept: list[str] = []
    done, unclosed = 0, set()
    lowered = text.lower()
    for tag in _NOTES.finditer(lowered):
        name = tag["name"]
        if tag.start() < done or name in unclosed:
            continue
        end = lowered.find(f"</{name}>", tag.end())
        if end < 0:
            unclosed.add(name)
            continue
        kept.append(text[done : tag.start()])
        done = end + len(name) + 3
    outside = "".join([*kept, text[done:]])
    return outside if outside.strip() else text


def final_channel(text: str) -> str | None:
    """What stands in the first `final` channel; "" if channels are used and none is final, `None` if none is used.

    Also where the decoder left the tokens out: "analysisHmm … assistantfinalOslo".

    Example:
        >>> final_channel("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Oslo")
        'Oslo'
        >>> final_channel("analysisIt is asked for the capital.assistantfinalOslo"), final_channel("Oslo")
        ('Oslo', None)
    """
    if "<|channel|>" in text:
        for channel in _CHANNEL.finditer(text):
            body = _BODY.search(text, channel.end(), channel.end() + 200)
            if channel["name"].lower() == "final" and body:
                end = _BODY_END.search(text, body.end())
                said = text[body.end() : end.start() if end else None]
                if said.strip():
                    return said
        return ""
    if _STRIPPED.match(text):
        final = _STRIPPED_FINAL.search(text)
        return text[final.end() :] if final else ""
    if final := _GLUED_FINAL.search(text) if "assistantfinal" in text else None:
        return text[final.end() :]
    only = _ONLY_FINAL.match(text)
    return text[only.end() :] if only else None
