//! When a certificate ends: the one field of X.509 that the TLS library checks and does not tell. RFC 5280, section 4.1.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The end of validity of a certificate in DER, in seconds since the Unix epoch; none when it is no certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    const SEQUENCE: u8 = 0x30;
    let (tag, certificate, _) = element(certificate)?;
    let (inner, fields, _) = element(certificate).filter(|_| tag == SEQUENCE)?;
    // The version, [0], is left out of certificates of version 1.
    let (first, _, rest) = element(fields).filter(|_| inner == SEQUENCE)?;
    let from_serial = if first == 0xa0 { rest } else { fields };
    let (_serial, _, rest) = element(from_serial)?;
    let (_algorithm, _, rest) = element(rest)?;
    let (_issuer, _, rest) = element(rest)?;
    let (tag, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity).filter(|_| tag == SEQUENCE)?;
    let (tag, end, _) = element(rest)?;
    time(tag, end)
}

/// The first element of DER: its tag, its contents and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // A length of up to four bytes; certificates are no longer.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// A UTCTime (`YYMMDDHHMMSSZ`, from 1950 to 2049) or GeneralizedTime (`YYYYMMDDHHMMSSZ`). RFC 5280, section 4.1.2.5.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let (century_digits, length) = match tag {
        0x17 => (0, 12),
        0x18 => (2, 14),
        _ => return None,
    };
    if digits.len() != length || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pairs: Vec<i64> = digits.chunks(2).map(|pair| pair.iter().fold(0, add_digit)).collect();
    let (year, rest) = match (century_digits, pairs.as_slice()) {
        (0, [year, rest @ ..]) => (if *year < 50 { 2000 + year } else { 1900 + year }, rest),
        (_, [century, year, rest @ ..]) => (century * 100 + year, rest),
        _ => return None,
    };
    let &[month, day, hour, minute, second] = rest else { return None };
    let is_real =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    is_real.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

fn add_digit(number: i64, digit: &u8) -> i64 {
    number * 10 + i64::from(digit - b'0')
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March here, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{days, not_after, time};

    #[test]
    fn times_are_seconds_since_the_epoch() {
        for (tag, text, seconds) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x17, "500101000000Z", Some(-631_152_000)),
            (0x18, "20500101000000Z", Some(2_524_608_000)),
            (0x18, "20240229120000Z", Some(1_709_208_000)),
            (0x18, "99991231235959Z", Some(253_402_300_799)),
            (0x17, "7001010000Z", None),
            (0x17, "700101000000", None),
            (0x17, "70010100000xZ", None),
            (0x17, "701301000000Z", None),
            (0x18, "700101000000Z", None),
            (0x04, "700101000000Z", None),
        ] {
            assert_eq!(time(tag, text.as_bytes()), seconds, "{text}");
        }
        assert_eq!((days(1970, 1, 1), days(2000, 3, 1), days(1969, 12, 31)), (0, 11_017, -1));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            not_after(&bytes);
        }

        #[test]
        fn no_change_of_a_certificate_makes_it_panic(at in 0_usize..200, to in any::<u8>()) {
            let mut certificate = super::super::tests::certificate_for_days(30).0;
            let at = at % certificate.len();
            certificate[at] = to;
            not_after(&certificate);
        }
    }
}
