//! `ashlar admin bucket`: what buckets hold, and what they may hold at most.

use admin_api::{BucketUsage, Change, NewQuota, Resource};
use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{BucketQuota, PAGE_SIZE_MAX};
use types::BucketName;

use super::{
    account::Whose,
    connect::{Remote, Source, failed},
    table::{Table, bytes},
};
use crate::Exit;

/// Buckets.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin bucket list --data ./data\n  \
    ashlar admin bucket quota photos --bytes 500GiB --objects 1000000 --metadata meta1:9300")]
pub(crate) struct BucketCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows them with what they hold, exact as of each bucket's last commit, and their quotas.
    #[command(after_help = "Examples:\n  ashlar admin bucket list --data ./data\n  \
        ashlar admin bucket list photos- --json --metadata meta1:9300\n  \
        ashlar admin bucket list --account research --data ./data")]
    List(List),
    /// Says what a bucket may hold at most.
    Quota(Quota),
}

#[derive(Debug, Args)]
struct List {
    /// Only buckets whose names begin with this.
    #[arg(default_value = "")]
    prefix: String,
    #[command(flatten)]
    whose: Whose,
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin bucket quota photos --bytes 500GiB --data ./data\n  \
    ashlar admin bucket quota photos --none --data ./data\n  \
    ashlar admin bucket quota photos --objects 1000000 --endpoint https://s3.example.com\n\n\
    Writes that would take the bucket past a bound, and make it grow, are refused with QuotaExceeded (403) when they are committed; \
    what waits in open multipart uploads is counted when they are completed. Reads, deletes and smaller overwrites always go on, \
    also when the bucket holds more than it may.")]
struct Quota {
    /// The bucket.
    name: String,
    #[command(flatten)]
    bounds: Bounds,
    /// Shows what the bucket holds, and its quota, as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

/// What a bucket may hold.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Bounds {
    /// Most bytes of all its versions: a number, or one of KiB, MiB, GiB, TiB or PiB.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    bytes: Option<u64>,
    /// Most objects: keys that are listed.
    #[arg(long, value_name = "NUMBER")]
    objects: Option<u64>,
    /// Any amount: takes the quota away.
    #[arg(long, conflicts_with_all = ["bytes", "objects"])]
    none: bool,
}

pub(crate) async fn run(env: &Env, command: &BucketCommand) -> Result<(), Exit> {
    match &command.action {
        Action::List(list) => {
            let buckets = match list.source.remote(env).await? {
                Some(remote) => of_gateway(&remote, &list.prefix, list.whose.name()).await?,
                None => {
                    let reached = list.source.reach(env).await?;
                    let owner = list.whose.of(&reached).await?;
                    let buckets =
                        admin_api::buckets(&*reached.metadata, owner, (&list.prefix, None), usize::MAX);
                    buckets.await.map_err(failed)?
                }
            };
            super::print(&if list.json { super::as_json(&buckets) } else { as_table(&buckets) });
        }
        Action::Quota(quota) => {
            let name = BucketName::new(&quota.name).map_err(|error| {
                Exit::new(Exit::FAILED, format!("{} is no name of a bucket: {error}", quota.name))
            })?;
            let Bounds { bytes, objects, .. } = quota.bounds;
            let usage = match quota.source.remote(env).await? {
                Some(remote) if quota.bounds.none => remote.change(Change::RemoveQuota, &quota.name).await?,
                Some(remote) => {
                    remote.change_to(Change::PutQuota, &quota.name, &NewQuota { bytes, objects }).await?
                }
                None => {
                    let reached = quota.source.reach(env).await?;
                    let bounds = BucketQuota { bytes, objects };
                    reached.metadata.set_quota(&name, bounds).await.map_err(failed)?;
                    BucketUsage::from(&reached.metadata.get_bucket(&name).await.map_err(failed)?)
                }
            };
            super::print(&if quota.json { super::as_json(&usage) } else { as_table(&[usage]) });
        }
    }
    Ok(())
}

/// The buckets whose names begin with `prefix`, page by page.
pub(super) async fn of_gateway(
    remote: &Remote,
    prefix: &str,
    account: Option<&str>,
) -> Result<Vec<BucketUsage>, Exit> {
    let mut buckets: Vec<BucketUsage> = Vec::new();
    loop {
        let mut query = vec![("prefix", prefix.to_owned()), ("limit", PAGE_SIZE_MAX.to_string())];
        query.extend(account.map(|account| ("account", account.to_owned())));
        query.extend(buckets.last().map(|last| ("after", last.bucket.clone())));
        let page: Vec<BucketUsage> = remote.get(Resource::Buckets, &query).await?;
        let is_last = page.len() < PAGE_SIZE_MAX;
        buckets.extend(page);
        if is_last {
            return Ok(buckets);
        }
    }
}

fn as_table(buckets: &[BucketUsage]) -> String {
    let mut table = Table::new([
        "BUCKET",
        "OBJECTS",
        "BYTES",
        "VERSIONS",
        "BYTES OF VERSIONS",
        "MOST OBJECTS",
        "MOST BYTES",
    ]);
    let bound = |bound: Option<String>| bound.unwrap_or_else(|| "any".to_owned());
    for bucket in buckets {
        table.line([
            bucket.bucket.clone(),
            bucket.objects.to_string(),
            bytes(bucket.object_bytes),
            bucket.versions.to_string(),
            bytes(bucket.version_bytes),
            bound(bucket.quota.objects.map(|most| most.to_string())),
            bound(bucket.quota.bytes.map(bytes)),
        ]);
    }
    table.text_or("there are no buckets")
}

/// A number of bytes, with a unit or without.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 5] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("PiB", 50)];
    let unit = UNITS.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    let number: u64 =
        number.trim().parse().map_err(|_| "give a number of bytes, such as 500GiB or 1048576".to_owned())?;
    number
        .checked_mul(1 << bits)
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| "more bytes than can be counted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_units_or_none() {
        for (text, size) in [("0", 0), ("17", 17), ("2KiB", 2048), ("3 GiB", 3 << 30), ("1PiB", 1 << 50)] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GiB", "1GB", "8192PiB", "99999999999999999999"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
