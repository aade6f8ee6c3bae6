"""A comparison of detectors for people: what it comes to, how well each ranks, and what it scores at each t."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.detectors.catalogue import DETECTORS
from abstain.evals.detectors.comparison import TRAINED
from abstain.evals.detectors.fitted import PROBABILITY
from abstain.evals.policies.agreement import SAMPLES, TEMPERATURE
from abstain.evals.policies.tables import NOT_GUARANTEED, POLICIES
from abstain.evals.tables.document import Block, Bullets, Format, Heading, Notes, render_tables
from abstain.evals.tables.formats import decimal, percent, with_interval
from abstain.evals.tables.grid import MISSING, Column, Grid
from abstain.evals.tables.table import split_interval

Found = Mapping[str, Any]


def render_detectors(found: Found, format: Format = "text", *, width: int = 100, color: bool = False) -> str:
    """A comparison in one of the formats of tables, ending in a newline.

    Args:
        found: contents of a `detect.json`.
        format: "text" or "markdown" for all of it; "json" is `found` itself; "csv" has a row per policy and target.
        width, color: as in `abstain.evals.tables.document.render_tables`.

    Raises:
        ValueError: an unknown format.
    """
    rows = [split_interval(row) for row in found["rows"]]
    caption = f"Detectors: {found['model']} on {found['n']:,} responses, {found['task']}."
    return render_tables(_blocks(found), format, rows=rows, data=found, caption=caption, width=width, color=color)


def _blocks(found: Found) -> list[Block]:
    wrong = f", {percent(found['error_rate'])} of them wrong" if found["error_rate"] is not None else ""
    scorer = f"; scores by {found['scorer']}" if found["scorer"] else ""
    heading = Heading(
        f"Detectors: {found['model']} on {found['n_graded']:,} graded responses, {found['task']}",
        f"fitted on {found['n_train']:,} others{wrong}{scorer}",
        is_title=True,
    )
    blocks: list[Block] = [heading, Bullets(sentences(found)), ranking_grid(found)]
    if found["kinds"]:
        blocks += [Heading("AUROC of finding each kind of error among right responses"), kinds_grid(found)]
    blocks += [Heading(f"Points per question of each policy at t, and on the mean more than {found['reference']}")]
    blocks += [policy_grid(found)]
    if found["equal_coverage"]:
        blocks += [Heading(f"Points more than the {TRAINED}, with as many answers"), equal_grid(found)]
    return [*blocks, Notes(_legend(found))]


def sentences(found: Found) -> list[str]:
    """What a comparison comes to, saying no more than its intervals allow."""
    base = found["reference"]
    said = [_best(found)] if any(row["auroc"] is not None for row in found["detectors"]) else []
    apart = {
        row["policy"]: row["mean_difference_ci"]
        for row in found["overall"]
        if (row["policy"] in DETECTORS or row["policy"] == TRAINED) and row["mean_difference_ci"]
    }
    better = [name for name, (low, _) in apart.items() if low > 0]
    worse = [name for name, (_, high) in apart.items() if high < 0]
    parts = [f"{', '.join(names)} score {what}" for names, what in ((better, "more"), (worse, "less")) if names]
    rest = len(apart) - len(better) - len(worse)
    if apart:
        parts += [f"of {rest} no difference can be told"] if rest else []
        said.append(f"On the mean over t, against {base}: {'; '.join(parts)}.")
    if one := found["cascade"]:
        share = percent(one["share_of_second"])
        said.append(
            f"The cascade asks {one['then']} of {share} of the responses, and {one['first']} decides the rest."
        )
    return said


def _best(found: Found) -> str:
    known = [row for row in found["detectors"] if row["auroc"] is not None]
    best = max(known, key=lambda row: row["auroc"])
    told = f"{best['detector']} ranks best here: AUROC {with_interval(best['auroc'], best['auroc_ci'])}"
    if best["difference_ci"] is None:
        return f"{told}; it is the reference."
    gap = with_interval(best["difference"], best["difference_ci"], 3)
    return f"{told}, {gap} more than {found['reference']}. It was not chosen beforehand."


def ranking_grid(found: Found) -> Grid:
    """A row for each detector: how well it tells wrong responses from right ones."""
    base = [row["detector"] == found["reference"] for row in found["detectors"]]
    return Grid.of(_RANKING, found["detectors"], dim=base)


def kinds_grid(found: Found) -> Grid:
    """A row for each detector: how well it tells responses with each kind of error from right ones."""
    rows = {(row["detector"], row["kind"]): row for row in found["kinds"]}
    names = [row["detector"] for row in found["detectors"]]
    columns = [Column("detector", "detector", lambda name: name, is_label=True)]
    for kind, count in {row["kind"]: row["n"] for row in found["kinds"]}.items():
        columns.append(_auroc_of(rows, kind, f"{kind} ({count:,})"))
    return Grid.of(columns, names, dim=[name == found["reference"] for name in names])


def _auroc_of(rows: Mapping[tuple[str, str], Found], kind: str, heading: str) -> Column:
    def cell(name: str) -> str:
        return with_interval(rows[name, kind]["auroc"], rows[name, kind]["auroc_ci"])

    return Column(heading, heading, cell)


def policy_grid(found: Found) -> Grid:
    """A row for each policy: its score at each t, and how much more on the mean than the reference."""
    by_target = {(row["policy"], row["target"]): row for row in found["rows"]}
    targets = sorted({row["target"] for row in found["rows"]})
    columns = [
        Column("policy", "policy", lambda row: row["policy"], is_label=True),
        *(_score_at(by_target, t) for t in targets),
        Column("mean", "mean", lambda row: decimal(row["mean_score"])),
        Column("regret", "regret", lambda row: decimal(row["mean_regret"])),
        Column("difference", "difference", lambda row: _gap(row["mean_difference"], row["mean_difference_ci"])),
    ]
    base = [row["policy"] == found["reference"] for row in found["overall"]]
    return Grid.of(columns, found["overall"], dim=base)


def _score_at(by_target: Mapping[tuple[str, float], Found], target: float) -> Column:
    name = f"t = {target:g}"

    def cell(row: Found) -> str:
        one = by_target.get((row["policy"], target))
        return decimal(one["score"]) if one else MISSING

    return Column(name, name, cell)


def equal_grid(found: Found) -> Grid:
    """A row for each detector: what it scores more than the trained policy with as many answers, at each t."""
    rows = [row for row in found["equal_coverage"] if row["policy"] != TRAINED]
    by_target = {(row["policy"], row["target"]): row for row in rows}
    targets = sorted({row["target"] for row in rows})
    columns = [Column("detector", "detector", lambda name: name, is_label=True)]
    for t in targets:
        share = next((row["coverage"] for row in rows if row["target"] == t), None)
        columns.append(_gap_at(by_target, t, f"t = {t:g} ({percent(share, 0)} answered)"))
    return Grid.of(columns, list(dict.fromkeys(row["policy"] for row in rows)))


def _gap_at(by_target: Mapping[tuple[str, float], Found], target: float, heading: str) -> Column:
    def cell(name: str) -> str:
        row = by_target[name, target]
        return _gap(row["difference"], row["difference_ci"])

    return Column(heading, heading.replace(" (", "\n("), cell)


def _gap(value: float | None, ends: Sequence[float] | None) -> str:
    return with_interval(value, ends, 3)


def _layer(row: Found) -> str:
    return MISSING if row["layer"] is None else str(row["layer"])


def _sign(row: Found) -> str:
    return {1: "+", -1: "−"}.get(row["sign"], MISSING)


_RANKING = (
    Column("detector", "detector", lambda row: row["detector"], is_label=True),
    Column("sign", "sign", _sign),
    Column("layer", "layer", _layer),
    Column("AUROC", "AUROC", lambda row: with_interval(row["auroc"], row["auroc_ci"])),
    Column("AP", "AP", lambda row: decimal(row["average_precision"])),
    Column("TPR at 5% FPR", "TPR at\n5% FPR", lambda row: percent(row["tpr_at_5_fpr"])),
    Column("PRR", "PRR", lambda row: decimal(row["prr"])),
    Column("AURC", "AURC", lambda row: decimal(row["aurc"])),
    Column("AUROC more", "AUROC\nmore", lambda row: _gap(row["difference"], row["difference_ci"])),
    Column("no score", "no\nscore", lambda row: f"{row['missing']:,}"),
)


def _legend(found: Found) -> list[tuple[str, str]]:
    names = [row["policy"] for row in found["overall"]]
    told = {
        "start": found["model"],
        "confidence": "probability",
        "fitted": "the responses that detectors are fitted on",
        "sure": 1 - found["delta"],
        "samples": SAMPLES,
        "temperature": TEMPERATURE,
    }
    legend = [(name, POLICIES[name].format(**told)) for name in names if name in POLICIES]
    legend += [(TRAINED, "what the run did when told each t")] * (TRAINED in names)
    if PROBABILITY in names:
        legend.append((PROBABILITY, "the model's own probability of its answer, calibrated: the reference"))
    legend += [(name, DETECTORS[name].title) for name in names if name in DETECTORS]
    if any(name.startswith("conformal") for name in names):
        legend.append(("not guaranteed", NOT_GUARANTEED))
    legend += [
        ("sign, layer", "fitted, never on these responses; − where more of the score marks what is right"),
        ("AUROC, AP, TPR, PRR", "of finding wrong responses; AURC: less is better"),
        ("[ ]", f"{found['interval']['level']:.0%} intervals; of AUROC by {found['interval']['ranking']}"),
    ]
    return [*legend, *(("note", note) for note in found["notes"])]
