"""Pass, fail or inconclusive on voice, naturalness, signal and spec; words are in `qa.word_verdicts`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qa.base_pitch import SPAN_S as PITCH_SPAN_S
from qa.base_pitch import STEP_S as PITCH_STEP_S
from qa.base_pitch import BasePitch
from qa.clicks import Click
from qa.findings import Finding, Question, Spans, Verdict
from qa.joints import JointComparison
from qa.naturalness import EXCERPT_S, Naturalness
from qa.rate import Tempo
from qa.signal import NOISE_SPAN_S, Hum, Levels, NoiseTrack, Pause
from qa.speaker_track import WINDOW_S, SpeakerTrack
from qa.spec import Spec
from qa.thresholds import Thresholds

Floats = NDArray[np.float64]


def _runs(
    bad: NDArray[np.bool_], centre_s: Floats, span_s: float
) -> list[tuple[float, float, list[int]]]:
    """Merge failing spans of one length that touch: (start_s, end_s, their indices)."""
    return _merged(bad, centre_s - span_s / 2, centre_s + span_s / 2)


def _merged(
    bad: NDArray[np.bool_], starts_s: Floats, ends_s: Floats
) -> list[tuple[float, float, list[int]]]:
    runs: list[tuple[float, float, list[int]]] = []
    for k in np.flatnonzero(bad):
        start_s, end_s = float(starts_s[k]), float(ends_s[k])
        if runs and start_s <= runs[-1][1]:
            runs[-1] = (runs[-1][0], end_s, [*runs[-1][2], int(k)])
        else:
            runs.append((max(0.0, start_s), end_s, [int(k)]))
    return runs


def judge_voice(track: SpeakerTrack, limits: Thresholds) -> list[Finding]:
    """Judge every 3 s window against the recording's own voice, and the whole against the prompt."""
    spoken = track.speech_share >= limits.voice_speech_share_least
    bad = spoken & (track.to_median < limits.voice_similarity_least)
    least = limits.voice_similarity_least
    findings = []
    for run_start_s, run_end_s, ks in _runs(bad, track.centre_s, WINDOW_S):
        worst = float(track.to_median[ks].min())
        start_s, end_s = track.refined(run_start_s, run_end_s)
        reason = f"another voice: its likeness to the rest of the recording is {worst:.2f}"
        findings.append(
            Finding(
                Question.VOICE,
                "speaker",
                Verdict.FAIL,
                reason,
                start_s,
                end_s,
                worst,
                least,
                "cosine",
            )
        )
    if track.to_prompt is None or not spoken.any():
        return findings
    like_prompt = float(track.to_prompt[spoken].mean())
    if like_prompt < limits.voice_to_prompt_least:
        end_s = float(track.centre_s[-1] + WINDOW_S / 2)
        reason = f"the whole sounds unlike the voice prompt ({like_prompt:.2f})"
        limit = limits.voice_to_prompt_least
        findings.append(
            Finding(
                Question.VOICE,
                "prompt",
                Verdict.FAIL,
                reason,
                0.0,
                end_s,
                like_prompt,
                limit,
                "cosine",
            )
        )
    return findings


def judge_pitch(base: BasePitch, limits: Thresholds) -> list[Finding]:
    """Judge shifts of the base pitch, and its drift over ten minutes."""
    short = len(base.centre_s) == 0 or base.centre_s[-1] + PITCH_SPAN_S / 2 < limits.pitch_short_s
    most = limits.pitch_short_most_semitones if short else limits.pitch_shift_most_semitones
    with np.errstate(invalid="ignore"):
        bad = np.abs(base.semitones) > most
    findings = []
    for start_s, end_s, ks in _runs(bad, base.centre_s, PITCH_SPAN_S):
        worst = float(max(base.semitones[ks], key=abs))
        way = "higher" if worst > 0 else "lower"
        reason = f"the voice is {abs(worst):.1f} semitones {way} than in the rest of the recording"
        findings.append(
            Finding(
                Question.VOICE,
                "pitch",
                Verdict.FAIL,
                reason,
                start_s,
                end_s,
                worst,
                most,
                "semitones",
            )
        )
    return findings + _judge_drift(base, limits)


