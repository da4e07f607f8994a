//! The body of a form upload: its fields first, and then the file, which `payload.rs` takes as an object's bytes.

use std::collections::VecDeque;

use axum::body::Body;
use bytes::Bytes;
use env::Env;
use http::HeaderMap;
use http_body_util::BodyExt;
use s3_wire::{
    ErrorCode, S3Error,
    form::{self, Fields},
};

use crate::{
    error::from_body,
    payload::{BodyError, IDLE_MAX, check_length, content_length},
};

/// Bytes behind a form's file that are read and ignored: fields that somebody put there, and the form's end. A form with
/// more is refused.
const EXCESS_MAX: usize = 64 << 10;

/// A form whose fields have been read, with its file to come.
pub(crate) struct Form {
    /// The fields.
    pub(crate) fields: Fields,
    /// The file's name on the client.
    pub(crate) file_name: String,
    /// What reads the rest.
    pub(crate) decoder: form::Decoder,
    /// What came of the rest already.
    pub(crate) read: Bytes,
}

impl Form {
    /// Reads a form up to its file, of which it has yet to be seen whether it has at most `length_max` bytes.
    pub(crate) async fn read(
        env: &Env,
        headers: &HeaderMap,
        body: &mut Body,
        length_max: u64,
    ) -> Result<Self, S3Error> {
        let length = content_length(headers).ok_or_else(|| S3Error::new(ErrorCode::MissingContentLength))?;
        check_length(length, length_max.saturating_add((form::FIELDS_BYTES_MAX + EXCESS_MAX) as u64))?;
        let decoder = form::Decoder::new(headers)?;
        // Nobody knows yet who sends it, so all of its fields have to come in the time that others have for each piece.
        match env.timeout(IDLE_MAX, Self::read_fields(decoder, body)).await {
            Ok(read) => read,
            Err(_) => Err(from_body(BodyError::Idle)),
        }
    }

    async fn read_fields(mut decoder: form::Decoder, body: &mut Body) -> Result<Self, S3Error> {
        let mut fields = Fields::default();
        loop {
            let mut read = match body.frame().await {
                None => return Err(form::FormError::Incomplete.into()),
                Some(Err(_)) => return Err(from_body(BodyError::Connection)),
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            while let Some(event) = decoder.decode(&mut read)? {
                match event {
                    form::Event::Field { name, value } => fields.add(name, value)?,
                    form::Event::File { name: file_name } => {
                        return Ok(Self { fields, file_name, decoder, read });
                    }
                    form::Event::Data(_) | form::Event::End => {}
                }
            }
        }
    }
}

/// Takes the file's bytes out of what came of a form.
pub(crate) fn unframe_file(
    decoder: &mut form::Decoder,
    excess: &mut usize,
    mut data: Bytes,
    pending: &mut VecDeque<Bytes>,
) -> Result<(), BodyError> {
    if decoder.has_ended() {
        *excess += data.len();
    }
    if *excess > EXCESS_MAX {
        return Err(BodyError::Framing(Box::new(S3Error::new(ErrorCode::MalformedPOSTRequest))));
    }
    while let Some(event) = decoder.decode(&mut data).map_err(form_error)? {
        if let form::Event::Data(bytes) = event {
            pending.push_back(bytes);
        }
    }
    Ok(())
}

pub(crate) fn form_error(error: form::FormError) -> BodyError {
    BodyError::Framing(Box::new(error.into()))
}
