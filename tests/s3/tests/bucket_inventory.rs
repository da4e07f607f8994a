//! GetBucketInventoryConfiguration, PutBucketInventoryConfiguration, DeleteBucketInventoryConfiguration,
//! ListBucketInventoryConfigurations, and the lists that are made. Expectations come from the Amazon S3 User Guide, "Locating
//! your inventory list", and the API Reference.

use std::{
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use harness::{Bucket, Element, Logs, Request, Server, md5_base64, md5_hex};
use http::Method;
use serde_json::Value;

use crate::bucket_policy;

/// What the worker tells of lists.
const MADE: &str = "made an inventory";
const DENIED: &str = "an inventory is denied by its destination";
const NOWHERE: &str = "an inventory has no bucket to go to";

fn inventory(bucket: &Bucket, method: Method, id: &str) -> Request {
    bucket.request(method).raw_query("inventory").query("id", id)
}

/// A configuration; what differs between tests is replaced in it.
fn document(id: &str, target: &Bucket) -> String {
    format!(
        "<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::{}</Bucket><Format>CSV</Format>\
         <Prefix>lists</Prefix></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>{id}</Id>\
         <IncludedObjectVersions>Current</IncludedObjectVersions><OptionalFields><Field>Size</Field><Field>ETag</Field>\
         </OptionalFields><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>",
        target.name
    )
}

const ENCRYPTED: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256\
    </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

const VERSIONED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

/// A server for which a day has so many seconds.
fn start(day: u64) -> Server {
    Server::start_with(1, |config| config.lifecycle.lifecycle_day_seconds = day)
}

fn keys(target: &Bucket, end: &str) -> Vec<String> {
    target.keys().into_iter().filter(|key| key.ends_with(end)).collect()
}

/// The first list that is complete: its manifest's folder and the manifest.
#[track_caller]
fn first_manifest(target: &Bucket, under: &str) -> (String, Value) {
    let begun = Instant::now();
    loop {
        let found = keys(target, "/manifest.checksum").into_iter().find(|key| key.starts_with(under));
        if let Some(key) = found {
            let folder = key.trim_end_matches("manifest.checksum").to_owned();
            let manifest = target.get(&format!("{folder}manifest.json")).ok();
            let checksum = target.get(&key).ok().body;
            // The next list of the same minute may have taken its place in between.
            if checksum == md5_hex(&manifest.body).as_bytes() {
                return (folder, serde_json::from_slice(&manifest.body).expect("JSON"));
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no list: {:?}", target.keys());
        thread::sleep(Duration::from_millis(100));
    }
}

/// The lines of the files of a list, whose sizes and checksums are as the manifest says.
fn lines(target: &Bucket, manifest: &Value) -> Vec<String> {
    let files = manifest["files"].as_array().expect("files");
    let lines = files.iter().flat_map(|file| {
        let body = target.get(file["key"].as_str().expect("a key")).ok().body;
        assert_eq!(file["size"].as_u64(), Some(body.len() as u64));
        assert_eq!(file["MD5checksum"].as_str(), Some(md5_hex(&body).as_str()));
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).expect("text under gzip");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    lines.collect()
}

/// Lists are objects as others are, and are encrypted where their bucket has it so.
#[test]
fn lists_are_encrypted_by_the_default_of_their_bucket() {
    let mut server = start(2);
    for algorithm in ["AES256", "aws:kms"] {
        let (bucket, target) = (server.bucket(), server.bucket());
        bucket.put("key", "content").ok();
        let by_default = ENCRYPTED.replace("AES256", algorithm);
        target.request(Method::PUT).raw_query("encryption").body(by_default).ok();
        inventory(&bucket, Method::PUT, "a").body(document("a", &target)).ok();
        // The next pass may be an hour away; a start begins with one.
        server.restart();
        let (bucket, target) = (bucket.through(server.client()), target.through(server.client()));
        let (_, manifest) = first_manifest(&target, "lists/");
        let lines = lines(&target, &manifest);
        assert!(lines.len() == 1 && lines[0].contains("\"key\""), "{lines:?}");
        inventory(&bucket, Method::DELETE, "a").send().expect(204);
        for key in target.keys() {
            let read = target.get(&key).ok();
            assert_eq!(read.get("x-amz-server-side-encryption"), algorithm, "{key}");
            let is_md5 = read.etag() == format!("\"{}\"", md5_hex(&read.body));
            assert_eq!(is_md5, algorithm == "AES256", "{key}");
        }
    }
}

#[test]
fn configurations_are_kept_replaced_listed_and_deleted() {
    let server = start(86_400);
    let (bucket, target) = (server.bucket(), server.bucket());
    let missing = inventory(&bucket, Method::GET, "a").refused(404, "NoSuchConfiguration");
    assert_eq!(missing.get("BucketName"), bucket.name);
    inventory(&bucket, Method::DELETE, "a").refused(404, "NoSuchConfiguration");
    let whole = document("a", &target)
        .replace("CSV", "Parquet")
        .replace("Daily", "Weekly")
        .replace("Current", "All")
        .replace("<IsEnabled>true", "<IsEnabled>false")
        .replace("<Id>", "<Filter><Prefix>a&amp;b/&#13;</Prefix></Filter><Id>");
    for document in [document("a", &target), whole] {
        inventory(&bucket, Method::PUT, "a").body(&document).ok();
        let found = inventory(&bucket, Method::GET, "a").ok().xml();
        assert_eq!(found, Element::parse(document.as_bytes()));
    }
    // Pages of 100, in the order of names.
    let off = |id: &str| document(id, &target).replace("<IsEnabled>true", "<IsEnabled>false");
    let mut ids: Vec<String> = (0..204).map(|number| format!("id-{number:03}")).collect();
    for id in &ids {
        inventory(&bucket, Method::PUT, id).body(off(id)).ok();
    }
    ids.insert(0, "a".to_owned());
    let (mut found, mut token, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let request = bucket.request(Method::GET).raw_query("inventory");
        let request = token.iter().fold(request, |request, token| request.query("continuation-token", token));
        let page = request.ok().xml();
        assert_eq!(page.name, "ListInventoryConfigurationsResult");
        assert_eq!(page.find("ContinuationToken"), token.as_deref());
        found.extend(page.all("InventoryConfiguration/Id").into_iter().map(str::to_owned));
        pages += 1;
        if page.get("IsTruncated") == "false" {
            assert_eq!(page.find("NextContinuationToken"), None);
            break;
        }
        token = Some(page.get("NextContinuationToken").to_owned());
    }
    assert_eq!((found, pages), (ids, 3));
    let wrong = bucket.request(Method::GET).raw_query("inventory").query("continuation-token", "????");
    wrong.refused(400, "InvalidArgument");

    inventory(&bucket, Method::DELETE, "a").send().expect(204);
    inventory(&bucket, Method::GET, "a").refused(404, "NoSuchConfiguration");
    bucket.request(Method::DELETE).send().expect(204);
    bucket.request(Method::PUT).ok();
    let listed = bucket.request(Method::GET).raw_query("inventory").ok().xml();
    assert!(listed.elements("InventoryConfiguration").is_empty(), "they go with their bucket");
}

#[test]
fn other_configurations_are_refused_and_change_nothing() {
    let server = start(86_400);
    let (bucket, target) = (server.bucket(), server.bucket());
    let good = document("a", &target);
    inventory(&bucket, Method::PUT, "a").body(&good).ok();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let arn = format!("arn:aws:s3:::{}", target.name);
    for (bad, status, code) in [
        (String::new(), 400, "MissingRequestBodyError"),
        (with("<Id>a</Id>", ""), 400, "MalformedXML"),
        (with("Daily", "Hourly"), 400, "MalformedXML"),
        (with("Current", "Some"), 400, "MalformedXML"),
        (with(">true<", ">maybe<"), 400, "MalformedXML"),
        (with("<Field>Size</Field>", "<Field>Colour</Field>"), 400, "MalformedXML"),
        (with("<Id>a</Id>", "<Id>b</Id>"), 400, "IdMismatch"),
        (with("<Id>a</Id>", "<Id>a b</Id>"), 400, "InvalidArgument"),
        (with(&arn, &target.name), 400, "InvalidS3DestinationBucket"),
        (with(&arn, "arn:aws:s3:::missing"), 400, "InvalidS3DestinationBucket"),
        (with("<Bucket>", "<AccountId>1</AccountId><Bucket>"), 400, "InvalidS3DestinationBucket"),
    ] {
        inventory(&bucket, Method::PUT, "a").body(&bad).refused(status, code);
    }
    let locked = server.client().existing_bucket("locked");
    locked.request(Method::PUT).header("x-amz-bucket-object-lock-enabled", "true").ok();
    let retention = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
        <Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    locked.request(Method::PUT).raw_query("object-lock").body(retention).ok();
    let error = inventory(&bucket, Method::PUT, "a")
        .body(with(&arn, "arn:aws:s3:::locked"))
        .refused(400, "InvalidS3DestinationBucket");
    assert!(error.get("Message").contains("default retention"), "{error:?}");
    for (from, to, field) in [
        ("CSV", "ORC", "Format"),
        ("<Prefix>", "<Encryption><SSE-S3/></Encryption><Prefix>", "Encryption"),
        ("<Field>Size</Field>", "<Field>BucketKeyStatus</Field>", "BucketKeyStatus"),
        ("<Field>Size</Field>", "<Field>ObjectAccessControlList</Field>", "ObjectAccessControlList"),
        ("<Field>Size</Field>", "<Field>LifecycleExpirationDate</Field>", "LifecycleExpirationDate"),
        (
            "<Field>Size</Field>",
            "<Field>IntelligentTieringAccessTier</Field>",
            "IntelligentTieringAccessTier",
        ),
    ] {
        let error = inventory(&bucket, Method::PUT, "a").body(with(from, to)).refused(501, "NotImplemented");
        assert_eq!(error.get("Field"), field);
    }
    for id in ["", "a b", &"x".repeat(65)] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let body = if method == Method::PUT { good.as_str() } else { "" };
            inventory(&bucket, method, id).body(body).refused(400, "InvalidArgument");
        }
    }
    inventory(&bucket, Method::PUT, "a").body(" ".repeat(40_000)).refused(400, "MaxMessageLengthExceeded");
    let missing = server.client().existing_bucket("missing");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = |bucket: &Bucket| {
            inventory(bucket, method.clone(), "a").body(if method == Method::PUT { &good } else { "" })
        };
        request(&bucket).header("x-amz-expected-bucket-owner", "111122223333").refused(403, "AccessDenied");
        request(&bucket).anonymous().refused(403, "AccessDenied");
        request(&missing).refused(404, "NoSuchBucket");
    }
    missing.request(Method::GET).raw_query("inventory").refused(404, "NoSuchBucket");
    assert_eq!(inventory(&bucket, Method::GET, "a").ok().xml(), Element::parse(good.as_bytes()));
}

#[test]
fn a_bucket_has_a_thousand_configurations_at_most() {
    let server = start(86_400);
    let (bucket, target) = (server.bucket(), server.bucket());
    let off = |id: &str| document(id, &target).replace("<IsEnabled>true", "<IsEnabled>false");
    for number in 0..1000 {
        let id = number.to_string();
        inventory(&bucket, Method::PUT, &id).body(off(&id)).ok();
    }
    inventory(&bucket, Method::PUT, "more").body(off("more")).refused(400, "TooManyConfigurations");
    inventory(&bucket, Method::PUT, "7").body(off("7")).ok();
    inventory(&bucket, Method::DELETE, "7").send().expect(204);
    inventory(&bucket, Method::PUT, "more").body(off("more")).ok();
}

#[test]
fn current_objects_are_listed_once_a_day_and_not_again_after_a_restart() {
    // Long enough to see two of them in none, and short enough not to begin one.
    let mut server = start(86_400);
    let (bucket, target) = (server.bucket(), server.bucket());
    for key in ["kept/a b\"é", "kept/z", "other"] {
        bucket.put(key, "content").ok();
    }
    let upload = bucket.upload("kept/parts");
    let etag = upload.put(1, "part");
    upload.complete(&[(1, &etag)]).ok();
    bucket.delete("kept/z").send().expect(204);
    bucket.put("kept/z", "again").ok();
    let configured = document("daily.1", &target)
        .replace("<Id>", "<Filter><Prefix>kept/</Prefix></Filter><Id>")
        .replace("<Field>ETag</Field>", "<Field>IsMultipartUploaded</Field><Field>StorageClass</Field>");
    inventory(&bucket, Method::PUT, "daily.1").body(configured).ok();
    // The next pass may be an hour away; a start begins with one.
    server.restart();
    let (bucket, target) = (bucket.through(server.client()), target.through(server.client()));
    let under = format!("lists/{}/daily.1/", bucket.name);
    let (folder, manifest) = first_manifest(&target, &under);
    // lists/bucket/daily.1/2016-11-06T21-32Z/
    let time = folder.strip_prefix(&under).expect("the folder of this configuration");
    assert!(time.len() == 18 && time.ends_with("Z/") && time.as_bytes()[10] == b'T', "{folder}");
    assert_eq!(manifest["sourceBucket"], bucket.name.as_str());
    assert_eq!(manifest["destinationBucket"], format!("arn:aws:s3:::{}", target.name));
    assert_eq!(manifest["fileFormat"], "CSV");
    assert_eq!(manifest["fileSchema"], "Bucket, Key, Size, StorageClass, IsMultipartUploaded");
    let name = &bucket.name;
    assert_eq!(
        lines(&target, &manifest),
        [
            format!("\"{name}\",\"kept/a+b%22%C3%A9\",\"7\",\"STANDARD\",\"false\""),
            format!("\"{name}\",\"kept/parts\",\"4\",\"STANDARD\",\"true\""),
            format!("\"{name}\",\"kept/z\",\"5\",\"STANDARD\",\"false\""),
        ]
    );
    let key = manifest["files"][0]["key"].as_str().expect("a key");
    assert!(key.starts_with(&format!("{under}data/")) && key.ends_with(".csv.gz"), "{key}");
    let links = keys(&target, "/symlink.txt");
    assert!(links[0].starts_with(&format!("{under}hive/dt=")), "{links:?}");
    let link = target.get(&links[0]).ok().body;
    assert_eq!(String::from_utf8_lossy(&link), format!("s3://{}/{key}", target.name));

    // It is made once a day: a later start makes what comes behind it alone.
    let before = target.keys();
    inventory(&bucket, Method::PUT, "z").body(document("z", &target)).ok();
    Logs.forget_told();
    server.restart();
    Logs.wait_until_told_since("id=\"z\"", 1);
    let (bucket, target) = (bucket.through(server.client()), target.through(server.client()));
    let of_z = format!("lists/{}/z/", bucket.name);
    let found: Vec<String> = target.keys().into_iter().filter(|key| !key.starts_with(&of_z)).collect();
    assert_eq!(found, before);
}

#[test]
fn versions_and_locks_are_listed_again_each_day() {
    let server = start(2);
    let target = server.bucket();
    let bucket = server.client().existing_bucket("locking");
    bucket.request(Method::PUT).header("x-amz-bucket-object-lock-enabled", "true").ok();
    let first = bucket.put_version("key", "1");
    let second = bucket
        .put("key", "22")
        .header("content-md5", md5_base64(b"22"))
        .header("x-amz-object-lock-mode", "GOVERNANCE")
        .header("x-amz-object-lock-retain-until-date", "2050-01-02T03:04:05Z")
        .header("x-amz-object-lock-legal-hold", "ON")
        .ok()
        .version_id();
    let marker = bucket.put_marker("gone");
    let all = document("all", &target).replace("Current", "All").replace(
        "<Field>ETag</Field>",
        "<Field>ObjectLockRetainUntilDate</Field><Field>ObjectLockMode</Field><Field>ObjectLockLegalHoldStatus</Field>\
         <Field>EncryptionStatus</Field>",
    );
    inventory(&bucket, Method::PUT, "all").body(all).ok();
    let (_, manifest) = first_manifest(&target, "lists/locking/all/");
    assert_eq!(
        manifest["fileSchema"],
        "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, EncryptionStatus, ObjectLockRetainUntilDate, \
         ObjectLockMode, ObjectLockLegalHoldStatus"
    );
    assert_eq!(
        lines(&target, &manifest),
        [
            format!("\"locking\",\"gone\",\"{marker}\",\"true\",\"true\",\"\",\"\",\"\",\"\",\"\""),
            format!(
                "\"locking\",\"key\",\"{second}\",\"true\",\"false\",\"2\",\"NOT-SSE\",\"2050-01-02T03:04:05.000Z\",\"GOVERNANCE\",\"ON\""
            ),
            format!(
                "\"locking\",\"key\",\"{first}\",\"false\",\"false\",\"1\",\"NOT-SSE\",\"\",\"\",\"OFF\""
            ),
        ]
    );
    // A day has two seconds here, and each has a list of its own.
    let begun = Instant::now();
    while keys(&target, ".csv.gz").len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no further lists");
        thread::sleep(Duration::from_millis(200));
    }
    // None is made of what is not configured any more, by a pass that begins after that.
    inventory(&bucket, Method::DELETE, "all").send().expect(204);
    inventory(&bucket, Method::PUT, "z").body(document("z", &target)).ok();
    Logs.wait_until_told("id=\"z\"", 1);
    let settled = keys(&target, ".csv.gz").into_iter().filter(|key| key.contains("/all/")).count();
    Logs.wait_until_told("id=\"z\"", 3);
    let found = keys(&target, ".csv.gz").into_iter().filter(|key| key.contains("/all/")).count();
    assert_eq!(found, settled);
    inventory(&bucket, Method::DELETE, "z").send().expect(204);
}

