//! Users, their access keys and groups, by the calls of IAM. What they may do is in `identities.rs`.

use harness::{Client, Element, Server};
use http::Method;

/// Makes a call of IAM, which must succeed.
#[track_caller]
pub(crate) fn iam(client: &Client, action: &str, parameters: &[(&str, &str)]) -> Element {
    Element::parse(&client.call("iam", action, parameters).ok().body)
}

#[track_caller]
fn refused(client: &Client, action: &str, parameters: &[(&str, &str)], status: u16, code: &str) {
    client.call("iam", action, parameters).refused_call(status, code);
}

/// A new user with an access key.
#[track_caller]
pub(crate) fn user(client: &Client, name: &str) -> Client {
    iam(client, "CreateUser", &[("UserName", name)]);
    access_key(client, name).0
}

/// Another access key of a user: a client that signs with it, and its name.
#[track_caller]
pub(crate) fn access_key(client: &Client, name: &str) -> (Client, String) {
    let key = iam(client, "CreateAccessKey", &[("UserName", name)]);
    let of =
        |field: &str| key.find(&format!("CreateAccessKeyResult/AccessKey/{field}")).expect(field).to_owned();
    assert_eq!((of("UserName").as_str(), of("Status").as_str()), (name, "Active"));
    let (id, secret) = (of("AccessKeyId"), of("SecretAccessKey"));
    assert!(id.len() == 20 && id.starts_with("AKIA") && secret.len() == 40, "{id} {secret}");
    (client.with_credentials(&id, &secret), id)
}

#[test]
fn users_are_made_found_listed_changed_and_deleted() {
    let server = Server::start();
    let root = server.client();
    for (name, path) in [("bob", "/"), ("Ann", "/team/"), ("carl", "/team/a/")] {
        let made = iam(root, "CreateUser", &[("UserName", name), ("Path", path)]);
        let of = |field: &str| made.find(&format!("CreateUserResult/User/{field}")).expect(field).to_owned();
        assert_eq!((of("UserName").as_str(), of("Path").as_str()), (name, path));
        assert!(of("UserId").starts_with("AIDA") && of("UserId").len() == 20);
        assert!(of("Arn").ends_with(&format!(":user{path}{name}")) && of("CreateDate").ends_with('Z'));
        let found = iam(root, "GetUser", &[("UserName", name)]);
        assert_eq!(found.find("GetUserResult/User/UserId"), Some(of("UserId").as_str()));
    }
    let names = |parameters: &[(&str, &str)]| {
        let page = iam(root, "ListUsers", parameters);
        let of = |path: &str| page.find(&format!("ListUsersResult/{path}")).map(str::to_owned);
        let names = page.all("ListUsersResult/Users/member/UserName").join(" ");
        (names, of("IsTruncated").expect("a flag"), of("Marker"))
    };
    assert_eq!(names(&[]).0, "Ann bob carl");
    assert_eq!(names(&[("PathPrefix", "/team/")]).0, "Ann carl");
    let (first, truncated, marker) = names(&[("MaxItems", "2")]);
    assert_eq!((first.as_str(), truncated.as_str()), ("Ann bob", "true"));
    let (rest, truncated, none) = names(&[("MaxItems", "2"), ("Marker", &marker.expect("a marker"))]);
    assert_eq!((rest.as_str(), truncated.as_str(), none), ("carl", "false", None));

    refused(root, "CreateUser", &[("UserName", "ann")], 409, "EntityAlreadyExists");
    refused(root, "GetUser", &[("UserName", "dora")], 404, "NoSuchEntity");
    refused(root, "GetUser", &[("UserName", "BOB")], 404, "NoSuchEntity");
    refused(root, "DeleteUser", &[("UserName", "dora")], 404, "NoSuchEntity");
    refused(root, "UpdateUser", &[("UserName", "bob"), ("NewUserName", "ANN")], 409, "EntityAlreadyExists");

    let key = access_key(root, "bob").0;
    let id = iam(root, "GetUser", &[("UserName", "bob")]);
    iam(root, "UpdateUser", &[("UserName", "bob"), ("NewUserName", "rob"), ("NewPath", "/x/")]);
    refused(root, "GetUser", &[("UserName", "bob")], 404, "NoSuchEntity");
    let renamed = iam(root, "GetUser", &[("UserName", "rob")]);
    assert_eq!(renamed.find("GetUserResult/User/UserId"), id.find("GetUserResult/User/UserId"));
    let who = Element::parse(&key.call("sts", "GetCallerIdentity", &[]).ok().body);
    let arn = who.find("GetCallerIdentityResult/Arn").expect("an ARN");
    assert!(arn.ends_with(":user/x/rob"), "its keys go along: {arn}");

    refused(root, "DeleteUser", &[("UserName", "rob")], 409, "DeleteConflict");
    iam(root, "DeleteUser", &[("UserName", "carl")]);
    assert_eq!(names(&[]).0, "Ann rob");
}

