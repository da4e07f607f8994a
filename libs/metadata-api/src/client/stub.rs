//! The generated clients over one connection.

use http::Uri;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
};

use super::replica::Connection;
use crate::{
    Token,
    wire::{MESSAGE_SIZE_MAX, proto},
};

/// A connection with what every call on it carries.
#[derive(Debug)]
pub(super) struct Stub {
    channel: Channel,
    origin: Uri,
}

type Channel = InterceptedService<Connection, CallHeaders>;

/// Puts on each call what is not part of its request. The context of a trace is put there where a call becomes a request.
#[derive(Debug, Clone)]
pub(super) struct CallHeaders {
    token: Token,
}

impl Interceptor for CallHeaders {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.token.header().clone());
        Ok(request)
    }
}

/// A method for each service of the contract that turns the stub into the service's client.
macro_rules! clients {
    ($($noun:ident: $client:path;)*) => {
        impl Stub {
            $(
                pub(super) fn $noun(self) -> $client {
                    <$client>::with_origin(self.channel, self.origin)
                        .max_decoding_message_size(MESSAGE_SIZE_MAX)
                        .max_encoding_message_size(MESSAGE_SIZE_MAX)
                }
            )*
        }
    };
}

clients! {
    buckets: proto::buckets_client::BucketsClient<Channel>;
    versions: proto::versions_client::VersionsClient<Channel>;
    listings: proto::listings_client::ListingsClient<Channel>;
    uploads: proto::uploads_client::UploadsClient<Channel>;
    leases: proto::leases_client::LeasesClient<Channel>;
    cluster: proto::cluster_client::ClusterClient<Channel>;
    moves: proto::moves_client::MovesClient<Channel>;
    repair: proto::repair_client::RepairClient<Channel>;
    jobs: proto::jobs_client::JobsClient<Channel>;
    garbage: proto::garbage_client::GarbageClient<Channel>;
    identities: proto::identities_client::IdentitiesClient<Channel>;
}

impl Stub {
    pub(super) fn new(connection: Connection, origin: Uri, token: Token) -> Self {
        Self { channel: InterceptedService::new(connection, CallHeaders { token }), origin }
    }
}
