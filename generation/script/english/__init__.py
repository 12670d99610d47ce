"""English behind the `Language` interface: normalisation by class, pronunciation, American pauses."""

from generation.script.english.reader import English

__all__ = ["English"]
