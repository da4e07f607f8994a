//! The listener for websites: what visitors get of a bucket that is configured as one. Expectations come from the Amazon S3
//! User Guide, "Hosting a static website using Amazon S3".

use std::net::SocketAddr;

use harness::{Bucket, Response, Server, Visitor, content};
use http::Method;

use crate::{
    bucket_policy::{allow, set},
    support::{ODD_KEYS, assert_same},
};

pub(crate) const DOMAIN: &str = "website.example.com";

/// A server that also listens for visitors of websites.
pub(crate) fn start() -> Server {
    Server::start_with(1, |config| {
        config.front.website_address = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.front.website_domain = vec![DOMAIN.to_owned(), "other.example.com".to_owned()];
    })
}

pub(crate) fn visitor(server: &Server, bucket: &Bucket) -> Visitor {
    server.visitor(&format!("{}.{DOMAIN}", bucket.name))
}

pub(crate) fn configure(bucket: &Bucket, inner: &str) {
    let document = format!("<WebsiteConfiguration>{inner}</WebsiteConfiguration>");
    bucket.request(Method::PUT).raw_query("website").body(document).ok();
}

/// The same, of a bucket that everybody may read.
pub(crate) fn publish(bucket: &Bucket, inner: &str) {
    set(bucket, &[&allow("s3:GetObject")]);
    configure(bucket, inner);
}

pub(crate) const INDEX: &str = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";
pub(crate) const ERROR: &str = "<ErrorDocument><Key>error.html</Key></ErrorDocument>";

pub(crate) fn with_rules(rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("<RoutingRule>{rule}</RoutingRule>")).collect();
    format!("{INDEX}{ERROR}<RoutingRules>{rules}</RoutingRules>")
}

fn block(bucket: &Bucket, setting: &str) {
    let document = format!(
        "<PublicAccessBlockConfiguration><{setting}>true</{setting}></PublicAccessBlockConfiguration>"
    );
    bucket.request(Method::PUT).raw_query("publicAccessBlock").body(document).ok();
}

/// The page of an error that is no document of the website.
#[track_caller]
fn assert_page(answer: &Response, status: u16, code: &str, items: &[(&str, &str)]) {
    assert_eq!((answer.status, answer.get("x-amz-error-code")), (status, code), "{answer:?}");
    assert_eq!(answer.get("content-type"), "text/html; charset=utf-8");
    let page = std::str::from_utf8(&answer.body).expect("a page is text");
    assert!(page.starts_with(&format!("<html>\n<head><title>{status} ")), "{page}");
    let id = ("RequestId", answer.get("x-amz-request-id"));
    for (name, value) in
        items.iter().copied().chain([("Code", code), id, ("HostId", answer.get("x-amz-id-2"))])
    {
        assert!(page.contains(&format!("<li>{name}: {value}</li>")), "{name}: {value} is not in {page}");
    }
}

#[track_caller]
pub(crate) fn assert_redirect(answer: &Response, status: u16, location: &str) {
    assert_eq!((answer.status, answer.header("location")), (status, Some(location)), "{answer:?}");
    assert!(answer.body.is_empty());
}

