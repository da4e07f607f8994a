-- What a bucket has beside its objects, one document of each kind. kind: a persistent number of
-- metadata_api::Subresource.
CREATE TABLE bucket_subresources (
    bucket_id BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    document BYTEA NOT NULL,
    PRIMARY KEY (bucket_id, kind)
);
