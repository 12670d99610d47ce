"""Every error the generation room raises on purpose, as one tree.

LecternError                 what, where, and what to do; its text is shown to the user as it is
├── ManuscriptError          the book cannot be read
│   ├── UnsupportedManuscript    a format we do not read (PDF, images, unknown)
│   ├── EncryptedManuscript      DRM or a password
│   ├── EmptyManuscript          no spine, no text
│   └── HostileManuscript        too large, zip bomb, external entities, path traversal
├── LexiconError             a pronunciation lexicon that cannot be used
├── VoicePromptError         a prompt too short, silent, clipped, or of two speakers
├── UnknownVoice             no house voice, enrolled voice or recording of that name
├── ChapterSelectionError    a chapter range that names no chapter of this book
├── WeightsError             weights missing, damaged or of another design
└── NarrationError           the reading failed (a pointer that had to be forced, say)
"""


class LecternError(Exception):
    """Base of every deliberate error: its message says what, where, and what to do."""


class ManuscriptError(LecternError):
    """The book cannot be read."""


class UnsupportedManuscript(ManuscriptError):
    """A format Lectern does not read."""


class EncryptedManuscript(ManuscriptError):
    """The book is encrypted (DRM or a password)."""


class EmptyManuscript(ManuscriptError):
    """The book has no spine or no text to read."""


class HostileManuscript(ManuscriptError):
    """The file is too large, unpacks to too much, or reaches outside itself."""


class LexiconError(LecternError):
    """A pronunciation lexicon that cannot be used."""


class VoicePromptError(LecternError):
    """A voice prompt that cannot be used."""


class UnknownVoice(LecternError):
    """No house voice, enrolled voice or recording of that name."""


class ChapterSelectionError(LecternError):
    """A chapter selection that names no chapter of this book."""


class WeightsError(LecternError):
    """Model weights are missing, damaged, or of another design."""


class NarrationError(LecternError):
    """A reading that failed."""
