"""A sigstore of our own, in memory: an authority, a log of certificates, a log of signatures, and what they sign."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import struct
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="the extra sigstore is not installed")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")  # who vouched for the name, as Fulcio writes it
SCTS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962, section 3.3
WHO, VOUCHES = "examiner@example.org", "https://accounts.example.org"


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def _signed(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _octets(content: bytes) -> bytes:
    """An OCTET STRING in DER."""
    size = len(content)
    return b"\x04" + (bytes([size]) if size < 128 else b"\x81" + bytes([size])) + content


class Instance:
    """Keys of one instance; `root` is what a client trusts, `sign` what a signer gets."""

    def __init__(self) -> None:
        self.authority, self.certificates, self.log = _key(), _key(), _key()
        self.now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the tests")])
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key())
        self.ca = (
            x509.CertificateBuilder(name, name, self.authority.public_key(), 1)
            .not_valid_before(self.now - datetime.timedelta(days=1))
            .not_valid_after(self.now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
            .add_extension(identifier, False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
            .sign(self.authority, hashes.SHA256())
        )

    def root(self) -> bytes:
        """The trusted root."""
        valid = {"start": (self.now - datetime.timedelta(days=1)).isoformat().replace("+00:00", "Z")}

        def log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            return {
                "baseUrl": "https://log.example.org",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": _b64(_spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid},
                "logId": {"keyId": _b64(hashlib.sha256(_spki(key)).digest())},
            }

        chain = {"certificates": [{"rawBytes": _b64(self.ca.public_bytes(serialization.Encoding.DER))}]}
        authority = {
            "subject": {"organization": "tests", "commonName": "an authority of the tests"},
            "uri": "https://fulcio.example.org",
            "certChain": chain,
            "validFor": valid,
        }
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.log)],
                "certificateAuthorities": [authority],
                "ctlogs": [log(self.certificates)],
                "timestampAuthorities": [],
            }
        ).encode()

    def sign(self, data: bytes) -> bytes:
        """A sigstore bundle about these bytes, by WHO."""
        key = _key()
        certificate = self._certificate(key)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        signature, digest = _signed(key, data), hashlib.sha256(data).digest()
        body = json.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
                    "signature": {"content": _b64(signature), "publicKey": {"content": _b64(pem)}},
                },
            },
            sort_keys=True,
            separators=(",", ":"),
        ).encode()
        log_id = hashlib.sha256(_spki(self.log)).digest()
        moment = int(self.now.timestamp())
        promise = {"body": _b64(body), "integratedTime": moment, "logID": log_id.hex(), "logIndex": 0}
        leaf = hashlib.sha256(b"\x00" + body).digest()  # RFC 6962: of a tree of one leaf also the root
        note = f"log.example.org - 1\n1\n{_b64(leaf)}\n"
        line = f"\u2014 log.example.org {_b64(log_id[:4] + _signed(self.log, note.encode()))}\n"
        canonical = json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()
        entry = {
            "logIndex": "0",
            "logId": {"keyId": _b64(log_id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
            "integratedTime": str(moment),
            "inclusionPromise": {"signedEntryTimestamp": _b64(_signed(self.log, canonical))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _b64(leaf),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n{line}"},
            },
            "canonicalizedBody": _b64(body),
        }
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {
                    "certificate": {"rawBytes": _b64(certificate.public_bytes(serialization.Encoding.DER))},
                    "tlogEntries": [entry],
                },
                "messageSignature": {
                    "messageDigest": {"algorithm": "SHA2_256", "digest": _b64(digest)},
                    "signature": _b64(signature),
                },
            }
        ).encode()

    def _certificate(self, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        """A certificate for WHO, with the receipt of the log of certificates in it."""
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key())
        builder = (
            x509.CertificateBuilder(self.ca.subject, x509.Name([]), key.public_key(), 7)
            .not_valid_before(self.now - datetime.timedelta(minutes=1))
            .not_valid_after(self.now + datetime.timedelta(minutes=9))
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(WHO)]), True)
            .add_extension(x509.UnrecognizedExtension(ISSUER, VOUCHES.encode()), False)
        )
        before = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        moment = int(self.now.timestamp() * 1000)
        entry = hashlib.sha256(_spki(self.authority)).digest() + len(before).to_bytes(3, "big") + before
        signature = _signed(self.certificates, struct.pack("!BBQH", 0, 0, moment, 1) + entry + b"\x00\x00")
        receipt = b"\x00" + hashlib.sha256(_spki(self.certificates)).digest() + struct.pack("!QH", moment, 0)
        receipt += b"\x04\x03" + struct.pack("!H", len(signature)) + signature  # SHA-256, ECDSA
        listed = struct.pack("!HH", len(receipt) + 2, len(receipt)) + receipt
        return builder.add_extension(x509.UnrecognizedExtension(SCTS, _octets(listed)), False).sign(
            self.authority, hashes.SHA256()
        )
