"""Where windows and words are heard: the times of a mastered chapter, as plain data and as JSON."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, description="Seconds.")]


class Frozen(BaseModel):
    """A record: unknown fields are errors, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlaceEntry(Frozen):
    """Where a word stands in the manuscript; see `generation.manuscript.book.Place`."""

    document: str = Field(description="Path inside the container, empty for single-file sources.")
    node: str = Field(
        description="EPUB CFI child steps, paragraph index or line of the block element."
    )
    start: int = Field(ge=0, description="First character in the element's raw text.")
    end: int = Field(ge=0, description="One past the last character.")


class WordEntry(Frozen):
    """A word as printed, with its time in the chapter's files."""

    text: str
    start_s: Seconds
    end_s: Seconds
    place: PlaceEntry


class WindowEntry(Frozen):
    """Where a narrated window is heard in its chapter."""

    number: int = Field(ge=0)
    start_s: Seconds
    end_s: Seconds


class ChapterTimes(Frozen):
    """When every window and word of a chapter is heard, in seconds from the start of its files."""

    windows: tuple[WindowEntry, ...]
    words: tuple[WordEntry, ...]
