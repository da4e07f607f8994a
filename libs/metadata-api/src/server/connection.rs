//! One connection, from its first byte to its last.

use std::{error::Error, pin::pin, sync::Arc, time::Duration};

use env::{Connection, Env};
use hyper::server::conn::http2::Builder;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{self, AsyncReadExt},
    select,
    sync::watch,
};

use super::{Admission, counts::Counted, linger::Linger};
use crate::transport::{CONNECTION_WINDOW, Executor, HEADERS_SIZE_MAX, STREAM_WINDOW, STREAMS_MAX, timer};

/// How long a peer may take to begin to speak HTTP/2, so that silent ones do not hold connections.
const PREFACE_TIME: Duration = Duration::from_secs(5);

/// Length in bytes of what an HTTP/2 client sends first. Source: RFC 9113, section 3.4.
const PREFACE_LENGTH: usize = 24;

/// Silence after which a peer is asked for a sign of life, and how long it may take to give one.
const PING_AFTER: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How far the server has come on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Calls are taken.
    Serve,
    /// Calls that were taken are answered.
    Drain,
    /// Connections are closed as they are.
    Cut,
}

/// Serves one connection until its peer closes it or the stages end it.
pub(super) async fn serve(
    env: Env,
    stream: Box<dyn Connection>,
    admission: Option<Arc<dyn Admission>>,
    service: Counted,
    mut stage: watch::Receiver<Stage>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let admitted = async {
        let (stream, service) = match admission {
            Some(admission) => {
                let (stream, roles) = admission.admit(stream).await?;
                (stream, service.called_by(roles))
            }
            None => (stream, service),
        };
        io::Result::Ok((after_preface(stream).await?, service))
    };
    let (stream, service) = select! {
        admitted = env.timeout(PREFACE_TIME, admitted) => admitted??,
        _ = stage.wait_for(|stage| *stage != Stage::Serve) => return Ok(()),
    };
    let stream = Linger::new(stream, env.clone());
    let connection = Builder::new(Executor(env))
        .timer(timer())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_SIZE_MAX)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    select! {
        end = &mut connection => return Ok(end?),
        _ = stage.wait_for(|stage| *stage != Stage::Serve) => connection.as_mut().graceful_shutdown(),
    }
    select! {
        end = &mut connection => Ok(end?),
        // Dropping the connection drops the calls on it.
        _ = stage.wait_for(|stage| *stage == Stage::Cut) => Ok(()),
    }
}

/// The stream once its first bytes have come, which are still to be read from it.
async fn after_preface(stream: Box<dyn Connection>) -> io::Result<impl Connection> {
    let (mut reader, writer) = io::split(stream);
    let mut preface = vec![0; PREFACE_LENGTH];
    reader.read_exact(&mut preface).await?;
    Ok(io::join(std::io::Cursor::new(preface).chain(reader), writer))
}
