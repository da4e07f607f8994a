//! Bytes that stay on disks though nothing names them, when everything has come to rest.
//!
//! `ashlar admin audit` can tell. A run does not ask it yet: leases of killed gateways are reaped a minute and more after
//! their last renewal, so that the answer takes a wait of its own. Until a run waits for it, the answer is that nobody
//! knows; whoever wants to know runs the audit afterwards.

/// Bytes that leaked; `None` when that was not asked.
pub(crate) fn leaked_bytes() -> Option<u64> {
    None
}
