//! GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl, GetBucketOwnershipControls, PutBucketOwnershipControls,
//! DeleteBucketOwnershipControls: who is granted what by lists, and whether lists have an effect. What they allow is in
//! `access_lists.rs`.

use harness::{Bucket, Element, Request, Server};
use http::Method;
use s3_wire::acl::ObjectOwnership;

use crate::support::assert_absent;

pub(crate) const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const ACCOUNTS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOGS: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// A server whose buckets have lists unless they say otherwise.
pub(crate) fn server_with_acls() -> Server {
    Server::start_with(1, |config| config.front.object_ownership = ObjectOwnership::ObjectWriter)
}

pub(crate) fn bucket_acl(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("acl")
}

pub(crate) fn object_acl(bucket: &Bucket, method: Method, key: &str) -> Request {
    bucket.object(method, key).raw_query("acl")
}

pub(crate) fn put_ownership(bucket: &Bucket, ownership: &str) -> Request {
    let document = format!(
        "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
    );
    bucket.request(Method::PUT).raw_query("ownershipControls").body(document)
}

pub(crate) fn get_ownership(bucket: &Bucket) -> Request {
    bucket.request(Method::GET).raw_query("ownershipControls")
}

pub(crate) fn block(bucket: &Bucket, setting: &str) {
    let document = format!(
        "<PublicAccessBlockConfiguration><{setting}>true</{setting}></PublicAccessBlockConfiguration>"
    );
    bucket.request(Method::PUT).raw_query("publicAccessBlock").body(document).ok();
}

/// Each grant as `grantee permission`, where the owner is `owner`.
fn grants(acl: &Element) -> Vec<String> {
    let owner = acl.get("Owner/ID");
    let grant = |grant: &Element| {
        let id = grant.elements("Grantee/ID").first().map(|id| id.text.clone());
        let grantee = match id {
            Some(id) if id == owner => "owner".to_owned(),
            Some(id) => id,
            None => grant.get("Grantee/URI").to_owned(),
        };
        format!("{grantee} {}", grant.get("Permission"))
    };
    acl.elements("AccessControlList/Grant").into_iter().map(grant).collect()
}

#[track_caller]
fn assert_grants(request: Request, others: &[(&str, &str)]) {
    let expected = others.iter().map(|(grantee, permission)| format!("{grantee} {permission}"));
    let expected: Vec<String> = std::iter::once("owner FULL_CONTROL".to_owned()).chain(expected).collect();
    assert_eq!(grants(&request.ok().xml()), expected);
}

fn owner(bucket: &Bucket) -> String {
    bucket_acl(bucket, Method::GET).ok().xml().get("Owner/ID").to_owned()
}

const XSI: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

fn policy(owner: &str, grants: &[(&str, &str)]) -> String {
    let grants: String = grants
        .iter()
        .map(|(grantee, permission)| {
            let kind = match grantee {
                id if id.contains("<ID>") => "CanonicalUser",
                uri if uri.contains("<URI>") => "Group",
                _ => "AmazonCustomerByEmail",
            };
            format!("<Grant><Grantee {XSI} xsi:type=\"{kind}\">{grantee}</Grantee><Permission>{permission}</Permission></Grant>")
        })
        .collect();
    format!(
        "<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
    )
}

#[test]
fn everything_belongs_to_the_buckets_owner() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    assert_grants(bucket_acl(&bucket, Method::GET), &[]);
    assert_grants(object_acl(&bucket, Method::GET, "key"), &[]);
    object_acl(&bucket, Method::GET, "missing").refused(404, "NoSuchKey");
    let missing = server.client().existing_bucket("missing");
    bucket_acl(&missing, Method::GET).refused(404, "NoSuchBucket");
    get_ownership(&missing).refused(404, "NoSuchBucket");
    let controls = get_ownership(&bucket).ok().xml();
    assert_eq!(controls.all("Rule/ObjectOwnership"), ["BucketOwnerEnforced"]);
}

