use super::{one, policy};

fn is_public(rest: &str) -> bool {
    one("Allow", "s3:GetObject", rest).is_public()
}

#[test]
fn a_grant_to_everybody_is_public() {
    assert!(is_public(""));
    for condition in [
        r#"{"StringEquals": {"aws:Referer": "http://example.com/"}}"#,
        r#"{"StringLike": {"aws:userid": "AIDA*"}}"#,
        r#"{"StringEquals": {"aws:userid": "${aws:username}"}}"#,
        r#"{"StringNotEquals": {"aws:userid": "AIDAX"}}"#,
        r#"{"StringEqualsIfExists": {"aws:userid": "AIDAX"}}"#,
        r#"{"ForAllValues:StringEquals": {"aws:userid": "AIDAX"}}"#,
        r#"{"StringLike": {"aws:userid": ["AIDAX", "*"]}}"#,
        r#"{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}"#,
        r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/7"}}"#,
        r#"{"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/31"]}}"#,
        r#"{"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#,
        r#"{"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}"#,
        r#"{"Bool": {"aws:SecureTransport": "true"}}"#,
        r#"{"Null": {"aws:userid": "false"}}"#,
    ] {
        assert!(is_public(&format!(r#", "Condition": {condition}"#)), "{condition}");
    }
}

#[test]
fn a_grant_to_somebody_is_not_public() {
    for condition in [
        r#"{"StringEquals": {"aws:userid": "AIDAX"}}"#,
        r#"{"StringLike": {"aws:userid": "AIDAX"}}"#,
        r#"{"ForAnyValue:StringEquals": {"aws:userid": "AIDAX"}}"#,
        r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}"#,
        r#"{"IpAddress": {"aws:SourceIp": ["192.0.2.1", "2001:db8::/32"]}}"#,
        r#"{"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}}"#,
    ] {
        assert!(!is_public(&format!(r#", "Condition": {condition}"#)), "{condition}");
    }
    assert!(!one("Deny", "s3:*", "").is_public());
    let with = |principal: &str| {
        policy(&format!(
            r#"{{"Statement": {{"Effect": "Allow", {principal}, "Action": "s3:GetObject", "Resource": "*"}}}}"#
        ))
    };
    for (principal, expected) in [
        (r#""Principal": {"AWS": "111122223333"}"#, false),
        (r#""Principal": {"AWS": ["111122223333", "*"]}"#, true),
        (r#""NotPrincipal": {"AWS": "111122223333"}"#, true),
        (r#""Principal": {"Service": "logging.s3.amazonaws.com"}"#, false),
        (r#""Principal": {"AWS": "*", "Service": "logging.s3.amazonaws.com"}"#, true),
    ] {
        assert_eq!(with(principal).is_public(), expected, "{principal}");
    }
}
