//! Bodies about cross-origin rules.

use bytes::Bytes;

use super::{
    Document,
    read::{XmlReader, set},
};
use crate::{
    cors::{CorsRule, METHODS},
    error::{ErrorCode, S3Error},
};

/// Largest body of PutBucketCors in bytes: 64 KiB, as S3 has it.
pub const CORS_BODY_MAX: usize = 64 << 10;

const RULES_MAX: usize = 100;
const ID_MAX: usize = 255;

/// Reads a body of PutBucketCors: 1 to 100 rules. Errors: `MalformedXML`, and `InvalidRequest` with S3's words for an
/// unknown method, more than one `*` and an id that is too long. Source: API Reference, "PutBucketCors".
pub fn parse_cors(body: &[u8]) -> Result<Vec<CorsRule>, S3Error> {
    let mut reader = XmlReader::open(body, CORS_BODY_MAX, "CORSConfiguration")?;
    let mut rules = Vec::new();
    while let Some(name) = reader.next_child()? {
        if name != "CORSRule" || rules.len() == RULES_MAX {
            return Err(S3Error::malformed_xml());
        }
        rules.push(read_rule(&mut reader)?);
    }
    reader.finish()?;
    if rules.is_empty() {
        return Err(S3Error::malformed_xml());
    }
    Ok(rules)
}

fn read_rule(reader: &mut XmlReader<'_>) -> Result<CorsRule, S3Error> {
    let (mut rule, mut age) = (CorsRule::default(), None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "ID" => set(&mut rule.id, reader.text()?)?,
            // An empty one is taken, as by Amazon S3 (localstack/localstack, `test_put_cors_empty_origin`); it is nobody's.
            "AllowedOrigin" => rule.allowed_origins.push(one_star("AllowedOrigin", reader.word()?)?),
            "AllowedMethod" => rule.allowed_methods.push(method(reader.word()?)?),
            "AllowedHeader" => match reader.word()? {
                header if header.is_empty() => return Err(S3Error::malformed_xml()),
                header => rule.allowed_headers.push(one_star("AllowedHeader", header)?),
            },
            "ExposeHeader" => rule.expose_headers.push(exposed(reader.word()?)?),
            "MaxAgeSeconds" => set(&mut age, reader.word()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    rule.max_age_seconds = age.map(|age| age.parse().map_err(|_| S3Error::malformed_xml())).transpose()?;
    if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
        return Err(S3Error::malformed_xml());
    }
    if rule.id.as_ref().is_some_and(|id| id.chars().count() > ID_MAX) {
        return Err(S3Error::invalid_request("The ID of a CORS rule can have at most 255 characters."));
    }
    Ok(rule)
}

fn method(method: String) -> Result<String, S3Error> {
    if METHODS.contains(&method.as_str()) {
        return Ok(method);
    }
    let message = format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}");
    Err(S3Error::with_message(ErrorCode::InvalidRequest, message))
}

fn one_star(element: &str, value: String) -> Result<String, S3Error> {
    if value.matches('*').count() > 1 {
        let message = format!("{element} \"{value}\" can not have more than one wildcard.");
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    Ok(value)
}

fn exposed(value: String) -> Result<String, S3Error> {
    if value.contains('*') {
        let message = format!(
            "ExposeHeader \"{value}\" contains wildcard. We currently do not support wildcard for ExposeHeader"
        );
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    Ok(value)
}

/// The body of GetBucketCors.
pub fn cors(rules: &[CorsRule]) -> Bytes {
    let mut document = Document::new("CORSConfiguration", 256 + 256 * rules.len());
    for rule in rules {
        document.open("CORSRule");
        document.optional("ID", rule.id.as_deref());
        for (element, values) in [
            ("AllowedMethod", &rule.allowed_methods),
            ("AllowedOrigin", &rule.allowed_origins),
            ("AllowedHeader", &rule.allowed_headers),
            ("ExposeHeader", &rule.expose_headers),
        ] {
            for value in values {
                document.element(element, value);
            }
        }
        if let Some(age) = rule.max_age_seconds {
            document.plain("MaxAgeSeconds", age);
        }
        document.close("CORSRule");
    }
    document.finish("CORSConfiguration")
}

#[cfg(test)]
mod tests {
    use super::{CorsRule, cors, parse_cors};
    use crate::error::ErrorCode;

    fn wrap(rule: &str) -> String {
        format!("<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>")
    }

    const LEAST: &str = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>";

    #[test]
    fn what_is_written_is_read_again() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let whole = CorsRule {
            id: Some("a <rule>".to_owned()),
            allowed_origins: texts(&["http://*.example.com", "*"]),
            allowed_methods: texts(&["GET", "PUT"]),
            allowed_headers: texts(&["x-amz-*", "authorization"]),
            expose_headers: texts(&["ETag"]),
            max_age_seconds: Some(3000),
        };
        let least = CorsRule {
            allowed_origins: texts(&["", "*"]),
            allowed_methods: texts(&["HEAD"]),
            ..CorsRule::default()
        };
        let rules = vec![whole, least];
        assert_eq!(parse_cors(&cors(&rules)), Ok(rules));
    }

    #[test]
    fn other_documents_are_refused() {
        let id = format!("{LEAST}<ID>{}</ID>", "i".repeat(256));
        let many = format!(
            "<CORSConfiguration>{}</CORSConfiguration>",
            format!("<CORSRule>{LEAST}</CORSRule>").repeat(101)
        );
        for (bad, code) in [
            (String::new(), ErrorCode::MalformedXML),
            ("<CORSConfiguration/>".to_owned(), ErrorCode::MalformedXML),
            (many, ErrorCode::MalformedXML),
            (wrap(""), ErrorCode::MalformedXML),
            (wrap("<AllowedOrigin>*</AllowedOrigin>"), ErrorCode::MalformedXML),
            (wrap("<AllowedMethod>GET</AllowedMethod>"), ErrorCode::MalformedXML),
            (wrap(&format!("{LEAST}<AllowedHeader/>")), ErrorCode::MalformedXML),
            (wrap(&format!("{LEAST}<Other/>")), ErrorCode::MalformedXML),
            (wrap(&format!("{LEAST}<MaxAgeSeconds>-1</MaxAgeSeconds>")), ErrorCode::MalformedXML),
            (
                wrap(&format!("{LEAST}<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>1</MaxAgeSeconds>")),
                ErrorCode::MalformedXML,
            ),
            (wrap(&format!("{LEAST}<AllowedMethod>PATCH</AllowedMethod>")), ErrorCode::InvalidRequest),
            (wrap(&format!("{LEAST}<AllowedMethod>get</AllowedMethod>")), ErrorCode::InvalidRequest),
            (wrap(&format!("{LEAST}<AllowedOrigin>a*b*</AllowedOrigin>")), ErrorCode::InvalidRequest),
            (wrap(&format!("{LEAST}<AllowedHeader>**</AllowedHeader>")), ErrorCode::InvalidRequest),
            (wrap(&format!("{LEAST}<ExposeHeader>x-*</ExposeHeader>")), ErrorCode::InvalidRequest),
            (wrap(&id), ErrorCode::InvalidRequest),
        ] {
            assert_eq!(parse_cors(bad.as_bytes()).map_err(|error| error.code), Err(code), "{bad:.200}");
        }
    }
}
