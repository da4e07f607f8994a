//! Operators' commands that ask a gateway and no service behind it: users and keys by the API of IAM, and what operators change.

use std::path::Path;

use bytes::Bytes;
use env::Env;
use http::Method;
use s3_client::{Access, Connect, Endpoint};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{self, ACCESS_KEY, SECRET_KEY, Service, access, ends, send, server, told};

const ALBUM_ONLY: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*",
    "Resource": ["arn:aws:s3:::album", "arn:aws:s3:::album/*"]}}"#;

/// A server of two folders, and what commands are given to ask it as the root user.
struct Asked {
    server: Service,
    folder: TempDir,
    data: String,
    listen: String,
    endpoint: String,
}

impl Asked {
    async fn start(env: &Env, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (data, second, audit_log) = (at("1"), at("2"), at("decisions.log"));
        let words = [&[data.as_str(), &second, "--audit-log", &audit_log], more].concat();
        let (server, listen) = server(env, folder.path(), &words).await;
        let endpoint = format!("http://{listen}");
        Self { server, folder, data, listen, endpoint }
    }

    fn as_root<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        self.with(words, (ACCESS_KEY, SECRET_KEY))
    }

    fn with<'a>(&'a self, words: &[&'a str], (id, secret): (&'a str, &'a str)) -> Vec<&'a str> {
        [words, &["--endpoint", &self.endpoint, "--access-key", id, "--secret-key", secret]].concat()
    }

    /// What a command with these words tells programs.
    fn told(&self, words: &[&str]) -> Value {
        told(&self.as_root(words))
    }

    /// What a command says that is refused.
    fn refused(&self, words: &[&str]) -> String {
        let (code, out, error) = ends(&self.as_root(words));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{words:?}: {error}");
        error
    }

    fn write(&self, env: &Env, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        env.disk().replace_small(&path, text.as_bytes()).expect("a file");
        path.display().to_string()
    }

    /// Lines of the audit log, once the server has ended.
    async fn decisions(self, env: &Env) -> Vec<Value> {
        self.server.stop(env).await;
        let path = self.folder.path().join("decisions.log");
        let text = env.disk().read_small(Path::new(&path), 64 << 20).expect("a log");
        let text = String::from_utf8(text).expect("a text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// How whoever has this key reaches the server.
async fn access_of(env: &Env, asked: &Asked, key: &Value) -> Access {
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let connect = Connect::new(sigv4::Credentials {
        access_key_id: text("access_key_id"),
        secret_access_key: text("secret_access_key"),
        session_token: None,
    });
    let endpoint = Endpoint::parse(&asked.endpoint).expect("an endpoint");
    connect.access(env, endpoint).await.expect("plain HTTP needs no certificates")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_keys_are_made_shown_and_removed() {
    let env = Env::real();
    let asked = Asked::start(&env, &[]).await;
    let root = access(&env, &asked.listen).await;
    for bucket in ["/album", "/ledger"] {
        send(&root, Method::PUT, bucket, Bytes::new()).await.expect("a bucket");
    }
    let (code, out, _) = ends(&asked.as_root(&["user", "list"]));
    assert_eq!((code, out.as_str()), (Some(0), "there are no users\n"));

    // Made with a policy and a key, which is told this once and does what the policy allows.
    let policy = asked.write(&env, "album-only.json", ALBUM_ONLY);
    let made = asked.told(&["user", "create", "ann", "--policy", &policy, "--key"]);
    assert_eq!(made["user"]["arn"], "arn:aws:iam::750814517293:user/ann", "{made}");
    let key = made["access_key"].clone();
    let id = key["access_key_id"].as_str().expect("an id");
    let ann = access_of(&env, &asked, &key).await;
    let put = async |bucket: &str| {
        let sent = send(&ann, Method::PUT, &format!("/{bucket}/key"), Bytes::from_static(b"x")).await;
        sent.err().map(|failure| failure.code().to_owned())
    };
    assert_eq!((put("album").await, put("ledger").await.as_deref()), (None, Some("AccessDenied")));
    let shown = asked.told(&["user", "show", "ann"]);
    assert_eq!(
        (&shown["policies"], &shown["attached_policies"], &shown["groups"]),
        (&json!(["album-only"]), &json!([]), &json!([]))
    );
    assert_eq!(shown["access_keys"][0]["access_key_id"], id);
    let secret = key["secret_access_key"].as_str().expect("a secret");
    for words in [&["user", "show", "ann"][..], &["user", "list"], &["user", "key", "list", "ann"]] {
        let (_, table, _) = ends(&asked.as_root(words));
        assert!(table.contains("ann") || table.contains(id), "{table}");
        assert!(!table.contains(secret) && !asked.told(words).to_string().contains(secret), "{table}");
    }

    // A key that is disabled is good for nothing until it is enabled.
    let keys = asked.told(&["user", "key", "disable", "ann", id]);
    assert_eq!(keys[0]["status"], "Inactive");
    assert_eq!(put("album").await.as_deref(), Some("InvalidAccessKeyId"));
    assert_eq!(asked.told(&["user", "key", "enable", "ann", id])[0]["status"], "Active");
    assert_eq!(put("album").await, None);

    // A second key takes the place of the first.
    let second = asked.told(&["user", "key", "create", "ann"]);
    assert!(asked.refused(&["user", "key", "create", "ann"]).contains("AccessKeysPerUser: 2"));
    let left = asked.told(&["user", "key", "remove", "ann", id]);
    assert_eq!(
        (left.as_array().map(Vec::len), &left[0]["access_key_id"]),
        (Some(1), &second["access_key_id"])
    );
    assert_eq!(put("album").await.as_deref(), Some("InvalidAccessKeyId"));

    // Policies that are there are attached and detached; one of its own is put and taken away.
    let full = "arn:aws:iam::aws:policy/AmazonS3FullAccess";
    assert_eq!(asked.told(&["user", "policy", "ann", full])["attached_policies"], json!([full]));
    assert_eq!(asked.told(&["user", "policy", "ann", full, "--remove"])["attached_policies"], json!([]));
    assert_eq!(asked.told(&["user", "policy", "ann", "album-only", "--remove"])["policies"], json!([]));
    assert_eq!(asked.told(&["user", "policy", "ann", &policy])["policies"], json!(["album-only"]));

    // What cannot be leaves nothing behind.
    let bad = asked.write(&env, "bad.json", "{}");
    assert!(
        asked
            .refused(&["user", "create", "bob", "--policy", &bad, "--key"])
            .contains("MalformedPolicyDocument")
    );
    assert!(asked.refused(&["user", "create", "bob", "--policy", "nowhere.json"]).contains("nowhere.json"));
    assert!(asked.refused(&["user", "create", "ann"]).contains("EntityAlreadyExists"));
    assert!(asked.refused(&["user", "show", "bob"]).contains("NoSuchEntity"));
    assert_eq!(asked.told(&["user", "list"]).as_array().map(Vec::len), Some(1));

    // Whoever has no right for it is told which.
    let second_secret = second["secret_access_key"].as_str().expect("a secret");
    let second_id = second["access_key_id"].as_str().expect("an id");
    let (code, _, error) = ends(&asked.with(&["user", "list"], (second_id, second_secret)));
    assert!(code == Some(1) && error.contains("iam:ListUsers"), "{error}");
    let (code, _, error) = ends(&asked.with(&["user", "list"], (second_id, "wrong-wrong")));
    assert!(code == Some(1) && error.contains("check the credentials"), "{error}");

    // One of another account makes users there.
    let account = told(&["account", "create", "research", "--data", &asked.data]);
    let text = |name: &str| account["access_key"][name].as_str().expect("a text").to_owned();
    let research = (text("access_key_id"), text("secret_access_key"));
    let research = (research.0.as_str(), research.1.as_str());
    let made = told(&asked.with(&["user", "create", "ann"], research));
    let number = account["account"]["id"].as_str().expect("an id");
    assert_eq!(made["user"]["arn"], format!("arn:aws:iam::{number}:user/ann"));

    // It goes with all that it has.
    assert_eq!(asked.told(&["user", "remove", "ann"])["policies"], json!(["album-only"]));
    assert_eq!(asked.told(&["user", "list"]), json!([]));
    let second = access_of(&env, &asked, &second).await;
    let refused =
        process::send(&second, Method::GET, "/album", Bytes::new()).await.err().expect("no key of anybody");
    assert_eq!(refused.code(), "InvalidAccessKeyId");
    let decided = asked.decisions(&env).await;
    for action in ["iam:CreateUser", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:DeleteUser"] {
        assert!(decided.iter().any(|line| line["action"] == action), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_change_is_changed_by_a_gateway_too() {
    let env = Env::real();
    let asked = Asked::start(&env, &["--operator-changes"]).await;
    let here = |words: &[&str]| told(&[words, &["--data", &asked.data]].concat());
    let root = access(&env, &asked.listen).await;
    send(&root, Method::PUT, "/album", Bytes::new()).await.expect("a bucket");

    // Both tell the same, by the first digits of an id.
    let disk = here(&["disk", "list"])[0]["disk"].as_str().expect("an id").to_owned();
    let node = here(&["node", "list"])[0]["node"].as_str().expect("an id").to_owned();
    for (what, id) in [("disk", &disk), ("node", &node)] {
        for (word, intent) in
            [("drain", "drain"), ("serve", "serve"), ("remove", "remove"), ("serve", "serve")]
        {
            let told = asked.told(&[what, word, &id[..8]]);
            assert_eq!((&told["id"], &told["intent"]), (&json!(id), &json!(intent)), "{told}");
            let list = here(&[what, "list"]);
            assert!(
                list.as_array().is_some_and(|all| all.iter().any(|one| one["intent"] == intent)),
                "{list}"
            );
            let direct = here(&[what, word, id]);
            assert_eq!(direct["short_of_disks"], told["short_of_disks"], "{what} {word}");
        }
    }
    let (code, out, error) = ends(&asked.as_root(&["disk", "drain", &disk, "--wait"]));
    assert_eq!((code, out.as_str()), (Some(8), ""), "{error}");
    assert!(error.contains("needs 2 disks and 1 are left"), "{error}");
    let (_, out, _) = ends(&asked.as_root(&["disk", "serve", &disk]));
    assert_eq!(out, "it serves\n");
    assert!(asked.refused(&["disk", "drain", "zz"]).contains("no disk begins with"));
    assert!(asked.refused(&["disk", "drain", &"0".repeat(32)]).contains("There is no such disk."));

    let usage = asked.told(&["bucket", "quota", "album", "--objects", "9", "--bytes", "1GiB"]);
    assert_eq!(usage["quota"], json!({"objects": 9, "bytes": 1 << 30}));
    assert_eq!(here(&["bucket", "list"])[0], usage);
    assert_eq!(
        asked.told(&["bucket", "quota", "album", "--none"])["quota"],
        json!({"objects": null, "bytes": null})
    );
    assert!(asked.refused(&["bucket", "quota", "nothing", "--none"]).contains("NoSuchBucket"));

    let limits = asked.told(&["limit", "set", "--anonymous", "--requests", "7"]);
    assert_eq!(limits["limits"][0]["rates"]["requests_per_second"], 7);
    assert_eq!(here(&["limit", "list"])["limits"], limits["limits"]);
    assert_eq!(asked.told(&["limit", "remove", "--anonymous"])["limits"], json!([]));
    assert!(asked.refused(&["limit", "remove", "--anonymous"]).contains("there is no limit"));
    assert!(
        asked.refused(&["limit", "set", "--user", "ann", "--requests", "7"]).contains("nobody of this name")
    );
    let other = ["limit", "set", "--user", "ann", "--requests", "7", "--account", "research"];
    assert!(asked.refused(&other).contains("first account alone"));

    let define =
        ["class", "define", "COLD", "--coding", "1+1", "--groups", "16", "--inline-limit-bytes", "0"];
    let defined = asked.told(&define);
    assert_eq!((&defined[0]["name"], &defined[0]["groups"]), (&json!("COLD"), &json!(16)));
    assert_eq!(asked.told(&define), defined, "it can be said again");
    let another = [&define[..7], &["--inline-limit-bytes", "1"]].concat();
    assert!(asked.refused(&another).contains("COLD is there already"));
    let huge = ["class", "define", "HUGE", "--coding", "1+1", "--inline-limit-bytes", "9223372036854775808"];
    assert!(asked.refused(&huge).contains("more bytes than can be counted"));
    let recoded = asked.told(&["class", "recode", "STANDARD", "--coding", "1+0"]);
    assert!(recoded.as_array().is_some_and(|all| all.iter().any(|one| one["coding"] == "1+0")), "{recoded}");
    assert!(
        asked.refused(&["class", "recode", "STANDARD", "--coding", "1+0", "--wait"]).contains("--metadata")
    );

    // Who may drain that disk alone needs no other right for it.
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ashlar:DrainDisk",
        "Resource": format!("arn:aws:ashlar:::disk/{disk}")}});
    let policy = asked.write(&env, "drain.json", &policy.to_string());
    let key = asked.told(&["user", "create", "drainer", "--policy", &policy, "--key"])["access_key"].clone();
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let (id, secret) = (text("access_key_id"), text("secret_access_key"));
    let drained = told(&asked.with(&["disk", "drain", &disk], (&id, &secret)));
    assert_eq!((&drained["intent"], &drained["slots"]), (&json!("drain"), &Value::Null));
    let (code, _, error) = ends(&asked.with(&["disk", "remove", &disk], (&id, &secret)));
    let right = format!("ashlar:RemoveDisk on arn:aws:ashlar:::disk/{disk}");
    assert!(code == Some(1) && error.contains(&right), "{error}");

    let decided = asked.decisions(&env).await;
    let quota = decided.iter().find(|line| line["action"] == "ashlar:PutBucketQuota").expect("a line");
    assert_eq!(quota["resource"], "arn:aws:ashlar:::bucket/album", "{quota}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_makes_no_changes_says_so() {
    let env = Env::real();
    let asked = Asked::start(&env, &[]).await;
    let disk = asked.told(&["disk", "list"])[0]["disk"].as_str().expect("an id").to_owned();
    for words in [
        &["disk", "drain", &disk][..],
        &["bucket", "quota", "album", "--none"],
        &["limit", "set", "--anonymous", "--requests", "7"],
        &["class", "define", "COLD", "--coding", "1+1"],
        &["class", "recode", "STANDARD", "--coding", "1+0"],
    ] {
        let error = asked.refused(words);
        assert!(
            error.contains("its setting --operator-changes is off") && !error.contains("policies"),
            "{error}"
        );
    }
    let intents = asked.told(&["disk", "list"]);
    assert_eq!(intents[0]["intent"], "serve");
}
