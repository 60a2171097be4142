"""Frames of batches: what is kept from one call to the next is what the general codec would write."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pwsync.tenant.batch import encode_credentials, encode_results
from pwsync.tenant.binary_xml import encode
from pwsync.tenant.messages import PREFIXES, CallHeader, request_envelope, response_envelope
from pwsync.tenant.operations import write_credentials, write_credentials_result

TOKENS = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=40)


@given(identifier=st.uuids(), token=TOKENS, to=st.sampled_from(["", "https://a.example/x", "https://b.example/y"]))
def test_request_frame(identifier: UUID, token: str, to: str) -> None:
    """A request without items is byte for byte that of the general codec, whatever its id, token and address."""
    header = CallHeader("ProvisionCredentials", token, "1.1.380.0", identifier, to=to)
    expected = encode(request_envelope(header, write_credentials(())), PREFIXES, compact=True)
    assert expected == encode_credentials(header, ())


@given(identifier=st.none() | st.uuids())
def test_response_frame(identifier: UUID | None) -> None:
    """So is an answer without results."""
    body = write_credentials_result(())
    expected = encode(response_envelope("ProvisionCredentials", body, identifier), PREFIXES)
    assert expected == encode_results((), identifier)
