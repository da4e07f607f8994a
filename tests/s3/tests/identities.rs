//! Who signs, and what the policies of users let them do, each by itself and beside the policy of a bucket.

use harness::{Bucket, Client, Element, Server};
use http::Method;

use crate::{
    bucket_policy,
    iam_users::{access_key, iam, user},
};

/// A statement of a user's policy.
fn statement(effect: &str, action: &str, resource: &str) -> String {
    format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "{resource}"}}"#)
}

#[track_caller]
fn put(root: &Client, user: &str, statements: &[String]) {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "));
    iam(root, "PutUserPolicy", &[("UserName", user), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

/// The same bucket for somebody else.
fn of(client: &Client, bucket: &Bucket) -> Bucket {
    client.existing_bucket(&bucket.name)
}

fn get(bucket: &Bucket, key: &str) -> harness::Request {
    bucket.object(Method::GET, key)
}

#[test]
fn a_user_without_policies_may_nothing() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let hers = of(&ann, &bucket);
    get(&hers, "k").refused(403, "AccessDenied");
    get(&hers, "none").refused(403, "AccessDenied");
    hers.object(Method::PUT, "k").body("y").refused(403, "AccessDenied");
    hers.object(Method::DELETE, "k").refused(403, "AccessDenied");
    hers.request(Method::GET).refused(403, "AccessDenied");
    hers.request(Method::DELETE).refused(403, "AccessDenied");
    ann.request(Method::GET, "/").refused(403, "AccessDenied");
    ann.existing_bucket("new-bucket").request(Method::PUT).refused(403, "AccessDenied");
    for (action, parameters) in [
        ("ListUsers", &[][..]),
        ("CreateUser", &[("UserName", "eve")]),
        ("CreateAccessKey", &[]),
        ("GetUser", &[]),
        ("PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", "{}")]),
        (
            "AttachUserPolicy",
            &[("UserName", "ann"), ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")],
        ),
    ] {
        ann.call("iam", action, parameters).refused_call(403, "AccessDenied");
    }
    let who = Element::parse(&ann.call("sts", "GetCallerIdentity", &[]).ok().body);
    assert!(who.find("GetCallerIdentityResult/Arn").expect("an ARN").ends_with(":user/ann"));
    assert_eq!(get(&bucket, "k").ok().body, b"x", "nothing was changed");
}

#[test]
fn policies_allow_and_deny_what_they_name() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "open/k").body("x").ok();
    bucket.object(Method::PUT, "shut/k").body("x").ok();
    let ann = user(root, "ann");
    let hers = of(&ann, &bucket);
    let objects = |prefix: &str| format!("arn:aws:s3:::{}/{prefix}*", bucket.name);
    put(
        root,
        "ann",
        &[statement("Allow", "s3:GetObject", &objects("")), statement("Deny", "s3:*", &objects("shut/"))],
    );
    get(&hers, "open/k").ok();
    get(&hers, "shut/k").refused(403, "AccessDenied");
    hers.object(Method::PUT, "open/k").body("y").refused(403, "AccessDenied");
    get(&hers, "open/none").refused(403, "AccessDenied");
    // Who may list learns what is not there.
    let name = format!("arn:aws:s3:::{}", bucket.name);
    let all = [statement("Allow", "s3:GetObject", &objects("")), statement("Allow", "s3:ListBucket", &name)];
    put(root, "ann", &all);
    get(&hers, "open/none").refused(404, "NoSuchKey");
    hers.request(Method::GET).ok();

    // What the account may, everybody of it may not: a user makes buckets of the account.
    put(root, "ann", &[statement("Allow", "s3:CreateBucket", "arn:aws:s3:::hers-*")]);
    ann.existing_bucket("hers-1").request(Method::PUT).ok();
    ann.existing_bucket("other-1").request(Method::PUT).refused(403, "AccessDenied");
    for (name, value) in [
        ("x-amz-object-ownership", "ObjectWriter"),
        ("x-amz-bucket-object-lock-enabled", "true"),
        ("x-amz-acl", "private"),
    ] {
        let made = ann.existing_bucket("hers-2").request(Method::PUT).header(name, value);
        made.refused(403, "AccessDenied");
    }
    put(root, "ann", &[statement("Allow", "s3:ListAllMyBuckets", "*")]);
    let listed = ann.request(Method::GET, "/").ok().xml();
    assert!(listed.all("Buckets/Bucket/Name").contains(&"hers-1"), "{listed:?}");
}