#[test]
fn what_a_user_has_must_go_before_it() {
    let server = Server::start();
    let root = server.client();
    iam(root, "CreateUser", &[("UserName", "ann")]);
    iam(root, "CreateGroup", &[("GroupName", "team")]);
    let arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    let allow = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
    let id = access_key(root, "ann").1;
    for (make, take, more) in [
        ("", "DeleteAccessKey", &[("AccessKeyId", id.as_str())][..]),
        ("AddUserToGroup", "RemoveUserFromGroup", &[("GroupName", "team")]),
        ("AttachUserPolicy", "DetachUserPolicy", &[("PolicyArn", arn)]),
        ("PutUserPolicy", "DeleteUserPolicy", &[("PolicyName", "p"), ("PolicyDocument", allow)]),
    ] {
        let parameters = [&[("UserName", "ann")][..], more].concat();
        if !make.is_empty() {
            iam(root, make, &parameters);
        }
        refused(root, "DeleteUser", &[("UserName", "ann")], 409, "DeleteConflict");
        let parameters: Vec<_> =
            parameters.into_iter().filter(|(name, _)| *name != "PolicyDocument").collect();
        iam(root, take, &parameters);
        refused(root, take, &parameters, 404, "NoSuchEntity");
    }
    iam(root, "DeleteUser", &[("UserName", "ann")]);
}

#[test]
fn a_user_has_two_access_keys_at_most() {
    let server = Server::start();
    let root = server.client();
    iam(root, "CreateUser", &[("UserName", "ann")]);
    let (first, second) = (access_key(root, "ann").1, access_key(root, "ann").1);
    refused(root, "CreateAccessKey", &[("UserName", "ann")], 409, "LimitExceeded");
    let listed = iam(root, "ListAccessKeys", &[("UserName", "ann")]);
    let mut ids = listed.all("ListAccessKeysResult/AccessKeyMetadata/member/AccessKeyId");
    ids.sort_unstable();
    let mut expected = [first.as_str(), &second];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert!(!format!("{listed:?}").contains("Secret"), "a secret is told once");
    let update = |status: &str| {
        let parameters = [("UserName", "ann"), ("AccessKeyId", &first), ("Status", status)];
        root.call("iam", "UpdateAccessKey", &parameters)
    };
    update("Inactive").ok();
    let listed = iam(root, "ListAccessKeys", &[("UserName", "ann")]);
    let states = listed.all("ListAccessKeysResult/AccessKeyMetadata/member/Status");
    assert_eq!(states.iter().filter(|status| **status == "Inactive").count(), 1);
    update("Asleep").refused_call(400, "ValidationError");
    iam(root, "CreateUser", &[("UserName", "bob")]);
    let of_another = [("UserName", "bob"), ("AccessKeyId", first.as_str())];
    refused(root, "DeleteAccessKey", &of_another, 404, "NoSuchEntity");
    iam(root, "DeleteAccessKey", &[("UserName", "ann"), ("AccessKeyId", &first)]);
    refused(root, "DeleteAccessKey", &[("UserName", "ann"), ("AccessKeyId", &first)], 404, "NoSuchEntity");
    access_key(root, "ann");
}

