//! Lifecycle rules: when objects, versions, delete markers and uploads of a bucket expire, and when objects and versions move to
//! other storage classes. Source: Amazon S3 User Guide, "Lifecycle configuration elements".

use std::cmp::Ordering;

use types::{StorageClassName, Timestamp};

/// Bytes of the smallest objects that move to other classes when nothing else is said.
const DEFAULT_MINIMUM_BYTES: u64 = 128 << 10;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A bucket's lifecycle configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifecycleConfiguration {
    /// Its rules.
    pub rules: Vec<LifecycleRule>,
    /// How small objects may be that move to other classes.
    pub minimum_size: DefaultMinimumSize,
}

/// How small objects may be that move to other classes by rules whose filters do not speak of sizes. Source: API Reference,
/// "PutBucketLifecycleConfiguration", "x-amz-transition-default-minimum-object-size".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultMinimumSize {
    /// 128 KiB.
    #[default]
    AllStorageClasses128K,
    /// 128 KiB, but anything moves to GLACIER and DEEP_ARCHIVE.
    VariesByStorageClass,
}

impl DefaultMinimumSize {
    /// Its name in S3's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllStorageClasses128K => "all_storage_classes_128K",
            Self::VariesByStorageClass => "varies_by_storage_class",
        }
    }

    /// The one of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AllStorageClasses128K, Self::VariesByStorageClass]
            .into_iter()
            .find(|size| size.as_str() == name)
    }

    /// Whether an object of so many bytes may move to a class by a rule with this filter.
    pub fn allows(self, filter: &LifecycleFilter, size: u64, to: &StorageClassName) -> bool {
        let says_size = filter.size_greater_than.is_some() || filter.size_less_than.is_some();
        let any_size = self == Self::VariesByStorageClass && to.archive().is_some();
        says_size || any_size || size >= DEFAULT_MINIMUM_BYTES
    }
}

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
    /// When current versions move to other storage classes.
    pub transitions: Vec<Transition>,
    /// When other versions move to other storage classes.
    pub noncurrent_transitions: Vec<NoncurrentTransition>,
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

/// When current versions move to another storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub when: TransitionTime,
    /// The class that they get.
    pub class: StorageClassName,
}

/// When a current version moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransitionTime {
    /// So many days after it was made.
    Days(u32),
    /// From this day on: midnight UTC.
    Date(Timestamp),
}

/// When versions that are no longer current move to another storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoncurrentTransition {
    /// So many days after they were replaced.
    pub days: u32,
    /// As long as there are more than this many that replaced them and are not current themselves.
    pub newer: Option<u32>,
    /// The class that they get.
    pub class: StorageClassName,
}

/// The time `days` days after another, at the next midnight (UTC) as on S3. A day may be told to be shorter.
/// Source: User Guide, "Lifecycle rules: Based on an object's age".
pub fn midnight_after(since: Timestamp, days: u32, day_ms: i64) -> Timestamp {
    let day_ms = day_ms.max(1);
    let end = since.0.saturating_add(day_ms.saturating_mul(days.into()));
    let midnights = end.div_euclid(day_ms) + i64::from(end.rem_euclid(day_ms) > 0);
    Timestamp(midnights.saturating_mul(day_ms))
}

/// What rules ask of a current version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// Its tags.
    pub tags: &'a [(String, String)],
    /// When it was made.
    pub last_modified: Timestamp,
}

/// When a current version expires, by the rule with this id: the soonest of those that are enabled.
pub fn expiration<'a>(rules: &'a [LifecycleRule], object: &Current<'_>) -> Option<(Timestamp, &'a str)> {
    let fits = |rule: &&LifecycleRule| {
        let filter = &rule.filter;
        rule.enabled
            && filter.fits_key(object.key)
            && filter.fits_size(object.size)
            && filter.fits_tags(object.tags)
    };
    let times = rules.iter().filter(fits).filter_map(|rule| match rule.expiration? {
        Expiration::Days(days) => {
            Some((midnight_after(object.last_modified, days, DAY_MS), rule.id.as_str()))
        }
        Expiration::Date(date) => Some((date, rule.id.as_str())),
        Expiration::ExpiredDeleteMarker => None,
    });
    times.min_by_key(|(time, _)| time.0)
}

/// When an upload that was begun then is aborted, by the rule with this id: the soonest of those that are enabled.
pub fn abort_date<'a>(
    rules: &'a [LifecycleRule],
    key: &str,
    initiated: Timestamp,
) -> Option<(Timestamp, &'a str)> {
    let fitting = rules.iter().filter(|rule| rule.enabled && rule.filter.fits_key(key));
    let times = fitting.filter_map(|rule| {
        let days = rule.abort_uploads_after_days?;
        Some((midnight_after(initiated, days, DAY_MS), rule.id.as_str()))
    });
    times.min_by_key(|(time, _)| time.0)
}

