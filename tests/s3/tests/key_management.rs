//! Objects that are encrypted by named keys (SSE-KMS), which here are those of the file of master keys.

use std::{fs, path::Path};

use harness::{Bucket, Logs, Request, Server, content, md5_hex, now_seconds, run_command};
use http::Method;
use serde_json::json;

use crate::{
    customer_keys::assert_looks_like_md5,
    server_side_encryption::lies_on_disk,
    support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same},
};

pub(crate) const SCHEME: &str = "x-amz-server-side-encryption";
pub(crate) const KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CONTEXT: &str = "x-amz-server-side-encryption-context";
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";

const ARNS: &str = "arn:aws:kms:us-east-1:750814517293";

/// Keys by which the servers of these tests encrypt.
const KEYS: &str = "master AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= current\n\
    first AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= kms alias=payroll\n\
    second AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI= kms\n\
    off AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM= kms disabled\n";

pub(crate) fn arn(id: &str) -> String {
    format!("{ARNS}:key/{id}")
}

/// A server with named keys.
pub(crate) fn start() -> Server {
    start_with(KEYS)
}

fn start_with(keys: &str) -> Server {
    Server::start_with(1, |config| {
        let path = config.data[0].with_file_name("keys");
        fs::write(&path, keys).expect("a file of keys");
        config.front.encryption_keys = Some(path);
        config.front.signature_v2 = true;
    })
}

/// The server again, with other keys.
fn restart_with(server: &mut Server, keys: &str) {
    fs::write(server.folder().join("keys"), keys).expect("a file of keys");
    server.restart();
}

pub(crate) fn by(request: Request, key: &str) -> Request {
    request.header(SCHEME, "aws:kms").header(KEY_ID, key)
}

fn default_encryption(bucket: &Bucket, key: Option<&str>, bucket_key: bool) -> Request {
    let key = key.map(|key| format!("<KMSMasterKeyID>{key}</KMSMasterKeyID>")).unwrap_or_default();
    let document = format!(
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms\
         </SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>{bucket_key}</BucketKeyEnabled>\
         </Rule></ServerSideEncryptionConfiguration>"
    );
    bucket.request(Method::PUT).raw_query("encryption").body(document)
}

/// Whichever way a key is named, the answer and every read tell its ARN.
#[test]
fn keys_are_named_by_id_alias_and_arn() {
    let server = start();
    let bucket = server.bucket();
    for (name, expected) in [
        ("first".to_owned(), "first"),
        (arn("second"), "second"),
        ("alias/payroll".to_owned(), "first"),
        (format!("{ARNS}:alias/payroll"), "first"),
        ("alias/aws/s3".to_owned(), "master"),
        (arn("master"), "master"),
    ] {
        let put = by(bucket.put("key", "content"), &name).ok();
        let told = (put.get(SCHEME), put.get(KEY_ID), put.header(BUCKET_KEY));
        assert_eq!(told, ("aws:kms", arn(expected).as_str(), None), "{name}");
        for read in [bucket.get("key").ok(), bucket.head("key").ok()] {
            assert_eq!((read.get(SCHEME), read.get(KEY_ID)), ("aws:kms", arn(expected).as_str()), "{name}");
        }
        assert_content(&bucket, "key", b"content");
    }
    let own = bucket.put("key", "content").header(SCHEME, "aws:kms").ok();
    assert_eq!(own.get(KEY_ID), arn("master"), "the store's own key");
    let refused = |name: &str, code: &str| {
        by(bucket.put("refused", "content"), name).refused(400, code);
        by(bucket.create_upload("refused"), name).refused(400, code);
        by(bucket.copy(&format!("{}/key", bucket.name), "refused"), name).refused(400, code);
        let form = bucket.form().field("key", "refused").field(SCHEME, "aws:kms").field(KEY_ID, name);
        form.signed(b"content").refused(400, code);
        default_encryption(&bucket, Some(name), false).refused(400, code);
    };
    refused("none", "KMS.NotFoundException");
    refused("alias/none", "KMS.NotFoundException");
    refused("arn:aws:kms:us-east-2:750814517293:key/first", "KMS.NotFoundException");
    refused("arn:aws:kms:us-east-1:123456789012:key/first", "KMS.NotFoundException");
    refused("../first", "InvalidArgument");
    refused("arn:aws:s3:::bucket", "InvalidArgument");
    by(bucket.put("refused", "content"), "off").refused(400, "KMS.DisabledException");
    assert_absent(&bucket, "refused");
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
    bucket
        .request(Method::GET)
        .raw_query("encryption")
        .refused(404, "ServerSideEncryptionConfigurationNotFoundError");
}

