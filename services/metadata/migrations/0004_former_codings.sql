-- The coding of a placement group's chunks: that of its storage class while it is NULL. Groups of other codings than
-- their class's present one are former: what is in them waits to be re-encoded.
ALTER TABLE placement_groups ADD COLUMN coding TEXT;
