"""What the page of one run says: the table, the plots, the curves, the answers."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from abstain.evals.audit.plots import threshold_plot
from abstain.evals.audit.sources import start_source
from abstain.evals.metrics.schema import BY_TARGET, OVERALL, Metrics
from abstain.evals.plots.confidence import best_guesses, reliability_plot, risk_coverage_plot
from abstain.evals.plots.outcomes import outcomes_plot, score_plot
from abstain.evals.plots.style import Plot
from abstain.evals.plots.training import targets_in, training_plots
from abstain.evals.tables.footnotes import ECE_GROWS, ORACLES, ece_grew
from abstain.evals.tables.formats import prose_decimal, prose_percent
from abstain.recipes.report.attribution import documents_content
from abstain.recipes.report.examples import as_json, examples, shown
from abstain.recipes.report.knowledge import knowledge_content
from abstain.recipes.report.source import RunData
from abstain.recipes.report.words import START, further, headline, readings
from abstain.recipes.run.yaml_lines import write_yaml

TEMPLATE = "run.html.jinja"
STAGES = {
    "format": "Teaching the form of an answer",
    "sft": "Supervised fine-tuning",
    "offline": "Preferences among its own samples",
    "rl": "Reinforcement learning",
}
COLUMNS = (
    *("abstained", "correct", "incorrect", "accuracy_attempted"),
    *("score", "regret", "always_answer_score", "ungraded"),
)
_CONFIDENCE = ("auroc", "aurc", "ece", "brier")


def run_content(run: RunData) -> tuple[dict[str, Any], list[Plot]]:
    """What `run.html.jinja` names, and the pictures in it."""
    plots, stages = behaviour(run), training(run)
    rows = table_rows(run.metrics, run.names)
    verdict, told = run.conclusion, headline(run.metrics)
    speaks = bool(verdict) and verdict.get("kind") != "better"  # what went wrong is said first
    shown_sides = [label for label in ("before", "after") if label in run.records]
    recipe = {key: value for key, value in run.recipe.items() if key not in ("made_with", "output_dir")}
    known = knowledge_content(run.metrics, run.names)
    payload = examples({label: run.records[label] for label in shown_sides}) if shown_sides else None
    content = {
        "title": f"{_name(run)}: abstain report",
        "name": _name(run),
        "facts": _facts(run),
        "headline": shown(verdict["words"]) if speaks else told,
        "verdict": shown(verdict["words"]) if verdict and not speaks else "",
        "further": [
            *([told] if speaks else []),
            *map(shown, verdict.get("further", ())),
            *further(run.metrics, regret=not verdict),
            *readings(run.metrics, _history(run, "rl")),
        ],
        "missing": run.missing,
        "broken": [shown(one) for one in run.broken],
        "two": len(run.metrics) > 1,
        "heads": ["t", *(["measured"] if len(run.metrics) > 1 else []), *(BY_TARGET[key].plain for key in COLUMNS)],
        "rows": rows,
        "terms": _terms(run.metrics, run.names),
        "knowledge": known,
        "documents": documents_content(run.metrics),
        "plots": plots,
        "stages": [(STAGES.get(stage, stage), found) for stage, found in stages.items()],
        "examples": Markup(as_json(payload)) if payload else "",  # as_json leaves nothing that markup could begin with
        "examples_lead": _lead(payload) if payload else "",
        "sides": shown_sides,
        "two_sides": len(shown_sides) > 1,
        "versions": _versions(run.recipe),
        "recipe": shown(write_yaml(recipe), 50_000) if run.recipe else "",
        "repeat": f"abstain train {shlex.quote(_from_here(run.path))} output_dir=NEW" if run.recipe else "",
    }
    drawn = [*([known["plot"]] if known else []), *plots]
    return content | {"sections": sections(content)}, [*drawn, *(plot for found in stages.values() for plot in found)]


def behaviour(run: RunData) -> list[Plot]:
    """The pictures that can be drawn of what there is."""
    metrics, names = list(run.metrics.values()), _named(run.names)
    found: list[Plot | None] = []
    if metrics:
        found += [score_plot(metrics, names, run.start), outcomes_plot(metrics, names)]
    guesses = {label: best_guesses(run.records[label]) for label in ("before", "after") if label in run.records}
    if guesses:
        called = _named({label: run.names.get(label, label) for label in guesses})
        named = dict(zip(called, guesses.values(), strict=True))
        found.append(risk_coverage_plot(named, run.metrics.get("after")))
        found.append(reliability_plot(named, [run.metrics.get(label) for label in guesses]))
    if run.start is not None and "after" in run.records:
        seed = run.metrics["after"]["interval"]["seed"] if "after" in run.metrics else 0
        found.append(threshold_plot(start_source(run.start), run.records["after"], seed))
    return [plot for plot in found if plot is not None]


def training(run: RunData) -> dict[str, list[Plot]]:
    """Curves of each stage, the last one first."""
    histories = {stage: run.stages[stage]["log_history"] for stage in reversed(list(run.stages))}
    targets = set[float]().union(*map(targets_in, histories.values()))
    found = {stage: training_plots(history, stage, targets) for stage, history in histories.items()}
    return {stage: plots for stage, plots in found.items() if plots}


def _history(run: RunData, stage: str) -> list[Mapping[str, Any]]:
    history = run.stages.get(stage, {}).get("log_history", [])
    return [entry for entry in history if isinstance(entry, Mapping)]


def table_rows(metrics: Mapping[str, Metrics], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The table, a row for each target and stage, as text."""
    rows = [(row, label) for label, one in metrics.items() for row in one["by_target"]]
    rows.sort(key=lambda pair: pair[0]["target"])  # stable: before stays above after
    found = []
    for place, (row, label) in enumerate(rows):
        first = place == 0 or rows[place - 1][0]["target"] != row["target"]
        last = place == len(rows) - 1 or rows[place + 1][0]["target"] != row["target"]
        classes = " ".join([label if len(metrics) > 1 else "", "first" * first, "last" * last]).split()
        target = f"{row['target']:g}" if first else ""
        found.append({"target": target, "label": names[label], "classes": " ".join(classes), "cells": _cells(row)})
    return found


