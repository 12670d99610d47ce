"""Parts of speech (Penn tags) by gruut's tagger (MIT), for words that sound by their use."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from gruut.pos import PartOfSpeechTagger

from generation.script.english.lexicons import REMEMBERED_WORDS, gruut_folder


@cache
def _tagger() -> PartOfSpeechTagger:
    return PartOfSpeechTagger(gruut_folder() / "pos" / "model.crf")


_NEIGHBOURS = ((-1, "-1:"), (-2, "-2:"), (1, "+1:"), (2, "+2:"))
"""Offsets of the neighbours the model looks at, and how their features are named."""


@lru_cache(maxsize=REMEMBERED_WORDS)
def _features(word: str, prefix: str) -> dict[str, Any]:
    return dict(PartOfSpeechTagger.local_features(word, prefix=prefix))


def _in_place(words: Sequence[str], at: int) -> dict[str, Any]:
    """Return the features of one word, as gruut makes them, from those remembered of each word around it."""
    features = _features(words[at], "").copy()
    if at == 0:
        features["BOS"] = True
    if at == len(words) - 1:
        features["EOS"] = True
    for offset, prefix in _NEIGHBOURS:
        if 0 <= at + offset < len(words):
            features.update(_features(words[at + offset], prefix))
    return features


def tag(words: Sequence[str]) -> list[str]:
    """Return the Penn tag of each word or mark of a sentence."""
    return list(_tagger().crf_tagger.tag([_in_place(words, i) for i in range(len(words))]))


def parent(penn: str) -> str:
    """Return the class a Penn tag belongs to, as the misaki lexicons name them."""
    if penn.startswith(("VB", "MD")):
        return "VERB"
    if penn.startswith("NN"):
        return "NOUN"
    if penn.startswith("RB"):
        return "ADV"
    return "ADJ" if penn.startswith("JJ") else penn
