"""How often training is saved: at each tenth of a stage, unless saving would take more than a tenth of the time."""

from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerControl, TrainerState

from abstain.trainers.checkpoints import steps_planned
from abstain.trainers.run_trainer import Sparing
from abstain.trainers.trl_args import SHARED_DEFAULTS, build_config


def saved(step_seconds: float, save_seconds: float, steps: int = 100, **args: object) -> list[int]:
    """The steps that are saved of a stage of 100 steps, in which a checkpoint is due at each tenth."""
    now, found = [0.0], []
    settings = SimpleNamespace(**({"save_steps": 0.1, "world_size": 1, "load_best_model_at_end": False} | args))
    sparing = Sparing(lambda: now[0])
    sparing.on_train_begin()
    for step in range(1, steps + 1):
        now[0] += step_seconds
        state, control = TrainerState(global_step=step, max_steps=steps), TrainerControl()
        control.should_save = step % 10 == 0
        sparing.on_step_end(settings, state, control)
        if control.should_save:
            now[0] += save_seconds
            found.append(step)
            sparing.on_save()
    return found


def test_a_small_model_is_saved_ten_times():
    assert saved(step_seconds=1, save_seconds=0.5) == list(range(10, 101, 10))


def test_saving_a_large_model_takes_a_tenth_of_the_time():
    assert saved(step_seconds=1, save_seconds=3) == [10, 40, 70, 100]  # 30 seconds between two, and the last step
    assert saved(step_seconds=1, save_seconds=1000) == [10, 100]


@pytest.mark.parametrize("args", [{"save_steps": 10}, {"world_size": 2}, {"load_best_model_at_end": True}])
def test_what_was_asked_for_is_saved(args):
    assert len(saved(step_seconds=1, save_seconds=1000, **args)) == 10


def test_defaults(tmp_path):
    given = SHARED_DEFAULTS | {"output_dir": str(tmp_path)}
    config = build_config("SFTConfig", {}, given)
    assert (config.save_steps, config.save_total_limit) == (0.1, 1)
    best = {"eval_strategy": "steps", "eval_steps": 50, "load_best_model_at_end": True}
    assert build_config("SFTConfig", best, given).save_steps == 500  # a multiple, which transformers wants
    assert build_config("SFTConfig", {"save_steps": 7}, given).save_steps == 7


@pytest.mark.skipif(torch.accelerator.is_available(), reason="of machines without one")
@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_only_on_cpus_that_compute_it_at_speed(tmp_path, monkeypatch, fast):
    monkeypatch.setattr("abstain.evals.models.fast_bfloat16", lambda device: fast)
    given = SHARED_DEFAULTS | {"output_dir": str(tmp_path)}
    assert build_config("SFTConfig", {"bf16": True}, given).bf16 is fast
    assert build_config("SFTConfig", {}, given).bf16 is False


def test_a_checkpoint_knows_how_far_it_is_to_go(tmp_path):
    for text, planned in (('{"global_step": 4, "max_steps": 12}', 12), ("{}", None)):
        (tmp_path / "trainer_state.json").write_text(text)
        assert steps_planned(tmp_path) == planned
