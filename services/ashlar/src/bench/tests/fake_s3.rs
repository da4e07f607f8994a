//! As much of S3 as a run needs, in memory, with ways to misbehave. It checks no signature; that is for the clients'
//! tests to show against the real gateway.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use service_kit::{HttpLimits, HttpServer, ListenerTls, ServerTls, ShutdownTrigger, shutdown_channel};

/// How the server misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not at all.
    None,
    /// One bit of the object with this in its key is flipped in GETs.
    FlippedBit(&'static str),
    /// GETs of whole objects answer one byte too few.
    Short,
    /// The object with this in its key is missing from listings.
    Unlisted(&'static str),
    /// Every so manieth PUT of an object is refused with SlowDown.
    SlowDown(u64),
    /// Every GET of an object is refused with InternalError.
    Broken,
    /// CopyObject answers 200 with an error inside.
    HiddenError,
    /// Every request is refused with InvalidAccessKeyId.
    UnknownKey,
    /// Requests for objects are answered only after this time.
    Slow(Duration),
}

#[derive(Default)]
struct State {
    buckets: BTreeSet<String>,
    objects: BTreeMap<String, Bytes>,
    parts: BTreeMap<u32, Bytes>,
    puts: u64,
    gets: u64,
}

pub(super) struct FakeS3 {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _stop: ShutdownTrigger,
}

impl FakeS3 {
    pub(super) async fn start(fault: Fault) -> Self {
        Self::start_with(fault, None).await
    }

    pub(super) async fn start_with(fault: Fault, tls: Option<ServerTls>) -> Self {
        let env = Env::real();
        let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_address().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, shutdown) = shutdown_channel();
        let server = HttpServer {
            env: env.clone(),
            listener,
            tls: tls.map(ListenerTls::Clients),
            limits: HttpLimits::default(),
        };
        let (own, own_env) = (state.clone(), env.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (state, env) = (own.clone(), own_env.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                if let Fault::Slow(time) = fault
                    && head.uri.path().matches('/').count() > 1
                {
                    env.sleep(time).await;
                }
                let response = state.lock().unwrap().answer(&head, body, fault);
                Ok::<_, Infallible>(response.map(Full::new))
            }
        });
        env.spawn(server.run(service, shutdown));
        Self { address, state, _stop: stop }
    }

    /// Names of all buckets and keys of all objects.
    pub(super) fn contents(&self) -> (Vec<String>, Vec<String>) {
        let state = self.state.lock().unwrap();
        (state.buckets.iter().cloned().collect(), state.objects.keys().cloned().collect())
    }

    /// Objects that were read, whole or in part.
    pub(super) fn gets(&self) -> u64 {
        self.state.lock().unwrap().gets
    }

    pub(super) fn make_bucket(&self, name: &str) {
        self.state.lock().unwrap().buckets.insert(name.to_owned());
    }

    pub(super) fn put(&self, path: &str, contents: &[u8]) {
        self.state.lock().unwrap().objects.insert(path.to_owned(), Bytes::copy_from_slice(contents));
    }
}

impl State {
    fn answer(&mut self, head: &http::request::Parts, body: Bytes, fault: Fault) -> Response<Bytes> {
        if fault == Fault::UnknownKey {
            return error(StatusCode::FORBIDDEN, "InvalidAccessKeyId");
        }
        let path = head.uri.path().trim_start_matches('/');
        let query = head.uri.query().unwrap_or_default();
        self.gets += u64::from(head.method == Method::GET && path.contains('/'));
        match path.split_once('/') {
            None => self.bucket(&head.method, path, query, &body, fault),
            Some((bucket, _)) if !self.buckets.contains(bucket) => {
                error(StatusCode::NOT_FOUND, "NoSuchBucket")
            }
            Some(_) if head.method == Method::PUT && !announces_length(&head.headers) => {
                error(StatusCode::LENGTH_REQUIRED, "MissingContentLength")
            }
            Some(_) => self.object(head, path, query, body, fault),
        }
    }

