-- The inventory configurations of a bucket, each by its name. listed_ms: when the latest list that is complete was begun, as the
-- worker said, NULL before the first.
CREATE TABLE bucket_inventories (
    bucket_id BIGINT NOT NULL,
    id BYTEA NOT NULL,
    document BYTEA NOT NULL,
    listed_ms BIGINT,
    PRIMARY KEY (bucket_id, id)
);

-- Gateways ask every few seconds which buckets have a sub-resource of a kind.
CREATE INDEX bucket_subresources_by_kind ON bucket_subresources (kind, bucket_id);
