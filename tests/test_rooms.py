"""Who may know whom: the folders' import rules, read from the code itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("generation", "storage", "qa", "flows")
FORBIDDEN = {
    "generation": {
        "storage",
        "qa",
        "flows",
        "prefect",
        "sqlalchemy",
        "psycopg",
        "boto3",
        "fastapi",
    },
    "storage": {"generation", "qa", "flows", "torch", "prefect"},
    "qa": {"generation", "flows", "storage", "prefect"},
    "qa/review": {"generation", "flows", "prefect"},
}


def imported_roots(path: Path) -> set[str]:
    """Top-level names a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_what_it_may(room: str) -> None:
    assert files(room), f"{room}/ holds no code"
    for path in files(room):
        rules = "qa/review" if path.is_relative_to(ROOT / "qa" / "review") else room
        wrong = imported_roots(path) & FORBIDDEN.get(rules, set())
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_every_file_says_what_it_is(room: str) -> None:
    for path in files(room):
        tree = ast.parse(path.read_text("utf-8"))
        if tree.body:
            assert ast.get_docstring(tree), (
                f"{path.relative_to(ROOT)} opens without saying what it is"
            )
