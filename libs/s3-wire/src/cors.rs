//! Cross-origin rules: which scripts of which origins may ask for what. Source: Amazon S3 User Guide, "Using
//! cross-origin resource sharing (CORS)", and the Fetch standard.

/// A rule of a bucket's CORS configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorsRule {
    /// Its name, at most 255 characters.
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub allowed_origins: Vec<String>,
    /// Methods: of `GET`, `PUT`, `POST`, `DELETE` and `HEAD`.
    pub allowed_methods: Vec<String>,
    /// Headers that a preflight may ask for, each with at most one `*`.
    pub allowed_headers: Vec<String>,
    /// Headers of answers that scripts may read.
    pub expose_headers: Vec<String>,
    /// For how many seconds a browser may remember a preflight.
    pub max_age_seconds: Option<u32>,
}

/// The methods that a rule can allow.
pub const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// The first rule that lets a request of this origin and method through, with these headers.
pub fn allowing<'a>(
    rules: &'a [CorsRule],
    origin: &str,
    method: &str,
    headers: &[&str],
) -> Option<&'a CorsRule> {
    rules.iter().find(|rule| {
        rule.allowed_origins.iter().any(|pattern| matches(pattern, origin, false))
            && rule.allowed_methods.iter().any(|allowed| allowed == method)
            && headers
                .iter()
                .all(|header| rule.allowed_headers.iter().any(|pattern| matches(pattern, header, true)))
    })
}

/// Whether a rule is for every origin, so that the answer need not name one.
pub fn is_for_everyone(rule: &CorsRule) -> bool {
    rule.allowed_origins.iter().any(|origin| origin == "*")
}

fn matches(pattern: &str, text: &str, ignore_case: bool) -> bool {
    let (pattern, text) = if ignore_case {
        (pattern.to_ascii_lowercase(), text.to_ascii_lowercase())
    } else {
        (pattern.to_owned(), text.to_owned())
    };
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CorsRule, allowing, is_for_everyone, matches};

    fn rule(origin: &str, method: &str, header: &str) -> CorsRule {
        CorsRule {
            allowed_origins: vec![origin.to_owned()],
            allowed_methods: vec![method.to_owned()],
            allowed_headers: vec![header.to_owned()],
            ..CorsRule::default()
        }
    }

    #[test]
    fn a_star_stands_for_any_text_and_overlaps_nothing() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("http://*.example.com", "http://a.example.com", true),
            ("http://*.example.com", "http://.example.com", true),
            ("http://*.example.com", "http://example.com", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("https://a", "https://a", true),
            ("https://a", "https://A", false),
            ("https://a", "https://a.b", false),
        ] {
            assert_eq!(matches(pattern, text, false), expected, "{pattern} {text}");
        }
        assert!(matches("X-Amz-*", "x-amz-Date", true));
    }

    #[test]
    fn the_first_rule_that_allows_everything_is_taken() {
        let rules = [rule("http://a", "GET", "x-a"), rule("http://a", "PUT", "*"), rule("*", "GET", "x-b")];
        let index = |origin, method, headers: &[&str]| {
            let found = allowing(&rules, origin, method, headers)?;
            rules.iter().position(|rule| rule == found)
        };
        assert_eq!(index("http://a", "GET", &[]), Some(0));
        assert_eq!(index("http://a", "GET", &["X-A"]), Some(0));
        assert_eq!(index("http://a", "GET", &["x-b"]), Some(2));
        assert_eq!(index("http://a", "PUT", &["x-a", "y"]), Some(1));
        assert_eq!(index("http://b", "PUT", &[]), None);
        assert_eq!(index("http://b", "GET", &["x-a"]), None);
        assert_eq!(index("http://b", "DELETE", &[]), None);
        assert!(is_for_everyone(&rules[2]) && !is_for_everyone(&rules[0]));
    }
}