#[test]
fn folders_are_answered_with_their_index() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    for (key, body) in [
        ("index.html", "root"),
        ("a/index.html", "a"),
        ("a//index.html", "a//"),
        ("/index.html", "slash"),
        ("b", "b"),
        ("b/index.html", "b/"),
        ("c/", "c/ itself"),
    ] {
        bucket.put(key, body).header("content-type", "text/html").ok();
    }
    let visitor = visitor(&server, &bucket);
    for (path, body) in [
        ("/", "root"),
        ("/?list-type=2", "root"),
        ("/index.html", "root"),
        ("/a/", "a"),
        ("/a%2F", "a"),
        ("/a/?x=1", "a"),
        ("/a//", "a//"),
        ("//", "slash"),
        ("/b", "b"),
        ("/b/", "b/"),
    ] {
        let answer = visitor.get(path).expect(200);
        assert_eq!(String::from_utf8_lossy(&answer.body), body, "{path}");
        assert_eq!(answer.get("content-type"), "text/html");
    }
    assert_redirect(&visitor.get("/a"), 302, "/a/");
    assert_redirect(&visitor.get("/a?x=1"), 302, "/a/");
    assert_redirect(&visitor.head("/a"), 302, "/a/");
    // An index alone makes a folder, and an object whose key ends in a slash is never a page.
    assert_page(&visitor.get("/c/"), 404, "NoSuchKey", &[("Key", "c/index.html")]);
    assert_page(&visitor.get("/c"), 404, "NoSuchKey", &[("Key", "c")]);
    assert_page(&visitor.get("/index"), 404, "NoSuchKey", &[("Key", "index")]);
}

#[test]
fn pages_have_the_headers_of_their_objects() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    bucket.set_versioning("Enabled");
    let data = content(3_000_000, 1);
    let put =
        bucket.put("page", &data).unsigned_payload().header("content-type", "text/plain; charset=utf-8");
    let put = put.header("cache-control", "max-age=60").header("content-language", "de");
    put.header("x-amz-meta-name", "value").header("x-amz-tagging", "secret=1").ok();
    let object = bucket.get("page").ok();
    let visitor = visitor(&server, &bucket);
    for answer in [visitor.get("/page").expect(200), visitor.head("/page").expect(200)] {
        for name in [
            "content-type",
            "cache-control",
            "content-language",
            "content-length",
            "etag",
            "last-modified",
            "accept-ranges",
            "x-amz-meta-name",
        ] {
            assert_eq!(answer.get(name), object.get(name), "{name}");
        }
        assert_eq!(answer.header("x-amz-tagging-count"), None, "tags are for those who may read tags");
    }
    assert_same(&visitor.get("/page").body, &data);
    assert!(visitor.head("/page").body.is_empty());

    let with = |name: &str, value: &str| visitor.request(Method::GET, "/page").header(name, value).send();
    let part = with("range", "bytes=1000000-2999998").expect(206);
    assert_same(&part.body, &data[1_000_000..2_999_999]);
    assert_eq!(part.get("content-range"), "bytes 1000000-2999998/3000000");
    assert_page(&with("range", "bytes=3000000-"), 416, "InvalidRange", &[("ActualObjectSize", "3000000")]);
    let (etag, modified) = (object.etag(), object.get("last-modified"));
    for (name, value) in [("if-none-match", etag), ("if-modified-since", modified)] {
        let answer = with(name, value).expect(304);
        assert_eq!((answer.etag(), answer.body.len()), (etag, 0));
    }
    with("if-match", etag).expect(200);
    assert_page(&with("if-match", "\"other\""), 412, "PreconditionFailed", &[]);
}

/// A path says which object is read, and nothing else of a request does.
#[test]
fn a_query_and_credentials_choose_nothing() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    bucket.set_versioning("Enabled");
    let old = bucket.put_version("page", "old secret");
    bucket.put("page", "new").header("content-type", "text/plain").ok();
    let visitor = visitor(&server, &bucket);
    for path in [
        format!("/page?versionId={old}"),
        "/page?partNumber=7".to_owned(),
        "/page?response-content-type=text/html".to_owned(),
        "/page?tagging".to_owned(),
        "/page?acl".to_owned(),
        "/page?%zz".to_owned(),
    ] {
        let answer = visitor.get(&path).expect(200);
        assert_eq!((&answer.body[..], answer.get("content-type")), (&b"new"[..], "text/plain"), "{path}");
    }
    for (name, value) in [
        ("authorization", "AWS4-HMAC-SHA256 Credential=nobody"),
        ("authorization", "nonsense"),
        ("x-amz-date", "never"),
        ("cookie", "a=b"),
        ("x-amz-checksum-mode", "ENABLED"),
    ] {
        let answer = visitor.request(Method::GET, "/page").header(name, value).send().expect(200);
        assert_eq!(answer.body, b"new");
        assert_eq!(answer.header("set-cookie").or(answer.header("www-authenticate")), None);
    }
    bucket.put_marker("page");
    let gone = visitor.get("/page");
    assert_page(&gone, 404, "NoSuchKey", &[("Key", "page")]);
    assert_eq!(gone.get("x-amz-delete-marker"), "true");
}

