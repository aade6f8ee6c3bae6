"""HELM: a run's `per_instance_stats.json`, with `scenario_state.json` and `run_spec.json` beside it if they are there.

    [{"instance_id": "id1", "train_trial_index": 0, "stats": [{"name": {"name": "exact_match", "split": "test"},
      "mean": 1.0}, ...]}]

`max_prob` is the probability of the completion, and is taken as its confidence, unless the model gave no
log-probabilities: then HELM writes 1 for all. Perturbed copies of a question (typos, ...) are left out.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from abstain.evals.files import read_document
from abstain.evals.logs.batch import Batch, Entry, Options, Problems, as_dict, batches, stated_target
from abstain.evals.logs.grades import NONE, read_grade
from abstain.rewards.errors import nearest

NAME = "HELM run"
STATS, STATE, SPEC = "per_instance_stats.json", "scenario_state.json", "run_spec.json"
_METRICS = (
    "quasi_exact_match",
    "exact_match",
    "quasi_prefix_exact_match",
    "prefix_exact_match",
    "final_number_exact_match",
)
Key = tuple[str, int]


def is_document(value: Any) -> bool:
    """Whether a JSON document is one of a HELM run's."""
    if isinstance(value, dict):
        return "request_states" in value
    return isinstance(value, list) and bool(value) and {"instance_id", "stats"} <= set(as_dict(value[0]))


def read(path: Path, document: Any, options: Options, problems: Problems) -> Iterator[Batch]:
    """The instances of a run.

    Raises:
        ValueError: no instance has the metric that the user chose.
    """
    if isinstance(document, dict):
        stats: list[Any] = _beside(path, STATS, problems) or []
        state = document
    else:
        stats, state = document, as_dict(_beside(path, STATE, problems))
    spec = as_dict(_beside(path, SPEC, problems))
    return batches(path, "sample", _entries(path, stats, state, spec, options, problems))


def _beside(path: Path, name: str, problems: Problems) -> Any:
    other = path.with_name(name)
    if not other.is_file():
        return None
    try:
        return read_document(other, problems.add)
    except ValueError as error:
        problems.add(other, "not JSON", str(error), lost=False)
        return None


def _entries(
    path: Path, stats: list[Any], state: dict[str, Any], spec: dict[str, Any], options: Options, problems: Problems
) -> Iterator[Entry]:
    adapter = as_dict(spec.get("adapter_spec")) or as_dict(state.get("adapter_spec"))
    model = str(adapter.get("model_deployment") or adapter.get("model") or "")
    task = str(spec.get("name") or path.resolve().parent.name).partition(":")[0]
    asked = _states(state)
    measured = _measured(path, stats, problems)
    metric = _metric(path, measured, options)
    has_probabilities = any(0 < values.get("max_prob", 1.0) < 1 for values in measured.values())
    for place, key in enumerate(dict.fromkeys([*measured, *asked]), 1):
        values = measured.get(key, {})
        entry = Entry(place, key[0], model, task, read_grade(values.get(metric), options.pass_mark), repeat=key[1])
        entry.confidence = values.get("max_prob") if has_probabilities else None
        if key in asked:
            _fill(entry, asked[key])
        yield entry


def _measured(path: Path, stats: list[Any], problems: Problems) -> dict[Key, dict[str, float]]:
    """Metric values of each instance and trial, perturbed copies left out."""
    found: dict[Key, dict[str, float]] = {}
    for place, one in enumerate(stats, 1):
        instance = as_dict(one)
        if "instance_id" not in instance or not isinstance(instance.get("stats"), list):
            problems.add(
                path, "not an instance", f"{path}: sample {place}: no HELM instance: lacks instance_id or stats"
            )
            continue
        if instance.get("perturbation"):
            problems.add(path, "perturbed", f"{path}: sample {place}: a perturbed copy of a question, left out")
            continue
        values = found.setdefault(_key(instance), {})
        for stat in instance["stats"]:
            name = as_dict(as_dict(stat).get("name"))
            mean = as_dict(stat).get("mean")
            if not name.get("perturbation") and isinstance(mean, int | float) and not math.isnan(mean):
                values.setdefault(str(name.get("name")), float(mean))
    return found


def _key(one: dict[str, Any]) -> Key:
    trial = one.get("train_trial_index")
    return str(one.get("instance_id") or one.get("id")), trial if isinstance(trial, int) and 0 <= trial < 30_000 else 0


def _metric(path: Path, measured: dict[Key, dict[str, float]], options: Options) -> str:
    names = dict.fromkeys(name for values in measured.values() for name in values)
    if options.metric and names and options.metric not in names:
        raise ValueError(f"{path}: no metric {options.metric!r}. {nearest(options.metric, names)}")
    return options.metric or next((name for name in _METRICS if name in names), "")


def _states(state: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    found = {}
    for one in state.get("request_states") or []:
        instance = as_dict(as_dict(one).get("instance"))
        if instance.get("id") and not instance.get("perturbation"):
            trial = one.get("train_trial_index")
            found[_key({**instance, "train_trial_index": trial})] = one
    return found


def _fill(entry: Entry, state: dict[str, Any]) -> None:
    instance = as_dict(state.get("instance"))
    question = as_dict(instance.get("input")).get("text")
    entry.question = question if isinstance(question, str) else None
    prompt = as_dict(state.get("request")).get("prompt")
    entry.prompt = prompt if isinstance(prompt, str) and prompt else entry.question
    entry.target = stated_target(entry.prompt)
    right = [one for one in instance.get("references") or [] if "correct" in (as_dict(one).get("tags") or [])]
    entry.gold = [text for one in right if isinstance(text := as_dict(as_dict(one).get("output")).get("text"), str)]
    said = as_dict(state.get("result")).get("completions")
    text = as_dict(said[0]).get("text") if isinstance(said, list) and said else None
    letters = as_dict(state.get("output_mapping"))
    entry.completion = letters.get(text.strip(), text) if isinstance(text, str) else None
    if not as_dict(state.get("result")).get("success", True):
        entry.grade, entry.completion = NONE, None
