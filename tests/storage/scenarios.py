"""Enrolled voices, planned productions and workers' results, as the storage tests need them."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from sqlalchemy import Engine, select, text

from storage import enrolment, keys, productions
from storage.database import transaction
from storage.enrolment import ConsentTerms, Metadata, TextRights
from storage.models import Chapter, Production, Voice
from storage.objects import ObjectStore, put_once
from storage.queue import (
    ChapterLease,
    Judgement,
    Mastering,
    Queue,
    Reading,
    Rendering,
    Rereading,
    WindowLease,
)

DIGEST = "0" * 64


def terms(document: bytes = b"I lend my voice. Signed, A.", **facts: object) -> ConsentTerms:
    return ConsentTerms(owner="A. Narrator", signatory="A. Narrator", document=document, **facts)  # type: ignore[arg-type]


def enrol_voice(engine: Engine, store: ObjectStore, name: str = "joe", **consent: object) -> Voice:
    return enrolment.enrol_voice(
        engine,
        store,
        name=name,
        prompt=f"the prompt of {name}".encode(),
        codec="soundstream",
        terms=terms(f"consent of {name}".encode(), **consent),
        embeddings=b"an embedding",
        actor="tester",
    )


def submit(
    engine: Engine,
    store: ObjectStore,
    *,
    title: str = "A Book",
    voice: Voice | None = None,
    **order: object,
) -> Production:
    """Submit a book of that title, read by `joe` unless another voice is given."""
    voice = voice or enrol_voice(engine, store)
    manuscript = enrolment.enrol_manuscript(
        engine,
        store,
        source=f"The text of {title}.".encode(),
        source_name=f"{title}.txt",
        media_type="text/plain",
        metadata=Metadata(title=title, authors=("B. Author",), language="en", words=1000),
        rights=TextRights(holder="nobody", basis="public_domain"),
        actor="tester",
    )
    facts: dict[str, object] = {"settings": {"preset": "tiny"}, "weights": {}, "words": 1000}
    with transaction(engine, actor="tester", reason="submitted by the test") as session:
        return productions.submit(
            session,
            productions.Order(
                manuscript_id=manuscript.id,
                voice_id=voice.id,
                model_digest=DIGEST,
                **(facts | order),  # type: ignore[arg-type]
            ),
        )


def plan(
    engine: Engine, store: ObjectStore, production_id: int, windows: Sequence[int] = (3, 2)
) -> None:
    """Admit a production and plan chapters of so many windows."""
    scripts = {
        number: put_once(store, keys.script(production_id, number, DIGEST), b"a script")
        for number in range(1, len(windows) + 1)
    }
    with transaction(engine, actor="tester", reason="planned by the test") as session:
        productions.admit_one(session, production_id)
        productions.plan(
            session,
            production_id,
            [
                productions.ChapterPlan(
                    number=number,
                    title=f"Chapter {number}",
                    words=100,
                    script_key=scripts[number].key,
                    script_digest=scripts[number].digest,
                    spans=[(n * 10, n * 10 + 10) for n in range(count)],
                )
                for number, count in enumerate(windows, 1)
            ],
        )


def producing(
    engine: Engine, store: ObjectStore, windows: Sequence[int] = (3, 2), **order: object
) -> Production:
    """Return a production that is being produced, nothing of it done yet."""
    production = submit(engine, store, **order)  # type: ignore[arg-type]
    plan(engine, store, production.id, windows)
    return production


def product(*what: object) -> bytes:
    """Return what a deterministic worker makes of its inputs."""
    return sha256(repr(what).encode()).digest()


def read(store: ObjectStore, lease: ChapterLease) -> Reading:
    """Read the window at the cursor: tokens and snapshot follow from place and entry."""
    entry = store.get(lease.snapshot_key) if lease.snapshot_key else b""
    tokens = product("tokens", lease.number, lease.cursor, entry)
    after = product("snapshot", tokens)

    def kept(name: str, data: bytes) -> tuple[str, str]:
        part = f"{lease.cursor}-{name}"
        key = keys.chapter_part(lease.production_id, lease.number, lease.lease, part)
        stored = put_once(store, key, data)
        return stored.key, stored.digest

    return Reading(lease, 7, *kept("tokens", tokens), *kept("snapshot", after))


def _kept(store: ObjectStore, lease: WindowLease, name: str, data: bytes) -> tuple[str, str]:
    key = keys.window_part(
        lease.production_id, lease.chapter_number, lease.number, lease.take, lease.lease, name
    )
    stored = put_once(store, key, data)
    return stored.key, stored.digest


def reread(store: ObjectStore, lease: WindowLease) -> Rereading:
    entry = store.get(lease.entry_snapshot_key) if lease.entry_snapshot_key else b""
    place = lease.chapter_number, lease.number, lease.take
    return Rereading(lease, 8, *_kept(store, lease, "tokens", product("again", place, entry)))


def render(store: ObjectStore, lease: WindowLease) -> Rendering:
    assert lease.tokens_key is not None
    tokens = store.get(lease.tokens_key, digest=lease.tokens_digest)
    return Rendering(lease, *_kept(store, lease, "audio", product("audio", tokens)), 20.0)


def judge(lease: WindowLease) -> Judgement:
    return Judgement(lease, "pass", lease.take, {"level_dbfs": -20.0})


def master(engine: Engine, store: ObjectStore, lease: ChapterLease) -> Mastering:
    """Master a chapter from the audio of its chosen takes; its digest covers them in order."""
    with engine.connect() as connection:
        audio = connection.execute(
            text(
                'SELECT t.audio_key FROM "window" w JOIN take t ON t.window_id = w.id'
                " AND t.number = w.chosen_take WHERE w.chapter_id = :id ORDER BY w.number"
            ),
            {"id": lease.id},
        ).scalars()
        sound = b"".join(store.get(key) for key in audio)
    stored = put_once(
        store,
        keys.chapter_part(lease.production_id, lease.number, lease.lease, "chapter"),
        sound,
    )
    return Mastering(
        lease,
        stored.key,
        stored.digest,
        stored.key,
        stored.digest,
        20.0 * lease.windows,
        keys.digest_of(sound),
    )


def work(engine: Engine, store: ObjectStore, queue: Queue) -> bool:
    """Do one round of every stage; returns whether there was anything to do."""
    reading = queue.lease_reading(4)
    while going_on := reading:
        reading, _ = queue.commit_readings([read(store, lease) for lease in going_on])
        if not reading:
            reading = queue.lease_reading(4)
    again = queue.lease_rereading(8)
    queue.complete_rereadings([reread(store, lease) for lease in again])
    rendering = queue.lease_rendering(8)
    queue.complete_renderings([render(store, lease) for lease in rendering])
    judging = queue.lease_judging(8)
    queue.complete_judgements([judge(lease) for lease in judging])
    mastering = queue.lease_mastering(2)
    queue.complete_masterings([master(engine, store, lease) for lease in mastering])
    return bool(again or rendering or judging or mastering)


def work_all(engine: Engine, store: ObjectStore, queue: Queue) -> None:
    """Work until nothing is left to lease."""
    while work(engine, store, queue):
        pass


def finish(engine: Engine, production_ids: Iterable[int]) -> list[str]:
    """Move finished productions on; returns their content digests."""
    digests = []
    for production_id in production_ids:
        with transaction(engine, actor="tester", reason="all chapters are mastered") as session:
            production = productions.finish(session, production_id)
            assert production.content_digest is not None
            digests.append(production.content_digest)
    return digests


def reviewed(engine: Engine, store: ObjectStore, **order: object) -> Production:
    """Return a production that was made, reported on and approved."""
    production = producing(engine, store, **order)  # type: ignore[arg-type]
    work_all(engine, store, Queue(engine, "worker"))
    finish(engine, [production.id])
    report = put_once(store, keys.report(production.id, DIGEST), b"{}")
    with transaction(engine, actor="tester", reason="reviewed by the test") as session:
        productions.file_report(
            session, production.id, digest=report.digest, key=report.key, verdict="pass"
        )
        productions.decide(
            session, production.id, report_digest=report.digest, approved=True, reviewer="R."
        )
        return productions.get(session, production.id)


def state(engine: Engine, table: str, row_id: int) -> str:
    """Return the state of a row."""
    with engine.connect() as connection:
        statement = text(f'SELECT state FROM "{table}" WHERE id = :id')
        return str(connection.execute(statement, {"id": row_id}).scalar_one())


def chapter_ids(engine: Engine, production_id: int) -> list[int]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                select(Chapter.id)
                .where(Chapter.production_id == production_id)
                .order_by(Chapter.number)
            ).scalars()
        )


def count(engine: Engine, statement: str) -> int:
    """Return the one number that a statement yields."""
    with engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())
