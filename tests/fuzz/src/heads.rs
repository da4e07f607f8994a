//! What stands in a request's head.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::Method;
use s3_wire::{
    Operation, acl, address, date,
    form::{Fields, Policy},
    header,
    operation::{RouteInput, route},
    query::Query,
};
use types::{ETag, Timestamp};

use crate::{header_map, line};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// All headers that mean something.
pub(crate) fn headers(data: &[u8]) {
    let map = header_map(data);
    let etag = ETag { digest: [7; 16], parts: Some(2) };
    let _ = header::ReadConditions::for_read(&map).evaluate(&etag, NOW, NOW);
    let _ = header::ReadConditions::for_copy_source(&map).evaluate_absent();
    let _ = header::ReadConditions::for_rename_source(&map);
    let _ = header::ReadConditions::for_rename_destination(&map);
    let _ = header::if_range(&map, &etag, NOW);
    let _ =
        (header::write_condition(&map), header::delete_condition(&map), header::initiated_condition(&map));
    let _ = (header::attributes(&map), header::storage_class(&map), header::tags(&map));
    let _ = (header::metadata_directive(&map), header::tagging_directive(&map));
    let _ = (header::website_redirect_location(&map), header::content_md5(&map));
    let _ = (header::request_checksum(&map), header::object_checksum(&map), header::multipart_checksum(&map));
    let _ = (header::decoded_content_length(&map), header::mp_object_size(&map));
    let _ = (header::server_side_encryption(&map), header::kms_parameters(&map));
    let _ = (header::customer_key(&map), header::copy_source_customer_key(&map));
    let _ = (header::object_lock(&map), header::bucket_object_lock(&map), header::bypasses_governance(&map));
    let _ = (header::expected_bucket_owner(&map), header::expected_source_bucket_owner(&map));
    let _ = (header::client_token(&map), header::wants_restore_status(&map));
    let _ = (acl::asked_acl(&map), acl::object_ownership(&map));
    for operation in
        [Operation::PutObject, Operation::GetObject, Operation::CreateBucket, Operation::UploadPart]
    {
        let _ = header::refuse_unsupported_headers(operation, &map);
        let _ = header::refuse_misplaced_encryption(operation, &map);
    }
}

pub(crate) fn range_header(data: &[u8]) {
    let (sizes, value) = data.split_at(data.len().min(8));
    let size = sizes.iter().fold(0, |size, &byte| size << 8 | u64::from(byte));
    let Ok(value) = http::HeaderValue::from_bytes(value) else { return };
    let map = http::HeaderMap::from_iter([(http::header::RANGE, value)]);
    if let Some(range) = header::range(&map) {
        for size in [0, 1, 10, size] {
            if let Ok(range) = range.resolve(size, "") {
                assert!(range.start() < range.end() && range.end() <= size, "{range:?} of {size}");
            }
        }
    }
}

/// Sources of copies and renames.
pub(crate) fn source(data: &[u8]) {
    let Ok(value) = http::HeaderValue::from_bytes(data) else { return };
    for name in ["x-amz-copy-source", "x-amz-copy-source-range", "x-amz-rename-source"] {
        let mut map = http::HeaderMap::new();
        map.insert(name, value.clone());
        let _ = header::copy_source(&map);
        let _ = header::copy_source_range(&map);
        let _ = header::rename_source(&map);
    }
}

/// A host in the first line, then a path. A key is the decoded path, byte by byte: nothing is normalised.
pub(crate) fn address(data: &[u8]) {
    let (host, path) = line(data);
    let (Ok(host), Ok(path)) = (std::str::from_utf8(host), std::str::from_utf8(path)) else { return };
    let domains = ["s3.example.com", "example.com"];
    for host in [None, Some(host)] {
        let Ok(found) = address::address(host, &domains, path) else { continue };
        if let (Some(bucket), Some(key)) = (&found.bucket, &found.key) {
            let encoded: String = key.as_bytes().iter().map(|byte| format!("%{byte:02X}")).collect();
            let again = address::address::<&str>(None, &[], &format!("/{}/{encoded}", bucket.as_str()));
            assert_eq!(again.map(|again| again.key), Ok(Some(key.clone())));
        }
    }
    let _ = (address::website_bucket(host, &domains), address::website_key(path), address::form_key(path));
}

/// A query, and what it asks for.
pub(crate) fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(query) = Query::parse(text) else { return };
    let _ =
        (query.version_id(), query.encoding_type_url(), query.number("max-keys"), query.number("partNumber"));
    let headers = http::HeaderMap::new();
    for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD] {
        for (has_bucket, has_key) in [(false, false), (true, false), (true, true)] {
            let input = RouteInput { method: &method, has_bucket, has_key, query: &query, headers: &headers };
            let _ = route(&input);
        }
    }
}

/// Times in texts; what is shown of one is read as the same second.
pub(crate) fn dates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for time in [date::parse_http_date(text), date::parse_iso_date(text)].into_iter().flatten() {
        let seconds = time.seconds();
        // Four digits are what a year has.
        if (0..253_402_300_800).contains(&seconds) {
            let shown = date::http_date(time).to_string();
            assert_eq!(date::parse_http_date(&shown).map(Timestamp::seconds), Some(seconds), "{shown}");
            let shown = date::xml_date(time).to_string();
            assert_eq!(date::parse_iso_date(&shown).map(Timestamp::seconds), Some(seconds), "{shown}");
        }
    }
}

/// A policy of a form as JSON, or as it is sent.
pub(crate) fn form_policy(data: &[u8]) {
    let mut fields = Fields::default();
    for (name, value) in [("key", "user/a"), ("acl", "private"), ("content-type", "text/plain")] {
        let _ = fields.add(name.to_owned(), value.to_owned());
    }
    let sent = String::from_utf8_lossy(data);
    for encoded in [BASE64_STANDARD.encode(data).as_str(), &sent] {
        if let Ok(policy) = Policy::parse(encoded) {
            let _ = policy.check(&fields, "bucket", NOW);
        }
    }
}
