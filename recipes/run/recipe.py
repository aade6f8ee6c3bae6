"""A recipe: everything a training run needs to be repeated, in one YAML file.

    abstain train quickstart rl.args.learning_rate=1e-4 seed=1

`load_recipe` reads it, applies `key.sub=value` overrides and checks it before anything is loaded; what is wrong is
said with file and line. Fields of TRL's configurations go under `sft.args`, `offline.args` and `rl.args` unchanged.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from abstain.evals.tasks.catalogue import COMMON_OPTIONS
from abstain.recipes.run.code import HUB, hub_recipe, place_code
from abstain.recipes.run.task_field import place_data, spell_out_tasks, spelled_out
from abstain.recipes.run.yaml_lines import KeyPath, parse_value, read_yaml, set_value
from abstain.rewards.errors import nearest
from abstain.rewards.prompts import TARGETS, Instruct, asked_format
from abstain.rewards.response import AnswerFormat
from abstain.trainers.stages import OfflineStage, RlStage, SftStage, Target, needs_labels

LABELS, FORMAT, BEFORE, AFTER = "labels", "format", "before", "after"
STAGES = (FORMAT, "sft", "offline", "rl")
"""The sections of a recipe that train, in order."""
DATA = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
"""How the names of question files end."""
FACTWORLD, BIOGRAPHIES = "factworld", "biographies"
"""The tasks, and as `model.path` their own base models."""
OWN_MODELS = (FACTWORLD, BIOGRAPHIES)


class TaskConfig(BaseModel, extra="allow"):
    """A task of `abstain tasks` by name; every other key is an option of that task.

    A file alone, or `data` without a name, is the task `qa` of that file.

    `answer_format` is an option of every task: what `format` and `sft` teach answers in, what RL pays for and
    `offline` prefers, and what evaluation reads. Unless it is said, RL and `offline` want plain answers after those
    stages, and else any ("auto")."""

    name: str
    """One of `abstain tasks`, or your own: `file.py:function` beside the recipe, or `package.module:function`."""

    _spelled = model_validator(mode="before")(spelled_out)

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class ModelConfig(BaseModel, extra="forbid"):
    """The model to start from."""

    path: str
    """Hub id, local directory, GGUF file, or `factworld` or `biographies` for the own base model of
    these tasks."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights; `auto`: as they are stored, float32 for a GGUF file, and on a CPU that computes
    bfloat16 in software."""
    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Only for models whose code you have read."""
    prompt_format: Literal["auto", "plain", "chat"] = "auto"
    """`chat` applies the tokenizer's chat template, `plain` does not, `auto` does if there is one."""
    lora: dict[str, Any] | None = None
    """Fields of `peft.LoraConfig`; `{}` for its defaults, null to train all weights."""


class LabelsConfig(BaseModel, extra="forbid"):
    """What the starting model knows of each question, found before anything else and kept in `labels/`.

    Stages choose their questions by it with `mix`, and tables tell apart what becomes of each category."""

    preset: Literal["paper", "categories", "quick", "greedy"] = "categories"
    """How closely it is asked: docs/labels.md."""
    path: str | None = None
    """Labels that `abstain label` made of the same model, instead of making them: the folder."""
    held_out: bool = True
    """Label also the held-out questions that are asked."""
    limit: int | None = Field(None, ge=0)
    """Label this many training questions, drawn with the seed (by default those that stages choose from by labels)."""


