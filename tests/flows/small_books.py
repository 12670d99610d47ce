"""Small books for the factory's tests: a few short chapters each, of different words."""

from pathlib import Path

SENTENCES = (
    "The old man lit the lamp and sat down by the window.",
    "You are late, he said to the boy, and the boy said nothing.",
    "The rain had stopped, and the street was quiet.",
    "Twice he had lost the road and found it again by the stones.",
    "There was a light on the hill, and nobody knew whose it was.",
    "In the morning the snow lay deep in all the fields.",
)


def write_book(
    folder: Path, title: str, chapters: tuple[int, ...] = (2, 1), first: int = 0
) -> Path:
    """Write a Markdown book with chapters of so many paragraphs of two sentences."""
    lines, place = [f"---\ntitle: {title}\nauthor: A. Writer\n---\n"], first
    for number, paragraphs in enumerate(chapters, 1):
        lines.append(f"# Chapter {number}\n")
        for _ in range(paragraphs):
            said = (SENTENCES[place % 6], SENTENCES[(place + 1) % 6])
            lines.append(" ".join(said) + "\n")
            place += 2
    path = folder / f"{title.lower().replace(' ', '-')}.md"
    path.write_text("\n".join(lines), "utf-8")
    return path
