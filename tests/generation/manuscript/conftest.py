"""The three real books that these tests read, kept beside the checkout."""

from pathlib import Path

import pytest

from generation.manuscript import Book, read_manuscript

BOOKS = Path(__file__).resolve().parents[4] / "shared" / "data" / "books"


def book_path(name: str) -> Path:
    path = BOOKS / name
    if not path.exists():
        pytest.fail(f"The test book {path} is missing: put the shared data beside the checkout.")
    return path


@pytest.fixture(scope="session")
def sherlock_path() -> Path:
    return book_path("arthur-conan-doyle_the-adventures-of-sherlock-holmes.epub")


@pytest.fixture(scope="session")
def sawyer_path() -> Path:
    return book_path("mark-twain_the-adventures-of-tom-sawyer.epub")


@pytest.fixture(scope="session")
def pride_path() -> Path:
    return book_path("jane-austen_pride-and-prejudice.epub")


@pytest.fixture(scope="session")
def sherlock(sherlock_path: Path) -> Book:
    return read_manuscript(sherlock_path)


@pytest.fixture(scope="session")
def sawyer(sawyer_path: Path) -> Book:
    return read_manuscript(sawyer_path)


@pytest.fixture(scope="session")
def pride(pride_path: Path) -> Book:
    return read_manuscript(pride_path)
