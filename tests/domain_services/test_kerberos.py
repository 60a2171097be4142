"""The managed domain's KDC, message by message, against minikerberos' messages, keys and ciphers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from domain_services.logon_lab import APRIL, DOMAIN, NETBIOS, PASSWORD, REALM, lookup
from hypothesis import given
from hypothesis import strategies as st
from minikerberos.protocol import asn1_structs as other
from minikerberos.protocol import encryption as other_crypto

from pwsync.credential import nt_hash
from simulator.active_directory.supplemental import aes_keys, kerberos_keys
from simulator.domain_services import der, kerberos, kerberos_client
from simulator.domain_services import kerberos_crypto as crypto
from simulator.domain_services import kerberos_messages as messages
from simulator.domain_services import kerberos_replies as replies
from simulator.domain_services.der import Garbled
from simulator.domain_services.kerberos_client import SignOnFailed
from simulator.domain_services.kerberos_messages import Encrypted, Name, Request
from simulator.random import Randomness

NOW = datetime(2017, 1, 13, 9, 0, 0, 250000, tzinfo=UTC)
KINDS = (crypto.AES256, crypto.AES128, crypto.RC4)
SERVICE = Name(messages.NT_SRV_INST, ("krbtgt", REALM))


def clock():
    """The domain's time."""
    return NOW


@pytest.fixture
def centre():
    """A KDC of the lab's people."""
    return kerberos.KeyDistributionCenter(DOMAIN, lookup, clock, Randomness(1), netbios=NETBIOS)


def sign_on(centre, name="april", password=PASSWORD, *, kinds=KINDS, at=NOW):
    """An exchange with our own client."""
    return kerberos_client.sign_on(centre.answer, REALM, name, password, lambda: at, Random(1), kinds=kinds)


def request(name="april", kind=messages.NT_PRINCIPAL, **changes):
    """A first request, without a proof."""
    first = Request(Name(kind, (name,)), REALM, SERVICE, NOW + timedelta(days=1), 7, KINDS)
    return replace(first, **changes)


def proof(password=PASSWORD, kind=crypto.AES256, at=NOW):
    """The pre-authentication data of a timestamp under April's key."""
    key = kerberos_client.password_key(kind, password, APRIL.salt)
    cipher = crypto.encrypt(kind, key, crypto.AS_REQ_TIMESTAMP, messages.write_timestamp(at), Random(1))
    return ((messages.PA_ENC_TIMESTAMP, messages.write_encrypted(Encrypted(kind, cipher))),)


def code(centre, asked):
    """The error code of the answer."""
    return messages.read_error(centre.answer(messages.write_request(asked))).code


def opened(centre, asked, kind=crypto.AES256):
    """The reply, and the part of it under the client's key."""
    reply = replies.read_reply(centre.answer(messages.write_request(asked)))
    key = kerberos_client.password_key(kind, PASSWORD, APRIL.salt)
    return reply, crypto.decrypt(kind, key, crypto.AS_REP, reply.part.cipher)


class TestVectors:
    @pytest.mark.parametrize(
        ("octets", "size", "folded"),
        [
            (b"012345", 8, "be072631276b1955"),
            (b"password", 7, "78a07b6caf85fa"),
            (b"Rough Consensus, and Running Code", 8, "bb6ed30870b7f0e0"),
            (b"password", 21, "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e"),
            (b"MASSACHVSETTS INSTITVTE OF TECHNOLOGY", 24, "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b"),
            (b"Q", 21, "518a54a2 15a8452a 518a54a2 15a8452a 518a54a2 15"),
            (b"kerberos", 8, "6b65726265726f73"),
            (b"kerberos", 16, "6b65726265726f737b9b5b2b93132b93"),
        ],
    )
    def test_n_fold(self, octets, size, folded):
        """[RFC3961] A.1."""
        assert crypto.n_fold(octets, size) == bytes.fromhex(folded)

    @pytest.mark.parametrize(
        ("size", "cipher"),
        [
            (17, "c6353568f2bf8cb4d8a580362da7ff7f97"),
            (31, "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5"),
            (32, "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584"),
            (47, "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5"),
            (48, "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8"),
            (64, "97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a84807efe836ee89a526730dbc2f7bc8409d"
                 "ad8bbb96c4cdc03bc103e1a194bbd8"),
        ],
    )  # fmt: skip
    def test_ciphertext_stealing(self, size, cipher):
        """[RFC3962] B."""
        text = b"I would like the General Gau's Chicken, please, and wonton soup."[:size]
        assert crypto._cts_encrypt(b"chicken teriyaki", text).hex() == cipher
        assert crypto._cts_decrypt(b"chicken teriyaki", bytes.fromhex(cipher)) == text

    @pytest.mark.parametrize(
        ("iterations", "weak", "strong"),
        [
            (1, "42263c6e89f4fc28b8df68ee09799f15", "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161"),
            (1200, "4c01cd46d632d01e6dbe230a01ed642a",
             "55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a"),
        ],
    )  # fmt: skip
    def test_keys_of_passwords(self, iterations, weak, strong):
        """[RFC3962] B: string-to-key, of which the client's keys are made."""
        assert aes_keys(b"password", b"ATHENA.MIT.EDUraeburn", iterations) == (
            bytes.fromhex(strong),
            bytes.fromhex(weak),
        )

    def test_keys_of_the_product(self):
        """April's keys, as a domain has them."""
        keys = kerberos_keys(PASSWORD, "ADATUM.COMApril")
        assert keys[crypto.AES256].hex() == "3a3b6a89bb82d112db5ef68f6db5d1afc2b806df61dcd85e3eacf3b85ee382d8"
        assert keys[crypto.AES128].hex() == "a72c8bc96c4a6f03244f0b0067a1e440"


