//! A request as a test describes it, and as it is sent.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};
use sigv4::{Payload, Signer, encode_component};

use crate::{Client, Connection, Element, Response, framing::Framing};

/// Seconds since 1970.
pub fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("the clock is before the end of time")
}

/// What proves who sends a request.
#[derive(Debug, Clone)]
enum Authentication {
    Header,
    Presigned { lifetime_seconds: u32 },
    None,
}

/// How the signature covers the body.
#[derive(Debug, Clone)]
enum Body {
    Sha256,
    StatedSha256([u8; 32]),
    Unsigned,
    Framed(Framing),
}

/// What the head says of the body's length.
#[derive(Debug, Clone)]
enum Length {
    True,
    Stated(u64),
    None,
    Chunked,
}

/// A request under construction. What a test does not say is as an honest client would have it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Request {
    client: Client,
    method: Method,
    path: String,
    query: Vec<String>,
    host: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    unsigned_headers: Vec<(String, Vec<u8>)>,
    data: Vec<u8>,
    body: Body,
    decoded_length: Length,
    length: Length,
    authentication: Authentication,
    time_seconds: i64,
    keep_alive: bool,
    service: &'static str,
    api: Api,
}

/// What all answers have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    S3,
    /// IAM and STS.
    Query,
    Control,
    /// What operators read.
    Operators,
}

impl Request {
    pub(crate) fn new(client: &Client, method: Method, path: &str) -> Self {
        Self {
            client: client.clone(),
            method,
            path: path.to_owned(),
            query: Vec::new(),
            host: None,
            headers: Vec::new(),
            unsigned_headers: Vec::new(),
            data: Vec::new(),
            body: Body::Sha256,
            decoded_length: Length::True,
            length: Length::True,
            authentication: Authentication::Header,
            time_seconds: now_seconds(),
            keep_alive: false,
            service: "s3",
            api: Api::S3,
        }
    }

