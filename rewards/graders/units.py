"""Units: what each measures, how big it is, and its names in six languages.

Our own table: `pint` loads in 0.3 s, takes 100 µs a quantity (a whole short answer takes 25 here), and has no Japanese
and no Chinese. Gallons and the ton of 2,000 lb are left out, because people mean several by them.
"""

import re
from typing import NamedTuple


class Unit(NamedTuple):
    """What a unit measures, and its size in base units: value in base = value * factor + offset."""

    measures: str
    factor: float
    offset: float = 0.0


_TABLE: dict[str, tuple[tuple[float, str], ...]] = {
    "length": (
        (1e-9, "nm nanometer nanometers nanometre nanometres ナノメートル 纳米"),
        (1e-6, "µm μm micrometer micrometers micrometre micrometres micron microns"),
        (1e-3, "mm millimeter millimeters millimetre millimetres ミリ ミリメートル 毫米"),
        (1e-2, "cm centimeter centimeters centimetre centimetres zentimeter centímetros centimètres センチ "
               "センチメートル 厘米 公分"),
        (1, "m meter meters metre metres mètre mètres metro metros メートル 米 公尺"),
        (1e3, "km kms kilometer kilometers kilometre kilometres kilomètre kilomètres kilómetro kilómetros kilometern "
              "キロメートル キロ 公里 千米"),
        (0.0254, "in inch inches インチ 英寸"),
        (0.3048, "ft foot feet フィート 英尺"),
        (0.9144, "yd yard yards ヤード"),
        (1609.344, "mi mile miles マイル 英里"),
        (1852, "nmi nautical_mile nautical_miles 海里"),
        (1.495978707e11, "au astronomical_unit astronomical_units 天文単位 天文单位"),
        (9.4607304725808e15, "ly light_year light_years light-year light-years 光年"),
        (3.0856775814913673e16, "pc parsec parsecs"),
    ),
    "mass": (
        (1e-6, "mg milligram milligrams ミリグラム 毫克"),
        (1e-3, "g gram grams gramme grammes gramm gramos グラム 克"),
        (1, "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes kilogramm kilogramos キログラム 公斤 千克"),
        (1e3, "t tonne tonnes ton tons metric_ton metric_tons tonnen toneladas トン 吨 噸"),
        (0.45359237, "lb lbs"),
        (0.028349523125, "oz ounce ounces オンス 盎司"),
    ),
    "time": (
        (1e-3, "ms millisecond milliseconds ミリ秒 毫秒"),
        (1, "s sec secs second seconds sekunde sekunden seconde secondes segundo segundos 秒 秒間 秒钟 秒鐘"),
        (60, "min mins minute minutes minuten minuto minutos 分 分間 分钟 分鐘"),
        (3600, "h hr hrs hour hours stunde stunden heure heures hora horas 時間 小时 小時 个小时 個小時 钟头"),
        (86400, "day days tag tage tagen jour jours día días dias 日 日間 天"),
        (604800, "week weeks woche wochen semaine semaines semana semanas 週間 周 星期 个星期"),
        (31557600 / 12, "month months monat monate monaten mois mes meses か月 ヶ月 ヵ月 カ月 ヶ月間 か月間 "
                        "个月 個月"),
        (31557600, "yr yrs year years year_old years_old year-old years-old jahr jahre jahren an ans année années año "
                   "años 年間 歳 岁 歲 才"),
        (315576000, "decade decades"),
        (3155760000, "century centuries"),
    ),
    "area": (
        (1e-4, "cm2 cm^2 sq_cm"),
        (1, "m2 m^2 sqm sq_m square_meter square_meters square_metre square_metres 平方米 平方メートル"),
        (1e4, "ha hectare hectares ヘクタール 公顷"),
        (4046.8564224, "acre acres エーカー 英亩"),
        (1e6, "km2 km^2 sq_km square_kilometer square_kilometers square_kilometre square_kilometres 平方公里 平方千米 "
              "平方キロメートル 平方キロ"),
        (0.09290304, "ft2 ft^2 sq_ft square_foot square_feet"),
        (2589988.110336, "mi2 mi^2 sq_mi square_mile square_miles"),
    ),
    "volume": (
        (1e-6, "ml cc cm3 cm^3 milliliter milliliters millilitre millilitres cubic_centimeters cubic_centimetres 毫升 "
               "ミリリットル"),
        (1e-3, "l liter liters litre litres litro litros リットル 升"),
        (1, "m3 m^3 cubic_meter cubic_meters cubic_metre cubic_metres 立方米 立方メートル"),
        (1e9, "km3 km^3 cubic_kilometers cubic_kilometres"),
    ),
    "speed": (
        (1, "m/s mps meters_per_second metres_per_second"),
        (1e3, "km/s kilometers_per_second kilometres_per_second"),
        (1 / 3.6, "km/h kph kmh kmph kilometers_per_hour kilometres_per_hour"),
        (0.44704, "mph mi/h miles_per_hour"),
        (0.3048, "ft/s feet_per_second foot_per_second"),
        (0.3048 / 60, "ft/min feet_per_minute foot_per_minute"),
        (1 / 60, "m/min meters_per_minute metres_per_minute"),
        (1852 / 3600, "kt knot knots ノット"),
    ),
    "data": (
        (1, "byte bytes"),
        (1e3, "kb kilobyte kilobytes"),
        (1e6, "mb megabyte megabytes"),
        (1e9, "gb gigabyte gigabytes"),
        (1e12, "tb terabyte terabytes"),
    ),
    "power": (
        (1, "w watt watts"),
        (1e3, "kw kilowatt kilowatts"),
        (1e6, "mw megawatt megawatts"),
        (1e9, "gw gigawatt gigawatts"),
    ),
    "energy": ((1, "j joule joules"), (1e3, "kj kilojoule kilojoules"), (3.6e6, "kwh"), (4184, "kcal kilocalories")),
    "frequency": ((1, "hz hertz"), (1e3, "khz kilohertz"), (1e6, "mhz megahertz"), (1e9, "ghz gigahertz")),
    "rotation": ((1, "rpm r/min revolutions_per_minute rotations_per_minute"),),
    "density": (
        (1, "kg/m3 kg/m^3 g/l kilograms_per_cubic_meter kilograms_per_cubic_metre"),
        (1e3, "g/cm3 g/cm^3 kg/l grams_per_cubic_centimeter grams_per_cubic_centimetre g/ml"),
    ),
    "acceleration": ((1, "m/s2 m/s^2 meters_per_second_squared metres_per_second_squared"),),
    "angle": ((1, "° degree degrees grad 度"),),
    "percent": (
        (1, "% percent per_cent percentage_point percentage_points pct prozent pour_cent por_ciento パーセント"),
        (10, "割 成"),
    ),
    "US dollars": ((1, "$ us$ usd dollar dollars us_dollar us_dollars bucks dólares ドル 米ドル 美元 美金"),
                   (0.01, "cent cents")),
    "euros": ((1, "€ eur euro euros ユーロ 欧元 歐元"),),
    "pounds sterling": ((1, "£ gbp quid pound_sterling pounds_sterling ポンド 英镑 英鎊"),),
    "yen or yuan": ((1, "¥"),),
    "yen": ((1, "jpy yen 円 日元 日圓"),),
    "yuan": ((1, "cny rmb yuan renminbi 元 人民币 人民幣 块"),),
    "won": ((1, "₩ krw won ウォン 韩元"),),
    "rupees": ((1, "₹ inr rupee rupees rs"),),
    "francs": ((1, "chf franc francs フラン 法郎"),),
    "pesos": ((1, "peso pesos"),),
    "rubles": ((1, "₽ rub ruble rubles rouble roubles"),),
}  # fmt: skip
UNITS: dict[str, Unit] = {
    name.replace("_", " "): Unit(measures, factor)
    for measures, rows in _TABLE.items()
    for factor, names in rows
    for name in names.split()
}
for _measure, _names in {
    Unit(
        "temperature", 1.0, 273.15
    ): "°c|℃|celsius|degrees celsius|degree celsius|degrees centigrade|degrees c|摄氏度|攝氏度",
    Unit(
        "temperature", 5 / 9, 459.67 * 5 / 9
    ): "°f|℉|fahrenheit|degrees fahrenheit|degree fahrenheit|degrees f|华氏度",
    Unit("temperature", 1.0): "k|kelvin|kelvins",
    Unit("mass or money", 1.0): "pound|pounds",
}.items():
    UNITS |= dict.fromkeys(_names.split("|"), _measure)
