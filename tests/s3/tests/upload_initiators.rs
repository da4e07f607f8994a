//! Who opened a multipart upload, as listings tell it, and what they may do to it for that. Amazon S3 User Guide, "Multipart upload API and
//! permissions"; API Reference, "Initiator".

use harness::{Account, Bucket, Client, Cluster, Element, Upload};
use http::Method;

use crate::{
    iam_roles::trust,
    iam_users::{access_key, iam, user},
};

/// A cluster with two accounts beside the first.
fn two() -> (Cluster, Account, Account) {
    let cluster = Cluster::start_with_disks(1);
    let (one, other) = (cluster.account("one"), cluster.account("other"));
    (cluster, one, other)
}

fn policy(effect: &str, actions: &[&str]) -> String {
    format!(r#"{{"Statement": [{{"Effect": "{effect}", "Action": {actions:?}, "Resource": "*"}}]}}"#)
}

#[track_caller]
fn put_user(root: &Client, name: &str, document: &str) {
    iam(root, "PutUserPolicy", &[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", document)]);
}

/// Everybody may put objects into the bucket, and may nothing else.
#[track_caller]
fn open(bucket: &Bucket) {
    put_policy(
        bucket,
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": RESOURCE}"#,
    );
}

#[track_caller]
fn put_policy(bucket: &Bucket, statements: &str) {
    let resource = format!(r#""arn:aws:s3:::{}/*""#, bucket.name);
    let document = format!(r#"{{"Statement": [{}]}}"#, statements.replace("RESOURCE", &resource));
    bucket.request(Method::PUT).raw_query("policy").body(document).send().expect(204);
}

fn set_ownership(bucket: &Bucket, ownership: &str) {
    let document = format!(
        "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
    );
    bucket.request(Method::PUT).raw_query("ownershipControls").body(document).ok();
}

/// The credentials that a call of STS answers.
#[track_caller]
fn session(client: &Client, action: &str, parameters: &[(&str, &str)]) -> Client {
    let answer = Element::parse(&client.call("sts", action, parameters).ok().body);
    let [id, secret, token] = ["AccessKeyId", "SecretAccessKey", "SessionToken"]
        .map(|field| answer.find(&format!("{action}Result/Credentials/{field}")).expect(field).to_owned());
    client.with_credentials(&id, &secret).with_session_token(&token)
}

/// Id and name of the initiator and of the owner.
type Shown = [(String, String); 2];

fn shown(upload: &Element) -> Shown {
    ["Initiator", "Owner"].map(|who| {
        (upload.get(&format!("{who}/ID")).to_owned(), upload.get(&format!("{who}/DisplayName")).to_owned())
    })
}

fn owned(text: [(&str, &str); 2]) -> Shown {
    text.map(|(id, name)| (id.to_owned(), name.to_owned()))
}

/// What ListParts and ListMultipartUploads tell of an upload, which is the same.
#[track_caller]
fn told(bucket: &Bucket, upload: &Upload) -> Shown {
    let parts = Upload { bucket: bucket.clone(), ..upload.clone() }.parts();
    let uploads = bucket.list_uploads().ok().xml();
    let listed = uploads.elements("Upload").into_iter().find(|listed| listed.get("UploadId") == upload.id);
    let listed = shown(listed.expect("the upload is listed"));
    assert_eq!(shown(&parts), listed, "{}", upload.key);
    listed
}

#[test]
fn listings_tell_who_opened_an_upload_and_who_will_own_the_object() {
    let (_cluster, one, other) = two();
    let bucket = one.root.existing_bucket("opened");
    bucket.request(Method::PUT).header("x-amz-object-ownership", "ObjectWriter").ok();
    open(&bucket);
    let put = policy("Allow", &["s3:PutObject", "sts:AssumeRole"]);
    let path = "/team/a:b/";
    iam(&one.root, "CreateUser", &[("UserName", "ann"), ("Path", path)]);
    let ann = access_key(&one.root, "ann").0;
    put_user(&one.root, "ann", &put);
    let theirs = user(&other.root, "ann");
    put_user(&other.root, "ann", &put);
    let trusted = trust(&[&one.number]);
    let writer = [("RoleName", "writer"), ("Path", "/team/"), ("AssumeRolePolicyDocument", &*trusted)];
    iam(&one.root, "CreateRole", &writer);
    iam(&one.root, "PutRolePolicy", &[("RoleName", "writer"), ("PolicyName", "p"), ("PolicyDocument", &put)]);
    let role = format!("arn:aws:iam::{}:role/team/writer", one.number);
    let in_role = session(&ann, "AssumeRole", &[("RoleArn", &role), ("RoleSessionName", "nightly")]);
    let federated = session(&one.root, "GetFederationToken", &[("Name", "app"), ("Policy", &put)]);
    let of_ann = session(&ann, "GetSessionToken", &[]);

    let (one_number, other_number) = (&one.number, &other.number);
    let user_arn = format!("arn:aws:iam::{one_number}:user{path}ann");
    let role_arn = format!("arn:aws:sts::{one_number}:assumed-role/writer/nightly");
    let federated_arn = format!("arn:aws:sts::{one_number}:federated-user/app");
    let others_arn = format!("arn:aws:iam::{other_number}:user/ann");
    let (ones, others) = ((one.id.0.as_str(), "one"), (other.id.0.as_str(), "other"));
    let cases = [
        ("root", &one.root, [ones, ones]),
        ("user", &ann, [(user_arn.as_str(), "ann"), ones]),
        ("session", &of_ann, [(user_arn.as_str(), "ann"), ones]),
        ("role", &in_role, [(role_arn.as_str(), "writer/nightly"), ones]),
        ("federated", &federated, [(federated_arn.as_str(), "app"), ones]),
        ("other root", &other.root, [others, others]),
        ("other user", &theirs, [(others_arn.as_str(), "ann"), others]),
    ];
    let open = |client: &Client, key: &str| bucket.through(client).upload(key);
    let uploads = cases.each_ref().map(|(key, client, _)| open(client, key));
    for ((key, _, expected), upload) in cases.iter().zip(&uploads) {
        assert_eq!(told(&bucket, upload), owned(*expected), "{key}");
    }
    // In one page too, beside common prefixes.
    let page = bucket.list_uploads().query("delimiter", "/").ok().xml();
    let mut all: Vec<Shown> = page.elements("Upload").into_iter().map(shown).collect();
    let mut expected: Vec<Shown> = cases.map(|(_, _, expected)| owned(expected)).to_vec();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);

    // What is given away is its owner's from the start, and where lists are off everything is.
    set_ownership(&bucket, "BucketOwnerPreferred");
    put_policy(
        &bucket,
        r#"{"Effect": "Allow", "Principal": "*", "Action": ["s3:PutObject", "s3:PutObjectAcl"], "Resource": RESOURCE}"#,
    );
    let given = bucket.through(&other.root);
    let given = given
        .upload_with("given", given.create_upload("given").header("x-amz-acl", "bucket-owner-full-control"));
    assert_eq!(told(&bucket, &given), owned([others, ones]));
    assert_eq!(told(&bucket, &open(&other.root, "kept")), owned([others, others]));
    set_ownership(&bucket, "BucketOwnerEnforced");
    assert_eq!(told(&bucket, &uploads[5]), owned([others, ones]));
    assert_eq!(told(&bucket, &open(&theirs, "enforced")), owned([(&others_arn, "ann"), ones]));

    // The name of the account is told also when the object is there by then.
    let etag = uploads[6].put(1, "content");
    uploads[6].complete(&[(1, &etag)]).ok();
    set_ownership(&bucket, "ObjectWriter");
    let acl = bucket.through(&other.root).object(Method::GET, "other user").raw_query("acl").ok().xml();
    assert_eq!((acl.get("Owner/ID"), acl.get("Owner/DisplayName")), others);
}

/// Whoever opened an upload may list its parts and abort it, and so may the account whose user that is; nobody else may.
#[test]
fn who_opened_an_upload_may_list_its_parts_and_abort_it() {
    let (cluster, one, other) = two();
    let bucket = one.root.bucket();
    open(&bucket);
    let put = policy("Allow", &["s3:PutObject"]);
    let [ann, bob] = ["ann", "bob"].map(|name| {
        let made = user(&one.root, name);
        put_user(&one.root, name, &put);
        made
    });
    let [theirs, colleague] = ["ann", "bob"].map(|name| {
        let made = user(&other.root, name);
        put_user(&other.root, name, &put);
        made
    });
    let first = cluster.gateway(0);
    let seen = |upload: &Upload, client: &Client| {
        let through = Upload { bucket: bucket.through(client), ..upload.clone() };
        through.list().send().status
    };
    let refuse_abort = |upload: &Upload, client: &Client| {
        Upload { bucket: bucket.through(client), ..upload.clone() }.abort().refused(403, "AccessDenied");
    };
    let anns = bucket.through(&ann).upload("k");
    assert_eq!(
        [&ann, &bob, &one.root, &other.root, first].map(|client| seen(&anns, client)),
        [200, 403, 200, 403, 403]
    );
    let others = bucket.through(&theirs).upload("k");
    let asking = [&theirs, &colleague, &other.root, &one.root, &ann, first];
    assert_eq!(asking.map(|client| seen(&others, client)), [200, 403, 200, 200, 403, 403]);
    let roots = bucket.through(&other.root).upload("k");
    assert_eq!(asking.map(|client| seen(&roots, client)), [403, 403, 200, 200, 403, 403]);
    // A user of the account has by its own policies what the account has.
    let more = policy("Allow", &["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]);
    put_user(&other.root, "bob", &more);
    assert_eq!([&others, &roots, &anns].map(|upload| seen(upload, &colleague)), [200, 403, 403]);
    // An upload of another key, or that there is not, is none of anybody's.
    let elsewhere = Upload { key: "other".to_owned(), ..others.clone() };
    assert_eq!(seen(&elsewhere, &theirs), 403);
    let missing = Upload { id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), ..others.clone() };
    assert_eq!([seen(&missing, &theirs), seen(&missing, &one.root)], [403, 404]);

    // What is denied is denied.
    let denied = policy("Deny", &["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]);
    iam(&one.root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "d"), ("PolicyDocument", &denied)]);
    assert_eq!(seen(&anns, &ann), 403);
    refuse_abort(&anns, &ann);
    iam(&one.root, "DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "d")]);
    let allow = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": RESOURCE}"#;
    let deny = r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:ListMultipartUploadParts", "Resource": RESOURCE}"#;
    put_policy(&bucket, &format!("{allow}, {deny}"));
    assert_eq!([seen(&anns, &ann), seen(&others, &theirs), seen(&roots, &other.root)], [403; 3]);
    open(&bucket);

    // Where what is public is shut out, others are that opened an upload before.
    let block = "<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    bucket.request(Method::PUT).raw_query("publicAccessBlock").body(block).ok();
    assert_eq!([seen(&anns, &ann), seen(&others, &theirs), seen(&roots, &other.root)], [200, 403, 403]);
    bucket.request(Method::DELETE).raw_query("publicAccessBlock").send().expect(204);

    for (upload, strangers, client) in [
        (&anns, [&bob, &other.root], &ann),
        (&others, [&ann, first], &other.root),
        (&roots, [&theirs, &colleague], &other.root),
    ] {
        let part = Upload { bucket: bucket.through(client), ..upload.clone() };
        part.put(1, "content");
        for stranger in strangers {
            refuse_abort(upload, stranger);
        }
        assert_eq!(part.parts().all("Part/PartNumber"), ["1"]);
        part.abort().send().expect(204);
        assert_eq!(seen(upload, &one.root), 404);
    }
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
}
