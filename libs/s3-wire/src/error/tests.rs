use std::collections::HashSet;

use super::{ErrorCode, S3Error};
use crate::xml::testing;

#[test]
fn every_code_has_its_own_text_an_error_status_and_a_message() {
    let mut seen = HashSet::new();
    for code in ErrorCode::ALL {
        assert!(seen.insert(code.as_str()), "{code:?}");
        assert!((301..=503).contains(&code.status().as_u16()), "{code:?}");
        assert!(!code.default_message().is_empty(), "{code:?}");
    }
}

#[test]
fn statuses_are_those_that_clients_branch_on() {
    for (code, status) in [
        (ErrorCode::NoSuchBucket, 404),
        (ErrorCode::NoSuchKey, 404),
        (ErrorCode::NoSuchVersion, 404),
        (ErrorCode::NoSuchUpload, 404),
        (ErrorCode::AccessDenied, 403),
        (ErrorCode::BucketAlreadyOwnedByYou, 409),
        (ErrorCode::BucketAlreadyExists, 409),
        (ErrorCode::BucketNotEmpty, 409),
        (ErrorCode::AuthorizationHeaderMalformed, 400),
        (ErrorCode::PermanentRedirect, 301),
        (ErrorCode::RequestTimeTooSkewed, 403),
        (ErrorCode::InvalidAccessKeyId, 403),
        (ErrorCode::SignatureDoesNotMatch, 403),
        (ErrorCode::InvalidToken, 400),
        (ErrorCode::ExpiredToken, 400),
        (ErrorCode::PreconditionFailed, 412),
        (ErrorCode::ConditionalRequestConflict, 409),
        (ErrorCode::BadDigest, 400),
        (ErrorCode::InvalidDigest, 400),
        (ErrorCode::XAmzContentSHA256Mismatch, 400),
        (ErrorCode::IncompleteBody, 400),
        (ErrorCode::MissingContentLength, 411),
        (ErrorCode::RequestTimeout, 400),
        (ErrorCode::EntityTooSmall, 400),
        (ErrorCode::EntityTooLarge, 400),
        (ErrorCode::InvalidPart, 400),
        (ErrorCode::InvalidPartOrder, 400),
        (ErrorCode::InvalidPartNumber, 416),
        (ErrorCode::InvalidRange, 416),
        (ErrorCode::MethodNotAllowed, 405),
        (ErrorCode::InvalidBucketState, 409),
        (ErrorCode::NoSuchBucketPolicy, 404),
        (ErrorCode::InvalidObjectState, 403),
        (ErrorCode::RestoreAlreadyInProgress, 409),
        (ErrorCode::SlowDown, 503),
        (ErrorCode::InternalError, 500),
        (ErrorCode::ServiceUnavailable, 503),
        (ErrorCode::NotImplemented, 501),
        (ErrorCode::MetadataTooLarge, 400),
        (ErrorCode::KeyTooLongError, 400),
    ] {
        assert_eq!(code.status().as_u16(), status, "{code:?}");
    }
}

#[test]
fn the_body_carries_code_message_fields_and_request() {
    let error = S3Error::invalid_argument("Invalid <x> & y", "prefix", "a\u{1}\u{ffff}b\r\n");
    let body = error.to_xml("/bucket/a&b", "REQ", "HOST");
    assert_eq!(
        testing::leaves(&body),
        [
            ("Error/Code", "InvalidArgument"),
            ("Error/Message", "Invalid <x> & y"),
            ("Error/ArgumentName", "prefix"),
            ("Error/ArgumentValue", "a\u{fffd}\u{fffd}b\r\n"),
            ("Error/Resource", "/bucket/a&b"),
            ("Error/RequestId", "REQ"),
            ("Error/HostId", "HOST"),
        ]
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
    );
}

#[test]
fn refusals_name_what_is_refused() {
    let error = S3Error::header_not_implemented("x-amz-tagging");
    assert_eq!(error.status().as_u16(), 501);
    assert_eq!(error.fields, [("Header", "x-amz-tagging".to_owned())]);
    let error = S3Error::operation_not_implemented(crate::Operation::GetBucketAcl);
    assert_eq!(error.status().as_u16(), 501);
    assert!(error.to_string().contains("GetBucketAcl"));
}

#[test]
fn a_page_shows_what_was_asked_for_as_text() {
    let error = S3Error::no_such_key("</li><script>alert('a\"b')</script>&amp;\u{0}\n\u{e9}");
    let page = error.to_html("REQ", "HOST", Some(&S3Error::no_such_key("<error>")));
    assert_eq!(
        std::str::from_utf8(&page).expect("text"),
        "<html>\n<head><title>404 Not Found</title></head>\n<body>\n<h1>404 Not Found</h1>\n<ul>\n\
         <li>Code: NoSuchKey</li>\n<li>Message: The specified key does not exist.</li>\n\
         <li>Key: &lt;/li&gt;&lt;script&gt;alert(&#39;a&quot;b&#39;)&lt;/script&gt;&amp;amp;\u{fffd}\u{fffd}\u{e9}</li>\n\
         <li>RequestId: REQ</li>\n<li>HostId: HOST</li>\n</ul>\n\
         <h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n\
         <li>Code: NoSuchKey</li>\n<li>Message: The specified key does not exist.</li>\n<li>Key: &lt;error&gt;</li>\n</ul>\n\
         <hr/>\n</body>\n</html>\n"
    );
    let page = S3Error::new(ErrorCode::AccessDenied).to_html("REQ", "HOST", None);
    assert!(!std::str::from_utf8(&page).expect("text").contains("<h3>"));
}
