"""Commands of the review app: `lectern review` serves it, `lectern account` says who may come in."""

import json
import secrets
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.terminal import Exit, Json, console, errors_said

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from flows.services import Services
    from storage.review_tables import Account

account = typer.Typer(no_args_is_help=True, help="Who may use the review app, and as what.")

Name = Annotated[str, typer.Argument(help="The account: a-z, 0-9 and . _ @ - only.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]

PASSWORD_BYTES = 15
"""Of a password made here: 120 random bits."""


def review(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8765,
) -> None:
    """Serve the review app until it is interrupted."""
    import uvicorn

    from flows.factory.reviewing import review_app

    with errors_said(), _services() as opened:
        settings = opened.settings
        if settings.review_webhook_url and not settings.review_webhook_secret:
            console.print("lectern: review_webhook_url needs a review_webhook_secret to sign with")
            raise typer.Exit(Exit.USAGE)
        if not _any_account(opened):
            console.print(
                "lectern: nobody may log in yet: lectern account add NAME --role reviewer"
            )
        app = review_app(opened, [host])
        console.print(f"reviewers come in at {settings.review_url}")
        uvicorn.run(
            app, host=host, port=port, log_level="info", server_header=False, date_header=True
        )


@account.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="publisher, reviewer or operator.")],
    password_stdin: FromStdin = False,
    as_json: Json = False,
) -> None:
    """Open an account; without --password-stdin a password is made and printed this once."""
    from storage import accounts
    from storage.review_tables import Role

    if role not in set(Role):
        console.print(f"lectern: {role!r} is no role: publisher, reviewer or operator")
        raise typer.Exit(Exit.USAGE)
    password = _password(password_stdin)
    with errors_said(), _changing("an account is opened") as session:
        accounts.add_account(session, name=name, role=Role(role), password=password)
    _tell(f"{name} may log in as {role}", name, "" if password_stdin else password, as_json)


@account.command()
def password(name: Name, password_stdin: FromStdin = False, as_json: Json = False) -> None:
    """Give an account a new password; its sessions end."""
    from storage import accounts

    new = _password(password_stdin)
    with errors_said(), _changing("a new password is given") as session:
        accounts.set_password(session, accounts.named(session, name).id, new)
    _tell(f"{name} has a new password", name, "" if password_stdin else new, as_json)


@account.command()
def close(name: Name, as_json: Json = False) -> None:
    """Close an account; its sessions end."""
    from storage import accounts

    _step(name, "closed", accounts.close_account, as_json)


@account.command()
def reopen(name: Name, as_json: Json = False) -> None:
    """Let a closed account log in again."""
    from storage import accounts

    _step(name, "open again", accounts.reopen_account, as_json)


@account.command("list")
def list_accounts(as_json: Json = False) -> None:
    """List the accounts."""
    from sqlalchemy.orm import Session

    from storage import accounts

    with errors_said(), _services() as opened, Session(opened.engine) as session:
        rows = [
            {"name": one.name, "role": one.role, "state": one.state}
            for one in accounts.accounts(session)
        ]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table()
    for heading in ("name", "role", "state"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*row.values())
    Console().print(table)


def _services() -> "AbstractContextManager[Services]":
    from flows.services import services
    from flows.settings import Settings

    return services(Settings())


def _changing(reason: str) -> "AbstractContextManager[Session]":
    import getpass
    from collections.abc import Iterator
    from contextlib import contextmanager

    from storage.database import transaction

    @contextmanager
    def opened() -> "Iterator[Session]":
        with (
            _services() as services,
            transaction(services.engine, actor=getpass.getuser(), reason=reason) as session,
        ):
            yield session

    return opened()


def _any_account(opened: "Services") -> bool:
    from sqlalchemy.orm import Session

    from storage import accounts

    with Session(opened.engine) as session:
        return bool(accounts.accounts(session))


def _password(from_stdin: bool) -> str:
    if not from_stdin:
        return secrets.token_urlsafe(PASSWORD_BYTES)
    return sys.stdin.readline().rstrip("\r\n")


def _step(name: str, said: str, step: "Callable[[Session, int], Account]", as_json: bool) -> None:
    from storage import accounts

    with errors_said(), _changing(f"the account is {said}") as session:
        step(session, accounts.named(session, name).id)
    _tell(f"{name} is {said}", name, "", as_json)


def _tell(said: str, name: str, password: str, as_json: bool) -> None:
    told = {"name": name, **({"password": password} if password else {})}
    if as_json:
        print(json.dumps(told))
        return
    print(said)
    if password:
        print(f"password: {password}")
