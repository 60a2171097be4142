"""A server that is locked to FIPS algorithms: the file that exempts the service from it, and what fails without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwsync import fips, service_config
from pwsync.agent import SyncAgent
from pwsync.errors import FipsError
from pwsync.fips import ServerCrypto
from pwsync.ports import ServerPort
from pwsync.service_config import SIZE_MAX, ServiceConfig, read
from pwsync.settings import BUILD_2017, BUILD_CURRENT
from simulator.server import Server, config_text

EXEMPT = '<enforceFIPSPolicy enabled="false"/>'


def document(inside: str, before: str = "") -> bytes:
    return f"{before}<configuration><runtime>{inside}</runtime></configuration>".encode()


class TestFile:
    def test_without_a_file(self) -> None:
        """Without a file the policy holds, and nothing is wrong."""
        assert read(None) == ServiceConfig(enforce_fips=True, problem="")

    @pytest.mark.parametrize(
        ("inside", "enforced"),
        [
            ("", True),
            (EXEMPT, False),
            (f"<gcServer enabled='true'/>{EXEMPT}<!-- the end -->", False),
            ('<enforceFIPSPolicy  other="1"  enabled = "FALSE" ></enforceFIPSPolicy>', False),
            ('<enforceFIPSPolicy enabled="fal&#115;e"/>', False),
            ('<enforceFIPSPolicy enabled="true"/>', True),
            ('<enforceFIPSPolicy enabled=" false"/>', True),
            ('<enforceFIPSPolicy enabled=""/>', True),
            ("<enforceFIPSPolicy/>", True),
            (EXEMPT + '<enforceFIPSPolicy enabled="TRUE"/>', True),
            (EXEMPT + '<enforceFIPSPolicy enabled="maybe"/>', False),
            (f"<runtime>{EXEMPT}</runtime>", True),
            (EXEMPT.replace("enforceFIPSPolicy", "enforceFipsPolicy"), True),
            (EXEMPT.replace("enabled", "ENABLED"), True),
            (EXEMPT.replace("<e", "<x:e"), True),
            (f"<!-- {EXEMPT} -->", True),
            (f"<![CDATA[{EXEMPT}]]>", True),
            (f"<?x {EXEMPT} ?>", True),
        ],
    )
    def test_what_counts(self, inside: str, enforced: bool) -> None:
        """Only the element itself, in its place and its letters, says anything; of several the last one decides."""
        assert read(document(inside)) == ServiceConfig(enforced)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
    def test_encodings(self, encoding: str) -> None:
        """The file is read in the encoding that it names."""
        text = document(f"<!-- é -->{EXEMPT}", f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>')
        assert read(text.decode().encode(encoding)) == ServiceConfig(enforce_fips=False)

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (b"", "not well-formed in line 1"),
            (b"\x00" * 100, "not well-formed in line 1"),
            (b"\n\nenforceFIPSPolicy = false", "not well-formed in line 3"),
            (document(EXEMPT)[:-1], "not well-formed"),
            (document(EXEMPT) * 2, "not well-formed"),
            (document("\ud800\udc00".encode("utf-8", "surrogatepass").decode("latin-1")), ""),
            (document("") + b"\xff", "not well-formed"),
            (document("&x;"), "not well-formed"),
            (document(EXEMPT, "<!DOCTYPE configuration>"), "document type is declared in line 1"),
            (document(EXEMPT, '\n<!DOCTYPE c SYSTEM "http://nowhere.example/c.dtd">'), "declared in line 2"),
            (document("&x;", '<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), "document type"),
            (document("&x;", '<!DOCTYPE c [<!ENTITY % p SYSTEM "http://nowhere.example/p"> %p;]>'), "document type"),
            (document(EXEMPT, '<?xml version="1.0" encoding="klingon"?>'), "encoding is not known"),
            (document(EXEMPT, '<?xml version="1.0" encoding="utf-7"?>'), "encoding is not known"),
            (document(EXEMPT, '<?xml version="1.0" encoding="hex"?>'), "encoding is not known"),
            (document(EXEMPT, '<?xml version="1.0" encoding="utf-16"?>'), "not well-formed"),
            (document(EXEMPT + " " * SIZE_MAX), "octets, more than"),
            (b"<a>" * 300_000, "not well-formed"),
        ],
    )
    def test_unusable(self, data: bytes, problem: str) -> None:
        """What can't be read says why, and exempts nobody."""
        found = read(data)
        assert problem in found.problem
        assert found.enforce_fips

    def test_entity_bomb(self) -> None:
        """Entities that would grow to gigabytes are not even declared."""
        lines = ['<!ENTITY l0 "lol">']
        lines += [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12)]
        found = read(document(f"&l11;{EXEMPT}", f"<!DOCTYPE c [{''.join(lines)}]>"))
        assert found == ServiceConfig(problem="a document type is declared in line 1")

    def test_deep_and_wide(self) -> None:
        """Depth and number of elements are bounded by the file's size alone."""
        assert read(document("<a>" * 100_000 + "</a>" * 100_000 + EXEMPT)) == ServiceConfig(enforce_fips=False)
        assert read(document("<a/>" * 200_000 + EXEMPT)) == ServiceConfig(enforce_fips=False)

    @given(st.binary(max_size=300) | st.text("<>/!-[]&;= \"'aeC\n", max_size=200).map(document))
    def test_any_octets(self, data: bytes) -> None:
        """No octets make it raise; garbage never exempts."""
        found = read(data)
        assert found.enforce_fips or EXEMPT.encode() in data

    @given(st.lists(st.sampled_from(["configuration", "runtime", "Runtime", "x"]), max_size=4))
    def test_place(self, path: list[str]) -> None:
        """The element counts directly below configuration/runtime, and below nothing else."""
        opened = "".join(f"<{name}>" for name in path)
        closed = "".join(f"</{name}>" for name in reversed(path))
        assert read(f"{opened}{EXEMPT}{closed}".encode()).enforce_fips == (path != ["configuration", "runtime"])


