"""Inspect: a solver that states a confidence target, a scorer that knows "I don't know", and metrics for both.

    inspect eval inspect_evals/gpqa_diamond --solver abstain/confidence_target -S targets=0.75
    inspect eval abstain/open_rubric -T data=questions.jsonl -T targets=0,0.5,0.75,0.9
    inspect score LOG.eval --scorer abstain/verdict
    inspect score LOG.eval --scorer SCORER --metric abstain/target_scores

Several targets take as many epochs: the first epoch states the first target, and so on, so that one log holds every
question at every target and `abstain rescore` reads it as such.
"""

from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import Any

from inspect_ai import Epochs, Task, task  # type: ignore[import-not-found, unused-ignore]
from inspect_ai.dataset import MemoryDataset, Sample  # type: ignore[import-not-found, unused-ignore]
from inspect_ai.model import get_model  # type: ignore[import-not-found, unused-ignore]
from inspect_ai.scorer import (  # type: ignore[import-not-found, unused-ignore]
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    Value,
    metric,
    scorer,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver  # type: ignore[import-not-found, unused-ignore]

from abstain.evals.harnesses.stated_targets import Graded, read_targets, read_value, scores_by_target
from abstain.evals.harnesses.stated_targets import rates as shares
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.question import with_choices
from abstain.rewards.grading import find_grader, grade_response
from abstain.rewards.judge.grader import Case, JudgeGrader
from abstain.rewards.judge.usage import Reply
from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import TARGETS, prompt_text
from abstain.rewards.response import AnswerFormat, Reading, Response, check_answer_format, check_reading
from abstain.rewards.verdict import Verdict

STATED = "confidence_target"
"""Key in a sample's metadata: the target t that its prompt states."""
_LETTERS = {Verdict.CORRECT: "C", Verdict.INCORRECT: "I", Verdict.ABSTAINED: "N"}


@solver
def state_target(targets: Any = None) -> Solver:
    """Put the instruction that states the target behind the question (and its choices), and leave it at that.

    Args:
        targets: one in [0, 1), or several, of which epoch k states the k-th; by default what the sample's metadata
            has under "confidence_target".
    """
    stated = None if targets is None else read_targets(targets)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        target = _target(state, stated)
        question = with_choices(state.user_prompt.text, [choice.value for choice in state.choices])
        state.user_prompt.text = prompt_text(question, target)
        state.metadata = {**state.metadata, STATED: target}
        return state

    return solve


@solver
def confidence_target(targets: Any = None) -> Solver:
    """State the target, and answer: `state_target` and then `generate`."""
    stating = state_target(targets)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        return await generate(await stating(state, generate))

    return solve


def _target(state: TaskState, stated: tuple[float, ...] | None) -> float:
    if stated:
        return stated[(state.epoch - 1) % len(stated)]
    if STATED not in state.metadata:
        raise ValueError(f"sample {state.sample_id!r}: no target to state; give targets=, or metadata {STATED!r}")
    return read_targets(state.metadata[STATED])[0]


@metric(scores="unreduced")
def rates() -> Metric:
    """Shares of correct, incorrect and abstained answers, and the accuracy of those attempted."""

    def compute(scores: list[SampleScore]) -> Value:
        return shares(read_value(score.score.value) for score in scores)

    return compute


@metric(scores="unreduced")
def target_scores(targets: Any = TARGETS) -> Metric:
    """S_t = correct - incorrect t / (1 - t) at every stated target, or a penalty curve where none was stated.

    Args:
        targets: of the penalty curve.
    """
    chosen = read_targets(targets)

    def compute(scores: list[SampleScore]) -> Value:
        return scores_by_target([_graded(score) for score in scores], chosen)

    return compute


def _graded(score: SampleScore) -> Graded:
    about = (score.score.metadata or {}, score.sample_metadata or {})
    stated = next((known[STATED] for known in about if known.get(STATED) is not None), None)
    return read_value(score.score.value), None if stated is None else float(stated)


@scorer(metrics=[rates(), target_scores()])
def verdict(
    grader: str | None = None,
    judge: bool = False,
    reading: Reading = "lenient",
    answer_format: AnswerFormat = "auto",
) -> Scorer:
    """C, I or N ("I don't know"), by the rules of `abstain.rewards.grading`; what cannot be graded is unscored.

    Args:
        grader: a key of `abstain.rewards.graders.GRADERS`; by default "choice" where a sample has choices, or "match".
        judge: ask the model in the role "grader" (`--model-role grader=...`), as `abstain.rewards.judge.grader` does.
        reading: how a string grader reads: "lenient", where sentences may say more than the answer, or "strict".
        answer_format: where the answer stands, one of `abstain.rewards.response.AnswerFormat`.
    """
    check_reading(reading)
    check_answer_format(answer_format)
    if grader:
        find_grader(grader)
    judges: list[JudgeGrader] = []  # made when first needed: models are not to be had while scorers are made

    async def score(state: TaskState, target: Target) -> Score:
        output = state.output
        cut = output.stop_reason in ("max_tokens", "model_length")
        response = parse(output.completion, truncated=cut, answer_format=answer_format)
        gold = _gold(state, target)
        if not judge:
            usual = "choice" if len(state.choices) else "match"
            question = with_choices(state.input_text, [choice.value for choice in state.choices])
            graded = grade_response(response, gold, grader or usual, question, reading)
            return _score(state, response, graded, {"reading": reading, "answer_format": answer_format})
        if not judges:
            judges.append(JudgeGrader.of(InspectModel(get_model(role="grader")), cache=False))
        case = Case(state.input_text, gold, response)
        graded = (await judges[0].grade_async([case]))[0]
        return _score(state, response, graded, {"answer_format": answer_format}, judges[0].model)

    return score


def _gold(state: TaskState, target: Target) -> list[str]:
    """The right answers; of a multiple choice also the text that the letter stands for."""
    golds = [str(one) for one in target]
    letters = dict(zip(ascii_uppercase, (choice.value for choice in state.choices), strict=False))
    return golds + [letters[gold] for gold in golds if gold in letters]


def _score(state: TaskState, response: Response, graded: Verdict, how: dict[str, str], judge: str = "") -> Score:
    about = {STATED: state.metadata.get(STATED), "confidence": response.confidence, "hedged": response.hedged, **how}
    by = f" by {judge}" if judge else ""
    said = response.malformed or response.answer or "no answer offered"
    answer = response.answer or state.output.completion.strip()  # converters take it for what was said
    if graded is Verdict.UNGRADED:
        reason = "grader_failed" if judge else "scoring_failed"
        return Score.unscored(reason=reason, answer=answer, explanation=f"{graded}{by}", metadata=about)
    return Score(value=_LETTERS[graded], answer=answer, explanation=f"{graded}{by}: {said}", metadata=about)


class InspectModel:
    """One of Inspect's models as a backend for `abstain.rewards.judge.grader.JudgeGrader`.

    Args:
        model: an `inspect_ai.model.Model`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def model(self) -> str:
        """A name for tables."""
        return str(self._model)

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides a reply, besides the prompt."""
        return {"inspect": self.model}

    async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
        """Ask one prompt after the other: Inspect scores samples side by side, and each asks for one verdict."""
        for index, prompt in enumerate(prompts):
            done(index, await self._reply(prompt))

    async def _reply(self, prompt: str) -> Reply:
        try:
            output = await self._model.generate(prompt)
        except Exception as error:  # of whatever kind the provider raises: no verdict, and the sample says why
            return Reply(failure=type(error).__name__, detail=str(error)[:300])
        return Reply(output.completion)


@task
def open_rubric(
    questions: str = "qa",
    data: str | None = None,
    targets: Any = TARGETS,
    grader: str | None = None,
    judge: bool = False,
    reading: Reading = "lenient",
    answer_format: AnswerFormat | None = None,
) -> Task:
    """Every question at every target, graded as correct, incorrect or abstained.

    Args:
        questions: a task that `abstain tasks` lists, of which the held-out questions are asked; "qa" asks all of them.
        data: file, folder or hub id, for tasks that need it.
        targets: confidence targets to state, one epoch each.
        grader, judge, reading, answer_format: as for `verdict`; the task's own grader and format by default.
    """
    options: dict[str, Any] = {"data": data} if data else {}
    loaded = load_task(questions, **options, **({"held_out": 1.0} if questions == "qa" else {}))
    samples = [Sample(id=q.id, input=q.question, target=list(q.gold)) for q in loaded.held_out]
    stated = read_targets(targets)
    return Task(
        dataset=MemoryDataset(samples, name=loaded.name),
        solver=confidence_target(list(stated)),
        scorer=verdict(grader or loaded.grader, judge, reading, answer_format or loaded.answer_format),
        epochs=Epochs(len(stated)),
    )
