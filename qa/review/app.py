"""The review app: its routes, what goes around them, and its life."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from sqlalchemy import Engine, text
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from qa.review import (
    decisions,
    login,
    pages,
    people,
    player,
    production,
    queue,
    submission,
    takes,
)
from qa.review.access import STATIC, check_routes
from qa.review.desk import Desk, Factory, Options
from qa.review.documents import Documents
from qa.review.headers import UPLOAD_OVERHEAD_BYTES, BodyLimit, JsonTwin, SecurityHeaders
from qa.review.shelf import Shelf
from qa.review.webhook import Crier, Notifier
from storage.objects import ObjectStore

PUBLIC = frozenset({"/login", "/health"})
"""Routes for everybody."""

ROUTERS = (login, queue, production, player, decisions, takes, submission, people)


def create_app(
    engine: Engine,
    store: ObjectStore,
    options: Options,
    *,
    factory: Factory | None = None,
    notifier: Notifier | None = None,
) -> FastAPI:
    """Make the app.

    Parameters
    ----------
    engine, store : Engine, ObjectStore
        Lectern's database, migrated, and its object store.
    options : Options
        How it behaves.
    factory : Factory, optional
        Takes books and follows approvals; without it no books are taken, and approvals are only recorded.
    notifier : Notifier, optional
        Told of every report that waits for a reviewer, while the app runs.
    """
    crier = Crier(engine, notifier) if notifier else None

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        if crier:
            crier.start()
        yield
        if crier:
            crier.stop()

    app = FastAPI(
        title="Lectern review", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life
    )
    app.state.desk = Desk(
        engine=engine,
        store=store,
        options=options,
        shelf=Shelf(store, options.cache, options.cache_bytes),
        documents=Documents(store),
        factory=factory,
    )
    for module in ROUTERS:
        app.router.routes.extend(module.router.routes)  # as they are, for `check_routes` to see
    app.add_api_route("/health", health, methods=["GET"])
    app.mount(STATIC, StaticFiles(directory=pages.HERE / "static"), name="static")
    check_routes(app, PUBLIC)
    pages.say_errors(app)
    uploads = {"/submit": options.upload_bytes + UPLOAD_OVERHEAD_BYTES}
    app.add_middleware(BodyLimit, uploads=uploads)
    app.add_middleware(JsonTwin)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(options.hosts))
    app.add_middleware(SecurityHeaders)
    return app


def health(request: Request) -> Response:
    """Say whether the database answers."""
    with request.app.state.desk.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return JSONResponse({"status": "ok"})
