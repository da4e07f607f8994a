//! How an operator's command reaches a cluster: a cluster of services by their secret, an all-in-one server by its data
//! folder.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use admin_api::{Change, ChangeRoute, Disk, Node, Resource, Route};
use bytes::Bytes;
use chunk_api::{
    ChunkService,
    client::{Caller, Client, ClientOptions},
};
use clap::Args;
use data_pool::{ClusterView, Follower, LeaseHolder, Pool};
use env::Env;
use http::{HeaderMap, Method};
use metadata_api::{ClusterMap, DiskHistory, JobState, Metadata};
use s3_client::{Access, Call, Client as S3Client, ConnectArgs, Failure, RequestBody};
use serde::{Serialize, de::DeserializeOwned};
use service_kit::{ClusterSecret, ClusterTls, ClusterTlsConfig};
use types::{DiskId, NodeId, Role, Roles};

use crate::{
    Exit,
    embedded::AdminFile,
    roles::{cluster_tls, metadata_client, reaching},
};

/// Which cluster.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connect {
    /// The first data folder of an `ashlar server` that runs on this machine.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Addresses of a cluster's metadata services, `host:port`, separated by commas.
    #[arg(long, env = "ASHLAR_METADATA", value_delimiter = ',', value_name = "HOST:PORT")]
    metadata: Vec<String>,
    /// What the services of the cluster share to know each other.
    #[arg(long, env = "ASHLAR_CLUSTER_SECRET", hide_env_values = true, value_name = "SECRET")]
    cluster_secret: Option<ClusterSecret>,
    /// TLS between services.
    #[command(flatten)]
    tls: ClusterTlsConfig,
}

/// Which cluster, of a command for what gateways answer and change too.
#[derive(Debug, Clone, Args)]
pub(crate) struct Source {
    #[command(flatten)]
    connect: Connect,
    /// URL of the S3 endpoint, to ask a gateway over HTTP, as a user who may, and no metadata service. One with --operator-changes makes
    /// changes, too.
    #[arg(long, conflicts_with = "data", value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten, next_help_heading = "With --endpoint")]
    credentials: ConnectArgs,
}

/// Which gateway, of a command that reads what a gateway alone knows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Gateway {
    /// URL of the S3 endpoint.
    #[arg(long, value_name = "URL")]
    endpoint: String,
    #[command(flatten, next_help_heading = "Credentials")]
    credentials: ConnectArgs,
}

/// A gateway that answers operators.
pub(crate) struct Remote(Access);

/// A cluster within reach.
pub(crate) struct Reached {
    pub(crate) metadata: Arc<dyn Metadata>,
    env: Env,
    secret: ClusterSecret,
    tls: Option<ClusterTls>,
    /// The node inside an all-in-one server, and where it is reached.
    embedded: Option<(NodeId, String)>,
}

impl Connect {
    /// Finds the cluster. Nothing is asked of it yet.
    pub(crate) async fn reach(&self, env: &Env) -> Result<Reached, Exit> {
        if let Some(folder) = &self.data {
            // Said here and not by the parser, which does not say that an environment has one of the two.
            if !self.metadata.is_empty() {
                return Err(Exit::new(
                    Exit::FAILED,
                    "--data is of an `ashlar server` and --metadata (ASHLAR_METADATA) of a cluster: give one of them, and take the other \
                     out of the environment"
                        .to_owned(),
                ));
            }
            return Reached::server(env, folder).await;
        }
        let Some(secret) = self.cluster_secret.clone().filter(|_| !self.metadata.is_empty()) else {
            return Err(Exit::new(
                Exit::FAILED,
                "which cluster? Give --data FOLDER for an `ashlar server` on this machine, or --metadata HOST:PORT \
                 and ASHLAR_CLUSTER_SECRET for a cluster"
                    .to_owned(),
            ));
        };
        Reached::cluster(env, &self.metadata, secret, cluster_tls(env, &self.tls, None).await?)
    }

