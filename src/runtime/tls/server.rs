//! Accepting TLS connections and serving a router on them until told to stop.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntCounter, IntGauge};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::room::{Place, Room};

/// Connections served at once. For one more an idle one is closed, strangers' first; where none is idle
/// it waits.
const CONNECTIONS: usize = 512;
/// From connect to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A connection without a complete request head for this long is closed. Longer than any period
/// at which a control plane asks, so that it keeps its connections.
const IDLE: Duration = Duration::from_secs(90);
/// Bytes of a request's head.
const HEAD: usize = 32 * 1024;
/// How long requests in flight may take once their connection is to end.
const GRACE: Duration = Duration::from_secs(5);
/// After a failed accept, as when file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The certificates that the caller of a request showed in the handshake, leaf first; empty when
/// it showed none. An extension of every request.
#[derive(Debug, Clone)]
pub struct PeerCertificates(pub Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let (_, connection) = stream.get_ref();
        Self(connection.peer_certificates().unwrap_or_default().into())
    }
}

/// An extension of a response that only a caller gets who is known: its connection outlasts those of
/// strangers where there is no room for all.
#[derive(Debug, Clone, Copy)]
pub struct KnownCaller;

/// What is counted about the connections.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    /// Connections open now.
    pub open: IntGauge,
    /// Handshakes that failed or took too long.
    pub failed_handshakes: IntCounter,
}

/// Serves `router` with what `config` holds. When that changes, connections made before are closed
/// after the request in flight: callers come again, and show the certificate that is valid now.
///
/// Ends when `stop` is cancelled and the requests in flight are answered, or 5 seconds later.
pub async fn serve(
    listener: TcpListener,
    config: watch::Receiver<Arc<ServerConfig>>,
    router: Router,
    metrics: ConnectionMetrics,
    stop: CancellationToken,
) {
    serve_at_most(CONNECTIONS, listener, config, router, metrics, stop).await;
}

/// The same, with so many connections at once.
pub async fn serve_at_most(
    connections: usize,
    listener: TcpListener,
    config: watch::Receiver<Arc<ServerConfig>>,
    router: Router,
    metrics: ConnectionMetrics,
    stop: CancellationToken,
) {
    let room = Room::new(connections);
    let tasks = TaskTracker::new();
    while let Some(Some((stream, place))) = stop.run_until_cancelled(accept(&listener, &room)).await
    {
        tasks.spawn(connection(
            stream,
            place,
            config.clone(),
            router.clone(),
            metrics.clone(),
            stop.clone(),
        ));
    }
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "closing connections that are still busy"
        );
    }
}

/// The next connection, once there is room for it; none when the program is ending.
async fn accept(listener: &TcpListener, room: &Arc<Room>) -> Option<(TcpStream, Place)> {
    loop {
        match listener.accept().await {
            // Room is made for one that is there, and not before.
            Ok((stream, _)) => return Some((stream, room.enter().await?)),
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    place: Place,
    mut config: watch::Receiver<Arc<ServerConfig>>,
    router: Router,
    metrics: ConnectionMetrics,
    stop: CancellationToken,
) {
    metrics.open.inc();
    let now = Arc::clone(&config.borrow_and_update());
    let shaken = tokio::select! {
        shaken = handshake(stream, now) => shaken,
        () = place.needed() => Err(std::io::Error::other("another connection needs the room")),
    };
    match shaken {
        Ok(stream) => answer(stream, place, router, until_outdated(config, stop)).await,
        Err(error) => {
            metrics.failed_handshakes.inc();
            tracing::debug!(error = %error, "TLS handshake failed");
        }
    }
    metrics.open.dec();
}

async fn handshake(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await?
}

/// Ends when a connection made with the seen `config` should.
async fn until_outdated(mut config: watch::Receiver<Arc<ServerConfig>>, stop: CancellationToken) {
    // A closed channel changes no more: then only the stop ends it.
    if let Some(Err(_)) = stop.run_until_cancelled(config.changed()).await {
        stop.cancelled().await;
    }
}

/// Ends when a connection is to end: how long a request that is under way, or begins, may take.
async fn grace(place: &Place, outdated: impl Future<Output = ()>) -> Duration {
    tokio::select! {
        () = outdated => return GRACE,
        () = place.needed() => {}
    }
    // What a stranger has begun to ask is no reason to let another one wait.
    if place.is_idle_strangers() {
        Duration::ZERO
    } else {
        GRACE
    }
}

async fn answer(
    stream: TlsStream<TcpStream>,
    place: Place,
    router: Router,
    outdated: impl Future<Output = ()>,
) {
    let peer = PeerCertificates::of(&stream);
    let place = Arc::new(place);
    let asks = Arc::clone(&place);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let (router, place) = (router.clone(), Arc::clone(&asks));
        async move {
            let busy = place.busy();
            let answered = router.oneshot(request.map(Body::new)).await;
            if let Ok(response) = &answered
                && response.extensions().get::<KnownCaller>().is_some()
            {
                busy.known();
            }
            answered
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        grace = grace(&place, outdated) => {
            connection.as_mut().graceful_shutdown();
            // Half a request's head would hold it for longer than any answer takes.
            tokio::time::timeout(grace, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "connection ended early");
    }
}
