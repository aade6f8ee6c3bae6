"""lm-evaluation-harness: tasks that state a confidence target, and score it. Their YAML files are in `lm_eval/`.

    lm_eval --model hf --model_args pretrained=MODEL --include_path PATH --tasks abstain_simpleqa --log_samples \\
        --output_path results --metadata '{"targets": [0.5, 0.9], "data": "simple_qa_test_set.csv"}'

Every question is asked once for each target, one after the other, so that `--limit` of a multiple of the number of
targets cuts between questions. Numbers are shares of all answers: what could not be graded earns nothing, and
`verdict` is the share that could be. In the samples file `verdict` is the verdict itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from abstain.evals.harnesses.benchmarks import READERS, Asked
from abstain.evals.harnesses.stated_targets import points, read_targets
from abstain.evals.prompt_card import read_card
from abstain.evals.tasks.rows import Table, numbered, read_data
from abstain.rewards.errors import nearest
from abstain.rewards.grading import grade
from abstain.rewards.prompts import IDK, TARGETS, prompt_text
from abstain.rewards.response import AnswerFormat, Reading, check_answer_format, check_reading
from abstain.rewards.verdict import Verdict

if TYPE_CHECKING:
    from datasets import Dataset

SHORT = "{question}\n{instruction}\nAnswer:"
REASONS = '{question}\n{instruction}\nThink step by step. Then write a last line that says "Answer:" and {what}.'


class BadRequest(ValueError, SystemExit):
    """A `ValueError` that ends lm-eval's command with its one line, instead of a traceback, as no other error can."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text


def load(
    source: Mapping[str, Any],
    data: str | None = None,
    targets: Any = TARGETS,
    template: str | None = None,
    reading: Reading = "lenient",
    answer_format: AnswerFormat | None = None,
    pretrained: Any = None,
    **_: Any,
) -> "dict[str, Dataset]":
    """For `custom_dataset`: a question and target in each row.

    Args:
        source: from the YAML: `reader`, a key of `READERS`; `hub`, and `configs` and `splits` of it.
        data: from `--metadata`: a local file or folder, or another hub id, instead of `hub`.
        targets: from `--metadata`.
        template: from `--metadata`: prompt text with `{question}` and `{instruction}`; by default that of the model's
            prompt card, if it has one, else the tasks' own.
        reading: from `--metadata`: "lenient", where sentences may say more than the answer, or "strict".
        answer_format: from `--metadata`: where the answer stands, one of `abstain.rewards.response.AnswerFormat`; by
            default as the prompt card says, else "auto".
        pretrained: from `--model_args`: the model, whose prompt card says how it was trained to be asked.
        _: all else that `--metadata` and `--model_args` hold, which is handed over too.

    Raises:
        BadRequest: an unknown reader, reading or answer format, rows that lack a column, a template without its
            fields, a target outside [0, 1), no such file or hub data set.
    """
    from datasets import Dataset

    card = read_card(pretrained) if isinstance(pretrained, str) else None
    if card is not None:
        template, answer_format = template or card.template, answer_format or card.answer_format
    try:
        rows = list(_rows(source, data, targets, template, reading, answer_format or "auto"))
    except (ValueError, OSError) as error:
        raise BadRequest(str(error)) from None
    return {"test": Dataset.from_list(rows)}


def _rows(
    source: Mapping[str, Any],
    data: str | None,
    targets: Any,
    template: str | None,
    reading: Reading,
    answer_format: AnswerFormat,
) -> Iterator[dict[str, Any]]:
    check_reading(reading)
    check_answer_format(answer_format)
    reader = source["reader"]
    if reader not in READERS:
        raise ValueError(f"no reader is called {reader!r}. {nearest(str(reader), READERS)}")
    if not (data or source.get("hub")):
        raise ValueError("""no questions: name a file with --metadata '{"data": "questions.jsonl"}'""")
    for slot in ("{question}", "{instruction}"):
        if template is not None and slot not in template:
            raise ValueError(f"template {template!r} lacks {slot}")
    stated = read_targets(targets)
    tables = read_data(data, None, None) if data else list(hub_tables(source))
    asked = [one for table in tables for one in READERS[reader](table)]
    if not asked:
        raise ValueError(f"{data or source['hub']}: holds no question for this task")
    for row in documents(asked, stated, template):
        yield row | {"reading": reading, "answer_format": answer_format}


def hub_tables(source: Mapping[str, Any]) -> Iterator[Table]:
    """The splits of a hub data set that a task asks, and no others, for some are very large."""
    from datasets import load_dataset

    for config in source.get("configs") or [None]:
        for split in source["splits"]:
            rows = load_dataset(source["hub"], config, split=split)
            yield Table(split, split, numbered(f"{source['hub']}[{config or ''}/{split}]", rows))


def documents(
    asked: Sequence[Asked], targets: Sequence[float], template: str | None = None
) -> Iterator[dict[str, Any]]:
    """A row for each question and target, question by question.

    Example:
        >>> rows = list(documents([Asked("Capital of Peru?", ("Lima",))], [0, 0.75]))
        >>> [(row["question_id"], row["target"], row["prompt"].splitlines()[-1]) for row in rows]
        [('0', 0.0, 'Answer:'), ('0', 0.75, 'Answer:')]
    """
    for number, one in enumerate(asked):
        for target in targets:
            yield {
                "question_id": str(number),
                "question": one.question,
                "gold": list(one.gold),
                "grader": one.grader,
                "target": float(target),
                "prompt": prompt_text(one.question, target, template or usual_template(one, target)),
            }


def usual_template(asked: Asked, target: float) -> str:
    """How a question is put: short ones straight, others with room to think.

    Example:
        >>> print(usual_template(Asked("?", ("4",), "numeric", reasons=True), 0.5).splitlines()[-1])
        Think step by step. Then write a last line that says "Answer:" and your answer, or "I don't know".
    """
    if not asked.reasons:
        return SHORT
    what = "the letter of your choice" if asked.grader == "choice" else "your answer"
    return REASONS.replace("{what}", f'{what}, or "{IDK}"' if target else what)


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """For `process_results`: the verdict, and by the stated target t what it earns and which outcome it is.

    Example:
        >>> process_results({"gold": ["Lima"], "grader": "match", "target": 0.75}, [" I don't know."])
        {'verdict': 'ABSTAINED', 'score_t0.75': 0.0, 'correct_t0.75': 0.0, 'wrong_t0.75': 0.0, 'abstained_t0.75': 1.0}
    """
    reading, answer_format = doc.get("reading", "lenient"), doc.get("answer_format", "auto")
    verdict = grade(results[0], doc["gold"], doc["grader"], doc.get("question"), answer_format, reading)
    t = f"t{doc['target']:g}"
    outcomes = {"correct": Verdict.CORRECT, "wrong": Verdict.INCORRECT, "abstained": Verdict.ABSTAINED}
    return {
        "verdict": verdict.value,
        f"score_{t}": points(verdict, doc["target"]),
        **{f"{name}_{t}": float(verdict is one) for name, one in outcomes.items()},
    }


def graded_share(verdicts: Sequence[str]) -> float:
    """For `aggregation` of `verdict`: the share of answers that could be graded.

    Example:
        >>> graded_share(["CORRECT", "UNGRADED"])
        0.5
    """
    return sum(one != Verdict.UNGRADED for one in verdicts) / len(verdicts)
