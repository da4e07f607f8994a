//! GetBucketLogging, PutBucketLogging, and the records that are delivered. Expectations come from the Amazon S3 User Guide,
//! "Amazon S3 server access log format" and "Logging requests with server access logging".

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use harness::{Bucket, Certificate, Client, Cluster, Element, Logs, Request, Server};
use http::Method;

use crate::{
    bucket_policy,
    iam_users::{iam, user},
};

fn logging(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("logging")
}

fn wrap(inner: &str) -> String {
    format!("<BucketLoggingStatus>{inner}</BucketLoggingStatus>")
}

fn enabled(target: &Bucket, prefix: &str, more: &str) -> String {
    let name = &target.name;
    wrap(&format!(
        "<LoggingEnabled><TargetBucket>{name}</TargetBucket><TargetPrefix>{prefix}</TargetPrefix>{more}</LoggingEnabled>"
    ))
}

/// `TargetGrants` of these: the kind of a grantee, who it is, and the permission.
fn granted(grants: &[(&str, &str, &str)]) -> String {
    let grant = |(kind, grantee, permission): &(&str, &str, &str)| {
        format!(
            "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\">{grantee}</Grantee>\
             <Permission>{permission}</Permission></Grant>"
        )
    };
    format!("<TargetGrants>{}</TargetGrants>", grants.iter().map(grant).collect::<String>())
}

const PARTITIONED: &str = "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime\
    </PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>";

const ENCRYPTED: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256\
    </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

/// Logs are objects as others are, and are encrypted where their bucket has it so.
#[test]
fn logs_are_encrypted_by_the_default_of_their_bucket() {
    let server = start(1);
    for algorithm in ["AES256", "aws:kms"] {
        let (bucket, target) = (server.bucket(), server.bucket());
        let document = ENCRYPTED.replace("AES256", algorithm);
        target.request(Method::PUT).raw_query("encryption").body(document).ok();
        logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
        bucket.put("key", "content").ok();
        let is_put = |record: &Record| record.operation() == "REST.PUT.OBJECT";
        wait_for(&target, "the put", |found| found.iter().any(is_put));
        for key in target.keys() {
            let read = target.get(&key).ok();
            assert_eq!(read.get("x-amz-server-side-encryption"), algorithm, "{key}");
            let is_md5 = read.etag() == format!("\"{}\"", harness::md5_hex(&read.body));
            assert_eq!(is_md5, algorithm == "AES256", "{key}");
        }
    }
}

