"""English numbers as words: cardinals, ordinals, years, decimals, digits; American, without hyphens and "and"."""

from __future__ import annotations


def _words(listed: str) -> tuple[str, ...]:
    return tuple(listed.split())


SMALL = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
TENS = _words("_ _ twenty thirty forty fifty sixty seventy eighty ninety")
SCALES = (
    "",
    *_words(
        "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion"
    ),
)
ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LONGEST_CARDINAL = 9  # digits without commas: a longer run is an identifier and is read digit by digit
YEARS_IN_PAIRS = ((1100, 1999), (2010, 2099))  # a bare number of four digits in these is read as a year is


def cardinal(number: int) -> str:
    """42 -> "forty two". From 10**36 on, and below 0, there are no words here: ValueError."""
    if not 0 <= number < 1000 ** len(SCALES):
        raise ValueError(f"no words for {number}")
    if number < 1000:
        return _below_thousand(number)
    groups = []
    for scale in SCALES:
        number, group = divmod(number, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {scale}".strip())
    return " ".join(reversed(groups))


def ordinal(number: int) -> str:
    """42 -> "forty second"."""
    head, _, last = cardinal(number).rpartition(" ")
    if last not in ORDINALS:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return f"{head} {ORDINALS.get(last, last)}".strip()


def year(number: int) -> str:
    """1995 -> "nineteen ninety five", 1905 -> "nineteen oh five", 1900 -> "nineteen hundred", 2005 as a number."""
    century, rest = divmod(number, 100)
    if not 1000 <= number <= 9999 or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {two_digits(rest)}"


def two_digits(number: int) -> str:
    """5 -> "oh five", 45 -> "forty five": minutes, and the second half of a year."""
    return f"oh {SMALL[number]}" if number < 10 else cardinal(number)


def digits(run: str) -> str:
    """ "007" -> "zero zero seven"."""
    return " ".join(SMALL[int(digit)] for digit in run)


def integer(run: str) -> str:
    """A run of digits, perhaps with commas between thousands, as it is mostly read."""
    plain = run.replace(",", "")
    if (len(plain) > 1 and plain[0] == "0") or (plain == run and len(run) > LONGEST_CARDINAL):
        return digits(plain)
    if len(plain) > 3 * len(SCALES):
        return digits(plain)
    number = int(plain)
    if plain == run and any(low <= number <= high for low, high in YEARS_IN_PAIRS):
        return year(number)
    return cardinal(number)


def decimal(run: str) -> str:
    """ "1,200.50" -> "one thousand two hundred point five zero", ".5" -> "point five"; no point: `integer`."""
    whole, point, fraction = run.partition(".")
    if not point:
        return integer(run)
    head = "" if not whole else "zero" if not whole.strip("0,") else _plainly(whole)
    return f"{head} point {digits(fraction)}".strip()


def code(run: str) -> str:
    """The digits of a name such as A380: "three eighty"; of other lengths as `integer`."""
    if len(run) == 3 and run[0] != "0" and run[1:] != "00":
        return f"{SMALL[int(run[0])]} {two_digits(int(run[1:]))}"
    return integer(run)


def fraction(over: int, under: int) -> str:
    """2, 3 -> "two thirds"; what is not a proper fraction is read "ten over three"."""
    if under < 2 or over == 0 or over >= under or under > 100:
        return f"{cardinal(over)} over {cardinal(under)}"
    part = {2: "half", 4: "quarter"}.get(under) or ordinal(under)
    many = "halves" if under == 2 else f"{part}s"
    return f"{cardinal(over)} {part if over == 1 else many}"


def _plainly(run: str) -> str:
    plain = run.replace(",", "")
    return cardinal(int(plain)) if len(plain) <= 3 * len(SCALES) else digits(plain)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{SMALL[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        words.append(TENS[rest // 10] + (f" {SMALL[rest % 10]}" if rest % 10 else ""))
    elif rest or not hundreds:
        words.append(SMALL[rest])
    return " ".join(words)
