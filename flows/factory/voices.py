"""Which voice `--voice` means: a house voice, an enrolled one, or a recording with its owner's consent.

No recording speaks without a consent: a record that its owner signed, or the statement of whoever records
themselves. Whether one person or two speak is judged here, by the speaker encoder of the QA room.
"""

import tomllib
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from flows.factory.intake import enrol_house_voice
from flows.services import Services
from flows.settings import Settings
from generation.codec.soundstream import DESIGN
from generation.errors import UnknownVoice, VoicePromptError
from generation.prompt import Checked, Recording, check, read_recording, save_prompt
from generation.rates import SAMPLE_RATE_HZ
from generation.tuning import made_by, prompt_maker
from generation.voices import Voice, house_voices, prompted_voice
from qa.audio import as_audio
from qa.speaker import sliding_embeddings
from qa.speaker_track import WINDOW_S
from storage import enrolment, keys
from storage.enrolment import NARRATION, WORLD, ConsentTerms
from storage.errors import ConsentRefused, NotFound
from storage.keys import digest_of
from storage.models import Voice as VoiceRow

TWO_SPEAKERS_FROM_S = 6.0
"""Shorter recordings do not hold two windows of 3 s beside each other."""
TWO_SPEAKERS_BELOW = 0.66
"""Likeness of a recording to itself (`likeness`) below which two people speak (docs/voices.md)."""
_LIKENESS_PERCENTILE = 20

AUDIO_SUFFIXES = frozenset({".wav", ".flac"})


