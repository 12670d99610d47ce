"""The review app in real Chromium, from a submission to the published release; axe finds nothing serious.

The whole way is gone with the tiny voice, which the real factory reads, judges and publishes; listening is
tested on real recordings. With REVIEW_SCREENSHOTS=docs/images the pictures
of docs/reviewers.md are made anew.
"""

import io
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pydantic import SecretStr
from reviewed_books import Made, Sentence, judged
from sqlalchemy import Engine
from visits import PASSWORD

from flows.factory.intake import Narrator, Wish
from flows.factory.plan import admit_and_plan
from flows.factory.reviewing import FlowsFactory, review_app
from flows.factory.shift import Limits, Shift
from flows.measure.bench_books import write_book
from flows.measure.tiny_voice import tiny_narrator
from flows.services import Services
from flows.settings import Settings
from qa.review.desk import Upload
from storage.objects import FolderStore

AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
PATIENCE_MS = 60_000
"""Machines that test may be busy; what is waited for takes well under a second on an idle one."""


class TinyFactory(FlowsFactory):
    """The flows with the tiny voice, whose books are asked one question only."""

    def __init__(self, services: Services, weights: Path) -> None:
        super().__init__(services)
        self.tiny = tiny_narrator(services, weights)

    def narrator(self, voice: str, actor: str) -> Narrator:
        return self.tiny

    def wish(self, upload: Upload) -> Wish:
        return Wish(questions=("signal",))


@pytest.fixture
def opened(engine: Engine, store: FolderStore, tmp_path: Path) -> Services:
    """Open services on the test's own database and store, for child processes too."""
    settings = Settings(
        home=tmp_path / "home",
        database_url=SecretStr(engine.url.render_as_string(hide_password=False)),
        store=str(store.root),
    )
    return Services(settings, engine, store)


@pytest.fixture
def address(opened: Services, tmp_path: Path) -> Iterator[str]:
    """Serve the app as `lectern review` does, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = review_app(opened, factory=TinyFactory(opened, tmp_path / "tiny"))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    deadline = monotonic() + PATIENCE_MS / 1000
    while not server.started and monotonic() < deadline:
        sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("chromium is missing: infra/debian.sh chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--mute-audio"]
        )
        yield launched
        launched.close()


class Visitor:
    """Somebody at the browser; whatever the page complains of is kept."""

    def __init__(self, browser: Browser, address: str, name: str, **context: Any) -> None:
        self.context: BrowserContext = browser.new_context(base_url=address, **context)
        self.context.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        self.page.goto("/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", name="Queue", exact=True)).to_be_visible()

    def serious(self) -> list[str]:
        """Return what axe finds serious or critical on the page."""
        self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("axe.run().then((result) => result.violations)")
        return [
            f"{one['id']}: {node['html'][:120]} {node.get('failureSummary', '')}"
            for one in found
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"]
        ]

    def picture(self, name: str) -> None:
        """Keep a picture of the page for the documentation, where that is asked for."""
        folder = os.environ.get("REVIEW_SCREENSHOTS")
        if folder:
            shot = Image.open(io.BytesIO(self.page.screenshot()))
            path = Path(folder) / f"review-{name}.png"
            shot.convert("RGB").quantize(96).save(path, optimize=True)


def waits_for(page: Page, condition: str) -> None:
    """Wait until an expression is true (the CSP forbids Playwright's own way)."""
    deadline = monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition):
        assert monotonic() < deadline, f"{condition} did not become true"
        page.wait_for_timeout(50)


