"""Bad input gets a paragraph on stderr and exit code 2: never a traceback, never lost work."""

import json
from pathlib import Path

import pytest

from abstain.trainers.not_finite import NotFinite
from abstain.trainers.run_trainer import OutOfMemory


@pytest.fixture
def refused(abstain, monkeypatch, tmp_path):
    """Asserts that a command line is refused politely in an empty directory, and gives the message."""
    monkeypatch.chdir(tmp_path)

    def _refused(*arguments: object) -> str:
        result = abstain(*arguments, code=2, columns=80)
        message = result.stderr
        assert "Traceback" not in message and result.stdout == ""
        complaint = message[max(message.find("error:"), 0) :]  # what was done before may have been told
        assert len(complaint.splitlines()) <= 6 and message.count("error:") <= 1
        return " ".join(message.replace("│", " ").split())

    return _refused


def questions(path: Path, rows: list[dict | str]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def recipe(tmp_path: Path, tiny_model: Path, data: Path, extra: str = "") -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: tiny\ntask: {{name: qa, data: {data}, max_new_tokens: 3}}\nmodel: {{path: {tiny_model}}}\n"
        "rl:\n  targets: [0, 0.5]\n  args:\n    scale_rewards: none\n    num_generations: 2\n"
        "    per_device_train_batch_size: 8\n    use_cpu: true\n    max_steps: 1\n    max_completion_length: 3\n"
        + extra,
        encoding="utf-8",
    )
    return path


GOOD_ROW, OTHER_ROW = ({"id": i, "question": f"Where was P{i} born?", "answers": ["Oslo"]} for i in "12")


def test_missing_files(refused, tiny_model):
    assert "no recipe 'none.yaml'" in refused("train", "none.yaml")
    assert "none.jsonl" in refused("eval", tiny_model, "--data", "none.jsonl")
    assert "no model at ./none" in refused("eval", "./none", "--task", "letters")
    assert "no model at ./none" in refused("ask", "./none", "Who?")


def test_recipe_that_is_a_directory(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    assert "folder" in refused("train", "folder")


def test_wrong_column(refused, tiny_model, question_file):
    message = refused("eval", tiny_model, "--data", question_file, "--option", "question_column=questoin")
    assert "questoin" in message and "Did you mean 'question'?" in message


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        *([[GOOD_ROW, OTHER_ROW | {"answers": answers}], ["q.jsonl:2", "answer"]] for answers in ([], [""], None)),
        ([GOOD_ROW, OTHER_ROW | {"id": "1"}], ["id '1'", "q.jsonl:1", "q.jsonl:2"]),
        (['{"question": "x"'], ["q.jsonl:1"]),
    ],
)
def test_bad_questions(refused, tmp_path, tiny_model, rows, says):
    message = refused("eval", tiny_model, "--data", questions(tmp_path / "q.jsonl", rows))
    assert all(part in message for part in says)


def test_fewer_questions_than_one_batch(refused, tmp_path, tiny_model):
    rows = [GOOD_ROW | {"id": i, "question": f"Where was P{i} born?"} for i in range(2)]
    data = questions(tmp_path / "q.jsonl", rows)
    message = refused("train", recipe(tmp_path, tiny_model, data), "rl.args.per_device_train_batch_size=64")
    assert "64" in message and "2" in message


@pytest.mark.parametrize("target", ["1", "75", "-0.1", "half", "nan"])
def test_target_outside_its_range(refused, tmp_path, tiny_model, question_file, target):
    where = recipe(tmp_path, tiny_model, question_file)
    message = refused("eval", tiny_model, "--data", question_file, "--targets", f"0,{target}")
    assert "in [0, 1)" in message.replace("outside", "in")
    assert "[0, 1)" in refused("ask", tiny_model, "Who?", f"--target={target}")
    if target not in ("half", "nan"):
        assert "'rl.targets.1'" in refused("train", where, f"rl.targets=[0,{target}]")


def test_unknown_names(refused, tmp_path, tiny_model, question_file):
    where = recipe(tmp_path, tiny_model, question_file)
    assert "unknown task 'leters'. Did you mean 'letters'?" in refused("eval", tiny_model, "--task", "leters")
    assert "unknown task 'leters'. Did you mean 'letters'?" in refused("tasks", "leters")
    assert "no option 'dat'. Did you mean 'data'?" in refused("eval", tiny_model, "--task", "qa", "--option", "dat=3")
    assert "unknown task 'qaa'" in refused("train", where, "task.name=qaa")
    assert "Did you mean 'ConfidenceTarget'?" in refused("train", where, "rl.rewards=[{name: ConfidenceTraget}]")
    assert "Did you mean 'learning_rate'?" in refused("train", where, "rl.args.learning_rat=1")
    assert "Did you mean 'targets'?" in refused("train", where, "rl.target=[0]")
    assert "no grader is called 'mtch'. Did you mean 'match'?" in refused(
        "ask", tiny_model, "Who?", "--grader", "mtch"
    )
    assert "--target" in refused("eval", tiny_model, "--targts", "0")
    assert "Did you mean 'train'?" in refused("trian")