class EvalConfig(BaseModel, extra="forbid"):
    """What is measured: the model as it is, and what each stage makes of it."""

    task: TaskConfig | None = None
    """Held-out questions of another task than the one trained on."""
    targets: list[Target] = Field(default=list(TARGETS), min_length=1)
    """Confidence targets. Every question is asked at each of them."""
    instruct: Instruct = "target"
    """What prompts say: the `target`; `nothing`, and one answer is scored at every target; that a `confidence` is to
    be stated, which decides at every target whether the answer counts; or the target for each statement (`claims`):
    then claims are measured, and not whole answers."""
    limit: int | None = Field(default=None, ge=1)
    """Use this many held-out questions (all by default)."""
    train_limit: int = Field(default=2000, ge=1)
    """Training questions on which the oracle's thresholds are fitted."""
    stages: bool = True
    """Measure after each stage, too, and not only before the first and after the last. (After `format` it is always
    measured: the oracle is made of what that leads to.)"""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens in one batch of generation; halve it when memory runs out."""
    autocast: bool = False
    """Compute in bfloat16 whatever the weights are stored in. (A CPU that does it in software keeps to float32.)"""
    every: int | None = Field(default=None, ge=1)
    """Ask held-out questions every so many steps of RL too, for curves (never by default)."""
    while_training: int = Field(default=500, ge=1)
    """So many of them, each time."""
    keep_best: bool = False
    """End with the checkpoint that had the best held-out score over all targets, not with the last one."""
    patience: int | None = Field(default=None, ge=1)
    """End RL after so many looks without a better score (never by default)."""

    @model_validator(mode="after")
    def _looks(self) -> Self:
        for name in ("keep_best", "patience"):
            if getattr(self, name) and self.every is None:
                raise ValueError(
                    f"{name} needs looks at held-out questions while training: set eval.every, as in eval.every=100"
                )
        return self


class Recipe(BaseModel, extra="forbid"):
    """A whole run: task, model, up to four training stages, evaluation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Letters, digits, dots, dashes: it becomes part of a directory's name."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of everything that is drawn: questions, orders, samples."""
    output_dir: str = ""
    """The run directory; `runs/NAME-SEED` by default."""
    task: TaskConfig
    """What is asked, in training and, if `eval.task` names no other, in evaluation."""
    model: ModelConfig
    """The model to start from."""
    labels: LabelsConfig | None = None
    """What that model knows, for `mix` and for tables by category; `{}` for its defaults."""
    format: SftStage | None = None
    """Teaches a model that rambles how to answer at all. What it leads to counts as the starting model."""
    sft: SftStage | None = None
    """A supervised warm-up: enough "I don't know", or stated confidence, that RL can find it."""
    offline: OfflineStage | None = None
    """Preferences among samples that are drawn once, instead of RL or before it."""
    rl: RlStage | None = None
    """Reinforcement learning."""
    eval: EvalConfig = Field(default_factory=EvalConfig)
    """What is measured."""
    made_with: dict[str, str] = Field(default_factory=dict)
    """Versions and commit of the run that wrote this file. Written, never read."""

    @model_validator(mode="after")
    def _trains_something(self) -> Self:
        if not self.stages:
            raise ValueError(
                "there is nothing to train: give an sft, an offline or an rl section (`abstain eval` only measures)"
            )
        return self

    @property
    def run_path(self) -> Path:
        return Path(self.output_dir or f"runs/{self.name}-{self.seed}")

    @property
    def stages(self) -> dict[str, SftStage | OfflineStage | RlStage]:
        """The stages to run, in order.

        Example:
            >>> Recipe(name="r", task={"name": "geo"}, model={"path": "m"}, rl={"limit": 8}).stages.keys()
            dict_keys(['rl'])
        """
        return {name: stage for name in STAGES if (stage := getattr(self, name)) is not None}

    @property
    def steps(self) -> list[str]:
        """The steps of a run, in order: its stages, and the measurements before, between and after them.

        With a format stage the model as it is comes second: then it is held against the same oracle as all others,
        which is made of what that stage leads to, and runs that differ in nothing but their evaluation share it.

        Example:
            >>> about = {"name": "r", "task": {"name": "geo"}, "model": {"path": "m"}}
            >>> Recipe(**about, sft={}, rl={}).steps
            ['before', 'sft', 'after-sft', 'rl', 'after']
            >>> Recipe(**about, format={}, sft={}, rl={}, eval={"stages": False}).steps
            ['format', 'after-format', 'before', 'sft', 'rl', 'after']
            >>> Recipe(**about, rl={}, labels={}).steps
            ['labels', 'before', 'rl', 'after']
        """
        *inner, last = self.stages
        steps = [BEFORE]
        for name in inner:
            steps += [name] + [after(name)] * (self.eval.stages or name == FORMAT)
        if FORMAT in inner:
            steps = [*steps[1:3], BEFORE, *steps[3:]]
        return [*[LABELS] * (self.labels is not None), *steps, last, AFTER]

    @property
    def to_label(self) -> int | None:
        """How many training questions are labelled at most, drawn with the seed; `None` for all.

        Example:
            >>> about = {"name": "r", "task": {"name": "geo"}, "model": {"path": "m"}, "labels": {}}
            >>> Recipe(**about, format={"limit": 9}, sft={"limit": 5, "idk": "unknown"}, rl={}).to_label
            14
            >>> Recipe(**about, sft={"limit": 5}, rl={"mix": {"size": 3}}).to_label is None
            True
            >>> Recipe(**about, sft={}, rl={}).to_label
            0
        """
        if self.labels and self.labels.limit is not None:
            return self.labels.limit
        choosing = {name: stage.limit for name, stage in self.stages.items() if needs_labels(stage)}
        if None in choosing.values():
            return None
        later = max((limit or 0 for name, limit in choosing.items() if name != FORMAT), default=0)
        taught = self.format.limit if self.format and (later or FORMAT in choosing) else 0  # left out by later ones
        return None if taught is None else taught + later


