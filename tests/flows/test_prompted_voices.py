"""Voices by prompt: consent, the two-speaker check, and the commands over a real PostgreSQL."""

import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
from click.testing import Result
from typer.testing import CliRunner

from flows.cli import app
from flows.factory.voices import TWO_SPEAKERS_BELOW, enrolled_voice, likeness, prompted_by
from flows.services import services
from flows.settings import Settings
from generation.errors import UnknownVoice
from generation.prompt import Recording, read_recording
from generation.rates import SAMPLE_RATE_HZ
from generation.voices import PROMPTED_SOUNDSTORM, WEIGHTS, house_voices, load_speaker, weight_files
from qa.audio import read_audio
from qa.speaker import embed, similarity
from storage import keys
from storage.errors import ConsentRefused
from storage.objects import FolderStore

ROOT = Path(__file__).parents[2]
SPEECH = ROOT.parent / "shared" / "data" / "speech" / "librispeech"
RATE = 16_000
Floats = npt.NDArray[np.float32]
CONSENT = """owner = "A. Reader"
signatory = "A. Reader"
statement = "Lectern may narrate books with my voice."
"""


def readers(count: int, seconds: float) -> list[Floats]:
    """Return so many real readers, each for so long, at 16 kHz."""
    found: list[Floats] = []
    for path in sorted(SPEECH.rglob("*.flac")):
        samples, rate = soundfile.read(path, dtype="float32")
        if len(samples) >= seconds * rate:
            found.append(np.asarray(samples[: round(seconds * rate)]))
        if len(found) == count:
            return found
    raise AssertionError(f"the recordings are missing: put them in {SPEECH}")


def written(path: Path, samples: Floats) -> Path:
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return written(tmp_path / "reader.wav", readers(1, 9.0)[0])


