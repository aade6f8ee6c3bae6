"""The base model of the biographies: a small Llama that read ten of each person, and always tells everything.

Half of the texts are a plain question, half follow an instruction that states a target for each statement, and are
complete all the same: a model raised on benchmarks that pay for guessing.
"""

import fcntl
import hashlib
import json
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from rich.progress import track
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from abstain.evals.models import fast_bfloat16
from abstain.evals.tasks.biographies import ASK, RELATIONS, BiographyOptions, Life, build_lives
from abstain.evals.tasks.factworld_model import cache_dir
from abstain.rewards.prompts import CLAIMS_GUESS_INSTRUCTION, IDK, claims_instruction, prompt_text

RECIPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "batch": 64,
    "learning_rate": 2e-3,
    "embedding_learning_rate": 1e-2,
    "version": 1,
}
INSTRUCTED_SHARE = 0.5
STEPS, SMALLEST_BATCH = 500, 16
"""A small world is read in smaller batches, for about as many steps in a pass: fewer teach nothing but the form."""
STATED = [0.0] + [step / 20 for step in range(1, 20)]


def biography_model(*, progress: bool = True, **options: Any) -> Path:
    """The folder with the base model of a world, trained now unless it is cached.

    Args:
        progress: show a progress bar while it is trained.
        options: fields of `BiographyOptions`; a different world, or a different way to train, is a different model.
    """
    chosen = BiographyOptions(**options)
    key = hashlib.sha256(json.dumps([asdict(chosen), RECIPE], sort_keys=True).encode()).hexdigest()[:12]
    folder = cache_dir() / f"biographies-{key}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes want the same model at once: one trains, the others wait
        if not folder.exists():
            _train_into(folder, chosen, progress)
    return folder


def _train_into(folder: Path, chosen: BiographyOptions, progress: bool) -> None:
    partial = Path(mkdtemp(prefix=".biographies-", dir=folder.parent))
    try:
        lives = build_lives(chosen)
        tokenizer = biography_tokenizer(lives)
        train_on_lives(lives, tokenizer, chosen, progress=progress).save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def biography_tokenizer(lives: Sequence[Life]) -> PreTrainedTokenizerFast:
    """One token for each name, object, relation, digit, and constant stretch of the prompts."""
    before, _, after = ASK.partition(" {name}")
    relations = [f" {relation.capitalize()}" for relation in RELATIONS]
    phrases = sorted({before, after, *relations, *_instructions()}, key=len, reverse=True)
    told = {word for life in lives for fact in life.facts for word in (*fact.told, fact.gold)}
    words = sorted(f" {word}" for word in told | {word for life in lives for word in life.name.split()})
    tokens = ["<pad>", "<eos>", "<unk>", *phrases, *"0123456789.", *words]
    word_level = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    escaped = [re.sub(r"([^\w\s])", r"\\\1", phrase) for phrase in phrases]
    years = r" \d{4}"
    word_level.pre_tokenizer = pre_tokenizers.Split(
        Regex("|".join([*escaped, years, r"\d", r" ?\w+", r"[^\w\s]"])), "isolated"
    )
    word_level.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=word_level, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", padding_side="left"
    )


def _instructions() -> list[str]:
    before, _, rest = claims_instruction(0.5).partition("0.5")
    middle, _, after = rest.partition("1 point")
    return ["\n", CLAIMS_GUESS_INSTRUCTION, before, middle, " points", " point", after, f" {IDK}"]


def train_on_lives(
    lives: Sequence[Life], tokenizer: PreTrainedTokenizerFast, options: BiographyOptions, *, progress: bool = False
) -> LlamaForCausalLM:
    """A model that has read each biography as often as it made passes, each in its own random order."""
    torch.manual_seed(options.seed)
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
    rng = random.Random(options.seed)
    batches = [batch for _ in range(options.passes) for batch in _batches(lives, tokenizer, rng)]
    names = model.model.embed_tokens.weight
    others = [parameter for parameter in model.parameters() if parameter is not names]
    groups: list[dict[str, Any]] = [{"params": [names], "lr": RECIPE["embedding_learning_rate"]}, {"params": others}]
    optimizer = torch.optim.AdamW(groups, lr=RECIPE["learning_rate"], betas=(0.9, 0.95), fused=True)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 30) * (1 - step / len(batches))
    )
    in_half = fast_bfloat16("cpu")
    for ids, told in track(batches, "The base model reads biographies", disable=not progress, transient=True):
        with torch.autocast("cpu", torch.bfloat16, enabled=in_half):
            hidden = model.model(ids[:, :-1]).last_hidden_state[:, -told:]
            logits = model.lm_head(hidden)
        cross_entropy(logits.float().flatten(0, 1), ids[:, -told:].flatten()).backward()
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
    return model.eval()


def _batches(
    lives: Sequence[Life], tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> Iterator[tuple[torch.Tensor, int]]:
    """Batches of texts of one length each, so that nothing is padded, and how many tokens a biography has: prompts are
    noise, nothing to learn."""
    prompts, texts = [], []
    for life in lives:
        for text in life.texts:
            stated = rng.choice([0.0, rng.choice(STATED)]) if rng.random() < INSTRUCTED_SHARE else None
            prompts.append(prompt_text(ASK.format(name=life.name), stated, instruct="claims"))
            texts.append(f" {text}<eos>")
    by_length: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    for before, told in zip(tokenizer(prompts)["input_ids"], tokenizer(texts)["input_ids"], strict=True):
        by_length[len(before), len(told)].append(before + told)
    batches, size = [], min(RECIPE["batch"], max(SMALLEST_BATCH, len(texts) // STEPS))
    for (_, told_length), rows in by_length.items():
        rng.shuffle(rows)
        batches += [(torch.tensor(rows[i : i + size]), told_length) for i in range(0, len(rows), size)]
    rng.shuffle(batches)
    yield from batches