#[test]
fn what_is_said_of_a_key_needs_the_scheme() {
    let server = start();
    let bucket = server.bucket();
    let invalid = |request: Request| request.refused(400, "InvalidArgument");
    invalid(bucket.put("key", "").header(KEY_ID, "first"));
    invalid(bucket.put("key", "").header(SCHEME, "AES256").header(KEY_ID, "first"));
    invalid(bucket.put("key", "").header(CONTEXT, "e30="));
    invalid(bucket.put("key", "").header(BUCKET_KEY, "true"));
    invalid(bucket.put("key", "").header(SCHEME, "AES256").header(BUCKET_KEY, "true"));
    invalid(by(bucket.put("key", ""), "first").header(BUCKET_KEY, "yes"));
    for context in ["", "{}", "W10=", "eyJhIjoxfQ==", "eyJhd3M6czM6YXJuIjoieCJ9"] {
        invalid(by(bucket.put("key", ""), "first").header(CONTEXT, context));
    }
    let both = by(bucket.put("key", ""), "first")
        .header("x-amz-server-side-encryption-customer-algorithm", "AES256");
    invalid(both);
    bucket.put("key", "").header(SCHEME, "aws:kms:dsse").refused(501, "NotImplemented");
    assert_absent(&bucket, "key");
    bucket.put("key", "content").header(BUCKET_KEY, "false").ok();
    invalid(bucket.get("key").header(KEY_ID, "first"));
    invalid(bucket.upload("other").part(1, "x").header(KEY_ID, "first"));
}

/// The bytes are on no disk, the entity tag is not their MD5, and ranges and parts are of plain bytes.
#[test]
fn reads_are_of_plain_bytes_that_are_on_no_disk() {
    let mut server = start();
    let bucket = server.bucket();
    // {"team":"a"}
    let context = "eyJ0ZWFtIjoiYSJ9";
    for length in [0, 1, 65_536, 65_537, 300_000] {
        let bytes = content(length, 3);
        let put = by(bucket.put("key", &bytes), "first").header(CONTEXT, context).ok();
        assert_eq!(put.get(CONTEXT), context);
        assert_ne!(put.etag(), format!("\"{}\"", md5_hex(&bytes)), "it is not the MD5");
        assert_looks_like_md5(&put);
        let whole = bucket.get("key").ok();
        assert_same(&whole.body, &bytes);
        assert_eq!((whole.etag(), whole.get("content-length")), (put.etag(), &*length.to_string()));
        assert_eq!(whole.header(CONTEXT), None);
        if length > 65_000 {
            let range = bucket.get("key").header("range", "bytes=65530-65535").send().expect(206);
            assert_same(&range.body, &bytes[65_530..=65_535]);
        }
    }
    let again = by(bucket.put("other", content(300_000, 3)), "first").ok();
    assert_ne!(again.etag(), bucket.head("key").ok().etag(), "equal contents are not told by it");

    let secret = content(PART_SIZE_MIN, 91);
    by(bucket.put("secret", &secret), "second").unsigned_payload().header(BUCKET_KEY, "true").ok();
    let form = bucket.form().field("key", "form").field(SCHEME, "aws:kms").field(KEY_ID, "first");
    let form = form.signed(&secret).send().expect(204);
    assert_eq!((form.get(SCHEME), form.get(KEY_ID)), ("aws:kms", arn("first").as_str()));
    for at in [0, 100_000] {
        assert!(!lies_on_disk(&server, &secret[at..at + 48]));
    }
    let read = bucket.get("secret").ok();
    assert_same(&read.body, &secret);
    assert_eq!((read.get(KEY_ID), read.get(BUCKET_KEY)), (arn("second").as_str(), "true"));
    assert_same(&bucket.get("form").ok().body, &secret);
    server.restart();
    let bucket = bucket.through(server.client());
    assert_same(&bucket.get("secret").ok().body, &secret);
    assert_same(&bucket.get("key").ok().body, &content(300_000, 3));
}

