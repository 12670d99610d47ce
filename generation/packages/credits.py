"""Opening and closing credits: chapters of their own, composed from the metadata and read by the voice.

They are manuscript chapters like any other, so narration, QA and mastering need know nothing of them; they
are known by their numbers, which no book's chapter has.
"""

from generation.manuscript.book import Block, BlockKind, Book, Chapter, ChapterKind
from generation.packages.release import BookMeta, VoiceMeta

OPENING_NUMBER, CLOSING_NUMBER = 1_000_001, 1_000_002
DOCUMENT = "lectern:credits"
"""What the places of credited words name as their document: they are not in the manuscript."""


def credits_chapters(
    book: BookMeta | Book, voice: VoiceMeta, disclosure: str
) -> tuple[Chapter, Chapter]:
    """Compose the opening and the closing credits, to be narrated first and last.

    Parameters
    ----------
    book
        Title and authors; a `BookMeta` may have a subtitle, a publisher and other credits too.
    voice
        Its label says whether it is an artificial voice or an authorised replica of a person's.
    disclosure
        The statement that the narrator is an AI voice; it is spoken in both.
    """
    by = f"By {_listed(book.authors)}." if book.authors else ""
    opening = (_sentence(book.title), _sentence(getattr(book, "subtitle", "")), by)
    narrated = (
        "Narrated by an authorized replica of a human voice."
        if voice.label == "Authorized Voice Replica"
        else "Narrated by an artificial voice."
    )
    others = [
        f"{role.capitalize()}: {_listed(names)}."
        for role, names in getattr(book, "credits", {}).items()
    ]
    published = f"Published by {_sentence(book.publisher)}" if book.publisher else ""
    closing = (f"This has been {_sentence(book.title)}", by, *others, published)
    return (
        _chapter(OPENING_NUMBER, "Opening Credits", (*opening, narrated, disclosure)),
        _chapter(CLOSING_NUMBER, "Closing Credits", (*closing, narrated, disclosure)),
    )


def reading_order(number: int) -> tuple[int, int]:
    """Sort key of chapter numbers in delivery: opening credits, the book, closing credits."""
    return {OPENING_NUMBER: 0, CLOSING_NUMBER: 2}.get(number, 1), number


def _chapter(number: int, title: str, lines: tuple[str, ...]) -> Chapter:
    blocks = tuple(
        Block(BlockKind.PARAGRAPH, line, DOCUMENT, f"{number}.{i}", tuple(range(len(line))))
        for i, line in enumerate(filter(None, lines), 1)
    )
    return Chapter(number, title, ChapterKind.BODY, blocks)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text[-1] in ".!?…" else f"{text}."
