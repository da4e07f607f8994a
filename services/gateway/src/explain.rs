//! Explains decisions to operators: `POST /explain` on listeners for them, to whoever knows the token.
//!
//! What is told is what policies say, so it is told here on no listener for clients, and never without the token. Who has a right for it
//! asks `operators.rs`.

use std::{convert::Infallible, sync::Arc};

use admin_api::Explanation;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use serde::{Deserialize, Serialize};
use service_kit::{HttpServer, Metrics, Readiness, Shutdown, answer_health, may_ask, serve_health};
use subtle::ConstantTimeEq;
use types::Role;

use crate::{
    Gateway,
    auth::{Described, Problem, explain_described},
    payload::IDLE_MAX,
};

/// What the token is derived for that operators ask with.
pub const EXPLAIN_AUDIENCE: &str = "explain";

/// Where it is asked.
const PATH: &str = "/explain";

/// Most bytes of a question.
const QUESTION_BYTES_MAX: usize = 256 << 10;

/// What an operator asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Asked {
    /// The last refusals.
    Last,
    /// Why a request was refused, by its id.
    RequestId(String),
    /// What would be decided on a request.
    Described(Described),
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Told {
    /// The decisions that were asked for; none of a request that nothing is known of.
    Decisions(Vec<Explanation>),
    /// Why there is no answer.
    Error(String),
}

/// Answers operators.
#[derive(Clone)]
pub struct Explainer {
    gateway: Arc<Gateway>,
    authorization: Arc<str>,
}

impl Explainer {
    /// Answers whoever sends `Authorization: Bearer <token>`.
    pub fn new(gateway: Arc<Gateway>, token: &str) -> Self {
        Self { gateway, authorization: format!("Bearer {token}").into() }
    }

    /// Serves nothing but this until the stop begins.
    pub async fn run(self, server: HttpServer, shutdown: Shutdown) {
        let service = service_fn(move |request: Request<Incoming>| {
            let explainer = self.clone();
            async move {
                Ok::<_, Infallible>(match request.uri().path() {
                    PATH => explainer.answer(request).await,
                    _ => empty(StatusCode::NOT_FOUND),
                })
            }
        });
        server.run(service, shutdown).await;
    }

    /// Whoever does not know the token learns nothing.
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let given = request.headers().get(header::AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        if !bool::from(given.ct_eq(self.authorization.as_bytes())) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        if request.method() != Method::POST {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let reading = Limited::new(request.into_body(), QUESTION_BYTES_MAX).collect();
        let question = match self.gateway.env.timeout(IDLE_MAX, reading).await {
            Ok(Ok(read)) => read.to_bytes(),
            Ok(Err(_)) => return error(StatusCode::PAYLOAD_TOO_LARGE, "the question is too long"),
            Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the question was not sent in time"),
        };
        let asked = match serde_json::from_slice(&question) {
            Ok(asked) => asked,
            Err(problem) => {
                return error(StatusCode::BAD_REQUEST, &format!("the question is not understood: {problem}"));
            }
        };
        let decisions = match asked {
            Asked::Last => self.gateway.decisions.last(),
            Asked::RequestId(id) => self.gateway.decisions.of_request(&id),
            Asked::Described(described) => match explain_described(&self.gateway, &described).await {
                Ok(told) => vec![told],
                Err(Problem::Invalid(problem)) => return error(StatusCode::BAD_REQUEST, &problem),
                Err(Problem::Failed(problem)) => return error(StatusCode::SERVICE_UNAVAILABLE, &problem),
            },
        };
        json(StatusCode::OK, &Told::Decisions(decisions))
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn error(status: StatusCode, problem: &str) -> Response<Full<Bytes>> {
    json(status, &Told::Error(problem.to_owned()))
}

fn json(status: StatusCode, told: &Told) -> Response<Full<Bytes>> {
    let Ok(body) = serde_json::to_vec(told) else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Serves what is for operators alone: the health paths, `/metrics`, and explanations if there is who gives them.
pub(crate) async fn serve_operators(
    server: HttpServer,
    readiness: Readiness,
    metrics: Metrics,
    explainer: Option<Explainer>,
    shutdown: Shutdown,
) {
    let Some(explainer) = explainer else {
        return serve_health(server, readiness, metrics, shutdown).await;
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let (readiness, metrics, explainer) = (readiness.clone(), metrics.clone(), explainer.clone());
        async move {
            Ok::<_, Infallible>(match request.uri().path() {
                PATH if may_ask(&request, &[Role::Admin]) => explainer.answer(request).await,
                PATH => empty(StatusCode::FORBIDDEN),
                _ => answer_health(&request, &readiness, &metrics).await,
            })
        }
    });
    server.run(service, shutdown).await;
}
