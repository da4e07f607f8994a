//! `ashlar admin keys`: by which keys objects are encrypted, and the change to a new master key.
//!
//! What changes is the wrapping of data keys alone, one row at a time and only if it still is as it was read, so that it can be
//! broken off at any time and begun again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, Subcommand};
use encryption::Keyring;
use env::Env;
use futures_util::{StreamExt, stream};
use kms::Keys;
use metadata_api::{EncryptedOwner, EncryptedRow, Error, PAGE_SIZE_MAX, Rewrap};
use types::EncryptionScheme;

use super::{Connect, Reached, table::Table};
use crate::{Exit, encryption_keys, exit::chain};

/// Rows that are wrapped anew at a time.
const AT_ONCE: usize = 8;

/// Times that everything is looked through: what others write or copy meanwhile is found by the next one.
const PASSES_MAX: u32 = 10;

/// Passes one after the other that find nothing to do before it is said that there is nothing: while one goes on, the completion
/// of an upload or a rename can take a row past it.
const CLEAN_PASSES: u32 = 2;

/// Shows by which keys objects are encrypted, and wraps their data keys by the current master key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin keys list --data ./data\n  \
    ashlar admin keys rewrap --encryption-keys encryption.keys --metadata meta1:9300")]
pub(crate) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Counts versions and open uploads by the key that their data key is wrapped by.
    #[command(after_help = "Example:\n  ashlar admin keys list --data ./data")]
    List {
        #[command(flatten)]
        connect: Connect,
    },
    /// Wraps every data key anew that an older master key wraps, by the current one. No byte of an object is read or written, and
    /// entity tags stay. It can be broken off and begun again. At its end nothing is encrypted by the older keys any more.
    #[command(
        after_help = "Example:\n  ashlar admin keys rewrap --encryption-keys encryption.keys --metadata meta1:9300"
    )]
    Rewrap {
        /// The file of master keys, of which one is current by now for every service.
        #[arg(long, env = "ASHLAR_ENCRYPTION_KEYS", value_name = "FILE")]
        encryption_keys: PathBuf,
        #[command(flatten)]
        connect: Connect,
    },
}

pub(crate) async fn run(env: &Env, command: &KeysCommand) -> Result<(), Exit> {
    match &command.action {
        Action::List { connect } => list(&connect.reach(env).await?).await,
        Action::Rewrap { encryption_keys, connect } => {
            let ring = encryption_keys::load(env, encryption_keys).await;
            let ring = ring.map_err(|error| Exit::because(Exit::FAILED, &error))?;
            rewrap(env, &connect.reach(env).await?, ring).await
        }
    }
}

fn failed(error: Error) -> Exit {
    Exit::because(Exit::FAILED, &error)
}

