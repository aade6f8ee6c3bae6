"""Every refusal says what to type instead, and that, typed, is not refused."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SWEEP = """\
name: tiny-sweep
base: recipe.yaml
axes: {rl.args.beta: [0, 0.1]}
"""
PATTERNS = {
    "write": re.compile(r"write ('[^']+=[^']*'|\S+=\S+?)(?:[.\s]|$)"),
    "command": re.compile(r"(?:sweep|recipe|with it|example|For one): (abstain .+)$", re.MULTILINE),
    "nearest": re.compile(r"did you mean '?(.+?)'?\?", re.IGNORECASE),
    "set": re.compile(r"[Ss]et (\S+): (\S+?)[,.]?(?:\s|$)"),
    "add": re.compile(r"[Aa]dd (--\w+)"),
    "give": re.compile(r"give (--\w+)"),
    "goes with": re.compile(r"(?:goes with|is for) (--\w+(?: wandb)?)"),
    "must be": re.compile(r"must be '(\w+)'"),
    "own": re.compile(r"set (\w+) at the top"),
    "key": re.compile(r"needs looks .*: set (eval\.\w+),"),
}
"""Where a message says what to type."""


@pytest.fixture
def place(tmp_path, monkeypatch, recipe, question_file):
    """The recipe of the other tests, a sweep, data, a run directory and a folder, in the current directory."""
    Path("sweep.yaml").write_text(SWEEP)
    Path("people.csv").write_text("question,answer\nWhere was P1 born?,Oslo\n")
    Path("folder").mkdir()
    data = yaml.safe_load(recipe.read_text())
    for name in ("done", "other"):
        Path(name).mkdir()
        (Path(name) / "state.json").write_text('{"complete": []}')
        (Path(name) / "recipe.yaml").write_text(yaml.safe_dump({**data, "output_dir": name, "seed": int(name > "e")}))
    return tmp_path


@pytest.fixture
def typed(abstain, monkeypatch, tiny_model, question_file, place) -> Callable[..., str]:
    """Types a command line, and gives what it says before it would begin to work; "" if it is not refused."""
    from typer.testing import CliRunner

    from abstain.recipes.cli import app

    class Begun(Exception):
        """A command has passed its checks."""

    def begin(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.setattr("abstain.recipes.run.steps.Run.run", begin)
    monkeypatch.setattr("abstain.recipes.run.training.load_start", begin)
    monkeypatch.setattr("abstain.recipes.sweep.ablation.Ablation.run", begin)
    monkeypatch.setattr("abstain.recipes.sweep.engines.create_sweep", begin)
    monkeypatch.setattr("abstain.recipes.sweep.start.prepare_bases", lambda recipes: None)

    def _type(line: str) -> str:
        line = line.replace("MODEL", str(tiny_model)).replace("DATA", str(question_file))
        result = CliRunner().invoke(app, shlex.split(line), env={"COLUMNS": "1000"})
        assert result.exception is None or isinstance(result.exception, Begun | SystemExit), result.output
        refused = result.exit_code == 2 and not isinstance(result.exception, Begun)
        message = re.sub(r"^│ (.*?) *│$", r"\1", result.stderr, flags=re.MULTILINE) if refused else ""
        assert "Traceback" not in message
        return message

    return _type


def suggested(kind: str, message: str) -> str:
    """What the message says to type."""
    found = PATTERNS[kind].search(message)
    assert found, message
    return " ".join(found.groups())


def settings(kind: str) -> Callable[[str, str], str]:
    """The line with `key=value` at its end, as a message of this kind has it."""

    def mend(line: str, message: str) -> str:
        found = suggested(kind, message)
        return f"{line} {'='.join(found.split()) if kind == 'set' else found}"

    return mend


def instead(wrong: str, kind: str = "nearest") -> Callable[[str, str], str]:
    """The line with the nearest in the place of what was wrong."""
    return lambda line, message: line.replace(wrong, suggested(kind, message))


def without(wrong: str) -> Callable[[str, str], str]:
    """The line with `write key=value` in the place of an option."""
    return lambda line, message: line.replace(wrong, suggested("write", message))


def added(kind: str, more: str = "") -> Callable[[str, str], str]:
    """The line with the option that the message names."""
    return lambda line, message: f"{line} {suggested(kind, message)}{more}"


def the_command(line: str, message: str) -> str:
    """The command that the message gives, whole."""
    return suggested("command", message).removeprefix("abstain ")


TRAIN, EVAL = "train recipe.yaml output_dir=new", "eval MODEL --data DATA"
WRONG = [
    # names of commands, recipes, sweeps
    ("trian recipe.yaml output_dir=new", instead("trian")),
    ("train recipes.yaml", lambda line, message: "train quickstart" if "quickstart" in message else line),
    ("train qickstart", instead("qickstart")),
    ("ablate tresholds", instead("tresholds")),
    ("train thresholds", the_command),
    ("ablate quickstart-ppo", the_command),
    ("train sweep.yaml", the_command),
    ("ablate recipe.yaml", the_command),
    ("train done", the_command),
    ("train", the_command),
    ("ablate", the_command),
    # settings that look like options
    (f"{TRAIN} --seed 1", without("--seed 1")),
    (f"{TRAIN} --seed=1", without("--seed=1")),
    ("train recipe.yaml --output-dir elsewhere", without("--output-dir elsewhere")),
    (f"{TRAIN} --model MODEL", without("--model MODEL")),
    (f"{TRAIN} --data DATA", without("--data DATA")),
    (f"{TRAIN} --learning-rate 1e-5", without("--learning-rate 1e-5")),
    (f"{TRAIN} --max-steps 3", without("--max-steps 3")),
    (f"{TRAIN} --limit 9", without("--limit 9")),
    (f"{TRAIN} --targets 0,0.9", without("--targets 0,0.9")),
    ("ablate sweep.yaml --seed 1", without("--seed 1")),
    # settings
    (f"{TRAIN} seed", lambda line, message: line.replace(" seed", f" {message.split()[-1]}")),
    (f"{TRAIN} rl.limt=3", instead("limt")),
    (f"{TRAIN} rl.args.learning_rat=1", instead("learning_rat")),
    (f"{TRAIN} rl.rewards.0.name=truthrl", lambda line, message: TRAIN + " " + suggested("write", message)),
    (
        f"{TRAIN} rl.rewards=[{{name: ConfidenceTraget}}]".replace("rl.rewards=", "'rl.rewards=") + "'",
        instead("ConfidenceTraget"),
    ),
    (f"{TRAIN} rl.algorithm=gpo", instead("gpo", "must be")),
    (f"{TRAIN} 'rl.targets=[75]'", instead("75")),
    (f"{TRAIN} task.name=qaa", instead("qaa")),
    (f"{TRAIN} task.max_new_token=4", instead("max_new_token")),
    (f"{TRAIN} task.answer_format=plan", instead("plan")),
    (f"{TRAIN} rl.args.report_to=wandv", instead("wandv")),
    (f"{TRAIN} rl.args.scale_rewards=group", settings("set")),
    (f"{TRAIN} sft=null rl.instruct=confidence 'rl.rewards=[{{name: brier}}]'", settings("set")),
    (f"{TRAIN} rl.args.seed=2", instead("rl.args.seed", "own")),
    (f"{TRAIN} eval.keep_best=true", lambda line, message: f"{line} {suggested('key', message)}=2"),
    # runs
    ("train done/recipe.yaml", added("add")),
    (f"{TRAIN} --resum", instead("--resum")),
    (f"{TRAIN} --processes 2", added("goes with", " cpu")),
    (f"{TRAIN} --launch zero4", instead("zero4")),
    ("ablate sweep.yaml --create", added("goes with")),
    # other commands
    ("ask MODEL", the_command),
    ("ask MODEL Who? --taget 0.5", instead("--taget")),
    ("ask MODEL Who? --target 75", instead("75")),
    ("ask MODEL Who? --grader mtch", instead("mtch")),
    ("eval MODEL", added("give", " letters")),
    ("eval MODEL --task leters", instead("leters")),
    (f"{EVAL} --targets 75", instead("75")),
    (f"{EVAL} --option question_column=questoin", instead("questoin")),
    (f"{EVAL} --option max_new_token=3", instead("max_new_token")),
    (f"{EVAL} --format markdwn", instead("markdwn")),
    (f"{EVAL} --reading strct", instead("strct")),
    (f"{EVAL} --samples 4", added("goes with")),
    ("tasks leters", instead("leters")),
    ("rewards ConfidenceTraget", instead("ConfidenceTraget")),
    ("report", lambda line, message: f"report {'done'}" if the_command(line, message).startswith("report ") else line),
]


@pytest.mark.parametrize(("line", "mend"), WRONG, ids=[line for line, _ in WRONG])
def test_what_a_refusal_says_to_type_works(typed, line, mend):
    message = typed(line)
    assert message, "this is not refused"
    mended = mend(line, message)
    assert mended != line
    again = typed(mended)
    assert not again, f"{mended}\n{again}"


@pytest.mark.parametrize(
    ("line", "origin"),
    [
        (f"{TRAIN} rl.args.learning_rat=1", "command line (rl.args.learning_rat=…): "),
        (f"{TRAIN} rl.args.scale_rewards=group", "command line (rl.args.scale_rewards=…): "),
        (f"{TRAIN} rl.limt=1", "command line (rl.limt=…): "),
        (f"{TRAIN} task.nam=x", "command line (task.nam=…): "),
        ("ablate sweep.yaml seed=x", "command line (seed=…): "),
        ("ablate sweep.yaml rl.args.learning_rat=1", "command line (rl.args.learning_rat=…): "),
    ],
)
def test_a_mistake_on_the_command_line_is_not_blamed_on_the_file(typed, line, origin):
    message = typed(line)
    assert origin in message and "recipe.yaml:" not in message and "sweep.yaml:" not in message


def test_a_mistake_in_the_file_is_not_blamed_on_the_command_line(typed, recipe):
    recipe.write_text(recipe.read_text().replace("num_generations: 2", "num_generations: 2\n    scale_rewards: group"))
    assert re.search(r"recipe\.yaml:\d+: scale_rewards='group'", typed(f"{TRAIN} rl.args.max_steps=4"))


def test_files_of_another_kind(typed):
    assert "To write one: abstain init --data people.csv --model MODEL" in typed("train people.csv")
    assert "folder is a directory, and a recipe is a file" in typed("train folder")
