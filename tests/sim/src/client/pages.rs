//! Listings of versions: those of a key at once, and those of both keys in small pages while others write.

use bytes::Bytes;
use http::Method;

use super::{Client, TRIES, VERSIONED, between, key_number};
use crate::{
    time,
    versions::{Action, NULL, Page, Row},
};

/// Most versions on a page that nobody bounds.
const ROOM: usize = 1000;

impl Client {
    /// Lists the versions of a key, all at one moment. Whether there was an answer.
    pub(crate) async fn list_versions(&mut self, key: &str) -> bool {
        let query = format!("prefix={key}");
        let all = Page {
            key: Some(self.history.key(key)),
            after: None,
            room: ROOM,
            rows: Vec::new(),
            is_truncated: false,
        };
        self.page(&query, all).await.is_some()
    }

    /// Lists the versions of all keys, a few on each page. What is there throughout is listed once, whatever becomes of
    /// the version that a page ended with: the pages are read one after the other, each at one moment.
    pub(super) async fn page_versions(&mut self) {
        let room = self.rng.between(1, 3);
        let first = format!("max-keys={room}");
        let room = usize::try_from(room).expect("few");
        let mut page = Page { key: None, after: None, room, rows: Vec::new(), is_truncated: false };
        let mut query = first.clone();
        let mut listed = Vec::new();
        loop {
            let mut answered = None;
            for _ in 0..TRIES {
                answered = self.page(&query, page.clone()).await;
                if answered.is_some() {
                    break;
                }
            }
            let Some((text, rows)) = answered else { return };
            for Row { key, version: (name, _), .. } in &rows {
                assert!(
                    !listed.contains(&(*key, *name)) || *name == NULL,
                    "{name:?} of {key:?} is listed twice"
                );
                listed.push((*key, *name));
            }
            if !text.contains("<IsTruncated>true") {
                return;
            }
            let last = rows.last().expect("a page that is not the last is full");
            page.after = Some((last.key, last.version));
            let key = between(&text, "<NextKeyMarker>", "</NextKeyMarker>");
            let id = between(&text, "<NextVersionIdMarker>", "</NextVersionIdMarker>");
            query = format!("{first}&key-marker={key}&version-id-marker={id}");
            self.history.count(|counts| counts.continued += 1);
            let pause = self.rng.between(0, 800);
            time::sleep_ms(pause).await;
        }
    }

    /// Asks for a page and notes what it tells; `None` if there was no answer.
    async fn page(&mut self, query: &str, asked: Page) -> Option<(String, Vec<Row>)> {
        let number = asked.key.map_or(0, |key| u64::from(key.0));
        self.site.trace.event("list versions", &self.name, [asked.room as u64, number, key_number(query)]);
        let start = self.history.moment();
        let answer = self.send(Method::GET, format!("/{VERSIONED}?versions=&{query}"), Bytes::new()).await;
        let Some(answer) = self.check(answer) else {
            self.history.refused();
            return None;
        };
        let text = answer.text().to_owned();
        let rows: Vec<Row> =
            elements(&text).map(|(element, is_marker)| self.row(element, is_marker)).collect();
        let is_truncated = text.contains("<IsTruncated>true");
        self.history.told(Action::List(Page { rows: rows.clone(), is_truncated, ..asked }), start);
        Some((text, rows))
    }

    fn row(&self, element: &str, is_marker: bool) -> Row {
        let key = between(element, "<Key>", "</Key>");
        let is_latest = between(element, "<IsLatest>", "</IsLatest>") == "true";
        let name = self.history.name(&key, &between(element, "<VersionId>", "</VersionId>"));
        let content = (!is_marker).then(|| {
            let tag = between(element, "<ETag>&quot;", "&quot;</ETag>");
            let value = self.history.value_of_etag(&tag);
            value.unwrap_or_else(|| panic!("{key} is listed with a tag that nobody wrote"))
        });
        Row { key: self.history.key(&key), version: (name, content), is_latest }
    }
}

/// The versions and markers of a listing in their order, each with whether it is a marker.
fn elements(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.match_indices('<').filter_map(|(start, _)| {
        let rest = &text[start..];
        let is_marker = rest.starts_with("<DeleteMarker>");
        (is_marker || rest.starts_with("<Version>")).then_some((rest, is_marker))
    })
}
