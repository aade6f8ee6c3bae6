"""Pictures say what the numbers say: their words carry them, and so do the lines that were drawn."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from abstain.evals.audit.plots import threshold_plot
from abstain.evals.audit.sources import start_source
from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, baseline
from abstain.evals.plots.confidence import best_guesses, reliability_plot, risk_coverage_plot
from abstain.evals.plots.outcomes import outcomes_plot, score_plot
from abstain.evals.plots.style import ROLES, color, css_variables, inline_svg
from abstain.evals.plots.sweep import AxisResponse, response_plot
from abstain.evals.plots.training import targets_in, training_plots
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

TARGETS = (0.0, 0.5, 0.9)
N = 40
P = (np.arange(N) + 0.5) / N
RIGHT = (np.arange(N) * 7 % N < P * N).astype(float)  # about as often right as P says
IDS = tuple(f"q{i}" for i in range(N))
START = BaseGuesses("base", ForcedAnswers(IDS, RIGHT, P), ForcedAnswers(IDS, RIGHT, P))


def asked(threshold_of) -> list[Record]:
    """What a model says that answers iff P > threshold_of(t)."""
    verdicts = [Verdict.CORRECT if right else Verdict.INCORRECT for right in RIGHT]
    return [
        Record(id, "toy", "Who?", ("Bo",), t, "", "Bo", "Bo", verdict if p > threshold_of(t) else Verdict.ABSTAINED, p)
        for t in TARGETS
        for id, verdict, p in zip(IDS, verdicts, P, strict=True)
    ]


BEFORE, AFTER = asked(lambda t: 0), asked(lambda t: t)
BASELINES = {t: baseline(START, t) for t in TARGETS}
METRICS = [measure(records, model="m", task="toy", baselines=BASELINES) for records in (BEFORE, AFTER)]
LABELS = ["before", "after"]
STAGE_ROLES = ["before", "between-1", "after"]


def line(plot, role):
    """The line that was drawn in a role's colour with the most points."""
    lines = [one for one in plot.figure.axes[0].lines if to_hex(one.get_color()) == color(role)]
    return max(lines, key=lambda one: len(set(one.get_xdata())))


def test_the_score_plot_has_the_scores_and_both_baselines():
    plot = score_plot(METRICS, LABELS, START)
    assert line(plot, "after").get_ydata().tolist() == [row["score"] for row in METRICS[1]["by_target"]]
    assert line(plot, "before").get_xdata().tolist() == list(TARGETS)
    for row in METRICS[1]["by_target"]:
        for role, key in (("oracle", "oracle_score"), ("wrong", "always_answer_score")):
            curve = line(plot, role)
            assert len(curve.get_xdata()) > 50, "a curve, not points"
            at = list(curve.get_xdata()).index(row["target"])
            assert curve.get_ydata()[at] == pytest.approx(row[key])
    assert f"always answer: {METRICS[1]['by_target'][0]['always_answer_score']:.2f} at t = 0" in plot.alt
    assert "never answer" in plot.svg


def test_without_best_guesses_the_baselines_are_points():
    plot = score_plot(METRICS[1:], ["after"], None)
    assert line(plot, "oracle").get_ydata().tolist() == [row["oracle_score"] for row in METRICS[1]["by_target"]]


def test_nothing_to_show_is_no_plot():
    empty = {**METRICS[0], "by_target": []}
    assert score_plot([empty], ["x"]) is None and outcomes_plot([empty], ["x"]) is None
    assert risk_coverage_plot({"x": ForcedAnswers((), np.empty(0), np.empty(0))}) is None
    assert reliability_plot({}) is None and training_plots([], "rl") == []
    unknown = {**METRICS[0], "by_target": [{**METRICS[0]["by_target"][0], "score": None, "correct": None}]}
    assert score_plot([unknown], ["x"]) is None and outcomes_plot([unknown], ["x"]) is None


