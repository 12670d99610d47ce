"""One trial a defect: damage a real recording, measure it again where it was damaged, and look what is found.

A trial hits when a failure of the right kind lies over the damaged place; what is inconclusive is missed.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from qa import verdicts
from qa.audio import ANALYSIS_RATE_HZ, Audio, quiet_cuts, resampled
from qa.base_pitch import base_pitch, powers
from qa.calibration import damages
from qa.calibration.bench import Bench, Half, Section
from qa.calibration.corpus import Recording, concatenate
from qa.calibration.damages import Damage, Damaged
from qa.calibration.ledger import Row
from qa.clicks import clicks
from qa.findings import Finding, Spans, Verdict
from qa.pitch import FRAME_S as PITCH_FRAME_S
from qa.pitch import pitch
from qa.rate import tempo
from qa.recognisers import HeardWord, Transcript, transcribe
from qa.signal import clipped_peaks_per_s, pauses, stretch, track_noise
from qa.speaker_track import STEP_S, WINDOW_S, follow, speech_share
from qa.thresholds import Thresholds

LIMITS = Thresholds()
WORD_CLIPS = 4
"""Clips of a recording for word damage: 10 to 20 s, one stretch for the recogniser."""

WORD_WITHIN_S = 1.0
"""Whisper spreads its times over what it passes over: within a second of the damage is at its place."""

HOUR_S = 3600.0
"""Length of a recording in which another speaker is looked for."""

DRIFT_SECTIONS = 4
"""Sections of a recording whose pitch drifts: about ten minutes."""

_WORD_STEP = 7  # clips from one case to the next

Trial = Callable[[Bench, Half, int], Row | None]
"""Runs one case of a half; None where its recording offers no place for the damage."""


def overlapping(
    findings: Iterable[Finding], checks: Sequence[str], place: Damaged
) -> list[Finding]:
    """Failures of the given kinds that lie over the damaged place."""
    return [
        f
        for f in findings
        if f.verdict is Verdict.FAIL
        and f.check in checks
        and f.start_s < place.end_s
        and f.end_s > place.start_s
    ]


def _row(defect: str, half: Half, case: int, found: Sequence[Finding], **figures: object) -> Row:
    values = [f.value for f in found]
    return Row(defect, half, f"{case:03d}", bool(found), figures={"values": values, **figures})


def _rng(defect: str, half: Half, case: int) -> np.random.Generator:
    return np.random.default_rng([*defect.encode(), case, half is Half.TEST])


def _any_section(bench: Bench, half: Half, case: int, alone: bool = False) -> Section:
    """Give the narrator's sections in turn; every other case another speaker, where one clip will do."""
    if alone and case % 2:
        solos = bench.solos(half)
        return solos[case // 2 % len(solos)]
    sections = bench.sections(half)
    return sections[case % len(sections)]


def click_findings(audio: Audio) -> list[Finding]:
    """Judge the clicks of a recording."""
    return verdicts.judge_clicks(clicks(audio, LIMITS), LIMITS)


def clipping_findings(audio: Audio) -> list[Finding]:
    """Judge the clipping of a recording, window by window."""
    cuts = quiet_cuts(resampled(audio, ANALYSIS_RATE_HZ), 12.0, 27.0)
    windows = [(a / ANALYSIS_RATE_HZ, b / ANALYSIS_RATE_HZ) for a, b in cuts]
    flat = [clipped_peaks_per_s(audio, a, b) for a, b in windows]
    return verdicts.judge_clipping(windows, flat, LIMITS)


def noise_findings(audio: Audio) -> list[Finding]:
    """Judge the noise of a recording."""
    return verdicts.judge_noise(track_noise(audio), LIMITS)


def pause_findings(audio: Audio, meant_s: Spans = ()) -> list[Finding]:
    """Judge the pauses of a recording; long ones may be meant in some stretches."""
    return verdicts.judge_pauses(pauses(audio), audio.duration_s, meant_s, LIMITS)


def signal_trial(
    defect: str,
    damage: Damage,
    judge: Callable[[Audio], list[Finding]],
    check: str,
    alone: bool,
    bench: Bench,
    half: Half,
    case: int,
) -> Row | None:
    """Damage the waveform and judge the whole section again."""
    section = _any_section(bench, half, case, alone)
    damaged = damage(section.recording, _rng(defect, half, case))
    if damaged is None:
        return None
    return _row(defect, half, case, overlapping(judge(damaged.audio), [check], damaged))


def pitch_trial(bench: Bench, half: Half, case: int) -> Row:
    """Shift twenty seconds of a section and follow the pitch again there."""
    section = _any_section(bench, half, case)
    damaged = damages.change_pitch(section.recording, _rng("pitch", half, case))
    f0_hz = pitch_patched(bench.f0_hz(section), section.duration_s, damaged)
    base = base_pitch(f0_hz, powers(damaged.audio))
    inside = np.abs(base.centre_s - (damaged.start_s + damaged.end_s) / 2) < 10.0
    found = overlapping(verdicts.judge_pitch(base, LIMITS), ["pitch"], damaged)
    return _row("pitch", half, case, found, most=float(np.nanmax(np.abs(base.semitones[inside]))))


def pitch_patched(f0_hz: np.ndarray, duration_s: float, damaged: Damaged) -> np.ndarray:
    """Put the pitch of the damaged stretch in the place of the clean one's."""
    before_s, after_s = damaged.start_s - 0.5, damaged.end_s + 0.5
    longer_s = damaged.audio.duration_s - duration_s
    first, last = (max(0, round(t / PITCH_FRAME_S)) for t in (before_s, after_s - longer_s))
    new = pitch(stretch(damaged.audio, max(0.0, before_s), after_s)).f0_hz
    return np.concatenate([f0_hz[:first], new, f0_hz[last:]])


def drift_trial(bench: Bench, half: Half, case: int) -> Row:
    """Let the pitch creep over four sections in another order each case, on their contours.

    Playing faster and stretching back multiplies the pitch by one number, so the contour is multiplied,
    section by section in steps of three seconds, instead of ten minutes of sound being made again.
    """
    rng = _rng("drift", half, case)
    f0_hz, power = _ten_minutes(bench, half, rng)
    towards = damages.DRIFT_SEMITONES * float(rng.choice([-1.0, 1.0]))
    time_s = np.arange(len(f0_hz)) * PITCH_FRAME_S // 3.0 * 3.0
    crept = f0_hz * 2 ** (towards * time_s / damages.DRIFT_S / 12)
    found = verdicts.judge_pitch(base_pitch(crept, power), LIMITS)
    return _row("drift", half, case, [f for f in found if f.check == "drift"])


def told(bench: Bench, sections: Sequence[Section]) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and power of sections in a row, frame by frame."""
    parts = [(bench.f0_hz(s), bench.power(s)) for s in sections]
    f0_hz = [f0[: len(level)] for f0, level in parts]
    power = [level[: len(f0)] for f0, level in parts]
    return np.concatenate(f0_hz), np.concatenate(power)


def _ten_minutes(
    bench: Bench, half: Half, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pitch and power of about ten minutes: four sections in a random order, begun at a random place."""
    sections = [s for s in bench.sections(half) if bench.has(f"{s.name}.pitch.npz")]
    picked = rng.permutation(len(sections))[: DRIFT_SECTIONS + 1]
    f0_hz, power = told(bench, [sections[k] for k in picked])
    most = round(damages.DRIFT_S / PITCH_FRAME_S)
    start = int(rng.integers(0, max(1, len(f0_hz) - most)))
    return f0_hz[start : start + most], power[start : start + most]


def tempo_trial(bench: Bench, half: Half, case: int) -> Row:
    """Read twenty seconds of a section faster or slower and listen to them again."""
    section = _any_section(bench, half, case)
    damaged = damages.change_speed(section.recording, _rng("tempo", half, case))
    longer_s = damaged.audio.duration_s - section.duration_s
    first_s, last_s = max(0.0, damaged.start_s - 1.5), damaged.end_s + 1.5
    speech = resampled(damaged.audio, ANALYSIS_RATE_HZ)
    again = transcribe(stretch(speech, first_s, last_s))
    words = _words_patched(bench.heard(section).words, again, first_s, last_s, longer_s)
    pace = tempo(words, speech)
    inside = (pace.start_s < damaged.end_s - 5.0) & (pace.end_s > damaged.start_s + 5.0)
    found = overlapping(verdicts.judge_tempo(pace, LIMITS), ["tempo"], damaged)
    most = np.abs(np.log(pace.relative[inside])).max(initial=0.0)
    return _row("tempo", half, case, found, most=float(most))


def _words_patched(
    words: Sequence[HeardWord], again: Transcript, first_s: float, last_s: float, longer_s: float
) -> list[HeardWord]:
    """Put the words of a stretch heard again in the place of those heard before, half a second inside it."""
    inner_s, outer_s = first_s + 0.5, last_s - 0.5

    def middle(word: HeardWord, shift_s: float) -> float:
        return (word.start_s + word.end_s) / 2 + shift_s

    def moved(word: HeardWord, shift_s: float) -> HeardWord:
        return HeardWord(word.text, word.start_s + shift_s, word.end_s + shift_s, word.probability)

    before = [w for w in words if middle(w, 0.0) < inner_s]
    new = [moved(w, first_s) for w in again.words if inner_s <= middle(w, first_s) < outer_s]
    after = [moved(w, longer_s) for w in words if middle(w, longer_s) >= outer_s]
    return [*before, *new, *after]


def speaker_trial(bench: Bench, half: Half, case: int) -> Row | None:
    """Put three seconds in another voice, in an hour of sections."""
    section = _any_section(bench, half, case)
    damage = damages.swap_speaker(bench.speakers(half))
    damaged = damage(section.recording, _rng("speaker", half, case))
    if damaged is None:
        return None
    voice = bench.voice(section)
    centre_s, vectors = voice["centre_s"], np.array(voice["vectors"])
    touched = np.flatnonzero(
        (centre_s + WINDOW_S / 2 > damaged.start_s) & (centre_s - WINDOW_S / 2 < damaged.end_s)
    )
    speech = resampled(damaged.audio, ANALYSIS_RATE_HZ)
    vectors[touched] = _embedded(speech, centre_s[touched])
    others = _rest_of_an_hour(bench, half, section)
    after_s = (
        float(centre_s[-1]) + WINDOW_S + STEP_S * np.arange(sum(len(o["centre_s"]) for o in others))
    )
    track = follow(
        np.concatenate([centre_s, after_s]),
        np.concatenate([vectors, *(o["vectors"] for o in others)]).astype(np.float32),
        np.concatenate([speech_share(speech, centre_s), *(o["share"] for o in others)]),
    )
    found = overlapping(verdicts.judge_voice(track, LIMITS), ["speaker"], damaged)
    errors = [abs(f.start_s - damaged.start_s) for f in found[:1]]
    errors += [abs(f.end_s - damaged.end_s) for f in found[-1:]]
    lowest = float(track.to_median[touched].min())
    return _row("speaker", half, case, found, errors_s=errors, lowest=lowest, windows=len(after_s))


def _rest_of_an_hour(bench: Bench, half: Half, section: Section) -> list[dict[str, np.ndarray]]:
    """Voices of other sections, as many as make an hour; the other half helps where one is too short."""
    other_half = Half.LEARN if half is Half.TEST else Half.TEST
    rest: list[dict[str, np.ndarray]] = []
    total_s = section.duration_s
    for other in [*bench.sections(half), *bench.sections(other_half)]:
        if total_s >= HOUR_S:
            break
        if other.name != section.name:
            rest.append(bench.voice(other))
            total_s += other.duration_s
    return rest


def _embedded(speech: Audio, centre_s: np.ndarray) -> np.ndarray:
    """Embed a run of neighbouring windows once more."""
    from qa.speaker import sliding_embeddings

    first_s = float(centre_s[0]) - WINDOW_S / 2
    last_s = float(centre_s[-1]) + WINDOW_S / 2
    _, vectors = sliding_embeddings(stretch(speech, first_s, last_s))
    return vectors[: len(centre_s)]


def word_trial(defect: str, bench: Bench, half: Half, case: int) -> Row | None:
    """Damage the words of some clips in a row and listen to them."""
    narrator = bench.narrator(half)
    rng = _rng(defect, half, case)
    first = case * _WORD_STEP % (len(narrator) - WORD_CLIPS)
    recording = concatenate(narrator[first : first + WORD_CLIPS], seed=case)
    damage = {
        "skip": damages.skip_sentence,
        "repeat": damages.repeat_sentence,
        "word": damages.replace_word(narrator),
    }[defect]
    damaged = damage(recording, rng)
    if damaged is None:
        return None
    findings, suspects = judge_reading(damaged.audio, recording)
    near = Damaged(
        damaged.audio, damaged.text, damaged.start_s - WORD_WITHIN_S, damaged.end_s + WORD_WITHIN_S
    )
    found = overlapping(findings, _OF_WORDS, near)
    return _row(
        defect, half, case, found, kinds=[f.check for f in found], suspects=suspects,
        place=[damaged.start_s, damaged.end_s],
    )  # fmt: skip


def judge_reading(
    audio: Audio, recording: Recording
) -> tuple[list[Finding], list[dict[str, object]]]:
    """Transcribe a recording and judge its words; also gives the suspects as they were weighed."""
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    return judge_transcript(speech, transcribe(speech), recording)


def judge_transcript(
    speech: Audio, transcript: Transcript, recording: Recording
) -> tuple[list[Finding], list[dict[str, object]]]:
    """Judge the words of a transcript against the text of its recording."""
    from dataclasses import asdict

    from qa.suspects import weigh_errors
    from qa.word_verdicts import judge_loops, judge_words
    from qa.words import compare

    report = compare(" ".join(recording.sentences), transcript)
    suspects = weigh_errors(speech, report, transcript)
    findings = judge_words(report.missing, report.doubled, suspects, LIMITS)
    return [*findings, *judge_loops(transcript.loops)], [asdict(s) for s in suspects]


_OF_WORDS = ("missing", "doubled", "omission", "insertion", "substitution")
"""A sentence left out beside a misheard word is reported as one word in place of many."""

TRIALS: dict[str, Trial] = {
    "click": partial(signal_trial, "click", damages.add_click, click_findings, "click", True),
    "clipping": partial(
        signal_trial, "clipping", damages.clip_peaks, clipping_findings, "clipping", True
    ),
    "noise": partial(signal_trial, "noise", damages.add_noise, noise_findings, "noise", False),
    "pause": partial(
        signal_trial, "pause", damages.insert_pause, pause_findings, "dead_air", False
    ),
    "pitch": pitch_trial,
    "drift": drift_trial,
    "speaker": speaker_trial,
    "skip": partial(word_trial, "skip"),
    "repeat": partial(word_trial, "repeat"),
    "word": partial(word_trial, "word"),
    "tempo": tempo_trial,
}
"""The defects, those that cost least first."""
