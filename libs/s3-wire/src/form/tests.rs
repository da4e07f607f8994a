use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use types::Timestamp;

use super::{Decoder, Event, FIELDS_BYTES_MAX, Fields, FormError, LengthRange, Policy, SuccessAction};
use crate::error::{ErrorCode, S3Error};

const BOUNDARY: &str = "----WebKitFormBoundaryAbC";

fn decoder() -> Decoder {
    let mut headers = HeaderMap::new();
    let value = format!("multipart/form-data; boundary={BOUNDARY}");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&value).expect("a header value"));
    Decoder::new(&headers).expect("a boundary")
}

/// What was read of a form: fields, the file's name, and its bytes if it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    fields: Vec<(String, String)>,
    file_name: Option<String>,
    data: Vec<u8>,
    ended: bool,
}

/// Reads a form that arrives in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Read, FormError> {
    let (mut decoder, mut out) = (decoder(), Read::default());
    for piece in pieces {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(event) = decoder.decode(&mut input)? {
            match event {
                Event::Field { name, value } => out.fields.push((name, value)),
                Event::File { name } => out.file_name = Some(name),
                Event::Data(data) => {
                    assert!(!data.is_empty() && !out.ended);
                    out.data.extend_from_slice(&data);
                }
                Event::End => {
                    assert!(!out.ended);
                    out.ended = true;
                }
            }
        }
        assert!(input.is_empty());
    }
    decoder.finish()?;
    Ok(out)
}

fn form(fields: &[(&str, &str)], file: &[u8], behind: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        out.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: image/png\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(file);
    out.extend_from_slice(format!("\r\n--{BOUNDARY}").as_bytes());
    out.extend_from_slice(behind);
    out
}

#[test]
fn fields_come_before_the_file_and_what_follows_is_ignored() {
    let more = format!("\r\nContent-Disposition: form-data; name=\"late\"\r\n\r\nx\r\n--{BOUNDARY}--\r\n");
    for behind in ["--\r\n", "--", "--\r\nepilogue", more.as_str()] {
        let body = form(
            &[("Key", "a/${filename}"), ("empty", ""), ("lines", "1\r\n\r\n2")],
            b"bytes",
            behind.as_bytes(),
        );
        let found = read([&body[..]]).expect("a form");
        let pairs = [("key", "a/${filename}"), ("empty", ""), ("lines", "1\r\n\r\n2")];
        let fields = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(found.fields, fields);
        assert_eq!(found.file_name.as_deref(), Some("a.bin"));
        assert_eq!((found.data.as_slice(), found.ended), (&b"bytes"[..], true));
    }
}

#[test]
fn the_files_bytes_are_slices_of_what_arrived() {
    let (mut decoder, head) = (decoder(), form(&[], b"", b""));
    let head_end = head.len() - BOUNDARY.len() - 4;
    let mut first = Bytes::copy_from_slice(&head[..head_end]);
    while decoder.decode(&mut first).expect("a form").is_some() {}
    let piece = Bytes::from(vec![7; 100_000]);
    let mut input = piece.clone();
    let Some(Event::Data(data)) = decoder.decode(&mut input).expect("a form") else { panic!("no data") };
    assert_eq!((data.as_ptr(), data.len()), (piece.as_ptr(), piece.len()));
}

#[test]
fn other_bodies_are_no_forms() {
    let part = |head: &str| format!("--{BOUNDARY}\r\n{head}\r\n\r\nvalue\r\n--{BOUNDARY}--\r\n");
    for (body, error) in [
        (String::new(), FormError::Incomplete),
        ("no boundary at all".to_owned(), FormError::Incomplete),
        (format!("--{BOUNDARY}--\r\n"), FormError::NoFile),
        (part("Content-Disposition: form-data; name=\"key\""), FormError::NoFile),
        (part("Content-Disposition: form-data"), FormError::Part),
        (part("X: y"), FormError::Part),
        (
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nbytes"),
            FormError::Incomplete,
        ),
        (
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nval"),
            FormError::Incomplete,
        ),
    ] {
        assert_eq!(read([body.as_bytes()]), Err(error), "{body}");
    }
    let bad = form(&[("key", "\u{fffd}")], b"", b"--");
    let bad: Vec<u8> = bad.into_iter().map(|byte| if byte == 0xef { 0xff } else { byte }).collect();
    assert_eq!(read([&bad[..]]), Err(FormError::Part));
}

#[test]
fn what_comes_before_the_file_is_bounded() {
    let room = FIELDS_BYTES_MAX - form(&[("a", "")], b"", b"").len();
    let fits = form(&[("a", &"x".repeat(room))], b"bytes", b"--");
    assert_eq!(read([&fits[..]]).expect("a form").data, b"bytes");
    let long = form(&[("a", &"x".repeat(FIELDS_BYTES_MAX))], b"bytes", b"--");
    assert_eq!(read([&long[..]]), Err(FormError::FieldsTooLong));
    assert_eq!(read(long.chunks(1000)), Err(FormError::FieldsTooLong));
    assert_eq!(read([&vec![b'x'; 1 << 20][..]]), Err(FormError::FieldsTooLong));
}

