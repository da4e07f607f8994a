//! What access control lists allow those who have no credentials.

use harness::{Bucket, Request, Server};
use http::Method;

use crate::{
    access_control::{EVERYBODY, block, bucket_acl, object_acl, put_ownership, server_with_acls},
    bucket_policy::{allow, set},
};

/// A permission that an operation takes, of the bucket or of the object.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Takes {
    Bucket(&'static str),
    Object(&'static str),
    /// What no list grants.
    Account,
}

/// Ways to ask for a list, with what it grants everybody.
fn lists(of: fn(&'static str) -> Takes) -> Vec<(&'static str, String, Vec<Takes>)> {
    let everybody = format!("uri=\"{EVERYBODY}\"");
    let canned = [
        ("private", &[][..]),
        ("public-read", &["READ"][..]),
        ("public-read-write", &["READ", "WRITE"]),
        ("authenticated-read", &[]),
        ("bucket-owner-read", &[]),
        ("bucket-owner-full-control", &[]),
    ];
    let canned = canned.into_iter().map(|(name, granted)| ("x-amz-acl", name.to_owned(), granted));
    let grants = [
        ("x-amz-grant-read", &["READ"][..]),
        ("x-amz-grant-write", &["WRITE"]),
        ("x-amz-grant-read-acp", &["READ_ACP"]),
        ("x-amz-grant-write-acp", &["WRITE_ACP"]),
        ("x-amz-grant-full-control", &["READ", "WRITE", "READ_ACP", "WRITE_ACP"]),
    ];
    let grants = grants.into_iter().map(|(name, granted)| (name, everybody.clone(), granted));
    let of_all = |granted: &[&'static str]| granted.iter().map(|permission| of(permission)).collect();
    canned.chain(grants).map(|(name, value, granted)| (name, value, of_all(granted))).collect()
}

/// Every kind of request, with what it takes. `version` is one of `key`.
fn requests(bucket: &Bucket, version: &str) -> Vec<(&'static str, Takes, Request)> {
    use Takes::{Account, Bucket as OfBucket, Object as OfObject};
    let sub = |method: Method, name: &str| bucket.request(method).raw_query(name);
    let upload = bucket.upload("upload");
    let etag = upload.put(1, "part");
    let aborted = bucket.upload("upload");
    let restore = || {
        let request = bucket.object(Method::POST, "key").raw_query("restore");
        request.body("<RestoreRequest><Days>1</Days></RestoreRequest>")
    };
    let delete = "<Delete><Quiet>true</Quiet><Object><Key>gone</Key></Object></Delete>";
    vec![
        ("HeadBucket", OfBucket("READ"), bucket.request(Method::HEAD)),
        ("ListObjects", OfBucket("READ"), bucket.list_v1()),
        ("ListObjectsV2", OfBucket("READ"), bucket.list()),
        ("ListObjectVersions", OfBucket("READ"), bucket.list_versions()),
        ("ListMultipartUploads", OfBucket("READ"), bucket.list_uploads()),
        ("GetObject of none", OfBucket("READ"), bucket.get("missing")),
        ("PutObject", OfBucket("WRITE"), bucket.put("new", "content")),
        ("DeleteObject", Account, bucket.delete("gone")),
        ("DeleteObjects", Account, bucket.delete_objects(delete)),
        ("CreateMultipartUpload", Account, bucket.create_upload("upload")),
        ("UploadPart", OfBucket("WRITE"), upload.part(1, "part")),
        ("ListParts", Account, upload.list()),
        ("CompleteMultipartUpload", OfBucket("WRITE"), upload.complete(&[(1, &etag)])),
        ("AbortMultipartUpload", Account, aborted.abort()),
        ("GetBucketAcl", OfBucket("READ_ACP"), bucket_acl(bucket, Method::GET)),
        (
            "PutBucketAcl",
            OfBucket("WRITE_ACP"),
            bucket_acl(bucket, Method::PUT).header("x-amz-acl", "private"),
        ),
        ("GetObject", OfObject("READ"), bucket.get("key")),
        ("HeadObject", OfObject("READ"), bucket.head("key")),
        ("GetObjectVersion", OfObject("READ"), bucket.get("key").query("versionId", version)),
        ("GetObjectAcl", OfObject("READ_ACP"), object_acl(bucket, Method::GET, "key")),
        (
            "GetObjectVersionAcl",
            OfObject("READ_ACP"),
            object_acl(bucket, Method::GET, "key").query("versionId", version),
        ),
        (
            "PutObjectAcl",
            OfObject("WRITE_ACP"),
            object_acl(bucket, Method::PUT, "key").header("x-amz-acl", "private"),
        ),
        (
            "PutObjectVersionAcl",
            OfObject("WRITE_ACP"),
            object_acl(bucket, Method::PUT, "key").query("versionId", version).header("x-amz-acl", "private"),
        ),
        (
            "PutObject with a list",
            OfBucket("WRITE"),
            bucket.put("new", "content").header("x-amz-acl", "public-read"),
        ),
        ("PutObject with tags", Account, bucket.put("new", "content").header("x-amz-tagging", "a=b")),
        ("DeleteObjectVersion", Account, bucket.delete("key").query("versionId", version)),
        ("GetObjectTagging", Account, bucket.object(Method::GET, "key").raw_query("tagging")),
        (
            "PutObjectTagging",
            Account,
            bucket.object(Method::PUT, "key").raw_query("tagging").body("<Tagging><TagSet/></Tagging>"),
        ),
        ("RestoreObject", Account, restore()),
        ("RestoreObject of a version", Account, restore().query("versionId", version)),
        ("GetBucketLocation", Account, sub(Method::GET, "location")),
        ("GetBucketVersioning", Account, sub(Method::GET, "versioning")),
        ("GetBucketPolicy", Account, sub(Method::GET, "policy")),
        ("GetPublicAccessBlock", Account, sub(Method::GET, "publicAccessBlock")),
        ("GetBucketOwnershipControls", Account, sub(Method::GET, "ownershipControls")),
        ("DeleteBucketOwnershipControls", Account, sub(Method::DELETE, "ownershipControls")),
        ("PutBucketOwnershipControls", Account, put_ownership(bucket, "ObjectWriter")),
        ("DeleteBucket", Account, bucket.request(Method::DELETE)),
    ]
}

/// Gives the bucket or its object this list, with everything there that requests are about.
fn ask(bucket: &Bucket, header: &str, value: &str, of_object: bool) -> String {
    let (of_bucket, of_key) = match of_object {
        false => ((header, value), ("x-amz-acl", "private")),
        true => (("x-amz-acl", "private"), (header, value)),
    };
    bucket_acl(bucket, Method::PUT).header(of_bucket.0, of_bucket.1).ok();
    for key in ["key", "gone"] {
        bucket.put(key, "content").ok();
    }
    let put = bucket.put("key", "content").header(of_key.0, of_key.1).ok();
    put.header("x-amz-version-id").expect("a version").to_owned()
}

/// Each canned list and each grant to everybody, of the bucket and of the object, against each kind of request.
#[test]
fn everybody_may_do_what_a_list_grants_and_nothing_else() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let mut allowed = 0;
    for of_object in [false, true] {
        for (header, value, granted) in lists(if of_object { Takes::Object } else { Takes::Bucket }) {
            let prepare = || requests(&bucket, &ask(&bucket, header, &value, of_object));
            let mut prepared = prepare();
            for kind in 0..prepared.len() {
                let (name, takes, request) = prepared[kind].clone();
                let answer = request.anonymous().send();
                let refused = match name {
                    // Each of its keys is decided on for itself.
                    "DeleteObjects" if answer.status == 200 => {
                        answer.xml().all("Error/Code") == ["AccessDenied"]
                    }
                    "GetObject of none" => answer.status != 404,
                    _ => !(200..300).contains(&answer.status),
                };
                let label = format!("{name} with {header}: {value}, of the object: {of_object}: {answer:?}");
                assert_eq!(refused, !granted.contains(&takes), "{label}");
                // Without a body the status is all that a refusal says.
                let is_denied = || answer.body.is_empty() || answer.xml().get("Code") == "AccessDenied";
                assert!(!refused || answer.status == 200 || answer.status == 403 && is_denied(), "{label}");
                if granted.contains(&takes) {
                    allowed += 1;
                    // It may have changed something; what was refused has not.
                    prepared = prepare();
                }
            }
        }
    }
    // Six kinds of reads, four of writes and one each of the list itself; three, two and two of the object's.
    assert_eq!(allowed, 6 * 4 + 4 * 3 + 2 + 2 + 3 * 4 + 2 * 2 + 2 * 2);
}

#[test]
fn what_everybody_writes_belongs_to_the_buckets_owner() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "public-read-write").ok();
    bucket.put("key", "content").anonymous().ok();
    bucket.form().field("key", "form").unsigned("content").send().expect(204);
    for key in ["key", "form"] {
        let shown = object_acl(&bucket, Method::GET, key).ok().xml();
        assert_eq!(shown.all("AccessControlList/Grant/Grantee/ID"), [shown.get("Owner/ID")]);
        bucket.get(key).anonymous().refused(403, "AccessDenied");
        assert_eq!(bucket.get(key).ok().body, b"content");
    }
    // What is read of another object takes that object's list.
    let source = format!("{}/key", bucket.name);
    bucket.copy(&source, "copy").anonymous().refused(403, "AccessDenied");
    object_acl(&bucket, Method::PUT, "key").header("x-amz-acl", "public-read").ok();
    bucket.copy(&source, "copy").anonymous().ok();
    bucket.get("copy").anonymous().refused(403, "AccessDenied");
    bucket.copy(&format!("{}/missing", bucket.name), "copy").anonymous().refused(404, "NoSuchKey");
    // Only the owner may delete, whoever wrote it.
    for key in ["key", "form"] {
        bucket.delete(key).anonymous().refused(403, "AccessDenied");
    }
    let document = "<Delete><Object><Key>key</Key></Object></Delete>";
    bucket.delete_objects(document).anonymous().refused(403, "AccessDenied");
    bucket.get("key").ok();
}

