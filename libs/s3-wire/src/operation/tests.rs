use std::collections::HashSet;

use http::{HeaderMap, HeaderValue, Method};

use super::{
    Kind, Operation, ROUTES, Resource, RouteInput, SUBRESOURCES_OF_OTHERS, Signal, recognise, route,
};
use crate::{ErrorCode, S3Error, query::Query};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

fn ask(method: &Method, resource: Resource, query: &str, headers: &HeaderMap) -> Result<Operation, S3Error> {
    let query = Query::parse(query).expect("a valid query");
    let input = RouteInput {
        method,
        has_bucket: resource != Resource::Service,
        has_key: resource == Resource::Object,
        query: &query,
        headers,
    };
    recognise(&input).inspect(|operation| match (operation.kind(), route(&input)) {
        (Kind::Supported | Kind::Default, routed) => assert_eq!(routed.as_ref(), Ok(operation)),
        (Kind::Refused, routed) => {
            let error = routed.expect_err("refused");
            assert_eq!(error.code, ErrorCode::NotImplemented);
            assert!(error.message.contains(operation.name()), "{error}");
        }
    })
}

#[test]
fn every_route_leads_to_its_operation() {
    for entry in ROUTES {
        let (mut query, mut pairs) = (entry.subresource.unwrap_or_default().to_owned(), Vec::new());
        match entry.signal {
            Signal::None => {}
            Signal::Parameter(name) => query += &format!("&{name}=1"),
            Signal::Value(name, value) => query += &format!("&{name}={value}"),
            Signal::CopySource => pairs.push(("x-amz-copy-source", "b/k")),
            Signal::ParameterAndCopySource(name) => {
                query += &format!("&{name}=1");
                pairs.push(("x-amz-copy-source", "b/k"));
            }
            Signal::Form => pairs.push(("content-type", "Multipart/Form-Data; boundary=x")),
        }
        let answer = ask(&entry.method, entry.operation.resource(), &query, &headers(&pairs));
        assert_eq!(answer, Ok(entry.operation), "{entry:?}");
        // Unknown parameters take no part.
        let answer =
            ask(&entry.method, entry.operation.resource(), &format!("a=b&{query}&zz=1"), &headers(&pairs));
        assert_eq!(answer, Ok(entry.operation), "{entry:?}");
    }
}

#[test]
fn every_operation_has_a_route() {
    let routed: HashSet<Operation> = ROUTES.iter().map(|route| route.operation).collect();
    for operation in Operation::ALL {
        // Its address is no bucket's; `address` recognises it.
        let by_path = *operation == Operation::WriteGetObjectResponse;
        assert!(by_path || routed.contains(operation), "{}", operation.name());
    }
    let names: HashSet<&str> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    assert_eq!(names.len(), Operation::ALL.len());
}

#[test]
fn the_daily_job_is_supported() {
    let supported = Operation::ALL.iter().filter(|operation| operation.kind() == Kind::Supported);
    assert_eq!(supported.count(), 72);
}

