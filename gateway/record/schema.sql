-- The tables of wellgate-record, version 1. One text for SQLite and PostgreSQL: the service puts
-- the database's own words in for ROW_ID, a number that the database gives out.
--
-- Times: *_ms are milliseconds since 1970-01-01T00:00Z. Identities (reading_id, dedupe_key, digests)
-- and epochs are hexadecimal text. Yes and no are 1 and 0. What is NULL was not stated.

CREATE TABLE IF NOT EXISTS record_schema (version INTEGER NOT NULL);

-- A gateway, by the names in its topics. What it said of itself last stands here too.
CREATE TABLE IF NOT EXISTS hub (
	hub_id ROW_ID,
	site TEXT NOT NULL,
	hub TEXT NOT NULL,
	first_heard_ms BIGINT NOT NULL,
	last_heard_ms BIGINT NOT NULL,
	state TEXT,                    -- online, offline, lost
	session TEXT,
	epoch TEXT,
	since_ms BIGINT,
	version TEXT,
	announced BIGINT,              -- highest sequence of readings that it gave out
	waiting BIGINT,                -- of those, not yet taken by the broker
	clock_synced INTEGER,
	store_full INTEGER,
	test INTEGER,
	UNIQUE (site, hub)
);

-- What came of one hub's numbers: 1, 2, 3... per epoch and kind. The receipts are made from it.
CREATE TABLE IF NOT EXISTS sequence_log (
	log_id ROW_ID,
	hub_id BIGINT NOT NULL REFERENCES hub,
	epoch TEXT NOT NULL,
	kind TEXT NOT NULL,            -- reading, goal_result, correction
	watermark BIGINT NOT NULL,     -- 1 to here without a gap
	stored BIGINT NOT NULL,
	again BIGINT NOT NULL,         -- came again: resent, or read from the device again
	refused BIGINT NOT NULL,       -- kept as dead letters
	first_heard_ms BIGINT NOT NULL,
	last_heard_ms BIGINT NOT NULL,
	UNIQUE (hub_id, epoch, kind)
);

-- What there is above the watermark: no two of one log touch.
CREATE TABLE IF NOT EXISTS sequence_span (
	log_id BIGINT NOT NULL REFERENCES sequence_log,
	first_sequence BIGINT NOT NULL,
	last_sequence BIGINT NOT NULL,
	PRIMARY KEY (log_id, first_sequence)
);

CREATE TABLE IF NOT EXISTS reading (
	reading_row ROW_ID,
	hub_id BIGINT NOT NULL REFERENCES hub,
	log_id BIGINT NOT NULL REFERENCES sequence_log,
	sequence BIGINT NOT NULL,
	test INTEGER NOT NULL,         -- test or demonstration data: not about a person
	reading_id TEXT NOT NULL,
	dedupe_key TEXT NOT NULL,
	revision BIGINT NOT NULL,
	replaces TEXT,                 -- reading_id of the revision before
	subject TEXT,                  -- whose it is, by all that is known now; NULL: nobody's yet
	subject_first TEXT,            -- as it came
	superseded INTEGER NOT NULL,   -- there is a later revision
	retracted INTEGER NOT NULL,
	metric TEXT NOT NULL,
	loinc TEXT,
	snomed BIGINT,
	mdc BIGINT,
	measured_at_ms BIGINT,         -- NULL: no correct time exists; time_fault says why
	measured_at TEXT,              -- the same in UTC: 2027-01-31T07:30:00.000Z
	local_date TEXT,               -- the day where it was measured: 2027-01-31
	utc_offset_min INTEGER,
	offset_source TEXT,
	duration_ms BIGINT,
	clock TEXT,
	clock_correction_ms BIGINT,
	time_fault TEXT,
	received_at_ms BIGINT,
	driver TEXT,
	make TEXT,
	model TEXT,
	firmware TEXT,
	hardware TEXT,
	serial_digest TEXT,
	user_slot BIGINT,
	record_number BIGINT,
	attribution TEXT,
	confidence TEXT,
	registry_revision BIGINT,
	flags TEXT,                    -- names with blanks between: 'late soft_range'
	goals TEXT,                    -- likewise
	link_security TEXT,
	origin TEXT,
	context TEXT,
	recorded_at_ms BIGINT NOT NULL,
	message BYTEA NOT NULL,        -- wellgate.v1.Reading as it came, fields unknown here too
	UNIQUE (log_id, sequence),
	UNIQUE (hub_id, dedupe_key, revision, test)
);
CREATE INDEX IF NOT EXISTS reading_by_id ON reading (hub_id, reading_id);
CREATE INDEX IF NOT EXISTS reading_by_replaces ON reading (hub_id, replaces)
	WHERE replaces IS NOT NULL;
