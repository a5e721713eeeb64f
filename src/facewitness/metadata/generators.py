"""Which program a file says it was made by: traces that generators leave in texts, EXIF, XMP and C2PA manifests.

A closed table. A trace `decides` where a generator itself writes it for pictures that it made as a whole; what names a
program without saying what it did, or says that a part was made, is a hint. Nothing here is signed: whoever had the
file could have written it, and taken it away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facewitness.metadata import shown, xmp
from facewitness.metadata.exif import Exif

MOST_JSON = 2_000_000  # characters


@dataclass(frozen=True, slots=True)
class Trace:
    """A generator's trace: whose, the sentence, and whether it says that the whole picture was generated."""

    generator: str
    claim: str
    decides: bool


# IPTC NewsCodes, digitalsourcetype (cv.iptc.org, 2025-05): name → (what it means, whether the whole was generated)
SOURCE_TYPES: dict[str, tuple[str, bool | None]] = {
    "trainedAlgorithmicMedia": ("made by a trained model", True),
    "compositeWithTrainedAlgorithmicMedia": ("a composite with parts made by a trained model", False),
    "compositeSynthetic": ("a composite with synthetic parts", False),
    "algorithmicallyEnhanced": ("enhanced by an algorithm", None),
    "algorithmicMedia": ("made by an algorithm without training data", None),
    "virtualRecording": ("a recording of a virtual event", None),
    "dataDrivenMedia": ("made from data", None),
    "digitalArt": ("digital art by a person", None),
    "digitalCreation": ("made by a person with software", None),
    "humanEdits": ("edited by a person", None),
    "minorHumanEdits": ("edited a little by a person", None),
    "composite": ("a composite", None),
    "compositeCapture": ("a composite of photographs", None),
    "computationalCapture": ("captured by a camera that computes one picture from several", None),
    "digitalCapture": ("captured by a digital camera", None),
    "negativeFilm": ("digitised from a negative", None),
    "positiveFilm": ("digitised from a positive", None),
    "print": ("digitised from a print", None),
    "screenCapture": ("a screenshot", None),
    "softwareImage": ("made by software", None),
}
_SOURCE = re.compile(r"(?:https?://cv\.iptc\.org/newscodes/digitalsourcetype/)?([A-Za-z]{4,60})/?\s*")

