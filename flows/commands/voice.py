"""Commands on voices: `lectern voice add`, `list`, `show`, `revoke` and `erase`."""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows.terminal import Exit, Json, console, errors_said, failed

if TYPE_CHECKING:
    from flows.services import Services
    from storage.models import Voice

app = typer.Typer(help="Voice prompts and the consents they stand on.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What the voice is called.")]
Reason = Annotated[str, typer.Option(help="Why; the audit keeps it.")]


@app.command()
def add(
    name: Name,
    recording: Annotated[Path, typer.Argument(help="WAV or FLAC with at least 3 s of speech.")],
    consent: Annotated[Path | None, typer.Option(help="Its owner's signed consent (TOML).")] = None,
    own_voice: Annotated[str | None, typer.Option(help="Your name, if the voice is yours.")] = None,
    as_json: Json = False,
) -> None:
    """Enrol a voice: check the recording, keep it with its consent, and make its prompt (experimental)."""
    from flows.factory.voices import enrol, prompted_by
    from flows.services import services
    from flows.settings import Settings
    from generation.voices import house_voices

    if name in house_voices():
        console.print(f"lectern: {name!r} is a house voice: choose another name", markup=False)
        raise typer.Exit(Exit.USAGE)
    with errors_said():
        prompted = prompted_by(recording, name, consent, own_voice)
        with services(Settings()) as opened:
            row = enrol(opened, prompted, getpass.getuser()).row
    if as_json:
        print(json.dumps(_shown(row)))
        return
    print(f"{row.name}: enrolled, voice {row.digest[:12]}, {row.measures['speech_s']} s of speech")
    console.print("lectern: voices by prompt are experimental: listen before you publish")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List house voices and enrolled ones, erased ones too."""
    rows = [*_house(), *_enrolled()]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table()
    for heading in ("voice", "state", "codec", "owner", "consent"):
        table.add_column(heading)
    for row in rows:
        last = row["consents"][-1] if row["consents"] else {"owner": "", "state": "none"}
        table.add_row(row["name"], row["state"], row["codec"], last["owner"], last["state"])
    Console().print(table)


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a voice: where it comes from, what was measured of it, and its consents."""
    rows = [row for row in (*_house(), *_enrolled()) if row["name"] == name]
    if not rows:
        console.print(f"lectern: no voice {name!r}: see `lectern voice list`", markup=False)
        raise typer.Exit(Exit.USAGE)
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        for key, value in row.items():
            if key != "consents":
                print(f"{key:12} {value}")
        for consent in row["consents"]:
            print("consent")
            for key, value in consent.items():
                print(f"  {key:12} {value}")


@app.command()
def revoke(name: Name, reason: Reason = "", as_json: Json = False) -> None:
    """Revoke all consents of a voice: whatever is in production with it is refused at once."""
    from flows.factory.voices import voice_of
    from storage.enrolment import revoke_consents

    with errors_said(), _opened(name) as opened:
        row = voice_of(opened, name)
        revoked = revoke_consents(
            opened.engine, voice_id=row.id, actor=getpass.getuser(), reason=_why(reason)
        )
    if as_json:
        print(json.dumps({"name": name, "revoked": revoked}))
    else:
        print(f"{name}: {len(revoked)} consents revoked")


@app.command()
def erase(
    name: Name,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a voice for good: consents revoked, recording and prompts deleted; the audit stays."""
    from flows.factory.voices import erase as erase_voice

    with errors_said(), _opened(name) as opened:
        if not yes and not typer.confirm(f"Erase the voice {name} for good?", err=True):
            raise typer.Exit(Exit.REFUSED)
        row = erase_voice(opened, name, getpass.getuser(), _why(reason))
    if as_json:
        print(json.dumps({"name": name, "state": row.state, "digest": row.digest}))
    else:
        print(f"{name}: {row.state}")


@contextmanager
def _opened(name: str) -> "Iterator[Services]":
    """Open the services a named voice is in; exit 2 where there is no such voice."""
    from flows.factory.voices import has_database
    from flows.services import services
    from flows.settings import Settings
    from generation.voices import house_voices
    from storage.errors import NotFound

    settings = Settings()
    try:
        if not has_database(settings):
            raise NotFound(f"no voice is called '{name}': none is enrolled yet")
        with services(settings) as opened:
            yield opened
    except NotFound as error:
        ships = " (it ships with Lectern and cannot be withdrawn here)"
        failed(NotFound(f"{error}{ships if name in house_voices() else ''}"))
        raise typer.Exit(Exit.USAGE) from error


def _house() -> list[dict[str, Any]]:
    """Rows of the voices that ship."""
    from generation.voices import house_voices

    return [
        {
            "name": voice.name,
            "state": "experimental" if voice.experimental else "house",
            "codec": voice.codec,
            "origin": "house",
            "description": voice.description,
            "consents": [{**voice.consent, "state": "given"}],
        }
        for voice in house_voices().values()
    ]


def _enrolled() -> list[dict[str, Any]]:
    """Rows of the voices that publishers enrolled."""
    from sqlalchemy.orm import Session

    from flows.factory.voices import has_database
    from flows.services import services
    from flows.settings import Settings
    from storage.enrolment import voices

    settings = Settings()
    if not has_database(settings):
        return []
    with errors_said(), services(settings) as opened, Session(opened.engine) as session:
        return [_shown(row) for row in voices(session) if row.origin != "house"]


def _shown(row: "Voice") -> dict[str, Any]:
    """Return a voice and its consents as plain data."""
    return {
        "name": row.name,
        "state": row.state,
        "codec": row.codec,
        "origin": row.origin,
        "digest": row.digest,
        "enrolled_at": row.enrolled_at.isoformat(),
        "erased_at": row.erased_at.isoformat() if row.erased_at else None,
        "measures": row.measures,
        "consents": [
            {
                "owner": consent.owner,
                "signatory": consent.signatory,
                "scope": list(consent.scope),
                "territories": list(consent.territories),
                "valid_from": consent.valid_from.isoformat(),
                "valid_until": consent.valid_until.isoformat() if consent.valid_until else None,
                "digest": consent.digest,
                "state": consent.state,
            }
            for consent in row.consents
        ],
    }


def _why(reason: str) -> str:
    return reason or "asked for on the command line"
