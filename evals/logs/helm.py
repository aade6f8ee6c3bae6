"""HELM: a run's `per_instance_stats.json`, with `scenario_state.json` and `run_spec.json` beside it if they are there.

    [{"instance_id": "id1", "train_trial_index": 0, "stats": [{"name": {"name": "exact_match", "split": "test"},
      "mean": 1.0}, ...]}]

`max_prob` is the probability of the completion, and is taken as its confidence, unless the model gave no
log-probabilities: then HELM writes 1 for all. Where each choice was asked about by itself
(`multiple_choice_separate_...`) it is the softmax over the choices, and the answer is the reference that
`predicted_index` names. Of several completions HELM grades the likeliest. Perturbed copies of a question (typos, ...)
are left out.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.evals.files import read_document
from abstain.evals.logs.batch import (
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    as_list,
    batches,
    grade_of,
    printable,
    stated_target,
)
from abstain.evals.logs.grades import INCORRECT, NONE, ZERO
from abstain.rewards.errors import nearest

NAME = "HELM run"
STATS, STATE, SPEC = "per_instance_stats.json", "scenario_state.json", "run_spec.json"
METRICS = (
    "quasi_exact_match",
    "exact_match",
    "quasi_prefix_exact_match",
    "prefix_exact_match",
    "final_number_exact_match",
    "math_equiv_chain_of_thought",
    "math_equiv",
    "chain_of_thought_correctness",
    "omni_math_accuracy",
)
"""Metrics that say whether an answer is right, the first that a run has counts."""
Key = tuple[str, int]
"""An instance's id and its trial; "" and its place if it has none."""


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
        stats, state = _beside(path, STATS, problems), document
    else:
        stats, state = document, as_dict(_beside(path, STATE, problems))
    spec = as_dict(_beside(path, SPEC, problems))
    run = _Run(path, stats if isinstance(stats, list) else [], state, spec, options, problems)
    return batches(path, "sample", run.entries())


def _beside(path: Path, name: str, problems: Problems) -> Any:
    other = path.with_name(name)
    if not other.is_file():
        return None
    try:
        return read_document(other, problems.add)
    except ValueError as error:
        problems.add(other, "not JSON", str(error), lost=False)
        return None


@dataclass(frozen=True)
class _Run:
    """A run that is being read."""

    path: Path
    stats: list[Any]
    state: dict[str, Any]
    spec: dict[str, Any]
    options: Options
    problems: Problems

    def entries(self) -> Iterator[Entry]:
        """Each instance and trial as an entry."""
        adapter = as_dict(self.spec.get("adapter_spec")) or as_dict(self.state.get("adapter_spec"))
        model = str(adapter.get("model_deployment") or adapter.get("model") or "")
        task = str(self.spec.get("name") or self.path.resolve().parent.name).partition(":")[0]
        measured = self._measured()
        asked = self._states(graded=bool(measured))
        metric = self._metric(measured)
        has_probabilities = any(0 < values.get("max_prob", 1.0) < 1 for values in measured.values())
        for place, key in enumerate(dict.fromkeys([*measured, *asked]), 1):
            values = measured.get(key, {})
            if metric and metric not in values:
                self._tell(place, "no metric", f"no value of {metric}")
            where = f"{self.path}: sample {place}: {metric}"
            grade = grade_of(values.get(metric), self.path, where, self.options, self.problems)
            entry = Entry(place, key[0] or None, model, task, grade, repeat=key[1] if key[0] else 0)
            entry.confidence = values.get("max_prob") if has_probabilities else None
            if key in asked:
                _fill(entry, asked[key], values.get("predicted_index"))
            yield entry

    def _tell(self, place: int, kind: str, message: str, *, lost: bool = False) -> None:
        self.problems.add(self.path, kind, f"{self.path}: sample {place}: {message}", lost=lost)

    def _measured(self) -> dict[Key, dict[str, float]]:
        """Metric values of each instance and trial, perturbed copies left out."""
        found: dict[Key, dict[str, float]] = {}
        for place, one in enumerate(self.stats, 1):
            instance = as_dict(one)
            if "instance_id" not in instance or not isinstance(instance.get("stats"), list):
                self._tell(place, "not an instance", "no HELM instance: lacks instance_id or stats", lost=True)
                continue
            if instance.get("perturbation"):
                self._tell(place, "perturbed", "a perturbed copy of a question, left out", lost=True)
                continue
            key = _key(instance["instance_id"], instance)
            if key is None:
                key = "", place
                self._tell(place, "no id", "no instance_id; a question of its own")
            elif key in found:
                self._tell(
                    place, "duplicate", "the same instance and trial as an earlier one, which counts", lost=True
                )
                continue
            found[key] = _means(instance["stats"])
        return found

    def _states(self, *, graded: bool) -> dict[Key, dict[str, Any]]:
        """What was asked and answered; of a question asked once for each choice, the first request."""
        found: dict[Key, dict[str, Any]] = {}
        states = self.state.get("request_states")
        for place, one in enumerate(states if isinstance(states, list) else [], 1):
            instance = as_dict(as_dict(one).get("instance"))
            if not instance:
                self._tell(place, "not a request", f"no HELM request in {STATE}: lacks its instance", lost=not graded)
                continue
            if instance.get("perturbation"):
                continue  # told of with its numbers
            key = _key(instance.get("id"), one)
            if key is None:
                why = "its answer cannot be matched with a grade" if graded else "a question of its own"
                self._tell(place, "no id in state", f"no id in {STATE}: {why}")
                if graded:
                    continue
                key = "", place
            found.setdefault(key, one)
        return found

    def _metric(self, measured: dict[Key, dict[str, float]]) -> str:
        wanted, names = self.options.metric, dict.fromkeys(name for values in measured.values() for name in values)
        if wanted and names and wanted not in names:
            raise ValueError(f"{self.path}: no metric {wanted!r}. {nearest(wanted, names)}")
        known = [name for name in METRICS if name in names]
        chosen = wanted or next(iter(known), "")
        if len({chosen, *known} - {""}) > 1:
            self.problems.note(self.path, f"graded by {printable(chosen)} of {', '.join(known)}")
        return chosen


