"""A whole simulated world on real ports: tenant, directory, replication, and a way to watch and move it."""
