"""C2PA: the signed statement, inside each file that can carry one, that a trained model made this audio.

Each manifest names the file's path in the release, so that a file passed off as another is found out.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from generation.packages.errors import ProvenanceError
from generation.packages.signing import Signatory

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC digital source type: made by a model trained on samples."""

CARRIERS = {
    "audio/flac": "audio/flac",
    "audio/mpeg": "audio/mpeg",
    "audio/mp4": "audio/mp4",
}
"""Media types that can carry a manifest, and what C2PA's library calls them. Pictures are not the model's
work; text, feeds, EPUB and LPF cannot carry one: `release.json` and its signature answer for those."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a file's manifest says: the title it was signed under, and its source type."""

    title: str
    source_type: str
    serial_number: str


def mark(path: Path, name: str, media_type: str, disclosure: str, signatory: Signatory) -> None:
    """Sign a manifest into a file, in place; `name` is its path in the release.

    Raises
    ------
    ProvenanceError
        The file cannot carry one, or the chain is not fit for C2PA.
    """
    manifest = {
        "claim_generator_info": [{"name": "Lectern", "version": "1"}],
        "title": name,
        "format": CARRIERS[media_type],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "digitalSourceType": TRAINED,
                            "description": disclosure,
                        }
                    ]
                },
            }
        ],
    }
    signed = path.with_name(f".{path.name}.signed")
    info = c2pa.C2paSignerInfo(b"es256", signatory.chain, signatory.key, None)
    try:
        with path.open("rb") as source, signed.open("wb+") as target:
            builder = c2pa.Builder(json.dumps(manifest))
            builder.sign(c2pa.Signer.from_info(info), CARRIERS[media_type], source, target)
        signed.replace(path)
    except c2pa.C2paError as error:
        raise ProvenanceError(f"{name} cannot be signed: {error}") from error
    finally:
        signed.unlink(missing_ok=True)


def read_mark(path: Path, media_type: str, anchors: bytes) -> Provenance:
    """Verify a file's manifest, offline and up to one of the anchors; return what it says.

    Raises
    ------
    ProvenanceError
        It has none, the file was changed since, or its signer is not vouched for; the message says which.
    """
    settings = c2pa.Settings.from_dict(
        {
            "trust": {"trust_anchors": anchors.decode("ascii")},
            "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        }
    )
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader(CARRIERS[media_type], file, context=c2pa.Context(settings))
            found: dict[str, Any] = json.loads(reader.json())
    except (c2pa.C2paError, ValueError) as error:
        raise ProvenanceError(f"its C2PA manifest cannot be read: {error}") from error
    if found.get("validation_state") != "Trusted":
        codes = [status["code"] for status in found.get("validation_status", [])]
        raise ProvenanceError(
            f"its C2PA manifest is {str(found.get('validation_state')).lower()}: {', '.join(codes)}"
        )
    manifest = found["manifests"][found["active_manifest"]]
    actions = [
        action
        for assertion in manifest["assertions"]
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    return Provenance(
        manifest.get("title", ""),
        next((a["digitalSourceType"] for a in actions if "digitalSourceType" in a), ""),
        manifest["signature_info"]["cert_serial_number"],
    )
