//! Objects that are encrypted by keys of the store (SSE-S3): what is answered, and what lies on the disks.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use harness::{Bucket, Logs, Server, content, md5_hex, run_command};

use crate::support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same};

const HEADER: &str = "x-amz-server-side-encryption";

/// Every file under a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Whether bytes lie anywhere in the folders of a server: shards, database, journals.
fn lies_on_disk(server: &Server, needle: &[u8]) -> bool {
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
            let head = bucket.head(key).query("partNumber", number).send().expect(206);
            assert_eq!(head.get("content-length"), part.len().to_string());
            let read = bucket.get(key).query("partNumber", number).send().expect(206);
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
    run_command(&["encryption-key", &file.display().to_string()]).expect("a key is added");
    server.restart();
    let bucket = bucket.through(server.client());
    put(&bucket, "new", b"new content");
    assert_content(&bucket, "old", b"old content");
    assert_content(&bucket, "new", b"new content");

    let both = fs::read_to_string(&file).expect("the keys");
    assert!(both.lines().count() == kept.lines().count() + 1 && both.matches(" current").count() == 1);
    fs::write(&file, &kept).expect("the keys can be put back");
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
