//! A small provider of OpenID Connect, over TLS on loopback, which signs tokens for real.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{Certificate, now_seconds};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

/// What each provider says of itself at this path, behind its own.
const DESCRIPTION: &str = "/.well-known/openid-configuration";

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Pair {
    Rsa(&'static RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
}

/// A key that tokens are signed with, by one algorithm.
pub(crate) struct Key {
    id: String,
    algorithm: &'static str,
    pair: Pair,
}

impl Key {
    pub(crate) fn new(id: &str, algorithm: &'static str) -> Self {
        static RSA: OnceLock<RsaKeyPair> = OnceLock::new();
        let ec = |kind, curve| Pair::Ec(EcdsaKeyPair::generate(kind).expect("a key"), curve);
        let pair = match algorithm {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            _ => Pair::Rsa(RSA.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))),
        };
        Self { id: id.to_owned(), algorithm, pair }
    }

    /// The modulus of one of RSA, out of its DER: behind the heads of a sequence and of a number, and a zero.
    pub(crate) fn modulus(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => &pair.public_key().as_ref()[9..265],
            Pair::Ec(..) => panic!("it is not of RSA"),
        }
    }

    fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(_) => {
                json!({ "kty": "RSA", "kid": self.id, "use": "sig", "alg": self.algorithm, "n": encode(self.modulus()), "e": "AQAB" })
            }
            Pair::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "kid": self.id, "use": "sig", "crv": curve, "x": encode(x), "y": encode(y) })
            }
        }
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": self.algorithm, "kid": self.id, "typ": "JWT" }), claims)
    }

    /// The same under another header.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = match self.algorithm {
                    "RS512" => &RSA_PKCS1_SHA512,
                    "RS384" => &RSA_PKCS1_SHA384,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, signed.as_bytes(), &mut signature).expect("a signature");
                signature
            }
            Pair::Ec(pair, _) => {
                pair.sign(&random, signed.as_bytes()).expect("a signature").as_ref().to_vec()
            }
        };
        format!("{signed}.{}", encode(signature))
    }
}

/// How a path is answered.
#[derive(Clone)]
pub(crate) enum Answer {
    Json(Value),
    /// A head and a body.
    Raw(String, Vec<u8>),
    /// Not at all.
    Silence,
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, Answer>,
    asked: Vec<String>,
}

/// Providers on one port, told apart by their paths.
pub(crate) struct Host {
    pub(crate) certificate: Certificate,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    is_over: Arc<AtomicBool>,
}

impl Host {
    pub(crate) fn start() -> Self {
        let certificate = Certificate::make();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = fs::read(certificate.chain()).expect("a certificate");
        let key = fs::read(certificate.key()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(&chain).expect("a certificate")],
                PrivateKeyDer::from_pem_slice(&key).expect("a key"),
            )
            .expect("a certificate with its key");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (state, is_over) = (Arc::<Mutex<State>>::default(), Arc::new(AtomicBool::new(false)));
        let (config, shared, over) = (Arc::new(config), state.clone(), is_over.clone());
        thread::spawn(move || {
            for connection in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (config, state) = (config.clone(), shared.clone());
                let Ok(connection) = connection else { continue };
                thread::spawn(move || serve(connection, config, &state));
            }
        });
        Self { certificate, address, state, is_over }
    }

    /// The URL of the provider at a path, without `https://`.
    pub(crate) fn name(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) fn issuer(&self, path: &str) -> String {
        format!("https://{}", self.name(path))
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.state.lock().expect("no panic").answers.insert(path.to_owned(), answer);
    }

    /// Has a provider say where its keys are.
    pub(crate) fn describe(&self, path: &str, jwks_uri: &str) {
        let description = json!({ "issuer": self.issuer(path), "jwks_uri": jwks_uri });
        self.answer(&format!("{path}{DESCRIPTION}"), Answer::Json(description));
    }

    /// Has a provider have these keys.
    pub(crate) fn set_keys(&self, path: &str, keys: &[&Key]) {
        self.describe(path, &format!("{}/keys", self.issuer(path)));
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.answer(&format!("{path}/keys"), Answer::Json(json!({ "keys": keys })));
    }

    /// What a provider says of somebody, for an hour, with these in the place of what it says without.
    pub(crate) fn claims(&self, path: &str, other: Value) -> Value {
        let now = now_seconds();
        let mut claims = json!({
            "iss": self.issuer(path), "sub": "system:serviceaccount:apps:ann", "aud": "sts.amazonaws.com",
            "iat": now, "exp": now + 3600,
        });
        for (name, value) in other.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        claims
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.state.lock().expect("no panic").asked.iter().filter(|asked| *asked == path).count()
    }

    /// How often anything was.
    pub(crate) fn asked_in_all(&self) -> usize {
        self.state.lock().expect("no panic").asked.len()
    }

    /// The SHA-1 of its certificate, as thumbprints are written.
    pub(crate) fn thumbprint(&self) -> String {
        let chain = fs::read(self.certificate.chain()).expect("a certificate");
        let certificate = CertificateDer::from_pem_slice(&chain).expect("a certificate");
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
        hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// Nobody listens any more.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        while TcpStream::connect(self.address).is_ok() {
            thread::yield_now();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(connection: TcpStream, config: Arc<ServerConfig>, state: &Mutex<State>) {
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let session = ServerConnection::new(config).expect("a session");
    let mut stream = StreamOwned::new(session, connection);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).expect("text");
    let path = head.split(' ').nth(1).expect("a path").to_owned();
    let answer = {
        let mut state = state.lock().expect("no panic");
        state.asked.push(path.clone());
        state.answers.get(&path).cloned()
    };
    let (head, body) = match answer {
        Some(Answer::Json(value)) => ("200 OK".to_owned(), value.to_string().into_bytes()),
        Some(Answer::Raw(head, body)) => (head, body),
        Some(Answer::Silence) => {
            // Until the other end has had enough.
            drop(stream.read(&mut byte));
            return;
        }
        None => ("404 Not Found".to_owned(), Vec::new()),
    };
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
    stream.conn.send_close_notify();
    drop(stream.flush());
}
