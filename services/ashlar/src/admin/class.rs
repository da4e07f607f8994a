//! `ashlar admin class`: storage classes, each with a coding and a medium of its own.

use std::{collections::HashSet, time::Duration};

use admin_api::{AskedOfClass, Change, NewClass, NewCoding, Resource};
use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{ContentKind, PAGE_SIZE_MAX, StorageClass, StorageClassDefinition};
use placement::GROUPS_DEFAULT;
use types::{Coding, GroupId, StorageClassName};

use super::{
    connect::{Reached, Remote, Source, failed},
    pace::{Line, Pace},
    status,
};
use crate::Exit;

/// How often the progress of re-encoding is looked at, at most.
const LOOK: Duration = Duration::from_secs(2);

/// Storage classes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin class list --data ./data\n  \
    ashlar admin class define REDUCED_REDUNDANCY --coding 2+1 --metadata meta1:9300\n  \
    ashlar admin class define GLACIER_IR --coding 1+1 --medium s3 --metadata meta1:9300\n  \
    ashlar admin class recode STANDARD --coding 8+3 --wait --metadata meta1:9300")]
pub(crate) struct Class {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows them.
    #[command(after_help = "Example:\n  ashlar admin class list --data ./data")]
    List(List),
    /// Defines a class; clients name it in `x-amz-storage-class` from then on.
    #[command(after_help = "Examples:\n  \
        ashlar admin class define REDUCED_REDUNDANCY --coding 2+1 --metadata meta1:9300\n  \
        ashlar admin class define GLACIER_IR --coding 1+1 --medium s3 --metadata meta1:9300\n  \
        ashlar admin class define GLACIER_IR --coding 1+1 --endpoint https://s3.example.com")]
    Define(Define),
    /// Changes the coding of a class; what is stored in it is re-encoded in the background.
    Recode(Recode),
}

#[derive(Debug, Args)]
struct List {
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct Define {
    /// Its name: upper-case letters, digits and underscores.
    name: String,
    /// How its chunks are coded: data and parity shards, such as 4+2; 1+2 means three copies.
    #[arg(long, value_name = "K+M")]
    coding: Coding,
    /// The medium of its disks, as chunk services call it; any medium that has enough disks when left out.
    #[arg(long, value_name = "LABEL")]
    medium: Option<String>,
    /// Objects up to this many bytes are kept in their metadata row.
    #[arg(long, value_name = "BYTES", help = limit_help("in their metadata row", StorageClassDefinition::INLINE_LIMIT_BYTES))]
    inline_limit_bytes: Option<u64>,
    /// Objects up to this many bytes are kept as m + 1 whole copies.
    #[arg(long, value_name = "BYTES", help = limit_help("as m + 1 whole copies", StorageClassDefinition::WHOLE_LIMIT_BYTES))]
    whole_limit_bytes: Option<u64>,
    /// Number of placement groups, a power of two.
    #[arg(long, value_name = "NUMBER", help = format!("Number of placement groups, a power of two; {GROUPS_DEFAULT} when left out"))]
    groups: Option<u32>,
    /// Shows the class as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ashlar admin class recode STANDARD --coding 8+3 --wait --metadata meta1:9300\n\n\
    New objects have the new coding at once. Workers read what is stored, verify it, write it again and switch each version over, \
    at the rate of their --recode-rate; clients go on reading and writing, and see no change. `ashlar admin class list` shows the \
    former coding until the last chunk of it is freed, after the hold time of garbage (--garbage-hold-seconds, a day by default, an hour in `ashlar server`); \
    disks need room for both until then, and re-encoding waits while more than half of the class's groups have a disk with less than a \
    twentieth of its space left. A class without a medium stays on the one that it is on. Copies of an object, which shared their bytes, have bytes of their own afterwards. All services must \
    be of this release. Giving a class its former coding again takes the change back."
)]
struct Recode {
    /// The class.
    name: String,
    /// How its chunks are to be coded: data and parity shards, such as 8+3; 1+2 means three copies.
    #[arg(long, value_name = "K+M")]
    coding: Coding,
    /// Waits until everything in it is re-encoded, showing how far it is.
    #[arg(long)]
    wait: bool,
    /// Shows the class as JSON, for programs: with it what is left of codings that it had before.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

pub(crate) async fn run(env: &Env, class: &Class) -> Result<(), Exit> {
    match &class.action {
        Action::List(list) => {
            let classes = match list.source.remote(env).await? {
                Some(remote) => remote.get(Resource::Classes, &[]).await?,
                None => {
                    let reached = list.source.reach(env).await?;
                    admin_api::classes(&reached.map().await?, &reached.jobs().await?)
                }
            };
            super::print(&if list.json { super::as_json(&classes) } else { status::classes(&classes) });
            Ok(())
        }
        Action::Define(define) => {
            let name = class_name(&define.name)?;
            if let Some(remote) = define.source.remote(env).await? {
                return define_by_gateway(&remote, define).await;
            }
            let reached = define.source.reach(env).await?;
            let asked = AskedOfClass {
                medium: define.medium.clone(),
                groups: define.groups,
                inline_limit_bytes: define.inline_limit_bytes,
                whole_limit_bytes: define.whole_limit_bytes,
            };
            let definition = asked.definition(name.clone(), define.coding);
            reached.metadata.define_storage_class(definition).await.map_err(failed)?;
            let map = reached.map().await?;
            let class = map.class(&name);
            if let Some(unmet) = class.and_then(|class| asked.unmet(&class.definition)) {
                return Err(Exit::new(Exit::FAILED, unmet));
            }
            let is_mapped = class.is_some_and(|class| !class.groups.is_empty());
            tell(&reached, &name, defined_in_words(is_mapped), define.json).await
        }
        Action::Recode(recode) => run_recode(env, recode).await,
    }
}

fn defined_in_words(is_mapped: bool) -> &'static str {
    if is_mapped {
        "defined; objects can be stored by it\n"
    } else {
        "defined; it takes objects as soon as enough disks of its medium are registered\n"
    }
}

