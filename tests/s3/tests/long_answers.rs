//! Answers that begin before it is known what a request came to. S3 API Reference, "CompleteMultipartUpload", "CopyObject" and
//! "UploadPartCopy".

use std::{
    thread,
    time::{Duration, Instant},
};

use harness::{Bucket, Connection, Logs, Prepared, Request, Response, Server, content};
use http::Method;
use rusqlite::Connection as Database;

use crate::support::{PART_SIZE_MIN, assert_absent, assert_same};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A server that tells its metrics.
fn start(log_interval: u64) -> Server {
    Server::start_with(1, |config| {
        config.front.metrics_public = true;
        config.front.access_log_interval_seconds = log_interval;
    })
}

/// A bucket, and the one that its access log goes to.
fn logged_bucket(server: &Server) -> (Bucket, Bucket) {
    let (bucket, logs) = (server.bucket(), server.bucket());
    let logging = format!(
        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>{}</TargetBucket><TargetPrefix/></LoggingEnabled></BucketLoggingStatus>",
        logs.name
    );
    bucket.request(Method::PUT).raw_query("logging").body(logging).ok();
    (bucket, logs)
}

/// Waits for a record in an access log.
fn assert_logged(logs: &Bucket, is_meant: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let holds = |key: &String| String::from_utf8_lossy(&logs.get(key).ok().body).lines().any(&is_meant);
    while !logs.keys().iter().any(holds) {
        assert!(Instant::now() < deadline, "there is no record of it");
        thread::sleep(Duration::from_millis(50));
    }
    // While the database is held, no log can be delivered either.
    Logs.take("an access log was not delivered in time");
}

/// Sends a request while nothing can be committed, and waits until its answer has begun, which is soon.
fn begin(server: &Server, request: Request) -> (Prepared, Connection, Database) {
    let database = Database::open(server.folder().join("0/metadata.db")).expect("the server's database");
    database.execute_batch("BEGIN IMMEDIATE").expect("its lock");
    let prepared = request.keep_alive().prepare();
    let mut connection = server.client().connect();
    let _impatience = server.be_impatient();
    connection.send(&[prepared.head(), prepared.body.clone()].concat());
    connection.wait();
    (prepared, connection, database)
}

/// The answer to a request that was begun, once it can be committed, and its document without the white space before it.
fn end(
    (prepared, mut connection, database): (Prepared, Connection, Database),
) -> (Response, Connection, String) {
    drop(database);
    let response = prepared.receive(&mut connection);
    assert_eq!((response.status, response.complete), (200, true));
    assert_eq!(response.get("content-type"), "application/xml");
    assert_eq!((response.header("content-length"), response.header("connection")), (None, None));
    let text = String::from_utf8(response.body.clone()).expect("text");
    let document = text.strip_prefix(DECLARATION).expect("a declaration").trim_start_matches(' ').to_owned();
    assert!(document.starts_with('<'), "{text}");
    (response, connection, document)
}

/// The server's metrics, which are no answer of S3.
fn metrics(server: &Server, connection: &mut Connection) -> String {
    connection.send(format!("GET /metrics HTTP/1.1\r\nhost: {}\r\n\r\n", server.client().host()).as_bytes());
    String::from_utf8(connection.receive(&Method::GET).body).expect("text")
}

