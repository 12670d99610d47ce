"""How single words sound: forms of known words, unknown words, stress, weak forms, foreign spelling."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import script_of, sound, sounds

from generation.script.english import tags
from generation.script.english.pronounce import plain
from generation.script.phonemes import (
    UnreadablePhonemesError,
    parse_ipa,
    parse_respelling,
    stressed,
)
from generation.script.units import INDEX


@pytest.mark.parametrize(
    ("word", "units"),
    [
        ("colour", "kʌ1lɚ0"), ("grey", "ɡɹA1"), ("travelled", "tɹæ1və0ld"), ("centre", "sɛ1ntɚ0"),
        ("gaol", "ʤA1l"), ("galvanised", "ɡæ1lvə0nI2zd"), ("goin'", "ɡO1ɪ0n"), ("'tis", "tɪ1z"),
        ("cats", "kæ1ts"), ("dogs", "dɔ1ɡz"), ("horses", "hɔ1ɹsᵻ0z"), ("Moriarty's", "mɔ2ɹi0ɑ1ɹti0z"),
        ("café", "kæ0fA1"), ("schoolhouse", "sku1lhW2s"), ("unbuttoned", "ʌ0nbʌ1tə0nd"),
        ("FBI", "ɛ2fbi2I1"), ("NASA", "næ1sə0"),
    ],
)  # fmt: skip
def test_word(word: str, units: str) -> None:
    assert "".join(plain(word).phonemes) == units


def test_words_no_lexicon_knows_are_guessed_and_marked() -> None:
    script = script_of("The blorfing Zwickelbeast grommetized Ürümqi and 東京.")
    guessed = [word.text for word in script.words if word.guessed]
    assert "blorfing" in guessed
    assert "東京" in guessed
    assert "The" not in guessed


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_print_at_all_has_a_script(text: str) -> None:
    script = script_of(" ".join(text.split()) or "x")
    assert all(unit.symbol in INDEX for unit in script.units)
    assert script.units[-1].symbol == "∎"


def test_articles_and_prepositions_bend_to_what_follows() -> None:
    assert sound("the apple", "the") == "ði0"
    assert sound("the pear", "the") == "ðə0"
    assert sound("the hour", "the") == "ði0"
    assert sound("the union", "the") == "ðə0"
    assert sound("go to Ann", "to") == "tʊ0"
    assert sound("go to Jim", "to") == "tə0"
    assert sound("where to?", "to") == "tu1"
    assert sound("a cat", "a") == "ə0"
    assert sound("Plan A.", "A") == "A1"


def test_print_can_stress_a_function_word() -> None:
    assert sound("She is {em:the} woman.", "the") == "ði1"
    assert sound("She reads {em:The Times} daily.", "The") == "ðə0"
    assert sound("But I WILL go.", "WILL") == "wɪ1l"


def test_marked_languages_are_read_by_their_own_rules() -> None:
    assert sound("the {de:Weltschmerz} of it", "Weltschmerz") == "vɛ1lʧmɛ0ɹts"
    assert sound("a {fr:chaude soirée} here", "soirée") == "swɑ0ɹA1"
    assert sound("a {es:guerrilla} here", "guerrilla") == "ɡA0ɹi1jɑ0"
    assert sound("a {it:chiaroscuro} here", "chiaroscuro") == "kjɑ0ɹO0sku1ɹO0"
    assert sound("a {la:rara avis} here", "avis") == sound("a rara avis here", "avis")


def test_every_polysyllable_has_one_primary_stress_when_guessed() -> None:
    for word, said in sounds(
        script_of("Glorpenstein wuzzled Xanthippolyta brelvingly, Oakshott Hatherley.")
    ):
        assert said.count("1") == 1, (word, said)


@pytest.mark.parametrize(
    ("notation", "units"),
    [
        ("kuh-THOO-loo", "kə0θu1lu0"),
        ("lə-STRAHD", None),
        ("REE-lye", "ɹi1lI0"),
        ("holmz", "hɑ1lmz"),
        ("YOO-nyun", "ju1njʌ0n"),
    ],
)
def test_respelling(notation: str, units: str | None) -> None:
    if units is None:
        with pytest.raises(UnreadablePhonemesError):
            parse_respelling(notation)
    else:
        assert "".join(parse_respelling(notation)) == units


def test_ipa_and_shorthand_are_the_same_units() -> None:
    assert parse_ipa("ˈlɛtəɹ") == parse_ipa("lˈɛtəɹ") == ("l", "ɛ1", "t", "ɚ0")
    assert parse_ipa("tʃeɪndʒ") == parse_ipa("ʧAnʤ")
    assert parse_ipa("nɜːɹs") == ("n", "ɝ0", "s")
    with pytest.raises(UnreadablePhonemesError, match="5"):
        parse_ipa("lɛ5")
    assert stressed(("b", "ə0", "n", "æ2", "n", "ə0")) == ("b", "ə0", "n", "æ1", "n", "ə0")


def test_tags_are_those_of_the_library() -> None:
    for sentence in (
        "He read it .",
        "They wind the clock , and I record the present .",
        "Yes",
        "Close the live lead",
    ):
        words = sentence.split()
        assert tags.tag(words) == list(tags._tagger()(words))
