"""The two readings for Chinese and Japanese, whose sentences mark roles by particles instead of spaces and capitals.

The frame around an answer is what stands on its left (a topic with は or 是, a doubt, a label) and on its right (a
copula, a particle, 的); what is joined to it by と, か, 或, 和, or stands bare beside it, is a second answer.
"""

import re

from abstain.rewards.graders.pieces import GOLD, pieces
from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.statement import denied
from abstain.rewards.graders.text import UNSPACED

_SENTENCE = re.compile(r"[^。！？!?\n]*[。！？!?\n]*")
_SEGMENT = re.compile(
    r"(?P<joint>^|[，,、;；：:（(）)\s—|/+=·~\[\]{}<>#$&@^\\]+|[-–]{1,2})(?P<text>[^，,、;；：:（(）)\s—|/+=·~\[\]{}<>#$&@^\\–-]*)"
)
_QUOTES = re.compile(r"[「」『』《》〈〉“”\"'*_`]")
_DOUBT = (
    r"(?:間違いなく|众所周知|眾所周知|来自|來自|选|選|おそらく|恐らく|多分|たぶん|きっと|確か|もちろん|つまり|したがって|よって|すなわち|私は|僕は|わたしは|もしかすると"
    r"|可能|应该|應該|大概|也许|也許|或许|或許|当然|當然|因此|所以|好的|我认为|我認為|我觉得|我覺得|我想|我猜|是的|即|就|便|也就)"
)
_COPULA = (
    r"(?:のはずです|のはず|のようです|のよう|っぽい|みたいです|みたい|啦|嘛|呀|没错|無疑|无疑|就是答案|だと思います|だと思う|と思います|と思う|かもしれません|かもしれない|ではないでしょうか|でしょうか"
    r"|でしょう|だろう|である"
    r"|でした|です|だったと思います|だった|だ|になります|となります|ですね|だよ|よ|ね|かな|吧|哦|呢|啊|呀|了|吗)"
)
_LEAD = re.compile(
    rf"(?:{_DOUBT}|[はがもを是叫做为為称稱名在於于到即]|[のな]|的|首都|答案|答え|正解|都市|城市|国家|國家|作者|监督|監督|選手|作家"
    r"|歌手|画家|詩人|人)\s*$"
)
_TAIL = re.compile(
    rf"(?:市|国|國|州|県|省|都|府|区|さん|氏|先生)?(?:{_COPULA}|[はがをにでへも]|から|まで|より|出身|生まれ|という|出生|举办|举行|舉行|才是|比(?=.{{1,8}}[大小高长多])|就是"
    rf"|と(?:いう|い|呼|言|思|考|され|なっ|して)"
    r"|なの|なん|是|也|在|位于|的(?=城市|国家|國家|人)|の(?=街|町|都市|国|人|方|こと)|以外に?(?:は)?(?:あり|ない|考え)|[吧呢啊哦呀]|$)"
)
_JOINED_RIGHT = re.compile(
    r"(?:と(?!い|呼|言|思|考|され|な|して|も)|か(?!も|な|と|ら|$)|や(?!は)|または|もしくは|あるいは|それとも|および|及び"
    r"|和|与|與|及|跟|或|还是|還是|以及|並び|・)\S"
)
_JOINED_LEFT = re.compile(
    r"\S(?:と|か|や|または|もしくは|あるいは|それとも|および|及び|和|与|與|及|跟|或|或者|或是|还是|還是|以及|・)$"
)
_DENIED_RIGHT = re.compile(
    r"以外(?!に?は?(?:あり|ない|考え))|(?:では|じゃ|で)(?:は)?(?:ない|なく|ありません|あるまい)(?!でしょうか|か|かな)|は(?:違|間違|誤|不正)"
    r"|のはず(?:が|は)ない|(?:是)?(?:不对|不對|错|錯|不正确|不正確)|不是(?!吗|嗎)|就错|でない"
    r"|でも.{1,10}でもない|もあり(?:ませ|え)|は?ありえ|は除|を除|に近い|の近く|へ向か|に向か|より(?:も)?|に代わ|から(?:車|電車|徒歩|約|\d)|出身では|というのは(?:間違|誤|デマ|嘘)"
    r"|(?:と|だと)は(?:言え|限ら)|(?:が|は)(?:デマ|嘘|誤報)|的人(?:都)?错|省|才怪|もボ|も[^。、]{1,10}も$"
    r"|(?:だ|で)?と(?:思って|思われ|考えられて|言われて)い(?:ました|た|ます|る)が|と思われがち|と思ったが|と思いきや|と誤解|と勘違い|と間違"
)
_DENIED_LEFT = re.compile(
    r"(?:误以为(?:是)?|誤以為(?:是)?|以为是|以為是|谣传(?:是)?|謠傳(?:是)?|说是|曾经是|曾是|以前(?:是|は)|原来是|原來是|かつては|昔は|以前は|除了|除|不是|并非|並非|不在|不叫"
    r"|绝非|絕非|非|没有|沒有|不会是|不可能是|排除)$"
)
_HANGS = re.compile(r"(?:の(?!街|町|都市|国|人|方|こと|です|だ|$)|的(?!城市|国家|國家|人|$))")
_OTHER_OFFER = re.compile(
    r"(?:次点|もしかし|実は|実際は|今は|現在は|现在(?:是|改)|現在|后来|後來|其次|也有人|有人说|有人說|都有可能|但那是错|但(?:这|那)是错|或|或者|也可能|可能是|もしくは|または|あるいは"
    r"|それとも|たぶん|多分|いや|いいえ|不对|不對|不，|やはり|むしろ|更正|訂正|其实是|其實是)"
)
_NOTHING_YET = re.compile(
    r"(?:好的|当然|當然|谢谢|謝謝|はい|わかりました|承知|ありがとう|ご質問|这是|這是|让我|讓我|根据|根據|調べ|お答え|回答|答案|答え"
    r"|以下|首先|まず)[^是は]{0,20}[。！!：:\s]*$|.*[？?]\s*$|.*(?:ではない|ではありません|ではなく|じゃない)[。．]*\s*$|(?:不是|并非|並非)[^，,]*$"
)
_LABEL = re.compile("(?:市|地|名|国|國|人|者|都|日|年|答案|答え|正解|答|结果|結果)$")
_DESCRIBES = re.compile(
    "(?:首都|都市|城市|国家|國家|省会|州都|作家|歌手|画家|詩人|诗人|演员|俳優|大统领|大統領|总统|總統)$"
)
_REMARK = re.compile(rf"{_COPULA}|[它他她该這这也其位人始是又]|[は-んー]|.{{1,12}}的")
_NAME = re.compile(
    rf"(?:[ァ-ヺー・]+|[一-鿿々〇]{{1,6}}|[A-Z][\w.]*(?: [A-Z][\w.]*){{0,3}}|[가-힣]{{2,8}})(?:{_COPULA})?"
)

