//! `ashlar admin configuration`: how a gateway is set up, as far as that is no secret.

use admin_api::{Configuration as Facts, Resource};
use clap::Args;
use env::Env;
use serde_json::Value;

use super::{connect::Gateway, table::Table};
use crate::Exit;

/// Which gateway, and how to show it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin configuration --endpoint https://s3.example.com\n  \
    ashlar admin configuration --json --endpoint http://127.0.0.1:9000\n\n\
    It is what the gateway tells that answers; others of a cluster may be set up otherwise. It takes the right ashlar:GetConfiguration.")]
pub(crate) struct Configuration {
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

pub(crate) async fn run(env: &Env, args: &Configuration) -> Result<(), Exit> {
    let remote = args.gateway.remote(env).await?;
    let facts: Facts = remote.get(Resource::Configuration, &[]).await?;
    super::print(&if args.json { super::as_json(&facts) } else { as_table(&facts) });
    Ok(())
}

/// A line for each setting, by the names that they have in JSON.
fn as_table(facts: &Facts) -> String {
    let Value::Object(fields) = serde_json::to_value(facts).expect("settings have texts for keys") else {
        return String::new();
    };
    let mut table = Table::new(["SETTING", "VALUE"]);
    for (name, value) in fields {
        table.line([name, in_words(&value)]);
    }
    table.text()
}

fn in_words(value: &Value) -> String {
    match value {
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}
