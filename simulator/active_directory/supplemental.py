"""supplementalCredentials: Kerberos keys and digest hashes of a password ([MS-SAMR] 2.2.10, 3.1.1.8.11).

The value is long, and its keys cost thousands of rounds of PBKDF2, so it is made when it is read. What an entry keeps
instead is what it is made from, in a form of this module's own: the last three passwords, each with the names that
salted it. A rename changes nothing of it until the next password is set. The form never leaves the directory; the value
leaves it by replication alone, encrypted.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry

AES256, AES128, DES_MD5, DES_CRC = 18, 17, 3, 1
"""Encryption types ([RFC3961] 8)."""
ITERATIONS = 4096
NO_PACKAGES = b"-"
"""What an entry keeps instead whose password nobody knows: its value has no properties at all."""

PASSWORDS_KEPT = 3
"""The current password's keys, the old ones and the older ones."""

_DK_CONSTANT = bytes.fromhex("6b65726265726f737b9b5b2b93132b93")  # "kerberos" folded to 128 bits ([RFC3961] 5.1)
_ODD_PARITY = bytes((bits << 1) | (bits.bit_count() % 2 == 0) for bits in range(128))
_WEAK = bytes.fromhex(
    "0101010101010101fefefefefefefefee0e0e0e0f1f1f1f11f1f1f1f0e0e0e0e011f011f010e010e1f011f010e010e01"
    "01e001e001f101f1e001e001f101f10101fe01fe01fe01fefe01fe01fe01fe011fe01fe00ef10ef1e01fe01ff10ef10e"
    "1ffe1ffe0efe0efefe1ffe1ffe0efe0ee0fee0fef1fef1fefee0fee0fef1fef1"
)
_WEAK_KEYS = frozenset(_WEAK[at : at + 8] for at in range(0, len(_WEAK), 8))


class Domain(NamedTuple):
    """What a domain adds to salts and digests: DNS name and NetBIOS name."""

    dns: str
    netbios: str


class Kept(NamedTuple):
    """A password as it was set: with the account's names of then. upn is empty where it was ``name@domain``."""

    name: str
    upn: str
    password: str
    computer: bool = False


# --- what an entry keeps ---------------------------------------------------------------------------------------------


def keep(password: str, name: str, upn: str, domain: str, *, computer: bool = False, before: bytes = b"") -> bytes:
    """What an entry keeps after a password was set.

    name, upn: the account's then. domain: its DNS name. before: what it kept until now; the newest two of it stay.
    """
    implied = not upn or upn == f"{name}@{domain}"
    newest = _packed(name, "" if implied else upn, password, computer)
    return newest if not before else newest + b"".join(_packed(*each) for each in kept(before)[: PASSWORDS_KEPT - 1])


def after(entry: Entry, password: str, domain: str) -> bytes:
    """What an account keeps after its password was set to ``password``; ``domain``: the DNS name."""
    name, upn = entry.text("samaccountname"), entry.text("userprincipalname")
    before = entry.octets("supplementalcredentials")
    return keep(password, name, upn, domain, computer=entry.kind.name == "computer", before=before)


def kept(stored: bytes) -> list[Kept]:
    """What an entry keeps, the newest password first."""
    if stored == NO_PACKAGES:
        return []
    text, found, at = stored.decode("utf-8", "surrogatepass"), [], 0
    while at < len(text):
        head = text.index(";", at)
        name, upn, password, computer = map(int, text[at:head].split(","))
        first, second = head + 1 + name, head + 1 + name + upn
        at = second + password
        found.append(Kept(text[head + 1 : first], text[first:second], text[second:at], bool(computer)))
    return found


def _packed(name: str, upn: str, password: str, computer: bool) -> bytes:
    """One password: lengths, then texts. Short and made at once, because every user has one."""
    text = f"{len(name)},{len(upn)},{len(password)},{computer:d};{name}{upn}{password}"
    return text.encode("utf-8", "surrogatepass")


# --- the value -------------------------------------------------------------------------------------------------------


def value(stored: bytes, domain: Domain) -> bytes:
    """The attribute's value, USER_PROPERTIES ([MS-SAMR] 2.2.10.1); empty where nothing is kept."""
    passwords = kept(stored)
    if not passwords:
        return _user_properties(()) if stored else b""
    keys = [kerberos_keys(each.password, salt_of(each, domain)) for each in passwords]
    salt = salt_of(passwords[0], domain).encode("utf-16-le", "surrogatepass")
    packages = "\0".join(("Kerberos-Newer-Keys", "Kerberos", "WDigest")).encode("utf-16-le")
    properties = (
        _property("Primary:Kerberos-Newer-Keys", 1, _newer_keys(keys, salt)),
        _property("Primary:Kerberos", 1, _des_keys(keys, salt)),
        _property("Packages", 2, packages),
        _property("Primary:WDigest", 1, wdigest(passwords[0], domain)),
    )
    return _user_properties(properties)


def _user_properties(properties: Sequence[bytes]) -> bytes:
    """Where there are none, their number is left out, too."""
    body = " ".encode("utf-16-le") * 48 + struct.pack("<H", 0x50)
    if properties:
        body += struct.pack("<H", len(properties)) + b"".join(properties)
    return struct.pack("<IIHH", 0, len(body), 0, 0) + body + b"\0"


def salt_of(each: Kept, domain: Domain) -> str:
    """The salt of an account's Kerberos keys ([MS-KILE] 3.1.1.2)."""
    realm = domain.dns.upper()
    if each.computer:
        return f"{realm}host{each.name.lower().removesuffix('$')}.{domain.dns.lower()}"
    return realm + each.name


