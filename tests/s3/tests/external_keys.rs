//! SSE-KMS by an external key management service: here a small one that speaks as much of the transit engine's API as is asked of
//! it, and that can be away, silent, sealed or unwilling. The tests with a real OpenBao are in `tests/kms`.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use harness::{Logs, Server, content};
use http::Method;
use serde_json::{Value, json};

use crate::{
    key_management::{KEY_ID, SCHEME, arn, by},
    support::{assert_absent, assert_content, assert_same, count, race},
};

const TOKEN: &str = "s.very-secret-token";

/// How the service behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Willing,
    /// Connections end without an answer.
    Away,
    /// Connections are taken and nothing is answered.
    Silent,
    Sealed,
    /// It knows no token.
    Stranger,
    /// It lets nobody use any key.
    Unwilling,
}

struct State {
    mood: Mood,
    /// Types of the keys that there are.
    keys: BTreeMap<String, &'static str>,
    /// What was encrypted: by which key, with which context, which data key.
    wrapped: Vec<(String, Value, Value)>,
    open: Vec<TcpStream>,
}

#[derive(Clone)]
struct Transit {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    calls: Arc<AtomicUsize>,
}

impl Transit {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let keys = [("aws-s3", "aes256-gcm96"), ("payroll", "chacha20-poly1305"), ("signing", "ed25519")];
        let keys = keys.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
        let state = State { mood: Mood::Willing, keys, wrapped: Vec::new(), open: Vec::new() };
        let transit = Self {
            address: listener.local_addr().expect("an address"),
            state: Arc::new(Mutex::new(state)),
            calls: Arc::default(),
        };
        let own = transit.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (own, stream) = (own.clone(), stream.expect("a connection"));
                own.state().open.push(stream.try_clone().expect("a handle"));
                thread::spawn(move || own.serve(&stream));
            }
        });
        transit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Behaves so from now on, and ends what connections there are.
    fn becomes(&self, mood: Mood) {
        let mut state = self.state();
        state.mood = mood;
        for stream in state.open.drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut head, mut length, mut token) = (String::new(), 0, String::new());
            reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).ok()?;
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.parse().ok()?,
                    "x-vault-token" => token = value.to_owned(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let mood = self.state().mood;
            match mood {
                Mood::Away => return stream.shutdown(Shutdown::Both).ok(),
                Mood::Silent => {
                    thread::sleep(Duration::from_secs(30));
                    return None;
                }
                _ => {}
            }
            self.calls.fetch_add(1, Ordering::Relaxed);
            let path = head.split(' ').nth(1)?.to_owned();
            let (status, answer) = match mood {
                Mood::Sealed => (503, json!({"errors": ["Vault is sealed"]})),
                Mood::Stranger => (403, json!({"errors": ["permission denied"]})),
                _ if token != TOKEN => (403, json!({"errors": ["permission denied"]})),
                _ if path == "/v1/auth/token/lookup-self" => (200, json!({"data": {}})),
                Mood::Unwilling => (403, json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]})),
                _ => self.answer(&path, &serde_json::from_slice(&body).unwrap_or(Value::Null)),
            };
            let answer = answer.to_string();
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all((head + &answer).as_bytes()).ok()?;
        }
    }

    fn answer(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut state = self.state();
        let parts: Vec<&str> = path.split('/').collect();
        let ["", "v1", "transit", what, name] = parts[..] else {
            return (404, json!({"errors": [format!("no handler for route \"{path}\"")]}));
        };
        let Some(kind) = state.keys.get(name).copied() else {
            return match what {
                "keys" => (404, json!({"errors": []})),
                _ => (400, json!({"errors": ["encryption key not found"]})),
            };
        };
        match what {
            "keys" => (200, json!({"data": {"type": kind, "derived": false}})),
            "encrypt" => {
                let place = state.wrapped.len();
                state.wrapped.push((
                    name.to_owned(),
                    body["associated_data"].clone(),
                    body["plaintext"].clone(),
                ));
                (
                    200,
                    json!({"data": {"ciphertext": format!("vault:v1:{}", STANDARD.encode(place.to_string()))}}),
                )
            }
            "decrypt" => {
                let place = body["ciphertext"].as_str().and_then(|text| text.strip_prefix("vault:v1:"));
                let place = place.and_then(|text| {
                    String::from_utf8(STANDARD.decode(text).ok()?).ok()?.parse::<usize>().ok()
                });
                match place.and_then(|place| state.wrapped.get(place)) {
                    Some((by, context, plain)) if by == name && *context == body["associated_data"] => {
                        (200, json!({"data": {"plaintext": plain}}))
                    }
                    _ => (400, json!({"errors": ["cipher: message authentication failed"]})),
                }
            }
            _ => (404, json!({"errors": []})),
        }
    }

    /// A server that encrypts by this service's keys, and remembers for so long what it unwrapped.
    fn server(&self, cache_seconds: u64) -> Server {
        let endpoint = format!("http://{}", self.address);
        Server::start_with(1, |config| {
            let path = config.data[0].with_file_name("token");
            fs::write(&path, format!("{TOKEN}\n")).expect("a token");
            config.front.kms.kms_endpoint = Some(endpoint);
            config.front.kms.kms_token_file = Some(path);
            config.front.kms.kms_cache_seconds = cache_seconds;
        })
    }
}