/// As listings do. What another account has written is not its own any more once lists are off.
#[test]
fn a_list_names_the_owner_of_each_object() {
    let server = start(2);
    let other = server.account("other");
    let (target, bucket) = (server.bucket(), server.client().existing_bucket("written-by-others"));
    bucket.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let grant = format!("id=\"{}\"", other.id.0);
    bucket.request(Method::PUT).raw_query("acl").header("x-amz-grant-write", grant).ok();
    bucket.request(Method::PUT).raw_query("versioning").body(VERSIONED).ok();
    bucket.put("a", "content").ok();
    bucket.through(&other.root).put("b", "content").ok();
    // A list lets nobody delete.
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{}"}}, "Action": "s3:DeleteObject",
           "Resource": "arn:aws:s3:::{}/*"}}]}}"#,
        other.number, bucket.name
    );
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    bucket.through(&other.root).delete("c").send().expect(204);
    let mine = bucket.list().query("list-type", "2").query("fetch-owner", "true").ok().xml();
    let mine = mine.all("Contents/Owner/ID")[0].to_owned();
    for (id, versions, theirs, lines_of) in [
        ("current", "Current", &other.id.0, &["a", "b"][..]),
        ("versions", "All", &other.id.0, &["a", "b", "c"][..]),
        ("enforced", "Current", &mine, &["a", "b"][..]),
    ] {
        if id == "enforced" {
            let enforced = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
            bucket.request(Method::PUT).raw_query("acl").header("x-amz-acl", "private").ok();
            bucket.request(Method::PUT).raw_query("ownershipControls").body(enforced).ok();
        }
        let document = document(id, &target).replace("Current", versions);
        let document =
            document.replace("<Field>Size</Field><Field>ETag</Field>", "<Field>ObjectOwner</Field>");
        inventory(&bucket, Method::PUT, id).body(document).ok();
        let (_, manifest) = first_manifest(&target, &format!("lists/written-by-others/{id}/"));
        let expected = lines_of.iter().map(|key| (*key, if *key == "a" { &mine } else { theirs }));
        let lines = lines(&target, &manifest);
        let found: Vec<_> =
            lines.iter().map(|line| line.split(',').map(|field| field.trim_matches('"'))).collect();
        let found: Vec<_> = found
            .into_iter()
            .map(|mut line| (line.nth(1).expect("a key"), line.next_back().expect("an owner")))
            .collect();
        assert_eq!(found, expected.map(|(key, owner)| (key, owner.as_str())).collect::<Vec<_>>(), "{id}");
        inventory(&bucket, Method::DELETE, id).send().expect(204);
    }
}

