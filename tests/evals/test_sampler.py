"""Sampling: right whatever the batch, seeded, exact log-probabilities, and a model left as it was."""

import math
from pathlib import Path

import pytest
import torch

from abstain.evals.models import LoadedModel, load_model
from abstain.evals.sampler import Sampler, as_prompt
from abstain.evals.sampling import Completion

PROMPTS = ["Where was Ada born?", "Ada", "Where was Bo born? Bo Bo Bo", "Lima Oslo Rome", "Where was Cy"]
CHAT = "{{ bos_token }}{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}<assistant>"


@pytest.fixture
def loaded(tiny_model_dir: Path) -> LoadedModel:
    return load_model(tiny_model_dir, device="cpu")


def sampler(loaded: LoadedModel, **options: object) -> Sampler:
    return Sampler(loaded.model, loaded.tokenizer, **{"max_new_tokens": 6, **options})


def one_by_one(loaded: LoadedModel, prompt: str, completion_ids: list[int]) -> float:
    """The log-probability of a completion from one forward pass without padding or cache."""
    prompt_ids = loaded.tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        logprobs = loaded.model(torch.tensor([prompt_ids + completion_ids])).logits[0].log_softmax(-1)
    return sum(logprobs[len(prompt_ids) - 1 + i, token].item() for i, token in enumerate(completion_ids))


