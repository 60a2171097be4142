"""Signatures and certificates in one process, with time frozen and not."""

from __future__ import annotations

import subprocess
import sys

FROZEN_FIRST = """
from datetime import UTC, datetime
from lxml import etree
from simulator.frozen import frozen

with frozen(datetime(2017, 1, 13, tzinfo=UTC)):
    from simulator.federation import signing

    signed = signing.sign(etree.fromstring('<a xmlns="urn:x" ID="b"/>'), "ID")
    assert signing.signed_part(signed, signing.certificate(), "ID", datetime.now(UTC)).tag == "{urn:x}a"

from simulator.certificates import Authority

assert Authority().pem.startswith("-----BEGIN CERTIFICATE-----")
"""


def test_certificates_after_frozen_time() -> None:
    """A process whose first certificate was looked at while time was frozen can make certificates afterwards."""
    done = subprocess.run([sys.executable, "-c", FROZEN_FIRST], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
