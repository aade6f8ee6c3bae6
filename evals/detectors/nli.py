"""Does one text entail another, contradict it, or neither? Any sequence classifier that was trained on NLI."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from abstain.evals.detectors.asked import reading_only
from abstain.evals.progress import Advance, followed
from abstain.rewards.errors import nearest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)
"""The columns of what an `Entailment` returns."""
LABELS = ("entailment", "neutral", "contradiction")


class Entailment(Protocol):
    """Judges whether a hypothesis follows from a premise."""

    calls: int
    """How many distinct pairs of texts it has read so far."""

    def __call__(self, texts: Sequence[tuple[str, str]], *, progress: str | Advance | None = None) -> np.ndarray:
        """Probabilities of entailment, neutral and contradiction, (n, 3), for (premise, hypothesis) each."""


class NliModel:
    """A transformers sequence classifier as an `Entailment`.

    Which of its classes is which, its configuration says (`id2label`). A model of two classes has no neutral one, as
    that of SelfCheckGPT. A text that exceeds the context is cut off at its end, the longer of the two first.

    Args:
        model: a sequence classifier.
        tokenizer: its tokenizer.
        labels: which class is which, as in {0: "contradiction", 1: "entailment"}, where the configuration says
            nothing but LABEL_0.
        batch_tokens: tokens of a batch, padding included.

    Raises:
        ValueError: entailment or contradiction is not among the labels.

    Example:
        >>> from types import SimpleNamespace
        >>> config = SimpleNamespace(id2label={0: "CONTRADICTION", 1: "ENTAILMENT", 2: "NEUTRAL"})
        >>> NliModel(SimpleNamespace(config=config), None).columns
        {'contradiction': 0, 'entailment': 1, 'neutral': 2}
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        *,
        labels: Mapping[int, str] | None = None,
        batch_tokens: int = 4_096,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.batch_tokens = batch_tokens
        self.calls = 0
        self.columns = label_columns(labels or model.config.id2label)

    @classmethod
    def load(cls, name: str, **options: Any) -> "NliModel":
        """From a hub id or a folder; `options` are those of the class.

        Raises:
            OSError: no such model.
            ValueError: no classifier, or its labels are none of NLI.
        """
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(name)
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model, AutoTokenizer.from_pretrained(name), **options)

    def __call__(self, texts: Sequence[tuple[str, str]], *, progress: str | Advance | None = None) -> np.ndarray:
        """See `Entailment`. The same two texts are read once."""
        import torch

        from abstain.evals.sampler import batches

        distinct = list(dict.fromkeys(texts))
        self.calls += len(distinct)
        if not distinct:
            return np.zeros((0, len(LABELS)))
        limit = min(self.tokenizer.model_max_length, getattr(self.model.config, "max_position_embeddings", 512))
        one, other = zip(*distinct, strict=True)
        encoded = self.tokenizer(list(one), list(other), truncation="longest_first", max_length=limit)
        lengths = [len(row) for row in encoded["input_ids"]]
        found = np.zeros((len(distinct), len(LABELS)))
        with followed(progress, len(distinct)) as advance, reading_only(self.model):
            for batch in batches(lengths, 1, 0, self.batch_tokens):
                rows = {name: [values[i] for i in batch] for name, values in encoded.items()}
                padded = self.tokenizer.pad(rows, return_tensors="pt").to(self.model.device)
                chances = torch.softmax(self.model(**padded).logits.double(), -1).cpu().numpy()
                for name, column in self.columns.items():
                    found[batch, LABELS.index(name)] = chances[:, column]
                advance(len(batch))
        places = {pair: place for place, pair in enumerate(distinct)}
        return found[[places[pair] for pair in texts]]


def label_columns(labels: Mapping[Any, str]) -> dict[str, int]:
    """Which class is which, by what they are called.

    Args:
        labels: names by class.

    Raises:
        ValueError: there is no entailment, or no contradiction.

    Example:
        >>> label_columns({0: "entail", 1: "contradict"})
        {'entailment': 0, 'contradiction': 1}
        >>> label_columns({0: "LABEL_0", 1: "LABEL_1"})
        Traceback (most recent call last):
        ...
        ValueError: label 'LABEL_0' of the NLI model is no label of NLI. Allowed: contradiction, ...
    """
    found = {}
    for column, label in labels.items():
        name = next((name for name in LABELS if label.strip().lower()[:6] == name[:6]), None)
        if name is None or name in found:
            raise ValueError(
                f"label {label!r} of the NLI model is {'no' if name is None else 'a second'} label of NLI. "
                f"{nearest(label.lower(), LABELS)} Say which is which: labels={{0: 'entailment', …}}"
            )
        found[name] = int(column)
    if missing := {"entailment", "contradiction"} - set(found):
        raise ValueError(f"the NLI model has no class of {' or '.join(sorted(missing))}, only {', '.join(found)}")
    return found
