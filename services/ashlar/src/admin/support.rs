//! `ashlar admin support`: what somebody who helps needs to know of a cluster, in one file without secrets.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use admin_api::{Assumptions, Configuration, Durability, Repair, Resource, Status};
use clap::Args;
use env::Env;
use http::Uri;
use metadata_api::AccountId;
use serde_json::{Map, Value, json};

use super::{
    bucket,
    connect::{Reached, Remote, Source, failed},
    durability, health, print, repair,
};
use crate::Exit;

/// Most bytes of a service's metrics.
const METRICS_MAX: usize = 8 << 20;

/// Which cluster, and where to.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin support --to support.json --data ./data\n  ashlar admin support --to support.json \
    --metadata meta1:9300 --service http://gateway1:9001 --service http://chunk1:9201\n  \
    ashlar admin support --to support.json --endpoint https://s3.example.com --buckets\n  \
    ashlar admin support --to - --metadata meta1:9300 > support.json\n\n\
    What cannot be read is left out and named on the standard error; the exit status is 1 where nothing could be read of the cluster, or \
    not all of the services that --service names."
)]
pub(crate) struct Support {
    /// The file to write; one that is there is replaced. `-` is the standard output.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Where services answer health checks (`--health-listen`), `http://HOST:PORT`: whether each is ready, and its metrics, are taken
    /// down too.
    #[arg(long = "service", value_name = "URL")]
    services: Vec<Uri>,
    /// Takes the names of buckets down too, with what they hold and their quotas.
    #[arg(long)]
    buckets: bool,
    #[command(flatten)]
    source: Source,
}

/// Whom the cluster is read from.
enum From {
    Gateway(Remote),
    Cluster(Reached),
}

pub(crate) async fn run(env: &Env, args: &Support) -> Result<(), Exit> {
    if let Some(url) = args.services.iter().find(|url| url.scheme_str() != Some("http")) {
        let reason = "not an http URL; services that have certificates tell their metrics to the one for monitor.ashlar.internal alone";
        return Err(Exit::new(Exit::FAILED, format!("{url}: {reason}: save them by curl")));
    }
    let from = match args.source.remote(env).await? {
        Some(remote) => From::Gateway(remote),
        None => From::Cluster(args.source.reach(env).await?),
    };
    let mut parts = vec![
        ("status", from.status().await),
        ("repair", from.repair().await),
        ("durability", from.durability().await),
        ("configuration", from.configuration().await),
    ];
    if args.buckets {
        parts.push(("buckets", from.buckets().await));
    }
    let missing: Vec<String> =
        parts.iter().filter_map(|(name, part)| Some(format!("{name}: {}", part.as_ref().err()?))).collect();
    if missing.len() == parts.len() {
        return Err(Exit::new(
            Exit::FAILED,
            format!("nothing can be read of the cluster: {}", missing.join("; ")),
        ));
    }
    let mut bundle = Map::new();
    bundle.insert("made_ms".to_owned(), env.wall_clock_ms().into());
    bundle.insert(
        "made_by".to_owned(),
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "system": std::env::consts::OS,
            "processor": std::env::consts::ARCH,
        }),
    );
    for (name, part) in parts {
        bundle
            .insert(name.to_owned(), part.unwrap_or_else(|reason| json!({ "missing": reason.to_string() })));
    }
    let (mut services, mut silent) = (Map::new(), Vec::new());
    for url in &args.services {
        services.insert(url.to_string(), service(env, url, &mut silent).await);
    }
    bundle.insert("services".to_owned(), services.into());

    let (own_env, to, text) = (env.clone(), args.to.clone(), super::as_json(&bundle));
    let writing = env.spawn_blocking(move || write(&own_env, &to, text.as_bytes()));
    let written = writing.await.unwrap_or_else(|| Err(io::Error::other("the process ends")));
    written.map_err(|error| Exit::new(Exit::DATA, format!("{}: {error}", args.to.display())))?;
    for missing in missing.iter().chain(&silent) {
        eprintln!("not in it: {missing}");
    }
    if !is_standard_output(&args.to) {
        print(&format!("{}\n", args.to.display()));
    }
    if silent.is_empty() {
        return Ok(());
    }
    // It was named, so somebody counts on it.
    Err(Exit::new(
        Exit::FAILED,
        "it is written without what services did not tell that were named by --service",
    ))
}

fn is_standard_output(to: &Path) -> bool {
    to == Path::new("-")
}

/// Writes the bundle. Blocks. That nobody reads it to its end is told, unlike what is printed for people.
fn write(env: &Env, to: &Path, text: &[u8]) -> io::Result<()> {
    if !is_standard_output(to) {
        return env.replace_named(to, text);
    }
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush())
}

/// A resource as a program reads it. The detour by its type makes sure that nothing else is taken down.
fn written(resource: impl serde::Serialize) -> Value {
    serde_json::to_value(resource).expect("resources have texts for keys")
}

impl From {
    async fn status(&self) -> Result<Value, Exit> {
        match self {
            Self::Gateway(remote) => remote.get::<Status>(Resource::Status, &[]).await.map(written),
            Self::Cluster(reached) => {
                Status::read(&*reached.metadata, &reached.map().await?).await.map(written).map_err(failed)
            }
        }
    }

    async fn repair(&self) -> Result<Value, Exit> {
        match self {
            Self::Gateway(remote) => remote.get::<Repair>(Resource::Repair, &[]).await.map(written),
            Self::Cluster(reached) => {
                let (pool, _follower) = reached.pool().await?;
                repair::read(reached, &pool).await.map(written)
            }
        }
    }

    async fn durability(&self) -> Result<Value, Exit> {
        match self {
            Self::Gateway(remote) => remote.get::<Durability>(Resource::Durability, &[]).await.map(written),
            Self::Cluster(reached) => {
                durability::reckoned(reached, Assumptions::default()).await.map(written)
            }
        }
    }

    async fn configuration(&self) -> Result<Value, Exit> {
        match self {
            Self::Gateway(remote) => {
                remote.get::<Configuration>(Resource::Configuration, &[]).await.map(written)
            }
            Self::Cluster(_) => {
                Err(Exit::new(Exit::FAILED, "gateways alone tell their settings: give --endpoint".to_owned()))
            }
        }
    }

    async fn buckets(&self) -> Result<Value, Exit> {
        match self {
            Self::Gateway(remote) => bucket::of_gateway(remote, "", None).await.map(written),
            Self::Cluster(reached) => {
                let (owner, all) = (AccountId::root(), ("", None));
                let found = admin_api::buckets(&*reached.metadata, owner, all, usize::MAX).await;
                found.map(written).map_err(failed)
            }
        }
    }
}

/// Whether a service is ready, and its metrics. What it does not tell is added to `silent`.
async fn service(env: &Env, url: &Uri, silent: &mut Vec<String>) -> Value {
    let base = url.to_string();
    let base = base.trim_end_matches('/');
    let mut answers = Map::new();
    for path in ["/health/ready", "/metrics"] {
        let answer = match format!("{base}{path}").parse::<Uri>() {
            Ok(url) => health::answer(env, None, &url, METRICS_MAX).await,
            Err(error) => Err(error.to_string()),
        };
        let told = match answer {
            Ok((status, body)) => json!({ "status": status.as_u16(), "body": body }),
            Err(reason) => {
                silent.push(format!("{base}{path}: {reason}"));
                json!({ "missing": reason })
            }
        };
        answers.insert(path.to_owned(), told);
    }
    answers.into()
}
