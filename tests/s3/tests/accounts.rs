//! Several accounts: nothing of one is seen or changed by another without a grant, and a grant of both sides makes it possible.

use harness::{Account, Bucket, Client, Cluster, Element, Request};
use http::Method;
use metadata_api::AccountStatus;
use s3_wire::{
    Operation,
    operation::{Kind, ROUTES},
};

use crate::{
    completeness,
    iam_roles::trust,
    iam_users::{iam, user},
};

const FIRST: &str = "750814517293";

/// A cluster with two accounts beside the first.
fn two() -> (Cluster, Account, Account) {
    let cluster = Cluster::start(1);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    (cluster, one, other)
}

fn statement(effect: &str, action: &str) -> String {
    format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Resource": "*"}}"#)
}

fn document(statements: &[String]) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(", "))
}

#[track_caller]
fn put_user(root: &Client, name: &str, statements: &[String]) {
    let document = document(statements);
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &document)]);
}

/// Sets a policy that lets these do this in the bucket.
#[track_caller]
fn open(bucket: &Bucket, principal: &str, action: &str) {
    let name = &bucket.name;
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "{action}",
           "Resource": ["arn:aws:s3:::{name}", "arn:aws:s3:::{name}/*"]}}]}}"#
    );
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
}

#[track_caller]
fn close(bucket: &Bucket) {
    bucket.request(Method::DELETE).raw_query("policy").send().expect(204);
}

fn who(client: &Client) -> [String; 3] {
    let answer = Element::parse(&client.call("sts", "GetCallerIdentity", &[]).ok().body);
    ["Arn", "UserId", "Account"]
        .map(|field| answer.find(&format!("GetCallerIdentityResult/{field}")).expect(field).to_owned())
}

/// Everything that can be read of a bucket by its owner, in one text.
fn seen(bucket: &Bucket) -> String {
    let mut seen = String::new();
    let reads =
        ["", "versions", "uploads", "acl", "policy", "tagging", "versioning", "cors", "lifecycle", "logging"];
    let more =
        ["website", "encryption", "ownershipControls", "publicAccessBlock", "object-lock", "inventory"];
    for query in reads.into_iter().chain(more) {
        let answer = bucket.request(Method::GET).raw_query(query).send();
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        // Those of errors are other ones each time.
        let body = if answer.status == 200 { body } else { String::new() };
        seen.push_str(&format!("{query}: {} {body}\n", answer.status));
    }
    for query in ["", "acl", "tagging"] {
        let answer = bucket.object(Method::GET, "key").raw_query(query).send();
        seen.push_str(&format!("{query}: {} {}\n", answer.status, String::from_utf8_lossy(&answer.body)));
    }
    seen
}

/// Every operation that names a bucket is refused to whoever is of another account, the root user and a user who may do everything, in
/// a bucket where lists have no effect and in one where they have; and changes nothing.
#[test]
fn every_operation_on_anothers_bucket_is_refused_and_touches_nothing() {
    let (_cluster, one, other) = two();
    let admin = user(&other.root, "admin");
    put_user(&other.root, "admin", &[statement("Allow", "*")]);
    for ownership in ["BucketOwnerEnforced", "ObjectWriter"] {
        let bucket = one.root.existing_bucket(&format!("ones-{}", ownership.to_lowercase()));
        bucket.request(Method::PUT).header("x-amz-object-ownership", ownership).ok();
        bucket.put("key", "content").header("x-amz-tagging", "a=b").ok();
        bucket.upload("key");
        let before = seen(&bucket);
        let mut refused = 0;
        for client in [&other.root, &admin] {
            let theirs = bucket.through(client);
            for route in ROUTES {
                let operation = route.operation;
                // A batch of deletes is decided on key by key, below.
                let is_elsewhere = matches!(operation, Operation::ListBuckets | Operation::DeleteObjects);
                if operation.action().is_none() || is_elsewhere {
                    continue;
                }
                let name = operation.name();
                let request = completeness::request(&theirs, route);
                // A form says in its fields who sends it.
                let request = if operation == Operation::PostObject { request.anonymous() } else { request };
                let answer = request.send();
                let is_head = route.method == Method::HEAD;
                let code =
                    if is_head { String::new() } else { Element::parse(&answer.body).get("Code").to_owned() };
                match (operation, operation.kind()) {
                    (Operation::CreateBucket, _) => {
                        assert_eq!((answer.status, code.as_str()), (409, "BucketAlreadyExists"), "{name}");
                    }
                    (_, Kind::Refused) => {}
                    _ if is_head => assert_eq!(answer.status, 403, "{name}"),
                    _ => assert_eq!(
                        (answer.status, code.as_str()),
                        (403, "AccessDenied"),
                        "{name}: {answer:?}"
                    ),
                }
                refused += usize::from(answer.status == 403);
            }
            let batch = "<Delete><Object><Key>key</Key></Object></Delete>";
            let deleted = theirs.delete_objects(batch).send();
            assert!(
                deleted.status == 403 || deleted.xml().get("Error/Code") == "AccessDenied",
                "{deleted:?}"
            );
        }
        assert!(refused > 100, "{refused}");
        assert_eq!(seen(&bucket), before, "nothing was done");
    }
}

