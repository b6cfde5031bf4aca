-- The questions of the first day. The same text for SQLite and PostgreSQL; made with the tables.

DROP VIEW IF EXISTS is_anything_missing;
DROP VIEW IF EXISTS lag;
DROP VIEW IF EXISTS gap;
DROP VIEW IF EXISTS steps_per_day;
DROP VIEW IF EXISTS identified_value;
DROP VIEW IF EXISTS blood_pressure;
DROP VIEW IF EXISTS current_value;
DROP VIEW IF EXISTS current_goal_result;

-- One row per quantity of each reading that counts: the last revision, not retracted, no test.
CREATE VIEW current_value AS
SELECT r.reading_row, h.site, h.hub, r.subject, r.metric AS reading_metric, c.metric, c.value,
	c.number, c.unit, c.absent, r.measured_at_ms, r.measured_at, r.local_date, r.duration_ms,
	r.flags, r.clock, r.confidence, r.driver, r.model, r.serial_digest, r.reading_id, r.revision
FROM reading r
JOIN hub h ON h.hub_id = r.hub_id
JOIN component c ON c.reading_row = r.reading_row
WHERE r.superseded = 0 AND r.retracted = 0 AND r.test = 0;

-- Blood pressure as pairs, one row per reading. Readings flagged hard_range are there: look at flags.
CREATE VIEW blood_pressure AS
SELECT reading_row, site, hub, subject, measured_at, local_date, flags,
	MAX(CASE WHEN metric = 'systolic' THEN number END) AS systolic,
	MAX(CASE WHEN metric = 'diastolic' THEN number END) AS diastolic,
	MAX(CASE WHEN metric = 'pulse' THEN number END) AS pulse
FROM current_value
WHERE reading_metric = 'blood_pressure'
GROUP BY reading_row, site, hub, subject, measured_at, local_date, flags;

-- For those who may know who it is: needs rows in subject_map.
CREATE VIEW identified_value AS
SELECT m.identity, v.* FROM current_value v JOIN subject_map m ON m.subject = v.subject;

-- Steps per person, day and device. A device may send a day's total again as it grows, or a total
-- and the minutes it is made of: of what begins at one moment only the longest counts, then the
-- largest, and what lies within a longer one does not count. Two devices are never added up: the
-- largest one of a day is `is_largest`. Readings without a time belong to no day: see
-- is_anything_missing.
CREATE VIEW steps_per_day AS
WITH step AS (
	SELECT reading_row, subject, local_date, number AS steps, measured_at_ms AS begins,
		measured_at_ms + COALESCE(duration_ms, 0) AS ends,
		COALESCE(serial_digest, driver, 'unknown') AS device
	FROM current_value
	WHERE metric = 'steps' AND number IS NOT NULL AND local_date IS NOT NULL
		AND (flags IS NULL OR ' ' || flags || ' ' NOT LIKE '% hard\_range %' ESCAPE '\')
), alone AS (
	SELECT s.* FROM step s WHERE NOT EXISTS (
		SELECT 1 FROM step o
		WHERE o.device = s.device AND COALESCE(o.subject, '') = COALESCE(s.subject, '')
			AND o.reading_row <> s.reading_row AND o.begins <= s.begins AND o.ends >= s.ends
			AND s.ends > s.begins
			AND (o.ends - o.begins > s.ends - s.begins
				OR (o.ends - o.begins = s.ends - s.begins
					AND (o.steps > s.steps
						OR (o.steps = s.steps AND o.reading_row < s.reading_row)))))
), summed AS (
	SELECT subject, local_date, device, SUM(steps) AS steps, COUNT(*) AS readings
	FROM alone GROUP BY subject, local_date, device
)
SELECT subject, local_date, device, steps, readings,
	CASE WHEN ROW_NUMBER() OVER (PARTITION BY subject, local_date
		ORDER BY steps DESC, device) = 1 THEN 1 ELSE 0 END AS is_largest
FROM summed;

CREATE VIEW current_goal_result AS
SELECT h.site, h.hub, g.*
FROM goal_result g
JOIN hub h ON h.hub_id = g.hub_id
WHERE g.test = 0 AND NOT EXISTS (
	SELECT 1 FROM goal_result n
	WHERE n.hub_id = g.hub_id AND n.goal_id = g.goal_id AND n.test = 0
		AND COALESCE(n.subject, '') = COALESCE(g.subject, '')
		AND COALESCE(n.period_start_ms, -1) = COALESCE(g.period_start_ms, -1)
		AND (n.revision > g.revision
			OR (n.revision = g.revision AND (n.log_id > g.log_id
				OR (n.log_id = g.log_id AND n.sequence > g.sequence)))));

-- Numbers that never came although later ones did.
CREATE VIEW gap AS
SELECT h.site, h.hub, l.epoch, l.kind, s.before + 1 AS first_sequence,
	s.first_sequence - 1 AS last_sequence, s.first_sequence - s.before - 1 AS missing,
	l.log_id
FROM (
	SELECT p.log_id, p.first_sequence,
		COALESCE(LAG(p.last_sequence) OVER (PARTITION BY p.log_id ORDER BY p.first_sequence),
			w.watermark) AS before
	FROM sequence_span p
	JOIN sequence_log w ON w.log_id = p.log_id
) s
JOIN sequence_log l ON l.log_id = s.log_id
JOIN hub h ON h.hub_id = l.hub_id;

-- How far behind each hub is, by what it said of itself last.
CREATE VIEW lag AS
SELECT h.hub_id, h.site, h.hub, h.state, h.last_heard_ms, h.announced, h.waiting,
	l.epoch, l.watermark,
	CASE WHEN h.announced IS NULL OR h.announced <= COALESCE(l.watermark, 0) THEN 0
		ELSE h.announced - COALESCE(l.watermark, 0) END AS behind,
	(SELECT MAX(r.received_at_ms) FROM reading r WHERE r.log_id = l.log_id) AS newest_received_ms
FROM hub h
LEFT JOIN sequence_log l ON l.hub_id = h.hub_id AND l.epoch = h.epoch AND l.kind = 'reading';

-- One row per hub; all zero and online: nothing is missing that the hub has spoken of.
CREATE VIEW is_anything_missing AS
SELECT g.site, g.hub, g.state, g.last_heard_ms, g.behind,
	(SELECT COALESCE(SUM(p.missing), 0) FROM gap p WHERE p.site = g.site AND p.hub = g.hub) AS in_gaps,
	(SELECT COALESCE(SUM(c.last_sequence - c.first_sequence + 1
			- (SELECT COUNT(*) FROM reading r JOIN sequence_log o ON o.log_id = r.log_id
				WHERE r.hub_id = c.hub_id AND o.epoch = t.epoch
					AND r.sequence BETWEEN c.first_sequence AND c.last_sequence)), 0)
		FROM correction c JOIN sequence_log t ON t.log_id = c.log_id
		WHERE c.hub_id = g.hub_id AND c.kind = 'tombstone') AS lost_on_the_hub,
	(SELECT COUNT(*) FROM dead_letter d WHERE d.hub_id = g.hub_id) AS dead_letters,
	(SELECT COUNT(*) FROM reading r WHERE r.hub_id = g.hub_id AND r.measured_at_ms IS NULL
		AND r.superseded = 0 AND r.retracted = 0) AS without_time,
	(SELECT COUNT(*) FROM reading r WHERE r.hub_id = g.hub_id AND r.subject IS NULL
		AND r.superseded = 0 AND r.retracted = 0 AND r.test = 0) AS without_person
FROM lag g;
