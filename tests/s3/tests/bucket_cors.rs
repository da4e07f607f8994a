//! GetBucketCors, PutBucketCors, DeleteBucketCors, preflights, and what answers say to browsers.

use harness::{Bucket, Request, Response, Server};
use http::Method;

const RULES: &str = "<CORSConfiguration>\
    <CORSRule><ID>app</ID><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
    <AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Authorization</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-version-id</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>\
    <CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod></CORSRule></CORSConfiguration>";

fn cors(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("cors")
}

fn preflight(bucket: &Bucket, origin: &str, method: &str, headers: &str) -> Response {
    let request = bucket.object(Method::OPTIONS, "key").anonymous().unsigned_header("origin", origin);
    let request = request.unsigned_header("access-control-request-method", method);
    if headers.is_empty() {
        request.send()
    } else {
        request.unsigned_header("access-control-request-headers", headers).send()
    }
}

#[test]
fn rules_are_kept_and_deleted() {
    let server = Server::start();
    let bucket = server.bucket();
    cors(&bucket, Method::GET).refused(404, "NoSuchCORSConfiguration");
    cors(&bucket, Method::PUT).body(RULES).ok();
    let found = cors(&bucket, Method::GET).ok().xml();
    assert_eq!(found.all("CORSRule/AllowedOrigin"), ["https://*.example.com", "*"]);
    assert_eq!(found.all("CORSRule/AllowedMethod"), ["GET", "PUT", "HEAD"]);
    assert_eq!(found.all("CORSRule/AllowedHeader"), ["x-amz-*", "Authorization"]);
    assert_eq!(found.all("CORSRule/ExposeHeader"), ["ETag", "x-amz-version-id"]);
    assert_eq!(found.all("CORSRule/MaxAgeSeconds"), ["3000"]);
    for bad in ["<CORSConfiguration/>", "<Other/>"] {
        cors(&bucket, Method::PUT).body(bad).refused(400, "MalformedXML");
    }
    let error = cors(&server.bucket(), Method::GET).refused(404, "NoSuchCORSConfiguration");
    assert!(error.get("BucketName").len() > 2);
    let nobody = server.bucket();
    let empty = "<CORSConfiguration><CORSRule><AllowedOrigin/><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    cors(&nobody, Method::PUT).body(empty).ok();
    assert_eq!(cors(&nobody, Method::GET).ok().xml().all("CORSRule/AllowedOrigin"), [""]);
    preflight(&nobody, "http://a", "GET", "").expect_error(403, "AccessForbidden");
    let patch = RULES.replace(">PUT<", ">PATCH<");
    cors(&bucket, Method::PUT).body(patch).refused(400, "InvalidRequest");
    assert_eq!(cors(&bucket, Method::GET).ok().xml().all("CORSRule/ID"), ["app"]);
    for _ in 0..2 {
        cors(&bucket, Method::DELETE).send().expect(204);
        cors(&bucket, Method::GET).refused(404, "NoSuchCORSConfiguration");
    }
    cors(&server.client().existing_bucket("missing"), Method::GET).refused(404, "NoSuchBucket");
}

