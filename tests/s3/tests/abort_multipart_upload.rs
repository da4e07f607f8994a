//! AbortMultipartUpload.

use harness::{Server, Upload};
use s3_wire::date::{http_date, parse_iso_date};

use crate::support::assert_content;

#[test]
fn an_aborted_upload_is_gone_and_the_object_stays() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "old").ok();
    let (upload, other) = (bucket.upload("key"), bucket.upload("key"));
    let etag = upload.put(1, "new");
    let answer = upload.abort().send().expect(204);
    assert!(answer.body.is_empty());
    for request in [upload.list(), upload.part(2, "more"), upload.complete(&[(1, &etag)]), upload.abort()] {
        assert_eq!(request.refused(404, "NoSuchUpload").get("UploadId"), upload.id);
    }
    assert_content(&bucket, "key", b"old");
    assert_eq!(bucket.list_uploads().ok().xml().all("Upload/UploadId"), [other.id.as_str()]);
}

#[test]
fn uploads_that_are_not_there_cannot_be_aborted() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    for id in ["0123456789abcdef0123456789abcdef", "nonsense", ""] {
        Upload { id: id.to_owned(), ..upload.clone() }.abort().refused(404, "NoSuchUpload");
    }
    Upload { key: "other".to_owned(), ..upload.clone() }.abort().refused(404, "NoSuchUpload");
    let missing = server.client().existing_bucket("missing");
    Upload { bucket: missing, ..upload.clone() }.abort().refused(404, "NoSuchBucket");
    upload.abort().header("x-amz-expected-bucket-owner", "111122223333").refused(403, "AccessDenied");
    upload.list().ok();
}

#[test]
fn a_completed_upload_cannot_be_aborted() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content");
    upload.complete(&[(1, &etag)]).ok();
    upload.abort().refused(404, "NoSuchUpload");
    assert_content(&bucket, "key", b"content");
}

/// Who cleans up by a list closes what was on the list.
#[test]
fn an_upload_that_was_begun_at_another_time_stays() {
    let server = Server::start();
    let bucket = server.bucket();
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content");
    let name = "x-amz-if-match-initiated-time";
    let other =
        upload.abort().header(name, "Tue, 01 Jan 2019 00:00:00 GMT").refused(412, "PreconditionFailed");
    assert_eq!(other.get("Condition"), name);
    let unread = upload.abort().header(name, "yesterday").refused(400, "InvalidArgument");
    assert_eq!((unread.get("ArgumentName"), unread.get("ArgumentValue")), (name, "yesterday"));
    assert_eq!(upload.parts().all("Part/ETag"), [etag.as_str()]);

    let listed = bucket.list_uploads().ok().xml();
    let initiated = parse_iso_date(listed.get("Upload/Initiated")).expect("a date");
    let initiated = http_date(initiated);
    upload.abort().header(name, initiated.as_str()).send().expect(204);
    upload.list().refused(404, "NoSuchUpload");
    upload.abort().header(name, initiated.as_str()).refused(404, "NoSuchUpload");
}
