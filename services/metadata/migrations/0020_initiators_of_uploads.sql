-- Who opened an upload: the canonical user id of an account, or the ARN of a user, of somebody in a role or of a federated user. NULL where that
-- was the root user of the account that owns the bucket, and of what was opened before this was kept.
ALTER TABLE uploads ADD COLUMN initiator TEXT;
