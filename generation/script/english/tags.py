"""Parts of speech (Penn tags) by gruut's tagger (MIT), for words that sound by their use."""

from collections.abc import Sequence
from functools import cache

from gruut.pos import PartOfSpeechTagger

from generation.script.english.lexicons import gruut_folder


@cache
def _tagger() -> PartOfSpeechTagger:
    return PartOfSpeechTagger(gruut_folder() / "pos" / "model.crf")


def tag(words: Sequence[str]) -> list[str]:
    """Return the Penn tag of each word or mark of a sentence."""
    return list(_tagger()(words))


def parent(penn: str) -> str:
    """Return the class a Penn tag belongs to, as the misaki lexicons name them."""
    if penn.startswith(("VB", "MD")):
        return "VERB"
    if penn.startswith("NN"):
        return "NOUN"
    if penn.startswith("RB"):
        return "ADV"
    return "ADJ" if penn.startswith("JJ") else penn
