use crate::{
    Context,
    pattern::{Syntax, Text},
};

#[test]
fn wildcards_match() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("**", "ab", true),
        ("?", "", false),
        ("?", "ä", true),
        ("a*b*c", "aXbXbXc", true),
        ("a*b*c", "aXbXbX", false),
        ("*ab", "aab", true),
        ("*a?", "aaa", true),
        ("a*", "ba", false),
    ] {
        assert_eq!(Text::pattern(pattern).matches(&Context::default(), text), expected, "{pattern} {text}");
    }
}

/// With exponential backtracking this would not end.
#[test]
fn many_wildcards_take_no_time() {
    let pattern = "*a".repeat(1000) + "b";
    assert!(!Text::pattern(&pattern).matches(&Context::default(), &"a".repeat(4000)));
}

#[test]
fn what_a_pattern_can_reach_is_told() {
    let text = |text| Text::parse(text, Syntax { wildcards: true, variables: true }).expect("a text");
    for (pattern, prefix, whole, starts) in [
        ("bucket", "bucket", true, true),
        ("bucket/*", "bucket", false, true),
        ("bucket/*", "bucket/", true, true),
        ("b*", "bucket/", true, true),
        ("buck", "bucket", false, false),
        ("${aws:username}/x", "bucket/", false, true),
        ("??????", "bucket", true, true),
        ("?????", "bucket", false, false),
        ("other*", "bucket", false, false),
    ] {
        assert_eq!(text(pattern).can_match(prefix, true), whole, "{pattern} is {prefix}");
        assert_eq!(text(pattern).can_match(prefix, false), starts, "{pattern} begins as {prefix}");
    }
}
