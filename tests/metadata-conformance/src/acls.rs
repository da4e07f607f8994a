//! Access control lists of versions.

use types::{Acl, Grant, Grantee, Group, ObjectKey, Permission, VersionId, Versioning};

use super::support::{
    Store, copy, delete, etag, get, inline_part, key, new_upload, object, put, sequence, versioned_bucket,
    write,
};
use metadata_api::{CompleteUpload, CopyAttributes, Error, RenameObject, SetAcl, Tagged, WriteCondition};

fn acl(permission: Permission) -> Option<Acl> {
    let mut acl = Acl::of_owner("me");
    for group in Group::ALL {
        acl.grants.push(Grant { grantee: Grantee::Group(group), permission });
    }
    Some(acl)
}

/// A list is a version's own and can be changed, also to one without grants; nothing else of the version changes.
pub async fn lists_are_changed_version_by_version(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let mut first = write(&name, &k, 1);
    first.version.attributes.acl = acl(Permission::Read);
    let first = store.commit_version(first).await.expect("a commit").version_id;
    let second = put(store, &name, &k, 2).await.version_id;
    let set =
        |version_id, acl| store.set_acl(SetAcl { bucket: name.clone(), key: k.clone(), version_id, acl });
    let (bucket, of) = (&name, &k);
    let found = |version_id| async move {
        let found = get(store, bucket, of, version_id).await.expect("it is there");
        (object(&found).attributes.acl.clone(), found)
    };
    let (before, untouched) = found(None).await;
    assert_eq!((before, found(Some(first)).await.0), (None, acl(Permission::Read)));
    let commits = sequence(store, &name).await;

    let changed = set(None, acl(Permission::WriteAcp)).await.expect("a current version");
    assert_eq!(changed, Tagged { versioning: Versioning::Enabled, version_id: second });
    assert_eq!(found(None).await.0, acl(Permission::WriteAcp));
    assert_eq!(found(Some(first)).await.0, acl(Permission::Read), "the older version keeps its list");
    assert_eq!(set(Some(first), Some(Acl::default())).await.expect("a version").version_id, first);
    assert_eq!(found(Some(first)).await.0, Some(Acl::default()), "no grants are not no list");
    set(None, None).await.expect("a current version");
    assert_eq!(found(None).await.1, untouched, "nothing but the list changed");
    assert_eq!(sequence(store, &name).await, commits, "it is no commit");

    let grant = acl(Permission::Read).expect("a list").grants.remove(0);
    let full = Acl { owner: None, grants: vec![grant.clone(); Acl::GRANTS_MAX] };
    set(None, Some(full.clone())).await.expect("as many grants as there may be");
    let long = Acl { owner: None, grants: vec![grant; Acl::GRANTS_MAX + 1] };
    let refused = set(None, Some(long)).await;
    assert!(matches!(refused, Err(Error::Malformed { .. })), "{refused:?}");
    assert_eq!(found(None).await.0, Some(full));

    delete(store, &name, &k, None).await;
    assert_eq!(set(None, None).await, Err(Error::KeyNotFound), "a delete marker has no list");
    let marker = get(store, &name, &k, None).await.expect("a delete marker").version_id;
    assert_eq!(set(Some(marker), None).await, Err(Error::VersionNotFound));
    let missing = SetAcl { bucket: name.clone(), key: key("missing"), version_id: None, acl: None };
    assert_eq!(store.set_acl(missing.clone()).await, Err(Error::KeyNotFound));
    assert_eq!(
        store.set_acl(SetAcl { version_id: Some(first), ..missing }).await,
        Err(Error::VersionNotFound)
    );
}

/// A copy has the list that it is given or none, a completed upload the one that it was opened with, and what is renamed
/// the one that it had.
pub async fn a_list_goes_along_with_its_object_but_not_with_copies(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let mut source = write(&name, &k, 1);
    source.version.attributes.acl = acl(Permission::Read);
    source.version.attributes.tags = vec![("key".to_owned(), "value".to_owned())];
    let source = store.commit_version(source).await.expect("a commit").version_id;
    let list = |of: ObjectKey, version_id: Option<VersionId>| {
        let name = name.clone();
        async move {
            let found = get(store, &name, &of, version_id).await.expect("it is there");
            object(&found).attributes.clone()
        }
    };

    let copied = copy((&name, &k, source), etag(1), (&name, &key("copy")));
    store.copy_version(copied.clone()).await.expect("a copy");
    let attributes = list(key("copy"), None).await;
    assert_eq!((attributes.acl.clone(), attributes.tags.len()), (None, 1), "all but the list is kept");
    let mut given = attributes;
    given.acl = acl(Permission::ReadAcp);
    let replaced =
        metadata_api::CopyVersion { attributes: CopyAttributes::Replace(Box::new(given)), ..copied };
    store.copy_version(replaced).await.expect("a copy");
    assert_eq!(list(key("copy"), None).await.acl, acl(Permission::ReadAcp));

    let mut upload = new_upload(&name, &key("upload"));
    upload.attributes.acl = acl(Permission::Write);
    let upload = store.create_upload(upload).await.expect("an upload");
    assert_eq!(upload.attributes.acl, acl(Permission::Write));
    store.commit_part(inline_part(&name, &upload.key, upload.id, 1, "part")).await.expect("a part");
    let complete: CompleteUpload = super::support::completion(&name, &upload.key, upload.id, &[1]);
    store.complete_upload(complete).await.expect("a completion");
    assert_eq!(list(key("upload"), None).await.acl, acl(Permission::Write));

    let rename = RenameObject {
        bucket: name.clone(),
        source_key: k.clone(),
        source_version_id: source,
        source_etag: etag(1),
        key: key("renamed"),
        mark: None,
        condition: WriteCondition::None,
    };
    store.rename_object(rename).await.expect("a rename");
    assert_eq!(list(key("renamed"), None).await.acl, acl(Permission::Read));
}
