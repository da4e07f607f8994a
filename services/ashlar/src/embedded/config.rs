//! Settings of the all-in-one server.

use std::{path::PathBuf, time::Duration};

use chunk::ScrubOptions;
use clap::Args;
use gateway::FrontConfig;
use service_kit::Secret;
use types::Coding;
use worker::{AuditSchedule, LifecycleOptions};

use crate::Exit;

/// Settings as the command line and the environment give them.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  ashlar server ./data
  ashlar server --listen 0.0.0.0:9000 --tls-cert cert.pem --tls-key key.pem /data
  ashlar server /disk1 /disk2 /disk3 /disk4",
    mut_arg("listen", in_container)
)]
pub(crate) struct Config {
    /// Folders to keep data in; made if they are not there. One folder keeps single checksummed copies; with several,
    /// best on disks of their own, objects are erasure coded across them.
    #[arg(required = true, value_name = "DATA")]
    data: Vec<PathBuf>,
    #[command(flatten)]
    front: FrontConfig,
    /// The coding of objects, as data+parity, such as 4+2: any `parity` of the folders may be lost, but
    /// for the one that has the database and the keys: that which was the first at the first start. Chosen from the
    /// number of folders when it is not given; after the first start `ashlar admin class recode` changes it.
    #[arg(long, env = "ASHLAR_STANDARD_CODING", value_name = "K+M")]
    coding: Option<Coding>,
    /// Seconds that deleted and overwritten data is kept before its space is freed, so that reads in flight finish. What is small enough
    /// to be in the database goes at once.
    #[arg(long, env = "ASHLAR_GARBAGE_HOLD_SECONDS", default_value_t = 3600, value_name = "SECONDS")]
    garbage_hold_seconds: u64,
    /// The root user's access key id. Generated at the first start when it is not given. MINIO_ROOT_USER is understood
    /// too.
    #[arg(long, env = "ASHLAR_ROOT_USER", value_name = "ACCESS_KEY_ID", requires = "root_password")]
    root_user: Option<String>,
    /// The root user's secret access key. Generated at the first start when it is not given. MINIO_ROOT_PASSWORD is
    /// understood too.
    #[arg(
        long,
        env = "ASHLAR_ROOT_PASSWORD",
        hide_env_values = true,
        value_name = "SECRET_ACCESS_KEY",
        requires = "root_user"
    )]
    root_password: Option<Secret>,
    /// Starts although `identity.key` is lost, and forgets the secrets that were sealed with it: users need new access keys.
    #[arg(long, env = "ASHLAR_FORGET_ACCESS_KEYS")]
    forget_access_keys: bool,
    #[command(flatten)]
    lifecycle: LifecycleOptions,
    #[command(flatten)]
    scrub: ScrubOptions,
    #[command(flatten)]
    audit: AuditSchedule,
}

/// In a container loopback leads to the container's own processes alone: published ports reach what listens on every address. The
/// image says that it is one.
fn in_container(listen: clap::Arg) -> clap::Arg {
    match std::env::var_os("ASHLAR_IN_CONTAINER") {
        Some(_) => listen.default_value("0.0.0.0:9000"),
        None => listen,
    }
}

/// Settings, resolved.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Folders to keep data in.
    pub data: Vec<PathBuf>,
    /// What clients connect to.
    pub front: FrontConfig,
    /// The coding of objects; chosen from the number of folders when `None`.
    pub coding: Option<Coding>,
    /// How long garbage is kept.
    pub garbage_hold: Duration,
    /// The root user's name and secret, when they are given.
    pub root: Option<(String, Secret)>,
    /// Whether secrets of access keys are forgotten that nothing opens any more.
    pub forget_access_keys: bool,
    /// When what is in buckets expires.
    pub lifecycle: LifecycleOptions,
    /// How often everything is verified.
    pub scrub: ScrubOptions,
    /// How often everything is audited.
    pub audit: AuditSchedule,
}

impl Config {
    /// Adds MinIO's names of the root user, so that a deployment can be switched by its image alone.
    pub(crate) fn resolve(self) -> Result<EmbeddedConfig, Exit> {
        let given = self.root_user.zip(self.root_password);
        let minio = match (std::env::var("MINIO_ROOT_USER"), std::env::var("MINIO_ROOT_PASSWORD")) {
            (Ok(user), Ok(password)) => Some((user, Secret::new(password))),
            (Err(_), Err(_)) => None,
            _ if given.is_some() => None,
            _ => {
                let message = "MINIO_ROOT_USER and MINIO_ROOT_PASSWORD go together; set both or neither";
                return Err(Exit::new(Exit::FAILED, message));
            }
        };
        Ok(EmbeddedConfig {
            data: self.data,
            front: self.front,
            coding: self.coding,
            garbage_hold: Duration::from_secs(self.garbage_hold_seconds),
            root: given.or(minio),
            forget_access_keys: self.forget_access_keys,
            lifecycle: self.lifecycle,
            scrub: self.scrub,
            audit: self.audit,
        })
    }
}