/// Names are of the whole cluster; who has which buckets is told to nobody else.
#[test]
fn buckets_are_their_accounts() {
    let (cluster, one, other) = two();
    let first = cluster.gateway(0);
    let names = |client: &Client| {
        let list = client.request(Method::GET, "/").ok().xml();
        let owner = (list.get("Owner/ID").to_owned(), list.get("Owner/DisplayName").to_owned());
        (list.all("Buckets/Bucket/Name").join(" "), owner)
    };
    for (client, name) in [(&one.root, "ones"), (&other.root, "others"), (first, "firsts")] {
        client.existing_bucket(name).request(Method::PUT).ok();
    }
    assert_eq!(names(&one.root), ("ones".to_owned(), (one.id.0.clone(), "one".to_owned())));
    assert_eq!(names(&other.root), ("others".to_owned(), (other.id.0.clone(), "other".to_owned())));
    assert_eq!(names(first).0, "firsts");
    assert_eq!(names(first).1.1, "root");
    for client in [&other.root, first] {
        let ones = client.existing_bucket("ones");
        ones.request(Method::PUT).refused(409, "BucketAlreadyExists");
        ones.request(Method::HEAD).send().expect(403);
        ones.put("k", "x").refused(403, "AccessDenied");
        ones.request(Method::DELETE).refused(403, "AccessDenied");
    }
    other.root.existing_bucket("missing").list().refused(404, "NoSuchBucket");
    let ones = one.root.existing_bucket("ones");
    ones.request(Method::PUT).ok();
    ones.put("k", "x").ok();
    let list = ones.list_v1().ok().xml();
    assert_eq!(
        (list.get("Contents/Owner/ID"), list.get("Contents/Owner/DisplayName")),
        (one.id.0.as_str(), "one")
    );
    let acl = ones.request(Method::GET).raw_query("acl").ok().xml();
    assert_eq!(acl.get("Owner/ID"), one.id.0);
    assert_eq!(acl.get("AccessControlList/Grant/Grantee/ID"), one.id.0);
    for (expected, status) in [(&one.number, 200), (&other.number, 403), (&FIRST.to_owned(), 403)] {
        ones.get("k").header("x-amz-expected-bucket-owner", expected).send().expect(status);
    }
    ones.request(Method::GET)
        .raw_query("acl")
        .header("x-amz-expected-bucket-owner", "12")
        .refused(400, "InvalidBucketOwnerAWSAccountID");
    ones.delete("k").send().expect(204);
    ones.request(Method::DELETE).send().expect(204);
    // For a while the name is for none but whose it was.
    other.root.existing_bucket("ones").request(Method::PUT).refused(409, "BucketAlreadyExists");
    ones.request(Method::PUT).ok();
}

