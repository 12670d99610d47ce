-- The work queue: every statement that leases, fences, completes or gives back work, by name.
--
-- A row is leased by moving it from its stage's ready state to its busy state, which raises its lease number.
-- That number is the fence: every later write must carry it, and finds nothing to write to once the row was
-- given to somebody else, parked with its production, or reclaimed. Time is always the database's own.
--
-- Statements that are a transaction of their own say who and why in what they return: the audit's trigger
-- runs at the end of the statement and finds it said, and no round trip is spent on saying it first.

-- name: lease_windows
WITH picked AS (
    SELECT id
    FROM "window"
    WHERE state = :ready
      AND rank IS NOT NULL
      AND (CAST(:production_id AS bigint) IS NULL OR production_id = CAST(:production_id AS bigint))
      AND (not_before IS NULL OR not_before <= now())
      AND production_id NOT IN (
          SELECT id FROM production WHERE state = 'producing' AND profile <> CAST(:profile AS text))
      AND lectern_claim(production_id, CAST(:profile AS text))
    ORDER BY rank, id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE "window" AS w
    SET state = :busy,
        lease = w.lease + 1,
        leased_by = :worker,
        lease_until = now() + :lease_s * interval '1 second',
        attempts = w.attempts + 1,
        not_before = NULL,
        trouble = NULL
    FROM picked
    WHERE w.id = picked.id
    RETURNING w.*, set_config('lectern.actor', :worker, true) AS who,
              set_config('lectern.reason', :reason, true) AS why
)
SELECT leased.id, leased.lease, leased.production_id, leased.chapter_id, leased.number,
       leased.unit_start, leased.unit_end, leased.take, leased.attempts, leased.directions,
       leased.entry_snapshot_key, leased.entry_snapshot_digest,
       chapter.number AS chapter_number, chapter.script_key, chapter.script_digest,
       take.tokens_key, take.tokens_digest, take.audio_key, take.audio_digest, take.duration_s
FROM leased
JOIN chapter ON chapter.id = leased.chapter_id
LEFT JOIN take ON take.window_id = leased.id AND take.number = leased.take
ORDER BY leased.rank, leased.id;

