"""A voice made of a recording: its prompt, and its timbre, measured by letting the voice read a passage once.

What SoundStorm speaks behind a prompt has the speaker's manner but not quite their colour (`codec.timbre`).
So a new voice reads a fixed passage, and the recording's spectra are compared with those of the reading.
"""

import hashlib
from dataclasses import replace
from functools import cached_property

from generation.codec.soundstream import DESIGN, SoundStreamCodec
from generation.codec.timbre import measure_timbre
from generation.engine import Engine
from generation.manuscript.book import Block, BlockKind, Chapter, ChapterKind
from generation.narration import LANES, plan_chapter
from generation.prompt import Checked, make_prompt
from generation.rendering import VoicePrompt, WindowReading
from generation.tokenizer.model import load_tokenizer
from generation.voices import WEIGHTS, Cast, load_cast, prompted_voice, weight_files

PASSAGE = (
    "The lamp in the harbour office was still burning when the boys came down the hill with their "
    "father's thick gloves and a basket of green pears. Nobody asked where they had been. A chill wind "
    "was rising; the rope on the jetty knocked against the wood, and far out, beyond the white edge of "
    "the shoals, a ship moved through the dusk without a sound. Should they ring the bell? They judged "
    "the tide, shook hands, and waited."
)
"""What a new voice reads: every sound of the inventory that is not rare, in a window of some 25 s."""


_TOKENIZER = WEIGHTS / "tokenizer.safetensors"
_SPEAKER = prompted_voice("tuning", WEIGHTS / "prompt-kathleen.safetensors")


class PromptMaker:
    """Makes prompts of recordings.

    Parameters
    ----------
    cast
        Any voice of the `soundstream` codec: its models hear, read and speak, its own prompt is not used.

    Raises
    ------
    WeightsError
        The tokenizer's weights are missing or damaged.
    """

    def __init__(self, cast: Cast) -> None:
        codec = cast.renderer.codec
        if not isinstance(codec, SoundStreamCodec):
            raise TypeError(f"voices are made of recordings for {DESIGN}, not for {codec.name}")
        self._cast, self._codec = cast, codec
        self._tokenizer = load_tokenizer(_TOKENIZER)

    def make(self, checked: Checked) -> VoicePrompt:
        """Make the prompt of a checked recording, with its timbre."""
        prompt = make_prompt(checked, self._tokenizer, self._codec)
        voice = self._cast.renderer.speaking_as(prompt)
        ((_, codes),) = voice.fill([self.passage])
        own = self._codec.spectrum(checked.given)
        timbre = measure_timbre(own.cpu(), self._codec.spectrum_of(codes).cpu())
        return replace(prompt, timbre=timbre)

    @cached_property
    def passage(self) -> WindowReading:
        """The passage as SpeechSSM reads it: the same for every voice."""
        block = Block(BlockKind.PARAGRAPH, PASSAGE, "", "1", tuple(range(len(PASSAGE))))
        chapter = Chapter(1, "", ChapterKind.BODY, (block,))
        job = plan_chapter(chapter, "tuning", 0).opening
        (read,) = Engine(self._cast.reader, self._cast.renderer, LANES).read([job])
        return read.reading


def prompt_maker() -> PromptMaker:
    """Load what makes prompts of recordings; raises WeightsError where weights cannot be used."""
    return PromptMaker(load_cast(_SPEAKER))


def made_by() -> str:
    """SHA-256 of all that decides what `prompt_maker` makes of a recording."""
    digest = hashlib.sha256(PASSAGE.encode("utf-8"))
    for part, path in sorted(weight_files(_SPEAKER).items()):
        if part != "prompt":
            digest.update(path.read_bytes())
    digest.update(_TOKENIZER.read_bytes())
    return digest.hexdigest()
