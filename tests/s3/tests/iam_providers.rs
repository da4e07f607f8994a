//! OpenID Connect providers, by the calls of IAM. Whose tokens assume which roles is in `web_identity.rs`.

use harness::{Client, Element, Server};

use crate::{
    iam_users::{iam, user},
    web_identity::{provider_arn, trust},
};

const NAME: &str = "oidc.example.com:8443/realms/a";
const URL: &str = "https://oidc.example.com:8443/realms/a";
const ARN: &str = "OpenIDConnectProviderArn";

#[track_caller]
fn refused(client: &Client, action: &str, parameters: &[(&str, &str)], status: u16, code: &str) {
    client.call("iam", action, parameters).refused_call(status, code);
}

fn found(root: &Client, arn: &str) -> Element {
    iam(root, "GetOpenIDConnectProvider", &[(ARN, arn)])
}

#[test]
fn providers_are_made_found_listed_changed_and_deleted() {
    let server = Server::start();
    let root = server.client();
    let (first, second) = ("a".repeat(40), "B".repeat(40));
    let made = iam(
        root,
        "CreateOpenIDConnectProvider",
        &[
            ("Url", URL),
            ("ClientIDList.member.1", "one"),
            ("ClientIDList.member.2", "two"),
            ("ThumbprintList.member.1", &first),
            ("ThumbprintList.member.2", &second),
            ("Tags.member.1.Key", "Team"),
            ("Tags.member.1.Value", "x"),
        ],
    );
    let arn = provider_arn(NAME);
    assert_eq!(made.find(&format!("CreateOpenIDConnectProviderResult/{ARN}")), Some(arn.as_str()));
    assert_eq!(made.find("CreateOpenIDConnectProviderResult/Tags/member/Key"), Some("Team"));
    let all = |what: &str| found(root, &arn).all(&format!("GetOpenIDConnectProviderResult/{what}")).join(" ");
    assert_eq!((all("Url"), all("ClientIDList/member")), (NAME.to_owned(), "one two".to_owned()));
    assert_eq!(all("ThumbprintList/member"), format!("{first} {}", second.to_lowercase()));
    assert!(all("CreateDate").ends_with('Z') && all("Tags/member/Value") == "x");

    iam(root, "CreateOpenIDConnectProvider", &[("Url", "https://token.actions.githubusercontent.com")]);
    let listed = iam(root, "ListOpenIDConnectProviders", &[]);
    let listed = listed.all("ListOpenIDConnectProvidersResult/OpenIDConnectProviderList/member/Arn");
    assert_eq!(listed, [arn.as_str(), &provider_arn("token.actions.githubusercontent.com")]);
    // No two differ in case alone.
    for url in [URL, "https://OIDC.example.com:8443/realms/A"] {
        refused(root, "CreateOpenIDConnectProvider", &[("Url", url)], 409, "EntityAlreadyExists");
    }

    // What is there already need not come, and what is not there need not go.
    for _ in 0..2 {
        iam(root, "AddClientIDToOpenIDConnectProvider", &[(ARN, &arn), ("ClientID", "three")]);
        iam(root, "RemoveClientIDFromOpenIDConnectProvider", &[(ARN, &arn), ("ClientID", "one")]);
    }
    assert_eq!(all("ClientIDList/member"), "three two");
    let thumbprint = "0123456789abcdef0123456789ABCDEF01234567";
    let given = [(ARN, arn.as_str()), ("ThumbprintList.member.1", thumbprint)];
    iam(root, "UpdateOpenIDConnectProviderThumbprint", &given);
    assert_eq!(all("ThumbprintList/member"), thumbprint.to_lowercase());
    let tag = [(ARN, arn.as_str()), ("Tags.member.1.Key", "TEAM"), ("Tags.member.1.Value", "y")];
    iam(root, "TagOpenIDConnectProvider", &tag);
    let tags = iam(root, "ListOpenIDConnectProviderTags", &[(ARN, &arn)]);
    assert_eq!(tags.all("ListOpenIDConnectProviderTagsResult/Tags/member/Key"), ["TEAM"]);
    assert_eq!(tags.find("ListOpenIDConnectProviderTagsResult/IsTruncated"), Some("false"));
    iam(root, "UntagOpenIDConnectProvider", &[(ARN, &arn), ("TagKeys.member.1", "team")]);
    assert_eq!(all("Tags/member/Key"), "");

    for _ in 0..2 {
        iam(root, "DeleteOpenIDConnectProvider", &[(ARN, &arn)]);
    }
    for (action, more) in [
        ("GetOpenIDConnectProvider", &[][..]),
        ("AddClientIDToOpenIDConnectProvider", &[("ClientID", "x")]),
        ("RemoveClientIDFromOpenIDConnectProvider", &[("ClientID", "x")]),
        ("UpdateOpenIDConnectProviderThumbprint", &given[1..]),
        ("TagOpenIDConnectProvider", &tag[1..]),
        ("UntagOpenIDConnectProvider", &[("TagKeys.member.1", "k")]),
        ("ListOpenIDConnectProviderTags", &[]),
    ] {
        refused(root, action, &[&[(ARN, arn.as_str())], more].concat(), 404, "NoSuchEntity");
    }
}

