"""A production keeps the numerics profile of the workers that make it: no two profiles share its takes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is under way belongs to whoever works on it next."""
    op.add_column("production", sa.Column("profile", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_production_profile"), "production", "profile ~ '^[0-9a-f]{64}$'"
    )


def downgrade() -> None:
    """Drop the column."""
    op.drop_constraint(op.f("ck_production_profile"), "production", type_="check")
    op.drop_column("production", "profile")