#[test]
fn uploads_are_encrypted_by_the_key_that_they_name() {
    let server = start();
    let bucket = server.bucket();
    let create = by(bucket.create_upload("key"), "first").header(CONTEXT, "eyJ0ZWFtIjoiYSJ9");
    let created = create.header(BUCKET_KEY, "true").ok();
    let told = (created.get(SCHEME), created.get(KEY_ID), created.get(BUCKET_KEY), created.get(CONTEXT));
    assert_eq!(told, ("aws:kms", arn("first").as_str(), "true", "eyJ0ZWFtIjoiYSJ9"));
    let upload =
        bucket.upload_with("key", by(bucket.create_upload("key"), "first").header(BUCKET_KEY, "true"));
    let parts = [content(PART_SIZE_MIN, 1), content(100, 2)];
    let mut etags = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        let sent = upload.part(number, part).unsigned_payload().ok();
        assert_eq!((sent.get(SCHEME), sent.get(KEY_ID)), ("aws:kms", arn("first").as_str()));
        assert_ne!(sent.etag(), format!("\"{}\"", md5_hex(part)));
        etags.push(sent.etag().to_owned());
    }
    let complete = || upload.complete(&[(1, &etags[0]), (2, &etags[1])]);
    complete().header(SCHEME, "AES256").refused(400, "InvalidArgument");
    let done = complete().header(SCHEME, "aws:kms").ok();
    assert_eq!((done.get(SCHEME), done.get(KEY_ID)), ("aws:kms", arn("first").as_str()));
    let whole = parts.concat();
    assert_same(&bucket.get("key").ok().body, &whole);
    let range =
        bucket.get("key").header("range", format!("bytes={}-{}", PART_SIZE_MIN - 5, PART_SIZE_MIN + 5));
    assert_same(&range.send().expect(206).body, &whole[PART_SIZE_MIN - 5..=PART_SIZE_MIN + 5]);
    // A part of another upload is made of a range of it.
    let other = bucket.upload_with("other", by(bucket.create_upload("other"), "second"));
    let piece = other.copy(1, &format!("{}/key", bucket.name));
    let piece = piece.header("x-amz-copy-source-range", "bytes=65000-70000").ok().xml();
    other.complete(&[(1, piece.get("ETag"))]).ok();
    assert_same(&bucket.get("other").ok().body, &whole[65_000..=70_000]);
    assert_eq!(bucket.head("other").ok().get(KEY_ID), arn("second"));
}

/// A default counts where a request says nothing, and by its bucket key also where a request names a key.
#[test]
fn a_buckets_default_names_a_key() {
    let server = start();
    let bucket = server.bucket();
    default_encryption(&bucket, Some("alias/payroll"), true).ok();
    let found = bucket.request(Method::GET).raw_query("encryption").ok().xml();
    let default = "Rule/ApplyServerSideEncryptionByDefault";
    assert_eq!(found.get(&format!("{default}/SSEAlgorithm")), "aws:kms");
    assert_eq!(found.get(&format!("{default}/KMSMasterKeyID")), "alias/payroll");
    assert_eq!(found.get("Rule/BucketKeyEnabled"), "true");
    let told = |put: &harness::Response| {
        (put.header(KEY_ID).map(str::to_owned), put.header(BUCKET_KEY).map(str::to_owned))
    };
    let (first, second, yes) = (Some(arn("first")), Some(arn("second")), Some("true".to_owned()));
    assert_eq!(told(&bucket.put("a", "content").ok()), (first.clone(), yes.clone()));
    assert_eq!(told(&by(bucket.put("b", "content"), "second").ok()), (second, yes));
    assert_eq!(told(&bucket.put("c", "content").header(BUCKET_KEY, "false").ok()), (first, None));
    assert_eq!(bucket.put("d", "content").header(SCHEME, "AES256").ok().get(SCHEME), "AES256");
    let upload = bucket.upload("e");
    let part = upload.part(1, "content").ok();
    upload.complete(&[(1, part.etag())]).ok();
    let form = bucket.form().field("key", "f").signed(b"content").send().expect(204);
    assert_eq!(form.get(KEY_ID), arn("first"));
    for key in ["a", "b", "c", "d", "e", "f"] {
        assert_content(&bucket, key, b"content");
    }
    let inventory = bucket.list().ok().xml();
    assert_eq!(inventory.all("Contents/Size"), ["7"; 6]);
    default_encryption(&bucket, Some("off"), false).ok();
    bucket.put("g", "content").refused(400, "KMS.DisabledException");
    assert_absent(&bucket, "g");
    default_encryption(&bucket, None, false).ok();
    assert_eq!(bucket.put("h", "content").ok().get(KEY_ID), arn("master"));
}