def test_each_stage_has_a_line_of_its_own_colour_and_marker():
    plot = score_plot([*METRICS, METRICS[1]], ["before", "after sft", "after rl"], START)
    looks = [(to_hex(line(plot, role).get_color()), line(plot, role).get_marker()) for role in STAGE_ROLES]
    assert len(set(looks)) == 3 and {marker for _, marker in looks} == {"s", "^", "o"}
    bars = outcomes_plot([*METRICS, METRICS[1]], ["before", "after sft", "after rl"]).figure.axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["before", "after sft", "after rl"] * len(TARGETS)


def test_a_target_has_one_colour_in_all_pictures():
    """Whatever the others are that a stage was trained on, or measured at."""

    def colours(plots):
        drawn = [one for plot in plots for one in plot.figure.axes[0].lines]
        return {one.get_label(): (to_hex(one.get_color()), one.get_marker()) for one in drawn}

    def history(*targets):
        return [{"step": step, **{f"abstention/t={t}": 0.5 for t in targets}} for step in (1, 2)]

    every = targets_in([*history(0, 0.1, 0.2, 0.3, 0.5), *history(0.5, 0.9)])
    assert every == {0.0, 0.1, 0.2, 0.3, 0.5, 0.9}
    sft, rl = (colours(training_plots(one, "x", every)) for one in (history(0, 0.1, 0.2, 0.3, 0.5), history(0.5, 0.9)))
    assert sft["t = 0.5"] == rl["t = 0.5"] and len({*sft.values(), *rl.values()}) == 6
    few, more = colours(training_plots(history(0, 0.9), "x")), colours(training_plots(history(0, 0.25, 0.5, 0.9), "x"))
    assert few["t = 0.9"] == more["t = 0.9"], "and in any two reports of the usual targets"


@pytest.mark.parametrize("values", [(0.98761, 0.98763), (0.5, 0.5), (1e-9, 3e-9), (99_999.5, 100_000.5), (-0.2, 0.1)])
def test_no_two_ticks_have_the_same_label(values):
    for name in ("entropy", "accuracy"):
        (plot,) = training_plots([{"step": step, name: value} for step, value in enumerate(values, 1)], "rl")
        FigureCanvasAgg(plot.figure).draw()
        for axis in (plot.figure.axes[0].xaxis, plot.figure.axes[0].yaxis):
            labels = [tick.get_text() for tick in axis.get_ticklabels() if tick.get_text()]
            assert len(set(labels)) == len(labels) > 1


def test_dots_of_low_coverage_have_their_labels_beside_the_axis():
    silent = measure(asked(lambda t: 0.95 if t else 0), model="m", task="toy", baselines=BASELINES)
    plot = risk_coverage_plot({"before": best_guesses(BEFORE), "after": best_guesses(AFTER)}, silent)
    FigureCanvasAgg(plot.figure).draw()
    axes = plot.figure.axes[0]
    assert len(axes.texts) == len(TARGETS)
    for text in axes.texts:
        assert text.get_window_extent().x0 > axes.bbox.x0


def test_bars_add_up_to_all_questions():
    plot = outcomes_plot(METRICS, LABELS)
    ends = {}
    for bar in plot.figure.axes[0].patches:
        place = round(bar.get_y(), 3)
        ends[place] = max(ends.get(place, 0), bar.get_x() + bar.get_width())
    assert len(ends) == 2 * len(TARGETS) and all(end == pytest.approx(1) for end in ends.values())
    row = METRICS[1]["by_target"][1]
    assert (
        f"t = 0.5, after: {100 * row['correct']:.0f}\u00a0% right, {100 * row['abstained']:.0f}\u00a0% “I" in plot.alt
    )


