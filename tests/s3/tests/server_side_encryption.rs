//! Objects that are encrypted by keys of the store (SSE-S3): what is answered, and what lies on the disks.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use harness::{ACCESS_KEY, Bucket, Logs, Server, content, md5_hex, run_command};

use crate::support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same, race};

const HEADER: &str = "x-amz-server-side-encryption";

/// Every file under a folder.
pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Whether bytes lie anywhere in the folders of a server: shards, database, journals.
pub(crate) fn lies_on_disk(server: &Server, needle: &[u8]) -> bool {
    let mut found = Vec::new();
    files(server.folder(), &mut found);
    assert!(found.len() > 3, "{found:?}");
    found.iter().any(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

fn put(bucket: &Bucket, key: &str, bytes: &[u8]) {
    let put = bucket.put(key, bytes).header(HEADER, "AES256").ok();
    assert_eq!((put.get(HEADER), put.etag()), ("AES256", format!("\"{}\"", md5_hex(bytes)).as_str()));
}

/// Inline, as whole copies and in chunks: the bytes are there when they are plain, and are not when they are encrypted.
#[test]
fn plain_bytes_reach_no_disk() {
    let mut server = Server::start();
    let bucket = server.bucket();
    for (number, length) in [200, 20_000, 300_000, PART_SIZE_MIN].into_iter().enumerate() {
        let (seed, key) = (number as u64 + 1, format!("key-{number}"));
        let (plain, secret) = (content(length, 2 * seed), content(length, 2 * seed + 1));
        bucket.put(&format!("plain-{number}"), &plain).unsigned_payload().ok();
        let sent = bucket.put(&key, &secret).unsigned_payload().header(HEADER, "AES256").ok();
        assert_eq!(sent.get(HEADER), "AES256");
        for at in [0, length / 2] {
            assert!(lies_on_disk(&server, &plain[at..at + 48]), "{length}: the search finds what is there");
            assert!(!lies_on_disk(&server, &secret[at..at + 48]), "{length}: plain bytes lie on a disk");
        }
        assert_same(&bucket.get(&key).ok().body, &secret);
    }
    // Whichever way an object comes to be.
    let secret = content(90_000, 98);
    let form = bucket.form().field("key", "form").field(HEADER, "AES256").signed(&secret).send().expect(204);
    assert_eq!(form.get(HEADER), "AES256");
    let by_default = server.bucket();
    let document = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256\
        </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    by_default.request(http::Method::PUT).raw_query("encryption").body(document).ok();
    by_default.put("put", &secret).ok();
    let copied = bucket.upload_with("copied", bucket.create_upload("copied").header(HEADER, "AES256"));
    copied.copy(1, &format!("{}/form", bucket.name)).ok();
    assert!(!lies_on_disk(&server, &secret[1000..1048]));
    for (bucket, key) in [(&bucket, "form"), (&by_default, "put")] {
        assert_same(&bucket.get(key).ok().body, &secret);
    }
    // The one that a copy is made of lies there in plain, once.
    let plain = content(20_000, 97);
    bucket.put("source", &plain).ok();
    let count = |needle: &[u8]| {
        let mut found = Vec::new();
        files(server.folder(), &mut found);
        let shards = found.iter().filter(|path| path.components().any(|part| part.as_os_str() == "shards"));
        shards
            .map(|path| fs::read(path).unwrap_or_default())
            .filter(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
            .count()
    };
    let before = count(&plain[1000..1048]);
    by_default.copy(&format!("{}/source", bucket.name), "copy").ok();
    assert_same(&by_default.get("copy").ok().body, &plain);
    assert_eq!(count(&plain[1000..1048]), before);
    // A part is no less secret before its upload is completed.
    let upload = bucket.upload_with("upload", bucket.create_upload("upload").header(HEADER, "AES256"));
    let secret = content(40_000, 99);
    upload.part(1, &secret).ok();
    assert!(!lies_on_disk(&server, &secret[1000..1048]));
    server.restart();
    let bucket = bucket.through(server.client());
    assert_same(&bucket.get("key-2").ok().body, &content(300_000, 7));
}

/// An encrypted object is answered as a plain one, but for the header that says so.
#[test]
fn reads_are_of_plain_bytes() {
    let server = Server::start();
    let bucket = server.bucket();
    for length in [0, 1, 1000, 65_535, 65_536, 65_537, 300_000] {
        let bytes = content(length, 3);
        put(&bucket, "key", &bytes);
        let whole = bucket.get("key").ok();
        assert_same(&whole.body, &bytes);
        assert_eq!((whole.get(HEADER), whole.get("content-length")), ("AES256", &*length.to_string()));
        let head = bucket.head("key").ok();
        assert_eq!((head.get(HEADER), head.get("content-length")), ("AES256", &*length.to_string()));
        assert_eq!(head.etag(), whole.etag());
        assert_eq!(bucket.list().ok().xml().all("Contents/Size"), [length.to_string()]);
        for (from, to) in
            [(0, 0), (0, length / 2), (length / 3, length / 2), (65_530, 65_540), (131_072, 200_000)]
        {
            if to < length {
                let range =
                    bucket.get("key").header("range", format!("bytes={from}-{to}")).send().expect(206);
                assert_same(&range.body, &bytes[from..=to]);
                assert_eq!(range.get("content-range"), format!("bytes {from}-{to}/{length}"));
            }
        }
        bucket.get("key").header("range", format!("bytes={length}-")).refused(416, "InvalidRange");
    }
    bucket.get("key").header(HEADER, "AES256").refused(400, "InvalidArgument");
    bucket.head("key").header(HEADER, "AES256").send().expect(400);
    bucket.put("other", "").header(HEADER, "AES128").refused(400, "InvalidArgument");
    assert_absent(&bucket, "other");
}

/// Parts are encrypted by themselves; a part that is sent again is encrypted anew.
#[test]
fn uploads_are_encrypted_part_by_part() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload_with("key", bucket.create_upload("key").header(HEADER, "AES256"));
    let parts = [content(PART_SIZE_MIN + 7, 1), content(PART_SIZE_MIN, 2), content(100, 3)];
    let mut etags = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        upload.part(number, content(50, 9)).ok();
        let sent = upload.part(number, part).unsigned_payload().ok();
        assert_eq!((sent.etag(), sent.get(HEADER)), (&*format!("\"{}\"", md5_hex(part)), "AES256"));
        etags.push(sent.etag().to_owned());
    }
    upload.part(4, "").header(HEADER, "AES256").refused(400, "InvalidArgument");
    let sizes: Vec<String> = parts.iter().map(|part| part.len().to_string()).collect();
    assert_eq!(upload.list().ok().xml().all("Part/Size"), sizes);
    upload.complete(&[(1, &etags[0]), (2, &etags[1]), (3, &etags[2])]).ok();
    let whole = parts.concat();
    assert_same(&bucket.get("key").ok().body, &whole);
    let second = bucket.get("key").raw_query("partNumber=2").send().expect(206);
    assert_same(&second.body, &parts[1]);
    for (from, to) in [
        (PART_SIZE_MIN + 5, PART_SIZE_MIN + 9),
        (PART_SIZE_MIN + 100_000, PART_SIZE_MIN + 200_000),
        (70_000, whole.len() - 1),
        (whole.len() - 50, whole.len() - 1),
    ] {
        let range = bucket.get("key").header("range", format!("bytes={from}-{to}")).send().expect(206);
        assert_same(&range.body, &whole[from..=to]);
    }
    // A copy shares the chunks, and a part of another upload is made of a range of it.
    bucket.copy(&format!("{}/key", bucket.name), "copy").ok();
    bucket.delete("key").send().expect(204);
    assert_same(&bucket.get("copy").ok().body, &whole);
    let other = bucket.upload("other");
    let piece = other.copy(1, &format!("{}/copy", bucket.name));
    let piece = piece.header("x-amz-copy-source-range", "bytes=65000-6000000").ok().xml();
    other.complete(&[(1, piece.get("ETag"))]).ok();
    assert_eq!(bucket.head("other").ok().header(HEADER), None);
    assert_same(&bucket.get("other").ok().body, &whole[65_000..=6_000_000]);
}

/// Objects of one part, and of parts that are full frames to their ends, are read part by part and across their borders.
#[test]
fn parts_of_whole_frames_are_read_across_their_borders() {
    let server = Server::start();
    let bucket = server.bucket();
    for (key, lengths) in [
        ("one", vec![100]),
        ("one frame", vec![65_536]),
        ("empty", vec![0]),
        ("frames", vec![PART_SIZE_MIN, PART_SIZE_MIN, 2 * 65_536]),
    ] {
        let upload = bucket.upload_with(key, bucket.create_upload(key).header(HEADER, "AES256"));
        let parts: Vec<_> = (1..).zip(&lengths).map(|(seed, length)| content(*length, seed)).collect();
        let sent = (1..).zip(&parts).map(|(number, part)| (number, upload.put(number, part)));
        let etags: Vec<_> = sent.collect();
        let named: Vec<_> = etags.iter().map(|(number, etag)| (*number, etag.as_str())).collect();
        upload.complete(&named).ok();
        let whole = parts.concat();
        let read = bucket.get(key).ok();
        assert_same(&read.body, &whole);
        assert_eq!((read.get(HEADER), read.get("content-length")), ("AES256", &*whole.len().to_string()));
        let attributes = bucket.get(key).raw_query("attributes");
        let attributes = attributes.header("x-amz-object-attributes", "ObjectSize,ObjectParts").ok().xml();
        assert_eq!(attributes.get("ObjectSize"), whole.len().to_string());
        assert_eq!(attributes.get("ObjectParts/PartsCount"), parts.len().to_string());
        let mut border = 0;
        for (number, part) in (1..).zip(&parts) {
            let status = if part.is_empty() { 200 } else { 206 };
            let head = bucket.head(key).query("partNumber", number).send().expect(status);
            assert_eq!(head.get("content-length"), part.len().to_string());
            let read = bucket.get(key).query("partNumber", number).send().expect(status);
            assert_same(&read.body, part);
            border += part.len();
            for (from, to) in [(border.saturating_sub(65_537), border), (border.saturating_sub(1), border)] {
                let to = to.min(whole.len().saturating_sub(1));
                if from <= to && !whole.is_empty() {
                    let range = bucket.get(key).header("range", format!("bytes={from}-{to}"));
                    assert_same(&range.send().expect(206).body, &whole[from..=to]);
                }
            }
        }
    }
}

/// Numbers of parts need not follow one another; a part opens by its own. Ends of an object and sizes of parts are of plain bytes.
#[test]
fn parts_keep_their_numbers() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload_with("key", bucket.create_upload("key").header(HEADER, "AES256"));
    let parts = [content(PART_SIZE_MIN, 1), content(PART_SIZE_MIN, 2), content(70_000, 3)];
    let etags: Vec<String> = [300, 2, 10_000]
        .into_iter()
        .zip([1, 0, 2])
        .map(|(number, at)| upload.part(number, &parts[at]).unsigned_payload().ok().etag().to_owned())
        .collect();
    upload.complete(&[(2, &etags[1]), (300, &etags[0]), (10_000, &etags[2])]).ok();
    let whole = parts.concat();
    assert_same(&bucket.get("key").ok().body, &whole);
    for length in [1, 100, 70_000, 70_001, PART_SIZE_MIN + 80_000] {
        let suffix = bucket.get("key").header("range", format!("bytes=-{length}")).send().expect(206);
        assert_same(&suffix.body, &whole[whole.len() - length..]);
    }
    for (number, part) in (1..).zip(&parts) {
        let query = format!("partNumber={number}");
        let read = bucket.get("key").raw_query(&query).send().expect(206);
        assert_same(&read.body, part);
    }
    let attributes = bucket.get("key").raw_query("attributes");
    let attributes = attributes.header("x-amz-object-attributes", "ObjectSize,ObjectParts").ok().xml();
    assert_eq!(attributes.get("ObjectSize"), whole.len().to_string());
    assert_eq!(attributes.get("ObjectParts/PartsCount"), "3");
}

