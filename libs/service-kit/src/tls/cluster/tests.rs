use std::{path::PathBuf, sync::Arc};

use env::{Connection, Env};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use telemetry::Samples;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{Role, Roles};

use super::{super::tests::write, ClusterTls, ClusterTlsConfig, TlsError};

/// An authority and what it issues, in files.
struct Authority {
    folder: TempDir,
    params: CertificateParams,
    key: KeyPair,
    certificate: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.not_after = date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { folder: tempfile::tempdir().unwrap(), params, key, certificate }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of a service whose certificate has these names.
    fn issue(&self, file: &str, names: &[&str]) -> ClusterTlsConfig {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(2039, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let paths =
            [format!("{file}.crt"), format!("{file}.key"), "ca.crt".to_owned()].map(|name| self.path(&name));
        write(&paths[0], params.signed_by(&key, &issuer).unwrap().pem());
        write(&paths[1], key.serialize_pem());
        write(&paths[2], &self.certificate);
        let [certificate, key, ca] = paths.map(Some);
        ClusterTlsConfig { certificate, key, ca }
    }

    async fn of(&self, role: Role) -> ClusterTls {
        let config = self.issue(role.name(), &[role.dns_name()]);
        config.load(&Env::real(), Some(role)).await.unwrap().unwrap()
    }
}

/// What a server with this TLS makes of a caller in this environment, who sends a byte; and whether he is answered.
async fn call(server: &ClusterTls, caller: &Env) -> (Option<Roles>, bool) {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let serving = async {
        let (connection, _) = listener.accept().await.unwrap();
        let (mut connection, roles) = server.accept(connection).await.ok()?;
        let byte = connection.read_u8().await.ok()?;
        connection.write_u8(byte).await.ok()?;
        Some(roles)
    };
    let calling = async {
        let mut connection: Box<dyn Connection> = caller.connect(&address).await.ok()?;
        connection.write_u8(7).await.ok()?;
        connection.read_u8().await.ok()
    };
    let (roles, answer) = tokio::join!(serving, calling);
    (roles, answer == Some(7))
}

async fn told(tls: &ClusterTls) -> String {
    let mut samples = Samples::default();
    tls.source().collect(&mut samples).await;
    samples.text()
}

#[tokio::test]
async fn services_of_a_cluster_know_each_others_roles() {
    let authority = Authority::new();
    let (metadata, gateway) = (authority.of(Role::Metadata).await, authority.of(Role::Gateway).await);
    let env = Env::real();
    let caller = gateway.reaching(&env, Role::Metadata);
    assert_eq!(call(&metadata, &caller).await, (Some(Roles::of(&[Role::Gateway])), true));
    // The caller asks for another kind of service than there is.
    let caller = gateway.reaching(&env, Role::Chunk);
    assert_eq!(call(&metadata, &caller).await, (None, false));
    let text = told(&metadata).await;
    assert!(text.contains("ashlar_tls_certificate_end_seconds{usage=\"cluster\"} 2177452800"), "{text}");
    assert!(text.contains("ashlar_tls_certificate_end_seconds{usage=\"authority\"} 2208988800"), "{text}");
}

#[tokio::test]
async fn strangers_are_refused_and_counted() {
    let (ours, others) = (Authority::new(), Authority::new());
    let metadata = ours.of(Role::Metadata).await;
    let env = Env::real();
    // Without TLS, with another authority's, and with a certificate that names no role.
    assert_eq!(call(&metadata, &env).await, (None, false));
    let other = others.of(Role::Gateway).await.reaching(&env, Role::Metadata);
    assert_eq!(call(&metadata, &other).await, (None, false));
    let nobody = ours.issue("nobody", &["host.example"]).load(&env, None).await.unwrap().unwrap();
    assert_eq!(call(&metadata, &nobody.reaching(&env, Role::Metadata)).await, (None, false));
    let text = told(&metadata).await;
    assert!(text.contains("ashlar_tls_callers_refused_total{reason=\"handshake\"} 2"), "{text}");
    assert!(text.contains("ashlar_tls_callers_refused_total{reason=\"role\"} 1"), "{text}");
}

#[tokio::test]
async fn who_has_no_certificate_has_no_role_where_anybody_may_ask() {
    let authority = Authority::new();
    let gateway = authority.of(Role::Gateway).await;
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.certificate.as_bytes();
    let root = <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(pem);
    roots.add(root.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = super::name(Role::Gateway).unwrap();
    let (client, server) = tokio::join!(connector.connect(name, near), gateway.accept_anybody(Box::new(far)));
    assert!(client.is_ok());
    assert_eq!(server.unwrap().1, Roles::NONE);
}

#[tokio::test]
async fn what_other_services_would_refuse_is_refused_at_the_start() {
    let (ours, others) = (Authority::new(), Authority::new());
    let env = Env::real();
    let config = ours.issue("chunk", &[Role::Chunk.dns_name()]);
    let refused = config.load(&env, Some(Role::Gateway)).await.err();
    assert!(matches!(refused, Some(TlsError::WrongRole { role: Role::Gateway })), "{refused:?}");
    write(&ours.path("ca.crt"), &others.certificate);
    let refused = config.load(&env, Some(Role::Chunk)).await.err();
    assert!(matches!(refused, Some(TlsError::Untrusted(_))), "{refused:?}");
}

/// Certificates are renewed, and an authority is replaced by way of both, while services go on.
#[tokio::test(start_paused = true)]
async fn certificates_and_authorities_are_changed_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let env = Env::real();
    let (metadata, gateway) = (old.of(Role::Metadata).await, old.of(Role::Gateway).await);
    let caller = gateway.reaching(&env, Role::Metadata);
    let other = new.of(Role::Gateway).await.reaching(&env, Role::Metadata);
    assert_eq!(call(&metadata, &other).await, (None, false));

    // Both authorities are trusted: the file is the folder's, which both services read.
    write(&old.path("ca.crt"), format!("{}{}", old.certificate, new.certificate));
    metadata.0.live.look(&env).await;
    gateway.0.live.look(&env).await;
    assert!(call(&metadata, &caller).await.1);

    // The new authority's alone, with a certificate of its own.
    let certificate = new.issue("metadata", &[Role::Metadata.dns_name()]);
    for (from, to) in [(certificate.certificate, "metadata.crt"), (certificate.key, "metadata.key")] {
        let text = env.disk().read_small(&from.unwrap(), 1 << 16).unwrap();
        env.disk().replace_small(&old.path(to), &text).unwrap();
    }
    metadata.0.live.look(&env).await;
    assert!(call(&metadata, &caller).await.1, "it is trusted on both sides");
    assert!(call(&metadata, &other).await.1);
    write(&old.path("ca.crt"), &new.certificate);
    metadata.0.live.look(&env).await;
    assert_eq!(call(&metadata, &caller).await, (None, false), "the old authority's is good no more");
    assert!(call(&metadata, &other).await.1);
}
