"""Who may do what: every route the app has, with every role; sessions, CSRF, rate limits, headers."""

import logging
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from reviewed_books import Made
from sqlalchemy import Engine, text
from starlette.routing import Mount
from visits import JSON, PASSWORD, Visit

from qa.review.access import check_routes
from qa.review.headers import BODY_BYTES, CONTENT_SECURITY_POLICY
from storage.database import transaction
from storage.reviews import record_submission

ALL = {"paula", "rita", "otto"}
"""A publisher, a reviewer and an operator; nobody is the empty name."""

MAY: dict[tuple[str, str], set[str]] = {
    ("GET", "/login"): {"", *ALL},
    ("POST", "/login"): {"", *ALL},
    ("GET", "/health"): {"", *ALL},
    ("POST", "/logout"): ALL,
    ("GET", "/password"): ALL,
    ("POST", "/password"): ALL,
    ("GET", "/"): ALL,
    ("GET", "/productions/{production_id}"): ALL,
    ("GET", "/productions/{production_id}/report"): ALL,
    ("GET", "/productions/{production_id}/chapters/{number}"): ALL,
    ("GET", "/productions/{production_id}/chapters/{number}/audio"): ALL,
    ("GET", "/productions/{production_id}/chapters/{number}/peaks"): ALL,
    ("POST", "/productions/{production_id}/chapters/{number}/heard"): ALL,
    ("POST", "/productions/{production_id}/claim"): {"rita"},
    ("POST", "/productions/{production_id}/unclaim"): {"rita"},
    ("POST", "/productions/{production_id}/decision"): {"rita"},
    ("POST", "/productions/{production_id}/notes"): {"rita"},
    ("GET", "/productions/{production_id}/audit"): {"rita", "otto"},
    ("GET", "/windows/{window_id}"): {"rita", "otto"},
    ("GET", "/windows/{window_id}/takes/{number}"): {"rita", "otto"},
    ("POST", "/windows/{window_id}/redo"): {"rita"},
    ("POST", "/windows/{window_id}/ballots"): {"rita"},
    ("GET", "/ballots/{ballot_id}"): {"rita"},
    ("GET", "/ballots/{ballot_id}/{side}"): {"rita"},
    ("POST", "/ballots/{ballot_id}/vote"): {"rita"},
    ("POST", "/ballots/{ballot_id}/choose"): {"rita"},
    ("GET", "/submit"): {"paula", "otto"},
    ("POST", "/submit"): {"paula", "otto"},
    ("GET", "/accounts"): {"otto"},
    ("POST", "/accounts"): {"otto"},
    ("POST", "/accounts/{account_id}/password"): {"otto"},
    ("POST", "/accounts/{account_id}/close"): {"otto"},
    ("POST", "/accounts/{account_id}/reopen"): {"otto"},
}

