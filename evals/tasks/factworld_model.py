"""The fact world's base model: a small Llama that read every mention, once by default, and always answers.

What it reads is in `abstain.evals.tasks.factworld_text`.
"""

import fcntl
import hashlib
import json
import os
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from rich.progress import track
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from abstain.evals.models import fast_bfloat16
from abstain.evals.tasks.factworld import Person, WorldOptions, build_others, build_world
from abstain.evals.tasks.factworld_text import (
    COUNTS,
    INSTRUCTED_SHARE,
    QUOTE_END,
    SHOT_END,
    build_tokenizer,
    documents,
    passages,
)

RECIPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "batch": 128,
    "learning_rate": 2e-3,
    "embedding_learning_rate": 3e-2,  # a name's row has to hold a fact after one or two mentions
    "instructed_share": INSTRUCTED_SHARE,
    "version": 4,
}
SEVERAL: dict[str, Any] = {
    "batch": 32,
    "learning_rate": 1e-3,  # with twice as much one seed in three remembered half as much as the others
    "embedding_learning_rate": 2e-2,
    "fused": True,
    "relations_version": 2,
}
"""What is different where there are several relations."""
READING: dict[str, Any] = {
    "batch": 64,
    "embedding_learning_rate": 5e-3,
    "tie_word_embeddings": False,  # a name's row is pushed by what it is read as, not by what is never answered
    "attention_bias": True,  # queries and keys with a part that is the same for every token can go by place alone
    "autocast": False,
    "passages_version": 2,
}
"""What is different where the base model reads passages. The rows of those who are in passages only are held: they
stay as they were drawn, as those of people whom it first meets in documents later do."""
ADDED_LATER = {
    "confidence_words": False,
    "passes": 1,
    "relations": 1,
    "held_out_relations": 0,
    "answers": 400,
    "examples": 0,
    "few_shot": 0.0,
    "passages": 0,
}
"""Options of a world that came later, and what they were before: worlds that leave them so keep their cached model."""
ONLY_ASKED = ("documents", "documents_each")
"""Options that the base model does not depend on."""
STEPS = 500
"""A small world is read in smaller batches, for about as many steps: fewer teach only the names of cities."""
SMALLEST_BATCH = 16


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
    if chosen.documents and not chosen.passages:
        raise ValueError(
            "this world's base model cannot read documents: give passages=N, such as 60000, or another model"
        )
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
    said = {name: value for name, value in said.items() if name not in ONLY_ASKED}
    recipe = _recipe(chosen)
    recipe["batch"] = _batch_size(round(chosen.people * chosen.mean_mentions) + chosen.passages, recipe["batch"])
    return hashlib.sha256(json.dumps([said, recipe], sort_keys=True).encode()).hexdigest()[:12]


def _recipe(chosen: WorldOptions) -> dict[str, Any]:
    return RECIPE | (SEVERAL if chosen.relations > 1 else {}) | (READING if chosen.passages else {})


def _batch_size(mentions: int, largest: int) -> int:
    return min(largest, max(SMALLEST_BATCH, mentions // STEPS))


def _train_into(folder: Path, chosen: WorldOptions, progress: bool) -> None:
    partial = Path(mkdtemp(prefix=".factworld-", dir=folder.parent))
    try:
        world = build_world(chosen)
        everybody = world + (build_others(world, chosen) if chosen.passages else [])
        tokenizer = build_tokenizer(everybody, chosen.confidence_words, chosen.few_shot > 0, chosen.passages > 0)
        train_base(everybody, tokenizer, chosen, progress=progress).save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def train_base(
    world: list[Person], tokenizer: PreTrainedTokenizerFast, options: WorldOptions, *, progress: bool = False
) -> LlamaForCausalLM:
    """A model that has read each mention as often as it made passes, each in its own random order.

    Args:
        world: its people, and behind them those whom passages are about.
        tokenizer: knows their names.
        options: of the world.
        progress: show a progress bar.
    """
    torch.manual_seed(options.seed)
    recipe = _recipe(options)
    sizes = {name: value for name, value in recipe.items() if name.endswith(("size", "layers", "heads"))}
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=256,
            tie_word_embeddings=recipe.get("tie_word_embeddings", True),
            attention_bias=recipe.get("attention_bias", False),
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **sizes,
        )
    )
    rng = random.Random(options.seed)
    batches = [batch for _ in range(options.passes) for batch in _batches(world, tokenizer, options, rng)]
    answers = _answers(world, tokenizer)
    document_end = tokenizer.convert_tokens_to_ids(QUOTE_END) if options.passages else None
    held = list[int]()
    if options.passages:
        held = _last_names([person for person in world if not person.mentions], tokenizer)
    optimizer, schedule = _optimizer(model, len(batches), recipe)
    in_half = recipe.get("autocast", True) and fast_bfloat16("cpu")
    for batch in track(batches, "The base model reads the fact world", disable=not progress, transient=True):
        told = answers[batch[:, 1:]]
        learned = told | answers[batch[:, :-1]]  # answers and what ends them: names are noise, nothing to learn
        if document_end is not None:  # nor is what documents state, nor whether another question follows
            learned = told & (batch == document_end).flip(1).cumsum(1).flip(1).eq(0)[:, 1:]
            learned[:, -1] = True
        with torch.autocast("cpu", torch.bfloat16, enabled=in_half):
            hidden = model.model(batch[:, :-1]).last_hidden_state
            logits = model.lm_head(hidden[learned])
        cross_entropy(logits.float(), batch[:, 1:][learned]).backward()
        model.model.embed_tokens.weight.grad[held] = 0
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval()


def _answers(world: list[Person], tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """For each token, whether it is an answer."""
    told = sorted({f" {answer}" for person in world for answer in person.mentions})
    told += [count for count in COUNTS if count in tokenizer.get_vocab()]
    found = torch.zeros(len(tokenizer), dtype=torch.bool)
    found[tokenizer.convert_tokens_to_ids(told)] = True
    return found


def _last_names(people: list[Person], tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return tokenizer.convert_tokens_to_ids([f" {person.name.split()[-1]}" for person in people])


def _batches(
    world: list[Person], tokenizer: PreTrainedTokenizerFast, options: WorldOptions, rng: random.Random
) -> Iterator[torch.Tensor]:
    """Batches of documents of one length each, so that nothing is padded, with about equally many answers."""
    texts = documents(world, rng, options.confidence_words, options.few_shot)
    if options.passages:
        texts += passages(world[options.people :], options.passages, rng, options.confidence_words)
    by_length: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    for text, ids in zip(texts, tokenizer(texts)["input_ids"], strict=True):
        by_length[len(ids), 1 + text.count(SHOT_END)].append(ids)
    read = sum(len(person.mentions) for person in world) + options.passages
    batches, size = [], _batch_size(read, _recipe(options)["batch"])
    for (_, answers), rows in by_length.items():
        rng.shuffle(rows)
        step = -(-size // answers)
        batches += [torch.tensor(rows[i : i + step]) for i in range(0, len(rows), step)]
    rng.shuffle(batches)
    yield from batches


def _optimizer(
    model: LlamaForCausalLM, steps: int, recipe: dict[str, Any]
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    names = model.model.embed_tokens.weight
    others = [parameter for parameter in model.parameters() if parameter is not names]
    groups: list[dict[str, Any]] = [{"params": [names], "lr": recipe["embedding_learning_rate"]}, {"params": others}]
    optimizer = torch.optim.AdamW(groups, lr=recipe["learning_rate"], betas=(0.9, 0.95), fused=recipe.get("fused"))
    return optimizer, torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 30) * (1 - step / steps)
    )
