"""Accounts, for operators: who may come in, as what, and new passwords."""

import secrets
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session
from starlette.responses import Response

from qa.review.access import Fields, Operator
from qa.review.desk import TheDesk
from qa.review.pages import page
from storage import accounts
from storage.database import transaction
from storage.review_tables import Role

router = APIRouter()

PASSWORD_BYTES = 15
"""Of a password made here: 120 random bits, 20 characters."""


class AccountForm(BaseModel):
    """A new account."""

    model_config = ConfigDict(extra="ignore")

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Person:
    """An account as listed."""

    id: int
    name: str
    role: str
    state: str
    opened_at: Any


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """All accounts; `password` is that of the account just opened or renewed, shown this once."""

    people: list[Person]
    roles: list[str]
    said: str = ""
    name: str = ""
    password: str = ""


@router.get("/accounts")
def people(request: Request, desk: TheDesk, who: Operator) -> Response:
    """List the accounts."""
    return _shown(request, desk)


@router.post("/accounts")
def add(request: Request, desk: TheDesk, who: Operator, fields: Fields) -> Response:
    """Open an account with a password made here."""
    form = AccountForm.model_validate(fields)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    name = form.name.strip().lower()
    with transaction(desk.engine, actor=who.name, reason="opened an account") as session:
        accounts.add_account(session, name=name, role=form.role, password=password)
    return _shown(request, desk, f"The account {name} is open.", name, password)


@router.post("/accounts/{account_id}/password")
def renew(
    request: Request, desk: TheDesk, account_id: int, who: Operator, fields: Fields
) -> Response:
    """Give an account a new password made here; its sessions end."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction(desk.engine, actor=who.name, reason="gave a new password") as session:
        accounts.set_password(session, account_id, password)
        name = accounts.locked(session, account_id).name
    return _shown(request, desk, f"{name} has a new password.", name, password)


@router.post("/accounts/{account_id}/close")
def close(
    request: Request, desk: TheDesk, account_id: int, who: Operator, fields: Fields
) -> Response:
    """Close an account; its sessions end."""
    with transaction(desk.engine, actor=who.name, reason="closed an account") as session:
        name = accounts.close_account(session, account_id).name
    return _shown(request, desk, f"The account {name} is closed.")


@router.post("/accounts/{account_id}/reopen")
def reopen(
    request: Request, desk: TheDesk, account_id: int, who: Operator, fields: Fields
) -> Response:
    """Open a closed account again."""
    with transaction(desk.engine, actor=who.name, reason="opened an account again") as session:
        name = accounts.reopen_account(session, account_id).name
    return _shown(request, desk, f"The account {name} is open again.")


def _shown(
    request: Request, desk: TheDesk, said: str = "", name: str = "", password: str = ""
) -> Response:
    """Show the list, with a fresh password in this answer only (it is never stored nor sent again)."""
    with Session(desk.engine) as session:
        listed = [
            Person(a.id, a.name, a.role, a.state, a.opened_at) for a in accounts.accounts(session)
        ]
    roles = [role.value for role in Role]
    return page(request, "accounts.html", PeoplePage(listed, roles, said, name, password))
