"""Things by name: found or refused with what to write instead, rewards as TRL calls them, graders that never guess."""

import asyncio
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.rewards import ConfidenceTarget, JudgedReward, build_reward, grade
from abstain.rewards.function_reward import AsyncFunctionReward, FunctionReward, _unique, named_reward
from abstain.rewards.graders.own import as_verdict
from abstain.rewards.grading import find_grader, grade_responses
from abstain.rewards.named import find, is_there, located, source_of
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

REWARDS = '''
"""Rewards of somebody's."""
from dataclasses import dataclass
from beside import WORTH
from abstain.rewards import ConfidenceTarget, truthrl

loaded = []

def brevity(completions, most: int = 4, **columns):
    return [WORTH if len(text) <= most else 0.0 for text in completions]

def columns_only(completions, answers, target=None):
    return [float(text in gold) for text, gold in zip(completions, answers)]

async def awaited(completions, most=4, **columns):
    return [None for _ in completions]

def solved(completions, solution, **columns):
    return solution

def chats(completions: list[list[dict[str, str]]], **columns):
    return [float(chat[-1]["content"] == "Lima") for chat in completions]

def wants(completions, popularity, **columns):
    return popularity

def maker(worth: float):
    def reward(completions, **columns):
        return [worth] * len(completions)
    return reward

def makes_nothing(worth=1):
    return worth

class Constant:
    threshold_dependent = True
    def __init__(self, worth: float, other: int = 0):
        if worth < 0:
            raise ValueError("worth is negative")
        self.worth = worth
    def __call__(self, completions, **columns):
        return [self.worth] * len(completions)

@dataclass(eq=False, repr=False)
class Doubled(ConfidenceTarget):
    factor: float = 2.0
    def _name_parts(self):
        return ["doubled", str(int(self.factor))]
    def _score(self, verdict, response, target):
        return self.factor * super()._score(verdict, response, target)

constant = Constant(3.0)
number = 4
'''
GRADERS = """
import numpy
from abstain.rewards.verdict import Verdict

asked = []

def by_letter(answer, gold):
    asked.append(answer)
    return answer[0] in [one[0] for one in gold]

def with_question(completion, gold, question):
    return "CORRECT" if question == "Who?" else "INCORRECT"

def strictly(answer, gold, reading):
    return Verdict.CORRECT if reading == "lenient" else Verdict.INCORRECT

def everything(answer, gold, **more):
    return sorted(more) == ["question", "reading"]

def cannot_tell(answer, gold):
    return None

def of_numpy(answer, gold):
    return numpy.bool_(True)

def breaks(answer, gold):
    return 1 / 0

def half(answer, gold):
    return 0.5

def mistyped(answer, gold):
    return "CORECT"

def alone(answer):
    return True

def demanding(answer, gold, weight):
    return True

async def later(answer, gold):
    return True

class Kind:
    def __call__(self, answer, gold):
        return answer in gold

kind = Kind()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_rewards.py").write_text(REWARDS)
    (tmp_path / "my_graders.py").write_text(GRADERS)
    (tmp_path / "beside.py").write_text("WORTH = 1.0\n")
    monkeypatch.chdir(tmp_path)
    for name in ("beside", "my_rewards", "my_graders"):  # of other tests in this process
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


# --- names


@pytest.mark.parametrize(
    ("name", "said"),
    {
        "my_rewrds.py:brevity": "there is no file my_rewrds.py in .*Did you mean 'my_rewards.py'",
        "my_rewards.py:brevty": "my_rewards.py has no 'brevty'. Did you mean 'brevity'",
        "my_rewards:brevity": "there is no module my_rewards. There is a file: write my_rewards.py:brevity",
        "tlr.rewards:think_format_reward": "there is no module tlr.rewards. Did you mean 'trl'",
        "json.decodre:x": "there is no module json.decodre. Did you mean 'json.decoder'",
        "no.such.module:x": "there is no module no.such.module",
    }.items(),
    ids=lambda value: value if ":" in value[:40] else "",
)
def test_what_is_not_there_is_said_with_the_nearest(folder: Path, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        find(name)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import nothing_of_the_kind",
            r"ModuleNotFoundError: No module named 'nothing_of_the_kind' \(.*broken.py:2\)",
        ),
        ("def f(:", r"SyntaxError: .* \(.*broken.py:2\)"),
        ("x = {}['gold']", r"KeyError: 'gold' \(.*broken.py:2\)"),
        ("raise SystemExit(3)", r"SystemExit: 3 \(.*broken.py:2\)"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_by_its_last_line(folder: Path, code: str, said: str) -> None:
    (folder / "broken.py").write_text(f"'''A file.'''\n{code}\n")
    for _ in range(2):  # nothing half-made is kept
        with pytest.raises(ValueError, match=f"'broken.py:f' cannot be imported: {said}"):
            find("broken.py:f")


def test_a_file_runs_once_and_is_no_module_of_that_name(folder: Path) -> None:
    before = set(sys.modules)
    first = find("my_rewards.py:loaded")
    assert find(f"{folder}/my_rewards.py:loaded") is first
    assert {name for name in set(sys.modules) - before if "my_rewards" in name} - {"my_rewards"}
    assert "my_rewards" not in sys.modules


def test_two_files_of_one_name_are_two_modules(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "my_rewards.py").write_text("loaded = 'elsewhere'\n")
    assert find("my_rewards.py:loaded") == [] and find("other/my_rewards.py:loaded") == "elsewhere"


def test_the_recipes_folder_comes_first(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("recipes")
    assert located("my_rewards.py:brevity", [elsewhere, folder]) == f"{folder}/my_rewards.py:brevity"
    (elsewhere / "my_rewards.py").write_text("")
    assert located("my_rewards.py:brevity", [elsewhere, folder]) == f"{elsewhere}/my_rewards.py:brevity"


def test_looking_where_code_lies_runs_none_of_it(folder: Path) -> None:
    package = folder / "bomb"
    package.mkdir()
    for name in ("__init__", "inside"):
        (package / f"{name}.py").write_text("raise SystemExit('it ran')\n")
    sys.path.append(str(folder))
    assert source_of("bomb.inside:thing") == package / "inside.py" and is_there("bomb.inside:thing")
    assert source_of("bomb/inside.py:thing") == package / "inside.py"
    with pytest.raises(ValueError, match="SystemExit: it ran"):
        find("bomb.inside:thing")


# --- rewards


ROWS = {
    "prompts": ["Capital of Peru?"] * 2,
    "completions": ["Lima", "Quito"],
    "completion_ids": [[1], [2]],
    "answers": [["Lima"], ["Lima"]],
    "target": [0.75, 0.75],
    "question": ["Capital of Peru?"] * 2,
    "question_id": ["a", "a"],
    "trainer_state": None,
    "log_extra": lambda column, values: None,
    "log_metric": lambda name, value: None,
}


def test_a_function_gets_its_options_and_a_name_of_its_own(folder: Path) -> None:
    short, long = (build_reward("my_rewards.py:brevity", {"most": most}) for most in (4, 9))
    assert (short(**ROWS), long(**ROWS)) == ([1.0, 0.0], [1.0, 1.0])
    assert (short.__name__, long.__name__) == ("brevity_most_4", "brevity_most_9")
    assert build_reward("my_rewards.py:brevity").__name__ == "brevity"
    assert pickle.loads(pickle.dumps(short))(**ROWS) == [1.0, 0.0]


@given(st.tuples(st.floats(), st.floats()) | st.tuples(st.text(), st.text()))
def test_names_are_plain_and_tell_options_apart(values: tuple) -> None:
    def reward(completions, a=None, **columns): ...

    names = [_unique(reward, {"a": value}) for value in values]
    assert all(re.fullmatch(r"\w+", name) for name in names)
    assert (names[0] == names[1]) == (str(values[0]) == str(values[1]))


def test_a_pickle_is_read_by_another_process(folder: Path) -> None:
    (folder / "reward.pickle").write_bytes(pickle.dumps(build_reward("my_rewards.py:brevity", {"most": 9})))
    code = "import pickle; print(pickle.load(open('reward.pickle', 'rb'))(completions=['Lima', 'x' * 10]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.strip() == "[1.0, 0.0]"


@pytest.mark.parametrize(
    ("thing", "args", "scores"),
    [
        ("columns_only", {}, [1.0, 0.0]),
        ("solved", {}, ["Lima", "Lima"]),
        ("chats", {}, [1.0, 0.0]),
        ("maker", {"worth": 2}, [2, 2]),
        ("Constant", {"worth": 2}, [2, 2]),
        ("constant", {}, [3.0, 3.0]),
        ("Doubled", {"grader": "exact"}, [0.5, -1.5]),
    ],
)
def test_functions_classes_and_instances_are_rewards(folder: Path, thing: str, args: dict, scores: list) -> None:
    assert build_reward(f"my_rewards.py:{thing}", args)(**ROWS) == scores


def test_one_that_is_awaited_is_awaited(folder: Path) -> None:
    reward = build_reward("my_rewards.py:awaited", {"most": 3})
    assert isinstance(reward, AsyncFunctionReward)
    assert asyncio.run(reward(**ROWS)) == [None, None]


def test_what_the_task_gives_reaches_those_that_grade(folder: Path) -> None:
    of_task = {"grader": "exact", "answer_format": "plain"}
    built = {name: build_reward(name, {}, of_task) for name in ("truthrl", "my_rewards.py:Doubled")}
    built["instance"] = build_reward("my_rewards.py:truthrl", {"grader": "f1"}, of_task)
    assert [(one.grader, one.answer_format) for one in built.values()] == [("exact", "plain")] * 2 + [("f1", "plain")]
    assert isinstance(build_reward("my_rewards.py:brevity", {}, of_task), FunctionReward)
    assert built["my_rewards.py:Doubled"].threshold_dependent
    assert build_reward("my_rewards.py:constant").threshold_dependent
    assert not build_reward("my_rewards.py:brevity").threshold_dependent


@pytest.mark.parametrize(
    ("thing", "args", "said"),
    [
        ("brevity", {"mots": 3}, "my_rewards.py:brevity has no argument 'mots'. Did you mean 'most'"),
        ("brevity", {"completions": []}, "my_rewards.py:brevity has no argument 'completions'"),
        ("wants", {}, "lacks the argument 'popularity', which has no default; what is filled in is prompts, "),
        ("Constant", {}, "my_rewards.py:Constant lacks the argument 'worth'"),
        ("Constant", {"wroth": 1}, "my_rewards.py:Constant has no argument 'wroth'. Did you mean 'worth'"),
        ("Constant", {"worth": -1}, r"my_rewards.py:Constant raised ValueError: worth is negative \(.*my_rewards.py:"),
        ("Doubled", {"facto": 1}, "my_rewards.py:Doubled has no argument 'facto'. Did you mean 'factor'"),
        ("Doubled", {"grader": "exatc"}, "reward my_rewards.py:Doubled: no grader is called 'exatc'"),
        ("makes_nothing", {}, "my_rewards.py:makes_nothing made a int, which cannot be called"),
        ("number", {}, "my_rewards.py:number is a int, and cannot be called"),
    ],
)
def test_a_reward_that_cannot_be_is_refused(folder: Path, thing: str, args: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_reward(f"my_rewards.py:{thing}", args)


def test_a_file_without_a_thing_is_answered_with_what_is_in_it(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown reward 'my_rewards.py'. Say which .* my_rewards.py:brevity\."):
        build_reward("my_rewards.py")


def test_trl_has_rewards_that_run_as_they_are() -> None:
    pytest.importorskip("trl")
    rewards = {
        "think_format_reward": {},
        "accuracy_reward": {},
        "get_soft_overlong_punishment": {"max_completion_len": 4, "soft_punish_cache": 2},
        "get_repetition_penalty_reward": {"ngram_size": 2},
        "get_cosine_scaled_reward": {"max_len": 8},
    }
    rows = {**ROWS, "completions": ["<think>\nso\n</think>\n\\boxed{4}", "5"], "answers": [["4"], ["4"]]}
    scores = {name: named_reward(f"trl.rewards:{name}", args)(**rows) for name, args in rewards.items()}
    assert scores["think_format_reward"] == [1.0, 0.0] and scores["accuracy_reward"] == [1.0, 0.0]
    assert all(len(one) == 2 for one in scores.values())


def test_a_judge_prices_by_what_prices_verdicts(folder: Path) -> None:
    judge = {"model": "m", "url": "http://localhost:1/v1", "cache": False}
    scoring = JudgedReward(judge=judge, scoring="my_rewards.py:Doubled").scoring
    assert isinstance(scoring, ConfidenceTarget)
    with pytest.raises(ValueError, match=r"scoring is my_rewards\.py:brevity, which prices no verdicts"):
        JudgedReward(judge=judge, scoring="my_rewards.py:brevity")


# --- graders


@pytest.mark.parametrize(
    ("thing", "verdict"),
    [
        ("by_letter", "CORRECT"),
        ("with_question", "CORRECT"),
        ("strictly", "CORRECT"),
        ("everything", "CORRECT"),
        ("cannot_tell", "UNGRADED"),
        ("of_numpy", "CORRECT"),
        ("kind", "INCORRECT"),
    ],
)
def test_what_a_grader_says_is_a_verdict(folder: Path, thing: str, verdict: str) -> None:
    said = grade("Lama", ["Lima"], grader=f"my_graders.py:{thing}", question="Who?")
    assert isinstance(said, Verdict) and said.value == verdict


def test_it_is_not_asked_what_needs_no_grader(folder: Path) -> None:
    find("my_graders.py:asked").clear()
    settled = [
        grade(text, gold, grader="my_graders.py:by_letter") for text, gold in (("I don't know", ["L"]), ("L", []))
    ]
    assert settled == [Verdict.ABSTAINED, Verdict.UNGRADED] and not find("my_graders.py:asked")


def test_the_same_name_elsewhere_is_another_grader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert grade("Lama", ["Lima"], grader="my_graders.py:by_letter") is Verdict.CORRECT
    (folder / "other").mkdir()
    (folder / "other" / "my_graders.py").write_text("def by_letter(answer, gold):\n    return answer in gold\n")
    monkeypatch.chdir(folder / "other")
    assert grade("Lama", ["Lima"], grader="my_graders.py:by_letter") is Verdict.INCORRECT


def test_alike_answers_are_asked_once(folder: Path) -> None:
    find("my_graders.py:asked").clear()
    responses = [Response(text) for text in ("Lima", "Quito", "Lima", "Lima")]
    verdicts = grade_responses(responses, [["Lima"]] * 4, "my_graders.py:by_letter")
    assert [verdict.value for verdict in verdicts] == ["CORRECT", "INCORRECT", "CORRECT", "CORRECT"]
    assert find("my_graders.py:asked") == ["Lima", "Quito"]


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (
            "breaks",
            r"raised ZeroDivisionError: division by zero \(.*my_graders.py:\d+\)\n  answer: 'Lima'\n  gold: ",
        ),
        ("half", r"returned 0.5, which is no verdict: give CORRECT.*\n  answer: 'Lima'"),
        ("mistyped", "returned 'CORECT', which is no verdict. Did you mean 'CORRECT'"),
    ],
)
def test_a_grader_that_fails_is_told_with_the_input(folder: Path, thing: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"grader my_graders.py:{thing} {said}"):
        grade("Lima", ["Lima"], grader=f"my_graders.py:{thing}")


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("alone", r"my_graders.py:alone takes answer: a grader takes \(answer, gold\)"),
        ("demanding", "my_graders.py:demanding wants a 'weight', which nothing fills"),
        ("later", "my_graders.py:later is asynchronous"),
        ("Kind", "my_graders.py:Kind is a class"),
        ("asked", "my_graders.py:asked is a list, and cannot be called"),
    ],
)
def test_what_is_no_grader_is_refused_before_it_is_asked(folder: Path, thing: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        find_grader(f"my_graders.py:{thing}")


def test_a_reward_with_a_grader_of_ones_own_has_a_plain_name(folder: Path) -> None:
    reward = ConfidenceTarget(grader="my_graders.py:strictly")
    assert reward.__name__ == "confidence_target_my_graders_strictly"
    assert reward(**ROWS) == [-0.75, -0.75]  # rewards read strictly
    lenient = ConfidenceTarget(grader="my_graders.py:strictly", reading="lenient")
    assert lenient(**ROWS) == [0.25, 0.25]


def test_numbers_are_no_verdicts() -> None:
    assert as_verdict(np.bool_(False)) is Verdict.INCORRECT
    for value in (1, 0, np.float32(1), "correct", [True]):
        with pytest.raises(ValueError, match="is no verdict"):
            as_verdict(value)
