"""Files with metadata of every kind, made in the test: what generators, cameras and strangers write."""

from __future__ import annotations

import datetime
import io
import struct
import zlib
from typing import Any

from PIL import Image, PngImagePlugin

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:iptc="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmlns:ps="http://ns.adobe.com/photoshop/1.0/" xmlns:x0="http://ns.adobe.com/xap/1.0/" '
    'xmlns:t="http://www.tc260.org.cn/ns/AIGC/1.0/" xmlns:d="http://purl.org/dc/terms/" {}/></rdf:RDF></x:xmpmeta>'
)
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def jpeg(image: Image.Image, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", **options)
    return content.getvalue()


def png(image: Image.Image, /, **texts: str) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword.replace("__", " "), text)
    content = io.BytesIO()
    image.save(content, "PNG", pnginfo=chunks)
    return content.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG's chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(content: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    return content[:33] + chunk(kind, body) + content[33:]


def with_segment(content: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment behind its start."""
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + content[2:]


def xmp(attributes: str) -> bytes:
    return XMP.format(attributes).encode()


# ------------------------------------------------------------------------------------------------ content credentials


def certificates() -> tuple[bytes, bytes, bytes]:
    """(the signer's chain, its key, its root), all PEM, made now."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(common: str) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
        )

    def usage(signs: bool) -> x509.KeyUsage:
        return x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False)

    now = datetime.datetime.now(datetime.UTC)
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    identity = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())

    def builder(common: str, public: ec.EllipticCurvePublicKey, is_root: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name("Test Root"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=400))
            .add_extension(x509.BasicConstraints(is_root, None), True)
            .add_extension(usage(is_root), True)
        )

    root = builder("Test Root", authority.public_key(), True).add_extension(identity, False)
    leaf = (
        builder("Test Signer", key.public_key(), False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity), False)
    )
    as_pem = [one.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) for one in (leaf, root)]
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return as_pem[0] + as_pem[1], private, as_pem[1]


def signed(
    content: bytes, keys: tuple[bytes, bytes, bytes], manifest: dict[str, Any], kind: str = "image/jpeg"
) -> bytes:
    """The file with a C2PA manifest inside."""
    import c2pa

    info = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=keys[0], private_key=keys[1], ta_url=None)
    context = c2pa.Context.from_dict(
        {"verify": {"verify_after_sign": False}, "builder": {"thumbnail": {"enabled": False}}}
    )
    made = io.BytesIO()
    c2pa.Builder(manifest, context).sign(c2pa.Signer.from_info(info), kind, io.BytesIO(content), made)
    return made.getvalue()


def manifest(source_type: str | None = GENERATED, action: str = "c2pa.created", **more: Any) -> dict[str, Any]:
    act = {"action": action, "softwareAgent": {"name": "A Model"}}
    if source_type:
        act["digitalSourceType"] = source_type
    return {
        "claim_generator_info": [{"name": "A Program", "version": "2"}],
        "title": "a picture",
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [act]}}],
        **more,
    }