class TestCiphers:
    @given(kind=st.sampled_from(KINDS), plain=st.binary(max_size=100), usage=st.integers(0, 30), seed=st.integers(0, 9))
    def test_like_another_library(self, kind, plain, usage, seed):
        """What one encrypts the other decrypts, for every usage."""
        key = Random(seed).randbytes(crypto.KEY_SIZES[kind])
        theirs = other_crypto.Key(kind, key)
        assert other_crypto.decrypt(theirs, usage, crypto.encrypt(kind, key, usage, plain, Random(2))) == plain
        assert crypto.decrypt(kind, key, usage, other_crypto.encrypt(theirs, usage, plain)) == plain

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("usage", [crypto.AS_REQ_TIMESTAMP, crypto.TICKET, crypto.AS_REP, 23])
    def test_usages(self, kind, usage):
        """The usages that matter here are numbered as elsewhere; RC4 numbers some otherwise."""
        key = Random(3).randbytes(crypto.KEY_SIZES[kind])
        theirs = other_crypto.encrypt(other_crypto.Key(kind, key), usage, b"text")
        assert crypto.decrypt(kind, key, usage, theirs) == b"text"

    @given(kind=st.sampled_from(KINDS), cipher=st.binary(max_size=80))
    def test_garbled(self, kind, cipher):
        """What this key did not make is not read."""
        with pytest.raises(crypto.Unreadable):
            crypto.decrypt(kind, bytes(crypto.KEY_SIZES[kind]), 1, cipher)

    @given(kind=st.sampled_from(KINDS), at=st.integers(0, 200), bit=st.integers(0, 7))
    def test_any_bit(self, kind, at, bit):
        """One bit changed, wherever: it is noticed."""
        key = bytes(crypto.KEY_SIZES[kind])
        bent = bytearray(crypto.encrypt(kind, key, 3, b"twenty octets, or so", Random(1)))
        bent[at % len(bent)] ^= 1 << bit
        with pytest.raises(crypto.Unreadable):
            crypto.decrypt(kind, key, 3, bytes(bent))

    def test_another_usage(self):
        """A ciphertext for one use is none for another."""
        for kind in KINDS:
            key = bytes(crypto.KEY_SIZES[kind])
            with pytest.raises(crypto.Unreadable):
                crypto.decrypt(kind, key, 2, crypto.encrypt(kind, key, 1, b"text", Random(1)))


