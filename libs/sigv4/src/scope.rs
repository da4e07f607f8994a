//! When and for what a signature is good.

use std::fmt;

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, format_description::well_known::Rfc2822};

use crate::{SERVICE, error::Malformed};

/// The last piece of every credential scope.
const TERMINATOR: &str = "aws4_request";

/// A day, a region and a service: what one signing key is good for.
///
/// With the access key id, it is the natural key of a cache of signing keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    date: Date,
    region: String,
    service: String,
}

impl Scope {
    /// The scope for S3 on the day of a time in seconds since 1970; `None` outside the years 0 to 9999.
    pub fn new(seconds: i64, region: &str) -> Option<Self> {
        let time = RequestTime::from_seconds(seconds)?;
        Some(Self { date: time.date(), region: region.to_owned(), service: SERVICE.to_owned() })
    }

    /// The scope for a service on a day that is written as `YYYYMMDD`.
    pub fn of(day: &str, region: &str, service: &str) -> Option<Self> {
        let date = parse_day(day.as_bytes())?;
        Some(Self { date, region: region.to_owned(), service: service.to_owned() })
    }

    /// Splits `ACCESS-KEY-ID/YYYYMMDD/REGION/SERVICE/aws4_request` into the id and the scope. An id may hold slashes.
    pub(crate) fn parse_credential(text: &str) -> Result<(&str, Self), Malformed> {
        const FORM: Malformed =
            Malformed::Syntax("a credential <access-key>/YYYYMMDD/REGION/SERVICE/aws4_request");
        let mut pieces = text.rsplitn(5, '/');
        let mut next = || pieces.next().ok_or(FORM);
        let (terminator, service, region, day, access_key_id) = (next()?, next()?, next()?, next()?, next()?);
        if terminator != TERMINATOR || access_key_id.is_empty() {
            return Err(FORM);
        }
        let date = parse_day(day.as_bytes()).ok_or(FORM)?;
        Ok((access_key_id, Self { date, region: region.to_owned(), service: service.to_owned() }))
    }

    /// The day, at its midnight in UTC.
    pub(crate) fn midnight(&self) -> OffsetDateTime {
        self.date.midnight().assume_utc()
    }

    /// When the day begins, in seconds since 1970.
    pub fn day_begins(&self) -> i64 {
        self.midnight().unix_timestamp()
    }

    /// The day as `YYYYMMDD`.
    pub fn day(&self) -> String {
        format_day(self.date)
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Checks that the scope is a service's, in one of its regions, and of the day of the request's time.
    pub(crate) fn check(&self, time: &RequestTime, service: &str, regions: &[&str]) -> Result<(), Malformed> {
        if self.date != time.date() {
            return Err(Malformed::Day { given: self.day(), expected: format_day(time.date()) });
        }
        if self.service != service {
            return Err(Malformed::Service { given: self.service.clone(), expected: service.to_owned() });
        }
        if !regions.contains(&self.region.as_str()) {
            let expected = regions.first().copied().unwrap_or_default().to_owned();
            return Err(Malformed::Region { given: self.region.clone(), expected });
        }
        Ok(())
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.service
    }
}

impl fmt::Display for Scope {
    /// `YYYYMMDD/REGION/SERVICE/aws4_request`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{TERMINATOR}", format_day(self.date), self.region, self.service)
    }
}

/// The time a request was signed at, to the second, in the years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestTime(OffsetDateTime);

impl RequestTime {
    /// From seconds since 1970.
    pub(crate) fn from_seconds(seconds: i64) -> Option<Self> {
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        (0..=9999).contains(&time.year()).then_some(Self(time))
    }

