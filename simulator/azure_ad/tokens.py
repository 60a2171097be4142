"""Access tokens and id tokens: RS256 JWTs, signed with a fixed test key.

The key (``test_signing_key.json``) is published with the program and protects nothing: a simulation has to repeat, and
RSA keys can't be drawn from a seed. Format: RFC 7515 and 7519; claims as in the product's token reference.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from simulator.azure_ad.applications import Application
from simulator.azure_ad.sessions import ACCESS_LIFE, Session
from simulator.azure_ad.users import CloudUser

DIRECTORY_RESOURCE = "https://graph.windows.net"
"""The audience of the provisioning service's tokens."""
GRAPH_RESOURCE = "https://graph.microsoft.com"

ROLE_TEMPLATES = {
    "directory-synchronization": "d29b2b05-8046-44ba-8758-1e26182fcf32",
    "administrator": "62e90394-69f5-4237-9190-012177145e10",
}
"""Template ids of the directory roles, as the claim ``wids`` names them (product documentation)."""
_APPLICATION_ROLE = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
"""What the claim ``wids`` of an application's own token holds (product documentation)."""
PASSWORD_CHANGE_URL = "https://portal.microsoftonline.com/ChangePassword.aspx"  # noqa: S105 - the claim pwd_url

_SIZE_MAX = 16_384


class InvalidToken(Exception):
    """A token that this tenant did not issue for this audience, or that is no longer valid."""


class TokenIssuer:
    """Signs and checks the tokens of one tenant."""

    def __init__(self, clock: Callable[[], datetime], tenant_id: str) -> None:
        self._clock = clock
        self._tenant_id = tenant_id

    def access_token(self, user: CloudUser, session: Session, resource: str, scopes: str) -> str:
        """A token for ``resource`` that lives as long as the session's access does."""
        return _sign(
            {
                "aud": resource,
                "iss": f"https://sts.windows.net/{self._tenant_id}/",
                **self._times(session),
                "amr": ["pwd"],
                "appid": session.client_id,
                "name": user.display_name,
                "oid": user.id,
                "scp": scopes,
                "sub": user.id,
                "tid": self._tenant_id,
                "unique_name": user.upn,
                "upn": user.upn,
                "uti": session.id,
                "ver": "1.0",
                "wids": [ROLE_TEMPLATES[user.role]] if user.role is not None else [],
            }
        )

    def application_token(self, application: Application, resource: str) -> tuple[str, int]:
        """A token of an application's own for ``resource``, and the seconds that it lives."""
        now, life = int(self._clock().timestamp()), int(ACCESS_LIFE.total_seconds())
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{self._tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + life,
            "app_displayname": application.name,
            "appid": application.id,
            "appidacr": "1",
            "idp": f"https://sts.windows.net/{self._tenant_id}/",
            "idtyp": "app",
            "oid": application.service_principal,
            "roles": sorted(application.roles) if resource == GRAPH_RESOURCE else [],
            "sub": application.service_principal,
            "tid": self._tenant_id,
            "ver": "1.0",
            "wids": [_APPLICATION_ROLE],
        }
        return _sign(claims), life

    def id_token(self, user: CloudUser, session: Session, *, version: int = 2, warn_of: datetime | None = None) -> str:
        """What the client may know of the user. warn_of: when the password expires, if the user is to be told by now.

        The older endpoint does not sign it: it comes over TLS from who would sign it (OpenID Connect Core 3.1.3.7).
        """
        claims: dict[str, Any] = {
            "aud": session.client_id,
            "iss": f"https://login.microsoftonline.com/{self._tenant_id}/v2.0",
            **self._times(session),
            "name": user.display_name,
            "oid": user.id,
            "preferred_username": user.upn,
            "sub": user.id,
            "tid": self._tenant_id,
            "ver": f"{version}.0",
        }
        if warn_of is not None:
            claims["pwd_exp"] = int((warn_of - self._clock()).total_seconds())
            claims["pwd_url"] = PASSWORD_CHANGE_URL
        if version == 1:
            del claims["preferred_username"]
            claims |= {"iss": f"https://sts.windows.net/{self._tenant_id}/", "upn": user.upn, "unique_name": user.upn}
            return f"{_encode_json({'typ': 'JWT', 'alg': 'none'})}.{_encode_json(claims)}."
        return _sign(claims)

    def check(self, token: str, audience: str) -> Mapping[str, Any]:
        """The claims of a valid access token for ``audience``. Raises InvalidToken."""
        claims = _verify(token)
        now = self._clock().timestamp()
        if claims.get("iss") != f"https://sts.windows.net/{self._tenant_id}/":
            whose = "no access token" if claims.get("tid") == self._tenant_id else "another tenant's"
            raise InvalidToken(f"Access token validation failure. Invalid issuer: the token is {whose}.")
        if str(claims.get("aud", "")).rstrip("/") != audience:
            raise InvalidToken("Access token validation failure. Invalid audience.")
        expires, begins = claims.get("exp"), claims.get("nbf")
        if type(expires) is not int or type(begins) is not int or now >= expires:
            raise InvalidToken("Lifetime validation failed, the token is expired.")
        if now < begins:
            raise InvalidToken("Lifetime validation failed, the token is not yet valid.")
        return claims

    def _times(self, session: Session) -> dict[str, int]:
        now = int(self._clock().timestamp())
        return {"iat": now, "nbf": now, "exp": int(session.access_expires.timestamp())}