#[test]
fn only_reads_are_taken() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    bucket.put("page", "content").ok();
    let visitor = visitor(&server, &bucket);
    for method in [Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = visitor.request(method.clone(), "/page").body("other").send();
        assert_page(&answer, 405, "MethodNotAllowed", &[("Method", method.as_str())]);
        assert_eq!(answer.get("allow"), "GET, HEAD, OPTIONS");
    }
    assert_eq!(bucket.keys(), ["page"]);
    assert_eq!(visitor.get("/page").expect(200).body, b"content");
    // What S3 has at such paths is not there for visitors.
    for path in ["/health/live", "/minio/health/ready", &format!("/{}/page", bucket.name)] {
        assert_page(&visitor.get(path), 404, "NoSuchKey", &[]);
    }
    // A body of a request that takes none is not taken for the next request.
    let mut connection = visitor.connect();
    let smuggled = visitor.request(Method::GET, "/page").body("GET /other HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(smuggled.send_over(&mut connection).expect(200).body, b"content");
    assert_eq!(visitor.request(Method::GET, "/page").send_over(&mut connection).expect(200).body, b"content");
    let waits = visitor
        .request(Method::POST, "/page")
        .header("expect", "100-continue")
        .header("content-length", "10");
    let answer = waits.send();
    assert!(answer.interim.is_empty(), "{answer:?}");
    assert_page(&answer, 405, "MethodNotAllowed", &[]);
}

#[test]
fn the_host_names_the_bucket() {
    let server = start();
    let whole = server.client().existing_bucket("www.example.org");
    let dotted = server.client().existing_bucket("a.b");
    for bucket in [&whole, &dotted] {
        bucket.request(Method::PUT).ok();
        bucket.put("index.html", &bucket.name).ok();
        publish(bucket, INDEX);
    }
    for (host, name) in [
        ("www.example.org", "www.example.org"),
        ("www.example.org:8080", "www.example.org"),
        ("WWW.Example.org.", "www.example.org"),
        ("www.example.org.website.example.com", "www.example.org"),
        ("a.b.website.example.com", "a.b"),
        ("a.b.WEBSITE.example.com:80", "a.b"),
        ("a.b.other.example.com", "a.b"),
        ("a.b", "a.b"),
    ] {
        let answer = server.visitor(host).get("/").expect(200);
        assert_eq!(String::from_utf8_lossy(&answer.body), name, "{host}");
    }
    for (host, name) in [
        ("missing.website.example.com", "missing"),
        ("website.example.com", "website.example.com"),
        ("b.website.example.com", "b"),
        ("127.0.0.1:9000", "127.0.0.1"),
        ("a.b.elsewhere.example.com", "a.b.elsewhere.example.com"),
        ("<script>.website.example.com", "&lt;script&gt;"),
        ("", ""),
    ] {
        assert_page(&server.visitor(host).get("/"), 404, "NoSuchBucket", &[("BucketName", name)]);
    }
    let plain = server.bucket();
    plain.put("index.html", "private").ok();
    let answer = visitor(&server, &plain).get("/");
    assert_page(&answer, 404, "NoSuchWebsiteConfiguration", &[("BucketName", &plain.name)]);
    assert_eq!(answer.get("x-amz-error-detail-bucketname"), plain.name);
}

