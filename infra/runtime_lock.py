"""Print `requirements.lock` for an image: without what only developers need, and as asked.

Usage: python infra/runtime_lock.py [--only NAME … | --without NAME …]
"""

import argparse
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def locked(only: list[str], without: list[str]) -> list[str]:
    """Return lines of the lock, in its order.

    Parameters
    ----------
    only, without
        Names of packages to print alone, or to leave out besides the developers'.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    developers = {_name(line) for line in project["optional-dependencies"]["dev"]}
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    left_out = developers | {_name(name) for name in without}
    wanted = {_name(name) for name in only}
    return [
        line
        for line in packages
        if _name(line) not in left_out and (not wanted or _name(line) in wanted)
    ]


def _name(requirement: str) -> str:
    """Return a requirement's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;@]", requirement)[0]).lower()


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--without", nargs="+", default=[])
    asked = parser.parse_args()
    print("\n".join(locked(asked.only, asked.without)))


if __name__ == "__main__":
    main()
