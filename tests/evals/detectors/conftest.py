"""A tiny classifier for premises and hypotheses."""

from collections.abc import Callable
from pathlib import Path

import pytest

WORDS = ("Bo", "was", "it", "Al", "not", "Lima", "is", "in", "Peru", ".")


@pytest.fixture(scope="session")
def save_tiny_nli(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`save_tiny_nli({0: "ENTAILMENT", …})`: a random DeBERTa of two layers and its tokenizer, in a folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification, PreTrainedTokenizerFast

    def save(labels: dict[int, str]) -> Path:
        vocabulary = {word: i for i, word in enumerate(("[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS))}
        words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        words.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
        )
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
        )
        config = DebertaV2Config(
            vocab_size=len(vocabulary),
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=32,
            type_vocab_size=2,
            relative_attention=True,
            position_buckets=8,
            pos_att_type=["p2c", "c2p"],
            id2label=labels,
            label2id={name: i for i, name in labels.items()},
            initializer_range=0.5,
        )
        folder = tmp_path_factory.mktemp("nli")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            DebertaV2ForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return save