# whole names in fields that name a program (EXIF Software, Make; XMP CreatorTool, Credit; PNG Software; C2PA agents)
_PROGRAMS = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("Midjourney", r"\bmidjourney\b"),
        ("DALL·E", r"\bdall[·•.\- ]?e\b"),
        ("OpenAI", r"\b(?:openai|chatgpt|gpt-?4o|gpt[- ]image|sora)\b"),
        ("Adobe Firefly", r"\b(?:adobe[ _])?firefly\b"),
        ("Google", r"\b(?:made with google ai|google ai|imagen(?: \d)?|gemini|nano banana|google generative ai)\b"),
        ("Stable Diffusion", r"\b(?:stable[ -]diffusion|stability ai|dreamstudio|sdxl)\b"),
        ("FLUX", r"\b(?:black forest labs|flux\.?[12]|txt2img;flux)\b"),
        ("NovelAI", r"\bnovelai\b"),
        ("ComfyUI", r"\bcomfyui\b"),
        ("InvokeAI", r"\binvoke ?ai\b"),
        ("Microsoft", r"\b(?:bing image creator|image creator from (?:microsoft )?designer|microsoft designer)\b"),
        ("Meta AI", r"\b(?:meta ai|imagined with ai)\b"),
        ("Apple", r"\bapple image playground\b"),
        ("xAI", r"\b(?:grok|xai aurora)\b"),
        ("Ideogram", r"\bideogram(?:\.ai| ai)?\b"),
        ("Leonardo.Ai", r"\bleonardo\.?ai\b"),
        ("Recraft", r"\brecraft\b"),
        ("Draw Things", r"\bdraw things\b"),
        ("Craiyon", r"\bcraiyon\b"),
        ("NightCafe", r"\bnightcafe\b"),
        ("Jimeng / Seedream", r"\b(?:jimeng|seedream|doubao)\b"),
        ("StyleGAN", r"\bstylegan\d?\b"),
        # of films; names that are plain words too, such as "pika" and "vidu", only as a maker writes them
        ("Google Veo", r"\b(?:google[ -]?veo|veo[ -]?[23](?:\.\d)?)\b"),
        ("Runway", r"\brunway(?:ml|[ -]?ml|[ -]gen[ -]?\d|(?: ai)? inc)\b|^runway$|\bgen-[34] (?:alpha|turbo)\b"),
        ("Kling", r"\bkling(?:[ -]?ai)?(?: \d(?:\.\d)?)?\b"),
        ("Pika", r"\bpika(?:[ -]?labs|\.art| \d\.\d)\b|^pika$"),
        ("Luma Dream Machine", r"\bluma(?:[ -]?ai|[ -]?labs)\b|\bdream machine\b"),
        ("Hailuo", r"\bhailuo\b|\bminimax\b"),
        ("Vidu", r"\bvidu(?:[ -]?ai|\.com)\b|^vidu$"),
        ("PixVerse", r"\bpixverse\b"),
        ("Wan", r"\bwan[ -]?(?:2\.\d|video)\b"),
        ("Seedance", r"\bseedance\b"),
        ("HunyuanVideo", r"\bhunyuan[ -]?video\b"),
        ("LTX-Video", r"\bltx[ -]?(?:video|studio|v\d?)\b"),
        ("CogVideo", r"\bcogvideo(?:x)?\b"),
        ("Stable Video Diffusion", r"\bstable[ -]video[ -]diffusion\b"),
        ("AnimateDiff", r"\banimatediff\b"),
        ("Meta Movie Gen", r"\bmovie gen\b"),
        ("Higgsfield", r"\bhiggsfield\b"),
        ("HeyGen", r"\bheygen\b"),
        ("Synthesia", r"\bsynthesia(?: ltd| ai|\.io)?\b"),
        ("D-ID", r"\bd-id\b(?! ?card)"),
        ("Hedra", r"\bhedra(?:[ -]?ai|\.com)\b|^hedra$"),
        ("SadTalker", r"\bsadtalker\b"),
        ("LivePortrait", r"\bliveportrait\b"),
        ("EchoMimic", r"\bechomimic\b"),
    )
)
# programs that change faces; a name says nothing of what was done
_EDITORS = re.compile(
    r"\b(faceapp|facetune\d?|facetune|meitu|beautyplus|remini|reface|youcam|snapseed|airbrush|facemagic|faceswap|"
    r"deepfacelab|roop|facefusion|adobe photoshop(?: lightroom)?|lightroom|gimp|affinity photo|picsart|canva|"
    r"pixelmator|paint\.net|capture one|luminar|topaz|wav2lip|deepfacelive|swapface|avatarify|capcut|premiere(?: pro)?|"
    r"after effects|davinci resolve|final cut(?: pro)?|imovie|filmora|inshot|kinemaster|videoleap|viggle)\b",
    re.IGNORECASE,
)
_PARTLY = re.compile(r"\bedited with (?:google )?ai\b", re.IGNORECASE)


def traces(texts: Sequence[tuple[str, str]], exif: Exif, properties: Mapping[str, tuple[str, ...]]) -> Iterator[Trace]:
    """What the file's texts, EXIF and XMP say of generators, each trace once.

    Args:
        texts: (keyword, text) of a PNG's chunks and of comments.
        exif: of the file.
        properties: of its XMP, by qualified name.
    """
    seen: set[tuple[str, bool]] = set()
    for trace in (*of_texts([*texts, *_user_comments(exif, properties)]), *of_xmp(properties), *_of_exif(exif)):
        if (key := (trace.generator, trace.decides)) not in seen:
            seen.add(key)
            yield trace


def _user_comments(exif: Exif, properties: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """Fields that generators put whole texts into where a format has no chunks for them."""
    comments: list[tuple[str, str]] = [
        (name, exif.texts[name]) for name in ("UserComment", "ImageDescription", "XPComment") if name in exif.texts
    ]
    for name in ("Make", "Model", "Software"):  # ComfyUI's WebP: "prompt:{…}", "workflow:{…}"
        keyword, colon, rest = exif.texts.get(name, "").partition(":")
        if colon and rest.startswith("{"):
            comments.append((keyword.strip().lower(), rest))
    comments += [("UserComment", value) for value in properties.get(xmp.EXIF + "UserComment", ())]
    return comments


# --------------------------------------------------------------------------------------------------------------- texts

_STEPS = re.compile(r"\bSteps: \d+")
_SETTING = re.compile(r"\b(?:Sampler|Seed|CFG scale): ?\S")
_JOB = re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f-]{27}")
_GROK = re.compile(r"Signature: ?[A-Za-z0-9+/=]{40,}")


