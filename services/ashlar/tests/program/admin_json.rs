//! Every command of `ashlar admin` that tells something tells it to programs too, as JSON.

use std::{collections::BTreeSet, path::Path};

use bytes::Bytes;
use env::Env;
use http::Method;
use serde_json::Value;

use crate::process::{ACCESS_KEY, SECRET_KEY, access, send, server, told};

/// Commands that tell nothing but that something is done, or how it went by their exit status.
const TELL_NOTHING: &[&str] = &["health", "support"];

/// The commands below `ashlar admin` that have none below them, in words, by whether they take `--json`.
fn leaves(command: &clap::Command, words: &str, found: &mut BTreeSet<(String, bool)>) {
    let mut is_leaf = true;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        is_leaf = false;
        leaves(below, &format!("{words} {}", below.get_name()), found);
    }
    if is_leaf {
        let takes = command.get_arguments().any(|argument| argument.get_long() == Some("json"));
        found.insert((words.trim().to_owned(), takes));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commands_tell_can_be_read_by_programs() {
    let env = Env::real();
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let data = at("data");
    let (server, listen) = server(&env, folder.path(), &[&data]).await;
    send(&access(&env, &listen).await, Method::PUT, "/album", Bytes::new()).await.expect("a bucket is made");

    let mut seen = BTreeSet::new();
    let mut look = |name: &str, more: &[&str]| {
        let words: Vec<&str> = name.split(' ').chain(more.iter().copied()).collect();
        assert!(seen.insert((name.to_owned(), true)), "{name}");
        told(&words)
    };
    let here = ["--data", data.as_str()];
    for name in
        ["status", "node list", "disk list", "class list", "bucket list", "limit list", "durability", "audit"]
    {
        let found = look(name, &here);
        assert!(found.is_object() || found.as_array().is_some(), "{name}: {found}");
    }
    let usage = look("bucket quota", &[&["album", "--objects", "9"], &here[..]].concat());
    assert_eq!((&usage["bucket"], &usage["quota"]["objects"]), (&"album".into(), &9.into()), "{usage}");
    let limits = look("limit set", &[&["--anonymous", "--requests", "7"], &here[..]].concat());
    assert_eq!(limits["limits"][0]["rates"]["requests_per_second"], 7, "{limits}");
    assert_eq!(look("limit remove", &[&["--anonymous"], &here[..]].concat())["limits"], Value::Array(vec![]));
    let account = look("account create", &[&["research"], &here[..]].concat());
    assert!(account.is_object(), "{account}");
    assert!(look("account list", &here).as_array().is_some_and(|all| !all.is_empty()));
    assert!(look("account key", &[&["research"], &here[..]].concat()).is_object());
    for (name, status) in
        [("account suspend", "SUSPENDED"), ("account resume", "ACTIVE"), ("account remove", "ACTIVE")]
    {
        let account = look(name, &[&["research"], &here[..]].concat());
        assert_eq!((&account["name"], &account["status"]), (&"research".into(), &status.into()), "{name}");
    }
    let endpoint = format!("http://{listen}");
    let as_root = ["--endpoint", &endpoint, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY];
    assert_eq!(look("configuration", &as_root)["region"], "us-east-1");
    let policy = at("readers.json");
    let document = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}"#;
    env.disk().replace_small(Path::new(&policy), document.as_bytes()).expect("a file");
    assert_eq!(look("user create", &[&["ann"], &as_root[..]].concat())["user"]["name"], "ann");
    assert_eq!(look("user list", &as_root).as_array().map(Vec::len), Some(1));
    let user = look("user policy", &[&["ann", &policy], &as_root[..]].concat());
    assert_eq!(user["policies"][0], "readers");
    let key = look("user key create", &[&["ann"], &as_root[..]].concat());
    let id = key["access_key_id"].as_str().expect("an id");
    assert!(look("user show", &[&["ann"], &as_root[..]].concat())["access_keys"].is_array());
    for (word, status) in [("list", "Active"), ("disable", "Inactive"), ("enable", "Active")] {
        let one = if word == "list" { &["ann"][..] } else { &["ann", id] };
        let keys = look(&format!("user key {word}"), &[one, &as_root[..]].concat());
        assert_eq!(keys[0]["status"], status);
    }
    assert_eq!(look("user key remove", &[&["ann", id], &as_root[..]].concat()), Value::Array(vec![]));
    assert_eq!(look("user remove", &[&["ann"], &as_root[..]].concat())["name"], "ann");
    assert!(look("keys list", &here).is_array());
    let keys = at("data/encryption.keys");
    let rewrapped = look("keys rewrap", &[&["--encryption-keys", &keys], &here[..]].concat());
    assert_eq!((&rewrapped["rewrapped"], &rewrapped["left"]), (&0.into(), &0.into()), "{rewrapped}");
    let files = look("certificates", &[&at("certificates"), "--role", "gateway"]);
    let files: Vec<&str> =
        files["files"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    assert!(files.len() == 4 && files.iter().all(|file| Path::new(file).exists()), "{files:?}");
    assert_eq!(look("repair status", &here)["shards_due"], 0);
    assert_eq!(look("repair list", &here), Value::Array(vec![]));
    assert_eq!(look("quarantine list", &here)["disks"], Value::Array(vec![]));
    let disk = told(&[&["disk", "list"], &here[..]].concat())[0]["disk"].as_str().expect("a disk").to_owned();
    assert!(look("quarantine release", &[&[&disk, "--all"], &here[..]].concat()).is_object());
    let defined = look("class define", &[&["COLD", "--coding", "1+0"], &here[..]].concat());
    assert_eq!((&defined[0]["name"], &defined[0]["coding"]), (&"COLD".into(), &"1+0".into()), "{defined}");
    let recoded = look("class recode", &[&["STANDARD", "--coding", "1+0"], &here[..]].concat());
    assert_eq!(
        (&recoded[0]["name"], &recoded[0]["coding"]),
        (&"STANDARD".into(), &"1+0".into()),
        "{recoded}"
    );
    let node = told(&[&["node", "list"], &here[..]].concat())[0]["node"].as_str().expect("a node").to_owned();
    for (what, id) in [("disk", &disk), ("node", &node)] {
        for (word, intent) in [("drain", "drain"), ("remove", "remove"), ("serve", "serve")] {
            let intended = look(&format!("{what} {word}"), &[&[id.as_str()], &here[..]].concat());
            assert_eq!((&intended["id"], &intended["intent"]), (&id.as_str().into(), &intent.into()));
        }
    }
    let question =
        ["--principal", "anonymous", "--action", "s3:GetObject", "--resource", "arn:aws:s3:::album/key"];
    assert!(look("explain", &[&question, &here[..]].concat()).is_array());
    let reconciled = look("reconcile", &here);
    assert_eq!(reconciled["audit"]["clean"], true, "{reconciled}");
    assert_eq!(told(&[&["reconcile", "--freeze"], &here[..]].concat())["frozen"], true);
    let backup = at("backup");
    assert!(look("backup", &[&["--to", &backup], &here[..]].concat()).is_object());
    drop(server);
    let other = at("other");
    env.disk().create_directory(Path::new(&other)).expect("a folder");
    let restored = ["--from", &backup, "--data", &other];
    assert!(look("restore", &restored).is_object());
    let (from, to) = (format!("sqlite:{}", at("data/metadata.db")), format!("sqlite:{}", at("third.db")));
    assert!(look("migrate", &["--from", &from, "--to", &to]).is_object());

    let command = ashlar::command();
    let mut all = BTreeSet::new();
    leaves(command.find_subcommand("admin").expect("tools for operators"), "", &mut all);
    let expected = seen.into_iter().chain(TELL_NOTHING.iter().map(|name| ((*name).to_owned(), false)));
    assert_eq!(all, expected.collect::<BTreeSet<_>>());
}
