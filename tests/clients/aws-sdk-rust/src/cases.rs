//! What the SDK's users do.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{
        ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective,
        ObjectIdentifier,
    },
};

use crate::check::{Failure, Report, expect, refused};

const MIB: usize = 1024 * 1024;

/// Runs every case in a bucket that it makes and removes.
pub(crate) async fn run(client: &Client, bucket: &str, report: &mut Report) {
    let s3 = Bucket { client, bucket };
    report.case("create_bucket, head_bucket, list_buckets", s3.create().await);
    report.case("put_object, head_object and get_object agree", s3.put_and_get().await);
    report.case("get_object of a range", s3.range().await);
    report.case("each checksum algorithm", s3.checksums().await);
    report.case("conditional put_object", s3.conditional().await);
    report.case("copy_object", s3.copy().await);
    report.case("list_objects_v2 in pages with a delimiter", s3.list().await);
    report.case("multipart upload", s3.multipart().await);
    report.case("presigned get_object and put_object", s3.presigned().await);
    report.case("errors have their types", s3.errors().await);
    report.case("delete_objects, delete_bucket", s3.remove().await);
}

struct Bucket<'a> {
    client: &'a Client,
    bucket: &'a str,
}

impl Bucket<'_> {
    async fn create(&self) -> Result<(), Failure> {
        self.client.create_bucket().bucket(self.bucket).send().await?;
        self.client.head_bucket().bucket(self.bucket).send().await?;
        let listed = self.client.list_buckets().send().await?;
        expect("listed", listed.buckets().iter().any(|found| found.name() == Some(self.bucket)), true)
    }

    async fn put(&self, key: &str, body: &[u8]) -> Result<(), Failure> {
        let body = ByteStream::from(body.to_vec());
        self.client.put_object().bucket(self.bucket).key(key).body(body).send().await?;
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Vec<u8>, Failure> {
        let got = self.client.get_object().bucket(self.bucket).key(key).send().await?;
        Ok(got.body.collect().await?.to_vec())
    }

    async fn put_and_get(&self) -> Result<(), Failure> {
        for size in [0, 1, 65_536, 65_537, MIB, 3 * MIB + 7] {
            let body = bytes(size);
            let key = format!("size/{size}");
            let sent =
                self.client.put_object().bucket(self.bucket).key(&key).body(ByteStream::from(body.clone()));
            let put = sent.content_type("text/x-rust").metadata("colour", "gr\"un").send().await?;
            let head = self.client.head_object().bucket(self.bucket).key(&key).send().await?;
            expect("length", head.content_length(), i64::try_from(size).ok())?;
            expect("ETag", head.e_tag(), put.e_tag())?;
            expect("type", head.content_type(), Some("text/x-rust"))?;
            let colour = head.metadata().and_then(|metadata| metadata.get("colour"));
            expect("metadata", colour.map(String::as_str), Some("gr\"un"))?;
            expect("bytes are equal", self.get(&key).await? == body, true)?;
        }
        Ok(())
    }

    async fn range(&self) -> Result<(), Failure> {
        let body = bytes(2 * MIB);
        self.put("range", &body).await?;
        let asked = self.client.get_object().bucket(self.bucket).key("range").range("bytes=1048570-1048585");
        let got = asked.send().await?;
        expect("content range", got.content_range(), Some("bytes 1048570-1048585/2097152"))?;
        expect("bytes are equal", got.body.collect().await?.to_vec() == body[1_048_570..1_048_586], true)
    }

    async fn checksums(&self) -> Result<(), Failure> {
        let body = bytes(200_000);
        let algorithms = [
            ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc32C,
            ChecksumAlgorithm::Crc64Nvme,
            ChecksumAlgorithm::Sha1,
            ChecksumAlgorithm::Sha256,
        ];
        for algorithm in algorithms {
            let key = format!("checksum/{algorithm}");
            let sent =
                self.client.put_object().bucket(self.bucket).key(&key).body(ByteStream::from(body.clone()));
            sent.checksum_algorithm(algorithm).send().await?;
            let asked =
                self.client.get_object().bucket(self.bucket).key(&key).checksum_mode(ChecksumMode::Enabled);
            // The SDK compares the checksum of the answer while the body is read.
            expect("bytes are equal", asked.send().await?.body.collect().await?.to_vec() == body, true)?;
        }
        Ok(())
    }

    async fn conditional(&self) -> Result<(), Failure> {
        let put = |body: &'static [u8]| {
            let body = ByteStream::from_static(body);
            self.client.put_object().bucket(self.bucket).key("conditional").body(body)
        };
        let first = put(b"first").if_none_match("*").send().await?;
        refused("a second one", put(b"second").if_none_match("*").send().await, "PreconditionFailed")?;
        let etag = first.e_tag().unwrap_or_default();
        put(b"third").if_match(etag).send().await?;
        refused("a stale one", put(b"fourth").if_match(etag).send().await, "PreconditionFailed")?;
        expect("bytes", self.get("conditional").await?, b"third".to_vec())
    }

    async fn copy(&self) -> Result<(), Failure> {
        let body = bytes(MIB + 1);
        self.put("copy from+this ü", &body).await?;
        let source = format!("{}/copy%20from%2Bthis%20%C3%BC", self.bucket);
        let copied = self.client.copy_object().bucket(self.bucket).key("copy to").copy_source(source);
        let replaced = copied.metadata_directive(MetadataDirective::Replace).metadata("new", "yes");
        replaced.send().await?;
        let head = self.client.head_object().bucket(self.bucket).key("copy to").send().await?;
        let new = head.metadata().and_then(|metadata| metadata.get("new"));
        expect("metadata", new.map(String::as_str), Some("yes"))?;
        expect("bytes are equal", self.get("copy to").await? == body, true)
    }

    async fn list(&self) -> Result<(), Failure> {
        for number in 0..25 {
            self.put(&format!("list/{}/{number:02}", number % 2), b"x").await?;
        }
        let paged = self.client.list_objects_v2().bucket(self.bucket).prefix("list/").max_keys(7);
        let mut pages = paged.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page?.contents().iter().filter_map(|found| found.key().map(str::to_owned)));
        }
        let sorted: Vec<String> =
            (0..25).step_by(2).chain((1..25).step_by(2)).map(|n| format!("list/{}/{n:02}", n % 2)).collect();
        expect("keys", keys, sorted)?;
        let page =
            self.client.list_objects_v2().bucket(self.bucket).prefix("list/").delimiter("/").send().await?;
        let prefixes: Vec<_> = page.common_prefixes().iter().filter_map(|found| found.prefix()).collect();
        expect("common prefixes", prefixes, vec!["list/0/", "list/1/"])
    }

    async fn multipart(&self) -> Result<(), Failure> {
        let bodies = [bytes(5 * MIB), bytes(5 * MIB + 17), bytes(3)];
        let started =
            self.client.create_multipart_upload().bucket(self.bucket).key("multipart").send().await?;
        let upload = started.upload_id().ok_or("no upload id")?;
        let mut parts = Vec::new();
        for (number, body) in (1..).zip(&bodies) {
            let sent = self.client.upload_part().bucket(self.bucket).key("multipart").upload_id(upload);
            let done = sent.part_number(number).body(ByteStream::from(body.clone())).send().await?;
            let part =
                CompletedPart::builder().part_number(number).set_e_tag(done.e_tag().map(str::to_owned));
            parts.push(part.set_checksum_crc32(done.checksum_crc32().map(str::to_owned)).build());
        }
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let completed = self.client.complete_multipart_upload().bucket(self.bucket).key("multipart");
        let done = completed.upload_id(upload).multipart_upload(all).send().await?;
        expect(
            "ETag ends in the number of parts",
            done.e_tag().is_some_and(|etag| etag.ends_with("-3\"")),
            true,
        )?;
        expect("bytes are equal", self.get("multipart").await? == bodies.concat(), true)
    }

    async fn presigned(&self) -> Result<(), Failure> {
        let signing = PresigningConfig::expires_in(Duration::from_secs(60))?;
        let body = bytes(100_000);
        let put = self
            .client
            .put_object()
            .bucket(self.bucket)
            .key("presigned +ü")
            .presigned(signing.clone())
            .await?;
        curl(put.uri(), put.headers(), Some(&body)).await?;
        let get = self.client.get_object().bucket(self.bucket).key("presigned +ü").presigned(signing).await?;
        expect("bytes are equal", curl(get.uri(), get.headers(), None).await? == body, true)
    }

    async fn errors(&self) -> Result<(), Failure> {
        let missing = self.client.get_object().bucket(self.bucket).key("missing").send().await;
        let typed = missing.err().is_some_and(|error| error.into_service_error().is_no_such_key());
        expect("NoSuchKey", typed, true)?;
        let missing = self.client.head_object().bucket(self.bucket).key("missing").send().await;
        expect(
            "NotFound",
            missing.err().is_some_and(|error| error.into_service_error().is_not_found()),
            true,
        )?;
        let missing = self.client.list_objects_v2().bucket(format!("{}-missing", self.bucket)).send().await;
        expect(
            "NoSuchBucket",
            missing.err().is_some_and(|error| error.into_service_error().is_no_such_bucket()),
            true,
        )
    }

    async fn remove(&self) -> Result<(), Failure> {
        let listed = self.client.list_objects_v2().bucket(self.bucket).send().await?;
        let mut named = Vec::new();
        for found in listed.contents() {
            named.push(ObjectIdentifier::builder().set_key(found.key().map(str::to_owned)).build()?);
        }
        let deleted = Delete::builder().set_objects(Some(named)).build()?;
        let answer = self.client.delete_objects().bucket(self.bucket).delete(deleted).send().await?;
        expect("errors", answer.errors().len(), 0)?;
        self.client.delete_bucket().bucket(self.bucket).send().await?;
        Ok(())
    }
}

