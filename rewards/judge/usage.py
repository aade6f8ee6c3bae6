"""What a judge did and cost: replies, failures by kind, tokens."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

UNREADABLE = "unreadable reply"
GIVEN_UP = "given up"


@dataclass(frozen=True)
class Reply:
    """What came of asking a judge once, retries included.

    Args:
        text: what it wrote; "" if it failed.
        failure: why there is no text, as a kind to count ("timeout", "rate limit", ...); "" if there is.
        detail: the failure in words, for one message.
        prompt_tokens, completion_tokens: as the server counts them; 0 if it does not.
        retries: requests beyond the first.
    """

    text: str = ""
    failure: str = ""
    detail: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0


@dataclass
class Usage:
    """Counts over the life of a judge.

    Args:
        prices: dollars per million prompt tokens and per million completion tokens, if `cost` is wanted.
        settled: answers whose verdict needed no judge: abstentions, empty answers, no gold.
        asked: prompts sent to the judge, each counted once however often it was retried.
        reused: prompts answered from the cache, or by the same prompt in the same batch.
        retries: requests beyond the first of each prompt.
        failures: prompts without a verdict, by kind.
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
        """Count what another judge did, too.

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
        """Count one prompt without a verdict."""
        self.failures[kind] += 1
        self.example = self.example or f"{kind}: {detail}"

    @property
    def cost(self) -> float | None:
        """Dollars spent, or `None` without prices.

        Example:
            >>> Usage(prices=(0.4, 1.6), prompt_tokens=1_000_000, completion_tokens=500_000).cost
            1.2
        """
        if self.prices is None:
            return None
        return (self.prompt_tokens * self.prices[0] + self.completion_tokens * self.prices[1]) / 1e6

    def as_dict(self) -> dict[str, Any]:
        """For `metrics.json`: the counts, without prompts or messages."""
        names = ("settled", "asked", "reused", "retries", "prompt_tokens", "completion_tokens")
        counts: dict[str, Any] = {name: getattr(self, name) for name in names}
        return counts | {"failures": dict(sorted(self.failures.items())), "cost": self.cost}

    def __str__(self) -> str:
        """One line for people.

        Example:
            >>> print(Usage(asked=90, reused=10, retries=2, failures=Counter(timeout=1)))
            90 replies and 10 from the cache, 2 retries, 1 failed (1 timeout)
        """
        parts = [f"{self.asked:,} replies and {self.reused:,} from the cache"]
        parts += [f"{self.settled:,} settled without it"] if self.settled else []
        parts += [f"{self.retries:,} retries"] if self.retries else []
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.failures.most_common())
        parts += [f"{self.failures.total():,} failed ({kinds})"] if kinds else []
        tokens = self.prompt_tokens + self.completion_tokens
        parts += [f"{tokens:,} tokens"] if tokens else []
        parts += [] if self.cost is None else [f"${self.cost:,.2f}"]
        return ", ".join(parts)


def check_prices(prices: Sequence[float]) -> tuple[float, float]:
    """Two prices in dollars per million tokens, or `ValueError`.

    Example:
        >>> check_prices([0.4, 1.6])
        (0.4, 1.6)
    """
    numbers = [price for price in prices if isinstance(price, int | float) and 0 <= price < float("inf")]
    if len(prices) != 2 or len(numbers) != 2:
        raise ValueError(f"judge prices are {prices!r}; they must be two: dollars per million tokens in, and out")
    return float(numbers[0]), float(numbers[1])