def public_keys() -> list[dict[str, str]]:
    """The key set that discovery/keys shows (RFC 7517)."""
    return [{name: _stored_key()[name] for name in ("kty", "use", "alg", "kid", "n", "e")}]


def encode_part(value: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _sign(claims: Mapping[str, Any]) -> str:
    signed = f"{_header()}.{_encode_json(claims)}"
    return f"{signed}.{_signature(signed)}"


@lru_cache(maxsize=256)
def _signature(signed: str) -> str:
    """RS256 gives the same signature for the same claims: worlds that begin alike ask for the same tokens."""
    return encode_part(_private_key().sign(signed.encode(), PKCS1v15(), SHA256()))


@lru_cache(maxsize=256)
def _verify(token: str) -> Mapping[str, Any]:
    """The claims of a token that is signed with our key. The texts of what is refused here are unconfirmed."""
    if not token:
        raise InvalidToken("Access token is empty.")
    if len(token) > _SIZE_MAX:
        raise InvalidToken("The token is too long.")
    signed, dot, signature = token.rpartition(".")
    if not dot:
        raise InvalidToken("IDX14100: JWT is not well formed, there are no dots (.).")
    head, _, body = signed.partition(".")
    try:
        header = json.loads(_decode_part(head))
        if header.get("alg") != "RS256" or header.get("kid", _stored_key()["kid"]) != _stored_key()["kid"]:
            raise InvalidToken("Access token validation failure. Signing key is invalid.")
        _private_key().public_key().verify(_decode_part(signature), signed.encode("ascii"), PKCS1v15(), SHA256())
        claims = json.loads(_decode_part(body))
    except InvalidSignature:
        raise InvalidToken("Access token validation failure. Invalid signature.") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise InvalidToken("CompactToken parsing failed with error code: 80049217") from error
    return claims if isinstance(claims, dict) else {}


@cache
def _stored_key() -> dict[str, str]:
    text = files("simulator.azure_ad").joinpath("test_signing_key.json").read_text(encoding="utf-8")
    key: dict[str, str] = json.loads(text)
    return key


@cache
def _private_key() -> RSAPrivateKey:
    number = {name: int.from_bytes(_decode_part(_stored_key()[name])) for name in _NUMBERS}
    public = RSAPublicNumbers(number["e"], number["n"])
    private = RSAPrivateNumbers(number["p"], number["q"], number["d"], number["dp"], number["dq"], number["qi"], public)
    # The key is our own file: checking that its primes are primes would cost more than a whole scenario.
    return private.private_key(unsafe_skip_rsa_key_validation=True)


_NUMBERS = ("n", "e", "d", "p", "q", "dp", "dq", "qi")


@cache
def _header() -> str:
    return _encode_json({"typ": "JWT", "alg": "RS256", "kid": _stored_key()["kid"]})


def _encode_json(value: Mapping[str, Any]) -> str:
    return encode_part(json.dumps(value, separators=(",", ":")).encode())


def _decode_part(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
