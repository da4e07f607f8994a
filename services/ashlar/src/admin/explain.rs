//! `ashlar admin explain`: why a request was refused, and what would be decided on one.
//!
//! A gateway is asked, since it decides. It remembers its last refusals alone, so of several each is asked until one knows the
//! request.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use admin_api::{Condition, Explanation, Resource, Statement};
use bytes::Bytes;
use clap::Args;
use env::Env;
use gateway::{Asked, Described, Told};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{
    connect::Source,
    table::{Table, plain},
};
use crate::Exit;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of an answer: what a gateway keeps of refusals, written out.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Shows why a request was refused, or what would be decided on one, policy by policy and statement by statement.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ashlar admin explain --last --data ./data\n  \
    ashlar admin explain 8C3F19D2A0B4E657 --gateway gateway1:9002\n  \
    ashlar admin explain --last --endpoint https://s3.example.com\n  \
    ashlar admin explain --principal ann --action s3:GetObject --resource arn:aws:s3:::album/a.jpg --condition aws:SourceIp=10.0.0.1 --data ./data")]
pub(crate) struct Explain {
    /// The id of a request that was refused, as its answer has it (x-amz-request-id). Each gateway remembers its last 256 refusals.
    #[arg(value_name = "REQUEST_ID", conflicts_with_all = ["last", "principal"])]
    request_id: Option<String>,
    /// Shows the last refusals, the newest first.
    #[arg(long, conflicts_with = "principal")]
    last: bool,
    /// Who would ask: the name or the ARN of a user, the ARN of a role or of a session of one, `root` or `anonymous`. The
    /// policies that a session was given when it was made are in its token alone, and are not known here.
    #[arg(long, value_name = "NAME|ARN", requires = "action")]
    principal: Option<String>,
    /// What for: an action such as s3:GetObject or iam:CreateUser.
    #[arg(long, value_name = "ACTION", requires = "principal")]
    action: Option<String>,
    /// What to, by its ARN. Without it, what a call that names nothing is done to.
    #[arg(long, value_name = "ARN", requires = "principal")]
    resource: Option<String>,
    /// The value of a condition key, in the place of what is known of it; again for another, or for more values.
    #[arg(long = "condition", value_name = "KEY=VALUE", value_parser = condition, requires = "principal")]
    conditions: Vec<(String, String)>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Addresses of a cluster's gateways where they answer operators (--health-listen), `host:port`, separated by commas.
    #[arg(
        long = "gateway",
        env = "ASHLAR_GATEWAY_OPERATORS",
        value_delimiter = ',',
        value_name = "HOST:PORT"
    )]
    gateways: Vec<String>,
    #[command(flatten)]
    source: Source,
}

fn condition(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a condition key, =, and its value")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Explain {
    fn question(&self) -> Result<Asked, Exit> {
        if let Some(id) = &self.request_id {
            return Ok(Asked::RequestId(id.clone()));
        }
        let (Some(principal), Some(action)) = (&self.principal, &self.action) else {
            let hint = "what? Give a request's id, --last, or --principal and --action".to_owned();
            return if self.last { Ok(Asked::Last) } else { Err(Exit::new(Exit::FAILED, hint)) };
        };
        let mut conditions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in &self.conditions {
            conditions.entry(key.clone()).or_default().push(value.clone());
        }
        let (principal, action, resource) = (principal.clone(), action.clone(), self.resource.clone());
        Ok(Asked::Described(Described { principal, action, resource, conditions }))
    }
}

/// Asks, and shows what was answered.
pub(crate) async fn run(env: &Env, explain: &Explain) -> Result<(), Exit> {
    let question = explain.question()?;
    let mut found = match explain.source.remote(env).await? {
        Some(remote) => remote.get(Resource::Explanations, &query_of(&question)?).await?,
        None => ask_all(env, explain, &question).await?,
    };
    if let (true, Some(id)) = (found.is_empty(), &explain.request_id) {
        let message = format!(
            "no refusal of {id} is remembered: it was not refused, or by another gateway, or too many were since"
        );
        return Err(Exit::new(Exit::FAILED, message));
    }
    found.sort_by(|one: &Explanation, other| other.time.cmp(&one.time));
    if explain.json {
        super::print(&as_json(&found).map_err(|error| Exit::because(Exit::FAILED, &error))?);
        return Ok(());
    }
    super::print(&if explain.last { in_lines(&found) } else { found.iter().map(in_words).collect() });
    Ok(())
}

/// A question as a gateway is asked it over HTTP.
fn query_of(question: &Asked) -> Result<Vec<(&'static str, String)>, Exit> {
    let Described { principal, action, resource, conditions } = match question {
        Asked::Last => return Ok(Vec::new()),
        Asked::RequestId(id) => return Ok(vec![("request_id", id.clone())]),
        Asked::Described(described) => described,
    };
    let mut query = vec![("principal", principal.clone()), ("action", action.clone())];
    query.extend(resource.clone().map(|resource| ("resource", resource)));
    if !conditions.is_empty() {
        let text = serde_json::to_string(conditions).map_err(|error| Exit::because(Exit::FAILED, &error))?;
        query.push(("conditions", text));
    }
    Ok(query)
}

