//! What stands between a cluster and being whole, in words.

use std::collections::BTreeSet;

use admin_api::{Repair, named_disks};
use data_pool::Pool;

use crate::{
    Exit,
    admin::{
        connect::{Reached, failed},
        status::job_in_words,
        table::short,
    },
};

/// What waits, as it is now.
pub(in crate::admin) async fn read(reached: &Reached, pool: &Pool) -> Result<Repair, Exit> {
    let map = reached.map().await?;
    pool.take_in(&map);
    let statuses = pool.statuses(&named_disks(&map)).await;
    Repair::read(&*reached.metadata, &map, &statuses).await.map_err(failed)
}

/// What no waiting ends: an operator has to do something first.
pub(super) fn blocked(repair: &Repair) -> Option<String> {
    let mut reasons = Vec::new();
    if repair.frozen {
        reasons.push(
            "the metadata was restored, and nothing is evicted before `ashlar admin reconcile --finish`"
                .to_owned(),
        );
    }
    if !repair.disks_quarantined.is_empty() {
        reasons.push(format!(
            "what cannot be explained is quarantined on {}; audit, and when nothing is missing release it: `ashlar admin quarantine \
             release DISK --all`; replace disks that go on losing names: `ashlar admin disk drain DISK --wait`, then `ashlar admin \
             disk remove DISK`",
            disks(&repair.disks_quarantined)
        ));
    }
    (!reasons.is_empty()).then(|| reasons.join("\n"))
}

/// What is waited for apart from single shards, moves and evictions, which are shown with their pace.
pub(super) fn others(repair: &Repair) -> String {
    let mut others = Vec::new();
    if repair.shards_waiting_for_disks > 0 {
        others
            .push(format!("disks that are away and have {} shards to come", repair.shards_waiting_for_disks));
    }
    if repair.moves_not_begun > 0 {
        others.push(format!(
            "{} shard indexes of groups on disks that are down, failed or to leave, not on their way yet",
            repair.moves_not_begun
        ));
    }
    if repair.groups_unreadable > 0 {
        others.push(format!("{} groups that cannot be read until disks come back", repair.groups_unreadable));
    }
    if !repair.disks_silent.is_empty() {
        others.push(format!("an answer from {}", disks(&repair.disks_silent)));
    }
    if repair.rebuilding_is_held_back {
        others.push("disks of which so many are silent that nothing is rebuilt".to_owned());
    }
    others.extend(blocked(repair));
    others.join("; ")
}

/// A line for each count, zero or not, and for each thing that holds up.
pub(super) fn text(repair: &Repair) -> String {
    let mut out = format!(
        "{} shards to rebuild now\n{} shards wait for a disk that is away\n{} shard indexes of groups on their way to \
         other disks\n{} shard indexes of groups on disks that are down, failed or to leave, not on their way yet\n{} \
         groups cannot be read until disks come back\n{} evictions wait\n",
        repair.shards_due,
        repair.shards_waiting_for_disks,
        repair.moves,
        repair.moves_not_begun,
        repair.groups_unreadable,
        repair.evictions
    );
    for job in repair.jobs.iter().filter(|job| job.done < job.total) {
        let what = match job.job.as_str() {
            "plan" => "moved",
            "move" => "brought over",
            _ => "repaired",
        };
        out += &format!("{what}: {}\n", job_in_words(job));
    }
    if !repair.disks_silent.is_empty() {
        out += &format!("no answer from {}\n", disks(&repair.disks_silent));
    }
    if repair.rebuilding_is_held_back {
        out += "so many disks are silent that nothing of them is rebuilt; `ashlar admin status` says more\n";
    }
    if let Some(blocked) = blocked(repair) {
        out += &format!("{blocked}\n");
    }
    out
}

fn disks(disks: &BTreeSet<String>) -> String {
    let names: Vec<String> = disks.iter().map(short).collect();
    format!("disk {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use admin_api::Repair;

    use super::{blocked, text};

    #[test]
    fn what_waits_and_what_holds_up_is_told_in_words() {
        assert_eq!(blocked(&Repair::default()), None);
        let unreadable = Repair { groups_unreadable: 1, ..Repair::default() };
        assert!(text(&unreadable).contains("1 groups cannot be read"), "{}", text(&unreadable));
        let quarantined = Repair { disks_quarantined: ["07".repeat(16)].into(), ..Repair::default() };
        assert!(blocked(&quarantined).expect("a reason").contains("disk 07070707"));
        let frozen = Repair { frozen: true, ..Repair::default() };
        assert!(blocked(&frozen).expect("a reason").contains("reconcile --finish"));
    }
}
