//! Requests about one bucket, its objects and its uploads.

use http::Method;

use crate::{Client, Element, Form, Request, client::object_path};

/// A bucket of a server.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    /// Its name.
    pub name: String,
}

impl Bucket {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// The client that the bucket is reached with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The same bucket, reached with another client.
    #[must_use]
    pub fn through(&self, client: &Client) -> Self {
        Self::new(client.clone(), &self.name)
    }

    /// A request about the bucket itself.
    pub fn request(&self, method: Method) -> Request {
        self.client.request(method, &format!("/{}", self.name))
    }

    /// A request about a key.
    pub fn object(&self, method: Method, key: &str) -> Request {
        self.client.request(method, &object_path(&self.name, key))
    }

    /// A form that stores an object.
    pub fn form(&self) -> Form {
        Form::new(self)
    }

    /// PutObject.
    pub fn put(&self, key: &str, data: impl AsRef<[u8]>) -> Request {
        self.object(Method::PUT, key).body(data)
    }

    /// GetObject.
    pub fn get(&self, key: &str) -> Request {
        self.object(Method::GET, key)
    }

    /// HeadObject.
    pub fn head(&self, key: &str) -> Request {
        self.object(Method::HEAD, key)
    }

    /// DeleteObject.
    pub fn delete(&self, key: &str) -> Request {
        self.object(Method::DELETE, key)
    }

    /// CopyObject, with `x-amz-copy-source` as it is given.
    pub fn copy(&self, source: &str, key: &str) -> Request {
        self.object(Method::PUT, key).header("x-amz-copy-source", source)
    }

    /// ListObjectsV2.
    pub fn list(&self) -> Request {
        self.request(Method::GET).query("list-type", 2)
    }

    /// ListObjects.
    pub fn list_v1(&self) -> Request {
        self.request(Method::GET)
    }

    /// ListObjectVersions.
    pub fn list_versions(&self) -> Request {
        self.request(Method::GET).raw_query("versions")
    }

    /// ListMultipartUploads.
    pub fn list_uploads(&self) -> Request {
        self.request(Method::GET).raw_query("uploads")
    }

    /// The keys of the bucket, by one ListObjectsV2.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        self.list().ok().xml().all("Contents/Key").into_iter().map(str::to_owned).collect()
    }

    /// The document of PutBucketVersioning, sent.
    #[track_caller]
    pub fn set_versioning(&self, status: &str) {
        let document =
            format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        self.request(Method::PUT).raw_query("versioning").body(document).ok();
    }

    /// Stores an object and gives its version id back.
    #[track_caller]
    pub fn put_version(&self, key: &str, data: impl AsRef<[u8]>) -> String {
        self.put(key, data).ok().version_id()
    }

    /// Deletes a key and gives the delete marker's version id back.
    #[track_caller]
    pub fn put_marker(&self, key: &str) -> String {
        let answer = self.delete(key).send().expect(204);
        assert_eq!(answer.header("x-amz-delete-marker"), Some("true"), "{answer:?}");
        answer.version_id()
    }

    /// DeleteObjects with this document, whose MD5 goes with it.
    pub fn delete_objects(&self, document: &str) -> Request {
        let md5 = crate::md5_base64(document.as_bytes());
        self.request(Method::POST).raw_query("delete").header("content-md5", md5).body(document)
    }

    /// CreateMultipartUpload.
    pub fn create_upload(&self, key: &str) -> Request {
        self.object(Method::POST, key).raw_query("uploads")
    }

    /// A new upload of a key.
    #[track_caller]
    pub fn upload(&self, key: &str) -> Upload {
        self.upload_with(key, self.create_upload(key))
    }

    /// The upload that this CreateMultipartUpload of `key` makes.
    #[track_caller]
    pub fn upload_with(&self, key: &str, create: Request) -> Upload {
        let id = create.ok().xml().get("UploadId").to_owned();
        Upload { bucket: self.clone(), key: key.to_owned(), id }
    }
}

/// A multipart upload.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The bucket.
    pub bucket: Bucket,
    /// The key.
    pub key: String,
    /// The upload id.
    pub id: String,
}

impl Upload {
    /// A request about the upload.
    pub fn request(&self, method: Method) -> Request {
        self.bucket.object(method, &self.key).query("uploadId", &self.id)
    }

    /// UploadPart.
    pub fn part(&self, number: u32, data: impl AsRef<[u8]>) -> Request {
        self.request(Method::PUT).query("partNumber", number).body(data)
    }

    /// Uploads a part and gives its entity tag back.
    #[track_caller]
    pub fn put(&self, number: u32, data: impl AsRef<[u8]>) -> String {
        self.part(number, data).ok().etag().to_owned()
    }

    /// UploadPartCopy, with `x-amz-copy-source` as it is given.
    pub fn copy(&self, number: u32, source: &str) -> Request {
        self.part(number, "").header("x-amz-copy-source", source)
    }

    /// CompleteMultipartUpload of these parts: numbers and entity tags.
    pub fn complete(&self, parts: &[(u32, &str)]) -> Request {
        let part = |(number, etag): &(u32, &str)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                etag.replace('"', "&quot;")
            )
        };
        let parts: String = parts.iter().map(part).collect();
        self.complete_with(&format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"))
    }

    /// CompleteMultipartUpload with this document.
    pub fn complete_with(&self, document: &str) -> Request {
        self.request(Method::POST).body(document)
    }

    /// AbortMultipartUpload.
    pub fn abort(&self) -> Request {
        self.request(Method::DELETE)
    }

    /// ListParts.
    pub fn list(&self) -> Request {
        self.request(Method::GET)
    }

    /// The answer to ListParts.
    #[track_caller]
    pub fn parts(&self) -> Element {
        self.list().ok().xml()
    }
}