def _judge_drift(base: BasePitch, limits: Thresholds) -> list[Finding]:
    """Least-squares slope of the base pitch in ten-minute stretches, a new one every 2.5 minutes."""
    most = limits.pitch_drift_most_semitones_per_10_min
    known = np.isfinite(base.semitones)
    time_s, value = base.centre_s[known], base.semitones[known]
    last_s = float(time_s[-1]) if len(time_s) else 0.0
    found: list[Finding] = []
    for start_s in np.arange(0.0, max(0.0, last_s - 540.0) + 1e-9, 150.0):
        inside = (time_s >= start_s) & (time_s < start_s + 600.0)
        if last_s < 540.0 or inside.sum() * PITCH_STEP_S < 150.0:
            continue
        slope = float(np.polyfit(time_s[inside], value[inside], 1)[0]) * 600.0
        if abs(slope) <= most or (found and start_s < found[-1].end_s):
            continue
        way = "rises" if slope > 0 else "sinks"
        reason = f"the voice {way} by {abs(slope):.1f} semitones in ten minutes"
        end_s = min(float(start_s) + 600.0, last_s)
        found.append(
            Finding(
                Question.VOICE, "drift", Verdict.FAIL, reason, float(start_s), end_s, slope, most,
                "semitones per 10 min",
            )
        )  # fmt: skip
    return found


def judge_tempo(tempo: Tempo, limits: Thresholds) -> list[Finding]:
    """Judge spans read faster or slower than the rest of the recording, if it is long enough to have one."""
    most = limits.tempo_change_most_share
    if len(tempo.end_s) == 0 or tempo.end_s[-1] < limits.tempo_least_s:
        return []
    change = np.log(tempo.relative)
    bad = np.abs(change) > np.log1p(most)
    findings = []
    for start_s, end_s, ks in _merged(bad, tempo.start_s, tempo.end_s):
        worst = float(np.expm1(max(change[ks], key=abs)))
        way = "faster" if worst > 0 else "slower"
        reason = f"read {abs(worst):.0%} {way} than the rest of the recording"
        findings.append(
            Finding(
                Question.SIGNAL, "tempo", Verdict.FAIL, reason, start_s, end_s, worst, most, "share"
            )
        )
    return findings


def judge_naturalness(scores: Naturalness, limits: Thresholds) -> list[Finding]:
    """Judge excerpts that sound far from natural."""
    least = limits.naturalness_least
    findings = []
    for start_s, end_s, ks in _runs(scores.overall < least, scores.centre_s, EXCERPT_S):
        worst = float(scores.overall[ks].min())
        reason = f"sounds unnatural (DNSMOS {worst:.1f})"
        findings.append(
            Finding(
                Question.NATURALNESS,
                "dnsmos",
                Verdict.FAIL,
                reason,
                start_s,
                end_s,
                worst,
                least,
                "MOS",
            )
        )
    return findings


def judge_pauses(
    found: Sequence[Pause], duration_s: float, expected: Spans, limits: Thresholds
) -> list[Finding]:
    """Judge dead air: pauses inside the recording that are longer than the script asks for.

    `expected` are stretches in which a long pause is meant (after a heading, between scenes).
    """
    findings = []
    for pause in found:
        inside = pause.start_s > 0.05 and pause.end_s < duration_s - 0.05
        meant = any(a < pause.end_s and b > pause.start_s for a, b in expected)
        most_s = limits.meant_pause_most_s if meant else limits.pause_most_s
        if not inside or pause.duration_s <= most_s:
            continue
        reason = f"dead air for {pause.duration_s:.1f} s"
        findings.append(
            Finding(
                Question.SIGNAL, "dead_air", Verdict.FAIL, reason, pause.start_s, pause.end_s,
                pause.duration_s, most_s, "s",
            )
        )  # fmt: skip
    return findings


def judge_clicks(found: Sequence[Click], limits: Thresholds) -> list[Finding]:
    """Report every click."""
    return [
        Finding(
            Question.SIGNAL, "click", Verdict.FAIL, f"a click, {c.above_db:.0f} dB over what is around it",
            max(0.0, c.at_s - 0.05), c.at_s + 0.05, c.above_db,
            limits.click_least_db, "dB",
        )
        for c in found
    ]  # fmt: skip


def judge_noise(track: NoiseTrack, limits: Thresholds) -> list[Finding]:
    """Judge spans in which the noise comes too near to the speech; spans of silence are left out."""
    least = limits.speech_over_noise_least_db
    loudest = float(np.percentile(track.speech_dbfs, 95))
    spoken = track.speech_dbfs > loudest - 15.0
    findings = []
    for start_s, end_s, ks in _runs(
        spoken & (track.margin_db < least), track.centre_s, NOISE_SPAN_S
    ):
        worst = float(track.margin_db[ks].min())
        reason = f"noisy: speech only {worst:.0f} dB over the noise"
        findings.append(
            Finding(
                Question.SIGNAL, "noise", Verdict.FAIL, reason, start_s, end_s, worst, least, "dB"
            )
        )
    return findings