    /// Where gateways answer operators, and what they are asked with: the server's own, or these of a cluster.
    pub(crate) async fn gateways(
        &self,
        env: &Env,
        cluster: &[String],
    ) -> Result<(Vec<String>, String), Exit> {
        const AUDIENCE: &str = gateway::EXPLAIN_AUDIENCE;
        if let Some(folder) = &self.data {
            let file = admin_file(env, folder).await?;
            return Ok((vec![file.gateway], file.secret.token(AUDIENCE)));
        }
        match self.cluster_secret.clone().filter(|_| !cluster.is_empty()) {
            Some(secret) => Ok((cluster.to_vec(), secret.token(AUDIENCE))),
            None => Err(Exit::new(
                Exit::FAILED,
                "which gateway? Give --data FOLDER for an `ashlar server` on this machine, or --gateway HOST:PORT \
                 and ASHLAR_CLUSTER_SECRET for a cluster"
                    .to_owned(),
            )),
        }
    }

    /// The environment in which gateways are asked.
    pub(crate) async fn reaching_gateways(&self, env: &Env) -> Result<Env, Exit> {
        if self.data.is_some() {
            return Ok(env.clone());
        }
        Ok(reaching(env, cluster_tls(env, &self.tls, None).await?.as_ref(), Role::Gateway))
    }

    /// Whether a cluster was named.
    pub(crate) fn is_given(&self) -> bool {
        self.data.is_some() || !self.metadata.is_empty()
    }
}

impl Source {
    /// The gateway to ask; none where the cluster itself is to be reached.
    pub(crate) async fn remote(&self, env: &Env) -> Result<Option<Remote>, Exit> {
        let Some(endpoint) = &self.endpoint else { return Ok(None) };
        remote(env, endpoint, &self.credentials).await.map(Some)
    }

    /// The cluster, whatever is to be asked.
    pub(crate) fn connect(&self) -> &Connect {
        &self.connect
    }

    /// The cluster, where no gateway is to be asked.
    pub(crate) async fn reach(&self, env: &Env) -> Result<Reached, Exit> {
        if self.endpoint.is_some() {
            return Err(Exit::new(
                Exit::FAILED,
                "gateways do not answer this: give --data or --metadata instead of --endpoint".to_owned(),
            ));
        }
        self.connect.reach(env).await
    }
}

impl Gateway {
    /// The gateway.
    pub(crate) async fn remote(&self, env: &Env) -> Result<Remote, Exit> {
        remote(env, &self.endpoint, &self.credentials).await
    }

    /// How it is reached, for what is no resource of operators.
    pub(crate) async fn access(&self, env: &Env) -> Result<Access, Exit> {
        access(env, &self.endpoint, &self.credentials).await
    }
}

async fn remote(env: &Env, endpoint: &str, credentials: &ConnectArgs) -> Result<Remote, Exit> {
    access(env, endpoint, credentials).await.map(Remote)
}

async fn access(env: &Env, endpoint: &str, credentials: &ConnectArgs) -> Result<Access, Exit> {
    let failed = |error| Exit::because(Exit::FAILED, &error);
    let endpoint = s3_client::endpoint(Some(endpoint)).map_err(failed)?;
    let connect = credentials.clone().check().map_err(failed)?;
    // What operators change has to be signed whole.
    let connect = s3_client::Connect { signed_payload: true, ..connect };
    connect.access(env, endpoint).await.map_err(failed)
}

