-- CRC-32C of inline_data, which never changes; NULL where there is none, and of rows that were there before.
ALTER TABLE versions ADD COLUMN inline_crc BIGINT;
