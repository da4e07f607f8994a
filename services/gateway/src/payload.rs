//! The body of an upload: taken out of its framing, hashed in one pass, and proved before it ends.
//!
//! The stream's last item is an error when the body is not what the request announced, so that whoever stores it
//! abandons what it has.

mod limits;

use std::{collections::VecDeque, time::Duration};

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use checksum::{AlgorithmSet, ObjectDigests, ObjectHasher, Wanted, format_content_md5};
use env::Env;
use futures_util::{Stream, stream};
use http::HeaderMap;
use http_body_util::BodyExt;
use multi_md5::Stream as Md5Stream;
use s3_wire::{
    ErrorCode, S3Error,
    aws_chunked::{Decoder, Event, Framing, FramingError},
    form::{self, LengthRange},
    header::{RequestChecksum, content_md5, decoded_content_length, request_checksum},
};
use sigv4::{ChunkError, ChunkVerifier, Payload};
use types::{ChecksumAlgorithm, ChecksumValue};

pub(crate) use self::limits::BodyLimits;
use self::limits::{Documents, Pace};
use crate::{
    Gateway,
    error::from_body,
    form::{form_error, unframe_file},
    rates::{Pacing, next_refused},
    request::Request,
};

/// A sender that is silent for longer is cut off.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(30);

/// How much of a file that is too long is counted, and for how long, to say how long it is.
const REST_BYTES_MAX: u64 = 4 << 20;
const REST_MAX: Duration = Duration::from_secs(2);

/// Most bytes of a body that means nothing and is read all the same.
const UNUSED_LENGTH_MAX: u64 = 64 << 10;

/// How long a document may take: it is a few MiB at most.
const DOCUMENT_TIME_MAX: Duration = Duration::from_secs(60);

/// What is wrong with a body.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It ended too soon.
    Incomplete {
        /// Bytes announced.
        expected: u64,
        /// Bytes that came.
        received: u64,
    },
    /// It goes on after its end.
    TooLong {
        /// Bytes announced.
        expected: u64,
    },
    /// A form's file has more bytes than its policy allows.
    AboveRange {
        /// Bytes allowed.
        most: u64,
        /// Bytes that it has, if it ended soon enough to be known.
        proposed: Option<u64>,
    },
    /// A form's file has fewer bytes than its policy demands.
    BelowRange {
        /// Bytes demanded.
        least: u64,
        /// Bytes that came.
        received: u64,
    },
    /// Nothing came for too long, or too little.
    Idle,
    /// The connection broke.
    Connection,
    /// It is not what `x-amz-content-sha256` says.
    PayloadHash {
        /// As stated, in hexadecimal.
        stated: String,
        /// As computed, in hexadecimal.
        computed: String,
    },
    /// It is not what `Content-MD5` says.
    ContentMd5 {
        /// As stated, in base64.
        stated: String,
        /// As computed, in base64.
        computed: String,
    },
    /// It is not what `x-amz-checksum-...` says, in the header or the trailer.
    Checksum {
        /// By this algorithm.
        algorithm: ChecksumAlgorithm,
    },
    /// Its aws-chunked framing is broken.
    Framing(Box<S3Error>),
    /// Its trailer is not what was announced.
    Trailer(Box<S3Error>),
    /// A chunk's or the trailer's signature does not match.
    Signature(Box<S3Error>),
}

/// What an upload's body must turn out to be.
#[derive(Debug, Default)]
struct Announced {
    sha256: Option<[u8; 32]>,
    md5: Option<[u8; 16]>,
    checksum: Option<ChecksumValue>,
    trailer: Option<ChecksumAlgorithm>,
}

/// What was learnt from a body that was proved.
#[derive(Debug)]
pub(crate) struct Proved {
    /// Digests of the bytes.
    pub(crate) digests: ObjectDigests,
    /// The checksum that is kept with the object.
    pub(crate) checksum: Option<ChecksumValue>,
}

