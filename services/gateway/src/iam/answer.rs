//! Answers in XML. IAM API Reference, "Making query requests", and the section "Response Elements" of each action.

use axum::body::Body;
use http::{HeaderName, HeaderValue, header::CONTENT_TYPE};

use super::{IamError, Service};
use crate::request::{RequestId, Response};

/// What is written where the secret of a new access key belongs. Nothing else that is written can be the same.
const SECRET: &str = "\0secret\0";

/// Elements, one after the other. There is no `Debug`: there may be a secret among them.
#[derive(Default)]
pub(super) struct Xml(String);

impl Xml {
    /// An element with text in it.
    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name);
        self.plain(text);
        self.close(name)
    }

    /// Text.
    pub(super) fn plain(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\r' => self.0.push_str("&#13;"),
                // XML has no way to write the others.
                char if char < ' ' && !matches!(char, '\t' | '\n') => self.0.push('\u{fffd}'),
                char => self.0.push(char),
            }
        }
    }

    /// The same if there is a text.
    pub(super) fn text_if(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// An element with others in it.
    pub(super) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(name);
        fill(self);
        self.close(name)
    }

    /// Whether there is another page, and where it begins.
    pub(super) fn next_page(&mut self, marker: Option<&str>) {
        self.text("IsTruncated", if marker.is_some() { "true" } else { "false" }).text_if("Marker", marker);
    }

    /// An element that is to have a secret in it which is not known yet.
    pub(super) fn secret(&mut self, name: &str) -> &mut Self {
        self.open(name);
        self.0.push_str(SECRET);
        self.close(name)
    }

    /// Puts the secret where it belongs.
    pub(super) fn fill_secret(&mut self, secret: &str) {
        self.0 = self.0.replacen(SECRET, secret, 1);
    }

    fn open(&mut self, name: &str) {
        self.0.extend(["<", name, ">"]);
    }

    fn close(&mut self, name: &str) -> &mut Self {
        self.0.extend(["</", name, ">"]);
        self
    }
}

fn namespace(service: Service) -> String {
    let name = match service {
        Service::Iam => "iam",
        Service::Sts => "sts",
    };
    format!("https://{name}.amazonaws.com/doc/{}/", service.version())
}

fn xml(body: String, id: RequestId) -> Response {
    let mut response = http::Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

/// The answer to a call that was carried out.
pub(super) fn response(service: Service, action: &str, Xml(result): &Xml, id: RequestId) -> Response {
    let action = action.rsplit(':').next().unwrap_or_default();
    let namespace = namespace(service);
    let result = match result.as_str() {
        "" => String::new(),
        result => format!("<{action}Result>{result}</{action}Result>"),
    };
    let body = format!(
        "<{action}Response xmlns=\"{namespace}\">{result}<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
    );
    xml(body, id)
}

/// The answer to one that was not.
pub(crate) fn error_response(error: &IamError, service: Service, id: RequestId) -> Response {
    let mut out = Xml::default();
    out.element("Error", |out| {
        let kind = if error.status.is_server_error() { "Receiver" } else { "Sender" };
        out.text("Type", kind).text("Code", error.code).text("Message", &error.message);
    });
    let namespace = namespace(service);
    let body =
        format!("<ErrorResponse xmlns=\"{namespace}\">{}<RequestId>{id}</RequestId></ErrorResponse>", out.0);
    let mut response = xml(body, id);
    *response.status_mut() = error.status;
    response
}

#[cfg(test)]
mod tests {
    use super::Xml;

    #[test]
    fn no_text_is_taken_for_an_element_or_a_secret() {
        let mut out = Xml::default();
        out.text("A", "<B>&\"\0secret\0\u{1}").secret("C");
        out.fill_secret("sesame");
        let expected = "<A>&lt;B&gt;&amp;&quot;\u{fffd}secret\u{fffd}\u{fffd}</A><C>sesame</C>";
        assert_eq!(out.0, expected);
    }
}
