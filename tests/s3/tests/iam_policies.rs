//! Policies of users and groups, by the calls of IAM. What they allow is in `identities.rs`.

use harness::{Client, Server};

use crate::iam_users::iam;

const ALLOW: &str = r#"{"Version": "2012-10-17",
 "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#;

#[track_caller]
fn refused(client: &Client, action: &str, parameters: &[(&str, &str)], status: u16, code: &str) {
    client.call("iam", action, parameters).refused_call(status, code);
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("digits");
                out.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = after;
            }
            _ => out.push(*first),
        }
    }
    String::from_utf8(out).expect("text")
}

#[test]
fn documents_of_users_and_groups_come_back_as_they_were_put() {
    let server = Server::start();
    let root = server.client();
    iam(root, "CreateUser", &[("UserName", "x")]);
    iam(root, "CreateGroup", &[("GroupName", "x")]);
    for kind in ["User", "Group"] {
        let holder = format!("{kind}Name");
        let call = |verb: &str, more: &[(&str, &str)]| {
            let action =
                if verb == "List" { format!("List{kind}Policies") } else { format!("{verb}{kind}Policy") };
            root.call("iam", &action, &[&[(holder.as_str(), "x")][..], more].concat())
        };
        let document = ALLOW.to_owned();
        for name in ["b", "a"] {
            call("Put", &[("PolicyName", name), ("PolicyDocument", &document)]).ok();
        }
        let found = harness::Element::parse(&call("Get", &[("PolicyName", "a")]).ok().body);
        let result = format!("Get{kind}PolicyResult");
        assert_eq!(decoded(found.find(&format!("{result}/PolicyDocument")).expect("a document")), document);
        let listed = harness::Element::parse(&call("List", &[]).ok().body);
        assert_eq!(listed.all(&format!("List{kind}PoliciesResult/PolicyNames/member")), ["a", "b"]);
        let list = call("List", &[("MaxItems", "1")]);
        let page = harness::Element::parse(&list.ok().body);
        assert_eq!(page.find(&format!("List{kind}PoliciesResult/IsTruncated")), Some("true"));
        for bad in
            ["", "{", "[]", &ALLOW.replace("Allow", "Perhaps"), &ALLOW.replace("\"Action\"", "\"Akt\"")]
        {
            let code = if bad.is_empty() { "ValidationError" } else { "MalformedPolicyDocument" };
            call("Put", &[("PolicyName", "a"), ("PolicyDocument", bad)]).refused_call(400, code);
        }
        let long = ALLOW.replace("b/*", &format!("b/{}*", "x".repeat(1900)));
        if kind == "User" {
            call("Put", &[("PolicyName", "c"), ("PolicyDocument", &long)]).refused_call(409, "LimitExceeded");
        } else {
            call("Put", &[("PolicyName", "c"), ("PolicyDocument", &long)]).ok();
            call("Put", &[("PolicyName", "d"), ("PolicyDocument", &long)]).ok();
            call("Put", &[("PolicyName", "e"), ("PolicyDocument", &long)]).refused_call(409, "LimitExceeded");
            call("Delete", &[("PolicyName", "c")]).ok();
        }
        call("Get", &[("PolicyName", "e")]).refused_call(404, "NoSuchEntity");
        call("Delete", &[("PolicyName", "a")]).ok();
        call("Delete", &[("PolicyName", "a")]).refused_call(404, "NoSuchEntity");
    }
}

#[test]
fn policies_have_versions() {
    let server = Server::start();
    let root = server.client();
    let made =
        iam(root, "CreatePolicy", &[("PolicyName", "read"), ("PolicyDocument", ALLOW), ("Path", "/x/")]);
    let arn = made.find("CreatePolicyResult/Policy/Arn").expect("an ARN").to_owned();
    assert!(arn.ends_with(":policy/x/read"), "{arn}");
    assert_eq!(made.find("CreatePolicyResult/Policy/DefaultVersionId"), Some("v1"));
    let of = [("PolicyArn", arn.as_str())];
    let with = |more: &[(&'static str, &'static str)]| [&of[..], more].concat();
    refused(
        root,
        "CreatePolicy",
        &[("PolicyName", "READ"), ("PolicyDocument", ALLOW)],
        409,
        "EntityAlreadyExists",
    );
    for number in 2..=5 {
        let made = iam(root, "CreatePolicyVersion", &with(&[("PolicyDocument", ALLOW)]));
        let id = made.find("CreatePolicyVersionResult/PolicyVersion/VersionId");
        assert_eq!(id, Some(format!("v{number}").as_str()));
    }
    refused(root, "CreatePolicyVersion", &with(&[("PolicyDocument", ALLOW)]), 409, "LimitExceeded");
    iam(root, "SetDefaultPolicyVersion", &with(&[("VersionId", "v3")]));
    let found = iam(root, "GetPolicy", &of);
    assert_eq!(found.find("GetPolicyResult/Policy/DefaultVersionId"), Some("v3"));
    let listed = iam(root, "ListPolicyVersions", &of);
    let ids = listed.all("ListPolicyVersionsResult/Versions/member/VersionId");
    assert_eq!(ids, ["v5", "v4", "v3", "v2", "v1"]);
    let found = iam(root, "GetPolicyVersion", &with(&[("VersionId", "v2")]));
    let document = found.find("GetPolicyVersionResult/PolicyVersion/Document").expect("a document");
    assert_eq!(decoded(document), ALLOW);
    refused(root, "DeletePolicyVersion", &with(&[("VersionId", "v3")]), 409, "DeleteConflict");
    refused(root, "DeletePolicyVersion", &with(&[("VersionId", "v9")]), 404, "NoSuchEntity");
    refused(root, "DeletePolicyVersion", &with(&[("VersionId", "3")]), 400, "ValidationError");
    refused(root, "DeletePolicy", &of, 409, "DeleteConflict");
    for version in ["v1", "v2", "v4", "v5"] {
        iam(root, "DeletePolicyVersion", &with(&[("VersionId", version)]));
    }
    let made =
        iam(root, "CreatePolicyVersion", &with(&[("PolicyDocument", ALLOW), ("SetAsDefault", "true")]));
    let id = made.find("CreatePolicyVersionResult/PolicyVersion/VersionId");
    assert_eq!(id, Some("v6"), "no number is given out twice");
    iam(root, "DeletePolicyVersion", &with(&[("VersionId", "v3")]));
    iam(root, "DeletePolicy", &of);
    refused(root, "GetPolicy", &of, 404, "NoSuchEntity");
}

