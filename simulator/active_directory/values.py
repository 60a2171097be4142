"""Attribute values between the directory's own types and the wire's octets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from simulator.active_directory import schema
from simulator.active_directory.names import InvalidName, parse_dn
from simulator.active_directory.schema import Attribute, Scalar, Value


class InvalidValue(ValueError):
    """A value that the attribute's syntax does not allow; ``code`` is the LDAP result (21, 34, 19 or 20)."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


INVALID_SYNTAX, INVALID_NAME, CONSTRAINT = 21, 34, 19


def read(attribute: Attribute, octets: bytes) -> Scalar:
    """One value as the directory keeps it. Raises InvalidValue."""
    if attribute.syntax == schema.OCTETS:
        _check_some(attribute, octets)
        return octets
    if attribute.syntax == schema.BOOLEAN and octets not in (b"TRUE", b"FALSE"):
        raise InvalidValue(INVALID_SYNTAX, f"{attribute.name}: neither TRUE nor FALSE")  # in capitals: RFC 4517 3.3.3
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise InvalidValue(INVALID_SYNTAX, f"{attribute.name}: not UTF-8") from None
    return read_text(attribute, text)


def read_text(attribute: Attribute, text: str) -> Scalar:
    """The same for a value that is already text."""
    syntax = attribute.syntax
    if syntax == schema.TEXT or syntax == schema.OID:
        _check_some(attribute, text)
        if attribute.most and len(text) > attribute.most:
            raise InvalidValue(CONSTRAINT, f"{attribute.name}: longer than {attribute.most} characters")
        return text
    if syntax in (schema.INTEGER, schema.LARGE):
        return _number(attribute, text)
    if syntax == schema.BOOLEAN:
        if text.upper() not in ("TRUE", "FALSE"):
            raise InvalidValue(INVALID_SYNTAX, f"{attribute.name}: neither TRUE nor FALSE")
        return text.upper() == "TRUE"
    if syntax == schema.NAME:
        try:
            parse_dn(text)
        except InvalidName as problem:
            raise InvalidValue(INVALID_NAME, f"{attribute.name}: {problem}") from None
        return text
    if syntax == schema.OCTETS:
        _check_some(attribute, text)
        return text.encode()
    return text


def _check_some(attribute: Attribute, value: str | bytes) -> None:
    if not value:
        raise InvalidValue(INVALID_SYNTAX, f"{attribute.name}: an empty value")


def _number(attribute: Attribute, text: str) -> int:
    bits = 32 if attribute.syntax == schema.INTEGER else 64
    digits = text[1:] if text.startswith("-") else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 20:
        raise InvalidValue(INVALID_SYNTAX, f"{attribute.name}: not a number")
    number = int(text)
    if bits == 32 and 1 << 31 <= number < 1 << 32:
        number -= 1 << 32  # AD takes unsigned 32-bit numbers and keeps them signed
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise InvalidValue(INVALID_SYNTAX, f"{attribute.name}: out of range")
    return number


def pack(values: Sequence[Scalar]) -> Value | None:
    """Values as one: None for none, a single one bare, more as a tuple."""
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def octets(value: Scalar) -> bytes:
    """One value as it crosses the wire."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if value is True or value is False:
        return b"TRUE" if value else b"FALSE"
    return b"%d" % value


def all_octets(value: Value) -> list[bytes]:
    """All of an attribute's values as they cross the wire."""
    if type(value) is str:
        return [value.encode("utf-8", "surrogatepass")]
    if type(value) is tuple:
        return list(_several(value))
    return [octets(value)]  # type: ignore[arg-type] # a tuple was handled above


@lru_cache(maxsize=1024)
def _several(value: tuple[Scalar, ...]) -> tuple[bytes, ...]:
    """Remembered, because every object of a class repeats its objectClass."""
    return tuple(octets(each) for each in value)


def matching_form(attribute: Attribute, value: Scalar) -> Scalar:
    """What makes two values of an attribute equal: texts and names ignore case."""
    if isinstance(value, str):
        if attribute.syntax == schema.NAME:
            return normal_dn(value)
        return value.casefold()
    return value


def normal_dn(text: str) -> str:
    """A DN's form for comparison; what is no DN is compared as text."""
    try:
        return ",".join(f"{kind.lower()}={value.casefold()}" for kind, value in parse_dn(text))
    except InvalidName:
        return text.casefold()
