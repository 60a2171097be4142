"""The configuration file of the agent's service, ``miiserver.exe.config``: one setting of it is of interest here.

    <configuration>
        <runtime>
            <enforceFIPSPolicy enabled="false"/>
        </runtime>
    </configuration>

Source: the .NET Framework's documentation of the element ``enforceFIPSPolicy``. It counts below ``configuration`` and
``runtime`` and nowhere else; names of elements and attributes are told apart by case, and are taken as they are
written, prefix included. Unconfirmed: ``TRUE`` and ``False`` count as well, any other value says nothing, and of
several elements the last one decides.

The file is read as a stranger's: no document type, so no entities; nothing is fetched; at most :data:`SIZE_MAX` octets.
The parser is Python's own expat, called event by event: nothing is built that could grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

FILE: Final = "miiserver.exe.config"
SIZE_MAX: Final = 1 << 20
"""Octets; a longer file is not read."""

ELEMENT: Final = "enforceFIPSPolicy"
_PLACE: Final = ["configuration", "runtime"]
_FLAGS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class ServiceConfig:
    """What the file says. problem: why it could not be used; then everything is as if there were no file."""

    enforce_fips: bool = True
    problem: str = ""


class _Refused(Exception):
    """The file has what a configuration has no need of."""


class _Reader:
    """Takes the parser's events."""

    def __init__(self) -> None:
        self.enforce_fips = True
        self._path: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == ELEMENT and self._path == _PLACE:
            self.enforce_fips = _FLAGS.get(attributes.get("enabled", "").lower(), self.enforce_fips)
        self._path.append(name)

    def end(self, name: str) -> None:
        self._path.pop()

    def doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        raise _Refused


def read(data: bytes | None) -> ServiceConfig:
    """Read the file's octets; None: there is no file. Never raises: what can't be read is a ``problem``."""
    if data is None:
        return ServiceConfig()
    if len(data) > SIZE_MAX:
        return ServiceConfig(problem=f"it has {len(data)} octets, more than {SIZE_MAX}")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    try:
        parser.Parse(data, True)
    except _Refused:
        return ServiceConfig(problem=f"a document type is declared in line {parser.CurrentLineNumber}")
    except expat.ExpatError as error:
        return ServiceConfig(problem=f"it is not well-formed in line {error.lineno}")
    except (ValueError, LookupError):
        return ServiceConfig(problem="its encoding is not known")
    return ServiceConfig(reader.enforce_fips)
