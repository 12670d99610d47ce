"""The one canonical form of a JSON value, and its digest: equal values agree, whoever wrote them down."""

import hashlib
import json
from typing import Any


def canonical_sha256(value: Any) -> str:
    """SHA-256 of a JSON value in its one canonical form (sorted keys, UTF-8, no spaces)."""
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()
