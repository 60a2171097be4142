"""The world around the agent: a simulated Active Directory, a simulated Azure AD tenant, frozen time, and scenarios."""
