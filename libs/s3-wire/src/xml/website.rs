//! Bodies about websites.

use bytes::Bytes;
use http::StatusCode;

use super::{
    Document,
    read::{XmlReader, set},
};
use crate::{
    address::key_too_long,
    error::S3Error,
    website::{Condition, Pages, Protocol, Redirect, RedirectAll, Replacement, RoutingRule, Website},
};

/// Largest body of PutBucketWebsite in bytes: 128 KiB. Source: API Reference, "PutBucketWebsite".
pub const WEBSITE_BODY_MAX: usize = 128 << 10;

const RULES_MAX: usize = 50;

/// Longest name of a host in bytes, with a port: every answer's `Location` begins with it. RFC 1035, section 2.3.4.
const HOST_NAME_MAX: usize = 261;

/// The statuses that a redirect may have: those that RFC 9110 and its predecessors define, but for 300, which is no
/// redirect to one place.
const REDIRECT_CODES: [u16; 7] = [301, 302, 303, 304, 305, 307, 308];

/// Reads a body of PutBucketWebsite. Errors: `MalformedXML` for another structure; `InvalidArgument` and `InvalidRequest`
/// with S3's words for values that it refuses; `KeyTooLongError`. Source: API Reference, "PutBucketWebsite".
pub fn parse_website(body: &[u8]) -> Result<Website, S3Error> {
    let mut reader = XmlReader::open(body, WEBSITE_BODY_MAX, "WebsiteConfiguration")?;
    let (mut index, mut error, mut all, mut rules) = (None, None, None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "IndexDocument" => set(&mut index, read_one(&mut reader, "Suffix")?)?,
            "ErrorDocument" => set(&mut error, read_one(&mut reader, "Key")?)?,
            "RedirectAllRequestsTo" => set(&mut all, read_redirect_all(&mut reader)?)?,
            "RoutingRules" => set(&mut rules, read_rules(&mut reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    match all {
        Some(_) if index.is_some() || error.is_some() || rules.is_some() => Err(S3Error::invalid_argument(
            "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
            "RedirectAllRequestsTo",
            "not null",
        )),
        Some(all) => Ok(Website::Redirect(all)),
        None => Ok(Website::Pages(Pages {
            index_suffix: index_suffix(index)?,
            error_key: error.map(error_key).transpose()?,
            routing_rules: rules.unwrap_or_default(),
        })),
    }
}

/// The text of the one element in the element that is open.
fn read_one(reader: &mut XmlReader<'_>, element: &str) -> Result<String, S3Error> {
    let mut text = None;
    while let Some(name) = reader.next_child()? {
        if name != element {
            return Err(S3Error::malformed_xml());
        }
        set(&mut text, reader.key()?)?;
    }
    text.ok_or_else(S3Error::malformed_xml)
}

fn index_suffix(suffix: Option<String>) -> Result<String, S3Error> {
    let Some(suffix) = suffix else {
        return Err(S3Error::invalid_argument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            "IndexDocument",
            "null",
        ));
    };
    if suffix.is_empty() || suffix.contains('/') {
        let message = "The IndexDocument Suffix is not well formed";
        return Err(S3Error::invalid_argument(message, "IndexDocument", &suffix));
    }
    of_a_key(suffix)
}

fn error_key(key: String) -> Result<String, S3Error> {
    if key.is_empty() {
        let message = "The ErrorDocument Key is not well formed";
        return Err(S3Error::invalid_argument(message, "ErrorDocument", &key));
    }
    of_a_key(key)
}

/// Text that keys are or have in them, which no longer text can be.
fn of_a_key(text: String) -> Result<String, S3Error> {
    if text.len() > types::KEY_LENGTH_MAX { Err(key_too_long(text.len())) } else { Ok(text) }
}

fn read_redirect_all(reader: &mut XmlReader<'_>) -> Result<RedirectAll, S3Error> {
    let (mut host_name, mut protocol) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "HostName" => set(&mut host_name, read_host_name(reader)?)?,
            "Protocol" => set(&mut protocol, read_protocol(reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let host_name = host_name.ok_or_else(S3Error::malformed_xml)?;
    if host_name.is_empty() {
        return Err(S3Error::invalid_request(
            "A host name must be provided to redirect all requests (e.g. \"example.com\").",
        ));
    }
    Ok(RedirectAll { host_name, protocol })
}

fn read_protocol(reader: &mut XmlReader<'_>) -> Result<Protocol, S3Error> {
    Protocol::from_name(&reader.word()?).ok_or_else(|| {
        S3Error::invalid_request(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.",
        )
    })
}

fn read_rules(reader: &mut XmlReader<'_>) -> Result<Vec<RoutingRule>, S3Error> {
    let mut rules = Vec::new();
    while let Some(name) = reader.next_child()? {
        if name != "RoutingRule" {
            return Err(S3Error::malformed_xml());
        }
        rules.push(read_rule(reader)?);
    }
    match rules.len() {
        0 => Err(S3Error::malformed_xml()),
        1..=RULES_MAX => Ok(rules),
        given => Err(S3Error::invalid_request(format!(
            "{given} routing rules provided, the number of routing rules in a website configuration is limited to {RULES_MAX}."
        ))),
    }
}

fn read_rule(reader: &mut XmlReader<'_>) -> Result<RoutingRule, S3Error> {
    let (mut condition, mut redirect) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Condition" => set(&mut condition, read_condition(reader)?)?,
            "Redirect" => set(&mut redirect, read_redirect(reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    Ok(RoutingRule { condition, redirect: redirect.ok_or_else(S3Error::malformed_xml)? })
}

fn read_condition(reader: &mut XmlReader<'_>) -> Result<Condition, S3Error> {
    let (mut key_prefix, mut error_code) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "KeyPrefixEquals" => set(&mut key_prefix, of_a_key(reader.key()?)?)?,
            "HttpErrorCodeReturnedEquals" => {
                let code = status(&reader.word()?)?;
                if !(code.is_client_error() || code.is_server_error()) {
                    return Err(S3Error::invalid_request(format!(
                        "The provided HTTP error code ({}) is not valid. Valid codes are 4XX or 5XX.",
                        code.as_str()
                    )));
                }
                set(&mut error_code, code)?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    if key_prefix.is_none() && error_code.is_none() {
        return Err(S3Error::invalid_request(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.",
        ));
    }
    Ok(Condition { key_prefix, error_code })
}

fn read_redirect(reader: &mut XmlReader<'_>) -> Result<Redirect, S3Error> {
    let (mut protocol, mut host_name, mut code, mut prefix, mut key) = (None, None, None, None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Protocol" => set(&mut protocol, read_protocol(reader)?)?,
            "HostName" => set(&mut host_name, read_host_name(reader)?)?,
            "HttpRedirectCode" => {
                let given = status(&reader.word()?)?;
                if !REDIRECT_CODES.contains(&given.as_u16()) {
                    return Err(S3Error::invalid_request(format!(
                        "The provided HTTP redirect code ({}) is not valid. Valid codes are 301, 302, 303, 304, 305, 307 and 308.",
                        given.as_str()
                    )));
                }
                set(&mut code, given)?;
            }
            "ReplaceKeyPrefixWith" => set(&mut prefix, of_a_key(reader.key()?)?)?,
            "ReplaceKeyWith" => set(&mut key, of_a_key(reader.key()?)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    if host_name.as_deref() == Some("") {
        return Err(S3Error::invalid_request(
            "The HostName cannot be blank. To redirect within the same domain, the element should not be present.",
        ));
    }
    let replacement = match (prefix, key) {
        (Some(_), Some(_)) => {
            return Err(S3Error::invalid_request(
                "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
            ));
        }
        (Some(prefix), None) => Some(Replacement::Prefix(prefix)),
        (None, key) => key.map(Replacement::Key),
    };
    let redirect = Redirect { protocol, host_name, code, replacement };
    if redirect == Redirect::default() { Err(S3Error::malformed_xml()) } else { Ok(redirect) }
}

fn read_host_name(reader: &mut XmlReader<'_>) -> Result<String, S3Error> {
    let name = reader.key()?.trim().to_owned();
    if name.len() > HOST_NAME_MAX {
        return Err(S3Error::invalid_request(format!("A HostName has at most {HOST_NAME_MAX} characters.")));
    }
    Ok(name)
}

/// A status of three digits.
fn status(text: &str) -> Result<StatusCode, S3Error> {
    let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    let code = digits.then(|| StatusCode::from_bytes(text.as_bytes()).ok()).flatten();
    code.ok_or_else(S3Error::malformed_xml)
}

/// The body of GetBucketWebsite.
pub fn website(website: &Website) -> Bytes {
    let mut document = Document::new("WebsiteConfiguration", 1024);
    match website {
        Website::Redirect(all) => {
            document.open("RedirectAllRequestsTo");
            document.key("HostName", &all.host_name, false);
            document.optional("Protocol", all.protocol.map(Protocol::name));
            document.close("RedirectAllRequestsTo");
        }
        Website::Pages(pages) => write_pages(pages, &mut document),
    }
    document.finish("WebsiteConfiguration")
}

fn write_pages(pages: &Pages, document: &mut Document) {
    document.open("IndexDocument");
    document.key("Suffix", &pages.index_suffix, false);
    document.close("IndexDocument");
    if let Some(key) = &pages.error_key {
        document.open("ErrorDocument");
        document.key("Key", key, false);
        document.close("ErrorDocument");
    }
    if pages.routing_rules.is_empty() {
        return;
    }
    document.open("RoutingRules");
    for rule in &pages.routing_rules {
        document.open("RoutingRule");
        if let Some(condition) = &rule.condition {
            document.open("Condition");
            optional_key("KeyPrefixEquals", condition.key_prefix.as_deref(), document);
            document.optional(
                "HttpErrorCodeReturnedEquals",
                condition.error_code.as_ref().map(StatusCode::as_str),
            );
            document.close("Condition");
        }
        write_redirect(&rule.redirect, document);
        document.close("RoutingRule");
    }
    document.close("RoutingRules");
}

fn write_redirect(redirect: &Redirect, document: &mut Document) {
    document.open("Redirect");
    document.optional("Protocol", redirect.protocol.map(Protocol::name));
    optional_key("HostName", redirect.host_name.as_deref(), document);
    document.optional("HttpRedirectCode", redirect.code.as_ref().map(StatusCode::as_str));
    match &redirect.replacement {
        Some(Replacement::Prefix(prefix)) => document.key("ReplaceKeyPrefixWith", prefix, false),
        Some(Replacement::Key(key)) => document.key("ReplaceKeyWith", key, false),
        None => {}
    }
    document.close("Redirect");
}

/// Text that is kept whatever characters it has.
fn optional_key(name: &str, value: Option<&str>, document: &mut Document) {
    if let Some(value) = value {
        document.key(name, value, false);
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{WEBSITE_BODY_MAX, parse_website, website};
    use crate::{
        error::ErrorCode,
        website::{Condition, Pages, Protocol, Redirect, RedirectAll, Replacement, RoutingRule, Website},
    };

    const INDEX: &str = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";

    fn wrap(inner: &str) -> String {
        format!("<WebsiteConfiguration>{inner}</WebsiteConfiguration>")
    }

    fn rules(count: usize, rule: &str) -> String {
        let rules = format!("<RoutingRule>{rule}</RoutingRule>").repeat(count);
        wrap(&format!("{INDEX}<RoutingRules>{rules}</RoutingRules>"))
    }

    fn redirect(inner: &str) -> String {
        rules(1, &format!("<Redirect>{inner}</Redirect>"))
    }

    fn condition(inner: &str) -> String {
        rules(
            1,
            &format!("<Condition>{inner}</Condition><Redirect><HostName>example.com</HostName></Redirect>"),
        )
    }

    fn pages(routing_rules: Vec<RoutingRule>) -> Website {
        let error_key = Some("errors/<404>.html".to_owned());
        Website::Pages(Pages { index_suffix: "index.html".to_owned(), error_key, routing_rules })
    }

    #[test]
    fn what_is_written_is_read_again() {
        let code = |code| Some(StatusCode::from_u16(code).unwrap());
        let whole = RoutingRule {
            condition: Some(Condition { key_prefix: Some("a&b/".to_owned()), error_code: code(404) }),
            redirect: Redirect {
                protocol: Some(Protocol::Https),
                host_name: Some("example.com:8443".to_owned()),
                code: code(307),
                replacement: Some(Replacement::Prefix("find?key=\r\n\u{1}\u{fffe} ".to_owned())),
            },
        };
        let least = RoutingRule {
            condition: None,
            redirect: Redirect { replacement: Some(Replacement::Key(String::new())), ..Redirect::default() },
        };
        let empty_prefix = RoutingRule {
            condition: Some(Condition { key_prefix: Some(String::new()), error_code: None }),
            redirect: Redirect { code: code(302), ..Redirect::default() },
        };
        for configured in [
            pages(Vec::new()),
            pages(vec![whole.clone(), least, empty_prefix]),
            pages(vec![whole; 50]),
            Website::Redirect(RedirectAll { host_name: "example.com".to_owned(), protocol: None }),
            Website::Redirect(RedirectAll {
                host_name: "a\u{7}<b>".to_owned(),
                protocol: Some(Protocol::Http),
            }),
        ] {
            let written = website(&configured);
            assert_eq!(parse_website(&written), Ok(configured), "{}", String::from_utf8_lossy(&written));
        }
    }

    #[test]
    fn the_redirect_codes_and_error_codes_of_s3_are_taken() {
        for code in [301, 302, 303, 304, 305, 307, 308] {
            let body = redirect(&format!("<HttpRedirectCode>{code}</HttpRedirectCode>"));
            assert!(parse_website(body.as_bytes()).is_ok(), "{code}");
        }
        for code in [400, 403, 404, 416, 500, 503, 599] {
            let body =
                condition(&format!("<HttpErrorCodeReturnedEquals>{code}</HttpErrorCodeReturnedEquals>"));
            assert!(parse_website(body.as_bytes()).is_ok(), "{code}");
        }
    }

    #[test]
    fn other_documents_are_refused() {
        use ErrorCode::{InvalidArgument, InvalidRequest, KeyTooLongError, MalformedXML};
        let all = |inner: &str| wrap(&format!("<RedirectAllRequestsTo>{inner}</RedirectAllRequestsTo>"));
        let index = |suffix: &str| wrap(&format!("<IndexDocument><Suffix>{suffix}</Suffix></IndexDocument>"));
        let error = |inner: &str| wrap(&format!("{INDEX}<ErrorDocument>{inner}</ErrorDocument>"));
        let host = "<HostName>example.com</HostName>";
        let to_host = format!("<Redirect>{host}</Redirect>");
        let with_all =
            |inner: &str| wrap(&format!("<RedirectAllRequestsTo>{host}</RedirectAllRequestsTo>{inner}"));
        let long = "k".repeat(1025);
        for (bad, code) in [
            (String::new(), MalformedXML),
            ("<Website/>".to_owned(), MalformedXML),
            (wrap(&format!("{INDEX}<Other/>")), MalformedXML),
            (wrap(&format!("{INDEX}{INDEX}")), MalformedXML),
            (wrap("<IndexDocument/>"), MalformedXML),
            (wrap("<IndexDocument><Key>a</Key></IndexDocument>"), MalformedXML),
            (error(""), MalformedXML),
            (error("<Key>a</Key><Key>b</Key>"), MalformedXML),
            (all(""), MalformedXML),
            (all("<Protocol>http</Protocol>"), MalformedXML),
            (all(&format!("{host}<Path>a</Path>")), MalformedXML),
            (wrap(&format!("{INDEX}<RoutingRules/>")), MalformedXML),
            (wrap(&format!("{INDEX}<RoutingRules><Rule/></RoutingRules>")), MalformedXML),
            (rules(1, ""), MalformedXML),
            (rules(1, "<Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition>"), MalformedXML),
            (rules(1, &format!("{to_host}{to_host}")), MalformedXML),
            (redirect(""), MalformedXML),
            (redirect("<Other>a</Other>"), MalformedXML),
            (redirect("<HttpRedirectCode>moved</HttpRedirectCode>"), MalformedXML),
            (redirect("<HttpRedirectCode>+30</HttpRedirectCode>"), MalformedXML),
            (redirect("<HttpRedirectCode>0301</HttpRedirectCode>"), MalformedXML),
            (condition("<HttpErrorCodeReturnedEquals/>"), MalformedXML),
            (condition("<Suffix>a</Suffix>"), MalformedXML),
            (wrap(""), InvalidArgument),
            (wrap("<ErrorDocument><Key>a</Key></ErrorDocument>"), InvalidArgument),
            (index(""), InvalidArgument),
            (index("a/b"), InvalidArgument),
            (index("/"), InvalidArgument),
            (error("<Key/>"), InvalidArgument),
            (with_all(INDEX), InvalidArgument),
            (with_all("<ErrorDocument><Key>a</Key></ErrorDocument>"), InvalidArgument),
            (
                with_all(&format!("<RoutingRules><RoutingRule>{to_host}</RoutingRule></RoutingRules>")),
                InvalidArgument,
            ),
            (all("<HostName/>"), InvalidRequest),
            (all(&format!("<HostName>{}</HostName>", "a".repeat(262))), InvalidRequest),
            (redirect(&format!("<HostName>{}</HostName>", "a".repeat(262))), InvalidRequest),
            (all(&format!("{host}<Protocol>ftp</Protocol>")), InvalidRequest),
            (redirect("<Protocol>HTTP</Protocol>"), InvalidRequest),
            (redirect("<HostName> </HostName>"), InvalidRequest),
            (redirect("<ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith/>"), InvalidRequest),
            (redirect("<HttpRedirectCode>200</HttpRedirectCode>"), InvalidRequest),
            (redirect("<HttpRedirectCode>300</HttpRedirectCode>"), InvalidRequest),
            (redirect("<HttpRedirectCode>306</HttpRedirectCode>"), InvalidRequest),
            (redirect("<HttpRedirectCode>399</HttpRedirectCode>"), InvalidRequest),
            (condition("<HttpErrorCodeReturnedEquals>302</HttpErrorCodeReturnedEquals>"), InvalidRequest),
            (condition("<HttpErrorCodeReturnedEquals>600</HttpErrorCodeReturnedEquals>"), InvalidRequest),
            (condition(""), InvalidRequest),
            (rules(51, &to_host), InvalidRequest),
            (index(&long), KeyTooLongError),
            (error(&format!("<Key>{long}</Key>")), KeyTooLongError),
            (condition(&format!("<KeyPrefixEquals>{long}</KeyPrefixEquals>")), KeyTooLongError),
            (redirect(&format!("<ReplaceKeyWith>{long}</ReplaceKeyWith>")), KeyTooLongError),
        ] {
            assert_eq!(parse_website(bad.as_bytes()).map_err(|error| error.code), Err(code), "{bad:.300}");
        }
        assert!(parse_website(rules(50, &to_host).as_bytes()).is_ok());
        let large = wrap(&format!("{INDEX}<!--{}-->", "x".repeat(WEBSITE_BODY_MAX)));
        assert!(parse_website(large.as_bytes()).is_err());
    }
}
