"""Accounts of the review app: who may come in, their sessions, and how often a password may be tried.

Passwords are hashed by argon2-cffi with its defaults (Argon2id, RFC 9106's low-memory profile). A session's
token is 256 random bits that only the browser holds; the database keeps its digest. Time is the database's.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from storage.database import transaction
from storage.errors import ConflictRefused, LoginRefused, NotFound, Refused, TooManyAttempts
from storage.keys import digest_of
from storage.models import Event
from storage.review_tables import Account, Login, LoginAttempt, Role
from storage.states import AccountState

SESSION_HOURS = 12
"""How long a session lasts at most."""

IDLE_HOURS = 2
"""How long a session lasts without a request."""

ATTEMPT_MINUTES = 15
"""Over how long failed attempts to log in are counted."""

FAILURES_HERE = 5
FAILURES_OF_NAME = 50
FAILURES_OF_ADDRESS = 30
"""Most failures in that time: of one name from one address, of one name, from one address. The second is
high, so that a stranger cannot easily lock somebody out."""

PASSWORD_LEAST = 12
PASSWORD_MOST = 256
"""Length of a password, in characters."""

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_urlsafe())
"""Verified where there is no such account, so that the answer takes as long."""

_AT_ONCE = BoundedSemaphore(2)
"""Each verification takes 64 MiB; more at once would let strangers fill the memory."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who makes a request, by a session that is valid now."""

    account_id: int
    name: str
    role: Role
    login_id: int
    csrf: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened: `token` goes to the browser and is kept nowhere else."""

    visitor: Visitor
    token: str


def add_account(session: Session, *, name: str, role: Role, password: str) -> Account:
    """Open an account.

    Raises
    ------
    Refused
        Where the name cannot be one, or the password is too short or too long.
    ConflictRefused
        Where the name is taken.
    """
    if not NAME.fullmatch(name):
        raise Refused(
            f"'{name}' cannot be an account's name: use up to 64 of a-z, 0-9 and . _ @ -,"
            " beginning with a letter or digit"
        )
    hashed = _hashed(name, password)
    if session.scalar(select(Account.id).where(Account.name == name)) is not None:
        raise ConflictRefused(f"there is an account '{name}' already")
    account = Account(name=name, role=role.value, password_hash=hashed)
    session.add(account)
    session.flush()
    return account


def set_password(session: Session, account_id: int, password: str) -> None:
    """Give an account another password; all its sessions end."""
    account = locked(session, account_id)
    account.password_hash = _hashed(account.name, password)
    session.flush()
    end_sessions(session, account_id)


def change_password(session: Session, account_id: int, old: str, new: str) -> None:
    """Change one's own password; raises LoginRefused where the old one is wrong."""
    account = locked(session, account_id)
    if not _verified(account.password_hash, old):
        raise LoginRefused("the present password is another one")
    set_password(session, account_id, new)


def close_account(session: Session, account_id: int) -> Account:
    """Close an account: it may not log in, and its sessions end.

    Raises
    ------
    Refused
        Where it is the last active operator: nobody could open it again in the app.
    """
    operators = session.scalars(
        select(Account.id)
        .where(Account.role == Role.OPERATOR, Account.state == AccountState.ACTIVE)
        .order_by(Account.id)
        .with_for_update()
    ).all()
    if list(operators) == [account_id]:
        raise Refused("this is the last operator: add another one before you close it")
    account = locked(session, account_id)
    account.state = AccountState.CLOSED
    session.flush()
    end_sessions(session, account_id)
    return account


def reopen_account(session: Session, account_id: int) -> Account:
    """Let a closed account log in again."""
    account = locked(session, account_id)
    account.state = AccountState.ACTIVE
    session.flush()
    return account


def accounts(session: Session) -> Sequence[Account]:
    """Return all accounts, closed ones too, by name."""
    return session.scalars(select(Account).order_by(Account.name)).all()


def named(session: Session, name: str) -> Account:
    """Return the account of that name; raises NotFound."""
    found = session.scalars(select(Account).where(Account.name == name)).one_or_none()
    if found is None:
        raise NotFound(f"there is no account '{name}'; `lectern account list` names them")
    return found


def locked(session: Session, account_id: int) -> Account:
    """Return an account, locked until the transaction ends; raises NotFound."""
    found = session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound(f"there is no account {account_id}")
    return found


