//! The S3 requests of a run, each with what its answer says. S3 API Reference, "Actions".

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sigv4::{encode_component, encode_path};

use s3_client::{Access, Answer, Call, Client, Content, Failure, RequestBody, xml};

const VALUE: HeaderName = HeaderName::from_static("x-amz-meta-torture-value");
const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
const COPY_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
const COPY_SOURCE_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");
const RENAME_SOURCE: HeaderName = HeaderName::from_static("x-amz-rename-source");
const RENAME_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-rename-source-if-match");
const CLIENT_TOKEN: HeaderName = HeaderName::from_static("x-amz-client-token");
const METADATA_DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-metadata-directive");

/// Largest object that a run reads without knowing its size beforehand; time is allowed for so many bytes.
const BODY_EXPECTED: u64 = 64 << 20;

/// What a write's acknowledgement tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) etag: String,
    pub(crate) version: Option<String>,
}

/// What the head of a read's answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Which value it is, as its metadata says.
    pub(crate) label: String,
    pub(crate) etag: String,
    pub(crate) length: Option<u64>,
}

/// A part of an upload, as its acknowledgement told it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) etag: String,
}

/// The bytes of an object that are asked for: offset and length, at least one byte.
pub(crate) type ByteRange = Option<(u64, u64)>;

/// The condition of a PutObject.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnlyIf<'a> {
    Always,
    /// There is no object.
    Absent,
    /// The object has this ETag.
    Match(&'a str),
}

/// The requests of one client to one endpoint.
pub(crate) struct Requests<'a> {
    client: Client<'a>,
}

impl<'a> Requests<'a> {
    pub(crate) fn new(access: &'a Access) -> Self {
        Self { client: Client::new(access) }
    }

    /// Connects; what fails here was never sent.
    pub(crate) async fn connect(&mut self) -> Result<(), Failure> {
        self.client.connect().await
    }

