"""Money, measures and fractions in English words: what the patterns of `english.py` find, as it is spoken."""

from __future__ import annotations

from re import Match

from data_synth.text.english import numbers as numbers
from data_synth.text.english.word_tables import CODES, CURRENCIES, DOLLARS, MAGNITUDES, PER, TOUCHING_UNITS, UNITS


def money(found: Match[str]) -> str:
    """$5, US$5.20, £3 million."""
    country, symbol, amount, magnitude = found[1], found[2], found[3], found[4]
    one, several, cent, cents = CURRENCIES[symbol]
    if country:
        one, several = (f"{DOLLARS[country.lower()]} {word}" for word in (one, several))
    return in_units(amount, magnitude, one, several, cent, cents)


def money_after(found: Match[str]) -> str:
    """5€, 5.20 EUR."""
    unit = CURRENCIES.get(found[3]) or CODES[found[3].lower()]
    return in_units(found[1], found[2], *unit)


def money_code(found: Match[str]) -> str:
    """EUR 5."""
    return in_units(found[2], found[3], *CODES[found[1].lower()])


def in_units(amount: str, magnitude: str | None, one: str, several: str, cent: str, cents: str) -> str:
    """An amount in units and hundredths, or in millions of units."""
    if magnitude:
        word = MAGNITUDES.get(magnitude.lower(), magnitude.lower())
        return f"{numbers.decimal(amount)} {word} {several}"
    whole, _, part = amount.partition(".")
    number = int(whole.replace(",", "") or 0)
    if len(part) != 2 or (not cent and part != "00"):
        return f"{count(amount)} {one if amount == '1' else several}"
    hundredths = int(part)
    minor = f"{numbers.cardinal(hundredths)} {cent if hundredths == 1 else cents}" if hundredths else ""
    major = f"{count(whole or '0')} {one if number == 1 else several}" if number or not minor else ""
    return " and ".join(words for words in (major, minor) if words)


def count(amount: str) -> str:
    """A number that is of something: never read as a year or digit by digit."""
    plain = amount.replace(",", "")
    if "." in plain or len(plain) > 30:
        return numbers.decimal(amount)
    return numbers.cardinal(int(plain))


def measure(found: Match[str]) -> str:
    """5 kg, 5-km, 20°C; left as it is where the unit is unknown."""
    amount, gap, unit = found[1], found[2], found[3]
    names = None
    if not gap:
        names = TOUCHING_UNITS.get(unit)
    names = names or UNITS.get(unit) or UNITS.get(unit.lower())
    if names is None:
        return found[0]
    return f"{count(amount)} {names[0] if amount == '1' or gap == '-' else names[1]}"


def per(found: Match[str]) -> str:
    """dollars/h."""
    unit = found[2].lower()
    return f"{found[1]} per {PER.get(unit) or UNITS.get(unit, (found[2],))[0]}"


def fraction(found: Match[str]) -> str:
    """3/4, 1 1/2, 24/7."""
    whole, over, under = found[1], int(found[2]), int(found[3])
    if not whole and ((over, under) in ((24, 7), (9, 11)) or over == under):
        return f"{numbers.cardinal(over)} {numbers.cardinal(under)}"
    said = numbers.fraction(over, under)
    if not whole:
        return said
    return f"{numbers.integer(whole)} and {'a' + said.removeprefix('one') if over == 1 else said}"
