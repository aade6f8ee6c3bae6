"""A model behind an OpenAI-compatible endpoint, asked what `abstain.evals.sampler.Sampler` asks one that runs here.

sampler = load_endpoint("openai:qwen3-32b", "http://localhost:8000/v1")
evaluate(sampler, load_task("popqa", data="popqa.tsv"), limit=500)
print(sampler.usage)

Every reply is kept on disk as it comes, by a hash of all that decides it, and found there the next time: an evaluation
that was interrupted goes on where it was. The client (requests, retries, refused fields) is that of judges, too:
`abstain.rewards.endpoint`.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from abstain.evals.progress import Advance, followed
from abstain.evals.sampling import Completion, PromptFormat
from abstain.rewards.endpoint.cache import OpenCache, ReplyCache, default_cache, reply_key
from abstain.rewards.endpoint.client import MOSTLY, OPENAI_URL, PREFIX, ROOM, ROOM_OF_REASONING, Endpoint, Request, run
from abstain.rewards.endpoint.texts import well_formed
from abstain.rewards.endpoint.usage import GIVEN_UP, Reply, Usage, check_prices, cost, dollars
from abstain.rewards.errors import nearest

FILTERED = "content filter"
TELLING = ("temperature", "seed", "logprobs")
"""Fields that matter where a server refuses them; the others only say what is usual anyway."""
_BYTES_OF_A_TOKEN, _TOKENS_AROUND = 4, 8


@dataclass(frozen=True)
class Estimate:
    """What asking would take, before it is done.

    Args:
        requests: to be sent; retries not counted.
        cached: prompts whose reply is there already.
        prompt_tokens: about; four bytes of text to a token.
        completion_tokens: at most; answers are shorter as a rule.
        cost: in dollars, at most; `None` without prices.

    Example:
        >>> print(Estimate(1200, 300, 64000, 38400, 0.09))
        1,200 requests (300 more are in the cache), about 64,000 tokens in and at most 38,400 out, at most $0.09
    """

    requests: int
    cached: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None = None

    def __str__(self) -> str:
        kept = f" ({self.cached:,} more are in the cache)" if self.cached else ""
        tokens = f"about {self.prompt_tokens:,} tokens in and at most {self.completion_tokens:,} out"
        price = "" if self.cost is None else f", at most {dollars(self.cost)}"
        return f"{self.requests:,} request{'s' * (self.requests != 1)}{kept}, {tokens}{price}"


class EndpointSampler:
    """Samples from a model behind an endpoint, as `Sampler` does from one that runs here.

    Args:
        endpoint: whom to ask, and how.
        prompt_format: "chat" (and "auto") makes a prompt a user's turn, "plain" has it continued as it is.
        max_new_tokens: room for an answer where `sample` is not told otherwise. A reasoning model needs far more, by
            `Endpoint.request`: `{"max_completion_tokens": 4000}`.
        cache: where replies are kept; `None` keeps none.
        prices: dollars per million tokens in, and out.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        prompt_format: PromptFormat = "auto",
        max_new_tokens: int = 32,
        cache: ReplyCache | None = None,
        prices: Sequence[float] | None = None,
    ) -> None:
        if prompt_format not in (allowed := get_args(PromptFormat)):
            raise ValueError(f"unknown prompt format {prompt_format!r}. {nearest(prompt_format, allowed)}")
        self.endpoint = endpoint
        self.name = endpoint.model
        self.chat = prompt_format != "plain"
        self.max_new_tokens = max_new_tokens
        self.cache = cache
        self.usage = Usage(prices=None if prices is None else check_prices(prices))
        self.left_out: set[str] = set()

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int = 1,
        temperature: float = 0.0,
        max_new_tokens: int | None = None,
        seed: int = 0,
        progress: str | Advance | None = None,
    ) -> list[list[Completion]]:
        """`n` completions for each prompt, in the order of `prompts`; see `abstain.evals.sampling.AnySampler`.

        `Completion.logprob` is the sum over the tokens of the answer that the server tells (of a reasoning model,
        those after its reasoning), `None` where it tells none. A prompt that brought no reply has
        `Completion.failure`. Each of `n` completions is a request of its own, with a seed of its own.

        Raises:
            ConnectionError: nearly nothing was replied to; the message says why. What was, is kept.
            ImportError, ValueError: it cannot be asked at all: no package, no key, a negative temperature.
        """
        draws = n if temperature > 0 else 1  # greedy ones are all alike
        rows = [
            [self._request(prompt, temperature, max_new_tokens, seed, draw) for draw in range(draws)]
            for prompt in prompts
        ]
        with followed(progress, len(prompts)) as advance:
            found = self._ask(rows, advance)
        return [[_completion(found[self._key(one)]) for one in row] * (n // draws) for row in rows]

    def estimate(self, prompts: Sequence[str], *, max_new_tokens: int | None = None) -> Estimate:
        """What one greedy completion of each prompt would take.

        Args:
            prompts: as for `sample`. One that is there again stands for a sample, which is looked for in no cache.
            max_new_tokens: room for an answer.
        """
        often = Counter(prompts)
        requests = {self._key(one): one for one in (self._request(p, 0.0, max_new_tokens) for p in often)}
        with self._shelf() as shelf:
            kept = _usable(shelf.get(list(requests)))
        drawn = [self._request(prompt, 0.0, max_new_tokens) for prompt in (often - Counter(set(prompts))).elements()]
        asked = [request for key, request in requests.items() if key not in kept] + drawn
        tokens = sum(-(-len(one.prompt.encode()) // _BYTES_OF_A_TOKEN) + _TOKENS_AROUND * one.chat for one in asked)
        own = self.endpoint.request
        room = own.get(ROOM_OF_REASONING, own.get(ROOM, max_new_tokens or self.max_new_tokens))
        most = len(asked) * room if isinstance(room, int) else 0
        return Estimate(len(asked), len(kept), tokens, most, cost(self.usage.prices, tokens, most))

    @property
    def refused(self) -> list[str]:
        """Fields that matter, and that the server was asked without."""
        return [name for name in TELLING if name in self.left_out]

    def report(self) -> dict[str, Any]:
        """For `metrics.json`: who was asked how, and what it took. Holds no key and no address."""
        counts = {name: value for name, value in self.usage.as_dict().items() if name != "settled"}
        how = {"model": self.name, "prompt_format": "chat" if self.chat else "plain"}
        return how | counts | {"left_out": self.refused}

    def _request(
        self, prompt: str, temperature: float, max_new_tokens: int | None, seed: int = 0, draw: int = 0
    ) -> Request:
        if temperature < 0:
            raise ValueError(f"temperature {temperature} is negative; 0 is greedy")
        settings: dict[str, Any] = {"temperature": temperature, ROOM: max_new_tokens or self.max_new_tokens}
        settings["logprobs"] = True if self.chat else 1
        if temperature > 0:
            settings |= {"seed": _seed(seed, draw, prompt), "top_p": 1}
        if self.endpoint.address.rstrip("/") != OPENAI_URL:  # servers follow a model's own defaults unless told
            settings |= {"repetition_penalty": 1, **({"top_k": 0, "min_p": 0} if temperature > 0 else {})}
        return Request(well_formed(prompt), settings, self.chat)

    def _key(self, request: Request) -> str:
        how = {"settings": dict(request.settings), "chat": request.chat}
        return reply_key(self.endpoint.identity | how, request.prompt)

    def _shelf(self) -> Any:
        return self.cache.open() if self.cache else nullcontext(OpenCache(None))

    def _ask(self, rows: Sequence[Sequence[Request]], advance: Advance) -> dict[str, Reply]:
        """A reply for each request, by key."""
        wanted: dict[str, Request] = {}
        waiting: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            for request in row:
                key = self._key(request)
                wanted[key] = request
                waiting[key].append(index)
        left = [len(row) for row in rows]

        def note(key: str) -> None:
            for index in waiting[key]:
                left[index] -= 1
                if not left[index]:
                    advance(1)

        with self._shelf() as shelf:
            found = _usable(shelf.get(list(wanted)))
            for key, reply in found.items():
                self.left_out.update(reply.left_out)
                note(key)
            asked = [key for key in wanted if key not in found]
            self.usage.reused += sum(map(len, waiting.values())) - len(asked)

            def done(place: int, reply: Reply) -> None:
                key = asked[place]
                found[key] = reply
                self.usage.add(reply)
                self.left_out.update(reply.left_out)
                if not reply.failure or reply.failure == FILTERED:
                    shelf.put(key, self.name, _kept(reply))
                if reply.failure != GIVEN_UP:
                    note(key)

            if asked:
                self._send([wanted[key] for key in asked], done)
                self._check([found[key] for key in asked])
        return found

    def _send(self, requests: Sequence[Request], done: Callable[[int, Reply], None]) -> None:
        try:
            run(self.endpoint.send(requests, done))
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(self._goes_on())
            raise

    def _goes_on(self) -> str:
        failed = self.usage.failures.total() - self.usage.failures[GIVEN_UP]
        replies = self.usage.asked - failed + self.usage.reused
        if self.cache is None or not replies:
            return f"{replies:,} replies came, and none is kept."
        return f"{replies:,} replies are kept in {self.cache.path}: the same command goes on from there."

    def _check(self, replies: Sequence[Reply]) -> None:
        """Stop where nearly nothing came back: a table of it would say nothing."""
        failed = [reply for reply in replies if reply.failure]
        given_up = any(reply.failure == GIVEN_UP for reply in failed)
        if not given_up and len(failed) <= MOSTLY * len(replies):
            return
        why = next(reply for reply in failed if reply.failure != GIVEN_UP)
        real = [reply for reply in failed if reply.failure != GIVEN_UP]
        count = f"{len(real):,} of {len(replies) - (len(failed) - len(real)):,} requests failed"
        said = f"{why.failure}: {why.detail}".rstrip(".")
        error = ConnectionError(
            f"{self.name} at {self.endpoint.address} cannot be asked: {count}: {said}.{self._hint(why)}"
        )
        error.add_note(self._goes_on())
        raise error

    def _hint(self, why: Reply) -> str:
        said = f"{why.failure} {why.detail}".lower()
        if self.chat and "chat template" in said:
            return " Ask a model that has no chat template with --prompt-format plain."
        if not self.chat and ("chat model" in said or why.failure == "not found"):
            return " Where there is nothing but chat, leave out --prompt-format plain."
        if why.failure == "unauthorized" and not self.endpoint.paid:
            return " Name the variable that holds its key: --endpoint-option key_env=NAME."
        return ""


def _seed(seed: int, draw: int, prompt: str) -> int:
    """A seed for each draw of each prompt: with one for all, questions would share their luck."""
    return int(hashlib.sha256(well_formed(f"{seed}\0{draw}\0{prompt}").encode()).hexdigest()[:8], 16) >> 1


def _completion(reply: Reply) -> Completion:
    return Completion(reply.text, reply.logprob, reply.completion_tokens, reply.truncated, reply.failure)


_KEPT = ("text", "failure", "detail", "truncated", "logprob", "completion_tokens", "left_out")


def _kept(reply: Reply) -> str:
    return json.dumps({name: getattr(reply, name) for name in _KEPT}, ensure_ascii=False)


def _usable(kept: Mapping[str, str]) -> dict[str, Reply]:
    """The replies that can be read; others are asked again."""
    found = {}
    for key, text in kept.items():
        try:
            fields = json.loads(text)
            told = {name: fields[name] for name in _KEPT}
            reply = replace(Reply(), **told | {"left_out": tuple(told["left_out"])})
        except (ValueError, LookupError, TypeError):
            continue
        if isinstance(reply.text, str) and (reply.logprob is None or isinstance(reply.logprob, int | float)):
            found[key] = reply
    return found


def is_endpoint(name: str) -> bool:
    """Whether a model's name means one behind an endpoint.

    Example:
        >>> is_endpoint("openai:gpt-4.1-mini"), is_endpoint("Qwen/Qwen3-0.6B")
        (True, False)
    """
    return name.startswith(PREFIX)


def load_endpoint(
    name: str,
    url: str | None = None,
    *,
    prompt_format: PromptFormat = "auto",
    max_new_tokens: int = 32,
    cache: str | Path | bool = True,
    prices: Sequence[float] | None = None,
    **options: Any,
) -> EndpointSampler:
    """A model by the name that a person types: `openai:NAME`.

    Args:
        name: with or without `openai:`.
        url: of the endpoint; OpenAI's by default.
        prompt_format, max_new_tokens, prices: see `EndpointSampler`.
        cache: a file for replies, `True` for the usual one, `False` for none.
        options: those of `Endpoint`. Its `timeout` is 300 seconds by default here, its `attempts` 8, and its `request`
            empty.

    Raises:
        ValueError: an option, a url, a price or a cache is not usable.

    Example:
        >>> load_endpoint("openai:qwen3-32b", "http://localhost:8000/v1", cache=False).name
        'qwen3-32b'
    """
    allowed = Endpoint.options()
    if unknown := [option for option in options if option not in allowed]:
        raise ValueError(
            f"a model behind an endpoint has no option {unknown[0]!r}. "
            f"{nearest(unknown[0], [*allowed, 'cache', 'prices'])}"
        )
    usual: dict[str, Any] = {"request": {}, "timeout": 300.0, "attempts": 8}
    endpoint = Endpoint(name.removeprefix(PREFIX), url, **(usual | options))
    place = default_cache("replies") if cache is True else Path(cache).expanduser() if cache else None
    return EndpointSampler(
        endpoint,
        prompt_format=prompt_format,
        max_new_tokens=max_new_tokens,
        cache=ReplyCache(place) if place else None,
        prices=prices,
    )
