"""What a file is that is neither a picture nor a film to us, by its first bytes or its name, for messages."""

from __future__ import annotations

import contextlib
from pathlib import Path

from facewitness import tiff
from facewitness.stills import HEIF_BRANDS, kind_of

KNOWN_BY = 4096  # bytes from which `no_picture` tells

_CONVERT, _RAW = "convert it to JPEG first", "a camera's raw file; export it as JPEG or TIFF first"
_VIDEO = "a film of a kind that is not read; convert it to MP4 first"
_FILM = "a damaged or incomplete film; fetch or export it again"
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", f"JPEG XL; {_CONVERT}"),
    (b"\x00\x00\x00\x0cJXL ", f"JPEG XL; {_CONVERT}"),
    (b"II\xbc", f"JPEG XR; {_CONVERT}"),
    *((head, "a TIFF that is damaged or of a kind that is not read; export it again") for head in tiff.MAGIC),
    (b"8BPS", f"a Photoshop file; export it, or {_CONVERT}"),
    (b"8BPB", f"a Photoshop file; export it, or {_CONVERT}"),
    (b"gimp xcf", f"a GIMP file; export it, or {_CONVERT}"),
    (b"\x76\x2f\x31\x01", f"OpenEXR; {_CONVERT}"),
    (b"#?RADIANCE", f"a Radiance picture; {_CONVERT}"),
    (b"\x00\x00\x01\x00", f"an icon; {_CONVERT}"),
    (b"icns", f"an icon; {_CONVERT}"),
    (b"DDS ", f"a texture (DDS); {_CONVERT}"),
    (b"AT&TFORM", "a scanned document (DjVu); take the picture out of it first"),
    (b"%!PS", "PostScript, which is a program; convert it elsewhere"),
    (b"\xc5\xd0\xd3\xc6", "PostScript, which is a program; convert it elsewhere"),
    (b"\x01\x00\x00\x00\x58", f"a drawing (EMF); {_CONVERT}"),
    (b"\xd7\xcd\xc6\x9a", f"a drawing (WMF); {_CONVERT}"),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"FOVb", _RAW),
    (b"\x00MRM", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\x00", _RAW),
    (b"FLV\x01", _VIDEO),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"\x00\x00\x01\xb3", _VIDEO),
    (b"\x30\x26\xb2\x75", _VIDEO),
    (b"OggS", _VIDEO),
    (b"ID3", "sound; expected a picture"),
    (b"fLaC", "sound; expected a picture"),
    (b"%PDF", "a document (PDF); take the picture out of it first"),
    (b"PK\x03\x04", "a document or an archive; take the picture out of it first"),
    (b"\xd0\xcf\x11\xe0", "a document; take the picture out of it first"),
    (b"{\\rtf", "a document; take the picture out of it first"),
    (b"\x1f\x8b", "an archive; take the picture out of it first"),
    (b"7z\xbc\xaf", "an archive; take the picture out of it first"),
    (b"Rar!", "an archive; take the picture out of it first"),
    (b"BZh", "an archive; take the picture out of it first"),
    (b"\xfd7zXZ", "an archive; take the picture out of it first"),
    (b"MZ", "a program; expected a picture"),
    (b"\x7fELF", "a program; expected a picture"),
    (b"SQLite format 3", "a database; expected a picture"),
    (b"version https://git-lfs", "what Git LFS keeps in a file's place; fetch the file: git lfs pull"),
)
_TEXT = "text; look into the file. A list of pictures is a CSV with a column file, and no list names another list"
_PLAYLIST = "a playlist, which names other files and holds no film; name the film itself"
_ENDINGS = {
    "HEIC": ".heic .heif .hif",
    "video": ".mpg .mpeg .wmv .flv .mts .m2ts .3gp .ogv .mxf .vob",
    "audio": ".mp3 .wav .m4a .aac .flac .ogg .opus",
    "PDF": ".pdf",
    "text": ".txt .md .csv .tsv .json .jsonl .xml .html .htm .log .rtf .yaml .yml .ini",
    "document": ".doc .docx .odt .xls .xlsx .ods .ppt .pptx .odp .pages .key",
    "raw photo": ".dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .pef .srw .raw",
    "drawing": ".svg .eps .ai .psd .xcf .sketch",
    "archive": ".zip .tar .gz .tgz .7z .rar .bz2 .xz .zst",
}
_BY_ENDING = {suffix: kind for kind, suffixes in _ENDINGS.items() for suffix in suffixes.split()}


