"""SC-L: MiniLM against the similarities its makers publish, and texts that stay or wander."""

from pathlib import Path

import numpy as np

from flows.demo import STORY
from qa.coherence import SPAN_WORDS, embed_texts, sc_l, spans

LICENCE = Path(__file__).parents[2] / "LICENSE"


def test_similarities_are_those_published() -> None:
    # sbert.net, "Sentence Transformer: Usage", all-MiniLM-L6-v2
    vectors = embed_texts(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    wanted = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose(vectors @ vectors.T, wanted, atol=1e-4)


def test_a_text_does_not_depend_on_its_neighbours() -> None:
    long = " ".join(STORY.read_text("utf-8").split()[:150])
    alone = embed_texts(["A short one."])[0]
    padded = embed_texts(["A short one.", long])[0]
    np.testing.assert_allclose(alone, padded, atol=1e-5)


def test_spans_are_of_a_hundred_words() -> None:
    assert [len(s.split()) for s in spans("word " * 260)] == [100, 100, 60]
    assert [len(s.split()) for s in spans("word " * 230)] == [100, 100]
    assert [len(s.split()) for s in spans("word " * 20)] == [20]


def test_a_story_stays_nearer_to_its_beginning_than_a_licence_does() -> None:
    words = STORY.read_text("utf-8").split()
    prompt, story = " ".join(words[:SPAN_WORDS]), " ".join(words[SPAN_WORDS : SPAN_WORDS + 400])
    licence = " ".join(LICENCE.read_text("utf-8").split()[:400])
    stays, strays = sc_l(prompt, story), sc_l(prompt, licence)
    assert len(stays.similarity) == len(strays.similarity) == 4
    assert stays.mean > strays.mean + 0.1
    mixed = sc_l(prompt, " ".join([*words[SPAN_WORDS : SPAN_WORDS + 200], *licence.split()[:200]]))
    assert mixed.slope_per_1000_words < stays.slope_per_1000_words


def test_nothing_said_has_no_likeness() -> None:
    assert np.isnan(sc_l("A prompt.", "").mean)
