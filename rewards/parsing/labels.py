"""What lines call themselves: "Answer:", "Reason:", "Question:", 答案：, 出典：, ### Explanation.

After a label of the answer stands the answer; a remark ends it; and where the model writes on with the next question,
the reply has ended before.
"""

import re
from functools import lru_cache
from itertools import chain, islice, pairwise

# Each pattern begins with one character, or one set of them: these are searched for many times as fast as branches.
_BEFORE = r"\n[^\w\n\\]{0,12}+"  # what decorates a line's beginning: spaces, *, #, >, ✅
_ANSWER = (
    r"(?:(?:so|thus|therefore|hence),? )?(?:(?:the|my) )?(?:(?:final|correct|short|best|right|direct) )?"
    r"(?:answer|ans)(?: is)?"
    r"|(?:私の|最終的な|最終|最终|正确|正確|我的)?(?:答え|回答|解答|答案|正解|答)(?:は|是|为|為)?"
)
_SEPARATOR = r"[ \t*_]{0,6}(?:[:：=]|→|⇒|->|=>|[-–—](?=[ \t]))"
_LABEL = re.compile(
    rf"{_BEFORE}(?i:{_ANSWER})(?:{_SEPARATOR}[*_]{{0,3}}|[】\]][ :：]{{0,3}}|[ \t*_:：]{{0,6}}\n(?=\s{{0,9}}\S))"
    r"|\n[ \t]{0,3}####(?=[^\n#]{1,200}\s*\Z)"  # as GSM8K ends
)
_OTHER_LABEL = re.compile(
    rf"{_BEFORE}(?i:(?:my |the )?(?:final )?(?:response|output|result|conclusion|reply|guess|assistant)"
    rf"|結論|结论|結果|结果){_SEPARATOR}"
)
_FOREIGN_LABEL = re.compile(
    rf"{_BEFORE}(?=[^:：\n]{{1,60}}+[:：])"  # which few lines have, and is quickly seen
    r"(?i:(?:(?:die|la|il|a|final|kurze|richtige|meine|ma) )?(?:antwort|réponse|reponse|respuesta|resposta"
    r"|risposta|antwoord|svar|ответ|відповідь|cevap|yanıt|odpowiedź|odpověď|válasz|vastaus|răspuns|απάντηση|jawaban"
    r"|jawabannya|trả lời|đáp án|câu trả lời|답|정답|답변|คำตอบ|उत्तर|الجواب|الإجابة|জবাব|উত্তর|جواب|jibu|תשובה)"
    r"(?: (?:final|correcte|correcta|finale))?)[ \t*_\u00a0\u202f]{0,6}[:：][*_]{0,3}"
)
# What an answer of one line may call itself, and never another answer: "Bergen: Turku" are two.
_ROLE = re.compile(
    r"(?:the )?(?:(?:full|first|last|correct|exact|capital|home|host|lead|main|official|predicted|short|quick) )?"
    r"(?:name|author|writer|novelist|poet|playwright|person|winner|director|composer|painter|artist|sculptor|architect"
    r"|singer|songwriter|musician|band|actor|actress|performer|player|team|club|location|place|birthplace|capital|city"
    r"|town|country|state|region|continent|year|date|day|month|founder|inventor|discoverer|creator|producer|publisher"
    r"|developer|manufacturer|designer|owner|president|king|queen|prime minister|leader|scientist|school|university"
    r"|company|organi[sz]ation|title|film|movie|book|novel|song|album|river|mountain|lake|language|currency|element"
    r"|symbol|species|animal|colou?r|number|amount|count|total|sum|population|height|distance|length|age|genre"
    r"|occupation|profession|nationality|sport|prediction|label|value|solution|class|category|entity|tl;?dr"
    r"|quick answer|spoiler(?: alert)?|easy|simple|trivial|(?:short|long) version|bottom line|fun fact|simply put"
    r"|to sum up|in (?:brief|sum)|from memory|as i recall|general knowledge|geography|history|science|trivia"
    r"|long story short|(?:in )?a nutshell|off the top of my head"
    r"|wikipedia|britannica|wikidata|per [a-z]{3,20})"
    r"(?: of (?:birth|death|origin))?[*_]{0,3}(?: ?[:：]| [-–—](?= ))[ \t*_]{0,4}(?=[^\s*_])",
    re.IGNORECASE,
)
_PLACED = re.compile(  # "Country: Finland, city: Turku" says of which country
    r"(?:the )?(?:country|state|region|continent|year|date|category|subject|topic|question)"
    r" ?[:：] ?[^,:：;\n]{1,40}[,;] ?",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"(?:ok|okay|all in all|in brief|simply put|to sum up|summing up|long story short|off the top of my head"
    r"|in a nutshell|unless i(?:['’]m| am) mistaken"
    r"|if i(?:['’]m| am) not mistaken|if memory serves(?: me)?(?: right| correctly)?)[,:] (?=\S)"
    r"|(?:according to |as per )?(?:wikipedia|britannica|wikidata)(?: says(?: that)?(?: it['’]s| it is)?|,) (?=\S)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r",? \(?(?:iirc|afaik|afaict|if i(?:['’]m| am) not mistaken|unless i(?:['’]m| am) mistaken"
    r"|if i (?:recall|remember)(?: correctly| right(?:ly)?)?|(?<=, )(?:isn|wasn)['’]t (?:it|he|she))\)?[.?!]{0,3}\Z",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"(?:\n[ \t*]{0,4}|(?<=[.!]) )(?i:done|finished|the end|that['’]s (?:it|all)|that is all"
    r"|end of (?:answer|response))[.! *]{0,4}\Z"
)
_SENTENCE = re.compile(
    r"[.!?。！？\n](?: {0,2}+(?i:(?:(?:so|thus|therefore|hence),? )?(?:the|my) (?:final |correct )?answer "
    r"(?:is|would be):? "
    r"|(?:final )?answer: )"
    r"|(?<=\A\n)(?:(?:私の|正しい)?(?:答え|回答|解答|正解)は、?|(?:我的|正确|正確)?(?:答案|回答)(?:是|为|為)))"
)
_SHORT_LABEL = re.compile(
    r"\A\n[ \t*]{0,4}A[*]{0,2}[:：]"
    r"|\A\n[ \t*]{0,4}(?i:q\d{0,2}|question|user|human|问|問)[*]{0,2}[:：][^\n]{0,500}\n{1,3}"
    r"[ \t*]{0,4}(?i:a\d{0,2}|assistant|ai|bot|答)[*]{0,2}[:：]"
)
_REMARK = (
    r"explanations?|reasoning|reasons?|justification|rationale|notes?|n\.b\.|nb|sources?|references?|citations?|evidence"
    r"|context|background|details?|(?:additional|more|further|extra)(?: info(?:rmation)?| details?| context| notes?)"
    r"|info(?:rmation)?|comments?|commentary|remarks?|disclaimer|caveats?|warning|hints?|summary|tl;?dr|p\.?s\.?"
    r"|postscript|check|verification|validation|confirmation|analysis|because|why|fun fact|trivia|proof|method"
    r"|approach|calculations?|working|derivation|solution|thoughts?|assumptions?|definition|translation|pronunciation"
    r"|see also|further reading|links?|url|footnotes?|elaboration|clarification|clue|tip|quote|steps?|basis"
    r"|motivation|interpretation|fact"
    r"|解説|理由|説明文?|説明|注(?:釈|記|意)?|備考|補足(?:情報|説明)?|出典|出所|参考(?:文献|資料|资料|情報|链接)?|根拠|背景(?:情報|信息)?"
    r"|要約|確認|検証|ヒント|まとめ|余談|豆知識|情報源|典拠|计算|計算|証明|证明|解释|解釋|说明|說明|备注|備註|注释|註釋|註|来源|來源"
    r"|出处|出處|依据|依據|總結|总结|确认|確認|分析|推理|原因|提示|补充(?:说明)?|補充|证据|證據|验证|驗證|思路|详情|詳情|免责声明|脚注|引用"
    r"|附注|信息|資訊|资料来源|數據來源|数据来源|參考"
)
_REMARK_LINE = re.compile(
    r"[\n.!?。！？;；(\[（【](?:(?:(?<![(\[（【])[^\w\n\\]{0,12}+|(?<=[(\[（【])[*_]{0,3}+)"
    r"(?=[^:：\n]{1,30}+(?:[:：]|(?<=[*_])\n))"  # which few sentences have, and is quickly seen
    rf"(?i:{_REMARK})(?:[*_ ]{{0,4}}[:：]|[*_ :：]{{0,6}}(?<=[*_:：])\n)"
    rf"|(?<=\n)[ \t]{{0,3}}#{{1,6}} ?[*_]{{0,3}}(?i:{_REMARK})[*_ ]{{0,4}}\n)"
)
_COURTESY = re.compile(
    r"[\n.!?。！？][^\w\n\\]{0,6}+(?i:(?:i )?hope (?:this|that|it)(?: is| was)? "
    r"(?:helps?|helpful|correct|useful|right|answers)"
    r"|(?:please )?(?:let me know|feel free to)|if you (?:have|need) (?:any|more|further)|is there anything else"
    r"|お役に立て|ご不明な点|他に(?:も)?(?:ご)?質問|希望(?:这|這|能|对|對)|如果(?:你|您)?(?:还|還)?有)[^\n]{0,200}\s*\Z"
)
_QUESTION = re.compile(
    rf"{_BEFORE}(?:(?i:(?:(?:the )?(?:next|new|another|follow-?up) )?"
    r"(?:question|problem|exercise|example|instruction|query|prompt)"
    r"(?: ?\d{1,3})?|q ?\d{0,3}|human|user|assistant|input|task|system)"
    r"|(?:次の|下一[个個]?)?(?:问题|問題|質問|题目|題目|例题|例題|問い)[ ]?[\d一二三四五六七八九十]{0,3}"
    r"|问|問|第[\d一二三四五六七八九十]{1,3}[问問题題]"
    r"|用户|用戶|ユーザー?|人間|人类|助手|アシスタント)"
    r"(?:[ \t*_]{0,4}[:：]|(?<=\d)[.)][ \t]|[*_]{0,3}\n|[>\]])"
)
_NUMBERED = re.compile(
    r"\n[ \t]{0,3}(?:(?:\d{1,3}[.)、]|(?i:next|next question|another one)[:：])[ \t]{0,3}[^\n?？]{3,200}[?？]"
    r"|(?<=\n\n)(?i:what|who|whose|which|where|when|in which|in what|how (?:many|much|old|tall|long|far))"
    r" (?i:is|are|was|were|did|does|do|has|had|[a-z]{3,20} (?:is|are|was|were|did|does|has|had))[^\n?]{3,200}\?)"
    r"[ \t*]{0,5}(?:\n|\Z)"
)
_ON_THE_LINE = re.compile(
    r"[.!?。！？问問質](?:(?<=[.!?。！？])[ \n]{0,2}+(?i:(?:next )?question(?: \d{1,2})?|q\d{0,2}|human|user)[:：] "
    r"|(?<=[ 。！？].)(?:(?<=问)题|(?<=問)題|(?<=質)問)[:：])"
)
_ARGUES = re.compile(
    r"(?i:let me|let['’]?s|let us|first|here|we |i need|i will|i['’]ll"
    r"|to (?:solve|answer|find)|sure|okay|the (?:question|problem|task)\b)"
    r"|まず|首先|让我|讓我"
)
_LIST_ITEM = re.compile(r"\s{0,3}\d{1,3}[.)、]")
_STATES = re.compile(r"(?i:<answer|\\boxed|\\fbox|\banswer\b|####)|答")
_NO_CONTENT = re.compile(r"[\s\W]*(?:<\w{1,20}>[\s\W]*|(?:answer|答え|答案|回答)[\s\W]*){0,3}", re.IGNORECASE)
_LINE_LABEL = re.compile(
    r"[^\w\n]{0,6}(?P<name>[A-Z][A-Za-z]{1,20}(?: [A-Za-z]{1,20}){0,2}|[\u3040-\u9fff]{1,8})"
    r"[*_]{0,3}[:：][*_ \t]{0,6}\S"
)
_RIVAL = re.compile(
    r"(?i:\b(?:or|also|and|but|no|not|maybe|perhaps|possibly|probably|alternative\w*|another|other|others|second|third|2nd|"
    r"versus|vs|plus|correction|corrected|actually|edit|update|updated|wait|revised|option|choice|guess|candidate|answer|"
    r"backup|runner|else|step|first|one|two|final|conclusion|result|output|response|plan|then|hmm|so|rather|instead)\b)"
    r"|答|解|または|あるいは|或|还|又|他|次|別|别|另|候補|候选|訂正|修正|更正|結論|结论|結果|结果|第"
)
_OFFERS = re.compile(
    r"(?i:\b(?:also|or|maybe|perhaps|possibl[ey]|probabl[ey]|likely|alternatively|instead|rather|guess|too)\b)|[%％]"
    r"|或|也|また|かも|可能|割"
)
_COUNTED = re.compile(
    r"[\n.;,] ?\s{0,3}(?i:(?:my )?(?:first|second|third|1st|2nd|3rd) (?:answer|guess|choice)(?: is)?:? )"
)
_PARTED = re.compile(r"[\n!?。！？]|[.;] \S")  # more than one answer stands between
_CORRECTS = re.compile(r"(?i:final|correct|right|best|so|thus|therefore|hence)|最|正|故")
_SHORT = 100  # characters; a longer first line argues, and labels in an argument are part of it
_MOST_QUESTIONS = 20  # the first that follows an answer ends the reply
_LONG = 300  # characters; an argument that states nothing yet is no first answer
_FAREWELL = 300  # characters; no courtesy is longer
_lowered = lru_cache(maxsize=4)(str.lower)  # the same text is asked for again and again


def first_reply(text: str) -> str:
    """The text before the model writes on with the next question, or as the user.

    A question before which nothing is said is the one asked, written out again.

    Example:
        >>> first_reply("Oslo\\n\\nQ: Capital of Peru?\\nA: Lima"), first_reply("Question: Where?\\nAnswer: Oslo")
        ('Oslo', 'Question: Where?\\nAnswer: Oslo')
        >>> first_reply("オスロ\\n質問：ペルーの首都は？\\n答え：リマ")
        'オスロ'
    """
    if ":" not in text and "：" not in text and "\n" not in text:
        return text
    first = text.partition("\n")[0]
    if len(first) < _SHORT and not _LIST_ITEM.match(first) and "?" not in first and "？" not in first:
        numbered = _NUMBERED.search(text) if "\n" in text else None
        if numbered and first.strip() and text[: numbered.start()].strip() == first.strip():
            return first.strip()
    questions = [*islice(chain(_QUESTION.finditer(text), _ON_THE_LINE.finditer(text)), _MOST_QUESTIONS)]
    stated = _STATES.search(text) if questions else None
    for question in questions:
        said = text[: question.start() + (question[0][0] in ".!?。！？")].strip()
        states = stated is not None and stated.start() < question.start()
        argues = not states and (len(said) > _LONG or _ARGUES.match(said))
        echo = not said or said.endswith((":", "：")) or (len(said) < _SHORT and _NO_CONTENT.fullmatch(said))
        echo = echo or ("\n" not in said and _QUESTION.match("\n" + said[:_SHORT]) is not None)
        if not argues and not echo:
            return said
    return text


def labelled(text: str) -> str | None:
    """What follows the last label or, without one, the last "The answer is"; `None` where there is neither.

    Example:
        >>> labelled("Hm.\\nAnswer:Oslo"), labelled("### 答案\\n奥斯陆"), labelled("Answer:"), labelled("Oslo")
        ('Oslo', '奥斯陆', '', None)
    """
    lines = "\n" + text
    end = len(lines.rstrip(" \t\n.*_"))
    patterns = (_LABEL, _SENTENCE, _SHORT_LABEL) if _mentions_answer(text) else (_LABEL,) if "####" in text else ()
    if ":" in text or "：" in text:
        patterns = (*patterns, _FOREIGN_LABEL)
    for pattern in (*patterns, _SHORT_LABEL, _OTHER_LABEL):
        last = None
        for label in pattern.finditer(lines):
            if label.end() < end:
                last = label
            elif label.start() == 0:
                return ""
        if last is not None and (
            pattern is not _OTHER_LABEL or not lines[: last.start()].strip() or last.start() > _SHORT
        ):
            return lines[last.end() :]
    return None


def without_frame(text: str) -> str:
    """An answer of one line without what it calls itself ("Author:"), how it opens and how it closes.

    Example:
        >>> [without_frame(t) for t in ("Author: Ann Lee", "OK, Turku", "Turku, IIRC", "Bergen: Turku")]
        ['Ann Lee', 'Turku', 'Turku', 'Bergen: Turku']
    """
    if len(text) > _SHORT or "\n" in text:
        return text
    if opening := _OPENING.match(text) if "," in text or ":" in text or " says " in text else None:
        text = text[opening.end() :]
    if closing := _CLOSING.search(text, max(0, len(text) - 40)):
        text = text[: closing.start()] or text
    if placed := _PLACED.match(text) if text.count(":") == 2 else None:
        text = text[placed.end() :] if _ROLE.match(text, placed.end()) else text
    role = _ROLE.match(text) if ":" in text or "：" in text or " - " in text or "—" in text or "–" in text else None
    if role and ":" not in text[role.end() :] and "：" not in text[role.end() :]:
        text = text[role.end() :]
    return text


def two_labelled(text: str) -> tuple[str, str] | None:
    """Two answers that stand under one label each, with nothing said between them; a "final" one corrects the other.

    Example:
        >>> two_labelled("Answer: Turku\\nAnswer: Vaasa"), two_labelled("Answer: Turku\\nNo, wait!\\nAnswer: Vaasa")
        (('Turku', 'Vaasa'), None)
    """
    if _lowered(text).count("answer") < 2 and text.count("答") < 2:
        return None
    lines = "\n" + text
    for pattern in (_LABEL, _SENTENCE, _COUNTED):
        labels = list(islice(pattern.finditer(lines), _MOST_QUESTIONS))
        for one, other in pairwise(labels):
            said = lines[one.end() : other.start()].strip(" \n\t*_.")
            if said and len(said) <= _SHORT and not _PARTED.search(said) and not _CORRECTS.search(other[0]):
                after = lines[other.end() :].strip().partition("\n")[0].strip(" *_.")
                if after:
                    return said, after
    return None


def _mentions_answer(text: str) -> bool:
    return "ans" in _lowered(text) or "答" in text or "解" in text


def without_remarks(text: str) -> str:
    """The text up to the first remark, and without courtesies at its end.

    Example:
        >>> without_remarks("Oslo\\nSource: an atlas"), without_remarks("オスロ\\n出典：地図帳")
        ('Oslo', 'オスロ')
        >>> without_remarks("Oslo\\n**Country:** Norway\\n**River:** Akerselva"), without_remarks("Oslo\\nOr: Bergen")
        ('Oslo', 'Oslo\\nOr: Bergen')
        >>> without_remarks("Oslo. I hope this helps!")
        'Oslo.'
    """
    remark = _REMARK_LINE.search(text) if ":" in text or "：" in text or "\n" in text else None
    if remark:
        text = text[: remark.start() + (text[remark.start()] in ".!?。！？")]
    if done := _DONE.search(text, max(0, len(text) - 60)):
        text = text[: done.start() + 1]
    if courtesy := _COURTESY.search(text, max(0, len(text.rstrip()) - _FAREWELL)):
        text = text[: courtesy.start() + 1]
    first, line_end, more = text.strip().partition("\n")
    if not line_end or len(first) > _SHORT or first.rstrip(" *").endswith((":", "：")) or _LINE_LABEL.match(first):
        return text
    described = all(
        (label := _LINE_LABEL.match(line)) and not _RIVAL.search(label["name"]) and not _OFFERS.search(line)
        for line in more.split("\n")
        if line.strip()
    )
    return first if described else text
