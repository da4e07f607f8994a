//! Roles, by the calls of IAM. Who assumes them, and what they may do then, is in `roles.rs`.

use harness::{Client, Server};
use http::Method;

use crate::{bucket_policy, iam_users::iam};

/// A policy that lets these principals assume a role.
pub(crate) fn trust(principals: &[&str]) -> String {
    format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Principal": {{"AWS": {principals:?}}}, "Action": "sts:AssumeRole"}}}}"#
    )
}

const ACCOUNT: &str = "750814517293";

#[track_caller]
fn refused(client: &Client, action: &str, parameters: &[(&str, &str)], status: u16, code: &str) {
    client.call("iam", action, parameters).refused_call(status, code);
}

#[test]
fn roles_are_made_found_listed_changed_and_deleted() {
    let server = Server::start();
    let root = server.client();
    let trusted = trust(&[ACCOUNT]);
    for (name, path, description, seconds) in [
        ("Writer", "/", "writes", "7200"),
        ("reader", "/team/", "", "3600"),
        ("other", "/team/a/", "", "43200"),
    ] {
        let mut parameters = vec![("RoleName", name), ("Path", path), ("AssumeRolePolicyDocument", &trusted)];
        parameters.extend((!description.is_empty()).then_some(("Description", description)));
        parameters.extend((seconds != "3600").then_some(("MaxSessionDuration", seconds)));
        let made = iam(root, "CreateRole", &parameters);
        let found = iam(root, "GetRole", &[("RoleName", name)]);
        for (answer, at) in [(&made, "CreateRoleResult"), (&found, "GetRoleResult")] {
            let of = |field: &str| answer.find(&format!("{at}/Role/{field}"));
            assert_eq!((of("RoleName"), of("Path")), (Some(name), Some(path)));
            assert_eq!(of("MaxSessionDuration"), Some(seconds));
            assert_eq!(of("Description").unwrap_or_default(), description);
            let id = of("RoleId").expect("an id");
            assert!(id.starts_with("AROA") && id.len() == 20, "{id}");
            let arn = format!("arn:aws:iam::{ACCOUNT}:role{path}{name}");
            assert_eq!(of("Arn"), Some(arn.as_str()));
            let document = of("AssumeRolePolicyDocument").expect("a document");
            assert!(document.starts_with("%7B%22Version%22%3A%20%222012-10-17%22"), "{document}");
        }
        assert_eq!(made.find("CreateRoleResult/Role/RoleId"), found.find("GetRoleResult/Role/RoleId"));
    }
    let names = |parameters: &[(&str, &str)]| {
        let page = iam(root, "ListRoles", parameters);
        page.all("ListRolesResult/Roles/member/RoleName").join(" ")
    };
    assert_eq!(names(&[]), "other reader Writer");
    assert_eq!(names(&[("PathPrefix", "/team/")]), "other reader");
    assert_eq!(names(&[("MaxItems", "1")]), "other");

    let updated = iam(root, "UpdateRole", &[("RoleName", "Writer"), ("Description", "more")]);
    assert!(updated.find("UpdateRoleResult").is_some(), "clients look for it");
    let found = iam(root, "GetRole", &[("RoleName", "Writer")]);
    assert_eq!(found.find("GetRoleResult/Role/Description"), Some("more"));
    assert_eq!(found.find("GetRoleResult/Role/MaxSessionDuration"), Some("3600"), "the default again");
    iam(root, "UpdateRole", &[("RoleName", "Writer"), ("MaxSessionDuration", "43200")]);
    let found = iam(root, "GetRole", &[("RoleName", "Writer")]);
    assert_eq!(found.find("GetRoleResult/Role/Description"), Some("more"));
    assert_eq!(found.find("GetRoleResult/Role/MaxSessionDuration"), Some("43200"));
    let everybody = trust(&["*"]);
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "Writer"), ("PolicyDocument", &everybody)]);
    let found = iam(root, "GetRole", &[("RoleName", "Writer")]);
    let document = found.find("GetRoleResult/Role/AssumeRolePolicyDocument").expect("a document");
    assert!(document.contains("%2A") && !document.contains(ACCOUNT), "{document}");
    let none = iam(root, "ListInstanceProfilesForRole", &[("RoleName", "Writer")]);
    assert_eq!(none.find("ListInstanceProfilesForRoleResult/IsTruncated"), Some("false"));

    let again = [("RoleName", "WRITER"), ("AssumeRolePolicyDocument", &trusted)];
    refused(root, "CreateRole", &again, 409, "EntityAlreadyExists");
    for action in ["GetRole", "DeleteRole", "UpdateRole", "ListInstanceProfilesForRole", "ListRolePolicies"] {
        refused(root, action, &[("RoleName", "nobody")], 404, "NoSuchEntity");
        refused(root, action, &[("RoleName", "READER")], 404, "NoSuchEntity");
    }
    iam(root, "DeleteRole", &[("RoleName", "other")]);
    assert_eq!(names(&[]), "reader Writer");
}