    /// Adds `name=value` to the query, encoded.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        self.query.push(format!(
            "{}={}",
            encode_component(name.as_bytes()),
            encode_component(value.as_bytes())
        ));
        self
    }

    /// Adds text to the query as it is.
    pub fn raw_query(mut self, text: &str) -> Self {
        self.query.push(text.to_owned());
        self
    }

    /// Sends another `Host`.
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Adds a header that is signed.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds a header behind the signature's back.
    pub fn unsigned_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.unsigned_headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The object's bytes, or the document.
    pub fn body(mut self, data: impl AsRef<[u8]>) -> Self {
        self.data = data.as_ref().to_vec();
        self
    }

    /// `UNSIGNED-PAYLOAD`.
    pub fn unsigned_payload(mut self) -> Self {
        self.body = Body::Unsigned;
        self
    }

    /// States the SHA-256 of other bytes than those that are sent.
    pub fn sha256_of(mut self, other: &[u8]) -> Self {
        self.body = Body::StatedSha256(Sha256::digest(other).into());
        self
    }

    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`.
    pub fn signed_chunks(mut self, chunk_size: usize) -> Self {
        self.body = Body::Framed(Framing { signed: true, chunk_size, trailer: None });
        self
    }

    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`.
    pub fn signed_trailer(mut self, chunk_size: usize, name: &str, value: &str) -> Self {
        let trailer = Some((name.to_owned(), value.to_owned()));
        self.body = Body::Framed(Framing { signed: true, chunk_size, trailer });
        self.header("x-amz-trailer", name)
    }

    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    pub fn unsigned_trailer(mut self, chunk_size: usize, name: &str, value: &str) -> Self {
        let trailer = Some((name.to_owned(), value.to_owned()));
        self.body = Body::Framed(Framing { signed: false, chunk_size, trailer });
        self.header("x-amz-trailer", name)
    }

    /// Announces another `x-amz-decoded-content-length` than the true one.
    pub fn decoded_length(mut self, length: u64) -> Self {
        self.decoded_length = Length::Stated(length);
        self
    }

    /// Announces no `x-amz-decoded-content-length`.
    pub fn no_decoded_length(mut self) -> Self {
        self.decoded_length = Length::None;
        self
    }

    /// Announces another `Content-Length` than the true one.
    pub fn content_length(mut self, length: u64) -> Self {
        self.length = Length::Stated(length);
        self
    }

    /// Announces no length at all.
    pub fn no_content_length(mut self) -> Self {
        self.length = Length::None;
        self
    }

    /// Sends the body with `Transfer-Encoding: chunked`.
    pub fn transfer_chunked(mut self) -> Self {
        self.length = Length::Chunked;
        self
    }

    /// Signs in the query instead of a header.
    pub fn presigned(mut self, lifetime_seconds: u32) -> Self {
        self.authentication = Authentication::Presigned { lifetime_seconds };
        self
    }

    /// Does not sign.
    pub fn anonymous(mut self) -> Self {
        self.authentication = Authentication::None;
        self
    }

    /// A call of IAM or STS, whose answer is no answer of S3.
    pub(crate) fn into_call(mut self) -> Self {
        self.api = Api::Query;
        self
    }

    /// A call of S3 Control, whose errors have another form than those of S3.
    pub fn into_control(mut self) -> Self {
        self.api = Api::Control;
        self
    }

    /// A request of an operator, whose answer is JSON.
    pub fn into_operators(mut self) -> Self {
        self.api = Api::Operators;
        self
    }

    /// Sends the call, which must be refused with this status and code.
    #[track_caller]
    pub fn refused_call(self, status: u16, code: &str) {
        let response = self.send();
        assert!(response.status >= 300, "no error: {response:?}");
        let error = Element::parse(&response.body);
        assert_eq!((response.status, error.find("Error/Code")), (status, Some(code)), "{response:?}");
    }

    /// Signs for another service than S3.
    pub fn service(mut self, service: &'static str) -> Self {
        self.service = service;
        self
    }

    /// Signs at another time than now.
    pub fn signed_at(mut self, seconds: i64) -> Self {
        self.time_seconds = seconds;
        self
    }

    /// Leaves the connection open after the answer.
    pub fn keep_alive(mut self) -> Self {
        self.keep_alive = true;
        self
    }

    /// Signs the request. What is changed afterwards is changed behind the signature's back.
    pub fn prepare(self) -> Prepared {
        let mut headers = self.header_map();
        let query = self.query.join("&");
        let query = Some(query.as_str()).filter(|query| !query.is_empty());
        let signer = self.signer();
        let (mut chunk_signer, mut sent_query) = (None, query.map(str::to_owned));
        match self.authentication {
            Authentication::Header => {
                let signature = signer
                    .sign_headers(&self.method, &self.path, query, &mut headers, self.payload())
                    .expect("a request that can be signed");
                chunk_signer = Some(signature.chunk_signer());
            }
            Authentication::Presigned { lifetime_seconds } => {
                let presigned = signer.presign(&self.method, &self.path, query, &headers, lifetime_seconds);
                sent_query = Some(presigned.expect("a request that can be signed"));
            }
            Authentication::None => {}
        }
        let body = match &self.body {
            Body::Framed(framing) => framing.encode(&self.data, chunk_signer.filter(|_| framing.signed)),
            Body::Sha256 | Body::StatedSha256(_) | Body::Unsigned => self.data.clone(),
        };
        let mut headers: Vec<(String, Vec<u8>)> = headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        headers.extend(self.unsigned_headers.iter().cloned());
        let (length, body) = self.with_length(body);
        headers.extend(length);
        if !self.keep_alive {
            headers.push(("connection".to_owned(), b"close".to_vec()));
        }
        let target = sent_query.map_or(self.path.clone(), |query| format!("{}?{query}", self.path));
        Prepared { client: self.client, method: self.method, target, headers, body, api: self.api }
    }

    /// Sends the request over a connection of its own and gives the answer back.
    pub fn send(self) -> Response {
        self.prepare().send()
    }

    /// Sends the request, which must be answered with 200.
    #[track_caller]
    pub fn ok(self) -> Response {
        self.send().expect(200)
    }

    /// Sends the request, which must be refused with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Element {
        self.send().expect_error(status, code)
    }

    fn header_map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let host = self.host.clone().unwrap_or_else(|| self.client.host());
        headers.insert("host", HeaderValue::try_from(host).expect("a host is a header value"));
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            headers.append(name, HeaderValue::from_bytes(value).expect("a header value"));
        }
        if let Body::Framed(_) = &self.body {
            let length = match self.decoded_length {
                Length::True | Length::Chunked => Some(self.data.len() as u64),
                Length::Stated(length) => Some(length),
                Length::None => None,
            };
            headers.extend(length.map(|length| {
                (HeaderName::from_static("x-amz-decoded-content-length"), HeaderValue::from(length))
            }));
            headers.entry("content-encoding").or_insert(HeaderValue::from_static("aws-chunked"));
        }
        headers
    }

    fn signer(&self) -> Signer<'_> {
        let (credentials, region) = (self.client.credentials(), self.client.region());
        Signer::for_service(self.service, credentials, region, self.time_seconds)
            .expect("a time that can be written")
    }

    fn payload(&self) -> Payload {
        match &self.body {
            Body::Sha256 => Payload::Sha256(Sha256::digest(&self.data).into()),
            Body::StatedSha256(digest) => Payload::Sha256(*digest),
            Body::Unsigned => Payload::Unsigned,
            Body::Framed(Framing { signed: true, trailer: None, .. }) => Payload::SignedChunks,
            Body::Framed(Framing { signed: true, .. }) => Payload::SignedChunksWithTrailer,
            Body::Framed(_) => Payload::UnsignedChunksWithTrailer,
        }
    }

    /// The header that says how long the body is, and the body in its transfer coding.
    fn with_length(&self, body: Vec<u8>) -> (Option<(String, Vec<u8>)>, Vec<u8>) {
        let length = |length: u64| Some(("content-length".to_owned(), length.to_string().into_bytes()));
        let takes_body = matches!(self.method, Method::PUT | Method::POST);
        match self.length {
            Length::True if body.is_empty() && !takes_body => (None, body),
            Length::True => (length(body.len() as u64), body),
            Length::Stated(stated) => (length(stated), body),
            Length::None => (None, body),
            Length::Chunked => {
                let mut out = format!("{:x}\r\n", body.len()).into_bytes();
                out.extend_from_slice(&body);
                out.extend_from_slice(b"\r\n0\r\n\r\n");
                (Some(("transfer-encoding".to_owned(), b"chunked".to_vec())), out)
            }
        }
    }
}