    /// CreateBucket.
    pub(crate) async fn create_bucket(&mut self, bucket: &str, region: &str) -> Result<(), Failure> {
        let body = match region {
            // The one region that must not be named.
            "us-east-1" => RequestBody::empty(),
            _ => text(format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            )),
        };
        self.send(Method::PUT, format!("/{bucket}"), HeaderMap::new(), body).await.map(drop)
    }

    /// ListBuckets: their names.
    #[cfg(test)]
    pub(crate) async fn buckets(&mut self) -> Result<Vec<String>, Failure> {
        let answer = self.send(Method::GET, "/".to_owned(), HeaderMap::new(), RequestBody::empty()).await?;
        let text = String::from_utf8_lossy(&answer.body);
        Ok(xml::elements(&text, "Name").map(str::to_owned).collect())
    }

    /// PutBucketVersioning: enabled.
    pub(crate) async fn enable_versioning(&mut self, bucket: &str) -> Result<(), Failure> {
        let body = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
        let target = format!("/{bucket}?versioning");
        self.send(Method::PUT, target, HeaderMap::new(), text(body.to_owned())).await.map(drop)
    }

    /// PutObject, perhaps with a condition.
    pub(crate) async fn put(
        &mut self,
        place: &Place<'_>,
        label: &str,
        content: Content,
        only_if: OnlyIf<'_>,
    ) -> Result<Written, Failure> {
        let mut headers = headers([(VALUE, label)])?;
        match only_if {
            OnlyIf::Always => {}
            OnlyIf::Absent => _ = headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*")),
            OnlyIf::Match(etag) => _ = headers.insert(header::IF_MATCH, plain(&quoted(etag))?),
        }
        let answer = self.send(Method::PUT, place.target(""), headers, RequestBody::Content(content)).await?;
        written(&answer)
    }

    /// GetObject: `judge` is told what the head says and names the bytes that must follow.
    pub(crate) async fn get(
        &mut self,
        place: &Place<'_>,
        version: Option<&str>,
        range: ByteRange,
        judge: impl FnOnce(&Found) -> Result<Content, Failure>,
    ) -> Result<Found, Failure> {
        let query = version.map_or_else(String::new, |version| {
            format!("?versionId={}", encode_component(version.as_bytes()))
        });
        let mut headers = HeaderMap::new();
        if let Some((offset, length)) = range {
            headers.insert(header::RANGE, plain(&format!("bytes={offset}-{}", offset + length - 1))?);
        }
        let call =
            Call { method: Method::GET, target: place.target(&query), headers, body: RequestBody::empty() };
        let mut told = None;
        let answer = self
            .client
            .send_judged(call, BODY_EXPECTED, |headers| {
                let found = found(headers)?;
                let content = judge(&found)?;
                told = Some(found);
                Ok(Some(content))
            })
            .await?;
        let wanted = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        if answer.status != wanted {
            return Err(Failure::Corrupt(format!("status {} instead of {wanted}", answer.status)));
        }
        told.ok_or_else(|| Failure::Unexpected("it has no head".to_owned()))
    }

    /// HeadObject.
    pub(crate) async fn head(&mut self, place: &Place<'_>) -> Result<Found, Failure> {
        let answer =
            self.send(Method::HEAD, place.target(""), HeaderMap::new(), RequestBody::empty()).await?;
        found(&answer.headers)
    }

    /// DeleteObject; tells the delete marker's version id, if it made one.
    pub(crate) async fn delete(&mut self, place: &Place<'_>) -> Result<Option<String>, Failure> {
        let answer =
            self.send(Method::DELETE, place.target(""), HeaderMap::new(), RequestBody::empty()).await?;
        Ok(header_text(&answer.headers, &VERSION_ID).filter(|_| answer.headers.contains_key(DELETE_MARKER)))
    }

    /// CopyObject of what is at `source` as long as it has this ETag, under a new label.
    pub(crate) async fn copy(
        &mut self,
        source: &Place<'_>,
        etag: &str,
        place: &Place<'_>,
        label: &str,
    ) -> Result<Written, Failure> {
        let headers = headers([
            (VALUE, label),
            (COPY_SOURCE, &source.target("")),
            (COPY_SOURCE_IF_MATCH, &quoted(etag)),
            (METADATA_DIRECTIVE, "REPLACE"),
        ])?;
        let answer = self.send(Method::PUT, place.target(""), headers, RequestBody::empty()).await?;
        written_in_body(&answer)
    }

    /// RenameObject of what is at `source` as long as it has this ETag. The token makes a repetition the same request.
    /// Tells the version id that the object has under its new key.
    pub(crate) async fn rename(
        &mut self,
        source: &str,
        etag: &str,
        place: &Place<'_>,
        token: &str,
    ) -> Result<Option<String>, Failure> {
        let headers = headers([
            (RENAME_SOURCE, &encode_path(source.as_bytes())),
            (RENAME_SOURCE_IF_MATCH, &quoted(etag)),
            (CLIENT_TOKEN, token),
        ])?;
        let target = place.target("?renameObject");
        let answer = self.send(Method::PUT, target, headers, RequestBody::empty()).await?;
        Ok(header_text(&answer.headers, &VERSION_ID))
    }

    /// CreateMultipartUpload; tells the upload id.
    pub(crate) async fn create_upload(&mut self, place: &Place<'_>, label: &str) -> Result<String, Failure> {
        let headers = headers([(VALUE, label)])?;
        let answer = self.send(Method::POST, place.target("?uploads"), headers, RequestBody::empty()).await?;
        element(&answer, "UploadId")
    }

    /// UploadPart.
    pub(crate) async fn upload_part(
        &mut self,
        place: &Place<'_>,
        upload: &str,
        number: u32,
        content: Content,
    ) -> Result<Part, Failure> {
        let upload = encode_component(upload.as_bytes());
        let target = place.target(&format!("?partNumber={number}&uploadId={upload}"));
        let answer = self.send(Method::PUT, target, HeaderMap::new(), RequestBody::Content(content)).await?;
        Ok(Part { number, etag: written(&answer)?.etag })
    }

    /// UploadPartCopy of what is at `source` as long as it has this ETag, or of a range of it.
    pub(crate) async fn upload_part_copy(
        &mut self,
        place: &Place<'_>,
        upload: &str,
        number: u32,
        source: &Place<'_>,
        etag: &str,
        range: ByteRange,
    ) -> Result<Part, Failure> {
        let mut headers =
            headers([(COPY_SOURCE, &source.target("")), (COPY_SOURCE_IF_MATCH, &quoted(etag))])?;
        if let Some((offset, length)) = range {
            headers.insert(COPY_SOURCE_RANGE, plain(&format!("bytes={offset}-{}", offset + length - 1))?);
        }
        let upload = encode_component(upload.as_bytes());
        let target = place.target(&format!("?partNumber={number}&uploadId={upload}"));
        let answer = self.send(Method::PUT, target, headers, RequestBody::empty()).await?;
        Ok(Part { number, etag: written_in_body(&answer)?.etag })
    }

    /// CompleteMultipartUpload.
    pub(crate) async fn complete_upload(
        &mut self,
        place: &Place<'_>,
        upload: &str,
        parts: &[Part],
    ) -> Result<Written, Failure> {
        let mut list = String::from("<CompleteMultipartUpload>");
        for Part { number, etag } in parts {
            let etag = quoted(etag);
            list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        list += "</CompleteMultipartUpload>";
        let target = place.target(&format!("?uploadId={}", encode_component(upload.as_bytes())));
        let answer = self.send(Method::POST, target, HeaderMap::new(), text(list)).await?;
        written_in_body(&answer)
    }

    /// AbortMultipartUpload.
    pub(crate) async fn abort_upload(&mut self, place: &Place<'_>, upload: &str) -> Result<(), Failure> {
        let target = place.target(&format!("?uploadId={}", encode_component(upload.as_bytes())));
        self.send(Method::DELETE, target, HeaderMap::new(), RequestBody::empty()).await.map(drop)
    }

    /// One page of ListObjectsV2, of at most `limit` keys.
    pub(crate) async fn list(
        &mut self,
        bucket: &str,
        prefix: &str,
        limit: u64,
        token: Option<&str>,
    ) -> Result<Listed, Failure> {
        let prefix = encode_component(prefix.as_bytes());
        let token = token.map_or_else(String::new, |token| {
            format!("&continuation-token={}", encode_component(token.as_bytes()))
        });
        let target = format!("/{bucket}?list-type=2&max-keys={limit}&prefix={prefix}{token}");
        let answer = self.send(Method::GET, target, HeaderMap::new(), RequestBody::empty()).await?;
        listed(&answer)
    }

    /// One page of ListObjectVersions, of at most `limit` versions and delete markers.
    pub(crate) async fn list_versions(
        &mut self,
        bucket: &str,
        prefix: &str,
        limit: u64,
        marker: Option<&VersionMarker>,
    ) -> Result<ListedVersions, Failure> {
        let prefix = encode_component(prefix.as_bytes());
        let marker = marker.map_or_else(String::new, |marker| {
            let version = marker.version.as_ref().map_or_else(String::new, |version| {
                format!("&version-id-marker={}", encode_component(version.as_bytes()))
            });
            format!("&key-marker={}{version}", encode_component(marker.key.as_bytes()))
        });
        let target = format!("/{bucket}?versions&max-keys={limit}&prefix={prefix}{marker}");
        let answer = self.send(Method::GET, target, HeaderMap::new(), RequestBody::empty()).await?;
        listed_versions(&answer)
    }

    /// The first page of ListMultipartUploads: key and upload id.
    pub(crate) async fn list_uploads(&mut self, bucket: &str) -> Result<Vec<(String, String)>, Failure> {
        let target = format!("/{bucket}?uploads");
        let answer = self.send(Method::GET, target, HeaderMap::new(), RequestBody::empty()).await?;
        Ok(pairs(&String::from_utf8_lossy(&answer.body), "Upload", "UploadId"))
    }

    /// DeleteObject of a version, for good.
    pub(crate) async fn delete_version(
        &mut self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<(), Failure> {
        let version = encode_component(version.as_bytes());
        let target = Place { bucket, key }.target(&format!("?versionId={version}"));
        self.send(Method::DELETE, target, HeaderMap::new(), RequestBody::empty()).await.map(drop)
    }

    /// DeleteBucket.
    pub(crate) async fn delete_bucket(&mut self, bucket: &str) -> Result<(), Failure> {
        let target = format!("/{bucket}");
        self.send(Method::DELETE, target, HeaderMap::new(), RequestBody::empty()).await.map(drop)
    }

    async fn send(
        &mut self,
        method: Method,
        target: String,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Answer, Failure> {
        self.client.send(Call { method, target, headers, body }, None).await
    }
}

/// A key in a bucket, by their names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
}

impl Place<'_> {
    fn target(&self, query: &str) -> String {
        format!("/{}/{}{query}", self.bucket, encode_path(self.key.as_bytes()))
    }
}

