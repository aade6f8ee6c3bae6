"""Responses with all the scores that they have, before anything is fitted."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from abstain.evals.detectors.pair import Pair, errors_of, question_ids

_COUNT = re.compile(r"(\d[\d,]*) of (\d[\d,]*)")


@dataclass(frozen=True)
class Scored:
    """Responses, and what is known of each.

    Args:
        pairs: n of them.
        values: by the detector's name (n,), or (n, L) for a score of each layer. Higher is more likely wrong as its
            source says; NaN where it cannot be computed.
        layers: of a layered score, which layers its columns are.
        features: what probes see, (n, d): hidden states, and features of the logits; `None` where nobody asked.
        notes: what there is to say, such as how many responses have no score and why.
    """

    pairs: tuple[Pair, ...]
    values: Mapping[str, np.ndarray]
    layers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    features: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def correct(self) -> np.ndarray:
        """1 if the response is right, 0 if it is wrong, NaN if nobody knows."""
        return 1 - errors_of(self.pairs)

    @property
    def questions(self) -> list[str]:
        """Which question each response is to."""
        return question_ids(self.pairs)

    def pick(self, rows: Sequence[int] | np.ndarray) -> "Scored":
        """These responses only: places, or a mask.

        Example:
            >>> two = Scored((Pair("Who?", "Bo"), Pair("Who?", "Al")), {"length": np.array([1.0, 2.0])})
            >>> two.pick([1]).values["length"]
            array([2.])
        """
        places = np.arange(len(self.pairs))[np.asarray(rows)]
        return replace(
            self,
            pairs=tuple(self.pairs[place] for place in places),
            values={name: column[places] for name, column in self.values.items()},
            features=None if self.features is None else self.features[places],
        )

    def with_values(self, **more: np.ndarray) -> "Scored":
        """The same with further scores."""
        return replace(self, values={**self.values, **more})


def joined(parts: Sequence[Scored]) -> Scored:
    """Several lots as one; a score that one of them lacks is NaN there.

    Example:
        >>> lots = [Scored((Pair("Who?", "Bo"),), {"length": np.array([1.0])}), Scored((Pair("Who?", "Al"),), {})]
        >>> joined(lots).values["length"]
        array([ 1., nan])
    """
    known = {name: column for part in parts for name, column in part.values.items()}
    values = {
        name: np.concatenate(
            [part.values.get(name, np.full((len(part.pairs), *column.shape[1:]), np.nan)) for part in parts]
        )
        for name, column in known.items()
    }
    features = [part.features for part in parts if part.features is not None]
    return Scored(
        tuple(pair for part in parts for pair in part.pairs),
        values,
        {name: layers for part in parts for name, layers in part.layers.items()},
        np.concatenate(features) if features and len(features) == len(parts) else None,
        summed_notes([note for part in parts for note in part.notes]),
    )


def summed_notes(notes: Sequence[str]) -> tuple[str, ...]:
    """Notes of several lots, those that differ in "3 of 256" only as one.

    Example:
        >>> summed_notes(["1 of 3 responses are empty", "2 of 3 responses are empty", "no samples"])
        ('3 of 6 responses are empty', 'no samples')
    """
    counts: dict[str, list[int]] = {}
    for note in notes:
        found = _COUNT.search(note)
        parts, whole = (int(number.replace(",", "")) for number in found.groups()) if found else (0, 0)
        total = counts.setdefault(_COUNT.sub("{} of {}", note.replace("{", "(").replace("}", ")"), count=1), [0, 0])
        total[0] += parts
        total[1] += whole
    return tuple(text.replace("{} of {}", f"{part:,} of {whole:,}") for text, (part, whole) in counts.items())
