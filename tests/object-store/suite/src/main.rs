//! The tests that the object_store crate ships for stores, run against the server that the environment names: `AWS_ENDPOINT_URL`,
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`. The one argument is an empty bucket. Prints a line for each test, `ok NAME` or
//! `FAIL NAME`; why it failed stands before it.

use std::future::Future;

use object_store::{
    ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, Checksum, S3CopyIfNotExists},
    integration::*,
    path::Path,
};

/// A store on the bucket, with what differs from its defaults. Nothing is tried again: what fails once has failed.
fn store(bucket: &str, change: impl FnOnce(AmazonS3Builder) -> AmazonS3Builder) -> AmazonS3 {
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    change(AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(true).with_retry(retry))
        .build()
        .expect("the environment names a server")
}

/// Runs one test; a panic is its failure.
async fn run(name: &str, test: impl Future<Output = ()> + Send + 'static) {
    let outcome = if tokio::spawn(test).await.is_ok() { "ok" } else { "FAIL" };
    println!("{outcome} {name}");
}

/// Fails unless this is the error of what is not there.
fn not_found<T>(result: object_store::Result<T>) {
    assert!(matches!(result, Err(object_store::Error::NotFound { .. })), "{:?}", result.err());
}

/// A test by its name, over a store with the defaults.
macro_rules! test {
    ($bucket:ident, $name:literal, $s3:ident => $test:expr) => {
        let $s3 = store(&$bucket, |builder| builder);
        run($name, async move {
            $test.await;
        })
        .await;
    };
}

#[tokio::main]
async fn main() {
    let bucket = std::env::args().nth(1).expect("a bucket");
    test!(bucket, "put_get_delete_list", s3 => put_get_delete_list(&s3));
    test!(bucket, "list_with_offset_exclusivity", s3 => list_with_offset_exclusivity(&s3));
    test!(bucket, "get_opts", s3 => get_opts(&s3));
    test!(bucket, "list_uses_directories_correctly", s3 => list_uses_directories_correctly(&s3));
    test!(bucket, "list_with_delimiter", s3 => list_with_delimiter(&s3));
    test!(bucket, "rename_and_copy", s3 => rename_and_copy(&s3));
    test!(bucket, "stream_get", s3 => stream_get(&s3));
    test!(bucket, "multipart", s3 => multipart(&s3, &s3));
    test!(bucket, "multipart_with_opts", s3 => multipart_with_opts(&s3, &s3));
    test!(bucket, "multipart_put_part_out_of_order", s3 => multipart_put_part_out_of_order(&s3, &s3));
    test!(bucket, "multipart_race_condition", s3 => multipart_race_condition(&s3, true));
    test!(bucket, "multipart_out_of_order", s3 => multipart_out_of_order(&s3));
    test!(bucket, "put_get_attributes", s3 => put_get_attributes(&s3));
    test!(bucket, "list_paginated", s3 => list_paginated(&s3, &s3));
    test!(bucket, "put_opts", s3 => put_opts(&s3, true));
    test!(bucket, "get_nonexistent_object", s3 => async { not_found(get_nonexistent_object(&s3, None).await) });
    let s3 = store("this-bucket-is-not-there", |builder| builder);
    run("get_nonexistent_bucket", async move { not_found(s3.get(&Path::from("key")).await) }).await;
    let s3 = store("this-bucket-is-not-there", |builder| builder);
    run("put_nonexistent_bucket", async move { not_found(s3.put(&Path::from("key"), "body".into()).await) })
        .await;
    let s3 = store(&bucket, |builder| builder.with_unsigned_payload(true));
    run("put_get_delete_list, unsigned payload", async move { put_get_delete_list(&s3).await }).await;
    for (name, checksum) in [("SHA256", Checksum::SHA256), ("CRC64NVME", Checksum::CRC64NVME)] {
        let s3 = store(&bucket, |builder| builder.with_checksum_algorithm(checksum));
        run(&format!("put_get_delete_list, {name}"), async move { put_get_delete_list(&s3).await }).await;
    }
    // By an upload that is completed on a condition, and by a copy with one.
    let header = S3CopyIfNotExists::Header("if-none-match".to_owned(), "*".to_owned());
    for (name, way) in [("an upload", S3CopyIfNotExists::Multipart), ("a header", header)] {
        let s3 = store(&bucket, |builder| builder.with_copy_if_not_exists(way.clone()));
        run(&format!("copy_if_not_exists, {name}"), async move { copy_if_not_exists(&s3).await }).await;
        let s3 = store(&bucket, |builder| builder.with_copy_if_not_exists(way));
        run(&format!("copy_rename_nonexistent_object, {name}"), async move {
            copy_rename_nonexistent_object(&s3).await
        })
        .await;
    }
    println!("done");
}
