"""Recipes that name code: what will run is said before it runs, a stranger's needs a word, nothing else imports it."""

import json
import re
import shlex
import shutil
from pathlib import Path

import huggingface_hub
import pytest

from abstain.evals.meta_evaluation import read_judged
from abstain.evals.tasks.catalogue import TASKS, load_task
from abstain.recipes.cli.list import documented_grader, documented_reward, documented_task
from abstain.recipes.report import page
from abstain.recipes.run import code
from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.directory import stored_recipe
from abstain.recipes.run.recipe import Origin, load_recipe
from abstain.recipes.run.task_field import with_whole_paths
from abstain.rewards import READY_MADE, REWARDS
from abstain.rewards.graders import GRADERS

WRITE_REPORT = page.write_report
OWN = '''
"""Things of somebody's."""
import pathlib
from abstain.evals.tasks import Question, Task

pathlib.Path(__file__).with_suffix(".ran").write_text("it ran")

def brevity(completions, most: int = 20, **columns):
    """Pays for short completions.

    Args:
        most: characters that are short.
    """
    return [float(len(text) <= most) for text in completions]

async def nothing(completions, answers):
    return [None for _ in completions]

def broken(completions, question, **columns):
    return ["many" for _ in completions]

def close(answer, gold):
    """Right if it begins as the gold does."""
    return answer[:1] in [one[:1] for one in gold]

def people(n: int, city: str = "Lima", **more) -> Task:
    """Where people were born.

    Args:
        n: how many people.
    """
    asked = tuple(Question(f"{i}", f"Where was P{i} born?", (city,), f"P{i}") for i in range(n))
    return Task("people", asked[: n // 2], asked[n // 2 :], grader=f"{pathlib.Path(__file__).name}:close")

def no_task():
    return []

def fails():
    return {}["gold"]

class Calm:
    kinds = ("all_idk",)
    def __init__(self, patience: int = 1):
        self.patience = patience
    def apply(self, step, control):
        return "calmed"

class Confused(Calm):
    kinds = ("all_idkk",)
'''
RL = """\
name: own
task: {{name: qa, data: {data}, max_new_tokens: 3{task}}}
model: {{path: {model}}}
rl:
  targets: [0, 0.5]
  rewards: {rewards}
{guards}  args:
    {{use_cpu: true, num_generations: 2, per_device_train_batch_size: 8, max_steps: 2, max_completion_length: 3}}
eval: {{targets: [0, 0.5]}}
"""


@pytest.fixture
def own(tmp_path, monkeypatch, tiny_model, question_file):
    """`own(rewards=..., guards=..., task=...)` writes a recipe with things of my.py beside it; typed elsewhere."""
    folder, shell = tmp_path / "recipes", tmp_path / "shell"
    for path in (folder, shell):
        path.mkdir()
    (folder / "my.py").write_text(OWN)
    monkeypatch.chdir(shell)
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(page, "write_report", lambda path: path)  # it takes longer than all the rest

    def _write(rewards='[{name: "my.py:brevity", args: {most: 9}}]', guards="", task=""):
        path = folder / "own.yaml"
        path.write_text(RL.format(data=question_file, model=tiny_model, rewards=rewards, guards=guards, task=task))
        return path

    return _write


def ran(folder: Path) -> bool:
    return (folder / "my.ran").exists()


# --- they run


def test_what_does_not_grade_is_watched_by_the_tasks_grader(abstain, own):
    path = own(
        rewards='[{name: "my.py:brevity", args: {most: 9}}, {name: "my.py:nothing", weight: 0.5}]',
        guards='  guards: {every: 1, remedies: [{name: "my.py:Calm", args: {patience: 2}}]}\n',
        task=', grader: "my.py:close"',
    )
    said = abstain("train", path, "output_dir=run", "rl.args.logging_steps=1").stderr
    assert f"runs code: {path.parent / 'my.py'} (close, brevity, nothing, Calm)" in said
    log = json.loads(next(Path("run/rl").rglob("trainer_state.json")).read_text())["log_history"]
    logged = {key for entry in log for key in entry}
    assert {"rewards/brevity_most_9/mean", "accuracy/all", "abstention/t=0.5", "guards/alarms"} <= logged
    stored = stored_recipe(Path("run"))
    assert stored.rl.rewards[0].name == f"{path.parent / 'my.py'}:brevity"
    assert stored.task.options["grader"] == f"{path.parent / 'my.py'}:close"


