//! `ashlar admin repair`: shards that wait to be rebuilt, and why.

use std::{collections::HashMap, time::Duration};

use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{ClusterMap, DiskState, PAGE_SIZE_MAX};
use serde_json::json;
use types::{DiskId, GroupId, MissingShard};

use super::{
    connect::{Connect, Reached, failed},
    pace::Pace,
    table::{Table, short},
};
use crate::Exit;

/// How often progress is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How long nothing gets done until the operator is told where to look.
const STUCK: Duration = Duration::from_secs(60);

/// Repairs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin repair status --wait --metadata meta1:9400\n  ashlar admin repair list --data ./data\n\n\
    Workers rebuild by themselves what is missing, the chunks with the fewest shards left first. `ashlar admin audit` \
    finds what nobody has missed yet, and names objects that cannot be rebuilt."
)]
pub(crate) struct Repair {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Counts the shards that wait: single ones, and those of disks that are being replaced.
    #[command(after_help = "Examples:\n  ashlar admin repair status --data ./data\n  \
        ashlar admin repair status --wait --metadata meta1:9400")]
    Status(Status),
    /// Shows shards that wait one by one, and the disk that each belongs on.
    #[command(after_help = "Example:\n  ashlar admin repair list --limit 20 --metadata meta1:9400")]
    List(List),
}

#[derive(Debug, Args)]
struct Status {
    /// Waits until every shard is where it belongs, showing how far it is.
    #[arg(long)]
    wait: bool,
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
struct List {
    /// Most shards to show.
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) async fn run(env: &Env, repair: &Repair) -> Result<(), Exit> {
    match &repair.action {
        Action::Status(status) => show_status(env, status).await,
        Action::List(list) => show_list(env, list).await,
    }
}

/// What waits to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Waiting {
    /// Single shards whose disk is there.
    due: u64,
    /// Single shards whose disk is away: they wait for it, or for a move of its groups.
    away: u64,
    /// Groups' indexes on their way to other disks.
    moves: u64,
}

impl Waiting {
    async fn count(reached: &Reached) -> Result<Self, Exit> {
        let map = reached.map().await?;
        let homes = Homes::new(&map);
        let moves = map.classes.iter().flat_map(|class| &class.groups).map(|group| group.moves.len() as u64);
        let mut waiting = Self { moves: moves.sum(), ..Self::default() };
        let mut after = None;
        loop {
            let page = reached.metadata.list_missing(None, after, PAGE_SIZE_MAX).await.map_err(failed)?;
            for missing in &page {
                match homes.of(missing) {
                    Some((_, DiskState::Up)) => waiting.due += 1,
                    _ => waiting.away += 1,
                }
            }
            after = page.last().map(|missing| missing.shard);
            if page.len() < PAGE_SIZE_MAX {
                return Ok(waiting);
            }
        }
    }

    fn total(self) -> u64 {
        self.due + self.away + self.moves
    }

    fn text(self) -> String {
        format!(
            "{} shards to rebuild now\n{} shards wait for a disk that is away\n{} shard indexes of groups on their way to \
             other disks\n",
            self.due, self.away, self.moves
        )
    }
}

async fn show_status(env: &Env, status: &Status) -> Result<(), Exit> {
    let reached = status.connect.reach(env).await?;
    let mut waiting = Waiting::count(&reached).await?;
    let (mut shards, mut moves) = (Pace::new(env.now()), Pace::new(env.now()));
    let mut changed = Some(env.now());
    while status.wait && waiting.total() > 0 {
        shards.look(waiting.due + waiting.away);
        moves.look(waiting.moves);
        let now = env.now();
        eprint!("\r\x1b[K{}; {}", shards.text("shards", now), moves.text("moves", now));
        if changed.is_some_and(|changed| now.since(changed) >= STUCK) {
            eprintln!(
                "\nnothing was done for a while; `ashlar admin audit` names what cannot be rebuilt, `ashlar admin repair list` what waits for a disk"
            );
            changed = None;
        }
        env.sleep(LOOK).await;
        let before = std::mem::replace(&mut waiting, Waiting::count(&reached).await?);
        if before != waiting {
            changed = Some(env.now());
        }
    }
    if status.wait {
        eprintln!();
    }
    let Waiting { due, away, moves } = waiting;
    let as_json = json!({ "shards_due": due, "shards_waiting_for_disks": away, "moves": moves });
    super::print(&if status.json { format!("{as_json:#}\n") } else { waiting.text() });
    Ok(())
}

async fn show_list(env: &Env, list: &List) -> Result<(), Exit> {
    let reached = list.connect.reach(env).await?;
    let map = reached.map().await?;
    let homes = Homes::new(&map);
    let mut table = Table::new(["SHARD", "GROUP", "CODING", "CHUNK BYTES", "DISK", "STATE"]);
    let (mut after, mut left) = (None, list.limit);
    while left > 0 {
        let limit = left.min(PAGE_SIZE_MAX);
        let page = reached.metadata.list_missing(None, after, limit).await.map_err(failed)?;
        for missing in &page {
            let home = homes.of(missing);
            table.line([
                missing.shard.to_string(),
                missing.group.0.to_string(),
                missing.coding.to_string(),
                missing.chunk_length.to_string(),
                home.map_or_else(|| "none".to_owned(), |(disk, _)| short(disk)),
                match home {
                    Some((_, DiskState::Up)) => "to be rebuilt",
                    Some((_, DiskState::Down)) => "waits for the disk",
                    Some((_, DiskState::Gone)) | None => "waits for a move",
                }
                .to_owned(),
            ]);
        }
        left -= page.len();
        after = page.last().map(|missing| missing.shard);
        if page.len() < limit {
            break;
        }
    }
    let text = table.text();
    super::print(if text.is_empty() { "no shard waits to be rebuilt\n" } else { &text });
    Ok(())
}

/// Where shards belong.
struct Homes<'a> {
    groups: HashMap<GroupId, &'a metadata_api::PlacementGroup>,
    states: HashMap<DiskId, DiskState>,
}

impl<'a> Homes<'a> {
    fn new(map: &'a ClusterMap) -> Self {
        let groups = map.classes.iter().flat_map(|class| &class.groups);
        Self {
            groups: groups.map(|group| (group.id, group)).collect(),
            states: map.disks.iter().map(|disk| (disk.disk, disk.state)).collect(),
        }
    }

    /// The disk that a shard is to be put to, and its state.
    fn of(&self, missing: &MissingShard) -> Option<(DiskId, DiskState)> {
        let group = self.groups.get(&missing.group)?;
        let moved = group.move_of(missing.shard.index).map(|pending| pending.to);
        let disk = moved.or_else(|| group.disks.get(usize::from(missing.shard.index.0)).copied())?;
        Some((disk, *self.states.get(&disk)?))
    }
}
