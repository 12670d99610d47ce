"""Every error the storage room raises on purpose, as one tree.

StorageError                 what, where, and what to do; its text is shown to the user as it is
├── ServerError              PostgreSQL cannot be started, reached or used
├── NotFound                 a row that is not there
├── Refused                  the database's own rules forbid it
│   ├── TransitionRefused        no such step between two states
│   ├── ConsentRefused           no valid consent (never given, lapsed, revoked, out of scope)
│   ├── ApprovalRefused          not approved, or something changed since
│   ├── ActorMissing             a change of state without saying who and why
│   ├── RecordProtected          an append-only or immutable record was to be changed
│   ├── ConflictRefused          it exists already, with other content
│   ├── ReviewOutdated           somebody else decided, or the audio changed, since the page was read
│   ├── LoginRefused             wrong name or password, or a closed account
│   └── TooManyAttempts          too many failed attempts to log in
├── LeaseLost                a late writer with an old lease number
├── ObjectStoreError         bytes cannot be stored or read
│   ├── ObjectMissing            no object under this key
│   ├── ObjectExists             a conditional put found an object
│   ├── ObjectCorrupt            the bytes are not those that were stored
│   ├── StoreFull                no space left; nothing half-written remains
│   └── StoreUnavailable         the store does not answer; try again later
└── BackupError              a backup that cannot be made or used
"""


class StorageError(Exception):
    """Base of every deliberate error: its message says what, where, and what to do."""


class ServerError(StorageError):
    """PostgreSQL cannot be started, reached or used."""


class NotFound(StorageError):
    """A row that is not there."""


class Refused(StorageError):
    """The database's own rules forbid it."""


class TransitionRefused(Refused):
    """No such step between two states."""


class ConsentRefused(Refused):
    """No valid consent: never given, not begun, lapsed, revoked, or out of scope."""


class ApprovalRefused(Refused):
    """Not approved, or something changed since the approval."""


class ActorMissing(Refused):
    """A change of state that does not say who and why."""


class RecordProtected(Refused):
    """An append-only or immutable record was to be changed."""


class ConflictRefused(Refused):
    """It exists already, with other content."""


class ReviewOutdated(Refused):
    """Somebody else decided, or the audio changed, since the page was read."""


class LoginRefused(Refused):
    """Wrong name or password, or a closed account: which of them is not said."""


class TooManyAttempts(Refused):
    """Too many failed attempts to log in; the password was not looked at."""


class LeaseLost(StorageError):
    """A write with an old lease number: the work is another's by now, throw the result away."""


class ObjectStoreError(StorageError):
    """Bytes cannot be stored or read."""


class ObjectMissing(ObjectStoreError):
    """No object under this key."""


class ObjectExists(ObjectStoreError):
    """A conditional put found an object under the key."""


class ObjectCorrupt(ObjectStoreError):
    """The bytes are not those that were stored."""


class StoreFull(ObjectStoreError):
    """No space left; nothing half-written remains."""


class StoreUnavailable(ObjectStoreError):
    """The store does not answer; the same call may succeed later."""


class BackupError(StorageError):
    """A backup that cannot be made or used."""
