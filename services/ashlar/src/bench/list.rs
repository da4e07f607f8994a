//! Walking through a listing and checking every page of it.

use http::StatusCode;

use crate::bench::{
    keys::Keys,
    s3::{Done, PAGE, S3},
};
use s3_client::{Answer, Failure, xml};

/// Pages that are read one after the other by continuation token before the next place is chosen.
const PAGES_IN_A_ROW: u64 = 8;

/// Where a worker is in the listing. Places are chosen all over it, so that the cost seen is that of any page; from
/// each place a few pages are read as a client does, each by the token of the one before.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    token: Option<String>,
    /// The object that the next page begins with.
    next: u64,
    pages: u64,
}

impl Cursor {
    /// Reads one page out of `objects` keys, a full one wherever there is one, and compares every key.
    /// `choice` is any number.
    pub(crate) async fn page(
        &mut self,
        s3: &mut S3<'_>,
        keys: &Keys,
        objects: u64,
        choice: u64,
    ) -> Result<Done, Failure> {
        let query = match self.token.take() {
            Some(token) => format!("&continuation-token={}", sigv4::encode_component(token.as_bytes())),
            None => self.begin(keys, objects, choice),
        };
        let answer = s3.list(keys.prefix(), &query).await?;
        let count = PAGE.min(objects - self.next);
        let text = text_of(&answer)?;
        let expected = (self.next..self.next + count).map(|number| keys.name(number));
        compare(xml::elements(text, "Key"), expected)?;
        self.next += count;
        self.pages += 1;
        if self.pages < PAGES_IN_A_ROW && self.next + PAGE <= objects {
            let token = xml::element(text, "NextContinuationToken");
            self.token =
                Some(xml::unescape(token.ok_or_else(|| corrupt("a page is not the last and has no token"))?));
        }
        Ok(Done { latency: answer.latency, bytes: answer.body.len() as u64 })
    }

    fn begin(&mut self, keys: &Keys, objects: u64, choice: u64) -> String {
        // So many places are followed by a full page; with fewer objects than that there is only the beginning.
        let places = objects.saturating_sub(PAGE) + 1;
        self.pages = 0;
        self.next = choice % places;
        match self.next.checked_sub(1) {
            Some(before) => format!("&start-after={}", sigv4::encode_component(keys.name(before).as_bytes())),
            None => String::new(),
        }
    }

    /// Lists the folders and compares every name. They fit on one page.
    pub(crate) async fn folders(
        &mut self,
        s3: &mut S3<'_>,
        keys: &Keys,
        folders: u64,
    ) -> Result<Done, Failure> {
        let answer = s3.list(keys.prefix(), "&delimiter=%2F").await?;
        let text = text_of(&answer)?;
        let found = xml::elements(text, "CommonPrefixes").filter_map(|group| xml::element(group, "Prefix"));
        compare(found, (0..folders).map(|folder| keys.folder(folder)))?;
        Ok(Done { latency: answer.latency, bytes: answer.body.len() as u64 })
    }
}

fn compare<'a>(
    found: impl Iterator<Item = &'a str>,
    mut expected: impl Iterator<Item = String>,
) -> Result<(), Failure> {
    for name in found {
        match expected.next() {
            Some(wanted) if wanted == name => {}
            Some(wanted) => return Err(corrupt(&format!("the listing has {name} instead of {wanted}"))),
            None => return Err(corrupt(&format!("the listing has {name} too much"))),
        }
    }
    match expected.next() {
        Some(wanted) => Err(corrupt(&format!("the listing ends before {wanted}"))),
        None => Ok(()),
    }
}

fn text_of(answer: &Answer) -> Result<&str, Failure> {
    if answer.status != StatusCode::OK {
        return Err(Failure::Unexpected(format!("status {}", answer.status)));
    }
    std::str::from_utf8(&answer.body).map_err(|_| Failure::Unexpected("it is not UTF-8".to_owned()))
}

fn corrupt(what: &str) -> Failure {
    Failure::Corrupt(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn a_page_must_hold_exactly_the_expected_names_in_order() {
        let expected = || ["a", "b", "c"].map(str::to_owned).into_iter();
        assert_eq!(compare(["a", "b", "c"].into_iter(), expected()), Ok(()));
        for wrong in [&["a", "c", "b"][..], &["a", "b"], &["a", "b", "c", "d"], &[]] {
            assert!(compare(wrong.iter().copied(), expected()).is_err(), "{wrong:?}");
        }
    }
}