def after(stage: str) -> str:
    """The step that measures what a stage has led to, where others follow.

    Example:
        >>> after("sft"), measured_stage("after-sft"), measured_stage("sft"), measured_stage("after")
        ('after-sft', 'sft', None, None)
    """
    return f"{AFTER}-{stage}"


def measured_stage(step: str) -> str | None:
    """The stage after which a step measures, `None` if it is another kind of step."""
    stage = step.removeprefix(f"{AFTER}-")
    return stage if stage != step else None


def measures(step: str) -> bool:
    """Whether a step measures, and does not train.

    Example:
        >>> [measures(step) for step in ("before", "sft", "after-sft", "after")]
        [True, False, True, True]
    """
    return step in (BEFORE, AFTER) or measured_stage(step) is not None


def world_options(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the own model of a made-up world depends on: those of the world, none that every task has.

    Example:
        >>> world_options("factworld", {"people": 200, "answer_format": "plain"}), world_options("geo", {"limit": 8})
        ({'people': 200}, {})
    """
    return {name: value for name, value in options.items() if task in OWN_MODELS and name not in COMMON_OPTIONS}


def taught_format(recipe: Recipe) -> AnswerFormat | None:
    """The format that the supervised stages teach answers in, `None` if there are none.

    Example:
        >>> recipe = Recipe(name="r", task={"name": "geo"}, model={"path": "m"}, sft={}, rl={})
        >>> taught_format(recipe), training_format(recipe)
        ('plain', 'plain')
    """
    if not any(name in recipe.stages for name in (FORMAT, "sft")):
        return None
    said: AnswerFormat | None = recipe.task.options.get("answer_format")
    return "plain" if said in (None, "auto") else said


def training_format(recipe: Recipe) -> AnswerFormat:
    """The format that RL pays for and `offline` prefers: what the task says, else what the stages before teach, unless
    prompts ask for another, which has to be said."""
    options = recipe.task.options
    said: AnswerFormat | None = options.get("answer_format")
    asked = asked_format(str(options.get("template") or ""))
    return said or ("auto" if asked else taught_format(recipe) or "auto")


@dataclass(frozen=True)
class Origin:
    """Where each value of a recipe was written."""

    file: Path
    lines: dict[KeyPath, int]
    overridden: frozenset[KeyPath]

    def of(self, at: KeyPath) -> str:
        """`file:line` of a key or of the nearest key above it, or the override that set it.

        Example:
            >>> origin = Origin(Path("r.yaml"), {("rl",): 7}, frozenset({("rl", "args", "beta")}))
            >>> origin.of(("rl", "limit")), origin.of(("rl", "args"))
            ('r.yaml:7', 'command line (rl.args.beta=…)')
        """
        above = [at[:end] for end in range(len(at), 0, -1)]
        below = [] if at in self.lines else [keys for keys in self.overridden if keys[: len(at)] == at]
        override = next((".".join(map(str, keys)) for keys in [*above, *below] if keys in self.overridden), "")
        line = next((f":{self.lines[keys]}" for keys in above if keys in self.lines), "")
        return f"command line ({override}=…)" if override else f"{self.file}{line}"


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with abstain, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parents[1].glob("*.yaml"))}


def shipped_sweeps() -> dict[str, Path]:
    """The sweeps that come with abstain, by name."""
    return {path.stem: path for path in sorted((Path(__file__).parents[1] / "sweeps").glob("*.yaml"))}


def find_recipe(name_or_path: str) -> Path:
    """The file of a recipe given by path, by the name of one that is shipped, or as `hf:ORG/NAME` from the hub.

    Raises:
        FileNotFoundError: with the nearest shipped name.
        ValueError: it is something else; with the command for that.
    """
    if name_or_path.startswith(HUB):
        return hub_recipe(name_or_path)
    if Path(name_or_path).suffix.lower() in DATA:
        raise ValueError(
            f"{name_or_path} holds questions, and a recipe says what to do with them. To write one: "
            f"abstain init --data {shlex.quote(name_or_path)} --model MODEL"
        )
    if name_or_path in shipped_sweeps().keys() - shipped_recipes().keys() and not Path(name_or_path).exists():
        raise ValueError(f"'{name_or_path}' is a sweep, not a recipe: abstain ablate {name_or_path}")
    return find_file("recipe", name_or_path, shipped_recipes())


def find_file(what: str, name_or_path: str, shipped: Mapping[str, Path]) -> Path:
    """A file given by path, or by the name of one that is shipped; the error says `what` it was to be."""
    path = Path(name_or_path)
    if path.exists() and not path.is_dir():
        return path
    if name_or_path in shipped:
        return shipped[name_or_path]
    if path.is_dir():
        if what == "recipe" and (path / "recipe.yaml").is_file():
            again = shlex.join(["abstain", "train", str(path / "recipe.yaml"), "--resume"])
            raise IsADirectoryError(f"{path} is a run directory, not a recipe. To go on with it: {again}")
        raise IsADirectoryError(f"{path} is a directory, and a {what} is a file. {nearest(path.name, shipped)}")
    raise FileNotFoundError(
        f"no {what} '{name_or_path}': no such file, and none is shipped under that name. "
        + nearest(path.stem, shipped)
    )


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> tuple[Recipe, Origin]:
    """The checked recipe, and where its values came from.

    Args:
        name_or_path: a YAML file, the name of a shipped recipe, or `hf:ORG/NAME`.
        overrides: `key.sub=value`, the value in YAML. A list item is addressed by its number, from 0.

    Raises:
        FileNotFoundError: no such recipe.
        ValueError: one line per mistake, each with file and line.
    """
    path = find_recipe(name_or_path)
    data, lines = read_yaml(path)
    if "base" in data and "model" not in data:
        raise ValueError(f"{path} is a sweep, not a recipe: abstain ablate {shlex.quote(str(path))}")
    settings = [parse_override(text) for text in overrides]
    spell_out_tasks(data)  # before overrides of its options
    for keys, value in settings:
        set_value(data, keys, value)
    spell_out_tasks(data)
    place_data(data, path.parent, [keys for keys, _ in settings])
    place_code(data, path.parent, [keys for keys, _ in settings])
    origin = Origin(path, lines, frozenset(keys for keys, _ in settings))
    try:
        return Recipe.model_validate(data), origin
    except ValidationError as error:
        raise ValueError("\n".join(explain(error, Recipe, origin.of))) from None


def parse_override(text: str) -> tuple[KeyPath, Any]:
    """`key.sub=value` as a path of keys and a YAML value.

    Example:
        >>> parse_override("rl.rewards.0.args.bounded=false")
        (('rl', 'rewards', 0, 'args', 'bounded'), False)
        >>> parse_override("seed")
        Traceback (most recent call last):
        ...
        ValueError: 'seed' is no override: write key=value, as in rl.args.learning_rate=1e-5
    """
    key, equals, value = text.partition("=")
    keys = tuple(int(part) if part.isdecimal() else part for part in key.strip().split("."))
    if not equals or "" in keys:
        raise ValueError(f"'{text}' is no override: write key=value, as in rl.args.learning_rate=1e-5")
    try:
        return keys, parse_value(value)
    except ValueError as error:
        reason = str(error).partition("not YAML: ")[2] or str(error)
        raise ValueError(f"the value of '{text}' is not YAML: {reason}. Does it need quotes?") from None


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Several of them, by dotted key.

    Example:
        >>> parse_overrides(["rl.limit=8", "seed=1"])
        {'rl.limit': 8, 'seed': 1}
    """
    return {".".join(map(str, keys)): value for keys, value in map(parse_override, texts)}


PHRASES = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "string_type": "must be text (put it in quotes)",
    "list_type": "must be a list, as in [0, 0.5]",
    **dict.fromkeys(("dict_type", "model_type"), "must hold 'key: value' lines"),
    "too_short": "must not be empty",
    "string_pattern_mismatch": "may hold letters, digits, dots, dashes and underscores only",
}
"""Our words for pydantic's error types; its own message serves for the others."""