ORDINAL = Unit("ordinal", 1.0)
# What one sign or word may mean, as the other side asks.
_EITHER = {
    "mass or money": (UNITS["lb"], UNITS["£"]),
    "yen or yuan": (UNITS["yen"], UNITS["yuan"]),
    "angle": (UNITS["celsius"], UNITS["fahrenheit"]),
}
MONEY = frozenset(
    [
        "US dollars",
        "euros",
        "pounds sterling",
        "yen or yuan",
        "yen",
        "yuan",
        "won",
        "rupees",
        "francs",
        "pesos",
        "rubles",
    ]
)


def common_unit(first: Unit | None, second: Unit | None) -> tuple[Unit | None, Unit | None]:
    """The two units with an ambiguous "pounds", "¥" or "degrees" read as the other one asks.

    Example:
        >>> [u.measures for u in common_unit(UNITS["pounds"], UNITS["kg"])]
        ['mass', 'mass']
    """
    if first is None or second is None or first == second:
        return first, second
    for meant in _EITHER.get(first.measures, ()):
        if meant.measures == second.measures:
            return (second if meant.measures == "temperature" else meant), second
    for meant in _EITHER.get(second.measures, ()):
        if meant.measures == first.measures:
            return first, (first if meant.measures == "temperature" else meant)
    return first, second


def may_measure(unit: Unit) -> frozenset[str]:
    """What a unit's name may measure: "pounds" weigh or pay.

    Example:
        >>> sorted(may_measure(UNITS["pounds"]))
        ['mass', 'mass or money', 'pounds sterling']
    """
    return frozenset([unit.measures, *(meant.measures for meant in _EITHER.get(unit.measures, ()))])


def convert(value: float, unit: Unit, to: Unit) -> float:
    """A value in another unit of the same measure.

    Example:
        >>> convert(5, UNITS["km"], UNITS["m"])
        5000.0
    """
    return (value * unit.factor + unit.offset - to.offset) / to.factor


PIECE = re.compile(r"[^\W\d_\u3000-\u9fff][^\W_\u3000-\u9fff]*|\d+|[^\s\w]|[\u3000-\u9fff]")
# The names as the tokens of `numbers.Tokens`, by their first token, longest first.
SPELLED: dict[str, list[tuple[tuple[str, ...], Unit]]] = {}
for _name in sorted(UNITS, key=len, reverse=True):
    _parts = tuple(PIECE.findall(_name))
    SPELLED.setdefault(_parts[0], []).append((_parts, UNITS[_name]))