/// Asks gateways where they answer operators.
async fn ask_all(env: &Env, explain: &Explain, question: &Asked) -> Result<Vec<Explanation>, Exit> {
    let body = serde_json::to_vec(question).map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let connect = explain.source.connect();
    let (addresses, token) = connect.gateways(env, &explain.gateways).await?;
    let env = &connect.reaching_gateways(env).await?;
    let mut found = Vec::new();
    for address in &addresses {
        found.extend(ask(env, address, &token, body.clone().into()).await?);
        // What is described each of them would decide alike; of a request the one knows that decided on it.
        let is_enough = match question {
            Asked::Last => false,
            Asked::RequestId(_) | Asked::Described(_) => !found.is_empty(),
        };
        if is_enough {
            break;
        }
    }
    Ok(found)
}

async fn ask(env: &Env, address: &str, token: &str, body: Bytes) -> Result<Vec<Explanation>, Exit> {
    let failed = |reason: String| Exit::new(Exit::FAILED, format!("{address}: {reason}"));
    let (status, answer) = match env.timeout(TIMEOUT, post(env, address, token, body)).await {
        Ok(answered) => answered.map_err(failed)?,
        Err(_) => return Err(failed("no answer within 10 s".to_owned())),
    };
    match (status, serde_json::from_slice(&answer)) {
        (StatusCode::OK, Ok(Told::Decisions(found))) => Ok(found),
        (StatusCode::UNAUTHORIZED, _) => Err(failed("it does not know this cluster secret".to_owned())),
        (StatusCode::NOT_FOUND, _) => {
            Err(failed("it explains nothing: is it a gateway's --health-listen?".to_owned()))
        }
        (_, Ok(Told::Error(problem))) => Err(Exit::new(Exit::FAILED, plain(&problem))),
        (status, _) => Err(failed(format!("{status}"))),
    }
}

async fn post(env: &Env, address: &str, token: &str, body: Bytes) -> Result<(StatusCode, Bytes), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let connection = env.connect(address).await.map_err(|error| text(&error))?;
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| text(&error))?;
    env.spawn(driver);
    let request = Request::post("/explain")
        .header(header::HOST, address)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| text(&error))?;
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, body))
}

/// For programs, and with nothing that controls a terminal: of such characters JSON itself escapes only those of ASCII.
fn as_json(found: &[Explanation]) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for character in serde_json::to_string_pretty(found)?.chars() {
        if character.is_control() && character != '\n' {
            let _ = write!(text, "\\u{:04x}", u32::from(character));
        } else {
            text.push(character);
        }
    }
    text.push('\n');
    Ok(text)
}

/// A line for each.
fn in_lines(found: &[Explanation]) -> String {
    let mut table = Table::new(["TIME", "REQUEST", "WHO", "ACTION", "RESOURCE", "REFUSED BY"]);
    for told in found {
        let id = told.request_id.clone().unwrap_or_default();
        let [time, who, action, resource, kind] =
            [&told.time, &told.principal, &told.action, &told.resource, &told.kind].map(String::clone);
        table.line([time, id, who, action, resource, kind]);
    }
    table.text()
}

fn in_words(told: &Explanation) -> String {
    let verdict = if told.allowed { "allowed" } else { "denied" };
    let mut text = String::new();
    if let Some(id) = &told.request_id {
        let _ = writeln!(text, "request    {}", plain(id));
    }
    let _ = writeln!(
        text,
        "time       {}\nwho        {}\naction     {}\nresource   {}\nverdict    {verdict}, {}",
        plain(&told.time),
        plain(&told.principal),
        plain(&told.action),
        plain(&told.resource),
        plain(&told.reason)
    );
    if let Some(key) = &told.access_key_id {
        let _ = writeln!(text, "access key {}", plain(key));
    }
    if let Some(address) = &told.source_ip {
        let _ = writeln!(text, "from       {}", plain(address));
    }
    text.push('\n');
    let mut statements = Table::new(["KIND", "POLICY", "STATEMENT", "EFFECT", "MATCHES", "WHY NOT"]);
    for statement in &told.statements {
        let number = match &statement.sid {
            Some(sid) => format!("{} ({sid})", statement.number),
            None => statement.number.to_string(),
        };
        let matches = if statement.matches { "yes" } else { "no" }.to_owned();
        let [kind, policy, effect] =
            [&statement.kind, &statement.policy, &statement.effect].map(String::clone);
        statements.line([kind, policy, number, effect, matches, why_not(statement)]);
    }
    text.push_str(&statements.text());
    let mut context = Table::new(["CONDITION KEY", "VALUES"]);
    for (key, values) in &told.context {
        context.line([key.clone(), values.join(", ")]);
    }
    let context = context.text();
    if !context.is_empty() {
        let _ = write!(text, "\n{context}");
    }
    if told.left_out > 0 {
        let _ = writeln!(text, "\n{} more statements and condition keys are not shown.", told.left_out);
    }
    text.push('\n');
    text
}

