//! Bodies about tags.

use bytes::Bytes;

use super::{
    Document,
    read::{XmlReader, set},
};
use crate::{
    error::S3Error,
    tags::{Tagged, check_tags},
};

/// Largest body of PutObjectTagging and PutBucketTagging in bytes.
pub const TAGGING_BODY_MAX: usize = 128 << 10;

/// Reads a body of PutObjectTagging or PutBucketTagging. Errors: `MalformedXML`, and those of [`check_tags`].
/// Source: API Reference, "PutObjectTagging".
pub fn parse_tagging(body: &[u8], tagged: Tagged) -> Result<Vec<(String, String)>, S3Error> {
    let mut reader = XmlReader::open(body, TAGGING_BODY_MAX, "Tagging")?;
    let mut tags = None;
    while let Some(name) = reader.next_child()? {
        if name != "TagSet" {
            return Err(S3Error::malformed_xml());
        }
        set(&mut tags, read_tags(&mut reader)?)?;
    }
    reader.finish()?;
    let tags = tags.ok_or_else(S3Error::malformed_xml)?;
    check_tags(&tags, tagged)?;
    Ok(tags)
}

/// Reads `Tag` elements up to the end of the element that is open.
pub(super) fn read_tags(reader: &mut XmlReader<'_>) -> Result<Vec<(String, String)>, S3Error> {
    let mut tags = Vec::new();
    while let Some(name) = reader.next_child()? {
        if name != "Tag" {
            return Err(S3Error::malformed_xml());
        }
        tags.push(read_tag(reader)?);
    }
    Ok(tags)
}

/// Reads what is in the `Tag` that is open, and leaves it.
pub(super) fn read_tag(reader: &mut XmlReader<'_>) -> Result<(String, String), S3Error> {
    let (mut key, mut value) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Key" => set(&mut key, reader.text()?)?,
            "Value" => set(&mut value, reader.text()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    match (key, value) {
        (Some(key), Some(value)) => Ok((key, value)),
        _ => Err(S3Error::malformed_xml()),
    }
}

/// The body of GetObjectTagging and GetBucketTagging.
pub fn tagging(tags: &[(String, String)]) -> Bytes {
    let mut document = Document::new("Tagging", 256 + 64 * tags.len());
    document.open("TagSet");
    for (key, value) in tags {
        document.open("Tag");
        document.element("Key", key);
        document.element("Value", value);
        document.close("Tag");
    }
    document.close("TagSet");
    document.finish("Tagging")
}

#[cfg(test)]
mod tests {
    use super::{Tagged, parse_tagging, tagging};
    use crate::error::ErrorCode;

    #[test]
    fn what_is_written_is_read_again() {
        let tags =
            vec![("é <&>".replace(['<', '&', '>'], "+"), "a b".to_owned()), ("b".to_owned(), String::new())];
        assert_eq!(parse_tagging(&tagging(&tags), Tagged::Object), Ok(tags));
        assert_eq!(parse_tagging(&tagging(&[]), Tagged::Bucket), Ok(vec![]));
    }

    #[test]
    fn other_documents_are_refused() {
        let tag = |inner: &str| format!("<Tagging><TagSet><Tag>{inner}</Tag></TagSet></Tagging>");
        for bad in [
            String::new(),
            "<Tagging/>".to_owned(),
            "<Tagging><TagSet/><TagSet/></Tagging>".to_owned(),
            "<Tagging><TagSet><Other/></TagSet></Tagging>".to_owned(),
            "<TagSet/>".to_owned(),
            tag(""),
            tag("<Key>k</Key>"),
            tag("<Value>v</Value>"),
            tag("<Key>k</Key><Key>k</Key><Value>v</Value>"),
            tag("<Key>k</Key><Value>v</Value><More/>"),
            tag("<Key>k</Key><Value><Deep/></Value>"),
            "<Tagging><TagSet><Tag>".to_owned(),
        ] {
            let refused = parse_tagging(bad.as_bytes(), Tagged::Object).map_err(|error| error.code);
            assert_eq!(refused, Err(ErrorCode::MalformedXML), "{bad}");
        }
        let refused = parse_tagging(tag("<Key>aws:k</Key><Value>v</Value>").as_bytes(), Tagged::Object);
        assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::InvalidTag));
    }
}
