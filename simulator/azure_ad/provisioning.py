"""The provisioning service, which the sync agent talks to: SOAP 1.2 in .NET binary XML.

The service has no public specification; operations and faults are those that public clients know. What nobody has
published (HTTP status of each fault, the text for too large a batch) is modelled simply and is unconfirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID
from xml.etree.ElementTree import Element

from pwsync.errors import BinaryXmlError
from pwsync.tenant import batch, binary_xml, company, operations
from pwsync.tenant.messages import (
    CONTENT_TYPE,
    PREFIXES,
    SERVICE,
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    Request,
    SecretsConfiguration,
    fault_envelope,
    response_envelope,
)
from simulator.azure_ad.passwords import FORCE_CHANGE, POLICY_FOR_SYNCED
from simulator.azure_ad.state import PASSWORD_SYNC, Tenant
from simulator.azure_ad.tokens import DIRECTORY_RESOURCE, ROLE_TEMPLATES, InvalidToken, TokenIssuer
from simulator.azure_ad.wire import Answer, Call, unknown
from simulator.refusal import Refusal

HOST = "adminwebservice.microsoftonline.com"
REGIONAL_HOST = "adminwebservice-s1-co2.microsoftonline.com"
PATH = "/provisioningservice.svc"
REGIONAL_URL = f"https://{REGIONAL_HOST}{PATH}"

ITEM_RESULTS = "pwsync.item_results"
"""WSGI environment key: source anchor -> result code for items that are answered so and not applied."""

DECODED = "pwsync.request"
"""WSGI environment key: the request in the body, already read by whoever hands it on; None if it was not.

Either a Request with its whole body, or what :func:`pwsync.tenant.batch.decode_request` makes of the bytes.
"""

CREDENTIALS = "ProvisionCredentials"
CREDENTIALS_MAX = 50
"""Most credentials that one call may carry; the service's own limit, whatever an agent believes."""

SERVER = "SIMULATED01"

_BITS = {
    PASSWORD_SYNC: company.FEATURES["PasswordHashSync"],
    POLICY_FOR_SYNCED: company.FEATURES["EnforceCloudPasswordPolicyForPasswordSyncedUsers"],
    FORCE_CHANGE: company.FEATURES["EnableUserForcePasswordChangeOnLogon"],
}
_HEADERS = [("Content-Type", CONTENT_TYPE)]
_ROLES = frozenset(ROLE_TEMPLATES.values())


@dataclass(frozen=True, slots=True)
class _Fault:
    text: str
    code: int | None = None
    redirect: str | None = None


FAULTS: Mapping[str, _Fault] = {
    "81": _Fault(
        "Windows Azure Active Directory is currently busy. This operation will be retried automatically.", code=81
    ),
    "90": _Fault("Password Synchronization has not been activated for this company.", code=90),
    "denied": _Fault("Access to Azure Active Directory has been denied. Contact Technical Support."),
    "redirect": _Fault("The call has to go to another endpoint.", redirect=REGIONAL_URL),
}
"""Faults of a whole call, by the words of the scenario format."""


def fault_response(kind: str, *, tracking_id: str = "") -> Answer:
    """The answer (status, headers, body) for a fault of :data:`FAULTS`. Raises KeyError for another word."""
    fault = FAULTS[kind]
    tree = fault_envelope(fault.text, code=fault.code, tracking_id=tracking_id, server=SERVER, redirect=fault.redirect)
    return _answer(500, tree)