/// A copy is encrypted as it asks. From key to key it shares the bytes and its entity tag, whatever its size.
#[test]
fn copies_go_from_key_to_key() {
    let server = start();
    let bucket = server.bucket();
    let source = content(400_000, 5);
    let first = by(bucket.put("first", &source), "first").ok();
    bucket.put("stored", &source).header(SCHEME, "AES256").ok();
    bucket.put("plain", &source).ok();
    let from = |key: &str| bucket.copy(&format!("{}/{key}", bucket.name), "copy");
    let shards = |server: &Server| {
        let mut found = Vec::new();
        crate::server_side_encryption::files(server.folder(), &mut found);
        found
            .iter()
            .map(|path| {
                fs::metadata(path).map_or(0, |data| {
                    if path.components().any(|part| part.as_os_str() == "shards") { data.len() } else { 0 }
                })
            })
            .sum::<u64>()
    };
    let before = shards(&server);
    for key in ["first", "second", "master"] {
        let copied = by(from("first"), key).ok();
        assert_eq!((copied.get(SCHEME), copied.get(KEY_ID)), ("aws:kms", arn(key).as_str()));
        assert_eq!(copied.xml().get("ETag"), first.etag(), "the bytes are shared");
        let read = bucket.get("copy").ok();
        assert_same(&read.body, &source);
        assert_eq!((read.get(KEY_ID), read.etag()), (arn(key).as_str(), first.etag()));
    }
    let replaced = by(from("first"), "second").header("x-amz-metadata-directive", "REPLACE");
    replaced.header("x-amz-meta-a", "1").header(CONTEXT, "eyJ0ZWFtIjoiYSJ9").header(BUCKET_KEY, "true").ok();
    let read = bucket.get("copy").ok();
    assert_eq!((read.get("x-amz-meta-a"), read.get(BUCKET_KEY)), ("1", "true"));
    assert_same(&read.body, &source);
    assert_eq!(shards(&server), before, "no byte was written for any of these");

    for (name, asked, expected) in [
        ("first", Some("AES256"), "AES256"),
        ("first", None, "AES256"),
        ("stored", Some("aws:kms"), "aws:kms"),
        ("plain", Some("aws:kms"), "aws:kms"),
    ] {
        let copy = asked.into_iter().fold(from(name), |copy, asked| copy.header(SCHEME, asked));
        let copied = copy.ok();
        assert_eq!(copied.get(SCHEME), expected, "{name} {asked:?}");
        let is_md5 = copied.xml().get("ETag") == format!("\"{}\"", md5_hex(&source));
        assert_eq!(is_md5, expected == "AES256", "{name} {asked:?}");
        assert_same(&bucket.get("copy").ok().body, &source);
    }
    // Onto itself it is a change of the key.
    by(bucket.copy(&format!("{}/first", bucket.name), "first"), "second").ok();
    assert_eq!(bucket.head("first").ok().get(KEY_ID), arn("second"));
    assert_same(&bucket.get("first").ok().body, &source);
    by(from("first"), "off").refused(400, "KMS.DisabledException");
    by(from("first"), "none").refused(400, "KMS.NotFoundException");
    // Wherever it goes, it can be read.
    let renamed = bucket.object(Method::PUT, "moved").raw_query("renameObject");
    renamed.header("x-amz-rename-source", "first").ok();
    assert_same(&bucket.get("moved").ok().body, &source);
}

/// Named keys are used for nobody who does not sign by version 4.
#[test]
fn reads_and_writes_take_a_signature_of_version_4() {
    let server = start();
    let bucket = server.bucket();
    by(bucket.put("key", "content"), "first").ok();
    bucket.put("plain", "content").ok();
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:GetObjectAttributes"],
        "Resource": format!("arn:aws:s3:::{}/*", bucket.name)}]});
    bucket.request(Method::PUT).raw_query("policy").body(policy.to_string()).send().expect(204);
    bucket.get("plain").anonymous().ok();
    let refused = bucket.get("key").anonymous().refused(400, "InvalidArgument");
    assert_eq!(refused.get("ArgumentName"), "Authorization");
    bucket.head("key").anonymous().send().expect(400);
    by(bucket.put("other", "content").anonymous(), "first").refused(400, "InvalidArgument");
    default_encryption(&bucket, Some("first"), false).ok();
    bucket.put("other", "content").anonymous().refused(400, "InvalidArgument");
    assert_absent(&bucket, "other");
    let of_old = crate::signature_version_2::presigned(&bucket, Method::GET, "key", now_seconds() + 60);
    of_old.refused(400, "InvalidArgument");
    assert_eq!(bucket.get("key").presigned(60).ok().body, b"content");
}

