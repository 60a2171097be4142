"""Messages of the provisioning service: what is written is read, what is garbled is refused, prefixes are literal."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync.errors import BinaryXmlError, ServiceFault
from pwsync.tenant import batch, company, operations
from pwsync.tenant.binary_xml import decode, encode
from pwsync.tenant.messages import (
    COEXISTENCE,
    PREFIXES,
    SERVICE,
    SOAP,
    CallHeader,
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    ObjectResult,
    Redirected,
    SyncObject,
    fault_envelope,
    parse_request,
    parse_response,
    request_envelope,
    response_envelope,
)

ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
BODY = f"{{{SERVICE}}}ProvisionCredentials"
HEADER = CallHeader("ProvisionCredentials", "token", "1.1.380.0", ID, to="https://service.example/x.svc")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
ANCHORS = st.binary(min_size=16, max_size=16).map(lambda raw: b64encode(raw).decode())
CREDENTIALS = st.builds(
    lambda salt, key: f"v1;PPH1_MD4,{salt.hex()},1000,{key.hex()};",
    st.binary(min_size=10, max_size=10),
    st.binary(min_size=32, max_size=32),
)
TIMES = st.datetimes(
    min_value=datetime(1601, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)
SECONDS = TIMES.map(lambda when: when.replace(microsecond=0))
USUAL_ITEMS = st.builds(CredentialItem, ANCHORS, st.none(), CREDENTIALS, SECONDS, st.booleans())
ODD_ITEMS = st.builds(
    CredentialItem,
    TEXTS,
    TEXTS | st.none(),
    TEXTS,
    TIMES,
    st.booleans(),
    TEXTS | st.none(),
    TEXTS | st.none(),
)
ITEMS = st.lists(USUAL_ITEMS | ODD_ITEMS, max_size=6) | st.lists(USUAL_ITEMS, max_size=6)
USUAL_RESULTS = st.builds(CredentialResult, ANCHORS, st.none(), st.integers(0, 9))
ODD_RESULTS = st.builds(CredentialResult, TEXTS | st.none(), TEXTS, st.integers(-5, 10**9), TEXTS | st.none())
RESULTS = st.lists(USUAL_RESULTS | ODD_RESULTS, max_size=6) | st.lists(USUAL_RESULTS, max_size=6)


class TestEnvelope:
    def test_request(self) -> None:
        """The header of a request is read as it was written."""
        body = operations.write_credentials([])
        request = parse_request(decode(encode(request_envelope(HEADER, body), PREFIXES, compact=True)))
        assert request.header == HEADER
        assert (request.operation, request.body.tag) == ("ProvisionCredentials", f"{{{SERVICE}}}ProvisionCredentials")

    def test_prefixes(self) -> None:
        """Clients in the field look for the literal prefixes s, b and i:nil."""
        answer = encode(response_envelope("X", operations.write_credentials_result([result_of()]), ID), PREFIXES)
        for name in (b"\x01s\x08Envelope", b"\x01b\x1bSyncCredentialsChangeResult", b"\x01i\x03nil\x98\x04true"):
            assert name in answer

    def test_without_token(self) -> None:
        """A request without SyncToken has an empty token and the zero id."""
        root = request_envelope(HEADER, Element("x"))
        root[0].remove(root[0][1])
        header = parse_request(root).header
        assert (header.token, header.tracking_id) == ("", ID)
        root[0].remove(root[0][1])
        assert parse_request(root).header.tracking_id == UUID(int=0)

    def test_two_ids(self) -> None:
        """A request's tracking id is its token's; the id of the message stands in where there is none."""
        root = request_envelope(HEADER, Element("x"))
        other = UUID(int=7)
        next(found for found in root.iter() if found.tag.endswith("}TrackingId")).text = str(other)
        assert parse_request(root).header.tracking_id == other

    @pytest.mark.parametrize("name", ["Header", "Body"])
    def test_part_missing(self, name: str) -> None:
        """An envelope without header or body is refused."""
        root = request_envelope(HEADER, Element("x"))
        root.remove(next(part for part in root if part.tag == f"{{{SOAP}}}{name}"))
        with pytest.raises(BinaryXmlError, match=name):
            parse_request(root)

    def test_foreign_action(self) -> None:
        """The action must be one of this service."""
        root = request_envelope(HEADER, Element("x"))
        root[0][0].text = "http://example.org/other"
        with pytest.raises(BinaryXmlError, match="action"):
            parse_request(root)

    @pytest.mark.parametrize("read", [parse_request, parse_response])
    def test_no_envelope(self, read: object) -> None:
        """Another root is no message."""
        with pytest.raises(BinaryXmlError, match="envelope"):
            read(Element("x"))  # type: ignore[operator]


class TestFaults:
    def test_details(self) -> None:
        """A fault carries text, number, tracking id and server."""
        root = fault_envelope("Busy & <gone>", code=81, tracking_id="t-1", server="s-1", relates_to=ID)
        with pytest.raises(ServiceFault, match="Busy & <gone>") as caught:
            parse_response(decode(encode(root, PREFIXES)))
        assert (caught.value.code, caught.value.tracking_id, caught.value.server) == (81, "t-1", "s-1")

    def test_details_without_namespace(self) -> None:
        """Details are known by their names alone, also where they are in no namespace."""
        root = fault_envelope("Busy", code=81, tracking_id="t-1", server="s-1")
        for found in root.iter():
            if found.tag.endswith(("}ErrorCode", "}TrackingId", "}ServerName")):
                found.tag = found.tag.rpartition("}")[2]
        with pytest.raises(ServiceFault) as caught:
            parse_response(decode(encode(root, PREFIXES)))
        assert (caught.value.code, caught.value.tracking_id, caught.value.server) == (81, "t-1", "s-1")

    def test_language(self) -> None:
        """The reason has xml:lang."""
        assert b"\x03xml\x04lang\x98\x05en-US" in encode(fault_envelope("x"), PREFIXES)

    def test_redirect(self) -> None:
        """A redirect names the endpoint to go to."""
        with pytest.raises(Redirected) as caught:
            parse_response(decode(encode(fault_envelope("x", redirect="https://r.example/x.svc"), PREFIXES)))
        assert caught.value.url == "https://r.example/x.svc"

    def test_bare_fault(self) -> None:
        """A fault without any detail is a fault all the same."""
        root = fault_envelope("x")
        root[1][0].clear()
        root[1][0].tag = f"{{{SOAP}}}Fault"
        with pytest.raises(ServiceFault) as caught:
            parse_response(root)
        assert caught.value.code is None

    @pytest.mark.parametrize("number", ["", "x", "8" * 50, "-1", "²"])
    def test_garbled_number(self, number: str) -> None:
        """A code that is no number is no code."""
        root = fault_envelope("x", code=1)
        next(found for found in root.iter() if found.tag.endswith("}ErrorCode")).text = number
        with pytest.raises(ServiceFault) as caught:
            parse_response(root)
        assert caught.value.code is None


class TestCredentials:
    @given(ITEMS)
    def test_request(self, items: list[CredentialItem]) -> None:
        """Items are read as they were written, by the general codec and by templates, in any mixture."""
        general = encode(request_envelope(HEADER, operations.write_credentials(items)), PREFIXES, compact=True)
        for data in (general, batch.encode_credentials(HEADER, items)):
            assert operations.read_credentials(parse_request(decode(data)).body) == items
            request, found = batch.decode_request(data)
            assert (request.header, found) == (HEADER, items)

    @given(st.lists(USUAL_ITEMS, max_size=4))
    def test_same_bytes(self, items: list[CredentialItem]) -> None:
        """Templates give the bytes that the general codec gives."""
        general = encode(request_envelope(HEADER, operations.write_credentials(items)), PREFIXES, compact=True)
        assert general == batch.encode_credentials(HEADER, items)

    @given(st.lists(USUAL_ITEMS, min_size=1, max_size=3), st.data())
    def test_garbled(self, items: list[CredentialItem], data: st.DataObject) -> None:
        """Reading by templates refuses what the general reader refuses, and finds the same in all else."""
        garbled = bytearray(batch.encode_credentials(HEADER, items))
        garbled[data.draw(st.integers(0, len(garbled) - 1))] = data.draw(st.integers(0, 255))
        try:
            request = parse_request(decode(bytes(garbled)))
            expected = operations.read_credentials(request.body) if request.body.tag == BODY else []
        except BinaryXmlError:
            with pytest.raises(BinaryXmlError):
                batch.decode_request(bytes(garbled))
        else:
            assert expected == batch.decode_request(bytes(garbled))[1]

    def test_items_in_two_places(self) -> None:
        """Items that stand in the header are not taken for those of the body."""
        item = CredentialItem("A" * 24, None, "C" * 103, datetime(2017, 1, 13, tzinfo=UTC))
        body = operations.write_credentials([item._replace(source_anchor="B" * 24)])
        root = request_envelope(HEADER, body)
        root[0].append(operations.write_credentials([item])[0])
        data = encode(root, PREFIXES, compact=True)
        assert [found.source_anchor for found in batch.decode_request(data)[1]] == ["B" * 24]

    def test_items_of_another_body(self) -> None:
        """The body of another operation stays whole, even if it holds such items."""
        body = operations.write_credentials(
            [CredentialItem("A" * 24, None, "C" * 103, datetime(2017, 1, 13, tzinfo=UTC))]
        )
        body.tag = f"{{{SERVICE}}}Other"
        request, items = batch.decode_request(encode(request_envelope(HEADER, body), PREFIXES, compact=True))
        assert (items, len(request.body[0][0])) == ([], 1)

    def test_results_in_two_places(self) -> None:
        """Results that stand in the header are not taken for those of the body."""
        root = response_envelope("ProvisionCredentials", operations.write_credentials_result([result_of()]))
        root[0].append(operations.write_credentials_result([CredentialResult("B" * 24, None, 2)])[0])
        assert batch.decode_results(encode(root, PREFIXES)) == [result_of()]

    def test_template_under_other_prefixes(self) -> None:
        """Bytes of an item are an item only where b and i mean what they usually mean."""
        item = CredentialItem("A" * 24, None, "C" * 103, datetime(2017, 1, 13, tzinfo=UTC))
        data = batch.encode_credentials(HEADER, [item])
        other = data.replace(COEXISTENCE.encode(), COEXISTENCE[:-1].encode() + b"X")
        with pytest.raises(BinaryXmlError, match="RequestItems"):
            batch.decode_request(other)

    @given(RESULTS)
    def test_answer(self, results: list[CredentialResult]) -> None:
        """Results are read as they were written, by both ways."""
        general = encode(
            response_envelope("ProvisionCredentials", operations.write_credentials_result(results), ID), PREFIXES
        )
        assert general == batch.encode_results(results, ID)
        assert batch.decode_results(general) == results
        assert operations.read_credentials_result(parse_response(decode(general))) == results

    def test_other_operation(self) -> None:
        """Requests of other operations are read whole."""
        header = CallHeader("FinalizeExport", "token", "1", ID)
        body = company.write_call("FinalizeExport", totalExported=3, successfulExportCount=2)
        request, items = batch.decode_request(encode(request_envelope(header, body), PREFIXES))
        assert (items, company.read_call(request.body)) == ([], {"totalExported": "3", "successfulExportCount": "2"})

    def test_ping(self) -> None:
        """A request without items is one, with an empty list."""
        assert batch.decode_request(batch.encode_credentials(HEADER, []))[1] == []

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("ChangeDate", "yesterday"),
            ("ChangeDate", ""),
            ("ChangeDate", "0001-01-01T00:00:00+14:00"),
            ("ForcePasswordChangeOnLogon", "perhaps"),
        ],
    )
    def test_garbled_field(self, name: str, text: str) -> None:
        """A field that can't be read is an error of the message."""
        body = operations.write_credentials([CredentialItem("a", None, "c", datetime(2017, 1, 1, tzinfo=UTC))])
        next(found for found in body.iter() if found.tag.endswith(name)).text = text
        with pytest.raises(BinaryXmlError):
            operations.read_credentials(body)

    def test_no_date(self) -> None:
        """A credential without a date is refused, in words that say what was found."""
        body = operations.write_credentials([CredentialItem("a", None, "c", datetime(2017, 1, 1, tzinfo=UTC))])
        (change,) = body[0][0]
        change.remove(next(found for found in change if found.tag.endswith("}ChangeDate")))
        with pytest.raises(BinaryXmlError, match="'' is not a date"):
            operations.read_credentials(body)

    def test_no_anchor(self) -> None:
        """A credential without an anchor belongs to nobody."""
        body = operations.write_credentials([CredentialItem(None, None, "c", datetime(2017, 1, 1, tzinfo=UTC))])
        with pytest.raises(BinaryXmlError, match="anchor"):
            operations.read_credentials(body)

    @pytest.mark.parametrize("number", ["", "x", "1.0", "9" * 30, "--1"])
    def test_garbled_result(self, number: str) -> None:
        """A result that is no number is an error of the message."""
        body = operations.write_credentials_result([result_of()])
        next(found for found in body.iter() if found.tag.endswith("}Result")).text = number
        with pytest.raises(BinaryXmlError, match="number"):
            operations.read_credentials_result(body)


