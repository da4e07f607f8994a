//! Dates as S3 writes and reads them: HTTP dates in headers, ISO 8601 with milliseconds in XML.
//!
//! Written into a buffer on the stack: a page of a listing has a thousand of them. Days and dates are converted by the
//! algorithms of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

#[cfg(test)]
mod tests;

use std::fmt;

use types::Timestamp;

const DAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const SECONDS_PER_DAY: i64 = 86_400;
/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds: years of four digits.
const SECONDS_RANGE: (i64, i64) = (-62_167_219_200, 253_402_300_799);

/// A date as `N` characters of ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DateText<const N: usize>([u8; N]);

impl<const N: usize> DateText<N> {
    /// The date as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The date as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> fmt::Display for DateText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for DateText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`: whole seconds, rounded down. Source: RFC 9110, section 5.6.7.
pub fn http_date(time: Timestamp) -> DateText<29> {
    let civil = Civil::new(time.seconds());
    let mut out = *b"Sun, 06 Nov 1994 08:49:37 GMT";
    out[..3].copy_from_slice(DAYS[civil.weekday]);
    two_digits(&mut out[5..7], civil.day);
    out[8..11].copy_from_slice(MONTHS[civil.month as usize - 1]);
    two_digits(&mut out[12..14], civil.year / 100);
    two_digits(&mut out[14..16], civil.year % 100);
    two_digits(&mut out[17..19], civil.hour);
    two_digits(&mut out[20..22], civil.minute);
    two_digits(&mut out[23..25], civil.second);
    DateText(out)
}

/// A date such as `2006-02-03T16:45:09.000Z`: whole seconds, rounded down, as AWS shows them, so that a listing and
/// `Last-Modified` name the same moment.
pub fn xml_date(time: Timestamp) -> DateText<24> {
    let civil = Civil::new(time.seconds());
    let mut out = *b"2006-02-03T16:45:09.000Z";
    two_digits(&mut out[..2], civil.year / 100);
    two_digits(&mut out[2..4], civil.year % 100);
    two_digits(&mut out[5..7], civil.month);
    two_digits(&mut out[8..10], civil.day);
    two_digits(&mut out[11..13], civil.hour);
    two_digits(&mut out[14..16], civil.minute);
    two_digits(&mut out[17..19], civil.second);
    DateText(out)
}

/// Reads an HTTP date in any of its three formats. Source: RFC 9110, section 5.6.7.
///
/// A year of two digits from 70 to 99 is in the twentieth century. The name of the day is not checked.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let mut words = [""; 6];
    let mut count = 0;
    for word in text.split_ascii_whitespace() {
        *words.get_mut(count)? = word;
        count += 1;
    }
    let (year, month, day, time) = match words[..count] {
        [name, day, month, year, time, "GMT"] if name.ends_with(',') => {
            (year_number(year, 4)?, month, day, time)
        }
        // RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`.
        [name, date, time, "GMT"] if name.ends_with(',') => {
            let (day, rest) = date.split_once('-')?;
            let (month, year) = rest.split_once('-')?;
            let year = year_number(year, 2)?;
            (if year >= 70 { 1900 + year } else { 2000 + year }, month, day, time)
        }
        // asctime: `Sun Nov  6 08:49:37 1994`.
        [_, month, day, time, year] => (year_number(year, 4)?, month, day, time),
        _ => return None,
    };
    let seconds = seconds(year, month_number(month)?, number(day, 2)?, time)?;
    Some(Timestamp(seconds * 1000))
}

/// Reads `2006-02-03T16:45:09Z` or `2006-02-03T16:45:09+01:00`, with or without a fraction of a second, of which
/// milliseconds are kept.
pub fn parse_iso_date(text: &str) -> Option<Timestamp> {
    let (date, time) = text.trim().split_once('T')?;
    let (time, offset) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let (time, offset) = time.split_at_checked(at)?;
            (time, offset_seconds(offset)?)
        }
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let milliseconds: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = seconds(year_number(year, 4)?, number(month, 2)?, number(day, 2)?, time)?;
    Some(Timestamp((seconds - offset) * 1000 + milliseconds))
}

/// How far east of Greenwich `+01:00` is.
fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn seconds(year: u32, month: u32, day: u32, time: &str) -> Option<i64> {
    let mut parts = time.split(':');
    let (hour, minute, second) =
        (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let in_range = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    // A leap second counts as the first second of the next minute.
    if parts.next().is_some() || !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_from_civil(year, month, day) * SECONDS_PER_DAY + i64::from(hour * 3600 + minute * 60 + second))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn month_number(name: &str) -> Option<u32> {
    let position = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name.as_bytes()))?;
    u32::try_from(position + 1).ok()
}

fn year_number(text: &str, digits: usize) -> Option<u32> {
    if text.len() == digits { number(text, digits) } else { None }
}

/// A number of one to `digits_max` digits.
fn number(text: &str, digits_max: usize) -> Option<u32> {
    let good = (1..=digits_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}

fn two_digits(out: &mut [u8], number: u32) {
    out[0] = digit(number / 10 % 10);
    out[1] = digit(number % 10);
}

fn digit(number: u32) -> u8 {
    let digit = (number % 10) as u8;
    b'0' + digit
}

/// A moment as fields of the Gregorian calendar, held to years of four digits.
struct Civil {
    year: u32,
    month: u32,
    day: u32,
    weekday: usize,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Civil {
    fn new(seconds: i64) -> Self {
        let seconds = seconds.clamp(SECONDS_RANGE.0, SECONDS_RANGE.1);
        let (days, second) =
            (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY) as u32);
        // Years begin in March, so that the leap day is the last of its year; an era has 400 years.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year: year as u32,
            month: month as u32,
            day: (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32,
            weekday: (days + 4).rem_euclid(7) as usize,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

fn days_from_civil(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
