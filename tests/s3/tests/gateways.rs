//! What users may do by one gateway of a cluster and by another, which know of each other by the metadata service alone.

use harness::{Client, Cluster, Logs};
use http::Method;

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