/// A presigned URL takes the header along, in its query or beside it.
#[test]
fn presigned_requests_ask_for_encryption() {
    let server = Server::start();
    let bucket = server.bucket();
    let in_query = bucket.put("query", "content").query(HEADER, "AES256").presigned(60).ok();
    assert_eq!(in_query.get(HEADER), "AES256");
    let beside = bucket.put("header", "content").header(HEADER, "AES256").presigned(60).ok();
    assert_eq!(beside.get(HEADER), "AES256");
    for key in ["query", "header"] {
        assert_eq!(bucket.head(key).ok().get(HEADER), "AES256");
        assert_content(&bucket, key, b"content");
    }
}

#[test]
fn copies_are_encrypted_as_they_ask() {
    let server = Server::start();
    let bucket = server.bucket();
    let bytes = content(100_000, 1);
    bucket.put("plain", &bytes).ok();
    let source = |key: &str| format!("{}/{key}", bucket.name);
    assert_eq!(bucket.copy(&source("plain"), "a").header(HEADER, "AES256").ok().get(HEADER), "AES256");
    assert_eq!(bucket.copy(&source("a"), "b").ok().get(HEADER), "AES256");
    let replaced = bucket.copy(&source("b"), "c").header("x-amz-metadata-directive", "REPLACE");
    assert_eq!(replaced.header("x-amz-meta-a", "1").ok().get(HEADER), "AES256");
    let checked = bucket.copy(&source("b"), "d").header("x-amz-checksum-algorithm", "SHA256").ok().xml();
    assert!(!checked.get("ChecksumSHA256").is_empty());
    // Onto itself, to be encrypted from now on.
    bucket.copy(&source("plain"), "plain").refused(400, "InvalidRequest");
    bucket.copy(&source("plain"), "plain").header(HEADER, "AES256").ok();
    for key in ["a", "b", "c", "d", "plain"] {
        let read = bucket.get(key).ok();
        assert_eq!(read.get(HEADER), "AES256", "{key}");
        assert_same(&read.body, &bytes);
    }
    bucket
        .object(http::Method::PUT, "moved")
        .raw_query("renameObject")
        .header("x-amz-rename-source", "a")
        .ok();
    assert_same(&bucket.get("moved").ok().body, &bytes);
}

