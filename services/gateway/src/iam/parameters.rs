//! The parameters of a call, and their bounds. IAM API Reference, the section "Request Parameters" of each action; IAM User
//! Guide, "IAM and AWS STS quotas".

use super::{IamError, Xml, parse_form};
use crate::token;

/// Parameters that every call has.
const OF_EVERY_CALL: [&str; 2] = ["Action", "Version"];

/// Entries of a page when the call asks for no number, and the most that it may ask for.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

/// What was sent.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(form: &[u8]) -> Result<Self, IamError> {
        let pairs = parse_form(form)?;
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
        let unknown = |(name, value): &&(String, String)| {
            let name = name.as_str();
            // Clients send an empty list so.
            let is_empty_list = name == "Tags" && value.is_empty();
            !known.contains(&name) && !OF_EVERY_CALL.contains(&name) && !is_empty_list
        };
        match self.0.iter().find(unknown) {
            Some((name, _)) => Err(IamError::validation(format!("The parameter {name} is not supported."))),
            None => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::Parameters;

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
