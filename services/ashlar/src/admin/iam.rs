//! Calls of IAM, by which any gateway tells of users, their keys and their policies, and changes them. IAM API Reference.

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use s3_client::{
    Access, Call, Client, Failure, RequestBody,
    xml::{element, elements, unescape},
};

use super::connect::Gateway;
use crate::Exit;

const VERSION: &str = "2010-05-08";

/// A gateway that is asked by calls of IAM, in the account of whoever asks.
pub(super) struct Iam(Access);

impl Iam {
    pub(super) async fn reach(env: &Env, gateway: &Gateway) -> Result<Self, Exit> {
        Ok(Self(Access { service: "iam", ..gateway.access(env).await? }))
    }

    /// Makes a call with these parameters. The answer is XML.
    pub(super) async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Result<String, Exit> {
        let named = [("Action", action), ("Version", VERSION)];
        let pairs = named.iter().chain(parameters).map(|(name, value)| {
            let encoded = [name, value].map(|text| sigv4::encode_component(text.as_bytes()));
            encoded.join("=")
        });
        let form = Bytes::from(pairs.collect::<Vec<_>>().join("&"));
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let call = Call {
            method: Method::POST,
            target: "/".to_owned(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
            body: RequestBody::Bytes(form),
        };
        let answer = Client::new(&self.0).send(call, None).await.map_err(|failure| refused(&failure))?;
        String::from_utf8(answer.body.into()).map_err(|error| Exit::because(Exit::FAILED, &error))
    }

    /// What a call lists under this name, page by page.
    pub(super) async fn all(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        list: &str,
    ) -> Result<Vec<String>, Exit> {
        let (mut found, mut marker) = (Vec::new(), None::<String>);
        loop {
            let next = marker.as_deref().map(|marker| ("Marker", marker));
            let parameters: Vec<_> = parameters.iter().copied().chain(next).collect();
            let page = self.call(action, &parameters).await?;
            let members = element(&page, list).unwrap_or_default();
            found.extend(elements(members, "member").map(str::to_owned));
            marker = text(&page, "Marker").filter(|_| text(&page, "IsTruncated").as_deref() == Some("true"));
            if marker.is_none() {
                return Ok(found);
            }
        }
    }
}

/// The text of the first element of this name.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    element(xml, name).map(unescape)
}

/// What an operator reads of a call that failed. What it takes a right for, the answer says.
fn refused(failure: &Failure) -> Exit {
    let hint = match failure.code() {
        "InvalidClientTokenId" | "SignatureDoesNotMatch" => "; check the credentials and --region",
        "ConnectionFailed" | "TimedOut" => "; check that --endpoint is that of the store",
        _ => "",
    };
    Exit::new(Exit::FAILED, format!("{failure}{hint}"))
}
