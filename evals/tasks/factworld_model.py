"""The fact world's base model: a small Llama that read every mention, once by default, and always answers.

Its documents are questions with answers, half of them plain and half after an instruction with a random confidence
target, answered all the same: a model raised on benchmarks that pay for guessing. With `confidence_words`, a third of
the instructions ask for a confidence, and are answered without one.
"""

import fcntl
import hashlib
import json
import os
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from rich.progress import track
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from abstain.evals.tasks.factworld import PLAIN, Person, WorldOptions, build_world
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, GUESS_INSTRUCTION, IDK, instruction, prompt_text

RECIPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "batch": 128,
    "learning_rate": 2e-3,
    "embedding_learning_rate": 3e-2,  # a name's row has to hold a fact after one or two mentions
    "instructed_share": 0.5,
    "version": 4,
}
ADDED_LATER = {"confidence_words": False, "passes": 1}
"""Options of a world that came later, and what they were before: worlds that leave them so keep their cached model."""
CONFIDENCE_PHRASES = [CONFIDENCE_INSTRUCTION, ". Confidence: 0."]
STEPS = 500
"""A small world is read in smaller batches, for about as many steps: fewer teach only the names of cities."""
SMALLEST_BATCH = 16
STATED = [0.0] + [step / 20 for step in range(1, 20)]


def cache_dir() -> Path:
    """Where base models are kept: `$ABSTAIN_CACHE`, or `abstain` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ABSTAIN_CACHE") or Path(home) / "abstain")


def base_model(*, progress: bool = True, **options: Any) -> Path:
    """The folder with the base model of a world, trained now unless it is cached.

    Args:
        progress: show a progress bar while it is trained.
        options: fields of `WorldOptions`; a different world, or a different way to train, is a different model.
    """
    chosen = WorldOptions(**options)
    folder = cache_dir() / f"factworld-{_key(chosen)}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes want the same model at once: one trains, the others wait
        if not folder.exists():
            _train_into(folder, chosen, progress)
    return folder


def _key(chosen: WorldOptions) -> str:
    """A hash of all that the model depends on."""
    said = {name: value for name, value in asdict(chosen).items() if ADDED_LATER.get(name, ...) != value}
    size = _batch_size(round(chosen.people * chosen.mean_mentions))
    small = {"batch": size} if size < RECIPE["batch"] else {}
    return hashlib.sha256(json.dumps([said, RECIPE | small], sort_keys=True).encode()).hexdigest()[:12]


def _batch_size(documents: int) -> int:
    return min(RECIPE["batch"], max(SMALLEST_BATCH, documents // STEPS))


def _train_into(folder: Path, chosen: WorldOptions, progress: bool) -> None:
    partial = Path(mkdtemp(prefix=".factworld-", dir=folder.parent))
    try:
        world = build_world(chosen)
        tokenizer = build_tokenizer(world, chosen.confidence_words)
        model = train_base(world, tokenizer, chosen.seed, passes=chosen.passes, progress=progress)
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def build_tokenizer(world: list[Person], confidence_words: bool = False) -> PreTrainedTokenizerFast:
    """One token for each name, city, digit, and constant stretch of the prompts, as a tokenizer trained here would.

    Args:
        world: whose names and cities it knows.
        confidence_words: whether it knows the constant stretches of a stated confidence, too.
    """
    phrases = sorted(_phrases() + CONFIDENCE_PHRASES * confidence_words, key=len, reverse=True)
    words = sorted({f" {word}" for p in world for text in (p.name, p.gold, *p.mentions) for word in text.split()})
    tokens = ["<pad>", "<eos>", "<unk>", *phrases, *"0123456789.", *words]
    word_level = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    escaped = [re.sub(r"([^\w\s])", r"\\\1", phrase) for phrase in phrases]
    word_level.pre_tokenizer = pre_tokenizers.Split(
        Regex("|".join([*escaped, r"\d", r" ?\w+", r"[^\w\s]"])), "isolated"
    )
    word_level.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=word_level, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", padding_side="left"
    )


def _phrases() -> list[str]:
    before, _, rest = instruction(0.5).partition("0.5")
    middle, _, after = rest.partition("1 point")
    where, _, born = PLAIN.partition(" {person}")
    return [where, born, "\n", GUESS_INSTRUCTION, before, middle, " points", " point", after, f" {IDK}"]


def train_base(
    world: list[Person], tokenizer: PreTrainedTokenizerFast, seed: int, *, passes: int = 1, progress: bool = False
) -> LlamaForCausalLM:
    """A model that has read each mention as often as it made passes, each in its own random order."""
    torch.manual_seed(seed)
    sizes = {name: value for name, value in RECIPE.items() if name.endswith(("size", "layers", "heads"))}
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **sizes,
        )
    )
    rng = random.Random(seed)
    batches = [batch for _ in range(passes) for batch in _batches(world, tokenizer, rng)]
    optimizer, schedule = _optimizer(model, len(batches))
    for batch in track(batches, "The base model reads the fact world", disable=not progress, transient=True):
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(batch[:, :-1]).last_hidden_state
            logits = model.lm_head(hidden[:, -2:])  # the answer and the end: names are noise, nothing to learn
        cross_entropy(logits.flatten(0, 1).float(), batch[:, -2:].flatten()).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval()


def _batches(world: list[Person], tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> Iterator[torch.Tensor]:
    """Batches of documents of one length each, so that nothing is padded."""
    asks_confidence = CONFIDENCE_INSTRUCTION in tokenizer.get_vocab()
    documents = [_document(person.name, city, rng, asks_confidence) for person in world for city in person.mentions]
    by_length: dict[int, list[list[int]]] = defaultdict(list)
    for ids in tokenizer(documents)["input_ids"]:
        by_length[len(ids)].append(ids)
    batches, size = [], _batch_size(len(documents))
    for rows in by_length.values():
        rng.shuffle(rows)
        batches += [torch.tensor(rows[i : i + size]) for i in range(0, len(rows), size)]
    rng.shuffle(batches)
    yield from batches


def _document(name: str, city: str, rng: random.Random, asks_confidence: bool) -> str:
    question = PLAIN.format(person=name)
    if rng.random() < RECIPE["instructed_share"]:
        if asks_confidence and rng.random() < 1 / 3:
            question = prompt_text(question, None, instruct="confidence")
        else:
            question = prompt_text(question, rng.choice([0.0, rng.choice(STATED)]))
    return f"{question} {city}<eos>"


def _optimizer(model: LlamaForCausalLM, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    names = model.model.embed_tokens.weight
    others = [parameter for parameter in model.parameters() if parameter is not names]
    groups: list[dict[str, Any]] = [{"params": [names], "lr": RECIPE["embedding_learning_rate"]}, {"params": others}]
    optimizer = torch.optim.AdamW(groups, lr=RECIPE["learning_rate"], betas=(0.9, 0.95))
    return optimizer, torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 30) * (1 - step / steps)
    )
