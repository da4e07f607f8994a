use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use env::Env;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    CipherSuite, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use telemetry::Samples;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use super::{ServerTls, TlsError, TlsSession, live::CHECK_EVERY, validity::not_after};
use crate::shutdown_channel;

#[test]
fn cipher_suites_have_the_names_that_openssl_gives_them() {
    let name = |cipher| TlsSession { version: "TLSv1.2", cipher, http_2: false }.cipher_suite();
    assert_eq!(name(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), "ECDHE-RSA-AES128-GCM-SHA256");
    assert_eq!(
        name(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
        "ECDHE-ECDSA-CHACHA20-POLY1305"
    );
    assert_eq!(name(CipherSuite::TLS13_AES_256_GCM_SHA384), "TLS_AES_256_GCM_SHA384");
}

/// A self-signed certificate in DER and PEM, and its key in PEM, that ends so many days after the beginning of 2030.
pub(super) fn certificate_for_days(days: u16) -> (Vec<u8>, String, String) {
    let mut params = CertificateParams::new(["server.test".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2030, 1, 1) + Duration::from_secs(86_400 * u64::from(days));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().to_vec(), certificate.pem(), key.serialize_pem())
}

/// The beginning of 2030 in seconds since the Unix epoch.
const YEAR_2030: i64 = 1_893_456_000;

#[test]
fn the_end_of_a_certificate_is_read() {
    assert_eq!(not_after(&certificate_for_days(31).0), Some(YEAR_2030 + 31 * 86_400));
    assert_eq!(not_after(b"no certificate"), None);
}

/// Writes a file anew.
pub(super) fn write(path: &Path, text: impl AsRef<str>) {
    Env::real().disk().replace_small(path, text.as_ref().as_bytes()).unwrap();
}

/// Files of a certificate and its key.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, certificate: &str, key: &str) {
        write(&self.path("tls.crt"), certificate);
        write(&self.path("tls.key"), key);
    }

    async fn load(&self) -> Result<ServerTls, TlsError> {
        ServerTls::load(&Env::real(), &self.path("tls.crt"), &self.path("tls.key")).await
    }
}

/// The certificate that a client is shown that trusts this one and no other; none when it is shown another.
async fn shown(tls: &ServerTls, trusted: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from("server.test").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let (client, _server) = tokio::join!(connector.connect(name, near), tls.acceptor().accept(far));
    client.is_ok()
}