class TestServer:
    def test_crypto(self) -> None:
        """A locked server's MD5 can't be constructed; another's is MD5."""
        assert ServerCrypto(locked=False).md5(b"abc").digest().hex() == "900150983cd24fb0d6963f7d28e17f72"
        with pytest.raises(FipsError, match=r"System\.InvalidOperationException: .* FIPS validated") as caught:
            ServerCrypto(locked=True).md5(b"abc")
        assert caught.value.frame == "System.Security.Cryptography.MD5CryptoServiceProvider..ctor()"

    @pytest.mark.parametrize("policy", [False, True])
    @pytest.mark.parametrize("exempt", [None, False, True])
    def test_policy_and_file(self, policy: bool, exempt: bool | None) -> None:
        """MD5 can't be had where the policy is on and the file does not say otherwise."""
        server = Server(file_at_boot=False)
        server.fips, server.config = policy, config_text(None if exempt is None else not exempt)
        crypto, problem = fips.crypto_of(server.port())
        assert (fips.is_locked(crypto), problem) == (policy and not exempt, "")

    def test_file_at_boot(self) -> None:
        """Where a boot is needed a process gets the file of the last one."""
        server = Server(file_at_boot=True)
        server.fips, server.config = True, config_text(enforce_fips=False)
        assert fips.is_locked(fips.crypto_of(server.port())[0])
        server.boot()
        assert not fips.is_locked(fips.crypto_of(server.port())[0])

    def test_unreadable_file(self) -> None:
        """A file that can't be opened is a problem, and exempts nobody."""

        def denied() -> bytes:
            raise PermissionError("access denied")

        crypto, problem = fips.crypto_of(ServerPort(denied, lambda enforce: ServerCrypto(locked=enforce)))
        assert (fips.is_locked(crypto), problem) == (True, "it can't be read: access denied")

    def test_paths(self) -> None:
        """The file has moved since 2017."""
        assert fips.config_path(BUILD_2017) == r"%programfiles%\Azure AD Sync\Bin\miiserver.exe.config"
        assert fips.config_path(BUILD_CURRENT) == r"%programfiles%\Microsoft Azure AD Sync\Bin\miiserver.exe.config"

    def test_file_as_it_is_written(self) -> None:
        """What the set-up and an administrator write is what the product reads."""
        assert [read(config_text(flag)) for flag in (None, True, False)] == [
            ServiceConfig(), ServiceConfig(), ServiceConfig(enforce_fips=False),
        ]  # fmt: skip


