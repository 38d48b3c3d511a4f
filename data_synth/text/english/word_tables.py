"""Tables of English: what months, units, currencies, abbreviations, initialisms and symbols are called."""

from __future__ import annotations


def _words(listed: str) -> tuple[str, ...]:
    return tuple(listed.split())


MONTHS = _words("January February March April May June July August September October November December")
MONTH_NAMES = {
    **{name.lower(): name for name in MONTHS},
    **{name[:3].lower(): name for name in MONTHS},
    "sept": "September",
}

# unit -> (one, several); looked up as written, then in lower case
UNITS = {
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"),
    "mi": ("mile", "miles"),
    "ft": ("foot", "feet"),
    "yd": ("yard", "yards"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"),
    "cl": ("centiliter", "centiliters"),
    "tsp": ("teaspoon", "teaspoons"),
    "tbsp": ("tablespoon", "tablespoons"),
    "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kmh": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "kb": ("kilobyte", "kilobytes"),
    "mb": ("megabyte", "megabytes"),
    "gb": ("gigabyte", "gigabytes"),
    "tb": ("terabyte", "terabytes"),
    "Mb": ("megabit", "megabits"),
    "Gb": ("gigabit", "gigabits"),
    "mbps": ("megabit per second", "megabits per second"),
    "gbps": ("gigabit per second", "gigabits per second"),
    "hz": ("hertz", "hertz"),
    "khz": ("kilohertz", "kilohertz"),
    "mhz": ("megahertz", "megahertz"),
    "ghz": ("gigahertz", "gigahertz"),
    "kw": ("kilowatt", "kilowatts"),
    "mw": ("megawatt", "megawatts"),
    "kwh": ("kilowatt hour", "kilowatt hours"),
    "mah": ("milliamp hour", "milliamp hours"),
    "db": ("decibel", "decibels"),
    "cal": ("calorie", "calories"),
    "kcal": ("kilocalorie", "kilocalories"),
    "psi": ("pound per square inch", "pounds per square inch"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "bpm": ("beat per minute", "beats per minute"),
    "ms": ("millisecond", "milliseconds"),
    "sec": ("second", "seconds"),
    "secs": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"),
    "hr": ("hour", "hours"),
    "hrs": ("hour", "hours"),
    "sq ft": ("square foot", "square feet"),
    "sqft": ("square foot", "square feet"),
    "m²": ("square meter", "square meters"),
    "km²": ("square kilometer", "square kilometers"),
    "m³": ("cubic meter", "cubic meters"),
    "cm³": ("cubic centimeter", "cubic centimeters"),
    "°c": ("degree Celsius", "degrees Celsius"),
    "°f": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
}
# these are units only where they touch the number ("5m", not "5 m"), and only in this case
TOUCHING_UNITS = {
    "m": ("meter", "meters"),
    "g": ("gram", "grams"),
    "l": ("liter", "liters"),
    "L": ("liter", "liters"),
    "s": ("second", "seconds"),
    "h": ("hour", "hours"),
    "W": ("watt", "watts"),
    "V": ("volt", "volts"),
    "in": ("inch", "inches"),
    "M": ("million", "million"),
    "bn": ("billion", "billion"),
    "x": ("time", "times"),
}
PER = {"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "mo": "month", "yr": "year"}

# symbol or code -> (one, several, one hundredth, several hundredths)
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
}
DOLLARS = {"us": "US", "a": "Australian", "au": "Australian", "c": "Canadian", "ca": "Canadian", "nz": "New Zealand"}
CODES = {
    "usd": ("US dollar", "US dollars", "cent", "cents"),
    "cad": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "aud": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "eur": CURRENCIES["€"],
    "gbp": CURRENCIES["£"],
    "jpy": CURRENCIES["¥"],
    "inr": CURRENCIES["₹"],
    "chf": ("Swiss franc", "Swiss francs", "centime", "centimes"),
}
MAGNITUDES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "t": "trillion"}

# before a name: "Prof. Lee"; with a full stop, except those of TITLES
TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
BEFORE_NAMES = {
    "ms": "miz",
    "prof": "professor",
    "gen": "general",
    "col": "colonel",
    "capt": "captain",
    "lt": "lieutenant",
    "sgt": "sergeant",
    "rev": "reverend",
    "gov": "governor",
    "sen": "senator",
    "rep": "representative",
    "pres": "president",
    "mt": "mount",
    "ft": "fort",
    "st": "saint",
}
# after a name, or anywhere; their full stop may be the sentence's
ABBREVIATIONS = {
    "ave": "avenue",
    "blvd": "boulevard",
    "hwy": "highway",
    "dept": "department",
    "approx": "approximately",
    "vs": "versus",
    "etc": "et cetera",
    "inc": "incorporated",
    "ltd": "limited",
    "corp": "corporation",
    "bros": "brothers",
    "jr": "junior",
    "sr": "senior",
    "feb": "february",
    "aug": "august",
    "sept": "september",
    "oct": "october",
    "nov": "november",
}
STREETS = {"st": "street", "rd": "road", "dr": "drive", "ln": "lane"}  # after a capitalised word, at a clause's end
BEFORE_NUMBERS = {
    "no": "number",
    "nos": "numbers",
    "vol": "volume",
    "fig": "figure",
    "ch": "chapter",
    "sec": "section",
    "p": "page",
    "pp": "pages",
    "apt": "apartment",
}

# spelled letter by letter although they have a vowel; those without one are spelled anyway
INITIALISMS = frozenset(
    _words(
        "AA AAA ABC AC AI AM AMC AOL API ATM BA CEO CFO CIA CIO COO CPU CTO DIY DNA EKG ESPN ETA EU EV FAQ FBI GPA GPU "
        "HBO HIV IBM ID IO IP IPA IQ IRS ISP IT IV LA LAX MBA MIA MIT NBA NYU OCD PA POI PTA RNA ROI RV SEO SUV TBA "
        "UAE UCLA UFC UFO UI UK UN UPS URL US USA USB USC UX UV VIP VOA"
    )
)
NOT_SPELLED = frozenset(_words("HM HMM SH SHH PSST BRR GRR TSK PFFT NTH MR MRS MS DR ST JR SR VS MT FT LT SGT PT"))

TOP_DOMAINS = "com|org|net|edu|gov|io|ai|app|dev|info|uk|de|fr|nl|ca|au|eu|tv"  # no English word among them
ADDRESS_SYMBOLS = {
    ".": "dot",
    "@": "at",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    ":": "colon",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "%": "percent",
    "+": "plus",
    "~": "tilde",
}
SYMBOLS = {
    "&": "and",
    "@": "at",
    "%": "percent",
    "‰": "per mille",
    "+": "plus",
    "=": "equals",
    "×": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "≈": "about",
    "°": "degrees",
    "§": "section",
    "¢": "cents",
    "$": "dollars",
    "£": "pounds",
    "€": "euros",
    "¥": "yen",
    "₹": "rupees",
    "₩": "won",
    "₽": "rubles",
    "#": "hash",
}
MUTE = "©®™*^|~\\_•→←/"


def cased(model: str, word: str) -> str:
    """`word` with a capital where `model` has one, else in lower case."""
    return word.capitalize() if model[:1].isupper() else word.lower()
