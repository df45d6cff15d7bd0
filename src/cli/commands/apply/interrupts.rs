//! Signals and the command timeout: the first stops the apply, the second leaves the program.

use std::time::Duration;

use temporal_manifest::run::event::Stopped;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::output;

/// Signals this soon after the first one are the same one: `timeout`, shells and process managers
/// send a signal to a process and to its group, so that it arrives twice.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// `SIGXFSZ` of Linux, macOS and the BSDs; Tokio has no name for it.
const SIZE_LIMIT_EXCEEDED: i32 = 25;

/// Makes a write beyond the limit of a file's size (`ulimit -f`) an error as on a full disk, which
/// is told and answered with an orderly end. By default it ends the process in the middle of its
/// starts, without a word. Needs the context of a runtime.
pub(super) fn survive_size_limits() {
    // The handler stays when this is dropped. Without one it is as before.
    drop(signal(SignalKind::from_raw(SIZE_LIMIT_EXCEEDED)));
}

/// Cancels `stop` at the first signal or when the timeout passes, and returns which it was.
pub(super) async fn watch(stop: CancellationToken, timeout: Option<Duration>) -> Stopped {
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        // Without handlers a signal ends the program at once, which a repeat makes good.
        return std::future::pending().await;
    };
    let timeout = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        signal = next(&mut interrupt, &mut terminate) => Stopped::Interrupt { signal },
        () = timeout => Stopped::Timeout,
    };
    output::say("stopping: settling what is in flight; interrupt again to leave at once");
    stop.cancel();
    let first = Instant::now();
    tokio::spawn(async move {
        loop {
            let signal = next(&mut interrupt, &mut terminate).await;
            if first.elapsed() >= SAME_SIGNAL {
                std::process::exit(128 + signal);
            }
        }
    });
    stopped
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    }
}
