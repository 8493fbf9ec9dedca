-- Which of several listeners an association belongs to, and indexes for what is looked at every few seconds.
ALTER TABLE association ADD COLUMN listener text;
CREATE INDEX association_closed ON association (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX study_unanswered ON study (state) WHERE state != 'analysed' AND state != 'not_applicable';
CREATE INDEX analysis_waiting ON analysis (queued_at) WHERE state IN ('queued', 'running');
CREATE INDEX delivery_undelivered ON delivery (created_at) WHERE state IN ('pending', 'parked');
