"""The benchmarks' books: written here, of any size, one of them impossible to read."""

from pathlib import Path

_SENTENCES = (
    "The old man lit the lamp and sat down by the window.",
    "You are late, he said to the boy, and the boy said nothing.",
    "The rain had stopped, and the street was quiet.",
    "Twice he had lost the road and found it again by the stones.",
    "There was a light on the hill, and nobody knew whose it was.",
    "In the morning the snow lay deep in all the fields.",
    "She counted the boats as they came in, and one of them was missing.",
)

_UNREADABLE = "ng" * 1200
"""A word of more sounds than any window holds: it is found when the book is planned."""


def write_book(
    folder: Path, title: str, chapters: tuple[int, ...], *, poisoned: bool = False
) -> Path:
    """Write a Markdown book with chapters of so many paragraphs, two sentences each.

    Parameters
    ----------
    folder : Path
        Where it goes.
    title : str
        Its title; also decides which sentences it begins with.
    chapters : tuple of int
        Paragraphs of each chapter.
    poisoned : bool
        Whether it holds a word that cannot be read.
    """
    place = sum(title.encode())
    lines = [f"---\ntitle: {title}\nauthor: A. Writer\n---\n"]
    for number, paragraphs in enumerate(chapters, 1):
        lines.append(f"# Chapter {number}\n")
        for _ in range(paragraphs):
            said = (_SENTENCES[(place + n) % len(_SENTENCES)] for n in range(2))
            lines.append(" ".join(said) + "\n")
            place += 2
    if poisoned:
        lines.append(_UNREADABLE + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{title.lower().replace(' ', '-')}.md"
    path.write_text("\n".join(lines), "utf-8")
    return path