_PLAIN_KANA = re.compile("[\u4e00-\u9fff]?[ぁ-ん]{2,4}")  # "さくら", 食べる
_NO_PLAIN_KANA = re.compile(
    rf"{_COPULA}|[はがをにでともへやのから]|そ|こ|あ|ど|い|う(?!め)|え|お|また|まず|なお|よく|ちな|たぶん|きっと|もちろん|つまり|ため|まで|より|する|した|され|ない|なる|なっ|ある|いる|しかし|ただ|でも|やはり|なぜ"
)
_NO_NAME = re.compile(
    "[是位于於有在的了不也它他她这這那其因被为為叫称稱始建谢謝请請据據可以就会會能对對没沒来去说着过到由从又约約共即及多人口]"
)
_CJK_FRAME = re.compile("[はがもを是叫做为為的年月日人个個]|です|答")
_LATIN_FRAME = frozenset("icdvphak.,:()GUP-n")


_NOW = r"[，,、](?:但)?(?:其实|其實|现在|現在|如今|后来|今は|現在は|実は|実際は)"
_TURNS = re.compile(rf"ではなく|じゃなく|不是[^，,]*[，,]\s*而?是|{_NOW}")
_TURN = re.compile(rf"ではなく(?:て)?、?|じゃなくて?、?|[，,]\s*而?是|{_NOW}(?:是|为|改为)?、?")
_SCRIPT = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def is_scripted(masked: str, kind: str) -> bool:
    """Whether a reply is to be read by particles: it has Chinese or Japanese words around a name, or around a number.

    Example:
        >>> is_scripted("答えは\ue000です", "name"), is_scripted("The answer is \ue000", "name")
        (True, False)
    """
    return _SCRIPT.search(masked) is not None and (kind == "name" or _CJK_FRAME.search(masked) is not None)


def _sentences(text: str) -> list[str]:
    return [s.strip() for s in _SENTENCE.findall(text) if re.search(r"\w|" + GOLD, s)]


def _is_name(segment: str) -> bool:
    """Whether a segment is no more than a name, with or without a copula."""
    if _DESCRIBES.search(segment):
        return False
    bare = re.sub(rf"^{_DOUBT}+", "", segment.strip("。！？!?. "))
    if _PLAIN_KANA.fullmatch(bare):
        return not _NO_PLAIN_KANA.match(bare)
    if not bare or kind_of_place(bare) or GOLD in bare or not _NAME.fullmatch(bare):
        return False
    return not _NO_NAME.search(bare)