#[test]
fn no_subresource_falls_through_to_the_resource_itself() {
    let plain: HashSet<Operation> =
        ROUTES.iter().filter(|route| route.subresource.is_none()).map(|route| route.operation).collect();
    let subresources: HashSet<&str> = ROUTES.iter().filter_map(|route| route.subresource).collect();
    for name in subresources {
        for resource in [Resource::Bucket, Resource::Object] {
            for method in
                [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::PATCH]
            {
                for query in [name.to_owned(), format!("{name}=&prefix=a"), format!("list-type=2&{name}=x")] {
                    if let Ok(operation) = ask(&method, resource, &query, &HeaderMap::new()) {
                        assert!(!plain.contains(&operation), "{method} {resource:?} {query}: {operation:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn requests_of_real_clients() {
    let none = HeaderMap::new();
    let copy = headers(&[("x-amz-copy-source", "/b/k")]);
    for (method, resource, query, headers, operation) in [
        (Method::GET, Resource::Service, "x-id=ListBuckets", &none, Operation::ListBuckets),
        (Method::GET, Resource::Bucket, "", &none, Operation::ListObjects),
        (Method::GET, Resource::Bucket, "list-type=1&prefix=a", &none, Operation::ListObjects),
        (Method::GET, Resource::Bucket, "list-type=2&encoding-type=url", &none, Operation::ListObjectsV2),
        (Method::GET, Resource::Bucket, "versions&key-marker=a", &none, Operation::ListObjectVersions),
        (Method::GET, Resource::Bucket, "object-lock=", &none, Operation::GetObjectLockConfiguration),
        (Method::GET, Resource::Object, "partNumber=3", &none, Operation::GetObject),
        (
            Method::GET,
            Resource::Object,
            "versionId=null&response-content-type=a",
            &none,
            Operation::GetObject,
        ),
        (Method::GET, Resource::Object, "x-id=GetObject&X-Amz-Signature=1", &none, Operation::GetObject),
        (Method::GET, Resource::Object, "uploadId=1&part-number-marker=2", &none, Operation::ListParts),
        (Method::PUT, Resource::Object, "x-id=PutObject", &none, Operation::PutObject),
        (Method::PUT, Resource::Object, "x-id=CopyObject", &copy, Operation::CopyObject),
        (Method::PUT, Resource::Object, "partNumber=1&uploadId=2", &none, Operation::UploadPart),
        (Method::PUT, Resource::Object, "uploadId=2&partNumber=1", &copy, Operation::UploadPartCopy),
        (Method::POST, Resource::Object, "select&select-type=2", &none, Operation::SelectObjectContent),
        (Method::PUT, Resource::Object, "tagging", &copy, Operation::PutObjectTagging),
        (Method::PUT, Resource::Object, "tagging&versionId=1", &none, Operation::PutObjectTagging),
        (Method::DELETE, Resource::Object, "versionId=1", &none, Operation::DeleteObject),
        (Method::POST, Resource::Object, "restore&versionId=1", &none, Operation::RestoreObject),
    ] {
        assert_eq!(ask(&method, resource, query, headers), Ok(operation), "{method} {query}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let none = HeaderMap::new();
    for (method, resource, query, code) in [
        (Method::POST, Resource::Service, "", ErrorCode::MethodNotAllowed),
        (Method::PUT, Resource::Service, "", ErrorCode::MethodNotAllowed),
        (Method::OPTIONS, Resource::Service, "", ErrorCode::MethodNotAllowed),
        (Method::OPTIONS, Resource::Object, "", ErrorCode::AccessForbidden),
        (Method::PATCH, Resource::Object, "", ErrorCode::MethodNotAllowed),
        (Method::POST, Resource::Object, "", ErrorCode::MethodNotAllowed),
        (Method::POST, Resource::Bucket, "", ErrorCode::PreconditionFailed),
        (Method::PUT, Resource::Object, "versionId=1", ErrorCode::InvalidArgument),
        (Method::PUT, Resource::Object, "versionId=", ErrorCode::InvalidArgument),
        (Method::POST, Resource::Object, "uploads&versionId=1", ErrorCode::InvalidArgument),
        (Method::PUT, Resource::Object, "partNumber=1&uploadId=2&versionId=3", ErrorCode::InvalidArgument),
        (Method::DELETE, Resource::Bucket, "acl", ErrorCode::MethodNotAllowed),
        (Method::HEAD, Resource::Object, "acl", ErrorCode::MethodNotAllowed),
        (Method::PUT, Resource::Bucket, "location", ErrorCode::MethodNotAllowed),
        (Method::GET, Resource::Object, "versions", ErrorCode::InvalidArgument),
        (Method::GET, Resource::Bucket, "torrent", ErrorCode::InvalidArgument),
        (Method::GET, Resource::Bucket, "acl&policy", ErrorCode::InvalidArgument),
        (Method::GET, Resource::Bucket, "versions&uploads", ErrorCode::InvalidArgument),
        (Method::PUT, Resource::Object, "uploadId=1", ErrorCode::InvalidArgument),
        (Method::PUT, Resource::Object, "partNumber=1", ErrorCode::InvalidArgument),
    ] {
        let error = ask(&method, resource, query, &none).expect_err(query);
        assert_eq!(error.code, code, "{method} {query}");
    }
    let error = ask(&Method::POST, Resource::Object, "", &none).expect_err("refused");
    assert_eq!(error.headers[0].1, "GET, HEAD, PUT, DELETE");
    let error = ask(&Method::HEAD, Resource::Bucket, "delete", &none).expect_err("refused");
    assert_eq!(error.headers[0].1, "POST");
}

/// `DELETE /bucket?publicaccessblock` must not delete the bucket.
#[test]
fn a_subresource_that_is_unknown_is_not_taken_for_the_bucket_or_the_object() {
    let none = HeaderMap::new();
    let routed = |method: &Method, has_key, query: &'static str| {
        let query = Query::parse(query).expect("a valid query");
        route(&RouteInput { method, has_bucket: true, has_key, query: &query, headers: &none })
    };
    for (method, has_key, query, name) in [
        (Method::DELETE, false, "publicaccessblock", Some("publicaccessblock")),
        (Method::DELETE, false, "PolicyStatus=", Some("PolicyStatus")),
        (Method::DELETE, true, "a=b&word", Some("word")),
        (Method::PUT, false, "events", Some("events")),
        (Method::PUT, true, "Tagging", Some("Tagging")),
        (Method::PUT, true, "x=&y=1", Some("x")),
        (Method::POST, false, "delete&word", Some("word")),
        (Method::GET, false, "events", Some("events")),
        (Method::GET, false, "Versions=", Some("Versions")),
        (Method::GET, true, "lambdaArn", Some("lambdaArn")),
        (Method::HEAD, false, "replication-metrics", Some("replication-metrics")),
        (Method::GET, false, "word&prefix=&delimiter=&marker", None),
        (Method::GET, false, "list-type=2&metadata=true", None),
        (Method::GET, true, "lambdaArn=arn", None),
        (Method::PUT, true, "x-id=PutObject", None),
        (Method::PUT, true, "x-id&X-Custom=&=&word=1", None),
        (Method::PUT, true, "partNumber=&uploadId=", None),
        (Method::DELETE, true, "versionId=", None),
        (Method::PUT, true, "word&X-Amz-Signature=1", None),
        (Method::PUT, true, "word&Signature=1", None),
    ] {
        match (routed(&method, has_key, query), name) {
            (Ok(_), None) => {}
            (Err(error), Some(name)) => {
                assert_eq!(error.code, ErrorCode::NotImplemented, "{method} {query}");
                assert_eq!(error.fields, [("Parameter", name.to_owned())], "{method} {query}");
            }
            (answer, _) => panic!("{method} {query}: {answer:?}"),
        }
    }
    for name in SUBRESOURCES_OF_OTHERS {
        let known = ROUTES.iter().any(|route| route.subresource == Some(name));
        assert!(!known, "{name} is one of S3");
    }
}

#[test]
fn an_append_is_not_taken_for_a_put() {
    let append = headers(&[("x-amz-write-offset-bytes", "5")]);
    let query = Query::default();
    let input =
        RouteInput { method: &Method::PUT, has_bucket: true, has_key: true, query: &query, headers: &append };
    assert_eq!(route(&input).expect_err("refused").code, ErrorCode::NotImplemented);
}

/// Whatever is answered is answered to somebody who was allowed it.
#[test]
fn every_operation_that_is_not_refused_has_an_action() {
    for operation in Operation::ALL {
        assert_eq!(operation.action().is_none(), operation.kind() == Kind::Refused, "{}", operation.name());
    }
}
