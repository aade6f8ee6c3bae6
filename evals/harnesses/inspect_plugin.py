"""Inspect: a solver that states a confidence target, a scorer that knows "I don't know", and metrics for both.

    inspect eval inspect_evals/gpqa_diamond --solver abstain/confidence_target -S targets=0,0.75 --epochs 2
    inspect eval abstain/open_rubric -T data=questions.jsonl -T targets=0,0.5,0.75,0.9
    inspect score LOG.eval --scorer abstain/verdict
    inspect score LOG.eval --scorer SCORER --metric abstain/target_scores

Several targets take as many epochs: the first epoch states the first target, and so on, so that one log holds every
question at every target and `abstain rescore` reads it as such. With fewer epochs nothing is asked.

Of a multiple choice the solver marks what an answer takes, as Inspect's own `multiple_choice` does, for Inspect's
`choice` scorer sees nothing else; an answer that abstains takes none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from inspect_ai import Epochs, Task, task  # type: ignore[import-not-found, unused-ignore]
from inspect_ai.dataset import MemoryDataset, Sample  # type: ignore[import-not-found, unused-ignore]
from inspect_ai.hooks import (  # type: ignore[import-not-found, unused-ignore]
    Hooks,
    SampleEnd,
    SampleStart,
    TaskStart,
    hooks,
)
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
from rich.markup import escape

try:  # what Inspect's command shows as one line
    from inspect_ai._util.error import PrerequisiteError as _OneLine  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    _OneLine = Exception  # type: ignore[assignment, misc, unused-ignore]

from abstain.evals.harnesses.stated_targets import Graded, read_targets, read_value, scores_by_target
from abstain.evals.harnesses.stated_targets import rates as shares
from abstain.evals.logs.choices import chosen, gold_of, shown_order
from abstain.evals.prompt_card import read_card
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.question import with_choices
from abstain.rewards.endpoint.usage import Reply
from abstain.rewards.grading import find_grader, grade_response
from abstain.rewards.judge.grader import Case, JudgeGrader
from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import DEFAULT_TEMPLATE, TARGETS, prompt_text
from abstain.rewards.response import AnswerFormat, Reading, Response, check_answer_format, check_reading
from abstain.rewards.verdict import Verdict

STATED = "confidence_target"
"""Key in a sample's metadata: the target t that its prompt states."""
_LETTERS = {Verdict.CORRECT: "C", Verdict.INCORRECT: "I", Verdict.ABSTAINED: "N"}


class BadRequest(_OneLine, ValueError):  # type: ignore[misc, unused-ignore]
    """A `ValueError` that Inspect's command shows as one line, without a traceback."""

    def __init__(self, text: str) -> None:
        super().__init__(escape(text))
        self.args = (text,)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        raise BadRequest(str(error)) from None


@solver
def state_target(targets: Any = None, template: str | None = None) -> Solver:
    """Put the instruction that states the target behind the question (and its choices), and leave it at that.

    Args:
        targets: one in [0, 1), or several, of which epoch k states the k-th; by default what the sample's metadata
            has under "confidence_target".
        template: prompt text with `{question}` and `{instruction}`; by default that of the model's prompt card
            (`-M model_path=DIRECTORY`), if it has one, else the instruction on a line of its own.

    Raises:
        ValueError: no targets, or one outside [0, 1); and when a sample is run, fewer epochs than targets, or no
            target at all.
    """
    with _one_line():
        stated = None if targets is None else read_targets(targets)
    if stated and len(stated) > 1:
        _watch_epochs()

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        target = _target(state, stated)
        question = with_choices(state.user_prompt.text, [choice.value for choice in state.choices])
        state.user_prompt.text = prompt_text(question, target, template or _template())
        state.metadata = {**state.metadata, STATED: target}
        return state

    return solve


@solver
def confidence_target(targets: Any = None, template: str | None = None) -> Solver:
    """State the target, answer, and mark the choices that the answer takes: `state_target` and then `generate`.

    Args:
        targets, template: as for `state_target`.
    """
    stating = state_target(targets, template)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await generate(await stating(state, generate))
        _mark(state)
        return state

    return solve


def _template() -> str:
    """How the model that is asked was trained to be asked, if it lies on this machine and says so."""
    try:
        path = get_model().model_args.get("model_path")
    except ValueError:  # none is chosen: somebody runs the solver by itself
        return DEFAULT_TEMPLATE
    card = read_card(path) if isinstance(path, str) else None
    return card.template if card else DEFAULT_TEMPLATE


def _target(state: TaskState, stated: tuple[float, ...] | None) -> float:
    if stated:
        epochs = _EPOCHS.get(state.uuid, len(stated))
        if epochs < len(stated):
            raise BadRequest(
                f"{len(stated)} targets, and {epochs} epoch{'s' * (epochs > 1)} to state them in: epoch k states the "
                f"k-th, so run with --epochs {len(stated)}"
            )
        return stated[(state.epoch - 1) % len(stated)]
    if STATED not in state.metadata:
        raise BadRequest(f"sample {state.sample_id!r}: no target to state; give targets=, or metadata {STATED!r}")
    with _one_line():
        return read_targets(state.metadata[STATED])[0]


