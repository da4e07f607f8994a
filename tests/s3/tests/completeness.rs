//! Tests that walk the table of operations and fail when one has been forgotten.

use std::{
    collections::HashSet,
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use harness::{Bucket, Request, Server};
use http::Method;
use s3_wire::{
    Operation,
    operation::{Kind, ROUTES, Resource, Route, Signal},
};

/// A form with nothing but a key and an empty file.
const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nkey\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n--x--\r\n";

/// `PutObject` as `put_object`; a digit begins no word (`list_objects_v2`).
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

/// The file in which an operation's tests are: its own, or that of its sub-resource.
fn file_name(operation: Operation) -> String {
    use Operation as Op;
    let shared = match operation {
        Op::GetBucketAcl | Op::PutBucketAcl | Op::GetObjectAcl | Op::PutObjectAcl => "access_control",
        Op::GetBucketOwnershipControls
        | Op::PutBucketOwnershipControls
        | Op::DeleteBucketOwnershipControls => "access_control",
        Op::GetPublicAccessBlock | Op::PutPublicAccessBlock | Op::DeletePublicAccessBlock => {
            "public_access_block"
        }
        Op::GetBucketEncryption | Op::PutBucketEncryption | Op::DeleteBucketEncryption => "bucket_encryption",
        Op::GetBucketCors | Op::PutBucketCors | Op::DeleteBucketCors => "bucket_cors",
        Op::GetBucketLifecycleConfiguration
        | Op::PutBucketLifecycleConfiguration
        | Op::DeleteBucketLifecycle => "bucket_lifecycle",
        Op::GetBucketPolicy | Op::PutBucketPolicy | Op::DeleteBucketPolicy | Op::GetBucketPolicyStatus => {
            "bucket_policy"
        }
        Op::GetBucketInventoryConfiguration
        | Op::PutBucketInventoryConfiguration
        | Op::DeleteBucketInventoryConfiguration
        | Op::ListBucketInventoryConfigurations => "bucket_inventory",
        Op::GetBucketLogging | Op::PutBucketLogging => "bucket_logging",
        Op::GetBucketTagging | Op::PutBucketTagging | Op::DeleteBucketTagging => "bucket_tagging",
        Op::GetBucketWebsite | Op::PutBucketWebsite | Op::DeleteBucketWebsite => "bucket_website",
        Op::GetObjectLockConfiguration | Op::PutObjectLockConfiguration => "object_lock_configuration",
        Op::GetObjectRetention | Op::PutObjectRetention => "object_retention",
        Op::GetObjectLegalHold | Op::PutObjectLegalHold => "object_legal_hold",
        Op::GetObjectTagging | Op::PutObjectTagging | Op::DeleteObjectTagging => "object_tagging",
        _ => return snake_case(operation.name()),
    };
    shared.to_owned()
}

/// A request that asks for the operation of a route and for nothing more.
pub(crate) fn request(bucket: &Bucket, route: &Route) -> Request {
    let request = match route.operation.resource() {
        Resource::Service => bucket.client().request(route.method.clone(), "/"),
        Resource::Bucket => bucket.request(route.method.clone()),
        Resource::Object => bucket.object(route.method.clone(), "key"),
    };
    let request = route.subresource.into_iter().fold(request, Request::raw_query);
    let copy_source = format!("{}/key", bucket.name);
    match route.signal {
        Signal::None => request,
        Signal::Parameter(name) => request.query(name, 1),
        Signal::Value(name, value) => request.query(name, value),
        Signal::CopySource => request.header("x-amz-copy-source", copy_source),
        Signal::ParameterAndCopySource(name) => {
            request.query(name, 1).header("x-amz-copy-source", copy_source)
        }
        Signal::Form => request.header("content-type", "multipart/form-data; boundary=x").body(FORM),
    }
}

#[test]
fn every_supported_operation_has_a_file_of_tests() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let modules = fs::read_to_string(format!("{folder}/main.rs")).expect("the list of modules");
    for operation in Operation::ALL.iter().filter(|operation| operation.kind() == Kind::Supported) {
        let name = file_name(*operation);
        assert!(modules.contains(&format!("\nmod {name};\n")), "main.rs does not take in {name}");
        let file = fs::read_to_string(format!("{folder}/{name}.rs")).expect("a file of that name");
        assert!(file.matches("#[test]").count() >= 2, "{name}.rs has hardly a test");
        assert!(file.contains(operation.name()), "{name}.rs does not say what it tests");
    }
}

