"""A modest table of units: what they measure, and how many base units they are.

US customary sizes for gallons and tons of 2,000 lb are not in it: "ton" is the metric one. A word that is no unit here
("people", "guineas") is not a unit at all, and is passed over.
"""

from typing import NamedTuple


class Unit(NamedTuple):
    """What a unit measures, and its size in base units: value in base = value * factor + offset."""

    measures: str
    factor: float
    offset: float = 0.0


_TABLE: dict[str, tuple[tuple[float, str], ...]] = {
    "length": (
        (1e-9, "nm nanometer nanometers nanometre nanometres"),
        (1e-3, "mm millimeter millimeters millimetre millimetres"),
        (1e-2, "cm centimeter centimeters centimetre centimetres"),
        (1, "m meter meters metre metres"),
        (1e3, "km kms kilometer kilometers kilometre kilometres"),
        (0.0254, "in inch inches"),
        (0.3048, "ft foot feet"),
        (0.9144, "yd yard yards"),
        (1609.344, "mi mile miles"),
        (1852, "nmi nautical_mile nautical_miles"),
        (1.495978707e11, "au astronomical_unit astronomical_units"),
        (9.4607304725808e15, "ly light_year light_years light-year light-years"),
        (3.0856775814913673e16, "pc parsec parsecs"),
    ),
    "mass": (
        (1e-6, "mg milligram milligrams"),
        (1e-3, "g gram grams gramme grammes"),
        (1, "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes"),
        (1e3, "t tonne tonnes ton tons metric_ton metric_tons"),
        (0.45359237, "lb lbs"),
        (0.028349523125, "oz ounce ounces"),
    ),
    "time": (
        (1e-3, "ms millisecond milliseconds"),
        (1, "s sec secs second seconds"),
        (60, "min mins minute minutes"),
        (3600, "h hr hrs hour hours"),
        (86400, "day days"),
        (604800, "week weeks"),
        (31557600 / 12, "month months"),
        (31557600, "yr yrs year years"),
        (315576000, "decade decades"),
        (3155760000, "century centuries"),
    ),
    "area": (
        (1e-4, "cm2 cm^2 sq_cm"),
        (1, "m2 m^2 sqm sq_m square_meter square_meters square_metre square_metres"),
        (1e4, "ha hectare hectares"),
        (4046.8564224, "acre acres"),
        (1e6, "km2 km^2 sq_km square_kilometer square_kilometers square_kilometre square_kilometres"),
        (0.09290304, "ft2 ft^2 sq_ft square_foot square_feet"),
        (2589988.110336, "mi2 mi^2 sq_mi square_mile square_miles"),
    ),
    "volume": (
        (1e-6, "ml cc cm3 cm^3 milliliter milliliters millilitre millilitres cubic_centimeters cubic_centimetres"),
        (1e-3, "l liter liters litre litres"),
        (1, "m3 m^3 cubic_meter cubic_meters cubic_metre cubic_metres"),
        (1e9, "km3 km^3 cubic_kilometers cubic_kilometres"),
    ),
    "speed": (
        (1, "m/s mps meters_per_second metres_per_second"),
        (1 / 3.6, "km/h kph kmh kilometers_per_hour kilometres_per_hour"),
        (0.44704, "mph miles_per_hour"),
        (1852 / 3600, "kt knot knots"),
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
        (1e9, "gw gigawatts"),
    ),
    "energy": ((1, "j joule joules"), (1e3, "kj kilojoule kilojoules"), (3.6e6, "kwh"), (4184, "kcal kilocalories")),
    "frequency": ((1, "hz hertz"), (1e3, "khz kilohertz"), (1e6, "mhz megahertz"), (1e9, "ghz gigahertz")),
    "angle": ((1, "° degree degrees"),),
    "percent": ((1, "percent percentage_point percentage_points pct"),),
    "US dollars": ((1, "$ us$ usd dollar dollars us_dollars"), (0.01, "cent cents")),
    "euros": ((1, "€ eur euro euros"),),
    "pounds sterling": ((1, "£ gbp pounds_sterling"),),
    "yen": ((1, "¥ jpy yen 円"),),
    "rupees": ((1, "₹ inr rupee rupees rs"),),
}
UNITS: dict[str, Unit] = {
    name.replace("_", " "): Unit(measures, factor)
    for measures, rows in _TABLE.items()
    for factor, names in rows
    for name in names.split()
} | {
    "°c": Unit("temperature", 1.0, 273.15),
    "celsius": Unit("temperature", 1.0, 273.15),
    "degrees celsius": Unit("temperature", 1.0, 273.15),
    "°f": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "fahrenheit": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "degrees fahrenheit": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "kelvin": Unit("temperature", 1.0),
    "kelvins": Unit("temperature", 1.0),
    "pound": Unit("mass or money", 1.0),
    "pounds": Unit("mass or money", 1.0),
}
POUND = (UNITS["lb"], UNITS["£"])  # "pounds" weighs or pays, as the other side does


def common_unit(first: Unit | None, second: Unit | None) -> tuple[Unit | None, Unit | None]:
    """The two units with an ambiguous "pounds" read as the other one asks.

    Example:
        >>> [u.measures for u in common_unit(UNITS["pounds"], UNITS["kg"])]
        ['mass', 'mass']
    """
    if first == second:
        return first, second
    for pound in POUND:
        if first == UNITS["pound"] and second is not None and second.measures == pound.measures:
            first = pound
        if second == UNITS["pound"] and first is not None and first.measures == pound.measures:
            second = pound
    return first, second