#[test]
fn where_lists_are_off_new_objects_may_have_the_bucket_owners_and_no_other_is_set() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let of_bucket = || bucket_acl(&bucket, Method::PUT);
    let of_object = || object_acl(&bucket, Method::PUT, "key");
    let source = format!("{}/key", bucket.name);
    let owners = format!("id={}", owner(&bucket));
    for (name, value) in
        [("x-amz-acl", "bucket-owner-full-control"), ("x-amz-grant-full-control", owners.as_str())]
    {
        bucket.put("key", "content").header(name, value).ok();
        bucket.copy(&source, "copy").header(name, value).ok();
        bucket.upload_with("key", bucket.create_upload("key").header(name, value)).abort().send().expect(204);
        of_bucket().header(name, value).refused(400, "AccessControlListNotSupported");
        of_object().header(name, value).refused(400, "AccessControlListNotSupported");
    }
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "public-read"),
        ("x-amz-acl", "authenticated-read"),
        ("x-amz-acl", "bucket-owner-read"),
        ("x-amz-grant-read", "id=\"1\""),
        ("x-amz-grant-full-control", "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\""),
    ] {
        for request in [
            of_bucket(),
            of_object(),
            bucket.put("other", "content"),
            bucket.copy(&source, "other"),
            bucket.create_upload("other"),
        ] {
            request.header(name, value).refused(400, "AccessControlListNotSupported");
        }
    }
    bucket
        .form()
        .field("key", "other")
        .field("acl", "public-read")
        .signed("content")
        .refused(400, "AccessControlListNotSupported");
    assert_absent(&bucket, "other");
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
    // Clients that keep the list of what they copy put back what they were given.
    let given = object_acl(&bucket, Method::GET, "key").ok().body;
    of_object().body(&given).ok();
    of_bucket().body(&given).ok();
    let other = String::from_utf8(given).expect("text").replace("FULL_CONTROL", "READ");
    of_object().body(&other).refused(400, "AccessControlListNotSupported");
    of_bucket().body("<AccessControlPolicy/>").refused(400, "MalformedACLError");
    object_acl(&bucket, Method::PUT, "missing").header("x-amz-acl", "private").refused(404, "NoSuchKey");
}

#[test]
fn canned_lists_are_shown_as_their_grants() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    for (canned, of_bucket, of_object) in [
        ("public-read", &[(EVERYBODY, "READ")][..], Some(&[(EVERYBODY, "READ")][..])),
        (
            "public-read-write",
            &[(EVERYBODY, "READ"), (EVERYBODY, "WRITE")],
            Some(&[(EVERYBODY, "READ"), (EVERYBODY, "WRITE")]),
        ),
        ("authenticated-read", &[(ACCOUNTS, "READ")], Some(&[(ACCOUNTS, "READ")])),
        ("log-delivery-write", &[(LOGS, "WRITE"), (LOGS, "READ_ACP")], None),
        ("bucket-owner-read", &[], Some(&[])),
        ("bucket-owner-full-control", &[], Some(&[])),
        ("private", &[], Some(&[])),
    ] {
        bucket_acl(&bucket, Method::PUT).header("x-amz-acl", canned).ok();
        assert_grants(bucket_acl(&bucket, Method::GET), of_bucket);
        let source = format!("{}/key", bucket.name);
        for (key, request) in [
            ("key", object_acl(&bucket, Method::PUT, "key")),
            ("put", bucket.put("put", "content")),
            ("copy", bucket.copy(&source, "copy")),
        ] {
            let request = request.header("x-amz-acl", canned);
            match of_object {
                Some(expected) => {
                    request.ok();
                    assert_grants(object_acl(&bucket, Method::GET, key), expected);
                }
                None => assert_eq!(request.refused(400, "InvalidArgument").get("ArgumentValue"), canned),
            }
        }
        if let Some(expected) = of_object {
            let upload =
                bucket.upload_with("upload", bucket.create_upload("upload").header("x-amz-acl", canned));
            let etag = upload.put(1, "part");
            upload.complete(&[(1, &etag)]).ok();
            assert_grants(object_acl(&bucket, Method::GET, "upload"), expected);
            bucket.form().field("key", "form").field("acl", canned).signed("content").send().expect(204);
            assert_grants(object_acl(&bucket, Method::GET, "form"), expected);
        }
    }
    for name in ["public", "", "PRIVATE"] {
        let error =
            bucket_acl(&bucket, Method::PUT).header("x-amz-acl", name).refused(400, "InvalidArgument");
        assert_eq!(error.get("ArgumentName"), "x-amz-acl");
    }
}