#[test]
fn every_operation_can_be_asked_for() {
    let routed: HashSet<Operation> = ROUTES.iter().map(|route| route.operation).collect();
    for operation in Operation::ALL {
        // The one operation with a path of its own.
        let elsewhere = *operation == Operation::WriteGetObjectResponse;
        assert!(routed.contains(operation) != elsewhere, "{}", operation.name());
    }
}

/// Never a silent listing, and never the object itself, for a sub-resource that is not built.
#[test]
fn operations_that_are_not_built_say_so_and_do_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let refused: Vec<&Route> =
        ROUTES.iter().filter(|route| route.operation.kind() == Kind::Refused).collect();
    assert!(refused.len() > 20);
    for route in refused {
        let error = request(&bucket, route).refused(501, "NotImplemented");
        let name = route.operation.name();
        assert_eq!(error.get("Operation"), name);
        assert!(error.get("Message").contains(name), "{error:?}");
    }
    let error =
        server.client().request(Method::POST, "/WriteGetObjectResponse").refused(501, "NotImplemented");
    assert_eq!(error.get("Operation"), "WriteGetObjectResponse");
    assert_eq!(bucket.get("key").ok().body, b"content");
    assert_eq!(bucket.list_versions().ok().xml().all("Version/Key"), ["key"]);
    assert_eq!(bucket.request(Method::GET).raw_query("versioning").ok().xml().find("Status"), None);
}

/// Nobody learns without credentials what is in a bucket, nor what is built; but which buckets there are.
#[test]
fn anonymous_requests_are_denied_every_operation() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    for (bucket, missing) in [(&bucket, false), (&server.client().existing_bucket("missing"), true)] {
        for route in ROUTES {
            let operation = route.operation;
            let is_told = missing
                && operation.action().is_some()
                && operation.resource() != Resource::Service
                && operation != Operation::CreateBucket;
            let (status, code) = if is_told { (404, "NoSuchBucket") } else { (403, "AccessDenied") };
            let answer = request(bucket, route).anonymous().send();
            assert_eq!(answer.status, status, "{route:?}: {answer:?}");
            if route.method != Method::HEAD {
                answer.expect_error(status, code);
            }
        }
    }
    assert_eq!(bucket.get("key").ok().body, b"content");
    server.client().existing_bucket("missing").request(Method::HEAD).send().expect(404);
}

/// The actions that a request of [`request`] takes.
fn actions(operation: Operation) -> Vec<String> {
    let action = operation.action().expect("an operation that is answered has an action");
    let beside: &[&str] = match operation {
        Operation::GetObjectAttributes | Operation::CopyObject | Operation::UploadPartCopy => &["GetObject"],
        _ => &[],
    };
    [action].iter().chain(beside).map(|action| format!("\"s3:{action}\"")).collect()
}

fn set_policy(bucket: &Bucket, effect: &str, actions: &[String]) {
    let is_of_objects = |action: &String| {
        action.contains("Object") && !action.contains("BucketObjectLock")
            || action.contains("MultipartUpload") && !action.contains("ListBucket")
    };
    let resource = |key| format!("arn:aws:s3:::{}{key}", bucket.name);
    let resource = if actions.iter().all(is_of_objects) { resource("/*") } else { resource("") };
    let document = format!(
        r#"{{"Statement": {{"Effect": "{effect}", "Principal": "*", "Action": [{}], "Resource": "{resource}"}}}}"#,
        actions.join(", ")
    );
    bucket.request(Method::PUT).raw_query("policy").body(document).send().expect(204);
}

/// Routes of operations that a bucket's policy can be about.
fn governed() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| {
        route.operation.kind() != Kind::Refused && route.operation.resource() != Resource::Service
    })
}

/// A bucket with an object, which operations may delete.
/// What DeleteObjects asks for: the object of [`bucket_with_key`].
const DELETE: &str = "<Delete><Object><Key>key</Key></Object></Delete>";

fn bucket_with_key(server: &Server) -> Bucket {
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    bucket
}

