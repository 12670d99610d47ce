"""The studio: what a worker has loaded to work on productions, by content: models, voices, scripts.

Everything comes out of the object store by the digests that stand with the production, so a worker
can finish what was begun before an upgrade. Files are kept in the home's `weights` folder.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sqlalchemy.orm import Session

from flows.factory.judging import Depth
from flows.factory.patience import patiently
from flows.services import Services
from generation.documents import read_script
from generation.engine import Engine
from generation.errors import WeightsError
from generation.manuscript import read_manuscript
from generation.manuscript.book import Book, Chapter
from generation.narration import LANES, said_otherwise, seed_text
from generation.numerics import NumericsProfile
from generation.script.lexicon import Lexicon
from generation.script.units import Script
from generation.voices import (
    WEIGHTS,
    Speaker,
    load_reader,
    load_speaker,
    render_threads,
    use_device,
)
from generation.windows import Window, expected_s
from storage import keys
from storage.models import Manuscript
from storage.models import Production as ProductionRow
from storage.objects import fetch
from storage.queue import ChapterLease, WindowLease

SCRIPTS_KEPT = 32
SPEAKERS_KEPT = 4
BOOKS_KEPT = 2

PARTS = ("speechssm", "soundstorm", "codec", "prompt")
"""The weight files of a production."""


def default_device() -> str:
    """CUDA where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def window_batch(device: str) -> int:
    """Return how many windows are filled in one batch: one keeps a core busy, a GPU takes more."""
    return 1 if device == "cpu" else 8


def numerics_profile(device: str) -> NumericsProfile:
    """Describe what decides the bits of what a worker makes on a device of this machine."""
    use_device(device)
    return NumericsProfile.of(device, LANES, window_batch(device))


@dataclass(frozen=True)
class Production:
    """What a worker needs to know of a production; it never changes while the production is open."""

    id: int
    seed: int
    codec: str
    weights: Mapping[str, Mapping[str, str]]
    manuscript_id: int
    lexicon: str
    depth: Depth

    @property
    def reader_digest(self) -> str:
        """Digest of its SpeechSSM's file."""
        return self.weights["speechssm"]["digest"]

    @property
    def voice_digests(self) -> tuple[str, ...]:
        """Digests of the files that make its voice."""
        return tuple(self.weights[part]["digest"] for part in PARTS if part != "speechssm")


@dataclass(frozen=True)
class Part:
    """A window in its script: the chapter's own, or one written anew for what a person asked."""

    script: Script
    window: Window

    @property
    def spoken(self) -> str:
        """What is said in it, word for word."""
        said = [unit.word for unit in self.script.units[self.window.start : self.window.end]]
        words = dict.fromkeys(number for number in said if number >= 0)
        return " ".join(self.script.words[word].spoken for word in words)


