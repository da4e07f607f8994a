//! `ashlar admin limit`: how much users, roles, access keys and addresses may ask of each gateway.

use admin_api::{Change, Holder, Limit, Limits, NewRates, Resource, holder_name};
use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{RATE_LIMITS_MAX, RateHolder, RateLimitSet, Rates};

use super::{
    account::Whose,
    bucket::parse_size,
    connect::{Reached, Remote, Source, failed},
    table::{Table, bytes},
};
use crate::Exit;

/// How much may be asked of each gateway.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin limit list --data ./data\n  \
    ashlar admin limit set --user backup --requests 100 --received 50MiB --sent 50MiB --metadata meta1:9300\n  \
    ashlar admin limit remove --user backup --metadata meta1:9300")]
pub(crate) struct LimitCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows what operators have said. A gateway that is asked with --endpoint shows what its settings say for all others, too.
    List(List),
    /// Says how much somebody may ask of each gateway, in place of what was said of them.
    Set(Set),
    /// Takes back what was said of somebody: the settings of gateways hold.
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin limit list --data ./data\n  \
    ashlar admin limit list --json --endpoint http://127.0.0.1:9000")]
struct List {
    #[command(flatten)]
    whose: Whose,
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

/// Whom it is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// A user, with all of its access keys and sessions.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A role, with all of its sessions.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// An access key of a user, within what the user may.
    #[arg(long, value_name = "ACCESS_KEY_ID")]
    key: Option<String>,
    /// The root user.
    #[arg(long)]
    root: bool,
    /// Whoever shows no credentials, each address by itself.
    #[arg(long, conflicts_with = "account")]
    anonymous: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin limit set --user backup --requests 100 --sent 50MiB --data ./data\n  \
    ashlar admin limit set --anonymous --requests 20 --endpoint https://s3.example.com\n\n\
    Each gateway counts by itself, so somebody who uses several of them can have as much of each. What is not given is as the \
    settings of gateways say (--request-rate-max, --receive-rate-max, --send-rate-max, --rate-burst), or without a bound of its \
    own for an access key. Gateways know of it within seconds."
)]
struct Set {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    what: What,
    /// Shows all limits as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

/// What they may.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct What {
    /// Most requests a second; more are answered with 503 SlowDown. 0 for any number.
    #[arg(long, value_name = "NUMBER")]
    requests: Option<u64>,
    /// Most bytes of requests' bodies a second, at least 256KiB; more wait. 0 for any number.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    received: Option<u64>,
    /// Most bytes of answers' bodies a second, at least 256KiB; more wait. 0 for any number.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    sent: Option<u64>,
    /// For how many seconds of not using them they can be used at once, 1 to 3600.
    #[arg(long, value_name = "SECONDS")]
    burst: Option<u32>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ashlar admin limit remove --user backup --metadata meta1:9300")]
struct Remove {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    whose: Whose,
    /// Shows all limits that are left as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Whom {
    /// Names of users and roles differ in more than case.
    fn holder(&self) -> RateHolder {
        match self {
            Self { user: Some(name), .. } => RateHolder::User(name.to_ascii_lowercase()),
            Self { role: Some(name), .. } => RateHolder::Role(name.to_ascii_lowercase()),
            Self { key: Some(id), .. } => RateHolder::AccessKey(id.clone()),
            Self { root: true, .. } => RateHolder::Root,
            Self { .. } => RateHolder::Anonymous,
        }
    }
}

pub(crate) async fn run(env: &Env, command: &LimitCommand) -> Result<(), Exit> {
    match &command.action {
        Action::List(list) => {
            let limits = match list.source.remote(env).await? {
                Some(remote) => {
                    let query = list.whose.name().map(|account| ("account", account.to_owned()));
                    remote.get(Resource::Limits, &query.into_iter().collect::<Vec<_>>()).await?
                }
                None => {
                    let reached = list.source.reach(env).await?;
                    let account = list.whose.of(&reached).await?;
                    let limits = Limits::read(&*reached.metadata, &account, None);
                    limits.await.map_err(failed)?
                }
            };
            super::print(&if list.json { super::as_json(&limits) } else { as_table(&limits) });
            Ok(())
        }
        Action::Set(Set { whom, whose, what, json, source }) => {
            let What { requests, received, sent, burst } = *what;
            let rates = Rates { requests, received_bytes: received, sent_bytes: sent, burst_seconds: burst };
            set(env, source, (whose, &whom.holder()), Some(rates), *json).await
        }
        Action::Remove(Remove { whom, whose, json, source }) => {
            set(env, source, (whose, &whom.holder()), None, *json).await
        }
    }
}

async fn set(
    env: &Env,
    source: &Source,
    (whose, holder): (&Whose, &RateHolder),
    rates: Option<Rates>,
    as_json: bool,
) -> Result<(), Exit> {
    let limits = match source.remote(env).await? {
        Some(remote) => set_by_gateway(&remote, (whose, holder), rates).await?,
        None => set_in_cluster(&source.reach(env).await?, (whose, holder), rates).await?,
    };
    super::print(&if as_json { super::as_json(&limits) } else { as_table(&limits) });
    Ok(())
}

async fn set_by_gateway(
    remote: &Remote,
    (whose, holder): (&Whose, &RateHolder),
    rates: Option<Rates>,
) -> Result<Limits, Exit> {
    if whose.name().is_some() {
        let message =
            "gateways set limits in the first account alone: give --data or --metadata for another's";
        return Err(Exit::new(Exit::FAILED, message.to_owned()));
    }
    let name = holder_name(holder);
    let Some(rates) = rates else {
        let limits: Limits = remote.get(Resource::Limits, &[]).await?;
        if !limits.limits.iter().any(|limit| limit.is_of(holder)) {
            return Err(no_limit(holder));
        }
        return remote.change(Change::RemoveLimit, &name).await;
    };
    let rates = NewRates {
        requests_per_second: rates.requests,
        received_bytes_per_second: rates.received_bytes,
        sent_bytes_per_second: rates.sent_bytes,
        burst_seconds: rates.burst_seconds,
    };
    remote.change_to(Change::PutLimit, &name, &rates).await
}

fn no_limit(holder: &RateHolder) -> Exit {
    Exit::new(Exit::FAILED, format!("there is no limit of a {}", in_words(holder)))
}

async fn set_in_cluster(
    reached: &Reached,
    (whose, holder): (&Whose, &RateHolder),
    rates: Option<Rates>,
) -> Result<Limits, Exit> {
    let account = whose.of(reached).await?;
    let refused = |message: String| Err(Exit::new(Exit::FAILED, message));
    if rates.is_none() {
        let limits = reached.metadata.list_rate_limits(&account).await.map_err(failed)?;
        if !limits.iter().any(|limit| limit.holder == *holder) {
            return Err(no_limit(holder));
        }
    }
    match reached.metadata.set_rate_limit(&account, holder, rates).await.map_err(failed)? {
        RateLimitSet::Done => {}
        RateLimitSet::NoSuchHolder => return refused(format!("there is no {}", in_words(holder))),
        RateLimitSet::TooMany => return refused(format!("there are {RATE_LIMITS_MAX} limits already")),
    }
    Limits::read(&*reached.metadata, &account, None).await.map_err(failed)
}

fn in_words(holder: &RateHolder) -> String {
    match holder {
        RateHolder::User(name) => format!("user {name}"),
        RateHolder::Role(name) => format!("role {name}"),
        RateHolder::AccessKey(id) => format!("access key {id} of a user"),
        RateHolder::Root => "root user".to_owned(),
        RateHolder::Anonymous => "request without credentials".to_owned(),
    }
}

fn as_table(limits: &Limits) -> String {
    let mut table = Table::new(["WHO", "NAME", "REQUESTS/S", "RECEIVED/S", "SENT/S", "BURST"]);
    let mut line = |who: &str, name: &str, rates: &admin_api::Rates| {
        let rate = |rate: Option<u64>, show: fn(u64) -> String| match rate {
            Some(0) => "any".to_owned(),
            Some(rate) => show(rate),
            None => "-".to_owned(),
        };
        table.line([
            who.to_owned(),
            name.to_owned(),
            rate(rates.requests_per_second, |rate| rate.to_string()),
            rate(rates.received_bytes_per_second, bytes),
            rate(rates.sent_bytes_per_second, bytes),
            rates.burst_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s")),
        ]);
    };
    if let Some(defaults) = &limits.defaults {
        line("everybody", "-", defaults);
    }
    for Limit { holder, name, rates } in &limits.limits {
        let who = match holder {
            Holder::User => "user",
            Holder::Role => "role",
            Holder::AccessKey => "access key",
            Holder::Root => "root",
            Holder::Anonymous => "anonymous",
        };
        line(who, name.as_deref().unwrap_or("-"), rates);
    }
    table.text_or("there are no limits")
}
