//! Connections that are kept between transactions.
//!
//! The driver's pool asks a connection whether it is alive each time it is given back, which is one more trip to the
//! database for every transaction. Connections that were made by the pool are lent from here instead, and those that
//! failed go back to it as closed ones.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use env::Env;
use sqlx::{Database, Pool, pool::PoolConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{DatabaseError, classify};
use crate::store::counts::PoolUse;

/// As many connections as the pool may have, lent in the order in which they are asked for.
pub(super) struct Kept<DB: Database> {
    pool: Pool<DB>,
    permits: Arc<Semaphore>,
    most: usize,
    idle: Arc<Mutex<Idle<DB>>>,
    /// Longest wait for a free connection.
    timeout: Duration,
}

struct Idle<DB: Database> {
    is_closed: bool,
    /// The one that was used last is the last.
    connections: Vec<PoolConnection<DB>>,
}

/// A connection that is lent. Dropped without [`Borrowed::give_back`] it is closed.
pub(super) struct Borrowed<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    idle: Arc<Mutex<Idle<DB>>>,
    _permit: OwnedSemaphorePermit,
}

impl<DB: Database> Kept<DB> {
    pub(super) fn new(pool: Pool<DB>, connections: u32, timeout: Duration) -> Self {
        let permits = usize::try_from(connections).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let idle = Idle { is_closed: false, connections: Vec::new() };
        Self {
            pool,
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

    /// How many connections there are.
    pub(super) fn size(&self) -> u32 {
        self.pool.size()
    }

    /// A connection that was idle, or a new one.
    pub(super) async fn lend(&self, env: &Env) -> Result<Borrowed<DB>, DatabaseError> {
        let unavailable = |reason: &str| DatabaseError::Unavailable(reason.to_owned());
        let permit = env.timeout(self.timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit
            .map_err(|_| unavailable("no connection to the database was free in time"))?
            .map_err(|_| unavailable("the database is closed"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).connections.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.pool.acquire().await.map_err(classify)?,
        };
        Ok(Borrowed { connection: Some(connection), idle: Arc::clone(&self.idle), _permit: permit })
    }

    /// Closes every connection, and waits for those that are lent.
    pub(super) async fn close(&self) {
        self.permits.close();
        let connections = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.is_closed = true;
            std::mem::take(&mut idle.connections)
        };
        drop(connections);
        self.pool.close().await;
    }
}

impl<DB: Database> Clone for Kept<DB> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            permits: Arc::clone(&self.permits),
            most: self.most,
            idle: Arc::clone(&self.idle),
            timeout: self.timeout,
        }
    }
}

impl<DB: Database> Borrowed<DB> {
    /// The connection, until it is given back.
    pub(super) fn connection(&mut self) -> Result<&mut DB::Connection, DatabaseError> {
        let ended = || DatabaseError::Internal("the connection was given back".to_owned());
        self.connection.as_deref_mut().ok_or_else(ended)
    }

    /// Lets others use the connection, on which no transaction is open.
    pub(super) fn give_back(mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.is_closed {
            // To the pool, which waits for it.
            drop(idle);
            drop(connection);
        } else {
            idle.connections.push(connection);
        }
    }
}

impl<DB: Database> Drop for Borrowed<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
