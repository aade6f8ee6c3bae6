"""What a model is taught to keep and to leave out of a long answer."""

import json
from pathlib import Path

import pytest

from abstain.evals.claims.own import OwnClaim
from abstain.evals.tasks.question import Question, Task
from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.recipe import load_recipe
from abstain.rewards.claims.claim import Claim, Support
from abstain.rewards.prompts import IDK, claims_instruction
from abstain.trainers.claims import examples_of
from abstain.trainers.stages import SftStage

GOLD = ("Mo | born in | Ralvik", "Mo | works as | Tamist")
TASK = Task("people", (Question("mo", "Who is Mo?", GOLD),), ())
OWN = [
    OwnClaim(Claim("Mo", "born in", "Ralvik"), "Born in Ralvik", 0.8, Support.ENTAILMENT),
    OwnClaim(Claim("Mo", "works as", "Potter"), "Works as Potter.", 0.4, Support.CONTRADICTION),
]


def taught(own: list[OwnClaim], **options: object) -> list[str]:
    stage = SftStage(instruct="claims", **options)
    return [row["completion"] for row in examples_of(TASK, TASK.train, [own], stage, seed=0)]


@pytest.mark.parametrize(
    ("answers", "target", "completion"),
    [
        ("own", 0, "Born in Ralvik. Works as Potter."),
        ("own", 0.3, "Born in Ralvik. Works as Potter."),
        ("own", 0.4, "Born in Ralvik."),  # what is as likely as the target does not pay
        ("own", 0.9, IDK),
        ("known", 0, "Born in Ralvik."),
        ("gold", 0, "Born in Ralvik. Works as Tamist."),
        ("gold", 0.5, "Born in Ralvik."),
    ],
)
def test_kept_is_what_is_more_likely_than_the_target(answers: str, target: float, completion: str) -> None:
    assert taught(OWN, answers=answers, idk="unsure", targets=[target]) == [completion]


def test_a_random_share_is_left_out() -> None:
    texts = [taught(OWN, idk="random", idk_share=0.5, targets=[0.5])[0] for _ in range(3)]
    assert len(set(texts)) == 1, "the same seed leaves out the same"
    assert taught(OWN, idk="random", idk_share=0.99, targets=[0]) == ["Born in Ralvik. Works as Potter."]


def test_who_states_nothing_teaches_nothing() -> None:
    assert taught([], targets=[0]) == [] and taught([], answers="gold", targets=[0]) != []


@pytest.mark.parametrize(
    "more",
    [
        {"idk": "labels"},
        {"idk": "unknown"},
        {"idk": "probe"},
        {"idk": "detector", "detector": "results"},
        {"mix": {}},
        {"looks": {}},
    ],
)
def test_what_is_about_whole_answers_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="instruct: claims teaches statements"):
        SftStage(instruct="claims", **more)


def test_a_reward_for_claims_wants_prompts_that_say_so(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    rl = "rl: {rewards: [{name: ClaimTarget}]}"
    path.write_text(f"name: r\ntask: {{name: biographies}}\nmodel: {{path: biographies}}\n{rl}\n")
    with pytest.raises(ValueError, match="ClaimTarget pays for each statement, and no prompt says so"):
        check_recipe(*load_recipe(str(path)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_biographies_run_from_the_first_to_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from abstain.recipes.cli import app

    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    small = ["task.people=40", "task.held_out=10", "task.passes=1", "task.facts=3", "sft.limit=32"]
    small += ["sft.answers=gold", "sft.idk=random", "sft.args.max_steps=2", "sft.args.per_device_train_batch_size=4"]
    small += ["rl.args.max_steps=2", "rl.args.per_device_train_batch_size=16", "rl.args.num_generations=4"]
    small += ["rl.args.report_to=none", "rl.guards.every=1", "eval.every=1", "eval.while_training=4", "eval.limit=6"]
    both = ["sft.args.use_cpu=true", "rl.args.use_cpu=true", "eval.train_limit=10"]
    result = CliRunner().invoke(app, ["train", "biographies", f"output_dir={run}", *small, *both])
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert [row["n"] for row in metrics["by_target"]] == [18] * 4 and metrics["oracle"] == "true"
    assert [row["n"] for row in metrics["whole_answers"]] == [6] * 4
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    assert {record["prompt"].partition("\n")[2] for record in records} == {
        claims_instruction(row["target"]) for row in metrics["by_target"]
    }
    assert "Whole answers" in (run / "table.md").read_text()
    log = json.loads((run / "rl" / "trainer_state.json").read_text())["log_history"]
    seen = {key for entry in log for key in entry}
    assert {"claims/said/all", "heldout/biographies/score/t=0.9", "rewards/claim_target_plain/mean"} <= seen
    asked = CliRunner().invoke(app, ["eval", str(run / "model"), "--task", "biographies", "--start", str(run),
                                     *(part for one in small[:4] for part in ("--option", one.removeprefix("task."))),
                                     "--targets", "0,0.75"])  # fmt: skip
    assert asked.exit_code == 0, asked.output
    assert "Whole answers" in asked.output
