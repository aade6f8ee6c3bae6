"""Wraps a reward function: its failures are explained, and what it grades is counted.

The wrapper keeps the reward's name, pickles if the reward does, and is asynchronous if the reward is.
"""

import functools
import inspect
import logging
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import VerdictReward, check_length
from abstain.trainers.guards.rollouts import Rollouts

HOOKS = ("trainer_state", "log_extra", "log_metric", "environments")
"""What TRL passes besides columns."""
TRIED = 512
"""Rows that are scored again, one by one, to find the one that a reward fails on."""
Heard = dict[str, list[str]]
"""What a reward told TRL of its completions: `verdict`, and `lenient` or `strict`, those of the other reading."""
_WIDTH = 120
logger = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class Grading(VerdictReward):
    """Grades and pays nothing, for guards where none of the rewards grades."""

    @property
    def threshold_dependent(self) -> bool:
        return False

    def _name_parts(self) -> list[str]:
        return ["graded"]

    def _score(self, verdict: Verdict, response: Response, target: float | None) -> None:
        return None


class GuardedReward:
    """A reward function as TRL calls it, guarded.

    Args:
        reward: any reward function; those of `abstain.rewards` also say how they graded each completion.
        rollouts: takes what is graded.
        grading: grades for `rollouts`, and pays nothing; by default the reward itself does.

    Raises:
        RewardError: on a call, if the reward raises or returns what is no list of finite scores.

    Example:
        >>> from abstain.rewards import ConfidenceTarget
        >>> reward = guard_reward(ConfidenceTarget())
        >>> reward.__name__, reward(completions=["Lima"], answers=[["Lima"]], target=[0.75])
        ('confidence_target', [0.25])
    """

    def __init__(
        self,
        reward: Callable[..., Any],
        rollouts: Rollouts | None = None,
        grading: VerdictReward | None = None,
    ) -> None:
        self.reward = reward
        self.rollouts = rollouts
        self.grading = grading
        self.__name__ = getattr(_bare(reward), "__name__", type(_bare(reward)).__name__)
        self._warned = False

    def __call__(self, **columns: Any) -> Any:
        """Scores, one per completion, `None` where there is none. Takes and passes on all that TRL gives."""
        heard: Heard = {}
        try:
            scores = self.reward(**self._listening(columns, heard))
        except Exception as error:
            row = find_row(self.reward, columns, type(error))
            raise failure(self.__name__, error, columns, row) from error
        return self._finish(columns, scores, heard)

    def _listening(self, columns: Mapping[str, Any], heard: Heard) -> dict[str, Any]:
        """The same columns, with a hook through which the verdicts are overheard on their way to TRL's table."""
        theirs = columns.get("log_extra")

        def log_extra(column: str, values: list[Any]) -> None:
            heard[column.rpartition("/")[2]] = values
            if theirs is not None:
                theirs(column, values)

        return {**columns, "log_extra": log_extra}

    def _finish(self, columns: Mapping[str, Any], scores: Any, heard: Heard) -> list[float | None]:
        found, nan = checked_scores(self.__name__, scores, columns)
        if nan is not None and not self._warned:
            self._warned = True
            logger.warning(
                "Reward '%s' returned NaN for %d of %d completions. They count as ungraded; further ones are not "
                "reported. The first, row %d:\n%s",
                *(self.__name__, sum(score != score for score in scores), len(found), nan, show_row(columns, nan)),
            )
        if self.rollouts is not None:
            if self.grading is not None:
                heard = {}
                self.grading(**self._listening(columns, heard))
            others = heard.get("lenient") or heard.get("strict") or ()
            self.rollouts.add(columns, heard.get("verdict", []), found, others)
        return found


class GuardedAsyncReward(GuardedReward):
    """`GuardedReward` for a reward that TRL awaits."""

    async def __call__(self, **columns: Any) -> Any:
        """As `GuardedReward`; the failing row is not searched for, as that would ask a judge again."""
        heard: Heard = {}
        try:
            scores = await self.reward(**self._listening(columns, heard))
        except Exception as error:
            raise failure(self.__name__, error, columns) from error
        return self._finish(columns, scores, heard)


def guard_reward(
    reward: Callable[..., Any], rollouts: Rollouts | None = None, grading: VerdictReward | None = None
) -> GuardedReward:
    """The wrapper that suits a reward; see `GuardedReward`."""
    called = _bare(reward)
    awaited = inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__)
    return (GuardedAsyncReward if awaited else GuardedReward)(reward, rollouts, grading)


def explained(reward: Callable[..., Any]) -> Callable[..., Any]:
    """A reward function of somebody's own, whose failures are explained; those of `abstain.rewards` as they are."""
    return reward if isinstance(reward, VerdictReward) else guard_reward(reward)


