//! Sizes and bounds over the network.

use std::sync::Arc;

use bytes::Bytes;
use env::Env;
use types::{
    Attributes, ChunkId, Coding, Content, ETag, Extent, GroupId, KeyPrefix, LeaseId, Manifest, ObjectKey,
    StorageClassName,
};

use super::support::{Server, bucket_name, client, create_bucket, token};
use crate::{
    AccountId, CommitVersion, DeleteCondition, DeleteVersion, DeleteVersions, Error, GetVersion, ListBuckets,
    ListObjects, ListPosition, Metadata, NewVersion, Token, VersionState, WriteCondition,
    client::{AddressError, connect},
    fake::Fake,
};

async fn fake() -> Server {
    Server::of(Arc::new(Fake::new(Env::real()))).await
}

fn commit(key: impl Into<Bytes>, lease: Option<LeaseId>, content: Content) -> CommitVersion {
    CommitVersion {
        bucket: bucket_name(1),
        key: ObjectKey::new(key).expect("a valid key"),
        lease,
        version: NewVersion {
            content,
            etag: ETag { digest: [1; 16], parts: None },
            checksum: None,
            attributes: Attributes::default(),
            storage_class: StorageClassName::standard(),
        },
        condition: WriteCondition::None,
        missing: Vec::new(),
    }
}

/// 80,000 extents and a full page of the longest keys: the largest things there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_manifest_and_page_pass() {
    let server = fake().await;
    let client = client(&[&server.address]);
    client.create_bucket(create_bucket(1)).await.expect("a new bucket");
    let lease = client.acquire_lease("test").await.expect("a lease").id;
    let extent = |counter| Extent {
        chunk: ChunkId { lease, counter },
        group: GroupId(1023),
        coding: Coding::new(8, 4).expect("a valid coding"),
        chunk_length: 64 << 20,
        offset: 0,
        length: 64 << 20,
        checksum: u64::MAX,
    };
    let content = Content::Stored(Manifest { extents: (0..80_000).map(extent).collect() });
    client.commit_version(commit("large", Some(lease), content.clone())).await.expect("a commit");
    let asked = GetVersion {
        bucket: bucket_name(1),
        key: ObjectKey::new("large").expect("a valid key"),
        version_id: None,
        with_content: true,
    };
    let found = client.get_version(asked).await.expect("the version");
    let VersionState::Object(version) = found.state else { panic!("a delete marker") };
    assert!(version.content == content);

    let key = |number: usize| format!("k{number:01023}");
    for number in 0..1000 {
        client
            .commit_version(commit(key(number), None, Content::Inline(Bytes::from_static(b"x"))))
            .await
            .expect("a commit");
    }
    let page = client.list_objects(list(1000)).await.expect("a page");
    assert_eq!((page.entries.len(), page.truncated), (1000, true));
}

fn list(limit: usize) -> ListObjects {
    ListObjects {
        bucket: bucket_name(1),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: ListPosition::Start,
        limit,
    }
}

#[tokio::test]
async fn a_call_that_breaks_a_bound_is_malformed() {
    let server = fake().await;
    let client = client(&[&server.address]);
    client.create_bucket(create_bucket(1)).await.expect("a new bucket");
    for limit in [0, 1001, usize::MAX] {
        let error = client.list_objects(list(limit)).await.expect_err("a limit out of bounds");
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
    let owner = AccountId("x".repeat(2000));
    let request = ListBuckets { owner, prefix: String::new(), after: None, limit: 1 };
    let error = client.list_buckets(request).await.expect_err("an account out of bounds");
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    let entry = DeleteVersion {
        key: ObjectKey::new("k").expect("a valid key"),
        version_id: None,
        condition: DeleteCondition::default(),
        bypasses_governance: false,
    };
    let request = DeleteVersions { bucket: bucket_name(1), entries: vec![entry; 1001], marker_owner: None };
    let error = client.delete_versions(request).await.expect_err("too many entries");
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_message_over_64_mib_is_not_sent() {
    let server = fake().await;
    let client = client(&[&server.address]);
    let content = Content::Inline(Bytes::from(vec![0; 64 << 20]));
    // The bucket is not there; a message that was sent would be answered with that.
    let error = client.commit_version(commit("k", None, content)).await.expect_err("too large");
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_caller_with_another_token_is_refused() {
    let server = fake().await;
    let stranger = Token::new("another-secret").expect("a valid token");
    let addresses = vec![server.address.clone()];
    let stranger = connect(Env::real(), addresses, stranger).expect("a valid address");
    assert_eq!(stranger.ready().await, Err(Error::Unauthenticated));
    assert_eq!(stranger.create_bucket(create_bucket(1)).await, Err(Error::Unauthenticated));
    let client = client(&[&server.address]);
    let nothing = Err(Error::BucketNotFound { bucket: bucket_name(1) });
    assert_eq!(client.get_bucket(&bucket_name(1)).await, nothing);
}

#[tokio::test]
async fn an_address_is_a_host_and_a_port() {
    let connect = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        connect(Env::real(), addresses, token()).map(drop)
    };
    assert_eq!(connect(&[]), Err(AddressError::None));
    for good in ["localhost:1", "10.0.0.1:65535", "[::1]:7000", "metadata-0.metadata:7000"] {
        assert_eq!(connect(&[good]), Ok(()), "{good}");
    }
    for bad in ["", "host", "host:", ":1", "host:65536", "http://host:1", "host:1/x", "me@host:1", "a b:1"] {
        let malformed = Err(AddressError::Malformed { address: bad.to_owned() });
        assert_eq!(connect(&["localhost:1", bad]), malformed, "{bad}");
    }
}
