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

from abstain.evals.rescore.rescoring import Rescored, rescore
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


def scripted(reply: Callable[[str], str]) -> Any:
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def answer(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", reply(messages[-1].text))
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    return get_model("mockllm/model", custom_outputs=answer, memoize=False)


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

        from abstain.evals.harnesses.inspect_plugin import confidence_target, verdict

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
        task = Task(MemoryDataset(samples), solver=confidence_target(0.5), scorer=verdict(**how))
        log = run(task, tmp_path, lambda prompt: "Lima", max_samples=1)
        assert sorted(asked) == [
            ("Capital of Chile?\n(A) Quito\n(B) Santiago", "strict"),
            ("Capital of Peru?", "strict"),
        ]
        (score,) = log.samples[0].scores.values()
        assert {key: score.metadata[key] for key in how} == how
        with pytest.raises(ValueError, match="Did you mean 'strict'"):
            verdict(reading="strickt")  # type: ignore[arg-type]


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
