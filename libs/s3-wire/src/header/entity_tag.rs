//! Lists of entity tags, as in `If-Match` and `If-None-Match`.

use http::HeaderMap;
use types::ETag;

/// What a condition compares an entity tag with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagList {
    /// `*`.
    Any,
    /// Tags that an object can have, each with whether it is weak. Tags in another form match nothing and are left out.
    Tags(Vec<(ETag, bool)>),
}

/// Most tags that are looked at; a list that long has no honest use.
const TAGS_MAX: usize = 64;

impl TagList {
    /// The list in a header, over all its lines; `None` without the header.
    ///
    /// Quotes may be missing, as many clients of S3 leave them out.
    pub(super) fn parse(headers: &HeaderMap, name: &str) -> Option<Self> {
        let mut values = headers.get_all(name).iter().peekable();
        values.peek()?;
        let mut tags = Vec::new();
        for value in values {
            let text = value.to_str().unwrap_or_default();
            for item in text.split(',').map(str::trim) {
                if item == "*" {
                    return Some(Self::Any);
                }
                let (weak, item) = item.strip_prefix("W/").map_or((false, item), |item| (true, item));
                if let Ok(tag) = item.parse()
                    && tags.len() < TAGS_MAX
                {
                    tags.push((tag, weak));
                }
            }
        }
        Some(Self::Tags(tags))
    }

    /// Whether a tag is in the list by strong comparison, in which a weak tag equals nothing.
    pub(super) fn matches_strong(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|(tag, weak)| !weak && tag == etag),
        }
    }

    /// Whether a tag is in the list by weak comparison.
    pub(super) fn matches_weak(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|(tag, _)| tag == etag),
        }
    }
}