/// Policies decide on the key by its ARN, whichever way it is named.
#[test]
fn a_policy_can_demand_a_key() {
    let server = start();
    let bucket = server.bucket();
    let policy = |effect: &str, test: &str, value: &str| {
        let condition = json!({test: {"s3:x-amz-server-side-encryption-aws-kms-key-id": value}});
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Principal": "*",
            "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{}/*", bucket.name), "Condition": condition}]});
        bucket.request(Method::PUT).raw_query("policy").body(policy.to_string()).send().expect(204);
    };
    policy("Deny", "StringNotEquals", &arn("first"));
    for name in ["first", "alias/payroll", &arn("first")] {
        by(bucket.put("key", "content"), name).ok();
    }
    by(bucket.put("key", "content"), "second").refused(403, "AccessDenied");
    bucket.put("key", "content").header(SCHEME, "aws:kms").refused(403, "AccessDenied");
    bucket.put("key", "content").refused(403, "AccessDenied");
    // A part and the end of an upload are decided on by its key.
    let upload = bucket.upload_with("up", by(bucket.create_upload("up"), "alias/payroll"));
    let part = upload.part(1, "content").ok();
    upload.complete(&[(1, part.etag())]).ok();
    policy("Deny", "ArnLike", &arn("first"));
    for name in ["first", "alias/payroll"] {
        by(bucket.put("key", "content"), name).refused(403, "AccessDenied");
    }
    by(bucket.put("key", "content"), "second").ok();
    bucket.put("key", "content").ok();
}

/// What a disabled or missing key wrapped is not read, and says why; everything else is, and it is again when the key is back.
#[test]
fn a_key_that_is_disabled_or_gone_says_so() {
    let mut server = start();
    let bucket = server.bucket();
    by(bucket.put("first", "content"), "first").ok();
    by(bucket.put("second", "content"), "second").header(BUCKET_KEY, "true").ok();
    let logs = Logs::start();
    for (line, code) in [
        ("first AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= kms disabled\n", "KMS.DisabledException"),
        ("", "KMS.NotFoundException"),
    ] {
        let kept: Vec<&str> = KEYS.lines().filter(|line| !line.starts_with("first")).collect();
        restart_with(&mut server, &format!("{}\n{line}", kept.join("\n")));
        let bucket = bucket.through(server.client());
        bucket.get("first").refused(400, code);
        by(bucket.copy(&format!("{}/first", bucket.name), "copy"), "second").refused(400, code);
        assert_eq!(bucket.head("first").ok().get(KEY_ID), arn("first"), "a head needs no key");
        assert_content(&bucket, "second", b"content");
        bucket.delete("missing").send().expect(204);
        let told = logs.take("encrypted by a key that is not there");
        assert_eq!(
            !told.is_empty(),
            line.is_empty(),
            "the operator learns of one that is not there: {told:?}"
        );
        assert!(told.iter().all(|line| line.contains("first")), "{told:?}");
    }
    restart_with(&mut server, KEYS);
    assert_content(&bucket.through(server.client()), "first", b"content");
    // Another key of that id opens nothing, and does no harm.
    restart_with(&mut server, &KEYS.replace("AQEB", "BAQE"));
    bucket.through(server.client()).get("first").refused(500, "InternalError");
    assert!(!logs.take("cannot be unwrapped").is_empty());
}

