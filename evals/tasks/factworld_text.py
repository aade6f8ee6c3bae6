"""What the fact world's base model reads: questions with answers, and a tokenizer that knows their words.

Half of the documents are a plain question, half one after an instruction with a random confidence target, answered all
the same: a model raised on benchmarks that pay for guessing. With `confidence_words`, a third of the instructions ask
for a confidence, and are answered without one. With `few_shot`, that share of the mentions stands in documents of
several questions of one relation, in the form of a few-shot prompt. A tenth is enough to learn the form;
after a half, less is remembered, and fewer answers depend on the examples shown. With `passages` it reads documents, a
question and an answer, too.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from abstain.evals.tasks.evidence import a_or_e, disagreeing, statements
from abstain.evals.tasks.factworld import Person
from abstain.evals.tasks.factworld_relations import BY_NAME, LETTERS, STATEMENTS, statements_about
from abstain.evals.tasks.few_shot import ASK, SHOT
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, GUESS_INSTRUCTION, IDK, instruction, prompt_text

INSTRUCTED_SHARE = 0.5
SHOTS = (3, 7)
"""Fewest and most questions of a few-shot document."""
CONFIDENCE_PHRASES = [CONFIDENCE_INSTRUCTION, ". Confidence: 0."]
SHOT_END = SHOT.partition("{answer}")[2]
FEW_SHOT_PHRASES = [SHOT.partition("{question}")[0], ASK.partition("{question}")[2], SHOT_END]
COUNTS = [f" {count}" for count in range(10)]
"""Answers about letters."""
Mention = tuple[Person, str]
"""Who is mentioned, with which answer."""
PASSAGES = {"supporting": 0.55, "contradicting": 0.15, "missing": 0.2, "letters": 0.1}
"""The share of each kind of passage."""
MOST_DOCUMENTS = 5
"""Of a passage."""
NAMESAKES = 0.5
"""The share of passages whose other documents are about people of the same first name, as BM25 would bring them."""
QUOTE_END = ".\n\n"
"""Where a document ends: a token, as is what it begins with."""
STATED = [0.0] + [step / 20 for step in range(1, 20)]


def build_tokenizer(
    world: list[Person], confidence_words: bool = False, few_shot: bool = False, documents: bool = False
) -> PreTrainedTokenizerFast:
    """One token for each name, city, digit, and constant stretch of the prompts, as a tokenizer trained here would.

    Args:
        world: whose names and cities it knows.
        confidence_words: whether it knows the constant stretches of a stated confidence, too.
        few_shot: whether it knows those of a few-shot prompt.
        documents: whether it knows those of documents, and of questions about letters.
    """
    relations = dict.fromkeys(person.relation for person in world)
    asked = [phrase for name in relations for phrase in BY_NAME[name].phrases]
    further = CONFIDENCE_PHRASES * confidence_words + FEW_SHOT_PHRASES * few_shot + _document_phrases() * documents
    phrases = sorted(dict.fromkeys([*asked, *_instructions(), *further]), key=len, reverse=True)
    words = sorted({f" {word}" for p in world for text in (p.name, p.gold, *p.mentions) for word in text.split()})
    words += COUNTS * documents
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


def _document_phrases() -> list[str]:
    stated = [text.removeprefix("{subject}").removesuffix(" {answer}.") for text in STATEMENTS]
    return [">", QUOTE_END, *stated, *LETTERS.phrases]


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


def _document(question: str, answer: str, rng: random.Random, asks_confidence: bool, shown: Sequence[str] = ()) -> str:
    if rng.random() >= INSTRUCTED_SHARE:
        prompt = prompt_text(question, None, documents=shown)
    elif asks_confidence and rng.random() < 1 / 3:
        prompt = prompt_text(question, None, instruct="confidence", documents=shown)
    else:
        prompt = prompt_text(question, rng.choice([0.0, rng.choice(STATED)]), documents=shown)
    return f"{prompt} {answer}<eos>"


def passages(people: Sequence[Person], count: int, rng: random.Random, asks_confidence: bool = False) -> list[str]:
    """Documents, and questions about their people with answers, always another birthplace in another passage.

    What documents state is what is answered, and of several one of those that they state; where they state none,
    what is remembered of the person, or any: every question has an answer, as everywhere in what the base model reads.
    The last question is of the passage's kind, and may have an instruction; those before it are about the others.

    Args:
        people: whom they are about; more than `MOST_DOCUMENTS`.
        count: how many passages.
        rng: draws them.
        asks_confidence: whether some instructions ask for a confidence.
    """
    cities = sorted({person.gold for person in people})
    namesakes = defaultdict[str, list[Person]](list)
    for person in people:
        namesakes[person.name.split()[0]].append(person)
    texts = []
    for kind in rng.choices(list(PASSAGES), list(PASSAGES.values()), k=count):
        person, answer = rng.choice(people), rng.choice(cities)
        shown = list[str]()
        if kind == "contradicting":
            stated = disagreeing(answer, cities, MOST_DOCUMENTS, rng)
            shown, answer = statements(statements_about(person.name), stated, rng), rng.choice(stated)
        elif kind != "missing":
            shown = statements(statements_about(person.name), [answer], rng)
        elif person.mentions:
            answer = person.gold
        drawn = namesakes[person.name.split()[0]] if rng.random() < NAMESAKES else people
        room = rng.randint(len(shown), MOST_DOCUMENTS) - len(shown)
        others = [(one, rng.choice(cities)) for one in rng.sample(drawn, min(len(drawn), room)) if one is not person]
        for one, city in others:
            shown += statements(statements_about(one.name), [city], rng)
        rng.shuffle(shown)
        earlier = rng.sample(others, rng.randint(0, len(others)))
        told = "".join(f"{one.question} {city}\n" for one, city in earlier)
        question = person.question
        if kind == "letters":
            question, answer = LETTERS.ask(person.name), str(a_or_e(person.name))
        texts.append(_document(told + question, answer, rng, asks_confidence, shown))
    return texts


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
