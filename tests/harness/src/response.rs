//! An answer, and what tests ask of it.

use crate::Element;

/// An answer as it came.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The statuses of interim answers that came before it.
    pub interim: Vec<u16>,
    /// Names in lower case and values, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, out of its transfer coding.
    pub body: Vec<u8>,
    /// Whether all of the body came that its head announced.
    pub complete: bool,
}

impl Response {
    /// A header's value as text; it must not be there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_bytes(name).map(|value| {
            std::str::from_utf8(value).unwrap_or_else(|_| panic!("{name} is not text: {self:?}"))
        })
    }

    /// A header's value; it must not be there twice.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        let mut values =
            self.headers.iter().filter(|(each, _)| each == name).map(|(_, value)| value.as_slice());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// A header's value, which must be there.
    pub fn get(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The entity tag, quotes and all.
    pub fn etag(&self) -> &str {
        self.get("etag")
    }

    /// The version id, which must be there.
    pub fn version_id(&self) -> String {
        self.get("x-amz-version-id").to_owned()
    }

    /// The body as XML.
    pub fn xml(&self) -> Element {
        assert_eq!(self.header("content-type"), Some("application/xml"), "{self:?}");
        Element::parse(&self.body)
    }

    /// The same answer, which must have this status and a whole body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.complete, "the body broke off: {self:?}");
        self
    }

    /// The body of an error, which must have this status and code.
    #[track_caller]
    pub fn expect_error(&self, status: u16, code: &str) -> Element {
        assert!(self.complete, "the body broke off: {self:?}");
        assert!(self.status >= 300, "no error: {self:?}");
        let error = Element::parse(&self.body);
        assert_eq!((self.status, error.find("Code")), (status, Some(code)), "{self:?}");
        error
    }

    /// Holds the answer to what all of those of S3 Control have in common.
    pub(crate) fn check_control(&self) {
        let id = self.get("x-amz-request-id");
        assert!(!id.is_empty() && !self.get("x-amz-id-2").is_empty(), "{self:?}");
        if self.status < 300 {
            return;
        }
        let error = self.xml();
        assert_eq!(error.name, "ErrorResponse", "{self:?}");
        assert_eq!((error.get("RequestId"), error.get("HostId")), (id, self.get("x-amz-id-2")), "{self:?}");
        assert!(!error.get("Error/Code").is_empty() && !error.get("Error/Message").is_empty(), "{self:?}");
    }

    /// Holds the answer to what all of those to operators have in common.
    pub(crate) fn check_operators(&self, head: bool) {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        if head {
            return;
        }
        let answer: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        if self.status < 300 {
            return;
        }
        let text = |name: &str| answer[name].as_str().unwrap_or_default();
        assert_eq!(text("request_id"), self.get("x-amz-request-id"), "{self:?}");
        assert_eq!(text("code"), self.get("x-amzn-errortype"), "{self:?}");
        assert!(!text("message").is_empty(), "{self:?}");
    }

    /// Holds the answer to what all of those of IAM and STS have in common.
    pub(crate) fn check_call(&self) {
        let id = self.get("x-amzn-requestid");
        assert_eq!(self.header("content-type"), Some("text/xml"), "{self:?}");
        let answer = Element::parse(&self.body);
        if self.status < 300 {
            assert_eq!(answer.find("ResponseMetadata/RequestId"), Some(id), "{self:?}");
            assert!(answer.name.ends_with("Response"), "{self:?}");
            return;
        }
        assert_eq!((answer.name.as_str(), answer.get("RequestId")), ("ErrorResponse", id), "{self:?}");
        let message = answer.find("Error/Message").unwrap_or_default();
        assert!(!message.is_empty() && answer.find("Error/Type").is_some(), "{self:?}");
    }

    /// Holds the answer to what all of S3's answers have in common. `bodiless` is that of an answer to HEAD.
    pub(crate) fn check_common(&self, bodiless: bool) {
        let id = self.get("x-amz-request-id");
        assert!(!id.is_empty() && !self.get("x-amz-id-2").is_empty(), "{self:?}");
        assert!(self.get("date").ends_with(" GMT"), "{self:?}");
        if self.status < 300 || bodiless || matches!(self.status, 303 | 304) {
            return;
        }
        let error = self.xml();
        assert_eq!(error.name, "Error", "{self:?}");
        assert_eq!(error.get("RequestId"), id, "{self:?}");
        assert_eq!(error.get("HostId"), self.get("x-amz-id-2"), "{self:?}");
        assert!(!error.get("Code").is_empty() && !error.get("Message").is_empty(), "{self:?}");
        assert!(error.find("Resource").is_some(), "{self:?}");
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} after {:?}, complete: {}", self.status, self.interim, self.complete)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value))?;
        }
        let shown = &self.body[..self.body.len().min(4000)];
        writeln!(f, "\n{}", String::from_utf8_lossy(shown))
    }
}
