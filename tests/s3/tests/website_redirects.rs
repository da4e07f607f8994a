//! Websites that send their visitors elsewhere: by an object, by rules, or with everything. Expectations come from the Amazon S3 User Guide,
//! "(Optional) Configuring a webpage redirect".

use http::Method;

use crate::websites::{DOMAIN, INDEX, assert_redirect, publish, start, visitor, with_rules};

#[test]
fn objects_can_be_redirects() {
    let server = start();
    let bucket = server.bucket();
    publish(&bucket, INDEX);
    let redirect = "x-amz-website-redirect-location";
    for (key, location) in [
        ("old", "/new"),
        ("away", "https://example.org/a%20b?c=d#e"),
        ("folder/index.html", "/f"),
        ("odd", "/caf\u{e9} x"),
    ] {
        bucket.put(key, "not shown").header(redirect, location).ok();
    }
    let visitor = visitor(&server, &bucket);
    for (path, location) in [
        ("/old", "/new"),
        ("/old?x=1", "/new"),
        ("/away", "https://example.org/a%20b?c=d#e"),
        ("/folder/", "/f"),
        ("/odd", "/caf%C3%A9%20x"),
    ] {
        assert_redirect(&visitor.get(path), 301, location);
        assert_redirect(&visitor.head(path), 301, location);
    }
    let etag = bucket.head("old").ok().etag().to_owned();
    for (name, value) in
        [("range", "bytes=100-"), ("range", "bytes=0-1"), ("if-none-match", &etag), ("if-match", "\"other\"")]
    {
        let answer = visitor.request(Method::GET, "/old").header(name, value).send();
        assert_redirect(&answer, 301, "/new");
    }
    // S3 itself answers with the object.
    assert_eq!(bucket.get("old").ok().body, b"not shown");
}

#[test]
fn everything_can_be_redirected() {
    let server = start();
    let bucket = server.bucket();
    bucket.put("index.html", "not shown").ok();
    let visitor = visitor(&server, &bucket);
    for (protocol, scheme) in [("", "http"), ("<Protocol>https</Protocol>", "https")] {
        publish(
            &bucket,
            &format!(
                "<RedirectAllRequestsTo><HostName>example.org</HostName>{protocol}</RedirectAllRequestsTo>"
            ),
        );
        for path in ["/", "/index.html", "/a%2Fb//../c?x=1&y=%20", "//evil.example/", "/%0d%0aset-cookie:a=b"]
        {
            assert_redirect(&visitor.get(path), 301, &format!("{scheme}://example.org{path}"));
        }
        // Nor need the path be a key.
        for path in ["/caf%E9".to_owned(), "/%zz".to_owned(), format!("/{}", "x".repeat(1025))] {
            assert_redirect(&visitor.get(&path), 301, &format!("{scheme}://example.org{path}"));
        }
    }
    publish(
        &bucket,
        "<RedirectAllRequestsTo><HostName>a&#13;&#10;Set-Cookie: b</HostName></RedirectAllRequestsTo>",
    );
    assert_redirect(&visitor.get("/"), 301, "http://a%0D%0ASet-Cookie:%20b/");
}

#[test]
fn rules_redirect_before_and_after_the_object_is_looked_for() {
    let server = start();
    let bucket = server.bucket();
    for key in ["docs/a", "images/a", "secret/a"] {
        bucket.put(key, key).ok();
    }
    bucket.put("error.html", "lost").ok();
    let prefix = |prefix: &str| format!("<KeyPrefixEquals>{prefix}</KeyPrefixEquals>");
    let code = |code: u16| format!("<HttpErrorCodeReturnedEquals>{code}</HttpErrorCodeReturnedEquals>");
    let rule = |condition: &str, redirect: &str| {
        format!("<Condition>{condition}</Condition><Redirect>{redirect}</Redirect>")
    };
    publish(
        &bucket,
        &with_rules(&[
            &rule(&prefix("docs/"), "<ReplaceKeyPrefixWith>documents/</ReplaceKeyPrefixWith>"),
            &rule(
                &(prefix("images/") + &code(404)),
                "<ReplaceKeyWith>no-image.png</ReplaceKeyWith><HttpRedirectCode>302</HttpRedirectCode>",
            ),
            &rule(
                &prefix("shop/"),
                "<HostName>shop.example.org</HostName><Protocol>https</Protocol><ReplaceKeyPrefixWith/>",
            ),
            &rule(
                &prefix("inject/"),
                "<ReplaceKeyWith>a&#13;&#10;Set-Cookie: b=c&#13;&#10;&#13;&#10;body</ReplaceKeyWith>",
            ),
            &rule(
                &(prefix("find/") + &code(404)),
                "<ReplaceKeyPrefixWith>search?key=</ReplaceKeyPrefixWith><HttpRedirectCode>307</HttpRedirectCode>",
            ),
        ]),
    );
    let visitor = visitor(&server, &bucket);
    let own = format!("http://{}.{DOMAIN}", bucket.name);
    for (path, status, location) in [
        ("/docs/a", 301, format!("{own}/documents/a")),
        ("/docs/", 301, format!("{own}/documents/")),
        ("/docs/a%20b?x=1", 301, format!("{own}/documents/a%20b?x=1")),
        ("/docs/%0d%0aSet-Cookie:a", 301, format!("{own}/documents/%0D%0ASet-Cookie%3Aa")),
        ("/images/missing", 302, format!("{own}/no-image.png")),
        ("/images/", 302, format!("{own}/no-image.png")),
        ("/shop/cart", 301, "https://shop.example.org/cart".to_owned()),
        ("/inject/", 301, format!("{own}/a%0D%0ASet-Cookie:%20b=c%0D%0A%0D%0Abody")),
        ("/find/a&b", 307, format!("{own}/search?key=a%26b")),
    ] {
        assert_redirect(&visitor.get(path), status, &location);
        let head = visitor.head(path);
        assert_redirect(&head, status, &location);
        assert_eq!(head.header("set-cookie"), None);
    }
    assert_eq!(visitor.get("/images/a").expect(200).body, b"images/a");
    // No rule is for these: the page for errors is left.
    for path in ["/docs", "/other", "/Docs/a"] {
        let answer = visitor.get(path);
        assert_eq!((answer.status, &answer.body[..]), (404, &b"lost"[..]), "{path}");
    }
    let elsewhere = server.visitor(&format!("{}.other.example.com:8080", bucket.name)).get("/docs/a");
    assert_redirect(&elsewhere, 301, &format!("http://{}.other.example.com:8080/documents/a", bucket.name));

    publish(&bucket, &with_rules(&["<Redirect><HostName>example.org</HostName></Redirect>"]));
    assert_redirect(&visitor.get("/docs/a"), 301, "http://example.org/docs/a");
    assert_redirect(&visitor.get("/"), 301, "http://example.org/");
}