/// What is granted is kept by canonical ids, shown with what accounts are called, and effective as the list of each log object.
#[test]
fn log_objects_grant_what_the_configuration_says() {
    let cluster = Cluster::start_with_disks(1);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    let bucket = one.root.bucket();
    let target = one.root.existing_bucket("granted-logs");
    target.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let id = format!("<ID>{}</ID><DisplayName>ignored</DisplayName>", other.id.0);
    let by_id = granted(&[
        ("CanonicalUser", &id, "READ"),
        ("Group", "<URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI>", "READ_ACP"),
    ]);
    let by_email = granted(&[
        ("AmazonCustomerByEmail", "<EmailAddress>Other@example.org</EmailAddress>", "READ"),
        ("Group", "<URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI>", "READ_ACP"),
    ]);
    for (number, grants) in [by_id, by_email].iter().enumerate() {
        let prefix = format!("{number}/");
        logging(&bucket, Method::PUT).body(enabled(&target, &prefix, grants)).ok();
        let shown = logging(&bucket, Method::GET).ok().xml();
        let grants = shown.elements("LoggingEnabled/TargetGrants/Grant");
        let grant = |grant: &Element| {
            ["Grantee/ID", "Grantee/DisplayName", "Grantee/URI", "Permission"]
                .map(|field| grant.find(field).unwrap_or_default().to_owned())
        };
        assert_eq!(
            grants.into_iter().map(grant).collect::<Vec<_>>(),
            [
                [other.id.0.as_str(), "other", "", "READ"],
                ["", "", "http://acs.amazonaws.com/groups/s3/LogDelivery", "READ_ACP"],
            ]
        );
        bucket.put(&format!("key{number}"), "content").ok();
        let begun = Instant::now();
        let key = loop {
            if let Some(key) = target.keys().into_iter().find(|key| key.starts_with(&prefix)) {
                break key;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no log object with {prefix}");
            thread::sleep(Duration::from_millis(100));
        };
        let acl = target.object(Method::GET, &key).raw_query("acl").ok().xml();
        assert_eq!(acl.get("Owner/ID"), one.id.0);
        assert_eq!(acl.all("AccessControlList/Grant/Permission"), ["FULL_CONTROL", "READ", "READ_ACP"]);
        assert_eq!(acl.all("AccessControlList/Grant/Grantee/ID"), [&one.id.0, &other.id.0]);
        target.through(&other.root).get(&key).ok();
        target.through(&other.root).object(Method::GET, &key).raw_query("acl").refused(403, "AccessDenied");
        target.get(&key).anonymous().refused(403, "AccessDenied");
    }
}

/// Whoever has logs granted to somebody may do so with objects that he puts there himself.
#[test]
fn grants_of_logs_take_the_right_to_set_lists() {
    let server = start(300);
    let (bucket, root) = (server.bucket(), server.client());
    let target = root.existing_bucket("with-lists");
    target.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let ann = user(root, "ann");
    let (everybody, anns) = ("http://acs.amazonaws.com/groups/global/AllUsers", bucket.through(&ann));
    let document = enabled(&target, "", &granted(&[("Group", &format!("<URI>{everybody}</URI>"), "READ")]));
    let may = |actions: &[&str]| {
        let policy =
            format!(r#"{{"Statement": [{{"Effect": "Allow", "Action": {actions:?}, "Resource": "*"}}]}}"#);
        iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &policy)]);
    };
    may(&["s3:PutBucketLogging", "s3:PutObject"]);
    logging(&anns, Method::PUT).body(&document).refused(403, "AccessDenied");
    logging(&anns, Method::PUT).body(enabled(&target, "", "")).ok();
    may(&["s3:PutBucketLogging", "s3:PutObject", "s3:PutObjectAcl"]);
    logging(&anns, Method::PUT).body(&document).ok();

    // It is the right to objects with keys as logs have them.
    let prefixed =
        enabled(&target, "of/", &granted(&[("Group", &format!("<URI>{everybody}</URI>"), "READ")]));
    for (keys, is_enough) in [(format!("of/{}", bucket.name), false), ("of/2*".to_owned(), true)] {
        let policy = format!(
            r#"{{"Statement": [{{"Effect": "Allow", "Action": ["s3:PutBucketLogging", "s3:PutObject"], "Resource": "*"}},
            {{"Effect": "Allow", "Action": "s3:PutObjectAcl", "Resource": "arn:aws:s3:::{}/{keys}"}}]}}"#,
            target.name
        );
        iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &policy)]);
        let put = logging(&anns, Method::PUT).body(&prefixed);
        if is_enough {
            put.ok();
        } else {
            put.refused(403, "AccessDenied");
        }
    }

    // A condition on lists is on those that logs get, of which this request's head says nothing.
    let policy = r#"{"Statement": [{"Effect": "Allow", "Action": ["s3:PutBucketLogging", "s3:PutObject"], "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:PutObjectAcl", "Resource": "*", "Condition": {"StringEquals": {"s3:x-amz-acl": "private"}}}]}"#;
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", policy)]);
    logging(&anns, Method::PUT).header("x-amz-acl", "private").body(&document).refused(403, "AccessDenied");
}

/// Logs are the bucket's owner's: who may write and list there by its list, which is no right to change lists of what is there, has none of
/// them granted to himself.
#[test]
fn who_may_write_to_the_target_by_its_list_has_no_logs_granted() {
    let cluster = Cluster::start(1);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    let (bucket, target) = (one.root.bucket(), one.root.existing_bucket("anothers-logs"));
    target.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let id = format!("id=\"{}\"", other.id.0);
    let acl = target.request(Method::PUT).raw_query("acl");
    acl.header("x-amz-grant-read", &id).header("x-amz-grant-write", &id).ok();
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{}"}}, "Action": "s3:PutBucketLogging",
           "Resource": "arn:aws:s3:::{}"}}]}}"#,
        other.number, bucket.name
    );
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    let others = bucket.through(&other.root);
    logging(&others, Method::PUT).body(enabled(&target, "", "")).ok();
    let grants = granted(&[("CanonicalUser", &format!("<ID>{}</ID>", other.id.0), "FULL_CONTROL")]);
    logging(&others, Method::PUT).body(enabled(&target, "", &grants)).refused(403, "AccessDenied");
}

