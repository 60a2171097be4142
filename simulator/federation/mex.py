"""The metadata exchange document (WSDL 1.1 with WS-Policy): where and how a client asks for tokens.

It has one port for each version of WS-Trust, for name and password alone: what clients of the cloud look for. The real
document has ports for Windows logons and certificates beside them.
"""

from __future__ import annotations

from simulator.federation.names import ADDRESSING, POLICY, TRUST_13, TRUST_2005, UTILITY, Dialect

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap12/"
_POLICY_2005 = "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy"
_POLICY_12 = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"
_TARGET = "http://tempuri.org/"

# By dialect: name of binding, namespace of the security policy, kind of supporting token, version of the stack.
_KINDS: tuple[tuple[Dialect, str, str, str, str], ...] = (
    (TRUST_2005, "UserNameWSTrustBinding_IWSTrustFeb2005Async", _POLICY_2005, "SignedSupportingTokens", "Wss10"),
    (TRUST_13, "UserNameWSTrustBinding_IWSTrust13Async", _POLICY_12, "SignedEncryptedSupportingTokens", "Wss11"),
)


def document(host: str) -> bytes:
    """The document of the farm that goes by ``host``."""
    policies = "".join(_policy(name, policy, tokens, stack) for _, name, policy, tokens, stack in _KINDS)
    bindings = "".join(_binding(name, dialect) for dialect, name, *_ in _KINDS)
    ports = "".join(_port(name, f"https://{host}{dialect.path}") for dialect, name, *_ in _KINDS)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><wsdl:definitions name="SecurityTokenService" '
        f'targetNamespace="{_TARGET}" xmlns:wsdl="{_WSDL}" xmlns:soap12="{_WSDL_SOAP}" xmlns:wsp="{POLICY}" '
        f'xmlns:wsu="{UTILITY}" xmlns:wsa10="{ADDRESSING}" xmlns:tns="{_TARGET}">{policies}{bindings}'
        f'<wsdl:service name="SecurityTokenService">{ports}</wsdl:service></wsdl:definitions>'
    ).encode()


def _policy(name: str, namespace: str, tokens: str, stack: str) -> str:
    include = f"{namespace}/IncludeToken/AlwaysToRecipient"
    return (
        f'<wsp:Policy wsu:Id="{name}_policy"><wsp:ExactlyOne><wsp:All><sp:TransportBinding xmlns:sp="{namespace}">'
        f"<wsp:Policy><sp:TransportToken><wsp:Policy><sp:HttpsToken/></wsp:Policy></sp:TransportToken>"
        f"<sp:AlgorithmSuite><wsp:Policy><sp:Basic256/></wsp:Policy></sp:AlgorithmSuite>"
        f"<sp:IncludeTimestamp/></wsp:Policy></sp:TransportBinding>"
        f'<sp:{tokens} xmlns:sp="{namespace}"><wsp:Policy><sp:UsernameToken sp:IncludeToken="{include}">'
        f"<wsp:Policy><sp:WssUsernameToken10/></wsp:Policy></sp:UsernameToken></wsp:Policy></sp:{tokens}>"
        f'<sp:{stack} xmlns:sp="{namespace}"><wsp:Policy/></sp:{stack}>'
        f"</wsp:All></wsp:ExactlyOne></wsp:Policy>"
    )


def _binding(name: str, dialect: Dialect) -> str:
    return (
        f'<wsdl:binding name="{name}" type="tns:{name.partition("_")[2]}"><wsp:PolicyReference URI="#{name}_policy"/>'
        f'<soap12:binding transport="http://schemas.xmlsoap.org/soap/http"/>'
        f'<wsdl:operation name="TrustIssue"><soap12:operation soapAction="{dialect.request_action}" style="document"/>'
        f'<wsdl:input><soap12:body use="literal"/></wsdl:input><wsdl:output><soap12:body use="literal"/></wsdl:output>'
        f"</wsdl:operation></wsdl:binding>"
    )


def _port(name: str, address: str) -> str:
    return (
        f'<wsdl:port name="{name}" binding="tns:{name}"><soap12:address location="{address}"/>'
        f"<wsa10:EndpointReference><wsa10:Address>{address}</wsa10:Address></wsa10:EndpointReference></wsdl:port>"
    )
