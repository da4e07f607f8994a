//! Steps of a list are tried again in their place: a list may be the work of hours.

use std::time::Duration;

use metadata_api::Error;

use crate::context::Context;

/// Most attempts of one step.
const ATTEMPTS_MAX: u32 = 8;

/// Pause after the first attempt; each that follows is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// The attempts of one step.
pub(super) struct Attempts<'a> {
    context: &'a Context,
    made: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self { context, made: 0 }
    }

    /// Waits for the time of another attempt after one that failed so. Answers whether there is to be one.
    pub(super) async fn go_on_after(&mut self, error: &Error) -> bool {
        let may_pass = matches!(
            error,
            Error::Unavailable { .. } | Error::TimedOut | Error::Internal { .. } | Error::LeaseRevoked
        );
        self.made += 1;
        if !may_pass || self.made >= ATTEMPTS_MAX {
            return false;
        }
        tracing::debug!(%error, "a step of an inventory is tried again");
        self.context.env.sleep(PAUSE * 2_u32.pow(self.made - 1)).await;
        true
    }
}

/// Takes a step that may be taken twice.
pub(super) async fn persistently<T, F>(context: &Context, step: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut attempts = Attempts::new(context);
    loop {
        match step().await {
            Err(error) if attempts.go_on_after(&error).await => {}
            outcome => return outcome,
        }
    }
}
