//! Object lock.

use types::{
    BucketName, DefaultRetention, ObjectLockConfiguration, Retention, RetentionMode, RetentionPeriod,
    Timestamp, VersionLock,
};

use super::{
    WireError,
    common::{bucket_name, object_key},
    optional, proto,
};
use crate::{LockChange, SetLock};

impl From<RetentionMode> for proto::RetentionMode {
    fn from(mode: RetentionMode) -> Self {
        match mode {
            RetentionMode::Governance => Self::Governance,
            RetentionMode::Compliance => Self::Compliance,
        }
    }
}

fn retention_mode(value: i32) -> Result<RetentionMode, WireError> {
    match proto::RetentionMode::try_from(value) {
        Ok(proto::RetentionMode::Governance) => Ok(RetentionMode::Governance),
        Ok(proto::RetentionMode::Compliance) => Ok(RetentionMode::Compliance),
        Ok(proto::RetentionMode::Unspecified) | Err(_) => {
            Err(WireError::UnknownValue { field: "retention mode", value })
        }
    }
}

impl From<Retention> for proto::Retention {
    fn from(retention: Retention) -> Self {
        Self { mode: proto::RetentionMode::from(retention.mode).into(), until_ms: retention.until.0 }
    }
}

impl TryFrom<proto::Retention> for Retention {
    type Error = WireError;

    fn try_from(message: proto::Retention) -> Result<Self, WireError> {
        Ok(Self { mode: retention_mode(message.mode)?, until: Timestamp(message.until_ms) })
    }
}

impl From<VersionLock> for proto::VersionLock {
    fn from(lock: VersionLock) -> Self {
        Self { retention: lock.retention.map(Into::into), legal_hold: lock.legal_hold }
    }
}

impl TryFrom<proto::VersionLock> for VersionLock {
    type Error = WireError;

    fn try_from(message: proto::VersionLock) -> Result<Self, WireError> {
        Ok(Self { retention: optional(message.retention)?, legal_hold: message.legal_hold })
    }
}

impl From<ObjectLockConfiguration> for proto::ObjectLockConfiguration {
    fn from(configuration: ObjectLockConfiguration) -> Self {
        Self { default_retention: configuration.default_retention.map(Into::into) }
    }
}

impl TryFrom<proto::ObjectLockConfiguration> for ObjectLockConfiguration {
    type Error = WireError;

    fn try_from(message: proto::ObjectLockConfiguration) -> Result<Self, WireError> {
        Ok(Self { default_retention: optional(message.default_retention)? })
    }
}

impl From<DefaultRetention> for proto::DefaultRetention {
    fn from(default: DefaultRetention) -> Self {
        use proto::default_retention::Period;
        let period = match default.period {
            RetentionPeriod::Days(days) => Period::Days(days),
            RetentionPeriod::Years(years) => Period::Years(years),
        };
        Self { mode: proto::RetentionMode::from(default.mode).into(), period: Some(period) }
    }
}

impl TryFrom<proto::DefaultRetention> for DefaultRetention {
    type Error = WireError;

    fn try_from(message: proto::DefaultRetention) -> Result<Self, WireError> {
        use proto::default_retention::Period;
        let period = match message.period.ok_or(WireError::Missing { field: "period" })? {
            Period::Days(days) => RetentionPeriod::from_days(days),
            Period::Years(years) => RetentionPeriod::from_years(years),
        };
        let period = period.ok_or_else(|| WireError::invalid("period", "out of range"))?;
        Ok(Self { mode: retention_mode(message.mode)?, period })
    }
}

/// The request that gives a bucket an object lock.
pub(crate) fn set_object_lock_request(
    bucket: &BucketName,
    configuration: ObjectLockConfiguration,
) -> proto::SetObjectLockRequest {
    proto::SetObjectLockRequest { bucket: bucket.to_string(), configuration: Some(configuration.into()) }
}

impl From<SetLock> for proto::SetLockRequest {
    fn from(request: SetLock) -> Self {
        use proto::set_lock_request::Change;
        let change = match request.change {
            LockChange::Retention(Some(retention)) => Change::Retention(retention.into()),
            LockChange::Retention(None) => Change::NoRetention(proto::Nothing {}),
            LockChange::LegalHold(held) => Change::LegalHold(held),
        };
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            version_id: request.version_id.map(Into::into),
            change: Some(change),
            bypasses_governance: request.bypasses_governance,
        }
    }
}

impl TryFrom<proto::SetLockRequest> for SetLock {
    type Error = WireError;

    fn try_from(message: proto::SetLockRequest) -> Result<Self, WireError> {
        use proto::set_lock_request::Change;
        let change = match message.change.ok_or(WireError::Missing { field: "change" })? {
            Change::Retention(retention) => LockChange::Retention(Some(retention.try_into()?)),
            Change::NoRetention(_) => LockChange::Retention(None),
            Change::LegalHold(held) => LockChange::LegalHold(held),
        };
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            version_id: optional(message.version_id)?,
            change,
            bypasses_governance: message.bypasses_governance,
        })
    }
}
