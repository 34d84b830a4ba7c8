"""Numbers, counts, lists of names, and names of files as text: one way each."""

import math
import re
from collections.abc import Iterable, Sequence

MISSING = "–"
#: Signs that Markdown reads as more than themselves, where it does.
_SIGNS = re.compile(
    r"[\\`*\[\]$~<]"  # code, emphasis, links, images, mathematics, tags
    r"|(?<!\w)_|_(?!\w)"  # emphasis; within a word it is none
    r"|&(?=#?\w+;)"  # entities
    r"|^[-+#>]|(?<=^\d)[.)]"  # blocks
)


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """A value in significant digits, with every digit before the point; below a thousandth with an exponent.

    Parameters
    ----------
    value : a dash stands for None and for what is not finite.
    digits : significant digits at least.
    sign : "+" to write the sign of a positive value too.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if not value:
        return "0"
    if 0 < abs(value) < 1e-3:
        return scientific(value, digits, sign)
    # Rounded first: 999.6 has four digits before the point when three are kept.
    whole = abs(float(f"{value:.{digits}g}")) >= 10 ** (digits - 1)
    return f"{value:{sign},.0f}" if whole else f"{value:{sign}.{digits}g}"


def scientific(value: float, digits: int = 3, sign: str = "") -> str:
    """A value with an exponent, as log axes write it: 3.10e-3."""
    mantissa, exponent = f"{value:{sign}.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def numbers(values: Sequence[float], sign: str = "") -> list[str]:
    """An estimate and the ends of its interval, all with the same decimals: 10.10, 9.85, 10.35.

    Half the interval's width has two digits: more say nothing. An estimate alone has three.

    Parameters
    ----------
    values : finite, the estimate first; it may be alone.
    sign : "+" to write the sign of positive values too.
    """
    half = (max(values) - min(values)) / 2
    finest = 1 - _exponent(half) if half else 2 - _exponent(values[0])
    decimals = max(finest, 0) if any(values) else 0
    return interval_ends(values, decimals, sign)


def interval_ends(ends: Sequence[float], decimals: int, sign: str = "") -> list[str]:
    """The ends of an interval, or all its numbers, with so many decimals; of one that excludes 0 none reads 0: -143, -0.02."""
    is_off_zero = min(ends, default=0.0) > 0 or max(ends, default=0.0) < 0
    return [
        fixed(
            end, max(decimals, -_exponent(end)) if is_off_zero and abs(end) < 0.5 * 10.0**-decimals else decimals, sign
        )
        for end in ends
    ]


def interval_decimals(low: float, high: float, units: int = 2) -> int:
    """The decimals at which half an interval's width is at least so many units of the last digit."""
    return max(0, -_exponent((high - low) / 2 / units)) if high > low else 0


def fixed(value: float, decimals: int, sign: str = "") -> str:
    """A value with so many decimals, and what they round to 0 without a sign: -5, +10, 0.

    Beyond four decimals what is below a thousandth has an exponent, and as many digits as the decimals allow.
    """
    if decimals > 4 and abs(value) < 1e-3:
        is_zero = abs(value) < 0.5 * 10.0**-decimals
        return "0" if is_zero else scientific(value, max(_exponent(value) + decimals + 1, 1), sign)
    text = f"{value:{sign}z,.{decimals}f}"
    return text if float(text.replace(",", "")) else text.lstrip("+")


def extent(low: str, high: str) -> str:
    """Two numbers as a range: 26-29, or one of them where they read the same."""
    return low if low == high else f"{low}-{high}"


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1])


def percent(share: float, digits: int = 3, sign: str = "") -> str:
    """A share as a percentage: .125 is 12.5%."""
    return f"{number(100 * share, digits, sign)}%"


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 run, 2 runs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def is_or_are(count: int) -> str:
    """The verb of a count: 1 run is, 2 runs are."""
    return "is" if count == 1 else "are"


def listing(names: Iterable[str], last: str = "and") -> str:
    """Names in a sentence: A, B and C."""
    *first, final = [*names] or [""]
    return f"{', '.join(first)} {last} {final}" if first else final


def leading_names(names: Sequence[str], most: int) -> list[str]:
    """The first of some names, `most` of them, and how many more there are: A, B, 3 more."""
    return [*names[:most], f"{len(names) - most:,} more"] if len(names) > most else [*names]


def number_order(text: str) -> tuple[float, str]:
    """What names such as seeds are sorted by: numbers by their size, before every other text."""
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else math.inf, text


def slug(text: str, keep: str = "") -> str:
    """A text as a name in charts and of figures: each but letters, digits and the characters of `keep` is `_`."""
    return re.sub(rf"[^\w{re.escape(keep)}]", "_", text)


def file_name(text: str) -> str:
    """A text as a name of files on any system: ASCII letters and digits, `.`, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def one_line(text: str, length: int = 200) -> str:
    """Somebody else's text as one line of at most so many signs: what is no space and cannot be printed is replaced."""
    plain = "".join(" " if sign.isspace() else sign if sign.isprintable() else "\ufffd" for sign in text)
    return plain if len(plain) <= length else f"{plain[: length // 2]}…{plain[-length // 4 :]}"


def markdown_text(text: str) -> str:
    """A line of somebody else's text as Markdown that shows it as it is.

    As few signs as possible are escaped: a screen reader says the backslashes of a control's label.
    """
    return _SIGNS.sub(r"\\\g<0>", text)