class ConsentRecord(BaseModel):
    """A consent as a TOML file says it; the file itself is what was signed.

    `recording_sha256`, where given, binds the consent to one recording.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: str = Field(min_length=1)
    signatory: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    scope: tuple[Literal["narration", "publication"], ...] = Field(
        default=("narration", "publication"), min_length=1
    )
    territories: tuple[str, ...] = Field(default=(WORLD,), min_length=1)
    valid_from: datetime | date | None = None
    valid_until: datetime | date | None = None
    recording_sha256: str = ""

    @classmethod
    def load(cls, path: Path) -> tuple["ConsentRecord", bytes]:
        """Read a consent file and its bytes; raises ConsentRefused where it is not one."""
        try:
            document = path.read_bytes()
            return cls.model_validate(tomllib.loads(document.decode("utf-8"))), document
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConsentRefused(f"the consent {path} cannot be read: {error}") from error
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
            raise ConsentRefused(
                f"the consent {path} is incomplete: {faults} (docs/publishers.md shows one)"
            ) from error

    def terms(self, document: bytes) -> ConsentTerms:
        """Return it as storage keeps it."""
        return ConsentTerms(
            self.owner,
            self.signatory,
            document,
            tuple(self.scope),
            self.territories,
            _moment(self.valid_from),
            _moment(self.valid_until, after=True),
        )


@dataclass(frozen=True)
class PromptedVoice:
    """A recording that may be used: what was measured of it, and the consent it stands on."""

    name: str
    recording: bytes = field(repr=False)
    checked: Checked = field(repr=False)
    terms: ConsentTerms

    @property
    def digest(self) -> str:
        """SHA-256 of the recording: what the voice is known by."""
        return self.checked.recording.digest

    @property
    def measures(self) -> dict[str, Any]:
        """What was measured, units in the names."""
        return {
            "duration_s": round(self.checked.recording.duration_s, 2),
            "speech_s": round(self.checked.speech_s, 2),
            "noise_below_speech_db": round(self.checked.noise_below_speech_db, 1),
            "prompt_start_s": round(self.checked.start_s, 2),
        }


@dataclass(frozen=True)
class Enrolled:
    """A voice as the factory orders with it: its row, and what a cast is loaded from."""

    row: VoiceRow
    voice: Voice


def resolve_voice(
    opened: Services,
    name: str,
    consent: Path | None = None,
    own_voice: str | None = None,
    *,
    actor: str,
) -> Enrolled:
    """Find the voice that `name` means, enrolled: house voices and recordings are enrolled on the way.

    Parameters
    ----------
    opened
        Database and object store.
    name
        A house voice, an enrolled voice, or the path of a recording, which is enrolled under its digest.
    consent, own_voice
        For a recording: the signed record, or the name of whoever recorded themselves.
    actor
        Who enrols it.

    Raises
    ------
    UnknownVoice
        There is no such voice.
    ConsentRefused
        There is no consent, or none that covers narration now.
    VoicePromptError
        The recording cannot be used.
    StorageError
        Lectern's database or store cannot be used.
    """
    if name in house_voices():
        voice = house_voices()[name]
        return Enrolled(enrol_house_voice(opened, voice, actor), voice)
    if is_recording(name):
        prompted = prompted_by(Path(name), Path(name).stem, consent, own_voice)
        unnamed = f"{prompted.name}-{prompted.digest[:8]}"
        return enrol(opened, replace(prompted, name=unnamed), actor)
    return enrolled_voice(opened, name)


def enrol(opened: Services, prompted: PromptedVoice, actor: str) -> Enrolled:
    """Enrol a checked recording with its consent, and make its prompt.

    Raises
    ------
    ConflictRefused
        The name is another voice's.
    """
    row = enrolment.enrol_voice(
        opened.engine,
        opened.store,
        name=prompted.name,
        prompt=prompted.recording,
        codec=DESIGN,
        terms=prompted.terms,
        actor=actor,
        measures=prompted.measures,
    )
    file = write_prompt(prompted.checked, prompts_folder(opened.settings))
    return Enrolled(row, prompted_voice(row.name, file))


def erase(opened: Services, name: str, actor: str, reason: str) -> VoiceRow:
    """Erase an enrolled voice for good: its recording, and the prompts made of it, here and in the store."""
    row = voice_of(opened, name)
    erased = enrolment.erase_voice(
        opened.engine, opened.store, voice_id=row.id, actor=actor, reason=reason
    )
    for file in prompt_files(prompts_folder(opened.settings), row.digest):
        digest = digest_of(file.read_bytes())
        opened.store.delete(keys.weights(digest))  # where productions with the voice kept it
        (opened.settings.folder / "weights" / digest).unlink(missing_ok=True)
        file.unlink()
    return erased


def voice_of(opened: Services, name: str) -> VoiceRow:
    """Return the row of an enrolled voice with its consents; raises NotFound."""
    with Session(opened.engine, expire_on_commit=False) as session:
        row = enrolment.voice_named(session, name)
        _ = row.consents
        return row


def is_recording(name: str) -> bool:
    """Whether a voice is given as a file."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES or Path(name).is_file()


def has_database(settings: Settings) -> bool:
    """Whether voices can have been enrolled here: nothing is started only to find none."""
    return settings.database_url is not None or (settings.folder / "postgres").exists()


def prompted_by(
    path: Path, name: str, consent: Path | None = None, own_voice: str | None = None
) -> PromptedVoice:
    """Check a recording and the consent to its use; raises ConsentRefused or VoicePromptError."""
    if (consent is None) == (own_voice is None):
        raise ConsentRefused(
            f"{path} is somebody's voice: give --own-voice with your name if it is yours, "
            "or --consent with the record that its owner signed (not both)"
        )
    recording = read_recording(path)
    terms = (
        own_terms(own_voice, recording.digest)
        if own_voice is not None
        else _signed_terms(consent, recording.digest)  # type: ignore[arg-type]
    )
    checked = check(recording)
    refuse_two_speakers(recording)
    return PromptedVoice(name, path.read_bytes(), checked, terms)


def own_terms(name: str, recording_digest: str) -> ConsentTerms:
    """State that a recording is the speaker's own."""
    if not name.strip():
        raise ConsentRefused("--own-voice needs the name of whoever speaks in the recording")
    statement = (
        f'owner = "{name}"\nsignatory = "{name}"\n'
        'statement = "This is a recording of my own voice, and I agree that Lectern narrates with it."\n'
        f'recording_sha256 = "{recording_digest}"\n'
    )
    return ConsentTerms(name, name, statement.encode("utf-8"))