/// Bytes that differ from place to place.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|place| (place.wrapping_mul(31) >> 3) as u8 ^ (place >> 11) as u8).collect()
}

/// Opens a presigned URL with curl: an upload when there is a body, a download otherwise.
async fn curl<'a>(
    url: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: Option<&[u8]>,
) -> Result<Vec<u8>, Failure> {
    let mut words = vec!["--silent".to_owned(), "--show-error".to_owned(), "--fail".to_owned()];
    words.extend(["--max-time".to_owned(), "60".to_owned()]);
    for (name, value) in headers {
        words.extend(["--header".to_owned(), format!("{name}: {value}")]);
    }
    let file = std::env::temp_dir().join(format!("test-aws-sdk-{}", std::process::id()));
    if let Some(body) = body {
        std::fs::write(&file, body)?;
        words.extend(["--upload-file".to_owned(), file.display().to_string()]);
    }
    words.push(url.to_owned());
    let ran = tokio::task::spawn_blocking(move || std::process::Command::new("curl").args(words).output())
        .await??;
    if body.is_some() {
        std::fs::remove_file(&file)?;
    }
    if ran.status.success() {
        Ok(ran.stdout)
    } else {
        Err(String::from_utf8_lossy(&ran.stderr).into_owned().into())
    }
}
