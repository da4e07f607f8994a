//! Notices chunk services that have fallen silent.
//!
//! A service's heartbeats are counted by the metadata service; this worker watches the counts by its own monotonic
//! clock. Whether a service is still silent when it is marked is decided there, by the count that was observed, so that
//! no verdict overtakes a heartbeat and no two machines' clocks are compared.

use std::{collections::HashMap, time::Duration};

use env::Instant;
use metadata_api::{MapNode, NodeState, ObservedNode};
use types::NodeId;

use crate::{Options, context::Context};

/// Pause between looks.
const PERIOD: Duration = Duration::from_secs(2);

/// Longest time between two looks that still count as watching. After a longer one, in which the metadata service may
/// have been out of everybody's reach, silence is measured anew.
const GAP_MAX: Duration = Duration::from_secs(7);

/// Watches nodes until the stop begins.
pub(crate) async fn run(context: Context) {
    let mut watch = Watch::new(&context.options);
    let mut reached = true;
    while !context.shutdown.has_begun() {
        match context.map_with_heartbeats().await {
            Ok(map) => {
                reached = true;
                for verdict in watch.look(&map.nodes, context.env.now()) {
                    mark(&context, verdict).await;
                }
            }
            Err(error) => {
                if reached {
                    tracing::warn!(%error, "chunk services are not watched");
                }
                reached = false;
            }
        }
        context.pause(PERIOD).await;
    }
}

async fn mark(context: &Context, Verdict { observed, state }: Verdict) {
    match context.metadata.mark_node(observed, state).await {
        Ok(true) => tracing::warn!(node = %observed.node, ?state, "a chunk service is silent"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, node = %observed.node, "a silent chunk service was not marked"),
    }
}

/// What a node is to be marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    observed: ObservedNode,
    state: NodeState,
}

/// When each node's count of heartbeats last moved.
#[derive(Debug)]
struct Watch {
    suspect_after: Duration,
    down_after: Duration,
    moved: HashMap<NodeId, (i64, Instant)>,
    looked: Option<Instant>,
}

impl Watch {
    fn new(options: &Options) -> Self {
        let (suspect_after, down_after) = (options.suspect_after(), options.down_after());
        Self { suspect_after, down_after, moved: HashMap::new(), looked: None }
    }

    /// Takes a look in and answers the nodes that are worse than the map says.
    fn look(&mut self, nodes: &[MapNode], now: Instant) -> Vec<Verdict> {
        if self.looked.is_some_and(|looked| now.since(looked) > GAP_MAX) {
            self.moved.clear();
        }
        self.looked = Some(now);
        self.moved.retain(|id, _| nodes.iter().any(|node| node.node == *id));
        nodes.iter().filter_map(|node| self.judge(node, now)).collect()
    }

    fn judge(&mut self, node: &MapNode, now: Instant) -> Option<Verdict> {
        // A node inside a process lives as long as that does.
        if node.address.is_empty() {
            return None;
        }
        let entry = self.moved.entry(node.node).or_insert((node.heartbeats, now));
        if entry.0 != node.heartbeats {
            *entry = (node.heartbeats, now);
        }
        let silence = now.since(entry.1);
        let state = match node.state {
            NodeState::Up | NodeState::Suspect if silence >= self.down_after => NodeState::Down,
            NodeState::Up if silence >= self.suspect_after => NodeState::Suspect,
            NodeState::Up | NodeState::Suspect | NodeState::Down => return None,
        };
        Some(Verdict { observed: ObservedNode { node: node.node, heartbeats: node.heartbeats }, state })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Instant;
    use metadata_api::{Intent, MapNode, NodeState};
    use types::NodeId;

    use super::Watch;
    use crate::Options;

    const NODE: NodeId = NodeId([1; 16]);

    fn node(heartbeats: i64, state: NodeState) -> [MapNode; 1] {
        let domain = "r/z/k/h".parse().unwrap();
        let address = "h:1".to_owned();
        [MapNode { node: NODE, address, domain, state, intent: Intent::Serve, heartbeats }]
    }

    /// Looks every second, while the count stands still, and answers at which second which state was found.
    fn watch_silence(
        watch: &mut Watch,
        seconds: std::ops::Range<u64>,
        heartbeats: i64,
    ) -> Vec<(u64, NodeState)> {
        let mut state = NodeState::Up;
        let mut found = Vec::new();
        for second in seconds {
            let now = Instant::from_start(Duration::from_secs(second));
            for verdict in watch.look(&node(heartbeats, state), now) {
                assert_eq!(verdict.observed.heartbeats, heartbeats);
                state = verdict.state;
                found.push((second, state));
            }
        }
        found
    }

    #[test]
    fn a_silent_node_is_suspect_after_ten_seconds_and_down_after_thirty() {
        let mut watch = Watch::new(&Options::default());
        let found = watch_silence(&mut watch, 100..200, 5);
        assert_eq!(found, [(110, NodeState::Suspect), (130, NodeState::Down)]);
    }

    #[test]
    fn a_heartbeat_begins_the_silence_anew() {
        let mut watch = Watch::new(&Options::default());
        assert_eq!(watch_silence(&mut watch, 0..10, 5), []);
        assert_eq!(watch_silence(&mut watch, 10..20, 6), []);
        assert_eq!(watch_silence(&mut watch, 20..40, 7), [(30, NodeState::Suspect)]);
    }

    #[test]
    fn a_node_that_is_down_is_not_marked_again() {
        let mut watch = Watch::new(&Options::default());
        for second in 0..100 {
            let now = Instant::from_start(Duration::from_secs(second));
            assert_eq!(watch.look(&node(5, NodeState::Down), now), []);
        }
    }

    #[test]
    fn time_in_which_nobody_watched_is_no_silence() {
        let mut watch = Watch::new(&Options::default());
        assert_eq!(watch_silence(&mut watch, 0..9, 5), []);
        // The metadata service was away: nobody could send a heartbeat.
        assert_eq!(watch_silence(&mut watch, 60..69, 5), []);
        assert_eq!(watch_silence(&mut watch, 69..71, 5), [(70, NodeState::Suspect)]);
    }

    #[test]
    fn a_node_inside_a_process_is_never_marked() {
        let mut watch = Watch::new(&Options::default());
        let inside = node(5, NodeState::Up).map(|node| MapNode { address: String::new(), ..node });
        for second in 0..100 {
            assert_eq!(watch.look(&inside, Instant::from_start(Duration::from_secs(second))), []);
        }
    }

    #[test]
    fn nodes_that_are_gone_are_forgotten() {
        let mut watch = Watch::new(&Options::default());
        watch.look(&node(1, NodeState::Up), Instant::from_start(Duration::ZERO));
        watch.look(&[], Instant::from_start(Duration::from_secs(1)));
        assert!(watch.moved.is_empty());
    }
}
