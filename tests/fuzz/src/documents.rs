//! Bodies in XML. What is read and written again reads as the same.

use s3_wire::{
    tags::Tagged,
    xml::{self},
};

/// Reads, writes, reads again.
macro_rules! round_trip {
    ($data:expr, $read:expr, $write:expr) => {
        if let Ok(read) = $read($data) {
            let written = $write(&read);
            let again = $read(&written);
            assert!(
                again.as_ref() == Ok(&read),
                "{read:?} was written as {written:?}, which is read as {again:?}"
            );
        }
    };
}

pub(crate) fn delete(data: &[u8]) {
    if let Ok(delete) = xml::parse_delete(data) {
        assert!((1..=1000).contains(&delete.objects.len()));
        for object in &delete.objects {
            let _ = (object.object_key(), object.version());
        }
    }
}

pub(crate) fn complete(data: &[u8]) {
    if let Ok(parts) = xml::parse_complete(data)
        && xml::check_part_order(&parts).is_ok()
    {
        assert!((1..=10_000).contains(&parts.len()));
        assert!(parts.windows(2).all(|pair| pair[0].number < pair[1].number));
    }
}

pub(crate) fn lifecycle(data: &[u8]) {
    let read = |data: &[u8]| xml::parse_lifecycle(data, |place| format!("rule-{place}"));
    round_trip!(data, read, |rules: &Vec<_>| xml::lifecycle(rules));
    round_trip!(data, xml::parse_stored_lifecycle, xml::stored_lifecycle);
}

pub(crate) fn access(data: &[u8]) {
    let _ = xml::parse_acl(data);
    round_trip!(data, xml::parse_ownership, |ownership: &_| xml::ownership(*ownership));
    round_trip!(data, xml::parse_public_access_block, |block: &_| xml::public_access_block(*block));
}

pub(crate) fn tagging(data: &[u8]) {
    for (tagged, most) in [(Tagged::Object, 10), (Tagged::Bucket, 50)] {
        let read = |data: &[u8]| xml::parse_tagging(data, tagged);
        if let Ok(tags) = read(data) {
            assert!(tags.len() <= most);
        }
        round_trip!(data, read, |tags: &Vec<_>| xml::tagging(tags));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = s3_wire::tags::parse_header(text);
    }
}

pub(crate) fn cors(data: &[u8]) {
    round_trip!(data, xml::parse_cors, |rules: &Vec<_>| xml::cors(rules));
}

pub(crate) fn website(data: &[u8]) {
    round_trip!(data, xml::parse_website, xml::website);
}

pub(crate) fn inventory(data: &[u8]) {
    round_trip!(data, xml::parse_inventory, xml::inventory);
}

pub(crate) fn logging(data: &[u8]) {
    if let Ok(Some(read)) = xml::parse_logging(data) {
        let again = xml::parse_logging(&xml::logging(&read));
        assert_eq!(again, Ok(Some(read)));
    }
}

pub(crate) fn object_lock(data: &[u8]) {
    round_trip!(data, xml::parse_object_lock, xml::object_lock);
    if let Ok(Some(read)) = xml::parse_retention(data) {
        // Seconds are what is shown of times.
        let again = xml::parse_retention(&xml::retention(&read));
        assert!(again.is_ok_and(|again| again.is_some()));
    }
    round_trip!(data, xml::parse_legal_hold, |held: &bool| xml::legal_hold(*held));
}

pub(crate) fn encryption(data: &[u8]) {
    round_trip!(data, xml::parse_encryption, xml::encryption);
    let _ = xml::parse_object_encryption(data);
}

/// Those that are short.
pub(crate) fn small(data: &[u8]) {
    let _ = (xml::parse_create_bucket(data), xml::parse_restore(data), xml::check_notification(data));
    let _ = (xml::check_request_payment(data), xml::check_accelerate(data));
    round_trip!(data, xml::parse_versioning, |state: &_| xml::versioning(*state));
}