def _key(name: Any, one: dict[str, Any]) -> Key | None:
    if name is None or name == "":
        return None
    trial = one.get("train_trial_index")
    return str(name), trial if isinstance(trial, int) and 0 <= trial < 30_000 else 0


def _means(stats: list[Any]) -> dict[str, float]:
    """The means of an instance's metrics, those of perturbed copies left out."""
    found: dict[str, float] = {}
    for stat in map(as_dict, stats):
        name, mean = as_dict(stat.get("name")), _number(stat.get("mean"))
        if not name.get("perturbation") and mean is not None:
            found.setdefault(str(name.get("name")), mean)
    return found


def _fill(entry: Entry, state: dict[str, Any], predicted: float | None) -> None:
    instance, result = as_dict(state.get("instance")), as_dict(state.get("result"))
    question = as_dict(instance.get("input")).get("text")
    entry.question = question if isinstance(question, str) else None
    prompt = as_dict(state.get("request")).get("prompt")
    entry.prompt = prompt if isinstance(prompt, str) and prompt else entry.question
    entry.target = stated_target(entry.prompt)
    references = [as_dict(one) for one in as_list(instance.get("references"))]
    texts = [text if isinstance(text := as_dict(one.get("output")).get("text"), str) else "" for one in references]
    right = [text for text, one in zip(texts, references, strict=True) if "correct" in as_list(one.get("tags"))]
    entry.gold = right or None
    if state.get("reference_index") is not None:  # each choice was asked about by itself; nothing was said
        entry.prompt = entry.question
        named = predicted is not None and predicted.is_integer() and 0 <= predicted < len(texts)
        entry.completion = texts[int(predicted)] if named else None  # type: ignore[arg-type]
        if entry.grade == ZERO:
            entry.grade = INCORRECT  # among choices nobody abstains
    else:
        entry.completion = _said(result, as_dict(state.get("output_mapping")))
    if not result.get("success", True):
        entry.grade, entry.completion = NONE, None


def _said(result: dict[str, Any], letters: dict[str, Any]) -> str | None:
    """The likeliest completion, as HELM takes it; the letter of a choice as what it stands for."""
    said = [one for one in map(as_dict, as_list(result.get("completions"))) if isinstance(one.get("text"), str)]
    if not said:
        return None
    text: str = max(said, key=_log_probability)["text"]
    meant = letters.get(text.strip())
    return meant if isinstance(meant, str) else text


def _log_probability(completion: dict[str, Any]) -> float:
    value = _number(completion.get("logprob"))
    return -math.inf if value is None else value


def _number(value: Any) -> float | None:
    """The value if it is a number that a float can hold, and not NaN."""
    try:
        return float(value) if isinstance(value, int | float) and not math.isnan(value) else None
    except OverflowError:
        return None
