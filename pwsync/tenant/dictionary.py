"""The static dictionary of [MC-NBFS]: 487 strings that binary SOAP refers to by even numbers.

``dictionary.txt`` beside this module holds them one a line, in order: line n (from 0) has the number 2n. The table
agrees with the one in the Python package wcf 0.5.5 and with .NET's own, but for number 424: .NET's string begins with a
blank, which wcf lacks, and .NET is what the service runs on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

STRINGS: Final = tuple(Path(__file__).with_name("dictionary.txt").read_text("utf-8").removesuffix("\n").split("\n"))
"""The strings; the one numbered n is ``STRINGS[n // 2]``."""

NUMBERS: Final = {text: 2 * index for index, text in enumerate(STRINGS)}
"""The number of each string."""
