"""A verdict says what the intervals show, and not a word more."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.conclusion import (
    MATTERS,
    Comparison,
    Conclusion,
    Measured,
    collapse,
    conclude,
    labels,
    stages_json,
)
from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import Baseline
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

VERDICTS = {"C": Verdict.CORRECT, "I": Verdict.INCORRECT, "A": Verdict.ABSTAINED, "U": Verdict.UNGRADED}
TARGETS = (0.0, 0.5, 0.9)
ORACLE = {0.0: 0.5, 0.5: 0.4, 0.9: 0.3}


def said(stage: str, answers: dict[float, str], oracle: dict[float, float] | None = None) -> Measured:
    """A measurement in which the first question got the first letter, and so on.

    Args:
        stage: after which it was made.
        answers: for each target a string of C, I, A and U.
        oracle: its scores; `ORACLE` by default, none if {}.
    """
    rows = [
        Record(f"q{place}", "toy", "?", (), t, "", "", "", VERDICTS[letter], 0.5)
        for t, letters in answers.items()
        for place, letter in enumerate(letters)
    ]
    scores = ORACLE if oracle is None else oracle
    known = {t: Baseline("post-hoc", scores[t], None, None, None) for t in answers if t in scores}
    return Measured(stage, measure(rows, model="m", task="toy", baselines=known), rows)


def everywhere(stage: str, letters: str, **options) -> Measured:
    return said(stage, dict.fromkeys(TARGETS, letters), **options)


def words(found: Conclusion) -> str:
    return found.words.replace("\u00a0", " ")


GUESSING = everywhere("before", "C" * 500 + "I" * 500)  # scores .5, 0 and -4
GOOD = {0.0: "C" * 480 + "I" * 520, 0.5: "C" * 400 + "I" * 50 + "A" * 550, 0.9: "C" * 300 + "A" * 700}


def test_better_than_sft_alone():
    sft = {t: letters.replace("C", "A", 60) for t, letters in GOOD.items()}
    found = conclude([GUESSING, said("sft", sft), said("rl", GOOD)])
    assert found.kind == "better"
    # 60 right answers of 1,000 at each target are worth .06; from the start .48 - .5, .35 and .3 + 4, on average 1.543
    assert re.fullmatch(
        r"Better than SFT alone by 0\.060 points per question \(95 % interval 0\.04\d to 0\.07\d\) and than the start "
        r"by 1\.543 \(1\.\d+ to 1\.\d+\)\.",
        words(found),
    )
    assert [one.than for one in found.compared] == ["before", "sft"]
    assert found.compared[1].score == pytest.approx(0.06) and found.compared[1].n == 1000
    # .4 less the mean score: (.5 + 0 - 4) / 3, then (.42 + .29 + .24) / 3 and (.48 + .35 + .3) / 3
    assert found.further == (
        "Mean regret, which is what the oracle scores more: 1.567 before, 0.083 after sft, 0.023 after rl.",
    )


def test_no_better_than_sft_alone():
    """One answer of a thousand more: at most .004, which does not matter."""
    sft = {**GOOD, 0.0: GOOD[0.0].replace("C", "I", 1)}
    found = conclude([GUESSING, said("sft", sft), said("rl", GOOD)])
    assert found.kind == "no better"
    assert words(found).startswith("No better than SFT alone; the difference is 0.000 points per question (95 % inter")
    assert found.further[0].startswith("In points per question, against the start +1.543 (")


def test_worse_than_sft_alone():
    rl = {t: letters.replace("C", "A", 60) for t, letters in GOOD.items()}
    found = conclude([GUESSING, said("sft", GOOD), said("rl", rl)])
    assert found.kind == "worse" and "the difference is −0.060 points" in words(found)


def test_too_few_questions_to_tell_it_from_sft():
    """Of forty, two answers more at t = .5: anything may be behind that."""
    good = {0.0: "C" * 30 + "I" * 10, 0.5: "C" * 25 + "A" * 15, 0.9: "C" * 20 + "A" * 20}
    sft = {**good, 0.5: "C" * 23 + "A" * 17}
    start = everywhere("before", "I" * 40)
    found = conclude([start, said("sft", sft), said("rl", good)])
    assert found.kind == "too few questions"
    assert "Better than the start by" in words(found)
    asked = re.search(r"Too few questions to tell it from SFT alone: on 40, .*\. Some ([\d,]+) would", words(found))
    low, high = found.compared[1].interval
    assert low <= 0 and high >= MATTERS
    assert int(asked[1].replace(",", "")) >= 40 * ((high - low) / 2 / MATTERS) ** 2


def test_never_learned():
    start = said("before", {0.0: "C" * 500 + "I" * 500, 0.5: "C" * 500 + "A" * 500})
    worse = conclude([start, said("rl", {0.0: "C" * 500 + "I" * 500, 0.5: "C" * 440 + "A" * 560})])
    assert worse.kind == "never learned"
    assert words(worse).startswith("Never learned: worse than the start; the difference is −0.030 points per question")
    same = conclude([start, Measured("rl", start.metrics, start.records)])
    assert words(same).startswith("Never learned: no better than the start; the difference is 0.000 points per questi")
    swapped = conclude([start, said("rl", {0.0: "I" * 500 + "C" * 500, 0.5: "C" * 500 + "A" * 500})])
    assert swapped.kind == "too few questions", "no gain, but every answer is another one"


def test_it_is_the_model_after_format_that_training_began_with():
    raw = everywhere("before", "I" * 1000)
    formatted, rl = said("format", GOOD), said("rl", GOOD)
    found = conclude([raw, formatted, rl])
    assert found.kind == "never learned" and "no better than the model after format" in words(found)
    assert "against the start +" in found.further[0], "the model as it is is far behind, and that is told, too"


def test_without_sft_the_stage_before_the_last_is_to_be_beaten():
    offline = {t: letters.replace("C", "A", 60) for t, letters in GOOD.items()}
    found = conclude([GUESSING, said("offline", offline), said("rl", GOOD)])
    assert words(found).startswith("Better than the model after offline by 0.060 ")
    both = conclude([GUESSING, said("sft", GOOD), said("offline", offline), said("rl", GOOD)])
    assert both.kind == "no better" and both.further[0].endswith(").")
    assert "and the model after offline +0.060" in both.further[0]


def test_one_stage_is_held_against_the_start():
    found = conclude([GUESSING, said("sft", GOOD)])
    assert found.kind == "better" and words(found).startswith(
        "Better than the start by 1.543 points per question (95 %"
    )


def test_silence_everywhere_is_a_collapse():
    found = conclude([GUESSING, everywhere("rl", "A" * 930 + "C" * 70)])
    assert found.kind == "collapsed"
    assert re.fullmatch(
        r"Collapsed: it says “I don't know” to 93\.0 % of the questions at every t, and at t = 0 scores 0\.070 points "
        r"per question \(95 % interval 0\.0\d+ to 0\.0\d+\), the oracle 0\.500\.",
        words(found),
    )
    assert found.further[0].startswith("In points per question, against the start +")


def test_guesses_at_t_0_do_not_make_up_for_silence_everywhere_else():
    """What the issue of a model is that was taught too little: it guesses if told to, and else says nothing."""
    found = conclude([GUESSING, said("rl", {0.0: GOOD[0.0], 0.5: "C" * 30 + "A" * 970, 0.9: "A" * 1000})])
    assert found.kind == "collapsed"
    assert "to 97.0–100.0 % of the questions at every t above 0, and at t = 0.5 scores 0.030" in words(found)


def test_silence_is_no_collapse_where_silence_is_right():
    """Nothing can be won at t = .9 by a model that knows nothing."""
    silent = said("rl", {0.9: "A" * 1000}, oracle={0.9: 0.001})
    assert collapse(silent.metrics) is None
    assert conclude([said("before", {0.9: "I" * 1000}, oracle={0.9: 0.001}), silent]).kind == "better"
    assert collapse(said("rl", {0.9: "A" * 1000}, oracle={}).metrics) is None, "nobody knows what could be had"
    assert collapse(said("rl", {0.0: "A" * 1000, 0.9: "A" * 1000}, oracle={}).metrics)[0] == "collapsed"


def test_a_dozen_silent_answers_are_not_called_a_collapse():
    assert collapse(everywhere("rl", "A" * 12).metrics) is None
    assert collapse(everywhere("rl", "A" * 40).metrics)[0] == "collapsed"


def test_answers_everywhere_are_a_collapse_where_they_cost():
    found = conclude([GUESSING, everywhere("rl", "C" * 600 + "I" * 400)])
    assert found.kind == "collapsed"
    assert re.fullmatch(
        r"Collapsed: it answers 100\.0 % of the questions at every t, and at t = 0\.9 scores −3\.000 points per "
        r"question \(95 % interval −3\.\d+ to −2\.\d+\), the oracle 0\.300\.",
        words(found),
    )


def test_whoever_knows_it_all_may_answer_it_all():
    knows = everywhere("rl", "C" * 995 + "I" * 5, oracle=dict.fromkeys(TARGETS, 0.95))
    assert collapse(knows.metrics) is None and conclude([GUESSING, knows]).kind == "better"


def test_worse_than_silence_at_one_target():
    rl = {**GOOD, 0.9: "C" * 300 + "I" * 100 + "A" * 600}  # .3 - .9
    found = conclude([GUESSING, said("rl", rl)])
    assert found.kind == "worse than silence"
    assert re.match(
        r"Worse than silence: −0\.600 points per question \(95 % interval −0\.\d+ to −0\.\d+\) at t = 0\.9, where",
        words(found),
    )
    # 300 (1 - .9) / .9 = 33 wrong answers would be made up for
    assert found.further[0].replace("\u00a0", " ") == (
        "Why: at t = 0.9 its 30.0 % of right answers pay for 3.3 % of wrong ones, and 10.0 % are wrong."
    )
    assert found.further[1].startswith("In points per question, against the start +1.2"), "though it has come far"


def test_why_it_may_be_no_better_than_silence_is_told():
    rl = {**GOOD, 0.9: "C" * 300 + "I" * 33 + "A" * 667}
    found = conclude([GUESSING, said("rl", rl)])
    assert found.kind == "better", "than the start"
    told = "\n".join(found.further).replace("\u00a0", " ")
    assert re.search(
        r"Not shown to beat silence: at t = 0\.9 its 30\.0 % of right answers pay for 3\.3 % of wrong ones, and "
        r"3\.3 % are wrong \(score 0\.003, 95 % interval −0\.1\d+ to 0\.\d+\)\.",
        told,
    )


def test_a_score_that_may_be_above_zero_is_not_called_worse_than_silence():
    rl = {**GOOD, 0.9: "C" * 300 + "I" * 35 + "A" * 665}  # .3 - .315
    assert conclude([GUESSING, said("rl", rl)]).kind == "better"


def test_nothing_graded_is_no_verdict():
    found = conclude([GUESSING, said("rl", {**GOOD, 0.5: "U" * 1000})])
    assert (found.kind, found.words) == ("no verdict", "No verdict: at t = 0.5 no answer could be graded.")
    few = conclude([GUESSING, said("rl", {**GOOD, 0.5: "U" * 200 + GOOD[0.5][200:]})])
    assert few.further[-1] == "Up to 20\u00a0% of its answers to a target could not be graded."


def test_guesses_only_say_nothing_of_abstention():
    found = conclude([said("before", {0.0: "C" * 300 + "I" * 700}), said("sft", {0.0: "C" * 500 + "I" * 500})])
    assert found.kind == "better" and found.further[-1].startswith("It was asked at t = 0 only")
    assert collapse(said("sft", {0.0: "I" * 1000}).metrics) is None, "at t = 0 always answering is what is asked for"
    assert words(conclude([GUESSING, said("sft", {0.0: "A" * 1000})])).startswith("Collapsed: it says")


def test_one_target_is_called_by_its_name():
    assert "of the questions at t = 0.5, and" in words(conclude([GUESSING, said("rl", {0.5: "A" * 1000})]))


def test_other_questions_are_not_compared():
    other = [Record("else", "toy", "?", (), t, "", "", "", Verdict.CORRECT, 0.5) for t in TARGETS]
    before = Measured("before", measure(other, model="m", task="toy"), other)
    assert conclude([before, said("rl", GOOD)]).kind == "no verdict"
    assert conclude([Measured("before", GUESSING.metrics), said("rl", GOOD)]).kind == "no verdict"
    assert conclude([said("rl", GOOD)]).kind == "no verdict"
    with pytest.raises(ValueError, match="nothing was measured"):
        conclude([])


@given(st.lists(st.tuples(st.sampled_from("CIAU"), st.sampled_from("CIAU")), min_size=1, max_size=60), st.booleans())
def test_no_word_without_an_interval(pairs: Sequence[tuple[str, str]], sft: bool):
    """Whatever was answered: what is called better lies above 0 as a whole, and only that."""
    start, last = ("".join(letters) for letters in zip(*pairs, strict=True))
    measured = [everywhere("before", start), *([everywhere("sft", start)] if sft else []), everywhere("rl", last)]
    found = conclude(measured)
    low, high = found.compared[0].interval if found.compared else (0, 0)
    if found.words.startswith("Better"):
        assert low > 0 and found.kind in ("better", "too few questions", "no better")
    if found.words.startswith("Never learned: worse"):
        assert high < 0
    if found.words.startswith("Never learned: no better"):
        assert low <= 0 <= high < MATTERS
    if found.kind == "worse than silence":
        assert any(row["score_ci"][1] < 0 for row in measured[-1].metrics["by_target"])
    assert found.words.endswith(".") and "None" not in found.words


@pytest.mark.parametrize(
    ("interval", "found"),
    [
        ((0.0, 0.5), "too few questions"),
        ((0.001, 0.002), "better"),
        ((-0.5, 0.0), "no better"),
        ((-0.5, -0.001), "worse"),
        ((0.0, MATTERS), "too few questions"),
    ],
)
def test_the_edges_of_an_interval(interval, found):
    assert Comparison("sft", 10, 0.0, interval).found == found


def test_it_fits_into_json():
    measured = [GUESSING, said("rl", GOOD)]
    found = conclude(measured).as_json()
    assert found["kind"] == "better" and found["compared"][0]["than"] == "before"
    assert len(found["compared"][0]["score_ci"]) == 2
    stages = stages_json(measured)
    assert [one["stage"] for one in stages] == ["before", "rl"]
    assert stages[1] == {"stage": "rl", **{key: measured[1].metrics[key] for key in ("mean_regret", "by_target")}}


def test_rows_are_called_by_their_stage_where_there_are_several():
    assert labels(["before", "format", "sft"]) == ["before", "after format", "after sft"]
    assert labels(["before", "rl"]) == ["before", "after"] and labels(["before"]) == ["before"]