def _mark(state: TaskState) -> None:
    """Mark what an answer takes, and nothing where it takes none, as `multiple_choice` does."""
    choices = [choice.value for choice in state.choices]
    places = chosen(_response(state), choices, with_choices(state.input_text, choices)) if choices else []
    if places:
        for place in range(len(choices)):
            state.choices.mark_choice(place, place in places)


def _response(state: TaskState, answer_format: AnswerFormat = "auto") -> Response:
    cut = state.output.stop_reason in ("max_tokens", "model_length")
    return parse(state.output.completion, truncated=cut, answer_format=answer_format)


_EPOCHS: dict[str, int] = {}  # sample to the epochs of its evaluation, while it runs


@cache
def _watch_epochs() -> None:
    """Learn how many epochs an evaluation has, which a solver cannot see.

    Inspect shows every hook there is to all its users, so this one is made when it is needed, and not before.
    """

    @hooks(name="confidence_target", description="so that no target is left out for want of epochs")
    class Watch(Hooks):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._of: dict[str, int] = {}

        async def on_task_start(self, data: TaskStart) -> None:
            self._of[data.eval_id] = data.spec.config.epochs or 1

        async def on_sample_start(self, data: SampleStart) -> None:
            _EPOCHS[data.sample_id] = self._of.get(data.eval_id, 1)

        async def on_sample_end(self, data: SampleEnd) -> None:
            _EPOCHS.pop(data.sample_id, None)


@metric(scores="unreduced")
def rates() -> Metric:
    """Shares of correct, incorrect and abstained answers, and the accuracy of those attempted."""

    def compute(scores: list[SampleScore]) -> Value:
        return shares(_verdict(score.score) for score in scores)

    return compute


@metric(scores="unreduced")
def target_scores(targets: Any = TARGETS) -> Metric:
    """S_t = correct - incorrect t / (1 - t) at every stated target, or a penalty curve where none was stated.

    Args:
        targets: of the penalty curve.
    """
    with _one_line():
        wanted = read_targets(targets)

    def compute(scores: list[SampleScore]) -> Value:
        return scores_by_target([_graded(score) for score in scores], wanted)

    return compute


def _graded(score: SampleScore) -> Graded:
    about = (score.score.metadata or {}, score.sample_metadata or {})
    stated = next((known[STATED] for known in about if known.get(STATED) is not None), None)
    return _verdict(score.score), None if stated is None else float(stated)


def _verdict(score: Score) -> Verdict:
    """The verdict in anybody's score; N is none where the reply only had no form that the scorer knows."""
    found = read_value(score.value)
    formless = score.reason in ("no_response", "invalid_response_format")
    return Verdict.INCORRECT if found is Verdict.ABSTAINED and formless else found


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
    with _one_line():
        check_reading(reading)
        check_answer_format(answer_format)
        if grader:
            find_grader(grader)
    judges: list[JudgeGrader] = []  # made when first needed: models are not to be had while scorers are made

    async def score(state: TaskState, target: Target) -> Score:
        response = _response(state, answer_format)
        gold, question = _gold_and_question(state, target)
        if not judge:
            usual = "choice" if len(state.choices) else "match"
            graded = grade_response(response, gold, grader or usual, question, reading)
            return _score(state, response, graded, {"reading": reading, "answer_format": answer_format})
        if not judges:
            judges.append(JudgeGrader.of(InspectModel(get_model(role="grader")), cache=False))
        case = Case(question, gold, response)
        graded = (await judges[0].grade_async([case]))[0]
        return _score(state, response, graded, {"answer_format": answer_format}, judges[0].model)

    return score


def _gold_and_question(state: TaskState, target: Target) -> tuple[list[str], str]:
    """The right answers, and what was asked, with the choices in the order in which they were shown."""
    golds = [str(one) for one in target]
    if not len(state.choices):
        return golds, state.input_text
    choices = [one.value for one in sorted(state.choices, key=lambda one: one.original_position)]
    asked = "\n".join(message.text for message in state.messages if message.role == "user")
    order = shown_order(asked, choices) or [one.original_position for one in state.choices]
    return gold_of(golds, choices, order) or golds, with_choices(state.input_text, [choices[place] for place in order])


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
    with _one_line():
        loaded = load_task(questions, **options, **({"held_out": 1.0} if questions == "qa" else {}))
        stated = read_targets(targets)
    samples = [Sample(id=q.id, input=q.question, target=list(q.gold)) for q in loaded.held_out]
    return Task(
        dataset=MemoryDataset(samples, name=loaded.name),
        solver=confidence_target(list(stated)),
        scorer=verdict(grader or loaded.grader, judge, reading, answer_format or loaded.answer_format),
        epochs=Epochs(len(stated)),
    )
