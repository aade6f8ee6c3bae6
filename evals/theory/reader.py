"""A small language model that reads questions with their answers, for tasks that are to be learnt from nothing.

It has tokens of several letters, as large ones have: byte-pair encoding trained on the same texts. It reads every
question `passes` times and learns the answers; then it is asked as any model is.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from abstain.evals.progress import followed

PAD, END = "<pad>", "<eos>"
IGNORED = -100
SHAPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
}


def train_reader(
    pairs: Sequence[tuple[str, str]],
    *,
    passes: int = 8,
    batch: int = 64,
    learning_rate: float = 2e-3,
    vocabulary: int = 320,
    seed: int = 0,
    progress: str | None = None,
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A model that has read these texts, and its tokenizer.

    Args:
        pairs: questions, and what answers them. What is read is the question, a space, the answer and an end.
        passes: how often each is read.
        batch: pairs of a step.
        learning_rate: of AdamW at its highest; it rises for 30 steps and falls to 0.
        vocabulary: tokens of the tokenizer, 256 bytes included.
        seed: of weights and order.
        progress: what to say of how far it is.

    Raises:
        ValueError: nothing to read, or no pass.
    """
    if not pairs or passes < 1:
        raise ValueError(f"{len(pairs)} pairs in {passes} passes: there is nothing to read")
    tokenizer = build_tokenizer([f"{question} {answer}" for question, answer in pairs], vocabulary)
    questions = tokenizer([question for question, _ in pairs])["input_ids"]
    answers = tokenizer([f" {answer}{END}" for _, answer in pairs])["input_ids"]
    rows = [torch.tensor([*asked, *told]) for asked, told in zip(questions, answers, strict=True)]
    labels = [torch.tensor([IGNORED] * len(asked) + told) for asked, told in zip(questions, answers, strict=True)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                **SHAPE,
            )
        )
    order, rng = list(range(len(rows))), random.Random(seed)
    steps: list[list[int]] = []
    for _ in range(passes):
        rng.shuffle(order)
        steps += [order[start : start + batch] for start in range(0, len(order), batch)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 30) * (1 - step / len(steps))
    )
    with followed(progress, len(steps)) as advance:
        for some in steps:
            ids = pad_sequence([rows[place] for place in some], batch_first=True, padding_value=tokenizer.pad_token_id)
            told = pad_sequence([labels[place] for place in some], batch_first=True, padding_value=IGNORED)
            learned = told[:, 1:] != IGNORED
            hidden = model.model(ids[:, :-1]).last_hidden_state  # padded on the right, which is never looked at
            cross_entropy(model.lm_head(hidden[learned]), told[:, 1:][learned]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            advance(1)
    return model.eval(), tokenizer


def build_tokenizer(texts: Sequence[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-pair encoding of these texts, with a pad token and an end."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, END], initial_alphabet=alphabet, show_progress=False
    )
    pieces.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token=PAD, eos_token=END, padding_side="left")
