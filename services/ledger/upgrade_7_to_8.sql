-- Archives that are followed. ------------------------------------------------------------------------------------------

CREATE TABLE source_position (
    source text PRIMARY KEY,                     -- name in the settings
    archive text NOT NULL DEFAULT '',            -- what the archive calls itself
    change bigint,                               -- the last of its changes that was dealt with; NULL: never looked
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
