//! Ending: the first SIGTERM or Ctrl-C asks, the second one insists.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that a second signal ended, as a shell reports SIGINT.
const INSISTED: i32 = 130;

/// A token that is cancelled at the first SIGTERM or SIGINT. A second signal ends the process at
/// once, for the person whose patience is at an end.
///
/// # Errors
/// When the process may not install signal handlers.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("shutting down; a second signal ends at once");
        asked.cancel();
        either(&mut terminate, &mut interrupt).await;
        insist();
    });
    Ok(token)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person asked twice: nothing is waited for"
)]
fn insist() -> ! {
    std::process::exit(INSISTED)
}