def test_mistakes_in_a_recipe_are_told_with_their_line(refused, tmp_path, tiny_model, question_file):
    extra = "    learning_rat: 1\n    num_iterations: few\n"
    message = refused("train", recipe(tmp_path, tiny_model, question_file, extra))
    assert "recipe.yaml:13: " in message and "learning_rat" in message
    assert "recipe.yaml:14: " in message and "num_iterations" in message
    assert not (tmp_path / "runs" / "tiny-0").exists()


def test_a_scaling_that_moves_the_threshold_is_refused(refused, tmp_path, tiny_model, question_file):
    message = refused("train", recipe(tmp_path, tiny_model, question_file), "rl.args.scale_rewards=group")
    assert "allow_threshold_drift" in message
    assert not (tmp_path / "runs" / "tiny-0").exists()


def test_a_model_that_is_no_causal_language_model(refused, tmp_path, question_file):
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path / "bert")
    assert "is not a causal language model" in refused("eval", tmp_path / "bert", "--data", question_file)
    message = refused("train", recipe(tmp_path, tmp_path / "bert", question_file))
    assert "is not a causal language model" in message and not (tmp_path / "runs" / "tiny-0").exists()


@pytest.mark.parametrize("place", ["file/run", "file", "/proc/run"])
def test_no_write_permission(refused, tmp_path, tiny_model, question_file, place):
    (tmp_path / "file").write_text("mine")
    where = recipe(tmp_path, tiny_model, question_file)
    assert f"cannot write to {place}" in refused("train", where, f"output_dir={place}")
    assert f"cannot write to {place}" in refused("eval", tiny_model, "--data", question_file, "--out", place)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("name", "options"), [("metrics.json", []), ("audit.json", ["--audit"])])
def test_results_are_not_overwritten(refused, tmp_path, tiny_model, question_file, name, options):
    (tmp_path / name).write_text("{}")
    message = refused("eval", tiny_model, "--data", question_file, "--out", tmp_path, *options)
    assert f"already holds {name}" in message and (tmp_path / name).read_text() == "{}"


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (KeyboardInterrupt(), "To continue: abstain train"),
        (OSError(28, "No space left on device"), "To continue: abstain train"),
        (ConnectionError("the hub is away"), "To continue: abstain train"),
        (OutOfMemory("memory ran out"), "To continue: abstain train"),
        (ValueError("no such column"), "before are kept: mend this, and add --resume to go on."),
        (FileNotFoundError(2, "No such file", "q.jsonl"), "before are kept: mend this, and add --resume to go on."),
        (NotFinite("the model's weights are not finite"), ""),
    ],
)
def test_resume_is_named_only_where_it_helps(abstain, tmp_path, tiny_model, question_file, monkeypatch, error, note):
    monkeypatch.chdir(tmp_path)

    def run(self):
        self.directory.start(self.recipe)
        self.directory.mark_complete("before")
        raise error

    monkeypatch.setattr("abstain.recipes.run.steps.Run.run", run)
    code = 130 if isinstance(error, KeyboardInterrupt) else 2
    last = abstain("train", recipe(tmp_path, tiny_model, question_file), code=code).stderr.splitlines()[-1]
    assert last.startswith(note) if note else "resume" not in last


def test_a_ray_cluster_that_is_gone(refused, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr("abstain.recipes.sweep.start.prepare_bases", lambda recipes: None)
    message = refused("ablate", "thresholds", "--engine", "ray")
    assert "no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1" in message and "`ray start --head`" in message


def test_nothing_to_ask(refused, tiny_model):
    assert "--task NAME" in refused("eval", tiny_model)


def test_columns_named_like_trls_do_no_harm(abstain, tmp_path, tiny_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("prompt", "prompts", "completion", "completions", "completion_ids", "target", "trainer_state", "images")
    rows = [{**GOOD_ROW, "id": i, "question": f"P{i}?", **dict.fromkeys(names, "x")} for i in range(12)]
    abstain("train", recipe(tmp_path, tiny_model, questions(tmp_path / "q.jsonl", rows)))