    fn bucket(
        &mut self,
        method: &Method,
        name: &str,
        query: &str,
        body: &[u8],
        fault: Fault,
    ) -> Response<Bytes> {
        match (method.as_str(), self.buckets.contains(name)) {
            ("PUT", _) => {
                self.buckets.insert(name.to_owned());
                ok("")
            }
            (_, false) => error(StatusCode::NOT_FOUND, "NoSuchBucket"),
            ("GET", _) => self.list(name, query, fault),
            ("POST", _) => {
                let text = std::str::from_utf8(body).unwrap();
                for key in s3_client::xml::elements(text, "Key") {
                    self.objects.remove(&format!("{name}/{key}"));
                }
                ok("<DeleteResult/>")
            }
            ("DELETE", _) if self.objects.keys().any(|key| key.starts_with(&format!("{name}/"))) => {
                error(StatusCode::CONFLICT, "BucketNotEmpty")
            }
            ("DELETE", _) => {
                self.buckets.remove(name);
                ok("")
            }
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn list(&self, bucket: &str, query: &str, fault: Fault) -> Response<Bytes> {
        let value = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            pair.map(|value| value.replace("%2F", "/"))
        };
        let start = format!("{bucket}/{}", value("prefix").unwrap_or_default());
        let after = value("continuation-token").or_else(|| value("start-after"));
        let after = after.map(|key| format!("{bucket}/{key}")).unwrap_or_default();
        let listed = |key: &&String| !matches!(fault, Fault::Unlisted(part) if key.contains(part));
        let keys = self
            .objects
            .range(start.clone().max(after.clone())..)
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&start))
            .filter(|key| **key > after)
            .filter(listed);
        let key_of = |key: &String| key.split_once('/').unwrap().1.to_owned();
        if value("delimiter").is_some() {
            let folders: BTreeSet<&str> =
                keys.map(|key| &key[..start.len() + key[start.len()..].find('/').unwrap() + 1]).collect();
            let groups: String = folders
                .into_iter()
                .map(|folder| {
                    let prefix = folder.split_once('/').unwrap().1;
                    format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>")
                })
                .collect();
            return ok(&format!("<ListBucketResult>{groups}</ListBucketResult>"));
        }
        let page: Vec<String> = keys.take(1000).map(key_of).collect();
        let text: String = page.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
        let token = page.last().cloned().unwrap_or_default();
        ok(&format!(
            "<ListBucketResult>{text}<NextContinuationToken>{token}</NextContinuationToken></ListBucketResult>"
        ))
    }

    fn object(
        &mut self,
        head: &http::request::Parts,
        path: &str,
        query: &str,
        body: Bytes,
        fault: Fault,
    ) -> Response<Bytes> {
        match head.method.as_str() {
            "PUT" if query.starts_with("partNumber=") => {
                let number =
                    query.trim_start_matches("partNumber=").split('&').next().unwrap().parse().unwrap();
                self.parts.insert(number, body);
                ok("")
            }
            "POST" if query == "uploads" => ok("<R><UploadId>u+1/=</UploadId></R>"),
            "POST" => {
                let whole: Vec<u8> = std::mem::take(&mut self.parts).into_values().flatten().collect();
                self.objects.insert(path.to_owned(), whole.into());
                ok("<R><ETag>e</ETag></R>")
            }
            "PUT" if head.headers.contains_key("x-amz-copy-source") => {
                if fault == Fault::HiddenError {
                    return ok("<Error><Code>InternalError</Code></Error>");
                }
                let source = head.headers["x-amz-copy-source"].to_str().unwrap().trim_start_matches('/');
                let copy = self.objects[source].clone();
                self.objects.insert(path.to_owned(), copy);
                ok("<R><ETag>e</ETag></R>")
            }
            "PUT" => {
                self.puts += 1;
                if matches!(fault, Fault::SlowDown(every) if self.puts.is_multiple_of(every)) {
                    return error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
                }
                self.objects.insert(path.to_owned(), body);
                ok("")
            }
            "DELETE" => {
                self.objects.remove(path);
                ok("")
            }
            _ => self.get(head, path, fault),
        }
    }

    fn get(&self, head: &http::request::Parts, path: &str, fault: Fault) -> Response<Bytes> {
        let Some(contents) = self.objects.get(path) else { return error(StatusCode::NOT_FOUND, "NoSuchKey") };
        if fault == Fault::Broken {
            return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        }
        let mut contents = contents.clone();
        if matches!(fault, Fault::FlippedBit(part) if path.contains(part)) {
            let mut flipped = contents.to_vec();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 0x10;
            contents = flipped.into();
        }
        if fault == Fault::Short {
            contents.truncate(contents.len() - 1);
        }
        let mut response = Response::new(contents.clone());
        if let Some(range) = head.headers.get(header::RANGE) {
            let (first, last) = range.to_str().unwrap().trim_start_matches("bytes=").split_once('-').unwrap();
            *response.body_mut() = contents.slice(first.parse().unwrap()..last.parse::<usize>().unwrap() + 1);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }
}

fn ok(text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text.to_owned()));
    response.headers_mut().insert(header::ETAG, "\"e\"".parse().unwrap());
    response
}

fn error(status: StatusCode, code: &str) -> Response<Bytes> {
    let mut response = ok(&format!("<Error><Code>{code}</Code><Message>because</Message></Error>"));
    *response.status_mut() = status;
    response
}

/// S3 wants to know how long a body is, even when there is none; a copy has none by nature.
fn announces_length(headers: &http::HeaderMap) -> bool {
    headers.contains_key("content-length") || headers.contains_key("x-amz-copy-source")
}
