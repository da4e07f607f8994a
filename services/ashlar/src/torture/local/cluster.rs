//! The services of a cluster, with the links between them.

use std::net::SocketAddr;

use env::{Env, Listener};
use sigv4::Credentials;

use crate::{
    Exit,
    admin::Reached,
    torture::local::{
        Layout, LocalError,
        link::{Link, Mode},
        service::Service,
    },
};
use s3_client::{Access, Connect, Endpoint};

/// Ports are taken from here: outside of what systems use for outgoing connections, so that a service that was
/// killed finds its port free again.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// Ports that one cluster has to itself.
const BLOCK: u16 = 100;
const BLOCK_TRIES: u32 = 1_000;

/// Ports of a cluster, which no other one takes, although they are listened on later only, and given up when a service is
/// killed: whoever listens on the first of a block has all of it.
struct Ports {
    _held: Box<dyn Listener>,
    next: u16,
    end: u16,
}

impl Ports {
    async fn take(env: &Env) -> Result<Self, LocalError> {
        for _ in 0..BLOCK_TRIES {
            let blocks = u64::from((PORTS.end - PORTS.start) / BLOCK);
            let block = u16::try_from(env.random_u64() % blocks).unwrap_or_default();
            let first = PORTS.start + block * BLOCK;
            if let Ok(held) = env.listen(SocketAddr::from(([127, 0, 0, 1], first))).await {
                return Ok(Self { _held: held, next: first + 1, end: first + BLOCK });
            }
        }
        Err(LocalError::Impossible("there are no free ports from 10000 to 19999"))
    }
}

/// A cluster that runs.
pub(crate) struct Cluster {
    pub(super) env: Env,
    pub(super) layout: Layout,
    pub(super) connect: Connect,
    secret: String,
    /// In the order in which they are started.
    pub(super) services: Vec<Service>,
    pub(super) links: Vec<Link>,
    gateways: Vec<SocketAddr>,
    metadata: Vec<SocketAddr>,
    ports: Ports,
}

impl Cluster {
    /// Starts a cluster on loopback, with secrets made for it.
    pub(crate) async fn start(env: &Env, layout: Layout, connect: Connect) -> Result<Self, LocalError> {
        let secret = env.random_bytes::<32>().map(|byte| format!("{byte:02x}")).concat();
        let mut new = Self {
            env: env.clone(),
            layout,
            connect,
            secret,
            services: Vec::new(),
            links: Vec::new(),
            gateways: Vec::new(),
            metadata: Vec::new(),
            ports: Ports::take(env).await?,
        };
        new.make_folders().await?;
        if new.layout.database.is_some() {
            new.plan_cluster().await?
        } else {
            new.plan_server().await?
        }
        new.start_services().await?;
        Ok(new)
    }

    /// Credentials for a cluster of our own.
    pub(crate) fn credentials(env: &Env) -> Credentials {
        let text = |bytes: [u8; 20]| bytes.map(|byte| format!("{byte:02x}")).concat();
        Credentials {
            access_key_id: text(env.random_bytes()),
            secret_access_key: text(env.random_bytes()),
            session_token: None,
        }
    }

    /// What clients need to reach each gateway.
    pub(crate) async fn accesses(&self) -> Result<Vec<Access>, LocalError> {
        let mut accesses = Vec::with_capacity(self.gateways.len());
        for address in &self.gateways {
            accesses.push(self.access(*address).await?);
        }
        Ok(accesses)
    }

    /// What an operator's tools need to reach it, past its proxies.
    pub(crate) async fn reach(&self) -> Result<Reached, Exit> {
        match self.layout.data.first() {
            Some(home) if self.metadata.is_empty() => Reached::server(&self.env, home).await,
            _ => {
                let secret = self.secret.parse().map_err(|error| Exit::because(Exit::FAILED, &error))?;
                let addresses: Vec<String> = self.metadata.iter().map(ToString::to_string).collect();
                Reached::cluster(&self.env, &addresses, secret, None)
            }
        }
    }

