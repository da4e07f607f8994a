//! The gateway's settings.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use ipnet::IpNet;
use metadata_api::{BURST_SECONDS_MAX, BYTES_RATE_MIN, RATE_MAX, Rates};
use s3_wire::acl::ObjectOwnership;
use service_kit::{ClusterSecret, ClusterTlsConfig, Secret};

use crate::AuditTarget;

/// Settings of a gateway that serves a cluster.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  export ASHLAR_CLUSTER_SECRET=... ASHLAR_ROOT_USER=... ASHLAR_ROOT_PASSWORD=...\n  \
    ashlar gateway --metadata meta1:9300,meta2:9300 --listen 0.0.0.0:9000 --tls-cert tls.crt --tls-key tls.key\n  \
    ashlar gateway --metadata meta1:9300 --listen 0.0.0.0:9000 --health-listen 0.0.0.0:9090 --encryption-keys encryption.keys"
)]
pub struct Config {
    /// What clients connect to.
    #[command(flatten)]
    pub front: FrontConfig,
    /// Addresses of the metadata services, `host:port`, separated by commas. Any of them will do; calls go on with
    /// the next when one cannot be reached.
    #[arg(long, env = "ASHLAR_METADATA", value_delimiter = ',', required = true, value_name = "HOST:PORT")]
    pub metadata: Vec<String>,
    /// What the services of this cluster share to know each other: at least 32 characters, the same everywhere. Make
    /// one with `openssl rand -hex 32`.
    #[arg(long, env = "ASHLAR_CLUSTER_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub cluster_secret: ClusterSecret,
    /// TLS between services.
    #[command(flatten)]
    pub cluster_tls: ClusterTlsConfig,
    /// The root user's access key id, 3 to 128 characters.
    #[arg(long, env = "ASHLAR_ROOT_USER", value_name = "ACCESS_KEY_ID")]
    pub root_user: String,
    /// The root user's secret access key, 8 to 128 characters.
    #[arg(long, env = "ASHLAR_ROOT_PASSWORD", hide_env_values = true, value_name = "SECRET_ACCESS_KEY")]
    pub root_password: Secret,
    /// Seconds that restores of archived objects count as a day, the same as workers are told. Anything but a day is for trying
    /// them out.
    #[arg(
        long = "lifecycle-day",
        env = "ASHLAR_LIFECYCLE_DAY",
        value_name = "SECONDS",
        default_value_t = 86_400,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub lifecycle_day_seconds: u64,
}

