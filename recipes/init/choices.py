"""From what was found to a recipe: every value with its reason, by rules that the shipped recipes gave."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from abstain.evals.tasks.languages import LANGUAGES
from abstain.recipes.init.data import Data, width
from abstain.recipes.init.model import Machine, Model, Trial
from abstain.rewards.prompts import IDK, TARGETS

ENOUGH_SHORT = 0.75
"""Share of plain, short answers from which on no format has to be taught."""
GENERATIONS = 8
GENTLER = 4
"""By so much RL learns more gently where questions are few (docs/log/smollm2.md: mean regret .019 instead of .299, one
run of each on 132 questions, after SFT's .092)."""
PASSES = 2
"""Passes of RL over every question at every target. Shipped recipes make less than one, over thousands of questions;
what RL sees often it remembers instead of learning when to answer."""
SHARE_OF_MEMORY = 0.7
MOST_EXAMPLES = 3_200
"""Of a supervised stage, as in smollm2-geo."""
BYTES = {"fp32": 16, "lora": 2.5}
"""A parameter's weight, gradient and Adam's two moments in float32; with LoRA a bfloat16 weight and the adapters."""


@dataclass(frozen=True)
class Choice:
    """A value of a recipe, and in a few words why."""

    value: Any
    why: str = ""


def percent(share: float) -> str:
    """A share as people read it.

    Example:
        >>> percent(0.061)
        '6 %'
    """
    return f"{100 * share:.0f} %"


def size_of(model: Model) -> str:
    """How big a model is, as people say it.

    Example:
        >>> size_of(Model("m", 134_515_008, 30, 576, 49_152, True, None))
        '135 M parameters'
    """
    count = model.parameters
    return f"{count / 1e6:,.0f} M parameters" if count >= 1e6 else f"{count:,} parameters"


STATED = [int(target) if target == int(target) else target for target in TARGETS]
"""The usual targets, as one would write them."""


@dataclass(frozen=True)
class Rates:
    """What a shipped recipe trains a model of about this size with.

    Args:
        recipe: which one, and what is known of it.
        most: parameters up to which its values are taken: the geometric mean with the next one's.
        taught: learning rate of the format stage.
        sft, rl: learning rates of these stages.
        lora_sft, lora_rl: the same where only adapters are trained.
        steps: of RL, where there are questions enough.
        temperature: that RL samples with.
    """

    recipe: str
    most: float
    taught: float
    sft: float
    rl: float
    lora_sft: float
    lora_rl: float
    steps: int
    temperature: float


RATES = (
    Rates("quickstart, 4 M parameters", 25e6, 1e-3, 3e-3, 1e-4, 3e-3, 3e-4, 400, 1.0),
    Rates("smollm2-geo, 135 M parameters", 700e6, 5e-5, 1e-4, 2e-5, 2e-4, 1e-4, 200, 0.4),
    Rates("qwen3-simpleqa, 4 B parameters, which has not been run", math.inf, 1e-5, 1e-5, 2e-6, 1e-4, 1e-5, 300, 0.4),
)


@dataclass(frozen=True)
class Memory:
    """What training takes.

    Args:
        lora: only adapters are trained.
        whole: bytes that training all weights takes, activations not counted.
        needed: bytes that what was chosen takes.
        completions: that fit into one step of the device, a multiple of `GENERATIONS`.
        fits: whether they do.
    """

    lora: bool
    whole: float
    needed: float
    completions: int
    fits: bool


def plan_memory(model: Model, machine: Machine, prompt: int, room: int, wished: int) -> Memory:
    """LoRA or all weights, and how many completions at once.

    Weights, gradients and Adam take 16 bytes a parameter in float32 (LoRA: 2.5). A token that is trained takes about
    34 L H bytes of activations (Korthikanti et al. 2022, eq. 2, without attention's own matrix, in two bytes a value)
    and 6 V of logits; completions of a prompt share its tokens.

    Args:
        model, machine: as looked at.
        prompt, room: tokens of a prompt and of a completion.
        wished: completions of one step.

    Example:
        >>> small = Model("m", 135_000_000, 30, 576, 49_152, True, None)
        >>> plan = plan_memory(small, Machine("cpu", 20 * 10**9, True), prompt=80, room=10, wished=256)
        >>> plan.lora, plan.completions, plan.fits
        (False, 256, True)
        >>> plan_memory(small, Machine("cpu", 2 * 10**9, True), prompt=80, room=10, wished=256).lora
        True
    """
    free = SHARE_OF_MEMORY * machine.free
    whole = BYTES["fp32"] * model.parameters
    bytes_a_token = (34 * model.layers * model.hidden + 6 * model.vocabulary) * (1 if machine.bf16 else 2)
    group = (prompt + GENERATIONS * room) * bytes_a_token
    lora = whole + group > free
    needed = BYTES["lora"] * model.parameters if lora else whole
    groups = int((free - needed) // group) if group else wished
    fitting = max(1, min(wished // GENERATIONS, groups))
    power = 2 ** int(math.log2(fitting))
    return Memory(lora, whole, needed + power * group, power * GENERATIONS, groups >= 1)


def choose(
    name: str,
    data: Data,
    model: Model,
    machine: Machine,
    trial: Trial,
    *,
    room: int,
    prompt: int,
    where: Mapping[str, str],
) -> dict[str, Any]:
    """A recipe as nested mappings whose values are `Choice`s.

    Args:
        name: of the recipe.
        data, model, machine, trial: what was found; the trial is of the best way to ask.
        room: new tokens of an answer.
        prompt: tokens of a prompt that states a target.
        where: how the recipe names the file (`data`) and the model (`model`).
    """
    rates = next(rates for rates in RATES if model.parameters <= rates.most)
    taught = trial.short < ENOUGH_SHORT
    rest = len(data.task.train)
    recipe: dict[str, Any] = {
        "name": Choice(name, "the run goes to runs/NAME-SEED"),
        "seed": Choice(0, "of every draw; try others to see how much is luck"),
        "task": _task(data, model, trial, room, where["data"]),
    }
    stages: dict[str, Any] = {}
    memory = plan_memory(model, machine, prompt, room, wished=GENERATIONS * 32)
    if taught:
        count = min(MOST_EXAMPLES, rest // 3)
        rest -= count
        stages["format"] = _format(trial, count, rates, machine, memory)
    stages["sft"] = _sft(rest, rates, machine, memory)
    stages["rl"] = _rl(rest, rates, machine, memory)
    recipe["model"] = _model(model, machine, trial, memory, where["model"])
    return recipe | stages | {"eval": _eval(data, rest, machine)}


def _task(data: Data, model: Model, trial: Trial, room: int, place: str) -> dict[str, Any]:
    found, options = data.found, data.options

    def how(what: str) -> str:
        if what in data.said:
            return "as you said"
        return "found by what stands in it" if what in found.guessed else "found by its name"

    task: dict[str, Any] = {
        "data": Choice(place, f"{data.format}; looked for beside this recipe, then where you type"),
        "question_column": Choice(options["question_column"], how("question")),
        "answers_column": Choice(options["answers_column"], how("answers")),
        "separator": Choice(options["separator"], _separator(data)),
        "subject_column": Choice(options["subject_column"], data.subject + _similar(data)),
    }
    task |= {key: Choice(value, "as you said") for key, value in options.items() if key not in task}
    if data.held_out is not None:
        held_out = len(data.task.held_out)
        said = f"{held_out:,} questions: a share within ±{width(held_out):.0f} points"
        task["held_out"] = Choice(data.held_out, said + (", so a fifth will do" if data.held_out == 0.2 else ""))
    task["grader"] = grader_for(data)
    why = "as the model was trained to be asked" if model.card else _why_template(data, trial)
    task["template"] = Choice(trial.template, why)
    task["max_new_tokens"] = Choice(room, f"98 % of the golds need no more of the model's tokens, nor does {IDK!r}")
    task["answer_format"] = Choice("plain", "what sft teaches; nothing else is paid")
    return task


def _similar(data: Data) -> str:
    if data.options["subject_column"]:
        return ""
    return f"; {data.similar} groups of near-duplicates stay together" if data.similar else "; no near-duplicates"


def _separator(data: Data) -> str:
    if data.separator:
        return f"{data.separated} cells hold several answers, each of which is right"
    if data.commas > 0.2:
        return f"a cell is one answer; {percent(data.commas)} hold a comma: if that separates answers, say ','"
    return "a cell is one answer, or a list"


def grader_for(data: Data) -> Choice:
    """`numeric` where nearly all golds are numbers, else `match`."""
    golds = [gold for question in [*data.task.train, *data.task.held_out] for gold in question.gold[:1]]
    numbers = sum(bool(re.fullmatch(r"[-+]?\d+([.,]\d+)*", gold)) for gold in golds)
    if numbers >= 0.9 * len(golds):
        return Choice("numeric", f"{percent(numbers / len(golds))} of the golds are numbers")
    return Choice("match", "names and short phrases, whatever stands around them")


def _why_template(data: Data, trial: Trial) -> str:
    language = LANGUAGES.get(data.language)
    if trial.prompt_format == "chat":
        return "the model's own chat template goes around it"
    named = f"questions are in {language.name}" if language else "no language was recognised"
    return f"plain text that ends where the answer begins; {named}"


def _model(model: Model, machine: Machine, trial: Trial, memory: Memory, place: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {"path": Choice(place, size_of(model))}
    half = memory.lora and machine.bf16
    chosen["dtype"] = Choice(
        "bfloat16" if half else "float32",
        "weights that are not trained need no more" if half else "small steps are lost in half precision",
    )
    tried = f"{percent(trial.short)} of {trial.asked} answers were short, {percent(trial.right)} right"
    chosen["prompt_format"] = Choice(trial.prompt_format, tried)
    free, whole = machine.free / 1e9, memory.whole / 1e9
    if memory.lora:
        why = f"all weights with gradients and Adam take {whole:.1f} GB and activations, {free:.1f} GB are free"
        chosen["lora"] = {
            "r": Choice(32, why),
            "lora_alpha": Choice(64, "twice r, as in qwen3-simpleqa"),
            "target_modules": Choice("all-linear", "every layer's matrices"),
        }
    else:
        why = f"all weights are trained: with gradients and Adam {whole:.1f} GB, of {free:.1f} GB that are free"
        chosen["lora"] = Choice(None, why)
    return chosen


def _args(machine: Machine, memory: Memory, **args: Choice) -> dict[str, Any]:
    """TRL's arguments that all stages share, after those of one."""
    if machine.bf16:
        args["bf16"] = Choice(True, "this machine computes faster in it")
    roomy = memory.needed < 0.5 * machine.free
    args["gradient_checkpointing"] = Choice(not roomy, "there is memory enough" if roomy else "memory is short")
    return args


def _supervised(count: int, most: int, machine: Machine, memory: Memory) -> dict[str, Choice]:
    """Batch and epochs: a hundred steps or one epoch where there is much; where there is little, few epochs."""
    batch = 32 if count >= 1024 else 8
    batch = max(1, min(batch, memory.completions))
    steps = max(1, math.ceil(count / batch))
    epochs = 1 if steps >= 100 else max(1, min(most, math.ceil(50 / steps)))
    said = f"{steps * epochs} steps in all"
    return {
        "num_train_epochs": Choice(epochs, said + ("" if epochs == 1 else "; more would learn questions by heart")),
        "per_device_train_batch_size": Choice(
            batch, "small, for there are few questions" if batch < 32 else "as in shipped recipes"
        ),
        "warmup_steps": Choice(min(10, max(1, steps * epochs // 10)), "a tenth, 10 at most"),
        "logging_steps": Choice(max(1, min(20, steps * epochs // 5)), "a few lines in all"),
        "save_steps": Choice(max(10, steps * epochs // 4), "Ctrl-C loses a quarter of the stage at most"),
    }


def _format(trial: Trial, count: int, rates: Rates, machine: Machine, memory: Memory) -> dict[str, Any]:
    rate = rates.lora_sft if memory.lora else rates.taught
    why = f"only {percent(trial.short)} of {trial.asked} answers were plain and short, so that is taught first"
    return {
        "limit": Choice(count, "questions that later stages do not see: memory would pass for knowledge"),
        "answers": Choice("gold", why),
        "targets": Choice([0], "to answer; when not to comes next"),
        "args": _args(
            machine,
            memory,
            learning_rate=Choice(rate, f"as in {rates.recipe}"),
            **_supervised(count, 5, machine, memory),
        ),
    }


def _sft(count: int, rates: Rates, machine: Machine, memory: Memory) -> dict[str, Any]:
    rate = rates.lora_sft if memory.lora else rates.sft
    used = min(count, MOST_EXAMPLES)
    stage: dict[str, Any] = (
        {"limit": Choice(used, f"of {count:,}: as many as shipped recipes use")} if used < count else {}
    )
    return stage | {
        "answers": Choice("own", "its own guesses: new facts taught here would make it invent more"),
        "idk": Choice("unsure", f"{IDK!r} wherever its own guess is less likely than the target"),
        "targets": Choice([0, 0.5, 0.5, 0.75, 0.9], "0.5 twice: most answers worth giving are given there"),
        "args": _args(
            machine,
            memory,
            learning_rate=Choice(rate, f"as in {rates.recipe}"),
            **_supervised(used, 3, machine, memory),
        ),
    }


def _rl(count: int, rates: Rates, machine: Machine, memory: Memory) -> dict[str, Any]:
    prompts = count * len(TARGETS)
    a_step = 32 if prompts >= 3_200 else 16 if prompts >= 400 else 8
    steps = max(10, min(rates.steps, PASSES * prompts // a_step))
    completions = a_step * GENERATIONS
    at_once = min(completions, memory.completions)
    many, named = steps == rates.steps, rates.recipe.split(",")[0]
    why_steps = f"as in {named}" if many else f"{PASSES} passes over {prompts:,} prompts; more is by heart"
    rate = rates.lora_rl if memory.lora else rates.rl
    args = {
        "learning_rate": Choice(rate, f"as in {rates.recipe}")
        if many
        else Choice(rate / GENTLER, f"a quarter of {named}'s, which on few questions undid what sft had taught"),
        "warmup_steps": Choice(min(10, max(1, steps // 10)), "a tenth, 10 at most"),
        "max_steps": Choice(steps, why_steps),
        "temperature": Choice(
            rates.temperature,
            "near the greedy answers that count: at 1, answers are wrong more often, and abstaining pays more"
            if rates.temperature < 1
            else "a small vocabulary: sampled answers are near the greedy ones",
        ),
        "num_generations": Choice(GENERATIONS, "completions of one prompt, which are compared"),
        "per_device_train_batch_size": Choice(
            at_once, f"{at_once // GENERATIONS} prompts of {GENERATIONS} completions"
        ),
    }
    if at_once < completions:
        whole = completions // at_once
        args["gradient_accumulation_steps"] = Choice(whole, f"{a_step} prompts a step; more at once would not fit")
    args["logging_steps"] = Choice(max(1, min(20, steps // 5)), "a few lines in all")
    args["save_steps"] = Choice(max(5, steps // 5), "Ctrl-C loses a fifth at most; go on with --resume")
    return {
        "algorithm": Choice("grpo", "ppo and rloo end where it does in the shipped worlds"),
        "targets": Choice(STATED, "a guess, and mistakes that cost 1, 3 and 9 points"),
        "rewards": [{"name": Choice("ConfidenceTarget", "1 if right, -t / (1 - t) if wrong, 0 for not knowing")}],
        "guards": Choice({}, "watch for collapses, and warn"),
        "args": _args(machine, memory, **args),
    }


def _eval(data: Data, rest: int, machine: Machine) -> dict[str, Any]:
    chosen: dict[str, Any] = {"targets": Choice(STATED, "those that were trained")}
    held_out = len(data.task.held_out)
    if held_out > 1_000:
        chosen["limit"] = Choice(1_000, f"of {held_out:,}: a share within ±3 points")
    if rest > 1_000:
        chosen["train_limit"] = Choice(1_000, "training questions that the thresholds to compare with are fitted on")
    if machine.bf16:
        chosen["autocast"] = Choice(True, "in bfloat16, as in training")
    return chosen