/// Keys are rotated by adding one; who takes one away loses what it encrypted, and is told which it is.
#[test]
fn objects_are_read_by_the_keys_that_encrypted_them() {
    let mut server = Server::start();
    let bucket = server.bucket();
    put(&bucket, "old", b"old content");
    let file = server.folder().join("0/encryption.keys");
    let kept = fs::read_to_string(&file).expect("the first start made keys");
    let path = file.display().to_string();
    run_command(&["encryption-key", &path, "--not-current"]).expect("a key is added");
    let deferred = fs::read_to_string(&file).expect("the keys");
    assert!(deferred.starts_with(&kept), "what was current stays so");
    let added = deferred.lines().last().and_then(|line| line.split(' ').next()).expect("the id of a key");
    let unknown = run_command(&["encryption-key", &path, "--make-current", "unknown"]);
    assert!(unknown.expect_err("there is none").contains("there is no key unknown"));
    assert_eq!(fs::read_to_string(&file).expect("the keys"), deferred, "nothing was changed");
    run_command(&["encryption-key", &path, "--make-current", added]).expect("it becomes the current one");
    server.restart();
    let bucket = bucket.through(server.client());
    put(&bucket, "new", b"new content");
    assert_content(&bucket, "old", b"old content");
    assert_content(&bucket, "new", b"new content");

    let both = fs::read_to_string(&file).expect("the keys");
    assert!(both.lines().count() == kept.lines().count() + 1 && both.matches(" current").count() == 1);
    assert!(both.ends_with(" current\n"));
    fs::write(&file, &kept).expect("the keys can be put back");
    server.stop();
    let data = server.folder().join("0").display().to_string();
    let refused = run_command(&["server", "--listen", "127.0.0.1:0", &data]).expect_err("a key is missing");
    assert!(refused.contains(&format!("lacks the key {added}")), "{refused}");
    // Who knows that nothing is lost, or gives it up, says so.
    let identity = server.folder().join("0/ashlar.json");
    let known = fs::read_to_string(&identity).expect("the identity");
    let mut given_up: serde_json::Value = serde_json::from_str(&known).expect("JSON");
    given_up["encryption_keys"].as_array_mut().expect("ids").retain(|id| id != added);
    fs::write(&identity, given_up.to_string()).expect("it can be changed");
    server.restart();
    let bucket = bucket.through(server.client());
    assert_content(&bucket, "old", b"old content");
    bucket.get("new").refused(500, "InternalError");
    assert_eq!(bucket.head("new").ok().get(HEADER), "AES256");
    let told = Logs.take("master key that this server does not have");
    assert_eq!(told.len(), 1, "{told:?}");
}

