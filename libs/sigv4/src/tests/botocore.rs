//! Requests that botocore 1.43.11 signed: its signers on random requests, and its S3 client on daily ones.

use super::Request;

/// Method, target, time of signing, headers.
type Vector = (&'static str, &'static str, i64, &'static [(&'static str, &'static str)]);

const VECTORS: &[Vector] = &[
    (
        "PUT",
        "/b/%26%40%252F%20%25%3B%3F%E6%BC%A2.%24%29b%23cab..%3F%5C~?%22%3B0=%C3%A9%3E%5B%2C%3F%26&+%21%28~%2F%2F=%2C%29&.%2F%23%3A_X=%C3%A9",
        1_369_387_927,
        &[
            ("x-amz-meta-foob", "vEm@yF&[85CZ!BOKg"),
            ("x-amz-c", "H"),
            ("cache-controlf", "!KQ+]D"),
            ("date", "Fri, 24 May 2013 09:32:07 -0000"),
            ("x-amz-security-token", "tok/en+==10"),
            ("x-amz-content-sha256", "3a561504f9d58944bde2ec267ddbf6c48d78590713a73da37123cbcde38f9c76"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=cache-controlf;date;host;x-amz-c;x-amz-content-sha256;x-amz-meta-foob;x-amz-security-token, Signature=6610dafddd1ba2a18f77132db3c252a97a57d72dbff7d891a0736db5b6153a7b",
            ),
            ("host", "127.0.0.1:9000"),
        ],
    ),
    (
        "DELETE",
        "/b/.%2525%3B%29%2B-%20?%5B_%7B%F0%9F%98%80%60%2B=%C3%A9&%2B%7C%26~=%F0%9F%98%80+%40Z.%2F%3B%C3%A9",
        1_369_392_003,
        &[
            ("date", "Fri, 24 May 2013 10:40:03 -0000"),
            ("x-amz-security-token", "tok/en+==34"),
            ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=date;host;x-amz-content-sha256;x-amz-security-token, Signature=37236fca5b93220640abedbf23666c4091815238fe738cf18857a4990bb165ea",
            ),
            ("host", "127.0.0.1:9000"),
        ],
    ),
    (
        "GET",
        "/b/%5E%40?%2F%2F%2B%60%2B%252F=..%3E-%25..",
        1_369_356_548,
        &[
            ("ranged", "&  |b"),
            ("x-amz-a", "2d ai   # xk |xys"),
            ("x-amz-f", "&"),
            ("content-typec", ".Q Zh'q#qex@"),
            ("date", "Fri, 24 May 2013 00:49:08 -0000"),
            ("x-amz-security-token", "tok/en+==11"),
            ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=content-typec;date;host;ranged;x-amz-a;x-amz-content-sha256;x-amz-f;x-amz-security-token, Signature=67380de1e4ad330dcfebb1b74ccc2ee9f2d3e015234397af11527bdc284e8977",
            ),
            ("host", "bucket.s3.example.com:8443"),
        ],
    ),
    (
        "POST",
        "/b/%2A%21%3Ec%F0%9F%98%80%28///%2A%E6%BC%A2%2C~a?%3FY+%3E~=%2525~%21%3C&%23=0%7B%3E%7B",
        1_369_438_425,
        &[
            ("x-amz-a", "_Vv(m3S'"),
            ("x-amz-date", "20130524T233345Z"),
            ("x-amz-content-sha256", "dcd1cc3d75bb569b620f60e6169c77ef68c2a2e3bfdb572cfda3a2284c119803"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-a;x-amz-content-sha256;x-amz-date, Signature=d6870337abb14838efbe028586bcbe06efe90d2debf445c8ee54a722d99ba974",
            ),
            ("host", "s3.example.com"),
        ],
    ),
    (
        "DELETE",
        "/b/%C3%A9%21a%3E%5E.%23?%7B%5D=9%F0%9F%98%80%3F%7B%7D&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T082405Z&X-Amz-Expires=586439&X-Amz-SignedHeaders=host&X-Amz-Security-Token=tok%2Fen%2B%3D%3D3&X-Amz-Signature=4000aed3960fea97d977dff16c713258e971deef8937411882ec3765b226c3dd",
        1_369_383_845,
        &[("host", "127.0.0.1:9000")],
    ),
    (
        "PUT",
        "/b/%23%5D_%25%20%F0%9F%98%80%21%3E_1%7C%2525Z%3E%2B%F0%9F%98%80?0%7C%27%290%2C=.%2FZ%3A%7Db%2A&%26=%3A%5B%3F_&%7C%21%3C=%5B%60&%F0%9F%98%80%252F%60%7Dc%29=%40-%3B%C3%A9%5C&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T064305Z&X-Amz-Expires=456050&X-Amz-SignedHeaders=host%3Bx-amz-b%3Bx-custom-e&X-Amz-Signature=7bb17ccd532120ded14b18fffc3288606e9760b677a82cd08022aa4aad930435",
        1_369_377_785,
        &[("x-amz-b", "\\Yy Ak"), ("x-custom-e", "\\s z?a9CG {"), ("host", "bucket.s3.example.com:8443")],
    ),
    (
        "PUT",
        "/bkt/dir/a%20b%2Bc~%C3%A9//x%252F%281%29%27%21%2A.txt",
        1_369_365_945,
        &[
            ("x-amz-meta-a", "x  y"),
            ("x-amz-meta-b", "z"),
            ("content-type", "text/plain; charset=utf-8"),
            ("x-amz-tagging", "a=b&c=d"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("x-amz-date", "20130524T032545Z"),
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=content-encoding;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-meta-a;x-amz-meta-b;x-amz-sdk-checksum-algorithm;x-amz-tagging;x-amz-trailer, Signature=87c8a3b3b262ba34de2916559f35833742e8c1c243d0a49d31ea4c37a0ceb9c4",
            ),
            ("host", "s3.example.com:9000"),
        ],
    ),
    (
        "PUT",
        "/bkt/k",
        1_369_365_945,
        &[
            ("x-amz-copy-source", "o/dir/a%20b%2Bc~%C3%A9//x%252F%281%29%27%21%2A.txt?versionId=v1"),
            ("x-amz-date", "20130524T032545Z"),
            ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-copy-source;x-amz-date, Signature=cb8836f861f6ca648dc7cad9a3b757fe52753507d42d44d2d1aeb929a5659f68",
            ),
            ("host", "s3.example.com:9000"),
        ],
    ),
    (
        "GET",
        "/bkt?list-type=2&prefix=a%20b%2F%C3%A9%2B%26%3D%25&delimiter=%2F&start-after=~%2A&max-keys=7&encoding-type=url",
        1_369_365_945,
        &[
            ("x-amz-date", "20130524T032545Z"),
            ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=910e6df13329b2933a24052fdb40c94c61fddd1aca8f983ae11e593fba42192b",
            ),
            ("host", "s3.example.com:9000"),
        ],
    ),
    (
        "POST",
        "/?delete",
        1_369_365_945,
        &[
            ("x-amz-checksum-crc32", "Ufrckg=="),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("x-amz-date", "20130524T032545Z"),
            ("x-amz-content-sha256", "c56dec4733e7bee38d2a34d5463d5581fc5dbe823eddb38eeb8972faa4b697c6"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;x-amz-sdk-checksum-algorithm, Signature=e9c196357dde953555ec74eb58bde5d0468045755914273f76138dd4d768810c",
            ),
            ("host", "bkt.s3.example.com:9000"),
        ],
    ),
    (
        "GET",
        "/bkt/dir/a%20b%2Bc~%C3%A9//x%252F%281%29%27%21%2A.txt?response-content-disposition=attachment%3B%20filename%3D%22a%20b.txt%22&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T032545Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host%3Brange&X-Amz-Signature=e44e3b5718e91d92222dbf234034d1d3120527d2e4adcb51096071e15efeca59",
        1_369_365_945,
        &[("range", "bytes=0-9"), ("host", "s3.example.com:9000")],
    ),
    (
        "PUT",
        "/bkt/dir/a%20b%2Bc~%C3%A9//x%252F%281%29%27%21%2A.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T032545Z&X-Amz-Expires=600&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-meta-a&X-Amz-Signature=c904e854a4e6d3be96c41226cfccff467bbca5b97499db1796f628e4120fe6d3",
        1_369_365_945,
        &[("x-amz-meta-a", "b"), ("content-type", "x/y"), ("host", "s3.example.com:9000")],
    ),
];

#[test]
fn what_botocore_signs_verifies() {
    for (method, target, now, headers) in VECTORS {
        let verified = Request::new(method, target, headers).verify_at(*now);
        assert!(verified.is_ok(), "{method} {target}: {verified:?}");
    }
}

// The table's other half: each of these signatures is bound to its request.
#[test]
fn what_botocore_signs_is_bound_to_its_path() {
    for (method, target, now, headers) in VECTORS {
        let mut request = Request::new(method, target, headers);
        request.path.push('/');
        assert!(request.verify_at(*now).is_err(), "{method} {target}");
    }
}
