//! What a caller shows with a call: a token that is good for that call, for a minute. `docs/decisions/0024-capabilities.md`
//! says why it is so.
//!
//! A token is these bytes in unpadded URL-safe base64, behind `Authorization: Ashlar-Capability`; numbers are big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | role of whoever minted it |
//! | 1 | flags: 1 names chunks, 2 names an epoch, 4 names a disk |
//! | 2 | methods, a bit each |
//! | 8 | when it ends, in milliseconds since 1970 by the service's clock |
//! | 16 | disk, if it names one |
//! | 8 | epoch of the cluster map, if it names one |
//! | 32 | first and last chunk, if it names chunks, else the SHA-256 of the call |
//! | 32 | HMAC-SHA-256 of these by the role's key |

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Buf, BufMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use types::{ChunkId, DiskId, Role, Roles};

/// Scheme of the `Authorization` header, and of the `WWW-Authenticate` header by which services say that they know it.
pub(crate) const SCHEME: &str = "Ashlar-Capability";

/// The header in which a service tells a caller whose token has ended, or does not begin yet, its own time.
pub(crate) const CLOCK: &str = "ashlar-clock";

/// How long a token is good.
pub(crate) const LIFE_MS: i64 = 60_000;

/// How far the clocks of a caller and a service may be apart before the caller has to be told the service's.
pub(crate) const SKEW_MS: i64 = 60_000;

const VERSION: u8 = 1;

/// What stands in front of a time that a service tells, where tokens have their version.
const CLOCK_VERSION: u8 = 0xc1;

const NAMES_CHUNKS: u8 = 1;
const NAMES_EPOCH: u8 = 2;
const NAMES_DISK: u8 = 4;

const MAC_LENGTH: usize = 32;

/// Most bytes of a token in base64.
const TEXT_MAX: usize = 136;

/// Whoever reads and writes objects.
const DATA: Roles = Roles::of(&[Role::Gateway, Role::Worker]);

/// A call, or two of which one is a put's for a purpose. The numbers are on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Disks = 0,
    Read = 1,
    Put = 2,
    Repair = 3,
    Delete = 4,
    Evict = 5,
    Fence = 6,
    Verify = 7,
    List = 8,
    Quarantine = 9,
    Release = 10,
}

impl Method {
    pub(crate) const ALL: [Self; 11] = [
        Self::Disks,
        Self::Read,
        Self::Put,
        Self::Repair,
        Self::Delete,
        Self::Evict,
        Self::Fence,
        Self::Verify,
        Self::List,
        Self::Quarantine,
        Self::Release,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Disks => "disks",
            Self::Read => "read",
            Self::Put => "put",
            Self::Repair => "repair",
            Self::Delete => "delete",
            Self::Evict => "evict",
            Self::Fence => "fence",
            Self::Verify => "verify",
            Self::List => "list",
            Self::Quarantine => "quarantine",
            Self::Release => "release",
        }
    }

    /// Whose services may make the call. None is a chunk service's: shards are copied by workers.
    pub(crate) fn callers(self) -> Roles {
        match self {
            // Deletes are of gateways too: they undo their own writes that failed.
            Self::Put | Self::Delete => DATA,
            Self::Repair | Self::Evict | Self::Fence => Roles::of(&[Role::Worker]),
            Self::Disks | Self::Read => Roles::of(&[Role::Gateway, Role::Worker, Role::Admin]),
            // An operator alone says what is needed no more.
            Self::Quarantine | Self::Release => Roles::of(&[Role::Admin]),
            // By audits.
            Self::List | Self::Verify => Roles::of(&[Role::Worker, Role::Admin]),
        }
    }
}

/// Some of the methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Methods(u16);

impl Methods {
    pub(crate) fn of(methods: &[Method]) -> Self {
        Self(methods.iter().fold(0, |all, method| all | 1 << *method as u16))
    }

