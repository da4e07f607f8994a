//! Messages round-trip, failures lose nothing, and what breaks a bound is refused.

use std::fmt::Debug;

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use prost::Message;
use tonic::Code;
use types::{ChunkId, Coding, Content, ETag, Extent, GroupId, KeyPrefix, LeaseId, Manifest, PartNumber};

use super::{
    MESSAGE_SIZE_MAX, OwnedChunk, WireError,
    accounts::Accounts,
    failure_of, fitting,
    identities::MaybeKey,
    proto,
    rates::{RateLimits, SetRateLimit},
    sessions::MadeSession,
    status_of, strategies,
    unwrapped::Jobs,
};
use crate::{
    Account, AccountChanged, AccountCreated, AccountId, AccountKey, ChangeIdentities, CommitPart,
    CommitVersion, CompleteUpload, ContentPage, CopyVersion, CreateAccount, CreateUpload, DeleteVersions,
    EncryptedPage, Error, Eviction, GarbageId, GarbageItem, IdentitiesChanged, Inventory, JobName, JobState,
    ListBuckets, ListObjects, NewMove, NodeRegistration, ObjectEntry, ObjectPage, OpenSession, RateLimitSet,
    RenameObject, RenamePrefix, ReplaceChunks, Rewrap, RootKeyMade, SealSession, Session, SessionOpened,
    SetAcl, SetRestore, StorageClassDefinition,
};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

/// A value survives the wire, and its bytes with one of them changed panic nobody.
fn survives<D, W>(value: D, place: Index, byte: u8) -> Result<(), TestCaseError>
where
    W: From<D> + Message + Default,
    D: TryFrom<W> + Clone + PartialEq + Debug,
    WireError: From<D::Error>,
{
    let mut bytes = W::from(value.clone()).encode_to_vec();
    let message = W::decode(&bytes[..]).expect("just encoded");
    prop_assert_eq!(D::try_from(message).map_err(WireError::from), Ok(value));
    if !bytes.is_empty() {
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(message) = W::decode(&bytes[..]) {
            // Refused or taken for another value; both are fine.
            drop(D::try_from(message));
        }
    }
    Ok(())
}

macro_rules! survive {
    ($($name:ident: $message:ident;)*) => {
        proptest! {
            #![proptest_config(config())]
            $(
                #[test]
                fn $name(value in strategies::$name(), place in any::<Index>(), byte in any::<u8>()) {
                    survives::<_, proto::$message>(value, place, byte)?;
                }
            )*
        }
    };
}

mod every_message_survives_the_wire {
    use super::*;

