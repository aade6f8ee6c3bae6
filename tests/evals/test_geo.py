"""Questions about cities have one answer, and nobody is told it by the question."""

from collections import Counter
from itertools import permutations

import pytest

from abstain.evals.tasks.geo import (
    ALIASES,
    CAPITALS,
    TERRITORIES,
    TWO_CONTINENTS,
    clear_cities,
    country_names,
    load_geo,
    read_world,
)
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import check_overlap, normalise
from abstain.rewards.grading import grade
from abstain.rewards.verdict import Verdict


@pytest.fixture(scope="module")
def everything() -> Task:
    return load_geo(kinds="country,capital,continent", held_out=0.25)


@pytest.fixture(scope="module")
def by_id(everything: Task) -> dict[str, Question]:
    return {question.id: question for question in everything.train + everything.held_out}


def gold(by_id: dict[str, Question], text: str) -> tuple[str, ...]:
    (found,) = [question for question in by_id.values() if question.question == text]
    return found.gold


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Which country is the city of Chicago in?", "USA"),
        ("Which country is the city of Edinburgh in?", "Scotland"),
        ("Which country is the city of Paris in?", "France"),
        ("Which country is the city of London in?", "United Kingdom"),
        ("Which continent is the city of Istanbul on?", "Europe"),
        ("Which continent is the city of Istanbul on?", "Asia"),
        ("Which continent is the city of Osaka on?", "Asia"),
        ("What is the capital of the United States?", "Washington, D.C."),
        ("What is the capital of Brazil?", "Brasilia"),
        ("What is the capital of the Netherlands?", "Amsterdam"),
        ("What is the capital of Bolivia?", "La Paz"),
    ],
)
def test_known_facts(by_id: dict[str, Question], text: str, right: str) -> None:
    assert right in gold(by_id, text)


def test_ambiguous_and_given_away_names_are_left_out(by_id: dict[str, Question]) -> None:
    cities = {question.subject for key, question in by_id.items() if key.startswith("country-")}
    assert {"Paris", "Berlin", "Lima", "Tokyo"} <= cities
    assert cities.isdisjoint({"Birmingham", "Valencia", "Mexico City", "Singapore", "Hong Kong", "San Juan"})
    countries = [question.question for key, question in by_id.items() if key.startswith("capital-")]
    assert "What is the capital of Panama?" not in countries and "What is the capital of Israel?" not in countries
    assert "What is the capital of Guinea-Bissau?" not in countries


def test_counts_subjects_and_popularity(everything: Task, by_id: dict[str, Question]) -> None:
    kinds = Counter(question.metadata["kind"] for question in by_id.values())
    assert kinds["country"] == kinds["continent"] > 25_000 and 170 < kinds["capital"] < 200
    assert len(by_id) == len(everything.train) + len(everything.held_out)
    assert 0.25 <= len(everything.held_out) / len(by_id) < 0.26
    assert not check_overlap(everything.train, everything.held_out)
    names = Counter(normalise(q.subject) for q in by_id.values() if q.metadata["kind"] == "country")
    assert set(names.values()) == {1}
    populations = [q.metadata["popularity"] for q in by_id.values() if q.metadata["kind"] == "country"]
    assert min(populations) >= 15_000 and max(populations) > 10_000_000


def test_a_namesake_a_tenth_as_large_does_not_matter() -> None:
    def city(code: str, population: int) -> dict:
        return {"name": "Ney", "countrycode": code, "population": population}

    countries = {"FR": {"iso": "FR", "name": "France"}, "US": {"iso": "US", "name": "United States"}}
    assert clear_cities([city("FR", 1000), city("US", 100)], countries) == [city("FR", 1000)]
    assert clear_cities([city("FR", 999), city("US", 100)], countries) == []
    assert clear_cities([city("FR", 999), city("FR", 998)], countries) == [city("FR", 999)]
    assert clear_cities([city("HK", 999)], countries) == []


def test_hand_written_facts_name_real_countries() -> None:
    countries = read_world(15_000).countries
    for table in (ALIASES, CAPITALS, TWO_CONTINENTS):
        assert set(table) <= set(countries)
    assert not set(TERRITORIES.split()) & set(countries)
    for code, country in countries.items():
        others = {normalise(name) for other, one in countries.items() if other != code for name in country_names(one)}
        assert others.isdisjoint(map(normalise, country_names(country))), code


def test_no_country_is_taken_for_another() -> None:
    countries = read_world(15_000).countries
    names = {code: country_names(country) for code, country in countries.items()}
    taken = {
        (code, other)
        for code, other in permutations(names, 2)
        for name in names[code]
        if {*name.split()} & {word for gold in names[other] for word in gold.split()} - {"of", "and", "Republic"}
        and grade(name, list(names[other])) == Verdict.CORRECT
    }
    assert taken <= {("KP", "KR"), ("FM", "US")}  # by official names that nobody gives for the other


def test_smaller_cities_sizes_limits_and_seeds() -> None:
    large = load_geo(min_population=1_000_000)
    assert min(q.metadata["popularity"] for q in large.train + large.held_out) >= 1_000_000
    few = load_geo(min_population=1_000_000, max_questions=50)
    assert len(few.train) + len(few.held_out) == 50 and few == load_geo(min_population=1_000_000, max_questions=50)
    other = load_geo(min_population=1_000_000, limit=7, seed=1)
    assert (len(other.train), len(other.held_out)) == (7, 7) and other != load_geo(min_population=1_000_000, limit=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["capitol"]}, r"unknown kind 'capitol'. Did you mean 'capital'"),
        ({"min_population": 100}, r"min_population=100 must be a whole number of at least 500"),
        ({"min_population": 10**9}, r"no question is left"),
        ({"held_out": 2}, r"held_out=2"),
    ],
)
def test_options_that_make_no_sense(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_geo(**options)