/// The order in which objects move down. Source: User Guide, "Transitioning objects using Amazon S3 Lifecycle". Classes
/// that S3 does not know are between those that it reads at once and those that it archives.
fn rank(class: &StorageClassName) -> u8 {
    match class.as_str() {
        "STANDARD" => 0,
        "REDUCED_REDUNDANCY" => 1,
        "STANDARD_IA" => 2,
        "INTELLIGENT_TIERING" => 3,
        "ONEZONE_IA" => 4,
        "GLACIER_IR" => 5,
        "GLACIER" => 7,
        "DEEP_ARCHIVE" => 8,
        _ => 6,
    }
}

/// Whether objects may move from one class to the other: down, never up, and between classes that S3 does not know.
pub fn may_transition(from: &StorageClassName, to: &StorageClassName) -> bool {
    match rank(from).cmp(&rank(to)) {
        Ordering::Less => true,
        Ordering::Equal => from != to,
        Ordering::Greater => false,
    }
}

/// Which of two classes an object moves to when both are due, since a time each: the greater one.
pub fn compare_targets(
    (class, due): (&StorageClassName, Timestamp),
    (other, other_due): (&StorageClassName, Timestamp),
) -> Ordering {
    (rank(class), due.0, class).cmp(&(rank(other), other_due.0, other))
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
    use types::{StorageClassName, Timestamp};

    use super::{DefaultMinimumSize, LifecycleFilter, compare_targets, may_transition, midnight_after};

    fn class(name: &str) -> StorageClassName {
        StorageClassName::new(name).unwrap()
    }

    #[test]
    fn days_end_at_midnight() {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let after = |since, days| midnight_after(Timestamp(since), days, DAY).0;
        assert_eq!(after(10 * DAY, 1), 11 * DAY);
        assert_eq!(after(10 * DAY + 1, 1), 12 * DAY);
        assert_eq!(after(10 * DAY + DAY / 2, 0), 11 * DAY);
        assert_eq!(after(-DAY / 2, 0), 0);
        assert!(after(i64::MAX - DAY, u32::MAX) > i64::MAX - DAY);
        assert_eq!(midnight_after(Timestamp(1500), 2, 1000), Timestamp(4000));
    }

    #[test]
    fn objects_move_down_and_never_up() {
        for (from, to, expected) in [
            ("STANDARD", "COLD", true),
            ("STANDARD_IA", "COLD", true),
            ("COLD", "COLDER", true),
            ("COLDER", "COLD", true),
            ("COLD", "COLD", false),
            ("COLD", "GLACIER", true),
            ("COLD", "STANDARD_IA", false),
            ("GLACIER", "COLD", false),
            ("GLACIER", "DEEP_ARCHIVE", true),
            ("DEEP_ARCHIVE", "GLACIER", false),
            ("GLACIER", "STANDARD", false),
        ] {
            assert_eq!(may_transition(&class(from), &class(to)), expected, "{from} {to}");
        }
        let greater = |a, due: i64, b, other: i64| {
            compare_targets((&class(a), Timestamp(due)), (&class(b), Timestamp(other))).is_gt()
        };
        assert!(greater("GLACIER", 1, "COLD", 9) && greater("COLD", 9, "COLDER", 1));
        assert!(greater("COLDER", 1, "COLD", 1), "always the same one");
    }

    #[test]
    fn small_objects_stay_unless_the_rule_speaks_of_sizes() {
        let (all, varies) =
            (DefaultMinimumSize::AllStorageClasses128K, DefaultMinimumSize::VariesByStorageClass);
        let (any, sized) = (
            LifecycleFilter::default(),
            LifecycleFilter { size_less_than: Some(9), ..LifecycleFilter::default() },
        );
        for (setting, filter, size, to, expected) in [
            (all, &any, 131_071, "COLD", false),
            (all, &any, 131_072, "COLD", true),
            (all, &any, 1, "GLACIER", false),
            (all, &sized, 1, "COLD", true),
            (varies, &any, 1, "GLACIER", true),
            (varies, &any, 1, "DEEP_ARCHIVE", true),
            (varies, &any, 131_071, "COLD", false),
        ] {
            assert_eq!(setting.allows(filter, size, &class(to)), expected, "{setting:?} {size} {to}");
        }
        for setting in [all, varies] {
            assert_eq!(DefaultMinimumSize::from_name(setting.as_str()), Some(setting));
        }
        assert_eq!(DefaultMinimumSize::from_name("none"), None);
    }

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