/// What is not to be public any more is not by a configuration that was put before.
#[test]
fn grants_of_logs_end_with_lists_and_at_the_block_of_public_ones() {
    let server = start(1);
    let target = server.client().existing_bucket("with-lists");
    target.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let bucket = server.bucket();
    let everybody = ("Group", "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READ");
    let delivered = |prefix: &str| {
        bucket.get("nothing").send();
        let begun = Instant::now();
        loop {
            if let Some(key) = target.keys().into_iter().rfind(|key| key.starts_with(prefix)) {
                return key;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no log object with {prefix}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    let permissions = |key: &str| {
        let acl = target.object(Method::GET, key).raw_query("acl").ok().xml();
        acl.all("AccessControlList/Grant/Permission").join(" ")
    };
    let begin = |prefix: &str| {
        logging(&bucket, Method::PUT).body(enabled(&target, prefix, &granted(&[everybody]))).ok();
    };
    begin("public/");
    let key = delivered("public/");
    assert_eq!(permissions(&key), "FULL_CONTROL READ");
    target.get(&key).anonymous().ok();

    begin("blocked/");
    let block = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
    target.request(Method::PUT).raw_query("publicAccessBlock").body(block).ok();
    assert_eq!(permissions(&delivered("blocked/")), "FULL_CONTROL");
    target.request(Method::DELETE).raw_query("publicAccessBlock").send().expect(204);

    begin("off/");
    let controls = |ownership: &str| {
        let document = format!(
            "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
        );
        target.request(Method::PUT).raw_query("ownershipControls").body(document).ok();
    };
    controls("BucketOwnerEnforced");
    let key = delivered("off/");
    controls("ObjectWriter");
    assert_eq!(permissions(&key), "FULL_CONTROL");
}

/// A server that delivers records after so many seconds.
fn start(interval: u64) -> Server {
    Server::start_with(1, |config| config.front.access_log_interval_seconds = interval)
}

/// The fields of a record.
#[derive(Debug, Clone)]
struct Record(Vec<String>);

impl Record {
    fn parse(line: &str) -> Self {
        let (mut fields, mut rest) = (Vec::new(), line);
        while !rest.is_empty() {
            let end = match rest.as_bytes()[0] {
                b'"' => rest[1..].find('"').expect("a closing quote") + 2,
                b'[' => rest.find(']').expect("a closing bracket") + 1,
                _ => rest.find(' ').unwrap_or(rest.len()),
            };
            fields.push(rest[..end].to_owned());
            rest = rest[end..].strip_prefix(' ').unwrap_or(&rest[end..]);
        }
        assert_eq!(fields.len(), 27, "{line}");
        Self(fields)
    }

    fn operation(&self) -> &str {
        &self.0[6]
    }

    /// The fields from the operation to the size of the object.
    fn what(&self) -> Vec<&str> {
        self.0[6..13].iter().map(String::as_str).collect()
    }
}

/// Every record in a bucket of log objects, in the order of their keys.
fn records(target: &Bucket) -> Vec<Record> {
    let keys = target.keys();
    let lines = keys.iter().flat_map(|key| {
        let body = String::from_utf8(target.get(key).ok().body).expect("a log is text");
        assert!(body.ends_with('\n'), "{body}");
        body.lines().map(Record::parse).collect::<Vec<_>>()
    });
    lines.collect()
}

#[track_caller]
fn wait_for(target: &Bucket, what: &str, is_there: impl Fn(&[Record]) -> bool) -> Vec<Record> {
    let begun = Instant::now();
    loop {
        let found = records(target);
        if is_there(&found) {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "not within half a minute: {what}: {found:#?}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn of<'a>(found: &'a [Record], operation: &str) -> Vec<&'a Record> {
    found.iter().filter(|record| record.operation() == operation).collect()
}

#[test]
fn a_configuration_is_answered_as_it_was_put() {
    let server = start(300);
    let (bucket, target) = (server.bucket(), server.bucket());
    let none = Element::parse(wrap("").as_bytes());
    assert_eq!(logging(&bucket, Method::GET).ok().xml(), none);
    for document in [
        enabled(&target, "", ""),
        enabled(&bucket, "a&amp;b/&#13;", "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>"),
        enabled(&target, "logs/", PARTITIONED),
    ] {
        logging(&bucket, Method::PUT).body(&document).ok();
        assert_eq!(logging(&bucket, Method::GET).ok().xml(), Element::parse(document.as_bytes()));
    }
    for _ in 0..2 {
        logging(&bucket, Method::PUT).body(wrap("")).ok();
        assert_eq!(logging(&bucket, Method::GET).ok().xml(), none);
    }
}

#[test]
fn other_configurations_are_refused_and_change_nothing() {
    let server = start(300);
    let (bucket, target) = (server.bucket(), server.bucket());
    let good = enabled(&target, "kept/", PARTITIONED);
    logging(&bucket, Method::PUT).body(&good).ok();

    let locked = server.client().existing_bucket("locked");
    locked.request(Method::PUT).header("x-amz-bucket-object-lock-enabled", "true").ok();
    logging(&bucket, Method::PUT).body(enabled(&locked, "", "")).ok();
    logging(&bucket, Method::PUT).body(&good).ok();
    let retention = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
        <Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    locked.request(Method::PUT).raw_query("object-lock").body(retention).ok();

    let missing = server.client().existing_bucket("missing");
    for (target, message) in [
        (&locked, "default retention"),
        (&missing, "does not exist"),
        (&server.client().existing_bucket("B"), "does not exist"),
    ] {
        let error = logging(&bucket, Method::PUT)
            .body(enabled(target, "", ""))
            .refused(400, "InvalidTargetBucketForLogging");
        assert!(error.get("Message").contains(message), "{error:?}");
        assert_eq!(error.get("TargetBucket"), target.name);
    }
    let everybody =
        granted(&[("Group", "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READ")]);
    let off = logging(&bucket, Method::PUT).body(enabled(&target, "", &everybody));
    let error = off.refused(400, "AccessControlListNotSupported");
    assert_eq!(error.get("Message"), "Target grants not allowed for bucket owner enforced buckets");
    let open = server.client().existing_bucket("with-lists");
    open.request(Method::PUT).header("x-amz-object-ownership", "BucketOwnerPreferred").ok();
    let nobody = format!("<ID>{}</ID>", "7".repeat(64));
    for (kind, grantee, permission, code) in [
        ("CanonicalUser", nobody.as_str(), "READ", "InvalidArgument"),
        ("Group", "<URI>http://example.com/group</URI>", "READ", "InvalidArgument"),
        (
            "AmazonCustomerByEmail",
            "<EmailAddress>nobody@example.org</EmailAddress>",
            "READ",
            "UnresolvableGrantByEmailAddress",
        ),
        ("Group", "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READING", "MalformedXML"),
        ("Group", "<ID>a</ID>", "READ", "MalformedXML"),
    ] {
        let bad = granted(&[(kind, grantee, permission)]);
        logging(&bucket, Method::PUT).body(enabled(&open, "", &bad)).refused(400, code);
    }
    let block = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
    open.request(Method::PUT).raw_query("publicAccessBlock").body(block).ok();
    logging(&bucket, Method::PUT).body(enabled(&open, "", &everybody)).refused(403, "AccessDenied");
    for (bad, code) in [
        (String::new(), "MissingRequestBodyError"),
        (wrap("<LoggingEnabled/>"), "MalformedXML"),
        (enabled(&target, "", "<TargetObjectKeyFormat/>"), "MalformedXML"),
        (enabled(&target, "", "<Other/>"), "MalformedXML"),
        (enabled(&target, &"p".repeat(701), ""), "InvalidArgument"),
    ] {
        logging(&bucket, Method::PUT).body(&bad).refused(400, code);
    }
    logging(&bucket, Method::PUT)
        .body(format!("{good}{}", " ".repeat(70_000)))
        .refused(400, "MaxMessageLengthExceeded");
    let wrong = logging(&bucket, Method::PUT).header("content-md5", harness::md5_base64(b"other"));
    wrong.body(wrap("")).refused(400, "BadDigest");
    for method in [Method::GET, Method::PUT] {
        let request =
            || logging(&bucket, method.clone()).body(if method == Method::PUT { &good } else { "" });
        request().header("x-amz-expected-bucket-owner", "111122223333").refused(403, "AccessDenied");
        request().anonymous().refused(403, "AccessDenied");
        logging(&missing, method.clone()).body(&good).refused(404, "NoSuchBucket");
    }
    assert_eq!(logging(&bucket, Method::GET).ok().xml(), Element::parse(good.as_bytes()));
}

#[test]
fn every_request_is_recorded_with_all_its_fields() {
    let server = start(1);
    let (bucket, target) = (server.bucket(), server.bucket());
    bucket.put("before", "1").ok();
    logging(&bucket, Method::PUT).body(enabled(&target, "logs/", "")).ok();
    bucket
        .put("a b/\"é\"", "content")
        .header("user-agent", "agent \"one\"\\two")
        .header("referer", "http://example.com/a b")
        .ok();
    let put = target.client();
    let answer = bucket.get("a b/\"é\"").header("range", "bytes=1-3").send().expect(206);
    bucket.get("missing").query("versionId", "null").query("x-odd", "a\"b").refused(404, "NoSuchVersion");
    bucket.head("a b/\"é\"").ok();
    bucket.get("before").anonymous().refused(403, "AccessDenied");
    bucket.get("before").presigned(60).ok();
    bucket.list().query("prefix", "a").ok();
    bucket.delete("before").send().expect(204);

    let found = wait_for(&target, "all records", |found| {
        !of(found, "REST.DELETE.OBJECT").is_empty() && of(found, "REST.GET.OBJECT").len() == 4
    });
    for key in target.keys() {
        let name = key.strip_prefix("logs/").expect("the prefix");
        // 2013-11-01-21-32-16-E568B2907131C0C0
        assert!(name.len() == 36 && name.bytes().filter(|byte| *byte == b'-').count() == 6, "{name}");
        assert_eq!(target.get(&key).ok().header("content-type"), Some("text/plain"));
    }
    assert!(found.iter().all(|record| record.0[1] == bucket.name), "{found:#?}");
    assert!(of(&found, "REST.PUT.OBJECT").len() == 1, "what came before is not recorded: {found:#?}");

    let uri = |name: &str, rest: &str| format!("\"{name} /{}{rest} HTTP/1.1\"", bucket.name);
    let owner = &found[0].0[0];
    let written = of(&found, "REST.PUT.OBJECT")[0];
    let key = "a+b/%22%C3%A9%22";
    assert_eq!(
        written.what(),
        ["REST.PUT.OBJECT", key, &uri("PUT", "/a%20b/%22%C3%A9%22"), "200", "-", "-", "7"]
    );
    assert!(owner.len() == 64 && written.0[4] == *owner, "{written:?}");
    assert!(written.0[2].ends_with(" +0000]") && written.0[2].len() == 28, "{written:?}");
    assert_eq!(written.0[3], "127.0.0.1");
    assert!(written.0[13].parse::<u64>().is_ok() && written.0[14].parse::<u64>().is_ok(), "{written:?}");
    assert_eq!(written.0[15], "\"http://example.com/a b\"");
    assert_eq!(written.0[16], "\"agent %22one%22\\two\"");
    assert_eq!(
        written.0[17..].iter().map(String::as_str).collect::<Vec<_>>(),
        ["-", answer.get("x-amz-id-2"), "SigV4", "-", "AuthHeader", &put.host(), "-", "-", "-", "-"]
    );

    let read = of(&found, "REST.GET.OBJECT");
    let range = read.iter().find(|record| record.0[5] == answer.get("x-amz-request-id")).expect("its record");
    assert_eq!(range.what()[3..], ["206", "-", "3", "7"]);
    let missing = read.iter().find(|record| record.0[7] == "missing").expect("its record");
    assert_eq!((missing.0[9].as_str(), missing.0[10].as_str()), ("404", "NoSuchVersion"));
    assert!(missing.0[11].parse::<u64>().expect("bytes of an error") > 100, "{missing:?}");
    assert_eq!(missing.0[17], "null");
    let anonymous = read.iter().find(|record| record.0[9] == "403").expect("its record");
    assert_eq!((&*anonymous.0[4], &*anonymous.0[19], &*anonymous.0[21]), ("-", "-", "-"));
    let presigned = read.iter().find(|record| record.0[21] == "QueryString").expect("its record");
    assert_eq!((&*presigned.0[4], &*presigned.0[19]), (owner.as_str(), "SigV4"));
    assert!(presigned.0[8].contains("X-Amz-Signature=REDACTED"), "{presigned:?}");
    let head = of(&found, "REST.HEAD.OBJECT")[0];
    assert_eq!(head.what()[3..], ["200", "-", "-", "7"]);
    let deleted = of(&found, "REST.DELETE.OBJECT")[0];
    assert_eq!(deleted.what()[3..], ["204", "-", "-", "-"]);
    let listed = of(&found, "REST.GET.BUCKET")[0];
    assert_eq!((&*listed.0[7], &*listed.0[9]), ("-", "200"));
    assert!(listed.0[11].parse::<u64>().expect("bytes") > 200, "{listed:?}");
}

#[test]
fn parts_copies_and_batches_have_records_of_their_own() {
    let server = start(1);
    let (bucket, other, target) = (server.bucket(), server.bucket(), server.bucket());
    logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
    let upload = bucket.upload("large");
    upload.put(1, "part");
    upload.request(Method::GET).ok();
    upload.request(Method::DELETE).send().expect(204);
    bucket.put("source", "content").ok();
    other.copy(&format!("{}/source", bucket.name), "copy").ok();
    bucket.copy(&format!("{}/copy", other.name), "back").ok();
    bucket
        .delete_objects("<Delete><Object><Key>source</Key></Object><Object><Key>no</Key><VersionId>x</VersionId></Object></Delete>")
        .ok();
    let found =
        wait_for(&target, "the batch", |found| !of(found, "REST.POST.MULTI_OBJECT_DELETE").is_empty());
    for operation in [
        "REST.POST.UPLOADS",
        "REST.PUT.PART",
        "REST.GET.UPLOAD",
        "REST.DELETE.UPLOAD",
        "REST.PUT.OBJECT",
        "REST.COPY.OBJECT",
        "REST.COPY.OBJECT_GET",
    ] {
        assert_eq!(of(&found, operation).len(), 1, "{operation}: {found:#?}");
    }
    let copied = of(&found, "REST.COPY.OBJECT_GET")[0];
    assert_eq!((&*copied.0[1], &*copied.0[7], &*copied.0[9]), (bucket.name.as_str(), "source", "200"));
    assert_eq!(of(&found, "REST.COPY.OBJECT")[0].0[7], "back");
    let batch = of(&found, "BATCH.DELETE.OBJECT");
    let shown: Vec<_> = batch.iter().map(|record| [&*record.0[7], &record.0[9], &record.0[10]]).collect();
    assert_eq!(shown, [["source", "204", "-"], ["no", "404", "NoSuchVersion"]]);
}

#[test]
fn a_bucket_may_log_into_itself_and_deliveries_are_not_recorded() {
    let server = start(1);
    let bucket = server.bucket();
    logging(&bucket, Method::PUT).body(enabled(&bucket, "logs/", PARTITIONED)).ok();
    bucket.put("key", "content").ok();
    let logs = || -> Vec<String> {
        let listed = bucket.list().query("prefix", "logs/").ok().xml();
        listed.all("Contents/Key").into_iter().map(str::to_owned).collect()
    };
    let begun = Instant::now();
    while logs().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no log");
        thread::sleep(Duration::from_millis(200));
    }
    let key = &logs()[0];
    // logs/ACCOUNT/us-east-1/BUCKET/2026/01/31/2026-01-31-00-00-00-0123456789ABCDEF
    let pieces: Vec<&str> = key.split('/').collect();
    assert_eq!((pieces.len(), pieces[2], pieces[3]), (8, "us-east-1", bucket.name.as_str()), "{key}");
    assert_eq!(pieces[7][..19], format!("{}-{}-{}-00-00-00", pieces[4], pieces[5], pieces[6])[..19]);
    let body = String::from_utf8(bucket.get(key).ok().body).expect("text");
    assert!(body.contains(" REST.PUT.OBJECT key ") && !body.contains(" REST.PUT.OBJECT logs/"), "{body}");
    // Once nothing asks any more, and the rest is delivered, there are no more of them.
    thread::sleep(Duration::from_secs(4));
    let settled = logs().len();
    thread::sleep(Duration::from_secs(3));
    assert!(logs().len() <= settled + 1, "a delivery made another: {:?}", logs());
}

#[test]
fn an_orderly_stop_delivers_what_waits() {
    let mut server = start(3600);
    let (bucket, target) = (server.bucket(), server.bucket());
    logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
    for number in 0..20 {
        bucket.put(&number.to_string(), "content").ok();
    }
    thread::sleep(Duration::from_secs(2));
    assert!(target.keys().is_empty(), "nothing is due for an hour");
    server.restart();
    let found = records(&target.through(server.client()));
    assert_eq!(of(&found, "REST.PUT.OBJECT").len(), 20, "{found:#?}");
}

#[test]
fn what_was_recorded_is_delivered_after_logging_is_switched_off() {
    let server = start(6);
    let (bucket, target) = (server.bucket(), server.bucket());
    logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
    bucket.put("first", "1").ok();
    // Long enough for the gateway to know where the records go, and not for their delivery.
    thread::sleep(Duration::from_secs(3));
    assert!(target.keys().is_empty(), "it waits");
    logging(&bucket, Method::PUT).body(wrap("")).ok();
    bucket.put("second", "2").ok();
    let found = wait_for(&target, "the first", |found| found.iter().any(|record| record.0[7] == "first"));
    thread::sleep(Duration::from_secs(7));
    assert!(records(&target).len() == found.len(), "{found:#?}");
    assert!(found.iter().all(|record| record.0[7] != "second"), "{found:#?}");
    // A target that is gone is nobody's fault but its owner's.
    logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
    for key in target.keys() {
        target.delete(&key).send().expect(204);
    }
    target.request(Method::DELETE).send().expect(204);
    bucket.put("third", "3").ok();
    let (begun, mut told) = (Instant::now(), Vec::new());
    while told.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody is told what was thrown away");
        thread::sleep(Duration::from_millis(200));
        told = Logs::start().take("records of access logs were dropped");
    }
    assert!(told[0].contains("total="), "{told:?}");
}

/// Guides and tools write such a policy for the target. It is no grant to anybody who sends requests, and what it denies the service
/// holds.
#[test]
fn the_policy_of_the_target_may_name_the_service_that_delivers() {
    let server = start(1);
    let (bucket, target) = (server.bucket(), server.bucket());
    let service = r#"{"Service": "logging.s3.amazonaws.com"}"#;
    let to_service = |effect: &str, key: &str, source: &str| {
        format!(
            r#"{{"Sid": "{effect}-{source}", "Effect": "{effect}", "Principal": {service}, "Action": "s3:PutObject",
               "Resource": "BUCKET/{key}", "Condition": {{"ArnLike": {{"aws:SourceArn": "arn:aws:s3:::{source}"}},
               "StringEquals": {{"aws:SourceAccount": "750814517293"}}}}}}"#
        )
    };
    let deny_plain = r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["BUCKET", "BUCKET/*"],
        "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false", "aws:SecureTransport": "true"}}}"#;
    let granted = [to_service("Allow", "logs/*", &bucket.name), deny_plain.to_owned()];
    let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
    bucket_policy::set(&target, &granted);
    let found = bucket_policy::policy(&target, Method::GET).ok();
    assert_eq!(found.body, bucket_policy::document(&target, &granted).as_bytes());
    target.put("logs/forged", "content").anonymous().refused(403, "AccessDenied");
    logging(&bucket, Method::PUT).body(enabled(&target, "logs/", "")).ok();
    bucket.put("first", "1").ok();
    wait_for(&target, "the first", |found| found.iter().any(|record| record.0[7] == "first"));

    // What it denies of another bucket's log does not concern this one's.
    let (other, own) = (to_service("Deny", "*", "other"), to_service("Deny", "logs/*", &bucket.name));
    bucket_policy::set(&target, &[&other]);
    bucket.put("second", "2").ok();
    let before =
        wait_for(&target, "the second", |found| found.iter().any(|record| record.0[7] == "second")).len();
    let everybody =
        r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "BUCKET/*"}"#;
    for denied in [own.as_str(), everybody] {
        bucket_policy::set(&target, &[denied]);
        bucket.put("third", "3").ok();
        let (begun, mut told) = (Instant::now(), Vec::new());
        while told.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody is told what was thrown away");
            thread::sleep(Duration::from_millis(200));
            told = Logs::start().take("records of access logs were dropped");
        }
        let found = records(&target);
        assert!(found.iter().all(|record| record.0[7] != "third"), "{found:#?}");
        assert!(found.len() >= before, "{found:#?}");
    }
    // It is said at once when it is asked for, to whoever may write there himself.
    bucket_policy::set(&target, &[&own]);
    let refused = logging(&bucket, Method::PUT).body(enabled(&target, "logs/", ""));
    let error = refused.refused(400, "InvalidTargetBucketForLogging");
    assert!(error.get("Message").contains("logging.s3.amazonaws.com"), "{error:?}");
    logging(&bucket, Method::PUT).body(enabled(&target, "elsewhere/", "")).ok();
    logging(&bucket, Method::PUT).body(wrap("")).ok();
    bucket_policy::policy(&target, Method::DELETE).send().expect(204);
}

