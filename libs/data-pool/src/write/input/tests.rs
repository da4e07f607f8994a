use std::pin::pin;

use bytes::Bytes;
use futures_util::stream;

use super::Input;
use crate::WriteError;

fn body(pieces: &[&'static [u8]]) -> impl futures_util::Stream<Item = Result<Bytes, ()>> + use<> {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
    stream::iter(pieces)
}

#[tokio::test]
async fn pieces_are_cut_and_joined_to_the_lengths_asked_for() {
    let mut body = pin!(body(&[b"", b"abc", b"", b"defgh", b"i", b""]));
    let mut input = Input::new(body.as_mut(), 9);
    for expected in ["a", "", "bcde", "fg", "hi"] {
        assert_eq!(input.take(expected.len()).await.unwrap(), expected);
    }
    assert_eq!(input.left(), 0);
    assert_eq!(input.end().await, Ok(()));
}

#[tokio::test]
async fn a_piece_that_holds_all_that_is_asked_for_is_not_copied() {
    let piece = Bytes::from(vec![7; 100]);
    let mut body = pin!(stream::iter([Ok::<_, ()>(piece.clone())]));
    let mut input = Input::new(body.as_mut(), 100);
    assert_eq!(input.take(10).await.unwrap().as_ptr(), piece.as_ptr());
    assert_eq!(input.take(90).await.unwrap().as_ptr(), piece[10..].as_ptr());
}

#[tokio::test]
async fn a_wrong_length_is_found() {
    let mut short = pin!(body(&[b"abc"]));
    let mut input = Input::new(short.as_mut(), 4);
    let too_short = WriteError::BodyTooShort { declared: 4, received: 3 };
    assert_eq!(input.take(4).await, Err(too_short));
    let mut long = pin!(body(&[b"abc", b"", b"d"]));
    let mut input = Input::new(long.as_mut(), 3);
    input.take(3).await.unwrap();
    assert_eq!(input.end().await, Err(WriteError::BodyTooLong { declared: 3, received: 4 }));
}

#[tokio::test]
async fn a_body_without_a_length_declares_what_was_read_ahead() {
    let mut body = pin!(body(&[b"abc", b"", b"de", b"f", b"ghi"]));
    let mut input = Input::undeclared(body.as_mut(), 4);
    assert_eq!(input.left(), 0);
    input.read_ahead().await.unwrap();
    assert_eq!(input.left(), 5);
    assert_eq!(input.take(4).await.unwrap(), "abcd");
    input.read_ahead().await.unwrap();
    assert_eq!(input.left(), 5);
    assert_eq!(input.take(4).await.unwrap(), "efgh");
    input.read_ahead().await.unwrap();
    assert_eq!((input.left(), input.take(1).await.unwrap().as_ref()), (1, &b"i"[..]));
    input.read_ahead().await.unwrap();
    assert_eq!((input.left(), input.end().await), (0, Ok(())));
}

#[tokio::test]
async fn a_body_that_fails_fails_where_it_is_read_ahead() {
    let mut body = pin!(stream::iter([Ok(Bytes::from_static(b"ab")), Err(7)]));
    let mut input = Input::undeclared(body.as_mut(), 2);
    assert_eq!(input.read_ahead().await, Err(WriteError::Body(7)));
}