-- name: lease_chapters
WITH picked AS (
    SELECT id
    FROM chapter
    WHERE state = :ready
      AND rank IS NOT NULL
      AND (CAST(:production_id AS bigint) IS NULL OR production_id = CAST(:production_id AS bigint))
      AND (not_before IS NULL OR not_before <= now())
      AND production_id NOT IN (
          SELECT id FROM production WHERE state = 'producing' AND profile <> CAST(:profile AS text))
      AND lectern_claim(production_id, CAST(:profile AS text))
    ORDER BY rank, id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE chapter AS c
SET state = :busy,
    lease = c.lease + 1,
    leased_by = :worker,
    lease_until = now() + :lease_s * interval '1 second',
    attempts = c.attempts + 1,
    not_before = NULL,
    trouble = NULL
FROM picked
WHERE c.id = picked.id
RETURNING c.id, c.lease, c.production_id, c.number, c.title, c.script_key, c.script_digest,
          c.windows, c.cursor, c.snapshot_key, c.snapshot_digest, c.attempts, c.rank,
          set_config('lectern.actor', :worker, true) AS who,
          set_config('lectern.reason', :reason, true) AS why;

-- name: heartbeat_windows
UPDATE "window" AS w
SET lease_until = now() + :lease_s * interval '1 second'
FROM unnest(CAST(:ids AS bigint[]), CAST(:leases AS bigint[])) AS held (id, lease)
WHERE w.id = held.id AND w.lease = held.lease AND w.leased_by IS NOT NULL
RETURNING w.id;

-- name: heartbeat_chapters
UPDATE chapter AS c
SET lease_until = now() + :lease_s * interval '1 second'
FROM unnest(CAST(:ids AS bigint[]), CAST(:leases AS bigint[])) AS held (id, lease)
WHERE c.id = held.id AND c.lease = held.lease AND c.leased_by IS NOT NULL
RETURNING c.id;

-- name: leasing_workers
SELECT DISTINCT leased_by FROM "window" WHERE state IN ('rendering', 'judging', 'rereading')
UNION
SELECT leased_by FROM chapter WHERE state IN ('reading', 'mastering');

-- name: expire_windows
-- The leases of workers that are known to be dead run out now, not when their time is over.
UPDATE "window" SET lease_until = now() - interval '1 microsecond'
WHERE state IN ('rendering', 'judging', 'rereading') AND leased_by = ANY (CAST(:workers AS text[]));

-- name: expire_chapters
UPDATE chapter SET lease_until = now() - interval '1 microsecond'
WHERE state IN ('reading', 'mastering') AND leased_by = ANY (CAST(:workers AS text[]));

-- name: fence_readings
-- Locks the chapters whose lease and cursor still stand; the next two statements write for these only.
SELECT c.id, c.lease, lectern_work_refusal(c.production_id) AS refusal
FROM chapter AS c
JOIN jsonb_to_recordset(CAST(:rows AS jsonb)) AS done (id bigint, lease bigint, number integer)
    ON c.id = done.id AND c.lease = done.lease AND c.cursor = done.number
WHERE c.state = 'reading'
ORDER BY c.id
FOR UPDATE OF c;

-- name: commit_windows
WITH done AS (
    SELECT *
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS rows (
        id bigint, number integer, seed numeric, tokens_key text, tokens_digest text)
), read AS (
    UPDATE "window" AS w
    SET state = 'read',
        entry_snapshot_key = c.snapshot_key,
        entry_snapshot_digest = c.snapshot_digest,
        rank = c.rank,
        attempts = 0
    FROM done
    JOIN chapter AS c ON c.id = done.id
    WHERE w.chapter_id = done.id AND w.number = done.number AND w.state = 'planned'
    RETURNING w.id, w.production_id, w.take, w.entry_snapshot_key,
              done.seed, done.tokens_key, done.tokens_digest
)
INSERT INTO take (production_id, window_id, number, seed, entry_snapshot_key, tokens_key,
                  tokens_digest, read_by)
SELECT production_id, id, take, seed, entry_snapshot_key, tokens_key, tokens_digest, :worker
FROM read;

-- name: advance_cursors
UPDATE chapter AS c
SET cursor = c.cursor + 1,
    snapshot_key = done.snapshot_key,
    snapshot_digest = done.snapshot_digest,
    attempts = 1,
    state = CASE WHEN c.cursor + 1 = c.windows THEN 'read' ELSE 'reading' END,
    rank = CASE WHEN c.cursor + 1 < c.windows THEN c.rank END,
    leased_by = CASE WHEN c.cursor + 1 < c.windows THEN c.leased_by END,
    lease_until = CASE WHEN c.cursor + 1 < c.windows
                  THEN now() + :lease_s * interval '1 second' END
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS done (
    id bigint, snapshot_key text, snapshot_digest text)
WHERE c.id = done.id
RETURNING c.id, c.cursor, c.windows;

-- name: complete_rereadings
WITH done AS (
    SELECT *
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS rows (
        id bigint, lease bigint, seed numeric, tokens_key text, tokens_digest text)
), fenced AS (
    SELECT w.id, w.lease, lectern_work_refusal(w.production_id) AS refusal
    FROM "window" AS w
    JOIN done ON done.id = w.id AND done.lease = w.lease
    WHERE w.state = 'rereading'
    ORDER BY w.id
    FOR UPDATE OF w
), read AS (
    UPDATE "window" AS w
    SET state = 'read', leased_by = NULL, lease_until = NULL, attempts = 0
    FROM fenced
    JOIN done ON done.id = fenced.id AND done.lease = fenced.lease
    WHERE w.id = fenced.id AND fenced.refusal IS NULL
    RETURNING w.id, w.production_id, w.take, w.entry_snapshot_key,
              done.seed, done.tokens_key, done.tokens_digest,
              set_config('lectern.actor', :worker, true) AS who,
              set_config('lectern.reason', :reason, true) AS why
), taken AS (
    INSERT INTO take (production_id, window_id, number, seed, entry_snapshot_key, tokens_key,
                      tokens_digest, read_by)
    SELECT production_id, id, take, seed, entry_snapshot_key, tokens_key, tokens_digest, :worker
    FROM read
)
SELECT id, lease, refusal FROM fenced;

-- name: complete_renderings
WITH done AS (
    SELECT *
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS rows (
        id bigint, lease bigint, take smallint, audio_key text, audio_digest text,
        duration_s double precision, measures jsonb)
), fenced AS (
    SELECT w.id, w.lease, lectern_work_refusal(w.production_id) AS refusal
    FROM "window" AS w
    JOIN done ON done.id = w.id AND done.lease = w.lease
    WHERE w.state = 'rendering'
    ORDER BY w.id
    FOR UPDATE OF w
), rendered AS (
    UPDATE "window" AS w
    SET state = 'rendered', leased_by = NULL, lease_until = NULL, attempts = 0
    FROM fenced
    WHERE w.id = fenced.id AND fenced.refusal IS NULL
    RETURNING w.id, w.lease, set_config('lectern.actor', :worker, true) AS who,
              set_config('lectern.reason', :reason, true) AS why
), sounded AS (
    UPDATE take AS t
    SET audio_key = done.audio_key,
        audio_digest = done.audio_digest,
        duration_s = done.duration_s,
        measures = done.measures,
        rendered_by = :worker,
        rendered_at = now()
    FROM rendered
    JOIN done ON done.id = rendered.id AND done.lease = rendered.lease
    WHERE t.window_id = done.id AND t.number = done.take
)
SELECT id, lease, refusal FROM fenced;

-- name: complete_judgements
WITH done AS (
    SELECT *
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS rows (
        id bigint, lease bigint, take smallint, chosen_take smallint, verdict text,
        measures jsonb, reason text)
), fenced AS (
    SELECT w.id, w.lease, lectern_work_refusal(w.production_id) AS refusal
    FROM "window" AS w
    JOIN done ON done.id = w.id AND done.lease = w.lease
    WHERE w.state = 'judging'
    ORDER BY w.id
    FOR UPDATE OF w
), settled AS (
    UPDATE "window" AS w
    SET state = CASE WHEN done.chosen_take IS NULL THEN 'redo' ELSE 'accepted' END,
        take = w.take + CAST(done.chosen_take IS NULL AS integer),
        chosen_take = done.chosen_take,
        rank = CASE WHEN done.chosen_take IS NULL THEN w.rank END,
        leased_by = NULL,
        lease_until = NULL,
        attempts = 0,
        trouble = done.reason
    FROM fenced
    JOIN done ON done.id = fenced.id AND done.lease = fenced.lease
    WHERE w.id = fenced.id AND fenced.refusal IS NULL
    RETURNING w.id, w.lease
), judged AS (
    UPDATE take AS t
    SET verdict = done.verdict,
        measures = t.measures || done.measures,
        judged_at = now()
    FROM settled
    JOIN done ON done.id = settled.id AND done.lease = settled.lease
    WHERE t.window_id = done.id AND t.number = done.take
)
SELECT id, lease, refusal FROM fenced;

-- name: lock_productions
-- Locks are always taken in the order production, chapter, window.
SELECT id FROM production WHERE id = ANY (CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE;

-- name: lock_chapters
-- Whoever accepts a chapter's last window must see what others accepted: lock first, count afterwards.
SELECT id FROM chapter WHERE id = ANY (CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE;

-- name: accept_chapters
UPDATE chapter AS c
SET state = 'accepted',
    attempts = 0,
    rank = (SELECT p.rank FROM production AS p
            WHERE p.id = c.production_id AND p.state = 'producing')
WHERE c.id = ANY (CAST(:ids AS bigint[]))
  AND c.state = 'read'
  AND NOT EXISTS (
      SELECT FROM "window" AS w WHERE w.chapter_id = c.id AND w.state <> 'accepted');

-- name: complete_masterings
WITH done AS (
    SELECT *
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS rows (
        id bigint, lease bigint, audio_key text, audio_digest text, times_key text,
        times_digest text, duration_s double precision, content_digest text, measures jsonb)
), fenced AS (
    SELECT c.id, c.lease, lectern_work_refusal(c.production_id) AS refusal
    FROM chapter AS c
    JOIN done ON done.id = c.id AND done.lease = c.lease
    WHERE c.state = 'mastering'
    ORDER BY c.id
    FOR UPDATE OF c
), mastered AS (
    UPDATE chapter AS c
    SET state = 'mastered', rank = NULL, leased_by = NULL, lease_until = NULL, attempts = 0,
        audio_key = done.audio_key,
        audio_digest = done.audio_digest,
        times_key = done.times_key,
        times_digest = done.times_digest,
        duration_s = done.duration_s,
        content_digest = done.content_digest,
        measures = done.measures
    FROM fenced
    JOIN done ON done.id = fenced.id AND done.lease = fenced.lease
    WHERE c.id = fenced.id AND fenced.refusal IS NULL
    RETURNING set_config('lectern.actor', :worker, true) AS who,
              set_config('lectern.reason', :reason, true) AS why
)
SELECT id, lease, refusal FROM fenced;

-- name: give_back_windows
-- `counts`: the attempt counts; too many, or one that cannot be repeated, make a dead letter.
-- `expired`: only where the lease ran out (it may have been prolonged since it was found); such work has
-- waited for a lease's length already, and is free at once.
UPDATE "window" AS w
SET state = CASE WHEN back.dead OR (:counts AND w.attempts >= :max_attempts) THEN 'dead'
            ELSE CASE w.state WHEN 'rendering' THEN 'read' WHEN 'judging' THEN 'rendered'
                 WHEN 'rereading' THEN 'redo' END END,
    rank = CASE WHEN back.dead OR (:counts AND w.attempts >= :max_attempts) THEN NULL
           ELSE w.rank END,
    lease = w.lease + 1,
    leased_by = NULL,
    lease_until = NULL,
    attempts = CASE WHEN :counts THEN w.attempts ELSE greatest(w.attempts - 1, 0) END,
    not_before = CASE WHEN :counts AND NOT :expired
                 THEN now() + least(:backoff_s * power(2, w.attempts - 1), :longest_backoff_s)
                      * interval '1 second' END,
    trouble = back.trouble
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS back (
    id bigint, lease bigint, dead boolean, trouble text)
WHERE w.id = back.id AND w.lease = back.lease AND w.leased_by IS NOT NULL
  AND (NOT :expired OR w.lease_until < now())
RETURNING w.id, w.production_id, w.state, w.attempts, w.trouble;

-- name: give_back_chapters
UPDATE chapter AS c
SET state = CASE WHEN back.dead OR (:counts AND c.attempts >= :max_attempts) THEN 'dead'
            ELSE CASE c.state WHEN 'reading' THEN 'planned' WHEN 'mastering' THEN 'accepted' END END,
    rank = CASE WHEN back.dead OR (:counts AND c.attempts >= :max_attempts) THEN NULL
           ELSE c.rank END,
    lease = c.lease + 1,
    leased_by = NULL,
    lease_until = NULL,
    attempts = CASE WHEN :counts THEN c.attempts ELSE greatest(c.attempts - 1, 0) END,
    not_before = CASE WHEN :counts AND NOT :expired
                 THEN now() + least(:backoff_s * power(2, c.attempts - 1), :longest_backoff_s)
                      * interval '1 second' END,
    trouble = back.trouble
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS back (
    id bigint, lease bigint, dead boolean, trouble text)
WHERE c.id = back.id AND c.lease = back.lease AND c.leased_by IS NOT NULL
  AND (NOT :expired OR c.lease_until < now())
RETURNING c.id, c.production_id, c.state, c.attempts, c.trouble;

-- name: fail_productions
-- A dead letter fails its production: the rest of its work is parked until somebody retries or cancels it.
UPDATE production AS p
SET state = 'failed', trouble = failed.trouble
FROM (
    SELECT id, string_agg(trouble, '; ' ORDER BY trouble) AS trouble
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS rows (id bigint, trouble text)
    GROUP BY id
) AS failed
WHERE p.id = failed.id AND p.state = 'producing';

-- name: stalled
-- All leases that ran out, longest silence first; one query for the whole factory.
SELECT 'window' AS subject, id, production_id, state, lease, leased_by, lease_until, attempts
FROM "window"
WHERE state IN ('rendering', 'judging', 'rereading') AND lease_until < now()
UNION ALL
SELECT 'chapter', id, production_id, state, lease, leased_by, lease_until, attempts
FROM chapter
WHERE state IN ('reading', 'mastering') AND lease_until < now()
ORDER BY lease_until, id
LIMIT :limit;

-- name: refuse_lapsed
-- Productions whose consent or text rights lapsed by date while they were being produced.
UPDATE production AS p
SET state = 'refused', trouble = lapsed.why
FROM (
    SELECT id, lectern_work_refusal(id) AS why FROM production
    WHERE state = 'producing'
    FOR UPDATE SKIP LOCKED
) AS lapsed
WHERE p.id = lapsed.id AND lapsed.why IS NOT NULL AND p.state = 'producing'
RETURNING p.id, p.trouble;

-- name: depth
SELECT state, count(*) AS rows, count(*) FILTER (WHERE not_before > now()) AS delayed
FROM "window"
WHERE rank IS NOT NULL
  AND production_id NOT IN (
      SELECT id FROM production WHERE state = 'producing' AND profile <> CAST(:profile AS text))
GROUP BY state
UNION ALL
SELECT 'chapter ' || state, count(*), count(*) FILTER (WHERE not_before > now())
FROM chapter
WHERE rank IS NOT NULL
  AND production_id NOT IN (
      SELECT id FROM production WHERE state = 'producing' AND profile <> CAST(:profile AS text))
GROUP BY state;

-- name: dead_letters
SELECT 'window' AS subject, w.id, w.production_id, c.number AS chapter_number, w.number, w.attempts,
       w.trouble
FROM "window" AS w
JOIN chapter AS c ON c.id = w.chapter_id
WHERE w.state = 'dead'
UNION ALL
SELECT 'chapter', c.id, c.production_id, c.number, NULL, c.attempts, c.trouble
FROM chapter AS c
WHERE c.state = 'dead'
ORDER BY production_id, chapter_number, number;

-- name: revive_windows
-- A dead window takes up where its take stands.
UPDATE "window" AS w
SET state = CASE WHEN t.id IS NULL THEN 'redo' WHEN t.audio_key IS NULL THEN 'read'
            ELSE 'rendered' END,
    attempts = 0, trouble = NULL, not_before = NULL
FROM "window" AS dead
LEFT JOIN take AS t ON t.window_id = dead.id AND t.number = dead.take
WHERE w.id = dead.id AND dead.state = 'dead' AND w.state = 'dead'
  AND dead.production_id = :production_id
  AND dead.chapter_id IN (SELECT id FROM chapter WHERE production_id = :production_id);

-- name: revive_chapters
UPDATE chapter
SET state = CASE WHEN cursor < windows THEN 'planned' ELSE 'accepted' END,
    attempts = 0, trouble = NULL, not_before = NULL
WHERE production_id = :production_id AND state = 'dead';