#[test]
fn lists_have_no_effect_where_they_are_off_or_ignored() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "public-read").ok();
    bucket.put("key", "content").header("x-amz-acl", "public-read").ok();
    let check = |is_open: bool| {
        for request in [bucket.get("key"), bucket.list()] {
            match is_open {
                true => drop(request.anonymous().ok()),
                false => drop(request.anonymous().refused(403, "AccessDenied")),
            }
        }
        bucket.get("key").ok();
    };
    check(true);
    for (setting, is_open) in [
        ("IgnorePublicAcls", false),
        ("BlockPublicAcls", true),
        ("BlockPublicPolicy", true),
        ("RestrictPublicBuckets", true),
    ] {
        block(&bucket, setting);
        check(is_open);
    }
    bucket.request(Method::DELETE).raw_query("publicAccessBlock").send().expect(204);
    bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "private").ok();
    put_ownership(&bucket, "BucketOwnerEnforced").ok();
    bucket.get("key").anonymous().refused(403, "AccessDenied");
    put_ownership(&bucket, "BucketOwnerPreferred").ok();
    bucket.get("key").anonymous().ok();
}

/// An explicit deny wins over lists; otherwise what either allows is allowed.
#[test]
fn policies_and_lists_are_one_decision() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.put("listed", "content").header("x-amz-acl", "public-read").ok();
    bucket.put("other", "content").ok();
    set(&bucket, &[&allow("s3:GetObject").replace("BUCKET/*", "BUCKET/other")]);
    bucket.get("listed").anonymous().ok();
    bucket.get("other").anonymous().ok();
    bucket.list().anonymous().refused(403, "AccessDenied");
    set(&bucket, &[&allow("s3:GetObject").replace("Allow", "Deny")]);
    bucket.get("listed").anonymous().refused(403, "AccessDenied");
    // A public policy that opens nothing to others any more takes the lists along.
    set(&bucket, &[&allow("s3:GetObject").replace("BUCKET/*", "BUCKET/other")]);
    block(&bucket, "RestrictPublicBuckets");
    bucket.get("listed").anonymous().refused(403, "AccessDenied");
    bucket.get("other").anonymous().refused(403, "AccessDenied");
}