PLACES = {"production_id": "1", "number": "1", "window_id": "1", "ballot_id": "1", "side": "a"}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Return all methods of all routes the app has, mounted ones apart."""
    found = []
    for route in app.routes:
        if isinstance(route, Mount):
            assert route.path == "/static", f"{route.path} is mounted and not tested"
            continue
        assert isinstance(route, APIRoute), f"{route!r} is no route that this test can try"
        found += [(method, route.path) for method in route.methods - {"HEAD"}]
    return found


def test_every_route_is_listed(app: FastAPI) -> None:
    assert sorted(routes(app)) == sorted(MAY)


def test_every_route_with_every_role(
    app: FastAPI,
    engine: Engine,
    book: Made,
    people: dict[str, int],
    visit: Callable[[str], Visit],
) -> None:
    with transaction(engine, actor="tester", reason="it is hers") as session:
        record_submission(session, book.id, people["paula"])
    visits = {name: visit(name) for name in ("", *sorted(ALL))}
    wrong = []
    last = {("POST", "/password"): 1, ("POST", "/logout"): 2}
    for method, path in sorted(routes(app), key=lambda route: last.get(route, 0)):
        address = path.format(**PLACES, account_id=people["rolf"])
        for name, who in visits.items():
            send = who.get if method == "GET" else who.post
            answer = send(address, headers=JSON) if method == "GET" else send(address)
            allowed = answer.status_code not in {401, 403}
            if path == "/login":  # what it refuses is the form without its cookie
                allowed = answer.status_code != 401
            if allowed is not (name in MAY[method, path]):
                wrong.append((method, path, name or "nobody", answer.status_code))
    assert wrong == []


def test_a_route_that_forgets_is_refused(app: FastAPI) -> None:
    @app.get("/forgotten")
    def forgotten() -> None: ...

    with pytest.raises(RuntimeError, match="/forgotten does not say who"):
        check_routes(app, frozenset({"/login", "/health"}))


def test_a_publisher_sees_her_own_only(
    engine: Engine, book: Made, people: dict[str, int], visit: Callable[[str], Visit]
) -> None:
    paula = visit("paula")
    assert paula.json("/")["waiting"] == []
    for address in ("", "/report", "/chapters/1", "/chapters/1/audio", "/chapters/1/peaks"):
        assert paula.get(f"/productions/{book.id}{address}").status_code == 404
    with transaction(engine, actor="tester", reason="it is hers") as session:
        record_submission(session, book.id, people["paula"])
    assert [card["id"] for card in paula.json("/")["waiting"]] == [book.id]
    shown = paula.json(f"/productions/{book.id}")
    assert not shown["may_decide"] and not shown["may_redo"]
    assert 'data-dialog="approve"' not in paula.get(f"/productions/{book.id}").text


def test_unsafe_requests_need_the_sessions_token(book: Made, visit: Callable[[str], Visit]) -> None:
    rita, rolf = visit("rita"), visit("rolf")
    address = f"/productions/{book.id}/claim"
    assert rita.client.post(address, headers=JSON).status_code == 403
    assert rita.client.post(address, data={"csrf": rolf.csrf}).status_code == 403
    strange = {"Origin": "https://elsewhere.example", "X-CSRF-Token": rita.csrf}
    assert rita.client.post(address, headers=strange).status_code == 403
    cross = {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": rita.csrf}
    assert rita.client.post(address, headers=cross).status_code == 403
    assert rita.json(f"/productions/{book.id}")["card"]["claimed_by"] is None
    assert rita.form(address).status_code == 303
    assert rita.json(f"/productions/{book.id}")["card"]["claimed_by"] == "rita"


def test_a_login_needs_the_forms_own_cookie(visit: Callable[[str], Visit]) -> None:
    outside = visit("")
    values = {"name": "rita", "password": PASSWORD, "csrf": "made up"}
    assert outside.client.post("/login", data=values).status_code == 403


def test_whoever_is_outside_is_sent_to_the_login_and_back(
    book: Made, visit: Callable[[str], Visit]
) -> None:
    outside = visit("")
    answer = outside.get(f"/productions/{book.id}?at=3")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?to=%2Fproductions%2F{book.id}%3Fat%3D3"
    assert outside.get("/", headers=JSON).status_code == 401
    page = outside.get("/login?to=https://elsewhere.example/").text
    assert "elsewhere" not in page
    page = outside.get("/login?to=//elsewhere.example/").text
    assert "elsewhere" not in page


def test_sessions_end(engine: Engine, visit: Callable[[str], Visit]) -> None:
    rita, twice, otto = visit("rita"), visit("rita"), visit("otto")
    rita.post("/logout")
    assert rita.get("/", headers=JSON).status_code == 401
    assert twice.get("/", headers=JSON).status_code == 200
    with engine.begin() as connection:
        connection.execute(text("UPDATE login SET seen_at = now() - interval '3 hours'"))
    assert twice.get("/", headers=JSON).status_code == 401
    assert otto.get("/", headers=JSON).status_code == 401
    rita, otto = visit("rita"), visit("otto")
    found = {one["name"]: one["id"] for one in otto.json("/accounts")["people"]}
    assert otto.post(f"/accounts/{found['rita']}/close").status_code == 200
    assert rita.get("/", headers=JSON).status_code == 401
    assert visit("").log_in("rita", PASSWORD).status_code == 401
    answer = otto.post(f"/accounts/{found['otto']}/close")
    assert answer.status_code == 422 and "last operator" in answer.json()["error"]


def test_too_many_failures_are_refused_without_looking(
    visit: Callable[[str], Visit], engine: Engine
) -> None:
    outside = visit("")
    codes = [outside.log_in("rita", "not the password").status_code for _ in range(5)]
    assert codes == [401] * 5
    answer = outside.log_in("rita", PASSWORD)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "900"
    assert outside.log_in("rolf", PASSWORD).status_code == 200
    with engine.begin() as connection:
        connection.execute(text("UPDATE login_attempt SET at = at - interval '16 minutes'"))
    assert outside.log_in("rita", PASSWORD).status_code == 200


def test_secrets_are_in_no_log_and_no_row(
    engine: Engine, visit: Callable[[str], Visit], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rita, otto = visit("rita"), visit("otto")
    token = rita.client.cookies["lectern_session"]
    made = otto.post("/accounts", {"name": "nina", "role": "reviewer"}).json()
    assert Visit(rita.client.app, "nina", made["password"]).csrf  # type: ignore[arg-type]
    secrets = (PASSWORD, token, made["password"])
    assert not any(secret in caplog.text for secret in secrets)
    with engine.connect() as connection:
        for table in ("account", "login", "login_attempt", "event"):
            rows = str(connection.execute(text(f"SELECT * FROM {table}")).all())
            assert not any(secret in rows for secret in secrets)
    assert made["password"] not in str(otto.json("/accounts"))


def test_headers(book: Made, visit: Callable[[str], Visit]) -> None:
    rita = visit("rita")
    audio = f"/productions/{book.id}/chapters/1/audio"
    for address in ("/", "/static/review.css", "/nowhere", "/login", audio):
        headers = rita.get(address).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert rita.get("/").headers["cache-control"] == "no-store"
    page = rita.get(f"/productions/{book.id}").text
    assert "<style" not in page and " style=" not in page and "onclick" not in page
    assert rita.get("/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_cookies_are_for_the_server_alone(visit: Callable[[str], Visit]) -> None:
    outside = visit("")
    answer = outside.log_in("rita", PASSWORD)
    [cookie] = [
        c for c in answer.headers.get_list("set-cookie") if c.startswith("lectern_session=")
    ]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie


def test_large_bodies_are_refused(book: Made, visit: Callable[[str], Visit]) -> None:
    rita = visit("rita")
    answer = rita.form(f"/productions/{book.id}/notes", {"text": "x" * (BODY_BYTES + 1)})
    assert answer.status_code == 413

    def endless() -> object:  # no Content-Length to believe
        for _ in range(10 * BODY_BYTES >> 10):
            yield b"x" * 1024

    answer = rita.client.post(
        f"/productions/{book.id}/claim",
        content=endless(),  # type: ignore[arg-type]
        headers={**JSON, "Content-Type": "application/json", "X-CSRF-Token": rita.csrf},
    )
    assert answer.status_code == 413