class Studio:
    """Models, voices and scripts, loaded once each; the threads of a shift share it.

    Parameters
    ----------
    services : Services
        Database and object store.
    device : str
        The device models run on.
    """

    def __init__(self, services: Services, device: str = "cpu") -> None:
        use_device(device)
        self.services, self.device = services, device
        self._loading = threading.RLock()
        self._productions: dict[int, Production] = {}
        self._engines: dict[str, Engine] = {}
        self._speakers: OrderedDict[tuple[str, ...], Speaker] = OrderedDict()
        self._scripts: OrderedDict[str, Script] = OrderedDict()
        self._books: OrderedDict[int, Book] = OrderedDict()
        self._prompts = TemporaryDirectory(prefix="lectern-prompts-")

    @cached_property
    def at_once(self) -> int:
        """Windows rendered side by side, in batches."""
        return self.batch * render_threads(self.device)

    @cached_property
    def batch(self) -> int:
        """Windows filled in one batch."""
        return window_batch(self.device)

    @cached_property
    def profile(self) -> str:
        """Digest of what decides the bits of what is made here; it stands with productions and takes."""
        return numerics_profile(self.device).digest

    def production(self, production_id: int) -> Production:
        """Return what is known of a production."""
        with self._loading:
            if production_id not in self._productions:
                self._productions[production_id] = patiently(lambda: self._look_up(production_id))
            return self._productions[production_id]

    def engine(self, production: Production) -> Engine:
        """Return the engine that reads with the production's SpeechSSM."""
        digest = production.reader_digest
        with self._loading:
            if digest not in self._engines:
                reader, _ = load_reader(self.file(production, "speechssm"), self.device)
                speaker = self.speaker(production)
                self._engines = {digest: Engine(reader, speaker.renderer, LANES)}
            return self._engines[digest]

    def speaker(self, production: Production) -> Speaker:
        """Return what speaks with the production's voice."""
        digests = production.voice_digests
        with self._loading:
            if digests not in self._speakers:
                while len(self._speakers) >= SPEAKERS_KEPT:
                    self._speakers.popitem(last=False)
                files = {part: self.file(production, part) for part in PARTS if part != "speechssm"}
                self._speakers[digests] = load_speaker(
                    production.codec, files, self.device, self.batch
                )
            self._speakers.move_to_end(digests)
            return self._speakers[digests]

    def script(self, lease: ChapterLease | WindowLease) -> Script:
        """Return the script of a leased chapter, or of a leased window's chapter."""
        return self.stored_script(lease.script_key, lease.script_digest)

    def stored_script(self, key: str, digest: str) -> Script:
        """Return a script from the store."""
        with self._loading:
            if digest not in self._scripts:
                data = patiently(lambda: self.services.store.get(key, digest=digest))
                self._scripts[digest] = read_script(data)
            self._scripts.move_to_end(digest)
            while len(self._scripts) > SCRIPTS_KEPT:
                self._scripts.popitem(last=False)
            return self._scripts[digest]

    def seed_text(self, production: Production, script: Script, chapter_number: int) -> str:
        """Return what the seeds of a chapter's windows are made from."""
        prompt = self.speaker(production).prompt_digest
        return seed_text(script, prompt, chapter_number, production.seed)

    def part(
        self,
        script: Script,
        window: Window,
        production: Production,
        chapter_number: int,
        directions: Mapping[str, str],
    ) -> Part:
        """Return a window in its script, said as directed; raises LecternError where that cannot be."""
        if not directions:
            return Part(script, window)
        chapter = self._chapter(production, chapter_number)
        lexicon = lexicon_with(production.lexicon, directions)
        return Part(*said_otherwise(chapter, lexicon, script, window))

    def _chapter(self, production: Production, number: int) -> Chapter:
        """Return a chapter of the manuscript, or of the credits, which no manuscript holds."""
        from flows.factory.draft import spoken_credits  # it reads books through this module

        book = self._book(production)
        found = next((one for one in book.chapters if one.number == number), None)
        if found is not None:
            return found
        spoken = spoken_credits(self.services, production.id)
        return next(one for one in spoken if one.number == number)

    def _look_up(self, production_id: int) -> Production:
        with Session(self.services.engine) as session:
            row = session.get_one(ProductionRow, production_id)
            return Production(
                row.id,
                row.seed,
                row.voice.codec,
                row.weights,
                row.manuscript_id,
                str(row.settings.get("lexicon", "")),
                Depth(row.settings.get("takes_by", Depth.SIGNAL)),
            )

    def file(self, production: Production, part: str) -> Path:
        """Return a weight file: the one that ships, where it is the same, or the store's."""
        try:
            entry = production.weights[part]
        except KeyError:
            raise WeightsError(
                f"production {production.id} has no {part} weights: submit the book again"
            ) from None
        shipped = shipped_weights().get(entry["digest"])
        if shipped is not None:
            return shipped
        folder = self.services.settings.folder / "weights"
        if part == "prompt":  # a person's voice is not left behind: it goes with this process
            folder = Path(self._prompts.name)
        path = folder / entry["digest"]
        if not path.exists():
            patiently(
                lambda: fetch(self.services.store, entry["key"], path, digest=entry["digest"])
            )
        return path

    def _book(self, production: Production) -> Book:
        with self._loading:
            if production.manuscript_id not in self._books:
                self._books[production.manuscript_id] = stored_book(
                    self.services, production.manuscript_id
                )
            while len(self._books) > BOOKS_KEPT:
                self._books.popitem(last=False)
            return self._books[production.manuscript_id]


def planned_windows(script: Script, spans: list[tuple[int, int]]) -> tuple[Window, ...]:
    """Return a chapter's windows as they were planned, from their spans in the database."""
    units = [unit.index for unit in script.units]
    return tuple(
        Window(number, start, end, expected_s(units, start, end))
        for number, (start, end) in enumerate(spans)
    )


def stored_book(services: Services, manuscript_id: int) -> Book:
    """Read an enrolled manuscript; raises ManuscriptError where that cannot be done."""
    with Session(services.engine) as session:
        row = session.get_one(Manuscript, manuscript_id)
    with TemporaryDirectory(prefix="lectern-") as folder:
        path = Path(folder) / Path(row.source_name).name
        fetch(services.store, row.source_key, path, digest=row.digest)
        return read_manuscript(path)


def lexicon_with(lexicon: str, directions: Mapping[str, str]) -> Lexicon:
    """Return a book's lexicon with the pronunciations that a person asked for; raises LexiconError."""
    own = Lexicon.parse(lexicon).entries if lexicon else {}
    asked = Lexicon.of(directions).entries
    return Lexicon({**own, **asked})


@lru_cache(maxsize=1)
def shipped_weights() -> dict[str, Path]:
    """Return the weight files that ship with Lectern, by the digests of their bytes."""
    return {_digest(path): path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def _digest(path: Path) -> str:
    return keys.digest_of(path.read_bytes())
