use super::{Style, address, website_bucket, website_key};
use crate::ErrorCode;

const DOMAINS: [&str; 2] = ["s3.example.com", "example.com"];

fn parts(host: &str, path: &str) -> (Option<String>, Option<String>, Style) {
    let address = address(Some(host), &DOMAINS, path).unwrap_or_else(|e| panic!("{host}{path}: {e}"));
    (address.bucket.map(|b| b.to_string()), address.key.map(|k| k.to_string()), address.style)
}

#[test]
fn path_style_names_the_bucket_first() {
    for host in [
        "s3.example.com",
        "S3.Example.Com:9000",
        "s3.example.com.",
        "127.0.0.1:9000",
        "[::1]:9000",
        "[::1]",
        "::1",
        "localhost",
        "other.org",
        "",
    ] {
        for (path, bucket, key) in [
            ("/", None, None),
            ("", None, None),
            ("//", None, None),
            ("/my-bucket", Some("my-bucket"), None),
            ("/my-bucket/", Some("my-bucket"), None),
            ("/my-bucket/a", Some("my-bucket"), Some("a")),
            ("/my-bucket//", Some("my-bucket"), Some("/")),
            ("/my-bucket//a", Some("my-bucket"), Some("/a")),
            ("/my-bucket/a//b/", Some("my-bucket"), Some("a//b/")),
            ("/my-bucket/../a/./b", Some("my-bucket"), Some("../a/./b")),
            ("/my%2Dbucket/a%2Fb", Some("my-bucket"), Some("a/b")),
            ("/my-bucket/a%252Fb", Some("my-bucket"), Some("a%2Fb")),
            ("/my-bucket/a+b%2B%20", Some("my-bucket"), Some("a+b+ ")),
            ("/my-bucket/%F0%9F%98%80%0A", Some("my-bucket"), Some("😀\n")),
        ] {
            let expected = (bucket.map(str::to_owned), key.map(str::to_owned), Style::Path);
            assert_eq!(parts(host, path), expected, "{host} {path}");
        }
    }
}

#[test]
fn virtual_hosts_name_the_bucket_before_the_longest_base_domain() {
    for (host, path, bucket, key) in [
        ("my-bucket.s3.example.com", "/", "my-bucket", None),
        ("MY-bucket.S3.example.com:9000", "/a/b", "my-bucket", Some("a/b")),
        ("my.dotted.bucket.s3.example.com", "//a", "my.dotted.bucket", Some("/a")),
        ("my-bucket.example.com", "/other/a", "my-bucket", Some("other/a")),
    ] {
        let expected = (Some(bucket.to_owned()), key.map(str::to_owned), Style::VirtualHost);
        assert_eq!(parts(host, path), expected, "{host} {path}");
    }
}

#[test]
fn without_base_domains_every_host_is_path_style() {
    let address = address(Some("my-bucket.s3.example.com"), &[] as &[&str], "/other/a").expect("valid");
    assert_eq!(address.bucket.map(|b| b.to_string()).as_deref(), Some("other"));
}

#[test]
fn bad_addresses_have_the_errors_of_s3() {
    let long = format!("/bucket/{}", "k".repeat(1025));
    let escaped = format!("/bucket/{}", "%41".repeat(1024));
    for (host, path, code) in [
        ("h", "/ab", Some(ErrorCode::InvalidBucketName)),
        ("h", "/Bad_Name/key", Some(ErrorCode::InvalidBucketName)),
        ("h", "//key", Some(ErrorCode::InvalidBucketName)),
        ("h", "/%ff%fe%fd/key", Some(ErrorCode::InvalidBucketName)),
        ("under_score.s3.example.com", "/", Some(ErrorCode::InvalidBucketName)),
        ("h", long.as_str(), Some(ErrorCode::KeyTooLongError)),
        ("h", escaped.as_str(), None),
        ("h", "/bucket/%ff", Some(ErrorCode::InvalidURI)),
        ("h", "/bucket/%4", Some(ErrorCode::InvalidURI)),
        ("h", "/buc%ket", Some(ErrorCode::InvalidURI)),
        ("h", "/WriteGetObjectResponse", Some(ErrorCode::NotImplemented)),
    ] {
        let error = address(Some(host), &DOMAINS, path).err().map(|e| e.code);
        assert_eq!(error, code, "{host} {path}");
    }
}

#[test]
fn a_website_is_named_by_its_host_alone() {
    for (host, path, bucket, key) in [
        ("my-bucket.s3.example.com", "/", "my-bucket", None),
        ("my-bucket.s3.example.com:8080", "", "my-bucket", None),
        ("My-Bucket.S3.example.com.", "/other/a", "my-bucket", Some("other/a")),
        ("www.example.org", "//", "www.example.org", Some("/")),
        ("www.example.org:80", "/a%2Fb%252F", "www.example.org", Some("a/b%2F")),
        ("s3.example.com", "/../a", "s3.example.com", Some("../a")),
        ("a.b.s3.example.com", "/a/", "a.b", Some("a/")),
    ] {
        assert_eq!(website_bucket(host, &DOMAINS).expect(host).as_str(), bucket, "{host}");
        assert_eq!(website_key(path).expect(path).as_ref().map(types::ObjectKey::as_str), key, "{path}");
    }
    for (host, path, code) in [
        ("", "/", ErrorCode::NoSuchBucket),
        ("127.0.0.1:9000", "/", ErrorCode::NoSuchBucket),
        ("[::1]:9000", "/", ErrorCode::NoSuchBucket),
        ("under_score.s3.example.com", "/", ErrorCode::NoSuchBucket),
        (".s3.example.com", "/", ErrorCode::NoSuchBucket),
        ("my-bucket", "/%ff", ErrorCode::InvalidURI),
        ("my-bucket", "/%4", ErrorCode::InvalidURI),
    ] {
        let error =
            website_bucket(host, &DOMAINS).and_then(|_| website_key(path)).map_err(|error| error.code);
        assert_eq!(error, Err(code), "{host} {path}");
    }
}
