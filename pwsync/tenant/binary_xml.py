"""The .NET binary format for XML: [MC-NBFX] records with the static dictionary of [MC-NBFS].

The provisioning service speaks SOAP in it. A document is a tree of :class:`xml.etree.ElementTree.Element` with names in
Clark notation. Values that the format keeps in binary (numbers, dates, GUIDs, bytes, ...) are read as the text that XML
has for them; the value of ``xsi:type`` is in Clark notation too, because its prefix would mean nothing in a tree.

    decode(data) -> Element
    encode(root, prefixes, compact=False) -> bytes

Every record of the format is read. Comments and prefixes are not kept. Reading is bounded: 16 MiB, 100 elements deep,
65,536 values in arrays.
"""

from __future__ import annotations

from pwsync.tenant.binary_reader import ARRAY_VALUES_MAX, DEPTH_MAX, SIZE_MAX, decode
from pwsync.tenant.binary_writer import encode

__all__ = ["ARRAY_VALUES_MAX", "DEPTH_MAX", "SIZE_MAX", "decode", "encode"]
