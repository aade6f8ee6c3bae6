"""Fixtures for all tests: a causal language model so small that making, saving and asking it takes milliseconds."""

import gc
import json
import math
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("abstain", deadline=None)  # a busy machine is not a bug
settings.load_profile("abstain")

# Threads cost more than they bring to models of this size, and on a busy machine they wait for each other without end.
# OpenMP reads it once, when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Trackio reads it once, when it is imported; nothing of a test belongs among the user's runs
tracked = tempfile.TemporaryDirectory(prefix="abstain-tests-trackio-", ignore_cleanup_errors=True)
os.environ["TRACKIO_DIR"] = tracked.name

# A job that a script starts with & ignores Ctrl-C, and so would the processes that tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What is there now stays to the end, and every trainer that starts would look through it for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_sys_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of somebody's own puts its folder on `sys.path`: not on that of the next test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


PEOPLE = ("Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal")
CITIES = ("Lima", "Oslo", "Rome", "Cairo")


def save_tiny_model(path: str | Path, words: Sequence[str] = (*PEOPLE, *CITIES)) -> Path:
    """Save a random two-layer Llama of 10,000 parameters and a tokenizer with one token for each word.

    Besides `words`, the tokenizer knows the words of the target instructions; any other is <unk>.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from abstain.rewards.prompts import IDK, instruction

    split = pre_tokenizers.WhitespaceSplit()
    texts = [*words, "Where was born?", IDK, *map(instruction, (0, 0.5, 0.75, 0.9))]
    pieces = [piece for text in texts for piece, _ in split.pre_tokenize_str(text)]
    vocabulary = dict.fromkeys(["<pad>", "<eos>", "<unk>", *pieces])
    word_level = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    word_level.pre_tokenizer = split
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_level, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        initializer_range=0.3,  # spread logits, so that rounding decides nothing
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return Path(path)


@pytest.fixture(scope="session")
def make_tiny_model() -> Callable[..., Path]:
    """`make_tiny_model(path, words=...)`: see `save_tiny_model`."""
    return save_tiny_model


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model. Read only: it is shared by the whole session."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def save_evaluation() -> Callable[..., Path]:
    """`save_evaluation(folder, **options)`: the files of a model that says the same to everything, and how sure it is.

    It is asked at t = 0 and t = 0.5, with the options of `abstain.evals.evaluation.evaluate`.
    """
    from abstain.evals.evaluation import evaluate
    from abstain.evals.sampling import Completion
    from abstain.evals.tasks.question import Question, Task

    class Sure:
        name = "sure"

        def sample(self, prompts: Sequence[str], **_: object) -> list[list[Completion]]:
            return [[Completion("Lima. Confidence: 0.8", math.log(0.8), 2, truncated=False)] for _ in prompts]

    gold = ("Lima", "Oslo", "Lima", "Lima", "Oslo", "Lima")
    questions = tuple(Question(str(i), f"Where was N{i} born?", (city,)) for i, city in enumerate(gold))

    def _save(folder: Path, **options: Any) -> Path:
        task = Task("toy", questions[:2], questions[2:])
        evaluate(Sure(), task, [0, 0.5], **options).save(folder)  # type: ignore[arg-type]
        return folder

    return _save


class ChatServer(ThreadingHTTPServer):
    """Chat completions on this machine: answers the n-th request with the n-th of `script`, the rest with the last."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.script: list[Callable[[ChatRequest], None]] = []
        self.requests: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.busy = self.most = 0
        self.closing = False
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), ChatRequest)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class ChatRequest(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.prompt = body["messages"][0]["content"] if "messages" in body else body["prompt"]
        with server.lock:
            server.busy += 1
            server.most = max(server.most, server.busy)
            answer = server.script[min(len(server.requests), len(server.script) - 1)]
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append((body, headers | {"path": self.path}))
        with suppress(OSError):
            answer(self)
        with server.lock:
            server.busy -= 1

    def send(self, status: int, body: str | dict[str, Any], **headers: str) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def chat(self, text: str | None, finish: str = "stop", status: int = 200) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        self.send(status, {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 5}})

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A server that a judge can be asked at, by its `url`, once it has a `script`."""
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.closing = True
    server.shutdown()
    server.server_close()
    thread.join()
