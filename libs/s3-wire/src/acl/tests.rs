use http::{HeaderMap, HeaderName, HeaderValue};
use types::{Acl, Grant, Grantee, Group, Permission};

use super::{
    AclOf, AskedAcl, CannedAcl, NamedGrantee, NamedIn, ObjectOwnership, asked_acl, object_ownership,
};
use crate::error::ErrorCode;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

/// What a list grants beside the owner's full control, which comes first.
fn others(asked: AskedAcl, of: AclOf) -> Result<Vec<(Group, Permission)>, ErrorCode> {
    let acl = asked.resolve("me", of).map_err(|error| error.code)?;
    assert_eq!(acl.grants[..1], Acl::of_owner("me").grants);
    let group = |grant: &Grant| match &grant.grantee {
        Grantee::Group(group) => (*group, grant.permission),
        Grantee::Account(account) => panic!("{account} is granted something"),
    };
    Ok(acl.grants[1..].iter().map(group).collect())
}

#[test]
fn canned_lists_are_what_aws_says() {
    use Group::{AllUsers, AuthenticatedUsers, LogDelivery};
    use Permission::{Read, ReadAcp, Write};
    for (name, bucket, object) in [
        ("private", vec![], Some(vec![])),
        ("public-read", vec![(AllUsers, Read)], Some(vec![(AllUsers, Read)])),
        (
            "public-read-write",
            vec![(AllUsers, Read), (AllUsers, Write)],
            Some(vec![(AllUsers, Read), (AllUsers, Write)]),
        ),
        ("authenticated-read", vec![(AuthenticatedUsers, Read)], Some(vec![(AuthenticatedUsers, Read)])),
        ("bucket-owner-read", vec![], Some(vec![])),
        ("bucket-owner-full-control", vec![], Some(vec![])),
        ("log-delivery-write", vec![(LogDelivery, Write), (LogDelivery, ReadAcp)], None),
    ] {
        let asked = asked_acl(&headers(&[("x-amz-acl", name)])).expect(name).expect(name);
        assert_eq!(others(asked.clone(), AclOf::Bucket), Ok(bucket), "{name}");
        assert_eq!(others(asked, AclOf::Object), object.ok_or(ErrorCode::InvalidArgument), "{name}");
    }
    assert_eq!(CannedAcl::NAMES.len(), 7);
}

#[test]
fn grants_name_who_has_them_and_what() {
    let all = "http://acs.amazonaws.com/groups/global/AllUsers";
    let asked = asked_acl(&headers(&[
        ("x-amz-grant-read", &format!(" id=\"me\" , URI={all}")),
        ("x-amz-grant-write-acp", "emailaddress=\"a@example.com\""),
    ]));
    let grants = vec![
        (NamedGrantee::Id("me".to_owned()), Permission::Read),
        (NamedGrantee::Uri(all.to_owned()), Permission::Read),
        (NamedGrantee::Email("a@example.com".to_owned()), Permission::WriteAcp),
    ];
    let expected = AskedAcl::Grants(grants, NamedIn::Header);
    assert_eq!(asked, Ok(Some(expected.clone())));
    let refusal = expected.resolve("me", AclOf::Object).expect_err("nobody has an e-mail address");
    assert_eq!(refusal.code, ErrorCode::UnresolvableGrantByEmailAddress);

    for (name, permission) in super::GRANT_HEADERS {
        let asked = asked_acl(&headers(&[(name, &format!("uri=\"{all}\""))])).expect(name).expect(name);
        let grant = Grant { grantee: Grantee::Group(Group::AllUsers), permission };
        assert_eq!(
            asked.resolve("me", AclOf::Bucket),
            Ok(Acl { owner: None, grants: vec![grant] }),
            "{name}"
        );
    }
    for unknown in ["id=you", "uri=\"http://acs.amazonaws.com/groups/global/Everybody\""] {
        let asked = asked_acl(&headers(&[("x-amz-grant-read", unknown)])).expect(unknown).expect(unknown);
        let refusal = asked.resolve("me", AclOf::Object).expect_err(unknown);
        assert_eq!(refusal.code, ErrorCode::InvalidArgument, "{unknown}");
        let name = unknown.split('=').next().expect("a name");
        assert_eq!(refusal.fields[0], ("ArgumentName", name.to_owned()));
    }
    let many = vec!["id=me"; 101].join(",");
    let asked = asked_acl(&headers(&[("x-amz-grant-read", &many)])).expect("grants").expect("grants");
    let refusal = asked.resolve("me", AclOf::Object).expect_err("too many");
    assert_eq!(refusal.code, ErrorCode::MalformedACLError);
}

#[test]
fn what_is_no_list_is_refused() {
    assert_eq!(asked_acl(&headers(&[("x-amz-meta-acl", "public-read")])), Ok(None));
    for (bad, code) in [
        (vec![("x-amz-acl", "public")], ErrorCode::InvalidArgument),
        (vec![("x-amz-acl", "")], ErrorCode::InvalidArgument),
        (vec![("x-amz-acl", "Private")], ErrorCode::InvalidArgument),
        (vec![("x-amz-acl", "private"), ("x-amz-acl", "public-read")], ErrorCode::InvalidArgument),
        (vec![("x-amz-acl", "private"), ("x-amz-grant-read", "id=me")], ErrorCode::InvalidRequest),
        (vec![("x-amz-grant-read", "")], ErrorCode::InvalidArgument),
        (vec![("x-amz-grant-read", "me")], ErrorCode::InvalidArgument),
        (vec![("x-amz-grant-read", "id=")], ErrorCode::InvalidArgument),
        (vec![("x-amz-grant-read", "id=\"me")], ErrorCode::InvalidArgument),
        (vec![("x-amz-grant-read", "id=me,")], ErrorCode::InvalidArgument),
        (vec![("x-amz-grant-read", "user=me")], ErrorCode::InvalidArgument),
        (vec![("x-amz-grant-all", "id=me")], ErrorCode::InvalidArgument),
        (vec![("x-amz-grant-read", "id=\u{e9}\"")], ErrorCode::InvalidArgument),
    ] {
        let refusal = asked_acl(&headers(&bad)).expect_err("no list");
        assert_eq!(refusal.code, code, "{bad:?}");
    }
}

#[test]
fn ownership_is_one_of_three() {
    for ownership in ObjectOwnership::ALL {
        let asked = object_ownership(&headers(&[("x-amz-object-ownership", ownership.name())]));
        assert_eq!(asked, Ok(Some(ownership)));
    }
    assert_eq!(object_ownership(&HeaderMap::new()), Ok(None));
    let refusal = object_ownership(&headers(&[("x-amz-object-ownership", "objectwriter")]));
    assert_eq!(refusal.expect_err("none").code, ErrorCode::InvalidArgument);
}