    survive! {
        abort_upload: AbortUploadRequest;
        whole_account: Account;
        account_changed: AccountChange;
        account_created: CreateAccountResponse;
        account_key: FindAccountRequest;
        accounts: ListAccountsResponse;
        create_account: CreateAccountRequest;
        found_account: FindAccountResponse;
        root_key_made: MakeRootKeyResponse;
        maybe_key: DeriveSigningKeyResponse;
        bucket: Bucket;
        bucket_page: BucketPage;
        cluster_map: ClusterMap;
        commit_part: CommitPartRequest;
        commit_version: CommitVersionRequest;
        committed: Committed;
        complete_upload: CompleteUploadRequest;
        content_page: ListContentsResponse;
        copy_version: CopyVersionRequest;
        create_bucket: CreateBucketRequest;
        create_upload: CreateUploadRequest;
        disk_history: DiskHistory;
        delete_outcome: DeleteOutcome;
        delete_versions: DeleteVersionsRequest;
        error: Failure;
        encrypted_page: ListEncryptedResponse;
        eviction: Eviction;
        found_version: FoundVersion;
        garbage_id: GarbageId;
        garbage_item: GarbageItem;
        get_version: GetVersionRequest;
        change_identities: ChangeIdentitiesRequest;
        identities_changed: ChangeIdentitiesResponse;
        identity_page: ReadIdentitiesResponse;
        rate_limit_set: SetRateLimitResponse;
        rate_limits: ListRateLimitsResponse;
        set_rate_limit: SetRateLimitRequest;
        seal_session: SealSessionRequest;
        made_session: SealSessionResponse;
        open_session: OpenSessionRequest;
        session_opened: OpenSessionResponse;
        inventory: Inventory;
        job_state: JobState;
        lease: Lease;
        lease_state: LeaseState;
        list_buckets: ListBucketsRequest;
        list_objects: ListObjectsRequest;
        list_parts: ListPartsRequest;
        list_uploads: ListUploadsRequest;
        list_versions: ListVersionsRequest;
        missing_shard: MissingShard;
        new_move: NewMove;
        node_registration: NodeRegistration;
        object_page: ObjectPage;
        owned_chunk: OwnedChunk;
        part: Part;
        part_page: PartPage;
        rename_object: RenameObjectRequest;
        rename_prefix: RenamePrefixRequest;
        replace_chunks: RowReplacement;
        rewrap: RewrapRequest;
        set_acl: SetAclRequest;
        set_lock: SetLockRequest;
        set_restore: SetRestoreRequest;
        set_tags: SetTagsRequest;
        shard_id: ShardId;
        storage_class_definition: StorageClassDefinition;
        tagged: SetTagsResponse;
        upload: Upload;
        upload_page: UploadPage;
        version_page: VersionPage;
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_failure_survives_as_a_status(error in strategies::error()) {
        let status = status_of(error.clone());
        prop_assert_ne!(status.code(), Code::Ok);
        prop_assert_eq!(failure_of(&status), Some(Ok(error)));
    }
}

#[test]
fn every_failure_has_its_code() {
    let bucket = || types::BucketName::new("bucket").expect("a valid name");
    let etag = ETag { digest: [7; 16], parts: None };
    let number = PartNumber::new(3).expect("a valid number");
    let reason = || "because".to_owned();
    let codes = [
        (Error::BucketNotFound { bucket: bucket() }, Code::NotFound),
        (Error::BucketExists { bucket: bucket(), owner: AccountId("me".to_owned()) }, Code::AlreadyExists),
        (Error::BucketNotEmpty { bucket: bucket() }, Code::FailedPrecondition),
        (Error::KeyNotFound, Code::NotFound),
        (Error::VersionNotFound, Code::NotFound),
        (Error::PreconditionFailed { current: Some(etag) }, Code::FailedPrecondition),
        (Error::UploadNotFound, Code::NotFound),
        (Error::InvalidPart { number }, Code::InvalidArgument),
        (Error::InvalidPartOrder, Code::InvalidArgument),
        (Error::PartTooSmall { number, size: 1, minimum: 2, etag }, Code::InvalidArgument),
        (Error::UploadSizeMismatch { stated: 1, actual: 2 }, Code::InvalidArgument),
        (Error::UploadChecksumMismatch, Code::InvalidArgument),
        (Error::LeaseRevoked, Code::FailedPrecondition),
        (Error::LeaseActive { lease: types::LeaseId(7) }, Code::FailedPrecondition),
        (Error::StaleMap { epoch: 7 }, Code::FailedPrecondition),
        (Error::NodeNotFound { node: types::NodeId([1; 16]) }, Code::NotFound),
        (Error::DiskNotFound { disk: types::DiskId([1; 16]) }, Code::NotFound),
        (Error::MoveNotFound, Code::NotFound),
        (Error::JobLost, Code::FailedPrecondition),
        (Error::Malformed { reason: reason() }, Code::InvalidArgument),
        (Error::Unauthenticated, Code::Unauthenticated),
        (Error::Unavailable { reason: reason() }, Code::Unavailable),
        (Error::TimedOut, Code::DeadlineExceeded),
        (Error::Internal { reason: reason() }, Code::Internal),
    ];
    for (error, code) in codes {
        let status = status_of(error.clone());
        assert_eq!(status.code(), code, "{error:?}");
        assert_eq!(failure_of(&status), Some(Ok(error)));
    }
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let reason = "é".repeat(5000);
    let status = status_of(Error::Internal { reason: format!("x{reason}") });
    let Some(Ok(Error::Internal { reason: kept })) = failure_of(&status) else { panic!("{status:?}") };
    assert_eq!(kept, format!("x{}", "é".repeat(2047)));
    assert!(status.message().len() <= 256);
}

#[test]
fn a_status_of_somebody_else_holds_no_failure() {
    assert_eq!(failure_of(&tonic::Status::unavailable("from a proxy")), None);
    // The standard details: field 1 is a number there, and a message here.
    let other = tonic::Status::with_details(Code::NotFound, "", Bytes::from_static(&[0x08, 0x05]));
    assert_eq!(failure_of(&other), None);
    // A failure that a later release may add.
    let later = tonic::Status::with_details(Code::Aborted, "", Bytes::from_static(&[0xfa, 0x01, 0x00]));
    assert_eq!(failure_of(&later), Some(Err(WireError::Missing { field: "failure" })));
}

/// One arbitrary value, always the same.
fn sample<S: Strategy>(strategy: S) -> S::Value {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    strategy.new_tree(&mut TestRunner::deterministic()).expect("a value").current()
}

/// Asserts that each change of a valid message makes it invalid, with the field named.
macro_rules! refused {
    ($domain:ty, $message:ty, $strategy:expr, $($field:literal: $change:expr;)*) => {
        $({
            let mut message = <$message>::from(sample($strategy));
            let change: fn(&mut $message) = $change;
            change(&mut message);
            let error = <$domain>::try_from(message).expect_err($field).to_string();
            assert!(error.contains($field), "{error}, expected {}", $field);
        })*
    };
}

fn part(upload: &[u8], number: u32) -> proto::ContentOwner {
    let part = proto::UploadPart { upload: Bytes::copy_from_slice(upload), number };
    proto::ContentOwner { owner: Some(proto::content_owner::Owner::Part(part)) }
}

fn grant(account: String, permission: i32) -> Option<proto::Acl> {
    let grantee = Some(proto::grant::Grantee::Account(account));
    Some(proto::Acl { grants: vec![proto::Grant { grantee, permission }], owner: None })
}

#[test]
fn a_request_that_breaks_a_bound_is_refused() {
    refused! { ListBuckets, proto::ListBucketsRequest, strategies::list_buckets(),
        "limit": |m| m.limit = 0;
        "limit": |m| m.limit = 10_001;
        "owner": |m| m.owner = "x".repeat(1025);
        "prefix": |m| m.prefix = "x".repeat(1025);
        "after": |m| m.after = Some("x".repeat(1025));
    }
    refused! { ListObjects, proto::ListObjectsRequest, strategies::list_objects(),
        "bucket": |m| m.bucket = "Bucket".to_owned();
        "limit": |m| m.limit = 0;
        "limit": |m| m.limit = 1001;
        "delimiter": |m| m.delimiter = Some(Bytes::new());
        "prefix": |m| m.prefix = Bytes::from_static(&[0xff]);
        "after": |m| m.after = Some(Bytes::from(vec![b'a'; 1025]));
    }
    refused! { CommitVersion, proto::CommitVersionRequest, strategies::commit_version(),
        "bucket": |m| m.bucket.clear();
        "key": |m| m.key = Bytes::new();
        "key": |m| m.key = Bytes::from(vec![b'a'; 1025]);
        "version": |m| m.version = None;
        "content": |m| m.version.as_mut().unwrap().content = None;
        "content": |m| m.version.as_mut().unwrap().content.as_mut().unwrap().content = None;
        "storage_class": |m| m.version.as_mut().unwrap().storage_class = "standard".to_owned();
        "etag": |m| m.version.as_mut().unwrap().etag.as_mut().unwrap().digest = Bytes::from_static(b"short");
        "etag": |m| m.version.as_mut().unwrap().etag.as_mut().unwrap().parts = Some(65_536);
        "condition": |m| m.condition = Some(proto::WriteCondition { condition: None });
    }
    refused! { CommitPart, proto::CommitPartRequest, strategies::commit_part(),
        "number": |m| m.number = 0;
        "number": |m| m.number = 10_001;
        "number": |m| m.number = 65_537;
        "upload": |m| m.upload = Bytes::from_static(&[1; 15]);
        "algorithm": |m| m.checksum.as_mut().unwrap().algorithm = 0;
        "algorithm": |m| m.checksum.as_mut().unwrap().algorithm = 99;
        "checksum": |m| m.checksum.as_mut().unwrap().value = Bytes::new();
        "checksum": |m| m.checksum = None;
    }
    refused! { CompleteUpload, proto::CompleteUploadRequest, strategies::complete_upload(),
        "parts": |m| m.parts.clear();
        "parts": |m| m.parts = vec![m.parts[0].clone(); 10_001];
        "checksum_type": |m| m.checksum_type = Some(0);
    }
    refused! { CreateUpload, proto::CreateUploadRequest, strategies::create_upload(),
        "initiator": |m| m.initiator = Some(String::new());
        "initiator": |m| m.initiator = Some("x".repeat(1025));
    }
    refused! { DeleteVersions, proto::DeleteVersionsRequest, strategies::delete_versions(),
        "entries": |m| m.entries = vec![proto::DeleteVersion { key: "k".into(), ..Default::default() }; 1001];
        "version_id": |m| m.entries = vec![proto::DeleteVersion {
            bypasses_governance: false,
            key: "k".into(),
            version_id: Some(proto::VersionId { id: None }),
            condition: None,
        }];
    }
    refused! { CopyVersion, proto::CopyVersionRequest, strategies::copy_version(),
        "source_etag": |m| m.source_etag = None;
        "version_id": |m| m.source_version_id = Some(proto::VersionId {
            id: Some(proto::version_id::Id::Numbered(proto::NumberedVersionId { sequence: 0, nonce: 1 })),
        });
    }
    refused! { RenameObject, proto::RenameObjectRequest, strategies::rename_object(),
        "source_etag": |m| m.source_etag = None;
        "parameters": |m| m.mark = Some(proto::RenameMark { token: Bytes::from_static(&[1; 16]), ..Default::default() });
    }
    refused! { RenamePrefix, proto::RenamePrefixRequest, strategies::rename_prefix(),
        "objects": |m| m.objects = vec![proto::RenamedObject::default(); 1001];
        "version_id": |m| m.objects = vec![proto::RenamedObject { key: "k".into(), ..Default::default() }];
    }
    refused! { SetAcl, proto::SetAclRequest, strategies::set_acl(),
        "grants": |m| m.acl = Some(proto::Acl { grants: vec![proto::Grant::default(); 101], owner: None });
        "grantee": |m| m.acl = Some(proto::Acl { grants: vec![proto::Grant { permission: 1, ..Default::default() }], owner: None });
        "grantee": |m| m.acl = grant("x".repeat(257), 1);
        "group": |m| m.acl = Some(proto::Acl { grants: vec![proto::Grant {
            grantee: Some(proto::grant::Grantee::Group(4)),
            permission: 1,
        }], owner: None });
        "permission": |m| m.acl = grant("x".to_owned(), 0);
        "owner": |m| m.acl = Some(proto::Acl { grants: Vec::new(), owner: Some("x".repeat(257)) });
    }
    refused! { SetRestore, proto::SetRestoreRequest, strategies::set_restore(),
        "version_id": |m| m.version_id = None;
        "archive class": |m| m.was = Some(proto::Restore { class: 3, ..Default::default() });
        "restore": |m| m.restore = None;
        "archive class": |m| m.restore = Some(proto::Restore::default());
    }
    refused! { Rewrap, proto::RewrapRequest, strategies::rewrap(),
        "row": |m| m.row = None;
        "was": |m| m.was = None;
        "owner": |m| m.row.as_mut().unwrap().owner = None;
        "upload": |m| m.row.as_mut().unwrap().owner = Some(proto::encrypted_row::Owner::Upload("x".into()));
        "version_id": |m| m.row.as_mut().unwrap().owner =
            Some(proto::encrypted_row::Owner::Version(proto::EncryptedVersion::default()));
        "scheme": |m| m.was.as_mut().unwrap().scheme = 4;
        "encryption": |m| m.row.as_mut().unwrap().encryption = None;
    }
    refused! { EncryptedPage, proto::ListEncryptedResponse, strategies::encrypted_page(),
        "next": |m| m.next = Some(Bytes::from(vec![0; 4097]));
        "owner": |m| m.rows = vec![proto::EncryptedRow::default()];
    }
    refused! { NodeRegistration, proto::NodeRegistration, strategies::node_registration(),
        "node": |m| m.node = Bytes::new();
        "domain": |m| m.domain = "rack".to_owned();
        "address": |m| m.address = "x".repeat(1025);
        "disks": |m| m.disks = vec![proto::DiskRegistration::default(); 4097];
    }
    refused! { StorageClassDefinition, proto::StorageClassDefinition, strategies::storage_class_definition(),
        "groups": |m| m.groups = 0;
        "groups": |m| m.groups = 3;
        "coding": |m| m.coding = Some(proto::Coding { data: 4, parity: 5 });
        "coding": |m| m.coding = Some(proto::Coding { data: 260, parity: 2 });
        "medium": |m| m.medium = Some("x".repeat(1025));
    }
    refused! { NewMove, proto::NewMove, strategies::new_move(),
        "index": |m| m.index = 256;
        "to": |m| m.to = Bytes::from_static(&[1; 15]);
    }
    refused! { Eviction, proto::Eviction, strategies::eviction(),
        "index": |m| m.index = 256;
        "disk": |m| m.disk = Bytes::new();
    }
    refused! { OwnedChunk, proto::OwnedChunk, strategies::owned_chunk(),
        "chunk": |m| m.chunk = None;
        "bucket": |m| m.bucket = "B".to_owned();
        "key": |m| m.key = Bytes::new();
    }
    refused! { ReplaceChunks, proto::RowReplacement, strategies::replace_chunks(),
        "bucket": |m| m.bucket = "B".to_owned();
        "key": |m| m.key = Bytes::new();
        "owner": |m| m.owner = None;
        "owner": |m| m.owner = Some(proto::ContentOwner { owner: None });
        "number": |m| m.owner = Some(part(&[7; 16], 10_001));
        "upload": |m| m.owner = Some(part(&[7; 15], 1));
        "chunks": |m| m.chunks = vec![proto::Replacement::default(); 1001];
        "class": |m| m.class = Some(proto::ClassChange::default());
    }
    refused! { Inventory, proto::Inventory, strategies::inventory(),
        "id": |m| m.id = "x".repeat(1025);
    }
    refused! { ChangeIdentities, proto::ChangeIdentitiesRequest, strategies::change_identities(),
        "account": |m| m.account = "x".repeat(1025);
        "changes": |m| m.changes = vec![m.changes[0].clone(); 65];
        "kind": |m| m.changes[0].kind = 0;
        "kind": |m| m.changes[0].kind = 99;
        "name": |m| m.changes[0].name = String::new();
        "name": |m| m.changes[0].name = "x".repeat(257);
        "document": |m| m.changes[0].document = Some(Bytes::from(vec![1; (256 << 10) + 1]));
        "secret_for": |m| m.secret_for = Some("x".repeat(1025));
    }
    refused! { IdentitiesChanged, proto::ChangeIdentitiesResponse, strategies::identities_changed(),
        "outcome": |m| m.outcome = None;
    }
    refused! { Account, proto::Account, strategies::whole_account(),
        "id": |m| m.id = "x".repeat(1025);
        "name": |m| m.name = "x".repeat(1025);
        "email": |m| m.email = Some("x".repeat(1025));
        "status": |m| m.status = 0;
        "status": |m| m.status = 99;
        "root_keys": |m| m.root_keys = vec![String::new(); 3];
    }
    refused! { AccountCreated, proto::CreateAccountResponse, strategies::account_created(),
        "outcome": |m| m.outcome = None;
    }
    refused! { AccountKey, proto::FindAccountRequest, strategies::account_key(),
        "key": |m| m.key = None;
        "name": |m| m.key = Some(proto::find_account_request::Key::Name("x".repeat(1025)));
    }
    refused! { AccountChanged, proto::AccountChange, strategies::account_changed(),
        "outcome": |m| m.outcome = 0;
        "outcome": |m| m.outcome = 99;
    }
    refused! { Accounts, proto::ListAccountsResponse, strategies::accounts(),
        "accounts": |m| m.accounts = vec![proto::Account::default(); 501];
    }
    refused! { RootKeyMade, proto::MakeRootKeyResponse, strategies::root_key_made(),
        "outcome": |m| m.outcome = None;
    }
    refused! { CreateAccount, proto::CreateAccountRequest, strategies::create_account(),
        "name": |m| m.name = "x".repeat(1025);
        "email": |m| m.email = Some("x".repeat(1025));
    }
    refused! { MaybeKey, proto::DeriveSigningKeyResponse, strategies::maybe_key(),
        "key": |m| m.key = Some(Bytes::from_static(b"short"));
        "account": |m| { m.key = Some(Bytes::from(vec![1; 32])); m.account = Some("x".repeat(1025)) };
    }
    refused! { SetRateLimit, proto::SetRateLimitRequest, strategies::set_rate_limit(),
        "account": |m| m.account = "x".repeat(1025);
        "holder": |m| m.holder = None;
        "name": |m| m.holder = Some(proto::RateHolder { kind: 0, name: String::new() });
        "kind": |m| m.holder = Some(proto::RateHolder { kind: 99, name: String::new() });
        "name": |m| m.holder = Some(proto::RateHolder { kind: 1, name: "x".repeat(257) });
        "rates": |m| m.rates = Some(proto::Rates { sent_bytes: Some(1), ..Default::default() });
    }
    refused! { RateLimits, proto::ListRateLimitsResponse, strategies::rate_limits(),
        "limits": |m| m.limits = vec![proto::RateLimit::default(); 1001];
        "holder": |m| m.limits = vec![proto::RateLimit::default()];
    }
    refused! { RateLimitSet, proto::SetRateLimitResponse, strategies::rate_limit_set(),
        "outcome": |m| m.outcome = 0;
        "outcome": |m| m.outcome = 99;
    }
    refused! { SealSession, proto::SealSessionRequest, strategies::seal_session(),
        "account": |m| m.account = "x".repeat(1025);
        "access_key_id": |m| m.access_key_id = "x".repeat(1025);
        "claims": |m| m.claims = Bytes::from(vec![1; (4 << 10) + 1]);
    }
    refused! { MadeSession, proto::SealSessionResponse, strategies::made_session(),
        "token": |m| m.session = Some(proto::SealedSession { secret: "s".to_owned(), token: Bytes::from(vec![1; (6 << 10) + 1]) });
        "secret": |m| m.session = Some(proto::SealedSession { secret: "s".repeat(1025), token: Bytes::new() });
    }
    refused! { OpenSession, proto::OpenSessionRequest, strategies::open_session(),
        "access_key_id": |m| m.access_key_id = "x".repeat(1025);
        "token": |m| m.token = Bytes::from(vec![1; (6 << 10) + 1]);
        "day": |m| m.day = "20260230".to_owned();
        "region": |m| m.region = "x".repeat(1025);
        "service": |m| m.service = "x".repeat(1025);
    }
    refused! { Session, proto::Session, strategies::session(),
        "account": |m| m.account = "x".repeat(1025);
        "claims": |m| m.claims = Bytes::from(vec![1; (4 << 10) + 1]);
        "key": |m| m.key = Bytes::from(vec![1; 31]);
    }
    refused! { SessionOpened, proto::OpenSessionResponse, strategies::session_opened(),
        "outcome": |m| m.outcome = None;
    }
    refused! { JobState, proto::JobState, strategies::job_state(),
        "job": |m| m.job = 0;
        "job": |m| m.job = 99;
        "holder": |m| m.holder = "x".repeat(1025);
        "progress": |m| m.progress = None;
    }
    refused! { ContentPage, proto::ListContentsResponse, strategies::content_page(),
        "next": |m| m.next = Some(Bytes::from(vec![1; 4097]));
        "kind": |m| m.rows = vec![proto::ContentRow::default()];
        "key": |m| m.rows = vec![proto::ContentRow { kind: 1, key: Some(Bytes::new()), ..Default::default() }];
        "bucket_name": |m| {
            m.rows = vec![proto::ContentRow { kind: 1, bucket_name: Some("A".to_owned()), ..Default::default() }];
        };
    }
}

#[test]
fn versioning_of_an_unknown_number_is_refused() {
    for value in [0, 4, -1, i32::MAX] {
        assert_eq!(super::versioning(value), Err(WireError::UnknownValue { field: "versioning", value }));
    }
}

fn extent(counter: u64) -> Extent {
    Extent {
        chunk: ChunkId { lease: LeaseId(i64::from(i32::MAX)), counter },
        group: GroupId(1023),
        coding: Coding::new(8, 4).expect("a valid coding"),
        chunk_length: 64 << 20,
        offset: 0,
        length: 64 << 20,
        checksum: u64::MAX,
    }
}

#[test]
fn an_extent_outside_its_chunk_is_refused() {
    let changes: [fn(&mut proto::Extent); 5] = [
        |m| m.chunk_length = (64 << 20) + 1,
        |m| m.offset = 1,
        |m| m.offset = u64::MAX,
        |m| m.length = u64::MAX,
        |m| m.chunk = None,
    ];
    for change in changes {
        let mut message = proto::Extent::from(extent(1));
        change(&mut message);
        assert!(Extent::try_from(message).is_err(), "{message:?}");
    }
}

#[test]
fn the_largest_manifest_and_page_fit_a_message() {
    let content = Content::Stored(Manifest { extents: (0..80_000).map(extent).collect() });
    let size = proto::Content::from(content).encoded_len();
    assert!(size < MESSAGE_SIZE_MAX / 8, "{size}");

    let entry = |_| ObjectEntry::CommonPrefix(KeyPrefix::new(vec![b'k'; 1024]).expect("a valid prefix"));
    let page = ObjectPage {
        entries: (0..1000).map(entry).collect(),
        truncated: true,
        owner: AccountId("me".to_owned()),
    };
    let size = proto::ObjectPage::from(page).encoded_len();
    assert!(size < MESSAGE_SIZE_MAX / 8, "{size}");
}

#[test]
fn garbage_that_does_not_fit_is_left_for_later() {
    let item = |number| GarbageItem {
        id: GarbageId { bucket: types::BucketId(1), number },
        extents: (0..100_000).map(extent).collect(),
    };
    let size = proto::GarbageItem::from(item(0)).encoded_len();
    let items: Vec<_> = (0..12).map(item).collect();
    let kept = fitting(items.clone());
    assert_eq!(kept.len(), MESSAGE_SIZE_MAX / 2 / size);
    assert!(kept.len() < items.len());
    let answer = proto::TakeGarbageResponse { items: kept.clone() };
    assert!(answer.encoded_len() <= MESSAGE_SIZE_MAX);
    for (kept, item) in kept.into_iter().zip(&items) {
        assert_eq!(GarbageItem::try_from(kept).as_ref(), Ok(item));
    }
    // One that is too large for its half still goes, or the queue would stand still.
    let huge = GarbageItem { extents: (0..800_000).map(extent).collect(), ..item(1) };
    assert_eq!(fitting(vec![huge, item(2)]).len(), 1);
}

/// Services of two releases work together while one is put in the place of the other.
#[test]
fn jobs_of_a_later_release_are_passed_over() {
    let state = |job| proto::JobState {
        job,
        holder: "worker".to_owned(),
        renewals: 1,
        progress: Some(proto::JobProgress::default()),
    };
    let jobs =
        Jobs::try_from(proto::ListJobsResponse { jobs: vec![state(1), state(99), state(2), state(0)] });
    let jobs: Vec<JobName> = jobs.expect("a list").0.into_iter().map(|state| state.job).collect();
    assert_eq!(jobs, [JobName::Plan, JobName::Move]);
    let malformed = proto::JobState { progress: None, ..state(1) };
    assert!(Jobs::try_from(proto::ListJobsResponse { jobs: vec![malformed] }).is_err());
}
