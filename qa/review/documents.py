"""The JSON documents a page is made of: reports and word times, checked by digest and kept parsed.

They are immutable and named by digest, so what was parsed once stays right.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict

from qa.book_report import BookReport
from storage.errors import ObjectCorrupt, ObjectMissing
from storage.models import Chapter, QaReport
from storage.objects import ObjectStore

REPORTS = 8
TIMES = 32
"""How many of each are kept parsed."""


class TimedWindow(BaseModel):
    """Where a window is in its chapter."""

    model_config = ConfigDict(extra="ignore")

    number: int
    start_s: float
    end_s: float


class TimedWord(BaseModel):
    """A word of a chapter as printed, when it is said, and where it stands in the manuscript."""

    model_config = ConfigDict(extra="ignore")

    text: str
    start_s: float
    end_s: float
    place: Any = None


class Times(BaseModel):
    """A chapter's times object."""

    model_config = ConfigDict(extra="ignore")

    windows: list[TimedWindow] = []
    words: list[TimedWord] = []


class Documents:
    """Reads documents from an object store.

    Parameters
    ----------
    store : ObjectStore
        Where they are.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._report = lru_cache(REPORTS)(self._read_report)
        self._times = lru_cache(TIMES)(self._read_times)

    def report(self, row: QaReport) -> BookReport:
        """Return a filed report, checked against the digest that a decision will name.

        Raises
        ------
        ObjectCorrupt
            Where the stored document is not the one that was filed.
        """
        return self._report(row.key, row.digest)

    def times(self, chapter: Chapter) -> Times:
        """Return when a mastered chapter's words and windows are; nothing where that was not kept."""
        if chapter.times_key is None or chapter.times_digest is None:
            return Times()
        try:
            return self._times(chapter.times_key, chapter.times_digest)
        except ObjectMissing:
            return Times()

    def _read_report(self, key: str, digest: str) -> BookReport:
        data = self.store.get(key)
        report = BookReport.model_validate_json(data)
        names_it = report.digest == digest and report.is_intact()
        if sha256(data).hexdigest() != digest and not names_it:
            raise ObjectCorrupt(
                f"the report under {key} is not the one that was filed: file it again"
            )
        return report

    def _read_times(self, key: str, digest: str) -> Times:
        return Times.model_validate_json(self.store.get(key, digest=digest))