/// Settings of what clients connect to; the same for a cluster's gateway and the all-in-one server.
#[derive(Debug, Clone, Args)]
pub struct FrontConfig {
    /// Address to listen on for S3 requests. Listen on loopback unless TLS is on or a proxy in front speaks it.
    #[arg(long, env = "ASHLAR_LISTEN", default_value = "127.0.0.1:9000", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The region that buckets are in and that signatures must name.
    #[arg(long, env = "ASHLAR_REGION", default_value = "us-east-1", value_name = "REGION")]
    pub region: String,
    /// Domains under which buckets are reached as host names (`bucket.s3.example.com` for `s3.example.com`),
    /// separated by commas. Without one, buckets are reached by path only.
    #[arg(long, env = "ASHLAR_DOMAIN", value_delimiter = ',', value_name = "DOMAIN")]
    pub domain: Vec<String>,
    /// Proxies, by address or range (`10.0.0.0/8`), separated by commas, whose `X-Forwarded-For` is believed: policies
    /// (`aws:SourceIp`) and logs have the client's address then. Name none but those that add the address of their own client to
    /// that header.
    #[arg(
        long,
        env = "ASHLAR_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_parser = crate::forwarded::parse,
        value_name = "RANGE"
    )]
    pub trusted_proxies: Vec<IpNet>,
    /// What owns the objects of buckets that were never told by x-amz-object-ownership or ownership controls:
    /// BucketOwnerEnforced, by which access control lists have no effect and cannot be set, or BucketOwnerPreferred or
    /// ObjectWriter, by which they have one. The two differ in whose it is what another account writes.
    #[arg(
        long,
        env = "ASHLAR_OBJECT_OWNERSHIP",
        default_value_t = ObjectOwnership::BucketOwnerEnforced,
        value_name = "OWNERSHIP"
    )]
    pub object_ownership: ObjectOwnership,
    /// Address to listen on for the visitors of websites; there is no such listener without it. Every bucket that has a
    /// website configuration is served there: what its policy, or the access control list of an object, lets everybody
    /// read.
    #[arg(long, env = "ASHLAR_WEBSITE_ADDRESS", value_name = "ADDRESS:PORT")]
    pub website_address: Option<SocketAddr>,
    /// Domains under which websites are reached as host names (`bucket.website.example.com` for `website.example.com`),
    /// separated by commas. A host that is under none of them names the bucket by its whole name, as a bucket
    /// `www.example.com` is by `www.example.com`.
    #[arg(
        long,
        env = "ASHLAR_WEBSITE_DOMAIN",
        value_delimiter = ',',
        requires = "website_address",
        value_name = "DOMAIN"
    )]
    pub website_domain: Vec<String>,
    /// Address to answer health checks and metrics on, for operators alone; there is no such listener without it. Health checks
    /// are answered on the S3 listener too. A gateway of a cluster explains its decisions there (`ashlar admin explain`), to whoever
    /// knows the cluster secret.
    #[arg(long, env = "ASHLAR_HEALTH_LISTEN", value_name = "ADDRESS:PORT")]
    pub health_listen: Option<SocketAddr>,
    /// Answers `/metrics` on the S3 listener too, to anybody who can reach it. A bucket of that name cannot be listed without
    /// credentials then.
    #[arg(long, env = "ASHLAR_METRICS_PUBLIC")]
    pub metrics_public: bool,
    /// Certificate chain in PEM form. Together with `--tls-key` it makes the listeners speak HTTPS. Both files are read again every
    /// ten seconds, and on SIGHUP: a new certificate takes no restart.
    #[arg(long, env = "ASHLAR_TLS_CERT", requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM form.
    #[arg(long, env = "ASHLAR_TLS_KEY", requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Lets operators change the cluster over HTTP (`/_ashlar/v1`): who may is decided by policies. Without it everything there is read
    /// alone. Where services have certificates the gateway's has to be one of operators too (`ashlar admin certificates
    /// --operating-gateways`).
    #[arg(long, env = "ASHLAR_OPERATOR_CHANGES")]
    pub operator_changes: bool,
    /// File of the master keys by which objects are encrypted that ask for SSE-S3, as `ashlar encryption-key` makes it; the
    /// same for all gateways and workers of a cluster. `ashlar server` makes one in its first folder when none is given. Whoever
    /// loses the file loses every object that is encrypted by its keys.
    #[arg(long, env = "ASHLAR_ENCRYPTION_KEYS", value_name = "FILE")]
    pub encryption_keys: Option<PathBuf>,
    /// Keys of SSE-KMS elsewhere.
    #[command(flatten)]
    pub kms: kms::Config,
    /// Takes keys that clients bring (SSE-C) over plain HTTP too, which S3 refuses: everybody on the way can read them. For
    /// listeners on loopback behind a proxy that speaks TLS.
    #[arg(long, env = "ASHLAR_CUSTOMER_KEYS_OVER_HTTP")]
    pub customer_keys_over_http: bool,
    /// Takes signatures of version 2 too, of tools that know no other. They are weaker: they cover no bodies, and their
    /// URLs have no longest life.
    #[arg(long, env = "ASHLAR_SIGNATURE_V2")]
    pub signature_v2: bool,
    /// Most seconds that the records of requests to a bucket that has access logging wait in this gateway's memory before they
    /// are written to its target bucket. Sooner loses fewer when the gateway is killed, and makes more and smaller log objects.
    #[arg(
        long = "access-log-interval",
        env = "ASHLAR_ACCESS_LOG_INTERVAL",
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub access_log_interval_seconds: u64,
    /// Where a line of JSON is written for each decision on what somebody may: `stdout`, a file, or the URL of a webhook that lines are
    /// posted to, `https://HOST/PATH`; `http://` for one on this machine alone. Lines say who asked for what, when and from where, and
    /// which kind of policy decided. What cannot be written for long is dropped, and counted.
    #[arg(long, env = "ASHLAR_AUDIT_LOG", value_name = "stdout|FILE|URL")]
    pub audit_log: Option<AuditTarget>,
    /// File of a token that the webhook is posted to with. It is read at the start, and before each post, so that whoever renews
    /// the token only writes the file.
    #[arg(long, env = "ASHLAR_AUDIT_LOG_TOKEN_FILE", requires = "audit_log", value_name = "FILE")]
    pub audit_log_token_file: Option<PathBuf>,
    /// Hosts of OpenID Connect providers, and of their keys, separated by commas, that may have addresses of a private net or of this machine:
    /// those of a provider on the local net, or of a Kubernetes API. Without them providers are spoken to at public addresses alone, and at
    /// an address of the link's own never. Each is a host name or an IPv4 address, without scheme and port. That of a provider's keys
    /// counts only where the provider's own host is named, too.
    #[arg(
        long,
        env = "ASHLAR_OIDC_PRIVATE_HOSTS",
        value_delimiter = ',',
        value_parser = parse_host,
        value_name = "HOST"
    )]
    pub oidc_private_hosts: Vec<String>,
    /// File of certificates in PEM form of the authorities that the certificates of these hosts may be signed by, in place of those that
    /// the system trusts. It is read at the start, and with each fetch of keys.
    #[arg(long, env = "ASHLAR_OIDC_CA", requires = "oidc_private_hosts", value_name = "FILE")]
    pub oidc_ca: Option<PathBuf>,
    /// Seconds that a restore of an archived object is under way before the object can be read. Bytes of archive classes can be
    /// read at once here, so 0 will do, unless their medium has to be made ready by other means.
    #[arg(
        long = "restore-delay",
        env = "ASHLAR_RESTORE_DELAY",
        value_name = "SECONDS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=604_800)
    )]
    pub restore_delay_seconds: u64,
    /// Fewest bytes a second of a request's body, on average over a minute of waiting for it; whoever sends it more slowly is cut
    /// off, as is whoever sends nothing for 30 seconds. 0 lets it come as slowly as that.
    #[arg(long, env = "ASHLAR_BODY_RATE_MIN", default_value_t = 1024, value_name = "BYTES")]
    pub body_rate_min: u64,
    /// How much is asked of this gateway.
    #[command(flatten)]
    pub rates: RateConfig,
    /// Most client connections at a time, to each listener. When more come, those on which nothing has been under way for longest are
    /// closed; where all are busy, more wait.
    #[arg(long, env = "ASHLAR_CONNECTIONS_MAX", default_value_t = 10_000, value_name = "NUMBER")]
    pub connections_max: usize,
}