def of_texts(texts: Sequence[tuple[str, str]]) -> Iterator[Trace]:
    """What texts under keywords say: settings and graphs that generators write.

    Args:
        texts: (keyword, text) of a PNG's chunks and of comments.
    """
    keywords = {keyword.lower(): text for keyword, text in texts}
    for keyword, text in texts:
        name = keyword.lower()
        if _STEPS.search(text) and _SETTING.search(text):
            yield _generated("Stable Diffusion", f"settings of a sampler ({shown(_settings(text))})")
        if name in ("prompt", "workflow") and (nodes := _nodes(_json(text))):
            yield _comfy(nodes)
        if name in ("invokeai_metadata", "invokeai_graph", "sd-metadata") and isinstance(_json(text), dict):
            yield _generated("InvokeAI", f"the text {shown(keyword)}")
        if name == "dream" and re.search(r"-s ?\d+", text):
            yield _generated("InvokeAI", "the text “Dream” with a sampler's settings")
        if name in ("sui_image_params", "fooocus_scheme") or '"sui_image_params"' in text[:2000]:
            yield _generated(
                "SwarmUI" if "sui" in name or "sui_" in text[:2000] else "Fooocus", f"the text {shown(keyword)}"
            )
        if name in ("negative prompt", "use_stable_diffusion_model", "stable diffusion model"):
            yield _generated("Stable Diffusion", f"the text {shown(keyword)}")
        if name in ("comment", "usercomment", "parameters", "description"):
            yield from _of_settings(_json(text), keywords)
        if _JOB.search(text):
            yield _generated("Midjourney", "the number of a job")
        if name in ("software", "source", "creator", "author", "generator", "ai_model", "model", "title"):
            yield from of_program(keyword, text)
        if name == "imagedescription" and _GROK.match(text):
            yield Trace(
                "xAI", "The file carries a signature of the kind that Grok writes; it cannot be checked here.", False
            )


def _of_settings(value: Any, keywords: Mapping[str, str]) -> Iterator[Trace]:
    """JSON of NovelAI, Draw Things, Fooocus, and China's label for generated content (GB 45438-2025)."""
    if not isinstance(value, dict):
        return
    if isinstance(label := value.get("AIGC"), dict):
        yield _aigc(label)
    if {"prompt", "steps", "sampler"} <= value.keys() or {"c", "steps", "sampler"} <= value.keys():
        novel = "novelai" in (keywords.get("software", "") + keywords.get("source", "")).lower()
        yield _generated("NovelAI" if novel else "Stable Diffusion", "settings of a sampler as JSON")
    elif {"base_model", "sampler", "steps"} <= value.keys():
        yield _generated("Fooocus", "settings of a sampler as JSON")


def _settings(text: str) -> str:
    match = _STEPS.search(text)
    return text[match.start() :] if match else ""


def _json(text: str) -> Any:
    if len(text) > MOST_JSON or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _nodes(value: Any) -> tuple[str, ...]:
    """The kinds of the nodes of a ComfyUI graph, in either of its two layouts."""
    if not isinstance(value, dict):
        return ()
    listed = value.get("nodes")
    nodes = listed if isinstance(listed, list) else list(value.values())
    kinds = [node.get("class_type", node.get("type") if listed else None) for node in nodes if isinstance(node, dict)]
    return tuple(kind for kind in kinds if isinstance(kind, str))


def _comfy(nodes: Sequence[str]) -> Trace:
    count = "1 node" if len(nodes) == 1 else f"{len(nodes):,} nodes"
    if any("sampler" in kind.lower() for kind in nodes):
        return _generated("ComfyUI", f"a graph of {count} with a sampler")
    what = f"a ComfyUI graph of {count} without a sampler: it went through it"
    return Trace("ComfyUI", f"The file holds {what}, which says nothing of where it came from.", False)


def _generated(generator: str, what: str) -> Trace:
    return Trace(
        generator, f"The file says that {generator} generated what it shows: it holds {what}. {UNSIGNED}", True
    )


WRITABLE = "Whoever had the file could have written it."
UNSIGNED = f"Nothing signs this. {WRITABLE}"