/// Who may write, and read nothing, gets nothing copied: neither whole nor in parts, nor any version.
#[test]
fn a_user_copies_only_what_it_may_read() {
    let server = Server::start();
    let root = server.client();
    let (secret, bucket) = (server.bucket(), server.bucket());
    secret.set_versioning("Enabled");
    let version = secret.put_version("k", "secret");
    let ann = user(root, "ann");
    let hers = of(&ann, &bucket);
    let objects = format!("arn:aws:s3:::{}/*", bucket.name);
    put(root, "ann", &[statement("Allow", "s3:*", &objects)]);
    let source = format!("{}/k", secret.name);
    let of_version = format!("{source}?versionId={version}");
    let missing = format!("{}/none", secret.name);
    let upload = hers.upload("parts");
    for source in [&source, &of_version, &missing] {
        hers.copy(source, "copy").refused(403, "AccessDenied");
        upload.copy(1, source).refused(403, "AccessDenied");
        let copy = hers.object(Method::PUT, "copy").header("x-amz-copy-source", source);
        assert_eq!(copy.presigned(60).send().status, 403, "{source}");
    }
    assert_eq!(bucket.keys(), [""; 0]);
    assert!(upload.parts().all("Part").is_empty());
    // To read the current one is not to read each version.
    let readable = format!("arn:aws:s3:::{}/*", secret.name);
    put(root, "ann", &[statement("Allow", "s3:*", &objects), statement("Allow", "s3:GetObject", &readable)]);
    hers.copy(&of_version, "copy").refused(403, "AccessDenied");
    upload.copy(1, &of_version).refused(403, "AccessDenied");
    assert_eq!(bucket.keys(), [""; 0]);
    hers.copy(&source, "copy").ok();
    assert_eq!(get(&bucket, "copy").ok().body, b"secret");
}

#[test]
fn policies_of_groups_and_attached_ones_count() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let hers = of(&ann, &bucket);
    let read = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    iam(root, "AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", read)]);
    get(&hers, "k").ok();
    ann.request(Method::GET, "/").ok();
    hers.object(Method::PUT, "k").body("y").refused(403, "AccessDenied");
    iam(root, "DetachUserPolicy", &[("UserName", "ann"), ("PolicyArn", read)]);
    get(&hers, "k").refused(403, "AccessDenied");

    iam(root, "CreateGroup", &[("GroupName", "team")]);
    let full = "arn:aws:iam::aws:policy/AmazonS3FullAccess";
    iam(root, "AttachGroupPolicy", &[("GroupName", "team"), ("PolicyArn", full)]);
    get(&hers, "k").refused(403, "AccessDenied");
    iam(root, "AddUserToGroup", &[("GroupName", "team"), ("UserName", "ann")]);
    get(&hers, "k").ok();
    hers.object(Method::PUT, "k").body("y").ok();
    ann.call("iam", "ListUsers", &[]).refused_call(403, "AccessDenied");
    let deny = r#"{"Statement": {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}}"#;
    let parameters = [("GroupName", "team"), ("PolicyName", "d"), ("PolicyDocument", deny)];
    iam(root, "PutGroupPolicy", &parameters);
    hers.object(Method::PUT, "k").body("z").refused(403, "AccessDenied");
    iam(root, "RemoveUserFromGroup", &[("GroupName", "team"), ("UserName", "ann")]);
    get(&hers, "k").refused(403, "AccessDenied");

    // A version of a policy is in force as soon as it is the default.
    let document = |action: &str| {
        format!(r#"{{"Version": "2012-10-17", "Statement": {}}}"#, statement("Allow", action, "*"))
    };
    let made =
        iam(root, "CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", &document("s3:GetObject"))]);
    let arn = made.find("CreatePolicyResult/Policy/Arn").expect("an ARN").to_owned();
    iam(root, "AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", &arn)]);
    get(&hers, "k").ok();
    let put_only = document("s3:PutObject");
    let version = [("PolicyArn", arn.as_str()), ("PolicyDocument", &put_only), ("SetAsDefault", "true")];
    iam(root, "CreatePolicyVersion", &version);
    get(&hers, "k").refused(403, "AccessDenied");
    hers.object(Method::PUT, "k").body("z").ok();
}