def test_from_submission_to_publication(
    browser: Browser, address: str, opened: Services, tmp_path: Path
) -> None:
    paula = Visitor(browser, address, "paula")
    page = paula.page
    page.get_by_role("link", name="Submit a book").click()
    page.get_by_label("Manuscript").set_input_files(write_book(tmp_path, "The Lamp", (2, 1)))
    page.get_by_label("Voice").select_option("tiny")
    page.get_by_label("Held by").fill("Nobody, it is old")
    page.get_by_label("On what basis").select_option("public_domain")
    assert paula.serious() == []
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("It is queued.")).to_be_visible()
    production = int(page.url.rpartition("/")[2])
    admit_and_plan(opened, production, actor="tester")
    Shift(opened, Limits(lease_s=60.0)).run()

    rita = Visitor(browser, address, "rita")
    page = rita.page
    page.get_by_role("link", name="The Lamp").click()
    page.get_by_role("button", name="Play").click()
    waits_for(page, "document.querySelector('#sound').currentTime > 1")
    with page.expect_response(lambda answer: answer.url.endswith("/heard")) as sent:
        page.get_by_role("button", name="Pause").click()
    assert sent.value.status == 200 and heard(page)

    page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name="Read it again")
    expect(dialog.locator("blockquote")).not_to_be_empty()
    dialog.get_by_label("Say words otherwise").fill("lamp = LAMP")
    dialog.get_by_role("button", name="Have it read again").click()
    expect(page.get_by_text("is asked for.")).to_be_visible()
    expect(page.get_by_text("of an earlier master")).to_be_visible()
    Shift(opened, Limits(lease_s=60.0)).run()

    page.reload()
    page.keyboard.press("a")
    for box in page.locator("#approve input[type=checkbox]:visible").all():
        box.check()
    page.locator("#approve textarea").fill("an untrained voice may sound so")
    page.locator("#approve button.main").click()
    expect(page.get_by_text("It is approved.")).to_be_visible()
    deadline = monotonic() + 3 * PATIENCE_MS / 1000
    while page.locator(".facts .state").inner_text() != "published":
        assert monotonic() < deadline, page.locator(".facts").inner_text()
        page.wait_for_timeout(1000)
        page.reload()
    expect(page.locator(".facts code")).to_be_visible()
    paula.page.reload()
    expect(paula.page.locator(".facts .state")).to_have_text("published")
    assert paula.complaints == []
    assert [said for said in rita.complaints if "422" not in said] == []


def test_reviewing_real_speech(
    browser: Browser,
    address: str,
    book: Made,
    engine: Engine,
    store: FolderStore,
    sentences: list[Sentence],
) -> None:
    rita = Visitor(browser, address, "rita", viewport={"width": 1360, "height": 900})
    page = rita.page
    assert rita.serious() == []
    rita.picture("queue")
    page.goto(f"/productions/{book.id}")
    listen(page)
    assert rita.serious() == []
    rita.picture("production")

    page.keyboard.press("n")
    page.get_by_label("What is there").fill("the sibilants are sharp here")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("The note is kept.")).to_be_visible()

    page.keyboard.press("r")
    expect(page.get_by_role("dialog", name="Read it again")).to_be_visible()
    assert rita.serious() == []
    window = page.get_by_role("link", name="Its takes").get_attribute("href")
    page.get_by_role("button", name="Have it read again").click()
    expect(page.get_by_text("is asked for.")).to_be_visible()
    judged(engine, store, sentences, book.id, clean=True)
    assert window is not None
    compare(rita, window)

    page.goto(f"/productions/{book.id}")
    page.keyboard.press("a")
    approve = page.get_by_role("dialog", name="Approve")
    expect(approve.get_by_text("you have not heard")).to_be_visible()
    assert rita.serious() == []
    rita.picture("approve")
    approve.get_by_role("button", name="Cancel").click()
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_text("another take was asked for").first).to_be_visible()
    assert rita.serious() == []
    assert rita.complaints == []


def heard(page: Page) -> list[list[float]]:
    """Return what the server knows to be heard of the chapter shown, from the page's JSON twin.

    (Chromium keeps no bodies of requests that outlive their page: asking for one waits for ever.)
    """
    shown = page.locator("#listen")
    production, chapter = (
        shown.get_attribute(f"data-{name}") for name in ("production", "chapter")
    )
    answer = page.request.get(f"/productions/{production}/chapters/{chapter}.json")
    stretches: list[list[float]] = answer.json()["listen"]["heard"]
    return stretches