def test_a_reward_that_fails_is_told_with_its_row(abstain, own):
    said = abstain("train", own(rewards='[{name: "my.py:broken"}]'), "output_dir=run", code=2).stderr
    assert "reward 'broken' returned 'many'" in said and "question: 'Where was" in said


@pytest.mark.slow
def test_processes_find_the_code_by_the_recipe(abstain, own):
    path = own(guards="  guards: {every: 1}\n")
    abstain("train", path, "output_dir=run", "--launch", "cpu", "--processes", "2")
    log = json.loads(next(Path("run/rl").rglob("trainer_state.json")).read_text())["log_history"]
    assert any("rewards/brevity_most_9/mean" in entry for entry in log)


def test_two_functions_of_one_name_are_told_apart(own):
    path = own(rewards='[{name: "my.py:brevity"}, {name: "other.py:brevity"}]')
    (path.parent / "other.py").write_text(
        "def brevity(completions, **columns):\n    return [0.0] * len(completions)\n"
    )
    from abstain.trainers.rl import build_rewards

    names = [reward.__name__ for reward in build_rewards(load_recipe(str(path))[0].rl)]
    assert names == ["brevity_0", "brevity_1"]


# --- they are checked, with file and line


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (
            {"rewards": '[{name: "mine.py:brevity"}]'},
            6,
            "there is no file mine.py in .*recipes or .*Did you mean 'my.py'",
        ),
        ({"rewards": '[{name: "my.py:brevty"}]'}, 6, "has no 'brevty'. Did you mean 'brevity'"),
        ({"rewards": '[{name: "my.py:brevity", args: {mots: 1}}]'}, 6, "has no argument 'mots'. Did you mean 'most'"),
        ({"rewards": "[{name: my.py}]"}, 6, "unknown reward 'my.py'. Say which thing in the file is meant"),
        ({"task": ', grader: "my.py:fails"'}, 2, "my.py:fails takes nothing: a grader takes"),
        ({"task": ", grader: exatc"}, 2, "no grader is called 'exatc'. Did you mean 'exact'"),
        (
            {"guards": '  guards: {remedies: [{name: "my.py:Confused"}]}\n'},
            7,
            "no alarm 'all_idkk'. Did you mean 'all_idk'",
        ),
        ({"guards": '  guards: {remedies: [{name: "my.py:close"}]}\n'}, 7, "my.py:close lacks the argument 'answer'"),
        (
            {"guards": '  guards: {remedies: [{name: "my.py:Calm", args: {patence: 1}}]}\n'},
            7,
            "Did you mean 'patience'",
        ),
    ],
)
def test_mistakes_are_told_with_their_line(own, change, line, said):
    path = own(**change)
    with pytest.raises(ValueError, match=f"own.yaml:{line}: .*({said})"):
        check_recipe(*load_recipe(str(path)))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("name: 'my.py:people'", "lacks the option 'n'"),
        ("name: 'my.py:no_task', n: 3", "own.yaml:2: task my.py:no_task has no option 'n'"),
        ("name: 'my.py:peeple', n: 3", "has no 'peeple'. Did you mean 'people'"),
    ],
)
def test_options_of_a_task_are_checked(own, task, said):
    path = own()
    path.write_text(re.sub(r"(?m)^task: .*$", f"task: {{{task}}}", path.read_text()))
    with pytest.raises(ValueError, match=said):
        check_recipe(*load_recipe(str(path)))