#[test]
fn errors_have_a_page_of_the_website_or_one_of_s3() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, &format!("{INDEX}{ERROR}"));
    let visitor = visitor(&server, &bucket);
    let both = visitor.get("/a%3Cb%3E&'%22c");
    assert_page(&both, 404, "NoSuchKey", &[("Key", "a&lt;b&gt;&amp;&#39;&quot;c"), ("Key", "error.html")]);
    let heading = "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>";
    assert!(String::from_utf8_lossy(&both.body).contains(heading));

    bucket
        .put("error.html", "<p>lost</p>")
        .header("content-type", "text/html")
        .header("cache-control", "no-store")
        .ok();
    for path in ["/missing", "/missing/", "/"] {
        let answer = visitor
            .request(Method::GET, path)
            .header("range", "bytes=0-1")
            .header("if-none-match", "*")
            .send();
        assert_eq!((answer.status, &answer.body[..]), (404, &b"<p>lost</p>"[..]), "{path} {answer:?}");
        assert_eq!((answer.get("content-type"), answer.get("cache-control")), ("text/html", "no-store"));
        assert_eq!(answer.get("x-amz-error-code"), "NoSuchKey");
    }
    let head = visitor.head("/missing");
    assert_eq!((head.status, head.get("content-length"), head.body.len()), (404, "11", 0));
    // What the page of S3 would tell stands in headers, which may have no character of every key.
    for (path, key) in [
        ("/missing", "missing"),
        ("/a%2fb%20%26c", "a/b &c"),
        ("/caf%C3%A9%20d%25", "caf%C3%A9%20d%25"),
        ("/50%25", "50%"),
        ("/a%0D%0Ax-injected:b", "a%0D%0Ax-injected%3Ab"),
    ] {
        for answer in [visitor.get(path), visitor.head(path)] {
            assert_eq!(answer.get("x-amz-error-detail-key"), key, "{path}");
            assert_eq!(answer.get("x-amz-error-message"), "The specified key does not exist.");
            assert_eq!(answer.header("x-injected"), None);
        }
    }
    assert_eq!(visitor.get("/error.html").expect(200).body, b"<p>lost</p>");
    for path in ["/%zz", "/%", "/%ff"] {
        // What is no key is no request for an object.
        assert_page(&visitor.get(path), 400, "InvalidURI", &[]);
    }
    assert_page(&visitor.get(&format!("/{}", "k".repeat(1025))), 400, "KeyTooLongError", &[]);
    // A key that can be, and whose index cannot.
    assert_eq!(visitor.get(&format!("/{}/", "k".repeat(1023))).status, 404);

    bucket.put("error.html", "").header("x-amz-website-redirect-location", "/sorry").ok();
    assert_redirect(&visitor.get("/missing"), 301, "/sorry");
}

/// Nobody learns what there is.
#[track_caller]
fn assert_closed(visitor: &Visitor) {
    for path in ["/", "/index.html", "/a", "/a/", "/missing", "/moved", "/error.html"] {
        let answer = visitor.get(path);
        assert_page(&answer, 403, "AccessDenied", &[]);
        assert!(!String::from_utf8_lossy(&answer.body).contains("Key:"), "{answer:?}");
        assert_eq!(visitor.head(path).status, 403);
    }
}

/// A configuration opens nothing that the policy and the lists of the bucket keep to its owner.
#[test]
fn a_configuration_publishes_nothing_by_itself() {
    let server = start();
    let bucket = server.bucket();
    for key in ["index.html", "error.html", "a/index.html"] {
        bucket.put(key, "content").ok();
    }
    bucket.put("moved", "").header("x-amz-website-redirect-location", "/secret").ok();
    configure(&bucket, &format!("{INDEX}{ERROR}"));
    let visitor = visitor(&server, &bucket);
    assert_closed(&visitor);
    set(&bucket, &[&allow("s3:GetObject").replace("BUCKET/*", "BUCKET/index.html")]);
    visitor.get("/").expect(200);
    assert_page(&visitor.get("/error.html"), 403, "AccessDenied", &[]);
    assert_page(&visitor.get("/missing"), 403, "AccessDenied", &[]);
}

