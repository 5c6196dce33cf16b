"""Characters that change a text without being seen, and letters that are taken for others. Pure.

Bidirectional controls let code read differently from what a compiler sees (Trojan Source, CVE-2021-42574); tag
characters, variation selectors and zero-width ones hide instructions from people and not from models.
"""

import re

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
ZERO_WIDTH = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f"
    "\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
JOINERS = "\u200c\u200d"  # many scripts are written with them, and symbols put together
# The selector of colourful symbols, where there is none before it.
STRAY_SELECTOR = "(?<![\u203c-\u3299\U0001f000-\U0001faff0-9#*])\ufe0f"

UNSEEN = re.compile(f"[{BIDIRECTIONAL}{ZERO_WIDTH}{JOINERS}\ufe0f]")

_CYRILLIC_AND_GREEK = "АВЕЅІЈКМНОРСТУХаеорсухіјѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"
_LATIN = "ABESIJKMHOPCTYXaeopcyxijshdqwABEZHIKMNOPTYXo"
AS_LATIN = str.maketrans(_CYRILLIC_AND_GREEK, _LATIN)
