//! Turns for others in long work.

use std::time::Duration;

use env::{Env, Instant};

/// Work after which others get a turn.
const TURN: Duration = Duration::from_millis(1);

/// Gives other tasks of the thread a turn after each millisecond of work, whatever its steps cost: what a decision costs is up to whoever
/// wrote the policies.
pub(crate) struct Turns<'a> {
    env: &'a Env,
    since: Instant,
}

impl<'a> Turns<'a> {
    pub(crate) fn new(env: &'a Env) -> Self {
        Self { env, since: env.now() }
    }

    /// To be called between two steps.
    pub(crate) async fn give(&mut self) {
        if self.env.now().since(self.since) >= TURN {
            tokio::task::yield_now().await;
            self.since = self.env.now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Env;
    use futures_util::FutureExt;

    use super::Turns;

    #[test]
    fn others_get_a_turn_once_a_step_took_long_and_not_before() {
        let env = Env::real();
        let mut turns = Turns::new(&env);
        let quick = (0..10).filter(|_| turns.give().now_or_never().is_some()).count();
        assert!(quick > 0, "most take microseconds");
        let since = env.now();
        while env.now().since(since) < Duration::from_millis(2) {}
        assert!(turns.give().now_or_never().is_none());
    }
}