    /// From `YYYYMMDD'T'HHMMSS'Z'`, the form of `x-amz-date`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let [day @ .., b'T', h1, h2, m1, m2, s1, s2, b'Z'] = text else { return None };
        let two = |tens: &u8, ones: &u8| digits(&[*tens, *ones]).and_then(|value| u8::try_from(value).ok());
        let time = Time::from_hms(two(h1, h2)?, two(m1, m2)?, two(s1, s2)?).ok()?;
        Some(Self(PrimitiveDateTime::new(parse_day(day)?, time).assume_utc()))
    }

    /// From an HTTP `Date` header (RFC 9110, section 5.6.7) or the form of `x-amz-date`.
    pub(crate) fn parse_date_header(text: &[u8]) -> Option<Self> {
        if let Some(time) = Self::parse(text) {
            return Some(time);
        }
        let time = OffsetDateTime::parse(std::str::from_utf8(text).ok()?, &Rfc2822).ok()?;
        Self::from_seconds(time.unix_timestamp())
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    fn date(self) -> Date {
        self.0.date()
    }
}

impl fmt::Display for RequestTime {
    /// `YYYYMMDD'T'HHMMSS'Z'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.time();
        let day = format_day(self.0.date());
        write!(f, "{day}T{:02}{:02}{:02}Z", time.hour(), time.minute(), time.second())
    }
}

fn parse_day(text: &[u8]) -> Option<Date> {
    if text.len() != 8 {
        return None;
    }
    let month = Month::try_from(u8::try_from(digits(&text[4..6])?).ok()?).ok()?;
    let day = u8::try_from(digits(&text[6..])?).ok()?;
    Date::from_calendar_date(i32::from(digits(&text[..4])?), month, day).ok()
}

fn format_day(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
}

/// The value of at most four decimal digits and nothing else.
fn digits(text: &[u8]) -> Option<u16> {
    text.iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::{RequestTime, Scope};
    use crate::error::Malformed;

    #[test]
    fn times_read_as_they_are_written() {
        for (text, seconds) in [
            ("19700101T000000Z", 0),
            ("20130524T000000Z", 1_369_353_600),
            ("20240229T235959Z", 1_709_251_199),
        ] {
            let time = RequestTime::parse(text.as_bytes()).expect("a time");
            assert_eq!((time.seconds(), time.to_string().as_str()), (seconds, text));
            assert_eq!(RequestTime::from_seconds(seconds), Some(time));
        }
        let date = RequestTime::parse_date_header(b"Fri, 24 May 2013 00:00:00 GMT").expect("a date");
        assert_eq!(date.to_string(), "20130524T000000Z");
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "T",
            "Z",
            "20130524",
            "20130524T000000",
            "20130524T000000z",
            "20130524 000000Z",
            "2013-05-24T00:00:00Z",
            "20130532T000000Z",
            "20131324T000000Z",
            "20130229T000000Z",
            "20130524T240000Z",
            "20130524T000060Z",
            "+0130524T000000Z",
            "120130524T000000Z",
            "20130524T-10000Z",
            "\u{e9}0130524T000000Z",
        ] {
            assert_eq!(RequestTime::parse(text.as_bytes()), None, "{text}");
            assert_eq!(RequestTime::parse_date_header(text.as_bytes()), None, "{text}");
        }
        assert_eq!(RequestTime::from_seconds(i64::MAX), None);
        assert_eq!(RequestTime::from_seconds(253_402_300_800), None);
    }

    #[test]
    fn access_key_ids_may_hold_slashes() {
        let (id, scope) =
            Scope::parse_credential("a/b/20130524/us-east-1/s3/aws4_request").expect("a credential");
        assert_eq!((id, scope.to_string().as_str()), ("a/b", "20130524/us-east-1/s3/aws4_request"));
    }

    #[test]
    fn other_texts_are_no_credentials() {
        for text in [
            "",
            "AKID",
            "////",
            "/20130524/us-east-1/s3/aws4_request",
            "AKID/20130524/us-east-1/s3/aws5_request",
            "AKID/20130524/us-east-1/s3",
            "AKID/2013052/us-east-1/s3/aws4_request",
            "AKID/20130532/us-east-1/s3/aws4_request",
            "AKID/20130524/us-east-1/s3/aws4_request/",
        ] {
            assert!(matches!(Scope::parse_credential(text), Err(Malformed::Syntax(_))), "{text}");
        }
    }
}