def test_a_task_of_ones_own(own, monkeypatch):
    folder = own().parent
    monkeypatch.chdir(folder)
    task = load_task("my.py:people", n=4, template="{question} {instruction}", max_new_tokens=5, anything=1)
    assert (len(task.train), task.template, task.max_new_tokens) == (2, "{question} {instruction}", 5)
    assert task.grader == f"{folder}/my.py:close"
    for name, said in {
        "no_task": "task my.py:no_task returned a list: it must return an abstain.evals.tasks.Task",
        "fails": r"task my.py:fails raised KeyError: 'gold' \(.*my.py:\d+\)",
    }.items():
        with pytest.raises(ValueError, match=said):
            load_task(f"my.py:{name}")


# --- whose code it is


def test_nothing_is_imported_before_it_is_said(own, monkeypatch):
    path = own()
    said = []
    monkeypatch.setattr(code, "say", lambda line, **_: said.append((line, ran(path.parent))))
    recipe, origin = load_recipe(str(path))
    check_recipe(recipe, origin)
    check_recipe(recipe, origin)  # as the points of a sweep: said once
    assert said == [(f"runs code: {path.parent / 'my.py'} (brevity)", False)] and ran(path.parent)


def refused(result) -> list[str]:
    """The command that a refusal says to type."""
    (line,) = re.findall(r"If you trust it, type: (.*)", result.stderr)
    return shlex.split(line)[1:]


@pytest.mark.parametrize("how", ["made_with", "state.json"])
def test_a_run_directory_may_be_a_strangers(abstain, own, how):
    path = own()
    if how == "made_with":
        path.write_text(path.read_text() + "made_with: {abstain: 0.1.0}\n")
    else:
        (path.parent / "state.json").write_text('{"complete": []}')
    result = abstain("train", path, "output_dir=run", code=2)
    assert f"own.yaml:6: {path.parent / 'my.py'} (brevity)" in result.stderr
    assert not ran(path.parent) and not Path("run").exists()
    command = refused(result)
    assert command == ["train", str(path), "output_dir=run", "--allow-code"]
    assert "runs code: " in abstain(*command).stderr and ran(path.parent)


def test_the_command_lines_own_word_needs_no_flag(own):
    path = own(rewards="[{name: truthrl}]")
    path.write_text(path.read_text() + "made_with: {abstain: 0.1.0}\n")
    name = f"{path.parent / 'my.py'}:brevity"
    check_recipe(*load_recipe(str(path), [f"rl.rewards.0.name={name}"]))
    check_recipe(*load_recipe(str(path)))  # and without code there is nothing to allow


def test_ones_own_run_needs_no_flag_and_anothers_does(abstain, own):
    path = own()
    abstain("train", path, "output_dir=run")
    assert "Done" in abstain("train", "run/recipe.yaml", "--resume").stderr
    code._admitted.clear()  # what this process was told before
    recipe, origin = load_recipe("run/recipe.yaml", ["seed=1", "output_dir=again"])
    check_recipe(recipe, origin)
    shutil.move("run", "gone")
    recipe = Path("gone/recipe.yaml")
    recipe.write_text(recipe.read_text().replace("output_dir: run", "output_dir: gone"))
    command = refused(abstain("train", recipe, "--resume", code=2))
    assert command == ["train", "gone/recipe.yaml", "--resume", "--allow-code"]


def test_code_that_comes_with_a_model_is_code(own):
    path = own(rewards="[{name: truthrl}]")
    text = path.read_text().replace("model: {", "model: {trust_remote_code: true, ")
    path.write_text(text + "made_with: {abstain: 0.1.0}\n")
    with pytest.raises(ValueError, match=r"own.yaml:3: what the repository of .*tiny carries \(trust_remote_code\)"):
        check_recipe(*load_recipe(str(path)))


