//! One connection to a server, and the bytes on it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use http::Method;
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use crate::{Response, tls::Trust};

/// No answer in this time is no answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// Bytes in both directions.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A connection over TCP, or over TLS.
pub struct Connection {
    stream: Box<dyn Stream>,
    tcp: TcpStream,
    /// What was read and not yet used.
    buffer: Vec<u8>,
    ended: bool,
}

/// Status and headers of an answer.
type Head = (u16, Vec<(String, Vec<u8>)>);

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        let tcp = connect(address);
        let stream = tcp.try_clone().expect("an open socket");
        Self { stream: Box::new(stream), tcp, buffer: Vec::new(), ended: false }
    }

    /// Connects and agrees on TLS with a server that proves to have a certificate that is trusted.
    pub fn open_tls(address: SocketAddr, trust: &Trust) -> Self {
        let tcp = connect(address);
        let stream = tcp.try_clone().expect("an open socket");
        let name = ServerName::from(address.ip());
        let session = ClientConnection::new(trust.config(), name).expect("settings that fit");
        Self { stream: Box::new(StreamOwned::new(session, stream)), tcp, buffer: Vec::new(), ended: false }
    }

    /// Whether a server agrees on TLS with a certificate that is trusted.
    pub fn can_open_tls(address: SocketAddr, trust: &Trust) -> bool {
        let mut tcp = connect(address);
        let name = ServerName::from(address.ip());
        let mut session = ClientConnection::new(trust.config(), name).expect("settings that fit");
        session.complete_io(&mut tcp).is_ok()
    }

    /// Sends bytes. A server that has closed the connection has answered before; that answer is then what counts.
    pub fn send(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes).and_then(|()| self.stream.flush()) {
            Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                panic!("cannot send: {error}")
            }
            _ => {}
        }
    }

    /// Tells the server that nothing more will be sent.
    pub fn finish_sending(&mut self) {
        // The server may have closed it already.
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// The next interim answer's status; a final answer is a failure.
    pub fn receive_interim(&mut self) -> u16 {
        let (status, headers) = self.receive_head();
        assert!((100..200).contains(&status), "a final answer came first: {status} {headers:?}");
        status
    }

    /// The next final answer, and what came before it.
    pub fn receive(&mut self, method: &Method) -> Response {
        let mut interim = Vec::new();
        let (status, headers) = loop {
            match self.receive_head() {
                (status @ 100..200, _) => interim.push(status),
                head => break head,
            }
        };
        let mut response = Response { status, interim, headers, body: Vec::new(), complete: true };
        if *method == Method::HEAD || status == 204 || status == 304 {
            return response;
        }
        if response.header("transfer-encoding") == Some("chunked") {
            self.receive_chunks(&mut response);
        } else if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().expect("a length is a number");
            response.complete = self.fill(length);
            let length = length.min(self.buffer.len());
            response.body = self.buffer.drain(..length).collect();
        } else {
            while self.read_more() {}
            response.body = std::mem::take(&mut self.buffer);
        }
        response
    }

    /// Waits until the answer has begun to arrive.
    pub fn wait(&mut self) {
        while self.buffer.is_empty() {
            assert!(self.read_more(), "the connection ended without an answer");
        }
    }

    /// Waits at most so long until the server sends something or closes the connection, and tells whether it did.
    pub fn wait_for(&mut self, time: Duration) -> bool {
        if !self.buffer.is_empty() || self.ended {
            return true;
        }
        self.tcp.set_read_timeout(Some(time)).expect("an open socket");
        let mut piece = [0; 1024];
        let did = match self.stream.read(&mut piece) {
            Ok(0) => true,
            Ok(length) => {
                self.buffer.extend_from_slice(&piece[..length]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => panic!("cannot receive: {error}"),
        };
        self.ended = did && self.buffer.is_empty();
        self.tcp.set_read_timeout(Some(PATIENCE)).expect("an open socket");
        did
    }

    /// The next final answer, or `None` when the server closes the connection without one.
    pub fn receive_if_any(&mut self, method: &Method) -> Option<Response> {
        while self.buffer.is_empty() && self.read_more() {}
        if self.buffer.is_empty() { None } else { Some(self.receive(method)) }
    }

    /// Waits until the server closes the connection, and fails if it sends anything before.
    pub fn expect_end(&mut self) {
        while self.buffer.is_empty() && self.read_more() {}
        assert!(
            self.buffer.is_empty(),
            "bytes after the answer: {:?}",
            String::from_utf8_lossy(&self.buffer)
        );
    }

    /// Waits until the server closes the connection, and fails if what it sends before is HTTP.
    pub fn expect_no_http(&mut self) {
        while self.read_more() {}
        assert!(!self.buffer.starts_with(b"HTTP/"), "{:?}", String::from_utf8_lossy(&self.buffer));
    }

    fn receive_head(&mut self) -> Head {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            assert!(self.read_more(), "the connection ended without an answer: {:?}", self.buffer);
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let mut lines = head[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let first = String::from_utf8_lossy(lines.next().expect("a first line")).into_owned();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let header = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':').expect("a header has a colon");
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            (name, line[colon + 1..].trim_ascii_start().to_vec())
        };
        (status.unwrap_or_else(|| panic!("no status line: {first}")), lines.map(header).collect())
    }

    fn receive_chunks(&mut self, response: &mut Response) {
        while let Some(line) = self.line() {
            let length = usize::from_str_radix(&line, 16).expect("a chunk's length is hexadecimal");
            if !self.fill(length + 2) {
                break;
            }
            response.body.extend(self.buffer.drain(..length));
            self.buffer.drain(..2);
            if length == 0 {
                return;
            }
        }
        response.complete = false;
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// Reads until `length` bytes are there; false when the connection ends before.
    fn fill(&mut self, length: usize) -> bool {
        while self.buffer.len() < length {
            if !self.read_more() {
                return false;
            }
        }
        true
    }

    /// Reads what there is; false at the end. A reset is an end.
    fn read_more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let mut piece = [0; 64 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => self.ended = true,
            Ok(length) => self.buffer.extend_from_slice(&piece[..length]),
            // TLS that ends without saying so ends all the same: the length tells whether all came.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                self.ended = true;
            }
            Err(error) => panic!("no answer within {PATIENCE:?}: {error}"),
        }
        !self.ended
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("an open socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("an open socket");
    stream
}
