//! A visitor of a website: plain HTTP without credentials, as a browser sends it.

use std::net::SocketAddr;

use http::Method;

use crate::{Connection, Response};

/// Asks for pages of one website.
#[derive(Debug, Clone)]
pub struct Visitor {
    address: SocketAddr,
    host: String,
}

impl Visitor {
    pub(crate) fn new(address: SocketAddr, host: &str) -> Self {
        Self { address, host: host.to_owned() }
    }

    /// A new connection to the listener for websites.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Asks for a path, which is sent exactly so.
    pub fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send()
    }

    /// Asks for a path by HEAD.
    pub fn head(&self, path: &str) -> Response {
        self.request(Method::HEAD, path).send()
    }

    /// A request with a path, or path and query, that is sent exactly so.
    pub fn request(&self, method: Method, path: &str) -> Visit {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        Visit { visitor: self.clone(), method, head: head.into_bytes(), body: Vec::new() }
    }
}

/// A request of a visitor under construction.
#[derive(Debug, Clone)]
#[must_use]
pub struct Visit {
    visitor: Visitor,
    method: Method,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Visit {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for piece in [name.as_bytes(), b": ", value.as_ref(), b"\r\n"] {
            self.head.extend_from_slice(piece);
        }
        self
    }

    /// Adds a body and its length.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.header("content-length", length)
    }

    /// Sends the request over a connection that stays open, and gives the answer back, which is held to what all answers of
    /// a website have in common.
    pub fn send_over(&self, connection: &mut Connection) -> Response {
        connection.send(&[&self.head[..], b"\r\n", &self.body].concat());
        let answer = connection.receive(&self.method);
        for name in ["x-amz-request-id", "x-amz-id-2", "date"] {
            assert!(!answer.get(name).is_empty(), "{name} {answer:?}");
        }
        assert_ne!(answer.header("content-type"), Some("application/xml"), "{answer:?}");
        if answer.status >= 400 {
            assert!(!answer.get("x-amz-error-code").is_empty(), "{answer:?}");
        }
        answer
    }

    /// Sends the request over a connection of its own and gives the answer back, behind which nothing may come.
    pub fn send(self) -> Response {
        let visit = self.header("connection", "close");
        let mut connection = visit.visitor.connect();
        let answer = visit.send_over(&mut connection);
        connection.expect_end();
        answer
    }
}
