"""The provisioning service as the agent calls it: binary SOAP over HTTPS.

One method, one call; nothing is retried here. A redirect to a regional endpoint is followed, at most three times, and
remembered until a connection to it breaks (later builds of the product do the same).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree.ElementTree import Element

import requests

from pwsync.errors import BinaryXmlError, Throttled, TransportError
from pwsync.tenant import batch, company
from pwsync.tenant.binary_xml import decode, encode
from pwsync.tenant.messages import (
    APPLICATION_ID,
    CONTENT_TYPE,
    PREFIXES,
    CallHeader,
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    ObjectResult,
    Redirected,
    SecretsConfiguration,
    SyncObject,
    parse_response,
    request_envelope,
)
from pwsync.tenant.operations import read_objects_result, write_objects

if TYPE_CHECKING:
    from pwsync.ports import TenantPort

REDIRECTS_MAX: Final = 3
TIMEOUT: Final = (10.0, 100.0)
"""Seconds to connect, and to wait for bytes of the answer (WCF gives up after 100 as well; unconfirmed)."""

NO_ANSWER: Final = "The answer of the service does not name this item."
_OK = 200
_FAULTS = frozenset({400, 500})

T = TypeVar("T")


def read_retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110 10.2.3: seconds or a date).

    None without a header, or if it is garbled.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return max(0.0, (when - now).total_seconds())


class ProvisioningService:
    """Calls to the provisioning service.

    port: session and addresses. token: gives an access token, at the moment of each call; what it raises passes out.
    build: the agent's build number. identifiers: gives a fresh GUID for each call. clock: the time now, aware UTC.
    keeps_endpoint: a regional endpoint that can't be reached is called again all the same, as old builds did.
    Every call raises Throttled (HTTP 4xx and 5xx, with ``retry_after`` where the answer has one), ServiceFault (the
    service refused the whole call) or TransportError (nobody knows whether it was applied).
    """

    def __init__(
        self,
        port: TenantPort,
        token: Callable[[], str],
        build: str,
        identifiers: Callable[[], UUID],
        clock: Callable[[], datetime],
        *,
        keeps_endpoint: bool = False,
    ) -> None:
        self._port = port
        self._token = token
        self._build = build
        self._identifiers = identifiers
        self._clock = clock
        self._keeps_endpoint = keeps_endpoint
        self._endpoint: str | None = None

    @property
    def endpoint(self) -> str:
        """Where the next call goes: the regional endpoint if one is known."""
        return self._endpoint or self._port.provisioning_url

    def send_credentials(self, items: Sequence[CredentialItem]) -> list[CredentialResult]:
        """Send password changes (at most 50). One result per item, in the order of ``items``.

        An item that the answer does not name has ``result`` None: nobody knows whether it was applied. Results for
        items that were not sent are passed over.
        """
        results = self._call(
            "ProvisionCredentials", lambda header: batch.encode_credentials(header, items), batch.decode_results
        )
        named = {result.source_anchor or result.cloud_anchor: result for result in results}
        return [
            named.get(item.source_anchor or item.cloud_anchor)
            or CredentialResult(item.source_anchor, item.cloud_anchor, None, NO_ANSWER)
            for item in items
        ]

    def ping(self) -> None:
        """Tell the service that password synchronization is alive: a call without items. Unconfirmed.

        What the product really sends as its heartbeat is not public.
        """
        self._call("ProvisionCredentials", lambda header: batch.encode_credentials(header, ()), batch.decode_results)

    def assume_ping(self) -> None:
        """Take a ping as made: its identifier is used up, nothing is sent. For a simulation that skips idle time."""
        self._identifiers()

    def send_objects(self, objects: Sequence[SyncObject]) -> list[ObjectResult]:
        """Send directory objects. One result per object, in the order of ``objects``.

        An object that the answer does not name has the code ``NoAnswer``. Results for objects that were not sent are
        passed over.
        """
        results = self._call(
            "ProvisionAzureADSyncObjects", _writer(write_objects(objects)), _reader(read_objects_result)
        )
        named = {(result.source_anchor, result.object_type): result for result in results}
        return [
            named.get((item.source_anchor, item.object_type))
            or ObjectResult(item.source_anchor, item.object_type, item.operation, "NoAnswer", None, NO_ANSWER)
            for item in objects
        ]

    def company_configuration(self) -> CompanyConfiguration:
        """What the tenant says about itself."""
        write = partial(batch.encode_call, includeLicenseInformation=False)
        return self._call("GetCompanyConfiguration", write, _reader(company.read_company_configuration))

    def set_features(self, bits: int) -> None:
        """Switch the tenant's synchronization features: a sum of bits of :data:`pwsync.tenant.company.FEATURES`."""
        self._call("SetCompanyDirsyncFeatures", partial(batch.encode_call, dirsyncFeatures=bits), _done)

    def secrets_configuration(self) -> SecretsConfiguration:
        """Which secrets the tenant wants for Domain Services."""
        operation = "GetWindowsCredentialsSyncConfig"
        return self._call(operation, batch.encode_call, _reader(company.read_secrets_configuration))

    def finalize_export(self, total: int, successful: int) -> None:
        """Tell the service that an export of ``total`` objects is over."""
        write = partial(batch.encode_call, totalExported=total, successfulExportCount=successful)
        self._call("FinalizeExport", write, _done)

    def _call(self, operation: str, write: Callable[[CallHeader], bytes], read: Callable[[bytes], T]) -> T:
        """Make a call, follow redirects, and return what the answer says."""
        for _ in range(REDIRECTS_MAX + 1):
            header = CallHeader(operation, self._token(), self._build, self._identifiers(), to=self.endpoint)
            try:
                return self._post(header, write(header), read)
            except Redirected as redirect:
                if not is_regional(redirect.url, self._port.provisioning_url):
                    raise TransportError(
                        f"The service redirected to {redirect.url!r}, which is not its own."
                    ) from redirect
                self._endpoint = redirect.url
        self._endpoint = None
        raise TransportError(f"The service redirected more than {REDIRECTS_MAX} times.")

    def _post(self, header: CallHeader, data: bytes, read: Callable[[bytes], T]) -> T:
        try:
            response = self._port.session.post(
                header.to, data=data, headers=self._http_headers(header), timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            if not self._keeps_endpoint:
                self._endpoint = None
            raise TransportError(f"The remote name or host could not be reached: {type(error).__name__}.") from error
        is_soap = response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == CONTENT_TYPE
        if response.status_code != _OK and not (response.status_code in _FAULTS and is_soap):
            wait = read_retry_after(response.headers.get("Retry-After"), self._clock())
            raise Throttled(response.status_code, retry_after=wait)
        try:
            answer = read(response.content)
        except BinaryXmlError as error:
            raise TransportError(f"The answer of the service could not be read: {error}") from error
        if response.status_code != _OK:
            raise TransportError(f"The service answered with status {response.status_code} and no fault.")
        return answer

    def _http_headers(self, header: CallHeader) -> dict[str, str]:
        return {
            "Content-Type": CONTENT_TYPE,
            "client-request-id": str(header.tracking_id),
            "x-ms-aadmsods-apiaction": header.operation,
            "x-ms-aadmsods-appid": APPLICATION_ID,
            "x-ms-aadmsods-clientversion": header.client_version,
            "x-ms-aadmsods-dirsyncbuildnumber": header.build,
            "x-ms-aadmsods-fimbuildnumber": header.build,
            "x-ms-aadmsods-tenantid": self._port.tenant_id,
        }


def is_regional(url: str, known: str) -> bool:
    """Whether ``url`` is an endpoint of the service at ``known``: https, and the same host or its sibling.

    The access token goes there, so a fault must not be able to name any host it likes.
    """
    try:
        target, own = urlsplit(url), urlsplit(known)
        host, home = target.hostname or "", own.hostname or ""
    except ValueError:
        return False
    if target.scheme != "https" or target.username is not None:
        return False
    if host == home:
        return True
    parent = home.partition(".")[2]
    named = "." in parent and not parent.replace(".", "").isdigit()  # an address in numbers has no siblings
    return named and host.partition(".")[2] == parent


def _writer(body: Element) -> Callable[[CallHeader], bytes]:
    return lambda header: encode(request_envelope(header, body), PREFIXES, compact=True)


def _reader(read: Callable[[Element], T]) -> Callable[[bytes], T]:
    return lambda data: read(parse_response(decode(data)))


def _done(data: bytes) -> None:
    """An answer that matters only because it is no fault."""
    parse_response(decode(data))