class ProvisioningService:
    """The service of one tenant. Every request is read as a whole before anything of it is applied."""

    def __init__(self, tenant: Tenant, issuer: TokenIssuer) -> None:
        self._tenant = tenant
        self._issuer = issuer
        self._operations: Mapping[str, Callable[[Request], Element]] = {
            "ProvisionAzureADSyncObjects": self._objects,
            "ProvisionAzureADSyncObjects2": self._objects,
            "GetCompanyConfiguration": self._configuration,
            "SetCompanyDirsyncFeatures": self._features,
            "FinalizeExport": _finalize,
            "Capabilities": _capabilities,
            "GetWindowsCredentialsSyncConfig": self._secrets_configuration,
        }
        self._known = (CREDENTIALS, *self._operations)

    def handle(self, call: Call) -> Answer:
        """Answer a call to this host."""
        if call.method != "POST" or call.path.lower() != PATH:
            return unknown(call, [f"POST {PATH} with one of {', '.join(self._known)}"])
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            return _bad(415, f"The content type must be {CONTENT_TYPE}.")
        try:
            return self._answer(call, *_read(call))
        except BinaryXmlError as error:
            return _bad(400, f"The request could not be read: {error}.")

    def _answer(self, call: Call, request: Request, items: list[CredentialItem]) -> Answer:
        header = request.header
        if request.operation not in self._known:
            known = ", ".join(self._known)
            return _bad(500, f"There is no operation {request.operation!r} here. Known: {known}.", header.tracking_id)
        if request.body.tag != f"{{{SERVICE}}}{request.operation}":
            return _bad(400, f"The action is {request.operation}, the body {request.body.tag}.", header.tracking_id)
        if not self._permitted(header.token):
            return fault_response("denied", tracking_id=str(header.tracking_id))
        try:
            return self._perform(call, request, items)
        except Refusal as refusal:
            if refusal.data.get("fault") == FAULTS["90"].code:
                return fault_response("90", tracking_id=str(header.tracking_id))
            return _bad(500, refusal.detail, header.tracking_id)

    def _perform(self, call: Call, request: Request, items: list[CredentialItem]) -> Answer:
        tracking_id = request.header.tracking_id
        if request.operation == CREDENTIALS:
            results = self._credentials(items, call.environ.get(ITEM_RESULTS) or {})
            return Answer(200, _HEADERS, batch.encode_results(results, tracking_id))
        body = self._operations[request.operation](request)
        return _answer(200, response_envelope(request.operation, body, tracking_id))

    def _permitted(self, token: str) -> bool:
        try:
            roles = self._issuer.check(token, DIRECTORY_RESOURCE).get("wids")
        except InvalidToken:
            return False
        return isinstance(roles, list) and not _ROLES.isdisjoint(role for role in roles if isinstance(role, str))

    def _credentials(self, items: list[CredentialItem], forced: Mapping[str, int]) -> list[CredentialResult]:
        if len(items) > CREDENTIALS_MAX:
            raise Refusal("not-supported", f"At most {CREDENTIALS_MAX} credentials in a call, got {len(items)}.")
        self._tenant.require_password_sync()
        # A call without items is taken as the heartbeat (unconfirmed).
        self._tenant.contact(ping=not items)
        return [self._credential(item, forced) for item in items]

    def _credential(self, item: CredentialItem, forced: Mapping[str, int]) -> CredentialResult:
        if item.source_anchor is not None and item.source_anchor in forced:
            return CredentialResult(item.source_anchor, item.cloud_anchor, forced[item.source_anchor])
        return self._tenant.apply_credential(item)

    def _objects(self, request: Request) -> Element:
        objects = operations.read_objects(request.body)
        body = operations.write_objects_result([self._tenant.apply_object(obj) for obj in objects])
        if request.operation.endswith("2"):
            body.tag = body.tag.replace("ObjectsResponse", "Objects2Response")
            body[0].tag = body[0].tag.replace("ObjectsResult", "Objects2Result")
        return body

    def _configuration(self, request: Request) -> Element:
        bits = self._tenant.other_features
        for name in self._tenant.features:
            bits |= _BITS[name]
        return company.write_company_configuration(
            CompanyConfiguration(
                tenant_id=self._tenant.tenant_id,
                display_name=self._tenant.tenant_domain.partition(".")[0].capitalize(),
                client_version=request.header.client_version,
                machine="SYNC01",
                total_connector_space_objects=self._tenant.users.synchronized,
                dirsync_features=bits,
                is_password_syncing=PASSWORD_SYNC in self._tenant.features,
            )
        )

    def _secrets_configuration(self, request: Request) -> Element:
        """Secrets for Domain Services are wanted while it is on; else there is no certificate to seal them for."""
        if self._tenant.domain_services is None:
            return company.write_secrets_configuration(SecretsConfiguration())
        from simulator.domain_services.secret_key import certificate

        return company.write_secrets_configuration(SecretsConfiguration(True, True, certificate()))

    def _features(self, request: Request) -> Element:
        bits = operations.read_integer(company.read_call(request.body).get("dirsyncFeatures"))
        for name, bit in _BITS.items():
            self._tenant.set_feature(name, bool(bits & bit))
        self._tenant.other_features = bits & ~sum(_BITS.values())
        return company.write_empty_result(request.operation)


def _read(call: Call) -> tuple[Request, list[CredentialItem]]:
    given: Request | tuple[Request, list[CredentialItem]] | None = call.environ.get(DECODED)
    if given is None:
        return batch.decode_request(call.body)
    if isinstance(given, Request):
        return given, operations.read_credentials(given.body) if given.operation == CREDENTIALS else []
    return given


def _finalize(request: Request) -> Element:
    arguments = company.read_call(request.body)
    for name in ("totalExported", "successfulExportCount"):
        operations.read_integer(arguments.get(name))
    return company.write_empty_result(request.operation)


def _capabilities(request: Request) -> Element:
    """What the real answer holds is not published; clients only need it to be one."""
    return company.write_value_result(request.operation, 0)


def _bad(status: int, text: str, tracking_id: UUID | None = None) -> Answer:
    tracking = "" if tracking_id is None else str(tracking_id)
    return _answer(status, fault_envelope(text, tracking_id=tracking, server=SERVER, sender=True))


def _answer(status: int, tree: Element) -> Answer:
    return Answer(status, _HEADERS, binary_xml.encode(tree, PREFIXES))
