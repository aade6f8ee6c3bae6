"""Labels that nobody had to ask a model for."""

from collections.abc import Sequence

from abstain.evals.knowledge.labels import About, Category, Label, Labels, count_categories
from abstain.evals.tasks.question import Question

P = {"HighlyKnown": 1.0, "MaybeKnown": 0.5, "WeaklyKnown": 0.1, "Unknown": 0.0}


def label_of(question: Question, category: str, p: float | None = None) -> Label:
    """A label of this category, whose P(correct) is a usual one unless it is said."""
    p = P[category] if p is None else p
    shares = {"p_greedy": p, "p_sampled": None, "p_correct": p, "p_low": p, "p_high": p}
    asked = {"task": "people", "question": question.question, "gold": question.gold}
    relation = str(question.metadata.get("relation", ""))
    found = {"greedy": (), "sampled": (), "answers": ()}
    return Label(id=question.id, relation=relation, category=Category(category), **asked, **shares, **found)


def labels_by_turns(
    questions: Sequence[Question], categories: Sequence[str], fingerprint: str = "of-nobody"
) -> Labels:
    """The first question has the first category, the second the second one, and so on, again and again."""
    rows = tuple(label_of(one, categories[i % len(categories)]) for i, one in enumerate(questions))
    about = {"model": "somebody", "task": "people", "protocol": {"preset": "categories"}}
    counts = count_categories(rows)
    return Labels(About(fingerprint=fingerprint, n=len(rows), counts=counts, **about), rows)