#[test]
fn the_policy_of_a_bucket_and_that_of_a_user_decide_together() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let bob = user(root, "bob");
    let who = Element::parse(&ann.call("sts", "GetCallerIdentity", &[]).ok().body);
    let arn = who.find("GetCallerIdentityResult/Arn").expect("an ARN").to_owned();
    let account = who.find("GetCallerIdentityResult/Account").expect("an account").to_owned();
    assert!(account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()));
    let grant = |principal: &str, effect: &str, action: &str| {
        format!(
            r#"{{"Effect": "{effect}", "Principal": {{"AWS": "{principal}"}}, "Action": "{action}", "Resource": "BUCKET/*"}}"#
        )
    };
    let set = |statements: &[&str]| bucket_policy::set(&bucket, statements);
    // One of both allows.
    set(&[&grant(&arn, "Allow", "s3:GetObject")]);
    get(&of(&ann, &bucket), "k").ok();
    get(&of(&bob, &bucket), "k").refused(403, "AccessDenied");
    for principal in [account.as_str(), &format!("arn:aws:iam::{account}:root")] {
        // What the account is allowed, its users are by policies of their own.
        set(&[&grant(principal, "Allow", "s3:GetObject")]);
        get(&of(&bob, &bucket), "k").refused(403, "AccessDenied");
        get(&of(&ann, &bucket), "k").refused(403, "AccessDenied");
        set(&[&grant(principal, "Allow", "s3:GetObject"), &grant(&arn, "Allow", "s3:GetObject")]);
        get(&of(&ann, &bucket), "k").ok();
        get(&of(&bob, &bucket), "k").refused(403, "AccessDenied");
        put(root, "bob", &[statement("Allow", "s3:GetObject", "*")]);
        get(&of(&bob, &bucket), "k").ok();
        set(&[&grant(principal, "Deny", "s3:GetObject")]);
        get(&of(&bob, &bucket), "k").refused(403, "AccessDenied");
        iam(root, "DeleteUserPolicy", &[("UserName", "bob"), ("PolicyName", "p")]);
        // All but bob and the root user.
        let others = format!(
            r#"{{"Effect": "Deny", "NotPrincipal": {{"AWS": ["{principal}", "{}"]}}, "Action": "s3:GetObject", "Resource": "BUCKET/*"}}"#,
            arn.replace("ann", "bob")
        );
        set(&[&others, &grant("*", "Allow", "s3:GetObject")]);
        get(&of(&bob, &bucket), "k").ok();
        get(&bucket, "k").ok();
        get(&of(&ann, &bucket), "k").refused(403, "AccessDenied");
    }
    // Either of both denies.
    let everything = [statement("Allow", "s3:*", "*")];
    put(root, "ann", &everything);
    set(&[&grant(&arn, "Deny", "s3:GetObject")]);
    get(&of(&ann, &bucket), "k").refused(403, "AccessDenied");
    of(&ann, &bucket).object(Method::PUT, "k").body("y").ok();
    get(&bucket, "k").ok();
    set(&[&grant("*", "Allow", "s3:GetObject")]);
    put(root, "bob", &[statement("Deny", "s3:GetObject", "*")]);
    get(&of(&bob, &bucket), "k").refused(403, "AccessDenied");
    get(&bucket, "k").anonymous().ok();
    // Only the root user is never locked out of the policy.
    set(&[r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["BUCKET", "BUCKET/*"]}"#]);
    bucket_policy::policy(&of(&ann, &bucket), Method::DELETE).refused(403, "AccessDenied");
    bucket_policy::policy(&bucket, Method::DELETE).send().expect(204);
    bucket_policy::policy(&of(&ann, &bucket), Method::GET).refused(404, "NoSuchBucketPolicy");
    // A user that is not there cannot be named.
    let nobody = grant(&arn.replace("ann", "eve"), "Allow", "s3:GetObject");
    let document = bucket_policy::document(&bucket, &[&nobody]);
    bucket_policy::policy(&bucket, Method::PUT).body(document).refused(400, "MalformedPolicy");
}