/// Up to a hundred, which is more than any other header has that policies are compared with.
#[test]
fn a_header_may_have_many_grants() {
    let server = server_with_acls();
    let bucket = server.bucket();
    let grants = vec![format!("id=\"{}\"", owner(&bucket)); 60].join(", ");
    assert!(grants.len() > 4000, "{}", grants.len());
    bucket.put("key", "content").header("x-amz-grant-read", &grants).ok();
    bucket
        .put("key", "content")
        .header("x-amz-grant-read", [&*grants; 2].join(", "))
        .refused(400, "MalformedACLError");
}

#[test]
fn grants_name_those_who_are_there() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let me = owner(&bucket);
    let full = format!("id=\"{me}\"");
    for put in [bucket_acl(&bucket, Method::PUT), object_acl(&bucket, Method::PUT, "key")] {
        put.clone()
            .header("x-amz-grant-full-control", &full)
            .header("x-amz-grant-read", format!("uri=\"{EVERYBODY}\", uri=\"{ACCOUNTS}\""))
            .ok();
    }
    let granted = [(EVERYBODY, "READ"), (ACCOUNTS, "READ")];
    assert_grants(bucket_acl(&bucket, Method::GET), &granted);
    assert_grants(object_acl(&bucket, Method::GET, "key"), &granted);
    let shown = bucket_acl(&bucket, Method::GET).ok().xml();
    assert_eq!(shown.all("AccessControlList/Grant/Grantee/DisplayName"), [shown.get("Owner/DisplayName")]);

    let id = |id: &str| format!("<ID>{id}</ID>");
    let uri = |uri: &str| format!("<URI>{uri}</URI>");
    let email = "<EmailAddress>somebody@example.com</EmailAddress>";
    let none: [(&str, &str); 0] = [];
    for put in [bucket_acl(&bucket, Method::PUT), object_acl(&bucket, Method::PUT, "key")] {
        for (name, value, code) in [
            ("x-amz-grant-read", "id=\"1\"", "InvalidArgument"),
            ("x-amz-grant-read", "uri=\"http://acs.amazonaws.com/groups/global/Nobody\"", "InvalidArgument"),
            ("x-amz-grant-read", "emailAddress=\"a@example.com\"", "UnresolvableGrantByEmailAddress"),
            ("x-amz-grant-read", "everybody", "InvalidArgument"),
            ("x-amz-grant-everything", full.as_str(), "InvalidArgument"),
        ] {
            put.clone().header(name, value).refused(400, code);
        }
        let both = put.clone().header("x-amz-acl", "private").header("x-amz-grant-read", &full);
        both.refused(400, "InvalidRequest");
        for (body, code) in [
            (policy(&me, &[(&id("1"), "READ")]), "InvalidArgument"),
            (policy(&me, &[(&uri("nowhere"), "READ")]), "InvalidArgument"),
            (policy(&me, &[(email, "READ")]), "UnresolvableGrantByEmailAddress"),
            (policy(&me, &[(&id(&me), "ALL")]), "MalformedACLError"),
            (policy(&me, &[("", "READ")]), "MalformedACLError"),
            (policy(&me, &vec![(id(&me).as_str(), "READ"); 101]), "MalformedACLError"),
            ("<AccessControlPolicy/>".to_owned(), "MalformedACLError"),
            ("not a document".to_owned(), "MalformedACLError"),
        ] {
            put.clone().body(body).refused(400, code);
        }
        put.clone().body(policy("1", &none)).refused(403, "AccessDenied");
        put.clone().header("x-amz-acl", "private").body(policy(&me, &none)).refused(400, "UnexpectedContent");
        let error = put.clone().refused(400, "MissingSecurityHeader");
        assert_eq!(error.get("MissingHeaderName"), "x-amz-acl");
    }
    assert_grants(bucket_acl(&bucket, Method::GET), &granted);
    assert_grants(object_acl(&bucket, Method::GET, "key"), &granted);

    // What grants nobody anything is a list too, and takes nothing from the owner.
    bucket_acl(&bucket, Method::PUT).body(policy(&me, &none)).ok();
    object_acl(&bucket, Method::PUT, "key").body(policy(&me, &none)).ok();
    assert_eq!(grants(&bucket_acl(&bucket, Method::GET).ok().xml()), Vec::<String>::new());
    assert_eq!(grants(&object_acl(&bucket, Method::GET, "key").ok().xml()), Vec::<String>::new());
    bucket.get("key").ok();
    bucket.list().ok();
    let hundred = policy(&me, &vec![(id(&me).as_str(), "READ"); 100]);
    bucket_acl(&bucket, Method::PUT).body(hundred).ok();
    assert_eq!(grants(&bucket_acl(&bucket, Method::GET).ok().xml()), vec!["owner READ"; 100]);
}