impl Remote {
    /// A resource as it is now.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        resource: Resource,
        query: &[(&str, String)],
    ) -> Result<T, Exit> {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", sigv4::encode_component(value.as_bytes())))
            .collect();
        let mut target = Route::of(resource).full_path();
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let right = format!("{} on *", Route::of(resource).action);
        self.ask(Method::GET, target, Bytes::new(), &right).await
    }

    /// Changes what has this name, and answers what it is then.
    pub(crate) async fn change<T: DeserializeOwned>(&self, change: Change, name: &str) -> Result<T, Exit> {
        self.send_change(change, name, Bytes::new()).await
    }

    /// Changes what has this name to this.
    pub(crate) async fn change_to<T: DeserializeOwned>(
        &self,
        change: Change,
        name: &str,
        wanted: &impl Serialize,
    ) -> Result<T, Exit> {
        let body = serde_json::to_vec(wanted).map_err(|error| Exit::because(Exit::FAILED, &error))?;
        self.send_change(change, name, body.into()).await
    }

    async fn send_change<T: DeserializeOwned>(
        &self,
        change: Change,
        name: &str,
        body: Bytes,
    ) -> Result<T, Exit> {
        let route = ChangeRoute::of(change);
        let method = Method::from_bytes(route.method.as_bytes());
        let method = method.map_err(|error| Exit::because(Exit::FAILED, &error))?;
        let right = format!("{} on {}", route.action, route.arn(name));
        let target = route.full_path_of(&sigv4::encode_component(name.as_bytes()));
        self.ask(method, target, body, &right).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: String,
        body: Bytes,
        right: &str,
    ) -> Result<T, Exit> {
        let call = Call { method, target, headers: HeaderMap::new(), body: RequestBody::Bytes(body) };
        let answer =
            S3Client::new(&self.0).send(call, None).await.map_err(|failure| refused(right, &failure))?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| Exit::new(Exit::FAILED, format!("the gateway answered something else: {error}")))
    }

    /// The id in full of the node or disk whose id begins with `text`. One that is given in full is not looked for.
    pub(crate) async fn member(&self, what: &'static str, text: &str) -> Result<String, Exit> {
        const DIGITS: usize = 32;
        if text.len() == DIGITS {
            return Ok(text.to_lowercase());
        }
        let ids: Vec<String> = if what == "node" {
            self.get::<Vec<Node>>(Resource::Nodes, &[]).await?.into_iter().map(|node| node.node).collect()
        } else {
            self.get::<Vec<Disk>>(Resource::Disks, &[]).await?.into_iter().map(|disk| disk.disk).collect()
        };
        one_of(what, text, ids.into_iter())
    }
}

/// What an operator reads of a request that failed, which takes this right.
fn refused(right: &str, failure: &Failure) -> Exit {
    let hint = match failure.code() {
        "AccessDenied" if failure.to_string().contains("--operator-changes") => String::new(),
        "AccessDenied" => format!("; ask as the root user, or as one whose policies allow {right}"),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => "; check the credentials and --region".to_owned(),
        "ConnectionFailed" | "TimedOut" => "; check that --endpoint is that of the store".to_owned(),
        _ => String::new(),
    };
    Exit::new(Exit::FAILED, format!("{failure}{hint}"))
}

async fn admin_file(env: &Env, folder: &Path) -> Result<AdminFile, Exit> {
    let (own_env, folder) = (env.clone(), folder.to_owned());
    let reading = env.spawn_blocking(move || AdminFile::read(&own_env, &folder));
    let file = reading.await.unwrap_or_else(|| Err("reading was given up".to_owned()));
    file.map_err(|reason| Exit::new(Exit::FAILED, reason))
}

impl Reached {
    /// An all-in-one server that runs on this machine, by the first of its folders.
    pub(crate) async fn server(env: &Env, folder: &Path) -> Result<Self, Exit> {
        let file = admin_file(env, folder).await?;
        let metadata = metadata_client(env, std::slice::from_ref(&file.metadata), &file.secret)?;
        let embedded = Some((file.node, file.chunk));
        Ok(Self { metadata, env: env.clone(), secret: file.secret, tls: None, embedded })
    }

    /// A cluster, by the addresses of its metadata services. Nothing is asked of it yet.
    pub(crate) fn cluster(
        env: &Env,
        metadata: &[String],
        secret: ClusterSecret,
        tls: Option<ClusterTls>,
    ) -> Result<Self, Exit> {
        let metadata = metadata_client(&reaching(env, tls.as_ref(), Role::Metadata), metadata, &secret)?;
        Ok(Self { metadata, env: env.clone(), secret, tls, embedded: None })
    }

    /// The cluster's map as it is now.
    pub(crate) async fn map(&self) -> Result<ClusterMap, Exit> {
        let map = self.metadata.cluster_map(None).await.map_err(failed)?;
        map.ok_or_else(|| Exit::new(Exit::FAILED, "the metadata service gave no cluster map".to_owned()))
    }

