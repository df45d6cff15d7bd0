//! The threads of an apply: the main one, one that expands starts, and one that resolves names.
//!
//! A system may give none (`ulimit -u`, a container's limit of processes). The libraries below
//! panic then, so that it is found out before they ask.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How long the thread that resolves names is kept without work: for ever, so that there is no
/// other moment than the first at which it can be missing.
const KEPT_FOR: Duration = Duration::MAX;

/// The runtime, with its one helping thread started.
///
/// # Errors
/// The system does not give the two threads that an apply needs.
pub(crate) fn runtime() -> io::Result<Runtime> {
    // Two at the same time, as they will be needed.
    let (hold, held) = mpsc::channel::<()>();
    let first = std::thread::Builder::new().spawn(move || held.recv().is_ok())?;
    let second = std::thread::Builder::new().spawn(|| ());
    drop(hold);
    // A thread that has nothing to do does not panic.
    let _ = first.join();
    let _ = second?.join();
    // One thread is faster than several: the work for one start is shorter than a hand-over.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_keep_alive(KEPT_FOR)
        .build()?;
    drop(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}
