//! How fast an audit reads, and what it does when rows cannot be read at once.

use std::time::Duration;

use env::Env;
use metadata_api::{ContentPage, ContentPosition, Error, Metadata, PAGE_SIZE_MAX};

use crate::throttle::Throttle;

/// Pause before rows are asked for again that could not be read.
const RETRY: Duration = Duration::from_secs(10);

/// How often they are asked for: ten minutes, longer than a database takes to fail over.
const TRIES: u32 = 60;

/// Rows and shards that are accounted for together, so that an audit does not wait for each by itself.
const TOGETHER: u64 = 1000;

/// The pace of an audit that nobody waits for; without one an audit reads as fast as it can and ends at the first error.
pub(super) struct Pace(Option<Paced>);

struct Paced {
    env: Env,
    throttle: Throttle,
}

/// Rows and shards that were read and are not accounted for yet.
#[derive(Default)]
pub(super) struct Tally(u64);

impl Pace {
    /// None.
    pub(super) fn unbounded() -> Self {
        Self(None)
    }

    /// So many rows and shards a second, 0 for as many as there are.
    pub(super) fn of(env: &Env, per_second: u64) -> Self {
        Self(Some(Paced { env: env.clone(), throttle: Throttle::new(env.clone(), per_second) }))
    }

    /// Accounts for so many more, and waits when they came too fast.
    pub(super) async fn spent(&self, tally: &mut Tally, items: u64) {
        tally.0 += items;
        if let Some(paced) = &self.0
            && tally.0 >= TOGETHER
        {
            paced.throttle.spent(std::mem::take(&mut tally.0)).await;
        }
    }

    /// The next page of rows. What takes hours is not given up because the metadata service is away for some minutes.
    pub(super) async fn rows(
        &self,
        metadata: &dyn Metadata,
        after: Option<ContentPosition>,
    ) -> Result<ContentPage, Error> {
        let mut tries = 1;
        let page = loop {
            match (metadata.list_contents(after.clone(), PAGE_SIZE_MAX).await, &self.0) {
                (Err(Error::Unavailable { .. } | Error::TimedOut), Some(paced)) if tries < TRIES => {
                    tries += 1;
                    paced.env.sleep(RETRY).await;
                }
                (answer, _) => break answer?,
            }
        };
        if let Some(paced) = &self.0 {
            paced.throttle.spent(page.rows.len() as u64).await;
        }
        Ok(page)
    }
}
