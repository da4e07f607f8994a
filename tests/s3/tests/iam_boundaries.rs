//! Permissions boundaries of users and roles: the calls that set and take them, and what they leave.

use harness::{Bucket, Client, Element, Server};
use http::Method;

use crate::{
    bucket_policy,
    iam_roles::trust,
    iam_users::{iam, user},
    roles::{assume, role},
};

const ACCOUNT: &str = "750814517293";
const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
const ALL_OF_S3: &str = "arn:aws:iam::aws:policy/AmazonS3FullAccess";

#[track_caller]
fn refused(client: &Client, action: &str, parameters: &[(&str, &str)], status: u16, code: &str) {
    client.call("iam", action, parameters).refused_call(status, code);
}

/// What the refusal of a request of S3 says.
fn message(request: harness::Request) -> String {
    request.refused(403, "AccessDenied").find("Message").expect("a message").to_owned()
}

fn call_message(client: &Client, action: &str, parameters: &[(&str, &str)]) -> String {
    let response = client.call("iam", action, parameters).send();
    assert_eq!(response.status, 403, "{response:?}");
    Element::parse(&response.body).find("Error/Message").expect("a message").to_owned()
}

fn statement(action: &str, condition: &str) -> String {
    format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "{action}", "Resource": "*"{condition}}}}}"#
    )
}

#[track_caller]
fn put_user(root: &Client, name: &str, document: &str) {
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", document)]);
}

/// A policy of the bucket that lets this principal put objects.
fn grant(bucket: &Bucket, principal: &str) {
    let statement = format!(
        r#"{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "s3:PutObject", "Resource": "BUCKET/*"}}"#
    );
    bucket_policy::set(bucket, &[&statement]);
}

/// The boundary in an answer.
fn boundary(answer: &Element, path: &str) -> Option<String> {
    let of = |field: &str| answer.find(&format!("{path}/PermissionsBoundary/{field}"));
    let arn = of("PermissionsBoundaryArn").map(str::to_owned);
    assert_eq!(of("PermissionsBoundaryType"), arn.as_ref().map(|_| "PermissionsBoundaryPolicy"));
    arn
}

#[test]
fn boundaries_are_given_answered_and_taken() {
    let server = Server::start();
    let root = server.client();
    let good = trust(&["*"]);
    for (kind, name, more) in
        [("User", "UserName", &[][..]), ("Role", "RoleName", &[("AssumeRolePolicyDocument", good.as_str())])]
    {
        let named = [(name, "with")];
        let create = format!("Create{kind}");
        let get = format!("Get{kind}");
        let made = [&named[..], more, &[("PermissionsBoundary", READ_ONLY)]].concat();
        let made = iam(root, &create, &made);
        assert_eq!(boundary(&made, &format!("{create}Result/{kind}")).as_deref(), Some(READ_ONLY));
        let found = || boundary(&iam(root, &get, &named), &format!("{get}Result/{kind}"));
        assert_eq!(found().as_deref(), Some(READ_ONLY));
        let listed = iam(root, &format!("List{kind}s"), &[]);
        let path = format!("List{kind}sResult/{kind}s/member");
        assert_eq!(listed.find(&format!("{path}/{name}")), Some("with"));
        assert_eq!(boundary(&listed, &path), None, "lists do not have it");

        let put = format!("Put{kind}PermissionsBoundary");
        let delete = format!("Delete{kind}PermissionsBoundary");
        iam(root, &put, &[named[0], ("PermissionsBoundary", ALL_OF_S3)]);
        assert_eq!(found().as_deref(), Some(ALL_OF_S3));
        iam(root, &delete, &named);
        assert_eq!(found(), None);
        refused(root, &delete, &named, 404, "NoSuchEntity");

        let missing = format!("arn:aws:iam::{ACCOUNT}:policy/none");
        refused(root, &put, &[named[0], ("PermissionsBoundary", &missing)], 404, "NoSuchEntity");
        refused(root, &put, &[named[0], ("PermissionsBoundary", "none")], 400, "ValidationError");
        refused(root, &put, &named, 400, "ValidationError");
        refused(root, &put, &[(name, "no"), ("PermissionsBoundary", READ_ONLY)], 404, "NoSuchEntity");
        refused(root, &delete, &[(name, "no")], 404, "NoSuchEntity");
        let unmade = [&[(name, "other")][..], more, &[("PermissionsBoundary", &missing)]].concat();
        refused(root, &create, &unmade, 404, "NoSuchEntity");
        assert_eq!(found(), None, "nothing was changed");
    }
}

/// A boundary leaves what it allows of what other policies allow, from the next request on, and allows nothing itself.
#[test]
fn a_boundary_leaves_what_both_allow() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let hers = ann.existing_bucket(&bucket.name);
    let get = || hers.object(Method::GET, "k");
    let put = || hers.object(Method::PUT, "k").body("y");
    iam(root, "PutUserPermissionsBoundary", &[("UserName", "ann"), ("PermissionsBoundary", ALL_OF_S3)]);
    get().refused(403, "AccessDenied");
    put_user(root, "ann", &statement("*", ""));
    get().ok();
    put().ok();
    assert!(
        call_message(&ann, "ListUsers", &[])
            .ends_with("because no permissions boundary allows the iam:ListUsers action")
    );
    iam(root, "PutUserPermissionsBoundary", &[("UserName", "ann"), ("PermissionsBoundary", READ_ONLY)]);
    get().ok();
    let denied = message(put());
    assert!(denied.ends_with("because no permissions boundary allows the s3:PutObject action"), "{denied}");

    // What the bucket's policy grants her by name the boundary leaves, and what it denies it does not.
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    grant(&bucket, &arn);
    put().ok();
    let deny = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}}"#;
    iam(root, "CreatePolicy", &[("PolicyName", "bound"), ("PolicyDocument", deny)]);
    let bound = format!("arn:aws:iam::{ACCOUNT}:policy/bound");
    iam(root, "PutUserPermissionsBoundary", &[("UserName", "ann"), ("PermissionsBoundary", &bound)]);
    assert!(message(put()).ends_with("with an explicit deny in a permissions boundary"));
    iam(root, "DeleteUserPermissionsBoundary", &[("UserName", "ann")]);
    put().ok();
    iam(&ann, "ListUsers", &[]);
}

