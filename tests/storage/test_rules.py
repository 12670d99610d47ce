"""The rules of the database itself, tried by plain SQL: steps, audit, records, consent and cursor."""

import itertools

import pytest
import scenarios
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from storage import states
from storage.database import refusals, say, transaction
from storage.errors import (
    ActorMissing,
    ApprovalRefused,
    ConsentRefused,
    RecordProtected,
    TransitionRefused,
)
from storage.objects import FolderStore
from storage.queue import Queue

STATES = {
    "voice": states.VoiceState,
    "consent": states.ConsentState,
    "production": states.ProductionState,
    "chapter": states.ChapterState,
    "window": states.WindowState,
    "release": states.ReleaseState,
    "account": states.AccountState,
}

BUSY = {"reading", "mastering", "rendering", "judging", "rereading"}

PUBLISHED = "release_digest = repeat('1', 64), manifest_key = 'm', published_at = now()"

BESIDE = {
    "voice": {"erased": "prompt_key = NULL, embeddings_key = NULL, erased_at = now()"},
    "consent": {"revoked": "revoked_at = now()", "given": "revoked_at = NULL"},
    "release": {
        "granted": "withdrawn_at = NULL, superseded_by = NULL",
        "abandoned": "withdrawn_at = NULL, superseded_by = NULL",
        "published": f"{PUBLISHED}, withdrawn_at = NULL",
        "superseded": f"{PUBLISHED}, superseded_by = 1, withdrawn_at = NULL",
        "withdrawn": f"{PUBLISHED}, withdrawn_at = now()",
    },
}
"""What a state needs beside it so that only the rule about steps can refuse it."""


def setting(table: str, state: str) -> str:
    """Return the SET clause that puts a row into a state with all that the checks want of it."""
    beside = BESIDE.get(table, {}).get(state)
    clause = f"state = '{state}'" + (f", {beside}" if beside else "")
    if table in {"chapter", "window"}:
        busy = state in BUSY
        clause += (
            ", leased_by = 'w', lease_until = now()"
            if busy
            else ", leased_by = NULL, lease_until = NULL"
        )
    return clause


