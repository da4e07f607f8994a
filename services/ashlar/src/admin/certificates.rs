//! `ashlar admin certificates`: an authority for one cluster, and a certificate for each kind of service.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use env::Env;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use serde_json::json;
use time::OffsetDateTime;
use types::Role;

use super::{as_json, print};
use crate::Exit;

/// How much earlier than now certificates begin: clocks differ.
const BEGINS_EARLIER: Duration = Duration::from_secs(3600);

/// How long the authority is good for, in days: ten years.
const AUTHORITY_DAYS: u32 = 3650;

/// A file of a key or certificate is no longer.
const FILE_LENGTH_MAX: usize = 64 << 10;

/// The files of the authority.
const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";

/// Where to make certificates.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ashlar admin certificates ./certificates\n  \
    ashlar admin certificates ./certificates --role gateway --role worker --days 30\n\n\
    Makes ca.crt and ca.key, the cluster's authority, where they are not there yet, and ROLE.crt and ROLE.key for each role, over \
    those that are there: give it again to renew them. Give each service its own two files and ca.crt, as ASHLAR_CLUSTER_TLS_CERT, \
    ASHLAR_CLUSTER_TLS_KEY and ASHLAR_CLUSTER_TLS_CA, and keep ca.key to yourself: whoever has it can be any service.")]
pub(crate) struct Certificates {
    /// The folder, which is made if it is not there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Days for which the certificates of services are good.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650), value_name = "DAYS")]
    days: u32,
    /// Makes that of this role alone: gateway, worker, chunk, metadata, admin or monitor. May be given more than once. Without it
    /// there is one of each.
    #[arg(long = "role", value_parser = role, value_name = "ROLE")]
    roles: Vec<Role>,
    /// Gives the certificate of gateways the name of operators too, for gateways through which operators change the cluster
    /// (--operator-changes): whoever takes such a gateway over can do what operators can.
    #[arg(long)]
    operating_gateways: bool,
    /// Shows the files that were made as JSON, for programs.
    #[arg(long)]
    json: bool,
}

fn role(text: &str) -> Result<Role, &'static str> {
    let named = Role::ALL.into_iter().find(|role| role.name() == text);
    named.ok_or("is not gateway, worker, chunk, metadata, admin or monitor")
}

/// Certificates cannot be made.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot use {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is no key of an authority that was made here")]
    Key {
        path: PathBuf,
        #[source]
        source: rcgen::Error,
    },
    #[error("{present} is there and {missing} is not: bring it back, or begin with an empty folder")]
    Half { present: PathBuf, missing: PathBuf },
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    #[error("this machine's clock is far from any date")]
    Clock,
    #[error("--operating-gateways is for certificates of gateways, and none is to be made")]
    NoGateway,
    #[error("the process ends")]
    Stopping,
}

/// Makes the authority if there is none, and certificates by it.
pub(crate) async fn run(env: &Env, args: &Certificates) -> Result<(), Exit> {
    let (own_env, own_args) = (env.clone(), args.clone());
    let making = env.spawn_blocking(move || make(&own_env, &own_args)).await;
    let made = making.unwrap_or(Err(Problem::Stopping));
    let made = made.map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let made: Vec<String> = made.iter().map(|path| path.display().to_string()).collect();
    let lines = || made.iter().map(|path| format!("{path}\n")).collect();
    print(&if args.json { as_json(&json!({ "files": made })) } else { lines() });
    Ok(())
}

fn make(env: &Env, args: &Certificates) -> Result<Vec<PathBuf>, Problem> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| Problem::Io { path, source }
    };
    if args.operating_gateways && !args.roles.is_empty() && !args.roles.contains(&Role::Gateway) {
        return Err(Problem::NoGateway);
    }
    env.disk().create_directory(&args.folder).map_err(at(&args.folder))?;
    let mut made = Vec::new();
    let mut write = |name: &str, text: String| {
        let path = args.folder.join(name);
        env.replace_named(&path, text.as_bytes()).map_err(at(&path))?;
        made.push(path);
        Ok::<_, Problem>(())
    };
    let (certificate, key) = (args.folder.join(AUTHORITY), args.folder.join(AUTHORITY_KEY));
    let is_there = |path: &Path| env.disk().exists(path).map_err(at(path));
    let authority = match (is_there(&certificate)?, is_there(&key)?) {
        (true, true) => {
            let text = env.disk().read_small(&key, FILE_LENGTH_MAX).map_err(at(&key))?;
            let read = KeyPair::from_pem(&String::from_utf8_lossy(&text));
            read.map_err(|source| Problem::Key { path: key, source })?
        }
        (false, false) => {
            let pair = KeyPair::generate()?;
            let issued = authority(env)?.self_signed(&pair)?;
            write(AUTHORITY_KEY, pair.serialize_pem())?;
            write(AUTHORITY, issued.pem())?;
            pair
        }
        (true, false) => return Err(Problem::Half { present: certificate, missing: key }),
        (false, true) => return Err(Problem::Half { present: key, missing: certificate }),
    };
    let issuer = Issuer::new(self::authority(env)?, authority);
    let all = Role::ALL.to_vec();
    for role in if args.roles.is_empty() { &all } else { &args.roles } {
        let pair = KeyPair::generate()?;
        let also = (*role == Role::Gateway && args.operating_gateways).then_some(Role::Admin);
        let issued = service(env, *role, also, args.days)?.signed_by(&pair, &issuer)?;
        // Services that look between the two wait until both have been there for a second.
        write(&format!("{role}.crt"), issued.pem())?;
        write(&format!("{role}.key"), pair.serialize_pem())?;
    }
    Ok(made)
}

/// An authority for the names of roles, and for nothing else. Its name is always the same, so that its key is enough to issue by it.
fn authority(env: &Env) -> Result<CertificateParams, Problem> {
    let mut params = good_for(env, AUTHORITY_DAYS)?;
    params.distinguished_name = named("Ashlar cluster authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let permitted_subtrees = vec![GeneralSubtree::DnsName("ashlar.internal".to_owned())];
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    Ok(params)
}

/// A certificate for a role, and for another one if need be.
fn service(env: &Env, role: Role, also: Option<Role>, days: u32) -> Result<CertificateParams, Problem> {
    let mut params = good_for(env, days)?;
    let names = [role].into_iter().chain(also).map(|role| role.dns_name().to_owned());
    params.subject_alt_names = CertificateParams::new(names.collect::<Vec<_>>())?.subject_alt_names;
    params.distinguished_name = named(&format!("Ashlar {role}"));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut of = DistinguishedName::new();
    of.push(DnType::CommonName, name);
    of
}

fn good_for(env: &Env, days: u32) -> Result<CertificateParams, Problem> {
    let now = OffsetDateTime::from_unix_timestamp(env.wall_clock_ms().div_euclid(1000));
    let now = now.map_err(|_| Problem::Clock)?;
    let length = Duration::from_secs(86_400 * u64::from(days));
    let mut params = CertificateParams::default();
    params.not_before = now - BEGINS_EARLIER;
    params.not_after = now + length;
    Ok(params)
}
