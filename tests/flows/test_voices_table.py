"""The table of voices by prompt: who is in it, and what it says."""

import json
from pathlib import Path

import pytest

from flows.measure.voices_table import CorpusFigures, SpeakerFigures, _parted, kept_out, markdown
from generation.rates import PROMPT_TOKENS, SAMPLE_RATE_HZ, TOKEN_SAMPLES
from generation.training.codec_data import training_rows
from qa.words import ErrorCount

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def test_every_kept_out_reader_has_a_prompt_and_speech_behind_it() -> None:
    trained = {row["speaker"] for row in training_rows(DATA) if row["corpus"] == "librispeech"}
    found = dict(kept_out(DATA, "librispeech"))
    assert len(found) == 20
    assert not found.keys() & trained
    usable = {name: _parted(waveform, name) for name, waveform in found.items()}
    assert sum(parts is not None for parts in usable.values()) >= 17
    for parts in usable.values():
        if parts is not None:
            checked, cut = parts
            assert len(checked.prompt_waveform) == PROMPT_TOKENS * TOKEN_SAMPLES
            assert cut <= 6.5 * SAMPLE_RATE_HZ


def test_the_table_says_means_and_who_was_named() -> None:
    some = tuple(
        SpeakerFigures(name, similarity, 0.8, named, ErrorCount(10, errors, 0, 0), 2.5)
        for name, similarity, named, errors in (("a", 0.8, True, 1), ("b", 0.6, False, 3))
    )
    figures = CorpusFigures("librispeech", "ten words", some)
    assert figures.word_error_rate == pytest.approx(0.2)
    table = markdown(figures)
    assert "| b | 0.600 | 0.800 | 0.75 | no | 3 of 10 | 2.50 |" in table
    assert "| all 2 | 0.700 | 0.800 | 0.88 | 1 of 2 | WER 0.200 | 2.50 |" in table
    assert json.loads(json.dumps(figures.to_json()))["word_error_rate"] == pytest.approx(0.2)