def test_a_sweep_over_a_run_directory(abstain, own):
    path = own()
    path.write_text(path.read_text() + "made_with: {abstain: 0.1.0}\n")
    sweep = path.parent / "sweep.yaml"
    sweep.write_text(f"name: s\nbase: {path}\naxes: {{rl.rewards.0.args.most: [4, 8]}}\n")
    command = refused(abstain("ablate", sweep, code=2))
    assert command == ["ablate", str(sweep), "--allow-code"] and not ran(path.parent)
    printed = abstain(*command, "--engine", "wandb").stdout
    assert "--allow-code" in printed and not ran(path.parent)


@pytest.mark.slow
def test_the_points_of_an_allowed_sweep_run(abstain, own):
    path = own()
    path.write_text(path.read_text() + "made_with: {abstain: 0.1.0}\n")
    sweep = path.parent / "sweep.yaml"
    sweep.write_text(f"name: s\nbase: {path}\naxes: {{rl.rewards.0.args.most: [4, 8]}}\n")
    result = abstain("ablate", sweep, "--allow-code", "--jobs", "1", "--format", "json")
    assert "runs code: " in result.stderr
    names = {entry["name"] for entry in json.loads(Path("runs/s/sweep.json").read_text())["points"]}
    assert len(names) == 2
    for name in names:
        assert stored_recipe(Path("runs/s/points") / name).rl.rewards[0].name == f"{path.parent / 'my.py'}:brevity"


def test_a_copy_of_a_recipe_finds_its_code(own):
    path = own()
    copy = Path("copy.yaml")
    copy.write_bytes(with_whole_paths(path))
    assert load_recipe(str(copy))[0].rl.rewards[0].name == f"{path.parent / 'my.py'}:brevity"
    plain = own(rewards="[{name: truthrl}]")
    assert with_whole_paths(plain) == plain.read_bytes()


def test_reports_and_stored_recipes_import_nothing(abstain, own):
    path = own()
    abstain("train", path, "output_dir=run", "rl.args.max_steps=1")
    (path.parent / "my.ran").unlink()
    (path.parent / "my.py").write_text("raise SystemExit('it ran')\n")
    stored_recipe(Path("run"))
    WRITE_REPORT(Path("run"))
    assert not ran(path.parent)


