//! CompleteMultipartUpload. Conditions are in `conditional_writes.rs`.

use harness::{Bucket, Server, Upload, checksum_of, content, md5_hex};
use types::ChecksumAlgorithm;

use crate::support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same, count, race};

/// An upload of a long part and a short one, with their entity tags.
fn two_parts(bucket: &Bucket, key: &str) -> (Upload, [Vec<u8>; 2], [String; 2]) {
    let upload = bucket.upload(key);
    let parts = [content(PART_SIZE_MIN, 1), content(100, 2)];
    let etags =
        [upload.part(1, &parts[0]).unsigned_payload().ok().etag().to_owned(), upload.put(2, &parts[1])];
    (upload, parts, etags)
}

/// The entity tag of an object of these parts.
fn multipart_etag(parts: &[Vec<u8>]) -> String {
    let digests: String = parts.iter().map(|part| md5_hex(part)).collect();
    let bytes: Vec<u8> = (0..digests.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digests[at..at + 2], 16).expect("hexadecimal"))
        .collect();
    format!("\"{}-{}\"", md5_hex(&bytes), parts.len())
}

#[test]
fn the_parts_become_one_object() {
    let server = Server::start();
    let bucket = server.bucket();
    let (upload, parts, etags) = two_parts(&bucket, "a/key");
    let done = upload.complete(&[(1, &etags[0]), (2, &etags[1])]).ok().xml();
    assert_eq!(done.name, "CompleteMultipartUploadResult");
    assert_eq!((done.get("Bucket"), done.get("Key")), (&*bucket.name, "a/key"));
    assert!(done.get("Location").ends_with(&format!("/{}/a/key", bucket.name)), "{done:?}");
    assert_eq!(done.get("ETag"), multipart_etag(&parts));
    let read = bucket.get("a/key").ok();
    assert_same(&read.body, &parts.concat());
    assert_eq!(read.etag(), done.get("ETag"));
    let listed = bucket.list().ok().xml();
    assert_eq!(listed.get("Contents/ETag"), done.get("ETag"));
    assert_eq!(listed.get("Contents/Size"), (PART_SIZE_MIN + 100).to_string());
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
    upload.list().refused(404, "NoSuchUpload");
}

/// Sparse numbers, sizes that differ, parts that are not named: what is named counts, in its order.
#[test]
fn the_named_parts_count() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let numbers = [3, 500, 9_999, 10_000];
    let parts: Vec<Vec<u8>> = (0..4).map(|at| content(PART_SIZE_MIN + at * 1001, at as u64)).collect();
    // In any order, at once.
    let etags = race(4, |at| upload.part(numbers[at], &parts[at]).unsigned_payload().ok().etag().to_owned());
    let named: Vec<(u32, &str)> = [0, 1, 3].into_iter().map(|at| (numbers[at], etags[at].as_str())).collect();
    upload.complete(&named).ok();
    assert_same(&bucket.get("key").ok().body, &[&*parts[0], &parts[1], &parts[3]].concat());
}

#[test]
fn one_part_of_any_size_is_an_object() {
    let server = Server::start();
    let bucket = server.bucket();
    for size in [0, 1, 2000, 100_000] {
        let data = content(size, 1);
        let upload = bucket.upload("key");
        let etag = upload.put(1, &data);
        let done = upload.complete(&[(1, &etag)]).ok().xml();
        assert_eq!(done.get("ETag"), multipart_etag(std::slice::from_ref(&data)));
        assert_content(&bucket, "key", &data);
    }
}