#[test]
fn groups_have_users() {
    let server = Server::start();
    let root = server.client();
    iam(root, "CreateUser", &[("UserName", "ann")]);
    for number in 0..11 {
        let name = format!("g{number:02}");
        let made = iam(root, "CreateGroup", &[("GroupName", &name), ("Path", "/x/")]);
        assert!(made.find("CreateGroupResult/Group/GroupId").expect("an id").starts_with("AGPA"));
        let parameters = [("GroupName", name.as_str()), ("UserName", "ann")];
        if number < 10 {
            iam(root, "AddUserToGroup", &parameters);
            iam(root, "AddUserToGroup", &parameters);
        } else {
            refused(root, "AddUserToGroup", &parameters, 409, "LimitExceeded");
            refused(root, "RemoveUserFromGroup", &parameters, 404, "NoSuchEntity");
        }
    }
    refused(root, "CreateGroup", &[("GroupName", "G01")], 409, "EntityAlreadyExists");
    let found = iam(root, "GetGroup", &[("GroupName", "g01")]);
    assert_eq!(found.all("GetGroupResult/Users/member/UserName"), ["ann"]);
    let of_user = iam(root, "ListGroupsForUser", &[("UserName", "ann")]);
    assert_eq!(of_user.all("ListGroupsForUserResult/Groups/member/GroupName").len(), 10);
    let all = iam(root, "ListGroups", &[("PathPrefix", "/x/")]);
    assert_eq!(all.all("ListGroupsResult/Groups/member/GroupName").len(), 11);
    refused(root, "DeleteGroup", &[("GroupName", "g01")], 409, "DeleteConflict");
    refused(root, "AddUserToGroup", &[("GroupName", "none"), ("UserName", "ann")], 404, "NoSuchEntity");
    refused(root, "AddUserToGroup", &[("GroupName", "g01"), ("UserName", "bob")], 404, "NoSuchEntity");
    iam(root, "RemoveUserFromGroup", &[("GroupName", "g01"), ("UserName", "ann")]);
    iam(root, "DeleteGroup", &[("GroupName", "g01")]);
    refused(root, "GetGroup", &[("GroupName", "g01")], 404, "NoSuchEntity");
}

#[test]
fn what_cannot_be_done_is_refused_by_name_and_changes_nothing() {
    let server = Server::start();
    let root = server.client();
    for (action, parameters, code) in [
        ("CreateUser", &[][..], "ValidationError"),
        ("CreateUser", &[("UserName", "a b")], "ValidationError"),
        ("CreateUser", &[("UserName", "a"), ("Path", "x")], "ValidationError"),
        ("CreateUser", &[("UserName", "a"), ("PermissionsBoundary", "policy/p")], "ValidationError"),
        (
            "CreateUser",
            &[("UserName", "a"), ("Tags.member.2.Key", "k"), ("Tags.member.2.Value", "v")],
            "ValidationError",
        ),
        ("CreateUser", &[("UserName", "a"), ("Tags", "k")], "ValidationError"),
        ("CreateGroup", &[("GroupName", "a"), ("Tags.member.1.Key", "k")], "ValidationError"),
        ("CreateUser", &[("UserName", "a"), ("UserName", "b")], "ValidationError"),
        ("CreateLoginProfile", &[("UserName", "a"), ("Password", "p")], "InvalidAction"),
        ("GetAccessKeyLastUsed", &[("AccessKeyId", "AKIA")], "InvalidAction"),
        ("ListUsers", &[("MaxItems", "0")], "ValidationError"),
        ("ListUsers", &[("MaxItems", "1001")], "ValidationError"),
        ("ListUsers", &[("Marker", "?")], "ValidationError"),
        ("CreateAccessKey", &[], "ValidationError"),
    ] {
        root.call("iam", action, parameters).refused_call(400, code);
    }
    root.call("sts", "AssumeRoleWithSAML", &[]).refused_call(400, "InvalidAction");
    let form = "application/x-www-form-urlencoded";
    let post = |body: &str| {
        root.call("iam", "", &[]).body(body).send();
        root.call("iam", "", &[]).body(body)
    };
    post("Version=2010-05-08").refused_call(400, "MissingAction");
    post("Action=ListUsers&Version=2009-01-01").refused_call(400, "InvalidAction");
    post("Action=ListUsers").refused_call(400, "InvalidAction");
    post(&format!("Action=ListUsers&Version=2010-05-08&PathPrefix=/{}", "x".repeat(200_000)))
        .refused_call(400, "ValidationError");
    assert!(iam(root, "ListUsers", &[]).all("ListUsersResult/Users/member").is_empty());
    // What is no form to the root is S3's.
    root.request(Method::POST, "/")
        .header("content-type", form)
        .query("x", 1)
        .refused(405, "MethodNotAllowed");
}