def spell_ids(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make completions consist of their token ids, because decoding hides special tokens."""
    spell = lambda rows, skip_special_tokens: [" ".join(map(str, row)) for row in rows]  # noqa: E731
    monkeypatch.setattr(loaded.tokenizer, "batch_decode", spell)


def ids_of(completion: Completion) -> list[int]:
    return list(map(int, completion.text.split()))


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_greedy_does_not_depend_on_the_batch(loaded: LoadedModel, batch_tokens: int) -> None:
    alone = [sampler(loaded).sample([prompt])[0][0] for prompt in PROMPTS]
    together = [row[0] for row in sampler(loaded, batch_tokens=batch_tokens).sample(PROMPTS)]
    assert [c.text for c in together] == [c.text for c in alone]
    assert [c.logprob for c in together] == pytest.approx([c.logprob for c in alone], abs=1e-4)


def test_greedy_takes_the_likeliest_token(loaded: LoadedModel) -> None:
    (completion,) = sampler(loaded, max_new_tokens=1).sample(["Ada"])[0]
    logits = loaded.model(**loaded.tokenizer("Ada", return_tensors="pt")).logits[0, -1]
    assert completion.text == loaded.tokenizer.decode(logits.argmax(), skip_special_tokens=True)
    assert completion.logprob == pytest.approx(logits.log_softmax(-1).max().item(), abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.5}, {"temperature": 3.0}])
def test_logprob_is_that_of_the_model_whatever_it_was_sampled_with(
    loaded: LoadedModel, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    spell_ids(loaded, monkeypatch)
    rows = sampler(loaded).sample(PROMPTS, n=4, **{"temperature": 1.0, **options})
    for prompt, row in zip(PROMPTS, rows, strict=True):
        for completion in row:
            expected = one_by_one(loaded, prompt, ids_of(completion))
            assert completion.logprob == pytest.approx(expected, abs=1e-3)


def test_shared_prefill_changes_nothing(loaded: LoadedModel) -> None:
    one = sampler(loaded).sample(PROMPTS)
    three = sampler(loaded).sample(PROMPTS, n=3)
    for (single,), copies in zip(one, three, strict=True):
        assert [copy.text for copy in copies] == [single.text] * 3
        assert [copy.logprob for copy in copies] == pytest.approx([single.logprob] * 3, abs=1e-4)


def test_samples_follow_the_model(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    spell_ids(loaded, monkeypatch)
    (row,) = sampler(loaded, max_new_tokens=1).sample(["Ada"], n=4_000, temperature=1.0)
    probabilities = loaded.model(**loaded.tokenizer("Ada", return_tensors="pt")).logits[0, -1].softmax(-1)
    for token, p in enumerate(probabilities.tolist()):
        share = sum(ids_of(completion) == [token] for completion in row) / len(row)
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / len(row)) + 1e-3


def test_same_seed_same_samples(loaded: LoadedModel) -> None:
    first, again, other = (sampler(loaded).sample(PROMPTS, n=3, temperature=1.0, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_top_k_one_is_greedy(loaded: LoadedModel) -> None:
    greedy = sampler(loaded).sample(PROMPTS)
    assert [row[0].text for row in sampler(loaded).sample(PROMPTS, temperature=1.0, top_k=1)] == [
        row[0].text for row in greedy
    ]


def test_an_end_token_ends_and_counts(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    spell_ids(loaded, monkeypatch)
    rows = sampler(loaded, max_new_tokens=50).sample(PROMPTS, n=20, temperature=1.0)
    completions = [completion for row in rows for completion in row]
    assert {completion.truncated for completion in completions} == {True, False}
    for completion in completions:
        ids = ids_of(completion)
        assert completion.token_count == len(ids) <= 50
        assert completion.truncated == (1 not in ids)
        assert 1 not in ids[:-1]


def test_every_end_token_of_the_model_ends(loaded: LoadedModel) -> None:
    first = sampler(loaded).sample(["Ada"])[0][0]
    assert first.truncated
    start = loaded.tokenizer(first.text)["input_ids"][0]
    loaded.model.generation_config.eos_token_id = [1, start]
    assert sampler(loaded).sample(["Ada"])[0][0].token_count == 1


def test_the_models_own_generation_defaults_do_not_leak(loaded: LoadedModel) -> None:
    plain = sampler(loaded).sample(PROMPTS, n=2, temperature=1.0)
    loaded.model.generation_config.update(
        top_k=1, top_p=0.1, temperature=0.01, repetition_penalty=5.0, do_sample=True, suppress_tokens=[3, 4, 5, 6, 7]
    )
    kept = loaded.model.generation_config
    assert sampler(loaded).sample(PROMPTS, n=2, temperature=1.0) == plain
    assert loaded.model.generation_config is kept
    assert kept.top_k == 1


def test_the_model_is_left_as_it_was(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded.model.train()
    loaded.model.model.layers[0].eval()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    sampler(loaded).sample(PROMPTS, n=2, temperature=1.0)
    assert torch.rand(1) == expected
    monkeypatch.setattr(loaded.model, "generate", lambda **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        sampler(loaded).sample(PROMPTS)
    assert loaded.model.training
    assert not loaded.model.model.layers[0].training


@pytest.mark.parametrize("task_type", [None, "CAUSAL_LM"])
def test_a_lora_model_is_sampled_and_left_as_it_was(loaded: LoadedModel, task_type: str | None) -> None:
    peft = pytest.importorskip("peft")
    plain = sampler(loaded).sample(PROMPTS, n=2)
    loaded.model.generation_config.update(suppress_tokens=[3, 4, 5, 6, 7, 8])
    kept = loaded.model.generation_config
    lora = peft.LoraConfig(target_modules=["q_proj"], task_type=task_type)  # starts as the identity
    tuned = peft.get_peft_model(loaded.model, lora)
    assert Sampler(tuned, loaded.tokenizer, max_new_tokens=6).sample(PROMPTS, n=2) == plain
    assert tuned.generation_config is kept
    assert tuned.base_model.model.generation_config is kept


def test_autocast_is_close(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abstain.evals.models.fast_bfloat16", lambda device: True)
    exact = sampler(loaded, max_new_tokens=1).sample(PROMPTS)
    rough = sampler(loaded, max_new_tokens=1, autocast=True).sample(PROMPTS)
    for (a,), (b,) in zip(exact, rough, strict=True):
        assert b.logprob == pytest.approx(a.logprob, abs=0.2)


def test_no_prompts_and_bad_prompts(loaded: LoadedModel) -> None:
    assert sampler(loaded).sample([]) == []
    with pytest.raises(ValueError, match=r"prompt 1 has no tokens: ''"):
        sampler(loaded).sample(["Ada", ""])
    with pytest.raises(ValueError, match=r"prompt 0 does not fit: 600 tokens and 6 new ones exceed .* context of 512"):
        sampler(loaded).sample(["Ada " * 600])
    with pytest.raises(ValueError, match="temperature -1 is negative"):
        sampler(loaded).sample(["Ada"], temperature=-1)


def test_progress_is_shown_on_stderr_only(loaded: LoadedModel, capsys: pytest.CaptureFixture) -> None:
    sampler(loaded).sample(PROMPTS, progress="asking")
    assert capsys.readouterr().out == ""


def test_chat_templates(loaded: LoadedModel) -> None:
    tokenizer = loaded.tokenizer
    assert as_prompt("Ada", tokenizer) == "Ada"
    with pytest.raises(ValueError, match="needs a tokenizer with a chat template"):
        as_prompt("Ada", tokenizer, "chat")
    with pytest.raises(ValueError, match=r"unknown prompt format 'chatt'. Did you mean 'chat'\?"):
        as_prompt("Ada", tokenizer, "chatt")
    tokenizer.chat_template = CHAT
    tokenizer.bos_token = "<eos>"
    assert as_prompt("Ada", tokenizer, "plain") == "Ada"
    assert as_prompt("Ada", tokenizer) == "<eos><user> Ada <assistant>"


def test_a_begin_token_is_not_doubled(loaded: LoadedModel) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = loaded.tokenizer
    tokenizer.chat_template = CHAT
    tokenizer.bos_token = "<eos>"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<eos> $A", special_tokens=[("<eos>", 1)])
    assert tokenizer(as_prompt("Ada", tokenizer))["input_ids"].count(1) == 1


def test_the_chat_prompt_is_what_the_model_reads(loaded: LoadedModel) -> None:
    loaded.tokenizer.chat_template = CHAT.replace("{{ bos_token }}", "")
    chat = sampler(loaded).sample(["Ada"])
    assert chat == sampler(loaded, prompt_format="plain").sample(["<user> Ada <assistant>"])
    assert chat != sampler(loaded, prompt_format="plain").sample(["Ada"])
