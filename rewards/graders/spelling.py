"""Words in one spelling: number words, Roman numerals, abbreviations, British and American forms, traditional han.

What is changed here is changed in golds and in texts alike, so that it need not be the better form, only the same one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from abstain.rewards.graders.numerals import ONES, ORDINALS, TENS
from abstain.rewards.graders.text import Token
from abstain.rewards.graders.words import ABBREVIATIONS, FUNCTION

_CARDINALS = ONES | TENS
_SCALES = {"hundred": 100, "thousand": 1000}
_COUNTING = _CARDINALS.keys() | ORDINALS.keys()


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("/") for pair in text.split())


def _roman(value: int) -> str:
    tens, ones = divmod(value, 10)
    return ["", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx"][tens] + [
        "", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"
    ][ones]  # fmt: skip


_ROMAN = {_roman(value): str(value) for value in range(1, 90)}
_ROMAN_NAMES = frozenset(["xi", "vi", "li", "xl", "lv", "l"])  # "Xi Jinping", "Jet Li": numerals in capitals only
_AFTER_I = frozenset(
    [
        "think",
        "thought",
        "believe",
        "guess",
        "suppose",
        "reckon",
        "assume",
        "am",
        "know",
        "would",
        "will",
        "have",
        "had",
    ]
) | frozenset(
    ["say", "said", "mean", "do", "did", "can", "could", "cannot", "cant", "dont", "feel", "hope", "remember"]
)
_BRITISH = _pairs(
    """centre/center theatre/theater metre/meter metres/meters litre/liter litres/liters
    kilometre/kilometer kilometres/kilometers
    centimetre/centimeter centimetres/centimeters millimetre/millimeter fibre/fiber sabre/saber
    calibre/caliber lustre/luster sombre/somber spectre/specter meagre/meager ochre/ocher amphitheatre/amphitheater
    colour/color colours/colors honour/honor honours/honors harbour/harbor labour/labor neighbour/neighbor
    neighbours/neighbors flavour/flavor flavours/flavors behaviour/behavior favour/favor favourite/favorite
    humour/humor rumour/rumor vapour/vapor vigour/vigor armour/armor odour/odor tumour/tumor tumours/tumors
    saviour/savior endeavour/endeavor parlour/parlor rigour/rigor savour/savor splendour/splendor valour/valor
    grey/gray aluminium/aluminum sulphur/sulfur sulphuric/sulfuric sulphate/sulfate sulphide/sulfide
    defence/defense offence/offense licence/license pretence/pretense practise/practice catalogue/catalog
    dialogue/dialog analogue/analog monologue/monolog programme/program programmes/programs plough/plow tyre/tire
    tyres/tires pyjamas/pajamas moustache/mustache jewellery/jewelry mould/mold moult/molt sceptic/skeptic
    storey/story kerb/curb gaol/jail cheque/check draught/draft aeroplane/airplane manoeuvre/maneuver
    traveller/traveler travelling/traveling cancelled/canceled modelling/modeling marvellous/marvelous
    counsellor/counselor woollen/woolen skilful/skillful fulfil/fulfill enrol/enroll instalment/installment
    haemoglobin/hemoglobin haemorrhage/hemorrhage haemophilia/hemophilia anaemia/anemia leukaemia/leukemia
    anaesthesia/anesthesia anaesthetic/anesthetic paediatric/pediatric paediatrics/pediatrics foetus/fetus
    oesophagus/esophagus oestrogen/estrogen diarrhoea/diarrhea caesium/cesium encyclopaedia/encyclopedia
    mediaeval/medieval palaeontology/paleontology archaeology/archeology orthopaedic/orthopedic
    organisation/organization organisations/organizations civilisation/civilization colonisation/colonization
    industrialisation/industrialization globalisation/globalization realisation/realization
    crystallisation/crystallization fertilisation/fertilization immunisation/immunization
    urbanisation/urbanization vaporisation/vaporization ionisation/ionization oxidisation/oxidization
    specialised/specialized recognised/recognized organised/organized analyse/analyze paralyse/paralyze
    catalyse/catalyze whisky/whiskey doughnut/donut omelette/omelet yoghurt/yogurt chilli/chili"""
)
# The commonest traditional and Japanese characters, each before the simplified one: 國 is 国, 広 and 廣 are 广.
_HAN_PAIRS = (
    "國国東东馬马門门長长車车華华學学會会電电話话語语說说説说書书畫画雲云龍龙竜龙鳥鸟魚鱼風风飛飞島岛嶋岛廣广広广義义樂乐楽乐"
    "愛爱親亲開开關关関关陽阳陳陈張张劉刘趙赵黃黄吳吴楊杨鄭郑孫孙許许鄧邓蕭萧葉叶蔣蒋羅罗蘇苏盧卢譚谭範范鄒邹韓韩馮冯歐欧"
    "亞亚亜亚灣湾臺台寧宁濟济済济漢汉瀋沈慶庆蘭兰貴贵遼辽淵渊溫温實实実实寶宝宝宝對对対对師师帝帝導导將将尋寻專专専专業业產产産产發发発发"
    "經经経经紅红綠绿緑绿藍蓝銀银鐵铁鉄铁銅铜鋼钢錢钱銭钱鐘钟鎮镇鋒锋錦锦陸陆陰阴險险険险際际隊队階阶雙双難难靈灵霊灵靜静"
    "頭头題题類类顏颜顔颜願愿顯显顕显飯饭館馆騎骑驗验験验體体髮发髪发鬥斗鮮鲜麗丽麥麦點点黨党齊齐斉齐齒齿歯齿萬万與与兒儿児儿"
    "兩两両两個个倫伦傳传伝传傑杰備备僅仅優优億亿創创劇剧劍剑剣剑劃划動动務务勝胜勞劳労劳勢势區区協协單单単单衛卫廠厂歷历歴历壓压圧压"
    "縣县県县參参變变変变員员問问啟启啓启喬乔園园圓圆円圆圍围囲围圖图図图團团団团場场塊块塔塔壽寿奪夺奮奋婦妇媽妈寫写層层屬属嶺岭"
    "幣币幹干庫库彈弹弾弹強强彌弥後后從从従从復复徵征憲宪應应応应懷怀戰战戦战戲戏戯戏戶户戸户執执擊击撃击據据拠据擴扩拡扩攝摄"
    "敵敌數数斷断時时晉晋暫暂曆历暦历條条極极構构標标樓楼様样樣样樹树橋桥機机檢检検检權权権权歡欢歓欢歲岁歳岁歸归帰归殺杀氣气気气決决沒没沖冲淺浅滅灭滿满満满"
    "漁渔潔洁澤泽沢泽濱滨浜滨爾尔爺爷爭争狀状獅狮獎奖奨奖獨独獲获獻献現现瑪玛環环當当療疗盡尽監监盤盘眾众瞭了碼码礎础禮礼種种稱称"
    "積积窮穷競竞筆笔節节簡简籃篮籌筹糧粮納纳紐纽純纯紙纸級级細细終终組组結结絕绝絶绝統统絲丝維维網网綱纲緊紧線线編编緯纬練练縱纵総总總总"
    "績绩織织繼继継继續续続续聖圣聞闻聯联聲声職职肅肃腦脑脳脑腳脚臨临舉举挙举舊旧艦舰藝艺芸艺藥药薬药處处処处號号蟲虫衝冲術术裝装製制複复見见規规視视"
    "覺觉覚觉覽览覧览觀观観观計计訂订訓训記记設设訪访証证評评詞词試试詩诗該该認认誌志誤误調调談谈請请論论諾诺謝谢證证識识譜谱議议護护讀读読读讓让譲让豐丰豊丰"
    "財财貝贝貨货貧贫貿贸費费賀贺資资賓宾賽赛質质贊赞賛赞贏赢趕赶踐践軍军軌轨軟软輕轻軽轻輪轮輸输轉转転转農农運运過过達达違违遠远適适選选遺遗郵邮鄉乡郷乡"
    "醫医釋释釈释針针鈴铃鈉钠鈣钙鉀钾鋁铝錫锡鎂镁驛驿駅驿櫻樱桜樱邊边辺边瀧泷滝泷榮荣栄荣仏佛營营営营鹽盐塩盐黒黑恵惠徳德賴赖頼赖齋斋斎斋髙高﨑崎"
    "來来獸兽獣兽燒烧焼烧聽听聴听賣卖売卖礦矿鉱矿隱隐隠隐雜杂雑杂龜龟亀龟壞坏壊坏歴历帶带帯带惡恶悪恶擇择択择瑣琐澀涩渋涩蔵藏繩绳縄绳"
)
_HAN = {pair[0]: pair[1] for pair in map("".join, zip(_HAN_PAIRS[::2], _HAN_PAIRS[1::2], strict=True))}
# "Mueller" is how "Müller" is written where there are no dots; "Muller" is how it is written in haste.
_SPELT_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "Ø": "Oe", "å": "aa", "Å": "Aa"}
)
_ONE_WORD = ABBREVIATIONS | {"bce": "bc"} | _BRITISH | _HAN
SPECIAL = _ONE_WORD.keys() | _COUNTING | _ROMAN.keys()


def spelt_out(text: str) -> str:
    """The text with two letters for each letter with dots, or "" if it has none.

    Example:
        >>> spelt_out("Jürgen Köhler"), spelt_out("Kohler")
        ('Juergen Koehler', '')
    """
    spelt = "" if text.isascii() else text.translate(_SPELT_OUT)
    return spelt if spelt != text else ""


def repaired(text: str) -> str:
    """The text, read again as UTF-8 where someone has read that as Western European.

    Example:
        >>> repaired("JosÃ©"), repaired("10â€“12"), repaired("São")
        ('José', '10–12', 'São')
    """
    if text.isascii() or not any(sign in text for sign in ("Ã", "Â", "â€")):
        return text
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


def _ordinal(value: int) -> str:
    if value % 100 in (11, 12, 13):
        return f"{value}th"
    return f"{value}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(value % 10, 'th') }"


def _joined(tokens: Sequence[Token], i: int) -> bool:
    """Whether token `i` follows the one before as the next word of the same number."""
    return i < len(tokens) and tokens[i].gap in (" ", "-")


def _small(tokens: Sequence[Token], i: int) -> tuple[int, int, bool]:
    """(value, end, is ordinal) of the number below 100 spelled at token `i`."""
    word = tokens[i].norm
    if word in ORDINALS:
        return ORDINALS[word], i + 1, True
    value = _CARDINALS[word]
    if word in TENS and _joined(tokens, i + 1):
        following = tokens[i + 1].norm
        ones = _CARDINALS.get(following, ORDINALS.get(following, 0))
        if 0 < ones < 10:
            return value + ones, i + 2, following in ORDINALS
    return value, i + 1, False


def _number(tokens: Sequence[Token], i: int) -> tuple[str, int]:
    """The number spelled at token `i` in digits, and its end: "nineteen eighty-four" is a year, 1984."""
    value, end, ordinal = _small(tokens, i)
    if 10 <= value <= 20 and not ordinal and _joined(tokens, end):
        year, after, _ = _small(tokens, end) if tokens[end].norm in _CARDINALS else (0, 0, False)
        if year >= 10:
            return str(100 * value + year), after
    total = 0
    while not ordinal and _joined(tokens, end) and tokens[end].norm in _SCALES:
        scale = _SCALES[tokens[end].norm]
        if (scale == 1000 and total >= 1000) or (scale == 100 and not 0 < value < 100):
            break
        value, end = value * scale, end + 1
        if scale == 1000:
            total, value = value, 0
        linked = end + (_joined(tokens, end) and tokens[end].norm == "and")
        if _joined(tokens, linked) and tokens[linked].norm in _COUNTING:
            more, end, ordinal = _small(tokens, linked)
            value += more
    total += value
    return (_ordinal(total) if ordinal else str(total)), end


def _is_initial(tokens: Sequence[Token], i: int) -> bool:
    """Whether a single capital is an initial ("Samuel L. Jackson") or the pronoun ("Paris I think")."""
    if i + 1 == len(tokens):
        return False
    following = tokens[i + 1]
    if following.gap in (" ", ". "):
        return following.norm in _AFTER_I or (following.capital and following.norm not in FUNCTION)
    return following.gap == "."


def _numeral(tokens: Sequence[Token], i: int) -> str:
    """The digits of a Roman numeral behind a name, else ""."""
    token = tokens[i]
    digits = _ROMAN.get(token.norm, "")
    if not digits or i == 0 or token.gap != " " or not tokens[i - 1].raw[-1].isalpha():
        return ""
    if token.raw.isupper() and len(token.raw) > 1:
        return digits
    if token.raw.isupper():
        return digits if tokens[i - 1].capital and not _is_initial(tokens, i) else ""
    if len(token.raw) == 1:
        return digits if i + 1 == len(tokens) and token.raw == "i" else ""
    return "" if token.norm in _ROMAN_NAMES else digits


def respell(tokens: list[Token]) -> list[Token]:
    """The tokens with numbers in digits and one spelling for each word; "one of them" is no number.

    Example:
        >>> from abstain.rewards.graders.text import tokenise
        >>> [t.norm for t in respell(tokenise("the twenty-first colour of St. Francis II"))]
        ['the', '21st', 'color', 'of', 'saint', 'francis', '2']
    """
    if SPECIAL.isdisjoint([t.norm for t in tokens]):
        return tokens
    return list(_respelt(tokens))


def _respelt(tokens: Sequence[Token]) -> Iterator[Token]:
    i = 0
    while i < len(tokens):
        token, end = tokens[i], i + 1
        norm = token.norm
        if norm in _COUNTING:
            following, before = tokens[end].norm if end < len(tokens) else "", tokens[i - 1].norm if i else ""
            if norm != "one" or not (following == "of" or before in ("no", "the", "any")):
                norm, end = _number(tokens, i)
        else:
            norm = _numeral(tokens, i) or _ONE_WORD.get(norm, norm)
        if end > i + 1:
            raw = " ".join(t.raw for t in tokens[i:end])
            token = Token(norm, raw, token.gap, token.start, tokens[end - 1].end)
        elif norm != token.norm:
            token = replace(token, norm=norm)
        yield token
        i = end
