//! A private Postgres for a test process: started on first use, gone when the last test that uses it has ended, also
//! when the process is killed.
//!
//! Needs the server's programs, found beside `pg_config` or under `/usr/lib/postgresql`, and when it runs as root a
//! user `postgres` to drop to.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longest wait for a server to start or stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with its data.
pub struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    port: u16,
    settings: Vec<(String, String)>,
    server: Mutex<Option<Child>>,
    databases: AtomicU32,
}

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

impl Cluster {
    /// The cluster that the tests of this process share: without fsync, for tests of function.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Self::start(&[
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("max_connections", "300"),
            // Plans are those of a database without statistics until a test has them gathered.
            ("autovacuum", "off"),
        ]));
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// A cluster of the caller's own, with these settings beside the defaults.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let directory =
            tempfile::Builder::new().prefix("postgres-").tempdir().expect("a temporary directory");
        // The server's user has to pass through.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        let home = directory.path().join("home");
        fs::create_dir(&home).expect("our own directory");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&home));
        }
        let cluster = Self {
            programs: programs(),
            directory,
            port: free_port(),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            server: Mutex::new(None),
            databases: AtomicU32::new(0),
        };
        let mut initdb = cluster.command("initdb");
        run(initdb.arg("-D").arg(cluster.data()).args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "--no-sync",
            "-E",
            "UTF8",
        ]));
        cluster.launch();
        cluster
    }

    /// The address of a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database, empty or a copy of `template`, which nobody may be connected to. Answers its name.
    pub fn create_database(&self, template: Option<&str>) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let template = template.unwrap_or("template0");
        self.query("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"));
        name
    }

    /// Runs a statement with psql and answers its rows, columns separated by `|`.
    pub fn query(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        String::from_utf8(run(&mut psql).stdout).expect("psql prints UTF-8").trim_end().to_owned()
    }

    /// Kills the server as a crash would, and starts it again on the same data and port.
    pub fn crash_and_restart(&self) {
        self.crash();
        self.launch();
    }

    /// Kills the server as a crash would. Connections break; new ones are refused.
    pub fn crash(&self) {
        let child = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(child) = child {
            stop(child);
        }
    }

    /// Makes a standby of the server: it answers queries and takes no writes, and has nobody to follow.
    pub fn become_standby(&self) {
        self.crash();
        fs::write(self.data().join("standby.signal"), "").expect("the cluster's directory");
        self.launch();
    }

    /// Starts a server that was crashed.
    pub fn launch(&self) {
        // The shell ends the server when this process closes the pipe, which the kernel does if nobody else does.
        let script = r#""$@" & server=$!; read -r _; kill -QUIT $server; wait $server"#;
        let mut command = self.command("sh");
        command.args(["-c", script, "sh"]).arg(self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-k"]).arg(self.home());
        command.args(["-c", "listen_addresses=127.0.0.1"]);
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log"));
        let log = log.expect("our own directory");
        let errors = log.try_clone().expect("a file handle");
        let child =
            command.stdin(Stdio::piped()).stdout(log).stderr(errors).spawn().expect("the server starts");
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let start = Instant::now();
        loop {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().is_ok_and(|status| status.success()) {
                return;
            }
            if start.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                panic!("Postgres does not start: {log}");
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// A command as the server's user.
    fn command(&self, program: &str) -> Command {
        let program = if program == "sh" { PathBuf::from("sh") } else { self.programs.join(program) };
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env("HOME", self.home()).env("LC_ALL", "C.UTF-8").current_dir(self.home());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
    }
}

/// A free port below those that the system gives to whoever asks for any: none of them takes it before the server does, which
/// is after `initdb`.
fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(17).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
    let ports = (0..8000).map(|step| 10_000 + first.wrapping_add(step) % 8000);
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// Closes the pipe and waits for the shell, which ends after the server.
fn stop(mut child: Child) {
    drop(child.stdin.take());
    let start = Instant::now();
    while child.try_wait().is_ok_and(|status| status.is_none()) {
        assert!(start.elapsed() < PATIENCE, "Postgres does not stop");
        sleep(Duration::from_millis(10));
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

/// The directory of the server's programs.
fn programs() -> PathBuf {
    let has_server = |directory: &Path| directory.join("initdb").is_file();
    let configured = Command::new("pg_config").arg("--bindir").output();
    if let Ok(output) = configured {
        let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if has_server(&directory) {
            return directory;
        }
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|it| it.path().join("bin")).filter(|it| has_server(it)).collect();
    found.sort();
    found.pop().expect("the tests need a Postgres server: apt-get install postgresql")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[cfg(test)]
mod tests {
    use super::Cluster;

    #[test]
    fn databases_are_copies_of_their_template_and_survive_a_crash() {
        let cluster = Cluster::start(&[]);
        let template = cluster.create_database(None);
        cluster.query(&template, "CREATE TABLE numbers AS SELECT 1 AS number");
        let copy = cluster.create_database(Some(&template));
        cluster.crash_and_restart();
        assert_eq!(cluster.query(&copy, "SELECT number, 'x' FROM numbers"), "1|x");
    }
}