class TestSignOn:
    @pytest.mark.parametrize("name", ["april", "APRIL", f"april@{DOMAIN}", f"{NETBIOS}\\april"])
    @pytest.mark.parametrize("kinds", [KINDS, *((kind,) for kind in KINDS)])
    def test_with_every_key(self, centre, kinds, name):
        """AES and RC4 keys sign on, under every form of the name."""
        part = sign_on(centre, name, kinds=kinds)
        assert part.realm == REALM
        assert part.flags & messages.INITIAL
        assert part.flags & messages.PRE_AUTHENT

    def test_hash_without_keys(self, centre):
        """Who came with the hash alone signs on by RC4, and is told that it is RC4."""
        assert sign_on(centre, "rita")
        with pytest.raises(SignOnFailed) as failed:
            sign_on(centre, "rita", kinds=(crypto.AES256, crypto.AES128))
        assert failed.value.error.code == kerberos.ETYPE_NOSUPP

    def test_letters_beyond_ascii(self, centre):
        """Names and passwords may have any letters."""
        assert sign_on(centre, "Jürgen", "Pässwörd–ß")

    @pytest.mark.parametrize(
        ("name", "password", "expected"),
        [
            ("april", "wrong", kerberos.PREAUTH_FAILED),
            ("april", "", kerberos.PREAUTH_FAILED),
            ("rita", "wrong", kerberos.PREAUTH_FAILED),
            ("nina", PASSWORD, kerberos.NULL_KEY),
            ("bob", PASSWORD, kerberos.C_PRINCIPAL_UNKNOWN),
            ("", PASSWORD, kerberos.C_PRINCIPAL_UNKNOWN),
            ("dora", PASSWORD, kerberos.CLIENT_REVOKED),
            ("dora", "wrong", kerberos.CLIENT_REVOKED),
        ],
    )
    def test_is_refused(self, centre, name, password, expected):
        """Who may not sign on gets the KDC's error."""
        with pytest.raises(SignOnFailed) as failed:
            sign_on(centre, name, password)
        assert failed.value.error.code == expected

    def test_salt_in_another_case(self, centre):
        """Keys salted with another case of the name are other keys."""
        key = kerberos_keys(PASSWORD, REALM + "april")[crypto.AES256]
        assert key != APRIL.keys[crypto.AES256]
        cipher = crypto.encrypt(crypto.AES256, key, 1, messages.write_timestamp(NOW), Random(1))
        wrong = ((messages.PA_ENC_TIMESTAMP, messages.write_encrypted(Encrypted(crypto.AES256, cipher))),)
        assert code(centre, request(data=wrong)) == kerberos.PREAUTH_FAILED

    @pytest.mark.parametrize(("seconds", "taken"), [(300, True), (-300, True), (300.001, False), (-301, False)])
    def test_clocks(self, centre, seconds, taken):
        """A client's clock may be five minutes off, in either direction."""
        asked = request(data=proof(at=NOW + timedelta(seconds=seconds)))
        answer = centre.answer(messages.write_request(asked))
        assert der.application_number(answer) == (messages.AS_REP if taken else messages.KRB_ERROR)
        assert taken or messages.read_error(answer).code == kerberos.SKEW

    def test_repeats(self):
        """The same seed gives the same octets."""
        answers = []
        for _ in range(2):
            centre = kerberos.KeyDistributionCenter(DOMAIN, lookup, clock, Randomness(5))
            answers.append(centre.answer(messages.write_request(request(data=proof()))))
        assert answers[0] == answers[1]

    def test_reply_of_a_stranger(self, centre):
        """The client notices a KDC that does not know the password, and a reply to another request."""
        answer = centre.answer(messages.write_request(request(data=proof())))
        with pytest.raises(Garbled, match="password's key"):
            kerberos_client._opened(answer, bytes(32), 7)
        with pytest.raises(Garbled, match="not to this request"):
            kerberos_client._opened(answer, APRIL.keys[crypto.AES256], 8)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, kerberos.PREAUTH_REQUIRED),
            ({"version": 4}, kerberos.BAD_PVNO),
            ({"message": messages.TGS_REQ}, kerberos.SVC_UNAVAILABLE),
            ({"realm": "ELSEWHERE.COM"}, kerberos.WRONG_REALM),
            ({"realm": ""}, kerberos.WRONG_REALM),
            ({"server": None}, kerberos.S_PRINCIPAL_UNKNOWN),
            ({"server": Name(2, ("krbtgt",))}, kerberos.S_PRINCIPAL_UNKNOWN),
            ({"server": Name(2, ("krbtgt", "ELSEWHERE.COM"))}, kerberos.S_PRINCIPAL_UNKNOWN),
            ({"server": Name(2, ("ldap", "dc1.adatum.com"))}, kerberos.S_PRINCIPAL_UNKNOWN),
            ({"client": None}, kerberos.C_PRINCIPAL_UNKNOWN),
            ({"client": Name(1, ())}, kerberos.C_PRINCIPAL_UNKNOWN),
            ({"client": Name(1, ("april", "admin"))}, kerberos.C_PRINCIPAL_UNKNOWN),
            ({"kinds": ()}, kerberos.ETYPE_NOSUPP),
            ({"kinds": (1, 3, 20, -135)}, kerberos.ETYPE_NOSUPP),
            ({"data": proof(kind=crypto.AES256), "kinds": (crypto.RC4,)}, kerberos.ETYPE_NOSUPP),
            ({"data": proof(), "until": NOW - timedelta(seconds=1)}, kerberos.NEVER_VALID),
            ({"data": ((messages.PA_ENC_TIMESTAMP, b""),)}, kerberos.GENERIC),
        ],
    )
    def test_code(self, centre, changes, expected):
        """What is asked for wrongly is answered by the code for it."""
        assert code(centre, request(**changes)) == expected

    def test_says_which_keys(self, centre):
        """The demand for pre-authentication names types of keys in the client's order, and salts."""
        asked = request(kinds=(99, crypto.RC4, crypto.AES256, crypto.RC4))
        error = messages.read_error(centre.answer(messages.write_request(asked)))
        known = messages.read_methods(error.data)
        assert messages.read_etype_info(known[messages.PA_ETYPE_INFO2]) == [(23, None), (18, APRIL.salt)]
        assert known[messages.PA_ENC_TIMESTAMP] == b""
        assert (error.client, error.client_realm, error.at) == (asked.client, REALM, NOW)

    def test_says_what_is_known(self, centre):
        """Who asks for a service's ticket hears that there are none."""
        error = messages.read_error(centre.answer(messages.write_request(request(message=messages.TGS_REQ))))
        assert "AS exchange alone" in error.text


