//! One service of the cluster as a process.

use std::{
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use env::Env;

use http::Uri;

use crate::admin::is_healthy;

/// How long a service may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_PAUSE: Duration = Duration::from_millis(20);
/// How often a process is looked at that is about to end.
const END_PAUSE: Duration = Duration::from_millis(3);
/// How long a service may take to stop in order.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// A service that does not do as it is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// It, or something that it needs, cannot be made.
    #[error("cannot start {what}")]
    Start {
        /// Its name.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder for logs and data holds something.
    #[error("{} is not empty; give another folder, or remove what is in it", .0.display())]
    NotEmpty(PathBuf),
    /// It ended although nobody killed it.
    #[error("{name} ended by itself, with {status}; {log} tells more", log = log.display())]
    Died {
        /// Its name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
    },
    /// It does not become ready.
    #[error("{name} is not ready after {} s; {log} tells more", READY_TIMEOUT.as_secs(), log = log.display())]
    NotReady {
        /// Its name.
        name: String,
        /// Its log.
        log: PathBuf,
    },
    /// It does not stop when it is told to.
    #[error("{name} did not stop within {} s; {log} tells more", STOP_TIMEOUT.as_secs(), log = log.display())]
    NotStopped {
        /// Its name.
        name: String,
        /// Its log.
        log: PathBuf,
    },
    /// A signal could not be sent.
    #[error("cannot send {signal} to {name}")]
    Signal {
        /// Its name.
        name: String,
        /// Which one.
        signal: &'static str,
    },
    /// There is no such thing to strike.
    #[error("{0}")]
    Impossible(&'static str),
}

/// A process with what it is started with.
pub(crate) struct Service {
    pub(crate) name: String,
    words: Vec<String>,
    variables: Vec<(&'static str, String)>,
    /// Where it answers health checks.
    health: Uri,
    log: PathBuf,
    /// The disk under its data that can be cut off, by its place.
    pub(crate) disks: Vec<usize>,
    child: Option<Child>,
}

impl Service {
    /// A service that does not run yet. `words` are its command line after the program's name.
    pub(crate) fn new(
        name: String,
        words: Vec<String>,
        variables: Vec<(&'static str, String)>,
        health: Uri,
        folder: &Path,
    ) -> Self {
        let log = folder.join(format!("{name}.log"));
        Self { name, words, variables, health, log, disks: Vec::new(), child: None }
    }

    /// Starts it, with an environment of its own and its output added to its log.
    pub(crate) fn start(&mut self) -> Result<(), LocalError> {
        let failed = |source| LocalError::Start { what: self.name.clone(), source };
        let log = open_log(&self.log).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        let kept = ["PATH", "TMPDIR", "ASHLAR_LOG", "RUST_BACKTRACE"];
        let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = Command::new(program)
            .args(&self.words)
            .env_clear()
            .env("NO_COLOR", "1")
            .envs(kept)
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // A group of its own: an interrupt at the terminal is for us, who then stop it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it at once, as if its machine had failed.
    pub(crate) async fn kill(&mut self, env: &Env) -> Result<(), LocalError> {
        self.check()?;
        if let Some(child) = &mut self.child {
            child.kill().map_err(|_| LocalError::Signal { name: self.name.clone(), signal: "KILL" })?;
            self.ended(env).await?;
        }
        Ok(())
    }

    /// Waits until it has ended; tells how.
    async fn ended(&mut self, env: &Env) -> Result<Option<ExitStatus>, LocalError> {
        let deadline = env.now().after(STOP_TIMEOUT);
        while let Some(child) = &mut self.child {
            if let Ok(Some(status)) = child.try_wait() {
                self.child = None;
                return Ok(Some(status));
            }
            if env.now() > deadline {
                return Err(LocalError::NotStopped { name: self.name.clone(), log: self.log.clone() });
            }
            env.sleep(END_PAUSE).await;
        }
        Ok(None)
    }

    /// Ends it, unless it has ended already.
    pub(crate) async fn kill_or_bury(&mut self, env: &Env) -> Result<(), LocalError> {
        if self.check().is_err() {
            self.child = None;
        }
        self.kill(env).await
    }

    /// Stops it where it is, with its connections open.
    pub(crate) async fn freeze(&self, env: &Env) -> Result<(), LocalError> {
        self.signal(env, "STOP").await
    }

    /// Lets it go on.
    pub(crate) async fn thaw(&self, env: &Env) -> Result<(), LocalError> {
        self.signal(env, "CONT").await
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(&mut self, env: &Env) -> Result<(), LocalError> {
        self.check()?;
        self.signal(env, "TERM").await?;
        match self.ended(env).await? {
            Some(status) if !status.success() => {
                Err(LocalError::Died { name: self.name.clone(), status, log: self.log.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn wait_until_ready(&mut self, env: &Env) -> Result<(), LocalError> {
        let deadline = env.now().after(READY_TIMEOUT);
        loop {
            self.check()?;
            if is_healthy(env, &self.health).await {
                return Ok(());
            }
            if env.now() > deadline {
                return Err(LocalError::NotReady { name: self.name.clone(), log: self.log.clone() });
            }
            env.sleep(READY_PAUSE).await;
        }
    }

    /// Fails when it ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), LocalError> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        match ended {
            Some(status) => Err(LocalError::Died { name: self.name.clone(), status, log: self.log.clone() }),
            None => Ok(()),
        }
    }

    /// By a program, as there is no safe function for it in the standard library.
    async fn signal(&self, env: &Env, signal: &'static str) -> Result<(), LocalError> {
        let Some(id) = self.child.as_ref().map(Child::id) else { return Ok(()) };
        let command = format!("kill -{signal} {id}");
        let sent = env.spawn_blocking(move || Command::new("/bin/sh").args(["-c", &command]).status());
        match sent.await {
            Some(Ok(status)) if status.success() => Ok(()),
            _ => Err(LocalError::Signal { name: self.name.clone(), signal }),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // There is nobody left to tell of a failure.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the process that is started writes to it, not we")]
fn open_log(path: &Path) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().create(true).append(true).open(path)
}
