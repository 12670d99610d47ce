"""Word errors: exact counts on written transcripts, and a low error rate on real speech."""

from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest

from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.calibration.bench import Bench, Half
from qa.calibration.corpus import Clip, Recording, concatenate
from qa.errors import AlignmentError
from qa.forced_alignment import align
from qa.moonshine import transcribe_by_moonshine
from qa.places import Suspect, learn_confusions, unexplained
from qa.recognisers import HeardWord, Transcript, evidence, transcribe, transcribe_by_sphinx
from qa.suspects import weigh_errors
from qa.words import Kind, compare, count_misheard

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"
TEXT = "The cat sat on the mat. It was a grey day in the old town. Nobody came for ever so long."


def heard(text: str) -> Transcript:
    clock = count()
    return Transcript(
        tuple(
            HeardWord(w, float(t), t + 0.9, 1.0) for w, t in zip(text.split(), clock, strict=False)
        )
    )


def test_a_right_transcript_has_no_errors() -> None:
    report = compare(
        TEXT,
        heard(
            "the cat sat on the mat it was a gray day in the old town nobody came forever so long"
        ),
    )
    assert report.total.errors == 0
    assert report.total.words == 21
    assert not report.missing and not report.doubled


def test_errors_belong_to_their_sentences() -> None:
    said = "the cat sat on mat it was a very gray day in the cold town nobody came for ever so long"
    report = compare(TEXT, heard(said))
    kinds = [(c.substitutions, c.deletions, c.insertions) for c in report.by_sentence]
    assert kinds == [(0, 1, 0), (1, 0, 1), (0, 0, 0)]
    wrong = [(w.kind, w.expected, w.heard) for w in report.alignment if w.kind is not Kind.HIT]
    assert wrong == [
        (Kind.DELETION, "the", ""),
        (Kind.INSERTION, "", "very"),
        (Kind.SUBSTITUTION, "old", "cold"),
    ]


def test_a_missing_sentence_is_counted_once() -> None:
    report = compare(TEXT, heard("The cat sat on the mat. Nobody came for ever so long."))
    assert [m.sentence for m in report.missing] == [1]
    assert (report.missing[0].start_s, report.missing[0].end_s) == (5.9, 6.0)
    assert report.missing_or_doubled_per_10k_words == pytest.approx(10_000 / report.total.words)


def test_a_doubled_sentence_is_found() -> None:
    day = "It was a grey day in the old town."
    twice = f"The cat sat on the mat. {day} {day} Nobody came for ever so long."
    report = compare(TEXT, heard(twice))
    assert len(report.doubled) == 1
    assert report.doubled[0].text == "it was a gray day in the old town"
    assert report.total.insertions == 9


@pytest.mark.parametrize(
    "said",
    [  # as Whisper heard sentences of real recordings that were played twice
        "Fireman wore skins around their waist and across their shoulders. The fireman wore skins "
        "around their waist and across their shoulders.",
        "Firemen wore skins a round their waists and over their shoulders the Firemen wore skins "
        "around their waists and across their shoulders.",
    ],
)
def test_a_double_is_found_where_words_were_misheard(said: str) -> None:
    text = (
        f"{TEXT} Fire men wore skins around their waists and across their shoulders. Then it ended."
    )
    assert len(compare(text, heard(f"{TEXT} {said} Then it ended.")).doubled) == 1


def test_added_words_that_repeat_nothing_are_no_double() -> None:
    added = "Nobody came for ever so long that we all went home again."
    report = compare(TEXT, heard(TEXT.replace("Nobody came for ever so long.", added)))
    assert report.total.insertions == 6 and not report.doubled


def test_whisper_reads_kathleen(minute: Recording) -> None:
    transcript = transcribe(minute.audio)
    report = compare(minute.sentences, transcript)
    assert report.total.rate < 0.08
    assert not report.missing and not report.doubled
    starts = [w.start_s for w in transcript.words]
    assert starts == sorted(starts)
    for word in report.alignment:
        passage = minute.passages[word.sentence]
        if word.kind is Kind.HIT:
            assert passage.start_s - 0.8 <= word.start_s <= passage.end_s + 0.8


def test_whisper_is_deterministic(kathleen: list[Clip]) -> None:
    recording = concatenate(kathleen[:6])
    assert transcribe(recording.audio) == transcribe(recording.audio)


def test_a_skipped_and_a_repeated_sentence_are_heard(kathleen: list[Clip]) -> None:
    text = [clip.text for clip in kathleen[100:112]]
    played = [*kathleen[100:104], *kathleen[105:109], kathleen[108], *kathleen[109:112]]
    report = compare(text, transcribe(concatenate(played).audio))
    assert [m.sentence for m in report.missing] == [4]
    assert [d.sentence for d in report.doubled] == [8]


