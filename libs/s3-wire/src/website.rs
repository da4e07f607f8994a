//! Websites: which documents a bucket is served with, and who is sent elsewhere. Sources: Amazon S3 User Guide, "Hosting
//! a static website using Amazon S3", and API Reference, "WebsiteConfiguration".

use http::StatusCode;

/// How a bucket is served as a website.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Website {
    /// Everybody is sent to another host.
    Redirect(RedirectAll),
    /// The bucket's objects are the pages.
    Pages(Pages),
}

/// Where every request of a website is sent, with its path and its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectAll {
    /// The host; never empty.
    pub host_name: String,
    /// How to speak to it; as the request did when `None`.
    pub protocol: Option<Protocol>,
}

/// What a website is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// What is put behind a key that is empty or ends in a slash; not empty and without a slash.
    pub index_suffix: String,
    /// The key of the page that is shown with an error of the client's making; not empty.
    pub error_key: Option<String>,
    /// Who is sent elsewhere, at most 50.
    pub routing_rules: Vec<RoutingRule>,
}

/// Sends some requests elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoutingRule {
    /// Which requests; all of them when `None`.
    pub condition: Option<Condition>,
    /// Where.
    pub redirect: Redirect,
}

/// Which requests a rule is for: both must hold of those that are there, and one is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// What the key begins with.
    pub key_prefix: Option<String>,
    /// The status of the error that the request would be answered with.
    pub error_code: Option<StatusCode>,
}

/// Where a rule sends a request. What is not said is as in the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redirect {
    /// How to speak to the host.
    pub protocol: Option<Protocol>,
    /// The host; not empty.
    pub host_name: Option<String>,
    /// The status to say so with; 301 when `None`.
    pub code: Option<StatusCode>,
    /// What takes the key's place.
    pub replacement: Option<Replacement>,
}

/// What takes the place of a key, or of the beginning of a key. It is text of a URL, so that it may have a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// Instead of the prefix in the rule's condition; in front of the key where there is none.
    Prefix(String),
    /// Instead of the whole key.
    Key(String),
}

/// How to speak to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// In plain text.
    Http,
    /// Over TLS.
    Https,
}

impl Protocol {
    /// Its name in URLs and in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The protocol of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|protocol| protocol.name() == name)
    }
}

impl Pages {
    /// The key of the index document where a request for `key` is one for a folder, or for the root.
    pub fn index_of(&self, key: &str) -> Option<String> {
        (key.is_empty() || key.ends_with('/')).then(|| format!("{key}{}", self.index_suffix))
    }

    /// The key of the index document in the folder that has this name, for a request that lacks the slash behind it.
    pub fn index_in(&self, folder: &str) -> String {
        format!("{folder}/{}", self.index_suffix)
    }

    /// The first rule for a request for `key` that holds whether or not there is such an object.
    pub fn rule_before(&self, key: &str) -> Option<&RoutingRule> {
        self.routing_rules.iter().find(|rule| rule.error_code().is_none() && rule.covers(key))
    }

    /// The first rule for a request for `key` that would be answered with an error of this status.
    pub fn rule_after(&self, key: &str, status: StatusCode) -> Option<&RoutingRule> {
        self.routing_rules.iter().find(|rule| rule.error_code() == Some(status) && rule.covers(key))
    }
}

impl RoutingRule {
    /// The beginning of the key that the rule's condition names; empty where it names none.
    pub fn key_prefix(&self) -> &str {
        self.condition.as_ref().and_then(|condition| condition.key_prefix.as_deref()).unwrap_or("")
    }

    fn error_code(&self) -> Option<StatusCode> {
        self.condition.as_ref()?.error_code
    }

    fn covers(&self, key: &str) -> bool {
        key.starts_with(self.key_prefix())
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{Condition, Pages, Redirect, Replacement, RoutingRule};

    fn rule(prefix: Option<&str>, code: Option<u16>, name: &str) -> RoutingRule {
        let condition = Condition {
            key_prefix: prefix.map(str::to_owned),
            error_code: code.map(|code| StatusCode::from_u16(code).unwrap()),
        };
        RoutingRule {
            condition: (condition != Condition::default()).then_some(condition),
            redirect: Redirect {
                replacement: Some(Replacement::Key(name.to_owned())),
                ..Redirect::default()
            },
        }
    }

    fn pages(routing_rules: Vec<RoutingRule>) -> Pages {
        Pages { index_suffix: "index.html".to_owned(), error_key: None, routing_rules }
    }

    fn name(rule: Option<&RoutingRule>) -> Option<&str> {
        match rule?.redirect.replacement.as_ref()? {
            Replacement::Key(name) | Replacement::Prefix(name) => Some(name),
        }
    }

    #[test]
    fn the_first_rule_that_holds_is_taken() {
        let pages = pages(vec![
            rule(Some("docs/"), Some(404), "gone docs"),
            rule(Some("docs/old/"), None, "old docs"),
            rule(Some("docs/"), Some(403), "secret docs"),
            rule(Some("docs/old"), None, "older"),
            rule(None, Some(404), "gone"),
            rule(Some(""), Some(500), "broken"),
        ]);
        for (key, before, not_found, forbidden, broken) in [
            ("docs/a", None, "gone docs", Some("secret docs"), "broken"),
            ("docs/old/a", Some("old docs"), "gone docs", Some("secret docs"), "broken"),
            ("docs/older", Some("older"), "gone docs", Some("secret docs"), "broken"),
            ("Docs/old/a", None, "gone", None, "broken"),
            ("docs", None, "gone", None, "broken"),
            ("", None, "gone", None, "broken"),
        ] {
            assert_eq!(name(pages.rule_before(key)), before, "{key}");
            assert_eq!(name(pages.rule_after(key, StatusCode::NOT_FOUND)), Some(not_found), "{key}");
            assert_eq!(name(pages.rule_after(key, StatusCode::FORBIDDEN)), forbidden, "{key}");
            assert_eq!(name(pages.rule_after(key, StatusCode::INTERNAL_SERVER_ERROR)), Some(broken), "{key}");
            assert_eq!(name(pages.rule_after(key, StatusCode::SERVICE_UNAVAILABLE)), None, "{key}");
        }
    }

    #[test]
    fn a_rule_without_a_condition_is_for_every_request_that_none_before_it_is_for() {
        let pages =
            pages(vec![rule(Some("a"), None, "a"), rule(None, None, "all"), rule(Some("b"), None, "b")]);
        for (key, expected) in [("a", "a"), ("b", "all"), ("", "all"), ("/", "all")] {
            assert_eq!(name(pages.rule_before(key)), Some(expected), "{key}");
            assert_eq!(name(pages.rule_after(key, StatusCode::NOT_FOUND)), None, "{key}");
        }
        let root = self::pages(vec![rule(Some(""), None, "all")]);
        assert_eq!(name(root.rule_before("any")), Some("all"), "an empty prefix is one of every key");
    }

    #[test]
    fn keys_of_folders_have_an_index() {
        let pages = pages(Vec::new());
        for (key, index) in [
            ("", Some("index.html")),
            ("a/", Some("a/index.html")),
            ("/", Some("/index.html")),
            ("a//", Some("a//index.html")),
            ("a", None),
            ("/a", None),
            ("..", None),
        ] {
            assert_eq!(pages.index_of(key).as_deref(), index, "{key}");
        }
        assert_eq!(pages.index_in("a/b"), "a/b/index.html");
    }
}
