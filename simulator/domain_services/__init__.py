"""The simulated managed domain of Azure AD Domain Services: what it takes over from the tenant, and who logs on there."""