    /// What workers do.
    pub(crate) async fn jobs(&self) -> Result<Vec<JobState>, Exit> {
        self.metadata.list_jobs().await.map_err(failed)
    }

    /// What the cluster has seen of its disks.
    pub(crate) async fn disk_history(&self) -> Result<DiskHistory, Exit> {
        self.metadata.disk_history().await.map_err(failed)
    }

    /// A pool for reading; it holds no lease and can write nothing. It knows of changes of the cluster map while the follower
    /// is there.
    pub(crate) async fn pool(&self) -> Result<(Pool, Follower), Exit> {
        // An audit that frees orphans does a worker's calls, too.
        let roles = Roles::of(&[Role::Admin, Role::Worker]);
        let caller = Caller::derived(roles, |audience| self.secret.token(audience));
        let client = |env: &Env, address: &str| -> Arc<dyn ChunkService> {
            Arc::new(Client::new(env.clone(), address, caller.clone(), ClientOptions::default()))
        };
        let inside: HashMap<NodeId, Arc<dyn ChunkService>> =
            self.embedded.iter().map(|(node, address)| (*node, client(&self.env, address))).collect();
        let (env, caller) = (reaching(&self.env, self.tls.as_ref(), Role::Chunk), caller.clone());
        let connect = move |address: &str| -> Arc<dyn ChunkService> {
            Arc::new(Client::new(env.clone(), address, caller.clone(), ClientOptions::default()))
        };
        let view = Arc::new(ClusterView::networked(connect).with_in_process(inside));
        view.refresh(&*self.metadata).await.map_err(failed)?;
        let follower = Follower::start(&self.env, Arc::clone(&self.metadata), Arc::clone(&view));
        let leases = Arc::new(LeaseHolder::none(&self.env));
        Ok((Pool::new(&self.env, view, leases, Arc::new(|_| ())), follower))
    }

    /// The node whose id begins with `text`.
    pub(crate) async fn node(&self, text: &str) -> Result<NodeId, Exit> {
        let map = self.map().await?;
        one_of("node", text, map.nodes.iter().map(|node| node.node))
    }

    /// The disk whose id begins with `text`.
    pub(crate) async fn disk(&self, text: &str) -> Result<DiskId, Exit> {
        let map = self.map().await?;
        one_of("disk", text, map.disks.iter().map(|disk| disk.disk))
    }
}

/// The one identifier that begins with `text`.
fn one_of<T: ToString>(what: &str, text: &str, all: impl Iterator<Item = T>) -> Result<T, Exit> {
    let mut found: Vec<T> = all.filter(|id| id.to_string().starts_with(&text.to_lowercase())).collect();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Exit::new(
            Exit::FAILED,
            format!("no {what} begins with {text:?}; `ashlar admin {what} list` shows them"),
        )),
        (Some(_), _) => Err(Exit::new(
            Exit::FAILED,
            format!("more than one {what} begins with {text:?}; give more digits"),
        )),
    }
}

/// What an operator reads of a failed call.
pub(crate) fn failed(error: metadata_api::Error) -> Exit {
    let hint = match &error {
        metadata_api::Error::Unavailable { .. } | metadata_api::Error::TimedOut => {
            "; check that the metadata services run and that the address is right"
        }
        metadata_api::Error::Unauthenticated => "; check ASHLAR_CLUSTER_SECRET",
        metadata_api::Error::Forbidden { .. } => {
            "; give ASHLAR_CLUSTER_TLS_CERT one for admin.ashlar.internal"
        }
        _ => "",
    };
    Exit::new(Exit::FAILED, format!("{error}{hint}"))
}

#[cfg(test)]
mod tests {
    use types::NodeId;

    use super::one_of;

    #[test]
    fn identifiers_are_named_by_as_few_digits_as_tell_them_apart() {
        let nodes = [NodeId([0xab; 16]), NodeId([0xac; 16])];
        assert_eq!(one_of("node", "AB", nodes.into_iter()).ok(), Some(nodes[0]));
        assert!(one_of("node", "a", nodes.into_iter()).is_err());
        assert!(one_of("node", "f", nodes.into_iter()).is_err());
    }
}
