//! Leases and the fence.

use std::time::Duration;

use types::{Content, LeaseId};

use super::support::{
    Minter, Store, bucket, current_etag, get_bucket, key, new_upload, sequence, stored_part, unique,
    violation, write_stored,
};
use metadata_api::{CommitPart, CommitVersion, Error, LeaseState, ListParts};

async fn state(store: &Store, lease: LeaseId) -> Option<LeaseState> {
    store.list_leases().await.expect("a listing of leases").into_iter().find(|state| state.id == lease)
}

async fn renewals(store: &Store, lease: LeaseId) -> i64 {
    state(store, lease).await.unwrap_or_else(|| violation("a live lease is listed")).renewals
}

/// Every lease is another one, and is listed with its holder and its renewals.
pub async fn leases_are_distinct_and_listed(store: &Store) {
    let holder = unique();
    let (first, second) = (store.acquire_lease(&holder).await, store.acquire_lease(&holder).await);
    let (first, second) = (first.expect("a lease"), second.expect("a lease"));
    assert_ne!(first.id, second.id, "a lease is a range of chunk ids, so it is given out once");
    assert!(first.time_to_live > Duration::ZERO);
    assert_eq!(state(store, first.id).await.map(|state| state.holder), Some(holder));
    let before = renewals(store, first.id).await;
    for count in 1..=3 {
        store.renew_lease(first.id, 0).await.expect("a live lease");
        assert_eq!(renewals(store, first.id).await, before + count);
    }
}

/// Only a lease that was not renewed since it was looked at is revoked; a revoked one stays revoked.
pub async fn a_lease_is_revoked_only_on_a_fresh_observation(store: &Store) {
    let lease = store.acquire_lease("holder").await.expect("a lease").id;
    let observed = renewals(store, lease).await;
    store.renew_lease(lease, 0).await.expect("a live lease");
    assert_eq!(store.revoke_lease(lease, observed).await, Ok(false), "it was renewed since");
    store.renew_lease(lease, 0).await.expect("the lease is still live");
    let observed = renewals(store, lease).await;
    assert_eq!(store.revoke_lease(lease, observed).await, Ok(true));
    assert_eq!(store.renew_lease(lease, 0).await, Err(Error::LeaseRevoked));
    let listed = state(store, lease).await.map(|state| state.revoked);
    assert_eq!(listed, Some(true), "a revoked lease is listed until it is reaped");
    assert_eq!(store.revoke_lease(lease, observed).await, Ok(true), "it is revoked now");
    let next = store.acquire_lease("holder").await.expect("a lease").id;
    assert_ne!(next, lease, "a revoked lease is not given out again");
}

/// Under a revoked or unknown lease neither versions nor parts become visible.
pub async fn nothing_is_committed_under_a_revoked_or_unknown_lease(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let revoked = store.acquire_lease("holder").await.expect("a lease").id;
    let observed = renewals(store, revoked).await;
    assert_eq!(store.revoke_lease(revoked, observed).await, Ok(true));
    let before = get_bucket(store, &name).await;
    for lease in [revoked, LeaseId(i64::MAX - 7)] {
        assert_eq!(store.renew_lease(lease, 0).await, Err(Error::LeaseRevoked));
        let mut minter = Minter::under(lease);
        let request = write_stored(&name, &k, 1, lease, minter.content(&[9]));
        assert_eq!(store.commit_version(request).await, Err(Error::LeaseRevoked));
        let inline = write_stored(&name, &k, 1, lease, Content::Inline("x".into()));
        assert_eq!(
            store.commit_version(inline).await,
            Err(Error::LeaseRevoked),
            "a named lease counts, always"
        );
        let part = stored_part(&name, &k, upload, 1, &mut minter, 9);
        assert_eq!(store.commit_part(part).await, Err(Error::LeaseRevoked));
    }
    assert_eq!(get_bucket(store, &name).await, before);
    assert_eq!(current_etag(store, &name, &k).await, None);
    let request = ListParts { bucket: name, key: k, upload, after: None, limit: 10 };
    assert_eq!(store.list_parts(request).await.expect("the upload is open").parts, []);
}

/// Chunks are named under their own lease alone: another one that is live does not stand for theirs, and none does not either.
pub async fn chunks_are_named_under_their_own_lease(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let revoked = store.acquire_lease("holder").await.expect("a lease").id;
    let observed = renewals(store, revoked).await;
    assert_eq!(store.revoke_lease(revoked, observed).await, Ok(true));
    let other = store.acquire_lease("other").await.expect("a lease").id;
    let mut own = Minter::acquire(store).await;
    let before = get_bucket(store, &name).await;
    for foreign in [revoked, other] {
        let mut foreign = Minter::under(foreign);
        let mut mixed = own.content(&[9]);
        if let (Content::Stored(mixed), Content::Stored(more)) = (&mut mixed, foreign.content(&[9])) {
            mixed.extents.extend(more.extents);
        }
        for content in [foreign.content(&[9]), mixed] {
            let request = write_stored(&name, &k, 1, own.lease, content.clone());
            let answer = store.commit_version(request.clone()).await;
            assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
            let answer = store.commit_version(CommitVersion { lease: None, ..request }).await;
            assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
            let part = stored_part(&name, &k, upload, 1, &mut own, 9);
            let answer = store.commit_part(CommitPart { content, ..part }).await;
            assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
        }
    }
    assert_eq!(get_bucket(store, &name).await, before);
    let request = ListParts { bucket: name.clone(), key: k.clone(), upload, after: None, limit: 10 };
    assert_eq!(store.list_parts(request).await.expect("the upload is open").parts, []);
    let request = write_stored(&name, &k, 1, own.lease, own.content(&[9, 9]));
    store.commit_version(request).await.expect("its own chunks are named");
}

/// The fence itself: once a revocation has been answered, no commit under the lease happens, not even one that was
/// on its way. Commits under another lease go on.
pub async fn no_commit_follows_a_revocation(store: &Store) {
    let (name, other) = (bucket(store).await, bucket(store).await);
    let lease = store.acquire_lease("holder").await.expect("a lease").id;
    let live = store.acquire_lease("other").await.expect("a lease").id;
    let env = env::Env::real();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, name) = (store.clone(), name.clone());
            env.spawn(async move {
                for number in 0..10_000 {
                    let k = key(&format!("{writer}-{number}"));
                    match store
                        .commit_version(write_stored(&name, &k, 1, lease, Content::Inline("x".into())))
                        .await
                    {
                        Ok(_) => {}
                        Err(Error::LeaseRevoked) => return,
                        Err(error) => violation(format_args!("a commit under a lease answered {error}")),
                    }
                }
            })
        })
        .collect();
    while sequence(store, &name).await < 20 {
        env.sleep(Duration::from_millis(1)).await;
    }
    let observed = renewals(store, lease).await;
    assert_eq!(store.revoke_lease(lease, observed).await, Ok(true));
    let at_revocation = sequence(store, &name).await;
    for writer in writers {
        writer.await.unwrap_or_else(|| violation("a writer failed; its message is above"));
    }
    assert_eq!(sequence(store, &name).await, at_revocation, "no commit after the revocation was answered");
    let request = write_stored(&other, &key("k"), 1, live, Content::Inline("x".into()));
    store.commit_version(request).await.expect("another lease is not concerned");
}
