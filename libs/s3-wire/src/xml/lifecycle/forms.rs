//! How the filters of a configuration may be written together. A configuration whose first rule has its prefix beside its actions is of
//! the language's first version, in which there is no `Filter` and nothing else that came with it; any other is of the second.
//!
//! Rules that are stored already are not held to it.

use crate::{
    error::S3Error,
    lifecycle::{FilterForm, LifecycleRule},
};

/// `InvalidRequest` for what is of the other version (`Filter element can only be used in Lifecycle V2.` and its like are Amazon S3's
/// words, as go-to-k/cdkd's test `s3-lifecycle` has met them); `MalformedXML` for an `And` that joins nothing
/// (hashicorp/terraform-provider-aws#23882).
pub(super) fn check_forms(rules: &[LifecycleRule]) -> Result<(), S3Error> {
    let is_first_version = rules.first().is_some_and(|rule| rule.form == FilterForm::RulePrefix);
    for rule in rules {
        match (is_first_version, rule.form) {
            (true, FilterForm::One | FilterForm::And) => {
                return Err(S3Error::invalid_request("Filter element can only be used in Lifecycle V2."));
            }
            (false, FilterForm::RulePrefix) => {
                return Err(S3Error::invalid_request(
                    "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
                ));
            }
            (true, FilterForm::RulePrefix) if keeps_newer(rule) => {
                return Err(S3Error::invalid_request(
                    "NewerNoncurrentVersions element can only be used in Lifecycle V2.",
                ));
            }
            (false, FilterForm::And) if conditions(rule) < 2 => return Err(S3Error::malformed_xml()),
            _ => {}
        }
    }
    Ok(())
}

fn keeps_newer(rule: &LifecycleRule) -> bool {
    rule.noncurrent.is_some_and(|noncurrent| noncurrent.newer.is_some())
        || rule.noncurrent_transitions.iter().any(|transition| transition.newer.is_some())
}

/// How many conditions the filter has.
fn conditions(rule: &LifecycleRule) -> usize {
    let filter = &rule.filter;
    let others =
        [filter.prefix.is_some(), filter.size_greater_than.is_some(), filter.size_less_than.is_some()];
    filter.tags.len() + others.into_iter().filter(|is_there| *is_there).count()
}

#[cfg(test)]
mod tests {
    use crate::xml::{parse_lifecycle, parse_stored_lifecycle};

    const OLD: &str = "<Prefix>a</Prefix>";
    const NEWER: &str = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
        <NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>";
    const NEWER_MOVE: &str = "<NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays>\
        <NewerNoncurrentVersions>1</NewerNoncurrentVersions><StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition>";

    fn document(rules: &[(&str, &str)]) -> String {
        let rules: String = rules
            .iter()
            .map(|(filter, more)| {
                format!("<Rule>{filter}<Status>Enabled</Status><Expiration><Days>9</Days></Expiration>{more}</Rule>")
            })
            .collect();
        format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>")
    }

    #[test]
    fn the_two_versions_of_the_language_are_not_mixed() {
        let read = |document: &str| {
            parse_lifecycle(document.as_bytes(), |place| place.to_string()).map_err(|error| error.message)
        };
        for (rules, words) in [
            (&[(OLD, ""), ("<Filter/>", "")][..], "Filter element"),
            (&[("<Filter/>", ""), (OLD, "")], "Base level prefix"),
            (&[(OLD, NEWER)], "NewerNoncurrentVersions element"),
            (&[(OLD, NEWER_MOVE)], "NewerNoncurrentVersions element"),
            (&[("<Filter><And/></Filter>", "")], "The XML"),
            (&[("<Filter><And><Prefix>a</Prefix></And></Filter>", "")], "The XML"),
            (&[("<Filter><And><Tag><Key>k</Key><Value/></Tag></And></Filter>", "")], "The XML"),
        ] {
            let document = document(rules);
            let message = read(&document).expect_err(words);
            assert!(message.starts_with(words), "{document} {message}");
            // What was taken once is still read.
            assert!(parse_stored_lifecycle(document.as_bytes()).is_ok(), "{document}");
        }
        for rules in [
            &[(OLD, ""), ("<Prefix>b</Prefix>", "")][..],
            &[("<Filter/>", NEWER), ("<Filter><Prefix>a</Prefix></Filter>", NEWER_MOVE)],
            &[(
                "<Filter><And><Prefix>a</Prefix><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>",
                "",
            )],
        ] {
            assert_eq!(read(&document(rules)).map(|rules| rules.len()), Ok(rules.len()));
        }
    }
}