/// Data keys are wrapped by the service with what is bound to them, and are found again after a restart.
#[test]
fn data_keys_are_wrapped_by_the_service() {
    let transit = Transit::start();
    let mut server = transit.server(300);
    let bucket = server.bucket();
    let bytes = content(200_000, 1);
    // {"team":"a"}
    let put = by(bucket.put("key", &bytes), "payroll")
        .header("x-amz-server-side-encryption-context", "eyJ0ZWFtIjoiYSJ9");
    assert_eq!(put.ok().get(KEY_ID), arn("payroll"));
    let (by_key, context, plain) = transit.state().wrapped[0].clone();
    let context = STANDARD.decode(context.as_str().expect("a context")).expect("base64");
    assert_eq!((by_key.as_str(), &context[..]), ("payroll", &b"\x03payroll\0{\"team\":\"a\"}"[..]));
    assert_eq!(STANDARD.decode(plain.as_str().expect("a key")).expect("base64").len(), 32);
    let own = bucket.put("own", "content").header(SCHEME, "aws:kms").ok();
    assert_eq!(own.get(KEY_ID), arn("aws-s3"));
    bucket.put("stored", "content").header(SCHEME, "AES256").ok();
    server.restart();
    let bucket = bucket.through(server.client());
    let before = transit.calls();
    for _ in 0..3 {
        assert_same(&bucket.get("key").ok().body, &bytes);
    }
    bucket.head("key").ok();
    assert_eq!(transit.calls(), before + 1, "what was unwrapped is remembered, and a head asks nothing");
    assert_content(&bucket, "own", b"content");
    assert_content(&bucket, "stored", b"content");
    // Whatever refers to no key of the service is refused, and makes none.
    for (name, code) in [
        ("none", "KMS.NotFoundException"),
        ("alias/none", "KMS.NotFoundException"),
        ("signing", "KMS.DisabledException"),
        ("a/b", "InvalidArgument"),
        ("..", "InvalidArgument"),
    ] {
        by(bucket.put("refused", "content"), name).refused(400, code);
    }
    assert!(!Logs::start().take("cannot bind an encryption context").is_empty());
    assert_absent(&bucket, "refused");
    // A key that was taken away.
    transit.state().keys.remove("payroll");
    server.restart();
    let bucket = bucket.through(server.client());
    bucket.get("key").refused(400, "KMS.NotFoundException");
    assert!(
        Logs::start().take("encrypted by a key that is not there")[0].contains("payroll"),
        "the operator learns of it"
    );
    let update = format!(
        "<ObjectEncryption><SSE-KMS><KMSKeyArn>{}</KMSKeyArn></SSE-KMS></ObjectEncryption>",
        arn("aws-s3")
    );
    bucket.object(Method::PUT, "stored").raw_query("encryption").body(update).ok();
    assert_eq!(bucket.head("stored").ok().get(KEY_ID), arn("aws-s3"));
    assert_content(&bucket, "stored", b"content");
}

