"""Pages and their JSON twins: what a reviewer sees of the queue, a production, a window."""

from collections.abc import Callable

from reviewed_books import Made
from visits import JSON, Visit


def test_the_queue_and_a_production_say_the_same_as_page_and_as_json(
    book: Made, visit: Callable[[str], Visit]
) -> None:
    rita = visit("rita")
    queue = rita.json("/")
    assert [card["id"] for card in queue["waiting"]] == [book.id]
    assert queue["waiting"][0]["verdict"] == "fail"
    page = rita.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "The Danger Trail" in page.text
    shown = rita.json(f"/productions/{book.id}")
    assert rita.get(f"/productions/{book.id}.json").json().keys() == shown.keys()
    assert shown["report_digest"] == book.digest
    assert [m["verdict"] for m in shown["moments"][:3]] == ["fail", "fail", "inconclusive"]
    assert shown["moments"][0]["reasons"] == ["another voice for 2.1 s: likeness 0.59"]
    assert shown["listen"]["number"] == 2
    assert shown["failed"] == 2
    html = rita.get(f"/productions/{book.id}")
    assert html.status_code == 200, html.text
    for words in ("another voice for 2.1 s", "Approve with exceptions", "awaiting review"):
        assert words in html.text


def test_every_page_shows(book: Made, visit: Callable[[str], Visit]) -> None:
    rita, otto, paula = visit("rita"), visit("otto"), visit("paula")
    chapter = rita.json(f"/productions/{book.id}/chapters/1")
    window = chapter["listen"]["windows"][0]["id"]
    for who, address in (
        (rita, "/"),
        (rita, f"/productions/{book.id}/chapters/1?at=3"),
        (rita, f"/productions/{book.id}/audit"),
        (rita, f"/windows/{window}"),
        (rita, "/password"),
        (otto, "/accounts"),
        (paula, "/submit"),
        (paula, "/"),
    ):
        page = who.get(address)
        assert page.status_code == 200, f"{address}: {page.text}"
        assert page.text.count("<h1") == 1
        assert who.get(address, headers=JSON).json()