    pub(crate) fn have(self, method: Method) -> bool {
        self.0 & 1 << method as u16 != 0
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            Method::ALL.into_iter().filter(|method| self.have(*method)).map(Method::name).collect();
        f.write_str(if names.is_empty() { "nothing" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

/// Chunks whose ids follow each other: one, or those of a lease, which begin with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkRange {
    pub(crate) first: ChunkId,
    pub(crate) last: ChunkId,
}

impl ChunkRange {
    pub(crate) fn one(chunk: ChunkId) -> Self {
        Self { first: chunk, last: chunk }
    }

    pub(crate) fn has(self, chunk: ChunkId) -> bool {
        (self.first..=self.last).contains(&chunk)
    }
}

/// What a token is good for, within its methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Puts and reads of shards of these chunks.
    Chunks(ChunkRange),
    /// One call, parameters and names included.
    Call([u8; 32]),
}

/// The SHA-256 of a call: its path with parameters, and its body.
pub(crate) fn call_digest(path_and_query: &str, body: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update((path_and_query.len() as u64).to_be_bytes());
    digest.update(path_and_query);
    digest.update(body);
    digest.finalize().into()
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capability {
    pub(crate) issuer: Role,
    pub(crate) methods: Methods,
    pub(crate) disk: Option<DiskId>,
    pub(crate) scope: Scope,
    /// Epoch of the cluster map by which shards are put.
    pub(crate) epoch: Option<i64>,
    pub(crate) ends_ms: i64,
}

impl Capability {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(13 + 16 + 8 + 32 + MAC_LENGTH);
        let mut flags = 0;
        if matches!(self.scope, Scope::Chunks(_)) {
            flags |= NAMES_CHUNKS;
        }
        if self.epoch.is_some() {
            flags |= NAMES_EPOCH;
        }
        if self.disk.is_some() {
            flags |= NAMES_DISK;
        }
        out.put_u8(VERSION);
        out.put_u8(number_of(self.issuer));
        out.put_u8(flags);
        out.put_u16(self.methods.0);
        out.put_i64(self.ends_ms);
        if let Some(disk) = self.disk {
            out.put_slice(&disk.0);
        }
        if let Some(epoch) = self.epoch {
            out.put_i64(epoch);
        }
        match self.scope {
            Scope::Chunks(ChunkRange { first, last }) => {
                out.put_slice(&first.to_bytes());
                out.put_slice(&last.to_bytes());
            }
            Scope::Call(digest) => out.put_slice(&digest),
        }
        out
    }

    /// `None` for what nobody mints: unknown versions, roles, flags and methods, and any other length.
    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let issuer = Role::ALL.into_iter().find({
            let number = bytes.try_get_u8().ok()?;
            move |role| number_of(*role) == number
        })?;
        let flags = bytes.try_get_u8().ok()?;
        let methods = Methods(bytes.try_get_u16().ok()?);
        if flags & !(NAMES_CHUNKS | NAMES_EPOCH | NAMES_DISK) != 0
            || methods.0 & !Methods::of(&Method::ALL).0 != 0
        {
            return None;
        }
        let ends_ms = bytes.try_get_i64().ok()?;
        let disk = if flags & NAMES_DISK == 0 { None } else { Some(DiskId(taken(bytes)?)) };
        let epoch = if flags & NAMES_EPOCH == 0 { None } else { Some(bytes.try_get_i64().ok()?) };
        let scope = if flags & NAMES_CHUNKS == 0 {
            Scope::Call(taken(bytes)?)
        } else {
            let (first, last) = (taken(bytes)?, taken(bytes)?);
            Scope::Chunks(ChunkRange { first: ChunkId::from_bytes(first), last: ChunkId::from_bytes(last) })
        };
        bytes.is_empty().then_some(Self { issuer, methods, disk, scope, epoch, ends_ms })
    }
}

/// Reads what stands in a token in front of its proof, and writes it again. For fuzzing.
#[doc(hidden)]
pub fn read_capability(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(Capability::decode(bytes)?.encode())
}

fn taken<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// The number of a role on the wire.
fn number_of(role: Role) -> u8 {
    match role {
        Role::Gateway => 0,
        Role::Worker => 1,
        Role::Chunk => 2,
        Role::Metadata => 3,
        Role::Admin => 4,
        Role::Monitor => 5,
    }
}

/// What whoever mints for a role has in common with the services. Never sent.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// The key of a role, by the derivation of the cluster's tokens.
    pub(crate) fn of(role: Role, derive: &impl Fn(&str) -> String) -> Self {
        let key = derive(&format!("chunk capability of {role}"));
        Self(Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length"))
    }

    /// A token, as it stands behind the scheme.
    pub(crate) fn mint(&self, capability: &Capability) -> String {
        let mut token = capability.encode();
        let mac = self.0.clone().chain_update(&token).finalize().into_bytes();
        token.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What a service says of its time to whoever showed `token`.
    pub(crate) fn tell_clock(&self, now_ms: i64, token: &str) -> String {
        format!("{now_ms} {}", URL_SAFE_NO_PAD.encode(self.clock(now_ms, token).finalize().into_bytes()))
    }

    /// The service's time, if whoever says it has the key, and says it to whoever showed `token`.
    pub(crate) fn told_clock(&self, told: &str, token: &str) -> Option<i64> {
        let (now_ms, mac) = told.split_once(' ')?;
        let now_ms = now_ms.parse().ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        self.clock(now_ms, token).verify_slice(&mac).ok().map(|()| now_ms)
    }

    fn clock(&self, now_ms: i64, token: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update([CLOCK_VERSION]).chain_update(now_ms.to_be_bytes()).chain_update(token)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The keys of all roles.
#[derive(Clone)]
pub(crate) struct Keys(Vec<(Role, Key)>);

impl Keys {
    pub(crate) fn of(roles: Roles, derive: &impl Fn(&str) -> String) -> Self {
        let roles = Role::ALL.into_iter().filter(|role| roles.have(*role));
        Self(roles.map(|role| (role, Key::of(role, derive))).collect())
    }

    pub(crate) fn get(&self, role: Role) -> Option<&Key> {
        self.0.iter().find(|(known, _)| *known == role).map(|(_, key)| key)
    }

    /// The first of the roles that is one of `wanted`; without one, the first.
    pub(crate) fn first_of(&self, wanted: Roles) -> Option<(Role, &Key)> {
        let suits = self.0.iter().find(|(role, _)| wanted.have(*role));
        suits.or(self.0.first()).map(|(role, key)| (*role, key))
    }

    /// What a token says. `None` if it is none, or its role's key did not make it.
    pub(crate) fn open(&self, token: &str) -> Option<Capability> {
        if token.len() > TEXT_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (said, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_LENGTH)?)?;
        let capability = Capability::decode(said)?;
        let key = self.get(capability.issuer)?;
        // Compares in constant time.
        key.0.clone().chain_update(said).verify_slice(mac).ok().map(|()| capability)
    }
}

/// By what a chunk service knows its callers.
#[derive(Clone)]
pub struct Access {
    pub(crate) keys: Keys,
    /// The token of the releases before, of the whole cluster, while it is taken.
    pub(crate) cluster_token: Option<String>,
}

impl Access {
    /// By keys that `derive` gives for each audience, and by the token of the releases before, which it gives for `chunk`.
    pub fn derived(derive: impl Fn(&str) -> String) -> Self {
        let keys = Keys::of(Role::ALL.into_iter().collect(), &derive);
        Self { keys, cluster_token: Some(derive("chunk")) }
    }

    /// The same, which takes the token of the releases before only if `demanded` is not wanted.
    #[must_use]
    pub fn demanding_capabilities(self, demanded: bool) -> Self {
        Self { cluster_token: self.cluster_token.filter(|_| !demanded), ..self }
    }

    /// Whether a token is one of these keys. For fuzzing.
    #[doc(hidden)]
    pub fn opens(&self, token: &str) -> bool {
        self.keys.open(token).is_some()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access(..)")
    }
}

/// By what a caller is known to chunk services.
#[derive(Clone)]
pub struct Caller {
    pub(crate) keys: Keys,
    /// What services of the releases before are shown.
    pub(crate) cluster_token: String,
}

impl Caller {
    /// A caller that mints tokens as these roles, by keys that `derive` gives, and shows services of the releases before the token
    /// that they want.
    pub fn derived(roles: Roles, derive: impl Fn(&str) -> String) -> Self {
        Self { keys: Keys::of(roles, &derive), cluster_token: derive("chunk") }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller(..)")
    }
}

#[cfg(test)]
mod tests;
