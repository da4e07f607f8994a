//! What may happen next.

/// A step of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GatewayStep {
    /// Acquires its lease.
    AcquireLease,
    /// Learns the current map.
    LearnMap,
    /// Goes on with the request.
    Next,
    /// Gives up a write.
    Abandon,
    /// Waits for the answer to a commit no more.
    GiveUp,
    /// Gives its lease back and stops, whatever became of the commit.
    GiveBack,
    /// Deletes a shard of a write that was given up.
    Delete { chunk: usize, shard: usize, disk: usize },
}

/// A step of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WorkerStep {
    /// Begins something: a chunk, a lease, a shard, by its number.
    Begin(u8),
    /// Goes on with it.
    Next,
    /// Crashes and starts again. What it was about to send may stay under way.
    Crash { leaves_packet: bool },
}

/// A transition of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A gateway takes a step.
    Gateway { gateway: usize, step: GatewayStep },
    /// A gateway's shard arrives.
    Arrive { chunk: usize, shard: usize },
    /// A lease is revoked: its gateway is, or seems, silent.
    Revoke { lease: usize },
    /// A worker that frees garbage takes a step.
    Collector { worker: usize, step: WorkerStep },
    /// The reaper takes a step.
    Reaper(WorkerStep),
    /// A mover takes a step.
    Mover { worker: usize, step: WorkerStep },
    /// The repairer takes a step.
    Repairer(WorkerStep),
    /// The evictor takes a step.
    Evictor(WorkerStep),
    /// What a crashed worker sent arrives.
    LateCopy,
    /// What a crashed evictor sent arrives.
    LateEviction,
    /// The spare disk is added.
    Join,
    /// The planner begins the scenario's next move.
    BeginMove,
    /// The planner turns a move around.
    ReverseMove { shard: usize },
    /// A disk goes away.
    GoAway { disk: usize },
    /// A disk comes back.
    ComeBack { disk: usize },
    /// A disk is lost for good.
    Lose { disk: usize },
    /// A record goes bad; a scrub reports it.
    Rot { chunk: usize, shard: usize, disk: usize },
}
