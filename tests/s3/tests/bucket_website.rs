//! GetBucketWebsite, PutBucketWebsite, DeleteBucketWebsite. What visitors see of it is in `websites.rs`.

use harness::{Bucket, Element, Request, Server};
use http::Method;

const WHOLE: &str = "<WebsiteConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <IndexDocument><Suffix>index.html</Suffix></IndexDocument><ErrorDocument><Key>errors/404.html</Key></ErrorDocument>\
    <RoutingRules><RoutingRule><Condition><KeyPrefixEquals>docs/</KeyPrefixEquals>\
    <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect><Protocol>https</Protocol>\
    <HostName>example.com</HostName><HttpRedirectCode>307</HttpRedirectCode>\
    <ReplaceKeyPrefixWith>a&amp;b?c=&#13;&#10;</ReplaceKeyPrefixWith></Redirect></RoutingRule>\
    <RoutingRule><Condition><KeyPrefixEquals></KeyPrefixEquals></Condition><Redirect>\
    <ReplaceKeyWith>other.html</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>";

const ALL: &str = "<WebsiteConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><RedirectAllRequestsTo>\
    <HostName>example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo></WebsiteConfiguration>";

fn website(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("website")
}

fn wrap(inner: &str) -> String {
    format!("<WebsiteConfiguration>{inner}</WebsiteConfiguration>")
}

#[test]
fn a_configuration_is_answered_as_it_was_put() {
    let server = Server::start();
    let bucket = server.bucket();
    let missing = website(&bucket, Method::GET).refused(404, "NoSuchWebsiteConfiguration");
    assert_eq!(missing.get("BucketName"), bucket.name);
    let least = wrap("<IndexDocument><Suffix>start</Suffix></IndexDocument>");
    for document in [WHOLE, ALL, &least] {
        website(&bucket, Method::PUT).body(document).ok();
        let found = website(&bucket, Method::GET).ok().xml();
        assert_eq!(found, Element::parse(document.as_bytes()), "{document}");
    }
    for _ in 0..2 {
        website(&bucket, Method::DELETE).send().expect(204);
        website(&bucket, Method::GET).refused(404, "NoSuchWebsiteConfiguration");
    }
}

#[test]
fn other_configurations_are_refused_and_change_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    website(&bucket, Method::PUT).body(WHOLE).ok();
    let index = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";
    let rules = |count: usize, rule: &str| {
        let rules = format!("<RoutingRule>{rule}</RoutingRule>").repeat(count);
        wrap(&format!("{index}<RoutingRules>{rules}</RoutingRules>"))
    };
    let redirect = |inner: &str| rules(1, &format!("<Redirect>{inner}</Redirect>"));
    let host = "<HostName>example.com</HostName>";
    for (bad, code) in [
        (String::new(), "MissingRequestBodyError"),
        ("<Other/>".to_owned(), "MalformedXML"),
        (redirect(""), "MalformedXML"),
        (rules(0, ""), "MalformedXML"),
        (wrap("<RedirectAllRequestsTo/>"), "MalformedXML"),
        (wrap(""), "InvalidArgument"),
        (wrap("<IndexDocument><Suffix></Suffix></IndexDocument>"), "InvalidArgument"),
        (wrap("<IndexDocument><Suffix>a/b</Suffix></IndexDocument>"), "InvalidArgument"),
        (wrap(&format!("{index}<RedirectAllRequestsTo>{host}</RedirectAllRequestsTo>")), "InvalidArgument"),
        (
            redirect("<ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith>"),
            "InvalidRequest",
        ),
        (redirect("<Protocol>ftp</Protocol>"), "InvalidRequest"),
        (redirect("<HttpRedirectCode>200</HttpRedirectCode>"), "InvalidRequest"),
        (
            rules(
                1,
                &format!(
                    "<Condition><HttpErrorCodeReturnedEquals>302</HttpErrorCodeReturnedEquals></Condition>\
                     <Redirect>{host}</Redirect>"
                ),
            ),
            "InvalidRequest",
        ),
        (rules(1, &format!("<Condition/><Redirect>{host}</Redirect>")), "InvalidRequest"),
        (rules(51, &format!("<Redirect>{host}</Redirect>")), "InvalidRequest"),
    ] {
        website(&bucket, Method::PUT).body(&bad).refused(400, code);
    }
    let argument = website(&bucket, Method::PUT).body(wrap("")).refused(400, "InvalidArgument");
    assert_eq!((argument.get("ArgumentName"), argument.get("ArgumentValue")), ("IndexDocument", "null"));
    let large = wrap(&format!("{index}<!--{}-->", "x".repeat(128 << 10)));
    website(&bucket, Method::PUT).body(large).refused(400, "MaxMessageLengthExceeded");
    // Within the limit as it is sent, and above that of what is kept: each quote is kept as a reference.
    let quotes = "&quot;".replace("&quot;", "\"").repeat(1024);
    let rule = format!(
        "<Condition><KeyPrefixEquals>{quotes}</KeyPrefixEquals></Condition><Redirect>\
         <ReplaceKeyWith>{quotes}</ReplaceKeyWith></Redirect>"
    );
    for count in [11, 50] {
        website(&bucket, Method::PUT).body(rules(count, &rule)).refused(400, "MaxMessageLengthExceeded");
    }
    let wrong = website(&bucket, Method::PUT).header("content-md5", harness::md5_base64(b"other"));
    wrong.body(ALL).refused(400, "BadDigest");
    assert_eq!(website(&bucket, Method::GET).ok().xml(), Element::parse(WHOLE.as_bytes()));
}

#[test]
fn only_the_owners_bucket_is_configured() {
    let server = Server::start();
    let bucket = server.bucket();
    website(&bucket, Method::PUT).body(ALL).ok();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request =
            || website(&bucket, method.clone()).body(if method == Method::PUT { WHOLE } else { "" });
        request().header("x-amz-expected-bucket-owner", "111122223333").refused(403, "AccessDenied");
        request().anonymous().refused(403, "AccessDenied");
        let missing = server.client().existing_bucket("missing");
        website(&missing, method.clone()).body(WHOLE).refused(404, "NoSuchBucket");
    }
    assert_eq!(website(&bucket, Method::GET).ok().xml(), Element::parse(ALL.as_bytes()));
    // It goes with its bucket.
    bucket.request(Method::DELETE).send().expect(204);
    bucket.request(Method::PUT).ok();
    website(&bucket, Method::GET).refused(404, "NoSuchWebsiteConfiguration");
}
