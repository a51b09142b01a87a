"""The words behind the English rules: abbreviations, units, money, months, acronyms, symbols."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# (one, many, the hundredth part or None)
CURRENCIES: dict[str, tuple[str, str, str | None]] = {
    "$": ("dollar", "dollars", "cent"),
    "US$": ("US dollar", "US dollars", "cent"),
    "A$": ("Australian dollar", "Australian dollars", "cent"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent"),
    "€": ("euro", "euros", "cent"),
    "£": ("pound", "pounds", "penny"),
    "¥": ("yen", "yen", None),
    "₹": ("rupee", "rupees", "paisa"),
    "₿": ("bitcoin", "bitcoin", None),
    "USD": ("US dollar", "US dollars", "cent"),
    "EUR": ("euro", "euros", "cent"),
    "GBP": ("pound", "pounds", "penny"),
    "CHF": ("Swiss franc", "Swiss francs", None),
}

_MONTH_NAMES = _words(
    "January February March April May June July August September October November December"
)
MONTHS: dict[str, str] = {
    spelling: name
    for name in _MONTH_NAMES
    for spelling in (name.lower(), name[:3].lower(), name[:3].lower() + ".")
} | {"sept": "September", "sept.": "September"}

# (one, many); an upper-case letter matters: MB is not mb
UNITS: dict[str, tuple[str, str]] = {
    "km/h": ("kilometre per hour", "kilometres per hour"),
    "m/s": ("metre per second", "metres per second"),
    "mph": ("mile per hour", "miles per hour"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "km²": ("square kilometre", "square kilometres"),
    "m²": ("square metre", "square metres"),
    "km": ("kilometre", "kilometres"),
    "cm": ("centimetre", "centimetres"),
    "mm": ("millimetre", "millimetres"),
    "nm": ("nanometre", "nanometres"),
    "µm": ("micrometre", "micrometres"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "ml": ("millilitre", "millilitres"),
    "mL": ("millilitre", "millilitres"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
    "mi": ("mile", "miles"),
    "ms": ("millisecond", "milliseconds"),
    "ns": ("nanosecond", "nanoseconds"),
    "min": ("minute", "minutes"),
    "hrs": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"),
    "GW": ("gigawatt", "gigawatts"),
    "dB": ("decibel", "decibels"),
    "KB": ("kilobyte", "kilobytes"),
    "kB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"),
    "fps": ("frame per second", "frames per second"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
}

ABBREVIATIONS: dict[str, str] = {
    "Dr.": "Doctor",
    "Mr.": "Mister",
    "Mrs.": "Missus",
    "Ms.": "Miz",
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Prof.": "Professor",
    "Gov.": "Governor",
    "Gen.": "General",
    "Sen.": "Senator",
    "Rep.": "Representative",
    "Capt.": "Captain",
    "Lt.": "Lieutenant",
    "Sgt.": "Sergeant",
    "Rev.": "Reverend",
    "Hon.": "Honorable",
    "Jr.": "Junior",
    "Sr.": "Senior",
    "Ph.D.": "P.H.D.",
    "PhD": "P.H.D.",
    "M.D.": "M.D.",
    "Mt.": "Mount",
    "Ave.": "Avenue",
    "Blvd.": "Boulevard",
    "Inc.": "Incorporated",
    "Ltd.": "Limited",
    "Corp.": "Corporation",
    "Co.": "Company",
    "Bros.": "Brothers",
    "Dept.": "Department",
    "Univ.": "University",
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "et cetera",
    "vs.": "versus",
    "vs": "versus",
    "v.": "versus",
    "cf.": "compare",
    "et al.": "and others",
    "approx.": "approximately",
    "ca.": "around",
    "est.": "established",
    "a.k.a.": "also known as",
    "w/o": "without",
    "w/": "with",
    "b/c": "because",
    "n/a": "not applicable",
    "N/A": "not applicable",
    "FAQ": "F.A.Q.",
}

REGNAL_NAMES = _words(
    "Alexander Alfonso Benedict Catherine Charles Christian Clement Edward Elizabeth Francis "
    "Frederick George Gregory Gustav Haakon Harald Henry Innocent Ivan James John Juan Julius "
    "Leo Leopold Louis Mary Mehmed Napoleon Nicholas Otto Paul Peter Philip Pius Ramesses Richard "
    "Robert Rudolf Urban Victoria Wilhelm William"
)

# acronyms that people say as words
SPOKEN_ACRONYMS = frozenset(
    _words(
        "NASA NATO UNESCO UNICEF OPEC AIDS COVID SARS MERS LASER RADAR SONAR SCUBA SWAT FIFA UEFA "
        "IKEA LEGO FEMA OSHA NORAD DARPA RAM ROM BIOS CAPTCHA GIF JPEG JSON YAML TOML CRISPR YOLO "
        "FOMO POTUS SCOTUS FLOTUS NAFTA ASEAN OPEC INTERPOL PIN SIM BASIC COBOL FORTRAN LISP WASM "
        "CUDA NOAA HIPAA NIMBY EBITDA ASCII ISIS ETA LAMP MOOC DREAM SALT START "
    )
)

# ordinary words that are set in capitals for stress, and short ones that look like acronyms
SHOUTED_WORDS = frozenset(
    _words(
        "A I AM AN AND ARE AS AT BE BUT BY CAN DID DO FOR GET GO HAD HAS HE HER HIM HIS HOW IF IN "
        "IS ITS LET ME MY NEW NO NOR NOT NOW OF OFF OH ON ONE OR OUR OUT SAY SEE SHE SO THE TO "
        "TOO TRY TWO UP WAS WAY WE WHO WHY YES YET YOU ALL ANY ASK BIG DAY END FEW FUN GOD GOT "
        "HOT JOB MAN MAY MEN OLD OWN PUT RUN SAD SIX TEN TOP WAR WIN WON ZERO NEVER EVER ALWAYS "
        "VERY MUST WILL WANT THIS THAT WITH FROM HAVE BEEN WERE WHAT WHEN YOUR ONLY JUST STOP "
        "LOVE HATE MORE MOST MANY REALLY EVERY NOTHING SOMETHING EVERYTHING "
    )
)

SYMBOLS: dict[str, str] = {
    "&": "and",
    "@": "at",
    "+": "plus",
    "=": "equals",
    "×": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "≈": "about",
    "≤": "at most",
    "≥": "at least",
    "→": "to",
    "%": "percent",
    "§": "section",
    "°": "degrees",
    "№": "number",
    "#": "hash",
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
    "∞": "infinity",
    "π": "pi",
    "µ": "micro",
    "/": "slash",
}

# after a number of four digits: it counts something, and is no year
COUNTED = frozenset(
    _words(
        "people men women children feet miles kilometres kilometers metres meters dollars euros "
        "pounds words units copies horsepower calories of "
    )
)
NOT_COUNTED = frozenset(
    _words(
        "was is as has this its his elections olympics thus always perhaps across less yes does "
        "towards besides unless whereas us plus versus "
    )
)