/// Each way in which the list of parts can be wrong; the upload stays as it was.
#[test]
fn wrong_lists_are_refused_and_the_upload_stays() {
    let server = Server::start();
    let bucket = server.bucket();
    let (upload, parts, etags) = two_parts(&bucket, "key");
    let third = upload.put(3, "third");
    let (one, two) = (etags[0].as_str(), etags[1].as_str());
    let other = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    let lists: &[(&[(u32, &str)], &str)] = &[
        (&[(1, one), (2, two), (3, &third)], "EntityTooSmall"),
        (&[(2, two), (1, one)], "InvalidPartOrder"),
        (&[(1, one), (1, one)], "InvalidPartOrder"),
        (&[(1, one), (4, two)], "InvalidPart"),
        (&[(1, other), (2, two)], "InvalidPart"),
        (&[(1, two), (2, one)], "InvalidPart"),
        (&[(1, "nonsense")], "InvalidPart"),
        (&[(0, one)], "InvalidArgument"),
        (&[(10_001, one)], "InvalidArgument"),
        (&[], "MalformedXML"),
    ];
    for (list, code) in lists {
        let error = upload.complete(list).refused(400, code);
        if *code == "EntityTooSmall" {
            assert_eq!(
                ["PartNumber", "ProposedSize", "MinSizeAllowed"].map(|field| error.get(field)),
                ["2", "100", "5242880"]
            );
        }
        if matches!(*code, "InvalidPart" | "InvalidPartOrder") {
            assert_eq!(error.get("UploadId"), upload.id);
        }
        if *code == "InvalidPart" {
            let number: u32 = error.get("PartNumber").parse().expect("a number");
            let (_, etag) = list.iter().find(|(part, _)| *part == number).expect("a part of the list");
            let shown = (*etag != "nonsense").then(|| etag.trim_matches('"'));
            assert_eq!(error.find("ETag"), shown);
        }
        assert_absent(&bucket, "key");
    }
    for document in [
        "",
        "<CompleteMultipartUpload>",
        "<Other/>",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
        "<!DOCTYPE x><CompleteMultipartUpload/>",
    ] {
        upload.complete_with(document).refused(400, "MalformedXML");
    }
    assert_eq!(upload.parts().all("Part/PartNumber"), ["1", "2", "3"]);
    // Without quotes, as some clients send it.
    upload.complete(&[(1, one.trim_matches('"')), (2, two)]).ok();
    assert_same(&bucket.get("key").ok().body, &parts.concat());
}

/// A client that lost the answer asks again and gets the same one.
#[test]
fn a_repeated_completion_gives_the_same_answer() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let (upload, _, etags) = two_parts(&bucket, "key");
    let complete = || upload.complete(&[(1, &etags[0]), (2, &etags[1])]).send();
    let first = complete().expect(200);
    let again = complete().expect(200);
    assert_eq!((&first.body, first.version_id()), (&again.body, again.version_id()));
    bucket.put("key", "something newer").ok();
    assert_eq!(complete().expect(200).version_id(), first.version_id());
    assert_content(&bucket, "key", b"something newer");
    assert_eq!(bucket.list_versions().ok().xml().elements("Version").len(), 2, "nothing was written again");
    bucket.delete("key").query("versionId", first.version_id()).send().expect(204);
    assert_eq!(complete().expect(200).version_id(), first.version_id());
    assert_eq!(bucket.list_versions().ok().xml().elements("Version").len(), 1, "it is gone all the same");
    upload.complete(&[(1, &etags[0])]).refused(404, "NoSuchUpload");
}

#[test]
fn racing_completions_are_answered_alike() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let (upload, parts, etags) = two_parts(&bucket, "key");
    let answers = race(4, |_| upload.complete(&[(1, &etags[0]), (2, &etags[1])]).send());
    assert_eq!(count(&answers, 200), 4, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.version_id() == answers[0].version_id()));
    assert_same(&bucket.get("key").ok().body, &parts.concat());
    assert_eq!(bucket.list_versions().ok().xml().elements("Version").len(), 1);
}

/// Completed once and answered, or aborted and nothing there; never a bit of both.
#[test]
fn a_completion_and_an_abort_have_one_outcome() {
    let server = Server::start();
    let bucket = server.bucket();
    for round in 0..6 {
        let key = format!("{round}");
        let upload = bucket.upload(&key);
        let etag = upload.put(1, "content");
        let answers =
            race(
                2,
                |number| {
                    if number == 0 { upload.complete(&[(1, &etag)]).send() } else { upload.abort().send() }
                },
            );
        match (answers[0].status, answers[1].status) {
            (200, 404) => assert_content(&bucket, &key, b"content"),
            (404, 204) => assert_absent(&bucket, &key),
            _ => panic!("{answers:?}"),
        }
    }
}