/// A bucket key spares the service nearly every call.
#[test]
fn bucket_keys_spare_calls() {
    let transit = Transit::start();
    let server = transit.server(300);
    let bucket = server.bucket();
    let put = |number: usize| by(bucket.put(&format!("{number}"), "content"), "payroll");
    let before = transit.calls();
    for number in 0..20 {
        put(number).header("x-amz-server-side-encryption-bucket-key-enabled", "true").ok();
    }
    let spared = transit.calls() - before;
    for number in 0..20 {
        assert_content(&bucket, &number.to_string(), b"content");
    }
    assert_eq!((spared, transit.calls() - before), (2, 2), "the key is looked up and wraps once");
    for number in 0..20 {
        put(number).ok();
    }
    assert_eq!(transit.calls() - before, 22);
}

/// While the service is away, what is remembered is read, everything else is told to come again, and nothing hangs or is stored.
#[test]
fn nothing_hangs_while_the_service_is_away() {
    let transit = Transit::start();
    let mut server = transit.server(300);
    let bucket = server.bucket();
    for key in ["warm", "cold"] {
        by(bucket.put(key, "content"), "payroll").ok();
    }
    server.restart();
    let bucket = bucket.through(server.client());
    assert_content(&bucket, "warm", b"content");
    let logs = Logs::start();
    for mood in [Mood::Away, Mood::Sealed, Mood::Stranger, Mood::Silent] {
        transit.becomes(mood);
        let begun = Instant::now();
        let answers = race(8, |number| match number % 4 {
            0 => bucket.get("warm").send(),
            1 => bucket.get("cold").send(),
            2 => by(bucket.put("new", "content"), "payroll").send(),
            _ => bucket.put("stored", "content").header(SCHEME, "AES256").send(),
        });
        assert!(begun.elapsed() < Duration::from_secs(20), "{mood:?} {:?}", begun.elapsed());
        assert_eq!((count(&answers, 200), count(&answers, 503)), (4, 4), "{mood:?}: {answers:?}");
        let refused = bucket.get("cold").refused(503, "ServiceUnavailable");
        assert!(!refused.get("Message").contains(TOKEN));
    }
    assert_absent(&bucket, "new");
    transit.becomes(Mood::Unwilling);
    bucket.get("cold").refused(403, "AccessDenied");
    assert_content(&bucket, "warm", b"content");
    transit.becomes(Mood::Willing);
    assert_content(&bucket, "cold", b"content");
    by(bucket.put("new", "content"), "payroll").ok();
    let complaints = logs.take("key management service");
    assert!(!complaints.is_empty() && complaints.iter().all(|line| !line.contains(TOKEN)), "{complaints:?}");
}

/// A token that was renewed is taken from its file with the next call, and one that is not there is told.
#[test]
fn the_token_is_read_again() {
    let transit = Transit::start();
    let server = transit.server(0);
    let bucket = server.bucket();
    by(bucket.put("key", "content"), "payroll").ok();
    let path = server.folder().join("token");
    let logs = Logs::start();
    fs::write(&path, "another").expect("a token");
    bucket.get("key").refused(503, "ServiceUnavailable");
    fs::remove_file(&path).expect("it was there");
    bucket.get("key").refused(503, "ServiceUnavailable");
    fs::write(&path, TOKEN).expect("a token");
    assert_content(&bucket, "key", b"content");
    assert!(!logs.take("key management service").is_empty());
}
