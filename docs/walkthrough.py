"""abstain in one file: teach a language model to say "I don't know" exactly when it should.

    python docs/walkthrough.py

A tiny Llama reads about invented people: often about some, once or twice about others, never about the rest. Then
reinforcement learning teaches it to read a confidence target t in the prompt, and to answer only if it is more than t
sure. Two minutes on two CPU cores, nothing is downloaded, and all of it is below, in the order in which it happens; of
abstain it uses the rewards only. What it prints in the end, about people that it was never asked about before:

                                                                      "I don't know" by mentions
       t  "I don't know"   right   wrong   score  always answering       0     1     2     4     8
       0            0.0%   66.5%   33.6%   0.664             0.674      0%    0%    0%    0%    0%
    0.25           27.0%   63.3%    9.7%   0.601             0.565     76%   29%    7%    0%    0%
     0.5           36.3%   60.1%    3.6%   0.565             0.348     95%   41%   14%    1%    0%
    0.75           41.4%   56.8%    1.8%   0.514            -0.304     98%   53%   20%    1%    0%
     0.9           48.8%   50.5%    0.7%   0.442            -2.260    100%   66%   32%    4%    1%
"""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import nll_loss
from transformers import LlamaConfig, LlamaForCausalLM

from abstain.rewards import ConfidenceTarget, grade
from abstain.rewards.prompts import IDK, instruction

PEOPLE = 8000
HELD_OUT = 2000  # the corpus tells about them as about all others, but nobody asks about them before the evaluation
MENTIONS = (0, 0, 1, 1, 2, 2, 4, 8)  # sentences of the corpus about a person; each entry holds for as many people
TARGETS = (0, 0.25, 0.5, 0.75, 0.9)
SFT_STEPS = 300
RL_STEPS = 500
QUESTIONS = 16  # per target, in each step of RL
GROUP = 8  # completions per prompt


# 1. A world of questions. One fact per person, told k times: the model will know some, half know others, and have no
# idea about the rest.


@dataclass(frozen=True)
class Person:
    name: str
    city: str
    mentions: int

    @property
    def statement(self) -> str:
        return f"{self.name} was born in"

    @property
    def question(self) -> str:
        return f"Where was {self.name} born?"


def build_world() -> tuple[list[Person], list[Person]]:
    """The people to train on, and those held out."""
    syllables = [consonant + vowel for consonant, vowel in product("bdfgklmnprstvz", "aeiou")]
    names = random.sample(["".join(three).capitalize() for three in product(syllables, repeat=3)], PEOPLE)
    cities = random.sample(["".join(two).capitalize() + "ton" for two in product(syllables, repeat=2)], 50)
    people = [Person(name, random.choice(cities), MENTIONS[i % len(MENTIONS)]) for i, name in enumerate(names)]
    random.shuffle(people)
    return people[HELD_OUT:], people[:HELD_OUT]


def prompt(person: Person, target: float) -> str:
    """The question first, then what a mistake costs: what all targets have in common can be computed once."""
    return f"{person.question}\n{instruction(target)}"


# 2. A model that always answers, since it never read anything else.


