"""What a file says of itself beside its pixels: readers that believe nothing and stop in time.

    parts = container.split(content)     the bytes of each piece of metadata, by the container's own structure
    exif, xmp, jumbf, jpeg               one reader a kind: bytes → plain values, or a sentence that says why not
    generators                           values → which program says that it made the picture
    credentials                          a C2PA manifest → one of five outcomes

A stranger wrote these bytes. So every reader has a bound on size, number and depth, follows no reference outside its
own bytes, resolves no entity, opens no address, and returns text as data: it is cut, and made visible (`shown`), before
it stands in a sentence. This is a room of its own, beside `media`, because `media` turns bytes into pixels and fails
where it cannot, while nothing here may ever keep a picture from being analysed.
"""

from __future__ import annotations

from facewitness.phrases import visible

MOST_SHOWN = 80  # characters of a stranger's text in a sentence of ours


def shown(text: str, limit: int = MOST_SHOWN) -> str:
    """A stranger's text for a sentence: in quotation marks, one line, cut, and with what hides written as an escape.

    Args:
        text: A stranger's.
        limit: Characters that are shown.
    """
    cut = text[: limit + 1]
    cut = " ".join(cut.replace("\0", " ").split())
    return f"“{visible(cut[:limit])}{'…' if len(cut) > limit or len(text) > limit + 1 else ''}”"
