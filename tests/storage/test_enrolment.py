"""Voices and manuscripts: content-addressed, deduplicated, consented to, revoked and erased."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import scenarios
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from storage import enrolment, productions
from storage.database import transaction
from storage.enrolment import Metadata, TextRights
from storage.errors import ConflictRefused, ConsentRefused, NotFound, ObjectMissing, Refused
from storage.models import Manuscript
from storage.objects import FolderStore, put_once
from storage.queue import Queue


def test_the_same_prompt_is_the_same_voice(engine: Engine, store: FolderStore) -> None:
    first = scenarios.enrol_voice(engine, store)
    again = scenarios.enrol_voice(engine, store)
    assert again.id == first.id
    assert [consent.id for consent in again.consents] == [first.consents[0].id]
    assert first.prompt_key is not None
    assert store.get(first.prompt_key, digest=first.digest) == b"the prompt of joe"
    assert scenarios.count(engine, "SELECT count(*) FROM event WHERE subject = 'voice'") == 1
    consent = first.consents[0]
    assert (consent.owner, consent.signatory, consent.scope, consent.territories) == (
        "A. Narrator",
        "A. Narrator",
        ["narration", "publication"],
        ["WORLD"],
    )
    assert store.get(consent.document_key, digest=consent.digest) == b"consent of joe"


def test_many_enrol_the_same_voice_at_once(engine: Engine, store: FolderStore) -> None:
    ids: list[int] = []
    threads = [
        threading.Thread(target=lambda: ids.append(scenarios.enrol_voice(engine, store).id))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert scenarios.count(engine, "SELECT count(*) FROM consent") == 1


def test_one_name_is_one_voice(engine: Engine, store: FolderStore) -> None:
    scenarios.enrol_voice(engine, store, "joe")
    with pytest.raises(ConflictRefused, match="another voice is called 'joe'"):
        enrolment.enrol_voice(
            engine,
            store,
            name="joe",
            prompt=b"somebody else's",
            codec="soundstream",
            terms=scenarios.terms(),
            actor="tester",
        )
    with Session(engine) as session, pytest.raises(NotFound, match="there are: joe"):
        enrolment.voice_named(session, "jo")


def enrol(engine: Engine, store: FolderStore, title: str = "Emma", **rights: object) -> Manuscript:
    return enrolment.enrol_manuscript(
        engine,
        store,
        source=b"Emma Woodhouse, handsome, clever, and rich",
        source_name="emma.txt",
        media_type="text/plain",
        metadata=Metadata(title, ("Jane Austen",), "en", credits={"translator": None}),
        rights=TextRights(holder="nobody", basis="public_domain", **rights),  # type: ignore[arg-type]
        cover=b"a picture",
        actor="tester",
    )


def test_the_same_manuscript_is_one_and_other_metadata_another(
    engine: Engine, store: FolderStore
) -> None:
    first, again = enrol(engine, store), enrol(engine, store)
    assert again.id == first.id
    other = enrol(engine, store, title="EMMA")
    assert other.id != first.id
    assert (other.digest, other.source_key) == (first.digest, first.source_key)
    assert first.cover_key is not None
    assert store.get(first.cover_key) == b"a picture"
    assert len(list(store.list("manuscripts/"))) == 2


@pytest.mark.parametrize(
    ("consent", "why"),
    [
        ({"valid_from": datetime.now(UTC) + timedelta(days=1)}, "begins on"),
        (
            {
                "valid_from": datetime.now(UTC) - timedelta(days=9),
                "valid_until": datetime.now(UTC) - timedelta(days=1),
            },
            "ended on",
        ),
        ({"scope": ("publication",)}, "does not cover narration"),
        ({"territories": ("DE", "FR")}, "covers DE, FR only"),
    ],
)
def test_work_needs_a_consent_that_covers_it(
    engine: Engine, store: FolderStore, consent: dict[str, object], why: str
) -> None:
    voice = scenarios.enrol_voice(engine, store, **consent)
    with pytest.raises(ConsentRefused, match=why):
        scenarios.submit(engine, store, voice=voice, territories=("GB",))


def test_text_rights_count_as_well(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    lapsed = enrol(engine, store, until=datetime.now(UTC) - timedelta(days=1))
    here = enrol(engine, store, territories=("US",))
    for manuscript, why in ((lapsed, "text rights"), (here, "cover US only")):
        with (
            pytest.raises(ConsentRefused, match=why),
            transaction(engine, actor="tester", reason="tried") as session,
        ):
            order = productions.Order(manuscript.id, voice.id, scenarios.DIGEST, {}, {})
            productions.submit(session, order)


def test_a_renewed_consent_takes_up_refused_work(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    production = scenarios.producing(engine, store, (2, 1), voice=voice)
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    queue.commit_readings([scenarios.read(store, lease)])
    [revoked] = enrolment.revoke_consents(
        engine, voice_id=voice.id, actor="A. Narrator", reason="a dispute"
    )
    assert revoked == voice.consents[0].id
    with (
        pytest.raises(ConsentRefused, match="revoked"),
        transaction(engine, actor="editor", reason="tried") as session,
    ):
        productions.retry(session, production.id)
    with pytest.raises(ConsentRefused):
        scenarios.submit(engine, store, title="Another", voice=voice)
    new = enrolment.renew_consent(
        engine, store, voice_id=voice.id, terms=scenarios.terms(b"settled"), actor="A. Narrator"
    )
    with transaction(engine, actor="editor", reason="settled") as session:
        assert productions.retry(session, production.id).consent_id == new.id
    scenarios.work_all(engine, store, queue)
    scenarios.finish(engine, [production.id])


def test_revoking_reaches_every_open_production_and_no_other(
    engine: Engine, store: FolderStore
) -> None:
    joe, kate = scenarios.enrol_voice(engine, store), scenarios.enrol_voice(engine, store, "kate")
    waiting = scenarios.submit(engine, store, title="Waiting", voice=joe)
    approved = scenarios.reviewed(engine, store, title="Approved", voice=joe)
    other = scenarios.producing(engine, store, title="Other", voice=kate)
    enrolment.revoke_consents(engine, voice_id=joe.id, actor="A. Narrator", reason="I withdraw")
    states = [scenarios.state(engine, "production", p.id) for p in (waiting, approved, other)]
    assert states == ["refused", "refused", "producing"]
    assert enrolment.revoke_consents(engine, voice_id=joe.id, actor="x", reason="again") == []


def test_erasure_removes_prompt_and_embeddings_and_the_audit_says_so(
    engine: Engine, store: FolderStore
) -> None:
    voice = scenarios.enrol_voice(engine, store)
    used = put_once(store, "weights/of-the-prompt", b"the prompt as the models take it")
    weights = {
        "prompt": {"key": used.key, "digest": used.digest},
        "codec": {"key": "weights/shared", "digest": "0" * 64},
    }
    production = scenarios.producing(engine, store, (1,), voice=voice, weights=weights)
    keys = [voice.prompt_key, voice.embeddings_key, used.key]
    erased = enrolment.erase_voice(
        engine, store, voice_id=voice.id, actor="A. Narrator", reason="Article 17"
    )
    assert (erased.state, erased.prompt_key, erased.embeddings_key) == ("erased", None, None)
    for key in keys:
        assert key is not None
        with pytest.raises(ObjectMissing):
            store.get(key)
    assert scenarios.state(engine, "production", production.id) == "refused"
    with engine.connect() as connection:
        left = connection.execute(text("SELECT weights FROM production")).scalar_one()
        assert set(left) == {"codec"}
        told = connection.execute(
            text(
                "SELECT detail -> 'removed', detail ->> 'digest', actor, reason FROM event"
                " WHERE subject = 'voice' AND detail ? 'removed'"
            )
        ).one()
    assert tuple(told) == (keys, voice.digest, "A. Narrator", "Article 17")
    enrolment.erase_voice(engine, store, voice_id=voice.id, actor="x", reason="once more")
    with pytest.raises(Refused, match="nobody can consent"):
        enrolment.renew_consent(
            engine, store, voice_id=voice.id, terms=scenarios.terms(b"late"), actor="x"
        )
    anew = scenarios.enrol_voice(engine, store)
    assert anew.id != voice.id


def test_an_erasure_killed_half_way_is_finished(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)

    class Killed(Exception):
        pass

    class Failing(FolderStore):
        def delete(self, key: str) -> None:
            raise Killed(key)

    with pytest.raises(Killed):
        enrolment.erase_voice(
            engine, Failing(store.root), voice_id=voice.id, actor="owner", reason="Article 17"
        )
    assert scenarios.state(engine, "voice", voice.id) == "erasing"
    with pytest.raises(ConflictRefused, match="being erased"):
        scenarios.enrol_voice(engine, store)
    assert enrolment.finish_erasures(engine, store, actor="reconcile") == [voice.id]
    assert scenarios.state(engine, "voice", voice.id) == "erased"
    assert list(store.list("voices/")) == []
