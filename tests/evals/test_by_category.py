"""Numbers apart by what a model knew: worked out by hand, in every format, in words and in a picture."""

import csv
import io
import json
from typing import Any

import pytest
from matplotlib.colors import to_hex

from abstain.evals.evaluation import evaluate
from abstain.evals.knowledge.labels import About, Category, Label, Labels
from abstain.evals.metrics.by_category import CATEGORIES, split_by_category
from abstain.evals.metrics.intervals import share_interval
from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.schema import read_metrics
from abstain.evals.plots.knowledge import knowledge_plot
from abstain.evals.plots.style import color
from abstain.evals.records import Record, write_text
from abstain.evals.sampling import Completion
from abstain.evals.tables.categories import knowledge_sentences
from abstain.evals.tables.table import render
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.verdict import Verdict

SAID = {  # verdicts at t = 0.5, by category
    "HighlyKnown": "CCCCCCCCIA",
    "MaybeKnown": "CCIA",
    "Unknown": "CIIAAAAAAA",
    "": "CI",
}
WRONG = {category: "I" * len(said) for category, said in SAID.items()}
LETTERS = {"C": Verdict.CORRECT, "I": Verdict.INCORRECT, "A": Verdict.ABSTAINED, "U": Verdict.UNGRADED}
IDS = {category: [f"{category}-{place}" for place in range(len(said))] for category, said in SAID.items()}
KNOWN = {id: category for category, ids in IDS.items() if category for id in ids}


def record(id: str, verdict: Verdict, target: float) -> Record:
    return Record(id, "toy", "Where?", ("Lima",), target, "", "Lima", "Lima", verdict, None)


def records(said: dict[str, str] = SAID, at_zero: str = "I") -> list[Record]:
    """At t = 0 everything is answered alike."""
    pairs = [(id, LETTERS[letter]) for name in said for id, letter in zip(IDS[name], said[name], strict=True)]
    zero = [record(id, LETTERS[at_zero], 0.0) for id, _ in pairs]
    return zero + [record(id, verdict, 0.5) for id, verdict in pairs]


def metrics(found: list[Record] | None = None, **more: Any) -> dict[str, Any]:
    found = records() if found is None else found
    split = split_by_category(found, KNOWN)
    return {**measure(found, model="m", task="toy"), **split, "labels_of": "base", **more}


def row(found: dict[str, Any], category: str, target: float = 0.5) -> dict[str, Any]:
    (group,) = [group for group in found["by_category"] if group["category"] == category]
    return next(row for row in group["by_target"] if row["target"] == target)


def test_the_categories_are_those_of_labels() -> None:
    assert tuple(Category) == CATEGORIES


def test_each_category_by_hand() -> None:
    found = split_by_category(records(), KNOWN)
    assert [(group["category"], group["n"]) for group in found["by_category"]] == [
        ("HighlyKnown", 10),
        ("MaybeKnown", 4),
        ("Unknown", 10),
    ]
    assert found["unlabelled"] == 2
    well, unknown = row(found, "HighlyKnown"), row(found, "Unknown")
    shares = ("n", "correct", "incorrect", "abstained", "ungraded", "coverage", "score", "bounded_score")
    assert [well[key] for key in shares] == pytest.approx([10, 0.8, 0.1, 0.1, 0, 0.9, 0.7, 0.35])
    assert [unknown[key] for key in shares] == pytest.approx([10, 0.1, 0.2, 0.7, 0, 0.3, -0.1, -0.05])
    assert well["accuracy_attempted"] == pytest.approx(8 / 9) and unknown["accuracy_attempted"] == pytest.approx(1 / 3)
    for key, part, whole in (("abstained", 7, 10), ("coverage", 3, 10), ("accuracy_attempted", 1, 3)):
        assert unknown[f"{key}_ci"] == [float(end) for end in share_interval(part, whole)]
    assert row(found, "Unknown", 0.0)["incorrect"] == 1


def test_what_was_known_is_both_known_categories() -> None:
    known = split_by_category(records(), KNOWN)["known"]
    (at_half,) = [row for row in known["by_target"] if row["target"] == 0.5]
    assert known["n"] == 14 and at_half["correct"] == pytest.approx(10 / 14)  # coverage of known facts
    assert at_half["abstained"] == pytest.approx(2 / 14)  # over-refusal


