"""The Inspect plug-in: solver, scorer and metrics on a scripted model, and through Inspect's own command."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from abstain.evals.harnesses.benchmarks import READERS
from abstain.evals.logs.batch import Options
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.rescoring import Rescored, rescore
from abstain.evals.tasks.rows import SourceRow, Table
from abstain.rewards.graders import GRADERS
from abstain.rewards.judge.grader import Case, JudgeGrader
from abstain.rewards.parsing.completion import parse
from abstain.rewards.verdict import Verdict

pytest.importorskip("inspect_ai")
pytestmark = pytest.mark.filterwarnings("ignore")

CAPITALS = {"Peru": "Lima", "France": "Paris", "Japan": "Tokyo", "Norway": "Oslo"}
TARGETS = (0.0, 0.5, 0.9)
C, W, A, U = Verdict


def replies(prompt: str) -> str:
    """Knows Peru, believes something wrong of France up to t = 0.5, and nothing of the others."""
    if "Peru" in prompt:
        return "Lima. Confidence: 95%"
    if "France" in prompt and "> 0.9" not in prompt:
        return "It's Lyon."
    return "Kyoto" if "best guess" in prompt else "I don't know."


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [
        {"id": country, "question": f"What is the capital of {country}?", "answers": [city]}
        for country, city in CAPITALS.items()
    ]
    path = tmp_path / "capitals.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def scripted(reply: Callable[[str], str], **model_args: Any) -> Any:
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def answer(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", reply(messages[-1].text))
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    return get_model("mockllm/model", custom_outputs=answer, memoize=False, **model_args)


def test_a_model_is_asked_as_its_prompt_card_says(questions: Path, tmp_path: Path) -> None:
    from inspect_ai import eval as run_eval

    from abstain.evals.harnesses.inspect_plugin import confidence_target, open_rubric
    from abstain.evals.prompt_card import PromptCard

    PromptCard(template="Q: {question}\n{instruction}\nA:", prompt_format="plain", max_new_tokens=8).save(tmp_path)
    seen: list[str] = []

    model = scripted(lambda prompt: seen.append(prompt) or "Lima", model_path=str(tmp_path))
    task = open_rubric(data=str(questions), targets="0.5")
    for solver, start, end in (
        (None, "Q: What is", "\nA:"),
        (confidence_target(0, "{instruction} {question}"), "Make", "?"),
    ):
        (log,) = run_eval(task, model=model, solver=solver, epochs=1, log_dir=str(tmp_path / "logs"), display="none")
        assert log.status == "success", log.error
        assert all(text.startswith(start) and text.endswith(end) for text in seen[-4:])
    assert len(seen) == 8


def run(task: Any, folder: Path, reply: Callable[[str], str] = replies, **options: Any) -> Any:
    from inspect_ai import eval as run_eval

    (log,) = run_eval(task, model=scripted(reply), log_dir=str(folder), display="none", **options)
    assert log.status == "success", log.error
    return log


def numbers(log: Any) -> dict[str, float]:
    """All metrics of a log by their names."""
    return {name: one.value for score in log.results.scores for name, one in score.metrics.items()}


def by_target(found: Rescored) -> dict[float, dict[str, Any]]:
    (metrics,) = found.metrics
    return {row["target"]: row for row in metrics["by_target"]}


class TestOpenRubric:
    def test_every_question_at_every_target_and_back_to_rescore(self, questions: Path, tmp_path: Path) -> None:
        from abstain.evals.harnesses.inspect_plugin import open_rubric

        log = run(open_rubric(data=str(questions), targets=list(TARGETS)), tmp_path / "logs")
        found = rescore([log.location])
        (metrics,) = found.metrics
        assert metrics["level"] == 3 and metrics["n"] == 4 and metrics["task"] == "open_rubric"
        rows, told = by_target(found), numbers(log)
        # t = 0: right, wrong, wrong, wrong; t = 0.5: right, wrong, silent, silent; t = 0.9: right, silent, ...
        assert [rows[t]["score"] for t in TARGETS] == pytest.approx([0.25, 0.0, 0.25])
        assert [rows[t]["abstained"] for t in TARGETS] == [0.0, 0.5, 0.75]
        for t in TARGETS:
            assert told[f"score_t{t:g}"] == pytest.approx(rows[t]["score"])
        assert told["correct"] == 3 / 12 and told["accuracy_attempted"] == 3 / 7

    def test_a_sample_tells_target_confidence_and_verdict(self, questions: Path, tmp_path: Path) -> None:
        from inspect_ai.log import read_eval_log

        from abstain.evals.harnesses.inspect_plugin import open_rubric

        log = read_eval_log(run(open_rubric(data=str(questions), targets="0.5"), tmp_path).location)
        first = next(sample for sample in log.samples if sample.id == "Peru")
        (score,) = first.scores.values()
        assert score.value == "C" and score.answer == "Lima" and "Lima" in score.explanation
        assert score.metadata["confidence_target"] == 0.5 and score.metadata["confidence"] == 0.95
        silent = [score for sample in log.samples for score in sample.scores.values() if score.value == "N"]
        assert len(silent) == 2 and {score.answer for score in silent} == {"I don't know."}
        assert first.metadata["confidence_target"] == 0.5
        assert first.messages[0].text.startswith(
            "What is the capital of Peru?\nAnswer only if you are > 0.5 confident"
        )


class TestAnyTask:
    def task(self, **options: Any) -> Any:
        from inspect_ai import Task
        from inspect_ai.dataset import MemoryDataset, Sample

        samples = [Sample(id=name, input=f"Capital of {name}?", target=city) for name, city in CAPITALS.items()]
        return Task(dataset=MemoryDataset(samples, name="capitals"), **options)

    def test_the_solver_states_a_target_for_somebody_elses_task(self, tmp_path: Path) -> None:
        from inspect_ai.scorer import includes

        from abstain.evals.harnesses.inspect_plugin import confidence_target

        log = run(self.task(scorer=includes()), tmp_path, solver=confidence_target(0.9))
        rows = by_target(rescore([log.location]))
        assert list(rows) == [0.9] and rows[0.9]["correct"] == 0.25 and rows[0.9]["abstained"] == 0.75

    def test_a_target_of_each_sample(self, tmp_path: Path) -> None:
        from inspect_ai import Task
        from inspect_ai.dataset import MemoryDataset, Sample

        from abstain.evals.harnesses.inspect_plugin import confidence_target, verdict

        def sample(t: float) -> Any:
            about = {"confidence_target": t, "question_id": "France"}
            return Sample(id=f"France at {t}", input="Capital of France?", target="Paris", metadata=about)

        task = Task(MemoryDataset([sample(0.5), sample(0.9)]), solver=confidence_target(), scorer=verdict())
        assert numbers(run(task, tmp_path))["score_t0.5"] == -1.0

    def test_without_a_target_it_stops_and_says_so(self, tmp_path: Path) -> None:
        from inspect_ai import eval as run_eval

        from abstain.evals.harnesses.inspect_plugin import confidence_target, verdict

        task = self.task(solver=confidence_target(), scorer=verdict())
        (log,) = run_eval(task, model=scripted(replies), log_dir=str(tmp_path), display="none")
        assert log.status == "error" and "no target to state" in log.error.message

    def test_an_old_log_is_scored_again_as_a_penalty_curve(self, tmp_path: Path) -> None:
        from inspect_ai import score
        from inspect_ai.scorer import includes
        from inspect_ai.solver import generate

        from abstain.evals.harnesses.inspect_plugin import verdict

        log = run(self.task(solver=generate(), scorer=includes()), tmp_path)
        told = numbers(score(log, verdict(), action="overwrite", display="none"))
        assert told["abstained"] == 0.5 and told["penalty_t0.9"] == pytest.approx((1 - 9) / 4)

    def test_choices_stand_in_the_prompt_and_their_text_is_right_too(self, tmp_path: Path) -> None:
        from inspect_ai import Task
        from inspect_ai.dataset import MemoryDataset, Sample

        from abstain.evals.harnesses.inspect_plugin import confidence_target, verdict

        asked: list[str] = []

        def reply(prompt: str) -> str:
            asked.append(prompt)
            return ["B", "It is Lima.", "(A)", "I don't know"][len(asked) - 1]

        sample = Sample(id="Peru", input="Capital of Peru?", choices=["Quito", "Lima"], target="B")
        task = Task(MemoryDataset([sample]), solver=confidence_target("0.5,0.75,0.8,0.9"), scorer=verdict(), epochs=4)
        told = numbers(run(task, tmp_path, reply, max_samples=1))
        assert asked[0].startswith("Capital of Peru?\n(A) Quito\n(B) Lima\nAnswer only if you are > 0.5")
        scores = [told[f"score_t{t}"] for t in ("0.5", "0.75", "0.8", "0.9")]
        assert scores == pytest.approx([1, 1, -4, 0])

    def test_the_question_and_how_to_read_reach_the_grader(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from inspect_ai import Task
        from inspect_ai.dataset import MemoryDataset, Sample
        from inspect_ai.solver import generate

        from abstain.evals.harnesses.inspect_plugin import state_target, verdict

        asked: list[tuple[str, str]] = []

        def grade_it(answer: str, gold: list[str], question: str = "", reading: str = "lenient") -> Verdict:
            asked.append((question, reading))
            return C

        for name in ("match", "choice"):
            monkeypatch.setitem(GRADERS, name, grade_it)
        samples = [
            Sample(id="Peru", input="Capital of Peru?", target="Lima"),
            Sample(id="Chile", input="Capital of Chile?", choices=["Quito", "Santiago"], target="B"),
        ]
        how = {"reading": "strict", "answer_format": "last_line"}
        task = Task(MemoryDataset(samples), solver=[state_target(0.5), generate()], scorer=verdict(**how))
        log = run(task, tmp_path, lambda prompt: "Lima", max_samples=1)
        assert sorted(asked) == [
            ("Capital of Chile?\n(A) Quito\n(B) Santiago", "strict"),
            ("Capital of Peru?", "strict"),
        ]
        (score,) = log.samples[0].scores.values()
        assert {key: score.metadata[key] for key in how} == how
        with pytest.raises(ValueError, match="Did you mean 'strict'"):
            verdict(reading="strickt")  # type: ignore[arg-type]


class TestRequests:
    """What cannot be done is refused in one line, before anything is asked."""

    @pytest.mark.parametrize(
        ("targets", "message"),
        [
            ("1.5", "confidence target 1.5 is outside [0, 1); did you mean 0.015?"),
            ("abc", "confidence target 'abc' is not a number; it must be in [0, 1)"),
            (" ", "no confidence target: give one or several in [0, 1), such as 0,0.5,0.75,0.9"),
        ],
    )
    def test_bad_targets(self, targets: str, message: str) -> None:
        from inspect_ai._util.error import PrerequisiteError

        from abstain.evals.harnesses import inspect_plugin

        for make in (inspect_plugin.state_target, inspect_plugin.confidence_target, inspect_plugin.target_scores):
            with pytest.raises(ValueError) as caught:
                make(targets)
            assert isinstance(caught.value, PrerequisiteError) and str(caught.value) == message
        with pytest.raises(PrerequisiteError, match=r"no file 'capitels\.jsonl'"):
            inspect_plugin.open_rubric(data="capitels.jsonl")

    @pytest.mark.parametrize("epochs", [None, 1, 2])
    def test_too_few_epochs_for_the_targets(self, epochs: int | None, questions: Path, tmp_path: Path) -> None:
        from inspect_ai import eval as run_eval

        from abstain.evals.harnesses.inspect_plugin import confidence_target, open_rubric

        asked: list[str] = []
        task = open_rubric(data=str(questions), targets=0.5)
        asker = confidence_target("0,0.5,0.75")
        options = {"solver": asker, "epochs": epochs, "log_dir": str(tmp_path), "display": "none"}
        (log,) = run_eval(task, model=scripted(lambda prompt: asked.append(prompt) or "Lima"), **options)
        assert log.status == "error" and not asked
        assert f"3 targets, and {epochs or 1} epoch" in log.error.message and "--epochs 3" in log.error.message

    def test_more_epochs_than_targets_state_them_again(self, questions: Path, tmp_path: Path) -> None:
        from abstain.evals.harnesses.inspect_plugin import confidence_target, open_rubric

        task = open_rubric(data=str(questions), targets=0.5)
        log = run(task, tmp_path, solver=confidence_target("0,0.9"), epochs=4)
        rows = by_target(rescore([log.location]))
        assert [(t, row["score"]) for t, row in rows.items()] == [(0.0, 0.25), (0.9, 0.25)]


BENCHMARKS = json.loads((Path(__file__).parents[1] / "golden" / "benchmark_rows.json").read_text(encoding="utf-8"))
T = "0,0.75"


class TestBenchmarks:
    """A row of each benchmark that the page names, asked three times at two targets: known, believed, not known."""

    @pytest.mark.parametrize("name", BENCHMARKS)
    def test_scores_by_hand(self, name: str, tmp_path: Path) -> None:
        from inspect_ai import Task
        from inspect_ai.dataset import MemoryDataset, Sample
        from inspect_ai.scorer import choice, includes
        from inspect_ai.solver import generate, multiple_choice

        from abstain.evals.harnesses.inspect_plugin import confidence_target, verdict

        (asked,) = READERS[name](Table("rows", "", (SourceRow("rows:1", BENCHMARKS[name]["row"]),)))
        listed = [line for line in asked.question.splitlines() if line.startswith("(")]
        stem = asked.question.removesuffix("\n".join(listed)).strip()
        choices = [line.partition(" ")[2] for line in listed] or None
        letter = next(
            (label for label in "ABCD" if asked.gold[0] == label or asked.gold[0].startswith(f"({label})")), ""
        )
        wrong = f"Answer: {'A' if letter == 'B' else 'B'}" if choices else "Answer: Tacna, or 7"

        def reply(prompt: str) -> str:
            if "Question 1." in prompt:
                return str(BENCHMARKS[name]["right"])
            return "I don't know." if "Question 3." in prompt and "> 0.75" in prompt else wrong

        samples = [
            Sample(id=k, input=f"Question {k}. {stem}", target=letter or list(asked.gold), choices=choices)
            for k in (1, 2, 3)
        ]
        usual = {"choice": choice()} if choices else {"includes": includes()} if name != "math" else {}
        solver = multiple_choice() if choices else generate()
        ours = [verdict(asked.grader), *usual.values()]
        task = Task(MemoryDataset(samples, name=name), solver=solver, scorer=ours)
        log = run(task, tmp_path, reply, solver=confidence_target(T), epochs=2)
        # t = 0: right, wrong, wrong, which is 1/3; t = 0.75: right, wrong, silent, which is (1 - 3) / 3
        told = numbers(log)
        assert (told["score_t0"], told["score_t0.75"]) == pytest.approx((1 / 3, -2 / 3))
        for scorer in ("verdict", *usual):
            rows = by_target(rescore([log.location], collector=Collector(Options(metric=scorer))))
            found = {t: (row["score"], row["abstained"], row["ungraded"]) for t, row in rows.items()}
            assert found[0.0] == pytest.approx((1 / 3, 0, 0)), scorer
            assert found[0.75] == pytest.approx((-2 / 3, 1 / 3, 0)), scorer
        assert not usual or told["accuracy"] == pytest.approx(1 / 3)


def test_n_for_a_reply_without_the_form_that_was_looked_for_is_no_abstention() -> None:
    from inspect_ai.scorer import SampleScore, Score

    from abstain.evals.harnesses.inspect_plugin import rates, target_scores

    reasons = (None, "refusal", "no_response", "invalid_response_format")
    scores = [SampleScore(score=Score(value="N", reason=reason)) for reason in reasons]
    assert rates()(scores)["abstained"] == 0.5 and target_scores("0.75")(scores) == {"penalty_t0.75": -1.5}


class TestJudge:
    def test_a_model_in_the_role_of_grader_decides(self, questions: Path, tmp_path: Path) -> None:
        from abstain.evals.harnesses.inspect_plugin import open_rubric

        def grade(prompt: str) -> str:
            return "GRADE: CORRECT" if "Lyon" in prompt else "A." if "Kyoto" in prompt else "GRADE: INCORRECT"

        task = open_rubric(data=str(questions), targets=0.0, judge=True)
        log = run(task, tmp_path, model_roles={"grader": scripted(grade)})
        (score,) = log.results.scores
        assert score.unscored_samples == 2  # "A." is no grade, and no grade is not a wrong answer
        assert numbers(log)["correct"] == 0.5
        row = by_target(rescore([log.location]))[0.0]
        assert (row["correct"], row["incorrect"], row["ungraded"]) == (0.25, 0.25, 0.5)

    def test_a_wrong_grader_is_answered_with_the_nearest(self) -> None:
        from abstain.evals.harnesses.inspect_plugin import verdict

        with pytest.raises(ValueError, match="Did you mean 'numeric'"):
            verdict("numerc")


@pytest.mark.slow
class TestCommand:
    """`inspect eval` and `inspect score` themselves, on a tiny model with random weights."""

    def inspect(self, *words: str, folder: Path) -> None:
        command = [sys.executable, "-m", "inspect_ai", *words, "--display", "plain"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def test_eval_and_score(self, questions: Path, tmp_path: Path, make_tiny_model: Callable[..., Path]) -> None:
        from abstain.evals.harnesses import inspect_plugin

        words = [word for country, city in CAPITALS.items() for word in (country, city, "capital")]
        model = make_tiny_model(tmp_path / "tiny", words)
        hf = ["--model", "hf/tiny", "-M", f"model_path={model}", "-M", "device=cpu", "--max-tokens", "6"]
        task = f"{inspect_plugin.__file__}@open_rubric"
        self.inspect("eval", task, "-T", f"data={questions}", "-T", "targets=0,0.75", *hf, folder=tmp_path)
        (log,) = (tmp_path / "logs").glob("*.eval")
        found = rescore([log])
        rows = by_target(found)
        assert list(rows) == [0.0, 0.75] and found.metrics[0]["n"] == 4
        assert all(row["n"] == 4 and row["ungraded"] == 0 for row in rows.values())
        again = tmp_path / "again.json"
        scorer = ["--scorer", f"{inspect_plugin.__file__}@verdict", "-S", "grader=exact", "--action", "overwrite"]
        self.inspect("score", str(log), *scorer, "--output-file", str(again), folder=tmp_path)
        assert by_target(rescore([again]))[0.75]["n"] == 4

    @pytest.mark.parametrize(
        ("file", "targets", "message"),
        [
            ("capitals.jsonl", "1.5", "confidence target 1.5 is outside [0, 1); did you mean 0.015?"),
            ("capitels.jsonl", "0.5", "capitals.jsonl'?"),
        ],
    )
    def test_what_cannot_be_done_is_refused_in_one_line(
        self, file: str, targets: str, message: str, questions: Path, tmp_path: Path
    ) -> None:
        from abstain.evals.harnesses import inspect_plugin

        command = [sys.executable, "-m", "inspect_ai", "eval", f"{inspect_plugin.__file__}@open_rubric"]
        command += ["-T", f"data={tmp_path / file}", "-T", f"targets={targets}"]
        command += ["--model", "mockllm/model", "--display", "plain"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
        assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
        assert " ".join(done.stdout.split()).endswith(message)


class TestInspectModel:
    CASE = Case("Capital of Peru?", ["Lima"], parse("The City of Kings"))

    def judge(self, reply: str | Exception) -> list[Verdict]:
        async def generate(prompt: str) -> Any:
            assert "The City of Kings" in prompt
            if isinstance(reply, Exception):
                raise reply
            return SimpleNamespace(completion=reply)

        from abstain.evals.harnesses import inspect_plugin

        model = inspect_plugin.InspectModel(SimpleNamespace(generate=generate))
        return asyncio.run(JudgeGrader.of(model, cache=False).grade_async([self.CASE]))

    def test_a_model_of_inspect_judges(self) -> None:
        assert self.judge("GRADE: CORRECT") == [C] and self.judge("GRADE: INCORRECT") == [W]

    def test_its_failure_is_no_grade(self) -> None:
        assert self.judge(TimeoutError("too slow")) == [U] and self.judge("It depends.") == [U]
