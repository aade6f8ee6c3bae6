"""Texts that name two or more candidates: pairs, frames and whatever may stand between. For the tests of farming."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

PAIRS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "match": {
        "places": [("Bergen", "Turku"), ("Nairobi", "Kampala"), ("Осло", "Рига")],
        "countries": [("Uruguay", "Laos"), ("Nauru", "Mali"), ("Chad", "Belize")],
        "states": [("Ohio", "Utah"), ("Maine", "Idaho")],
        "people": [("Ada Lovelace", "Grace Hopper"), ("Ingmar Bergman", "Akira Kurosawa"),
                   ("J. S. Bach", "G. F. Handel")],
        "works": [("Middlemarch", "Wuthering Heights"), ("The Tempest", "King Lear"), ("Pink Floyd", "The Kinks")],
        "nouns": [("neon", "argon"), ("cello", "trumpet"), ("chess", "judo"), ("violin", "bassoon")],
        "numbers": [("17", "23"), ("1931", "1947"), ("540", "12")],
        "dates": [("4 May 1931", "9 June 1947")],
        "letters": [("BMW", "NEC"), ("IKEA", "FIFA")],
        "han": [("札幌", "福岡"), ("南京", "杭州")],
        "kana": [("ベルリン", "マドリード")],
        "hangul": [("대전", "부산")],
        "polar": [("Yes", "No")],
    },
    "exact": {"names": [("Bergen", "Turku")], "nouns": [("neon", "argon")], "years": [("1931", "1947")]},
    "f1": {"names": [("Bergen", "Turku")], "nouns": [("neon", "argon")],
           "phrases": [("a small red fox", "a large grey owl")]},
    "numeric": {"counts": [("17", "23"), ("1,200", "1,300")], "scaled": [("3.5 million", "4.5 million")],
                "lengths": [("12 km", "15 km")], "shares": [("12%", "15%")]},
    "date": {"years": [("1931", "1947")], "days": [("4 May 1931", "9 June 1947"), ("1950-05-04", "1962-06-09")],
             "months": [("May 1931", "June 1947")]},
    "choice": {"letters": [("B", "D"), ("A", "C")]},
}  # fmt: skip
FRAMES = (
    "{}", "{}.", "It is {}.", "The answer is {}.", "Answer: {}", "I think it's {}", "It was {}!", "Probably {}.",
    "**{}**", '"{}"', "It's {}, I believe.", "The capital is {}.", "He was born in {}.", "My guess: {}",
    "答えは{}です", "答案是{}。", "{} (I am sure)", "<b>{}</b>", "- {}", "{}\n",
)  # fmt: skip
ASKED = (  # a question, and its words before each candidate
    ("What is the capital of Norway?", "The capital of Norway is {}"),
    ("Who wrote Emma?", "Emma was written by {}"),
    ("When was the Harlow Bridge opened?", "The Harlow Bridge was opened in {}"),
    ("Which of them came first?", "{} came first"),
    ("What is it called?", "It is called {}"),
)
KNOWN = (
    " or ", " and ", ", ", "; ", " / ", "\n", "\n\n", " maybe ", " probably ", " could be ", " perhaps ", ". Or ",
    ". ",
    "? ", "! ", " - ", " — ", ": ", " | ", " + ", " & ", " = ", " -> ", " => ", " vs. ", " (", " [", ") ", " aka ",
    " also ", " plus ", ". Also ", ". Maybe ", " then ", " otherwise ", " if not ", " unless ", " xor ", " o ", " ou ",
    " och ", " или ", " oder ", "、", "と", "か", "や", "または",
    "和", "或", "或者", "，", "。", "·", " <br> ", "<br>", "</b><b>",
    "\t", "  ", " ", " like ", " x ", " n ", " to ", " but ", " but also ", " as well as ", " rather ", " sometimes ",
    "... ", "…", " 🤔 ", "🙂", " ~ ", " * ", "**, **", "** **", "`, `", " even ", " nor ", " yet ", " so ",
    " not only but ",
    ", more likely ", ", less likely ", " 50%, ", " 50 %, 50 % ", ", my second guess is ", ", or even ",
    " alternatively ",
    ", failing which ", "; some say ", "; others say ", "\nor\n", "\n- ", "\n2. ", " 2) ", "\nAnswer: ", " Answer: ",
    "</answer><answer>", "\n\nAnother option: ", " hmm ", " um ", " uh ", " er ", " well ", " wait ", " is ", " was ",
)  # fmt: skip


def _words(text: str) -> list[str]:
    return text.split()


VOCABULARY = _words(
    """
    banana table river quickly green sees with from under because running seven tall and the of in on by
    which that who when while after before near over into onto upon despite during without within across
    toward like unlike per wonder tasty blorp zyx qwerty foo lorem ipsum also too very much many more less
    than same other such only just first second third next last best top main big small old new good bad
    true false right wrong yes no ok sure pues entonces aber doch nicht auch peut quizas forse talvez kanske
    ehkä belki może або или maar eller vagy ili certainly possibly apparently seemingly presumably
    supposedly allegedly technically basically honestly literally beside between among along against via
    versus alias called named known formerly later earlier now today candidate option choice guess pick
    answer reply response alternative possibility contender runner-up
    """
)
SCRIPTS = (
    "абвгдежзиклмнопрстуфхцчшыэюяαβγδεζηθικλμνξοπρστυφχψωאבגדהוזח"
    "טיכלמנסעפצקרשתابتثجحخدذرزسشصضطظعغفقكلمنهويกขคงจฉชซญดตถทธนบปผ"
    "พฟมยรลวศสหอฮ가나다라마바사아자차카타파하"
)
SIGNS = (
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿§¶†‡•‰‹›€™←↑→↓⇒∀∂∃∅∈∑−√∞∩∪"
    "≈≠≡≤≥⋅⌘■□▲△●○★☆♠♥♦♪✓✗➜《》「」【】〜ー・！？（）：；，．"
)
SPACES = " \t\n\u00a0\u2003\u200b\u200d\u2028\u3000\ufeff"


@dataclass(frozen=True)
class TwoCandidates:
    """A text that names the candidates, without a choice between them."""

    text: str
    candidates: tuple[str, ...]
    grader: str
    separator: str
    question: str = ""


def random_separator(rng: random.Random) -> str:
    """Known words and signs, one to three words of a vocabulary, a row of signs, letters of another script."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(KNOWN)
    if kind < 0.65:
        return f" {' '.join(rng.choices(VOCABULARY, k=rng.choice((1, 1, 1, 2, 3))))} "
    if kind < 0.8:
        around = rng.choice(("", " "))
        return around + "".join(rng.choices(SIGNS, k=rng.randint(1, 3))) + around
    if kind < 0.9:
        return f" {''.join(rng.choices(SCRIPTS, k=rng.randint(1, 5)))} "
    if kind < 0.95:
        return "".join(rng.choices(SPACES, k=rng.randint(1, 3)))
    any_sign = (chr(rng.choice((rng.randint(0x21, 0x2FFF), rng.randint(0x1F300, 0x1FAFF)))) for _ in range(2))
    return " " + "".join(c for c in any_sign if c.isprintable()) + " "


def texts(seed: int, count: int) -> Iterator[TwoCandidates]:
    """Texts with two candidates, and one in five with three to six."""
    rng = random.Random(seed)
    for _ in range(count):
        grader = rng.choices(list(PAIRS), weights=[12, 1, 1, 2, 2, 1])[0]
        pairs = PAIRS[grader][rng.choice(list(PAIRS[grader]))]
        named = list(rng.choice(pairs))
        rng.shuffle(named)
        between = random_separator(rng)
        if rng.random() < 0.2:
            others = [name for pair in pairs for name in pair if name not in named]
            named += rng.sample(others, min(len(others), rng.randint(1, 4)))
        asked, said = rng.choice(ASKED) if rng.random() < 0.25 else ("", "{}")
        repeated = rng.random() < 0.5
        row = between.join(said.format(name) if repeated else name for name in named)
        frame = rng.choice(FRAMES) if not asked else "{}" if repeated else said
        yield TwoCandidates(frame.format(row), tuple(named), grader, between, asked)
