use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use types::{ChunkId, DiskId, LeaseId, Role, Roles};

use super::{
    Access, Caller, Capability, ChunkRange, Key, Keys, Method, Methods, SCHEME, Scope, TEXT_MAX, call_digest,
};

fn derive(secret: &str) -> impl Fn(&str) -> String {
    move |audience| format!("{secret} {audience}")
}

fn keys() -> Keys {
    Keys::of(Role::ALL.into_iter().collect(), &derive("secret"))
}

fn chunk() -> impl Strategy<Value = ChunkId> {
    any::<[u8; 16]>().prop_map(ChunkId::from_bytes)
}

fn capability() -> impl Strategy<Value = Capability> {
    let scope = prop_oneof![
        (chunk(), chunk()).prop_map(|(first, last)| Scope::Chunks(ChunkRange { first, last })),
        any::<[u8; 32]>().prop_map(Scope::Call),
    ];
    let methods = proptest::sample::subsequence(Method::ALL.to_vec(), 0..=Method::ALL.len());
    let issuer = proptest::sample::select(Role::ALL.to_vec());
    let disk = proptest::option::of(any::<[u8; 16]>().prop_map(DiskId));
    (issuer, methods, disk, scope, any::<Option<i64>>(), any::<i64>()).prop_map(
        |(issuer, methods, disk, scope, epoch, ends_ms)| {
            let methods = Methods::of(&methods);
            Capability { issuer, methods, disk, scope, epoch, ends_ms }
        },
    )
}

proptest! {
    #[test]
    fn what_was_minted_is_opened(capability in capability()) {
        let keys = keys();
        let token = keys.get(capability.issuer).expect("all roles").mint(&capability);
        prop_assert!(token.len() <= TEXT_MAX);
        prop_assert_eq!(keys.open(&token), Some(capability));
    }

    #[test]
    fn any_flipped_bit_is_refused(capability in capability(), at in any::<prop::sample::Index>()) {
        let keys = keys();
        let token = keys.get(capability.issuer).expect("all roles").mint(&capability);
        // Of the text, in which some bits may mean nothing, and of what it stands for.
        let mut text = token.clone().into_bytes();
        let bit = at.index(text.len() * 8);
        text[bit / 8] ^= 1 << (bit % 8);
        if let Ok(text) = String::from_utf8(text) {
            prop_assert_eq!(keys.open(&text), None);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).expect("base64");
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(keys.open(&URL_SAFE_NO_PAD.encode(&bytes)), None);
    }

    #[test]
    fn what_is_cut_or_added_to_is_refused(capability in capability(), at in any::<prop::sample::Index>()) {
        let keys = keys();
        let token = keys.get(capability.issuer).expect("all roles").mint(&capability);
        prop_assert_eq!(keys.open(&token[..at.index(token.len())]), None);
        prop_assert_eq!(keys.open(&format!("{token}A")), None);
        prop_assert_eq!(keys.open(&format!("{token}AAAA")), None);
        // Of what is proved, whoever proves it.
        let said = capability.encode();
        prop_assert_eq!(Capability::decode(&said[..at.index(said.len())]), None);
        prop_assert_eq!(Capability::decode(&[&said[..], &[0]].concat()), None);
    }

    #[test]
    fn any_bytes_are_read_in_one_way_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Some(capability) = Capability::decode(&bytes) {
            prop_assert_eq!(capability.encode(), bytes);
        }
    }

    #[test]
    fn a_range_has_its_chunks_alone(first in chunk(), last in chunk(), asked in chunk()) {
        let range = ChunkRange { first, last };
        prop_assert_eq!(range.has(asked), first <= asked && asked <= last);
        prop_assert!(ChunkRange::one(asked).has(asked));
        prop_assert_eq!(ChunkRange::one(first).has(asked), first == asked);
    }

    #[test]
    fn the_range_of_a_lease_has_no_chunk_of_another(
        lease in 1..i64::MAX, counter in any::<u64>(), other in 1..i64::MAX
    ) {
        let id = |lease, counter| ChunkId { lease: LeaseId(lease), counter };
        let range = ChunkRange { first: id(lease, 0), last: id(lease, u64::MAX) };
        let chunk = |lease| id(lease, counter);
        prop_assert!(range.has(chunk(lease)));
        prop_assert_eq!(range.has(chunk(other)), lease == other);
    }
}

#[test]
fn a_role_says_no_other_ones_name() {
    let keys = keys();
    let said = Capability {
        issuer: Role::Worker,
        methods: Methods::of(&[Method::Fence]),
        disk: Some(DiskId([1; 16])),
        scope: Scope::Call([2; 32]),
        epoch: None,
        ends_ms: 0,
    };
    for role in Role::ALL {
        let token = keys.get(role).expect("all roles").mint(&said);
        assert_eq!(keys.open(&token).is_some(), role == Role::Worker, "{role}");
    }
    let another = Key::of(Role::Worker, &derive("another secret"));
    assert_eq!(keys.open(&another.mint(&said)), None);
}

#[test]
fn the_time_is_told_to_whoever_asked_by_who_has_the_key() {
    let key = Key::of(Role::Gateway, &derive("secret"));
    let told = key.tell_clock(1_700_000_000_123, "token");
    assert_eq!(key.told_clock(&told, "token"), Some(1_700_000_000_123));
    assert_eq!(key.told_clock(&told, "another"), None);
    assert_eq!(key.told_clock(&told.replacen('7', "8", 1), "token"), None);
    assert_eq!(Key::of(Role::Worker, &derive("secret")).told_clock(&told, "token"), None);
    for other in ["", " ", "1", "1 AAAA", "x AAAA"] {
        assert_eq!(key.told_clock(other, "token"), None, "{other}");
    }
}

#[test]
fn calls_are_told_apart_by_all_that_they_say() {
    let calls = [("/a", "b"), ("/ab", ""), ("/a", "c"), ("/a?b", ""), ("", "/ab")];
    let digests: std::collections::HashSet<_> =
        calls.iter().map(|(path, body)| call_digest(path, body.as_bytes())).collect();
    assert_eq!(digests.len(), calls.len());
}

#[test]
fn whoever_has_several_roles_speaks_as_the_one_that_may() {
    let caller = Caller::derived(Roles::of(&[Role::Worker, Role::Admin]), derive("secret"));
    let speaks = |method: Method| caller.keys.first_of(method.callers()).map(|(role, _)| role);
    assert_eq!(speaks(Method::Fence), Some(Role::Worker));
    assert_eq!(speaks(Method::Release), Some(Role::Admin));
    let gateway = Caller::derived(Roles::of(&[Role::Gateway]), derive("secret"));
    assert_eq!(gateway.keys.first_of(Method::Fence.callers()).map(|(role, _)| role), Some(Role::Gateway));
}

#[test]
fn no_key_is_shown() {
    let shown = format!(
        "{:?} {:?} {:?}",
        Access::derived(derive("hunter2")),
        Caller::derived(Roles::of(&[Role::Gateway]), derive("hunter2")),
        Key::of(Role::Gateway, &derive("hunter2"))
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!SCHEME.contains(' '));
}
