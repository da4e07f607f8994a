//! The fields of a form: what they say of the object, and what they ask for.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{FIELDS_BYTES_MAX, FormError};
use crate::error::S3Error;

/// Fields that become headers of the same name beside `x-amz-*`. Source: API Reference, "POST Object".
const HEADER_FIELDS: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "if-match",
    "if-none-match",
];

/// Fields that prove who sends the form.
const SIGNATURE_FIELDS: &[&str] =
    &["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"];

/// Fields whose headers would ask for something else than to store the file, or say how a body is framed.
const OTHER_REQUESTS: &[&str] = &["x-amz-copy-source", "x-amz-decoded-content-length", "x-amz-trailer"];

/// What replaces itself with the name of the file.
const FILE_NAME: &str = "${filename}";

/// The fields of a form, each once, by names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    fields: Vec<(String, String)>,
}

/// What a successful upload is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuccessAction {
    /// A redirect, which the caller completes with bucket, key and entity tag.
    Redirect(String),
    /// A status: 200, 201 or 204.
    Status(StatusCode),
}

impl Fields {
    /// Adds a field; `InvalidArgument` for one that is there already.
    pub fn add(&mut self, name: String, value: String) -> Result<(), S3Error> {
        if self.get(&name).is_some() {
            return Err(S3Error::invalid_argument("A field of the form is given twice.", &name, &value));
        }
        self.fields.push((name, value));
        Ok(())
    }

    /// Puts the file's name in the place of `${filename}` in every field. `MaxPostPreDataLengthExceeded` when the fields
    /// become longer by that than a form may have them.
    pub fn expand_file_name(&mut self, file_name: &str) -> Result<(), S3Error> {
        let mut room = FIELDS_BYTES_MAX;
        for (_, value) in &mut self.fields {
            let more = value.matches(FILE_NAME).count().saturating_mul(file_name.len());
            room = room.checked_sub(more).ok_or(FormError::FieldsTooLong)?;
            if value.contains(FILE_NAME) {
                *value = value.replace(FILE_NAME, file_name);
            }
        }
        Ok(())
    }

    /// The value of a field, by its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field that has to be there.
    pub fn required(&self, name: &'static str) -> Result<&str, S3Error> {
        self.get(name).ok_or_else(|| {
            let message = format!(
                "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
            );
            S3Error::invalid_argument(message, name, "")
        })
    }

    /// Every field in the order of the form.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The headers with which a PutObject would say the same of its object. `InvalidArgument` for a value that no
    /// header may have, for two ways to say one thing, and for a field that belongs to another request.
    pub fn headers(&self) -> Result<HeaderMap, S3Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.iter() {
            let header = match name {
                "acl" => "x-amz-acl",
                _ if SIGNATURE_FIELDS.contains(&name) => continue,
                _ if HEADER_FIELDS.contains(&name) || name.starts_with("x-amz-") => name,
                _ => continue,
            };
            let invalid =
                || S3Error::invalid_argument("A field of the form is not a valid header.", name, value);
            if OTHER_REQUESTS.contains(&name) || (name == "x-amz-tagging" && self.get("tagging").is_some()) {
                return Err(invalid());
            }
            let header = HeaderName::from_bytes(header.as_bytes()).map_err(|_| invalid())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
            // `acl` and `x-amz-acl` are two fields and one header.
            if headers.insert(header, value).is_some() {
                return Err(invalid());
            }
        }
        Ok(headers)
    }

    /// What to answer with when the object is stored. A redirect to what is no URL, and a status that is none of the
    /// three, count as not given, as they do for S3.
    pub fn success_action(&self) -> SuccessAction {
        let redirect = self.get("success_action_redirect").or_else(|| self.get("redirect"));
        if let Some(url) = redirect.filter(|url| is_url(url)) {
            return SuccessAction::Redirect(url.to_owned());
        }
        SuccessAction::Status(match self.get("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        })
    }
}

fn is_url(text: &str) -> bool {
    let uri = text.parse::<http::Uri>();
    uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}
