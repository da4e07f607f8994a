//! What is asked for when a storage class is defined.

use metadata_api::StorageClassDefinition;
use placement::GROUPS_DEFAULT;
use types::{Coding, StorageClassName};

/// What is asked of a class beside its name and its coding. What is left out is the default for a new class, and whatever it is of one that
/// is there.
#[derive(Debug, Clone, Default)]
pub struct AskedOfClass {
    /// The medium of its disks.
    pub medium: Option<String>,
    /// Its placement groups.
    pub groups: Option<u32>,
    /// Objects up to this many bytes are kept in their metadata row.
    pub inline_limit_bytes: Option<u64>,
    /// Objects up to this many bytes are kept as whole copies.
    pub whole_limit_bytes: Option<u64>,
}

impl AskedOfClass {
    /// A new class as it is asked for.
    pub fn definition(&self, name: StorageClassName, coding: Coding) -> StorageClassDefinition {
        StorageClassDefinition {
            name,
            coding,
            inline_limit_bytes: self.inline_limit_bytes.unwrap_or(StorageClassDefinition::INLINE_LIMIT_BYTES),
            whole_limit_bytes: self.whole_limit_bytes.unwrap_or(StorageClassDefinition::WHOLE_LIMIT_BYTES),
            groups: self.groups.unwrap_or(GROUPS_DEFAULT),
            medium: self.medium.clone(),
        }
    }

    /// Why a class that is there is not what is asked for, if it is not: to define it again changes nothing of it.
    pub fn unmet(&self, present: &StorageClassDefinition) -> Option<String> {
        let is_met = self.medium.as_ref().is_none_or(|medium| present.medium.as_ref() == Some(medium))
            && self.groups.is_none_or(|groups| groups == present.groups)
            && self.inline_limit_bytes.is_none_or(|limit| limit == present.inline_limit_bytes)
            && self.whole_limit_bytes.is_none_or(|limit| limit == present.whole_limit_bytes);
        let StorageClassDefinition { name, groups, inline_limit_bytes, whole_limit_bytes, .. } = present;
        let medium = present.medium.as_deref().unwrap_or("the first that has enough disks");
        (!is_met).then(|| {
            format!(
                "{name} is there already, of {groups} groups, on this medium: {medium}. It keeps objects of up to {inline_limit_bytes} bytes in \
                 their rows, and of up to {whole_limit_bytes} as whole copies. Nothing was changed: choose another name for another class."
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use types::{Coding, StorageClassName};

    use super::AskedOfClass;

    #[test]
    fn a_class_that_is_there_meets_what_is_not_asked_for_or_is_so() {
        let named =
            AskedOfClass { medium: Some("disk".to_owned()), groups: Some(16), ..AskedOfClass::default() };
        let present = named.definition(StorageClassName::new("COLD").unwrap(), Coding::new(2, 1).unwrap());
        assert_eq!(
            (present.groups, present.inline_limit_bytes, present.whole_limit_bytes),
            (16, 4096, 65536)
        );
        for met in [
            AskedOfClass::default(),
            named.clone(),
            AskedOfClass { inline_limit_bytes: Some(4096), whole_limit_bytes: Some(65536), ..named.clone() },
        ] {
            assert_eq!(met.unmet(&present), None, "{met:?}");
        }
        for unmet in [
            AskedOfClass { medium: Some("s3".to_owned()), ..AskedOfClass::default() },
            AskedOfClass { groups: Some(32), ..named.clone() },
            AskedOfClass { inline_limit_bytes: Some(0), ..named.clone() },
            AskedOfClass { whole_limit_bytes: Some(0), ..named },
        ] {
            let told = unmet.unmet(&present).expect("it is another");
            assert!(told.starts_with("COLD is there already, of 16 groups, on this medium: disk."), "{told}");
        }
    }
}
