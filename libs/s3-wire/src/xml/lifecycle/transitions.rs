//! Transitions in lifecycle rules.

use types::StorageClassName;

use super::{midnight, newer_versions};
use crate::{
    error::{ErrorCode, S3Error},
    lifecycle::{
        Expiration, FilterForm, LifecycleRule, NoncurrentTransition, Transition, TransitionTime,
        may_transition,
    },
    xml::read::{XmlReader, set},
};

const INFREQUENT_ACCESS_DAYS_MIN: u32 = 30;

pub(super) fn read_transition(reader: &mut XmlReader<'_>) -> Result<Transition, S3Error> {
    let (mut when, mut class) = (None, None);
    while let Some(element) = reader.next_child()? {
        let word = reader.word()?;
        match element.as_str() {
            "Days" => {
                set(&mut when, TransitionTime::Days(days_or_none(&word, "'Days' in Transition action")?))?;
            }
            "Date" => set(&mut when, TransitionTime::Date(midnight(&word)?))?,
            "StorageClass" => set(&mut class, target_class(&word)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let (when, class) = when.zip(class).ok_or_else(S3Error::malformed_xml)?;
    Ok(Transition { when, class })
}

pub(super) fn read_noncurrent_transition(
    reader: &mut XmlReader<'_>,
) -> Result<NoncurrentTransition, S3Error> {
    let (mut after, mut newer, mut class) = (None, None, None);
    while let Some(element) = reader.next_child()? {
        let word = reader.word()?;
        match element.as_str() {
            "NoncurrentDays" => {
                let what = "'NoncurrentDays' in NoncurrentVersionTransition action";
                set(&mut after, days_or_none(&word, what)?)?;
            }
            "NewerNoncurrentVersions" => set(&mut newer, newer_versions(&word)?)?,
            "StorageClass" => set(&mut class, target_class(&word)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let (days, class) = after.zip(class).ok_or_else(S3Error::malformed_xml)?;
    Ok(NoncurrentTransition { days, newer, class })
}

/// Nothing moves to STANDARD. Source: API Reference, "Transition", "StorageClass".
fn target_class(word: &str) -> Result<StorageClassName, S3Error> {
    let class = StorageClassName::new(word).map_err(|_| S3Error::malformed_xml())?;
    if class == StorageClassName::standard() {
        return Err(S3Error::malformed_xml());
    }
    Ok(class)
}

fn days_or_none(word: &str, what: &str) -> Result<u32, S3Error> {
    let number: i64 = word.parse().map_err(|_| S3Error::malformed_xml())?;
    let days = u32::try_from(number).ok().filter(|days| i32::try_from(*days).is_ok());
    days.ok_or_else(|| {
        S3Error::with_message(ErrorCode::InvalidArgument, format!("{what} must be nonnegative"))
    })
}

/// Transitions of current versions: each to another class and at another time, the colder the later, and all before the
/// expiration. Times are compared as days or as dates, never as both.
pub(super) fn check_transitions(rule: &LifecycleRule) -> Result<(), S3Error> {
    let about = about(rule);
    let is_dated = |transition: &Transition| matches!(transition.when, TransitionTime::Date(_));
    let dated = rule.transitions.iter().any(is_dated);
    if dated && !rule.transitions.iter().all(is_dated) {
        return Err(S3Error::invalid_request(format!(
            "Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for {about}"
        )));
    }
    let unit = if dated { "Date" } else { "Days" };
    let time = |transition: &Transition| match transition.when {
        TransitionTime::Days(days) => i64::from(days),
        TransitionTime::Date(date) => date.0,
    };
    let times: Vec<_> =
        rule.transitions.iter().map(|transition| (&transition.class, time(transition))).collect();
    check_order("Transition", unit, &about, &times)?;
    if !dated {
        check_infrequent_access("'Days' in Transition action", &times)?;
    }
    let last = times.iter().map(|(_, time)| *time).max();
    let (expires, same_unit) = match rule.expiration {
        Some(Expiration::Days(days)) => (i64::from(days), !dated),
        Some(Expiration::Date(date)) => (date.0, dated),
        Some(Expiration::ExpiredDeleteMarker) | None => return Ok(()),
    };
    match last {
        Some(_) if !same_unit => Err(S3Error::invalid_request(format!(
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for {about}"
        ))),
        Some(last) if expires <= last => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            format!(
                "'{unit}' in the Expiration action for {about} must be greater than '{unit}' in the Transition action"
            ),
        )),
        _ => Ok(()),
    }
}

/// The same of versions that are not current.
pub(super) fn check_noncurrent_transitions(rule: &LifecycleRule) -> Result<(), S3Error> {
    let about = about(rule);
    let transitions = rule.noncurrent_transitions.iter();
    let times: Vec<_> =
        transitions.map(|transition| (&transition.class, i64::from(transition.days))).collect();
    check_order("NoncurrentVersionTransition", "NoncurrentDays", &about, &times)?;
    check_infrequent_access("'NoncurrentDays' in NoncurrentVersionTransition action", &times)?;
    let last = times.iter().map(|(_, time)| *time).max();
    if let (Some(last), Some(expiration)) = (last, rule.noncurrent)
        && i64::from(expiration.days) <= last
    {
        return Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            format!(
                "'NoncurrentDays' in the NoncurrentVersionExpiration action for {about} must be greater than \
                 'NoncurrentDays' in the NoncurrentVersionTransition action"
            ),
        ));
    }
    Ok(())
}

fn check_order(
    action: &str,
    unit: &str,
    about: &str,
    times: &[(&StorageClassName, i64)],
) -> Result<(), S3Error> {
    for (place, (class, time)) in times.iter().enumerate() {
        for (other, other_time) in &times[..place] {
            if class == other {
                return Err(S3Error::invalid_request(format!(
                    "'StorageClass' must be different for '{action}' actions in same 'Rule' with {about}"
                )));
            }
            let (warm, colder) = match may_transition(other, class) {
                true => ((other, other_time), (class, time)),
                false => ((class, time), (other, other_time)),
            };
            // Of two classes that S3 does not know either may be the colder one.
            let either = may_transition(colder.0, warm.0);
            if colder.1 == warm.1 || (!either && colder.1 < warm.1) {
                let (warm, colder) = (warm.0, colder.0);
                return Err(S3Error::with_message(
                    ErrorCode::InvalidArgument,
                    format!(
                        "'{unit}' in the '{action}' action for StorageClass '{colder}' for {about} must be greater than \
                         '{unit}' in the '{action}' action for StorageClass '{warm}'"
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn check_infrequent_access(what: &str, times: &[(&StorageClassName, i64)]) -> Result<(), S3Error> {
    let is_early = |(class, days): &&(&StorageClassName, i64)| {
        matches!(class.as_str(), "STANDARD_IA" | "ONEZONE_IA") && *days < INFREQUENT_ACCESS_DAYS_MIN.into()
    };
    match times.iter().find(is_early) {
        None => Ok(()),
        Some((class, _)) => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            format!(
                "{what} must be greater than or equal to {INFREQUENT_ACCESS_DAYS_MIN} for storageClass '{class}'"
            ),
        )),
    }
}

/// What a rule is about, for messages.
fn about(rule: &LifecycleRule) -> String {
    let prefix = rule.filter.prefix.as_deref();
    match rule.form {
        FilterForm::RulePrefix => format!("prefix '{}'", prefix.unwrap_or_default()),
        FilterForm::One | FilterForm::And => {
            let prefix = prefix.map(|prefix| format!("prefix={prefix}"));
            format!("filter '({})'", prefix.unwrap_or_default())
        }
    }
}