def judge_clipping(
    windows: Spans, peaks_per_s: Sequence[float], limits: Thresholds
) -> list[Finding]:
    """Judge windows whose peaks are cut flat."""
    most = limits.clipped_peaks_most_per_s
    return [
        Finding(
            Question.SIGNAL, "clipping", Verdict.FAIL,
            f"clipped: {value:.1f} peaks a second reach the same ceiling", a, b, value, most, "peaks per s",
        )
        for (a, b), value in zip(windows, peaks_per_s, strict=True)
        if value > most
    ]  # fmt: skip


def judge_levels(whole: Levels, mains: Hum, duration_s: float, limits: Thresholds) -> list[Finding]:
    """Judge DC offset and hum of the whole, and whether there is speech at all."""
    findings = []
    if whole.speech_dbfs < limits.speech_least_dbfs:
        reason = f"too quiet to judge: speech at {whole.speech_dbfs:.0f} dBFS"
        findings.append(
            Finding(
                Question.SIGNAL, "level", Verdict.INCONCLUSIVE, reason, 0.0, duration_s,
                whole.speech_dbfs, limits.speech_least_dbfs, "dBFS",
            )
        )  # fmt: skip
    if whole.dc_dbfs > limits.dc_most_dbfs:
        reason = f"the signal is off zero by {whole.dc_dbfs:.0f} dBFS"
        findings.append(
            Finding(
                Question.SIGNAL, "dc", Verdict.FAIL, reason, 0.0, duration_s, whole.dc_dbfs,
                limits.dc_most_dbfs, "dBFS",
            )
        )  # fmt: skip
    loud = mains.level_dbfs > limits.hum_most_dbfs and duration_s >= limits.hum_least_s
    if loud and mains.above_neighbours_db > limits.hum_prominence_most_db:
        reason = f"mains hum of {mains.mains_hz:.0f} Hz at {mains.level_dbfs:.0f} dBFS"
        findings.append(
            Finding(
                Question.SIGNAL, "hum", Verdict.FAIL, reason, 0.0, duration_s, mains.level_dbfs,
                limits.hum_most_dbfs, "dBFS",
            )
        )  # fmt: skip
    return findings


def judge_joints(joints: JointComparison | None, limits: Thresholds) -> list[Finding]:
    """Judge whether joints between windows are rougher than pauses inside windows."""
    if joints is None or joints.p_value >= limits.joint_p_least:
        return []
    excess_db = joints.excess_db
    if excess_db <= limits.joint_excess_most_db:
        return []
    at_s = joints.roughest_s
    return [
        Finding(
            Question.SIGNAL, "joints", Verdict.FAIL,
            f"windows begin roughly: joints step {excess_db:.1f} dB more than the same places inside windows",
            max(0.0, at_s - 0.5), at_s + 0.5, excess_db, limits.joint_excess_most_db, "dB",
        )
    ]  # fmt: skip


def judge_spec(spec: Spec, limits: Thresholds) -> list[Finding]:
    """Hold a finished file against the figures of a store."""
    checks: list[tuple[str, float, float, float, str, str]] = [
        ("rms", spec.rms_dbfs, limits.rms_least_dbfs, limits.rms_most_dbfs, "dBFS", "RMS level"),
        ("peak", spec.peak_dbfs, -np.inf, limits.peak_most_dbfs, "dBFS", "peak"),
        ("floor", spec.floor_dbfs, -np.inf, limits.floor_most_dbfs, "dBFS", "noise floor"),
        (
            "head",
            spec.head_s,
            limits.head_least_s,
            limits.head_most_s,
            "s",
            "room tone at the head",
        ),
        (
            "tail",
            spec.tail_s,
            limits.tail_least_s,
            limits.tail_most_s,
            "s",
            "room tone at the tail",
        ),
        ("length", spec.duration_s, 0.0, limits.length_most_s, "s", "length"),
    ]
    findings = []
    for check, value, least, most, unit, name in checks:
        if least <= value <= most:
            continue
        limit = least if value < least else most
        side = "under" if value < least else "over"
        reason = f"{name} {value:.1f} {unit}, {side} {limit:.1f} {unit}"
        findings.append(
            Finding(
                Question.SPEC, check, Verdict.FAIL, reason, 0.0, spec.duration_s, value, limit, unit
            )
        )
    return findings