/// Whether a bucket's policy is public is about its policy alone.
#[test]
fn the_status_of_a_policy_is_not_about_lists() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket_acl(&bucket, Method::PUT).header("x-amz-acl", "public-read").ok();
    let status = || bucket.request(Method::GET).raw_query("policyStatus");
    status().refused(404, "NoSuchBucketPolicy");
    set(&bucket, &[&allow("s3:GetObject").replace("Allow", "Deny")]);
    assert_eq!(status().ok().xml().get("IsPublic"), "false");
}

#[test]
fn a_website_shows_what_a_list_makes_public() {
    let server = Server::start_with(1, |config| {
        config.front.object_ownership = s3_wire::acl::ObjectOwnership::ObjectWriter;
        config.front.website_address = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    });
    let bucket = server.bucket();
    let website = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
    bucket.request(Method::PUT).raw_query("website").body(website).ok();
    bucket.put("listed", "content").header("x-amz-acl", "public-read").ok();
    bucket.put("other", "content").ok();
    let visitor = server.visitor(&bucket.name);
    let status = |path: &str| visitor.get(path).status;
    assert_eq!((status("/listed"), status("/other"), status("/missing")), (200, 403, 403));
    block(&bucket, "BlockPublicPolicy");
    assert_eq!((status("/listed"), status("/other"), status("/missing")), (200, 403, 403));
    block(&bucket, "RestrictPublicBuckets");
    assert_eq!((status("/listed"), status("/other")), (200, 403));
    put_ownership(&bucket, "BucketOwnerEnforced").ok();
    assert_eq!(status("/listed"), 403);
}

/// Lists are kept while they are off, as Amazon S3 keeps them: they open nothing meanwhile, cannot be changed, and are there again.
#[test]
fn a_list_opens_nothing_while_lists_are_off() {
    let server = server_with_acls();
    let bucket = server.bucket();
    bucket.put("key", "content").header("x-amz-acl", "public-read").ok();
    bucket.get("key").anonymous().ok();
    put_ownership(&bucket, "BucketOwnerEnforced").ok();
    bucket.get("key").anonymous().refused(403, "AccessDenied");
    let private = || object_acl(&bucket, Method::PUT, "key").header("x-amz-acl", "private");
    private().refused(400, "AccessControlListNotSupported");
    put_ownership(&bucket, "ObjectWriter").ok();
    bucket.get("key").anonymous().ok();
    private().ok();
    bucket.get("key").anonymous().refused(403, "AccessDenied");
    bucket.list().anonymous().refused(403, "AccessDenied");
}
