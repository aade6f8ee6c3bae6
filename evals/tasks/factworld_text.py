"""What the fact world's base model reads: questions with answers, and a tokenizer that knows their words.

Half of the documents are a plain question, half one after an instruction with a random confidence target, answered all
the same: a model raised on benchmarks that pay for guessing. With `confidence_words`, a third of the instructions ask
for a confidence, and are answered without one. With `few_shot`, that share of the mentions stands in documents of
several questions of one relation, in the form of a few-shot prompt. A tenth is enough to learn the form;
after a half, less is remembered, and fewer answers depend on the examples shown.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from abstain.evals.tasks.factworld import Person
from abstain.evals.tasks.factworld_relations import BIRTHDAY, BY_NAME, DAYS
from abstain.evals.tasks.few_shot import ASK, SHOT
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, GUESS_INSTRUCTION, IDK, instruction, prompt_text

INSTRUCTED_SHARE = 0.5
SHOTS = (3, 7)
"""Fewest and most questions of a few-shot document."""
CONFIDENCE_PHRASES = [CONFIDENCE_INSTRUCTION, ". Confidence: 0."]
SHOT_END = SHOT.partition("{answer}")[2]
FEW_SHOT_PHRASES = [SHOT.partition("{question}")[0], ASK.partition("{question}")[2], SHOT_END]
Mention = tuple[Person, str]
"""Who is mentioned, with which answer."""
STATED = [0.0] + [step / 20 for step in range(1, 20)]


def build_tokenizer(
    world: list[Person], confidence_words: bool = False, few_shot: bool = False
) -> PreTrainedTokenizerFast:
    """One token for each name, city, digit, and constant stretch of the prompts, as a tokenizer trained here would.

    Args:
        world: whose names and cities it knows.
        confidence_words: whether it knows the constant stretches of a stated confidence, too.
        few_shot: whether it knows those of a few-shot prompt.
    """
    relations = dict.fromkeys(person.relation for person in world)
    asked = [phrase for name in relations for phrase in BY_NAME[name].phrases]
    further = CONFIDENCE_PHRASES * confidence_words + FEW_SHOT_PHRASES * few_shot
    days = [f" {day}" for day in DAYS] if BIRTHDAY.name in relations else []
    phrases = sorted(dict.fromkeys([*asked, *_instructions(), *further, *days]), key=len, reverse=True)
    words = sorted({f" {word}" for p in world for text in (p.name, p.gold, *p.mentions) for word in text.split()})
    tokens = dict.fromkeys(["<pad>", "<eos>", "<unk>", *phrases, *"0123456789.", *words])
    word_level = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    escaped = [re.sub(r"([^\w\s])", r"\\\1", phrase) for phrase in phrases]
    word_level.pre_tokenizer = pre_tokenizers.Split(
        Regex("|".join([*escaped, r"\d", r" ?\w+", r"[^\w\s]"])), "isolated"
    )
    word_level.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=word_level, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", padding_side="left"
    )


def _instructions() -> list[str]:
    before, _, rest = instruction(0.5).partition("0.5")
    middle, _, after = rest.partition("1 point")
    return ["\n", GUESS_INSTRUCTION, before, middle, " points", " point", after, f" {IDK}"]


def documents(world: Sequence[Person], rng: random.Random, asks_confidence: bool, few_shot: float) -> list[str]:
    """Every mention once, each document with its end.

    Args:
        world: who is mentioned.
        rng: draws instructions, and what stands together in a few-shot document.
        asks_confidence: whether some instructions ask for a confidence.
        few_shot: share of the mentions that stand in few-shot documents.
    """
    texts, together = [], defaultdict[str, list[Mention]](list)
    for person in world:
        for answer in person.mentions:
            if few_shot and rng.random() < few_shot:
                together[person.relation].append((person, answer))
            else:
                texts.append(_document(person.question, answer, rng, asks_confidence))
    for mentions in together.values():
        rng.shuffle(mentions)
        texts += [_few_shot_document(shots) for shots in _groups(mentions, rng)]
    return texts


def _document(question: str, answer: str, rng: random.Random, asks_confidence: bool) -> str:
    if rng.random() < INSTRUCTED_SHARE:
        if asks_confidence and rng.random() < 1 / 3:
            question = prompt_text(question, None, instruct="confidence")
        else:
            question = prompt_text(question, rng.choice([0.0, rng.choice(STATED)]))
    return f"{question} {answer}<eos>"


def _groups(mentions: Sequence[Mention], rng: random.Random) -> Iterator[Sequence[Mention]]:
    """What stands together in documents."""
    start = 0
    while start < len(mentions):
        end = start + rng.randint(*SHOTS)
        yield mentions[start:end]
        start = end


def _few_shot_document(shots: Sequence[Mention]) -> str:
    *before, (last, answer) = shots
    shown = "".join(SHOT.format(question=person.question, answer=told) for person, told in before)
    return f"{shown}{ASK.format(question=last.question)} {answer}<eos>"
