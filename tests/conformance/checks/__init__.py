"""The checks: importing this fills the table."""

# Those that read a whole domain come first, while it is small.
from conformance.checks import secrets, dirsync  # noqa: F401 # isort: skip
from conformance.checks import (  # noqa: F401
    accounts,
    binds,
    classes,
    deleted,
    filters,
    fine_grained,
    metadata,
    modifies,
    passwords,
    rootdse,
    searches,
    tree,
)