/// Whoever is allowed exactly the actions that an operation takes gets past everything that would deny it.
#[test]
fn every_operation_is_allowed_to_anybody_by_its_action() {
    let server = Server::start();
    // Buckets are made by accounts, and uploads are begun by them.
    let by_accounts = [Operation::CreateBucket, Operation::CreateMultipartUpload];
    for route in governed().filter(|route| !by_accounts.contains(&route.operation)) {
        let bucket = bucket_with_key(&server);
        set_policy(&bucket, "Allow", &actions(route.operation));
        let answer = request(&bucket, route).anonymous().send();
        assert_ne!(answer.status, 403, "{route:?}: {answer:?}");
    }
}

/// Each of these actions is needed, and no other denied one matters.
#[test]
fn every_operation_is_denied_to_the_owner_by_its_action() {
    use Operation as Op;
    let server = Server::start();
    for route in governed() {
        let all = actions(route.operation);
        for action in &all {
            let bucket = bucket_with_key(&server);
            set_policy(&bucket, "Deny", std::slice::from_ref(action));
            let answer = request(&bucket, route).send();
            let expected = match route.operation {
                // Nobody locks himself out.
                Op::GetBucketPolicy | Op::PutBucketPolicy | Op::DeleteBucketPolicy => false,
                // It is decided on each object that the body names.
                Op::DeleteObjects => false,
                // Who sends a form shows in its fields.
                Op::PostObject => {
                    bucket.form().field("key", "key").signed("x").refused(403, "AccessDenied");
                    continue;
                }
                _ => true,
            };
            assert_eq!(answer.status == 403, expected, "{route:?} {action}: {answer:?}");
        }
        let bucket = bucket_with_key(&server);
        let other =
            if all[0].contains("DeleteObjectTagging") { "s3:GetObjectAcl" } else { "s3:DeleteObjectTagging" };
        set_policy(&bucket, "Deny", &[format!("\"{other}\"")]);
        let answer = request(&bucket, route).send();
        let is_form = route.operation == Op::PostObject;
        assert!(answer.status != 403 || is_form, "{route:?} without {other}: {answer:?}");
    }
}

/// Routes that are supported are answered by their own operation, not with a refusal.
#[test]
fn supported_operations_are_built() {
    let server = Server::start();
    let bucket = server.bucket();
    for route in ROUTES.iter().filter(|route| route.operation.kind() == Kind::Supported) {
        // A new one each time: some operations delete it.
        let bucket =
            if route.operation == Operation::DeleteBucket { server.bucket() } else { bucket.clone() };
        let answer = request(&bucket, route).send();
        assert!(answer.status < 500, "{route:?}: {answer:?}");
    }
}

/// The same bucket as somebody else asks for it.
fn of(client: &harness::Client, bucket: &Bucket) -> Bucket {
    client.existing_bucket(&bucket.name)
}

