//! What `ashlar admin --data FOLDER` needs of a running all-in-one server: both contracts, and what the gateway explains, on loopback,
//! under a secret that is made at each start, and a file in the home folder that says where they are.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use chunk::ChunkNode;
use chunk_api::server::{Access, ChunkServer};
use env::{Env, Listener};
use gateway::{EXPLAIN_AUDIENCE, Explainer, Gateway};
use metadata_api::{Metadata, Token};
use serde::{Deserialize, Serialize};
use service_kit::{ClusterSecret, HttpLimits, HttpServer, Shutdown};
use types::NodeId;

use super::installation::Installation;

const FILE: &str = "admin.json";
const FILE_LENGTH_MAX: usize = 4096;

/// Where a running server is reached, as its file says. The file can be read by the server's user alone.
pub(crate) struct AdminFile {
    /// Address of the metadata contract.
    pub(crate) metadata: String,
    /// Address of the chunk contract.
    pub(crate) chunk: String,
    /// Where the gateway answers operators.
    pub(crate) gateway: String,
    /// The node inside the server.
    pub(crate) node: NodeId,
    /// What all are called with.
    pub(crate) secret: ClusterSecret,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    metadata: String,
    chunk: String,
    gateway: String,
    node: String,
    secret: String,
}

impl AdminFile {
    /// Reads the file in a home folder. Blocks. The error is for people.
    pub(crate) fn read(env: &Env, home: &Path) -> Result<Self, String> {
        let path = home.join(FILE);
        let unusable = |reason: &str| {
            format!(
                "{}: {reason}; is an `ashlar server` running on this folder, the first of its folders?",
                path.display()
            )
        };
        let contents = env.disk().read_small(&path, FILE_LENGTH_MAX);
        let contents = contents.map_err(|error| unusable(&error.to_string()))?;
        let stored: Stored =
            serde_json::from_slice(&contents).map_err(|_| unusable("cannot be understood"))?;
        Ok(Self {
            metadata: stored.metadata,
            chunk: stored.chunk,
            gateway: stored.gateway,
            node: stored.node.parse().map_err(|_| unusable("cannot be understood"))?,
            secret: stored.secret.parse().map_err(|_| unusable("cannot be understood"))?,
        })
    }
}

/// The listeners of a server for its operator.
pub(super) struct AdminServer {
    env: Env,
    metadata: Arc<dyn Metadata>,
    metadata_listener: Box<dyn Listener>,
    token: Token,
    chunk: HttpServer,
    chunk_service: ChunkServer,
    explain: HttpServer,
    explainer: Explainer,
    file: PathBuf,
}

impl AdminServer {
    /// Binds the listeners and writes the file.
    pub(super) async fn bind(
        env: &Env,
        installation: &Installation,
        metadata: Arc<dyn Metadata>,
        node: Arc<ChunkNode>,
        gateway: Arc<Gateway>,
    ) -> io::Result<Self> {
        let loopback = || SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let metadata_listener = env.listen(loopback()).await?;
        let listener = env.listen(loopback()).await?;
        let explain = env.listen(loopback()).await?;
        let secret = hex::encode(env.random_bytes::<32>());
        let stored = Stored {
            metadata: metadata_listener.local_address()?.to_string(),
            chunk: listener.local_address()?.to_string(),
            gateway: explain.local_address()?.to_string(),
            node: NodeId(installation.cluster()).to_string(),
            secret,
        };
        let secret: ClusterSecret = stored.secret.parse().map_err(io::Error::other)?;
        let token = Token::new(&secret.token("metadata")).map_err(io::Error::other)?;
        let limits = HttpLimits { connections_max: 64, ..HttpLimits::default() };
        let file = installation.home().join(FILE);
        let (own_env, path) = (env.clone(), file.clone());
        let contents = serde_json::to_vec_pretty(&stored)?;
        let writing = env.spawn_blocking(move || own_env.disk().replace_small(&path, &contents));
        writing.await.unwrap_or_else(|| Err(io::Error::other("writing was given up")))?;
        Ok(Self {
            env: env.clone(),
            metadata,
            metadata_listener,
            token,
            chunk: HttpServer { env: env.clone(), listener, tls: None, limits: limits.clone() },
            explain: HttpServer { env: env.clone(), listener: explain, tls: None, limits },
            explainer: Explainer::new(gateway, &secret.token(EXPLAIN_AUDIENCE)),
            chunk_service: ChunkServer::new(
                env.clone(),
                node,
                Access::derived(|audience| secret.token(audience)),
            ),
            file,
        })
    }

    /// Serves until the stop begins, and takes the file away.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let Self { env, metadata, metadata_listener, token, chunk, chunk_service, explain, explainer, file } =
            self;
        let begun = shutdown.clone();
        tokio::join!(
            metadata_api::server::serve(
                env.clone(),
                metadata_listener,
                metadata,
                &token,
                None,
                Arc::default(),
                async move {
                    begun.begun().await;
                }
            ),
            chunk.run(chunk_service, shutdown.clone()),
            explainer.run(explain, shutdown),
        );
        let own_env = env.clone();
        // A file that stays behind names addresses where nobody answers.
        env.spawn_blocking(move || own_env.disk().remove(&file)).await;
    }
}
