//! Everything that reads what comes from outside, each as a function of arbitrary bytes that must not panic, and must hold to
//! what is said of it.
//!
//! `tests/corpora.rs` plays the corpora in `corpus/`, and what is made from them, with every run of the tests; `run` searches
//! for new ones with libFuzzer. A target that panics names the bytes that did it.

#[cfg(feature = "calls")]
mod calls;
mod documents;
mod heads;
mod names;
mod policies;
mod signatures;
mod streams;

/// A reader that is tried: its name and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them. Each has a folder of its name in `corpus/`.
pub const TARGETS: &[Target] = &[
    ("xml_delete", documents::delete),
    ("xml_complete", documents::complete),
    ("xml_lifecycle", documents::lifecycle),
    ("xml_access", documents::access),
    ("xml_tagging", documents::tagging),
    ("xml_cors", documents::cors),
    ("xml_website", documents::website),
    ("xml_inventory", documents::inventory),
    ("xml_logging", documents::logging),
    ("xml_object_lock", documents::object_lock),
    ("xml_encryption", documents::encryption),
    ("xml_small", documents::small),
    ("headers", heads::headers),
    ("range_header", heads::range_header),
    ("copy_source", heads::source),
    ("address", heads::address),
    ("query", heads::query),
    ("dates", heads::dates),
    ("post_form", streams::form),
    ("post_policy", heads::form_policy),
    ("chunked_signed", streams::chunked_signed),
    ("chunked_trailer", streams::chunked_trailer),
    ("sigv4_header", signatures::in_header),
    ("sigv4_query", signatures::in_query),
    ("sigv2", signatures::version_2),
    ("web_identity", signatures::web_identity),
    ("policy_bucket", policies::of_bucket),
    ("policy_identity", policies::of_identity),
    ("names", names::names),
    #[cfg(feature = "calls")]
    ("metadata_call", calls::metadata),
    #[cfg(feature = "calls")]
    ("chunk_call", calls::chunk),
    #[cfg(feature = "calls")]
    ("capability", calls::capability),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).copied()
}

/// The first line, and what follows it.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// Lines of `name: value` as headers; what cannot be a header is left out.
fn header_map(data: &[u8]) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let value = line[colon + 1..].trim_ascii();
        let (Ok(name), Ok(value)) =
            (http::HeaderName::from_bytes(&line[..colon]), http::HeaderValue::from_bytes(value))
        else {
            continue;
        };
        headers.append(name, value);
    }
    headers
}