/// One page of a listing: key, size and ETag of each object, and the token of the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) entries: Vec<(String, u64, String)>,
    pub(crate) next: Option<String>,
}

/// Where a page of a listing of versions begins: after a version of a key, or after all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionMarker {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

/// One page of a listing of versions, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedVersions {
    pub(crate) entries: Vec<VersionRow>,
    pub(crate) next: Option<VersionMarker>,
}

/// A version or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub(crate) key: String,
    pub(crate) version: String,
    pub(crate) is_latest: bool,
    /// Size and ETag; `None` for a delete marker.
    pub(crate) object: Option<(u64, String)>,
}

/// The delete marker that a 404 names.
pub(crate) fn marker_of(headers: &HeaderMap) -> Option<String> {
    header_text(headers, &VERSION_ID).filter(|_| headers.contains_key(DELETE_MARKER))
}

/// The key and another element of each element of that name.
fn pairs(page: &str, name: &str, other: &str) -> Vec<(String, String)> {
    let pair =
        |text| Some((xml::unescape(xml::element(text, "Key")?), xml::unescape(xml::element(text, other)?)));
    xml::elements(page, name).filter_map(pair).collect()
}

/// An element that each listing, or each entry of one, has.
fn part<'a>(text: &'a str, name: &str) -> Result<&'a str, Failure> {
    xml::element(text, name).ok_or_else(|| Failure::Unexpected(format!("a listing without {name}")))
}