/// Either the part was replaced first, and the completion names one that is not there, or the upload was gone when the part
/// came.
#[test]
fn a_completion_and_a_part_that_is_sent_again_have_one_outcome() {
    let server = Server::start();
    let bucket = server.bucket();
    for round in 0..12 {
        let key = format!("{round}");
        let upload = bucket.upload(&key);
        let etag = upload.put(1, "first");
        let answers = race(2, |number| {
            if number == 0 { upload.complete(&[(1, &etag)]).send() } else { upload.part(1, "again").send() }
        });
        match (answers[0].status, answers[1].status) {
            (200, 404) => {
                answers[1].expect_error(404, "NoSuchUpload");
                assert_content(&bucket, &key, b"first");
            }
            (400, 200) => {
                answers[0].expect_error(400, "InvalidPart");
                assert_absent(&bucket, &key);
                upload.complete(&[(1, answers[1].etag())]).ok();
                assert_content(&bucket, &key, b"again");
            }
            _ => panic!("{answers:?}"),
        }
    }
}

#[test]
fn uploads_that_are_not_there_cannot_be_completed() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content");
    for id in ["0123456789abcdef0123456789abcdef", "nonsense", ""] {
        Upload { id: id.to_owned(), ..upload.clone() }.complete(&[(1, &etag)]).refused(404, "NoSuchUpload");
    }
    Upload { key: "other".to_owned(), ..upload.clone() }.complete(&[(1, &etag)]).refused(404, "NoSuchUpload");
    upload.abort().send().expect(204);
    upload.complete(&[(1, &etag)]).refused(404, "NoSuchUpload");
    assert!(bucket.keys().is_empty());
}

#[test]
fn the_stated_size_must_be_true() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content");
    let complete = |size: &str| upload.complete(&[(1, &etag)]).header("x-amz-mp-object-size", size);
    complete("8").refused(400, "InvalidRequest");
    complete("many").refused(400, "InvalidArgument");
    assert_absent(&bucket, "key");
    complete("7").ok();
    assert_content(&bucket, "key", b"content");
}

/// A full-object checksum covers the bytes; it can be stated and must be true then.
#[test]
fn full_object_checksums_cover_the_bytes() {
    let server = Server::start();
    let bucket = server.bucket();
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64nvme] {
        let key = algorithm.name();
        let create = bucket.create_upload(key).header("x-amz-checksum-algorithm", algorithm.name());
        let upload = bucket.upload_with(key, create.header("x-amz-checksum-type", "FULL_OBJECT"));
        let parts = [content(PART_SIZE_MIN, 1), content(100, 2)];
        let etags =
            [upload.part(1, &parts[0]).unsigned_payload().ok().etag().to_owned(), upload.put(2, &parts[1])];
        let complete = || upload.complete(&[(1, &etags[0]), (2, &etags[1])]);
        let right = checksum_of(algorithm, &parts.concat());
        let wrong = complete().header(algorithm.header_name(), checksum_of(algorithm, b"other"));
        let error = wrong.refused(400, "BadDigest");
        let message =
            format!("The {} you specified did not match the calculated checksum.", key.to_lowercase());
        assert_eq!(error.get("Message"), message);
        // As it would be if it were composed of those of the parts.
        complete().header(algorithm.header_name(), format!("{right}-3")).refused(400, "BadDigest");
        complete().header(algorithm.header_name(), format!("{right}-a")).refused(400, "InvalidRequest");
        let error = complete().header("x-amz-checksum-type", "COMPOSITE").refused(400, "InvalidRequest");
        assert!(error.get("Message").contains("using the FULL_OBJECT checksum mode"), "{error:?}");
        assert_absent(&bucket, key);
        let done = complete().header(algorithm.header_name(), &right).ok().xml();
        assert_eq!(done.get(&format!("Checksum{}", algorithm.name())), right);
        assert_eq!(done.get("ChecksumType"), "FULL_OBJECT");
        let read = bucket.head(key).header("x-amz-checksum-mode", "ENABLED").ok();
        assert_eq!(
            (read.get(algorithm.header_name()), read.get("x-amz-checksum-type")),
            (&*right, "FULL_OBJECT")
        );
    }
}

