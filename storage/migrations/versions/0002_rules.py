"""The rules that hold whoever writes: legal steps, the audit, consent, approval, and the queue.

Every refusal has a code of its own (LE001 … LE005), which `storage.database` turns into an error.
The lists are written out here, and stay as they are, because a migration is history.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STEPS = {
    "voice": ("enrolled", "enrolled>erasing erasing>erased"),
    "consent": ("given", "given>revoked"),
    "production": (
        "submitted",
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
        " refused>producing refused>cancelled",
    ),
    "chapter": (
        "planned",
        "planned>reading reading>planned reading>read reading>dead read>accepted"
        " accepted>mastering accepted>read mastering>accepted mastering>mastered mastering>dead"
        " mastered>read dead>planned dead>accepted",
    ),
    "window": (
        "planned",
        "planned>read read>rendering rendering>read rendering>rendered rendering>dead"
        " rendered>judging judging>rendered judging>accepted judging>redo judging>dead"
        " accepted>redo redo>rereading rereading>redo rereading>read rereading>dead dead>redo"
        " dead>read dead>rendered",
    ),
    "release": ("granted", "granted>published granted>abandoned"),
}

SAID = """
CREATE FUNCTION lectern_said(setting text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    said text := current_setting('lectern.' || setting, true);
BEGIN
    IF said IS NULL OR said = '' THEN
        RAISE EXCEPTION 'a change of state must say who and why: lectern.% is not set', setting
            USING ERRCODE = 'LE002';
    END IF;
    RETURN said;
END $$;
"""

GUARD_STATE = """
CREATE FUNCTION lectern_guard_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> TG_ARGV[0] THEN
            RAISE EXCEPTION 'a new % begins as %, not as %', TG_TABLE_NAME, TG_ARGV[0], NEW.state
                USING ERRCODE = 'LE001';
        END IF;
    ELSIF OLD.state || '>' || NEW.state <> ALL (TG_ARGV) THEN
        RAISE EXCEPTION '% % is % and cannot become %', TG_TABLE_NAME, NEW.id, OLD.state, NEW.state
            USING ERRCODE = 'LE001';
    END IF;
    RETURN NEW;
END $$;
"""

RECORD_ROW = """
CREATE FUNCTION lectern_record_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    facts jsonb := to_jsonb(NEW);
    was text := CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) ->> 'state' END;
    about bigint := CASE TG_TABLE_NAME WHEN 'production' THEN NEW.id
                    ELSE (facts ->> 'production_id')::bigint END;
BEGIN
    INSERT INTO event
        (subject, subject_id, production_id, from_state, to_state, actor, reason, detail)
    SELECT TG_TABLE_NAME, NEW.id, about, was, facts ->> 'state',
           lectern_said('actor'), lectern_said('reason'),
           coalesce(jsonb_object_agg(name, facts -> name), '{}')
    FROM unnest(TG_ARGV) AS name;
    RETURN NULL;
END $$;
"""

RECORD_WORK = """
CREATE FUNCTION lectern_record_work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event
        (subject, subject_id, production_id, from_state, to_state, actor, reason, detail)
    SELECT TG_TABLE_NAME, after.id, after.production_id, before.state, after.state,
           lectern_said('actor'), lectern_said('reason'),
           jsonb_strip_nulls(jsonb_build_object('lease', after.lease, 'trouble', after.trouble))
    FROM before JOIN after USING (id)
    WHERE before.state <> after.state;
    RETURN NULL;
END $$;
"""

PROTECT = """
CREATE FUNCTION lectern_protect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are records: % is not allowed', TG_TABLE_NAME, lower(TG_OP)
        USING ERRCODE = 'LE005';
END $$;
"""

GUARD_CONSENT = """
CREATE FUNCTION lectern_guard_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - '{state,revoked_at}'::text[] <> to_jsonb(OLD) - '{state,revoked_at}'::text[]
    THEN
        RAISE EXCEPTION 'consent % is a record: it can only be revoked', OLD.id
            USING ERRCODE = 'LE005';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION lectern_consent_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE production
    SET state = 'refused', trouble = format('consent %s was revoked', NEW.id)
    WHERE consent_id = NEW.id
      AND state IN ('submitted', 'admitted', 'producing', 'mastered', 'awaiting_review',
                    'approved', 'rejected', 'publishing');
    RETURN NULL;