def _bare(reward: Any) -> Any:
    """What a `functools.partial` calls, as TRL looks at it."""
    while isinstance(reward, functools.partial):
        reward = reward.func
    return reward


# What goes wrong in a reward, told so that it can be mended: which function, which row, what was in it


class RewardError(ValueError):
    """A reward function failed, or returned what is no reward."""


def find_row(reward: Callable[..., Any], columns: Mapping[str, Any], kind: type[BaseException]) -> int | None:
    """The first row that the reward, asked for it alone, fails on with the same kind of error.

    Args:
        reward: not asynchronous, called with keywords only.
        columns: what it was called with.
        kind: class of the error to look for.

    Example:
        >>> find_row(lambda x, **_: [1 / n for n in x], {"x": [1, 0], "completions": ["a", "b"]}, ZeroDivisionError)
        1
    """
    hooks = {"trainer_state": columns.get("trainer_state")} if "trainer_state" in columns else {}
    for row in range(min(TRIED, _size(columns))):
        try:
            reward(**{name: [value] for name, value in _row(columns, row).items()}, **hooks)
        except kind:
            return row
        except Exception:  # another error than the one to explain, as from a reward that needs whole groups
            return None
    return None


def failure(name: str, error: BaseException, columns: Mapping[str, Any], row: int | None = None) -> RewardError:
    """The error to raise for a reward function that raised.

    Args:
        name: of the reward function.
        error: what it raised.
        columns: what it was called with.
        row: the row that it fails on, if that is known; else the first one is shown.

    Example:
        >>> print(failure("mine", KeyError("gold"), {"completions": ["Oslo"], "target": [0.5]}, 0))
        reward 'mine' raised KeyError: 'gold'
          row 0 of 1:
            completion: 'Oslo'
            target: 0.5
    """
    place = _place(error)
    which = f"row {row}" if row is not None else "no single row fails by itself; the first"
    if not _size(columns):
        return RewardError(f"reward {name!r} raised {_said(error)}{place}")
    return RewardError(
        f"reward {name!r} raised {_said(error)}{place}\n  {which} of {_size(columns)}:\n{show_row(columns, row or 0)}"
    )


def checked_scores(name: str, scores: Any, columns: Mapping[str, Any]) -> tuple[list[float | None], int | None]:
    """The scores as TRL wants them, and the first row whose score was NaN.

    Args:
        name: of the reward function.
        scores: what it returned; NaN counts as `None`, no score.
        columns: what it was called with.

    Raises:
        RewardError: not a list with one number or `None` per completion, or an infinite one, which would make every
            weight of the model NaN.

    Example:
        >>> checked_scores("mine", [1, float("nan"), None], {"completions": ["a", "b", "c"]})
        ([1.0, None, None], 1)
    """
    size = _size(columns)
    try:
        check_length("scores", scores.tolist() if hasattr(scores, "tolist") else scores, size)
    except ValueError as error:
        raise RewardError(f"reward {name!r} returned no list of scores: {error}") from None
    found: list[float | None] = []
    first_nan = None
    for row, score in enumerate(scores):
        number = _number(name, score, columns, row)
        if number is not None and math.isnan(number):
            first_nan, number = (row if first_nan is None else first_nan), None
        found.append(number)
    return found, first_nan


def _number(name: str, score: Any, columns: Mapping[str, Any], row: int) -> float | None:
    if score is None:
        return None
    try:
        number = float(score)
    except (TypeError, ValueError):
        number = math.inf
    if math.isinf(number):
        wanted = "it must be a finite number, or None where there is no score"
        raise RewardError(f"reward {name!r} returned {score!r}; {wanted}\n  row {row}:\n{show_row(columns, row)}")
    return number


def show_row(columns: Mapping[str, Any], row: int) -> str:
    """One row of a batch, a column a line, long values cut.

    Example:
        >>> print(show_row({"prompts": ["Who?"], "completions": ["Bo"], "answers": [["Ed"]]}, 0))
            prompt: 'Who?'
            completion: 'Bo'
            answers: ['Ed']
    """
    names = {"prompts": "prompt", "completions": "completion"}
    shown = {name: value for name, value in _row(columns, row).items() if name != "completion_ids"}
    return "\n".join(f"    {names.get(name, name)}: {_short(repr(value))}" for name, value in shown.items())


def _row(columns: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {
        name: column[row]
        for name, column in columns.items()
        if name not in HOOKS and isinstance(column, Sequence) and not isinstance(column, str) and row < len(column)
    }


def _size(columns: Mapping[str, Any]) -> int:
    return len(columns.get("completions") or [])


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _place(error: BaseException) -> str:
    """Where it was raised, if that is known."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
