"""When was each word of a known text said? Forced alignment by pocketsphinx.

It is the measure of words that no take is chosen by: where the text cannot be laid over the audio,
the reading is not of that text. Words that its dictionary lacks are spelled by gruut.
"""

from functools import lru_cache
from typing import Any

from qa.audio import ANALYSIS_RATE_HZ, Audio, resampled
from qa.errors import AlignmentError
from qa.recognisers import SPHINX_FRAME_S, HeardWord, load_sphinx, pcm
from qa.text import number_readings, pieces, printed_words

LONGEST_S = 60.0
"""Beyond a minute the search loses its way; align window by window."""

_ARPABET = {
    "i": "IY", "ɪ": "IH", "eɪ": "EY", "ɛ": "EH", "æ": "AE", "ɑ": "AA", "ɔ": "AO", "oʊ": "OW",
    "ʊ": "UH", "u": "UW", "ʌ": "AH", "ə": "AH", "ɚ": "ER", "ɝ": "ER", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY",
    "b": "B", "d": "D", "f": "F", "h": "HH", "j": "Y", "k": "K", "l": "L", "m": "M", "n": "N",
    "p": "P", "s": "S", "t": "T", "v": "V", "w": "W", "z": "Z", "ɡ": "G", "ŋ": "NG", "ɹ": "R", "ɾ": "T",
    "ʃ": "SH", "ʒ": "ZH", "t͡ʃ": "CH", "d͡ʒ": "JH", "θ": "TH", "ð": "DH", "x": "K", "ʔ": "T",
}  # fmt: skip
"""gruut's symbols in those of the CMU dictionary that the acoustic model was trained on."""


@lru_cache(maxsize=10_000)
def _phones(word: str) -> str:
    """Spell a word in CMU phones by gruut's lexicon and its guesser."""
    from gruut import sentences

    symbols = [p for s in sentences(word, lang="en-us") for w in s for p in w.phonemes or ()]
    known = (_ARPABET.get(symbol.strip("ˈˌː")) for symbol in symbols)
    return " ".join(phone for phone in known if phone)


def _spoken(tokens: list[str]) -> list[tuple[str, int]]:
    """List dictionary words, each with the index of its printed word."""
    words: list[tuple[str, int]] = []
    for index, token in enumerate(tokens):
        for piece in pieces(token):
            readings = number_readings(piece)
            said = (
                readings[0] if readings else ["".join(c for c in piece if c.isalpha() or c == "'")]
            )
            words += [(word, index) for word in said if word]
    return words


def _teach(decoder: Any, words: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Add unknown words to the dictionary; leave out what cannot be pronounced."""
    known = []
    for word, index in words:
        if decoder.lookup_word(word) is None:
            phones = _phones(word)
            if not phones:
                continue
            decoder.add_word(word, phones, True)
        known.append((word, index))
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
    words = _teach(decoder, _spoken(tokens))
    if not words:
        return []
    decoder.set_align_text(" ".join(word for word, _ in words))
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
    tokens: list[str], words: list[tuple[str, int]], segments: list[tuple[float, float]]
) -> list[HeardWord]:
    times: dict[int, tuple[float, float]] = {}
    for (_, index), (start_s, end_s) in zip(words, segments, strict=True):
        first_s = times[index][0] if index in times else start_s
        times[index] = (first_s, end_s)
    return [HeardWord(tokens[i], start_s, end_s, 1.0) for i, (start_s, end_s) in times.items()]
