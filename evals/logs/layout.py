"""Which column of a plain file is what: roles, the names such columns usually have, and what must be in them."""

from collections.abc import Mapping

from abstain.evals.logs.survey import Column
from abstain.evals.tasks.columns import ID, QUESTION, plain_name
from abstain.rewards.errors import nearest

ROLES = {
    "grade": (
        *("verdict", "grade", "grade_letter", "is_correct", "correct", "correctness", "score", "acc", "accuracy"),
        *("exact_match", "em", "judgement", "judgment", "judge", "evaluation", "passed"),
    ),
    "confidence": (
        *("confidence", "conf", "stated_confidence", "verbalized_confidence", "verbalised_confidence", "p_correct"),
        *("probability", "prob", "p_true", "max_prob"),
    ),
    "target": ("confidence_target", "target_confidence", "stated_target", "t", "target"),
    "completion": (
        *("completion", "response", "model_response", "model_output", "prediction", "predicted_answer", "predicted"),
        *("model_answer", "llm_answer", "generated_text", "generation", "output", "pred", "answer"),
    ),
    "gold": (
        *("gold", "gold_answer", "gold_answers", "golden_answers", "answers", "correct_answer", "correct_answers"),
        *("best_answer", "reference", "references", "reference_answer", "expected", "expected_answer", "ground_truth"),
        *("ideal", "target", "targets", "possible_answers", "answer"),
    ),
    "aliases": (
        *("aliases", "answer_aliases", "gold_aliases", "possible_answers", "acceptable_answers", "accepted_answers"),
        *("alternative_answers", "other_answers", "normalized_aliases"),
    ),
    "question": QUESTION,
    "id": (*ID, "sample_id", "doc_id", "idx", "index"),
    "model": ("model", "model_name", "model_id", "system"),
    "task": ("task", "benchmark", "dataset", "task_name"),
    "repeat": ("repeat", "epoch", "trial", "sample_index"),
    "prompt": ("prompt", "full_prompt"),
}
"""What a column can be, and the names that such columns usually have."""
OUTCOMES = {
    "correct": ("correct", "right", "is_correct", "accuracy"),
    "incorrect": ("incorrect", "wrong", "is_incorrect", "error", "error_rate", "errors", "hallucination_rate"),
    "abstained": ("abstained", "not_attempted", "is_not_attempted", "abstention", "abstention_rate", "idk", "abstain"),
    "ungraded": ("ungraded",),
    "n": ("n", "questions", "total", "n_questions"),
}
Layout = dict[str, str]
"""Role to the name of its column."""
_FEW = 20  # a log states so many different targets at most


def find_layout(columns: Mapping[str, Column], named: Mapping[str, str], where: str) -> Layout:
    """The column of each role that is there.

    Args:
        columns: by name, with what all rows have shown about them.
        named: role to column, as the user has it; these win.
        where: the file, for messages.

    Raises:
        ValueError: a role that does not exist, or a column that the file does not have.

    Example:
        >>> row = {"query": "Capital of Peru?", "gold_answer": "Lima", "answer": "Quito", "grade_letter": "B"}
        >>> layout = find_layout({name: Column.of([value]) for name, value in row.items()}, {}, "log.jsonl")
        >>> layout["completion"], layout["gold"], layout["grade"], layout["question"]
        ('answer', 'gold_answer', 'grade_letter', 'query')
    """
    for role, column in named.items():
        if role not in ROLES:
            raise ValueError(f"no column has the role {role!r}. {nearest(role, ROLES)}")
        if column not in columns:
            raise ValueError(f"{where}: no column {column!r} for the {role}. {nearest(column, columns)}")
    plain = {plain_name(name): name for name in reversed(list(columns))}
    layout = dict(named)
    for role in ("target", "gold", *ROLES):  # what `target` and `answer` mean depends on what else there is
        if role in layout:
            continue
        taken = set(layout.values()) if role != "prompt" else set()
        names = [(guess, plain[guess]) for guess in ROLES[role] if guess in plain and plain[guess] not in taken]
        fitting = [name for guess, name in names if _fits(role, guess, columns, plain)]
        if fitting:
            held = (name for name in fitting if len(fitting) == 1 or columns[name].holds(role))
            layout[role] = next(held, fitting[0])
    return layout


def _fits(role: str, guess: str, columns: Mapping[str, Column], plain: Mapping[str, str]) -> bool:
    if role == "target":
        return columns[plain[guess]].known > 0 and _are_targets(guess, columns, plain)
    if role == "gold" and guess == "answer":  # the gold only if the model's answer has another column
        return any(name in plain for name in ROLES["completion"] if name != "answer")
    if role == "grade" and guess in ("correct", "accuracy"):
        return not columns[plain[guess]].long
    return True


def _are_targets(guess: str, columns: Mapping[str, Column], plain: Mapping[str, str]) -> bool:
    """Whether a column states confidence targets rather than gold answers that happen to be numbers."""
    column = columns[plain[guess]]
    if len(guess) > len("target"):  # no other column is called so, and a few bad values are told about
        return 2 * column.inside > column.known
    if column.inside < column.known:
        return False
    if guess != "target" or "verdict" in plain:
        return True
    if not column.positive:
        return False
    if any(name in plain for name in ROLES["gold"] if name not in ("target", "answer")):
        return True
    answers = [columns[plain[name]] for name in ROLES["completion"] if name in plain]
    if answers:  # numbers answer what has numbers for gold
        return not answers[0].numeric
    return len(column.distinct) <= _FEW


def outcome_columns(columns: Mapping[str, Column]) -> Layout:
    """The columns that count right and wrong answers apart, if there are both.

    Example:
        >>> row = {"model": "m", "Abstained": 52, "Correct": 22, "Error": 26}
        >>> outcome_columns({name: Column.of([value]) for name, value in row.items()})
        {'correct': 'Correct', 'incorrect': 'Error', 'abstained': 'Abstained'}
        >>> outcome_columns({"model": Column.of(["m"]), "correct": Column.of([1])})
        {}
    """
    plain = {plain_name(name): name for name in reversed(list(columns))}
    found = {}
    for outcome, guesses in OUTCOMES.items():
        names = (plain[guess] for guess in guesses if guess in plain)
        if name := next((name for name in names if 2 * columns[name].counts > columns[name].known), None):
            found[outcome] = name
    return found if "correct" in found and "incorrect" in found else {}


def roles_of(name: str) -> list[str]:
    """The roles that a column of this name may have; "outcome" if it may count one.

    Example:
        >>> roles_of("Correct"), roles_of("note")
        (['grade', 'outcome'], [])
    """
    plain = plain_name(name)
    outcome = ["outcome"] if any(plain in names for names in OUTCOMES.values()) else []
    return [role for role, names in ROLES.items() if plain in names] + outcome
