//! Sizes and durations as people write and read them.

use std::time::Duration;

/// Binary and decimal units of size, longest names first so that `KiB` is not read as `B`.
const SIZE_UNITS: [(&str, u64); 16] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("kB", 1_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("B", 1),
];

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Text that is no size or no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expecting {0}")]
pub struct UnitError(&'static str);

/// Reads `4096`, `4KiB`, `64 MiB`, `1.5GiB`, `5GB` as a number of bytes. `K`, `M` and `G` alone are binary.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    const WANTED: UnitError = UnitError("a size such as 4096, 4KiB, 64MiB or 5GB");
    let (number, unit) = split_unit(text).ok_or(WANTED)?;
    let factor = match unit {
        "" => 1,
        _ => SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(WANTED)?.1,
    };
    scaled(number, factor).ok_or(WANTED)
}

/// Reads `500ms`, `10s`, `5m`, `1h`.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const WANTED: UnitError = UnitError("a duration such as 500ms, 10s, 5m or 1h");
    let (number, unit) = split_unit(text).ok_or(WANTED)?;
    let factor = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or(WANTED)?.1;
    scaled(number, factor).map(Duration::from_millis).ok_or(WANTED)
}

fn split_unit(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (!number.is_empty()).then(|| (number, unit.trim_start()))
}

/// `number`, which may have up to three decimals, times `factor`, when that is whole and fits.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    let product =
        whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(thousandths)?.checked_mul(factor)?;
    product.is_multiple_of(1_000).then_some(product / 1_000)
}

/// `4 KiB`, `1.5 GiB`: a size for people.
pub fn show_size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let Some((name, shift)) = units.into_iter().find(|(_, shift)| bytes >= 1 << shift) else {
        return format!("{bytes} B");
    };
    let size = bytes as f64 / f64::from(1_u32 << shift);
    if size.fract() == 0.0 { format!("{size:.0} {name}") } else { format!("{size:.1} {name}") }
}

/// `870 ns`, `12.3 µs`, `1.25 ms`, `12.5 s`: a time for people, three digits.
pub fn show_seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    match value {
        v if v >= 99.95 => format!("{v:.0} {unit}"),
        v if v >= 9.995 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

/// `1,234,567`: a count for people.
pub fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_duration, parse_size, show_count, show_seconds, show_size};

    #[test]
    fn sizes_are_read_in_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4KiB", 4096),
            ("4k", u64::MAX),
            ("4K", 4096),
            ("4kB", 4000),
            ("64 MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("5GB", 5_000_000_000),
            ("0.5KiB", 512),
            ("0.001B", u64::MAX),
            ("1.2345MB", u64::MAX),
            ("", u64::MAX),
            ("KiB", u64::MAX),
            ("-1", u64::MAX),
            ("1e3", u64::MAX),
            ("99999999TiB", u64::MAX),
        ] {
            assert_eq!(parse_size(text).unwrap_or(u64::MAX), bytes, "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        for text in ["", "10", "s", "-1s", "1d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_shown_with_three_digits_and_a_unit() {
        assert_eq!(show_size(0), "0 B");
        assert_eq!(show_size(4096), "4 KiB");
        assert_eq!(show_size(3 << 29), "1.5 GiB");
        assert_eq!(show_seconds(0.000_000_870), "870 ns");
        assert_eq!(show_seconds(0.001_25), "1.25 ms");
        assert_eq!(show_seconds(0.012_34), "12.3 ms");
        assert_eq!(show_seconds(123.4), "123 s");
        assert_eq!(show_count(0), "0");
        assert_eq!(show_count(999), "999");
        assert_eq!(show_count(1_234_567), "1,234,567");
    }
}
