"""How often the measures cry wolf: the same measures on recordings that nothing was done to."""

import os
from collections.abc import Callable
from time import monotonic, process_time

import numpy as np

from qa import verdicts
from qa.base_pitch import base_pitch
from qa.breaks import OPENING
from qa.calibration.bench import Bench, Half, Section
from qa.calibration.corpus import read_clip
from qa.calibration.ledger import Row
from qa.calibration.trials import (
    DRIFT_SECTIONS,
    LIMITS,
    click_findings,
    clipping_findings,
    judge_transcript,
    noise_findings,
    pause_findings,
    told,
)
from qa.findings import Finding, Verdict
from qa.judge import Context, Settings, judge, planned_windows, too_short
from qa.rate import tempo
from qa.signal import hum, levels, pauses
from qa.speaker_track import follow
from qa.word_verdicts import judge_loops
from qa.words import compare, count_misheard

TIMED = 3
"""Sections that the time of judging is taken of."""


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
    base = base_pitch(bench.f0_hz(section), bench.power(section))
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
    """Judge the words of an undamaged section."""
    transcript = bench.heard(section)
    findings, suspects = judge_transcript(section.speech, transcript, section.recording)
    report = compare(" ".join(section.recording.sentences), transcript)
    misheard = [[m.expected, m.heard, m.places, m.stands] for m in count_misheard(report)]
    return Row(
        "clean words", half, section.name, hours=section.duration_s / 3600,
        words=report.total.words, alarms=_alarms(findings),
        figures={"suspects": suspects, "misheard": misheard, "loops": len(transcript.loops),
                 "errors": report.total.errors},
    )  # fmt: skip


def clean_tempo(bench: Bench, half: Half, section: Section) -> Row:
    """Judge the tempo of an undamaged section."""
    words = bench.heard(section).words
    speech = section.speech
    pace = tempo(words, speech)
    return Row(
        "clean tempo", half, section.name, hours=section.duration_s / 3600,
        alarms=_alarms(verdicts.judge_tempo(pace, LIMITS)),
        figures={"most": float(np.abs(np.log(pace.relative)).max(initial=0.0))},
    )  # fmt: skip


def clean_drift(bench: Bench, half: Half, section: Section) -> Row:
    """Judge the drift of ten undamaged minutes: a section and the three after it."""
    sections = bench.sections(half)
    first = sections.index(section)
    four = (sections + sections)[first : first + DRIFT_SECTIONS]
    base = base_pitch(*told(bench, four))
    findings = verdicts.judge_pitch(base, LIMITS)
    return Row(
        "clean drift", half, section.name, hours=section.duration_s / 3600,
        alarms=_alarms([f for f in findings if f.check == "drift"]), figures={},
    )  # fmt: skip


def clean_windows(bench: Bench, half: Half, section: Section) -> Row:
    """Count windows of ten seconds and more that cannot be judged: short, quiet, or the recogniser loops."""
    speech = section.speech
    windows = planned_windows(speech)
    findings = too_short(speech, windows, pauses(speech), LIMITS)
    findings += judge_loops(bench.heard(section).loops)
    findings += verdicts.judge_levels(levels(speech), hum(speech), speech.duration_s, LIMITS)
    unsure = [f for f in findings if f.verdict is Verdict.INCONCLUSIVE]
    long = [
        (a, min(b, speech.duration_s)) for a, b in windows if min(b, speech.duration_s) - a >= 10.0
    ]
    touched = [w for w in long if any(f.start_s < w[1] and f.end_s > w[0] for f in unsure)]
    return Row(
        "clean windows", half, section.name, hours=section.duration_s / 3600,
        figures={"windows": len(long), "inconclusive": len(touched)},
    )  # fmt: skip


def clean_time(bench: Bench, half: Half, section: Section) -> Row | None:
    """Judge a section whole, with text and prompt and every question asked, and take the time; three do."""
    if section not in bench.sections(half)[:TIMED]:
        return None
    prompt = read_clip(bench.narrator(half)[-1].path)
    text = " ".join(section.recording.sentences)
    threads = len(os.sched_getaffinity(0))
    started, busy = monotonic(), process_time()
    judge(section.recording.audio, Context(text=text, prompt=prompt), Settings(threads=threads))
    took_s, busy_s = monotonic() - started, process_time() - busy
    return Row(
        "clean time", half, section.name, hours=section.duration_s / 3600,
        figures={"took_s": took_s, "busy_s": busy_s, "threads": threads},
    )  # fmt: skip


CLEAN: dict[str, tuple[Callable[[Bench, Half, Section], Row | None], bool]] = {
    "clean signal": (clean_signal, True),
    "clean pitch": (clean_pitch, False),
    "clean voice": (clean_voice, True),
    "clean words": (clean_words, False),
    "clean tempo": (clean_tempo, False),
    "clean drift": (clean_drift, False),
    "clean windows": (clean_windows, True),
    "clean time": (clean_time, False),
}
"""Each measure, and whether the other speakers' single clips are judged by it too."""