/// How many bytes an object has, as far as it is known before they are read.
#[derive(Debug, Clone, Copy)]
enum Length {
    /// So many.
    Announced(u64),
    /// A form does not say how long its file is; its policy says how long it may be.
    Allowed(LengthRange),
}

/// What an object's bytes travel in.
enum Frame {
    /// Nothing: the body is the object.
    None,
    /// The aws-chunked framing.
    Chunked(Decoder),
    /// A form, whose file they are, with how many bytes came behind it.
    Form { decoder: form::Decoder, excess: usize },
}

/// An upload's body.
pub(crate) struct ObjectBody<'a> {
    env: Env,
    body: &'a mut Body,
    frame: Frame,
    chunk_verifier: Option<ChunkVerifier>,
    /// What has come and was not answered.
    pending: VecDeque<Bytes>,
    /// Whether the first of it was hashed.
    is_hashed: bool,
    /// For everything but the MD5.
    hasher: Option<ObjectHasher>,
    /// Hashed side by side with other bodies' bytes.
    md5: Md5Stream,
    length: Length,
    received: u64,
    pace: Pace,
    pacing: Pacing,
    /// How long more is waited for all of a document.
    time_left: Option<Duration>,
    documents: Documents,
    announced: Announced,
    kept: ChecksumAlgorithm,
    proved: Option<Proved>,
    failed: bool,
}

impl<'a> ObjectBody<'a> {
    /// Reads what the headers announce of the body. `keep` is the checksum algorithm that the object will have if the
    /// client names none. At most `length_max` bytes; `EntityTooLarge` otherwise.
    pub(crate) fn open(
        gateway: &Gateway,
        request: &Request,
        body: &'a mut Body,
        keep: Option<ChecksumAlgorithm>,
        length_max: u64,
    ) -> Result<Self, S3Error> {
        let checksum = request_checksum(&request.headers)?;
        Self::open_with(gateway, request, body, checksum, keep, |length| check_length(length, length_max))
    }

    /// A body that is a document, of at most `length_max` bytes; `MaxMessageLengthExceeded` otherwise.
    pub(crate) fn open_document(
        gateway: &Gateway,
        request: &Request,
        body: &'a mut Body,
        length_max: usize,
    ) -> Result<Self, S3Error> {
        let checksum = request_checksum(&request.headers)?;
        let check = |length| check_document_length(length, length_max as u64);
        Self::open_with(gateway, request, body, checksum, None, check)
    }

    /// The same, of a request whose checksum headers speak of something else.
    pub(crate) fn open_document_without_checksum(
        gateway: &Gateway,
        request: &Request,
        body: &'a mut Body,
        length_max: usize,
    ) -> Result<Self, S3Error> {
        let check = |length| check_document_length(length, length_max as u64);
        Self::open_with(gateway, request, body, None, None, check)
    }

    fn open_with(
        gateway: &Gateway,
        request: &Request,
        body: &'a mut Body,
        checksum: Option<RequestChecksum>,
        keep: Option<ChecksumAlgorithm>,
        check: impl FnOnce(u64) -> Result<(), S3Error>,
    ) -> Result<Self, S3Error> {
        let payload = request.authenticated.payload();
        let length =
            announced_length(request)?.ok_or_else(|| S3Error::new(ErrorCode::MissingContentLength))?;
        check(length)?;
        let frame = framing(payload).map_or(Frame::None, |framing| Frame::Chunked(Decoder::new(framing)));
        Self::new(gateway, request, body, checksum, keep, frame, Length::Announced(length))
    }

