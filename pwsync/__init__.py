"""pwsync: the agent that synchronizes on-premises passwords to the cloud.

The agent reads password hashes from Active Directory, protects them, and sends them to Azure AD in the order in
which they were changed. It knows nothing of the simulation that it is usually run in: time, directory, tenant,
store and randomness come through :class:`pwsync.ports.AgentPorts`.
"""

__version__ = "0.1.0"
