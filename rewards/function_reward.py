"""Reward functions of anybody's: TRL's own, and those that somebody writes beside a recipe.

    def brevity(completions, most=20, **columns):          {"name": "my_rewards.py:brevity", "args": {"most": 10}}
        return [float(len(text) <= most) for text in completions]

They are called as TRL calls them, with the recipe's options besides. They need not grade: what needs verdicts (answer
formats, threshold drift, accuracy curves) does not look at them.
"""

import functools
import inspect
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from abstain.rewards.grading import gold_answers
from abstain.rewards.named import check_options, find, parameters_of, place_of, said, short, takes_any, whole
from abstain.rewards.verdict_reward import name_number

PROVIDED = ("prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric", "environments")
"""What TRL passes besides the data set's columns."""
COLUMNS = ("answers", "target", "question", "question_id")
"""Those of our data sets."""
SOLUTION = "solution"
"""What TRL's own rewards call the gold answer: the first of `answers`, where the data has no such column."""
LONGEST_NAME = 60  # characters


class FunctionReward:
    """A reward function, and the options that a recipe gives it.

    It pickles by its name and options. Parameters that TRL fills (`completions`, `prompts`, `completion_ids`,
    `trainer_state`, `log_extra`, `log_metric`) and columns (`answers`, `target`, `question`, `question_id`, and
    `solution`, the first gold answer) are filled where the function names them, and the rest where it takes `**rest`.
    Where its `completions` are annotated as `list[list[dict[str, str]]]`, as TRL's are, it gets conversations.

    Args:
        name: what `abstain.rewards.named.find` finds. A class, or a function without `completions`, makes the reward
            when it is called with the options.
        options: by the names of its parameters.

    Raises:
        ValueError: unknown or missing options, or a parameter that nothing fills.

    Example:
        >>> FunctionReward("textwrap:dedent")
        Traceback (most recent call last):
        ...
        ValueError: textwrap:dedent lacks the argument 'text', which has no default. It takes no completions, so it is
        to make a reward
    """

    def __init__(self, name: str, options: Mapping[str, Any] | None = None) -> None:
        self.name, self.options = whole(name), dict(options or {})
        self.function, self._given = _built(name, self.options)
        self._takes = parameters_of(name, self.function)
        filled = (*PROVIDED, *(one for one in (*COLUMNS, SOLUTION) if one not in self._given))
        check_options(name, self._takes, self._given, filled)
        self.__name__ = _unique(self.function, self.options)

    @property
    def threshold_dependent(self) -> bool:
        """Whether it says that dividing advantages by their standard deviation moves where answering pays."""
        return bool(getattr(self.function, "threshold_dependent", False))

    def __call__(self, **columns: Any) -> Any:
        """What the function returns for these columns."""
        return self.function(**self._passed(columns))

    def __reduce__(self) -> tuple[Any, ...]:
        return named_reward, (self.name, self.options)

    def __repr__(self) -> str:
        return f"{short(self.name)}({', '.join(f'{key}={value!r}' for key, value in self.options.items())})"

    def _passed(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        passed = dict(columns)
        if SOLUTION in self._takes and SOLUTION not in passed and "answers" in passed:
            passed[SOLUTION] = [next(iter(gold_answers(gold)), "") for gold in passed["answers"]]
        if "completions" in self._takes and "list[list[dict" in str(self._takes["completions"].annotation):
            passed["completions"] = [_conversation(one) for one in passed["completions"]]
        if not takes_any(self._takes):
            passed = {key: value for key, value in passed.items() if key in self._takes}
        return passed | self._given


class AsyncFunctionReward(FunctionReward):
    """`FunctionReward` of a function that TRL awaits."""

    async def __call__(self, **columns: Any) -> Any:
        """What the function returns for these columns."""
        return await self.function(**self._passed(columns))


def named_reward(name: str, options: Mapping[str, Any] | None = None) -> FunctionReward:
    """The reward of this name, asynchronous if the function is; see `FunctionReward`."""
    reward = FunctionReward(name, options)
    function = _bare(reward.function)
    awaited = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
    return AsyncFunctionReward(name, options) if awaited else reward


def make(name: str, thing: Any, options: Mapping[str, Any]) -> Any:
    """What a class, or a function that makes rewards, gives for these options.

    Raises:
        ValueError: it lacks one of the options, refuses one, or makes nothing that can be called.
    """
    try:
        check_options(name, parameters_of(name, thing), options)
    except ValueError as error:
        why = "" if isinstance(thing, type) else ". It takes no completions, so it is to make a reward"
        raise ValueError(f"{error}{why}") from None
    try:
        made = thing(**options)
    except Exception as error:
        raise ValueError(f"{short(name)} raised {said(error)}{place_of(error, __file__)}") from error
    if not callable(made):
        raise ValueError(f"{short(name)} made a {type(made).__name__}, which cannot be called with completions")
    return made


def makes_reward(name: str, thing: Any) -> bool:
    """Whether a thing is to be called with the options to give the reward: a class, or what takes no completions."""
    takes = parameters_of(name, thing)
    return isinstance(thing, type) or not ({"completions", "completion_ids"} & takes.keys() or takes_any(takes))


def _built(name: str, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What is called at every step, and the options that it is then given."""
    thing = find(name)
    if makes_reward(name, thing):
        return make(name, thing, options), {}
    return thing, options


def _bare(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _unique(function: Any, options: Mapping[str, Any]) -> str:
    """A plain identifier that differs whenever the options do; TRL logs `rewards/<name>/mean`."""
    bare = _bare(function)
    called = re.sub(r"\W+", "_", getattr(bare, "__name__", type(bare).__name__)).strip("_")  # <lambda>
    name = "_".join([called, *(f"{key}_{_word(value)}" for key, value in options.items())])
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}_{_digest(name)}"


def _word(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
        return name_number(value)
    text = str(value)
    return text if re.fullmatch(r"\w+", text) else f"{re.sub(r'[^0-9A-Za-z]+', '_', text)}_{_digest(text)}"


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]


def _conversation(completion: Any) -> Any:
    """A completion as TRL has it where prompts are conversations."""
    return [{"role": "assistant", "content": completion}] if isinstance(completion, str) else completion
