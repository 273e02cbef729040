//! Serving a router on a listener until told to stop.

use std::io;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Binds `address` (`HOST:PORT`), with a sentence for the user when that fails.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = "is another process listening there? choose another port";
        io::Error::new(
            error.kind(),
            format!("cannot listen on {address}: {error}; {remedy}"),
        )
    })
}

/// Serves until `stop` is cancelled, then finishes the requests in flight.
///
/// The caller supplies the listener, so that tests serve on port 0.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