class TestTimes:
    @given(TIMES)
    def test_round_trip(self, when: datetime) -> None:
        """A time is the same after the wire."""
        assert operations.parse_time(operations.format_time(when)) == when

    def test_form(self) -> None:
        """Times are UTC with a Z, seconds whole where they are."""
        east = timezone(timedelta(hours=2))
        assert operations.format_time(datetime(2017, 1, 13, 11, tzinfo=east)) == "2017-01-13T09:00:00Z"
        assert operations.format_time(datetime(2017, 1, 13, 9, 0, 0, 500, tzinfo=UTC)) == "2017-01-13T09:00:00.000500Z"

    def test_without_zone(self) -> None:
        """A time without a zone is UTC when read, and an error when written."""
        assert operations.parse_time("2017-01-13T09:00:00.1234567") == datetime(2017, 1, 13, 9, 0, 0, 123456, UTC)
        with pytest.raises(ValueError, match="zone"):
            operations.format_time(datetime(2017, 1, 13))  # noqa: DTZ001 - on purpose


class TestObjects:
    @given(
        st.dictionaries(
            TEXTS.filter(lambda name: name != "SourceAnchor"),
            TEXTS
            | st.booleans()
            | st.integers(-(10**17), 10**17)
            | st.binary(max_size=20)
            | st.lists(TEXTS, max_size=3),
            max_size=6,
        ),
        st.sampled_from(["Set", "Add", "Delete"]),
    )
    def test_request(self, attributes: dict[str, object], operation: str) -> None:
        """Attributes of every type are read as they were written."""
        objects = [SyncObject("anchor", "User", operation, attributes)]  # type: ignore[arg-type]
        root = request_envelope(HEADER, operations.write_objects(objects))
        found = operations.read_objects(parse_request(decode(encode(root, PREFIXES, compact=True))).body)
        assert found == objects
        kinds = [type(value) for value in found[0].attributes.values()]
        assert kinds == [type(value) for value in attributes.values()]

    @given(
        st.lists(st.builds(ObjectResult, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS | st.none(), TEXTS | st.none()), max_size=4)
    )
    def test_answer(self, results: list[ObjectResult]) -> None:
        """Results are read as they were written."""
        root = response_envelope("ProvisionAzureADSyncObjects", operations.write_objects_result(results))
        assert operations.read_objects_result(parse_response(decode(encode(root, PREFIXES)))) == results

    def test_no_anchor(self) -> None:
        """An object without an anchor is refused."""
        with pytest.raises(BinaryXmlError, match="SourceAnchor"):
            operations.read_objects(operations.write_objects([SyncObject("")]))