/// A composite checksum covers the parts' checksums, and tells how many.
#[test]
fn composite_checksums_cover_the_parts() {
    let server = Server::start();
    let bucket = server.bucket();
    let parts = [content(PART_SIZE_MIN, 1), content(100, 2)];
    for algorithm in ChecksumAlgorithm::ALL {
        if algorithm == ChecksumAlgorithm::Crc64nvme {
            continue;
        }
        let key = algorithm.name();
        let create = bucket.create_upload(key).header("x-amz-checksum-algorithm", algorithm.name());
        let upload = bucket.upload_with(key, create);
        let (name, element) = (algorithm.header_name(), format!("Checksum{}", algorithm.name()));
        let stored: Vec<_> = (1..)
            .zip(&parts)
            .map(|(number, part)| {
                upload.part(number, part).unsigned_payload().header(name, checksum_of(algorithm, part)).ok()
            })
            .collect();
        let part = |at: usize| {
            let (etag, checksum) = (stored[at].etag().replace('"', ""), stored[at].get(name));
            format!(
                "<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag><{element}>{checksum}</{element}></Part>",
                at + 1
            )
        };
        let wrong = part(1).replace(stored[1].get(name), stored[0].get(name));
        let document =
            |last: &str| format!("<CompleteMultipartUpload>{}{last}</CompleteMultipartUpload>", part(0));
        upload.complete_with(&document(&wrong)).refused(400, "InvalidPart");
        let full = upload.complete_with(&document(&part(1))).header("x-amz-checksum-type", "FULL_OBJECT");
        let error = full.refused(400, "InvalidRequest");
        assert!(error.get("Message").contains("using the COMPOSITE checksum mode"), "{error:?}");
        // What the parts are checked by must be repeated for each.
        let etag = stored[1].etag().replace('"', "");
        let silent = format!("<Part><PartNumber>2</PartNumber><ETag>{etag}</ETag></Part>");
        let error = upload.complete_with(&document(&silent)).refused(400, "InvalidRequest");
        assert!(error.get("Message").ends_with("It was missing for part 2 in the request."), "{error:?}");
        assert_absent(&bucket, key);

        let done = upload.complete_with(&document(&part(1))).ok().xml();
        let decoded = [0, 1].map(|at| harness::base64_bytes(stored[at].get(name))).concat();
        let expected = format!("{}-2", checksum_of(algorithm, &decoded));
        assert_eq!((done.get(&element), done.get("ChecksumType")), (&*expected, "COMPOSITE"));
        let read = bucket.head(key).header("x-amz-checksum-mode", "ENABLED").ok();
        assert_eq!((read.get(name), read.get("x-amz-checksum-type")), (&*expected, "COMPOSITE"));
    }
}

/// What is said by another algorithm than the upload's: where that was named it cannot be so, where it was not it says nothing. Source:
/// what Amazon S3 answers to the checks of OpenStack Swift, test/s3api/test_object_checksums.py.
#[test]
fn a_checksum_by_another_algorithm_holds_only_where_none_was_named() {
    let server = Server::start();
    let bucket = server.bucket();
    let [sha, crc] = [ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Crc32].map(|algorithm| {
        let name = algorithm.name();
        move |data: &[u8]| {
            (
                algorithm.header_name(),
                format!("<Checksum{name}>{}</Checksum{name}>", checksum_of(algorithm, data)),
            )
        }
    });
    let document = |etag: &str, checksum: &str| {
        let etag = etag.replace('"', "");
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>{checksum}</Part></CompleteMultipartUpload>"
        )
    };
    let of_nothing = |algorithm: ChecksumAlgorithm| checksum_of(algorithm, b"nothing");

    let create = bucket.create_upload("named").header("x-amz-checksum-algorithm", "SHA256");
    let upload = bucket.upload_with("named", create);
    let part = upload.part(1, "content").unsigned_payload();
    let etag =
        part.header(sha(b"").0, checksum_of(ChecksumAlgorithm::Sha256, b"content")).ok().etag().to_owned();
    let error = upload.complete_with(&document(&etag, &crc(b"content").1)).refused(400, "BadDigest");
    assert_eq!(error.get("Message"), "The crc32 you specified for part 1 did not match what we received.");
    // A part that is not there comes first, before it or behind it, and so does one that is another.
    let part = |number: u32, etag: &str, checksum: &str| {
        let etag = etag.replace('"', "");
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{checksum}</Part>")
    };
    let refused = |parts: &[String], number: &str| {
        let document = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
        let error = upload.complete_with(&document).refused(400, "InvalidPart");
        assert_eq!(error.get("PartNumber"), number);
    };
    let (by_crc, by_sha) = (crc(b"content").1, sha(b"content").1);
    refused(&[part(1, &etag, &by_crc), part(2, &etag, &by_crc)], "2");
    refused(&[part(1, &etag, &by_crc), part(7, &etag, &by_sha)], "7");
    refused(&[part(2, &etag, &by_crc)], "2");
    refused(&[part(1, &etag.replace(|digit: char| digit.is_ascii_digit(), "f"), &by_crc)], "1");
    let right = || upload.complete_with(&document(&etag, &sha(b"content").1));
    right().header(crc(b"").0, of_nothing(ChecksumAlgorithm::Crc32)).refused(400, "BadDigest");
    assert_absent(&bucket, "named");
    right().ok();

    let upload = bucket.upload("unnamed");
    let etag = upload.put(1, "content");
    let error = upload.complete_with(&document(&etag, &crc(b"content").1)).refused(400, "InvalidPart");
    assert_eq!(error.get("PartNumber"), "1");
    let crc64 = ChecksumAlgorithm::Crc64nvme;
    upload.complete(&[(1, &etag)]).header(crc64.header_name(), of_nothing(crc64)).refused(400, "BadDigest");
    let complete = || upload.complete(&[(1, &etag)]).header(crc(b"").0, of_nothing(ChecksumAlgorithm::Crc32));
    let done = complete().ok();
    assert_eq!(done.xml().get("ChecksumCRC64NVME"), checksum_of(crc64, b"content"));
    assert_eq!(complete().ok().body, done.body, "it is answered again");
}

