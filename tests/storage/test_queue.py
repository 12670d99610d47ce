"""The queue: order, fences, heartbeats, dead letters, and consent in every transaction."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import scenarios
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from storage import enrolment, productions
from storage.database import transaction
from storage.objects import FolderStore
from storage.queue import Judgement, Queue
from storage.states import ProductionState


def test_a_production_goes_through_every_stage(engine: Engine, store: FolderStore) -> None:
    production = scenarios.producing(engine, store, (3, 2))
    queue = Queue(engine, "worker")
    assert queue.depth() == {"chapter planned": 2}
    scenarios.work_all(engine, store, queue)
    assert queue.depth() == {}
    [digest] = scenarios.finish(engine, [production.id])
    assert len(digest) == 64
    assert scenarios.state(engine, "production", production.id) == "mastered"
    assert scenarios.count(engine, "SELECT count(*) FROM take") == 5
    unsaid = "SELECT count(*) FROM event WHERE actor = '' OR reason = ''"
    assert scenarios.count(engine, unsaid) == 0
    steps = "SELECT count(*) FROM event WHERE subject = 'window' AND from_state = 'read'"
    assert scenarios.count(engine, steps) == 5


def test_reading_follows_the_cursor_and_records_the_entry_snapshot(
    engine: Engine, store: FolderStore
) -> None:
    scenarios.producing(engine, store, (3,))
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    assert (lease.cursor, lease.snapshot_key) == (0, None)
    assert queue.lease_reading() == []
    [after_first], refused = queue.commit_readings([scenarios.read(store, lease)])
    assert not refused
    assert after_first.cursor == 1
    assert after_first.snapshot_key is not None
    queue.release([after_first])
    [taken_up] = Queue(engine, "other").lease_reading()
    assert taken_up.snapshot_key == after_first.snapshot_key
    assert taken_up.snapshot_digest == after_first.snapshot_digest
    assert taken_up.lease > after_first.lease
    with engine.connect() as connection:
        rows = connection.execute(
            text('SELECT number, state, entry_snapshot_key FROM "window" ORDER BY number')
        ).all()
    assert [tuple(row) for row in rows] == [
        (0, "read", None),
        (1, "planned", None),
        (2, "planned", None),
    ]
    _, refused = queue.commit_readings([scenarios.read(store, after_first)])
    assert [r.reason for r in refused] == [
        f"lease {after_first.lease} of chapter {after_first.id} is no longer held"
    ]


def test_machines_that_round_otherwise_share_no_production(
    engine: Engine, store: FolderStore
) -> None:
    first, second = (
        scenarios.producing(engine, store, (2, 1), title=title) for title in ("One", "Two")
    )
    ours, theirs = (Queue(engine, name, profile=name) for name in ("ours", "theirs"))
    [mine] = ours.lease_reading()
    assert mine.production_id == first.id
    assert {lease.production_id for lease in theirs.lease_reading(9)} == {second.id}
    assert {lease.production_id for lease in ours.lease_reading(9)} == {first.id}
    ours.commit_readings([scenarios.read(store, mine)])
    assert theirs.lease_rendering() == []
    assert ours.depth()["read"] == 1
    assert "read" not in theirs.depth()
    [window] = ours.lease_rendering()
    assert ours.complete_renderings([scenarios.render(store, window)]) == []
    assert [lease.id for lease in theirs.lease_judging()] == [window.id]  # anybody may listen


def test_a_production_whose_machines_are_gone_can_be_freed(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.producing(engine, store, (1,))
    gone, here = (Queue(engine, name, profile=name) for name in ("gone", "here"))
    gone.release(gone.lease_reading())
    assert here.lease_reading() == []
    with Session(engine) as session:
        assert productions.forsaken(session) == []
        assert productions.forsaken(session, hours=0) == [production.id]
    with transaction(engine, actor="tester", reason="its machine is gone") as session:
        productions.retry(session, production.id)
    assert len(here.lease_reading()) == 1
    assert gone.lease_reading() == []


def test_one_profile_wins_where_many_come_at_once(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (1,) * 16)
    queues = [Queue(engine, f"worker {n}", profile=f"profile {n % 2}") for n in range(8)]
    with ThreadPoolExecutor(len(queues)) as pool:
        found = list(pool.map(lambda queue: (queue.profile, queue.lease_reading(2)), queues))
    assert len({profile for profile, leases in found if leases}) == 1


def test_committing_the_same_window_twice_is_refused(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (3,))
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    reading = scenarios.read(store, lease)
    queue.commit_readings([reading])
    going_on, refused = queue.commit_readings([reading])
    assert going_on == []
    assert len(refused) == 1
    assert scenarios.count(engine, "SELECT cursor FROM chapter") == 1
    assert scenarios.count(engine, "SELECT count(*) FROM take") == 1


def read_all(engine: Engine, store: FolderStore, queue: Queue) -> None:
    leases = queue.lease_reading(10)
    while leases:
        leases, _ = queue.commit_readings([scenarios.read(store, lease) for lease in leases])


def test_a_late_writer_with_an_old_lease_is_refused(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (1,))
    slow = Queue(engine, "slow", lease_s=0.0)
    read_all(engine, store, slow)
    [old] = slow.lease_rendering()
    late = scenarios.render(store, old)
    quick = Queue(engine, "quick")
    assert quick.lease_rendering() == []
    assert [s.leased_by for s in quick.stalled()] == ["slow"]
    assert quick.reclaim().requeued == 1
    [new] = quick.lease_rendering()
    assert new.id == old.id
    assert new.lease > old.lease
    [refused] = slow.complete_renderings([late])
    assert "no longer held" in refused.reason
    assert slow.heartbeat([old])[0].lease == old
    assert slow.fail(old, "too late to complain") is False
    assert quick.complete_renderings([scenarios.render(store, new)]) == []
    [refused] = slow.complete_renderings([late])
    assert "no longer held" in refused.reason
    audio = "SELECT count(*) FROM take WHERE rendered_by = 'quick' AND audio_key IS NOT NULL"
    assert scenarios.count(engine, audio) == 1


def hurry(engine: Engine) -> None:
    """Let the backoff of failed work be over."""
    with engine.begin() as connection:
        connection.execute(text('UPDATE "window" SET not_before = NULL'))
        connection.execute(text("UPDATE chapter SET not_before = NULL"))


def test_one_batch_with_an_old_and_a_new_lease(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (3,))
    slow, quick = Queue(engine, "slow", lease_s=0.0), Queue(engine, "quick")
    read_all(engine, store, slow)
    [old] = slow.lease_rendering(1)
    quick.reclaim()
    leases = quick.lease_rendering(3)
    batch = [scenarios.render(store, lease) for lease in (old, *leases)]
    [refused] = quick.complete_renderings(batch)
    assert refused.lease == old
    done = "SELECT count(*) FROM \"window\" WHERE state = 'rendered'"
    assert scenarios.count(engine, done) == 3


def test_heartbeats_hold_a_lease(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (1, 1))
    brief = Queue(engine, "brief", lease_s=0.0)
    leases = brief.lease_reading(2)
    patient = Queue(engine, "brief", lease_s=60.0)
    assert patient.heartbeat(leases[:1]) == []
    assert [s.id for s in patient.stalled()] == [leases[1].id]
    assert patient.reclaim().requeued == 1
    [lost] = patient.heartbeat(leases)
    assert lost.lease.id == leases[1].id


def test_a_lease_prolonged_since_it_was_found_stalled_is_not_taken(
    engine: Engine, store: FolderStore
) -> None:
    scenarios.producing(engine, store, (1,))
    [lease] = Queue(engine, "worker", lease_s=0.0).lease_reading()
    queue = Queue(engine, "reconcile")
    found = queue.stalled()
    Queue(engine, "worker").heartbeat([lease])
    queue.stalled = lambda limit=1000: found  # type: ignore[method-assign]
    assert queue.reclaim().requeued == 0
    assert scenarios.state(engine, "chapter", lease.id) == "reading"


def test_too_many_attempts_make_a_dead_letter_and_fail_the_production(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.producing(engine, store, (1, 1))
    queue = Queue(engine, "worker", max_attempts=3)
    read_all(engine, store, queue)
    for attempt in (1, 2, 3):
        hurry(engine)
        lease, *rest = queue.lease_rendering(2)
        queue.release(rest)
        assert lease.attempts == attempt
        assert queue.fail(lease, "out of memory") is (attempt == 3)
    [letter] = queue.dead_letters()
    assert (letter.trouble, letter.chapter_number, letter.number) == ("out of memory", 1, 0)
    assert scenarios.state(engine, "production", production.id) == "failed"
    assert queue.lease_rendering() == []
    with transaction(engine, actor="operator", reason="more memory") as session:
        productions.retry(session, production.id)
    assert queue.dead_letters() == []
    scenarios.work_all(engine, store, queue)
    scenarios.finish(engine, [production.id])


def test_failed_work_waits_before_it_is_tried_again(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (1,))
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    assert queue.fail(lease, "a hiccup") is False
    assert queue.lease_reading() == []
    hurry(engine)
    [again] = queue.lease_reading()
    assert again.attempts == 2


def test_a_permanent_fault_is_not_tried_again(engine: Engine, store: FolderStore) -> None:
    production = scenarios.producing(engine, store, (1,))
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    assert queue.fail(lease, "a poisoned script", permanent=True) is True
    assert scenarios.state(engine, "chapter", lease.id) == "dead"
    with engine.connect() as connection:
        trouble = connection.execute(text("SELECT trouble FROM production")).scalar_one()
    assert "a poisoned script" in trouble
    with transaction(engine, actor="operator", reason="mended") as session:
        productions.retry(session, production.id)
    scenarios.work_all(engine, store, queue)
    scenarios.finish(engine, [production.id])


def test_giving_back_at_the_end_of_a_shift_does_not_count(
    engine: Engine, store: FolderStore
) -> None:
    scenarios.producing(engine, store, (1,))
    queue = Queue(engine, "worker", max_attempts=2)
    for _ in range(5):
        [lease] = queue.lease_reading()
        assert lease.attempts == 1
        queue.release([lease])
    assert queue.dead_letters() == []


def test_priority_waiting_and_due_date_decide_the_order(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    made = {
        name: scenarios.submit(engine, store, title=name, voice=voice, priority=priority).id
        for name, priority in (("plain", 0), ("urgent", 2), ("waiting", 0), ("due", 0))
    }
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE production SET submitted_at = now() - interval '18 hours' WHERE id = :id"),
            {"id": made["waiting"]},
        )
        connection.execute(
            text("UPDATE production SET due_at = now() + interval '1 day' WHERE id = :id"),
            {"id": made["due"]},
        )
    order = []
    with transaction(engine, actor="night", reason="admitted") as session:
        while (production := productions.admit(session)) is not None:
            order.append(production.id)
    # two points of priority are worth twelve hours: less than eighteen hours of waiting
    assert order == [made[name] for name in ("due", "waiting", "urgent", "plain")]


def test_a_new_priority_moves_work_that_waits(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    first = scenarios.producing(engine, store, (2,), title="first", voice=voice)
    second = scenarios.producing(engine, store, (2,), title="second", voice=voice)
    queue = Queue(engine, "worker")
    read_all(engine, store, queue)
    with transaction(engine, actor="editor", reason="the prize was announced") as session:
        productions.reprioritise(session, second.id, priority=50, due_at=None)
    assert [lease.production_id for lease in queue.lease_rendering(4)] == [
        *(second.id, second.id),
        *(first.id, first.id),
    ]


def test_a_failed_window_gets_another_take_from_its_entry_snapshot(
    engine: Engine, store: FolderStore
) -> None:
    production = scenarios.producing(engine, store, (2,))
    queue = Queue(engine, "worker")
    read_all(engine, store, queue)
    renderings = [scenarios.render(store, lease) for lease in queue.lease_rendering(2)]
    queue.complete_renderings(renderings)
    first, second = queue.lease_judging(2)
    queue.complete_judgements(
        [
            Judgement(first, "pass", 0),
            Judgement(second, "fail", None, {"deletions": 2}, "two words are missing"),
        ]
    )
    [repair] = queue.lease_rereading()
    assert (repair.id, repair.take) == (second.id, 1)
    assert repair.entry_snapshot_key == second.entry_snapshot_key is not None
    queue.complete_rereadings([scenarios.reread(store, repair)])
    scenarios.work_all(engine, store, queue)
    scenarios.finish(engine, [production.id])
    with engine.connect() as connection:
        takes = connection.execute(
            text("SELECT number, verdict FROM take WHERE window_id = :id ORDER BY number"),
            {"id": second.id},
        ).all()
        said = connection.execute(
            text("SELECT detail ->> 'trouble' FROM event WHERE to_state = 'redo'")
        ).scalar_one()
    assert [tuple(take) for take in takes] == [(0, "fail"), (1, "pass")]
    assert said == "two words are missing"


def test_work_is_refused_once_consent_is_revoked(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    production = scenarios.producing(engine, store, (2, 2), voice=voice)
    queue = Queue(engine, "worker")
    [reading] = queue.lease_reading()
    [reading], _ = queue.commit_readings([scenarios.read(store, reading)])
    [rendering] = queue.lease_rendering()
    enrolment.revoke_consents(engine, voice_id=voice.id, actor="A. Narrator", reason="I withdraw")
    assert scenarios.state(engine, "production", production.id) == "refused"
    _, refused = queue.commit_readings([scenarios.read(store, reading)])
    assert len(refused) == 1
    assert len(queue.complete_renderings([scenarios.render(store, rendering)])) == 1
    assert len(queue.heartbeat([reading, rendering])) == 2
    assert queue.lease_reading() == []
    assert queue.lease_rendering() == []
    assert scenarios.count(engine, "SELECT count(*) FROM take WHERE audio_key IS NOT NULL") == 0
    why = (
        "SELECT count(*) FROM event WHERE subject = 'production' AND to_state = 'refused'"
        " AND actor = 'A. Narrator' AND reason = 'I withdraw'"
    )
    assert scenarios.count(engine, why) == 1


def test_work_is_refused_once_consent_lapses(engine: Engine, store: FolderStore) -> None:
    production = scenarios.producing(engine, store, (2,))
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    with engine.begin() as connection:  # what time does to a consent with a term
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(
            text(
                "UPDATE consent SET valid_from = now() - interval '2 days',"
                " valid_until = now() - interval '1 day'"
            )
        )
        connection.execute(text("SET session_replication_role = origin"))
    _, [refused] = queue.commit_readings([scenarios.read(store, lease)])
    assert "ended on" in refused.reason
    queue.release([lease])
    assert queue.lease_reading() == []
    assert queue.reclaim().refused == (production.id,)
    assert scenarios.state(engine, "production", production.id) == ProductionState.REFUSED


def test_cancelling_voids_leases_at_once(engine: Engine, store: FolderStore) -> None:
    production = scenarios.producing(engine, store, (2,))
    queue = Queue(engine, "worker")
    [lease] = queue.lease_reading()
    with transaction(engine, actor="editor", reason="the wrong file") as session:
        productions.cancel(session, production.id)
    _, refused = queue.commit_readings([scenarios.read(store, lease)])
    assert len(refused) == 1
    assert queue.depth() == {}


def test_two_workers_never_get_the_same_window(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (40,))
    one, two = Queue(engine, "one"), Queue(engine, "two")
    read_all(engine, store, one)
    leases = [*one.lease_rendering(15), *two.lease_rendering(15), *one.lease_rendering(15)]
    assert sorted(lease.number for lease in leases) == list(range(40))


@pytest.mark.parametrize("stage", ["reading", "rendering", "judging", "mastering"])
def test_every_stage_can_be_given_back(engine: Engine, store: FolderStore, stage: str) -> None:
    production = scenarios.producing(engine, store, (2,))
    queue = Queue(engine, "worker")
    if stage != "reading":
        read_all(engine, store, queue)
    if stage in {"judging", "mastering"}:
        queue.complete_renderings([scenarios.render(store, w) for w in queue.lease_rendering()])
    if stage == "mastering":
        queue.complete_judgements([scenarios.judge(w) for w in queue.lease_judging()])
    lease = {
        "reading": queue.lease_reading,
        "rendering": queue.lease_rendering,
        "judging": queue.lease_judging,
        "mastering": queue.lease_mastering,
    }[stage]
    before = lease()
    assert before
    assert lease() == []
    queue.release(before)
    after = lease()
    assert [one.id for one in after] == [one.id for one in before]
    queue.release(after)
    scenarios.work_all(engine, store, queue)
    scenarios.finish(engine, [production.id])


def test_a_worker_of_one_production_leases_nothing_else(engine: Engine, store: FolderStore) -> None:
    voice = scenarios.enrol_voice(engine, store)
    first = scenarios.producing(engine, store, (1,), voice=voice, priority=9)
    second = scenarios.producing(engine, store, (2,), voice=voice, title="Another")
    only = Queue(engine, "w", production_id=second.id)
    assert [lease.production_id for lease in only.lease_reading(8)] == [second.id]
    scenarios.work_all(engine, store, Queue(engine, "v", production_id=first.id))
    assert scenarios.count(engine, "SELECT count(*) FROM \"window\" WHERE state = 'accepted'") == 1


def test_the_leases_of_dead_workers_are_free_at_once(engine: Engine, store: FolderStore) -> None:
    scenarios.producing(engine, store, (1, 1, 1))
    dead, alive = Queue(engine, "dead"), Queue(engine, "alive")
    lost, kept = dead.lease_reading(2), alive.lease_reading(1)
    assert alive.leasing_workers() == ["alive", "dead"]
    found = alive.expire(["dead"])
    assert (found.requeued, found.dead) == (2, 0)
    assert alive.leasing_workers() == ["alive"]
    assert dead.heartbeat(lost) != []
    assert alive.heartbeat(kept) == []
    assert len(alive.lease_reading(8)) == 2
    assert alive.expire([]).requeued == 0
