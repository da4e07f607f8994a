//! Bodies that come in pieces. However they are cut, the same is read of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use s3_wire::{
    aws_chunked::{self, Framing},
    form,
};

/// The first byte says how long pieces are, the rest is the body.
fn cut(data: &[u8]) -> Option<(usize, &[u8])> {
    let (&length, body) = data.split_first()?;
    Some((usize::from(length).max(1), body))
}

pub(crate) fn form(data: &[u8]) {
    let Some((length, body)) = cut(data) else { return };
    let headers = HeaderMap::from_iter([(
        header::CONTENT_TYPE,
        HeaderValue::from_static("multipart/form-data; boundary=b"),
    )]);
    let read = |length: usize| {
        let mut decoder = form::Decoder::new(&headers).expect("a boundary");
        let (mut heads, mut file) = (Vec::new(), Vec::new());
        for piece in body.chunks(length) {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                match decoder.decode(&mut piece) {
                    Ok(Some(form::Event::Data(data))) => {
                        assert!(!data.is_empty());
                        file.extend_from_slice(&data);
                    }
                    Ok(Some(event)) => heads.push(event),
                    Ok(None) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        decoder.finish().map(|()| (heads, file))
    };
    let (whole, pieces) = (read(body.len().max(1)), read(length));
    assert_eq!(whole, pieces, "in pieces of {length}");
    if let Ok((heads, _)) = whole {
        let mut fields = form::Fields::default();
        for event in heads {
            match event {
                form::Event::Field { name, value } => drop(fields.add(name, value)),
                form::Event::File { name } => drop(fields.expand_file_name(&name)),
                form::Event::Data(_) | form::Event::End => {}
            }
        }
        let _ = (fields.headers(), fields.success_action());
    }
}

fn chunked(framing: Framing, data: &[u8]) {
    let Some((length, body)) = cut(data) else { return };
    let read = |length: usize| {
        let mut decoder = aws_chunked::Decoder::new(framing);
        let (mut events, mut content) = (Vec::new(), Vec::new());
        for piece in body.chunks(length) {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                match decoder.decode(&mut piece) {
                    Ok(Some(aws_chunked::Event::Data(data))) => {
                        assert!(!data.is_empty());
                        content.extend_from_slice(&data);
                    }
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => break,
                    Err(error) => return (events, content, Err(error)),
                }
            }
        }
        let end = decoder.finish();
        (events, content, end)
    };
    assert_eq!(read(body.len().max(1)), read(length), "in pieces of {length}");
}

pub(crate) fn chunked_signed(data: &[u8]) {
    chunked(Framing { signed: true, trailer: false }, data);
    chunked(Framing { signed: true, trailer: true }, data);
}

pub(crate) fn chunked_trailer(data: &[u8]) {
    chunked(Framing { signed: false, trailer: true }, data);
}
