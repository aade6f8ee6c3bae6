"""Names of countries and states: "Paris, France" is one answer, "Paris, London" is two."""


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
STATES = _names(
    """england; scotland; wales; northern ireland; ontario; quebec; british columbia; alberta; manitoba; saskatchewan;
    nova scotia; new brunswick; newfoundland; prince edward island; new south wales; victoria; queensland; western
    australia; south australia; tasmania; bavaria; saxony; catalonia; andalusia; tuscany; lombardy; sicily; punjab;
    maharashtra; kerala; tamil nadu; karnataka; west bengal; gujarat; rajasthan; uttar pradesh; bihar; dc; district
    of columbia"""
) | frozenset(_US_STATES)
STATE_CODES = {code: state for state, code in _US_STATES.items()}
PLACE_WORDS = _names("county;province;prefecture;district;region;oblast;borough;department;canton;parish;state")
# Golds come with one name only; the others are no less right.
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
    )
)


def kind_of_place(name: str) -> str:
    """ "country", "state" (or province), or "" for what is not in the lists.

    Example:
        >>> kind_of_place("new york"), kind_of_place("france"), kind_of_place("paris")
        ('state', 'country', '')
    """
    if name in STATES:
        return "state"
    return "country" if name in COUNTRIES else ""


def same_place(name: str) -> frozenset[str]:
    """Other names of the same place.

    Example:
        >>> sorted(same_place("czech republic"))
        ['czech republic', 'czechia']
    """
    return next((names for names in SAME_PLACE if name in names), frozenset())
