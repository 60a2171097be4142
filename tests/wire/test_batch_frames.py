"""Frames of batches: what is kept from one call to the next is what the general codec would write."""

from __future__ import annotations

from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from pwsync.tenant.batch import encode_call, encode_credentials, encode_results
from pwsync.tenant.binary_xml import encode
from pwsync.tenant.company import Argument, write_call
from pwsync.tenant.messages import PREFIXES, CallHeader, request_envelope, response_envelope
from pwsync.tenant.operations import write_credentials, write_credentials_result

TOKENS = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=40)


@given(identifier=st.uuids(), token=TOKENS, to=st.sampled_from(["", "https://a.example/x", "https://b.example/y"]))
def test_request_frame(identifier: UUID, token: str, to: str) -> None:
    """A request without items is byte for byte that of the general codec, whatever its id, token and address."""
    header = CallHeader("ProvisionCredentials", token, "1.1.380.0", identifier, to=to)
    expected = encode(request_envelope(header, write_credentials(())), PREFIXES, compact=True)
    assert expected == encode_credentials(header, ())


@given(
    identifier=st.uuids(),
    token=TOKENS,
    arguments=st.dictionaries(
        st.sampled_from(["totalExported", "successfulExportCount", "dirsyncFeatures"]),
        st.none() | st.booleans() | st.integers(0, 1) | st.integers(0, 2**31) | TOKENS,
    ),
)
@example(identifier=UUID(int=1), token="", arguments={"dirsyncFeatures": True})
@example(identifier=UUID(int=1), token="", arguments={"dirsyncFeatures": 1})
def test_plain_call_frame(identifier: UUID, token: str, arguments: dict[str, Argument]) -> None:
    """So is one whose arguments are plain values: what is equal and written otherwise is told apart, too."""
    header = CallHeader("FinalizeExport", token, "1.1.380.0", identifier, to="https://a.example/x")
    expected = encode(request_envelope(header, write_call("FinalizeExport", **arguments)), PREFIXES, compact=True)
    assert expected == encode_call(header, **arguments)


@given(identifier=st.none() | st.uuids())
def test_response_frame(identifier: UUID | None) -> None:
    """So is an answer without results."""
    body = write_credentials_result(())
    expected = encode(response_envelope("ProvisionCredentials", body, identifier), PREFIXES)
    assert expected == encode_results((), identifier)
