//! The product's transport: its own client and server.

use std::sync::Arc;

use chunk_api::{
    ChunkService,
    client::{Caller, Client, ClientOptions},
    server::{Access, ChunkServer},
};
use env::Env;
use hyper::{server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use types::{Role, Roles};

pub(crate) async fn start(env: &Env, service: Arc<dyn ChunkService>) -> Client {
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let server = ChunkServer::new(env.clone(), service, Access::derived(str::to_owned));
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let server = server.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| server.call(request));
                let _ = http1::Builder::new()
                    .max_buf_size(256 << 10)
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    });
    let caller = Caller::derived(Roles::of(&[Role::Worker, Role::Admin]), str::to_owned);
    Client::new(env.clone(), address, caller, ClientOptions::default())
}
