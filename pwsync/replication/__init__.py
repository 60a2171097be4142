"""How the agent reads password hashes: directory replication, its sign-on, and the envelope around secrets."""
