-- What there is of accounts beside their buckets. position: how many records of the account were changed since it is there.
-- forgotten: up to which position it is forgotten what was removed.
CREATE TABLE identity_accounts (
    account BYTEA NOT NULL,
    position BIGINT NOT NULL,
    forgotten BIGINT NOT NULL,
    PRIMARY KEY (account)
);

-- Its users, their keys, groups and policies, each as the gateway wrote it, with the position of its last change. document: NULL
-- when it was removed, until that is forgotten.
CREATE TABLE identity_records (
    account BYTEA NOT NULL,
    kind BIGINT NOT NULL,
    name BYTEA NOT NULL,
    position BIGINT NOT NULL,
    document BYTEA,
    PRIMARY KEY (account, kind, name)
);

-- Gateways read on from where they were.
CREATE INDEX identity_records_by_position ON identity_records (account, position);

-- The secrets of access keys, sealed. sealed_with: which key opens it.
CREATE TABLE access_key_secrets (
    access_key_id BYTEA NOT NULL,
    account BYTEA NOT NULL,
    sealed_with BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (access_key_id)
);
