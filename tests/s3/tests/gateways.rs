//! What users may do by one gateway of a cluster and by another, which know of each other by the metadata service alone.

use harness::{Client, Cluster, Logs};
use http::Method;
use metadata_api::IdentityKind;

use crate::iam_users::{access_key, iam};

const ALL: &str = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;

/// A request to each gateway, with the credentials of a client of any of them.
fn to_each(cluster: &Cluster, who: &Client) -> impl Iterator<Item = harness::Request> {
    [0, 1]
        .into_iter()
        .map(|number| cluster.gateway(number).with_credentials_of(who).request(Method::GET, "/"))
}

#[track_caller]
fn served(cluster: &Cluster, who: &Client) {
    to_each(cluster, who).for_each(|request| drop(request.ok()));
}

#[track_caller]
fn refused(cluster: &Cluster, who: &Client, status: u16, code: &str) {
    to_each(cluster, who).for_each(|request| drop(request.refused(status, code)));
}

/// What was taken away by one gateway is of no use by the other from the next request on.
#[test]
fn what_is_taken_away_by_one_gateway_is_gone_by_the_other() {
    let mut cluster = Cluster::start(2);
    let (one, other) = (cluster.gateway(0).clone(), cluster.gateway(1).clone());
    iam(&one, "CreateUser", &[("UserName", "ann")]);
    iam(&other, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", ALL)]);
    for round in 0..10 {
        let (maker, taker) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let (ann, id) = access_key(maker, "ann");
        served(&cluster, &ann);
        if round == 5 {
            cluster.restart_metadata();
            served(&cluster, &ann);
        }
        iam(taker, "DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "p")]);
        refused(&cluster, &ann, 403, "AccessDenied");
        iam(maker, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", ALL)]);
        served(&cluster, &ann);
        iam(taker, "DeleteAccessKey", &[("UserName", "ann"), ("AccessKeyId", &id)]);
        refused(&cluster, &ann, 403, "InvalidAccessKeyId");
    }
    // Gateways tell of a metadata service that went away.
    Logs.take("metadata");
}

/// A gateway that was set back to an earlier release refuses users, and lets the root user mend what it cannot read.
#[test]
fn the_root_user_mends_what_cannot_be_read() {
    let cluster = Cluster::start(2);
    let root = cluster.gateway(0);
    iam(root, "CreateUser", &[("UserName", "ann")]);
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", ALL)]);
    let (ann, _) = access_key(root, "ann");
    let denied = |action: &str, parameters: &[(&str, &str)]| {
        root.call("iam", action, parameters).refused_call(409, "EntityTemporarilyUnmodifiable");
    };

    cluster.put_identity(IdentityKind::AccessKey, "AKIAOFALATERRELEASE0", r#"{"later": true}"#);
    cluster.put_identity(IdentityKind::User, "bob", r#"{"later": true}"#);
    cluster.put_identity(IdentityKind::Group, "team", r#"{"later": true}"#);
    cluster.put_identity(IdentityKind::Policy, "rule", r#"{"later": true}"#);
    refused(&cluster, &ann, 500, "InternalError");
    ann.call("iam", "ListUsers", &[]).refused_call(500, "ServiceFailure");
    served(&cluster, root);
    let listed = iam(root, "ListUsers", &[]);
    assert_eq!(listed.all("ListUsersResult/Users/member/UserName"), ["ann"]);
    iam(root, "CreateUser", &[("UserName", "carl")]);
    denied("CreateUser", &[("UserName", "Bob")]);
    denied("CreateGroup", &[("GroupName", "team")]);
    denied("CreatePolicy", &[("PolicyName", "rule"), ("PolicyDocument", ALL)]);
    denied("DeleteUser", &[("UserName", "carl")]);
    denied("UpdateUser", &[("UserName", "carl"), ("NewUserName", "dan")]);
    let rule = "arn:aws:iam::750814517293:policy/rule";
    // What refers to others goes before these do.
    denied("DeletePolicy", &[("PolicyArn", rule)]);
    denied("DeleteGroup", &[("GroupName", "team")]);
    denied("DeleteUser", &[("UserName", "bob")]);
    iam(root, "DeleteAccessKey", &[("AccessKeyId", "AKIAOFALATERRELEASE0")]);
    iam(root, "DeleteUser", &[("UserName", "bob")]);
    iam(root, "DeleteGroup", &[("GroupName", "team")]);
    refused(&cluster, &ann, 500, "InternalError");
    iam(root, "DeletePolicy", &[("PolicyArn", rule)]);
    served(&cluster, &ann);

    // A policy alone that is not understood is deleted alone.
    let document =
        r#"{"name":"bob","path":"/","id":"AIDABOB","created_ms":0,"policies":{"p":"{}"},"attached":[]}"#;
    cluster.put_identity(IdentityKind::User, "bob", document);
    refused(&cluster, &ann, 500, "InternalError");
    iam(root, "DeleteUserPolicy", &[("UserName", "bob"), ("PolicyName", "p")]);
    served(&cluster, &ann);
    assert!(!Logs.take("cannot be read").is_empty());
}
