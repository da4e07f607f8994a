//! `ashlar admin class`: storage classes, each with a coding and a medium of its own.

use clap::{Args, Subcommand};
use env::Env;
use metadata_api::StorageClassDefinition;
use placement::GROUPS_DEFAULT;
use types::{Coding, StorageClassName};

use super::{
    connect::{Connect, failed},
    status,
};
use crate::Exit;

/// Storage classes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin class list --data ./data\n  \
    ashlar admin class define REDUCED_REDUNDANCY --coding 2+1 --metadata meta1:9400\n  \
    ashlar admin class define GLACIER_IR --coding 1+1 --medium s3 --metadata meta1:9400")]
pub(crate) struct Class {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows them.
    List(List),
    /// Defines a class; clients name it in `x-amz-storage-class` from then on.
    Define(Define),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    connect: Connect,
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
    #[arg(long, default_value_t = 1 << 10, value_name = "BYTES")]
    inline_limit_bytes: u64,
    /// Objects up to this many bytes are kept as m + 1 whole copies.
    #[arg(long, default_value_t = 64 << 10, value_name = "BYTES")]
    whole_limit_bytes: u64,
    /// Number of placement groups, a power of two.
    #[arg(long, default_value_t = GROUPS_DEFAULT, value_name = "NUMBER")]
    groups: u32,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) async fn run(env: &Env, class: &Class) -> Result<(), Exit> {
    match &class.action {
        Action::List(list) => {
            super::print(&status::classes(&list.connect.reach(env).await?.map().await?.classes));
            Ok(())
        }
        Action::Define(define) => {
            let name = StorageClassName::new(&define.name)
                .map_err(|error| Exit::new(Exit::FAILED, format!("{:?}: {error}", define.name)))?;
            let reached = define.connect.reach(env).await?;
            let definition = StorageClassDefinition {
                name: name.clone(),
                coding: define.coding,
                inline_limit_bytes: define.inline_limit_bytes,
                whole_limit_bytes: define.whole_limit_bytes,
                groups: define.groups,
                medium: define.medium.clone(),
            };
            reached.metadata.define_storage_class(definition).await.map_err(failed)?;
            let map = reached.map().await?;
            let mapped =
                map.classes.iter().any(|class| class.definition.name == name && !class.groups.is_empty());
            super::print(if mapped {
                "defined; objects can be stored by it\n"
            } else {
                "defined; it takes objects as soon as enough disks of its medium are registered\n"
            });
            Ok(())
        }
    }
}
