//! Processes of the program, and what they are asked.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, Method};
use s3_client::{Access, Answer, Call, Client, Connect, Endpoint, Failure, RequestBody};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the services of a cluster share.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The root user's.
pub(crate) const ACCESS_KEY: &str = "accesskey";
pub(crate) const SECRET_KEY: &str = "secretkey0123456";

/// For what ends soon, on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program with these words and nothing else of this process's environment.
pub(crate) fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
    command.args(words).env_clear().env("ASHLAR_CLUSTER_SECRET", SECRET);
    command.env("ASHLAR_ROOT_USER", ACCESS_KEY).env("ASHLAR_ROOT_PASSWORD", SECRET_KEY);
    command.stdin(Stdio::null());
    command
}

/// What the program with these words ends with.
pub(crate) fn run(words: &[&str]) -> Output {
    program(words).output().expect("the program runs")
}

/// The status that an operator's command ends with, what it prints, and what it says beside that.
pub(crate) fn ends(words: &[&str]) -> (Option<i32>, String, String) {
    let output = run(&[&["admin"], words].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// What an operator's command with `--json` prints, which is JSON and nothing else.
pub(crate) fn told(words: &[&str]) -> Value {
    let (code, out, error) = ends(&[words, &["--json"]].concat());
    assert_eq!(code, Some(0), "{words:?}: {error}");
    serde_json::from_str(&out).unwrap_or_else(|why| unreachable!("{words:?}: {why}: {out}"))
}

/// A process that is killed when the test ends.
pub(crate) struct Service(Child);

impl Service {
    /// Starts the program with these words. Its log is in the folder, by its first word.
    pub(crate) fn start(folder: &Path, words: &[&str]) -> Self {
        Self::spawn(program(words), folder, words[0])
    }

    /// Starts what was made by [`program`]. Its log is in the folder, by this name, and goes on where one is.
    pub(crate) fn spawn(mut command: Command, folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{name}.log"));
        #[expect(clippy::disallowed_methods, reason = "a process writes to the log itself")]
        let log = std::fs::File::options().append(true).create(true).open(path);
        command.stdout(Stdio::null()).stderr(log.expect("a log can be written"));
        Self(command.spawn().expect("the program starts"))
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self, env: &Env) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|status| status.success()));
        wait_for(env, "the end of a service", async || self.0.try_wait().expect("it can be asked").is_some())
            .await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The test is over either way.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// What a service has logged.
pub(crate) fn log_of(folder: &Path, name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "a test reads the log itself")]
    std::fs::read_to_string(folder.join(format!("{name}.log"))).expect("a log")
}

/// A server that is ready, at an address of its own, which comes with it.
pub(crate) async fn server(env: &Env, folder: &Path, words: &[&str]) -> (Service, String) {
    let listen = free_address(env).await;
    let server = Service::start(folder, &[&["server"], words, &["--listen", &listen]].concat());
    let ready = format!("http://{listen}/health/ready");
    wait_for(env, "the server", async || ends(&["health", &ready]).0 == Some(0)).await;
    (server, listen)
}

pub(crate) async fn wait_for(env: &Env, what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = env.now().after(PATIENCE);
    while !done().await {
        assert!(env.now() < deadline, "{what} does not come");
        env.sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn free_address(env: &Env) -> String {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = env.listen(any).await.expect("loopback has a free port");
    listener.local_address().expect("a listener has an address").to_string()
}

/// How the root user reaches this gateway.
pub(crate) async fn access(env: &Env, address: &str) -> Access {
    let credentials = sigv4::Credentials {
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET_KEY.to_owned(),
        session_token: None,
    };
    // What operators change has to be signed.
    let connect = Connect { signed_payload: true, ..Connect::new(credentials) };
    let endpoint = Endpoint::parse(&format!("http://{address}")).expect("an address makes an endpoint");
    connect.access(env, endpoint).await.expect("plain HTTP needs no certificates")
}

pub(crate) async fn send(
    access: &Access,
    method: Method,
    target: &str,
    body: impl Into<Bytes>,
) -> Result<Answer, Failure> {
    send_with(access, method, target, body, HeaderMap::new()).await
}

pub(crate) async fn send_with(
    access: &Access,
    method: Method,
    target: &str,
    body: impl Into<Bytes>,
    headers: HeaderMap,
) -> Result<Answer, Failure> {
    let call = Call { method, target: target.to_owned(), headers, body: RequestBody::Bytes(body.into()) };
    Client::new(access).send(call, None).await
}

/// Head and body of the answer to a request without credentials, with these header lines, each with its end.
pub(crate) async fn fetch(env: &Env, address: &str, path: &str, lines: &str) -> Option<(String, String)> {
    let mut connection = env.connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{lines}connection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Some((head.to_owned(), body.to_owned()))
}