#[test]
fn preflights_are_answered_by_the_rules_without_credentials() {
    let server = Server::start();
    let bucket = server.bucket();
    let missing = server.client().existing_bucket("missing");
    let without_method = |bucket: &Bucket| {
        let request = bucket.object(Method::OPTIONS, "key").anonymous();
        request.unsigned_header("origin", "https://a.example.com").send()
    };
    // Without rules, and without a bucket, there is nothing to ask for.
    for (bucket, message) in [
        (&bucket, "CORSResponse: CORS is not enabled for this bucket."),
        (&missing, "CORSResponse: Bucket not found"),
    ] {
        for (answer, method) in [
            (preflight(bucket, "https://a.example.com", "GET", ""), "GET"),
            (preflight(bucket, "https://a.example.com", "PATCH", ""), "PATCH"),
            (without_method(bucket), "OPTIONS"),
        ] {
            let error = answer.expect_error(403, "AccessForbidden");
            assert_eq!(
                (error.get("Message"), error.get("Method"), error.get("ResourceType")),
                (message, method, "BUCKET")
            );
        }
        bucket.object(Method::OPTIONS, "key").anonymous().send().expect_error(400, "BadRequest");
    }
    cors(&bucket, Method::PUT).body(RULES).ok();
    let allowed = preflight(&bucket, "https://a.example.com", "PUT", "X-Amz-Date, authorization").expect(200);
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example.com"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "x-amz-date, authorization"),
        ("access-control-expose-headers", "ETag, x-amz-version-id"),
        ("access-control-max-age", "3000"),
        ("access-control-allow-credentials", "true"),
        ("vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"),
    ] {
        assert_eq!(allowed.get(name), value, "{name}");
    }
    let anyone = preflight(&bucket, "null", "HEAD", "").expect(200);
    assert_eq!(anyone.get("access-control-allow-origin"), "*");
    assert_eq!(anyone.header("access-control-allow-credentials"), None);
    for (origin, method, headers) in [
        ("https://example.com", "GET", ""),
        ("http://a.example.com", "GET", ""),
        ("https://a.example.com", "DELETE", ""),
        ("https://a.example.com", "PUT", "content-type"),
    ] {
        let refused = preflight(&bucket, origin, method, headers);
        let error = refused.expect_error(403, "AccessForbidden");
        assert_eq!((error.get("Method"), error.get("ResourceType")), (method, "OBJECT"));
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
    preflight(&bucket, "https://a.example.com", "PATCH", "").expect_error(400, "BadRequest");
    bucket.object(Method::OPTIONS, "key").anonymous().send().expect_error(400, "BadRequest");
    without_method(&bucket).expect_error(400, "BadRequest");
    let of_bucket = bucket.request(Method::OPTIONS).anonymous().unsigned_header("origin", "http://elsewhere");
    let of_bucket = of_bucket.unsigned_header("access-control-request-method", "GET").send();
    assert_eq!(of_bucket.expect_error(403, "AccessForbidden").get("ResourceType"), "BUCKET");
}

/// Also refusals are shown to the script, which could not tell them from a broken connection otherwise.
#[test]
fn answers_say_whether_the_script_may_read_them() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    cors(&bucket, Method::PUT).body(RULES).ok();
    let from = |request: Request, origin: &str| request.unsigned_header("origin", origin).send();
    let good = "https://a.example.com";
    for (request, status) in
        [(bucket.get("key"), 200), (bucket.get("missing"), 404), (bucket.get("key").anonymous(), 403)]
    {
        let answer = from(request, good).expect(status);
        assert_eq!(answer.get("access-control-allow-origin"), good);
        assert_eq!(answer.get("access-control-expose-headers"), "ETag, x-amz-version-id");
        assert_eq!(answer.get("access-control-max-age"), "3000");
        assert!(answer.get("vary").starts_with("Origin"));
    }
    // One that says what a preflight would is held to it.
    let asking =
        |name: &str, value: &str| from(bucket.get("key").unsigned_header(name, value), good).expect(200);
    for answer in [
        asking("access-control-request-method", "PUT"),
        asking("access-control-request-headers", "x-amz-date, Authorization"),
    ] {
        assert_eq!(answer.get("access-control-allow-origin"), good);
        assert_eq!(answer.header("access-control-allow-headers"), None);
    }
    for answer in [
        asking("access-control-request-method", "DELETE"),
        asking("access-control-request-method", "nonsense"),
        asking("access-control-request-headers", "x-amz-date, content-type"),
    ] {
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    for answer in [
        from(bucket.get("key"), "https://elsewhere.org").expect(200),
        from(bucket.delete("key"), good).expect(204),
        bucket.get("key").send().expect(404),
    ] {
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