END $$;
"""

REFUSAL = """
CREATE FUNCTION lectern_refusal
    (of_voice bigint, by_consent bigint, of_manuscript bigint, places text[], purpose text)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    consent consent;
    voice voice;
    manuscript manuscript;
    moment timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO consent FROM consent WHERE id = by_consent;
    SELECT * INTO voice FROM voice WHERE id = of_voice;
    SELECT * INTO manuscript FROM manuscript WHERE id = of_manuscript;
    RETURN CASE
        WHEN voice.state <> 'enrolled' THEN
            format('voice %s is %s', voice.id, voice.state)
        WHEN consent.voice_id <> of_voice THEN
            format('consent %s is for another voice', consent.id)
        WHEN consent.state = 'revoked' THEN
            format('consent %s was revoked', consent.id)
        WHEN moment < consent.valid_from THEN
            format('consent %s begins on %s', consent.id, consent.valid_from)
        WHEN moment >= consent.valid_until THEN
            format('consent %s ended on %s', consent.id, consent.valid_until)
        WHEN purpose <> ALL (consent.scope) THEN
            format('consent %s does not cover %s', consent.id, purpose)
        WHEN NOT ('WORLD' = ANY (consent.territories) OR places <@ consent.territories) THEN
            format('consent %s covers %s only', consent.id,
                   array_to_string(consent.territories, ', '))
        WHEN moment >= manuscript.rights_until THEN
            format('the text rights in manuscript %s ended on %s', manuscript.id,
                   manuscript.rights_until)
        WHEN NOT ('WORLD' = ANY (manuscript.rights_territories)
                  OR places <@ manuscript.rights_territories) THEN
            format('the text rights in manuscript %s cover %s only', manuscript.id,
                   array_to_string(manuscript.rights_territories, ', '))
    END;
END $$;

CREATE FUNCTION lectern_work_refusal(of_production bigint)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    p production;
BEGIN
    SELECT * INTO p FROM production WHERE id = of_production;
    IF p.state <> 'producing' THEN
        RETURN format('production %s is %s', p.id, p.state);
    END IF;
    RETURN lectern_refusal(p.voice_id, p.consent_id, p.manuscript_id, p.territories, 'narration');
END $$;

CREATE FUNCTION lectern_approval_refusal(of_production bigint, content text)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    report qa_report;
    last_review review;
BEGIN
    SELECT * INTO report FROM qa_report WHERE production_id = of_production
    ORDER BY id DESC LIMIT 1;
    SELECT * INTO last_review FROM review WHERE production_id = of_production
    ORDER BY id DESC LIMIT 1;
    RETURN CASE
        WHEN report.id IS NULL THEN
            format('production %s has no report', of_production)
        WHEN content IS NULL OR report.content_digest <> content THEN
            format('production %s changed since its report', of_production)
        WHEN last_review.id IS NULL THEN
            format('production %s has no review', of_production)
        WHEN last_review.decision <> 'approved' THEN
            format('production %s was rejected by %s', of_production, last_review.reviewer)
        WHEN last_review.qa_report_id <> report.id OR last_review.report_digest <> report.digest
        THEN
            format('the approval of production %s is of an older report', of_production)
    END;
END $$;
"""

GUARD_PRODUCTION = """
CREATE FUNCTION lectern_guard_production() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    why text;
BEGIN
    -- One point of priority is worth six hours of waiting; a due date counts from a week before.
    NEW.rank := least(NEW.submitted_at - NEW.priority * interval '6 hours',
                      NEW.due_at - interval '7 days');
    IF TG_OP = 'UPDATE' AND OLD.state = NEW.state THEN
        IF OLD.content_digest IS DISTINCT FROM NEW.content_digest
           OR OLD.consent_id <> NEW.consent_id THEN
            RAISE EXCEPTION 'production %: consent and content change only with the state', NEW.id
                USING ERRCODE = 'LE005';
        END IF;
        RETURN NEW;
    END IF;
    NEW.state_changed_at := now();
    IF NEW.state NOT IN ('failed', 'refused') THEN
        NEW.trouble := NULL;
    END IF;
    IF NEW.state IN ('submitted', 'admitted', 'producing', 'approved', 'publishing', 'published')
    THEN
        PERFORM FROM consent WHERE id = NEW.consent_id FOR SHARE;
        why := lectern_refusal(NEW.voice_id, NEW.consent_id, NEW.manuscript_id, NEW.territories,
                               CASE WHEN NEW.state IN ('publishing', 'published')
                               THEN 'publication' ELSE 'narration' END);
        IF why IS NOT NULL THEN
            RAISE EXCEPTION 'production % is refused: %', NEW.id, why USING ERRCODE = 'LE003';
        END IF;
    END IF;
    IF NEW.state IN ('approved', 'publishing', 'published') THEN
        why := lectern_approval_refusal(NEW.id, NEW.content_digest);
        IF why IS NOT NULL THEN
            RAISE EXCEPTION '%', why USING ERRCODE = 'LE004';
        END IF;
    END IF;
    IF NEW.state IN ('submitted', 'admitted', 'producing') THEN
        NEW.content_digest := NULL;
    ELSIF NEW.state = 'mastered' AND (NEW.content_digest IS NULL OR EXISTS (
        SELECT FROM chapter WHERE production_id = NEW.id AND state <> 'mastered')) THEN
        RAISE EXCEPTION 'production % has chapters that are not mastered', NEW.id
            USING ERRCODE = 'LE001';
    ELSIF NEW.state = 'awaiting_review' AND NOT EXISTS (
        SELECT FROM qa_report
        WHERE production_id = NEW.id AND content_digest = NEW.content_digest) THEN
        RAISE EXCEPTION 'production % has no report on its present content', NEW.id
            USING ERRCODE = 'LE004';
    ELSIF NEW.state = 'published' AND NOT EXISTS (
        SELECT FROM release WHERE production_id = NEW.id AND state = 'published') THEN
        RAISE EXCEPTION 'production % has no published release', NEW.id USING ERRCODE = 'LE001';
    END IF;
    IF NEW.state = 'producing' AND NOT EXISTS (
        SELECT FROM chapter WHERE production_id = NEW.id) THEN
        RAISE EXCEPTION 'production % has no chapters to produce', NEW.id USING ERRCODE = 'LE001';
    END IF;
    RETURN NEW;
