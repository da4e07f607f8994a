//! Which faults strike when: spread over the run at points that follow from the seed.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use env::Env;

use crate::torture::{TortureError, chance::Chance, local::Cluster, stage::Stage};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9` of one service, of two, or of all of them.
    Kill,
    /// SIGSTOP, and some time later SIGCONT.
    Stop,
    /// A connection between services that carries nothing, one way or both, or is broken.
    Partition,
    /// A connection between services that is slow.
    Delay,
    /// All disks forget what they have not been told to keep, and everything that runs ends.
    PowerCut,
    /// The same for the disks of one service.
    DiskCut,
    /// What the user's command does.
    Command,
}

/// How many faults of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) kills: u32,
    pub(crate) stops: u32,
    pub(crate) partitions: u32,
    pub(crate) delays: u32,
    pub(crate) power_cuts: u32,
    pub(crate) disk_cuts: u32,
    pub(crate) commands: u32,
}

impl Counts {
    /// Each kind with how often it strikes.
    fn each(self) -> [(Fault, u32); 7] {
        [
            (Fault::Kill, self.kills),
            (Fault::Stop, self.stops),
            (Fault::Partition, self.partitions),
            (Fault::Delay, self.delays),
            (Fault::PowerCut, self.power_cuts),
            (Fault::DiskCut, self.disk_cuts),
            (Fault::Command, self.commands),
        ]
    }
}

/// Faults with the number of acknowledged changes at which each strikes, in order.
pub(crate) fn schedule(seed: u64, goal: u64, counts: Counts) -> Vec<(u64, Fault)> {
    let mut chance = Chance::new(seed, &[u64::MAX]);
    let (first, last) = (goal / 50, goal - goal / 50);
    let mut schedule: Vec<(u64, Fault)> = counts
        .each()
        .into_iter()
        .flat_map(|(fault, count)| (0..count).map(move |_| fault))
        .map(|fault| (chance.between(first, last), fault))
        .collect();
    schedule.sort_unstable();
    schedule
}

/// What is struck.
pub(crate) enum Target {
    /// Services that we started.
    Local(Box<Cluster>),
    /// Somebody else's, by their own commands.
    Foreign(Commands),
}

/// Commands that make a fault and undo it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commands {
    /// Each with the command that undoes it, if it does not pass by itself.
    pub(crate) pairs: Vec<(String, Option<String>)>,
    /// Longest time that a fault lasts.
    pub(crate) hold_max: Duration,
}

impl Target {
    /// Makes all faults of the schedule, one after the other, each when the run has come so far.
    pub(crate) async fn strike_all(
        &mut self,
        stage: &Stage,
        seed: u64,
        schedule: &[(u64, Fault)],
        struck: impl Fn(Fault),
    ) -> Result<(), TortureError> {
        let mut chance = Chance::new(seed, &[u64::MAX, 1]);
        for (point, fault) in schedule {
            stage.reached(*point).await;
            match self {
                Self::Local(cluster) => cluster.strike(*fault, &mut chance).await?,
                Self::Foreign(commands) => commands.strike(stage, &mut chance).await?,
            }
            struck(*fault);
        }
        Ok(())
    }
}

impl Commands {
    async fn strike(&self, stage: &Stage, chance: &mut Chance) -> Result<(), TortureError> {
        let Some((fault, undo)) = chance.pick(&self.pairs) else { return Ok(()) };
        shell(&stage.env, fault, &[]).await?;
        let hold = u64::try_from(self.hold_max.as_millis()).unwrap_or(u64::MAX);
        stage.env.sleep(Duration::from_millis(chance.between(0, hold))).await;
        match undo {
            Some(undo) => shell(&stage.env, undo, &[]).await,
            None => Ok(()),
        }
    }
}

/// Runs a command by the shell, with these arguments as `$1`, `$2` and so on, and waits for its end.
pub(crate) async fn shell(env: &Env, command: &str, arguments: &[&str]) -> Result<(), TortureError> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command, "ashlar-torture"]).args(arguments).stdin(Stdio::null());
    let ran = env.spawn_blocking(move || shell.output()).await;
    let ran = ran.unwrap_or_else(|| Err(std::io::ErrorKind::Interrupted.into()));
    let failed = |reason: String| TortureError::Command { command: command.to_owned(), reason };
    let output = ran.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, said.trim())))
}

#[cfg(test)]
mod tests {
    use super::{Counts, Fault, schedule};

    #[test]
    fn all_faults_strike_within_the_run_and_follow_from_the_seed() {
        let counts = Counts { kills: 12, stops: 3, power_cuts: 1, ..Counts::default() };
        let faults = schedule(1, 2_000, counts);
        assert_eq!(faults, schedule(1, 2_000, counts));
        assert_ne!(faults, schedule(2, 2_000, counts));
        assert_eq!(faults.len(), 16);
        assert_eq!(faults.iter().filter(|(_, fault)| *fault == Fault::Kill).count(), 12);
        assert!(faults.iter().all(|(point, _)| (40..=1_960).contains(point)));
        assert!(faults.is_sorted());
        assert_eq!(schedule(1, 1, counts).len(), 16);
    }
}