/// The operator's command adds, disables and enables named keys, and keeps every other line.
#[test]
fn named_keys_are_made_by_a_command() {
    let mut server = Server::start();
    let path = server.folder().join("0/encryption.keys");
    let text = || fs::read_to_string(&path).expect("a file of keys");
    let run = |words: &[&str]| {
        let path = path.display().to_string();
        run_command(&[&["encryption-key", &path], words].concat())
    };
    let master = text();
    run(&["--kms", "--alias", "payroll", "--alias", "hr/all"]).expect("a named key");
    let id = {
        let text = text();
        let line = text.lines().last().expect("a line").to_owned();
        assert!(line.ends_with(" kms alias=payroll alias=hr/all"), "{line}");
        line.split(' ').next().expect("an id").to_owned()
    };
    server.restart();
    let bucket = server.bucket();
    assert_eq!(by(bucket.put("key", "content"), "alias/hr/all").ok().get(KEY_ID), arn(&id));
    run(&["--disable", &id]).expect("disabled");
    run(&["--not-current"]).expect("another master key");
    server.restart();
    bucket.through(server.client()).get("key").refused(400, "KMS.DisabledException");
    run(&["--enable", &id]).expect("enabled");
    server.restart();
    assert_content(&bucket.through(server.client()), "key", b"content");
    let all = text();
    assert!(
        all.contains(master.lines().last().expect("a line"))
            && all.contains(" kms alias=payroll alias=hr/all")
    );
    for (words, says) in [
        (&["--kms", "--alias", "payroll"][..], "payroll"),
        (&["--kms", "--alias", "aws/s3"], "aws/s3"),
        (&["--disable", "none"], "none"),
        (&["--make-current", &id], &id),
    ] {
        let refused = run(words).expect_err("refused");
        assert!(refused.contains(says), "{refused}");
    }
    assert_eq!(text(), all, "what is refused changes nothing");
    assert!(!Path::new(&path).with_extension("tmp").exists());
}

/// A new master key: every data key is wrapped by it, of whatever age and in whatever way it was wrapped, without a byte being written,
/// and then the older master key can go.
#[test]
fn an_older_master_key_can_be_given_up() {
    let mut server = start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let bytes = content(200_000, 1);
    for version in 0..3 {
        bucket.put("stored", &bytes[version..]).header(SCHEME, "AES256").ok();
    }
    bucket.copy(&format!("{}/stored", bucket.name), "copy").ok();
    bucket.put("own", &bytes).header(SCHEME, "aws:kms").header(CONTEXT, "eyJ0ZWFtIjoiYSJ9").ok();
    bucket.put("bucket-key", &bytes).header(SCHEME, "aws:kms").header(BUCKET_KEY, "true").ok();
    by(bucket.put("named", &bytes), "first").ok();
    bucket.put("plain", &bytes).ok();
    let upload = bucket.upload_with("up", bucket.create_upload("up").header(SCHEME, "AES256"));
    let part = upload.put(1, &bytes);
    let etag = bucket.head("stored").ok().etag().to_owned();

    let path = server.folder().join("keys").display().to_string();
    let newer = KEYS.replace(" current", "") + "newer BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU= current\n";
    restart_with(&mut server, &newer);
    // A file that lacks the older one says so, and changes what it can.
    let other = server.folder().join("other");
    fs::write(&other, newer.replace("master AAAA", "elsewhere AAAA")).expect("a file");
    assert!(!server.admin(&["keys", "rewrap", "--encryption-keys", &other.display().to_string()]));
    for _ in 0..2 {
        assert!(server.admin(&["keys", "rewrap", "--encryption-keys", &path]));
        assert!(server.admin(&["keys", "list"]));
    }
    let without = newer.lines().filter(|line| !line.starts_with("master")).collect::<Vec<_>>().join("\n");
    server.stop();
    let identity = server.folder().join("0/ashlar.json");
    let text = fs::read_to_string(&identity).expect("an identity");
    fs::write(&identity, text.replace("\"master\"", "\"newer\"")).expect("an identity");
    restart_with(&mut server, &without);
    let bucket = bucket.through(server.client());
    let versions = bucket.list_versions().ok().xml();
    assert_eq!(versions.elements("Version").len(), 8);
    for version in versions.elements("Version") {
        let (key, id) = (version.get("Key"), version.get("VersionId"));
        let read = bucket.get(key).query("versionId", id).ok();
        assert_same(&read.body, &bytes[bytes.len() - read.body.len()..]);
    }
    assert_eq!(bucket.head("stored").ok().etag(), etag);
    assert_eq!(bucket.head("own").ok().get(KEY_ID), arn("newer"));
    assert_eq!(bucket.head("bucket-key").ok().get(BUCKET_KEY), "true");
    assert_eq!(bucket.head("named").ok().get(KEY_ID), arn("first"));
    let upload = harness::Upload { bucket: bucket.clone(), ..upload };
    upload.complete(&[(1, &part)]).ok();
    assert_same(&bucket.get("up").ok().body, &bytes);
}
