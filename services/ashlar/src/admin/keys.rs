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
use serde::Serialize;
use serde_json::json;
use types::EncryptionScheme;

use super::{Connect, Reached, pace::Line, table::Table};
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
        /// Shows them as JSON, for programs.
        #[arg(long)]
        json: bool,
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
        /// Shows what was done as JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connect: Connect,
    },
}

/// How much is encrypted by a key.
#[derive(Debug, Serialize)]
struct Uses {
    /// `SSE-S3`, `SSE-KMS` or `SSE-C`.
    scheme: &'static str,
    /// The key's id; none of the keys that are clients' own.
    key: Option<String>,
    versions: u64,
    uploads: u64,
}

pub(crate) async fn run(env: &Env, command: &KeysCommand) -> Result<(), Exit> {
    match &command.action {
        Action::List { json, connect } => list(&connect.reach(env).await?, *json).await,
        Action::Rewrap { encryption_keys, json, connect } => {
            let ring = encryption_keys::load(env, encryption_keys).await;
            let ring = ring.map_err(|error| Exit::because(Exit::FAILED, &error))?;
            rewrap(env, &connect.reach(env).await?, ring, *json).await
        }
    }
}

fn failed(error: Error) -> Exit {
    Exit::because(Exit::FAILED, &error)
}

async fn list(reached: &Reached, as_json: bool) -> Result<(), Exit> {
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
    let uses = counts.into_iter().map(|((scheme, key), [versions, uploads])| {
        let key = (!key.is_empty()).then_some(key);
        Uses { scheme, key, versions, uploads }
    });
    let uses: Vec<Uses> = uses.collect();
    super::print(&if as_json { super::as_json(&uses) } else { as_table(uses) });
    Ok(())
}

fn as_table(uses: Vec<Uses>) -> String {
    let mut table = Table::new(["SCHEME", "KEY", "VERSIONS", "UPLOADS"]);
    for Uses { scheme, key, versions, uploads } in uses {
        let key = key.unwrap_or_else(|| "the clients'".to_owned());
        table.line([scheme.to_owned(), key, versions.to_string(), uploads.to_string()]);
    }
    table.text_or("nothing is encrypted")
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

async fn rewrap(env: &Env, reached: &Reached, ring: Arc<Keyring>, as_json: bool) -> Result<(), Exit> {
    let keys = Keys::of_ring(env.clone(), ring.clone());
    let (mut renewed, mut clean) = (0, 0);
    let mut line = Line::new();
    for _ in 0..PASSES_MAX {
        let pass = look_through(env, reached, &keys, &mut line).await?;
        line.end();
        renewed += pass.renewed;
        clean = if pass.renewed + pass.changed == 0 { clean + 1 } else { 0 };
        if clean == CLEAN_PASSES {
            return conclude(&ring, renewed, &pass, as_json);
        }
    }
    let text = format!(
        "{renewed} data keys were wrapped anew, and there are others again: some service still encrypts by an older master key; start \
         all of them again with the present file and repeat this"
    );
    Err(Exit::new(Exit::FAILED, text))
}

/// Says which keys of the file are not needed any more, and fails if there is something that no key of it opens.
fn conclude(ring: &Keyring, renewed: u64, last: &Pass, as_json: bool) -> Result<(), Exit> {
    let current = ring.current().0;
    let unused: Vec<&str> = ring.ids().filter(|id| *id != current && !last.unknown.contains(*id)).collect();
    super::print(&if as_json {
        let unknown = &last.unknown;
        super::as_json(
            &json!({ "rewrapped": renewed, "unused_keys": unused, "left": last.left, "unknown_keys": unknown }),
        )
    } else {
        let unused = if unused.is_empty() { "there are none".to_owned() } else { unused.join(", ") };
        let rest = match last.left {
            0 => format!("; nothing is encrypted by older master keys any more ({unused})"),
            left => format!("; {left} are left"),
        };
        format!("{renewed} data keys were wrapped anew{rest}\n")
    });
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

async fn look_through(env: &Env, reached: &Reached, keys: &Keys, line: &mut Line) -> Result<Pass, Exit> {
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
        line.show(&format!("{} looked at, {} wrapped anew", pass.seen, pass.renewed), env.now());
        after = page.next;
        if after.is_none() {
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
