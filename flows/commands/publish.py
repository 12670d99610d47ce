"""Commands on releases: publish, verify, hand out links, replace, withdraw, and list them."""

import getpass
import json
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows.terminal import Exit, Json, errors_said

if TYPE_CHECKING:
    from generation.packages.verify import Verification

Id = Annotated[int, typer.Argument(metavar="ID", help="Number of the production.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the release.")]

_DIGEST = re.compile(r"[0-9a-f]{64}")


def publish(
    production_id: Id,
    wait: Annotated[
        float, typer.Option(min=0, help="Minutes to wait for another publisher that is at it.")
    ] = 5.0,
    as_json: Json = False,
) -> None:
    """Publish an approved production: package, sign, store; once, however often it is asked for."""
    from flows.factory.publish import publish as publish_production

    with errors_said(), _services() as opened:
        done = publish_production(opened, production_id, wait_s=60 * wait)
        told = {
            "production": done.production_id,
            "digest": done.digest,
            "manifest": done.manifest_key,
            "files": done.files,
            "published_now": done.anew,
            "address": opened.store.url(done.manifest_key),
        }
    if as_json:
        print(json.dumps(told))
        return
    print(f"release {done.digest}{'' if done.anew else ' (published before)'}: {done.files} files")
    print(f"see `lectern links {production_id}` and `lectern verify {production_id}`")


