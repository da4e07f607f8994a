use proptest::prelude::*;
use types::Timestamp;

use super::{http_date, parse_http_date, parse_iso_date, xml_date};

const MOMENT: Timestamp = Timestamp(784_111_777_000);

#[test]
fn all_three_formats_of_http_dates_are_read() {
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        " Sun, 6 nov 1994 08:49:37 GMT ",
    ] {
        assert_eq!(parse_http_date(text), Some(MOMENT), "{text}");
    }
    assert_eq!(http_date(MOMENT).as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
}

#[test]
fn known_dates_are_written_as_they_are_known() {
    for (milliseconds, http, xml) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59.000Z"),
        (1_138_985_109_007, "Fri, 03 Feb 2006 16:45:09 GMT", "2006-02-03T16:45:09.000Z"),
        (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000Z"),
        (4_107_542_399_000, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59.000Z"),
    ] {
        assert_eq!(http_date(Timestamp(milliseconds)).as_str(), http);
        assert_eq!(xml_date(Timestamp(milliseconds)).as_str(), xml);
    }
    assert_eq!(http_date(Timestamp(i64::MAX)).as_str(), "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(&xml_date(Timestamp(i64::MIN)).as_str()[..19], "0000-01-01T00:00:00");
}

#[test]
fn what_is_no_date_is_refused() {
    for text in [
        "",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37:00 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sunday, 06-Nov 08:49:37 GMT",
    ] {
        assert_eq!(parse_http_date(text), None, "{text}");
    }
    for text in [
        "",
        "2006-02-03",
        "2006-02-03T16:45:09",
        "2006-13-03T16:45:09Z",
        "2006-02-03T16:45:09.Z",
        "2006-02-03T16:45:09.1x2Z",
    ] {
        assert_eq!(parse_iso_date(text), None, "{text}");
    }
    for text in ["09:49:37+01:00", "07:49:37-01:00", "14:19:37.000+05:30", "08:49:37-00:00"] {
        assert_eq!(parse_iso_date(&format!("1994-11-06T{text}")), Some(MOMENT), "{text}");
    }
    for text in
        ["08:49:37", "08:49:37+1:00", "08:49:37+0100", "08:49:37+24:00", "08:49:37+00:60", "08:49:37Z+00:00"]
    {
        assert_eq!(parse_iso_date(&format!("1994-11-06T{text}")), None, "{text}");
    }
}

proptest! {
    #[test]
    fn dates_round_trip(milliseconds in -62_167_219_200_000_i64..253_402_300_800_000) {
        let time = Timestamp(milliseconds);
        let whole = Timestamp(time.seconds() * 1000);
        prop_assert_eq!(parse_iso_date(xml_date(time).as_str()), Some(whole));
        prop_assert_eq!(parse_http_date(http_date(time).as_str()), Some(whole));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}|[A-Za-z]{3},? ?[0-9 :A-Za-z-]{0,30}|[0-9T:.Z-]{0,30}") {
        let _ = parse_http_date(&text);
        let _ = parse_iso_date(&text);
    }
}