/// How much each user, with all of its keys and sessions, each role with its sessions, the root user, and each address that
/// shows no credentials, may ask of this gateway; `ashlar admin limit` says something else for some of them.
#[derive(Debug, Clone, Args)]
pub struct RateConfig {
    /// Most requests a second of one user, role or address without credentials to this gateway; more are answered with 503
    /// SlowDown. 0 for any number. `ashlar admin limit` says something else for some.
    #[arg(
        long,
        env = "ASHLAR_REQUEST_RATE_MAX",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=RATE_MAX),
        value_name = "NUMBER"
    )]
    pub request_rate_max: u64,
    /// Most bytes a second of the bodies of one user's, role's or address's requests to this gateway; more wait to be read. 0 for
    /// any number, else at least 262144.
    #[arg(long, env = "ASHLAR_RECEIVE_RATE_MAX", default_value_t = 0, value_parser = parse_byte_rate, value_name = "BYTES")]
    pub receive_rate_max: u64,
    /// The same of the bodies of answers, which wait to be sent.
    #[arg(long, env = "ASHLAR_SEND_RATE_MAX", default_value_t = 0, value_parser = parse_byte_rate, value_name = "BYTES")]
    pub send_rate_max: u64,
    /// For how many seconds of not using them these rates can be used at once.
    #[arg(
        long = "rate-burst",
        env = "ASHLAR_RATE_BURST",
        default_value_t = RATE_BURST_SECONDS,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(BURST_SECONDS_MAX)),
        value_name = "SECONDS"
    )]
    pub rate_burst_seconds: u32,
}

