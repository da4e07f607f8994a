-- Accounts beside the first, which is no row. account: the canonical id. number: that of 12 digits. status: 1 active, 2 suspended, 3
-- closed. Closed ones stay, so that their ids are never given out again, without a name and an address.
CREATE TABLE accounts (
    account BYTEA NOT NULL,
    number BYTEA NOT NULL,
    name BYTEA,
    email BYTEA,
    created_ms BIGINT NOT NULL,
    status BIGINT NOT NULL,
    PRIMARY KEY (account)
);

CREATE UNIQUE INDEX accounts_by_number ON accounts (number);
CREATE UNIQUE INDEX accounts_by_name ON accounts (name);
CREATE UNIQUE INDEX accounts_by_email ON accounts (email);
