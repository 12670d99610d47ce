"""Publishing: granted on consent, approval and unchanged content only; fenced; all or nothing."""

import threading
import time

import pytest
import scenarios
from sqlalchemy import Engine, text

from storage import enrolment, keys, productions, releases
from storage.database import transaction
from storage.errors import (
    ApprovalRefused,
    ConflictRefused,
    ConsentRefused,
    LeaseLost,
    TransitionRefused,
)
from storage.models import Production
from storage.objects import FolderStore, put_once
from storage.queue import Queue
from storage.retention import orphans

MANIFEST = "release.json"


def publish(engine: Engine, store: FolderStore, grant: releases.Grant) -> None:
    """Publish as the flow does: files recorded, the manifest last."""
    key = keys.release_file(grant.prefix, "chapter-1.mp3")
    stored = put_once(store, key, b"sound")
    releases.record_file(
        engine, grant, path="chapter-1.mp3", key=key, digest=stored.digest, size_bytes=5
    )
    settle(engine, store, grant)
    with releases.finalise(
        engine, grant, manifest_path=MANIFEST, release_digest=scenarios.DIGEST
    ) as manifest:
        put_once(store, manifest, b"{}")
    releases.clear_waiting(store, grant)


def settle(engine: Engine, store: FolderStore, grant: releases.Grant) -> None:
    types = {"chapter-1.mp3": "audio/mpeg"}
    releases.settle(engine, store, grant, release_digest=scenarios.DIGEST, content_types=types)


def state(engine: Engine, production: Production) -> str:
    return scenarios.state(engine, "production", production.id)


