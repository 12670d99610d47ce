"""The report: one JSON document on one recording, with a digest over its canonical form.

An approval names the digest, so that nothing can change between what was heard and what is published.
Numbers are rounded before the digest is taken, and series are columns, so that the document stays small.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from qa.findings import Finding, Question, Spans, Verdict, by_question, overall
from qa.thresholds import Thresholds

_SEVERITY = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}


def _rounded(value: Any) -> Any:
    """Round to four decimals; what is not a finite number becomes null."""
    if value is None:
        return None
    number = float(value)
    return round(number, 4) + 0.0 if math.isfinite(number) else None


def _column(values: Iterable[Any] | None) -> list[float | None] | None:
    return None if values is None else [_rounded(v) for v in values]


Number = Annotated[float, BeforeValidator(_rounded)]
MaybeNumber = Annotated[float | None, BeforeValidator(_rounded)]
Column = Annotated[list[float | None], BeforeValidator(_column)]
MaybeColumn = Annotated[list[float | None] | None, BeforeValidator(_column)]


class Part(BaseModel):
    """A part of a report: frozen, and nothing in it that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class Source(Part):
    """What was judged."""

    name: str = Field(description="file name, or empty for an array")
    duration_s: Number
    rate_hz: int
    pcm_sha256: str = Field(description="SHA-256 of the decoded float32 mono samples")
    text_sha256: str | None = Field(description="SHA-256 of the text, UTF-8; null without one")
    prompt_sha256: str | None = Field(
        description="SHA-256 of the prompt's samples; null without one"
    )


class FindingEntry(Part):
    """One thing to look at; see `qa.findings.Finding`."""

    question: Question
    check: str
    verdict: Verdict
    reason: str
    start_s: Number
    end_s: Number
    value: Number
    limit: Number
    unit: str

    def finding(self) -> Finding:
        """Return it as the measures made it."""
        return Finding(**self.model_dump())


class WindowEntry(Part):
    """The verdict on one window, with its reasons."""

    start_s: Number
    end_s: Number
    verdict: Verdict
    reasons: list[str]


class HeardEntry(Part):
    """A word of the transcript."""

    text: str
    start_s: Number
    end_s: Number


class SuspectEntry(Part):
    """A place where transcript and text part; see `qa.places.Suspect`."""

    expected: str
    heard: str
    sentence: int
    start_s: Number
    end_s: Number
    doubt_nats: Number
    phone_distance: Number
    confirmed: bool
    unspoken_share: MaybeNumber


class StretchEntry(Part):
    """A run of words missing or said twice."""

    sentence: int
    text: str
    start_s: Number
    end_s: Number


class MisheardEntry(Part):
    """How often a word was heard as one other; see `qa.places.Misheard`."""

    expected: str
    heard: str
    places: int
    stands: int


class WordsPart(Part):
    """Words: the transcript and, where there is a text, how it keeps to it."""

    transcript: list[HeardEntry]
    words: int | None = Field(default=None, description="words of the text; null without one")
    substitutions: int | None = None
    deletions: int | None = None
    insertions: int | None = None
    word_error_rate: MaybeNumber = None
    missing: list[StretchEntry] = []
    doubled: list[StretchEntry] = []
    missing_or_doubled_per_10k_words: MaybeNumber = None
    suspects: list[SuspectEntry] = []
    misheard: list[MisheardEntry] = Field(
        default=[],
        description="words heard as one other word: what a book's confusions are learned from",
    )


class VoicePart(Part):
    """Voice over time: GE2E (or another embedding) every half second, base pitch, tempo."""

    embedding: Column = Field(description="median of the windows with speech, unit length")
    centre_s: Column
    speech_share: Column
    to_median: Column
    to_prompt: MaybeColumn
    mean_to_prompt: MaybeNumber
    drift_per_hour: Number
    pitch_centre_s: Column
    base_semitones: Column
    base_pitch_hz: MaybeNumber = Field(description="20th percentile of pitch, median over spans")
    median_pitch_hz: MaybeNumber
    pitch_spread_semitones: MaybeNumber
    tempo_centre_s: Column
    relative_tempo: Column
    tempo: MaybeNumber = Field(description="median tempo as a multiple of the table's narrator")