/// Whoever may rename some users does not rename them into others, whose rights go by the name.
#[test]
fn a_user_is_renamed_only_by_who_may_change_both_names() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    put(root, "ann", &[statement("Allow", "iam:UpdateUser", "arn:aws:iam::*:user/dev/*")]);
    iam(root, "CreateUser", &[("UserName", "eve"), ("Path", "/dev/")]);
    for changes in [
        &[("NewPath", "/"), ("NewUserName", "ops")][..],
        &[("NewPath", "/admin/")],
        &[("NewPath", "/admin/dev/")],
        &[("NewPath", "/")],
    ] {
        let parameters: Vec<_> = [("UserName", "eve")].iter().chain(changes).copied().collect();
        ann.call("iam", "UpdateUser", &parameters).refused_call(403, "AccessDenied");
    }
    ann.call("iam", "UpdateUser", &[("UserName", "ann"), ("NewPath", "/dev/")])
        .refused_call(403, "AccessDenied");
    let told = iam(root, "GetUser", &[("UserName", "eve")]);
    assert_eq!(told.find("GetUserResult/User/Path"), Some("/dev/"), "nothing was changed");
    iam(&ann, "UpdateUser", &[("UserName", "eve"), ("NewUserName", "eva"), ("NewPath", "/dev/a/")]);
    iam(root, "GetUser", &[("UserName", "eva")]);
}

#[test]
fn users_are_told_apart_by_variables_and_conditions() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    let home = format!("arn:aws:s3:::{}/${{aws:username}}/*", bucket.name);
    iam(root, "CreateGroup", &[("GroupName", "team")]);
    let document = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{}, {{"Effect": "Deny", "Action": "s3:*", "Resource": "*",
           "Condition": {{"StringNotEquals": {{"aws:PrincipalType": "User"}}}}}}]}}"#,
        statement("Allow", "s3:*", &home)
    );
    let parameters = [("GroupName", "team"), ("PolicyName", "home"), ("PolicyDocument", document.as_str())];
    iam(root, "PutGroupPolicy", &parameters);
    for name in ["ann", "bob"] {
        let client = user(root, name);
        iam(root, "AddUserToGroup", &[("GroupName", "team"), ("UserName", name)]);
        let own = of(&client, &bucket);
        own.object(Method::PUT, &format!("{name}/k")).body("x").ok();
        let other = if name == "ann" { "bob/k" } else { "ann/k" };
        get(&own, other).refused(403, "AccessDenied");
        own.object(Method::PUT, other).body("y").refused(403, "AccessDenied");
        let copy = own.object(Method::PUT, &format!("{name}/copy"));
        copy.header("x-amz-copy-source", format!("/{}/{other}", bucket.name)).refused(403, "AccessDenied");
    }
}

#[test]
fn a_key_that_was_taken_away_is_refused_by_the_next_request() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    iam(root, "CreateUser", &[("UserName", "ann")]);
    put(root, "ann", &[statement("Allow", "*", "*")]);
    let (ann, id) = access_key(root, "ann");
    let hers = of(&ann, &bucket);
    get(&hers, "k").ok();
    let update = |status: &str| {
        iam(root, "UpdateAccessKey", &[("UserName", "ann"), ("AccessKeyId", &id), ("Status", status)]);
    };
    update("Inactive");
    get(&hers, "k").refused(403, "InvalidAccessKeyId");
    get(&hers, "k").presigned(60).refused(403, "InvalidAccessKeyId");
    ann.call("iam", "ListUsers", &[]).refused_call(403, "InvalidClientTokenId");
    ann.call("sts", "GetCallerIdentity", &[]).refused_call(403, "InvalidClientTokenId");
    update("Active");
    get(&hers, "k").ok();
    get(&hers, "k").presigned(60).ok();
    iam(root, "DeleteAccessKey", &[("UserName", "ann"), ("AccessKeyId", &id)]);
    get(&hers, "k").refused(403, "InvalidAccessKeyId");
    let (again, _) = access_key(root, "ann");
    get(&of(&again, &bucket), "k").ok();
    iam(root, "DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "p")]);
    get(&of(&again, &bucket), "k").refused(403, "AccessDenied");
}