/// A server whose keys cannot be read does not start: it would take objects that it is to encrypt, and could not.
#[test]
fn damaged_keys_are_refused_at_the_start() {
    let server = Server::start();
    let (file, data) = (server.folder().join("keys"), server.folder().join("other"));
    let (file, data) = (file.display().to_string(), data.display().to_string());
    let start = || run_command(&["server", "--listen", "127.0.0.1:0", "--encryption-keys", &file, &data]);
    assert!(start().expect_err("there is no file").contains("cannot use the encryption keys"));
    for text in ["nonsense\n", "", "key c2hvcnQ= current\n"] {
        fs::write(&file, text).expect("a file");
        let refused = start().expect_err("no keys");
        assert!(
            refused.contains("is no file of encryption keys") && !refused.contains("c2hvcnQ"),
            "{refused}"
        );
        assert!(run_command(&["encryption-key", &file]).is_err(), "it is not overwritten either");
        assert_eq!(fs::read_to_string(&file).expect("a file"), text);
    }
}

/// A server that is given the keys of another does not start: it would encrypt by keys that this one's owner does not keep, and read
/// nothing of what there is.
#[test]
fn keys_of_another_server_are_refused_at_the_start() {
    let (mut server, other) = (Server::start(), Server::start());
    server.stop();
    let keys = other.folder().join("0/encryption.keys").display().to_string();
    let data = server.folder().join("0").display().to_string();
    let start = run_command(&["server", "--listen", "127.0.0.1:0", "--encryption-keys", &keys, &data]);
    let refused = start.expect_err("other keys");
    assert!(refused.contains("lacks the key") && refused.contains(&keys), "{refused}");
    server.restart();
}

