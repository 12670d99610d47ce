"""The review app's tables, with the rules of accounts, records and votes."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _key() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _time(
    name: str, *, default: str | None = "now()", nullable: bool = False
) -> sa.Column[datetime]:
    when = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=when, nullable=nullable)


def _text(name: str, *, default: str | None = None, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=nullable)


def _integer(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _accounts() -> None:
    op.create_table(
        "account",
        _key(),
        _text("name"),
        _text("role"),
        _text("password_hash"),
        _text("state", default="active"),
        _time("opened_at"),
        _check("account", "role", "role IN ('publisher', 'reviewer', 'operator')"),
        _check("account", "state", "state IN ('active', 'closed')"),
        _check("account", "name", "name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'"),
        _primary("account", "id"),
        _unique("account", "name"),
    )
    op.create_table(
        "login",
        _key(),
        _text("token_digest"),
        _integer("account_id"),
        _text("csrf"),
        _time("opened_at"),
        _time("seen_at"),
        _time("ends_at", default=None),
        _check("login", "token_digest", "token_digest ~ '^[0-9a-f]{64}$'"),
        _refers("login", "account_id", "account"),
        _primary("login", "id"),
        _unique("login", "token_digest"),
    )
    op.create_index("ix_login_account", "login", ["account_id"])
    op.create_table(
        "login_attempt",
        _key(),
        _text("name"),
        _text("address"),
        _time("at", default="clock_timestamp()"),
        sa.Column("succeeded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _primary("login_attempt", "id"),
    )
    op.create_index("ix_login_attempt_address", "login_attempt", ["address", "at"])
    op.create_index("ix_login_attempt_name", "login_attempt", ["name", "at"])
    op.create_table(
        "submission",
        _integer("production_id"),
        _integer("account_id"),
        _time("submitted_at"),
        _refers("submission", "production_id", "production"),
        _refers("submission", "account_id", "account"),
        _primary("submission", "production_id", "account_id"),
    )


def _listening() -> None:
    op.create_table(
        "claim",
        _integer("production_id"),
        _integer("account_id"),
        _time("claimed_at"),
        _time("until", default=None),
        _refers("claim", "production_id", "production"),
        _refers("claim", "account_id", "account"),
        _primary("claim", "production_id"),
    )
    op.create_table(
        "heard",
        _integer("account_id"),
        _integer("chapter_id"),
        _text("audio_digest"),
        sa.Column(
            "stretches",
            postgresql.INT4MULTIRANGE(),
            server_default=sa.text("'{}'::int4multirange"),
            nullable=False,
        ),
        _time("heard_at"),
        _check("heard", "audio_digest", "audio_digest ~ '^[0-9a-f]{64}$'"),
        _refers("heard", "account_id", "account"),
        _refers("heard", "chapter_id", "chapter"),
        _primary("heard", "account_id", "chapter_id", "audio_digest"),
    )
    op.create_table(
        "note",
        _key(),
        _integer("production_id"),
        _integer("chapter_id"),
        _integer("account_id"),
        _text("audio_digest"),
        sa.Column("at_s", sa.Double(), nullable=False),
        _text("text"),
        _time("written_at"),
        _check("note", "text", "text <> ''"),
        _check("note", "at", "at_s >= 0"),
        _refers("note", "production_id", "production"),
        _refers("note", "chapter_id", "chapter"),
        _refers("note", "account_id", "account"),
        _primary("note", "id"),
    )
    op.create_index("ix_note_production", "note", ["production_id", "id"])


def _deciding() -> None:
    op.create_table(
        "endorsement",
        _key(),
        _integer("production_id"),
        _integer("qa_report_id"),
        _integer("account_id"),
        _integer("after_review_id", nullable=True),
        _text("note", default=""),
        sa.Column("exceptions", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        _time("endorsed_at"),
        _refers("endorsement", "production_id", "production"),
        _refers("endorsement", "qa_report_id", "qa_report"),
        _refers("endorsement", "account_id", "account"),
        _refers("endorsement", "after_review_id", "review"),
        _primary("endorsement", "id"),
    )
    op.create_index("ix_endorsement_report", "endorsement", ["qa_report_id"])
    op.create_table(
        "review_exception",
        _integer("review_id"),
        sa.Column("findings", postgresql.JSONB(), nullable=False),
        sa.Column("unheard", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        _refers("review_exception", "review_id", "review"),
        _primary("review_exception", "review_id"),
    )
    op.create_table(
        "ballot",
        _key(),
        _integer("production_id"),
        _integer("window_id"),
        _integer("account_id"),
        sa.Column("take_a", sa.SmallInteger(), nullable=False),
        sa.Column("take_b", sa.SmallInteger(), nullable=False),
        sa.Column("preferred", sa.SmallInteger(), nullable=True),
        _time("drawn_at"),
        _time("voted_at", default=None, nullable=True),
        _check("ballot", "two_takes", "take_a <> take_b"),
        _check("ballot", "preferred", "preferred IN (take_a, take_b)"),
        _check("ballot", "voted", "preferred IS NULL OR voted_at IS NOT NULL"),
        _refers("ballot", "production_id", "production"),
        _refers("ballot", "window_id", "window"),
        _refers("ballot", "account_id", "account"),
        _primary("ballot", "id"),
    )
    op.create_index("ix_ballot_window", "ballot", ["window_id"])
    op.create_table(
        "notice",
        _integer("qa_report_id"),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        _time("not_before"),
        _time("sent_at", default=None, nullable=True),
        _text("trouble", nullable=True),
        _refers("notice", "qa_report_id", "qa_report"),
        _primary("notice", "qa_report_id"),
    )


GUARD_BALLOT = """
CREATE FUNCTION lectern_guard_ballot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.voted_at IS NOT NULL OR (OLD.window_id, OLD.account_id, OLD.take_a, OLD.take_b)
       IS DISTINCT FROM (NEW.window_id, NEW.account_id, NEW.take_a, NEW.take_b) THEN
        RAISE EXCEPTION 'ballot %: a vote is given once and stands', OLD.id USING ERRCODE = 'LE005';
    END IF;
    RETURN NEW;
