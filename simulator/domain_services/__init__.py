"""The simulated managed domain of Azure AD Domain Services.

state.py        ManagedDomain: what it has taken over from the tenant, and when
envelope.py     opening the secrets that an agent has sealed; secret_key.py: the key and certificate for it
principal.py    what logon protocols see of an account; refusal.py: why they refuse it
ntlm.py         NTLMv2; ntlm_client.py: a client of it; spnego.py: what may stand around it
kerberos.py     the initial exchange; kerberos_client.py: a client of it; kerberos_messages.py, kerberos_replies.py,
                kerberos_crypto.py, der.py: messages, ciphers and codes
ldap_bind.py    binds; ldap_conversation.py: what is said on a connection
logon.py        logging on within a run, by each of the three
port.py         all of it on real ports; kerberos_port.py: TCP and UDP
"""

from simulator.domain_services.state import ManagedDomain

__all__ = ["ManagedDomain"]