#[test]
fn a_presigned_url_that_refers_to_an_object_cannot_be_used() {
    let server = start(1);
    let (bucket, target) = (server.bucket(), server.bucket());
    logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
    let referer = "http://example.com/page?X-Amz-Signature=0123abcd&a=b";
    bucket.put("key", "content").header("referer", referer).ok();
    let found = wait_for(&target, "the put", |found| !of(found, "REST.PUT.OBJECT").is_empty());
    let put = of(&found, "REST.PUT.OBJECT")[0];
    assert_eq!(put.0[15], "\"http://example.com/page?X-Amz-Signature=REDACTED&a=b\"");
}

#[test]
fn visitors_of_a_website_are_recorded() {
    let server = Server::start_with(1, |config| {
        config.front.access_log_interval_seconds = 1;
        config.front.website_address = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    });
    let (bucket, target) = (server.bucket(), server.bucket());
    let website = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
    bucket.request(Method::PUT).raw_query("website").body(website).ok();
    bucket_policy::set(&bucket, &[&bucket_policy::allow("s3:GetObject")]);
    bucket.put("page.html", "<html/>").ok();
    logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
    let visitor = server.visitor(&bucket.name);
    assert_eq!(visitor.get("/page.html").status, 200);
    assert_eq!(visitor.head("/page.html").status, 200);
    assert_eq!(visitor.get("/missing?a=b").status, 404);
    let found = wait_for(&target, "three visits", |found| of(found, "WEBSITE.GET.OBJECT").len() == 2);
    let page = of(&found, "WEBSITE.GET.OBJECT");
    assert_eq!(page[0].what()[1..], ["page.html", "\"GET /page.html HTTP/1.1\"", "200", "-", "7", "7"]);
    assert_eq!((&*page[0].0[4], &*page[0].0[22]), ("-", bucket.name.as_str()));
    assert_eq!((&*page[1].0[7], &*page[1].0[10]), ("missing", "NoSuchKey"));
    assert_eq!(of(&found, "WEBSITE.HEAD.OBJECT").len(), 1);
}

#[test]
fn tls_is_recorded() {
    let certificate = Certificate::make();
    let server = Server::start_with(1, |config| {
        config.front.access_log_interval_seconds = 1;
        config.front.tls_cert = Some(certificate.chain());
        config.front.tls_key = Some(certificate.key());
    });
    let client: Client = server.client().with_tls(certificate.trust());
    let (bucket, target) = (client.bucket(), client.bucket());
    logging(&bucket, Method::PUT).body(enabled(&target, "", "")).ok();
    bucket.put("key", "content").ok();
    let found = wait_for(&target, "the put", |found| !of(found, "REST.PUT.OBJECT").is_empty());
    let put = of(&found, "REST.PUT.OBJECT")[0];
    assert_eq!(put.0[23], "TLSv1.3");
    assert!(put.0[20].starts_with("TLS_"), "{put:?}");
}
