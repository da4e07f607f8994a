//! Errors as visitors of websites see them: a page.

use std::fmt::Write as _;

use bytes::Bytes;

use super::S3Error;

impl S3Error {
    /// The page of an error, as the website endpoints of S3 have it. `of_document` is why the website's own page for errors
    /// is not shown in its place. Source: Amazon S3 User Guide, "Configuring a custom error document".
    ///
    /// Whatever was asked for is shown as text: no character of it is markup.
    pub fn to_html(&self, request_id: &str, host_id: &str, of_document: Option<&Self>) -> Bytes {
        let status = self.status();
        let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
        let mut page =
            format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
        self.write_items(&mut page);
        item("RequestId", request_id, &mut page);
        item("HostId", host_id, &mut page);
        page.push_str("</ul>\n");
        if let Some(error) = of_document {
            page.push_str(
                "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n",
            );
            error.write_items(&mut page);
            page.push_str("</ul>\n");
        }
        page.push_str("<hr/>\n</body>\n</html>\n");
        page.into()
    }

    fn write_items(&self, page: &mut String) {
        item("Code", self.code.as_str(), page);
        item("Message", &self.message, page);
        for (name, value) in &self.fields {
            item(name, value, page);
        }
    }
}

fn item(name: &str, value: &str, page: &mut String) {
    // A string takes everything.
    let _ = write!(page, "<li>{name}: ");
    for character in value.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            control if control.is_control() => page.push('\u{fffd}'),
            other => page.push(other),
        }
    }
    page.push_str("</li>\n");
}