#[test]
fn every_version_has_a_list_of_its_own() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let (old, new) = (bucket.put_version("key", "old"), bucket.put_version("key", "new"));
    let of = |method: Method, version: &str| object_acl(&bucket, method, "key").query("versionId", version);
    of(Method::PUT, &old).header("x-amz-acl", "public-read").ok();
    assert_grants(of(Method::GET, &old), &[(EVERYBODY, "READ")]);
    assert_grants(of(Method::GET, &new), &[]);
    object_acl(&bucket, Method::PUT, "key").header("x-amz-acl", "authenticated-read").ok();
    assert_grants(of(Method::GET, &new), &[(ACCOUNTS, "READ")]);
    assert_grants(of(Method::GET, &old), &[(EVERYBODY, "READ")]);
    assert_eq!(bucket.list_versions().ok().xml().all("Version/VersionId"), [new.as_str(), old.as_str()]);

    // A list is no part of what is copied.
    bucket.copy(&format!("{}/key?versionId={old}", bucket.name), "copy").ok();
    assert_grants(object_acl(&bucket, Method::GET, "copy"), &[]);
    bucket.put_marker("key");
    let error = object_acl(&bucket, Method::PUT, "key").header("x-amz-acl", "private");
    let error = error.refused(405, "MethodNotAllowed");
    assert_eq!((error.get("Method"), error.get("ResourceType")), ("PUT", "DeleteMarker"));
    object_acl(&bucket, Method::GET, "key").refused(404, "NoSuchKey");
}

#[test]
fn a_bucket_is_made_with_its_ownership_and_its_list() {
    let server = Server::start();
    let create = |name: &str| server.client().existing_bucket(name).request(Method::PUT);
    for (header, value, status, code) in [
        ("x-amz-acl", "public-read", 400, "InvalidBucketAclWithObjectOwnership"),
        ("x-amz-acl", "public", 400, "InvalidArgument"),
        ("x-amz-grant-read", "id=1", 400, "InvalidArgument"),
        ("x-amz-object-ownership", "Mine", 400, "InvalidArgument"),
    ] {
        create("refused").header(header, value).refused(status, code);
    }
    server.client().existing_bucket("refused").request(Method::HEAD).send().expect(404);

    create("own").header("x-amz-object-ownership", "BucketOwnerEnforced").header("x-amz-acl", "private").ok();
    let own = server.client().existing_bucket("own");
    assert_eq!(get_ownership(&own).ok().xml().get("Rule/ObjectOwnership"), "BucketOwnerEnforced");

    // Clients that name the private list with each bucket do so with each object too.
    create("listed").header("x-amz-acl", "private").ok();
    let listed = server.client().existing_bucket("listed");
    assert_eq!(get_ownership(&listed).ok().xml().get("Rule/ObjectOwnership"), "BucketOwnerPreferred");
    assert_grants(bucket_acl(&listed, Method::GET), &[]);
    listed.put("key", "content").header("x-amz-acl", "private").ok();
    create("own").header("x-amz-acl", "private").ok();
    assert_eq!(get_ownership(&own).ok().xml().get("Rule/ObjectOwnership"), "BucketOwnerEnforced");

    let open = || {
        create("open")
            .header("x-amz-object-ownership", "BucketOwnerPreferred")
            .header("x-amz-acl", "public-read")
    };
    open().ok();
    let bucket = server.client().existing_bucket("open");
    assert_eq!(get_ownership(&bucket).ok().xml().get("Rule/ObjectOwnership"), "BucketOwnerPreferred");
    assert_grants(bucket_acl(&bucket, Method::GET), &[(EVERYBODY, "READ")]);
    // Making it again changes nothing, and is told to those who want another one.
    open().refused(409, "BucketAlreadyOwnedByYou");
    create("open").header("x-amz-object-ownership", "ObjectWriter").refused(409, "BucketAlreadyOwnedByYou");
    create("open").ok();
    assert_grants(bucket_acl(&bucket, Method::GET), &[(EVERYBODY, "READ")]);
}