/// What can be no checksum, and more than one, is told with what was sent.
#[test]
fn checksums_of_parts_that_cannot_be_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content").replace('"', "");
    for (checksums, told) in [
        ("<ChecksumCRC32C>4waSgx==</ChecksumCRC32C>", "CRC32C:4waSgx==;"),
        ("<ChecksumCRC32>nonsense!</ChecksumCRC32>", "CRC32:nonsense!;"),
        (
            "<ChecksumCRC32>y/Q5Jg==</ChecksumCRC32><ChecksumCRC32C>4waSgw==</ChecksumCRC32C>",
            "CRC32:y/Q5Jg==;CRC32C:4waSgw==;",
        ),
    ] {
        let document = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>{checksums}</Part></CompleteMultipartUpload>"
        );
        let error = upload.complete_with(&document).refused(400, "InvalidArgument");
        assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), ("Checksum", told));
    }
    assert_absent(&bucket, "key");
}

/// What is completed last is current, whenever its upload was begun, and is dated so.
#[test]
fn an_object_is_as_new_as_its_completion() {
    let server = Server::start();
    for versioning in [None, Some("Enabled")] {
        let bucket = server.bucket();
        if let Some(status) = versioning {
            bucket.set_versioning(status);
        }
        let uploads = ["first", "second"].map(|content| {
            let upload = bucket.upload("key");
            let etag = upload.put(1, content);
            (upload, etag)
        });
        bucket.put("key", "put since").ok();
        let listed =
            |text: &str| bucket.list_versions().ok().xml().elements("Version")[0].get(text).to_owned();
        let dated = listed("LastModified");
        // The one that was begun last is completed first.
        for ((upload, etag), content) in uploads.iter().zip(["first", "second"]).rev() {
            upload.complete(&[(1, etag)]).ok();
            assert_content(&bucket, "key", content.as_bytes());
            assert!(listed("LastModified") >= dated && listed("IsLatest") == "true");
        }
        let upload = bucket.upload("key");
        let etag = upload.put(1, "third");
        bucket.delete("key").send().expect(204);
        upload.complete(&[(1, &etag)]).ok();
        assert_content(&bucket, "key", b"third");
        // A repetition has the same answer when that is gone.
        bucket.delete("key").send().expect(204);
        upload.complete(&[(1, &etag)]).ok();
        assert_absent(&bucket, "key");
    }
}

#[test]
fn every_completion_is_a_version() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let old = bucket.put_version("key", "old");
    let upload = bucket.upload("key");
    let etag = upload.put(1, "new");
    let version = upload.complete(&[(1, &etag)]).ok().version_id();
    assert_eq!(bucket.list_versions().ok().xml().all("Version/VersionId"), [version.as_str(), &old]);
    assert_content(&bucket, "key", b"new");
    assert_eq!(bucket.get("key").query("versionId", old).ok().body, b"old");
}
