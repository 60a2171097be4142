"""The list of banned passwords: what is too close to one of them is refused.

Source: the product's page on password protection. A password is read in one case and without look-alike characters;
then it is refused if it is a banned one but for a single character, if it holds the name of the user or of the company,
or if its score is too low: a point for each banned word in it, and one for each character that is left over.
"""

from __future__ import annotations

from collections.abc import Collection

GLOBAL = ("password", "passwort", "qwerty", "letmein", "iloveyou", "abcdef", "123456")
"""The product's global list is secret. These stand in for it, so that the rule itself can be tried."""

SCORE_MIN = 5
NAME_LENGTH_MIN = 4
"""Shorter names are not looked for."""

_LOOK_ALIKES = str.maketrans("0$@1", "osal")


def why_banned(password: str, words: Collection[str] = (), names: Collection[str] = ()) -> str | None:
    """Why a password is too close to a banned one, for people; None if it is not.

    words: the company's own list, beside the global one. names: of the user and of the company.
    """
    plain, text = password.lower(), normalize(password)
    for name in names:
        if len(name) >= NAME_LENGTH_MIN and normalize(name) in text:
            return "it holds a name of the user or of the company"
    banned = {form for word in (*GLOBAL, *words) for form in (word.lower(), normalize(word)) if form}
    if any(_is_near(text, word) or _is_near(plain, word) for word in banned):
        return "it is a banned password but for one character"
    points = score(password, words)
    return None if points >= SCORE_MIN else f"it has {points} points of {SCORE_MIN}: it is mostly a banned password"


def normalize(password: str) -> str:
    """In one case, and with letters in place of the characters that look like them."""
    return password.lower().translate(_LOOK_ALIKES)


def score(password: str, words: Collection[str] = ()) -> int:
    """The fewest points in which a password can be read: one for a banned word, one for any other character."""
    plain, text = password.lower(), normalize(password)
    forms = [(word.lower(), normalize(word)) for word in (*GLOBAL, *words) if word]
    points = [0]
    for end in range(1, len(text) + 1):
        best = points[end - 1] + 1
        for word, letters in forms:
            start = end - len(word)
            if start >= 0 and (text[start:end] == letters or plain[start:end] == word):
                best = min(best, points[start] + 1)
        points.append(best)
    return points[-1]


def _is_near(text: str, word: str) -> bool:
    """Whether one change, one more or one less character makes the word of the text."""
    if abs(len(text) - len(word)) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(text, word, strict=False)) if a != b), min(len(text), len(word)))
    rest, other = text[same:], word[same:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:]