#[test]
fn a_role_has_policies_that_must_go_before_it() {
    let server = Server::start();
    let root = server.client();
    iam(root, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &trust(&["*"]))]);
    let allow = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    let own = [("RoleName", "r"), ("PolicyName", "p"), ("PolicyDocument", allow)];
    iam(root, "PutRolePolicy", &own);
    let got = iam(root, "GetRolePolicy", &own[..2]);
    assert_eq!(got.find("GetRolePolicyResult/RoleName"), Some("r"));
    assert!(got.find("GetRolePolicyResult/PolicyDocument").expect("a document").starts_with("%7B"));
    let names = iam(root, "ListRolePolicies", &[("RoleName", "r")]);
    assert_eq!(names.all("ListRolePoliciesResult/PolicyNames/member"), ["p"]);
    refused(root, "DeleteRole", &[("RoleName", "r")], 409, "DeleteConflict");
    iam(root, "DeleteRolePolicy", &own[..2]);
    refused(root, "DeleteRolePolicy", &own[..2], 404, "NoSuchEntity");

    let made = iam(root, "CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", allow)]);
    let arn = made.find("CreatePolicyResult/Policy/Arn").expect("an ARN").to_owned();
    let attached = [("RoleName", "r"), ("PolicyArn", arn.as_str())];
    iam(root, "AttachRolePolicy", &attached);
    let listed = iam(root, "ListAttachedRolePolicies", &[("RoleName", "r")]);
    let listed = listed.all("ListAttachedRolePoliciesResult/AttachedPolicies/member/PolicyArn");
    assert_eq!(listed, [arn.as_str()]);
    for (filter, expected) in [("Role", 1), ("User", 0)] {
        let parameters = [("PolicyArn", arn.as_str()), ("EntityFilter", filter)];
        let holders = iam(root, "ListEntitiesForPolicy", &parameters);
        let roles = holders.all("ListEntitiesForPolicyResult/PolicyRoles/member/RoleName");
        assert_eq!(roles.len(), expected, "{filter}");
    }
    refused(root, "DeletePolicy", &[("PolicyArn", &arn)], 409, "DeleteConflict");
    refused(root, "DeleteRole", &[("RoleName", "r")], 409, "DeleteConflict");
    iam(root, "DetachRolePolicy", &attached);
    refused(root, "DetachRolePolicy", &attached, 404, "NoSuchEntity");
    iam(root, "DeletePolicy", &[("PolicyArn", &arn)]);

    // All of a role's own policies together have 10,240 characters at most.
    let resources = vec![format!("arn:aws:s3:::{}", "b".repeat(1000)); 11];
    let long = allow.replace(r#""Resource":"*""#, &format!(r#""Resource":{resources:?}"#));
    refused(
        root,
        "PutRolePolicy",
        &[("RoleName", "r"), ("PolicyName", "p"), ("PolicyDocument", &long)],
        409,
        "LimitExceeded",
    );
    iam(root, "DeleteRole", &[("RoleName", "r")]);
}