# ----------------------------------------------------------------------------------------------------------- XMP, EXIF


def source_type(value: str) -> tuple[str, str, bool | None] | None:
    """(name, meaning, whether the whole was generated) of an IPTC digital source type; None for what is none.

    Args:
        value: The type as it is written.

    Returns:
        Its name, its meaning, and whether the whole was generated, None where that is open.
    """
    match = _SOURCE.fullmatch(value.strip())
    if match is None:
        return None
    canonical = {name.lower(): name for name in SOURCE_TYPES}.get(match[1].lower())
    return None if canonical is None else (canonical, *SOURCE_TYPES[canonical])


def of_xmp(properties: Mapping[str, tuple[str, ...]]) -> Iterator[Trace]:
    """What XMP says.

    Args:
        properties: Of the file's XMP, by qualified name.
    """
    for name in ("DigitalSourceType", "digitalsourcetype", "DigitalSourcefileType"):
        for value in properties.get(xmp.IPTC + name, ())[:4]:
            known = source_type(value)
            if known is None:
                yield Trace("IPTC", f"The IPTC digital source type {shown(value)} is not one of the standard's.", False)
                continue
            words, meaning, whole = known
            claim = f"The file gives its IPTC digital source type as “{words}”: {meaning}. {UNSIGNED}"
            yield Trace(f"IPTC {words}", claim, whole is True)
    for value in properties.get(xmp.TC260 + "AIGC", ())[:1]:
        if isinstance(label := _json(value), dict):
            yield _aigc(label)
    for name in (xmp.XMP + "CreatorTool", xmp.PHOTOSHOP + "Credit", xmp.DC + "creator", xmp.PHOTOSHOP + "Source"):
        for value in properties.get(name, ())[:4]:
            yield from of_program(re.split(r"[/#]", name)[-1], value)
    for value in (*properties.get(xmp.DC + "description", ())[:4], *properties.get(xmp.DC + "title", ())[:2]):
        if _JOB.search(value):
            yield _generated("Midjourney", "the number of a job")


def _of_exif(exif: Exif) -> Iterator[Trace]:
    for name in ("Software", "Make", "Model", "HostComputer", "Artist"):
        yield from of_program(name, exif.texts.get(name, ""))


def of_program(field: str, value: str, *, named: bool = False, film: bool = False) -> Iterator[Trace]:
    """What a field says of programs; a hint only where it may name a person, or holds words of one (`named`).

    Args:
        field: Where the file names it.
        value: The type as it is written.
        named: As the file has it.
        film: Whether the file is a film.
    """
    value, what = value[:400], "films" if film else "pictures"
    if _PARTLY.search(value):
        yield Trace(
            "Google", f"The field {shown(field)} says {shown(value)}: a part may be generated. {UNSIGNED}", False
        )
        return
    for name, pattern in _PROGRAMS:
        if pattern.search(value):
            # a photographer may be called Gemini: what names a person is a hint only
            person = named or field.lower() in ("creator", "author", "artist", "title", "model", "hostcomputer")
            claim = f"The field {shown(field)} names {name}, a generator: {shown(value)}. {UNSIGNED}"
            yield Trace(name, claim, not person)
            return
    if match := _EDITORS.search(value):
        claim = f"The field {shown(field)} names a program that edits {what}, {shown(match[0])}; not what it did."
        yield Trace(match[0].lower(), claim, False)


def of_label(text: str) -> Iterator[Trace]:
    """China's label for generated content as JSON, with or without its own name around it.

    Args:
        text: A stranger's.
    """
    value = _json(text)
    if isinstance(value, dict):
        inside = value.get("AIGC", value)
        yield _aigc(inside if isinstance(inside, dict) else value)


def _aigc(label: Mapping[Any, Any]) -> Trace:
    """GB 45438-2025: "1" generated, "2" possibly, "3" suspected."""
    value = str(label.get("Label", label.get("label", "")))[:4]
    producer = label.get("ContentProducer", label.get("contentProducer", ""))
    by = f" by {shown(str(producer))}" if producer else ""
    meaning = {"1": "generated", "2": "possibly generated", "3": "suspected of being generated"}.get(value)
    if meaning is None:
        return Trace("AIGC", f"The file carries a label for generated content with the value {shown(value)}.", False)
    return Trace("AIGC", f"The file carries the label AIGC (GB 45438): {meaning}{by}. {UNSIGNED}", value == "1")
