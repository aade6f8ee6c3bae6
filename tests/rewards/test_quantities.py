"""The graders of numbers and dates: one reply, one quantity, found without looking at the gold."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.rewards.graders.dates import grade_date
from abstain.rewards.graders.mentions import find_stated
from abstain.rewards.graders.numeric import grade_numeric
from abstain.rewards.graders.tokens import number_text
from abstain.rewards.response import Reading

GRADERS = {"numeric": grade_numeric, "date": grade_date}

NUMBERS = (
    (
        ("17", "seventeen", "17.0", "十七"), ("23", "twenty-three", "23", "二十三"), ("540", "five hundred and forty"),
        ("1,200", "1200", "twelve hundred", "1 200"), ("3.5 million", "3,500,000", "350万"), ("-5", "minus five"),
    ),
    (("12 km", "12 kilometres", "12,000 m", "12公里"), ("15 km", "15 kilometers"), ("3 miles", "three miles")),
    (("$17", "17 dollars"), ("£23", "23 quid"), ("540円", "540 yen"), ("$1.5 million", "1.5 million dollars")),
    (("90 minutes", "1 hour 30 minutes", "1h30"), ("50 minutes", "50 min"), ("3 days", "72 hours")),
    (("12%", "12 percent"), ("15%", "15 per cent"), ("3割", "30%")),
    (("21st", "twenty-first"), ("4th", "fourth", "第4")),
)  # fmt: skip
DATES = (
    (
        ("1931", "in 1931", "the year 1931", "1931年", "AD 1931"), ("1947", "1947", "nineteen forty-seven", "1947年"),
        ("4 May 1932", "May 4, 1932", "1932-05-04", "1932年5月4日"), ("9 June 1948", "June 9th, 1948", "9. Juni 1948"),
        ("5 May 1932", "the fifth of May 1932", "1932年5月5日"), ("May 1952", "1952年5月"), ("June 1952", "1952年6月"),
        ("31 BC", "31 B.C.", "紀元前31年"),
    ),
)  # fmt: skip
PAIRS = {"numeric": NUMBERS, "date": DATES}
FRAMES = (
    "{}",
    "{}.",
    "It is {}.",
    "The answer is {}.",
    "I think {}",
    "about {}",
    "答えは{}です",
    "答案是{}。",
    "**{}**",
    "x = {}",
)
_WORDS = """or and maybe o ou oder und zorb the of in at to is was perhaps like with then also since because n um no
    yes guess second first probably alternatively so therefore = - / + * , ; : . ! ? ( ) [ | & → 🙂 <b> </b> <br>
    または か 或 和 と から 至 、 。 и или vs rather false wrong between which founded has parts"""
WORDS = _WORDS.split()
SEPARATORS = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(lambda words: f" {' '.join(words)} "),
    st.sampled_from(WORDS),
    st.text(min_size=1, max_size=5),
    st.sampled_from(["\n", "\n\n", "-", "–", " — ", "…", " / ", ". ", "\u200b"]),
)


@st.composite
def two_of_a_kind(draw: st.DrawFn, name: str) -> tuple[str, str, str]:
    """(text, the first gold, the second gold): two different quantities, in a frame each or in one."""
    first, second = draw(st.permutations(draw(st.sampled_from(PAIRS[name]))))[:2]
    said = draw(st.sampled_from(first)), draw(st.sampled_from(second))
    between = draw(SEPARATORS)
    if draw(st.booleans()):
        text = draw(st.sampled_from(FRAMES)).format(between.join(said))
    else:
        text = between.join(draw(st.sampled_from(FRAMES)).format(one) for one in said)
    return text, first[0], second[0]


@pytest.mark.parametrize("reading", ["strict", "lenient"])
@pytest.mark.parametrize("name", GRADERS)
@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_text_is_paid_for_two_quantities(name: str, reading: Reading, data: st.DataObject) -> None:
    text, *golds = data.draw(two_of_a_kind(name))
    grade = GRADERS[name]
    assert [grade(text, [gold], "", reading) for gold in golds].count("CORRECT") < 2, text


@pytest.mark.parametrize("name", GRADERS)
def test_two_quantities_of_a_kind_are_seldom_an_answer_at_all(name: str) -> None:
    """Of 2,000 texts with two numbers or dates of one kind at most .5 % are paid for either, and strictly none."""
    rng = random.Random(0)
    paid = {"strict": 0, "lenient": 0}
    pairs = {
        "numeric": [("17", "23"), ("12 km", "15 km"), ("12%", "15%")],
        "date": [("1931", "1947"), ("May 1952", "June 1952")],
    }
    words = [word for word in WORDS if word not in ("no", "rather", "so", "therefore", "(")]  # these may choose
    for _ in range(2000):
        first, second = rng.choice(pairs[name])
        text = rng.choice(FRAMES).format(f"{first} {' '.join(rng.choices(words, k=rng.randint(1, 3)))} {second}")
        for reading in paid:
            paid[reading] += any(GRADERS[name](text, [gold], "", reading) == "CORRECT" for gold in (first, second))
    assert paid["strict"] == 0
    assert paid["lenient"] <= 10


@pytest.mark.parametrize("name", GRADERS)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_strict_is_only_ever_stricter(name: str, data: st.DataObject) -> None:
    text, gold, _ = data.draw(two_of_a_kind(name))
    for reply in (text, text[: len(text) // 2], gold + text[-12:]):
        if GRADERS[name](reply, [gold], "", "strict") == "CORRECT":
            assert GRADERS[name](reply, [gold]) == "CORRECT", reply


@pytest.mark.parametrize("name", GRADERS)
@pytest.mark.parametrize(
    "frame", [*FRAMES, "Answer: {}", "It was about {}", "In total, {}", "{} I believe", "大约{}", "約{}"]
)
def test_a_framed_quantity_is_an_answer_in_both_readings(name: str, frame: str) -> None:
    for spellings in (spellings for kind in PAIRS[name] for spellings in kind):
        for said in spellings:
            for reading in ("strict", "lenient"):
                reply = frame.format(said)
                assert GRADERS[name](reply, [spellings[0]], "", reading) == "CORRECT", (reply, reading)


QUESTIONS = [
    ("numeric", "Of the 48 counties, how many have a coast?", "Of the 48 counties, 17 have a coast.", "17", "48"),
    ("numeric", "Of the 48 counties, how many have a coast?", "17", "17", "48"),
    ("numeric", "How many rooms does it have?", "It has 17 rooms and 9 halls.", "17", "9"),
    ("numeric", "48のうち、海に面するのはいくつですか。", "48のうち17です。", "17", "48"),
    ("numeric", "48个县中有几个临海？", "48个县中有17个临海。", "17", "48"),
    ("date", "What followed the treaty of 1931?", "In 1947, long after the treaty of 1931.", "1947", "1931"),
    ("date", "When was she born?", "She was born in 1879 in Ulm and died in 1955.", "1879", "1955"),
    ("date", "When did she die?", "She was born in 1879 in Ulm and died in 1955.", "1955", "1879"),
]


@pytest.mark.parametrize(("name", "question", "reply", "right", "wrong"), QUESTIONS)
def test_what_the_question_says_itself_is_no_rival(
    name: str, question: str, reply: str, right: str, wrong: str
) -> None:
    assert GRADERS[name](reply, [right], question) == "CORRECT"
    assert GRADERS[name](reply, [wrong], question) == "INCORRECT"


@pytest.mark.parametrize(
    ("name", "question", "gold"),
    [
        ("numeric", "How many of the 48 counties have a coast?", "48"),
        ("numeric", "Why are there 7 days in a week?", "7"),
        ("date", "What happened in 1931 in Ulm?", "1931"),
    ],
)
@pytest.mark.parametrize("reading", ["strict", "lenient"])
def test_an_echo_of_the_question_is_no_answer_but_the_bare_number_is(
    name: str, question: str, gold: str, reading: Reading
) -> None:
    assert GRADERS[name](question, [gold], question, reading) == "INCORRECT"
    assert GRADERS[name](gold, [gold], question, reading) == "CORRECT"


@pytest.mark.parametrize(
    "unit",
    ["1,", "1 ", "in ", "one hundred and ", "1-", "1 or ", "May 1 ", "not 1 ", "十", "$1 ", "1 = ", "1*", "(1",
     "1985-", "1'", "half a ", "1 hour ", "twenty ", "\\frac{1}{", "1^", "3/", "年1", "前", "a.", "XX ", "1 2/3 ",
     "{,}", "**1", "no 1 (", "<b", "nothing but ", "neither ", "1 000 ", "so is 1 ", "第1", "1.000.",
     "12 May 1985. It has 2 in. "],
)  # fmt: skip
@pytest.mark.parametrize("name", GRADERS)
def test_the_number_of_steps_is_linear(name: str, unit: str) -> None:
    """Twice the text takes at most three and a half times as long, with room for noise."""

    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length] + " x"
        start = time.process_time()
        GRADERS[name](text, ["5 May 1985", "5 km"], "Of 48 in 1931, how many?")
        return time.process_time() - start

    seconds(1_000)
    assert any(seconds(20_000) < 3.5 * seconds(10_000) + 0.02 for _ in range(3))


def test_a_reply_without_a_number_is_read_at_once() -> None:
    assert find_stated(number_text("It is a big river in the north. " * 300)) == []
