//! What happened, in order: a hash of every event, and the last events in words.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use crate::time;

/// Events kept for the report of a failure.
const KEPT: usize = 400;

/// Bytes of a message or write that the trace looks at. The rest is left out for time's sake; whoever wrote it wrote its
/// beginning, and what is wrong in it is found where it is read.
const LOOKED_AT: usize = 256;

/// A checksum by which the trace tells bytes apart.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    u64::from(checksum::crc32c(&bytes[..bytes.len().min(LOOKED_AT)]))
}

/// The world's log of events. Clones share it.
#[derive(Clone)]
pub(crate) struct Trace {
    state: Arc<Mutex<State>>,
}

struct State {
    hash: u64,
    events: u64,
    last: VecDeque<Event>,
    print: bool,
}

#[derive(Debug)]
struct Event {
    at_ms: u64,
    what: &'static str,
    subject: Arc<str>,
    numbers: [u64; 3],
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at_ms, what, subject, numbers: [a, b, c] } = self;
        write!(f, "{at_ms:>7} ms  {what:<12} {subject} {a} {b} {c:x}")
    }
}

impl Trace {
    /// An empty trace; with `print` each event goes to standard error as it happens.
    pub(crate) fn new(print: bool) -> Self {
        let state = State { hash: 0xcbf2_9ce4_8422_2325, events: 0, last: VecDeque::new(), print };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Notes an event: what happened to whom, with numbers that tell it from others.
    pub(crate) fn event(&self, what: &'static str, subject: &Arc<str>, numbers: [u64; 3]) {
        let now = time::now();
        test_sim_os::set_time(now);
        let at_ms = time::millis(now);
        let mut state = self.state.lock().expect("nobody panics with it");
        let bytes = what.bytes().chain(subject.bytes()).chain(at_ms.to_le_bytes());
        for byte in bytes.chain(numbers.iter().flat_map(|number| number.to_le_bytes())) {
            // FNV-1a.
            state.hash = (state.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        state.events += 1;
        let event = Event { at_ms, what, subject: subject.clone(), numbers };
        if state.print {
            eprintln!("{event}");
        }
        if state.last.len() == KEPT {
            state.last.pop_front();
        }
        state.last.push_back(event);
    }

    /// The hash of all events so far, and their number.
    pub(crate) fn hash(&self) -> (u64, u64) {
        let state = self.state.lock().expect("nobody panics with it");
        (state.hash, state.events)
    }

    /// The last events in words.
    pub(crate) fn last(&self) -> String {
        let state = self.state.lock().expect("nobody panics with it");
        state.last.iter().map(|event| format!("{event}\n")).collect()
    }
}