    /// Starts everything, each service when those that it needs are ready.
    pub(super) async fn start_services(&mut self) -> Result<(), LocalError> {
        for kind in ["server", "metadata", "chunk", "gateway", "worker"] {
            let of_kind = |service: &&mut Service| service.name.starts_with(kind);
            for service in self.services.iter_mut().filter(of_kind) {
                service.start()?;
            }
            for service in self.services.iter_mut().filter(of_kind) {
                service.wait_until_ready(&self.env).await?;
            }
        }
        Ok(())
    }

    /// Stops everything in order and starts it again. All links are open afterwards.
    pub(crate) async fn restart(&mut self) -> Result<(), LocalError> {
        self.stop().await?;
        self.start_services().await
    }

    /// Stops everything in order.
    pub(crate) async fn stop(&mut self) -> Result<(), LocalError> {
        self.links.iter().for_each(|link| link.set(Mode::Open));
        for service in self.services.iter_mut().rev() {
            service.stop(&self.env).await?;
        }
        Ok(())
    }

    async fn make_folders(&self) -> Result<(), LocalError> {
        let (disk, layout) = (self.env.disk().clone(), self.layout.clone());
        let made = self.env.spawn_blocking(move || {
            disk.create_directory(&layout.folder)?;
            if !disk.list_directory(&layout.folder)?.is_empty() {
                return Ok(false);
            }
            layout.data.iter().try_for_each(|path| disk.create_directory(path))?;
            Ok(true)
        });
        let made = made.await.unwrap_or_else(|| Err(std::io::ErrorKind::Interrupted.into()));
        match made {
            Ok(true) => Ok(()),
            Ok(false) => Err(LocalError::NotEmpty(self.layout.folder.clone())),
            Err(source) => Err(LocalError::Start { what: "the folders for data".to_owned(), source }),
        }
    }

    async fn plan_server(&mut self) -> Result<(), LocalError> {
        let address = self.free_port().await?;
        let mut words = vec!["server".to_owned()];
        words.extend(self.layout.data.iter().map(|path| path.display().to_string()));
        let mut variables = self.front(address);
        variables.push(("ASHLAR_GARBAGE_HOLD_SECONDS", self.layout.garbage_hold_seconds.to_string()));
        variables.extend(self.coding());
        let mut server = self.service("server".to_owned(), words, variables, address)?;
        server.disks = (0..self.layout.data.len()).collect();
        self.services.push(server);
        self.gateways.push(address);
        Ok(())
    }

    async fn plan_cluster(&mut self) -> Result<(), LocalError> {
        let mut metadata = Vec::new();
        for number in 1..=self.layout.metadata {
            let (address, health) = (self.free_port().await?, self.free_port().await?);
            let mut variables = vec![
                ("ASHLAR_DATABASE_URL", self.layout.database.clone().unwrap_or_default()),
                ("ASHLAR_CLUSTER_SECRET", self.secret.clone()),
                ("ASHLAR_LISTEN", address.to_string()),
                ("ASHLAR_HEALTH_LISTEN", health.to_string()),
                ("ASHLAR_GARBAGE_HOLD_SECONDS", self.layout.garbage_hold_seconds.to_string()),
                ("ASHLAR_LEASE_TTL_SECONDS", self.layout.lease_seconds.to_string()),
            ];
            variables.extend(self.coding());
            self.add(format!("metadata{number}"), "metadata", variables, health)?;
            metadata.push(address);
        }
        for (index, data) in self.layout.data.clone().into_iter().enumerate() {
            let name = format!("chunk{}", index + 1);
            let (address, health) = (self.free_port().await?, self.free_port().await?);
            let link = self.link("all", &name, address).await?;
            let mut variables = self.member(&name, &metadata, health).await?;
            variables.extend([
                ("ASHLAR_LISTEN", address.to_string()),
                ("ASHLAR_ADVERTISE", link.to_string()),
                ("ASHLAR_FAILURE_DOMAIN", format!("local/local/local/{name}")),
                ("ASHLAR_DATA", data.display().to_string()),
            ]);
            self.add(name, "chunk", variables, health)?.disks = vec![index];
        }
        for number in 1..=self.layout.gateways {
            let (name, address) = (format!("gateway{number}"), self.free_port().await?);
            let metadata = self.metadata_links(&name, &metadata).await?;
            let mut variables = self.front(address);
            variables.extend([("ASHLAR_CLUSTER_SECRET", self.secret.clone()), ("ASHLAR_METADATA", metadata)]);
            self.add(name, "gateway", variables, address)?;
            self.gateways.push(address);
        }
        for number in 1..=self.layout.workers {
            let (name, health) = (format!("worker{number}"), self.free_port().await?);
            let variables = self.member(&name, &metadata, health).await?;
            self.add(name, "worker", variables, health)?;
        }
        self.metadata = metadata;
        Ok(())
    }

