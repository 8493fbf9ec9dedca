-- What a model says beyond one volume: its range, ABC/2, and measurements of the study. Older answers have none.
ALTER TABLE analysis ADD COLUMN measurements jsonb NOT NULL DEFAULT '{}';
ALTER TABLE finding ADD COLUMN volume_low_ml double precision,
    ADD COLUMN volume_high_ml double precision,
    ADD COLUMN abc2_ml double precision,
    ADD CONSTRAINT finding_volume_range CHECK ((volume_low_ml IS NULL) = (volume_high_ml IS NULL));
