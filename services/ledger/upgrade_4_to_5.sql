-- Secondary captures: an analysis may have several, one a key slice.
ALTER TABLE result DROP CONSTRAINT result_kind_check, DROP CONSTRAINT result_analysis_id_kind_key;
ALTER TABLE result ADD CONSTRAINT result_kind_check CHECK (kind IN ('seg', 'sr', 'sc'));
CREATE INDEX result_analysis ON result (analysis_id, kind);
CREATE INDEX result_series ON result (series_uid);
