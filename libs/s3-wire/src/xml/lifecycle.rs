//! Bodies about lifecycle rules.

mod forms;
mod transitions;

use std::collections::BTreeSet;

use bytes::Bytes;
use types::Timestamp;

use self::transitions::{
    check_noncurrent_transitions, check_transitions, read_noncurrent_transition, read_transition,
};
use super::{
    Document,
    read::{XmlReader, set},
    tagging::read_tag,
};
use crate::{
    date::parse_iso_date,
    error::{ErrorCode, S3Error},
    lifecycle::{
        DefaultMinimumSize, Expiration, FilterForm, LifecycleConfiguration, LifecycleFilter, LifecycleRule,
        NoncurrentExpiration, TransitionTime,
    },
    tags::{Tagged, check_tags},
};

/// Largest body of PutBucketLifecycleConfiguration in bytes.
pub const LIFECYCLE_BODY_MAX: usize = 512 << 10;

const RULES_MAX: usize = 1000;
const ID_MAX: usize = 255;
const NEWER_VERSIONS_MAX: u32 = 100;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// In documents as they are stored, the element that keeps what S3 has in a header.
const MINIMUM_SIZE: &str = "TransitionDefaultMinimumObjectSize";

/// Reads a body of PutBucketLifecycleConfiguration: 1 to 1,000 rules. A rule without an id is given `name(its place)`.
///
/// Errors: `MalformedXML`; `InvalidArgument` and `InvalidRequest` with S3's words for what no rule can say. Whether
/// there are the storage classes that it names is for the caller to ask.
/// Source: API Reference, "PutBucketLifecycleConfiguration".
pub fn parse_lifecycle(body: &[u8], name: impl Fn(usize) -> String) -> Result<Vec<LifecycleRule>, S3Error> {
    let rules = parse(body, name, false)?.rules;
    forms::check_forms(&rules)?;
    Ok(rules)
}

/// Reads what [`stored_lifecycle`] wrote. Errors: `MalformedXML` and those of [`parse_lifecycle`], when it did not.
pub fn parse_stored_lifecycle(document: &[u8]) -> Result<LifecycleConfiguration, S3Error> {
    parse(document, |place| place.to_string(), true)
}

fn parse(
    body: &[u8],
    name: impl Fn(usize) -> String,
    is_stored: bool,
) -> Result<LifecycleConfiguration, S3Error> {
    let mut reader = XmlReader::open(body, LIFECYCLE_BODY_MAX, "LifecycleConfiguration")?;
    let (mut rules, mut minimum_size): (Vec<LifecycleRule>, _) = (Vec::new(), None);
    while let Some(element) = reader.next_child()? {
        if is_stored && element == MINIMUM_SIZE {
            let size = DefaultMinimumSize::from_name(&reader.word()?).ok_or_else(S3Error::malformed_xml)?;
            set(&mut minimum_size, size)?;
            continue;
        }
        if element != "Rule" || rules.len() == RULES_MAX {
            return Err(S3Error::malformed_xml());
        }
        rules.push(read_rule(&mut reader, || name(rules.len()))?);
    }
    reader.finish()?;
    if rules.is_empty() {
        return Err(S3Error::malformed_xml());
    }
    let mut ids = BTreeSet::new();
    for rule in &rules {
        if !ids.insert(rule.id.as_str()) {
            let message = "Rule ID must be unique. Found same ID for more than one rule";
            return Err(S3Error::with_message(ErrorCode::InvalidArgument, message));
        }
    }
    Ok(LifecycleConfiguration { rules, minimum_size: minimum_size.unwrap_or_default() })
}