    /// A body that means nothing. Where there is none at all there are no chunks either, whatever the head says, and no trailer.
    fn open_unused(gateway: &Gateway, request: &Request, body: &'a mut Body) -> Result<Self, S3Error> {
        let length = match announced_length(request)? {
            Some(length) => {
                check_length(length, UNUSED_LENGTH_MAX)?;
                Length::Announced(length)
            }
            None => Length::Allowed(LengthRange { least: 0, most: UNUSED_LENGTH_MAX }),
        };
        let is_framed = !body.is_end_stream();
        let framing = framing(request.authenticated.payload()).filter(|_| is_framed);
        let frame = framing.map_or(Frame::None, |framing| Frame::Chunked(Decoder::new(framing)));
        let checksum = request_checksum(&request.headers)?;
        let mut unused = Self::new(gateway, request, body, checksum, None, frame, length)?;
        if !is_framed {
            (unused.chunk_verifier, unused.announced.trailer) = (None, None);
        }
        Ok(unused)
    }

    /// The file of a form whose fields have been read and stand in the request as headers: what is left of its body
    /// begins with `read`, which came with the fields.
    pub(crate) fn open_file(
        gateway: &Gateway,
        request: &Request,
        body: &'a mut Body,
        decoder: form::Decoder,
        read: Bytes,
        allowed: LengthRange,
    ) -> Result<Self, S3Error> {
        let checksum = request_checksum(&request.headers)?;
        let frame = Frame::Form { decoder, excess: 0 };
        let mut file = Self::new(gateway, request, body, checksum, None, frame, Length::Allowed(allowed))?;
        file.unframe(read).map_err(from_body)?;
        Ok(file)
    }

    fn new(
        gateway: &Gateway,
        request: &Request,
        body: &'a mut Body,
        checksum: Option<RequestChecksum>,
        keep: Option<ChecksumAlgorithm>,
        frame: Frame,
        length: Length,
    ) -> Result<Self, S3Error> {
        let payload = request.authenticated.payload();
        let mut announced = Announced { md5: content_md5(&request.headers)?, ..Announced::default() };
        match checksum {
            Some(RequestChecksum::Header(value)) => announced.checksum = Some(value),
            Some(RequestChecksum::Trailer(algorithm)) => announced.trailer = Some(algorithm),
            None => {}
        }
        if announced.trailer.is_some() && !payload.is_streaming() {
            let message = "x-amz-trailer needs a streaming form of x-amz-content-sha256";
            return Err(S3Error::with_message(ErrorCode::MalformedTrailerError, message));
        }
        if let Payload::Sha256(digest) = payload {
            announced.sha256 = Some(digest);
        }
        let named = checksum.map(|checksum| checksum.algorithm());
        let kept = keep.or(named).unwrap_or(ChecksumAlgorithm::Crc64nvme);
        let checksums: AlgorithmSet = [Some(kept), named].into_iter().flatten().collect();
        let hasher =
            ObjectHasher::new(Wanted { md5: false, payload_sha256: announced.sha256.is_some(), checksums })
                .without_md5();
        Ok(Self {
            env: gateway.env.clone(),
            frame,
            chunk_verifier: request.authenticated.chunk_verifier(),
            body,
            pending: VecDeque::new(),
            is_hashed: false,
            hasher: Some(hasher),
            md5: gateway.md5.stream(),
            length,
            received: 0,
            pace: Pace::new(gateway.limits.rate_min),
            pacing: request.pacing.clone(),
            time_left: None,
            documents: gateway.limits.documents.clone(),
            announced,
            kept,
            proved: None,
            failed: false,
        })
    }

