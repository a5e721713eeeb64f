"""XMP, read with bounds: the properties of an RDF packet, by their qualified names.

The parser knows no entity and no document type: a packet that declares one is refused, so that ten lines cannot become
gigabytes and no file of this machine can be asked for. Namespaces are resolved by their address, never by the prefix
that a stranger chose (ISO 16684-1).
"""

from __future__ import annotations

from xml.parsers import expat

MOST_BYTES = 4_000_000
MOST_DEPTH = 40
MOST_VALUES = 20_000
MOST_TEXT = 200_000  # characters of one value
MOST_ADDRESS = 1_000  # characters of a namespace's: each name that lies in it is as long
_AT_ONCE = 65_536  # bytes: a parser that is told to stop goes on, deaf, to the end of what it was given

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
XMP = "http://ns.adobe.com/xap/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
DC = "http://purl.org/dc/elements/1.1/"
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
DCTERMS = "http://purl.org/dc/terms/"


class _Refused(Exception):
    """The packet breaks a bound; the sentence is the message."""


def read(packet: bytes) -> tuple[dict[str, tuple[str, ...]], str]:
    """The properties of a packet.

    Args:
        packet: bytes of an XMP packet, with or without its wrapper.

    Returns:
        Namespace address + local name → the property's values, without those inside it; and a sentence that says why
        the packet was not read to its end, empty where it was.
    """
    if not packet:
        return {}, ""
    if len(packet) > MOST_BYTES:
        return {}, f"XMP of {len(packet) / 1e6:,.1f} MB was not read: at most {MOST_BYTES / 1e6:.0f} MB are."
    reader = _Reader()
    try:
        reader.parse(packet.strip(b"\0 \r\n\t\xef\xbb\xbf"))
    except _Refused as refused:
        return reader.values(), str(refused)
    except expat.ExpatError as error:
        return reader.values(), f"The XMP is not XML ({expat.ErrorString(error.code)}, line {error.lineno})."
    except (ValueError, LookupError):  # an encoding that nothing here knows
        return reader.values(), "The XMP is in an encoding that is not known here."
    return reader.values(), ""


class _Reader:
    def __init__(self) -> None:
        self._names: list[str] = []  # open elements
        self._text: list[list[str]] = []
        self._values: dict[str, list[str]] = {}
        self._count = self._length = 0

    def values(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(values) for name, values in self._values.items()}

    def parse(self, packet: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator="\n")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        for at in range(0, len(packet), _AT_ONCE):
            parser.Parse(packet[at : at + _AT_ONCE], False)
        parser.Parse(b"", True)

    def _refuse(self, *_: object) -> int:
        raise _Refused("The XMP declares a document type or an entity, which XMP has none of; it was not read.")

    def _declare(self, _: str | None, address: str | None) -> None:
        if len(address or "") > MOST_ADDRESS:
            raise _Refused(f"The XMP has a namespace of more than {MOST_ADDRESS:,} characters; it was not read on.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.replace("\n", "")
        if len(self._names) >= MOST_DEPTH:
            raise _Refused(f"The XMP is nested deeper than {MOST_DEPTH}; it was not read further.")
        self._names.append(name)
        self._text.append([])
        for key, value in attributes.items():
            key = key.replace("\n", "")
            if key == RDF + "resource":
                self._keep(self._property(), value)
            elif not key.startswith((RDF, "http://www.w3.org/XML/1998/namespace")):
                self._keep(key, value)

    def _end(self, name: str) -> None:
        text = "".join(self._text.pop()).strip()
        if text:
            self._keep(self._property(), text)
        self._names.pop()

    def _characters(self, text: str) -> None:
        if self._text and (room := MOST_TEXT - self._length) > 0:
            self._text[-1].append(text[:room])
            self._length += len(text)

    def _property(self) -> str:
        """The innermost open element that is a property and no part of RDF's lists."""
        return next((name for name in reversed(self._names) if not name.startswith(RDF)), "")

    def _keep(self, name: str, value: str) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            raise _Refused(f"The XMP holds more than {MOST_VALUES:,} values; it was not read further.")
        self._length = 0
        self._values.setdefault(name, []).append(value[:MOST_TEXT])