def test_the_risk_of_all_guesses_is_the_error_rate():
    plot = risk_coverage_plot({"before": best_guesses(BEFORE), "after": best_guesses(AFTER)}, METRICS[1])
    drawn = line(plot, "before")
    assert drawn.get_xdata()[-1] == 1 and drawn.get_ydata()[-1] == pytest.approx(1 - RIGHT.mean())
    marks = [one for one in plot.figure.axes[0].lines if len(one.get_xdata()) == 1]
    row = METRICS[1]["by_target"][1]
    assert marks[1].get_xdata()[0] == pytest.approx(row["correct"] + row["incorrect"])
    assert marks[1].get_ydata()[0] == pytest.approx(1 - row["accuracy_attempted"])


def test_reliability_bins_hold_every_answer_once():
    drawn = line(reliability_plot({"before": best_guesses(BEFORE)}, [METRICS[0]]), "after")
    said, right = drawn.get_xdata(), drawn.get_ydata()
    assert (
        len(said) == 10 and np.mean(said) == pytest.approx(P.mean()) and np.mean(right) == pytest.approx(RIGHT.mean())
    )


def test_equal_confidence_is_one_bin():
    same = ForcedAnswers(IDS, RIGHT, np.full(N, 0.7))
    drawn = line(reliability_plot({"x": same}), "after")
    assert drawn.get_xdata().tolist() == pytest.approx([0.7]) and drawn.get_ydata()[0] == pytest.approx(RIGHT.mean())


def test_the_threshold_of_a_model_that_goes_by_its_probability():
    plot = threshold_plot(start_source(START), AFTER)
    assert line(plot, "after").get_xdata().tolist() == [0.5, 0.9]
    for t, found in zip((0.5, 0.9), line(plot, "after").get_ydata(), strict=True):
        assert found == pytest.approx(t, abs=0.12)  # P is fitted to 40 answers
    assert threshold_plot(start_source(START), [one for one in AFTER if one.target == 0]) is None


def test_training_curves_are_sorted_into_pictures():
    history = [
        {"step": step, "reward": step / 10, "abstention/t=0.5": 0.1, "abstention/t=0": 0.2, "odd/t=0.5": step,
         "error/t=0": 0.0, "lonely": float("nan"), "epoch": 1}
        for step in (10, 20, 20, 30)
    ] + [{"train_runtime": 3, "step": 30}, "not an entry", {"reward": 1}]  # fmt: skip
    plots = {plot.title: plot for plot in training_plots(history, "rl")}
    assert list(plots) == ["Reward", "Abstained", "odd"], "in their order, and nothing that is 0 all along"
    assert line(plots["Reward"], "after").get_xdata().tolist() == [10, 20, 30], (
        "a step that was logged again counts once"
    )
    assert "t = 0: from 0.2 to 0.2 and t = 0.5: from 0.1 to 0.1" in plots["Abstained"].alt
    assert len({plot.name for plot in plots.values()}) == 3


@pytest.mark.parametrize("targets", [1, 4, 5, 9])
def test_no_title_stands_on_its_legend(targets):
    keys = ["reward", *(f"abstention/t={place / 10:g}" for place in range(targets))]
    plots = training_plots([{"step": step, **dict.fromkeys(keys, 0.5)} for step in (1, 2)], "rl")
    boxes = []
    for plot in plots:
        FigureCanvasAgg(plot.figure).draw()
        axes = plot.figure.axes[0]
        title = axes._left_title.get_window_extent()
        assert title.y1 <= plot.figure.bbox.y1
        for text in axes.get_legend().get_texts() if axes.get_legend() else ():
            assert title.y0 > text.get_window_extent().y1
        boxes.append((plot.figure.bbox.y1, axes.bbox.bounds, title.y0))
    assert len(plots) == 2 and boxes[0] == boxes[1]