#[test]
fn ownership_can_be_changed_as_long_as_no_list_loses_its_effect() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    put_ownership(&bucket, "Everybody").refused(400, "MalformedXML");
    for ownership in ["ObjectWriter", "BucketOwnerPreferred"] {
        put_ownership(&bucket, ownership).ok();
        assert_eq!(get_ownership(&bucket).ok().xml().get("Rule/ObjectOwnership"), ownership);
        bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "public-read").ok();
        object_acl(&bucket, Method::PUT, "key").header("x-amz-acl", "public-read").ok();
        put_ownership(&bucket, "BucketOwnerEnforced").refused(400, "InvalidBucketAclWithObjectOwnership");
        assert_eq!(get_ownership(&bucket).ok().xml().get("Rule/ObjectOwnership"), ownership);
    }
    bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "private").ok();
    put_ownership(&bucket, "BucketOwnerEnforced").ok();
    // The lists of objects are kept, without effect, for as long as lists are off.
    assert_grants(object_acl(&bucket, Method::GET, "key"), &[]);
    object_acl(&bucket, Method::PUT, "key")
        .header("x-amz-acl", "public-read")
        .refused(400, "AccessControlListNotSupported");
    put_ownership(&bucket, "ObjectWriter").ok();
    assert_grants(object_acl(&bucket, Method::GET, "key"), &[(EVERYBODY, "READ")]);

    let delete = || bucket.request(Method::DELETE).raw_query("ownershipControls").send();
    put_ownership(&bucket, "BucketOwnerEnforced").ok();
    for _ in 0..2 {
        delete().expect(204);
        get_ownership(&bucket).refused(404, "OwnershipControlsNotFoundError");
        assert_grants(object_acl(&bucket, Method::GET, "key"), &[(EVERYBODY, "READ")]);
    }
    bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "public-read").ok();
    let missing = server.client().existing_bucket("missing");
    missing.request(Method::DELETE).raw_query("ownershipControls").refused(404, "NoSuchBucket");
    put_ownership(&missing, "ObjectWriter").refused(404, "NoSuchBucket");
}

/// The setting is for buckets that say nothing of it.
#[test]
fn the_setting_is_what_buckets_have_that_say_nothing() {
    let mut server = server_with_acls();
    let (silent, own) = (server.bucket(), server.bucket());
    put_ownership(&own, "BucketOwnerEnforced").ok();
    bucket_acl(&silent, Method::PUT).header("x-amz-acl", "public-read").ok();
    assert_eq!(get_ownership(&silent).ok().xml().get("Rule/ObjectOwnership"), "ObjectWriter");
    bucket_acl(&own, Method::PUT)
        .header("x-amz-acl", "public-read")
        .refused(400, "AccessControlListNotSupported");
    server.restart_with(|config| config.front.object_ownership = ObjectOwnership::BucketOwnerEnforced);
    let silent = silent.through(server.client());
    assert_grants(bucket_acl(&silent, Method::GET), &[]);
    assert_eq!(get_ownership(&silent).ok().xml().get("Rule/ObjectOwnership"), "BucketOwnerEnforced");
}

