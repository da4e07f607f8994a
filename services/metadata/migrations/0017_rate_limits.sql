-- What operators say of how much somebody may ask of each gateway. kind: 1 a user, 2 a role, 3 an access key, each by the name of
-- its record, 4 the root user, 5 whoever has no credentials. A rate is NULL for what the gateways' settings say, 0 for any.
CREATE TABLE rate_limits (
    account BYTEA NOT NULL,
    kind BIGINT NOT NULL,
    name BYTEA NOT NULL,
    requests BIGINT,
    received_bytes BIGINT,
    sent_bytes BIGINT,
    burst_seconds BIGINT,
    PRIMARY KEY (account, kind, name)
);
