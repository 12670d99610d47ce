"""When was each word of a known text said? Forced alignment by pocketsphinx.

It is the measure of words that no take is chosen by: where the text cannot be laid over the audio,
the reading is not of that text. Words that its dictionary lacks are spelled by gruut.
"""

from typing import Any

from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.errors import AlignmentError
from qa.phones import load_sphinx, phones
from qa.recognisers import SPHINX_FRAME_S, HeardWord, pcm
from qa.text import PlainWord, printed_words, spoken_words

LONGEST_S = 60.0
"""Beyond a minute the search loses its way; align window by window."""


def _teach(decoder: Any, words: list[PlainWord]) -> list[PlainWord]:
    """Add unknown words to the dictionary; leave out what cannot be pronounced."""
    known = []
    for word in words:
        if decoder.lookup_word(word.text) is None:
            sounds = phones(word.text)
            if not sounds:
                continue
            decoder.add_word(word.text, " ".join(sounds), True)
        known.append(word)
    return known


def align(audio: Audio, text: str) -> list[HeardWord]:
    """Find when each printed word of `text` is said in `audio` (up to a minute).

    Returns
    -------
    One `HeardWord` for each printed word that has a sound, in order; `text` is the word as printed.

    Raises
    ------
    AlignmentError
        If the audio is too long, or the text cannot be laid over it.
    """
    if audio.duration_s > LONGEST_S:
        raise AlignmentError(
            f"{audio.duration_s:.0f} s of audio: forced alignment takes up to {LONGEST_S:.0f} s; "
            "give it one window at a time"
        )
    decoder = load_sphinx()
    tokens = printed_words(text)
    words = _teach(decoder, spoken_words(tokens))
    if not words:
        return []
    decoder.set_align_text(" ".join(word.text for word in words))
    try:
        segments = _search(decoder, audio)
    finally:
        decoder.activate_search()  # back to the language model
    if len(segments) != len(words):
        raise AlignmentError(
            f"the text of {len(words)} words cannot be laid over {audio.duration_s:.1f} s of audio; "
            "it is probably not what was said"
        )
    return _by_printed_word(tokens, words, segments)


def _search(decoder: Any, audio: Audio) -> list[tuple[float, float]]:
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    decoder.start_utt()
    decoder.process_raw(pcm(speech), full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return []
    return [
        (segment.start_frame * SPHINX_FRAME_S, (segment.end_frame + 1) * SPHINX_FRAME_S)
        for segment in decoder.seg() or ()
        if not segment.word.startswith(("<", "[", "++"))
    ]


def _by_printed_word(
    tokens: list[str], words: list[PlainWord], segments: list[tuple[float, float]]
) -> list[HeardWord]:
    times: dict[int, tuple[float, float]] = {}
    for word, (start_s, end_s) in zip(words, segments, strict=True):
        first_s = times[word.source][0] if word.source in times else start_s
        times[word.source] = (first_s, end_s)
    return [HeardWord(tokens[i], start_s, end_s, 1.0) for i, (start_s, end_s) in times.items()]
