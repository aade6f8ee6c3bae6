"""A `Checker` for real text: a model of natural language inference says what a reference makes of a claim."""

from collections.abc import Sequence
from typing import Any

from abstain.rewards.claims.claim import Claim, Support
from abstain.rewards.errors import nearest

LABELS = {
    "entailment": Support.ENTAILMENT,
    "neutral": Support.NEUTRAL,
    "contradiction": Support.CONTRADICTION,
}
_WORST_LAST = (Support.CONTRADICTION, Support.ENTAILMENT, Support.NEUTRAL, Support.UNCHECKED)


class NliChecker:
    """Holds each claim against each of its references, one sequence pair at a time.

    Of several references the one with the clearest word counts: contradicted by any is CONTRADICTION, else entailed by
    any is ENTAILMENT. Without a reference it is UNCHECKED. A reference longer than the model reads is cut at its end.

    Args:
        model, tokenizer: a sequence classifier of transformers whose labels are entailment, neutral and contradiction.
        batch: pairs at once.

    Raises:
        ValueError: the model has other labels.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch: int = 32) -> None:
        self.model, self.tokenizer, self.batch = model, tokenizer, batch
        names = {int(place): str(name).lower() for place, name in model.config.id2label.items()}
        lacking = [label for label in LABELS if label not in names.values()]
        if lacking:
            raise ValueError(
                f"this is no model of inference: it has no label {lacking[0]!r}, but "
                f"{', '.join(sorted(names.values()))}. {nearest(sorted(names.values())[0], LABELS)}"
            )
        self._label = {place: LABELS[name] for place, name in names.items() if name in LABELS}

    @classmethod
    def load(cls, name_or_path: str, *, revision: str | None = None) -> "NliChecker":
        """A model from the hub or a folder; code that comes with it is never run.

        Raises:
            OSError, ValueError: it cannot be loaded, or is no model of inference.
        """
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # take seconds to import

        model = AutoModelForSequenceClassification.from_pretrained(name_or_path, revision=revision)
        return cls(model.eval(), AutoTokenizer.from_pretrained(name_or_path, revision=revision))

    def check(self, claims: Sequence[Claim], references: Sequence[Sequence[str]]) -> list[Support]:
        """One label per claim."""
        pairs = [
            (place, reference, claim.sentence)
            for place, (claim, texts) in enumerate(zip(claims, references, strict=True))
            for reference in texts
            if reference.strip()
        ]
        found = [Support.UNCHECKED] * len(claims)
        order = sorted(range(len(pairs)), key=lambda row: -len(pairs[row][1]))
        for start in range(0, len(order), self.batch):
            rows = [pairs[row] for row in order[start : start + self.batch]]
            for (place, _, _), label in zip(rows, self._labels(rows), strict=True):
                found[place] = min(found[place], label, key=_WORST_LAST.index)
        return found

    def _labels(self, rows: Sequence[tuple[int, str, str]]) -> list[Support]:
        import torch

        room = min(getattr(self.tokenizer, "model_max_length", 512), 100_000)
        encoded = self.tokenizer(
            [reference for _, reference, _ in rows],
            [claim for _, _, claim in rows],
            truncation="only_first",
            max_length=room if room < 100_000 else None,
            padding=True,
            return_tensors="pt",
        ).to(self.model.device)
        with torch.no_grad():
            logits = self.model(**encoded).logits
        known = sorted(self._label)
        best = logits[:, known].argmax(-1).tolist()
        return [self._label[known[place]] for place in best]