    /// Bytes of the object, as announced; `None` where only the end of the body tells.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.length {
            Length::Announced(length) => Some(length),
            Length::Allowed(_) => None,
        }
    }

    /// The object's bytes. Ends without an error only when everything that was announced of the body holds.
    pub(crate) fn stream(&mut self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
        stream::unfold(self, |body| async move { body.next().await.map(|item| (item, body)) })
    }

    /// What was learnt, once the stream has ended without an error.
    pub(crate) fn proved(self) -> Result<Proved, S3Error> {
        self.proved.ok_or_else(|| S3Error::new(ErrorCode::IncompleteBody))
    }

    /// The whole body in memory, for XML documents. `SlowDown` while all documents that come would take more memory than they may,
    /// `RequestTimeout` for one that is waited for longer than a minute.
    pub(crate) async fn collect(mut self) -> Result<Bytes, S3Error> {
        self.time_left = Some(DOCUMENT_TIME_MAX);
        Box::pin(self.collect_all()).await
    }

    /// The same of a document that there has to be: `MissingRequestBodyError` where there is none.
    pub(crate) async fn document(self) -> Result<Bytes, S3Error> {
        let document = self.collect().await?;
        if document.is_empty() { Err(S3Error::new(ErrorCode::MissingRequestBodyError)) } else { Ok(document) }
    }

    async fn collect_all(mut self) -> Result<Bytes, S3Error> {
        let documents = self.documents.clone();
        let (mut out, mut room) = (Vec::new(), documents.room_for(0)?);
        while let Some(bytes) = self.next().await {
            let bytes = bytes.map_err(from_body)?;
            room.merge(documents.room_for(bytes.len())?);
            out.extend_from_slice(&bytes);
        }
        Ok(out.into())
    }

    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.failed || self.proved.is_some() {
            return None;
        }
        let step = self.advance().await;
        self.failed = step.is_err();
        step.transpose()
    }

    /// The next bytes, hashed, or `None` when the body has ended and is proved.
    async fn advance(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if let Some(bytes) = self.pending.front() {
                // It stays until nothing more is to be awaited: should this future be dropped, nothing is lost.
                if !self.is_hashed {
                    self.received += bytes.len() as u64;
                    match self.length {
                        Length::Announced(expected) if self.received > expected => {
                            return Err(BodyError::TooLong { expected });
                        }
                        Length::Allowed(LengthRange { most, .. }) if self.received > most => {
                            let rest = self.rest().await;
                            let proposed = rest.map(|rest| self.received + rest);
                            return Err(BodyError::AboveRange { most, proposed });
                        }
                        Length::Announced(_) | Length::Allowed(_) => {}
                    }
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(bytes);
                    }
                    self.md5.push(bytes.clone());
                    self.is_hashed = true;
                }
                self.md5.settle().await;
                self.is_hashed = false;
                return Ok(self.pending.pop_front());
            }
            // That its turn has not come is not its sender's fault, so it is not counted as waiting for that.
            let turn = self.pacing.turn_to_read(self.body).await;
            let asked = self.env.now();
            let patience = self.time_left.map_or(IDLE_MAX, |left| left.min(IDLE_MAX));
            let frame = self.env.timeout(patience, self.body.frame()).await;
            let waited = self.env.now().since(asked);
            self.time_left = self.time_left.map(|left| left.saturating_sub(waited));
            match frame {
                Err(_) => return Err(BodyError::Idle),
                Ok(Some(Err(_))) => return Err(self.broken()),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        turn.received(data.len());
                        self.pace.note(waited, data.len())?;
                        self.unframe(data)?;
                    }
                }
                Ok(None) => {
                    self.prove().await?;
                    return Ok(None);
                }
            }
        }
    }

    /// How many bytes of a file follow that is too long already, if it ends soon.
    async fn rest(&mut self) -> Option<u64> {
        self.pending.pop_front();
        let env = self.env.clone();
        let counting = async {
            let mut bytes = 0;
            loop {
                bytes += self.pending.drain(..).map(|bytes| bytes.len() as u64).sum::<u64>();
                if bytes > REST_BYTES_MAX {
                    return None;
                }
                match next_refused(&self.pacing, self.body).await {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            self.unframe(data).ok()?;
                        }
                    }
                    Some(Err(_)) => return None,
                    None => return Some(bytes),
                }
            }
        };
        env.timeout(REST_MAX, counting).await.ok().flatten()
    }

    /// A connection that breaks in the middle of an announced length shows as an error of the body.
    fn broken(&self) -> BodyError {
        match self.length {
            Length::Announced(expected) if self.received < expected => {
                BodyError::Incomplete { expected, received: self.received }
            }
            Length::Announced(_) | Length::Allowed(_) => BodyError::Connection,
        }
    }

    /// Takes object bytes out of what came over the wire and checks chunk signatures on the way.
    fn unframe(&mut self, data: Bytes) -> Result<(), BodyError> {
        let decoder = match &mut self.frame {
            Frame::None => {
                if !data.is_empty() {
                    self.pending.push_back(data);
                }
                return Ok(());
            }
            Frame::Form { decoder, excess } => return unframe_file(decoder, excess, data, &mut self.pending),
            Frame::Chunked(decoder) => decoder,
        };
        let mut data = data;
        while let Some(event) = decoder.decode(&mut data).map_err(framing_error)? {
            match event {
                Event::ChunkBegin { signature, size: _ } => {
                    if let Some(verifier) = &mut self.chunk_verifier {
                        let signature = signature.ok_or_else(missing_signature)?;
                        verifier.begin(signature.as_str()).map_err(signature_error)?;
                    }
                }
                Event::Data(bytes) => {
                    if let Some(verifier) = &mut self.chunk_verifier {
                        verifier.update(&bytes).map_err(signature_error)?;
                    }
                    self.pending.push_back(bytes);
                }
                Event::ChunkEnd => {
                    if let Some(verifier) = &mut self.chunk_verifier {
                        verifier.end().map_err(signature_error)?;
                    }
                }
                Event::Trailer(trailer) => {
                    if let Some(verifier) = &mut self.chunk_verifier {
                        let signature = trailer.signature.ok_or_else(missing_signature)?;
                        verifier.trailer(&trailer.canonical, signature.as_str()).map_err(signature_error)?;
                    }
                    take_trailer(&mut self.announced, &trailer.headers)?;
                }
                Event::End => {}
            }
        }
        Ok(())
    }

    /// The body has ended: holds it against everything that was announced.
    async fn prove(&mut self) -> Result<(), BodyError> {
        match &self.frame {
            Frame::None => {}
            Frame::Chunked(decoder) => decoder.finish().map_err(framing_error)?,
            Frame::Form { decoder, excess: _ } => decoder.finish().map_err(form_error)?,
        }
        if let Some(verifier) = self.chunk_verifier.take() {
            verifier.finish().map_err(signature_error)?;
        }
        match self.length {
            Length::Announced(expected) if self.received != expected => {
                return Err(BodyError::Incomplete { expected, received: self.received });
            }
            Length::Allowed(LengthRange { least, .. }) if self.received < least => {
                return Err(BodyError::BelowRange { least, received: self.received });
            }
            Length::Announced(_) | Length::Allowed(_) => {}
        }
        if let Some(algorithm) = self.announced.trailer
            && self.announced.checksum.is_none()
        {
            let message = format!("The trailer {} was announced and did not come.", algorithm.header_name());
            return Err(BodyError::Trailer(Box::new(S3Error::with_message(
                ErrorCode::MalformedTrailerError,
                message,
            ))));
        }
        let md5 = self.md5.digest().await;
        let Some(hasher) = self.hasher.take() else { return Err(BodyError::Connection) };
        let digests = hasher.finish().with_md5(md5);
        self.announced.compare(&digests)?;
        let checksum = digests.checksum(self.kept);
        self.proved = Some(Proved { digests, checksum });
        Ok(())
    }
}

