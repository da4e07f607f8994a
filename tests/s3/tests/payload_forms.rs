//! The forms in which a body may be secured, and what becomes of checksums.
//!
//! Source: S3 API Reference, "Authenticating Requests (AWS Signature Version 4)"; User Guide, "Checking object
//! integrity".

use harness::{Request, Server, checksum_of, content, md5_base64, md5_hex};
use http::Method;
use types::ChecksumAlgorithm;

use crate::{
    bucket_policy,
    support::{assert_absent, assert_content, race},
};

/// The content whose checksums are published with every algorithm.
const CHECK: &[u8] = b"123456789";

/// Checksums of [`CHECK`]: of the CRCs by the catalogue of parametrised CRC algorithms, of the others by
/// sha1sum, sha256sum, sha512sum, md5sum and as the AWS Common Runtime makes them.
const CHECK_VALUES: [(ChecksumAlgorithm, &str); 10] = [
    (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
    (ChecksumAlgorithm::Crc32c, "4waSgw=="),
    (ChecksumAlgorithm::Crc64nvme, "rosUhgp5mIg="),
    (ChecksumAlgorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
    (ChecksumAlgorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    (
        ChecksumAlgorithm::Sha512,
        "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==",
    ),
    (ChecksumAlgorithm::Md5, "JfnnlDI7RTiF9RgfG2JNCw=="),
    (ChecksumAlgorithm::Xxhash64, "jLhB20DmroM="),
    (ChecksumAlgorithm::Xxhash3, "ctyxi2ehff8="),
    (ChecksumAlgorithm::Xxhash128, "MxGUd+3l3NXpcWQnaB1YYA=="),
];

type Form = (&'static str, fn(Request, &[u8]) -> Request);

/// Every form, with frames of several sizes where it has frames.
const FORMS: &[Form] = &[
    ("SHA-256", |request, _| request),
    ("unsigned", |request, _| request.unsigned_payload()),
    ("signed chunks of 8 KiB", |request, _| request.signed_chunks(8 << 10)),
    ("signed chunks of 64 KiB", |request, _| request.signed_chunks(64 << 10)),
    ("signed chunks of odd size", |request, _| request.signed_chunks(9_999)),
    ("one signed chunk", |request, _| request.signed_chunks(16 << 20)),
    ("signed trailer", |request, data| {
        request.signed_trailer(64 << 10, "x-amz-checksum-crc32", &checksum_of(ChecksumAlgorithm::Crc32, data))
    }),
    ("unsigned trailer", |request, data| {
        request.unsigned_trailer(
            64 << 10,
            "x-amz-checksum-crc32",
            &checksum_of(ChecksumAlgorithm::Crc32, data),
        )
    }),
    ("one unsigned chunk", |request, data| {
        let checksum = checksum_of(ChecksumAlgorithm::Crc64nvme, data);
        request.unsigned_trailer(16 << 20, "x-amz-checksum-crc64nvme", &checksum)
    }),
];

#[test]
fn every_form_stores_the_bytes_and_nothing_of_its_framing() {
    let server = Server::start();
    let bucket = server.bucket();
    for length in [0, 1, 5, 9_999, 65_536, 200_001] {
        let data = content(length, 7);
        for (name, form) in FORMS {
            let key = format!("{name} {length}");
            let stored = form(bucket.put(&key, &data), &data).ok();
            assert_eq!(stored.etag(), format!("\"{}\"", md5_hex(&data)), "{key}");
            let read = bucket.get(&key).ok();
            assert_eq!(read.body, data, "{key}");
            assert_eq!(read.header("content-encoding"), None, "{key}");
            assert_eq!(read.get("content-length"), length.to_string(), "{key}");
        }
    }
}

/// Bodies that come at the same time are hashed side by side, also those that end together and in the middle of a block: each is held
/// against its own `Content-MD5`.
#[test]
fn uploads_that_come_together_are_each_held_against_their_own_md5() {
    let server = Server::start();
    let bucket = server.bucket();
    for (round, length) in [100_001, 300_055, 1_000_020, 3_000_001].into_iter().enumerate() {
        race(9, |number| {
            // A third is a little longer than the others.
            let length = length + if number % 3 == 2 { 1_000 + number } else { 0 };
            let data = content(length, (100 * round + number) as u64);
            let key = format!("{round} {number}");
            let put = bucket.put(&key, &data);
            let put = if number % 2 == 0 { put.unsigned_payload() } else { put.signed_chunks(64 << 10) };
            if number % 3 == 1 {
                let other = content(length, (100 * round + number + 1) as u64);
                put.header("content-md5", md5_base64(&other)).refused(400, "BadDigest");
                assert_absent(&bucket, &key);
            } else {
                let stored = put.header("content-md5", md5_base64(&data)).ok();
                assert_eq!(stored.etag(), format!("\"{}\"", md5_hex(&data)), "{key}");
                assert_content(&bucket, &key, &data);
            }
        });
    }
}

/// `aws-chunked` is framing; what else `Content-Encoding` says is the object's.
#[test]
fn only_aws_chunked_is_taken_out_of_the_content_encoding() {
    let server = Server::start();
    let bucket = server.bucket();
    for (sent, kept) in [
        ("aws-chunked", None),
        ("aws-chunked,gzip", Some("gzip")),
        ("gzip, aws-chunked", Some("gzip")),
        ("gzip", Some("gzip")),
    ] {
        bucket.put("key", "content").header("content-encoding", sent).signed_chunks(8192).ok();
        assert_eq!(bucket.get("key").ok().header("content-encoding"), kept, "{sent}");
        assert_content(&bucket, "key", b"content");
    }
    bucket.put("key", "content").header("content-encoding", "aws-chunked,br").ok();
    assert_eq!(bucket.get("key").ok().header("content-encoding"), Some("br"));
    // SDKs add it to whatever they send, and some programs keep what they were told of an object.
    let source = format!("{}/key", bucket.name);
    for (sent, kept) in [("aws-chunked", None), ("aws-chunked,gzip", Some("gzip"))] {
        let create = bucket.create_upload("upload").header("content-encoding", sent);
        let upload = bucket.upload_with("upload", create);
        let etag = upload.part(1, "content").header("content-encoding", sent).signed_chunks(8192).ok();
        upload.complete(&[(1, etag.etag())]).ok();
        let copy = bucket.copy(&source, "copy").header("x-amz-metadata-directive", "REPLACE");
        copy.header("content-encoding", sent).ok();
        bucket
            .form()
            .field("key", "form")
            .field("Content-Encoding", sent)
            .signed("content")
            .send()
            .expect(204);
        for key in ["upload", "copy", "form"] {
            assert_eq!(bucket.get(key).ok().header("content-encoding"), kept, "{key} {sent}");
        }
    }
}

/// A body in transfer chunks has no length of its own; that of its content is announced all the same.
#[test]
fn framed_bodies_may_come_in_transfer_chunks() {
    let server = Server::start();
    let bucket = server.bucket();
    let data = content(100_000, 1);
    bucket.put("signed", &data).signed_chunks(65_536).transfer_chunked().ok();
    assert_content(&bucket, "signed", &data);
    let checksum = checksum_of(ChecksumAlgorithm::Crc32c, &data);
    let put = bucket.put("unsigned", &data).unsigned_trailer(65_536, "x-amz-checksum-crc32c", &checksum);
    put.transfer_chunked().ok();
    assert_content(&bucket, "unsigned", &data);
}

#[test]
fn presigned_uploads_carry_plain_bodies() {
    let server = Server::start();
    let bucket = server.bucket();
    let data = content(10_000, 1);
    bucket.put("key", &data).presigned(300).ok();
    assert_content(&bucket, "key", &data);
    assert_eq!(bucket.get("key").presigned(300).ok().body, data);
    let framed = bucket.put("framed", &data).unsigned_trailer(8192, "x-amz-checksum-crc32", "AAAAAA==");
    framed
        .presigned(300)
        .unsigned_header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .refused(400, "InvalidRequest");
    assert_absent(&bucket, "framed");
}

#[test]
fn checksums_in_headers_and_trailers_are_kept_and_shown() {
    let server = Server::start();
    let bucket = server.bucket();
    for (algorithm, value) in CHECK_VALUES {
        let header = algorithm.header_name();
        let ways = [
            bucket.put("key", CHECK).header(header, value),
            bucket.put("key", CHECK).signed_trailer(8192, header, value),
            bucket.put("key", CHECK).unsigned_trailer(8192, header, value),
            bucket.put("key", CHECK).unsigned_payload().header(header, value),
            bucket
                .put("key", CHECK)
                .header(header, value)
                .header("x-amz-sdk-checksum-algorithm", algorithm.name()),
        ];
        for put in ways {
            let stored = put.ok();
            assert_eq!((stored.get(header), stored.get("x-amz-checksum-type")), (value, "FULL_OBJECT"));
            for read in [bucket.get("key"), bucket.head("key")] {
                let read = read.header("x-amz-checksum-mode", "ENABLED").ok();
                assert_eq!((read.get(header), read.get("x-amz-checksum-type")), (value, "FULL_OBJECT"));
                let shown =
                    read.headers.iter().filter(|(name, _)| name.starts_with("x-amz-checksum-")).count();
                assert_eq!(shown, 2, "{read:?}");
            }
            // Only on demand.
            assert_eq!(bucket.get("key").ok().header(header), None);
        }
        let listed = bucket.list().ok().xml();
        assert_eq!(listed.get("Contents/ChecksumAlgorithm"), algorithm.name());
        assert_eq!(listed.get("Contents/ChecksumType"), "FULL_OBJECT");
    }
}

#[test]
fn an_upload_without_a_checksum_gets_a_crc64() {
    let server = Server::start();
    let bucket = server.bucket();
    let stored = bucket.put("key", CHECK).ok();
    assert_eq!(stored.get("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=");
    let read = bucket.get("key").header("x-amz-checksum-mode", "ENABLED").ok();
    assert_eq!(read.get("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=");
}

/// Velero and others broke on servers that refuse algorithms they do not know.
#[test]
fn an_unknown_sdk_algorithm_is_ignored() {
    let server = Server::start();
    let bucket = server.bucket();
    let unknown = |request: Request| request.header("x-amz-sdk-checksum-algorithm", "MD4");
    let stored = unknown(bucket.put("key", CHECK)).ok();
    assert_eq!(stored.get("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=");
    let upload = bucket.upload_with("parts", unknown(bucket.create_upload("parts")));
    let etag = unknown(upload.part(1, CHECK)).ok().etag().to_owned();
    unknown(upload.copy(2, &format!("{}/key", bucket.name))).ok();
    unknown(upload.complete(&[(1, &etag)])).ok();
    assert_content(&bucket, "parts", CHECK);
    unknown(bucket.copy(&format!("{}/key", bucket.name), "copy")).ok();
    unknown(bucket.request(Method::PUT).raw_query("tagging").body("<Tagging><TagSet/></Tagging>"))
        .send()
        .expect(204);
    let delete = "<Delete><Object><Key>key</Key></Object></Delete>";
    unknown(bucket.request(Method::POST).raw_query("delete").body(delete)).ok();
    assert_absent(&bucket, "key");
}

/// As at S3, which wants to see what the SDK that names it has made.
#[test]
fn an_algorithm_without_a_checksum_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    for algorithm in ChecksumAlgorithm::ALL {
        let delete = bucket.request(Method::POST).raw_query("delete");
        let delete = delete.body("<Delete><Object><Key>kept</Key></Object></Delete>");
        for request in [bucket.put("key", CHECK), upload.part(1, CHECK), delete] {
            let error = request.header("x-amz-sdk-checksum-algorithm", algorithm.name());
            let error = error.refused(400, "InvalidRequest");
            let message = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.";
            assert_eq!(error.get("Message"), message);
        }
    }
    assert_absent(&bucket, "key");
    assert!(upload.parts().elements("Part").is_empty());
    // Some SDKs presign it, with the checksum of nothing beside it or without any, before they know what will be sent.
    let presigned = bucket.put("key", CHECK).query("x-amz-sdk-checksum-algorithm", "CRC32").presigned(60);
    assert_eq!(presigned.ok().get("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=");
}

/// Documents are held to whatever digest they come with, of any kind, and need none: SDKs send none, an MD5 or a checksum.
#[test]
fn documents_come_with_any_digest_or_with_none() {
    const TAGGING: &str = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let statement = bucket_policy::allow("s3:GetObject");
    let policy = bucket_policy::document(&bucket, &[&statement]);
    let owner = server.client().request(Method::GET, "/").ok().xml().get("Owner/ID").to_owned();
    let acl = format!(
        "<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID>{owner}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
    );
    let inventory = format!(
        "<InventoryConfiguration><Id>all</Id><IsEnabled>false</IsEnabled><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule><Destination><S3BucketDestination><Format>CSV</Format><Bucket>arn:aws:s3:::{}</Bucket></S3BucketDestination></Destination></InventoryConfiguration>",
        bucket.name
    );
    let of_bucket = [
        ("", "<CreateBucketConfiguration/>"),
        ("tagging", TAGGING),
        ("versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        ("policy", &policy),
        ("acl", &acl),
        (
            "cors",
            "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
        ),
        (
            "lifecycle",
            "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>",
        ),
        (
            "website",
            "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>",
        ),
        (
            "encryption",
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
        ),
        ("logging", "<BucketLoggingStatus/>"),
        ("inventory&id=all", &inventory),
        ("notification", "<NotificationConfiguration/>"),
        (
            "requestPayment",
            "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
        ),
        ("accelerate", "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>"),
        (
            "publicAccessBlock",
            "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>",
        ),
        (
            "ownershipControls",
            "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>",
        ),
        (
            "object-lock",
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
        ),
    ];
    for (subresource, document) in of_bucket {
        assert_held_to_digests(document, || bucket.request(Method::PUT).raw_query(subresource));
    }
    for (subresource, document) in [
        ("tagging", TAGGING),
        ("acl", &acl),
        ("legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>"),
        (
            "retention",
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>",
        ),
    ] {
        assert_held_to_digests(document, || bucket.object(Method::PUT, "key").raw_query(subresource));
    }
}

/// The request is carried out with any digest of its document and with none, and refused with any that is another's.
#[track_caller]
fn assert_held_to_digests(document: &str, request: impl Fn() -> Request) {
    let put = || request().body(document);
    let taken = |request: Request| {
        let answer = request.send();
        assert!(matches!(answer.status, 200 | 204), "{document}: {answer:?}");
    };
    let refused = |request: Request| {
        let answer = request.send();
        assert_eq!((answer.status, answer.xml().get("Code")), (400, "BadDigest"), "{document}");
    };
    taken(put());
    taken(put().header("content-md5", md5_base64(document.as_bytes())));
    refused(put().header("content-md5", md5_base64(b"other")));
    for algorithm in ChecksumAlgorithm::ALL {
        let name = algorithm.header_name();
        taken(put().header(name, checksum_of(algorithm, document.as_bytes())));
        refused(put().header(name, checksum_of(algorithm, b"other")));
    }
}

/// A body that ends before its length is not stored, in whatever form it comes.
#[test]
fn a_body_that_breaks_off_is_not_stored() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("parts");
    let data = content(200_000, 9);
    for (name, form) in FORMS {
        let forms: [&dyn Fn() -> Request; 2] = [&|| bucket.put("key", &data), &|| upload.part(1, &data)];
        for request in forms {
            for left in [1, 100_000, data.len()] {
                let mut cut = form(request(), &data).prepare();
                let end = cut.body.len() - left;
                cut.body.truncate(end);
                let answer = cut.send_short();
                assert_eq!(
                    (answer.status, answer.xml().get("Code")),
                    (400, "IncompleteBody"),
                    "{name}: {left}"
                );
            }
            // One whose frames are whole, with fewer bytes than the head says.
            let framed = form(request(), &data).decoded_length(200_001).prepare();
            if framed.headers.iter().any(|(name, _)| name == "x-amz-decoded-content-length") {
                framed.send().expect_error(400, "IncompleteBody");
            }
        }
        assert_absent(&bucket, "key");
        assert!(upload.parts().elements("Part").is_empty(), "{name}");
    }
}

#[test]
fn content_md5_goes_with_every_form() {
    let server = Server::start();
    let bucket = server.bucket();
    for (name, form) in FORMS {
        let put = || form(bucket.put(name, CHECK), CHECK);
        put().header("content-md5", md5_base64(b"other")).refused(400, "BadDigest");
        assert_absent(&bucket, name);
        put().header("content-md5", md5_base64(CHECK)).ok();
        assert_content(&bucket, name, CHECK);
    }
}
