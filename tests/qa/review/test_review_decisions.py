"""Listening, deciding and asking again: nothing is approved unheard unknowingly, nobody is overwritten."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import soundfile
from fastapi import FastAPI
from reviewed_books import Made, Sentence, judged
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from visits import JSON, Visit

from qa.review.app import create_app
from qa.review.desk import Options
from storage import productions
from storage.database import transaction
from storage.errors import ApprovalRefused
from storage.objects import FolderStore
from storage.review_tables import Ballot


def decision(shown: dict[str, Any], choice: str, **more: Any) -> dict[str, Any]:
    return {
        "choice": choice,
        "report_digest": shown["report_digest"],
        "seen_review_id": shown["seen_review_id"],
        **more,
    }


def accepting(shown: dict[str, Any], **more: Any) -> dict[str, Any]:
    keys = [place["key"] for place in shown["moments"] if place["verdict"] == "fail"]
    return decision(shown, "approve_with_exceptions", note="the name is fine", accept=keys, **more)


def hear_all(who: Visit, production: int, shown: dict[str, Any]) -> None:
    for row in shown["chapters"]:
        address = f"/productions/{production}/chapters/{row['number']}"
        digest = who.json(address)["listen"]["audio_digest"]
        heard = {"audio_digest": digest, "stretches": [[0, row["duration_s"]]]}
        assert who.post(f"{address}/heard", heard).status_code == 200


def test_what_was_heard_is_united_and_cut_to_the_chapter(
    book: Made, visit: Callable[[str], Visit]
) -> None:
    rita, rolf = visit("rita"), visit("rolf")
    address = f"/productions/{book.id}/chapters/1"
    listen = rita.json(address)["listen"]
    end_s = round(listen["duration_s"], 3)
    for stretches in ([[1, 2], [1.5, 3]], [[3, 4], [6, 7]], [[end_s - 1, end_s + 50]]):
        values = {"audio_digest": listen["audio_digest"], "stretches": stretches}
        answer = rita.post(f"{address}/heard", values)
        assert answer.status_code == 200, answer.text
    assert answer.json()["heard"] == [[1, 4], [6, 7], [end_s - 1, end_s]]
    assert rita.json(address)["listen"]["heard"] == answer.json()["heard"]
    assert rolf.json(address)["listen"]["heard"] == []
    wrong = {"audio_digest": "0" * 64, "stretches": [[0, 1]]}
    assert rita.post(f"{address}/heard", wrong).status_code == 409
    bad = {"audio_digest": listen["audio_digest"], "stretches": [[0, "inf"]]}
    assert rita.post(f"{address}/heard", bad).status_code == 422


def test_audio_comes_in_ranges_and_is_what_was_stored(
    book: Made, visit: Callable[[str], Visit], engine: Engine, store: FolderStore
) -> None:
    rita = visit("rita")
    address = f"/productions/{book.id}/chapters/1"
    whole = rita.get(f"{address}/audio")
    assert whole.status_code == 200 and whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "audio/flac"
    part = rita.get(f"{address}/audio", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    samples, rate_hz = soundfile.read(io.BytesIO(whole.content))
    peaks = rita.json(f"{address}/peaks")
    assert len(peaks["peaks"]) == -(-len(samples) * peaks["per_second"] // rate_hz)
    assert max(peaks["peaks"]) == round(255 * abs(samples).max())
    with engine.connect() as connection:
        key = connection.execute(
            text("SELECT audio_key FROM chapter WHERE number = 2")
        ).scalar_one()
    store.path(key).write_bytes(b"something else")
    answer = rita.get(f"/productions/{book.id}/chapters/2/audio")
    assert answer.status_code == 500 and "digest" in answer.text


def test_an_approval_wants_ears_and_exceptions(
    book: Made, visit: Callable[[str], Visit], engine: Engine
) -> None:
    rita = visit("rita")
    address = f"/productions/{book.id}"
    shown = rita.json(address)
    assert shown["unheard"] == len(shown["moments"]) > 3
    for values, why in (
        (decision(shown, "approve"), "2 places failed"),
        (decision(shown, "approve_with_exceptions", note="fine"), "2 of 2 failed places"),
        (accepting(shown) | {"note": ""}, "say in a note why"),
        (accepting(shown), "you have not heard"),
        (decision(shown, "reject"), "say in a note why"),
        (decision(shown, "approve") | {"report_digest": "0" * 64}, "another report"),
    ):
        answer = rita.post(f"{address}/decision", values)
        assert answer.status_code in {409, 422} and why in answer.json()["error"], answer.text
    assert rita.json(address)["card"]["state"] == "awaiting_review"
    hear_all(rita, book.id, shown)
    assert rita.json(address)["unheard"] == 0
    answer = rita.post(f"{address}/decision", accepting(shown))
    assert answer.json()["decision"] == "approved", answer.text
    after = rita.json(address)
    assert after["card"]["state"] == "approved"
    [made] = after["decisions"]
    assert made["reviewer"] == "rita" and len(made["exceptions"]) == 2 and made["unheard"] == 0
    entries = rita.json(f"{address}/audit")["entries"]
    assert ("rita", "approve with exceptions: the name is fine", "approved") in [
        (entry["actor"], entry["reason"], entry["to_state"]) for entry in entries
    ]


def test_knowing_that_one_did_not_listen_is_recorded(
    book: Made, visit: Callable[[str], Visit]
) -> None:
    rita = visit("rita")
    address = f"/productions/{book.id}"
    shown = rita.json(address)
    answer = rita.post(f"{address}/decision", accepting(shown, unheard_known=True))
    assert answer.status_code == 200, answer.text
    assert rita.json(address)["decisions"][0]["unheard"] == len(shown["moments"])


def test_two_reviewers_do_not_overwrite_each_other(
    book: Made, visit: Callable[[str], Visit]
) -> None:
    rita, rolf = visit("rita"), visit("rolf")
    address = f"/productions/{book.id}"
    read_by_rita, read_by_rolf = rita.json(address), rolf.json(address)
    rejected = decision(read_by_rita, "reject", note="another voice at 0:08")
    assert rita.post(f"{address}/decision", rejected).status_code == 200
    late = rolf.form(f"{address}/decision", accepting(read_by_rolf, unheard_known="true"))
    assert late.status_code == 409
    for words in ("Something changed meanwhile", "rita rejected", "another voice at 0:08"):
        assert words in late.text
    assert rolf.json(address)["card"]["state"] == "rejected"
    knowing = accepting(rolf.json(address), unheard_known=True)
    assert rolf.post(f"{address}/decision", knowing).status_code == 200
    assert rolf.json(address)["card"]["state"] == "approved"
    assert [d["reviewer"] for d in rolf.json(address)["decisions"]] == ["rolf", "rita"]


def test_four_eyes(book: Made, engine: Engine, store: FolderStore, options: Options) -> None:
    app = create_app(engine, store, replace(options, four_eyes=True))
    rita, rolf = Visit(app, "rita"), Visit(app, "rolf")
    address = f"/productions/{book.id}"

    def approves(who: Visit) -> Any:
        values = accepting(who.json(address), unheard_known=True)
        return who.post(f"{address}/decision", values)

    assert approves(rita).json()["decision"] == "endorsed"
    assert rita.json(address)["card"]["state"] == "awaiting_review"
    again = approves(rita)
    assert again.status_code == 409 and "second person" in again.json()["error"]
    assert [one["reviewer"] for one in rolf.json(address)["endorsements"]] == ["rita"]
    rejected = decision(rolf.json(address), "reject", note="no")
    assert rolf.post(f"{address}/decision", rejected).status_code == 200
    assert rolf.json(address)["endorsements"] == []  # the rejection made it void
    assert approves(rolf).json()["decision"] == "endorsed"
    with (
        pytest.raises(ApprovalRefused, match="two people"),
        transaction(engine, actor="rita", reason="on the command line") as session,
    ):
        productions.decide(
            session,
            book.id,
            report_digest=book.digest,
            approved=True,
            reviewer="rita",
            four_eyes=True,
        )
    assert approves(rita).json()["decision"] == "approved"
    assert rita.json(address)["card"]["state"] == "approved"


def test_redo_and_a_blind_comparison(
    book: Made,
    visit: Callable[[str], Visit],
    engine: Engine,
    store: FolderStore,
    sentences: list[Sentence],
) -> None:
    rita, rolf = visit("rita"), visit("rolf")
    address = f"/productions/{book.id}"
    listen = rita.json(f"{address}/chapters/2")["listen"]
    span = listen["windows"][0]
    window = f"/windows/{span['id']}"
    assert rita.post(f"{window}/ballots").status_code == 422  # one take only
    values = {"audio_digest": listen["audio_digest"], "why": "another voice", "say": "nonsense"}
    bad = rita.post(f"{window}/redo", values)
    assert bad.status_code == 422 and "word = pronunciation" in bad.json()["error"]
    stale = {**values, "say": "", "audio_digest": "0" * 64}
    assert rita.post(f"{window}/redo", stale).status_code == 409
    said = "Whittemore = WIT-uh-mor\nPhilip = FILL-ip"
    answer = rita.post(f"{window}/redo", {**values, "say": said})
    assert answer.status_code == 200, answer.text
    assert answer.json()["directions"] == {"Whittemore": "WIT-uh-mor", "Philip": "FILL-ip"}
    shown = rita.json(address)
    assert shown["card"]["state"] == "producing" and shown["stale"] and not shown["may_decide"]
    late = rolf.post(f"{address}/decision", accepting(shown, unheard_known=True))
    assert late.status_code == 409
    assert rita.post(f"{window}/redo", {**values, "say": ""}).status_code == 409  # under way

    judged(engine, store, sentences, book.id, clean=True)
    after = rita.json(address)
    assert after["card"]["state"] == "awaiting_review" and after["failed"] == 0
    assert after["report_digest"] != book.digest
    assert [take["chosen"] for take in rita.json(window)["takes"]] == [False, True]
    ballot = f"/ballots/{rita.post(f'{window}/ballots').json()['id']}"
    before = rita.json(ballot)
    assert before["take_a"] is None and before["preferred"] is None
    sounds = [rita.get(f"{ballot}/{side}").content for side in "ab"]
    assert all(sound.startswith(b"fLaC") for sound in sounds)
    levels = [soundfile.read(io.BytesIO(sound))[0].std() for sound in sounds]
    assert levels[0] == pytest.approx(levels[1], rel=0.01)  # loudness tells nothing
    assert rolf.get(ballot).status_code == 404
    voted = rita.post(f"{ballot}/vote", {"choice": "b"})
    assert voted.status_code == 200 and voted.json()["preferred"] == voted.json()["take_b"]
    assert rita.post(f"{ballot}/vote", {"choice": "a"}).status_code == 409
    assert {rita.json(ballot)["take_a"], rita.json(ballot)["take_b"]} == {0, 1}


def test_a_blind_vote_chooses_the_take(
    book: Made,
    visit: Callable[[str], Visit],
    engine: Engine,
    store: FolderStore,
    sentences: list[Sentence],
) -> None:
    rita = visit("rita")
    address = f"/productions/{book.id}"
    listen = rita.json(f"{address}/chapters/2")["listen"]
    window = f"/windows/{listen['windows'][0]['id']}"
    rita.post(f"{window}/redo", {"audio_digest": listen["audio_digest"]})
    judged(engine, store, sentences, book.id, clean=True)
    ballot = f"/ballots/{rita.post(f'{window}/ballots').json()['id']}"
    early = rita.post(f"{ballot}/choose")
    assert early.status_code == 422 and "vote for one" in early.json()["error"]
    for side in "ab":  # the first take is the one that is not chosen
        with Session(engine) as session:
            drawn = session.get_one(Ballot, int(ballot.rsplit("/", 1)[1]))
            first = drawn.take_a if side == "a" else drawn.take_b
        if first == 0:
            rita.post(f"{ballot}/vote", {"choice": side})
    assert rita.json(ballot)["may_choose"]
    assert "into the book" in rita.get(ballot).text
    chosen = rita.post(f"{ballot}/choose")
    assert chosen.status_code == 200 and chosen.json()["chosen_take"] == 0
    assert [take["chosen"] for take in rita.json(window)["takes"]] == [True, False]
    assert rita.json(address)["card"]["state"] == "producing"
    assert rita.post(f"{ballot}/choose").status_code == 422  # it is the chosen one already
    judged(engine, store, sentences, book.id, clean=True)
    assert rita.json(address)["card"]["state"] == "awaiting_review"
    assert [take["chosen"] for take in rita.json(window)["takes"]] == [True, False]
    audit = rita.get(f"{address}/audit", headers=JSON).text
    assert "preferred in a blind comparison" in audit


def test_notes_and_claims(book: Made, visit: Callable[[str], Visit]) -> None:
    rita, rolf = visit("rita"), visit("rolf")
    address = f"/productions/{book.id}"
    digest = rita.json(f"{address}/chapters/1")["listen"]["audio_digest"]
    note = {"chapter": 1, "audio_digest": digest, "at_s": 4.5, "text": "<b>odd</b> & loud"}
    assert rita.post(f"{address}/notes", note).status_code == 200
    assert rita.post(f"{address}/notes", note | {"at_s": 9999}).status_code == 422
    [kept] = rolf.json(address)["notes"]
    assert (kept["author"], kept["at_s"], kept["current"]) == ("rita", 4.5, True)
    assert "&lt;b&gt;odd&lt;/b&gt; &amp; loud" in rolf.get(address).text
    assert rita.post(f"{address}/claim").json()["claimed_by"] == "rita"
    assert rolf.post(f"{address}/claim").json()["claimed_by"] == "rita"
    assert rolf.post(f"{address}/claim", {"take_over": "1"}).json()["claimed_by"] == "rolf"
    rolf.post(f"{address}/unclaim")
    heard = {"audio_digest": digest, "stretches": [[0, 1]]}
    rita.post(f"{address}/chapters/1/heard", heard)
    assert rita.json("/")["waiting"][0]["claimed_by"] == "rita"


def test_the_report_is_sent_as_filed(
    book: Made, visit: Callable[[str], Visit], app: FastAPI
) -> None:
    answer = visit("rita").get(f"/productions/{book.id}/report")
    assert answer.json()["digest"] == book.digest == answer.headers["etag"].strip('"')
