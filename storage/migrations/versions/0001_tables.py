"""The tables, their constraints and their indexes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("production_id", sa.BigInteger(), nullable=True),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "detail",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.CheckConstraint("actor <> '' AND reason <> ''", name=op.f("ck_event_who_and_why")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_production", "event", ["production_id", "id"], unique=False)
    op.create_index("ix_event_subject", "event", ["subject", "subject_id", "id"], unique=False)
    op.create_table(
        "manuscript",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("source_name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("metadata_digest", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("authors", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("isbn", sa.Text(), server_default="", nullable=False),
        sa.Column("publisher", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "credits",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("cover_key", sa.Text(), nullable=True),
        sa.Column("words", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rights_holder", sa.Text(), nullable=False),
        sa.Column("rights_basis", sa.Text(), nullable=False),
        sa.Column("rights_territories", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("rights_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "enrolled_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_manuscript_digest")),
        sa.CheckConstraint(
            "metadata_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_manuscript_metadata_digest")
        ),
        sa.CheckConstraint(
            "rights_basis IN ('public_domain', 'licence', 'owned')",
            name=op.f("ck_manuscript_rights_basis"),
        ),
        sa.CheckConstraint(
            "cardinality(rights_territories) > 0", name=op.f("ck_manuscript_rights_territories")
        ),
        sa.CheckConstraint("words >= 0", name=op.f("ck_manuscript_words")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_manuscript")),
        sa.UniqueConstraint(
            "digest", "metadata_digest", name=op.f("uq_manuscript_digest_metadata_digest")
        ),
    )
    op.create_table(
        "voice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="enrolled", nullable=False),
        sa.Column("origin", sa.Text(), server_default="publisher", nullable=False),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("prompt_key", sa.Text(), nullable=True),
        sa.Column("embeddings_key", sa.Text(), nullable=True),
        sa.Column(
            "measures",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "enrolled_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_voice_digest")),
        sa.CheckConstraint("origin IN ('house', 'publisher')", name=op.f("ck_voice_origin")),
        sa.CheckConstraint(
            "state <> 'erased' OR (prompt_key IS NULL AND embeddings_key IS NULL AND erased_at IS NOT NULL)",
            name=op.f("ck_voice_erased_is_gone"),
        ),
        sa.CheckConstraint(
            "state IN ('enrolled', 'erasing', 'erased')", name=op.f("ck_voice_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voice")),
    )
    op.create_index(
        "uq_voice_digest",
        "voice",
        ["digest"],
        unique=True,
        postgresql_where=sa.text("state <> 'erased'"),
    )
    op.create_index(
        "uq_voice_name",
        "voice",
        ["name"],
        unique=True,
        postgresql_where=sa.text("state = 'enrolled'"),
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("voice_id", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("signatory", sa.Text(), nullable=False),
        sa.Column("scope", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("territories", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document_key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="given", nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'revoked') = (revoked_at IS NOT NULL)", name=op.f("ck_consent_revocation")
        ),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_consent_digest")),
        sa.CheckConstraint("owner <> '' AND signatory <> ''", name=op.f("ck_consent_signed")),
        sa.CheckConstraint("state IN ('given', 'revoked')", name=op.f("ck_consent_state")),
        sa.CheckConstraint("cardinality(scope) > 0", name=op.f("ck_consent_scope")),
        sa.CheckConstraint("cardinality(territories) > 0", name=op.f("ck_consent_territories")),
        sa.CheckConstraint(
            "valid_until IS NULL OR valid_until > valid_from", name=op.f("ck_consent_term")
        ),
        sa.ForeignKeyConstraint(["voice_id"], ["voice.id"], name=op.f("fk_consent_voice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        sa.UniqueConstraint("voice_id", "digest", name=op.f("uq_consent_voice_id_digest")),
    )
    op.create_table(
        "production",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("manuscript_id", sa.BigInteger(), nullable=False),
        sa.Column("voice_id", sa.BigInteger(), nullable=False),
        sa.Column("consent_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column(
            "settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("model_digest", sa.Text(), nullable=False),
        sa.Column(
            "weights",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("seed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("territories", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "submitted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "rank", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("state", sa.Text(), server_default="submitted", nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("words", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expected_audio_s", sa.Double(), nullable=True),
        sa.Column("expected_machine_s", sa.Double(), nullable=True),
        sa.Column("content_digest", sa.Text(), nullable=True),
        sa.Column(
            "state_changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "content_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_production_content_digest")
        ),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_production_digest")),
        sa.CheckConstraint(
            "state IN ('submitted', 'admitted', 'producing', 'mastered', 'awaiting_review', 'approved',"
            " 'rejected', 'publishing', 'published', 'failed', 'refused', 'cancelled')",
            name=op.f("ck_production_state"),
        ),
        sa.CheckConstraint("cardinality(territories) > 0", name=op.f("ck_production_territories")),
        sa.CheckConstraint("priority BETWEEN -100 AND 100", name=op.f("ck_production_priority")),
        sa.ForeignKeyConstraint(
            ["consent_id"], ["consent.id"], name=op.f("fk_production_consent_id")
        ),
        sa.ForeignKeyConstraint(
            ["manuscript_id"], ["manuscript.id"], name=op.f("fk_production_manuscript_id")
        ),
        sa.ForeignKeyConstraint(["voice_id"], ["voice.id"], name=op.f("fk_production_voice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_production")),
    )
    op.create_index("ix_production_consent", "production", ["consent_id", "state"], unique=False)
    op.create_index("ix_production_state_rank", "production", ["state", "rank", "id"], unique=False)
    op.create_index(
        "uq_production_digest",
        "production",
        ["digest"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('cancelled', 'refused')"),
    )
    op.create_table(
        "chapter",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("production_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("words", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("script_key", sa.Text(), nullable=False),
        sa.Column("script_digest", sa.Text(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("snapshot_key", sa.Text(), nullable=True),
        sa.Column("snapshot_digest", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="planned", nullable=False),
        sa.Column("audio_key", sa.Text(), nullable=True),
        sa.Column("audio_digest", sa.Text(), nullable=True),
        sa.Column("times_key", sa.Text(), nullable=True),
        sa.Column("times_digest", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column(
            "measures",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("content_digest", sa.Text(), nullable=True),
        sa.Column("rank", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('reading', 'mastering')) = (leased_by IS NOT NULL) AND (leased_by IS NULL) ="
            " (lease_until IS NULL)",
            name=op.f("ck_chapter_lease"),
        ),
        sa.CheckConstraint(
            "state <> 'mastered' OR (audio_key IS NOT NULL AND content_digest IS NOT NULL)",
            name=op.f("ck_chapter_mastered"),
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'reading', 'dead') OR cursor = windows",
            name=op.f("ck_chapter_read"),
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'reading', 'read', 'accepted', 'mastering', 'mastered', 'dead')",
            name=op.f("ck_chapter_state"),
        ),
        sa.CheckConstraint("cursor BETWEEN 0 AND windows", name=op.f("ck_chapter_cursor")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_chapter_number")),
        sa.ForeignKeyConstraint(
            ["production_id"], ["production.id"], name=op.f("fk_chapter_production_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chapter")),
        sa.UniqueConstraint(
            "production_id", "number", name=op.f("uq_chapter_production_id_number")
        ),
    )
    op.create_index(
        "ix_chapter_leased",
        "chapter",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state IN ('reading', 'mastering')"),
    )
    op.create_index("ix_chapter_queue", "chapter", ["state", "rank", "id"], unique=False)
    op.create_table(
        "qa_report",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("production_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column(
            "filed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "content_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_qa_report_content_digest")
        ),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_qa_report_digest")),
        sa.CheckConstraint(
            "verdict IN ('pass', 'fail', 'inconclusive')", name=op.f("ck_qa_report_verdict")
        ),
        sa.ForeignKeyConstraint(
            ["production_id"], ["production.id"], name=op.f("fk_qa_report_production_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qa_report")),
        sa.UniqueConstraint(
            "production_id", "digest", name=op.f("uq_qa_report_production_id_digest")
        ),
    )
    op.create_table(
        "review",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("production_id", sa.BigInteger(), nullable=False),
        sa.Column("qa_report_id", sa.BigInteger(), nullable=False),
        sa.Column("report_digest", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("decision IN ('approved', 'rejected')", name=op.f("ck_review_decision")),
        sa.CheckConstraint("reviewer <> ''", name=op.f("ck_review_reviewer")),
        sa.ForeignKeyConstraint(
            ["production_id"], ["production.id"], name=op.f("fk_review_production_id")
        ),
        sa.ForeignKeyConstraint(
            ["qa_report_id"], ["qa_report.id"], name=op.f("fk_review_qa_report_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index("ix_review_production", "review", ["production_id", "id"], unique=False)
    op.create_table(
        "window",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("production_id", sa.BigInteger(), nullable=False),
        sa.Column("chapter_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("unit_start", sa.Integer(), nullable=False),
        sa.Column("unit_end", sa.Integer(), nullable=False),
        sa.Column("take", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("chosen_take", sa.SmallInteger(), nullable=True),
        sa.Column("entry_snapshot_key", sa.Text(), nullable=True),
        sa.Column("entry_snapshot_digest", sa.Text(), nullable=True),
        sa.Column(
            "directions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("state", sa.Text(), server_default="planned", nullable=False),
        sa.Column("rank", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('rendering', 'judging', 'rereading')) = (leased_by IS NOT NULL) AND (leased_by IS"
            " NULL) = (lease_until IS NULL)",
            name=op.f("ck_window_lease"),
        ),
        sa.CheckConstraint(
            "state <> 'accepted' OR chosen_take IS NOT NULL", name=op.f("ck_window_accepted")
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'read', 'rendering', 'rendered', 'judging', 'accepted', 'redo',"
            " 'rereading', 'dead')",
            name=op.f("ck_window_state"),
        ),
        sa.CheckConstraint("number >= 0", name=op.f("ck_window_number")),
        sa.CheckConstraint(
            "unit_start >= 0 AND unit_end > unit_start", name=op.f("ck_window_span")
        ),
        sa.ForeignKeyConstraint(["chapter_id"], ["chapter.id"], name=op.f("fk_window_chapter_id")),
        sa.ForeignKeyConstraint(
            ["production_id"], ["production.id"], name=op.f("fk_window_production_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_window")),
        sa.UniqueConstraint("chapter_id", "number", name=op.f("uq_window_chapter_id_number")),
    )
    op.create_index(
        "ix_window_leased",
        "window",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state IN ('rendering', 'judging', 'rereading')"),
    )
    op.create_index("ix_window_queue", "window", ["state", "rank", "id"], unique=False)
    op.create_table(
        "release",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("production_id", sa.BigInteger(), nullable=False),
        sa.Column("review_id", sa.BigInteger(), nullable=False),
        sa.Column("consent_id", sa.BigInteger(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="granted", nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("granted_to", sa.Text(), nullable=False),
        sa.Column(
            "granted_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("token_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("release_digest", sa.Text(), nullable=True),
        sa.Column("manifest_key", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "content_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_release_content_digest")
        ),
        sa.CheckConstraint(
            "release_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_release_release_digest")
        ),
        sa.CheckConstraint(
            "state <> 'published' OR (release_digest IS NOT NULL AND manifest_key IS NOT NULL AND"
            " published_at IS NOT NULL)",
            name=op.f("ck_release_published"),
        ),
        sa.CheckConstraint(
            "state IN ('granted', 'published', 'abandoned')", name=op.f("ck_release_state")
        ),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name=op.f("fk_release_consent_id")),
        sa.ForeignKeyConstraint(
            ["production_id"], ["production.id"], name=op.f("fk_release_production_id")
        ),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name=op.f("fk_release_review_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
    )
    op.create_index(
        "uq_release_production",
        "release",
        ["production_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'abandoned'"),
    )
    op.create_table(
        "take",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("production_id", sa.BigInteger(), nullable=False),
        sa.Column("window_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("seed", sa.Numeric(), nullable=False),
        sa.Column("entry_snapshot_key", sa.Text(), nullable=True),
        sa.Column("tokens_key", sa.Text(), nullable=True),
        sa.Column("tokens_digest", sa.Text(), nullable=False),
        sa.Column("audio_key", sa.Text(), nullable=True),
        sa.Column("audio_digest", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column(
            "measures",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("read_by", sa.Text(), nullable=False),
        sa.Column(
            "read_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("rendered_by", sa.Text(), nullable=True),
        sa.Column("rendered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("audio_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_take_audio_digest")),
        sa.CheckConstraint("tokens_digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_take_tokens_digest")),
        sa.CheckConstraint(
            "verdict IN ('pass', 'fail', 'inconclusive')", name=op.f("ck_take_verdict")
        ),
        sa.CheckConstraint("number >= 0", name=op.f("ck_take_number")),
        sa.CheckConstraint(
            "verdict IS NULL OR audio_digest IS NOT NULL", name=op.f("ck_take_judged_sound")
        ),
        sa.ForeignKeyConstraint(
            ["production_id"], ["production.id"], name=op.f("fk_take_production_id")
        ),
        sa.ForeignKeyConstraint(["window_id"], ["window.id"], name=op.f("fk_take_window_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_take")),
        sa.UniqueConstraint("window_id", "number", name=op.f("uq_take_window_id_number")),
    )
    op.create_index("ix_take_production", "take", ["production_id"], unique=False)
    op.create_table(
        "release_file",
        sa.Column("release_id", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_release_file_digest")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_release_file_size")),
        sa.ForeignKeyConstraint(
            ["release_id"], ["release.id"], name=op.f("fk_release_file_release_id")
        ),
        sa.PrimaryKeyConstraint("release_id", "path", name=op.f("pk_release_file")),
    )


def downgrade() -> None:
    """Drop them, and all that is in them."""
    op.drop_table("release_file")
    op.drop_table("take")
    op.drop_table("release")
    op.drop_table("window")
    op.drop_table("review")
    op.drop_table("qa_report")
    op.drop_table("chapter")
    op.drop_table("production")
    op.drop_table("consent")
    op.drop_table("voice")
    op.drop_table("manuscript")
    op.drop_table("event")