class TestCompany:
    def test_round_trip(self) -> None:
        """The whole configuration goes over the wire."""
        known = CompanyConfiguration(
            tenant_id=str(ID),
            display_name="Contoso & Sons",
            allowed_features="PasswordWriteback",
            anchor_attribute=None,
            application_version="1.1",
            client_version="8.0",
            machine="SYNC01",
            total_connector_space_objects=7,
            is_tracking_changes=False,
            deletion_prevention="Disabled",
            deletion_threshold_count=1,
            deletion_threshold_percentage=2,
            dirsync_features=16385,
            is_dir_syncing=False,
            is_password_syncing=False,
            links_max=1,
            synchronization_interval="PT1H",
        )
        for company_known in (known, CompanyConfiguration(str(ID))):
            root = response_envelope("GetCompanyConfiguration", company.write_company_configuration(company_known))
            found = company.read_company_configuration(parse_response(decode(encode(root, PREFIXES))))
            assert found == company_known

    def test_without_tenant(self) -> None:
        """A configuration that names no tenant is refused."""
        with pytest.raises(BinaryXmlError, match="TenantId"):
            company.read_company_configuration(company.write_company_configuration(CompanyConfiguration("")))

    def test_plain_results(self) -> None:
        """Results of the small operations are one value, or none."""
        assert company.write_value_result("X", True)[0].text == "true"
        assert company.write_empty_result("X")[0].attrib


def result_of() -> CredentialResult:
    return CredentialResult("A" * 24, None, 0)