fn identity_policy(statements: &[(&str, &[String])]) -> String {
    let statement = |(effect, actions): &(&str, &[String])| {
        format!(r#"{{"Effect": "{effect}", "Action": [{}], "Resource": "*"}}"#, actions.join(", "))
    };
    let statements: Vec<String> = statements.iter().map(statement).collect();
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "))
}

fn put_user_policy(root: &harness::Client, statements: &[(&str, &[String])]) {
    let document = identity_policy(statements);
    let parameters = [("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", document.as_str())];
    root.call("iam", "PutUserPolicy", &parameters).ok();
}

/// Every operation that is answered, by every kind of user.
#[test]
fn users_may_do_what_their_policies_name_and_nothing_else() {
    let server = Server::start();
    let root = server.client();
    let ann = crate::iam_users::user(root, "ann");
    let answered = ROUTES.iter().filter(|route| route.operation.kind() != Kind::Refused);
    // Who sends a form shows in its fields, not in its head.
    for route in answered.filter(|route| route.operation != Operation::PostObject) {
        // What it does not take, which is nearly everything.
        let all = actions(route.operation);
        let own = [r#""s3:GetObjectTorrent""#.to_owned()];
        let fresh = || match route.operation {
            Operation::CreateBucket => root.existing_bucket(&format!("{}-new", server.bucket().name)),
            _ => bucket_with_key(&server),
        };
        let batch = route.operation == Operation::DeleteObjects;
        for (statements, is_allowed) in [
            (vec![("Allow", &own[..])], false),
            (vec![("Allow", &all[..])], true),
            (vec![("Allow", &all[..]), ("Deny", &all[..1])], false),
        ] {
            put_user_policy(root, &statements);
            let bucket = fresh();
            let hers = of(&ann, &bucket);
            let asked = if batch { hers.delete_objects(DELETE) } else { request(&hers, route) };
            let answer = asked.send();
            let is_refused = match batch {
                // It is decided on each object that the body names.
                true => String::from_utf8_lossy(&answer.body).contains("<Code>AccessDenied</Code>"),
                false => answer.status == 403,
            };
            assert_eq!(!is_refused, is_allowed, "{route:?} {statements:?}: {answer:?}");
        }
    }
}

/// The same in a role, whose session can be limited too.
#[test]
fn sessions_may_do_what_their_role_and_their_own_policy_name_and_nothing_else() {
    let server = Server::start();
    let root = server.client();
    let ann = crate::iam_users::user(root, "ann");
    put_user_policy(root, &[("Allow", &[r#""*""#.to_owned()])]);
    crate::roles::role(
        root,
        "r",
        &["*"],
        &[r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#.to_owned()],
    );
    let put = |statements: &[(&str, &[String])]| {
        let document = identity_policy(statements);
        let parameters = [("RoleName", "r"), ("PolicyName", "p"), ("PolicyDocument", document.as_str())];
        root.call("iam", "PutRolePolicy", &parameters).ok();
    };
    let answered = ROUTES.iter().filter(|route| route.operation.kind() != Kind::Refused);
    for route in answered.filter(|route| route.operation != Operation::PostObject) {
        let all = actions(route.operation);
        let own = [r#""s3:GetObjectTorrent""#.to_owned()];
        let fresh = || match route.operation {
            Operation::CreateBucket => root.existing_bucket(&format!("{}-new", server.bucket().name)),
            _ => bucket_with_key(&server),
        };
        let batch = route.operation == Operation::DeleteObjects;
        for (of_role, of_session, is_allowed) in [
            (&[("Allow", &own[..])][..], None, false),
            (&[("Allow", &all)], None, true),
            (&[("Allow", &all), ("Deny", &all[..1])], None, false),
            (&[("Allow", &all)], Some(&[("Allow", &all[..])][..]), true),
            (&[("Allow", &all)], Some(&[("Allow", &own)]), false),
            (&[("Allow", &own)], Some(&[("Allow", &all)]), false),
            (&[("Allow", &all)], Some(&[("Allow", &all), ("Deny", &all[..1])]), false),
        ] {
            put(of_role);
            let limit = of_session.map(identity_policy);
            let limit: Vec<_> = limit.iter().map(|limit| ("Policy", limit.as_str())).collect();
            let session = crate::roles::assume(&ann, "r", &limit);
            let bucket = fresh();
            let answer = request(&of(&session, &bucket), route).send();
            // It is decided on each object that the body names.
            let is_right = batch || (answer.status != 403) == is_allowed;
            assert!(is_right, "{route:?} {of_role:?} {of_session:?}: {answer:?}");
        }
    }
}

/// The same as a federated user, whose policies are all that it has of what its user has, and its own name in that of the bucket.
#[test]
fn federated_users_may_do_what_their_user_and_their_own_policy_name_and_nothing_else() {
    let server = Server::start();
    let root = server.client();
    let ann = crate::iam_users::user(root, "ann");
    let federating = [r#""sts:GetFederationToken""#.to_owned()];
    let answered = ROUTES.iter().filter(|route| route.operation.kind() != Kind::Refused);
    for route in answered.filter(|route| route.operation != Operation::PostObject) {
        let all = actions(route.operation);
        let own = [r#""s3:GetObjectTorrent""#.to_owned()];
        let fresh = || match route.operation {
            Operation::CreateBucket => root.existing_bucket(&format!("{}-new", server.bucket().name)),
            _ => bucket_with_key(&server),
        };
        let batch = route.operation == Operation::DeleteObjects;
        for (by_root, of_user, of_session, is_allowed) in [
            (false, &[("Allow", &all[..])][..], None, false),
            (false, &[("Allow", &all)], Some(&[("Allow", &all[..])][..]), true),
            (false, &[("Allow", &all)], Some(&[("Allow", &own)]), false),
            (false, &[("Allow", &own)], Some(&[("Allow", &all)]), false),
            (false, &[("Allow", &all)], Some(&[("Allow", &all), ("Deny", &all[..1])]), false),
            (true, &[], None, false),
            (true, &[], Some(&[("Allow", &all)]), true),
            (true, &[], Some(&[("Allow", &own)]), false),
            (true, &[], Some(&[("Allow", &all), ("Deny", &all[..1])]), false),
        ] {
            put_user_policy(root, &[of_user, &[("Allow", &federating)]].concat());
            let limit = of_session.map(identity_policy);
            let limit: Vec<_> = limit.iter().map(|limit| ("Policy", limit.as_str())).collect();
            let federated = crate::federation::federate(if by_root { root } else { &ann }, "hers", &limit);
            let bucket = fresh();
            let answer = request(&of(&federated, &bucket), route).send();
            // It is decided on each object that the body names.
            let is_right = batch || (answer.status != 403) == is_allowed;
            assert!(is_right, "{route:?} {by_root} {of_user:?} {of_session:?}: {answer:?}");
        }
    }
}

/// Whoever does not sign right is nobody, whatever is asked for.
#[test]
fn keys_that_are_not_right_are_refused_for_every_operation() {
    let server = Server::start();
    let root = server.client();
    root.call("iam", "CreateUser", &[("UserName", "ann")]).ok();
    put_user_policy(root, &[("Allow", &[r#""*""#.to_owned()])]);
    let (inactive, id) = crate::iam_users::access_key(root, "ann");
    let parameters = [("UserName", "ann"), ("AccessKeyId", id.as_str()), ("Status", "Inactive")];
    root.call("iam", "UpdateAccessKey", &parameters).ok();
    let (_, active) = crate::iam_users::access_key(root, "ann");
    let bucket = bucket_with_key(&server);
    let temporary = root.with_credentials("ASIAABCDEFGHIJKLMNOP", "another-secret");
    for (client, status, code) in [
        (inactive, 403, "InvalidAccessKeyId"),
        (root.with_credentials(&active, "another-secret").with_session_token("t"), 400, "InvalidToken"),
        (root.with_credentials(&active, "another-secret"), 403, "SignatureDoesNotMatch"),
        (root.with_credentials("AKIAABCDEFGHIJKLMNOP", "another-secret"), 403, "InvalidAccessKeyId"),
        (temporary.with_session_token("t"), 400, "InvalidToken"),
        (temporary, 403, "InvalidAccessKeyId"),
    ] {
        for route in ROUTES {
            let answer = request(&of(&client, &bucket), route).send();
            assert_eq!(answer.status, status, "{route:?}: {answer:?}");
            if route.method != Method::HEAD {
                answer.expect_error(status, code);
            }
        }
    }
    assert_eq!(bucket.get("key").ok().body, b"content");
}

/// What was right at another time, or for another request, is right for none.
#[test]
fn signatures_of_another_time_or_method_are_refused_for_every_operation() {
    let server = Server::start();
    let bucket = bucket_with_key(&server);
    let ago = |seconds: u64| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
        i64::try_from(now.as_secs() - seconds).expect("a time before the end of time")
    };
    for route in ROUTES {
        let other = if route.method == Method::GET { Method::PUT } else { Method::GET };
        let Route { operation, subresource, signal, .. } = *route;
        let elsewhere = || request(&bucket, &Route { operation, method: other.clone(), subresource, signal });
        let mut moved = elsewhere().presigned(60).prepare();
        moved.method = route.method.clone();
        let mut moved_header = elsewhere().prepare();
        moved_header.method = route.method.clone();
        for (what, prepared, code) in [
            (
                "signed too long ago",
                request(&bucket, route).signed_at(ago(16 * 60)).prepare(),
                "RequestTimeTooSkewed",
            ),
            ("expired", request(&bucket, route).presigned(60).signed_at(ago(120)).prepare(), "AccessDenied"),
            ("presigned for another method", moved, "SignatureDoesNotMatch"),
            ("signed for another method", moved_header, "SignatureDoesNotMatch"),
        ] {
            let answer = prepared.send();
            assert_eq!(answer.status, 403, "{what}, {route:?}: {answer:?}");
            if route.method != Method::HEAD {
                answer.expect_error(403, code);
            }
        }
    }
    assert_eq!(bucket.get("key").ok().body, b"content");
    assert_eq!(bucket.list_versions().ok().xml().all("Version/Key"), ["key"]);
}
