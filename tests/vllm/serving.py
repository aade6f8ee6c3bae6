"""A vLLM server on this machine's CPU, and what it replies in full."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from abstain.rewards.endpoint import Reply
from abstain.rewards.endpoint.reading import read_body

PYTHON = Path(__file__).parents[2] / "build" / "vllm" / "bin" / "python"
CONTEXT = 512
ALONE = {
    "CUDA_VISIBLE_DEVICES": "",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # or all servers of a machine sit on the same core
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_SERVER_DEV_MODE": "1",  # TRL's client asks for it
    "VLLM_TARGET_DEVICE": "cpu",  # it would go by the version of a package `vllm`; this one is `vllm-cpu`
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """Serves the model in a folder, in float32, from when it is made until `close`.

    Where the command `vllm serve` would read the version of a package `vllm` and stop, as there is only `vllm-cpu`,
    the module behind it starts.

    Raises:
        RuntimeError: it ended, or was not there within `timeout` seconds; with the last lines of its log.
    """

    def __init__(self, folder: Path, log: Path, *options: str, timeout: float = 900) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.model = str(folder)
        settings = {
            "--model": folder,
            "--host": "127.0.0.1",
            "--port": port,
            "--dtype": "float32",
            "--max-model-len": CONTEXT,
            "--max-logprobs": -1,
            "--logprobs-mode": "processed_logprobs",
        }
        words = [str(word) for pair in settings.items() for word in pair]
        command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", *words, "--enforce-eager", *options]
        environment = os.environ | ALONE | {"VLLM_CACHE_ROOT": str(log.parent / "cache")}
        with log.open("w") as out:
            self.process = subprocess.Popen(
                command, cwd=log.parent, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        end = time.monotonic() + timeout
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(f"vLLM does not serve {folder}:\n{log.read_text()[-5000:]}")
            time.sleep(0.5)

    def _answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=5).status == 200
        except (URLError, OSError):
            return False

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The reply to a request.

        Raises:
            ValueError: the server refused it, with what it said.
        """
        data = json.dumps({"model": self.model, **body}).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as reply:
                return json.load(reply)
        except HTTPError as error:
            raise ValueError(error.read().decode()) from None

    def reply(
        self, prompt: str, chat: bool, n: int, temperature: float, max_new_tokens: int, **more: Any
    ) -> dict[str, Any]:
        """What it says to a prompt, token ids and log-probabilities included; `more` goes into the request."""
        settings = {
            "n": n,
            "temperature": temperature,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "max_tokens": max_new_tokens,
            "seed": 0,
            "return_token_ids": True,
            **more,
        }
        if not chat:
            return self.post("/v1/completions", prompt=prompt, logprobs=0, **settings)
        messages = [{"role": "user", "content": prompt}]
        return self.post("/v1/chat/completions", messages=messages, logprobs=True, **settings)

    def close(self) -> None:
        """End the server and what it started."""
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def read_choice(choice: dict[str, Any]) -> Reply:
    """One of the choices of a reply, as the client reads it."""
    found = read_body(json.dumps({"choices": [choice]}))
    assert isinstance(found, Reply)
    return found


def token_logprobs(choice: dict[str, Any]) -> list[float]:
    """The log-probability of each token of a completion."""
    told = choice["logprobs"]
    return told["token_logprobs"] if "token_logprobs" in told else [token["logprob"] for token in told["content"]]
