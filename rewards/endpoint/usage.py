"""What a model behind an endpoint replied and cost: replies, failures by kind, tokens."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

GIVEN_UP = "given up"


@dataclass(frozen=True)
class Reply:
    """What came of asking a model once, retries included.

    Args:
        text: what it wrote; "" if it failed.
        failure: why there is no reply, as a kind to count ("timeout", "rate limit", ...); "" if there is one.
        detail: the failure in words, for one message.
        prompt_tokens, completion_tokens: as the server counts them; 0 if it does not.
        retries: requests beyond the first.
        truncated: it ran out of tokens before it was done.
        logprob: natural log of the probability of the tokens of `text`, as far as the server tells them; `None` if it
            does not.
        left_out: fields of the request that the server refused, and was asked without.
    """

    text: str = ""
    failure: str = ""
    detail: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    truncated: bool = False
    logprob: float | None = None
    left_out: tuple[str, ...] = ()


@dataclass
class Usage:
    """Counts over the life of a client.

    Args:
        prices: dollars per million prompt tokens and per million completion tokens, if `cost` is wanted.
        settled: answers whose verdict needed no judge: abstentions, empty answers, no gold.
        asked: prompts sent, each counted once however often it was retried.
        reused: prompts answered from the cache, or by the same prompt in the same batch.
        retries: requests beyond the first of each prompt.
        failures: prompts without a reply, or without one that can be used, by kind.
        example: the first failure in words.
    """

    prices: tuple[float, float] | None = None
    settled: int = 0
    asked: int = 0
    reused: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def add(self, reply: Reply) -> None:
        """Count one prompt that was sent, or given up before it was."""
        self.asked += reply.failure != GIVEN_UP
        self.retries += reply.retries
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        if reply.failure:
            self.fail(reply.failure, reply.detail)

    def include(self, other: "Usage") -> None:
        """Count what another client did, too.

        Example:
            >>> both = Usage(asked=2, failures=Counter(timeout=1))
            >>> both.include(Usage(asked=3, failures=Counter(timeout=1)))
            >>> both.asked, both.failures
            (5, Counter({'timeout': 2}))
        """
        for name in ("settled", "asked", "reused", "retries", "prompt_tokens", "completion_tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures.update(other.failures)
        self.example = self.example or other.example

    def fail(self, kind: str, detail: str) -> None:
        """Count one prompt without a usable reply."""
        self.failures[kind] += 1
        self.example = self.example or f"{kind}: {detail}"

    @property
    def cost(self) -> float | None:
        """Dollars spent, or `None` without prices.

        Example:
            >>> Usage(prices=(0.4, 1.6), prompt_tokens=1_000_000, completion_tokens=500_000).cost
            1.2
        """
        return cost(self.prices, self.prompt_tokens, self.completion_tokens)

    def as_dict(self) -> dict[str, Any]:
        """For `metrics.json`: the counts, without prompts or messages."""
        names = ("settled", "asked", "reused", "retries", "prompt_tokens", "completion_tokens")
        counts: dict[str, Any] = {name: getattr(self, name) for name in names}
        return counts | {"failures": dict(sorted(self.failures.items())), "cost": self.cost}

    def __str__(self) -> str:
        """One line for people.

        Example:
            >>> print(Usage(asked=90, reused=10, retries=2, failures=Counter(timeout=1), prompt_tokens=4000))
            90 replies and 10 from the cache, 2 retries, 1 failed (1 timeout), 4,000 tokens in and 0 out
        """
        parts = [f"{self.asked:,} replies and {self.reused:,} from the cache"]
        parts += [f"{self.settled:,} settled without it"] if self.settled else []
        parts += [f"{self.retries:,} retr{'y' if self.retries == 1 else 'ies'}"] if self.retries else []
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.failures.most_common())
        parts += [f"{self.failures.total():,} failed ({kinds})"] if kinds else []
        if self.prompt_tokens or self.completion_tokens:
            parts += [f"{self.prompt_tokens:,} tokens in and {self.completion_tokens:,} out"]
        parts += [] if self.cost is None else [dollars(self.cost)]
        return ", ".join(parts)


def cost(prices: tuple[float, float] | None, prompt_tokens: float, completion_tokens: float) -> float | None:
    """Dollars for so many tokens at so many dollars per million in and out; `None` without prices."""
    return None if prices is None else (prompt_tokens * prices[0] + completion_tokens * prices[1]) / 1e6


def dollars(amount: float) -> str:
    """An amount for people.

    Example:
        >>> dollars(1234.5), dollars(0.0004)
        ('$1,234.50', '$0.0004')
    """
    return f"${amount:,.2f}" if amount >= 0.01 or not amount else f"${amount:.1g}"


def check_prices(prices: Sequence[float]) -> tuple[float, float]:
    """Two prices in dollars per million tokens, or `ValueError`.

    Example:
        >>> check_prices([0.4, 1.6])
        (0.4, 1.6)
    """
    pair = list(prices) if isinstance(prices, Sequence) else []
    numbers = [float(price) for price in pair if isinstance(price, int | float) and 0 <= price < float("inf")]
    if len(pair) != 2 or len(numbers) != 2:
        told = "they must be two: dollars per million tokens in, and out, such as [0.4, 1.6]"
        raise ValueError(f"prices are {prices!r}; {told}")
    return numbers[0], numbers[1]
