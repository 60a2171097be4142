"""The simulated managed domain of Azure AD Domain Services.

state.py        ManagedDomain: what it has taken over from the tenant, and when
envelope.py     opening the secrets that an agent has sealed; secret_key.py: the key and certificate for it
logon.py        who logs on, and by which method
principal.py    what logon protocols see of an account
"""

from simulator.domain_services.state import ManagedDomain

__all__ = ["ManagedDomain"]
