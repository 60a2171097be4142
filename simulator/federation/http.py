"""adfs.DOMAIN: the metadata exchange document, and the WS-Trust endpoints for name and password."""

from __future__ import annotations

from simulator.azure_ad.routes import Routes
from simulator.azure_ad.wire import Answer, Call, json_answer
from simulator.federation import mex, wstrust
from simulator.federation.errors import FarmFault, NotSoap
from simulator.federation.names import METADATA_PATH, TRUST_13, TRUST_2005, Dialect
from simulator.federation.state import Farm

ROUTES = Routes("adfs.{domain}")
"""What is answered: entered by the methods of :class:`FarmService`, each called with the call."""

BODY_MAX = 64 * 1024
"""A longer request for a token is not read (the servers' framework has this limit)."""

_SOAP_TYPE = "application/soap+xml; charset=utf-8"


class FarmService:
    """The HTTP face of one farm; whether it is up is for whoever carries the call to it to see."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm

    def handle(self, call: Call) -> Answer:
        """Answer a call to the farm's host."""
        found = ROUTES.find(call.method, call.path)
        if found is not None:
            route, names = found
            return route.handle(self, call, **names)
        status = 405 if ROUTES.methods(call.path) else 404
        text = ROUTES.explain(call.method, call.path)
        return json_answer(status, {"error": {"code": "UnknownCall", "message": text}})

    @ROUTES.on("GET", METADATA_PATH, "where and how to ask for tokens (WSDL)")
    def _metadata(self, call: Call) -> Answer:
        return Answer(200, [("Content-Type", "text/xml; charset=utf-8")], mex.document(self.farm.host))

    @ROUTES.on("POST", TRUST_2005.path, "a token for name and password, WS-Trust of February 2005")
    def _trust_2005(self, call: Call) -> Answer:
        return self._trust(call, TRUST_2005)

    @ROUTES.on("POST", TRUST_13.path, "a token for name and password, WS-Trust 1.3")
    def _trust_13(self, call: Call) -> Answer:
        return self._trust(call, TRUST_13)

    def _trust(self, call: Call, dialect: Dialect) -> Answer:
        if not call.headers.get("content-type", "").lower().startswith("application/soap+xml"):
            return Answer(415, [], b"")
        if len(call.body) > BODY_MAX:
            return Answer(413, [], b"")
        try:
            envelope = wstrust.parse(call.body)
        except NotSoap:
            return Answer(400, [], b"")
        message_id = wstrust.message_id(envelope)
        try:
            times = self.farm.clock(), self.farm.client_clock()
            answer = self.exchange(wstrust.read(envelope, dialect, self.farm.host, *times))
        except FarmFault as error:
            return Answer(500, [("Content-Type", _SOAP_TYPE)], wstrust.fault(error, message_id))
        return Answer(200, [("Content-Type", _SOAP_TYPE)], answer)

    def exchange(self, request: wstrust.Request) -> bytes:
        """The answer to a request for a token. Raises FarmFault."""
        return wstrust.grant(self.farm, request)