/// What is told of the end of the certificate, and of changes that were used and refused.
async fn told(tls: &ServerTls) -> (i64, u64, u64) {
    let mut samples = Samples::default();
    tls.source().collect(&mut samples).await;
    let text = samples.text();
    let value = |series: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("{series} in {text}")).trim().parse().unwrap()
    };
    let (used, refused) = ("{usage=\"clients\",result=\"used\"}", "{usage=\"clients\",result=\"refused\"}");
    (
        value("ashlar_tls_certificate_end_seconds{usage=\"clients\"}") as i64,
        value(&format!("ashlar_tls_reloads_total{used}")) as u64,
        value(&format!("ashlar_tls_reloads_total{refused}")) as u64,
    )
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_used_when_its_files_have_changed() {
    let files = Files::new();
    let ((_, first, first_key), (_, second, second_key)) = (certificate_for_days(1), certificate_for_days(2));
    files.write(&first, &first_key);
    let tls = files.load().await.unwrap();
    assert!(shown(&tls, &first).await && !shown(&tls, &second).await);
    assert_eq!(told(&tls).await, (YEAR_2030 + 86_400, 0, 0));
    let (env, (trigger, shutdown)) = (Env::real(), shutdown_channel());
    let watched = tls.clone();
    let watch = env.spawn(async move { watched.watch(&Env::real(), &shutdown).await });

    files.write(&second, &second_key);
    env.sleep(CHECK_EVERY * 2).await;
    assert!(shown(&tls, &second).await && !shown(&tls, &first).await);
    assert_eq!(told(&tls).await, (YEAR_2030 + 2 * 86_400, 1, 0));

    // Nothing new is nothing to do.
    env.sleep(CHECK_EVERY * 5).await;
    assert_eq!(told(&tls).await, (YEAR_2030 + 2 * 86_400, 1, 0));
    trigger.begin();
    watch.await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_leaves_the_old_certificate_in_use() {
    let files = Files::new();
    let ((_, first, first_key), (_, second, second_key)) = (certificate_for_days(1), certificate_for_days(2));
    files.write(&first, &first_key);
    let (tls, env) = (files.load().await.unwrap(), Env::real());
    let mut ended = CertificateParams::new(["server.test".to_owned()]).unwrap();
    ended.not_after = date_time_ymd(2020, 1, 1);
    let ended_key = KeyPair::generate().unwrap();
    let ended = ended.self_signed(&ended_key).unwrap().pem();
    for (number, (certificate, key)) in [
        (second.as_str(), first_key.as_str()),
        ("not a certificate", second_key.as_str()),
        (second.as_str(), ""),
        (ended.as_str(), ended_key.serialize_pem().as_str()),
    ]
    .into_iter()
    .enumerate()
    {
        files.write(certificate, key);
        // A second look at the same says nothing more.
        tls.0.look(&env).await;
        tls.0.look(&env).await;
        assert!(shown(&tls, &first).await, "{number}");
        assert_eq!(told(&tls).await, (YEAR_2030 + 86_400, 0, number as u64 + 1));
    }
    Env::real().disk().remove(&files.path("tls.key")).unwrap();
    tls.0.look(&env).await;
    assert!(shown(&tls, &first).await);
    assert_eq!(told(&tls).await.2, 5);
    files.write(&second, &second_key);
    tls.0.look(&env).await;
    assert!(shown(&tls, &second).await);
    assert_eq!(told(&tls).await, (YEAR_2030 + 2 * 86_400, 1, 5));
}

/// A certificate is written, and its key a moment later: what lies between is neither used nor complained of.
#[tokio::test(start_paused = true)]
async fn files_that_are_being_replaced_are_left_until_they_rest() {
    let files = Files::new();
    let ((_, first, first_key), (_, second, second_key)) = (certificate_for_days(1), certificate_for_days(2));
    files.write(&first, &first_key);
    let (tls, env) = (files.load().await.unwrap(), Env::real());
    write(&files.path("tls.crt"), &second);
    let key = files.path("tls.key");
    let writing = async {
        env.sleep(Duration::from_millis(500)).await;
        write(&key, &second_key);
    };
    tokio::join!(tls.0.look(&env), writing);
    assert_eq!(told(&tls).await, (YEAR_2030 + 86_400, 0, 0));
    tls.0.look(&env).await;
    assert_eq!(told(&tls).await, (YEAR_2030 + 2 * 86_400, 1, 0));
}

/// A secret of Kubernetes is a folder of links through a link that is swapped.
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_swapped_by_a_link_is_seen() {
    let (files, env) = (Files::new(), Env::real());
    let ((_, first, first_key), (_, second, second_key)) = (certificate_for_days(1), certificate_for_days(2));
    for (version, certificate, key) in [("..1", &first, &first_key), ("..2", &second, &second_key)] {
        env.disk().create_directory(&files.path(version)).unwrap();
        write(&files.path(version).join("tls.crt"), certificate);
        write(&files.path(version).join("tls.key"), key);
    }
    symlink("..1", files.path("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), files.path(name)).unwrap();
    }
    let tls = files.load().await.unwrap();
    assert!(shown(&tls, &first).await);
    symlink("..2", files.path("..data_tmp")).unwrap();
    env.disk().rename(&files.path("..data_tmp"), &files.path("..data")).unwrap();
    env.disk().remove(&files.path("..1").join("tls.key")).unwrap();
    tls.0.look(&env).await;
    assert!(shown(&tls, &second).await);
}

#[tokio::test]
async fn a_certificate_and_another_ones_key_are_refused_at_the_start() {
    let files = Files::new();
    let ((_, first, _), (_, _, second_key)) = (certificate_for_days(1), certificate_for_days(2));
    files.write(&first, &second_key);
    assert!(matches!(files.load().await, Err(TlsError::Unusable(_))));
}