/// Which parts of a statement do not match.
fn why_not(statement: &Statement) -> String {
    let parts = [
        (statement.principal, "principal"),
        (statement.action, "action"),
        (statement.resource, "resource"),
        (!statement.unknown, "a variable that the request does not have"),
    ];
    let parts = parts.iter().filter(|(matches, _)| !matches).map(|(_, name)| (*name).to_owned());
    let conditions = statement.conditions.iter().filter(|condition| !condition.holds).map(compared);
    parts.chain(conditions).collect::<Vec<_>>().join("; ")
}

fn compared(condition: &Condition) -> String {
    let Condition { operator, key, wanted, found, holds: _ } = condition;
    let found = if found.is_empty() { "absent".to_owned() } else { found.join(", ") };
    format!("{operator} {key}: {} is wanted, and it is {found}", wanted.join(" or "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use admin_api::{Condition, Explanation, Statement};

    use super::{as_json, condition, in_lines, in_words};

    fn told() -> Explanation {
        let statement = Statement {
            kind: "identity-based policy".to_owned(),
            policy: "p of user ann".to_owned(),
            number: 2,
            sid: Some("reads".to_owned()),
            effect: "Allow".to_owned(),
            matches: false,
            principal: true,
            action: true,
            resource: false,
            unknown: false,
            conditions: vec![Condition {
                operator: "StringEquals".to_owned(),
                key: "aws:PrincipalTag/team".to_owned(),
                wanted: vec!["a".to_owned(), "b".to_owned()],
                found: Vec::new(),
                holds: false,
            }],
        };
        Explanation {
            request_id: Some("0123456789ABCDEF".to_owned()),
            time: "2026-03-01T00:00:00.000Z".to_owned(),
            principal: "arn:aws:iam::750814517293:user/ann".to_owned(),
            access_key_id: None,
            source_ip: Some("127.0.0.1".to_owned()),
            action: "s3:GetObject".to_owned(),
            resource: "arn:aws:s3:::album/k".to_owned(),
            allowed: false,
            kind: "identity-based policy".to_owned(),
            reason: "because no identity-based policy allows the s3:GetObject action".to_owned(),
            context: BTreeMap::from([("aws:username".to_owned(), vec!["ann".to_owned()])]),
            statements: vec![statement],
            left_out: 3,
        }
    }

    #[test]
    fn a_decision_is_told_in_words() {
        let text = in_words(&told());
        for part in [
            "request    0123456789ABCDEF\n",
            "verdict    denied, because no identity-based policy allows the s3:GetObject action\n",
            "p of user ann  2 (reads)  Allow   no       resource; StringEquals aws:PrincipalTag/team: a or b is wanted, and it is absent\n",
            "aws:username   ann\n",
            "3 more statements",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert_eq!(in_lines(&[told()]).lines().count(), 2);
        assert_eq!(in_lines(&[]), "");
    }

    /// Clients choose keys, headers and names of sessions; none of them gets at an operator's terminal.
    #[test]
    fn nothing_that_a_client_sends_controls_a_terminal() {
        let bad = || "x\u{1b}[2J\ny\u{7f}\u{9b}m".to_owned();
        let mut told = told();
        let lines = in_words(&told).lines().count();
        (told.request_id, told.access_key_id, told.source_ip) = (Some(bad()), None, Some(bad()));
        [&mut told.time, &mut told.principal, &mut told.action, &mut told.resource, &mut told.reason]
            .into_iter()
            .for_each(|text| *text = bad());
        told.context = BTreeMap::from([(bad(), vec![bad()])]);
        told.statements[0].policy = bad();
        told.statements[0].sid = Some(bad());
        told.statements[0].conditions[0].found = vec![bad()];
        let words = in_words(&told);
        assert_eq!(words.lines().count(), lines, "{words}");
        assert!(words.contains(r"resource   x\u{1b}[2J\ny\u{7f}\u{9b}m"), "{words}");
        let json = as_json(std::slice::from_ref(&told)).expect("it is written");
        for text in [&words, &in_lines(std::slice::from_ref(&told)), &json] {
            assert!(!text.contains(|found: char| found.is_control() && found != '\n'), "{text:?}");
        }
        assert_eq!(serde_json::from_str::<Vec<Explanation>>(&json).expect("it is JSON"), [told]);
    }

    #[test]
    fn conditions_are_keys_and_values() {
        assert_eq!(condition("a:b=c=d"), Ok(("a:b".to_owned(), "c=d".to_owned())));
        assert!(condition("a:b").is_err());
    }
}
