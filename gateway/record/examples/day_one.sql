-- The questions of the first day, to the views of wellgate-record. For SQLite and PostgreSQL alike:
--   sqlite3 record.db < day_one.sql          psql -d DATABASE -f day_one.sql

-- Steps per person and day. Two devices are never added up: the larger one counts.
SELECT subject, local_date, steps FROM steps_per_day WHERE is_largest = 1 ORDER BY subject, local_date;

-- Is anything missing? All zero: nothing is missing that the hub has spoken of.
SELECT site, hub, behind, in_gaps, lost_on_the_hub, dead_letters, without_time, without_person
FROM is_anything_missing ORDER BY site, hub;