/// The setting that takes a policy's effect away which lets everyone read closes a website.
#[test]
fn a_block_of_public_access_holds() {
    let server = start();
    let bucket = server.bucket();
    for key in ["index.html", "error.html", "a/index.html"] {
        bucket.put(key, "content").ok();
    }
    bucket.put("moved", "").header("x-amz-website-redirect-location", "/secret").ok();
    publish(&bucket, &format!("{INDEX}{ERROR}"));
    let visitor = visitor(&server, &bucket);
    visitor.get("/").expect(200);
    block(&bucket, "RestrictPublicBuckets");
    assert_closed(&visitor);
    bucket.request(Method::DELETE).raw_query("publicAccessBlock").send().expect(204);
    visitor.get("/").expect(200);
    // The policy is there already, and access lists are another matter.
    for setting in ["BlockPublicPolicy", "BlockPublicAcls", "IgnorePublicAcls"] {
        block(&bucket, setting);
        visitor.get("/").expect(200);
    }
    // A redirect that reads nothing shows nothing of the bucket, and S3 answers it with a block too.
    block(&bucket, "RestrictPublicBuckets");
    configure(
        &bucket,
        &with_rules(&[
            "<Condition><KeyPrefixEquals>away/</KeyPrefixEquals></Condition><Redirect><HostName>example.org</HostName></Redirect>",
            "<Condition><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect><ReplaceKeyWith>a</ReplaceKeyWith></Redirect>",
        ]),
    );
    assert_redirect(&visitor.get("/away/a"), 301, "http://example.org/away/a");
    assert_page(&visitor.get("/missing"), 403, "AccessDenied", &[]);
}

