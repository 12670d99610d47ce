"""The tables of `docs/qa.md`, from the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from qa.calibration.bench import Half
from qa.calibration.ledger import Row
from qa.calibration.trials import WORD_WITHIN_S
from qa.places import Misheard, Suspect, learn_confusions, unexplained
from qa.statistics import wilson
from qa.thresholds import Thresholds
from qa.word_verdicts import judge_words

_OF_WORDS = ("skip", "repeat", "word")

_NAMES = {
    "speaker": "another speaker for 3 s",
    "skip": "a sentence skipped",
    "repeat": "a sentence repeated",
    "word": "a word replaced",
    "noise": "noise at 15 dB for 10 s",
    "click": "a click 12 dB over the local peak",
    "clipping": "clipping at 3 dB for 20 s",
    "pause": "a pause of 2 s",
    "tempo": "20 s read 20 % faster or slower",
    "pitch": "20 s shifted by 2 semitones",
    "drift": "drift of 2 semitones in ten minutes",
}


def tables(rows: Sequence[Row], half: Half = Half.TEST) -> str:
    """Write the tables of one half as Markdown."""
    mine = [row for row in rows if row.half == half]
    return "\n".join(
        [*_detection(mine), "", *_alarms(mine), "", *_boundaries(mine), *_shares(mine)]
    )


def _detection(rows: Iterable[Row]) -> list[str]:
    by_defect: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        if row.found is not None:
            by_defect[row.defect].append(row.found if row.defect not in _OF_WORDS else _heard(row))
    lines = [
        "| damage | found | cases | share | lower Wilson bound |",
        "| --- | --- | --- | --- | --- |",
    ]
    for defect, name in _NAMES.items():
        found = by_defect.get(defect, [])
        if found:
            bound = wilson(sum(found), len(found))
            share = f"{bound.estimate:.1%} | {bound.low:.1%}"
            lines.append(f"| {name} | {sum(found)} | {len(found)} | {share} |")
    return lines


def _heard(row: Row) -> bool:
    """Judge a case of damaged words by the limits of now."""
    figures = row.figures or {}
    if {"missing", "doubled"} & set(figures["kinds"]):
        return True
    first_s, last_s = figures["place"]
    found = judge_words([], [], [Suspect(**s) for s in figures["suspects"]], Thresholds())
    return any(
        f.start_s < last_s + WORD_WITHIN_S and f.end_s > first_s - WORD_WITHIN_S for f in found
    )


def _alarms(rows: Sequence[Row]) -> list[str]:
    lines = ["| undamaged speech | judged | false alarms | rate |", "| --- | --- | --- | --- |"]
    for name in ("clean voice", "clean pitch", "clean drift", "clean tempo", "clean signal"):
        mine = [row for row in rows if row.defect == name]
        hours = sum(r.hours for r in mine)
        kinds = Counter(alarm.split()[0] for r in mine for alarm in r.alarms)
        label = name.removeprefix("clean ")
        if mine:
            lines.append(_rate(f"{label}, all together", hours, sum(kinds.values())))
            lines += [_rate(f"{label}: {kind}", hours, n) for kind, n in kinds.most_common()]
    return lines + _word_alarms([row for row in rows if row.defect == "clean words"])


def _word_alarms(mine: Sequence[Row]) -> list[str]:
    """Judge the suspects of each section by the limits of now, before and after the habits are learned."""
    if not mine:
        return []
    words = sum(r.words for r in mine)
    lost = sum(a.startswith(("missing", "doubled")) for r in mine for a in r.alarms)
    suspects = [[Suspect(**s) for s in (r.figures or {})["suspects"]] for r in mine]
    lines = []
    for label, left in (("words", suspects), ("words, after learning", _after_learning(mine))):
        alarms = lost + sum(len(judge_words([], [], s, Thresholds())) for s in left)
        rate = f"{alarms * 10_000 / words:.1f} in 10,000"
        lines.append(f"| {label} | {words:,} words | {alarms} | {rate} |")
    return lines


def _rate(label: str, hours: float, alarms: int) -> str:
    return f"| {label} | {hours:.2f} h | {alarms} | {alarms / hours:.2f} an hour |"


def _after_learning(rows: Sequence[Row]) -> list[list[Suspect]]:
    """Suspects that the confusions learned from all sections do not explain."""
    figures = [row.figures or {} for row in rows]
    learned = learn_confusions(Misheard(*m) for f in figures for m in f["misheard"])
    return [unexplained([Suspect(**s) for s in f["suspects"]], learned) for f in figures]


def _boundaries(rows: Iterable[Row]) -> list[str]:
    errors = [
        e
        for row in rows
        if row.defect == "speaker" and row.figures
        for e in row.figures["errors_s"]
    ]
    if not errors:
        return []
    median, p95 = np.percentile(errors, [50, 95])
    return [
        f"Boundaries of the other speaker: off by {median:.2f} s in the median, {p95:.2f} s at the 95th "
        f"percentile ({len(errors)} boundaries)."
    ]


def _shares(rows: Iterable[Row]) -> list[str]:
    """Say how many windows cannot be judged, and what judging takes of the audio's time."""
    lines = []
    figures = [row.figures for row in rows if row.defect == "clean windows" and row.figures]
    if figures:
        windows, unsure = (sum(f[key] for f in figures) for key in ("windows", "inconclusive"))
        lines.append(
            f"Inconclusive: {unsure} of {windows} undamaged windows of ten seconds and more."
        )
    timed = [row for row in rows if row.defect == "clean time" and row.figures]
    if timed:
        audio_s = sum(r.hours for r in timed) * 3600
        wall, busy = (
            sum((r.figures or {})[key] for r in timed) / audio_s for key in ("took_s", "busy_s")
        )
        lines.append(
            f"Judging takes {wall:.3f} of the audio's time by the clock, {busy:.3f} of one core's"
            f" ({audio_s:.0f} s judged)."
        )
    return lines
