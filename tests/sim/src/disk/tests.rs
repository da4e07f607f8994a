use std::path::Path;

use env::{Disk, OpenMode};

use super::{ProcessDisk, SimDisk};
use crate::{
    life::{Life, Standing},
    rng::Rng,
    trace::Trace,
};

fn disk(seed: u64, ignores_syncs: bool) -> SimDisk {
    SimDisk::new("disk", Rng::new(seed), Trace::new(false), 1 << 20, ignores_syncs)
}

fn process(disk: &SimDisk) -> (ProcessDisk, std::sync::Arc<Life>) {
    let life = Life::new(Rng::new(1), 1000);
    (disk.of(life.clone()), life)
}

/// Writes two sectors and a half, of which the first half is synced, and cuts the power.
fn after_a_cut(seed: u64, ignores_syncs: bool) -> Option<Vec<u8>> {
    let disk = disk(seed, ignores_syncs);
    let (files, life) = process(&disk);
    let path = Path::new("/d/file");
    let file = files.open(path, OpenMode::CreateNew).unwrap();
    file.write_all_at(&[1; 1280], 0).unwrap();
    file.sync_data().unwrap();
    files.sync_directory(Path::new("/d")).unwrap();
    file.write_all_at(&[2; 1280], 512).unwrap();
    life.end(Standing::PowerLost);
    assert!(file.sync_data().is_err(), "a dead process syncs nothing");
    disk.restart(Standing::PowerLost);
    let (files, _) = process(&disk);
    let file = files.open(path, OpenMode::Read).ok()?;
    let mut left = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    file.read_exact_at(&mut left, 0).unwrap();
    Some(left)
}

#[test]
fn what_was_synced_is_there_and_each_other_sector_is_kept_or_lost() {
    let mut seen = [false; 2];
    for seed in 0..64 {
        let left = after_a_cut(seed, false).expect("the name was synced");
        assert!(left.len() == 1280 || left.len() == 1792, "{}", left.len());
        assert_eq!(left[..512], [1; 512]);
        for sector in left[512..1024].chunks(512) {
            assert!(sector == [1; 512] || sector == [2; 512]);
            seen[usize::from(sector[0] == 2)] = true;
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn a_disk_that_ignores_syncs_may_lose_everything() {
    assert!((0..64).any(|seed| after_a_cut(seed, true).is_none_or(|left| left.is_empty())));
}

#[test]
fn a_killed_process_loses_nothing_that_it_wrote() {
    let disk = disk(1, false);
    let (files, life) = process(&disk);
    let file = files.open(Path::new("/d/file"), OpenMode::CreateNew).unwrap();
    file.write_all_at(&[1; 100], 7).unwrap();
    life.end(Standing::Killed);
    disk.restart(Standing::Killed);
    let (files, _) = process(&disk);
    assert_eq!(files.read_small(Path::new("/d/file"), 200).unwrap()[7..], [1; 100]);
}

#[test]
fn the_power_goes_between_two_calls_and_files_may_not_outgrow_the_disk() {
    let disk = disk(1, false);
    let (files, life) = process(&disk);
    let file = files.open(Path::new("/d/file"), OpenMode::CreateNew).unwrap();
    assert!(file.set_length(2 << 20).is_err());
    disk.cut_power_after(1);
    file.write_all_at(&[1; 100], 0).unwrap();
    assert!(file.write_all_at(&[1; 100], 100).is_err());
    assert_eq!(life.standing(), Standing::PowerLost);
}

#[test]
fn a_destroyed_folder_fails_whoever_uses_it_and_comes_back_empty() {
    let disk = disk(1, false);
    let (files, _life) = process(&disk);
    let open = |path: &str| files.open(Path::new(path), OpenMode::CreateNew);
    let (lost, kept) = (open("/a/file").unwrap(), open("/b/file").unwrap());
    lost.write_all_at(&[1; 10], 0).unwrap();
    kept.write_all_at(&[1; 10], 0).unwrap();
    lost.sync_data().unwrap();
    files.sync_directory(Path::new("/a")).unwrap();
    disk.destroy(Path::new("/a"));
    assert!(lost.write_all_at(&[1; 10], 0).is_err() && lost.read_exact_at(&mut [0; 1], 0).is_err());
    assert!(open("/a/other").is_err() && files.list_directory(Path::new("/a")).is_err());
    assert_eq!(disk.peek(Path::new("/b/file")).unwrap(), [1; 10]);
    disk.restart(Standing::PowerLost);
    assert!(open("/a/other").is_err());
    disk.replace(Path::new("/a"));
    assert!(files.list_directory(Path::new("/a")).unwrap().is_empty());
    assert!(open("/a/file").is_ok());
}
