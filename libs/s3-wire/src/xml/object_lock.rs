//! Bodies about object lock.

use bytes::Bytes;
use types::{DefaultRetention, ObjectLockConfiguration, Retention, RetentionMode, RetentionPeriod};

use super::{
    Document,
    read::{XmlReader, set},
};
use crate::{
    date::parse_iso_date,
    error::{ErrorCode, S3Error},
};

/// Largest body of an operation about object lock in bytes.
pub const OBJECT_LOCK_BODY_MAX: usize = 64 << 10;

/// Reads a body of PutObjectLockConfiguration.
///
/// Errors: `MalformedXML`; `InvalidArgument` for a period that is none or too long; `NotImplemented` for a hold until an event.
/// Source: API Reference, "PutObjectLockConfiguration".
pub fn parse_object_lock(body: &[u8]) -> Result<ObjectLockConfiguration, S3Error> {
    let mut reader = XmlReader::open(body, OBJECT_LOCK_BODY_MAX, "ObjectLockConfiguration")?;
    let (mut enabled, mut rule) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "ObjectLockEnabled" => set(&mut enabled, reader.word()?)?,
            "Rule" => set(&mut rule, read_rule(&mut reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    if enabled.as_deref() != Some("Enabled") {
        return Err(S3Error::malformed_xml());
    }
    Ok(ObjectLockConfiguration { default_retention: rule })
}

fn read_rule(reader: &mut XmlReader<'_>) -> Result<DefaultRetention, S3Error> {
    let mut default = None;
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "DefaultRetention" => set(&mut default, read_default(reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    default.ok_or_else(S3Error::malformed_xml)
}

fn read_default(reader: &mut XmlReader<'_>) -> Result<DefaultRetention, S3Error> {
    let (mut mode, mut days, mut years) = (None, None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Mode" => set(&mut mode, read_mode(reader)?)?,
            "Days" => set(&mut days, read_number(reader)?)?,
            "Years" => set(&mut years, read_number(reader)?)?,
            "DefaultEventHold" => return Err(S3Error::field_not_implemented("DefaultEventHold")),
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let mode = mode.ok_or_else(S3Error::malformed_xml)?;
    let (number, period) = match (days, years) {
        (Some(days), None) => (days, u32::try_from(days).ok().and_then(RetentionPeriod::from_days)),
        (None, Some(years)) => (years, u32::try_from(years).ok().and_then(RetentionPeriod::from_years)),
        _ => return Err(S3Error::malformed_xml()),
    };
    let period = period.ok_or_else(|| {
        let message = match number {
            ..=0 => "Default retention period must be a positive integer value.",
            1.. => "Default retention period too large. Value must be at most 36500 days or 100 years.",
        };
        S3Error::with_message(ErrorCode::InvalidArgument, message)
    })?;
    Ok(DefaultRetention { mode, period })
}

fn read_mode(reader: &mut XmlReader<'_>) -> Result<RetentionMode, S3Error> {
    RetentionMode::from_name(&reader.word()?).ok_or_else(S3Error::malformed_xml)
}

fn read_number(reader: &mut XmlReader<'_>) -> Result<i64, S3Error> {
    reader.word()?.parse().map_err(|_| S3Error::malformed_xml())
}

/// The body of GetObjectLockConfiguration.
pub fn object_lock(configuration: &ObjectLockConfiguration) -> Bytes {
    let mut document = Document::new("ObjectLockConfiguration", 384);
    document.element("ObjectLockEnabled", "Enabled");
    if let Some(default) = configuration.default_retention {
        document.open("Rule");
        document.open("DefaultRetention");
        document.element("Mode", default.mode.name());
        match default.period {
            RetentionPeriod::Days(days) => document.plain("Days", days),
            RetentionPeriod::Years(years) => document.plain("Years", years),
        }
        document.close("DefaultRetention");
        document.close("Rule");
    }
    document.finish("ObjectLockConfiguration")
}

/// Reads a body of PutObjectRetention; `None` when it asks for no retention. Errors: `MalformedXML`, also for half a
/// retention; `NotImplemented` for a hold until an event. Source: API Reference, "PutObjectRetention".
pub fn parse_retention(body: &[u8]) -> Result<Option<Retention>, S3Error> {
    let mut reader = XmlReader::open(body, OBJECT_LOCK_BODY_MAX, "Retention")?;
    let (mut mode, mut until) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Mode" => set(&mut mode, read_mode(&mut reader)?)?,
            "EventHold" | "EventHoldDuration" => return Err(S3Error::field_not_implemented(&name)),
            "RetainUntilDate" => {
                set(&mut until, parse_iso_date(&reader.word()?).ok_or_else(S3Error::malformed_xml)?)?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    match (mode, until) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => Ok(Some(Retention::new(mode, until))),
        _ => Err(S3Error::malformed_xml()),
    }
}

/// The body of GetObjectRetention.
pub fn retention(retention: &Retention) -> Bytes {
    let mut document = Document::new("Retention", 256);
    document.element("Mode", retention.mode.name());
    document.date("RetainUntilDate", retention.until);
    document.finish("Retention")
}

/// Reads a body of PutObjectLegalHold: whether the version is held. Errors: `MalformedXML`.
/// Source: API Reference, "PutObjectLegalHold".
pub fn parse_legal_hold(body: &[u8]) -> Result<bool, S3Error> {
    let mut reader = XmlReader::open(body, OBJECT_LOCK_BODY_MAX, "LegalHold")?;
    let mut status = None;
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Status" => set(&mut status, reader.word()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    match status.as_deref() {
        Some("ON") => Ok(true),
        Some("OFF") => Ok(false),
        _ => Err(S3Error::malformed_xml()),
    }
}

/// The body of GetObjectLegalHold.
pub fn legal_hold(held: bool) -> Bytes {
    let mut document = Document::new("LegalHold", 192);
    document.element("Status", if held { "ON" } else { "OFF" });
    document.finish("LegalHold")
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    fn configuration(rule: &str) -> Result<ObjectLockConfiguration, ErrorCode> {
        let body = format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>"
        );
        parse_object_lock(body.as_bytes()).map_err(|error| error.code)
    }

    fn default(inner: &str) -> Result<ObjectLockConfiguration, ErrorCode> {
        configuration(&format!("<Rule><DefaultRetention>{inner}</DefaultRetention></Rule>"))
    }

    #[test]
    fn a_configuration_is_written_as_it_is_read() {
        let (governance, compliance) = (RetentionMode::Governance, RetentionMode::Compliance);
        for (read, mode, period) in [
            (default("<Mode>GOVERNANCE</Mode><Days>1</Days>"), governance, RetentionPeriod::Days(1)),
            (default("<Mode>COMPLIANCE</Mode><Years>100</Years>"), compliance, RetentionPeriod::Years(100)),
        ] {
            let expected =
                ObjectLockConfiguration { default_retention: Some(DefaultRetention { mode, period }) };
            assert_eq!(read, Ok(expected));
            assert_eq!(parse_object_lock(&object_lock(&expected)).ok(), Some(expected));
        }
        assert_eq!(configuration(""), Ok(ObjectLockConfiguration::default()));
    }

    #[test]
    fn a_bad_configuration_is_refused_with_s3s_code() {
        use ErrorCode::{InvalidArgument, MalformedXML};
        for (inner, code) in [
            ("<Mode>GOVERNANCE</Mode><Days>0</Days>", InvalidArgument),
            ("<Mode>GOVERNANCE</Mode><Years>-1</Years>", InvalidArgument),
            ("<Mode>GOVERNANCE</Mode><Days>36501</Days>", InvalidArgument),
            ("<Mode>GOVERNANCE</Mode><Years>101</Years>", InvalidArgument),
            ("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>", MalformedXML),
            ("<Mode>GOVERNANCE</Mode>", MalformedXML),
            ("<Days>1</Days>", MalformedXML),
            ("<Mode>governance</Mode><Days>1</Days>", MalformedXML),
            ("<Mode>GOVERNANCE</Mode><Days>one</Days>", MalformedXML),
        ] {
            assert_eq!(default(inner), Err(code), "{inner}");
        }
        assert_eq!(configuration("<Rule></Rule>"), Err(MalformedXML));
        for status in ["", "<ObjectLockEnabled>Disabled</ObjectLockEnabled>"] {
            let body = format!("<ObjectLockConfiguration>{status}</ObjectLockConfiguration>");
            let refused = parse_object_lock(body.as_bytes()).expect_err("not enabled");
            assert_eq!(refused.code, MalformedXML, "{status}");
        }
    }

    #[test]
    fn a_retention_is_written_as_it_is_read() {
        let asked = Retention { mode: RetentionMode::Compliance, until: Timestamp(1_900_000_000_000) };
        assert_eq!(parse_retention(&retention(&asked)).ok(), Some(Some(asked)));
        assert_eq!(parse_retention(b"<Retention/>").ok(), Some(None));
        for bad in [
            "<Retention><Mode>GOVERNANCE</Mode></Retention>",
            "<Retention><RetainUntilDate>2050-01-01T00:00:00Z</RetainUntilDate></Retention>",
            "<Retention><Mode>NONE</Mode><RetainUntilDate>2050-01-01T00:00:00Z</RetainUntilDate></Retention>",
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2050-13-01T00:00:00Z</RetainUntilDate></Retention>",
            "<Hold/>",
        ] {
            let refused = parse_retention(bad.as_bytes()).expect_err("no retention");
            assert_eq!(refused.code, ErrorCode::MalformedXML, "{bad}");
        }
    }

    #[test]
    fn a_legal_hold_is_on_or_off() {
        for held in [true, false] {
            assert_eq!(parse_legal_hold(&legal_hold(held)).ok(), Some(held));
        }
        for bad in ["<LegalHold/>", "<LegalHold><Status>on</Status></LegalHold>"] {
            let refused = parse_legal_hold(bad.as_bytes()).expect_err("no legal hold");
            assert_eq!(refused.code, ErrorCode::MalformedXML, "{bad}");
        }
    }
}