impl Announced {
    fn compare(&self, digests: &ObjectDigests) -> Result<(), BodyError> {
        if let (Some(stated), Some(computed)) = (self.sha256, digests.payload_sha256())
            && stated != computed
        {
            return Err(BodyError::PayloadHash {
                stated: hex::encode(stated),
                computed: hex::encode(computed),
            });
        }
        if let (Some(stated), Some(computed)) = (self.md5, digests.md5())
            && stated != computed
        {
            let (stated, computed) = (format_content_md5(&stated), format_content_md5(&computed));
            return Err(BodyError::ContentMd5 { stated, computed });
        }
        match self.checksum {
            Some(stated) if digests.checksum(stated.algorithm()) != Some(stated) => {
                Err(BodyError::Checksum { algorithm: stated.algorithm() })
            }
            _ => Ok(()),
        }
    }
}

/// Takes the announced checksum out of a trailer; a trailer that was not announced is refused.
fn take_trailer(announced: &mut Announced, headers: &[(String, String)]) -> Result<(), BodyError> {
    let malformed = |message: String| {
        BodyError::Trailer(Box::new(S3Error::with_message(ErrorCode::MalformedTrailerError, message)))
    };
    let invalid = |message: String| BodyError::Trailer(Box::new(S3Error::invalid_request(message)));
    for (name, value) in headers {
        let Some(algorithm) = announced.trailer.filter(|algorithm| algorithm.header_name() == name) else {
            return Err(malformed(format!("The trailer {name} was not announced in x-amz-trailer.")));
        };
        let text = checksum::parse_checksum(algorithm, value)
            .map_err(|_| invalid(format!("Value for {name} trailing header is invalid.")))?;
        announced.checksum = Some(text.value);
    }
    Ok(())
}