class TestAgent:
    def on(self, lab: Any, server: Server) -> SyncAgent:
        agent = SyncAgent(replace(lab.ports(), server=server.port()), lambda ports: (lab.tenant, lab.tenant))
        lab.agents.append(agent)
        return agent

    @pytest.mark.parametrize(("build", "event"), [(BUILD_2017, 611), (BUILD_CURRENT, 667)])
    def test_fails_until_exempted(self, lab: Any, build: Any, event: int) -> None:
        """Each cycle with a password to open fails as a whole, and names the class; exempted, all go out in order."""
        lab.settings.build = build
        server = Server(file_at_boot=False)
        server.fips = True
        for name in ("alice", "bob"):
            lab.domain.add(name)
        agent = self.on(lab, server)
        agent.install()
        agent.start()
        lab.run(agent, 3)
        failed = [each for each in lab.events if each.id in (611, 667)]
        assert [(each.id, each.level) for each in failed] == [(event, "error")] * 2
        assert failed[0].domain == "contoso.example"
        assert "MD5CryptoServiceProvider..ctor()" in failed[0].text
        assert "not part of the Windows Platform FIPS validated" in failed[0].text
        assert (lab.received(), agent.pending()) == ([], [])
        server.config = config_text(enforce_fips=False)
        lab.run(agent, 2)
        assert lab.received() == []
        agent.stop()
        agent.start()
        agent.run_due()
        assert lab.received() == ["alice", "bob"]

    def test_nothing_to_open(self, lab: Any) -> None:
        """Where no password has changed nothing fails: the key is made when it is needed."""
        lab.domain.add("alice")
        lab.settled().close()
        server = Server(file_at_boot=False)
        server.fips = True
        agent = self.on(lab, server)
        agent.start()
        lab.run(agent, 4)
        assert [event.id for event in lab.events if event.level != "information"] == []

    def test_who_was_pending(self, lab: Any) -> None:
        """One who was pending when the process ended waits on, and goes out once MD5 can be had again."""
        lab.domain.add("alice")
        agent = lab.settled()
        lab.tenant.results[lab.anchor("alice")] = 9
        lab.domain.set_password("alice", "Spring-2017!")
        lab.run(agent)
        agent.close()
        server = Server(file_at_boot=False)
        server.fips = True
        lab.tenant.results.clear()
        agent = self.on(lab, server)
        agent.start()
        lab.run(agent, 2)
        assert (lab.names(agent.pending()), lab.received()) == (["alice"], [])
        server.fips = False
        agent.stop()
        agent.start()
        agent.run_due()
        assert lab.holds("alice", "Spring-2017!")

    def test_unusable_file_is_told_once_a_start(self, lab: Any) -> None:
        """A start says what is wrong with the file, and the service runs."""
        server = Server(file_at_boot=False)
        server.config = b"<configuration>"
        lab.domain.add("alice")
        agent = self.on(lab, server)
        agent.install()
        agent.start()
        lab.run(agent, 5)
        (told,) = [event for event in lab.events if event.level == "warning"]
        assert told.text.startswith(
            rf"The configuration file %programfiles%\Azure AD Sync\Bin\{service_config.FILE} can't be used: it is not "
            "well-formed in line 1. "
        )
        assert lab.received() == ["alice"]
