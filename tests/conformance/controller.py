"""A real domain controller to compare with: Samba's, in a temporary folder, on loopback, with a scripted clock.

Source: Samba's own manuals (samba-tool, smb.conf) and libfaketime's README. Needs root, Linux, the ports of LDAP and
RPC, and Debian's samba-ad-dc, samba-dsdb-modules, python3-samba and libfaketime; :func:`obstacle` says what is missing.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LDAP_PORT, LDAPS_PORT, RPC_PORT = 389, 636, 135
PORTS = (LDAP_PORT, LDAPS_PORT, RPC_PORT, 3268, 3269)
"""Samba takes the global catalog's too, and has none of them elsewhere."""

PYTHON = "/usr/bin/python3"
"""The interpreter that Debian's bindings of Samba belong to."""

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 5
FAKETIME = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
PR_SET_PDEATHSIG = 1

CONFIGURATION = """\
[global]
netbios name = {host}
realm = {realm}
workgroup = {netbios}
server role = active directory domain controller
server services = ldap, rpc
dcerpc endpoint servers = epmapper, drsuapi
interfaces = 127.0.0.1/8
bind interfaces only = yes
ldap server require strong auth = yes
tls enabled = yes
tls keyfile = {place}/key.pem
tls certfile = {place}/cert.pem
tls cafile = {place}/cert.pem
binddns dir = {place}/bind-dns
cache directory = {place}/cache
lock directory = {place}
ncalrpc dir = {place}/ncalrpc
ntp signd socket directory = {place}/ntp_signd
pid directory = {place}
private dir = {place}/private
state directory = {place}/state
winbindd socket directory = {place}/winbindd
log file = {place}/samba.log
logging = file
log level = 0
ldb:nosync = true
"""


class SambaFailed(RuntimeError):
    """Samba could be installed but not set up or started; the text ends with what it said."""


def faketime_library() -> Path | None:
    """libfaketime's single-threaded library, as Debian installs it."""
    found = [path for pattern in FAKETIME for path in Path("/").glob(pattern.removeprefix("/"))]
    return found[0] if found else None


def obstacle() -> str | None:
    """Why Samba cannot be run here, in one line; None if it can."""
    if not sys.platform.startswith("linux"):
        return f"a Samba domain controller runs on Linux, this is {sys.platform}"
    if os.geteuid() != 0:
        return "a Samba domain controller needs root: its ports are below 1024"
    for command in ("samba", "samba-tool"):
        if shutil.which(command, path=_path()) is None:
            return f"{command} is not installed (Debian: samba-ad-dc, samba-dsdb-modules)"
    if faketime_library() is None:
        return "libfaketime is not installed (Debian: libfaketime)"
    bindings = subprocess.run(
        [PYTHON, "-c", "import samba.net, samba.dcerpc.drsuapi"], check=False, capture_output=True
    )
    if bindings.returncode != 0:
        return f"{PYTHON} has no Samba bindings (Debian: python3-samba)"
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as problem:
                return f"port {port} on loopback is not to be had: {problem.strerror}"
    return None


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/bin"))


class Samba:
    """A domain controller as a context manager: provisioned and answering inside, gone without a trace after.

    domain: DNS name. The administrator is CN=Administrator with ``password``. The clock stands still between calls of
    :meth:`set_clock`; what is connected may be cut off by a jump.
    """

    def __init__(self, domain: str, host: str, password: str, now: datetime) -> None:
        self.domain = domain
        self.host = host
        self.password = password
        self.now = now
        self.place = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def netbios(self) -> str:
        """The domain's short name."""
        return self.domain.partition(".")[0].upper()

    @property
    def configuration(self) -> Path:
        """smb.conf of this controller."""
        return self.place / "smb.conf"

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment of every process that shall see the scripted clock."""
        return {
            "PATH": _path(),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.place),
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.place / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "LDB_MODULES_DISABLE_DEEPBIND": "1",
        }

    def set_clock(self, now: datetime) -> None:
        """The time that Samba sees from now on, to the microsecond."""
        self.now = now
        fresh = self.place / "clock.new"
        fresh.write_text(now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))
        fresh.rename(self.place / "clock")

    def __enter__(self) -> Samba:
        memory = Path("/dev/shm")  # a database that is thrown away needs no disk
        roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 28
        self.place = Path(tempfile.mkdtemp(prefix="pwsync-samba-", dir=memory if roomy else None))
        try:
            self.set_clock(self.now)
            self._provision()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        try:
            if process is not None:
                _end(process)
        finally:
            shutil.rmtree(self.place, ignore_errors=True)
            forget_clocks()

    def _provision(self) -> None:
        done = subprocess.run(
            [
                "samba-tool", "domain", "provision", f"--realm={self.domain.upper()}", f"--domain={self.netbios}",
                f"--host-name={self.host}", f"--adminpass={self.password}", f"--targetdir={self.place}",
                "--server-role=dc", "--dns-backend=NONE", "--option=interfaces=127.0.0.1/8",
                "--option=bind interfaces only=yes", "--option=ldb:nosync=true", f"--option=log file={self.place}/log",
            ],
            env=dict(self.environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SambaFailed(f"samba-tool domain provision failed:\n{(done.stdout + done.stderr)[-2000:]}")
        text = CONFIGURATION.format(
            host=self.host.upper(), realm=self.domain.upper(), netbios=self.netbios, place=self.place
        )
        self.configuration.write_text(text)
        _write_certificate(self.place, f"{self.host}.{self.domain}", self.now)

    def _start(self) -> None:
        output = (self.place / "output").open("wb")
        with output:
            self._process = subprocess.Popen(
                ["samba", "-F", "-M", "single", "-s", str(self.configuration), "--debug-stdout"],
                env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, preexec_fn=_die_with_parent,  # noqa: PLW1509 # no thread runs yet
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS_MAX
        while not all(map(_answers, PORTS)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SambaFailed(f"samba does not answer:\n{(self.place / 'output').read_text()[-2000:]}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise SambaFailed if the controller has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise SambaFailed(f"samba has ended:\n{(self.place / 'output').read_text()[-2000:]}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        _signal_group(process, how)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            continue
        break
    _signal_group(process, signal.SIGKILL)


def forget_clocks() -> None:
    """Remove what libfaketime leaves behind in memory for processes that were ended by a signal."""
    for path in Path("/dev/shm").glob("*faketime_s*_*"):  # its place
        pid = path.name.rpartition("_")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)


def _signal_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        return


def _write_certificate(place: Path, name: str, now: datetime) -> None:
    """A self-signed certificate: Samba would otherwise make one of 4096 bits, which takes seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    century = timedelta(days=36500)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + century).sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    path = place / "key.pem"
    path.touch(mode=0o600)  # Samba refuses a key that others can read
    path.write_bytes(private)
    (place / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
