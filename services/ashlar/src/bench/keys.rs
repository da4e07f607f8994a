//! The names of the objects of a run: numbered, so that none has to be remembered.

/// Names objects by number: `PREFIX0000000042`, or `PREFIXd0007/0000000042` when they are spread over folders.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
    folders: Option<u64>,
}

impl Keys {
    /// Names under `prefix`, spread over so many folders.
    pub(crate) fn new(prefix: String, folders: Option<u64>) -> Self {
        Self { prefix, folders }
    }

    /// What all names begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of an object. Without folders, names are in the order of their numbers.
    pub(crate) fn name(&self, number: u64) -> String {
        match self.folders {
            Some(folders) => format!("{}{number:010}", self.folder(number % folders)),
            None => format!("{}{number:010}", self.prefix),
        }
    }

    /// The name of a folder, with its slash.
    pub(crate) fn folder(&self, folder: u64) -> String {
        format!("{}d{folder:04}/", self.prefix)
    }

    /// How many folders hold something when the first `objects` names are used.
    pub(crate) fn folders_used(&self, objects: u64) -> Option<u64> {
        self.folders.map(|folders| folders.min(objects))
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn names_sort_by_number_and_folders_share_them_out() {
        let keys = Keys::new("p/".to_owned(), None);
        let names: Vec<String> = [0, 9, 10, 99_999, 9_999_999_999].map(|number| keys.name(number)).to_vec();
        assert!(names.is_sorted());
        let keys = Keys::new("p/".to_owned(), Some(3));
        assert_eq!(keys.name(4), "p/d0001/0000000004");
        assert!(keys.name(4).starts_with(&keys.folder(1)));
        assert_eq!(keys.folders_used(2), Some(2));
        assert_eq!(keys.folders_used(100), Some(3));
    }
}