def no_picture(content: bytes) -> str:
    """What a file is that is no picture to us: the end of the sentence "expected a picture, got …".

    Args:
        content: Its first bytes, `KNOWN_BY` of them or more.
    """
    if (box := content[4:12])[:4] == b"ftyp":
        brands = {content[at : at + 4] for at in (8, *range(16, min(len(content), int.from_bytes(content[:4])), 4))}
        if box[4:] == b"crx ":
            return _RAW
        if box[4:] in (b"avif", b"avis") or (box[4:] in HEIF_BRANDS and kind_of(content) is None):
            return "a damaged or incomplete AVIF; fetch or export it again"
        if box[4:] in HEIF_BRANDS or brands & (HEIF_BRANDS - {b"mif1", b"msf1", b"mif2"}):
            return f"HEIC; {_CONVERT}"
        return _FILM
    if content[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return _FILM
    if content[:4] == b"\x1aE\xdf\xa3":
        return _FILM
    if content[:4] == b"RIFF":
        sound = content[8:12] == b"WAVE"
        if content[8:12] != b"WEBP":
            return "sound; expected a picture" if sound else _FILM
    if content[6:14] == b"HEAPCCDR":
        return _RAW
    for beginning, kind in _BEGINNINGS:
        if content.startswith(beginning):
            return kind
    if len(content) > 377 and content[0] == 0x47 and content[188] == 0x47 and content[376] == 0x47:
        return _VIDEO
    if content[257:262] == b"ustar":
        return "an archive; take the picture out of it first"
    head = content[:512]
    if _is_playlist(head):
        return _PLAYLIST
    try:
        text = head.decode("utf-8", errors="strict" if len(content) <= 512 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if all(c.isprintable() or c.isspace() for c in text):
        if "<svg" in text.lower():
            return f"a drawing (SVG); {_CONVERT}"
        return "a web page; save the picture itself" if "<html" in text.lower() else _TEXT
    return "bytes of another kind, or a damaged picture; fetch or export it again"


def no_film(head: bytes) -> str:
    """What a file is that is no film to us: the end of the sentence "expected a film, got …".

    Args:
        head: Its first bytes.
    """
    if _is_playlist(head):
        return _PLAYLIST
    if head[:3] == b"\xff\xd8\xff":
        return "a photo without a film in it"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "an animated PNG; save it as WebP first" if head[37:41] == b"acTL" else "a still picture"
    if head[4:8] == b"ftyp":
        return "a still picture (HEIC or AVIF)"
    for magic, what in (
        (b"\x47", "an MPEG transport stream"),
        (b"FLV", "a Flash video"),
        (b"OggS", "Ogg"),
        (b"\x00\x00\x01\xba", "an MPEG program stream"),
        (b"\x30\x26\xb2\x75", "Windows Media"),
    ):
        if head.startswith(magic):
            return f"{what}; convert it to MP4 first"
    return "bytes of another kind, or a damaged film; fetch or export it again"


def by_name(path: Path) -> str:
    """What a file that is no picture and no film to us is, by its name: "PDF", "text", "archive"; else the ending.

    Args:
        path: A file's name.
    """
    with contextlib.suppress(OSError):
        if path.is_dir():
            return "linked folder"  # none but these are left out
    if path.name.startswith("."):
        return "hidden picture or film"  # of hidden files none but these are left out
    ending = path.suffix.lower().rstrip()
    return _BY_ENDING.get(ending) or (f"{ending} file" if ending else "file without an ending")


def _is_playlist(head: bytes) -> bool:
    head = head.removeprefix(b"\xef\xbb\xbf")
    return head.startswith((b"#EXTM3U", b"ffconcat")) or b"<MPD" in head
