//! What a request asks of object lock. Source: API Reference, "PutObject", "DeleteObject", "CreateBucket".

use http::HeaderMap;
use types::{Retention, RetentionMode, VersionLock};

use super::text;
use crate::{date::parse_iso_date, error::S3Error};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const LEGAL_HOLD: &str = "x-amz-object-lock-legal-hold";
const BUCKET_LOCK: &str = "x-amz-bucket-object-lock-enabled";
const BYPASS: &str = "x-amz-bypass-governance-retention";

/// The lock that a new version is to have. `InvalidArgument` for half a retention and for unknown values. Whether the date
/// is still to come is for the caller to see.
pub fn object_lock(headers: &HeaderMap) -> Result<VersionLock, S3Error> {
    let retention = match (text(headers, MODE)?, text(headers, UNTIL)?) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let unknown = || S3Error::invalid_argument("Unknown wormMode directive.", MODE, mode);
            let no_date = || {
                S3Error::invalid_argument(
                    "The retain until date must be provided in ISO 8601 format",
                    UNTIL,
                    until,
                )
            };
            let mode = RetentionMode::from_name(mode).ok_or_else(unknown)?;
            Some(Retention::new(mode, parse_iso_date(until).ok_or_else(no_date)?))
        }
        (mode, until) => {
            let message =
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            let missing = if mode.is_none() { MODE } else { UNTIL };
            return Err(S3Error::invalid_argument(message, missing, mode.or(until).unwrap_or_default()));
        }
    };
    let legal_hold = match text(headers, LEGAL_HOLD)? {
        None => None,
        Some("ON") => Some(true),
        Some("OFF") => Some(false),
        Some(other) => {
            return Err(S3Error::invalid_argument(
                "Legal Hold must be either of 'ON' or 'OFF'",
                LEGAL_HOLD,
                other,
            ));
        }
    };
    Ok(VersionLock { retention, legal_hold })
}

/// Whether a new bucket is to have object lock. `InvalidArgument` for what is neither true nor false.
pub fn bucket_object_lock(headers: &HeaderMap) -> Result<bool, S3Error> {
    Ok(boolean(headers, BUCKET_LOCK)?.unwrap_or(false))
}

/// Whether a retention in governance mode is to be no hindrance, if the request says it. `InvalidArgument` for what is neither true nor
/// false.
pub fn bypasses_governance(headers: &HeaderMap) -> Result<Option<bool>, S3Error> {
    boolean(headers, BYPASS)
}

fn boolean(headers: &HeaderMap, name: &str) -> Result<Option<bool>, S3Error> {
    match text(headers, name)? {
        None => Ok(None),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(value) => Err(S3Error::invalid_argument("The value must be true or false", name, value)),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use types::{Retention, RetentionMode, Timestamp, VersionLock};

    use super::{bucket_object_lock, bypasses_governance, object_lock};
    use crate::error::ErrorCode;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_lock_is_read_from_its_headers() {
        assert_eq!(object_lock(&headers(&[])).expect("none"), VersionLock::default());
        let asked = [
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-object-lock-retain-until-date", "1970-01-02T00:00:00.5Z"),
            ("x-amz-object-lock-legal-hold", "OFF"),
        ];
        let retention = Retention { mode: RetentionMode::Compliance, until: Timestamp(86_401_000) };
        let lock = VersionLock { retention: Some(retention), legal_hold: Some(false) };
        assert_eq!(object_lock(&headers(&asked)).expect("a lock"), lock);
    }

    #[test]
    fn what_is_no_lock_is_an_invalid_argument() {
        const DATE: (&str, &str) = ("x-amz-object-lock-retain-until-date", "2050-01-01T00:00:00Z");
        for bad in [
            &[("x-amz-object-lock-mode", "GOVERNANCE")][..],
            &[DATE],
            &[("x-amz-object-lock-mode", "governance"), DATE],
            &[("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-object-lock-retain-until-date", "tomorrow")],
            &[("x-amz-object-lock-legal-hold", "on")],
        ] {
            let error = object_lock(&headers(bad)).expect_err("no lock");
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{bad:?}");
        }
    }

    #[test]
    fn a_switch_is_true_or_false() {
        for (value, expected) in [("true", Some(true)), ("False", Some(false)), ("yes", None), ("", None)] {
            let bypass = headers(&[("x-amz-bypass-governance-retention", value)]);
            assert_eq!(bypasses_governance(&bypass).ok().flatten(), expected, "{value}");
            let bucket = headers(&[("x-amz-bucket-object-lock-enabled", value)]);
            assert_eq!(bucket_object_lock(&bucket).ok(), expected, "{value}");
        }
    }
}