#[test]
fn policies_are_attached_and_say_to_whom() {
    let server = Server::start();
    let root = server.client();
    iam(root, "CreateUser", &[("UserName", "ann")]);
    iam(root, "CreateGroup", &[("GroupName", "team")]);
    let mut arns = Vec::new();
    for number in 0..10 {
        let parameters = [("PolicyName", format!("p{number}")), ("PolicyDocument", ALLOW.to_owned())];
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let made = iam(root, "CreatePolicy", &parameters);
        arns.push(made.find("CreatePolicyResult/Policy/Arn").expect("an ARN").to_owned());
    }
    arns.push("arn:aws:iam::aws:policy/AdministratorAccess".to_owned());
    for (number, arn) in arns.iter().enumerate() {
        let call = root.call("iam", "AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", arn)]);
        if number < 10 {
            call.ok();
        } else {
            call.refused_call(409, "LimitExceeded");
        }
    }
    iam(root, "AttachGroupPolicy", &[("GroupName", "team"), ("PolicyArn", &arns[0])]);
    let listed = iam(root, "ListAttachedUserPolicies", &[("UserName", "ann")]);
    assert_eq!(listed.all("ListAttachedUserPoliciesResult/AttachedPolicies/member/PolicyArn").len(), 10);
    let listed = iam(root, "ListEntitiesForPolicy", &[("PolicyArn", &arns[0])]);
    assert_eq!(listed.all("ListEntitiesForPolicyResult/PolicyUsers/member/UserName"), ["ann"]);
    assert_eq!(listed.all("ListEntitiesForPolicyResult/PolicyGroups/member/GroupName"), ["team"]);
    let (mut entities, mut marker) = (Vec::new(), None);
    for is_last in [false, true] {
        let mut parameters = vec![("PolicyArn", arns[0].as_str()), ("MaxItems", "1")];
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let page = iam(root, "ListEntitiesForPolicy", &parameters);
        let of = |path: &str| page.all(&format!("ListEntitiesForPolicyResult/{path}")).join(" ");
        assert_eq!(of("IsTruncated"), if is_last { "false" } else { "true" });
        entities.push((of("PolicyGroups/member/GroupName"), of("PolicyUsers/member/UserName")));
        marker = Some(of("Marker"));
    }
    assert_eq!(entities, [("team".to_owned(), String::new()), (String::new(), "ann".to_owned())]);
    for bad in [("Marker", "!"), ("MaxItems", "0")] {
        refused(root, "ListEntitiesForPolicy", &[("PolicyArn", &arns[0]), bad], 400, "ValidationError");
    }
    let found = iam(root, "GetPolicy", &[("PolicyArn", &arns[0])]);
    assert_eq!(found.find("GetPolicyResult/Policy/AttachmentCount"), Some("2"));
    refused(root, "DeletePolicy", &[("PolicyArn", &arns[0])], 409, "DeleteConflict");
    refused(root, "DeleteGroup", &[("GroupName", "team")], 409, "DeleteConflict");
    iam(root, "DetachGroupPolicy", &[("GroupName", "team"), ("PolicyArn", &arns[0])]);
    refused(
        root,
        "DetachGroupPolicy",
        &[("GroupName", "team"), ("PolicyArn", &arns[0])],
        404,
        "NoSuchEntity",
    );
    let none = "arn:aws:iam::aws:policy/Nothing";
    refused(root, "AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", none)], 404, "NoSuchEntity");
    let names = |scope: &str, attached: &str| {
        let listed = iam(root, "ListPolicies", &[("Scope", scope), ("OnlyAttached", attached)]);
        listed.all("ListPoliciesResult/Policies/member/PolicyName").len()
    };
    assert_eq!((names("Local", "false"), names("AWS", "true")), (10, 0));
    assert!(names("AWS", "false") >= 3 && names("All", "true") == 10);
    // Those that every account has are nobody's to change.
    for action in ["DeletePolicy", "CreatePolicyVersion"] {
        let parameters = [("PolicyArn", arns[10].as_str()), ("PolicyDocument", ALLOW)];
        let count = if action == "DeletePolicy" { 1 } else { 2 };
        refused(root, action, &parameters[..count], 400, "ValidationError");
    }
}
