"""The ledger of a calibration: one line of JSON a case, so that a stopped run goes on where it was."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One case.

    Attributes
    ----------
    defect : what was done to the recording; "clean …" for undamaged ones
    half : "learn" or "test"
    case : number of the case, or name of the section
    found : whether a failure of the right kind lies over the damage; None for clean recordings
    hours, words : of clean recordings: how much was judged
    alarms : of clean recordings: what was found although nothing is wrong
    figures : what was measured, for choosing thresholds
    """

    defect: str
    half: str
    case: str
    found: bool | None = None
    hours: float = 0.0
    words: int = 0
    alarms: tuple[str, ...] = ()
    figures: dict[str, Any] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes a case the same case."""
        return self.defect, self.half, self.case


class Ledger:
    """Rows in a file; a case that is written again replaces the earlier one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Row]:
        rows: dict[tuple[str, str, str], Row] = {}
        if self._path.is_file():
            for line in self._path.read_text().splitlines():
                fields = json.loads(line)
                row = Row(**{**fields, "alarms": tuple(fields["alarms"])})
                rows[row.key] = row
        return iter(rows.values())

    def keys(self) -> set[tuple[str, str, str]]:
        """Cases that are done."""
        return {row.key for row in self}

    def add(self, row: Row) -> None:
        """Write a case down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