class NaturalnessPart(Part):
    """DNSMOS P.835 over time."""

    centre_s: Column
    overall: Column
    signal: Column
    background: Column
    mean_overall: Number
    worst_minute_overall: Number
    worst_minute_start_s: Number
    slope_per_hour: Number


class SignalPart(Part):
    """Levels, noise, hum, bandwidth and pauses."""

    speech_dbfs: Number
    floor_dbfs: Number
    peak_dbfs: Number
    rms_dbfs: Number
    dc_dbfs: Number
    hum_hz: Number
    hum_dbfs: Number
    bandwidth_hz: Number
    noise_centre_s: Column
    speech_over_noise_db: Column
    pause_start_s: Column
    pause_end_s: Column
    joints_excess_db: MaybeNumber


class SpecPart(Part):
    """The finished file beside a store's figures; see `qa.spec.Spec`."""

    rms_dbfs: Number
    peak_dbfs: Number
    floor_dbfs: Number
    head_s: Number
    tail_s: Number
    digital_black: bool
    duration_s: Number
    rate_hz: int
    channels: int
    codec: str
    bit_rate: int


class ThresholdEntry(Part):
    """A limit and where it is from."""

    value: Number
    source: str


class Signed(Part):
    """A document with a digest over its canonical form."""

    digest: str = Field(default="", description="SHA-256 of the canonical JSON without this field")

    def canonical(self) -> bytes:
        """Serialise without the digest: keys sorted, no spaces, UTF-8."""
        document = self.model_dump(mode="json", exclude={"digest"})
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()

    def signed(self) -> Self:
        """Return the document with its digest filled in."""
        return self.model_copy(update={"digest": hashlib.sha256(self.canonical()).hexdigest()})

    def is_intact(self) -> bool:
        """Tell whether the digest is that of the content."""
        return self.digest == hashlib.sha256(self.canonical()).hexdigest()

    def to_json(self) -> str:
        """Give the document as text."""
        return self.model_dump_json(indent=1)


class Report(Signed):
    """Everything QA found in one recording."""

    schema_version: Literal[1] = 1
    source: Source
    verdict: Verdict
    questions: dict[Question, Verdict] = Field(description="the verdict on each question asked")
    findings: list[FindingEntry] = Field(description="worst first")
    windows: list[WindowEntry]
    words: WordsPart | None
    voice: VoicePart | None
    naturalness: NaturalnessPart | None
    signal: SignalPart | None
    spec: SpecPart | None
    thresholds: dict[str, ThresholdEntry]
    models: dict[str, str] = Field(description="package and version of every model that judged")


def window_entry(start_s: float, end_s: float, findings: Sequence[Finding]) -> WindowEntry:
    """Give the verdict on one window: that of what is found in it, the whole recording's figures aside."""
    inside = [f for f in findings if f.is_placed and f.start_s < end_s and f.end_s > start_s]
    return WindowEntry(
        start_s=start_s,
        end_s=end_s,
        verdict=overall(inside),
        reasons=[f.reason for f in inside],
    )


def verdict_parts(
    asked: Iterable[Question], windows: Spans, findings: Sequence[Finding]
) -> dict[str, Any]:
    """Say what follows from findings: the fields of a report that hold verdicts."""
    ordered = sorted(findings, key=lambda f: (_SEVERITY[f.verdict], f.start_s, f.check))
    return {
        "verdict": overall(ordered),
        "questions": by_question(asked, ordered),
        "findings": [FindingEntry.model_validate(f) for f in ordered],
        "windows": [window_entry(a, b, ordered) for a, b in windows],
    }


def threshold_entries(limits: Thresholds) -> dict[str, ThresholdEntry]:
    """List every threshold with its source."""
    return {
        f.name: ThresholdEntry(value=getattr(limits, f.name), source=f.metadata["source"])
        for f in fields(limits)
    }


def json_schema(document: type[BaseModel] = Report) -> str:
    """Give the JSON schema of a report as text."""
    schema = document.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