#[test]
fn a_block_of_public_acls_refuses_lists_that_grant_everybody() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    block(&bucket, "BlockPublicAcls");
    let everybody = format!("uri=\"{EVERYBODY}\"");
    let me = owner(&bucket);
    let source = format!("{}/key", bucket.name);
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        ("x-amz-acl", "public-read-write"),
        ("x-amz-acl", "authenticated-read"),
        ("x-amz-grant-read-acp", everybody.as_str()),
    ] {
        for request in [
            bucket_acl(&bucket, Method::PUT),
            object_acl(&bucket, Method::PUT, "key"),
            bucket.put("other", "content"),
            bucket.copy(&source, "other"),
            bucket.create_upload("other"),
        ] {
            request.header(name, value).refused(403, "AccessDenied");
        }
    }
    let body = policy(&me, &[(&format!("<URI>{ACCOUNTS}</URI>"), "READ")]);
    object_acl(&bucket, Method::PUT, "key").body(&body).refused(403, "AccessDenied");
    bucket.form().field("key", "other").field("acl", "public-read").signed("x").refused(403, "AccessDenied");
    assert_absent(&bucket, "other");
    assert_grants(bucket_acl(&bucket, Method::GET), &[]);
    assert_grants(object_acl(&bucket, Method::GET, "key"), &[]);
    bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "log-delivery-write").ok();
    object_acl(&bucket, Method::PUT, "key").header("x-amz-grant-read", format!("id={me}")).ok();
    bucket.put("other", "content").header("x-amz-acl", "private").ok();
}

/// There is no service here that the list would let read.
#[test]
fn the_list_for_another_service_is_refused_by_name() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let source = format!("{}/key", bucket.name);
    for request in [
        server.client().existing_bucket("new-bucket").request(Method::PUT),
        bucket_acl(&bucket, Method::PUT),
        object_acl(&bucket, Method::PUT, "key"),
        bucket.put("other", "content"),
        bucket.copy(&source, "other"),
        bucket.create_upload("other"),
    ] {
        let error = request.header("x-amz-acl", "aws-exec-read").refused(501, "NotImplemented");
        assert_eq!(error.get("Header"), "x-amz-acl");
    }
    let form = bucket.form().field("key", "other").field("acl", "aws-exec-read").signed("content");
    form.refused(501, "NotImplemented");
    assert_eq!(bucket.keys(), ["key"]);
    server.client().existing_bucket("new-bucket").request(Method::HEAD).send().expect(404);
}

/// A document that does not say of what kind a grantee is does not fit the schema.
#[test]
fn a_grantee_is_of_the_kind_that_it_says() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let owner = owner(&bucket);
    let good = policy(&owner, &[(&format!("<URI>{EVERYBODY}</URI>"), "READ")]);
    for bad in [
        good.replace(" xsi:type=\"Group\"", ""),
        good.replace("xsi:type=\"Group\"", "xsi:type=\"CanonicalUser\""),
        good.replace("xsi:type=\"Group\"", "xsi:type=\"\""),
        good.replace(" xsi:type=\"Group\"", "").replace("</URI>", "</URI><Type>Group</Type>"),
    ] {
        bucket_acl(&bucket, Method::PUT).body(&bad).refused(400, "MalformedACLError");
        object_acl(&bucket, Method::PUT, "key").body(&bad).refused(400, "MalformedACLError");
    }
    assert_grants(object_acl(&bucket, Method::GET, "key"), &[]);
    object_acl(&bucket, Method::PUT, "key").body(&good).ok();
    let shown = object_acl(&bucket, Method::GET, "key").ok().xml();
    assert_eq!(shown.all("AccessControlList/Grant/Grantee/URI"), [EVERYBODY]);
}
