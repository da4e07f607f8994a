//! Who may call: whoever has the cluster's token, and where services have certificates, that of a service whose call it is.

use tonic::{Request, Status, service::Interceptor};

use super::callers::Refusal;
use crate::{Error, Token, wire::status_of};

/// Refuses calls without the token, before any of their body is read.
#[derive(Debug, Clone)]
pub struct Authenticate {
    token: Token,
}

impl Authenticate {
    pub(crate) fn new(token: Token) -> Self {
        Self { token }
    }
}

impl Interceptor for Authenticate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match request.metadata().get("authorization") {
            Some(sent) if self.token.is(sent) => match request.extensions().get::<Refusal>() {
                Some(Refusal(reason)) => Err(status_of(Error::Forbidden { reason: reason.clone() })),
                None => Ok(request),
            },
            _ => Err(status_of(Error::Unauthenticated)),
        }
    }
}