def explain(error: ValidationError, root: type[BaseModel], where: Callable[[KeyPath], str]) -> list[str]:
    """One line per mistake: place, key, what is wrong and what is allowed.

    Args:
        error: what pydantic raised for `root`.
        where: gives the place (`file:line`) of a key path.

    Example:
        >>> class Small(BaseModel, extra="forbid"):
        ...     seed: int = 0
        >>> try: Small(seed="x", sed=1)
        ... except ValidationError as e: print("\\n".join(explain(e, Small, lambda path: "r.yaml:1")))
        r.yaml:1: 'seed' must be a whole number, not 'x'
        r.yaml:1: unknown key 'sed'. Did you mean 'seed'? Allowed: seed.
    """
    return [_line(detail, root, where) for detail in error.errors(include_url=False)]


def _line(detail: Any, root: type[BaseModel], where: Callable[[KeyPath], str]) -> str:
    path: KeyPath = detail["loc"]
    name = ".".join(map(str, path))
    if detail["type"] == "extra_forbidden":
        section = _model_at(root, path[:-1])
        return (
            f"{where(path)}: unknown key '{name}'. {nearest(str(path[-1]), section.model_fields if section else ())}"
        )
    if detail["type"] == "missing":
        return f"{where(path[:-1])}: '{name}' is missing"
    if detail["type"] == "value_error":
        return ": ".join([where(path), *([f"'{name}'"] if name else []), str(detail["ctx"]["error"])])
    phrase = PHRASES.get(detail["type"]) or detail["msg"].replace("Input should", "must", 1)
    return f"{where(path)}: '{name}' {phrase}, not {_short(detail['input'])}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _model_at(root: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The pydantic model that a path of keys leads to."""
    here: type[BaseModel] | None = root
    for key in path:
        if here is None:
            return None
        if isinstance(key, str) and key in here.model_fields:
            here = next(_models_in(here.model_fields[key].annotation), None)
    return here


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