#[test]
fn only_what_is_signed_right_is_a_users() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    iam(root, "CreateUser", &[("UserName", "ann")]);
    put(root, "ann", &[statement("Allow", "*", "*")]);
    let (ann, id) = access_key(root, "ann");
    let wrong = root.with_credentials(&id, "wrong-secret");
    of(&wrong, &bucket).request(Method::GET).refused(403, "SignatureDoesNotMatch");
    wrong.call("iam", "ListUsers", &[]).refused_call(403, "SignatureDoesNotMatch");
    let unknown = root.with_credentials("AKIAABCDEFGHIJKLMNOP", "wrong-secret");
    of(&unknown, &bucket).request(Method::GET).refused(403, "InvalidAccessKeyId");
    unknown.call("iam", "ListUsers", &[]).refused_call(403, "InvalidClientTokenId");
    of(&ann.with_session_token("token"), &bucket).request(Method::GET).refused(400, "InvalidToken");
    root.call("iam", "ListUsers", &[]).anonymous().refused_call(403, "MissingAuthenticationToken");
    // A key of one service is none of another.
    of(&ann, &bucket).request(Method::GET).service("iam").refused(400, "AuthorizationHeaderMalformed");
    for service in ["s3", "sts"] {
        root.call("iam", "ListUsers", &[]).service(service).refused_call(403, "SignatureDoesNotMatch");
    }
    root.with_region("eu-central-1").call("iam", "ListUsers", &[]).refused_call(403, "SignatureDoesNotMatch");
    // What was signed is what is done.
    let call = ann.call("iam", "CreateUser", &[("UserName", "bob")]).prepare();
    let other = call.replace_in_body(b"bob", b"eve").send();
    assert_eq!(other.status, 403, "{other:?}");
    root.call("iam", "ListUsers", &[])
        .signed_at(harness::now_seconds() - 3600)
        .refused_call(403, "SignatureDoesNotMatch");
    let users = iam(root, "ListUsers", &[]);
    assert_eq!(users.all("ListUsersResult/Users/member/UserName"), ["ann"]);
    ann.call("iam", "CreateUser", &[("UserName", "bob")]).ok();
}

#[test]
fn rights_to_call_iam_are_of_its_actions_and_resources() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    put(root, "ann", &[statement("Allow", "s3:*", "*")]);
    ann.call("iam", "ListUsers", &[]).refused_call(403, "AccessDenied");
    let own = "arn:aws:iam::*:user/${aws:username}";
    put(
        root,
        "ann",
        &[
            statement("Allow", "iam:*AccessKey*", own),
            statement("Allow", "iam:GetUser", own),
            statement("Allow", "iam:CreateUser", "arn:aws:iam::*:user/hers/*"),
        ],
    );
    ann.call("iam", "GetUser", &[]).ok();
    let made = iam(&ann, "CreateAccessKey", &[]);
    assert_eq!(made.find("CreateAccessKeyResult/AccessKey/UserName"), Some("ann"));
    iam(root, "CreateUser", &[("UserName", "bob")]);
    for action in ["CreateAccessKey", "GetUser", "ListAccessKeys", "DeleteUser"] {
        ann.call("iam", action, &[("UserName", "bob")]).refused_call(403, "AccessDenied");
        ann.call("iam", action, &[("UserName", "none")]).refused_call(403, "AccessDenied");
    }
    ann.call("iam", "CreateUser", &[("UserName", "eve"), ("Path", "/hers/")]).ok();
    ann.call("iam", "CreateUser", &[("UserName", "eve2")]).refused_call(403, "AccessDenied");
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    ann.call("iam", "AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", admin)])
        .refused_call(403, "AccessDenied");
}

#[test]
fn users_and_their_keys_outlive_the_server() {
    let mut server = Server::start();
    let name = server.bucket().name;
    iam(server.client(), "CreateUser", &[("UserName", "ann")]);
    put(server.client(), "ann", &[statement("Allow", "s3:*", "*")]);
    let made = iam(server.client(), "CreateAccessKey", &[("UserName", "ann")]);
    let of =
        |field: &str| made.find(&format!("CreateAccessKeyResult/AccessKey/{field}")).expect(field).to_owned();
    let database = server.folder().join("0");
    server.restart();
    let ann = server.client().with_credentials(&of("AccessKeyId"), &of("SecretAccessKey"));
    ann.existing_bucket(&name).request(Method::GET).ok();
    // Nothing on the disk says the secret.
    let secret = of("SecretAccessKey");
    for entry in std::fs::read_dir(database).expect("the home folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("a file");
            let found = bytes.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "{} has the secret", path.display());
        }
    }
}