def test_an_approved_production_is_published_once(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    assert releases.unfinished(engine) == [production.id]
    grant = releases.grant(engine, production.id, publisher="flow")
    assert (grant.reviewer, grant.content_digest) == ("R.", production.content_digest)
    assert releases.unfinished(engine) == []
    publish(engine, store, grant)
    assert state(engine, production) == "published"
    assert scenarios.state(engine, "release", grant.release_id) == "published"
    assert list(orphans(engine, store, older_than_s=0)) == []
    with pytest.raises(TransitionRefused, match="is published"):
        releases.grant(engine, production.id, publisher="flow")
    with pytest.raises(LeaseLost):
        publish(engine, store, grant)


def test_no_token_without_approval(engine: Engine, store: FolderStore) -> None:
    production = scenarios.producing(engine, store, (1,))
    with pytest.raises(TransitionRefused, match="is producing, not approved"):
        releases.grant(engine, production.id, publisher="flow")


def test_a_later_rejection_counts(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    with engine.connect() as connection:
        report = connection.execute(text("SELECT digest FROM qa_report")).scalar_one()
    with transaction(engine, actor="R.", reason="I heard it again") as session:
        productions.decide(
            session, production.id, report_digest=report, approved=False, reviewer="R."
        )
    with pytest.raises(TransitionRefused):
        releases.grant(engine, production.id, publisher="flow")
    assert scenarios.count(engine, "SELECT count(*) FROM release") == 0


def test_an_approval_names_the_last_report(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    with (
        pytest.raises(ApprovalRefused, match="not the last one"),
        transaction(engine, actor="R.", reason="tried") as session,
    ):
        productions.decide(
            session, production.id, report_digest="f" * 64, approved=True, reviewer="R."
        )
    with transaction(engine, actor="qa", reason="measured again") as session:
        productions.file_report(
            session, production.id, digest="e" * 64, key="reports/e", verdict="pass"
        )
    with pytest.raises(ApprovalRefused, match="older report"):
        releases.grant(engine, production.id, publisher="flow")


def test_a_redo_takes_the_approval_away(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    with transaction(engine, actor="R.", reason="a mispronounced name") as session:
        window = productions.redo(session, 1, directions={"Emma": "ɛmə"})
        assert (window.state, window.take) == ("redo", 1)
    assert state(engine, production) == "producing"
    with pytest.raises(TransitionRefused):
        releases.grant(engine, production.id, publisher="flow")
    queue = Queue(engine, "worker")
    [lease] = queue.lease_rereading()
    assert lease.directions == {"Emma": "ɛmə"}
    queue.release([lease])
    scenarios.work_all(engine, store, queue)
    [digest] = scenarios.finish(engine, [production.id])
    assert digest != production.content_digest
    with (
        pytest.raises(ApprovalRefused),
        transaction(engine, actor="cheat", reason="the old report will do") as session,
    ):
        session.execute(text("UPDATE production SET state = 'awaiting_review'"))


def test_consent_is_checked_for_publication(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store, scope=("narration",))
    production = scenarios.reviewed(engine, store, voice=voice)
    with pytest.raises(ConsentRefused, match="does not cover publication"):
        releases.grant(engine, production.id, publisher="flow")
    assert state(engine, production) == "approved"


def test_a_revocation_voids_the_token(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    production = scenarios.reviewed(engine, store, voice=voice)
    grant = releases.grant(engine, production.id, publisher="flow")
    enrolment.revoke_consents(engine, voice_id=voice.id, actor="owner", reason="I withdraw")
    with pytest.raises(LeaseLost):
        publish(engine, store, grant)
    assert state(engine, production) == "refused"
    assert [found.key for found in store.list(grant.prefix) if MANIFEST in found.key] == []


@pytest.mark.parametrize(
    ("change", "refused", "why"),
    [
        (
            "UPDATE consent SET valid_from = now() - interval '1 day',"
            " valid_until = now() - interval '1 second'",
            ConsentRefused,
            "is not published",
        ),
        ("UPDATE production SET content_digest = repeat('c', 64)", ApprovalRefused, ""),
        ("UPDATE review SET decision = 'rejected'", ApprovalRefused, ""),
    ],
    ids=["the consent lapses", "the content changes", "the decision changes"],
)
def test_what_changes_during_the_upload_stops_it(
    engine: Engine, store: FolderStore, change: str, refused: type[Exception], why: str
) -> None:
    """Even where a hand in the database went past every other guard."""
    production = scenarios.reviewed(engine, store)
    grant = releases.grant(engine, production.id, publisher="flow")
    settle(engine, store, grant)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(change))
    with (
        pytest.raises(refused, match=why),
        releases.finalise(
            engine, grant, manifest_path=MANIFEST, release_digest=scenarios.DIGEST
        ) as manifest,
    ):
        put_once(store, manifest, b"{}")
    assert list(store.list(keys.published(scenarios.DIGEST, MANIFEST))) == []
    assert state(engine, production) == "publishing"


def test_a_report_filed_during_the_upload_stops_it(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    grant = releases.grant(engine, production.id, publisher="flow")
    settle(engine, store, grant)
    with transaction(engine, actor="qa", reason="measured again") as session:
        productions.file_report(
            session, production.id, digest="e" * 64, key="reports/e", verdict="fail"
        )
    with (
        pytest.raises(ApprovalRefused, match="older report"),
        releases.finalise(
            engine, grant, manifest_path=MANIFEST, release_digest=scenarios.DIGEST
        ) as manifest,
    ):
        put_once(store, manifest, b"{}")
    assert list(store.list(keys.published(scenarios.DIGEST, MANIFEST))) == []


def test_a_revocation_waits_for_a_manifest_that_is_being_put(
    engine: Engine, store: FolderStore
) -> None:
    voice = scenarios.enrol_voice(engine, store)
    production = scenarios.reviewed(engine, store, voice=voice)
    grant = releases.grant(engine, production.id, publisher="flow")
    settle(engine, store, grant)
    revoked: list[float] = []

    def revoke() -> None:
        enrolment.revoke_consents(engine, voice_id=voice.id, actor="owner", reason="I withdraw")
        revoked.append(time.monotonic())

    with releases.finalise(
        engine, grant, manifest_path=MANIFEST, release_digest=scenarios.DIGEST
    ) as manifest:
        owner = threading.Thread(target=revoke)
        owner.start()
        time.sleep(0.5)
        assert revoked == []
        store.put(manifest, b"{}", if_absent=True)
        put_at = time.monotonic()
    owner.join()
    assert revoked[0] > put_at
    assert state(engine, production) == "published"
    assert scenarios.state(engine, "consent", production.consent_id) == "revoked"


def test_a_failed_manifest_publishes_nothing(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    grant = releases.grant(engine, production.id, publisher="flow")
    settle(engine, store, grant)
    with (
        pytest.raises(OSError, match="the network"),
        releases.finalise(engine, grant, manifest_path=MANIFEST, release_digest=scenarios.DIGEST),
    ):
        raise OSError("the network broke")
    assert state(engine, production) == "publishing"
    publish(engine, store, grant)
    assert state(engine, production) == "published"


def test_another_publisher_takes_over_with_the_files_stored_so_far(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.reviewed(engine, store)
    first = releases.grant(engine, production.id, publisher="first", token_s=60)
    key = keys.release_file(first.prefix, "chapter-1.mp3")
    stored = put_once(store, key, b"sound")
    releases.record_file(
        engine, first, path="chapter-1.mp3", key=key, digest=stored.digest, size_bytes=5
    )
    with pytest.raises(TransitionRefused, match="first is publishing"):
        releases.grant(engine, production.id, publisher="second")
    releases.heartbeat(engine, first, token_s=0)
    assert releases.unfinished(engine) == [production.id]
    second = releases.grant(engine, production.id, publisher="second")
    assert (second.release_id, second.prefix) == (first.release_id, first.prefix)
    assert second.token != first.token
    [file] = releases.recorded_files(engine, second)
    assert (file.path, file.digest) == ("chapter-1.mp3", stored.digest)
    with pytest.raises(ConflictRefused, match="not made anew"):
        releases.record_file(
            engine, second, path="chapter-1.mp3", key=key, digest="a" * 64, size_bytes=5
        )
    for late in (
        lambda: releases.heartbeat(engine, first),
        lambda: releases.record_file(
            engine, first, path="x", key="x", digest=stored.digest, size_bytes=5
        ),
        lambda: publish(engine, store, first),
        lambda: releases.abandon(engine, first, reason="late"),
    ):
        with pytest.raises(LeaseLost):
            late()
    publish(engine, store, second)
    assert state(engine, production) == "published"


def test_a_manifest_of_a_release_given_up_is_withdrawn(engine: Engine, store: FolderStore) -> None:
    """Killed between the manifest's put and the commit, and then the consent is revoked."""
    voice = scenarios.enrol_voice(engine, store)
    production = scenarios.reviewed(engine, store, voice=voice)
    grant = releases.grant(engine, production.id, publisher="flow")
    settle(engine, store, grant)
    manifest = keys.published(scenarios.DIGEST, MANIFEST)
    store.put(manifest, b"{}")
    enrolment.revoke_consents(engine, voice_id=voice.id, actor="owner", reason="I withdraw")
    assert releases.withdraw_unpublished(engine, store) == [grant.release_id]
    assert list(store.list(manifest)) == []
    assert releases.withdraw_unpublished(engine, store) == []


def test_files_lie_under_the_digest_before_the_manifest_does(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.reviewed(engine, store)
    grant = releases.grant(engine, production.id, publisher="flow")
    with (
        pytest.raises(TransitionRefused, match="not in their places"),
        releases.finalise(
            engine, grant, manifest_path=MANIFEST, release_digest=scenarios.DIGEST
        ) as manifest,
    ):
        store.put(manifest, b"{}")
    publish(engine, store, grant)
    assert {found.key for found in store.list("release")} == {
        keys.published(scenarios.DIGEST, "chapter-1.mp3"),
        keys.published(scenarios.DIGEST, MANIFEST),
    }
    standing = releases.published(engine, production.id)
    assert standing is not None
    assert standing.manifest_key == keys.published(scenarios.DIGEST, MANIFEST)


def test_another_digest_of_the_same_files_is_refused(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    grant = releases.grant(engine, production.id, publisher="flow")
    settle(engine, store, grant)
    settle(engine, store, grant)
    with pytest.raises(ConflictRefused, match="give the grant up"):
        releases.settle(
            engine, store, grant, release_digest="a" * 64, content_types={"chapter-1.mp3": "x"}
        )


def test_a_withdrawn_release_is_gone_and_can_be_published_again(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.reviewed(engine, store)
    with pytest.raises(TransitionRefused, match="no release to withdraw"):
        releases.withdraw(engine, store, production.id, actor="P.", reason="a wrong cover")
    publish(engine, store, releases.grant(engine, production.id, publisher="flow"))
    for _ in range(2):
        digest = releases.withdraw(engine, store, production.id, actor="P.", reason="wrong cover")
        assert digest == scenarios.DIGEST
        assert list(store.list("release")) == []
        assert releases.published(engine, production.id) is None
    with releases.listing(engine) as listed:
        assert [(one.state, one.digest) for one in listed] == [("withdrawn", scenarios.DIGEST)]
    assert releases.unfinished(engine) == [], "nothing publishes it again by itself"
    publish(engine, store, releases.grant(engine, production.id, publisher="flow"))
    with releases.listing(engine) as listed:
        assert [one.state for one in listed] == ["published", "withdrawn"]
    assert list(orphans(engine, store, older_than_s=0)) == []


def test_a_withdrawn_production_is_not_published_again_without_consent(
    engine: Engine, store: FolderStore
) -> None:
    voice = scenarios.enrol_voice(engine, store)
    production = scenarios.reviewed(engine, store, voice=voice)
    publish(engine, store, releases.grant(engine, production.id, publisher="flow"))
    releases.withdraw(engine, store, production.id, actor="P.", reason="asked to")
    enrolment.revoke_consents(engine, voice_id=voice.id, actor="owner", reason="I withdraw")
    with pytest.raises(ConsentRefused):
        releases.grant(engine, production.id, publisher="flow")


def test_a_newer_release_supersedes_an_older_one(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    old, new = (scenarios.reviewed(engine, store, voice=voice, seed=seed) for seed in (1, 2))
    publish(engine, store, releases.grant(engine, old.id, publisher="flow"))
    for one, other in ((old, new), (old, old)):
        with pytest.raises(TransitionRefused):
            releases.supersede(
                engine, one.id, by_production_id=other.id, actor="P.", reason="better"
            )
    publish(engine, store, releases.grant(engine, new.id, publisher="flow"))
    releases.supersede(engine, old.id, by_production_id=new.id, actor="P.", reason="better")
    with releases.listing(engine) as listed:
        assert [(one.production_id, one.state) for one in listed] == [
            (new.id, "published"),
            (old.id, "superseded"),
        ]
    assert list(store.list("release")), "what was bought can still be fetched"
    releases.withdraw(engine, store, old.id, actor="P.", reason="enough")


def test_a_grant_can_be_given_up_and_given_again(engine: Engine, store: FolderStore) -> None:
    production = scenarios.reviewed(engine, store)
    first = releases.grant(engine, production.id, publisher="flow")
    releases.abandon(engine, first, reason="the signing key is missing")
    assert state(engine, production) == "approved"
    second = releases.grant(engine, production.id, publisher="flow")
    assert second.prefix != first.prefix
    publish(engine, store, second)