def test_a_file_of_results_names_no_code(own):
    folder = own().parent
    judge = {"model": "m", "grader": f"{folder / 'my.py'}:close"}
    (folder / "metrics.json").write_text(json.dumps({"judge": judge, "by_target": []}))
    (folder / "records.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"my\.py:close' is no grader of `abstain graders`"):
        read_judged(folder)
    assert not ran(folder)


# --- the hub, by a stub: the hub itself was never asked


@pytest.fixture
def hub(own, monkeypatch, tmp_path):
    """A repository `ada/rivers` with a recipe and its code, as `hf_hub_download` would leave it."""
    path = own()
    cache = tmp_path / "hub"
    snapshot = cache / "models--ada--rivers" / "snapshots" / "abc"
    asked = []

    def hf_hub_download(repository, file, revision=None):
        asked.append((repository, file, revision))
        source = {"recipe.yaml": path, "my.py": path.parent / "my.py"}.get(file)
        if repository != "ada/rivers" or source is None:
            raise FileNotFoundError(f"404 for {repository}/{file}\n\nmore lines")
        snapshot.mkdir(parents=True, exist_ok=True)
        return shutil.copy(source, snapshot / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return asked, snapshot


def test_a_recipe_of_the_hub_needs_a_word_for_its_code(abstain, hub):
    asked, snapshot = hub
    result = abstain("train", "hf:ada/rivers@v1", "output_dir=run", code=2)
    assert asked == [("ada/rivers", "recipe.yaml", "v1"), ("ada/rivers", "my.py", "v1")]
    assert "recipe.yaml comes from the hub" in result.stderr and not ran(snapshot)
    command = refused(result)
    assert command == ["train", "hf:ada/rivers@v1", "output_dir=run", "--allow-code"]
    assert f"runs code: {snapshot / 'my.py'} (brevity)" in abstain(*command).stderr and ran(snapshot)


@pytest.mark.parametrize("name", ["my/../../etc.py", "/etc/x.py"])
def test_the_hub_is_asked_for_files_of_the_repository_alone(hub, own, name):
    asked, _ = hub
    own(rewards=f'[{{name: "{name}:thing"}}]')
    code.hub_recipe("hf:ada/rivers")
    assert asked == [("ada/rivers", "recipe.yaml", None)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf:rivers", "'hf:rivers' is no recipe of the hub: write hf:ORG/NAME"),
        ("hf:bo/rivers", "hf:bo/rivers: there is no recipe.yaml to be had: 404 for bo/rivers/recipe.yaml"),
    ],
)
def test_what_the_hub_does_not_have(abstain, hub, name, said):
    assert said in abstain("train", name, code=2).stderr


# --- what there is


@pytest.mark.parametrize(
    ("documented", "names"),
    [(documented_reward, [*REWARDS, *READY_MADE]), (documented_task, TASKS), (documented_grader, GRADERS)],
)
def test_every_option_says_what_it_means(documented, names):
    for name in names:
        shown = documented(name)
        assert shown.summary and shown.recipe and shown.options
        assert not [option for option in shown.options if not (option.meaning and option.type and option.default)]


def test_options_are_shown_in_a_table_with_an_example(abstain, own, monkeypatch):
    monkeypatch.chdir(own().parent)
    text = abstain("rewards", "my.py:brevity").stdout
    assert "Pays for short completions." in text and re.search(r"most\s+whole number\s+20\s+Characters that", text)
    assert "rl: {rewards: [{name: my.py:brevity, args: {most: 20}}]}" in text
    assert re.search(r"\bn\s+whole number\s+required\s+How many people", abstain("tasks", "my.py:people").stdout)
    assert "task: {name: qa, data: my.csv, grader: my.py:close}" in abstain("graders", "my.py:close").stdout
    shown = json.loads(abstain("rewards", "ConfidenceTarget", "--format", "json").stdout)
    assert [option["option"] for option in shown["options"]][:2] == ["target", "form"] and ">>>" in shown["example"]
    for command in (["rewards", "ProperScore"], ["tasks", "qa"], ["graders", "match"]):
        lines = abstain(*command).stdout.partition("In Python")[0].splitlines()  # an example stands as it is written
        assert max(map(len, lines)) <= 100
    assert "```yaml" in abstain("tasks", "letters", "--format", "markdown").stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["rewards", "ConfidenceTarge"], "unknown reward 'ConfidenceTarge'. Did you mean 'ConfidenceTarget'"),
        (["tasks", "leters"], "unknown task 'leters'. Did you mean 'letters'"),
        (["graders", "exatc"], "no grader is called 'exatc'. Did you mean 'exact'"),
        (["graders", "mine.py:x"], "there is no file mine.py"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(abstain, own, command, said):
    assert said in abstain(*command, code=2).stderr


def test_graders_of_ones_own_where_commands_take_one(abstain, own, tiny_model, question_file, monkeypatch):
    folder = own().parent
    monkeypatch.chdir(folder)
    options = ("--option", "grader=my.py:close", "--option", "max_new_tokens=3", "--limit", 4, "--targets", "0")
    abstain("eval", tiny_model, "--data", question_file, *options)
    abstain(
        "ask", tiny_model, "Where was P1 born?", "--gold", "Oslo", "--grader", "my.py:close", "--max-new-tokens", 3
    )
    log = folder / "log.csv"
    log.write_text("question,gold,completion\nWho?,Lima,Lama\nWho?,Oslo,Rome\n")
    rescored = abstain("rescore", log, "--grader", "my.py:close", "--targets", "0", "--format", "json").stdout
    assert [row["correct"] for row in json.loads(rescored)["rows"]] == [0.5]


def test_where_the_origin_is_nowhere_nobody_is_asked(own):
    recipe, origin = load_recipe(str(own()))
    assert code.from_elsewhere(recipe, origin.file) == ""
    assert code.from_elsewhere(recipe, Origin(Path("other.yaml"), {}, frozenset()).file) == ""
