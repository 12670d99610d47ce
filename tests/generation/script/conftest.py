"""The three real books that these tests read, kept beside the checkout."""

from pathlib import Path

import pytest

from generation.manuscript import Book, read_manuscript

BOOKS = Path(__file__).resolve().parents[4] / "shared" / "data" / "books"
FILES = {
    "holmes": "arthur-conan-doyle_the-adventures-of-sherlock-holmes.epub",
    "pride": "jane-austen_pride-and-prejudice.epub",
    "sawyer": "mark-twain_the-adventures-of-tom-sawyer.epub",
}


@pytest.fixture(scope="session")
def books() -> dict[str, Book]:
    found = {}
    for name, file in FILES.items():
        path = BOOKS / file
        if not path.exists():
            pytest.fail(
                f"The test book {path} is missing: put the shared data beside the checkout."
            )
        found[name] = read_manuscript(path)
    return found
