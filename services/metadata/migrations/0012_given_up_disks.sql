-- Disks that were silent and to be removed when garbage was forgotten that they may have.
ALTER TABLE disks ADD COLUMN given_up SMALLINT NOT NULL DEFAULT 0;
