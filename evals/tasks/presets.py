"""Column settings and hub ids of known question sets. `load_qa(preset="popqa")`, or the task of the same name.

No data comes with abstain: a preset reads the hub, or the file, folder or files given as `data`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from abstain.evals.tasks.columns import Columns

SIMPLEQA_REASON = (
    "SimpleQA is for evaluation only: whoever trains on it can no longer compare with anyone. Train on another set "
    "(triviaqa, nq_open, popqa, entityquestions, geo) and evaluate on SimpleQA."
)


@dataclass(frozen=True)
class Preset:
    """How a known question set is read.

    Args:
        summary: one line for lists of tasks.
        hub: hub id that is read where no `data` is given; "" if there is none.
        config: configuration of the hub data set.
        columns: which columns to read.
        train_split: split to train on; "" to take what there is.
        test_split: split to hold out; "" to take what there is.
        held_out: share of the questions to hold out where the data has no splits.
        grader: key in `abstain.rewards.graders.GRADERS`.
        max_new_tokens: room for an answer.
        evaluation_only: why nobody may train on it; "" if one may.
        idk_is_no_answer: golds such as "I have no comment" are not answers, and a question that has no other is
            unanswerable.
    """

    summary: str
    hub: str = ""
    config: str | None = None
    columns: Columns = field(default_factory=Columns)
    train_split: str = ""
    test_split: str = ""
    held_out: float = 0.2
    grader: str = "match"
    max_new_tokens: int = 32
    evaluation_only: str = ""
    idk_is_no_answer: bool = False


GENERIC = Preset("your own questions: JSONL, JSON, CSV, TSV, Parquet, a folder, or a hub data set (data=...)")

PRESETS: Mapping[str, Preset] = {
    "simpleqa": Preset(
        "SimpleQA: 4,326 short questions with one answer each (Wei et al. 2024); evaluation only",
        hub="basicv8vc/SimpleQA",
        columns=Columns(
            question=("problem", "question"),
            answers=("answer",),
            metadata={"topic": ("metadata.topic",), "answer_type": ("metadata.answer_type",)},
        ),
        evaluation_only=SIMPLEQA_REASON,
    ),
    "simpleqa_verified": Preset(
        "SimpleQA Verified: 1,000 corrected SimpleQA questions (arXiv 2509.07968); evaluation only",
        hub="google/simpleqa-verified",
        columns=Columns(
            question=("problem",),
            answers=("answer",),
            id=("original_index",),
            metadata={"topic": ("topic",), "answer_type": ("answer_type",)},
        ),
        evaluation_only=SIMPLEQA_REASON,
    ),
    "triviaqa": Preset(
        "TriviaQA without context: trivia with many aliases per answer (Joshi et al. 2017)",
        hub="mandarjoshi/trivia_qa",
        config="rc.nocontext",
        columns=Columns(question=("question",), answers=("answer",), id=("question_id",), metadata={}),
        train_split="train",
        test_split="validation",
    ),
    "nq_open": Preset(
        "Natural Questions, open: 87,925 training and 3,610 validation questions (Lee et al. 2019)",
        hub="google-research-datasets/nq_open",
        columns=Columns(
            question=("question",),
            answers=("answer_and_def_correct_predictions", "answer", "golden_answers"),
            metadata={},
        ),
        train_split="train",
        test_split="validation",
    ),
    "popqa": Preset(
        "PopQA: 14,267 questions with the popularity of their subjects (Mallen et al. 2023)",
        hub="akariasai/PopQA",
        columns=Columns(
            question=("question", "input"),
            answers=("possible_answers", "golden_answers", "output"),
            metadata={"popularity": ("s_pop", "metadata.s_pop"), "relation": ("prop", "metadata.prop")},
        ),
        held_out=0.5,
    ),
    "truthfulqa": Preset(
        "TruthfulQA: 817 questions that invite common misconceptions (Lin et al. 2022)",
        hub="truthfulqa/truthful_qa",
        config="generation",
        columns=Columns(
            question=("question",), answers=("correct_answers",), metadata={"category": ("category",)}, separator=";"
        ),
        held_out=0.5,
        max_new_tokens=64,
        idk_is_no_answer=True,
    ),
    "selfaware": Preset(
        "SelfAware: 2,337 answerable and 1,032 unanswerable questions (Yin et al. 2023)",
        hub="JesusCrist/selfAware",
        columns=Columns(
            question=("question",),
            answers=("answer",),
            id=("question_id",),
            answerable=("answerable",),
            metadata={"source": ("source",)},
        ),
        held_out=0.5,
    ),
}
