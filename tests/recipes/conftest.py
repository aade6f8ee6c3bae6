"""A tiny random Llama and a question file: enough to run every command for real within seconds."""

import json
from pathlib import Path

import pytest

PEOPLE = [f"P{i}" for i in range(24)]
CITIES = ["Oslo", "Lima", "Rome"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A directory with a two-layer Llama that knows the words of `question_file` and of the instructions."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from abstain.rewards.prompts import IDK, instruction

    text = " ".join(["Where was born ?", IDK, *PEOPLE, *CITIES, *map(instruction, (0.0, 0.5, 0.75, 0.9))])
    splitter = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    words = dict.fromkeys(["<unk>", "<s>", "</s>", *(word for word, _ in splitter.pre_tokenize_str(text))])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    torch.set_num_threads(1)  # threads cost more than they bring to a model of this size
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(words), bos_token_id=1, eos_token_id=2, pad_token_id=2, **size)
    directory = tmp_path_factory.mktemp("models") / "tiny"
    LlamaForCausalLM(config).save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def question_file(tmp_path_factory) -> Path:
    """24 questions with gold answers, as JSONL."""
    path = tmp_path_factory.mktemp("data") / "people.jsonl"
    rows = [
        {"id": name, "question": f"Where was {name} born?", "answers": [CITIES[i % 3]], "subject": name}
        for i, name in enumerate(PEOPLE)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