/// What a policy denies is not published, and what it allows is, also when no such policy may be put any more.
#[test]
fn a_policy_of_the_bucket_holds_for_visitors() {
    let server = start();
    let bucket = server.bucket();
    for key in ["index.html", "secret/index.html", "error.html"] {
        bucket.put(key, format!("content of {key}")).ok();
    }
    bucket.put("tagged", "content").header("x-amz-tagging", "secret=yes").ok();
    configure(&bucket, &format!("{INDEX}{ERROR}"));
    let visitor = visitor(&server, &bucket);
    let all = allow("s3:GetObject");
    let statement = |effect: &str, resource: &str, condition: &str| {
        format!(
            r#"{{"Effect": "{effect}", "Principal": "*", "Action": "s3:GetObject", "Resource": "BUCKET/{resource}",
               "Condition": {condition}}}"#
        )
    };
    set(&bucket, &[&all, &statement("Deny", "secret/*", "{}")]);
    visitor.get("/").expect(200);
    for path in ["/secret/", "/secret/missing"] {
        let answer = visitor.get(path);
        assert_eq!((answer.status, answer.get("x-amz-error-code")), (403, "AccessDenied"), "{path}");
        assert_eq!(answer.body, b"content of error.html");
    }
    let tagged = r#"{"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}"#;
    set(&bucket, &[&all, &statement("Deny", "*", tagged)]);
    visitor.get("/index.html").expect(200);
    assert_eq!(visitor.get("/tagged").status, 403);
    set(
        &bucket,
        &[&all, &statement("Deny", "*", r#"{"StringNotLike": {"aws:Referer": "https://example.com/*"}}"#)],
    );
    assert_eq!(visitor.get("/index.html").status, 403);
    visitor.request(Method::GET, "/index.html").header("referer", "https://example.com/a").send().expect(200);
    set(&bucket, &[&all, &statement("Deny", "*", r#"{"IpAddress": {"aws:SourceIp": "127.0.0.1"}}"#)]);
    assert_page(&visitor.get("/"), 403, "AccessDenied", &[]);

    set(&bucket, &[&statement("Allow", "index.html", "{}")]);
    block(&bucket, "BlockPublicPolicy");
    visitor.get("/").expect(200);
    assert_eq!(visitor.get("/error.html").status, 403);
    block(&bucket, "RestrictPublicBuckets");
    assert_eq!(visitor.get("/").status, 403);
}

/// A website is there from its configuration on, and no longer.
#[test]
fn nothing_is_published_without_a_configuration() {
    let mut server = start();
    let bucket = server.bucket();
    bucket.put("index.html", "content").ok();
    let name = format!("{}.{DOMAIN}", bucket.name);
    assert_page(&server.visitor(&name).get("/index.html"), 404, "NoSuchWebsiteConfiguration", &[]);
    // Nor by a policy alone, nor by a configuration alone, by which nobody gets it from S3 either, by whichever name.
    set(&bucket, &[&allow("s3:GetObject")]);
    assert_page(&server.visitor(&name).get("/index.html"), 404, "NoSuchWebsiteConfiguration", &[]);
    bucket.request(Method::DELETE).raw_query("policy").send().expect(204);
    configure(&bucket, INDEX);
    assert_page(&server.visitor(&name).get("/index.html"), 403, "AccessDenied", &[]);
    bucket.get("index.html").anonymous().refused(403, "AccessDenied");
    bucket.get("index.html").anonymous().host(&name).refused(403, "AccessDenied");
    publish(&bucket, INDEX);
    server.visitor(&name).get("/index.html").expect(200);
    // A visitor who stays is told to leave when the server stops.
    let mut idle = server.visitor(&name).connect();
    server.visitor(&name).request(Method::GET, "/").send_over(&mut idle).expect(200);
    server.restart();
    idle.expect_end();
    server.visitor(&name).get("/index.html").expect(200);
    let bucket = server.client().existing_bucket(&bucket.name);
    bucket.request(Method::DELETE).raw_query("website").send().expect(204);
    assert_page(&server.visitor(&name).get("/index.html"), 404, "NoSuchWebsiteConfiguration", &[]);
}

#[test]
fn keys_are_bytes_and_never_paths() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    for key in ODD_KEYS {
        bucket.put(key, key).ok();
    }
    let visitor = visitor(&server, &bucket);
    let every_byte = |key: &str| key.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for key in ODD_KEYS.iter().filter(|key| !key.ends_with('/')) {
        let answer = visitor.get(&format!("/{}", every_byte(key)));
        assert_eq!((answer.status, &answer.body[..]), (200, key.as_bytes()), "{key:?} {answer:?}");
    }
    for (path, body) in [
        ("/a/../b", "a/../b"),
        ("/../../../../etc/passwd", "../../../../etc/passwd"),
        ("/..", ".."),
        ("/./a", "./a"),
        ("//a", "/a"),
        ("/a+b", "a+b"),
        ("/a%252Fb", "a%2Fb"),
        ("/a%2fb", "a/b"),
    ] {
        assert_eq!(String::from_utf8_lossy(&visitor.get(path).expect(200).body), body, "{path}");
    }
    for (path, key) in [("/a/b/..", "a/b/.."), ("/b/../a", "b/../a"), ("/a%25b/..%2Fb", "a%b/../b")] {
        assert_page(&visitor.get(path), 404, "NoSuchKey", &[("Key", key)]);
    }
    // A folder that would be taken for a host is still one of the website.
    for (folder, path, location) in [
        ("/evil.example", "//evil.example", "/%2Fevil.example/"),
        ("\\evil.example", "/%5Cevil.example", "/%5Cevil.example/"),
        ("x\r\nset-cookie: a=b", "/x%0D%0Aset-cookie:%20a=b", "/x%0D%0Aset-cookie%3A%20a%3Db/"),
    ] {
        bucket.put(&format!("{folder}/index.html"), folder).ok();
        let answer = visitor.get(path);
        assert_redirect(&answer, 302, location);
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(String::from_utf8_lossy(&visitor.get(location).expect(200).body), folder);
    }
}

#[test]
fn scripts_of_other_origins_are_let_in_by_the_buckets_rules() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    bucket.put("page", "content").ok();
    let rules = "<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example</AllowedOrigin>\
                 <AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    bucket.request(Method::PUT).raw_query("cors").body(rules).ok();
    let visitor = visitor(&server, &bucket);
    for path in ["/page", "/missing"] {
        let from = |origin: &str| visitor.request(Method::GET, path).header("origin", origin).send();
        assert_eq!(from("https://app.example").get("access-control-allow-origin"), "https://app.example");
        assert_eq!(from("https://other.example").header("access-control-allow-origin"), None);
    }
    let preflight = |method: &str| {
        let preflight = visitor.request(Method::OPTIONS, "/page").header("origin", "https://app.example");
        preflight.header("access-control-request-method", method).send()
    };
    assert_eq!(preflight("GET").expect(200).get("access-control-allow-methods"), "GET");
    assert_page(&preflight("PUT"), 403, "AccessForbidden", &[]);
    let plain = server.bucket();
    plain.request(Method::PUT).raw_query("cors").body(rules).ok();
    let preflight = self::visitor(&server, &plain).request(Method::OPTIONS, "/page");
    let preflight =
        preflight.header("origin", "https://app.example").header("access-control-request-method", "GET");
    assert_page(&preflight.send(), 404, "NoSuchWebsiteConfiguration", &[]);
    let request =
        self::visitor(&server, &plain).request(Method::GET, "/page").header("origin", "https://app.example");
    let answer = request.send();
    assert_page(&answer, 404, "NoSuchWebsiteConfiguration", &[]);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

/// RFC 9112, section 3.2.
#[test]
fn one_host_is_asked() {
    let server = start();
    let [one, other] = [server.bucket(), server.bucket()];
    for (bucket, content) in [(&one, "one"), (&other, "other")] {
        publish(bucket, INDEX);
        bucket.put("index.html", content).ok();
    }
    let visitor = visitor(&server, &one);
    let [one, other] = [&one, &other].map(|bucket| format!("{}.{DOMAIN}", bucket.name));
    let ask = |bytes: String| {
        let mut connection = visitor.connect();
        connection.send(bytes.as_bytes());
        connection.receive(&Method::GET)
    };
    assert_eq!(ask(format!("GET / HTTP/1.1\r\nhost: {one}\r\n\r\n")).expect(200).body, b"one");
    assert_eq!(
        ask(format!("GET http://{other}/ HTTP/1.1\r\nhost: {one}\r\n\r\n")).expect(200).body,
        b"other"
    );
    for hosts in [
        "".to_owned(),
        format!("host: {one}\r\nhost: {other}\r\n"),
        format!("host: {one}\r\nhost: {one}\r\n"),
    ] {
        assert_page(&ask(format!("GET / HTTP/1.1\r\n{hosts}\r\n")), 400, "InvalidRequest", &[]);
    }
}

/// The bounds of the S3 listener hold here too.
#[test]
fn what_is_not_http_does_no_harm() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    bucket.put("index.html", "content").ok();
    let visitor = visitor(&server, &bucket);
    let many = (0..400).fold(String::new(), |head, number| format!("{head}x-{number}: 1\r\n"));
    for bytes in [
        "GARBAGE\r\n\r\n".to_owned(),
        "GET /\u{0} HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(1 << 20)),
    ] {
        let mut connection = visitor.connect();
        connection.send(bytes.as_bytes());
        connection.finish_sending();
        if let Some(answer) = connection.receive_if_any(&Method::GET) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    let mut connection = visitor.connect();
    for _ in 0..3 {
        let request = visitor.request(Method::GET, "/");
        assert_eq!(request.send_over(&mut connection).expect(200).body, b"content");
        let request = visitor.request(Method::GET, "/missing");
        request.send_over(&mut connection).expect(404);
    }
}