CREATE INDEX IF NOT EXISTS reading_by_subject ON reading (subject, metric, measured_at_ms);

-- The quantities of a reading.
CREATE TABLE IF NOT EXISTS component (
	reading_row BIGINT NOT NULL REFERENCES reading,
	position INTEGER NOT NULL,
	metric TEXT NOT NULL,
	value TEXT,                    -- exactly as precise as the device gave it: 74.0
	number NUMERIC,                -- the same, to count with
	unit TEXT,                     -- UCUM
	absent TEXT,                   -- why there is no value
	original_value TEXT,           -- as the device said it, where that differs
	original_unit TEXT,
	loinc TEXT,
	snomed BIGINT,
	mdc BIGINT,
	PRIMARY KEY (reading_row, position)
);

-- What was said about readings later. Rows are only added; `reading` shows the effect.
CREATE TABLE IF NOT EXISTS correction (
	correction_row ROW_ID,
	hub_id BIGINT NOT NULL REFERENCES hub,
	log_id BIGINT NOT NULL REFERENCES sequence_log,
	sequence BIGINT NOT NULL,
	test INTEGER NOT NULL,
	kind TEXT NOT NULL,            -- reattribution, retraction; tombstone: readings that are lost;
	                               -- tombstone_result, tombstone_correction: as much of the other
	                               -- numbers; epoch_begin: what an earlier epoch is about
	reading_id TEXT,
	new_reading_id TEXT,
	from_subject TEXT,
	to_subject TEXT,
	reason TEXT,
	first_sequence BIGINT,         -- tombstones: numbers that will not come
	last_sequence BIGINT,
	at_ms BIGINT,
	recorded_at_ms BIGINT NOT NULL,
	message BYTEA NOT NULL,
	UNIQUE (log_id, sequence)
);
CREATE INDEX IF NOT EXISTS correction_by_id ON correction (hub_id, reading_id);

CREATE TABLE IF NOT EXISTS goal_result (
	result_row ROW_ID,
	hub_id BIGINT NOT NULL REFERENCES hub,
	log_id BIGINT NOT NULL REFERENCES sequence_log,
	sequence BIGINT NOT NULL,
	test INTEGER NOT NULL,
	goal_id TEXT NOT NULL,
	goal_version BIGINT,
	subject TEXT,
	metric TEXT,
	period_start_ms BIGINT,
	period_end_ms BIGINT,
	state TEXT,
	outcome TEXT,
	achievement TEXT,
	reason TEXT,
	progress TEXT,
	target TEXT,
	unit TEXT,
	readings BIGINT,
	observed_days BIGINT,
	asked_days BIGINT,
	revision BIGINT,
	words TEXT,
	evaluated_at_ms BIGINT,
	recorded_at_ms BIGINT NOT NULL,
	message BYTEA NOT NULL,
	UNIQUE (log_id, sequence)
);

-- What came and could not be stored, and why. Equal messages are one row.
CREATE TABLE IF NOT EXISTS dead_letter (
	dead_row ROW_ID,
	digest TEXT NOT NULL UNIQUE,   -- of topic and payload
	reason TEXT NOT NULL,
	topic TEXT NOT NULL,           -- printable; other characters are ?
	hub_id BIGINT REFERENCES hub,  -- where it is known
	epoch TEXT,
	sequence BIGINT,
	times BIGINT NOT NULL,
	first_heard_ms BIGINT NOT NULL,
	last_heard_ms BIGINT NOT NULL,
	length BIGINT NOT NULL,        -- of the payload
	payload BYTEA NOT NULL         -- its first 128 KiB
);

-- Who a subject is. Filled by the people who run the service, on this side only; nothing else
-- here needs it.
CREATE TABLE IF NOT EXISTS subject_map (
	subject TEXT PRIMARY KEY,
	identity TEXT NOT NULL
);