/// Of several commands at once on one file, each adds a key or says that another is at it; none takes another's key away.
#[test]
fn keys_that_are_added_at_once_are_all_kept() {
    let server = Server::start();
    let file = server.folder().join("keys");
    let path = file.display().to_string();
    let done = race(8, |_| run_command(&["encryption-key", &path]));
    let added = done.iter().filter(|done| done.is_ok()).count();
    for refused in done.iter().filter_map(|done| done.as_ref().err()) {
        assert!(refused.contains("is being changed by another ashlar process"), "{refused}");
    }
    let kept = fs::read_to_string(&file).expect("keys");
    let lines: Vec<&str> = kept.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(
        added > 0 && lines.len() == added && kept.matches(" current").count() == 1,
        "{added}: {}",
        lines.len()
    );
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A server whose keys are gone does not make others: what they encrypted would be lost without a word.
#[test]
fn lost_keys_are_refused_at_the_start() {
    let mut server = Server::start();
    let bucket = server.bucket();
    put(&bucket, "key", b"content");
    let file = server.folder().join("0/encryption.keys");
    let kept = fs::read_to_string(&file).expect("the first start made keys");
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "they are for the server alone");
    server.stop();
    fs::remove_file(&file).expect("the keys can be removed");
    let data = server.folder().join("0").display().to_string();
    let refused = run_command(&["server", "--listen", "127.0.0.1:0", &data]).expect_err("no keys");
    assert!(refused.contains("encryption.keys is missing"), "{refused}");
    assert!(!file.exists(), "none are made");
    assert!(!server.folder().join("0/encryption.keys.new").exists());
    // The operator's copy lies elsewhere, and is as good.
    fs::write(&file, &kept).expect("the keys can be put back");
    server.restart();
    assert_content(&bucket.through(server.client()), "key", b"content");
}

/// What was signed is told when a signature is wrong, but for the client's keys.
#[test]
fn a_wrong_signature_does_not_show_keys() {
    const KEYS: [&str; 2] = [
        "x-amz-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key",
    ];
    let server = Server::start();
    let bucket = server.bucket();
    let wrong = server.client().with_credentials(ACCESS_KEY, "another-secret").existing_bucket(&bucket.name);
    let key = "c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1lIQ==";
    let asked = || KEYS.iter().fold(wrong.put("key", "content"), |request, name| request.header(name, key));
    let in_query = KEYS.iter().fold(wrong.put("key", "content"), |request, name| request.query(name, key));
    for request in [asked(), asked().presigned(60), in_query.presigned(60)] {
        let refused = request.send().expect(403);
        let text = String::from_utf8(refused.body).expect("XML");
        assert!(text.contains("SignatureDoesNotMatch") && text.contains("REDACTED"), "{text}");
        assert!(!text.contains("c2VzYW1l"), "{text}");
    }
}