def refuse_two_speakers(recording: Recording) -> None:
    """Raise VoicePromptError where two people speak in a recording of 6 s or more."""
    if recording.duration_s < TWO_SPEAKERS_FROM_S:
        return
    alike = likeness(recording)
    if alike < TWO_SPEAKERS_BELOW:
        raise VoicePromptError(
            f"two people seem to speak in the voice prompt (its likeness to itself is {alike:.2f}, under "
            f"{TWO_SPEAKERS_BELOW}): cut it to one of them"
        )


def likeness(recording: Recording) -> float:
    """How like itself a recording's voice stays, as a cosine; 1 where it is too short to tell.

    Windows of 3 s that do not overlap are compared. Of one person's pairs nearly all are alike; where two
    speak, a good part of the pairs is not: the 20th percentile tells them apart.
    """
    centre_s, vectors = sliding_embeddings(as_audio(recording.waveform, SAMPLE_RATE_HZ))
    apart = centre_s[None] - centre_s[:, None] >= WINDOW_S - 1e-6
    if not apart.any():
        return 1.0
    return float(np.percentile((vectors @ vectors.T)[apart], _LIKENESS_PERCENTILE))


def write_prompt(checked: Checked, folder: Path) -> Path:
    """Make the prompt of a checked recording in `folder`, unless it is there; return its file."""
    path = folder / f"{checked.recording.digest}-{made_by()[:12]}.safetensors"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        save_prompt(path, prompt_maker().make(checked), checked.recording.digest)
    return path


def prompt_files(folder: Path, recording_digest: str) -> list[Path]:
    """Return all prompt files in `folder` that were made of a recording."""
    return sorted(folder.glob(f"{recording_digest}-*.safetensors"))


def enrolled_voice(opened: Services, name: str) -> Enrolled:
    """Return an enrolled voice whose consent covers narration now; raises UnknownVoice, ConsentRefused."""
    with Session(opened.engine, expire_on_commit=False) as session:
        try:
            row = enrolment.voice_named(session, name)
        except NotFound as error:
            raise UnknownVoice(_unknown(name)) from error
        enrolment.valid_consent(session, row, NARRATION)
    if row.codec != DESIGN or row.prompt_key is None:
        raise UnknownVoice(f"voice {name!r} is a house voice that this build does not have")
    folder = prompts_folder(opened.settings)
    with TemporaryDirectory() as place:
        given = Path(place) / "recording"
        given.write_bytes(opened.store.get(row.prompt_key, digest=row.digest))
        return Enrolled(
            row, prompted_voice(name, write_prompt(check(read_recording(given)), folder))
        )


def prompts_folder(settings: Settings) -> Path:
    """Where the prompts of enrolled voices are kept, to be made once."""
    return settings.folder / "voices"


def _signed_terms(consent: Path, recording_digest: str) -> ConsentTerms:
    record, document = ConsentRecord.load(consent)
    if record.recording_sha256 and record.recording_sha256.lower() != recording_digest:
        raise ConsentRefused(
            f"the consent {consent} is for another recording (SHA-256 {record.recording_sha256})"
        )
    terms = record.terms(document)
    now = datetime.now(UTC)
    if NARRATION not in terms.scope:
        raise ConsentRefused(f"the consent {consent} does not cover narration")
    if terms.valid_from is not None and now < terms.valid_from:
        raise ConsentRefused(f"the consent {consent} begins on {terms.valid_from:%Y-%m-%d}")
    if terms.valid_until is not None and now >= terms.valid_until:
        raise ConsentRefused(f"the consent {consent} ended on {terms.valid_until:%Y-%m-%d}")
    return terms


def _moment(value: datetime | date | None, after: bool = False) -> datetime | None:
    """A date as a moment in UTC: its beginning, or with `after` its end."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value + timedelta(days=int(after)), clock(), UTC)


def _unknown(name: str) -> str:
    return (
        f"no voice {name!r}: house voices are {', '.join(house_voices())}; `lectern voice list` shows "
        "those enrolled; a recording is given as a WAV or FLAC file"
    )