#[test]
fn a_list_without_a_destination_is_made_once_there_is_one() {
    let server = start(1);
    let (bucket, target) = (server.bucket(), server.bucket());
    bucket.put("key", "content").ok();
    inventory(&bucket, Method::PUT, "a").body(document("a", &target)).ok();
    first_manifest(&target, "lists/");
    // It is emptied and deleted while the configuration is enabled, however often a list comes in between.
    let begun = Instant::now();
    loop {
        for key in target.keys() {
            target.delete(&key).send().expect(204);
        }
        if target.request(Method::DELETE).send().status == 204 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "lists come faster than they go");
    }
    // Several days without a destination: the worker carries on.
    Logs.wait_until_told(NOWHERE, 4);
    bucket.put("later", "content").ok();
    target.request(Method::PUT).ok();
    let (_, manifest) = first_manifest(&target, "lists/");
    assert_eq!(lines(&target, &manifest).len(), 2);
    inventory(&bucket, Method::DELETE, "a").send().expect(204);
}

/// Guides and tools write such a policy for the destination. What it denies the service holds, and lists nothing in vain.
#[test]
fn the_policy_of_the_destination_may_name_the_service_that_delivers() {
    let server = start(1);
    let (bucket, target) = (server.bucket(), server.bucket());
    bucket.put("key", "content").ok();
    let statement = |effect: &str, key: &str| {
        format!(
            r#"{{"Effect": "{effect}", "Principal": {{"Service": "s3.amazonaws.com"}}, "Action": "s3:PutObject",
               "Resource": "BUCKET/{key}", "Condition": {{"ArnLike": {{"aws:SourceArn": "arn:aws:s3:::{}"}}, "StringEquals":
               {{"aws:SourceAccount": "750814517293", "s3:x-amz-acl": "bucket-owner-full-control"}}}}}}"#,
            bucket.name
        )
    };
    let granted = statement("Allow", "*");
    bucket_policy::set(&target, &[&granted]);
    let found = bucket_policy::policy(&target, Method::GET).ok();
    assert_eq!(found.body, bucket_policy::document(&target, &[&granted]).as_bytes());
    inventory(&bucket, Method::PUT, "a").body(document("a", &target)).ok();
    first_manifest(&target, "lists/");

    // Where the last thing that is put is denied nothing is put at all, not even to be taken away again.
    target.set_versioning("Enabled");
    for last in ["manifest.json", "manifest.checksum", "symlink.txt"] {
        bucket_policy::set(&target, &[&statement("Deny", &format!("*/{last}"))]);
        // A list that was begun before may end in the first of them.
        let denied = Logs.wait_until_told(DENIED, 2);
        assert!(denied[1].contains(last), "{denied:?}");
        let before = commit_of(&target.put_version("mark", last));
        Logs.wait_until_told(DENIED, 3);
        assert_eq!(commit_of(&target.put_version("mark", last)), before + 1, "something was put");
    }

    bucket_policy::set(&target, &[&statement("Deny", "lists/*")]);
    let error = inventory(&bucket, Method::PUT, "b").body(document("b", &target));
    let error = error.refused(400, "InvalidS3DestinationBucket");
    assert!(error.get("Message").contains("s3.amazonaws.com"), "{error:?}");
    let before = commit_of(&target.put_version("mark", "all"));
    Logs.wait_until_told(DENIED, 2);
    assert_eq!(commit_of(&target.put_version("mark", "all")), before + 1, "something was put");

    bucket_policy::policy(&target, Method::DELETE).send().expect(204);
    Logs.wait_until_told(MADE, 1);
    inventory(&bucket, Method::DELETE, "a").send().expect(204);
}

/// The number of the bucket's commit by which a version was made.
fn commit_of(version_id: &str) -> u64 {
    u64::from_str_radix(&version_id[..16], 16).expect("a number before what is random")
}
