"""Quantities in other units, computed exactly and shown to four decimals. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

from .arithmetic import THOUSANDS, written

# Cups, pints and gallons are those of the United States.
_UNITS: dict[str, tuple[str, Fraction]] = {
    name: (kind, Fraction(factor))
    for kind, table in {
        "length": {
            "mm millimeter millimetre": "0.001",
            "cm centimeter centimetre": "0.01",
            "m meter metre": "1",
            "km kilometer kilometre": "1000",
            "inch inche": "0.0254",
            "ft foot feet": "0.3048",
            "yd yard": "0.9144",
            "mi mile": "1609.344",
        },
        "mass": {
            "g gram gramme": "0.001",
            "kg kilo kilogram kilogramme": "1",
            "t tonne": "1000",
            "oz ounce": "0.028349523125",
            "lb pound": "0.45359237",
            "stone": "6.35029318",
        },
        "volume": {
            "ml milliliter millilitre": "0.001",
            "l liter litre": "1",
            "cup": "0.2365882365",
            "pint": "0.473176473",
            "gallon": "3.785411784",
        },
        "time": {
            "second sec": "1",
            "minute min": "60",
            "hour": "3600",
            "day": "86400",
            "week": "604800",
        },
        "data": {
            "byte": "1",
            "kb kilobyte": "1000",
            "mb megabyte": "1000000",
            "gb gigabyte": "1000000000",
            "tb terabyte": "1000000000000",
        },
        "temperature": {"c celsius": "1", "f fahrenheit": "1", "k kelvin": "1"},
    }.items()
    for names, factor in table.items()
    for name in names.split()
}
_QUANTITY = r"(-?\d+(?:[.,]\d+)?|an?|one)\s*(?:°|degrees?\s+)?\s*([a-z]+)"
_FORWARD = re.compile(_QUANTITY + r"\s+(?:in|to|into|as|equals? how many)\s+(?:°|degrees?\s+)?([a-z]+)")
_BACKWARD = re.compile(r"how many\s+([a-z]+)\s+(?:are\s+|is\s+)?(?:there\s+)?(?:in|make)\s+" + _QUANTITY)


def answer_conversion(question: str) -> tuple[str, ...]:
    """Wordings of a quantity in another unit; empty when the question asks for none."""
    text = THOUSANDS.sub("", question.casefold())
    if found := _BACKWARD.search(text):
        to, amount, unit = found.groups()
    elif found := _FORWARD.search(text):
        amount, unit, to = found.groups()
    else:
        return ()
    source, target = _unit(unit), _unit(to)
    if source is None or target is None or source[0] != target[0]:
        return ()
    value = Fraction(1) if amount in ("a", "an", "one") else Fraction(amount.replace(",", "."))
    if source[0] == "temperature":
        converted = _from_kelvin(_to_kelvin(value, unit[0]), to[0])
    else:
        converted = value * source[1] / target[1]
    shown, sign = written(round(converted, 4))
    word = "is" if sign == "=" and round(converted, 4) == converted else "is about"
    given = written(value)[0]
    return (
        f"{given} {unit} {word} {shown} {to}.",
        f"That {word} {shown} {to}.",
        f"Converted to {to}, {given} {unit} {word} {shown}.",
    )


def _unit(name: str) -> tuple[str, Fraction] | None:
    return _UNITS.get(name) or _UNITS.get(name.removesuffix("s"))


def _to_kelvin(value: Fraction, scale: str) -> Fraction:
    if scale == "c":
        return value + Fraction("273.15")
    return (value + Fraction("459.67")) * Fraction(5, 9) if scale == "f" else value


def _from_kelvin(value: Fraction, scale: str) -> Fraction:
    if scale == "c":
        return value - Fraction("273.15")
    return value * Fraction(9, 5) - Fraction("459.67") if scale == "f" else value
