"""Who signs: a certificate chain and its key, from files or made here, and signatures of plain bytes.

The key is read from a file when it is needed and never leaves this process: no log, object or error shows
it. A chain made here proves only that releases come from one place; shops trust certificates of a listed
authority, whose files are named in the settings.
"""

import base64
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from generation.packages.errors import SigningError

_ES256 = ec.ECDSA(hashes.SHA256())
_YEARS = timedelta(days=3650)
CHAIN_FILE, KEY_FILE, ROOT_FILE = "chain.pem", "key.pem", "root.pem"


@dataclass(frozen=True)
class Signatory:
    """A certificate chain, leaf first, and the leaf's private key, both PEM."""

    chain: bytes
    key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf certificate (DER)."""
        return fingerprint(_certificates(self.chain)[0])

    def sign(self, data: bytes) -> str:
        """Return an ES256 signature of some bytes, base64."""
        key = serialization.load_pem_private_key(self.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return base64.b64encode(key.sign(data, _ES256)).decode("ascii")


def read_signatory(chain: Path, key: Path) -> Signatory:
    """Read a chain and its key from PEM files.

    Raises
    ------
    SigningError
        A file cannot be read, the key is not a P-256 key without password, or not the leaf's.
    """
    try:
        signatory = Signatory(chain.read_bytes(), key.read_bytes())
        private = serialization.load_pem_private_key(signatory.key, None)
        leaf = _certificates(signatory.chain)[0]
    except (OSError, ValueError, TypeError) as error:
        raise SigningError(
            f"no signing chain and key in {chain} and {key} ({type(error).__name__}): name two PEM files,"
            " leaf certificate first, and a P-256 key without a password"
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(
        private.curve, ec.SECP256R1
    ):
        raise SigningError(f"the key in {key} is not a P-256 key: releases are signed by ES256")
    if leaf.public_key() != private.public_key():
        raise SigningError(f"the key in {key} is not that of the first certificate in {chain}")
    return signatory


def own_signatory(folder: Path) -> Signatory:
    """Return the signatory of a folder; a self-made chain and root are put there first if missing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / CHAIN_FILE).exists():
        _make(folder)
    return read_signatory(folder / CHAIN_FILE, folder / KEY_FILE)


def verify_signature(data: bytes, signature: str, chain: bytes, anchors: bytes) -> str:
    """Verify a signature of some bytes, its chain up to one of the anchors; return the signer's name.

    Raises
    ------
    SigningError
        Something does not hold; the message says what.
    """
    try:
        certificates = _certificates(chain)
        raw = base64.b64decode(signature, validate=True)
        trusted = {fingerprint(anchor): anchor for anchor in _certificates(anchors)}
    except ValueError as error:
        raise SigningError(f"the signature or its certificates are damaged ({error})") from error
    leaf = certificates[0]
    public = leaf.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise SigningError("the signing certificate holds no elliptic-curve key")
    try:
        public.verify(raw, data, _ES256)
    except InvalidSignature:
        raise SigningError("the signature is not of these bytes") from None
    _check_chain(certificates, trusted)
    if fingerprint(certificates[-1]) not in trusted and not any(
        _issued(certificates[-1], anchor) for anchor in trusted.values()
    ):
        raise SigningError(
            f"{leaf.subject.rfc4514_string()} is not vouched for by a trusted root: give its root"
            " certificate with --trust"
        )
    return leaf.subject.rfc4514_string()


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate (DER), lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def canonical_chain(chain: bytes) -> bytes:
    """Return a chain in the one form that PEM of the same certificates has here."""
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in _certificates(chain))


def _certificates(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem)


def _check_chain(
    certificates: list[x509.Certificate], trusted: dict[str, x509.Certificate]
) -> None:
    now = datetime.now(UTC)
    for certificate in certificates:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise SigningError(
                f"certificate {certificate.subject.rfc4514_string()} is not valid now"
            )
    for lower, upper in pairwise(certificates):
        if not _issued(lower, upper):
            raise SigningError(
                f"certificate {lower.subject.rfc4514_string()} is not issued by the next one"
            )


def _issued(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _make(folder: Path) -> None:
    """Make a root and a leaf for C2PA (spec 2.1, section 14.5) and keep only the leaf's key."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    root_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, leaf_name = _name("Lectern self-made root"), _name("Lectern self-made signer")
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    root = (
        _builder(root_name, root_name, root_key, now)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _builder(leaf_name, root_name, leaf_key, now)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.KeyUsage(**{**usage, "digital_signature": True}), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False
        )
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = leaf_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    handle = os.open(folder / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
    (folder / ROOT_FILE).write_bytes(root.public_bytes(pem))
    (folder / CHAIN_FILE).write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _YEARS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lectern"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
