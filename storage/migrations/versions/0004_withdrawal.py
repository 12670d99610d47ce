"""Releases can be superseded and withdrawn; once withdrawn, a production can be published again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PRODUCTION = (
    "submitted>admitted submitted>failed submitted>refused submitted>cancelled"
    " admitted>submitted admitted>producing admitted>failed admitted>refused"
    " admitted>cancelled producing>mastered producing>failed producing>refused"
    " producing>cancelled mastered>awaiting_review mastered>producing mastered>failed"
    " mastered>refused mastered>cancelled awaiting_review>approved awaiting_review>rejected"
    " awaiting_review>producing awaiting_review>refused awaiting_review>cancelled"
    " approved>publishing approved>producing approved>rejected approved>refused"
    " approved>cancelled rejected>approved rejected>producing rejected>refused"
    " rejected>cancelled publishing>published publishing>approved publishing>refused"
    " failed>submitted failed>producing failed>refused failed>cancelled refused>submitted"
    " refused>producing refused>cancelled"
)
RELEASE = "granted>published granted>abandoned"
MORE_PRODUCTION = " published>publishing"
MORE_RELEASE = " published>superseded published>withdrawn superseded>withdrawn"


def _guard(table: str, steps: str) -> None:
    arguments = ", ".join(f"'{step}'" for step in steps.split())
    op.execute(f"DROP TRIGGER a_guard_state ON {table}")
    op.execute(
        f"CREATE TRIGGER a_guard_state BEFORE UPDATE ON {table} FOR EACH ROW"
        " WHEN (OLD.state IS DISTINCT FROM NEW.state)"
        f" EXECUTE FUNCTION lectern_guard_state({arguments})"
    )


def _check(name: str, rule: str) -> None:
    op.create_check_constraint(op.f(f"ck_release_{name}"), "release", rule)


def _drop_checks(*names: str) -> None:
    for name in names:
        op.drop_constraint(op.f(f"ck_release_{name}"), "release", type_="check")


def _one_release(but: str) -> None:
    op.drop_index("uq_release_production", table_name="release")
    op.create_index(
        "uq_release_production",
        "release",
        ["production_id"],
        unique=True,
        postgresql_where=sa.text(but),
    )


def upgrade() -> None:
    """Add the two states, when and by what, and the steps to them."""
    op.add_column("release", sa.Column("withdrawn_at", sa.DateTime(timezone=True)))
    op.add_column("release", sa.Column("superseded_by", sa.BigInteger()))
    op.create_foreign_key(
        op.f("fk_release_superseded_by"), "release", "release", ["superseded_by"], ["id"]
    )
    _drop_checks("state", "published")
    _check("state", "state IN ('granted', 'published', 'abandoned', 'superseded', 'withdrawn')")
    _check(
        "published",
        "state IN ('granted', 'abandoned') OR (release_digest IS NOT NULL"
        " AND manifest_key IS NOT NULL AND published_at IS NOT NULL)",
    )
    _check("withdrawn", "(state = 'withdrawn') = (withdrawn_at IS NOT NULL)")
    _check("superseded", "state <> 'superseded' OR superseded_by IS NOT NULL")
    _one_release("state NOT IN ('abandoned', 'withdrawn')")
    _guard("production", PRODUCTION + MORE_PRODUCTION)
    _guard("release", RELEASE + MORE_RELEASE)


def downgrade() -> None:
    """Take them back; superseded and withdrawn releases count as published again."""
    op.execute("DROP TRIGGER a_guard_state ON release")
    op.execute("DROP TRIGGER a_record_state ON release")
    _drop_checks("state", "published", "withdrawn", "superseded")
    op.execute(
        "UPDATE release SET state = 'abandoned' WHERE state = 'withdrawn' AND EXISTS (SELECT FROM"
        " release AS live WHERE live.production_id = release.production_id AND live.id <> release.id"
        " AND live.state <> 'abandoned')"
    )
    op.execute("UPDATE release SET state = 'published' WHERE state IN ('superseded', 'withdrawn')")
    op.drop_column("release", "superseded_by")
    op.drop_column("release", "withdrawn_at")
    _check("state", "state IN ('granted', 'published', 'abandoned')")
    _check(
        "published",
        "state <> 'published' OR (release_digest IS NOT NULL AND manifest_key IS NOT NULL AND"
        " published_at IS NOT NULL)",
    )
    _one_release("state <> 'abandoned'")
    steps = ", ".join(f"'{step}'" for step in RELEASE.split())
    for trigger, call in (
        ("a_guard_state BEFORE", f"lectern_guard_state({steps})"),
        (
            "a_record_state AFTER",
            "lectern_record_row('content_digest', 'release_digest', 'granted_to')",
        ),
    ):
        op.execute(
            f"CREATE TRIGGER {trigger} UPDATE ON release FOR EACH ROW"
            f" WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION {call}"
        )
    _guard("production", PRODUCTION)
