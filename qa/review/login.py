"""Logging in and out, and changing one's own password."""

import secrets
from dataclasses import dataclass

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from qa.review.access import (
    CSRF_FIELD,
    SESSION_COOKIE,
    VISIT_COOKIE,
    AccessDenied,
    Anyone,
    Fields,
    check_origin,
    read_fields,
)
from qa.review.desk import TheDesk
from qa.review.pages import done, page, wants_json
from storage import accounts
from storage.database import transaction
from storage.errors import LoginRefused

router = APIRouter()


class LoginForm(BaseModel):
    """What is typed to log in."""

    model_config = ConfigDict(extra="ignore")

    name: str
    password: str
    to: str = "/"


class PasswordForm(BaseModel):
    """What is typed to change a password."""

    model_config = ConfigDict(extra="ignore")

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class LoginPage:
    """The login form: its token, and where to go afterwards."""

    csrf: str
    to: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """The form to change one's password."""

    name: str
    least: int


@router.get("/login")
def login_page(request: Request, to: str = "/") -> Response:
    """Show the login form; it works only with the cookie that comes with it."""
    token = request.cookies.get(VISIT_COOKIE) or secrets.token_urlsafe(32)
    answer = page(request, "login.html", LoginPage(token, _inside(to)))
    answer.set_cookie(
        VISIT_COOKIE, token, httponly=True, samesite="strict", secure=_secure(request)
    )
    return answer


@router.post("/login")
async def log_in(request: Request, desk: TheDesk) -> Response:
    """Open a session."""
    values = await read_fields(request)
    check_origin(request)
    visit, given = request.cookies.get(VISIT_COOKIE, ""), str(values.get(CSRF_FIELD, ""))
    if not visit or not secrets.compare_digest(visit.encode(), given.encode()):
        raise AccessDenied(403, "this form has expired: load the page again")
    form = LoginForm.model_validate(values)
    address = request.client.host if request.client else "unknown"
    try:
        opened = await run_in_threadpool(
            accounts.log_in, desk.engine, name=form.name, password=form.password, address=address
        )
    except LoginRefused as error:
        if wants_json(request):
            raise
        again = LoginPage(given, _inside(form.to), str(error))
        return page(request, "login.html", again, status=401)
    who = opened.visitor
    answer = done(request, _inside(form.to), "", name=who.name, role=who.role, csrf=who.csrf)
    answer.set_cookie(
        SESSION_COOKIE,
        opened.token,
        max_age=accounts.SESSION_HOURS * 3600,
        httponly=True,
        samesite="lax",
        secure=_secure(request),
    )
    answer.delete_cookie(VISIT_COOKIE)
    return answer


@router.post("/logout")
def log_out(request: Request, desk: TheDesk, who: Anyone, fields: Fields) -> Response:
    """End the session."""
    with transaction(desk.engine, actor=who.name, reason="logged out") as session:
        accounts.log_out(session, who.login_id)
    answer = done(request, "/login", "You are logged out.")
    answer.delete_cookie(SESSION_COOKIE)
    return answer


@router.get("/password")
def password_page(request: Request, who: Anyone) -> Response:
    """Show the form to change one's password."""
    return page(request, "password.html", PasswordPage(who.name, accounts.PASSWORD_LEAST))


@router.post("/password")
def change_password(request: Request, desk: TheDesk, who: Anyone, fields: Fields) -> Response:
    """Change one's password; all sessions end."""
    form = PasswordForm.model_validate(fields)
    with transaction(desk.engine, actor=who.name, reason="changed the password") as session:
        accounts.change_password(session, who.account_id, form.old, form.new)
    answer = done(request, "/login", "The password is changed: log in with the new one.")
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def _inside(to: str) -> str:
    """Return an address of this app, whatever was asked for."""
    inside = to.startswith("/") and not to.startswith(("//", "/\\"))
    return to if inside and to.isprintable() else "/"


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"