END $$;
"""

RECORDS = {
    "account": ("name", "role"),
    "note": ("chapter_id", "at_s", "text"),
    "endorsement": ("qa_report_id", "note"),
    "ballot": ("window_id",),
}
"""What the event of a new row tells; of a ballot not the order, or the audit would end its blindness."""

TABLES = (
    "notice",
    "ballot",
    "review_exception",
    "endorsement",
    "note",
    "heard",
    "claim",
    "submission",
    "login_attempt",
    "login",
    "account",
)


def upgrade() -> None:
    """Create the tables and set the rules on them."""
    _accounts()
    _listening()
    _deciding()
    op.execute(GUARD_BALLOT)
    for table, facts in RECORDS.items():
        arguments = ", ".join(f"'{fact}'" for fact in facts)
        op.execute(
            f"CREATE TRIGGER record_new AFTER INSERT ON {table} FOR EACH ROW"
            f" EXECUTE FUNCTION lectern_record_row({arguments})"
        )
    for table in ("note", "endorsement", "review_exception"):
        op.execute(
            f"CREATE TRIGGER protect BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION lectern_protect()"
        )
    for statement in (
        "CREATE TRIGGER a_guard_new_state BEFORE INSERT ON account FOR EACH ROW"
        " EXECUTE FUNCTION lectern_guard_state('active')",
        "CREATE TRIGGER a_guard_state BEFORE UPDATE ON account FOR EACH ROW"
        " WHEN (OLD.state IS DISTINCT FROM NEW.state)"
        " EXECUTE FUNCTION lectern_guard_state('active>closed', 'closed>active')",
        "CREATE TRIGGER a_record_state AFTER UPDATE ON account FOR EACH ROW"
        " WHEN ((OLD.state, OLD.role, OLD.password_hash)"
        " IS DISTINCT FROM (NEW.state, NEW.role, NEW.password_hash))"
        " EXECUTE FUNCTION lectern_record_row('name', 'role')",
        "CREATE TRIGGER guard_vote BEFORE UPDATE ON ballot FOR EACH ROW"
        " EXECUTE FUNCTION lectern_guard_ballot()",
        "CREATE TRIGGER record_vote AFTER UPDATE ON ballot FOR EACH ROW"
        " EXECUTE FUNCTION lectern_record_row('window_id', 'preferred')",
        "CREATE TRIGGER protect BEFORE DELETE OR TRUNCATE ON ballot"
        " FOR EACH STATEMENT EXECUTE FUNCTION lectern_protect()",
    ):
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables with all that is in them; the audit of it stays in `event`."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION lectern_guard_ballot()")