    /// Settings of what clients connect to.
    fn front(&self, address: SocketAddr) -> Vec<(&'static str, String)> {
        vec![
            ("ASHLAR_LISTEN", address.to_string()),
            ("ASHLAR_ROOT_USER", self.connect.credentials.access_key_id.clone()),
            ("ASHLAR_ROOT_PASSWORD", self.connect.credentials.secret_access_key.clone()),
        ]
    }

    /// Settings of a service that finds the others through metadata.
    async fn member(
        &mut self,
        name: &str,
        metadata: &[SocketAddr],
        health: SocketAddr,
    ) -> Result<Vec<(&'static str, String)>, LocalError> {
        Ok(vec![
            ("ASHLAR_CLUSTER_SECRET", self.secret.clone()),
            ("ASHLAR_METADATA", self.metadata_links(name, metadata).await?),
            ("ASHLAR_HEALTH_LISTEN", health.to_string()),
        ])
    }

    fn coding(&self) -> Option<(&'static str, String)> {
        self.layout.coding.map(|coding| ("ASHLAR_STANDARD_CODING", coding.to_string()))
    }

    /// Addresses of the metadata services as one service reaches them, over links of its own.
    async fn metadata_links(&mut self, from: &str, metadata: &[SocketAddr]) -> Result<String, LocalError> {
        let mut addresses = Vec::with_capacity(metadata.len());
        for (index, address) in metadata.iter().enumerate() {
            let to = format!("metadata{}", index + 1);
            addresses.push(self.link(from, &to, *address).await?.to_string());
        }
        Ok(addresses.join(","))
    }

    async fn link(&mut self, from: &str, to: &str, upstream: SocketAddr) -> Result<SocketAddr, LocalError> {
        let link = Link::open(&self.env, from, to, upstream).await;
        let link = link.map_err(|source| LocalError::Start { what: "a proxy".to_owned(), source })?;
        let address = link.address;
        self.links.push(link);
        Ok(address)
    }

    fn add(
        &mut self,
        name: String,
        command: &str,
        variables: Vec<(&'static str, String)>,
        health: SocketAddr,
    ) -> Result<&mut Service, LocalError> {
        let service = self.service(name, vec![command.to_owned()], variables, health)?;
        self.services.push(service);
        self.services.last_mut().ok_or(LocalError::Impossible("there is no service"))
    }

    fn service(
        &self,
        name: String,
        words: Vec<String>,
        variables: Vec<(&'static str, String)>,
        health: SocketAddr,
    ) -> Result<Service, LocalError> {
        let health = format!("http://{health}/health/ready").parse();
        let health = health.map_err(|_| LocalError::Impossible("an address on loopback is no URL"))?;
        Ok(Service::new(name, words, variables, health, &self.layout.folder))
    }

    async fn access(&self, address: SocketAddr) -> Result<Access, LocalError> {
        let impossible = LocalError::Impossible("an address on loopback is no endpoint");
        let Ok(endpoint) = Endpoint::parse(&format!("http://{address}")) else { return Err(impossible) };
        self.connect.access(&self.env, endpoint).await.map_err(|_| impossible)
    }

    /// One that nobody else listens on either.
    async fn free_port(&mut self) -> Result<SocketAddr, LocalError> {
        while self.ports.next < self.ports.end {
            let address = SocketAddr::from(([127, 0, 0, 1], self.ports.next));
            self.ports.next += 1;
            if self.env.listen(address).await.is_ok() {
                return Ok(address);
            }
        }
        Err(LocalError::Impossible("a cluster has a hundred ports, and there are no more free ones of them"))
    }
}
