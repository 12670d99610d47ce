"""How often the measures cry wolf: the same measures on recordings that nothing was done to."""

from collections.abc import Callable

import numpy as np

from qa import verdicts
from qa.breaks import OPENING
from qa.calibration.bench import Bench, Half, Section
from qa.calibration.ledger import Row
from qa.calibration.trials import (
    LIMITS,
    click_findings,
    clipping_findings,
    judge_transcript,
    noise_findings,
    pause_findings,
)
from qa.findings import Finding, Verdict
from qa.pitch import base_pitch, described
from qa.rate import tempo
from qa.signal import hum, levels, pauses
from qa.speaker_track import follow
from qa.words import compare, count_misheard


def _alarms(findings: list[Finding]) -> tuple[str, ...]:
    return tuple(
        f"{f.check} {f.start_s:.1f}-{f.end_s:.1f} {f.value:.2f}: {f.reason}"
        for f in findings
        if f.verdict is Verdict.FAIL
    )


def clean_signal(bench: Bench, half: Half, section: Section) -> Row:
    """Judge the waveform of an undamaged section."""
    audio = section.recording.audio
    findings = click_findings(audio) + clipping_findings(audio) + noise_findings(audio)
    without_text = not any(section.recording.sentences)
    findings += pause_findings(audio, [OPENING] if without_text else ())
    findings += verdicts.judge_levels(levels(audio), hum(audio), audio.duration_s, LIMITS)
    unsure = sum(f.verdict is Verdict.INCONCLUSIVE for f in findings)
    return Row(
        "clean signal", half, section.name, hours=audio.duration_s / 3600,
        alarms=_alarms(findings), figures={"inconclusive": unsure},
    )  # fmt: skip


def clean_pitch(bench: Bench, half: Half, section: Section) -> Row:
    """Judge the pitch of an undamaged section."""
    base = base_pitch(described(bench.f0_hz(section)))
    known = base.semitones[np.isfinite(base.semitones)]
    return Row(
        "clean pitch", half, section.name, hours=section.duration_s / 3600,
        alarms=_alarms(verdicts.judge_pitch(base, LIMITS)),
        figures={"most": float(np.abs(known).max()) if len(known) else 0.0},
    )  # fmt: skip


def clean_voice(bench: Bench, half: Half, section: Section) -> Row:
    """Judge the voice of an undamaged section."""
    voice = bench.voice(section)
    vectors = voice["vectors"].astype(np.float32)
    track = follow(voice["centre_s"], vectors, voice["share"])
    spoken = track.to_median[track.speech_share >= LIMITS.voice_speech_share_least]
    return Row(
        "clean voice", half, section.name, hours=section.duration_s / 3600,
        alarms=_alarms(verdicts.judge_voice(track, LIMITS)),
        figures={"lowest": float(spoken.min()) if len(spoken) else 1.0, "windows": len(spoken)},
    )  # fmt: skip


def clean_words(bench: Bench, half: Half, section: Section) -> Row:
    """Judge the words and the tempo of an undamaged section."""
    transcript = bench.heard(section)
    findings, suspects = judge_transcript(section.speech, transcript, section.recording)
    report = compare(" ".join(section.recording.sentences), transcript)
    pace = tempo(transcript.words, pauses(section.speech), section.duration_s)
    findings += verdicts.judge_tempo(pace, LIMITS)
    misheard = [[m.expected, m.heard, m.places, m.stands] for m in count_misheard(report)]
    known = np.abs(np.log(pace.relative[np.isfinite(pace.relative)]))
    return Row(
        "clean words", half, section.name, hours=section.duration_s / 3600,
        words=report.total.words, alarms=_alarms(findings),
        figures={"suspects": suspects, "misheard": misheard, "loops": len(transcript.loops),
                 "errors": report.total.errors, "tempo": float(known.max()) if len(known) else 0.0},
    )  # fmt: skip


CLEAN: dict[str, tuple[Callable[[Bench, Half, Section], Row], bool]] = {
    "clean signal": (clean_signal, True),
    "clean pitch": (clean_pitch, False),
    "clean voice": (clean_voice, True),
    "clean words": (clean_words, False),
}
"""Each measure, and whether the other speakers' single clips are judged by it too."""