def sections(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sections that there are, as ids and names."""
    known = {
        "results": "rows",
        "knowledge": "knowledge",
        "documents": "documents",
        "plots": "plots",
        "training": "stages",
    }
    known |= {"examples": "examples", "recipe": "recipe"}
    names = {"knowledge": "What it knew", "plots": "Behaviour", "recipe": content.get("recipe_title", "Recipe")}
    return [(id, names.get(id, id.capitalize())) for id, key in known.items() if content.get(key)]


def _cells(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each number, and what stands small beside it."""
    interval = " to ".join(prose_decimal(end, 2) for end in row["score_ci"] or ())
    shares = [key for key in COLUMNS if BY_TARGET[key].kind in ("rate", "share")]
    return [
        (prose_percent(row[key], 1) if key in shares else prose_decimal(row[key]), interval if key == "score" else "")
        for key in COLUMNS
    ]


def _terms(metrics: Mapping[str, Metrics], names: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the columns mean."""
    if not metrics:
        return []
    last = list(metrics.values())[-1]
    asked = f"{last['n']:,.0f} questions" if last["n"] else "Questions"
    terms = [
        ("rates", f"Fractions of all questions. {asked} of {last['task'] or 'a task'}, each asked at every target t."),
        ("score", "Points per question: 1 if right, −t/(1−t) if wrong, 0 for “I don't know”; with its 95 % interval."),
    ]
    if (kind := last["oracle"]) in ORACLES:
        oracle = f"Score of the {kind} oracle less the score. The oracle {ORACLES[kind].format(start=START)}."
        always = f"Score of {START}'s best guesses, all of them given. Never answering scores 0."
        terms += [("regret", oracle), ("always answer", always)]
    for label, one in metrics.items():
        known = [f"{OVERALL[key].plain} {prose_decimal(one[key])}" for key in _CONFIDENCE if one[key] is not None]
        if known:
            term = f"confidence {names[label]}" if len(metrics) > 1 else "confidence"
            terms.append((term, f"{', '.join(known)}, of its best guesses."))
    return terms + ([("ECE", ECE_GROWS)] if ece_grew([one["ece"] for one in metrics.values()]) else [])


def _lead(payload: Mapping[str, Any]) -> str:
    some = (
        f"{len(payload['questions']):,} of {payload['asked']:,} questions, drawn evenly. " if payload["asked"] else ""
    )
    both = len(payload["sides"]) > 1
    cells = "Choose what became of what, or search. " if both else "Choose a verdict, or search. "
    return f"{some}{cells}A click on a question shows what the model wrote, word for word."


def _facts(run: RunData) -> list[str]:
    last = run.metrics.get("after") or run.metrics.get("before") or {}
    before = run.metrics.get("before") or {}
    facts = []
    if last.get("task"):
        facts.append(f"task {last['task']}, {last['n'] or 0:,.0f} questions")
    if "seed" in run.recipe:
        facts.append(f"seed {run.recipe['seed']}")
    if base := before.get("model") or last.get("start"):
        facts.append(f"from {base}")
    for stage in (run.recipe.get("offline"), run.recipe.get("rl")):
        if isinstance(stage, dict) and stage.get("algorithm"):
            facts.append(str(stage["algorithm"]).upper())
    return [shown(fact, 120) for fact in facts]


def _name(run: RunData) -> str:
    after = run.metrics.get("after") or {}
    return shown(run.recipe.get("name") or after.get("model") or run.path.resolve().name, 80)


def _named(names: Mapping[str, str]) -> list[str]:
    """One model alone is not "after" anything."""
    alone = {"before": "starting model"}
    return list(names.values()) if len(names) > 1 else [alone.get(label, "the model") for label in names]


def _from_here(path: Path) -> str:
    """The recipe of a run as one would type it, and no path of this machine."""
    whole, here = path.resolve() / "recipe.yaml", Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else Path(*whole.parts[-2:]))


def _versions(recipe: Mapping[str, Any]) -> dict[str, str]:
    made = recipe.get("made_with")
    return {shown(key, 40): shown(value, 60) for key, value in made.items()} if isinstance(made, dict) else {}
