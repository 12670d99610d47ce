"""The factory's nights: everything goes wrong, workers are killed, and the books come out the same."""

from pathlib import Path

from flows.measure import bench_kills, bench_night


def test_a_night_of_trouble_ends_as_a_calm_one(tmp_path: Path) -> None:
    done = bench_night.run(tmp_path)
    log = "\n".join(done.lines)
    assert done.passes, log
    for trouble in ("killed (−9)", "was restarted", "S3 refuses", "is revoked"):
        assert trouble in log, log


def test_killed_workers_lose_and_double_nothing(tmp_path: Path) -> None:
    done = bench_kills.run(
        tmp_path,
        5,
        least_each=1,
        phases=("reading", "rendering", "storing", "mastering", "publishing"),
    )
    assert done.passes, done
    assert len(done.kills) >= 5
    assert set(done.by_phase) >= {"reading", "rendering", "storing", "mastering", "publishing"}