/// `Content-Length`; the HTTP library has refused requests with a malformed or second one.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// How long the content of a body is, as the head says.
fn announced_length(request: &Request) -> Result<Option<u64>, S3Error> {
    match request.authenticated.payload().is_streaming() {
        true => decoded_content_length(&request.headers),
        false => Ok(content_length(&request.headers)),
    }
}

/// Reads a body that means nothing to the request, which as a rule has none, and answers it. What is said of it has to hold all the
/// same.
pub(crate) async fn prove_unused(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
) -> Result<Bytes, S3Error> {
    ObjectBody::open_unused(gateway, request, body)?.collect().await
}

pub(crate) fn check_length(length: u64, most: u64) -> Result<(), S3Error> {
    if length <= most {
        return Ok(());
    }
    Err(S3Error::new(ErrorCode::EntityTooLarge)
        .field("ProposedSize", length.to_string())
        .field("MaxSizeAllowed", most.to_string()))
}

/// A document of so many bytes is not too long; `MaxMessageLengthExceeded` otherwise, as Amazon S3 was seen to answer.
pub(crate) fn check_document_length(length: u64, most: u64) -> Result<(), S3Error> {
    if length <= most {
        return Ok(());
    }
    Err(S3Error::new(ErrorCode::MaxMessageLengthExceeded).field("MaxMessageLengthBytes", most.to_string()))
}

/// The framing of a payload form, if it has one.
fn framing(payload: Payload) -> Option<Framing> {
    match payload {
        Payload::Sha256(_) | Payload::Unsigned => None,
        Payload::SignedChunks => Some(Framing { signed: true, trailer: false }),
        Payload::SignedChunksWithTrailer => Some(Framing { signed: true, trailer: true }),
        Payload::UnsignedChunksWithTrailer => Some(Framing { signed: false, trailer: true }),
    }
}

fn framing_error(error: FramingError) -> BodyError {
    BodyError::Framing(Box::new(error.into()))
}

fn missing_signature() -> BodyError {
    BodyError::Signature(Box::new(S3Error::invalid_request(
        "A chunk or the trailer of the body has no signature.",
    )))
}

fn signature_error(error: ChunkError) -> BodyError {
    BodyError::Signature(Box::new(match error {
        ChunkError::SignatureDoesNotMatch => S3Error::new(ErrorCode::SignatureDoesNotMatch),
        ChunkError::OutOfOrder => {
            S3Error::invalid_request("Chunks and trailer are not in the order of a signed body.")
        }
        ChunkError::Incomplete => S3Error::new(ErrorCode::IncompleteBody),
    }))
}