async fn list(reached: &Reached) -> Result<(), Exit> {
    let (mut counts, mut after) = (BTreeMap::<_, [u64; 2]>::new(), None);
    loop {
        let page = reached.metadata.list_encrypted(after, PAGE_SIZE_MAX).await.map_err(failed)?;
        for row in &page.rows {
            let count =
                counts.entry((name(row.encryption.scheme), row.encryption.key_id.clone())).or_default();
            count[usize::from(matches!(row.owner, EncryptedOwner::Upload(_)))] += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut table = Table::new(["SCHEME", "KEY", "VERSIONS", "UPLOADS"]);
    for ((scheme, key), [versions, uploads]) in counts {
        let key = if key.is_empty() { "the clients'".to_owned() } else { key };
        table.line([scheme.to_owned(), key, versions.to_string(), uploads.to_string()]);
    }
    super::print(&table.text());
    Ok(())
}

fn name(scheme: EncryptionScheme) -> &'static str {
    match scheme {
        EncryptionScheme::SseS3 => "SSE-S3",
        EncryptionScheme::SseC => "SSE-C",
        EncryptionScheme::SseKms => "SSE-KMS",
    }
}

/// What one look at everything found.
#[derive(Default)]
struct Pass {
    seen: u64,
    renewed: u64,
    /// What changed meanwhile and is to be looked at again.
    changed: u64,
    /// Keys that the file does not have, or not as they were.
    unknown: BTreeSet<String>,
    left: u64,
}

async fn rewrap(env: &Env, reached: &Reached, ring: Arc<Keyring>) -> Result<(), Exit> {
    let keys = Keys::of_ring(env.clone(), ring.clone());
    let (mut renewed, mut clean) = (0, 0);
    for _ in 0..PASSES_MAX {
        let pass = look_through(reached, &keys).await?;
        renewed += pass.renewed;
        clean = if pass.renewed + pass.changed == 0 { clean + 1 } else { 0 };
        if clean == CLEAN_PASSES {
            return conclude(&ring, renewed, &pass);
        }
    }
    let text = format!(
        "{renewed} data keys were wrapped anew, and there are others again: some service still encrypts by an older master key; start \
         all of them again with the present file and repeat this"
    );
    Err(Exit::new(Exit::FAILED, text))
}

/// Says which keys of the file are not needed any more, and fails if there is something that no key of it opens.
fn conclude(ring: &Keyring, renewed: u64, last: &Pass) -> Result<(), Exit> {
    let current = ring.current().0;
    let unused: Vec<&str> = ring.ids().filter(|id| *id != current && !last.unknown.contains(*id)).collect();
    let unused = if unused.is_empty() { "there are none".to_owned() } else { unused.join(", ") };
    super::print(&format!(
        "{renewed} data keys were wrapped anew; nothing is encrypted by older master keys any more ({unused})\n"
    ));
    if last.left == 0 {
        return Ok(());
    }
    let unknown: Vec<&str> = last.unknown.iter().map(String::as_str).collect();
    let text = format!(
        "{} data keys could not be wrapped anew, by keys that the file lacks or has otherwise: {}",
        last.left,
        unknown.join(", ")
    );
    Err(Exit::new(Exit::FAILED, text))
}

async fn look_through(reached: &Reached, keys: &Keys) -> Result<Pass, Exit> {
    let (mut pass, mut after) = (Pass::default(), None);
    loop {
        let page = reached.metadata.list_encrypted(after, PAGE_SIZE_MAX).await.map_err(failed)?;
        pass.seen += page.rows.len() as u64;
        let outdated = page.rows.into_iter().filter(|row| keys.is_outdated(&row.encryption));
        let mut done = stream::iter(outdated.map(|row| renew(reached, keys, row))).buffer_unordered(AT_ONCE);
        while let Some(outcome) = done.next().await {
            match outcome? {
                Renewed::Done => pass.renewed += 1,
                Renewed::Changed => pass.changed += 1,
                Renewed::Unknown(key) => {
                    pass.left += 1;
                    pass.unknown.insert(key);
                }
            }
        }
        eprint!("\r\x1b[K{} looked at, {} wrapped anew", pass.seen, pass.renewed);
        after = page.next;
        if after.is_none() {
            eprintln!();
            return Ok(pass);
        }
    }
}

enum Renewed {
    Done,
    Changed,
    Unknown(String),
}

async fn renew(reached: &Reached, keys: &Keys, row: EncryptedRow) -> Result<Renewed, Exit> {
    let EncryptedRow { bucket, key, owner, encryption: was } = row;
    let encryption = match keys.renewed(&was, bucket.as_str()).await {
        Ok(encryption) => encryption,
        Err(error) => {
            tracing::debug!(error = chain(&error), %bucket, "a data key cannot be unwrapped");
            return Ok(Renewed::Unknown(was.key_id));
        }
    };
    match reached.metadata.rewrap(Rewrap { bucket, key, owner, was, encryption }).await {
        Ok(()) => Ok(Renewed::Done),
        Err(
            Error::PreconditionFailed { .. }
            | Error::BucketNotFound { .. }
            | Error::VersionNotFound
            | Error::UploadNotFound,
        ) => Ok(Renewed::Changed),
        Err(error) => Err(failed(error)),
    }
}