#[test]
fn what_takes_long_is_answered_with_its_document_at_the_end() {
    let server = start(300);
    let bucket = server.bucket();
    let parts = [content(PART_SIZE_MIN, 1), content(100, 2)];
    let upload = bucket.upload("key");
    let etags = parts
        .iter()
        .zip(1..)
        .map(|(part, number)| upload.part(number, part).unsigned_payload().ok().etag().to_owned());
    let etags: Vec<String> = etags.collect();
    let (response, mut connection, document) =
        end(begin(&server, upload.complete(&[(1, &etags[0]), (2, &etags[1])])));
    assert!(document.starts_with("<CompleteMultipartUploadResult"), "{document}");
    let done = response.xml();
    assert_eq!((done.get("Bucket"), done.get("Key")), (&*bucket.name, "key"));
    // The next request comes over the same connection.
    let read = bucket.get("key").prepare().send_over(&mut connection);
    assert_eq!(read.etag(), done.get("ETag"));
    assert_same(&read.body, &parts.concat());

    let (_, _, document) = end(begin(&server, bucket.copy(&format!("{}/key", bucket.name), "copy")));
    assert!(document.starts_with("<CopyObjectResult"), "{document}");
    assert_same(&bucket.get("copy").ok().body, &parts.concat());
    // What is known before the bytes are read is in the head.
    let from = server.bucket();
    from.set_versioning("Enabled");
    let version = from.put_version("key", "part");
    let encrypted = |request: Request| request.header("x-amz-server-side-encryption", "AES256");
    let to = bucket.upload_with("other", encrypted(bucket.create_upload("other")));
    let (response, _, document) = end(begin(&server, to.copy(1, &format!("{}/key", from.name))));
    assert!(document.starts_with("<CopyPartResult"), "{document}");
    assert_eq!(to.parts().elements("Part").len(), 1);
    assert_eq!(response.get("x-amz-copy-source-version-id"), version);
    assert_eq!(response.get("x-amz-server-side-encryption"), "AES256");
    let (response, _, document) =
        end(begin(&server, encrypted(bucket.copy(&format!("{}/key", from.name), "copy"))));
    assert!(document.starts_with("<CopyObjectResult"), "{document}");
    assert_eq!(response.get("x-amz-copy-source-version-id"), version);
    assert_eq!(response.get("x-amz-server-side-encryption"), "AES256");
}

/// The body says what went wrong, and what is counted and logged does too.
#[test]
fn what_fails_late_says_so_in_its_body() {
    let server = start(1);
    let (bucket, logs) = logged_bucket(&server);
    let upload = bucket.upload("key");
    upload.put(1, "part");
    let (response, mut connection, document) = end(begin(&server, upload.complete(&[(1, &"0".repeat(32))])));
    assert!(document.starts_with("<Error>"), "{document}");
    let error = response.xml();
    assert_eq!(error.get("Code"), "InvalidPart");
    assert_eq!(error.get("RequestId"), response.get("x-amz-request-id"));
    assert_eq!(error.get("HostId"), response.get("x-amz-id-2"));
    assert_absent(&bucket, "key");
    assert_eq!(upload.parts().elements("Part").len(), 1);

    let metrics = metrics(&server, &mut connection);
    for series in [
        "ashlar_s3_requests_total{operation=\"CompleteMultipartUpload\",status=\"4xx\"} 1",
        "ashlar_s3_errors_total{code=\"InvalidPart\"} 1",
    ] {
        assert!(metrics.lines().any(|line| line == series), "{series}\n{metrics}");
    }
    let logged =
        |record: &str| record.contains(" REST.POST.UPLOAD key ") && record.contains("\" 200 InvalidPart ");
    assert_logged(&logs, logged);
}

/// What a client left before its end is no success, whatever the head of its answer said.
#[test]
fn what_is_left_before_its_end_is_not_counted_as_done() {
    let server = start(1);
    let (bucket, logs) = logged_bucket(&server);
    bucket.put("key", "content").ok();
    let (_, connection, database) = begin(&server, bucket.copy(&format!("{}/key", bucket.name), "copy"));
    drop(connection);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut connection = server.client().connect();
    let counted = loop {
        let metrics = metrics(&server, &mut connection);
        if metrics.lines().any(|line| line == "ashlar_s3_requests_in_flight 0") {
            break metrics;
        }
        assert!(Instant::now() < deadline, "it is in flight for ever");
        thread::sleep(Duration::from_millis(50));
    };
    drop(database);
    let copies = "ashlar_s3_requests_total{operation=\"CopyObject\"";
    assert!(counted.lines().all(|line| !line.starts_with(copies) || line.ends_with(" 0")), "{counted}");
    let logged = |record: &str| record.contains(" REST.COPY.OBJECT copy ") && record.contains("\" 499 - ");
    assert_logged(&logs, logged);
}
