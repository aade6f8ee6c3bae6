"""What can be asked of `load_qa`, and the checks that need no data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from abstain.evals.presets import GENERIC, PRESETS, SIMPLEQA_REASON, Preset
from abstain.evals.splits import check_share
from abstain.rewards.errors import nearest
from abstain.rewards.graders import GRADERS

Source = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class QaOptions:
    """What `load_qa` takes."""

    data: Source | None = None
    """File, folder, hub id, or a list of them. Its splits are used if it has any; else it is divided by subject."""
    train_data: Source | None = None
    """Questions to train on, beside `test_data`."""
    test_data: Source | None = None
    """Questions to hold out; alone, there is nothing to train on."""
    preset: str = ""
    """A known question set: a key of `PRESETS`."""
    config: str | None = None
    """Configuration of the hub data set."""
    revision: str | None = None
    """Commit or tag of the hub data set."""
    split: str = ""
    """The one split of `data` to use; it is then divided by subject."""
    train_split: str = ""
    """The split of `data` to train on."""
    test_split: str = ""
    """The split of `data` to hold out."""
    question_column: str = ""
    answers_column: str = ""
    subject_column: str | None = None
    """What a question is about; "" for none. Train and held-out questions share no subject."""
    id_column: str = ""
    answerable_column: str = ""
    """A true/false column; where it is false, no answer is right."""
    separator: str | None = None
    """What separates several answers in one text, such as ";"."""
    held_out: float | None = None
    """Share to hold out, in [0, 1]. If given, all of `data` is put together and divided by subject."""
    limit: int | None = None
    """At most this many questions on each side, drawn by `seed`."""
    train_limit: int | None = None
    """At most this many questions to train on, instead of `limit`."""
    grader: str = ""
    """A key of `GRADERS`."""
    seed: int = 0
    skip_bad_rows: bool = False
    """Leave out rows without a question or a gold answer and report their number, instead of refusing the file."""


def checked_preset(asked: QaOptions) -> Preset:
    """The preset asked for, once every option that can be wrong by itself has been looked at.

    Raises:
        ValueError: an unknown preset or grader, `held_out` outside [0, 1], or SimpleQA
            as training data.

    Example:
        >>> checked_preset(QaOptions(preset="popqa")).hub
        'akariasai/PopQA'
        >>> checked_preset(QaOptions(preset="popq"))
        Traceback (most recent call last):
        ...
        ValueError: unknown preset 'popq'. Did you mean 'popqa'? Allowed: nq_open, popqa, selfaware, simpleqa,
        simpleqa_verified, triviaqa, truthfulqa.
    """
    if asked.preset and asked.preset not in PRESETS:
        raise ValueError(f"unknown preset {asked.preset!r}. {nearest(asked.preset, PRESETS)}")
    if asked.grader and asked.grader not in GRADERS:
        raise ValueError(f"unknown grader {asked.grader!r}. {nearest(asked.grader, GRADERS)}")
    if asked.held_out is not None:
        check_share(asked.held_out)
    preset = PRESETS.get(asked.preset, GENERIC)
    if any(map(_is_simpleqa, _names(asked.data) + _names(asked.train_data))):
        preset = replace(preset, evaluation_only=SIMPLEQA_REASON)
    if preset.evaluation_only and (asked.train_data or asked.train_split or asked.held_out not in (None, 1)):
        raise ValueError(preset.evaluation_only)
    return preset


def _names(source: Source | None) -> list[str]:
    if source is None:
        return []
    return [str(source)] if isinstance(source, str | Path) else [str(one) for one in source]


def _is_simpleqa(name: str) -> bool:
    return "simpleqa" in re.sub(r"[^a-z]", "", Path(name).name.lower())