def test_words_said_twice_in_a_breath_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whisper passes over this double, and gives its four seconds to one word."""
    recording = concatenate(Bench(SPEECH, Path()).narrator(Half.LEARN)[20:24], seed=5)
    speech = resampled(recording.audio, ANALYSIS_RATE_HZ)
    words = align(speech, " ".join(recording.sentences))
    start, end = (round(t * speech.rate_hz) for t in (words[14].start_s, words[26].end_s))
    twice = np.concatenate([speech.samples[:end], speech.samples[start:]])
    again = Audio(twice, speech.rate_hz)
    assert len(transcribe(again).words) > 45
    monkeypatch.setattr("qa.recognisers._LONGEST_WORD_S", 9.0)
    assert len(transcribe(again).words) < 40


def test_the_second_recogniser_hears_most_words(kathleen: list[Clip]) -> None:
    recording = concatenate(kathleen[60:68])
    report = compare(recording.sentences, transcribe_by_sphinx(recording.audio))
    assert report.total.rate < 0.5


def test_the_proving_recogniser_hears_nearly_every_word_and_what_was_left_out(
    kathleen: list[Clip],
) -> None:
    recording = concatenate(kathleen[60:68])
    said = compare(recording.sentences, transcribe_by_moonshine(recording.audio))
    assert said.total.rate < 0.1
    shorter = concatenate([*kathleen[60:63], *kathleen[64:68]])
    left_out = compare(recording.sentences, transcribe_by_moonshine(shorter.audio))
    assert [m.sentence for m in left_out.missing] == [3]


def test_evidence_forgives_spelling_and_not_another_word(kathleen: list[Clip]) -> None:
    clip = next(c for c in kathleen if "Whittemore" in c.text)
    said, misspelt, other = evidence(
        concatenate([clip]).audio,
        [
            "Not at this particular case, Tom, apologized Whittemore.",
            "Not at this particular case, Tom, apologized Whitmore.",
            "Not at this terrible case, Tom, apologized Whittemore.",
        ],
    )
    assert said > other + 8.0
    assert abs(said - misspelt) < 8.0


def test_a_word_that_was_not_said_weighs_more_than_a_misheard_one(kathleen: list[Clip]) -> None:
    recording = concatenate(kathleen[70:76])
    transcript = transcribe(recording.audio)
    wrong = [clip.text for clip in kathleen[70:76]]
    words = wrong[3].split()
    words[2] = "umbrella"
    wrong[3] = " ".join(words)
    suspects = weigh_errors(recording.audio, compare(wrong, transcript), transcript)
    worst = max(suspects, key=lambda s: s.doubt_nats)
    assert worst.expected.split()[0] == "umbrella"
    assert worst.sentence == 3
    assert worst.doubt_nats > 9.0


def test_repeated_confusions_are_learned() -> None:
    text = [
        "Pemberley was near.",
        "They saw Pemberley again.",
        "The old house stood.",
        "The old barn fell.",
    ]
    report = compare(
        text,
        heard(
            "Pemberly was near. They saw Pemberly again. The cold house stood. The old barn fell."
        ),
    )
    learned = learn_confusions(count_misheard(report))
    assert learned == {("pemberley", "pemberly")}
    names = Suspect("pemberley", "pemberly", 0, 0.0, 1.0, 20.0, 0.1)
    real = Suspect("old", "cold", 2, 5.0, 6.0, 20.0, 0.3)
    assert unexplained([names, real], learned) == [real]


def test_forced_alignment_finds_the_words(kathleen: list[Clip]) -> None:
    clip = next(c for c in kathleen if "Whittemore" in c.text)
    audio = concatenate([clip]).audio
    words = align(audio, clip.text)
    assert [w.text for w in words] == clip.text.split()
    assert all(a.end_s <= b.start_s + 0.02 for a, b in pairwise(words))
    spoken = transcribe(audio).words
    ours = {w.text.lower().strip(".,"): w.start_s for w in words}
    shared = [
        (ours[w.text.lower().strip(".,")], w.start_s)
        for w in spoken
        if w.text.lower().strip(".,") in ours
    ]
    assert len(shared) >= 5
    assert float(np.median([abs(a - b) for a, b in shared])) < 0.25


def test_forced_alignment_refuses_another_text(kathleen: list[Clip]) -> None:
    audio = resampled(Audio(concatenate([kathleen[3]]).audio.samples, 22_050), 16_000)
    with pytest.raises(AlignmentError, match="cannot be laid over"):
        align(audio, " ".join(clip.text for clip in kathleen[20:26]))
