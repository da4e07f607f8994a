//! The parameters of a call, and their bounds. IAM API Reference, the section "Request Parameters" of each action; IAM User
//! Guide, "IAM and AWS STS quotas".

use std::collections::BTreeMap;

use super::{IamError, Xml, parse_form};
use crate::token;

/// Parameters that every call has.
const OF_EVERY_CALL: [&str; 2] = ["Action", "Version"];

/// Entries of a page when the call asks for no number, and the most that it may ask for.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

/// Parameters that a call has at most: the longest that is of any use makes a provider with 100 clients and 50 tags. Whoever is not known
/// yet sends forms too, and what is looked at for each of them grows by the square of this.
const PARAMETERS_MAX: usize = 400;

/// What was sent.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(form: &[u8]) -> Result<Self, IamError> {
        let pairs = parse_form(form)?;
        if pairs.len() > PARAMETERS_MAX {
            return Err(IamError::validation(format!("A call has at most {PARAMETERS_MAX} parameters.")));
        }
        for (at, (name, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(other, _)| other == name) {
                return Err(IamError::validation(format!("The parameter {name} is there twice.")));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Refuses parameters that the call does not know, which would be taken for something that is not done.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), IamError> {
        self.only_with(known, &[])
    }

    /// The same for a call that has lists of these names beside.
    pub(super) fn only_with(&self, known: &[&str], lists: &[&str]) -> Result<(), IamError> {
        for list in lists {
            self.list(list)?;
        }
        for (name, value) in &self.0 {
            let name = name.as_str();
            // Clients send an empty list so.
            let is_empty_list = value.is_empty() && (name == "Tags" || lists.contains(&name));
            let list = lists.iter().find(|list| name.split('.').next() == Some(**list));
            match list {
                _ if known.contains(&name) || OF_EVERY_CALL.contains(&name) || is_empty_list => {}
                Some(list) if name[list.len()..].starts_with(".member.") => {}
                Some(list) => return Err(not_a_member(list, name)),
                None => {
                    return Err(IamError::validation(format!("The parameter {name} is not supported.")));
                }
            }
        }
        Ok(())
    }

    /// Whether a list has members.
    pub(super) fn has_members(&self, list: &str) -> bool {
        let is_member = |name: &str| name.strip_prefix(list).is_some_and(|rest| rest.starts_with(".member."));
        self.0.iter().any(|(name, _)| is_member(name))
    }

    /// The members of a list, in their order: of each the values of its fields, by their names, of which that of a text is empty.
    /// IAM API Reference, "Making query requests"; their numbers go on from 1.
    pub(super) fn list(&self, list: &str) -> Result<Vec<BTreeMap<&str, &str>>, IamError> {
        let mut members: BTreeMap<usize, BTreeMap<&str, &str>> = BTreeMap::new();
        for (name, value) in &self.0 {
            let Some(rest) = name.strip_prefix(list).and_then(|rest| rest.strip_prefix(".member.")) else {
                continue;
            };
            let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
            let parsed = number.parse().ok().filter(|parsed: &usize| parsed.to_string() == number);
            let parsed = parsed.filter(|_| field.is_empty() != rest.contains('.'));
            let number = parsed.ok_or_else(|| not_a_member(list, name))?;
            members.entry(number).or_default().insert(field, value);
        }
        match members.keys().zip(1..).find(|(number, expected)| **number != *expected) {
            Some((number, _)) => Err(not_a_member(list, &format!("{list}.member.{number}"))),
            None => Ok(members.into_values().collect()),
        }
    }

    /// A name: letters, digits and `+=,.@_-`, at most `length_max` of them.
    fn checked_name<'a>(name: &str, value: &'a str, length_max: usize) -> Result<&'a str, IamError> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
        if value.is_empty() || value.len() > length_max || !value.bytes().all(good) {
            let message = format!(
                "1 validation error detected: Value at '{name}' failed to satisfy constraint: 1 to {length_max} letters, digits and any of _+=,.@-"
            );
            return Err(IamError::validation(message));
        }
        Ok(value)
    }

    pub(super) fn name(&self, name: &str, length_max: usize) -> Result<&str, IamError> {
        let missing = || {
            IamError::validation(format!(
                "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
            ))
        };
        Self::checked_name(name, self.get(name).ok_or_else(missing)?, length_max)
    }

    pub(super) fn optional_name(&self, name: &str, length_max: usize) -> Result<Option<&str>, IamError> {
        self.get(name).map(|value| Self::checked_name(name, value, length_max)).transpose()
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, IamError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            IamError::validation(format!(
                "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// A path: a slash, or text between slashes, of at most 512 characters.
    pub(super) fn path(&self, name: &str) -> Result<Option<&str>, IamError> {
        let Some(path) = self.get(name) else { return Ok(None) };
        let good = |b: u8| (0x21..=0x7e).contains(&b);
        if path.starts_with('/') && path.ends_with('/') && path.len() <= 512 && path.bytes().all(good) {
            return Ok(Some(path));
        }
        Err(IamError::validation(format!(
            "The specified value for {name} is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters."
        )))
    }

    /// What the names of what is listed begin with: that of paths.
    pub(super) fn path_prefix(&self) -> Result<&str, IamError> {
        let prefix = self.get("PathPrefix").unwrap_or("/");
        let good = |b: u8| (0x21..=0x7e).contains(&b);
        if prefix.starts_with('/') && prefix.len() <= 512 && prefix.bytes().all(good) {
            return Ok(prefix);
        }
        Err(IamError::validation("The specified value for pathPrefix is invalid."))
    }

    /// One page of what there is, in the order of the names, which are the firsts of each: the page as a list of this name, and
    /// where the next begins.
    pub(super) fn page<T>(
        &self,
        out: &mut Xml,
        list: &str,
        entries: impl Iterator<Item = (String, T)>,
        write: impl Fn(&mut Xml, &T),
    ) -> Result<(), IamError> {
        let (page, marker) = self.cut(entries)?;
        out.element(list, |out| {
            for entry in &page {
                out.element("member", |out| write(out, entry));
            }
        });
        out.next_page(marker.as_deref());
        Ok(())
    }

    /// The entries of one page of what there is, in the order of the names, and where the next begins.
    pub(super) fn cut<T>(
        &self,
        entries: impl Iterator<Item = (String, T)>,
    ) -> Result<(Vec<T>, Option<String>), IamError> {
        let limit = match self.get("MaxItems").map(str::parse::<usize>) {
            None => PAGE_DEFAULT,
            Some(Ok(limit)) if (1..=PAGE_MAX).contains(&limit) => limit,
            Some(_) => {
                let message = format!("Value at 'maxItems' must be between 1 and {PAGE_MAX}");
                return Err(IamError::validation(format!("1 validation error detected: {message}")));
            }
        };
        let invalid = || IamError::validation("Invalid Marker.");
        let after = match self.get("Marker") {
            None => None,
            Some(marker) => {
                let place = token::decode(marker).map_err(|_| invalid())?;
                Some(String::from_utf8(place).map_err(|_| invalid())?)
            }
        };
        let mut left = entries.filter(|(name, _)| after.as_ref().is_none_or(|after| name > after)).peekable();
        let (mut page, mut last) = (Vec::new(), None);
        for (name, entry) in left.by_ref().take(limit) {
            page.push(entry);
            last = Some(name);
        }
        let more = left.next().and(last);
        Ok((page, more.map(|name| token::encode(name.as_bytes()))))
    }
}

/// A parameter that has the name of a list and is none of its members, which would be taken for one and have no effect.
fn not_a_member(list: &str, name: &str) -> IamError {
    IamError::validation(format!(
        "The parameter {name} is no member of the list {list}, whose members are {list}.member.1, {list}.member.2 and so on."
    ))
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    #[test]
    fn lists_are_sent_by_members_alone() {
        let good = parse("L.member.2.Key=b&L.member.1.Key=a&L.member.1.Value=x&M.member.1=y&N=1");
        assert!(good.only_with(&["N"], &["L", "M"]).is_ok());
        let list = good.list("L").expect("a list");
        assert_eq!(list.len(), 2);
        assert_eq!((list[0]["Key"], list[0]["Value"], list[1]["Key"]), ("a", "x", "b"));
        assert_eq!(good.list("M").expect("a list")[0][""], "y");
        assert!(good.list("O").expect("a list").is_empty());
        assert!(good.only_with(&["N"], &["L"]).is_err(), "a list that the call does not know");
        assert!(parse("L=").only_with(&[], &["L"]).is_ok(), "an empty list");
        for bad in [
            "L=x",
            "L.1=x",
            "L.1.Key=x",
            "L.member=x",
            "L.member.=x",
            "L.member.0=x",
            "L.member.01=x",
            "L.member.2=x",
            "L.member.x=x",
            "L.member.1.=x",
            "L.member.1=x&L.member.3=y",
            "L.member.1=x&L=y",
            "L.members.1=x",
            "l.member.1=x",
        ] {
            assert!(parse(bad).only_with(&[], &["L"]).is_err(), "{bad}");
        }
    }

    #[test]
    fn forms_that_take_long_are_refused() {
        let form = |members: usize| {
            let members = (1..=members).map(|number| format!("L.member.{number}=x"));
            members.collect::<Vec<_>>().join("&")
        };
        assert!(parse(&form(400)).only_with(&[], &["L"]).is_ok());
        assert!(Parameters::parse(form(401).as_bytes()).is_err());
    }

    fn parse(form: &str) -> Parameters {
        Parameters::parse(form.as_bytes()).expect("a form")
    }

    #[test]
    fn names_and_paths_have_their_bounds() {
        for good in ["a", "A-b_c+d=e,f.g@h1", &"x".repeat(64)] {
            assert_eq!(parse(&format!("N={}", good.replace('+', "%2B"))).name("N", 64), Ok(good));
        }
        for bad in ["", "a%20b", "a/b", "%C3%A9", "a%00", &"x".repeat(65), "a*"] {
            assert!(parse(&format!("N={bad}")).name("N", 64).is_err(), "{bad}");
        }
        assert!(parse("M=a").name("N", 64).is_err());
        for (path, is_good) in
            [("/", true), ("/a/b/", true), ("", false), ("a/", false), ("/a", false), ("/%20/", false)]
        {
            assert_eq!(parse(&format!("Path={path}")).path("Path").is_ok(), is_good, "{path}");
        }
        assert!(Parameters::parse(b"A=1&A=2").is_err(), "one of two would be taken");
        assert!(Parameters::parse(b"A=%f").is_err() && Parameters::parse(b"\xff").is_err());
        assert!(parse("Action=X&Version=1&A=1").only(&["A"]).is_ok());
        assert!(parse("Action=X&A=1&PermissionsBoundary=x").only(&["A"]).is_err());
        assert!(parse("Action=X&A=1&Tags=").only(&["A"]).is_ok());
        assert!(parse("Action=X&A=1&Tags=x").only(&["A"]).is_err());
        assert!(parse("Action=X&A=1&Tags=&PermissionsBoundary=x").only(&["A"]).is_err());
    }
}
