"""What will be said: a chapter's text normalised, pronounced, and laid out as units with their places."""

from generation.script.lexicon import Lexicon
from generation.script.script import write_script
from generation.script.units import Script

__all__ = ["Lexicon", "Script", "write_script"]