#[test]
fn a_lost_identity_key_is_not_made_anew() {
    let mut server = Server::start();
    let bucket = server.bucket();
    let ann = user(server.client(), "ann");
    let key = server.folder().join("0/identity.key");
    let kept = std::fs::read(&key).expect("the key of the first start");
    std::fs::remove_file(&key).expect("it can be lost");
    let reason = server.fails_to_restart();
    assert!(reason.contains("--forget-access-keys"), "{reason}");
    assert!(!key.exists(), "nothing was made in its place");

    std::fs::write(&key, &kept).expect("it is put back");
    server.restart();
    let who = server.client().with_credentials_of(&ann);
    who.call("sts", "GetCallerIdentity", &[]).ok();

    std::fs::remove_file(&key).expect("it is lost for good");
    server.restart_with(|config| config.forget_access_keys = true);
    let who = server.client().with_credentials_of(&ann);
    of(&who, &bucket).request(Method::GET).refused(403, "InvalidAccessKeyId");
    let (again, _) = access_key(server.client(), "ann");
    server.restart_with(|config| config.forget_access_keys = false);
    server.client().with_credentials_of(&again).call("sts", "GetCallerIdentity", &[]).ok();
}

#[test]
fn a_form_that_a_user_signed_is_held_to_its_policies() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    let ann = user(root, "ann");
    let objects = format!("arn:aws:s3:::{}/*", bucket.name);
    let form = |key: &str| of(&ann, &bucket).form().field("key", key);
    let refused = |key: &str| {
        form(key).signed(b"x").send().expect_error(403, "AccessDenied");
        bucket.head(key).send().expect(404);
    };
    refused("without-a-right");
    put(root, "ann", &[statement("Allow", "s3:GetObject", &objects)]);
    refused("with-another-right");
    put(
        root,
        "ann",
        &[
            statement("Allow", "s3:PutObject", &objects),
            statement("Deny", "s3:*", &format!("arn:aws:s3:::{}/shut/*", bucket.name)),
        ],
    );
    form("k").signed(b"x").send().expect(204);
    assert_eq!(get(&bucket, "k").ok().body, b"x");
    refused("shut/k");
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    form("tagged").field("tagging", tags).signed(b"x").send().expect_error(403, "AccessDenied");

    let (second, id) = access_key(root, "ann");
    let form = || of(&second, &bucket).form().field("key", "second");
    form().signed(b"x").send().expect(204);
    let change = [("UserName", "ann"), ("AccessKeyId", id.as_str()), ("Status", "Inactive")];
    iam(root, "UpdateAccessKey", &change);
    bucket.object(Method::DELETE, "second").send().expect(204);
    form().signed(b"x").send().expect_error(403, "InvalidAccessKeyId");
    bucket.head("second").send().expect(404);
}

#[test]
fn a_bucket_with_tags_takes_the_right_to_tag() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let bucket = ann.existing_bucket("tagged-by-ann");
    let body = "<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>1</Value></Tag></Tags></CreateBucketConfiguration>";
    put(root, "ann", &[statement("Allow", "s3:CreateBucket", "*")]);
    bucket.request(Method::PUT).body(body).refused(403, "AccessDenied");
    root.existing_bucket(&bucket.name).request(Method::HEAD).send().expect(404);
    bucket.request(Method::PUT).body("<CreateBucketConfiguration/>").ok();
    root.existing_bucket(&bucket.name).request(Method::DELETE).send().expect(204);
    put(
        root,
        "ann",
        &[statement("Allow", "s3:CreateBucket", "*"), statement("Allow", "s3:TagResource", "*")],
    );
    bucket.request(Method::PUT).body(body).ok();
}