def _framed(text: str, known: re.Pattern[str], left: bool) -> bool:
    """Whether what touches the answer is a frame: nothing, known words, or words and particles that mark its role."""
    text = text.strip() if left else text.rstrip()
    if not text.strip() or (known.search(text) if left else known.match(text)):
        return True
    return {p.part for p in pieces(text)} <= _LATIN_FRAME - {"U"}


def script_answers(masked: str, strict: bool = False) -> bool:
    """Whether a reply in Chinese or Japanese answers with the gold, masked by `GOLD`, and nothing else beside it.

    Args:
        masked: the reply, tidied.
        strict: nothing but a frame may surround the answer in its own sentence; else descriptions may follow.

    Example:
        >>> [script_answers(t.format("\\ue000")) for t in ("首都は{}です", "{}、大阪", "除了{}", "{}，它在海边。")]
        [True, False, False, True]
    """
    said = _sentences(_QUOTES.sub("", masked))
    for i, sentence in enumerate(said):
        if GOLD not in sentence:
            if (
                sentence.endswith(("?", "？"))
                and _is_name(sentence)
                and GOLD in "".join(said[i + 1 : i + 2])
                and said[i + 1].endswith(("?", "？"))
            ):
                return False
            if not _NOTHING_YET.match(sentence):
                return False
            continue
        if sentence.endswith(("?", "？")) and any(map(_offers, said[max(0, i - 1) : i] + said[i + 1 : i + 2])):
            return False
        if sentence.endswith(("?", "？")) and i + 1 < len(said) and not said[i + 1].startswith(("はい", "是")):
            continue
        if _TURNS.search(sentence):
            sentence = _TURN.split(sentence)[-1]
            if GOLD not in sentence:
                return False
        return _judge(sentence, strict) and not any(map(_offers, said[i + 1 : i + 5]))
    return False


def _offers(sentence: str) -> bool:
    """Whether a later sentence offers another answer."""
    if GOLD in sentence:
        return False
    claim = re.search(r"(?:是|は|叫)([^是は叫，,。的]{1,12})[。．！!]?$", sentence)
    return _is_name(sentence) or bool(_OTHER_OFFER.match(sentence)) or bool(claim and _is_name(claim[1]))


def _judge(sentence: str, strict: bool) -> bool:
    segments = [(m["joint"].strip() or m["joint"], m["text"]) for m in _SEGMENT.finditer(sentence) if m["text"]]
    depth, inside = 0, []
    for joint, _ in segments:
        depth = max(0, depth + sum(joint.count(c) for c in "（(") - sum(joint.count(c) for c in "）)"))
        inside.append(depth > 0)
    there = [k for k, (_, text) in enumerate(segments) if GOLD in text]
    at = next((k for k in there if not inside[k]), there[0])
    left, _, right = segments[at][1].partition(GOLD)
    right = right.replace(GOLD, "")
    if (
        _denies(sentence, left, right)
        or _HANGS.match(right)
        or _JOINED_RIGHT.match(right)
        or _JOINED_LEFT.search(left)
    ):
        return False
    if not _framed(left, _LEAD, left=True) or not _framed(right, _TAIL, left=False):
        return False
    for k, (joint, text) in enumerate(segments):
        if k == at or GOLD in text:
            continue
        if k == at - 1 and segments[at][0] in ("：", ":") and _LABEL.search(text):
            continue
        if inside[k] and not inside[at]:
            if _OTHER_OFFER.match(text) or (strict and _is_name(text) and not text.isascii()):
                return False
            continue
        remark = not strict or k < at or not re.search(r"\w", text) or _REMARK.match(text)
        if not remark or _beside(text, joint, k < at, inside[at] and k == at - 1):
            return False
    return True


def _denies(sentence: str, left: str, right: str) -> bool:
    at = sentence.index(GOLD)
    if _DENIED_RIGHT.match(right) or _DENIED_LEFT.search(left):
        return True
    return denied(sentence, at, at + 1) and not re.match(r"ではないでしょうか|以外に", right)


def _beside(text: str, joint: str, before: bool, outside: bool) -> bool:
    """Whether a segment beside the answer's own names another answer."""
    if _is_name(text) or (not before and _OTHER_OFFER.match(text)):
        return True
    if before:
        claim = re.search(r"(?:是|は|叫)([^是は叫]{1,12})$", text)
        return outside or bool(claim and _is_name(claim[1]) and not _LEAD.search(text))
    return not _known(text)


def _known(text: str) -> bool:
    """Whether a segment holds a word of Chinese or Japanese, or only words that a frame knows."""
    return bool(re.search(f"[{UNSPACED}]", text)) or {p.part for p in pieces(text)} <= set(_LATIN_FRAME)
