-- What a bucket has beside its objects, one document of each kind. kind: 1 tags, 2 rules for other origins.
CREATE TABLE bucket_subresources (
    bucket_id BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    document BYTEA NOT NULL,
    PRIMARY KEY (bucket_id, kind)
);