/// Users of the account learn what was denied and by which kind of policy; nobody else does.
#[test]
fn a_denial_says_what_was_denied_and_by_what() {
    let server = Server::start();
    let root = server.client();
    let bucket = server.bucket();
    bucket.object(Method::PUT, "k").body("x").ok();
    let ann = user(root, "ann");
    let hers = of(&ann, &bucket);
    let message = |request: harness::Request| {
        let refused = request.send().expect(403);
        Element::parse(&refused.body).find("Message").expect("a message").to_owned()
    };
    let who = Element::parse(&ann.call("sts", "GetCallerIdentity", &[]).ok().body);
    let arn = who.find("GetCallerIdentityResult/Arn").expect("an ARN").to_owned();
    let said = |action: &str, resource: &str, why: &str| {
        format!(
            "User: {arn} is not authorized to perform: s3:{action} on resource: \"arn:aws:s3:::{resource}\" {why}"
        )
    };
    let object = format!("{}/k", bucket.name);
    let nothing = |action: &str| format!("because no identity-based policy allows the s3:{action} action");
    assert_eq!(message(get(&hers, "k")), said("GetObject", &object, &nothing("GetObject")));
    assert_eq!(message(hers.request(Method::GET)), said("ListBucket", &bucket.name, &nothing("ListBucket")));
    let made = ann.existing_bucket("made-by-ann").request(Method::PUT);
    assert_eq!(message(made), said("CreateBucket", "made-by-ann", &nothing("CreateBucket")));

    let objects = format!("arn:aws:s3:::{}/*", bucket.name);
    put(root, "ann", &[statement("Allow", "s3:*", "*"), statement("Deny", "s3:DeleteObject", &objects)]);
    let deny = |kind: &str| format!("with an explicit deny in {kind} policy");
    let delete = hers.object(Method::DELETE, "k");
    assert_eq!(message(delete), said("DeleteObject", &object, &deny("an identity-based")));
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "{objects}"}}]}}"#
    );
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    assert_eq!(message(get(&hers, "k")), said("GetObject", &object, &deny("a resource-based")));
    assert!(message(get(&bucket, "k")).contains(":root is not authorized to perform: s3:GetObject"));
    assert_eq!(message(get(&bucket, "k").anonymous()), "Access Denied");

    put(root, "ann", &[statement("Allow", "s3:GetObject", &objects)]);
    bucket.request(Method::DELETE).raw_query("policy").send().expect(204);
    let missing = message(get(&hers, "none"));
    assert_eq!(
        missing,
        said("ListBucket", &bucket.name, &nothing("ListBucket")),
        "what is missing is not told"
    );
}

/// Logs and lists are written by nobody who is asked, so whoever asks for them has to be allowed to write there.
#[test]
fn logs_and_lists_go_where_their_sender_may_write() {
    let server = Server::start();
    let root = server.client();
    let (own, other) = (server.bucket(), server.bucket());
    let bob = user(root, "bob");
    let all = [
        statement("Allow", "s3:*", &format!("arn:aws:s3:::{}", own.name)),
        statement("Allow", "s3:*", &format!("arn:aws:s3:::{}/*", own.name)),
    ];
    let bobs = of(&bob, &own);
    let logging = |prefix: &str| {
        let target = &other.name;
        let enabled = format!(
            "<LoggingEnabled><TargetBucket>{target}</TargetBucket><TargetPrefix>{prefix}</TargetPrefix></LoggingEnabled>"
        );
        let body = format!("<BucketLoggingStatus>{enabled}</BucketLoggingStatus>");
        bobs.request(Method::PUT).raw_query("logging").body(body)
    };
    let inventory = |prefix: &str| {
        let destination = format!(
            "<S3BucketDestination><Bucket>arn:aws:s3:::{}</Bucket><Format>CSV</Format><Prefix>{prefix}</Prefix></S3BucketDestination>",
            other.name
        );
        let body = format!(
            "<InventoryConfiguration><Id>i</Id><IsEnabled>true</IsEnabled><IncludedObjectVersions>Current</IncludedObjectVersions>\
             <Schedule><Frequency>Daily</Frequency></Schedule><Destination>{destination}</Destination></InventoryConfiguration>"
        );
        bobs.request(Method::PUT).raw_query("inventory&id=i").body(body)
    };
    put(root, "bob", &all);
    logging("logs/").refused(403, "AccessDenied");
    inventory("logs").refused(403, "AccessDenied");
    let stored = own.request(Method::GET).raw_query("logging").ok().xml();
    assert!(stored.all("LoggingEnabled/TargetBucket").is_empty(), "{stored:?}");
    own.request(Method::GET).raw_query("inventory&id=i").refused(404, "NoSuchConfiguration");
    let allowed = statement("Allow", "s3:PutObject", &format!("arn:aws:s3:::{}/logs/*", other.name));
    put(root, "bob", &[&all[..], &[allowed]].concat());
    logging("other/").refused(403, "AccessDenied");
    inventory("other").refused(403, "AccessDenied");
    logging("logs/").ok();
    inventory("logs").ok();
}