def test_held_out_curves_come_first_and_name_their_data_set_where_there_are_two():
    def titles(*sets):
        keys = [
            "abstention/t=0.5",
            "guards/effective_threshold/t=0.5",
            *(f"heldout/{name}/score{target}" for name in sets for target in ("", "/t=0.5")),
        ]
        return [plot.title for plot in training_plots([{"step": s, **dict.fromkeys(keys, 0.5)} for s in (1, 2)], "rl")]

    rest = ["Abstained", "Effective threshold in training"]
    assert titles("geo") == ["Held-out score", *rest]
    assert titles("geo", "my/set") == ["Held-out score, geo", "Held-out score, my/set", *rest]


def test_responses_show_mean_and_range_of_seeds():
    lines = [AxisResponse("none", [1e-5, 1e-3], [[0.1, 0.3], [0.2]]), AxisResponse("_x", [1e-5], [[0.4]])]
    plot = response_plot("r", "Regret", "rate", lines, [(1e-5, "1e-05"), (1e-3, "0.001")], rate=False)
    axes = plot.figure.axes[0]
    assert axes.get_xscale() == "log"
    assert next(one for one in axes.lines if len(one.get_xdata()) == 2).get_ydata().tolist() == [0.2, 0.2]
    assert "none: 0.2 at 1e-05 and 0.2 at 0.001." in plot.alt
    assert len(axes.get_legend().get_texts()) == 2


def test_files_are_the_same_for_the_same_numbers(tmp_path):
    one, other = (score_plot(METRICS, LABELS, START) for _ in range(2))
    assert one.svg == other.svg
    paths = one.save(tmp_path / "plots")
    assert [path.name for path in paths] == ["score.svg", "score.png"]
    assert paths[1].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    ElementTree.fromstring(paths[0].read_text())


def test_a_plot_in_a_page_follows_the_theme_and_keeps_to_itself():
    plots = [score_plot(METRICS, LABELS, START), outcomes_plot(METRICS, LABELS)]
    pages = [inline_svg(plot) for plot in plots]
    for plot, page in zip(plots, pages, strict=True):
        assert set(re.findall("#[0-9a-f]{6}", page)) == set(), "every colour is a variable"
        assert set(re.findall(r"var\(--plot-([\w-]+)\)", page)) <= {*ROLES, "font"}
        assert all(id.startswith(plot.name) for id in re.findall(r'\bid="([^"]*)"', page))
        assert "DejaVu" not in page and 'role="img"' in page
    ids = [set(re.findall(r'\bid="([^"]*)"', page)) for page in pages]
    assert not ids[0] & ids[1]
    assert all(f"--plot-{role}:" in css_variables(1) for role in ROLES)


def test_words_in_a_plot_are_escaped():
    hostile = response_plot(
        "x", '</title><script>"&', "a<b", [AxisResponse("", ["$x_"], [[1.0]])], [("$x_", "$\\frac")], rate=True
    )
    page = inline_svg(hostile)
    assert "<script" not in page and "&lt;script" in page and 'aria-label="&lt;/title>' not in page
    ElementTree.fromstring(page.replace(" xmlns:xlink", ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink'))


def _luminance(hex_color: str) -> float:
    channels = [int(hex_color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("scheme", "paper"), [(0, "#fbfaf7"), (1, "#191b1d")])
def test_contrast_is_enough_to_read_by(scheme, paper):
    """WCAG 2: 4.5 for text, 3 for lines."""
    for role in ("ink", "muted", "wrong"):
        assert _contrast(ROLES[role][scheme], paper) >= 4.5, role
    for role in ("after", "before", "oracle", *(f"between-{i}" for i in range(3)), *(f"ramp-{i}" for i in range(6))):
        assert _contrast(ROLES[role][scheme], paper) >= 3, role
    for role in ("right", "wrong", "abstained", "ungraded"):
        assert _contrast(ROLES[role][scheme], ROLES[f"on-{role}"][scheme]) >= 4.5, role


def test_every_colour_is_one_role():
    lights = [light for light, _ in ROLES.values()]
    assert len(set(lights)) == len(lights), "inline_svg tells roles apart by their colour"
