//! The store on both engines: the contract's conformance suite, and what is the store's own.

mod audit;
mod backups;
mod codings;
mod commits;
mod conformance;
mod faults;
mod garbage;
mod identities;
mod jobs;
mod leases;
mod listing;
mod migrations;
mod plans;
mod recent;
mod room;
mod schema;
mod support;

/// Makes a test of each case on each engine. A case is an `async fn(TestStore)`.
macro_rules! on_both_engines {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::store::tests::support::sqlite().await).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::store::tests::support::postgres().await).await;
                }
            )*
        }
    };
}
use on_both_engines;
