//! XML that is malformed, hostile, too deep or too large, for every operation that reads any.

use harness::{Request, Server};
use http::Method;

use crate::support::{assert_absent, assert_content};

/// Ways to spoil a document that is otherwise right. `<X>` stands for the beginning of its root element.
fn spoilt(root: &str, inner: &str) -> Vec<String> {
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    vec![
        format!("<{root}>{inner}"),
        format!("<{root}>{inner}</{root}"),
        format!("<{root}>{inner}</other>"),
        format!("{inner}</{root}>"),
        format!("<{root}>{inner}</{root}><{root}>{inner}</{root}>"),
        format!("<{root}>{inner}</{root}>text"),
        format!("text<{root}>{inner}</{root}>"),
        format!("<{root}>text{inner}</{root}>"),
        format!("<{root}>{inner}<Unknown/></{root}>"),
        format!("<{root}>{inner}&unknown;</{root}>"),
        format!("<{root}>{inner}&#xD800;</{root}>"),
        format!("<other>{inner}</other>"),
        format!("<!DOCTYPE {root}><{root}>{inner}</{root}>"),
        format!("<!DOCTYPE {root} [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><{root}>{inner}&x;</{root}>"),
        format!(
            "<!DOCTYPE {root} [<!ENTITY x \"xxxxxxxx\"><!ENTITY y \"&x;&x;&x;\">]><{root}>{inner}&y;</{root}>"
        ),
        format!("<{root}>{inner}{}</{root}>", &deep[..40_000]),
        format!("<{root} {inner}</{root}>"),
        "{\"json\": true}".to_owned(),
        "\u{0}".to_owned(),
    ]
}

fn check(root: &str, inner: &str, size_max: usize, request: impl Fn(&[u8]) -> Request) {
    for document in spoilt(root, inner) {
        let answer = request(document.as_bytes()).send();
        let shown = &document[..document.len().min(200)];
        assert_eq!(answer.status, 400, "{shown}: {answer:?}");
        answer.expect_error(400, "MalformedXML");
    }
    let not_utf8 =
        [format!("<{root}>{inner}").as_bytes(), b"\xff\xfe", format!("</{root}>").as_bytes()].concat();
    request(&not_utf8).refused(400, "MalformedXML");
    let too_large = format!("<{root}>{inner}{}</{root}>", " ".repeat(size_max));
    let error = request(too_large.as_bytes()).refused(400, "MaxMessageLengthExceeded");
    assert_eq!(error.get("MaxMessageLengthBytes"), size_max.to_string());
}

#[test]
fn create_bucket() {
    let server = Server::start();
    let bucket = server.client().existing_bucket("not-made");
    let inner = "<LocationConstraint>us-east-1</LocationConstraint>";
    check("CreateBucketConfiguration", inner, 64 << 10, |document| {
        bucket.request(Method::PUT).body(document)
    });
    bucket.request(Method::HEAD).send().expect(404);
}

#[test]
fn put_bucket_versioning() {
    let server = Server::start();
    let bucket = server.bucket();
    check("VersioningConfiguration", "<Status>Enabled</Status>", 64 << 10, |document| {
        bucket.request(Method::PUT).raw_query("versioning").body(document)
    });
    assert_eq!(bucket.request(Method::GET).raw_query("versioning").ok().xml().find("Status"), None);
}

#[test]
fn delete_objects() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    check("Delete", "<Object><Key>key</Key></Object>", 8 << 20, |document| {
        bucket.request(Method::POST).raw_query("delete").body(document)
    });
    assert_content(&bucket, "key", b"content");
}

#[test]
fn complete_multipart_upload() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content");
    let part = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>");
    check("CompleteMultipartUpload", &part, 4 << 20, |document| upload.request(Method::POST).body(document));
    assert_absent(&bucket, "key");
    assert_eq!(upload.parts().all("Part/PartNumber"), ["1"]);
}

/// Amazon S3 tells of a document that is missing by a code of its own, where there has to be one. Source: API Reference, "Error
/// responses"; it was seen to do so of a PutBucketVersioning and of a PutBucketNotificationConfiguration.
#[test]
fn a_document_that_is_missing_is_told() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    for subresource in [
        "accelerate",
        "cors",
        "encryption",
        "inventory&id=1",
        "lifecycle",
        "logging",
        "notification",
        "object-lock",
        "ownershipControls",
        "publicAccessBlock",
        "requestPayment",
        "tagging",
        "versioning",
        "website",
    ] {
        let put = || bucket.request(Method::PUT).raw_query(subresource);
        for missing in [put(), put().unsigned_payload()] {
            let error = missing.refused(400, "MissingRequestBodyError");
            assert_eq!(error.get("Message"), "Request Body is empty", "{subresource}");
        }
    }
    for request in [
        bucket.request(Method::POST).raw_query("delete"),
        bucket.object(Method::PUT, "key").raw_query("tagging"),
    ] {
        request.refused(400, "MissingRequestBodyError");
    }
    assert_content(&bucket, "key", b"content");
}

/// What is only unusual is no mistake.
#[test]
fn documents_may_be_dressed_in_any_way() {
    let server = Server::start();
    let bucket = server.bucket();
    for document in [
        "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<VersioningConfiguration>\n  <Status> Enabled </Status>\n</VersioningConfiguration>\n",
        "\u{feff}<s3:VersioningConfiguration xmlns:s3=\"x\"><!-- on --><s3:Status a='b'>Ena<![CDATA[bled]]></s3:Status></s3:VersioningConfiguration>",
        "<VersioningConfiguration><Status>&#69;nabled</Status></VersioningConfiguration><!-- end -->",
    ] {
        bucket.request(Method::PUT).raw_query("versioning").body(document).ok();
    }
}
