//! Where visitors of a website are sent.

use http::HeaderValue;
use s3_wire::website::{Protocol, RedirectAll, Replacement, RoutingRule};
use sigv4::encode_path;

/// What of a request goes into a redirect of it that does not say otherwise.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// `http` or `https`.
    pub(super) protocol: &'a str,
    /// The `Host` header.
    pub(super) host: &'a str,
    /// The query as it was sent.
    pub(super) query: Option<&'a str>,
}

/// The same path and query at another host.
pub(super) fn of_all(all: &RedirectAll, path: &str, asked: Asked<'_>) -> String {
    let path = path.strip_prefix('/').unwrap_or(path);
    whole(all.protocol, &all.host_name, path, asked)
}

/// Where a rule sends a request for `key`. What the rule replaces it with is taken as it is, so that it may be more of a
/// URL than a path; what is left of the key is encoded.
pub(super) fn of_rule(rule: &RoutingRule, key: &str, asked: Asked<'_>) -> String {
    let path = match &rule.redirect.replacement {
        Some(Replacement::Key(key)) => key.clone(),
        Some(Replacement::Prefix(prefix)) => {
            let rest = key.strip_prefix(rule.key_prefix()).unwrap_or(key);
            format!("{prefix}{}", encode_path(rest.as_bytes()))
        }
        None => encode_path(key.as_bytes()),
    };
    let host = rule.redirect.host_name.as_deref().unwrap_or(asked.host);
    whole(rule.redirect.protocol, host, &path, asked)
}

/// The folder of this name, without its slash. A slash or backslash at its beginning would be taken for that of a host.
pub(super) fn of_folder(name: &str) -> String {
    match name.strip_prefix('/') {
        Some(rest) => format!("/%2F{}/", encode_path(rest.as_bytes())),
        None => format!("/{}/", encode_path(name.as_bytes())),
    }
}

fn whole(protocol: Option<Protocol>, host: &str, path: &str, asked: Asked<'_>) -> String {
    let protocol = match protocol {
        Some(protocol) => protocol.name(),
        None => asked.protocol,
    };
    let mut location = format!("{protocol}://{host}/{path}");
    if let Some(query) = asked.query {
        location.push(if path.contains('?') { '&' } else { '?' });
        location.push_str(query);
    }
    location
}

/// A location as a header: what no URL can have in it is encoded, so that it ends neither the header nor the URL.
pub(super) fn value(location: &[u8]) -> HeaderValue {
    let mut out = String::with_capacity(location.len());
    for byte in location {
        if byte.is_ascii_graphic() {
            out.push(char::from(*byte));
        } else {
            out.push_str(&encode_path(&[*byte]));
        }
    }
    HeaderValue::from_str(&out).unwrap_or(HeaderValue::from_static("/"))
}

#[cfg(test)]
mod tests {
    use s3_wire::website::{Condition, Protocol, Redirect, RedirectAll, Replacement, RoutingRule};

    use super::{Asked, of_all, of_folder, of_rule, value};

    const ASKED: Asked<'static> = Asked { protocol: "http", host: "site.example.com:8080", query: None };

    #[test]
    fn a_host_is_sent_to_with_path_and_query_as_they_were() {
        let all = RedirectAll { host_name: "example.org".to_owned(), protocol: None };
        let secure = RedirectAll { protocol: Some(Protocol::Https), ..all.clone() };
        let with_query = Asked { query: Some("x=1&y=%20"), ..ASKED };
        assert_eq!(of_all(&all, "/", ASKED), "http://example.org/");
        assert_eq!(
            of_all(&all, "/a%2Fb//c", Asked { protocol: "https", ..ASKED }),
            "https://example.org/a%2Fb//c"
        );
        assert_eq!(of_all(&secure, "/a%20b", with_query), "https://example.org/a%20b?x=1&y=%20");
        assert_eq!(of_all(&all, "//evil.example", ASKED), "http://example.org//evil.example");
    }

    #[test]
    fn a_rule_replaces_what_it_names() {
        let with = |prefix: Option<&str>, replacement| RoutingRule {
            condition: prefix
                .map(|prefix| Condition { key_prefix: Some(prefix.to_owned()), error_code: None }),
            redirect: Redirect { replacement, ..Redirect::default() },
        };
        let prefix = |text: &str| Some(Replacement::Prefix(text.to_owned()));
        let whole = |text: &str| Some(Replacement::Key(text.to_owned()));
        let own = "http://site.example.com:8080/";
        for (rule, key, path) in [
            (with(Some("docs/"), prefix("documents/")), "docs/a b", "documents/a%20b"),
            (with(Some("docs/"), prefix("")), "docs/docs/a", "docs/a"),
            (with(Some("docs/"), prefix("find?key=")), "docs/a&b?c", "find?key=a%26b%3Fc"),
            (with(None, prefix("#!/")), "a/b", "#!/a/b"),
            (with(Some("docs/"), whole("gone.html")), "docs/a", "gone.html"),
            (with(Some("docs/"), whole("")), "docs/a", ""),
            (with(Some("a"), None), "a%b/\u{e9}\r\n", "a%25b/%C3%A9%0D%0A"),
        ] {
            assert_eq!(of_rule(&rule, key, ASKED), format!("{own}{path}"), "{rule:?}");
        }
        let elsewhere = RoutingRule {
            redirect: Redirect {
                protocol: Some(Protocol::Https),
                host_name: Some("example.org".to_owned()),
                replacement: prefix("q?a=1&b="),
                ..Redirect::default()
            },
            ..RoutingRule::default()
        };
        let with_query = Asked { query: Some("c=2"), ..ASKED };
        assert_eq!(of_rule(&elsewhere, "k", with_query), "https://example.org/q?a=1&b=k&c=2");
        let kept = with(None, prefix("new/"));
        assert_eq!(of_rule(&kept, "k", with_query), format!("{own}new/k?c=2"));
    }

    #[test]
    fn a_folder_is_never_taken_for_a_host() {
        for (name, location) in [
            ("a", "/a/"),
            ("a/b c", "/a/b%20c/"),
            ("/evil.example", "/%2Fevil.example/"),
            ("//evil.example", "/%2F/evil.example/"),
            ("\\evil.example", "/%5Cevil.example/"),
            ("..", "/../"),
            ("a\r\nset-cookie: b", "/a%0D%0Aset-cookie%3A%20b/"),
        ] {
            assert_eq!(of_folder(name), location);
        }
    }

    #[test]
    fn a_location_is_one_header() {
        for (location, header) in [
            ("/a", "/a"),
            ("https://example.org/a%20b?c#d", "https://example.org/a%20b?c#d"),
            ("/a b\r\nx: y", "/a%20b%0D%0Ax:%20y"),
            ("/\u{e9}\u{0}\u{7f}\t", "/%C3%A9%00%7F%09"),
        ] {
            assert_eq!(value(location.as_bytes()), header);
        }
    }
}
