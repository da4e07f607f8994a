//! The block of public access of the whole account, by Amazon S3 Control.

use harness::{Bucket, Client, Cluster, Logs, Request, Server};
use http::Method;
use metadata_api::IdentityKind;

use crate::{
    access_control::{block, bucket_acl, object_acl, server_with_acls},
    bucket_policy::{allow, document, policy, set},
    iam_users::{iam, user},
};

const ACCOUNT: &str = "750814517293";
const PATH: &str = "/v20180820/configuration/publicAccessBlock";
const SETTINGS: [&str; 4] =
    ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

fn call(client: &Client, method: Method) -> Request {
    let request = client.request(method.clone(), PATH).header("x-amz-account-id", ACCOUNT).into_control();
    match method {
        Method::PUT => request.body(of(&["BlockPublicPolicy"])),
        _ => request,
    }
}

/// A configuration in which these are true and the others false.
fn of(settings: &[&str]) -> String {
    let setting = |name: &&str| format!("<{name}>{}</{name}>", settings.contains(name));
    let settings: String = SETTINGS.iter().map(setting).collect();
    format!("<PublicAccessBlockConfiguration>{settings}</PublicAccessBlockConfiguration>")
}

fn shut(client: &Client, settings: &[&str]) {
    call(client, Method::PUT).body(of(settings)).ok();
}

#[test]
fn the_block_of_the_account_is_kept_and_deleted() {
    let mut server = Server::start();
    let root = server.client();
    call(root, Method::GET).refused_call(404, "NoSuchPublicAccessBlockConfiguration");
    call(root, Method::DELETE).ok();
    shut(root, &["BlockPublicAcls", "RestrictPublicBuckets"]);
    let empty = "<PublicAccessBlockConfiguration/>";
    call(root, Method::PUT).body(empty).refused_call(400, "InvalidRequest");
    server.restart();
    let root = server.client();
    let found = call(root, Method::GET).ok().xml();
    assert_eq!(SETTINGS.map(|name| found.get(name)), ["true", "false", "false", "true"]);
    shut(root, &["IgnorePublicAcls"]);
    let found = call(root, Method::GET).ok().xml();
    assert_eq!(SETTINGS.map(|name| found.get(name)), ["false", "true", "false", "false"]);
    for bad in [
        "<Other/>",
        "<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls></PublicAccessBlockConfiguration>",
        "<PublicAccessBlockConfiguration><Block>true</Block></PublicAccessBlockConfiguration>",
        "",
    ] {
        call(root, Method::PUT).body(bad).refused_call(400, "MalformedXML");
    }
    let body = of(&["BlockPublicAcls"]);
    call(root, Method::PUT)
        .body(&body)
        .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        .refused_call(400, "BadDigest");
    call(root, Method::PUT).body(&body).sha256_of(b"x").refused_call(400, "XAmzContentSHA256Mismatch");
    assert_eq!(call(root, Method::GET).ok().xml().get("IgnorePublicAcls"), "true");
    for _ in 0..2 {
        call(root, Method::DELETE).ok();
        call(root, Method::GET).refused_call(404, "NoSuchPublicAccessBlockConfiguration");
    }
    // Clients put the account in front of the host.
    let host = format!("{ACCOUNT}.{}", root.host());
    call(root, Method::PUT).host(&host).ok();
    call(root, Method::GET).host(&host).ok();
    call(root, Method::DELETE).host(&host).ok();
}