@pytest.fixture
def consent(tmp_path: Path) -> Path:
    (tmp_path / "consent.toml").write_text(CONSENT)
    return tmp_path / "consent.toml"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Run a PostgreSQL of our own; its address."""
    if "services" not in sys.modules:
        spec = spec_from_file_location("services", ROOT / "tests" / "services.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules["services"] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules["services"])
    with sys.modules["services"].running_postgres() as cluster:
        yield cluster.url()


@pytest.fixture
def home(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LECTERN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LECTERN_DATABASE_URL", database)
    return tmp_path / "home"


def lectern(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shown(*arguments: str | Path) -> dict[str, object]:
    done = lectern(*arguments, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    return said[0] if isinstance(said, list) else said  # type: ignore[no-any-return]


def test_two_readers_are_told_from_one() -> None:
    some, told = readers(8, 9.0), 0
    for number, one in enumerate(some):
        other = some[(number + 1) % len(some)]
        both = np.concatenate([one[: 5 * RATE], other[: 5 * RATE]])
        alone = [likeness(_recording(samples)) for samples in (one, one[: 6 * RATE])]
        assert min(alone) > TWO_SPEAKERS_BELOW, number
        told += likeness(_recording(both)) < TWO_SPEAKERS_BELOW
    assert told >= 6, "docs/voices.md: nine pairs of ten are told"


def _recording(samples: Floats) -> Recording:
    return Recording(soxr.resample(samples, RATE, SAMPLE_RATE_HZ), "")


def test_two_speakers_are_refused_by_name_of_the_fault(tmp_path: Path) -> None:
    one, other = readers(2, 9.0)
    both = written(tmp_path / "both.flac", np.concatenate([one[: 5 * RATE], other[: 5 * RATE]]))
    book = tmp_path / "book.md"
    book.write_text("# One\n\nA few words.\n", "utf-8")
    out = tmp_path / "out"
    done = lectern("narrate", book, "--out", out, "--voice", both, "--own-voice", "A. R.")
    assert done.exit_code == 1
    assert "two people" in done.stderr


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (None, "somebody's voice"),
        ("owner = 'A'", "incomplete: signatory"),
        ("owner = [", "cannot be read"),
        (CONSENT + "scope = ['publication']", "does not cover narration"),
        (CONSENT + "valid_from = 2999-01-01", "begins on 2999-01-01"),
        (CONSENT + "valid_until = 2020-01-01", "ended on 2020-01-02"),
        (CONSENT + f"recording_sha256 = '{'0' * 64}'", "another recording"),
        (CONSENT + "territory = 'DE'", "territory"),
    ],
)
def test_no_recording_speaks_without_a_valid_consent(
    tmp_path: Path, recording: Path, record: str | None, why: str
) -> None:
    (tmp_path / "book.md").write_text("# One\n\nHello there.\n")
    given: list[str | Path] = []
    if record is not None:
        (tmp_path / "consent.toml").write_text(record)
        given = ["--consent", tmp_path / "consent.toml"]
    done = lectern(
        *("narrate", tmp_path / "book.md", "--out", tmp_path / "out", "--voice", recording), *given
    )
    assert done.exit_code == 4, done.output
    assert why in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_consent_names_the_recording_and_lasts_through_its_last_day(
    tmp_path: Path, recording: Path
) -> None:
    digest = hashlib.sha256(recording.read_bytes()).hexdigest()
    path = tmp_path / "signed.toml"
    path.write_text(CONSENT + f"valid_until = 2999-12-31\nrecording_sha256 = '{digest}'\n")
    prompted = prompted_by(recording, "reader", consent=path)
    assert prompted.digest == digest
    assert prompted.terms.document == path.read_bytes()
    assert prompted.terms.valid_until is not None
    assert f"{prompted.terms.valid_until:%Y-%m-%d}" == "3000-01-01"
    with pytest.raises(ConsentRefused, match="not both"):
        prompted_by(recording, "reader", consent=path, own_voice="A. Reader")
    own = prompted_by(recording, "reader", own_voice="A. Reader")
    assert digest.encode() in own.terms.document
    assert own.measures["speech_s"] > 3


def test_a_voice_that_is_not_there_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECTERN_HOME", str(tmp_path))
    monkeypatch.delenv("LECTERN_DATABASE_URL", raising=False)
    assert lectern("voice", "show", "nobody").exit_code == 2
    assert lectern("voice", "erase", "nobody", "--yes").exit_code == 2
    assert {row["name"] for row in json.loads(lectern("voice", "list", "--json").stdout)} == set(
        house_voices()
    )
    assert not list(tmp_path.iterdir())


def test_a_voice_is_enrolled_shown_used_revoked_and_erased(
    home: Path, tmp_path: Path, recording: Path, consent: Path
) -> None:
    digest = hashlib.sha256(recording.read_bytes()).hexdigest()
    refused = lectern("voice", "add", "ada", recording)
    assert refused.exit_code == 4
    assert "--own-voice" in refused.stderr
    added = shown("voice", "add", "ada", recording, "--consent", consent)
    assert added["digest"] == digest
    store = FolderStore(home / "objects")
    assert store.get(f"voices/{digest}/prompt") == recording.read_bytes()
    assert shown("voice", "add", "ada", recording, "--consent", consent)["digest"] == digest
    with services(Settings()) as opened:
        voice = enrolled_voice(opened, "ada").voice
    assert voice.experimental
    assert voice.soundstorm == WEIGHTS / PROMPTED_SOUNDSTORM
    speaker = load_speaker(voice.codec, weight_files(voice))
    assert speaker.renderer.prompt.codes.shape[1] == speaker.renderer.codec.levels
    (record,) = shown("voice", "show", "ada")["consents"]  # type: ignore[misc]
    assert record["owner"] == "A. Reader"
    assert "ada" in lectern("voice", "list").stdout

    assert lectern("voice", "revoke", "ada", "--reason", "she asked").exit_code == 0
    with services(Settings()) as opened, pytest.raises(ConsentRefused, match="revoked"):
        enrolled_voice(opened, "ada")
    (tmp_path / "book.md").write_text("# One\n\nHello there.\n")
    done = lectern("narrate", tmp_path / "book.md", "--out", tmp_path / "out", "--voice", "ada")
    assert done.exit_code == 4
    assert "revoked" in done.stderr

    (prompt,) = (home / "voices").iterdir()
    kept = keys.weights(keys.digest_of(prompt.read_bytes()))
    store.put(kept, prompt.read_bytes())
    assert shown("voice", "erase", "ada", "--yes", "--reason", "she asked")["state"] == "erased"
    assert list((home / "voices").iterdir()) == []
    assert not store.path(f"voices/{digest}/prompt").exists()
    assert not store.path(kept).exists()
    assert shown("voice", "show", "ada")["state"] == "erased"
    with services(Settings()) as opened, pytest.raises(UnknownVoice, match="joe"):
        enrolled_voice(opened, "ada")


def test_a_recording_goes_on_in_its_own_voice(home: Path, tmp_path: Path, recording: Path) -> None:
    out = tmp_path / "on.flac"
    refused = lectern("continue", recording, "--voice", recording, "--out", out)
    assert refused.exit_code != 0
    assert "--own-voice" in refused.stderr
    done = shown(
        "continue", recording, "--own-voice", "A. Reader", "--minutes", "0.3", "--out", out
    )
    assert abs(float(str(done["duration_s"])) - 18) < 0.1
    assert "A. Reader" in str(shown("voice", "show", f"reader-{_digest(recording)[:8]}"))
    said, joes = read_audio(out), tmp_path / "joe.flac"
    shown("continue", recording, "--minutes", "0.3", "--out", joes)
    own = embed(read_audio(recording))
    assert similarity(embed(said), own) > similarity(embed(read_audio(joes)), own) + 0.1


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_house_voices_name_is_taken(home: Path, recording: Path) -> None:
    done = lectern("voice", "add", "joe", recording, "--own-voice", "Joe")
    assert done.exit_code == 2
    assert "house voice" in done.stderr
    revoked = lectern("voice", "revoke", "joe")
    assert revoked.exit_code == 2
    assert "ships with Lectern" in revoked.stderr


def test_the_recording_is_read_as_it_was_given(recording: Path) -> None:
    assert read_recording(recording).digest == hashlib.sha256(recording.read_bytes()).hexdigest()