/// Size and ETag of an entry.
fn size_and_etag(entry: &str) -> Result<(u64, String), Failure> {
    let size = part(entry, "Size")?.parse();
    let size = size.map_err(|_| Failure::Unexpected("a listing with a size that is none".to_owned()))?;
    Ok((size, etag(&xml::unescape(part(entry, "ETag")?))))
}

fn listed_versions(answer: &Answer) -> Result<ListedVersions, Failure> {
    const KINDS: [(&str, &str); 2] = [("<Version>", "</Version>"), ("<DeleteMarker>", "</DeleteMarker>")];
    let page = String::from_utf8_lossy(&answer.body);
    let mut entries = Vec::new();
    let mut rest = &*page;
    // Versions and delete markers are in one order.
    while let Some((start, open, close)) =
        KINDS.iter().filter_map(|(open, close)| Some((rest.find(open)?, *open, *close))).min()
    {
        let text = rest.get(start + open.len()..).unwrap_or_default();
        let cut = || Failure::Unexpected("a listing that ends within an entry".to_owned());
        let (entry, after) = text.split_once(close).ok_or_else(cut)?;
        rest = after;
        entries.push(VersionRow {
            key: xml::unescape(part(entry, "Key")?),
            version: xml::unescape(part(entry, "VersionId")?),
            is_latest: part(entry, "IsLatest")? == "true",
            object: if open == "<Version>" { Some(size_and_etag(entry)?) } else { None },
        });
    }
    let more = part(&page, "IsTruncated")? == "true";
    let next = if more {
        let version = xml::element(&page, "NextVersionIdMarker").map(xml::unescape);
        Some(VersionMarker { key: xml::unescape(part(&page, "NextKeyMarker")?), version })
    } else {
        None
    };
    Ok(ListedVersions { entries, next })
}

fn listed(answer: &Answer) -> Result<Listed, Failure> {
    let page = String::from_utf8_lossy(&answer.body);
    let mut entries = Vec::new();
    for object in xml::elements(&page, "Contents") {
        let (size, etag) = size_and_etag(object)?;
        entries.push((xml::unescape(part(object, "Key")?), size, etag));
    }
    let more = part(&page, "IsTruncated")? == "true";
    let next = if more { Some(xml::unescape(part(&page, "NextContinuationToken")?)) } else { None };
    Ok(Listed { entries, next })
}

fn found(headers: &HeaderMap) -> Result<Found, Failure> {
    let label = header_text(headers, &VALUE).ok_or_else(|| {
        Failure::Corrupt("the object has not the metadata that it was stored with".to_owned())
    })?;
    let etag_text =
        header_text(headers, &header::ETAG).ok_or_else(|| Failure::Unexpected("no ETag".to_owned()))?;
    let length = header_text(headers, &header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
    Ok(Found { label, etag: etag(&etag_text), length })
}

fn written(answer: &Answer) -> Result<Written, Failure> {
    let told = header_text(&answer.headers, &header::ETAG);
    let told = told.ok_or_else(|| Failure::Unexpected("a write was answered without an ETag".to_owned()))?;
    Ok(Written { etag: etag(&told), version: header_text(&answer.headers, &VERSION_ID) })
}

fn written_in_body(answer: &Answer) -> Result<Written, Failure> {
    let told = xml::unescape(&element(answer, "ETag")?);
    Ok(Written { etag: etag(&told), version: header_text(&answer.headers, &VERSION_ID) })
}

/// An element that a good answer has; a 200 may hold an error instead.
fn element(answer: &Answer, name: &str) -> Result<String, Failure> {
    if let Some(failure) = xml::hidden_failure(answer.status, &answer.body) {
        return Err(failure);
    }
    let text = String::from_utf8_lossy(&answer.body);
    let found = xml::element(&text, name).map(str::to_owned);
    found.ok_or_else(|| Failure::Unexpected(format!("it has no {name}")))
}

/// Without the quotes that some answers have and some have not.
fn etag(text: &str) -> String {
    text.trim_matches('"').to_owned()
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn header_text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn headers<const N: usize>(pairs: [(HeaderName, &str); N]) -> Result<HeaderMap, Failure> {
    pairs.into_iter().map(|(name, value)| Ok((name, plain(value)?))).collect()
}

fn text(text: String) -> RequestBody {
    RequestBody::Bytes(Bytes::from(text))
}

fn plain(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::Unexpected(format!("{text} cannot stand in a header")))
}
