//! The S3 requests that a run makes, each with what can be checked of its answer. S3 API Reference, "Actions".

use std::time::Duration;

use bytes::Bytes;
use checksum::{ObjectHasher, Wanted, format_content_md5};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sigv4::{encode_component, encode_path};

use s3_client::{Access, Answer, Call, Client, Content, Failure, RequestBody, xml};

/// Keys of one page of a listing, and of one DeleteObjects. S3's limit for both.
pub(crate) const PAGE: u64 = 1_000;

/// A request that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// From the first byte sent to the last one received; of several requests, the sum.
    pub(crate) latency: Duration,
    /// Bytes of objects moved, or of the listing.
    pub(crate) bytes: u64,
}

/// The requests of one worker, on its own connection.
pub(crate) struct S3<'a> {
    client: Client<'a>,
    bucket: &'a str,
}

impl<'a> S3<'a> {
    /// Requests for one bucket.
    pub(crate) fn new(access: &'a Access, bucket: &'a str) -> Self {
        Self { client: Client::new(access), bucket }
    }

    /// Connects ahead of the first request.
    pub(crate) async fn connect(&mut self) -> Result<(), Failure> {
        self.client.connect().await
    }

    /// Whether the bucket exists. Asked by a short listing: unlike HeadBucket's, its refusals say why.
    pub(crate) async fn bucket_exists(&mut self) -> Result<bool, Failure> {
        let target = self.bucket_target("?list-type=2&max-keys=1");
        match self.send(Method::GET, target, RequestBody::empty()).await {
            Ok(_) => Ok(true),
            Err(Failure::Status { status: StatusCode::NOT_FOUND, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// CreateBucket, in the region that requests are signed for.
    pub(crate) async fn create_bucket(&mut self, region: &str) -> Result<(), Failure> {
        let body = match region {
            // The one region that must not be named.
            "us-east-1" => RequestBody::empty(),
            _ => text(format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            )),
        };
        self.send(Method::PUT, self.bucket_target(""), body).await.map(drop)
    }

    /// DeleteBucket.
    pub(crate) async fn delete_bucket(&mut self) -> Result<(), Failure> {
        self.send(Method::DELETE, self.bucket_target(""), RequestBody::empty()).await.map(drop)
    }

    /// PutObject.
    pub(crate) async fn put(&mut self, key: &str, content: Content) -> Result<Done, Failure> {
        let bytes = content.remaining();
        let answer = self.send(Method::PUT, self.target(key, ""), RequestBody::Content(content)).await?;
        Ok(Done { latency: answer.latency, bytes })
    }

    /// GetObject; every byte is compared.
    pub(crate) async fn get(&mut self, key: &str, content: Content) -> Result<Done, Failure> {
        let bytes = content.remaining();
        let call = self.call(Method::GET, self.target(key, ""), RequestBody::empty());
        let answer = self.client.send(call, Some(content)).await?;
        expect_status(&answer, StatusCode::OK)?;
        Ok(Done { latency: answer.latency, bytes })
    }

    /// GetObject of `length` bytes, at least one, from `offset`; every byte is compared.
    pub(crate) async fn range(
        &mut self,
        key: &str,
        content: Content,
        offset: u64,
        length: u64,
    ) -> Result<Done, Failure> {
        let mut call = self.call(Method::GET, self.target(key, ""), RequestBody::empty());
        let last = offset + length - 1;
        call.headers.insert(header::RANGE, plain(&format!("bytes={offset}-{last}"))?);
        let answer = self.client.send(call, Some(content.range(offset, length))).await?;
        expect_status(&answer, StatusCode::PARTIAL_CONTENT)?;
        Ok(Done { latency: answer.latency, bytes: length })
    }

    /// HeadObject; the length is compared.
    pub(crate) async fn head(&mut self, key: &str, size: u64) -> Result<Done, Failure> {
        let answer = self.send(Method::HEAD, self.target(key, ""), RequestBody::empty()).await?;
        let length =
            answer.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length != Some(size) {
            return Err(Failure::Corrupt(format!("HEAD told {length:?} bytes instead of {size}")));
        }
        Ok(Done { latency: answer.latency, bytes: 0 })
    }

    /// DeleteObject.
    pub(crate) async fn delete(&mut self, key: &str) -> Result<Done, Failure> {
        let answer = self.send(Method::DELETE, self.target(key, ""), RequestBody::empty()).await?;
        Ok(Done { latency: answer.latency, bytes: 0 })
    }

    /// CopyObject within the bucket.
    pub(crate) async fn copy(&mut self, from: &str, to: &str, size: u64) -> Result<Done, Failure> {
        const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
        let mut call = self.call(Method::PUT, self.target(to, ""), RequestBody::empty());
        let source = format!("/{}/{}", self.bucket, encode_path(from.as_bytes()));
        call.headers.insert(COPY_SOURCE, plain(&source)?);
        let answer = self.client.send(call, None).await?;
        expect_element(&answer, "ETag")?;
        Ok(Done { latency: answer.latency, bytes: size })
    }

    /// One object in parts, one after the other; what was begun and failed is aborted.
    pub(crate) async fn multipart(
        &mut self,
        key: &str,
        content: Content,
        part_size: u64,
    ) -> Result<Done, Failure> {
        let bytes = content.remaining();
        let answer = self.send(Method::POST, self.target(key, "?uploads"), RequestBody::empty()).await?;
        let upload = encode_component(expect_element(&answer, "UploadId")?.as_bytes());
        match self.parts(key, &upload, &content, part_size).await {
            Ok(latency) => Ok(Done { latency: answer.latency + latency, bytes }),
            Err(failure) => {
                let target = self.target(key, &format!("?uploadId={upload}"));
                // The first failure is the one to tell; what is left of the upload is the server's to expire.
                let _ = self.send(Method::DELETE, target, RequestBody::empty()).await;
                Err(failure)
            }
        }
    }

    async fn parts(
        &mut self,
        key: &str,
        upload: &str,
        whole: &Content,
        part_size: u64,
    ) -> Result<Duration, Failure> {
        let size = whole.remaining();
        let mut latency = Duration::ZERO;
        let mut list = String::from("<CompleteMultipartUpload>");
        for (index, offset) in (0..size).step_by(usize::try_from(part_size).unwrap_or(usize::MAX)).enumerate()
        {
            let number = index + 1;
            let part = whole.range(offset, part_size.min(size - offset));
            let target = self.target(key, &format!("?partNumber={number}&uploadId={upload}"));
            let answer = self.send(Method::PUT, target, RequestBody::Content(part)).await?;
            let etag = answer.headers.get(header::ETAG).and_then(|value| value.to_str().ok());
            let etag = etag.ok_or_else(|| Failure::Unexpected("UploadPart told no ETag".to_owned()))?;
            list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
            latency += answer.latency;
        }
        list += "</CompleteMultipartUpload>";
        let answer =
            self.send(Method::POST, self.target(key, &format!("?uploadId={upload}")), text(list)).await?;
        expect_element(&answer, "ETag")?;
        Ok(latency + answer.latency)
    }

    /// One page of ListObjectsV2. `query` begins with `&`.
    pub(crate) async fn list(&mut self, prefix: &str, query: &str) -> Result<Answer, Failure> {
        let target = self.bucket_target(&format!(
            "?list-type=2&max-keys={PAGE}&prefix={}{query}",
            encode_component(prefix.as_bytes())
        ));
        self.send(Method::GET, target, RequestBody::empty()).await
    }

    /// DeleteObjects, at most [`PAGE`] keys; those that are not there count as deleted.
    pub(crate) async fn delete_objects(&mut self, keys: &[String]) -> Result<(), Failure> {
        const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
        let mut body = String::from("<Delete><Quiet>true</Quiet>");
        keys.iter().for_each(|key| body.extend(["<Object><Key>", key, "</Key></Object>"]));
        body += "</Delete>";
        let mut hasher = ObjectHasher::new(Wanted { md5: true, ..Wanted::default() });
        hasher.update(body.as_bytes());
        let md5 = hasher.finish().md5().unwrap_or_default();
        let mut call = self.call(Method::POST, self.bucket_target("?delete"), text(body));
        call.headers.insert(CONTENT_MD5, plain(&format_content_md5(&md5))?);
        let answer = self.client.send(call, None).await?;
        xml::hidden_failure(answer.status, &answer.body).map_or(Ok(()), Err)
    }

    async fn send(&mut self, method: Method, target: String, body: RequestBody) -> Result<Answer, Failure> {
        let call = self.call(method, target, body);
        self.client.send(call, None).await
    }

    fn call(&self, method: Method, target: String, body: RequestBody) -> Call {
        Call { method, target, headers: HeaderMap::new(), body }
    }

    fn bucket_target(&self, query: &str) -> String {
        format!("/{}{query}", self.bucket)
    }

    fn target(&self, key: &str, query: &str) -> String {
        format!("/{}/{}{query}", self.bucket, encode_path(key.as_bytes()))
    }
}

fn expect_status(answer: &Answer, status: StatusCode) -> Result<(), Failure> {
    if answer.status == status {
        return Ok(());
    }
    Err(Failure::Unexpected(format!("status {} instead of {status}", answer.status)))
}

/// An element that a good answer has; a 200 may hold an error instead.
fn expect_element(answer: &Answer, name: &str) -> Result<String, Failure> {
    if let Some(failure) = xml::hidden_failure(answer.status, &answer.body) {
        return Err(failure);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let found = xml::element(&text, name).map(str::to_owned);
    found.ok_or_else(|| Failure::Unexpected(format!("it has no {name}")))
}

fn text(text: String) -> RequestBody {
    RequestBody::Bytes(Bytes::from(text))
}

fn plain(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::Unexpected(format!("{text} cannot stand in a header")))
}