/// What was decided on for a bucket reaches no bucket of another account that gets its name.
#[test]
fn what_is_under_way_for_a_bucket_reaches_no_other_accounts() {
    let (_cluster, one, other) = two();
    let theirs = other.root.existing_bucket("taken-over");
    theirs.request(Method::PUT).ok();
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::taken-over", "arn:aws:s3:::taken-over/*"]}]}"#;
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let requests = [
        theirs.request(Method::PUT).raw_query("policy").body(policy),
        theirs.request(Method::PUT).raw_query("tagging").body(tags),
        theirs.put("injected", "content"),
    ];
    let held = requests.map(|request| {
        let prepared = request.prepare();
        let mut connection = theirs.client().connect();
        let most = prepared.body.len() - 1;
        connection.send(&[&prepared.head(), &prepared.body[..most]].concat());
        (prepared, connection)
    });
    std::thread::sleep(std::time::Duration::from_secs(1));
    theirs.request(Method::DELETE).send().expect(204);
    one.root.existing_bucket("taken-over").request(Method::PUT).refused(409, "BucketAlreadyExists");
    for (prepared, mut connection) in held {
        connection.send(&prepared.body[prepared.body.len() - 1..]);
        prepared.receive(&mut connection).expect_error(404, "NoSuchBucket");
    }
    theirs.request(Method::PUT).ok();
    theirs.request(Method::GET).raw_query("policy").refused(404, "NoSuchBucketPolicy");
    assert_eq!(theirs.keys(), [""; 0]);
}

/// Everybody is of the account that the access key is of, in ARNs, ids and condition keys.
#[test]
fn everybody_is_of_their_account() {
    let (_cluster, one, other) = two();
    let number = &one.number;
    assert_eq!(who(&one.root), [format!("arn:aws:iam::{number}:root"), number.clone(), number.clone()]);
    let ann = user(&one.root, "ann");
    let [arn, id, account] = who(&ann);
    assert_eq!((arn, &account), (format!("arn:aws:iam::{number}:user/ann"), number));
    assert!(id.starts_with("AIDA"), "{id}");

    let bucket = one.root.bucket();
    bucket.put("k", "x").ok();
    for (key, value, status) in [
        ("aws:PrincipalAccount", number.as_str(), 200),
        ("aws:PrincipalAccount", other.number.as_str(), 403),
        ("aws:ResourceAccount", number, 200),
        ("s3:ResourceAccount", number, 200),
        ("s3:ResourceAccount", FIRST, 403),
    ] {
        let allow = format!(
            r#"{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {{"StringEquals": {{"{key}": "{value}"}}}}}}"#
        );
        put_user(&one.root, "ann", &[allow]);
        bucket.through(&ann).get("k").send().expect(status);
    }
}

/// Users, keys, roles and policies of one account are there for none of another, under the same names too.
#[test]
fn what_iam_makes_is_closed_to_other_accounts() {
    let (cluster, one, other) = two();
    let (ann, anns) = (user(&one.root, "ann"), user(&other.root, "ann"));
    put_user(&one.root, "ann", &[statement("Allow", "*")]);
    let users =
        |client: &Client| iam(client, "ListUsers", &[]).all("ListUsersResult/Users/member/Arn").join(" ");
    assert_eq!(users(&one.root), format!("arn:aws:iam::{}:user/ann", one.number));
    assert_eq!(users(&ann), users(&one.root));
    assert_eq!(users(&other.root), format!("arn:aws:iam::{}:user/ann", other.number));
    assert_eq!(users(cluster.gateway(0)), "");
    anns.call("iam", "ListUsers", &[]).refused_call(403, "AccessDenied");

    let keys = iam(&one.root, "ListAccessKeys", &[("UserName", "ann")]);
    let key =
        keys.find("ListAccessKeysResult/AccessKeyMetadata/member/AccessKeyId").expect("a key").to_owned();
    let theirs = [("UserName", "ann"), ("AccessKeyId", key.as_str())];
    for client in [&other.root, cluster.gateway(0)] {
        client.call("iam", "DeleteAccessKey", &theirs).refused_call(404, "NoSuchEntity");
    }
    let policy = document(&[statement("Allow", "s3:*")]);
    iam(&one.root, "CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", &policy)]);
    let arn = format!("arn:aws:iam::{}:policy/p", one.number);
    for (action, parameters) in [
        ("GetPolicy", vec![("PolicyArn", arn.as_str())]),
        ("DeletePolicy", vec![("PolicyArn", &arn)]),
        ("AttachUserPolicy", vec![("PolicyArn", &arn), ("UserName", "ann")]),
    ] {
        other.root.call("iam", action, &parameters).refused_call(404, "NoSuchEntity");
    }
    iam(&one.root, "AttachUserPolicy", &[("PolicyArn", &arn), ("UserName", "ann")]);

    // What one has is not had by the other's of the same name.
    ann.request(Method::GET, "/").ok();
    anns.request(Method::GET, "/").refused(403, "AccessDenied");
    put_user(&other.root, "ann", &[statement("Allow", "s3:ListAllMyBuckets")]);
    anns.request(Method::GET, "/").ok();
}

/// A request to another account's bucket takes a grant of the bucket and, of a user, a policy of its own.
#[test]
fn both_sides_have_to_allow_it() {
    let (_cluster, one, other) = two();
    let bucket = one.root.bucket();
    bucket.put("k", "x").ok();
    let ann = user(&other.root, "ann");
    let read = |client: &Client| bucket.through(client).get("k").send().status;
    let ann_arn = format!("arn:aws:iam::{}:user/ann", other.number);
    let root_arn = format!("arn:aws:iam::{}:root", other.number);
    for (principal, roots, anns) in [
        (other.number.as_str(), 200, 200),
        (&root_arn, 200, 200),
        (&other.id.0, 200, 200),
        (&ann_arn, 403, 200),
        (FIRST, 403, 403),
    ] {
        open(&bucket, principal, "s3:GetObject");
        put_user(&other.root, "ann", &[statement("Allow", "s3:PutObject")]);
        assert_eq!((read(&other.root), read(&ann)), (roots, 403), "{principal}: its account does not let it");
        put_user(&other.root, "ann", &[statement("Allow", "s3:GetObject")]);
        assert_eq!(read(&ann), anns, "{principal}");
        put_user(&other.root, "ann", &[statement("Allow", "s3:*"), statement("Deny", "s3:GetObject")]);
        assert_eq!(read(&ann), 403, "{principal}: what is denied is denied");
        bucket.through(&other.root).put("k", "y").refused(403, "AccessDenied");
    }
    open(&bucket, &other.number, "s3:*");
    put_user(&other.root, "ann", &[statement("Allow", "s3:*")]);
    bucket.through(&ann).put("theirs", "y").ok();
    bucket.through(&ann).delete("theirs").send().expect(204);
    // Its policy is its owner's alone, whatever it says.
    bucket.through(&other.root).request(Method::GET).raw_query("policy").refused(405, "MethodNotAllowed");
    close(&bucket);
    assert_eq!((read(&other.root), read(&ann)), (403, 403));
}

/// Who is not there cannot be named; whom another account has is told to nobody.
#[test]
fn policies_name_accounts_that_there_are() {
    let (_cluster, one, other) = two();
    let bucket = one.root.bucket();
    let put = |principal: &str| {
        let name = &bucket.name;
        let policy = format!(
            r#"{{"Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{principal}"}}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{name}/*"}}]}}"#
        );
        bucket.request(Method::PUT).raw_query("policy").body(policy).send()
    };
    put("111122223333").expect_error(400, "MalformedPolicy");
    put("arn:aws:iam::111122223333:user/ann").expect_error(400, "MalformedPolicy");
    put(&format!("arn:aws:iam::{}:user/nobody", one.number)).expect_error(400, "MalformedPolicy");
    for known in [other.number.clone(), format!("arn:aws:iam::{}:user/nobody", other.number)] {
        put(&known).expect(204);
    }
    let role = |principal: &str| {
        let trust = trust(&[principal]);
        one.root.call("iam", "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &trust)])
    };
    role("111122223333").refused_call(400, "MalformedPolicyDocument");
    role(&other.number).ok();
}

/// Lists grant accounts something by their canonical ids and their addresses.
#[test]
fn lists_grant_other_accounts_something() {
    let (_cluster, one, other) = two();
    let bucket = one.root.existing_bucket("listed");
    bucket.request(Method::PUT).header("x-amz-object-ownership", "BucketOwnerPreferred").ok();
    bucket.put("k", "x").ok();
    let theirs = bucket.through(&other.root);
    let acl = |bucket: &Bucket| bucket.request(Method::PUT).raw_query("acl");
    theirs.list().refused(403, "AccessDenied");
    for grantee in [format!("id={}", other.id.0), "emailAddress=Other@Example.org".to_owned()] {
        acl(&bucket).header("x-amz-acl", "private").ok();
        theirs.list().refused(403, "AccessDenied");
        acl(&bucket).header("x-amz-grant-read", &grantee).ok();
        assert_eq!(theirs.list().ok().xml().all("Contents/Key"), ["k"], "{grantee}");
        let shown = bucket.request(Method::GET).raw_query("acl").ok().xml();
        assert!(shown.all("AccessControlList/Grant/Grantee/ID").contains(&other.id.0.as_str()), "{shown:?}");
        theirs.get("k").refused(403, "AccessDenied");
        theirs.put("y", "y").refused(403, "AccessDenied");
    }
    let to_none = format!("id={}", "7".repeat(64));
    acl(&bucket).header("x-amz-grant-read", &to_none).refused(400, "InvalidArgument");
    acl(&bucket)
        .header("x-amz-grant-read", "emailAddress=nobody@example.org")
        .refused(400, "UnresolvableGrantByEmailAddress");
    assert_eq!(theirs.list().ok().xml().all("Contents/Key"), ["k"], "nothing was changed");

    bucket.put("k", "x").header("x-amz-grant-read", format!("id={}", other.id.0)).ok();
    theirs.get("k").ok();
    // A user of the account has it within its own policies.
    let ann = user(&other.root, "ann");
    bucket.through(&ann).get("k").refused(403, "AccessDenied");
    put_user(&other.root, "ann", &[statement("Allow", "s3:GetObject")]);
    bucket.through(&ann).get("k").ok();
    acl(&bucket).header("x-amz-grant-write", format!("id={}", other.id.0)).ok();
    theirs.put("written", "y").ok();
    assert!(bucket.keys().contains(&"written".to_owned()));
    bucket.put("everybodys", "x").header("x-amz-acl", "authenticated-read").ok();
    theirs.get("everybodys").ok();
    theirs.get("everybodys").anonymous().refused(403, "AccessDenied");
}

/// What is public is shut out by the block of the account that owns the bucket, and by no other's.
#[test]
fn the_block_of_the_owners_account_holds() {
    let (_cluster, one, other) = two();
    let block = |account: &Account, number: &str| {
        let all = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
            .map(|name| format!("<{name}>true</{name}>"))
            .concat();
        let body = format!("<PublicAccessBlockConfiguration>{all}</PublicAccessBlockConfiguration>");
        let request = account.root.request(Method::PUT, "/v20180820/configuration/publicAccessBlock");
        request.into_control().header("x-amz-account-id", number).body(body).send().status
    };
    let bucket = one.root.bucket();
    bucket.put("k", "x").ok();
    open(&bucket, "*", "s3:GetObject");
    bucket.through(&other.root).get("k").ok();
    assert_eq!(block(&other, &one.number), 403, "nobody sets another's");
    assert_eq!(block(&other, &other.number), 200);
    bucket.through(&other.root).get("k").ok();
    bucket.get("k").anonymous().ok();
    assert_eq!(block(&one, &one.number), 200);
    bucket.through(&other.root).get("k").refused(403, "AccessDenied");
    bucket.get("k").anonymous().refused(403, "AccessDenied");
    bucket.get("k").ok();
}

/// A copy reads its source by what that bucket grants, and writes by what the target does.
#[test]
fn a_copy_takes_rights_on_both_sides() {
    let (_cluster, one, other) = two();
    let (source, target) = (one.root.bucket(), other.root.bucket());
    source.put("k", "content").ok();
    let from = format!("{}/k", source.name);
    target.copy(&from, "copied").refused(403, "AccessDenied");
    source.through(&other.root).copy(&from, "copied").refused(403, "AccessDenied");
    open(&source, &other.number, "s3:GetObject");
    target.copy(&from, "copied").ok();
    source.through(&other.root).copy(&from, "copied").refused(403, "AccessDenied");
    assert_eq!(target.get("copied").ok().body, b"content");
    let wrong = target.copy(&from, "again").header("x-amz-source-expected-bucket-owner", &other.number);
    wrong.refused(403, "AccessDenied");
    target.copy(&from, "again").header("x-amz-source-expected-bucket-owner", &one.number).ok();
    // Logs and lists go to buckets of the same account.
    open(&source, &other.number, "s3:*");
    let logging = format!(
        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>{}</TargetBucket><TargetPrefix/></LoggingEnabled></BucketLoggingStatus>",
        source.name
    );
    target
        .request(Method::PUT)
        .raw_query("logging")
        .body(logging)
        .refused(400, "InvalidTargetBucketForLogging");
}

fn assume(client: &Client, arn: &str) -> harness::Request {
    client.call("sts", "AssumeRole", &[("RoleArn", arn), ("RoleSessionName", "session")])
}

fn session(client: &Client, arn: &str) -> Client {
    let answer = Element::parse(&assume(client, arn).ok().body);
    let [id, secret, token] = ["AccessKeyId", "SecretAccessKey", "SessionToken"]
        .map(|field| answer.find(&format!("AssumeRoleResult/Credentials/{field}")).expect(field).to_owned());
    client.with_credentials(&id, &secret).with_session_token(&token)
}

/// Who assumes a role of another account is of that account, and has what it has.
#[test]
fn a_role_of_another_account_is_assumed_by_whom_both_let() {
    let (cluster, one, other) = two();
    let bucket = one.root.bucket();
    bucket.put("k", "x").ok();
    let arn = format!("arn:aws:iam::{}:role/reader", one.number);
    let ann = user(&other.root, "ann");
    let first = user(cluster.gateway(0), "ann");
    put_user(cluster.gateway(0), "ann", &[statement("Allow", "sts:AssumeRole")]);
    put_user(&other.root, "ann", &[statement("Allow", "sts:AssumeRole")]);
    assume(&ann, &arn).refused_call(403, "AccessDenied");
    let by_ann = trust(&[&format!("arn:aws:iam::{}:user/ann", other.number)]);
    iam(&one.root, "CreateRole", &[("RoleName", "reader"), ("AssumeRolePolicyDocument", &by_ann)]);
    let read = document(&[statement("Allow", "s3:GetObject")]);
    iam(
        &one.root,
        "PutRolePolicy",
        &[("RoleName", "reader"), ("PolicyName", "p"), ("PolicyDocument", &read)],
    );
    assume(&first, &arn).refused_call(403, "AccessDenied");
    assume(&other.root, &arn).refused_call(403, "AccessDenied");
    put_user(&other.root, "ann", &[statement("Allow", "s3:*")]);
    assume(&ann, &arn).refused_call(403, "AccessDenied");
    put_user(&other.root, "ann", &[statement("Allow", "sts:AssumeRole")]);
    let reader = session(&ann, &arn);
    let [who_arn, _, account] = who(&reader);
    assert_eq!(
        (who_arn, &account),
        (format!("arn:aws:sts::{}:assumed-role/reader/session", one.number), &one.number)
    );
    bucket.through(&reader).get("k").ok();
    bucket.through(&reader).put("k", "y").refused(403, "AccessDenied");
    bucket.through(&ann).get("k").refused(403, "AccessDenied");

    cluster.set_account_status(&one, AccountStatus::Suspended);
    bucket.through(&reader).get("k").refused(403, "InvalidAccessKeyId");
    assume(&ann, &arn).refused_call(403, "AccessDenied");
    cluster.set_account_status(&one, AccountStatus::Active);
    bucket.through(&reader).get("k").ok();
    let denied = document(&[statement("Deny", "*")]);
    iam(
        &one.root,
        "PutRolePolicy",
        &[("RoleName", "reader"), ("PolicyName", "p"), ("PolicyDocument", &denied)],
    );
    bucket.through(&reader).get("k").refused(403, "AccessDenied");
}

/// Whoever is of a suspended account is nobody for the next request, through every gateway; what it granted stays.
#[test]
fn a_suspended_account_is_out_at_once() {
    let cluster = Cluster::start(2);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    let ann = user(&one.root, "ann");
    put_user(&one.root, "ann", &[statement("Allow", "s3:*")]);
    let answer = Element::parse(&ann.call("sts", "GetSessionToken", &[]).ok().body);
    let [id, secret, token] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|field| {
        answer.find(&format!("GetSessionTokenResult/Credentials/{field}")).expect(field).to_owned()
    });
    let temporary = ann.with_credentials(&id, &secret).with_session_token(&token);
    let bucket = one.root.bucket();
    bucket.put("k", "x").ok();
    open(&bucket, &other.number, "s3:GetObject");
    let all = [&one.root, &ann, &temporary];
    let at_second = |client: &Client| cluster.gateway(1).with_credentials_of(client);
    for _ in 0..3 {
        for client in all {
            bucket.through(client).get("k").ok();
            bucket.through(&at_second(client)).get("k").ok();
        }
        cluster.set_account_status(&one, AccountStatus::Suspended);
        for client in all {
            bucket.through(client).get("k").refused(403, "InvalidAccessKeyId");
            bucket.through(&at_second(client)).get("k").refused(403, "InvalidAccessKeyId");
            client.call("sts", "GetCallerIdentity", &[]).refused_call(403, "InvalidClientTokenId");
        }
        bucket.through(&other.root).get("k").ok();
        cluster.set_account_status(&one, AccountStatus::Active);
    }
    // A key that is removed is none from then on, and ends what the root user let others do with it.
    let federated = Element::parse(
        &one.root
            .call(
                "sts",
                "GetFederationToken",
                &[("Name", "bob"), ("Policy", &document(&[statement("Allow", "s3:*")]))],
            )
            .ok()
            .body,
    );
    let [id, secret, token] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|field| {
        federated.find(&format!("GetFederationTokenResult/Credentials/{field}")).expect(field).to_owned()
    });
    let bob = one.root.with_credentials(&id, &secret).with_session_token(&token);
    assert_eq!(who(&bob)[0], format!("arn:aws:sts::{}:federated-user/bob", one.number));
    bucket.through(&bob).get("k").ok();
    cluster.remove_root_key(&one);
    bucket.get("k").refused(403, "InvalidAccessKeyId");
    bucket.through(&at_second(&one.root)).get("k").refused(403, "InvalidAccessKeyId");
    bucket.through(&bob).get("k").refused(403, "InvalidAccessKeyId");
    bucket.through(&ann).get("k").ok();
}

/// What operators read of the cluster is the first account's alone.
#[test]
fn other_accounts_read_nothing_of_the_cluster() {
    let (cluster, one, _other) = two();
    let admin = user(&one.root, "admin");
    put_user(&one.root, "admin", &[statement("Allow", "*")]);
    let status =
        |client: &Client| client.request(Method::GET, "/_ashlar/v1/status").into_operators().send().status;
    assert_eq!([status(&one.root), status(&admin), status(cluster.gateway(0))], [403, 403, 200]);
}

fn put_ownership(bucket: &Bucket, ownership: &str) {
    let document = format!(
        "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
    );
    bucket.request(Method::PUT).raw_query("ownershipControls").body(document).ok();
}

/// What another account writes is its own where the bucket's ownership says so: neither the bucket's owner nor its policy grant anything of
/// it, but the bucket's owner may delete it, and has it when lists are switched off.
#[test]
fn what_another_account_writes_is_its_own_where_the_bucket_says_so() {
    let cluster = Cluster::start_with_disks(1);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    let bucket = one.root.existing_bucket("shared");
    bucket.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let theirs = bucket.through(&other.root);
    let ann = user(&one.root, "ann");
    put_user(&one.root, "ann", &[statement("Allow", "s3:*")]);
    let anns = bucket.through(&ann);
    open(&bucket, "*", "s3:*Object*");
    theirs.put("k", "content").header("x-amz-tagging", "a=b").ok();
    let upload = theirs.upload("parts");
    let etag = upload.put(1, "content");
    upload.complete(&[(1, &etag)]).ok();
    let owner = |bucket: &Bucket, key: &str| {
        let acl = bucket.object(Method::GET, key).raw_query("acl").ok().xml();
        (acl.get("Owner/ID").to_owned(), acl.all("AccessControlList/Grant/Permission").len())
    };
    for key in ["k", "parts"] {
        assert_eq!(owner(&theirs, key), (other.id.0.clone(), 1), "{key}");
        theirs.get(key).ok();
        for (who, bucket) in [("root", &bucket), ("ann", &anns)] {
            bucket.get(key).refused(403, "AccessDenied");
            bucket.head(key).send().expect(403);
            for query in ["acl", "tagging"] {
                bucket.object(Method::GET, key).raw_query(query).refused(403, "AccessDenied");
            }
            let own = bucket.object(Method::PUT, key).raw_query("acl").header("x-amz-acl", "public-read");
            own.refused(403, "AccessDenied");
            let copy = bucket.copy(&format!("shared/{key}"), "copied");
            assert_eq!(copy.send().status, 403, "{who}");
        }
        bucket.get(key).anonymous().refused(403, "AccessDenied");
    }
    theirs.object(Method::GET, "k").raw_query("tagging").ok();

    // Its owner grants something of it.
    let acl = |list: &str| theirs.object(Method::PUT, "k").raw_query("acl").header("x-amz-acl", list).ok();
    acl("bucket-owner-read");
    assert_eq!(owner(&theirs, "k"), (other.id.0.clone(), 2));
    bucket.get("k").ok();
    anns.get("k").ok();
    bucket.object(Method::GET, "k").raw_query("acl").refused(403, "AccessDenied");
    put_user(&one.root, "ann", &[statement("Allow", "s3:List*")]);
    anns.get("k").refused(403, "AccessDenied");
    acl("bucket-owner-full-control");
    assert_eq!(owner(&bucket, "k"), (other.id.0.clone(), 2));
    acl("private");
    bucket.get("k").refused(403, "AccessDenied");

    // Whoever owns the bucket has what is in it where lists are off, and deletes anything anyhow.
    put_ownership(&bucket, "BucketOwnerEnforced");
    assert_eq!(bucket.get("k").ok().body, b"content");
    assert_eq!(owner(&bucket, "k"), (one.id.0.clone(), 1));
    put_ownership(&bucket, "BucketOwnerPreferred");
    bucket.get("k").refused(403, "AccessDenied");
    bucket.delete("k").send().expect(204);
    theirs.put("kept", "x").ok();
    bucket.get("kept").refused(403, "AccessDenied");
    theirs.put("given", "x").header("x-amz-acl", "bucket-owner-full-control").ok();
    bucket.get("given").ok();
    assert_eq!(owner(&bucket, "given"), (one.id.0.clone(), 1));
    bucket.put("own", "x").ok();
    assert_eq!(owner(&bucket, "own"), (one.id.0.clone(), 1));
    bucket.put("kept", "mine").ok();
    bucket.get("kept").ok();
}

/// Whoever may write to a bucket by its list says what list the object has that he makes; what list and which tags an object has that is
/// replaced is nothing to who replaces it.
#[test]
fn whoever_makes_an_object_gives_it_a_list() {
    let cluster = Cluster::start_with_disks(1);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    let bucket = one.root.existing_bucket("given-lists");
    bucket.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let grant = format!("id=\"{}\"", other.id.0);
    bucket.request(Method::PUT).raw_query("acl").header("x-amz-grant-write", grant).ok();
    let theirs = bucket.through(&other.root);
    for round in 0..2 {
        for key in ["put", "copied", "parts"] {
            bucket.delete(key).send().expect(204);
            // Whether there is none, or one of the bucket's owner's.
            if round == 1 {
                bucket.put(key, "own").ok();
            }
        }
        let given = |request: Request| request.header("x-amz-acl", "bucket-owner-read");
        given(theirs.put("put", "theirs")).ok();
        given(theirs.copy("given-lists/put", "copied")).ok();
        let upload = theirs.upload_with("parts", given(theirs.create_upload("parts")));
        let etag = upload.put(1, "theirs");
        upload.complete(&[(1, &etag)]).ok();
        for key in ["put", "copied", "parts"] {
            assert_eq!(bucket.get(key).ok().body, b"theirs", "{key}");
            bucket.object(Method::GET, key).raw_query("acl").refused(403, "AccessDenied");
        }
        // Tags are no part of a list, nor is the right to change what is another's.
        theirs.put("tagged", "x").header("x-amz-tagging", "a=b").refused(403, "AccessDenied");
        let change = theirs.object(Method::PUT, "own").raw_query("acl");
        bucket.put("own", "own").ok();
        change.header("x-amz-acl", "public-read").refused(403, "AccessDenied");
    }
    // The bucket's owner replaces what another account has, and has done with it.
    bucket.put("put", "own").header("x-amz-acl", "public-read").header("x-amz-tagging", "a=b").ok();
    assert_eq!(bucket.get("put").anonymous().ok().body, b"own");
    theirs.object(Method::GET, "put").raw_query("acl").refused(403, "AccessDenied");
}

/// Where public lists are ignored, what a list grants an account by name has an effect all the same.
#[test]
fn a_block_of_public_lists_leaves_what_is_granted_by_name() {
    let (_cluster, one, other) = two();
    let bucket = one.root.existing_bucket("named");
    bucket.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    let both = format!("id={}, uri=http://acs.amazonaws.com/groups/global/AllUsers", other.id.0);
    bucket.put("k", "x").header("x-amz-grant-read", both).ok();
    bucket.get("k").anonymous().ok();
    let block = "<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>";
    bucket.request(Method::PUT).raw_query("publicAccessBlock").body(block).ok();
    bucket.get("k").anonymous().refused(403, "AccessDenied");
    bucket.through(&other.root).get("k").ok();
}

/// Id and name of the owner of each key that a listing shows.
fn owners(list: &Element, entry: &str) -> Vec<[String; 3]> {
    let row = |row: &Element| ["Key", "Owner/ID", "Owner/DisplayName"].map(|field| row.get(field).to_owned());
    list.elements(entry).into_iter().map(row).collect()
}

/// Every listing of objects and versions says whose each is, which is the bucket's owner where lists have no effect.
#[test]
fn listings_tell_whose_each_object_is() {
    let cluster = Cluster::start_with_disks(1);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    let bucket = one.root.existing_bucket("listed-owners");
    bucket.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    bucket.set_versioning("Enabled");
    open(&bucket, &other.number, "s3:*Object*");
    let theirs = bucket.through(&other.root);
    theirs.put("a/theirs", "x").ok();
    theirs.put("theirs", "x").header("x-amz-meta-long", "m".repeat(2000)).header("x-amz-tagging", "a=b").ok();
    theirs.put("given", "x").header("x-amz-acl", "bucket-owner-full-control").ok();
    bucket.put("own", "x").header("x-amz-acl", "public-read").ok();
    bucket.put("plain", "x").ok();
    let upload = theirs.upload("upload");
    let etag = upload.put(1, "x");
    upload.complete(&[(1, &etag)]).ok();
    let owned = |rows: &[(&str, &Account)]| -> Vec<[String; 3]> {
        let name = |account: &Account| if account.id == one.id { "one" } else { "other" };
        rows.iter().map(|(key, of)| [(*key).to_owned(), of.id.0.clone(), name(of).to_owned()]).collect()
    };
    let mut expected = [
        ("a/theirs", &other),
        ("given", &other),
        ("own", &one),
        ("plain", &one),
        ("theirs", &other),
        ("upload", &other),
    ];
    let lists = |bucket: &Bucket| {
        let second = bucket.list().query("fetch-owner", "true");
        [bucket.list_v1(), second].map(|list| owners(&list.ok().xml(), "Contents"))
    };
    assert_eq!(lists(&bucket), [owned(&expected), owned(&expected)]);
    let page = bucket.list_v1().query("delimiter", "/").query("max-keys", 2).ok().xml();
    assert_eq!(owners(&page, "Contents"), owned(&expected[1..2]));
    assert!(bucket.list().ok().xml().all("Contents/Owner").is_empty());

    // A delete marker is of who left it, one by one and in batches.
    theirs.delete("theirs").send().expect(204);
    theirs
        .delete_objects("<Delete><Object><Key>upload</Key></Object><Object><Key>own</Key></Object></Delete>")
        .ok();
    bucket.delete("plain").send().expect(204);
    let versions = bucket.list_versions().ok().xml();
    assert_eq!(owners(&versions, "Version"), owned(&expected));
    let markers = [("own", &other), ("plain", &one), ("theirs", &other), ("upload", &other)];
    assert_eq!(owners(&versions, "DeleteMarker"), owned(&markers));
    // Also of those that a page begins with.
    let rest = bucket
        .list_versions()
        .query("key-marker", "theirs")
        .query("version-id-marker", markers_id(&versions));
    assert_eq!(owners(&rest.ok().xml(), "Version"), owned(&expected[4..]));

    put_ownership(&bucket, "BucketOwnerEnforced");
    for row in &mut expected {
        row.1 = &one;
    }
    let enforced = bucket.list_versions().ok().xml();
    assert_eq!(owners(&enforced, "Version"), owned(&expected));
    assert_eq!(owners(&enforced, "DeleteMarker"), owned(&markers.map(|(key, _)| (key, &one))));
    // What is left while lists are off is the bucket's owner's for good.
    theirs.delete("given").send().expect(204);
    put_ownership(&bucket, "BucketOwnerPreferred");
    let again = owners(&bucket.list_versions().ok().xml(), "DeleteMarker");
    assert_eq!(again[0], owned(&[("given", &one)])[0]);
    assert_eq!(again[1..], owned(&markers));
}

/// The version id of the delete marker of the key `theirs`.
fn markers_id(versions: &Element) -> String {
    let of_theirs = |marker: &&Element| marker.get("Key") == "theirs";
    let markers = versions.elements("DeleteMarker");
    markers.into_iter().find(of_theirs).expect("a marker").get("VersionId").to_owned()
}
