"""ISBNs: checked, and as thirteen digits (ISO 2108)."""


def isbn_13(found: str) -> str:
    """Return the ISBN-13 that an identifier holds, digits only; empty where it holds none that is right.

    Hyphens, spaces and a `urn:isbn:` in front are let pass; an ISBN-10 is rewritten.
    """
    bare = found.upper().replace("URN:ISBN:", "").replace("ISBN", "")
    bare = bare.replace("-", "").replace(" ", "").strip(":")
    if len(bare) == 10 and bare[:9].isdigit() and (bare[9].isdigit() or bare[9] == "X"):
        digits = [*map(int, bare[:9]), 10 if bare[9] == "X" else int(bare[9])]
        if sum((10 - i) * digit for i, digit in enumerate(digits)) % 11 == 0:
            stem = f"978{bare[:9]}"
            return stem + str(-_weighted(stem) % 10)
    elif len(bare) == 13 and bare.isdigit() and _weighted(bare) % 10 == 0:
        return bare
    return ""


def _weighted(digits: str) -> int:
    return sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(digits))
