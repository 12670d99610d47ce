"""A production is made by machines of one numerics profile: the first that leases its work binds it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CLAIM = """
CREATE FUNCTION lectern_claim(of_production bigint, by_profile text)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- One plain condition: the planner takes IS NULL of a function for one row in 200, and sorts them all.
    IF lectern_work_refusal(of_production) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF by_profile IS NULL THEN
        RETURN true;
    END IF;
    UPDATE production SET profile = by_profile WHERE id = of_production AND profile IS NULL;
    -- a statement of its own, which sees what another worker committed while we waited for the row
    RETURN EXISTS (SELECT FROM production WHERE id = of_production AND profile = by_profile);
END $$
"""


def upgrade() -> None:
    """Add the profile, and the function that binds a production to it."""
    op.add_column("production", sa.Column("profile", sa.Text()))
    op.execute(CLAIM)


def downgrade() -> None:
    """Forget which machines made what."""
    op.execute("DROP FUNCTION lectern_claim(bigint, text)")
    op.drop_column("production", "profile")