#[test]
fn boundaries_have_a_form() {
    for bad in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        &format!("multipart/form-data; boundary={}", "x".repeat(71)),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(bad).expect("a header value"));
        assert_eq!(Decoder::new(&headers).expect_err("no boundary").code, ErrorCode::MalformedPOSTRequest);
    }
}

/// Bytes that are rich in beginnings of the delimiter.
fn file_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"--".to_vec()),
        Just(b"\r\n--".to_vec()),
        (0..BOUNDARY.len()).prop_map(|length| format!("\r\n--{}", &BOUNDARY[..length]).into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

fn has_delimiter(file: &[u8]) -> bool {
    memchr::memmem::find(file, format!("\r\n--{BOUNDARY}").as_bytes()).is_some()
}

proptest! {
    #[test]
    fn a_form_is_the_same_however_it_is_cut(
        // A client chooses a boundary that is not in its file.
        file in file_bytes().prop_filter("the delimiter ends a file", |file| !has_delimiter(file)),
        value in "[a-z\r\n-]{0,30}",
        cuts in proptest::collection::vec(1_usize..40, 1..30),
    ) {
        let body = form(&[("key", &value)], &file, b"--\r\n");
        let whole = read([&body[..]]).expect("a form");
        prop_assert_eq!(&whole.data, &file);
        prop_assert_eq!(&whole.fields[0].1, &value);
        let (mut pieces, mut rest) = (Vec::new(), &body[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(read(pieces).expect("a form"), whole);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(pieces in proptest::collection::vec(file_bytes(), 0..5)) {
        let _ = read(pieces.iter().map(Vec::as_slice));
    }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in pairs {
        fields.add((*name).to_owned(), (*value).to_owned()).expect("a new field");
    }
    fields
}

#[test]
fn fields_become_what_headers_of_a_put_would_be() {
    let mut form = fields(&[
        ("key", "user/${filename}"),
        ("acl", "private"),
        ("content-type", "image/png"),
        ("x-amz-meta-name", "${filename}"),
        ("x-amz-date", "20151229T000000Z"),
        ("x-amz-signature", "00"),
        ("policy", "e30="),
        ("submit", "Upload"),
    ]);
    form.expand_file_name("a.png").expect("room");
    assert_eq!(form.get("key"), Some("user/a.png"));
    let headers = form.headers().expect("valid headers");
    let mut pairs: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    pairs.sort_unstable();
    let expected: [(&str, &[u8]); 3] =
        [("content-type", b"image/png"), ("x-amz-acl", b"private"), ("x-amz-meta-name", b"a.png")];
    assert_eq!(pairs, expected);
    assert_eq!(form.add("key".into(), String::new()).expect_err("twice").code, ErrorCode::InvalidArgument);
    for bad in [("x-amz-meta-a b", "1"), ("content-type", "a\nb")] {
        assert_eq!(fields(&[bad]).headers().expect_err("no header").code, ErrorCode::InvalidArgument);
    }
    fields(&[("acl", "private"), ("x-amz-acl", "private")]).headers().expect_err("one header twice");
    fields(&[("tagging", ""), ("x-amz-tagging", "")]).headers().expect_err("tags twice");
    fields(&[("x-amz-copy-source", "b/k")]).headers().expect_err("a copy");
    let mut long = fields(&[("x-ignore-a", &"${filename}".repeat(100))]);
    let error = long.expand_file_name(&"x".repeat(FIELDS_BYTES_MAX / 100 + 1)).expect_err("too long");
    assert_eq!(error.code, ErrorCode::MaxPostPreDataLengthExceeded);
}

#[test]
fn the_answer_is_what_the_form_asks_for() {
    let status = |form: &[(&str, &str)]| match fields(form).success_action() {
        SuccessAction::Status(status) => status,
        SuccessAction::Redirect(url) => panic!("{url}"),
    };
    assert_eq!(status(&[]), StatusCode::NO_CONTENT);
    assert_eq!(status(&[("success_action_status", "200")]), StatusCode::OK);
    assert_eq!(status(&[("success_action_status", "201")]), StatusCode::CREATED);
    assert_eq!(status(&[("success_action_status", "404")]), StatusCode::NO_CONTENT);
    assert_eq!(status(&[("success_action_redirect", "javascript:alert(1)")]), StatusCode::NO_CONTENT);
    let redirect = fields(&[("success_action_status", "201"), ("redirect", "https://example.org/a?b=c")]);
    assert_eq!(redirect.success_action(), SuccessAction::Redirect("https://example.org/a?b=c".to_owned()));
}

fn policy(text: &str) -> Result<Policy, S3Error> {
    Policy::parse(&STANDARD.encode(text))
}

fn conditions(text: &str) -> Policy {
    policy(&format!(r#"{{"expiration": "2026-01-01T00:00:00Z", "conditions": [{{"bucket": "b"}}, {text}]}}"#))
        .expect("a policy")
}

const NOW: Timestamp = Timestamp(1_700_000_000_000);

#[test]
fn every_condition_has_to_hold() {
    for (condition, good, bad) in [
        (r#"{"key": "k"}"#, "k", "kk"),
        (r#"["eq", "$key", "k"]"#, "k", ""),
        (r#"["EQ", "$KeY", "$x"]"#, "$x", "x"),
        (r#"["eq", "\$key", "\$x\\$\""]"#, "$x\\$\"", "x"),
        (r#"["starts-with", "$key", "user/"]"#, "user/1", "use/1"),
        (r#"["Starts-With", "$Key", ""]"#, "anything", "\u{0}"),
    ] {
        let policy = conditions(condition);
        assert_eq!(policy.check(&fields(&[("key", good)]), "b", NOW), Ok(LengthRange::ANY), "{condition}");
        if bad != "\u{0}" {
            let error = policy.check(&fields(&[("key", bad)]), "b", NOW).expect_err(condition);
            assert_eq!(error.code, ErrorCode::AccessDenied);
            assert!(error.message.contains("Policy Condition failed"), "{error}");
        }
        policy.check(&fields(&[("key", good)]), "other", NOW).expect_err("another bucket");
        policy.check(&fields(&[("key", good), ("bucket", "other")]), "b", NOW).expect_err("another bucket");
    }
    let types = conditions(r#"["starts-with", "$Content-Type", "image/"]"#);
    types.check(&fields(&[("content-type", "image/png, image/gif")]), "b", NOW).expect("images");
    types.check(&fields(&[("content-type", "image/png,text/html")]), "b", NOW).expect_err("not only images");
}

#[test]
fn every_field_has_to_be_spoken_of() {
    let policy = conditions(r#"["starts-with", "$key", ""]"#);
    let free = [
        ("key", "k"),
        ("policy", "x"),
        ("x-amz-signature", "x"),
        ("x-ignore-me", "x"),
        ("awsaccesskeyid", "x"),
    ];
    policy.check(&fields(&free), "b", NOW).expect("free fields");
    for extra in
        ["x-amz-meta-a", "acl", "content-type", "success_action_redirect", "x-amz-credential", "submit"]
    {
        let error = policy.check(&fields(&[("key", "k"), (extra, "x")]), "b", NOW).expect_err(extra);
        assert_eq!(error.message, format!("Invalid according to Policy: Extra input fields: {extra}"));
    }
    // The bucket is a field too, whether the form has it or not.
    let text = r#"{"expiration": "2026-01-01T00:00:00Z", "conditions": [["starts-with", "$key", ""]]}"#;
    self::policy(text).expect("a policy").check(&fields(&[("key", "k")]), "b", NOW).expect_err("no bucket");
}

#[test]
fn policies_expire() {
    let policy = conditions(r#"["starts-with", "$key", ""]"#);
    let (form, end) = (fields(&[("key", "k")]), 1_767_225_600_000);
    policy.check(&form, "b", Timestamp(end - 1)).expect("not yet expired");
    let error = policy.check(&form, "b", Timestamp(end)).expect_err("expired");
    assert_eq!(error.message, "Invalid according to Policy: Policy expired.");
}

#[test]
fn the_length_is_bounded_by_every_range() {
    let policy =
        conditions(r#"["content-length-range", 1, 100], ["Content-Length-Range", "10", 1000], {"key": "k"}"#);
    let range = policy.check(&fields(&[("key", "k")]), "b", NOW);
    assert_eq!(range, Ok(LengthRange { least: 10, most: 100 }));
}

#[test]
fn other_texts_are_no_policies() {
    assert_eq!(Policy::parse("%").expect_err("no base64").code, ErrorCode::InvalidPolicyDocument);
    let whole =
        |condition: &str| format!(r#"{{"expiration": "2026-01-01T00:00:00Z", "conditions": [{condition}]}}"#);
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"expiration": "2026-01-01T00:00:00Z"}"#,
        r#"{"conditions": []}"#,
        r#"{"expiration": "2026-01-01 00:00:00", "conditions": []}"#,
        r#"{"expiration": 1, "conditions": []}"#,
        r#"{"expiration": "2026-01-01T00:00:00Z", "conditions": {}}"#,
        r#"{"EXPIRATION": "2026-01-01T00:00:00Z", "conditions": []}"#,
        r#"{"expiration": "2026-01-01T00:00:00Z", "CONDITIONS": []}"#,
    ] {
        assert_eq!(policy(bad).expect_err(bad).code, ErrorCode::InvalidPolicyDocument, "{bad}");
    }
    for bad in [
        "{}",
        r#"{"a": "b", "c": "d"}"#,
        r#"{"a": 1}"#,
        "1",
        "[]",
        r#"["eq", "$key"]"#,
        r#"["ends-with", "$key", "k"]"#,
        r#"["content-length-range", 0]"#,
        r#"["content-length-range", -1, 0]"#,
        r#"["content-length-range", 1.5, 2]"#,
    ] {
        assert_eq!(policy(&whole(bad)).expect_err(bad).code, ErrorCode::InvalidPolicyDocument, "{bad}");
    }
    policy(&whole("")).expect("a policy without conditions");
}