def log_in(engine: Engine, *, name: str, password: str, address: str) -> Opened:
    """Open a session for who knows the password.

    Parameters
    ----------
    engine : Engine
        Lectern's database.
    name, password : str
        What was typed.
    address : str
        Where the request comes from; counted, and written into the audit.

    Raises
    ------
    TooManyAttempts
        Where too many attempts failed; the password was not looked at.
    LoginRefused
        Where name and password do not belong together, or the account is closed.
    """
    name = name.strip().lower()[:64]
    attempt_id = _count_attempt(engine, name, address)
    with Session(engine) as session:
        account = session.scalars(select(Account).where(Account.name == name)).one_or_none()
        hashed = account.password_hash if account else _NOBODY
    right = _verified(hashed, password)
    if account is None or not right or account.state != AccountState.ACTIVE:
        raise LoginRefused("name and password do not belong together")
    with transaction(engine, actor=name, reason="logged in") as session:
        session.execute(
            update(LoginAttempt).where(LoginAttempt.id == attempt_id).values(succeeded=True)
        )
        session.execute(delete(Login).where(Login.ends_at < func.now()))
        opened = _open(session, locked(session, account.id))
        session.add(
            Event(
                subject="account",
                subject_id=account.id,
                actor=name,
                reason="logged in",
                detail={"address": address},
            )
        )
        if _HASHER.check_needs_rehash(hashed):
            session.execute(
                update(Account)
                .where(Account.id == account.id)
                .values(password_hash=_HASHER.hash(password))
            )
        return opened


def visitor(engine: Engine, token: str) -> Visitor | None:
    """Return who holds a session's token; none where it ended or never was."""
    with Session(engine) as session, session.begin():
        row = session.execute(
            select(Login, Account)
            .join(Account, Account.id == Login.account_id)
            .where(
                Login.token_digest == digest_of(token.encode()),
                Login.ends_at > func.now(),
                Login.seen_at > func.now() - func.make_interval(0, 0, 0, 0, IDLE_HOURS),
                Account.state == AccountState.ACTIVE,
            )
        ).one_or_none()
        if row is None:
            return None
        login, account = row
        session.execute(  # at most one write a minute
            update(Login)
            .where(Login.id == login.id, Login.seen_at < func.now() - text("interval '1 minute'"))
            .values(seen_at=func.now())
            .execution_options(synchronize_session=False)
        )
        return Visitor(account.id, account.name, Role(account.role), login.id, login.csrf)


def log_out(session: Session, login_id: int) -> None:
    """End a session."""
    session.execute(delete(Login).where(Login.id == login_id))


def end_sessions(session: Session, account_id: int) -> None:
    """End all sessions of an account."""
    session.execute(delete(Login).where(Login.account_id == account_id))


def _open(session: Session, account: Account) -> Opened:
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    login_id = session.scalar(
        insert(Login)
        .values(
            token_digest=digest_of(token.encode()),
            account_id=account.id,
            csrf=csrf,
            ends_at=func.now() + func.make_interval(0, 0, 0, 0, SESSION_HOURS),
        )
        .returning(Login.id)
    )
    assert login_id is not None
    return Opened(Visitor(account.id, account.name, Role(account.role), login_id, csrf), token)


def _count_attempt(engine: Engine, name: str, address: str) -> int:
    """Write the attempt down before it is made, then count: attempts at once count each other."""
    with Session(engine) as session, session.begin():
        session.execute(
            delete(LoginAttempt).where(LoginAttempt.at < func.now() - text("interval '1 day'"))
        )
        attempt_id = session.scalar(
            insert(LoginAttempt).values(name=name, address=address).returning(LoginAttempt.id)
        )
    assert attempt_id is not None
    with Session(engine) as session:
        here, of_name, of_address = session.execute(
            select(
                func.count().filter(LoginAttempt.name == name, LoginAttempt.address == address),
                func.count().filter(LoginAttempt.name == name),
                func.count().filter(LoginAttempt.address == address),
            ).where(
                LoginAttempt.at > func.now() - func.make_interval(0, 0, 0, 0, 0, ATTEMPT_MINUTES),
                ~LoginAttempt.succeeded,
                (LoginAttempt.name == name) | (LoginAttempt.address == address),
                LoginAttempt.id <= attempt_id,
            )
        ).one()
    if here > FAILURES_HERE or of_name > FAILURES_OF_NAME or of_address > FAILURES_OF_ADDRESS:
        raise TooManyAttempts(
            f"too many attempts to log in failed; try again in {ATTEMPT_MINUTES} minutes,"
            " or ask an operator for a new password"
        )
    return attempt_id


def _hashed(name: str, password: str) -> str:
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise Refused(
            f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters; a few unrelated words"
            " make a good one"
        )
    if name in password.lower() or len(set(password)) < 5:
        raise Refused("this password is easily guessed: choose one without the name in it")
    with _AT_ONCE:
        return _HASHER.hash(password)


def _verified(hashed: str, password: str) -> bool:
    if len(password) > PASSWORD_MOST:
        return False
    with _AT_ONCE:
        try:
            return _HASHER.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False