async fn define_by_gateway(remote: &Remote, define: &Define) -> Result<(), Exit> {
    let wanted = NewClass {
        coding: define.coding.to_string(),
        medium: define.medium.clone(),
        groups: define.groups,
        inline_limit_bytes: define.inline_limit_bytes,
        whole_limit_bytes: define.whole_limit_bytes,
    };
    let classes: Vec<admin_api::Class> = remote.change_to(Change::DefineClass, &define.name, &wanted).await?;
    let words = defined_in_words(classes.iter().any(|class| !class.former && class.groups > 0));
    super::print(&if define.json { super::as_json(&classes) } else { words.to_owned() });
    Ok(())
}

const NOTED: &str = "noted; new objects have this coding, and workers re-encode the others (`ashlar admin status` shows how far they are)\n";

async fn recode_by_gateway(remote: &Remote, recode: &Recode) -> Result<(), Exit> {
    if recode.wait {
        let message = "gateways do not tell how much is left to be re-encoded in a class: give --data or --metadata to wait for it";
        return Err(Exit::new(Exit::FAILED, message.to_owned()));
    }
    let wanted = NewCoding { coding: recode.coding.to_string() };
    let classes: Vec<admin_api::Class> = remote.change_to(Change::RecodeClass, &recode.name, &wanted).await?;
    super::print(&if recode.json { super::as_json(&classes) } else { NOTED.to_owned() });
    Ok(())
}

fn limit_help(place: &str, default: u64) -> String {
    format!("Objects up to this many bytes are kept {place}; {default} when left out")
}

fn class_name(name: &str) -> Result<StorageClassName, Exit> {
    StorageClassName::new(name).map_err(|error| Exit::new(Exit::FAILED, format!("{name:?}: {error}")))
}

async fn run_recode(env: &Env, recode: &Recode) -> Result<(), Exit> {
    let name = class_name(&recode.name)?;
    if let Some(remote) = recode.source.remote(env).await? {
        return recode_by_gateway(&remote, recode).await;
    }
    let reached = recode.source.reach(env).await?;
    let had = reached.map().await?.class(&name).map(|class| class.definition.coding);
    reached.metadata.set_storage_class_coding(&name, recode.coding).await.map_err(failed)?;
    if !recode.wait {
        let words = if had == Some(recode.coding) {
            "it has this coding already; nothing was changed\n"
        } else {
            NOTED
        };
        return tell(&reached, &name, words, recode.json).await;
    }
    let (mut pace, mut line) = (Pace::default(), Line::new());
    loop {
        let begun = env.now();
        let left = bytes_to_recode(&reached, &name).await?;
        let now = env.now();
        pace.look(left.div_ceil(1 << 20), now);
        line.show_share(pace.share(), &pace.text("MiB re-encoded"), now);
        if left == 0 {
            break;
        }
        // Counting reads every row: most of the time belongs to others.
        env.sleep(LOOK.max(env.now().since(begun) * 10)).await;
    }
    line.end();
    let is_former = |class: &StorageClass| class.is_former && class.definition.name == name;
    let words = if reached.map().await?.classes.iter().any(is_former) {
        "everything is re-encoded; what it was before is freed when the hold time of garbage has passed\n"
    } else {
        "everything is re-encoded\n"
    };
    tell(&reached, &name, words, recode.json).await
}

/// Says in words what was done, or shows the class as it is then.
async fn tell(reached: &Reached, name: &StorageClassName, words: &str, as_json: bool) -> Result<(), Exit> {
    if !as_json {
        super::print(words);
        return Ok(());
    }
    let mut classes = admin_api::classes(&reached.map().await?, &reached.jobs().await?);
    classes.retain(|class| class.name == name.as_str());
    super::print(&super::as_json(&classes));
    Ok(())
}

/// Bytes of chunks that versions and parts name in groups of codings that the class had before.
async fn bytes_to_recode(reached: &Reached, name: &StorageClassName) -> Result<u64, Exit> {
    let map = reached.map().await?;
    let former = map.classes.iter().filter(|class| class.is_former && class.definition.name == *name);
    let groups: HashSet<GroupId> = former.flat_map(|class| &class.groups).map(|group| group.id).collect();
    let (mut after, mut bytes) = (None, 0);
    if groups.is_empty() {
        return Ok(0);
    }
    loop {
        let page = reached.metadata.list_contents(after, PAGE_SIZE_MAX).await.map_err(failed)?;
        let live = page.rows.iter().filter(|row| row.kind != ContentKind::Garbage);
        let extents = live.flat_map(|row| &row.extents).filter(|extent| groups.contains(&extent.group));
        bytes += extents.map(|extent| extent.length).sum::<u64>();
        after = page.next;
        if after.is_none() {
            return Ok(bytes);
        }
    }
}