/// A session is bounded by its role's boundary, also where the bucket's policy names the role.
#[test]
fn a_session_is_bounded_as_its_role_is() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    role(
        root,
        "writer",
        &[&format!("arn:aws:iam::{ACCOUNT}:user/ann")],
        &[r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#.to_owned()],
    );
    let session = assume(&ann, "writer", &[]);
    let its = session.existing_bucket(&bucket.name);
    let put = || its.object(Method::PUT, "k").body("y");
    put().ok();
    iam(root, "PutRolePermissionsBoundary", &[("RoleName", "writer"), ("PermissionsBoundary", READ_ONLY)]);
    its.object(Method::GET, "k").ok();
    assert!(message(put()).ends_with("because no permissions boundary allows the s3:PutObject action"));
    grant(&bucket, &format!("arn:aws:iam::{ACCOUNT}:role/writer"));
    put().refused(403, "AccessDenied");
    let itself = format!("arn:aws:sts::{ACCOUNT}:assumed-role/writer/session");
    grant(&bucket, &itself);
    put().ok();
}

/// Whoever may make users only within a boundary makes none without it, and changes none that lack it.
#[test]
fn rights_can_be_handed_on_within_a_boundary_alone() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let within =
        format!(r#", "Condition": {{"StringEquals": {{"iam:PermissionsBoundary": "{READ_ONLY}"}}}}"#);
    put_user(root, "ann", &statement("iam:*", &within));
    let eve = ("UserName", "eve");
    let denied = |action: &str, parameters: &[(&str, &str)]| {
        let message = call_message(&ann, action, parameters);
        let expected = format!("because no identity-based policy allows the iam:{action} action");
        assert!(message.ends_with(&expected), "{message}");
    };
    denied("CreateUser", &[eve]);
    denied("CreateUser", &[eve, ("PermissionsBoundary", ALL_OF_S3)]);
    iam(&ann, "CreateUser", &[eve, ("PermissionsBoundary", READ_ONLY)]);
    denied("PutUserPermissionsBoundary", &[eve, ("PermissionsBoundary", ALL_OF_S3)]);
    iam(&ann, "PutUserPermissionsBoundary", &[eve, ("PermissionsBoundary", READ_ONLY)]);
    iam(&ann, "AttachUserPolicy", &[eve, ("PolicyArn", ALL_OF_S3)]);
    // A parameter that the call does not have is no boundary: it is refused, or taken for nothing.
    let smuggled = [("UserName", "ann"), ("PolicyArn", ALL_OF_S3), ("PermissionsBoundary", READ_ONLY)];
    denied("AttachUserPolicy", &smuggled);
    denied("AttachUserPolicy", &smuggled[..2]);
    denied("DeleteUser", &[eve]);
    iam(&ann, "DeleteUserPermissionsBoundary", &[eve]);
    denied("DetachUserPolicy", &[eve, ("PolicyArn", ALL_OF_S3)]);
}

/// A policy that bounds somebody is in use, and says so.
#[test]
fn a_policy_that_is_a_boundary_stays() {
    let server = Server::start();
    let root = server.client();
    let document = statement("s3:*", "");
    iam(root, "CreatePolicy", &[("PolicyName", "bound"), ("PolicyDocument", &document)]);
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/bound");
    let policy = [("PolicyArn", arn.as_str())];
    iam(root, "CreateUser", &[("UserName", "ann"), ("PermissionsBoundary", &arn)]);
    let role = [("RoleName", "r"), ("AssumeRolePolicyDocument", &trust(&["*"]))];
    iam(root, "CreateRole", &role);
    iam(root, "PutRolePermissionsBoundary", &[("RoleName", "r"), ("PermissionsBoundary", &arn)]);
    let found = iam(root, "GetPolicy", &policy);
    assert_eq!(found.find("GetPolicyResult/Policy/PermissionsBoundaryUsageCount"), Some("2"));
    assert_eq!(found.find("GetPolicyResult/Policy/AttachmentCount"), Some("0"));
    let users = |filter: &str| {
        let found = iam(root, "ListEntitiesForPolicy", &[policy[0], ("PolicyUsageFilter", filter)]);
        let names = |path: &str| found.all(&format!("ListEntitiesForPolicyResult/{path}")).join(" ");
        [names("PolicyUsers/member/UserName"), names("PolicyRoles/member/RoleName")]
    };
    assert_eq!(users("PermissionsBoundary"), ["ann", "r"]);
    assert_eq!(users("PermissionsPolicy"), ["", ""]);
    let listed = |filter: &str| {
        let found = iam(root, "ListPolicies", &[("PolicyUsageFilter", filter)]);
        found.all("ListPoliciesResult/Policies/member/PolicyName").join(" ")
    };
    assert_eq!([listed("PermissionsBoundary"), listed("PermissionsPolicy")], ["bound", ""]);
    refused(root, "DeletePolicy", &policy, 409, "DeleteConflict");
    iam(root, "DeleteUser", &[("UserName", "ann")]);
    iam(root, "DeleteRolePermissionsBoundary", &[("RoleName", "r")]);
    iam(root, "DeletePolicy", &policy);
}