class TestTicket:
    def test_name_as_asked_for(self, centre):
        """Without canonicalization the reply has the client's spelling, with it the account's name."""
        plain, _ = opened(centre, request(data=proof()))
        canonical, _ = opened(centre, request(data=proof(), options=messages.CANONICALIZE))
        enterprise, _ = opened(centre, request(f"april@{DOMAIN}", messages.NT_ENTERPRISE, data=proof()))
        assert [str(each.client) for each in (plain, canonical, enterprise)] == ["april", "April", "April"]

    @pytest.mark.parametrize("realm", [REALM.lower(), NETBIOS])
    def test_realm(self, centre, realm):
        """Other names of the realm are taken, and answered by its own."""
        reply, _ = opened(centre, request(realm=realm, data=proof()))
        assert reply.client_realm == reply.realm == REALM

    @pytest.mark.parametrize(
        ("until", "hours"),
        [(NOW + timedelta(hours=1), 1), (NOW + timedelta(days=30), 10), (None, 10), (kerberos._EPOCH, 10)],
    )
    def test_life(self, centre, until, hours):
        """A ticket lives as long as asked for, ten hours at most."""
        _, part = opened(centre, request(data=proof(), until=until))
        assert replies.read_reply_part(part).until == (NOW + timedelta(hours=hours)).replace(microsecond=0)

    def test_another_library_reads_it(self, centre):
        """Every part of the reply is what minikerberos takes it for; the ticket is under the domain's own key."""
        options = messages.RENEWABLE | messages.FORWARDABLE
        asked = request(data=proof(), options=options, renew_until=NOW + timedelta(days=30))
        octets = centre.answer(messages.write_request(asked))
        reply, part = opened(centre, asked)
        theirs = other.AS_REP.load(octets, strict=True).native
        assert theirs["cname"] == {"name-type": 1, "name-string": ["april"]}
        assert theirs["ticket"]["sname"]["name-string"] == ["krbtgt", REALM]
        assert theirs["ticket"]["enc-part"]["etype"] == crypto.AES256
        inner = other.EncASRepPart.load(part, strict=True).native
        assert inner["nonce"] == 7
        assert inner["flags"] == {"forwardable", "renewable", "initial", "pre-authent"}
        assert inner["renew-till"] == NOW.replace(microsecond=0) + timedelta(days=7)
        assert inner["sname"]["name-string"] == ["krbtgt", REALM]
        sealed = crypto.decrypt(crypto.AES256, centre._ticket_key, crypto.TICKET, reply.ticket.cipher)
        ticket = other.EncTicketPart.load(sealed, strict=True).native
        assert ticket["key"] == inner["key"]
        assert ticket["cname"]["name-string"] == ["april"]
        assert ticket["endtime"] == NOW.replace(microsecond=0) + timedelta(hours=10)

    def test_another_library_reads_errors(self, centre):
        """So is an error."""
        error = other.KRB_ERROR.load(centre.answer(messages.write_request(request())), strict=True).native
        assert (error["error-code"], error["susec"]) == (kerberos.PREAUTH_REQUIRED, 250000)
        asked = [each["padata-type"] for each in other.METHOD_DATA.load(error["e-data"], strict=True).native]
        assert asked == [messages.PA_ETYPE_INFO2, messages.PA_ENC_TIMESTAMP]