/// Seconds of a burst, if nothing is said.
const RATE_BURST_SECONDS: u32 = 2;

impl Default for RateConfig {
    fn default() -> Self {
        let rate_burst_seconds = RATE_BURST_SECONDS;
        Self { request_rate_max: 0, receive_rate_max: 0, send_rate_max: 0, rate_burst_seconds }
    }
}

impl RateConfig {
    pub(crate) fn rates(&self) -> Rates {
        Rates {
            requests: Some(self.request_rate_max),
            received_bytes: Some(self.receive_rate_max),
            sent_bytes: Some(self.send_rate_max),
            burst_seconds: Some(self.rate_burst_seconds),
        }
    }
}

/// Most bytes of a host name. RFC 1035, section 2.3.4, without the length of the root.
const HOST_LENGTH_MAX: usize = 253;

fn parse_byte_rate(text: &str) -> Result<u64, String> {
    let bytes = text.parse().map_err(|_| "give a number of bytes".to_owned())?;
    let rates = Rates { received_bytes: Some(bytes), ..Rates::default() };
    rates.check().map(|()| bytes).map_err(|_| format!("give 0, or {BYTES_RATE_MIN} to {RATE_MAX}"))
}

/// Reads a host name or an IPv4 address, with blanks around it if need be. RFC 1123, section 2.1.
fn parse_host(text: &str) -> Result<String, String> {
    let host = text.trim();
    let is_label = |label: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What ends with a number is an address, or nothing.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let is_good = match host.rsplit('.').next() {
        Some(last) if is_number(last) => host.parse::<Ipv4Addr>().is_ok(),
        _ => host.len() <= HOST_LENGTH_MAX && host.split('.').all(is_label),
    };
    is_good.then(|| host.to_owned()).ok_or_else(|| {
        "give host names or IPv4 addresses alone, without scheme, port and path, such as keycloak.example.com,10.0.0.1".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{parse_byte_rate, parse_host};

    #[test]
    fn hosts_are_names_or_addresses_and_nothing_else() {
        for (text, host) in [
            ("keycloak", "keycloak"),
            (" kubernetes.default.svc.cluster.local\t", "kubernetes.default.svc.cluster.local"),
            ("IDP-1.Example.com", "IDP-1.Example.com"),
            ("10.0.0.1", "10.0.0.1"),
            ("1and1.com", "1and1.com"),
        ] {
            assert_eq!(parse_host(text).as_deref(), Ok(host));
        }
        let long = "a.".repeat(127) + "b";
        for text in [
            "",
            " ",
            "keycloak:8443",
            "10.0.0.1:6443",
            "10.0.0.0/8",
            "10.0.0.256",
            "10.0.1",
            "1",
            "https://keycloak",
            "keycloak/realms/a",
            "[::1]",
            "::1",
            "fd00::1",
            "*.example.com",
            "a b",
            "a..b",
            "a.b.",
            ".a",
            "-a.b",
            "a-.b",
            "u@a.b",
            "a_b.c",
            "é.fr",
            &long,
        ] {
            let refused = parse_host(text).expect_err(text);
            assert!(refused.contains("without scheme, port and path"), "{refused}");
        }
    }

    #[test]
    fn rates_of_bytes_are_none_or_such_as_clients_have_patience_for() {
        for (text, rate) in [("0", 0), ("262144", 256 << 10), ("1099511627776", 1 << 40)] {
            assert_eq!(parse_byte_rate(text), Ok(rate));
        }
        for text in ["", "-1", "1", "262143", "1099511627777", "1MiB"] {
            assert!(parse_byte_rate(text).is_err(), "{text}");
        }
    }
}