/// A request as it will be sent. Every piece may be changed.
#[derive(Debug, Clone)]
pub struct Prepared {
    client: Client,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Names and values in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body in its framing.
    pub body: Vec<u8>,
    api: Api,
}

impl Prepared {
    /// Replaces the value of a header that is there.
    pub fn set_header(mut self, name: &str, value: &str) -> Self {
        let found = self.headers.iter_mut().find(|(each, _)| each == name);
        found.unwrap_or_else(|| panic!("no {name} among the headers")).1 = value.as_bytes().to_vec();
        self
    }

    /// Replaces bytes of the body that are there once, by as many others.
    pub fn replace_in_body(mut self, from: &[u8], to: &[u8]) -> Self {
        assert_eq!(from.len(), to.len(), "the body keeps its length");
        let found: Vec<usize> =
            (0..self.body.len()).filter(|at| self.body[*at..].starts_with(from)).collect();
        let [at] = found[..] else { panic!("{from:?} is there {} times", found.len()) };
        self.body[at..at + to.len()].copy_from_slice(to);
        self
    }

    /// The value of a header that is there.
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(each, _)| each == name);
        let (_, value) = found.unwrap_or_else(|| panic!("no {name} among the headers"));
        String::from_utf8(value.clone()).expect("it is text")
    }

    /// Another path and query.
    pub fn with_target(self, target: impl Into<String>) -> Self {
        Self { target: target.into(), ..self }
    }

    /// Takes a header away.
    pub fn without_header(mut self, name: &str) -> Self {
        let before = self.headers.len();
        self.headers.retain(|(each, _)| each != name);
        assert!(self.headers.len() < before, "no {name} among the headers");
        self
    }

    /// Another body of its true length.
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body: body.clone(), ..self }.set_header("content-length", &body.len().to_string())
    }

    /// The head as bytes, with the empty line behind it.
    pub fn head(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Sends the request over a connection of its own and gives the answer back, behind which nothing may come.
    pub fn send(&self) -> Response {
        let mut connection = self.client.connect();
        connection.send(&[self.head(), self.body.clone()].concat());
        let response = self.receive(&mut connection);
        connection.expect_end();
        response
    }

    /// Sends the request, stops sending for good before its body's end, and gives the answer back.
    pub fn send_short(&self) -> Response {
        let mut connection = self.client.connect();
        connection.send(&[self.head(), self.body.clone()].concat());
        connection.finish_sending();
        self.receive(&mut connection)
    }

    /// Sends the request over a connection that stays open, and gives the answer back.
    pub fn send_over(&self, connection: &mut Connection) -> Response {
        connection.send(&[self.head(), self.body.clone()].concat());
        self.receive(connection)
    }

    /// The answer to this request, which was sent over `connection`.
    pub fn receive(&self, connection: &mut Connection) -> Response {
        let response = connection.receive(&self.method);
        match self.api {
            Api::Query => response.check_call(),
            Api::S3 => response.check_common(self.method == Method::HEAD),
            Api::Control => response.check_control(),
            Api::Operators => response.check_operators(self.method == Method::HEAD),
        }
        response
    }
}