#[test]
fn what_no_provider_can_be_is_refused_and_changes_nothing() {
    let server = Server::start();
    let root = server.client();
    let long = format!("https://a.example.com/{}", "x".repeat(250));
    for (url, code) in [
        ("", "ValidationError"),
        ("http://a.example.com", "InvalidInput"),
        ("a.example.com", "InvalidInput"),
        ("https://", "InvalidInput"),
        ("https://localhost", "InvalidInput"),
        ("https://a.example.com?x=1", "InvalidInput"),
        ("https://a.example.com/#x", "InvalidInput"),
        ("https://u:p@a.example.com", "InvalidInput"),
        ("https://a.example.com:0/", "InvalidInput"),
        ("https://a.example.com/../b", "InvalidInput"),
        ("https://[::1]:8443", "InvalidInput"),
        (&long, "ValidationError"),
    ] {
        refused(root, "CreateOpenIDConnectProvider", &[("Url", url)], 400, code);
    }
    let create = |more: &[(&str, &str)], status: u16, code: &str| {
        let parameters = [&[("Url", URL)][..], more].concat();
        refused(root, "CreateOpenIDConnectProvider", &parameters, status, code);
    };
    create(&[("ClientIDList.member.1", &"x".repeat(256))], 400, "ValidationError");
    create(&[("ClientIDList.member.1", "")], 400, "ValidationError");
    create(&[("ClientIDList.member.1.Id", "x")], 400, "ValidationError");
    create(&[("ClientIDList", "x")], 400, "ValidationError");
    create(&[("ThumbprintList.member.1", "00")], 400, "ValidationError");
    create(&[("ThumbprintList.member.1", &"x".repeat(40))], 400, "InvalidInput");
    create(&[("Tags.member.1.Key", "aws:x"), ("Tags.member.1.Value", "v")], 400, "InvalidInput");
    create(&[("Name", "x")], 400, "ValidationError");
    let numbered = |list: &str, count: usize| -> Vec<String> {
        (1..=count).map(|number| format!("{list}.member.{number}")).collect()
    };
    let names = numbered("ThumbprintList", 6);
    let thumbprints: Vec<String> = (0..6).map(|number| format!("{number:040x}")).collect();
    let six: Vec<_> =
        names.iter().zip(&thumbprints).map(|(name, one)| (name.as_str(), one.as_str())).collect();
    create(&six, 400, "InvalidInput");
    let names = numbered("ClientIDList", 101);
    let ids: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    create(&ids, 409, "LimitExceeded");
    let listed = iam(root, "ListOpenIDConnectProviders", &[]);
    assert!(listed.all("ListOpenIDConnectProvidersResult/OpenIDConnectProviderList/member/Arn").is_empty());

    let parameters = [&[("Url", URL)][..], &ids[..100], &six[..5]].concat();
    iam(root, "CreateOpenIDConnectProvider", &parameters);
    let arn = provider_arn(NAME);
    let more = [(ARN, arn.as_str()), ("ClientID", "more")];
    refused(root, "AddClientIDToOpenIDConnectProvider", &more, 409, "LimitExceeded");
    refused(root, "AddClientIDToOpenIDConnectProvider", &more[..1], 400, "ValidationError");
    let update = "UpdateOpenIDConnectProviderThumbprint";
    refused(root, update, &[&[(ARN, arn.as_str())][..], &six].concat(), 400, "InvalidInput");
    refused(root, update, &[(ARN, &arn)], 400, "InvalidInput");
    refused(root, update, &[(ARN, &arn), ("ThumbprintList", "")], 400, "InvalidInput");
    refused(root, "TagOpenIDConnectProvider", &[(ARN, &arn)], 400, "ValidationError");
    refused(root, "GetOpenIDConnectProvider", &[], 400, "ValidationError");
    for bad in ["x", "arn:aws:iam::111122223333:oidc-provider/a.example.com", &provider_arn("")] {
        refused(root, "GetOpenIDConnectProvider", &[(ARN, bad)], 400, "InvalidInput");
        refused(root, "DeleteOpenIDConnectProvider", &[(ARN, bad)], 400, "InvalidInput");
    }
    assert_eq!(found(root, &arn).all("GetOpenIDConnectProviderResult/ClientIDList/member").len(), 100);
    assert_eq!(found(root, &arn).all("GetOpenIDConnectProviderResult/ThumbprintList/member").len(), 5);
    // A hundred of them, and no more.
    for number in 1..100 {
        iam(root, "CreateOpenIDConnectProvider", &[("Url", &format!("https://p{number}.example.com"))]);
    }
    let last = [("Url", "https://last.example.com")];
    refused(root, "CreateOpenIDConnectProvider", &last, 409, "LimitExceeded");
}