def test_ungraded_answers_are_neither_refused_nor_answered() -> None:
    found = split_by_category(records(SAID | {"Unknown": "UUIAAAAAAA"}), KNOWN)
    unknown = row(found, "Unknown")
    assert (unknown["ungraded"], unknown["coverage"], unknown["abstained"]) == pytest.approx((0.2, 0.1, 0.7))
    nothing = row(split_by_category([record("a", Verdict.UNGRADED, 0.5)], {"a": "Unknown"}), "Unknown")
    assert nothing["coverage"] is nothing["coverage_ci"] is nothing["accuracy_attempted_ci"] is None


def test_without_labels_nothing_is_known() -> None:
    assert split_by_category(records(), None) == {"by_category": None, "known": None, "unlabelled": None}
    assert split_by_category(records(), {}) == {"by_category": [], "known": None, "unlabelled": 26}
    with pytest.raises(ValueError, match=r"'Known'.*HighlyKnown"):
        split_by_category(records(), {"a": "Known"})


@pytest.mark.parametrize("bad", [3, {}, [3], [{"category": "Unknown"}], [{"by_target": []}], [{"category": 1}]])
def test_a_file_with_other_things_has_no_categories(tmp_path, bad: Any) -> None:
    write_text(tmp_path / "metrics.json", json.dumps(metrics(by_category=bad, known=[])))
    read = read_metrics(tmp_path / "metrics.json")
    assert read["by_category"] is None and read["known"] is None
    assert "By what" not in render([read])


def test_a_file_brings_them_back(tmp_path) -> None:
    write_text(tmp_path / "metrics.json", json.dumps(metrics()))
    read = read_metrics(tmp_path / "metrics.json")
    assert read["by_category"] == metrics()["by_category"] and read["known"] == metrics()["known"]


def test_the_sentences_say_what_is_refused_and_what_is_answered() -> None:
    well, known, unknown = knowledge_sentences(metrics())
    low, high = (100 * float(end) for end in share_interval(1, 10))
    assert well == f"At t = 0.5 it refuses 10.0% [{low:.1f}, {high:.1f}] of what base knew well (HighlyKnown)."
    assert (
        "it gets 71.4% [" in known and "of what base knew, always or sometimes (HighlyKnown and MaybeKnown)" in known
    )
    low, high = (100 * float(end) for end in share_interval(2, 3))
    assert "it answers 30.0% [" in unknown and unknown.endswith(
        f"of what base did not know (Unknown), 66.7% [{low:.1f}, {high:.1f}] of that wrong."
    )


def test_sentences_leave_out_what_is_not_there() -> None:
    silent = metrics(records({"Unknown": "A" * 10}))
    (said,) = knowledge_sentences(silent)
    assert said.startswith("At t = 0.5 it answers 0.0% [0.0,") and said.endswith("did not know (Unknown).")
    assert knowledge_sentences(metrics(by_category=[], known=None)) == []
    assert knowledge_sentences(measure(records(), model="m", task="toy")) == []


def test_the_table_in_text_and_markdown() -> None:
    text = render([metrics()])
    assert max(map(len, text.splitlines())) <= 100
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if "By what base knew" in line)
    assert "2 of 26 questions have no label" in lines[start + 1]
    cells = [line.split() for line in lines[start + 6 : start + 14] if line.strip()]
    assert cells[0] == ["HighlyKnown", "10", "0", "100.0%", "0.0%", "100.0%", "0.0%"]
    assert cells[1] == ["10", "0.5", "90.0%", "80.0%", "10.0%", "10.0%"]
    assert cells[-1] == ["10", "0.5", "30.0%", "10.0%", "20.0%", "70.0%"]
    said = render([metrics()], "markdown")
    assert "| Unknown     |  10 | 0.5 |    30.0% |" in said and "- At t = 0.5 it refuses 10.0%" in said
    assert "\nUnknown & 10 & 0 &" in render([metrics()], "latex")


def test_a_column_of_ungraded_answers_only_if_there_are_any() -> None:
    assert render([metrics()]).count("graded") == 1
    assert render([metrics(records(SAID | {"Unknown": "UUIAAAAAAA"}))]).count("graded") == 2


def test_several_models_at_one_target() -> None:
    start = metrics(records(WRONG), model="base")
    text = render([start, metrics()], labels=["before", "after"])
    assert "By what base knew, at t = 0.5" in text and "it refuses 10.0%" in text
    lines = [line.split() for line in text.splitlines()]
    place = next(i for i, line in enumerate(lines) if line[:2] == ["Unknown", "before"])
    assert lines[place][2:] == ["10", "100.0%", "0.0%", "100.0%", "0.0%"]
    assert lines[place + 1] == ["after", "10", "30.0%", "10.0%", "20.0%", "70.0%"]
    old = measure(records(), model="m", task="toy")
    assert "By what base knew" in render([old, metrics()], labels=["old", "new"])


