//! Lifecycle rules: when objects, versions, delete markers and uploads of a bucket expire. Source: Amazon S3 User Guide,
//! "Lifecycle configuration elements".

use types::Timestamp;

/// A rule of a bucket's lifecycle configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    /// Its name, which no other rule has.
    pub id: String,
    /// Whether it is carried out.
    pub enabled: bool,
    /// What it is about.
    pub filter: LifecycleFilter,
    /// How the filter was written.
    pub form: FilterForm,
    /// When current versions expire.
    pub expiration: Option<Expiration>,
    /// When other versions expire.
    pub noncurrent: Option<NoncurrentExpiration>,
    /// After how many days open uploads are aborted.
    pub abort_uploads_after_days: Option<u32>,
}

/// Which objects a rule is about: those that all of it fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifecycleFilter {
    /// With what their keys begin.
    pub prefix: Option<String>,
    /// Tags that they have.
    pub tags: Vec<(String, String)>,
    /// More bytes than this.
    pub size_greater_than: Option<u64>,
    /// Fewer bytes than this.
    pub size_less_than: Option<u64>,
}

/// How a filter was written, so that it is shown as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterForm {
    /// As a `Prefix` of the rule, which is how it once was.
    RulePrefix,
    /// As a `Filter` with at most one element.
    One,
    /// As a `Filter` with an `And`.
    And,
}

/// When current versions expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiration {
    /// So many days after they were made.
    Days(u32),
    /// From this day on: midnight UTC.
    Date(Timestamp),
    /// A delete marker of which no other version is left, at once.
    ExpiredDeleteMarker,
}

/// When versions expire that are no longer current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoncurrentExpiration {
    /// So many days after they were replaced.
    pub days: u32,
    /// As long as there are more than this many that replaced them and are not current themselves.
    pub newer: Option<u32>,
}

impl LifecycleFilter {
    /// Whether a key fits, as far as the key tells.
    pub fn fits_key(&self, key: &str) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
    }

    /// Whether an object's size fits.
    pub fn fits_size(&self, size: u64) -> bool {
        self.size_greater_than.is_none_or(|least| size > least)
            && self.size_less_than.is_none_or(|most| size < most)
    }

    /// Whether an object's tags fit.
    pub fn fits_tags(&self, tags: &[(String, String)]) -> bool {
        self.tags.iter().all(|tag| tags.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::LifecycleFilter;

    #[test]
    fn all_of_a_filter_must_fit() {
        let everything = LifecycleFilter::default();
        assert!(everything.fits_key("") && everything.fits_size(0) && everything.fits_tags(&[]));
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let filter = LifecycleFilter {
            prefix: Some("logs/".to_owned()),
            tags: vec![tag("a", "1"), tag("b", "2")],
            size_greater_than: Some(10),
            size_less_than: Some(20),
        };
        assert!(filter.fits_key("logs/x") && !filter.fits_key("log") && !filter.fits_key("xlogs/"));
        let sizes = [10, 11, 19, 20].map(|size| filter.fits_size(size));
        assert_eq!(sizes, [false, true, true, false]);
        assert!(filter.fits_tags(&[tag("b", "2"), tag("c", "3"), tag("a", "1")]));
        assert!(!filter.fits_tags(&[tag("a", "1"), tag("b", "3")]));
    }
}