fn read_rule(reader: &mut XmlReader<'_>, name: impl FnOnce() -> String) -> Result<LifecycleRule, S3Error> {
    let (mut id, mut status, mut prefix, mut filter) = (None, None, None, None);
    let (mut expiration, mut noncurrent, mut abort) = (None, None, None);
    let (mut transitions, mut noncurrent_transitions) = (Vec::new(), Vec::new());
    while let Some(element) = reader.next_child()? {
        match element.as_str() {
            "ID" => set(&mut id, reader.text()?)?,
            "Status" => set(&mut status, reader.word()?)?,
            "Prefix" => set(&mut prefix, reader.key()?)?,
            "Filter" => set(&mut filter, read_filter(reader)?)?,
            "Expiration" => set(&mut expiration, read_expiration(reader)?)?,
            "NoncurrentVersionExpiration" => set(&mut noncurrent, read_noncurrent(reader)?)?,
            "AbortIncompleteMultipartUpload" => {
                set(&mut abort, read_days(reader, "DaysAfterInitiation")?)?;
            }
            "Transition" => transitions.push(read_transition(reader)?),
            "NoncurrentVersionTransition" => {
                noncurrent_transitions.push(read_noncurrent_transition(reader)?);
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let enabled = match status.as_deref() {
        Some("Enabled") => true,
        Some("Disabled") => false,
        _ => return Err(S3Error::malformed_xml()),
    };
    let (filter, form) = match (prefix, filter) {
        (Some(prefix), None) => {
            (LifecycleFilter { prefix: Some(prefix), ..LifecycleFilter::default() }, FilterForm::RulePrefix)
        }
        (None, Some(filter)) => filter,
        _ => return Err(S3Error::malformed_xml()),
    };
    let id = id.filter(|id| !id.is_empty()).unwrap_or_else(name);
    let rule = LifecycleRule {
        id,
        enabled,
        filter,
        form,
        expiration,
        noncurrent,
        transitions,
        noncurrent_transitions,
        abort_uploads_after_days: abort,
    };
    check_rule(&rule)?;
    check_transitions(&rule)?;
    check_noncurrent_transitions(&rule)?;
    Ok(rule)
}

fn check_rule(rule: &LifecycleRule) -> Result<(), S3Error> {
    let refuse = |message: &'static str| Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    if rule.id.chars().count() > ID_MAX {
        let message = "ID length should not exceed allowed limit of 255";
        return Err(S3Error::with_message(ErrorCode::InvalidArgument, message));
    }
    if rule.expiration.is_none()
        && rule.noncurrent.is_none()
        && rule.transitions.is_empty()
        && rule.noncurrent_transitions.is_empty()
        && rule.abort_uploads_after_days.is_none()
    {
        return refuse("At least one action needs to be specified in a rule");
    }
    let filter = &rule.filter;
    let has_size = filter.size_greater_than.is_some() || filter.size_less_than.is_some();
    if rule.expiration == Some(Expiration::ExpiredDeleteMarker) && !filter.tags.is_empty() {
        return refuse("ExpiredObjectDeleteMarker cannot be specified with Tags.");
    }
    if rule.abort_uploads_after_days.is_some() && !filter.tags.is_empty() {
        return refuse("AbortIncompleteMultipartUpload cannot be specified with Tags.");
    }
    if rule.abort_uploads_after_days.is_some() && has_size {
        return refuse("AbortIncompleteMultipartUpload cannot be specified with Object Size.");
    }
    if let (Some(least), Some(most)) = (filter.size_greater_than, filter.size_less_than)
        && least >= most
    {
        return refuse("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.");
    }
    Ok(())
}

fn read_filter(reader: &mut XmlReader<'_>) -> Result<(LifecycleFilter, FilterForm), S3Error> {
    let (mut filter, mut form, mut elements) = (LifecycleFilter::default(), FilterForm::One, 0);
    while let Some(element) = reader.next_child()? {
        elements += 1;
        if elements > 1 {
            return Err(S3Error::malformed_xml());
        }
        if element == "And" {
            form = FilterForm::And;
            while let Some(element) = reader.next_child()? {
                read_condition(reader, &element, &mut filter)?;
            }
        } else {
            read_condition(reader, &element, &mut filter)?;
        }
    }
    check_tags(&filter.tags, Tagged::Bucket)?;
    Ok((filter, form))
}

fn read_condition(
    reader: &mut XmlReader<'_>,
    element: &str,
    filter: &mut LifecycleFilter,
) -> Result<(), S3Error> {
    match element {
        "Prefix" => set(&mut filter.prefix, reader.key()?),
        "Tag" => {
            filter.tags.push(read_tag(reader)?);
            Ok(())
        }
        "ObjectSizeGreaterThan" => set(&mut filter.size_greater_than, number(&reader.word()?)?),
        "ObjectSizeLessThan" => set(&mut filter.size_less_than, number(&reader.word()?)?),
        _ => Err(S3Error::malformed_xml()),
    }
}

fn read_expiration(reader: &mut XmlReader<'_>) -> Result<Expiration, S3Error> {
    let mut expiration = None;
    while let Some(element) = reader.next_child()? {
        let word = reader.word()?;
        match element.as_str() {
            "Days" => {
                set(&mut expiration, Expiration::Days(days(&word, "'Days' for Expiration action")?))?;
            }
            "Date" => set(&mut expiration, Expiration::Date(midnight(&word)?))?,
            // False says what is so without it.
            "ExpiredObjectDeleteMarker" if word == "false" => {}
            "ExpiredObjectDeleteMarker" if word == "true" => {
                set(&mut expiration, Expiration::ExpiredDeleteMarker)?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    expiration.ok_or_else(S3Error::malformed_xml)
}

fn read_noncurrent(reader: &mut XmlReader<'_>) -> Result<NoncurrentExpiration, S3Error> {
    let (mut after, mut newer) = (None, None);
    while let Some(element) = reader.next_child()? {
        let word = reader.word()?;
        match element.as_str() {
            "NoncurrentDays" => {
                let what = "'NoncurrentDays' for NoncurrentVersionExpiration action";
                set(&mut after, days(&word, what)?)?;
            }
            "NewerNoncurrentVersions" => set(&mut newer, newer_versions(&word)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    Ok(NoncurrentExpiration { days: after.ok_or_else(S3Error::malformed_xml)?, newer })
}

fn newer_versions(word: &str) -> Result<u32, S3Error> {
    let newer = days(word, "'NewerNoncurrentVersions'")?;
    if newer > NEWER_VERSIONS_MAX {
        let message = "'NewerNoncurrentVersions' must be at most 100";
        return Err(S3Error::with_message(ErrorCode::InvalidArgument, message));
    }
    Ok(newer)
}

fn read_days(reader: &mut XmlReader<'_>, wanted: &str) -> Result<u32, S3Error> {
    let mut found = None;
    while let Some(element) = reader.next_child()? {
        if element != wanted {
            return Err(S3Error::malformed_xml());
        }
        let word = reader.word()?;
        set(&mut found, days(&word, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action")?)?;
    }
    found.ok_or_else(S3Error::malformed_xml)
}

fn number(word: &str) -> Result<u64, S3Error> {
    word.parse().map_err(|_| S3Error::malformed_xml())
}

fn days(word: &str, what: &str) -> Result<u32, S3Error> {
    let number: i64 = word.parse().map_err(|_| S3Error::malformed_xml())?;
    let days = u32::try_from(number).ok().filter(|days| *days > 0 && i32::try_from(*days).is_ok());
    days.ok_or_else(|| {
        S3Error::with_message(ErrorCode::InvalidArgument, format!("{what} must be a positive integer"))
    })
}

fn midnight(word: &str) -> Result<Timestamp, S3Error> {
    let date = parse_iso_date(word).ok_or_else(S3Error::malformed_xml)?;
    if date.0 % DAY_MS == 0 {
        return Ok(date);
    }
    Err(S3Error::with_message(ErrorCode::InvalidArgument, "'Date' must be at midnight GMT"))
}

/// The body of GetBucketLifecycleConfiguration.
pub fn lifecycle(rules: &[LifecycleRule]) -> Bytes {
    write(rules, None)
}

/// A configuration as it is stored: the same, and what S3 has in a header where that is not the default.
pub fn stored_lifecycle(configuration: &LifecycleConfiguration) -> Bytes {
    let size = configuration.minimum_size;
    write(&configuration.rules, (size != DefaultMinimumSize::default()).then_some(size))
}

fn write(rules: &[LifecycleRule], minimum_size: Option<DefaultMinimumSize>) -> Bytes {
    let mut document = Document::new("LifecycleConfiguration", 256 + 384 * rules.len());
    document.optional(MINIMUM_SIZE, minimum_size.map(DefaultMinimumSize::as_str));
    for rule in rules {
        document.open("Rule");
        document.element("ID", &rule.id);
        write_filter(rule, &mut document);
        document.element("Status", if rule.enabled { "Enabled" } else { "Disabled" });
        if let Some(expiration) = rule.expiration {
            document.open("Expiration");
            match expiration {
                Expiration::Days(days) => document.plain("Days", days),
                Expiration::Date(date) => document.date("Date", date),
                Expiration::ExpiredDeleteMarker => document.boolean("ExpiredObjectDeleteMarker", true),
            }
            document.close("Expiration");
        }
        for transition in &rule.transitions {
            document.open("Transition");
            match transition.when {
                TransitionTime::Days(days) => document.plain("Days", days),
                TransitionTime::Date(date) => document.date("Date", date),
            }
            document.element("StorageClass", transition.class.as_str());
            document.close("Transition");
        }
        for transition in &rule.noncurrent_transitions {
            document.open("NoncurrentVersionTransition");
            document.plain("NoncurrentDays", transition.days);
            if let Some(newer) = transition.newer {
                document.plain("NewerNoncurrentVersions", newer);
            }
            document.element("StorageClass", transition.class.as_str());
            document.close("NoncurrentVersionTransition");
        }
        if let Some(noncurrent) = rule.noncurrent {
            document.open("NoncurrentVersionExpiration");
            document.plain("NoncurrentDays", noncurrent.days);
            if let Some(newer) = noncurrent.newer {
                document.plain("NewerNoncurrentVersions", newer);
            }
            document.close("NoncurrentVersionExpiration");
        }
        if let Some(days) = rule.abort_uploads_after_days {
            document.open("AbortIncompleteMultipartUpload");
            document.plain("DaysAfterInitiation", days);
            document.close("AbortIncompleteMultipartUpload");
        }
        document.close("Rule");
    }
    document.finish("LifecycleConfiguration")
}

fn write_filter(rule: &LifecycleRule, document: &mut Document) {
    let filter = &rule.filter;
    if rule.form == FilterForm::RulePrefix {
        if let Some(prefix) = &filter.prefix {
            document.key("Prefix", prefix, false);
        }
        return;
    }
    document.open("Filter");
    if rule.form == FilterForm::And {
        document.open("And");
    }
    if let Some(prefix) = &filter.prefix {
        document.key("Prefix", prefix, false);
    }
    for (key, value) in &filter.tags {
        document.open("Tag");
        document.element("Key", key);
        document.element("Value", value);
        document.close("Tag");
    }
    if let Some(size) = filter.size_greater_than {
        document.plain("ObjectSizeGreaterThan", size);
    }
    if let Some(size) = filter.size_less_than {
        document.plain("ObjectSizeLessThan", size);
    }
    if rule.form == FilterForm::And {
        document.close("And");
    }
    document.close("Filter");
}

#[cfg(test)]
mod tests {
    use super::{lifecycle, parse_lifecycle, parse_stored_lifecycle, stored_lifecycle};
    use crate::{
        error::ErrorCode,
        lifecycle::{DefaultMinimumSize, LifecycleConfiguration, LifecycleRule},
    };

    fn parse(body: &str) -> Result<Vec<LifecycleRule>, ErrorCode> {
        parse_lifecycle(body.as_bytes(), |place| format!("rule-{place}")).map_err(|error| error.code)
    }

    fn wrap(rules: &[&str]) -> String {
        let rules: String = rules.iter().map(|rule| format!("<Rule>{rule}</Rule>")).collect();
        format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>")
    }

    fn rule(actions: &str) -> String {
        wrap(&[&format!("<Filter/><Status>Enabled</Status>{actions}")])
    }

    const DAYS: &str = "<Expiration><Days>1</Days></Expiration>";

    #[test]
    fn what_is_written_is_read_again() {
        let old = wrap(&[&format!("<ID>old</ID><Prefix>logs/</Prefix><Status>Disabled</Status>{DAYS}")]);
        let old = parse(&old).expect("a rule of the first version");
        assert_eq!(parse(std::str::from_utf8(&lifecycle(&old)).unwrap()), Ok(old));
        let document = wrap(&[
            &format!("<Filter/><Status>Enabled</Status>{DAYS}"),
            "<ID>date</ID><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status>\
             <Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>",
            "<ID>tag</ID><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Status>Enabled</Status>\
             <NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays>\
             <NewerNoncurrentVersions>100</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
            "<ID>and</ID><Filter><And><Prefix/><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>l</Key><Value/></Tag>\
             <ObjectSizeGreaterThan>0</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>\
             <Status>Enabled</Status><Expiration><Days>2147483647</Days></Expiration>",
            "<ID>marker</ID><Filter/><Status>Enabled</Status>\
             <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>\
             <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
            "<ID>tiers</ID><Filter/><Status>Enabled</Status><Expiration><Days>91</Days></Expiration>\
             <Transition><Days>90</Days><StorageClass>GLACIER</StorageClass></Transition>\
             <Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>\
             <Transition><Days>31</Days><StorageClass>INTELLIGENT_TIERING</StorageClass></Transition>\
             <NoncurrentVersionTransition><NoncurrentDays>0</NoncurrentDays>\
             <NewerNoncurrentVersions>3</NewerNoncurrentVersions><StorageClass>COLD</StorageClass>\
             </NoncurrentVersionTransition>",
            "<ID>dates</ID><Filter/><Status>Enabled</Status>\
             <Transition><Date>2030-01-01T00:00:00Z</Date><StorageClass>COLD</StorageClass></Transition>",
        ]);
        let rules = parse(&document).expect("every rule is good");
        let names: Vec<_> = rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(names, ["rule-0", "date", "tag", "and", "marker", "tiers", "dates"]);
        assert_eq!(parse(std::str::from_utf8(&lifecycle(&rules)).unwrap()), Ok(rules.clone()));
        for minimum_size in
            [DefaultMinimumSize::AllStorageClasses128K, DefaultMinimumSize::VariesByStorageClass]
        {
            let configuration = LifecycleConfiguration { rules: rules.clone(), minimum_size };
            let stored = stored_lifecycle(&configuration);
            assert_eq!(parse_stored_lifecycle(&stored).map_err(|error| error.code), Ok(configuration));
            let is_default = minimum_size == DefaultMinimumSize::default();
            let asked = parse(std::str::from_utf8(&stored).unwrap());
            assert_eq!(asked.is_ok(), is_default, "no request has what S3 has in a header");
        }
    }

    #[test]
    fn rules_that_say_what_cannot_be_are_refused() {
        use ErrorCode::{InvalidArgument, InvalidRequest, MalformedXML};
        let to = |time: &str, class: &str| {
            format!("<Transition>{time}<StorageClass>{class}</StorageClass></Transition>")
        };
        let days = |days: i64, class: &str| to(&format!("<Days>{days}</Days>"), class);
        let later = |days: i64, class: &str| {
            format!(
                "<NoncurrentVersionTransition><NoncurrentDays>{days}</NoncurrentDays>\
                 <StorageClass>{class}</StorageClass></NoncurrentVersionTransition>"
            )
        };
        let date = "<Date>2030-01-01T00:00:00Z</Date>";
        let gone =
            "<NoncurrentVersionExpiration><NoncurrentDays>5</NoncurrentDays></NoncurrentVersionExpiration>";
        let filter = |filter: &str, action: &str| {
            wrap(&[&format!("<Filter>{filter}</Filter><Status>Enabled</Status>{action}")])
        };
        let tag = "<Tag><Key>k</Key><Value>v</Value></Tag>";
        let abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
        let marker = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
        let named = format!("<ID>same</ID><Filter/><Status>Enabled</Status>{DAYS}");
        let long = format!("<ID>{}</ID><Filter/><Status>Enabled</Status>{DAYS}", "i".repeat(256));
        let sizes = "<And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And>";
        let plain = format!("<Filter/><Status>Enabled</Status>{DAYS}");
        for (body, code) in [
            (String::new(), MalformedXML),
            ("<LifecycleConfiguration/>".to_owned(), MalformedXML),
            (wrap(&vec![plain.as_str(); 1001]), MalformedXML),
            (wrap(&[&format!("<Status>Enabled</Status>{DAYS}")]), MalformedXML),
            (wrap(&[&format!("<Filter/><Prefix/><Status>Enabled</Status>{DAYS}")]), MalformedXML),
            (wrap(&[&format!("<Filter/>{DAYS}")]), MalformedXML),
            (wrap(&[&format!("<Filter/><Status>On</Status>{DAYS}")]), MalformedXML),
            (wrap(&[&named, &named]), InvalidArgument),
            (wrap(&[&long]), InvalidArgument),
            (rule(""), InvalidRequest),
            (rule("<Expiration/>"), MalformedXML),
            (rule("<Expiration><Days>0</Days></Expiration>"), InvalidArgument),
            (rule("<Expiration><Days>-1</Days></Expiration>"), InvalidArgument),
            (rule("<Expiration><Days>1.5</Days></Expiration>"), MalformedXML),
            (rule("<Expiration><Days>2147483648</Days></Expiration>"), InvalidArgument),
            (rule("<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>"), MalformedXML),
            (rule("<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>"), InvalidArgument),
            (rule("<Expiration><Date>soon</Date></Expiration>"), MalformedXML),
            (rule("<NoncurrentVersionExpiration/>"), MalformedXML),
            (
                rule(
                    "<NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
                ),
                MalformedXML,
            ),
            (
                rule(
                    "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
                ),
                InvalidArgument,
            ),
            (rule("<Transition><Days>1</Days></Transition>"), MalformedXML),
            (rule("<Transition><StorageClass>GLACIER</StorageClass></Transition>"), MalformedXML),
            (rule(&to(&format!("<Days>1</Days>{date}"), "GLACIER")), MalformedXML),
            (rule(&days(1, "STANDARD")), MalformedXML),
            (rule(&days(1, "no class")), MalformedXML),
            (rule(&days(-1, "GLACIER")), InvalidArgument),
            (rule(&days(29, "STANDARD_IA")), InvalidArgument),
            (rule(&to("<Date>2030-01-01T00:00:01Z</Date>", "GLACIER")), InvalidArgument),
            (rule(&[days(1, "GLACIER"), days(2, "GLACIER")].concat()), InvalidRequest),
            (rule(&[days(1, "GLACIER"), to(date, "DEEP_ARCHIVE")].concat()), InvalidRequest),
            (rule(&[days(2, "GLACIER"), days(1, "DEEP_ARCHIVE")].concat()), InvalidArgument),
            (rule(&[days(1, "DEEP_ARCHIVE"), days(2, "GLACIER")].concat()), InvalidArgument),
            (rule(&[days(2, "COLD"), days(2, "COLDER")].concat()), InvalidArgument),
            (rule(&[days(1, "GLACIER"), DAYS.to_owned()].concat()), InvalidArgument),
            (rule(&[to(date, "GLACIER"), DAYS.to_owned()].concat()), InvalidRequest),
            (
                rule(&[to(date, "GLACIER"), format!("<Expiration>{date}</Expiration>")].concat()),
                InvalidArgument,
            ),
            (rule("<NoncurrentVersionTransition/>"), MalformedXML),
            (rule(&later(-1, "GLACIER")), InvalidArgument),
            (rule(&later(29, "ONEZONE_IA")), InvalidArgument),
            (rule(&[later(1, "GLACIER"), later(2, "GLACIER")].concat()), InvalidRequest),
            (rule(&[later(1, "DEEP_ARCHIVE"), later(2, "GLACIER")].concat()), InvalidArgument),
            (rule(&[later(5, "GLACIER"), gone.to_owned()].concat()), InvalidArgument),
            (rule("<Other/>"), MalformedXML),
            (filter(&format!("{tag}<Prefix/>"), DAYS), MalformedXML),
            (filter("<Tag><Key>aws:k</Key><Value/></Tag>", DAYS), ErrorCode::InvalidTag),
            (filter("<ObjectSizeLessThan>many</ObjectSizeLessThan>", DAYS), MalformedXML),
            (filter(sizes, DAYS), InvalidRequest),
            (filter(tag, abort), InvalidRequest),
            (filter("<ObjectSizeLessThan>5</ObjectSizeLessThan>", abort), InvalidRequest),
            (filter(tag, marker), InvalidRequest),
        ] {
            assert_eq!(parse(&body), Err(code), "{body:.300}");
        }
    }
}
