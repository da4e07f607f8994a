//! Connections that are kept between transactions.
//!
//! The driver's pool for Postgres asks a connection whether it is alive each time it is given back, which is one more trip to
//! the database for every transaction. Connections that were made by the pool are lent from here instead, and those that
//! failed go back to it as closed ones. SQLite's connections are made and kept here alone.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use env::Env;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DatabaseError;
use crate::store::counts::PoolUse;

/// What makes connections to a database.
pub(super) trait Connector: Send + Sync + 'static {
    type Connection: Send + 'static;

    fn connect(&self) -> impl Future<Output = Result<Self::Connection, DatabaseError>> + Send;

    /// Closes a connection in whatever state it is.
    fn discard(connection: Self::Connection);

    /// How many connections may turn out to be broken before a good one comes.
    fn size(&self) -> u32;

    /// Closes these connections, the idle ones, and waits for others that it made.
    fn close(&self, env: &Env, idle: Vec<Self::Connection>) -> impl Future<Output = ()> + Send;
}

/// As many connections as there may be, lent in the order in which they are asked for.
pub(super) struct Kept<C: Connector> {
    connector: Arc<C>,
    permits: Arc<Semaphore>,
    most: usize,
    idle: Arc<Mutex<Idle<C>>>,
    /// Longest wait for a free connection.
    timeout: Duration,
}

struct Idle<C: Connector> {
    is_closed: bool,
    /// The one that was used last is the last.
    connections: Vec<C::Connection>,
}

/// A connection that is lent. Dropped without [`Borrowed::give_back`] it is closed.
pub(super) struct Borrowed<C: Connector> {
    connection: Option<C::Connection>,
    idle: Arc<Mutex<Idle<C>>>,
    _permit: OwnedSemaphorePermit,
}

impl<C: Connector> Kept<C> {
    pub(super) fn new(connector: C, connections: u32, timeout: Duration) -> Self {
        let permits = usize::try_from(connections).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let idle = Idle { is_closed: false, connections: Vec::new() };
        Self {
            connector: Arc::new(connector),
            permits: Arc::new(Semaphore::new(permits)),
            most: permits,
            idle: Arc::new(Mutex::new(idle)),
            timeout,
        }
    }

    /// How the connections are used now.
    pub(super) fn used(&self, pool: &'static str) -> PoolUse {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).connections.len();
        let used = self.most.saturating_sub(self.permits.available_permits());
        PoolUse { pool, idle, used, most: self.most }
    }

    /// How many connections may turn out to be broken before a good one comes.
    pub(super) fn size(&self) -> u32 {
        self.connector.size()
    }

    /// A connection that was idle, or a new one.
    pub(super) async fn lend(&self, env: &Env) -> Result<Borrowed<C>, DatabaseError> {
        let unavailable = |reason: &str| DatabaseError::Unavailable(reason.to_owned());
        let permits = Arc::clone(&self.permits);
        // Mostly one is free, and nobody waits for a timer.
        let permit = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => Ok(permit),
            Err(_) => env
                .timeout(self.timeout, permits.acquire_owned())
                .await
                .map_err(|_| unavailable("no connection to the database was free in time"))?,
        };
        let permit = permit.map_err(|_| unavailable("the database is closed"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).connections.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connector.connect().await?,
        };
        Ok(Borrowed { connection: Some(connection), idle: Arc::clone(&self.idle), _permit: permit })
    }

    /// Closes every connection, and waits for those that are lent.
    pub(super) async fn close(&self, env: &Env) {
        let most = u32::try_from(self.most).unwrap_or(u32::MAX);
        // What is lent for longer than anybody waits for it is closed when it is given back.
        let all = env.timeout(self.timeout, self.permits.acquire_many(most)).await;
        self.permits.close();
        drop(all);
        let connections = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.is_closed = true;
            std::mem::take(&mut idle.connections)
        };
        self.connector.close(env, connections).await;
    }
}

impl<C: Connector> Clone for Kept<C> {
    fn clone(&self) -> Self {
        Self {
            connector: Arc::clone(&self.connector),
            permits: Arc::clone(&self.permits),
            most: self.most,
            idle: Arc::clone(&self.idle),
            timeout: self.timeout,
        }
    }
}

impl<C: Connector> Borrowed<C> {
    /// The connection, until it is given back.
    pub(super) fn connection(&mut self) -> Result<&mut C::Connection, DatabaseError> {
        let ended = || DatabaseError::Internal("the connection was given back".to_owned());
        self.connection.as_mut().ok_or_else(ended)
    }

    /// Lets others use the connection, on which no transaction is open.
    pub(super) fn give_back(mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.is_closed {
            drop(idle);
            C::discard(connection);
        } else {
            idle.connections.push(connection);
        }
    }
}

impl<C: Connector> Drop for Borrowed<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            C::discard(connection);
        }
    }
}
