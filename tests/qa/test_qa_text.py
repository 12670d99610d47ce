"""Normalisation: what two spellings of one reading must agree on, and what must stay apart."""

import pytest

from qa.text import cardinal, number_readings, ordinal, plain_words, printed_words, sentences


def plain(text: str, other: str = "") -> str:
    context = [w.text for w in plain_words(printed_words(other))]
    return " ".join(w.text for w in plain_words(printed_words(text), context))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("The colour of his neighbour's grey parlour.", "the color of his neighbors gray parlor"),
        ("Don’t—he cried—don't!", "dont he cried dont"),
        ("Well-known, to-day…", "well known to day"),
        ("Mr. Bennet and Dr. Watson", "mister bennet and doctor watson"),
        ("“’Tis true,” said Œdipus at the café", "tis true said oedipus at the cafe"),
        ("twenty-one", "21"),
        ("eighteen sixty-five", "1865"),
        ("nineteen oh five", "1905"),
        ("the twenty-third", "the 23rd"),
        ("fifty percent", "50%"),
        ("five dollars and fifty cents", "$5.50"),
        ("ten thirty", "10:30"),
        ("three point one four", "3.14"),
        ("two million", "2,000,000"),
        ("the nineties", "the 90s"),
    ],
)
def test_same_reading_same_words(ours: str, theirs: str) -> None:
    assert plain(ours) == plain(theirs)


@pytest.mark.parametrize(("ours", "theirs"), [("there", "their"), ("hour", "our"), ("four", "for")])
def test_homophones_stay_apart(ours: str, theirs: str) -> None:
    assert plain(ours) != plain(theirs)


def test_context_decides_between_readings() -> None:
    assert plain("1900") == "nineteen hundred"
    assert plain("1900", "one thousand nine hundred ships") == "one thousand nine hundred"
    assert plain("105", "a table of one hundred and five") == "one hundred and five"


def test_numbers_in_words() -> None:
    assert cardinal(0) == ["zero"]
    assert " ".join(cardinal(1_234_567)) == (
        "one million two hundred thirty four thousand five hundred sixty seven"
    )
    assert [" ".join(ordinal(cardinal(n))) for n in (1, 12, 20, 33)] == [
        "first", "twelfth", "twentieth", "thirty third",
    ]  # fmt: skip
    assert number_readings("12a") == []


def test_words_remember_their_source() -> None:
    words = plain_words(printed_words("He paid $5 twice."))
    assert [(w.text, w.source) for w in words] == [
        ("he", 0), ("paid", 1), ("five", 2), ("dollars", 2), ("twice", 3),
    ]  # fmt: skip


def test_sentences_end_where_readers_stop() -> None:
    text = "“Mr. Darcy!” she cried. “Is it J. H. Watson?” It was.\n\nA new paragraph"
    assert sentences(text) == [
        "“Mr. Darcy!” she cried.", "“Is it J. H. Watson?”", "It was.", "A new paragraph",
    ]  # fmt: skip