END $$;
"""

QUEUE_PRODUCTION = """
CREATE FUNCTION lectern_queue_production() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Chapters before windows: a reader holds its chapter while it makes a window ready.
    IF NEW.state = 'producing' THEN
        UPDATE chapter SET rank = NEW.rank
        WHERE production_id = NEW.id AND state IN ('planned', 'reading', 'accepted', 'mastering')
          AND rank IS DISTINCT FROM NEW.rank;
        UPDATE "window" SET rank = NEW.rank
        WHERE chapter_id IN (SELECT id FROM chapter WHERE production_id = NEW.id)
          AND state IN ('read', 'rendering', 'rendered', 'judging', 'redo', 'rereading')
          AND rank IS DISTINCT FROM NEW.rank;
    ELSE
        UPDATE chapter
        SET rank = NULL, leased_by = NULL, lease_until = NULL, not_before = NULL,
            lease = lease + (state IN ('reading', 'mastering'))::int,
            state = CASE state WHEN 'reading' THEN 'planned' WHEN 'mastering' THEN 'accepted'
                    ELSE state END
        WHERE production_id = NEW.id AND rank IS NOT NULL;
        UPDATE "window"
        SET rank = NULL, leased_by = NULL, lease_until = NULL, not_before = NULL,
            lease = lease + (state IN ('rendering', 'judging', 'rereading'))::int,
            state = CASE state WHEN 'rendering' THEN 'read' WHEN 'judging' THEN 'rendered'
                    WHEN 'rereading' THEN 'redo' ELSE state END
        WHERE chapter_id IN (SELECT id FROM chapter WHERE production_id = NEW.id)
          AND rank IS NOT NULL;
    END IF;
    IF NEW.state NOT IN ('publishing', 'published') THEN
        UPDATE release SET state = 'abandoned'
        WHERE production_id = NEW.id AND state = 'granted';
    END IF;
    RETURN NULL;
END $$;
"""

GUARD_CURSOR = """
CREATE FUNCTION lectern_guard_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.windows <> OLD.windows OR NEW.cursor NOT BETWEEN OLD.cursor AND OLD.cursor + 1 THEN
        RAISE EXCEPTION 'chapter %: the cursor moves from % by one window only', NEW.id, OLD.cursor
            USING ERRCODE = 'LE001';
    END IF;
    IF NEW.cursor > OLD.cursor AND NOT EXISTS (
        SELECT FROM "window"
        WHERE chapter_id = NEW.id AND number = OLD.cursor AND state <> 'planned') THEN
        RAISE EXCEPTION 'chapter %: window % is not committed yet', NEW.id, OLD.cursor
            USING ERRCODE = 'LE001';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION lectern_guard_span() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'window %: its number and span never change', OLD.id USING ERRCODE = 'LE005';