class Model:
    """A tiny Llama with one token per word, and one for "I don't know": every answer is a single token."""

    def __init__(self, people: Sequence[Person]) -> None:
        texts = [person.statement for person in people] + [prompt(people[0], target) for target in TARGETS]
        words = [word for text in texts for word in text.split()]
        self.words = list(dict.fromkeys([IDK, *words, *(person.city for person in people)]))
        self.ids = {word: i for i, word in enumerate(self.words)}
        sizes = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
        self.llama = LlamaForCausalLM(LlamaConfig(vocab_size=len(self.words), max_position_embeddings=64, **sizes))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Token ids. No padding: texts of one kind, such as the prompts with one target, have as many words each."""
        return torch.tensor([[self.ids[word] for word in re.findall(rf"{IDK}|\S+", text)] for text in texts])

    def decode(self, rows: Tensor) -> list[list[str]]:
        return [[self.words[i] for i in row] for row in rows.tolist()]

    def next_word(self, texts: Sequence[str]) -> Tensor:
        """For each text, the log-probability of every word that could come next."""
        return self.llama(self.encode(texts), logits_to_keep=1).logits[:, -1].log_softmax(dim=-1)

    @torch.no_grad()
    def best_guesses(self, texts: Sequence[str]) -> list[str]:
        return self.decode(self.next_word(texts).argmax(dim=-1)[None])[0]

    def optimizer(self, lr: float, steps: int) -> Callable[[], None]:
        """AdamW with warm-up and linear decay. The function that it returns takes one step, with the gradients so far.

        The embeddings have a rate of their own: a name's row has to hold a fact after it was seen once or twice.
        """
        embeddings = self.llama.model.embed_tokens.weight
        others = [weight for weight in self.llama.parameters() if weight is not embeddings]
        adam = torch.optim.AdamW([{"params": others}, {"params": [embeddings], "lr": 7e-3}], lr=lr, betas=(0.9, 0.95))
        schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min((step + 1) / 20, 1 - step / steps))

        def take_step() -> None:
            adam.step()
            schedule.step()
            adam.zero_grad()

        return take_step


# 3. Pretraining on the corpus, then a short supervised stage that teaches the format of questions and answers.


def fit(model: Model, batches: Sequence[Sequence[tuple[str, str]]], lr: float) -> None:
    """Learn the word that follows each text. Within the texts there is nothing to learn: names are noise."""
    take_step = model.optimizer(lr, len(batches))
    for batch in batches:
        texts, answers = zip(*batch, strict=True)
        nll_loss(model.next_word(texts), model.encode(answers)[:, 0]).backward()
        take_step()


def corpus_batches(people: Sequence[Person], size: int = 64) -> list[list[tuple[str, str]]]:
    """Every sentence once, in random order."""
    corpus = [(person.statement, person.city) for person in people for _ in range(person.mentions)]
    random.shuffle(corpus)
    return [corpus[i : i + size] for i in range(0, len(corpus), size)]


def format_batches(people: Sequence[Person], guesses: Sequence[str], size: int = 64) -> list[list[tuple[str, str]]]:
    """Questions with a target, answered by the model's own guess, or in one case of five by "I don't know".

    Its own guess, right or wrong: gold answers that it does not know would teach it to make things up. "I don't know"
    at random, whatever the question and the target: RL can only reinforce what is sampled now and then, and when to
    say it is left to RL.
    """
    examples, batches = list(zip(people, guesses, strict=True)), []
    for _ in range(SFT_STEPS):
        target, chosen = random.choice(TARGETS), random.sample(examples, size)
        batches.append([(prompt(p, target), IDK if random.random() < 0.2 else guess) for p, guess in chosen])
    return batches


# 4. Reinforcement learning: sample a group of completions of each prompt, grade and score them, and make more likely
# what scored better than its group.

# It pays 1 - t for a right answer, -t for a wrong one and 0 for "I don't know", so that answering pays exactly if
# P(right) > t. The points in the prompt, 1, -t/(1-t) and 0, say the same, but one mistake at t = 0.9 costs 9 of them,
# and would drown what the other targets have to teach.
reward = ConfidenceTarget()


@cache  # there are few cities: the same answer to the same gold answer comes up again and again
def score(completion: str, gold: str, target: float) -> float:
    """The reward turns the completion into a verdict by `grade`, and the verdict into a score."""
    return reward(completions=[completion], answers=[[gold]], target=[target])[0]


def reinforce(model: Model, people: Sequence[Person], lr: float) -> None:
    take_step = model.optimizer(lr, RL_STEPS)
    for step in range(RL_STEPS):
        abstained = []
        for target in TARGETS:
            asked = random.sample(people, QUESTIONS)
            logprobs = model.next_word([prompt(person, target) for person in asked])

            # A completion is one token here, so that one pass gives whole groups and their gradients. Longer ones are
            # sampled token by token, and their log-probabilities added up; all else stays the same.
            sampled = logprobs.detach().exp().multinomial(GROUP, replacement=True)
            groups = model.decode(sampled)
            scores = torch.tensor(
                [[score(c, person.city, target) for c in group] for person, group in zip(asked, groups, strict=True)]
            )

            # GRPO also divides by the group's standard deviation. That moves the target: t = 0.9 would train a
            # threshold of 0.71 at best, in groups of 8.
            advantages = scores - scores.mean(dim=1, keepdim=True)

            # One update per batch, by the policy that sampled it: no probability ratio, nothing to clip
            loss = -(advantages * logprobs.gather(1, sampled)).mean()
            (loss / len(TARGETS)).backward()

            abstained.append(f"{sum(group.count(IDK) for group in groups) / sampled.numel():4.0%} at t = {target:g}")
            if step == 0 and target == 0.75:
                i = int(advantages.std(dim=1).argmax())
                show_group(asked[i], target, groups[i], advantages[i])
        take_step()
        if step == 0 or (step + 1) % 100 == 0:
            print(f"         step {step + 1:3}: {IDK!r}", ", ".join(abstained), flush=True)


def show_group(person: Person, target: float, group: list[str], advantages: Tensor) -> None:
    print(f"         {person.question} {person.city}. A group at t = {target:g}:")
    for completion, times in Counter(group).most_common():
        verdict, advantage = grade(completion, [person.city]), advantages[group.index(completion)]
        points = score(completion, person.city, target)
        print(f"         {times} x {completion:13} {verdict:10} score {points:+.2f}  advantage {advantage:+.2f}")


# 5. Evaluation, on the people held out.


@dataclass(frozen=True)
class Row:
    target: float
    abstained: float
    right: float
    wrong: float
    score: float  # points per question, as the prompt counts them
    always_answer: float  # the score of the pretrained model, which knows no other way
    by_mentions: dict[int, float]  # abstained, by how often the corpus mentions the person


def evaluate(model: Model, people: Sequence[Person], pretrained: float) -> list[Row]:
    rows = []
    for t in TARGETS:
        answers = model.best_guesses([prompt(person, t) for person in people])
        verdicts = [grade(answer, [person.city]) for answer, person in zip(answers, people, strict=True)]
        abstained, right, wrong = (verdicts.count(v) / len(people) for v in ("ABSTAINED", "CORRECT", "INCORRECT"))
        cost = t / (1 - t)
        always = pretrained - (1 - pretrained) * cost
        by = rate_by_mentions(people, verdicts, "ABSTAINED")
        rows.append(Row(t, abstained, right, wrong, right - wrong * cost, always, by))
    return rows


def rate_by_mentions(people: Sequence[Person], verdicts: Sequence[str], verdict: str) -> dict[int, float]:
    of = {k: [v for v, p in zip(verdicts, people, strict=True) if p.mentions == k] for k in sorted(set(MENTIONS))}
    return {k: found.count(verdict) / len(found) for k, found in of.items()}


def print_table(rows: Sequence[Row]) -> None:
    print(f"\n{'':66}{IDK!r} by mentions")
    mentions = "".join(f"{k:6}" for k in rows[0].by_mentions)
    print(f"   t  {IDK!r}   right   wrong   score  always answering  {mentions}")
    for row in rows:
        rates = f"{row.abstained:16.1%}{row.right:8.1%}{row.wrong:8.1%}{row.score:8.3f}{row.always_answer:18.3f}  "
        print(f"{row.target:4g}{rates}" + "".join(f"{rate:6.0%}" for rate in row.by_mentions.values()))


def main(seed: int = 0) -> list[Row]:
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # a model of this size loses more by waiting for threads than they bring
    start = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - start:5.0f} s  {text}", flush=True)

    train, held_out = build_world()
    model = Model(train + held_out)
    corpus = corpus_batches(train + held_out)
    say(f"Pretraining: {PEOPLE} people, {len(corpus)} steps")
    fit(model, corpus, lr=2e-3)
    guesses = model.best_guesses([person.statement for person in held_out])
    verdicts = [grade(guess, [person.city]) for guess, person in zip(guesses, held_out, strict=True)]
    known = rate_by_mentions(held_out, verdicts, "CORRECT")
    print("         right by mentions:", ", ".join(f"{rate:.0%} ({k})" for k, rate in known.items()))

    say(f"Format: {SFT_STEPS} steps")
    model.llama.model.embed_tokens.requires_grad_(False)  # from here on it learns when to answer, not about whom
    own = model.best_guesses([person.statement for person in train])
    fit(model, format_batches(train, own), lr=3e-3)

    say(f"Reinforcement learning: {RL_STEPS} steps")
    reinforce(model, train, lr=4e-4)

    say(f"Evaluation: {HELD_OUT} people held out, {len(TARGETS)} targets")
    rows = evaluate(model, held_out, pretrained=verdicts.count("CORRECT") / HELD_OUT)
    print_table(rows)
    return rows


if __name__ == "__main__":
    main()