def _property(name: str, reserved: int, octets: bytes) -> bytes:
    """USER_PROPERTY (2.2.10.2); its value travels as hexadecimal digits. reserved: as products fill it."""
    title, text = name.encode("utf-16-le"), octets.hex().upper().encode()
    return struct.pack("<HHH", len(title), len(text), reserved) + title + text


def _newer_keys(passwords: Sequence[dict[int, bytes]], salt: bytes) -> bytes:
    """KERB_STORED_CREDENTIAL_NEW (2.2.10.6): all keys of the current, the old and the older password."""
    counts = [len(keys) for keys in passwords] + [0, 0]
    entries = [item for keys in passwords for item in keys.items()]
    offset = 24 + 24 * len(entries)
    head = struct.pack(
        "<HHHHHHHHII", 4, 0, counts[0], 0, counts[1], counts[2], len(salt), len(salt), offset, ITERATIONS
    )
    offset += len(salt)
    for kind, key in entries:
        head += struct.pack("<HHIIIII", 0, 0, 0, ITERATIONS, kind, len(key), offset)
        offset += len(key)
    return head + salt + b"".join(key for _, key in entries)


def _des_keys(passwords: Sequence[dict[int, bytes]], salt: bytes) -> bytes:
    """KERB_STORED_CREDENTIAL (2.2.10.4): the DES keys of the current and the old password.

    An empty key entry ends the list, as other implementations write it; the specification does not name it.
    """
    sets = [[(kind, keys[kind]) for kind in (DES_MD5, DES_CRC)] for keys in passwords[:2]]
    entries = [item for each in sets for item in each]
    offset = 16 + 20 * (len(entries) + 1)
    head = struct.pack("<HHHHHHI", 3, 0, 2, len(entries) - 2, len(salt), len(salt), offset)
    offset += len(salt)
    for kind, key in entries:
        head += struct.pack("<HHIIII", 0, 0, 0, kind, len(key), offset)
        offset += len(key)
    return head + bytes(20) + salt + b"".join(key for _, key in entries)


# --- digests ---------------------------------------------------------------------------------------------------------


def wdigest(each: Kept, domain: Domain) -> bytes:
    """WDIGEST_CREDENTIALS (2.2.10.3): 29 hashes of spellings of name, realm and password (3.1.1.8.11.3.1).

    Texts are ISO 8859-1; what that does not have becomes ``?`` (unconfirmed).
    """
    name, upn = each.name, each.upn or f"{each.name}@{domain.dns}"
    old_style = f"{domain.netbios}\\{name}"
    pairs = []
    for realm in (domain.netbios, domain.dns):
        lower, upper = realm.lower(), realm.upper()
        pairs += [(name, realm), (name.lower(), lower), (name.upper(), upper), (name, upper), (name, lower)]
        pairs += [(name.upper(), lower), (name.lower(), upper)]
    pairs += [(text, "") for user in (upn, old_style) for text in (user, user.lower(), user.upper())]
    pairs += [(text, "Digest") for user in (name, upn, old_style) for text in (user, user.lower(), user.upper())]
    texts = [f"{user}:{realm}:{each.password}".encode("latin-1", "replace") for user, realm in pairs]
    hashes = [hashlib.md5(text).digest() for text in texts]  # noqa: S324 - the attribute's own format
    return bytes((0x31, 0, 1, len(hashes))) + bytes(12) + b"".join(hashes)


# --- Kerberos keys ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def kerberos_keys(password: str, salt: str) -> dict[int, bytes]:
    """A password's keys by encryption type, strongest first."""
    secret, salted = password.encode("utf-8", "surrogatepass"), salt.encode("utf-8", "surrogatepass")
    strong, weak = aes_keys(secret, salted, ITERATIONS)
    des = des_key(secret, salted)
    return {AES256: strong, AES128: weak, DES_MD5: des, DES_CRC: des}


def aes_keys(secret: bytes, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """The 256-bit and the 128-bit key ([RFC3962] 4): the second's seed is the first half of the first's."""
    seed = PBKDF2HMAC(SHA1(), 32, salt, iterations).derive(secret)  # noqa: S303 - what [RFC3962] asks for
    return _derived(seed), _derived(seed[:16])


def _derived(key: bytes) -> bytes:
    """DK(key, "kerberos") of [RFC3961] 5.1."""
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - single blocks
    first = encryptor.update(_DK_CONSTANT)
    return (first + encryptor.update(first))[: len(key)]


def des_key(secret: bytes, salt: bytes) -> bytes:
    """The DES key ([RFC3961] 6.2, mit_des_string_to_key)."""
    text = secret + salt
    text += bytes(-len(text) % 8)
    folded = 0
    for number, at in enumerate(range(0, len(text), 8)):
        bits = 0
        for byte in text[at : at + 8]:
            bits = bits << 7 | byte & 0x7F
        folded ^= int(f"{bits:056b}"[::-1], 2) if number % 2 else bits
    key = _usable(folded)
    encryptor = Cipher(TripleDES(key * 3), CBC(key)).encryptor()  # three times the same key is single DES
    last = encryptor.update(text)[-8:] if text else key
    return _usable(int("".join(f"{byte >> 1:07b}" for byte in last), 2))


def _usable(bits: int) -> bytes:
    """56 bits as a key of odd parity that is not weak."""
    key = bytes(_ODD_PARITY[bits >> shift & 0x7F] for shift in range(49, -1, -7))
    return key[:7] + bytes((key[7] ^ 0xF0,)) if key in _WEAK_KEYS else key