/// Every call, by every way to say who sends it.
#[test]
fn the_block_of_the_account_is_changed_by_who_may() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let put = |statements: &str| {
        let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
        iam(
            root,
            "PutUserPolicy",
            &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &document)],
        );
    };
    let statement = |effect: &str, action: &str| {
        format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "*"}}"#)
    };
    let (all, sts) = (statement("Allow", "s3:*"), statement("Allow", "sts:*"));
    crate::roles::role(root, "r", &["*"], std::slice::from_ref(&all));
    let of_bucket = statement("Allow", "s3:*PublicAccessBlock")
        .replace(r#""Resource": "*""#, r#""Resource": "arn:aws:s3:::b""#);
    shut(root, &["BlockPublicPolicy"]);
    for (method, action, other) in [
        (Method::GET, "s3:GetAccountPublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
        (Method::PUT, "s3:PutAccountPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
        (Method::DELETE, "s3:PutAccountPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
    ] {
        let denied = |request: Request| request.refused_call(403, "AccessDenied");
        let send = |client: &Client| call(client, method.clone());
        denied(send(root).anonymous());
        send(&root.with_credentials("AKIAABCDEFGHIJKLMNOP", "x")).refused_call(403, "InvalidAccessKeyId");
        send(&root.with_credentials("accesskey", "wrong")).refused_call(403, "InvalidAccessKeyId");
        send(&ann.with_session_token("t")).refused_call(400, "InvalidToken");
        for statements in [
            statement("Allow", other),
            statement("Allow", "s3:*BucketPublicAccessBlock"),
            of_bucket.clone(),
            // Whoever may do everything to every bucket and object.
            all.replace(r#""Resource": "*""#, r#""Resource": ["arn:aws:s3:::*", "arn:aws:s3:::*/*"]"#),
            format!("{all}, {}", statement("Deny", action)),
        ] {
            put(&statements);
            denied(send(&ann));
        }
        put(&format!("{sts}, {}", statement("Allow", action)));
        let limit = format!(r#"{{"Statement": {}}}"#, statement("Allow", other));
        denied(send(&crate::roles::assume(&ann, "r", &[("Policy", &limit)])));
        denied(send(&crate::federation::federate(&ann, "none", &[])));
        denied(send(&crate::federation::federate(root, "none", &[("Policy", &limit)])));
        assert_eq!(call(root, Method::GET).ok().xml().get("BlockPublicPolicy"), "true");
        let whole = format!(r#"{{"Statement": {all}}}"#);
        for client in [
            ann.clone(),
            crate::roles::assume(&ann, "r", &[]),
            crate::federation::federate(&ann, "some", &[("Policy", &whole)]),
            crate::federation::federate(root, "some", &[("Policy", &whole)]),
        ] {
            send(&client).ok();
            shut(root, &["BlockPublicPolicy"]);
        }
        // Of another account, or without saying so under the signature.
        for account in ["111122223333", "x", "", &format!("{ACCOUNT},{ACCOUNT}")] {
            let request =
                root.request(method.clone(), PATH).header("x-amz-account-id", account).into_control();
            denied(request.body(of(&[])));
        }
        let unsigned =
            root.request(method.clone(), PATH).unsigned_header("x-amz-account-id", ACCOUNT).into_control();
        denied(unsigned.body(of(&[])));
        assert_eq!(call(root, Method::GET).ok().xml().get("BlockPublicPolicy"), "true");
    }
}

/// What either block shuts out is shut out.
#[test]
fn the_block_of_the_account_holds_for_every_bucket() {
    let server = Server::start_with(1, |config| {
        config.front.object_ownership = s3_wire::acl::ObjectOwnership::ObjectWriter;
        config.front.website_address = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    });
    let root = server.client();
    let listed = server.bucket();
    listed.put("key", "content").header("x-amz-acl", "public-read").ok();
    let opened = server.bucket();
    opened.put("key", "content").ok();
    set(&opened, &[&allow("s3:GetObject")]);
    let published = server.bucket();
    published.put("index.html", "content").ok();
    set(&published, &[&allow("s3:GetObject")]);
    let website = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
    published.request(Method::PUT).raw_query("website").body(website).ok();
    let (plain, visitor) = (server.bucket(), server.visitor(&published.name));
    plain.put("key", "content").ok();
    // By a list, by a policy, by a website; a new list of an object and of a bucket, and of a new bucket; a new policy.
    let works = || {
        let fresh = root.existing_bucket(&format!("{}-new", server.bucket().name));
        [
            listed.get("key").anonymous().send().status,
            opened.get("key").anonymous().send().status,
            visitor.get("/").status,
            plain.put("other", "x").header("x-amz-acl", "public-read").send().status,
            object_acl(&plain, Method::PUT, "key").header("x-amz-acl", "public-read").send().status,
            bucket_acl(&plain, Method::PUT).header("x-amz-acl", "public-read").send().status,
            fresh.request(Method::PUT).header("x-amz-acl", "public-read").send().status,
            policy(&plain, Method::PUT).body(document(&plain, &[&allow("s3:GetObject")])).send().status,
        ]
    };
    let none = [200, 200, 200, 200, 200, 200, 200, 204];
    assert_eq!(works(), none);
    for (settings, expected) in [
        (&["BlockPublicAcls"][..], [200, 200, 200, 403, 403, 403, 403, 204]),
        (&["IgnorePublicAcls"], [403, 200, 200, 200, 200, 200, 200, 204]),
        (&["BlockPublicPolicy"], [200, 200, 200, 200, 200, 200, 200, 403]),
        (&["RestrictPublicBuckets"], [200, 403, 403, 200, 200, 200, 200, 204]),
        (&SETTINGS, [403; 8]),
        (&[], none),
    ] {
        shut(root, settings);
        assert_eq!(works(), expected, "{settings:?}");
        // That of a bucket says what was said of it alone.
        let own = plain.request(Method::GET).raw_query("publicAccessBlock");
        own.refused(404, "NoSuchPublicAccessBlockConfiguration");
        root.request(Method::GET, &format!("/{}/key", plain.name)).ok();
    }
    // A bucket's is not loosened by the account's.
    block(&listed, "IgnorePublicAcls");
    shut(root, &["RestrictPublicBuckets"]);
    assert_eq!(works()[..3], [403, 403, 403]);
    call(root, Method::DELETE).ok();
    assert_eq!(works()[..3], [403, 200, 200]);
    // Users of the account are no strangers.
    shut(root, &SETTINGS);
    let ann = user(root, "ann");
    let read = r#"{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}"#;
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", read)]);
    for bucket in [&listed, &opened] {
        ann.existing_bucket(&bucket.name).get("key").ok();
    }
}

/// The same of what says it otherwise: fields of forms, the lists of uploads and copies, sources of copies, websites by lists.
#[test]
fn the_block_of_the_account_holds_for_forms_uploads_copies_and_websites() {
    let server = Server::start_with(1, |config| {
        config.front.object_ownership = s3_wire::acl::ObjectOwnership::ObjectWriter;
        config.front.website_address = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    });
    let root = server.client();
    let (plain, listed, opened) = (server.bucket(), server.bucket(), server.bucket());
    bucket_acl(&listed, Method::PUT).header("x-amz-acl", "public-read-write").ok();
    set(&opened, &[&allow("s3:GetObject"), &allow("s3:PutObject")]);
    for (bucket, key) in [(&plain, "key"), (&listed, "index.html"), (&opened, "key")] {
        bucket.put(key, "content").ok();
    }
    object_acl(&listed, Method::PUT, "index.html").header("x-amz-acl", "public-read").ok();
    let website = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
    listed.request(Method::PUT).raw_query("website").body(website).ok();
    let visitor = server.visitor(&listed.name);
    let (of_plain, of_listed, of_opened) = (
        format!("{}/key", plain.name),
        format!("{}/index.html", listed.name),
        format!("{}/key", opened.name),
    );
    let everybody = "uri=http://acs.amazonaws.com/groups/global/AllUsers";
    let works = || {
        [
            plain.form().field("key", "form").field("acl", "public-read").signed(b"x").send().status,
            plain.create_upload("parts").header("x-amz-acl", "public-read").send().status,
            plain.create_upload("parts").header("x-amz-grant-read", everybody).send().status,
            plain.copy(&of_plain, "copy").header("x-amz-acl", "authenticated-read").send().status,
            listed.copy(&of_opened, "copy").anonymous().send().status,
            opened.copy(&of_listed, "copy").anonymous().send().status,
            visitor.get("/").status,
        ]
    };
    let none = [204, 200, 200, 200, 200, 200, 200];
    assert_eq!(works(), none);
    for (settings, expected) in [
        (&["BlockPublicAcls"][..], [403, 403, 403, 403, 200, 200, 200]),
        (&["IgnorePublicAcls"], [204, 200, 200, 200, 403, 403, 403]),
        (&["BlockPublicPolicy"], none),
        (&["RestrictPublicBuckets"], [204, 200, 200, 200, 403, 403, 200]),
        (&SETTINGS, [403; 7]),
        (&[], none),
    ] {
        shut(root, settings);
        assert_eq!(works(), expected, "{settings:?}");
    }
}

/// A bucket and a key that are called as the calls are, are a bucket and a key.
#[test]
fn a_bucket_may_be_called_as_the_calls_are() {
    let server = server_with_acls();
    let root = server.client();
    let bucket: Bucket = root.existing_bucket("v20180820");
    bucket.request(Method::PUT).ok();
    bucket.put("configuration/publicAccessBlock", "content").ok();
    shut(root, &["BlockPublicAcls"]);
    assert_eq!(bucket.get("configuration/publicAccessBlock").ok().body, b"content");
    assert_eq!(call(root, Method::GET).ok().xml().get("BlockPublicAcls"), "true");
    bucket.object(Method::DELETE, "configuration/publicAccessBlock").send().expect(204);
    call(root, Method::GET).ok();
    let posted = root.request(Method::POST, PATH).header("x-amz-account-id", ACCOUNT);
    posted.into_control().refused_call(405, "MethodNotAllowed");
}

/// Whoever asks for what is not there of this API is told so in its form, and nothing is done to a bucket.
#[test]
fn other_calls_of_the_api_are_refused() {
    let server = Server::start_with(1, |config| config.front.domain = vec!["s3.example.com".to_owned()]);
    let root = server.client();
    let bucket = root.existing_bucket("v20180820");
    bucket.request(Method::PUT).ok();
    let paths =
        ["jobs", "jobs/1/status", "accesspoint/name", "mrap/instances", "tags/arn%3Aaws%3As3%3A%3A%3Ab", ""];
    for path in paths {
        let path = format!("/v20180820/{path}");
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
            let call = || root.request(method.clone(), &path).into_control();
            let of_account = || call().header("x-amz-account-id", ACCOUNT);
            of_account().refused_call(501, "NotImplemented");
            of_account().host(&format!("{ACCOUNT}.s3.example.com")).refused_call(501, "NotImplemented");
            call().header("x-amz-account-id", "111122223333").refused_call(403, "AccessDenied");
        }
    }
    assert!(bucket.keys().is_empty());

    // Without that header, without credentials, or to the host of a bucket it is about a key.
    bucket.put("jobs", "content").ok();
    assert_eq!(bucket.get("jobs").ok().body, b"content");
    set(&bucket, &[&allow("s3:GetObject")]);
    bucket.get("jobs").header("x-amz-account-id", ACCOUNT).anonymous().ok();
    let hosted = server.bucket();
    hosted.put("v20180820/jobs", "hosted").ok();
    let key = root.request(Method::GET, "/v20180820/jobs").host(&format!("{}.s3.example.com", hosted.name));
    assert_eq!(key.header("x-amz-account-id", ACCOUNT).ok().body, b"hosted");
}

/// What another release has set is not written over, and whoever puts is told how to.
#[test]
fn a_block_that_cannot_be_read_is_deleted_first() {
    let cluster = Cluster::start(1);
    let root = cluster.gateway(0);
    shut(root, &["BlockPublicAcls"]);
    cluster.put_identity(IdentityKind::Account, "public-access-block", r#"{"later": true}"#);
    call(root, Method::GET).refused_call(500, "InternalError");
    call(root, Method::PUT).refused_call(409, "OperationAborted");
    call(root, Method::DELETE).ok();
    call(root, Method::PUT).ok();
    assert_eq!(call(root, Method::GET).ok().xml().get("BlockPublicPolicy"), "true");
    assert!(!Logs.take("cannot be read").is_empty());
}

/// What one gateway is told holds at the next request to another.
#[test]
fn the_block_of_the_account_holds_through_every_gateway() {
    let cluster = Cluster::start(2);
    let (one, other) = (cluster.gateway(0), cluster.gateway(1));
    let bucket = one.bucket();
    bucket.put("key", "content").ok();
    set(&bucket, &[&allow("s3:GetObject")]);
    for round in 0..10 {
        let (teller, asked) = if round % 2 == 0 { (one, other) } else { (other, one) };
        let key = || asked.existing_bucket(&bucket.name).get("key").anonymous();
        key().ok();
        shut(teller, &["RestrictPublicBuckets"]);
        key().refused(403, "AccessDenied");
        call(teller, Method::DELETE).ok();
    }
}
