"""A simulated Azure AD tenant: users, passwords, sign-in, the provisioning service and Graph."""