/// Each takes a right of its own, of the provider that it is done to.
#[test]
fn providers_are_changed_by_who_may() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let allow = format!(
        r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "iam:*", "Resource": "{}"}}}}"#,
        provider_arn("hers.example.com/*")
    );
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &allow)]);
    let create = |path: &str| [("Url", format!("https://hers.example.com{path}"))];
    let hers = create("/a");
    let hers = hers.each_ref().map(|(name, value)| (*name, value.as_str()));
    iam(&ann, "CreateOpenIDConnectProvider", &hers);
    iam(root, "CreateOpenIDConnectProvider", &[("Url", URL)]);
    refused(&ann, "CreateOpenIDConnectProvider", &[("Url", "https://b.example.com")], 403, "AccessDenied");
    refused(&ann, "ListOpenIDConnectProviders", &[], 403, "AccessDenied");
    let (mine, other) = (provider_arn("hers.example.com/a"), provider_arn(NAME));
    let thumbprint = "0".repeat(40);
    for (action, more) in [
        ("GetOpenIDConnectProvider", &[][..]),
        ("AddClientIDToOpenIDConnectProvider", &[("ClientID", "x")]),
        ("RemoveClientIDFromOpenIDConnectProvider", &[("ClientID", "x")]),
        ("UpdateOpenIDConnectProviderThumbprint", &[("ThumbprintList.member.1", thumbprint.as_str())]),
        ("TagOpenIDConnectProvider", &[("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")]),
        ("UntagOpenIDConnectProvider", &[("TagKeys.member.1", "k")]),
        ("ListOpenIDConnectProviderTags", &[]),
        ("DeleteOpenIDConnectProvider", &[]),
    ] {
        let with = |arn: &str| {
            let parameters = [&[(ARN, arn)][..], more].concat();
            ann.call("iam", action, &parameters)
        };
        with(&other).refused_call(403, "AccessDenied");
        with(&mine).ok();
    }
    // Tags are a right of their own.
    let tagged =
        [("Url", "https://hers.example.com/b"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
    let only = allow.replace("iam:*", "iam:CreateOpenIDConnectProvider");
    iam(root, "PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &only)]);
    refused(&ann, "CreateOpenIDConnectProvider", &tagged, 403, "AccessDenied");
    iam(&ann, "CreateOpenIDConnectProvider", &tagged[..1]);
}

/// A provider's tags can be asked for in whatever is done to it, so that a Deny keeps those apart that nobody but few may touch.
#[test]
fn providers_are_kept_apart_by_their_tags() {
    let server = Server::start();
    let root = server.client();
    let ann = user(root, "ann");
    let put = |condition: &str| {
        let document = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}},
               {{"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {condition}}}]}}"#
        );
        let parameters = [("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", document.as_str())];
        iam(root, "PutUserPolicy", &parameters);
    };
    put(r#"{"StringEquals": {"iam:ResourceTag/protected": "true"}}"#);
    let protected = [("Tags.member.1.Key", "Protected"), ("Tags.member.1.Value", "true")];
    for url in ["https://a.example.com", "https://b.example.com"] {
        iam(root, "CreateOpenIDConnectProvider", &[("Url", url)]);
    }
    let (tagged, other) = (provider_arn("a.example.com"), provider_arn("b.example.com"));
    iam(root, "TagOpenIDConnectProvider", &[&[(ARN, tagged.as_str())][..], &protected].concat());
    let thumbprint = "0".repeat(40);
    for (action, more) in [
        ("GetOpenIDConnectProvider", &[][..]),
        ("AddClientIDToOpenIDConnectProvider", &[("ClientID", "x")]),
        ("RemoveClientIDFromOpenIDConnectProvider", &[("ClientID", "x")]),
        ("UpdateOpenIDConnectProviderThumbprint", &[("ThumbprintList.member.1", thumbprint.as_str())]),
        ("TagOpenIDConnectProvider", &[("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")]),
        ("UntagOpenIDConnectProvider", &[("TagKeys.member.1", "Protected")]),
        ("ListOpenIDConnectProviderTags", &[]),
        ("DeleteOpenIDConnectProvider", &[]),
    ] {
        let with = |arn: &str| ann.call("iam", action, &[&[(ARN, arn)][..], more].concat());
        with(&tagged).refused_call(403, "AccessDenied");
        with(&other).ok();
    }
    assert_eq!(found(root, &tagged).all("GetOpenIDConnectProviderResult/Tags/member/Key"), ["Protected"]);
    // What is made with a tag, and what is asked of tags that it does not have.
    put(r#"{"StringNotEquals": {"aws:RequestTag/team": "red"}, "Null": {"aws:RequestTag/team": "false"}}"#);
    let of = |team: &'static str| [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", team)];
    let create = |team| [&[("Url", "https://c.example.com")][..], &of(team)].concat();
    refused(&ann, "CreateOpenIDConnectProvider", &create("blue"), 403, "AccessDenied");
    iam(&ann, "CreateOpenIDConnectProvider", &create("red"));
    iam(&ann, "DeleteOpenIDConnectProvider", &[(ARN, &tagged)]);
}

#[test]
fn roles_name_providers_of_the_account_and_no_other_federation() {
    let server = Server::start();
    let root = server.client();
    let create = |name: &str, document: &str| {
        let parameters = [("RoleName", name), ("AssumeRolePolicyDocument", document)];
        root.call("iam", "CreateRole", &parameters).send().status
    };
    let good =
        trust("later.example.com", &serde_json::json!({ "StringEquals": { "later.example.com:sub": "x" } }));
    assert_eq!(create("good", &good), 200, "roles are often made before their provider");
    for (bad, by) in [
        ("oidc-provider/later.example.com", "saml-provider/x"),
        ("750814517293", "111122223333"),
        (
            "\"Federated\":\"arn:aws:iam::750814517293:oidc-provider/later.example.com\"",
            "\"AWS\":\"750814517293\"",
        ),
        ("arn:aws:iam::750814517293:oidc-provider/later.example.com", "accounts.google.com"),
        ("later.example.com:sub", "later.example.com:unknown"),
        ("AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"),
    ] {
        let document = good.replace(bad, by);
        assert_ne!(document, good, "{bad}");
        assert_eq!(create("bad", &document), 400, "{document}");
    }
}
