//! ListBuckets.

use harness::{Request, Server};
use http::Method;

fn list(server: &Server) -> Request {
    server.client().request(Method::GET, "/")
}

fn make(server: &Server, names: &[&str]) {
    for name in names {
        server.client().existing_bucket(name).request(Method::PUT).ok();
    }
}

#[test]
fn buckets_are_listed_in_the_order_of_their_names() {
    let server = Server::start();
    let empty = list(&server).ok().xml();
    assert_eq!(empty.name, "ListAllMyBucketsResult");
    assert!(empty.elements("Buckets/Bucket").is_empty());

    make(&server, &["bbb", "a.b", "a-b", "aab"]);
    let listed = list(&server).ok().xml();
    assert_eq!(listed.all("Buckets/Bucket/Name"), ["a-b", "a.b", "aab", "bbb"]);
    assert!(!listed.get("Owner/ID").is_empty());
    assert_eq!(listed.find("ContinuationToken"), None);
    for date in listed.all("Buckets/Bucket/CreationDate") {
        assert!(date.len() == 24 && date.ends_with(".000Z") && date.starts_with("20"), "{date}");
    }
}

#[test]
fn pages_hold_every_bucket_once() {
    let server = Server::start();
    let names = ["b00", "b01", "b02", "b03", "b04", "other"];
    make(&server, &names);
    for size in 1..=7 {
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut page = list(&server).query("max-buckets", size);
            if let Some(token) = &token {
                page = page.query("continuation-token", token);
            }
            let page = page.ok().xml();
            assert!(page.elements("Buckets/Bucket").len() <= size);
            assert_eq!(
                page.all("Buckets/Bucket/BucketRegion"),
                vec!["us-east-1"; page.elements("Buckets/Bucket").len()]
            );
            seen.extend(page.all("Buckets/Bucket/Name").into_iter().map(str::to_owned));
            token = page.find("ContinuationToken").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, names, "pages of {size}");
    }
}

#[test]
fn a_prefix_and_a_region_choose() {
    let server = Server::start();
    make(&server, &["logs-1", "logs-2", "data"]);
    let listed = list(&server).query("prefix", "logs-").ok().xml();
    assert_eq!(listed.all("Buckets/Bucket/Name"), ["logs-1", "logs-2"]);
    assert_eq!(listed.find("Prefix"), Some("logs-"));
    assert!(
        list(&server).query("bucket-region", "eu-west-1").ok().xml().elements("Buckets/Bucket").is_empty()
    );
    assert_eq!(
        list(&server).query("bucket-region", "us-east-1").ok().xml().elements("Buckets/Bucket").len(),
        3
    );
}

#[test]
fn arguments_out_of_bounds_are_refused() {
    let server = Server::start();
    for value in ["0", "10001", "-1", "x"] {
        let error = list(&server).query("max-buckets", value).refused(400, "InvalidArgument");
        assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), ("max-buckets", value));
    }
    let error = list(&server).query("bucket-region", "abc").refused(400, "InvalidArgument");
    assert_eq!(error.get("ArgumentName"), "bucket-region");
    list(&server).query("continuation-token", "not-ours").refused(400, "InvalidArgument");
}

#[test]
fn other_methods_on_the_service_are_not_allowed() {
    let server = Server::start();
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        server.client().request(method, "/").refused(405, "MethodNotAllowed");
    }
}
