"""Answers: a page, its JSON twin, what is said after a form was sent, and every error as a page.

A page's handler makes one frozen dataclass. The template shows it; asked for JSON, the same is sent as data.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates

from qa.review.access import AccessDenied
from qa.review.headers import HEADERS, BodyTooLarge
from storage import errors

HERE = Path(__file__).parent
SAID_COOKIE = "lectern_said"
"""What the last form did, shown once."""

STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.NotFound, 404),
    (errors.ObjectMissing, 404),
    (errors.LoginRefused, 401),
    (errors.TooManyAttempts, 429),
    (errors.ReviewOutdated, 409),
    (errors.ApprovalRefused, 409),
    (errors.TransitionRefused, 409),
    (errors.ConflictRefused, 409),
    (errors.RecordProtected, 409),
    (errors.Refused, 422),
    (errors.StoreUnavailable, 503),
    (errors.StorageError, 500),
)
"""The status of each kind of refusal, the first that fits."""

TITLES = {
    400: "That could not be read",
    401: "Log in first",
    403: "Not allowed",
    404: "Not here",
    405: "Not that way",
    409: "Something changed meanwhile",
    413: "Too large",
    422: "Something is missing",
    429: "Too many attempts",
    503: "The store does not answer",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an error page shows."""

    status: int
    title: str
    error: str


def clock(seconds: float | None) -> str:
    """Write a time in a chapter as `1:02:03` or `2:03`."""
    whole = int(seconds or 0)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float | None) -> str:
    """Write how long something lasts in the largest unit that says enough."""
    value = float(seconds or 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= size:
            return f"{value / size:.0f} {unit}"
    return "just now"


def day(moment: datetime | None) -> str:
    """Write a moment as date and minute, UTC."""
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else ""


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock, "ago": ago, "day": day}
    return environment


TEMPLATES = Jinja2Templates(env=_environment())


def wants_json(request: Request) -> bool:
    """Tell whether the JSON twin is asked for rather than the page."""
    accept = request.headers.get("Accept", "")
    return "application/json" in accept and "text/html" not in accept


def page(request: Request, template: str, model: Any, *, status: int = 200) -> Response:
    """Answer with a page made of `model`, or with `model` as JSON."""
    if wants_json(request):
        headers = {"Vary": "Accept, Cookie"}
        return JSONResponse(jsonable_encoder(model), status_code=status, headers=headers)
    who = getattr(request.state, "visitor", None)
    said = unquote(request.cookies.get(SAID_COOKIE, ""))
    context = {"page": model, "visitor": who, "csrf": who.csrf if who else "", "said": said}
    answer: HTMLResponse = TEMPLATES.TemplateResponse(
        request, template, context, status_code=status, headers={"Vary": "Accept, Cookie"}
    )
    if said:
        answer.delete_cookie(SAID_COOKIE)
    return answer


def done(request: Request, to: str, said: str, **data: Any) -> Response:
    """Answer a form that did its work: go to a page that says so, or tell it as JSON."""
    if wants_json(request):
        return JSONResponse(jsonable_encoder({"said": said, **data}))
    answer = RedirectResponse(to, status_code=303)
    answer.set_cookie(SAID_COOKIE, quote(said[:400]), max_age=60, httponly=True, samesite="strict")
    return answer


def sorry(
    request: Request, status: int, why: str, headers: dict[str, str] | None = None
) -> Response:
    """Answer with an error page, or with the error as JSON."""
    title = TITLES.get(status, "That did not work")
    answer = page(request, "error.html", Trouble(status, title, why), status=status)
    answer.headers.update(headers or {})
    return answer


def say_errors(app: FastAPI) -> None:
    """Give every deliberate error its page."""

    @app.exception_handler(AccessDenied)
    def denied(request: Request, error: AccessDenied) -> Response:
        if error.status == 401 and request.method == "GET" and not wants_json(request):
            whole = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?to={quote(whole, safe='')}", status_code=303)
        return sorry(request, error.status, error.reason)

    @app.exception_handler(errors.StorageError)
    def refused(request: Request, error: errors.StorageError) -> Response:
        status = next(code for kind, code in STATUS if isinstance(error, kind))
        headers = {"Retry-After": "900"} if status == 429 else None
        return sorry(request, status, str(error), headers)

    @app.exception_handler(ValidationError)
    def invalid(request: Request, error: ValidationError) -> Response:
        said = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'form'}: {one['msg']}" for one in error.errors()
        )
        return sorry(request, 422, said)

    @app.exception_handler(BodyTooLarge)
    def too_large(request: Request, error: BodyTooLarge) -> Response:
        return sorry(request, 413, str(error))

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        return sorry(request, error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        said = "this is a fault of Lectern's; the operator's log holds the rest"
        return sorry(request, 500, said, HEADERS)  # outside of what adds them otherwise