def put(connection: Connection, table: str, state: str) -> None:
    """Put the only row into a state, past the triggers."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(text(f'UPDATE "{table}" SET {setting(table, state)}'))
    connection.execute(text("SET LOCAL session_replication_role = origin"))


@pytest.fixture
def rows(engine: Engine, store: FolderStore) -> Engine:
    """Return a database with one row in every table with states."""
    production = scenarios.producing(engine, store, (1,))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in (
            "UPDATE production SET content_digest = repeat('1', 64)",
            "UPDATE chapter SET cursor = 1, audio_key = 'a', content_digest = repeat('1', 64)",
            'UPDATE "window" SET chosen_take = 0',
            "INSERT INTO qa_report (production_id, digest, key, content_digest, verdict)"
            " SELECT id, repeat('2', 64), 'r', content_digest, 'pass' FROM production",
            "INSERT INTO review (production_id, qa_report_id, report_digest, decision, reviewer)"
            " SELECT production_id, id, digest, 'approved', 'R.' FROM qa_report",
            "INSERT INTO release (production_id, review_id, consent_id, content_digest, prefix, token,"
            " granted_to, token_until) SELECT p.id, r.id, p.consent_id, p.content_digest, 'p',"
            " gen_random_uuid(), 'x', now() FROM production p, review r",
            "INSERT INTO account (name, role, password_hash) VALUES ('ann', 'reviewer', 'hash')",
        ):
            connection.execute(text(statement))
    assert production.id == 1
    return engine


@pytest.mark.parametrize("table", list(STATES))
def test_the_database_allows_the_steps_of_states_py_and_no_others(rows: Engine, table: str) -> None:
    wrong = []
    with rows.connect() as connection:
        for old, new in itertools.permutations([str(state) for state in STATES[table]], 2):
            with connection.begin() as attempt:
                say(connection, "tester", "tried")
                put(connection, table, old)
                try:
                    connection.execute(text(f'UPDATE "{table}" SET {setting(table, new)}'))
                    refused = False
                except DBAPIError as error:
                    code = getattr(error.orig, "sqlstate", "")
                    refused = code == "LE001" and "cannot become" in str(error.orig)
                attempt.rollback()
            if refused is (new in states.STEPS[table].get(old, ())):
                wrong.append((old, new, refused))
    assert wrong == []


@pytest.mark.parametrize("table", list(STATES))
def test_unknown_states_are_refused(rows: Engine, table: str) -> None:
    with rows.connect() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        with pytest.raises(DBAPIError, match="violates check constraint"):
            connection.execute(text(f"UPDATE \"{table}\" SET state = 'lost'"))


def test_rows_begin_at_the_beginning(engine: Engine) -> None:
    began = pytest.raises(TransitionRefused, match="begins as enrolled")
    with began, refusals(), engine.begin() as connection:
        say(connection, "tester", "tried")
        connection.execute(
            text(
                "INSERT INTO voice (name, digest, codec, state)"
                " VALUES ('x', repeat('0', 64), 'latent', 'erasing')"
            )
        )


def test_every_change_of_state_says_who_and_why(rows: Engine) -> None:
    with pytest.raises(ActorMissing, match="who and why"), refusals(), rows.begin() as connection:
        connection.execute(text("UPDATE production SET state = 'cancelled'"))
    with pytest.raises(ActorMissing), refusals(), rows.begin() as connection:
        say(connection, "tester", "")
        connection.execute(text("UPDATE production SET state = 'cancelled'"))
    with rows.begin() as connection:
        say(connection, "tester", "because")
        connection.execute(text("UPDATE production SET state = 'cancelled'"))
        event = connection.execute(
            text(
                "SELECT from_state, to_state, actor, reason, production_id FROM event"
                " WHERE subject = 'production' ORDER BY id DESC LIMIT 1"
            )
        ).one()
    assert tuple(event) == ("producing", "cancelled", "tester", "because", 1)


@pytest.mark.parametrize("table", ["event", "review", "qa_report"])
@pytest.mark.parametrize(
    "change", ["UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_records_are_only_added(rows: Engine, table: str, change: str) -> None:
    with pytest.raises(RecordProtected, match="records"), refusals(), rows.begin() as connection:
        connection.execute(text(change.format(table)))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE consent SET territories = '{WORLD,MOON}'",
        "UPDATE consent SET valid_until = now() + interval '99 years'",
        "UPDATE consent SET state = 'revoked', revoked_at = now(), owner = 'somebody else'",
        "DELETE FROM consent",
    ],
)
def test_a_consent_can_only_be_revoked(rows: Engine, change: str) -> None:
    with pytest.raises(RecordProtected), refusals(), rows.begin() as connection:
        say(connection, "tester", "tried")
        connection.execute(text(change))


def test_revoking_by_plain_sql_refuses_productions_too(rows: Engine) -> None:
    with rows.begin() as connection:
        say(connection, "dba", "by hand")
        connection.execute(text("UPDATE consent SET state = 'revoked', revoked_at = now()"))
    assert scenarios.state(rows, "production", 1) == "refused"
    assert scenarios.state(rows, "release", 1) == "abandoned"


def test_the_cursor_moves_by_one_committed_window(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (3,))
    [lease] = Queue(engine, "worker").lease_reading()
    for move, why in (
        ("cursor = cursor + 1", "not committed yet"),
        ("cursor = cursor + 2", "one window only"),
        ("windows = windows + 1", "one window only"),
    ):
        with pytest.raises(TransitionRefused, match=why), refusals(), engine.begin() as connection:
            say(connection, "tester", "tried")
            connection.execute(text(f"UPDATE chapter SET {move} WHERE id = {lease.id}"))


def test_the_span_of_a_window_never_changes(rows: Engine) -> None:
    with (
        pytest.raises(RecordProtected, match="never change"),
        refusals(),
        rows.begin() as connection,
    ):
        connection.execute(text('UPDATE "window" SET unit_end = unit_end + 1'))


def test_content_changes_only_with_the_state(rows: Engine) -> None:
    with pytest.raises(RecordProtected), refusals(), rows.begin() as connection:
        connection.execute(text("UPDATE production SET content_digest = repeat('3', 64)"))


def test_nothing_is_approved_without_a_review_of_its_content(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.producing(engine, store, (1,))
    scenarios.work_all(engine, store, Queue(engine, "worker"))
    scenarios.finish(engine, [production.id])
    unreported = pytest.raises(ApprovalRefused, match="no report")
    with unreported, transaction(engine, actor="cheat", reason="tried") as session:
        session.execute(text("UPDATE production SET state = 'awaiting_review'"))
    with (
        pytest.raises(TransitionRefused),
        transaction(engine, actor="cheat", reason="tried") as session,
    ):
        session.execute(text("UPDATE production SET state = 'approved'"))


def test_no_production_begins_without_valid_consent(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store, scope=("publication",))
    with pytest.raises(ConsentRefused, match="does not cover narration"):
        scenarios.submit(engine, store, voice=voice)
    with pytest.raises(ConsentRefused), refusals(), engine.begin() as connection:
        say(connection, "cheat", "tried")
        connection.execute(
            text(
                "INSERT INTO production (manuscript_id, voice_id, consent_id, digest, model_digest,"
                " territories) SELECT m.id, v.id, c.id, repeat('0', 64), 'm', '{WORLD}'"
                " FROM manuscript m, voice v, consent c"
            )
        )
