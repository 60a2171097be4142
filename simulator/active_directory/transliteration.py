"""Names in other scripts as people of their countries spell them in Latin letters, roughly: what an account is called.

Simple tables of the kind that passports use; a script without one (Han, Hangul, Thai) gives nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CYRILLIC = """
а a б b в v г g д d е e ё e ж zh з z и i й y к k л l м m н n о o п p р r с s т t у u ф f х kh ц ts ч ch ш sh щ shch
ъ - ы y ь - э e ю yu я ya і i ї i є ie ґ g
"""
_GREEK = "α a β v γ g δ d ε e ζ z η i θ th ι i κ k λ l μ m ν n ξ x ο o π p ρ r σ s ς s τ t υ y φ f χ ch ψ ps ω o"
_HEBREW = """
א a ב b ג g ד d ה h ו v ז z ח ch ט t י y ך k כ k ל l ם m מ m ן n נ n ס s ע a ף f פ p ץ ts צ ts ק k ר r ש sh ת t
"""
_ARABIC = """
ء - آ a أ a ؤ w إ i ئ y ا a ب b ة a ت t ث th ج j ح h خ kh د d ذ dh ر r ز z س s ش sh ص s ض d ط t ظ z ع a غ gh ف f ق q
ك k ل l م m ن n ه h و w ى a ي y پ p چ ch ژ zh ک k گ g ی y
"""
_LATIN = "ß ss æ ae ø o œ oe ł l đ d ð d þ th ı i"
_HINDI_CONSONANTS = """
क k ख kh ग g घ gh ङ n च ch छ chh ज j झ jh ञ n ट t ठ th ड d ढ dh ण n त t थ th द d ध dh न n प p फ ph ब b भ bh म m य y
र r ल l व v श sh ष sh स s ह h
"""
_HINDI_VOWELS = "अ a आ a इ i ई i उ u ऊ u ऋ ri ए e ऐ ai ओ o औ au ं n ँ n"
_HINDI_SIGNS = "ा a ि i ी i ु u ू u ृ ri े e ै ai ो o ौ au ् -"


def _table(*texts: str) -> dict[str, str]:
    """Letters and what they are spelled as, by turns; "-" is nothing."""
    found: dict[str, str] = {}
    for text in texts:
        words = text.split()
        found |= {
            letter: "" if spelled == "-" else spelled for letter, spelled in zip(words[::2], words[1::2], strict=True)
        }
    return found


_LETTERS = str.maketrans(_table(_CYRILLIC, _GREEK, _HEBREW, _ARABIC, _LATIN))
_CONSONANTS, _VOWELS, _SIGNS = _table(_HINDI_CONSONANTS), _table(_HINDI_VOWELS), _table(_HINDI_SIGNS)
_NO_LETTER = re.compile("[^a-z]")


@lru_cache(maxsize=65536)
def latin(text: str) -> str:
    """The letters a to z of a name, in lower case; empty if nothing of it can be written in them."""
    folded = unicodedata.normalize("NFC", text).lower()
    if any("ऀ" <= letter <= "ॿ" for letter in folded):
        return _hindi(folded)
    written = folded.translate(_LETTERS)
    if not written.isascii():  # accents, of which some make a letter of their own and others do not
        written = unicodedata.normalize("NFKD", written).lower().translate(_LETTERS)
    return _NO_LETTER.sub("", written)


def _hindi(text: str) -> str:
    """Consonants carry an "a" unless a sign follows that says otherwise; at the end it is not spoken."""
    parts = []
    for at, letter in enumerate(text):
        after = text[at + 1 : at + 2]
        if letter in _CONSONANTS:
            silent = not after.strip() or after in _SIGNS
            parts.append(_CONSONANTS[letter] + ("" if silent else "a"))
        else:
            parts.append(_SIGNS.get(letter, _VOWELS.get(letter, "")))
    return "".join(parts)