def verify(
    release: Annotated[
        str,
        typer.Argument(help="A release's folder, s3:// address or digest, or a production's ID."),
    ],
    digest: Annotated[str, typer.Option(help="The release digest that it must have.")] = "",
    trust: Annotated[
        Path | None, typer.Option(help="Root certificates to trust (PEM) instead of the settings'.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a release: every byte, signature and mark, the approval, the consent, the spec."""
    with errors_said():
        found = _verified(release, digest, trust)
    if as_json:
        findings = [{"check": f.check, "path": f.path, "what": f.what} for f in found.findings]
        print(
            json.dumps(
                {
                    "digest": found.digest,
                    "title": found.title,
                    "signer": found.signer,
                    "files": found.files,
                    "sound": found.sound,
                    "findings": findings,
                }
            )
        )
    else:
        print(f"{found.title or 'no release'}  {found.digest}")
        for finding in found.findings:
            print(f"{finding.check:10}  {finding.path}: {finding.what}")
        if found.sound:
            print(f"sound: {found.files} files, signed by {found.signer}")
    if not found.sound:
        raise typer.Exit(Exit.FAILED)


def watermark(
    files: Annotated[list[Path], typer.Argument(help="Audio files of any kind and rate.")],
    as_json: Json = False,
) -> None:
    """Listen for Lectern's watermark in any audio; exit code 1 where a file lacks it, 3 where unsure."""
    from generation.mastering.watermark import detect
    from generation.numerics import one_thread
    from qa.audio import audio_blocks

    found = {}
    with errors_said(), one_thread():
        for path in files:
            blocks = audio_blocks(path)
            first = next(blocks)
            sound = (block.samples for block in chain([first], blocks))
            found[path] = detect(sound, first.rate_hz)
    if as_json:
        told = [
            {"path": str(path), "found": one.found, "scores": [round(s, 3) for s in one.scores]}
            for path, one in found.items()
        ]
        print(json.dumps(told))
    else:
        words = {True: "marked", False: "no mark", None: "unsure"}
        for path, one in found.items():
            print(f"{words[one.found]:8}  {one.median:.2f}  {path}")
    answers = [one.found for one in found.values()]
    if False in answers:
        raise typer.Exit(Exit.FAILED)
    if None in answers:
        raise typer.Exit(Exit.NEEDS_REVIEW)


def links(
    production_id: Id,
    hours: Annotated[float, typer.Option(min=0.01, max=168, help="How long they work.")] = 24.0,
    as_json: Json = False,
) -> None:
    """Print an address for each file of a release, signed and good for some hours."""
    from flows.factory.publish import links as signed_links

    with errors_said(), _services() as opened:
        found = signed_links(opened, production_id, expires_s=round(hours * 3600))
    if as_json:
        print(json.dumps(found))
        return
    for path, address in found.items():
        print(f"{path}\t{address}")


def withdraw(production_id: Id, reason: Reason, as_json: Json = False) -> None:
    """Withdraw a release: its files are removed from the store, the catalogue says so."""
    from flows.factory.publish import withdraw as withdraw_release

    with errors_said(), _services() as opened:
        digest = withdraw_release(opened, production_id, actor=getpass.getuser(), reason=reason)
    print(json.dumps({"digest": digest}) if as_json else f"release {digest} is withdrawn")


def supersede(
    production_id: Id,
    by: Annotated[int, typer.Option(help="Number of the production that replaces it.")],
    reason: Reason = "a newer release",
    as_json: Json = False,
) -> None:
    """Mark a release as replaced by another one; its files stay."""
    from flows.factory.publish import supersede as supersede_release

    with errors_said(), _services() as opened:
        supersede_release(opened, production_id, by, actor=getpass.getuser(), reason=reason)
    told = {"production": production_id, "superseded_by": by}
    print(json.dumps(told) if as_json else f"production {production_id}: superseded by {by}")


def releases(as_json: Json = False) -> None:
    """List all releases, and write the catalogue page anew."""
    from flows.factory.catalogue import write_catalogue

    with errors_said(), _services() as opened:
        rows = write_catalogue(opened)
    if as_json:
        print(json.dumps(rows))
        return
    table = Table()
    for heading in ("production", "title", "voice", "state", "published", "digest"):
        table.add_column(heading)
    for row in rows:
        facts = (row["production"], row["title"], row["voice"], row["state"])
        table.add_row(*map(str, facts), row["published_at"][:10], row["digest"][:12])
    Console().print(table)


def _verified(release: str, digest: str, trust: Path | None) -> "Verification":
    """Verify whatever was named; only a digest or a number needs the services."""
    from flows.factory.publish import verify_production, verify_stored
    from flows.settings import Settings
    from generation.packages.errors import PackagingError
    from generation.packages.verify import verify_release

    settings = Settings()
    if release.startswith("s3://"):
        return _verified_at(release, digest, _roots(settings, trust), settings)
    if (folder := Path(release)).is_dir():
        return verify_release(folder, _roots(settings, trust), digest=digest)
    named, numbered = _DIGEST.fullmatch(release), release.isdigit()
    if not named and not numbered:
        raise PackagingError(
            f"{release} is no folder, s3:// address, release digest or production's number"
        )
    with _services() as opened:
        roots = _roots(settings, trust)
        if named:
            return verify_stored(opened, release, roots)
        found = verify_production(opened, int(release), roots)
    if digest and digest != found.digest:
        raise PackagingError(f"production {release} was published as {found.digest}, not {digest}")
    return found


def _verified_at(address: str, digest: str, roots: bytes, settings: Any) -> "Verification":
    """Fetch a release from an address in an S3 store and verify it."""
    from tempfile import TemporaryDirectory

    from generation.packages.verify import verify_release
    from storage.objects import fetch, open_store

    where = address.rstrip("/")
    at = where.rpartition("/")[2]
    wanted = digest or (at if _DIGEST.fullmatch(at) else "")
    store = open_store(where, endpoint=settings.s3_endpoint)
    with TemporaryDirectory(prefix="lectern-verify-") as place:
        for one in store.list():
            fetch(store, one.key, Path(place) / one.key)
        return verify_release(Path(place), roots, digest=wanted)


def _roots(settings: Any, trust: Path | None) -> bytes:
    from flows.factory.publish import trusted_roots

    return trusted_roots(settings, trust)


def _services() -> Any:
    from flows.services import services
    from flows.settings import Settings

    return services(Settings())
