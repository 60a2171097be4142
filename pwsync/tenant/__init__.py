"""How the agent talks to the tenant: access tokens, and the provisioning service's binary SOAP."""