END $$;
"""

FUNCTIONS = (
    SAID,
    GUARD_STATE,
    RECORD_ROW,
    RECORD_WORK,
    PROTECT,
    GUARD_CONSENT,
    REFUSAL,
    GUARD_PRODUCTION,
    QUEUE_PRODUCTION,
    GUARD_CURSOR,
)

NAMES = (
    "lectern_guard_span",
    "lectern_guard_cursor",
    "lectern_queue_production",
    "lectern_guard_production",
    "lectern_approval_refusal",
    "lectern_work_refusal",
    "lectern_refusal",
    "lectern_consent_revoked",
    "lectern_guard_consent",
    "lectern_protect",
    "lectern_record_work",
    "lectern_record_row",
    "lectern_guard_state",
    "lectern_said",
)

DETAILS = {
    "voice": ("name", "digest"),
    "consent": ("voice_id", "digest"),
    "production": ("trouble",),
    "release": ("content_digest", "release_digest", "granted_to"),
}
"""What the event of a stateful row tells beside the state."""

RECORDS = {
    "manuscript": ("title", "digest"),
    "qa_report": ("digest", "content_digest", "verdict"),
    "review": ("report_digest", "decision", "reviewer"),
}
"""What the event of a row without states tells when it is added."""


def _arguments(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _guard(table: str) -> None:
    initial, steps = STEPS[table]
    op.execute(
        f'CREATE TRIGGER a_guard_new_state BEFORE INSERT ON "{table}" FOR EACH ROW'
        f" EXECUTE FUNCTION lectern_guard_state('{initial}')"
    )
    op.execute(
        f'CREATE TRIGGER a_guard_state BEFORE UPDATE ON "{table}" FOR EACH ROW'
        " WHEN (OLD.state IS DISTINCT FROM NEW.state)"
        f" EXECUTE FUNCTION lectern_guard_state({_arguments(tuple(steps.split()))})"
    )


def _record_rows(table: str, facts: tuple[str, ...]) -> None:
    op.execute(
        f"CREATE TRIGGER record_new AFTER INSERT ON {table} FOR EACH ROW"
        f" EXECUTE FUNCTION lectern_record_row({_arguments(facts)})"
    )
    if table in STEPS:
        op.execute(
            f"CREATE TRIGGER a_record_state AFTER UPDATE ON {table} FOR EACH ROW"
            " WHEN (OLD.state IS DISTINCT FROM NEW.state)"
            f" EXECUTE FUNCTION lectern_record_row({_arguments(facts)})"
        )


def _protect(table: str, operations: str) -> None:
    op.execute(
        f"CREATE TRIGGER protect BEFORE {operations} ON {table} FOR EACH STATEMENT"
        " EXECUTE FUNCTION lectern_protect()"
    )


def upgrade() -> None:
    """Create the functions and set them on the tables."""
    for function in FUNCTIONS:
        op.execute(function)
    for table in STEPS:
        _guard(table)
    for table, facts in (DETAILS | RECORDS).items():
        _record_rows(table, facts)
    for table in ("chapter", "window"):
        op.execute(
            f'CREATE TRIGGER record_state AFTER UPDATE ON "{table}"'
            " REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT"
            " EXECUTE FUNCTION lectern_record_work()"
        )
    for table in ("event", "review", "qa_report"):
        _protect(table, "UPDATE OR DELETE OR TRUNCATE")
    _protect("consent", "DELETE OR TRUNCATE")
    for statement in (
        "CREATE TRIGGER guard_record BEFORE UPDATE ON consent FOR EACH ROW"
        " EXECUTE FUNCTION lectern_guard_consent()",
        "CREATE TRIGGER refuse_productions AFTER UPDATE ON consent FOR EACH ROW"
        " WHEN (NEW.state = 'revoked' AND OLD.state <> 'revoked')"
        " EXECUTE FUNCTION lectern_consent_revoked()",
        "CREATE TRIGGER b_guard_rules BEFORE INSERT OR UPDATE ON production FOR EACH ROW"
        " EXECUTE FUNCTION lectern_guard_production()",
        "CREATE TRIGGER queue_work AFTER UPDATE ON production FOR EACH ROW"
        " WHEN (OLD.state <> NEW.state OR OLD.rank <> NEW.rank)"
        " EXECUTE FUNCTION lectern_queue_production()",
        "CREATE TRIGGER guard_cursor BEFORE UPDATE ON chapter FOR EACH ROW"
        " WHEN (OLD.cursor <> NEW.cursor OR OLD.windows <> NEW.windows)"
        " EXECUTE FUNCTION lectern_guard_cursor()",
        'CREATE TRIGGER guard_span BEFORE UPDATE ON "window" FOR EACH ROW'
        " WHEN ((OLD.chapter_id, OLD.number, OLD.unit_start, OLD.unit_end)"
        " IS DISTINCT FROM (NEW.chapter_id, NEW.number, NEW.unit_start, NEW.unit_end))"
        " EXECUTE FUNCTION lectern_guard_span()",
    ):
        op.execute(statement)


def downgrade() -> None:
    """Drop the functions, and with them the triggers; the rows stay."""
    for name in NAMES:
        op.execute(f"DROP FUNCTION {name} CASCADE")
