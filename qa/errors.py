"""Every error the QA room raises on purpose, as one tree.

QAError                 what, where, and what to do; its text is shown to the user as it is
├── UnreadableAudioError    not an audio file, or no sound in it
├── MissingModelError       a model that a declared package should carry is not there
└── AlignmentError          a text that could not be laid over its audio
"""


class QAError(Exception):
    """Base of every deliberate error of this room."""


class UnreadableAudioError(QAError):
    """The audio cannot be read or is of a shape no measure takes."""


class MissingModelError(QAError):
    """A model that a declared package should carry is not there."""


class AlignmentError(QAError):
    """Forced alignment found no path of the text through the audio."""
