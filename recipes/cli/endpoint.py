"""MODEL, loaded here or asked as `openai:NAME` behind an endpoint; there, what it will cost, and what it did."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from abstain.recipes.cli.options import judge_options
from abstain.recipes.run.console import on_terminal, say
from abstain.rewards.endpoint.client import PREFIX
from abstain.rewards.endpoint.usage import dollars

if TYPE_CHECKING:
    from abstain.evals.endpoint import EndpointSampler
    from abstain.evals.models import LoadedModel
    from abstain.evals.sampling import AnySampler, PromptFormat

ASK_ABOVE = 1.0
"""Dollars above which a person at a terminal is asked first …"""
ASK_ABOVE_REQUESTS = 5_000
"""… and requests, where they carry a key and nobody said what they cost."""


@dataclass(frozen=True)
class Served:
    """What stands for a loaded model where it is not loaded here.

    Args:
        name: at the endpoint.
        url: of the endpoint; `None` is OpenAI's.
        options: of `abstain.evals.endpoint.load_endpoint`.
        source: nowhere: it has no prompt card of its own.
    """

    name: str
    url: str | None
    options: Mapping[str, Any]
    source: str = ""

    def sampler(self, prompt_format: "PromptFormat") -> "EndpointSampler":
        """The model, to be asked in this format."""
        from abstain.evals.endpoint import load_endpoint

        return load_endpoint(self.name, self.url, prompt_format=prompt_format, **self.options)


def served(model: str, url: str | None, settings: Sequence[str], **here: Any) -> Served | None:
    """The model behind an endpoint that the options describe; `None` if MODEL is no `openai:NAME`.

    Args:
        model, url, settings: `MODEL`, `--url` and each `--endpoint-option`.
        here: options that only mean something for a model that runs here, by name; each must be empty, or "auto".

    Raises:
        ValueError: an option that does not go with the model, or is not usable.

    Example:
        >>> served("Qwen/Qwen3-0.6B", "http://localhost:8000/v1", [])
        Traceback (most recent call last):
        ...
        ValueError: --url and --endpoint-option are for a model behind an endpoint; write openai:Qwen/Qwen3-0.6B to ask
        it there
    """
    if not model.startswith(PREFIX):
        if url or settings:
            raise ValueError(
                "--url and --endpoint-option are for a model behind an endpoint; "
                f"write {PREFIX}{model} to ask it there"
            )
        return None
    if given := [name for name, value in here.items() if value and value != "auto"]:
        option = f"--{given[0].replace('_', '-')}"
        raise ValueError(f"{option} is for a model that runs here; leave it out, or leave out {PREFIX}")
    if not (name := model.removeprefix(PREFIX)):
        raise ValueError(f"{PREFIX} needs the model's name at the endpoint, such as {PREFIX}gpt-4.1-mini")
    found = Served(name, url, judge_options(list(settings)))
    found.sampler("auto")  # what is wrong with an option is said before anything is loaded
    return found


def load(
    model: str,
    url: str | None = None,
    settings: Sequence[str] | None = None,
    *,
    batch_tokens: int | None = None,
    task: str = "",
    task_options: Mapping[str, Any] | None = None,
    **how: Any,
) -> "Served | LoadedModel":
    """The model that somebody means: `served`, or else `abstain.recipes.run.training.load_start`.

    Args:
        model, url, settings: as for `served`.
        batch_tokens: refused for a model behind an endpoint.
        task, task_options: what will be asked.
        how: `dtype`, `revision` and `trust_remote_code`.
    """
    if there := served(model, url, settings or [], batch_tokens=batch_tokens, **how):
        return there
    from abstain.recipes.run.training import load_start  # brings TRL, which an endpoint does without

    return load_start(model, task=task, task_options=task_options, **how)


def sampler_of(
    loaded: "Served | LoadedModel", prompt_format: "PromptFormat", batch_tokens: int | None = None
) -> "AnySampler":
    """Asks what `load` found, in a prompt format."""
    if isinstance(loaded, Served):
        return loaded.sampler(prompt_format)
    from abstain.evals.sampler import Sampler

    how = {"prompt_format": prompt_format, "batch_tokens": batch_tokens}
    return Sampler(loaded.model, loaded.tokenizer, name=loaded.name, **how)  # type: ignore[arg-type]


def fingerprint_of(loaded: "Served | LoadedModel") -> str:
    """Of the weights of what `load` found, or what stands for them; see `abstain.evals.knowledge.fingerprint`."""
    from abstain.evals.knowledge.fingerprint import endpoint_fingerprint, fingerprint

    return endpoint_fingerprint(loaded.name) if isinstance(loaded, Served) else fingerprint(loaded.model)


def say_usage(sampler: "AnySampler") -> None:
    """What a model behind an endpoint did and cost; nothing of one that runs here."""
    if (usage := getattr(sampler, "usage", None)) is not None:
        say(f"{sampler.name}: {usage}")
        if usage.failures:
            say(f"such as {usage.example}")


def cost_first(
    sampler: Any, room: int, yes: bool, besides: Sequence[str] = ()
) -> Callable[[Sequence[str]], None] | None:
    """What `evaluate` calls before it asks: it says what that takes, and asks a person whether it is worth it.

    Args:
        sampler: who will be asked; `None` comes back for a model that runs here.
        room: tokens of an answer.
        yes: do not ask a person.
        besides: options that ask more later, which is not counted.
    """
    if not hasattr(sampler, "estimate"):
        return None

    def announce(prompts: Sequence[str]) -> None:
        estimate = sampler.estimate(prompts, max_new_tokens=room)
        more = f"; what {' and '.join(besides)} will ask besides is not counted" if besides else ""
        say(f"{sampler.name}: {estimate}{more}")
        if estimate.cost is None:
            much = f"{ASK_ABOVE_REQUESTS:,} requests at unknown prices"
            is_much = sampler.endpoint.paid and estimate.requests > ASK_ABOVE_REQUESTS
        else:
            much, is_much = dollars(ASK_ABOVE), estimate.cost > ASK_ABOVE
        if is_much and not yes and on_terminal() and sys.stdin.isatty():
            typer.confirm(f"That may be more than {much}. Go on? (--yes does not ask)", abort=True, err=True)

    return announce