names = st.builds(
    Name, st.integers(-200, 200), st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3).map(tuple)
)
times = st.integers(0, 250_000_000_000).map(lambda seconds: kerberos._EPOCH + timedelta(seconds=seconds))
numbers = st.integers(-(2**31), 2**31 - 1)
requests = st.builds(
    Request,
    client=st.none() | names,
    realm=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    server=st.none() | names,
    until=st.none() | times,
    nonce=numbers,
    kinds=st.lists(numbers, max_size=5).map(tuple),
    options=st.integers(0, 2**32 - 1),
    renew_until=st.none() | times,
    data=st.lists(st.tuples(numbers, st.binary(max_size=300)), max_size=3).map(tuple),
    message=st.sampled_from([messages.AS_REQ, messages.TGS_REQ]),
)


class TestMessages:
    @given(requests)
    def test_round_trip(self, asked):
        """What is written is read again as it was."""
        assert messages.read_request(messages.write_request(asked)) == asked

    @given(requests.filter(lambda asked: asked.until is not None))
    def test_another_library_reads_it(self, asked):
        """Another library reads it so, too."""
        kind = other.AS_REQ if asked.message == messages.AS_REQ else other.TGS_REQ
        theirs = kind.load(messages.write_request(asked), strict=True).native
        assert theirs["req-body"]["etype"] == list(asked.kinds)
        assert theirs["req-body"]["nonce"] == asked.nonce
        assert theirs["req-body"]["realm"] == asked.realm
        assert theirs["req-body"]["till"] == asked.until

    @given(octets=st.binary(max_size=200))
    def test_garbled(self, octets):
        """Whatever comes is read, or it is garbled; a KDC says nothing to what does not begin like a request."""
        centre = kerberos.KeyDistributionCenter(DOMAIN, lookup, clock, Randomness(1))
        for read in (messages.read_error, replies.read_reply, replies.read_reply_part, messages.read_timestamp):
            with pytest.raises(Garbled):
                read(octets)
        begun = bytes((0x6A,)) + octets
        assert messages.read_error(centre.answer(begun)).code == kerberos.GENERIC
        if octets[:1] not in (b"\x6a", b"\x6c"):
            assert centre.answer(octets) is None

    @given(at=st.integers(0, 1000), octet=st.integers(0, 255), cut=st.booleans())
    def test_bent(self, at, octet, cut):
        """A request with another octet, or that breaks off, has an answer or silence."""
        centre = kerberos.KeyDistributionCenter(DOMAIN, lookup, clock, Randomness(1))
        whole = bytearray(messages.write_request(request(data=proof())))
        if cut:
            del whole[at % len(whole) :]
        else:
            whole[at % len(whole)] = octet
        answer = centre.answer(bytes(whole))
        assert answer is None or der.application_number(answer) in (messages.AS_REP, messages.KRB_ERROR)

    @pytest.mark.parametrize("length", [b"\x80", b"\x84\xff\xff\xff\xff", b"\x85\x01\0\0\0\0", b"\xff", b"\x84\0"])
    def test_lengths(self, length):
        """Lengths that are indefinite, or beyond what there is, are garbled."""
        with pytest.raises(Garbled):
            messages.read_request(b"\x6a" + length + b"\x30\0")

    def test_what_does_not_belong(self):
        """Something behind a message, a field twice, another type within, or too many microseconds: garbled."""
        whole = messages.write_request(request())
        with pytest.raises(Garbled, match="follows"):
            messages.read_request(whole + b"\0")
        with pytest.raises(Garbled, match="twice"):
            der.fields(der.sequence((0, der.integer(1)), (0, der.integer(1))))
        with pytest.raises(Garbled, match="two message types"):
            messages.read_request(bytes((0x6C,)) + whole[1:])
        late = der.sequence((0, der.time(NOW)), (1, der.integer(1_000_000)))
        with pytest.raises(Garbled, match="microseconds"):
            messages.read_timestamp(late)

    @pytest.mark.parametrize("text", ["20170113090000", "2017011309000Z", "20171313090000Z", "00000101000000Z",
                                      "2017-01-13T0900", "١٢٣٤٥٦٧Z", ""])  # fmt: skip
    def test_times(self, text):
        """What is no time is garbled."""
        with pytest.raises(Garbled):
            der.read_time(der.tlv(der.TIME, text.encode()))

    def test_hash_is_a_key(self):
        """The NT hash is the key for RC4; keys of other types than the KDC knows are left out."""
        strange = replace(APRIL, keys={**APRIL.keys, 3: bytes(8)})
        assert kerberos.keys_of(strange) == {**APRIL.keys, crypto.RC4: nt_hash(PASSWORD)}
