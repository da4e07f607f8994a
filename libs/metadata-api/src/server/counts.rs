//! What the server counts of calls.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use env::Env;
use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use telemetry::{Counter, Gauge, Histogram, Samples, Source, metrics, trace};
use tonic::{Code, Status, codegen::Service};
use tracing::{Instrument, Span};
use types::Roles;

use super::{MetadataService, callers};
use crate::span::{self, Side};

metrics! {
    CALLS: counter("ashlar_metadata_calls_total", ["method", "code"], "Calls answered, by method and status code of gRPC (OK, NOT_FOUND, ...). A call of a method that there is not is not counted.");
    DURATION: histogram("ashlar_metadata_call_duration_seconds", ["method"], "Time to answer a call.");
    IN_FLIGHT: gauge("ashlar_metadata_calls_in_flight", [], "Calls under way.");
}

/// Paths of the contract's methods, and their names, in the order of the paths.
pub(super) const METHODS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// Names of status codes, by number. Source: gRPC, "Status codes and their use in gRPC".
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Calls by method.
#[derive(Debug)]
pub struct Counts {
    methods: Box<[Method]>,
    in_flight: Gauge,
}

#[derive(Debug)]
struct Method {
    answered: [Counter; CODES.len()],
    duration: Histogram,
}

impl Default for Counts {
    fn default() -> Self {
        let method = |_| Method { answered: Default::default(), duration: Histogram::seconds() };
        Self { methods: METHODS.iter().map(method).collect(), in_flight: Gauge::default() }
    }
}

#[async_trait]
impl Source for Counts {
    async fn collect(&self, samples: &mut Samples) {
        for ((_, name), method) in METHODS.iter().zip(&self.methods) {
            for (code, counter) in CODES.iter().zip(&method.answered) {
                samples.add_counted(&CALLS, &[name, code], counter);
            }
            samples.add_observed(&DURATION, &[name], &method.duration);
        }
        samples.add(&IN_FLIGHT, &[], &self.in_flight);
    }
}

/// The contract's services, whose calls are counted.
#[derive(Clone)]
pub(super) struct Counted {
    env: Env,
    service: MetadataService,
    counts: Arc<Counts>,
    /// What callers have proved to be, where they are asked.
    caller: Option<Roles>,
}

impl Counted {
    pub(super) fn new(env: Env, service: MetadataService, counts: Arc<Counts>) -> Self {
        Self { env, service, counts, caller: None }
    }

    /// The same for a caller with these roles.
    pub(super) fn called_by(self, roles: Roles) -> Self {
        Self { caller: Some(roles), ..self }
    }
}

impl Service<Request<Incoming>> for Counted {
    type Response = <MetadataService as Service<Request<Incoming>>>::Response;
    type Error = <MetadataService as Service<Request<Incoming>>>::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        <MetadataService as Service<Request<Incoming>>>::poll_ready(&mut self.service, context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let place = METHODS.binary_search_by_key(&request.uri().path(), |(path, _)| path).ok();
        let (env, counts) = (self.env.clone(), self.counts.clone());
        let span = match place {
            Some(_) => span::of_call(request.uri().path(), Side::Server),
            None => Span::none(),
        };
        trace::follow(&span, |name| request.headers().get(name)?.to_str().ok());
        if let Some(refusal) = self.caller.and_then(|caller| callers::refusal(caller, place)) {
            // By whoever asks for the token, so that both are refused before anything is read of the call.
            request.extensions_mut().insert(refusal);
        }
        let answer = self.service.call(request);
        let answering = async move {
            let _under_way = counts.in_flight.enter();
            let began = env.now();
            let answer = answer.await;
            if let (Some(method), Ok(response)) = (place.and_then(|place| counts.methods.get(place)), &answer)
            {
                // A call that failed is answered with headers alone; one that did not tells that at its end.
                let code =
                    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
                let took = env.now().since(began);
                method.duration.took_within(took, trace::recorded_now(), || env.wall_clock_ms());
                Span::current().record("rpc.grpc.status_code", code as i64);
                if let Some(counter) = method.answered.get(code as usize) {
                    counter.increment();
                }
            }
            answer
        };
        Box::pin(answering.instrument(span))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::{CODES, METHODS};

    #[test]
    fn every_method_has_a_place_that_is_found_by_its_path() {
        assert!(METHODS.is_sorted() && METHODS.len() > 50);
        let path = "/ashlar.metadata.v1.Buckets/CreateBucket";
        let place = METHODS.binary_search_by_key(&path, |(path, _)| path).unwrap();
        assert_eq!(METHODS[place].1, "Buckets/CreateBucket");
    }

    #[test]
    fn every_code_has_a_name() {
        assert_eq!(CODES[Code::NotFound as usize], "NOT_FOUND");
        assert_eq!(CODES[Code::Unauthenticated as usize], "UNAUTHENTICATED");
        assert_eq!(CODES.len(), Code::Unauthenticated as usize + 1);
    }
}