def listen(page: Page) -> None:
    """Hear the worst moment to its end; words follow, and what was heard arrives at the server."""
    moments = page.locator("#moments li")
    expect(moments.first).not_to_have_class("heard")
    before = moments.locator("text=to hear").count()
    page.keyboard.press(".")  # a little faster
    page.keyboard.press("j")
    waits_for(page, "!document.querySelector('#sound').paused")
    waits_for(page, "document.querySelector('#sound').currentTime > 8.2")
    word = page.locator("#words span.now")
    expect(word).to_have_count(1)
    first = word.get_attribute("data-t")
    waits_for(page, f"document.querySelector('#words span.now')?.dataset.t !== '{first}'")
    waits_for(page, "document.querySelector('#sound').currentTime > 10.2")
    with page.expect_response(lambda answer: answer.url.endswith("/heard")) as sent:
        page.keyboard.press(" ")
    assert sent.value.status == 200
    [start_s, end_s] = heard(page)[-1]
    assert start_s < 8.0 and end_s > 10.1
    expect(moments.first.locator(".ear")).to_have_text("heard")
    assert moments.locator("text=to hear").count() < before
    page.locator("#words span").nth(3).click()
    waits_for(page, "!document.querySelector('#sound').paused")
    page.keyboard.press(" ")


def compare(rita: Visitor, window: str) -> None:
    """Vote between two takes without knowing which is which."""
    page = rita.page
    page.goto(window)
    assert rita.serious() == []
    page.get_by_role("button", name="Compare two takes blind").click()
    expect(page.get_by_role("heading", name="Which one is better?")).to_be_visible()
    page.keyboard.press("1")
    waits_for(page, "!document.querySelector('audio[data-side=a]').paused")
    page.keyboard.press("2")
    waits_for(page, "document.querySelector('audio[data-side=a]').paused")
    waits_for(page, "!document.querySelector('audio[data-side=b]').paused")
    assert rita.serious() == []
    rita.picture("compare")
    page.get_by_role("button", name="A is better").click()
    expect(page.get_by_text("You preferred A.")).to_be_visible()
    expect(page.get_by_text("was take")).to_have_count(2)


def test_dark_and_on_a_phone(browser: Browser, address: str, book: Made) -> None:
    for name, context in (
        ("dark", {"color_scheme": "dark", "viewport": {"width": 1360, "height": 900}}),
        ("phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True}),
    ):
        rita = Visitor(browser, address, "rita", **context)
        for place in ("/", f"/productions/{book.id}", "/password"):
            rita.page.goto(place)
            if place.startswith("/productions"):
                waits_for(rita.page, "document.querySelector('#sound').readyState > 1")
                rita.page.wait_for_load_state("networkidle")
                rita.picture(name)
            assert rita.serious() == []
            assert rita.page.evaluate(
                "document.scrollingElement.scrollWidth <= window.innerWidth"
            ), f"{place} is wider than a {name}"
        assert rita.complaints == []
        rita.context.close()


def test_operators_keep_the_accounts(browser: Browser, address: str) -> None:
    otto = Visitor(browser, address, "otto")
    otto.page.get_by_role("link", name="Accounts").click()
    otto.page.get_by_label("Name").fill("nina")
    otto.page.get_by_role("button", name="Open it").click()
    expect(otto.page.get_by_text("shown this once")).to_be_visible()
    assert otto.serious() == []
    assert otto.complaints == []


def test_shortcuts_can_be_turned_off(browser: Browser, address: str, book: Made) -> None:
    rita = Visitor(browser, address, "rita")
    page = rita.page
    page.goto(f"/productions/{book.id}")
    page.keyboard.press("?")
    page.get_by_label("shortcuts are on").uncheck()
    page.get_by_role("button", name="Close", exact=True).click()
    page.keyboard.press("x")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Reject…").click()
    expect(page.get_by_role("dialog", name="Reject")).to_be_visible()
