"""Who may do what: sessions, roles and the proof that an unsafe request comes from our own page.

Every route names what it needs by one of the types below (`Anyone`, `Reviewer`, …), and every unsafe one
takes its input through `Fields`, which checks the session's token. `check_routes` refuses to start an app in
which a route forgot one of them.
"""

import secrets
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, UploadFile
from starlette.routing import Mount

from qa.review.desk import TheDesk
from storage.accounts import Visitor, visitor
from storage.review_tables import Role

SESSION_COOKIE = "lectern_session"
VISIT_COOKIE = "lectern_visit"
"""The second is given before a login, whose form must repeat it."""

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
STATIC = "/static"
"""Where the style sheet and scripts are, for everybody."""

SAFE = {"GET", "HEAD", "OPTIONS"}

Values = dict[str, Any]
"""Fields of a form or a JSON body; those sent more than once are lists."""


class AccessDenied(Exception):
    """A request that may not be made; `status` 401 asks for a login, 403 does not.

    Attributes
    ----------
    status : the HTTP status
    reason : for who asked
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def logged_in(request: Request, desk: TheDesk) -> Visitor:
    """Return who makes the request; raises AccessDenied where nobody is logged in."""
    token = request.cookies.get(SESSION_COOKIE, "")
    found = visitor(desk.engine, token) if token else None
    if found is None:
        raise AccessDenied(401, "log in first")
    request.state.visitor = found
    return found


class Needs:
    """A dependency that lets only some roles pass."""

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)

    def __call__(self, who: Annotated[Visitor, Depends(logged_in)]) -> Visitor:
        """Return the visitor; raises AccessDenied where the role is another."""
        if who.role not in self.roles:
            allowed = " or ".join(sorted(role.value for role in self.roles))
            raise AccessDenied(403, f"this needs a {allowed}; you are a {who.role.value}")
        return who


Anyone = Annotated[Visitor, Depends(Needs(*Role))]
Reviewer = Annotated[Visitor, Depends(Needs(Role.REVIEWER))]
Colleague = Annotated[Visitor, Depends(Needs(Role.REVIEWER, Role.OPERATOR))]
Publisher = Annotated[Visitor, Depends(Needs(Role.PUBLISHER, Role.OPERATOR))]
Operator = Annotated[Visitor, Depends(Needs(Role.OPERATOR))]


async def _fields(request: Request, who: Annotated[Visitor, Depends(logged_in)]) -> Values:
    values = await read_fields(request)
    check_origin(request)
    given = request.headers.get(CSRF_HEADER) or values.pop(CSRF_FIELD, "")
    if not isinstance(given, str) or not secrets.compare_digest(given.encode(), who.csrf.encode()):
        raise AccessDenied(403, "this form is from another session: load the page again")
    return values


Fields = Annotated[Values, Depends(_fields)]


async def read_fields(request: Request) -> Values:
    """Return the fields of a form or a JSON object."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip() == "application/json":
        try:
            found = await request.json()
        except ValueError as error:
            raise AccessDenied(400, "the body is not JSON") from error
        return dict(found) if isinstance(found, dict) else {}
    form: FormData = await request.form(max_files=2, max_fields=500)
    values: Values = {}
    for name in form:
        several: list[str | UploadFile] = form.getlist(name)
        values[name] = several if len(several) > 1 else several[0]
    return values


def check_origin(request: Request) -> None:
    """Refuse what a browser says was sent by another site's page."""
    origin = request.headers.get("Origin")
    elsewhere = origin is not None and urlsplit(origin).netloc != request.headers.get("Host")
    if elsewhere or request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
        raise AccessDenied(403, "this request comes from another site's page")


def check_routes(app: FastAPI, public: frozenset[str]) -> None:
    """Refuse an app with a route that says nothing about who may use it, or takes input unchecked.

    Raises
    ------
    RuntimeError
        Naming the route.
    """
    for route in app.routes:
        if isinstance(route, Mount) and route.path == STATIC:
            continue
        if not isinstance(route, APIRoute):
            raise RuntimeError(f"{route!r} is of a kind whose access cannot be checked")
        if route.path in public:
            continue
        calls = list(_calls(route.dependant))
        if not any(isinstance(call, Needs) for call in calls):
            raise RuntimeError(f"{route.path} does not say who may use it")
        if (route.methods or set()) - SAFE and _fields not in calls:
            raise RuntimeError(f"{route.path} takes unsafe requests without a CSRF check")


def _calls(dependant: Dependant) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from _calls(one)