#[test]
fn what_no_role_can_have_is_refused_and_changes_nothing() {
    let server = Server::start();
    let root = server.client();
    let good = trust(&["*"]);
    iam(root, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &good)]);
    let service = r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.example.com"}, "Action": "sts:AssumeRole"}}"#;
    let nobody = trust(&[&format!("arn:aws:iam::{ACCOUNT}:user/nobody")]);
    let another = trust(&["111122223333"]);
    let itself = trust(&[&format!("arn:aws:iam::{ACCOUNT}:role/new")]);
    let no_trust =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    for document in ["{}", "x", no_trust, service, &nobody, &another, &itself] {
        let parameters = [("RoleName", "new"), ("AssumeRolePolicyDocument", document)];
        refused(root, "CreateRole", &parameters, 400, "MalformedPolicyDocument");
        let parameters = [("RoleName", "r"), ("PolicyDocument", document)];
        refused(root, "UpdateAssumeRolePolicy", &parameters, 400, "MalformedPolicyDocument");
    }
    let sid = format!(r#""Sid": "{}", "Effect""#, "x".repeat(2048));
    let long = good.replace("\"Effect\"", &sid);
    let create = |more: &[(&'static str, &str)], status: u16, code: &str| {
        let parameters = [&[("RoleName", "new")][..], more].concat();
        refused(root, "CreateRole", &parameters, status, code);
    };
    let with = ("AssumeRolePolicyDocument", good.as_str());
    create(&[("AssumeRolePolicyDocument", &long)], 409, "LimitExceeded");
    create(&[], 400, "ValidationError");
    for more in [
        ("MaxSessionDuration", "3599"),
        ("MaxSessionDuration", "43201"),
        ("MaxSessionDuration", "long"),
        ("Path", "x"),
        ("PermissionsBoundary", "AdministratorAccess"),
        ("Tags", "k"),
        ("Tags.1.Key", "k"),
        ("Tags.member.1.Key", "k"),
        ("Description", &"x".repeat(1001)),
    ] {
        create(&[with, more], 400, "ValidationError");
    }
    refused(root, "UpdateRole", &[("RoleName", "r"), ("MaxSessionDuration", "1")], 400, "ValidationError");
    let roles = iam(root, "ListRoles", &[]);
    assert_eq!(roles.all("ListRolesResult/Roles/member/RoleName"), ["r"]);
    assert_eq!(roles.all("ListRolesResult/Roles/member/MaxSessionDuration"), ["3600"]);
    assert!(roles.all("ListRolesResult/Roles/member/AssumeRolePolicyDocument")[0].contains("%2A"));
}

/// Roles for services of AWS are made and kept as they are written, and nobody assumes one by that.
#[test]
fn a_role_for_a_service_is_kept_and_assumed_by_nobody() {
    let server = Server::start();
    let root = server.client();
    let ann = crate::iam_users::user(root, "ann");
    let all = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", all)]);
    let document = r#"{"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]}, "Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": {"StringEquals": {"aws:SourceAccount": "750814517293"}}}}"#;
    iam(root, "CreateRole", &[("RoleName", "node"), ("AssumeRolePolicyDocument", document)]);
    let found = iam(root, "GetRole", &[("RoleName", "node")]);
    let written = found.find("GetRoleResult/Role/AssumeRolePolicyDocument").expect("a document");
    assert!(written.contains("pods.eks.amazonaws.com"), "{written}");
    let plain =
        document.replace(r#", "Condition": {"StringEquals": {"aws:SourceAccount": "750814517293"}}"#, "");
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/node");
    let asked = [("RoleArn", arn.as_str()), ("RoleSessionName", "s1")];
    for document in [document, &plain] {
        iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "node"), ("PolicyDocument", document)]);
        ann.call("sts", "AssumeRole", &asked).refused_call(403, "AccessDenied");
    }
    // Beside somebody, it changes nothing.
    let both = plain.replace("\"Principal\": {", &format!("\"Principal\": {{\"AWS\": \"{ACCOUNT}\", "));
    iam(root, "UpdateAssumeRolePolicy", &[("RoleName", "node"), ("PolicyDocument", &both)]);
    ann.call("sts", "AssumeRole", &asked).ok();
}

/// What takes a right takes it of the role that it is done to.
#[test]
fn roles_are_changed_by_who_may() {
    let server = Server::start();
    let root = server.client();
    let ann = crate::iam_users::user(root, "ann");
    let allow = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::{ACCOUNT}:role/dev/*"}}}}"#
    );
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &allow)]);
    let good = trust(&["*"]);
    let create =
        |name, path| [("RoleName", name), ("Path", path), ("AssumeRolePolicyDocument", good.as_str())];
    iam(&ann, "CreateRole", &create("hers", "/dev/"));
    iam(root, "CreateRole", &create("other", "/"));
    refused(&ann, "CreateRole", &create("mine", "/"), 403, "AccessDenied");
    for (action, more) in [
        ("GetRole", &[][..]),
        ("UpdateRole", &[]),
        ("UpdateAssumeRolePolicy", &[("PolicyDocument", good.as_str())]),
        ("ListRolePolicies", &[]),
        ("PutRolePolicy", &[("PolicyName", "p"), ("PolicyDocument", &allow)]),
        ("AttachRolePolicy", &[("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")]),
        ("DeleteRole", &[]),
    ] {
        let of = |name: &'static str| [&[("RoleName", name)][..], more].concat();
        refused(&ann, action, &of("other"), 403, "AccessDenied");
        refused(&ann, action, &of("nobody"), 403, "AccessDenied");
        if action != "DeleteRole" {
            iam(&ann, action, &of("hers"));
        }
    }
}

#[test]
fn policies_of_buckets_name_roles_that_are_there() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    let parameters = [("RoleName", "r"), ("Path", "/a/"), ("AssumeRolePolicyDocument", &trust(&["*"]))];
    iam(root, "CreateRole", &parameters);
    let of = |principal: &str| {
        format!(
            r#"{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "s3:GetObject", "Resource": "BUCKET/*"}}"#
        )
    };
    for good in [
        &format!("arn:aws:iam::{ACCOUNT}:role/a/r"),
        &format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/anything"),
    ] {
        bucket_policy::set(&bucket, &[&of(good)]);
    }
    for bad in [
        &format!("arn:aws:iam::{ACCOUNT}:role/r"),
        &format!("arn:aws:iam::{ACCOUNT}:role/a/q"),
        &format!("arn:aws:iam::{ACCOUNT}:user/a/r"),
        &format!("arn:aws:sts::{ACCOUNT}:assumed-role/q/anything"),
        "arn:aws:iam::111122223333:role/a/r",
    ] {
        let document = bucket_policy::document(&bucket, &[&of(bad)]);
        bucket_policy::policy(&bucket, Method::PUT).body(document).refused(400, "MalformedPolicy");
    }
}