def test_csv_and_json_have_every_number() -> None:
    rows = list(csv.DictReader(io.StringIO(render([metrics()], "csv"))))
    assert [(one["category"], one["target"]) for one in rows] == [
        *(("", t) for t in ("0.0", "0.5")),
        *((category, t) for category in ("HighlyKnown", "MaybeKnown", "Unknown") for t in ("0.0", "0.5")),
    ]
    assert float(rows[-1]["abstained"]) == 0.7
    assert float(rows[-1]["abstained_low"]) == pytest.approx(float(share_interval(7, 10)[0]))
    found = json.loads(render([metrics()], "json"))
    assert [one["category"] for one in found][:3] == [None, None, "HighlyKnown"]
    assert found[-1]["coverage"] == 0.3 and len(found[-1]["coverage_ci"]) == 2


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv", "json"])
def test_without_labels_every_format_is_as_before(format: Any) -> None:
    plain = measure(records(), model="m", task="toy")
    assert "category" not in render([plain], format)
    assert render([plain | split_by_category(records(), None)], format) == render([plain], format)


def test_labels_of_none_of_the_questions_are_told() -> None:
    none = measure(records(), model="m", task="toy") | split_by_category(records(), {}) | {"labels_of": "base"}
    assert "By what base knew: none of the questions has a label." in render([none])


class Sure:
    name = "sure"

    def sample(self, prompts: list[str], **_: Any) -> list[list[Completion]]:
        return [[Completion("Lima", -0.1, 1, truncated=False)] for _ in prompts]


def label(id: str, category: str, question: str, gold: str = "Lima") -> Label:
    chances = dict.fromkeys(("p_greedy", "p_sampled", "p_correct", "p_low", "p_high"), 0.5)
    said = {"greedy": (1, 0), "sampled": (1, 0), "answers": ("Lima", "Rome"), "gold": (gold,)}
    return Label(id=id, task="toy", relation="", question=question, category=category, **chances, **said)


def test_an_evaluation_is_split_by_labels_of_another_model() -> None:
    questions = tuple(
        Question(str(i), f"Where was P{i} born?", (city,)) for i, city in enumerate(["Lima", "Oslo"] * 2)
    )
    rows = (
        label("0", "HighlyKnown", "Where was P0 born?"),
        label("1", "Unknown", "Where was P1 born?", "Oslo"),
        label("2", "Unknown", "A question of another task?"),
    )
    about = About(model="another", fingerprint="f", task="toy", protocol={}, n=3, counts={})
    found = evaluate(Sure(), Task("toy", (), questions), [0, 0.5], labels=Labels(about, rows)).metrics
    assert [(group["category"], group["n"]) for group in found["by_category"]] == [("HighlyKnown", 1), ("Unknown", 1)]
    assert row(found, "HighlyKnown")["correct"] == 1 and row(found, "Unknown")["incorrect"] == 1
    assert found["labels_of"] == "another" and found["unlabelled"] == 2
    assert evaluate(Sure(), Task("toy", (), questions), [0, 0.5]).metrics["by_category"] is None


def test_four_bars_say_what_the_numbers_say() -> None:
    always = metrics(records(WRONG))
    plot = knowledge_plot([always, metrics()], ["before", "after"])
    assert plot is not None
    axes = plot.figure.axes[0]
    titles = [text.get_text() for text in axes.texts if "(" in text.get_text()]
    assert titles == [
        "always knew (HighlyKnown, n = 10)",
        "sometimes knew (MaybeKnown, n = 4)",
        "did not know (Unknown, n = 10)",
    ]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["before", "after"] * 3
    drawn = [bar.get_width() for bar in axes.patches if to_hex(bar.get_facecolor()) == color("abstained")]
    assert drawn == pytest.approx([0, 0.1, 0, 0.25, 0, 0.7])
    assert "Of WeaklyKnown there are no questions." in plot.caption and "what base knew" in plot.caption
    assert (
        "did not know (Unknown, n = 10), after: 10\u00a0% right, 70\u00a0% “I don't know” and 20\u00a0% wrong"
        in plot.alt
    )


def test_no_bars_without_categories() -> None:
    assert knowledge_plot([measure(records(), model="m", task="toy")], ["x"]) is None
    assert knowledge_plot([metrics(by_category=[])], ["x"]) is None and knowledge_plot([], []) is None
