"""A simulated Active Directory: forests, domains, controllers; LDAP and replication in front of the same state.

state.py        Forest, Domain, Controller: what a world builds and what people do
replica.py      one controller's copy: entries, indexes, metadata, the log in order of USN
inbound.py      taking over what another copy has; partners.py: who fetches from whom, and when
schema.py       classes, categories, attributes
policy.py       pure: length, complexity, history, age, expiry, lockout
passwords.py    setting passwords; logon.py: checking them; accounts.py: users; password_settings.py: whose policy
ldap.py         the ldap3 strategy; session.py, filter.py, dirsync.py: what LDAP does
writes.py       modifies (draft.py checks them first), with additions.py, placing.py, account_rules.py, rights.py
replication.py  the MS-DRSR server for clients
"""
